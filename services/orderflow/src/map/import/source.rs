//! The source end as `[source]` and `[source.request]` of orderflow.toml.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use okki::{Moment, expand};

use super::fields::described;
use super::mapping::Names;
use super::metadata::{Entry, Metadata};
use super::object::Literal;
use super::report::{Report, advice_for, is_secret, shown};
use super::template::{Piece, pieces};
use super::toml_text::{comment, key, string};

/// What orderflow.toml has when nothing is said; see its `[source.request]`.
const TIMES: [(&str, &str); 2] =
    [("start_time", "{{LAST_SYNC_TIME|datetime}}"), ("end_time", "{{CURRENT_TIME|datetime}}")];
const PAGE_SIZE: u32 = 100;

/// Parameters that orderflow would send by default. A scheme without them does not send them.
const NOT_BY_DEFAULT: [&str; 2] = ["removed", "approval"];

/// The part of orderflow.toml that says where orders come from.
pub(super) fn source(metadata: Option<&Metadata>, names: &Names, report: &mut Report) -> String {
    let mut out = String::from("\n[source]\nkind = \"okki\"\n");
    out.push_str("# base_url = \"https://api-sandbox.xiaoman.cn\"    # where OKKI is; this is the address it publishes\n");
    out.push_str("# client_id = \"...\"             # its secret: ORDERFLOW_SOURCE__CLIENT_SECRET, or client_secret_file\n");
    if let Some(metadata) = metadata {
        out.push_str(&call(metadata, report));
    }
    out.push_str(&format!("number = {}\nid = {}\n", string(&names.number), string(&names.key)));
    if let Some(metadata) = metadata {
        out.push_str("\n[source.request]\n");
        let mut request = Request { metadata, report, out, seen: Vec::new() };
        request.write();
        out = request.out;
    }
    out
}

fn call(metadata: &Metadata, report: &mut Report) -> String {
    let mut out = String::new();
    match &metadata.api {
        Some(api) => {
            if !api.starts_with("/v1/invoices/order/") {
                let advice = "orderflow reads OKKI's list of orders, /v1/invoices/order/list; set source.api";
                report.lose(format!("{}, `api`", metadata.file), shown("api", api), advice);
            }
            out.push_str(&format!("api = {}\n", string(api)));
        }
        None => report.note(format!("{} names no `api`: OKKI's list of orders is assumed", metadata.file)),
    }
    match metadata.method.as_deref().map(str::to_ascii_uppercase) {
        Some(method) if method == "GET" || method == "POST" => {
            out.push_str(&format!("method = \"{method}\"\n"))
        }
        Some(method) => {
            let place = format!("{}, `method`", metadata.file);
            report.lose(place, shown("method", &method), "GET is used; set source.method to GET or POST");
        }
        None => {}
    }
    if metadata.id_check == Some(true) {
        report.note(format!(
            "{}: idCheck of a source has no key here; an order that has not changed is not sent again, and one that has \
             changed is",
            metadata.file
        ));
    }
    out
}

struct Request<'r> {
    metadata: &'r Metadata,
    report: &'r mut Report,
    out: String,
    /// Parameters that are written.
    seen: Vec<&'r str>,
}

impl<'r> Request<'r> {
    fn write(&mut self) {
        for entry in &self.metadata.request {
            let name = entry.field.as_str();
            if self.seen.contains(&name) {
                self.lose(entry, "a second parameter of this name", "keep the one that is meant");
                continue;
            }
            self.unknown_keys(entry);
            match name {
                "start_index" => self.start_index(entry),
                "count" => self.count(Some(entry)),
                _ => self.parameter(entry),
            }
        }
        for (name, default) in TIMES {
            if !self.seen.contains(&name) {
                self.report.note(format!("source.request.{name} = {default:?} is assumed"));
                self.put(name, &string(default), "assumed");
            }
        }
        if !self.seen.contains(&"start_index") {
            self.put("start_index", "1", "the page number, which orderflow counts");
        }
        if !self.seen.contains(&"count") {
            self.count(None);
        }
        for name in NOT_BY_DEFAULT {
            if !self.seen.contains(&name) {
                self.put(name, "\"\"", "not sent; without this line, orderflow's default would be");
            }
        }
    }

    fn put(&mut self, name: &'r str, toml: &str, remark: &str) {
        let line = format!("{} = {toml}", key(name));
        let remark = comment(&remark.replace(['\n', '\r'], " "));
        match remark.trim_end() {
            "" => self.out.push_str(&format!("{line}\n")),
            remark => self.out.push_str(&format!("{line:<48} {remark}\n")),
        }
        self.seen.push(name);
    }

    fn lose(&mut self, entry: &Entry, found: &str, advice: &str) {
        self.report.lose(format!("{}, parameter {:?}", self.metadata.file, entry.field), found, advice);
        self.out.push_str(&comment(&format!("not carried over: {}: found {found}\n{advice}", entry.field)));
    }

    fn unknown_keys(&mut self, entry: &Entry) {
        let below = !entry.children.is_empty() || entry.parent.is_some();
        for (name, value) in &entry.unknown {
            let place = format!("{}, parameter {:?}, `{name}`", self.metadata.file, entry.field);
            self.report.lose(place, shown(name, value.text()), advice_for(name));
        }
        if below {
            let place = format!("{}, parameter {:?}", self.metadata.file, entry.field);
            self.report.lose(place, "a parameter within another", "a request of orderflow is flat");
        }
    }

    /// The page number: orderflow counts it, whatever stands here.
    fn start_index(&mut self, entry: &'r Entry) {
        if let Some(Literal::Number(text) | Literal::Text(text)) = &entry.value
            && !matches!(text.trim(), "" | "1")
            && !text.contains("PAGINATION_START_PAGE")
        {
            self.report
                .note(format!("start_index: found {}; orderflow counts pages from 1", shown("", text)));
        }
        self.put(&entry.field, "1", &said(entry, "the page number, which orderflow counts"));
    }

    /// The page size: the parameter, where it is a number, else that of the pagination.
    fn count(&mut self, entry: Option<&'r Entry>) {
        let size = |text: &str| text.trim().parse::<u32>().ok().filter(|size| (1..=10_000).contains(size));
        let given = entry.and_then(|entry| entry.value.as_ref()).filter(|value| !value.is_empty());
        let of_pagination = self.metadata.page_size.as_deref();
        let own = given.and_then(|value| size(value.text()));
        let named = given.is_some_and(|value| value.text().contains("PAGINATION_PAGE_SIZE"));
        if let (Some(entry), Some(value), None, false) = (entry, given, own, named) {
            self.lose(
                entry,
                &shown("count", value.text()),
                "set source.request.count, 1 to 10000 rows a page",
            );
        }
        if let (Some(own), Some(other)) =
            (own, of_pagination.and_then(size).filter(|other| Some(*other) != own))
        {
            self.report.note(format!(
                "rows a page: count is {own} and pageSize {other}; count is what was sent, and is used"
            ));
        }
        if let (Some(text), None) = (of_pagination, of_pagination.and_then(size)) {
            let place = format!("{}, `pagination.pageSize`", self.metadata.file);
            self.report.lose(place, shown("", text), "set source.request.count, 1 to 10000 rows a page");
        }
        let found = own.or(of_pagination.and_then(size));
        if found.is_none() {
            self.report
                .note(format!("source.request.count = {PAGE_SIZE} is assumed; the metadata does not say"));
        }
        let remark = entry.map(|entry| said(entry, "")).unwrap_or_default();
        self.put("count", &found.unwrap_or(PAGE_SIZE).to_string(), &remark);
    }

    fn parameter(&mut self, entry: &'r Entry) {
        let is_time = TIMES.iter().any(|(name, _)| *name == entry.field);
        let Some(value) = entry.value.as_ref().filter(|value| !value.is_empty()) else {
            if !is_time && entry.children.is_empty() {
                self.put(&entry.field, "\"\"", &said(entry, "not sent"));
            }
            return;
        };
        if is_secret(&entry.field, value) {
            let advice = "secrets do not belong in orderflow.toml; OKKI takes client_id and client_secret, see [source]";
            return self.lose(entry, &shown("secret", value.text()), advice);
        }
        match carried(value) {
            Ok(_) if is_time && !value.text().contains("{") => {
                let advice =
                    "orderflow moves its windows on by itself; set schedule.since to begin at a given time";
                self.lose(entry, &shown("", value.text()), advice);
            }
            Ok(toml) => {
                if entry.field == "start_time" && !value.text().contains("LAST_SYNC_TIME") {
                    self.report.note(
                        "start_time does not go by LAST_SYNC_TIME: each window asks for the same past again; usually \
                         {{LAST_SYNC_TIME|datetime}} and a [[schedule.sweep]] are what is wanted",
                    );
                }
                self.put(&entry.field, &toml, &said(entry, ""));
            }
            Err(advice) => self.lose(entry, &shown(&entry.field, value.text()), &advice),
        }
    }
}

/// A parameter's value as TOML, when orderflow reads it the way the platform does.
fn carried(value: &Literal) -> Result<String, String> {
    let text = match value {
        Literal::Flag(flag) => return Ok(flag.to_string()),
        // A number that TOML would round is sent as the text it is.
        Literal::Number(text) if text.parse::<i64>().is_ok() => return Ok(text.clone()),
        Literal::Number(text) => return Ok(string(text)),
        Literal::Other(_) => return Err("a parameter is a text or a number".into()),
        Literal::Text(text) => text,
    };
    if text.trim_start().starts_with('_') {
        return Err("functions are not carried over; give the parameter as a constant".into());
    }
    let mut template = String::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => template.push_str(&text),
            Piece::Variable(name) if name.starts_with("PAGINATION_") => {
                return Err("orderflow pages by start_index and count only".into());
            }
            Piece::Variable(inner) | Piece::Other(inner) => template.push_str(&format!("{{{{{inner}}}}}")),
            Piece::Path { path, filter } => {
                let filter = filter.map(|filter| format!("|{filter}")).unwrap_or_default();
                template.push_str(&format!("{{{{{path}{filter}}}}}"));
            }
        }
    }
    let moment = Moment { since: Timestamp::UNIX_EPOCH, until: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
    expand(&template, &moment)?;
    Ok(string(&template))
}

fn said(entry: &Entry, otherwise: &str) -> String {
    Some(described(entry)).filter(|text| !text.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}
