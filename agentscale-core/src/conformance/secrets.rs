//! The promises of [`SecretSource`].
//!
//! Put `agentscale_core::secret_source_conformance!(scene)` into a test module, with an expression that makes a
//! [`SecretScene`] and may await: it becomes one `#[test]` for each promise.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::secrets::Secret;
use crate::{ErrorKind, SecretSource};

/// A source, and what it holds.
#[derive(Clone, Debug)]
pub struct SecretScene<S> {
    /// The source.
    pub source: S,
    /// The name of a secret that it holds.
    pub known: String,
    /// The text of that secret: a dozen letters or more that stand nowhere else.
    pub text: String,
    /// A name that could be one of its secrets and is none.
    pub unknown: String,
}

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the source breaks the promise, or hangs for five minutes.
pub fn run(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("this machine starts runtimes");
    let limited = async { tokio::time::timeout(Duration::from_secs(300), case).await };
    runtime.block_on(limited).expect("the test ends");
}

/// A name stands for the same text each time.
pub async fn a_name_stands_for_its_secret<S: SecretSource>(scene: &SecretScene<S>) {
    for _ in 0..3 {
        let secret = scene.source.secret(&scene.known).await.expect("a secret");
        assert!(secret.expose() == scene.text, "another text than the source holds");
    }
}

/// A name that stands for nothing is `not_found`.
pub async fn an_unknown_name_is_not_found<S: SecretSource>(scene: &SecretScene<S>) {
    let error = scene.source.secret(&scene.unknown).await.expect_err("no secret");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// What cannot be a name is `invalid_input`.
pub async fn no_name_is_invalid_input<S: SecretSource>(scene: &SecretScene<S>) {
    for name in ["", "\0"] {
        let error = scene.source.secret(name).await.expect_err("no secret");
        let kinds = [ErrorKind::InvalidInput, ErrorKind::NotFound];
        assert!(kinds.contains(&error.kind()) && (!name.is_empty() || error.kind() == kinds[0]), "{error}");
    }
}

/// Neither the source nor its errors show a secret.
pub async fn nothing_shows_a_secret<S: SecretSource>(scene: &SecretScene<S>) {
    let secret = scene.source.secret(&scene.known).await.expect("a secret");
    scene.source.rejected(&scene.known, &secret);
    let error = scene.source.secret(&scene.unknown).await.expect_err("no secret");
    for shown in [format!("{:?}", scene.source), format!("{error} {error:?}"), format!("{secret:?}")] {
        assert!(!shown.contains(&scene.text), "the secret is shown");
    }
}

/// Reads run side by side.
pub async fn reads_run_side_by_side<S: SecretSource>(scene: &SecretScene<S>) {
    let reads = (0..50).map(|_| scene.source.secret(&scene.known));
    for secret in futures::future::join_all(reads).await {
        assert!(secret.expect("a secret").expose() == scene.text, "another text than the source holds");
    }
}

/// Reads that are dropped at their first await take nothing away from later ones.
pub async fn a_dropped_read_leaves_the_source_usable<S: SecretSource>(scene: &SecretScene<S>) {
    for _ in 0..20 {
        let mut read = pin!(scene.source.secret(&scene.known));
        poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_ready())).await;
    }
    scene.source.secret(&scene.known).await.expect("a secret");
}

/// A secret that was rejected and has not changed is given again, and so it is when another was rejected.
pub async fn a_rejected_secret_is_read_again<S: SecretSource>(scene: &SecretScene<S>) {
    let secret = scene.source.secret(&scene.known).await.expect("a secret");
    for rejected in [&secret, &Secret::new("another")] {
        scene.source.rejected(&scene.known, rejected);
        scene.source.rejected(&scene.unknown, rejected);
        let again = scene.source.secret(&scene.known).await.expect("a secret");
        assert!(again == secret, "another text than the source holds");
    }
}

/// A pointer to a source is that source.
pub async fn a_pointer_to_a_source_is_that_source<S: SecretSource + Clone>(scene: &SecretScene<S>) {
    let pointer: Arc<dyn SecretSource> = Arc::new(scene.source.clone());
    let boxed: Box<dyn SecretSource> = Box::new(Arc::clone(&pointer));
    assert!(boxed.secret(&scene.known).await.expect("a secret").expose() == scene.text);
    let error = pointer.secret(&scene.unknown).await.expect_err("no secret");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// Makes each promise of `SecretSource` a `#[test]` over a [`SecretScene`](crate::conformance::secrets::SecretScene).
#[macro_export]
macro_rules! secret_source_conformance {
    ($scene:expr) => {
        $crate::secret_source_conformance! { @cases $scene;
            a_name_stands_for_its_secret
            an_unknown_name_is_not_found
            no_name_is_invalid_input
            nothing_shows_a_secret
            reads_run_side_by_side
            a_dropped_read_leaves_the_source_usable
            a_rejected_secret_is_read_again
            a_pointer_to_a_source_is_that_source
        }
    };
    (@cases $scene:expr; $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::secrets::run(async {
                    let scene = $scene;
                    $crate::conformance::secrets::$case(&scene).await;
                });
            }
        )*
    };
}
