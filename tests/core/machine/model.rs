//! What jobs are, without tables.

use super::engine::{Happened, Taken, queue_name};
use super::op::{Edit, Ending, NewJob, Return};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// A job as anyone sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    pub(super) id: i64,
    pub(super) queue: String,
    pub(super) state: String,
    pub(super) priority: i32,
    pub(super) payload: Option<i64>,
    pub(super) attempt: i32,
    pub(super) errors: i32,
}

#[derive(Clone, Debug)]
enum Place {
    Waiting { due: Option<i32>, attempts: i16, suspect: bool },
    Running { worker: usize, token: Uuid, attempt: i16, suspect: bool, unwanted: bool },
    Ended { state: &'static str, attempt: i16 },
}

#[derive(Clone, Debug)]
struct Job {
    place: Place,
    queue: u8,
    priority: i32,
    payload: i32,
    max_attempts: i32,
    key: Option<u8>,
    expires: Option<i32>,
    has_follow_up: bool,
    errors: i32,
    old_tokens: Vec<Uuid>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    jobs: BTreeMap<i64, Job>,
    paused: BTreeSet<u8>,
    follow_ups: Vec<Seen>,
}

type Verdict = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

fn refused_with(answer: Option<&String>, expected: Option<&str>) -> Verdict {
    let answer = answer.map(String::as_str);
    ensure(answer == expected, || format!("answered {answer:?} instead of {expected:?}"))
}

impl Model {
    /// Any job.
    pub(super) fn pick(&self, n: usize) -> Option<i64> {
        self.jobs.keys().nth(n % self.jobs.len().max(1)).copied()
    }

    /// In one of two cases, a job that has ended: picked like others, they would be few. Best one
    /// whose mates under the same lease still run.
    pub(super) fn ended(&self, n: usize) -> Option<i64> {
        let standing = |token: &Uuid| self.jobs.values().any(|job| job.is_under(*token));
        let mut ended: Vec<_> = self.jobs.iter().filter(|(_, job)| job.has_ended()).collect();
        if ended.iter().any(|(_, job)| job.old_tokens.last().is_some_and(standing)) {
            ended.retain(|(_, job)| job.old_tokens.last().is_some_and(standing));
        }
        let place = (n / 2) % ended.len().max(1);
        ended.get(place).filter(|_| n % 2 == 1).map(|(id, _)| **id)
    }

    /// Any running attempt.
    pub(super) fn running(&self, n: usize) -> Option<(i64, Uuid)> {
        let running: Vec<_> = self.jobs.iter().filter_map(|(id, job)| job.token(*id)).collect();
        running.get(n % running.len().max(1)).copied()
    }

    /// Any attempt that is over, of a job that waits or runs again; else of any job.
    pub(super) fn old_token(&self, n: usize) -> Option<(i64, Uuid)> {
        let tokens = |(id, job): (&i64, &Job)| {
            let id = *id;
            let current = job.token(id);
            let tokens = job.old_tokens.clone().into_iter().map(move |token| (id, token));
            tokens.filter(move |old| Some(*old) != current)
        };
        let alive = self.jobs.iter().filter(|(_, job)| !job.has_ended());
        let mut old: Vec<_> = alive.flat_map(tokens).collect();
        if old.is_empty() {
            old = self.jobs.iter().flat_map(tokens).collect();
        }
        old.get(n % old.len().max(1)).copied()
    }

    /// Whether the running attempt is the job's last.
    pub(super) fn is_last(&self, id: i64) -> bool {
        let job = &self.jobs[&id];
        matches!(job.place, Place::Running { attempt, .. } if i32::from(attempt) >= job.max_attempts)
    }

    /// Every job as it should be seen.
    pub(super) fn jobs(&self) -> Vec<Seen> {
        let mut follow_ups = self.follow_ups.clone();
        follow_ups.sort();
        self.jobs.iter().map(|(id, job)| job.seen(*id)).chain(follow_ups).collect()
    }

    /// Takes in what happened. An error is something that must not have.
    pub(super) fn apply(&mut self, happened: &Happened) -> Verdict {
        match happened {
            Happened::Nothing => Ok(()),
            Happened::Enqueued { id, created, job } => self.enqueued(*id, *created, job),
            Happened::EnqueuedMany { ids, job } => {
                self.jobs.extend(ids.iter().map(|id| (*id, Job::new(job))));
                Ok(())
            }
            Happened::Claimed { worker, queue, slots, suspects, token, jobs } => {
                self.check_claim(*queue, *slots, *suspects, jobs)?;
                for taken in jobs {
                    self.start(taken, *worker, *token);
                }
                Ok(())
            }
            Happened::Finished { id, token, ending, accepted } => {
                if self.must_accept(*id, *token, *accepted)? {
                    self.end(*id, *ending);
                }
                Ok(())
            }
            Happened::GivenBack { id, token, how, accepted } => {
                if self.must_accept(*id, *token, *accepted)? {
                    self.give_back(*id, *how);
                }
                Ok(())
            }
            Happened::CompletedInTransaction { id, token, committed, refused } => {
                self.must_accept(*id, *token, refused.is_none())?;
                if *committed {
                    self.end(*id, Ending::Complete);
                }
                Ok(())
            }
            Happened::Cancelled { id, answer } => self.cancelled(*id, answer),
            Happened::Retried { id, refused } => self.retried(*id, refused.as_ref()),
            Happened::Edited { id, edit, refused } => self.edited(*id, edit, refused.as_ref()),
            Happened::Deleted { id, refused } => {
                let runs = matches!(self.jobs[id].place, Place::Running { .. });
                refused_with(refused.as_ref(), runs.then_some("LV013"))?;
                if !runs {
                    self.jobs.remove(id);
                }
                Ok(())
            }
            Happened::Paused { queue, paused } => {
                if *paused {
                    self.paused.insert(*queue)
                } else {
                    self.paused.remove(queue)
                };
                Ok(())
            }
            Happened::Promoted { hour } => {
                self.jobs.values_mut().for_each(|job| job.promote(*hour));
                Ok(())
            }
            Happened::Expired { hour } => {
                self.jobs.values_mut().for_each(|job| job.expire(*hour));
                Ok(())
            }
            Happened::Pruned { listed, forgotten } => {
                self.jobs.retain(|id, job| !job.has_ended() || listed.contains(id));
                ensure(forgotten.is_empty(), || format!("{forgotten:?} should have been pruned"))
            }
            Happened::Crashed { worker } => {
                let lost = |(id, job): (&i64, &Job)| job.is_held_by(*worker).then_some(*id);
                let ids: Vec<i64> = self.jobs.iter().filter_map(lost).collect();
                for id in ids {
                    self.rescue(id);
                }
                Ok(())
            }
        }
    }

    /// The job of a key in a queue that has not ended.
    fn holder(&self, queue: u8, key: Option<u8>) -> Option<i64> {
        let key = key?;
        let holds = |job: &Job| job.queue == queue && job.key == Some(key) && !job.has_ended();
        self.jobs.iter().find(|(_, job)| holds(job)).map(|(id, _)| *id)
    }

    fn enqueued(&mut self, id: i64, created: bool, new: &NewJob) -> Verdict {
        let holder = self.holder(new.queue, new.key);
        ensure(created == holder.is_none() && holder.is_none_or(|holder| holder == id), || {
            format!("the key is held by {holder:?}")
        })?;
        if created {
            self.jobs.insert(id, Job::new(new));
        }
        Ok(())
    }

    fn check_claim(&self, queue: u8, slots: i64, suspects: bool, jobs: &[Taken]) -> Verdict {
        let available = |suspect: bool| {
            let may = move |job: &&Job| job.is_available(queue) == Some(suspect);
            self.jobs.values().filter(may).count()
        };
        let pause = self.paused.contains(&queue);
        let most = available(false) + usize::from(suspects && available(true) > 0);
        let most = if pause { 0 } else { most.min(usize::try_from(slots).unwrap()) };
        ensure(jobs.len() <= most && (most == 0) == jobs.is_empty(), || {
            format!("{} jobs of {most} were claimed", jobs.len())
        })?;
        for taken in jobs {
            let job = self.jobs.get(&taken.id).ok_or_else(|| format!("{taken:?} is no job"))?;
            let Place::Waiting { attempts, .. } = job.place else {
                return Err(format!("{taken:?} did not wait: {job:?}"));
            };
            let fits =
                job.is_available(queue) == Some(taken.suspect) && attempts + 1 == taken.attempt;
            ensure(fits, || format!("{taken:?} does not fit {job:?}"))?;
        }
        let took = |id: &i64| jobs.iter().any(|taken| taken.id == *id);
        let least = jobs.iter().filter(|taken| !taken.suspect);
        let least = least.map(|taken| self.jobs[&taken.id].priority).min();
        let left = self
            .jobs
            .iter()
            .filter(|(id, job)| job.is_available(queue) == Some(false) && !took(id));
        let best = left.map(|(_, job)| job.priority).max();
        ensure(least.is_none() || best.is_none() || least >= best, || {
            format!("priority {best:?} was passed over for {least:?}")
        })
    }

    fn start(&mut self, taken: &Taken, worker: usize, token: Uuid) {
        let Some(job) = self.jobs.get_mut(&taken.id) else { return };
        let (attempt, suspect) = (taken.attempt, taken.suspect);
        job.place = Place::Running { worker, token, attempt, suspect, unwanted: false };
        job.old_tokens.push(token);
    }

    /// An outcome counts if and only if its token is the current one.
    fn must_accept(&self, id: i64, token: Uuid, accepted: bool) -> Result<bool, String> {
        let current = self.jobs[&id].token(id) == Some((id, token));
        ensure(current == accepted, || format!("current: {current}, accepted: {accepted}"))?;
        Ok(accepted)
    }

    fn end(&mut self, id: i64, ending: Ending) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Place::Running { attempt, .. } = job.place else { return };
        let state = match ending {
            Ending::Complete => "completed",
            Ending::Cancel => "cancelled",
            Ending::Fail => "discarded",
        };
        job.place = Place::Ended { state, attempt };
        if ending == Ending::Fail {
            job.errors += 1;
            self.follow_ups.extend(job.follow_up());
        }
    }

    fn give_back(&mut self, id: i64, how: Return) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Place::Running { attempt, suspect, unwanted, .. } = job.place else { return };
        job.errors += i32::from(how == Return::Retry);
        job.place = if unwanted {
            Place::Ended { state: "cancelled", attempt }
        } else {
            match how {
                Return::Retry => Place::Waiting { due: Some(1), attempts: attempt, suspect: false },
                Return::Snooze => {
                    Place::Waiting { due: Some(2), attempts: attempt - 1, suspect: false }
                }
                Return::Release => Place::Waiting { due: None, attempts: attempt - 1, suspect },
            }
        };
    }

    fn rescue(&mut self, id: i64) {
        let is_last = self.is_last(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Place::Running { attempt, suspect, unwanted, .. } = job.place else { return };
        if suspect && is_last {
            return self.end(id, Ending::Fail);
        }
        job.errors += 1;
        job.place = match (unwanted, suspect) {
            (true, _) => Place::Ended { state: "cancelled", attempt },
            (_, false) => Place::Waiting { due: None, attempts: attempt - 1, suspect: true },
            (_, true) => Place::Waiting { due: Some(1), attempts: attempt, suspect: true },
        };
    }

    fn cancelled(&mut self, id: i64, answer: &str) -> Verdict {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        let expected = match &mut job.place {
            Place::Waiting { attempts, .. } => {
                job.place = Place::Ended { state: "cancelled", attempt: *attempts };
                "cancelled"
            }
            Place::Running { unwanted, .. } => {
                *unwanted = true;
                "requested"
            }
            Place::Ended { state, .. } => state,
        };
        ensure(answer == expected, || format!("answered {answer} instead of {expected}"))
    }

    fn retried(&mut self, id: i64, refused: Option<&String>) -> Verdict {
        let job = &self.jobs[&id];
        let holder = self.holder(job.queue, job.key).filter(|holder| *holder != id);
        let (attempts, suspect) = match job.place {
            Place::Waiting { attempts, suspect, .. } => (attempts, suspect),
            Place::Ended { attempt, .. } if holder.is_none() => (attempt, false),
            _ => return refused_with(refused, Some("LV013")),
        };
        refused_with(refused, None)?;
        let place = Place::Waiting { due: None, attempts, suspect };
        self.jobs.entry(id).and_modify(|job| job.place = place);
        Ok(())
    }

    fn edited(&mut self, id: i64, edit: &Edit, refused: Option<&String>) -> Verdict {
        let job = &self.jobs[&id];
        let queue = edit.queue.unwrap_or(job.queue);
        let holder = self.holder(queue, job.key).filter(|holder| *holder != id);
        let waits = matches!(job.place, Place::Waiting { .. });
        let expected = (!waits || holder.is_some()).then_some("LV013");
        refused_with(refused, expected)?;
        let Some(job) = self.jobs.get_mut(&id).filter(|_| expected.is_none()) else {
            return Ok(());
        };
        if let Place::Waiting { due, .. } = &mut job.place {
            *due = edit.due.or(*due);
        }
        job.payload = edit.payload.unwrap_or(job.payload);
        job.priority = edit.priority.unwrap_or(job.priority);
        job.queue = queue;
        Ok(())
    }
}

impl Job {
    fn new(new: &NewJob) -> Self {
        Self {
            place: Place::Waiting { due: new.due, attempts: 0, suspect: false },
            queue: new.queue,
            priority: new.priority,
            payload: 1,
            max_attempts: new.max_attempts,
            key: new.key,
            expires: new.expires,
            has_follow_up: new.has_follow_up,
            errors: 0,
            old_tokens: Vec::new(),
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.place, Place::Ended { .. })
    }

    fn token(&self, id: i64) -> Option<(i64, Uuid)> {
        match self.place {
            Place::Running { token, .. } => Some((id, token)),
            _ => None,
        }
    }

    fn is_under(&self, lease: Uuid) -> bool {
        matches!(self.place, Place::Running { token, .. } if token == lease)
    }

    fn is_held_by(&self, by: usize) -> bool {
        matches!(self.place, Place::Running { worker, .. } if worker == by)
    }

    /// Whether it may be claimed from this queue, and then whether as a suspect.
    fn is_available(&self, queue: u8) -> Option<bool> {
        match self.place {
            Place::Waiting { due: None, suspect, .. } if self.queue == queue => Some(suspect),
            _ => None,
        }
    }

    fn promote(&mut self, hour: i32) {
        if let Place::Waiting { due, .. } = &mut self.place {
            *due = due.filter(|due| *due > hour);
        }
    }

    fn expire(&mut self, hour: i32) {
        if self.expires.is_none_or(|expires| expires > hour) {
            return;
        }
        self.expires = None;
        if let Place::Waiting { attempts: 0, .. } = self.place {
            self.place = Place::Ended { state: "cancelled", attempt: 0 };
            self.errors += 1;
        }
    }

    /// What the follow-up of this job looks like.
    fn follow_up(&self) -> Option<Seen> {
        self.has_follow_up.then(|| Seen {
            id: 0,
            queue: queue_name(self.queue),
            state: "available".to_owned(),
            priority: self.priority,
            payload: None,
            attempt: 0,
            errors: 0,
        })
    }

    fn seen(&self, id: i64) -> Seen {
        let (state, attempt) = match self.place {
            Place::Waiting { due: None, attempts, .. } => ("available", attempts),
            Place::Waiting { attempts: 0, .. } => ("scheduled", 0),
            Place::Waiting { attempts, .. } => ("retrying", attempts),
            Place::Running { attempt, .. } => ("running", attempt),
            Place::Ended { state, attempt } => (state, attempt),
        };
        Seen {
            id,
            queue: queue_name(self.queue),
            state: state.to_owned(),
            priority: self.priority,
            payload: Some(self.payload.into()),
            attempt: attempt.into(),
            errors: self.errors,
        }
    }
}
