//! The file that marks a directory as an archive and says in which format.
//!
//! Knows the layout of the directory and nothing of what stands in it. Fails with the [`StoreError`] that names
//! the path.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::packs::Packs;
use super::packs::disk::Disk;
use super::{StoreError, io};

/// The version of the archive's layout that this jobvault writes.
pub(super) const FORMAT: u32 = 1;
pub(super) const MARKER: &str = "jobvault.json";
/// The marker of an archive being created, before it has its name.
const NEW_MARKER: &str = "jobvault.json.new";
const FOLDERS: [&str; 2] = ["packs", "tmp"];
/// The folder within `tmp` of downloads that the next writer may go on with.
pub(super) const PARTS: &str = "parts";
/// A download that was not gone on with for so long is dropped: what it was of is gone, or is not wanted any more.
const MAX_PART_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What stands in the file that marks a directory as an archive.
#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    format: u32,
    created_by: String,
    created_at: Timestamp,
}

/// Tells whether `root` is missing or an empty directory, or holds no more than what creating an archive leaves when it is
/// stopped: empty folders and a marker without its name.
pub(super) fn is_new(root: &Path) -> Result<bool, StoreError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(true),
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return Err(StoreError::NotAnArchive { path: root.to_owned() });
        }
        Err(e) => return Err(io("read", root)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(io("read", root))?;
        let (name, path) = (entry.file_name(), entry.path());
        let is_left = match name.to_str() {
            Some(NEW_MARKER) => path.is_file(),
            Some(name) if FOLDERS.contains(&name) => {
                fs::read_dir(&path).is_ok_and(|mut within| within.next().is_none())
            }
            _ => false,
        };
        if !is_left {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the folders and, last of all, the marker. All of it is durable then, the name of the archive included.
pub(super) fn create(disk: &Disk, root: &Path, now: Timestamp) -> Result<(), StoreError> {
    create_root(disk, root)?;
    // An empty directory that was there before may be open to others.
    fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(io("make private", root))?;
    for folder in FOLDERS.map(|name| root.join(name)) {
        disk.create_folder(&folder).map_err(io("create", &folder))?;
    }
    put_marker(disk, root, now)
}

/// Makes the marker, which is durable then.
pub(super) fn put_marker(disk: &Disk, root: &Path, now: Timestamp) -> Result<(), StoreError> {
    let marker = Marker {
        format: FORMAT,
        created_by: concat!("jobvault ", env!("CARGO_PKG_VERSION")).to_owned(),
        created_at: now,
    };
    let text = serde_json::to_string_pretty(&marker).expect("a marker is plain JSON");
    let (new, path) = (root.join(NEW_MARKER), root.join(MARKER));
    let mut file = fs::File::create(&new).map_err(io("write", &new))?;
    disk.write(&new, &mut file as &mut dyn Write, text.as_bytes())
        .and_then(|()| disk.sync_file(&new, &file))
        .and_then(|()| disk.rename(&new, &path))
        .and_then(|()| disk.sync_dir(root))
        .map_err(io("write", &path))
}

/// Makes the directory and those above it that are missing. Each is durable when the one above it is synced, even where
/// it was there: it may be of a writer that was stopped before it could do that.
fn create_root(disk: &Disk, root: &Path) -> Result<(), StoreError> {
    let above = match root.parent() {
        None => return Ok(()),
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
    };
    if !above.exists() {
        create_root(disk, above)?;
    }
    disk.create_folder(root).map_err(io("create", root))?;
    match disk.sync_dir(above) {
        // Whoever may not read a directory cannot sync it, and may still have an archive in it.
        Err(e) if e.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(io("write", above)),
    }
}

/// Checks that `root` is an archive of a format that this jobvault reads.
pub(super) fn check_marker(root: &Path) -> Result<(), StoreError> {
    let path = root.join(MARKER);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            return Err(match is_new(root)? {
                true => StoreError::Missing { path: root.to_owned() },
                false => unmarked(root),
            });
        }
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
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
        None => Err(unmarked(root)),
    }
}

/// Says what a directory without a marker is: where it holds packs, it was an archive.
fn unmarked(root: &Path) -> StoreError {
    let packs = Packs::new(root.join("packs"), root.join("tmp"));
    match packs.list().is_ok_and(|packs| !packs.is_empty()) {
        true => StoreError::Unmarked { path: root.to_owned() },
        false => StoreError::NotAnArchive { path: root.to_owned() },
    }
}

/// Removes what a writer left when it was killed; nothing there was ever referred to. Downloads that the next writer may
/// go on with stay for a while.
///
/// A link is removed and never followed: what it leads to is not ours.
pub(super) fn remove_leftovers(tmp: &Path, now: Timestamp) -> Result<(), StoreError> {
    if tmp.is_symlink() {
        fs::remove_file(tmp).map_err(io("remove", tmp))?;
    }
    fs::DirBuilder::new().mode(0o700).recursive(true).create(tmp).map_err(io("create", tmp))?;
    for entry in fs::read_dir(tmp).map_err(io("list", tmp))? {
        let path = entry.map_err(io("list", tmp))?.path();
        let is_dir = path.is_dir() && !path.is_symlink();
        if path.ends_with(PARTS) && is_dir {
            remove_old(&path, now)?;
            continue;
        }
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(io("remove", &path))?;
    }
    Ok(())
}

/// Removes downloads that nobody went on with.
fn remove_old(parts: &Path, now: Timestamp) -> Result<(), StoreError> {
    for entry in fs::read_dir(parts).map_err(io("list", parts))? {
        let path = entry.map_err(io("list", parts))?.path();
        let changed = fs::metadata(&path).and_then(|meta| meta.modified());
        let changed = changed.ok().and_then(|at| Timestamp::try_from(at).ok());
        if changed.is_none_or(|at| now.duration_since(at) > MAX_PART_AGE) {
            fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    // It stays where something is in it.
    let _ = fs::remove_dir(parts);
    Ok(())
}
