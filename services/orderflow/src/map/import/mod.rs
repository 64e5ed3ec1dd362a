//! `orderflow map import`: 轻易云 scheme metadata becomes orderflow.toml and mapping.toml.

mod condition;
mod fields;
mod function;
mod kind;
mod mapping;
mod metadata;
mod object;
mod origin;
mod report;
mod scope;
mod source;
mod target;
mod template;
mod toml_text;
mod tree;

use std::path::{Path, PathBuf};

use ::mapping::Plan;
use anyhow::Context;
use clap::Args;
use service::ConfigError;

use crate::cli::Output;
use crate::exit::{Exit, print, print_json};
use crate::new_file::{refuse_existing, write_new};
use mapping::Names;
use metadata::{End, Metadata};
pub use report::Report as ImportReport;
use report::Report;
use toml_text::comment;

/// Flags of `map import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The metadata of the scheme's source end (effect QUERY), a JSON file.
    #[arg(long, value_name = "FILE", required_unless_present = "target")]
    source: Option<PathBuf>,
    /// The metadata of its target end (effect EXECUTE), a JSON file.
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// Where orderflow.toml and mapping.toml are written.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Overwrite the files that are there.
    #[arg(long)]
    force: bool,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
}

/// What is written and said.
struct Import {
    config: String,
    mapping: Option<String>,
    report: Report,
}

pub fn run(args: ImportArgs) -> anyhow::Result<Exit> {
    let read =
        |path: &Option<std::path::PathBuf>, end| path.as_deref().map(|path| read(path, end)).transpose();
    let mut import =
        import(read(&args.source, End::Source)?.as_ref(), read(&args.target, End::Target)?.as_ref());
    let mut files = vec![("orderflow.toml", &import.config)];
    files.extend(import.mapping.as_ref().map(|text| ("mapping.toml", text)));
    if !args.force {
        // Before anything is written: half an import would be worse than none.
        for (name, _) in &files {
            refuse_existing(&args.out.join(name), "--out")?;
        }
    }
    std::fs::create_dir_all(&args.out)
        .with_context(|| t!("--out %{folder} cannot be made", folder = args.out.display()))?;
    for (name, text) in files {
        let path = args.out.join(name);
        write_new(&path, text, args.force)?;
        import.report.written.push(path.display().to_string());
    }
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&import.report)?)),
        Output::Table => print(&import.report.text()),
    }
    Ok(if import.report.lost.is_empty() { Exit::Ok } else { Exit::Partial })
}

/// The conversion itself.
fn import(source: Option<&Metadata>, target: Option<&Metadata>) -> Import {
    let mut report = Report::default();
    let names = Names::of(source, target, &mut report);
    let files: Vec<&str> = [source, target].into_iter().flatten().map(|end| end.file.as_str()).collect();
    let mut config = comment(&format!(
        "Made by `orderflow map import` of {}. Keys that do not stand here have the defaults that\n`orderflow check \
         --defaults` prints.",
        files.join(" and ")
    ));
    config.push_str(&source::source(source, &names, &mut report));
    source.iter().for_each(|end| report.unknown_keys(end, target.is_some()));
    let made = target.map(|target| mapping::mapping(source, target, &names, &mut report));
    if let Some((_, fields)) = &made {
        config.push_str(&details(fields, &mut report));
    }
    config.push_str("\n[mapping]\nfile = \"mapping.toml\"\n");
    match target {
        Some(target) => {
            config.push_str(&target::target(target, &mut report));
            report.unknown_keys(target, true);
        }
        None => report.note(
            "no --target: mapping.toml is still to be written (key, number, version and its [[field]]s), and a [[target]] to \
             be added to orderflow.toml",
        ),
    }
    if source.is_none() {
        report.note("no --source: [source] has its defaults, which are those of OKKI's list of orders");
    }
    report.note(
        "to be filled in: source.base_url and source.client_id, the secret as ORDERFLOW_SOURCE__CLIENT_SECRET, and what the \
         target asks for in its headers; then `orderflow check`",
    );
    let mapping = made.map(|(text, _)| text);
    if let Some(Err(errors)) =
        mapping.as_deref().map(|text| Plan::compile("mapping.toml", text, &jiff::tz::TimeZone::UTC))
    {
        for error in errors.iter() {
            report.lose(
                "mapping.toml".into(),
                error.to_string(),
                "correct it there: the mapping cannot be used as it is",
            );
        }
    }
    Import { config, mapping, report }
}

/// What OKKI's list of orders does not carry, and the call for one order does.
fn details(fields: &fields::Fields, report: &mut Report) -> String {
    let of_detail = |name: &&String| {
        let custom = name.bytes().all(|byte| byte.is_ascii_digit());
        custom || matches!(name.as_str(), "product_list" | "cost_list" | "status" | "status_name")
    };
    let read: Vec<&str> = fields.reads.iter().filter(of_detail).map(String::as_str).collect();
    if read.is_empty() {
        return String::new();
    }
    report.note(format!(
        "the mapping reads {}, which OKKI's list does not carry: [source.detail] in orderflow.toml is probably needed, and is \
         prepared there as a comment",
        read.join(", ")
    ));
    comment("\nOKKI's list carries no lines, status or custom fields. This fetches each order that has changed:\n")
        .replacen('#', "\n#", 1)
        + "# [source.detail]\n# api = \"/v1/invoices/order/info\"\n# parameter = \"order_id\"\n"
}

fn read(path: &Path, end: End) -> Result<Metadata, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        what: "metadata".into(),
        path: path.to_path_buf(),
        source,
    })?;
    Metadata::read(&path.file_name().unwrap_or_default().to_string_lossy(), &text, end)
}

#[cfg(test)]
mod tests;
