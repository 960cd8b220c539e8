use std::sync::Arc;

use agentscale_core::{Error, ErrorKind, Result};
use sqlx::Arguments;
use sqlx::encode::Encode;
use sqlx::postgres::{PgArguments, Postgres};

/// A statement of one schema.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it does, in the words of errors: `load checkpoint`.
    pub operation: &'static str,
    pub(super) text: Arc<str>,
}

impl Statement {
    /// `template` names each table as `@.table`; what comes from outside is bound, never part of it.
    pub(super) fn new(operation: &'static str, template: &str, schema: &str) -> Self {
        Self { operation, text: in_schema(template, schema).into() }
    }
}

/// A template for one schema.
pub(super) fn in_schema(template: &str, schema: &str) -> String {
    template.replace("@.", &format!("{schema}."))
}

/// # Errors
/// `invalid_input` for what is no plain name: it is part of statements.
pub(super) fn check_schema(schema: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = schema.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if begins && schema.len() <= 63 && schema.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "open postgres")
        .with_context("reason", "a schema is named by 1 to 63 of a-z, 0-9 and _, and begins with no digit"))
}

/// Arguments of a statement in the making.
#[derive(Debug, Default)]
pub struct Bound {
    arguments: PgArguments,
    failed: Option<Error>,
}

impl Bound {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next one.
    #[must_use]
    pub fn with<'v>(mut self, value: impl Encode<'v, Postgres> + sqlx::Type<Postgres>) -> Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed = Some(Error::new(ErrorKind::TooLarge, "encode argument").with_source(error));
        }
        self
    }

    /// # Errors
    /// `too_large` for a value that the protocol cannot carry.
    pub(super) fn end(self) -> Result<PgArguments> {
        self.failed.map_or(Ok(self.arguments), Err)
    }
}
