use super::*;

fn limits() -> Limits {
    Limits {
        fuel: 2_000_000,
        output_bytes_max: 1 << 20,
        memory_bytes_max: 64 << 20,
        time_ms_max: 2000,
    }
}

fn render(source: &str, context: &str) -> Res<String> {
    match TbTemplate::new(source, limits()) {
        Ok(made) => made.render(context.as_bytes(), 1_767_323_045),
        Err(failure) => Err(Fault::Error(failure.text)),
    }
}

fn text(source: &str) -> String {
    match render(source, "{}") {
        Ok(text) => text,
        Err(Fault::Raised(text) | Fault::Error(text) | Fault::Limit(text)) => format!("! {text}"),
        Err(_) => "! loop".into(),
    }
}

fn hits_limit(source: &str) {
    assert!(matches!(render(source, "{}"), Err(Fault::Limit(_))), "{source}: {}", text(source));
}

#[test]
fn renders_as_python_does() {
    for (source, want) in [
        ("{{ 'a%s' % 'b' }} {{ '%5.2f|%-4d|%%' % (3.14159, 7) }}", "ab  3.14|7   |%"),
        ("{{ ('<' | safe) + '<' }}", "<&lt;"),
        ("{{ [1, 2.0, none, true, 'x\"'] }}", "[1, 2.0, None, True, 'x\"']"),
        ("{{ {'a': (1,)} | tojson }}", "{\"a\": [1]}"),
        (
            "{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 100 }}",
            "-4 2 3.5 1267650600228229401496703205376",
        ),
        ("{% for x in none %}{% endfor %}", "! TypeError: 'NoneType' object is not iterable"),
        (
            "{{ [1] | map('string') | tojson }}",
            "! TypeError: Object of type generator is not JSON serializable",
        ),
        ("{{ x.y }}", "! UndefinedError: 'x' is undefined"),
        ("{{ strftime_now('%Y-%m-%d') }}", "2026-01-02"),
        ("{{ raise_exception('no') }}", "! no"),
        ("{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}", "1213"),
        ("{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{% endcall %}", "<x>"),
    ] {
        assert_eq!(text(source), want, "{source}");
    }
}

#[test]
fn big_integers_pass_through() {
    let context = r#"{"n": 123456789012345678901234567890123456789012345}"#;
    let want = "123456789012345678901234567890123456789012345";
    assert!(matches!(render("{{ n }}", context), Ok(text) if text == want));
    assert!(matches!(render("{{ n | tojson }}", context), Ok(text) if text == want));
}

#[test]
fn bombs_end_at_a_limit() {
    for source in [
        "{{ 'a' * 10**9 }}",
        "{% set ns = namespace(s='aaaaaaaa') %}\
         {% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set s %}\
         {% for i in range(99999) %}0123456789012345678901234567890123456789{% endfor %}\
         {% endset %}",
        "{{ (['aaaaaaaaaaaaaaaaaaaa'] * 9999999) | join }}",
        "{{ range(99999) | map('string') | join('x' * 10000) }}",
        "{{ '%999999d' % 1 ~ '%999999d' % 1 ~ '%999999d' % 1 }}",
        "{{ ('a' * 1000).replace('a', 'b' * 10000) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{% set ns = namespace(l=[]) %}\
         {% for i in range(99999) %}{% set ns.l = [ns.l] %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}\
         {% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}",
        "{% set ns = namespace(l=[1]) %}\
         {% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'x' | center(99999999) }}",
        "{{ 'x' | indent(99999999, true) }}",
        "{{ [1] | tojson(indent='x' * 900000) ~ [1] | tojson(indent='x' * 900000) }}",
    ] {
        hits_limit(source);
    }
}

#[test]
fn deep_sources_are_refused() {
    let nested = [
        format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}{}", "{% if x %}".repeat(100_000), "{% endif %}".repeat(100_000)),
        format!("{{{{ x{} }}}}", "|upper".repeat(100_000)),
        format!("{{{{ 1{} }}}}", "+1".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "-".repeat(100_000)),
        format!("{{{{ {}1 }}}}", "not ".repeat(100_000)),
        format!("{{{{ x{} }}}}", ".a".repeat(2_000)),
        format!("{{% if x %}}{}{{% endif %}}", "{% elif x %}".repeat(100_000)),
    ];
    for source in nested {
        let built = std::thread::Builder::new().stack_size(STACK_BYTES);
        let refused = built.spawn(move || TbTemplate::new(&source, limits()).is_err());
        assert!(refused.is_ok_and(|thread| thread.join().is_ok_and(|refused| refused)));
    }
}

#[test]
fn a_namespace_holds_no_namespace() {
    assert!(text("{% set ns = namespace() %}{% set ns.x = [ns] %}").starts_with('!'));
    assert!(text("{% set ns = namespace() %}{% set ns.x = ns %}").starts_with('!'));
    assert_eq!(text("{% set a = namespace(x=1) %}{{ namespace(b=a).b.x }}"), "1");
}
