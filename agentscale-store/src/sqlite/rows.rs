use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use agentscale_core::{Error, ErrorKind, Result};
use sqlx::encode::Encode;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, AssertSqlSafe, Sqlite, SqliteConnection};

use super::map_error;

/// The most rows of one statement.
const LONGEST: usize = 1_024;
const SIZES: usize = LONGEST.ilog2() as usize + 1;

/// An insertion of any number of rows by few statements.
///
/// Statements exist for powers of two rows, so that a handful of prepared ones serves every batch;
/// rows that a batch does not fill are bound to nothing, and passed over because their first column is null.
#[derive(Debug)]
pub struct Insert {
    head: &'static str,
    columns: usize,
    tail: &'static str,
    statements: [OnceLock<Arc<str>>; SIZES],
}

impl Insert {
    /// `head` is `INSERT INTO table (columns)`, `tail` an `ON CONFLICT` clause or nothing. The first of
    /// the columns is never null.
    pub const fn new(head: &'static str, columns: usize, tail: &'static str) -> Self {
        Self { head, columns, tail, statements: [const { OnceLock::new() }; SIZES] }
    }

    fn statement(&self, size: usize) -> Arc<str> {
        self.statements[size].get_or_init(|| self.text(1 << size).into()).clone()
    }

    fn text(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns].join(","));
        let mut text = format!("{} SELECT * FROM (VALUES {row}", self.head);
        for _ in 1..rows {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{row}");
        }
        text.push_str(") WHERE column1 IS NOT NULL ");
        text.push_str(self.tail);
        text
    }
}

/// Rows that wait to be inserted.
#[derive(Debug)]
pub struct Rows {
    insert: &'static Insert,
    /// Arguments of whole statements of [`LONGEST`] rows, the last one excepted.
    chunks: Vec<SqliteArguments>,
    rows: usize,
}

impl Rows {
    /// None yet.
    pub fn new(insert: &'static Insert) -> Self {
        Self { insert, chunks: Vec::new(), rows: 0 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether one statement inserts all.
    pub(crate) fn is_one_statement(&self) -> bool {
        self.chunks.len() == 1
    }

    /// Begins a row, to which each column is then [pushed](Row::push).
    pub fn row(&mut self) -> Row<'_> {
        if self.rows.is_multiple_of(LONGEST) {
            self.chunks.push(SqliteArguments::default());
        }
        self.rows += 1;
        let last = self.chunks.len() - 1;
        Row { arguments: &mut self.chunks[last], failed: None }
    }

    /// Inserts all rows; none are left.
    ///
    /// # Errors
    /// As [`map_error`] says.
    pub async fn insert(&mut self, connection: &mut SqliteConnection, operation: &'static str) -> Result<()> {
        self.rows = 0;
        for arguments in self.chunks.drain(..) {
            let rows = arguments.len() / self.insert.columns;
            let size = rows.next_power_of_two().ilog2() as usize;
            let statement = AssertSqlSafe(self.insert.statement(size));
            sqlx::query_with(statement, arguments)
                .execute(&mut *connection)
                .await
                .map_err(map_error(operation))?;
        }
        Ok(())
    }
}

/// One row in the making.
#[derive(Debug)]
pub struct Row<'a> {
    arguments: &'a mut SqliteArguments,
    failed: Option<Error>,
}

impl Row<'_> {
    /// Adds the next column.
    #[must_use]
    pub fn push<'v>(mut self, value: impl Encode<'v, Sqlite> + sqlx::Type<Sqlite>) -> Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed = Some(Error::new(ErrorKind::Internal, "encode column").with_source(error));
        }
        self
    }

    /// Ends the row.
    ///
    /// # Errors
    /// `internal` for a value that cannot be encoded.
    pub fn end(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
    }
}
