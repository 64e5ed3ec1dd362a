//! The fold of one window's events, and what it means for who reads it.

use std::sync::{Mutex, PoisonError};

use events::{Micros, PageFetched, Proof, WindowEvent, WindowId, WindowOpened};

use crate::completeness::{Assessment, PageFacts, Pass, assess, distinct};

/// How far a window is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The window; `None` before the first.
    pub window: Option<String>,
    /// Distinct orders read in the current pass.
    pub orders: u64,
    /// The total the source reported, when known.
    pub total: Option<u64>,
    /// Pages read in the current pass.
    pub pages: u32,
    /// The pass, from 1.
    pub pass: u32,
    /// Whether it has ended.
    pub ended: bool,
}

/// How a window ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Closed(Proof),
    Failed(String),
}

/// A window, folded from its events.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) opened: WindowOpened,
    /// When it was opened.
    pub(crate) opened_at: Micros,
    /// The sequence of its newest event: what an append has to expect.
    pub(crate) last_seq: u64,
    /// The current pass, from 1.
    pub(crate) number: u32,
    pub(crate) pass: Pass,
    /// What the current pass proves so far.
    pub(crate) assessment: Assessment,
    /// Why the passes before proved nothing.
    pub(crate) reasons: Vec<String>,
    pub(crate) end: Option<End>,
}

impl Window {
    pub(crate) fn new(opened: WindowOpened, seq: u64, at: Micros) -> Self {
        let pass = Pass::new();
        let assessment = assess(1, &pass, opened.page_size);
        Self {
            opened,
            opened_at: at,
            last_seq: seq,
            number: 1,
            pass,
            assessment,
            reasons: Vec::new(),
            end: None,
        }
    }

    pub(crate) fn apply(&mut self, event: WindowEvent, seq: u64) {
        self.last_seq = seq;
        match event {
            WindowEvent::Opened(_) => {}
            WindowEvent::Page(page) => self.page(page),
            WindowEvent::Closed(closed) => self.end = Some(End::Closed(closed.proof)),
            WindowEvent::Failed(failed) => self.end = Some(End::Failed(failed.reason)),
        }
    }

    fn page(&mut self, page: PageFetched) {
        if page.pass != self.number || self.pass.contains_key(&page.page) {
            return;
        }
        self.pass.insert(page.page, PageFacts { total: page.total, ids: page.ids });
        // Distinct ids are counted only when the last page is there: assessing is cheap before that.
        self.assessment = assess(self.number, &self.pass, self.opened.page_size);
        if let Assessment::ReadAgain(why) = &self.assessment
            && self.number < self.opened.max_passes
        {
            tracing::info!(window = %self.opened.window, pass = self.number, why, "reading the window again");
            self.reasons.push(why.clone());
            self.number += 1;
            self.pass = Pass::new();
            self.assessment = assess(self.number, &self.pass, self.opened.page_size);
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress {
            window: Some(self.opened.window.to_string()),
            orders: self.pass.values().map(|facts| facts.ids.len() as u64).sum(),
            total: self.pass.values().next().map(|facts| facts.total),
            pages: u32::try_from(self.pass.len()).unwrap_or(u32::MAX),
            pass: self.number,
            ended: self.end.is_some(),
        }
    }

    pub(crate) fn distinct(&self) -> u64 {
        distinct(&self.pass)
    }
}

/// The newest window, shared between the planner that follows the log and the tasks that fetch pages.
#[derive(Debug, Default)]
pub(crate) struct Shared(Mutex<Option<Window>>);

impl Shared {
    pub(crate) fn with<T>(&self, read: impl FnOnce(&mut Option<Window>) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The window of a job while the job is still wanted; `Err(true)` when the log is known to have moved past it, and
    /// `Err(false)` when we have not read that far yet.
    pub(crate) fn wanted(&self, window: &WindowId, pass: u32, page: u32) -> Result<WindowOpened, bool> {
        self.with(|newest| match newest {
            Some(known) if known.opened.window == *window => {
                let late = known.end.is_some() || pass < known.number || known.pass.contains_key(&page);
                if late && pass <= known.number { Err(true) } else { Ok(known.opened.clone()) }
            }
            Some(known) if known.opened.window > *window => Err(true),
            _ => Err(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(max_passes: u32) -> Window {
        let window = WindowId::live(1);
        Window::new(WindowOpened { window, since: 0, until: 1, page_size: 2, max_passes }, 1, 0)
    }

    fn page(pass: u32, page: u32, total: u64, ids: &[&str]) -> WindowEvent {
        let ids = ids.iter().map(ToString::to_string).collect();
        WindowEvent::Page(PageFetched { window: WindowId::live(1), pass, page, raw_seq: 1, total, ids })
    }

    #[test]
    fn a_pass_that_proves_nothing_is_followed_by_another_until_the_last() {
        let mut window = opened(2);
        window.apply(page(1, 1, 3, &["1", "2"]), 2);
        window.apply(page(1, 2, 3, &["2"]), 3);
        assert_eq!((window.number, &window.assessment), (2, &Assessment::Wanted(vec![1])));
        window.apply(page(1, 2, 3, &["3"]), 4); // a late page of the first pass
        assert_eq!((window.pass.len(), window.last_seq), (0, 4));
        window.apply(page(2, 1, 3, &["1", "2"]), 5);
        window.apply(page(2, 2, 3, &["1"]), 6);
        assert!(matches!(window.assessment, Assessment::ReadAgain(_)), "the last pass failed");
        assert_eq!((window.number, window.reasons.len()), (2, 1));
    }
}
