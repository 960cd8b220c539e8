//! Two nodes and a Redis.

use agentscale_core::testkit::TestServer;
use agentscale_core::{ErrorKind, Tenant};
use agentscale_store::cache::{CacheKey, CacheScope, Reach, Tag, TagKind};

use super::scene::{Node, by_message, file, follows, key, namespace, node, redis, until};

fn two(url: &str, namespace: &str) -> (Node, Node) {
    let one = || node(redis(url, namespace), by_message(), None);
    (one(), one())
}

#[tokio::test]
async fn a_change_makes_void_what_used_it_on_every_node_and_nothing_else() {
    let Some(url) = TestServer::Redis.url() else { return };
    let (here, there) = two(&url, &namespace());
    follows(&here, &there).await;
    for name in ["used", "unrelated"] {
        assert_eq!(here.ask(name, "old").await, "old");
        assert_eq!(there.ask(name, "never computed").await, "old");
    }
    assert_eq!((there.answers.stats().shared, there.answers.stats().misses), (2, 0));
    assert_eq!(here.node.changed(&[file("used")]).await, Reach::Everywhere);
    assert_eq!(here.get("used").await, None);
    until("the change is seen", async || there.get("used").await.is_none()).await;
    assert_eq!(there.ask("used", "new").await, "new");
    assert_eq!(here.ask("used", "never computed").await, "new");
    for node in [&here, &there] {
        let before = node.answers.stats();
        assert_eq!(node.ask("unrelated", "never computed").await, "old");
        let after = node.answers.stats();
        assert_eq!((after.in_process, after.misses), (before.in_process + 1, before.misses));
        assert_eq!((node.node.stats().checks, node.node.stats().lost), (0, 0));
    }
}

/// What a computation reads is known only as it runs.
#[tokio::test]
async fn what_a_computation_names_as_it_runs_makes_it_void_too() {
    let Some(url) = TestServer::Redis.url() else { return };
    let (here, there) = two(&url, &namespace());
    follows(&here, &there).await;
    let answer = here
        .answers
        .get_or_compute(&key("page"), &[], |uses| async move {
            uses.add(&[file("a"), file("b")]).await?;
            uses.add(&[file("b")]).await?;
            Ok("made of a and b".to_owned())
        })
        .await;
    assert_eq!(*answer.unwrap(), "made of a and b");
    assert!(there.get("page").await.is_some());
    assert_eq!(there.node.changed(&[file("c")]).await, Reach::Everywhere);
    assert!(there.get("page").await.is_some());
    assert_eq!(there.node.changed(&[file("b")]).await, Reach::Everywhere);
    assert!(there.get("page").await.is_none());
    until("the change is seen", async || here.get("page").await.is_none()).await;
}

/// Sessions are held in Redis alone: whoever asks next is told.
#[tokio::test]
async fn a_session_is_over_on_all_nodes_when_one_ends_it() {
    let Some(url) = TestServer::Redis.url() else { return };
    let (here, there) = two(&url, &namespace());
    let (sessions, others) = (here.sessions(), there.sessions());
    sessions.put(&key("cookie"), "ada".to_owned(), &[]).await.unwrap();
    assert_eq!(others.get(&key("cookie")).await.as_deref(), Some(&"ada".to_owned()));
    assert_eq!(others.changed(&key("cookie")).await.unwrap(), Reach::Everywhere);
    assert_eq!(sessions.get(&key("cookie")).await, None);
    assert_eq!((here.node.stats().entries, there.node.stats().entries), (0, 0));
}

#[tokio::test]
async fn a_tenant_neither_reads_nor_changes_what_is_anothers() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let (here, there) = two(&url, &namespace);
    let globex = Tenant::new("globex").unwrap();
    let (theirs, their_file) = (CacheKey::new(&globex, "page"), Tag::new(&globex, TagKind::File, "page"));
    let tool = Tag::new(CacheScope::Host, TagKind::Tool, "search");
    let compute = |_| async { Ok("of acme".to_owned()) };
    let tags = [file("page"), tool.clone()];
    here.answers.get_or_compute(&key("page"), &tags, compute).await.unwrap();

    assert_eq!(there.answers.get(&theirs).await, None);
    assert_eq!(there.node.changed(std::slice::from_ref(&their_file)).await, Reach::Everywhere);
    assert_eq!(there.get("page").await.as_deref(), Some("of acme"));
    for (key, tag) in [(&key("page"), &their_file), (&CacheKey::new(CacheScope::Host, "page"), &file("page"))]
    {
        let refused = there.answers.put(key, String::new(), std::slice::from_ref(tag)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    // What is the host's, everybody may have used.
    assert_eq!(there.node.changed(&[tool]).await, Reach::Everywhere);
    assert_eq!(there.get("page").await, None);

    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let pattern = format!("{namespace}:*");
    let names: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
    assert!(names.len() > 4 && names.iter().all(|name| !name.contains("acme") && !name.contains("page")));
    for name in names.iter().filter(|name| !name.ends_with(":changes")) {
        let left: i64 = redis::cmd("TTL").arg(name).query_async(&mut connection).await.unwrap();
        assert!(left > 0, "{name} stays for ever");
    }
}

#[tokio::test]
async fn nodes_count_together_and_tenants_apart() {
    let Some(url) = TestServer::Redis.url() else { return };
    let (here, there) = two(&url, &namespace());
    let (ours, theirs) = (here.node.counters(), there.node.counters());
    let globex = CacheKey::new(&Tenant::new("globex").unwrap(), "calls");
    assert_eq!(ours.add(&key("calls"), 2).await.count, 2);
    let both = theirs.add(&key("calls"), 3).await;
    // A window may have ended between them; nothing of it is lost for the most part of the next.
    assert!((4..=5).contains(&both.count) && both.reach == Reach::Everywhere, "{both:?}");
    assert_eq!(theirs.add(&globex, 1).await.count, 1);
    // More than a number of Redis can hold.
    for _ in 0..3 {
        assert!(ours.add(&key("calls"), u64::MAX).await.count >= 1 << 52);
    }
}
