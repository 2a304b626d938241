//! jobvault archives the jobs of GitLab CI and makes their logs searchable.
//!
//! # Rooms
//!
//! Imports go down only, none sideways; a test reads the sources and enforces it.
//!
//! | layer | rooms |
//! |---|---|
//! | 1 | [`cli`]: commands, their output and exit codes |
//! | 2 | [`sync`]: server to archive and index; [`search`]: query to verified lines; [`export`]: rendering |
//! | 3 | [`gitlab`]: client of the Jobs API; [`store`]: packs and catalogue; [`trace`]: raw bytes to lines; [`artifact`]: reading zip archives by pieces; the crate `jobvault-index`: full text |
//! | 4 | [`config`]: file, environment and flags |
//! | 5 | [`model`]: projects, pipelines, jobs |
//!
//! What happens in a sync: walkers list jobs page by page; each page goes to the writer, which puts the documents
//! into a pack, and its jobs into a queue; fetchers take jobs from the queue, spool their traces and hand them to the
//! writer, which judges them, cuts them into frames, and puts the frames into the pack and the index. Every few
//! seconds the pack is made durable, then the catalogue, then the index.
//!
//! What happens in a search: the query becomes terms, the index names the frames that may hold them, the frames are
//! read from packs, verified, turned into plain text and matched. The catalogue tells whose they are.
//!
//! # Invariants
//!
//! 1. **Ground and derived.** Packs are the truth, the catalogue is the truth about the server, the full-text index is
//!    derived: it may be deleted at any time and is rebuilt from them. The packs alone suffice to rebuild the
//!    archive's jobs and traces (`rebuild`).
//! 2. **Order of writes.** Pack durable, then one catalogue transaction (SQLite: WAL, `synchronous=FULL`), then one
//!    index commit. A crash leaves at worst an unreferenced pack or unindexed frames; never a row that points at
//!    nothing, never a lost acknowledged job. Start-up repairs by doing the normal next step.
//! 3. **Write once.** A pack is created whole and never changed or renamed. Only explicit `prune` and `compact` delete
//!    packs, after what replaces them is durable and referenced.
//! 4. **Upstream loss is never our loss.** Erase, expiry, deletion upstream mark our record with when we noticed; they
//!    remove nothing here. A stored trace is never replaced by a shorter or empty one, unless the shorter has the size
//!    the server announces for the trace artifact and the stored one has not; a longer one supersedes it. Both stay,
//!    and both facts are recorded.
//! 5. **Every read is verified.** Bytes leave the store only after their hash matched.
//! 6. **A polite guest.** Sync sends GET only. The four job actions (cancel, retry, erase, play) are explicit
//!    commands; erase refuses until the archive holds a verified copy. After a 429 no new request starts before its
//!    time (those already under way are no fault); a budget below one request per second works.
//! 7. **Nothing skipped in silence.** Every job the server listed has a row that says archived, no log, erased before
//!    capture, forbidden, truncated at the runner's limit, vanished, or pending, with the reason and time.
//! 8. **Private.** An archive is created for its owner alone (0700); each job records by whom it was captured: host,
//!    server version, token's user, time. A read-only copy of an archive opens for reading.
//! 9. **Edges.** Only `config` reads the environment, only `cli` writes to stdout, only `main` exits; time comes in as
//!    `now`; no global state.

pub mod artifact;
pub mod cli;
pub mod config;
pub mod export;
pub mod gitlab;
pub mod model;
pub mod search;
pub mod store;
pub mod sync;
pub mod trace;
