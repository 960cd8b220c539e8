use std::fmt;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};

use super::{CachePolicy, CacheScope};

/// Hours that an edge may hold something, at least and at most (row *Layer 3*).
const EDGE: (Duration, Duration) = (Duration::from_secs(3_600), Duration::from_secs(86_400));

/// The value of a header `ETag` (RFC 9110, 8.8.3).
///
/// ```
/// use agentscale_store::cache::{ETag, Freshness};
///
/// let tag = ETag::strong(br#"{"type":"object"}"#);
/// assert_eq!(tag.if_none_match(&format!("\"old\", W/{tag}")), Freshness::NotModified);
/// assert_eq!(tag.if_none_match("\"old\""), Freshness::Modified);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag {
    is_weak: bool,
    opaque: String,
}

/// Whether a client has to be sent the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Send it, with status 200.
    Modified,
    /// The client has it: status 304 without content, and the same `ETag` and `Cache-Control`.
    NotModified,
}

impl ETag {
    /// The tag of exactly these bytes, by their hash: the content as it is sent, after its encoding.
    pub fn strong(content: &[u8]) -> Self {
        Self { is_weak: false, opaque: hash(content) }
    }

    /// The tag of content that means the same while `version` is the same, though its bytes may differ.
    pub fn weak(version: &[u8]) -> Self {
        Self { is_weak: true, opaque: hash(version) }
    }

    /// Reads one tag, as a header has it.
    ///
    /// # Errors
    /// `invalid_input` for what is not a tag.
    pub fn parse(header: &str) -> Result<Self> {
        let (tag, rest) = split(header.trim_matches(BLANKS)).ok_or_else(malformed)?;
        if rest.is_empty() { Ok(tag) } else { Err(malformed()) }
    }

    /// Whether the bytes are the same: both tags are strong and equal.
    pub fn is_strongly(&self, other: &Self) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }

    /// Whether the meaning is the same, whichever tag is weak.
    pub fn is_weakly(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }

    /// Compares with the value of a header `If-None-Match`, weakly (RFC 9110, 13.1.2). A value that cannot be read names
    /// nothing: the content is sent.
    pub fn if_none_match(&self, header: &str) -> Freshness {
        let mut rest = header.trim_matches(BLANKS);
        if rest == "*" {
            return Freshness::NotModified;
        }
        let mut is_met = false;
        while !rest.is_empty() {
            let Some((tag, behind)) = split(rest) else { return Freshness::Modified };
            is_met |= self.is_weakly(&tag);
            rest = match behind.trim_start_matches(BLANKS) {
                "" => "",
                behind => match behind.strip_prefix(',') {
                    Some(next) => next.trim_start_matches([' ', '\t', ',']),
                    None => return Freshness::Modified,
                },
            };
        }
        if is_met { Freshness::NotModified } else { Freshness::Modified }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\"{}\"", if self.is_weak { "W/" } else { "" }, self.opaque)
    }
}

/// The value of a header `Cache-Control` (RFC 9111, 5.2.2).
///
/// ```
/// use std::time::Duration;
/// use agentscale_core::Tenant;
/// use agentscale_store::cache::{CacheControl, CachePolicies, CacheScope, CachedType};
///
/// let policy = CachePolicies::default().of(CachedType::ToolSchemas);
/// assert_eq!(CacheControl::of(&policy, &CacheScope::Host).to_string(), "public, max-age=3600");
/// let acme = CacheScope::from(&Tenant::new("acme")?);
/// assert_eq!(CacheControl::of(&policy, &acme).to_string(), "private, max-age=3600");
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheControl {
    /// Nobody holds it: `no-store`.
    NoStore,
    /// Only the client that asked holds it, so long: `private, max-age`.
    Private(Duration),
    /// Everybody may hold it so long: `public, max-age`.
    Public(Duration),
}

impl CacheControl {
    /// What a policy's edge may do: hold the host's own for 1 to 24 hours; of a tenant's only the client itself may. Without
    /// a time for the edge nobody does.
    pub fn of(policy: &CachePolicy, scope: &CacheScope) -> Self {
        let Some(ttl) = policy.edge else { return Self::NoStore };
        let ttl = ttl.clamp(EDGE.0, EDGE.1);
        match scope {
            CacheScope::Host => Self::Public(ttl),
            CacheScope::Tenant(_) => Self::Private(ttl),
        }
    }
}

impl fmt::Display for CacheControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStore => f.write_str("no-store"),
            Self::Private(ttl) => write!(f, "private, max-age={}", ttl.as_secs()),
            Self::Public(ttl) => write!(f, "public, max-age={}", ttl.as_secs()),
        }
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

fn hash(bytes: &[u8]) -> String {
    let mut half = [0; 16];
    blake3::Hasher::new().update(bytes).finalize_xof().fill(&mut half);
    half.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tag that a text begins with, and what stands behind it.
fn split(text: &str) -> Option<(ETag, &str)> {
    let (is_weak, quoted) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
    // Any visible character but the quote, and what is not ASCII.
    let is_tag = |c: char| c == '!' || ('#'..='~').contains(&c) || !c.is_ascii();
    opaque.chars().all(is_tag).then(|| (ETag { is_weak, opaque: opaque.to_owned() }, rest))
}

fn malformed() -> Error {
    Error::new(ErrorKind::InvalidInput, "read an etag")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strong_tag_is_of_the_bytes_and_a_weak_one_never_says_they_are_equal() {
        let (one, other) = (ETag::strong(b"1"), ETag::strong(b"2"));
        assert_eq!(one.to_string().len(), 34);
        assert!(one.is_strongly(&ETag::strong(b"1")) && !one.is_strongly(&other) && !one.is_weakly(&other));
        let weak = ETag::weak(b"1");
        assert!(weak.to_string().starts_with("W/\""));
        assert!(weak.is_weakly(&one) && !weak.is_strongly(&one) && !weak.is_strongly(&weak));
        for tag in [one, weak] {
            assert_eq!(ETag::parse(&format!(" {tag}\t")).unwrap(), tag);
        }
    }

    /// RFC 9110, 8.8.3.2.
    #[test]
    fn the_comparisons_of_the_standard_hold() {
        let tag = |text| ETag::parse(text).unwrap();
        for (left, right, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            assert_eq!(tag(left).is_strongly(&tag(right)), strong);
            assert_eq!(tag(left).is_weakly(&tag(right)), weak);
        }
    }

    #[test]
    fn a_header_that_names_the_tag_anywhere_is_met() {
        let tag = ETag::parse("\"a,b\"").unwrap();
        for met in ["*", "\"a,b\"", "W/\"a,b\"", "\"x\", \"a,b\"", "\"a,b\" ,\"x\"", " \"x\",,\t\"a,b\" ,"] {
            assert_eq!(tag.if_none_match(met), Freshness::NotModified, "{met}");
        }
        for unmet in
            ["", "\"a\"", "a,b", "\"a,b", "w/\"a,b\"", "\"a,b\" \"x\"", "\"a,b\", x", "*, \"x\"", "\"\0\""]
        {
            assert_eq!(tag.if_none_match(unmet), Freshness::Modified, "{unmet}");
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for text in ["", "\"", "a", "\"a\"b", "\"a b\"", "\"a\", \"b\"", "W/a", "\"a\r\nb\""] {
            assert_eq!(ETag::parse(text).unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn an_edge_holds_one_to_24_hours_and_nothing_without_a_time() {
        let control = |seconds| {
            let policy = CachePolicy::new().with_edge(Duration::from_secs(seconds));
            CacheControl::of(&policy, &CacheScope::Host).to_string()
        };
        assert_eq!(
            (control(1), control(7_200)),
            ("public, max-age=3600".into(), "public, max-age=7200".into())
        );
        assert_eq!(control(u64::MAX), "public, max-age=86400");
        assert_eq!(CacheControl::of(&CachePolicy::new(), &CacheScope::Host).to_string(), "no-store");
    }
}
