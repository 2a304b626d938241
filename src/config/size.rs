//! Sizes as people write them.

/// Reads a size: digits with a unit of `K`, `M`, `G` or `T`, which are powers of 1024; `B` and `iB` behind it change
/// nothing. `None` if the text is none, or too large for a number of 64 bits.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let power = match unit {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << (10 * power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, size) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("10K", Some(10 << 10)),
            ("500 MiB", Some(500 << 20)),
            ("1g", Some(1 << 30)),
            ("2TB", Some(2 << 40)),
            ("", None),
            ("M", None),
            ("1.5G", None),
            ("-1", None),
            ("99999999999T", None),
        ] {
            assert_eq!(parse_size(text), size, "{text}");
        }
    }
}
