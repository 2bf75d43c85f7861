//! Finding jobs without looking at all of them: each state is looked for in the table that holds
//! it, from the newest down, a bounded number at a time.

use super::{JobFilter, Store};
use crate::error::Result;
use crate::job::{JobId, JobState};
use sqlx::Row as _;

/// How many candidates one statement looks at: few first, since most searches are met by them.
const STEPS: [i64; 2] = [2_048, 20_480];
/// How many ids a block has, in which all jobs of a pack lie.
const BLOCK: i64 = 1024;

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Newest first.
    pub(crate) ids: Vec<JobId>,
    /// Below which job to go on; `None`: there are no others.
    pub(crate) next: Option<JobId>,
}

/// What one look into a table found.
#[derive(Debug)]
struct Look {
    ids: Vec<JobId>,
    /// Nothing was missed down to here; `None`: to the end.
    floor: Option<JobId>,
}

impl Store {
    /// Up to `limit` jobs below `before` in one of the states (none: in any), newest first. Gives
    /// up after a bounded number of candidates, and then says where to go on.
    pub(crate) async fn search(
        &self,
        filter: &JobFilter,
        states: &[JobState],
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Found> {
        let mut found = Found { ids: Vec::new(), next: Some(before.unwrap_or(JobId::MAX)) };
        for step in STEPS {
            let Some(before) = found.next else { break };
            let look = self.candidates(filter, states, before, step).await?;
            let wanted = limit - found.ids.len();
            let mut ids = self.matching(filter, look.ids, wanted).await?;
            found.next = look.floor;
            // A full page ends with its last job, wherever the look ended.
            if ids.len() >= wanted {
                ids.truncate(wanted);
                found.next = ids.last().copied();
                found.ids.append(&mut ids);
                break;
            }
            found.ids.append(&mut ids);
        }
        Ok(found)
    }

    /// Candidates below `before`, from every table that holds one of the states, down to where
    /// the one that came least far has looked.
    async fn candidates(
        &self,
        filter: &JobFilter,
        states: &[JobState],
        before: JobId,
        step: i64,
    ) -> Result<Look> {
        let mut looks = Vec::new();
        for query in self.sources(filter, states, before, step) {
            let row = self.fetch_one(query).await?;
            looks.push(Look { ids: row.get("ids"), floor: row.get("floor") });
        }
        // Numbers begin at 1.
        let floor = looks.iter().filter_map(|look| look.floor).max().filter(|floor| *floor > 1);
        let mut ids: Vec<JobId> = looks.into_iter().flat_map(|look| look.ids).collect();
        ids.retain(|id| floor.is_none_or(|floor| *id >= floor));
        ids.sort_unstable_by(|a, b| b.cmp(a));
        // A job may have gone from one table to the other between two looks.
        ids.dedup();
        Ok(Look { ids, floor })
    }

    /// The statements that look for these states.
    fn sources(
        &self,
        filter: &JobFilter,
        states: &[JobState],
        before: JobId,
        step: i64,
    ) -> Vec<super::Query> {
        use JobState::{Available, Cancelled, Completed, Discarded, Retrying, Running, Scheduled};
        if states.is_empty() {
            return vec![self.query(&self.sql.search_all).bind(before).bind(step)];
        }
        let has = |state| states.contains(&state);
        let mut queries = Vec::new();
        if has(Available) {
            let query = self.query(&self.sql.search_ready).bind(before).bind(step / BLOCK - 1);
            queries.push(query.bind(filter.queue.clone()).bind(filter.task.clone()));
        }
        if has(Scheduled) || has(Retrying) {
            let query = self.query(&self.sql.search_scheduled).bind(before).bind(step / BLOCK - 1);
            let query = query.bind(filter.queue.clone()).bind(filter.task.clone());
            queries.push(query.bind(has(Scheduled)).bind(has(Retrying)));
        }
        if has(Running) {
            queries.push(self.query(&self.sql.search_running).bind(before).bind(step));
        }
        let ended = [(Completed, 1_i16), (Cancelled, 2), (Discarded, 3)];
        let wanted = ended.into_iter().filter(|(state, _)| has(*state)).map(|(_, number)| number);
        if has(Completed) {
            let query = self.query(&self.sql.search_outcome).bind(before).bind(step);
            queries.push(query.bind(wanted.collect::<Vec<_>>()));
        } else {
            queries.extend(wanted.map(|number| {
                self.query(&self.sql.search_unsuccessful).bind(before).bind(step).bind(number)
            }));
        }
        queries
    }

    /// Those of the jobs, newest first, to which the rest of the filter applies.
    async fn matching(
        &self,
        filter: &JobFilter,
        ids: Vec<JobId>,
        limit: usize,
    ) -> Result<Vec<JobId>> {
        let plain = filter.task.is_none()
            && filter.queue.is_none()
            && filter.tag.is_none()
            && filter.created_after.is_none()
            && filter.created_before.is_none()
            && filter.error_contains.is_none();
        if plain || ids.is_empty() {
            return Ok(ids);
        }
        let query = self
            .query(&self.sql.search_match)
            .bind(ids)
            .bind(filter.task.clone())
            .bind(filter.queue.clone())
            .bind(filter.tag.clone())
            .bind(filter.created_after)
            .bind(filter.created_before)
            .bind(filter.error_contains.clone())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.fetch_all(query).await?;
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }

    /// How many jobs there are.
    pub(crate) async fn count(&self, filter: &JobFilter) -> Result<u64> {
        let states: Vec<JobState> = filter.state.into_iter().collect();
        let (mut count, mut before) = (0, Some(filter.before.unwrap_or(JobId::MAX)));
        while let Some(below) = before {
            let look = self.candidates(filter, &states, below, STEPS[1]).await?;
            before = look.floor;
            count += self.matching(filter, look.ids, usize::MAX).await?.len() as u64;
        }
        Ok(count)
    }
}
