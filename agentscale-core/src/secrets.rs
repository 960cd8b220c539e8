//! Secrets: what may be shown to nobody, and where it is read from.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;

mod cached;
mod env;
mod file;
mod fixed;
mod named;
mod secret;

pub use cached::{CachedSecrets, CachedSecretsConfig, CachedSecretsStats};
pub use env::EnvSecrets;
pub use file::FileSecrets;
pub use fixed::FixedSecrets;
pub use named::NamedSecret;
pub use secret::Secret;

/// Gives secrets by their names: keys of providers, passwords, tokens (row K4g).
///
/// # For callers
/// Ask for a secret when it is used and keep it no longer, so that one that is exchanged in its source is exchanged for
/// the next call. [`CachedSecrets`] makes that cheap. What the other side does not accept is told by
/// [`rejected`](Self::rejected), and asked for once more.
///
/// # For implementors
/// What a name looks like is the source's matter; a name that cannot be one is `invalid_input`, one that stands for
/// nothing or for an empty text is `not_found`. A source that cannot be reached is `unavailable`, one that does not let
/// the process read is `permission_denied`, one that gives what is no text is `corrupt`. A secret stands in no error and
/// in no `Debug`. Reading ends by itself: a source sets its own limits of time and size. The promises are the named tests
/// of the conformance suite.
///
/// # Cancel safety
/// A dropped read leaves the source as it was.
#[async_trait]
pub trait SecretSource: Debug + Send + Sync + 'static {
    /// Reads a secret.
    ///
    /// # Errors
    /// As in the trait's documentation.
    async fn secret(&self, name: &str) -> Result<Secret>;

    /// Says that `secret`, which this source gave under `name`, was not accepted where it was used. A source that keeps
    /// secrets reads this one anew for the next call.
    fn rejected(&self, name: &str, secret: &Secret) {
        let _ = (name, secret);
    }
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: SecretSource + ?Sized> SecretSource for $pointer<T> {
            async fn secret(&self, name: &str) -> Result<Secret> {
                (**self).secret(name).await
            }
            fn rejected(&self, name: &str, secret: &Secret) {
                (**self).rejected(name, secret);
            }
        }
    )*};
}

forward!(Arc Box);
