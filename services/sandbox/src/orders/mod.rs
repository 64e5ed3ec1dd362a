//! What the source holds: every order with its revision and times, and the index that pages are cut from.

pub(crate) mod change;
pub(crate) mod file;
pub(crate) mod generate;
pub(crate) mod listing;
pub(crate) mod render;
pub(crate) mod version;

use std::collections::HashMap;

use bytes::Bytes;

use crate::civil::Seconds;
use crate::key::Key;
use crate::options::{Orders, SandboxError};
use file::FileOrders;
use generate::{Generator, Times};

/// One order's state; its content is computed or looked up by its position.
#[derive(Debug, Clone, Copy)]
struct Entry {
    times: Times,
    deleted: Option<Seconds>,
    revision: u32,
}

enum Base {
    Generated,
    File(Box<FileOrders>),
}

/// All orders of the source.
pub(crate) struct Book {
    base: Base,
    /// How many orders it started with; those above were inserted.
    base_count: u32,
    generator: Generator,
    entries: Vec<Entry>,
    /// Live orders by (update time, id): a page is a slice of it.
    live: Vec<(Seconds, u32)>,
    /// Deleted orders, in the order they were deleted.
    removed: Vec<u32>,
    /// Update time of every revision of the orders that were edited.
    history: HashMap<u32, Vec<Seconds>>,
    /// Grows with every change; an index built for an older version is stale.
    version: u64,
    /// How many orders were ever changed, which is also where the next choice continues.
    changes: u64,
    edits: u64,
}

/// One order as it is at one moment, ready to be rendered without the book.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: Key,
    content: Content,
    times: Times,
    deleted: Option<Seconds>,
    revision: u32,
    inserted: bool,
}

#[derive(Debug, Clone)]
enum Content {
    Generated { generator: Generator, index: u32 },
    Stored(Bytes),
}

impl Book {
    pub(crate) fn load(orders: &Orders, seed: u64) -> Result<Self, SandboxError> {
        let generator = Generator { seed };
        let entry = |times| Entry { times, deleted: None, revision: 0 };
        let (base, entries) = match orders {
            Orders::Generated { count } => {
                // Room is left above for inserted orders.
                let count = u32::try_from(*count).ok().filter(|count| *count <= 4_000_000_000);
                let count = count.ok_or(SandboxError::TooMany(match orders {
                    Orders::Generated { count } => *count,
                    Orders::File(_) => 0,
                }))?;
                (Base::Generated, (0..count).map(|index| entry(generator.times(index))).collect::<Vec<_>>())
            }
            Orders::File(path) => {
                let orders = Box::new(file::load(path)?);
                let entries = orders.times.iter().copied().map(entry).collect();
                (Base::File(orders), entries)
            }
        };
        let mut book = Self {
            base,
            base_count: u32::try_from(entries.len())
                .map_err(|_| SandboxError::TooMany(entries.len() as u64))?,
            generator,
            live: entries.iter().zip(0_u32..).map(|(entry, index)| (entry.times.updated, index)).collect(),
            entries,
            removed: Vec::new(),
            history: HashMap::new(),
            version: 0,
            changes: 0,
            edits: 0,
        };
        book.sort_live();
        Ok(book)
    }

    /// Names this set of orders, so that a log is not replayed onto another.
    pub(crate) fn fingerprint(&self) -> String {
        match &self.base {
            Base::Generated => format!("generated {} seed {}", self.base_count, self.generator.seed),
            Base::File(orders) => format!("file {} {}", self.base_count, orders.fingerprint),
        }
    }

    pub(crate) fn has_product_list(&self) -> bool {
        matches!(&self.base, Base::File(orders) if orders.product_list)
    }

    /// How many orders were ever there.
    pub(crate) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn live_count(&self) -> u64 {
        self.live.len() as u64
    }

    pub(crate) fn edits(&self) -> u64 {
        self.edits
    }

    /// Live orders by position, with their ids.
    pub(crate) fn live_keys(&self) -> impl Iterator<Item = (u32, Key)> {
        self.live.iter().map(|(_, index)| (*index, self.key(*index)))
    }

    pub(crate) fn find(&self, key: &Key) -> Option<u32> {
        let index = match &self.base {
            Base::Generated => generate::index_of(key)?,
            Base::File(orders) => *orders.by_key.get(key)?,
        };
        ((index as usize) < self.entries.len()).then_some(index)
    }

    pub(crate) fn find_number(&self, order_no: &str) -> Option<u32> {
        let index = match &self.base {
            Base::Generated => generate::index_of_number(order_no)?,
            Base::File(orders) => *orders.by_number.get(order_no)?,
        };
        ((index as usize) < self.entries.len()).then_some(index)
    }

    pub(crate) fn is_live(&self, index: u32) -> bool {
        self.entry(index).deleted.is_none()
    }

    pub(crate) fn row(&self, index: u32) -> Row {
        let entry = self.entry(index);
        Row {
            key: self.key(index),
            content: match &self.base {
                Base::Generated => Content::Generated { generator: self.generator, index },
                Base::File(orders) => Content::Stored(orders.texts[index as usize].clone()),
            },
            times: entry.times,
            deleted: entry.deleted,
            revision: entry.revision,
            inserted: index >= self.base_count,
        }
    }

    fn key(&self, index: u32) -> Key {
        match &self.base {
            Base::Generated => generate::key(index),
            Base::File(orders) => orders.keys[index as usize].clone(),
        }
    }

    fn entry(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }

    fn sort_live(&mut self) {
        let Self { base, live, .. } = self;
        // The stable sort finds the long sorted stretch that is already there, so a small change costs one pass.
        live.sort_by(|(time, index), (other_time, other)| {
            time.cmp(other_time).then_with(|| match base {
                Base::Generated => index.cmp(other),
                Base::File(orders) => orders.keys[*index as usize].cmp(&orders.keys[*other as usize]),
            })
        });
    }
}
