//! The bytes of an answer: content coding, limit and hash.
//!
//! Owns the way from the bytes on the wire to those meant. Does not know what they mean or where
//! they go. Fails when the coding is damaged or unknown, when the limit is passed, or when the
//! taker fails; these are told apart because only the first may go away by itself.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Where decoded bytes go.
pub(crate) trait Take {
    /// Takes the next bytes.
    fn take(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Take for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Why bytes could not be passed on.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The coding is damaged, unknown, or ends early.
    Coding(String),
    /// More bytes than allowed.
    TooLarge(u64),
    /// The taker failed.
    Taker(io::Error),
}

/// Counts, hashes and bounds what goes to the taker.
struct Meter<T> {
    taker: T,
    hasher: blake3::Hasher,
    bytes: u64,
    limit: u64,
    /// Why the last write failed, if not because of the coding.
    fault: Option<Fault>,
}

impl<T: Take> Write for Meter<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.limit - self.bytes < bytes.len() as u64 {
            self.fault = Some(Fault::TooLarge(self.limit));
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Err(error) = self.taker.take(bytes) {
            let kind = error.kind();
            self.fault = Some(Fault::Taker(error));
            return Err(kind.into());
        }
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A content coding a server may use, asked for or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// The bytes as they are.
    Identity,
    /// RFC 1952, of one or more members.
    Gzip,
    /// RFC 1950, or as some servers have it RFC 1951.
    Deflate,
}

impl Coding {
    /// Reads the value of a `Content-Encoding` header.
    pub(crate) fn parse(value: &str) -> Result<Self, Fault> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(Fault::Coding("the content coding is not known".into())),
        }
    }
}

enum Decoder<T: Take> {
    Identity(Meter<T>),
    Gzip(MultiGzDecoder<Meter<T>>),
    Zlib(ZlibDecoder<Meter<T>>),
    Raw(DeflateDecoder<Meter<T>>),
}

impl<T: Take> Decoder<T> {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Identity(writer) => writer,
            Self::Gzip(writer) => writer,
            Self::Zlib(writer) => writer,
            Self::Raw(writer) => writer,
        }
    }

    fn meter(&mut self) -> &mut Meter<T> {
        match self {
            Self::Identity(meter) => meter,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Raw(decoder) => decoder.get_mut(),
        }
    }
}

/// A body on its way: wire bytes in, meant bytes out.
pub(crate) struct Body<T: Take> {
    coding: Coding,
    /// Made with the first byte, which tells the two deflates apart.
    decoder: Result<Decoder<T>, Option<Meter<T>>>,
    /// Bytes seen on the wire.
    pub(crate) wire_bytes: u64,
}

/// What a whole body was.
pub(crate) struct Whole<T> {
    /// Where it went.
    pub(crate) taker: T,
    /// Decoded bytes.
    pub(crate) bytes: u64,
    /// BLAKE3 of the decoded bytes.
    pub(crate) hash: blake3::Hash,
}

impl<T: Take> Body<T> {
    /// Begins a body of at most `limit` decoded bytes.
    pub(crate) fn new(coding: Coding, taker: T, limit: u64) -> Self {
        let meter = Meter { taker, hasher: blake3::Hasher::new(), bytes: 0, limit, fault: None };
        Self { coding, decoder: Err(Some(meter)), wire_bytes: 0 }
    }

    /// Takes the next bytes from the wire.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(first) = bytes.first() else {
            return Ok(());
        };
        self.wire_bytes += bytes.len() as u64;
        if let Err(waiting) = &mut self.decoder {
            let meter = waiting.take().expect("the meter leaves only when a decoder is made");
            self.decoder = Ok(decoder(self.coding, *first, meter));
        }
        let Ok(decoder) = &mut self.decoder else {
            return Ok(());
        };
        decoder.writer().write_all(bytes).map_err(|error| judge(decoder.meter(), &error))
    }

    /// Ends the body, which must be whole as far as its coding tells.
    pub(crate) fn finish(self) -> Result<Whole<T>, Fault> {
        let meter = match self.decoder {
            Err(meter) => meter.expect("the meter leaves only when a decoder is made"),
            Ok(Decoder::Identity(meter)) => meter,
            Ok(Decoder::Gzip(mut decoder)) => match decoder.try_finish() {
                Ok(()) => return end(decoder.finish()),
                Err(error) => return Err(judge(decoder.get_mut(), &error)),
            },
            Ok(Decoder::Zlib(mut decoder)) => match decoder.try_finish() {
                Ok(()) => return end(decoder.finish()),
                Err(error) => return Err(judge(decoder.get_mut(), &error)),
            },
            Ok(Decoder::Raw(mut decoder)) => match decoder.try_finish() {
                Ok(()) => return end(decoder.finish()),
                Err(error) => return Err(judge(decoder.get_mut(), &error)),
            },
        };
        end(Ok(meter))
    }
}

fn decoder<T: Take>(coding: Coding, first: u8, meter: Meter<T>) -> Decoder<T> {
    // RFC 1950: the low half of the first byte is the method, and 8 is the only one.
    match coding {
        Coding::Identity => Decoder::Identity(meter),
        Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(meter)),
        Coding::Deflate if first & 0x0f == 8 => Decoder::Zlib(ZlibDecoder::new(meter)),
        Coding::Deflate => Decoder::Raw(DeflateDecoder::new(meter)),
    }
}

fn end<T>(meter: io::Result<Meter<T>>) -> Result<Whole<T>, Fault> {
    let meter = meter.map_err(|error| Fault::Coding(error.to_string()))?;
    Ok(Whole { taker: meter.taker, bytes: meter.bytes, hash: meter.hasher.finalize() })
}

fn judge<T>(meter: &mut Meter<T>, error: &io::Error) -> Fault {
    meter
        .fault
        .take()
        .unwrap_or_else(|| Fault::Coding(format!("the content coding is damaged: {error}")))
}
