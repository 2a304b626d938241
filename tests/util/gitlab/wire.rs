//! HTTP/1.1 as far as the loopback server needs it.
//!
//! Owns reading a request and writing an answer, broken ones included. Knows no route.

use std::io::{BufRead, Read, Write};
use std::net::{Shutdown, TcpStream};

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path as sent, encoded.
    pub path: String,
    /// The decoded parameters in order.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first parameter of a name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns all parameters of a name.
    pub fn params(&self, name: &str) -> Vec<&str> {
        let found = self.query.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    }
}

/// How the end of a body is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Framing {
    /// By `Content-Length`.
    Length,
    /// In chunks.
    Chunked,
    /// By closing the connection.
    Close,
    /// By `Content-Length`, but the connection ends after this share of the body.
    CutLength(f64),
    /// In chunks, but the connection ends after this share of the body.
    CutChunked(f64),
    /// Nothing is sent and the connection is closed.
    Gone,
    /// Nothing is ever sent.
    Never,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, without those of the framing.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it ends.
    pub framing: Framing,
}

impl Answer {
    /// Makes an answer of a content type.
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Self { status, headers, body: body.into(), framing: Framing::Length }
    }

    /// Makes an answer in JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Sets or replaces a header.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.drop(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    /// Removes a header.
    pub fn drop(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }
}

/// Reads a request; `None` when the client is gone.
pub fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let mut request = Request { method, path: path.to_owned(), query, ..Request::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Writes an answer; `false` if the connection is of no more use.
pub fn write_answer(mut stream: &TcpStream, answer: &Answer) -> bool {
    let close = || {
        // A connection that is closed already is closed enough.
        let _ = stream.shutdown(Shutdown::Both);
        false
    };
    match answer.framing {
        Framing::Gone => return close(),
        Framing::Never => {
            // Ends when the client has given up.
            let _ = stream.read(&mut [0]);
            return false;
        }
        _ => {}
    }
    let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&match answer.framing {
        Framing::Length | Framing::CutLength(_) => {
            format!("Content-Length: {}\r\n\r\n", answer.body.len())
        }
        Framing::Chunked | Framing::CutChunked(_) => "Transfer-Encoding: chunked\r\n\r\n".into(),
        _ => "Connection: close\r\n\r\n".into(),
    });
    let share = match answer.framing {
        Framing::CutLength(share) | Framing::CutChunked(share) => share,
        _ => 1.0,
    };
    let body = &answer.body[..(answer.body.len() as f64 * share) as usize];
    let chunked = matches!(answer.framing, Framing::Chunked | Framing::CutChunked(_));
    let mut bytes = head.into_bytes();
    if chunked && !body.is_empty() {
        bytes.extend(format!("{:x}\r\n", body.len()).bytes());
    }
    bytes.extend(body);
    if chunked && !body.is_empty() {
        bytes.extend(b"\r\n");
    }
    if answer.framing == Framing::Chunked {
        bytes.extend(b"0\r\n\r\n");
    }
    if stream.write_all(&bytes).is_err() {
        return false;
    }
    match answer.framing {
        Framing::Length | Framing::Chunked => true,
        _ => close(),
    }
}
