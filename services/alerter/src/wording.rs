//! Messages in Chinese, for chats. What comes from outside cannot write anything there but text: no mentions, no links.

use events::{Announcement, Finding, Micros, TargetSummary};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::message::Message;

/// How the flow's people write times.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    pub(crate) zone: TimeZone,
}

/// What was found, in one line, in Chinese.
pub fn sentence_in_chinese(finding: &Finding, zone: &TimeZone) -> String {
    Wording { zone: zone.clone() }.finding(finding)
}

impl Wording {
    /// How many began, last and ended.
    pub(crate) fn title(&self, message: &Message) -> String {
        let counts = [
            (Announcement::Firing, "告警"),
            (Announcement::Again, "仍未恢复"),
            (Announcement::Resolved, "恢复"),
        ];
        let counts = counts.map(|(event, word)| (message.count(event), word));
        let counted = counts.iter().filter(|(count, _)| *count > 0);
        let counted: Vec<String> = counted.map(|(count, word)| format!("{count} 项{word}")).collect();
        let what = match (message.count(Announcement::Summary), counted.is_empty()) {
            (0, true) => "测试".into(),
            (_, true) => "日报".into(),
            _ => counted.join("，"),
        };
        format!("[orderflow] {}：{what}", message.flow)
    }

    /// What was found, in one line.
    pub(crate) fn finding(&self, finding: &Finding) -> String {
        match finding {
            Finding::WindowFailed { window, from, until, reason } => {
                let (from, until) = (self.time(*from), self.time(*until));
                format!("同步窗口 {window}（{from} 至 {until}）未能证明完整：{reason}")
            }
            Finding::WatermarkOld { watermark, age_seconds, limit_seconds } => format!(
                "水位停在 {}，已落后 {}（上限 {}）",
                self.time(*watermark),
                length(age_seconds.unsigned_abs()),
                length(limit_seconds.unsigned_abs()),
            ),
            Finding::DeadLetters { open, limit } => format!("未处理的死信 {open} 条（上限 {limit} 条）"),
            Finding::DeadGroup { fingerprint, stage, failure, pattern, targets, open } => {
                let short = short(fingerprint);
                let targets: String = targets.iter().map(|target| format!(" → {target}")).collect();
                format!("新的死信类别 {short}：{stage}{targets} {failure}，未处理 {open} 条：{pattern}")
            }
            Finding::TargetLeftAlone { target, reason } => {
                format!("目标端 {target} 不可用，订单在等待：{reason}")
            }
            Finding::TargetStopped { target, reason } => {
                format!("目标端 {target} 被拒过多，已停止写入，等人处理：{reason}")
            }
            Finding::Backlog { stage, target, lag, limit } => {
                format!("{} 积压 {lag} 条（上限 {limit} 条）", stage_in_chinese(stage, target.as_deref()))
            }
            Finding::SourceTrouble { reason } => format!("读不到源端：{reason}"),
            Finding::NobodyRuns { stage, target, host } => {
                let seen = host.as_ref().map_or_else(String::new, |host| format!("，最后一次在 {host} 上"));
                format!("{}没有进程在运行{seen}", stage_in_chinese(stage, target.as_deref()))
            }
            Finding::RunOverdue { command, last, usual_seconds } => format!(
                "orderflow {command} 自 {} 以来没有成功结束，通常每 {} 一次",
                self.time(*last),
                length(usual_seconds.unsigned_abs())
            ),
            Finding::MappingRejected { reason } => format!("新的映射不能用，仍用原来的：{reason}"),
            Finding::MappingsDiffer => "各转换进程用的映射不一致".into(),
            Finding::MappingHeld { version, fields } => {
                format!("新的映射 {version} 会使 {} 为空，等人确认，仍用原来的", fields.join("、"))
            }
            Finding::FieldEmpty { path, had, of, orders } => {
                format!("字段 {path} 已无值：此前 {of} 张订单中 {had} 张有值，其后 {orders} 张全无")
            }
            Finding::UnknownResults { target, orders } => {
                format!("目标端 {target} 有 {orders} 张订单不知是否写入")
            }
            Finding::OlderUpdateTimes { orders } => {
                format!("{orders} 张订单后读到，内容不同，更新时间却更早，没有写入")
            }
            Finding::StorageTrouble { stage, reason } => {
                format!("{}不能把数据存入 NATS：{reason}", stage_in_chinese(stage.name(), None))
            }
            Finding::ClockAhead => "水位或窗口的时间在未来：有时钟走快了".into(),
            Finding::Paused { stage, target, by, reason } => {
                format!("{}已由 {by} 暂停：{reason}", stage_in_chinese(stage, target.as_deref()))
            }
            Finding::LimitNear { what, used, limit, unit } => {
                let (share, counted) = (percent(*used, *limit), if unit == "messages" { " 条" } else { "" });
                let (used, limit) = (amount(*used, unit), amount(*limit, unit));
                format!("{}已用 {used}/{limit}{counted}（{share}%），很快将无法再存储", storage(what))
            }
            Finding::Summary { since, until, read, targets, dead_open, watermark_age_seconds, firing } => {
                let mut parts =
                    vec![format!("{} 至 {}：读取 {read} 张", self.time(*since), self.time(*until))];
                parts.extend(targets.iter().map(target_summary));
                parts.push(format!("未处理的死信 {dead_open} 条"));
                let age = watermark_age_seconds.map(|age| length(age.unsigned_abs()));
                parts.push(age.map_or_else(|| "尚无水位".into(), |age| format!("水位落后 {age}")));
                let firing = if firing.is_empty() { "无".to_string() } else { firing.join("，") };
                parts.push(format!("当前告警：{firing}"));
                parts.join("；")
            }
        }
    }

    /// What has ended, without the numbers it had.
    pub(crate) fn subject(&self, finding: &Finding) -> String {
        match finding {
            Finding::WindowFailed { window, .. } => format!("窗口 {window} 之后，同步窗口已不再失败"),
            Finding::WatermarkOld { .. } => "水位已跟上".into(),
            Finding::DeadLetters { limit, .. } => format!("未处理的死信已不多于 {limit} 条"),
            Finding::DeadGroup { fingerprint, .. } => {
                format!("死信类别 {} 已全部处理", short(fingerprint))
            }
            Finding::TargetLeftAlone { target, .. } => format!("目标端 {target} 已恢复写入"),
            Finding::TargetStopped { target, .. } => format!("目标端 {target} 已继续写入"),
            Finding::Backlog { stage, target, limit, .. } => {
                format!("{} 积压已不多于 {limit} 条", stage_in_chinese(stage, target.as_deref()))
            }
            Finding::SourceTrouble { .. } => "源端已能读取".into(),
            Finding::NobodyRuns { stage, target, .. } => {
                format!("{}已有进程在运行", stage_in_chinese(stage, target.as_deref()))
            }
            Finding::RunOverdue { command, .. } => format!("orderflow {command} 已成功结束"),
            Finding::MappingRejected { .. } => "映射已可用".into(),
            Finding::MappingsDiffer => "各转换进程用的映射已一致".into(),
            Finding::MappingHeld { version, .. } => format!("映射 {version} 已不再等人确认"),
            Finding::FieldEmpty { path, .. } => format!("字段 {path} 又有值"),
            Finding::UnknownResults { target, .. } => format!("目标端 {target} 的订单结果都已知道"),
            Finding::OlderUpdateTimes { .. } => "更新时间更早的订单已处理".into(),
            Finding::StorageTrouble { stage, .. } => {
                format!("{}又能存入 NATS", stage_in_chinese(stage.name(), None))
            }
            Finding::ClockAhead => "水位与窗口的时间已正常".into(),
            Finding::Paused { stage, target, .. } => {
                format!("{}已恢复运行", stage_in_chinese(stage, target.as_deref()))
            }
            Finding::LimitNear { what, .. } => format!("{}又有余量", storage(what)),
            Finding::Summary { .. } => self.finding(finding),
        }
    }

    pub(crate) fn time(&self, micros: Micros) -> String {
        let at = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
    }
}

/// A stage, as people call it.
fn stage_in_chinese(stage: &str, target: Option<&str>) -> String {
    match (stage, target) {
        ("fetch", _) => "读取".into(),
        ("fetch background", _) => "读取（后台）".into(),
        ("transform", _) => "转换".into(),
        (_, Some(target)) => format!("写入 {target} "),
        (_, None) => "写入".into(),
    }
}

fn target_summary(summary: &TargetSummary) -> String {
    let TargetSummary { target, written, unchanged, refused, other, waiting } = summary;
    let waiting = waiting.map_or_else(|| "未知".into(), |waiting| waiting.to_string());
    format!("{target}：写入 {written}，未变 {unchanged}，被拒 {refused}，其他 {other}，等待 {waiting}")
}

/// What has a limit.
fn storage(what: &str) -> String {
    match what {
        "disk" => "磁盘".into(),
        "account" => "NATS 账户".into(),
        other => other.replacen("stream ", "流 ", 1),
    }
}

/// A hash tells apart by its first digits.
pub(crate) fn short(fingerprint: &str) -> &str {
    fingerprint.get(..8).unwrap_or(fingerprint)
}

fn length(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let parts = [(days, "天"), (hours, "小时"), (minutes, "分钟")];
    let said: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    if said.is_empty() { format!("{seconds} 秒") } else { said.join(" ") }
}

/// How much of what is counted, as people say it.
pub(crate) fn amount(number: u64, unit: &str) -> String {
    let sizes = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let size = sizes.into_iter().find(|(bits, _)| unit == "bytes" && number >= 1 << bits);
    match size {
        Some((bits, name)) => format!("{:.1} {name}", number as f64 / f64::from(1_u32 << bits)),
        None => number.to_string(),
    }
}

/// The share of a limit in percent, rounded down.
pub(crate) fn percent(used: u64, limit: u64) -> u128 {
    u128::from(used) * 100 / u128::from(limit.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_people_say_them() {
        assert_eq!([7, 60, 3_661, 90_000].map(length), ["7 秒", "1 分钟", "1 小时 1 分钟", "1 天 1 小时"]);
    }

    #[test]
    fn amounts_are_said_as_people_say_them() {
        let bytes = [900, 1_536, 9 << 20, 5_500 << 20].map(|number| amount(number, "bytes"));
        assert_eq!(bytes, ["900", "1.5 KiB", "9.0 MiB", "5.4 GiB"]);
        assert_eq!(amount(1 << 20, "messages"), "1048576");
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }
}
