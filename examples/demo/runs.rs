//! Recorded runs of jobs as the data of the loopback GitLab.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::gitlab::{Data, FakeJob, job_doc};

/// Runs collected so far.
#[derive(Default)]
pub struct Runs {
    data: Data,
    ids: BTreeMap<String, u64>,
}

/// Returns all logs below a directory, in the order of their paths.
#[allow(dead_code, reason = "the demo reads its logs from a zip")]
pub fn logs_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(logs_below(&path));
        } else if path.extension().is_some_and(|e| e == "log") {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Runs {
    /// Adds one log. `place` is `<group>__<project>/<job>/<NNNNN>.log`, `document` the job where it was recorded.
    pub fn add(&mut self, place: &str, document: Option<&[u8]>, trace: Vec<u8>) {
        let mut parts = place.split('/');
        let (folder, job) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        let path = folder.replacen("__", "/", 1);
        let recorded: Option<Value> = document.map(|d| serde_json::from_slice(d).unwrap());
        let project = recorded.as_ref().and_then(|d| d["pipeline"]["project_id"].as_u64());
        let next = 1 + self.ids.len() as u64;
        let project = *self.ids.entry(folder.to_owned()).or_insert(project.unwrap_or(next));
        if !self.data.projects.contains_key(&project) {
            self.data = std::mem::take(&mut self.data).project(project, &path);
        }
        self.data.next_job += 1;
        let mut document =
            recorded.unwrap_or_else(|| job_doc(self.data.next_job, 1, job, "success"));
        let entry = json!({"file_type": "trace", "size": trace.len(), "filename": "job.log", "file_format": null});
        document["artifacts"] = json!([entry]);
        self.data.add_job(project, document, trace);
    }

    /// Returns the data, the newest job of which ended a few minutes before `now` where one is given.
    #[allow(dead_code, reason = "benchmarks keep the recorded times")]
    pub fn ending_at(mut self, now: jiff::Timestamp) -> Self {
        let jobs = || self.data.projects.values().flat_map(|p| p.jobs.values());
        let newest = jobs().filter_map(|job| time(&job.doc["finished_at"])).max();
        let Some(newest) = newest else { return self };
        let shift = now.duration_since(newest) - jiff::SignedDuration::from_mins(20);
        for FakeJob { doc, .. } in self.data.projects.values_mut().flat_map(|p| p.jobs.values_mut())
        {
            for key in ["created_at", "started_at", "finished_at"] {
                if let Some(time) = time(&doc[key]) {
                    doc[key] = json!((time + shift).to_string());
                }
            }
        }
        self
    }

    /// Returns what the server serves.
    pub fn into_data(self) -> Data {
        self.data
    }
}

fn time(value: &Value) -> Option<jiff::Timestamp> {
    value.as_str()?.parse().ok()
}
