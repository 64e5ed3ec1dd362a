use super::*;

fn answer(status: u16, body: &str) -> Answer {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    Answer {
        status,
        content_type: "application/json".into(),
        retry_after: None,
        date: None,
        location: None,
        body,
    }
}

fn class(status: u16, body: &str) -> Class {
    judge(&answer(status, body), false, 1).expect_err(body).class()
}

#[test]
fn only_a_body_that_says_so_is_success() {
    for body in [
        r#"{"success":true,"code":0,"message":"success","content":{"inserted":1,"failed":0}}"#,
        r#"{"code":200}"#,
        r#"{"success":true}"#,
    ] {
        assert_eq!(judge(&answer(200, body), false, 1).expect(body), Verdict::Written);
    }
    for body in
        ["", "ok", "{}", "[]", "<html>login</html>", r#"{"success":false,"co"#, r#"[{"success":false}]"#]
    {
        assert_eq!(class(200, body), Class::Outage, "{body}");
    }
    assert!(judge(&answer(200, "ok"), true, 1).is_ok());
    for body in [r#"{"success":false,"co"#, r#"{"success":false,"x":NaN}"#, r#"[{"success":false}]"#, "{}"] {
        assert!(judge(&answer(200, body), true, 1).is_err(), "trust is for what is no JSON: {body}");
    }
    assert!(judge(&answer(200, "<html>login</html>"), true, 1).is_err());
}

#[test]
fn the_table_of_codes() {
    let said = |code: i64| format!(r#"{{"success":false,"code":{code},"message":"x","content":null}}"#);
    assert_eq!(class(200, &said(40_002)), Class::Permanent);
    assert_eq!(class(200, &said(40_102)), Class::Credentials);
    assert_eq!(class(200, &said(40_301)), Class::Credentials);
    assert_eq!(class(200, &said(40_401)), Class::Outage);
    assert_eq!(class(429, &said(42_901)), Class::Throttled(None));
    assert_eq!(class(200, &said(50_001)), Class::Retryable);
    assert_eq!(class(200, &said(50_301)), Class::Outage);
    assert_eq!(class(200, r#"{"success":false}"#), Class::Refusing);
    assert_eq!(class(503, "<html>"), Class::Outage);
    assert_eq!(class(400, "<html>"), Class::Outage);
    assert_eq!(class(400, "no"), Class::Permanent);
    assert_eq!(class(200, r#"{"success":false,"code":1}"#), Class::Refusing);
    assert_eq!(class(500, r#"{"success":true}"#), Class::Retryable);
    assert_eq!(class(200, r#"{"success":true,"content":{"inserted":0,"failed":1}}"#), Class::Permanent);
}

#[test]
fn codes_of_three_digits_mean_what_the_status_means() {
    for (code, class) in [
        (429, Class::Throttled(None)),
        (503, Class::Outage),
        (401, Class::Credentials),
        (500, Class::Retryable),
        (413, Class::Permanent),
        (422, Class::Permanent),
    ] {
        for body in [format!(r#"{{"code":{code}}}"#), format!(r#"{{"success":false,"code":"{code}"}}"#)] {
            assert_eq!(self::class(200, &body), class, "{body}");
        }
    }
    assert!(judge(&answer(200, r#"{"code":201}"#), false, 1).is_ok());
}

#[test]
fn a_refusal_in_an_odd_shape_is_a_refusal_with_its_text() {
    let body = r#"{"success":false,"code":40001,"message":["customer missing"]}"#;
    for trust_status in [false, true] {
        let error = judge(&answer(200, body), trust_status, 1).expect_err("refused");
        assert_eq!((error.class(), error.theirs()), (Class::Permanent, Some("customer missing")));
    }
    assert_eq!(class(200, r#"{"success":"0","code":"50001"}"#), Class::Retryable);
    assert_eq!(class(200, r#"{"success":false,"code":101}"#), Class::Refusing);
    let gbk = Answer {
        body: bytes::Bytes::from_static(b"{\"success\":false,\"code\":40001,\"message\":\"\xBF\xCD\"}"),
        ..answer(200, "")
    };
    assert_eq!(judge(&gbk, true, 1).expect_err("refused").class(), Class::Permanent);
    let one = r#"{"success":true,"code":0,"content":{"inserted":"0","failed":"1"}}"#;
    assert_eq!(class(200, one), Class::Permanent);
    let repeat = answer(200, r#"{"success":0,"code":"40901","message":["REPEAT"]}"#);
    assert_eq!(judge(&repeat, false, 1).expect("an outcome"), Verdict::Repeat);
}

#[test]
fn what_cannot_be_understood_is_never_written() {
    for body in [
        r#"{"success":true,"content":{"inserted":1,"failed":"?"}}"#,
        r#"{"success":true,"content":"queued"}"#,
        r#"{"success":"perhaps","code":0}"#,
        r#"{"status":"ok"}"#,
        "{}",
    ] {
        for trust_status in [false, true] {
            let error = judge(&answer(200, body), trust_status, 1).expect_err(body);
            assert_eq!(error.class(), Class::Outage, "{body}");
            assert!(error.to_string().contains("neither confirms nor refuses"), "{error}");
        }
    }
}

#[test]
fn who_has_answered_decides_whether_one_order_may_be_meant() {
    let error = |status, body: &str| judge(&answer(status, body), false, 1).expect_err(body);
    for (status, body) in
        [(403, "<html>"), (405, ""), (302, ""), (200, "<html>"), (403, "{\"message\":\"Forbidden\"}")]
    {
        let error = error(status, body);
        assert!(error.may_be_about_an_order() && !error.may_be_done(), "{status} {body}");
    }
    for (status, body) in
        [(401, "<html>"), (503, "<html>"), (200, r#"{"code":40301}"#), (404, r#"{"code":40401}"#)]
    {
        assert!(!error(status, body).may_be_about_an_order(), "{status} {body}");
    }
    for body in ["queued", "{}", r#"{"success":true,"content":"queued"}"#] {
        assert!(error(200, body).may_be_about_an_order() && error(200, body).may_be_done(), "{body}");
    }
}

#[test]
fn messages_say_what_to_do() {
    let error = judge(&answer(200, "done"), false, 1).expect_err("not said").to_string();
    assert!(error.contains("set trust_status = true"), "{error}");
    let page = Answer { location: Some("https://login.example/".into()), ..answer(302, "<html>") };
    let error = judge(&page, false, 1).expect_err("moved").to_string();
    assert!(error.contains("a redirect to https://login.example/, which is not followed"), "{error}");
}

#[test]
fn a_request_that_is_too_large_is_refused_also_by_a_proxy() {
    for status in [413, 414, 431] {
        assert_eq!(class(status, "<html>413 Request Entity Too Large</html>"), Class::Permanent);
    }
    assert_eq!(class(422, "<html>firewall</html>"), Class::Outage);
}

#[test]
fn repeat_is_an_outcome_of_its_own() {
    let repeat = answer(200, r#"{"success":false,"code":40901,"message":"REPEAT"}"#);
    assert_eq!(judge(&repeat, false, 1).expect("an outcome"), Verdict::Repeat);
}

#[test]
fn a_batch_is_judged_by_its_counts() {
    let said = |inserted: u64, failed: u64, message: &str| {
        format!(
            r#"{{"success":true,"code":0,"message":"{message}","content":{{"inserted":{inserted},"failed":{failed}}}}}"#
        )
    };
    let judged = |body: &str, rows| judge(&answer(200, body), false, rows);
    assert_eq!(judged(&said(3, 0, "success"), 3).expect("all"), Verdict::Written);
    // Updates are not counted as inserted.
    assert_eq!(judged(&said(1, 0, "success"), 3).expect("all"), Verdict::Written);
    let partly = judged(&said(2, 1, "客户不存在"), 3).expect_err("one failed");
    assert!(matches!(partly, WriteError::Partly { failed: 1, rows: 3, .. }), "{partly}");
    assert_eq!(partly.theirs(), Some("客户不存在"));
    let one = judged(&said(0, 1, "客户不存在"), 1).expect_err("it failed");
    assert_eq!(
        (one.theirs(), one.to_string().replace("客户不存在", "***")),
        (Some("客户不存在"), "the target answered HTTP 200, success, but failed > 0: ***".to_string())
    );
    let repeat = judged(&said(2, 1, "REPEAT"), 3).expect_err("which one is not said");
    assert!(matches!(repeat, WriteError::Partly { .. }), "{repeat}");
    assert_eq!(judged(&said(0, 1, "REPEAT"), 1).expect("an outcome"), Verdict::Repeat);
    let another = judged(&said(99, 1, "x"), 50).expect_err("an answer about 100 orders");
    assert!(matches!(another, WriteError::Another { counted: 100, rows: 50, .. }), "{another}");
    let long = format!(r#"{{"success":false,"code":40901,"message":"{} repeat"}}"#, "order ".repeat(1_000));
    assert_eq!(judged(&long, 1).expect("an outcome"), Verdict::Repeat, "said behind what is cut off");
    let whole = r#"{"success":false,"code":40901,"message":"REPEAT"}"#;
    assert_eq!(judged(whole, 3).expect_err("refused whole").class(), Class::Retryable);
}
