#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A run at a terminal: the bar, its width, keys, job control, who is slow, and the failures.

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

BOOT_S = 600  # for a run that may have to make the template of the others
TIMEOUT_S = 120
END_S = 60  # for a run that was told to end
LIMIT_S = 15  # of the sample "spins", which takes two seconds of real time, and more on a busy host
STOPPED_S = LIMIT_S + 1
HANGS = ("--exact", "hangs", "--timeout", "500s", "--boot-timeout", "500s")
BAR = r"Running \[[=-]+\] 0/1, 1 running, 0 failed\r\n +hangs  run"
TOKENS = re.compile(r"\x1b\[(\d*)([A-Za-z])|[\r\n]|[^\x1b\r\n]+")
DRAW = "\r\x1b[J"  # how each drawing of the bar begins


def check(condition, what, text=""):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")
    print(f"ok: {what}", flush=True)


class Screen:
    """What a terminal shows. One that reflows breaks its lines anew when its width changes, as most
    do; any other cuts them."""

    def __init__(self, columns, reflows):
        self.columns, self.reflows = columns, reflows
        self.lines, self.line, self.column = [""], 0, 0

    def resize(self, columns):
        self.columns = columns
        if not self.reflows:
            self.lines = [line[:columns] for line in self.lines]

    def up(self, n):
        rows = [(i, at) for i, line in enumerate(self.lines)
                for at in range(0, max(1, len(line)), self.columns)]
        here = max(k for k, row in enumerate(rows) if row <= (self.line, self.column))
        self.line, self.column = rows[max(0, here - n)]

    def put(self, text):
        line = self.lines[self.line].ljust(self.column)
        self.lines[self.line] = line[:self.column] + text + line[self.column + len(text):]
        self.column += len(text)

    def erase(self):
        self.lines[self.line] = self.lines[self.line][:self.column]
        del self.lines[self.line + 1:]

    def write(self, text):
        for token in TOKENS.finditer(text):
            if token[2] == "A":
                self.up(int(token[1] or 1))
            elif token[2] == "J":
                self.erase()
            elif token[0] == "\r":
                self.column -= self.column % self.columns
            elif token[0] == "\n":
                self.line += 1
                self.column %= self.columns
                self.lines += [""] * (self.line == len(self.lines))
            elif not token[2]:
                self.put(token[0])


def set_size(fd, columns, rows=24):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
    """A command whose standard streams are a terminal of a given width."""

    def __init__(self, columns, *command, rows=24, run=None, **env):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            set_size(0, columns, rows)
            os.environ.update({"TERM": "xterm"} | env)
            if run:
                run(*command)  # does not return
            # A shell ignores these for what it starts in the background, this check among it.
            for sig in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(sig, signal.SIG_DFL)
            os.execvp(command[0], command)

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

    def drain(self):
        while select.select([self.fd], [], [], 0)[0]:
            self.read()

    def wait_for(self, pattern, start=0):
        """Reads until @pattern is in the text from @start on, and returns where it ends."""
        until = time.monotonic() + TIMEOUT_S
        while not (found := re.search(pattern, self.text[start:])):
            if not self.read() or time.monotonic() > until:
                sys.exit(f"failed: '{pattern}' has not come\n{self.text[start:]}")
        return start + found.end()

    def press(self, keys):
        os.write(self.fd, keys.encode())

    def mode(self):
        return termios.tcgetattr(self.fd)

    def gives_lines(self):
        wanted = termios.ICANON | termios.ECHO
        return self.mode()[3] & wanted == wanted

    def resize(self, columns):
        """Nothing is on its way to the terminal meanwhile: it would be taken for the new width."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)
        self.drain()
        end = len(self.text)
        set_size(self.fd, columns)
        os.kill(self.pid, signal.SIGCONT)
        return end

    def end(self, sig=None):
        if sig:
            os.kill(self.pid, sig)
        until = time.monotonic() + END_S
        while self.read():
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                sys.exit(f"failed: the run has not ended {END_S} s after {sig or 'that'}\n"
                         f"{self.text}")
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.ended_with = self.mode()
        os.close(self.fd)
        return status


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, check=False)


def bar(sample):
    terminal = Terminal(100, sample, *HANGS, "--slow", "1s")
    at = terminal.wait_for(BAR)
    os.kill(terminal.pid, signal.SIGUSR1)
    terminal.wait_for(r"Running 1 now, 0 ended of 1, 0 failed\r\n +hangs  run  \d+\.\d s\r\n", at)
    print("ok: SIGUSR1 lists what runs")
    terminal.wait_for(r"SLOW[^ ]* \[> +\d+\.\d{3}s\] hangs: run\r\n")
    print("ok: a slow test is named while it runs")
    check(terminal.end(signal.SIGINT) == 128 + signal.SIGINT, "SIGINT still ends the run",
          terminal.text)
    check(DRAW in terminal.text and "Running [" not in terminal.text[terminal.text.rindex(DRAW):],
          "the bar goes at the end")


def sizes(sample):
    counts = "0/1, 1 running, 0 failed"
    for columns, rows, expected in (
            (100, 24, r"     Running \[-{24}\] " + counts + r"\r\n {13}hangs  run  [^\n]*"),
            (50, 24, r"     Running \[-{9}\] " + counts + r"\r\n {13}hangs  run  [^\n]*"),
            (40, 24, r"     Running " + counts + r"\r\n {13}hangs  run  [^\n]*"),
            (25, 24, counts + r"\r\n *hangs  run  [^\n]*"),
            (20, 24, r"0/1, 0 failed\r\n *hangs  run  [^\n]*"),
            (5, 24, r"0/1,\r\nhang"),
            (1, 24, r"\r\n"),
            (0, 0, r"     Running \[-{24}\] " + counts + r"\r\n {13}hangs  run  [^\n]*"),
            (100, 1, r"     Running \[-{24}\] " + counts)):
        terminal = Terminal(columns, sample, *HANGS, rows=rows)
        back = "" if rows == 1 else r"\x1b\[1A"
        begin = re.escape(DRAW)
        terminal.wait_for(begin + expected + back + "\r(?=" + begin + ")")
        terminal.end(signal.SIGTERM)
        drawn = [re.split("\r?\n", text) for text in terminal.text.split(DRAW)[1:-1]]
        check(all(len(row.split("\x1b")[0].rstrip("\r")) < (columns or 80)
                  for block in drawn for row in block), f"the bar fits {columns} x {rows}",
              str(drawn))


def follows(sample, reflows):
    """Nothing of the bar of another width stays, whatever the terminal does with its lines."""
    terminal, screen = Terminal(100, sample, *HANGS), Screen(100, reflows)
    at, shown = terminal.wait_for(BAR), 0
    for columns in (30, 100, 23, 61):
        end = terminal.resize(columns)
        screen.write(terminal.text[shown:end])
        screen.resize(columns)
        at = terminal.wait_for(re.escape(DRAW) + r"[^\x1b]*hangs[^\x1b]*\x1b\[1A\r", end)
        screen.write(terminal.text[end:at])
        shown = at
        above, block = screen.lines[:screen.line], screen.lines[screen.line:]
        check(len(block) == 2 and "0/1" in block[0] and "hangs  run" in block[1]
              and max(map(len, block)) < columns and "hangs" not in "".join(above),
              f"one bar, at a width of {columns} too ({'reflow' if reflows else 'cut'})",
              "\n".join(screen.lines))
    terminal.end(signal.SIGTERM)
    screen.write(terminal.text[shown:])
    check("0 passed" in "".join(screen.lines) and "Running" not in "".join(screen.lines),
          "and none at the end", "\n".join(screen.lines))


def at_once(sample):
    """By itself the bar is drawn ten times a second: no two drawings show the same time."""
    terminal = Terminal(100, sample, *HANGS)
    at, times = 0, []
    while len(times) < 200 and (len(times) < 2 or times[-1] != times[-2]):
        at = terminal.wait_for(r"hangs  run  \d+\.\d s", at)
        times.append(terminal.text[:at].rsplit(None, 2)[1])
        os.kill(terminal.pid, signal.SIGWINCH)
    terminal.end(signal.SIGTERM)
    check(times[-1] == times[-2], "SIGWINCH draws the bar at once", str(times))


def kinds(sample):
    """Terminals that are less than a terminal."""
    quick = ("--exact", "skips", "warning_is_expected", "--status-level", "all")
    terminal = Terminal(100, sample, *quick, TERM="dumb")
    check(terminal.end() == 0 and "\x1b" not in terminal.text and "Running" not in terminal.text,
          "TERM=dumb: no bar and no colours", terminal.text)
    terminal = Terminal(100, sample, *quick, NO_COLOR="1")
    check(terminal.end() == 0 and DRAW in terminal.text and not re.search(r"\x1b\[[\d;]*m",
                                                                          terminal.text),
          "NO_COLOR: a bar without colours", terminal.text)
    for choice in ("none", "counter"):
        terminal = Terminal(100, sample, *quick, "--show-progress", choice)
        check(terminal.end() == 0 and "Running [" not in terminal.text,
              f"--show-progress {choice}: no bar", terminal.text)
        check(("(1/2) " in terminal.text and "(2/2) " in terminal.text) == (choice == "counter"),
              f"--show-progress {choice}: numbers", terminal.text)
    terminal = Terminal(100, sample, "--exact", "warning_is_expected", "--no-capture",
                        "--show-progress", "bar")
    check(terminal.end() == 0 and "Running [" not in terminal.text, "--no-capture: no bar",
          terminal.text)
    limited = ("--exact", "hangs", "--timeout", "2500ms", "--slow", "1s")
    done = run(sample, *limited, "--show-progress", "bar")
    check("\x1b" not in done.stdout + done.stderr and "Running" not in done.stderr
          and re.search(r"SLOW \[> +\d+\.\d{3}s\] hangs: \w+\n", done.stdout),
          "without a terminal there is no bar", done.stdout)
    check("SLOW" not in run(sample, *limited, "--status-level", "retry").stdout,
          "--status-level hides slow tests")


def keys(sample):
    terminal = Terminal(100, sample, *HANGS)
    before = terminal.mode()
    at = terminal.wait_for(BAR)
    check(not terminal.gives_lines() and terminal.mode()[3] & termios.ISIG,
          "keys are read while a run is shown, and Ctrl-C and Ctrl-Z stay what they are")
    terminal.press("x\nt")
    terminal.wait_for(r"Running 1 now, 0 ended of 1, 0 failed\r\n +hangs  run  \d+\.\d s\r\n", at)
    check(terminal.text.count("now, 0 ended") == 1, "the key t lists what runs, and no other does",
          terminal.text)
    terminal.press("\x03")
    check(terminal.end() == 128 + signal.SIGINT, "Ctrl-C ends the run", terminal.text)
    check(terminal.ended_with == before, "and the terminal is what it was")
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT):
        terminal = Terminal(100, sample, *HANGS)
        before = terminal.mode()
        terminal.wait_for(BAR)
        check(not terminal.gives_lines(), f"the run reads keys before {sig.name}")
        status = terminal.end(sig)
        check(status in (128 + sig, -sig), f"{sig.name} ends it", f"{status}\n{terminal.text}")
        check(terminal.ended_with == before, "and the terminal is what it was")


def no_keys(sample):
    """Runs that leave the terminal alone."""
    pipe = ("sh", "-c", '"$@" | cat', "sh", sample, *HANGS)
    ahead = ("sh", "-c", 'read line; exec "$@"', "sh", sample, *HANGS)
    for command, what in (((sample, *HANGS, "--no-input-handler"), "--no-input-handler"),
                          (pipe, "standard output is a pipe"),
                          (ahead, "a line was typed ahead")):
        terminal = Terminal(100, *command)
        if command == ahead:
            terminal.press("for sh\nfor whoever reads next\n")
        at = terminal.wait_for(BAR)
        check(terminal.gives_lines(), f"{what}: no keys are read")
        terminal.press("t\n")
        at = terminal.wait_for(BAR, terminal.wait_for(BAR, at))
        check("ended" not in terminal.text, f"{what}: t is no key", terminal.text)
        terminal.press("\x03")
        terminal.end()


def start(place, command):
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        if place == "fg":
            os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(command[0], command)
    return pid


def shell(place, *command):
    """A shell with job control, as far as a job sees it. It starts @command in front (fg) or behind
    (bg), and takes the terminal back when that stops. A line then says where it goes on."""
    def say(*words):
        os.write(1, (" ".join(map(str, words)) + "\n").encode())

    def listen():
        return os.read(0, 100).decode().strip()

    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    mode = termios.tcgetattr(0)
    pid = start(place, command)
    while True:
        if place == "bg":
            say("in the background")
            if listen() == "fg":
                os.tcsetpgrp(0, pid)
        status = os.waitpid(pid, os.WUNTRACED)[1]
        os.tcsetpgrp(0, os.getpgrp())
        same = termios.tcgetattr(0) == mode
        termios.tcsetattr(0, termios.TCSANOW, mode)
        if not os.WIFSTOPPED(status):
            say("ended with", os.waitstatus_to_exitcode(status), same)
            os._exit(0)
        say("stopped by", os.WSTOPSIG(status), same)
        place = listen()
        if place == "fg":
            os.tcsetpgrp(0, pid)
        os.kill(-pid, signal.SIGCONT)


def stops(sample):
    """Ctrl-Z for longer than the test may take, and fg."""
    began_at = time.monotonic()
    terminal = Terminal(100, "fg", sample, "--exact", "spins", "--timeout", f"{LIMIT_S}s",
                        run=shell)
    at = terminal.wait_for(r"spins  run")
    terminal.press("\x1a")
    at = terminal.wait_for(r"stopped by \d+ (True|False)\r\n", at)
    check(terminal.text[:at].endswith(f"{DRAW}stopped by {int(signal.SIGSTOP)} True\r\n"),
          "Ctrl-Z removes the bar and gives the terminal back", terminal.text)
    # Time is the event: the test's limit has to pass.
    time.sleep(STOPPED_S)
    terminal.drain()
    check(len(terminal.text) == at, "nothing is drawn meanwhile", terminal.text[at:])
    terminal.press("fg\n")
    terminal.wait_for(r"Running \[", at)
    at = terminal.wait_for(r"ended with -?\d+ \w+", at)
    took = re.search(r"PASS\S* \[ *([\d.]+)s\]", terminal.text)
    check(terminal.text[:at].endswith("ended with 0 True") and took
          and float(took[1]) < time.monotonic() - began_at - STOPPED_S + 1,
          "fg: the test goes on, and passes, and its time leaves out the stop", terminal.text)
    terminal.end()


def goes_behind(sample):
    """Ctrl-Z and bg: a run in the background neither draws nor reads."""
    terminal = Terminal(100, "fg", sample, "--exact", "spins", "--timeout", f"{LIMIT_S}s",
                        run=shell)
    terminal.wait_for(r"spins  run")
    terminal.press("\x1a")
    at = terminal.wait_for(r"stopped by")
    terminal.press("bg\n")
    terminal.wait_for(r"in the background\r\n", at)
    terminal.wait_for(r"Summary", at)
    check(DRAW not in terminal.text[at:] and terminal.gives_lines(),
          "bg: no bar, and no keys are read", terminal.text)
    terminal.press("wait\n")
    terminal.wait_for(r"ended with \d+ True", at)
    terminal.end()


def comes_to_front(sample):
    """A run that is started in the background is not stopped by its terminal, and fg gives it the
    bar and the keys."""
    terminal = Terminal(100, "bg", sample, *HANGS, "--slow", "1s", run=shell)
    at = terminal.wait_for(r"SLOW[^\n]*\n")
    check(DRAW not in terminal.text and terminal.gives_lines(), "&: no bar, and no keys are read",
          terminal.text)
    terminal.press("fg\n")
    at = terminal.wait_for(BAR, at)
    terminal.press("t")
    terminal.wait_for(r"Running 1 now, 0 ended of 1", at)
    print("ok: fg: a bar and keys")
    # It cannot be caught: the shell sets the terminal to lines, and fg brings the keys back.
    os.kill(child_of(terminal.pid), signal.SIGSTOP)
    at = terminal.wait_for(r"stopped by \d+ (True|False)\r\n", at)
    terminal.press("fg\n")
    at = terminal.wait_for(BAR, at)
    terminal.press("t")
    terminal.wait_for(r"Running 1 now, 0 ended of 1", at)
    print("ok: after SIGSTOP and fg, too")
    terminal.press("\x03")
    terminal.wait_for(r"ended with 130 True", at)
    terminal.end()


def child_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return int(file.read().split()[0])


def failures(sample):
    done = run(sample, "--exact", "run_fails", "skips", "inconclusive", "warning_is_expected")
    summary = done.stdout[done.stdout.index("Summary ["):].splitlines()
    check(sorted(re.sub(r"\[ *[\d.]+s\]", "[]", line).strip() for line in summary[1:])
          == ["FAIL [] run_fails", "INCONCLUSIVE [] inconclusive"],
          "the end has a line for each failure", done.stdout)
    done = run(sample, "--exact", "run_fails")
    check(done.stdout.count("FAIL [") == 1, "a single test is not repeated", done.stdout)


def main():
    sample = os.path.realpath(sys.argv[1])
    for name in ("NO_COLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS"):
        os.environ.pop(name, None)
    subprocess.run([sample, "--exact", "hangs", "--timeout", "1s"], stdin=subprocess.DEVNULL,
                   capture_output=True, timeout=BOOT_S, check=False)
    bar(sample)
    sizes(sample)
    for reflows in (True, False):
        follows(sample, reflows)
    at_once(sample)
    kinds(sample)
    keys(sample)
    no_keys(sample)
    stops(sample)
    goes_behind(sample)
    comes_to_front(sample)
    failures(sample)


if __name__ == "__main__":
    main()
