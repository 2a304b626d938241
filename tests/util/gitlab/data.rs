//! What the loopback server holds.
//!
//! Owns projects, pipelines, jobs and their traces, and the changes a real server would make to
//! them. Knows no HTTP.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The whole content of a server.
#[derive(Debug, Clone)]
pub struct Data {
    /// Projects by id.
    pub projects: BTreeMap<u64, FakeProject>,
    /// The answer of `/user`.
    pub user: Value,
    /// The answer of `/version`.
    pub version: Value,
    /// Whether the jobs of a project and projects are listed by keyset when asked to.
    pub keyset: bool,
    /// The token taken.
    pub token: String,
    /// The id the next new job gets.
    pub next_job: u64,
    /// The server that artifacts are redirected to; it holds the same.
    pub storage: Option<String>,
    /// Whether artifacts are sent in parts when asked for.
    pub ranges: bool,
    /// Whether a server serves it, so that what is added from now on changes its pipeline.
    pub running: bool,
}

/// A project.
#[derive(Debug, Clone, Default)]
pub struct FakeProject {
    /// The project as sent.
    pub doc: Value,
    /// Former paths, which redirect.
    pub former: Vec<String>,
    /// Pipelines by id, as sent.
    pub pipelines: BTreeMap<u64, Value>,
    /// Jobs by id.
    pub jobs: BTreeMap<u64, FakeJob>,
    /// Bridges by id, as sent.
    pub bridges: BTreeMap<u64, Value>,
}

/// A job.
#[derive(Debug, Clone, Default)]
pub struct FakeJob {
    /// The job as sent.
    pub doc: Value,
    /// Its log; empty where there is none.
    pub trace: Vec<u8>,
    /// Its artifacts archive.
    pub archive: Option<Vec<u8>>,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            projects: BTreeMap::new(),
            user: json!({"id": 1, "username": "root", "name": "Administrator", "state": "active"}),
            version: json!({"version": "17.5.0-ee", "revision": "66a723c7"}),
            keyset: true,
            token: super::TOKEN.to_owned(),
            next_job: 1_000_000,
            storage: None,
            ranges: true,
            running: false,
        }
    }
}

impl Data {
    /// Adds a project.
    pub fn project(mut self, id: u64, path: &str) -> Self {
        let doc = json!({
            "id": id, "path_with_namespace": path, "name": path.rsplit('/').next(),
            "default_branch": "main", "archived": false, "visibility": "private",
            "web_url": format!("https://gitlab.example.com/{path}"), "jobs_enabled": true,
            "last_activity_at": "2026-01-02T03:04:05.006Z",
            "ci_delete_pipelines_in_seconds": null,
        });
        self.projects.insert(id, FakeProject { doc, ..FakeProject::default() });
        self
    }

    /// Adds a job with its log, and its pipeline if that is not there. A job that has ended gets
    /// the artifact entry of an archived log.
    pub fn job(mut self, project: u64, mut doc: Value, trace: impl Into<Vec<u8>>) -> Self {
        let trace = trace.into();
        if finished(&doc) && !trace.is_empty() && doc["artifacts"] == json!([]) {
            doc["artifacts"] = json!([trace_entry(trace.len())]);
        }
        self.add_job(project, doc, trace);
        self
    }

    /// Adds a job as it is, and its pipeline if that is not there.
    pub fn add_job(&mut self, project: u64, mut doc: Value, trace: Vec<u8>) {
        let project_doc = self.projects.get_mut(&project).unwrap();
        let id = doc["id"].as_u64().unwrap();
        if let Some(pipeline) = doc["pipeline"]["id"].as_u64() {
            doc["pipeline"]["project_id"] = json!(project);
            let pipeline_doc = doc["pipeline"].clone();
            let held = project_doc.pipelines.entry(pipeline).or_insert(pipeline_doc);
            if self.running {
                held["updated_at"] = now();
            }
        }
        project_doc.jobs.insert(id, FakeJob { doc, trace, archive: None });
    }

    /// Gives a job an artifacts archive and the entry of it.
    pub fn archive(mut self, project: u64, job: u64, archive: Vec<u8>) -> Self {
        let job = self.job_mut(project, job);
        let entry = json!({"file_type": "archive", "size": archive.len(), "filename": "artifacts.zip",
            "file_format": "zip"});
        job.doc["artifacts"].as_array_mut().unwrap().insert(0, entry);
        job.archive = Some(archive);
        self
    }

    /// Adds a bridge of a pipeline, which started another one of a project.
    pub fn bridge(mut self, project: u64, mut doc: Value, downstream: Option<(u64, u64)>) -> Self {
        doc["downstream_pipeline"] = downstream.map_or(Value::Null, |(project, pipeline)| {
            json!({"id": pipeline, "project_id": project, "status": "success"})
        });
        let pipeline = doc["pipeline"]["id"].as_u64().unwrap();
        let held = self.projects.get_mut(&project).unwrap();
        held.pipelines.entry(pipeline).or_insert(doc["pipeline"].clone());
        held.bridges.insert(doc["id"].as_u64().unwrap(), doc);
        self
    }

    /// Returns a job to change.
    pub fn job_mut(&mut self, project: u64, job: u64) -> &mut FakeJob {
        self.projects.get_mut(&project).unwrap().jobs.get_mut(&job).unwrap()
    }

    /// Ends a job: its status, its whole log, and the log's artifact entry. Its pipeline changes.
    pub fn finish(&mut self, project: u64, job: u64, status: &str, trace: &[u8]) {
        self.touch_pipeline(project, job);
        let job = self.job_mut(project, job);
        job.doc["status"] = json!(status);
        job.doc["finished_at"] = json!("2026-01-02T03:05:07.200Z");
        job.doc["artifacts"] = json!([trace_entry(trace.len())]);
        job.trace = trace.to_vec();
    }

    /// Changes a job's pipeline, as the end of a job does that ends its pipeline.
    pub fn touch_pipeline(&mut self, project: u64, job: u64) {
        let pipeline = self.job_mut(project, job).doc["pipeline"]["id"].as_u64().unwrap();
        let project = self.projects.get_mut(&project).unwrap();
        let doc = project.pipelines.get_mut(&pipeline).unwrap();
        doc["updated_at"] = now();
    }

    /// Erases a job as a maintainer would. Nothing else tells of it.
    pub fn erase(&mut self, project: u64, job: u64) {
        let job = self.job_mut(project, job);
        job.doc["erased_at"] = json!("2026-01-03T00:00:00.000Z");
        job.doc["artifacts"] = json!([]);
        job.doc["artifacts_expire_at"] = Value::Null;
        job.trace.clear();
    }

    /// Deletes a pipeline with all its jobs.
    pub fn delete_pipeline(&mut self, project: u64, pipeline: u64) {
        let project = self.projects.get_mut(&project).unwrap();
        project.pipelines.remove(&pipeline);
        project.jobs.retain(|_, job| job.doc["pipeline"]["id"] != json!(pipeline));
        project.bridges.retain(|_, doc| doc["pipeline"]["id"] != json!(pipeline));
    }
}

fn now() -> Value {
    json!(jiff::Timestamp::now().to_string())
}

/// Returns whether a job has ended.
pub fn finished(doc: &Value) -> bool {
    matches!(doc["status"].as_str(), Some("success" | "failed" | "canceled" | "skipped"))
}

fn trace_entry(bytes: usize) -> Value {
    json!({"file_type": "trace", "size": bytes, "filename": "job.log", "file_format": null})
}

/// Makes a job as today's servers send it.
pub fn job_doc(id: u64, pipeline: u64, name: &str, status: &str) -> Value {
    let sha = format!("{pipeline:040x}");
    let mut doc = json!({
        "id": id, "status": status, "stage": "test", "name": name, "ref": "main", "tag": false,
        "coverage": null, "allow_failure": false, "created_at": "2026-01-02T03:04:05.006Z",
        "started_at": "2026-01-02T03:04:07.100Z", "finished_at": null, "erased_at": null,
        "duration": 60.1, "queued_duration": 1.9,
        "user": {"id": 1, "username": "root", "name": "Administrator"},
        "commit": {"id": sha, "short_id": sha[..8], "title": "Test", "author_name": "A. Author",
            "created_at": "2026-01-02T04:04:05.000+01:00"},
        "pipeline": {"id": pipeline, "iid": pipeline, "project_id": null, "sha": sha,
            "ref": "main", "status": status, "source": "push",
            "created_at": "2026-01-02T03:04:05.006Z", "updated_at": "2026-01-02T03:05:08.000Z",
            "web_url": format!("https://gitlab.example.com/-/pipelines/{pipeline}")},
        "web_url": format!("https://gitlab.example.com/-/jobs/{id}"),
        "project": {"ci_job_token_scope_enabled": false}, "artifacts": [],
        "runner": {"id": 5, "description": "runner-1", "name": "gitlab-runner",
            "runner_type": "instance_type"},
        "artifacts_expire_at": null, "archived": false, "tag_list": [],
    });
    if finished(&doc) {
        doc["finished_at"] = json!("2026-01-02T03:05:07.200Z");
    }
    if status == "failed" {
        doc["failure_reason"] = json!("script_failure");
    }
    doc
}
