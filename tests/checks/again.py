#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs leave records: --rerun takes up what is left of one, "ktests replay" reports it again, and
--bisect says of a run what "git bisect run" wants to know.

usage: again.py FAILING_SAMPLE
"""

import difflib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import own_cache

TESTS = ["run_fails", "skips", "warning_is_expected", "removes_unknown"]
FAILING = ["run_fails", "removes_unknown"]
RECORDS_MAX = 32  # framework/record/store.h


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


class Runs:
    def __init__(self, program, here):
        self.program, self.here = program, here
        self.env = {name: value for name, value in os.environ.items()
                    if not name.startswith(("KTESTS_", "CI_", "GITHUB_"))}
        self.env.update(own_cache.make(here / "cache"))
        self.records = here / "cache/ktest/records"

    def ktests(self, *arguments, **more):
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True,
                              timeout=600, check=False, env=self.env, **more)

    def tests(self, *arguments, names=TESTS):
        return self.ktests("--exact", *[word for name in names for word in ("-t", name)],
                           *arguments)

    def names(self, *arguments):
        """The names that a list has, in its order."""
        run = self.ktests("--list", "--format", "names", *arguments)
        return run.stdout.split(), run

    def latest(self):
        return sorted(self.records.iterdir())[-1]


def edited(path, to, change):
    """Writes the journal @path to @to, with its lines as @change makes them."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    to.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n"
                          for line in change(lines)))
    return to


def reruns(runs):
    none = runs.ktests("--rerun")
    check(none.returncode == 2 and "has no record of a run of this program" in none.stderr,
          "no record yet", none)
    first = runs.tests("--seed", "7", "-o", runs.here / "out")
    check(first.returncode == 100, "a run in which tests fail", first)
    names, run = runs.names("--rerun")
    check(names == FAILING and "2 of 2 tests that did not pass, 0 new" in run.stderr,
          "they are what --rerun takes", run)
    check(runs.names("--rerun", "latest")[0] == FAILING
          and runs.names("--rerun", runs.here / "out")[0] == FAILING
          and runs.names(f"--rerun={runs.here}/out/run.jsonl")[0] == FAILING,
          "the latest, a directory of -o, a file")
    again = runs.ktests("--rerun")
    check(again.returncode == 100 and ", seed 7," in again.stdout
          and set(re.findall(r"FAIL \[.*\] (\w+)", again.stdout)) == set(FAILING),
          "--rerun runs them, under the seed of their failures", again)
    check(runs.names("--rerun")[0] == FAILING, "what still fails is left again")


def new_tests(runs):
    def forget(lines):
        lines[0]["known"].remove("skips")
        return lines

    path = edited(runs.here / "out/run.jsonl", runs.here / "new.jsonl", forget)
    names, run = runs.names("--rerun", path)
    check(names == [*FAILING, "skips"] and "1 new" in run.stderr, "new tests come last", run)
    runs.ktests("--rerun", path, "-t", "run_fails")
    check(runs.names("--rerun")[0] == [*FAILING, "skips"], "a new test that was left out is new")
    halves = [runs.names("--rerun", path, "--partition", f"slice:{i}/2")[0] for i in (1, 2)]
    shard = runs.ktests("--rerun", path, "--skip", "fails", "--skip", "removes")
    check(sorted(sum(halves, [])) == sorted([*FAILING, "skips"]), "a rerun can be divided", shard)


def outstanding(runs):
    def fail(lines):
        for line in lines[1:-1]:
            line["verdict"] = "fail" if line["test"] == "warning_is_expected" else "pass"
        lines[0]["outstanding"] = ["skips", "was_removed"]
        return lines

    path = edited(runs.here / "out/run.jsonl", runs.here / "left.jsonl", fail)
    run = runs.ktests("--rerun", path, "--skip", "skips")
    check(run.returncode == 5 and "1 passed" in run.stdout, "others are outstanding: 5", run)
    check("1 other tests did not pass, but this program no longer has them" in run.stderr,
          "tests that are gone", run)
    check(runs.names("--rerun")[0] == ["skips"], "the record of a rerun hands them on")
    check(runs.ktests("replay").returncode == 5, "replay has its status")
    narrow = runs.ktests("--rerun", "latest", "warning")
    check(narrow.returncode == 5 and "0 of 1 test that did not pass" in narrow.stderr,
          "none of them is selected: 5", narrow)
    check(runs.ktests("--rerun").returncode == 77, "all that is left is skipped: 77")
    done = runs.ktests("--rerun")
    check(done.returncode == 0 and "0 of 0 tests" in done.stderr, "nothing is left: 0", done)
    check(runs.names("--rerun")[1].returncode == 0, "nor is anything listed: 0")


def killed(runs):
    """A run without end that is killed after its first test."""
    with subprocess.Popen([runs.program, "-j", "1", "--exact", "-t", "warning_is_expected", "-t",
                           "run_fails", "--stress-count", "infinite", "--pool", "0"],
                          stdout=subprocess.PIPE, text=True, env=runs.env) as process:
        while "(run 1)" not in process.stdout.readline():
            pass
        meanwhile, _ = runs.names("--rerun")
        process.send_signal(signal.SIGKILL)
    check(meanwhile == [], "a run that goes on has left nothing yet")
    names, run = runs.names("--rerun")
    check("run_fails" in names, "a run that was killed leaves a record", run)
    replay = runs.ktests("replay")
    check(replay.returncode in (99, 100) and "the run ended early" in replay.stderr,
          "replay says that it ended early", replay)
    torn = runs.here / "torn.jsonl"
    torn.write_text((runs.latest() / "run.jsonl").read_text() + '{"test":"warn')
    check(runs.names("--rerun", torn)[0] == names, "a line that broke off is left out")


def without_times(text):
    """Nor the output of attempts before the last one: files have that of the last."""
    text = re.sub(r"(?s)</stackTrace>.*?</rerunFailure>", "</stackTrace></rerunFailure>", text)
    return re.sub(r"\d+\.\d+ s\b", "T s", re.sub(r' (time|timestamp)="[^"]*"', "", text))


def replays(runs):
    whole = runs.tests("--seed", "7", "--junit", runs.here / "a.xml", "--retries", "1")
    replay = runs.ktests("replay", "--junit", runs.here / "b.xml", "--html", runs.here / "b.html",
                         f"--ktap={runs.here}/b.ktap", f"--json={runs.here}/b.json", "-o",
                         runs.here / "b")
    check(replay.returncode == whole.returncode == 100, "replay has the run's status", replay)
    pattern = r"(?s)    <testcase.*?</testcase>\n"
    cases = [sorted(re.findall(pattern, without_times((runs.here / f"{x}.xml").read_text())))
             for x in "ab"]
    difference = "\n".join(difflib.unified_diff(*("".join(c).splitlines() for c in cases)))
    check(cases[0] and not difference, f"the same cases in JUnit {difference}")
    check("run_fails" in (runs.here / "b.html").read_text()
          and (runs.here / "b.ktap").read_text().count("not ok") >= 2
          and (runs.here / "b.json").read_text().count("\n") > len(TESTS), "every other form")
    check((runs.here / "b/run_fails.json").exists()
          and runs.names("--rerun", runs.here / "b")[0] == FAILING, "-o is a record again")
    shard = runs.tests("--shard", "1/2", "--seed", "7")
    runs.ktests("replay", "-o", runs.here / "shard")
    check(set(runs.names("--rerun", runs.here / "shard")[0]) < set(FAILING),
          "a shard's record has left what the shard has", shard)
    own = runs.ktests("replay", runs.here / "out", "-o", runs.here / "out")
    check(own.returncode == 99 and "is where the results are" in own.stderr
          and (runs.here / "out/run_fails.json").exists(), "not onto itself", own)


def refused(runs):
    bad = runs.here / "bad"
    bad.mkdir()
    for words, make in {
        "no record of a run": lambda: None,
        "it is of version 9 of the format, and this program reads version 1": lambda: edited(
            runs.here / "out/run.jsonl", bad / "run.jsonl",
            lambda lines: [{**lines[0], "version": 9}, *lines[1:]]),
        "line 2": lambda: (bad / "run.jsonl").write_text(
            (runs.here / "out/run.jsonl").read_text().replace("\n", "\nx", 1)),
    }.items():
        make()
        run = runs.ktests("--rerun", bad)
        check(run.returncode == 2 and words in run.stderr, f"refused: {words}", run)
    stale = runs.here / "stale"
    shutil.copytree(runs.here / "out", stale)
    (stale / "run_fails.json").unlink()
    run = runs.ktests("replay", stale)
    check(run.returncode == 99 and "replay: " in run.stderr and "run_fails.json" in run.stderr,
          "a file that is lost", run)


def bounds(runs):
    for i in range(40):
        (runs.records / f"20991231T2359{i:02}.000000-00000000-{i + 1}").mkdir()
    old = runs.records / "20200101T000000.000000-00000000-1"
    old.mkdir()
    other = runs.records / "mine"
    other.mkdir()
    run = runs.tests(names=["skips"])
    records = [path for path in runs.records.iterdir() if path != other]
    check(run.returncode == 77 and len(records) <= RECORDS_MAX and not old.exists()
          and other.exists(), f"at most {RECORDS_MAX} records: {len(records)}", run)
    shutil.rmtree(runs.records)
    runs.records.write_text("")
    run = runs.tests(names=["warning_is_expected"])
    check(run.returncode == 0 and "warning: " not in run.stderr, "a cache without records", run)
    runs.records.unlink()


def bisects(runs):
    for names, status in ((["run_fails"], 1), (["warning_is_expected"], 0), (["skips"], 125),
                          (["no_such_test"], 125)):
        check(runs.tests("--bisect", names=names).returncode == status,
              f"--bisect, {names[0]}: {status}")
    for words in (["--no-tests", "pass", "-t", "no_such_test"],
                  ["-t", "warning_is_expected", "-t", "no_such_test"]):
        check(runs.ktests("--exact", "--bisect", *words).returncode == 125,
              f"--bisect {' '.join(words)}: 125")
    check(runs.ktests("--bisect", "--meson").returncode == 125, "nor with --meson")
    check(runs.ktests("--bisect", "--no-such-option").returncode == 125, "an older program: 125")
    if not shutil.which("git"):
        return
    repository = runs.here / "repository"

    def git(*words):
        return subprocess.run(["git", "-c", "user.name=k", "-c", "user.email=k@localhost", *words],
                              cwd=repository, env=runs.env, capture_output=True, text=True,
                              check=False)

    repository.mkdir()
    git("init", "--quiet")
    for i, name in enumerate(["warning_is_expected"] * 3 + ["no_such_test", "warning_is_expected"] +
                             ["run_fails"] * 2):
        (repository / "test").write_text(f"{name}\n")
        (repository / "number").write_text(f"{i}\n")
        git("add", ".")
        git("commit", "--quiet", "-m", f"commit {i} has {name}")
    git("bisect", "start", "HEAD", "HEAD~6")
    found = git("bisect", "run", "sh", "-c",
                f'"{runs.program}" --bisect --exact -t "$(cat test)"')
    text = found.stdout + found.stderr
    check("is the first bad commit" in text
          and "commit 5 has run_fails" in text.split("is the first bad commit")[1],
          "git bisect run finds the commit, beside one that cannot be tested", found)


def stops(runs):
    names = ["run_fails", "removes_unknown"]
    few = runs.tests("-j", "1", "--ff", names=names)
    all_of_them = runs.tests("-j", "1", "--ff", "--nff", names=names)
    check("1 failed" in few.stdout and "2 failed" in all_of_them.stdout, "--ff and --nff", few)


def main():
    with tempfile.TemporaryDirectory() as here:
        runs = Runs(os.path.abspath(sys.argv[1]), pathlib.Path(here))
        for part in (reruns, new_tests, outstanding, killed, replays, refused, bounds, bisects,
                     stops):
            part(runs)


main()
