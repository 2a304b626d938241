//! Reading what belongs to a pipeline.

use sqlx::{QueryBuilder, Sqlite};

use super::rows::{JOB_COLUMNS, JOB_TABLES, JobRow};
use super::{Catalogue, CatalogueError};
use crate::model::PipelineId;

impl Catalogue {
    /// Returns the jobs and bridges of a pipeline, retried ones included, the lowest id first, at most `limit`.
    pub async fn jobs_of_pipeline(
        &self,
        pipeline: PipelineId,
        limit: u32,
    ) -> Result<Vec<JobRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
        sql.push(JOB_COLUMNS).push(" FROM ").push(JOB_TABLES).push(" WHERE j.pipeline = ");
        sql.push_bind(pipeline.0 as i64).push(" ORDER BY j.id LIMIT ").push_bind(limit);
        self.job_rows(sql).await
    }

    /// Returns a bridge that started a pipeline, or `None` if the archive knows none.
    pub async fn bridge_to(&self, pipeline: PipelineId) -> Result<Option<JobRow>, CatalogueError> {
        let mut sql = QueryBuilder::<Sqlite>::new("SELECT ");
        sql.push(JOB_COLUMNS).push(" FROM ").push(JOB_TABLES);
        sql.push(" WHERE j.bridge = 1 AND j.downstream_pipeline = ").push_bind(pipeline.0 as i64);
        sql.push(" LIMIT 1");
        Ok(self.job_rows(sql).await?.pop())
    }
}
