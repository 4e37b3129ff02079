#!/usr/bin/env python3
# tests/engine/text/template_differential.py
# SPDX-License-Identifier: MIT
#
# Compares our chat templates with Jinja2 on real templates, which stay outside of the tree:
#
#   template_differential.py [-v] path/to/template_render FOLDER
#
# FOLDER holds *.jinja files and *.gguf models (those need the Python package gguf). Each
# template is rendered for a matrix of conversations by both. Equal means the same text, or
# an error from both; "refused" means that Jinja2 renders and we say why we do not.
import argparse
import collections
import itertools
import json
import pathlib
import subprocess
import sys
from datetime import datetime, timezone

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1767225600  # 2026-01-01


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_run")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = (
        lambda f: datetime.fromtimestamp(NOW, timezone.utc).strftime(f))
    return env


def compiled(env, source):
    try:
        return env.from_string(source)
    except Exception as error:  # TemplateError, and SyntaxError for a break outside of a loop
        return error


def expected(template, variables):
    if isinstance(template, Exception):
        return {"error": str(template)}
    try:
        return {"text": template.render(**variables)}
    except Exception as error:  # whatever the template or Jinja2 raises counts as refusal
        return {"error": f"{type(error).__name__}: {error}"}


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place.\nToday's, \"as it is\" <now>.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "City, e.g. Zürich"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"],
                         "default": "celsius"},
                "days": {"type": "array", "items": {"type": "integer"}},
                "exact": {"type": ["boolean", "null"], "description": "more digits"},
                "where": {"type": "object",
                          "properties": {"lat": {"type": "number"}},
                          "required": ["lat"]},
            },
            "required": ["place"],
        },
        "return": {"type": "number", "description": "degrees"},
    },
}
CLOCK = {"type": "function", "function": {
    "name": "clock", "description": "What time it is",
    "parameters": {"type": "object", "properties": {}}}}


def call(arguments, **more):
    return {"role": "assistant", "tool_calls": [
        {"id": "abcdef123", "type": "function",
         "function": {"name": "get_weather", "arguments": arguments}}], **more}


def text(words):
    return [{"type": "text", "text": words}]


USER = {"role": "user", "content": "Hello, <|im_start|>world {{ x }}"}
REPLY = {"role": "assistant", "content": "Hi there!  "}
AGAIN = {"role": "user", "content": "  And again?\n\n"}
SYSTEM = {"role": "system", "content": "You are terse."}
RESULT = {"role": "tool", "tool_call_id": "abcdef123", "name": "get_weather",
          "content": "{\"degrees\": 21.5}"}
ARGUMENTS = {"place": "Zürich", "days": [1, 2], "exact": None, "where": {"lat": 47.4},
             "unit": "celsius"}
THOUGHT = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nForty-two."}
REASONED = {"role": "assistant", "content": "Forty-two.", "reasoning_content": "hm\nhm",
            "thinking": "hm"}
IMAGE = {"role": "user", "content": [
    {"type": "image"}, {"type": "text", "text": "What is this?"},
    {"type": "image_url", "image_url": {"url": "data:"}}, {"type": "image", "image": "x"},
    {"type": "text", "text": "Well?"}]}

CONVERSATIONS = {
    "one question": [USER],
    "system": [SYSTEM, USER],
    "dialogue": [USER, REPLY, AGAIN],
    "dialogue with system": [SYSTEM, USER, REPLY, AGAIN],
    "ends with the assistant": [SYSTEM, USER, REPLY],
    "parts": [{"role": "user", "content": text("Hello")}],
    "parts with system": [{"role": "system", "content": text("Be brief.")},
                          {"role": "user", "content": text("Hello")},
                          {"role": "assistant", "content": text("Hi")},
                          {"role": "user", "content": text("So?")}],
    "image": [IMAGE],
    "image with system": [SYSTEM, IMAGE, REPLY, AGAIN],
    "tool call": [USER, call(ARGUMENTS), RESULT],
    "tool call with null content": [SYSTEM, USER, call(ARGUMENTS, content=None), RESULT,
                                    REPLY, AGAIN],
    "tool call with empty content": [USER, call(ARGUMENTS, content=""), RESULT, REPLY],
    "tool call with arguments as text": [USER, call(json.dumps(ARGUMENTS), content="So:"),
                                         RESULT],
    "two results": [USER, call({}, content=""), RESULT, {**RESULT, "content": "no"}],
    "thought": [USER, THOUGHT, AGAIN],
    "reasoned": [SYSTEM, USER, REASONED, AGAIN, REASONED],
    "reasoned call": [USER, call(ARGUMENTS, content="", reasoning_content="which place?"),
                      RESULT],
    "two users": [USER, AGAIN],
    "assistant first": [REPLY, USER],
    "developer": [{"role": "developer", "content": "Obey."}, USER],
    "unknown role": [USER, {"role": "narrator", "content": "Later"}],
    "odd characters": [{"role": "user", "content": "é😀\t\"q\" 'a' \\ </s> \u00a0\u2028"}],
    "empty": [],
    "empty content": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}],
}


def cases():
    tools = {"": None, ", tools": [WEATHER, CLOCK]}
    extras = {
        "": {},
        ", thinking": {"enable_thinking": True, "thinking": True,
                       "reasoning_effort": "high"},
        ", no thinking": {"enable_thinking": False, "thinking": False, "documents": [
            {"title": "A page", "text": "Its words", "doc_id": 7}]},
    }
    for (name, messages), (t, offered), prompt, (e, extra) in itertools.product(
            CONVERSATIONS.items(), tools.items(), (False, True), extras.items()):
        yield f"{name}{t}{', prompt' if prompt else ''}{e}", {
            "messages": messages, "tools": offered, "documents": None,
            "add_generation_prompt": prompt, "bos_token": "<s>", "eos_token": "</s>",
            **extra}


def templates(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".jinja":
            yield path.name, path.read_text(encoding="utf-8")
        if path.suffix == ".gguf":
            from gguf import GGUFReader
            for key, field in GGUFReader(path).fields.items():
                if key.startswith("tokenizer.chat_template") and len(field.data) == 1:
                    yield f"{path.name}:{key}", bytes(field.parts[field.data[0]]).decode()


class Renderer:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        encoding="utf-8")

    def render(self, source, variables):
        request = {"template": source, "globals": variables, "now": NOW}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", action="store_true", help="show both texts")
    parser.add_argument("program")
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    env, renderer = environment(), Renderer(options.program)
    totals, refusals, broken = collections.Counter(), collections.Counter(), set()
    for name, source in templates(options.folder):
        totals["templates"] += 1
        template = compiled(env, source)
        for case, variables in cases():
            want = expected(template, variables)
            got = renderer.render(source, variables)
            totals["cases"] += 1
            if ("error" in want and "error" in got) or want.get("text", 0) == got.get("text"):
                totals["equal"] += 1
                totals["equal errors"] += "error" in want
                continue
            if "error" in got:
                totals["refused"] += 1
                refusals[f"{name}: {got['error']}"] += 1
                continue
            totals["different"] += 1
            if name in broken and not options.v:
                continue
            broken.add(name)
            print(f"# {name}, {case}:\n#   jinja2: {want}\n#   ours:   {got['text']!r}")
    for reason, count in refusals.most_common():
        print(f"# refused {count} times: {reason}")
    print("# " + ", ".join(f"{count} {what}" for what, count in totals.items()))
    return 1 if totals["different"] or not totals["templates"] else 0


if __name__ == "__main__":
    sys.exit(main())
