//! Writes every archived trace to standard output, verified, for scripts that compare an archive with something else.
//!
//! `cargo run --release --example traces -- ARCHIVE`: for each trace that stands for its job a line of JSON (`job`,
//! `state`, `bytes`), then so many bytes. A trace that cannot be read has `error` in its line, and no bytes follow.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::io::Write;

use jobvault::store::{Store, TraceId};

/// Traces read at once.
const AT_ONCE: u32 = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let root = std::env::args().nth(1).expect("usage: traces ARCHIVE");
    let store = Store::open(root.as_ref()).await.unwrap();
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let mut after = TraceId(0);
    loop {
        let traces = store.catalogue().traces_after(after, AT_ONCE).await.unwrap();
        let Some((last, _)) = traces.last() else { break };
        after = *last;
        let traces: Vec<_> = traces.into_iter().map(|(_, trace)| trace.unwrap()).collect();
        let ids: Vec<_> = traces.iter().map(|trace| trace.job).collect();
        let rows = store.catalogue().jobs_by_id(&ids).await.unwrap();
        for trace in traces {
            let row = rows.iter().find(|row| row.id == trace.job && row.trace == Some(trace.id));
            // Superseded by a longer one.
            let Some(row) = row else { continue };
            let frames: Result<Vec<_>, _> =
                trace.frames.iter().map(|frame| store.read_frame(frame)).collect();
            let (job, state) = (row.id.0, row.state.as_str());
            match frames {
                Ok(frames) => {
                    let bytes: usize = frames.iter().map(Vec::len).sum();
                    let line = serde_json::json!({"job": job, "state": state, "bytes": bytes});
                    writeln!(out, "{line}").unwrap();
                    frames.iter().for_each(|frame| out.write_all(frame).unwrap());
                }
                Err(e) => {
                    let error = e.to_string();
                    let line = serde_json::json!({"job": job, "state": state, "error": error});
                    writeln!(out, "{line}").unwrap();
                }
            }
        }
    }
    out.flush().unwrap();
}
