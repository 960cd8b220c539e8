//! The suite of the trait over each store and each way to hold one.

use std::sync::Arc;

use agentscale_core::CheckpointStore;
use agentscale_core::checkpoint::StateLimits;
use agentscale_core::conformance::checkpoint::CheckpointStoreHarness;
use agentscale_core::layers::{Component, RetryLayer};
use agentscale_core::service::ServiceCheckpointStore;
use agentscale_core::testkit::FaultyStore;
use agentscale_core::time::SystemClock;
use agentscale_store::{InMemoryCheckpointStore, SqliteCheckpointConfig, SqliteCheckpointStore};
use async_trait::async_trait;
use tempfile::TempDir;

pub(crate) struct Memory;

#[async_trait]
impl CheckpointStoreHarness for Memory {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        Arc::new(InMemoryCheckpointStore::new().with_retention(None).with_limits(limits))
    }
}

pub(crate) struct Sqlite(TempDir);

impl Sqlite {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder is made"))
    }

    async fn open(&self, limits: StateLimits) -> SqliteCheckpointStore {
        let mut config = SqliteCheckpointConfig::default();
        config.limits = limits;
        config.retention = None;
        let clock = Arc::new(SystemClock::new());
        SqliteCheckpointStore::open_with(self.0.path().join("checkpoints.db"), config, clock)
            .await
            .expect("the store opens")
    }
}

#[async_trait]
impl CheckpointStoreHarness for Sqlite {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        Arc::new(self.open(limits).await)
    }
}

/// Held through one pointer more than the suite itself does.
struct Pointers(Sqlite);

#[async_trait]
impl CheckpointStoreHarness for Pointers {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        let boxed: Box<dyn CheckpointStore> = Box::new(self.0.open(limits).await);
        let shared: Arc<dyn CheckpointStore> = Arc::new(boxed);
        Arc::new(shared)
    }
}

/// A fault-injecting store that injects none.
struct Faultless;

#[async_trait]
impl CheckpointStoreHarness for Faultless {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        Arc::new(FaultyStore::new(InMemoryCheckpointStore::new().with_retention(None).with_limits(limits)))
    }
}

/// Its commits go through a layer.
struct Layered(Sqlite);

#[async_trait]
impl CheckpointStoreHarness for Layered {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        let layer = RetryLayer::new(Component::Checkpoint.retry()).expect("the component's values work");
        Arc::new(ServiceCheckpointStore::layered(self.0.open(limits).await, &layer))
    }
}

#[cfg(feature = "cache")]
pub(crate) mod cached {
    use std::sync::Mutex;
    use std::time::Duration;

    use agentscale_core::Tenant;
    use agentscale_core::lease::{AcquireRequest, Lease, LeaseKey};
    use agentscale_core::testkit::TestServer;
    use agentscale_store::{CachedCheckpointStore, CheckpointCacheConfig, InMemoryLeaseStore};

    #[cfg(feature = "redis")]
    use agentscale_core::MessageId;
    #[cfg(feature = "redis")]
    use agentscale_store::{RedisStates, RedisStatesConfig};

    use super::*;

    /// Holds states in memory.
    pub(crate) struct Cached<H>(pub(crate) H);

    #[async_trait]
    impl<H: CheckpointStoreHarness> CheckpointStoreHarness for Cached<H> {
        fn server(&self) -> Option<TestServer> {
            self.0.server()
        }

        async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
            let inner = self.0.start(limits).await;
            Arc::new(CachedCheckpointStore::new(inner, &CheckpointCacheConfig::default()))
        }
    }

    mod memory {
        use super::{Cached, Memory};
        agentscale_core::checkpoint_store_conformance!(Cached(Memory));
    }

    mod sqlite {
        use super::{Cached, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Cached(Sqlite::new()));
    }

    /// Asks for no tip that an owner has left through it: the lease says that nobody else moves one.
    struct Leased(Sqlite, Mutex<Option<Lease>>);

    #[async_trait]
    impl CheckpointStoreHarness for Leased {
        async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
            let key = LeaseKey::new(&Tenant::new("acme").expect("a name"), "node", "1").expect("names");
            let request =
                AcquireRequest::new(key, "here".try_into().expect("a name"), Duration::from_secs(30));
            let leases = Arc::new(InMemoryLeaseStore::new());
            let lease = Lease::acquire(leases, request).await.expect("nobody holds it");
            let store =
                CachedCheckpointStore::new(self.0.open(limits).await, &CheckpointCacheConfig::default())
                    .with_lease(lease.watch());
            *self.1.lock().expect("no test panics with it") = Some(lease);
            Arc::new(store)
        }
    }

    /// Holds states in Redis too, and next to none in memory.
    #[cfg(feature = "redis")]
    struct Redis<H>(H);

    #[cfg(feature = "redis")]
    #[async_trait]
    impl<H: CheckpointStoreHarness> CheckpointStoreHarness for Redis<H> {
        fn server(&self) -> Option<TestServer> {
            Some(TestServer::Redis)
        }

        async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
            let url = TestServer::Redis.url().expect("without it the suite is left out");
            let namespace = format!("test-{}", MessageId::new(1));
            let redis = RedisStates::new(&url, namespace, &RedisStatesConfig::default()).expect("it works");
            let mut config = CheckpointCacheConfig::default();
            config.bytes = 0;
            Arc::new(CachedCheckpointStore::new(self.0.start(limits).await, &config).with_redis(redis))
        }
    }

    #[cfg(feature = "redis")]
    mod redis {
        use super::{Redis, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Redis(Sqlite::new()));
    }

    mod leased {
        use super::{Leased, Mutex, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Leased(Sqlite::new(), Mutex::new(None)));
    }

    mod doubly {
        use super::{Cached, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Cached(Cached(Sqlite::new())));
    }
}

#[cfg(feature = "encryption")]
pub(crate) mod encrypted {
    use agentscale_core::Tenant;
    use agentscale_core::testkit::TestServer;
    use agentscale_store::{EncryptedCheckpointStore, KeyId, StaticTenantKeys, TenantKey};

    use super::*;

    /// Seals what the store behind gets, which has room for what seals take.
    pub(crate) struct Encrypted<H>(pub(crate) H);

    #[async_trait]
    impl<H: CheckpointStoreHarness> CheckpointStoreHarness for Encrypted<H> {
        fn server(&self) -> Option<TestServer> {
            self.0.server()
        }

        async fn start(&self, mut limits: StateLimits) -> Arc<dyn CheckpointStore> {
            limits.commit_bytes += 58;
            limits.state_bytes += 2 * 58;
            let keys = ["acme", "other"].map(|name| Tenant::new(name).expect("a name"));
            let keys = keys.into_iter().fold(StaticTenantKeys::new(), |keys, tenant| {
                keys.with_key(tenant, KeyId(1), TenantKey::new([1; 32]))
            });
            Arc::new(EncryptedCheckpointStore::new(self.0.start(limits).await, keys))
        }
    }

    mod memory {
        use super::{Encrypted, Memory};
        agentscale_core::checkpoint_store_conformance!(Encrypted(Memory));
    }

    mod sqlite {
        use super::{Encrypted, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Encrypted(Sqlite::new()));
    }
}

#[cfg(all(feature = "cache", feature = "encryption"))]
mod both {
    use super::Sqlite;
    use super::cached::Cached;
    use super::encrypted::Encrypted;

    mod plain_cache {
        use super::{Cached, Encrypted, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Cached(Encrypted(Sqlite::new())));
    }

    mod sealed_cache {
        use super::{Cached, Encrypted, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Encrypted(Cached(Sqlite::new())));
    }
}

mod memory {
    agentscale_core::checkpoint_store_conformance!(super::Memory);
}

mod sqlite {
    agentscale_core::checkpoint_store_conformance!(super::Sqlite::new());
}

mod pointers {
    agentscale_core::checkpoint_store_conformance!(super::Pointers(super::Sqlite::new()));
}

mod layered {
    agentscale_core::checkpoint_store_conformance!(super::Layered(super::Sqlite::new()));
}

mod faultless {
    agentscale_core::checkpoint_store_conformance!(super::Faultless);
}
