//! Who still has to be told what. A process takes the telling of one webhook on itself for a while; when it ends before it
//! noted that it was done, another tells it once more.

use events::{AlertState, Micros, Notice};

/// The notices that a webhook has not taken yet, oldest first.
pub fn waiting<'a>(state: &'a AlertState, webhook: &str) -> impl Iterator<Item = &'a Notice> {
    state.notices.iter().filter(move |notice| notice.to.contains(webhook))
}

/// From when on a webhook may be told what waits for it; `None` when nothing does.
pub fn wants(state: &AlertState, webhook: &str) -> Option<Micros> {
    let not_before = state.deliveries.get(webhook).map_or(0, |delivery| delivery.not_before);
    waiting(state, webhook).next().map(|_| not_before)
}

/// The state in which nobody else tells a webhook anything before `until`.
pub fn claim(state: &AlertState, webhook: &str, until: Micros) -> AlertState {
    let mut next = state.clone();
    next.deliveries.entry(webhook.to_string()).or_default().not_before = until;
    next
}

/// The state in which a webhook has taken some notices, and may be told more at once.
pub fn delivered(state: &AlertState, webhook: &str, numbers: &[u64]) -> AlertState {
    let mut next = state.clone();
    for notice in next.notices.iter_mut().filter(|notice| numbers.contains(&notice.number)) {
        notice.to.remove(webhook);
    }
    next.notices.retain(|notice| !notice.to.is_empty());
    next.deliveries.remove(webhook);
    next
}

/// The state in which a webhook did not take what it was told, and is tried again at `not_before`.
pub fn failed(state: &AlertState, webhook: &str, error: &str, not_before: Micros) -> AlertState {
    let mut next = state.clone();
    let delivery = next.deliveries.entry(webhook.to_string()).or_default();
    delivery.failures = delivery.failures.saturating_add(1);
    (delivery.not_before, delivery.error) = (not_before, Some(error.to_string()));
    next
}
