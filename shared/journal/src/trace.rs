//! W3C trace context, carried in the `traceparent` header of every message so that one trace spans every stage.
//! Source of the format: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;
use std::str::FromStr;

/// A trace and the span within it that caused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// 16 bytes, not all zero.
    pub trace_id: u128,
    /// 8 bytes, not all zero.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceParent {
    /// The trace id as 32 hex digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// The text is no `traceparent`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no W3C traceparent")]
pub struct NoTraceParent;

impl FromStr for TraceParent {
    type Err = NoTraceParent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut fields = text.trim().split('-');
        let mut hex = |digits: usize| -> Result<u128, NoTraceParent> {
            let field = fields.next().filter(|field| field.len() == digits).ok_or(NoTraceParent)?;
            u128::from_str_radix(field, 16).map_err(|_| NoTraceParent)
        };
        let version = hex(2)?;
        let (trace_id, span_id, flags) = (hex(32)?, hex(16)?, hex(2)?);
        if version == 0xff || trace_id == 0 || span_id == 0 {
            return Err(NoTraceParent);
        }
        let span_id = u64::try_from(span_id).map_err(|_| NoTraceParent)?;
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(trace_id in 1_u128.., span_id in 1_u64.., sampled: bool) {
            let trace = TraceParent { trace_id, span_id, sampled };
            prop_assert_eq!(trace.to_string().parse(), Ok(trace));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<TraceParent>();
        }
    }

    #[test]
    fn the_example_of_the_standard_is_read() {
        let trace: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .expect("the standard's own example");
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(trace.sampled);
        assert!("00-00000000000000000000000000000000-00f067aa0ba902b7-01".parse::<TraceParent>().is_err());
        assert!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7".parse::<TraceParent>().is_err());
    }
}
