#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ktests kernel fetch in a cache of its own: killed, in parallel, with a full disk, with bad input.

usage: fetch.py KTESTS
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile

WANTED = "7.0"


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")
    print(f"ok: {what}", flush=True)


def start(ktests, cache, *args, **kwargs):
    env = dict(os.environ, XDG_CACHE_HOME=str(cache))
    return subprocess.Popen([ktests, "kernel", *args], env=env, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, **kwargs)


def run(ktests, cache, *args):
    process = start(ktests, cache, *args)
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def finished(cache):
    return [p for p in (cache / "ktest/kernels").glob("*") if ".stage-" not in p.name]


def killed(ktests, cache):
    process = start(ktests, cache, "fetch", WANTED)
    for line in process.stderr:
        if "downloading" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    check(not finished(cache), "a download that is killed leaves nothing that looks finished")


def parallel(ktests, cache):
    first, second = (start(ktests, cache, "fetch", WANTED) for _ in range(2))
    outputs = [process.communicate(timeout=600) for process in (first, second)]
    check(first.returncode == second.returncode == 0 and outputs[0][0] == outputs[1][0],
          "two fetches at once both end well")
    check(any("waiting for another fetch" in err for _, err in outputs), "one waits for the other")
    check(sum("downloading" in err for _, err in outputs) == 1, "and only one downloads")
    check(len(finished(cache)) == 1, "the leavings of the killed one are gone")
    entry = finished(cache)[0]
    check({"vmlinuz", "vmlinux", "btf", "meta.json"} <= {p.name for p in entry.iterdir()},
          "image, vmlinux, BTF and facts are there")
    code, out, _ = run(ktests, cache, "path", WANTED)
    check(code == 0 and out.strip() == str(entry), "kernel path names it")
    code, out, _ = run(ktests, cache, "list")
    check(code == 0 and entry.name in out and "(default)" in out, "kernel list shows it")


def bad_input(ktests, cache):
    code, _, err = run(ktests, cache, "fetch", "1.2.3")
    check(code == 99 and "no kernel 1.2.3" in err, "a version that the archive does not have")
    code, _, err = run(ktests, cache, "fetch", "--mirror", "http://[::1]:9/debian")
    check(code == 99 and "reading the archive's index" in err, "a mirror that does not answer")
    code, _, err = run(ktests, cache, "fetch", "--suite", "no-such-suite")
    check(code == 99 and "reading the archive's index" in err, "a suite that is not there")
    code, _, err = run(ktests, cache, "path", "1.2.3")
    check(code == 99 and "kernel fetch 1.2.3" in err, "kernel path of what is not there")


def full_disk(ktests, directory):
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        print("skipped: a full disk needs a mount namespace, and so root")
        return
    small = directory / "small"
    small.mkdir()
    # The process has a mount of its own, which ends with it.
    script = (f"mount -t tmpfs -o size=24M none {small} && "
              f"XDG_CACHE_HOME={small} exec {ktests} kernel fetch {WANTED}")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                          timeout=600)
    check(done.returncode == 99 and "No space left" in done.stderr
          and "'ktests cache prune' frees space" in done.stderr, "a full disk is named")
    kernel = run(ktests, directory / "cache", "path", WANTED)[1].strip()
    script = (f"mount -t tmpfs -o size=1M none {small} && "
              f"XDG_CACHE_HOME={small} exec {ktests} -k {kernel} trivial")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                          timeout=600)
    check(done.returncode == 0 and "1 passed" in done.stdout,
          "a disk that is too full for an image or a template: both are not needed")


def main():
    ktests = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        cache = pathlib.Path(directory) / "cache"
        killed(ktests, cache)
        parallel(ktests, cache)
        bad_input(ktests, cache)
        full_disk(ktests, pathlib.Path(directory))


main()
