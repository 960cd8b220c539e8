//! One that wants the lease, works under it, and comes to an end in one way or another.

use std::sync::Arc;

use agentscale_core::lease::Lease;
use agentscale_core::{ErrorKind, LeaseStore};
use tokio::time::{sleep, timeout};

use super::super::scene::{key, request};
use super::wire::Wire;
use super::world::{TTL, World};

pub(crate) async fn live(world: Arc<World>, number: usize) {
    for life in 0.. {
        if world.is_over() {
            return;
        }
        // Its name tells the grants of the history from each other.
        let name = format!("owner-{number}-{life}");
        let wire = Wire::new(world.clone());
        if let Some(lease) = acquire(&world, &wire, &name).await {
            world.saw("grants");
            world.holds(lease.watch());
            world.believes();
            work(&world, &wire, &lease, &name).await;
            end(&world, &wire, lease).await;
        }
        sleep(world.up_to(TTL / 5)).await;
    }
}

/// Asks until it is granted or refused; a question without an answer is asked again under its id.
async fn acquire(world: &World, wire: &Wire, name: &str) -> Option<Lease> {
    let request = request(name, TTL);
    for _ in 0..3 {
        let asked = Lease::acquire(Arc::new(wire.clone()), request.clone());
        match timeout(TTL / 4, asked).await {
            Ok(Ok(lease)) => return Some(lease),
            Ok(Err(error)) => {
                assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Fenced), "{error}");
                return None;
            }
            Err(_) => world.saw("questions without an answer"),
        }
    }
    None
}

async fn work(world: &Arc<World>, wire: &Wire, lease: &Lease, name: &str) {
    for _ in 0..world.up_to(TTL / 100).as_millis() {
        if world.chance(10) {
            wire.cut(world.up_to(TTL * 2));
        }
        sleep(world.up_to(TTL / 3)).await;
        let Ok(epoch) = lease.check() else {
            world.saw("leases lost");
            return;
        };
        world.believes();
        // Between its look and its write it can be frozen, or the write can be late.
        let late = if world.chance(15) { world.up_to(TTL * 3) } else { world.on_the_way() };
        let (world_of_write, name) = (world.clone(), name.to_owned());
        let write = tokio::spawn(async move {
            sleep(late).await;
            world_of_write.write(epoch, &name);
        });
        if world.chance(50) {
            write.await.expect("the write arrives");
        }
    }
}

async fn end(world: &World, wire: &Wire, lease: Lease) {
    if world.chance(20) {
        // Who holds it may be read by anybody; the answer may be lost.
        let _ = timeout(TTL / 4, wire.read(&key())).await;
    }
    if world.chance(35) {
        wire.kill();
        world.saw("kills");
    } else if world.chance(50) {
        // A lease that was lost says so.
        let _ = lease.close().await;
    }
}
