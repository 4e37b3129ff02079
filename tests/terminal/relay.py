# tests/terminal/relay.py
# SPDX-License-Identifier: MIT
"""relay.py FIFO PROGRAM...: runs the program on a pty of its own inside a terminal. What
the FIFO gives is typed to it, besides what the terminal sends."""
import fcntl
import os
import pty
import select
import sys
import termios
import tty

fifo, command = sys.argv[1], sys.argv[2:]
size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
pid, program = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, size)
    os.execvp(command[0], command)
tty.setraw(0)
keys = os.open(fifo, os.O_RDWR)
while True:
    for fd in select.select([0, program, keys], [], [])[0]:
        try:
            data = os.read(fd, 1 << 16)
        except OSError:
            data = b""
        if not data:
            sys.exit()
        while data:
            data = data[os.write(1 if fd == program else program, data):]
