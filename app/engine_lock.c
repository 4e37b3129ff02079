// app/engine_lock.c
// SPDX-License-Identifier: MIT
#include "app/engine_lock.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/confine.h"

// ---------------------------------------------------------------------------
// Files

#define WRITING                                                                          \
    (CONFINE_WRITE_FILE | CONFINE_TRUNCATE | CONFINE_REMOVE_DIR | CONFINE_REMOVE_FILE |  \
     CONFINE_MAKE_DIR | CONFINE_MAKE_REG | CONFINE_MAKE_SYM | CONFINE_REFER)

#define FORBIDDEN                                                                        \
    (WRITING | CONFINE_EXECUTE | CONFINE_MAKE_CHAR | CONFINE_MAKE_SOCK |                 \
     CONFINE_MAKE_FIFO | CONFINE_MAKE_BLOCK | CONFINE_IOCTL_DEV)

// Where drivers are told to keep what they have compiled.
static const char *const driver_caches[] = {
    "MESA_SHADER_CACHE_DIR",
    "MESA_GLSL_CACHE_DIR",
    "__GL_SHADER_DISK_CACHE_PATH",
    "XDG_CACHE_HOME",
};

// Below HOME, where nobody tells them.
static const char *const home_caches[] = { ".cache", ".nv", ".AMD" };

#define VARIABLES (sizeof(driver_caches) / sizeof(driver_caches[0]))
#define FOLDERS   (sizeof(home_caches) / sizeof(home_caches[0]))

static bool lock_files(const char *cache_directory, struct err *err)
{
    struct confine_path paths[2 + VARIABLES + FOLDERS];
    char *below_home[FOLDERS] = { NULL };
    const char *home = getenv("HOME");
    size_t count = 0;
    bool ok;

    paths[count++] =
        (struct confine_path){ "/dev", CONFINE_WRITE_FILE | CONFINE_TRUNCATE |
                                           CONFINE_IOCTL_DEV };
    if (cache_directory != NULL)
        paths[count++] = (struct confine_path){ cache_directory, WRITING };
    for (size_t i = 0; i < VARIABLES; i++)
        if (getenv(driver_caches[i]) != NULL)
            paths[count++] = (struct confine_path){ getenv(driver_caches[i]), WRITING };
    for (size_t i = 0; home != NULL && i < FOLDERS; i++) {
        below_home[i] = alloc_printf("%s/%s", home, home_caches[i]);
        paths[count++] = (struct confine_path){ below_home[i], WRITING };
    }
    ok = confine_files(FORBIDDEN, paths, count, NULL, err);
    for (size_t i = 0; i < FOLDERS; i++)
        free(below_home[i]);
    return ok;
}

// ---------------------------------------------------------------------------
// System calls

#ifdef CONFINE_ARCH

// Numbers of the x32 interface begin here; nothing of ours uses it.
#define X32_CALLS 0x40000000

#define REFUSE(error) (SECCOMP_RET_ERRNO | (error))

static const int refused[] = {
    // Other programs and what is in them
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    // The network, and services of the system and the session behind sockets
    SYS_socket,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    // Doors into the kernel that no driver needs
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_personality,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_quotactl,
    SYS_acct,
    SYS_vhangup,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_syslog,
    SYS_sethostname,
    SYS_setdomainname,
    // Another view of the system
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_setns,
    SYS_unshare,
    // Files that are there without a path
    SYS_mknodat,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
#ifdef SYS_mknod
    SYS_mknod,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_modify_ldt
    SYS_modify_ldt,
    SYS_iopl,
    SYS_ioperm,
#endif
#ifdef SYS_io_uring_setup // which makes sockets and opens files past this filter
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
#endif
#ifdef SYS_pidfd_send_signal
    SYS_pidfd_send_signal,
#endif
#ifdef SYS_pidfd_getfd
    SYS_pidfd_getfd,
#endif
#ifdef SYS_open_tree
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
#endif
#ifdef SYS_process_madvise
    SYS_process_madvise,
#endif
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
};

#define REFUSED (sizeof(refused) / sizeof(refused[0]))

static bool lock_calls(bool watched, struct err *err)
{
    const struct sock_filter head[] = {
        CONFINE_LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONFINE_ARCH, 1, 0),
        CONFINE_END(SECCOMP_RET_KILL_PROCESS),
        CONFINE_LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1),
        CONFINE_END(REFUSE(EPERM)),
    };
    const struct sock_filter watching[] = {
        CONFINE_IF(SYS_ptrace, SECCOMP_RET_ALLOW),
        CONFINE_IF(SYS_clone, SECCOMP_RET_ALLOW),
    };
    const struct sock_filter tail[] = {
        // Flags that are in memory cannot be looked at; libraries then use the older
        // call.
        CONFINE_IF(SYS_clone3, REFUSE(ENOSYS)),
        // Keys typed into the terminal that standard error may be.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 6),
        CONFINE_LOAD(args[1]),
        CONFINE_IF(TIOCSTI, REFUSE(EPERM)),
        CONFINE_IF(TIOCLINUX, REFUSE(EPERM)),
        CONFINE_END(SECCOMP_RET_ALLOW),
        // A new process is a thread of this one.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
        CONFINE_LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
        CONFINE_END(SECCOMP_RET_ALLOW),
        CONFINE_END(REFUSE(EPERM)),
        // A signal goes to this one, as abort() sends it.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 3),
        CONFINE_LOAD(args[0]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0),
        CONFINE_END(REFUSE(EPERM)),
        CONFINE_END(SECCOMP_RET_ALLOW),
    };
    struct sock_filter filter[sizeof(head) / sizeof(head[0]) +
                              sizeof(watching) / sizeof(watching[0]) + 2 * REFUSED +
                              sizeof(tail) / sizeof(tail[0])];
    size_t count = 0;

    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
        filter[count++] = head[i];
    for (size_t i = 0; watched && i < sizeof(watching) / sizeof(watching[0]); i++)
        filter[count++] = watching[i];
    for (size_t i = 0; i < REFUSED; i++) {
        const struct sock_filter refuse[] = { CONFINE_IF((uint32_t)refused[i],
                                                         REFUSE(EPERM)) };

        filter[count++] = refuse[0];
        filter[count++] = refuse[1];
    }
    for (size_t i = 0; i < sizeof(tail) / sizeof(tail[0]); i++)
        filter[count++] = tail[i];
    return confine_calls(filter, count, err);
}
#else
static bool lock_calls(bool watched, struct err *err)
{
    (void)watched;
    (void)err;
    return true;
}
#endif

bool engine_lock(const struct engine_lock *lock, struct err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_set_errno(err, "cannot give up privileges");
    return (lock->watched || lock_files(lock->cache_directory, err)) &&
           lock_calls(lock->watched, err);
}
