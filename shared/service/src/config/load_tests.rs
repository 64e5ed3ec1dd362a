use super::*;

fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Config::parse(Path::new("conf/orderflow.toml"), text, variables).map_err(|error| error.to_string())
}

const TARGET: &str = "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"http://h/execute\"\n";

#[test]
fn an_empty_file_is_the_defaults() {
    let config = parse("", &[]).expect("the defaults are sound");
    assert_eq!((config.flow.as_str(), config.writer.partitions), ("okki-orders", 16));
    assert_eq!(config.source.request["count"].as_integer(), Some(100));
    assert_eq!(config.mapping.file, Path::new("conf/mapping.toml"));
    assert!(config.targets.is_empty() && config.nats.url.is_none());
}

#[test]
fn the_environment_is_laid_over_the_file() {
    let config = parse(
        TARGET,
        &[
            ("ORDERFLOW_FLOW", "other"),
            ("ORDERFLOW_SOURCE__CLIENT_SECRET", "123"),
            ("ORDERFLOW_SOURCE__LIMIT__REQUESTS_PER_SECOND", "20"),
            ("ORDERFLOW_SOURCE__REQUEST__COUNT", "500"),
            ("ORDERFLOW_TARGET__QEASY__IDCHECK", "false"),
            ("ORDERFLOW_TARGET__0__CONCURRENCY", "7"),
            ("ORDERFLOW_LOG", "debug"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.flow, "other");
    assert_eq!(config.source.limit.requests_per_second, 20.0);
    assert_eq!(config.source.request["count"].as_integer(), Some(500));
    assert_eq!((config.targets[0].id_check, config.targets[0].concurrency), (false, 7));
    assert!(!format!("{config:?}").contains("123"), "a secret was printed");
}

#[test]
fn a_secret_is_read_only_by_who_needs_it() {
    let config =
        parse("[source]\nclient_secret_file = \"nowhere\"", &[]).expect("the other stages run without it");
    let error = config.source_secret().expect_err("no such file").to_string();
    assert_eq!(error, "source.client_secret_file conf/nowhere cannot be read");
    let error = parse("", &[]).expect("sound").source_secret().expect_err("none").to_string();
    assert!(error.contains("ORDERFLOW_SOURCE__CLIENT_SECRET"), "{error}");
    let headers = format!("{TARGET}headers = {{ A = \"env:NO_SUCH_VARIABLE_HERE\", B = \"plain\" }}\n");
    let error =
        parse(&headers, &[]).expect("sound").targets[0].resolved_headers().expect_err("not set").to_string();
    assert_eq!(error, "target qeasy, header A: the environment has no NO_SUCH_VARIABLE_HERE");
}

#[test]
fn cron_replaces_every() {
    let config = parse("[schedule]\ncron = \"*/5 * * * *\"\n", &[]).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.schedule.every.is_none());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let long = format!("{TARGET}batch = 5000\n");
    let twice = format!("{TARGET}{TARGET}");
    let secret = format!("{TARGET}app_secret = \"x\"\n");
    for (text, expected) in [
        ("flow = [", "conf/orderflow.toml: TOML parse error at line 1, column 9"),
        ("\n[sorce]\nid = 1\n", "conf/orderflow.toml:2: unknown key `sorce`; did you mean `source`?"),
        (
            "[source]\nbase_uri = \"x\"",
            "conf/orderflow.toml:2: unknown key `base_uri`; did you mean `base_url`?",
        ),
        ("[writer]\npartitions = \"x\"", "invalid type: string \"x\", expected u16"),
        (
            "[schedule]\noverlap = \"10\"",
            "\"10\" is no length of time; expected a number and ms, s, m, h or d",
        ),
        ("flow = \"a b\"", "conf/orderflow.toml:1: `flow`: found \"a b\", expected letters, digits, - and _"),
        (
            "[source]\ntime_zone = \"Mars\"",
            "conf/orderflow.toml:2: `source.time_zone`: found \"Mars\", expected a name such as Asia/Shanghai",
        ),
        ("[schedule]\nsince = \"soon\"", "expected a time such as 2025-01-01 00:00:00"),
        ("[schedule]\ncron = \"x\"", "which is no cron pattern"),
        ("[[schedule.sweep]]\nevery = \"1h\"", "missing field `reach`"),
        (
            "[[schedule.sweep]]\nevery = \"1h\"\nreach = \"2d\"\ndetails = true",
            "`schedule.sweep`: found details = true, but there is no [source.detail] to fetch them with",
        ),
        (
            "[source.limit]\nbackground_share = 2.0",
            "`source.limit.background_share`: found 2, expected 0.01 to 1",
        ),
        ("[source]\ngranularity = \"hour\"", "unknown variant `hour`, expected `second` or `day`"),
        (&long, "conf/orderflow.toml:5: `target.batch`: found 5000, expected 1 to 1000 orders a request"),
        (
            "[[target]]\nname = \"db\"\nkind = \"postgres\"\nurl = \"postgres://u:pw@h/d\"\ntable = \"t\"\n",
            "conf/orderflow.toml:4: `url` must not hold a password in this file; give it as ORDERFLOW_TARGET__DB__PASSWORD",
        ),
        (
            "[[target]]\nname = \"db\"\nkind = \"postgres\"\nurl = \"http://h/d\"\ntable = \"t\"\n",
            "`target.url`: found scheme \"http\", expected postgres:// or postgresql://",
        ),
        (
            "[source]\nbase_url = \"https://h\u{200b}/\"",
            "conf/orderflow.toml:2: `base_url`: character 10 is U+200B (a zero-width space), which no value can hold",
        ),
        ("[source]\nclient_id = \"me\\r\"", ":2: `client_id`: character 3 is U+000D (a carriage return)"),
        (&twice, "two targets are called \"qeasy\""),
        (
            &secret,
            "`app_secret` must not stand in this file; give it as ORDERFLOW_TARGET__QEASY__APP_SECRET, or name a file with \
             app_secret_file",
        ),
    ] {
        let error = parse(text, &[]).expect_err(text);
        assert!(error.contains(expected), "\n  found: {error}\nexpected: {expected}");
    }
    let error = parse(TARGET, &[("ORDERFLOW_TARGET__QESY__URL", "x")]).expect_err("no such target");
    assert_eq!(error, "ORDERFLOW_TARGET__QESY__URL: there is no target \"qesy\"; the file has qeasy");
    let error = parse("", &[("ORDERFLOW_WRITER__PARTITION", "3")]).expect_err("unknown key");
    assert!(error.contains("did you mean `partitions`?"), "{error}");
}

#[test]
fn every_key_of_the_model_is_in_the_commented_defaults() {
    // An unknown key lists the known ones: each must stand in default.toml, commented out or not.
    for section in [
        "",
        "[nats]\n",
        "[source]\n",
        "[schedule]\n",
        "[writer]\n",
        "[source.limit]\n",
        "[mapping]\n",
        "[source.detail]\n",
        "[schedule.deleted]\n",
    ] {
        let error =
            Config::deserialize(toml::from_str::<Table>(&full(section)).expect("toml")).expect_err("unknown");
        let error = error.to_string();
        for key in error
            .split('`')
            .skip(3)
            .step_by(2)
            .filter(|key| !["client_secret", "password", "token"].contains(key))
        {
            assert!(
                DEFAULTS.contains(&format!("{key} ="))
                    || DEFAULTS.contains(&format!("[{key}]"))
                    || DEFAULTS.contains(&format!(".{key}]"))
                    || DEFAULTS.contains(&format!("[[{key}]]")),
                "{key} of {section}"
            );
        }
    }
}

fn full(section: &str) -> String {
    let mut table: Table = toml::from_str(DEFAULTS).expect("the defaults are TOML");
    let at: Vec<&str> =
        section.trim().trim_matches(['[', ']']).split('.').filter(|part| !part.is_empty()).collect();
    let mut inner = &mut table;
    for part in at {
        let section = inner.entry(part).or_insert_with(|| Value::Table(Table::new()));
        inner = section.as_table_mut().expect("a section");
    }
    inner.insert("zzz_unknown".into(), Value::Integer(1));
    table.to_string()
}

#[test]
fn what_has_the_wrong_shape_is_named_without_the_secret() {
    for text in [
        "[source]\nclient_secret = \"s3cret-of-file\n",
        "[source]\nclient_secret = s3cret-of-file\n",
        "[[target]]\nheaders = { Authorization = \"Bearer s3cret-of-file }\n",
        "[nats]\nurl = \"nats://me:s3cret-of-file@h\n",
    ] {
        let error = parse(text, &[]).expect_err(text);
        assert!(error.contains("TOML parse error at line 2") && !error.contains("s3cret"), "{error}");
    }
    let error = parse("flow = [\n", &[]).expect_err("no TOML");
    assert!(error.contains("flow = ["), "{error}");
    let variable = ("ORDERFLOW_TARGET__QEASY__HEADERS", "Bearer s3cret-of-variable");
    let variables = std::iter::once((variable.0.to_string(), variable.1.to_string()));
    let error = Config::parse(Path::new("o.toml"), TARGET, variables).expect_err("no table");
    assert!(!crate::chain(&error).contains("s3cret"), "{}", crate::chain(&error));
}
