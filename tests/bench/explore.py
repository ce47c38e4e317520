#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to find a race: one line of JSON for each planted fault and policy.

usage: explore.py [--policy POLICY]... [--seed S] [--seeds N] [--limit DURATION] [-j JOBS]
                  SAMPLE [FAULT...]
       explore.py --repeat N [--policy POLICY]... SAMPLE [FAULT...]

SAMPLE is tests/samples/racy.c. Each of its faults is looked for with N seeds, for DURATION at most,
JOBS runs (default 1) at a time. The value is the CPU time of the host that finding it once takes:
that of all runs, divided by the number of those that have found it; null when none has. "after" is
how many seeds each find took.

With --repeat, a seed that finds the fault and one that does not are run N times each instead. The
value is the number of different outcomes: results, logs and dumps are compared byte for byte.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

FAULTS = ("racy_wakeup", "racy_locks", "racy_counter", "racy_slot")
FAILURE = ".failure.json"
POLICIES = ("random", "pct", "conflict")


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(arguments, fault, policy):
    before = cpu_seconds()
    done = subprocess.run([arguments.sample, "--exact", "-t", fault, "--policy", policy, "--seed",
                           str(arguments.seed), "--explore", str(arguments.seeds), "-j",
                           arguments.jobs, "--max-fail", "all", "--global-timeout", arguments.limit,
                           "--status-level", "fail"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    cpu = cpu_seconds() - before
    counts = re.search(r"\] (\d+) run: (\d+) passed, (\d+) failed", done.stdout)
    if not counts:
        sys.exit(f"{fault} with {policy}: exit status {done.returncode}\n{done.stdout}")
    found = sorted(int(run) for run in re.findall(r"FAIL \[.*\(run (\d+) of", done.stdout))
    yield {
        "figure": f"explore_{fault}_{policy}",
        "value": round(cpu / len(found), 1) if found else None,
        "what": f"CPU seconds until {fault} is found with --policy {policy}",
        "found": len(found),
        "seeds": int(counts[2]) + int(counts[3]),
        "cpu_seconds": round(cpu, 1),
        "after": [run - previous for previous, run in zip([0, *found], found)],
    }


def without_iteration(path):
    """The text of a file of a run, or of a directory of snapshots. That of a failure says which run
    of the test it was.
    """
    if path.is_dir():
        return "\n".join(f"{file.name} {file.read_text()}" for file in sorted(path.iterdir()))
    text = path.read_text(errors="replace")
    if path.name.endswith(FAILURE):
        text = json.dumps({**json.loads(text), "iteration": None})
    return text


def run_into(directory, arguments, fault, policy, *options):
    """[(verdict, seed, everything that the run has left)] of an exploration or a stress run"""
    subprocess.run([arguments.sample, "--exact", "-t", fault, "--policy", policy, "-o", directory,
                    "--max-fail", "all", "-j", arguments.jobs, *options],
                   stdout=subprocess.DEVNULL, check=False)
    runs = []
    for path in pathlib.Path(directory).glob("*.json"):
        if path.name.endswith(FAILURE):
            continue
        report = json.loads(path.read_text())
        attempt = report["attempts"][-1]
        left = [json.dumps(attempt["result"], sort_keys=True)]
        left += [other.suffix + without_iteration(other)
                 for other in sorted(path.parent.glob(path.name.removesuffix("json") + "*"))
                 if other != path]
        runs.append((report["verdict"], attempt["seed"], "\n".join(left)))
    return runs


def repeat(arguments, fault, policy):
    """A line for a seed with each verdict."""
    seeds = {}
    with tempfile.TemporaryDirectory() as directory:
        for n in range(10, arguments.seeds + 1, 10):
            for verdict, seed, _ in run_into(directory, arguments, fault, policy, "--explore",
                                             "10", "--seed", str(n)):
                seeds.setdefault(verdict, seed)
            if len(seeds) == 2:
                break
    for verdict, seed in seeds.items():
        with tempfile.TemporaryDirectory() as directory:
            runs = run_into(directory, arguments, fault, policy, "--seed", seed, "--stress-count",
                            str(arguments.repeat))
        yield {
            "figure": f"repeat_{fault}_{policy}_{verdict}",
            "value": len({left for _, _, left in runs}),
            "at_most": 1,
            "what": f"different outcomes of {len(runs)} runs of {fault} with one seed",
            "seed": seed,
            "verdicts": collections.Counter(verdict for verdict, _, _ in runs),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", action="append", choices=POLICIES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--limit", default="300s")
    parser.add_argument("--repeat", type=int)
    parser.add_argument("-j", "--jobs", default="1")
    parser.add_argument("sample", type=os.path.realpath)
    parser.add_argument("fault", nargs="*", default=FAULTS)
    arguments = parser.parse_args()
    for fault in arguments.fault:
        for policy in arguments.policy or POLICIES:
            figures = repeat if arguments.repeat else measure
            for line in figures(arguments, fault, policy):
                print(json.dumps(line), flush=True)


main()
