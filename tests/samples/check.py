#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one sample, and compares its output and its exit status with golden/NAME.txt.

usage: check.py [--any-console] GOLDEN PROGRAM [ARGUMENTS...]

Text that differs between runs and hosts (times, addresses, the kernel's own text) is replaced by
words in capitals on both sides. To write all golden files again, and then read the difference:

    KTESTS_UPDATE_GOLDEN=1 meson test -C build --suite samples
"""

import difflib
import os
import re
import resource
import subprocess
import sys

LIMIT_S = 30  # no sample may take more CPU time, however busy the host is
HANGS_S = 110  # nor more time than this

REPLACEMENTS = [
    (r"\(\d+ filtered out\)", "(N filtered out)"),
    (r"^kernel \S+, accel: .*, \d+ CPUs, seed \d+(, turns \w+)?",
     "kernel KERNEL, accel: ACCEL, N CPUs, seed SEED"),
    (r"--seed \d+( --boot cold)?( --kernel \S+)?( --template [0-9a-f]{16})?", "--seed SEED"),
    (r"got: \d+(\.\d+)? ms, ending on CPU 0 at \d+ ms", "got: GAP ms, ending on CPU 0 at TIME ms"),
    (r"^(    \S+ +\S+ +\d+)( +-?[\d.]+){7}$", r"\1 NUMBERS"),
    (r"malformed frame \d+", "malformed frame N"),
    (r"it began at \d+ ns", "it began at TIME ns"),
    (r"\[ *\d+\.\d+s\]", "[TIME]"),
    (r"\[ *\d+\.\d+\]", "[TIME]"),
    (r"\d+\.\d{3} s into", "TIME s into"),
    (r"still runs after [\d.]+ s \(process \d+\)", "still runs after TIME s (process N)"),
    (r"within [\d.]+ s( after SIGTERM)?; it", r"within TIME s\1; it"),
    (r"\+0x[0-9a-f]+", "+0xN"),
    (r"( < \S+){2,}", " < ..."),
    (r"WARNING: CPU: \d+ PID: \d+ at mm/page_alloc", "WARNING: mm/page_alloc"),  # before 7.0
    (r"mm/page_alloc\.c:\d+ (at )?.*", "mm/page_alloc.c:LINE at FUNCTION"),
    (r"got: \d{4,}$", "got: A LARGE NUMBER"),
    (r"/\S*/tests/samples/baseline\b", "BASELINE"),
    (r"build\S*/tests/samples/", "BUILD/"),
    (r"; kernel backtrace: .*", "; kernel backtrace: BACKTRACE"),
    (r"dump of \d+ lines", "dump of N lines"),
    (r"\d+ lines of the dump", "N lines of the dump"),
    (r"(libbpf: .*: failed to load|libbpf: .* failed): (-13|-EACCES|Permission denied)$",
     r"\1: EACCES"),
    (r"workers to start; \d+ have", "workers to start; N have"),
    (r"(periodic_\d{3}) (at )?( *)\d+ ms", r"\1 \2TIME ms"),
    (r"failed to run for \d+\.\d+s", "failed to run for TIME"),
    # The story: who has the CPUs is a matter of chance, but for a worker that is there to have one.
    (r"^    found by CPU \d+.*", "    found by CPU N"),
    (r"^(    CPU \d+: AluHot\[)\d+(\] \(rt\); before: AluHot\[)\d+(\] \(rt\)).*",
     r"\1PID\2PID\3 MOST OF THE TIME"),
    (r"^(    CPU \d+: )(?!AluHot).*", r"\1SOMETHING"),
    (r"^(    before is since the snapshot \S+), \d+ ms", r"\1, TIME"),
    (r"^(    \w+\[)\d+(\] (has waited|was sent)( for)?)( \d+ ms)?", r"\1PID\2 TIME"),
    (r"(per_cpu|table|fault[._]\w+|uei_dump) \(\d+\)", r"\1 (ID)"),
    (r"(\w\[)\d+(\] failed to run)", r"\1PID\2"),
    (r"^(    \w+\[)\d+(\] is the scheduler's program, and was killed on CPU) \d+", r"\1PID\2 N"),
    (r"(PID\] has waited for TIME on CPU 1, in) the local queue of CPU 1, .*", r"\1 A QUEUE"),
    (r"(PID\] has waited for TIME on CPU 1, in) queue 0 of the scheduler, .*", r"\1 A QUEUE"),
    (r"target CPU \d not allowed for \S+\[\d+\]", "target CPU N not allowed for TASK"),
    (r"^    \S+\[\w+\] was sent to.*", "    TASK was sent to CPU N, and is on CPU N"),
]

# How lines begin that depend on the load of the host, and on which template there was.
IGNORED = ("warning: waiting for CPUs or memory that another run uses", "    also waiting: ",
           "        SLOW [")

# Headings of blocks that contain the kernel's text.
KERNEL_TEXT = re.compile(r"  (dump of \d+ lines, the first of them|console|console, last lines|"
                         r"kernel log of the test):$")


def normalize(text):
    lines = []
    kernel_lines = None  # number of lines seen in a block of kernel text
    for line in text.splitlines():
        if line.startswith(IGNORED):
            continue
        if kernel_lines is not None and line.startswith("    "):
            kernel_lines += 1
            continue
        if kernel_lines is not None:
            lines.append("    KERNEL TEXT" + (" OF MORE THAN 20 LINES" if limited
                                              and kernel_lines > 20 else ""))
            kernel_lines = None
        if lines and "BEGIN PROG LOAD LOG" in lines[-1] and "END PROG LOAD LOG" not in line:
            continue  # the verifier's
        if KERNEL_TEXT.match(line):
            kernel_lines = 0
            limited = "console" in line
            line = line.replace(", last lines", "")
        for pattern, replacement in REPLACEMENTS:
            line = re.sub(pattern, replacement, line)
        lines.append(line)
    return "\n".join(lines) + "\n"


def without_console(text):
    return re.sub(r"^  console:\n(    KERNEL TEXT.*\n)*", "", text, flags=re.M)


def main():
    any_console = sys.argv[1] == "--any-console"
    golden_path, *command = sys.argv[2:] if any_console else sys.argv[1:]
    # What a sample says is that of one seed. The command line can have another one.
    command[1:1] = ["--seed=1", "--template=any"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors="replace", timeout=HANGS_S)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    took = usage.ru_utime + usage.ru_stime
    text = normalize(run.stdout) + f"exit status {run.returncode}\n"
    if os.environ.get("KTESTS_UPDATE_GOLDEN") and not any_console:
        with open(golden_path, "w") as golden:
            golden.write(text)
        return 0
    with open(golden_path) as golden:
        expected = golden.read()
    if any_console:
        text, expected = without_console(text), without_console(expected)
    if text != expected:
        sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), text.splitlines(True),
                                                   golden_path, "now"))
        return 1
    if took > LIMIT_S:
        print(f"took {took:.1f} s of CPU time, more than {LIMIT_S} s")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
