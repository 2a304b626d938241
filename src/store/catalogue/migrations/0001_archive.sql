-- Times are microseconds since 1970 UTC. Ids of jobs, projects and pipelines are GitLab's own.

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE packs (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- Written by compaction.
    compacted INTEGER NOT NULL DEFAULT 0,
    -- Its ledgers stand in a compacted pack too; the catalogue refers to those.
    ledgers_moved INTEGER NOT NULL DEFAULT 0,
    -- Since when nothing refers to it; it is deleted after a time of grace.
    superseded_at INTEGER
) STRICT;

-- What frames are compressed against. The sketch tells which logs are like it; coded by the store.
CREATE TABLE bases (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    pack INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    project INTEGER NOT NULL,
    sketch BLOB NOT NULL
) STRICT;

-- Whose eyes saw a job: server, its version, the token's user.
CREATE TABLE captures (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    gitlab_version TEXT NOT NULL,
    user TEXT NOT NULL,
    jobvault_version TEXT NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    web_url TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    -- Every job up to this id was listed, but for the walks still open.
    newest_job INTEGER NOT NULL DEFAULT 0,
    synced_at INTEGER
) STRICT;

-- Walks of the job list that have not come to their end: where to go on, and the id at which they end.
CREATE TABLE walks (
    id INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    cursor TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    pipeline INTEGER,
    name TEXT NOT NULL,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    ref TEXT NOT NULL,
    tag INTEGER NOT NULL,
    sha TEXT NOT NULL,
    created_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    duration REAL,
    erased_at INTEGER,
    artifacts_expire_at INTEGER,
    failure_reason TEXT,
    user TEXT,
    runner TEXT,
    -- JSON as the server sent it; NULL where it listed none.
    artifacts TEXT,
    -- Length of the trace as the server announces it.
    trace_size INTEGER,
    -- NULL where it is the project's web_url and the usual rest.
    web_url TEXT,
    -- Tells whether a later document says anything new.
    digest INTEGER NOT NULL,
    doc_pack INTEGER,
    doc_offset INTEGER,
    doc_index INTEGER,
    listed_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    reason TEXT NOT NULL DEFAULT '',
    state_at INTEGER NOT NULL,
    capture INTEGER,
    trace INTEGER,
    -- When to look at the job again; NULL when it is settled.
    next_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When we noticed that the server no longer has the job, or no longer its log.
    gone_at INTEGER,
    erased_seen_at INTEGER
) STRICT;

CREATE INDEX jobs_by_project ON jobs (project, id);
CREATE INDEX jobs_to_see_again ON jobs (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    hash BLOB NOT NULL,
    fetched_at INTEGER NOT NULL,
    -- Where its frames are; coded by the store.
    frames BLOB NOT NULL
) STRICT;

CREATE INDEX traces_by_job ON traces (job);
