use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use super::{Archive, ArchiveFile, ArchiveManifest};

const OPERATION: &str = "archive rows";

/// Rows that do not change any more, as JSON objects in an order that stays the same.
#[async_trait]
pub(crate) trait RowSource: Send {
    /// Goes back to the first row.
    fn restart(&mut self);

    /// The next rows, few enough for memory; none behind the last one.
    async fn next(&mut self) -> Result<Vec<String>>;
}

/// Writes rows to the archive, and reads what was written there. What was archived before is found again.
///
/// # Errors
/// Those of the archive and the source; `corrupt` where the archive gives back other bytes than it was given.
///
/// # Cancel safety
/// What was begun is replaced the next time.
pub(crate) async fn export(
    archive: &Archive,
    table: &str,
    part: &str,
    source: &mut dyn RowSource,
) -> Result<ArchiveManifest> {
    let mut number = 1;
    let base = loop {
        let base = match number {
            1 => format!("{table}/{part}"),
            _ => format!("{table}/{part}.{number}"),
        };
        let Some(found) = read_manifest(archive, &manifest_name(&base)).await? else { break base };
        source.restart();
        let content = write_rows(source, None).await?;
        if (found.rows, &found.rows_blake3) == (content.rows, &content.hash) {
            verify(archive, &found).await?;
            return Ok(found);
        }
        number += 1;
    };
    source.restart();
    let name = format!("{base}.{}", archive.format.extension());
    let file = archive.place.create(&name).await?;
    let written = write_rows(source, Some(file)).await?;
    let manifest = ArchiveManifest {
        version: 1,
        table: table.to_owned(),
        part: part.to_owned(),
        file: name,
        format: archive.format,
        rows: written.rows,
        rows_blake3: written.hash.clone(),
        bytes: written.bytes,
        blake3: written.hash,
    };
    verify(archive, &manifest).await?;
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Error::new(ErrorKind::Internal, OPERATION).with_source(error))?;
    let mut file = archive.place.create(&manifest_name(&base)).await?;
    file.write(text.into()).await?;
    file.finish().await?;
    Ok(manifest)
}

struct Written {
    rows: u64,
    bytes: u64,
    hash: String,
}

/// Without a file the rows are read only.
async fn write_rows(source: &mut dyn RowSource, mut file: Option<Box<dyn ArchiveFile>>) -> Result<Written> {
    let mut hash = blake3::Hasher::new();
    let (mut rows, mut bytes) = (0, 0);
    loop {
        let page = source.next().await?;
        if page.is_empty() {
            break;
        }
        let lines = lines(&page);
        rows += page.len() as u64;
        bytes += lines.len() as u64;
        hash.update(&lines);
        if let Some(file) = &mut file {
            file.write(lines).await?;
        }
    }
    if let Some(file) = file {
        file.finish().await?;
    }
    Ok(Written { rows, bytes, hash: hash.finalize().to_string() })
}

fn lines(rows: &[String]) -> Bytes {
    let mut lines = BytesMut::with_capacity(rows.iter().map(|row| row.len() + 1).sum());
    for row in rows {
        lines.extend_from_slice(row.as_bytes());
        lines.extend_from_slice(b"\n");
    }
    lines.freeze()
}

/// Reads a file as it stands in the archive.
async fn verify(archive: &Archive, manifest: &ArchiveManifest) -> Result<()> {
    let corrupt = |reason: &'static str| {
        Error::new(ErrorKind::Corrupt, "verify archive")
            .with_context("file", &manifest.file)
            .with_context("reason", reason)
    };
    let mut pieces = archive.place.read(&manifest.file).await?.ok_or_else(|| corrupt("no file"))?;
    let (mut hash, mut bytes) = (blake3::Hasher::new(), 0);
    while let Some(piece) = pieces.try_next().await? {
        hash.update(&piece);
        bytes += piece.len() as u64;
    }
    if bytes != manifest.bytes || hash.finalize().to_string() != manifest.blake3 {
        return Err(corrupt("other bytes than were written"));
    }
    Ok(())
}

async fn read_manifest(archive: &Archive, name: &str) -> Result<Option<ArchiveManifest>> {
    let Some(pieces) = archive.place.read(name).await? else { return Ok(None) };
    let pieces: Vec<Bytes> = pieces.try_collect().await?;
    let manifest = serde_json::from_slice(&pieces.concat()).map_err(|error| {
        Error::new(ErrorKind::Corrupt, "read manifest").with_context("file", name).with_source(error)
    })?;
    Ok(Some(manifest))
}

fn manifest_name(base: &str) -> String {
    format!("{base}.manifest.json")
}
