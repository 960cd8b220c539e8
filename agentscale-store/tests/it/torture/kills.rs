//! kill -9 of a process whose agents commit.

use std::io::{BufRead as _, BufReader};

use super::place::{AGENTS, Place};
use super::{items, rounds};
use crate::processes::acknowledgement;

/// Threads that grow without end would be read again and again.
const ROUNDS_IN_A_PLACE: usize = 30;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut places, mut acknowledged) = (Vec::new(), Vec::new());
    for round in 0..rounds(9, 1) {
        if round % ROUNDS_IN_A_PLACE == 0 {
            places = Place::all();
            acknowledged = vec![[0; AGENTS]; places.len()];
        }
        let (place, acknowledged) = (&places[round % places.len()], &mut acknowledged[round % places.len()]);
        let mut child = place.child();
        let output = child.stdout.take().unwrap();
        let kill_at = random.usize(10..120);
        for (seen, line) in BufReader::new(output).lines().enumerate() {
            if seen == kill_at {
                child.kill().unwrap();
            }
            // The last line may be cut off.
            if let Some((agent, version)) = acknowledgement(&line.unwrap()) {
                acknowledged[agent] = acknowledged[agent].max(version);
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.iter().any(|version| *version > 0), "round {round}: nothing was acknowledged");
        let store = place.open().await;
        for (agent, version) in acknowledged.iter().enumerate() {
            let found = items(&store, &format!("agent-{agent}")).await;
            assert!(found >= *version, "round {round}, agent {agent}: {found} of {version} acknowledged");
        }
    }
}
