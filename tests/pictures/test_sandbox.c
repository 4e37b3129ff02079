// tests/pictures/test_sandbox.c
// SPDX-License-Identifier: MIT
//
// The evil twin: a process that enters the sandbox of the decode process and then does
// what a picture that took it over would do. Every attempt must end it by SIGSYS. What
// decoding needs must work.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/pictures/sandbox.h"
#include "tests/tap.h"

static const struct sandbox_limits limits = { (size_t)300 << 20, 1 };

// Status of a process that enters the sandbox, does that, and ends with its value.
static int status_after(int (*attempt)(void))
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct err err = { .code = ERR_NONE };

        if (!sandbox_enter(&limits, &err))
            _exit(99);
        _exit(attempt());
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return status;
}

static bool is_killed(const char *what, int (*attempt)(void))
{
    int status = status_after(attempt);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;

    if (!killed)
        printf("# %s: status 0x%x\n", what, (unsigned)status);
    return killed;
}

// ---------------------------------------------------------------------------
// What must work

static int use_memory(void)
{
    size_t sizes[] = { 1, 100, 100000, 10000000 };

    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            char *block = malloc(sizes[i]), *larger;

            if (block == NULL)
                return 1;
            memset(block, 1, sizes[i]);
            larger = realloc(block, 2 * sizes[i]);
            if (larger == NULL || larger[sizes[i] - 1] != 1)
                return 2;
            free(larger);
        }
#ifndef SANDBOX_SANITIZED
    if (malloc(limits.memory_bytes) != NULL)
        return 3;
    while (malloc(4000) != NULL) // small ones come from elsewhere
        ;
#endif
    return 42;
}

static void memory_can_be_used(void)
{
    int status = status_after(use_memory);

    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 42);
}

// ---------------------------------------------------------------------------
// What must not

static int try_open(void)
{
    return open("/etc/passwd", O_RDONLY);
}

static int try_create(void)
{
    return (int)syscall(SYS_openat, AT_FDCWD, "/tmp/evil", O_CREAT | O_WRONLY, 0600);
}

static int try_old_descriptor(void)
{
    char byte;

    return (int)read(0, &byte, 1);
}

static int try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0);
}

static int try_local_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int try_exec(void)
{
    char *const arguments[] = { NULL };

    return execve("/bin/sh", arguments, arguments);
}

static int try_ptrace(void)
{
    return (int)ptrace(PTRACE_ATTACH, 1, NULL, NULL);
}

static int try_ptrace_itself(void)
{
    return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int try_read_of_parent(void)
{
    return (int)syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}

static int try_fork(void)
{
    return (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static int try_thread(void)
{
    return (int)syscall(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0);
}

static int try_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED;
}

static int try_executable_by_high_bits(void)
{
    long prot = (long)0x100000000 | PROT_WRITE | PROT_EXEC;

    return (int)syscall(SYS_mmap, NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int try_mprotect(void)
{
    static _Alignas(4096) char page[4096];

    return mprotect(page, sizeof(page), PROT_READ | PROT_EXEC);
}

static int try_mapped_file(void)
{
    return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0) == MAP_FAILED;
}

static int try_kill(void)
{
    return (int)syscall(SYS_kill, 1, 0); // asks only, should the sandbox have a hole
}

static int try_tgkill(void)
{
    return (int)syscall(SYS_tgkill, 1, 1, 0);
}

static int try_limits(void)
{
    return (int)syscall(SYS_prlimit64, 0, RLIMIT_CPU, NULL, NULL);
}

static int try_prctl(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int try_memory_file(void)
{
    return (int)syscall(SYS_memfd_create, "x", 0);
}

static int try_filter(void)
{
    return (int)syscall(SYS_seccomp, 0, 0, NULL);
}

static int try_io_uring(void)
{
    return (int)syscall(425, 1, NULL);
}

static int try_rename(void)
{
    return rename("/tmp/a", "/tmp/b");
}

static int try_sleep(void)
{
    return usleep(1);
}

#ifdef __x86_64__
// The same call by the number of the x32 interface, and by the 32-bit door.
static int try_x32(void)
{
    return (int)syscall(0x40000000 + SYS_getuid);
}

static int try_32_bit(void)
{
    long result = 20; // getpid there, writev here

    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "cc");
    return (int)result;
}
#endif

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    { "open", try_open },
    { "create", try_create },
    { "read of an old descriptor", try_old_descriptor },
    { "socket", try_socket },
    { "local socket", try_local_socket },
    { "exec", try_exec },
    { "ptrace", try_ptrace },
    { "being traced", try_ptrace_itself },
    { "process_vm_readv", try_read_of_parent },
    { "fork", try_fork },
    { "thread", try_thread },
    { "mmap to execute", try_executable_memory },
    { "mmap to execute, with high bits", try_executable_by_high_bits },
    { "mmap of a file", try_mapped_file },
    { "kill", try_kill },
    { "prlimit", try_limits },
    { "prctl", try_prctl },
    { "memfd_create", try_memory_file },
    { "seccomp", try_filter },
    { "io_uring_setup", try_io_uring },
    { "rename", try_rename },
    { "sleep", try_sleep },
    { "mprotect to execute", try_mprotect },
    { "tgkill", try_tgkill },
#ifdef __x86_64__
    { "x32 call", try_x32 },
    { "32-bit call", try_32_bit },
#endif
};

static void every_attempt_is_killed(void)
{
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
        if (!is_killed(attempts[i].name, attempts[i].attempt))
            tap_note(__FILE__, __LINE__, attempts[i].name);
}

// ---------------------------------------------------------------------------
// The other locks, seen from outside: /proc tells what the child cannot

static long status_value(pid_t pid, const char *key)
{
    char path[64], line[256];
    long value = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtol(line + strlen(key), NULL, 10);
    if (file != NULL)
        fclose(file);
    return value;
}

static int spin(void)
{
    volatile bool for_ever = true;

    while (for_ever)
        ;
    return 0;
}

static pid_t start_spinning(void)
{
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct err err;

        if (sandbox_enter(&limits, &err))
            spin();
        _exit(99);
    }
    for (int i = 0; i < 1000 && status_value(pid, "Seccomp:") != 2; i++)
        usleep(1000);
    return pid;
}

static void it_holds_no_descriptor_and_no_privilege(void)
{
    pid_t pid = start_spinning();
    struct rlimit files, size, processes, core;

    REQUIRE(pid > 0);
    CHECK_INT(status_value(pid, "Seccomp:"), 2);
    CHECK_INT(status_value(pid, "NoNewPrivs:"), 1);
    CHECK_INT(status_value(pid, "CoreDumping:"), 0);
    if (prlimit(pid, RLIMIT_NOFILE, NULL, &files) == 0 &&
        prlimit(pid, RLIMIT_FSIZE, NULL, &size) == 0 &&
        prlimit(pid, RLIMIT_NPROC, NULL, &processes) == 0 &&
        prlimit(pid, RLIMIT_CORE, NULL, &core) == 0) {
        CHECK_INT(files.rlim_max, 0);
        CHECK_INT(size.rlim_max, 0);
        CHECK_INT(processes.rlim_max, 0);
        CHECK_INT(core.rlim_max, 0);
    } else if (errno != EPERM) { // it cannot even be asked when it is not dumpable
        tap_note(__FILE__, __LINE__, "prlimit");
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void it_cannot_compute_for_ever(void)
{
    int status = status_after(spin);

    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGXCPU);
}

static const struct test tests[] = {
    { "memory can be used", memory_can_be_used },
    { "every attempt to get out is killed", every_attempt_is_killed },
    { "it holds no descriptor and no privilege",
      it_holds_no_descriptor_and_no_privilege },
    { "it cannot compute for ever", it_cannot_compute_for_ever },
};

TAP_MAIN(tests)
