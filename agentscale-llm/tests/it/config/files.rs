use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::llm::LlmProvider;
use agentscale_core::metrics::Metrics;
use agentscale_core::observe::{Observation, Observer};
use agentscale_core::{ErrorKind, LlmProviderExt};
use agentscale_llm::config::GatewayFile;
use tempfile::TempDir;
use tokio::time::sleep;

use super::scene::{Made, saying};
use crate::gateway::scene::ask;

#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Observer for Heard {
    fn emit(&self, observation: Observation) {
        self.0.lock().unwrap().push(observation.name.into_owned());
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

async fn opened(path: &Path) -> (GatewayFile, Heard) {
    let heard = Heard::default();
    let file = GatewayFile::open(path, Made::default().parts()).await.unwrap();
    (file.with_observer(heard.clone()), heard)
}

async fn says(file: &GatewayFile) -> String {
    file.gateway().ask("how long?").await.unwrap()
}

/// Waits until the watched file has been taken or refused.
async fn until_heard(heard: &Heard, name: &str) {
    for _ in 0..1_000 {
        if heard.take().iter().any(|heard| heard == name) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} was not told");
}

#[tokio::test]
async fn a_file_is_toml_or_yaml_by_its_ending() {
    let (folder, toml) = written(&saying("one"));
    assert_eq!(says(&opened(&toml).await.0).await, "one");
    let text = "pools: { p: { provider: { kind: scripted, says: two }, keys: { k: } } }\nmodels: { m: { targets: [{ pool: p }] } }";
    for name in ["a.yaml", "a.yml"] {
        let path = folder.path().join(name);
        fs::write(&path, text.replace("k: }", "k: {} }")).unwrap();
        assert_eq!(says(&opened(&path).await.0).await, "two");
    }
}

#[tokio::test]
async fn what_is_no_configuration_has_its_kind_and_names_the_file() {
    let (folder, path) = written("[gateway]\nmax_attemps = 3");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.json"), "{}").unwrap();
    fs::write(at("binary.toml"), [0xff, 0xfe]).unwrap();
    fs::write(at("long.yaml"), "#".repeat(2 << 20)).unwrap();
    fs::create_dir(at("folder.toml")).unwrap();
    for (path, kind) in [
        (path, ErrorKind::InvalidInput),
        (at("a.json"), ErrorKind::InvalidInput),
        (at("binary.toml"), ErrorKind::InvalidInput),
        (at("long.yaml"), ErrorKind::TooLarge),
        (at("folder.toml"), ErrorKind::InvalidInput),
        (at("gone.toml"), ErrorKind::NotFound),
    ] {
        let error = GatewayFile::open(&path, Made::default().parts()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.context("file"), path.to_str(), "{error}");
    }
}

#[tokio::test]
async fn a_bad_file_leaves_all_as_it_was_and_is_told() {
    let (_folder, path) = written(&saying("one"));
    let (metrics, heard) = (Metrics::new(), Heard::default());
    let parts = Made::default().parts().with_metrics(metrics.clone());
    let file = GatewayFile::open(&path, parts).await.unwrap().with_observer(heard.clone());
    fs::write(&path, "[gateway]\nmax_attemps = 3").unwrap();
    let error = file.reload().await.unwrap_err();
    let place = [error.context("file"), error.context("line"), error.context("column")];
    assert_eq!(place, [path.to_str(), Some("2"), Some("1")], "{error}");
    assert_eq!(says(&file).await, "one");
    assert_eq!(file.error().unwrap().to_string(), error.to_string());
    fs::remove_file(&path).unwrap();
    assert_eq!(file.reload().await.unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(&path, saying("two")).unwrap();
    file.reload().await.unwrap();
    assert_eq!(says(&file).await, "two");
    assert!(file.error().is_none());
    assert_eq!(heard.take(), ["gateway_config_refused", "gateway_config_refused", "gateway_config_applied"]);
    let text = metrics.snapshot().to_openmetrics();
    assert!(text.contains("agentscale_gateway_config_loads_total{outcome=\"applied\"} 2"), "{text}");
    assert!(text.contains("agentscale_gateway_config_loads_total{outcome=\"refused\"} 2"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_watched_file_is_taken_when_it_changes_and_left_alone_when_nobody_watches() {
    let (_folder, path) = written(&saying("one"));
    let (file, heard) = opened(&path).await;
    let watch = file.watch();
    for text in ["two", "three"] {
        fs::write(&path, saying(text)).unwrap();
        until_heard(&heard, "gateway_config_applied").await;
        assert_eq!(says(&file).await, text);
    }
    fs::write(&path, "no toml").unwrap();
    until_heard(&heard, "gateway_config_refused").await;
    assert_eq!(says(&file).await, "three");
    sleep(Duration::from_secs(100)).await;
    assert_eq!(heard.take(), [""; 0], "it is told once");
    drop(watch);
    fs::write(&path, saying("four")).unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(says(&file).await, "three");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_leads_elsewhere_is_followed() {
    let (folder, _) = written("");
    let at = |name: &str| folder.path().join(name);
    let turn = |round: &str| {
        fs::create_dir(at(round)).unwrap();
        fs::write(at(round).join("gateway.toml"), saying(round)).unwrap();
        symlink(round, at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
    };
    turn("one");
    let (file, heard) = opened(&at("..data").join("gateway.toml")).await;
    let _watch = file.watch();
    turn("two");
    until_heard(&heard, "gateway_config_applied").await;
    assert_eq!(says(&file).await, "two");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_still_being_written_is_not_taken() {
    let (_folder, path) = written(&saying("one"));
    let (file, heard) = opened(&path).await;
    let _watch = file.watch();
    for part in 0..20 {
        fs::write(&path, saying("two") + &"#".repeat(part)).unwrap();
        sleep(Duration::from_millis(900)).await;
        assert!(says(&file).await == "one" || part > 0, "it was taken when first seen");
    }
    until_heard(&heard, "gateway_config_applied").await;
    assert_eq!(says(&file).await, "two");
}

#[tokio::test(start_paused = true)]
async fn a_refused_file_is_tried_again_as_a_secret_may_have_come() {
    let (folder, path) = written(&saying("one"));
    let (file, heard) = opened(&path).await;
    let _watch = file.watch();
    let secret = folder.path().join("secret");
    let text = saying("two").replace("keys.k = {}", &format!("keys.k.secret = 'file:{}'", secret.display()));
    fs::write(&path, text).unwrap();
    until_heard(&heard, "gateway_config_refused").await;
    fs::write(&secret, "sk-7").unwrap();
    until_heard(&heard, "gateway_config_applied").await;
    assert_eq!(says(&file).await, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_the_file_is_written_anew_fifty_times() {
    let (_folder, path) = written(&saying("0"));
    let (file, _) = opened(&path).await;
    let (calls, stop) = (4_000, Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (gateway, stop) = (file.gateway().clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = 0;
                while answered < calls / 8 || !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let request = ask(&format!("tenant-{caller}")).with_model("m");
                    match answered % 2 {
                        0 => drop(gateway.complete(request).await.unwrap()),
                        _ => {
                            let mut events = gateway.stream(request).await.unwrap();
                            while let Some(event) = events.next().await {
                                event.unwrap();
                            }
                        }
                    }
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for round in 1..=50 {
        fs::write(&path, saying(&round.to_string())).unwrap();
        file.reload().await.unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut answered = 0;
    for caller in callers {
        answered += caller.await.unwrap();
    }
    assert!(answered >= calls, "{answered}");
    assert_eq!(says(&file).await, "50");
}
