//! `orderflow peek`: the first orders of the source and where each field lies, before there is a mapping; and a mapping to begin with.

mod fields;
mod proposal;
mod show;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use fetcher::{FirstOrders, SourceProbe};
use mapping::{Outcome, Plan};
use operations::Mask;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use service::Config;

use crate::cli::Output;
use crate::exit::{Exit, print, print_json, say_line};
use crate::new_file::{refuse_existing, write_new};
use fields::{FieldOfOrders, fields_of};

/// Flags of `peek`.
#[derive(Debug, Args)]
pub struct PeekArgs {
    /// How many orders are looked at, from 1 to 500: the first that the source lists since schedule.since.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    count: u32,
    /// Write a mapping for these orders to this file. It is there to be corrected: `orderflow check` and `orderflow map preview`
    /// show what it makes of an order.
    #[arg(long, value_name = "FILE")]
    propose: Option<PathBuf>,
    /// Overwrite the file that is there.
    #[arg(long, requires = "propose")]
    force: bool,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
}

/// What `-o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub struct PeekReport {
    /// How many orders the source counts since `schedule.since`.
    total: u64,
    /// How many were looked at.
    orders: u64,
    /// Rows of the page that are no JSON, and orders that were gone when their detail was asked for.
    left_out: usize,
    /// Every path that has a value in one of them.
    fields: Vec<FieldOfOrders>,
    /// A mapping for these orders; `null` when they have no field that identifies them.
    proposal: Option<Proposal>,
}

/// A mapping to begin with.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Proposal {
    /// The mapping, as TOML.
    mapping: String,
    /// How many of the orders it maps.
    mapped: u64,
    /// How many of the orders it cannot map.
    failed: u64,
}

pub async fn run(args: PeekArgs, path: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    if let Some(file) = args.propose.as_ref().filter(|_| !args.force) {
        refuse_existing(file, "--propose")?;
    }
    let probe = SourceProbe::new(&config, args.count)?;
    let orders = async {
        let token = probe.token().await?;
        probe.first_orders(&token).await
    };
    let found = match orders.await {
        Ok(found) => found,
        Err(error) => {
            say_line(&t!("error: %{why}", why = probe.said(&error)));
            return Ok(Exit::Failure);
        }
    };
    let report = PeekReport::of(&config, &found);
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?)),
        Output::Table => {
            let hint = if args.propose.is_some() { String::new() } else { show::hint(&report, &config) };
            print(&format!("{}{hint}", show::shown(&report, &config)));
        }
    }
    if found.orders.is_empty() {
        return Ok(Exit::NothingMatched);
    }
    if let Some(file) = &args.propose {
        let none = || {
            t!("no order has the field %{id} (source.id), so no mapping is proposed", id = config.source.id)
        };
        let proposal = report.proposal.as_ref().with_context(none)?;
        write_new(file, &proposal.mapping, args.force)?;
        say_line(&t!(
            "%{file}: written; it maps %{mapped} of these %{orders} orders",
            file = file.display(),
            mapped = proposal.mapped,
            orders = report.orders
        ));
    }
    let failed = report.proposal.as_ref().map_or(0, |proposal| proposal.failed);
    Ok(if args.propose.is_some() && failed > 0 { Exit::Partial } else { Exit::Ok })
}

impl PeekReport {
    fn of(config: &Config, found: &FirstOrders) -> Self {
        let mask = Mask::of(config);
        let shown =
            found.orders.iter().filter_map(|order| RawValue::from_string(mask.json(order.get()).0).ok());
        let shown: Vec<Box<RawValue>> = shown.collect();
        let fields = fields_of(&shown);
        let mapping = proposal::mapping(&fields, &config.source.id, &config.source.number);
        Self {
            total: found.total,
            orders: found.orders.len() as u64,
            left_out: found.left_out,
            proposal: mapping.map(|mapping| Proposal::tried(mapping, config, &found.orders)),
            fields,
        }
    }
}

impl Proposal {
    /// Maps the orders with the proposed mapping.
    fn tried(mapping: String, config: &Config, orders: &[Box<RawValue>]) -> Self {
        let plan = Plan::compile("proposal", &mapping, &config.zone());
        let maps = |order: &RawValue| {
            plan.as_ref().is_ok_and(|plan| matches!(plan.map(order), Ok(Outcome::Records(_))))
        };
        let mapped = orders.iter().filter(|order| maps(order)).count() as u64;
        Self { mapping, mapped, failed: orders.len() as u64 - mapped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::language::in_both;

    const ORDERS: [&str; 2] = [
        r#"{"order_id":"5203550000","order_no":"SO-1","update_time":"2025-01-30 08:26:00","account_date":"2025-01-29",
            "company":{"company_id":7,"name":"宁波五金"},"currency":"USD","amount":300.5,"status_name":"",
            "product_list":[{"unique_id":1,"product_no":"A","count":6,"unit_price":45.5},
                            {"unique_id":2,"product_no":"B","count":"2","unit_price":13.75}]}"#,
        r#"{"order_id":5203550007,"order_no":"SO-2","update_time":"2025-01-31 08:26:00","account_date":"2025-01-30 00:00:00",
            "company":[],"currency":"CNY","amount":"0.10","status_name":"待回款",
            "product_list":[{"unique_id":3,"product_no":"A","count":1,"unit_price":0.1}]}"#,
    ];

    fn report(text: &str) -> (PeekReport, Config) {
        let config = Config::parse(Path::new("o.toml"), text, std::iter::empty()).expect("sound");
        let orders = ORDERS.iter().map(|order| serde_json::from_str(order).expect("JSON")).collect();
        let found = FirstOrders { total: 2_000, orders, left_out: 1 };
        (PeekReport::of(&config, &found), config)
    }

    #[test]
    fn orders_and_a_proposal_in_both_languages() {
        let (report, config) = report("");
        insta::assert_snapshot!(in_both(|| {
            format!("{}{}", show::shown(&report, &config), show::hint(&report, &config))
        }));
        let proposal = report.proposal.expect("they have ids");
        assert_eq!((proposal.mapped, proposal.failed), (2, 0));
        insta::assert_snapshot!(proposal.mapping);
    }

    #[test]
    fn the_proposal_writes_what_the_orders_have() {
        let (report, config) = report("");
        let proposal = report.proposal.expect("they have ids");
        let plan = Plan::compile("m", &proposal.mapping, &config.zone()).expect("it compiles");
        let order: Box<RawValue> = serde_json::from_str(ORDERS[0]).expect("JSON");
        let Ok(Outcome::Records(records)) = plan.map(&order) else { panic!("it maps") };
        insta::assert_snapshot!(String::from_utf8_lossy(&records[0].record));
    }

    #[test]
    fn personal_values_are_not_shown() {
        let (report, config) = report("[operators]\npersonal = [\"name\"]\n");
        let shown = show::shown(&report, &config);
        assert!(!shown.contains("宁波五金") && shown.contains("company.name"), "{shown}");
        assert!(!serde_json::to_string(&report).expect("JSON").contains("宁波五金"));
    }
}
