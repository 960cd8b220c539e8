//! A process that writes and is killed at random moments. It is this test binary itself.
//!
//! `AGENTSCALE_TORTURE_ROUNDS` sets the number of kills.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use agentscale_core::knowledge::{DeleteEntries, Entry, EntryId, KnowledgeClient, KnowledgeQuery};
use agentscale_knowledge::EmbeddedKnowledge;
use agentscale_knowledge::index::{IndexConfig, VectorIndex};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::{DIMENSIONS, acme, open, put};

const FOLDER: &str = "AGENTSCALE_TEST_FOLDER";
const SEED: &str = "AGENTSCALE_TEST_SEED";
/// The ids that are written, again and again.
const IDS: u64 = 400;

/// What may stand under an id: the last state that was acknowledged, and those begun since. 0 is no entry.
type Possible = BTreeMap<u64, BTreeSet<u64>>;

/// The entry of an id in one of its states.
fn entry(id: u64, state: u64) -> Entry {
    let mut random = fastrand::Rng::with_seed(id << 32 | state);
    let vector = (0..DIMENSIONS).map(|_| random.f32() - 0.5).collect();
    Entry::new(name(id), format!("state {state}")).with_vector(vector)
}

fn name(id: u64) -> EntryId {
    EntryId::new(format!("{id:05}")).unwrap()
}

/// Not a test of its own: what the other process runs, writing until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_writes() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let seed = std::env::var(SEED).unwrap().parse().unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    let knowledge = open(Path::new(&folder)).await.unwrap();
    loop {
        let ids: BTreeSet<u64> = (0..random.usize(1..30)).map(|_| random.u64(..IDS)).collect();
        let deletes = random.u8(..4) == 0;
        let state = if deletes { 0 } else { random.u64(1..1 << 31) };
        ids.iter().for_each(|id| println!("begun {id} {state}"));
        if deletes {
            knowledge
                .delete(DeleteEntries::new(acme(), ids.iter().map(|id| name(*id)).collect()))
                .await
                .unwrap();
        } else {
            put(&knowledge, ids.iter().map(|id| entry(*id, state)).collect()).await;
        }
        ids.iter().for_each(|id| println!("done {id} {state}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_in_the_database_and_in_the_index() {
    let rounds = std::env::var("AGENTSCALE_TORTURE_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let seed = fastrand::u64(..1 << 32);
    println!("seed {seed}, {rounds} rounds");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut possible: Possible = (0..IDS).map(|id| (id, BTreeSet::from([0]))).collect();
    let mut made = None;
    for round in 0..rounds {
        write_until_killed(folder.path(), &mut random, &mut possible);
        let knowledge = open(folder.path()).await.unwrap();
        for (id, states) in &mut possible {
            let found = check(&knowledge, *id, states, round).await;
            *states = BTreeSet::from([found]);
        }
        knowledge.close().await.unwrap();
        check_index(folder.path(), round).await;
        assert_eq!(
            *made.get_or_insert(index_made(folder.path())),
            index_made(folder.path()),
            "a rebuild in round {round}"
        );
    }
    assert!(possible.values().any(|states| !states.contains(&0)), "nothing was put");
}

fn write_until_killed(folder: &Path, random: &mut fastrand::Rng, possible: &mut Possible) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::kills::child_that_writes", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, random.u32(..).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let kill_at = random.usize(100..2_000);
    let wait = Duration::from_micros(random.u64(..2_000));
    for (seen, line) in lines.enumerate() {
        if seen == kill_at {
            // Anywhere between two lines: the moment itself is what is random here.
            std::thread::sleep(wait);
            child.kill().unwrap();
        }
        // The last line may be cut off: then it says nothing.
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let [word, id, state] = words[..] else { continue };
        let (Ok(id), Ok(state)) = (id.parse::<u64>(), state.parse()) else { continue };
        match word {
            "begun" => drop(possible.get_mut(&id).unwrap().insert(state)),
            "done" => drop(possible.insert(id, BTreeSet::from([state]))),
            _ => {}
        }
    }
    child.wait().unwrap();
}

/// Finds the entry in one of its possible states, by its id and by its vector.
async fn check(knowledge: &EmbeddedKnowledge, id: u64, possible: &BTreeSet<u64>, round: usize) -> u64 {
    let stored = knowledge.get(&acme(), &name(id)).await.unwrap();
    let found = stored.map_or(0, |stored| stored.entry.text["state ".len()..].parse().unwrap());
    assert!(possible.contains(&found), "round {round}, entry {id}: {found} is not among {possible:?}");
    for state in possible.iter().filter(|state| **state != 0) {
        let wanted = entry(id, *state);
        // Of all, so that nothing is left to what a graph overlooks.
        let query = KnowledgeQuery::vector(acme(), wanted.vector.unwrap()).with_limit(IDS as usize);
        let answer = knowledge.query(query).await.unwrap();
        assert!(!answer.partial, "round {round}");
        let is_found = answer.hits.iter().any(|hit| hit.entry.entry.id == wanted.id && hit.score > 0.999);
        assert_eq!(is_found, *state == found, "round {round}, entry {id}, state {state}");
    }
    found
}

/// The index has the newest versions of the database and nothing else.
async fn check_index(folder: &Path, round: usize) {
    let options = SqliteConnectOptions::new().filename(folder.join("knowledge.db")).read_only(true);
    let mut database: SqliteConnection = options.connect().await.unwrap();
    let identity: Vec<u8> =
        sqlx::query_scalar("SELECT identity FROM store").fetch_one(&mut database).await.unwrap();
    let newest: Vec<u32> = sqlx::query_scalar("SELECT item FROM versions WHERE until IS NULL ORDER BY item")
        .fetch_all(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    let index =
        VectorIndex::open(&folder.join("vectors"), &identity, IndexConfig::new(DIMENSIONS as usize)).unwrap();
    let found = index.search(1, &[1.0; DIMENSIONS as usize], usize::MAX, None).unwrap();
    let mut items: Vec<u32> = found.into_iter().map(|scored| scored.item).collect();
    items.sort_unstable();
    assert_eq!(items, newest, "round {round}");
}

fn index_made(folder: &Path) -> SystemTime {
    std::fs::metadata(folder.join("vectors/pending/data.mdb")).unwrap().created().unwrap()
}
