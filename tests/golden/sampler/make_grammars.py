#!/usr/bin/env python3
# tests/golden/sampler/make_grammars.py
# SPDX-License-Identifier: MIT
#
# Writes grammars.jsonl: for each grammar texts and the peer's verdict on them, "y" the whole
# text is accepted, "p" it may begin an accepted one, "n" neither. Half of the texts are
# walks through what the peer allows, half are these with a mistake.
# Needs PyPI llama-cpp-python (0.3.36 was used) and any model, for its tokenizer only
# (SmolLM2-135M was used):
#     python3 make_grammars.py MODEL.gguf > grammars.jsonl
import ctypes
import json
import random
import sys

import llama_cpp as peer
import numpy as np

GRAMMARS = [
    r'''root ::= "{" ws (pair ("," ws pair)*)? "}"
pair ::= string ":" ws value
value ::= root | "[" ws (value ("," ws value)*)? "]" | string | number | "true" | "null"
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,5}) ("." [0-9]+)?
ws ::= | " " | "\n" [ \t]{0,4}''',
    r'''root ::= (expr "=" ws term "\n")+
expr ::= term ([-+*/] term)*
term ::= ident | num | "(" ws expr ")" ws
ident ::= [a-z] [a-z0-9_]* ws
num ::= [0-9]+ ws
ws ::= [ \t\n]*''',
    r'''root ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
move ::= (pawn | piece | castle) [+#]?
piece ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
pawn ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
castle ::= "O-O" "-O"?''',
    r'''root ::= item+ # a list
item ::= "- " [^\r\n\x0b\x0c\u2028\u2029]{1,8} "\n"''',
    r'''root ::= ("a" | "ab" | "abc"){2,5} (x | y)?
x ::= "x" x? | ""
y ::= (
    "z" |
    "w"+ "v"{2}
){0,3}''',
    r'''root ::= [ぁ-ゟ] [ァ-ヿ]* ([、-〾] | "é" | [^\u0000-\u00ff]){1,3} .''',
    r'''root ::= s
s ::= "(" s ")" s | "[" s "]" s | ""''',
]


class Vocabulary:
    def __init__(self, path):
        self.model = peer.Llama(model_path=path, vocab_only=True, verbose=False)
        self.vocab = self.model._model.vocab
        self.size = self.model.n_vocab()
        self.end = next(i for i in range(self.size) if peer.llama_vocab_is_eog(self.vocab, i))

    def encode(self, text):
        return self.model.tokenize(text.encode(), add_bos=False, special=False) if text else []

    def text(self, tokens):
        return self.model.detokenize(tokens, special=False)


def allowed(v, sampler):
    array = (peer.llama_token_data * v.size)()
    view = np.ctypeslib.as_array(array)
    view["id"] = np.arange(v.size)
    data = peer.llama_token_data_array(data=array, size=v.size, selected=-1, sorted=False)
    peer.llama_sampler_apply(sampler, ctypes.byref(data))
    return np.isfinite(view["logit"])


def verdict(v, grammar, text):
    sampler = peer.llama_sampler_init_grammar(v.vocab, grammar.encode(), b"root")
    for token in v.encode(text):
        if not allowed(v, sampler)[token]:
            return "n"
        peer.llama_sampler_accept(sampler, token)
    return "y" if allowed(v, sampler)[v.end] else "p"


def walk(v, grammar, rng):
    sampler = peer.llama_sampler_init_grammar(v.vocab, grammar.encode(), b"root")
    tokens = []
    for _ in range(rng.randrange(1, 14)):
        ids = [int(i) for i in np.nonzero(allowed(v, sampler))[0]
               if not peer.llama_vocab_is_eog(v.vocab, int(i))]
        ids = [i for i in ids if v.text([i]) and (rng.random() < 0.2 or len(v.text([i])) < 3)]
        if not ids:
            break
        tokens.append(rng.choice(ids))
        peer.llama_sampler_accept(sampler, tokens[-1])
    return v.text(tokens).decode(errors="ignore")


def spoil(text, rng):
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(["", "x", "}", " ", "0", "é", ")"]) + text[at + 1:]


def main():
    v = Vocabulary(sys.argv[1])
    rng = random.Random(20231123)
    for grammar in GRAMMARS:
        texts = {""}
        for _ in range(14):
            text = walk(v, grammar, rng)
            texts |= {text, spoil(text, rng)}
        cases = [[text, verdict(v, grammar, text)] for text in sorted(texts)]
        print(json.dumps({"grammar": grammar, "cases": cases}))


main()
