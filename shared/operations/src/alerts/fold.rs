//! What is to be said: each condition once when it begins, again after a while, and once when it ends.

use std::collections::{BTreeSet, HashMap};

use events::{AlertState, Announcement, KnownAlert, Micros, Notice};

use super::conditions::{Condition, Look};
use super::silence::silence_of;

/// More conditions than this are not kept: the state is one message. That hits groups of dead letters alone, which are too many
/// to be read long before; of all others there is a handful.
const MOST_KNOWN: usize = 500;

/// How the names of these conditions begin.
const GROUP: &str = "dead-group:";
const WINDOW: &str = "window:";

/// More notices than this are not kept for a webhook that does not take them: the oldest go.
const MOST_WAITING: usize = 500;

/// How soon something is told again, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// That it lasts: so long after the last time.
    pub repeat: Micros,
    /// That it is back after it had ended: so long after the last time, for what comes and goes is noise.
    pub calm: Micros,
}

/// The state after a look at `now`, with the notices that follow from it for the webhooks `to`. A
/// condition is told when it begins or lasts, but not too soon after the last time that it was; its
/// end is told when its beginning was. A silenced condition is not told; when it still holds after
/// its silence, it is told at once. Nothing is told twice, and the state is all that has to be
/// kept.
pub fn fold(state: &AlertState, look: &Look, to: &BTreeSet<String>, now: Micros, pace: Pace) -> AlertState {
    let mut next = AlertState { looked_at: now, ..state.clone() };
    next.silences.retain(|_, silence| now < silence.until);
    let mut said = Vec::new();
    let mut left_out = 0_u64;
    for condition in &look.holding {
        let kept = next.known.len() < MOST_KNOWN || next.known.contains_key(&condition.id);
        if kept || !condition.id.starts_with(GROUP) {
            said.extend(holds(&mut next, condition, now, pace));
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        tracing::warn!(left_out, "nobody is told of these groups of dead letters: there are too many");
    }
    let holding: HashMap<&str, &Condition> =
        look.holding.iter().map(|condition| (condition.id.as_str(), condition)).collect();
    next.known.retain(|id, known| {
        if holding.contains_key(id.as_str()) || look.undecided.contains(id) {
            return true;
        }
        // A lane that goes on has to be proved. A backfill does not: what it lacks, another one reads.
        let lane = id.strip_prefix(WINDOW).filter(|lane| !lane.starts_with("backfill"));
        if lane.is_some() && !look.proved.contains(id) {
            return true;
        }
        if known.announced {
            let since = known.since.unwrap_or(now);
            said.push((id.clone(), Announcement::Resolved, since, known.finding.clone()));
            known.announced = false;
        }
        (known.since, known.silenced) = (None, false);
        // For as long as it would not be told again, that it was told is remembered.
        !rested(known, now, pace.calm)
    });
    for (id, event, since, finding) in said {
        next.last += 1;
        let (number, to) = (next.last, to.clone());
        next.notices.push(Notice { number, event, id, at: now, since, finding, to });
    }
    // A webhook that the configuration does not name any more is not waited for.
    for notice in &mut next.notices {
        notice.to.retain(|webhook| to.contains(webhook));
    }
    next.notices.retain(|notice| !notice.to.is_empty());
    let lost = next.notices.len().saturating_sub(MOST_WAITING);
    if lost > 0 {
        tracing::error!(lost, "a webhook has not taken anything for so long that the oldest notices go");
    }
    next.notices.drain(..lost);
    next.deliveries.retain(|webhook, _| to.contains(webhook));
    next
}

type Saying = (String, Announcement, Micros, events::Finding);

fn holds(state: &mut AlertState, condition: &Condition, now: Micros, pace: Pace) -> Option<Saying> {
    let finding = condition.finding.clone();
    let is_silenced = silence_of(state, &condition.id, now).is_some();
    let known = state.known.entry(condition.id.clone()).or_insert_with(|| KnownAlert {
        since: None,
        told: None,
        announced: false,
        finding: finding.clone(),
        silenced: false,
    });
    let since = condition.since.or(known.since).unwrap_or(now);
    (known.since, known.finding) = (Some(since), finding.clone());
    if is_silenced {
        known.silenced = true;
        return None;
    }
    let (event, rest) = match known.announced {
        // What people believe may be as old as the silence was long.
        true if known.silenced => (Announcement::Again, 0),
        true if condition.repeats => (Announcement::Again, pace.repeat),
        false if now - since >= condition.after => {
            (Announcement::Firing, if known.silenced { 0 } else { pace.calm })
        }
        _ => return None,
    };
    rested(known, now, rest).then(|| {
        (known.announced, known.told, known.silenced) = (true, Some(now), false);
        (condition.id.clone(), event, since, finding)
    })
}

/// Whether it may be told (again) that it holds.
fn rested(known: &KnownAlert, now: Micros, rest: Micros) -> bool {
    known.told.is_none_or(|told| now - told >= rest)
}
