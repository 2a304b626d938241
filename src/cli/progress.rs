//! Progress on standard error, drawn only where a person can see it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Out;

/// The bar is drawn at most so often.
const DRAWS_A_SECOND: u8 = 8;

/// A bar or nothing.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Makes a bar with a length, or a hidden one. `template` is indicatif's.
    pub(super) fn new(out: &Out, length: u64, template: &str) -> Self {
        let target = match out.shows_progress() {
            true => ProgressDrawTarget::stderr_with_hz(DRAWS_A_SECOND),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━╌"));
        }
        bar.enable_steady_tick(Duration::from_millis(125));
        Self { bar }
    }

    /// Says how far it is.
    pub(super) fn set(&self, position: u64, length: u64, message: String) {
        self.bar.set_length(length);
        self.bar.set_position(position);
        self.bar.set_message(message);
    }

    /// Says what is done, where no number says how far it is.
    pub(super) fn say(&self, message: String) {
        self.bar.set_message(message);
    }

    /// Takes the bar away while `f` writes.
    pub(super) fn pause(&self, f: impl FnOnce()) {
        self.bar.suspend(f);
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
