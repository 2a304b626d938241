//! Filling the queue from the catalogue: what earlier runs left, and what fell out of a full queue.

use tokio::sync::oneshot;

use super::decide::held_item;
use super::run::Run;
use super::schedule::MAX_ITEMS;
use super::writer::Message;
use crate::model::ProjectId;
use crate::store::catalogue::Backlog;

/// Jobs read at once in each of the two orders; the queue holds both and has room for what walkers add.
const AT_ONCE: u32 = (MAX_ITEMS / 4) as u32;

impl Run {
    /// Fills the queue whenever it is short, until it is over.
    pub(super) async fn refill(&self, projects: Vec<ProjectId>) -> anyhow::Result<()> {
        loop {
            let needed = tokio::select! {
                needed = self.queue.needs_filling() => needed,
                () = self.stop.cancelled() => return Ok(()),
            };
            if !needed {
                return Ok(());
            }
            self.flush().await;
            let now = self.server_now();
            let mut projects = projects.clone();
            projects.extend(self.store.catalogue().open_projects_apart().await?);
            let wanted = Backlog {
                projects,
                since: self.options.since,
                failed_before: self.began,
                patient: self.options.patient,
                now,
                threatened: true,
                below: None,
                limit: AT_ONCE,
            };
            let threatened = self.store.catalogue().backlog(&wanted).await?;
            let newest = Backlog { threatened: false, ..wanted };
            let newest = self.store.catalogue().backlog(&newest).await?;
            let more = newest.len() >= AT_ONCE as usize;
            let item = |row| held_item(row, self.known(row.project).delete_after, now);
            let items = threatened.iter().chain(&newest).map(item).collect();
            self.queue.fill(items, more, now);
        }
    }

    /// Waits until all that was sent so far is durable and can be read.
    pub(super) async fn flush(&self) {
        if self.options.dry_run {
            return;
        }
        let (done, flushed) = oneshot::channel();
        self.send(Message::Flush(done)).await;
        // A writer that has ended answers nothing, and there is nothing to wait for.
        let _ = flushed.await;
    }
}
