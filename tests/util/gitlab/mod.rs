//! A GitLab on loopback: the routes a client of CI jobs needs, with a log of what was asked and
//! faults on demand.
//!
//! Owns its data, which may change while it runs, and answers as the real server does, headers
//! included. Runs on threads of its own, so that it serves programs as well as async tests, and
//! knows no clock. Meant for tests and demonstrations only: it panics on its own mistakes.
#![allow(clippy::unwrap_used, reason = "a loopback server of tests may panic")]
#![allow(dead_code, unused_imports, reason = "each user of this module needs another part of it")]

mod artifacts;
mod data;
mod fault;
mod lists;
mod routes;
mod wire;

use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

pub use data::{Data, FakeJob, FakeProject, job_doc};
pub use fault::Fault;
pub use wire::{Answer, Framing, Request};

/// The token the server takes.
pub const TOKEN: &str = "glpat-test";

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The name of the route, such as `trace`.
    pub route: &'static str,
    /// What was asked.
    pub request: Request,
    /// The status answered, 0 if nothing was.
    pub status: u16,
}

impl Seen {
    /// Returns whether the request bore the server's token.
    pub fn had_token(&self) -> bool {
        routes::has_token(&self.request)
    }
}

#[derive(Default)]
struct Rule {
    route: String,
    left: usize,
    fault: Option<Fault>,
}

struct Shared {
    url: String,
    data: Mutex<Data>,
    seen: Mutex<Vec<Seen>>,
    rules: Mutex<Vec<Rule>>,
    stopped: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server; it ends when dropped.
pub struct FakeGitLab {
    shared: Arc<Shared>,
    addr: SocketAddr,
}

impl FakeGitLab {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start(data: Data) -> Self {
        let data = Data { running: true, ..data };
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            url: format!("http://{addr}"),
            data: Mutex::new(data),
            seen: Mutex::default(),
            rules: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { return };
                let shared = Arc::clone(&accepting);
                thread::spawn(move || serve(&shared, &stream));
            }
        });
        Self { shared, addr }
    }

    /// Returns the root address, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Reads or changes the data.
    pub fn data<R>(&self, change: impl FnOnce(&mut Data) -> R) -> R {
        change(&mut lock(&self.shared.data))
    }

    /// Spoils the next `times` answers of a route (`*` for any). Earlier rules go first.
    pub fn on(&self, route: &str, times: usize, fault: Fault) {
        let rule = Rule { route: route.to_owned(), left: times, fault: Some(fault) };
        lock(&self.shared.rules).push(rule);
    }

    /// Answers a route as it is, `times` times; puts a distance between faults.
    pub fn pass(&self, route: &str, times: usize) {
        let rule = Rule { route: route.to_owned(), left: times, fault: None };
        lock(&self.shared.rules).push(rule);
    }

    /// Returns the requests so far, in the order they came.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// Returns how often a route was asked (`*` for any).
    pub fn count(&self, route: &str) -> usize {
        lock(&self.shared.seen).iter().filter(|seen| route == "*" || seen.route == route).count()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        lock(&self.shared.seen).clear();
    }
}

impl Drop for FakeGitLab {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; if that fails, the listener is gone already.
        let _ = TcpStream::connect(self.addr);
    }
}

impl Shared {
    fn take_rule(&self, route: &str) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().find(|r| r.left > 0 && (r.route == "*" || r.route == route))?;
        rule.left -= 1;
        rule.fault.clone()
    }
}

fn serve(shared: &Shared, stream: &TcpStream) {
    // An answer is written whole; waiting for more would only slow the tests.
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some(request) = wire::read_request(&mut reader) {
        let (route, mut answer) = routes::answer(&mut lock(&shared.data), &shared.url, &request);
        let fault = shared.take_rule(route);
        if let Some(fault) = &fault {
            fault.spoil(&mut answer);
        }
        let status = if answer.framing == Framing::Never { 0 } else { answer.status };
        lock(&shared.seen).push(Seen { route, request, status });
        if shared.stopped.load(Ordering::Relaxed) || !wire::write_answer(stream, &answer) {
            return;
        }
    }
}
