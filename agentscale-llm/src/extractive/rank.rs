use std::collections::{HashMap, HashSet};

use super::ExtractiveConfig;
use super::passage::Passage;
use super::sentence::Sentence;
use super::words::stems;

const K1: f64 = 1.2;
const B: f64 = 0.75;
const HEADING_WEIGHT: f64 = 0.3;

/// A quote scores at least this share of the best one.
const NEAR_BEST: f64 = 0.5;

/// Sentences without the question's words that are taken for granted around a small context: in a context of one
/// sentence every word would otherwise count as common.
const BACKGROUND: f64 = 20.0;

/// The quotes that fit the question, best first; equal scores stay in the order of the context.
pub(super) fn best(question: &str, passages: &[Passage<'_>], config: &ExtractiveConfig) -> Vec<String> {
    let mut asked = stems(question);
    asked.sort();
    asked.dedup();
    let candidates: Vec<_> = passages
        .iter()
        .flat_map(|passage| passage.sentences.iter().map(move |sentence| Candidate::new(passage, sentence)))
        .collect();
    let ranking = Ranking::new(&asked, &candidates);

    let mut scored: Vec<_> = candidates
        .iter()
        .filter(|candidate| ranking.fits(candidate, config.min_coverage))
        .map(|candidate| (ranking.score(candidate), candidate))
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));

    let least = scored.first().map_or(0.0, |(score, _)| score * NEAR_BEST);
    let mut seen = HashSet::new();
    let near = scored.iter().take_while(|(score, _)| *score >= least).map(|(_, candidate)| candidate);
    let distinct = near.filter(|candidate| seen.insert(&candidate.sentence.text));
    distinct.take(config.max_sentences).map(|candidate| candidate.quote()).collect()
}

#[derive(Debug)]
struct Candidate<'a> {
    passage: &'a Passage<'a>,
    sentence: &'a Sentence,
    counts: HashMap<String, f64>,
    heading: HashSet<String>,
    length: f64,
}

impl<'a> Candidate<'a> {
    fn new(passage: &'a Passage<'a>, sentence: &'a Sentence) -> Self {
        let words = stems(&sentence.text);
        let length = words.len() as f64;
        let mut counts = HashMap::new();
        for word in words {
            *counts.entry(word).or_default() += 1.0;
        }
        Self { passage, sentence, counts, heading: stems(&sentence.heading).into_iter().collect(), length }
    }

    fn quote(&self) -> String {
        format!("{} [{}]", self.sentence.text, self.passage.cite(self.sentence))
    }
}

/// The question's words with their weights, and the length of a usual sentence.
#[derive(Debug)]
struct Ranking<'a> {
    weights: Vec<(&'a str, f64)>,
    average_length: f64,
}

impl<'a> Ranking<'a> {
    fn new(asked: &'a [String], candidates: &[Candidate<'_>]) -> Self {
        let sentences = candidates.len() as f64;
        let weight = |word: &'a String| {
            let holding =
                candidates.iter().filter(|candidate| candidate.counts.contains_key(word)).count() as f64;
            (word.as_str(), (1.0 + (sentences + BACKGROUND - holding + 0.5) / (holding + 0.5)).ln())
        };
        let words: f64 = candidates.iter().map(|candidate| candidate.length).sum();
        Self {
            weights: asked.iter().map(weight).collect(),
            average_length: (words / sentences.max(1.0)).max(1.0),
        }
    }

    fn fits(&self, candidate: &Candidate<'_>, min_coverage: f64) -> bool {
        let answers = !candidate.sentence.text.ends_with('?');
        let said = answers && self.weights.iter().any(|(word, _)| candidate.counts.contains_key(*word));
        let held = self
            .weights
            .iter()
            .filter(|(word, _)| candidate.counts.contains_key(*word) || candidate.heading.contains(*word));
        let (words, weight) = held.fold((0, 0.0), |(words, sum), (_, weight)| (words + 1, sum + weight));
        let whole: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        said && words >= self.weights.len().min(2) && weight >= min_coverage * whole
    }

    fn score(&self, candidate: &Candidate<'_>) -> f64 {
        let longer = K1 * (1.0 - B + B * candidate.length / self.average_length);
        let of_word = |(word, weight): &(&str, f64)| match candidate.counts.get(*word) {
            Some(count) => weight * count * (K1 + 1.0) / (count + longer),
            None if candidate.heading.contains(*word) => weight * HEADING_WEIGHT,
            None => 0.0,
        };
        self.weights.iter().map(of_word).sum()
    }
}
