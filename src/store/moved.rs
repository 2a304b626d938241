//! Reading what moved meanwhile: a trace whose row was read before a compaction, and whose packs are gone since.
//!
//! Costs nothing where nothing moved. Knows where to look again, and does so once.

use super::catalogue::{Access, Catalogue};
use super::{Frame, PackError, Store, StoreError, TraceId, TraceRow, packs};
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
        let Some((pack, offset, index)) = self.catalogue.document(job).await? else {
            return Ok(None);
        };
        let name = self.name(pack)?;
        let packs = self.packs.clone();
        let read = move || -> Result<Option<Vec<u8>>, StoreError> {
            let footer = packs.footer(name)?;
            let Some(entry) = footer.entries.iter().find(|e| e.offset == offset) else {
                return Ok(None);
            };
            let ledger = packs.read(name, entry, None)?;
            let record = packs::ledger::records(&ledger).nth(index as usize);
            Ok(record.and_then(Result::ok).map(|r| r.bytes.to_vec()))
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
        let frame = &trace.frames[index];
        match self.read_frame(frame) {
            Err(e) if e.may_have_moved() => {
                let moved = self.look_again(trace.id).and_then(|frames| frames.get(index).cloned());
                match moved.filter(|moved| moved.hash == frame.hash) {
                    Some(moved) => self.read_frame(&moved),
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
