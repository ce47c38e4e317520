#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Virtual time: one seed is one run, byte for byte, however busy the host is.

usage: repeat.py KTESTS SAMPLE [RUNS]

RUNS is how often each test runs on the host as it is, two at a time, and again beside four busy
loops and another run, eight at a time, while QEMU's main loop is woken thousands of times per
second (plugin/noise.c). Without RUNS, each test runs twice, only some of them beside a load, and
only one is booted.
What a run prints, the kernel's log with its time stamps among it, the result with steps, workers
and metrics, and a snapshot of the machine must be equal. Machines are forked, and booted for each
run. Templates are those of the cache, made again from nothing, and those of another binary.
"""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile

import own_cache

TIMEOUT_S = 900  # eight boots of eight vCPUs at a time take most of it beside the busy loops
# The last three stop at watches while both vCPUs are busy.
TESTS = ("repeat_1", "repeat_2", "repeat_4", "repeat_8", "repeat_devices", "freeze_at_half",
         "freeze_at_stall", "snapshot_exit")
LOADED_TESTS = ("repeat_4", "repeat_devices", "freeze_at_half")  # without RUNS
COLD_TESTS = ("repeat_1", "repeat_2", "repeat_4", "repeat_8")
FEW_COLD_TESTS = ("repeat_2",)  # without RUNS: a boot with more vCPUs takes half a minute
NOISE = {**os.environ, "KTEST_PLUGIN_NOISE": "1"}
REPORT = re.compile(
    r"(?m)^(kernel \S+, accel: .*|warning: .*|\s+(PASS|FAIL|SLOW|Summary) \[.*|    boot .*)\n")


def check(condition, what, text=""):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")
    print(f"ok: {what}", flush=True)


def trace(ktests, test, *options, env=None):
    """What a run leaves, without what the host has measured."""
    return run(ktests, test, *options, env=env)[0]


def run(ktests, test, *options, env=None):
    """The trace of a run, and what its JSON says about its only attempt."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([ktests, "--exact", "-t", test, "--no-capture", "-o", out, *options],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TIMEOUT_S,
                              text=True, errors="replace", env=env)
        if done.returncode == 77:
            print(f"skipped: {done.stdout}")
            sys.exit(77)
        check_quietly(done.returncode == 0, f"{test} passes", done.stdout)
        report = json.loads((pathlib.Path(out) / f"{test}.json").read_text())
        attempt = report["attempts"][-1]
        result = attempt["result"]
        log = ""
        for path in pathlib.Path(out).glob(f"{test}.scheduler.log"):
            log += path.read_text(errors="replace")
        for snapshot in sorted(pathlib.Path(out).glob(f"{test}.snapshots/*.json")):
            log += snapshot.read_text()
    return REPORT.sub("", done.stdout) + json.dumps(result, sort_keys=True) + log, attempt


def check_quietly(condition, what, text):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")


def first_difference(a, b):
    for left, right in zip(a.splitlines(), b.splitlines()):
        if left != right:
            return f"{left[:400]}\n{right[:400]}"
    return f"{len(a)} and {len(b)} characters"


@contextlib.contextmanager
def load(ktests):
    """Four busy loops, and other runs one after the other."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    other = subprocess.Popen([ktests, "--exact", "-t", "work_spin_wait", "--stress-count", "0"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        for process in (*loops, other):
            process.kill()
            process.wait()


def same(ktests, tests, runs, *options):
    """Traces of the tests, each the same in all runs."""
    quiet = {test: trace(ktests, test, "--seed", "7", *options) for test in tests}
    if not runs:
        compare(ktests, quiet, 1, 1, "-v", *options, env=NOISE)
    else:
        compare(ktests, quiet, runs - 1, 2, *options)
    loaded = {test: text for test, text in quiet.items() if runs or test in LOADED_TESTS}
    with load(ktests) if loaded else contextlib.nullcontext():
        compare(ktests, loaded, runs or 1, 8 if runs else 1, "-v", *options, env=NOISE)
    return quiet


def compare(ktests, wanted, runs, at_a_time, *options, env=None):
    """Each test has the wanted trace @runs times more. The budget lets so many run at a time."""
    def once(test):
        again = trace(ktests, test, "--seed", "7", "-j", "16", *options, env=env)
        check_quietly(again == wanted[test], f"{test} repeats ({' '.join(options)})",
                      first_difference(wanted[test], again))

    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        for done in [pool.submit(once, test) for _ in range(runs) for test in wanted]:
            done.result()
    print(f"ok: {runs} more of each of {', '.join(wanted)}: the same ({' '.join(options)})",
          flush=True)


def in_new_cache(ktests, wanted):
    """A template that is made again for more tests, without what was in the cache but kernels."""
    with tempfile.TemporaryDirectory() as new:
        again = trace(ktests, "repeat_2", "-t", "trivial", "--seed", "7",
                      env={**NOISE, **own_cache.make(new)})
    check_quietly(again == wanted, "a new template repeats", first_difference(wanted, again))
    check(True, "a template that was made again repeats")


def with_another_binary(ktests):
    """A binary that was edited runs from the template of the old one, and says what repeats that.
    """
    # Beside the binary, because its schedulers are named from there.
    edited = pathlib.Path(ktests).resolve().with_name("ktests-edited")
    try:
        shutil.copy(ktests, edited)
        # An edit that stripping does not undo: of the tests' summary. It is another one each time:
        # the cache has the template of an earlier run's binary.
        word = secrets.token_hex(2).encode()
        edited.write_bytes(edited.read_bytes().replace(b"same in each run", word + b" in each run"))
        first, attempt = run(edited, "repeat_2")
        again = trace(edited, "repeat_2", "--seed", attempt["seed"], "--template",
                      attempt["template"], env=NOISE)
        check_quietly(again == first, "the named template repeats", first_difference(first, again))
        own, attempt_of_own = run(edited, "repeat_2", "--seed", attempt["seed"])
        check_quietly(attempt_of_own["template"] != attempt["template"] and own != first,
                      "--seed alone asks for an own template", "")
    finally:
        edited.unlink(missing_ok=True)
    check(True, "an edited binary repeats, from the template that it names and from its own")


def late(sample):
    """What is seen of a guest that is out of time ends at an instruction, not when the host acts.
    """
    command = (sample, "--exact", "-t", "hangs_talking", "--seed", "7", "--no-capture", "-v")
    texts = [REPORT.sub("", subprocess.run(command, capture_output=True, text=True,
                                           timeout=TIMEOUT_S, env=env).stdout)
             for env in (None, NOISE, NOISE)]
    for text in texts:
        check_quietly("to the console" in text and "to the host, 9\n" in text,
                      "the sample talks", text)
        check_quietly(text == texts[0], "a guest that is late repeats",
                      first_difference(texts[0], text))
    check(True, "the output of a guest that is late repeats")


def main(ktests, sample, runs="0"):
    probe = subprocess.run([ktests, "--exact", "-t", "trivial"], capture_output=True, text=True,
                           timeout=TIMEOUT_S)
    if "virtual time" not in probe.stdout or "cannot load ktest's plugin" in probe.stdout:
        print(f"skipped: machines of this host are not repeatable\n{probe.stdout}")
        return 77
    forked = same(ktests, TESTS, int(runs))
    check(True, "forked machines repeat, quietly and on a busy host")
    same(ktests, COLD_TESTS if int(runs) else FEW_COLD_TESTS, int(runs), "--boot", "cold")
    check(True, "booted machines repeat, quietly and on a busy host")
    late(sample)
    in_new_cache(ktests, forked["repeat_2"])
    with_another_binary(ktests)
    check_quietly(trace(ktests, "repeat_2", "--seed", "8") != forked["repeat_2"],
                  "another seed is another run", "")
    check(True, "another seed is another run")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
