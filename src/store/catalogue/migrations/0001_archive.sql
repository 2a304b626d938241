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

-- Words that many rows repeat. Never removed.
CREATE TABLE words (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- Those that every archive has get the shortest numbers.
INSERT INTO words (text) VALUES (''), ('pending'), ('archived'), ('success'), ('failed'), ('canceled'), ('test'), ('main');

-- Read through the view jobs, which shows words for their numbers.
CREATE TABLE job_rows (
    id INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    pipeline INTEGER,
    -- Numbers of words.
    name INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    status INTEGER NOT NULL,
    ref INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    -- Twenty bytes, or what it is where it is no commit's id.
    sha ANY NOT NULL,
    created_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    duration REAL,
    erased_at INTEGER,
    artifacts_expire_at INTEGER,
    -- Numbers of words.
    failure_reason INTEGER,
    user INTEGER,
    runner INTEGER,
    -- JSON as the server sent it, with 0 for each size, as the number of a word; NULL where it listed none.
    artifacts INTEGER,
    -- The sizes, coded; NULL where the JSON stands as it was.
    artifact_sizes BLOB,
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
    -- Numbers of words.
    state INTEGER NOT NULL,
    reason INTEGER NOT NULL,
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

CREATE INDEX jobs_by_project ON job_rows (project, id);
CREATE INDEX jobs_to_see_again ON job_rows (next_at) WHERE next_at IS NOT NULL;
-- With the trace, so that counting reads the index alone.
CREATE INDEX jobs_without_trace ON job_rows (state, reason, trace) WHERE trace IS NULL;

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

-- How many jobs of a project are in a state, how many of them have a trace, and the bytes of these. Kept by triggers,
-- so that nothing need be counted.
CREATE TABLE tallies (
    project INTEGER NOT NULL,
    state INTEGER NOT NULL,
    jobs INTEGER NOT NULL,
    traces INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    PRIMARY KEY (project, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tally_new AFTER INSERT ON job_rows BEGIN
    INSERT INTO tallies (project, state, jobs, traces, raw_bytes) VALUES (new.project, new.state, 1,
        new.trace IS NOT NULL, coalesce((SELECT raw_bytes FROM traces WHERE id = new.trace), 0))
    ON CONFLICT (project, state) DO UPDATE SET jobs = jobs + 1, traces = traces + excluded.traces,
        raw_bytes = raw_bytes + excluded.raw_bytes;
END;

CREATE TRIGGER tally_moved AFTER UPDATE OF project, state, trace ON job_rows
WHEN old.project <> new.project OR old.state <> new.state OR old.trace IS NOT new.trace BEGIN
    UPDATE tallies SET jobs = jobs - 1, traces = traces - (old.trace IS NOT NULL),
        raw_bytes = raw_bytes - coalesce((SELECT raw_bytes FROM traces WHERE id = old.trace), 0)
    WHERE project = old.project AND state = old.state;
    INSERT INTO tallies (project, state, jobs, traces, raw_bytes) VALUES (new.project, new.state, 1,
        new.trace IS NOT NULL, coalesce((SELECT raw_bytes FROM traces WHERE id = new.trace), 0))
    ON CONFLICT (project, state) DO UPDATE SET jobs = jobs + 1, traces = traces + excluded.traces,
        raw_bytes = raw_bytes + excluded.raw_bytes;
END;
