#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs all tests and counts their cases; the second half of ./dev test, which has built everything.

The last line is "N passed, N failed, N skipped"; the exit status is 0 if none failed.
"""

import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

N_LAST_LINES = 80  # of each stream of a test that failed
N_OUTPUTS = 10  # of so many tests; the names of all come behind
ROOT = pathlib.Path(__file__).resolve().parent.parent


class Counts:
    def __init__(self):
        self.passed, self.skipped, self.failed = 0, 0, []
        self.outputs = []

    def add_case(self, suite, case):
        name = f"{suite}/{case.get('name')}"
        if case.find("skipped") is not None:
            self.skipped += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            self.failed.append(name)
            self.outputs.append((name, last_lines(case)))
        else:
            self.passed += 1


def last_lines(case):
    """What a test case wrote last, for whoever sees only the end of this program's output."""
    return [line
            for tag in ("failure", "error", "system-out", "system-err")
            for line in (case.findtext(tag) or "").splitlines()[-N_LAST_LINES:]]


def meson_test(build, counts, *args):
    """Runs the tests of a build and counts the cases of its JUnit report."""
    began = time.monotonic()
    report = ROOT / build / "meson-logs/testlog.junit.xml"
    report.unlink(missing_ok=True)
    run = subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", *args],
                         cwd=ROOT)
    if not report.exists():
        counts.failed.append(f"{build}: meson test wrote no report")
        return
    before = len(counts.failed)
    # Meson copies the output of tests unchanged, but XML does not allow control characters.
    text = re.sub("[^\t\n\x20-\uffff]", "?", report.read_text(errors="replace"))
    for suite in ElementTree.fromstring(text).iter("testsuite"):
        for case in suite.iter("testcase"):
            counts.add_case(f"{build}: {suite.get('name')}", case)
    if run.returncode and len(counts.failed) == before:
        counts.failed.append(f"{build}: meson test exits with {run.returncode}")
    print(f"{build}: {time.monotonic() - began:.0f} s", flush=True)


def check_leaks(build, counts):
    """Counts leaks that the teardown of a unit test finds, which Criterion does not count."""
    log = (ROOT / build / "meson-logs/testlog.txt").read_text(errors="replace")
    if "LeakSanitizer" in log or "AddressSanitizer" in log:
        counts.failed.append(f"{build}: a sanitizer complains, see {build}/meson-logs/testlog.txt")


def fuzz(counts):
    """Each libFuzzer target for some seconds."""
    if (ROOT / "build-fuzz/build.ninja").exists():
        meson_test("build-fuzz", counts, "--suite", "fuzz", "--num-processes", "2")
        return
    counts.skipped += len(list((ROOT / "tests/fuzz").glob("fuzz_*.c")))
    print("build-fuzz: skipped: clang has no libFuzzer (libclang-rt-dev)")


def main():
    counts = Counts()
    meson_test("build", counts, *sys.argv[1:])
    meson_test("build-sanitize", counts, "--suite", "unit", "--suite", "fuzz")
    check_leaks("build-sanitize", counts)
    fuzz(counts)
    for name, lines in counts.outputs[:N_OUTPUTS]:
        print(f"--- {name} ends with:", *lines, sep="\n")
    for name in counts.failed:
        print(f"failed: {name}")
    print(f"{counts.passed} passed, {len(counts.failed)} failed, {counts.skipped} skipped")
    return bool(counts.failed)


sys.exit(main())
