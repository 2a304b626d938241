//! Merging segments: all of them when there is time, and the smaller ones whenever writing ends.
//!
//! Each segment has a dictionary of its own, which takes space, and a search opens and scans each of
//! them: with five segments where one would do it took a third longer. Knows nothing of what is in
//! them.

use ::tantivy::index::{SegmentId, SegmentMeta};

use super::error::{Error, guard, wrap};
use super::writer::MAX_MERGED_DOCUMENTS;
use super::{Index, Writer};

/// A segment is merged with the smaller ones where it has at most this many times their documents.
/// So a document is merged again only into a segment a third larger than its last one.
const TIMES_THE_SMALLER: usize = 3;

impl Writer {
    /// Merges segments into as few as may be, which is smallest. Waits for it. Returns whether there
    /// was anything to merge.
    pub fn merge(&mut self) -> Result<bool, Error> {
        let groups = groups(&self.index.segments()?);
        let mut merged = false;
        for group in groups.into_iter().filter(|group| group.len() > 1) {
            guard(&self.index.inner.dir, || self.engine.merge(&group).wait())?;
            merged = true;
        }
        self.clean()?;
        Ok(merged)
    }

    /// Removes what merges left and nobody reads any more.
    fn clean(&mut self) -> Result<(), Error> {
        // Whoever reads a segment keeps its files.
        self.index.reload()?;
        let dir = &self.index.inner.dir;
        guard(dir, || self.engine.garbage_collect_files().wait())?;
        self.write_flats();
        Ok(())
    }
}

impl Index {
    /// Merges the smaller segments where together they are worth it, so that there are few however
    /// often little is added. Takes the writer's place; given up half way, it has changed nothing.
    /// Returns whether there was anything to merge.
    pub async fn settle(&self) -> Result<bool, Error> {
        let group = smaller(&self.segments()?);
        if group.len() < 2 {
            return Ok(false);
        }
        let mut writer = self.writer()?;
        let merging = guard(&self.inner.dir, || Ok(writer.engine.merge(&group)))?;
        merging.await.map_err(|source| wrap(&self.inner.dir, source))?;
        writer.clean()?;
        writer.finish()?;
        Ok(true)
    }

    /// Returns the segments, the smallest first.
    fn segments(&self) -> Result<Vec<SegmentMeta>, Error> {
        let mut segments = guard(&self.inner.dir, || self.inner.engine.searchable_segment_metas())?;
        segments.sort_by_key(SegmentMeta::num_docs);
        Ok(segments)
    }
}

/// Puts segments together, the smallest first, to no more documents than one may have.
fn groups(segments: &[SegmentMeta]) -> Vec<Vec<SegmentId>> {
    let mut groups: Vec<Vec<SegmentId>> = Vec::new();
    let mut documents = usize::MAX;
    for segment in segments {
        let more = segment.num_docs() as usize;
        documents = documents.saturating_add(more);
        match groups.last_mut() {
            Some(group) if documents <= MAX_MERGED_DOCUMENTS => group.push(segment.id()),
            _ => {
                groups.push(vec![segment.id()]);
                documents = more;
            }
        }
    }
    groups
}

/// Returns the smallest segments, up to the first one that is large beside those before it.
fn smaller(segments: &[SegmentMeta]) -> Vec<SegmentId> {
    let documents: Vec<usize> = segments.iter().map(|s| s.num_docs() as usize).collect();
    segments[..count_of_smaller(&documents)].iter().map(SegmentMeta::id).collect()
}

fn count_of_smaller(documents: &[usize]) -> usize {
    let mut before = 0;
    let fits = |documents: &&usize| {
        let fits = before == 0 || **documents <= before * TIMES_THE_SMALLER;
        before += **documents;
        fits && before <= MAX_MERGED_DOCUMENTS
    };
    documents.iter().take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_segment_is_left_alone_until_the_smaller_ones_are_a_third_of_it() {
        assert_eq!(count_of_smaller(&[]), 0);
        assert_eq!(count_of_smaller(&[1000]), 1);
        assert_eq!(count_of_smaller(&[10, 1000]), 1);
        assert_eq!(count_of_smaller(&[10, 10, 1000]), 2);
        assert_eq!(count_of_smaller(&[250, 250, 1000, 100_000]), 3);
        assert_eq!(count_of_smaller(&[10, 20, 60, 271, 10_000]), 3);
    }

    #[test]
    fn no_segment_grows_over_the_bound() {
        let full = MAX_MERGED_DOCUMENTS;
        assert_eq!(count_of_smaller(&[full / 2, full / 2, full / 2]), 2);
        assert_eq!(count_of_smaller(&[full, full]), 1);
    }

    #[test]
    fn of_many_small_additions_few_segments_remain_and_each_document_is_moved_a_few_times() {
        let (mut segments, mut moved) = (Vec::new(), 0);
        for _ in 0..10_000 {
            segments.insert(0, 1);
            segments.sort_unstable();
            let count = count_of_smaller(&segments);
            let sum: usize = segments.drain(..count).sum();
            moved += if count > 1 { sum } else { 0 };
            segments.push(sum);
            segments.sort_unstable();
            assert!(segments.len() <= 10, "{segments:?}");
        }
        assert!(moved < 10_000 * 15, "{moved}");
    }
}
