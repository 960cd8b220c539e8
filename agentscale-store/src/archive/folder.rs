use std::fs::{self, File};
use std::io::{ErrorKind as IoKind, Read, Write};
use std::path::{Path, PathBuf};

use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::task::spawn_blocking;

use super::{ArchiveFile, ArchivePlace, Pieces};

const PIECE: usize = 1 << 20;

/// A folder of this machine.
#[derive(Clone, Debug)]
pub struct FolderArchive {
    folder: PathBuf,
}

impl FolderArchive {
    /// The folder, which is made when the first file is.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

#[async_trait]
impl ArchivePlace for FolderArchive {
    async fn create(&self, name: &str) -> Result<Box<dyn ArchiveFile>> {
        let path = self.folder.join(name);
        let file = blocking(move || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            // Two of one name may be in the making, which is finished last stays.
            let part = path.with_added_extension(format!("{}.part", uuid::Uuid::now_v7().simple()));
            let file = File::create(&part)?;
            Ok(FolderFile { path, part: Part(part), file: Some(file) })
        });
        Ok(Box::new(file.await?))
    }

    async fn read(&self, name: &str) -> Result<Option<Pieces>> {
        let path = self.folder.join(name);
        let file = blocking(move || match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == IoKind::NotFound => Ok(None),
            Err(error) => Err(error),
        });
        let Some(file) = file.await? else { return Ok(None) };
        let pieces = stream::try_unfold(file, |mut file| {
            blocking(move || {
                let mut piece = Vec::new();
                (&mut file).take(PIECE as u64).read_to_end(&mut piece)?;
                Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
            })
        });
        Ok(Some(pieces.boxed()))
    }
}

#[derive(Debug)]
struct FolderFile {
    path: PathBuf,
    part: Part,
    file: Option<File>,
}

/// Removed with this, unless it was renamed before.
#[derive(Debug)]
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // It is not there where it was finished.
        let _ = fs::remove_file(&self.0);
    }
}

#[async_trait]
impl ArchiveFile for FolderFile {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        let mut file = self.file.take().ok_or_else(given_up)?;
        let file = blocking(move || file.write_all(&piece).map(|()| file));
        self.file = Some(file.await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<()> {
        let file = self.file.take().ok_or_else(given_up)?;
        blocking(move || {
            file.sync_all()?;
            fs::rename(&self.part.0, &self.path)?;
            // The name is in the folder only when the folder is synced.
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        })
        .await
    }
}

fn given_up() -> Error {
    Error::new(ErrorKind::Unavailable, "write archive").with_context("reason", "an earlier write failed")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let operation = "use archive folder";
    let done = spawn_blocking(work).await;
    let done = done.map_err(|error| Error::new(ErrorKind::Internal, operation).with_source(error))?;
    done.map_err(|error| Error::new(ErrorKind::Unavailable, operation).with_source(error))
}
