//! What a reconciliation found at the source, written over what a target holds: as a later generation of that, for the order of
//! versions alone would never let it through. It is stored beside the partitions first, where no writer reads it, and is the work
//! of an operation then, so that any process can carry it on without asking the source again.

use events::{MappedEvent, MappedOrder, NumbersMapped, TargetName, Version};
use journal::{Journal, JournalError, Label, Record, Stream, Topology};

use crate::operation::Operation;

/// The version under which an order is written over what a target holds: newer than that, and older than whatever the source says
/// next with the same update time or a newer one. `raw_through` is the last sequence of RAW before the source was asked, so what
/// was read later is newer; a replay of an earlier page is older.
pub fn lifted_version(held: Version, raw_through: u64, generation: u32) -> Version {
    let raw_seq = held.raw_seq.max(raw_through);
    let generation =
        if raw_seq == held.raw_seq { generation.max(held.generation.saturating_add(1)) } else { generation };
    Version { updated_at: held.updated_at, raw_seq, generation }
}

/// Stores orders where no writer reads them, for an operation to send; returns their sequences in MAPPED, ascending. `run` is
/// what tells them from those of another repair.
///
/// # Errors
/// When they cannot be stored.
pub async fn prepare_rewrite(
    journal: &Journal,
    names: &Topology,
    run: &str,
    orders: &[MappedOrder],
) -> Result<Vec<u64>, JournalError> {
    let mut records = Vec::with_capacity(orders.len());
    for order in orders {
        let id = format!("prepared:{run}:{}", order.key.token());
        records.push(Record::new(names.prepared(), id, order)?);
    }
    let mut seqs: Vec<u64> =
        journal.store_all(&records).await?.into_iter().map(|stored| stored.seq).collect();
    seqs.sort_unstable();
    Ok(seqs)
}

/// Sends a prepared order to the writers of a target; `Err` says why not.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn send_prepared(
    journal: &Journal,
    names: &Topology,
    seq: u64,
    operation: &Operation,
    target: &TargetName,
) -> Result<Result<(), String>, JournalError> {
    let Some(entry) = journal.find(names, Stream::Mapped, seq).await? else {
        return Ok(Err("it is not in MAPPED any more".into()));
    };
    let order = match MappedEvent::decode(&entry.payload) {
        Ok(MappedEvent::Order(order)) => order,
        Ok(MappedEvent::Deleted(_)) => return Ok(Err("it is a deletion, not an order".into())),
        Err(error) => return Ok(Err(error.to_string())),
    };
    let place = format!("{}/{}", order.origin.raw_seq, order.origin.row);
    let message =
        Record::new(names.mapped_of(&order.key), format!("rewrite:{}:{seq}", operation.id), &order)?
            .labelled(Label::Origin, place)
            .labelled(Label::Operation, &operation.id)
            .labelled(Label::Target, target.token())
            .labelled(Label::Copied, seq);
    let raw_seq = order.version.raw_seq;
    // Its number may be another one by now.
    if let Some(number) = NumbersMapped::of(order) {
        let event = NumbersMapped { raw_seq, orders: vec![number] };
        journal
            .publish(&Record::new(names.numbers(), format!("numbers:{}:{seq}", operation.id), &event)?)
            .await?;
    }
    journal.publish(&message).await?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_newer_than_what_is_held_and_older_than_whatever_comes_next(
            updated_at in prop::option::of(0_i64..9),
            places in (0_u64..50, 0_u64..50),
            generations in (0_u32..9, 1_u32..9),
            later in 1_i64..9,
        ) {
            let (raw_seq, raw_through) = places;
            let held = Version { updated_at, raw_seq, generation: generations.0 };
            let lifted = lifted_version(held, raw_through, generations.1);
            prop_assert!(lifted > held);
            let read_later = Version { updated_at, raw_seq: raw_seq.max(raw_through) + 1, generation: 0 };
            prop_assert!(lifted < read_later, "the same update time, read again");
            let newer = Version { updated_at: Some(updated_at.unwrap_or(0) + later), raw_seq: 1, generation: 0 };
            prop_assert!(lifted < newer);
            // A page that lies there already, mapped again by a replay of whatever generation.
            if raw_seq < raw_through {
                let replayed = Version { updated_at, raw_seq, generation: u32::MAX };
                prop_assert!(lifted > replayed);
            }
        }
    }
}
