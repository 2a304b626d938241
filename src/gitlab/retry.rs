//! Whether and when a failed request is tried again.
//!
//! Owns the patience of one request. Does not know what is asked. Fails with the error it was
//! given, once that is to be believed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use reqwest::StatusCode;
use tracing::debug;

use super::Error;
use super::call::Call;
use super::http::Http;

/// Tries of a request refused with a page: most likely the address is wrong.
const MAX_REFUSED_PAGES: u32 = 3;
/// Tries to connect to a server that has never answered: most likely the address is wrong.
const TRIES_OF_A_STRANGER: u32 = 2;
/// Refusals of a token before it is asked whether the token is good at all.
const REFUSALS_TO_BELIEVE: u32 = 2;
/// How often `/user` must refuse the token too. A balancer with one bad node of five refuses so often by chance once in
/// three thousand doubts; one look alone would end every fifth.
const USER_LOOKS: u32 = 5;

/// The tries of one request so far.
pub(crate) struct Tries {
    /// Failed tries that count.
    failed: u32,
    /// Refusals by 429.
    rate_limited: u32,
    /// Refusals of the token in a row.
    unauthorized: u32,
}

impl Tries {
    pub(crate) fn new() -> Self {
        Self { failed: 0, rate_limited: 0, unauthorized: 0 }
    }

    /// Returns how often the request failed.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    /// Waits until the request is to be tried again, or gives the error back if it is not.
    pub(crate) async fn again(
        &mut self,
        http: &Http,
        call: &Call,
        error: Error,
    ) -> Result<(), Error> {
        let error = match error {
            Error::RateLimited { .. } => {
                self.rate_limited += 1;
                let patient = self.rate_limited <= http.retries.max_rate_limited;
                // The pacer's gate does the waiting, for all clones alike.
                return if patient && http.fits(error.retry_after()) { Ok(()) } else { Err(error) };
            }
            Error::Unauthorized { .. } => self.doubt(http, call, error).await?,
            error => {
                self.unauthorized = 0;
                error
            }
        };
        self.failed += 1;
        if self.failed >= self.limit(http, &error) || !may_repeat(call, &error) {
            return Err(error);
        }
        http.counts.retried();
        let wait = self.wait(http, call, &error);
        debug!(request.url = call.place(), wait.ms = wait.as_millis(), %error, "Tries again");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Believes a 401 when the same request fails twice and the token is refused for `/user` too.
    async fn doubt(&mut self, http: &Http, call: &Call, error: Error) -> Result<Error, Error> {
        self.unauthorized += 1;
        let Error::Unauthorized { url, message, .. } = error else {
            return Ok(error);
        };
        let judged = |token_accepted| Error::Unauthorized { url, message, token_accepted };
        if self.unauthorized < REFUSALS_TO_BELIEVE {
            return Ok(judged(false));
        }
        if call.is_whoami() {
            return Err(judged(false));
        }
        for look in 0..USER_LOOKS {
            tokio::time::sleep(http.retries.base_delay * look.min(1)).await;
            match http.send(&Call::whoami(http)?).await {
                Err(Error::Unauthorized { .. }) => {}
                Ok(_) => return Ok(judged(true)),
                Err(_) => return Ok(judged(false)),
            }
        }
        Err(judged(false))
    }

    fn limit(&self, http: &Http, error: &Error) -> u32 {
        let most = http.retries.max_attempts;
        let refused = error.status().is_some_and(|status| (400..500).contains(&status));
        match error {
            Error::NotJson { .. } if refused => most.min(MAX_REFUSED_PAGES),
            Error::Redirect { .. } => most.min(MAX_REFUSED_PAGES),
            Error::Connect { .. } if !http.has_answered() => most.min(TRIES_OF_A_STRANGER),
            _ => most,
        }
    }

    /// Returns the wait before the next try: doubling, with up to half of it taken off by
    /// chance, so that clones which failed together do not come back together.
    fn wait(&self, http: &Http, call: &Call, error: &Error) -> Duration {
        let retries = &http.retries;
        let doublings = self.failed.saturating_sub(1).min(16);
        let full = retries.base_delay.saturating_mul(1 << doublings).min(retries.max_delay);
        let mut hasher = DefaultHasher::new();
        (call.url.as_str(), self.failed).hash(&mut hasher);
        let chance = u32::from(hasher.finish().to_le_bytes()[0]);
        let wait = full - full * chance / 512;
        let asked = error.retry_after().map_or(Duration::ZERO, |wait| wait.min(retries.max_delay));
        wait.max(asked)
    }
}

/// Returns whether the request may be sent again after this error.
fn may_repeat(call: &Call, error: &Error) -> bool {
    match error {
        Error::Unauthorized { .. } | Error::Connect { .. } => true,
        Error::Refused { status, .. } => *status == StatusCode::TOO_EARLY.as_u16(),
        error => call.is_read() && error.is_transient(),
    }
}
