#!/usr/bin/env python3
# tests/golden/sampler/make_walks.py
# SPDX-License-Identifier: MIT
#
# Validates the texts that our sampler makes under each schema of schemas.jsonl with the
# jsonschema package (4.x, formats checked) and writes the SHA-256 of each schema's texts to
# walks.txt. The test makes the texts again and compares: what it makes has been validated.
#     make -C BUILD tests/engine/text/walk_schema
#     cd tests/golden/sampler
#     BUILD/tests/engine/text/walk_schema schemas.jsonl | python3 make_walks.py > walks.txt
# Needs PyPI jsonschema and rfc3339-validator.
import hashlib
import json
import pathlib
import sys

from jsonschema import Draft202012Validator

schemas = pathlib.Path(__file__).with_name("schemas.jsonl").read_text().splitlines()
texts = {}
for line in sys.stdin.buffer:
    number, text = line.rstrip(b"\n").split(b"\t", 1)
    texts.setdefault(int(number), []).append(text)
assert sorted(texts) == list(range(len(schemas))), "a schema has no texts"
failed = 0
print("# made by tests/golden/sampler/make_walks.py; one line for each schema")
for number, schema in enumerate(schemas):
    validator = Draft202012Validator(
        json.loads(schema), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for text in texts[number]:
        errors = list(validator.iter_errors(json.loads(text.decode())))
        if errors:
            failed += 1
            print(schema, text.decode(), errors[0].message, sep="\n", file=sys.stderr)
    print(hashlib.sha256(b"\n".join(texts[number])).hexdigest())
sys.exit(failed > 0)
