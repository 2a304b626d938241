//! The house rules that a machine can check: imports go down only, and no room grows too large.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms of one layer know nothing of each other; each line may use only the lines below it.
const LAYERS: [&[&str]; 6] = [
    &["cli"],
    &["serve"],
    &["sync", "search", "export"],
    &["gitlab", "store", "trace", "artifact"],
    &["config"],
    &["model"],
];

/// A file over this owns too much.
const MAX_LINES: usize = 400;

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the room a source file belongs to, `None` for `lib.rs` and `main.rs`.
fn room(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    let room = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(room, "lib" | "main")).then(|| room.to_owned())
}

fn layer(room: &str) -> usize {
    let at = LAYERS.iter().position(|layer| layer.contains(&room));
    at.unwrap_or_else(|| panic!("the room `{room}` has no layer"))
}

/// Returns the rooms that a source names by `crate::ROOM`, tests left out.
fn uses(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap().split(',').map(str::trim).collect(),
            None => vec![rest],
        };
        for name in names {
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            found.push(name[..end].to_owned());
        }
    }
    found.retain(|name| LAYERS.iter().any(|layer| layer.contains(&name.as_str())));
    found
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let Some(own) = room(&path) else { continue };
        for other in uses(&fs::read_to_string(&path).unwrap()) {
            if other != own && layer(&other) <= layer(&own) {
                wrong.push(format!("{} uses {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_index_knows_neither_gitlab_nor_the_archive() {
    let manifest = fs::read_to_string(root().join("index/Cargo.toml")).unwrap();
    for crate_name in ["jobvault.", "reqwest", "sqlx", "tokio"] {
        assert!(!manifest.contains(crate_name), "the index depends on {crate_name}");
    }
}

#[test]
fn each_file_owns_little() {
    let mut long = Vec::new();
    for dir in ["src", "index", "tests", "examples"] {
        for path in sources(&root().join(dir)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > MAX_LINES {
                long.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn only_config_reads_the_environment_and_only_main_exits() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let source = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let is = |room: &str| name.starts_with(&format!("src/{room}"));
        if source.contains("std::env::var") && !is("config") {
            wrong.push(format!("{name} reads the environment"));
        }
        if source.contains("process::exit") && name != "src/main.rs" {
            wrong.push(format!("{name} exits"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
