//! Ten thousand reservations at once from four processes, one of which is killed. The processes are this test binary itself.

mod purse;

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::budget::{Balance, Exchange, JoinRequest, LeaveRequest};
use agentscale_core::checkpoint::Epoch;
#[cfg(feature = "postgres")]
use agentscale_core::testkit::TestServer;
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::{BudgetLedger, ErrorKind};
use agentscale_store::SqliteBudgetLedger;
use tempfile::TempDir;

#[cfg(feature = "postgres")]
use crate::postgres::Scene;
use purse::{Purse, budget, line};

const PLACE: &str = "AGENTSCALE_TEST_RESERVATIONS";
const JOURNAL: &str = "AGENTSCALE_TEST_JOURNAL";
const PROCESSES: u64 = 4;
const RESERVATIONS: u64 = 2_500;
/// Of each reservation.
const MOST: u64 = 10;
/// Less than all reservations together, and more than all that is spent.
const LIMIT: u64 = PROCESSES * RESERVATIONS * 7;
const LEASE: Duration = Duration::from_secs(120);

fn now() -> u64 {
    SystemClock::new().unix_micros()
}

/// A ledger that several processes share.
enum Place {
    File(TempDir),
    #[cfg(feature = "postgres")]
    Server(Scene),
}

impl Place {
    /// One of each kind that there is.
    fn all() -> Vec<Self> {
        let file = Self::File(tempfile::tempdir().expect("a folder is made"));
        #[cfg(feature = "postgres")]
        let servers = [TestServer::Postgres, TestServer::PgBouncer]
            .into_iter()
            .filter_map(Scene::new)
            .map(Self::Server);
        #[cfg(not(feature = "postgres"))]
        let servers = std::iter::empty();
        std::iter::once(file).chain(servers).collect()
    }

    fn name(&self) -> String {
        match self {
            Self::File(folder) => folder.path().join("budgets.db").display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Server(scene) => format!("{} {}", scene.schema, scene.url),
        }
    }

    async fn open(&self) -> Arc<dyn BudgetLedger> {
        open(&self.name()).await
    }
}

async fn open(place: &str) -> Arc<dyn BudgetLedger> {
    #[cfg(feature = "postgres")]
    if let Some((schema, url)) = place.split_once(' ') {
        let scene = Scene::of_another(url, schema);
        let ledger = super::postgres::open(&scene).await;
        // The schema is its maker's to drop.
        std::mem::forget(scene);
        return Arc::new(ledger);
    }
    Arc::new(SqliteBudgetLedger::open(place).await.expect("the ledger opens"))
}

/// Not a test of its own: what the other process runs. What it spends it writes to its journal first.
#[tokio::test]
async fn child_that_reserves() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let mut journal = fs::File::create(std::env::var(JOURNAL).unwrap()).unwrap();
    let ledger = open(&place).await;
    let epoch = ledger.join(JoinRequest::new(now(), LEASE)).await.unwrap().epoch;
    println!("epoch {} {}", epoch.incarnation, epoch.counter);
    let purse = Arc::new(Purse::new(ledger.clone(), epoch, LIMIT));
    let mut tasks = Vec::new();
    for number in 0..RESERVATIONS {
        let purse = purse.clone();
        tasks.push(tokio::spawn(async move { (number, purse.reserve(MOST).await) }));
    }
    let mut settled = 0;
    for task in tasks {
        let (number, is_reserved) = task.await.unwrap();
        if is_reserved {
            // Every fourth one is released without a word.
            let spent = if number % 4 == 0 { 0 } else { 1 + number % MOST };
            writeln!(journal, "{spent}").unwrap();
            purse.settle(MOST, spent);
            settled += 1;
        }
        if settled == RESERVATIONS / 4 {
            println!("quarter");
        }
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    purse.tell().await;
    ledger.leave(LeaveRequest::new(epoch, now())).await.unwrap();
}

struct Spender {
    process: Child,
    journal: PathBuf,
}

fn start(place: &Place, journal: &Path) -> Spender {
    let process = Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", "budgets::reservations::child_that_reserves", "--nocapture"])
        .env(PLACE, place.name())
        .env(JOURNAL, journal)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again");
    Spender { process, journal: journal.to_owned() }
}

impl Spender {
    /// Waits for its end; one that is to be killed is killed where it has settled a quarter.
    fn end(&mut self, kills: bool) -> Epoch {
        let mut epoch = Epoch::default();
        for line in BufReader::new(self.process.stdout.take().expect("it writes")).lines() {
            let line = line.expect("it is read");
            if let Some((_, numbers)) = line.split_once("epoch ") {
                let (incarnation, counter) = numbers.split_once(' ').expect("two numbers");
                epoch = Epoch {
                    incarnation: incarnation.parse().expect("a number"),
                    counter: counter.parse().expect("a number"),
                };
            }
            if kills && line.ends_with("quarter") {
                self.process.kill().expect("it dies");
            }
        }
        let ended = self.process.wait().expect("it ends");
        assert_eq!(ended.success(), !kills);
        epoch
    }

    fn spent(&self) -> u64 {
        let journal = fs::read_to_string(&self.journal).expect("it kept a journal");
        journal.lines().map(|line| line.parse::<u64>().expect("a number")).sum()
    }
}

async fn balance(ledger: &dyn BudgetLedger) -> Balance {
    ledger.balances(&[budget()], now()).await.expect("the ledger is read")[0]
}

/// All but the first end in order; that one is killed. Gives what each has spent.
async fn reserve_at_once(place: &Place, folder: &Path) -> (Epoch, u64, u64) {
    // The tables are made.
    place.open().await;
    let spenders: Vec<_> =
        (0..PROCESSES).map(|number| start(place, &folder.join(format!("journal-{number}")))).collect();
    let ends = spenders
        .into_iter()
        .zip(0..)
        .map(|(mut spender, number)| std::thread::spawn(move || (spender.end(number == 0), spender.spent())));
    let mut ended: Vec<_> =
        ends.collect::<Vec<_>>().into_iter().map(|end| end.join().expect("it is seen")).collect();
    let (dead, its) = ended.remove(0);
    (dead, its, ended.iter().map(|(_, spent)| spent).sum())
}

#[tokio::test]
async fn what_a_killed_process_reserved_returns_to_whoever_has_its_journal() {
    for place in Place::all() {
        let folder = tempfile::tempdir().unwrap();
        let (dead, its, others) = reserve_at_once(&place, folder.path()).await;
        let ledger = place.open().await;
        let found = balance(&*ledger).await;
        let used = found.spent.saturating_add(found.reserved).tokens;
        assert!(its > 0 && its + others <= used && used <= LIMIT, "{its} + {others} were spent: {found:?}");
        assert!(found.reserved.tokens > 0 && found.forfeited.tokens == 0, "{found:?}");
        let settled =
            Exchange::new(dead, u64::from(u32::MAX), now(), LEASE).with_lines(vec![line(LIMIT, its, its)]);
        ledger.exchange(settled).await.unwrap();
        ledger.leave(LeaveRequest::new(dead, now())).await.unwrap();
        let found = balance(&*ledger).await;
        assert_eq!((found.spent.tokens, found.reserved.tokens), (its + others, 0), "to the last token");
    }
}

#[tokio::test]
async fn what_a_killed_process_reserved_and_nobody_knows_of_is_forfeited_with_its_lease() {
    let over = u64::try_from(LEASE.as_micros()).unwrap();
    for place in Place::all() {
        let folder = tempfile::tempdir().unwrap();
        let (dead, its, others) = reserve_at_once(&place, folder.path()).await;
        let ledger = place.open().await;
        let before = balance(&*ledger).await;
        #[cfg(feature = "postgres")]
        if let Place::Server(scene) = &place {
            super::postgres::pass(scene, LEASE).await;
        }
        let late = Exchange::new(dead, u64::from(u32::MAX), now() + over, LEASE);
        assert_eq!(ledger.exchange(late).await.unwrap_err().kind(), ErrorKind::Fenced);
        let found = ledger.balances(&[budget()], now() + over).await.unwrap()[0];
        assert_eq!((found.reserved.tokens, found.forfeited), (0, before.reserved));
        assert!(its + others <= found.spent.tokens && found.spent.tokens <= LIMIT, "{found:?}");
    }
}
