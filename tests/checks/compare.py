#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ktests compare: what it reads, what it says of it, and its exit statuses.

The results are written here, as docs/results.md describes them, and once by a run.

usage: compare.py KTESTS PAYLOAD_SAMPLE
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


def result(name, iterations, verdict="pass", payload="disk", metric="iops"):
    worker = {"group": 0, "iterations": iterations, "wall_ns": 100, "cpu_ns": 50}
    payload = {"name": payload, "metrics": {metric: iterations}}
    scenario = {"workers": [worker], "payloads": [payload]}
    return {"version": 1, "test": name, "verdict": verdict,
            "attempts": [{"result": {"scenario": scenario}}]}


def write(directory, name, values, **more):
    """A file for each round of a test."""
    directory.mkdir(exist_ok=True)
    for number, value in enumerate(values, 1):
        path = directory / f"{name}@stress-{number}.json"
        path.write_text(json.dumps(result(name, value, **more)))


def main():
    ktests, sample = sys.argv[1:3]

    def compare(*arguments, program=ktests):
        return subprocess.run([program, "compare", *map(str, arguments)], capture_output=True,
                              text=True, timeout=600, check=False)

    with tempfile.TemporaryDirectory() as temporary:
        here = pathlib.Path(temporary)
        a, b = here / "a", here / "b"
        write(a, "steady", [1000, 1010, 990])
        write(b, "steady", [700, 710, 690])

        run = compare(a, b)
        check(run.returncode == 100 and "2 worse" in run.stdout,
              "fewer iterations are worse: status 100", run)
        check("WORSE           1000         700    -30.0%     3:3     steady iterations\n"
              in run.stdout, "the table", run)
        check("differs" in run.stdout and "steady disk.iops" in run.stdout,
              "a metric of a payload without a direction is shown", run)
        check(" failed" not in run.stdout, "what is the same is not shown", run)
        check(" failed" in compare(a, b, "-v").stdout, "-v shows it")
        run = compare(b, a)
        check(run.returncode == 0 and "0 worse, 2 better" in run.stdout,
              "the other way round it is better", run)

        declared, lower = here / "declared", here / "lower"
        write(declared, "t", [1000], payload="sh", metric="speed")
        write(lower, "t", [700], payload="sh", metric="speed")
        run = compare(declared, lower, "--gate", "*iter*=none", program=sample)
        check(run.returncode == 100 and "1 worse" in run.stdout and "sh.speed" in run.stdout,
              "a payload of the program declares the direction", run)

        run = compare(b, a, "--gate", "disk.*=lower")
        check(run.returncode == 100 and "1 worse" in run.stdout, "--gate gives a direction", run)
        run = compare(a, b, "--gate", "*=none")
        check(run.returncode == 0 and "0 worse" in run.stdout, "--gate takes directions away", run)
        run = compare(a, b, "--gate", "iter*=higher:0:50%")
        check(run.returncode == 0, "--gate says what is too little", run)

        write(a, "other", [1000])
        write(b, "different", [500])
        run = compare(a / "other", b / "different")
        check(run.returncode == 100 and "other iterations" in run.stdout,
              "two tests with different names", run)
        run = compare(a / "other", b / "steady")
        check("1:3" in run.stdout, "a name is of all rounds", run)
        run = compare(a, b)
        check("only in A: other iterations" in run.stdout
              and "only in B: different iterations" in run.stdout,
              "tests that one side alone has", run)
        run = compare(a / "other.json", b)
        check(run.returncode == 4 and "have no metric" in run.stderr, "nothing in common", run)

        kernels = here / "kernels"
        write(kernels, "steady[6.12]", [1000])
        write(kernels, "steady[7.0]", [500])
        run = compare(f"{kernels}[6.12]", f"{kernels}[7.0]")
        check(run.returncode == 100 and "steady iterations" in run.stdout,
              "two kernels of one run", run)
        run = compare(f"{kernels}[6.1]", f"{kernels}[7.0]")
        check(run.returncode == 99 and "no results of a kernel '6.1' are there" in run.stderr,
              "a kernel that the run did not have", run)

        write(b, "steady", [1000], verdict="fail")
        run = compare(a / "steady", b / "steady", "--gate", "[!f]*=none")
        check(run.returncode == 100 and "steady failed" in run.stdout,
              "a new failure is worse", run)

        page = here / "page.html"
        run = compare(a, b, "--html", page)
        text = page.read_text()
        check('<tr class="WORSE">' in text and "<script" not in text, "the page", run)
        check(compare(a, b, "--html", here / "none/page.html").returncode == 110,
              "a page that cannot be written")

        (a / "trace.json").write_text('{"traceEvents": []}')
        run = compare(a, a)
        check(run.returncode == 0 and "2 JSON files that hold no results" in run.stderr,
              "other JSON files", run)
        (a / "bad.json").write_text('{"version": 9, "test": "x"}')
        run = compare(a, b)
        check(run.returncode == 99 and "bad.json': member 'version' is not 1" in run.stderr,
              "a damaged file is named", run)
        (a / "bad.json").unlink()
        os.mkfifo(a / "pipe.json")
        run = compare(a, b)
        check(run.returncode == 99 and "pipe.json' is no regular file" in run.stderr,
              "a pipe is not waited for", run)
        check(compare(a).returncode == 2, "one side is missing")
        check(compare(a, b, "--gate", "x=up").returncode == 2, "a wrong gate")
        check(compare(here / "none", b).returncode == 99, "no directory")
        empty = here / "empty"
        empty.mkdir()
        run = compare(empty, b)
        check(run.returncode == 99 and "no results are there" in run.stderr, "no results", run)

        results = here / "results"
        run = subprocess.run([ktests, "--exact", "cgroup_freeze_parent", "-o", results],
                             capture_output=True, text=True, timeout=600, check=False)
        check(run.returncode == 0, "a run writes results", run)
        run = compare(results, results, "-v")
        check(run.returncode == 0 and "cgroup_freeze_parent iterations_worst" in run.stdout
              and "cgroup_freeze_parent run_delay_us" in run.stdout, "which are read", run)

        gates(sample, here)


def gates(sample, here):
    """The gates of a test (.perf), judged against results of its own."""
    def judged(baseline, *more):
        return subprocess.run([sample, "--exact", "perf_is_worse", *more, *(
            ["--baseline", str(baseline)] if baseline else [])],
            capture_output=True, text=True, timeout=600, check=False)

    results = here / "gated"
    run = judged(None, "-o", str(results))
    check(run.returncode == 0, "without --baseline, gates are not judged", run)
    run = judged(results)
    check(run.returncode == 0, "a run is not worse than itself", run)
    path = results / "perf_is_worse.json"
    was = path.read_text()

    path.write_text(was.replace('"speed": 700', '"speed": 770'))
    check(path.read_text() != was, "the speed is in the results", run)
    run = judged(results)
    check(run.returncode == 0, "9.1 % are fewer than 10 %", run)
    path.write_text(was.replace('"speed": 700', '"speed": 1000'))
    run = judged(results, "--retries", "1")
    check(run.returncode == 100 and "TRY 1 FAIL" in run.stdout and "TRY 2 FAIL" in run.stdout
          and "'sh.speed' is worse than in the baseline" in run.stdout
          and "expected: more than 900; the baseline is 1000" in run.stdout
          and "got: 700, which is 0.7 times the baseline" in run.stdout
          and f"--baseline {results}" in run.stdout and "sh.errors" not in run.stdout,
          "30 % fail the test, in each attempt", run)
    path.write_text(re.sub('"mips": [0-9]+', '"mips": 7', was))
    run = judged(results)
    check(run.returncode == 99 and "it was measured at 7 MIPS" in run.stdout,
          "another time is inconclusive", run)
    path.write_text(was.replace('"errors"', '"mistakes"'))
    run = judged(results)
    check(run.returncode == 99 and "'sh.errors' cannot be compared" in run.stdout,
          "a metric that the baseline lacks is inconclusive", run)
    run = subprocess.run([sample, "--exact", "payload_selftest_skips", "--baseline", str(results)],
                         capture_output=True, text=True, timeout=600, check=False)
    check("no test of this run has .perf" in run.stderr, "a run without a gate says so", run)
    run = judged(here / "none")
    check(run.returncode == 99 and "--baseline" in run.stderr and "PASS" not in run.stdout,
          "a baseline that is not there", run)


main()
