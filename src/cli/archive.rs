//! Opening the archive and its index for a command that reads, and finding the job that was named.

use std::io::BufRead as _;
use std::path::PathBuf;

use jobvault_index::{Error as IndexError, Index};
use tokio::task::JoinHandle;
use url::Url;

use super::address::{JobAddress, is_page_of};
use super::{Context, Exit, Problem};
use crate::export::sanitise;
use crate::search;
use crate::store::{JobRow, Store, StoreError};
use crate::sync::HOST_KEY;

/// The file of saved searches in an archive.
const SEARCHES: &str = "searches.toml";

impl Context<'_> {
    /// Opens the archive for reading.
    pub(super) async fn open(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.config.archive).await?)
    }

    /// Begins to open the archive for reading what a search finds.
    pub(super) fn opening_for_search(&self) -> JoinHandle<Result<Store, StoreError>> {
        let archive = self.config.archive.clone();
        tokio::spawn(async move { Store::open_for_search(&archive).await })
    }

    /// Opens the archive for writing; `purpose` is what another writer is told about us. Opened for reading first,
    /// because opening for writing would create what is missing.
    pub(super) async fn open_for_writing(&self, purpose: &str) -> anyhow::Result<Store> {
        drop(self.open().await?);
        Ok(Store::open_for_writing(&self.config.archive, purpose, self.now).await?)
    }

    /// Asks a question on the terminal; what is not yes is no.
    pub(super) fn confirms(&mut self, question: &str) -> anyhow::Result<bool> {
        self.out.message(format!("{question} [y/N]"));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Returns where the full-text index is, for opening it while the archive is opened.
    pub(super) fn index_dir(&self) -> PathBuf {
        Store::index_dir_of(&self.config.archive)
    }

    /// Returns where saved searches are: in the archive unless the configuration names a file.
    pub(super) fn searches(&self) -> PathBuf {
        let usual = || self.config.archive.join(SEARCHES);
        self.config.searches.clone().unwrap_or_else(usual)
    }

    /// Prints what is odd about the configuration.
    pub(super) fn warn_of_config(&mut self) {
        for warning in std::mem::take(&mut self.config.warnings) {
            self.out.warn(sanitise(warning));
        }
    }
}

/// Opens the index for reading.
pub(super) async fn open_index(store: &Store) -> anyhow::Result<Index> {
    match Index::open(&store.index_dir()) {
        Err(IndexError::Missing { .. }) if search::is_empty(store).await? => {
            Err(Problem::new("the archive holds no log yet")
                .hint("try again when jobvault sync has archived some")
                .exit(Exit::No)
                .into())
        }
        opened => Ok(opened?),
    }
}

/// Returns the row of a job named on the command line.
pub(super) async fn find_job(store: &Store, address: &JobAddress) -> anyhow::Result<JobRow> {
    check_host(store, address).await?;
    match store.catalogue().job(address.id).await? {
        Some(row) => Ok(row),
        None => Err(Problem::new(format!("the archive knows no job {}", address.id))
            .hint("jobvault jobs lists those it knows; jobvault sync PROJECT fetches new ones")
            .exit(Exit::No)
            .into()),
    }
}

/// Makes sure that the archive knows the jobs named on the command line, and is of the server of a pipeline's page.
pub(super) async fn find_jobs(
    store: &Store,
    addresses: &[JobAddress],
    pipeline: Option<Url>,
) -> anyhow::Result<()> {
    check_page(store, pipeline.as_ref()).await?;
    for address in addresses {
        find_job(store, address).await?;
    }
    Ok(())
}

/// Refuses the page of another server, whose job of the same number is another one.
pub(super) async fn check_host(store: &Store, address: &JobAddress) -> anyhow::Result<()> {
    check_page(store, address.page.as_ref()).await
}

/// Refuses a page of another server.
pub(super) async fn check_page(store: &Store, page: Option<&Url>) -> anyhow::Result<()> {
    let Some(page) = page else { return Ok(()) };
    let Some(host) = store.catalogue().meta(HOST_KEY).await? else { return Ok(()) };
    if is_page_of(page, &host) {
        return Ok(());
    }
    let page = page.origin().ascii_serialization();
    let message = format!("the archive holds jobs of {host}, not of {page}");
    Err(Problem::new(message).hint("name the archive of that server with --archive").into())
}
