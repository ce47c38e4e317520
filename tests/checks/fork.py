#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Templates and the machines that are forked from them, in a cache of their own.

usage: fork.py KTESTS SAMPLE HANGING_SAMPLE
"""

import hashlib
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


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


class Cache:
    """A cache that contains only the host's kernels."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.env = {**os.environ, **own_cache.make(path)}

    def start(self, *command):
        return subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, *command):
        return subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True,
                              timeout=TIMEOUT_S)

    def entries(self):
        return sorted((self.path / "ktest/templates").glob("*"))

    def templates(self):
        return [path for path in self.entries() if ".stage-" not in path.name]

    def hashes(self):
        return [hashlib.sha256((path / name).read_bytes()).hexdigest()
                for path in self.templates() for name in ("ram", "state")]


def wait_for(what, condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"failed: {what} never came")
        time.sleep(0.005)


def killed_while_building(cache, ktests):
    building = cache.start(ktests, "--exact", "trivial")
    wait_for("a template being built",
             lambda: any((path / "ram").exists() for path in cache.entries()))
    building.send_signal(signal.SIGKILL)
    building.communicate()
    check(not cache.templates(), "a build that is killed leaves nothing that looks finished")


def descendants(pid):
    """The processes below pid, by the parents that /proc names."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        parents[int(path.parent.name)] = (int(text.rpartition(")")[2].split()[1]), text)
    found = {pid}
    while True:
        more = {child for child, (parent, _) in parents.items() if parent in found} - found
        if not more:
            return {child: parents[child][1] for child in found if child in parents}
        found |= more


def qemu_killed_while_building(cache, ktests):
    """The OOM killer looks like this: machines are booted instead."""
    building = cache.start(ktests, "--exact", "trivial")
    machines = []

    def has_machine():
        machines[:] = [pid for pid, text in descendants(building.pid).items()
                       if "(qemu-system" in text]
        return machines and any((path / "ram").exists() for path in cache.entries())

    wait_for("a QEMU that boots", has_machine)
    os.kill(machines[0], signal.SIGKILL)
    out, err = building.communicate(timeout=TIMEOUT_S)
    check(building.returncode == 0 and "no template, machines are booted instead: QEMU was killed "
          "by signal 9" in err and "1 passed" in out,
          f"a QEMU that is killed while a template is made\n{out}{err}")
    check(not cache.entries(), "leaves nothing")


def two_at_once(cache, ktests):
    runs = [cache.start(ktests, "--exact", "trivial") for _ in range(2)]
    for process in runs:
        out, err = process.communicate(timeout=TIMEOUT_S)
        check(process.returncode == 0,
              "two runs that need the same template pass" + f"\n{out}{err}" * process.returncode)
    check(len(cache.entries()) == 1,
          "which was made once, and the leavings of the killed one are gone")


def listed(cache, ktests):
    done = cache.run(ktests, "template", "list")
    check(done.returncode == 0 and re.search(r"\d+ MiB used", done.stdout)
          and "1 template," in done.stdout,
          "template list says how much of the RAM is in use", done)
    ram = cache.templates()[0] / "ram"
    check(ram.stat().st_blocks * 512 < 100 << 20 < ram.stat().st_size,
          "the RAM file is sparse, below 100 MiB")


def newer_binary(cache, ktests, sample, hanging):
    """Another program with the same machine: its files are sent, and no machine is booted."""
    done = cache.run(sample, "--exact", "-v", "warning_is_expected")
    check(done.returncode == 0 and "boot 0.000 s" in done.stdout and len(cache.templates()) == 1,
          "a newer binary runs without a boot, and without a template of its own", done)
    done = cache.run(hanging, "boot_hangs")
    check(done.returncode == 99 and "fork timeout: the guest has not reported" in done.stdout,
          "one that hangs says so", done)
    done = cache.run(sample, "--exact", "-v", "warning_is_expected", "--stress-count", "6")
    check(done.returncode == 0 and len(cache.templates()) == 2,
          "for many attempts the template is made anew", done)
    done = cache.run(hanging, "boot_hangs", "--append", "quiet", "--boot-timeout", "6s")
    check(done.returncode == 99 and "boot timeout" in done.stdout
          and "--boot-timeout" in done.stdout
          and "console" in done.stdout,
          "a guest that does not get up fails the making of its template, which shows its console",
          done)


def differing(cache, ktests):
    lines, offsets = [], []
    command = [ktests, "--exact", "fork_identity", "--stress-count", "8", "--no-capture", "--time",
               "real"]
    process = cache.start(*command)
    for line in process.stdout:
        if line.startswith("identity "):
            lines.append(line.split()[1:])
            offsets.append(abs(time.time() - float(lines[-1][3])))
    process.communicate()
    check(process.returncode == 0 and len(lines) == 8, "eight machines said who they are")
    for column, name in enumerate(("boot ids", "numbers of getrandom()", "bytes of /dev/urandom")):
        check(len({line[column] for line in lines}) == 8, f"the {name} differ")
    check(max(offsets) < 1, "the clocks are the host's")


def leaks(cache, ktests):
    before = cache.hashes()
    done = cache.run(ktests, "--exact", "-j", "1", "leak_plant", "leak_look", "--stress-count", "3")
    check(done.returncode == 0 and "6 passed" in done.stdout,
          "nothing a test leaves is seen by the next", done)
    check(cache.hashes() == before, "the template has not changed by a bit")


def damaged(cache, ktests):
    """There is another template of the machine, so that none of these needs a boot."""
    again = (ktests, "--exact", "trivial", "--stress-count", "6")
    for name, damage in (("state",
                          lambda data: data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]),
                         ("state", lambda data: b""),
                         ("meta.json", lambda data: data[:100])):
        template = next(p for p in cache.templates()
                        if b"ktests\"" in (p / "meta.json").read_bytes())
        path = template / name
        path.write_bytes(damage(path.read_bytes()))
        done = cache.run(*again)
        said = [line for line in done.stderr.splitlines() if "is not used" in line]
        check(done.returncode == 0 and len(said) == 1 and path.exists(),
              f"a damaged {name} is rebuilt, and one line says so", done)
    for path in cache.templates():
        os.truncate(path / "ram", 4096)
    done = cache.run(*again)
    check(done.returncode == 0 and "its RAM is truncated" in done.stderr,
          "a truncated RAM is not used", done)


def without_room(cache, ktests, directory):
    """On a disk without room for a template, one line says so, and the machine is booted."""
    if os.getuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        print("skipped: a full disk needs a mount namespace")
        return
    small = Cache(directory / "small")
    (small.path / "ktest/templates").mkdir()
    script = (f"mount -t tmpfs -o size=8m none {small.path}/ktest/templates && "
              f"exec {ktests} --exact trivial -v")
    done = small.run("unshare", "-m", "sh", "-c", script)
    check(done.returncode == 0 and "no template, machines are booted instead" in done.stderr
          and "MiB free" in done.stderr
          and "'ktests cache prune' frees space" in done.stderr
          and "boot 0.000 s" not in done.stdout,
          "a full disk means a boot", done)


def bounded(cache, ktests):
    done = cache.run(ktests, "--exact", "trivial", "memory", "--template-cache-size", "1MiB", "-j",
                     "1")
    check(done.returncode == 0 and len(cache.templates()) <= 2,
          "--template-cache-size bounds the cache", done)
    done = cache.run(ktests, "template", "clear")
    check(done.returncode == 0 and not cache.entries(), "template clear", done)


def budget(cache, ktests, sample):
    """With memory for one machine on the host, a run waits for another one, which is killed."""
    one = ("--memory-budget", "600MiB")
    first = cache.start(sample, "--exact", "hangs", "--timeout", "60s", "--no-capture", *one)
    for line in first.stderr:
        if "waiting for what never comes" in line:
            break
    second = cache.start(ktests, "--exact", "trivial", *one)
    said = second.stderr.readline()
    check("waiting for CPUs or memory that another run uses" in said,
          "a run waits for another's memory, and says so")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    out, _ = second.communicate(timeout=TIMEOUT_S)
    check(second.returncode == 0 and "1 passed" in out, "and goes on when the other is dead")


def two_kernels(cache, ktests):
    """Each kernel has templates of its own: what the report says is what runs."""
    releases = sorted(path.name for path in (cache.path / "ktest/kernels").iterdir()
                      if not path.name.startswith("local-"))[:2]
    if len(releases) < 2:
        print("skipped: two kernels in one cache")
        return
    options = [option for release in releases for option in ("-k", release)]
    for boot in ("fork", "fork"):  # templates that are made, and that are found
        done = cache.run(ktests, "--exact", "kernel_release", *options, "--boot", boot, "-v", "-j",
                         "1")
        check(done.returncode == 0 and "2 passed" in done.stdout, "two kernels in one cache", done)
        seen = re.findall(r"uname -r is (\S+)", done.stdout)
        check(seen == releases, "each machine runs the kernel that was asked for", done)


def main():
    ktests, sample, hanging = (os.path.realpath(arg) for arg in sys.argv[1:4])
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        cache = Cache(directory / "cache")
        killed_while_building(cache, ktests)
        qemu_killed_while_building(cache, ktests)
        two_at_once(cache, ktests)
        listed(cache, ktests)
        newer_binary(cache, ktests, sample, hanging)
        differing(Cache(directory / "real"), ktests)
        leaks(cache, ktests)
        budget(cache, ktests, sample)
        damaged(cache, ktests)
        bounded(cache, ktests)
        two_kernels(cache, ktests)
        without_room(cache, ktests, directory)


main()
