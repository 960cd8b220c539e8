//! The same on every database.

use agentscale_core::checkpoint::{
    AppendSteps, Codec, DeadLetter, FieldWrite, HistoryRequest, LoadRequest, OutboxMessage, Step, TurnId,
};
use agentscale_core::{AgentKey, CheckpointStore, ErrorKind, IdempotencyKey, MessageId, Tenant};

use crate::scene::{Owner, thread};

const TEN_MEGABYTES: usize = 10 << 20;

pub(crate) async fn nul_bytes_stand(store: &(impl CheckpointStore + Clone)) {
    let mut owner = Owner::claim(store, "alice").await;
    let field = FieldWrite::Replace { name: "a\0b".into(), value: "c\0d".into() };
    let mut commit = owner.commit(vec![field]);
    commit.tags = vec!["t\0u".into()];
    let message = OutboxMessage { id: MessageId::new(1), message: "m\0n".into() };
    commit.outbox.push(message.clone());
    owner.send(commit).await.expect("the owner commits");
    let letter = DeadLetter::new(thread("alice"), message.clone(), 1, "it\0broke");
    store.bury(letter).await.expect("it is buried");
    let tip =
        store.load(LoadRequest::tip(thread("alice"))).await.expect("it is read").expect("there is a tip");
    assert_eq!((&*tip.fields[0].name, tip.fields[0].value.as_deref()), ("a\0b", Some(&b"c\0d"[..])));
    assert_eq!(tip.info.tags, ["t\0u"]);
    let letters = store.dead_letters(None, 9).await.expect("they are listed").letters;
    assert_eq!((&*letters[0].cause, &letters[0].message), ("it\0broke", &message));
}

/// Names of agents and keys are refused where they are made, the others by the store.
pub(crate) async fn names_without_end(store: &(impl CheckpointStore + Clone)) {
    let name = "x".repeat(TEN_MEGABYTES);
    let refused = [
        Tenant::new(name.as_str()).map(drop),
        AgentKey::new(name.as_str()).map(drop),
        IdempotencyKey::new(name.clone()).map(drop),
    ];
    for made in refused {
        assert_eq!(made.expect_err("it is refused").kind(), ErrorKind::InvalidInput);
    }
    let mut owner = Owner::claim(store, "alice").await;
    let field = FieldWrite::Append { name: name.clone(), items: "[1]".into() };
    let mut turn = owner.commit(vec![]);
    turn.turn = Some(TurnId(name.clone()));
    let mut nul = owner.commit(vec![]);
    nul.turn = Some(TurnId("a\0b".into()));
    for commit in [owner.commit(vec![field]), turn, nul] {
        assert_eq!(owner.send(commit).await.expect_err("it is refused").kind(), ErrorKind::InvalidInput);
    }
    let step = Step { index: 0, request_hash: [0; 32], result: "r".into() };
    for turn in [name, "a\0b".to_owned()] {
        let steps = AppendSteps::new(thread("alice"), owner.epoch, TurnId(turn), vec![step.clone()]);
        let refused = store.append_steps(steps).await.expect_err("it is refused");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    let history = store.history(HistoryRequest::new(thread("alice"), 9)).await.expect("it is read");
    assert!(history.is_empty());
    owner.write("[1]").await.expect("nothing is left behind");
}

pub(crate) async fn an_unknown_codec(store: &(impl CheckpointStore + Clone)) {
    let mut owner = Owner::claim(store, "alice").await;
    let mut commit = owner.commit(vec![]);
    commit.header.codec = Codec::from("of tomorrow".to_owned());
    owner.send(commit).await.expect("the owner commits");
    let tip =
        store.load(LoadRequest::tip(thread("alice"))).await.expect("it is read").expect("there is a tip");
    assert_eq!(tip.info.header.codec.as_str(), "of tomorrow");
}
