#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Saves the RAM of a machine while a test runs in it.

usage: ramdump.py FILE PROGRAM TEST [OPTIONS...]

Runs TEST of PROGRAM, waits until the test has printed "see end", stops QEMU, and writes the guest's
RAM to FILE, sparsely, as vmm/inspect/ram.h has it as a raw file. What the test has printed goes to
standard output. Then the run is ended.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

PAGE = 1 << 16
END = "see end"
STOP_S = 10


def children(pid):
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield int(child)
            yield from children(int(child))


def find_qemu(pid):
    """The process of the machine, and the range of its RAM: its largest mapping of a file."""
    found = []
    for child in children(pid):
        try:
            if "qemu" not in os.readlink(f"/proc/{child}/exe"):
                continue
            for line in pathlib.Path(f"/proc/{child}/maps").read_text().splitlines():
                first, last, inode = re.match(r"(\w+)-(\w+) \S+ \S+ \S+ (\d+)", line).groups()
                if int(inode):
                    size = int(last, 16) - int(first, 16)
                    found.append((size, child, int(first, 16)))
        except (OSError, AttributeError):
            continue
    size, child, start = max(found)
    return child, start, size


def await_stop(pid):
    """Waits until no thread of the process executes any more."""
    deadline = time.monotonic() + STOP_S
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        while (task / "stat").read_text().rpartition(")")[2].split()[0] not in "TtZX":
            if time.monotonic() > deadline:
                sys.exit(f"thread {task.name} of QEMU has not stopped within {STOP_S} s")
            time.sleep(0.001)


def save(pid, start, size, to):
    os.kill(pid, signal.SIGSTOP)
    try:
        await_stop(pid)
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as ram, open(to, "wb") as out:
            for offset in range(0, size, PAGE):
                data = os.pread(ram.fileno(), PAGE, start + offset)
                if data.count(0) != len(data):
                    os.pwrite(out.fileno(), data, offset)
            out.truncate(size)
    finally:
        os.kill(pid, signal.SIGCONT)


def run(to, program, test, *options):
    command = [program, "--exact", "-t", test, "--no-capture", "--pool", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace") as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.strip() == END:
                break
        else:
            return 1
        try:
            save(*find_qemu(process.pid), to)
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            process.wait()
    return 0


def main():
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    return run(*sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
