//! Who runs the servers: PostgreSQL and PgBouncer refuse to run as root.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::Result;

/// Another user than root.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// Whom servers are started as: `None` where the caller itself will do.
    ///
    /// # Errors
    /// Where the caller is root and the machine has no other user for this.
    pub(super) fn for_servers() -> Result<Option<Self>> {
        if !is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let user = ["postgres", "nobody"].into_iter().find_map(|name| find(&users, name));
        user.map(Some).ok_or_else(|| "neither `postgres` nor `nobody` is a user of this machine".into())
    }

    /// Lets a command run as this user.
    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// Whether this process may become another user.
pub(super) fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    // The second of the four is the effective one.
    ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

fn find(users: &str, name: &str) -> Option<User> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "postgres2:x:7:8::/:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        let user = find(users, "postgres").map(|user| (user.uid, user.gid));
        assert_eq!((user, find(users, "nobody").is_none()), (Some((101, 104)), true));
    }
}
