//! Exchanges of budgets and slots of accounts, on each store, beside a row that is counted up by hand.
//!
//! `cargo bench --bench ledger [-- SECONDS ROUNDS]`; the folder is `TMPDIR`'s. PostgreSQL with `--features store-postgres`,
//! the server by `AGENTSCALE_TEST_POSTGRES_URL`, PgBouncer by `AGENTSCALE_TEST_PGBOUNCER_URL`; `cargo xtask servers -- cargo
//! bench …` starts both. The servers' rows stand in the schema `agentscale`.
//!
//! *Holders* exchange one after the other, without a pause, as no gateway does: one exchange of a gateway settles what its
//! calls spent in five seconds. *By hand* is one `UPDATE … SET n = n + 1` of one row by as many connections, which is what a lock on
//! the row of a hot tenant allows. *Runs* take a slot of an account and drop it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agentscale_core::budget::{
    Amount, BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Exchange, GrantLine, JoinRequest, Money,
};
use agentscale_core::slots::{AccountSlots, SlotConfig, SlotKey, SlotRequest};
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::{Account, BudgetLedger, Tenant};
use agentscale_store::Stores;

#[path = "support/by_hand.rs"]
#[cfg(feature = "store-postgres")]
mod by_hand;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const HOLDERS: usize = 8;
const RUNS: usize = 64;
const LEASE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let numbers: Vec<f64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let seconds = Duration::from_secs_f64(numbers.first().copied().unwrap_or(1.0));
    let rounds = numbers.get(1).map_or(3, |rounds| *rounds as usize);
    println!("median of {rounds} rounds of {seconds:?} each");
    let folder = tempfile::tempdir()?;
    measure("SQLite", &Stores::sqlite(folder.path()).await?, seconds, rounds).await?;
    slots("in memory", &Stores::in_memory(), seconds, rounds).await?;
    #[cfg(feature = "store-postgres")]
    for (name, variable) in
        [("PostgreSQL", "AGENTSCALE_TEST_POSTGRES_URL"), ("PgBouncer", "AGENTSCALE_TEST_PGBOUNCER_URL")]
    {
        let Ok(url) = std::env::var(variable) else {
            println!("left out: {name}, as {variable} names no server");
            continue;
        };
        for connections in [1, HOLDERS] {
            let figures = by_hand::run(&url, connections, seconds, rounds).await?;
            line(&format!("{name}: by hand, {connections} connections"), &figures);
        }
        measure(name, &Stores::postgres(&url).await?, seconds, rounds).await?;
    }
    #[cfg(not(feature = "store-postgres"))]
    println!("left out: PostgreSQL, as the feature store-postgres is off");
    Ok(())
}

async fn measure(name: &str, stores: &Stores, seconds: Duration, rounds: usize) -> Result<(), Failure> {
    for (what, holders, budgets, is_hot) in [
        ("exchanges, 1 holder, 1 budget", 1, 1, true),
        ("exchanges, 8 holders, 1 budget", HOLDERS, 1, true),
        ("exchanges, 8 holders, 1 budget each", HOLDERS, 1, false),
        ("exchanges of 64 lines, 8 holders, 64 budgets", HOLDERS, 64, true),
    ] {
        let mut figures = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            figures.push(exchanges(&stores.budgets().await?, holders, budgets, is_hot, seconds).await?);
        }
        line(&format!("{name}: {what}"), &figures);
    }
    slots(name, stores, seconds, rounds).await
}

async fn slots(name: &str, stores: &Stores, seconds: Duration, rounds: usize) -> Result<(), Failure> {
    for (what, runs) in [("slots, 1 run", 1), ("slots, 64 runs, an account each", RUNS)] {
        let mut figures = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let slots = AccountSlots::start(stores.slots().await?, SlotConfig::default())?;
            figures.push(takes(&slots, runs, seconds).await?);
            slots.close().await?;
        }
        line(&format!("{name}: {what}"), &figures);
    }
    Ok(())
}

/// Exchanges a second, all holders together.
async fn exchanges(
    ledger: &Arc<dyn BudgetLedger>,
    holders: usize,
    budgets: usize,
    is_hot: bool,
    seconds: Duration,
) -> Result<f64, Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let clock = SystemClock::new();
    let mut tasks = Vec::with_capacity(holders);
    let until = Instant::now() + seconds;
    for number in 0..holders {
        let (ledger, done) = (Arc::clone(ledger), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            let epoch = ledger.join(JoinRequest::new(clock.unix_micros(), LEASE)).await?.epoch;
            let mut spent = 0;
            for sequence in 1.. {
                if Instant::now() >= until {
                    break;
                }
                spent += 10;
                let of = |at: usize| if is_hot { format!("hot {at}") } else { format!("{number} {at}") };
                let lines = (0..budgets).map(|at| grant(&of(at), spent)).collect();
                let exchange = Exchange::new(epoch, sequence, clock.unix_micros(), LEASE).with_lines(lines);
                ledger.exchange(exchange).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, agentscale_core::Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / seconds.as_secs_f64())
}

fn grant(model: &str, spent: u64) -> GrantLine {
    let amount = |tokens: u64| Amount::new(tokens, Money::from_nanos(tokens * 3));
    let scope = BudgetScope::new(None).with_model(model);
    GrantLine {
        budget: BudgetId::at(scope, BudgetPeriod::Forever, 0),
        limit: BudgetLimit::of_tokens(u64::MAX / 4).with_money(Money::MAX),
        spent: amount(spent),
        least: amount(spent + 20),
        most: amount(spent + 20),
    }
}

/// Slots taken and dropped a second, all runs together.
async fn takes(slots: &AccountSlots, runs: usize, seconds: Duration) -> Result<f64, Failure> {
    let until = Instant::now() + seconds;
    let mut tasks = Vec::with_capacity(runs);
    for number in 0..runs {
        let slots = slots.clone();
        let key = SlotKey::new(Tenant::new("bench")?, Some(Account::new(format!("account {number}"))?));
        tasks.push(tokio::spawn(async move {
            let mut taken = 0_u64;
            while Instant::now() < until {
                drop(slots.take(SlotRequest::new(key.clone(), 1)).await?);
                taken += 1;
            }
            Ok::<_, agentscale_core::Error>(taken)
        }));
    }
    let mut taken = 0;
    for task in tasks {
        taken += task.await??;
    }
    Ok(taken as f64 / seconds.as_secs_f64())
}

fn line(what: &str, figures: &[f64]) {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    println!("{what:<60}{:>10.0}/s", figures[figures.len() / 2]);
}
