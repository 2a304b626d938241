//! What stands in a job's artifacts archive, how much of it is kept, and what became of keeping it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The `file_type` of the artifacts archive among a job's files.
const ARCHIVE_FILE_TYPE: &str = "archive";

impl super::Job {
    /// Returns the artifacts archive as listed, or `None` if the server lists none.
    #[must_use]
    pub fn archive(&self) -> Option<&super::Artifact> {
        self.artifacts.iter().find(|a| a.file_type.as_deref() == Some(ARCHIVE_FILE_TYPE))
    }
}

/// How much of a job's artifacts is fetched. Each holds what those before it hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ArtifactMode {
    /// What the job's document tells.
    #[default]
    None,
    /// The list of the files in the archive.
    Listing,
    /// Test reports and other small reports out of it.
    Reports,
    /// The archive.
    All,
}

/// A word names none of a set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of {1}")]
pub struct UnknownWord(pub String, pub &'static str);

impl ArtifactMode {
    /// Returns the name used on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Listing => "listing",
            Self::Reports => "reports",
            Self::All => "all",
        }
    }
}

impl FromStr for ArtifactMode {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let all = [Self::None, Self::Listing, Self::Reports, Self::All];
        let found = all.into_iter().find(|mode| mode.as_str() == word);
        found.ok_or_else(|| UnknownWord(word.to_owned(), "none, listing, reports, all"))
    }
}

impl fmt::Display for ArtifactMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of a job's artifacts archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactState {
    /// The list of its files is kept.
    Listed,
    /// The list and the reports are kept.
    Reports,
    /// It is kept.
    Kept,
    /// It is larger than was allowed; the list of its files may be kept.
    TooLarge,
    /// The server sends no parts of files, and the whole is larger than was allowed.
    NoRange,
    /// It is not as the server or the archive itself says; what there is of it may be kept.
    Damaged,
    /// The token may not read it.
    Forbidden,
    /// It expired before it was fetched.
    Expired,
    /// The server listed it and no longer has it.
    Gone,
    /// It has yet to be fetched, or nobody wanted it.
    Pending,
}

impl ArtifactState {
    /// Every state, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Listed,
        Self::Reports,
        Self::Kept,
        Self::TooLarge,
        Self::NoRange,
        Self::Damaged,
        Self::Forbidden,
        Self::Expired,
        Self::Gone,
        Self::Pending,
    ];

    /// Returns the name used in JSON and in the catalogue.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Reports => "reports",
            Self::Kept => "kept",
            Self::TooLarge => "too_large",
            Self::NoRange => "no_range",
            Self::Damaged => "damaged",
            Self::Forbidden => "forbidden",
            Self::Expired => "expired",
            Self::Gone => "gone",
            Self::Pending => "pending",
        }
    }
}

impl FromStr for ArtifactState {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == word);
        found.ok_or_else(|| UnknownWord(word.to_owned(), "the states of artifacts"))
    }
}

impl fmt::Display for ArtifactState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is odd about an entry. Nothing is done about it but that it is recorded: no path is ever followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryFlag {
    /// Its path begins at a root or drive.
    Absolute,
    /// Its path climbs by `..`.
    Climbs,
    /// Its path holds control bytes.
    Control,
    /// Its path is not UTF-8.
    NotUtf8,
    /// An entry before it has the same path.
    Duplicate,
    /// It is a directory.
    Directory,
    /// It is a symbolic link, or another thing that is no file.
    NoFile,
    /// It claims to unpack to far more than such bytes can hold, or shares its bytes with another.
    Bomb,
    /// It is encrypted.
    Encrypted,
    /// It is compressed by another method than deflate.
    Method,
    /// Its bytes would lie outside the archive.
    Outside,
    /// Its bytes do not unpack to what the archive says.
    Damaged,
    /// A flag of a later version.
    #[serde(other)]
    Other,
}

/// One entry of an artifacts archive, as the archive's directory describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactEntry {
    /// The path, with U+FFFD for what is not UTF-8.
    pub path: String,
    /// The path's bytes in hexadecimal, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
    /// Bytes it unpacks to.
    pub size: u64,
    /// Bytes it takes in the archive.
    pub packed: u64,
    /// CRC-32 of the bytes it unpacks to.
    pub crc: u32,
    /// The method of compression: 0 none, 8 deflate.
    pub method: u16,
    /// Type and permissions as Unix has them, where the archive tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// When it was changed; without zone, it is taken for UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// Offset of its header in the archive.
    pub offset: u64,
    /// What is odd about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<EntryFlag>,
}

impl ArtifactEntry {
    /// Returns whether something is odd about it.
    #[must_use]
    pub fn is(&self, flag: EntryFlag) -> bool {
        self.flags.contains(&flag)
    }

    /// Returns whether it is a file that can be unpacked.
    #[must_use]
    pub fn is_file(&self) -> bool {
        use EntryFlag::{Bomb, Directory, Encrypted, Method, NoFile, Outside};
        ![Directory, NoFile, Encrypted, Method, Outside, Bomb].iter().any(|flag| self.is(*flag))
    }
}

/// The entries of an artifacts archive, in the order of its directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactListing {
    /// Bytes of the archive.
    pub bytes: u64,
    /// Its entries.
    pub entries: Vec<ArtifactEntry>,
    /// Entries beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
