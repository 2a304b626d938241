-- Jobs whose document lists an artifacts archive, and what became of that.
CREATE TABLE artifacts (
    job INTEGER PRIMARY KEY,
    -- Length of the archive as the server announces it.
    bytes INTEGER,
    state TEXT NOT NULL DEFAULT 'pending',
    reason TEXT NOT NULL DEFAULT '',
    at INTEGER NOT NULL,
    -- What was wanted when it was settled: 0 nothing, 1 the list, 2 reports, 3 all.
    level INTEGER NOT NULL DEFAULT 0,
    -- When to try again what failed, and how often it has.
    next_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Where the list of its files stands.
    listing_pack INTEGER,
    listing_offset INTEGER,
    listing_index INTEGER,
    entries INTEGER,
    -- BLAKE3 of the archive, where that is kept; a row of blobs.
    archive BLOB,
    -- Files of it that are kept by themselves: JSON of path, bytes and BLAKE3.
    files TEXT
) STRICT;

CREATE INDEX artifacts_by_level ON artifacts (level, job);
CREATE INDEX artifacts_by_listing ON artifacts (listing_pack) WHERE listing_pack IS NOT NULL;

INSERT INTO artifacts (job, bytes, at)
    SELECT j.id, f.value ->> 'size', j.listed_at FROM jobs j, json_each(j.artifacts) f
    WHERE j.artifacts LIKE '%"archive"%' AND f.value ->> 'file_type' = 'archive' GROUP BY j.id;

-- Which paths occur in which job's archive, for searching alone.
CREATE TABLE artifact_paths (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE artifact_entries (
    path INTEGER NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (path, job)
) STRICT, WITHOUT ROWID;

-- Files by content: the hashes of their chunks, one behind the other.
CREATE TABLE blobs (
    hash BLOB NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL,
    chunks BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE chunks (
    hash BLOB NOT NULL PRIMARY KEY,
    pack INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX chunks_by_pack ON chunks (pack);
