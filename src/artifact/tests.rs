#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "../../tests/util/zips.rs"]
mod zips;

use std::io::Cursor;

use proptest::prelude::*;

use self::zips::{Member, zip, zip_with};
use super::*;
use crate::model::{ArtifactEntry, ArtifactListing, EntryFlag};

fn listed(archive: &[u8]) -> ArtifactListing {
    read(&mut Cursor::new(archive)).unwrap()
}

fn unpack(archive: &[u8], entry: &ArtifactEntry) -> Result<Vec<u8>, MemberError> {
    let mut out = Vec::new();
    extract(&mut Cursor::new(archive), 0, entry, 1 << 20, &mut out).map(|()| out)
}

fn some() -> Vec<Member> {
    let stored = Member { deflate: false, descriptor: true, ..Member::new("a/b.txt", "text\n") };
    let wide = Member { wide: true, ..Member::new("wide.bin", vec![7; 100_000]) };
    vec![stored, Member { descriptor: true, ..Member::new("c.xml", "<x/>") }, wide]
}

#[test]
fn every_form_of_an_archive_is_listed_and_unpacked() {
    let comment = vec![b'x'; 65_535];
    let prefixed = [b"#!/bin/sh\nexit\n".to_vec(), zip(&some())].concat();
    let prefixed_64 = [b"#!".to_vec(), zip_with(&some(), true, b"")].concat();
    for archive in [
        zip(&some()),
        zip_with(&some(), true, b""),
        zip_with(&some(), true, b"note"),
        zip_with(&some(), false, &comment),
        prefixed,
        prefixed_64,
    ] {
        let listing = listed(&archive);
        assert_eq!(listing.bytes, archive.len() as u64);
        for (entry, member) in listing.entries.iter().zip(some()) {
            assert_eq!((entry.path.as_bytes(), entry.mode), (&member.name[..], member.mode));
            assert_eq!(entry.modified.unwrap().as_second(), 1_700_000_000);
            assert_eq!(
                (unpack(&archive, entry).unwrap(), &entry.flags[..]),
                (member.content, &[][..])
            );
        }
        assert_eq!(listing.entries.len(), 3);
    }
    assert!(listed(&zip(&[])).entries.is_empty());
}

#[test]
fn an_archive_made_by_another_program_is_read_alike() {
    use std::io::Write;
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    for i in 0..300 {
        writer.start_file(format!("dir/file-{i}"), options.large_file(i % 2 == 0)).unwrap();
        writer.write_all(format!("content {i}").repeat(i).as_bytes()).unwrap();
    }
    writer.add_directory("empty", options).unwrap();
    let archive = writer.finish().unwrap().into_inner();
    let mut listing = listed(&archive);
    assert_eq!(listing.entries.len(), 301);
    let checked = check(&mut Cursor::new(&archive), &mut listing);
    assert_eq!((checked.good, checked.bad, checked.unchecked), (300, 0, 0));
    assert!(listing.entries[300].is(EntryFlag::Directory));
}

#[test]
fn what_is_odd_is_flagged_and_never_unpacked_as_a_file() {
    use EntryFlag::{
        Absolute, Bomb, Climbs, Control, Directory, Duplicate, Encrypted, NoFile, NotUtf8,
    };
    let link = Member { mode: Some(0o120_777), ..Member::new("link", "/etc/passwd") };
    let cases = [
        (Member::new("../up", ""), vec![Climbs]),
        (Member::new("a\\..\\b", ""), vec![Climbs]),
        (Member::new("/etc/x", ""), vec![Absolute]),
        (Member::new("C:\\x", ""), vec![Absolute]),
        (Member::new("nul\0", ""), vec![Control]),
        (Member::new("\x1b[2J", ""), vec![Control]),
        (Member::new("same", "1"), vec![]),
        (Member::new("same", "2"), vec![Duplicate]),
        (Member::new(b"\xff.txt".to_vec(), ""), vec![NotUtf8]),
        (Member::new("dir/", ""), vec![Directory]),
        (link, vec![NoFile]),
        (Member { flags: 1, ..Member::new("secret", "") }, vec![Encrypted]),
        (Member { claims: Some((3 << 30, 0)), ..Member::new("bomb", "zero") }, vec![Bomb]),
    ];
    let members: Vec<Member> = cases.iter().map(|(member, _)| member.clone()).collect();
    let archive = zip(&members);
    let listing = listed(&archive);
    for (entry, (member, flags)) in listing.entries.iter().zip(cases) {
        assert_eq!(entry.flags, flags, "{}", entry.path);
        let unpacked = unpack(&archive, entry);
        assert_eq!(unpacked.is_ok(), entry.is_file(), "{}", entry.path);
        assert!(unpacked.is_err() || unpacked.unwrap() == member.content);
    }
    assert_eq!(listing.entries[8].path_hex.as_deref(), Some("ff2e747874"));
    let text = serde_json::to_string(&listing).unwrap();
    assert_eq!(serde_json::from_str::<ArtifactListing>(&text).unwrap(), listing);
}

#[test]
fn entries_that_share_their_bytes_are_a_bomb() {
    let mut archive = zip(&[Member::new("a", "x"), Member::new("b", "y")]);
    let second = archive.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    archive[second + 42..second + 46].fill(0);
    let listing = listed(&archive);
    assert!(listing.entries[1].is(EntryFlag::Bomb) && !listing.entries[0].is(EntryFlag::Bomb));
}

#[test]
fn wrong_lengths_and_crcs_are_found_and_bound_what_is_written() {
    let long = Member { claims: Some((10, 0)), ..Member::new("long", vec![1; 1 << 20]) };
    let crc = Member { claims: Some((4, 1)), ..Member::new("crc", "text") };
    let short = Member { claims: Some((100, 1)), ..Member::new("short", "text") };
    let archive = zip(&[long, crc, short, Member::new("good", "text")]);
    let mut listing = listed(&archive);
    let mut out = Vec::new();
    let result = extract(&mut Cursor::new(&archive), 0, &listing.entries[0], 1 << 30, &mut out);
    assert!(matches!(result, Err(MemberError::Length(10))) && out.len() <= 10);
    assert!(matches!(unpack(&archive, &listing.entries[1]), Err(MemberError::Crc)));
    assert!(matches!(unpack(&archive, &listing.entries[2]), Err(MemberError::Length(100))));
    let mut cursor = Cursor::new(&archive);
    let over = extract(&mut cursor, 0, &listing.entries[3], 3, &mut Vec::new());
    assert!(matches!(over, Err(MemberError::TooLarge(3))));
    let checked = check(&mut Cursor::new(&archive), &mut listing);
    assert_eq!((checked.good, checked.bad), (1, 3));
    assert!(listing.entries[0].is(EntryFlag::Damaged), "{:?}", checked.first);
}

#[test]
fn a_directory_that_lies_is_refused() {
    let good = zip(&some());
    let end = good.len() - 22;
    let lie = |at: usize, value: &[u8]| {
        let mut bad = good.clone();
        bad[end + at..end + at + value.len()].copy_from_slice(value);
        read(&mut Cursor::new(bad)).unwrap_err().to_string()
    };
    assert!(lie(10, &[9, 0]).contains("entries"));
    assert!(lie(12, &[255, 255, 255, 127]).contains("length"));
    assert!(lie(16, &[255, 255, 255, 127]).contains("place"));
    assert!(lie(0, b"nope").contains("no zip"));
    assert!(lie(4, &[1, 0]).contains("many parts"));
    for len in 0..good.len() {
        assert!(read(&mut Cursor::new(&good[..len])).is_err(), "cut at {len}");
    }
}

#[test]
fn reports_are_told_by_type_and_name() {
    let types = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let none = types(&[]);
    for path in ["reports/junit.xml", "target/TEST-a.xml", "gl-sast-report.json", "a/x.sarif"] {
        assert!(is_report(path, &none), "{path}");
    }
    for path in ["pom.xml", "package.json", "app.bin", "notes.env", "junit.xml/core"] {
        assert!(!is_report(path, &none), "{path}");
    }
    assert!(is_report("out.xml", &types(&["junit"])) && is_report("vars.env", &types(&["dotenv"])));
}

proptest! {
    #[test]
    fn hostile_archives_never_panic(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        zip64: bool,
    ) {
        let mut archive = zip_with(&some(), zip64, b"");
        for (at, byte) in flips {
            let len = archive.len();
            archive[at.index(len)] = byte;
        }
        if let Ok(mut listing) = read(&mut Cursor::new(&archive)) {
            check(&mut Cursor::new(&archive), &mut listing);
        }
    }

    #[test]
    fn noise_is_no_archive(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&mut Cursor::new(bytes));
    }
}
