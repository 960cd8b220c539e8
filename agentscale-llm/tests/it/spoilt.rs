//! Spoilt bytes do not break a decoder, whatever its dialect, nor do they mean something else when they are split.

use std::path::Path;
use std::time::UNIX_EPOCH;

use agentscale_llm::decode::{Dialect, StreamDecoder};
use agentscale_llm::headers::{anthropic_rate_limits, parse_http_date, parse_rfc3339};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Each fixture of each dialect.
fn streams() -> Vec<(Dialect, Vec<u8>)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let of = |dialect: Dialect| {
        let files = std::fs::read_dir(fixtures.join(dialect.as_str())).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let streams = paths.filter(|path| path.extension().is_some_and(|kind| kind != "json"));
        streams.map(move |path| (dialect, std::fs::read(path).unwrap())).collect::<Vec<_>>()
    };
    Dialect::ALL.into_iter().flat_map(of).collect()
}

/// The answer or the error, as they are shown.
fn decode<'a>(dialect: Dialect, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut decoder = StreamDecoder::new(dialect);
    let pushed = parts.into_iter().try_for_each(|part| decoder.push(part, &mut Vec::new()));
    format!("{:?}", pushed.and_then(|()| decoder.finish()))
}

proptest! {
    #[test]
    fn a_spoilt_stream_is_decoded_alike_however_it_is_split(
        (dialect, mut stream) in select(streams()),
        spoilt in proptest::collection::vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..8),
        step in 1..40_usize,
    ) {
        for (at, byte, how) in spoilt {
            let at = at.index(stream.len());
            match how {
                0 => stream[at] = byte,
                1 => stream.insert(at, byte),
                _ => stream.truncate(at + 1),
            }
        }
        prop_assert_eq!(decode(dialect, [stream.as_slice()]), decode(dialect, stream.chunks(step)));
    }

    #[test]
    fn no_text_breaks_the_readers_of_headers(text in "[0-9TZ:.+ -]{0,40}|\\PC{0,40}") {
        let (date, stamp) = (parse_http_date(&text), parse_rfc3339(&text));
        prop_assert!(date.is_none() || stamp.is_none());
        let limits = anthropic_rate_limits(|_| Some(&text), UNIX_EPOCH);
        prop_assert!(limits.limits.len() <= 4);
    }
}
