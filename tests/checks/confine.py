#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the processes of a test have given up while its guest runs: the session and QEMU.

usage: confine.py KTESTS FAILING_SAMPLE
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

RUNS = b"waiting for what never comes"
NO_CAPABILITIES = "0" * 16


def descendants(pid):
    for child in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for other in child.read_text().split():
            yield int(other)
            yield from descendants(other)


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines)


def network(pid):
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except PermissionError:
        return "not to be looked at"


def faults_of(pid, lines, parts):
    faults = []
    if lines["NoNewPrivs"] != "1":
        faults += ["it can gain privileges"]
    if lines["CapEff"] != NO_CAPABILITIES or lines["CapPrm"] != NO_CAPABILITIES:
        faults += [f"it has capabilities: {lines['CapPrm']}"]
    if "calls" in parts and lines["Seccomp"] != "2":
        faults += ["no filter of system calls"]
    if "network" in parts and network(pid) == network("self"):
        faults += ["the network of the host"]
    return faults


def qemu_faults(pid, lines):
    """A QEMU that can refuse itself system calls does, beyond the filter that it has inherited."""
    if not lines["Name"].startswith("qemu"):
        return []
    command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    program = os.readlink(f"/proc/{pid}/exe")
    can = subprocess.run([program, "-sandbox", "on,spawn=deny", "-version"],
                         stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if can.returncode:
        print("this QEMU has no -sandbox", flush=True)
        return []
    if b"-sandbox" not in command:
        return ["it has no -sandbox"]
    return ["-sandbox adds no filter"] if int(lines.get("Seccomp_filters", 2)) < 2 else []


def descriptor_faults(pid, reports):
    """Reports, the record and what the runner has inherited are not for a machine's processes."""
    links = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    return [f"it holds {link}" for link in sorted(links)
            if link.startswith(reports) or "/records/" in link]


def held_parts(ktests):
    """The parts that the host allows, as `ktests doctor` tells them."""
    told = subprocess.run([ktests, "doctor"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False).stdout
    line = re.search(r"confine +a session gives up: ([^;\n]+)", told)
    if not line:
        sys.exit(f"failed: doctor does not tell what holds\n{told}")
    return line[1].split(", ")


def main(ktests, sample):
    parts = held_parts(ktests)
    print(f"this host allows: {', '.join(parts)}", flush=True)
    with tempfile.TemporaryDirectory() as reports:
        check(sample, parts, reports)


def check(sample, parts, reports):
    with open(f"{reports}/inherited", "w", encoding="utf-8") as inherited:
        run = subprocess.Popen([sample, "--exact", "-t", "hangs", "--timeout", "60s", "-v",
                                "--no-capture", "-o", f"{reports}/out", "--junit",
                                f"{reports}/junit.xml", "--trace", f"{reports}/trace"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, pass_fds=[inherited.fileno()])
    for line in run.stdout:
        if RUNS in line:
            break
    else:
        sys.exit("failed: the test has not begun")
    seen, faults = [], []
    for pid in descendants(run.pid):
        lines = status(pid)
        seen += [lines["Name"]]
        faults += [f"{lines['Name']}: {fault}" for fault in
                   faults_of(pid, lines, parts) + qemu_faults(pid, lines) +
                   descriptor_faults(pid, reports)]
    run.terminate()
    run.wait(timeout=60)
    print(f"seen: {', '.join(seen)}", flush=True)
    if not seen:
        sys.exit("failed: no process was seen")
    if faults:
        sys.exit("failed: " + "; ".join(faults))
    print("ok: every process of the test is confined")


main(*(os.path.abspath(path) for path in sys.argv[1:]))
