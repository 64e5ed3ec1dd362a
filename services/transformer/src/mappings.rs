//! The mapping in use. A changed file is picked up while the flow runs: it is compiled, its cases are run, and it is tried
//! beside the mapping before. One that fails any of it changes nothing but what `status` says.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use journal::{Journal, Topology};
use mapping::Plan;
use service::Config;
use tokio_util::sync::CancellationToken;

use crate::TransformError;
use crate::agreement::{Agreement, Decision, Occasion};
use crate::mapping_file::{MappingFile, read_mapping};

/// How often the file is looked at, by its name: a file that was moved there is another one. It is read whole, for it is small,
/// and times of change can be the same. Also how often it is asked whether a held version was accepted.
const LOOK: Duration = Duration::from_millis(500);

/// The mapping in use, and what became of a newer file.
#[derive(Debug)]
pub(crate) struct Mappings {
    config: Config,
    agreement: Agreement,
    plan: RwLock<Arc<Plan>>,
    /// Why the file as it is now is not used.
    rejected: Mutex<Option<String>>,
    /// The file, while it waits for a person.
    waiting: Mutex<Option<MappingFile>>,
}

impl Mappings {
    /// The mapping that the configuration names, or the one before while that one is held.
    ///
    /// # Errors
    /// When the file cannot be read, a rule is wrong or a case fails: a transformer does not begin with a mapping that it has
    /// not got. When the server does not answer.
    pub(crate) async fn load(
        config: &Config,
        journal: Journal,
        names: Topology,
    ) -> Result<Self, TransformError> {
        let file = MappingFile::read(config)?;
        let agreement = Agreement::new(config, journal, names);
        let decision = agreement.decide(&file, Occasion::NewFile).await?;
        Ok(Self::begin(config, agreement, file, decision))
    }

    /// As [`Mappings::load`], for who reads orders again: nothing is decided about a new mapping.
    ///
    /// # Errors
    /// As [`Mappings::load`].
    pub(crate) async fn known(
        config: &Config,
        journal: Journal,
        names: Topology,
    ) -> Result<Self, TransformError> {
        let file = MappingFile::read(config)?;
        let agreement = Agreement::new(config, journal, names);
        let decision = agreement.known(&file).await?;
        Ok(Self::begin(config, agreement, file, decision))
    }

    fn begin(config: &Config, agreement: Agreement, file: MappingFile, decision: Decision) -> Self {
        let mappings = Self {
            config: config.clone(),
            agreement,
            plan: RwLock::new(decision.plan(&file)),
            rejected: Mutex::new(None),
            waiting: Mutex::new(None),
        };
        mappings.carry_out(file, decision);
        mappings
    }

    /// The mapping in use. A page holds on to the one it began with.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the file as it is now is not used; `None` when it is.
    pub(crate) fn rejected(&self) -> Option<String> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until another mapping is in use; `None` when told to stop.
    pub(crate) async fn changed(&self, shutdown: &CancellationToken) -> Option<Arc<Plan>> {
        let mut last = self.read();
        let mut looked_at = None;
        // A sound file about which nothing is decided yet.
        let mut undecided = None;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.read();
            // An editor may write in several steps: a text counts when it has stayed for one look.
            let is_steady = std::mem::replace(&mut last, now.clone()) == now;
            if is_steady && looked_at.as_ref() != Some(&now) {
                // The text that was looked at, not the file as it may be by now.
                undecided = self.checked(now.clone()).map(|file| (file, Occasion::NewFile));
                looked_at = Some(now);
            } else if undecided.is_none() {
                undecided = self.waiting().map(|file| (file, Occasion::Again));
            }
            let Some((file, occasion)) = undecided.take() else { continue };
            match self.agreement.decide(&file, occasion).await {
                Ok(decision) => {
                    if self.carry_out(file, decision) {
                        return Some(self.plan());
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = service::chain(&error),
                        "a changed mapping waits until NATS answers; the mapping before goes on"
                    );
                    undecided = Some((file, occasion));
                }
            }
        }
    }

    fn waiting(&self) -> Option<MappingFile> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A text that stands in the file, when it can be used.
    fn checked(&self, text: Option<String>) -> Option<MappingFile> {
        let text = text.map_or_else(|| read_mapping(&self.config.mapping.file), Ok);
        match text.map_err(TransformError::from).and_then(|text| MappingFile::of(&self.config, text)) {
            Ok(file) => Some(file),
            Err(error) => {
                *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.reject(Some(error.to_string()));
                None
            }
        }
    }

    /// Does what was decided about a file; whether another mapping is in use now.
    fn carry_out(&self, file: MappingFile, decision: Decision) -> bool {
        let plan = decision.plan(&file);
        let (why, waiting) = match decision {
            Decision::Use => (None, None),
            Decision::Wait { why, .. } => (Some(why), Some(file)),
        };
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = waiting;
        let before = std::mem::replace(
            &mut *self.plan.write().unwrap_or_else(PoisonError::into_inner),
            Arc::clone(&plan),
        );
        self.reject(why);
        let is_new = before.version() != plan.version();
        if is_new {
            tracing::info!(mapping = plan.version(), "another mapping is in use");
        }
        is_new
    }

    fn reject(&self, why: Option<String>) {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = why.as_ref().filter(|why| Some(*why) != rejected.as_ref()) {
            tracing::error!(
                error,
                mapping = self.plan().version(),
                "the mapping file was changed and is not used; the mapping before stays"
            );
        }
        *rejected = why;
    }

    /// The file's text; `None` while it cannot be read.
    fn read(&self) -> Option<String> {
        read_mapping(&self.config.mapping.file).ok()
    }
}
