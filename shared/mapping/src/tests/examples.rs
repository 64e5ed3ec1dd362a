//! The example mappings of the deployment, applied to an order of their shape.

use insta::assert_snapshot;

use super::{record, shanghai};
use crate::Plan;

const CASE: &str = include_str!("../../../../deploy/examples/case.mapping.toml");
const OKKI: &str = include_str!("../../../../deploy/examples/okki.mapping.toml");

fn compiled(text: &str) -> Plan {
    Plan::compile("example", text, &shanghai()).expect("the example is sound")
}

#[test]
fn the_case_maps() {
    let plan = compiled(CASE);
    let row = r#"{
        "order_id": 10001, "order_no": "SO-1", "customer_name": "Zhang \"San\"",
        "order_date": "2010-12-01", "update_time": "2010-12-01 08:26:00",
        "items": [{"sku":"A","quantity":6,"price":2.55}, {"sku":"B","quantity":"6","price":"3.39"}]
    }"#;
    assert_snapshot!(record(&plan, row), @r#"{"orderNumber":"SO-1","orderId":10001,"customerName":"Zhang \"San\"","orderDate":"2010-12-01","updateTime":"2010-12-01T08:26:00+08:00","totalAmount":35.64}"#);
    let read: Vec<&str> = plan.source_fields().collect();
    let expected = ["order_id", "order_no", "update_time", "customer_name", "order_date", "items"];
    assert_eq!(read, expected);
}

#[test]
fn okki_maps() {
    let plan = compiled(OKKI);
    let row = r#"{
        "order_id": "5203550000", "order_no": "536365", "currency": "GBP",
        "account_date": "2010-12-01 00:00:00", "update_time": "2010-12-01 08:26:00",
        "company": {"company_id": 1, "name": "顾客"},
        "product_list": [{"count":6,"unit_price":2.55}, {"count":6,"unit_price":3.39}]
    }"#;
    assert_snapshot!(record(&plan, row), @r#"{"orderNumber":"536365","orderId":5203550000,"customerName":"顾客","orderDate":"2010-12-01","updateTime":"2010-12-01T08:26:00+08:00","currency":"GBP","totalAmount":35.64}"#);
    let bare = r#"{"order_id": 7, "order_no": 12, "company": [], "product_list": []}"#;
    assert_snapshot!(record(&plan, bare), @r#"{"orderNumber":"12","orderId":7,"customerName":"","totalAmount":0}"#);
}

#[test]
fn a_plan_is_named_by_what_it_says() {
    let version = |text: &str| compiled(text).version().to_owned();
    let own = version(CASE);
    assert_eq!(own.len(), 16);
    let reordered =
        CASE.replace("key = \"order_id\"", "").replacen("\n[[field]]", "\nkey = \"order_id\"\n[[field]]", 1);
    let case = format!("{CASE}\n[[case]]\nname = \"x\"\ninput = \"{{}}\"\nexpect_error = \"missing_key\"\n");
    for same in [format!("# a comment\n\n{CASE}"), case, reordered] {
        assert_eq!(version(&same), own);
    }
    for other in
        [CASE.replace("\"items\"", "\"lines\""), CASE.replace("required = true", ""), OKKI.to_owned()]
    {
        assert_ne!(version(&other), own);
    }
    let utc = Plan::compile("example", CASE, &jiff::tz::TimeZone::UTC).expect("sound").version().to_owned();
    assert_ne!(utc, own, "local times mean other moments there");
}
