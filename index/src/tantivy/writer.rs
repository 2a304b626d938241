//! Adding documents.
//!
//! One thread indexes and one merges. Documents are searchable after a commit (and a reload of the
//! reader); what was added since the last commit is lost if the process ends, which the number
//! committed with it tells.

use std::fs;

use ::tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use ::tantivy::schema::Field;
use ::tantivy::{IndexWriter, SegmentReader, TantivyDocument};

use super::error::{Error, guard, of_writing};
use super::seen::Seen;
use super::{Index, segment_name};
use crate::pairs::{Neighbours, PAIRS};
use crate::terms::{FOLDER, Flat};
use crate::text::{for_each_run, for_folding};

/// Memory for documents not yet in a segment; when it is full a segment is written. Not measured
/// against other values.
const MEMORY_BYTES: usize = 20_000_000;
/// Segments below this many documents are merged as equals, so that small commits do not pile up.
const SMALL_SEGMENT: u32 = 1_000;
/// So many segments of about one size are merged into one.
const MERGE_SEGMENTS: usize = 8;
/// Segments of more documents are merged no more; about 25 GB of text each.
pub(super) const MAX_MERGED_DOCUMENTS: usize = 200_000;

/// What stands among the pairs of a document whose text is not known; each pair has three bytes.
pub(super) const UNREAD: &[u8] = b"unread";

/// A piece of a trace, of whole lines.
#[derive(Debug, Clone, Copy)]
pub struct Document<'t> {
    /// The job, by which candidates are ordered and allowed.
    pub job: u64,
    /// The trace, by which candidates are grouped.
    pub trace: u64,
    /// Its place within the trace.
    pub frame: u32,
    /// The plain text.
    pub text: &'t [u8],
}

/// The writer of an index; there is at most one in all processes.
pub struct Writer {
    pub(super) index: Index,
    pub(super) engine: IndexWriter,
    terms: Field,
    pairs: Field,
    numbers: [Field; 3],
    seen: Seen,
    /// The pairs of one document, a bit for each that there can be.
    seen_pairs: Vec<u64>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("index", &self.index).finish()
    }
}

impl Writer {
    pub(super) fn new(index: &Index) -> Result<Writer, Error> {
        let inner = &index.inner;
        guard(&inner.dir, || {
            let options = IndexWriterOptions::builder()
                .num_worker_threads(1)
                .num_merge_threads(1)
                .memory_budget_per_thread(MEMORY_BYTES)
                .build();
            let engine: IndexWriter = inner.engine.writer_with_options(options)?;
            let mut policy = LogMergePolicy::default();
            policy.set_min_num_segments(MERGE_SEGMENTS);
            policy.set_min_layer_size(SMALL_SEGMENT);
            policy.set_max_docs_before_merge(MAX_MERGED_DOCUMENTS);
            engine.set_merge_policy(Box::new(policy));
            let schema = inner.engine.schema();
            Ok(Writer {
                index: index.clone(),
                engine,
                terms: inner.terms,
                pairs: inner.pairs,
                numbers: [
                    schema.get_field("job")?,
                    schema.get_field("trace")?,
                    schema.get_field("frame")?,
                ],
                seen: Seen::new(),
                seen_pairs: vec![0; PAIRS.div_ceil(64)],
            })
        })
    }

    /// Adds a document. It may wait for the indexing thread.
    pub fn add(&mut self, document: Document<'_>) -> Result<(), Error> {
        self.seen.clear();
        self.seen_pairs.fill(0);
        let mut engine_document = TantivyDocument::default();
        let mut neighbours = Neighbours::of(document.text);
        let is_wide = for_each_run(document.text, |run| {
            run.for_each_token(|token| {
                if self.seen.insert(token) {
                    engine_document.add_bytes(self.terms, token);
                }
            });
            neighbours.next(run, |pair| {
                let (word, bit) = (pair.number() / 64, 1 << (pair.number() % 64));
                if self.seen_pairs[word] & bit == 0 {
                    self.seen_pairs[word] |= bit;
                    engine_document.add_bytes(self.pairs, &pair.term());
                }
            });
        });
        if is_wide {
            for_folding(document.text, |token| engine_document.add_bytes(self.terms, token));
        }
        self.put(engine_document, [document.job, document.trace, u64::from(document.frame)])
    }

    /// Adds a document whose text is not known, which so is a candidate for every term.
    pub fn add_unread(&mut self, job: u64, trace: u64, frame: u32) -> Result<(), Error> {
        let mut engine_document = TantivyDocument::default();
        engine_document.add_bytes(self.pairs, UNREAD);
        self.put(engine_document, [job, trace, u64::from(frame)])
    }

    fn put(&self, mut document: TantivyDocument, numbers: [u64; 3]) -> Result<(), Error> {
        for (field, value) in self.numbers.iter().zip(numbers) {
            document.add_u64(*field, value);
        }
        let dir = &self.index.inner.dir;
        let added = guard(dir, || self.engine.add_document(document));
        added.map(drop).map_err(|error| of_writing(dir, error, MEMORY_BYTES))
    }

    /// Makes all documents so far durable, together with the highest trace number they cover.
    pub fn commit(&mut self, through: u64) -> Result<(), Error> {
        let (engine, dir) = (&mut self.engine, &self.index.inner.dir);
        let committed = guard(dir, || {
            let mut commit = engine.prepare_commit()?;
            commit.set_payload(&through.to_string());
            commit.commit()
        });
        committed.map_err(|error| of_writing(dir, error, MEMORY_BYTES))?;
        self.write_flats();
        Ok(())
    }

    /// Waits for merges and gives up the lock. What was not committed is lost.
    pub fn finish(self) -> Result<(), Error> {
        let Writer { index, engine, .. } = self;
        guard(&index.inner.dir, || engine.wait_merging_threads())?;
        write_flats(&index);
        Ok(())
    }

    pub(super) fn write_flats(&self) {
        write_flats(&self.index);
    }
}

/// Writes the flat dictionaries of new segments and removes those of old ones. They only save
/// time, so a failure is logged and nothing more.
fn write_flats(index: &Index) {
    let inner = &index.inner;
    let segments = guard(&inner.dir, || {
        fs::create_dir_all(inner.dir.join(FOLDER))?;
        let segments = inner.engine.searchable_segments()?;
        let names: Vec<String> = segments.iter().map(|s| s.id().uuid_string()).collect();
        for (segment, name) in segments.iter().zip(&names) {
            if inner.dir.join(Flat::path(name)).exists() {
                continue;
            }
            let reader = SegmentReader::open(segment)?;
            debug_assert_eq!(segment_name(&reader), *name);
            let flat = Flat::build(reader.inverted_index(inner.terms)?.terms())?;
            flat.write(&inner.files, name)?;
        }
        Ok(names)
    });
    match segments {
        Ok(names) => remove_others(index, &names),
        // A merge may have removed a segment between its listing and its reading.
        Err(error) => tracing::debug!(%error, "Left flat dictionaries unwritten"),
    }
}

fn remove_others(index: &Index, live: &[String]) {
    let folder = index.inner.dir.join(FOLDER);
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if stem.is_none_or(|stem| !live.iter().any(|name| name == stem)) {
            // One that stays only takes space until the next commit.
            let _ = fs::remove_file(path);
        }
    }
}
