//! The engine: that it misses nothing, survives its process, and says what is wrong with it.
#![allow(clippy::unwrap_used, reason = "a failed test may panic")]

mod newest;

use proptest::prelude::*;

use super::*;
use crate::query::{Case, Query};
use crate::sample::{self, oracle};

fn query(args: &[&str]) -> Query {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Query::parse(&args, Case::Smart).unwrap()
}

fn document(job: u64, trace: u64, frame: u32, text: &str) -> Document<'_> {
    Document { job, trace, frame, text: text.as_bytes() }
}

/// An index of the documents, with a commit after each so many.
fn index(dir: &Path, documents: &[Document<'_>], each: usize) -> Index {
    let index = Index::create(dir).unwrap();
    let mut writer = index.writer().unwrap();
    let mut through = 0;
    for commit in documents.chunks(each) {
        for document in commit {
            writer.add(*document).unwrap();
            through = through.max(document.trace);
        }
        writer.commit(through).unwrap();
    }
    writer.finish().unwrap();
    index.reload().unwrap();
    index
}

fn found(index: &Index, args: &[&str]) -> Vec<(u64, u32, u64)> {
    let found = index.candidates(&query(args), &|_| true).unwrap();
    found.list.iter().map(|found| (found.trace, found.frame, found.terms)).collect()
}

#[test]
fn candidates_are_whole_logs_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let documents = [
        document(1, 10, 0, "error one\n"),
        document(1, 10, 1, "warning two\n"),
        document(2, 11, 0, "error one\n"),
        document(3, 12, 0, "nothing\n"),
        document(2, 13, 0, "warning\n"),
    ];
    for each in [1, 2, 5] {
        let dir = folder.path().join(each.to_string());
        let index = index(&dir, &documents, each);
        assert_eq!(index.through(), 13);
        assert_eq!(found(&index, &["error"]), [(11, 0, 1), (10, 0, 1)]);
        assert_eq!(found(&index, &["error", "warning"]), [(10, 0, 1), (10, 1, 2)]);
        assert_eq!(found(&index, &["error", "-warning"]), [(11, 0, 1), (10, 0, 1), (10, 1, 2)]);
        assert_eq!(found(&index, &["nothing OR two"]), [(12, 0, 1), (10, 1, 2)]);
        assert_eq!(found(&index, &["-error"]), [(11, 0, 1), (10, 0, 1)]);
        assert_eq!(found(&index, &["warning", "job:x"]), [(13, 0, 1), (10, 1, 1)]);
        assert_eq!(found(&index, &["/.*/"]).len(), 5);
        assert!(found(&index, &[]).is_empty());
        let allowed = index.candidates(&query(&["error"]), &|job| job == 1).unwrap();
        assert_eq!(allowed.list.len(), 1);
        assert_eq!((allowed.documents, allowed.terms[0].documents), (5, 2));
        assert!(index.bytes().unwrap() > 0);
        assert!(index.verify().unwrap().is_empty());
    }
}

#[test]
fn a_document_that_could_not_be_read_is_a_candidate_for_everything() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path()).unwrap();
    for trace in 1..4 {
        let mut writer = index.writer().unwrap();
        writer.add(document(trace, trace, 0, "error one\n")).unwrap();
        if trace == 2 {
            writer.add_unread(trace, trace, 1).unwrap();
        }
        writer.commit(trace).unwrap();
        writer.finish().unwrap();
    }
    index.reload().unwrap();
    for merged in [false, true] {
        assert_eq!(found(&index, &["two words"]), [(2, 1, 1)], "merged: {merged}");
        assert_eq!(found(&index, &["none", "error"]), [(2, 0, 2), (2, 1, 3)]);
        assert_eq!(found(&index, &["/a.*z/"]), [(2, 1, 1)]);
        assert!(found(&index, &["-error"]).contains(&(2, 1, 1)));
        assert_eq!(found(&index, &["error"]).len(), 4);
        let mut writer = index.writer().unwrap();
        writer.merge().unwrap();
        writer.finish().unwrap();
        index.reload().unwrap();
    }
}

#[test]
fn a_document_added_twice_is_one_candidate() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path(), &[document(1, 1, 0, "a\n"), document(1, 1, 0, "a\n")], 1);
    assert_eq!(found(&index, &["a"]), [(1, 0, 1)]);
}

#[test]
fn what_is_not_committed_is_lost_and_the_rest_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    drop(index(folder.path(), &[document(1, 7, 0, "kept\n")], 1));
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.through(), 7);
    let mut writer = index.writer().unwrap();
    assert!(matches!(index.writer(), Err(Error::Locked { .. })));
    writer.add(document(2, 8, 0, "lost\n")).unwrap();
    drop(writer);
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.through(), 7);
    assert_eq!(found(&index, &["/kept|lost/"]), [(7, 0, 1)]);
}

#[test]
fn segments_are_merged_and_their_flat_files_follow() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..60).map(|n| format!("word{n} common abcdef{n}\n")).collect();
    let documents: Vec<Document<'_>> =
        (1..).zip(&texts).map(|(n, text)| document(n, n, 0, text)).collect();
    let index = index(folder.path(), &documents, 1);
    let segments = index.candidates(&query(&["common"]), &|_| true).unwrap().segments;
    assert!(segments < 20, "{segments} segments");
    let files = fs::read_dir(folder.path().join(FOLDER)).unwrap().count();
    assert_eq!(files, segments);
    assert_eq!(found(&index, &["ommo"]).len(), 60);
    // Without the files the answer is the same.
    fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(found(&index, &["OMMO OR ommo"]).len(), 60);
    assert_eq!(found(&index, &["cdef59"]), [(60, 0, 1)]);
}

#[test]
fn merging_leaves_one_segment_and_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..5).map(|n| format!("word{n} common\n")).collect();
    let documents: Vec<Document<'_>> =
        (1..).zip(&texts).map(|(n, text)| document(n, n, 0, text)).collect();
    let index = index(folder.path(), &documents, 1);
    let before = (found(&index, &["common"]), found(&index, &["ord3"]));
    let mut writer = index.writer().unwrap();
    assert!(writer.merge().unwrap());
    assert!(!writer.merge().unwrap());
    let postings = |path: &PathBuf| path.extension().is_some_and(|e| e == "idx");
    let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(files.filter(postings).count(), 1);
    writer.finish().unwrap();
    let index = Index::open(folder.path()).unwrap();
    assert_eq!(index.candidates(&query(&["common"]), &|_| true).unwrap().segments, 1);
    assert_eq!((found(&index, &["common"]), found(&index, &["ord3"])), before);
    assert_eq!(index.through(), 5);
}

/// Waits for a future, which some other thread makes ready.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(done) => return done,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn settling_leaves_few_segments_and_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..8).map(|n| format!("word{n} common\n")).collect();
    let documents: Vec<Document<'_>> =
        (1..).zip(&texts).map(|(n, text)| document(n, n, 0, text)).collect();
    let index = index(folder.path(), &documents[..6], 1);
    let segments = |index: &Index| index.find(&query(&["common"]), Reading::All).unwrap().segments;
    assert!(segments(&index) > 1);
    assert!(wait(index.settle()).unwrap());
    assert_eq!((segments(&index), found(&index, &["common"]).len()), (1, 6));
    assert!(!wait(index.settle()).unwrap());
    let mut writer = index.writer().unwrap();
    writer.add(documents[6]).unwrap();
    writer.commit(7).unwrap();
    writer.finish().unwrap();
    assert!(!wait(index.settle()).unwrap(), "one document is not worth moving six");
    index.reload().unwrap();
    assert_eq!((segments(&index), index.through()), (2, 7));
    assert_eq!(found(&index, &["ord6"]), [(7, 0, 1)]);
}

#[test]
fn settling_given_up_half_way_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..8).map(|n| format!("word{n} common\n")).collect();
    let documents: Vec<Document<'_>> =
        (1..).zip(&texts).map(|(n, text)| document(n, n, 0, text)).collect();
    let index = index(folder.path(), &documents[..6], 1);
    {
        let mut settling = std::pin::pin!(index.settle());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // Whether it is over by now or not, nobody waits for it any more.
        let _ = settling.as_mut().poll(&mut context);
    }
    let mut writer = index.writer().unwrap();
    writer.add(documents[6]).unwrap();
    writer.commit(7).unwrap();
    writer.finish().unwrap();
    wait(index.settle()).unwrap();
    index.reload().unwrap();
    assert_eq!((found(&index, &["common"]).len(), index.through()), (7, 7));
    assert_eq!(index.verify().unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn what_is_wrong_with_an_index_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    assert!(matches!(Index::open(&dir), Err(Error::Missing { .. })));
    drop(index(&dir, &[document(1, 1, 0, "a\n")], 1));
    assert!(matches!(Index::create(&dir), Err(Error::Exists { .. })));
    fs::write(dir.join(VERSION_FILE), "99\n").unwrap();
    assert!(matches!(Index::open(&dir), Err(Error::Version { .. })));
    fs::write(dir.join(VERSION_FILE), "x").unwrap();
    assert!(matches!(Index::open(&dir), Err(Error::Damaged { .. })));
    fs::write(dir.join(VERSION_FILE), format!("{VERSION}\n")).unwrap();
    let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = names.filter(|path| path.is_file()).collect();
    for path in files {
        let whole = fs::read(&path).unwrap();
        let engine = path.extension().is_some() && !path.ends_with(META_FILE);
        for damaged in [vec![], whole[..whole.len() / 2].to_vec()] {
            fs::write(&path, damaged).unwrap();
            // Whatever the damage, the outcome is a value, and damage to a segment is found.
            if let Ok(index) = Index::open(&dir) {
                let _ = index.candidates(&query(&["a"]), &|_| true);
                let lock = path.to_string_lossy().ends_with(".lock");
                assert!(!engine || lock || !index.verify().is_ok_and(|found| found.is_empty()));
            }
        }
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(found(&Index::open(&dir).unwrap(), &["a"]), [(1, 0, 1)]);
}

#[test]
fn a_flipped_bit_is_told_or_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    let text: String = (0..300).map(|n| format!("w{n}x id{n}{n:08x} v8Xq{n}LmN0pRt\n")).collect();
    let documents =
        [document(700, 1, 0, &text), document(701, 2, 0, "w7x\n"), document(702, 3, 1, &text)];
    drop(index(&dir, &documents, 1));
    let sought = ["w7x", "w299x", "7x", "LmN0", "0000002a"];
    let ask = || -> Result<(u64, Vec<_>), Error> {
        let index = Index::open(&dir)?;
        let ask =
            |text: &&str| index.candidates(&query(&[text]), &|_| true).map(|found| found.list);
        Ok((index.through(), sought.iter().map(ask).collect::<Result<_, Error>>()?))
    };
    let right = ask().unwrap();
    assert_eq!(right.1.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 3, 2, 2]);
    let files = [dir.clone(), dir.join(FOLDER)].map(|dir| fs::read_dir(dir).unwrap());
    let files = files.into_iter().flatten().map(|entry| entry.unwrap().path());
    for path in files.filter(|path| path.is_file()) {
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(1 + whole.len() / 500) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            if let Ok(found) = ask() {
                assert_eq!(found, right, "byte {at} of {}", path.display());
            }
        }
        fs::write(&path, whole).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_read_only_index_opens() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    drop(index(&dir, &[document(1, 1, 0, "a\n")], 1));
    let lock = dir.join(".tantivy-meta.lock");
    let _ = fs::remove_file(lock);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o500)).unwrap();
    assert_eq!(found(&Index::open(&dir).unwrap(), &["a"]), [(1, 0, 1)]);
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
}

proptest! {
    // Each case writes an index: fewer of them do, and the variable raises both.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(8)))]
    #[test]
    fn every_document_with_a_line_is_a_candidate(
        texts in sample::texts(),
        wanted in prop::collection::vec((sample::sought(), sample::case()), 1..30),
        each in 1usize..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let documents: Vec<Document<'_>> = (1u64..)
            .zip(&texts)
            .map(|(n, text)| Document { job: n, trace: n, frame: 0, text })
            .collect();
        let index = index(folder.path(), &documents, each);
        for (sought, case) in &wanted {
            let Some(query) = sample::query(sought, &texts, *case) else { continue };
            let found = index.candidates(&query, &|_| true).unwrap();
            for document in &documents {
                if !oracle(&query, document.text).is_empty() {
                    let candidate = found.list.iter().find(|found| found.trace == document.trace);
                    prop_assert_eq!(candidate.map(|found| found.terms), Some(1), "{:?}", query);
                }
            }
        }
    }
}

#[test]
fn a_slip_of_the_finger_finds_the_word_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let documents = [
        document(1, 1, 0, "Connection refused by peer\n"),
        document(2, 2, 0, "connection timeout\n"),
        document(3, 3, 0, "connections 1f2e3d4c5b\n"),
    ];
    let index = index(folder.path(), &documents, 1);
    let near = |text: &str| -> Vec<String> {
        let near = index.near(&query(&[text])).unwrap();
        let words = near.into_iter().flat_map(|near| {
            near.instead.into_iter().map(|s| format!("{}:{}", s.word, s.documents))
        });
        words.collect()
    };
    assert_eq!(near("conection refsued"), ["Connection:1", "connection:1", "refused:1"]);
    assert_eq!(near("Timeout"), ["timeout:1"], "only the case is another");
    assert!(near("onnectio").is_empty(), "it occurs");
    assert!(near("1f2e3d4c5a").is_empty() && near("/conection/").is_empty());
    assert!(near("zzzzzzzzzz").is_empty() && near("-\"conection\"").is_empty());
}

#[test]
fn a_damaged_dictionary_is_told_where_the_flat_one_would_be_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<String> = (0..200).map(|n| format!("word{n} common{n}x\n")).collect();
    let documents: Vec<Document<'_>> =
        (1..).zip(&texts).map(|(n, text)| document(n, n, 0, text)).collect();
    drop(index(folder.path(), &documents, 200));
    fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();
    let is_dictionary = |path: &PathBuf| path.extension().is_some_and(|e| e == DICTIONARY);
    let mut files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let path = files.find(is_dictionary).unwrap();
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len() - 200).step_by(11) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        let opened = Index::open(folder.path());
        let found = opened.and_then(|index| index.find(&query(&["ommon"]), Reading::All));
        assert!(matches!(found, Err(Error::Damaged { .. })), "byte {at}: {found:?}");
    }
}
