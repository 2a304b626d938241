//! Artifacts on their way into the batch.

use anyhow::Context;
use jiff::Timestamp;

use super::Writer;
use crate::model::ArtifactState;
use crate::store::NewArtifacts;
use crate::store::catalogue::StoredFile;
use crate::sync::Failure;
use crate::sync::artifacts::Fetched;

impl Writer {
    pub(super) async fn put_artifacts(
        &mut self,
        fetched: Fetched,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let Fetched { job, project, outcome, listing, archive, reports } = fetched;
        let mut hash = None;
        if let Some(mut spool) = archive {
            let input = spool.rewind().context("read the fetched archive back")?;
            hash = Some(self.batch.put_blob(input, now).await?.0);
        }
        let mut files = Vec::with_capacity(reports.len());
        for (path, content) in reports {
            let (hash, bytes) = self.batch.put_blob(&mut content.as_slice(), now).await?;
            let blake3 = blake3::Hash::from_bytes(hash).to_hex().to_string();
            files.push(StoredFile { path, bytes, blake3 });
        }
        let again = outcome.next_at.is_some();
        if again {
            let project = self.run.known(project).path;
            let reason = format!("artifacts: {}", outcome.reason);
            self.run.fail(Failure { job: Some(job), project, reason });
        }
        let state = if again { ArtifactState::Pending } else { outcome.state };
        self.run.tally(|s| *s.artifacts.entry(state.as_str()).or_default() += 1);
        let new = NewArtifacts {
            state: outcome.state,
            reason: outcome.reason,
            settled: outcome.settled,
            next_at: outcome.next_at,
            attempts: outcome.attempts,
            listing,
            archive: hash,
            files,
        };
        Ok(self.batch.put_artifacts(job, project, new, now)?)
    }
}
