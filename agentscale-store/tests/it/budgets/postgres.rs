//! Budgets in PostgreSQL: the server's clock, and the same answers as a file gives.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::budget::{
    Amount, BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Exchange, GrantLine, JoinRequest, LeaveRequest,
    Money,
};
use agentscale_core::conformance::budget::BudgetLedgerHarness;
use agentscale_core::testkit::TestServer;
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::{BudgetLedger, ErrorKind};
use agentscale_store::postgres::Postgres;
use agentscale_store::{PostgresBudgetLedger, SqliteBudgetLedger, Stores};
use async_trait::async_trait;

use crate::postgres::Scene;

const LEASE: Duration = Duration::from_secs(3_600);
const DAY: u64 = 86_400_000_000;

pub(crate) async fn open(scene: &Scene) -> PostgresBudgetLedger {
    let postgres = Postgres::open(&scene.url, &scene.config().database, 0).await.expect("the database opens");
    PostgresBudgetLedger::on(postgres).await.expect("the tables are made")
}

/// As if the server's clock had gone on.
pub(crate) async fn pass(scene: &Scene, time: Duration) {
    let micros = time.as_micros();
    scene.execute(&format!("UPDATE @.budget_holders SET expires = expires - {micros}")).await;
}

struct OnServer(TestServer, Option<Scene>);

impl OnServer {
    fn new(server: TestServer) -> Self {
        Self(server, Scene::new(server))
    }
}

#[async_trait]
impl BudgetLedgerHarness for OnServer {
    async fn start(&self) -> Arc<dyn BudgetLedger> {
        Arc::new(open(self.1.as_ref().expect("the server is named")).await)
    }

    async fn pass(&self, time: Duration) {
        pass(self.1.as_ref().expect("the server is named"), time).await;
    }

    fn server(&self) -> Option<TestServer> {
        Some(self.0)
    }
}

mod direct {
    agentscale_core::budget_ledger_conformance!(super::OnServer::new(super::TestServer::Postgres));
}

mod pooled {
    agentscale_core::budget_ledger_conformance!(super::OnServer::new(super::TestServer::PgBouncer));
}

mod prepared {
    agentscale_core::budget_ledger_conformance!(super::OnServer::new(super::TestServer::PreparedPgBouncer));
}

fn line(number: u64, limit: Option<u64>, spent: u64, least: u64, more: u64) -> GrantLine {
    // Tokens and money do not run short together.
    let amount = |tokens: u64| Amount::new(tokens, Money::from_nanos(tokens.saturating_mul(3)));
    let limit = limit.map_or(BudgetLimit::new(), |limit| {
        BudgetLimit::of_tokens(limit).with_money(Money::from_nanos(limit.saturating_mul(2)))
    });
    let scope = BudgetScope::new(None).with_model(format!("model {number}"));
    GrantLine {
        budget: BudgetId::at(scope, BudgetPeriod::Forever, 0),
        limit,
        spent: amount(spent),
        least: amount(least),
        most: amount(least.saturating_add(more)),
    }
}

/// The arithmetic stands twice: in core, which SQLite uses, and in the statement.
#[tokio::test]
async fn whatever_holders_ask_for_the_answers_are_those_of_a_file() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteBudgetLedger::open(folder.path().join("budgets.db")).await.unwrap();
    let server = open(&scene).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut holders = Vec::new();
    for _ in 0..4 {
        let request = JoinRequest::new(0, LEASE);
        let joined = (file.join(request).await.unwrap().epoch, server.join(request).await.unwrap().epoch);
        holders.push((joined, [0_u64; 3]));
    }
    let ids: Vec<_> = (0..3).map(|number| line(number, None, 0, 0, 0).budget).collect();
    for sequence in 1..=150 {
        let ((in_file, on_server), spent) = &mut holders[random.usize(..4)];
        let mut lines = Vec::new();
        for (number, spent) in spent.iter_mut().enumerate().filter(|_| fastrand::bool()) {
            *spent += random.u64(..60);
            let limit = (random.u8(..10) > 0).then(|| random.u64(..4_000));
            lines.push(line(number as u64, limit, *spent, *spent + random.u64(..200), random.u64(..500)));
        }
        let ask = |epoch| Exchange::new(epoch, sequence, 0, LEASE).with_lines(lines.clone());
        let told = file.exchange(ask(*in_file)).await.unwrap();
        assert_eq!(server.exchange(ask(*on_server)).await.unwrap(), told, "{lines:?}");
        assert_eq!(server.balances(&ids, 0).await.unwrap(), file.balances(&ids, 0).await.unwrap());
        if random.u8(..20) == 0 {
            file.leave(LeaveRequest::new(*in_file, 0)).await.unwrap();
            server.leave(LeaveRequest::new(*on_server, 0)).await.unwrap();
            let request = JoinRequest::new(0, LEASE);
            *in_file = file.join(request).await.unwrap().epoch;
            *on_server = server.join(request).await.unwrap().epoch;
            *spent = [0; 3];
        }
    }
}

#[tokio::test]
async fn a_caller_whose_clock_is_wrong_ends_no_lease_of_another() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let ledger = open(&scene).await;
    let right = ledger.join(JoinRequest::new(0, LEASE)).await.unwrap().epoch;
    let ask =
        |sequence| Exchange::new(right, sequence, 0, LEASE).with_lines(vec![line(1, Some(100), 10, 60, 0)]);
    ledger.exchange(ask(1)).await.unwrap();
    let wrong = ledger.join(JoinRequest::new(u64::MAX / 4, LEASE)).await.unwrap().epoch;
    let taken = Exchange::new(wrong, 1, u64::MAX / 4, LEASE).with_lines(vec![line(1, Some(100), 0, 100, 0)]);
    assert_eq!(ledger.exchange(taken).await.unwrap().grants[0].granted.tokens, 40);
    ledger.exchange(ask(2)).await.unwrap();
}

#[tokio::test]
async fn budgets_are_forgotten_long_behind_their_period_by_the_servers_clock() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let ledger = open(&scene).await;
    let now = SystemClock::new().unix_micros();
    let day = |ago: u64| BudgetId::at(BudgetScope::new(None), BudgetPeriod::Day, now - ago * DAY);
    let epoch = ledger.join(JoinRequest::new(0, LEASE)).await.unwrap().epoch;
    let lines = |held: u64| -> Vec<_> {
        let of = |ago| GrantLine { budget: day(ago), ..line(0, Some(100), 10, 10 + held, 0) };
        [37, 34, 0].map(of).into()
    };
    ledger.exchange(Exchange::new(epoch, 1, 0, LEASE).with_lines(lines(5))).await.unwrap();
    let spent = async || -> Vec<_> {
        let found = ledger.balances(&[day(37), day(34), day(0)], 0).await.unwrap();
        found.iter().map(|balance| balance.spent.tokens).collect()
    };
    ledger.join(JoinRequest::new(0, LEASE)).await.unwrap();
    assert_eq!(spent().await, [10, 10, 10], "what is set aside is kept");
    ledger.exchange(Exchange::new(epoch, 2, 0, LEASE).with_lines(lines(0))).await.unwrap();
    ledger.exchange(Exchange::new(epoch, 3, 0, LEASE)).await.unwrap();
    assert_eq!(spent().await, [0, 10, 10]);
}

#[tokio::test]
async fn the_dead_are_dissolved_by_whoever_exchanges_next() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let ledger = open(&scene).await;
    let mut epochs = Vec::new();
    for _ in 0..3 {
        epochs.push(ledger.join(JoinRequest::new(0, LEASE)).await.unwrap().epoch);
    }
    let ask = |epoch, sequence| {
        Exchange::new(epoch, sequence, 0, LEASE).with_lines(vec![line(1, Some(100), 0, 9, 0)])
    };
    for epoch in &epochs {
        ledger.exchange(ask(*epoch, 1)).await.unwrap();
    }
    let [alive, ref dead @ ..] = epochs[..] else { unreachable!() };
    for epoch in dead {
        scene
            .execute(&format!("UPDATE @.budget_holders SET expires = 0 WHERE counter = {}", epoch.counter))
            .await;
    }
    ledger.exchange(ask(alive, 2)).await.unwrap();
    for epoch in dead {
        // Though its time came back: it is gone.
        assert_eq!(ledger.exchange(ask(*epoch, 2)).await.unwrap_err().kind(), ErrorKind::Fenced);
    }
    scene.execute("DELETE FROM @.budget_holders").await;
    let found = ledger.balances(&[line(1, None, 0, 0, 0).budget], 0).await.unwrap()[0];
    assert_eq!((found.reserved.tokens, found.spent.tokens, found.forfeited.tokens), (9, 18, 18));
}

#[tokio::test]
async fn a_bundle_on_postgres_has_its_ledger_there() {
    let Some(url) = TestServer::Postgres.url() else { return };
    let (here, there) = (Stores::postgres(&url).await.unwrap(), Stores::postgres(&url).await.unwrap());
    let epoch = here.budgets().await.unwrap().join(JoinRequest::new(0, LEASE)).await.unwrap().epoch;
    there.budgets().await.unwrap().leave(LeaveRequest::new(epoch, 0)).await.unwrap();
    here.close().await.unwrap();
    there.close().await.unwrap();
    let closed = here.budgets().await.unwrap().join(JoinRequest::new(0, LEASE)).await;
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Unavailable);
}
