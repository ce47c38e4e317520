#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a run shows while it goes on: the bar, its width, who runs, who is slow, and the failures.

usage: terminal.py SAMPLE
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

TIMEOUT_S = 600
ROWS = re.compile(r"\x1b\[\d+A\r\x1b\[J|\r?\n")  # ends of rows, and the way back to the first


def check(condition, what, text=""):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")
    print(f"ok: {what}", flush=True)


class Terminal:
    """A command whose standard streams are a terminal of a given width."""

    def __init__(self, columns, *command):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self):
        """False when the command has closed the terminal."""
        if not select.select([self.fd], [], [], TIMEOUT_S)[0]:
            sys.exit(f"failed: nothing came for {TIMEOUT_S} s\n{self.text}")
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)

    def wait_for(self, pattern, start=0):
        """Reads until @pattern is in the text from @start on, and returns where it ends."""
        until = time.monotonic() + TIMEOUT_S
        while not (found := re.search(pattern, self.text[start:])):
            if not self.read() or time.monotonic() > until:
                sys.exit(f"failed: '{pattern}' has not come\n{self.text[start:]}")
        return start + found.end()

    def end(self):
        while self.read():
            pass
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, check=False)


def bar(sample):
    terminal = Terminal(100, sample, "--exact", "hangs", "--timeout", "500s", "--slow", "1s")
    at = terminal.wait_for(r"0/1, 1 running, 0 failed\r\n +hangs  run")
    check(max(len(row) for row in ROWS.split(terminal.text[:at]) if "Running" in row) > 60,
          "the bar uses the terminal's width")
    terminal.resize(40)
    begin = at = terminal.wait_for(r"Running \[-{24}\]\r\n", at)
    for _ in range(3):
        at = terminal.wait_for(r"hangs  run[^\n]*\r\n", at)
    rows = [row for row in ROWS.split(terminal.text[begin:at]) if "SLOW" not in row]
    check(max(len(row) for row in rows) < 40, "a narrower terminal gets narrower rows", str(rows))

    os.kill(terminal.pid, signal.SIGUSR1)
    told = terminal.wait_for(r"Running 1 now, 0 ended of 1, 0 failed\r\n"
                             r" +hangs  run  \d+\.\d s\r\n", at)
    check(told, "SIGUSR1 lists what runs")
    terminal.wait_for(r"SLOW[^ ]* \[> +\d+\.\d{3}s\] hangs: run\r\n")
    check(terminal.text.count("SLOW") >= 1, "a slow test is named while it runs")
    os.kill(terminal.pid, signal.SIGINT)
    check(terminal.end() == 128 + signal.SIGINT, "SIGINT still ends the run", terminal.text)
    check("\x1b[J" in terminal.text and "Running [" not in terminal.text[
        terminal.text.rindex("\x1b[J"):], "the bar goes at the end")


def choices(sample):
    for choice in ("none", "counter"):
        terminal = Terminal(100, sample, "--exact", "skips", "warning_is_expected",
                            "--status-level", "all", "--show-progress", choice)
        check(terminal.end() == 0 and "Running [" not in terminal.text,
              f"--show-progress {choice}: no bar", terminal.text)
        check(("(1/2) " in terminal.text and "(2/2) " in terminal.text) == (choice == "counter"),
              f"--show-progress {choice}: numbers", terminal.text)
    done = run(sample, "--exact", "hangs", "--timeout", "2500ms", "--slow", "1s",
               "--show-progress", "bar")
    check("\x1b" not in done.stdout + done.stderr and "Running" not in done.stderr
          and re.search(r"SLOW \[> +\d+\.\d{3}s\] hangs: \w+\n", done.stdout),
          "without a terminal there is no bar", done.stdout)
    check("SLOW" not in run(sample, "--exact", "hangs", "--timeout", "2500ms", "--slow", "1s",
                            "--status-level", "retry").stdout, "--status-level hides slow tests")


def failures(sample):
    done = run(sample, "--exact", "run_fails", "skips", "inconclusive", "warning_is_expected")
    summary = done.stdout[done.stdout.index("Summary ["):].splitlines()
    check(sorted(re.sub(r"\[ *[\d.]+s\]", "[]", line).strip() for line in summary[1:])
          == ["FAIL [] run_fails", "INCONCLUSIVE [] inconclusive"],
          "the end has a line for each failure", done.stdout)
    done = run(sample, "--exact", "run_fails")
    check(done.stdout.count("FAIL [") == 1, "a single test is not repeated", done.stdout)


def main():
    sample = sys.argv[1]
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS"):
        os.environ.pop(name, None)
    bar(sample)
    choices(sample)
    failures(sample)


main()
