//! Ports of 127.0.0.1, and whether somebody who speaks PostgreSQL answers there.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::Result;

const PATIENCE: Duration = Duration::from_secs(2);

/// A port that was free a moment ago.
pub(super) fn free() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// What the other side answers first, up to its first 64 bytes; `None` where nobody does.
pub(super) fn ask(port: u16, question: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(question).ok()?;
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).ok()?;
    Some(answer[..length].to_vec())
}

/// Whether a server asks for a password (`R`); one that still starts answers with an error (`E`).
pub(super) fn speaks_postgres(port: u16) -> bool {
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let length = u32::try_from(8 + parameters.len()).unwrap_or(u32::MAX);
    let version: u32 = 3 << 16;
    let question = [&length.to_be_bytes()[..], &version.to_be_bytes(), parameters].concat();
    ask(port, &question).is_some_and(|answer| answer.first() == Some(&b'R'))
}
