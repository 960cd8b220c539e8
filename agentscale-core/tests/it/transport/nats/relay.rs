//! A relay before a server that can be cut.

use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What passes the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passes {
    All,
    /// Nothing, though connections stay open.
    Nothing,
    /// No connection.
    Closed,
}

/// Ends with this.
pub(super) struct Relay {
    url: String,
    passes: Arc<watch::Sender<Passes>>,
    _task: JoinSet<()>,
}

impl Relay {
    pub(super) async fn before(url: &str) -> Self {
        let (user, server) = url.rsplit_once('@').expect("a user and a server");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let passes = Arc::new(watch::channel(Passes::All).0);
        let mut task = JoinSet::new();
        task.spawn(serve(listener, server.to_owned(), passes.clone()));
        Self { url: format!("{user}@{address}"), passes, _task: task }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What is sent from now on is lost.
    pub(super) fn swallow(&self) {
        self.passes.send_replace(Passes::Nothing);
    }

    /// Ends connections, and makes none.
    pub(super) fn cut(&self) {
        self.passes.send_replace(Passes::Closed);
    }

    pub(super) fn mend(&self) {
        self.passes.send_replace(Passes::All);
    }
}

async fn serve(listener: TcpListener, server: String, passes: Arc<watch::Sender<Passes>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if *passes.borrow() == Passes::All {
            connections.spawn(forward(client, server.clone(), passes.subscribe()));
        }
    }
}

async fn forward(mut client: TcpStream, server: String, mut passes: watch::Receiver<Passes>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = passes.wait_for(|passes| *passes != Passes::All) => {}
    }
    // Open and silent, until the connection is cut. A sender who is gone has cut it.
    let _ = passes.wait_for(|passes| *passes == Passes::Closed).await;
}
