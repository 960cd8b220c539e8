//! A process is frozen while its agents commit, and another one claims their threads.

use std::io::{BufRead as _, BufReader};

use agentscale_core::checkpoint::ClaimRequest;
use agentscale_core::{CheckpointStore as _, ErrorKind};

use super::place::{AGENTS, Place};
use super::{items, rounds};
use crate::processes::{acknowledgement, signal};
use crate::scene::{Owner, thread};

#[tokio::test]
async fn a_frozen_owner_is_fenced_after_its_thaw() {
    let mut places = Vec::new();
    for round in 0..rounds(3, 5) {
        if round % 30 == 0 {
            places = Place::all();
        }
        freeze_and_claim(&places[round % places.len()]).await;
    }
}

async fn freeze_and_claim(place: &Place) {
    // Whoever opens first makes the tables: the child does not wait for this process.
    let store = place.open().await;
    let mut child = place.child();
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    while acknowledgement(&lines.next().expect("the child gets there").expect("a line")).is_none() {}
    signal(&child, "-STOP");
    let mut claimed = Vec::new();
    for number in 0..AGENTS {
        let key = format!("agent-{number}");
        // Frozen within a transaction, it holds a lock: it is let on, and frozen again.
        while let Err(error) = store.claim(ClaimRequest::new(thread(&key))).await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
            signal(&child, "-CONT");
            signal(&child, "-STOP");
        }
        claimed.push(Owner::claim(&store, &key).await);
    }
    signal(&child, "-CONT");
    let refused: Vec<String> =
        lines.map(|line| line.expect("a line")).filter(|line| line.contains("refused")).collect();
    child.wait().expect("the child ends");
    assert_eq!(refused.len(), AGENTS);
    for line in refused {
        assert!(line.ends_with(ErrorKind::Fenced.as_str()), "{line}");
    }
    for (number, owner) in claimed.iter_mut().enumerate() {
        let before = owner.version;
        assert_eq!(owner.write("[2]").await.expect("it is the owner").0, before.0 + 1);
        assert_eq!(items(&store, &format!("agent-{number}")).await, before.0 + 1);
    }
}
