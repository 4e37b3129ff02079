// tests/app/test_engine_lock.c
// SPDX-License-Identifier: MIT
//
// The evil twin of the engine: a process that has locked itself in as the engine does and
// then does what a model that took it over would do. Every attempt must be refused. And
// the good one: what drivers need works, with a model computed on every device.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/engine_lock.h"
#include "base/alloc.h"
#include "base/file.h"
#include "engine/gpu/gpu.h"
#include "engine/gpu/kernels.h"
#include "tests/tap.h"

// home/.cache may be written to, home not.
static struct {
    char folder[32];
    char *cache, *outside;
} home;

// The value that a process ends with, after it has locked itself in and done that; -1
// when it was killed.
static int value_after(int (*attempt)(void))
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct engine_lock lock = { .cache_directory = home.cache };
        struct err err = { .code = ERR_NONE };

        if (!engine_lock(&lock, &err)) {
            printf("# %s\n", err.text);
            _exit(99);
        }
        _exit(attempt());
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

// Of an attempt: 0 when it was refused.
static int refused(long result)
{
    return result >= 0 ? 1 : errno == EPERM || errno == EACCES ? 0 : 2;
}

// ---------------------------------------------------------------------------
// What must be refused

static int try_exec(void)
{
    char *const arguments[] = { NULL };

    return refused(execve("/bin/sh", arguments, arguments));
}

static int try_exec_of_memory(void)
{
    int fd = memfd_create("x", 0);
    char *const arguments[] = { NULL };

    return refused(syscall(SYS_execveat, fd, "", arguments, arguments, AT_EMPTY_PATH));
}

static int try_spawn(void)
{
    char name[] = "true", *const arguments[] = { name, NULL };
    pid_t pid;

    return posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, arguments) == 0;
}

static int try_fork(void)
{
    return refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int try_fork_of_libc(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return refused(pid);
}

static int try_internet(void)
{
    return refused(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_internet_6(void)
{
    return refused(socket(AF_INET6, SOCK_DGRAM, 0));
}

static int try_packets(void)
{
    return refused(socket(AF_PACKET, SOCK_RAW, 0));
}

static int try_local_socket(void)
{
    return refused(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_netlink(void)
{
    return refused(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int try_ptrace(void)
{
    return refused(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int try_being_traced(void)
{
    return refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_read_of_parent(void)
{
    return refused(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int try_kill_of_parent(void)
{
    return refused(kill(getppid(), 0));
}

static int try_kill_of_all(void)
{
    return refused(kill(-1, 0));
}

static int try_tgkill(void)
{
    return refused(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int try_io_uring(void)
{
    return refused(syscall(425, 1, NULL));
}

static int try_bpf(void)
{
    return refused(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_mount(void)
{
    return refused(mount("none", home.folder, "tmpfs", 0, NULL));
}

static int try_user_namespace(void)
{
    return refused(unshare(CLONE_NEWUSER));
}

static int try_keys(void)
{
    return refused(syscall(SYS_keyctl, 0, -3, 0));
}

static int try_typing(void)
{
    return refused(ioctl(STDERR_FILENO, TIOCSTI, "x"));
}

// The high half of the number that the kernel does not look at.
static int try_typing_by_high_bits(void)
{
    return refused(syscall(SYS_ioctl, STDERR_FILENO, 0x100000000 | TIOCSTI, "x"));
}

static int try_personality(void)
{
    return refused(syscall(SYS_personality, 0xFFFFFFFF));
}

#ifdef __x86_64__
static int try_x32(void)
{
    return refused(syscall(0x40000000 + SYS_getuid));
}
#endif

struct attempt {
    const char *name;
    int (*run)(void);
};

static const struct attempt calls[] = {
    { "exec", try_exec },
    { "exec of memory", try_exec_of_memory },
    { "spawn", try_spawn },
    { "fork", try_fork },
    { "fork by the C library", try_fork_of_libc },
    { "internet socket", try_internet },
    { "internet socket, version 6", try_internet_6 },
    { "packet socket", try_packets },
    { "local socket", try_local_socket },
    { "netlink", try_netlink },
    { "ptrace", try_ptrace },
    { "being traced", try_being_traced },
    { "process_vm_readv", try_read_of_parent },
    { "kill of the parent", try_kill_of_parent },
    { "kill of all", try_kill_of_all },
    { "tgkill", try_tgkill },
    { "io_uring", try_io_uring },
    { "bpf", try_bpf },
    { "mount", try_mount },
    { "user namespace", try_user_namespace },
    { "keys", try_keys },
    { "typing into the terminal", try_typing },
    { "typing, with high bits", try_typing_by_high_bits },
    { "personality", try_personality },
#ifdef __x86_64__
    { "x32 call", try_x32 },
#endif
};

static void check_all_refused(const struct attempt *attempts, size_t count)
{
    size_t denied = 0;

    for (size_t i = 0; i < count; i++) {
        int value = value_after(attempts[i].run);

        denied += value == 0;
        if (value != 0) {
            printf("# %s: %d\n", attempts[i].name, value);
            tap_failures++;
        }
    }
    printf("# %zu of %zu attempts refused\n", denied, count);
}

static void calls_out_of_the_process_are_refused(void)
{
    check_all_refused(calls, sizeof(calls) / sizeof(calls[0]));
}

// ---------------------------------------------------------------------------
// Files

static int try_create(void)
{
    char *path = alloc_printf("%s/new", home.folder);

    return refused(open(path, O_CREAT | O_WRONLY, 0600));
}

static int try_write(void)
{
    return refused(open(home.outside, O_WRONLY));
}

static int try_truncate(void)
{
    return refused(truncate(home.outside, 0));
}

static int try_remove(void)
{
    return refused(unlink(home.outside));
}

static int try_rename(void)
{
    char *path = alloc_printf("%s/moved", home.cache);

    return rename(home.outside, path) == 0;
}

static int try_link(void)
{
    char *path = alloc_printf("%s/link", home.cache);

    return link(home.outside, path) == 0;
}

static int try_link_out(void)
{
    char *path = alloc_printf("%s/link", home.folder);

    return refused(symlink("/etc/passwd", path));
}

// A way around the rules that leads through the cache and back.
static int try_write_through_a_link(void)
{
    char *path = alloc_printf("%s/way-out", home.cache);

    if (symlink(home.outside, path) != 0)
        return 3;
    return refused(open(path, O_WRONLY));
}

static int try_memory_of_parent(void)
{
    char *path = alloc_printf("/proc/%d/mem", (int)getppid());

    return refused(open(path, O_RDWR));
}

static int try_device_file(void)
{
    char *path = alloc_printf("%s/device", home.cache);

    return refused(mknod(path, S_IFBLK | 0600, 0));
}

static const struct attempt files[] = {
    { "create", try_create },
    { "write", try_write },
    { "truncate", try_truncate },
    { "remove", try_remove },
    { "rename into the cache", try_rename },
    { "link into the cache", try_link },
    { "symbolic link", try_link_out },
    { "write through a link", try_write_through_a_link },
    { "memory of the parent", try_memory_of_parent },
    { "device file", try_device_file },
};

static int write_inside(void)
{
    char *path = alloc_printf("%s/oriel/file", home.cache);
    char *folder = alloc_printf("%s/oriel", home.cache);
    struct err err = { .code = ERR_NONE };
    struct str back;

    str_init(&back, 100);
    if (!file_make_directories(folder, &err) || !file_replace(path, "abc", 3, &err) ||
        !file_read(path, 100, &back, &err) || unlink(path) != 0) {
        printf("# %s\n", err.text);
        return 1;
    }
    return 42;
}

static bool have_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

static void files_can_be_written_in_the_cache_alone(void)
{
    if (!have_landlock()) {
        tap_skip("this kernel has no Landlock");
        return;
    }
    CHECK_INT(value_after(write_inside), 42);
    check_all_refused(files, sizeof(files) / sizeof(files[0]));
    CHECK_INT(access(home.outside, R_OK), 0);
}

// ---------------------------------------------------------------------------
// What must work

static void *end_thread(void *user)
{
    *(int *)user = 1;
    return NULL;
}

static int start_thread(void)
{
    pthread_t thread;
    int done = 0;

    return pthread_create(&thread, NULL, end_thread, &done) == 0 &&
                   pthread_join(thread, NULL) == 0
               ? done
               : 2;
}

static int run_memory_as_code(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int read_files(void)
{
    int null = open("/dev/null", O_RDWR | O_TRUNC),
        own = open("/proc/self/maps", O_RDONLY);
    DIR *folder = opendir("/sys/class");

    return null >= 0 && own >= 0 && folder != NULL && open(home.outside, O_RDONLY) >= 0 &&
           memfd_create("x", 0) >= 0;
}

static int abort_itself(void)
{
    signal(SIGUSR1, SIG_IGN);
    return raise(SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0;
}

static bool compute(struct gpu *gpu, struct err *err)
{
    struct gpu_recording *recording = gpu_recording_create(gpu, err);
    struct gpu_buffer y = { .size = 0 };
    float values[4] = { -1000, 0, 1, 1000 }, back[4];
    bool ok;

    ok = recording != NULL &&
         gpu_buffer_create(gpu, &y, sizeof(values), GPU_PLACE_DEVICE, "values", err) &&
         gpu_write(gpu, &y, 0, values, sizeof(values), err) &&
         gpu_record_begin(recording, err) &&
         kernel_softcap(gpu, recording, &y, 4, 10.0f, err) &&
         gpu_record_end(recording, err) && gpu_run(recording, err) &&
         gpu_read(gpu, &y, 0, back, sizeof(back), err);
    gpu_recording_destroy(&recording);
    gpu_buffer_destroy(gpu, &y);
    return ok && fabsf(back[3] - 10.0f) < 1e-3f && fabsf(back[1]) < 1e-6f;
}

// Drivers are loaded, kernels compiled, and the pipeline cache is kept, all while locked
// in.
static int compute_on_every_device(void)
{
    char *cache = alloc_printf("%s/oriel", home.cache);
    struct err err = { .code = ERR_NONE };
    struct gpu_traits *list;
    size_t count = gpu_list(&list, &err);
    DIR *folder;

    for (size_t i = 0; i < count; i++) {
        char index[24];
        struct gpu_params params = { .device = index, .cache_directory = cache };
        struct gpu *gpu;

        snprintf(index, sizeof(index), "%zu", i);
        gpu = gpu_open(&params, &err);
        if (gpu == NULL || !compute(gpu, &err)) {
            printf("# %s: %s\n", list[i].name, err.text);
            return 1;
        }
        printf("# on %s (%s)\n", list[i].name, list[i].driver);
        gpu_close(&gpu);
    }
    folder = opendir(cache);
    for (struct dirent *entry; count > 0 && folder != NULL && (entry = readdir(folder));)
        if (strncmp(entry->d_name, "pipelines", 9) == 0)
            return 42;
    return count == 0 ? 77 : 2;
}

static void what_drivers_need_works(void)
{
    int value;

    CHECK_INT(value_after(start_thread), 1);
    CHECK_INT(value_after(run_memory_as_code), 1);
    CHECK_INT(value_after(read_files), 1);
    CHECK_INT(value_after(abort_itself), 1);
    value = value_after(compute_on_every_device);
    if (value == 77)
        tap_skip("no Vulkan device");
    else
        CHECK_INT(value, 42);
}

// ---------------------------------------------------------------------------

static const struct test tests[] = {
    { "calls out of the process are refused", calls_out_of_the_process_are_refused },
    { "files can be written in the cache alone",
      files_can_be_written_in_the_cache_alone },
    { "what drivers need works", what_drivers_need_works },
};

static bool make_home(void)
{
    struct err err;

    strcpy(home.folder, "/tmp/oriel-lock-XXXXXX");
    if (mkdtemp(home.folder) == NULL)
        return false;
    setenv("HOME", home.folder, 1);
    unsetenv("XDG_CACHE_HOME");
    home.cache = alloc_printf("%s/.cache", home.folder);
    home.outside = alloc_printf("%s/letters", home.folder);
    return file_make_directories(home.cache, &err) &&
           file_replace(home.outside, "dear", 4, &err);
}

int main(int argc, char **argv)
{
    char *command;
    int status;

    if (!make_home())
        return 99;
    status = tap_main(tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
    command = alloc_printf("rm -rf '%s'", home.folder);
    if (system(command) != 0)
        status = 99;
    free(command);
    free(home.cache);
    free(home.outside);
    return status;
}
