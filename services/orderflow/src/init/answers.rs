//! What `init` has to know, where it comes from, and what is still to be asked. Pure.

use service::ConfigError;

use super::{InitArgs, TargetChoice};

/// Where OKKI publishes that its API is.
pub const OKKI: &str = "https://api-sandbox.xiaoman.cn";

/// Where the sandbox listens unless it is told otherwise.
pub const SANDBOX: &str = "http://127.0.0.1:8088";

/// Where 轻易云 takes orders in the form `execute`, and where its open API is.
const EXECUTE: &str = "https://api.qingyiyun.com/execute";
const STORE: &str = "https://api.qeasy.cloud";

/// One thing that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The sandbox, or an account.
    Where,
    BaseUrl,
    ClientId,
    Since,
    Target,
    TargetUrl,
    SchemeId,
    AppKey,
    Table,
}

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// Whether it is for the sandbox; `None` while that is not known.
    pub sandbox: Option<bool>,
    pub base_url: Option<String>,
    pub client_id: Option<String>,
    pub since: Option<String>,
    pub target: Option<TargetChoice>,
    pub target_url: Option<String>,
    pub scheme_id: Option<String>,
    pub app_key: Option<String>,
    pub table: Option<String>,
}

impl Answers {
    /// What the flags say.
    ///
    /// # Errors
    /// [`ConfigError`] that names a flag whose value cannot be used.
    pub fn of(args: InitArgs) -> Result<Self, ConfigError> {
        let is_account = args.client_id.is_some() || args.target.is_some() || args.target_url.is_some();
        let mut answers = Self {
            sandbox: if args.sandbox { Some(true) } else { is_account.then_some(false) },
            target: args.target,
            ..Self::default()
        };
        let given = [
            ("--base-url", Question::BaseUrl, args.base_url),
            ("--client-id", Question::ClientId, args.client_id),
            ("--since", Question::Since, args.since),
            ("--target-url", Question::TargetUrl, args.target_url),
            ("--scheme-id", Question::SchemeId, args.scheme_id),
            ("--app-key", Question::AppKey, args.app_key),
            ("--table", Question::Table, args.table),
        ];
        for (flag, question, value) in given {
            let Some(value) = value else { continue };
            let taken = answers.take(question, value.trim());
            taken.map_err(|message| ConfigError::Key { place: flag.into(), message })?;
        }
        Ok(answers)
    }

    /// What is to be asked next; `None` when everything is known.
    pub fn next(&self) -> Option<Question> {
        let Some(is_sandbox) = self.sandbox else { return Some(Question::Where) };
        if is_sandbox {
            return None;
        }
        let of_target = match self.target {
            None => vec![(Question::Target, false)],
            Some(TargetChoice::Execute) => vec![(Question::TargetUrl, self.target_url.is_some())],
            Some(TargetChoice::Store) => vec![
                (Question::TargetUrl, self.target_url.is_some()),
                (Question::SchemeId, self.scheme_id.is_some()),
                (Question::AppKey, self.app_key.is_some()),
            ],
            Some(TargetChoice::Postgres) => vec![
                (Question::TargetUrl, self.target_url.is_some()),
                (Question::Table, self.table.is_some()),
            ],
        };
        let of_source = [
            (Question::BaseUrl, self.base_url.is_some()),
            (Question::ClientId, self.client_id.is_some()),
            (Question::Since, self.since.is_some()),
        ];
        let all = of_source.into_iter().chain(of_target);
        all.into_iter().find_map(|(question, is_known)| (!is_known).then_some(question))
    }

    /// The flags without which nothing can be written where nobody can be asked.
    pub fn missing_flags(&self) -> Vec<&'static str> {
        match self.sandbox {
            Some(true) => return Vec::new(),
            None => return vec!["--sandbox or --client-id"],
            Some(false) => {}
        }
        let (store, postgres) = (TargetChoice::Store, TargetChoice::Postgres);
        let needed = [
            ("--client-id", true, self.client_id.is_some()),
            ("--scheme-id", self.target == Some(store), self.scheme_id.is_some()),
            ("--app-key", self.target == Some(store), self.app_key.is_some()),
            ("--target-url", self.target == Some(postgres), self.target_url.is_some()),
            ("--table", self.target == Some(postgres), self.table.is_some()),
        ];
        let missing = needed.into_iter().filter(|(_, is_needed, is_known)| *is_needed && !is_known);
        missing.map(|(flag, ..)| flag).collect()
    }

    /// What an empty answer means; `None` when there has to be one.
    pub fn usual(&self, question: &Question, since: &str) -> Option<String> {
        match question {
            Question::Where | Question::Target => Some("1".into()),
            Question::BaseUrl if self.sandbox == Some(true) => Some(SANDBOX.into()),
            Question::BaseUrl => Some(OKKI.into()),
            Question::Since => Some(since.into()),
            Question::TargetUrl => match self.target {
                None | Some(TargetChoice::Execute) => Some(EXECUTE.into()),
                Some(TargetChoice::Store) => Some(STORE.into()),
                Some(TargetChoice::Postgres) => None,
            },
            Question::ClientId | Question::SchemeId | Question::AppKey | Question::Table => None,
        }
    }

    /// Takes the answer to a question; an empty one is the usual one.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn take(&mut self, question: Question, text: &str) -> Result<(), String> {
        let usual = if question == Question::Since { None } else { self.usual(&question, "") };
        let text = match (text, &usual) {
            ("", Some(usual)) => usual.as_str(),
            // Today is not known here: it stays open, and is filled in where the files are made.
            ("", None) if question == Question::Since => {
                self.since = Some(String::new());
                return Ok(());
            }
            (text, _) => text,
        };
        let found = |expected| Err(expected_instead(text, expected));
        match question {
            Question::Where => match text {
                "1" | "sandbox" => self.sandbox = Some(true),
                "2" | "account" => self.sandbox = Some(false),
                _ => return found("1, 2"),
            },
            Question::Target => match text {
                "1" | "execute" => self.target = Some(TargetChoice::Execute),
                "2" | "store" => self.target = Some(TargetChoice::Store),
                "3" | "postgres" => self.target = Some(TargetChoice::Postgres),
                _ => return found("1, 2, 3"),
            },
            Question::BaseUrl => self.base_url = Some(address(text, &["http://", "https://"])?),
            Question::TargetUrl if self.target == Some(TargetChoice::Postgres) => {
                self.target_url = Some(address(text, &["postgres://", "postgresql://"])?);
            }
            Question::TargetUrl => self.target_url = Some(address(text, &["http://", "https://"])?),
            Question::Since if !is_time(text) => return found("2025-01-01, 2025-01-01 00:00:00"),
            Question::Since => self.since = Some(text.into()),
            Question::ClientId => self.client_id = Some(word(text)?),
            Question::SchemeId => self.scheme_id = Some(word(text)?),
            Question::AppKey => self.app_key = Some(word(text)?),
            Question::Table => self.table = Some(word(text)?),
        }
        Ok(())
    }
}

/// An address with one of these schemes. One that holds a secret is not repeated.
fn address(text: &str, schemes: &[&str]) -> Result<String, String> {
    let is_plain = !text.contains(char::is_whitespace) && !text.contains(['"', '\\']);
    if let Some(scheme) = schemes.iter().find(|scheme| text.starts_with(**scheme))
        && is_plain
        && text.len() > scheme.len()
    {
        let is_postgres = scheme.starts_with("postgres");
        let user = secrets::address::user_of(text);
        if user.is_some_and(|user| user.contains(':') || !is_postgres) {
            return Err(t!("found credentials in the address, expected it without them").into());
        }
        return Ok(text.trim_end_matches('/').to_owned());
    }
    let expected = t!("an address that begins with %{schemes}", schemes = schemes.join(", "));
    Err(expected_instead(&secrets::address::shown(text), &expected))
}

/// A text without blanks.
fn word(text: &str) -> Result<String, String> {
    let is_word = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_word { Ok(text.into()) } else { Err(expected_instead(text, &t!("a text without blanks"))) }
}

fn expected_instead(found: &str, expected: &str) -> String {
    t!("found \"%{found}\", expected %{expected}", found = found, expected = expected).into()
}

fn is_time(text: &str) -> bool {
    let date = format!("{text} 00:00:00");
    text.parse::<jiff::civil::DateTime>().is_ok() || date.parse::<jiff::civil::DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers the questions in turn until none is left.
    fn asked(mut answers: Answers, texts: &[&str]) -> (Answers, Vec<Question>) {
        let mut questions = Vec::new();
        let mut texts = texts.iter();
        while let Some(question) = answers.next() {
            questions.push(question);
            answers.take(question, texts.next().expect("an answer is left")).expect("a good answer");
        }
        assert_eq!(texts.next(), None, "every answer was asked for");
        (answers, questions)
    }

    #[test]
    fn the_sandbox_needs_one_answer() {
        let (answers, questions) = asked(Answers::default(), &[""]);
        assert_eq!((answers.sandbox, questions), (Some(true), vec![Question::Where]));
    }

    #[test]
    fn an_account_is_asked_for_what_its_target_needs() {
        let (answers, _) = asked(Answers::default(), &["2", "", "li-erp", "2025-03-01", "2", "", "S1", "K1"]);
        assert_eq!(answers.base_url.as_deref(), Some(OKKI));
        assert_eq!(answers.target_url.as_deref(), Some(STORE));
        assert_eq!((answers.scheme_id.as_deref(), answers.app_key.as_deref()), (Some("S1"), Some("K1")));
        let table = ["2", "", "li-erp", "", "3", "postgres://u@h/d", "orders"];
        let (answers, questions) = asked(Answers::default(), &table);
        assert_eq!(answers.table.as_deref(), Some("orders"));
        assert!(!questions.contains(&Question::SchemeId));
    }

    #[test]
    fn what_a_flag_says_is_not_asked() {
        let args = InitArgs {
            client_id: Some("li-erp".into()),
            target: Some(TargetChoice::Execute),
            since: Some("2025-01-01".into()),
            ..InitArgs::default()
        };
        let (_, questions) = asked(Answers::of(args).expect("sound"), &["", ""]);
        assert_eq!(questions, [Question::BaseUrl, Question::TargetUrl]);
    }

    #[test]
    fn without_a_terminal_the_missing_flags_are_named() {
        let missing = |args| Answers::of(args).expect("sound").missing_flags();
        assert_eq!(missing(InitArgs::default()), ["--sandbox or --client-id"]);
        assert_eq!(missing(InitArgs { sandbox: true, ..InitArgs::default() }), Vec::<&str>::new());
        let store = InitArgs { target: Some(TargetChoice::Store), ..InitArgs::default() };
        assert_eq!(missing(store), ["--client-id", "--scheme-id", "--app-key"]);
    }

    #[test]
    fn a_bad_answer_says_what_was_found_and_expected() {
        let mut answers = Answers { target: Some(TargetChoice::Postgres), ..Answers::default() };
        for (question, text, said) in [
            (Question::Where, "3", "found \"3\", expected 1, 2"),
            (
                Question::BaseUrl,
                "okki",
                "found \"okki\", expected an address that begins with http://, https://",
            ),
            (Question::BaseUrl, "https://me:pw@h", "found credentials in the address"),
            (Question::TargetUrl, "https://h", "expected an address that begins with postgres://"),
            (Question::TargetUrl, "postgres://u:secret@h/d", "found credentials in the address"),
            (Question::Since, "soon", "found \"soon\", expected 2025-01-01"),
            (Question::ClientId, "", "expected a text without blanks"),
        ] {
            let error = answers.take(question, text).expect_err(text);
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }
}
