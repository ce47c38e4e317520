#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""On a kernel that cannot run a scheduler, its tests are skipped with the reason, before a boot.

The kernel is the default one. The check replaces the facts that were recorded when it was fetched.

usage: obstacles.py KTESTS
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

BROKEN = "scx_bpf_create_dsq"  # vtime calls it, and global does not


def check(condition, what, text):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")
    print(f"ok: {what}", flush=True)


def run_tests(ktests, facts, *names):
    """Runs tests with a kernel that has these facts: status, text, whether a machine was booted."""
    env = {name: value for name, value in os.environ.items() if name != "KTESTS_KERNEL"}
    kernel = pathlib.Path(subprocess.check_output([ktests, "kernel", "path"], env=env,
                                                  text=True).strip())
    with tempfile.TemporaryDirectory() as cache:
        fake = pathlib.Path(cache, "ktest/kernels", kernel.name)
        fake.mkdir(parents=True)
        for file in kernel.iterdir():
            (fake / file.name).symlink_to(file)
        (fake / "meta.json").unlink()
        meta = json.loads((kernel / "meta.json").read_text()) | facts
        (fake / "meta.json").write_text(json.dumps(meta))
        env["XDG_CACHE_HOME"] = cache
        done = subprocess.run([ktests, "--exact", "--status-level", "all",
                               *(f"-t{name}" for name in names)],
                              env=env, capture_output=True, text=True)
        templates = subprocess.check_output([ktests, "template", "list"], env=env, text=True)
        subprocess.run([ktests, "template", "clear"], env=env, capture_output=True, check=True)
    return done.returncode, done.stdout + done.stderr, not templates.startswith("0 templates")


def main():
    ktests = sys.argv[1]
    status, text, booted = run_tests(ktests, {"sched_ext": False}, "scx_vtime")
    check(status == 77 and re.search("SKIP.* scx_vtime", text) and
          "scheduler vtime: kernel" in text and "has no sched_ext (CONFIG_SCHED_CLASS_EXT)" in text,
          "without sched_ext a scheduler's test is skipped", text)
    check(not booted, "and nothing is booted for that", text)

    status, text, booted = run_tests(ktests, {"broken_kfuncs": ["scx_bpf_aaa", BROKEN]},
                                     "scx_vtime", "scx_steady_global")
    check(status == 0 and re.search("SKIP.* scx_vtime", text) and
          f"scheduler vtime calls {BROKEN}, which the BTF of kernel" in text,
          "nor runs one that calls a kfunc whose BTF is wrong, which is named", text)
    check(booted and re.search("PASS.* scx_steady_global", text),
          "one that calls none of them runs", text)


main()
