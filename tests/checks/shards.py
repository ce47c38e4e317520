#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shards become one run: "ktests merge" writes what one run of all tests writes, and names what is
lost, doubled, stale, cut or mixed.

usage: shards.py FAILING_SAMPLE
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

N = 3
TESTS = ["run_fails", "skips", "removes_unknown", "warning_is_expected", "flaky"]
PASSING = ["warning_is_expected"]


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


def without_times(text):
    """Nor the output of attempts before the last one: files have that of the last."""
    text = re.sub(r"(?s)</stackTrace>.*?(</(?:rerun|flaky)Failure>)", r"</stackTrace>\1", text)
    text = re.sub(r' (time|timestamp)="[^"]*"', "", text)
    return re.sub(r"\d+\.\d+ s\b", "T s", text)


class Runs:
    def __init__(self, program, here):
        self.program, self.here = program, here

    def ktests(self, *arguments, run_id="r1"):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("KTESTS_", "CI_", "GITHUB_"))}
        if run_id:
            env["KTESTS_RUN_ID"] = run_id
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True,
                              timeout=600, check=False, env=env)

    def tests(self, *arguments, names=TESTS, **more):
        return self.ktests("--exact", *[word for name in names for word in ("-t", name)], "--seed",
                           "7", "--retries", "2", *arguments, **more)

    def killed(self, *arguments):
        """A run without end that is killed after its first test."""
        with subprocess.Popen([self.program, *map(str, arguments), "--stress-count", "infinite"],
                              stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, KTESTS_RUN_ID="r1")) as process:
            while "(run 1)" not in process.stdout.readline():
                pass
            process.kill()

    def shards(self, directory, **more):
        """A run in N shards, each with a directory of its own."""
        return [self.tests("--shard", f"{m}/{N}", "-o", directory / str(m), **more)
                for m in range(1, N + 1)]

    def refused(self, directory, *words, **more):
        """Merging says the words, has status 99 and writes nothing."""
        report = self.here / "none.xml"
        run = self.ktests("merge", directory, "--junit", report, **more)
        check(run.returncode == 99 and not report.exists()
              and all(word in run.stderr for word in (*words, "nothing was written")),
              f"refused: {words[0]}", run)


def same_reports(runs):
    """The reports of a merged run are those of one run of all tests."""
    here = runs.here
    whole = runs.tests("-o", here / "whole", "--junit", here / "whole.xml", "--html",
                       here / "whole.html", "--gtest_output=xml:" + str(here / "whole-g.xml"))
    check(whole.returncode == 100, "one run of all tests", whole)
    shards = runs.shards(here / "out")
    check({run.returncode for run in shards} <= {0, 77, 100}, "the same tests in shards",
          shards[0])
    merged = runs.ktests("merge", here / "out", "-o", here / "merged", "--junit",
                         here / "merged.xml", "--html", here / "merged.html",
                         "--gtest_output=xml:" + str(here / "merged-g.xml"))
    check(merged.returncode == 100 and f"{N} shards of run r1: {len(TESTS)} tests" in merged.stdout,
          "they merge, with the status of one run", merged)
    for line in ("5 run: 2 passed (1 flaky), 2 failed, 1 skipped", "TRY 2 FAIL", "FLAKY 3/3",
                 "about to fail", "rerun: " + runs.program):
        check(line in merged.stdout, f"the text for people has {line!r}", merged)
    same_cases(here / "whole.xml", here / "merged.xml", r"(?s)    <testcase.*?</testcase>\n")
    same_cases(here / "whole-g.xml", here / "merged-g.xml", r"(?s)    <testcase.*?</testcase>\n")
    same_cases(here / "whole.html", here / "merged.html", r"(?s)<section.*?</section>\n")
    files = {path.relative_to(here / "whole") for path in (here / "whole").rglob("*")}
    check({path.relative_to(here / "merged") for path in (here / "merged").rglob("*")}
          == files - {pathlib.Path("run.jsonl")} | {pathlib.Path("timings.json")},
          "the same files, and the journal as times")
    tap = runs.ktests("merge", here / "out", "--tap")
    check(f"1..{len(TESTS)}\n" in tap.stdout and tap.stdout.count("\nnot ok ") == 2
          and tap.returncode == 100, "TAP", tap)


def same_cases(one, other, pattern):
    cases = [sorted(re.findall(pattern, without_times(path.read_text()))) for path in (one, other)]
    different = [pair for pair in zip(*cases) if pair[0] != pair[1]]
    check(cases[0] and len(cases[0]) == len(cases[1]) and not different,
          f"{other.name}: the cases of one run" + (f"\n{different[0][0]}\n{different[0][1]}"
                                                   if different else ""))


def changed(runs, name):
    """A copy of the shards' results, to be damaged."""
    path = runs.here / name
    shutil.copytree(runs.here / "out", path)
    return path


def edit(path, **members):
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}))


def faults(runs):
    a = changed(runs, "lost")
    shutil.rmtree(a / "2")
    record = json.loads((runs.here / "out/2/shard-2-of-3.json").read_text())
    runs.refused(a, "shard 2 of 3 is lost", f"{len(record['selected'])} tests in no shard: "
                 + ", ".join(sorted(record["selected"], key=record["all"].index)))
    a = changed(runs, "doubled")
    shutil.copytree(a / "2", a / "again")
    runs.refused(a, "shard 2 of 3 is there twice", "again/shard-2-of-3.json")
    a = changed(runs, "mixed")
    edit(a / "2/shard-2-of-3.json", run="r2")
    runs.refused(a, "two runs are mixed", "of run 'r2'")
    a = changed(runs, "cut")
    os.truncate(a / "3/shard-3-of-3.json", 300)
    runs.refused(a, "3/shard-3-of-3.json' is truncated or damaged")
    a = changed(runs, "cut-result")
    (victim,) = {record["selected"][0]}
    os.truncate(a / f"2/{victim}.json", 100)
    runs.refused(a, f"2/{victim}.json'")
    (a / f"2/{victim}.json").unlink()
    runs.refused(a, f"2/{victim}.json': cannot be read: No such file")
    runs.refused(runs.here / "whole", "no shard-M-of-N.json is there")
    runs.refused(runs.here / "nowhere", "No such file or directory")
    run = runs.ktests("merge", runs.here / "out", "-o", runs.here / "out/1")
    check(run.returncode == 99 and "is where the results are" in run.stderr,
          "-o must be another directory", run)
    check(runs.ktests("merge").returncode == 2, "a directory must be given")


def runs_again(runs):
    """What happens to a shard that runs again, with other tests or not to its end."""
    a = changed(runs, "stale")
    runs.tests("--shard", f"2/{N}", "-o", a / "2", names=TESTS[:-1] + ["spins"])
    runs.refused(a, "a stale list of tests", f"only the first has {TESTS[-1]}",
                 "only the second has spins")
    a = changed(runs, "early")
    runs.tests("--shard", f"1/{N}", "-o", a / "1", "--max-fail", "1", "-j", "1")
    runs.refused(a, "1/shard-1-of-3.json', whose run ended early")
    a = changed(runs, "begun")
    record = json.loads((a / "1/shard-1-of-3.json").read_text())
    runs.ktests("--exact", "-t", record["selected"][0], "--seed", "8", "-o", a / "1")
    runs.refused(a, "is of another run than the record", "seed 8")
    runs.killed("--exact", "-t", PASSING[0], "--shard", f"1/{N}", "-o", a / "1")
    runs.refused(a, "shard 1 of 3 is lost")
    runs.tests("--shard", f"1/{N}", "-o", a / "1")
    run = runs.ktests("merge", a)
    check(run.returncode == 100, "a shard that runs again replaces what it has left", run)


def by_time(runs):
    def names(*arguments):
        run = runs.ktests("--list", "--format", "names", *arguments)
        check(run.returncode in (0, 4), "a list", run)
        return run.stdout.split()

    every = names()
    parts = [names("--partition", f"time:{m}/4", "--timings", runs.here / "merged")
             for m in range(1, 5)]
    check(sorted(sum(parts, [])) == sorted(every), "parts by time have each test once")
    slices = [names("--partition", f"slice:{m}/4") for m in range(1, 5)]
    check(parts != slices, "and are not slices")
    run = runs.ktests("--list", "--partition", "time:1/4")
    check(run.returncode == 2 and "--timings" in run.stderr, "they need times", run)
    run = runs.ktests("--list", "--partition", "time:1/4", "--timings", runs.here / "nowhere")
    check(run.returncode == 99 and "nowhere" in run.stderr, "times that are not there", run)


def passes(runs):
    """More shards than tests, no name of the run, and a status of success."""
    out = runs.here / "passing"
    runs.shards(out, names=PASSING, run_id=None)
    run = runs.ktests("merge", *sorted(out.iterdir()), run_id=None)
    check(run.returncode == 0 and "3 shards: 1 tests" in run.stdout, "a run that passes", run)
    check("the shards name no run" in run.stderr, "without a name it warns", run)


def main():
    with tempfile.TemporaryDirectory() as temporary:
        runs = Runs(sys.argv[1], pathlib.Path(temporary))
        same_reports(runs)
        faults(runs)
        runs_again(runs)
        by_time(runs)
        passes(runs)


main()
