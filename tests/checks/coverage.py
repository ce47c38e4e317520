#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every operation and every work type is used by a test of the suite that passes.

usage: coverage.py KTESTS RESULTS_DIR

RESULTS_DIR has the files that the suite has written. If it does not exist, the suite runs first.
"""

import json
import pathlib
import subprocess
import sys


def check_phases(results):
    """Each step of scx_steps names the scheduler that ran in it, and a swap is one entry."""
    path = results / "scx_steps.json"
    if not path.exists():
        return []
    scenario = json.loads(path.read_text())["attempts"][-1]["result"]["scenario"]
    tags = [step.get("scheduler") for step in scenario["steps"]]
    swaps = [(entry["name"], entry.get("replaces"), entry["step"])
             for entry in scenario["schedulers"]]
    faults = []
    if tags != ["fifo", "vtime", "vtime", None]:
        faults.append(f"scx_steps: its steps are tagged {tags}")
    if swaps != [("fifo", None, -1), ("vtime", "fifo", 1), ("vtime", "vtime", 2)]:
        faults.append(f"scx_steps: its swaps are {swaps}")
    return faults


def main():
    ktests, results = sys.argv[1], pathlib.Path(sys.argv[2])
    if not list(results.glob("*.json")):
        subprocess.run([ktests, "--status-level", "fail", "--output-dir", results], timeout=1200)
    listed = json.loads(subprocess.run([ktests, "--list", "--format", "json"], capture_output=True,
                                       check=True,
                                       text=True).stdout)
    used, worked, n = set(), set(), 0
    for path in results.glob("*.json"):
        result = json.loads(path.read_text())
        if result["verdict"] != "pass":
            continue
        scenario = result["attempts"][-1]["result"].get("scenario", {})
        used |= set(scenario.get("operations", []))
        worked |= {worker["work"] for worker in scenario.get("workers", []) if worker["iterations"]}
        n += 1
    missing = sorted(set(listed["operations"]) - used) + sorted(set(listed["work_types"]) - worked)
    for name in missing:
        print(f"no test that passes uses {name}")
    faults = check_phases(results)
    print("\n".join(faults))
    print(f"{len(used)} operations and {len(worked)} work types in {n} tests")
    return bool(missing or faults) or n < 30  # finding few results is a fault of this check


sys.exit(main())
