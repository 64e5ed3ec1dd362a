//! `orderflow schema`: what the JSON of each command looks like. It is made from the types that are printed, so it cannot differ
//! from them. Stable: fields are added, none is renamed or taken away.

use clap::{Args, ValueEnum};
use operations::{Comparison, DeadGroup, Operation};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::alerts::Shown;
use crate::backfill;
use crate::check::CheckReport;
use crate::dead::{ActReport, EditReport, ListedLetter, Whole};
use crate::exit::{Exit, print_json};
use crate::map::{ImportReport, TestReport};
use crate::operations_command::{self, OperationReport};
use crate::peek;
use crate::replay::ReplayReport;
use crate::resume::ResumeReport;
use crate::trace;
use crate::up::OnceReport;
use crate::windows::ListedWindow;

/// Flags of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The command whose JSON is described.
    of: Described,
}

/// The commands whose JSON is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Described {
    /// `status -o json`; with --watch, one a line.
    Status,
    /// `windows -o json`.
    Windows,
    /// `trace -o json`.
    Trace,
    /// `dead groups -o json`.
    DeadGroups,
    /// `dead list -o json`.
    DeadList,
    /// `dead show -o json`, and each line of `dead export`.
    DeadShow,
    /// `ops list -o json`.
    OpsList,
    /// `ops show -o json`, and of `ops pause`, `cancel` and `rate`.
    OpsShow,
    /// `reconcile -o json`.
    Reconcile,
    /// `backfill -o json`.
    Backfill,
    /// `alerts show -o json`.
    Alerts,
    /// `dead retry -o json` and `dead discard -o json`.
    DeadAct,
    /// `dead edit -o json`.
    DeadEdit,
    /// `ops resume -o json`.
    OpsResume,
    /// `replay -o json`.
    Replay,
    /// `resume -o json`.
    Resume,
    /// `check -o json`.
    Check,
    /// `map test -o json`.
    MapTest,
    /// `map import -o json`.
    MapImport,
    /// `up --once -o json`.
    UpOnce,
    /// `peek -o json`.
    Peek,
}

fn schema(of: Described) -> Schema {
    match of {
        Described::Status => of_type::<crate::status::Told>(),
        Described::Windows => of_type::<Vec<ListedWindow<'_>>>(),
        Described::Trace => of_type::<trace::Report<'_>>(),
        Described::DeadGroups => of_type::<Vec<DeadGroup>>(),
        Described::DeadList => of_type::<Vec<ListedLetter<'_>>>(),
        Described::DeadShow => of_type::<Whole>(),
        Described::OpsList => of_type::<Vec<Operation>>(),
        Described::OpsShow => of_type::<operations_command::ShownOperation>(),
        Described::Reconcile => of_type::<Vec<Comparison>>(),
        Described::Backfill => of_type::<backfill::Report<'_>>(),
        Described::Alerts => of_type::<Shown>(),
        Described::DeadAct => of_type::<ActReport>(),
        Described::DeadEdit => of_type::<EditReport>(),
        Described::OpsResume => of_type::<OperationReport>(),
        Described::Replay => of_type::<ReplayReport>(),
        Described::Resume => of_type::<ResumeReport>(),
        Described::Check => of_type::<CheckReport>(),
        Described::MapTest => of_type::<TestReport>(),
        Described::MapImport => of_type::<ImportReport>(),
        Described::UpOnce => of_type::<OnceReport<'_>>(),
        Described::Peek => of_type::<peek::PeekReport>(),
    }
}

/// As it is written: what is not known is `null`, and is there.
fn of_type<T: JsonSchema>() -> Schema {
    SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<T>()
}

pub fn run(args: &SchemaArgs) -> anyhow::Result<Exit> {
    print_json(&format!("{}\n", serde_json::to_string_pretty(&schema(args.of))?));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contract: what changes here changes for every program that reads it.
    #[test]
    fn what_programs_read_is_as_it_was() {
        for of in Described::value_variants() {
            let name = of.to_possible_value().expect("every one has a name").get_name().to_string();
            let text = serde_json::to_string_pretty(&schema(*of)).expect("a schema is JSON");
            insta::assert_snapshot!(name, text);
        }
    }
}
