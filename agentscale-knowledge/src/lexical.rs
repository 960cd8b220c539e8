//! An embedder without a model.

use agentscale_core::knowledge::Embedder;
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;

const DEFAULT_DIMENSIONS: u32 = 384;
/// Lengths of the pieces of words that let related forms of a word meet.
const PIECES: std::ops::RangeInclusive<usize> = 3..=5;
/// How much the pieces of a word weigh together, beside the word.
const PIECES_WEIGHT: f32 = 1.0;

/// Turns texts into vectors by hashing their words and pieces of words, offline and the same on every
/// machine.
///
/// Two texts are alike as far as they share words or parts of words. That is all: the vectors know no
/// synonyms, no grammar and no other language, and carry no meaning. It serves where no model can be
/// asked, and in tests.
///
/// ```
/// use agentscale_knowledge::LexicalEmbedder;
///
/// let embedder = LexicalEmbedder::default();
/// let dot = |a: &str, b: &str| -> f32 {
///     embedder.vector(a).iter().zip(embedder.vector(b)).map(|(x, y)| x * y).sum()
/// };
/// let related = dot("restoring a checkpoint", "checkpoints are restored");
/// let unrelated = dot("restoring a checkpoint", "the price of coffee");
/// assert!(related > unrelated + 0.1, "{related} {unrelated}");
/// ```
#[derive(Clone, Debug)]
pub struct LexicalEmbedder {
    dimensions: u32,
    model: String,
}

impl LexicalEmbedder {
    /// Embeds into vectors of `dimensions` numbers.
    ///
    /// # Errors
    /// `invalid_input` below 16 dimensions, where hashes collide too often to tell texts apart.
    pub fn new(dimensions: u32) -> Result<Self> {
        if dimensions < 16 {
            return Err(Error::new(ErrorKind::InvalidInput, "make lexical embedder")
                .with_context("dimensions", dimensions));
        }
        Ok(Self::of(dimensions))
    }

    /// The vector of a text: as many numbers as dimensions, of length one. A text without letters and
    /// digits has one of `dimensions` vectors, chosen by its bytes.
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut sums = vec![0.0; self.dimensions as usize];
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            self.add_word(&word.to_lowercase(), &mut sums);
        }
        if sums.iter().all(|sum| *sum == 0.0) {
            let hash = fnv1a(text.bytes());
            sums[(hash % u64::from(self.dimensions)) as usize] = 1.0;
        }
        let norm = sums.iter().map(|x| x * x).sum::<f32>().sqrt();
        sums.iter_mut().for_each(|x| *x /= norm);
        sums
    }

    fn of(dimensions: u32) -> Self {
        Self { dimensions, model: format!("lexical-v1-{dimensions}") }
    }

    fn add_word(&self, word: &str, sums: &mut [f32]) {
        let marked: Vec<char> = std::iter::once('<').chain(word.chars()).chain(['>']).collect();
        // Longer words are rarer, and say more.
        let weight = (marked.len() as f32 / 10.0).min(1.0);
        self.add(b'w', word.as_bytes(), weight, sums);
        let count: usize = PIECES.map(|length| (marked.len() + 1).saturating_sub(length)).sum();
        let share = weight * PIECES_WEIGHT / (count.max(1) as f32).sqrt();
        for piece in PIECES.flat_map(|length| marked.windows(length)) {
            self.add(b'p', piece.iter().collect::<String>().as_bytes(), share, sums);
        }
    }

    /// Adds a feature at two places that its hash gives, each with a sign that it gives.
    fn add(&self, kind: u8, feature: &[u8], weight: f32, sums: &mut [f32]) {
        let mut hash = fnv1a(std::iter::once(kind).chain(feature.iter().copied()));
        for _ in 0..2 {
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            sums[(hash % u64::from(self.dimensions)) as usize] += sign * weight;
            hash = mixed(hash);
        }
    }
}

impl Default for LexicalEmbedder {
    /// 384 dimensions.
    fn default() -> Self {
        Self::of(DEFAULT_DIMENSIONS)
    }
}

#[async_trait]
impl Embedder for LexicalEmbedder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> u32 {
        self.dimensions
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let embedder = self.clone();
        let embedded = tokio::task::spawn_blocking(move || {
            texts.iter().map(|text| embedder.vector(text)).collect::<Vec<_>>()
        });
        embedded.await.map_err(|error| Error::new(ErrorKind::Internal, "embed texts").with_source(error))
    }
}

/// FNV-1a over 64 bits, mixed: the same on every machine and in every version, as stored vectors need.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    mixed(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

/// The finaliser of MurmurHash3, over an odd offset so that zero moves too.
fn mixed(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(a: &str, b: &str) -> f32 {
        let embedder = LexicalEmbedder::default();
        embedder.vector(a).iter().zip(embedder.vector(b)).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn every_text_has_a_vector_of_length_one() {
        for text in ["", "   ", "?!", "word", "Ünï cödé 日本語", &"long ".repeat(10_000)] {
            let vector = LexicalEmbedder::default().vector(text);
            assert_eq!(vector.len(), 384);
            let norm: f32 = vector.iter().map(|x| x * x).sum();
            assert!((norm - 1.0).abs() < 1e-4, "{norm} for {:.10}", text);
        }
    }

    #[test]
    fn texts_are_alike_as_far_as_they_share_words_and_parts_of_words() {
        assert!((likeness("A Claim, fenced", "a claim fenced") - 1.0).abs() < 1e-4);
        assert!(likeness("fenced commit", "commits were fenced") > 0.5);
        assert!(likeness("fenced commit", "quarterly revenue outlook") < 0.2);
    }

    #[test]
    fn the_vector_of_a_text_never_changes_between_versions() {
        let vector = LexicalEmbedder::new(16).unwrap().vector("agent");
        let bits: Vec<i32> = vector.iter().map(|x| (x * 1000.0).round() as i32).collect();
        assert_eq!(bits, [-166, 244, -166, -333, 0, 166, -333, 333, 333, -166, 166, -576, 0, 166, 0, 0]);
    }
}
