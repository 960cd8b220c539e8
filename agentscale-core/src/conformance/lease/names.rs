//! What a lease is called, and what can be read of it.

use super::LeaseStoreHarness;
use super::scene::{LONG, SHORT, acquire, key, release, request, tenant};
use crate::MAX_NAME_BYTES;
use crate::lease::{AcquireRequest, LeaseInfo, LeaseKey};

/// Who holds a lease can be read, and that nobody does.
pub async fn who_holds_it_can_be_read(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    assert_eq!(store.read(&key("a")).await.expect("it is read"), LeaseInfo::default());
    let noted = request("a", "alice", LONG).with_note("release 1.4.2".try_into().expect("a note"));
    let grant = store.acquire(noted).await.expect("the lease is granted");
    harness.pass(SHORT).await;
    let info = store.read(&key("a")).await.expect("it is read");
    let holding = info.holding.expect("it is held");
    assert_eq!((info.epoch, holding.holder.as_str()), (grant.epoch, "alice"));
    assert_eq!(holding.note.as_ref().map(AsRef::as_ref), Some("release 1.4.2"));
    assert!(holding.remaining < LONG && holding.remaining > LONG / 2);
    assert!(holding.since_unix_micros > 1_700_000_000_000_000);
    release(&store, "a", grant).await.expect("it is released");
    let info = store.read(&key("a")).await.expect("it is read");
    assert_eq!((info.epoch, info.holding), (grant.epoch, None));
}

/// The same name in another tenant or of another kind is another lease.
pub async fn tenants_kinds_and_names_are_apart(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    acquire(&store, "a", "alice", LONG).await;
    let others = [("globex", "deployment", "a"), ("acme", "migration", "a"), ("acme", "deployment", "b")];
    for (owner, kind, name) in others {
        let key = LeaseKey::new(&tenant(owner), kind, name).expect("names");
        let request = AcquireRequest::new(key, "bob".try_into().expect("a name"), LONG);
        store.acquire(request).await.expect("it is another lease");
    }
}

/// Names of the longest length, of any letters, are told apart by their last byte.
pub async fn the_longest_names_are_kept(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let long = |last: &str| format!("{}{last}", "é'\"\\% ".repeat(MAX_NAME_BYTES / 7));
    for last in ["a", "b"] {
        let key = LeaseKey::new(&tenant(&long("t")), &long("k"), &long(last)).expect("names");
        let request = AcquireRequest::new(key.clone(), long("h").try_into().expect("a name"), LONG);
        store.acquire(request.with_note(long("n").try_into().expect("a note"))).await.expect("it is granted");
        let holding = store.read(&key).await.expect("it is read").holding.expect("it is held");
        assert_eq!(holding.holder.as_str(), long("h"));
    }
}
