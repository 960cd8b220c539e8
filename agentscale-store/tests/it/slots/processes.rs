//! Eight processes hammer one account, and one of them is killed. The processes are this test binary itself; how many run at
//! once is seen by locks of files, which no store knows of.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::SlotStore;
use agentscale_core::slots::{AccountSlots, SlotConfig, SlotRequest};
#[cfg(feature = "postgres")]
use agentscale_core::testkit::TestServer;
use agentscale_store::SqliteSlotStore;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::handle::key;
#[cfg(feature = "postgres")]
use crate::postgres::Scene;

const PLACE: &str = "AGENTSCALE_TEST_SLOTS";
const WITNESS: &str = "AGENTSCALE_TEST_WITNESS";
const PROCESSES: usize = 8;
const LIMIT: u32 = 3;
const TTL: Duration = Duration::from_secs(2);

/// A store that several processes share.
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
            Self::File(folder) => folder.path().join("slots.db").display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Server(scene) => format!("{} {}", scene.schema, scene.url),
        }
    }
}

async fn open(place: &str) -> Arc<dyn SlotStore> {
    #[cfg(feature = "postgres")]
    if let Some((schema, url)) = place.split_once(' ') {
        let scene = Scene::of_another(url, schema);
        let store = super::conformance::postgres::open(&scene).await;
        // The schema is its maker's to drop.
        std::mem::forget(scene);
        return Arc::new(store);
    }
    Arc::new(SqliteSlotStore::open(place).await.expect("the store opens"))
}

fn config() -> SlotConfig {
    let mut config = SlotConfig::default();
    config.ttl = TTL;
    config
}

/// One of so many locks as there are slots: whoever holds a slot finds a free one.
fn witness(folder: &Path) -> File {
    for number in 0..LIMIT {
        let file = File::create(folder.join(format!("run-{number}"))).expect("the file is made");
        if file.try_lock().is_ok() {
            return file;
        }
    }
    println!("above the limit");
    panic!("more runs than slots");
}

/// Not a test of its own: what the other process runs, runs of one account until it is killed.
#[tokio::test]
async fn child_that_runs() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let folder = std::env::var(WITNESS).unwrap();
    let slots = AccountSlots::start(open(&place).await, config()).unwrap();
    let runs = (0..4).map(|number| {
        let (slots, folder) = (slots.clone(), folder.clone());
        tokio::spawn(async move {
            loop {
                let Ok(slot) = slots.take(SlotRequest::new(key("alice"), LIMIT)).await else { continue };
                let run = witness(folder.as_ref());
                println!("runs");
                sleep(Duration::from_millis(1 + number)).await;
                slot.check().expect("it is renewed in time");
                drop(run);
                drop(slot);
            }
        })
    });
    let (ended, ..) = futures::future::select_all(runs.collect::<Vec<_>>()).await;
    panic!("a run has ended: {:?}", ended.err());
}

struct Runner {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

fn start(place: &Place, folder: &Path) -> Runner {
    let mut process = Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", "slots::processes::child_that_runs", "--nocapture"])
        .env(PLACE, place.name())
        .env(WITNESS, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again");
    let lines = BufReader::new(process.stdout.take().expect("it writes")).lines();
    Runner { process, lines }
}

impl Runner {
    /// Waits for so many more of its runs; gives whether there were as many, and none above the limit.
    fn goes_on(&mut self, runs: usize) -> bool {
        let lines = self.lines.by_ref().map_while(Result::ok);
        let lines = lines.take_while(|line| !line.ends_with("above the limit"));
        lines.filter(|line| line.ends_with("runs")).take(runs).count() == runs
    }

    fn kill(&mut self) {
        self.process.kill().expect("it dies");
        self.process.wait().expect("it ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_together_stay_within_the_limit_of_an_account() {
    for place in Place::all() {
        let folder = tempfile::tempdir().unwrap();
        // The tables are made.
        open(&place.name()).await;
        let runners: Vec<_> = (0..PROCESSES).map(|_| start(&place, folder.path())).collect();
        let seen = runners.into_iter().map(|mut runner| {
            std::thread::spawn(move || {
                let goes_on = runner.goes_on(25);
                (goes_on, runner)
            })
        });
        let seen: Vec<_> = seen.collect::<Vec<_>>().into_iter().map(|seen| seen.join().unwrap()).collect();
        let all_go_on = seen.iter().all(|(goes_on, _)| *goes_on);
        seen.into_iter().for_each(|(_, mut runner)| runner.kill());
        assert!(all_go_on, "each process has its turns, and none is above the limit");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_a_killed_process_return_with_its_lease() {
    for place in Place::all() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&place.name()).await;
        let mut runner = start(&place, folder.path());
        assert!(runner.goes_on(10));
        runner.kill();
        let killed = Instant::now();
        let slots = AccountSlots::start(store, config()).unwrap();
        let request = || SlotRequest::new(key("alice"), LIMIT).within(Duration::from_secs(15));
        let mut held = Vec::new();
        for _ in 0..LIMIT {
            held.push(slots.take(request()).await.expect("all of them come back"));
        }
        assert!(killed.elapsed() < TTL * 2, "{:?}", killed.elapsed());
        slots.close().await.unwrap();
    }
}
