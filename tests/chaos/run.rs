//! One run: start everything, let the blows fall, wait for the dust to settle, judge.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use journal::Topology;
use orderflow_tests::{Line, Nats, World};
use sandbox::{Options, Orders};

use crate::blow::Act;
use crate::scenario::{Scenario, Weather};
use crate::stage::{STAGES, Stage};
use crate::story::Story;
use crate::{dust, evidence, verdict};

/// How often processes that ended by themselves are looked for.
const LOOK: Duration = Duration::from_millis(100);

const CASE: &str = include_str!("../../deploy/examples/case.mapping.toml");
/// Deletions reach the target as a record of their own.
const DELETIONS: (&str, &str) = (
    "on_delete = \"record\"\ndeleted_at = \"delete_time\"\n",
    "\n[[deleted_field]]\nto = \"orderId\"\nfrom = \"order_id\"\n\n[[deleted_field]]\nto = \"deleted\"\nvalue = true\n\
     type = \"boolean\"\n",
);

/// What a run came to.
pub struct Ran {
    /// One line.
    pub summary: String,
    /// What is wrong; empty when all is well.
    pub faults: Vec<String>,
    /// What the logs and the target say of some of the orders that are wrong.
    pub evidence: Vec<String>,
    /// What happened.
    pub story: Story,
    /// Where the evidence is, when something is wrong.
    pub kept: Option<PathBuf>,
}

/// Everything that runs.
pub struct Stand {
    /// Server and sandbox.
    pub world: World,
    /// The processes.
    pub stages: Vec<Stage>,
    weather: Weather,
    /// Whether nats-server is there; paused counts as there.
    server_up: bool,
    poison: u64,
}

/// Runs one scenario.
pub async fn run(scenario: Scenario, live: bool) -> Ran {
    let mut story = Story::begin(scenario.seed, live);
    let kept = tempfile::tempdir().expect("a temporary folder");
    let options = Options {
        orders: Orders::Generated { count: scenario.orders },
        faults: scenario.faults.clone(),
        seed: scenario.seed,
        data_dir: Some(kept.path().join(evidence::SANDBOX)),
        ..Options::default()
    };
    let mut world = World::with(options).await;
    world.map_with(&format!("{}{CASE}{}", DELETIONS.0, DELETIONS.1));
    world.config.writer.partitions = Scenario::PARTITIONS;
    world.journal.ensure(&world.names()).await.unwrap_or_else(|error| panic!("{error}"));
    let demo = world.folder_of_a_program(Scenario::SCHEDULE);
    let folder = kept.path();
    let text = std::fs::read_to_string(demo.path().join("orderflow.toml")).expect("written");
    std::fs::write(folder.join("orderflow.toml"), scenario.configure(&text)).expect("written");
    std::fs::copy(demo.path().join("mapping.toml"), folder.join("mapping.toml")).expect("copied");
    let mut stand = Stand {
        weather: Weather::of(scenario.faults.clone()),
        stages: Vec::new(),
        server_up: true,
        poison: scenario.poison,
        world,
    };
    stand.poison(&mut story);
    let server = address(&stand.world.nats);
    for index in 0..STAGES.len() {
        stand.stages.push(Stage::start(index, folder, &server).await);
    }
    let began = Instant::now();
    for (at, act) in &scenario.acts {
        stand.look_until(began + *at, &mut story).await;
        story.act(*act);
        stand.act(*act, &mut story).await;
    }
    stand.look_until(began + scenario.length, &mut story).await;
    stand.calm().await;
    story.tell("no more blows");
    let calm = Instant::now();
    let mut faults = dust::settles(&mut stand, &mut story).await;
    let judged = verdict::judge(&stand.world, &scenario, folder, story.began_at).await;
    faults.extend(judged.faults);
    let summary = format!(
        "seed {}: {} in {} s, settled in {} s; {}, ended by themselves {}",
        scenario.seed,
        story.blows(),
        scenario.length.as_secs(),
        calm.elapsed().as_secs(),
        judged.summary,
        story.ended
    );
    let kept = (!faults.is_empty()).then(|| kept.keep());
    Ran { summary, faults, evidence: judged.evidence, story, kept }
}

/// `host:port` of the server.
fn address(nats: &Nats) -> String {
    nats.url().trim_start_matches("nats://").to_string()
}

impl Stand {
    /// Waits, and looks after processes that end by themselves.
    pub async fn look_until(&mut self, until: Instant, story: &mut Story) {
        loop {
            for stage in &mut self.stages {
                if let Some(said) = stage.ended() {
                    story.ended += 1;
                    story.tell(said);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    async fn act(&mut self, act: Act, story: &mut Story) {
        match act {
            Act::Kill(stage) => self.stages[stage].kill().await,
            Act::Pause(stage) => self.stages[stage].signal("STOP").await,
            Act::Resume(stage) => self.stages[stage].signal("CONT").await,
            Act::Cut(stage) => self.stages[stage].line(Line::Cut),
            Act::Sever(stage) => self.stages[stage].line(Line::Severed),
            Act::Heal(stage) => self.stages[stage].line(Line::Open),
            Act::KillServer => self.kill_server().await,
            Act::StartServer => self.start_server().await,
            Act::PauseServer => self.signal_server("STOP").await,
            Act::ResumeServer => self.signal_server("CONT").await,
            Act::Change { edits, inserts, removals } => {
                let sandbox = &self.world.sandbox;
                sandbox.edit(edits);
                sandbox.insert(inserts);
                sandbox.remove(removals);
            }
            Act::Poison => self.poison(story),
            Act::Antidote => {
                let taken = self.weather.refused.len().min(self.poison as usize);
                self.weather.refused.drain(..taken);
            }
            Act::Outage(on) => self.weather.outage = on,
            Act::Storm(on) => self.weather.storm = on,
            Act::Hangs(on) => self.weather.hangs = on,
        }
        if matches!(act, Act::Antidote | Act::Outage(_) | Act::Storm(_) | Act::Hangs(_)) {
            self.world.sandbox.set_faults(self.weather.faults());
        }
    }

    /// Some orders are edited, and the target refuses them.
    fn poison(&mut self, story: &mut Story) {
        let ids = self.world.sandbox.edit(self.poison);
        story.tell(format!("refused from now on: {}", ids.join(", ")));
        self.weather.refused.extend(ids);
        self.world.sandbox.set_faults(self.weather.faults());
    }

    async fn kill_server(&mut self) {
        if std::mem::replace(&mut self.server_up, false) {
            self.world.nats.kill().await;
        }
    }

    async fn start_server(&mut self) {
        if !std::mem::replace(&mut self.server_up, true) {
            self.world.nats.restart().await;
            let server = address(&self.world.nats);
            self.stages.iter().for_each(|stage| stage.move_to(&server));
        }
    }

    async fn signal_server(&self, name: &str) {
        if self.server_up {
            orderflow_tests::signal(self.world.nats.pid(), name).await;
        }
    }

    /// Ends every blow. Processes and lines are healed; the orders that are refused stay so.
    async fn calm(&mut self) {
        self.start_server().await;
        self.signal_server("CONT").await;
        for stage in &self.stages {
            stage.line(Line::Open);
            stage.signal("CONT").await;
        }
        self.weather.clear();
        self.world.sandbox.set_faults(self.weather.faults());
    }

    /// The names of the flow.
    pub fn names(&self) -> Topology {
        self.world.names()
    }
}
