// tests/pictures/test_pictures.c
// SPDX-License-Identifier: MIT
//
// Pictures through the real child process: this program starts itself as one.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/pictures/answer.h"
#include "app/pictures/decode_role.h"
#include "app/pictures/picture.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "tests/tap.h"

#define FIELDS_MAX 7

static const char *const goldens = "tests/golden/pictures";

static char *golden_path(const char *name)
{
    const char *top = getenv("top_srcdir");

    return alloc_printf("%s/%s/%s", top != NULL ? top : ".", goldens, name);
}

static bool read_golden(const char *name, struct str *out)
{
    char *path = golden_path(name);
    struct err err = { .code = ERR_NONE };
    bool ok;

    str_init(out, (size_t)1 << 20);
    ok = file_read(path, (size_t)1 << 20, out, &err);
    if (!ok)
        printf("# %s\n", err.text);
    free(path);
    return ok;
}

// Calls check with the fields of each line of a golden table. Returns their number.
static int each_line(const char *table, void (*check)(char *fields[FIELDS_MAX]))
{
    struct str text;
    char *line, *rest;
    int count = 0;

    if (!read_golden(table, &text)) {
        tap_note(__FILE__, __LINE__, table);
        str_release(&text);
        return 0;
    }
    for (line = strtok_r(text.data, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *fields[FIELDS_MAX] = { NULL };

        for (int i = 0; i < FIELDS_MAX && line != NULL; i++)
            fields[i] = strsep(&line, "\t");
        check(fields);
        count++;
    }
    str_release(&text);
    return count;
}

// ---------------------------------------------------------------------------
// What is decoded

static bool is_near(const char *name, const struct picture *picture)
{
    char *file = alloc_printf("%s.rgba", name);
    struct str want;
    bool ok = read_golden(file, &want) && want.len == picture->bytes;
    long sum = 0;
    int most = 0;

    for (size_t i = 0; ok && i < picture->bytes; i++) {
        int difference = abs(picture->rgba[i] - (uint8_t)want.data[i]);

        sum += difference;
        most = difference > most ? difference : most;
    }
    if (most > 0)
        printf("# %s: differs by at most %d, on average %.3f\n", name, most,
               (double)sum / (double)picture->bytes);
    ok = ok && most <= 2 && (double)sum < 0.1 * (double)picture->bytes;
    str_release(&want);
    free(file);
    return ok;
}

static bool is_equal(const char *digest, const struct picture *picture)
{
    unsigned char bytes[SHA256_BYTES];
    char hex[SHA256_HEX];
    struct sha256 hash;

    sha256_init(&hash);
    sha256_update(&hash, picture->rgba, picture->bytes);
    sha256_final(&hash, bytes);
    sha256_hex(bytes, hex);
    return strcmp(hex, digest) == 0;
}

static void check_picture(char *fields[FIELDS_MAX])
{
    char *path = golden_path(fields[0]);
    struct picture picture = { .rgba = NULL };
    struct err err = { .code = ERR_NONE };

    if (!picture_open(path, &picture, &err)) {
        tap_note(__FILE__, __LINE__, err.text);
    } else if (strcmp(picture.format, fields[1]) != 0 ||
               picture.width != strtoul(fields[2], NULL, 10) ||
               picture.height != strtoul(fields[3], NULL, 10) ||
               picture.frames != strtoul(fields[4], NULL, 10) ||
               picture.has_alpha != (fields[5][0] == '1')) {
        printf("# %s: %s %u x %u, %u frames, alpha %d\n", fields[0], picture.format,
               picture.width, picture.height, picture.frames, picture.has_alpha);
        tap_note(__FILE__, __LINE__, "what is known of the picture");
    } else if (strcmp(fields[6], "near") == 0 ? !is_near(fields[0], &picture)
                                              : !is_equal(fields[6], &picture)) {
        tap_note(__FILE__, __LINE__, fields[0]);
    }
    picture_release(&picture);
    free(path);
}

static void every_picture_has_the_expected_pixels(void)
{
    CHECK(each_line("pictures.tsv", check_picture) > 100);
}

// ---------------------------------------------------------------------------
// What is refused

static bool matches(const char *text, const char *want)
{
    size_t len = strlen(want);

    return len > 0 && want[len - 1] == '*' ? strncmp(text, want, len - 1) == 0
                                           : strcmp(text, want) == 0;
}

static void check_hostile(char *fields[FIELDS_MAX])
{
    char *name = alloc_printf("hostile/%s", fields[0]);
    struct picture picture = { .rgba = NULL };
    struct err err = { .code = ERR_NONE };
    int64_t start = clock_ns();
    struct str bytes;

    if (!read_golden(name, &bytes))
        tap_note(__FILE__, __LINE__, name);
    else if (picture_decode_bytes(bytes.data, bytes.len, "it", &picture, &err))
        tap_note(__FILE__, __LINE__, name);
    else if (strncmp(err.text, "it: ", 4) != 0 || !matches(err.text + 4, fields[1]) ||
             strchr(err.text, '\n') != NULL)
        printf("# %s: want: %s\n", fields[0], fields[1]),
            tap_note(__FILE__, __LINE__, err.text);
    if (clock_ns() - start > 1000000000)
        tap_note(__FILE__, __LINE__, "took more than a second");
    picture_release(&picture);
    str_release(&bytes);
    free(name);
}

static void hostile_files_are_refused_with_one_line_at_once(void)
{
    struct rusage usage;

    CHECK(each_line("hostile.tsv", check_hostile) > 30);
    CHECK_INT(getrusage(RUSAGE_CHILDREN, &usage), 0);
    CHECK(usage.ru_maxrss < 128 * 1024); // KiB, the largest child until now
}

static void only_regular_files_are_opened(void)
{
    char folder[] = "/tmp/oriel-pictures-XXXXXX";
    struct picture picture = { .rgba = NULL };
    struct err err = { .code = ERR_NONE };
    char *pipe;

    REQUIRE(mkdtemp(folder) != NULL);
    pipe = alloc_printf("%s/pipe", folder);
    CHECK_INT(mkfifo(pipe, 0600), 0);
    CHECK(!picture_open(pipe, &picture, &err));
    CHECK(strstr(err.text, "/pipe: not a regular file") != NULL);
    CHECK(!picture_open(folder, &picture, &err));
    CHECK(strstr(err.text, "not a regular file") != NULL);
    CHECK(!picture_open("/dev/null", &picture, &err));
    CHECK_STR(err.text, "/dev/null: not a regular file");
    CHECK(!picture_open("/nowhere.png", &picture, &err));
    CHECK_INT(err.code, ERR_NOT_FOUND);
    unlink(pipe);
    rmdir(folder);
    free(pipe);
}

static void files_that_are_too_large_are_not_read(void)
{
    int fd = memfd_create("large", MFD_CLOEXEC);
    struct picture_decode *decode;
    struct err err = { .code = ERR_NONE };

    REQUIRE(fd >= 0);
    CHECK_INT(ftruncate(fd, (off_t)IMAGE_INPUT_MAX + 1), 0);
    decode = picture_decode_start(fd, "large", 0, 0, &err);
    CHECK(decode == NULL);
    CHECK_STR(err.text, "large: 104857601 bytes, a picture may have 104857600");
    CHECK_INT(err.code, ERR_LIMIT);
    close(fd);
}

// ---------------------------------------------------------------------------
// Without waiting

static int open_golden(const char *name)
{
    char *path = golden_path(name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    free(path);
    return fd;
}

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count;
}

static void several_are_decoded_at_once_and_nothing_is_left(void)
{
    enum { COUNT = 8 };
    struct picture_decode *decodes[COUNT];
    int before = count_descriptors();
    struct err err = { .code = ERR_NONE };
    int fd = open_golden("jpeg-420.jpg");

    for (int i = 0; i < COUNT; i++) {
        decodes[i] = picture_decode_start(fd, "some", 0, 0, &err);
        REQUIRE(decodes[i] != NULL);
    }
    close(fd);
    for (int i = 0; i < COUNT; i++) {
        struct pollfd ended = { .fd = picture_decode_fd(decodes[i]), .events = POLLIN };
        struct picture picture = { .rgba = NULL };

        CHECK_INT(poll(&ended, 1, 5000), 1);
        if (i % 2 == 0) {
            CHECK(picture_decode_finish(&decodes[i], &picture, &err));
            CHECK_INT(picture.width, 19);
        } else {
            picture_decode_cancel(&decodes[i]);
        }
        CHECK(decodes[i] == NULL);
        picture_release(&picture);
        picture_release(&picture);
    }
    picture_decode_cancel(&decodes[0]); // NULL by now
    CHECK_INT(count_descriptors(), before);
    CHECK(waitpid(-1, NULL, WNOHANG) < 0); // no child, not even a dead one
}

static void the_pixels_are_sealed_and_can_be_handed_on(void)
{
    struct picture picture = { .rgba = NULL };
    struct err err = { .code = ERR_NONE };
    char *path = golden_path("png-6-8.png");
    struct stat status;
    uint8_t first[4];

    REQUIRE(picture_open(path, &picture, &err));
    CHECK_INT(fcntl(picture.fd, F_GET_SEALS),
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    CHECK_INT(fstat(picture.fd, &status), 0);
    CHECK_INT(status.st_size, 4 * 13 * 11);
    CHECK_INT(picture.bytes, 4 * 13 * 11);
    CHECK_INT(pread(picture.fd, first, 4, 0), 4);
    CHECK(memcmp(first, picture.rgba, 4) == 0);
    CHECK(pwrite(picture.fd, first, 4, 0) < 0);
    CHECK((fcntl(picture.fd, F_GETFD) & FD_CLOEXEC) != 0);
    picture_release(&picture);
    free(path);
}

static void a_large_picture_is_reduced_to_fit(void)
{
    struct picture picture = { .rgba = NULL };
    struct err err = { .code = ERR_NONE };
    int fd = open_golden("jpeg-exif-6.jpg"); // 6 x 11 upright
    struct picture_decode *decode = picture_decode_start(fd, "it", 100, 5, &err);

    close(fd);
    REQUIRE(decode != NULL);
    REQUIRE(picture_decode_finish(&decode, &picture, &err));
    CHECK_INT(picture.width, 3);
    CHECK_INT(picture.height, 5);
    CHECK_INT(picture.full_width, 6);
    CHECK_INT(picture.full_height, 11);
    picture_release(&picture);
}

static void a_child_that_is_killed_or_hangs_is_one_line(void)
{
    static const struct {
        int signal;
        const char *line;
    } cases[] = {
        { SIGSEGV, "it: decoding it crashed (signal 11, Segmentation fault)" },
        { SIGSYS, "it: decoding it was stopped, for it tried what the sandbox forbids" },
        { SIGXCPU, "it: it takes more than 10 s to decode" },
        { SIGKILL, "it: memory ran out, or the file changed while it was read" },
        { SIGSTOP, "it: it takes more than 10 s to decode" },
    };
    struct picture picture = { .rgba = NULL };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = { .code = ERR_NONE };
        int fd = open_golden("jpeg-420.jpg");
        struct picture_decode *decode = picture_decode_start(fd, "it", 0, 0, &err);

        close(fd);
        REQUIRE(decode != NULL);
        // It is still busy with being loaded.
        CHECK_INT(pidfd_send_signal(picture_decode_fd(decode), cases[i].signal, NULL, 0),
                  0);
        CHECK(!picture_decode_finish(&decode, &picture, &err));
        CHECK_STR(err.text, cases[i].line);
    }
}

// Denies seccomp() to this process and those that it starts.
static bool deny_sandboxes(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void without_a_sandbox_nothing_is_decoded(void)
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct picture picture = { .rgba = NULL };
        struct err err = { .code = ERR_NONE };
        char *path = golden_path("jpeg-420.jpg");

        if (!deny_sandboxes())
            _exit(2);
        if (picture_open(path, &picture, &err))
            _exit(3);
        if (strstr(err.text, "no picture is decoded without a sandbox: this system has "
                             "no seccomp filter: Function not implemented") == NULL)
            _exit(4);
        _exit(0);
    }
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
}

// As people set them, and as the child must not try to raise them.
static void lower_limits_are_respected(void)
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct picture picture = { .rgba = NULL };
        struct err err = { .code = ERR_NONE };
        int fd = open_golden("jpeg-420.jpg");
        struct picture_decode *decode;

        setrlimit(RLIMIT_CPU, &(struct rlimit){ 5, 5 });
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        if (setgid(65534) != 0 || setuid(65534) != 0)
            _exit(geteuid() == 0 ? 2 : 0); // an ordinary user cannot raise limits anyway
        decode = picture_decode_start(fd, NULL, 0, 0, &err);
        _exit(decode != NULL && picture_decode_finish(&decode, &picture, &err) ? 0 : 3);
    }
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
}

static const struct test tests[] = {
    { "every picture has the expected pixels", every_picture_has_the_expected_pixels },
    { "hostile files are refused with one line at once",
      hostile_files_are_refused_with_one_line_at_once },
    { "only regular files are opened", only_regular_files_are_opened },
    { "files that are too large are not read", files_that_are_too_large_are_not_read },
    { "several are decoded at once and nothing is left",
      several_are_decoded_at_once_and_nothing_is_left },
    { "the pixels are sealed and can be handed on",
      the_pixels_are_sealed_and_can_be_handed_on },
    { "a large picture is reduced to fit", a_large_picture_is_reduced_to_fit },
    { "a child that is killed or hangs is one line",
      a_child_that_is_killed_or_hangs_is_one_line },
    { "without a sandbox nothing is decoded", without_a_sandbox_nothing_is_decoded },
    { "lower limits are respected", lower_limits_are_respected },
};

int main(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], DECODE_ROLE_NAME) == 0)
        _exit(decode_role_run());
    return tap_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
