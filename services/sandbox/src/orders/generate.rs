//! Orders computed from the seed and their number, rendered when they are asked for: a million of them take no memory.

use std::io::Write as _;

use crate::civil::{self, Seconds};
use crate::draw::Draw;
use crate::key::Key;

const FIRST_ID: u64 = 5_200_000_000;
const ID_STEP: u64 = 7;
/// 2025-01-01 00:00:00, and the 181 days to 2025-06-30.
const FIRST_SECOND: Seconds = 1_735_689_600;
const SPAN: u64 = 181 * 86_400;

const SURNAMES: [&str; 12] = ["张", "王", "李", "赵", "陈", "刘", "杨", "黄", "周", "吴", "徐", "孙"];
const GIVEN: [&str; 12] = ["伟", "芳", "娜", "秀英", "敏", "静", "丽", "强", "磊", "洋", "艳", "建国"];
const PLACES: [&str; 8] = ["深圳", "宁波", "义乌", "广州", "杭州", "苏州", "青岛", "厦门"];
const TRADES: [&str; 6] = ["五金", "照明", "家居用品", "纺织", "电子科技", "包装材料"];
const GOODS: [&str; 10] = [
    "LED 灯带 5m",
    "不锈钢保温杯 500ml",
    "陶瓷花瓶",
    "手工编织篮",
    "硅胶厨具套装",
    "蓝牙音箱",
    "折叠收纳箱",
    "棉质餐巾",
    "玻璃香薰瓶",
    "铝合金支架",
];
const CURRENCIES: [(&str, u32); 4] = [("USD", 725), ("EUR", 785), ("CNY", 100), ("GBP", 918)];
const STATUSES: [(u64, &str); 3] =
    [(1_101_043_688, "待回款"), (1_101_043_689, "已发货"), (1_101_043_690, "已完成")];

/// One line; prices are in cents.
#[derive(Debug, Clone, Copy, Default)]
struct Item {
    goods: u64,
    quantity: i64,
    cents: i64,
}

/// Create, update and order time of an order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) created: Seconds,
    pub(crate) updated: Seconds,
    pub(crate) ordered: Seconds,
}

/// Computes the orders of one seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generator {
    pub(crate) seed: u64,
}

pub(crate) fn key(index: u32) -> Key {
    Key::Number(FIRST_ID + ID_STEP * u64::from(index))
}

pub(crate) fn index_of(key: &Key) -> Option<u32> {
    let Key::Number(number) = key else { return None };
    let offset = number.checked_sub(FIRST_ID)?;
    if offset % ID_STEP == 0 { u32::try_from(offset / ID_STEP).ok() } else { None }
}

pub(crate) fn index_of_number(order_no: &str) -> Option<u32> {
    let digits = order_no.strip_prefix("SO-2025-")?;
    // Only the spelling that is written out: "7" is not "000007".
    let index = digits.parse().ok()?;
    (format!("{index:06}") == digits).then_some(index)
}

impl Generator {
    pub(crate) fn times(self, index: u32) -> Times {
        let mut draw = self.draw(index, 1);
        let offset = draw.below(SPAN - 86_400);
        let created = FIRST_SECOND + Seconds::try_from(offset).unwrap_or(0);
        let mut updated = created + Seconds::try_from(draw.below(86_400)).unwrap_or(0);
        // Automation stamps whole minutes, so some orders share a second.
        if draw.below(4) == 0 {
            updated -= updated.rem_euclid(60);
        }
        Times { created, updated: updated.max(created), ordered: created - created.rem_euclid(86_400) }
    }

    /// The exact sum of the lines of a revision, in cents.
    pub(crate) fn total_cents(self, index: u32, revision: u32) -> i64 {
        let (items, count) = self.items(index, revision);
        items[..count].iter().map(|item| item.quantity * item.cents).sum()
    }

    /// Appends the order as JSON. Times come from the caller, because edits move them.
    pub(crate) fn render(
        self,
        out: &mut Vec<u8>,
        index: u32,
        revision: u32,
        times: Times,
        deleted: Option<Seconds>,
    ) {
        let mut draw = self.draw(index, 2);
        let mut pick = |length: usize| usize::try_from(draw.below(length as u64)).unwrap_or(0);
        let (surname, given) = (SURNAMES[pick(SURNAMES.len())], GIVEN[pick(GIVEN.len())]);
        let (place, trade) = (PLACES[pick(PLACES.len())], TRADES[pick(TRADES.len())]);
        let (currency, rate) = CURRENCIES[pick(CURRENCIES.len())];
        let (status, status_name) = STATUSES[pick(STATUSES.len())];
        let company = pick(50_000);
        let (items, count) = self.items(index, revision);
        let total = items[..count].iter().map(|item| item.quantity * item.cents).sum();

        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "{{\"order_id\":{},\"order_no\":\"SO-2025-{index:06}\",\"name\":\"{place}{trade} 订单 {index}\",\
             \"customer_name\":\"{surname}{given}\",\"order_date\":\"",
            FIRST_ID + ID_STEP * u64::from(index)
        );
        let start = out.len();
        civil::write(out, times.ordered);
        out.truncate(start + 10);
        out.extend_from_slice(b"\",\"account_date\":\"");
        civil::write(out, times.ordered);
        out.extend_from_slice(b"\",\"create_time\":\"");
        civil::write(out, times.created);
        out.extend_from_slice(b"\",\"update_time\":\"");
        civil::write(out, times.updated);
        if let Some(deleted) = deleted {
            out.extend_from_slice(b"\",\"delete_time\":\"");
            civil::write(out, deleted);
        }
        let _ = write!(out, "\",\"currency\":\"{currency}\",\"exchange_rate\":{rate},\"amount\":");
        write_cents(out, total);
        let _ = write!(
            out,
            ",\"company\":{{\"company_id\":{},\"name\":\"{place}{trade}有限公司\",\"serial_id\":\"C{company:05}\"}},\
             \"status\":{status},\"status_name\":\"{status_name}\",\"archive_type\":4,\"source_type\":1,\
             \"country\":\"CN\",\"price_contract\":\"FOB\",\"transport_mode\":\"海运\",\"remark\":\"",
            3_448_500_000_u64 + company as u64
        );
        if revision > 0 {
            let _ = write!(out, "第 {revision} 次修改:数量与单价已调整");
        } else {
            out.extend_from_slice("交货期 30 天,装运前付清尾款".as_bytes());
        }
        out.extend_from_slice(b"\",\"items\":[");
        for (position, item) in items[..count].iter().enumerate() {
            let name = GOODS[usize::try_from(item.goods).unwrap_or(0) % GOODS.len()];
            let _ = write!(
                out,
                "{}{{\"item_id\":\"P{:05}\",\"name\":\"{name}\",\"quantity\":{},\"price\":",
                if position > 0 { "," } else { "" },
                item.goods,
                item.quantity
            );
            write_cents(out, item.cents);
            out.extend_from_slice(b",\"unit\":\"PCS\"}");
        }
        out.extend_from_slice(b"],");
        write_product_list(out, index, &items[..count]);
        out.push(b'}');
    }

    fn items(self, index: u32, revision: u32) -> ([Item; 8], usize) {
        let mut draw = self.draw(index, 3);
        let mut items = [Item::default(); 8];
        let count = 1 + usize::try_from(draw.below(8)).unwrap_or(0);
        for item in &mut items[..count] {
            item.goods = draw.below(20_000);
            item.quantity = 1 + i64::try_from(draw.below(200)).unwrap_or(0);
            item.cents = 5 + i64::try_from(draw.below(40_000)).unwrap_or(0);
        }
        if let Some(edited) = crate::money::edited_line(key(index).stable_hash(), count) {
            items[edited].quantity += i64::from(revision);
            items[edited].cents += i64::from(revision);
        }
        (items, count)
    }

    fn draw(self, index: u32, purpose: u64) -> Draw {
        Draw::new(self.seed ^ (purpose << 56), u64::from(index))
    }
}

/// The same lines under the names that OKKI documents.
fn write_product_list(out: &mut Vec<u8>, index: u32, items: &[Item]) {
    out.extend_from_slice(b"\"product_list\":[");
    for (position, item) in (0_u64..).zip(items) {
        let name = GOODS[usize::try_from(item.goods).unwrap_or(0) % GOODS.len()];
        let id = (FIRST_ID + ID_STEP * u64::from(index)) * 10 + position;
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "{}{{\"unique_id\":{id},\"product_no\":\"P{:05}\",\"product_name\":\"{name}\",\"count\":{},\"unit_price\":",
            if position > 0 { "," } else { "" },
            item.goods,
            item.quantity
        );
        write_cents(out, item.cents);
        out.push(b'}');
    }
    out.push(b']');
}

/// Cents as a JSON number without trailing zeros, as the source writes them: 1230 is 12.3.
fn write_cents(out: &mut Vec<u8>, cents: i64) {
    let (whole, rest) = (cents / 100, cents % 100);
    let _ = match rest {
        0 => write!(out, "{whole}"),
        tens if tens % 10 == 0 => write!(out, "{whole}.{}", tens / 10),
        _ => write!(out, "{whole}.{rest:02}"),
    };
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::money;
    use rust_decimal::Decimal;

    fn text(seed: u64, index: u32, revision: u32) -> String {
        let generator = Generator { seed };
        let mut out = Vec::new();
        generator.render(&mut out, index, revision, generator.times(index), None);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_order_depends_on_its_seed_and_number_alone() {
        assert_eq!(text(1, 123, 0), text(1, 123, 0));
        assert_ne!(text(1, 123, 0), text(2, 123, 0));
        insta::assert_snapshot!(text(1, 3, 0));
    }

    #[test]
    fn the_documented_names_say_the_same_as_those_of_the_case() {
        for index in 0..50 {
            let order: serde_json::Value = serde_json::from_str(&text(1, index, 2)).unwrap();
            let lines = |list: &str, names: [&str; 4]| -> Vec<Vec<serde_json::Value>> {
                let line = |line: &serde_json::Value| names.map(|name| line[name].clone()).to_vec();
                order[list].as_array().unwrap().iter().map(line).collect()
            };
            let documented = lines("product_list", ["product_no", "product_name", "count", "unit_price"]);
            assert_eq!(documented, lines("items", ["item_id", "name", "quantity", "price"]));
            assert!(order["product_list"][0]["unique_id"].is_u64());
        }
    }

    #[test]
    fn orders_are_about_a_kibibyte_and_a_half_and_add_up() {
        let mut bytes = 0;
        for index in 0..500 {
            for revision in [0, 3] {
                let order = text(1, index, revision);
                bytes += order.len();
                let total = money::total(money::lines(&order).unwrap()).unwrap();
                assert_eq!(total, Decimal::new(Generator { seed: 1 }.total_cents(index, revision), 2));
                assert!(order.contains(&format!("\"amount\":{}", total.normalize())), "{order}");
            }
        }
        assert!((1250..1750).contains(&(bytes / 1000)), "{}", bytes / 1000);
    }

    #[test]
    fn times_stay_within_the_half_year() {
        for index in 0..2000 {
            let times = Generator { seed: 9 }.times(index);
            assert!(civil::text(times.created).as_str() >= "2025-01-01 00:00:00");
            assert!(
                civil::text(times.updated).as_str() <= "2025-06-30 23:59:59"
                    && times.updated >= times.created
            );
        }
    }

    #[test]
    fn ids_and_numbers_lead_back_to_the_order() {
        assert_eq!(index_of(&key(77)), Some(77));
        assert_eq!(index_of(&Key::Number(FIRST_ID + 1)), None);
        assert_eq!(index_of_number("SO-2025-000123"), Some(123));
        assert_eq!(index_of_number("SO-2025-123"), None);
    }
}
