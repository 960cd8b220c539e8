use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The keys of the tests. The first may do anything; the second calls the model `other` alone, and nothing urgent.
pub(crate) const KEY: &str = "sk-test-0123456789";
pub(crate) const NARROW_KEY: &str = "sk-narrow-0123456789";

/// A server of its own; killed when the test ends.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    folder: TempDir,
}

impl Server {
    /// A server with the tests' keys and `config` above them. What stands behind `[simulator]` says how its one model
    /// behaves.
    pub(crate) fn start(config: &str) -> Self {
        let (config, simulator) = config.split_once("[simulator]").unwrap_or((config, ""));
        Self::with_files(&self::config(config), &gateway(simulator), &[])
    }

    /// A server with these two files and these variables.
    pub(crate) fn with_files(config: &str, gateway: &str, variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("server.toml");
        std::fs::write(&file, config).unwrap();
        std::fs::write(folder.path().join("gateway.toml"), gateway).unwrap();
        let mut command = Self::command();
        command.arg("--config").arg(file).envs(variables.iter().copied());
        Self::run(command, folder)
    }

    /// Puts another gateway in the place of the one that is served.
    pub(crate) fn exchange_gateway(&self, gateway: &str) {
        std::fs::write(self.folder.path().join("gateway.toml"), gateway).unwrap();
    }

    /// Puts another file in the place of the server's own.
    pub(crate) fn exchange_config(&self, config: &str) {
        std::fs::write(self.folder.path().join("server.toml"), config).unwrap();
    }

    /// A file beside the server's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server that nothing was told.
    pub(crate) fn demo() -> Self {
        Self::run(Self::command(), TempDir::new().unwrap())
    }

    pub(crate) fn command() -> Command {
        Command::new(env!("CARGO_BIN_EXE_gateway_server"))
    }

    fn run(mut command: Command, folder: TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").map(str::to_owned);
        let mut server = Self { child, address: String::new(), folder };
        server.address = address.unwrap_or_else(|| panic!("no address: {}", server.log()));
        server
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Asks it to end, as an operator does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&self, name: &str) {
        let (pid, name) = (self.child.id().to_string(), format!("-{name}"));
        assert!(Command::new("kill").args([&name, &pid]).status().unwrap().success());
    }

    /// Waits until the log says `what`.
    pub(crate) async fn logged(&self, what: &str) {
        let waiting = async {
            while !self.log().contains(what) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("the log never says {what}"));
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the server ends")
    }

    /// What a metric without labels says now.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text =
            crate::client::http().get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    }

    /// Waits until a metric says `value`.
    pub(crate) async fn metric_is(&self, name: &str, value: f64) {
        let waiting = async {
            while self.metric(name).await != value {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{name} never was {value}"));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The tests' keys below `config`.
pub(crate) fn config(config: &str) -> String {
    format!("gateway = \"gateway.toml\"\n{config}\n{}", keys())
}

/// A gateway of one simulated model.
pub(crate) fn gateway(simulator: &str) -> String {
    format!(
        r#"
        [gateway.budgets]
        settle_every_ms = 50
        [pools.simulator.keys.simulator]
        [models.simulated]
        targets = [{{ pool = "simulator" }}]
        [pools.simulator.provider]
        kind = "simulated"
        {simulator}
        "#
    )
}

/// What stands in a configuration for a key.
pub(crate) fn hash(key: &str) -> String {
    format!("blake3:{}", blake3::hash(key.as_bytes()).to_hex())
}

fn keys() -> String {
    format!(
        r#"
        [[keys]]
        name = "test"
        hash = "{}"
        tenant = "acme"
        account = "ci"
        priority = "incident"

        [[keys]]
        name = "narrow"
        hash = "{}"
        tenant = "umbrella"
        models = ["other"]
        "#,
        hash(KEY),
        hash(NARROW_KEY)
    )
}
