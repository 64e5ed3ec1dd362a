//! The one table that decides what an answer of the target means. The body decides; HTTP 200 alone proves nothing.

use http::foreign::Code;
use http::{Answer, Class, HttpError};

use crate::statement::{Saying, Statement, Tally};

/// What the target did with the orders of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took it.
    Written,
    /// It has this key already and keeps what it had (`idCheck`).
    Repeat,
}

/// Who has answered a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The target itself: the body has its success or its code.
    Target,
    /// Something in front of it: a proxy or a firewall. The target has not seen the orders.
    Front,
    /// Nobody knows: the orders may have been taken.
    Unknown,
}

/// Why an order was not written, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that says no.
    #[error("the target answered HTTP {status}, {ours}{theirs}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// What the body said, in our words.
        ours: String,
        /// What the body said, in its own: it may name a person.
        theirs: String,
        /// The start of the body.
        excerpt: String,
        /// What it means.
        class: Class,
        /// Who has answered, as far as the body tells.
        from: Speaker,
    },
    /// Some orders of the batch were refused, and the answer does not say which.
    #[error("the target answered HTTP {status}: {failed} of {rows} orders failed: {theirs}")]
    Partly {
        /// HTTP status.
        status: u16,
        /// How many were refused.
        failed: u64,
        /// How many were sent.
        rows: usize,
        /// What the body said, in its own words: it may name a person.
        theirs: String,
        /// The start of the body.
        excerpt: String,
    },
    /// An answer that counts more orders than were sent, and failures: it was given to another request before.
    #[error("the target answered HTTP {status} about {counted} orders to a request of {rows}")]
    Another {
        /// HTTP status.
        status: u16,
        /// How many it counts.
        counted: u64,
        /// How many were sent.
        rows: usize,
        /// The start of the body.
        excerpt: String,
    },
}

impl WriteError {
    /// What it means for the order.
    pub fn class(&self) -> Class {
        match self {
            Self::Http(error) => error.class(),
            Self::Answer { class, .. } => *class,
            Self::Partly { .. } => Class::Permanent,
            Self::Another { .. } => Class::Refusing,
        }
    }

    /// Whether the answer may be about one order, although it reads as if it were about all: a firewall refuses the text of
    /// an order with 403 or with a web page, and lets others pass. What the target says of our credentials, and a server
    /// in trouble, are about all.
    pub fn may_be_about_an_order(&self) -> bool {
        match self {
            Self::Answer { status, class: Class::Outage | Class::Credentials, from, .. } => match from {
                Speaker::Target => false,
                Speaker::Front => *status < 500 && !matches!(status, 401 | 407),
                Speaker::Unknown => true,
            },
            _ => false,
        }
    }

    /// The same for a call that carried no orders.
    pub(crate) fn about_everything(self) -> Self {
        match self {
            Self::Answer { status, ours, theirs, excerpt, class, .. } => {
                Self::Answer { status, ours, theirs, excerpt, class, from: Speaker::Target }
            }
            other => other,
        }
    }

    /// Whether the orders may have been taken although the answer does not say so.
    pub fn may_be_done(&self) -> bool {
        self.class() == Class::Uncertain || matches!(self, Self::Answer { from: Speaker::Unknown, .. })
    }

    /// The part of the message that the target wrote, which may name a person.
    pub fn theirs(&self) -> Option<&str> {
        match self {
            Self::Answer { theirs, .. } | Self::Partly { theirs, .. } => Some(theirs),
            Self::Http(_) | Self::Another { .. } => None,
        }
    }

    /// Status and excerpt, when there was an answer.
    pub fn answer(&self) -> Option<(u16, &str)> {
        match self {
            Self::Http(_) => None,
            Self::Answer { status, excerpt, .. }
            | Self::Partly { status, excerpt, .. }
            | Self::Another { status, excerpt, .. } => Some((*status, excerpt)),
        }
    }
}

/// Decides what the answer to a request with `rows` orders means. With `trust_status`, HTTP 2xx with a body that is no JSON
/// object is success, as the case has it; without, only a body that says so is.
///
/// # Errors
/// [`WriteError`]; its class says what to do.
pub fn judge(answer: &Answer, trust_status: bool, rows: usize) -> Result<Verdict, WriteError> {
    // The words of a refusal may be in another charset; its fields can be read all the same.
    let body = String::from_utf8_lossy(&answer.body);
    let Some(statement) = Statement::read(body.as_bytes()) else {
        return judge_status(answer, trust_status);
    };
    // Of a batch it says only that some order is there already, not which.
    let is_repeat = rows == 1 && statement.says_repeat;
    match judge_envelope(answer, &statement) {
        Err(WriteError::Answer { .. }) if is_repeat && statement.saying() == Saying::No => {
            return Ok(Verdict::Repeat);
        }
        judged => judged?,
    }
    let status = answer.status;
    match statement.tally(rows) {
        Tally::NoFailures => Ok(Verdict::Written),
        Tally::Unclear(why) => Err(unclear(answer, &why)),
        // Without failures it may count what it likes: lines, for example.
        Tally::Failures { failed, inserted } if failed.saturating_add(inserted) > rows as u64 => {
            let counted = failed.saturating_add(inserted);
            Err(WriteError::Another { status, counted, rows, excerpt: answer.excerpt() })
        }
        Tally::Failures { .. } if is_repeat => Ok(Verdict::Repeat),
        Tally::Failures { .. } if rows == 1 => {
            let ours = "success, but failed > 0: ".into();
            Err(refused(answer, Class::Permanent, Speaker::Target, ours, statement.message))
        }
        Tally::Failures { failed, .. } => {
            let excerpt = answer.excerpt();
            Err(WriteError::Partly { status, failed, rows, theirs: statement.message, excerpt })
        }
    }
}

/// Decides what an answer means that carries no orders' fate: a token, or what the target holds.
///
/// # Errors
/// [`WriteError`]; its class says what to do.
pub(crate) fn judge_call(answer: &Answer) -> Result<(), WriteError> {
    let body = String::from_utf8_lossy(&answer.body);
    match Statement::read(body.as_bytes()) {
        Some(statement) => judge_envelope(answer, &statement),
        None => judge_status(answer, false).map(drop),
    }
}

/// As [`judge_call`], of an answer that may hold an access token: nothing of it is repeated.
///
/// # Errors
/// [`WriteError`]; its class says what to do.
pub(crate) fn judge_token(answer: &Answer) -> Result<(), WriteError> {
    let Err(error) = judge_call(answer) else { return Ok(()) };
    let body = String::from_utf8_lossy(&answer.body);
    let code = match Statement::read(body.as_bytes()).map(|statement| statement.code) {
        Some(code @ Code::Number(_)) => format!("{code}, "),
        _ => String::new(),
    };
    Err(without_words(answer, error.class(), code))
}

/// An answer without the access token that was asked for.
pub(crate) fn no_token(answer: &Answer) -> WriteError {
    without_words(answer, Class::Outage, "without content.access_token, ".into())
}

fn without_words(answer: &Answer, class: Class, what: String) -> WriteError {
    let outline = answer.outline();
    let ours = format!(
        "{what}to the request for an access token ({outline}); its text is not shown, for it may hold a token"
    );
    WriteError::Answer {
        status: answer.status,
        ours,
        theirs: String::new(),
        excerpt: String::new(),
        class,
        from: Speaker::Target,
    }
}

/// Judges success and code of an answer, and then its status.
fn judge_envelope(answer: &Answer, statement: &Statement<'_>) -> Result<(), WriteError> {
    let of_status = Class::of_status(answer.status, answer.retry_after);
    match (statement.saying(), of_status) {
        (Saying::No, _) => {
            let of_code = class_of_code(&statement.code, answer);
            let class = of_code.or(of_status).unwrap_or(Class::Refusing);
            let ours = format!("{}: ", statement.code);
            Err(refused(answer, class, Speaker::Target, ours, statement.message.clone()))
        }
        (_, Some(_)) => judge_status(answer, false).map(drop),
        (Saying::Unclear(why), None) => Err(unclear(answer, &why)),
        (Saying::Yes, None) => Ok(()),
    }
}

/// Judges an answer by its status, for its body says nothing.
fn judge_status(answer: &Answer, trust_status: bool) -> Result<Verdict, WriteError> {
    if let Some(class) = Class::of_status(answer.status, answer.retry_after) {
        let is_of_size = matches!(answer.status, 413 | 414 | 431);
        // A proxy's page says nothing of an order, whatever its status, unless it is about the size of the request.
        let is_proxy = class == Class::Permanent && answer.is_html() && !is_of_size;
        let class = if is_proxy { Class::Outage } else { class };
        return Err(refused(answer, class, Speaker::Front, String::new(), answer.said()));
    }
    // A web page with status 200 is a login form or a proxy's notice, whatever one is willing to trust.
    if answer.is_html() {
        let ours = "which neither confirms nor refuses (it is a web page): ".into();
        return Err(refused(answer, Class::Outage, Speaker::Front, ours, quoted(answer)));
    }
    if matches!(answer.body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Err(unclear(answer, "it begins like JSON and cannot be read as an object"));
    }
    if trust_status {
        return Ok(Verdict::Written);
    }
    let advice =
        "it is no JSON object; if HTTP 2xx alone means that an order was taken, set trust_status = true";
    Err(unclear(answer, advice))
}

fn refused(answer: &Answer, class: Class, from: Speaker, ours: String, theirs: String) -> WriteError {
    WriteError::Answer { status: answer.status, ours, theirs, excerpt: answer.excerpt(), class, from }
}

/// Nobody knows what became of the orders: they wait, and go out again under the same key.
fn unclear(answer: &Answer, why: &str) -> WriteError {
    let ours = format!("which neither confirms nor refuses ({why}): ");
    refused(answer, Class::Outage, Speaker::Unknown, ours, quoted(answer))
}

fn quoted(answer: &Answer) -> String {
    format!("{:?}", answer.excerpt())
}

/// The documented codes (contract of the `store` form; the `execute` form has shown the same ones). One of three digits
/// means what the same HTTP status means.
fn class_of_code(code: &Code, answer: &Answer) -> Option<Class> {
    let Code::Number(code) = *code else { return None };
    match code {
        300..=599 => Class::of_status(u16::try_from(code).ok()?, answer.retry_after),
        40_101..=40_199 | 40_301..=40_399 => Some(Class::Credentials),
        // No such scheme: configuration. Not one order is at fault.
        40_401..=40_499 => Some(Class::Outage),
        40_901..=40_999 => Some(Class::Retryable),
        42_901..=42_999 => Some(Class::Throttled(answer.retry_after)),
        40_001..=40_099 => Some(Class::Permanent),
        50_200..=50_399 => Some(Class::Outage),
        50_001..=50_199 => Some(Class::Retryable),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
