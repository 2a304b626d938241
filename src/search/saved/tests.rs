//! What people wrote stays, and what cannot be meant is told with its line.
#![allow(clippy::unwrap_used)] // A test states what must hold.

use super::*;

const TEXT: &str = "\
# Ours.

# Comes with big merge requests.
[oom]  # of the runners
query = \"out of memory status:failed\"
tags = [\"known\", \"infra\"]
note = '''
[not-a-table]
'''

# About the network.
[net]
regexp = [\"reset|refused\"]
case = \"ignore\"
";

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("searches.toml");
    fs::write(&path, text).unwrap();
    (dir, path)
}

#[test]
fn entries_come_in_the_order_of_the_file() {
    let (_dir, path) = file(TEXT);
    let file = SavedFile::read(&path).unwrap();
    let names: Vec<&str> = file.searches().iter().map(|saved| saved.name.as_str()).collect();
    assert_eq!(names, ["oom", "net"]);
    let oom = file.get("oom").unwrap();
    assert_eq!(oom.query, ["out of memory status:failed"]);
    assert!(oom.has_tag(&["infra".into()]) && oom.has_tag(&[]) && !oom.has_tag(&["x".into()]));
    let net = file.get("net").unwrap().query(None).unwrap();
    assert!(net.terms[0].ignore_case);
    assert!(matches!(file.get("no"), Err(SavedError::Unknown { .. })));
}

#[test]
fn adding_and_removing_keep_what_people_wrote() {
    let (_dir, path) = file(TEXT);
    let mut file = SavedFile::read(&path).unwrap();
    let saved = Saved {
        name: "new".into(),
        query: vec!["say \"hi\" \\ \u{7f}\u{1b} é".into()],
        fixed: vec!["--- FAIL".into()],
        case: CaseRule::Sensitive,
        same_line: true,
        tags: vec!["known".into()],
        note: "two\nlines".into(),
        ..Saved::default()
    };
    file.add(saved.clone()).unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with(TEXT));
    assert_eq!(SavedFile::read(&path).unwrap().get("new").unwrap(), &saved);
    assert!(matches!(file.add(saved), Err(SavedError::Exists { .. })));
    file.remove("new").unwrap();
    file.remove("oom").unwrap();
    let left = fs::read_to_string(&path).unwrap();
    let expected = format!("# Ours.\n\n{}\n", &TEXT[TEXT.find("# About").unwrap()..]);
    assert_eq!(left.trim_end(), expected.trim_end());
    assert!(matches!(file.remove("oom"), Err(SavedError::Unknown { .. })));
}

#[test]
fn a_new_file_begins_with_what_may_stand_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("searches.toml");
    let mut file = SavedFile::read(&path).unwrap();
    assert!(file.searches().is_empty());
    let saved =
        |name: &str| Saved { name: name.into(), query: vec!["x".into()], ..Saved::default() };
    file.add(saved("a")).unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with("# Saved searches"));
    for name in ["", "a b", "a.b", "é", &"x".repeat(65)] {
        assert!(matches!(file.add(saved(name)), Err(SavedError::Name { .. })), "{name}");
    }
    file.remove("a").unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with("# Saved searches"), "it stays");
}

#[test]
fn what_cannot_be_meant_is_told_with_its_line() {
    let wrong = [
        ("[a]\nquerry = \"x\"\n", 2, "unknown key"),
        ("[a]\nquery = 3\n", 2, "a text or a list of texts"),
        ("\n[a]\ntags = [\"x\"]\n", 2, "no query"),
        ("[a\n", 1, ""),
        ("query = \"x\"\n", 1, ""),
    ];
    for (text, wanted, words) in wrong {
        let (_dir, path) = file(text);
        match SavedFile::read(&path).unwrap_err() {
            SavedError::File { line, message, .. } => {
                assert_eq!(line, wanted, "{text}: {message}");
                assert!(message.contains(words), "{text}: {message}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_file_that_is_written_strangely_is_left_alone() {
    let text = "a = { query = \"x\" }\nb.query = \"y\"\nb.note = \"z\"\n";
    let (_dir, path) = file(text);
    let mut file = SavedFile::read(&path).unwrap();
    file.remove("a").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "b.query = \"y\"\nb.note = \"z\"\n");
    let strange = "x = { query = \"x\" }\n";
    fs::write(&path, strange).unwrap();
    let mut file = SavedFile::read(&path).unwrap();
    let saved = Saved { name: "n".into(), query: vec!["q".into()], ..Saved::default() };
    file.add(saved).unwrap();
    assert_eq!(SavedFile::read(&path).unwrap().searches().len(), 2);
}
