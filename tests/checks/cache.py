#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ktests cache, and a cache that is bounded, full or read-only.

usage: cache.py KTESTS
"""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TIMEOUT_S = 600


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


def run(cache, *command):
    env = dict(os.environ, XDG_CACHE_HOME=str(cache))
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=TIMEOUT_S)


def age(path, days):
    then = time.time() - days * 86400
    os.utime(path, (then, then))


def bzimages_are_bounded(ktests, cache, kernel, directory):
    """Each build of a kernel is another file; a run that uses a copy keeps it."""
    kernels = cache / "ktest/kernels"
    first = None
    for i in range(6):
        bzimage = directory / "bzImage"
        bzimage.unlink(missing_ok=True)
        shutil.copy(pathlib.Path(kernel) / "vmlinuz", bzimage)
        os.utime(bzimage, (i, i))
        done = run(cache, ktests, "kernel", "path", str(bzimage))
        check(done.returncode == 0, f"bzImage {i}", done)
        if not first:
            first = pathlib.Path(done.stdout.strip())
            lock = os.open(first, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_SH)  # as a run that uses it
    check(len(list(kernels.glob("local-*"))) <= 5, "copies of bzImages are bounded")
    check((first / "vmlinux").exists(), "but the one in use stays")
    return lock, first


def pruned(ktests, cache, lock, used):
    kernels, templates = cache / "ktest/kernels", cache / "ktest/templates"
    stage = templates / "gone-gone.stage-XXXXXX"
    stage.mkdir(parents=True)
    (stage / "ram").write_bytes(b"x" * (2 << 20))
    done = run(cache, ktests, "template", "list")
    check("0 templates, 0 MiB, and 2 MiB unfinished" in done.stdout,
          "what a killed builder has left is counted", done)
    old = next(p for p in kernels.glob("local-*") if p != used)
    age(old, 8)
    age(used, 9)
    done = run(cache, ktests, "cache", "list")
    check(done.returncode == 0 and old.name in done.stdout and "(unfinished)" in done.stdout
          and "entries" in done.stdout, "cache list", done)
    done = run(cache, ktests, "cache", "prune", "--max-age", "7d")
    check(done.returncode == 0 and not old.exists() and not stage.exists(),
          "cache prune removes what is old, and what a killed builder has left", done)
    check(used.exists() and "a run uses it" in done.stderr, "what is in use stays, and is named",
          done)
    check(list(kernels.glob("local-*")) != [used], "what is new stays", done)
    os.close(lock)
    done = run(cache, ktests, "cache", "prune", "--max-size", "0")
    check(done.returncode == 0 and not list(kernels.iterdir()), "--max-size 0 removes all", done)
    done = run(cache, ktests, "cache", "prune", "list")
    check(done.returncode == 2 and "'list' is too much" in done.stderr, "a usage error", done)


def delay_loop_is_told(ktests, cache, kernel):
    done = run(cache, ktests, "-k", kernel, "--accel", "tcg", "shell", "--exec",
               "cat /proc/cmdline")
    check(done.returncode == 0 and " lpj=" in done.stdout,
          "under TCG the kernel need not measure its delay loop on every CPU", done)


def without_cache(ktests, directory, kernel):
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        print("skipped: a full disk needs a mount namespace, and so root")
        return
    place = directory / "place"
    place.mkdir()
    full = (f"mount -t tmpfs -o size=100k none {place} && "
            f"head -c 1M /dev/zero > {place}/x 2> /dev/null; ")
    read_only = f"mount -t tmpfs none {place} && mount -o remount,ro {place} && "
    for name, mount in (("full", full), ("read-only", read_only)):
        done = run(place, "unshare", "-m", "sh", "-c",
                   f"{mount} exec {ktests} -k {kernel} --exact trivial")
        check(done.returncode == 0 and "1 passed" in done.stdout,
              f"with a {name} cache tests run from memory", done)
        done = run(place, "unshare", "-m", "sh", "-c",
                   f"{mount} exec {ktests} -k {kernel}/vmlinuz --exact trivial")
        check(done.returncode == 99 and len(done.stderr.splitlines()) == 1
              and str(place) in done.stderr, f"a bzImage with a {name} cache: one clear line", done)


def shared_read_only(ktests, cache, kernel):
    """A cache that another host has filled, as shards share it: what is there is used."""
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        print("skipped: a read-only mount needs a mount namespace, and so root")
        return
    done = run(cache, ktests, "-k", kernel, "--exact", "trivial")
    check(done.returncode == 0, "a run fills a cache", done)
    mount = f"mount --bind {cache} {cache} && mount -o remount,bind,ro {cache} && "
    done = run(cache, "unshare", "-m", "sh", "-c",
               f"{mount} exec {ktests} -k {kernel} --exact trivial -v")
    check(done.returncode == 0 and "boot 0.000 s, fork" in done.stdout and not done.stderr,
          "a template in a read-only cache is restored", done)
    done = run(cache, "unshare", "-m", "sh", "-c",
               f"{mount} exec {ktests} -k {kernel} --exact environment trivial "
               "--append quiet -v")
    check(done.returncode == 0 and done.stdout.count("fork 0.000 s") == 2
          and done.stderr.count("warning:") == 1 and "Read-only file system" in done.stderr,
          "without a template that fits, machines boot, with one warning", done)


def main():
    ktests = os.path.abspath(sys.argv[1])
    done = subprocess.run([ktests, "kernel", "path"], capture_output=True, text=True)
    kernel = done.stdout.strip()
    check(done.returncode == 0, "there is a kernel", done)
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        cache = directory / "cache"
        lock, used = bzimages_are_bounded(ktests, cache, kernel, directory)
        pruned(ktests, cache, lock, used)
        delay_loop_is_told(ktests, cache, kernel)
        without_cache(ktests, directory, kernel)
        shared_read_only(ktests, directory / "shared", kernel)


main()
