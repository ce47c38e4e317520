#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ktests verifier and ktests load: their output for an accepted and a refused scheduler, and for an
object that is not a scheduler.

usage: verifier.py KTESTS SAMPLE_DIR
"""

import pathlib
import re
import subprocess
import sys


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check(condition, what, text):
    print(what)
    if not condition:
        sys.exit(f"failed: {what}\n{text}")


def main():
    ktests, samples = sys.argv[1], pathlib.Path(sys.argv[2])
    status, text = run(ktests, "verifier", "fifo")
    insns = dict(re.findall(r"^  (fifo_\w+) +(\d+)", text, re.M))
    check(status == 0 and len(insns) == 5 and all(int(n) > 0 for n in insns.values()),
          "an accepted scheduler has its instructions counted, program by program", text)

    status, text = run(ktests, "verifier", str(samples / "refused.bpf.o"))
    check(status == 100 and re.search("unbounded memory access|outside object bounds", text) and
          "the verifier refuses it" in text,
          "a refused one comes with the end of the verifier's log", text)

    status, text = run(ktests, "verifier", "-k", "6.16", str(samples / "refused.bpf.o"))
    check(status == 100 and "unbounded memory access" in text and "not found in kernel" not in text,
          "callbacks that an older kernel lacks are not worth a line each", text)

    status, text = run(ktests, "verifier", str(samples / "no_ops.bpf.o"))
    check(status == 99 and "it is not a scheduler" in text,
          "what is not a scheduler is told before anything boots", text)

    status, text = run(ktests, "verifier", "no_such_scheduler")
    check(status == 2 and "is neither a scheduler of this binary nor a file" in text,
          "so is a name that nothing has", text)

    status, text = run(ktests, "load", str(samples / "refused.bpf.o"))
    check(status == 1 and ("no sched_ext" in text or "cannot load it" in text),
          "load runs on the host too", text)

    status, text = run(ktests, "load")
    check(status == 2 and "an object file must follow" in text, "load wants an object", text)

    status, text = run(ktests, "-k", "7", "-k", "7", "-t", "trivial")
    check(status == 99 and "are the same" in text, "a kernel is not given twice", text)

    status, text = run(ktests, "shell", "-k", "7", "-k", "6", "--exec", "true")
    check(status == 2 and "one kernel" in text, "a shell has one", text)


main()
