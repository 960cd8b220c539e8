use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::handle::handle;
use crate::simulator::Simulator;

/// How long answers under way may take once the end was asked for.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any client opens on one connection.
const MOST_STREAMS: u32 = 65_536;
/// What is left of a window makes streams wait for each other on one connection.
const WINDOW: u32 = 4 << 20;

/// Binds, says where, and serves until the process is told to end.
///
/// # Errors
/// Where the address cannot be bound.
pub(crate) async fn serve(listen: SocketAddr, simulator: Simulator) -> std::io::Result<()> {
    let simulator = Arc::new(simulator);
    let listener = TcpListener::bind(listen).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
    stdout.flush()?;

    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let connections = GracefulShutdown::new();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors: there will be some again.
                    eprintln!("llm_simulator: accept: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
        };
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("llm_simulator: nodelay: {error}");
        }
        let simulator = Arc::clone(&simulator);
        let service = service_fn(move |request| handle(Arc::clone(&simulator), request));
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = connections.watch(connection);
        // Ends with its client, or with `shutdown` below. Its errors are the client's, or the script's.
        drop(tokio::spawn(async move { drop(connection.await) }));
    }
    drop(listener);
    // What still runs then is dropped with the runtime.
    drop(tokio::time::timeout(PATIENCE, connections.shutdown()).await);
    Ok(())
}
