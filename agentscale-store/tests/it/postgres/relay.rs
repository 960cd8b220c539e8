//! A relay before a server, which counts what passes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Ends with this.
pub(crate) struct Relay {
    url: String,
    state: Arc<State>,
    _task: JoinSet<()>,
}

#[derive(Default)]
struct State {
    asked: AtomicU64,
    trips: AtomicU64,
}

impl Relay {
    pub(crate) async fn before(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().expect("an address");
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address: SocketAddr = listener.local_addr().expect("it has an address");
        let state = Arc::<State>::default();
        let mut task = JoinSet::new();
        task.spawn(serve(listener, server.clone(), state.clone()));
        Self { url: url.replacen(&server, &address.to_string(), 1), state, _task: task }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Bytes that clients sent.
    pub(crate) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// How often a client spoke after the server did.
    pub(crate) fn trips(&self) -> u64 {
        self.state.trips.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, server: String, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (server, state) = (server.clone(), state.clone());
        connections.spawn(async move {
            // A connection that ends is all that can happen here.
            let _ = forward(client, &server, &state).await;
        });
    }
}

async fn forward(mut client: TcpStream, server: &str, state: &State) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut server_spoke = true;
    loop {
        let (bytes, is_asked) = tokio::select! {
            read = client.read(&mut asked) => (read?, true),
            read = server.read(&mut answered) => (read?, false),
        };
        if bytes == 0 {
            return Ok(());
        }
        if is_asked {
            state.asked.fetch_add(bytes as u64, Ordering::Relaxed);
            state.trips.fetch_add(u64::from(server_spoke), Ordering::Relaxed);
            server.write_all(&asked[..bytes]).await?;
        } else {
            client.write_all(&answered[..bytes]).await?;
        }
        server_spoke = !is_asked;
    }
}
