//! An archive in a temporary directory, synced from the loopback GitLab.
#![allow(dead_code, clippy::unwrap_used, reason = "each user needs another part; a test may panic")]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jobvault::gitlab::{Auth, Client, ClientOptions, ProjectRef};
use jobvault::model::JobId;
use jobvault::store::{JobRow, Store};
use jobvault::sync::{self, SyncStats};
use jobvault_index::Index;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::gitlab::{FakeGitLab, TOKEN};

/// A directory for an archive, and how to sync into it.
pub struct Archive {
    pub dir: tempfile::TempDir,
    /// Requests under way at once; 1 makes the order of requests certain.
    pub concurrency: usize,
    /// Stops the next sync.
    pub stop: CancellationToken,
    /// Changes the options of the next sync.
    pub adjust: fn(sync::Options) -> sync::Options,
}

impl Archive {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, concurrency: 4, stop: CancellationToken::new(), adjust: |options| options }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Syncs one project with waits too short to notice.
    pub async fn sync(&self, server: &FakeGitLab, project: &str) -> anyhow::Result<SyncStats> {
        self.sync_from(server, project, server.url()).await
    }

    /// Syncs as from a server of another name.
    pub async fn sync_from(
        &self,
        server: &FakeGitLab,
        project: &str,
        host: &str,
    ) -> anyhow::Result<SyncStats> {
        let client = client(server);
        let options = sync::Options {
            projects: vec![ProjectRef::from(project)],
            host: host.to_owned(),
            ..self.options(server)
        };
        self.run(&client, options).await
    }

    /// Syncs what `options` name.
    pub async fn run(&self, client: &Client, options: sync::Options) -> anyhow::Result<SyncStats> {
        let (store, mut index) = self.open().await?;
        let stop = self.stop.clone();
        let stats = sync::run(&store, &mut index, client, options, stop, |_| {}).await;
        store.close().await;
        stats
    }

    /// Returns the options of the next sync, which name no project.
    pub fn options(&self, server: &FakeGitLab) -> sync::Options {
        let options = sync::Options::new(server.url(), Timestamp::now);
        (self.adjust)(sync::Options { concurrency: self.concurrency, ..options })
    }

    /// Opens the archive for writing, and its index.
    pub async fn open(&self) -> anyhow::Result<(Store, Index)> {
        let store = Store::open_for_writing(self.path(), "test", Timestamp::now()).await?;
        let dir = store.index_dir();
        let index = if dir.exists() { Index::open(&dir)? } else { Index::create(&dir)? };
        Ok((store, index))
    }

    pub async fn store(&self) -> Store {
        Store::open(self.path()).await.unwrap()
    }

    /// Returns a job's row; it must be there.
    pub async fn row(&self, job: u64) -> JobRow {
        self.store().await.catalogue().job(JobId(job)).await.unwrap().expect("the job has a row")
    }

    /// Returns the bytes of a job's trace, empty where it has none.
    pub async fn raw(&self, job: u64) -> Vec<u8> {
        let store = self.store().await;
        let Some(trace) = self.row(job).await.trace else { return Vec::new() };
        let trace = store.catalogue().traces(&[trace]).await.unwrap().pop().unwrap().unwrap();
        trace.frames.iter().flat_map(|f| store.read_frame(f).unwrap()).collect()
    }

    /// Returns (job, line) of every hit of a query, in order.
    pub async fn search(&self, query: &str) -> Vec<(u64, u64)> {
        use jobvault::search::{Found, Options, search};
        let store = self.store().await;
        let index = Index::open(&store.index_dir()).unwrap();
        let args = [query.to_owned()];
        let query = jobvault_index::Query::parse(&args, jobvault_index::Case::Smart).unwrap();
        let mut hits = Vec::new();
        let take = |found| {
            if let Found::Hits { job, hits: found, .. } = found {
                hits.extend(found.iter().map(|h| (job.id.0, h.line)));
            }
            std::ops::ControlFlow::Continue(())
        };
        search(&store, &index, &query, &Options::default(), Timestamp::now(), take).await.unwrap();
        hits
    }
}

/// Returns a client whose waits are too short to notice.
pub fn client(server: &FakeGitLab) -> Client {
    Client::new(client_options(server)).unwrap()
}

/// Returns the options of such a client.
pub fn client_options(server: &FakeGitLab) -> ClientOptions {
    let token = Auth::PrivateToken(SecretString::from(TOKEN));
    let mut options = ClientOptions::new(server.url().parse().unwrap(), token);
    options.retries.base_delay = Duration::from_millis(1);
    options.retries.max_delay = Duration::from_millis(2);
    options.retries.rate_limit_delay = Duration::from_millis(1);
    options
}
