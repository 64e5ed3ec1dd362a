//! The verdict: the reconciliation and the account from the logs alone, and beside them what the sandbox saw.

use std::collections::BTreeSet;
use std::path::Path;

use events::{Micros, Outcome};
use journal::JournalError;
use operations::{Account, Reconciliation, WindowState};
use orderflow_tests::World;
use sandbox::Report;

use crate::blow::Act;
use crate::evidence::{Writes, history};
use crate::scenario::Scenario;
use crate::stage::STAGES;

/// What was found.
pub struct Judged {
    /// The numbers, for one line.
    pub summary: String,
    /// What is wrong.
    pub faults: Vec<String>,
    /// What is known of some of the orders that are wrong.
    pub evidence: Vec<String>,
}

/// So many orders are shown in full.
const SHOWN: usize = 4;

/// What the two sides of the truth say: the logs, and the sandbox.
struct Evidence {
    reconciliation: Reconciliation,
    account: Account,
    report: Report,
    behind: Vec<String>,
}

impl Evidence {
    async fn of(world: &World) -> Result<Self, JournalError> {
        let (names, targets) = (world.names(), world.targets());
        Ok(Self {
            reconciliation: Reconciliation::of(&world.journal, &names, &targets[0]).await?,
            account: Account::of(&world.journal, &names, &targets, 1).await?,
            report: world.report(),
            behind: world.sandbox.behind(),
        })
    }

    /// Orders that are excused: their newest version is an open dead letter.
    fn dead(&self) -> BTreeSet<&str> {
        self.reconciliation.dead.iter().map(|order| order.key.as_str()).collect()
    }

    fn lost(&self) -> Vec<&String> {
        let dead = self.dead();
        self.behind.iter().filter(|key| !dead.contains(key.as_str())).collect()
    }
}

/// Whether nothing is on its way any more, as far as the logs and the sandbox say.
pub async fn is_settled(world: &World) -> bool {
    Evidence::of(world).await.is_ok_and(|evidence| {
        evidence.reconciliation.is_settled() && evidence.account.in_flight == 0 && evidence.lost().is_empty()
    })
}

/// Judges what is there now.
pub async fn judge(world: &World, scenario: &Scenario, folder: &Path, began: Micros) -> Judged {
    let evidence = match Evidence::of(world).await {
        Ok(evidence) => evidence,
        Err(error) => {
            let faults = vec![format!("the logs cannot be read: {error}")];
            return Judged { summary: String::new(), faults, evidence: Vec::new() };
        }
    };
    let mut faults = logs(&evidence.reconciliation);
    faults.extend(accounted(&evidence.account));
    faults.extend(seen(&evidence, scenario));
    let writes = Writes::read(folder);
    // Duplicates that can be explained are none of the faults.
    let explained = evidence.report.target.duplicates <= duplicates_explained(scenario);
    let wrong: Vec<_> =
        writes.wrong().into_iter().filter(|wrong| wrong.what != "duplicate" || !explained).collect();
    faults.extend(
        wrong.iter().map(|wrong| format!("at the target, a write of {} was {}", wrong.key, wrong.what)),
    );
    let lost = evidence.lost().into_iter().cloned();
    let by_the_logs = evidence.reconciliation.faults().into_iter().map(|(_, key)| key.to_string());
    let keys: BTreeSet<String> =
        wrong.into_iter().map(|wrong| wrong.key).chain(lost).chain(by_the_logs).collect();
    let mut shown = Vec::new();
    for key in keys.iter().take(SHOWN) {
        let history = history(world, &writes, key, began).await;
        shown.extend(history.unwrap_or_else(|error| vec![format!("order {key}: {error}")]));
    }
    Judged { summary: summary(&evidence), faults, evidence: shown }
}

/// The invariant, from the logs alone.
fn logs(reconciliation: &Reconciliation) -> Vec<String> {
    let wrong = reconciliation.faults();
    let mut faults: Vec<String> = wrong
        .iter()
        .take(SHOWN)
        .map(|(what, key)| format!("by the logs, order {key} is {what}: {}", shown(reconciliation, key)))
        .collect();
    if wrong.len() > SHOWN {
        faults.push(format!("by the logs, {} orders are wrong in all", wrong.len()));
    }
    // Here the source never sets an update time back, so none of these would be true.
    let older = reconciliation.messages.of(Outcome::OlderStamp);
    if older > 0 {
        faults.push(format!("{older} messages are recorded as read later with an older update time"));
    }
    if !reconciliation.messages.is_balanced() {
        faults.push(format!("messages are not balanced: {:?}", reconciliation.messages));
    }
    faults
}

fn shown(reconciliation: &Reconciliation, key: &str) -> String {
    let lists = [&reconciliation.missing, &reconciliation.stale, &reconciliation.unknown];
    let found = lists.into_iter().flatten().find(|order| order.key == key);
    found.map_or_else(String::new, |order| {
        format!("newest {:?} in message {}, held {:?}", order.newest, order.mapped_seq, order.held)
    })
}

/// fetched = written + unchanged + superseded + repeat + unknown + older stamp + dead.
fn accounted(account: &Account) -> Vec<String> {
    let mut faults = Vec::new();
    let skipped: u64 = account.skipped.values().sum();
    if account.in_flight > 0 || account.read != account.mapped + skipped + account.dead {
        faults.push(format!(
            "of {} rows read {} were mapped, {skipped} skipped, {} are dead, {} in flight",
            account.read, account.mapped, account.dead, account.in_flight
        ));
    }
    for target in &account.targets {
        let outcomes: u64 = target.outcomes.values().sum();
        if target.in_flight > 0 || account.records != outcomes + target.dead {
            faults.push(format!("of {} records: {target:?}", account.records));
        }
    }
    // Windows go on being opened while this is read: what counts is that nothing behind the last proof lacks one.
    let closed = |state: &WindowState| matches!(state, WindowState::Closed { .. });
    let proved =
        account.windows.iter().filter(|line| closed(&line.state)).map(|line| line.until).max().unwrap_or(0);
    for line in account.unproved().filter(|line| line.until < proved) {
        faults.push(format!("window {} has no proof: {:?}", line.window, line.state));
    }
    faults
}

/// What the sandbox saw has to agree.
fn seen(evidence: &Evidence, scenario: &Scenario) -> Vec<String> {
    let (target, lost) = (&evidence.report.target, evidence.lost());
    let mut faults = Vec::new();
    if !lost.is_empty() {
        let some = &lost[..lost.len().min(SHOWN)];
        faults.push(format!(
            "of {} orders the target does not hold the newest version, and there is no letter: {some:?}",
            lost.len()
        ));
    }
    let counts = [
        ("orders that the source never had", target.extra, 0),
        ("older versions over newer ones", target.stale_overwrites, 0),
        ("wrong totals", target.wrong_totals, 0),
        ("missing totals", target.missing_totals, 0),
        ("orders in two requests at once", target.overlapping_requests, 0),
        ("duplicates", target.duplicates, duplicates_explained(scenario)),
    ];
    for (what, count, allowed) in counts {
        if count > allowed {
            faults.push(format!("{what} at the target: {count}, and {allowed} can be explained"));
        }
    }
    faults
}

/// How many duplicates a kill or a lost answer can explain.
///
/// With one order a request: none. What is sent again after a kill or a lost answer goes under the same idempotency key, and the
/// target counts it as `retried_same_key`. With several orders a request the key belongs to the batch, and a batch that is
/// put together differently after a writer was killed, held up or out of touch with nats-server has another one: then what
/// it had in flight may be written twice, and no more. A lost answer alone explains none: the batch stays together.
fn duplicates_explained(scenario: &Scenario) -> u64 {
    let interrupting = scenario.acts.iter().filter(|(_, act)| interrupts_a_writer(*act)).count() as u64;
    if scenario.batch == 1 { 0 } else { interrupting * Scenario::CONCURRENCY * scenario.batch }
}

fn interrupts_a_writer(act: Act) -> bool {
    match act {
        Act::Kill(stage) | Act::Pause(stage) | Act::Cut(stage) | Act::Sever(stage) => {
            STAGES[stage].1 == "write"
        }
        Act::KillServer | Act::PauseServer => true,
        _ => false,
    }
}

fn summary(evidence: &Evidence) -> String {
    let (target, source, found) =
        (&evidence.report.target, &evidence.report.source, &evidence.reconciliation);
    format!(
        "orders {}, edits {}, messages {}, requests {}, retried same key {}, lost answers {}, unchanged {}, superseded {}, \
         dead {}, unknown {}, duplicates {}, stale {}, overlapping {}",
        source.orders,
        source.edits,
        found.messages.mapped,
        target.requests,
        target.retried_same_key,
        target.lost_answers,
        found.messages.of(Outcome::Unchanged),
        found.messages.of(Outcome::Superseded),
        found.dead.len(),
        found.messages.of(Outcome::Unknown),
        target.duplicates,
        target.stale_overwrites,
        target.overlapping_requests
    )
}
