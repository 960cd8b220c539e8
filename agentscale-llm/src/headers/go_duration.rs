use std::time::Duration;

/// Reads a duration as Go prints it: `12ms`, `6m0s`, `1h2m3.5s`; `None` for what is negative, too long or no duration.
///
/// ```
/// use std::time::Duration;
/// use agentscale_llm::headers::parse_go_duration;
///
/// assert_eq!(parse_go_duration("1m30.5s"), Some(Duration::from_millis(90_500)));
/// assert_eq!(parse_go_duration("-1s"), None);
/// ```
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let number = take(&mut rest, |byte| byte.is_ascii_digit() || byte == b'.');
        let unit = take(&mut rest, |byte| !byte.is_ascii_digit() && byte != b'.');
        nanos = nanos.checked_add(scaled(number, nanos_of(unit)?)?)?;
    }
    (!text.is_empty()).then_some(Duration::from_nanos(nanos))
}

fn take<'a>(rest: &mut &'a str, belongs: impl Fn(u8) -> bool) -> &'a str {
    let end = rest.bytes().position(|byte| !belongs(byte)).unwrap_or(rest.len());
    let (taken, left) = rest.split_at(end);
    *rest = left;
    taken
}

fn nanos_of(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // Both of Unicode's signs for micro.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number of units, in nanoseconds; what is finer is cut off.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (mut nanos, mut place) = (whole.checked_mul(unit)?, unit);
    for digit in fraction.bytes() {
        place /= 10;
        nanos = nanos.checked_add(place * u64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?))?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_prints_them() {
        for (text, micros) in [
            ("0", 0),
            ("0s", 0),
            ("12ms", 12_000),
            ("6m0s", 360_000_000),
            ("1h2m3.5s", 3_723_500_000),
            ("59.951s", 59_951_000),
            ("1.5h", 5_400_000_000),
            (".5s", 500_000),
            ("7us", 7),
            ("7µs", 7),
            ("1500ns", 1),
            (" 1s ", 1_000_000),
            ("24h0m0s", 86_400_000_000),
        ] {
            let read = parse_go_duration(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(read.as_micros(), micros, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in [
            "",
            "5",
            "-1s",
            "s",
            ".s",
            "1",
            "1.2.3s",
            "1 s",
            "1d",
            "1s2",
            "soon",
            "٣s",
            "ms1",
            "99999999999h",
        ] {
            assert_eq!(parse_go_duration(text), None, "{text}");
        }
    }
}
