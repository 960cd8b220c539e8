use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::LazyLock;

use agentscale_core::conformance::secrets::SecretScene;
use agentscale_core::secrets::FileSecrets;
use agentscale_core::{ErrorKind, SecretSource};
use tempfile::TempDir;

const TEXT: &str = "sk-a-key-of-the-suite";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("known"), TEXT);
    folder
});

agentscale_core::secret_source_conformance!(SecretScene {
    source: FileSecrets::in_folder(FOLDER.path()),
    known: "known".to_owned(),
    text: TEXT.to_owned(),
    unknown: "unknown".to_owned(),
});

fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    set_mode(path, 0o600);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

async fn kind_of(files: &FileSecrets, name: &str) -> ErrorKind {
    files.secret(name).await.unwrap_err().kind()
}

#[tokio::test]
async fn an_exchanged_file_is_seen_at_once_and_its_last_line_has_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let (files, name) = (FileSecrets::new(), path.to_str().unwrap());
    for (text, secret) in [("one\n", "one"), ("two\r\n", "two"), ("t\nhree\n\n", "t\nhree\n"), (" 4 ", " 4 ")]
    {
        write(&path, text);
        assert_eq!(files.secret(name).await.unwrap().expose(), secret);
    }
}

#[tokio::test]
async fn a_link_that_leads_to_another_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let files = FileSecrets::in_folder(folder.path());
    // As Kubernetes exchanges what a mounted secret holds.
    for round in ["one", "two"] {
        fs::create_dir(at(round)).unwrap();
        write(&at(round).join("key"), round);
        symlink(round, at("..new")).unwrap();
        fs::rename(at("..new"), at("current")).unwrap();
        assert_eq!(files.secret("current/key").await.unwrap().expose(), round);
    }
}

#[tokio::test]
async fn a_file_that_others_may_write_is_refused_and_one_that_they_may_read_where_the_host_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    write(&path, "sk-7");
    let (files, strict) =
        (FileSecrets::in_folder(folder.path()), FileSecrets::in_folder(folder.path()).owner_only());
    for (mode, may_read, may_read_strictly) in [
        (0o600, true, true),
        (0o400, true, true),
        (0o644, true, false),
        (0o440, true, false),
        (0o620, false, false),
    ] {
        set_mode(&path, mode);
        for (files, may_read) in [(&files, may_read), (&strict, may_read_strictly)] {
            match files.secret("key").await {
                Ok(secret) => assert!(may_read && secret.expose() == "sk-7", "{mode:o}"),
                Err(error) => assert!(!may_read && error.kind() == ErrorKind::PermissionDenied, "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_secret_has_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("empty"), "\n");
    write(&at("no-text"), [0xff, 0xfe]);
    write(&at("long"), vec![b'x'; (64 << 10) + 1]);
    fs::create_dir(at("folder")).unwrap();
    let files = FileSecrets::in_folder(folder.path());
    assert_eq!(kind_of(&files, "empty").await, ErrorKind::NotFound);
    assert_eq!(kind_of(&files, "empty/file").await, ErrorKind::NotFound);
    assert_eq!(kind_of(&files, "no-text").await, ErrorKind::Corrupt);
    assert_eq!(kind_of(&files, "long").await, ErrorKind::TooLarge);
    assert_eq!(kind_of(&files, "folder").await, ErrorKind::InvalidInput);
    assert_eq!(kind_of(&files, "../key").await, ErrorKind::InvalidInput);
    assert_eq!(kind_of(&files, "/etc/hostname").await, ErrorKind::InvalidInput);
    assert_eq!(kind_of(&FileSecrets::new(), "key").await, ErrorKind::InvalidInput);
}
