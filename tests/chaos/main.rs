//! Chaos: the whole pipeline as real processes, each of which is killed, paused or cut off every few seconds, while the target
//! misbehaves and orders change. When the dust has settled, the target has to hold what the source has, and the logs alone
//! have to say so.
//!
//! Ten seeds with a minute of blows each, two at a time; `SEED=7 MINUTES=30 make chaos` runs one.

mod blow;
mod dust;
mod evidence;
mod run;
mod scenario;
mod stage;
mod story;
mod verdict;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::StreamExt;

use run::Ran;
use scenario::Scenario;

/// What runs when nobody asks for a seed.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;
/// Two cores keep the processes of two runs busy enough.
const AT_ONCE: usize = 2;

fn main() -> ExitCode {
    // Cargo hands its arguments to every test target: a filter that means something else is not for this one.
    let (flags, filters): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with('-'));
    if flags.iter().any(|flag| flag == "--list")
        || !(filters.is_empty() || filters.iter().any(|filter| "chaos".contains(filter.as_str())))
    {
        return ExitCode::SUCCESS;
    }
    let (seed, minutes) = match (number("SEED"), number("MINUTES")) {
        (Ok(seed), Ok(minutes)) => (seed, minutes.unwrap_or(1.0)),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(all(seed, Duration::from_secs_f64(minutes * 60.0)))
}

/// A number of the environment, `None` when it is not set or empty.
fn number<T: std::str::FromStr>(name: &str) -> Result<Option<T>, String> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.parse().map(Some).map_err(|_| format!("{name} is \"{text}\", which is no number"))
        }
        _ => Ok(None),
    }
}

async fn all(seed: Option<u64>, length: Duration) -> ExitCode {
    let seeds: Vec<u64> = seed.map_or_else(|| SEEDS.collect(), |seed| vec![seed]);
    let (began, count) = (Instant::now(), seeds.len());
    println!("chaos: {count} seeds, {} s of blows each, {AT_ONCE} at a time", length.as_secs());
    let live = count == 1;
    let mut runs = futures::stream::iter(seeds)
        .map(|seed| async move {
            let run = tokio::spawn(run::run(Scenario::of(seed, length), live));
            (seed, run.await)
        })
        .buffer_unordered(AT_ONCE);
    let mut failed = Vec::new();
    while let Some((seed, ran)) = runs.next().await {
        match ran {
            Ok(ran) => {
                told(&ran, live);
                if !ran.faults.is_empty() {
                    failed.push(seed);
                }
            }
            Err(error) => {
                println!("seed {seed}: the test itself broke: {error}");
                failed.push(seed);
            }
        }
    }
    failed.sort_unstable();
    println!("chaos: {} of {count} seeds are well, {} s", count - failed.len(), began.elapsed().as_secs());
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    let minutes = length.as_secs_f64() / 60.0;
    println!(
        "chaos: to repeat: {}",
        failed
            .iter()
            .map(|seed| format!("SEED={seed} MINUTES={minutes} make chaos"))
            .collect::<Vec<_>>()
            .join("; ")
    );
    ExitCode::FAILURE
}

fn told(ran: &Ran, live: bool) {
    // Of a run that is well, only what nobody did is of interest.
    let of_interest = |line: &&String| !ran.faults.is_empty() || line.contains("ended by itself");
    for line in ran.story.lines().iter().filter(of_interest).filter(|_| !live) {
        println!("{line}");
    }
    println!("{}", ran.summary);
    for fault in &ran.faults {
        println!("  FAULT {fault}");
    }
    for line in &ran.evidence {
        println!("  {line}");
    }
    if let Some(folder) = &ran.kept {
        println!("  what the processes printed, and what the sandbox took: {}", folder.display());
    }
}
