//! An embedder for tests: the vector of a text is the sum of its words' vectors, so that texts which share most words
//! lie near.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use agentscale_core::knowledge::Embedder;
use agentscale_core::llm::CallContext;
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;

pub(super) const DIMENSIONS: u32 = 64;

#[derive(Clone, Debug)]
pub(super) struct Words {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    mood: Mood,
    contexts: Vec<CallContext>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Works,
    Fails,
    Hangs,
    Gives(Wrong),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    NotANumber,
    Infinite,
    Zero,
    Short,
    Empty,
    Nothing,
    TooMany,
}

impl Words {
    pub(super) fn new(mood: Mood) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { mood, contexts: Vec::new() })) }
    }

    pub(super) fn set(&self, mood: Mood) {
        self.shared.lock().unwrap().mood = mood;
    }

    /// For whom it was asked.
    pub(super) fn contexts(&self) -> Vec<CallContext> {
        self.shared.lock().unwrap().contexts.clone()
    }
}

#[async_trait]
impl Embedder for Words {
    fn model(&self) -> &str {
        "words"
    }

    fn dimensions(&self) -> u32 {
        DIMENSIONS
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        self.embed_for(texts, &CallContext::new()).await
    }

    async fn embed_for(&self, texts: Vec<String>, context: &CallContext) -> Result<Vec<Vec<f32>>> {
        let mood = {
            let mut shared = self.shared.lock().unwrap();
            shared.contexts.push(context.clone());
            shared.mood
        };
        let vector = vector(&texts[0]);
        match mood {
            Mood::Works => Ok(vec![vector]),
            Mood::Fails => Err(Error::new(ErrorKind::Unavailable, "embed")),
            Mood::Hangs => std::future::pending().await,
            Mood::Gives(wrong) => Ok(match wrong {
                Wrong::NotANumber => vec![[f32::NAN].into_iter().chain(vector).take(64).collect()],
                Wrong::Infinite => vec![[f32::INFINITY].into_iter().chain(vector).take(64).collect()],
                Wrong::Zero => vec![vec![0.0; 64]],
                Wrong::Short => vec![vector[1..].to_vec()],
                Wrong::Empty => vec![vec![]],
                Wrong::Nothing => vec![],
                Wrong::TooMany => vec![vector.clone(), vector],
            }),
        }
    }
}

pub(super) fn vector(text: &str) -> Vec<f32> {
    let mut sum = vec![0.0; DIMENSIONS as usize];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let mut hasher = DefaultHasher::new();
        word.hash(&mut hasher);
        let mut random = fastrand::Rng::with_seed(hasher.finish());
        sum.iter_mut().for_each(|x| *x += random.f32() - 0.5);
    }
    sum
}

pub(super) fn cosine(one: &str, other: &str) -> f64 {
    let (one, other) = (vector(one), vector(other));
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(&one, &other) / (dot(&one, &one) * dot(&other, &other)).sqrt()
}
