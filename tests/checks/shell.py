#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ktests shell: an interactive shell on a terminal, its prompt of the host, and one command.

usage: shell.py KTESTS
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

TIMEOUT_S = 600


class Terminal:
    def __init__(self, command):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "vt220"
            os.execv(command[0], command)
        self.resize(31, 97)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern):
        deadline = time.monotonic() + TIMEOUT_S
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                sys.exit(f"waited for {pattern!r}, got {self.text!r}")
            try:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
            except OSError:
                sys.exit(f"ended before {pattern!r}, got {self.text!r}")
        found = re.search(pattern, self.text)
        self.text = self.text[found.end() :]
        return found

    def send(self, text):
        os.write(self.fd, text.encode())

    def wait(self):
        while True:
            try:
                if not os.read(self.fd, 4096):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")
    print(f"ok: {what}")


def interactive(ktests):
    terminal = Terminal([ktests, "shell"])
    terminal.expect("ktest# ")
    terminal.send("echo answer=$((6 * 7)) term=$TERM\r")
    terminal.expect("answer=42 term=vt220")
    terminal.send("stty size\r")
    terminal.expect("31 97")
    terminal.resize(40, 100)
    terminal.send("until [ \"$(stty size)\" = '40 100' ]; do sleep 0.1; done; echo resi''zed\r")
    terminal.expect("resized")
    terminal.send("echo rea''dy; cat\r")
    terminal.expect("ready\r\n")
    terminal.send("hello\r")
    terminal.expect("hello\r\nhello")
    terminal.send("\x03")  # Ctrl-C goes to the guest, not to ktests
    terminal.expect("ktest# ")
    terminal.send("exit 3\r")
    check(terminal.wait() == 3, "an interactive shell: input, size, Ctrl-C, status")


def ask(terminal, path, answer):
    terminal.send(f"{path}\r")
    terminal.expect(answer)
    terminal.expect("inspect> ")


def runs_on(terminal):
    """Asks for jiffies_64, which has been asked for once, until it has moved."""
    first = now = int(terminal.expect(r"jiffies_64 = (\d+)\r\n")[1])
    deadline = time.monotonic() + TIMEOUT_S
    while now == first and time.monotonic() < deadline:
        terminal.expect("inspect> ")
        terminal.send("jiffies_64\r")
        now = int(terminal.expect(r"jiffies_64 = (\d+)\r\n")[1])
    check(now > first, "the machine runs while the prompt of the host is open")


def looks(ktests):
    """The prompt of the host: what it shows is what the guest has just done."""
    terminal = Terminal([ktests, "shell"])
    terminal.expect(r"Ctrl-\]")
    terminal.expect("ktest# ")
    terminal.send("hostname from-$((1 + 1)); sleep 1000 & echo pid=$!\r")
    pid = terminal.expect(r"pid=(\d+)")[1]
    terminal.expect("ktest# ")
    terminal.send("\x1d")
    terminal.expect("inspect> ")
    ask(terminal, "init_uts_ns.name.nodename", '= "from-2"')
    ask(terminal, f"task({pid}).tgid", rf"= {pid}\r\n")
    ask(terminal, "runqueues[cpu 0].cpu", r"= 0\r\n")
    ask(terminal, "scx_rot", "has no symbol 'scx_rot'")
    ask(terminal, "kernel", "release")
    ask(terminal, "?", "An empty line returns")
    ask(terminal, "x" * 600, "longer than 512 bytes")
    terminal.send("jiffies_6\x7f64\r")  # the terminal edits the line
    runs_on(terminal)
    for leave in ("\r", "\x03", "\x04"):
        terminal.expect("inspect> ")
        terminal.send(leave)
        terminal.send("echo bac''k\r")
        terminal.expect("back\r\n")
        terminal.send("\x1djiffies_64\r")  # typed before the terminal edits lines
        terminal.expect(r"jiffies_64 = \d+\r\n")
    terminal.send("\r")
    terminal.send("echo rea''dy; cat -v\r")
    terminal.expect("ready\r\n")
    terminal.send("\x1d")
    terminal.expect("inspect> ")
    terminal.send("\x1d\r")
    terminal.expect(r"\^\]\r\n\^\]\r\n")
    terminal.send("\x03")
    terminal.expect("ktest# ")
    terminal.send("kill $!; exit 0\r")
    check(terminal.wait() == 0, "the kernel is looked into from a shell")


def run(ktests, *args, stdin=""):
    return subprocess.run([ktests, "shell", *args], input=stdin, capture_output=True, text=True,
                          timeout=TIMEOUT_S)


def main():
    ktests = sys.argv[1]
    interactive(ktests)
    looks(ktests)
    done = run(ktests, "--exec", "cat; echo err >&2; exit 7", stdin="from the host\n")
    check(done.stdout == "from the host\n" and done.stderr == "err\n" and done.returncode == 7,
          "one command: standard input, output, error and status")
    done = run(ktests, "--exec", "cat", stdin="a\x1db")
    check(done.stdout == "a\x1db", "without a terminal there is no prompt of the host")
    done = run(ktests, "-t", "topology_threads", "--exec", "nproc")
    check(done.stdout == "4\n" and done.returncode == 0, "in the machine of a test")
    done = run(ktests, "--exec", "kill -9 $$")
    check(done.returncode == 137, "the status of a command that is killed")
    done = run(ktests, "-t", "no_test_is_called_so", "--exec", "true")
    check(done.returncode == 4 and "matches 0 tests" in done.stderr, "a test that does not exist")
    head = subprocess.run(["sh", "-c", '"$0" shell --exec yes | head -n1', ktests],
                          capture_output=True, text=True, timeout=TIMEOUT_S)
    check(head.stdout == "y\n" and not head.stderr, "a reader that goes away ends it quietly")
    done = subprocess.run([ktests, "shell"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT_S)
    check(done.returncode == 0, "an interactive shell ends with its input")
    done = subprocess.run(["sh", "-c", '"$0" shell --exec true <&- >&- 2>&-', ktests],
                          timeout=TIMEOUT_S)
    check(done.returncode == 0, "standard streams may be closed")
    done = run(ktests, "--exec", "sleep 0.2; wc -c", stdin="x" * 2000000)
    check(done.stdout.strip() == "2000000", "much input for a command that reads late")
    done = run(ktests, "--append", "rdinit=/nonexistent", "--exec", "true")
    check(done.returncode == 99 and "panic" in done.stderr, "a guest that does not boot")


main()
