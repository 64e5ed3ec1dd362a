//! The mapping in use. A changed file is picked up while the flow runs: it is compiled first, and one that does not compile
//! changes nothing but what `status` says.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mapping::Plan;
use service::Config;
use tokio_util::sync::CancellationToken;

use crate::TransformError;

/// How often the file is looked at. It is read whole: it is small, and times of change can be the same.
const LOOK: Duration = Duration::from_millis(500);

/// The mapping in use, and what became of a newer file.
#[derive(Debug)]
pub(crate) struct Mappings {
    config: Config,
    plan: RwLock<Arc<Plan>>,
    /// Why the file as it is now is not used.
    rejected: Mutex<Option<String>>,
}

impl Mappings {
    /// The mapping that the configuration names.
    ///
    /// # Errors
    /// When the file cannot be read, or a rule is wrong: a transformer does not begin with a mapping that it has not got.
    pub(crate) fn load(config: &Config) -> Result<Mappings, TransformError> {
        let plan = Arc::new(crate::load_mapping(config)?);
        Ok(Mappings { config: config.clone(), plan: RwLock::new(plan), rejected: Mutex::new(None) })
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
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(LOOK) => {}
            }
            let now = self.read();
            // An editor may write in several steps: a text counts when it has stayed for one look.
            if std::mem::replace(&mut last, now.clone()) != now || looked_at.as_ref() == Some(&now) {
                continue;
            }
            // The text that was looked at, not the file as it may be by now.
            let compiled = crate::compile(&self.config, now.as_deref());
            looked_at = Some(now);
            match compiled {
                Ok(plan) => {
                    self.reject(None);
                    if plan.version() != self.plan().version() {
                        let plan = Arc::new(plan);
                        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&plan);
                        tracing::info!(mapping = plan.version(), "another mapping is in use");
                        return Some(plan);
                    }
                }
                Err(error) => self.reject(Some(error.to_string())),
            }
        }
    }

    fn reject(&self, why: Option<String>) {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = why.as_ref().filter(|why| Some(*why) != rejected.as_ref()) {
            tracing::error!(
                error,
                mapping = self.plan().version(),
                "the mapping file was changed and cannot be used; the mapping before stays"
            );
        }
        *rejected = why;
    }

    /// The file's text; `None` while it cannot be read.
    fn read(&self) -> Option<String> {
        crate::read_mapping(&self.config.mapping.file).ok()
    }
}
