-- The server deletes pipelines of that age; NULL where it keeps them.
ALTER TABLE projects ADD COLUMN delete_after_secs INTEGER;
-- Changes of pipelines up to this time were seen, by the server's clock; NULL before the first walk.
ALTER TABLE projects ADD COLUMN changes_through INTEGER;
-- When all pipelines, or the child pipelines changed since, were last listed.
ALTER TABLE projects ADD COLUMN children_at INTEGER;
-- The slow sweep: when it last looked, and where it goes on ('' at the newest job).
ALTER TABLE projects ADD COLUMN swept_at INTEGER;
ALTER TABLE projects ADD COLUMN sweep_cursor TEXT NOT NULL DEFAULT '';

-- Set where a walk stopped at a job too old for what was asked: when that job came to be.
ALTER TABLE walks ADD COLUMN reached_at INTEGER;

-- A job that starts another pipeline, and that pipeline.
ALTER TABLE job_rows ADD COLUMN bridge INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job_rows ADD COLUMN downstream_project INTEGER;
ALTER TABLE job_rows ADD COLUMN downstream_pipeline INTEGER;

CREATE INDEX jobs_by_pipeline ON job_rows (pipeline);

CREATE TABLE pipelines (
    id INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    -- When it last changed, in the server's word; NULL where it is known by its jobs alone.
    updated_at INTEGER,
    -- Its bridges are yet to be asked for.
    to_ask INTEGER NOT NULL DEFAULT 1,
    -- No walk of its project finds its jobs, so they are asked for pipeline by pipeline.
    apart INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX pipelines_to_ask ON pipelines (project, id) WHERE to_ask = 1;

-- What job_rows say, in words. Only what a query names is looked up.
CREATE VIEW jobs AS SELECT
    r.id, r.project, r.pipeline,
    (SELECT text FROM words WHERE id = r.name) AS name,
    (SELECT text FROM words WHERE id = r.stage) AS stage,
    (SELECT text FROM words WHERE id = r.status) AS status,
    (SELECT text FROM words WHERE id = r.ref) AS ref,
    r.tag,
    CASE typeof(r.sha) WHEN 'blob' THEN lower(hex(r.sha)) ELSE r.sha END AS sha,
    r.created_at, r.started_at, r.finished_at, r.duration, r.erased_at, r.artifacts_expire_at,
    (SELECT text FROM words WHERE id = r.failure_reason) AS failure_reason,
    (SELECT text FROM words WHERE id = r.user) AS user,
    (SELECT text FROM words WHERE id = r.runner) AS runner,
    (SELECT text FROM words WHERE id = r.artifacts) AS artifacts,
    r.artifact_sizes, r.trace_size, r.web_url, r.digest, r.doc_pack, r.doc_offset, r.doc_index, r.listed_at,
    (SELECT text FROM words WHERE id = r.state) AS state,
    (SELECT text FROM words WHERE id = r.reason) AS reason,
    r.state_at, r.capture, r.trace, r.next_at, r.attempts, r.gone_at, r.erased_seen_at,
    r.bridge, r.downstream_project, r.downstream_pipeline,
    -- Numbers of the same words, for comparing many rows with few words.
    r.name AS name_id, r.stage AS stage_id, r.status AS status_id, r.ref AS ref_id,
    r.failure_reason AS failure_reason_id, r.user AS user_id, r.runner AS runner_id,
    r.state AS state_id, r.reason AS reason_id
FROM job_rows r;
