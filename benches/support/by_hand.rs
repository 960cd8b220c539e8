//! One row that so many connections count up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::Failure;

/// Updates a second in each round.
pub(crate) async fn run(
    url: &str,
    connections: usize,
    seconds: Duration,
    rounds: usize,
) -> Result<Vec<f64>, Failure> {
    let mut maker = connect(url).await?;
    let make = "CREATE TABLE IF NOT EXISTS by_hand (id int PRIMARY KEY, n bigint) WITH (fillfactor = 50)";
    sqlx::raw_sql(make).execute(&mut maker).await?;
    sqlx::raw_sql("INSERT INTO by_hand VALUES (1, 0) ON CONFLICT DO NOTHING").execute(&mut maker).await?;
    let mut figures = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let done = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::with_capacity(connections);
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            opened.push(connect(url).await?);
        }
        let until = Instant::now() + seconds;
        for mut connection in opened {
            let done = Arc::clone(&done);
            tasks.push(tokio::spawn(async move {
                while Instant::now() < until {
                    // Sent in one piece, which a pooler takes too.
                    let count = "UPDATE by_hand SET n = n + 1 WHERE id = 1";
                    sqlx::raw_sql(count).execute(&mut connection).await?;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                connection.close().await
            }));
        }
        for task in tasks {
            task.await??;
        }
        figures.push(done.load(Ordering::Relaxed) as f64 / seconds.as_secs_f64());
    }
    sqlx::raw_sql("DROP TABLE by_hand").execute(&mut maker).await?;
    maker.close().await?;
    Ok(figures)
}

async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    url.parse::<PgConnectOptions>()?.extra_float_digits(None).connect().await
}
