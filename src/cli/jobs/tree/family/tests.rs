use super::*;
use crate::model::TraceState;

fn job(id: u64, pipeline: u64, stage: &str, name: &str) -> JobRow {
    JobRow {
        project_path: "group/project".to_owned(),
        pipeline: Some(PipelineId(pipeline)),
        name: name.to_owned(),
        stage: stage.to_owned(),
        status: "success".to_owned(),
        git_ref: "main".to_owned(),
        state: TraceState::Archived,
        ..JobRow::bare(JobId(id))
    }
}

fn bridge(id: u64, pipeline: u64, to: (u64, u64)) -> JobRow {
    let downstream = Some((ProjectId(to.0), PipelineId(to.1)));
    JobRow { bridge: true, downstream, ..job(id, pipeline, "deploy", &format!("start {id}")) }
}

fn family(jobs: Vec<JobRow>) -> Family {
    let mut family = Family { root: PipelineId(1), ..Family::default() };
    for job in jobs {
        family.pipelines.entry(job.pipeline.unwrap_or_default()).or_default().push(job);
    }
    family
}

/// Writes a line as its depth and what it is of.
fn drawn(family: &Family) -> Vec<String> {
    let line = |entry: Entry<'_>| match entry {
        Entry::Pipeline { depth, id, jobs } => format!("{depth} pipeline {id} of {}", jobs.len()),
        Entry::Stage { depth, name, .. } => format!("{depth} {name}"),
        Entry::Job(JobEntry { depth, row, retried_as: Some(by), .. }) => {
            format!("{depth} #{} retried as {by}", row.id)
        }
        Entry::Job(JobEntry { depth, row, started_by: Some(by), .. }) => {
            format!("{depth} #{} by {by}", row.id)
        }
        Entry::Job(JobEntry { depth, row, .. }) => format!("{depth} #{}", row.id),
        Entry::Absent { depth, project, pipeline } => format!("{depth} {project}/{pipeline}?"),
    };
    family.entries().into_iter().map(line).collect()
}

#[test]
fn a_tree_has_stages_in_their_order_and_marks_what_was_retried() {
    let family = family(vec![
        job(9, 1, ".post", "clean"),
        job(10, 1, "build", "compile"),
        job(11, 1, "build", "lint"),
        job(12, 1, "test", "unit"),
        job(20, 1, "build", "compile"),
    ]);
    assert_eq!(
        drawn(&family),
        [
            "0 pipeline 1 of 4",
            "1 build",
            "2 #10 retried as 20",
            "2 #20",
            "2 #11",
            "1 test",
            "2 #12",
            "1 .post",
            "2 #9"
        ]
    );
}

#[test]
fn what_a_bridge_started_stands_under_it_and_circles_end() {
    let family = family(vec![
        bridge(10, 1, (1, 2)),
        bridge(11, 1, (9, 99)),
        job(30, 2, "test", "unit"),
        bridge(31, 2, (1, 1)),
    ]);
    assert_eq!(
        drawn(&family),
        [
            "0 pipeline 1 of 2",
            "1 deploy",
            "2 #10",
            "3 pipeline 2 of 2",
            "4 test",
            "5 #30 by 10",
            "4 deploy",
            "5 #31 by 10",
            "2 #11",
            "3 9/99?",
        ]
    );
}
