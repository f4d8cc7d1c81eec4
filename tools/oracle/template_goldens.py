#!/usr/bin/env python3
"""Renders templates with jinja2 as transformers sets it up; the text tests compare with them.

    template_goldens.py [--templates DIR]

Writes tests/text/template_goldens.json (our own small templates) and, when DIR holds the chat
templates of models (default ../shared/chat-templates beside the repository),
tests/text/conversation_goldens.json (digests of more conversations through each of them).
Needs jinja2 3.1.
"""

import argparse
import datetime
import hashlib
import json
import pathlib

from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)


class Generation(Extension):
    """{% generation %} marks what the assistant wrote; for rendering it is a plain block."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def raise_exception(message):
        raise TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


CONTEXTS = {
    "values": {
        "a": [1, 2.0, True, None, "é<&>'\"\u0001\u007f"],
        "z": {"k": 1e20, "e": 1e-7, "n": -0.0, "big": 123456789012345678901},
        "s": "  hi\u001f ", "b": False, "empty": {}, "el": [], "i": 7, "f": 3.14159,
        "huge": 10**45, "people": [{"n": "b", "g": 1}, {"n": "A", "g": 2}, {"n": "c", "g": 1}],
    },
    "chat": {
        "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": " q \n"},
                     {"role": "assistant", "content": None, "tool_calls": [
                         {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]},
                     {"role": "user", "content": [{"type": "text", "text": "one"},
                                                  {"type": "image"}]}],
        "tools": None, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>",
    },
}

VALUES = r"""
{{ a }}|{{ z }}|{{ b }}|{{ a[3] }}|{{ huge }}|{{ [huge] }}|{{ huge|tojson }}
{{ a|tojson }}|{{ z|tojson }}|{{ empty|tojson }}{{ el|tojson }}
{{ a|tojson(indent=2) }}{{ z|tojson(indent=1) }}{{ empty|tojson(indent=2) }}{{ people|tojson(indent=4) }}
{{ z|tojson(sort_keys=true) }}{{ a|tojson(separators=(',',':')) }}{{ a|tojson(ensure_ascii=true) }}
{{ a|tojson(true) }}{{ {1: 2, none: 3, true: 4, 1.5: 5}|tojson }}{{ (1, 'x')|tojson }}
{{ 1e20 }} {{ 1.0 }} {{ 0.1+0.2 }} {{ 7//2 }} {{ -7//2 }} {{ -7%3 }} {{ 7/2 }} {{ 2**10 }} {{ 1e16 }} {{ 123456.0 }}
{{ 1e15 }} {{ 1e-4 }} {{ 1e-5 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }} {{ 7.5//2 }} {{ -7.5%2 }} {{ 2**-1 }} {{ 2**0.5 }}
{{ true + 1 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }} {{ 1 < 2 < 3 }} {{ 3 > 2 == 2 }}
[{{ s.strip() }}][{{ s|trim }}][{{ 'xxaxx'.lstrip('x') }}][{{ 'a,b,c'.split(',',1) }}][{{ 'a b  c'.split() }}]
{{ ' a b  c '.split(none, 1) }}{{ ' a b  c '.rsplit(none, 1) }}{{ ''.split() }}{{ ''.split(',') }}{{ 'a,,b'.split(',') }}
{{ [1,2,3,4][::-1] }}{{ 'abc'[::-1] }}{{ [1,2,3,4][-2:] }}{{ 'hello'[1:-1] }}{{ [1,2,3,4][::2] }}{{ 'é日本'[1:] }}{{ [1,2,3][5:] }}
{{ [1,2,3][-100:100] }}{{ [1,2,3][2:0:-1] }}{{ (1,2,3)[1:] }}{{ 'abc'[-1] }}{{ 'abc'[7] }}{{ a[99] is defined }}
{% for i in range(5) %}{% if i == 3 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}
{% set ns = namespace(x=0) %}{% for i in a %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ ns.x }}{{ ns.y is defined }}
{{ z.items()|list }}{{ z.keys()|list }}{{ z.get('q','d') }}{{ z.get('q') }}{{ z.items() }}{{ z.keys() }}{{ z.values()|list }}
{{ z|items|list }}{{ z|dictsort }}{{ {'b':1,'A':2}|dictsort }}{{ {'b':1,'A':2}|dictsort(true) }}{{ {'b':1,'A':2}|dictsort(by='value', reverse=true) }}
{{ strftime_now('%d %b %Y|%Y-%m-%d|%H:%M:%S|%A %B %-d|%j|%y %I %p') }}
{{ s is sequence }}{{ z is sequence }}{{ z is iterable }}{{ s is iterable }}{{ a is mapping }}{{ u is defined }}{{ 1 is number }}{{ none is none }}
{{ none is iterable }}{{ none is sequence }}{{ 1 is iterable }}{{ true is number }}{{ true is integer }}{{ 1.0 is float }}{{ 1 is boolean }}{{ z is string }}
{{ 'a' ~ 1 ~ true ~ none ~ 1.5 ~ [1] ~ u }}{{ 'é'|upper }}{{ 'hello world-foo (bar'|title }}{{ 'hELLO'|capitalize }}{{ "they're".title() }}
{{ '{\n'|indent(4, first=true) }}|{{ 'a\n\nb\n'|indent(2) }}|{{ 'a\n\nb'|indent(2, blank=true) }}|{{ 'a\nb'|indent('> ') }}
{{ 'a-b-c'.rsplit('-',1) }}{{ 'a-b'.partition('-') }}{{ 'a-b'.rpartition('+') }}{{ 'x.py'.removesuffix('.py') }}{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}
{{ 'abc'.startswith('a') }}{{ 'abc'.endswith(('c','d')) }}{{ 'abc'.find('z') }}{{ 'abcabc'.rfind('b') }}{{ 'a%s' % 'b' }}{{ '%d items'|format(3) }}
{{ '%s|%5d|%-5d|%05d|%+d|%x|%X|%o|%#x|%r|%.3f|%e|%g|%%|%c' % ('a', 42, 42, 42, 42, 255, 255, 8, 255, 'q', 2.5, 12345.678, 0.0001, 65) }}
{{ '%(a)s-%(b)03d' % {'a': 1, 'b': 2} }}{{ '%s' % [1] }}{{ '%s' % ((1, 2),) }}{{ '%5.1f|%-8s|%8s' % (2.25, 'ab', 'cd') }}{{ '%*d' % (5, 3) }}
{{ '{} {}'.format(1, 'x') }}{{ '{0}{1}{0}'.format('a', 'b') }}{{ '{x:>5}|{y:.2f}|{{}}'.format(x=1, y=2.5) }}{{ '{:,}'.format(1234567) }}{{ '{:^7}|{:*<4}|{:05d}'.format('m', 'l', 42) }}
{{ a|length }}{{ 'abc'|length }}{{ 'é日'|length }}{{ a|first }}{{ a|last }}{{ [3,1,2]|sort }}{{ [1,1,2]|unique|list }}{{ ['a','b']|join('+') }}{{ el|first is defined }}
{{ 'yes' if u else 'no' }}{{ u|default('d') }}{{ ''|default('d', true) }}{{ (u|default({})).x is defined }}[{{ 'x' if false }}]{{ none|default('d') }}
{% macro m(x, y=2) %}{{ x }}-{{ y }}{% endmacro %}{{ m(1) }}{{ m(1, y=3) }}{{ m(y=1, x=5) }}{{ m() }}{{ m.name }}
{% macro v() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ v(1, 2, k=3) }}{{ v() }}
{% macro c(x) %}<{{ caller(x) }}>{% endmacro %}{% call(q) c(4) %}[{{ q }}]{% endcall %}{% macro d() %}{{ caller is defined }}{% endmacro %}{{ d() }}
{{ dict(a=1, b='x') }}{{ {'a': 1}|tojson }}{{ (1,2) }}{{ [(1,'a')] }}{{ "it's" }}{{ ["it's"] }}{{ ['a\nb"'] }}{{ (1,) }}{{ () }}{{ ['é\u00ad\u200b日\u0301'] }}
{% filter upper %}abc{% endfilter %}{% set x %}cap{{ 1 }}{% endset %}{{ x }}{% set y | upper %}up{% endset %}{{ y }}{% filter trim|title %} a b {% endfilter %}
{{ 'a' 'b' }}{{ not true }}{{ 1 if true }}{{ 3 in [1,3] }}{{ 'k' in z }}{{ 'hi' in s }}{{ 3 not in [1] }}{{ 'x' in u }}{{ not 1 in [1] }}
{{ [1,2]+[3] }}{{ 'ab'*2 }}{{ 2*'ab' }}{{ [0]*3 }}{{ [1]|string }}{{ 5|string|length }}{{ '3'|int + 1 }}{{ 'x'|int(7) }}{{ 2.7|int }}{{ 2|float }}{{ '0x1f'|int(base=16) }}{{ '2.9'|int }}{{ 'x'|float }}
{% for k, v in z.items() if k != 'n' %}{{ loop.index }}{{ k }}{{ loop.last }} {% endfor %}{% for x in el %}{% else %}none{% endfor %}{% for x in u %}x{% endfor %}
{{ people|map(attribute='n')|list }}{{ people|selectattr('g','equalto',1)|list|length }}{{ [1,2,3]|select('odd')|list }}{{ people|rejectattr('g')|list }}{{ people|map(attribute='q', default='-')|join }}
{{ people|sort(attribute='n')|map(attribute='n')|join }}{{ people|sort(attribute='g,n', reverse=true)|map(attribute='n')|join }}{{ ['b','A','c']|sort }}{{ ['b','A','c']|sort(case_sensitive=true) }}
{% for g, l in people|groupby('g') %}{{ g }}:{{ l|map(attribute='n')|join(',') }};{% endfor %}{{ [1,2,3,4,5]|batch(2, 'x')|list }}{{ [1,2,3,4,5]|slice(2)|list }}
{% for m in a %}{{ loop.previtem if loop.previtem is defined }},{{ loop.nextitem is defined }}{{ loop.revindex }}{{ loop.cycle('o','e') }}{% endfor %}{{ a[0:2]|tojson }}{{ a[-1][0] }}
{% for x in [1,1,2] %}{{ loop.changed(x) }}{% endfor %}{% for x in [[1,[2]],[3]] recursive %}{{ x if x is number else loop(x) }}.{{ loop.depth }}{% endfor %}
{{ 10|string + '%' }}{{ '%.2f' % 3.14159 }}{{ 3.14159|round(2) }}{{ 2.5|round }}{{ 3.5|round(0, 'ceil') }}{{ 5|round }}{{ 7|abs }}{{ [1,2,3]|sum }}{{ [1,5,2]|max }}{{ [1,5,2]|min }}{{ people|sum(attribute='g') }}
{{ 'A b'.lower() }}{{ 'abc'.replace('b','x') }}{{ 'aaa'.replace('a','b',2) }}{{ 'abcb'.count('b') }}{{ 'ab'.isalpha() }}{{ '12'.isdigit() }}{{ 'a\nb'.splitlines() }}{{ ','.join(['x','y']) }}{{ 'aBc'.swapcase() }}{{ 'x'.center(5)|tojson }}{{ 'ab'.ljust(4) }}|
{{ ('<'|safe) ~ '<' }}{{ ('<'|safe) + '<&' }}{{ '<' + ('>'|safe) }}{{ '<a>'|e }}{{ '<a>'|e|e }}{{ '<a>'|escape|upper }}{{ ('%s'|safe) % '<' }}{{ ['<']|join('>'|safe) }}{{ ('<'|safe) in '<' }}{{ ('<'|safe)|tojson }}
{{ '<b>'|safe|replace('b','&') }}{{ ('<b>'|safe).replace('b','&') }}{{ ('a,<'|safe).split(',') }}{{ '<p>x  y</p>'|striptags }}{{ 'a b/c?'|urlencode }}{{ 'one two three'|truncate(9) }}{{ 'a b c'|wordcount }}
{% with x = 1, y = 2 %}{{ x + y }}{% endwith %}{{ x is defined }}{% set x, y = 1, 2 %}{{ x }}{{ y }}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 3 %}{% endif %}{{ x }}
{% generation %}g{% set q = 1 %}{% endgeneration %}{{ q is defined }}{%- generation -%} h {%- endgeneration -%}
  {% if true %}
 x
  {% endif %}
y {#- c -#}  z {%- raw %} {{ raw }} {% endraw -%}  .
{{ range(3)|list }}{{ range(5, 0, -2)|list }}{{ range(0)|list }}{{ range(2, 4)|last }}{{ 'abc'|list }}{{ z|list }}{{ 'abc'|reverse }}{{ [1,2]|reverse|list }}
{% set c = cycler('a','b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner(';') %}{{ j() }}1{{ j() }}2
{{ z['items'] is defined }}{{ {'items': 5}.items is callable }}{{ {'items': 5}['items'] }}{{ {'a': {'b': 1}}.a.b }}{{ a.1 }}{{ z|attr('k') is defined }}
{{ 'a\tb'.expandtabs(4) }}{{ 'ß'.upper() }}{{ 'İ'.lower()|length }}{{ 'x'.isspace() }}{{ ' '.isspace() }}{{ 'Ab'.istitle() }}{{ 'ab1'.isalnum() }}{{ 'é'.isascii() }}{{ 'AB'.isupper() }}
{{ 3 is divisibleby 3 }}{{ 3 is odd }}{{ 4 is even }}{{ 'a' is in 'abc' }}{{ 1 is eq 1 }}{{ 2 is gt 1 }}{{ none is sameas none }}{{ 'a' is lower }}{{ 'A' is upper }}{{ 'upper' is filter }}{{ 'odd' is test }}
{{ a|tojson|length }}{{ 1 and 'x' }}{{ 0 or 'y' }}{{ '' or none }}{{ -i }}{{ -i|abs }}{{ i - 2 * 3 }}{{ (i - 2) * 3 }}{{ 2 ** 3 ** 2 }}{{ 10 - 2 - 3 }}{{ 'a' ~ 1 + 2 }}
"""

ERRORS = r"""
{{ raise_exception('no: <&> é') }}
{{ u.x }}
{{ u + 1 }}
{{ u() }}
{{ a.foo.bar }}
{{ z.foo.bar }}
{{ z['foo'].bar }}
{{ a[99].x }}
{% for x in none %}{% endfor %}
{% for x in 5 %}{% endfor %}
{{ none|length }}
{{ none + 'a' }}
{{ 'a' + 1 }}
{{ 'a' + none }}
{{ [1] + 'a' }}
{{ 1 + 'a' }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.5 / 0 }}
{{ u|tojson }}
{{ a|map('string')|tojson }}
{{ z.items()|tojson }}
{{ {(1, 2): 3}|tojson }}
{{ [1] < 'a' }}
{{ 1 < none }}
{{ none.x.y }}
{{ 'x'.foo() }}
{{ 1 in 5 }}
{{ 1 in 'a' }}
{{ a.append(1) }}
{{ z.update({}) }}
{{ range(100001) }}
{{ {}[[]] }}
{% macro m(x) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(x) %}{% endmacro %}{{ m(y=2) }}
{% set x, y = [1] %}
{% set x, y = [1, 2, 3] %}
{% set x = 1 %}{% set x.y = 2 %}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '%d' % 'a' }}
{{ ''.join([1]) }}
{{ 'abc'.index('z') }}
{{ [3, 'a']|sort }}
{{ [1][::0] }}
{{ 5() }}
{{ 'a'.split('') }}
{{ {[]: 1} }}
{{ a|map(attribute='x.y')|list }}
"""

CHATS = r"""
{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m['content'] if m.content is string else m.content }}{% endfor %}
{% if tools %}T{% endif %}{% if tools is defined %}D{% endif %}{% if tools is none %}N{% endif %}{% if documents is defined %}X{% endif %}
{% for m in messages %}{{ loop.index0 }}{% if m.content is string %}{{ m.content | trim }}{% elif m.content is iterable %}{% for p in m.content %}{{ p.text if p.type == 'text' else '<image>' }}{% endfor %}{% elif m.content is none %}-{% endif %}{% endfor %}
{% for m in messages if m.role == 'user' %}{{ loop.length }}{{ loop.first }}{% endfor %}{{ messages[-1].role }}{{ messages[1:]|length }}{{ messages[::-1][0].role }}
{% for m in messages %}{% for t in m.tool_calls %}{{ t.function.name }}({{ t.function.arguments | tojson }}){% endfor %}{{ 'tool_calls' in m }}{{ m.get('tool_calls') is none }}{% endfor %}
{% if messages[0]['role'] == 'system' %}{% set sys = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set sys = '' %}{% endif %}{{ sys }}{{ rest|length }}{% if add_generation_prompt %}<A>{% endif %}
{% set ns = namespace(found=false, last=-1) %}{% for m in messages %}{% if m.role == 'user' and not ns.found %}{% set ns.found = true %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}{{ ns.found }}{{ ns.last }}
{% macro show(m, n=0) -%} {{ m.role }}{{ '!' * n }} {%- endmacro %}{% for m in messages %}{{ show(m, loop.index) }};{% endfor %}
{{ messages|selectattr('role', 'eq', 'user')|map(attribute='role')|list }}{{ (messages|last).role }}{{ messages|map(attribute='role')|join(',') }}
{% if messages|length > 99 or messages[9] is defined %}x{% else %}{{ raise_exception('Roles must alternate: ' ~ messages[0].role) }}{% endif %}
{{ messages|tojson(indent=2) }}
{{ messages[2].content + 'x' }}
{{ messages[2].tool_calls[0] }}
"""


def blocks(text):
    """One template a line; a line that opens a block which it does not close goes on."""
    lines = text.strip("\n").split("\n")
    joined, held = [], []
    for line in lines:
        if line == "  {% if true %}":
            held = [line]
        elif held:
            held.append(line)
            if line.startswith("y "):
                joined.append("\n".join(held) + "\n")
                held = []
        else:
            joined.append(line)
    return joined


def render(env, source, context):
    try:
        return {"text": env.from_string(source).render(**json.loads(json.dumps(context)))}
    except Exception as error:  # every kind is a golden
        return {"error": f"{type(error).__name__}: {error}"}


def own(env):
    renders = []
    for name, sources in (("values", VALUES), ("values", ERRORS), ("chat", CHATS)):
        for source in blocks(sources):
            result = render(env, source, CONTEXTS[name])
            renders.append({"source": source, "context": name, **result})
    for source in ("a\n", "a\n\n", "a\r\nb\rc", "", "{% if true %}\r\nx\r\n{% endif %}\r\n"):
        renders.append({"source": source, "context": "values", **render(env, source, {})})
    # As text: not every reader of JSON keeps integers this large.
    contexts = {name: json.dumps(value, ensure_ascii=False) for name, value in CONTEXTS.items()}
    return {"contexts": contexts, "renders": renders}


def function(name, properties, required):
    description = f"Does {name}: <a & b> 'quoted' \"x\""
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description,
                                             "parameters": parameters}}


TOOLS = [
    function("get_weather", {
        "city": {"type": "string", "description": "City"},
        "days": {"type": "integer", "default": 3, "minimum": 1},
        "opts": {"type": "object", "properties": {
            "hourly": {"type": "boolean", "default": False},
            "w": {"type": ["number", "null"]}}}}, ["city"]),
    function("search", {
        "q": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "ü"]}}}, []),
]


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def call(number, name, arguments):
    return {"id": f"abcdefg{number:02d}", "type": "function",
            "function": {"name": name, "arguments": arguments}}


def answer(number, name, content):
    return {"role": "tool", "tool_call_id": f"abcdefg{number:02d}", "name": name,
            "content": content}


def conversations():
    system = {"role": "system", "content": "S"}
    text = {"type": "text", "text": "one"}
    weather = call(1, "get_weather", {"city": "Zürich", "days": 2,
                                      "opts": {"hourly": True, "w": None, "x": 1.5e-7}})
    search = call(2, "search", {"q": "a\"b\\c\n<d>", "tags": []})
    long = [m for i in range(10)
            for m in (user(f" q{i} \n"), assistant(f"<think>t{i}</think>\n\n a{i} "))]
    cases = {
        "plain": {"messages": [user("hi")]},
        "tools_absent": {"messages": [user("hi")], "tools": "ABSENT"},
        "tools_empty": {"messages": [user("hi")], "tools": []},
        "tools": {"messages": [user("hi")], "tools": TOOLS},
        "system": {"messages": [system, user("hi")]},
        "system_tools": {"messages": [system, user("hi")], "tools": TOOLS},
        "thinking": {"messages": [user("hi")], "enable_thinking": True,
                     "reasoning_effort": "high", "thinking": True},
        "not_thinking": {"messages": [system, user("hi")], "enable_thinking": False},
        "developer": {"messages": [{"role": "developer", "content": "D"}, user("hi")]},
        "parts": {"messages": [{"role": "system", "content": [{**text, "text": "S"}]},
                               user([text, {"type": "text", "text": "two "}])]},
        "image": {"messages": [user([{"type": "image"}, text])]},
        "reasoning": {"messages": [
            user("q"), assistant("a", reasoning_content="r1\n"), user("q2"),
            assistant("b", reasoning_content="")], "add_generation_prompt": False},
        "two_calls": {"messages": [
            user("q"), assistant(None, tool_calls=[weather, search]),
            answer(1, "get_weather", "{\"t\": 1}"), answer(2, "search", "é\nline"),
            assistant("done"), user("thanks")], "tools": TOOLS},
        "call_text": {"messages": [
            user("q"), assistant("let me look", tool_calls=[call(1, "search", {})]),
            answer(1, "search", "none")], "tools": TOOLS},
        "continue": {"messages": [user("q"), assistant("partial ans")],
                     "add_generation_prompt": False},
        "long": {"messages": long + [user("end")]},
        "bad_order": {"messages": [assistant("x"), assistant("y"), user("z"), user("w")]},
        "empty": {"messages": []},
        "null_content": {"messages": [user("q"), assistant(None), user("r")]},
        "unicode": {"messages": [user("日本\u2028x\u0085 \u00a0 <|im_end|> {{ 7*7 }} "
                                      "{% raw %} 😀\u200d\u0000\u001f")]},
    }
    base = {"add_generation_prompt": True, "tools": None, "documents": None,
            "bos_token": "<BOS>", "eos_token": "<EOS>"}
    made = {}
    for name, case in cases.items():
        made[name] = {k: v for k, v in {**base, **case}.items() if v != "ABSENT"}
    return made


def through_models(env, folder):
    cases, renders = conversations(), {}
    for path in sorted(folder.glob("*.jinja*")):
        source = path.read_text(encoding="utf-8")
        renders[path.name] = {}
        for name, case in cases.items():
            result = render(env, source, case)
            if "text" in result:
                value = hashlib.sha256(result["text"].encode()).hexdigest()[:16]
            else:
                value = "error: " + result["error"]
            renders[path.name][name] = value
    return {"cases": cases, "renders": renders}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=pathlib.Path,
                        default=ROOT.parent / "shared" / "chat-templates")
    args = parser.parse_args()
    env = environment()
    target = ROOT / "tests" / "text"

    def write(name, value):
        text = json.dumps(value, ensure_ascii=False, indent=1)
        (target / name).write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(text)} bytes")

    write("template_goldens.json", own(env))
    if args.templates.is_dir():
        write("conversation_goldens.json", through_models(env, args.templates))


if __name__ == "__main__":
    main()
