//! What PostgreSQL cannot hold is refused by kind, and harms nothing that is written with it.

use agentscale_core::checkpoint::{
    AppendSteps, Codec, FieldWrite, HistoryRequest, LoadRequest, Step, TurnId,
};
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, ErrorKind};
use futures::future::join_all;

use super::Scene;
use crate::bad_input::scenes;
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
    scenes::nul_bytes_stand(&scene.open().await).await;
}

#[tokio::test]
async fn a_name_without_end_is_invalid_input_and_leaves_nothing() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        scenes::names_without_end(&scene.open().await).await;
    }
}

#[tokio::test]
async fn an_unknown_codec_comes_back_by_name_and_bytes_that_are_none_are_corrupt() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = scene.open().await;
    scenes::an_unknown_codec(&store).await;
    let mut owner = Owner::claim(&store, "alice").await;
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
