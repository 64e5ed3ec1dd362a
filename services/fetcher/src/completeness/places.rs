//! A set of orders, by the place that each has among those that were met: a byte an order.

/// A set of places, counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    marked: Vec<bool>,
    count: u64,
}

impl Places {
    pub(crate) fn insert(&mut self, place: u32) {
        let place = place as usize;
        if self.marked.len() <= place {
            self.marked.resize(place + 1, false);
        }
        let before = std::mem::replace(&mut self.marked[place], true);
        self.count += u64::from(!before);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The places, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.marked.iter().enumerate().filter(|(_, marked)| **marked).map(|(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_once() {
        let mut places = Places::default();
        [5, 0, 5, 9, 0].into_iter().for_each(|place| places.insert(place));
        assert_eq!((places.count(), places.iter().collect::<Vec<_>>()), (3, vec![0, 5, 9]));
    }
}
