//! The texts that `init` writes. Pure.

use std::path::Path;

use super::TargetChoice;
use super::answers::{Answers, OKKI, Question, SANDBOX};

/// The mapping, the same for all of them: the documented fields of an order, which the sandbox has too.
const MAPPING: &str = include_str!("mapping.toml");

/// What is written.
pub struct Texts {
    pub config: String,
    pub mapping: String,
    /// The secret of the sandbox, which is none: everybody knows it.
    pub sandbox_secret: Option<String>,
}

/// The files for some answers; `since` is where the first window begins when they do not say.
pub fn texts(answers: &Answers, since: &str) -> Texts {
    let is_sandbox = answers.sandbox == Some(true);
    Texts {
        config: if is_sandbox { sandbox(answers) } else { account(answers, since) },
        mapping: MAPPING.into(),
        sandbox_secret: is_sandbox.then(|| "demo-secret\n".into()),
    }
}

const HEAD: &str = "# Made by `orderflow init`. Keys that do not stand here have the defaults that `orderflow check --defaults` prints.\n\n";

fn sandbox(answers: &Answers) -> String {
    let url = answers.base_url.as_deref().unwrap_or(SANDBOX);
    let since = given(answers.since.as_deref()).unwrap_or("2009-01-01 00:00:00");
    format!(
        "{HEAD}flow = \"sandbox\"\n\n\
         [source]\nbase_url = {url}\nclient_id = \"demo\"\n\
         client_secret_file = \"sandbox.secret\"   # the sandbox's own; a real one comes from ORDERFLOW_SOURCE__CLIENT_SECRET\n\n\
         [source.limit]\nrequests_per_second = 0.0   # the sandbox has no limit unless it is told to\n\n\
         [schedule]\nevery = \"5s\"\nsince = {since}\nsettle = \"1s\"                # the sandbox shows every order at once\n\n\
         [[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = {execute}\n\
         idCheck = false   # true: a key that is there is refused (REPEAT), so later edits do not arrive\n",
        url = quoted(url),
        since = quoted(since),
        execute = quoted(&format!("{url}/execute")),
    )
}

fn account(answers: &Answers, since: &str) -> String {
    let url = answers.base_url.as_deref().unwrap_or(OKKI);
    let since = given(answers.since.as_deref()).unwrap_or(since);
    format!(
        "{HEAD}[source]\nbase_url = {url}\nclient_id = {client}\n# The secret: ORDERFLOW_SOURCE__CLIENT_SECRET in the environment.\n\n\
         # The list of orders has no lines, no status and no custom fields: each order that changed is fetched whole.\n\
         [source.detail]\napi = \"/v1/invoices/order/info\"\n\n\
         [schedule]\nevery = \"60s\"                     # or cron = \"*/5 * * * *\"\n\
         since = {since}   # where the first window begins\n\n\
         [[schedule.sweep]]                # reads the recent past again, for what became visible late\n\
         every = \"1h\"\nreach = \"2d\"\n\n{target}",
        url = quoted(url),
        client = quoted(answers.client_id.as_deref().unwrap_or_default()),
        since = quoted(since),
        target = target(answers),
    )
}

fn target(answers: &Answers) -> String {
    let choice = answers.target.unwrap_or(TargetChoice::Execute);
    let usual = answers.usual(&Question::TargetUrl, "").unwrap_or_default();
    let url = quoted(given(answers.target_url.as_deref()).unwrap_or(&usual));
    let of = |answer: &Option<String>| quoted(answer.as_deref().unwrap_or_default());
    match choice {
        TargetChoice::Execute => format!(
            "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = {url}\n\
             idCheck = false                   # true: a key that is there is refused (REPEAT), so later edits do not arrive\n\
             # What the target asks for in its headers; the value stands in the environment:\n\
             # headers = {{ Authorization = \"env:QEASY_TOKEN\" }}\n"
        ),
        TargetChoice::Store => format!(
            "[[target]]\nname = \"qeasy\"\nkind = \"store\"\nurl = {url}   # the paths of the open API are added\n\
             scheme_id = {}\napp_key = {}\n\
             # The secret: ORDERFLOW_TARGET__QEASY__APP_SECRET in the environment.\n\
             key = \"orderId\"                   # the field of the record that an order is asked back by\n\
             batch = 100                       # orders a request; the open API allows 60 requests a minute\n",
            of(&answers.scheme_id),
            of(&answers.app_key)
        ),
        TargetChoice::Postgres => format!(
            "[[target]]\nname = \"warehouse\"\nkind = \"postgres\"\nurl = {url}\n\
             # The password: ORDERFLOW_TARGET__WAREHOUSE__PASSWORD in the environment.\n\
             table = {}   # it has to be there; `orderflow check --live` says what it lacks\n\
             key = \"orderId\"                   # its primary key\nbatch = 100\n",
            of(&answers.table)
        ),
    }
}

/// The commands that come next.
pub fn next_steps(answers: &Answers, out: &Path) -> String {
    let mut lines = Vec::new();
    if out != Path::new("") {
        lines.push(format!("cd {}", out.display()));
    }
    if answers.sandbox == Some(true) {
        let listen = answers.base_url.as_deref().filter(|url| *url != SANDBOX);
        let listen =
            listen.and_then(|url| url.split_once("://")).map(|(_, place)| format!(" --listen {place}"));
        let what = t!("plays OKKI and 轻易云; leave it running, in a terminal of its own");
        lines.push(step(&format!("orderflow sandbox{}", listen.unwrap_or_default()), &what));
    } else {
        lines.push("export ORDERFLOW_SOURCE__CLIENT_SECRET=...".into());
        match answers.target {
            Some(TargetChoice::Store) => lines.push("export ORDERFLOW_TARGET__QEASY__APP_SECRET=...".into()),
            Some(TargetChoice::Postgres) => {
                lines.push("export ORDERFLOW_TARGET__WAREHOUSE__PASSWORD=...".into());
            }
            None | Some(TargetChoice::Execute) => {}
        }
    }
    lines.extend([
        step("orderflow check --live", &t!("tries every connection, and writes nothing")),
        step("orderflow peek", &t!("shows the first orders, and proposes a mapping")),
        step("orderflow up --once", &t!("carries everything up to now, and accounts for every order")),
        step("orderflow status", &t!("how far it is, and what waits for a person")),
    ]);
    let steps: String = lines.into_iter().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{steps}", t!("Next:"))
}

fn step(command: &str, what: &str) -> String {
    format!("{command:<24}  # {what}")
}

/// An answer that says something.
fn given(answer: Option<&str>) -> Option<&str> {
    answer.filter(|answer| !answer.is_empty())
}

/// A text as TOML. Answers hold no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
