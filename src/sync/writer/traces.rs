//! A trace on its way into the batch and the index: judged, cut into frames, its documents put together.

use std::io::Read;

use anyhow::Context;
use jobvault_index as index;

use super::Writer;
use crate::gitlab::TraceHead;
use crate::model::TraceState;
use crate::store::{NewFrame, TraceId};
use crate::sync::Failure;
use crate::sync::judge::judge;
use crate::sync::queue::Item;
use crate::sync::spool::Spool;
use crate::trace::{self, CutOptions, Cutter};

/// The runner writes that it cut a log within this many bytes of its end.
const TAIL_BYTES: u64 = 4096;
/// Bytes read from a spool at once.
const READ_BYTES: usize = 128 * 1024;

impl Writer {
    pub(super) fn put_trace(
        &mut self,
        item: Item,
        mut spool: Spool,
        head: TraceHead,
    ) -> anyhow::Result<()> {
        let tail = spool.tail(TAIL_BYTES)?;
        let hash = *head.hash.as_bytes();
        let verdict =
            judge(&item, head.bytes, hash, trace::is_truncated(&tail), self.run.server_now());
        let (store, now) = (verdict.store, self.run.now());
        self.run.count(verdict.state);
        if verdict.state == TraceState::Pending {
            let project = self.run.known(item.project).path;
            self.run.fail(Failure { job: Some(item.job), project, reason: verdict.reason.clone() });
        }
        let state = verdict.into_state(&item);
        if !store {
            return Ok(self.batch.put_state(item.job, item.project, state, now)?);
        }
        let id = self.batch.begin_trace(item.job, item.project, now);
        self.put_frames(&item, id, spool)?;
        self.batch.end_trace(head.bytes, hash, state, now)?;
        self.run.tally(|s| s.raw_bytes += head.bytes);
        Ok(())
    }

    fn put_frames(&mut self, item: &Item, id: TraceId, mut spool: Spool) -> anyhow::Result<()> {
        let mut document = Document { item, id, first: 0, frames: 0, raw: Vec::new() };
        let mut cutter = Cutter::new(CutOptions::default());
        let mut failed = None;
        let input = spool.rewind()?;
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let read = input.read(&mut chunk).context("read the fetched trace back")?;
            let mut out = |frame: trace::Frame| {
                if failed.is_none() {
                    failed = self.put_frame(&mut document, frame).err();
                }
            };
            match read {
                0 => cutter.finish(&mut out),
                n => {
                    cutter.push(&chunk[..n], &mut out);
                    continue_or(&mut failed)?;
                    continue;
                }
            }
            break;
        }
        continue_or(&mut failed)?;
        self.index_document(&mut document)
    }

    fn put_frame(
        &mut self,
        document: &mut Document<'_>,
        frame: trace::Frame,
    ) -> anyhow::Result<()> {
        if !frame.continues {
            self.index_document(document)?;
            document.first = document.frames;
        }
        document.frames += 1;
        document.raw.extend_from_slice(&frame.raw);
        let new = NewFrame {
            raw: &frame.raw,
            lines: frame.lines,
            continues: frame.continues,
            open: frame.open,
        };
        Ok(self.batch.add_frame(new)?)
    }

    fn index_document(&mut self, document: &mut Document<'_>) -> anyhow::Result<()> {
        if document.raw.is_empty() {
            return Ok(());
        }
        trace::plain_into(&document.raw, &mut self.text);
        self.unindexed_bytes += document.raw.len() as u64;
        document.raw.clear();
        self.index
            .add(index::Document {
                job: document.item.job.0,
                trace: document.id.0,
                frame: document.first,
                text: self.text.text(),
            })
            .context("add to the full-text index")
    }
}

/// A document of the index being put together of frames.
struct Document<'a> {
    item: &'a Item,
    id: TraceId,
    first: u32,
    frames: u32,
    raw: Vec<u8>,
}

fn continue_or(failed: &mut Option<anyhow::Error>) -> anyhow::Result<()> {
    failed.take().map_or(Ok(()), Err)
}
