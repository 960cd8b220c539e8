//! Embedded knowledge: the promises of the trait, and those of one folder on disk.

mod conformance;
mod faults;
mod full_disk;
mod kills;
mod reopening;

use std::path::Path;

use agentscale_core::Tenant;
use agentscale_core::knowledge::{Entry, EntryId, KnowledgeClient, KnowledgeQuery, PutEntries};
use agentscale_knowledge::{EmbeddedConfig, EmbeddedKnowledge};

const DIMENSIONS: u32 = 8;

fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

/// A store of vectors whose tenants outgrow their scan at 100 of them.
async fn open(folder: &Path) -> agentscale_core::Result<EmbeddedKnowledge> {
    let mut config = EmbeddedConfig::default();
    config.exact_up_to = 100;
    config.lock_wait_ms = 100;
    EmbeddedKnowledge::builder(folder).vectors_of(DIMENSIONS).config(config).open().await
}

/// Entries named by their numbers, with vectors drawn from a seed.
fn entries(numbers: std::ops::Range<u64>) -> Vec<Entry> {
    numbers
        .map(|number| {
            let mut random = fastrand::Rng::with_seed(number);
            let vector = (0..DIMENSIONS).map(|_| random.f32() - 0.5).collect();
            Entry::new(EntryId::new(format!("{number:05}")).unwrap(), format!("entry {number}"))
                .with_vector(vector)
        })
        .collect()
}

async fn put(knowledge: &EmbeddedKnowledge, entries: Vec<Entry>) {
    knowledge.put(PutEntries::new(acme(), entries)).await.unwrap();
}

/// The id found by the vector of an entry.
async fn nearest_to(knowledge: &EmbeddedKnowledge, entry: &Entry) -> String {
    let query = KnowledgeQuery::vector(acme(), entry.vector.clone().unwrap()).with_limit(1);
    knowledge.query(query).await.unwrap().hits[0].entry.entry.id.to_string()
}

async fn count(knowledge: &EmbeddedKnowledge) -> usize {
    let query = KnowledgeQuery::vector(acme(), vec![1.0; DIMENSIONS as usize]).with_limit(100_000);
    knowledge.query(query).await.unwrap().hits.len()
}
