#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::*;
use proptest::prelude::*;

fn joined(stamps: &[u8], body: &[u8], room: usize) -> Option<Vec<u8>> {
    let mut out = b"before".to_vec();
    join(stamps, body, room, &mut out)?;
    Some(out.split_off(b"before".len()))
}

fn comes_back(piece: &[u8]) -> Split {
    let split = split(piece).expect("most lines have a stamp");
    assert_eq!(joined(&split.stamps, &split.body, piece.len()).unwrap(), piece);
    split
}

#[test]
fn stamps_take_a_few_bytes_and_come_back() {
    let mut piece = String::new();
    for i in 0..1000 {
        piece.push_str(&format!("2024-02-29T23:59:{:02}.{:06}Z 00O line {i}\n", i / 20, i * 7));
    }
    let split = comes_back(piece.as_bytes());
    assert!(split.stamps.len() < 4000, "{} bytes", split.stamps.len());
    assert!(split.body.starts_with(b"line 0\nline 1\n"));
}

#[test]
fn bare_lines_continued_lines_and_an_end_without_text_come_back() {
    let stamp = "2021-01-31T01:02:03.020010Z 0fE+";
    comes_back(
        format!("bare\n{stamp}a\n{stamp}b\n\n{stamp}\n{stamp}c\n{stamp}d\n{stamp}").as_bytes(),
    );
    comes_back(format!("{stamp}\r\n{stamp}\n{stamp}\n{stamp}no end").as_bytes());
}

#[test]
fn what_would_not_come_back_is_left_as_it_is() {
    let day = "2021-02-30T01:02:03.020010Z 00O x\n".repeat(9);
    assert_eq!(split(day.as_bytes()), None);
    let minute = "2021-02-20T01:62:03.020010Z 00O x\n".repeat(9);
    assert_eq!(split(minute.as_bytes()), None);
    let few = format!("2021-02-20T01:02:03.020010Z 00O x\n{}", "y\n".repeat(9));
    assert_eq!(split(few.as_bytes()), None);
    let upper = "2021-02-20T01:02:03.020010Z 0FO x\n".repeat(9);
    assert_eq!(split(upper.as_bytes()), None);
}

#[test]
fn days_are_those_of_the_calendar() {
    for day in (-719_468..2_932_896).step_by(13) {
        let (year, month, date) = date(day);
        assert!((1..=12).contains(&month) && (1..=31).contains(&date));
        assert_eq!(days(year, month, date), day);
    }
    assert_eq!(date(0), (1970, 1, 1));
    assert_eq!(date(19_782), (2024, 2, 29));
}

proptest! {
    #[test]
    fn any_mixture_comes_back_or_is_left(
        lines in proptest::collection::vec(
            prop_oneof![
                4 => "[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9]\\.[0-9]{6}Z [0-9a-f]{2}[OE][ +][ -~]{0,9}",
                3 => "2024-0[1-9]-1[0-9]T1[0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}Z [0-9a-f]{2}[OE][ +][ -~]{0,9}",
                1 => "[ -~]{0,40}",
            ], 0..30),
        ends in any::<bool>(),
    ) {
        let mut piece = lines.join("\n").into_bytes();
        if ends { piece.push(b'\n'); }
        if let Some(split) = split(&piece) {
            prop_assert_eq!(joined(&split.stamps, &split.body, piece.len()).unwrap(), piece);
        }
    }

    #[test]
    fn hostile_streams_never_panic_and_stay_within_the_room(
        stamps in proptest::collection::vec(any::<u8>(), 0..60),
        body in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..60),
    ) {
        if let Some(joined) = joined(&stamps, &body, 500) {
            prop_assert!(joined.len() <= 500);
        }
    }
}
