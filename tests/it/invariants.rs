//! The same agents give the same answers over every transport and every store.

use std::sync::Arc;
use std::time::Duration;

use agentscale::core::knowledge::{Entry, EntryId, PutEntries};
use agentscale::core::transport::{
    DirectTransport, EncodingTransport, MailboxLimits, Subscription, TransportExt,
};
use agentscale::knowledge::{EmbeddedKnowledge, LexicalEmbedder};
use agentscale::prelude::*;
use serde::{Deserialize, Serialize};

use crate::scene::{Do, Sum, World, acme, describe, letters, pending, stores, until};

/// What a librarian is asked: whose knowledge, what to put, what to look for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lookup {
    tenant: String,
    put: Option<String>,
    find: String,
}

struct Librarian;

#[async_trait]
impl Agent for Librarian {
    type State = u64;

    fn recall(&self, message: &AgentMessage) -> Option<KnowledgeQuery> {
        let find = message.body::<Lookup>().ok()?.find.clone();
        Some(KnowledgeQuery::text(message.tenant.clone(), find))
    }

    async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
        let lookup: Arc<Lookup> = message.body()?;
        let tenant = Tenant::new(lookup.tenant.as_str())?;
        if let Some(text) = &lookup.put {
            let entry = Entry::new(EntryId::new("the-same")?, text.clone());
            turn.knowledge().put(PutEntries::new(tenant.clone(), vec![entry])).await?;
        }
        let found = turn.knowledge().query(KnowledgeQuery::text(tenant, lookup.find.as_str())).await?;
        let texts: Vec<_> = found.hits.iter().map(|hit| hit.entry.entry.text.clone()).collect();
        let recalled: Vec<_> = turn.recalled().iter().map(|hit| hit.entry.entry.text.clone()).collect();
        Ok(turn.reply((texts, recalled)))
    }
}

async fn every_stage(folder: &std::path::Path) -> Vec<(String, Runtime, Arc<dyn CheckpointStore>)> {
    let mut stages = Vec::new();
    for transport in ["direct", "encoding"] {
        let folder = folder.join(transport);
        std::fs::create_dir(&folder).unwrap();
        for (nth, store) in stores(&folder).await.into_iter().enumerate() {
            let knowledge = EmbeddedKnowledge::builder(folder.join(format!("knowledge-{nth}")));
            let knowledge = knowledge.embedder(LexicalEmbedder::default()).open().await.unwrap();
            let builder = describe(store.clone(), &World::default()).knowledge(knowledge).pool(
                "librarian",
                Librarian,
                Pool::stateful(),
            );
            let builder = match transport {
                "direct" => builder.transport(DirectTransport::new()),
                _ => builder.transport(EncodingTransport::new(DirectTransport::new())),
            };
            stages.push((format!("{transport} over {store:?}"), builder.start().await.unwrap(), store));
        }
    }
    stages
}

#[tokio::test]
async fn the_same_agents_behave_alike() {
    let folder = tempfile::tempdir().unwrap();
    for (stage, runtime, store) in every_stage(folder.path()).await {
        let alice = runtime.agent(&acme(), "worker", "alice").unwrap();
        let order = vec![
            Do::Add(1),
            Do::Model("why".into()),
            Do::Ask("bob".into(), vec![Do::Add(10)]),
            Do::AskAll(vec!["c".into(), "d".into()], vec![Do::Add(100)]),
            Do::Send("carol".into(), vec![Do::Add(1_000)]),
        ];
        let keyed = alice.clone().with_idempotency_key(IdempotencyKey::new("order").unwrap());
        for _ in 0..2 {
            let answer: Sum = keyed.ask(order.clone()).await.unwrap();
            assert_eq!(answer, Sum { sum: 211, heard: vec!["said".into()] }, "{stage}");
        }
        assert_eq!(runtime.stats().replayed, 1, "{stage}");
        let refused = alice.ask::<_, Sum>(vec![Do::Fail(ErrorKind::ContentRefused)]).await.unwrap_err();
        assert_eq!((refused.kind(), refused.operation()), (ErrorKind::ContentRefused, "obey"), "{stage}");
        until("the outbox is empty", async || pending(store.as_ref()).await == 0).await;
        assert_eq!(crate::scene::sum(&runtime, "carol").await, 1_000, "{stage}");
        assert_eq!(runtime.drain(Duration::from_secs(5)).await.cut_off, 0);
    }
}

#[tokio::test]
async fn two_tenants_with_equal_keys_share_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (stage, runtime, _) in every_stage(folder.path()).await {
        let other = Tenant::new("other").unwrap();
        let ours = runtime.agent(&acme(), "worker", "alice").unwrap();
        let theirs = runtime.agent(&other, "worker", "alice").unwrap();
        let key = IdempotencyKey::new("order").unwrap();
        let news = |tenant| Subscription::topic(tenant, Topic::new("news").unwrap());
        let mut ours_news =
            runtime.transport().subscribe(news(acme()), MailboxLimits::default()).await.unwrap();
        let mut their_news =
            runtime.transport().subscribe(news(other.clone()), MailboxLimits::default()).await.unwrap();

        let order = vec![Do::Add(5), Do::Send("bob".into(), vec![Do::Add(2)]), Do::Publish("news".into())];
        ours.clone().with_idempotency_key(key.clone()).ask::<_, Sum>(order).await.unwrap();
        // The same key with another request is no conflict in another tenant.
        let their_sum = theirs.with_idempotency_key(key).ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap().sum;
        assert_eq!(their_sum, 1, "{stage}");
        assert_eq!(ours_news.next().await.message.tenant, acme());
        assert!(their_news.try_next().is_none(), "{stage}");

        let bob = |tenant: &Tenant| runtime.agent(tenant, "worker", "bob").unwrap();
        until("our bob heard", async || bob(&acme()).ask::<_, Sum>(Vec::<Do>::new()).await.unwrap().sum == 2)
            .await;
        assert_eq!(bob(&other).ask::<_, Sum>(Vec::<Do>::new()).await.unwrap().sum, 0, "{stage}");
        let live = runtime.live_agents(&other, &"worker".try_into().unwrap()).unwrap();
        assert_eq!(live.len(), 2, "{stage}");

        bob(&acme()).tell(vec![Do::Fail(ErrorKind::InvalidInput)]).await.unwrap();
        until("a dead letter", async || letters(&runtime).await.len() == 1).await;
        assert_eq!(letters(&runtime).await[0].from.tenant, acme(), "{stage}");
    }
}

#[tokio::test]
async fn a_tenants_knowledge_is_its_own_and_recall_and_query_find_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (stage, runtime, _) in every_stage(folder.path()).await {
        let look = async |tenant: &str, of: &str, put: Option<&str>| {
            let tenant = Tenant::new(tenant).unwrap();
            let librarian = runtime.agent(&tenant, "librarian", "lib").unwrap();
            let lookup =
                Lookup { tenant: of.into(), put: put.map(Into::into), find: "harbour lights".into() };
            librarian.ask::<_, (Vec<String>, Vec<String>)>(lookup).await
        };
        look("acme", "acme", Some("the harbour lights are green")).await.unwrap();
        look("other", "other", Some("the harbour lights are red")).await.unwrap();
        let ours = look("acme", "acme", None).await.unwrap();
        assert_eq!(
            ours,
            (vec!["the harbour lights are green".into()], vec!["the harbour lights are green".into()])
        );
        let theirs = look("other", "other", None).await.unwrap();
        assert_eq!(theirs.0, ["the harbour lights are red"], "{stage}");
        let refused = look("acme", "other", None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{stage}");
    }
}
