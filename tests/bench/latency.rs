//! How long one order takes through three stages of an idle system.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench latency -- [--samples N] [--compare FILE]`; 200 orders unless said
//! otherwise, in one run: the orders are the sample. `orderflow up`, nats-server (`sync_interval: always`) and the sandbox are
//! processes of their own. A window is opened every second; an order becomes visible at the source at a random moment, one
//! at a time, and the wait until a window looks for it is not counted. Everything is read from the log afterwards:
//!
//! - "page read": from the moment the fetcher has the source's answer (`RawPage::fetched_at`) to the moment the target has
//!   answered that it took the order (`Receipt::at`). This is what the aims are about.
//! - "window opened": the same from the event that opens the window on, that is with the job, its delivery and the request.
//!
//! Beside it: two messages stored one after another and one request to the same target, with nothing in between.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
#[allow(dead_code)]
mod figures;
#[allow(dead_code)]
mod live;
#[allow(dead_code)]
mod posts;
#[allow(dead_code)]
mod sandbox_process;
mod setting;
mod steps;

use std::time::Duration;

use args::{Args, Wrong};
use figures::{Figures, Row};
use http::{Client, Method, Request};
use live::Live;
// For its allocator: the stages have it, so the loop beside them has it too.
use orderflow as _;
use orderflow_tests::{Dice, Nats};
use serde_json::json;
use steps::{STEPS, Steps};

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
const SAMPLES: u64 = 200;
/// Orders that are there before, and those that warm the way up.
const BEFORE: u64 = 100;
const WARM_UP: u64 = 5;
/// Milliseconds, of the half and of the hundredth that take longest.
const AIMS: [(f64, f64); 2] = [(0.5, 10.0), (0.99, 30.0)];

/// A window a second, which reaches back no further than it must: an idle system lists nothing else.
const SCHEDULE: [(&str, &str); 2] =
    [("every = \"2s\"", "every = \"1s\""), ("overlap = \"10m\"", "overlap = \"2s\"")];

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("latency", &args)?;
    let samples = args.number("--samples")?.unwrap_or(SAMPLES).max(1);
    let nats = Nats::start().await;
    let live = Live::start(BEFORE, &SCHEDULE, Some(&nats.url())).await;
    let journal = nats.journal().await;
    live::written(&journal, BEFORE).await;
    let (client, mut dice) = (Client::new(1).unwrap(), Dice::new(1));
    for number in 1..=WARM_UP + samples {
        // Longer than from window to window, so that each has a window of its own; and at any moment between two.
        tokio::time::sleep(Duration::from_millis(dice.between(1_050, 1_350))).await;
        insert(&client, &live.sandbox.url).await;
        if number % 50 == 0 {
            eprintln!("{number} of {} orders", WARM_UP + samples);
        }
    }
    live::written(&journal, BEFORE + WARM_UP + samples).await;
    let all = steps::read(&journal, (BEFORE + WARM_UP) as usize).await;
    assert_eq!(all.len() as u64, samples, "one receipt an order");
    let bare = steps::bare(&journal, &live.sandbox.url, samples).await;
    live.end().await;

    println!("{samples} orders one at a time, milliseconds\n");
    println!("| step | p50 | p90 | p99 | most |\n|---|---|---|---|---|");
    for (at, step) in STEPS.iter().enumerate() {
        line(step, all.iter().map(|steps| steps.0[at]).collect());
    }
    line("bare: stored, stored, sent", bare.clone());
    let whole = |first: usize| all.iter().map(|steps| steps.since(first)).collect::<Vec<_>>();
    let (read, opened) = (whole(steps::READ), whole(0));
    for (from, values) in [("page read", &read), ("window opened", &opened)] {
        for (share, aim) in AIMS {
            let name = format!("latency/{from} to written, p{:.0}", share * 100.0);
            let aim = (from == "page read").then_some(aim);
            let row = Row::new(name, percentile(values, share), "ms").low().aim(aim);
            figures.push(row.limit("two messages stored and one request", percentile(&bare, share)));
        }
    }
    let steps: Vec<_> = all.iter().map(|steps| steps.0).collect();
    figures.finish(json!({ "samples": samples, "steps": STEPS, "milliseconds": steps }));
    Ok(())
}

fn line(what: &str, values: Vec<f64>) {
    let [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1.0].map(|share| percentile(&values, share));
    println!("| {what} | {p50:.2} | {p90:.2} | {p99:.2} | {most:.2} |");
}

/// The smallest value that this share of all values does not exceed.
fn percentile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

/// Makes one more order visible at the source.
async fn insert(client: &Client, url: &str) {
    let request = Request {
        method: Method::Post,
        url: format!("{url}/sandbox/insert"),
        query: vec![("n".into(), "1".into())],
        headers: vec![],
        body: None,
        timeout: Duration::from_secs(30),
        most: http::LARGEST_ANSWER,
    };
    assert_eq!(client.send(&request).await.unwrap().status, 200);
}

impl Steps {
    /// All steps from this one on.
    fn since(&self, first: usize) -> f64 {
        self.0[first..].iter().sum()
    }
}
