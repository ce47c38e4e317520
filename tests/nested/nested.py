#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ktest on KVM, in a machine whose KVM is real: QEMU's TCG emulates AMD's SVM.

The outer machine has the runner, QEMU, the default kernel and its KVM modules; tests/nested/init.sh
has the parts that run there. ./dev test runs those of PARTS. By hand, with longer limits:

    nested.py --part forks --forks 1000 --cpu-limit 3000 KTESTS SAMPLE SCHEDULERS
    nested.py --part topologies ...        each topology of the suite, in the native machine
    nested.py --part suite --suite NAMES ...    tests of the suite, in the native machine

A line of JSON tells each figure of the part "forks", as in tests/bench.
"""

import argparse
import collections
import ctypes
import itertools
import json
import lzma
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from initramfs import Initramfs

SKIPPED = 77
MEMORY_MIB = 6144
PARTS = ("qemu", "unit", "native", "forks", "storm")  # unit: before QEMU is hidden
CPU_LIMIT_S = 1200  # four times what the machine needs; a busy host takes none of it
DEADLINE_S = 3000  # for a machine that does nothing any more
GRACE = 0.1  # of both, in which a run that was interrupted tells its end
BOOT_PER_FORK = 50  # at least
BEAT_S = 0.5
ANSWER_S = 10  # for QEMU's monitor
N_CONTEXT = 60  # lines before a check that failed
PR_SET_PDEATHSIG = 1
LOOKS = ("info lapic", "info pic", *9 * ["info registers"])
LOOKS_PAST = re.compile("[XY]MM|FPR|FCW|[DEFGS]S =|DR")  # lines that say nothing here
NOISE = re.compile("WRMSR|kvm_pr_unimpl")
QEMU = "qemu-system-x86_64"
FIRMWARE = ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/kvmvapic.bin",
            "/usr/share/qemu/linuxboot_dma.bin", "/usr/share/qemu/pvh.bin")
MODULES = ("virt/lib/irqbypass", "arch/x86/kvm/kvm", "arch/x86/kvm/kvm-amd")
KERNEL_FILES = ("vmlinux", "vmlinuz", "btf", "meta.json")
GUEST_MODULES = ("net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net",
                 "drivers/block/virtio_blk")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def available_mib():
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(re.search(r"MemAvailable:\s+(\d+)", text)[1]) >> 10


def check_host(kernel):
    """Skips the check, with the reason, on a host that cannot do it."""
    if not shutil.which(QEMU) or not shutil.which("busybox"):
        skip(f"no {QEMU}, or no busybox")
    version = re.search(r"version (\d+)", subprocess.check_output([QEMU, "--version"], text=True))
    if int(version[1]) < 10:
        skip(f"QEMU {version[1]} is older than 10, whose SVM can boot a stock kernel")
    if available_mib() < MEMORY_MIB:
        skip(f"{available_mib()} MiB of memory are available, {MEMORY_MIB} are needed")
    for path in (*FIRMWARE, *(module_file(kernel, name) for name in MODULES)):
        if not path or not os.path.exists(path):
            skip(f"kernel {kernel} has no KVM modules, or QEMU's firmware is not in its place")


def module_file(kernel, name):
    found = list(kernel.glob(f"modules/kernel/{name}.ko*"))
    return found[0] if found else None


def module_bytes(path):
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def topologies(ktests):
    """The shortest test of each topology and size of memory in the suite.

    A test of a workload is taken only if there is no other: it expects a rate of work that a CPU of
    a nested machine does not have.
    """
    tests = json.loads(subprocess.check_output([ktests, "--list", "--format", "json"]))["tests"]
    chosen = {}
    for test in sorted(tests, key=lambda test: (test["name"].startswith("work_"),
                                                test["duration_ms"]), reverse=True):
        if not test.get("disabled"):
            chosen[json.dumps([test["topology"], test["memory_mib"]])] = test["name"]
    return chosen.values()


def environment(arguments, modules):
    values = {
        "KTESTS": arguments.ktests, "SAMPLE": arguments.sample, "MODULES": " ".join(modules),
        "PARTS": " ".join(arguments.part or PARTS), "FORKS": arguments.forks,
        "STORM": arguments.storm, "SUITE": arguments.suite, "UNITS": " ".join(arguments.unit),
        "TOPOLOGIES": " ".join(topologies(arguments.ktests)),
    }
    return "".join(f'{name}="{value}"\n' for name, value in values.items())


def add_suite(initramfs, ktests):
    """What the suite takes from the host: files beside the binary, and what is loaded on demand."""
    for path in sorted(pathlib.Path(ktests).parent.iterdir()):
        if path.is_file():
            initramfs.add_program(path)
    libraries = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True)
    for path in re.findall(r"libgcc_s\.so\.1 \(.*x86-64.*\) => (\S+)", libraries):
        initramfs.add_program(path)


def make_initramfs(kernel, arguments):
    initramfs = Initramfs()
    initramfs.add("/bin/busybox", pathlib.Path(shutil.which("busybox")).read_bytes())
    initramfs.add("/init", (pathlib.Path(__file__).parent / "init.sh").read_bytes())
    arguments.unit = [unit for unit in arguments.unit if os.path.exists(unit)]
    for program in (shutil.which(QEMU), arguments.ktests, arguments.sample, *arguments.unit):
        initramfs.add_program(program)
    for path in (*FIRMWARE, "/etc/ld.so.cache", arguments.schedulers):
        initramfs.add_host(path)
    if "suite" in (arguments.part or ()):
        add_suite(initramfs, arguments.ktests)
    for path in (*(kernel / name for name in KERNEL_FILES),
                 *kernel.glob("config"),  # which not each kernel has
                 *(module_file(kernel, name) for name in GUEST_MODULES)):
        initramfs.add(f"/cache/ktest/kernels/{kernel.name}/{path.relative_to(kernel)}",
                      path.read_bytes())
    modules = []
    for name in MODULES:
        modules.append(f"/modules/{os.path.basename(name)}.ko")
        initramfs.add(modules[-1], module_bytes(module_file(kernel, name)))
    initramfs.add("/env", environment(arguments, modules).encode())
    return initramfs


def cpu_time_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def monitor(qmp, commands):
    """What QEMU's monitor answers to each of the commands."""
    qmp.settimeout(ANSWER_S)
    stream = qmp.makefile("rw")
    answers = (json.loads(line) for line in stream)
    print(json.dumps({"execute": "qmp_capabilities"}), file=stream, flush=True)
    for command in commands:
        print(json.dumps({"execute": "human-monitor-command",
                          "arguments": {"command-line": command}}), file=stream, flush=True)
        text = next((answer["return"] for answer in answers if answer.get("return")), None)
        if text is None:
            raise OSError("it has ended")
        yield text


def look_inside(qmp):
    """Prints where the CPU of the machine is, several times, and what interrupts it waits for."""
    try:
        for command, text in zip(LOOKS, monitor(qmp, LOOKS)):
            kept = [line for line in text.splitlines() if line and not LOOKS_PAST.match(line)]
            print("\n".join([f"{command}:", *kept]), flush=True)
    except (OSError, ValueError) as error:
        print(f"QEMU does not answer: {error}", flush=True)


def watch_over(process, qmp, cpu_limit_s):
    """Beats until the machine ends, and ends it when it is out of time.

    When its time is up, the machine is looked at, and what runs in it is interrupted, which tells
    what it was waiting for.

    The beat is a byte on the serial port, twice a second, which interrupts the machine. QEMU 10
    loses an interrupt of its local APIC now and then while a guest of the guest runs: the vector
    waits in IRR, and CPU_INTERRUPT_HARD is not set. If it was the timer's, and the inner guest
    spins (stop_machine(), virtio_console), neither of both machines ever goes on: on a quiet host
    one run of three. Any other interrupt makes QEMU look again.
    """
    began, spent, interrupted = time.monotonic(), 0, False
    deadline_s = max(DEADLINE_S, 2 * cpu_limit_s)
    try:
        while spent < 1 + GRACE:
            spent = max(cpu_time_s(process.pid) / cpu_limit_s,
                        (time.monotonic() - began) / deadline_s)
            if spent >= 1 and not interrupted:
                look_inside(qmp)
                process.stdin.write("interrupt")
                interrupted = True
            process.stdin.write("\n")
            process.stdin.flush()
            time.sleep(BEAT_S)
    except (OSError, ValueError):
        pass  # the machine has ended
    finally:
        process.kill()


def die_with_parent():
    """In QEMU's process, before it executes QEMU."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run_machine(kernel, initramfs, cpu_limit_s):
    """The lines that the machine prints, as they come, until it ends or is out of time."""
    pvh = json.loads((kernel / "meta.json").read_text())["pvh"]
    boot = kernel / ("vmlinux" if pvh else "vmlinuz")
    qmp, its_qmp = socket.socketpair()
    process = subprocess.Popen(
        [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
         # TCG executes two CPUs at the same time, and then its SVM is not reliable: on a host with
         # nothing else to do, the kernels of both machines failed in 3 of 5 runs ("scheduling while
         # atomic", a reset).
         "-machine", "q35", "-accel", "tcg",
         "-cpu", "max,+svm,+npt", "-smp", "1", "-m", f"{MEMORY_MIB}M", "-kernel", str(boot),
         "-initrd", initramfs,
         "-append", "console=ttyS0 loglevel=5 panic=-1 idle=halt mitigations=off tsc=reliable",
         "-serial", "stdio",
         "-chardev", f"socket,id=qmp,fd={its_qmp.fileno()}", "-mon", "chardev=qmp,mode=control"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace",
        pass_fds=[its_qmp.fileno()], preexec_fn=die_with_parent)
    its_qmp.close()
    threading.Thread(target=watch_over, args=[process, qmp, cpu_limit_s], daemon=True).start()
    try:
        yield from (line.rstrip() for line in process.stdout)
    finally:
        process.kill()
        process.wait()


def lines_of(part, lines):
    begin = lines.index(f"nested: part {part}") + 1
    return itertools.takewhile(lambda line: not line.startswith("nested: part "), lines[begin:])


def told_with_context(lines):
    """Each check that failed, after what the machine printed since the check before it."""
    told, since = [], []
    for line in lines:
        if line.startswith("nested: failed: "):
            told += [*since[-N_CONTEXT:], line]
        if line.startswith("nested: "):
            since = []
        elif line and not NOISE.search(line):
            since.append(line)
    return told


def median_ms(lines, phase):
    found = (re.search(rf"^ +(?=boot ).*?\b{phase} ([\d.]+) s", line) for line in lines)
    times = [float(match[1]) * 1e3 for match in found if match and float(match[1])]
    return statistics.median(times) if times else None


def median_group(lines, group):
    """Of what each fork has counted in a group: {"port": 12, ...}."""
    values = collections.defaultdict(list)
    for line in lines:
        found = re.search(rf"\b{group}:((?: \w+ \d+)+)", line)
        if found and " state " in line:  # those that were booted have none
            for name, value in re.findall(r"(\w+) (\d+)", found[1]):
                values[name].append(int(value))
    return {name: statistics.median(some) for name, some in values.items()}


def judge_forks(lines):
    """Prints the figures of the part "forks", and returns what is wrong with them."""
    lines = list(lines_of("forks", lines))
    boot, fork = median_ms(lines, "boot"), median_ms(lines, "fork")
    if not boot or not fork:
        return ["nested: failed: no boot, or no fork, was measured"]
    exits, parts = median_group(lines, "exits"), median_group(lines, "parts_us")
    for figure, value in (("nested_boot_ms", round(boot)), ("nested_fork_ms", round(fork, 1)),
                          ("nested_boots_per_fork", round(boot / fork)),
                          ("nested_fork_exits", exits), ("nested_fork_parts_us", parts)):
        print(json.dumps({"figure": figure, "value": value}))
    if not exits or not parts:
        return ["nested: failed: the forks have not counted their exits, or not timed their parts"]
    if boot < BOOT_PER_FORK * fork:
        return [f"nested: failed: a boot takes {boot:.0f} ms, a fork {fork:.1f} ms: more than "
                f"1/{BOOT_PER_FORK} of it"]
    return []


def run_parts(kernel, arguments):
    """The lines that the machine has printed."""
    began, lines = time.monotonic(), []
    with tempfile.NamedTemporaryFile() as file:
        make_initramfs(kernel, arguments).write(file)
        file.flush()
        for line in run_machine(kernel, file.name, arguments.cpu_limit):
            print(f"{time.monotonic() - began:6.1f} {line}", flush=True)
            lines.append(line)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"the machine and its making took {used.ru_utime + used.ru_stime:.0f} s of CPU time")
    return lines


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", action="append",
                        choices=(*PARTS, "topologies", "suite"))
    parser.add_argument("--forks", type=int, default=50)
    parser.add_argument("--storm", type=int, default=5, help="how many runners are killed")
    parser.add_argument("--suite", default="", help="arguments of ktests, for the part suite")
    parser.add_argument("--unit", action="append", default=[], type=os.path.realpath,
                        help="a program of unit tests, for the part unit; may be missing")
    parser.add_argument("--cpu-limit", type=int, default=CPU_LIMIT_S, help="seconds")
    for name in ("ktests", "sample", "schedulers"):
        parser.add_argument(name, type=os.path.realpath)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    os.environ.pop("KTESTS_KERNEL", None)  # the default one, whose modules were fetched
    kernel = pathlib.Path(subprocess.check_output([arguments.ktests, "kernel", "path"], text=True)
                          .strip())
    check_host(kernel)
    lines = run_parts(kernel, arguments)
    failed = told_with_context(lines)
    if "nested: end" not in lines:
        failed.append("nested: the machine ended before its last check: by itself, after "
                      f"{arguments.cpu_limit} s of CPU time, or because it did nothing any more")
    elif "forks" in (arguments.part or PARTS):
        failed += judge_forks(lines)
    print("\n".join(failed))
    return bool(failed)


sys.exit(main())
