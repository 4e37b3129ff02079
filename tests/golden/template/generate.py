#!/usr/bin/env python3
# tests/golden/template/generate.py
# SPDX-License-Identifier: MIT
#
# Writes cases.json: see README.md. The environment is that of template_differential.py.
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "engine" / "text"))
from template_differential import CONVERSATIONS, WEATHER, compiled, environment, expected

GLOBALS = {
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True, "tools": None,
    "n": 7, "f": 2.5, "s": "  Hello, World  ", "e": "", "u": "Grüße, Ægir ß", "t": True,
    "l": [3, 1, 2], "w": ["b", "A", "c", "a"], "nothing": None, "lines": "a\n\n  b\r\nc",
    "d": {"b": 2, "a": {"x": [1, None, True, 1.5]}, "c": "z"}, "html": "<a href='x'>&\"</a>",
    "people": [{"name": "Ann", "age": 31, "home": {"city": "Ulm"}},
               {"name": "bob", "age": 25, "home": {"city": "Bern"}},
               {"name": "Cy", "age": 31, "home": {"city": "ulm"}, "vip": True},
               {"name": "Dee"}],
    "messages": [{"role": "user", "content": "Hi <|im_end|>"},
                 {"role": "assistant", "content": "Yo", "n": 3, "items": [1]}],
}

SNIPPETS = r'''
plain
{{ 1 }}{{ 1.0 }}{{ 1e20 }}{{ 1.5e-7 }}{{ 123456789.125 }}{{ 1_000 }}{{ 0x1f }}{{ 0b11 }}{{ 0o17 }}
{{ 'a' "b" }}{{ 'it\'s' }}{{ "\x41\u00e9\101\n\q\\" }}
{{ true }}{{ True }}{{ false }}{{ none }}{{ None }}
{{ undefined_thing }}|{{ d.missing }}|{{ d['missing'] }}|{{ l[9] }}|{{ nothing.x }}
{{ undefined_thing.x }}
{{ undefined_thing + 'a' }}
{{ undefined_thing ~ 'a' }}
{{ undefined_thing() }}
{{ undefined_thing is defined }}{{ d.b is defined }}{{ nothing is defined }}{{ nothing is none }}
{{ undefined_thing == undefined_other }}{{ undefined_thing == none }}{{ not undefined_thing }}
{{ 'a' in undefined_thing }}{{ undefined_thing|length }}{{ undefined_thing|list }}{{ undefined_thing|trim }}
{{ 1 + 2 * 3 - 4 / 2 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ -7 % 3 }}|{{ 7 % -3 }}|{{ 2 ** 10 }}|{{ 2 ** -1 }}
{{ 7.5 // 2 }}|{{ -7.5 % 2 }}|{{ 1 / 3 }}|{{ 10 / 5 }}|{{ 0.1 + 0.2 }}|{{ 1e16 }}|{{ 1e15 }}|{{ -0.0 }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ -n }}{{ +n }}{{ - - n }}{{ -n|abs }}{{ (-n)|abs }}{{ -2 ** 2 }}
{{ 'a' + 'b' }}{{ 'a' * 3 }}{{ 3 * 'a' }}{{ [1] + [2] }}{{ [1, 2] * 2 }}{{ (1,) + (2,) }}
{{ 'a' + 1 }}
{{ 1 ~ 'b' ~ none ~ true ~ 2.0 ~ [1, 'x'] }}
{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 1 == 1.0 }}{{ true == 1 }}{{ 'a' < 'b' }}{{ [1, 2] < [1, 3] }}{{ 'é' > 'z' }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ 1 != 2 }}{{ 'x' == 'x' }}{{ {'a': 1} == {'a': 1.0} }}{{ [1] == (1,) }}{{ none == false }}
{{ 2 in l }}{{ 9 not in l }}{{ 'ell' in s }}{{ 'b' in d }}{{ 2 in d }}{{ 'x' in '' }}{{ '' in 'x' }}
{{ 1 in 'abc' }}
{{ 1 in 5 }}
{{ true and 0 }}|{{ 1 and 'x' }}|{{ 0 or 'y' }}|{{ not 1 }}|{{ not 0 and 1 }}|{{ 1 or undefined_thing.x }}
{{ 'a' if n else 'b' }}|{{ 'a' if not n else 'b' }}|{{ 'a' if not n }}|{{ 1 if 0 else 2 if 0 else 3 }}
{{ l[0] }}{{ l[-1] }}{{ l.0 }}{{ s[2] }}{{ s[-3] }}{{ u[-1] }}{{ d.a.x[3] }}{{ d['a']['x'].0 }}
{{ l[1:] }}{{ l[:-1] }}{{ l[::-1] }}{{ l[::2] }}{{ l[5:] }}{{ l[-2:] }}{{ l[2:0:-1] }}{{ (1, 2, 3)[1:] }}
{{ u[1:4] }}|{{ u[::-1] }}|{{ u[::3] }}|{{ u[-3:] }}|{{ u[9:2] }}|{{ s[:-2] }}|{{ u[:100] }}|{{ u[-100:2] }}
{{ l[::0] }}
{{ l['a'] }}|{{ s.foo }}|{{ n.foo }}|{{ l[1.5] }}
{{ [] }}{{ {} }}{{ () }}{{ (1,) }}{{ [1, 'a', none, true, 1.5, {'k': ('v',)}] }}
{{ ["it's", 'say "x"', 'both \' and "', 'a\nb\t\\', 'é', '\x07', '\u200b', '\u00a0'] }}
{{ {'a': 1, 'a': 2, 3: 4, none: 5, true: 6}|tojson }}
{{ {[1]: 2} }}
{{ range(3)|list }}{{ range(1, 4)|list }}{{ range(5, 0, -2)|list }}{{ range(0)|list }}{{ range(3)[1] }}{{ range(4)|length }}
{{ range(1000000000) }}
{{ range(1, 2, 0) }}
{{ dict(a=1, b=2) }}{{ dict([('x', 1)]) }}{{ dict({'q': 1}, r=2) }}
{{ s|trim }}|{{ s|upper }}|{{ s|lower }}|{{ u|upper }}|{{ u|capitalize }}|{{ 'hello wORLD-foo (bar)'|title }}
{{ 'xxaxx'|trim('x') }}|{{ 5|trim }}|{{ none|upper }}
{{ s|length }}{{ u|length }}{{ l|count }}{{ d|length }}{{ e|length }}
{{ n|length }}
{{ 'aXbX'|replace('X', 'yy') }}|{{ 'aXbX'|replace('X', '', 1) }}|{{ 'abc'|replace('', '-') }}|{{ 121|replace(1, 3) }}
{{ l|join }}|{{ l|join(', ') }}|{{ w|join('-') }}|{{ people|join(',', attribute='name') }}|{{ 'abc'|join('.') }}
{{ l|first }}{{ l|last }}{{ []|first }}{{ 'xyz'|first }}{{ 'xyz'|last }}{{ d|first }}
{{ l|reverse|list }}{{ 'abc'|reverse }}{{ l|sort }}{{ w|sort }}{{ w|sort(case_sensitive=true) }}{{ l|sort(reverse=true) }}
{{ [1, 'a']|sort }}
{{ people|sort(attribute='name')|map(attribute='name')|join(' ') }}
{{ people[:3]|sort(attribute='home.city')|map(attribute='name')|list }}
{{ w|unique|list }}{{ [1, 1, 2]|unique|list }}{{ l|min }}{{ l|max }}{{ []|max }}{{ w|min }}{{ l|sum }}{{ people[:3]|sum('age') }}
{{ people|selectattr('age')|map(attribute='name')|list }}{{ people|selectattr('age', 'equalto', 31)|list|length }}
{{ people|rejectattr('age')|list|length }}{{ people|rejectattr('age', 'gt', 30)|map(attribute='name')|list }}
{{ people|selectattr('vip', 'defined')|map(attribute='name')|first }}
{{ l|select('odd')|list }}{{ l|reject('odd')|list }}{{ [0, 1, '', 'a']|select|list }}{{ l|select('in', [1, 2])|list }}
{{ w|map('upper')|list }}{{ w|map('replace', 'a', 'x')|list }}{{ people|map(attribute='age', default=0)|list }}
{{ none|selectattr('x')|list }}{{ undefined_thing|map('upper')|list }}
{{ none|list }}
{{ l|map('nonsense')|list }}
{{ l|batch(2)|list }}{{ l|batch(2, 'x')|list }}
{{ d|items|list }}{{ d.items()|list }}{{ d.keys()|list }}{{ d.values()|list }}{{ d|list }}{{ undefined_thing|items|list }}
{{ l|items|list }}
{{ d|dictsort|map('first')|list }}{{ {'b': 1, 'A': 2}|dictsort }}{{ {'b': 1, 'A': 2}|dictsort(true) }}{{ {'b': 1, 'A': 2}|dictsort(by='value', reverse=true) }}
{% for g in people[:3]|groupby('age') %}{{ g.grouper }}:{{ g.list|length }}{{ g[0] }} {% endfor %}
{% for k, v in people[:3]|groupby('home.city') %}{{ k }}={{ v|map(attribute='name')|join }};{% endfor %}
{{ undefined_thing|default('x') }}{{ e|default('x') }}{{ e|default('x', true) }}{{ none|d('y') }}{{ none|d('y', boolean=true) }}{{ undefined_thing|d }}
{{ '3'|int }}{{ '3.9'|int }}{{ 'x'|int }}{{ 'x'|int(5) }}{{ 4.9|int }}{{ -4.9|int }}{{ '0x1f'|int(base=16) }}{{ ' 7 '|int }}{{ none|int }}
{{ '3'|float }}{{ 'x'|float }}{{ 'x'|float(1.5) }}{{ true|float }}{{ '1e3'|float }}
{{ 2.5|round }}{{ 3.5|round }}{{ 2.567|round(2) }}{{ 2.1|round(0, 'ceil') }}{{ 2.9|round(method='floor') }}{{ 5|round }}{{ 42.55|round(1) }}
{{ 5|string + 'x' }}{{ -3|abs }}{{ (-3.5)|abs }}{{ true|string }}
{{ lines|indent }}#{{ lines|indent(2, true) }}#{{ lines|indent(2, blank=true) }}#{{ lines|indent('> ', first=true) }}
{{ 'abc'|center(9) }}|{{ 'ab'|center(5) }}|{{ 'hello big world'|truncate(9) }}|{{ 'hello big world'|truncate(9, true) }}|{{ 'hello big world'|truncate(9, false, '!', 0) }}
{{ 'a bc, d-e'|wordcount }}{{ '%s is %d'|format('x', 3) }}{{ '%(a)s'|format(a=1) }}{{ '%5.2f|%-4s|%04d|%x|%%'|format(3.14159, 'a', 42, 255) }}
{{ '%s %s' % ('a', 1) }}{{ '%r' % 'x' }}{{ '%s' % l }}{{ '%+d % d' % (5, 5) }}
{{ '%s' % (1, 2) }}
{{ '%s %s' % 1 }}
{{ '{} {}'.format('a', 1) }}{{ '{1}{0}{x}'.format('a', 'b', x=3) }}{{ '{{}}'.format() }}
{{ html|e }}|{{ html|escape|e }}|{{ html|safe }}|{{ '<'|safe + '<' }}|{{ '<' + '<'|safe }}|{{ ('<'|e) ~ '<' }}
{{ d|tojson }}|{{ d|tojson(indent=2) }}|{{ []|tojson(indent=4) }}|{{ {}|tojson(indent=4) }}|{{ u|tojson }}|{{ u|tojson(ensure_ascii=true) }}
{{ d|tojson(separators=(',', ':')) }}|{{ d|tojson(sort_keys=true) }}|{{ 'a"\\\n\t\x01\x7f/<'|tojson }}|{{ '😀'|tojson(ensure_ascii=true) }}|{{ (1, 2)|tojson }}
{{ undefined_thing|tojson }}
{{ 1.0|tojson }}{{ 1e100|tojson }}{{ none|tojson }}{{ true|tojson }}{{ html|tojson }}
{{ people[0]|attr('name') }}|{{ 'x'|attr('upper') is defined }}
{{ l|nonsense }}
{% if false %}{{ l|nonsense }}{% endif %}ok
{% if true %}{{ l|nonsense }}{% endif %}ok
{{ l is nonsense }}
{{ 1 is odd }}{{ 2 is even }}{{ 9 is divisibleby 3 }}{{ 9 is divisibleby(2) }}{{ 1 is number }}{{ 1 is integer }}{{ 1.0 is float }}{{ true is number }}{{ true is integer }}{{ true is boolean }}
{{ 'a' is string }}{{ l is string }}{{ l is sequence }}{{ 'a' is sequence }}{{ d is sequence }}{{ d is mapping }}{{ l is mapping }}{{ l is iterable }}{{ 1 is iterable }}{{ d.items() is sequence }}{{ l|map('int') is sequence }}
{{ 'A' is upper }}{{ 'a' is lower }}{{ '1' is upper }}{{ 1 is eq 1 }}{{ 1 is ne(2) }}{{ 1 is lt 2 }}{{ 1 is sameas 1 }}{{ none is sameas none }}{{ 1 is in l }}{{ 1 is not in [2] }}{{ true is true }}{{ 1 is true }}{{ false is false }}
{{ raise_exception is callable }}{{ s is callable }}{{ s.upper is callable }}{{ 'upper' is filter }}{{ 'odd' is test }}{{ 'x' is not defined }}{{ nope is not defined }}{{ not nope is defined }}
{{ 1 is defined and 2 is defined }}{{ n is number or nope.x }}{{ n == 7 is true }}
{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}|{{ 'xyaxy'.strip('xy') }}|{{ 'xyaxy'.lstrip('x') }}|{{ s.upper() }}|{{ u.lower() }}|{{ u.title() }}|{{ u.swapcase() }}|{{ "they're x".title() }}
{{ 'a,b,,c'.split(',') }}{{ ' a  b '.split() }}{{ 'a b c'.split(' ', 1) }}{{ ' a b  c '.split(none, 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ ''.split(',') }}{{ ''.split() }}{{ lines.splitlines() }}{{ lines.splitlines(true) }}
{{ 'a'.split('') }}
{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('bc') }}{{ 'abc'.startswith(('x', 'a')) }}{{ 'abc'.startswith('') }}{{ 'abc'.find('c') }}{{ u.find('e') }}{{ 'abc'.find('x') }}{{ 'abcb'.rfind('b') }}{{ 'abcb'.index('b') }}{{ 'abcb'.count('b') }}{{ 'aaa'.find('a', 1) }}
{{ 'abc'.index('x') }}
{{ 'a-b-c'.partition('-') }}{{ 'a-b-c'.rpartition('-') }}{{ 'abc'.partition('-') }}{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('c') }}{{ 'abc'.replace('b', 'x') }}{{ ', '.join(['a', 'b']) }}
{{ ','.join([1]) }}
{{ '12'.isdigit() }}{{ 'a1'.isalnum() }}{{ 'a'.isalpha() }}{{ ' '.isspace() }}{{ 'A'.isupper() }}{{ 'a'.islower() }}{{ ''.isdigit() }}{{ '²'.isdigit() }}{{ '½'.isnumeric() }}{{ '½'.isdecimal() }}
{{ 'a'.center(4, '*') }}{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '.') }}{{ '-7'.zfill(4) }}{{ 'hi'.capitalize() }}
{{ d.get('b') }}{{ d.get('zz') }}{{ d.get('zz', 'q') }}{{ l.index(2) }}{{ l.count(3) }}{{ d.copy() == d }}
{{ d.pop('b') }}
{{ l.append(1) }}
{{ d.update({'x': 1}) }}
{{ messages[1].items is defined }}{{ messages[1]['items'] }}{{ messages[1].n + 1 }}
{{ s.__class__ }}|{{ s.__class__ is defined }}
{{ s.__class__.__mro__ }}
{{ s.nope() }}
{{ n() }}
{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for i in [] %}x{% else %}none{% endfor %}{% for i in l if i > 5 %}x{% else %}none{% endfor %}
{% for i in l if i != 1 %}{{ i }}{{ loop.index }}{{ loop.last }}{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k in d %}{{ k }}{% endfor %}{% for c in 'añb' %}{{ c }}.{% endfor %}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{% endfor %}
{% for a in 5 %}{% endfor %}
{% for a in nothing %}{% endfor %}
{% for a in nope %}x{% else %}y{% endfor %}
{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{{ loop.index }}{% endfor %}
{% for i in 1, 2, 3 %}{{ i }}{% endfor %}{% for i in [1] %}{{ loop.cycle('a', 'b') }}{% endfor %}
{% for i in [1, 2, 3, 4] %}{{ loop.cycle('a', 'b') }}{% endfor %}{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{% endfor %}
{% for i in [[1, [2, [3]]], 4] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}@{{ loop.depth }}{% endif %}{% endfor %}
{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% for i in [1] %}{{ x }}{% set x = 3 %}{{ x }}{% endfor %}{{ x }}
{% for i in [1, 2] %}{{ y is defined }}{% set y = i %}{% endfor %}{{ y is defined }}
{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns.b }}{{ ns['a'] }}{{ ns.c is defined }}
{% set d.b = 3 %}
{% set ns = namespace({'q': 1}) %}{{ ns.q }}{% set ns.r %}block{% endset %}{{ ns.r }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set (p, q) = [3, 4] %}{{ p }}{{ q }}{% set tup = 1, 2 %}{{ tup }}
{% set x %}a{{ n }}b{% endset %}{{ x }}{{ x|length }}{% set y|upper|trim %} hi {% endset %}[{{ y }}]
{% set z = 5 %}{% set x %}{% set z = 6 %}{{ z }}{% endset %}{{ x }}{{ z }}
{% with a = 1, b = n %}{{ a }}{{ b }}{% set a = 9 %}{{ a }}{% endwith %}{{ a is defined }}
{% filter upper %}abc{{ s }}{% endfilter %}{% filter replace('a', 'b')|upper %}banana{% endfilter %}
{% macro m(a, b=2, c=a) %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}{{ m(1, c='x')|upper }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}
{% set g = 1 %}{% macro m() %}{{ g }}{{ later }}{% endmacro %}{% set later = 'L' %}{% set g = 2 %}{{ m() }}
{% macro f(k) %}{{ k }}{% if k > 0 %}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro f(k) %}{{ f(k) }}{% endmacro %}{{ f(1) }}
{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}
{% macro box(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call box('b') %}x{{ n }}{% endcall %}
{% macro each(l) %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(i) each(l) %}({{ i }}){% endcall %}
{% macro m(x) %}  {{ x }}  {% endmacro %}[{{ m('a') }}][{{ m('b').strip() }}]{{ m('c')|trim ~ '!' }}
{% generation %}a{{ n }}{% endgeneration %}b
{% raw %}{{ x }}{% if %}{% endraw %}|{%- raw -%}  {{ y }}  {%- endraw -%}  |
{# comment {{ x }} #}a{#- trim -#}  b  {#- c #} d
{{ raise_exception('no ' ~ n) }}
{{ strftime_now('%Y-%m-%d') }}|{{ strftime_now('%d %b %Y, %A %B %-d') }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{% set j = joiner('|') %}{{ j() }}x{{ j() }}y{{ j() }}
{{ self.nope }}|{{ loop is defined }}
{{ {'a': {'b': 1}}['a'].b }}{{ {'a':1}|length }}{{ [[1], [2]][1][0] }}{{ ({'a': 1}).a }}
{{ (l|first) }}{{ [1, 2][0] + 3 }}{{ 'x'.upper()|lower }}{{ l|map('string')|join('+') ~ '=' ~ l|sum }}
{{ 'yes' if l|select('gt', 2)|list else 'no' }}{{ 'gen' if l|select('gt', 9) else 'no' }}
{% if l and not e %}a{% elif n %}b{% else %}c{% endif %}{% if e %}a{% elif n == 7 %}b{% else %}c{% endif %}{% if e %}{% elif e %}{% else %}c{% endif %}
{% if l is not none and l|length > 2 %}y{% endif %}{% if 'x' not in d and n is not string %}z{% endif %}
{%if n%}tight{%endif%}{%-if n-%} trim {%-endif-%}
a  {%- if t %}  b  {% endif -%}  c
{% include 'x' %}
{% extends 'x' %}
{% import 'x' as y %}
{% nonsense %}
{% if %}{% endif %}
{% if n %}
{% for %}{% endfor %}
{{ }}
{{ 1 +
{{ 1 ]}}
{{ 'abc }}
{# open
{% raw %} open
{{ a b }}
{{ ?? }}
{% endif %}
{% break %}
{% set 1 = 2 %}
{{ x.1y }}
{{ [1, 2, }}
{{ f(1, a=2, 3) }}
'''

BLOCKS = [
    "{% if t %}\n  x\n{% endif %}\ny\n",
    "  {% if t %}\n  x\n  {% endif %}\n  y\n\n",
    "a {% if t %} b\n{% endif %} c",
    "  {{ n }}\n  {{ n -}}\n  z",
    "{% for i in l %}\n  - {{ i }}\n{% endfor %}\nend",
    "{% for i in l -%}\n  - {{ i }}\n{%- endfor %}\nend",
    "{% for i in l +%}\n{{ i }}\n{%+ endfor %}\nend",
    "  {%+ if t %}x{% endif +%}\n  y",
    "{# c #}\nx\n  {# c #}\n  y{# c -#}\n\n z",
    "{{ n }}  {% if t %}x{% endif %}  {# c #}\n\n",
    "\n\n{% if t %}\n\n\nx{% endif %}\n",
    "\t {% set x = 1 %} \n{{ x }}\r\n{% set y %}\r\n  v\r\n{% endset %}\r\n[{{ y }}]\r",
    "{% raw %}\n  {{ x }}\n  {% endraw %}\nz",
    "  {% raw %}  a  {% endraw %}  \n",
    "x\n   {%- if t %}\n   y\n   {%- endif %}\n",
    "{{- n -}}\n\n{{- '\\n' -}}\n {{ n }}\n",
    "{% macro m() %}\n  in\n{% endmacro %}\n{{ m() }}|\n",
    "{%- macro m() -%}\n  in\n{%- endmacro -%}\n{{ m() }}|\n",
    "{% set x = {\n  'a': 1,\n  'b': [1,\n 2]\n} %}{{ x.b }}\n",
    "\u00a0{% if t %}\u2003\nx{%- endif %}\u3000\n{%- if t %}y{% endif %}",
]

# In the style of each family: what their templates do, in our own words.
FAMILIES = {
    "chatml": """\
{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
{{ '<|im_start|>system\\nBe useful.<|im_end|>\\n' }}{% endif %}\
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "instruction brackets": """\
{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}\
{% set system_message = messages[0]['content'] %}{% else %}\
{% set loop_messages = messages %}{% set system_message = false %}{% endif %}\
{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Roles have to alternate') }}{% endif %}\
{% if loop.index0 == 0 and system_message != false %}\
{% set content = '<<S>>\\n' + system_message + '\\n<</S>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}\
{% if message['role'] == 'user' %}{{ bos_token + '[I] ' + content.strip() + ' [/I]' }}\
{% elif message['role'] == 'assistant' %}{{ ' ' + content | trim + ' ' + eos_token }}\
{% endif %}{% endfor %}""",
    "headers and tools": """\
{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = strftime_now("%d %b %Y") if strftime_now is defined else "then" %}
{%- endif %}
{%- if messages and messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] if messages[0]['content'] is string \
else messages[0]['content'][0]['text'] %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|head|>system<|end|>\\n\\nToday: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {{- "Call one of:\\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message | trim }}
{{- "<|eot|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|head|>' + message['role'] + '<|end|>\\n\\n' }}
        {%- if message.content is string %}
            {{- message.content | trim }}
        {%- else %}
            {%- for part in message.content %}
                {%- if part.type == 'image' %}{{ '<|image|>' }}
                {%- elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}
            {%- endfor %}
        {%- endif %}
        {{- '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot|>" }}
    {%- else %}
        {{- "<|head|>ipython<|end|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|end|>\\n\\n' }}
{%- endif %}
""",
    "tool ids and last user": """\
{%- set ns = namespace(last=-1, index=0) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and loop.index0 == ns.last %}
            {{- "[TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}{{- ", " }}{%- else %}{{- "]" }}{%- endif %}
            {%- endfor %}
            {{- "[/TOOLS]" }}
        {%- endif %}
        {{- "[I]" + (message["content"] if message["content"] is string else \
message["content"]|selectattr("type", "equalto", "text")|map(attribute="text")|join("\\n")) + "[/I]" }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("ids have nine characters") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {{- ", " if not loop.last else "]" + eos_token }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- elif message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[RESULT] {"content": ' + content|string + "}[/RESULT]" }}
    {%- endif %}
{%- endfor %}
""",
    "thinking": """\
{%- macro show(content) %}
    {%- if content is string %}{{ content }}
    {%- elif content is iterable and content is not mapping %}
        {%- for item in content %}
            {%- if 'image' in item or 'image_url' in item or item.type == 'image' %}
                {{- '<|v|>' }}
            {%- elif 'text' in item %}{{ item.text }}{% else %}{{ raise_exception('What is this?') }}
            {%- endif %}
        {%- endfor %}
    {%- elif content is none or content is undefined %}{{ '' }}
    {%- endif %}
{%- endmacro %}
{%- set ns = namespace(multi_step=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step and message.role == "user" and not (show(message.content)\
.startswith('<result>') and show(message.content).endswith('</result>')) %}
        {%- set ns.multi_step = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = show(message.content)|trim %}
    {%- if message.role == "assistant" %}
        {%- set reasoning = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last and (loop.last or (not loop.last and reasoning)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- for call in message.tool_calls or [] %}
            {%- if call.function %}{% set call = call.function %}{% endif %}
            {{- '\\n<call>\\n{"name": "' ~ call.name ~ '", "arguments": ' }}
            {{- call.arguments if call.arguments is string else call.arguments | tojson }}
            {{- '}\\n</call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<result>\\n' + content + '\\n</result>' }}
        {%- if loop.last or (loop.nextitem.role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- else %}
        {{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""",
    "turns": """\
{{ bos_token }}
{%- if messages and messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set prefix = "" -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<turn>' + role + '\\n' + (prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}
                {{ '<image>' }}
            {%- elif item['type'] == 'text' -%}
                {{ item['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Invalid content type") }}
    {%- endif -%}
    {{ '</turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<turn>model\\n' }}
{%- endif -%}
""",
    "typed parameters": """\
{%- macro type_of(spec, required) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}{{ type_of(spec['items'], required) ~ "[]" }}
        {%- else -%}any[]{%- endif -%}
    {%- elif spec.type is iterable and spec.type is not string -%}
        {{ spec.type | join(" | ") }}
    {%- elif spec.oneOf -%}
        {%- for variant in spec.oneOf -%}
            {{- type_of(variant, required) -}}{% if not loop.last %} | {% endif %}
        {%- endfor -%}
    {%- elif spec.type == "string" and spec.enum -%}
        {{ '"' + spec.enum|join('" | "') + '"' }}
    {%- elif spec.type in ["number", "integer"] -%}number
    {%- elif spec.type == "object" and spec.properties -%}
        {{- "{\\n" }}{% for name, inner in spec.properties.items() -%}
            {{ name }}{% if name not in (spec.required or []) %}?{% endif %}: {{ type_of(inner, spec.required) }}
            {%- if not loop.last %}, {% endif %}
        {%- endfor -%}{{- "}" }}
    {%- else -%}{{ spec.type|default("any") }}{%- endif -%}
{%- endmacro -%}
{%- for tool in tools or [] %}
{%- set tool = tool.function %}
// {{ tool.description|replace("\\n", " ") }}
type {{ tool.name }} = (
{%- for name, spec in tool.parameters.properties|dictsort %}
{{ "\\n" ~ name }}{{ "?" if name not in tool.parameters.get("required", []) }}: {{ type_of(spec, []) }},
    {%- if spec.default is defined %} // default: {{ spec.default|tojson }}{% endif %}
{%- endfor %}) => any;
{% endfor %}
{%- for message in messages %}
{%- generation %}<|{{ message.role }}|>{{ message.content }}{% endgeneration %}
{%- endfor %}
""",
}


def family_cases():
    for name, source in FAMILIES.items():
        for title, messages in CONVERSATIONS.items():
            for tools, prompt in ((None, True), ([WEATHER], False)):
                yield f"{name}: {title}{', tools' if tools else ''}", source, {
                    "messages": messages, "tools": tools, "bos_token": "<s>",
                    "eos_token": "</s>", "add_generation_prompt": prompt,
                    **({"enable_thinking": False} if tools else {})}


def main():
    env, cases = environment(), []
    small = [line for line in SNIPPETS.split("\n") if line] + BLOCKS
    for name, source, variables in (
            [(source, source, None) for source in small] + list(family_cases())):
        want = expected(compiled(env, source), variables or GLOBALS)
        case = {"name": name, **want}
        if source != name:
            case.update(template=name.split(":")[0], globals=variables)
        cases.append(case)
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    print(f'{{"globals": {json.dumps(GLOBALS, ensure_ascii=False)},\n'
          f'"templates": {json.dumps(FAMILIES, indent=1)},\n"cases": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
