// tests/engine/format/test_gguf.c
// SPDX-License-Identifier: MIT
//
// The reader of GGUF files: what it gives for good ones, and that it refuses each of
// several hundred broken ones quickly, with little memory, in one line that names the
// culprit.
#include "engine/format/gguf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/log.h"
#include "tests/engine/format/broken_files.h"
#include "tests/tap.h"

#define REFUSAL_MAX_MS 100
#define MEMORY_MAX_KIB (64 * 1024)

// Opens bytes as if they were a file.
static struct gguf *open_bytes(const char *bytes, size_t len, struct err *err)
{
    int fd = memfd_create("test_gguf", MFD_CLOEXEC);
    struct gguf *gguf = NULL;
    char path[64];

    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        bug("no memory file of %zu bytes", len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    gguf = gguf_open(path, err);
    close(fd);
    return gguf;
}

static struct gguf *open_written(struct gguf_writer *writer, struct err *err)
{
    struct gguf *gguf;
    struct str file;

    str_init(&file, 0);
    gguf_writer_finish(writer, &file);
    gguf = open_bytes(file.data, file.len, err);
    str_release(&file);
    return gguf;
}

static struct gguf *open_good_model(void)
{
    struct err err = { .code = ERR_NONE };
    struct gguf_writer writer;
    struct gguf *gguf;

    gguf_writer_init(&writer);
    write_good_model(&writer);
    gguf = open_written(&writer, &err);
    gguf_writer_release(&writer);
    CHECK_STR(err.text, "");
    return gguf;
}

static const char *described(const struct gguf *gguf, const char *key, char *text,
                             size_t size)
{
    for (size_t i = 0; i < gguf_key_count(gguf); i++) {
        if (strcmp(gguf_key_at(gguf, i), key) == 0) {
            gguf_describe_value(gguf, i, text, size);
            return text;
        }
    }
    return NULL;
}

static void gives_every_type_of_value(void)
{
    struct gguf *gguf = open_good_model();
    struct gguf_string name = { "", 0 };
    struct gguf_array array = { .count = 0 };
    struct err err = { .code = ERR_NONE };
    uint64_t integer = 7;
    double number = 0;
    bool flag = false;

    REQUIRE(gguf != NULL);
    CHECK(gguf_get_string(gguf, "general.name", &name, &err));
    CHECK(name.len == 5 && memcmp(name.bytes, "Gr\303\274n", 5) == 0);
    CHECK(gguf_get_u64(gguf, "test.u8", &integer, &err) && integer == 200);
    CHECK(gguf_get_u64(gguf, "test.u64", &integer, &err) && integer == UINT64_MAX);
    CHECK(gguf_get_u64(gguf, "test.missing", &integer, &err) && integer == UINT64_MAX);
    CHECK(gguf_get_f64(gguf, "test.missing", &number, &err) && number == 0);
    CHECK(gguf_get_bool(gguf, "test.missing", &flag, &err) && !flag);
    CHECK(!gguf_has(gguf, "test.missing") && gguf_has(gguf, "test.u64"));
    CHECK(gguf_get_f64(gguf, "test.f32", &number, &err) && number == (double)0.1f);
    CHECK(gguf_get_f64(gguf, "test.i32", &number, &err) && number == -2e9);
    CHECK(gguf_get_f64(gguf, "test.u64", &number, &err) && number == 0x1p64);
    CHECK(gguf_get_bool(gguf, "test.bool", &flag, &err) && flag);
    CHECK(gguf_get_array(gguf, "test.i16s", GGUF_I16, &array, &err));
    CHECK(array.count == 2 && gguf_array_i64(&array, 0) == -1);
    CHECK_INT(gguf_array_i64(&array, 1), 32767);
    CHECK(gguf_get_array(gguf, "test.u64s", GGUF_U64, &array, &err));
    CHECK(gguf_array_u64(&array, 1) == UINT64_MAX && gguf_array_f64(&array, 1) == 0x1p64);
    CHECK(gguf_get_array(gguf, "test.f64s", GGUF_F64, &array, &err));
    CHECK(gguf_array_f64(&array, 0) == -0.5 && gguf_array_f64(&array, 1) == 1e300);
    CHECK(gguf_get_array(gguf, "tokenizer.ggml.tokens", GGUF_STRING, &array, &err));
    CHECK(array.count == 4 && array.strings[3].len == 4 &&
          memcmp(array.strings[3].bytes, "</s>", 4) == 0);
    CHECK(gguf_get_array(gguf, "test.none", GGUF_STRING, &array, &err) &&
          array.count == 0);
    CHECK_STR(err.text, "");
    gguf_close(&gguf);
    CHECK(gguf == NULL);
}

static void refuses_values_of_another_type(void)
{
    struct gguf *gguf = open_good_model();
    struct gguf_string string;
    struct gguf_array array;
    struct err err = { .code = ERR_NONE };
    uint64_t integer = 7;
    double number;
    bool flag;

    REQUIRE(gguf != NULL);
    CHECK(!gguf_get_u64(gguf, "test.i8", &integer, &err) && integer == 7);
    CHECK(strstr(err.text, "key 'test.i8', byte ") != NULL);
    CHECK(strstr(err.text, ": -100 is negative") != NULL);
    CHECK(!gguf_get_u64(gguf, "test.f32", &integer, &err));
    CHECK(strstr(err.text, "must be an integer, but is f32") != NULL);
    CHECK(!gguf_get_f64(gguf, "test.bool", &number, &err));
    CHECK(!gguf_get_bool(gguf, "test.u8", &flag, &err));
    CHECK(!gguf_get_string(gguf, "tokenizer.ggml.tokens", &string, &err));
    CHECK(!gguf_get_array(gguf, "tokenizer.ggml.scores", GGUF_F64, &array, &err));
    CHECK(strstr(err.text, "must be an array of f64s, but is an array of f32s") != NULL);
    CHECK(!gguf_get_array(gguf, "test.u8", GGUF_U8, &array, &err));
    CHECK_INT(err.code, ERR_FORMAT);
    gguf_close(&gguf);
}

static void describes_values_in_short_text(void)
{
    struct gguf *gguf = open_good_model();
    char text[32], little[4];

    REQUIRE(gguf != NULL);
    CHECK_STR(described(gguf, "general.architecture", text, sizeof(text)), "llama");
    CHECK_STR(described(gguf, "general.name", little, sizeof(little)), "Gr");
    CHECK_STR(described(gguf, "test.u64", text, sizeof(text)), "18446744073709551615");
    CHECK_STR(described(gguf, "test.i64", text, sizeof(text)), "-9223372036854775808");
    CHECK_STR(described(gguf, "test.f32", text, sizeof(text)), "0.100000001");
    CHECK_STR(described(gguf, "test.bool", text, sizeof(text)), "true");
    CHECK_STR(described(gguf, "tokenizer.ggml.tokens", text, sizeof(text)),
              "[string x 4]");
    CHECK_STR(described(gguf, "test.i16s", text, sizeof(text)), "[i16 x 2]");
    gguf_close(&gguf);
}

static void finds_tensors_and_their_bytes(void)
{
    struct gguf *gguf = open_good_model();
    const struct gguf_tensor *tensor;
    struct err err = { .code = ERR_NONE };
    uint8_t bytes[5];

    REQUIRE(gguf != NULL);
    CHECK_INT(gguf_tensor_count(gguf), 5);
    CHECK(gguf_find(gguf, "blk.0.missing") == NULL);
    tensor = gguf_find(gguf, "blk.0.ffn_down.weight");
    REQUIRE(tensor != NULL);
    CHECK(tensor == gguf_tensor_at(gguf, 3));
    CHECK(tensor->type == QUANT_Q4_K && tensor->rank == 4 && tensor->size_bytes == 288);
    CHECK(tensor->shape[0] == 256 && tensor->shape[2] == 1 && tensor->shape[3] == 2);
    CHECK_INT(tensor->bytes[287], (uint8_t)(287 * 7));
    CHECK(gguf_read(gguf, tensor, 283, 5, bytes, &err));
    CHECK(memcmp(bytes, tensor->bytes + 283, 5) == 0);
    CHECK(gguf_unchanged(gguf));
    gguf_close(&gguf);
}

static void accepts_version_2_and_every_alignment(void)
{
    for (uint32_t alignment = 8; alignment <= 65536; alignment *= 2) {
        struct err err = { .code = ERR_NONE };
        struct gguf_writer writer;
        struct gguf *gguf;

        gguf_writer_init(&writer);
        writer.version = alignment % 3 + 1; // 2 or 3
        writer.alignment = alignment;
        gguf_write_u32(&writer, "general.alignment", alignment);
        write_good_model(&writer);
        gguf = open_written(&writer, &err);
        CHECK_STR(err.text, "");
        if (gguf != NULL)
            CHECK_INT(gguf_find(gguf, "blk.1.attn.weight")->bytes[255],
                      (uint8_t)(255 * 7));
        gguf_close(&gguf);
        gguf_writer_release(&writer);
    }
}

static void check_refusal(const struct broken_file *broken, double ms,
                          const struct err *err)
{
    bool ok = strstr(err->text, broken->refusal) != NULL &&
              strchr(err->text, '\n') == NULL && strstr(err->text, "byte ") != NULL &&
              ms <= REFUSAL_MAX_MS;

    if (!ok) {
        printf("# %s: got \"%s\" after %.1f ms, want \"%s\"\n", broken->name, err->text,
               ms, broken->refusal);
        tap_note(__FILE__, __LINE__, "refused for the right reason in time");
    }
}

static void refuses_each_broken_file(void)
{
    struct rusage before, after;
    struct str file;

    str_init(&file, 0);
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < broken_file_count; i++) {
        struct err err = { .code = ERR_NONE };
        struct gguf *gguf;
        int64_t start;

        build_broken_file(&broken_files[i], &file);
        start = clock_ns();
        gguf = open_bytes(file.data, file.len, &err);
        if (gguf != NULL)
            tap_note(__FILE__, __LINE__, broken_files[i].name);
        else
            check_refusal(&broken_files[i], (double)(clock_ns() - start) * 1e-6, &err);
        gguf_close(&gguf);
    }
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss <= MEMORY_MAX_KIB);
    CHECK(broken_file_count >= 200);
    printf("# %zu broken files\n", broken_file_count);
    str_release(&file);
}

// The names of broken files are sentences of the report, and no two are the same test.
static void no_two_broken_files_are_alike(void)
{
    for (size_t i = 0; i < broken_file_count; i++) {
        for (size_t j = i + 1; j < broken_file_count; j++) {
            if (strcmp(broken_files[i].name, broken_files[j].name) == 0)
                tap_note(__FILE__, __LINE__, broken_files[i].name);
        }
    }
}

// Rules that need more than one wrong key.
static void refuses_keys_that_do_not_go_together(void)
{
    static const char *const tokens[] = { "a", "b", "c" };
    static const uint64_t shape[] = { 4, 2 };
    struct err no_tokens = { .code = ERR_NONE }, rows = no_tokens, patches = no_tokens;
    struct gguf_writer writer;

    gguf_writer_init(&writer);
    gguf_write_u32(&writer, "tokenizer.ggml.eos_token_id", 0);
    CHECK(open_written(&writer, &no_tokens) == NULL);
    CHECK(strstr(no_tokens.text, "names a token, but there are no tokens") != NULL);
    gguf_writer_release(&writer);

    gguf_writer_init(&writer);
    gguf_write_strings(&writer, "tokenizer.ggml.tokens", 3, tokens);
    gguf_write_tensor(&writer, "token_embd.weight", QUANT_F32, 2, shape, NULL, 32);
    CHECK(open_written(&writer, &rows) == NULL);
    CHECK(strstr(rows.text, "3 tokens, but tensor 'token_embd.weight' has 2 rows") !=
          NULL);
    gguf_writer_release(&writer);

    gguf_writer_init(&writer);
    gguf_write_u32(&writer, "clip.vision.image_size", 14);
    gguf_write_u32(&writer, "clip.vision.patch_size", 16);
    CHECK(open_written(&writer, &patches) == NULL);
    CHECK(strstr(patches.text, "16 does not fit a picture of 14") != NULL);
    gguf_writer_release(&writer);
}

// Opens it, uses what is accepted, and returns whether it was.
static bool survives(const char *bytes, size_t len)
{
    struct err err = { .code = ERR_NONE };
    struct gguf *gguf = open_bytes(bytes, len, &err);
    bool accepted = gguf != NULL;
    char text[16];
    unsigned sum = 0;

    CHECK(accepted == (err.code == ERR_NONE));
    CHECK(strchr(err.text, '\n') == NULL);
    for (size_t i = 0; accepted && i < gguf_key_count(gguf); i++)
        gguf_describe_value(gguf, i, text, sizeof(text));
    for (size_t i = 0; accepted && i < gguf_tensor_count(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);

        sum += tensor->bytes[0] + tensor->bytes[tensor->size_bytes - 1];
    }
    CHECK(sum < UINT32_MAX);
    gguf_close(&gguf);
    return accepted;
}

static void survives_truncation_at_every_byte(void)
{
    struct gguf_writer writer;
    struct str file;

    str_init(&file, 0);
    gguf_writer_init(&writer);
    write_good_model(&writer);
    gguf_writer_finish(&writer, &file);
    CHECK(survives(file.data, file.len));
    for (size_t len = 1; len < file.len; len++)
        CHECK(!survives(file.data, len));
    gguf_writer_release(&writer);
    str_release(&file);
}

static void survives_a_flip_of_every_bit_of_metadata(void)
{
    struct gguf_writer writer;
    struct str file;
    size_t accepted = 0, end;

    str_init(&file, 0);
    gguf_writer_init(&writer);
    write_good_model(&writer);
    gguf_writer_finish(&writer, &file);
    end = gguf_writer_place(&writer, "token_embd.weight").data_at;
    for (size_t bit = 0; bit < end * 8; bit++) {
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
        accepted += survives(file.data, file.len);
        file.data[bit / 8] = (char)(file.data[bit / 8] ^ 1 << bit % 8);
    }
    printf("# %zu of %zu flips gave another good file\n", accepted, end * 8);
    gguf_writer_release(&writer);
    str_release(&file);
}

// An own folder for the tests that need real files.
static char *make_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = alloc_printf("%s/test_gguf.XXXXXX", base != NULL ? base : "/tmp");

    if (mkdtemp(folder) == NULL)
        bug("cannot make %s", folder);
    return folder;
}

static void remove_folder(char *folder)
{
    char *command = alloc_printf("rm -r '%s'", folder);

    CHECK_INT(system(command), 0);
    free(command);
    free(folder);
}

static void a_file_truncated_while_open_is_an_error(void)
{
    char *folder = make_folder();
    char *path = alloc_printf("%s/model.gguf", folder);
    struct err err = { .code = ERR_NONE };
    const struct gguf_tensor *tensor;
    struct gguf_writer writer;
    struct gguf_string name = { "", 0 };
    struct gguf *gguf;
    char bytes[256];

    gguf_writer_init(&writer);
    write_good_model(&writer);
    CHECK(gguf_writer_save(&writer, path, &err));
    gguf = gguf_open(path, &err);
    REQUIRE(gguf != NULL);
    CHECK_INT(truncate(path, 100), 0);
    CHECK(!gguf_unchanged(gguf));
    tensor = gguf_find(gguf, "blk.1.attn.weight");
    CHECK(!gguf_read(gguf, tensor, 0, sizeof(bytes), bytes, &err));
    CHECK_INT(err.code, ERR_IO);
    CHECK(strstr(err.text, "tensor 'blk.1.attn.weight', byte ") != NULL);
    CHECK(gguf_get_string(gguf, "general.name", &name, &err)); // a copy: still there
    CHECK(name.len == 5 && memcmp(name.bytes, "Gr\303\274n", 5) == 0);
    gguf_close(&gguf);
    gguf_writer_release(&writer);
    free(path);
    remove_folder(folder);
}

// How one part of a split model of three is made wrong.
struct split_case {
    const char *refusal; // NULL: it is good
    const char *open;    // the file that is opened
    unsigned part;       // 1 to 3; 0: none
    enum {
        SPLIT_GOOD,
        SPLIT_MISSING,
        SPLIT_NO,
        SPLIT_COUNT,
        SPLIT_TOTAL,
        SPLIT_KEYLESS,
        SPLIT_TWIN,
        SPLIT_LINK,
        SPLIT_BROKEN,
        SPLIT_EMPTY,
        SPLIT_FIFO,
        SPLIT_LINK_TO_FIFO,
        SPLIT_LINK_TO_NOTHING,
        SPLIT_LINK_TO_ITSELF,
    } how;
};

static void write_part(const struct split_case *split, unsigned part, const char *path)
{
    bool wrong = split->part == part;
    struct gguf_writer writer;
    uint64_t shape[] = { 8 };
    float weights[8] = { (float)part };
    char name[32];
    struct err err = { .code = ERR_NONE };

    gguf_writer_init(&writer);
    gguf_write_string(&writer, "general.architecture", "llama");
    if (!(wrong && split->how == SPLIT_KEYLESS)) {
        gguf_write_u16(&writer, "split.no",
                       (uint16_t)(part - 1 + (wrong && split->how == SPLIT_NO)));
        gguf_write_u16(&writer, "split.count",
                       wrong && split->how == SPLIT_COUNT ? 9 : 3);
        gguf_write_i32(&writer, "split.tensors.count",
                       wrong && split->how == SPLIT_TOTAL ? 4 : 3);
    }
    snprintf(name, sizeof(name), "blk.%u.weight",
             wrong && split->how == SPLIT_TWIN ? part - 1 : part);
    if (wrong && split->how == SPLIT_BROKEN)
        writer.extra_tensors = 1;
    gguf_write_tensor(&writer, name, QUANT_F32, 1, shape, weights, sizeof(weights));
    CHECK(gguf_writer_save(&writer, path, &err));
    gguf_writer_release(&writer);
}

static void spoil_part(const struct split_case *split, const char *path)
{
    char *elsewhere = alloc_printf("%s.real", path);

    if (split->how == SPLIT_MISSING)
        CHECK_INT(unlink(path), 0);
    if (split->how == SPLIT_EMPTY)
        CHECK_INT(truncate(path, 0), 0);
    if (split->how == SPLIT_LINK)
        CHECK(rename(path, elsewhere) == 0 && symlink(elsewhere, path) == 0);
    if (split->how == SPLIT_FIFO)
        CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
    if (split->how == SPLIT_LINK_TO_FIFO)
        CHECK(unlink(path) == 0 && mkfifo(elsewhere, 0600) == 0 &&
              symlink(elsewhere, path) == 0);
    if (split->how == SPLIT_LINK_TO_NOTHING)
        CHECK(unlink(path) == 0 && symlink(elsewhere, path) == 0);
    if (split->how == SPLIT_LINK_TO_ITSELF)
        CHECK(unlink(path) == 0 && symlink(path, path) == 0);
    free(elsewhere);
}

static void check_split_case(const struct split_case *split)
{
    char *folder = make_folder();
    char *path = alloc_printf("%s/%s", folder, split->open);
    struct err err = { .code = ERR_NONE };
    struct gguf *gguf;

    for (unsigned part = 1; part <= 3; part++) {
        char *one = alloc_printf("%s/m-%05u-of-00003.gguf", folder, part);

        write_part(split, part, one);
        if (split->part == part)
            spoil_part(split, one);
        free(one);
    }
    gguf = gguf_open(path, &err);
    CHECK((gguf != NULL) == (split->refusal == NULL));
    if (split->refusal != NULL && strstr(err.text, split->refusal) == NULL)
        CHECK_STR(err.text, split->refusal);
    if (gguf != NULL) {
        CHECK_INT(gguf_tensor_count(gguf), 3);
        CHECK(gguf_size_bytes(gguf) > 3 * 200);
        CHECK(memcmp(gguf_find(gguf, "blk.3.weight")->bytes, "\0\0\x40\x40", 4) == 0);
        CHECK(gguf_unchanged(gguf));
    }
    gguf_close(&gguf);
    free(path);
    remove_folder(folder);
}

static void reads_split_models_and_refuses_wrong_ones(void)
{
    static const char first[] = "m-00001-of-00003.gguf";
    static const struct split_case cases[] = {
        { NULL, first, 0, SPLIT_GOOD },
        { "this is part 2 of 3, open the first one", "m-00002-of-00003.gguf", 0,
          SPLIT_GOOD },
        { "m-00002-of-00003.gguf: No such file", first, 2, SPLIT_MISSING },
        { "m-00003-of-00003.gguf: No such file", first, 3, SPLIT_MISSING },
        { "key 'split.no', byte 89: is 1, but must be 0", first, 1, SPLIT_NO },
        { "m-00003-of-00003.gguf: key 'split.no', byte 89: is 3, but", first, 3,
          SPLIT_NO },
        { "key 'split.count', byte 114: is 9, but must be 3", first, 1, SPLIT_COUNT },
        { "m-00002-of-00003.gguf: key 'split.count', byte 114: is 9", first, 2,
          SPLIT_COUNT },
        { "key 'split.tensors.count', byte 147: is 4, but must be 3", first, 1,
          SPLIT_TOTAL },
        { "key 'split.no' is missing", first, 1, SPLIT_KEYLESS },
        { "m-00002-of-00003.gguf: key 'split.no' is missing", first, 2, SPLIT_KEYLESS },
        { "tensor 'blk.1.weight', byte ", first, 2, SPLIT_TWIN },
        { NULL, first, 1, SPLIT_LINK },
        { NULL, first, 2, SPLIT_LINK },
        { "m-00002-of-00003.gguf: not a regular file", first, 2, SPLIT_LINK_TO_FIFO },
        { "m-00002-of-00003.gguf: No such file", first, 2, SPLIT_LINK_TO_NOTHING },
        { "m-00002-of-00003.gguf: Too many levels of symbolic links", first, 2,
          SPLIT_LINK_TO_ITSELF },
        { "m-00003-of-00003.gguf: tensor number 2, byte ", first, 3, SPLIT_BROKEN },
        { "m-00002-of-00003.gguf: the file is empty", first, 2, SPLIT_EMPTY },
        { "m-00002-of-00003.gguf: not a regular file", first, 2, SPLIT_FIFO },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_split_case(&cases[i]);
}

// Names that almost look like a part of a split model are names like any other.
static void opens_a_whole_model_under_any_name(void)
{
    static const char *const names[] = {
        "m-00001-of-00001.gguf",
        "m-00000-of-00003.gguf",
        "m-abcde-of-00003.gguf",
        "m-00001-of-0000x.gguf",
        "m-00001-to-00003.gguf",
        "m-00001-of-00003.ggu_",
        "-00001-of-00003.gguf",
        "m_00001-of-00003.gguf",
        "m.gguf",
        "m",
    };
    char *folder = make_folder();

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = alloc_printf("%s/%s", folder, names[i]);
        struct err err = { .code = ERR_NONE };
        struct gguf_writer writer;
        struct gguf *gguf;

        gguf_writer_init(&writer);
        write_good_model(&writer);
        CHECK(gguf_writer_save(&writer, path, &err));
        gguf = gguf_open(path, &err);
        CHECK_STR(err.text, "");
        gguf_close(&gguf);
        gguf_writer_release(&writer);
        free(path);
    }
    remove_folder(folder);
}

static void refuses_what_is_not_a_file(void)
{
    struct err err = { .code = ERR_NONE };

    CHECK(gguf_open("/nonexistent/model.gguf", &err) == NULL);
    CHECK_INT(err.code, ERR_NOT_FOUND);
    CHECK_STR(err.text, "/nonexistent/model.gguf: No such file or directory");
    CHECK(gguf_open("/", &err) == NULL);
    CHECK_STR(err.text, "/: not a regular file");
    CHECK(gguf_open("/dev/zero", &err) == NULL);
    CHECK_STR(err.text, "/dev/zero: not a regular file");
    CHECK(gguf_open("", &err) == NULL);
}

static double milliseconds_to_open(struct gguf_writer *writer, size_t keys)
{
    struct err err = { .code = ERR_NONE };
    struct gguf *gguf;
    struct str file;
    int64_t start;

    str_init(&file, 0);
    gguf_writer_finish(writer, &file);
    start = clock_ns();
    gguf = open_bytes(file.data, file.len, &err);
    start = clock_ns() - start;
    CHECK_STR(err.text, "");
    if (gguf != NULL)
        CHECK_INT(gguf_key_count(gguf), keys);
    gguf_close(&gguf);
    str_release(&file);
    return (double)start * 1e-6;
}

// The bounds leave room for sanitizers and a busy machine; the figures are printed.
static void opens_large_files_quickly(void)
{
    enum { TOKENS = 262144, KEYS = 65536 };
    const char **tokens = alloc_array(TOKENS, sizeof(*tokens));
    struct gguf_writer vocabulary, keys;
    double ms;

    gguf_writer_init(&vocabulary);
    for (size_t i = 0; i < TOKENS; i++)
        tokens[i] = alloc_printf("\342\226\201token%zu", i);
    gguf_write_strings(&vocabulary, "tokenizer.ggml.tokens", TOKENS, tokens);
    ms = milliseconds_to_open(&vocabulary, 1);
    printf("# %d tokens: %.1f ms\n", TOKENS, ms);
    CHECK(ms < 1000);
    for (size_t i = 0; i < TOKENS; i++)
        free((void *)(uintptr_t)tokens[i]);
    free(tokens);
    gguf_writer_release(&vocabulary);

    gguf_writer_init(&keys);
    for (int i = 0; i < KEYS; i++) {
        char key[32];

        snprintf(key, sizeof(key), "key.%d", i);
        gguf_write_u8(&keys, key, 0);
    }
    ms = milliseconds_to_open(&keys, KEYS);
    printf("# %d keys: %.1f ms\n", KEYS, ms);
    CHECK(ms < 1000);
    gguf_writer_release(&keys);
}

// The linker puts these in front of the real ones (module.am), so that the n-th request
// for memory can be made to fail.
void *__real_try_array(size_t count, size_t size);
void *__real_try_resize(void *memory, size_t count, size_t size);
char *__real_arena_string(struct arena *arena, const char *bytes, size_t len);
void *__wrap_try_array(size_t count, size_t size);
void *__wrap_try_resize(void *memory, size_t count, size_t size);
char *__wrap_arena_string(struct arena *arena, const char *bytes, size_t len);

static long requests_until_failure = -1; // -1: never

static bool fails_now(void)
{
    return requests_until_failure >= 0 && requests_until_failure-- == 0;
}

void *__wrap_try_array(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_try_array(count, size);
}

void *__wrap_try_resize(void *memory, size_t count, size_t size)
{
    return fails_now() ? NULL : __real_try_resize(memory, count, size);
}

char *__wrap_arena_string(struct arena *arena, const char *bytes, size_t len)
{
    return fails_now() ? NULL : __real_arena_string(arena, bytes, len);
}

static void survives_every_failing_allocation(void)
{
    struct gguf_writer writer;
    struct str file;
    bool opened = false;

    str_init(&file, 0);
    gguf_writer_init(&writer);
    write_good_model(&writer);
    gguf_writer_finish(&writer, &file);
    for (long n = 0; !opened && n < 1000; n++) {
        struct err err = { .code = ERR_NONE };
        struct gguf *gguf;

        requests_until_failure = n;
        gguf = open_bytes(file.data, file.len, &err);
        opened = gguf != NULL;
        requests_until_failure = -1;
        CHECK(opened ? n > 40 : err.code == ERR_MEMORY);
        gguf_close(&gguf);
    }
    CHECK(opened);
    gguf_writer_release(&writer);
    str_release(&file);
}

// The same for reading: the n-th pread gives `result` (and errno) instead.
ssize_t __real_pread(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset);

static struct {
    long until; // -1: never
    ssize_t result;
    int error;
} read_fault = { .until = -1 };

ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (read_fault.until < 0 || read_fault.until-- > 0)
        return __real_pread(fd, buffer, size, offset);
    errno = read_fault.error;
    return read_fault.result;
}

static void survives_faults_while_reading(void)
{
    struct err truncated = { .code = ERR_NONE }, broken = truncated, none = truncated;
    const struct gguf_tensor *tensor;
    struct gguf_writer writer;
    struct gguf *gguf;
    uint8_t bytes[16];

    gguf_writer_init(&writer);
    write_good_model(&writer);
    read_fault.until = 0;
    CHECK(open_written(&writer, &truncated) == NULL);
    CHECK(strstr(truncated.text, "the file was truncated to 0 bytes while it was") !=
          NULL);
    read_fault.until = 0;
    read_fault.result = -1;
    read_fault.error = EIO;
    CHECK(open_written(&writer, &broken) == NULL);
    CHECK_INT(broken.code, ERR_IO);
    CHECK(strstr(broken.text, "cannot read at byte 0: Input/output error") != NULL);

    read_fault.until = 0;
    read_fault.error = EINTR; // not a fault: it is tried again
    gguf = open_written(&writer, &none);
    REQUIRE(gguf != NULL);
    tensor = gguf_find(gguf, "output_norm.weight");
    read_fault.until = 0;
    CHECK(gguf_read(gguf, tensor, 0, sizeof(bytes), bytes, &none));
    CHECK_INT(none.code, ERR_NONE);
    read_fault.until = 0;
    read_fault.error = EIO;
    CHECK(!gguf_read(gguf, tensor, 0, sizeof(bytes), bytes, &none));
    CHECK(strstr(none.text, "tensor 'output_norm.weight', byte ") != NULL);
    gguf_close(&gguf);
    gguf_writer_release(&writer);
}

// A sparse file: two arrays of 128 MiB. The second one is refused before it is read.
static void refuses_more_metadata_than_the_limit(void)
{
    static const char array[] = "\xA\0\0\0\0\0\0\1\0\0\0\0"; // 2^24 u64
    const size_t data = (size_t)128 << 20, head = 24 + 8 + 1 + 4 + 12;
    struct err err = { .code = ERR_NONE };
    struct gguf_writer writer;
    struct str file;
    char path[64];
    int fd = memfd_create("test_gguf", MFD_CLOEXEC);

    str_init(&file, 0);
    gguf_writer_init(&writer);
    gguf_write_raw(&writer, "a", GGUF_ARRAY, array, sizeof(array) - 1);
    gguf_write_raw(&writer, "b", GGUF_ARRAY, array, sizeof(array) - 1);
    gguf_writer_finish(&writer, &file);
    CHECK_INT(pwrite(fd, file.data, head, 0), head);
    CHECK_INT(pwrite(fd, file.data + head, 25, (off_t)(head + data)), 25);
    CHECK_INT(ftruncate(fd, (off_t)(head + 25 + 2 * data)), 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(gguf_open(path, &err) == NULL);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK(strstr(err.text, "key 'b', byte ") != NULL);
    CHECK(strstr(err.text, "metadata is larger than 268435456 bytes") != NULL);
    close(fd);
    gguf_writer_release(&writer);
    str_release(&file);
}

static void refuses_more_parts_than_the_limit(void)
{
    char *folder = make_folder();
    char *path = alloc_printf("%s/m-00001-of-01025.gguf", folder);
    struct err err = { .code = ERR_NONE };
    struct gguf_writer writer;

    gguf_writer_init(&writer);
    gguf_write_u16(&writer, "split.no", 0);
    gguf_write_u16(&writer, "split.count", 1025);
    CHECK(gguf_writer_save(&writer, path, &err));
    CHECK(gguf_open(path, &err) == NULL);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK(strstr(err.text, "1025 parts are more than the limit of 1024") != NULL);
    gguf_writer_release(&writer);
    free(path);
    remove_folder(folder);
}

// Two parts that are each within the limit.
static void refuses_more_tensors_than_the_limit(void)
{
    enum { HALF = 32769 };
    static const uint64_t shape[] = { 1 };
    char *folder = make_folder();
    char *path = alloc_printf("%s/m-00001-of-00002.gguf", folder);
    char *other = alloc_printf("%s/m-00002-of-00002.gguf", folder);
    struct err err = { .code = ERR_NONE };

    for (unsigned part = 0; part < 2; part++) {
        struct gguf_writer writer;

        gguf_writer_init(&writer);
        gguf_write_u16(&writer, "split.no", (uint16_t)part);
        gguf_write_u16(&writer, "split.count", 2);
        gguf_write_u32(&writer, "split.tensors.count", 2 * HALF);
        for (unsigned i = 0; i < HALF; i++) {
            char name[32];

            snprintf(name, sizeof(name), "%u.%u", part, i);
            gguf_write_tensor(&writer, name, QUANT_F32, 1, shape, NULL, 4);
        }
        CHECK(gguf_writer_save(&writer, part == 0 ? path : other, &err));
        gguf_writer_release(&writer);
    }
    CHECK(gguf_open(path, &err) == NULL);
    CHECK_INT(err.code, ERR_LIMIT);
    CHECK(strstr(err.text, "65538 tensors are more than the limit of 65536") != NULL);
    free(other);
    free(path);
    remove_folder(folder);
}

static const struct test tests[] = {
    { "gives every type of value", gives_every_type_of_value },
    { "refuses values of another type", refuses_values_of_another_type },
    { "describes values in short text", describes_values_in_short_text },
    { "finds tensors and their bytes", finds_tensors_and_their_bytes },
    { "accepts version 2 and every alignment", accepts_version_2_and_every_alignment },
    { "refuses each broken file in one line, quickly", refuses_each_broken_file },
    { "refuses keys that do not go together", refuses_keys_that_do_not_go_together },
    { "no two broken files are alike", no_two_broken_files_are_alike },
    { "survives truncation at every byte", survives_truncation_at_every_byte },
    { "survives a flip of every bit of metadata",
      survives_a_flip_of_every_bit_of_metadata },
    { "a file truncated while open is an error",
      a_file_truncated_while_open_is_an_error },
    { "reads split models and refuses wrong ones",
      reads_split_models_and_refuses_wrong_ones },
    { "opens a whole model under any name", opens_a_whole_model_under_any_name },
    { "refuses what is not a file", refuses_what_is_not_a_file },
    { "opens large files quickly", opens_large_files_quickly },
    { "survives every failing allocation", survives_every_failing_allocation },
    { "survives faults while reading", survives_faults_while_reading },
    { "refuses more metadata than the limit", refuses_more_metadata_than_the_limit },
    { "refuses more parts than the limit", refuses_more_parts_than_the_limit },
    { "refuses more tensors than the limit", refuses_more_tensors_than_the_limit },
};

TAP_MAIN(tests)
