// tests/tap.h
// SPDX-License-Identifier: MIT
//
// The test harness: a table of cases whose names are sentences, printed as TAP.
//
//     static const struct test tests[] = { { "rejects a longer one", rejects_a_longer_one
//     } }; TAP_MAIN(tests)
//
// Run one with a substring of its name, list all with --list. A failed CHECK prints both
// values and fails the case, which goes on; REQUIRE leaves the case; tap_skip says why.
#ifndef ORIEL_TESTS_TAP_H
#define ORIEL_TESTS_TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
    const char *name;
    void (*run)(void);
};

static int tap_failures;
static char tap_skip_reason[256];

__attribute__((unused)) static void tap_note(const char *file, int line, const char *text)
{
    printf("# %s:%d: %s\n", file, line, text);
    tap_failures++;
}

__attribute__((unused, format(printf, 1, 2))) static void tap_skip(const char *format,
                                                                   ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(tap_skip_reason, sizeof(tap_skip_reason), format, args);
    va_end(args);
}

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition))                                                                \
            tap_note(__FILE__, __LINE__, #condition);                                    \
    } while (0)

#define REQUIRE(condition)                                                               \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            tap_note(__FILE__, __LINE__, #condition);                                    \
            return;                                                                      \
        }                                                                                \
    } while (0)

#define CHECK_INT(got, want)                                                             \
    do {                                                                                 \
        long long got_ = (long long)(got), want_ = (long long)(want);                    \
        if (got_ != want_) {                                                             \
            printf("# got %lld, want %lld\n", got_, want_);                              \
            tap_note(__FILE__, __LINE__, #got " == " #want);                             \
        }                                                                                \
    } while (0)

#define CHECK_STR(got, want)                                                             \
    do {                                                                                 \
        const char *got_ = (got), *want_ = (want);                                       \
        if (got_ == NULL || strcmp(got_, want_) != 0) {                                  \
            printf("# got \"%s\", want \"%s\"\n", got_ != NULL ? got_ : "(null)",        \
                   want_);                                                               \
            tap_note(__FILE__, __LINE__, #got " == " #want);                             \
        }                                                                                \
    } while (0)

#define CHECK_NEAR(got, want, tolerance)                                                 \
    do {                                                                                 \
        double got_ = (double)(got), want_ = (double)(want);                             \
        if (!(fabs(got_ - want_) <= (double)(tolerance))) {                              \
            printf("# got %.9g, want %.9g within %g\n", got_, want_,                     \
                   (double)(tolerance));                                                 \
            tap_note(__FILE__, __LINE__, #got " is near " #want);                        \
        }                                                                                \
    } while (0)

__attribute__((unused)) static int tap_main(const struct test *tests, size_t count,
                                            int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : "";
    int number = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(filter, "--list") == 0) {
        for (size_t i = 0; i < count; i++)
            puts(tests[i].name);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (strstr(tests[i].name, filter) == NULL)
            continue;
        tap_failures = 0;
        tap_skip_reason[0] = '\0';
        tests[i].run();
        printf("%sok %d - %s", tap_failures > 0 ? "not " : "", ++number, tests[i].name);
        if (tap_skip_reason[0] != '\0' && tap_failures == 0)
            printf(" # SKIP %s", tap_skip_reason);
        putchar('\n');
        failed += tap_failures > 0;
    }
    printf("1..%d\n", number);
    return failed > 0;
}

#define TAP_MAIN(tests)                                                                  \
    int main(int argc, char **argv)                                                      \
    {                                                                                    \
        return tap_main(tests, sizeof(tests) / sizeof((tests)[0]), argc, argv);          \
    }

#endif
