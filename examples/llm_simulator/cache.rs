//! Which beginnings of prompts were seen before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::Account;
use crate::prompt::{Caching, Prompt};
use crate::script::Cache as Settings;

/// As many prefixes are kept; the oldest go first.
const MOST: usize = 1 << 18;
/// Anthropic looks for earlier prefixes as many segments before a breakpoint.
const LOOKS_BACK: usize = 20;
/// What is to be kept longer costs more to write.
const SHORT: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Prefixes {
    settings: Settings,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    until: HashMap<Digest, Duration>,
    order: VecDeque<Digest>,
}

type Digest = [u8; 32];

/// A prompt up to some place.
#[derive(Debug)]
struct Mark {
    digest: Digest,
    tokens: u64,
    /// How long it is to be kept; it is only looked for otherwise.
    kept: Option<Duration>,
}

/// What of a prompt was in the cache, and what is to be put there.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) cached: u64,
    pub(crate) written: u64,
    pub(crate) written_for_long: u64,
    marks: Vec<Mark>,
}

impl Prefixes {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, seen: Mutex::default() }
    }

    pub(crate) fn find(&self, account: &Account, prompt: &Prompt, now: Duration) -> Found {
        if let Caching::Resource { segments } = prompt.caching {
            let cached = prompt.segments.iter().take(segments).map(|segment| segment.tokens).sum();
            return Found { cached, ..Found::default() };
        }
        let marks = self.marks(account, prompt);
        if marks.is_empty() {
            return Found::default();
        }
        let seen = self.seen();
        let is_fresh = |mark: &&Mark| seen.until.get(&mark.digest).is_some_and(|until| *until > now);
        let cached = marks.iter().rev().find(is_fresh).map_or(0, |mark| mark.tokens);
        drop(seen);
        let mut found = Found { cached, ..Found::default() };
        if matches!(prompt.caching, Caching::Breakpoints) {
            let last = |long: bool| {
                let kept =
                    marks.iter().rev().find(|mark| mark.kept.is_some_and(|kept| !long || kept > SHORT));
                kept.map_or(0, |mark| mark.tokens)
            };
            found.written_for_long = last(true).saturating_sub(cached);
            found.written = last(false).saturating_sub(cached.max(last(true)));
        }
        found.marks = marks;
        found
    }

    /// Remembers the prompt that was looked for; reading prolongs as writing does.
    pub(crate) fn keep(&self, found: &Found, now: Duration) {
        if found.marks.is_empty() {
            return;
        }
        let mut seen = self.seen();
        for mark in &found.marks {
            let Some(kept) = mark.kept else { continue };
            if seen.until.insert(mark.digest, now + kept).is_none() {
                seen.order.push_back(mark.digest);
            }
        }
        while seen.order.len() > MOST {
            if let Some(oldest) = seen.order.pop_front() {
                seen.until.remove(&oldest);
            }
        }
    }

    pub(crate) fn reset(&self) {
        *self.seen() = Seen::default();
    }

    /// In the order of the prompt.
    fn marks(&self, account: &Account, prompt: &Prompt) -> Vec<Mark> {
        if prompt.input_tokens() < self.settings.min_tokens {
            return Vec::new();
        }
        match &prompt.caching {
            Caching::None | Caching::Resource { .. } => Vec::new(),
            Caching::Blocks { key } => self.block_marks(hasher(account, key), prompt),
            Caching::Breakpoints => self.breakpoint_marks(hasher(account, ""), prompt),
        }
    }

    fn block_marks(&self, mut hash: blake3::Hasher, prompt: &Prompt) -> Vec<Mark> {
        let block = self.settings.block_tokens;
        let kept = Some(Duration::from_millis(self.settings.ttl_ms));
        let parts: Vec<&[u8]> = prompt.segments.iter().map(|segment| segment.bytes.as_slice()).collect();
        let bytes = parts.concat();
        let (most, mut tokens) = (prompt.input_tokens(), 0);
        let mut marks = Vec::new();
        for part in bytes.chunks_exact(block as usize * 4) {
            hash.update(part);
            tokens += block;
            if (self.settings.min_tokens..=most).contains(&tokens) {
                marks.push(Mark { digest: *hash.finalize().as_bytes(), tokens, kept });
            }
        }
        marks
    }

    fn breakpoint_marks(&self, mut hash: blake3::Hasher, prompt: &Prompt) -> Vec<Mark> {
        let breakpoints: Vec<usize> =
            (0..prompt.segments.len()).filter(|place| prompt.segments[*place].breakpoint.is_some()).collect();
        let Some(last) = breakpoints.last() else { return Vec::new() };
        let mut tokens = 0;
        let mut marks = Vec::new();
        for (place, segment) in prompt.segments[..=*last].iter().enumerate() {
            hash.update(&segment.bytes);
            tokens += segment.tokens;
            let next = breakpoints.iter().find(|breakpoint| **breakpoint >= place);
            let looked_at = next.is_some_and(|breakpoint| breakpoint - place <= LOOKS_BACK);
            if looked_at && tokens >= self.settings.min_tokens {
                marks.push(Mark { digest: *hash.finalize().as_bytes(), tokens, kept: segment.breakpoint });
            }
        }
        marks
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hasher(account: &Account, key: &str) -> blake3::Hasher {
    let mut hash = blake3::Hasher::new();
    for part in [&account.organization, &account.model, key] {
        hash.update(part.as_bytes()).update(&[0]);
    }
    hash
}
