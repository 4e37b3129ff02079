// tests/terminal/watch_sockets.c
// SPDX-License-Identifier: MIT
//
//     watch_sockets REPORT PROGRAM ARGUMENT...
//
// Runs a program and writes one line for each socket that it or a process that it starts
// makes, or tries to make: the family's number and the process's name. The kernel stops
// the call until we have looked (seccomp_unotify(2)); nothing can be done past it, as
// could past a library that is loaded first.
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define IO_URING_SETUP 425 // it makes sockets, too

static void fail(const char *what)
{
    fprintf(stderr, "watch_sockets: %s: %s\n", what, strerror(errno));
    _exit(99);
}

// Of this process and all that it starts. Returns the descriptor that tells of calls.
static int install_filter(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IO_URING_SETUP, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };
    int listener;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        fail("no_new_privs");
    listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                            SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener < 0)
        fail("seccomp");
    return listener;
}

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr header;
};

static void send_descriptor(int socket, int descriptor)
{
    union control control = { .header = { .cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS,
                                          .cmsg_len = CMSG_LEN(sizeof(int)) } };
    char byte = 0;
    struct iovec data = { &byte, 1 };
    struct msghdr message = { .msg_iov = &data,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };

    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
    if (sendmsg(socket, &message, 0) != 1)
        fail("sendmsg");
}

static int receive_descriptor(int socket)
{
    union control control;
    char byte;
    struct iovec data = { &byte, 1 };
    struct msghdr message = { .msg_iov = &data,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
    int descriptor;

    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
        fail("recvmsg");
    memcpy(&descriptor, CMSG_DATA(&control.header), sizeof(int));
    return descriptor;
}

static void report(int file, const struct seccomp_notif *call)
{
    char path[64], name[32] = "?", line[96];
    int comm, len;

    snprintf(path, sizeof(path), "/proc/%u/comm", call->pid);
    comm = open(path, O_RDONLY | O_CLOEXEC);
    if (comm >= 0 && (len = (int)read(comm, name, sizeof(name) - 1)) > 0)
        name[len - 1] = '\0';
    close(comm);
    len = snprintf(line, sizeof(line), "%d %s\n",
                   call->data.nr == SYS_socket ? (int)call->data.args[0] : -1, name);
    if (write(file, line, (size_t)len) != len)
        fail("report");
}

// Until no process is left that the filter holds for.
static void watch(int listener, int file)
{
    struct pollfd input = { .fd = listener, .events = POLLIN };

    while (poll(&input, 1, -1) >= 0 || errno == EINTR) {
        struct seccomp_notif call = { 0 };

        if (input.revents & POLLHUP)
            return;
        if (!(input.revents & POLLIN) ||
            ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
            continue;
        report(file, &call);
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND,
              &(struct seccomp_notif_resp){ .id = call.id,
                                            .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE });
    }
}

int main(int argc, char **argv)
{
    int pair[2], file, status = 0;
    pid_t pid;

    if (argc < 3)
        return 2;
    file = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        fail(argv[1]);
    signal(SIGINT, SIG_IGN);
    pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        send_descriptor(pair[1], install_filter());
        execvp(argv[2], argv + 2);
        fail(argv[2]);
    }
    watch(receive_descriptor(pair[0]), file);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
