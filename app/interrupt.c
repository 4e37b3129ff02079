// app/interrupt.c
// SPDX-License-Identifier: MIT
#include "app/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int event_fd = -1; // written by the signal handler

static void on_signal(int number)
{
    static const uint64_t one = 1;
    int saved = errno;

    (void)number;
    if (write(event_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        _exit(128 + SIGINT);
    errno = saved;
}

void interrupt_catch(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    if (event_fd >= 0)
        return;
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0)
        return; // SIGINT goes on ending the program
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

int interrupt_fd(void)
{
    return event_fd;
}

bool interrupt_sleep(int milliseconds)
{
    struct pollfd input = { .fd = event_fd, .events = POLLIN };

    int ready;

    while ((ready = poll(&input, 1, milliseconds)) < 0 && errno == EINTR)
        ; // by a signal that may be another one, such as SIGCONT
    return ready == 0;
}

bool interrupted(void)
{
    return !interrupt_sleep(0);
}
