#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The failed moment is kept: what a capsule holds is what the guest had, whoever opens it.

usage: capsule.py SAMPLE_KEPT DISK_LIBRARY

A guest gives itself a name that it also prints. The name is then looked for in its capsule: by
path, in a core, and in a shell of the machine that goes on.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

SEED = 7
ROUNDS = 20
TIMEOUT_S = 600
LATE_S = 3  # of disk.c
PATH = "init_uts_ns.name.nodename"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ktest"
STAGE = ".capsule.stage-"


def check(condition, what, detail=""):
    if not condition:
        sys.exit(f"failed: {what}\n{detail}")
    print(f"ok: {what}", flush=True)


def call(*command, status=0, stdin="", **options):
    run = subprocess.run([str(word) for word in command], input=stdin, capture_output=True,
                         text=True, timeout=TIMEOUT_S, **options)
    if run.returncode != status:
        check(False, f"{' '.join(map(str, command))} exits with {status}, not {run.returncode}",
              run.stdout + run.stderr)
    return run.stdout + run.stderr


def run_test(sample, test, *options, status=100, capsule="on-fail", **more):
    return call(sample, "--exact", test, "--seed", SEED, "--capsule", capsule, *options,
                status=status, **more)


def name_in(text):
    """What the guest has printed of itself."""
    found = re.search(r"the guest is called (kept-\d+)", text)
    check(found, "the guest says how it is called", text)
    return found.group(1)


def value_in(program, capsule, **options):
    return json.loads(call(program, "open", capsule, "--format", "json", "--inspect", PATH,
                           **options))[PATH]


def check_reports(sample, scratch):
    results, junit = scratch / "results", scratch / "junit.xml"
    text = run_test(sample, "kept_fails", "-o", results, "--junit", junit)
    capsule = CACHE / "capsules" / f"kept_fails.{SEED}.capsule"
    check(f"open {capsule}" in text, "the report says how to open the capsule", text)
    attempt = json.loads((results / "kept_fails.json").read_text())["attempts"][0]
    check(attempt["capsule"] == str(capsule), "the JSON names it", attempt)
    failure = xml.etree.ElementTree.parse(junit).find(".//failure").text
    check(str(capsule) in failure, "JUnit names it", failure)
    size = capsule.stat().st_size
    check(size < 4 << 20, f"beside a template it takes {size >> 10} KiB")
    return capsule, name_in(text)


def check_open(sample, capsule, name):
    text = call(sample, "open", capsule)
    for word in ("kept_fails", f"seed {SEED}", "1 == 2", "this one", "PID 1 waits"):
        check(word in text, f"without an option, it says '{word}'", text)
    check(value_in(sample, capsule) == name, "the guest's name is in it")
    text = call(sample, "open", capsule, "--inspect", "kernel", "task(1).comm")
    check('"ktest-init"' in text and "release" in text, "words and more paths are shown", text)
    text = call(sample, "open", capsule, "--inspect", "no_such_thing", status=99)
    check("no_such_thing" in text, "a path that does not exist is an error", text)
    began = time.monotonic()
    value_in(sample, capsule)
    print(f"   opened in {time.monotonic() - began:.3f} s", flush=True)


def check_copy(sample, capsule, name, scratch):
    copy = scratch / "copy" / "another-name"
    copy.parent.mkdir()
    shutil.copy2(sample, copy)
    moved = scratch / "moved.capsule"
    shutil.copy(capsule, moved)
    check(value_in(copy, moved) == name, "a copy of the program opens a copy of the capsule")
    check("this one" in call(copy, "open", moved), "and knows that it is the same build")


def drgn_name(core, address):
    """The kernel's release and the guest's name as drgn reads them; None without drgn."""
    script = ("import drgn, sys\n"
              "prog = drgn.Program()\nprog.set_core_dump(sys.argv[1])\n"
              "print(prog['UTS_RELEASE'].string_().decode(),"
              " prog.read(int(sys.argv[2], 0), 65).split(b'\\0')[0].decode())\n")
    run = subprocess.run([os.environ.get("DRGN_PYTHON", "python3"), "-c", script, core, address],
                         capture_output=True, text=True)
    if "ModuleNotFoundError" in run.stderr:
        return None
    check(run.returncode == 0, "drgn opens the core", run.stderr)
    return run.stdout.strip()


def crash_name(core, vmlinux):
    """The guest's name as crash(8) reads it; a reason in brackets where it cannot be asked."""
    if not shutil.which("crash"):
        return "(crash is not installed)"
    if not vmlinux:
        return "(there is no vmlinux with symbols: set VMLINUX)"
    run = subprocess.run(["crash", "-s", vmlinux, core], input="sys\nquit\n", capture_output=True,
                         text=True, timeout=TIMEOUT_S)
    found = re.search(r"NODENAME: (\S+)", run.stdout)
    check(found, "crash opens the core", run.stdout + run.stderr)
    return found.group(1)


def check_core(sample, capsule, name, scratch):
    core = scratch / "core"
    call(sample, "open", capsule, "--vmcore", core)
    state = core.stat()
    check(state.st_blocks * 512 < state.st_size / 2, "pages of zeroes are holes of the core")
    text = call(sample, "inspect", "--vmcore", core, "--format", "json", PATH)
    check(json.loads(text)[PATH] == name, "the guest's name is in the core")
    notes = subprocess.run(["readelf", "-n", core], capture_output=True, text=True).stdout
    check(notes.count("NT_PRSTATUS") == 2 and "VMCOREINFO" in notes, "it has the notes of a core")
    where = call(sample, "inspect", "--vmcore", core, "--format", "json", f"&{PATH}", "kernel")
    found = json.loads(where)
    seen = drgn_name(core, re.search(r"0x[0-9a-f]+", str(found[f"&{PATH}"])).group())
    if seen is None:
        print("   drgn is not installed", flush=True)
    else:
        check(seen == f"{found['kernel']['release']} {name}", "drgn reads it, too", seen)
    seen = crash_name(core, os.environ.get("VMLINUX"))
    if seen.startswith("("):
        print(f"   {seen[1:-1]}", flush=True)
    else:
        check(seen == name, "crash reads it, too", seen)
    core.unlink()


def ask_stub(connection, packet):
    """One command of gdb's protocol, and its answer."""
    connection.sendall(f"${packet}#{sum(packet.encode()) % 256:02x}".encode())
    answer = b""
    while not re.search(rb"\$.*#..$", answer, re.S):
        piece = connection.recv(4096)
        check(piece, f"the stub answers '{packet}'", answer)
        answer += piece
    connection.sendall(b"+")
    return re.search(rb"\$(.*)#..$", answer, re.S).group(1).decode()


def check_gdb(sample, capsule, scratch):
    path = scratch / "gdb,socket"
    run = subprocess.Popen([sample, "open", capsule, f"--gdb={path}"], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    line = run.stdout.readline()
    while line.startswith("#"):
        line = run.stdout.readline()
    check(line.startswith("gdb ") and str(path) in line and "vmlinux" in line,
          "--gdb prints the command for gdb", line or run.stderr.read())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        check(ask_stub(connection, "?")[0] == "T", "the machine stands still")
        threads = [ask_stub(connection, "qfThreadInfo")]
        while threads[-1] != "l":
            threads.append(ask_stub(connection, "qsThreadInfo"))
        check(len(threads) == 3, "gdb sees two vCPUs", threads)
        registers = ask_stub(connection, "g")
        check(ask_stub(connection, "g") == registers, "which do not run")
    run.send_signal(signal.SIGINT)
    run.wait(30)
    check(run.returncode == 0 and not path.exists(), "a signal ends it, and removes the socket")
    text = call(sample, "open", capsule, f"--gdb={scratch}", status=99)
    check("there already" in text, "a path that is in use is refused", text)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        text = call(sample, "open", capsule, f"--gdb={path}", status=99)
        check("there already" in text, "and so is a socket at which somebody listens", text)
    run = subprocess.Popen([sample, "open", capsule, f"--gdb={path}"], stdout=subprocess.PIPE,
                           text=True)
    line = run.stdout.readline()
    while line.startswith("#"):
        line = run.stdout.readline()
    run.send_signal(signal.SIGINT)
    run.wait(30)
    check(line.startswith("gdb "), "one that a killed process has left is replaced", line)


def check_shell(sample, capsule, name):
    text = call(sample, "open", capsule, "--shell", "--exec",
                "cat /proc/sys/kernel/hostname; exit 3", status=3)
    check(name in text, "a command runs in the guest", text)
    if shutil.which("busybox"):
        text = call(sample, "open", capsule, "--shell",
                    stdin="cat /proc/sys/kernel/hostname\nexit 4\n", status=4)
        check(name in text, "and so does a shell", text)


def check_moments(sample, scratch):
    """Verdicts without the guest's result."""
    for test, moment in (("kept_hangs", "the test had not ended"),
                         ("kept_panics", "the test had not ended"),
                         ("kept_fails_afterwards", "the guest had ended")):
        text = run_test(sample, test, "--capsule-dir", scratch / "moments")
        name = name_in(text)
        capsule = scratch / "moments" / f"{test}.{SEED}.capsule"
        check(capsule.exists(), f"{test} leaves a capsule", text)
        check(moment in call(sample, "open", capsule), f"which says that {moment}")
        check(value_in(sample, capsule) == name, "and has the guest's name")
        text = call(sample, "open", capsule, "--shell", status=99)
        check(f"no shell: {moment}" in text, "--shell says why there is none", text)


def check_middle(sample, scratch):
    """A step fails while workers run."""
    where = scratch / "middle"
    text = run_test(sample, "kept_in_the_middle", "--capsule-dir", where)
    check("no_such_symbol" in text, "a step fails", text)
    capsule = where / f"kept_in_the_middle.{SEED}.capsule"
    shown = json.loads(call(sample, "open", capsule, "--format", "json", "--inspect", "runqueues",
                            "task(1).comm"))
    check(shown["task(1).comm"] == "ktest-init" and len(shown["runqueues"]) == 2,
          "what its machine was at can be inspected", shown)
    text = call(sample, "open", capsule, "--shell", "--exec", "cat /proc/uptime; exit 5", status=5)
    check(re.search(r"^\d+\.\d+ \d+\.\d+", text, re.M), "and continued in a shell", text)


def check_choice(sample, scratch):
    where = scratch / "choice"
    run_test(sample, "kept_passes", "--capsule-dir", where, status=0)
    check(not list(where.iterdir()), "a test that passes leaves none with on-fail")
    run_test(sample, "kept_passes", "--capsule-dir", where, status=0, capsule="always")
    check([p.name for p in where.iterdir()] == [f"kept_passes.{SEED}.capsule"],
          "it leaves one with always")
    text = run_test(sample, "kept_fails", "--capsule-dir", where, "--capsule-max-size", "100K")
    check(re.search(r"no capsule: .* would take \d+ KiB, and the limit is 100 KiB", text),
          "one that is too large is refused with its size", text)
    check(len(list(where.iterdir())) == 1, "and leaves no file")
    text = call(sample, "--exact", "kept_fails", "--capsule-dir", where, status=2)
    check("--capsule" in text, "--capsule-dir alone is a usage error", text)


def check_elsewhere(sample, capsule, name, scratch):
    """Another host has neither the template nor anything else."""
    where, other = scratch / "whole", dict(os.environ, XDG_CACHE_HOME=str(scratch / "cache"))
    pair = scratch / "pair"
    pair.mkdir()
    alone = shutil.copy(capsule, pair)
    text = call(sample, "open", alone, "--inspect", PATH, status=99, env=other)
    check("template" in text and "--capsule-dir" in text,
          "without its template it says what is missing, and what helps", text)
    base = re.search(r"of template (\w+)", call(sample, "open", capsule)).group(1) + ".ram"
    shutil.copy(capsule.parent / base, pair)
    check(value_in(sample, alone, env=other) == name,
          "the template's RAM beside it is enough, whatever became of the template")
    for test, options in (("kept_fails", ()), ("kept_fails", ("--boot", "cold")),
                          ("kept_fails_in_real_time", ())):
        text = run_test(sample, test, "--capsule-dir", where, *options)
        whole = where / f"{test}.{SEED}.capsule"
        what = f"{test} {' '.join(options)}"
        check(value_in(sample, whole, env=other) == name_in(text),
              f"a whole capsule of {what} needs nothing else, and takes "
              f"{whole.stat().st_size >> 10} KiB")
    check_shell(sample, whole, name_in(text))


def start_large(sample, where):
    """Starts a run, and returns when it has begun to write its capsule."""
    for file in where.iterdir():
        file.unlink()
    run = subprocess.Popen([sample, "--exact", "kept_large", "--seed", str(SEED), "--capsule",
                            "on-fail", "--capsule-dir", where], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + TIMEOUT_S
    while not os.listdir(where):
        if run.poll() is not None or time.monotonic() > deadline:
            check(False, "a capsule is begun")
        time.sleep(0.001)
    return run


def check_disk(sample, disk, capsule, scratch):
    """A disk that is slow changes no verdict and no time; one that refuses leaves no stage."""
    where, results = scratch / "disk", scratch / "disk-results"
    slow = dict(os.environ, LD_PRELOAD=str(disk), KTEST_DISK_SLOW=".capsule")
    began = time.monotonic()
    text = run_test(sample, "kept_fails", "--capsule-dir", where, "-o", results, env=slow)
    took_s = time.monotonic() - began
    attempt = json.loads((results / "kept_fails.json").read_text())["attempts"][0]
    check(attempt["result"]["verdict"] == "fail" and "capsule" in attempt,
          "a slow disk changes no verdict", text)
    check(took_s - sum(attempt["phases_ns"].values()) / 1e9 >= LATE_S,
          "nor the times of a test", f"{took_s} s of which {attempt['phases_ns']} ns")
    refuses = dict(os.environ, LD_PRELOAD=str(disk), KTEST_DISK_NO_MODE="1")
    before = sorted(os.listdir(where))
    text = run_test(sample, "kept_passes", "--capsule-dir", where, status=0, capsule="always",
                    env=refuses)
    check("no capsule: cannot create" in text, "a capsule that gets no mode is an error", text)
    check(sorted(os.listdir(where)) == before, "and leaves no stage", os.listdir(where))
    text = call(sample, "open", capsule, "--vmcore", where / "core", status=99, env=refuses)
    check(sorted(os.listdir(where)) == before, "nor does a core", text)


def await_end(pids):
    """A session dies with its runner, but not at the same instant."""
    deadline = time.monotonic() + TIMEOUT_S
    while any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            check(False, f"the sessions {pids} end")
        time.sleep(0.001)


def check_kills(sample, scratch):
    where = scratch / "kills"
    where.mkdir()
    capsule = where / f"kept_large.{SEED}.capsule"
    rng = random.Random(SEED)
    run, began = start_large(sample, where), time.monotonic()
    while not capsule.exists():
        time.sleep(0.001)
    took_s = time.monotonic() - began
    run.wait()
    check(value_in(sample, capsule).startswith("kept-"), "a run that is not killed leaves a whole")
    whole = unfinished = 0
    for i in range(ROUNDS):
        run = start_large(sample, where)
        time.sleep(rng.random() * 1.5 * took_s)
        sessions = [int(pid) for task in pathlib.Path(f"/proc/{run.pid}/task").glob("*/children")
                    for pid in task.read_text().split()]
        run.kill()
        run.wait()
        await_end(sessions)
        if capsule.exists():
            whole += 1
            check(value_in(sample, capsule).startswith("kept-"), f"round {i}: it is whole")
        unfinished += any(STAGE in name for name in os.listdir(where))
    check(unfinished,
          f"a capsule is written in {took_s:.2f} s; {ROUNDS} killed runs have left {whole} whole, "
          f"and {unfinished} unfinished")
    (where / f"x{STAGE}abcdef").write_text("unfinished")
    run_test(sample, "kept_passes", "--capsule-dir", where, status=0)
    check(not any(STAGE in name for name in os.listdir(where)), "which the next run removes")


def check_cache(sample, capsule, scratch):
    cache = scratch / "small-cache"
    capsules = cache / "ktest" / "capsules"
    capsules.mkdir(parents=True)
    kept = shutil.copy(capsule, capsules)
    (capsules / f"x{STAGE}abcdef").write_text("unfinished")
    env = dict(os.environ, XDG_CACHE_HOME=str(cache))
    text = call(sample, "cache", "list", env=env)
    check(f"capsule   {pathlib.Path(kept).name}" in text and "(unfinished)" in text,
          "cache list shows capsules", text)
    call(sample, "cache", "prune", "--max-age", "1h", env=env)
    check(os.listdir(capsules) == [capsule.name], "cache prune removes what is unfinished")
    os.utime(kept, (1, 1))
    call(sample, "cache", "prune", "--max-age", "1h", env=env)
    check(not os.listdir(capsules), "and what is old")


def check_damage(sample, capsule, scratch):
    damaged = scratch / "damaged.capsule"
    data = bytearray(capsule.read_bytes())
    data[-1] ^= 1
    damaged.write_bytes(data)
    text = call(sample, "open", damaged, "--inspect", PATH, status=99)
    check("damaged" in text, "a capsule with a wrong bit is refused", text)
    text = call(sample, "open", sample, status=99)
    check("is not a capsule" in text, "and so is another file", text)


def main():
    sample, disk = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="ktest-capsule-") as directory:
        scratch = pathlib.Path(directory)
        capsule, name = check_reports(sample, scratch)
        try:
            check_open(sample, capsule, name)
            check_copy(sample, capsule, name, scratch)
            check_core(sample, capsule, name, scratch)
            check_gdb(sample, capsule, scratch)
            check_shell(sample, capsule, name)
            check_cache(sample, capsule, scratch)
            check_disk(sample, disk, capsule, scratch)
            check_damage(sample, capsule, scratch)
            check_elsewhere(sample, capsule, name, scratch)
        finally:
            capsule.unlink()
        check_choice(sample, scratch)
        check_middle(sample, scratch)
        check_moments(sample, scratch)
        check_kills(sample, scratch)


main()
