use std::time::Duration;

use agentscale_core::Error;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::GatewayFile;

/// How often a file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// After how many looks a refused file is tried again.
const TRY_AGAIN_EVERY: u64 = 30;

/// Looks at a file every second and takes what it says anew. Ends when it is dropped.
///
/// It is read and compared rather than watched by the kernel: a mounted configuration of Kubernetes is exchanged by a link
/// two folders up, an editor puts another file in its place, and some mounted file systems tell nothing. What was changed
/// is taken when it was found the same twice, so that no file is taken that is still being written.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Watch {
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(file: GatewayFile) -> Self {
        Self { task: tokio::spawn(watch(file)) }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(file: GatewayFile) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut told) = (None, None);
    for look in 1_u64.. {
        ticks.tick().await;
        match file.changed().await {
            Ok(None) => {
                (seen, told) = (None, None);
                if look.is_multiple_of(TRY_AGAIN_EVERY) {
                    file.try_again().await;
                }
            }
            Ok(Some((text, hash))) if seen == Some(hash) => {
                (seen, told) = (None, None);
                // What came of it is told there.
                file.take_seen(&text, hash).await.ok();
            }
            Ok(Some((_, hash))) => seen = Some(hash),
            // Gone for a moment is what an exchanged file may be; the same trouble twice is told, and once.
            Err(error) => {
                let trouble = error.to_string();
                seen = None;
                told = tell_once(&file, error, told, trouble);
            }
        }
    }
}

/// Which trouble was seen, and whether it was told.
type Trouble = Option<(String, bool)>;

fn tell_once(file: &GatewayFile, error: Error, before: Trouble, now: String) -> Trouble {
    match before {
        Some((before, is_told)) if before == now => {
            if !is_told {
                file.tell(Err(error)).ok();
            }
            Some((now, true))
        }
        _ => Some((now, false)),
    }
}
