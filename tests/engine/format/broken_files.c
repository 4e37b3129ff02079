// tests/engine/format/broken_files.c
// SPDX-License-Identifier: MIT
//
// Comments name the public failures that the entries below them reproduce.
#include "tests/engine/format/broken_files.h"

#include <string.h>

#include "base/err.h"

#define HEADER_U32(name, at, value, refusal)                                             \
    {                                                                                    \
        name, refusal, BREAK_HEADER_U32, NULL, 0, at, value, NULL, 0                     \
    }
#define HEADER_U64(name, at, value, refusal)                                             \
    {                                                                                    \
        name, refusal, BREAK_HEADER_U64, NULL, 0, at, value, NULL, 0                     \
    }
#define U8(name, target, field, plus, value, refusal)                                    \
    {                                                                                    \
        name, refusal, BREAK_U8, target, field, plus, value, NULL, 0                     \
    }
#define U32(name, target, field, plus, value, refusal)                                   \
    {                                                                                    \
        name, refusal, BREAK_U32, target, field, plus, value, NULL, 0                    \
    }
#define U64(name, target, field, plus, value, refusal)                                   \
    {                                                                                    \
        name, refusal, BREAK_U64, target, field, plus, value, NULL, 0                    \
    }
#define CUT(name, target, field, plus, refusal)                                          \
    {                                                                                    \
        name, refusal, BREAK_CUT, target, field, plus, 0, NULL, 0                        \
    }
#define ADD(name, key, type, bytes, refusal)                                             \
    {                                                                                    \
        name, refusal, BREAK_ADD, key, 0, 0, type, bytes, sizeof(bytes) - 1              \
    }
#define REPLACE(name, key, type, bytes, refusal)                                         \
    {                                                                                    \
        name, refusal, BREAK_REPLACE, key, 0, 0, type, bytes, sizeof(bytes) - 1          \
    }
#define FILE_OF(name, bytes, refusal)                                                    \
    {                                                                                    \
        name, refusal, BREAK_BYTES, NULL, 0, 0, 0, bytes, sizeof(bytes) - 1              \
    }

// Little-endian pieces of values.
#define LEN(n) n "\0\0\0\0\0\0\0"
#define ZERO4  "\0\0\0\0"
#define ONES8  "\377\377\377\377\377\377\377\377"
#define EMBD   "token_embd.weight"
#define NORM   "output_norm.weight"
#define DOWN   "blk.0.ffn_down.weight"
#define TOKENS "tokenizer.ggml.tokens"
#define SCORES "tokenizer.ggml.scores"
#define TYPES  "tokenizer.ggml.token_type"
#define LAYERS "llama.block_count"
#define ALIGN  "general.alignment"
#define PREFIX "GGUF\3\0\0\0"

// An array of `type` whose count is one of the four kinds of lie.
#define LYING_ARRAYS(type, code)                                                         \
    ADD("array of " type " that counts to the last number", "test.lie", GGUF_ARRAY,      \
        code "\0\0\0" ONES8, "key 'test.lie', byte"),                                    \
        ADD("array of " type " whose size wraps to zero", "test.lie", GGUF_ARRAY,        \
            code "\0\0\0\0\0\0\0\0\0\0\x20", "more than the limit of 16777216"),         \
        ADD("array of " type " that is one longer than the limit", "test.lie",           \
            GGUF_ARRAY, code "\0\0\0\1\0\0\1\0\0\0\0",                                   \
            "more than the limit of 16777216"),                                          \
        ADD("array of " type " that is longer than the file", "test.lie", GGUF_ARRAY,    \
            code "\0\0\0\0\0\1\0\0\0\0\0", "but the file ends after")

#define UNSUPPORTED(name, number)                                                        \
    U32("weights of type " name, EMBD, TYPE, 0, number,                                  \
        "weights of type " name " are not supported")

#define BAD_TEXT(what, bytes, refusal)                                                   \
    ADD("string with " what, "test.text", GGUF_STRING, LEN("\4") bytes, refusal),        \
        ADD("array with a string with " what, "test.text", GGUF_ARRAY,                   \
            "\x8\0\0\0" LEN("\1") LEN("\4") bytes, refusal)

const struct broken_file broken_files[] = {
    // Files that are hardly there; a 4-byte file crashed Ollama (CVE-2024-39720).
    FILE_OF("one byte", "G", "header, byte 0: the magic number takes 4 bytes"),
    FILE_OF("three bytes", "GGU", "header, byte 0: the magic number takes 4 bytes"),
    FILE_OF("only the magic number", "GGUF", "header, byte 4: the version takes 4 bytes"),
    FILE_OF("half a version", "GGUF\3\0", "header, byte 4: the version takes 4 bytes"),
    FILE_OF("no counts", PREFIX, "header, byte 8: the tensor count takes 8 bytes"),
    FILE_OF("one count", PREFIX LEN("\0"),
            "header, byte 16: the key count takes 8 bytes"),
    FILE_OF("half a key count", PREFIX LEN("\0") ZERO4, "header, byte 16: the key count"),
    FILE_OF("a text file", "This is a text file.",
            "header, byte 0: this is not a GGUF file"),
    FILE_OF("the magic number in lower case", "gguf\3\0\0\0", "not a GGUF file"),
    FILE_OF("the magic number backwards", "FUGG\3\0\0\0", "not a GGUF file"),
    FILE_OF("the older format ggml", "lmgg\1\0\0\0", "not a GGUF file"),
    FILE_OF("the older format ggjt", "tjgg\3\0\0\0", "not a GGUF file"),
    FILE_OF("zeros", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "not a GGUF file"),
    FILE_OF("a Git LFS pointer", "version https://git-lfs", "not a GGUF file"),
    HEADER_U32("version 0", 4, 0, "header, byte 4: GGUF version 0 is not supported"),
    HEADER_U32("version 1", 4, 1, "header, byte 4: GGUF version 1 is not supported"),
    HEADER_U32("version 4", 4, 4, "header, byte 4: GGUF version 4 is not supported"),
    HEADER_U32("version -1", 4, UINT32_MAX, "GGUF version 4294967295 is not supported"),
    HEADER_U32("version 2, big-endian", 4, 0x02000000, "byte 4: big-endian GGUF"),
    HEADER_U32("version 3, big-endian", 4, 0x03000000, "byte 4: big-endian GGUF"),

    // Counts: CVE-2024-21836 and CVE-2026-27940 (tensors), CVE-2024-23605 (keys).
    HEADER_U64("one tensor more than the limit", 8, 65537, "byte 8: 65537 tensors"),
    HEADER_U64("tensors whose table does not fit", 8, 65536, "65536 tensors do not fit"),
    HEADER_U64("2^32 tensors", 8, 1ull << 32, "byte 8: 4294967296 tensors"),
    HEADER_U64("tensors whose table wraps to 0", 8, 1ull << 60,
               "byte 8: 1152921504606846976"),
    HEADER_U64("tensors whose table wraps to little", 8, 0x0555555555555556, "byte 8:"),
    HEADER_U64("2^63 tensors", 8, 1ull << 63, "byte 8: 9223372036854775808 tensors"),
    HEADER_U64("-1 tensors", 8, UINT64_MAX, "byte 8: 18446744073709551615 tensors"),
    HEADER_U64("one tensor too many", 8, 6, "tensor number 6, byte"),
    HEADER_U64("one key more than the limit", 16, 65537, "byte 16: 65537 keys"),
    HEADER_U64("keys that do not fit", 16, 65536, "byte 16: 65536 keys"),
    HEADER_U64("2^32 keys", 16, 1ull << 32, "byte 16: 4294967296 keys"),
    HEADER_U64("keys whose table wraps to 0", 16, 1ull << 61,
               "byte 16: 2305843009213693952"),
    HEADER_U64("keys whose table wraps to little", 16, 0x0492492492492493, "byte 16:"),
    HEADER_U64("2^63 keys", 16, 1ull << 63, "byte 16: 9223372036854775808 keys"),
    HEADER_U64("-1 keys", 16, UINT64_MAX, "byte 16: 18446744073709551615 keys"),
    HEADER_U64("one key too many", 16, 37, "tensor number 1, byte"),
    HEADER_U64("one key too few", 16, 35, "tensor 'test.f64', byte"),
    HEADER_U64("no keys", 16, 0, "tensor 'general.architecture', byte"),

    // Names of keys: CVE-2024-23496 (length + 1 wraps), Ollama CVE-2025-66960.
    U64("key name that is empty", LAYERS, NAME, 0, 0, "byte 114: the name is empty"),
    U64("key name that is too long", LAYERS, NAME, 0, 65536, "longer than 65535"),
    U64("key name of 2^32 bytes", LAYERS, NAME, 0, 1ull << 32, "longer than 65535"),
    U64("key name of 2^63 bytes", LAYERS, NAME, 0, 1ull << 63, "key number 3, byte 106:"),
    U64("key name of -1 bytes", LAYERS, NAME, 0, UINT64_MAX, "key number 3, byte 106:"),
    U64("key name of -8 bytes", LAYERS, NAME, 0, UINT64_MAX - 7,
        "key number 3, byte 106:"),
    U64("key name that is longer than the file", LAYERS, NAME, 0, 60000,
        "key number 3, byte 114: the name takes 60000 bytes, but the file ends after"),
    U8("key name with a NUL byte", LAYERS, NAME, 12, 0,
       "the name is not printable ASCII"),
    U8("key name with a newline", LAYERS, NAME, 12, '\n',
       "the name is not printable ASCII"),
    U8("key name with an escape", LAYERS, NAME, 12, 27,
       "the name is not printable ASCII"),
    U8("key name with DEL", LAYERS, NAME, 12, 127, "the name is not printable ASCII"),
    U8("key name with C1", LAYERS, NAME, 12, 0x9B, "the name is not printable ASCII"),
    U8("key name with a stray byte", LAYERS, NAME, 12, 255,
       "the name is not printable ASCII"),
    ADD("key that appears twice", LAYERS, GGUF_U32, "\1\0\0\0",
        "key 'llama.block_count', byte"),
    ADD("key that appears with two types", LAYERS, GGUF_STRING, LEN("\1") "1",
        "the key appears twice"),
    ADD("array that appears twice", TOKENS, GGUF_ARRAY, "\x8\0\0\0" LEN("\0"),
        "key 'tokenizer.ggml.tokens', byte"),

    // Value types.
    U32("value type 13", LAYERS, TYPE, 0, 13,
        "key 'llama.block_count', byte 131: value type 13"),
    U32("value type 14", LAYERS, TYPE, 0, 14, "value type 14 does not exist"),
    U32("value type 255", LAYERS, TYPE, 0, 255, "value type 255 does not exist"),
    U32("value type 2^31", LAYERS, TYPE, 0, 1u << 31,
        "value type 2147483648 does not exist"),
    U32("value type -1", LAYERS, TYPE, 0, UINT32_MAX,
        "value type 4294967295 does not exist"),
    U32("number that claims to be a string", LAYERS, TYPE, 0, GGUF_STRING, "byte 135:"),
    U32("number that claims to be an array", LAYERS, TYPE, 0, GGUF_ARRAY, "byte 1"),
    U32("string that claims to be a number", "general.architecture", TYPE, 0, GGUF_U64,
        "key number 2, byte 64:"),
    U8("bool that is 2", "test.bool", VALUE, 0, 2, "a bool is 2, neither 0 nor 1"),
    U8("bool that is 255", "test.bool", VALUE, 0, 255, "key 'test.bool', byte"),
    ADD("array with a bool that is 2", "test.flags", GGUF_ARRAY,
        "\7\0\0\0" LEN("\2") "\1\2", "key 'test.flags', byte"),

    // Arrays: CVE-2024-21825 and CVE-2024-25664 to -25668 (n * size), ggml #1516 (memory
    // before data), gguf-py-F001 (recursion).
    LYING_ARRAYS("u8", "\0"),
    LYING_ARRAYS("i8", "\1"),
    LYING_ARRAYS("u16", "\2"),
    LYING_ARRAYS("i16", "\3"),
    LYING_ARRAYS("u32", "\4"),
    LYING_ARRAYS("i32", "\5"),
    LYING_ARRAYS("f32", "\6"),
    LYING_ARRAYS("bool", "\7"),
    LYING_ARRAYS("string", "\x8"),
    LYING_ARRAYS("u64", "\xA"),
    LYING_ARRAYS("i64", "\xB"),
    LYING_ARRAYS("f64", "\xC"),
    ADD("array of arrays", "test.deep", GGUF_ARRAY,
        "\x9\0\0\0" LEN("\1") "\4\0\0\0" LEN("\1") "\1\0\0\0", "key 'test.deep', byte"),
    ADD("empty array of arrays", "test.deep", GGUF_ARRAY, "\x9\0\0\0" LEN("\0"),
        "arrays of arrays are not supported"),
    ADD("array of a type that does not exist", "test.deep", GGUF_ARRAY,
        "\xD\0\0\0" LEN("\0"), "element type 13 does not exist"),
    ADD("array of type -1", "test.deep", GGUF_ARRAY, "\377\377\377\377" LEN("\0"),
        "element type 4294967295 does not exist"),

    // Strings.
    ADD("string of -1 bytes", "test.text", GGUF_STRING, ONES8 "abcd",
        "key 'test.text', byte"),
    ADD("string of 2^63 bytes", "test.text", GGUF_STRING, "\0\0\0\0\0\0\0\x80",
        "longer than 16777216"),
    ADD("string that is one byte too long", "test.text", GGUF_STRING, "\1\0\0\1\0\0\0\0",
        "the string of 16777217 bytes is longer than 16777216"),
    ADD("string that is longer than the file", "test.text", GGUF_STRING,
        "\0\0\1\0\0\0\0\0", "the string takes 65536 bytes, but the file ends after"),
    ADD("array with a string of -1 bytes", "test.text", GGUF_ARRAY,
        "\x8\0\0\0" LEN("\1") ONES8, "key 'test.text', byte"),
    ADD("array with a token of more than 64 KiB", "test.text", GGUF_ARRAY,
        "\x8\0\0\0" LEN("\1") "\1\0\1\0\0\0\0\0", "longer than 65536"),
    ADD("array with a string that is longer than the file", "test.text", GGUF_ARRAY,
        "\x8\0\0\0" LEN("\1") "\0\0\1\0\0\0\0\0", "but the file ends after"),
    BAD_TEXT("a NUL byte", "ab\0c", "a string contains a NUL byte"),
    BAD_TEXT("a NUL byte behind a letter", "\303\244\0c", "a string contains a NUL byte"),
    BAD_TEXT("a stray continuation", "a\200bc", "a string is not valid UTF-8"),
    BAD_TEXT("an overlong slash", "a\300\257b", "a string is not valid UTF-8"),
    BAD_TEXT("half a surrogate", "\355\240\200a", "a string is not valid UTF-8"),
    BAD_TEXT("a character past the last", "\364\220\200\200",
             "a string is not valid UTF-8"),
    BAD_TEXT("a byte that never occurs", "abc\377", "a string is not valid UTF-8"),
    BAD_TEXT("an unfinished character", "a\360\237\230", "a string is not valid UTF-8"),

    // Alignment: test-gguf WRONG_TYPE_ALIGN, division by 0 in Ollama (CVE-2025-0317), no
    // upper bound (ggml #1516).
    ADD("alignment as u8", ALIGN, GGUF_U8, "\x20", "key 'general.alignment', byte"),
    ADD("alignment as i8", ALIGN, GGUF_I8, "\x20", "must be a u32"),
    ADD("alignment as u16", ALIGN, GGUF_U16, "\x20\0", "must be a u32"),
    ADD("alignment as i16", ALIGN, GGUF_I16, "\x20\0", "must be a u32"),
    ADD("alignment as i32", ALIGN, GGUF_I32, "\x20\0\0\0", "must be a u32"),
    ADD("alignment as f32", ALIGN, GGUF_F32, "\0\0\0\x42", "must be a u32"),
    ADD("alignment as bool", ALIGN, GGUF_BOOL, "\1", "must be a u32"),
    ADD("alignment as string", ALIGN, GGUF_STRING, LEN("\2") "32", "must be a u32"),
    ADD("alignment as array", ALIGN, GGUF_ARRAY, "\4\0\0\0" LEN("\1") "\x20\0\0\0",
        "must be a u32"),
    ADD("alignment as u64", ALIGN, GGUF_U64, LEN("\x20"), "must be a u32"),
    ADD("alignment as i64", ALIGN, GGUF_I64, LEN("\x20"), "must be a u32"),
    ADD("alignment as f64", ALIGN, GGUF_F64, LEN("\x20"), "must be a u32"),
    ADD("alignment 0", ALIGN, GGUF_U32, ZERO4,
        "0 is not a power of two between 8 and 65536"),
    ADD("alignment 1", ALIGN, GGUF_U32, "\1\0\0\0", "1 is not a power of two between 8"),
    ADD("alignment 4", ALIGN, GGUF_U32, "\4\0\0\0", "4 is not a power of two between 8"),
    ADD("alignment 13", ALIGN, GGUF_U32, "\xD\0\0\0", "13 is not a power of two"),
    ADD("alignment 24", ALIGN, GGUF_U32, "\x18\0\0\0", "24 is not a power of two"),
    ADD("alignment 33", ALIGN, GGUF_U32, "\x21\0\0\0", "33 is not a power of two"),
    ADD("alignment 65537", ALIGN, GGUF_U32, "\1\0\1\0", "65537 is not a power of two"),
    ADD("alignment 131072", ALIGN, GGUF_U32, "\0\0\2\0",
        "131072 is not a power of two between"),
    ADD("alignment 2^31", ALIGN, GGUF_U32, "\0\0\0\x80",
        "2147483648 is not a power of two"),
    ADD("alignment -1", ALIGN, GGUF_U32, "\377\377\377\377", "4294967295 is not a power"),

    // Names of tensors.
    U64("tensor name that is empty", EMBD, NAME, 0, 0, "tensor number 1, byte"),
    U64("tensor name of 64 bytes", EMBD, NAME, 0, 64, "64 bytes is longer than 63"),
    U64("tensor name of 2^63 bytes", EMBD, NAME, 0, 1ull << 63, "is longer than 63"),
    U64("tensor name of -1 bytes", EMBD, NAME, 0, UINT64_MAX, "is longer than 63"),
    U8("tensor name with a NUL byte", EMBD, NAME, 10, 0,
       "the name is not printable ASCII"),
    U8("tensor name with a newline", EMBD, NAME, 10, '\n',
       "the name is not printable ASCII"),
    U8("tensor name with an escape", EMBD, NAME, 10, 27, "tensor number 1, byte"),
    U8("tensor name with a stray byte", EMBD, NAME, 10, 200,
       "the name is not printable ASCII"),
    U8("tensor name that appears twice", "blk.1.attn.weight", NAME, 12, '0',
       "tensor 'blk.0.attn.weight', byte"),

    // Rank: CVE-2024-21802.
    U32("rank 0", EMBD, RANK, 0, 0, "rank 0 is not between 1 and 4"),
    U32("rank 5", EMBD, RANK, 0, 5, "tensor 'token_embd.weight', byte"),
    U32("rank 255", EMBD, RANK, 0, 255, "rank 255 is not between 1 and 4"),
    U32("rank -1", EMBD, RANK, 0, UINT32_MAX, "rank 4294967295 is not between 1 and 4"),

    // Dimensions: llama.cpp #24263 (0), #27203 (product wraps), CVE-2026-33298 (size
    // wraps),
    // CVE-2025-53630 (sum wraps).
    U64("first dimension 0", EMBD, SHAPE, 0, 0, "dimension 1 is 0"),
    U64("second dimension 0", EMBD, SHAPE, 8, 0, "dimension 2 is 0"),
    U64("third dimension 0", DOWN, SHAPE, 16, 0, "dimension 3 is 0"),
    U64("fourth dimension 0", DOWN, SHAPE, 24, 0, "tensor 'blk.0.ffn_down.weight', byte"),
    U64("dimension past 2^40", EMBD, SHAPE, 0, (1ull << 40) + 32,
        "not between 1 and 2^40"),
    U64("dimension 2^63", EMBD, SHAPE, 0, 1ull << 63, "not between 1 and 2^40"),
    U64("dimension -1", EMBD, SHAPE, 8, UINT64_MAX,
        "dimension 2 is 18446744073709551615"),
    U64("2^48 elements and some", EMBD, SHAPE, 8, 1ull << 40,
        "do not fit into a file of 2816 bytes"),
    U64("exabytes", DOWN, SHAPE, 8, 1ull << 40, "more than 2^48 elements"),
    U64("more weights than the file has", EMBD, SHAPE, 8, 100000,
        "tensor 'token_embd.weight'"),
    U64("one row more than there is room for", "blk.1.attn.weight", SHAPE, 0, 96,
        "tensor 'blk.1.attn.weight', byte"),
    U64("row of half a block", EMBD, SHAPE, 0, 16,
        "rows of 16 weights are not whole blocks"),
    U64("row of a block and one", EMBD, SHAPE, 0, 33,
        "are not whole blocks of 32 (Q8_0)"),
    U64("row of half a super-block", DOWN, SHAPE, 0, 128,
        "are not whole blocks of 256 (Q4_K)"),
    U64("row of a super-block and one", DOWN, SHAPE, 0, 257,
        "not whole blocks of 256 (Q4_K)"),
    U32("rows too short for Q6_K", EMBD, TYPE, 0, QUANT_Q6_K,
        "not whole blocks of 256 (Q6_K)"),
    U32("rows too short for Q2_K", EMBD, TYPE, 0, QUANT_Q2_K,
        "not whole blocks of 256 (Q2_K)"),
    U32("rows too short for IQ4_XS", EMBD, TYPE, 0, QUANT_IQ4_XS,
        "blocks of 256 (IQ4_XS)"),
    U32("smaller type than the next offset", EMBD, TYPE, 0, QUANT_Q4_0,
        "leaves a gap after the tensor before it"),
    U32("larger type than the next offset", EMBD, TYPE, 0, QUANT_F32,
        "tensor 'output_norm.weight', byte"),

    // Types that are not read, or do not exist (llama.cpp #19856: negative).
    UNSUPPORTED("Q4_2", 4),
    UNSUPPORTED("Q4_3", 5),
    UNSUPPORTED("Q8_1", 9),
    UNSUPPORTED("Q8_K", 15),
    UNSUPPORTED("IQ2_XXS", 16),
    UNSUPPORTED("IQ2_XS", 17),
    UNSUPPORTED("IQ3_XXS", 18),
    UNSUPPORTED("IQ1_S", 19),
    UNSUPPORTED("IQ3_S", 21),
    UNSUPPORTED("IQ2_S", 22),
    UNSUPPORTED("I8", 24),
    UNSUPPORTED("I16", 25),
    UNSUPPORTED("I32", 26),
    UNSUPPORTED("I64", 27),
    UNSUPPORTED("F64", 28),
    UNSUPPORTED("IQ1_M", 29),
    UNSUPPORTED("Q4_0_4_4", 31),
    UNSUPPORTED("TQ1_0", 34),
    UNSUPPORTED("TQ2_0", 35),
    UNSUPPORTED("IQ4_NL_4_4", 36),
    UNSUPPORTED("NVFP4", 40),
    UNSUPPORTED("Q1_0", 41),
    U32("weights of type 42", EMBD, TYPE, 0, 42, "type 42 does not exist"),
    U32("weights of type 255", EMBD, TYPE, 0, 255, "type 255 does not exist"),
    U32("weights of type 2^31", EMBD, TYPE, 0, 1u << 31,
        "type 2147483648 does not exist"),
    U32("weights of type -1", EMBD, TYPE, 0, UINT32_MAX,
        "type 4294967295 does not exist"),

    // Offsets: CVE-2026-7482 (heap read past the file), llama.cpp #26978 (padding wraps).
    U64("first offset not 0", EMBD, OFFSET, 0, 32, "offset 32 leaves a gap"),
    U64("offset that is not aligned", NORM, OFFSET, 0, 137,
        "is not a multiple of the alignment"),
    U64("offset that is aligned to 8 only", NORM, OFFSET, 0, 136,
        "multiple of the alignment 32"),
    U64("offset that overlaps all", NORM, OFFSET, 0, 0,
        "offset 0 overlaps the tensor before it"),
    U64("offset that overlaps a little", NORM, OFFSET, 0, 128, "offset 128 overlaps"),
    U64("offset that leaves a gap", NORM, OFFSET, 0, 192, "offset 192 leaves a gap"),
    U64("offset at the end of the file", NORM, OFFSET, 0, 4096,
        "offset 4096 leaves a gap"),
    U64("offset 2^63", NORM, OFFSET, 0, 1ull << 63, "tensor 'output_norm.weight', byte"),
    U64("offset -32", NORM, OFFSET, 0, UINT64_MAX - 31,
        "offset 18446744073709551584 leaves"),

    // Short files: zeros or somebody else's bytes as weights (aprender #2011).
    CUT("file that ends in the keys", LAYERS, VALUE, 2,
        "header, byte 16: 36 keys and 5 tensors do not fit"),
    CUT("file that ends in the tokens", TOKENS, VALUE, 30, "header, byte 16:"),
    CUT("file that ends before the tensors", EMBD, NAME, 0, "tensor number 1, byte"),
    CUT("file that ends in a tensor's name", "blk.1.attn.weight", NAME, 10,
        "tensor number 5, byte"),
    CUT("file that ends in a shape", "blk.1.attn.weight", SHAPE, 4,
        "tensor 'blk.1.attn.weight', byte"),
    CUT("file that ends in an offset", "blk.1.attn.weight", OFFSET, 7,
        "tensor 'blk.1.attn.weight', byte"),
    CUT("file without weights", EMBD, DATA, 0, "tensor '"),
    CUT("file that ends in the first tensor", EMBD, DATA, 1, "tensor '"),
    CUT("file that ends between tensors", NORM, DATA, 0,
        "tensor 'output_norm.weight', byte"),
    CUT("file that lacks the last tensor", "blk.1.attn.weight", DATA, 0,
        "tensor 'blk.1.attn.weight', byte"),
    CUT("file that lacks the last byte", "blk.1.attn.weight", DATA, 255,
        "256 bytes of weights, but the file ends at byte"),

    // Layers, heads and sizes: llama.cpp #25821, #26051 (too many layers), CVE-2024-8063
    // (division by 0 through a wrong type).
    U32("no layers", LAYERS, VALUE, 0, 0, "0 is not between 1 and 1024"),
    U32("1025 layers", LAYERS, VALUE, 0, 1025, "key 'llama.block_count', byte 135: 1025"),
    U32("-1 layers", LAYERS, VALUE, 0, UINT32_MAX,
        "4294967295 is not between 1 and 1024"),
    REPLACE("layers as f32", LAYERS, GGUF_F32, "\0\0\0\x42",
            "must be an integer, but is f32"),
    REPLACE("layers as string", LAYERS, GGUF_STRING, LEN("\1") "2", "must be an integer"),
    REPLACE("layers as bool", LAYERS, GGUF_BOOL, "\1", "must be an integer, but is bool"),
    REPLACE("layers as array", LAYERS, GGUF_ARRAY, "\4\0\0\0" LEN("\1") "\1\0\0\0",
            "must be an integer, but is an array of u32s"),
    REPLACE("negative layers", LAYERS, GGUF_I32, "\377\377\377\377", "-1 is negative"),
    REPLACE("2^40 layers", LAYERS, GGUF_U64, "\0\0\0\0\0\1\0\0",
            "key 'llama.block_count'"),
    U32("context of 0", "llama.context_length", VALUE, 0, 0, "0 is not between 1 and"),
    U32("context of 2^32 - 1", "llama.context_length", VALUE, 0, UINT32_MAX,
        "key 'llama.context_length', byte"),
    U32("width of 0", "llama.embedding_length", VALUE, 0, 0,
        "key 'llama.embedding_length'"),
    U32("width of 2^31", "llama.embedding_length", VALUE, 0, 1u << 31,
        "not between 1 and"),
    U32("width that the embedding lacks", "llama.embedding_length", VALUE, 0, 64,
        "rows of tensor 'token_embd.weight' have 32"),
    U32("feed-forward width of 2^31", "llama.feed_forward_length", VALUE, 0, 1u << 31,
        "key 'llama.feed_forward_length'"),
    U32("heads that do not divide the width", "llama.attention.head_count", VALUE, 0, 6,
        "a width of 32 cannot be split into 6 heads"),
    U32("2^31 heads", "llama.attention.head_count", VALUE, 0, 1u << 31,
        "key 'llama.attention.head_count', byte"),
    U32("groups that do not divide the heads", "llama.attention.head_count_kv", VALUE, 0,
        3, "4 heads cannot share 3 evenly"),
    REPLACE("heads as floats", "llama.attention.head_count", GGUF_ARRAY,
            "\6\0\0\0" LEN("\1") "\0\0\0\x40",
            "must be integers, but is an array of f32s"),
    REPLACE("a negative number of heads", "llama.attention.head_count", GGUF_ARRAY,
            "\5\0\0\0" LEN("\1") "\377\377\377\377",
            "the value of layer 0 is not between"),
    REPLACE("heads of no layer", "llama.attention.head_count", GGUF_ARRAY,
            "\4\0\0\0" LEN("\0"), "0 values are not one for each of 1 to 1024 layers"),
    ADD("head size 0", "llama.attention.key_length", GGUF_U32, ZERO4,
        "key 'llama.attention.key_length', byte"),
    ADD("rotated part of 2^31", "llama.rope.dimension_count", GGUF_U32, "\0\0\0\x80",
        "key 'llama.rope.dimension_count', byte"),
    ADD("2^31 experts", "llama.expert_count", GGUF_U32, "\0\0\0\x80",
        "key 'llama.expert_count', byte"),
    ADD("experts used of none", "llama.expert_used_count", GGUF_U32, "\2\0\0\0",
        "2 experts of 0 cannot be used"),
    ADD("rope base 0", "llama.rope.freq_base", GGUF_F32, ZERO4, "0 is not positive"),
    ADD("rope base -1", "llama.rope.freq_base", GGUF_F32, "\0\0\x80\xBF",
        "-1 is not positive"),
    ADD("rope base infinite", "llama.rope.freq_base", GGUF_F32, "\0\0\x80\x7F",
        "the number is not finite"),
    ADD("rope base not a number", "llama.rope.freq_base", GGUF_F32, "\0\0\xC0\x7F",
        "key 'llama.rope.freq_base', byte"),
    ADD("epsilon that is negative", "llama.attention.layer_norm_rms_epsilon", GGUF_F32,
        "\0\0\x80\xBF", "-1 is not zero or more"),
    REPLACE("architecture as number", "general.architecture", GGUF_U32, "\1\0\0\0",
            "key 'general.architecture', byte"),
    REPLACE(
        "architecture with a very long name", "general.architecture", GGUF_STRING,
        LEN("\100") "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "the name is longer than 63 bytes"),

    // Vocabulary: typed arrays read as another type (llama.cpp #26690), lengths that
    // differ
    // (#14145, CVE-2025-49847), byte tokens like <0x-1> (#25969), charsmap (#25258).
    REPLACE("tokens as numbers", TOKENS, GGUF_ARRAY, "\4\0\0\0" LEN("\1") "\1\0\0\0",
            "must be an array of strings"),
    REPLACE("tokens as one string", TOKENS, GGUF_STRING, LEN("\1") "a",
            "must be an array of strings, but is string"),
    REPLACE("more tokens than rows", TOKENS, GGUF_ARRAY,
            "\x8\0\0\0" LEN("\5")
                LEN("\1") "a" LEN("\1") "b" LEN("\1") "c" LEN("\1") "d" LEN("\1") "e",
            "5 tokens"),
    REPLACE("no tokens", TOKENS, GGUF_ARRAY, "\x8\0\0\0" LEN("\0"), "there are 0 tokens"),
    REPLACE("scores as bytes", SCORES, GGUF_ARRAY, "\0\0\0\0" LEN("\4") "abcd",
            "must be an array of f32s, but is an array of u8s"),
    REPLACE("scores of three tokens", SCORES, GGUF_ARRAY,
            "\6\0\0\0" LEN("\3") ZERO4 ZERO4 ZERO4, "3 values, but there are 4 tokens"),
    REPLACE("scores of five tokens", SCORES, GGUF_ARRAY,
            "\6\0\0\0" LEN("\5") ZERO4 ZERO4 ZERO4 ZERO4 ZERO4,
            "5 values, but there are 4"),
    REPLACE("token types as bytes", TYPES, GGUF_ARRAY, "\0\0\0\0" LEN("\4") "\1\1\1\1",
            "must be an array of i32s, but is an array of u8s"),
    REPLACE("token types of one token", TYPES, GGUF_ARRAY, "\5\0\0\0" LEN("\1") ZERO4,
            "key 'tokenizer.ggml.token_type', byte"),
    REPLACE("merges as numbers", "tokenizer.ggml.merges", GGUF_ARRAY,
            "\4\0\0\0" LEN("\1") ZERO4, "key 'tokenizer.ggml.merges', byte"),
    U8("byte token with a sign", TOKENS, VALUE, 23, '-',
       "token 0 has the type of a byte"),
    U8("byte token with a letter", TOKENS, VALUE, 24, 'G',
       "token 0 has the type of a byte"),
    U8("byte token without its end", TOKENS, VALUE, 25, '0',
       "token 0 has the type of a byte"),
    U32("token that has the type of a byte", TYPES, VALUE, 12 + 8, 6,
        "key 'tokenizer.ggml.tokens', byte"),
    U32("first token outside the vocabulary", "tokenizer.ggml.bos_token_id", VALUE, 0, 4,
        "key 'tokenizer.ggml.bos_token_id', byte"),
    U32("last token -1", "tokenizer.ggml.eos_token_id", VALUE, 0, UINT32_MAX,
        "4294967295 is not between 0 and 3"),
    ADD("unknown token as text", "tokenizer.ggml.unknown_token_id", GGUF_STRING,
        LEN("\1") "0", "must be an integer, but is string"),
    ADD("padding token that is negative", "tokenizer.ggml.padding_token_id", GGUF_I32,
        "\377\377\377\377", "key 'tokenizer.ggml.padding_token_id', byte"),
    ADD("switch as number", "tokenizer.ggml.add_bos_token", GGUF_U32, "\1\0\0\0",
        "must be a bool, but is u32"),
    ADD("template as array", "tokenizer.chat_template", GGUF_ARRAY, "\x8\0\0\0" LEN("\0"),
        "must be a string, but is an array of strings"),
    ADD("template as number", "tokenizer.chat_template", GGUF_U32, "\1\0\0\0",
        "key 'tokenizer.chat_template', byte"),
    ADD("character map of one byte", "tokenizer.ggml.precompiled_charsmap", GGUF_ARRAY,
        "\0\0\0\0" LEN("\1") "\1", "1 bytes are too short"),
    ADD("character map of three bytes", "tokenizer.ggml.precompiled_charsmap", GGUF_ARRAY,
        "\0\0\0\0" LEN("\3") "\1\1\1", "key 'tokenizer.ggml.precompiled_charsmap', byte"),
    ADD("character map with a lying trie", "tokenizer.ggml.precompiled_charsmap",
        GGUF_ARRAY, "\0\0\0\0" LEN("\4") "\4\0\0\0",
        "a trie of 4 bytes does not fit into 4"),
    ADD("character map with an odd trie", "tokenizer.ggml.precompiled_charsmap",
        GGUF_ARRAY, "\0\0\0\0" LEN("\x8") "\3\0\0\0abcd",
        "a trie of 3 bytes does not fit"),
    ADD("character map of strings", "tokenizer.ggml.precompiled_charsmap", GGUF_ARRAY,
        "\x8\0\0\0" LEN("\0"), "must be an array of bytes"),

    // Vision: fixed arrays driven by metadata (llama.cpp #27166), products of 32 bits
    // (#27223, #27224).
    ADD("pictures of 2^31 pixels a side", "clip.vision.image_size", GGUF_U32,
        "\0\0\0\x80", "key 'clip.vision.image_size', byte"),
    ADD("pictures of 8192 pixels a side", "clip.vision.image_size", GGUF_U32,
        "\0\x20\0\0", "pictures of 8192 x 8192 pixels are too large"),
    ADD("patches larger than a picture of 1 pixel", "clip.vision.patch_size", GGUF_U32,
        "\1\20\0\0", "4097 is not between 1 and 4096"),
    ADD("patches of 0 pixels", "clip.vision.patch_size", GGUF_U32, ZERO4,
        "key 'clip.vision.patch_size', byte"),
    ADD("46,340 squared pixels at least", "clip.vision.image_min_pixels", GGUF_U32,
        "\x10\xEA\xFF\x7F", "key 'clip.vision.image_min_pixels', byte"),
    ADD("2^32 - 1 pixels at most", "clip.vision.image_max_pixels", GGUF_U32,
        "\377\377\377\377", "key 'clip.vision.image_max_pixels', byte"),
    ADD("merging of 0", "clip.vision.spatial_merge_size", GGUF_U32, ZERO4,
        "key 'clip.vision.spatial_merge_size', byte"),
    ADD("mean of two colours", "clip.vision.image_mean", GGUF_ARRAY,
        "\6\0\0\0" LEN("\2") ZERO4 ZERO4, "2 values, but there are 3 colours"),
    ADD("deviation as f64", "clip.vision.image_std", GGUF_ARRAY,
        "\xC\0\0\0" LEN("\1") LEN("\0"), "key 'clip.vision.image_std', byte"),
    ADD("1025 vision layers", "clip.vision.block_count", GGUF_U32, "\1\4\0\0",
        "1025 is not between 0 and 1024"),
    ADD("projector as number", "clip.projector_type", GGUF_U32, "\1\0\0\0",
        "key 'clip.projector_type', byte"),

    // A part of a split model that is not named like one.
    ADD("split file with another name", "split.count", GGUF_U16, "\3\0",
        "3 parts, but the file is not named like"),
    ADD("split file whose count is text", "split.count", GGUF_STRING, LEN("\1") "3",
        "key 'split.count', byte"),
};

const size_t broken_file_count = sizeof(broken_files) / sizeof(broken_files[0]);

static void write_vocabulary(struct gguf_writer *writer)
{
    static const char *const tokens[] = { "<0x0A>", "a", "\342\226\201b", "</s>" };
    static const float scores[] = { 0, -1, -2, 0 };
    static const int32_t types[] = { 6, 1, 1, 3 };
    static const char *const merges[] = { "a b" };

    gguf_write_string(writer, "tokenizer.ggml.model", "llama");
    gguf_write_strings(writer, TOKENS, 4, tokens);
    gguf_write_array(writer, SCORES, GGUF_F32, 4, scores);
    gguf_write_array(writer, TYPES, GGUF_I32, 4, types);
    gguf_write_strings(writer, "tokenizer.ggml.merges", 1, merges);
    gguf_write_u32(writer, "tokenizer.ggml.bos_token_id", 1);
    gguf_write_u32(writer, "tokenizer.ggml.eos_token_id", 3);
}

static void write_every_type(struct gguf_writer *writer)
{
    static const uint8_t u8[] = { 1, 255 };
    static const int8_t i8[] = { -1, 127 };
    static const uint16_t u16[] = { 1, 65535 };
    static const int16_t i16[] = { -1, 32767 };
    static const uint32_t u32[] = { 1, UINT32_MAX };
    static const int32_t i32[] = { -1, INT32_MAX };
    static const uint64_t u64[] = { 1, UINT64_MAX };
    static const int64_t i64[] = { -1, INT64_MIN };
    static const double f64[] = { -0.5, 1e300 };
    static const uint8_t flags[] = { 0, 1 };

    gguf_write_array(writer, "test.u8s", GGUF_U8, 2, u8);
    gguf_write_array(writer, "test.i8s", GGUF_I8, 2, i8);
    gguf_write_array(writer, "test.u16s", GGUF_U16, 2, u16);
    gguf_write_array(writer, "test.i16s", GGUF_I16, 2, i16);
    gguf_write_array(writer, "test.u32s", GGUF_U32, 2, u32);
    gguf_write_array(writer, "test.i32s", GGUF_I32, 2, i32);
    gguf_write_array(writer, "test.u64s", GGUF_U64, 2, u64);
    gguf_write_array(writer, "test.i64s", GGUF_I64, 2, i64);
    gguf_write_array(writer, "test.f64s", GGUF_F64, 2, f64);
    gguf_write_array(writer, "test.bools", GGUF_BOOL, 2, flags);
    gguf_write_u8(writer, "test.u8", 200);
    gguf_write_i8(writer, "test.i8", -100);
    gguf_write_u16(writer, "test.u16", 60000);
    gguf_write_i16(writer, "test.i16", -30000);
    gguf_write_i32(writer, "test.i32", -2000000000);
    gguf_write_u64(writer, "test.u64", UINT64_MAX);
    gguf_write_i64(writer, "test.i64", INT64_MIN);
    gguf_write_f32(writer, "test.f32", 0.1f);
    gguf_write_bool(writer, "test.bool", true);
    gguf_write_strings(writer, "test.none", 0, NULL);
    gguf_write_f64(writer, "test.f64", 0.25);
}

static void write_weights(struct gguf_writer *writer)
{
    static const uint64_t embedding[] = { 32, 4 }, norm[] = { 32 };
    static const uint64_t down[] = { 256, 1, 1, 2 }, attention[] = { 64 };
    uint8_t bytes[512];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    gguf_write_tensor(writer, EMBD, QUANT_Q8_0, 2, embedding, bytes, 4 * 34);
    gguf_write_tensor(writer, NORM, QUANT_F32, 1, norm, bytes, 128);
    gguf_write_tensor(writer, "blk.0.attn.weight", QUANT_F32, 1, attention, bytes, 256);
    gguf_write_tensor(writer, DOWN, QUANT_Q4_K, 4, down, bytes, 2 * 144);
    gguf_write_tensor(writer, "blk.1.attn.weight", QUANT_F32, 1, attention, bytes, 256);
}

void write_good_model(struct gguf_writer *writer)
{
    gguf_write_string(writer, "general.architecture", "llama");
    gguf_write_string(writer, "general.name", "Gr\303\274n");
    gguf_write_u32(writer, LAYERS, 1);
    gguf_write_u32(writer, "llama.context_length", 64);
    gguf_write_u32(writer, "llama.embedding_length", 32);
    gguf_write_u32(writer, "llama.feed_forward_length", 256);
    gguf_write_u32(writer, "llama.attention.head_count", 4);
    gguf_write_u32(writer, "llama.attention.head_count_kv", 2);
    write_vocabulary(writer);
    write_every_type(writer);
    write_weights(writer);
}

static size_t place_of(const struct gguf_writer *writer, const struct broken_file *broken)
{
    struct gguf_place place = gguf_writer_place(writer, broken->target);
    const size_t at[] = {
        [NAME] = place.name_at, [RANK] = place.rank_at,   [SHAPE] = place.shape_at,
        [TYPE] = place.type_at, [VALUE] = place.value_at, [OFFSET] = place.offset_at,
        [DATA] = place.data_at,
    };

    return at[broken->field] + broken->plus;
}

void build_broken_file(const struct broken_file *broken, struct str *file)
{
    uint8_t byte = (uint8_t)broken->value;
    struct gguf_writer writer;
    struct gguf_place old = { .name_at = 0 };

    gguf_writer_init(&writer);
    write_good_model(&writer);
    if (broken->how == BREAK_REPLACE)
        old = gguf_writer_place(&writer, broken->target);
    if (broken->how == BREAK_REPLACE || broken->how == BREAK_ADD)
        gguf_write_raw(&writer, broken->target, (uint32_t)broken->value, broken->bytes,
                       broken->size);
    gguf_writer_finish(&writer, file);
    switch (broken->how) {
    case BREAK_HEADER_U32:
        gguf_patch_u32(file, broken->plus, (uint32_t)broken->value);
        break;
    case BREAK_HEADER_U64:
        gguf_patch_u64(file, broken->plus, broken->value);
        break;
    case BREAK_U8:
        gguf_patch(file, place_of(&writer, broken), &byte, 1);
        break;
    case BREAK_U32:
        gguf_patch_u32(file, place_of(&writer, broken), (uint32_t)broken->value);
        break;
    case BREAK_U64:
        gguf_patch_u64(file, place_of(&writer, broken), broken->value);
        break;
    case BREAK_CUT:
        str_truncate(file, place_of(&writer, broken));
        break;
    case BREAK_REPLACE:
        gguf_patch(file, old.name_at + 8, "~", 1); // the first letter: another name
        break;
    case BREAK_ADD:
        break;
    case BREAK_BYTES:
        str_reset(file);
        str_append_n(file, broken->bytes, broken->size);
        break;
    }
    gguf_writer_release(&writer);
}
