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
ALTER TABLE jobs ADD COLUMN bridge INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN downstream_project INTEGER;
ALTER TABLE jobs ADD COLUMN downstream_pipeline INTEGER;

CREATE INDEX jobs_by_pipeline ON jobs (pipeline);

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

INSERT INTO pipelines (id, project) SELECT pipeline, min(project) FROM jobs WHERE pipeline IS NOT NULL GROUP BY pipeline;
