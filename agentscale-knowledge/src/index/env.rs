//! Opening LMDB: the one place of this crate that needs `unsafe`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use agentscale_core::{Error, ErrorKind, Result};
use heed::{
    BytesDecode, BytesEncode, CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RwTxn, WithoutTls,
};

use super::error::native;

pub(super) type LmdbEnv = Env<WithoutTls>;

/// Opens, or creates, the environment in `dir`.
///
/// A commit syncs its pages but not the page that names it: a power cut may lose the last commits and
/// damages none, and what is lost is read again from the source.
#[allow(unsafe_code, reason = "LMDB maps its file; heed cannot see what else has the file open")]
pub(super) fn open(dir: &Path, map_bytes: usize) -> Result<LmdbEnv> {
    std::fs::create_dir_all(dir).map_err(|error| native("create index folder", error.into()))?;
    allocate_lock(dir).map_err(|error| native("create index lock", error.into()))?;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_dbs(4).max_readers(512);
    // SAFETY: the map is only undefined when its file is changed by other means than LMDB. The folder
    // belongs to this index, and LMDB's lock file keeps several processes on it in order, which is also
    // why `NO_LOCK` is not among the flags.
    let env = unsafe { options.flags(EnvFlags::NO_META_SYNC).open(dir) };
    let env = env.map_err(|error| native("open vector index", error))?;
    env.clear_stale_readers().map_err(|error| native("open vector index", error))?;
    check_length(&env)?;
    Ok(env)
}

/// LMDB maps its lock file and extends it with a hole: where the disk is full, the first access to one ends the process.
/// A file that has its bytes already is left as it is.
fn allocate_lock(dir: &Path) -> std::io::Result<()> {
    const BYTES: u64 = 64 << 10;
    let mut file = File::options().append(true).create(true).open(dir.join("lock.mdb"))?;
    let missing = BYTES.saturating_sub(file.metadata()?.len());
    file.write_all(&vec![0; usize::try_from(missing).unwrap_or_default()])
}

/// A file that was cut short would end the process at the first access to a page that it lacks.
fn check_length(env: &LmdbEnv) -> Result<()> {
    let needed = length_needed(env);
    let length = env.real_disk_size().map_err(|error| native("open vector index", error))?;
    if length < needed {
        return Err(Error::new(ErrorKind::Corrupt, "open vector index")
            .with_context("path", env.path().display())
            .with_context("bytes", length)
            .with_context("needed", needed));
    }
    Ok(())
}

/// The length of a file that has all pages of the last commit.
fn length_needed(env: &LmdbEnv) -> u64 {
    (env.info().last_page_number as u64 + 1) * u64::from(env.unnamed_database_stat().page_size)
}

/// Begins to write.
///
/// LMDB never writes a page that one transaction took and freed again, so that its own file may end before
/// the last page of a commit. The room ahead, a hole, keeps such a file apart from one that was cut short.
pub(super) fn write_txn(env: &LmdbEnv) -> heed::Result<RwTxn<'_>> {
    const AHEAD: u64 = 1 << 20;
    let txn = env.write_txn()?;
    let needed = length_needed(env);
    if env.real_disk_size()? < needed + AHEAD {
        env.try_clone_inner_file()?.set_len(needed + 2 * AHEAD)?;
    }
    Ok(txn)
}

/// Commits, and begins the room ahead anew where the transaction took more than all of it.
pub(super) fn commit(env: &LmdbEnv, txn: RwTxn<'_>) -> heed::Result<()> {
    txn.commit()?;
    if env.real_disk_size()? < length_needed(env) {
        write_txn(env)?.abort();
    }
    Ok(())
}

/// Makes the named table where it is missing.
pub(super) fn create<K: 'static, V: 'static>(env: &LmdbEnv, name: &str) -> heed::Result<()> {
    let txn = write_txn(env)?;
    env.create_databases_and_commit(txn, |opener, txn| {
        opener.create_database::<K, V>(txn, Some(name)).map(CommitOrAbort::<_, ()>::Commit)
    })
    .map(|_| ())
}

/// The named table. Its handle borrows the environment, so it is looked up where it is used; LMDB
/// answers from a list in memory.
pub(super) fn table<'e, K, V>(env: &'e LmdbEnv, name: &str) -> heed::Result<Database<'e, K, V>>
where
    K: 'static + for<'a> BytesEncode<'a>,
    V: 'static + for<'a> BytesDecode<'a>,
{
    let txn = env.read_txn()?;
    let opened = env.open_databases_and_commit(txn, |opener, txn| {
        opener.open_database::<K, V>(txn, Some(name)).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    match opened {
        CommitOrAbort::Commit(Some(table)) => Ok(table),
        CommitOrAbort::Commit(None) | CommitOrAbort::Abort(()) => {
            Err(heed::Error::Io(std::io::ErrorKind::NotFound.into()))
        }
    }
}
