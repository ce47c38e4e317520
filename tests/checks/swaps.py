#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A hundred replacements of schedulers under load, with the exit watch armed: no hit at memory of a
scheduler that is gone, no error missed. Takes minutes under TCG, so no suite runs it.

usage: swaps.py SWAPS_PROGRAM [OPTION_OF_KTESTS...]
"""

import json
import pathlib
import subprocess
import sys
import tempfile

N_SWAPS = 100


def main(program, *options):
    with tempfile.TemporaryDirectory() as results:
        run = subprocess.run([program, "-t", "freeze_swaps", "-o", results, *options],
                             stdin=subprocess.DEVNULL, check=False)
        if run.returncode:
            return f"exit status {run.returncode}"
        report = json.loads((pathlib.Path(results) / "freeze_swaps.json").read_text())
    freeze = report["attempts"][-1]["freeze"]
    reasons = [hit["reason"] for hit in freeze["hits"]]
    counts = {reason: reasons.count(reason) for reason in reasons}
    print(f"{len(freeze['schedulers'])} schedulers, hits {counts}, stale {freeze['stale']}")
    if freeze["stale"] or "error" in freeze:
        return f"stale hits, or an error: {freeze['stale']}, {freeze.get('error')}"
    if len(freeze["schedulers"]) != N_SWAPS + 1:
        return f"{len(freeze['schedulers'])} schedulers were watched, not {N_SWAPS + 1}"
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
