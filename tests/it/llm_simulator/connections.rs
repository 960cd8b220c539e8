//! How a provider's client holds its connections, through a door that counts them.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentscale::core::llm::{CompletionRequest, LlmProvider, Message};
use agentscale::llm::ConnectionConfig;
use agentscale::llm::openai::{OpenAiConfig, OpenAiProvider};
use base64::Engine as _;
use futures::future::join_all;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::server::Server;

/// Lets connections through to the simulator, by TLS where it has an acceptor.
struct Door {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The connections that chose HTTP/2 as they were made.
    chose_h2: Arc<AtomicUsize>,
}

impl Door {
    async fn open(to: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Self { address, connections: Arc::default(), chose_h2: Arc::default() };
        let (connections, chose_h2) = (Arc::clone(&door.connections), Arc::clone(&door.chose_h2));
        tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let (tls, chose_h2) = (tls.clone(), Arc::clone(&chose_h2));
                tokio::spawn(async move {
                    let mut outside = TcpStream::connect(to).await.unwrap();
                    // How a connection ends is not what is looked at here.
                    let Some(tls) = tls else {
                        return drop(copy_bidirectional(&mut inside, &mut outside).await);
                    };
                    if let Ok(mut inside) = tls.accept(inside).await {
                        let is_h2 = inside.get_ref().1.alpn_protocol() == Some(b"h2");
                        chose_h2.fetch_add(usize::from(is_h2), Ordering::Relaxed);
                        drop(copy_bidirectional(&mut inside, &mut outside).await);
                    }
                });
            }
        });
        door
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn provider(&self, connection: ConnectionConfig) -> OpenAiProvider {
        let mut config =
            OpenAiConfig::new().with_base_url(format!("http://{}/v1", self.address)).with_model("m");
        config.connection = connection;
        OpenAiProvider::new(&config).unwrap()
    }
}

async fn ask(provider: &OpenAiProvider, question: usize) -> String {
    let request = CompletionRequest::new(vec![Message::user(format!("Question {question}?"))]);
    match question % 2 {
        0 => provider.complete(request).await.unwrap().text(),
        _ => provider.stream(request).await.unwrap().collect().await.unwrap().text(),
    }
}

#[tokio::test]
async fn one_caller_needs_one_connection() {
    let server = Server::start();
    let door = Door::open(server.address, None).await;
    let provider = door.provider(ConnectionConfig::new());
    for question in 0..30 {
        ask(&provider, question).await;
    }
    assert_eq!(door.connections(), 1);
}

#[tokio::test]
async fn under_http2_many_callers_share_one_connection() {
    let server = Server::start();
    let door = Door::open(server.address, None).await;
    let provider = door.provider(ConnectionConfig::new().with_http2_without_tls());
    ask(&provider, 0).await;
    let answers = join_all((0..100).map(|question| ask(&provider, question))).await;
    assert!(answers.iter().all(|answer| !answer.is_empty()));
    assert_eq!(door.connections(), 1);
    assert_eq!(server.stats().await["requests"], json!(101));
}

#[tokio::test]
async fn by_tls_the_platforms_roots_are_trusted_and_http2_is_chosen() {
    let server = Server::start();
    let (certificate, acceptor) = certificate();
    let door = Door::open(server.address, Some(acceptor)).await;
    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), certificate).unwrap();
    let docs = tempfile::tempdir().unwrap();
    std::fs::write(docs.path().join("leases.md"), "A lease lasts ten seconds.\n").unwrap();
    let run = |trusted: bool| {
        let mut command = Command::new(crate::torture::quickstart_binary());
        command
            .args(["--docs", docs.path().to_str().unwrap(), "--ask", "How long does a lease last?"])
            .args(["--base-url", &format!("https://localhost:{}/v1", door.address.port()), "--model", "m"])
            .arg("--state")
            .arg(docs.path().join(if trusted { "trusted" } else { "untrusted" }))
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::null());
        if trusted {
            command.env("SSL_CERT_FILE", roots.path());
        }
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let trusted = run(true).await.unwrap();
    let shown = String::from_utf8_lossy(&trusted.stderr).into_owned();
    assert!(trusted.status.success(), "{shown}");
    assert!(door.chose_h2.load(Ordering::Relaxed) >= 1);
    let asked = server.stats().await["requests"].as_u64().unwrap();
    assert!(asked >= 1);

    let untrusted = run(false).await.unwrap();
    assert!(!untrusted.status.success(), "who is not trusted is not asked");
    assert_eq!(server.stats().await["requests"].as_u64(), Some(asked));
}

/// A certificate for `localhost` that signs itself, and who shows it.
fn certificate() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let encoded = base64::engine::general_purpose::STANDARD.encode(made.cert.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    (pem, TlsAcceptor::from(Arc::new(config)))
}
