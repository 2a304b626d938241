//! Reading what moved meanwhile: a trace whose row was read before a compaction, and whose packs are gone since.
//!
//! Costs nothing where nothing moved. Knows where to look again, and does so once.

use super::catalogue::{Access, Catalogue};
use super::packs::ledger::RecordKind;
use super::{FormatError, Frame, PackError, Store, StoreError, TraceId, TraceRow, packs};
use crate::model::JobId;

impl Store {
    /// Returns the newest document of a job as the server sent it, or `None` where the archive has none.
    pub async fn document(&self, job: JobId) -> Result<Option<Vec<u8>>, StoreError> {
        match self.document_now(job).await {
            Err(e) if e.may_have_moved() => {
                self.load_names().await?;
                self.document_now(job).await
            }
            read => read,
        }
    }

    async fn document_now(&self, job: JobId) -> Result<Option<Vec<u8>>, StoreError> {
        match self.catalogue.document(job).await? {
            Some(place) => self.record(job, place, RecordKind::is_listing).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads a job's record of a wanted kind: pack, offset of its ledger, number within it.
    pub(super) async fn record(
        &self,
        job: JobId,
        (pack, offset, index): (u64, u64, u64),
        wanted: fn(RecordKind) -> bool,
    ) -> Result<Vec<u8>, StoreError> {
        let name = self.name(pack)?;
        let packs = self.packs.clone();
        let read = move || -> Result<Vec<u8>, StoreError> {
            let footer = packs.footer(name)?;
            let moved = || PackError::Damaged {
                pack: name,
                source: FormatError::Entry("no document is where the catalogue says"),
            };
            let entry = footer.entries.iter().find(|e| e.offset == offset).ok_or_else(moved)?;
            let ledger = packs.read(name, entry, None)?;
            let record = packs::ledger::records(&ledger).nth(index as usize).and_then(Result::ok);
            // Packs that changed places hold other documents at the same places.
            let own = record.filter(|r| r.job == job.0 && wanted(r.kind)).ok_or_else(moved)?;
            Ok(own.bytes.to_vec())
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))
    }

    /// Reads the frame `index` of a trace, verified, wherever it stands by now. Blocks.
    ///
    /// Fails as [`Store::read_frame`] where it stands nowhere else.
    ///
    /// # Panics
    ///
    /// Where the trace has no such frame.
    pub fn read_piece(&self, trace: &TraceRow, index: usize) -> Result<Vec<u8>, StoreError> {
        let mut piece = Vec::new();
        self.append_piece(trace, index, &mut piece)?;
        Ok(piece)
    }

    /// As [`Store::read_piece`], at the end of `out`, which is as before where it fails. Blocks.
    ///
    /// # Panics
    ///
    /// Where the trace has no such frame.
    pub fn append_piece(
        &self,
        trace: &TraceRow,
        index: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let frame = &trace.frames[index];
        match self.append_frame(frame, out) {
            Err(e) if e.may_have_moved() => {
                let moved = self.look_again(trace.id).and_then(|frames| frames.get(index).cloned());
                match moved.filter(|moved| moved.hash == frame.hash) {
                    Some(moved) => self.append_frame(&moved, out),
                    None => Err(e),
                }
            }
            read => read,
        }
    }

    /// Reads anew where everything is, and where the frames of a trace are; `None` where that cannot be read.
    fn look_again(&self, trace: TraceId) -> Option<Vec<Frame>> {
        let path = self.root.join("catalogue.sqlite");
        let look = async {
            let catalogue = Catalogue::open(&path, Access::Read).await.ok()?;
            let row = catalogue.traces(&[trace]).await.ok()?.pop()?.ok()?;
            let (packs, bases) = (catalogue.packs().await.ok()?, catalogue.bases().await.ok()?);
            self.places.learn(packs.into_iter().map(|(id, name, _)| (id, name)), &bases);
            catalogue.close().await;
            Some(row.frames)
        };
        // A thread of its own may wait, whoever called: readers are called from inside and outside the runtime.
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.ok()?.block_on(look)
            });
            looking.join().unwrap_or_else(|e| std::panic::resume_unwind(e))
        })
    }
}

impl StoreError {
    /// True where what is missing may stand elsewhere by now.
    fn may_have_moved(&self) -> bool {
        match self {
            Self::NoPack(_) | Self::NoBase(_) => true,
            Self::Pack(source) | Self::Base { source, .. } => {
                matches!(source, PackError::Missing { .. })
            }
            _ => false,
        }
    }
}
