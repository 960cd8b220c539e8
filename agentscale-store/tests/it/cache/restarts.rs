//! Redis goes, and comes back empty.

use std::time::Duration;

use agentscale_store::cache::{Reach, RedisCache, RedisCacheConfig};

use super::scene::{Node, by_checks, file, follows, namespace, node, until};
use crate::own_redis::OwnRedis;

fn one(url: &str, namespace: &str) -> Node {
    let mut config = RedisCacheConfig::default();
    config.wait = Duration::from_secs(1);
    config.breaker.open_for = Duration::from_millis(20);
    node(RedisCache::new(url, namespace, &config).expect("it works"), by_checks(), None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_gone_memory_goes_on_and_changes_are_told_when_it_is_back() {
    let Some(server) = tokio::task::block_in_place(OwnRedis::start) else { return };
    let (url, namespace) = (server.url(), namespace());
    let (here, there) = (one(&url, &namespace), one(&url, &namespace));
    for round in 0..3 {
        let (old, new) = (format!("old {round}"), format!("new {round}"));
        follows(&here, &there).await;
        let _ = here.node.changed(&[file("used"), file("unrelated")]).await;
        until("both have it", async || {
            here.ask("used", &old).await == old
                && there.ask("used", &old).await == old
                && there.ask("unrelated", &old).await == old
        })
        .await;

        tokio::task::block_in_place(|| server.kill());
        // Within its shorter time an entry is given; then, and for what is new, it is computed.
        let before = there.answers.stats().alone;
        until("it is given without redis", async || {
            assert_eq!(there.ask("unrelated", &new).await, old);
            there.answers.stats().alone > before
        })
        .await;
        assert_eq!(there.ask(&format!("new in {round}"), &new).await, new);
        assert_eq!(here.node.changed(&[file("used")]).await, Reach::Here);
        assert_eq!(here.ask("used", &new).await, new);
        assert!(here.node.stats().untold > 0 && here.node.stats().failures > 0);

        tokio::task::block_in_place(|| server.begin());
        until("redis hears of the change", async || here.node.stats().untold == 0).await;
        until("the other node does", async || there.ask("used", &new).await == new).await;
    }
}
