//! What can go wrong with an answer.
//!
//! Owns the spoiling of a good answer. Knows no route.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::wire::{Answer, Framing};

/// The page of a proxy whose server is away.
const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";

/// A fault of one answer.
#[derive(Clone)]
pub enum Fault {
    /// Another status and body, with these headers (`Content-Type` is JSON unless given).
    Status(u16, String, Vec<(&'static str, String)>),
    /// The connection ends after this share of the announced body.
    Cut(f64),
    /// The same in chunks.
    CutChunked(f64),
    /// A page in place of the answer, with the status of the answer.
    Html,
    /// Silence.
    Hang,
    /// The connection is closed without a word.
    Gone,
    /// Right headers and no body.
    EmptyBody,
    /// Half of the body, as if it were whole.
    TruncatedJson,
    /// The body in gzip of two members.
    Gzip,
    /// Three quarters of such a body, so that the second member is cut.
    BadGzip,
    /// The body in deflate, with its envelope or without.
    Deflate {
        /// Whether the envelope is left out, as some servers do.
        raw: bool,
    },
    /// A coding nobody asked for and nobody knows.
    Brotli,
    /// No header about pages.
    NoPagingHeaders,
    /// A redirect.
    Redirect(u16, String),
    /// One header more or another value.
    Header(&'static str, String),
    /// One header less.
    NoHeader(&'static str),
    /// The end of the body is shown by the connection's end only.
    Unframed,
    /// Anything else.
    Edit(Arc<dyn Fn(&mut Answer) + Send + Sync>),
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fault")
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Fault {
    /// Makes a fault of a closure.
    pub fn edit(edit: impl Fn(&mut Answer) + Send + Sync + 'static) -> Self {
        Self::Edit(Arc::new(edit))
    }

    /// Makes a JSON error.
    pub fn json(status: u16, body: &str) -> Self {
        Self::Status(status, body.to_owned(), Vec::new())
    }

    /// Spoils an answer.
    pub fn spoil(&self, answer: &mut Answer) {
        match self {
            Self::Status(status, body, headers) => {
                *answer = Answer::new(*status, "application/json", body.as_bytes());
                headers.iter().for_each(|(name, value)| answer.set(name, value));
            }
            Self::Cut(share) => answer.framing = Framing::CutLength(*share),
            Self::CutChunked(share) => answer.framing = Framing::CutChunked(*share),
            Self::Html => *answer = Answer::new(answer.status, "text/html", PAGE),
            Self::Hang => answer.framing = Framing::Never,
            Self::Gone => answer.framing = Framing::Gone,
            Self::EmptyBody => answer.body.clear(),
            Self::TruncatedJson => answer.body.truncate(answer.body.len() / 2),
            Self::NoPagingHeaders => answer.headers.retain(|(name, _)| name == "Content-Type"),
            Self::Redirect(status, location) => {
                *answer = Answer::new(*status, "text/plain", "moved");
                answer.set("Location", location);
            }
            Self::Header(name, value) => answer.set(name, value),
            Self::NoHeader(name) => answer.drop(name),
            Self::Unframed => answer.framing = Framing::Close,
            Self::Edit(edit) => edit(answer),
            Self::Gzip | Self::BadGzip | Self::Deflate { .. } | Self::Brotli => self.code(answer),
        }
    }

    fn code(&self, answer: &mut Answer) {
        let (first, second) = answer.body.split_at(answer.body.len() / 2);
        let members = [gzip(first), gzip(second)].concat();
        let (name, body) = match self {
            Self::Gzip => ("gzip", members),
            Self::BadGzip => ("gzip", members[..members.len() * 3 / 4].to_vec()),
            Self::Deflate { raw: true } => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&answer.body).unwrap();
                ("deflate", encoder.finish().unwrap())
            }
            Self::Deflate { raw: false } => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&answer.body).unwrap();
                ("deflate", encoder.finish().unwrap())
            }
            _ => ("br", answer.body.clone()),
        };
        answer.body = body;
        answer.set("Content-Encoding", name);
    }
}
