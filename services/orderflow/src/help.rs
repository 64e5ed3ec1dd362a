//! The help in Chinese: the texts of the command line, which stand in English beside its flags, by the same tables.

use clap::builder::StyledStr;
use clap::{Arg, Command};

use crate::language;

const TEMPLATE: &str = "{before-help}{about-with-newline}\n用法：{usage}\n\n{all-args}{after-help}";

/// The command line with its help in the language of people. It takes the same flags.
pub fn translated(mut command: Command) -> Command {
    if language::code() == "en" {
        return command;
    }
    // Until then it lacks --help, --version, the command `help`, and the flags that every command has.
    command.build();
    texts(command)
}

fn texts(mut command: Command) -> Command {
    if let Some(about) = command.get_about().map(text) {
        command = command.about(about);
    }
    if let Some(about) = command.get_long_about().map(text) {
        command = command.long_about(about);
    }
    command.help_template(TEMPLATE).subcommand_help_heading("命令").mut_args(argument).mut_subcommands(texts)
}

/// One flag. What else clap says of it is English: the same is said behind its help instead.
fn argument(mut arg: Arg) -> Arg {
    let said = said(&arg);
    if let Some(help) = arg.get_help().map(text) {
        arg = arg.help(format!("{help}{said}"));
    }
    if let Some(help) = arg.get_long_help().map(text) {
        arg = arg.long_help(format!("{help}{said}"));
    }
    let heading = if arg.is_positional() { "参数" } else { "选项" };
    arg.help_heading(heading).hide_env(true).hide_default_value(true).hide_possible_values(true)
}

fn said(arg: &Arg) -> String {
    let env = arg.get_env().map(|name| format!(" [环境变量：{}]", name.to_string_lossy()));
    let mut said = env.unwrap_or_default();
    if arg.get_action().takes_values() {
        let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !default.is_empty() {
            said.push_str(&format!(" [默认：{}]", default.join(", ")));
        }
        let values = arg.get_possible_values();
        let values: Vec<_> = values.iter().map(|value| value.get_name()).collect();
        if !values.is_empty() {
            said.push_str(&format!(" [可选值：{}]", values.join(", ")));
        }
    }
    said
}

/// One text; what the tables do not have is as it was.
fn text(english: &StyledStr) -> String {
    let english = english.to_string();
    crate::_rust_i18n_try_translate(language::code(), &english)
        .map_or(english.clone(), |text| text.into_owned())
}

/// Every text of the help, for the test that none lacks.
#[cfg(test)]
pub fn all() -> Vec<String> {
    use clap::CommandFactory;

    fn of(command: &Command, found: &mut Vec<String>) {
        found
            .extend(command.get_about().into_iter().chain(command.get_long_about()).map(ToString::to_string));
        for arg in command.get_arguments() {
            found.extend(arg.get_help().into_iter().chain(arg.get_long_help()).map(ToString::to_string));
        }
        command.get_subcommands().for_each(|command| of(command, found));
    }
    let mut command = crate::cli::Cli::command();
    command.build();
    let mut found = Vec::new();
    of(&command, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, FromArgMatches};

    use crate::cli::{Cli, Command};
    use crate::language::{Language, within};

    #[test]
    fn the_help_is_chinese_and_the_flags_are_the_same() {
        within(Language::Zh, || {
            let mut command = translated(Cli::command());
            command.clone().debug_assert();
            let dead = command.find_subcommand_mut("dead").expect("dead");
            let list = dead.find_subcommand_mut("list").expect("dead list");
            insta::assert_snapshot!(list.render_help());
            let line = ["orderflow", "trace", "5203550000", "-o", "json", "--config", "x.toml"];
            let cli = Cli::from_arg_matches(&command.get_matches_from(line)).expect("flags");
            assert!(matches!(cli.command, Command::Trace(args) if args.order == "5203550000"));
            assert_eq!(cli.config, std::path::Path::new("x.toml"));
        });
    }
}
