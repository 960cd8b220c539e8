use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads the one date format that RFC 9110 lets servers send, `Sun, 06 Nov 1994 08:49:37 GMT`; `None` for anything
/// else.
pub fn parse_http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, date) = text.trim().split_once(", ")?;
    let mut parts = date.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = is_date(year, month, day) && hour < 24 && minute < 60 && second < 61;
    if !in_range || parts.next() != Some("GMT") {
        return None;
    }
    let seconds = days_from_epoch(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Reads a date of RFC 3339, `1994-11-06T08:49:37.5Z` or with an offset such as `+01:00`; `None` for anything else and
/// for years before 1970. Of a fraction nine digits count.
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let bytes = text.trim().as_bytes();
    let (date, rest) = bytes.split_at_checked(19)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| date[*at].to_ascii_uppercase() != *mark) {
        return None;
    }
    let (year, month, day) = (digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..10])?);
    let (hour, minute, second) = (digits(&date[11..13])?, digits(&date[14..16])?, digits(&date[17..])?);
    if !is_date(year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = fraction(rest)?;
    let seconds = days_from_epoch(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second;
    let local = Duration::new(seconds, nanos);
    let utc = match offset(zone)? {
        (true, ahead) => local.checked_sub(ahead)?,
        (false, behind) => local.checked_add(behind)?,
    };
    UNIX_EPOCH.checked_add(utc)
}

fn digits(bytes: &[u8]) -> Option<u64> {
    let mut number = 0;
    for byte in bytes {
        number = number * 10 + u64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    Some(number)
}

fn fraction(rest: &[u8]) -> Option<(u32, &[u8])> {
    let Some(behind) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let count = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let nanos = (0..9)
        .fold(0, |nanos, at| nanos * 10 + behind[..count].get(at).map_or(0, |digit| u32::from(digit - b'0')));
    Some((nanos, &behind[count..]))
}

/// Whether the zone is ahead of UTC, and by how much.
fn offset(zone: &[u8]) -> Option<(bool, Duration)> {
    match zone {
        b"Z" | b"z" => Some((true, Duration::ZERO)),
        [sign @ (b'+' | b'-'), hour @ .., b':', tens, ones] if hour.len() == 2 => {
            let (hours, minutes) = (digits(hour)?, digits(&[*tens, *ones])?);
            let size = Duration::from_secs(hours * 3_600 + minutes * 60);
            (hours < 24 && minutes < 60).then_some((*sign == b'+', size))
        }
        _ => None,
    }
}

fn is_date(year: u64, month: u64, day: u64) -> bool {
    (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Howard Hinnant's `days_from_civil`, <https://howardhinnant.github.io/date_algorithms.html>, for years from 1970.
pub(crate) fn days_from_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let seconds =
            |text| parse_http_date(text).map(|date| date.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        for wrong in
            ["", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1969 08:49:37 GMT"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dates_of_rfc_3339_are_read() {
        let millis =
            |text| parse_rfc3339(text).map(|date| date.duration_since(UNIX_EPOCH).unwrap().as_millis());
        assert_eq!(millis("1994-11-06T08:49:37Z"), Some(784_111_777_000));
        assert_eq!(millis("1994-11-06t09:49:37.2509999999999+01:00"), Some(784_111_777_250));
        assert_eq!(millis("1994-11-06T00:19:37-08:30"), Some(784_111_777_000));
        for wrong in [
            "",
            "1994-11-06",
            "1994-11-06T08:49:37",
            "1994-11-06T08:49:37.Z",
            "1994-13-06T08:49:37Z",
            "1994-11-06T08:49:37+1:00",
            "1994-11-06T08:49:37+01:0ä",
            "+994-11-06T08:49:37Z",
            "1970-01-01T00:00:00+01:00",
            "1994-11-06T24:49:37Z",
        ] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
