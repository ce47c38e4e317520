#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the runner's options do, seen from outside.

usage: runner.py KTESTS SAMPLE
"""

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 120


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


def run(*command, env=None):
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))


def on_terminal(*command):
    """All that a command writes to a terminal that is its standard output and error."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.environ.pop("NO_COLOR", None)
        os.execv(command[0], command)
    text = b""
    while select.select([fd], [], [], TIMEOUT_S)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.waitpid(pid, 0)
    return text.decode(errors="replace")


def output(ktests, sample):
    done = run(ktests, "--exact", "trivial", "environment", "--stress-count", "2", "-j", "2")
    check(done.returncode == 0 and done.stdout.count("PASS") == 4
          and "trivial (run 2 of 2)" in done.stdout, "--stress-count repeats each test", done)
    check(re.match(r"kernel \S+, accel: (kvm|tcg \(.*\)), \d+ CPUs, 2 tests x 2 \(\d+ filtered out\)\n",
                   done.stdout), "the first line says kernel, accelerator, CPUs and tests", done)
    check("\033" not in done.stdout + done.stderr, "no escape sequences without a terminal", done)

    done = run(sample, "--exact", "run_fails", "post_vm_fails", "skips", "-j", "1", "--max-fail", "1",
               "--color", "always", "--status-level", "fail")
    check(done.returncode == 100 and "1 run: 0 passed, 1 failed" in done.stdout,
          "--max-fail stops", done)
    check("\033[1;31m        FAIL\033[0m" in done.stdout, "--color always", done)

    done = run(ktests, "--exact", "trivial", "environment", "--status-level", "none")
    check(done.returncode == 0 and "PASS" not in done.stdout and "2 passed" in done.stdout,
          "--status-level none", done)

    done = run(sample, "--exact", "run_fails", "--no-capture", "-v")
    check("about to fail\n" in done.stdout and "stdout:" not in done.stdout
          and "Linux version" in done.stderr, "--no-capture shows output as it comes", done)

    done = run(sample, "--exact", "hangs", "--timeout", "1500ms")
    check(done.returncode == 100 and "no result within 1.5 s" in done.stdout,
          "--timeout is taken as it is", done)

    done = run(ktests, "disabled")
    check(done.returncode == 77 and "1 skipped" in done.stdout, "all skipped is 77", done)


def terminal(ktests):
    text = on_terminal(ktests, "--exact", "trivial")
    check("Running [" in text and "0/1, 1 running, 0 failed" in text and "trivial  boot" in text,
          "a terminal gets a bar and a line for what runs")
    check("\033[1;32m" in text, "and colours")
    after = text[text.rindex("Running ["):]
    check("\033[J" in after and "PASS" in after, "the bar goes before the result comes")


def old_qemu(ktests, directory):
    """A QEMU that says it is 7.2 is used with one thread, and that is said once."""
    wrapper, log = directory / "old-qemu", directory / "arguments"
    real = shutil.which("qemu-system-x86_64")
    wrapper.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec echo "QEMU emulator version 7.2.19"\n'
                       f'echo "$@" >> {log}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    done = run(ktests, "--exact", "trivial", "environment", "--accel", "tcg", "--qemu", str(wrapper))
    check(done.returncode == 0 and done.stdout.count("QEMU 7.2 corrupts") == 1,
          "an old QEMU is announced once", done)
    check("tcg,thread=single" in log.read_text() and "thread=multi" not in log.read_text(),
          "and used with one thread")


def unprivileged(ktests, directory):
    """Any user may run tests; one without access to /dev/kvm is told what to do about it."""
    if os.getuid() or not os.path.exists("/dev/kvm"):
        print("skipped: the rest needs root, to become somebody else, and /dev/kvm")
        return
    if os.stat("/dev/kvm").st_mode & 0o006:
        print("skipped: /dev/kvm is open to everybody")
        return
    directory.chmod(0o755)
    for name, source in (("ktests", ktests), ("kernel", run(ktests, "kernel", "path").stdout.strip())):
        copy = shutil.copytree if os.path.isdir(source) else shutil.copy
        copy(source, directory / name)
    (directory / "home").mkdir()
    os.chown(directory / "home", 65534, 65534)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(directory / "ktests"),
               "--kernel", str(directory / "kernel")]
    env = {"HOME": str(directory / "home"), "XDG_CACHE_HOME": str(directory / "home/cache")}
    done = run(*command, "trivial", env=env)
    check(done.returncode == 0 and "no permission for /dev/kvm" in done.stdout
          and "udevadm" in done.stdout, "/dev/kvm without permission: TCG, and advice", done)
    done = run(*command, "--accel", "kvm", "trivial", env=env)
    check(done.returncode == 99 and "no permission for /dev/kvm" in done.stderr,
          "KVM that is demanded and cannot be had", done)


def main():
    ktests, sample = (os.path.realpath(arg) for arg in sys.argv[1:3])
    output(ktests, sample)
    terminal(ktests)
    with tempfile.TemporaryDirectory() as directory:
        old_qemu(ktests, pathlib.Path(directory))
        unprivileged(ktests, pathlib.Path(directory))


main()
