//! Jobs of which one is enough, and jobs that have one outcome.

use std::sync::Arc;

use super::JobQueueHarness;
use super::scene::{
    LONG, SHORT, acme, add, assert_kind, claim_one, complete, counts, enqueue, finish, id, job, tenant,
};
use crate::jobs::{
    Cause, Enqueued, Finish, Idempotency, Job, JobOutcome, JobStart, RecordedJob, Unique, UniqueUntil,
};
use crate::{ErrorKind, IdempotencyKey, JobQueue};

fn unique(until: UniqueUntil) -> Job {
    job("x").with_unique(Unique { key: "one".try_into().expect("a name"), until })
}

fn key() -> IdempotencyKey {
    "order-7".try_into().expect("a name")
}

/// Each has an id of its own, and the same content.
fn idempotent() -> Job {
    job("x").with_idempotency(Idempotency::new(key()))
}

async fn recorded(store: &dyn JobQueue) -> Option<RecordedJob> {
    store.outcome(&acme(), &key()).await.expect("it is read")
}

/// While a unique job has not ended, no other of its key is added, whatever it contains.
pub async fn a_unique_job_is_alone_until_it_has_ended(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let until = UniqueUntil::Ended;
    for end in
        [|run| Finish::completed(run, ""), |run| Finish::dead(run, Cause::new("no")), Finish::cancelled]
    {
        let id = add(&store, unique(until)).await;
        let exists = Enqueued::Exists { id, outcome: None };
        assert_eq!(
            enqueue(&store, Job { payload: "y".into(), ..unique(until) }).await.expect("it is there"),
            exists
        );
        let run = claim_one(&store).await.run();
        assert_eq!(enqueue(&store, unique(until)).await.expect("it runs"), exists);
        finish(&store, Finish::retry(run, Cause::new("no"), std::time::Duration::ZERO))
            .await
            .expect("it failed");
        assert_eq!(enqueue(&store, unique(until)).await.expect("it waits"), exists);
        finish(&store, end(claim_one(&store).await.run())).await.expect("it ends");
    }
    let id = add(&store, unique(until)).await;
    store.cancel(&acme(), id).await.expect("it is cancelled");
    add(&store, unique(until)).await;
}

/// A job that is unique until it begins leaves its key at its first claim, for ever.
pub async fn a_unique_job_is_alone_until_it_has_begun(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let first = add(&store, unique(UniqueUntil::Begun)).await;
    assert_eq!(enqueue(&store, unique(UniqueUntil::Begun)).await.expect("it is there").id(), first);
    let run = claim_one(&store).await.run();
    let second = add(&store, unique(UniqueUntil::Begun)).await;
    finish(&store, Finish::release(run)).await.expect("it is released");
    assert_eq!(enqueue(&store, unique(UniqueUntil::Begun)).await.expect("it is there").id(), second);
    assert_eq!(counts(&store).await.ready, 2);
}

/// Unique keys of tenants are apart; of concurrent enqueues one adds its job.
pub async fn unique_keys_belong_to_tenants(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let other = harness.another().await;
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
            let tenant = tenant(if number < 8 { "acme" } else { "globex" });
            let job = Job { tenant, ..unique(UniqueUntil::Ended) };
            tokio::spawn(async move { enqueue(&store, job).await.expect("it is answered").is_added() })
        })
        .collect();
    let mut added = 0;
    for task in tasks {
        added += usize::from(task.await.expect("it is answered"));
    }
    assert_eq!((added, counts(&store).await.ready), (2, 2));
}

/// A dead job that is redriven does not take its unique key again.
pub async fn a_redriven_job_holds_no_unique_key(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let dead = add(&store, unique(UniqueUntil::Ended)).await;
    finish(&store, Finish::dead(claim_one(&store).await.run(), Cause::new("no"))).await.expect("it is dead");
    let next = add(&store, unique(UniqueUntil::Ended)).await;
    assert_eq!(store.redrive(&acme(), vec![dead]).await.expect("it is redriven"), [dead]);
    assert_eq!(enqueue(&store, unique(UniqueUntil::Ended)).await.expect("it is there").id(), next);
}

/// An idempotent job runs once, however often it is enqueued, and its result is kept.
pub async fn an_idempotent_job_has_one_outcome(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    assert_eq!(recorded(&store).await, None);
    let id = add(&store, idempotent()).await;
    assert_eq!(recorded(&store).await, Some(RecordedJob::new(id, None)));
    assert_eq!(
        enqueue(&store, idempotent()).await.expect("it is known"),
        Enqueued::Exists { id, outcome: None }
    );
    let run = claim_one(&store).await.run();
    finish(&store, Finish::completed(run, vec![0, 255])).await.expect("it is done");
    let outcome = Some(JobOutcome::Completed(vec![0, 255].into()));
    assert_eq!(recorded(&store).await, Some(RecordedJob::new(id, outcome.clone())));
    assert_eq!(enqueue(&store, idempotent()).await.expect("it is known"), Enqueued::Exists { id, outcome });
    assert_eq!(counts(&store).await.ready, 0);
    add(&store, Job { tenant: tenant("globex"), ..idempotent() }).await;
}

/// The same key with another kind, payload or queue is a conflict, before and after the end.
pub async fn a_key_with_other_content_is_a_conflict(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let first = add(&store, idempotent()).await;
    for ended in [false, true] {
        for other in [
            Job { payload: "y".into(), ..idempotent() },
            Job { kind: "other".try_into().expect("a name"), ..idempotent() },
            Job { queue: "other".try_into().expect("a name"), ..idempotent() },
        ] {
            let name = other.id.to_string();
            let error = assert_kind(enqueue(&store, other).await, ErrorKind::Conflict);
            assert_eq!(error.context("job"), Some(name.as_str()), "{ended}");
        }
        let later = Job { start: JobStart::After(LONG), ..idempotent() };
        assert_eq!(enqueue(&store, later).await.expect("it is the same").id(), first);
        if !ended {
            complete(&store, &claim_one(&store).await).await;
        }
    }
}

/// That a job is dead or cancelled is an outcome too; a redriven one is open again.
pub async fn a_bad_end_is_an_outcome(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, idempotent()).await;
    finish(&store, Finish::dead(claim_one(&store).await.run(), Cause::new("no"))).await.expect("it is dead");
    let dead = RecordedJob::new(id, Some(JobOutcome::Dead(Cause::new("no"))));
    assert_eq!(recorded(&store).await, Some(dead));
    store.redrive(&acme(), vec![id]).await.expect("it is redriven");
    assert_eq!(recorded(&store).await, Some(RecordedJob::new(id, None)));
    store.cancel(&acme(), id).await.expect("it is cancelled");
    let cancelled = Some(JobOutcome::Cancelled);
    assert_eq!(recorded(&store).await, Some(RecordedJob::new(id, cancelled.clone())));
    let again = enqueue(&store, idempotent()).await.expect("it is known");
    assert_eq!(again, Enqueued::Exists { id, outcome: cancelled });
}

/// An outcome is kept for its time from the end on; then the key is new.
pub async fn an_outcome_is_kept_for_its_time(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let brief = || {
        let idempotency = Idempotency { key: key(), retention: SHORT };
        Job { payload: "other".into(), ..job("") }.with_idempotency(idempotency)
    };
    let first = add(&store, brief()).await;
    harness.pass(SHORT).await;
    assert_eq!(recorded(&store).await, Some(RecordedJob::new(first, None)));
    complete(&store, &claim_one(&store).await).await;
    harness.pass(SHORT).await;
    assert_eq!(recorded(&store).await, None);
    let second = add(&store, idempotent()).await;
    assert_eq!(recorded(&store).await, Some(RecordedJob::new(second, None)));
}

/// Maintenance removes what is kept for nobody, and nothing else.
pub async fn maintenance_removes_old_outcomes_alone(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    for number in 0..10 {
        let key = format!("brief-{number}").try_into().expect("a name");
        let idempotency = Idempotency { key, retention: SHORT };
        add(&store, job("").with_idempotency(idempotency)).await;
        complete(&store, &claim_one(&store).await).await;
    }
    add(&store, idempotent()).await;
    complete(&store, &claim_one(&store).await).await;
    let waiting = add(&store, Job { id: id(), ..job("").with_delay(LONG) }).await;
    harness.pass(SHORT).await;
    let mut rounds = 0;
    while store.maintain(3).await.expect("it is tidied").more {
        rounds += 1;
        assert!(rounds < 100, "it ends");
    }
    assert!(recorded(&store).await.is_some_and(|recorded| recorded.outcome.is_some()));
    store.read(&acme(), waiting).await.expect("it waits still");
}
