//! Files of compressed blocks, read as if they were not compressed.
//!
//! Two thirds of the index are postings, which the engine packs by bits but does not compress; the
//! lists of words that stand in the same logs are much alike, and zstd sees it (half of the bytes
//! on repeated builds). A file is a row of blocks of the same length, each one zstd frame with a
//! checksum; then the table: the stored length of each block, four bytes each, little-endian; then
//! the trailer: the file's length as it is read, the length of a block, a checksum of the table and
//! the magic. Knows nothing of what is in a file. A damaged block is an error of invalid data, so
//! that no damaged list of documents is taken for a whole one.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::tantivy::HasLen;
use ::tantivy::directory::{AntiCallToken, FileHandle, OwnedBytes, TerminatingWrite, WritePtr};

/// Files with blocks of other lengths are read as well, up to this.
const MAX_BLOCK: usize = 1 << 20;
/// zstd's level. Higher ones save two parts in a hundred.
const LEVEL: i32 = 6;
/// The last bytes of a file.
const MAGIC: &[u8; 8] = b"JVBLOCK1";
/// Length, block length, checksum of the table, magic.
const TRAILER: usize = 8 + 4 + 8 + MAGIC.len();
/// Decoded blocks that are kept: a merge reads on and on, a scan of tokens comes back.
const KEPT: usize = 128;

/// Returns the bytes of a block, before compression, in a file of an index that has so many bytes of
/// them. A look-up decodes one or two blocks, and a scan of a large dictionary comes to two thousand
/// look-ups: 4 KiB take 10 us, 8 KiB 16, 16 KiB 28. The lists of a small archive are the more alike:
/// of repeated builds 16 KiB save a sixth of the file against 4 KiB, of large archives a fortieth.
pub(super) fn block_bytes(bytes: u64) -> usize {
    match bytes >> 20 {
        0..2 => 16 * 1024,
        2..16 => 8 * 1024,
        _ => 4 * 1024,
    }
}

/// Compresses what is written.
struct Compressing {
    to: WritePtr,
    /// Bytes of a block.
    each: usize,
    block: Vec<u8>,
    lengths: Vec<u8>,
    len: u64,
    encoder: zstd::bulk::Compressor<'static>,
}

/// Returns a writer that compresses into `to`, in blocks of `each` bytes.
pub(super) fn writer(to: WritePtr, each: usize) -> io::Result<WritePtr> {
    let mut encoder = zstd::bulk::Compressor::new(LEVEL)?;
    encoder.include_checksum(true)?;
    let block = Vec::with_capacity(each);
    let writer = Compressing { to, each, block, lengths: Vec::new(), len: 0, encoder };
    Ok(BufWriter::new(Box::new(writer)))
}

impl Compressing {
    fn put_block(&mut self) -> io::Result<()> {
        let stored = self.encoder.compress(&self.block)?;
        self.to.write_all(&stored)?;
        // A block grows by a few bytes at most.
        self.lengths.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        self.block.clear();
        Ok(())
    }
}

impl Write for Compressing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.each - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        self.len += taken as u64;
        if self.block.len() == self.each {
            self.put_block()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl TerminatingWrite for Compressing {
    fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
        if !self.block.is_empty() {
            self.put_block()?;
        }
        self.to.write_all(&self.lengths)?;
        self.to.write_all(&self.len.to_le_bytes())?;
        self.to.write_all(&(self.each as u32).to_le_bytes())?;
        self.to.write_all(&crate::terms::checksum(&self.lengths).to_le_bytes())?;
        self.to.write_all(MAGIC)?;
        self.to.flush()?;
        self.to.terminate_ref(token)
    }
}

/// A file of compressed blocks.
pub(super) struct Blocks {
    file: Arc<dyn FileHandle>,
    /// Where each block begins in the file, and where the last one ends.
    starts: Vec<u64>,
    len: usize,
    /// Bytes of a block.
    block: usize,
    kept: Mutex<Kept>,
}

/// Decoded blocks, the latest first, and what decodes: a decoder for each thread that does at once.
#[derive(Default)]
struct Kept {
    blocks: VecDeque<(usize, Arc<[u8]>)>,
    decoders: Vec<zstd::bulk::Decompressor<'static>>,
}

impl Kept {
    fn get(&mut self, number: usize) -> Option<Arc<[u8]>> {
        let at = self.blocks.iter().position(|(known, _)| *known == number)?;
        let known = self.blocks.remove(at)?;
        let block = known.1.clone();
        self.blocks.push_front(known);
        Some(block)
    }

    fn put(&mut self, number: usize, block: Arc<[u8]>) {
        self.blocks.truncate(KEPT - 1);
        self.blocks.push_front((number, block));
    }
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blocks({:?})", self.file)
    }
}

/// Returns the error of a file that is not as it was written.
pub(super) fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Blocks {
    /// Opens a file that [`writer`] wrote; fails where it is cut off or its table is damaged.
    pub(super) fn open(file: Arc<dyn FileHandle>) -> io::Result<Blocks> {
        let cut = || invalid("the file is cut off");
        let end = file.len().checked_sub(TRAILER).ok_or_else(cut)?;
        let trailer = file.read_bytes(end..file.len())?;
        let number = |range: Range<usize>| {
            let mut bytes = [0; 8];
            bytes[..range.len()].copy_from_slice(&trailer[range]);
            u64::from_le_bytes(bytes)
        };
        let block = number(8..12) as usize;
        if trailer[20..] != *MAGIC || !(1..=MAX_BLOCK).contains(&block) {
            return Err(invalid("the file does not end as it should"));
        }
        let len = usize::try_from(number(0..8)).map_err(|_| cut())?;
        let table = len.div_ceil(block).checked_mul(4).and_then(|size| end.checked_sub(size));
        let table = table.ok_or_else(cut)?;
        let lengths = file.read_bytes(table..end)?;
        if crate::terms::checksum(&lengths) != number(12..20) {
            return Err(invalid("the table of blocks is damaged"));
        }
        let mut starts = vec![0];
        let mut at = 0;
        for length in lengths.as_chunks::<4>().0 {
            at += u64::from(u32::from_le_bytes(*length));
            starts.push(at);
        }
        if at != table as u64 {
            return Err(invalid("the blocks do not fill the file"));
        }
        Ok(Blocks { file, starts, len, block, kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a block, decoded. Other threads read blocks meanwhile.
    fn block(&self, number: usize) -> io::Result<Arc<[u8]>> {
        let decoder = {
            let mut kept = self.kept();
            if let Some(block) = kept.get(number) {
                return Ok(block);
            }
            kept.decoders.pop()
        };
        let mut decoder = match decoder {
            Some(decoder) => decoder,
            None => zstd::bulk::Decompressor::new()?,
        };
        let (from, to) = (self.starts[number] as usize, self.starts[number + 1] as usize);
        let stored = self.file.read_bytes(from..to)?;
        let len = self.block.min(self.len - number * self.block);
        let block = decoder.decompress(&stored, len).map_err(|e| invalid(&e.to_string()))?;
        if block.len() != len {
            return Err(invalid("a block is too short"));
        }
        let block: Arc<[u8]> = block.into();
        let mut kept = self.kept();
        kept.decoders.push(decoder);
        kept.put(number, block.clone());
        Ok(block)
    }
}

impl HasLen for Blocks {
    fn len(&self) -> usize {
        self.len
    }
}

impl FileHandle for Blocks {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start >= range.end {
            return Ok(OwnedBytes::empty());
        }
        if range.end > self.len {
            return Err(invalid("what is asked for lies beyond the end"));
        }
        let (first, last) = (range.start / self.block, (range.end - 1) / self.block);
        let inside = range.start - first * self.block;
        if first == last {
            let block = OwnedBytes::new(self.block(first)?);
            return Ok(block.slice(inside..inside + range.len()));
        }
        let mut bytes = Vec::with_capacity(range.len());
        bytes.extend_from_slice(&self.block(first)?[inside..]);
        for number in first + 1..=last {
            let block = self.block(number)?;
            let wanted = block.len().min(range.len() - bytes.len());
            bytes.extend_from_slice(&block[..wanted]);
        }
        Ok(OwnedBytes::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]
    use std::path::Path;

    use ::tantivy::Directory;
    use ::tantivy::directory::RamDirectory;
    use proptest::prelude::*;

    use super::*;

    const BLOCK: usize = 4096;

    fn file(content: &[u8]) -> Vec<u8> {
        let directory = RamDirectory::create();
        let path = Path::new("a");
        let mut writer = writer(directory.open_write(path).unwrap(), BLOCK).unwrap();
        writer.write_all(content).unwrap();
        writer.terminate().unwrap();
        directory.open_read(path).unwrap().read_bytes().unwrap().to_vec()
    }

    fn open(file: Vec<u8>) -> io::Result<Blocks> {
        Blocks::open(Arc::new(OwnedBytes::new(file)))
    }

    /// Bytes of which some blocks can be compressed and some cannot.
    fn content(len: usize) -> Vec<u8> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u8
        };
        (0..len)
            .map(|at| if (at / BLOCK).is_multiple_of(2) { (at / 100) as u8 } else { next() })
            .collect()
    }

    proptest! {
        #[test]
        fn any_part_is_read_as_it_was_written(
            len in 0..5 * BLOCK, parts in prop::collection::vec((0..5 * BLOCK, 0..5 * BLOCK), 1..50)
        ) {
            let content = content(len);
            let blocks = open(file(&content)).unwrap();
            prop_assert_eq!(blocks.len(), len);
            for (from, to) in parts {
                let (from, to) = (from.min(to).min(len), from.max(to).min(len));
                prop_assert_eq!(&*blocks.read_bytes(from..to).unwrap(), &content[from..to]);
            }
        }
    }

    #[test]
    fn the_more_there_is_the_smaller_are_blocks() {
        let of = [0, 3 << 20, 1 << 30].map(block_bytes);
        assert!(of.is_sorted_by(|a, b| a > b), "{of:?}");
    }

    #[test]
    fn repeated_content_is_smaller() {
        assert!(file(&b"0123456789".repeat(10_000)).len() < 1_000);
    }

    #[test]
    fn no_damaged_byte_is_read() {
        let content = content(3 * BLOCK + 100);
        let whole = file(&content);
        for at in (0..whole.len()).step_by(37).chain(whole.len() - 60..whole.len()) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            if let Ok(read) = open(flipped).and_then(|b| b.read_bytes(0..content.len())) {
                // A bit that zstd does not look at.
                assert_eq!(&*read, &content, "byte {at}");
            }
            assert!(open(whole[..at].to_vec()).is_err());
        }
        let blocks = open(whole).unwrap();
        assert!(blocks.read_bytes(0..content.len() + 1).is_err());
        assert!(blocks.read_bytes(5..5).unwrap().is_empty());
    }
}
