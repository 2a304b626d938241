//! Words that many rows repeat: names of jobs, stages, refs, runners, states. Each is kept once, rows have its number.
//!
//! A word is never removed: what a row no longer says, another will say. The view `jobs` shows words for numbers.

use std::collections::{BTreeSet, HashMap};

use sqlx::{QueryBuilder, Sqlite};

use super::write::Tx;

/// Words a statement looks up at once.
const WORDS_PER_STATEMENT: usize = 1000;

/// The numbers of some words.
#[derive(Debug, Default)]
pub(super) struct Words(HashMap<String, i64>);

impl Words {
    /// Looks words up; those that are new are added.
    pub(super) async fn of<'a>(
        tx: &mut Tx<'_>,
        words: impl Iterator<Item = &'a str>,
    ) -> Result<Self, sqlx::Error> {
        let words: BTreeSet<&str> = words.collect();
        let words: Vec<&str> = words.into_iter().collect();
        let mut numbers = HashMap::with_capacity(words.len());
        for chunk in words.chunks(WORDS_PER_STATEMENT) {
            let mut sql = QueryBuilder::<Sqlite>::new("INSERT OR IGNORE INTO words (text) ");
            sql.push_values(chunk, |mut row, word| {
                row.push_bind(*word);
            });
            sql.build().persistent(false).execute(&mut **tx).await?;
            let mut sql = QueryBuilder::<Sqlite>::new("SELECT text, id FROM words WHERE text IN (");
            let mut list = sql.separated(", ");
            for word in chunk {
                list.push_bind(*word);
            }
            sql.push(")");
            let found: Vec<(String, i64)> = sql.build_query_as().fetch_all(&mut **tx).await?;
            numbers.extend(found);
        }
        Ok(Self(numbers))
    }

    /// Returns the number of a word that was looked up.
    pub(super) fn get(&self, word: &str) -> i64 {
        self.0.get(word).copied().unwrap_or_default()
    }
}
