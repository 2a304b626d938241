//! Which field of which entity is found under which key.
//!
//! Owns the mapping alone. A missing field is `None`; a missing id is an error.
//! Source: <https://docs.gitlab.com/api/jobs/>, <https://docs.gitlab.com/api/pipelines/>.

use super::Fields;
use crate::model::{
    Artifact, Bridge, Job, JobId, Pipeline, PipelineId, Project, ProjectId, Runner, RunnerId,
    Status, User, UserId, Version,
};

/// Something GitLab sends as an object.
pub(crate) trait Entity: Sized {
    /// Reads it, or says why it cannot be used.
    fn read(fields: &Fields<'_>) -> Result<Self, String>;
}

fn status(fields: &Fields<'_>) -> Option<Status> {
    fields.text("status").map(|word| Status::from(word.as_str()))
}

impl Entity for Job {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        let pipeline = fields.object("pipeline");
        let pipeline = pipeline.as_ref();
        let commit = fields.object("commit");
        let commit = commit.as_ref();
        let user = fields.object("user");
        Ok(Self {
            id: JobId(fields.id()?),
            project: pipeline.and_then(|p| p.id_at("project_id")).map(ProjectId),
            pipeline: pipeline.and_then(|p| p.id_at("id")).map(PipelineId),
            pipeline_iid: pipeline.and_then(|p| p.u64("iid")),
            pipeline_source: pipeline.and_then(|p| p.text("source")),
            name: fields.text("name"),
            stage: fields.text("stage"),
            status: status(fields),
            git_ref: fields.text("ref"),
            tag: fields.bool("tag"),
            sha: pipeline.and_then(|p| p.text("sha")).or_else(|| commit?.text("id")),
            created_at: fields.time("created_at"),
            started_at: fields.time("started_at"),
            finished_at: fields.time("finished_at"),
            erased_at: fields.time("erased_at"),
            duration: fields.f64("duration"),
            queued_duration: fields.f64("queued_duration"),
            failure_reason: fields.text("failure_reason"),
            allow_failure: fields.bool("allow_failure"),
            web_url: fields.text("web_url"),
            user: user.and_then(|user| user.text("username")),
            author: commit.and_then(|commit| commit.text("author_name")),
            runner: fields.object("runner").and_then(|runner| Runner::read(&runner).ok()),
            artifacts: artifacts(fields),
            artifacts_expire_at: fields.time("artifacts_expire_at"),
            tag_list: fields.texts("tag_list"),
            archived: fields.bool("archived"),
            coverage: fields.f64("coverage"),
        })
    }
}

fn artifacts(fields: &Fields<'_>) -> Vec<Artifact> {
    fields
        .list("artifacts")
        .into_iter()
        .filter_map(|raw| Fields::parse(raw.get()).ok())
        .map(|artifact| Artifact {
            file_type: artifact.text("file_type"),
            size: artifact.u64("size"),
            filename: artifact.text("filename"),
            file_format: artifact.text("file_format"),
        })
        .collect()
}

impl Entity for Bridge {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        let downstream = fields.object("downstream_pipeline");
        Ok(Self {
            job: Job::read(fields)?,
            downstream: downstream.and_then(|pipeline| Pipeline::read(&pipeline).ok()),
        })
    }
}

impl Entity for Pipeline {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            id: PipelineId(fields.id()?),
            iid: fields.u64("iid"),
            project: fields.id_at("project_id").map(ProjectId),
            status: status(fields),
            source: fields.text("source"),
            git_ref: fields.text("ref"),
            sha: fields.text("sha"),
            name: fields.text("name"),
            web_url: fields.text("web_url"),
            created_at: fields.time("created_at"),
            updated_at: fields.time("updated_at"),
            started_at: fields.time("started_at"),
            finished_at: fields.time("finished_at"),
        })
    }
}

impl Entity for Project {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            id: ProjectId(fields.id()?),
            path_with_namespace: fields.text("path_with_namespace"),
            name: fields.text("name"),
            default_branch: fields.text("default_branch"),
            archived: fields.bool("archived"),
            web_url: fields.text("web_url"),
            visibility: fields.text("visibility"),
            last_activity_at: fields.time("last_activity_at"),
            ci_delete_pipelines_in_seconds: fields.u64("ci_delete_pipelines_in_seconds"),
            jobs_enabled: fields.bool("jobs_enabled"),
            builds_access_level: fields.text("builds_access_level"),
            // Older servers know it under the second name.
            public_jobs: fields.bool("public_jobs").or_else(|| fields.bool("public_builds")),
            keep_latest_artifact: fields.bool("keep_latest_artifact"),
            empty_repo: fields.bool("empty_repo"),
        })
    }
}

impl Entity for Runner {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            id: RunnerId(fields.id()?),
            description: fields.text("description"),
            name: fields.text("name"),
            runner_type: fields.text("runner_type"),
        })
    }
}

impl Entity for User {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            id: UserId(fields.id()?),
            username: fields.text("username"),
            name: fields.text("name"),
        })
    }
}

impl Entity for Version {
    fn read(fields: &Fields<'_>) -> Result<Self, String> {
        Ok(Self { version: fields.text("version"), revision: fields.text("revision") })
    }
}
