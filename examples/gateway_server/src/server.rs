//! The listener and its connections. HTTP/1.1 without TLS: that ends at the proxy in front.

mod drain;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agentscale::core::metrics::Gauge;
use agentscale::core::{Error, ErrorKind, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

pub(crate) use drain::{Cut, Drain};

use crate::app::App;
use crate::config::Limits;
use crate::router::router;

/// How long streams may take to say that they were cut, and the ledger to settle.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How much of an answer waits for its client in a connection; what comes behind waits at the provider.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// A server that has its address and hears when it shall end.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    told: drain::Told,
}

impl Server {
    /// # Errors
    /// `unavailable` where the address cannot be bound; `internal` where the process cannot hear that it shall end.
    pub(crate) async fn bind(listen: SocketAddr) -> Result<Self> {
        let refused = |error| {
            Error::new(ErrorKind::Unavailable, "listen").with_context("address", listen).with_source(error)
        };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, told: drain::Told::new()? })
    }

    /// Serves until the process is told to end, then until what is open has ended.
    pub(crate) async fn serve(mut self, app: Arc<App>) {
        let connections = Connections::new(&app);
        tokio::select! {
            () = connections.accept(&self.listener) => {}
            () = self.told.came() => {}
        }
        app.drain.begin();
        tracing::info!("draining");
        tokio::select! {
            () = connections.accept(&self.listener) => {}
            () = sleep(app.config.drain_delay()) => {}
        }
        drop(self.listener);
        connections.end(&app).await;
        match timeout(LAST_WORDS, app.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "settle the budgets"),
            Err(_) => tracing::warn!("the ledger takes too long to settle the budgets"),
        }
    }
}

/// The connections that are open.
struct Connections {
    http: http1::Builder,
    router: Router,
    open: GracefulShutdown,
    room: Arc<Semaphore>,
    gauge: Gauge,
    stall_timeout: Duration,
}

impl Connections {
    fn new(app: &Arc<App>) -> Self {
        let limits = &app.config.limits;
        Self {
            http: http(limits),
            router: router(Arc::clone(app)),
            open: GracefulShutdown::new(),
            room: Arc::new(Semaphore::new(limits.max_connections.min(Semaphore::MAX_PERMITS))),
            gauge: app.metrics.connections.clone(),
            stall_timeout: limits.stall_timeout(),
        }
    }

    /// Accepts as long as it is polled; never ends by itself.
    async fn accept(&self, listener: &TcpListener) {
        loop {
            // Before the connection: who finds no room waits in the system's queue and costs nothing here.
            let Ok(place) = Arc::clone(&self.room).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => self.open(stream, place),
                Err(error) => {
                    // Out of file descriptors: there will be some again.
                    tracing::warn!(%error, "accept");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn open(&self, stream: TcpStream, place: OwnedSemaphorePermit) {
        // A client that takes nothing of what it is sent is gone, open as its connection may be.
        let stalls = SockRef::from(&stream).set_tcp_user_timeout(Some(self.stall_timeout));
        if let Err(error) = stream.set_nodelay(true).and(stalls) {
            tracing::debug!(%error, "set up a connection");
        }
        let service = TowerToHyperService::new(self.router.clone());
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let connection = self.open.watch(connection);
        let gauge = self.gauge.clone();
        gauge.add(1);
        // Ends with its client, or with `end` below.
        drop(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            gauge.add(-1);
            drop(place);
        }));
    }

    /// Lets what is open end, and cuts what does not end in time.
    async fn end(self, app: &App) {
        let ended = self.open.shutdown();
        tokio::pin!(ended);
        if timeout(app.config.drain_timeout(), &mut ended).await.is_ok() {
            return;
        }
        tracing::warn!("cutting what is still open");
        app.drain.cut_all();
        if timeout(LAST_WORDS, ended).await.is_err() {
            tracing::warn!("leaving clients that do not read");
        }
    }
}

fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout())
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(WRITE_BUFFER_BYTES.max(limits.max_header_bytes));
    http
}
