//! A set of member names, each with a number. Looked up once for every member of
//! every row, so by length first: most foreign names end there.

/// The names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    by_length: [Vec<usize>; 32],
}

impl Names {
    /// The number of a name, a new one if the name is new.
    pub(crate) fn slot(&mut self, name: &str) -> usize {
        if let Some(slot) = self.find(name.as_bytes()) {
            return slot;
        }
        let slot = self.names.len();
        self.names.push(name.into());
        self.by_length[name.len() % 32].push(slot);
        slot
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        self.by_length[name.len() % 32].iter().copied().find(|slot| self.names[*slot].as_bytes() == name)
    }

    /// The names in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_of_one_length_keep_apart() {
        let mut names = Names::default();
        for n in 0..200 {
            assert_eq!(names.slot(&format!("name{n:03}")), n);
        }
        assert_eq!(names.slot("name150"), 150);
        assert_eq!(names.find(b"name199"), Some(199));
        assert_eq!(names.find(b"name200"), None);
        assert_eq!((names.len(), names.iter().nth(3)), (200, Some("name003")));
    }
}
