#!/usr/bin/env python3
# tests/golden/tokenizer/generate.py
# SPDX-License-Identifier: MIT
#
# Makes the golden files of the tokenizer tests: strings that are hard on tokenizers, and the
# ids that llama.cpp gives them.
#
#     generate.py strings > strings.txt
#     generate.py ids MODEL.gguf < strings.txt > MODEL.txt
#     generate.py families < strings.txt > families.txt
#
# The first needs only Python and always writes the same. The others need llama-cpp-python
# and gguf; the committed files come from version 0.3.36 of the former.
#
# strings.txt has one string per line, in hexadecimal. MODEL.txt has one line for each of
# them: the ids without special tokens, a space, and the ids with them, or "=" where those
# are the same. An id is three characters, most significant first, of the 64 of base64.
#
# families.txt has one line for each name of a pre-tokenizer: the SHA-256 of the ids of all
# strings with a made-up vocabulary (see made_up), each id as four bytes, least significant
# first, and four bytes of 255 after each string.
import ctypes
import hashlib
import os
import random
import sys
import tempfile

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

# The first sentence of the Universal Declaration of Human Rights, article 1.
LANGUAGES = """
All human beings are born free and equal in dignity and rights.
Alle Menschen sind frei und gleich an Würde und Rechten geboren.
Tous les êtres humains naissent libres et égaux en dignité et en droits.
Todos los seres humanos nacen libres e iguales en dignidad y derechos.
Todos os seres humanos nascem livres e iguais em dignidade e em direitos.
Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti.
Alle mensen worden vrij en gelijk in waardigheid en rechten geboren.
Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.
Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv.
Minden emberi lény szabadon születik és egyenlő méltósága és joga van.
Toate ființele umane se nasc libere și egale în demnitate și în drepturi.
Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.
Alla människor är födda fria och lika i värde och rättigheter.
Alle mennesker er født frie og med samme menneskeverd og menneskerettigheter.
Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.
Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.
Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama.
Watu wote wamezaliwa huru, hadhi na haki zao ni sawa.
Все люди рождаются свободными и равными в своем достоинстве и правах.
Всі люди народжуються вільними і рівними у своїй гідності та правах.
Всички хора се раждат свободни и равни по достойнство и права.
Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.
כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.
يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق.
تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند.
सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।
সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।
பிறப்பில் மக்கள் அனைவரும் சுதந்திரமாகவும் சமமான மதிப்புடனும் பிறக்கின்றனர்.
మనుష్యులందరును పుట్టుకతో స్వతంత్రులు.
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ
ადამიანები იბადებიან თავისუფალნი და თანასწორნი ღირსებითა და უფლებებით.
Բոլոր մարդիկ ծնվում են ազատ ու հավասար՝ իրենց արժանապատվությամբ ու իրավունքներով։
የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።
すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。
人人生而自由，在尊嚴和權利上一律平等。
人人生而自由，在尊严和权利上一律平等。
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.
""".strip().split("\n")

CODE = [
    "#include <stdio.h>\n\nint main(void)\n{\n    printf(\"%d\\n\", 1 << 4);\n    return 0;\n}\n",
    "def f(x, *args, **kw):\n\t'''doc'''\n\treturn {k: v for k, v in kw.items() if v is not None}\n",
    "const a = async () => { await fetch(`/api/${id}?q=1&r=2`); };",
    "SELECT a.*, COUNT(1) FROM t AS a WHERE x <> 'it''s' GROUP BY 1;",
    "for (size_t i = 0; i < n; i++) {\n        a[i] += b[i] * 0x7fff'ffff;\n        // done\n    }\n\n\n",
    "<!DOCTYPE html>\n<table><tr><td>1</td></tr></table>\n<b>bold</b><br/>&nbsp;&#8212;",
    "fn main() -> Result<(), Box<dyn Error>> { let x: u64 = 1_000; Ok(()) }",
    "$ ls -la | grep '^d' && echo \"$HOME\" > /dev/null 2>&1",
    "{\"key\": [1, 2.5e-10, null, true], \"\\u00e9\": \"\\\\n\"}",
    "x = y\r\n\r\nif x:\r\n    pass\r\n",
    "\\begin{align}\n  E &= mc^2 \\\\\n\\end{align}",
    "| a | b |\n|---|:-:|\n| 1 | `2` |\n\n* one\n* two\n\n```c\nint x;\n```\n",
    "https://example.org/a_b-c?d=%20e#f user@example.com 192.168.0.1:8080 1.2.3-rc.4",
    "camelCaseWord PascalCaseWord snake_case_word SCREAMING_SNAKE kebab-case XMLHttpRequest",
]

SMALL = [
    "", " ", "  ", "\n", "\n\n", "\t", "\r\n", "a", "A", "0", "'", "''", "'s", "'S", "it's", "I'LL",
    "we'VE they're I'm he'd don't", "'re'll've", "\u2019s it\u2019s", "'\u017f", "12345678901234567890",
    "1,234,567.89", "3.14159", "\u0663\u0664\u0665", "\u00bd\u00b2\u2462\u2167", "1a2b3c", "a1 b2 c3", "001 0001 00001",
    "hello world", " hello", "hello ", "  hello  ", "Hello, World!", "HELLO", "...", "!?!?", "---", "a-b", "a--b",
    "\u00e9", "e\u0301", "\u00c5 \u212b", "\ufb01", "\u1e9e\u00df", "\ufeffBOM", "a\u200bb", "a\u00a0b", "a\u3000b", "\u2028\u2029",
    "\u0085x", "x\u0085", "a\u1680b", "\u180e", "\u2060", "a\u00adb", "\u0000", "a\u0000b", "\u007f", "\u0080", "\u009f",
    "\u2581", "\u2581a", "a\u2581b", "\u2581\u2581\u2581", " \u2581 ", "\ufffd", "\ufffe\uffff", "\U0010ffff", "\U000e0001\U000e0041",
    "\u202eabc\u202c", "\u0120hello", "\u010a", "\u4e00", "\u9fff", "\u3042\u30a2", "\uac00\ud7a3", "\u1100\u1161\u11a8",
    "\U00020000", "\U0002ebf0\U0002ebf1", "\U00031350", "\u2ffc", "\u31ef", "\U0001e900", "\U00010400", "\u0378",
    "<0x0A>", "<0xFF>", "<0x-1>", "\u20ac100", "$100", "50%", "a/b", "a\\b", "@user #tag", "C++ C# F#", "x^2 + y_1",
]

EMOJI = [
    "\U0001f600", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\U0001f926\U0001f3fc\u200d\u2642\ufe0f", "\u263a", "\U0001fae0", "\U0001f9d1\u200d\U0001f4bb", "\u00a9\u00ae\u2122",
]

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<reponame>", "<file_sep>", "<filename>",
    "<gh_stars>", "<issue_start>", "<issue_comment>", "<issue_closed>", "<jupyter_start>", "<jupyter_text>",
    "<jupyter_code>", "<jupyter_output>", "<jupyter_script>", "<empty_output>", "<pad>", "<eos>", "<bos>",
    "<unk>", "<mask>", "[multimodal]", "<unused0>", "<unused1>", "<unused12>", "<unused123>", "<unused6241>",
    "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>",
    "<table>", "</table>", "<td>", "</td>", "<h1>", "</h1>", "<s>", "</s>", "<b>", "<i>", "<code>", "</code>",
    "<|object_ref_start|>", "<|box_end|>", "<|vision_start|>", "<|vision_pad|>", "<|image_pad|>", "<tool_call>",
    "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
    "<|file_sep|>", "[PAD151665]", "<|eot_id|>", "<|begin_of_text|>", "[INST]", "[/INST]", "<<SYS>>",
]


def lenient(data):
    """Whether every sequence that looks like UTF-8 is within Unicode: the peer gives up else."""
    for i in range(len(data) - 3):
        a, b, c, d = data[i:i + 4]
        if 0xf0 <= a <= 0xf7 and all(x & 0xc0 == 0x80 for x in (b, c, d)):
            if (a & 7) << 18 | (b & 63) << 12 > 0x10ffff:
                return False
    return True


def whitespace(r):
    return "".join(r.choice("  \t\n\r\u00a0\u3000\x0b\x0c") for _ in range(r.randrange(1, 9)))


def characters(r):
    """A random word out of one of many blocks of Unicode."""
    start, end = r.choice([(0x20, 0x7f), (0xa0, 0x250), (0x250, 0x370), (0x370, 0x600), (0x600, 0x900),
                           (0x900, 0xe00), (0xe00, 0x1200), (0x1200, 0x1e00), (0x1e00, 0x2000), (0x2000, 0x2c00),
                           (0x2c00, 0x3040), (0x3040, 0x3400), (0x3400, 0xa000), (0xa000, 0xac00),
                           (0xac00, 0xd800), (0xf900, 0x10000), (0x10000, 0x10600), (0x10800, 0x11000),
                           (0x12000, 0x12400), (0x1d400, 0x1d800), (0x1f000, 0x1fb00), (0x20000, 0x20400),
                           (0, 0x20), (0x80, 0xa0)])
    return "".join(chr(r.randrange(start, end)) for _ in range(r.randrange(1, 12)))


def broken(r, sample):
    """Bytes that are not UTF-8, in several ways."""
    data = bytearray(sample.encode())
    way = r.randrange(6)
    if way == 0:
        return bytes(r.randrange(256) for _ in range(r.randrange(1, 24)))
    if way == 1:
        return bytes(data[:r.randrange(len(data) + 1)])
    if way == 2:
        return bytes(data[r.randrange(len(data) + 1):])
    if way == 3:
        for _ in range(r.randrange(1, 5)):
            data.insert(r.randrange(len(data) + 1), r.randrange(0x80, 0x100))
        return bytes(data)
    if way == 4:
        bad = [b"\xc0\x80", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xff\xfe",
               b"\xf4\x8f\xbf", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80", b"\xfe", b"\xc1\xbf"]
        at = r.randrange(len(data) + 1)
        return bytes(data[:at]) + r.choice(bad) + bytes(data[at:])
    for i in range(len(data)):
        if r.random() < 0.1:
            data[i] ^= 1 << r.randrange(8)
    return bytes(data)


def lookalike(r):
    token = r.choice(SPECIAL)
    way = r.randrange(7)
    if way == 0:
        return r.choice(["", " ", "\n", "a"]) + token + r.choice(["", " ", "\n", "b"])
    if way == 1:
        return token[:-1]
    if way == 2:
        return token + r.choice(SPECIAL)
    if way == 3:
        at = r.randrange(1, len(token))
        return token[:at] + r.choice(" \n|>x") + token[at:]
    if way == 4:
        return token.upper() + token
    if way == 5:
        return token[:r.randrange(1, len(token))] + r.choice(SPECIAL) + token[1:]
    return "".join(r.choice([t, " ", "word", "\n"]) for t in r.sample(SPECIAL, 5))


def mixture(r):
    parts = [lambda: r.choice(r.choice(LANGUAGES).split()), lambda: r.choice(EMOJI), lambda: whitespace(r),
             lambda: characters(r), lambda: str(r.randrange(10 ** r.randrange(1, 12))), lambda: r.choice(SMALL),
             lambda: r.choice(".,;:!?()[]{}\"'`~@#$%^&*-_=+<>/\\|"), lambda: " "]
    return "".join(r.choice(parts)() for _ in range(r.randrange(2, 14)))


def runs():
    for text, longest in ((" ", 100), ("\n", 70), ("\t", 40), ("a", 130), ("=", 90), ("-", 90), ("!", 40), ("0", 30),
                          ("\u3042", 30), ("\U0001f600", 20), ("ab", 30), (" \n", 20), ("\r\n", 20), ("<", 20),
                          ("\u2581", 40), ("\u00a0", 20), ("\u0301", 20), ("ha", 40), ("\x00", 9), ("\u4e00", 30)):
        for count in sorted({2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, longest}):
            if count <= longest:
                yield text * count
                if count in (3, 8, 17, 33):
                    yield "x" + text * count + "y"
    for name in (" ", "\n", "\t"):
        yield name * 500


def strings():
    r = random.Random(20261123)
    texts = list(LANGUAGES) + CODE + SMALL + EMOJI + SPECIAL + list(runs())
    for line in LANGUAGES:
        words = line.split()
        texts += [line.upper(), line.swapcase(), " " + line[:len(line) // 2], line.replace(" ", "\n", 3)]
        r.shuffle(words)
        texts += ["  ".join(words[:6]), "".join(words[:6]), line + r.choice(LANGUAGES)[:40]]
    for code in CODE:
        texts += [code.replace("    ", "\t"), code.replace("\n", "\r\n"), code[len(code) // 3:], code * 2]
    texts += [chr(i) for i in range(256)] + ["a%sb" % chr(i) for i in range(0, 256, 3)]
    texts += [mixture(r) for _ in range(330)]
    texts += [characters(r) + r.choice(["", " ", "'s", "1"]) for _ in range(220)]
    texts += [lookalike(r) for _ in range(220)]
    found = [text.encode() for text in texts] + [bytes([i]) for i in range(128, 256)]
    samples = LANGUAGES + EMOJI + CODE
    found += [broken(r, r.choice(samples)[:40]) for _ in range(330)]
    unique = dict.fromkeys(data for data in found if lenient(data))
    return list(unique)


FAMILIES = """
default gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert exaone4 mpt olmo jais
trillion granite-docling smollm starcoder refact command-r codeshell exaone minerva-7b mellum2 llama3 llama-v3 llama-bpe
falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano dbrx smaug-bpe chatglm-bpe glm4 glm5 qwen2 deepseek-r1-qwen kormo
f2llmv2 megrez stablelm2 hunyuan solar-open grok-2 qwen35 tekken gpt-4o llama4 kanana2 talkie minimax-m2
granite-embed-multi-97m tiny_aya cohere2moe deepseek-llm deepseek-coder deepseek-v3 hunyuan-dense joyai-llm hy_v4
spark2_5 youtu afmoe falcon poro-chat bloom gpt3-finnish viking jais-2 chameleon bailingmoe bailingmoe2 llada-moe
seed-coder ufakzeka laguna exaone-moe minicpm5
""".split()


def made_up(pre, path):
    """All bytes, and a quarter of the pairs of bytes: enough to see where words begin."""
    import gguf
    printable = set(range(0x21, 0x7f)) | set(range(0xa1, 0xad)) | set(range(0xae, 0x100))
    others = iter(range(0x100, 0x200))
    stored = [chr(byte if byte in printable else next(others)) for byte in range(256)]
    pairs = [(stored[a], stored[b]) for a in range(256) for b in range(256) if (7 * a + 13 * b) % 4 == 0]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(stored + [a + b for a, b in pairs])
    writer.add_token_types([gguf.TokenType.NORMAL] * (256 + len(pairs)))
    writer.add_token_merges([a + " " + b for a, b in pairs])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def families():
    strings = [bytes.fromhex(line) for line in sys.stdin]
    with tempfile.TemporaryDirectory() as folder:
        for name in FAMILIES:
            path = os.path.join(folder, "model.gguf")
            made_up(name, path)
            peer = Peer(path)
            digest = hashlib.sha256()
            for data in strings:
                ids = peer.tokenize(data, False, False)
                digest.update(b"".join(i.to_bytes(4, "little") for i in ids) + b"\xff" * 4)
            print(name, digest.hexdigest())


class Peer:
    def __init__(self, path):
        import llama_cpp
        self.lib = llama_cpp
        self.model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model.model)

    def tokenize(self, data, add_special, parse_special):
        room = len(data) * 3 + 8
        ids = (ctypes.c_int32 * room)()
        count = self.lib.llama_tokenize(self.vocab, data, len(data), ids, room, add_special, parse_special)
        assert count >= 0
        return list(ids[:count])


def pack(ids):
    return "".join(DIGITS[i >> 12] + DIGITS[i >> 6 & 63] + DIGITS[i & 63] for i in ids)


def main():
    if sys.argv[1:] == ["strings"]:
        for data in strings():
            print(data.hex())
        return
    if sys.argv[1:] == ["families"]:
        families()
        return
    if len(sys.argv) != 3 or sys.argv[1] != "ids":
        sys.exit("usage: generate.py strings | ids MODEL.gguf | families")
    peer = Peer(sys.argv[2])
    begin = peer.tokenize(b"", True, False)
    for line in sys.stdin:
        data = bytes.fromhex(line)
        plain, special = peer.tokenize(data, False, False), peer.tokenize(data, False, True)
        # So the file need not say what add_special does.
        assert peer.tokenize(data, True, False) == begin + plain
        assert peer.tokenize(data, True, True) == begin + special
        print(pack(plain), "=" if special == plain else pack(special))


main()
