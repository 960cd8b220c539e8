use std::sync::Arc;

use super::{Secret, SecretSource};
use crate::Result;

/// One secret of a source, read each time that it is used.
#[derive(Clone, Debug)]
pub struct NamedSecret {
    source: Arc<dyn SecretSource>,
    name: Arc<str>,
}

impl NamedSecret {
    /// The secret `name` of `source`.
    pub fn new(source: impl SecretSource, name: impl Into<Arc<str>>) -> Self {
        Self { source: Arc::new(source), name: name.into() }
    }

    /// Its name, which is no secret.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads it.
    ///
    /// # Errors
    /// As for [`SecretSource::secret`].
    pub async fn read(&self) -> Result<Secret> {
        self.source.secret(&self.name).await
    }

    /// Says that `secret`, as which it was read, was not accepted where it was used.
    pub fn rejected(&self, secret: &Secret) {
        self.source.rejected(&self.name, secret);
    }

    /// Reads it again behind `refused`, which the other side did not accept: `None` where the source has no other.
    ///
    /// # Errors
    /// As for [`SecretSource::secret`].
    pub async fn read_instead_of(&self, refused: &Secret) -> Result<Option<Secret>> {
        self.rejected(refused);
        Ok(Some(self.read().await?).filter(|secret| secret != refused))
    }
}
