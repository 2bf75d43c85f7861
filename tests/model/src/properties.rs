//! What must hold in every state.

use crate::state::{By, State};
use crate::{Protocol, settle};
use stateright::Property;

/// All properties.
pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always("a job is in exactly one place", |_, state: &State| {
            (0..state.jobs.len()).all(|job| places(state, job) == 1)
        }),
        Property::always("a job ends once, unless it is retried by hand", |_, state: &State| {
            state.jobs.iter().all(|job| job.outcomes.len() <= 1)
        }),
        Property::always(
            "effects are committed once, and with their outcome",
            |_, state: &State| {
                state.jobs.iter().all(|job| {
                    let by =
                        |by: By| job.outcomes.iter().filter(|outcome| outcome.by == by).count();
                    job.effects <= 1 && usize::from(job.effects) == by(By::Transaction)
                })
            },
        ),
        Property::always("a stale completion is never accepted", |_, state: &State| {
            !state.seen.stale_accepted
        }),
        Property::always("a live worker with contact is not rescued", |_, state: &State| {
            !state.seen.living_rescued
        }),
        Property::always("a verdict is true", |_, state: &State| !state.seen.false_verdict),
        Property::always(
            "no job is lost: each ends, or can be claimed",
            |protocol, state: &State| settle::stuck(protocol, state, true).is_empty(),
        ),
        Property::always(
            "an open transaction holds up its own job only",
            |protocol, state: &State| {
                let held = |job: &usize| state.open.iter().any(|open| open.job == *job);
                state.open.is_empty() || settle::stuck(protocol, state, false).iter().all(held)
            },
        ),
    ]
}

/// In how many places a job is.
fn places(state: &State, job: usize) -> usize {
    let of = &state.jobs[job];
    let leases = state.leases.iter().filter(|lease| lease.jobs.contains(&job)).count();
    let ended = usize::from(!of.outcomes.is_empty());
    usize::from(of.ready) + ended + if ended == 0 { leases } else { 0 }
}
