//! A piece of a document that can be cited.

use agentscale_core::Result;
use agentscale_core::knowledge::{Entry, EntryId, Metadata};
use serde::{Deserialize, Serialize};

/// Consecutive lines of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Passage {
    /// The file's path below the folder, its parts joined by `/`.
    pub file: String,
    /// The first line, counted from 1.
    pub first_line: u32,
    /// The last line, which belongs to the passage.
    pub last_line: u32,
    /// Which part of the line it is, counted from 0, where one line makes several passages.
    pub part: u32,
    /// The headings above it, outermost first, the passage's own among them.
    pub headings: Vec<String>,
    /// The lines, joined by `\n`.
    pub text: String,
}

impl Passage {
    /// `file:first` or `file:first-last`.
    pub fn citation(&self) -> String {
        match self.first_line == self.last_line {
            true => format!("{}:{}", self.file, self.first_line),
            false => format!("{}:{}-{}", self.file, self.first_line, self.last_line),
        }
    }

    /// The entry that a knowledge client keeps: its id is the citation, with `#part` behind it where one
    /// line makes several passages; its metadata are `file`, `first_line`, `last_line` and, where there
    /// are headings, `heading`.
    ///
    /// # Errors
    /// `invalid_input` for a file whose path is too long for an id.
    pub fn to_entry(&self) -> Result<Entry> {
        let id = match self.part {
            0 => self.citation(),
            part => format!("{}#{part}", self.citation()),
        };
        let mut metadata = Metadata::from([
            ("file".to_owned(), self.file.as_str().into()),
            ("first_line".to_owned(), i64::from(self.first_line).into()),
            ("last_line".to_owned(), i64::from(self.last_line).into()),
        ]);
        if !self.headings.is_empty() {
            metadata.insert("heading".to_owned(), self.headings.join(" > ").into());
        }
        Ok(Entry::new(EntryId::new(id)?, self.text.clone()).with_metadata(metadata))
    }
}
