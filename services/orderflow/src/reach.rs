//! The server with the streams of a flow: the one that the configuration names, that of an `up` that runs, or, while none
//! does, one that is started in its data folder for as long as a command takes. And the demo of this folder, which commands are
//! about where there is no configuration.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use journal::LocalServer;
use service::Config;

use crate::exit::say_line;
use crate::stages::use_local;
use crate::status::with_server;
use crate::up;

/// The configuration that is read unless another one is named.
pub const CONFIG: &str = "orderflow.toml";

/// The folder that `up` keeps its data in unless another one is named.
pub const DATA: &str = ".orderflow";

/// Commands that are not about a flow that ran here before.
const BEFORE_A_FLOW: [&str; 5] = ["up", "sandbox", "check", "init", "peek"];

/// Does some work with a configuration whose server can be reached, and leaves the server as it was found.
pub async fn with_reached<T>(
    mut config: Config,
    data: &Path,
    work: impl AsyncFnOnce(&Config) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // Its own server ends with `up`. Its folder stays locked: nobody else starts or stops the server meanwhile.
    let Some(home) = config.nats.url.is_none().then(|| up::resting(data)).flatten() else {
        return Box::pin(work(&with_server(config, data)?)).await;
    };
    let server = LocalServer::start(&journal::find_server().await?, &home.nats()).await?;
    use_local(&mut config, server.url().to_string(), server.identity());
    let result = Box::pin(work(&config)).await;
    server.stop().await;
    result
}

/// The folder of the demo that ran last below this folder; `None` where there is a configuration, which commands are about then.
pub fn demo_here() -> Option<PathBuf> {
    if Path::new(CONFIG).exists() { None } else { up::last_demo(Path::new(DATA)) }
}

/// The command line with the folder of a demo as the data folder of every command that is about a flow.
pub fn with_demo(command: Command, demo: &Path) -> Command {
    // Once in the life of a process: clap keeps defaults by reference.
    let folder: &'static OsStr = Box::leak(demo.as_os_str().into());
    command.mut_subcommands(|command| match BEFORE_A_FLOW.contains(&command.get_name()) {
        true => command,
        false => with_data(command, folder),
    })
}

fn with_data(command: Command, folder: &'static OsStr) -> Command {
    let has_data = command.get_arguments().any(|argument| argument.get_id() == "data");
    let command = match has_data {
        true => command.mut_arg("data", |argument| argument.default_value(folder)),
        false => command,
    };
    command.mut_subcommands(|command| with_data(command, folder))
}

/// The configuration of a demo, when none was named, there is none here, and the command is about the flow of that demo.
pub fn config_of_demo(matches: &ArgMatches) -> Option<PathBuf> {
    let named = matches.value_source("config").is_some_and(|source| source != ValueSource::DefaultValue);
    let (name, mut leaf) = matches.subcommand()?;
    if named || Path::new(CONFIG).exists() || BEFORE_A_FLOW.contains(&name) {
        return None;
    }
    while let Some((_, below)) = leaf.subcommand() {
        leaf = below;
    }
    if leaf.try_get_one::<PathBuf>("mapping").ok().flatten().is_some() {
        return None;
    }
    let data = leaf.try_get_one::<PathBuf>("data").ok().flatten()?;
    let config = data.join(CONFIG);
    if !config.exists() {
        return None;
    }
    say_line(&t!(
        "there is no %{file} here: this is about the demo in %{folder}",
        file = CONFIG,
        folder = data.display()
    ));
    Some(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    use crate::cli::Cli;

    fn data_of(demo: &str, line: &[&str]) -> PathBuf {
        let command = with_demo(Cli::command(), Path::new(demo));
        let matches = command.get_matches_from([&["orderflow"], line].concat());
        let mut leaf = &matches;
        while let Some((_, below)) = leaf.subcommand() {
            leaf = below;
        }
        leaf.get_one::<PathBuf>("data").expect("a folder").clone()
    }

    #[test]
    fn commands_about_a_flow_look_into_the_folder_of_the_demo() {
        let demo = ".orderflow/demo-10-1";
        for line in [
            &["status"][..],
            &["dead", "groups"],
            &["ops", "list"],
            &["alerts", "show"],
            &["map", "drift"],
            &["map", "preview", "SO-1"],
            &["trace", "SO-1"],
            &["windows"],
        ] {
            assert_eq!(data_of(demo, line), Path::new(demo), "{line:?}");
        }
        assert_eq!(data_of(demo, &["status", "--data", "x"]), Path::new("x"), "a flag goes first");
        assert_eq!(data_of(demo, &["up"]), Path::new(DATA));
    }
}
