//! The listener and its connections. HTTP/1.1 without TLS: that ends at the proxy in front.

mod drain;
mod settle;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentscale::core::metrics::Gauge;
use agentscale::core::{Error, ErrorKind, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

pub(crate) use drain::{Cut, Drain};

use drain::Told;

use crate::app::App;
use crate::config::Limits;
use crate::observe::Counted;
use crate::router::router;

/// How long streams may take to say that they were cut, and a request to come once the server drains.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The same where the process is told to end at once.
const HURRIED_WORDS: Duration = Duration::from_millis(100);

/// How much of an answer waits for its client in a connection; what comes behind waits at the provider.
const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// A server that has its address and hears when it shall end.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
    told: Told,
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
        Ok(Self { listener, address, told: Told::new()? })
    }

    /// Serves until the process is told to end, then until what is open has ended, or it is told so again. Gives whether all
    /// that was used was written.
    pub(crate) async fn serve(self, app: &Arc<App>) -> bool {
        let Self { listener, mut told, .. } = self;
        let connections = Connections::new(app);
        tokio::select! {
            () = connections.accept(&listener) => {}
            () = told.came() => {}
        }
        app.drain.begin();
        tracing::info!("draining");
        tokio::select! {
            () = connections.accept(&listener) => {}
            () = sleep(app.config.drain_delay()) => {}
            () = told.came() => {}
        }
        drop(listener);
        connections.end(app, &mut told).await;
        settle::settle(app, &mut told).await
    }
}

/// The connections that are open.
struct Connections {
    http: http1::Builder,
    router: Router,
    open: GracefulShutdown,
    room: Arc<Semaphore>,
    gauge: Gauge,
    drain: Cut,
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
            drain: app.drain.cut(),
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
        let (router, asked) =
            (TowerToHyperService::new(self.router.clone()), Arc::new(AtomicBool::new(false)));
        let (asks, mut drain) = (Arc::clone(&asked), self.drain.clone());
        let service = service_fn(move |request| {
            asks.store(true, Ordering::Relaxed);
            router.call(request)
        });
        let never_asks = async move {
            drain.drain_began().await;
            sleep(LAST_WORDS).await;
            if asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let connection = self.open.watch(connection);
        // Given back however it ends: what is served may panic.
        let held = (Counted::new(&self.gauge), place);
        // Ends with its client, or with `end` below.
        drop(tokio::spawn(async move {
            let _held = held;
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                },
                // Who has not asked for anything by then holds nothing up.
                () = never_asks => {}
            }
        }));
    }

    /// Lets what is open end, and cuts what does not end in time.
    async fn end(self, app: &App, told: &mut Told) {
        let ended = self.open.shutdown();
        tokio::pin!(ended);
        if !told.hurries() {
            tokio::select! {
                () = &mut ended => return,
                () = sleep(app.config.drain_timeout()) => {}
                () = told.came() => {}
            }
        }
        tracing::warn!("cutting what is still open");
        app.drain.cut_all();
        let words = if told.hurries() { HURRIED_WORDS } else { LAST_WORDS };
        tokio::select! {
            () = &mut ended => {}
            () = sleep(words) => tracing::warn!("leaving clients that do not read"),
            () = told.came() => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use agentscale::core::metrics::Metrics;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::observe::ServerMetrics;

    #[tokio::test]
    async fn a_connection_whose_handler_panics_is_not_counted_any_more_and_gives_its_place_back() {
        let gauge = ServerMetrics::new(&Metrics::new()).unwrap().connections;
        let connections = Connections {
            http: http(&Limits::default()),
            router: Router::new().route("/", get(panics)),
            open: GracefulShutdown::new(),
            room: Arc::new(Semaphore::new(1)),
            gauge: gauge.clone(),
            drain: Drain::new().cut(),
            stall_timeout: Duration::from_secs(60),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = async {
            for _ in 0..2 {
                let mut client = TcpStream::connect(address).await.unwrap();
                client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
                // It ends without an answer.
                assert_eq!(client.read(&mut [0; 64]).await.unwrap_or(0), 0);
            }
        };
        tokio::select! {
            () = connections.accept(&listener) => {}
            () = client => {}
        }
        while connections.room.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gauge.value(), 0);
    }

    async fn panics() {
        panic!("as a handler may");
    }
}
