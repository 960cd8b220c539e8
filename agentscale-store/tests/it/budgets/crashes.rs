//! Several processes on one file, kill -9 among them. The other process is this test binary itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agentscale_core::budget::{
    Amount, Balance, BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Exchange, GrantLine, JoinRequest,
    LeaveRequest, Money,
};
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::{BudgetLedger, ErrorKind, Tenant};
use agentscale_store::SqliteBudgetLedger;

const FILE: &str = "AGENTSCALE_TEST_BUDGETS";
const LIMIT: u64 = 1_000_000;
const LEASE: Duration = Duration::from_secs(2);

fn budget() -> BudgetId {
    let scope = BudgetScope::new(Some(Tenant::new("acme").expect("a name")));
    BudgetId::at(scope, BudgetPeriod::Forever, 0)
}

fn now() -> u64 {
    SystemClock::new().unix_micros()
}

fn tokens(tokens: u64) -> Amount {
    Amount::new(tokens, Money::ZERO)
}

fn line(spent: u64, least: u64) -> GrantLine {
    let (least, limit) = (tokens(least), BudgetLimit::of_tokens(LIMIT));
    GrantLine { budget: budget(), limit, spent: tokens(spent), least, most: least }
}

async fn balance(ledger: &SqliteBudgetLedger) -> Balance {
    ledger.balances(&[budget()], now()).await.expect("the ledger is read")[0]
}

/// Not a test of its own: what the other process runs, taking grants and spending them until it is killed or there is no more.
#[tokio::test]
async fn child_that_spends() {
    let Ok(path) = std::env::var(FILE) else { return };
    let ledger = SqliteBudgetLedger::open(path).await.unwrap();
    let epoch = ledger.join(JoinRequest::new(now(), LEASE)).await.unwrap().epoch;
    let (mut spent, mut granted) = (0, 0);
    for sequence in 1.. {
        let exchange =
            Exchange::new(epoch, sequence, now(), LEASE).with_lines(vec![line(spent, granted + 1_000)]);
        let grants = ledger.exchange(exchange).await.unwrap().grants;
        granted = grants[0].granted.tokens;
        // What was granted may be spent at once: it is told before the ledger is.
        println!("granted {granted}");
        if granted == spent {
            return;
        }
        spent = granted - (granted - spent) / 3;
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", "budgets::crashes::child_that_spends", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again")
}

/// The most that was granted before the line that is the last one allowed.
fn granted(child: &mut Child, lines: usize) -> u64 {
    let output = child.stdout.take().expect("the child writes");
    let mut most = 0;
    for (seen, line) in BufReader::new(output).lines().enumerate() {
        if seen == lines {
            child.kill().expect("the child dies");
        }
        // The last line may be cut off.
        let line = line.expect("the child is read");
        let number = line.split_once("granted ").and_then(|(_, number)| number.parse().ok());
        most = most.max(number.unwrap_or(0));
    }
    child.wait().expect("the child ends");
    most
}

#[tokio::test]
async fn what_a_killed_process_was_granted_stays_set_aside_and_is_forfeited_with_its_lease() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("budgets.db");
    let mut all = 0;
    for round in 1..=3 {
        all += granted(&mut start(&path), 20 * round);
        let ledger = SqliteBudgetLedger::open(&path).await.unwrap();
        let found = balance(&ledger).await;
        let used = found.spent.saturating_add(found.reserved).tokens;
        assert!(used >= all, "round {round}: {all} were granted, {used} are set aside");
        all = used;
        ledger.close().await.unwrap();
    }
    let ledger = SqliteBudgetLedger::open(&path).await.unwrap();
    let later = now() + u64::try_from(LEASE.as_micros()).unwrap();
    let found = ledger.balances(&[budget()], later).await.unwrap()[0];
    assert_eq!((found.spent.tokens, found.reserved.tokens), (all, 0));
    assert!(found.forfeited.tokens > 0);
    // What is left is all that there is for whoever comes next.
    let epoch = ledger.join(JoinRequest::new(later, LEASE)).await.unwrap().epoch;
    let exchange = Exchange::new(epoch, 1, later, LEASE).with_lines(vec![line(0, LIMIT)]);
    assert_eq!(ledger.exchange(exchange).await.unwrap().grants[0].granted.tokens, LIMIT - all);
}

#[tokio::test]
async fn processes_that_spend_at_once_stay_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("budgets.db");
    SqliteBudgetLedger::open(&path).await.unwrap().close().await.unwrap();
    let children: Vec<_> = (0..4).map(|_| start(&path)).collect();
    let spending = children.into_iter().map(|mut child| std::thread::spawn(move || granted(&mut child, 60)));
    let together: u64 = spending.collect::<Vec<_>>().into_iter().map(|child| child.join().unwrap()).sum();
    let ledger = SqliteBudgetLedger::open(&path).await.unwrap();
    let found = balance(&ledger).await;
    let used = found.spent.saturating_add(found.reserved).tokens;
    assert!(together <= used && used <= LIMIT, "{together} granted, {used} set aside");
    assert!(together > 0);
}

#[tokio::test]
async fn what_was_answered_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("budgets.db");
    let ledger = SqliteBudgetLedger::open(&path).await.unwrap();
    let epoch = ledger.join(JoinRequest::new(now(), LEASE)).await.unwrap().epoch;
    let exchange = Exchange::new(epoch, 1, now(), LEASE).with_lines(vec![line(30, 100)]);
    ledger.exchange(exchange).await.unwrap();
    ledger.close().await.unwrap();
    assert_eq!(
        ledger.leave(LeaveRequest::new(epoch, now())).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    let ledger = SqliteBudgetLedger::open(&path).await.unwrap();
    let found = balance(&ledger).await;
    assert_eq!((found.spent.tokens, found.reserved.tokens), (30, 70));
    ledger.leave(LeaveRequest::new(epoch, now())).await.unwrap();
    assert_eq!(balance(&ledger).await.reserved.tokens, 0, "a holder is one in any process");
}

#[tokio::test]
async fn budgets_are_forgotten_long_behind_their_period() {
    const DAY: u64 = 86_400_000_000;
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteBudgetLedger::open(folder.path().join("budgets.db")).await.unwrap();
    let day = |number: u64| BudgetId::at(BudgetScope::new(None), BudgetPeriod::Day, number * DAY);
    for number in [20_000, 20_034, 20_036, 20_037] {
        let epoch = ledger.join(JoinRequest::new(number * DAY, LEASE)).await.unwrap().epoch;
        let mut line = line(10, 10);
        line.budget = day(number);
        let exchange = Exchange::new(epoch, 1, number * DAY, LEASE).with_lines(vec![line]);
        ledger.exchange(exchange).await.unwrap();
        ledger.leave(LeaveRequest::new(epoch, number * DAY)).await.unwrap();
    }
    let ids = [20_000, 20_034, 20_036].map(day);
    let spent = ledger.balances(&ids, 20_037 * DAY).await.unwrap();
    assert_eq!(spent.iter().map(|balance| balance.spent.tokens).collect::<Vec<_>>(), [0, 10, 10]);
}
