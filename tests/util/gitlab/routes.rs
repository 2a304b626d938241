//! Which request gets which answer.
//!
//! Owns the routes and GitLab's rules for them: who may ask, what is found, what an action does.

use serde_json::{Value, json};

use super::artifacts;
use super::data::{Data, FakeJob, FakeProject, finished};
use super::lists::page;
use super::wire::{Answer, Request};

pub(super) fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, &json!({ "message": text }))
}

fn gone() -> Answer {
    message(404, "404 Not found")
}

/// Returns the token of a request, however it is sent.
pub(super) fn token(request: &Request) -> Option<&str> {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    bearer.or_else(|| request.header("private-token")).or_else(|| request.header("job-token"))
}

/// Returns whether a request bears the default token.
pub fn has_token(request: &Request) -> bool {
    token(request) == Some(super::TOKEN)
}

/// Answers a request and names its route.
pub fn answer(data: &mut Data, base: &str, request: &Request) -> (&'static str, Answer) {
    let path = request.path.strip_prefix("/api/v4/").unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let get = request.method == "GET";
    if let Some(path) = request.path.strip_prefix("/bucket/") {
        return ("storage", artifacts::storage(data, path, request));
    }
    let route = match (parts.as_slice(), get) {
        (["version"], true) => "version",
        (["user"], true) => "user",
        (["projects"], true) => "projects",
        (["groups", _, "projects"], true) => "group_projects",
        (["projects", _], true) => "project",
        (["projects", _, "jobs"], true) => "jobs",
        (["projects", _, "jobs", _], true) => "job",
        (["projects", _, "jobs", _, "trace"], true) => "trace",
        (["projects", _, "jobs", _, "artifacts"], true) => "artifacts",
        (["projects", _, "pipelines"], true) => "pipelines",
        (["projects", _, "pipelines", _], true) => "pipeline",
        (["projects", _, "pipelines", _, "jobs"], true) => "pipeline_jobs",
        (["projects", _, "pipelines", _, "bridges"], true) => "bridges",
        (["projects", _, "jobs", _, "cancel"], false) => "cancel",
        (["projects", _, "jobs", _, "retry"], false) => "retry",
        (["projects", _, "jobs", _, "erase"], false) => "erase",
        (["projects", _, "jobs", _, "play"], false) => "play",
        _ => {
            return ("unknown", Answer::json(404, &json!({"error": "404 Not Found"})));
        }
    };
    if token(request) != Some(&data.token) {
        return (route, message(401, "401 Unauthorized"));
    }
    (route, known(data, base, request, route, &parts))
}

fn known(data: &mut Data, base: &str, request: &Request, route: &str, parts: &[&str]) -> Answer {
    match route {
        "version" => return Answer::json(200, &data.version),
        "user" => return Answer::json(200, &data.user),
        "projects" | "group_projects" => {
            let inside = |doc: &Value| {
                let path = doc["path_with_namespace"].as_str().unwrap_or_default();
                route == "projects" || path.starts_with(&format!("{}/", decode(parts[1])))
            };
            let docs = data.projects.values().rev().map(|project| project.doc.clone());
            let keyset = data.keyset && route == "projects";
            return page(base, request, docs.filter(inside).collect(), keyset, !keyset);
        }
        _ => {}
    }
    let id = match find(data, parts[1]) {
        Found::Here(id) => id,
        Found::Moved(id) => return moved(base, request, parts, id),
        Found::Nowhere => return message(404, "404 Project Not Found"),
    };
    if request.method == "POST" {
        return act(data, id, parts[3].parse().unwrap_or(0), route, request);
    }
    if route == "artifacts" {
        return artifacts::archive(data, id, parts[3], request);
    }
    let keyset = data.keyset;
    let Some(project) = data.projects.get(&id) else {
        return gone();
    };
    read(project, base, request, route, parts, keyset)
}

enum Found {
    Here(u64),
    Moved(u64),
    Nowhere,
}

fn decode(part: &str) -> String {
    // Form decoding would take a plus for a space, which no path holds.
    let pair = format!("x={part}");
    url::form_urlencoded::parse(pair.as_bytes()).next().unwrap().1.into_owned()
}

fn find(data: &Data, part: &str) -> Found {
    let name = decode(part);
    let by_id = name.parse().ok().filter(|id| data.projects.contains_key(id));
    let is_here = |project: &FakeProject| project.doc["path_with_namespace"] == json!(name);
    let here = by_id.or_else(|| id_where(data, is_here));
    let moved = || id_where(data, |project| project.former.contains(&name));
    here.map(Found::Here).or_else(|| moved().map(Found::Moved)).unwrap_or(Found::Nowhere)
}

fn id_where(data: &Data, test: impl Fn(&FakeProject) -> bool) -> Option<u64> {
    data.projects.iter().find(|(_, project)| test(project)).map(|(id, _)| *id)
}

fn moved(base: &str, request: &Request, parts: &[&str], id: u64) -> Answer {
    if request.method != "GET" {
        return message(405, "405 Non GET methods are not allowed for moved projects");
    }
    let mut rest = vec![id.to_string()];
    rest.extend(parts[2..].iter().map(|part| (*part).to_owned()));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let query = query.extend_pairs(&request.query).finish();
    let mark = if query.is_empty() { "" } else { "?" };
    let to = format!("{base}/api/v4/projects/{}{mark}{query}", rest.join("/"));
    let text = format!("This resource has been moved permanently to {to}");
    let mut answer = Answer::new(301, "text/plain", text);
    answer.set("Location", to);
    answer
}

fn in_scope(request: &Request, doc: &Value) -> bool {
    let scope = [request.params("scope"), request.params("scope[]")].concat();
    scope.is_empty() || doc["status"].as_str().is_some_and(|status| scope.contains(&status))
}

fn read(
    project: &FakeProject,
    base: &str,
    request: &Request,
    route: &str,
    parts: &[&str],
    keyset: bool,
) -> Answer {
    let number = parts.get(3).and_then(|part| part.parse::<u64>().ok()).unwrap_or(0);
    let jobs = || project.jobs.values().rev().map(|job| job.doc.clone());
    let of_pipeline = |doc: &Value| doc["pipeline"]["id"] == json!(number);
    let job = project.jobs.get(&number);
    match route {
        "project" => Answer::json(200, &project.doc),
        "jobs" => {
            let all = jobs().filter(|doc| in_scope(request, doc)).collect();
            page(base, request, all, keyset, false)
        }
        "job" => job.map_or_else(gone, |job| Answer::json(200, &job.doc)),
        "trace" => job.map_or_else(gone, |job| trace(number, job)),
        "pipelines" => pipelines(project, base, request),
        _ if !project.pipelines.contains_key(&number) => gone(),
        "pipeline" => Answer::json(200, &project.pipelines[&number]),
        "bridges" => {
            let all = project.bridges.values().rev().filter(|doc| of_pipeline(doc));
            page(base, request, all.cloned().collect(), false, true)
        }
        _ => {
            let all = jobs().filter(|doc| of_pipeline(doc) && in_scope(request, doc));
            let retried = request.param("include_retried") == Some("true");
            let latest = |doc: &Value| retried || doc["retried"] != json!(true);
            page(base, request, all.filter(latest).collect(), false, true)
        }
    }
}

fn trace(id: u64, job: &FakeJob) -> Answer {
    let mut answer = Answer::new(200, "text/plain", job.trace.clone());
    answer.set("Content-Disposition", format!("infile; filename=\"{id}.log\""));
    answer
}

fn pipelines(project: &FakeProject, base: &str, request: &Request) -> Answer {
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let after = request.param("updated_after").and_then(time);
    let source = request.param("source");
    let wanted = |doc: &&Value| {
        let child = doc["source"] == json!("parent_pipeline");
        let by_source = source.map_or(!child, |source| doc["source"] == json!(source));
        by_source
            && after.is_none_or(|after| doc["updated_at"].as_str().and_then(time) > Some(after))
    };
    let mut all: Vec<_> = project.pipelines.values().rev().filter(wanted).cloned().collect();
    if request.param("order_by") == Some("updated_at") {
        all.sort_by_key(|doc| std::cmp::Reverse(doc["updated_at"].to_string()));
    }
    if request.param("sort") == Some("asc") {
        all.reverse();
    }
    page(base, request, all, false, true)
}

fn act(data: &mut Data, project: u64, id: u64, action: &str, request: &Request) -> Answer {
    let next = data.next_job;
    let Some(job) = data.projects.get_mut(&project).and_then(|p| p.jobs.get_mut(&id)) else {
        return gone();
    };
    let is_finished = finished(&job.doc);
    match action {
        "cancel" => {
            if !is_finished {
                job.doc["status"] = json!("canceled");
                job.doc["finished_at"] = json!("2026-01-02T03:05:07.200Z");
            }
            Answer::json(201, &job.doc)
        }
        "erase" if !is_finished || (job.trace.is_empty() && job.doc["artifacts"] == json!([])) => {
            message(403, "403 Forbidden - Job is not erasable!")
        }
        "erase" => {
            data.erase(project, id);
            Answer::json(201, &data.job_mut(project, id).doc)
        }
        "play" if job.doc["status"] != json!("manual") => {
            message(400, "400 Bad request - Unplayable Job")
        }
        "play" => {
            if !request.body.is_empty() {
                let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                job.doc["played_with"] = body["job_variables_attributes"].clone();
            }
            job.doc["status"] = json!("pending");
            Answer::json(200, &job.doc)
        }
        _ if !is_finished => message(403, "403 Forbidden - Job is not retryable"),
        _ => {
            job.doc["retried"] = json!(true);
            let mut doc = job.doc.clone();
            doc["id"] = json!(next);
            doc["status"] = json!("pending");
            doc["artifacts"] = json!([]);
            doc["retried"] = json!(false);
            data.next_job += 1;
            data.add_job(project, doc.clone(), Vec::new());
            Answer::json(201, &doc)
        }
    }
}
