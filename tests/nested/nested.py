#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""ktest on KVM, in a machine whose KVM is real: QEMU's TCG emulates AMD's SVM.

The outer machine has the runner, QEMU, the default kernel and its KVM modules; tests/nested/init.sh
says what runs there.

usage: nested.py KTESTS SAMPLE SCHEDULERS
"""

import json
import lzma
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from initramfs import Initramfs

SKIPPED = 77
MEMORY_MIB = 6144
CPU_LIMIT_S = 800  # four times what the machine needs; a busy host takes none of it
DEADLINE_S = 1800  # for a machine that does nothing any more
BEAT_S = 0.5
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


def make_initramfs(kernel, ktests, sample, schedulers):
    initramfs = Initramfs()
    initramfs.add("/bin/busybox", pathlib.Path(shutil.which("busybox")).read_bytes())
    initramfs.add("/init", (pathlib.Path(__file__).parent / "init.sh").read_bytes())
    for program in (shutil.which(QEMU), ktests, sample):
        initramfs.add_program(program)
    for path in (*FIRMWARE, "/etc/ld.so.cache", schedulers):
        initramfs.add_host(path)
    for name in KERNEL_FILES:
        initramfs.add(f"/cache/ktest/kernels/{kernel.name}/{name}", (kernel / name).read_bytes())
    for path in (module_file(kernel, name) for name in GUEST_MODULES):
        initramfs.add(f"/cache/ktest/kernels/{kernel.name}/{path.relative_to(kernel)}",
                      path.read_bytes())
    modules = []
    for name in MODULES:
        modules.append(f"/modules/{os.path.basename(name)}.ko")
        initramfs.add(modules[-1], module_bytes(module_file(kernel, name)))
    initramfs.add("/env", f'KTESTS={ktests}\nSAMPLE={sample}\nMODULES="{" ".join(modules)}"\n'
                  .encode())
    return initramfs


def beat(serial):
    """Interrupts the machine twice a second, by a byte on its serial port that nobody reads.

    QEMU 10 loses an interrupt of its local APIC now and then while a guest of the guest runs: the
    vector waits in IRR, and CPU_INTERRUPT_HARD is not set. If it was the timer's, and the inner
    guest spins (stop_machine(), virtio_console), neither of both machines ever goes on: on a quiet
    host one run of three. Any other interrupt makes QEMU look again.
    """
    try:
        while True:
            serial.write("\n")
            serial.flush()
            time.sleep(BEAT_S)
    except OSError:
        pass  # the machine has ended


def run_machine(kernel, initramfs):
    """The lines that the machine prints, as they come, until it ends or is out of time."""
    pvh = json.loads((kernel / "meta.json").read_text())["pvh"]
    boot = kernel / ("vmlinux" if pvh else "vmlinuz")
    process = subprocess.Popen(
        [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
         # TCG executes two CPUs at the same time, and then its SVM is not reliable: on a host with
         # nothing else to do, the kernels of both machines failed in 3 of 5 runs ("scheduling while
         # atomic", a reset).
         "-machine", "q35", "-accel", "tcg", "-cpu", "max,+svm,+npt", "-smp", "1",
         "-m", f"{MEMORY_MIB}M", "-kernel", str(boot), "-initrd", initramfs,
         "-append", "console=ttyS0 loglevel=5 panic=-1 idle=halt mitigations=off tsc=reliable",
         "-serial", "stdio"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S)))
    threading.Thread(target=beat, args=[process.stdin], daemon=True).start()
    late = threading.Timer(DEADLINE_S, process.kill)
    late.start()
    try:
        yield from (line.rstrip() for line in process.stdout)
    finally:
        late.cancel()
        process.kill()
        process.wait()


def main():
    ktests, sample, schedulers = (os.path.realpath(arg) for arg in sys.argv[1:4])
    os.environ.pop("KTESTS_KERNEL", None)  # the default one, whose modules were fetched
    kernel = pathlib.Path(subprocess.check_output([ktests, "kernel", "path"], text=True).strip())
    check_host(kernel)
    began, ended, failed = time.monotonic(), False, []
    with tempfile.NamedTemporaryFile() as file:
        make_initramfs(kernel, ktests, sample, schedulers).write(file)
        file.flush()
        for line in run_machine(kernel, file.name):
            print(f"{time.monotonic() - began:6.1f} {line}", flush=True)
            ended |= line == "nested: end"
            failed += [line] if line.startswith("nested: failed: ") else []
    if not ended:
        failed.append(f"nested: the machine ended before its last check: by itself, after "
                      f"{CPU_LIMIT_S} s of CPU time, or after {DEADLINE_S} s")
    print("\n".join(failed))
    return bool(failed)


sys.exit(main())
