//! Where the demo's data lies: a folder thrown away at the end, or one that `--dir` names, kept for the next start.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DemoError;

/// Name of the file that tells about a kept demo.
const STATE: &str = "demo.json";

/// What a kept demo is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    shards: usize,
    password: String,
    loaded: bool,
}

/// The demo's folder.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    /// It stays at the end.
    pub(super) keep: bool,
    state: State,
}

impl Place {
    /// A new folder of our own for data that is thrown away.
    pub(super) fn temporary(shards: usize) -> Result<Self, DemoError> {
        let name = format!("dbmesh-demo-{}", word()?);
        let directory = std::env::temp_dir().join(name);
        let failed = |error| DemoError::Place { path: directory.clone(), reason: error };
        DirBuilder::new().mode(0o700).create(&directory).map_err(|error| failed(error.to_string()))?;
        Ok(Self { state: State { shards, password: word()?, loaded: false }, directory, keep: false })
    }

    /// The folder that the user names: an empty one, or one with a demo of as many shards.
    pub(super) fn kept(directory: &Path, shards: usize) -> Result<Self, DemoError> {
        let failed = |reason: String| DemoError::Place { path: directory.to_path_buf(), reason };
        let io = |error: std::io::Error| failed(error.to_string());
        std::fs::create_dir_all(directory).map_err(io)?;
        let path = directory.join(STATE);
        let state = match std::fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice::<State>(&bytes).map_err(|error| failed(format!("{STATE}: {error}")))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if std::fs::read_dir(directory).map_err(io)?.next().is_some() {
                    return Err(failed("not empty, and no demo is in it".to_owned()));
                }
                State { shards, password: word()?, loaded: false }
            }
            Err(error) => return Err(io(error)),
        };
        if state.loaded && state.shards != shards {
            return Err(failed(format!("holds a demo of {} shards; say --shards {0} or another --dir", state.shards)));
        }
        if !state.loaded {
            // A start that was cut short left something between empty and loaded.
            for entry in std::fs::read_dir(directory).map_err(io)? {
                let path = entry.map_err(io)?.path();
                if path.is_dir() {
                    std::fs::remove_dir_all(&path).map_err(io)?;
                }
            }
        }
        let place = Self { directory: directory.to_path_buf(), keep: true, state: State { shards, ..state } };
        place.write()?;
        Ok(place)
    }

    /// Password of the servers' users.
    pub(super) fn password(&self) -> &str {
        &self.state.password
    }

    /// Whether the shop is there already.
    pub(super) fn loaded(&self) -> bool {
        self.state.loaded
    }

    /// Notes that the shop is there.
    pub(super) fn set_loaded(&mut self) -> Result<(), DemoError> {
        self.state.loaded = true;
        if self.keep { self.write() } else { Ok(()) }
    }

    fn write(&self) -> Result<(), DemoError> {
        let path = self.directory.join(STATE);
        let text = serde_json::to_string(&self.state).unwrap_or_default();
        super::servers::write_private(&path, &text)?;
        Ok(())
    }
}

/// A random word of letters and digits.
fn word() -> Result<String, DemoError> {
    let random = getrandom::u64().map_err(|error| DemoError::Random(error.to_string()))?;
    Ok(format!("{random:016x}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    fn folder() -> PathBuf {
        std::env::temp_dir().join(format!("dbmesh-place-{}", word().expect("random")))
    }

    #[test]
    fn a_loaded_demo_is_found_again_and_another_size_refused() {
        let folder = folder();
        let mut place = Place::kept(&folder, 2).expect("a new folder");
        assert!(!place.loaded());
        place.set_loaded().expect("written");
        let again = Place::kept(&folder, 2).expect("the same");
        assert!(again.loaded());
        assert_eq!(again.password(), place.password());
        let error = Place::kept(&folder, 3).expect_err("another size").to_string();
        assert!(error.contains("--shards 2"), "{error}");
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn a_start_cut_short_begins_anew() {
        let folder = folder();
        drop(Place::kept(&folder, 2).expect("a new folder"));
        std::fs::create_dir(folder.join("m0")).expect("a server's folder");
        let place = Place::kept(&folder, 4).expect("begins anew, of any size");
        assert!(!place.loaded() && !folder.join("m0").exists());
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn a_folder_with_something_else_is_left_alone() {
        let folder = folder();
        std::fs::create_dir(&folder).expect("made");
        std::fs::write(folder.join("thesis.txt"), "x").expect("written");
        let error = Place::kept(&folder, 2).expect_err("refused").to_string();
        assert!(error.contains("not empty"), "{error}");
        assert!(folder.join("thesis.txt").exists());
        std::fs::remove_dir_all(&folder).expect("removed");
    }
}
