// app/interrupt.c
// SPDX-License-Identifier: MIT
#include "app/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static int event_fd = -1;

static void on_signal(int number)
{
    static const uint64_t one = 1;
    int saved = errno;

    (void)number;
    caught = 1;
    if (write(event_fd, &one, sizeof(one)) < 0)
        caught = 1; // the flag alone has to do
    errno = saved;
}

void interrupt_catch(void)
{
    struct sigaction action = { .sa_handler = on_signal };

    if (event_fd >= 0)
        return;
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

bool interrupted(void)
{
    return caught != 0;
}

int interrupt_fd(void)
{
    return event_fd;
}
