#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which tests a command line chooses, and what a list says about the others.

usage: choosing.py KTESTS MANY

MANY has 2,000 tests.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile

TIMEOUT_S = 120
LIST_CPU_S = 0.05


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


def run(*command, cwd=None, env=None):
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=cwd,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))


def names(ktests, *options, **more):
    done = run(ktests, "--list", "--format", "names", *options, **more)
    return done.stdout.split(), done


def filters(ktests):
    chosen, done = names(ktests, "-E", "test(=trivial) | test(=environment)")
    check(chosen == ["environment", "trivial"] and done.returncode == 0, "-E chooses", done)
    check("; left out: " in done.stderr and " by -E\n" in done.stderr,
          "a list says how many tests -E left out", done)
    chosen, done = names(ktests, "-E", "test(=trivial)", "-E", "test(=disabled)", "--skip", "triv",
                         "-v")
    check(chosen == ["disabled"] and "left out: trivial by --skip: triv\n" in done.stderr
          and "-E is test(=trivial)\nor:   test(=disabled)\n" in done.stderr,
          "-v says what left each test out, and how -E was read", done)
    chosen, done = names(ktests, "-E", "test(=trivial) & kernel(1)")
    check(chosen == ["trivial"] and "kernel() decides on 1 of them when they run" in done.stderr,
          "a list keeps what a kernel decides", done)
    chosen, done = names(ktests, "-E", "test(=trivial) & tga(x)")
    check(not chosen and done.returncode == 2
          and "at character 18, 'tga(x)': unknown predicate; did you mean tag()?" in done.stderr,
          "a wrong -E is a usage error with its place", done)
    chosen, done = names(ktests, "--exact", "-t", "trivial", "-t", "enviroment", "-t", "qqqqqqqq")
    check(chosen == ["trivial"] and done.returncode == 0
          and "no test is called 'enviroment'; did you mean 'environment'?\n" in done.stderr
          and "no test is called 'qqqqqqqq'\n" in done.stderr, "a name of no test is told", done)
    chosen, done = names(ktests, "--exact", "trivial", "enviroment", "--skip", "trivail")
    check(chosen == ["trivial"]
          and "--skip: no test is called 'trivail'; did you mean 'trivial'?\n" in done.stderr,
          "a --skip of no test is told", done)
    _, done = names(ktests, "-t", "frezze")
    check("no test is called 'frezze'; did you mean '" in done.stderr and "freeze" in done.stderr,
          "a part of a name is told", done)
    for wrong, right in (("scheduler(isntead)", "scheduler(instead)"),
                         ("topology(lcls=2)", "topology(llcs=2)"),
                         ("test(=trivail)", "test(=trivial)"),
                         ("file(cgrup.c)", "file(cgroup.c)")):
        chosen, done = names(ktests, "-E", f"{wrong} | test(=environment)")
        check(chosen == ["environment"] and f"-E: no test matches {wrong}; did you mean {right}?\n"
              in done.stderr, f"-E {wrong}", done)
    chosen, done = names(ktests, "-E", "test(=environment) | tag(wombat) | topology(llcs=47)"
                                       " | tag(slw*) | tag(/slwo/) | kernel(6.61)")
    check("did you mean" not in done.stderr, "what is like nothing else, and patterns, are not",
          done)
    everything, done = names(ktests)
    check(done.stderr == "", "a list of all tests says nothing else", done)
    some, _ = names(ktests, "-E", "scheduler(*)")
    others, _ = names(ktests, "-E", "!scheduler(*)")
    check(some and others and sorted(some + others) == sorted(everything),
          "a filter and its negation are all tests")


def others(ktests, directory):
    skips = directory / "known"
    skips.write_text("# comment\ntriv*  # fails on Mondays\n")
    chosen, done = names(ktests, "--exact", "trivial", "environment", "--skip-file", str(skips),
                         "-v")
    check(chosen == ["environment"]
          and "left out: trivial by --skip-file: fails on Mondays\n" in done.stderr,
          "--skip-file leaves out, with the reason", done)
    done = run(ktests, "--list", "--skip-file", "/nonexistent/file")
    check(done.returncode == 2 and "/nonexistent/file" in done.stderr,
          "a --skip-file that cannot be read", done)
    for options in (("--run-ignored", "only"), ("--ignored",)):
        chosen, done = names(ktests, *options)
        check(chosen == ["disabled"], f"{' '.join(options)} chooses the disabled tests", done)
    for choice, status, text in (("fail", 4, "no test"), ("warn", 0, "warning: no test"),
                                 ("pass", 0, "")):
        done = run(ktests, "-t", "no_such_test", "--no-tests", choice)
        check(done.returncode == status and done.stderr.startswith(text)
              and bool(done.stderr) == bool(text), f"--no-tests {choice}", done)


def project(ktests, directory):
    (directory / ".git").mkdir()
    (directory / "sub").mkdir()
    (directory / "known").write_text("trivial\n")
    file = directory / "ktests.json"
    file.write_text('{"filterset": "test(=trivial) | test(=environment)", "skip-file": "known",'
                    ' "profiles": {"all": {"skip-file": []}}}')
    chosen, done = names(ktests, "-v", cwd=directory / "sub")
    check(chosen == ["environment"] and f"options of {file}\n" in done.stderr,
          "the project file chooses, from a directory below it too", done)
    chosen, done = names(ktests, "--profile", "all", cwd=directory)
    check(chosen == ["environment", "trivial"], "a profile replaces options of the file", done)
    chosen, done = names(ktests, "-E", "test(=trivial) | test(=disabled)", cwd=directory)
    check(chosen == ["disabled"], "the command line replaces options of the file", done)
    chosen, done = names(ktests, "--config", "none", cwd=directory)
    check(len(chosen) > 100, "--config none", done)
    chosen, done = names(ktests, "--config", str(file))
    check(chosen == ["environment"], "--config FILE", done)
    file.write_text('{"retires": 2}')
    done = run(ktests, "--list", cwd=directory)
    check(done.returncode == 2
          and f"{file}: unknown option 'retires'; did you mean 'retries'?" in done.stderr,
          "an unknown option of the file is an error", done)


def cpu_s(*command):
    """The CPU time that a command takes when nothing disturbs it, and its last run."""
    least = None
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run(*command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        least = min(spent, least or spent)
    return least, done


def many(program):
    """2,000 tests cost no more than starting a program with its libraries does."""
    for options, n in (((), 2000), (("-E", "test(/^many_0+7/) | tag(#n1*) & !test(~12)"), None),
                       (("--skip", "many_1", "-E", "topology(cpus=1)"), 1000)):
        seconds, done = cpu_s(program, "--list", "--format", "names", *options)
        listed = len(done.stdout.split())
        check(0 < listed < 2000 if n is None else listed == n,
              f"{' '.join(options) or 'no filter'} chooses {listed} of 2,000", done)
        check(seconds <= LIST_CPU_S, f"in {seconds * 1000:.0f} ms of CPU time")
    done = run(program, "--list", "-E", "tag(mnay)")
    check(done.returncode == 4 and "no test matches tag(mnay); did you mean tag(many)?\n"
          in done.stderr, "a tag of no test is told", done)


def main():
    ktests, program = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as directory:
        filters(ktests)
        others(ktests, pathlib.Path(directory))
        project(ktests, pathlib.Path(directory).resolve())
    many(program)


if __name__ == "__main__":
    main()
