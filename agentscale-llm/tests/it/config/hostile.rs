use agentscale_core::ErrorKind;
use agentscale_llm::config::Configuration;

use super::scene::saying;

/// What an error of TOML says: its field, else its line.
fn toml(text: &str) -> (ErrorKind, String) {
    let error = Configuration::from_toml(text).unwrap_err();
    let place = error.context("field").or(error.context("line")).unwrap_or_default();
    (error.kind(), place.to_owned())
}

fn yaml(text: &str) -> agentscale_core::Error {
    Configuration::from_yaml(text).unwrap_err()
}

#[test]
fn what_cannot_work_is_named_by_its_field() {
    let model = "models.m.targets = [{ pool = 'p' }]\n";
    let key = |key: &str| format!("pools.p = {{ provider.kind = 'simulated', keys.k = {key} }}\n{model}");
    for (text, field) in [
        ("".to_owned(), "models"),
        (model.to_owned(), "models.m.targets[0].pool"),
        (format!("pools.p = {{}}\n{model}"), "pools.p.keys"),
        (format!("pools.p.keys.k = {{}}\n{model}"), "pools.p.keys.k.provider"),
        (key("{ limits.requests = 0 }"), "pools.p.keys.k.limits.requests"),
        (key("{ limits.concurrency = 0 }"), "pools.p.keys.k.limits.concurrency"),
        (key("{ tenants = [] }"), "pools.p.keys.k.tenants"),
        (key("{}") + "pools.q = { provider.kind = 'simulated', keys.k = {} }", "pools.q.keys.k"),
        (key("{}") + "models.n.targets = []", "models.n.targets"),
        (key("{}") + "models.n.targets = [{ pool = 'p' }, { pool = 'x' }]", "models.n.targets[1].pool"),
        (key("{}") + "models.n = { targets = [{ pool = 'p' }], on_refusal = 'x' }", "models.n.on_refusal"),
        (
            key("{}") + "models.n = { targets = [{ pool = 'p' }], context_window = 0 }",
            "models.n.context_window",
        ),
        (key("{}") + "hints.fast = 'x'", "hints.fast"),
        (key("{}") + "tenants.acme.hints.fast = 'x'", "tenants.acme.hints.fast"),
        (
            key("{}")
                + "models.n = { targets = [{ pool = 'p' }], cheaper = [{ class = 'scheduled', pool = 'x' }] }",
            "models.n.cheaper[0].pool",
        ),
        (key("{}") + "budgets = [{ period = 'day', limit.tokens = 1, model = 'x' }]", "budgets[0].model"),
        (
            key("{}") + "budgets = [{ period = 'day', limit.tokens = 1, tenant = 't', no_tenant = true }]",
            "budgets[0].no_tenant",
        ),
        (key("{}") + "budgets = [{ period = 'day', limit = {} }]", "budgets[0].limit"),
        (key("{}") + "cache.embedder = { model = 'x', dimensions = 4 }", "cache.embedder.model"),
        (key("{}") + "cache.semantic = {}", "cache.semantic"),
        (key("{ provider = { kind = 'openai', api_key = 'sk-7' } }"), "pools.p.keys.k.provider.api_key"),
        (
            format!(
                "pools.p = {{ provider = {{ kind = 'openai', api_key = 'sk-7' }}, keys.k = {{}} }}\n{model}"
            ),
            "pools.p.provider.api_key",
        ),
    ] {
        assert_eq!(toml(&text), (ErrorKind::InvalidInput, field.to_owned()), "{text}");
    }
}

#[test]
fn what_is_not_understood_is_named_by_its_line() {
    for (line, text) in [
        ("2", "\nunknown = 1"),
        ("3", "[gateway]\nmax_attempts = 3\nmax_attemps = 3"),
        ("2", "[gateway]\nmax_attempts = 'three'"),
        ("3", "hints.a = 'x'\n\nhints.a = 'y'"),
        ("1", "pools.p.keys.k.limits = { requests = -1 }"),
        ("1", "pools.p.choice = 'best'"),
        ("1", "tenants.acme.weight = 0"),
        ("1", "prices.default.price = { input = '1.5.', output = '1' }"),
        ("1", "pools.p.provider = { base_url = 'x' }"),
        ("1", "pools.p.keys.k.secret = 'sk-live-7'"),
        ("1", "hints ="),
    ] {
        assert_eq!(toml(text), (ErrorKind::InvalidInput, line.to_owned()), "{text}");
    }
    for (line, text) in [
        ("2", "\nunknown: 1"),
        ("3", "gateway:\n  max_attempts: 3\n  max_attemps: 3"),
        ("2", "gateway:\n  max_attempts: three"),
        ("3", "hints:\n  a: x\n  a: y"),
        ("4", "pools:\n  p:\n    keys:\n      k: { secret: sk-live-7 }"),
        ("1", "hints: [a: }"),
    ] {
        let error = yaml(text);
        assert_eq!(
            (error.kind(), error.context("line")),
            (ErrorKind::InvalidInput, Some(line)),
            "{text}: {error}"
        );
    }
}

#[test]
fn no_error_shows_a_value() {
    for text in [
        "gateway.max_attempts = 'sk-live-7'",
        "pools.p.keys.k.secret = 'sk-live-7'",
        "pools.p.keys.k.limits = 'sk-live-7 and \\\" more'",
        "pools.p.provider = 'sk-live-7'",
        "tenants.acme.weight = 'sk-live-7'",
    ] {
        let error = Configuration::from_toml(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk-live"), "{error:?}");
    }
    for text in [
        "gateway: { max_attempts: sk-live-7 }",
        "gateway: sk-live-7",
        "pools: { p: { keys: { k: { secret: sk-live-7 } } } }",
        "pools: { p: { keys: { k: { limits: { cached_input_is_free: sk-live-7 } } } } }",
        "pools: { p: { choice: sk-live-7 } }",
    ] {
        let error = yaml(text);
        assert!(!format!("{error} {error:?}").contains("sk-live"), "{error:?}");
    }
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = vec![format!("*a{}", level - 1); 9].join(", ");
        aliases += &format!("a{level}: &a{level} [{before}]\n");
    }
    let as_hints = aliases.clone() + "hints: *a29\n";
    let merges = "hints: &h { a: b }\n".to_owned() + &"tenants: { <<: *h }\n".repeat(1_000);
    let nested_yaml = "[".repeat(100_000);
    let deep_yaml = (0..1_000).map(|depth| " ".repeat(depth) + "a:\n").collect::<String>();
    for text in [
        aliases,
        as_hints,
        merges,
        nested_yaml,
        deep_yaml,
        "hints: &a { b: *a }".to_owned(),
        "---\n---\n".repeat(9),
    ] {
        assert_eq!(yaml(&text).kind(), ErrorKind::InvalidInput, "{}", &text[..40.min(text.len())]);
    }
    let nested_toml = "pools.p.provider = ".to_owned() + &"[".repeat(100_000);
    assert_eq!(toml(&nested_toml).0, ErrorKind::InvalidInput);
    let dotted = "pools.p.provider.".to_owned() + &"a.".repeat(100_000) + "b = 1";
    assert_eq!(toml(&dotted).0, ErrorKind::InvalidInput);
    let long = saying("one") + "#" + &"x".repeat(1 << 20);
    assert_eq!(Configuration::from_toml(&long).unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(yaml(&long).kind(), ErrorKind::TooLarge);
}
