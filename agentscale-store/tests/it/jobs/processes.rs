//! Several processes on one file, of which some are killed.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agentscale_core::jobs::{ClaimJobs, Finish, Job, JobId, QueueName, WorkerId};
use agentscale_core::{JobQueue, Tenant};
use agentscale_store::SqliteJobQueue;

const FILE: &str = "AGENTSCALE_TEST_QUEUE";
const JOBS: usize = 300;
const TTL: Duration = Duration::from_secs(2);

fn name() -> QueueName {
    "work".try_into().expect("a name")
}

/// Not a test of its own: what the other processes run, workers that say what they have finished.
#[tokio::test]
async fn child_that_works() {
    let Ok(path) = std::env::var(FILE) else { return };
    let queue = SqliteJobQueue::open(&path).await.unwrap();
    let worker = WorkerId::new(0);
    loop {
        let claimed = queue.claim(ClaimJobs::new(worker, name(), 7).with_ttl(TTL)).await.unwrap();
        for claimed in claimed {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let answers = queue.finish(vec![Finish::completed(claimed.run(), "")]).await.unwrap();
            if answers[0].is_ok() {
                println!("finished {}", claimed.job.id);
            }
        }
        queue.changed(&[name()], TTL).await.unwrap();
    }
}

/// A process, and what it says it has finished.
struct Worker {
    process: Child,
    said: Box<dyn Iterator<Item = String>>,
}

fn start(path: &Path) -> Worker {
    let mut process = Command::new(std::env::current_exe().expect("this is a program"))
        .args(["--exact", "jobs::processes::child_that_works", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(process.stdout.take().expect("it speaks")).lines().map_while(Result::ok);
    let said = lines.filter_map(|line| line.split_once("finished ").map(|(_, id)| id.to_owned()));
    Worker { process, said: Box::new(said) }
}

#[tokio::test]
async fn after_kill_9_of_workers_no_job_is_lost_and_none_is_finished_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let queue = SqliteJobQueue::open(&path).await.unwrap();
    let jobs: Vec<_> = (0..JOBS)
        .map(|_| {
            let tenant = Tenant::new("acme").unwrap();
            Job::new(JobId::new(0), tenant, name(), "test".try_into().unwrap(), "x")
        })
        .collect();
    let ids: HashSet<_> = jobs.iter().map(|job| job.id.to_string()).collect();
    queue.enqueue(jobs).await.unwrap();

    let mut children: Vec<_> = (0..3).map(|_| start(&path)).collect();
    let mut said: HashMap<String, u32> = HashMap::new();
    // The first two are killed in the middle of their work.
    for child in &mut children[..2] {
        child.said.by_ref().take(20).for_each(|id| *said.entry(id).or_default() += 1);
        child.process.kill().unwrap();
    }
    while queue.counts(&[name()]).await.unwrap().iter().any(|counts| counts.ready + counts.running > 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for child in &mut children {
        // One that was killed before is none to kill.
        let _ = child.process.kill();
        child.said.by_ref().for_each(|id| *said.entry(id).or_default() += 1);
        child.process.wait().unwrap();
    }
    assert!(said.keys().all(|id| ids.contains(id)) && said.values().all(|times| *times == 1), "{said:?}");
    // A worker that was killed between the commit and its line has finished one that nobody heard of.
    assert!(said.len() >= JOBS - 2, "{}", said.len());
}
