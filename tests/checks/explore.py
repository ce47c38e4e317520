#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""--explore finds races that hardly ever show themselves, and its seed finds them again.

usage: explore.py KTESTS SAMPLE [SEED [TEST...]]

SAMPLE is tests/samples/racy.c. Each of its faults is found within 200 seeds; SEED (default 1) is
where the search begins. TEST: a fault that is looked for only when it is named, as racy_slot.
"""

import re
import shlex
import subprocess
import sys

TIMEOUT_S = 1000
SEEDS = "200"
AGAIN = 2
# Each fault, and what its failure says. The second group takes many minutes to find.
TESTS = {
    "racy_wakeup": "shared->done == 2",
    "racy_locks": "shared->done == 2",
    "racy_counter": "atomic - plain <= 2",
}
LONG_TESTS = {
    "racy_slot": "runnable task stall",
}


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", timeout=TIMEOUT_S)


def check(condition, what, done=None):
    if not condition:
        sys.exit(f"failed: {what}\n{done.stdout if done else ''}")
    print(f"ok: {what}", flush=True)


def story(text):
    """What a failure says, without what the host has measured."""
    lines = text.splitlines()[1:]
    return [re.sub(r"\[ *\d+\.\d+s\]", "[TIME]", line) for line in lines
            if not re.match(r"warning: |\s+Summary |\s+PASS ", line)
            and not re.search(r"\(run \d+ of", line)]


def explore(sample, test, symptom, seed):
    done = run(sample, "--exact", "-t", test, "--explore", SEEDS, "--seed", seed)
    check(done.returncode == 100 and symptom in done.stdout,
          f"{test} is found within {SEEDS} seeds", done)
    runs = re.search(r"(\d+) run: ", done.stdout).group(1)
    command = shlex.split(re.search(r"rerun: (.*)", done.stdout).group(1))
    check("--policy" in command, f"the command for {test} after {runs} runs says what repeats it")
    first = run(*command)
    for _ in range(AGAIN):
        again = run(*command)
        check(first.returncode == again.returncode == 100 and story(first.stdout)
              == story(again.stdout), f"{test} fails in the same way again", again)


def main(ktests, sample, seed="1", *more):
    done = run(ktests, "--exact", "-t", "trivial", "--explore", "5")
    if "need machines that are repeatable" in done.stdout or done.returncode == 77:
        print(f"skipped: {done.stdout}")
        return 77
    check(done.returncode == 0 and "5 passed" in done.stdout, "what has no race passes", done)
    for options in (("--time", "real"), ("--stress-count", "3")):
        done = run(ktests, "--exact", "-t", "trivial", "--explore", "5", *options)
        check(done.returncode == 2, f"--explore is refused with {options[0]}", done)
    done = run(ktests, "--exact", "time_scale", "--explore", "2")
    check(done.returncode == 2 and "asks for real time" in done.stdout,
          "a test that asks for real time cannot be explored", done)
    done = run(ktests, "--exact", "time_scale", "trivial", "--explore", "2")
    check(done.returncode == 0 and "leaves out 1 test that asks for real time" in done.stdout
          and "2 passed" in done.stdout, "it is left out where others can", done)
    for test, symptom in (*TESTS.items(), *((test, LONG_TESTS[test]) for test in more)):
        explore(sample, test, symptom, seed)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
