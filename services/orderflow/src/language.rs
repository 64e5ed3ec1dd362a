//! The language in which people are told things: English, as it stands in the sources, or Chinese, by the tables in
//! `locales`, whose keys are the English texts. What is stored, logged or printed as JSON is English always.

use std::cell::Cell;
use std::sync::OnceLock;

use clap::ValueEnum;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// 中文.
    Zh,
    /// English.
    En,
}

/// That of this process.
static CHOSEN: OnceLock<Language> = OnceLock::new();

thread_local! {
    /// That of some work in this thread, see [`within`].
    static HERE: Cell<Option<Language>> = const { Cell::new(None) };
}

/// A text for people, in their language: `t!("%{count} orders", count = 3)`. Values are one line
/// each, whoever wrote them; one of our own that has several lines says so: `t!("found %{lines}",
/// lines = text; lines)`.
macro_rules! t {
    ($text:tt, $name:ident = $value:expr; lines) => {
        rust_i18n::t!($text, $name = $value, locale = $crate::language::code())
    };
    ($text:tt $(, $name:ident = $value:expr)* $(,)?) => {
        rust_i18n::t!(
            $text $(, $name = service::escape_value(&($value).to_string()))*,
            locale = $crate::language::code()
        )
    };
}

impl Language {
    /// What a command line and an environment ask for: `--lang`, else `ORDERFLOW_LANG`, else the locale. It has to be known
    /// before the command line is read, whose help and errors it is the language of.
    pub fn asked(args: impl IntoIterator<Item = String>, env: impl Fn(&str) -> Option<String>) -> Self {
        let (mut args, mut flag) = (args.into_iter(), None);
        while let Some(arg) = args.next().filter(|arg| arg != "--") {
            match arg.strip_prefix("--lang") {
                Some("") => flag = args.next(),
                Some(value) => flag = value.strip_prefix('=').map(str::to_string).or(flag),
                None => {}
            }
        }
        let names = ["ORDERFLOW_LANG", "LC_ALL", "LC_MESSAGES", "LANG"];
        let said = flag.or_else(|| names.into_iter().filter_map(env).find(|value| !value.is_empty()));
        if said.is_some_and(|said| said.starts_with("zh")) { Self::Zh } else { Self::En }
    }
}

/// Sets the language of this process, once.
pub fn choose(language: Language) {
    let _ = CHOSEN.set(language);
}

/// The name of the language that people are told things in, here and now, as the tables have it.
pub fn code() -> &'static str {
    match HERE.get().or_else(|| CHOSEN.get().copied()) {
        Some(Language::Zh) => "zh",
        Some(Language::En) | None => "en",
    }
}

/// A text in English whatever people read: for the log, and for programs.
pub fn english<T>(text: impl FnOnce() -> T) -> T {
    within(Language::En, text)
}

/// What some work in this thread makes in a language.
pub fn within<T>(language: Language, work: impl FnOnce() -> T) -> T {
    let before = HERE.replace(Some(language));
    let made = work();
    HERE.set(before);
    made
}

/// A text in both languages, for snapshots.
#[cfg(test)]
pub fn in_both(text: impl Fn() -> String) -> String {
    format!("{}\n----\n{}", within(Language::En, &text), within(Language::Zh, &text))
}

#[cfg(test)]
mod complete;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_before_the_environment_and_that_before_the_locale() {
        let asked = |args: &[&str], env: &[(&str, &str)]| {
            let env = |name: &str| {
                env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_string())
            };
            Language::asked(args.iter().map(ToString::to_string), env)
        };
        assert_eq!(asked(&[], &[]), Language::En);
        assert_eq!(asked(&[], &[("LANG", "zh_CN.UTF-8")]), Language::Zh);
        assert_eq!(asked(&[], &[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")]), Language::En);
        assert_eq!(asked(&[], &[("LANG", "en_GB"), ("LC_ALL", ""), ("LC_MESSAGES", "zh_TW")]), Language::Zh);
        assert_eq!(asked(&[], &[("LC_ALL", "de_DE"), ("ORDERFLOW_LANG", "zh")]), Language::Zh);
        assert_eq!(asked(&["status", "--lang", "en"], &[("ORDERFLOW_LANG", "zh")]), Language::En);
        assert_eq!(asked(&["--lang=zh", "status"], &[("LANG", "C")]), Language::Zh);
        assert_eq!(asked(&["trace", "--", "--lang", "zh"], &[("ORDERFLOW_LANG", "")]), Language::En);
    }

    #[test]
    fn what_is_in_english_stays_so_within_and_not_after() {
        within(Language::Zh, || {
            assert_eq!(english(code), "en");
            assert_eq!(code(), "zh");
        });
        assert_eq!(code(), "en");
    }
}
