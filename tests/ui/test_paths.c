// tests/ui/test_paths.c
// SPDX-License-Identifier: MIT
//
// What terminals and file managers paste when files are dropped on them, and text that
// only looks like it.
#include "ui/paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "tests/tap.h"

static const char *const files[] = { "cat.png",  "two words.jpg",
                                     "it's.png", "caf\303\251.png",
                                     "100%.png", "narrow\342\200\257space.png" };
#define FILES (sizeof(files) / sizeof(files[0]))

static char folder[] = "/tmp/oriel-paths-XXXXXX";

// In `text` and `want`, @ stands for the folder. want: the paths, a line each; NULL:
// other text.
static const struct {
    const char *text, *want;
} cases[] = {
    { "@/cat.png", "@/cat.png" },
    { "  @/cat.png \n", "@/cat.png" },
    { "~/cat.png", "@/cat.png" },
    { "file://@/cat.png", "@/cat.png" },
    { "file://localhost@/cat.png", "@/cat.png" },
    { "file://@/two%20words.jpg\nfile://@/cat.png\n", "@/two words.jpg\n@/cat.png" },
    { "file://@/caf%C3%a9.png", "@/caf\303\251.png" },
    { "file://@/100%25.png", "@/100%.png" },
    { "'@/two words.jpg'", "@/two words.jpg" },
    { "\"@/two words.jpg\" '@/cat.png'", "@/two words.jpg\n@/cat.png" },
    { "@/two\\ words.jpg @/cat.png", "@/two words.jpg\n@/cat.png" },
    { "@/two words.jpg", "@/two words.jpg" },
    { "'@/it'\\''s.png' ", "@/it's.png" },
    { "@/it\\'s.png", "@/it's.png" },
    { "@/it's.png", "@/it's.png" },
    { "@/narrow\342\200\257space.png", "@/narrow\342\200\257space.png" },
    { "@/cat.png\r\n@/100%.png", "@/cat.png\n@/100%.png" },
    { "", NULL },
    { "\n\n", NULL },
    { "/", NULL },
    { "cat.png", NULL },
    { "@", NULL }, // a folder
    { "@/none.png", NULL },
    { "@/cat.png @/none.png", NULL },
    { "look at @/cat.png", NULL },
    { "@/cat.png what is it?", NULL },
    { "@/cat.png\nwhat is it?", NULL },
    { "'@/cat.png", NULL }, // an open quote
    { "~cat.png", NULL },
    { "file://elsewhere@/cat.png", NULL },
    { "file://@/cat.png%0", NULL },
    { "file://@/cat.png%zz", NULL },
    { "file://@/cat.png%00", NULL },
    { "https://example.org/cat.png", NULL },
    { "/help", NULL },
};

static void expand(const char *text, struct str *out)
{
    for (; text[0] != '\0'; text++)
        if (text[0] == '@')
            str_append(out, folder);
        else
            str_append_char(out, text[0]);
}

static void recognises_files(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text, want, got;
        size_t count;
        char **paths;

        str_init(&text, 0);
        str_init(&want, 0);
        str_init(&got, 0);
        expand(cases[i].text, &text);
        expand(cases[i].want != NULL ? cases[i].want : "(none)", &want);
        paths = paths_parse(text.data, text.len, &count);
        for (size_t j = 0; j < count; j++)
            str_printf(&got, "%s%s", j > 0 ? "\n" : "", paths[j]);
        if (paths == NULL)
            str_append(&got, "(none)");
        if (strcmp(got.data, want.data) != 0)
            printf("# %s\n", text.data);
        CHECK_STR(got.data, want.data);
        paths_free(paths, count);
        str_release(&text);
        str_release(&want);
        str_release(&got);
    }
}

static void limits_what_it_looks_at(void)
{
    struct str text;
    size_t count;

    str_init(&text, 0);
    for (int i = 0; i < 100; i++)
        str_printf(&text, "%s/cat.png\n", folder);
    CHECK(paths_parse(text.data, text.len, &count) == NULL);
    CHECK_INT(count, 0);
    CHECK(paths_parse("/\0/", 3, &count) == NULL);
    str_release(&text);
}

static const struct test tests[] = {
    { "recognises files however they are written", recognises_files },
    { "limits what it looks at", limits_what_it_looks_at },
};

int main(int argc, char **argv)
{
    char path[256];
    int failed;

    if (mkdtemp(folder) == NULL)
        return 99;
    setenv("HOME", folder, 1);
    for (size_t i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        close(open(path, O_CREAT | O_WRONLY, 0600));
    }
    failed = tap_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    for (size_t i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
    return failed;
}
