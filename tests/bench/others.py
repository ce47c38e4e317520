#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What one small program in a machine of its own costs, with ktest and with what else there is.

usage: others.py [--rounds N] [--vng COMMAND] KTESTS

By turns, N times (default 5), with the default kernel, one CPU, 512 MiB and TCG:
- ktest, forked: `ktests --exact trivial`, its template is ready;
- ktest, booted: the same with --boot cold;
- QEMU: the kernel with an initramfs whose /init, busybox, prints a line and powers off;
- virtme-ng: `COMMAND --run KERNEL -- echo`, for example with COMMAND "chroot /trixie vng", where
  the path of the kernel must be valid too.
A line of JSON for each: the median of the wall time in seconds, and its ratio to a fork's.
"""

import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "nested"))
from initramfs import Initramfs  # pylint: disable=wrong-import-position

INIT = b"#!/bin/busybox sh\necho a line of the guest\n/bin/busybox poweroff -f\n"
LINE = "a line of the guest"
TIMEOUT_S = 300


def timed(what, command, line):
    """Seconds that the command takes; it must print the line."""
    began = time.monotonic()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT_S)
    took = time.monotonic() - began
    if done.returncode or line not in done.stdout:
        sys.exit(f"{what}: exit status {done.returncode}: {shlex.join(command)}\n{done.stdout}")
    return took


def initramfs(path):
    archive = Initramfs()
    archive.add_program("/bin/busybox")
    archive.add("/init", INIT)
    with open(path, "wb") as file:
        archive.write(file)


def qemu(kernel, archive):
    return ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "512",
            "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel,
            "-initrd", archive, "-append", "console=ttyS0 quiet"]


def contenders(arguments, directory):
    """name: (command, what it must print)"""
    kernel = subprocess.run([arguments.ktests, "kernel", "path"], capture_output=True, text=True,
                            check=True).stdout.strip() + "/vmlinuz"
    archive = os.path.join(directory, "initramfs")
    initramfs(archive)
    trivial = [arguments.ktests, "--exact", "trivial", "--accel", "tcg"]
    found = {
        "ktest, forked": (trivial, "1 passed"),
        "ktest, booted": ([*trivial, "--boot", "cold"], "1 passed"),
        "QEMU": (qemu(kernel, archive), LINE),
    }
    if arguments.vng:
        found["virtme-ng"] = ([*shlex.split(arguments.vng), "--run", kernel, "--disable-kvm",
                               "--cpus", "1", "--memory", "512M", "--", f"echo {LINE}"], LINE)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vng")
    parser.add_argument("ktests", type=os.path.realpath)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = contenders(arguments, directory)
        times = {name: [] for name in found}
        timed("the template", *found["ktest, forked"])
        for _ in range(arguments.rounds):
            for name, contender in found.items():
                times[name].append(timed(name, *contender))
    fork = statistics.median(times["ktest, forked"])
    for name, took in times.items():
        median = statistics.median(took)
        print(json.dumps({"what": name, "seconds": round(median, 2),
                          "times a fork": round(median / fork, 1)}))


main()
