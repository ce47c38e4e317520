#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A run that is stopped, by ^Z or by SIGSTOP, and the runs beside it.

usage: suspend.py KTESTS SAMPLE
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import own_cache

TIMEOUT_S = 600
STOPPED_S = 4  # longer than the sample's limit of 3 s
ONE_CPU = ("-j", "1")


def check(condition, what, text=""):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")
    print(f"ok: {what}", flush=True)


def wait_for(what, condition, limit_s=30):
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"failed: {what} never came")
        time.sleep(0.005)


def stat(pid):
    """The fields of /proc/PID/stat from the state on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def descendants(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(child)]
    return found


def machine(pid):
    """The process that is the machine of the run @pid."""
    for child in descendants(pid):
        if "qemu" in pathlib.Path(f"/proc/{child}/comm").read_text():
            return child
    return None


def cpu_ticks(pid):
    return sum(int(field) for field in stat(pid)[11:13])


class Host:
    """A host of its own, as far as the budget is concerned: a cache that holds the kernels only."""

    def __init__(self, path):
        self.path = path
        self.env = {**os.environ, **own_cache.make(path)}

    def start(self, *command):
        return subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *command):
        return subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=TIMEOUT_S)

    def spinning(self, sample, *options):
        """A run whose test is under way, and keeps a vCPU busy."""
        run = self.start(sample, "--exact", "spins", "--no-capture", *ONE_CPU, *options)
        for line in run.stderr:
            if "spinning" in line:
                return run
        sys.exit(f"failed: the test never began\n{run.stdout.read()}")


def stop(run, sig=signal.SIGTSTP):
    run.send_signal(sig)
    wait_for("the stop of the run", lambda: stat(run.pid)[0] == "T")


def end(run):
    out, err = run.communicate(timeout=TIMEOUT_S)
    return out + err


def by_terminal(host, ktests, sample):
    """^Z: the machine stands still, others use the CPU, and no clock has counted the stop."""
    began_at = time.monotonic()
    run = host.spinning(sample)
    stop(run)
    stopped_at = time.monotonic()
    qemu = machine(run.pid)
    before = cpu_ticks(qemu)
    other = host.run(ktests, "--exact", "trivial", *ONE_CPU)
    check(other.returncode == 0 and "1 passed" in other.stdout and "waiting" not in other.stderr,
          "a run that is stopped lends its CPU", other.stdout + other.stderr)
    time.sleep(max(0, STOPPED_S - (time.monotonic() - stopped_at)))
    check(cpu_ticks(qemu) - before <= 5, "its machine does nothing meanwhile")
    run.send_signal(signal.SIGCONT)
    text = end(run)
    took = float(re.search(r"PASS \[ *([\d.]+)s\]", text)[1]) if "PASS" in text else 0
    check(run.returncode == 0 and 2 <= took < 2 + STOPPED_S / 2,
          f"and goes on: neither its limit nor its time counts the stop ({took} s)", text)
    counted = float(re.search(r"Summary \[ *([\d.]+)s\]", text)[1])
    check(counted < time.monotonic() - began_at - STOPPED_S / 2, "nor does the time of the run",
          text)


def slow_to_pause(host, sample):
    """A session that a busy host keeps waiting is still asked to pause, and not just stopped."""
    run = host.spinning(sample)
    session = next(pid for pid in descendants(run.pid) if pid != machine(run.pid))
    os.kill(session, signal.SIGSTOP)
    run.send_signal(signal.SIGTSTP)
    time.sleep(1.5)  # time is the event: a runner without patience has stopped it by now
    check(stat(run.pid)[0] != "T", "the runner waits for its session to pause")
    os.kill(session, signal.SIGCONT)
    wait_for("the stop of the run", lambda: stat(run.pid)[0] == "T")
    time.sleep(STOPPED_S)
    run.send_signal(signal.SIGCONT)
    text = end(run)
    check(run.returncode == 0, "and the session's limit does not count the stop", text)


def returns_to_a_busy_host(host, sample):
    """A continued run waits for its CPU, and names the run that has it."""
    run = host.spinning(sample, "--global-timeout", "20s")
    stop(run)
    before = cpu_ticks(machine(run.pid))
    other = host.spinning(sample)
    run.send_signal(signal.SIGCONT)
    said = run.stderr.readline()
    check(f"another run uses: process {other.pid} (sample-failing)\n" in said,
          "a continued run waits for its CPU, and says for whom", said)
    check(cpu_ticks(machine(run.pid)) - before <= 5, "its machine waits too")
    text = end(other)
    check(other.returncode == 0, "the other ends as if alone", text)
    text = end(run)
    check(run.returncode == 0, "then it goes on", text)


def not_caught(host, ktests, sample):
    """SIGSTOP cannot be caught: the CPU stays the run's, and who waits for it is told whose."""
    run = host.spinning(sample)
    stop(run, signal.SIGSTOP)
    other = host.start(ktests, "--exact", "trivial", *ONE_CPU)
    said = other.stderr.readline()
    check(f"another run uses: process {run.pid} (sample-failing), which is stopped\n" in said,
          "a run that waits for a stopped one says so", said)
    run.send_signal(signal.SIGCONT)
    text = end(run)
    check(run.returncode == 0, "the stopped one has missed nothing", text)
    text = end(other)
    check(other.returncode == 0, "and the other one goes on", text)


def while_a_template_is_made(host, ktests):
    run = host.start(ktests, "--exact", "trivial", *ONE_CPU)
    wait_for("a template being built",
             lambda: list((host.path / "ktest/templates").glob("*/ram")))
    stop(run)
    check(not machine(run.pid), "a template that is being made is given up")
    run.send_signal(signal.SIGCONT)
    text = end(run)
    check(run.returncode == 0 and "warning" not in text, "and made again", text)


def ended(host, sample):
    for sig, status in ((signal.SIGTERM, 99), (signal.SIGKILL, -signal.SIGKILL)):
        run = host.spinning(sample)
        stop(run)
        jobs = descendants(run.pid)
        run.send_signal(sig)
        run.send_signal(signal.SIGCONT)
        text = end(run)
        check(run.returncode == status or sig == signal.SIGTERM and run.returncode > 0,
              f"{sig.name} ends a stopped run", text)
        wait_for("the end of all processes",
                 lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in jobs), 5)


def starved(host, ktests):
    """In virtual time, limits count CPU time: a machine that gets none is not late."""
    host.run(ktests, "--exact", "trivial")  # the next QEMU is a machine, and not a question to it
    # A limit is more than what the machine needs of CPU time, and less than the time it gets none.
    for starved_s, options in ((31, ("--boot", "cold", "--boot-timeout", "30s")),
                               (6, ("--timeout", "5s"))):
        run = host.start(ktests, "--exact", "trivial", *ONE_CPU, *options)
        wait_for("the machine", lambda: machine(run.pid) or run.poll() is not None)
        qemu = machine(run.pid)
        os.kill(qemu, signal.SIGSTOP)
        # Time is the event: the limit has to pass.
        time.sleep(starved_s)
        if run.poll() is None:
            os.kill(qemu, signal.SIGCONT)
        text = end(run)
        check(run.returncode == 0, f"a machine that gets no CPU is not late ({options[0]})", text)


def main():
    ktests, sample = (os.path.realpath(arg) for arg in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        host = Host(pathlib.Path(name) / "cache")
        while_a_template_is_made(host, ktests)
        by_terminal(host, ktests, sample)
        slow_to_pause(host, sample)
        returns_to_a_busy_host(host, sample)
        not_caught(host, ktests, sample)
        ended(host, sample)
        starved(host, ktests)


main()
