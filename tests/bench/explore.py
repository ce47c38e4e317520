#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to find a race: one line of JSON for each planted fault and policy.

usage: explore.py [--policy POLICY]... [--starts N] [--seeds N] [--limit DURATION] SAMPLE [FAULT...]
       explore.py --repeat N [--policy POLICY]... SAMPLE [FAULT...]

SAMPLE is tests/samples/racy.c. Each fault is looked for from several seeds on, one run at a time,
until it is found, for at most so many seeds and so long. The value is the CPU time of the host that
finding it once takes: that of all searches, divided by how many have found it. null: none has.

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
POLICIES = ("random", "pct", "conflict")


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def search(arguments, fault, policy, start):
    """(the fault was found, number of seeds, CPU seconds)"""
    before = cpu_seconds()
    done = subprocess.run([arguments.sample, "--exact", "-t", fault, "--policy", policy, "--seed",
                           str(start), "--explore", str(arguments.seeds), "-j", "1",
                           "--global-timeout", arguments.limit, "--status-level", "none"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    counts = re.search(r"\] (\d+) run: (\d+) passed, (\d+) failed", done.stdout)
    if not counts:
        sys.exit(f"{fault} with {policy}: exit status {done.returncode}\n{done.stdout}")
    runs, passed, failed = map(int, counts.groups())
    return failed > 0, passed + failed, cpu_seconds() - before


def measure(arguments, fault, policy):
    searches = [search(arguments, fault, policy, 1000 * i + 1) for i in range(arguments.starts)]
    found = sum(hit for hit, _, _ in searches)
    cpu = sum(seconds for _, _, seconds in searches)
    yield {
        "figure": f"explore_{fault}_{policy}",
        "value": round(cpu / found, 1) if found else None,
        "what": f"CPU seconds until {fault} is found with --policy {policy}",
        "found": found,
        "searches": len(searches),
        "seeds": [seeds if hit else f"not in {seeds}" for hit, seeds, _ in searches],
        "cpu_seconds": [round(seconds, 1) for _, _, seconds in searches],
    }


def run_into(directory, arguments, fault, policy, *options):
    """[(verdict, seed, everything that the run has left)] of an exploration or a stress run"""
    subprocess.run([arguments.sample, "--exact", "-t", fault, "--policy", policy, "-o", directory,
                    "--max-fail", "all", *options], stdout=subprocess.DEVNULL, check=False)
    runs = []
    for path in pathlib.Path(directory).glob("*.json"):
        report = json.loads(path.read_text())
        attempt = report["attempts"][-1]
        left = [json.dumps(attempt["result"], sort_keys=True)]
        left += [other.suffix + other.read_text(errors="replace")
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
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--limit", default="120s")
    parser.add_argument("--repeat", type=int)
    parser.add_argument("sample", type=os.path.realpath)
    parser.add_argument("fault", nargs="*", default=FAULTS)
    arguments = parser.parse_args()
    # With that many attempts, the template is made for exactly this binary.
    subprocess.run([arguments.sample, "--exact", "-t", *arguments.fault[:1], "--stress-count",
                    "20", "--status-level", "none"], check=False, stdout=subprocess.DEVNULL)
    for fault in arguments.fault:
        for policy in arguments.policy or POLICIES:
            figures = repeat if arguments.repeat else measure
            for line in figures(arguments, fault, policy):
                print(json.dumps(line), flush=True)


main()
