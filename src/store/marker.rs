//! The file that marks a directory as an archive and says in which format.
//!
//! Knows the layout of the directory and nothing of what stands in it. Fails with the [`StoreError`] that names
//! the path.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{StoreError, io, packs};

/// The version of the archive's layout that this jobvault writes.
pub(super) const FORMAT: u32 = 1;
pub(super) const MARKER: &str = "jobvault.json";

/// What stands in the file that marks a directory as an archive.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    created_by: String,
    created_at: Timestamp,
}

/// Tells whether `root` is missing or an empty directory.
pub(super) fn is_new(root: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(root) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            Err(StoreError::NotAnArchive { path: root.to_owned() })
        }
        Err(e) => Err(io("read", root)(e)),
    }
}

/// Makes the folders and, last of all, the marker.
pub(super) fn create(root: &Path, now: Timestamp) -> Result<(), StoreError> {
    let private = |dir: &Path| {
        fs::DirBuilder::new().mode(0o700).recursive(true).create(dir).map_err(io("create", dir))
    };
    private(root)?;
    // An empty directory that was there before may be open to others.
    fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(io("make private", root))?;
    private(&root.join("packs"))?;
    private(&root.join("tmp"))?;
    let marker = Marker {
        format: FORMAT,
        created_by: concat!("jobvault ", env!("CARGO_PKG_VERSION")).to_owned(),
        created_at: now,
    };
    let path = root.join(MARKER);
    let text = serde_json::to_string_pretty(&marker).expect("a marker is plain JSON");
    let mut temp = tempfile::NamedTempFile::new_in(root).map_err(io("write in", root))?;
    std::io::Write::write_all(&mut temp, text.as_bytes()).map_err(io("write", &path))?;
    temp.as_file().sync_all().map_err(io("write", &path))?;
    temp.persist(&path).map_err(|e| io("write", &path)(e.error))?;
    packs::sync_dir(root)?;
    Ok(())
}

/// Checks that `root` is an archive of a format that this jobvault reads.
pub(super) fn check_marker(root: &Path) -> Result<(), StoreError> {
    let path = root.join(MARKER);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(match is_new(root)? {
                true => StoreError::Missing { path: root.to_owned() },
                false => StoreError::NotAnArchive { path: root.to_owned() },
            });
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(StoreError::NotAnArchive { path: root.to_owned() });
        }
        Err(e) => return Err(io("read", &path)(e)),
    };
    let marker: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    match marker.get("format").and_then(serde_json::Value::as_u64) {
        Some(1) => Ok(()),
        Some(found) => Err(StoreError::Newer {
            path: root.to_owned(),
            found: u32::try_from(found).unwrap_or(u32::MAX),
        }),
        None => Err(StoreError::NotAnArchive { path: root.to_owned() }),
    }
}

/// Removes what a writer left when it was killed; nothing there was ever referred to.
pub(super) fn remove_leftovers(tmp: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(tmp).map_err(io("create", tmp))?;
    for entry in fs::read_dir(tmp).map_err(io("list", tmp))? {
        let path = entry.map_err(io("list", tmp))?.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(io("remove", &path))?;
    }
    Ok(())
}
