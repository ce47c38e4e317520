#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The effects of the runner's options, as a user sees them.

usage: runner.py KTESTS SAMPLE
"""

import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile

import own_cache

TIMEOUT_S = 600


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


def run(*command, env=None, n_files=None):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))

    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})),
                          preexec_fn=limit_files if n_files else None)


def on_terminal(*command):
    """The text that a command writes to a terminal, as standard output and error."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.environ.pop("NO_COLOR", None)
        os.execv(command[0], command)
    text = b""
    while select.select([fd], [], [], TIMEOUT_S)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.waitpid(pid, 0)
    return text.decode(errors="replace")


def output(ktests, sample):
    done = run(ktests, "--exact", "trivial", "environment", "--stress-count", "2", "-j", "2")
    check(done.returncode == 0 and done.stdout.count("PASS") == 4
          and "trivial (run 2 of 2)" in done.stdout, "--stress-count repeats each test", done)
    check(re.match(r"kernel \S+, accel: (kvm|tcg \(.*\), virtual time), \d+ CPUs, "
                   r"seed \d+(, turns \w+)?, 2 tests x 2 \(\d+ filtered out\)\n", done.stdout),
          "the first line says kernel, accelerator, CPUs and tests", done)
    check("\033" not in done.stdout + done.stderr, "no escape sequences without a terminal", done)

    done = run(sample, "--exact", "run_fails", "post_vm_fails", "skips", "-j", "1", "--max-fail",
               "1",
               "--color", "always", "--status-level", "fail")
    check(done.returncode == 100 and "1 run: 0 passed, 1 failed" in done.stdout,
          "--max-fail stops", done)
    check("\033[1;31m        FAIL\033[0m" in done.stdout, "--color always", done)

    done = run(ktests, "--exact", "trivial", "environment", "--status-level", "none")
    check(done.returncode == 0 and "PASS" not in done.stdout and "2 passed" in done.stdout,
          "--status-level none", done)

    done = run(sample, "--exact", "run_fails", "--no-capture", "-v", "--boot", "cold")
    check("about to fail\n" in done.stdout and "stdout:" not in done.stdout
          and "Linux version" in done.stderr, "--no-capture shows output as it comes", done)

    done = run(sample, "--exact", "hangs", "--timeout", "1500ms")
    check(done.returncode == 100 and "no result within 1.5 s" in done.stdout,
          "--timeout is taken as it is", done)

    done = run(ktests, "disabled")
    check(done.returncode == 77 and "1 skipped" in done.stdout, "all skipped is 77", done)
    done = run(ktests, "disabled", "--stress-count", "3", "--tap")
    check(done.returncode == 77 and "1..3\n" in done.stdout and done.stdout.count("# SKIP") == 3,
          "each round of skipped tests is reported, as it was announced", done)
    for endless in (("--stress-count", "infinite"), ("--stress-duration", "500s")):
        done = run(ktests, "disabled", *endless)
        check(done.returncode == 77 and "1 skipped" in done.stdout,
              f"{' '.join(endless)} ends if all tests are skipped", done)
    skips = subprocess.Popen([ktests, "disabled", "--stress-count", "10000000", "--status-level",
                              "all"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    while "SKIP" not in skips.stdout.readline():
        pass
    skips.send_signal(signal.SIGINT)
    check("not run; interrupted" in skips.stdout.read() and skips.wait() == 128 + signal.SIGINT,
          "a signal is heard between millions of rounds")


def again(sample, directory):
    """Retries, and repeated runs."""
    junit = directory / "junit.xml"
    done = run(sample, "--exact", "flaky", "--retries", "3", "--junit", str(junit))
    check(done.returncode == 0 and "TRY 1 FAIL" in done.stdout and "TRY 2 FAIL" in done.stdout
          and "FLAKY 3/4" in done.stdout and "1 passed (1 flaky)" in done.stdout,
          "--retries, a fresh machine each", done)
    check(junit.read_text().count("<flakyFailure") == 2 and "attempt 2" in junit.read_text(),
          "JUnit has the attempts that failed", done)
    done = run(sample, "--exact", "flaky", "--flaky-result", "fail", env={"KTESTS_RETRIES": "2"})
    check(done.returncode == 100, "KTESTS_RETRIES, --flaky-result fail", done)
    done = run(sample, "--exact", "run_fails", "--retries", "1", "--junit", str(junit))
    check(done.returncode == 100 and "TRY 2 FAIL" in done.stdout
          and junit.read_text().count("<rerunFailure") == 1,
          "what fails each time has failed", done)
    done = run(sample, "--exact", "flaky")
    check(done.returncode == 100 and "TRY" not in done.stdout,
          "no retries unless they are asked for", done)
    seed = re.search(r"rerun: .* --seed (\d+)", done.stdout)
    check(seed and f"seed {seed[1]}," in done.stdout.splitlines()[0],
          "the command to rerun it has the seed", done)
    file = directory / "ktests.json"
    file.write_text('{"overrides": [{"filter": "test(=flaky)", "retries": 2},'
                    ' {"filter": "test(=hangs)", "timeout": "1500ms"}]}')
    done = run(sample, "--exact", "flaky", "run_fails", "hangs", "--config", str(file))
    check(done.returncode == 100 and "FLAKY 3/3" in done.stdout and "3 run: 1 passed" in done.stdout
          and done.stdout.count("TRY") == 2, "overrides of retries are for their tests", done)
    check("no result within 1.5 s" in done.stdout and f"--config {file}" in done.stdout,
          "overrides of timeouts too, and the command to rerun a test names the file", done)
    # These count the host's time, in which waiting for other runs is included.
    alone = own_cache.make(directory / "alone")
    run(sample, "--exact", "hangs", "warning_is_expected", "--timeout", "1500ms", env=alone)
    done = run(sample, "--exact", "hangs", "run_fails", "-j", "2", "--timeout", "120s",
               "--max-fail", "1:immediate", env=alone)
    check(done.returncode == 100 and "1 failed, 1 errors" in done.stdout
          and re.search(r"ERROR \[.*\] hangs\n +stopped by --max-fail\n", done.stdout),
          "--max-fail N:immediate ends what runs, and says so", done)
    done = run(sample, "--exact", "hangs", "run_fails", "-j", "2", "--timeout", "5s",
               "--max-fail", "1:wait", env=alone)
    check(done.returncode == 100 and "2 failed" in done.stdout and "no result within 5 s"
          in done.stdout, "--max-fail N:wait lets it end", done)
    done = run(sample, "--exact", "warning_is_expected", "--stress-duration", "5s", env=alone)
    runs = int(re.search(r"(\d+) passed", done.stdout)[1])
    check(done.returncode == 0 and runs >= 2, f"--stress-duration goes on until then ({runs} runs)",
          done)
    done = run(sample, "--exact", "hangs", "warning_is_expected", "-j", "1", "--timeout", "60s",
               "--global-timeout", "5s", env=alone)
    check(done.returncode == 99 and "stopped by --global-timeout" in done.stdout
          and "1 not run; interrupted" in done.stdout,
          "--global-timeout ends the run", done)


def results(ktests, directory):
    """Files of results, and work types that replace others."""
    for work_type, expected in ((None, "SpinWait"), ("yieldheavy", "YieldHeavy"),
                                ("PipeIo", "PipeIo"),
                                ("FutexFanOut", "SpinWait")):  # five belong together, there are two
        done = run(ktests, "--exact", "op_swappable", "-o", str(directory / "out"),
                   *(["--work-type", work_type] if work_type else []))
        check(done.returncode == 0, f"--work-type {work_type}", done)
        result = json.loads((directory / "out/op_swappable.json").read_text())
        workers = result["attempts"][-1]["result"]["scenario"]["workers"]
        check({w["work"] for w in workers if w["cgroup"] == "w"} == {expected}
              and {w["work"] for w in workers if w["cgroup"] == "own"} == {"SpinWait"}
              and result["verdict"] == "pass" and result["version"] == 1,
              f"the results say {expected}")
    done = run(ktests, "--exact", "cgroup_freeze", "-o", str(directory / "out"))
    result = json.loads((directory / "out/cgroup_freeze.json").read_text())
    steps = result["attempts"][-1]["result"]["scenario"]["steps"]
    before, frozen, after = (step["cgroups"][0] for step in steps)
    check(before["iterations"] > 0 == frozen["iterations"] < after["iterations"]
          and before["usage_us"] > frozen["usage_us"] < after["usage_us"],
          "the results of a step count its own hold only", done)
    done = run(ktests, "--work-type", "nonsense", "--exact", "op_swappable")
    check(done.returncode == 2 and "--work-type 'nonsense'" in done.stderr,
          "a work type that there is not", done)
    done = run(ktests, "--exact", "trivial", "-o", "/proc/nowhere")
    check(done.returncode == 110 and "/proc/nowhere" in done.stderr,
          "results that cannot be written", done)


def sharded(ktests):
    names = run(ktests, "--list", "--format", "names").stdout.split()
    for partition in ("slice", "hash", "count"):
        parts = [run(ktests, "--list", "--format", "names", "--partition",
                     f"{partition}:{i}/3").stdout.split()
                 for i in (1, 2, 3)]
        check(sorted(sum(parts, [])) == sorted(names),
              f"the shards of --partition {partition} are complete and disjoint")
    done = run(ktests, "--shard", "2/3", "--exact", "trivial", "disabled", "environment")
    check(done.stdout.startswith("shard 2/3: 1 of 3 tests (slice)\n") and "1 run: " in done.stdout,
          "--shard says first which it is", done)
    done = run(ktests, "--shard", "auto", "--list",
               env={"CIRCLECI": "true", "CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "3"})
    check(done.returncode == 0 and len(done.stdout.splitlines()) == -(-len(names) // 3),
          "--shard auto", done)
    done = run(ktests, "--shard", "3/3", "--exact", "trivial")
    check(done.returncode == 0 and "shard is empty" in done.stderr, "an empty shard does not fail",
          done)
    done = run(ktests, "--shard", "4/3", "--exact", "trivial")
    check(done.returncode == 2 and "4/3" in done.stderr, "a shard that there is not", done)


def terminal(ktests):
    text = on_terminal(ktests, "--exact", "trivial", "--boot", "cold")
    check("Running [" in text and "0/1, 1 running, 0 failed" in text and "trivial  boot" in text,
          "a terminal gets a bar and a line for what runs")
    check("\033[1;32m" in text, "and colours")
    after = text[text.rindex("Running ["):]
    check("\033[J" in after and "PASS" in after, "the bar goes before the result comes")


def old_qemu(ktests, directory):
    """A QEMU that reports version 7.2 is used with one thread, and one line says so."""
    capsules = directory / "capsules"  # where a process that has a machine may write
    wrapper, log = directory / "old-qemu", capsules / "arguments"
    capsules.mkdir()
    real = shutil.which("qemu-system-x86_64")
    wrapper.write_text('#!/bin/sh\n'
                       '[ "$1" = --version ] && exec echo "QEMU emulator version 7.2.19"\n'
                       f'echo "$@" >> {log}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    done = run(ktests, "--exact", "trivial", "environment", "--accel", "tcg", "--qemu",
               str(wrapper), "--capsule", "on-fail", "--capsule-dir", str(capsules))
    check(done.returncode == 0 and done.stdout.count("QEMU 7.2 corrupts") == 1,
          "an old QEMU is announced once", done)
    check("tcg,thread=single" in log.read_text() and "thread=multi" not in log.read_text(),
          "and used with one thread")


def measured_once(ktests, directory):
    """KVM is measured when the host has changed, and obeyed whatever was measured."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("skipped: how KVM is chosen needs /dev/kvm")
        return
    env = own_cache.make(directory / "measured")
    cache = directory / "measured/ktest"
    run(ktests, "--exact", "trivial", env=env)
    true = json.loads((cache / "host.json").read_text())
    false = true | {"kvm_mips": 7.5, "kvm_usable": False, "kvm_reason": "kvm as remembered"}

    (cache / "host.json").write_text(json.dumps(false))
    done = run(ktests, "--exact", "trivial", env=env)
    check("accel: tcg (kvm as remembered)" in done.stdout, "KVM is not measured twice", done)
    done = run(ktests, "--exact", "trivial", "--accel", "kvm", "--timeout", "5s",
               "--boot-timeout", "5s", env=env)
    check("accel: kvm," in done.stdout and "--accel kvm is used as asked, but: kvm as remembered"
          in done.stdout, "--accel kvm is obeyed with a warning", done)
    vmm(ktests, env)
    (cache / "host.json").write_text(json.dumps(false | {"host": "0" * 32}))
    done = run(ktests, "--exact", "trivial", env=env)
    again = json.loads((cache / "host.json").read_text())
    check("kvm as remembered" not in done.stdout and again["host"] == true["host"],
          "what was measured on another host is measured again", done)


def vmm(ktests, env):
    """Which virtual machine monitor is taken, on a host whose KVM is known not to be real."""
    limits = ("--exact", "trivial", "--timeout", "5s", "--boot-timeout", "5s")
    done = run(ktests, *limits, "--accel", "kvm", "--vmm", "qemu", env=env)
    check("accel: kvm, vmm: qemu," in done.stdout, "--vmm qemu", done)
    no_qemu = env | {"PATH": "/nonexistent"}
    done = run(ktests, *limits, "--vmm", "kvm", env=no_qemu)
    check("accel: kvm, vmm: kvm," in done.stdout, "--vmm kvm needs no QEMU", done)
    done = run(ktests, *limits, env=no_qemu)
    check(done.returncode == 77 and "qemu-system-x86" in done.stderr
          and "kvm as remembered" in done.stderr, "neither QEMU nor KVM", done)
    done = run(ktests, *limits, "--vmm", "kvm", "--accel", "tcg", env=env)
    check(done.returncode == 99 and "--vmm kvm needs KVM" in done.stderr,
          "choices that contradict each other", done)


def unprivileged(ktests, directory):
    """Any user may run tests. Without access to /dev/kvm, a message says what to do."""
    if os.getuid() or not os.path.exists("/dev/kvm"):
        print("skipped: the rest needs root, to become somebody else, and /dev/kvm")
        return
    if os.stat("/dev/kvm").st_mode & 0o006:
        print("skipped: /dev/kvm is open to everybody")
        return
    directory.chmod(0o755)
    for name, source in (("ktests", ktests),
                         ("kernel", run(ktests, "kernel", "path").stdout.strip())):
        copy = shutil.copytree if os.path.isdir(source) else shutil.copy
        copy(source, directory / name)
    (directory / "home").mkdir()
    os.chown(directory / "home", 65534, 65534)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
               str(directory / "ktests"),
               "--kernel", str(directory / "kernel")]
    env = {"HOME": str(directory / "home"), "XDG_CACHE_HOME": str(directory / "home/cache")}
    done = run(*command, "trivial", env=env)
    check(done.returncode == 0 and "no permission for /dev/kvm" in done.stdout
          and "udevadm" in done.stdout, "/dev/kvm without permission: TCG, and advice", done)
    done = run(*command, "--accel", "kvm", "trivial", env=env)
    check(done.returncode == 99 and "no permission for /dev/kvm" in done.stderr,
          "KVM that is demanded and cannot be had", done)


def few_descriptors(ktests):
    """Up to the number that suffices: each limit makes another step of a run the first to fail."""
    for n_files in range(18, 60):
        done = run(ktests, "--exact", "trivial", "--seed", "5", n_files=n_files)
        if done.returncode == 0:
            break
        advice = (f"Too many open files; the limit of this process (RLIMIT_NOFILE) is {n_files}: "
                  "run fewer virtual CPUs at once (-j N), or raise it (ulimit -n N)\n")
        check(done.returncode == 99 and "ERROR" in done.stdout and advice in done.stdout
              and "--seed 5\n" in done.stdout, f"{n_files} descriptors are too few, and why", done)
    check(n_files > 30 and done.returncode == 0, f"{n_files} descriptors suffice", done)


def main():
    ktests, sample = (os.path.realpath(arg) for arg in sys.argv[1:3])
    output(ktests, sample)
    terminal(ktests)
    few_descriptors(ktests)
    with tempfile.TemporaryDirectory() as directory:
        again(sample, pathlib.Path(directory))
        results(ktests, pathlib.Path(directory))
        sharded(ktests)
        old_qemu(ktests, pathlib.Path(directory))
        measured_once(ktests, pathlib.Path(directory))
        unprivileged(ktests, pathlib.Path(directory))


main()
