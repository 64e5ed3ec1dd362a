//! The count of what both sides saw, taken at one moment.

use std::fmt;

use serde::Serialize;

/// What both sides saw. Requests, retries, refusals and limits count from the start of the process; orders, edits and
/// what the accepted rows tell also include what the data directory kept from earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The source.
    pub source: SourceReport,
    /// The target.
    pub target: TargetReport,
}

/// What the source saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// Orders that were ever there.
    pub orders: u64,
    /// Orders that are there.
    pub live: u64,
    /// Orders that were deleted.
    pub removed: u64,
    /// Calls of the order list, answered well or not.
    pub list_requests: u64,
    /// The most of them that were under way at the same time.
    pub most_lists_at_once: u64,
    /// Calls of the order detail, answered well or not.
    pub info_requests: u64,
    /// Calls for a token, answered well or not.
    pub token_requests: u64,
    /// Calls answered 429.
    pub rate_limited: u64,
    /// Edits of orders, silent ones among them.
    pub edits: u64,
}

/// What the target saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TargetReport {
    /// Write calls, answered well or not.
    pub requests: u64,
    /// Rows applied: first writes, overwrites and duplicates.
    pub accepted_rows: u64,
    /// Orders held.
    pub distinct_orders: u64,
    /// Live orders of the source that are not held.
    pub missing: u64,
    /// Orders held that the source never had.
    pub extra: u64,
    /// Rows applied whose order had the very same content written before, under another idempotency key or none; and
    /// deletion records of orders whose newest version was one already.
    pub duplicates: u64,
    /// Rows whose idempotency key had written the order before; answered again, not applied.
    pub retried_same_key: u64,
    /// Rows refused by `idCheck`, because the order was there.
    pub repeats_refused: u64,
    /// Rows applied over a version with a newer update time; deletion records never count.
    pub stale_overwrites: u64,
    /// Live orders held whose newest written version is not the source's current one, or is a deletion record.
    pub outdated: u64,
    /// Distinct orders for which a deletion record (`"deleted": true`, 1 or "1") was applied.
    pub deletions: u64,
    /// Orders deleted at the source and held, whose newest written version is no deletion record. A row older than the
    /// deletion record it is applied over counts as a stale overwrite, not here.
    pub undeleted: u64,
    /// Rows applied whose total is not the exact total of their revision at the source.
    pub wrong_totals: u64,
    /// Rows applied without a total, deletion records apart.
    pub missing_totals: u64,
    /// Rows refused for a business reason, or because they had no order id.
    pub refused_rows: u64,
    /// Calls answered 429.
    pub rate_limited: u64,
    /// Calls whose work was done and whose answer was withheld.
    pub lost_answers: u64,
    /// Orders of a call that another call was working on at that moment. Only calls that take time are looked at, those
    /// that wait `latency_ms` or may wait `slow_ms`; one that hangs does nothing.
    pub overlapping_requests: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = &self.source;
        let target = &self.target;
        let rows: [(&str, &[(&str, u64)]); 2] = [
            (
                "source",
                &[
                    ("orders", source.orders),
                    ("live", source.live),
                    ("removed", source.removed),
                    ("list requests", source.list_requests),
                    ("most lists at once", source.most_lists_at_once),
                    ("info requests", source.info_requests),
                    ("token requests", source.token_requests),
                    ("rate limited", source.rate_limited),
                    ("edits", source.edits),
                ],
            ),
            (
                "target",
                &[
                    ("requests", target.requests),
                    ("accepted rows", target.accepted_rows),
                    ("distinct orders", target.distinct_orders),
                    ("missing", target.missing),
                    ("extra", target.extra),
                    ("duplicates", target.duplicates),
                    ("retried same key", target.retried_same_key),
                    ("repeats refused", target.repeats_refused),
                    ("stale overwrites", target.stale_overwrites),
                    ("outdated", target.outdated),
                    ("deletions", target.deletions),
                    ("undeleted", target.undeleted),
                    ("wrong totals", target.wrong_totals),
                    ("missing totals", target.missing_totals),
                    ("refused rows", target.refused_rows),
                    ("rate limited", target.rate_limited),
                    ("lost answers", target.lost_answers),
                    ("overlapping", target.overlapping_requests),
                ],
            ),
        ];
        for (side, counts) in rows {
            writeln!(f, "{side}")?;
            for (name, count) in counts {
                writeln!(f, "  {name:<18}{count:>12}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned() {
        let mut report = Report::default();
        report.source.orders = 1_000_000;
        report.target.missing = 7;
        insta::assert_snapshot!(report.to_string());
    }
}
