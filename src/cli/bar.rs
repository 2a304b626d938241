//! Bars of characters. Pure.

/// The widest bar; a longer one tells no more.
const MAX_COLUMNS: usize = 60;
/// The narrowest, even where the terminal is narrower still.
const MIN_COLUMNS: usize = 8;
/// Eighths of a block, the thinnest first.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const FULL: char = '█';

/// Returns a bar whose length is to `columns` as `value` to `most`; what is not nothing has some length.
pub(super) fn bar(value: u64, most: u64, columns: usize, blocks: bool) -> String {
    if value == 0 || most == 0 {
        return String::new();
    }
    let columns = columns.clamp(MIN_COLUMNS, MAX_COLUMNS);
    let part = value.min(most) as f64 / most as f64;
    if !blocks {
        let whole = (part * columns as f64).round() as usize;
        return "#".repeat(whole.max(1));
    }
    let eighths = ((part * columns as f64 * 8.0).round() as usize).max(1);
    let mut bar: String = std::iter::repeat_n(FULL, eighths / 8).collect();
    bar.extend((eighths % 8).checked_sub(1).map(|eighth| EIGHTHS[eighth]));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0, 10, 10, true), "");
        assert_eq!(bar(10, 10, 10, true), "█".repeat(10));
        assert_eq!(bar(5, 10, 9, true), "████▌");
        assert_eq!(bar(1, 1_000_000, 10, true), "▏");
        assert_eq!(bar(1, 1_000_000, 10, false), "#");
        assert_eq!(bar(10, 10, 1000, false).len(), MAX_COLUMNS);
        assert_eq!(bar(u64::MAX, 1, 0, false).len(), MIN_COLUMNS);
    }
}
