use http::Class;

use super::*;

const READER: Reader<'_> = Reader {
    request: "/list?start_index=1",
    status: 200,
    retry_after: None,
    id: "order_id",
    zone: &TimeZone::UTC,
};

fn page(body: &str) -> Result<Page, OkkiError> {
    READER.page(&Bytes::copy_from_slice(body.as_bytes()))
}

#[test]
fn rows_are_found_in_the_body_and_the_clock_is_read() {
    let body = r#"{"code":200,"now":"2025-03-06 16:55:25","data":{"count":2,"list":[ {"order_id":1} ,{"a":"订单"}]}}"#;
    let page = page(body).expect("a page");
    let rows: Vec<&str> = page.rows.iter().map(|row| &body[row.clone()]).collect();
    assert_eq!(rows, [r#"{"order_id":1}"#, r#"{"a":"订单"}"#]);
    assert_eq!(page.now, "2025-03-06T16:55:25Z".parse().ok());
    for now in [r#""now":"","#, r#""now":null,"#, r#""now":"0000-00-00 00:00:00","#, r#""now":7,"#, ""] {
        let body = format!(r#"{{"code":200,{now}"data":{{"count":0,"list":[]}}}}"#);
        assert_eq!(READER.page(&Bytes::from(body)).expect(now).now, None, "{now}");
    }
}

#[test]
fn a_detail_is_an_order_or_gone() {
    let read = |body: &'static str| READER.detail(&Bytes::from_static(body.as_bytes()));
    let body = r#"{"code":200,"data":{"order_id":7,"product_list":[]}}"#;
    assert!(matches!(read(body), Ok(Detail::Found(found)) if found == body));
    let stored = crate::detail(body.as_bytes()).expect("an order");
    assert_eq!(stored.whole().expect("whole").get(), r#"{"order_id":7,"product_list":[]}"#);
    assert!(matches!(read(r#"{"code":404,"message":"Not Found Resource","data":null}"#), Ok(Detail::Gone)));
    let error = read(r#"{"code":200,"data":[]}"#).expect_err("no order");
    assert!(error.to_string().ends_with("with \"[]\", expected an order object in data"), "{error}");
}

#[test]
fn every_variant_of_a_good_page_is_read() {
    for (body, total) in [
        (r#"{"code":200,"data":{"list":[],"count":0}}"#, 0),
        (r#"{"code":0,"data":{"list":[],"totalItem":"7"}}"#, 7),
        (r#"{"code":"200","data":{"list":[],"count":" 7 "}}"#, 7),
        (r#"{"data":{"list":[],"count":7,"other":[]}}"#, 7),
    ] {
        assert_eq!(page(body).expect(body).total, total);
    }
}

#[test]
fn ids_keep_their_digits() {
    let body = r#"{"code":200,"data":{"count":5,"list":[{"order_id":12345678901234567890123},
        {"order_id":"007"},{"a":{"order_id":1}},{"order_id":""},{"order_id":null}]}}"#;
    let ids = page(body).expect("a page").ids;
    assert_eq!(ids, [Some("12345678901234567890123".into()), Some("007".into()), None, None, None]);
    assert_eq!(crate::rows(body.as_bytes()).expect("rows").len(), 5);
}

#[test]
fn what_is_no_page_says_what_it_is() {
    for (body, expected) in [
        (
            "<html>moved</html>",
            "the source answered /list?start_index=1 with \"<html>moved</html>\" (expected value at line 1 column 1), \
             expected a JSON object with code and data",
        ),
        (
            r#"{"code":200,"data":{"list":[]}}"#,
            "the source answered /list?start_index=1 with the total null, expected a number in data.count or data.totalItem",
        ),
        (
            r#"{"code":200,"data":[]}"#,
            "the source answered /list?start_index=1 with data without list, expected data.list",
        ),
        (
            r#"{"code":404,"message":"Not Found"}"#,
            "the source answered /list?start_index=1 with code 404: Not Found",
        ),
    ] {
        assert_eq!(page(body).expect_err(body).to_string(), expected);
    }
    let denied = page(r#"{"error":"access_denied"}"#).expect_err("denied");
    assert_eq!(denied.class(), http::Class::Credentials);
}

fn class_of(body: &str) -> Class {
    page(body).expect_err(body).class()
}

#[test]
fn of_two_totals_the_larger_one_is_believed() {
    for (totals, expected) in [
        (r#""count":100,"totalItem":250"#, 250),
        (r#""totalItem":"100","count":250"#, 250),
        (r#""count":null,"totalItem":"250""#, 250),
        (r#""count":"","totalItem":250.0"#, 250),
        (r#""count":250,"total_count":9999"#, 250),
        (r#""count":250,"totalItem":0"#, 250),
        (r#""count":1,"count":250"#, 250),
    ] {
        let body = format!(r#"{{"code":200,"data":{{"list":[],{totals}}}}}"#);
        assert_eq!(page(&body).expect(&body).total, expected, "{totals}");
    }
    for totals in [r#""count":"many","totalItem":3"#, r#""count":-1"#, r#""count":1.5"#, r#""count":[3]"#] {
        let body = format!(r#"{{"code":200,"data":{{"list":[],{totals}}}}}"#);
        let error = page(&body).expect_err(totals).to_string();
        assert!(error.contains("expected a number in data.count"), "{error}");
    }
}

#[test]
fn an_answer_that_says_no_in_any_spelling_is_no_page() {
    let said = |fields: &str| format!(r#"{{{fields},"data":{{"list":[],"count":0}}}}"#);
    for fields in [
        r#""success":false"#,
        r#""success":0,"code":200"#,
        r#""success":"false""#,
        r#""success":"perhaps""#,
        r#""code":"E500""#,
        r#""code":500.0"#,
        r#""code":-1"#,
        r#""code":200,"error":"busy""#,
        r#""code":200,"code":500"#,
    ] {
        assert!(page(&said(fields)).is_err(), "{fields}");
    }
    for fields in [
        r#""success":true"#,
        r#""success":"1","code":"200""#,
        r#""code":200.0"#,
        r#""code":"OK""#,
        r#""code":null"#,
        r#""code":201"#,
        r#""code":500,"code":200"#,
    ] {
        assert_eq!(page(&said(fields)).expect(fields).total, 0);
    }
}

#[test]
fn an_error_that_says_nothing_is_none() {
    for none in ["0", "false", r#""""#, "[]", "{}", "null", r#""0""#, r#""null""#] {
        let body = format!(r#"{{"code":200,"error":{none},"data":{{"list":[],"count":0}}}}"#);
        assert!(page(&body).is_ok(), "{none}");
    }
}

#[test]
fn only_a_refusal_of_the_client_is_about_credentials() {
    for word in ["invalid_client", "unauthorized_client", "access_denied", "invalid_grant"] {
        assert_eq!(class_of(&format!(r#"{{"error":"{word}"}}"#)), Class::Credentials, "{word}");
    }
    for (body, class) in [
        (r#"{"error":"too_many_requests"}"#, Class::Throttled(None)),
        (r#"{"error":"temporarily_unavailable"}"#, Class::Outage),
        (r#"{"error":"server_error"}"#, Class::Retryable),
        (r#"{"error":"invalid_scope"}"#, Class::Permanent),
        (r#"{"error":"no permission invoices scopes"}"#, Class::Permanent),
        (r#"{"error":{"code":7,"message":"x"}}"#, Class::Retryable),
        (r#"{"code":429}"#, Class::Throttled(None)),
        (r#"{"code":"503"}"#, Class::Outage),
        (r#"{"code":401}"#, Class::Credentials),
        (r#"{"code":403.0}"#, Class::Credentials),
        (r#"{"code":404}"#, Class::Permanent),
        (r#"{"code":500}"#, Class::Retryable),
        (r#"{"code":1001}"#, Class::Retryable),
    ] {
        assert_eq!(class_of(body), class, "{body}");
    }
    let wait = Some(Duration::from_secs(7));
    let reader = Reader { retry_after: wait, ..READER };
    let busy = reader.page(&Bytes::from_static(br#"{"code":429}"#)).expect_err("busy");
    assert_eq!(busy.class(), Class::Throttled(wait));
}

#[test]
fn lists_are_read_as_php_writes_them() {
    let rows = |list: &str| {
        let body = format!(r#"{{"data":{{"count":3,"list":{list}}}}}"#);
        page(&body).map(|page| page.rows.iter().map(|row| body[row.clone()].to_string()).collect::<Vec<_>>())
    };
    let three = rows(r#"{"0":{"order_id":1},"2":{"order_id":2}, "7" : {"order_id":3}}"#).expect("a list");
    assert_eq!(three, [r#"{"order_id":1}"#, r#"{"order_id":2}"#, r#"{"order_id":3}"#]);
    for wrong in [r#"{"rows":[]}"#, "7", "true", r#""none""#, "null", "{\"a\":1}"] {
        assert!(rows(wrong).is_err(), "{wrong}");
    }
    for empty in ["[]", "{}", "null", "false", r#""""#] {
        let body = format!(r#"{{"data":{{"count":0,"list":{empty}}}}}"#);
        assert!(page(&body).expect(empty).rows.is_empty());
    }
}

#[test]
fn a_damaged_row_does_not_keep_the_others_from_being_read() {
    for (damaged, id) in [
        (&b"{\"order_id\":2,\"name\":\"half \xE8\xAE\"}"[..], Some("2")),
        (b"{\"name\":\"\xE8\",\"order_id\":\"2\"}", Some("2")),
        (b"{\"order_id\":2,\"amount\":NaN}", Some("2")),
        (b"{\"amount\":NaN,\"order_id\":2}", None),
    ] {
        let body =
            [br#"{"code":200,"data":{"count":3,"list":[{"order_id":1},"#, damaged, br#",{"order_id":3}]}}"#]
                .concat();
        let page = READER.page(&Bytes::from(body.clone())).expect("a page");
        assert_eq!(page.ids, [Some("1".into()), id.map(String::from), Some("3".into())]);
        assert_eq!((&body[page.rows[1].clone()], page.total), (damaged, 3));
    }
    let detail = b"{\"code\":200,\"data\":{\"order_id\":2,\"name\":\"\xE8\"}}";
    assert!(matches!(READER.detail(&Bytes::from_static(detail)), Ok(Detail::Found(_))));
}

#[test]
fn the_last_of_two_equal_names_counts_as_in_the_mapping() {
    for (row, id) in [
        (r#"{"order_id":1,"a":{"order_id":5},"order_id":7}"#, Some("7")),
        (r#"{"order_id":1,"a":"order_id"}"#, Some("1")),
        (r#"{"order_id":1,"order\u005fid":"7"}"#, Some("7")),
        (r#"{"order_id":1,"order_id":null}"#, None),
        (r#"{"order_id":1,"x":2}"#, Some("1")),
    ] {
        assert_eq!(field_text(row, "order_id").as_deref(), id, "{row}");
    }
}

#[test]
fn the_clock_of_a_repeated_hour_is_the_moment_nearer_to_ours() {
    let berlin = TimeZone::get("Europe/Berlin").expect("the zone database has it");
    let at = |ours: &str| read_clock("2025-10-26 02:30:00", &berlin, ours.parse().expect("a time"));
    assert_eq!(at("2025-10-26T00:30:05Z"), "2025-10-26T00:30:00Z".parse().ok());
    assert_eq!(at("2025-10-26T01:29:55Z"), "2025-10-26T01:30:00Z".parse().ok());
}
