//! What is left of a message when that which differs from order to order is taken out of it.
//!
//! Fingerprints are made of this and compared for as long as there are letters, so it must never say anything else: only
//! ASCII is classified, for what Unicode calls a letter changes with its versions. A rule that is changed splits groups.

/// What stands for a number, a key, an id, a date.
const MARK: char = '#';

/// Of longer messages only the beginning is read, in characters.
const READ: usize = 2_000;

/// The longest pattern, in characters.
const LONGEST: usize = 200;

/// Letters from here on, all hexadecimal, are a hash and no word.
const HASH: usize = 8;

/// Shorter keys may be words of the message; those that have a digit are found as what they are.
const SHORTEST_OWN: usize = 3;

/// Quotation marks that open, and what closes them.
const PAIRS: [(char, char); 5] = [('“', '”'), ('‘', '’'), ('「', '」'), ('『', '』'), ('【', '】')];

/// The message without numbers, ids, dates, quoted values and the order's `own` key and number. What stands in backticks
/// is a name of the mapping, and stays.
pub fn pattern(message: &str, own: &[&str]) -> String {
    let text: Vec<char> = message.chars().take(READ).map(plain).collect();
    let own: Vec<Vec<char>> = own.iter().map(|own| own.chars().map(plain).collect()).collect();
    let mut reading = Reading { text: &text, own: &own, at: 0, out: String::new() };
    while reading.at < text.len() {
        reading.step();
    }
    let out = reading.out.trim_end();
    match out.chars().nth(LONGEST) {
        None => out.to_string(),
        Some(_) => out.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}

/// Digits as ASCII, all blanks as one.
fn plain(c: char) -> char {
    match c {
        '０'..='９' => char::from_digit(c as u32 - '０' as u32, 10).unwrap_or(c),
        '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{a0}' | '\u{3000}' => ' ',
        _ => c,
    }
}

struct Reading<'a> {
    text: &'a [char],
    own: &'a [Vec<char>],
    at: usize,
    out: String,
}

impl Reading<'_> {
    fn step(&mut self) {
        let c = self.text[self.at];
        if let Some(end) = self.own_at(self.at).or_else(|| self.id_at(self.at)) {
            self.mark(end);
        } else if let Some(end) = self.value_at(self.at) {
            self.at = end;
            self.out.extend([c, '…', closes(c)]);
        } else if c == ' ' {
            self.at += 1;
            if !self.out.is_empty() && !self.out.ends_with(' ') {
                self.out.push(' ');
            }
        } else if c.is_ascii_alphanumeric() {
            let end = self.word_end(self.at);
            self.copy(end);
            self.host();
        } else {
            self.copy(self.at + 1);
        }
    }

    fn char(&self, at: usize) -> Option<char> {
        self.text.get(at).copied()
    }

    fn copy(&mut self, end: usize) {
        self.out.extend(&self.text[self.at..end]);
        self.at = end;
    }

    /// Copies the host behind `scheme:`; its port and path are read like anything else.
    fn host(&mut self) {
        if self.text[self.at..].starts_with(&[':', '/', '/']) {
            let ends = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
            let host = self.at + 3;
            let length = self.text[host..].iter().position(ends).unwrap_or(self.text.len() - host);
            self.copy(host + length);
        }
    }

    /// One mark for what ends here and for all that hangs on it: the rest of a number, a date, a list.
    fn mark(&mut self, mut end: usize) {
        loop {
            let joined = match self.char(end) {
                Some('.' | ',' | ':' | '/' | '+' | '-' | '%') => self.id_at(end + 1),
                _ => None,
            };
            let listed =
                || (self.text[end..].starts_with(&[',', ' '])).then(|| self.id_at(end + 2)).flatten();
            let time = || (self.is_date(end) && self.is_time(end + 1)).then(|| self.id_at(end + 1)).flatten();
            match joined.or_else(listed).or_else(time) {
                Some(further) => end = further,
                None => break,
            }
        }
        self.at = end;
        if !self.out.ends_with(MARK) {
            self.out.push(MARK);
        }
    }

    /// The end of the order's own key or number that stands here by itself.
    fn own_at(&self, at: usize) -> Option<usize> {
        let touches = |own: Option<&char>, beside: Option<char>| {
            own.is_some_and(char::is_ascii_alphanumeric)
                && beside.is_some_and(|beside| beside.is_ascii_alphanumeric())
        };
        let stands = |own: &&Vec<char>| {
            own.len() >= SHORTEST_OWN
                && self.text[at..].starts_with(own)
                && !touches(own.first(), at.checked_sub(1).and_then(|before| self.char(before)))
                && !touches(own.last(), self.char(at + own.len()))
        };
        self.own.iter().filter(stands).map(|own| at + own.len()).max()
    }

    /// The end of a number or an id: a word that has a digit, or that is a hash.
    fn id_at(&self, at: usize) -> Option<usize> {
        let signed = matches!(self.char(at), Some('-' | '+'))
            && self.char(at + 1).is_some_and(|next| next.is_ascii_digit());
        let begin = at + usize::from(signed);
        let end = self.word_end(begin);
        let word = &self.text[begin..end];
        let hash = word.len() >= HASH && word.iter().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '-'));
        (word.iter().any(char::is_ascii_digit) || hash).then_some(end)
    }

    /// The end of letters and digits, and of `-` and `_` between them.
    fn word_end(&self, at: usize) -> usize {
        let is_word = |at: usize| self.char(at).is_some_and(|c| c.is_ascii_alphanumeric());
        let mut end = at.min(self.text.len());
        while is_word(end)
            || (end > at && matches!(self.char(end), Some('-' | '_')) && is_word(end - 1) && is_word(end + 1))
        {
            end += 1;
        }
        end
    }

    /// Whether `0000-00-00` or `0000/00/00` ends here.
    fn is_date(&self, end: usize) -> bool {
        let shape = |at: usize, c: char| match at {
            4 | 7 => matches!(c, '-' | '/'),
            _ => c.is_ascii_digit(),
        };
        end.checked_sub(10).is_some_and(|from| (from..end).zip(0..).all(|(at, n)| shape(n, self.text[at])))
    }

    /// Whether `00:00` begins here.
    fn is_time(&self, at: usize) -> bool {
        let digit = |at: usize| self.char(at).is_some_and(|c| c.is_ascii_digit());
        self.char(at - 1) == Some(' ')
            && digit(at)
            && digit(at + 1)
            && self.char(at + 2) == Some(':')
            && digit(at + 3)
    }

    /// The end of a quoted value, or of an object or a list in JSON; a list of numbers is read as such. What was cut off
    /// ends with its `…`, or the message.
    fn value_at(&self, at: usize) -> Option<usize> {
        let open = self.text[at];
        let beside = |at: Option<usize>| {
            at.and_then(|at| self.char(at)).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ']')
        };
        let next = self.text[at + 1..].iter().find(|c| **c != ' ').copied();
        match open {
            '"' => Some(self.closed(at + 1, '"').unwrap_or_else(|| self.cut(at))),
            // An apostrophe has a letter before it.
            '\'' if !beside(at.checked_sub(1)) => self.closed(at + 1, '\'').filter(|end| !beside(Some(*end))),
            '{' if matches!(next, Some('"' | '}')) => Some(self.json_end(at).unwrap_or_else(|| self.cut(at))),
            '[' if !beside(at.checked_sub(1)) && matches!(next, Some('"' | '{' | '[' | ']')) => {
                Some(self.json_end(at).unwrap_or_else(|| self.cut(at)))
            }
            _ => {
                let (_, close) = PAIRS.iter().find(|(opens, _)| *opens == open)?;
                self.closed(at + 1, *close)
            }
        }
    }

    /// Behind the next `close` that has no backslash before it.
    fn closed(&self, mut at: usize, close: char) -> Option<usize> {
        loop {
            match self.char(at)? {
                '\\' => at += 2,
                c if c == close => return Some(at + 1),
                _ => at += 1,
            }
        }
    }

    fn json_end(&self, mut at: usize) -> Option<usize> {
        let mut depth = 0_usize;
        loop {
            match self.char(at)? {
                '"' => at = self.closed(at + 1, '"')?,
                c => {
                    at += 1;
                    match c {
                        '{' | '[' => depth += 1,
                        '}' | ']' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    if depth == 0 {
                        return Some(at);
                    }
                }
            }
        }
    }

    fn cut(&self, at: usize) -> usize {
        let rest = self.text[at..].iter().position(|c| *c == '…').map(|length| length + 1);
        at + rest.unwrap_or(self.text.len() - at)
    }
}

/// What closes a value that begins so.
fn closes(open: char) -> char {
    match open {
        '{' => '}',
        '[' => ']',
        other => PAIRS.iter().find(|(opens, _)| *opens == other).map_or(other, |(_, close)| *close),
    }
}
