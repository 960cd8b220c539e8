use agentscale_core::testkit::TestServer;
use agentscale_store::postgres::{Bound, Component, MonthlyTable, PartitionUnit, Partitions, Postgres};
use sqlx::Row as _;

use crate::postgres::Scene;

/// The first moments of November 2026 and of the months around it, in microseconds.
pub(crate) const OCTOBER: u64 = NOVEMBER - 31 * DAY;
pub(crate) const NOVEMBER: u64 = 1_793_491_200_000_000;
pub(crate) const DECEMBER: u64 = NOVEMBER + 30 * DAY;
pub(crate) const DAY: u64 = 86_400_000_000;

const EVENTS: Component = Component {
    name: "events",
    migrations: &["CREATE TABLE @.events (tenant text NOT NULL, at bigint NOT NULL, n bigint NOT NULL, \
                     note text, words tsvector, PRIMARY KEY (tenant, at, n)) PARTITION BY RANGE (at); \
                   CREATE INDEX ON @.events (n); \
                   CREATE TABLE @.events_default PARTITION OF @.events DEFAULT"],
};

/// A table by month, of which October stays in November.
pub(crate) struct Events {
    pub(crate) postgres: Postgres,
    pub(crate) partitions: Partitions,
    /// Dropped last.
    _scene: Scene,
}

impl Events {
    pub(crate) async fn new(server: TestServer) -> Option<Self> {
        Self::with_tenants(server, &[]).await
    }

    pub(crate) async fn with_tenants(server: TestServer, tenants: &[&str]) -> Option<Self> {
        let scene = Scene::new(server)?;
        let postgres = Postgres::open(&scene.url, &scene.config().database, 0).await.expect("it opens");
        postgres.migrate(&EVENTS).await.expect("the table is made");
        let partitions = partitions(&postgres, tenants).await;
        Some(Self { postgres, partitions, _scene: scene })
    }

    /// The table as another instance has it.
    pub(crate) async fn another(&self) -> Partitions {
        partitions(&self.postgres, &[]).await
    }

    pub(crate) async fn insert(&self, tenant: &str, at: u64, numbers: std::ops::Range<i64>) {
        let insert = self.postgres.statement(
            "insert events",
            "INSERT INTO @.events SELECT $1, $2, n, 'note ' || n, to_tsvector('simple', 'note') \
             FROM generate_series($3, $4 - 1) n",
        );
        let bound = Bound::new().with(tenant).with(at.cast_signed()).with(numbers.start).with(numbers.end);
        self.postgres.fetch(&insert, bound).await.expect("no insert fails");
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let count = self.postgres.statement("count", &format!("SELECT count(*) FROM @.{table}"));
        let rows = self.postgres.fetch(&count, Bound::new()).await.expect("the table is there");
        rows[0].get(0)
    }

    /// The names of all partitions, those that are detached with an exclamation mark.
    pub(crate) async fn names(&self) -> Vec<String> {
        let list = self.partitions.list().await.expect("they are listed");
        list.iter().map(|one| format!("{}{}", one.name, if one.is_attached { "" } else { "!" })).collect()
    }
}

async fn partitions(postgres: &Postgres, tenants: &[&str]) -> Partitions {
    let mut table = MonthlyTable::new("events", "at", PartitionUnit::Micros, 1);
    table.derived = &["words"];
    table.tenants = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
    Partitions::on(postgres.clone(), table).await.expect("it is prepared")
}
