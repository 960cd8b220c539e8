//! A relay before a server, which counts what passes and can fall silent.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

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
    is_silent: AtomicBool,
    /// What clients sent, a connection each.
    sent: Mutex<Vec<Vec<u8>>>,
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

    /// The statements that clients prepared under a name, which a session would have to keep.
    pub(crate) fn named_statements(&self) -> usize {
        let sent = self.state.sent.lock().expect("nobody panics with it");
        sent.iter().map(|connection| named_in(connection)).sum()
    }

    /// From now on nothing passes: as a machine that lost its power, or a cable.
    pub(crate) fn fall_silent(&self) {
        self.state.is_silent.store(true, Ordering::Relaxed);
    }

    /// Those who connect from now on are let through; what was sent meanwhile is lost.
    pub(crate) fn speak(&self) {
        self.state.is_silent.store(false, Ordering::Relaxed);
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
    let place = {
        let mut sent = state.sent.lock().expect("nobody panics with it");
        sent.push(Vec::new());
        sent.len() - 1
    };
    loop {
        let (bytes, is_asked) = tokio::select! {
            read = client.read(&mut asked) => (read?, true),
            read = server.read(&mut answered) => (read?, false),
        };
        if bytes == 0 {
            return Ok(());
        }
        if state.is_silent.load(Ordering::Relaxed) {
            // The connection stays open, and nobody hears anything on it again.
            return std::future::pending().await;
        }
        if is_asked {
            state.asked.fetch_add(bytes as u64, Ordering::Relaxed);
            state.sent.lock().expect("nobody panics with it")[place].extend(&asked[..bytes]);
            state.trips.fetch_add(u64::from(server_spoke), Ordering::Relaxed);
            server.write_all(&asked[..bytes]).await?;
        } else {
            client.write_all(&answered[..bytes]).await?;
        }
        server_spoke = !is_asked;
    }
}

/// Messages of the protocol that prepare a named statement: type, length and name, behind a beginning of lengths alone.
fn named_in(sent: &[u8]) -> usize {
    /// Asks for TLS, before the beginning proper.
    const TLS: u32 = 80_877_103;
    let word = |at: usize| {
        sent.get(at..at + 4).map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    };
    let mut at = 0;
    if word(4) == Some(TLS) {
        at = 8;
    }
    at += word(at).unwrap_or_default() as usize;
    let mut named = 0;
    while let (Some(kind), Some(length)) = (sent.get(at), word(at + 1)) {
        named += usize::from(*kind == b'P' && sent.get(at + 5) != Some(&0));
        at += 1 + length as usize;
    }
    named
}
