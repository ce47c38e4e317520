#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the suite costs in real and in virtual time, under TCG: docs/performance.md has its table.

usage: modes.py KTESTS [ROUNDS [NAME...]]

The whole suite, or the tests whose names have a NAME, runs ROUNDS times (default 1) in each of the
two, by turns, after a run that makes the templates. The table has the sums of the times of those
tests that ran in both, in seconds of the host, by the first word of their names; the least of the
rounds.
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

MODES = ("real", "virtual")
GROUPS = {"step": "op", "scenario": "op", "snapshot": "freeze", "story": "freeze",
          "watch": "freeze"}
ALONE = ("cgroup", "scx", "op", "work", "payload", "kernel", "freeze", "repeat")


def suite(ktests, mode, report, names):
    """The seconds of a run of the suite, and those of each of its tests that was not skipped."""
    began = time.monotonic()
    done = subprocess.run([ktests, "--time", mode, "--junit", report, "--status-level", "none",
                           "--seed", "1", *names],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if not pathlib.Path(report).exists():
        sys.exit(f"{ktests} --time {mode}: exit status {done.returncode}\n{done.stderr}")
    wall = time.monotonic() - began
    print(f"{mode}: {wall:.0f} s: {done.stdout.splitlines()[-1]}", file=sys.stderr)
    return wall, {case.get("name"): float(case.get("time"))
                  for case in ElementTree.parse(report).iter("testcase")
                  if case.find("skipped") is None}


def group(test):
    word = re.match("[a-z]*", test)[0]
    word = GROUPS.get(word, word)
    return word if word in ALONE else "others"


def table(times):
    """Lines of the table, from the least time of each test in each mode."""
    both = sorted(set(times["real"]) & set(times["virtual"]))
    groups = collections.defaultdict(list)
    for test in both:
        groups[group(test)].append(test)
    for name in (*ALONE, "others"):
        tests = groups.get(name, [])
        sums = [sum(times[mode][test] for test in tests) for mode in MODES]
        yield f"| `{name}` | {len(tests)} | {sums[0]:.1f} | {sums[1]:.1f} |"


def main(ktests, rounds="1", *names):
    walls, times = collections.defaultdict(list), collections.defaultdict(dict)
    with tempfile.TemporaryDirectory() as directory:
        for number in range(int(rounds) + 1):
            for mode in MODES:
                wall, tests = suite(ktests, mode, f"{directory}/junit.xml", names)
                if number == 0:
                    continue
                walls[mode].append(wall)
                for test, seconds in tests.items():
                    times[mode][test] = min(seconds, times[mode].get(test, seconds))
    print("wall, s:", *(f"{mode} {min(walls[mode]):.0f}" for mode in MODES))
    print("\n".join(table(times)))


if __name__ == "__main__":
    main(*sys.argv[1:])
