//! `orderflow init`: an orderflow.toml and a mapping.toml to begin with, from flags and, on a terminal, from questions.

mod answers;
mod files;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use ::mapping::Plan;
use anyhow::Context;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use service::{Config, ConfigError};

use crate::exit::{Exit, ask_line, print, say_line};
use crate::new_file::{refuse_existing, write_new};
use answers::{Answers, Question};

/// Flags of `init`.
#[derive(Debug, Clone, Default, Args)]
pub struct InitArgs {
    /// For the sandbox: `orderflow sandbox` plays both sides, and no account is needed.
    #[arg(long)]
    sandbox: bool,
    /// Where the source is: https://api-sandbox.xiaoman.cn unless given, for the sandbox http://127.0.0.1:8088.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// The client id of the account at the source.
    #[arg(long, value_name = "ID", conflicts_with = "sandbox")]
    client_id: Option<String>,
    /// Where the first window begins: 2025-01-01 or "2025-01-01 00:00:00", in the time zone of Shanghai; the start of this year
    /// unless given.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// What the target is: "execute" unless given.
    #[arg(long, value_name = "KIND", conflicts_with = "sandbox")]
    target: Option<TargetChoice>,
    /// Where the target is: for "store" without a path, for "postgres" without a password.
    #[arg(long, value_name = "URL", conflicts_with = "sandbox")]
    target_url: Option<String>,
    /// "store": the id of the scheme.
    #[arg(long, value_name = "ID", conflicts_with = "sandbox")]
    scheme_id: Option<String>,
    /// "store": the key of the application.
    #[arg(long, value_name = "KEY", conflicts_with = "sandbox")]
    app_key: Option<String>,
    /// "postgres": the table.
    #[arg(long, value_name = "TABLE", conflicts_with = "sandbox")]
    table: Option<String>,
    /// The folder in which the files are written.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Overwrite the files that are there.
    #[arg(long)]
    force: bool,
}

/// The kinds of target that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TargetChoice {
    /// 轻易云: POST of one order to an address.
    Execute,
    /// 轻易云: the open API with a scheme, an application and its secret.
    Store,
    /// A table of PostgreSQL.
    Postgres,
}

/// The names of the files.
const CONFIG: &str = "orderflow.toml";
const MAPPING: &str = "mapping.toml";
const SANDBOX_SECRET: &str = "sandbox.secret";

pub fn run(args: InitArgs) -> anyhow::Result<Exit> {
    let force = args.force;
    // A file is shown as it is named in the folder that people are in.
    let out = if args.out == Path::new(".") { PathBuf::new() } else { args.out.clone() };
    if !force {
        // Before anything is asked or written.
        for name in [CONFIG, MAPPING] {
            refuse_existing(&out.join(name), "--out")?;
        }
    }
    let answers = answered(Answers::of(args)?)?;
    if answers.sandbox == Some(true) && !force {
        refuse_existing(&out.join(SANDBOX_SECRET), "--out")?;
    }
    let texts = files::texts(&answers, &this_year());
    expect_sound(&out, &texts)?;
    if out != Path::new("") {
        std::fs::create_dir_all(&out)
            .with_context(|| t!("--out %{folder} cannot be made", folder = out.display()))?;
    }
    let mut said = String::new();
    let mut write = |name: &str, text: &str| {
        let path = out.join(name);
        write_new(&path, text, force)?;
        said.push_str(&format!("{}\n", t!("%{file}: written", file = path.display())));
        anyhow::Ok(path)
    };
    write(CONFIG, &texts.config)?;
    write(MAPPING, &texts.mapping)?;
    if let Some(secret) = &texts.sandbox_secret {
        keep_private(&write(SANDBOX_SECRET, secret)?)?;
    }
    print(&format!("{said}\n{}", files::next_steps(&answers, &out)));
    Ok(Exit::Ok)
}

/// The first day of this year.
fn this_year() -> String {
    Timestamp::now().to_zoned_datetime(TimeZone::UTC).strftime("%Y-01-01 00:00:00").to_string()
}

/// All answers: those of the flags, and on a terminal those of a person.
fn answered(mut answers: Answers) -> anyhow::Result<Answers> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !is_terminal {
        let missing = answers.missing_flags();
        if missing.is_empty() {
            return Ok(answers);
        }
        return Err(ConfigError::Key { place: "orderflow init".into(), message: not_given(&missing) }.into());
    }
    while let Some(question) = answers.next() {
        let Some(text) = ask_line(&format!("{} ", asked(&question, &answers)))? else {
            let message = t!("the questions were not answered to their end; nothing was written");
            return Err(ConfigError::Key { place: "orderflow init".into(), message: message.into() }.into());
        };
        if let Err(error) = answers.take(question, text.trim()) {
            say_line(&error);
        }
    }
    Ok(answers)
}

fn not_given(missing: &[&str]) -> String {
    t!(
        "found no terminal to ask at and no %{flags}, expected these flags (`orderflow init --sandbox` needs none)",
        flags = missing.join(", ")
    )
    .into()
}

/// A question as it is asked, with what an empty answer means.
fn asked(question: &Question, answers: &Answers) -> String {
    let asked = match question {
        Question::Where => {
            t!("For what? 1 the sandbox, to try everything without an account; 2 an account at OKKI")
        }
        Question::BaseUrl => t!("Where is the source (source.base_url)?"),
        Question::ClientId => t!("What is your client id at OKKI (source.client_id)?"),
        Question::Since => t!("From when on are orders fetched (schedule.since), such as 2025-01-01?"),
        Question::Target => t!("What is the target? 1 execute, 2 store (both 轻易云), 3 postgres"),
        Question::TargetUrl => t!("Where is the target (target.url)?"),
        Question::SchemeId => t!("What is the id of the scheme in 轻易云 (scheme_id)?"),
        Question::AppKey => t!("What is the key of your application in 轻易云 (app_key)?"),
        Question::Table => t!("Which table are orders written to (target.table)?"),
    };
    match answers.usual(question, &this_year()) {
        Some(usual) => format!("{asked} [{usual}]"),
        None => asked.into(),
    }
}

/// Refuses texts that would not load: nothing is written then.
fn expect_sound(out: &Path, texts: &files::Texts) -> anyhow::Result<()> {
    let config = Config::parse(&out.join(CONFIG), &texts.config, std::iter::empty())?;
    Plan::compile(MAPPING, &texts.mapping, &config.zone())?;
    Ok(())
}

/// Takes a file away from everybody else.
#[cfg(unix)]
fn keep_private(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| t!("%{file} cannot be written", file = path.display()))
}

#[cfg(not(unix))]
fn keep_private(_path: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::language::in_both;

    fn texts(args: InitArgs) -> files::Texts {
        let answers = Answers::of(args).expect("sound");
        assert_eq!(answers.missing_flags(), Vec::<&str>::new());
        files::texts(&answers, "2026-01-01 00:00:00")
    }

    fn account() -> InitArgs {
        InitArgs { client_id: Some("li-erp".into()), ..InitArgs::default() }
    }

    #[test]
    fn whatever_is_chosen_loads_and_maps() {
        let store = InitArgs {
            target: Some(TargetChoice::Store),
            scheme_id: Some("S1".into()),
            app_key: Some("K1".into()),
            ..account()
        };
        let postgres = InitArgs {
            target: Some(TargetChoice::Postgres),
            target_url: Some("postgres://orderflow@127.0.0.1:5432/sales".into()),
            table: Some("orders".into()),
            ..account()
        };
        let sandbox = InitArgs { sandbox: true, ..InitArgs::default() };
        for (args, kind) in
            [(account(), "execute"), (store, "store"), (postgres, "postgres"), (sandbox, "execute")]
        {
            let texts = texts(args);
            expect_sound(Path::new("."), &texts).unwrap_or_else(|error| panic!("{error}\n{}", texts.config));
            assert!(texts.config.contains(&format!("kind = \"{kind}\"")), "{}", texts.config);
            assert!(!texts.config.contains("demo-secret"), "no secret stands in the file");
        }
    }

    #[test]
    fn the_cases_of_the_mapping_pass() {
        let mapping = texts(account()).mapping;
        let plan = Plan::compile(MAPPING, &mapping, &jiff::tz::TimeZone::UTC).expect("it compiles");
        let cases = ::mapping::cases(MAPPING, &mapping).expect("sound");
        assert_eq!(cases.len(), 1);
        assert!(plan.warnings().is_empty(), "{:?}", plan.warnings());
    }

    #[test]
    fn the_files_of_an_account() {
        insta::assert_snapshot!(texts(account()).config);
    }

    #[test]
    fn what_to_do_next_in_both_languages() {
        let account = Answers::of(account()).expect("sound");
        let sandbox = Answers::of(InitArgs { sandbox: true, ..InitArgs::default() }).expect("sound");
        insta::assert_snapshot!(in_both(|| {
            let steps = |answers| files::next_steps(answers, Path::new(""));
            format!("{}\n{}", steps(&account), steps(&sandbox))
        }));
    }

    #[test]
    fn the_questions_in_both_languages() {
        insta::assert_snapshot!(in_both(|| {
            let answers = Answers::of(InitArgs::default()).expect("sound");
            let all = [
                Question::Where,
                Question::ClientId,
                Question::Target,
                Question::SchemeId,
                Question::AppKey,
                Question::Table,
            ];
            let asked: Vec<String> = all.iter().map(|question| asked(question, &answers)).collect();
            format!("{}\n{}", asked.join("\n"), not_given(&["--client-id"]))
        }));
    }
}
