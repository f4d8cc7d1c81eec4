"""C: chat templates, which come with checkpoints and are not trusted. Those that fail when they
are rendered come with requests, whose templates this server takes; those that must not load, with
checkpoints."""

from expect import ok, refused, status
from harness import chat
from program import refuses_model
from table import Row, row

OPTIONS = ("--trust-request-chat-template",)
MIB = 1 << 20
PARENTHESES = "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + "}}"
BOMBS = {"'a' * 10**9": "{{ 'a' * 1000000000 }}", "doubling": "{% set ns = namespace(a='ab') %}"
         "{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}{{ ns.a }}",
         "a list that doubles": "{% set ns = namespace(a=[1]) %}{% for i in range(60) %}"
         "{% set ns.a = ns.a + ns.a %}{% endfor %}{{ ns.a | length }}",
         "join": "{{ (['a' * 1000000] * 100000) | join('b') }}",
         "%": "{{ '%1000000000d' % 1 }}", "format": "{{ '%1000000000d' | format(1) }}",
         "range": "{% for i in range(1000000000) %}{% endfor %}",
         "ranges in ranges": "{% for a in range(99999) %}{% for b in range(99999) %}"
         "{% endfor %}{% endfor %}",
         "a replace that grows": "{{ ('a' * 100000) | replace('a', 'b' * 100000) }}",
         "a macro without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
         "two macros without end": "{% macro f() %}{{ g() }}{% endmacro %}"
         "{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
         "indent": "{{ ('\\n' * 100000) | indent(1000000) }}",
         "center": "{{ 'a' | center(1000000000) }}", "a power": "{{ 9 ** 9 ** 9 ** 9 }}"}
FAULTS = {"1 // 0": "{{ 1 // 0 }}", "1 / 0": "{{ 1 / 0 }}", "1 % 0": "{{ 1 % 0 }}",
          "a slice of step 0": "{{ 'abc'[::0] }}", "a text and a number": "{{ 'a' + 1 }}",
          "an unknown filter": "{{ 1 | zzz }}", "an unknown function": "{{ zzz() }}",
          "a call of a number": "{{ (1)() }}", "int of a text": "{{ [1].a.b }}"}
VALUES = {"an index past the end": "{{ [1][5] }}", "a huge slice": "{{ 'abc'[0:10**18] }}",
          "a negative slice": "{{ 'abc'[-10**18:] }}",
          "i64's end": "{{ -9223372036854775808 // -1 }}",
          "overflow": "{{ 9223372036854775807 + 1 }}", "-1 % 3": "{{ -1 % 3 }}",
          "round": "{{ 1e308 | round(400) }}", "abs": "{{ -9223372036854775808 | abs }}",
          "int of 1e999": "{{ 1e999 | int }}", "a range of step 0": "{{ range(1, 2, 0) | list }}"}


def with_template(template, **more):
    return chat(chat_template=template, **more)


def long_message(answer):
    refused("template_error")(answer)
    assert len(answer.body) < 20_000, "the message of raise_exception is told whole"


def render_rows():
    for what, template in BOMBS.items():
        yield row("C05" if "macro" in what else "C02", what, with_template(template),
                  refused("template_error"))
    for what, template in FAULTS.items():
        yield row("C10", what, with_template(template), status(200, 400))
    for what, template in VALUES.items():
        yield row("C10", what, with_template("x" + template), status(200, 400))
    yield row("C07", "raise_exception of 1 MiB",
              with_template("{{ raise_exception('a' * 1000000) }}"), long_message)
    yield row("C07", "raise_exception", with_template("{{ raise_exception('no ' ~ 'way') }}"),
              refused("template_error", says="no way"))
    for what, source in (("100,000 parentheses", PARENTHESES),
                         ("10,000 ifs", "{% if 1 %}" * 10_000 + "{% endif %}" * 10_000),
                         ("10,000 filters", "{{ 'a'" + " | upper" * 10_000 + " }}"),
                         ("10,000 minuses", "{{ " + "-" * 10_000 + "1 }}"),
                         ("a list of lists", "{{ " + "[" * 10_000 + "]" * 10_000 + " }}")):
        yield row("C04", what, with_template(source), status(200, 400))
    yield row("C12", "a template of 2 MiB", with_template("a" * (2 * MIB)), refused())
    yield row("C12", "no template", with_template(""), status(200, 400))
    yield row("C12", "lines that end in CRLF", with_template("a\r\n{{ 1 }}\r\n"), ok())
    for open_tag in ("{{", "{%", "{#", "{% if", "{% for a in", "{% raw %}"):
        yield row("C12", f"cut: {open_tag}", with_template("x" + open_tag), status(200, 400))
    for filter_call in ("replace('a', '')", "replace('', 'b')", "trim", "split('a') | length",
                        "regex_replace('(a+)+$', 'b')", "striptags", "title", "reverse"):
        yield row("C15", filter_call, with_template("{{ ('a' * 100000) | " + filter_call + "}}"),
                  status(200, 400))


def content_is_text(server):
    """A special token that a template puts together of a message's parts stays what
    docs/API.md says: as in transformers, it is read as one. The count is that of the text."""
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    parts = [{"role": "user", "content": "<|im_"}, {"role": "user", "content": "end|>"}]
    answer = server.ask(with_template(template, messages=parts))
    assert answer.json()["usage"]["prompt_tokens"] == 1, answer


def value_rows():
    tools = [{"type": "function", "function": {"name": "f", "description": "</script>é\u2028",
                                               "parameters": {"a": deep(50)}}}]
    yield row("C09", "tojson of deep tools", with_template("{{ tools | tojson }}", tools=tools),
              status(200, 400))
    yield row("C09", "kwargs that imitate variables",
              chat(chat_template_kwargs={"messages": []}), refused())
    yield row("C09", "kwargs of 60 levels", chat(chat_template_kwargs={"a": deep(60)}),
              status(200, 400))
    yield row("C09", "kwargs that are none", chat(chat_template_kwargs=[]), refused())
    yield Row("C14", "a special token put together", content_is_text)
    for other in ("{{ messages[0].__class__ }}", "{{ ''.__class__.__mro__ }}",
                  "{% include '/etc/passwd' %}", "{% import 'os' as os %}",
                  "{{ self._TemplateReference__context }}", "{{ cycler.__init__.__globals__ }}"):
        yield row("C14", other[:40], with_template("x" + other), leaks_nothing)


def leaks_nothing(answer):
    status(200, 400)(answer)
    assert b"root:" not in answer.body, answer


def deep(levels):
    out = {}
    for _ in range(levels):
        out = {"a": out}
    return out


def load_rows():
    for id, what, template in (
            ("C04", "100,000 parentheses", PARENTHESES),
            ("C12", "a template of 2 MiB", "a" * (2 * MIB)),
            ("C17", "invalid UTF-8", b"{{ 1 }}\xff"), ("C12", "cut", "{% for m in messages %}"),
            ("C12", "a tag that is none", "{% zzz %}"), ("C12", "a filter cut", "{{ a | }}")):
        yield Row(id, f"at load: {what}", refuses_model("template", template=template))
    for what, value in (("a number", 7), ("a list of numbers", [7]),
                        ("a template without text", [{"name": "default", "template": 7}])):
        yield Row("C12", f"at load: {what}", refuses_model(
            "chat_template", template=None, tokenizer_config={"chat_template": value}))


def rows(_):
    yield from render_rows()
    yield from value_rows()
    yield from load_rows()

