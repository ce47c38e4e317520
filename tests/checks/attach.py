#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Contexts attach to machines at random moments of their boots, and all of them find the kernel.

usage: attach.py KTESTS ATTACH [MOMENTS [SEED]]

The default is few moments; docs/performance.md has the figure of 50.
"""

import pathlib
import random
import subprocess
import sys

TIMEOUT_S = 900


def main():
    ktests, attach = sys.argv[1:3]
    moments = sys.argv[3] if len(sys.argv) > 3 else "10"
    seed = sys.argv[4] if len(sys.argv) > 4 else str(random.getrandbits(32))
    kernel = pathlib.Path(subprocess.run([ktests, "kernel", "path"], capture_output=True,
                                         text=True, check=True).stdout.strip())
    # The first has no KASLR. The second is where the first is not, and unpacks itself before.
    for image in ("vmlinux", "vmlinuz"):
        print(f"{image} of {kernel.name}, seed {seed}", flush=True)
        done = subprocess.run([attach, kernel / image, moments, seed], timeout=TIMEOUT_S)
        if done.returncode:
            sys.exit(f"failed: {image}: not every context has healed (seed {seed})")
    print("ok: every context has healed")


main()
