//! Messages in Chinese for chats that show Markdown. Each chat knows its own part of it: DingTalk
//! has no code, so a command stands in a quotation there. What comes from outside is text and
//! nothing else.

use events::{Announcement, Finding, Notice};

use crate::harmless::make_harmless_in_markdown;
use crate::message::Message;
use crate::wording::Wording;
use operations::command_for;

/// No chat takes less than this many bytes of Markdown: 企业微信 takes 4,096.
const LONGEST: usize = 3_500;

/// Room for the line that says how many more there are.
const MORE: usize = 100;

/// Whose Markdown it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Dingtalk,
    Wecom,
    Feishu,
}

impl Dialect {
    /// What ends a line within a paragraph.
    fn line_end(self) -> &'static str {
        match self {
            Self::Dingtalk => "  \n",
            Self::Wecom | Self::Feishu => "\n",
        }
    }

    /// A command to copy, with what introduces it.
    fn command(self, introduction: &str, command: &str) -> String {
        let command = command.replace('`', "'");
        match self {
            Self::Dingtalk => format!("{introduction}\n\n> {command}"),
            Self::Wecom | Self::Feishu => format!("{introduction}`{command}`"),
        }
    }
}

impl Wording {
    /// The message, as much of it as fits, without its title.
    pub(crate) fn markdown(&self, message: &Message, dialect: Dialect) -> String {
        if message.is_test() {
            return "这是一条测试消息：告警会发到这里。".into();
        }
        let mut text = String::new();
        let mut left = message.notices.len();
        for notice in &message.notices {
            let said = self.notice(notice, dialect);
            if text.len() + said.len() + MORE > LONGEST {
                text.push_str(&dialect.command(&format!("另有 {left} 项，查看："), "orderflow alerts show"));
                break;
            }
            text.push_str(&said);
            left -= 1;
            if left > 0 {
                text.push_str("\n\n");
            }
        }
        text
    }

    fn notice(&self, notice: &Notice, dialect: Dialect) -> String {
        let end = dialect.line_end();
        let since = self.time(notice.since);
        // A blank behind it: otherwise not every chat sees where the bold ends.
        let (head, what) = match notice.event {
            Announcement::Firing => ("**【告警】** ", self.finding(&notice.finding)),
            Announcement::Again => ("**【仍未恢复】** ", self.finding(&notice.finding)),
            Announcement::Resolved => ("**【恢复】** ", self.subject(&notice.finding)),
            Announcement::Summary => ("**【日报】** ", self.finding(&notice.finding)),
        };
        let what = make_harmless_in_markdown(&what);
        match notice.event {
            Announcement::Firing | Announcement::Again => {
                let seen_with = seen_with(&notice.finding, dialect);
                format!("{head}{what}{end}自 {since} 起{end}{seen_with}")
            }
            Announcement::Resolved => format!("{head}{what}{end}自 {since} 至 {}", self.time(notice.at)),
            Announcement::Summary => format!("{head}{what}{end}{}", seen_with(&notice.finding, dialect)),
        }
    }
}

fn seen_with(finding: &Finding, dialect: Dialect) -> String {
    let command = command_for(finding);
    match finding {
        Finding::TargetStopped { .. } => {
            dialect.command("先排除原因，再：", &format!("{command} --execute --reason \"…\""))
        }
        _ => dialect.command("查看：", &command),
    }
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
