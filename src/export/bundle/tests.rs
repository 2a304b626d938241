#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::io::Cursor;

use super::*;

fn files(zip: Vec<u8>) -> zip::ZipArchive<Cursor<Vec<u8>>> {
    zip::ZipArchive::new(Cursor::new(zip)).unwrap()
}

fn text(zip: &mut zip::ZipArchive<Cursor<Vec<u8>>>, name: &str) -> String {
    let mut text = String::new();
    io::Read::read_to_string(&mut zip.by_name(name).unwrap(), &mut text).unwrap();
    text
}

#[test]
fn hostile_names_stay_in_their_folder() {
    let of = |name: &str| directory(JobId(7), name);
    assert_eq!(of("build"), "7-build");
    assert_eq!(of("../../etc/passwd"), "7-etc_passwd");
    assert_eq!(of("/"), "7");
    assert_eq!(of(""), "7");
    assert_eq!(of("..."), "7");
    assert_eq!(of("a\\b\0c\n\"d"), "7-a_b_c_d");
    assert_eq!(of("test: [3.12, µ]"), "7-test_3.12");
    assert_eq!(of("CON."), "7-CON");
    assert!(of(&"ä/".repeat(9000)).len() < 100);
    assert!(of(&"x".repeat(9000)).len() < 100);
}

#[test]
fn a_time_no_zip_file_knows_is_the_first() {
    let of = |text: &str| stamp(Some(text.parse().unwrap())).to_string();
    assert_eq!(of("2026-02-28T23:59:59.9Z"), "2026-02-28 23:59:58");
    assert_eq!(of("1970-01-01T00:00:00Z"), "1980-01-01 00:00:00");
    assert_eq!(of("9999-01-01T00:00:00Z"), "1980-01-01 00:00:00");
    assert_eq!(stamp(None).to_string(), "1980-01-01 00:00:00");
}

#[test]
fn an_empty_bundle_is_one() {
    let host = Some("https://gitlab.example.com".to_owned());
    let options = BundleOptions { host, ..BundleOptions::default() };
    let (zip, done) = Bundle::new(Vec::new(), &options).unwrap().finish().unwrap();
    assert_eq!(done.bytes, zip.len() as u64);
    let mut zip = files(zip);
    let manifest: Value = serde_json::from_str(&text(&mut zip, MANIFEST)).unwrap();
    assert_eq!(manifest["jobs"], json!([]));
    assert_eq!(manifest["host"], "https://gitlab.example.com");
    assert_eq!(text(&mut zip, SUMS).lines().count(), 1);
}

#[test]
fn more_members_than_a_plain_zip_file_can_count_are_no_limit() {
    let mut bundle = Bundle::new(Vec::new(), &BundleOptions::default()).unwrap();
    for n in 0..70_000 {
        let path = format!("{n}/job.json");
        let content = Content { bytes: 2, gzip: true };
        let written = bundle.member(&path, stamp(None), content, |out| Ok(out.write_all(b"{}")?));
        assert!(written.is_ok());
    }
    let (zip, _) = bundle.finish().unwrap();
    assert_eq!(files(zip).len(), 70_002);
}

/// Counts and throws away.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
#[ignore = "writes more than 4 GiB; .ci/long runs it"]
fn a_log_over_four_gigabytes_fits() {
    let mut bundle = Bundle::new(Count(0), &BundleOptions::default()).unwrap();
    let piece = vec![b'x'; 1 << 20];
    for gzip in [false, true] {
        let content = Content { bytes: 4200 << 20, gzip };
        let path = format!("1/raw-{gzip}.log");
        let written = bundle.member(&path, stamp(None), content, |out| {
            (0..4200).try_for_each(|_| Ok(out.write_all(&piece)?))
        });
        let written = written.unwrap_or_else(|_| panic!("the member was refused"));
        assert_eq!(written.content.unwrap_or(written.sums).bytes, 4200 << 20);
    }
    assert!(bundle.finish().is_ok());
}

/// Takes so many bytes, then fails.
struct Failing(usize);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_fails_at_any_point_is_an_error() {
    let whole = Bundle::new(Vec::new(), &BundleOptions::default()).unwrap().finish().unwrap().0;
    for room in 0..whole.len() {
        let bundle = Bundle::new(Failing(room), &BundleOptions::default());
        let failed = bundle.and_then(Bundle::finish).err().unwrap();
        assert!(matches!(failed, BundleError::Write(e) if e.kind() == io::ErrorKind::StorageFull));
    }
}

#[test]
fn a_bundle_that_is_given_up_does_not_look_whole() {
    let mut out = Vec::new();
    let mut bundle = Bundle::new(&mut out, &BundleOptions::default()).unwrap();
    let content = Content::plain(2);
    let _ = bundle.member("1/job.json", stamp(None), content, |out| Ok(out.write_all(b"{}")?));
    drop(bundle);
    assert!(zip::ZipArchive::new(Cursor::new(out)).is_err());
}
