#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""However a run ends, a second later there is no process, no file outside the cache and no shared
memory of it. The exit status says how it ended.

usage: death.py KTESTS FAILING_SAMPLE
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LIMIT_S = 1.0
PLACES = ("/tmp", "/dev/shm", "/run", "/var/tmp")
ALONE = "KTEST_DEATH_ALONE"


def be_alone(*programs):
    """Others write to these places, too: where the host allows it, the runs have their own."""
    if not os.environ.get(ALONE):
        if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"]).returncode:
            return
        os.environ[ALONE] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, *sys.argv])
    used = (*programs, str(pathlib.Path.home()), os.environ.get("XDG_CACHE_HOME", ""))
    for place in PLACES:
        if not any(path.startswith(place + "/") for path in used):
            subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)


def descendants(pid):
    """All descendants of the process @pid, as {pid: command}."""
    found = {}
    for child in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = child.read_text().split()
        except OSError:
            continue
        for other in pids:
            try:
                found[int(other)] = pathlib.Path(f"/proc/{other}/comm").read_text().strip()
            except OSError:
                continue
            found.update(descendants(other))
    return found


def alive(pid, command):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        comm = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return False
    return comm == command and stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def files():
    """Files and shared memory that a run could leave behind outside its cache."""
    return {str(p) for place in PLACES for p in pathlib.Path(place).glob("*")}


def end_by(command, sig, when, workdir):
    """Starts a run, and sends @sig when its output contains @when, or at once if that is None."""
    before = files()
    run = subprocess.Popen([*command, "--no-capture", "-v"], cwd=workdir,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, start_new_session=True)
    deadline = time.monotonic() + 600
    while when and when not in run.stdout.readline():
        if time.monotonic() > deadline:
            return f"{when} never appeared"
    tree = descendants(run.pid)
    run.send_signal(sig)
    sent = time.monotonic()
    status = run.wait(timeout=20)
    while any(alive(pid, command) for pid, command in tree.items()):
        if time.monotonic() - sent > LIMIT_S:
            left = {p: c for p, c in tree.items() if alive(p, c)}
            return f"{sig.name}: still there after {LIMIT_S} s: {left}"
        time.sleep(0.01)
    took = time.monotonic() - sent
    if took > LIMIT_S:
        return f"{sig.name}: took {took:.2f} s"
    expected = -sig if sig == signal.SIGKILL else 128 + sig
    if when and status != expected:
        return f"{sig.name}: exit status {status}, not {expected}"
    left = files() - before
    if left:
        return f"{sig.name}: files left: {sorted(left)}"
    if os.listdir(workdir):
        return f"{sig.name}: files left in the working directory: {os.listdir(workdir)}"
    if when and not tree:
        return "no process was seen: this check has checked nothing"
    return None


def main():
    ktests, sample = (os.path.abspath(path) for path in sys.argv[1:])
    be_alone(ktests, sample)
    boot = ([ktests, "--exact", "-t", "cgroup_freeze", "--boot", "cold"], b"Memory: ")
    test = ([sample, "--exact", "-t", "hangs", "--timeout", "30s"], b"waiting for what never comes")
    cases = [(signal.SIGKILL, *boot), (signal.SIGINT, *boot), (signal.SIGTERM, *test),
             (signal.SIGKILL, *test), (signal.SIGHUP, *test), (signal.SIGKILL, test[0], None)]
    faults = []
    with tempfile.TemporaryDirectory() as workdir:
        for sig, command, when in cases:
            fault = end_by(command, sig, when, workdir)
            print(f"{sig.name} at {when}: {fault or 'nothing left'}", flush=True)
            faults += [fault] if fault else []
    return bool(faults)


sys.exit(main())
