//! The user private servers run as: PostgreSQL refuses to run as root, and MariaDB should not.

use std::path::Path;

/// Users that a server may run as when we are root, best first.
const CANDIDATES: [&str; 3] = ["postgres", "mysql", "nobody"];

/// A user that is not root.
#[derive(Debug, Clone)]
pub struct Unprivileged {
    change_to: Option<(u32, u32)>,
}

impl Unprivileged {
    /// Ourselves, or when we are root the first of the users that servers are installed with.
    ///
    /// # Errors
    /// When we are root and no such user exists.
    pub fn find() -> std::io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { change_to: None });
        }
        let users = std::fs::read_to_string("/etc/passwd")?;
        let found = CANDIDATES.iter().find_map(|name| ids_of(&users, name));
        let missing = || std::io::Error::other(format!("none of the users {} exists", CANDIDATES.join(", ")));
        Ok(Self { change_to: Some(found.ok_or_else(missing)?) })
    }

    /// User and group to change to; `None` to stay who we are.
    #[must_use]
    pub fn change_to(&self) -> Option<(u32, u32)> {
        self.change_to
    }

    /// Makes a file or directory of ours theirs.
    ///
    /// # Errors
    /// As from the system.
    pub fn give(&self, path: &Path) -> std::io::Result<()> {
        match self.change_to {
            Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
            None => Ok(()),
        }
    }
}

fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let uid: u32 = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    (uid != 0).then_some((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::ids_of;

    const USERS: &str = "root:x:0:0:root:/:/bin/sh\npost:x:5:6::/:\npostgres:x:101:104:a,b:/var:/bin/bash\nbad:x\n";

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        assert_eq!(ids_of(USERS, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(USERS, "mysql"), None);
    }

    #[test]
    fn neither_root_nor_a_broken_line_will_do() {
        assert_eq!(ids_of(USERS, "root"), None);
        assert_eq!(ids_of(USERS, "bad"), None);
    }
}
