#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What `ktests doctor` says of hosts that lack something, and how it would be mended.

usage: doctor.py KTESTS
"""

import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

TIMEOUT_S = 300


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


def doctor(ktests, *words, n_files=None, **env):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))

    return subprocess.run([ktests, "doctor", *words], env=dict(os.environ, **env), text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S,
                          preexec_fn=limit_files if n_files else None)


def line(run, grade, what):
    """The text of the finding, with the command that mends it."""
    found = re.search(rf"(?m)^{grade} +{what} +(.*(?:\n +mend: .*)?)", run.stdout)
    return found[1] if found else ""


def old_qemu(directory):
    wrapper = directory / "old-qemu"
    real = shutil.which("qemu-system-x86_64")
    wrapper.write_text('#!/bin/sh\n'
                       '[ "$1" = --version ] && exec echo "QEMU emulator version 7.2.19"\n'
                       f'exec {real} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


def main(ktests, directory):
    done = doctor(ktests)
    check(done.returncode == 0 and "tests can run here: 0 faults" in done.stdout
          and line(done, "ok", "host").startswith(f"{len(os.sched_getaffinity(0))} CPUs"),
          "this host", done)
    releases = subprocess.run([ktests, "kernel", "list"], capture_output=True,
                              text=True).stdout.splitlines()
    check(all(f"kernel   {release.split()[0]}" in done.stdout for release in releases)
          and "(default)" in done.stdout, "each kernel of the cache", done)
    emulated = "machines are emulated" in line(done, "note", "KVM")

    done = doctor(ktests, "--qemu", old_qemu(directory))
    check("8.2 or newer" in line(done, "note", "QEMU") and done.returncode == 0,
          "an old QEMU is slower", done)
    done = doctor(ktests, PATH="/nonexistent")
    if emulated:
        check(done.returncode == 99 and "tests cannot run here: 1 fault" in done.stdout
              and "apt-get install qemu-system-x86" in line(done, "FAULT", "machine"),
              "neither QEMU nor KVM", done)
    else:
        check("apt-get install qemu-system-x86" in line(done, "note", "QEMU"), "no QEMU", done)

    done = doctor(ktests, XDG_CACHE_HOME=str(directory / "empty"))
    check(done.returncode == 99
          and "ktests kernel fetch" in line(done, "FAULT", "kernel"), "no kernel", done)
    done = doctor(ktests, XDG_CACHE_HOME="/proc/nowhere")
    check(done.returncode == 99 and "XDG_CACHE_HOME" in line(done, "FAULT", "cache"),
          "a cache that cannot be made", done)
    done = doctor(ktests, "--kernel", "/nonexistent")
    check(done.returncode == 99 and "/nonexistent" in line(done, "FAULT", "kernel"),
          "a kernel that is not there", done)
    done = doctor(ktests, n_files=200)
    check("ulimit -n" in line(done, "note", "limits"), "few descriptors", done)
    done = doctor(ktests, "nonsense")
    check(done.returncode == 2 and "nonsense" in done.stderr, "a word too many", done)


with tempfile.TemporaryDirectory() as name:
    main(os.path.realpath(sys.argv[1]), pathlib.Path(name))
