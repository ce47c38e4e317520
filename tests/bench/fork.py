#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a test costs: one line of JSON for each figure, with its limit.

usage: fork.py [--quick] KTESTS SAMPLE [FIGURE...]

The figures are meaningful on a quiet host only. --quick measures with few repetitions, and
leaves out the figures that take minutes.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def run(*command, **kwargs):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          **kwargs)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit status {done.returncode}\n"
                 f"{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def first_instructions(output):
    """[(seconds in the pool, milliseconds from the request to the first instruction)]"""
    found = re.findall(r"ready ([\d.]+) s.*first instruction after ([\d.]+) s", output)
    return [(float(ready), float(after) * 1e3) for ready, after in found]


class Bench:
    def __init__(self, ktests, sample, quick):
        self.ktests, self.sample, self.quick = ktests, sample, quick
        self.freezes = None

    def times(self, n):
        return 3 if self.quick else n

    def exec_to_verdict_ms(self):
        """exec of the runner to its end, for one trivial test with a warm template: median"""
        took = []
        for _ in range(self.times(30)):
            began = time.monotonic()
            run(self.ktests, "--exact", "trivial")
            took.append((time.monotonic() - began) * 1e3)
        return statistics.median(took), 150

    def first_instruction_ms(self):
        """from the request for a machine to the first instruction of the test, no pool: median"""
        output = "".join(run(self.ktests, "-v", "--exact", "trivial", "--pool", "0")
                         for _ in range(self.times(30)))
        return statistics.median(after for _, after in first_instructions(output)), 80

    def first_instruction_pool_ms(self):
        """the same for machines that were waiting in the pool: median"""
        waited = []
        for _ in range(self.times(20)):
            if len(waited) >= self.times(20):
                break
            # In virtual time a machine needs one CPU, and none waits for a second one.
            output = run(self.ktests, "-v", "-j", "2", "--exact", "leftover_children",
                         "topology_default", "--time", "real",
                         "--stress-count", "8")
            waited += [after for ready, after in first_instructions(output) if ready > 0.03]
        return statistics.median(waited) if waited else None, 15

    def trivial_200_s(self):
        """200 trivial tests, each in a machine of its own"""
        n = 20 if self.quick else 200
        began = time.monotonic()
        run(self.ktests, "--exact", "trivial", "--stress-count", str(n))
        return (time.monotonic() - began) * 200 / n, 20

    def private_memory_mib(self):
        """private memory of a machine whose test runs (smaps_rollup of QEMU): largest"""
        largest = 0
        for _ in range(self.times(5)):
            process = subprocess.Popen([self.sample, "--exact", "hangs", "--timeout", "1s",
                                        "--no-capture"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for line in process.stderr:
                if "waiting for what never comes" in line:
                    break
            session = children(process.pid)[0]
            rollup = pathlib.Path(f"/proc/{children(session)[0]}/smaps_rollup").read_text()
            private = sum(int(kib)
                          for kib in re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.M)) / 1024
            largest = max(largest, private)
            process.communicate()
        return largest, 60

    def edit_to_verdict_s(self):
        """one test is edited, then ./dev run -t it, in a copy of the tree: median"""
        took = []
        with tempfile.TemporaryDirectory() as directory:
            for name in run("git", "ls-files", "--cached", "--others", "--exclude-standard",
                            cwd=ROOT).splitlines():
                target = pathlib.Path(directory, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, target)
            run("./dev", "run", "-t", "trivial", cwd=directory)
            source = pathlib.Path(directory, "tests/suites/guest.c")
            text = source.read_text()
            for i in range(self.times(9)):
                source.write_text(f"{text}\nKTEST(edited, .summary = \"edit {i}\", ONE_CPU, "
                                  ".run = own_children_run);\n")
                began = time.monotonic()
                run("./dev", "run", "-t", "edited", cwd=directory)
                took.append(time.monotonic() - began)
        return statistics.median(took), 1.5

    def failures_in_1000(self):
        """failures of one trivial test in 1000 runs, without retries"""
        n = 10 if self.quick else 1000
        output = run(self.ktests, "--exact", "trivial", "--stress-count", str(n), "--status-level",
                     "fail")
        return n - int(re.search(r"(\d+) passed", output)[1]), 0

    def scheduler_entries(self, test):
        """The schedulers of a test as its result files list them, for each run."""
        for _ in range(self.times(15)):
            with tempfile.TemporaryDirectory() as directory:
                run(self.ktests, "--exact", test, "--output-dir", directory)
                result = json.loads(pathlib.Path(directory, f"{test}.json").read_text())
            yield result["attempts"][0]["result"]["scenario"]["schedulers"]

    def scheduler_attach_ms(self):
        """from the request for a scheduler (fifo) until it is enabled, in a fresh fork: median"""
        return statistics.median((entries[0]["enabled_ns"] - entries[0]["asked_ns"]) / 1e6
                                 for entries in self.scheduler_entries("scx_variables")), None

    def scheduler_replace_ms(self):
        """from the request to replace a scheduler (fifo) until the other one is enabled, nothing
        else running: median"""
        return statistics.median((entries[1]["enabled_ns"] - entries[1]["asked_ns"]) / 1e6
                                 for entries in self.scheduler_entries("scx_restart")), None

    def freeze_ms(self, part):
        """Milliseconds of a part of each capture of eight vCPUs in real time: median."""
        if not self.freezes:
            with tempfile.TemporaryDirectory() as directory:
                run(self.ktests, "--exact", "freeze_hundred_times", "--output-dir", directory)
                result = json.loads(
                    pathlib.Path(directory, "freeze_hundred_times.json").read_text())
            self.freezes = result["attempts"][0]["freeze"]["captures_ns"]
        return statistics.median(times[part] for times in self.freezes) / 1e6

    def freeze_rendezvous_ms(self):
        """from the order to stop until eight vCPUs stand still: median"""
        return self.freeze_ms(0), 1

    def freeze_capture_ms(self):
        """a snapshot of the machine while they do: median"""
        return self.freeze_ms(1), 20

    def freeze_thaw_ms(self):
        """from the order to go on until they may run: median"""
        return self.freeze_ms(2), 1

    def inspect_us(self, figure):
        """Microseconds of bench-inspect on the RAM of the newest template."""
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
        # Not those that another run is making.
        ram = max((path for path in cache.glob("ktest/templates/*/ram")
                   if ".stage-" not in path.parent.name), key=lambda path: path.stat().st_mtime)
        program = pathlib.Path(self.ktests).parent.parent / "bench/bench-inspect"
        lines = map(json.loads, run(program, ram).splitlines())
        return next(line["us"] for line in lines if line["figure"] == figure)

    def inspect_cold_ms(self):
        """a guest's kernel found in its RAM, symbols and types decoded: median"""
        return self.inspect_us("inspect_cold_us") / 1e3, 100

    def inspect_cached_ms(self):
        """the same with symbols from the cache, without types: median"""
        return self.inspect_us("inspect_cached_us") / 1e3, 5

    def inspect_read_us(self):
        """a value of a task read by its path, task(1).scx.dsq_vtime: median"""
        return self.inspect_us("inspect_task_us"), 50


SLOW = ("edit_to_verdict_s",)  # left out by --quick


def children(pid):
    return [int(child) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            for child in path.read_text().split()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("ktests", type=os.path.realpath)
    parser.add_argument("sample", type=os.path.realpath)
    parser.add_argument("figures", nargs="*")
    arguments = parser.parse_args()
    bench = Bench(arguments.ktests, arguments.sample, arguments.quick)
    figures = [name for name, member in vars(Bench).items() if callable(member) and member.__doc__
               and name not in ("scheduler_entries", "inspect_us", "freeze_ms")]
    unknown = sorted(set(arguments.figures) - set(figures))
    if unknown:
        parser.error(f"there is no figure {', '.join(unknown)}; there are: {', '.join(figures)}")
    for program, test in ((bench.ktests, "trivial"), (bench.sample, "warning_is_expected")):
        # With that many attempts, the template is made for exactly this binary.
        run(program, "--exact", test, "--stress-count", "20")
    for name in arguments.figures or figures:
        if arguments.quick and name in SLOW:
            continue
        value, limit = getattr(bench, name)()
        if value is None:
            print(f"{name}: nothing to measure, as on a busy host", file=sys.stderr)
            continue
        print(json.dumps({"figure": name, "value": round(value, 2), "at_most": limit,
                          "what": " ".join(getattr(Bench, name).__doc__.split())}), flush=True)


main()
