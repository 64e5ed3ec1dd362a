//! How the server can be told to misbehave. Everything defaults to behaving.

use serde::{Deserialize, Serialize};

/// All faults of both sides. Probabilities and shares are 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The source, OKKI's side.
    pub source: SourceFaults,
    /// The target, 轻易云's side.
    pub target: TargetFaults,
}

/// How `Retry-After` is given with a 429.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// Not at all.
    None,
    /// As a number of seconds.
    #[default]
    Seconds,
    /// As an HTTP date.
    Date,
}

/// How order ids are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdShape {
    /// As they were read, or generated (numbers).
    #[default]
    AsIs,
    /// All as numbers.
    Number,
    /// All as strings.
    String,
    /// About half of them as strings, always the same half.
    Mixed,
}

/// How the list's total is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TotalShape {
    /// As a number.
    #[default]
    Number,
    /// As a string.
    String,
    /// Not at all.
    Missing,
}

/// Under which name the list's total is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TotalField {
    /// `count`
    #[default]
    #[serde(rename = "count")]
    Count,
    /// `totalItem`
    #[serde(rename = "totalItem")]
    TotalItem,
}

/// What the list answers for a page number behind the last page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastEnd {
    /// No rows.
    #[default]
    Empty,
    /// The rows of the last page again.
    Last,
    /// Body code 400, "page out of range".
    Error,
}

/// Faults of the source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceFaults {
    /// Everything, the token endpoint too, answers 503 with an HTML page.
    pub outage: bool,
    /// Calls let through in one second, the rest answer 429; 0 is no limit.
    pub rate_limit_per_second: u32,
    /// How a 429 says when to come back.
    pub retry_after: RetryAfter,
    /// A token dies after so many uses; 0 is never.
    pub token_requests: u32,
    /// The token answer has no `expires_in`.
    pub omit_expires_in: bool,
    /// Probability of an HTTP 500 with a JSON body.
    pub error_5xx: f64,
    /// Probability of an HTTP 200 whose body carries [`soft_code`](Self::soft_code).
    pub soft_error: f64,
    /// The body code of a soft error.
    pub soft_code: i64,
    /// Probability of an HTML page with HTTP 200.
    pub html: f64,
    /// Probability of waiting [`slow_ms`](Self::slow_ms) before the work.
    pub slow: f64,
    /// Milliseconds that a slow answer waits.
    pub slow_ms: u64,
    /// Probability of no answer at all; the connection is dropped after 120 s.
    pub hang: f64,
    /// Orders edited after each page read, so that rows move between pages.
    pub moving_rows: u64,
    /// Share of the orders that lists do not show until [`late_seconds`](Self::late_seconds) have passed.
    pub late_rows: f64,
    /// Seconds from the start of the server until late rows show.
    pub late_seconds: u64,
    /// How order ids are written.
    pub ids: IdShape,
    /// How the total is written.
    pub total: TotalShape,
    /// Under which name the total is written.
    pub total_field: TotalField,
    /// The body code of a success; `null` omits it.
    pub success_code: Option<i64>,
    /// Share of the orders with `[]` where an object belongs.
    pub php_empties: f64,
    /// Probability of an answer cut off halfway through its JSON.
    pub truncate: f64,
    /// Added to the list's total.
    pub total_lies: i64,
    /// Milliseconds that every call of the list or the detail takes at least.
    pub latency_ms: u64,
    /// Orders that appear after each page read with a create and update time in the past: somewhere between the
    /// earliest and the latest update time of the live orders in the window that was read (of all live orders when
    /// none is in it). With as many [`moving_rows`](Self::moving_rows) orders leave a window while others enter it,
    /// and its total stays.
    pub late_inserts: u64,
    /// Orders removed after each page read.
    pub removing_rows: u64,
    /// The list has no order: every request sees the rows of its window in another one.
    pub shuffle: bool,
    /// `start_index` is ignored: it is always the first page.
    pub same_page: bool,
    /// What comes for a page number behind the last page.
    pub past_end: PastEnd,
    /// `start_time` and `end_time` count as whole days, the first's 00:00:00 to the last's 23:59:59.
    pub ignore_seconds: bool,
    /// `start_time` and `end_time` are ignored.
    pub ignore_times: bool,
    /// Seconds that the source's clock is ahead of the real one (negative: behind). It shifts `now` in the envelope
    /// and the times of edits, inserts and removals; an edit is still never older than what it edits.
    pub clock_offset_seconds: i64,
    /// A number drawn anew for every answer, from 0 up to this, is added to the list's total.
    pub total_jitter: u64,
    /// Bytes of the list's body when greater than 0: the start of a JSON, then spaces, never its end.
    pub huge_bytes: u64,
    /// Probability that a detail answers body code 404 although the order is there.
    pub detail_gone: f64,
    /// The envelope has no `now`.
    pub omit_now: bool,
    /// Probability that a detail answers with another order, as a cache does that does not look at the id.
    pub other_detail: f64,
    /// Pages behind the first that reach beyond so many rows of a list are refused; 0 refuses none.
    pub most_rows: u64,
    /// The HTTP status of such a refusal; 200 refuses with body code 400.
    pub deep_status: u16,
    /// A list of deletions holds living orders as well, by their update time.
    pub removed_lists_living: bool,
}

impl Default for SourceFaults {
    fn default() -> Self {
        Self {
            outage: false,
            rate_limit_per_second: 0,
            retry_after: RetryAfter::default(),
            token_requests: 0,
            omit_expires_in: false,
            error_5xx: 0.0,
            soft_error: 0.0,
            soft_code: 500,
            html: 0.0,
            slow: 0.0,
            slow_ms: 1000,
            hang: 0.0,
            moving_rows: 0,
            late_rows: 0.0,
            late_seconds: 0,
            ids: IdShape::default(),
            total: TotalShape::default(),
            total_field: TotalField::default(),
            success_code: Some(200),
            php_empties: 0.0,
            truncate: 0.0,
            total_lies: 0,
            latency_ms: 0,
            late_inserts: 0,
            removing_rows: 0,
            shuffle: false,
            same_page: false,
            past_end: PastEnd::default(),
            ignore_seconds: false,
            ignore_times: false,
            clock_offset_seconds: 0,
            total_jitter: 0,
            huge_bytes: 0,
            detail_gone: 0.0,
            omit_now: false,
            other_detail: 0.0,
            most_rows: 0,
            deep_status: 200,
            removed_lists_living: false,
        }
    }
}

/// Faults of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetFaults {
    /// Everything, the token endpoint too, answers 503 with an HTML page.
    pub outage: bool,
    /// Calls let through in one minute, the rest answer 429; 0 is no limit.
    pub rate_limit_per_minute: u32,
    /// How a 429 says when to come back.
    pub retry_after: RetryAfter,
    /// Seconds of 429 for everything once the limit was exceeded; 0 lasts to the end of the minute.
    pub penalty_seconds: u64,
    /// A token dies after so many uses; 0 is never.
    pub token_requests: u32,
    /// Probability of an HTTP 500 with a JSON body.
    pub error_5xx: f64,
    /// Probability of an HTTP 200 with `success: false` and code 50001, and nothing done.
    pub soft_error: f64,
    /// Probability that the work is done and the connection then dropped without an answer.
    pub lost_answer: f64,
    /// Probability of waiting [`slow_ms`](Self::slow_ms) before the work.
    pub slow: f64,
    /// Milliseconds that a slow answer waits.
    pub slow_ms: u64,
    /// Probability of no answer at all, and nothing done; the connection is dropped after 120 s.
    pub hang: f64,
    /// Probability of an HTML page with HTTP 200, and nothing done.
    pub html: f64,
    /// Idempotency keys are ignored: a repeated call is applied again.
    pub ignore_idempotency: bool,
    /// Idempotency keys stand for requests and not for orders: what was answered first under a key is answered to every
    /// later call with it, whatever its body, and nothing is done.
    pub answer_by_key: bool,
    /// Ids of orders refused for a business reason (code 40002).
    pub refuse: Vec<String>,
    /// Share of the orders refused for a business reason, always the same ones.
    pub refuse_share: f64,
    /// For how many different reasons orders are refused, up to three; an order always for the same one.
    pub refuse_reasons: u64,
    /// Milliseconds that every call takes at least.
    pub latency_ms: u64,
}

impl Default for TargetFaults {
    fn default() -> Self {
        Self {
            outage: false,
            rate_limit_per_minute: 0,
            retry_after: RetryAfter::default(),
            penalty_seconds: 0,
            token_requests: 0,
            error_5xx: 0.0,
            soft_error: 0.0,
            lost_answer: 0.0,
            slow: 0.0,
            slow_ms: 1000,
            hang: 0.0,
            html: 0.0,
            ignore_idempotency: false,
            answer_by_key: false,
            refuse: Vec::new(),
            refuse_share: 0.0,
            refuse_reasons: 1,
            latency_ms: 0,
        }
    }
}

impl Faults {
    /// Names the first probability or share that is not within 0 to 1.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (source, target) = (&self.source, &self.target);
        let all = [
            ("source.error_5xx", source.error_5xx),
            ("source.soft_error", source.soft_error),
            ("source.html", source.html),
            ("source.slow", source.slow),
            ("source.hang", source.hang),
            ("source.late_rows", source.late_rows),
            ("source.php_empties", source.php_empties),
            ("source.truncate", source.truncate),
            ("source.detail_gone", source.detail_gone),
            ("source.other_detail", source.other_detail),
            ("target.error_5xx", target.error_5xx),
            ("target.soft_error", target.soft_error),
            ("target.lost_answer", target.lost_answer),
            ("target.slow", target.slow),
            ("target.hang", target.hang),
            ("target.html", target.html),
            ("target.refuse_share", target.refuse_share),
        ];
        match all.iter().find(|(_, value)| !(0.0..=1.0).contains(value)) {
            Some((name, value)) => Err(format!("{name} is {value}; it must be between 0 and 1")),
            None => Ok(()),
        }
    }
}
