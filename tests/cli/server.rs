//! The program against a server: what people see, exit codes, JSON for programs.

use serde_json::Value;

use super::{Home, Ran, ran};
use crate::sync::{PROJECT, log, server_with};
use crate::util::gitlab::{FakeGitLab, Fault, TOKEN, job_doc};

impl Home {
    pub(super) fn with_token(&self, args: &[&str]) -> Ran {
        ran(self.command(args).env("GITLAB_TOKEN", TOKEN).output().unwrap())
    }

    pub(super) fn synced(server: &FakeGitLab) -> Self {
        let home = Self::new();
        let sync = home.with_token(&["sync", "--host", server.url(), "group/project"]);
        assert_eq!(sync.code, 0, "{}", sync.stderr);
        home
    }

    fn raw(&self, job: &str) -> Vec<u8> {
        self.command(&["show", "--raw", job]).output().unwrap().stdout
    }
}

pub(super) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn sync_search_show_and_list_work_together() {
    let server = FakeGitLab::start(server_with(25));
    let home = Home::synced(&server);
    assert_eq!(home.raw("17"), log(17));
    let url = format!("{}/group/project/-/jobs/17", server.url());
    let plain = home.run(&["show", "--plain", &url]);
    assert_eq!(plain.stdout, "$ make 17\nunique-17 done\nJob succeeded\n");
    let found = home.run(&["search", "unique-17 done"]);
    assert_eq!((found.code, found.stdout.as_str()), (0, "17:2:unique-17 done\n"));
    let newest = home.run(&["search", "job succeeded", "--limit", "2"]);
    assert_eq!(newest.stdout, "25:3:Job succeeded\n24:3:Job succeeded\n");
    let counted = home.run(&["search", "--count", "--json", "Job succeeded"]);
    assert_eq!(lines(&counted.stdout)[0], serde_json::json!({"v":1,"lines":25,"jobs":25}));
    let nothing = home.run(&["search", "no log says this"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (1, ""));
    assert!(nothing.stderr.contains("25 logs"), "{}", nothing.stderr);
}

#[test]
fn json_has_the_promised_fields() {
    let server = FakeGitLab::start(server_with(3));
    let home = Home::new();
    let sync = home.with_token(&["sync", "--json", "--host", server.url(), "group/project"]);
    let stats = lines(&sync.stdout).pop().unwrap();
    for key in [
        "listed",
        "archived",
        "no_log",
        "erased",
        "forbidden",
        "truncated",
        "vanished",
        "pending",
        "requests",
        "retries",
        "raw_bytes",
        "stored_bytes",
        "seconds",
    ] {
        assert!(stats[key].is_number(), "{key} in {stats}");
    }
    assert_eq!((&stats["v"], &stats["failed"]), (&1.into(), &serde_json::json!([])));
    let hit = lines(&home.run(&["search", "--json", "unique-2 done"]).stdout).pop().unwrap();
    assert_eq!((&hit["v"], &hit["job"], &hit["line"]), (&1.into(), &2.into(), &2.into()));
    assert_eq!(hit["text"], "unique-2 done");
    assert_eq!(hit["ranges"], serde_json::json!([[0, 13]]));
    let (start, end) = (hit["raw"][0].as_u64().unwrap(), hit["raw"][1].as_u64().unwrap());
    assert_eq!(&log(2)[start as usize..end as usize], b"unique-2 done");
    assert_eq!(
        (&hit["project"], &hit["section"]),
        (&"group/project".into(), &"step_script".into())
    );
    let job = lines(&home.run(&["jobs", "--json", "--limit", "1"]).stdout).pop().unwrap();
    assert_eq!((&job["job"], &job["state"]), (&3.into(), &"archived".into()));
    assert_eq!(job["hash"], blake3::hash(&log(3)).to_hex().as_str());
    let status = lines(&home.run(&["status", "--json"]).stdout).pop().unwrap();
    assert_eq!((&status["jobs"], &status["states"]["archived"]), (&3.into(), &3.into()));
    let verify = lines(&home.run(&["verify", "--json"]).stdout).pop().unwrap();
    assert_eq!((&verify["checked"], &verify["damaged"]), (&3.into(), &serde_json::json!([])));
}

#[test]
fn some_failed_jobs_make_exit_3_and_are_named() {
    let server = FakeGitLab::start(server_with(3));
    // An answer that is final: the client does not repeat it.
    server.on("trace", 1, Fault::json(418, "{\"message\":\"a teapot\"}"));
    let home = Home::new();
    let args = ["sync", "--concurrency", "1", "--host", server.url(), "group/project"];
    let sync = home.with_token(&args);
    assert_eq!(sync.code, 3, "{}", sync.stderr);
    assert!(sync.stderr.contains('3') && sync.stderr.contains("418"), "{}", sync.stderr);
    assert_eq!(home.with_token(&args).code, 0, "the next run gets it");
    assert_eq!(home.raw("3"), log(3));
}

#[test]
fn a_project_that_is_not_there_says_what_that_usually_means() {
    let server = FakeGitLab::start(server_with(1));
    let home = Home::new();
    let sync = home.with_token(&["sync", "--host", server.url(), "group/other"]);
    assert_eq!(sync.code, 2, "{}", sync.stderr);
    assert!(sync.stderr.contains("404"), "{}", sync.stderr);
    assert!(sync.stderr.contains("hint: "), "{}", sync.stderr);
}

#[test]
fn a_wrong_token_and_a_page_instead_of_json_have_hints() {
    let server = FakeGitLab::start(server_with(1));
    let home = Home::new();
    let args = ["sync", "--host", server.url(), "group/project"];
    let wrong = ran(home.command(&args).env("GITLAB_TOKEN", "glpat-wrong").output().unwrap());
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.stderr.contains("401") || wrong.stderr.contains("refused the token"),
        "{}",
        wrong.stderr
    );
    assert!(
        wrong.stderr.contains("hint: ") && !wrong.stderr.contains("glpat-wrong"),
        "{}",
        wrong.stderr
    );
    server.on("*", 20, Fault::Html);
    let page = home.with_token(&args);
    assert_eq!(page.code, 2);
    assert!(page.stderr.contains("hint: "), "{}", page.stderr);
}

#[test]
fn a_running_job_is_listed_as_pending_and_has_no_log_to_show() {
    let mut data = server_with(1);
    data.add_job(PROJECT, job_doc(9, 1, "deploy", "running"), b"so far\n".to_vec());
    let server = FakeGitLab::start(data);
    let home = Home::synced(&server);
    let show = home.run(&["show", "9"]);
    assert_eq!((show.code, show.stdout.as_str()), (1, ""));
    assert!(show.stderr.contains("running"), "{}", show.stderr);
    assert!(home.run(&["jobs", "--state", "pending"]).stdout.contains("deploy"));
}

#[test]
fn control_bytes_of_a_log_reach_a_file_but_names_are_made_harmless() {
    let evil = b"\x1b]0;owned\x07title \x1b[31mred\x1b[0m\n".to_vec();
    let data = server_with(0).job(PROJECT, job_doc(4, 1, "na\x1b[2Jme", "success"), evil.clone());
    let home = Home::synced(&FakeGitLab::start(data));
    assert_eq!(home.raw("4"), evil);
    assert_eq!(home.run(&["show", "--plain", "4"]).stdout, "title red\n");
    let jobs = home.run(&["jobs"]);
    assert!(jobs.stdout.contains("na^[[2Jme"), "{}", jobs.stdout);
}

#[test]
fn a_damaged_pack_is_named_and_makes_verify_say_no() {
    let server = FakeGitLab::start(server_with(2));
    let home = Home::synced(&server);
    let archive = home.path().join(".local/share/jobvault");
    let pack = packs(&archive.join("packs")).pop().unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let verify = home.run(&["verify"]);
    assert_eq!(verify.code, 1, "{}", verify.stderr);
    let name = pack.file_stem().unwrap().to_str().unwrap();
    let said = format!("{}{}", verify.stdout, verify.stderr);
    assert!(said.contains(&name[..12]), "{said}");
}

#[test]
fn compacting_and_pruning_change_no_answer() {
    let server = FakeGitLab::start(server_with(40));
    let home = Home::synced(&server);
    let before = home.run(&["search", "--no-limit", "done"]).stdout;
    let archive = home.path().join(".local/share/jobvault");
    let stray = packs(&archive.join("packs")).remove(0);
    let bytes = std::fs::read(&stray).unwrap();
    let compacted = home.run(&["compact", "--grace", "0s", "--json"]);
    assert_eq!(compacted.code, 0, "{}", compacted.stderr);
    assert_eq!(lines(&compacted.stdout)[0]["traces"], 40);
    let again = home.run(&["compact", "--grace", "0s"]);
    assert!(again.stderr.contains("nothing to compact"), "{}", again.stderr);
    // As a crash leaves it: all that it holds stands elsewhere.
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(&stray, bytes).unwrap();
    std::fs::create_dir_all(archive.join("packs/00")).unwrap();
    let unknown = archive.join(format!("packs/00/{}.pack", "00".repeat(32)));
    std::fs::write(&unknown, "no crash leaves this").unwrap();
    let unasked = home.run(&["prune"]);
    assert_eq!(unasked.code, 2, "{}", unasked.stderr);
    assert!(unasked.stderr.contains("hint: ") && stray.exists(), "{}", unasked.stderr);
    let pruned = home.run(&["prune", "--yes"]);
    assert_eq!(pruned.code, 0);
    assert!(pruned.stderr.contains("it stays"), "{}", pruned.stderr);
    assert!(!stray.exists() && unknown.exists());
    assert_eq!(home.run(&["verify"]).code, 1);
    std::fs::remove_file(&unknown).unwrap();
    assert_eq!(home.run(&["search", "--no-limit", "done"]).stdout, before);
    assert_eq!((home.raw("7"), home.run(&["verify"]).code), (log(7), 0));
}

/// Returns the files of all packs.
pub(super) fn packs(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let folders = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    folders.flat_map(|f| std::fs::read_dir(f).unwrap().map(|e| e.unwrap().path())).collect()
}
