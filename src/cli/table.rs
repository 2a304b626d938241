//! Rows under each other. Pure.
//!
//! Knows no terminal: a character counts as one column, wide ones of East Asian scripts as two.

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// The space between two columns.
const GAP: &str = "  ";

/// Returns the width of a text in columns of a terminal, nearly.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd)
}

/// Cuts a text that is wider than `columns`, and marks the cut.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let own = if is_wide(*c) { 2 } else { 1 };
        let fits = own <= left;
        left = left.saturating_sub(own);
        fits
    };
    let mut short: String = text.chars().take_while(fits).collect();
    short.push('…');
    short
}

/// Puts rows under each other; the last column of text is not filled up. `paint` sets off a cell, by row and column,
/// once it is filled up.
pub fn table(
    rows: &[Vec<String>],
    align: &[Align],
    paint: impl Fn(usize, usize, &str) -> String,
) -> Vec<String> {
    let columns = align.len();
    let widest = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| width(c)).max();
    let widths: Vec<usize> = (0..columns).map(|c| widest(c).unwrap_or(0)).collect();
    let mut lines = Vec::with_capacity(rows.len());
    for (r, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate().take(columns) {
            let fill = " ".repeat(widths[c].saturating_sub(width(cell)));
            let cell = paint(r, c, cell);
            let last = c + 1 == row.len();
            match align[c] {
                Align::Right => line.extend([fill.as_str(), &cell]),
                Align::Left if last => line.push_str(&cell),
                Align::Left => line.extend([cell.as_str(), &fill]),
            }
            if !last {
                line.push_str(GAP);
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["1", "日本", "x"], ["12", "a", "y"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|r| r.map(str::to_owned).to_vec()).collect();
        let lines = table(&rows, &[Align::Right, Align::Left, Align::Left], |_, _, c| c.to_owned());
        assert_eq!(lines, [" 1  日本  x", "12  a     y"]);
    }

    #[test]
    fn a_long_text_is_cut_with_a_mark() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
