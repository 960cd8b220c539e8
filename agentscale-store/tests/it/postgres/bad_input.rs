//! What PostgreSQL cannot hold is refused by kind, and harms nothing that is written with it.

use agentscale_core::checkpoint::{
    AppendSteps, Codec, DeadLetter, FieldWrite, HistoryRequest, LoadRequest, OutboxMessage, Step, TurnId,
};
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, ErrorKind, MessageId};
use futures::future::join_all;

use super::Scene;
use crate::scene::{Owner, thread};

#[tokio::test]
async fn text_that_the_database_cannot_hold_is_invalid_input_by_name() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = scene.open().await;
    let mut owner = Owner::claim(&store, "alice").await;
    for (codec, turn, name) in
        [("a\0b", "t", "codec"), ("json", "a\0b", "turn"), ("json", &*"x".repeat(10 << 20), "turn")]
    {
        let mut commit = owner.commit(vec![]);
        commit.header.codec = Codec::from(codec.to_owned());
        commit.turn = Some(TurnId(turn.to_owned()));
        let error = owner.send(commit).await.unwrap_err();
        assert_eq!((error.kind(), error.context("name")), (ErrorKind::InvalidInput, Some(name)));
    }
    let step = Step { index: 0, request_hash: [0; 32], result: "r".into() };
    let steps = AppendSteps::new(thread("alice"), owner.epoch, TurnId("a\0b".into()), vec![step]);
    assert_eq!(store.append_steps(steps).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(store.history(HistoryRequest::new(thread("alice"), 9)).await.unwrap().is_empty());
}

#[tokio::test]
async fn nul_bytes_stand_wherever_no_name_is_meant() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = scene.open().await;
    let mut owner = Owner::claim(&store, "alice").await;
    let field = FieldWrite::Replace { name: "a\0b".into(), value: "c\0d".into() };
    let mut commit = owner.commit(vec![field]);
    commit.tags = vec!["t\0u".into()];
    let message = OutboxMessage { id: MessageId::new(1), message: "m\0n".into() };
    commit.outbox.push(message.clone());
    owner.send(commit).await.unwrap();
    store.bury(DeadLetter::new(thread("alice"), message.clone(), 1, "it\0broke")).await.unwrap();
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
    assert_eq!((&*tip.fields[0].name, tip.fields[0].value.as_deref()), ("a\0b", Some(&b"c\0d"[..])));
    assert_eq!(tip.info.tags, ["t\0u"]);
    let letters = store.dead_letters(None, 9).await.unwrap().letters;
    assert_eq!((&*letters[0].cause, &letters[0].message), ("it\0broke", &message));
}

#[tokio::test]
async fn an_unknown_codec_comes_back_by_name_and_bytes_that_are_none_are_corrupt() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = scene.open().await;
    let mut owner = Owner::claim(&store, "alice").await;
    let mut commit = owner.commit(vec![]);
    commit.header.codec = Codec::from("of tomorrow".to_owned());
    owner.send(commit).await.unwrap();
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
    assert_eq!(tip.info.header.codec.as_str(), "of tomorrow");
    let epoch = owner.epoch;
    scene.execute("UPDATE @.checkpoints SET delta = 'nonsense'").await;
    let error = store.load(LoadRequest::tip(thread("alice"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let claim = store.claim(agentscale_core::checkpoint::ClaimRequest::new(thread("alice")));
    assert_eq!(claim.await.unwrap_err().kind(), ErrorKind::Corrupt);
    owner.write("[1]").await.expect("the epoch was not taken");
    assert_eq!(owner.epoch, epoch);
}

#[tokio::test]
async fn a_row_that_the_database_refuses_harms_no_commit_beside_it() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let mut config = scene.config();
    config.writers = 1;
    let store = scene.open_with(config).await;
    scene.execute("ALTER TABLE @.checkpoints ADD CHECK (codec <> 'refused')").await;
    let owners = join_all((0..16).map(|number| {
        let store = store.clone();
        async move { Owner::claim(&store, &format!("agent-{number}")).await }
    }));
    let commits = owners.await.into_iter().enumerate().map(|(number, mut owner)| async move {
        let mut commit = owner.commit(vec![]);
        if number % 5 == 0 {
            commit.header.codec = Codec::from("refused".to_owned());
        }
        (number, owner.send(commit).await)
    });
    for (number, committed) in join_all(commits).await {
        match committed {
            Ok(_) => assert_ne!(number % 5, 0),
            Err(error) => assert_eq!((number % 5, error.kind()), (0, ErrorKind::Internal)),
        }
    }
}

#[tokio::test]
async fn large_commits_pass_and_a_state_over_its_limit_leaves_nothing() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let store = scene.open().await;
        let mut owner = Owner::claim(&store, "alice").await;
        let piece = vec![b'x'; 12 << 20];
        for version in 1..=5 {
            let field = FieldWrite::Append { name: "notes".into(), items: piece.clone().into() };
            assert_eq!(owner.send(owner.commit(vec![field])).await.unwrap().0, version);
        }
        let field = FieldWrite::Append { name: "notes".into(), items: piece.clone().into() };
        let error = owner.send(owner.commit(vec![field])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let tip = store.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
        assert_eq!((tip.info.version.0, tip.fields[0].appended.len()), (5, 5));
    }
}
