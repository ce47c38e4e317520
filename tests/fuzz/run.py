#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs a libFuzzer target for some seconds.

usage: run.py TARGET NAME SECONDS

It begins with the corpus in tests/fuzz/corpus/NAME and with the inputs that earlier runs have
found, which are kept beside the target. An input that crashes is stored as
tests/fuzz/corpus/NAME/crash-HASH (or timeout-, oom-), and fails the tests until it is mended.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

INPUT_MAX = 4096  # bytes
UNIT_TIMEOUT = 10  # seconds for one input
MEMORY_MIB = (
    4096  # address space of a window of 2 GiB that a zstd frame may ask for is not memory in use
)


def main():
    target, name, seconds = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    corpus = pathlib.Path(__file__).resolve().parent / "corpus" / name
    found = target.with_name(f"corpus-{name}")
    found.mkdir(exist_ok=True)
    command = [
        target,
        f"-max_total_time={seconds}",
        f"-max_len={INPUT_MAX}",
        f"-timeout={UNIT_TIMEOUT}",
        f"-rss_limit_mb={MEMORY_MIB}",
        "-print_final_stats=1",
        "-use_value_profile=1",
        f"-artifact_prefix={corpus}/",
        found,
        corpus,
    ]
    dictionary = corpus.with_name(f"{name}.dict")
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    # Files of the targets go to memory; what a crash leaves of them goes too.
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="kt-fuzz-", dir=base) as directory:
        return subprocess.run(command, env=dict(os.environ, TMPDIR=directory)).returncode


sys.exit(main())
