//! Hits for people: grouped by job on a terminal, `JOB:LINE:text` in a pipe, as ripgrep does with files.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{heading, json};
use crate::cli::output::{Out, OutputError, Paint};
use crate::cli::table;
use crate::export::{self, Style, sanitise};
use crate::model::JobId;
use crate::search::{Found, Hit};
use crate::store::JobRow;

/// What stands between lines that are not next to each other.
const BREAK: &str = "--";
/// The widest a section's name is shown beside a line.
const MAX_SECTION: usize = 24;

/// Prints what a search finds, in order.
pub(super) struct Printer<'a> {
    out: &'a mut Out,
    now: Timestamp,
    /// Context was asked for: the hits of one job are put together first, since the context of one may hold another.
    context: bool,
    pending: Option<Pending>,
    /// Something was printed before.
    begun: bool,
    last_job: Option<JobId>,
}

/// Hits of one job and the lines around them.
struct Pending {
    job: Arc<JobRow>,
    hits: BTreeMap<u64, Hit>,
    context: BTreeMap<u64, Vec<u8>>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(out: &'a mut Out, now: Timestamp, context: bool) -> Self {
        Self { out, now, context, pending: None, begun: false, last_job: None }
    }

    /// Returns where it prints to.
    pub(super) fn out(&mut self) -> &mut Out {
        self.out
    }

    /// Prints a job's id alone.
    pub(super) fn id(&mut self, job: JobId, as_json: bool) -> Result<(), OutputError> {
        match as_json {
            true => json::id(job, self.out),
            false => self.out.line(job.to_string()),
        }
    }

    /// Prints, or keeps until the job's other hits are there.
    pub(super) fn print(&mut self, found: Found) -> Result<(), OutputError> {
        let (job, hits, context) = match found {
            Found::Hits { job, hits, context } => (job, hits, context),
            Found::Job(job) => return self.job(&job),
            Found::Count { .. } => return Ok(()),
        };
        if self.pending.as_ref().is_some_and(|pending| pending.job.id != job.id) {
            self.flush()?;
        }
        let pending = self.pending.get_or_insert_with(|| Pending {
            job,
            hits: BTreeMap::new(),
            context: BTreeMap::new(),
        });
        pending.hits.extend(hits.into_iter().map(|hit| (hit.line, hit)));
        pending.context.extend(context);
        match self.context {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Prints what is left.
    pub(super) fn finish(mut self) -> Result<(), OutputError> {
        self.flush()
    }

    /// Prints a job without lines.
    fn job(&mut self, job: &JobRow) -> Result<(), OutputError> {
        match self.out.is_terminal() {
            true => {
                let [heading, _] = heading::heading(self.out, job, self.now);
                self.out.line(heading)
            }
            false => self.out.line(heading::columns(job)),
        }
    }

    fn flush(&mut self) -> Result<(), OutputError> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        if self.out.is_terminal() && self.last_job != Some(pending.job.id) {
            if self.begun {
                self.out.line("")?;
            }
            for line in heading::heading(self.out, &pending.job, self.now) {
                self.out.line(line)?;
            }
        } else if self.begun && self.context && !self.out.is_terminal() {
            self.out.line(BREAK)?;
        }
        self.begun = true;
        self.last_job = Some(pending.job.id);
        self.lines(&pending)
    }

    /// Prints lines in order, hits over their own context.
    fn lines(&mut self, pending: &Pending) -> Result<(), OutputError> {
        let mut numbers: Vec<u64> =
            pending.context.keys().chain(pending.hits.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let widest = numbers.last().map_or(0, |last| last.to_string().len()).max(4);
        let mut before: Option<u64> = None;
        for number in numbers {
            if self.context && before.is_some_and(|before| before + 1 != number) {
                let text = self.out.paint(Paint::Dim, BREAK);
                self.out.line(text)?;
            }
            before = Some(number);
            let job = pending.job.id;
            match (pending.hits.get(&number), pending.context.get(&number)) {
                (Some(hit), _) => self.line(job, number, widest, &hit.text, Some(hit))?,
                (None, Some(text)) => self.line(job, number, widest, text, None)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Returns when and in which section a line was written, where that is known.
    fn place(&self, hit: &Hit) -> String {
        let time = hit.time.map(|time| time.strftime("%H:%M:%S").to_string());
        let section = hit.section.as_deref().map(|name| table::cut(&sanitise(name), MAX_SECTION));
        let parts: Vec<String> = time.into_iter().chain(section).collect();
        match parts.is_empty() {
            true => String::new(),
            false => {
                format!("{} ", self.out.paint(Paint::Dim, format!("[{}]", parts.join(" "))))
            }
        }
    }

    fn line(
        &mut self,
        job: JobId,
        number: u64,
        widest: usize,
        text: &[u8],
        hit: Option<&Hit>,
    ) -> Result<(), OutputError> {
        let sign = if hit.is_some() { ':' } else { '-' };
        let colour = self.out.has_colour();
        let terminal = self.out.is_terminal();
        let mut line = match terminal {
            true => {
                let paint = if hit.is_some() { Paint::Green } else { Paint::Dim };
                let number = self.out.paint(paint, format!("{number:>widest$}"));
                let place = hit.map_or(String::new(), |hit| self.place(hit));
                format!("{number}{sign} {place}").into_bytes()
            }
            false => format!("{job}{sign}{number}{sign}").into_bytes(),
        };
        if !terminal && !colour {
            line.extend_from_slice(text);
            return self.out.line(line);
        }
        let ranges = hit.map(|hit| hit.ranges.as_slice()).unwrap_or_default();
        line.extend(export::highlight(text, ranges, Style { colour, sanitise: true }));
        self.out.line(line)
    }
}
