#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`ktests inspect` on the RAM of guests, compared with what the guests say of themselves.

A template's RAM is compared with its HELO. Then a bzImage boots, with KASLR and with the page
tables of five levels that the CPU model has, and prints files of its /proc; while it boots, the
file that is its RAM is looked at again and again: it either has no kernel yet or gives all values.
Machines of tests are looked at by `ktests inspect -t`.

usage: inspect.py SOURCE_ROOT KTESTS [KERNEL...]

A KERNEL is a directory of the cache; without one, the default kernel is used.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(sys.argv[1]) / "tests/nested"))
from initramfs import Initramfs  # noqa: E402

CPUS = 2
HOLE_END = 4 << 30  # where the RAM goes on that is not below the hole
TEXT = 0xffffffff81000000  # _text and the direct map of five levels without KASLR
DIRECT_MAP = 0xff11000000000000
LOOK_EVERY_S = 0.1  # leaves the guest the CPU that looking takes from it
TIMEOUT_S = 600
NOT_YET = "VMCOREINFO"

# What the guest says. The task "sleep" stands still, so that its values do not change meanwhile.
INIT = r"""#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /dev; $b mount -t proc proc /proc; $b mount -t devtmpfs dev /dev
$b hostname seen-from-outside
$b sleep 1000 &
pid=$!
$b renice -n 5 -p $pid
$b sleep 1
echo "@pid $pid"
echo "@stat $($b cat /proc/$pid/stat)"
echo "@switches $($b awk '/^voluntary/ {print $2}' /proc/$pid/status)"
echo "@version $($b cat /proc/version)"
echo "@cmdline $($b cat /proc/cmdline)"
$b awk '/^processor/ {cpu = $3} /^apicid/ {print "@cpu " cpu " " $3}' /proc/cpuinfo
$b grep -E ' (init_task|jiffies_64|runqueues|schedule|_text|_end)$' /proc/kallsyms |
	$b sed 's/^/@symbol /'
echo "@end"
while :; do $b sleep 1000; done
"""


def check(condition, what, detail=""):
    if not condition:
        sys.exit(f"failed: {what}\n{detail}")
    print(f"ok: {what}", flush=True)


def inspect(ktests, ram, *paths):
    return subprocess.run([ktests, "inspect", "--vmcore", ram, "--format", "json", *paths],
                          capture_output=True, text=True, timeout=TIMEOUT_S)


def values(ktests, ram, *paths):
    run = inspect(ktests, ram, *paths)
    check(run.returncode == 0, f"{len(paths)} paths are shown" if paths else "the kernel is found",
          run.stderr)
    return json.loads(run.stdout)


def cache():
    return pathlib.Path(subprocess.run([sys.argv[2], "kernel", "path"], capture_output=True,
                                       text=True).stdout.strip())


def check_template(ktests):
    """The newest template is one of the test that has just run."""
    run = subprocess.run([ktests, "--exact", "-t", "trivial"], capture_output=True, text=True,
                         timeout=600)
    check(run.returncode == 0, "a template is there", run.stdout + run.stderr)
    templates = cache().parent.parent / "templates"
    newest = max((path for path in templates.glob("*/meta.json")),
                 key=lambda path: path.stat().st_mtime).parent
    hello = json.loads((newest / "meta.json").read_text())["hello"]
    facts = values(ktests, newest / "ram")
    check(facts["release"] == hello["release"] and facts["cpus"] == hello["cpus"],
          f"the template's kernel is {hello['release']} with {hello['cpus']} CPUs", facts)
    seen = values(ktests, newest / "ram", "page_offset_base", "phys_base", "task(1).pid")
    check(seen["page_offset_base"] == hello["page_offset_base"]
          and seen["phys_base"] == int(hello["phys_base"], 16) and seen["task(1).pid"] == 1,
          "its memory is where HELO says", f"{seen}\n{hello}")


class Guest:
    """A bzImage on a file of RAM, which prints what it is and then stands still."""

    def __init__(self, kernel, directory):
        self.ram, self.log = directory / "ram", directory / "log"
        image = Initramfs()
        image.add("/bin/busybox", pathlib.Path("/bin/busybox").read_bytes())
        image.add("/init", INIT.encode())
        image.add_directory("/proc")
        with open(directory / "initramfs", "wb") as file:
            image.write(file)
        # The first console of a kernel is a file of ours, which has no device node yet.
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=single", "-cpu", "max",
             "-m", "5G", "-smp", str(CPUS), "-nodefaults", "-display", "none", "-no-reboot",
             "-object", f"memory-backend-file,id=ram,size=5G,share=on,mem-path={self.ram}",
             "-machine", "memory-backend=ram", "-kernel", str(kernel / "vmlinuz"),
             "-initrd", str(directory / "initramfs"), "-serial", f"file:{self.log}",
             "-append", "console=ttyS0 panic=-1 tsc=reliable lpj=4000000 idle=halt"],
            stdin=subprocess.DEVNULL)

    def says(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def end(self):
        self.process.kill()
        self.process.wait()


def watch_boot(ktests, guest):
    """Looks at the RAM until the guest has said everything; returns the number of looks."""
    deadline, early, late = time.monotonic() + TIMEOUT_S, 0, 0
    while "@end" not in guest.says():
        if time.monotonic() > deadline or guest.process.poll() is not None:
            guest.end()
            sys.exit(f"failed: the guest boots\n{guest.says()[-3000:]}")
        time.sleep(LOOK_EVERY_S)
        if not guest.ram.exists():
            continue
        run = inspect(ktests, guest.ram, "init_task.pid")
        if run.returncode == 0:
            late += 1
        else:
            check_quiet(NOT_YET in run.stderr and not late, run.stderr)
            early += 1
    return early, late


def check_quiet(condition, detail):
    if not condition:
        sys.exit(f"failed: a kernel that boots is not there yet, and nothing else\n{detail}")


def check_values(ktests, guest):
    said = dict(re.findall(r"@(\w+) (.*)", guest.says()))
    symbols = re.findall(r"@symbol (\w+) \w (\w+)", guest.says())
    pid, stat = said["pid"], said["stat"].rsplit(")", 1)[1].split()
    task = f"task({pid})"
    seen = values(ktests, guest.ram, "init_uts_ns.name.nodename", "saved_command_line",
                  "linux_banner", f"{task}.comm", f"{task}.static_prio", f"{task}.nvcsw",
                  f"{task}.start_boottime", f"{task}.real_parent->pid", f"{task}.tgid",
                  f"container_of(&{task}.tasks, struct task_struct, tasks).pid",
                  *(f"&{name}" for _, name in symbols))
    expected = {
        "init_uts_ns.name.nodename": "seen-from-outside",
        "saved_command_line": said["cmdline"],
        "linux_banner": said["version"] + "\n",
        f"{task}.comm": "busybox",
        f"{task}.static_prio": 120 + int(stat[16]),
        f"{task}.nvcsw": int(said["switches"]),
        f"{task}.real_parent->pid": 1,
        f"{task}.tgid": int(pid),
        f"container_of(&{task}.tasks, struct task_struct, tasks).pid": int(pid),
    }
    for path, value in expected.items():
        check(seen[path] == value, f"{path} is {value!r}", f"it is {seen[path]!r}")
    ticks = seen[f"{task}.start_boottime"] // 10_000_000
    check(ticks == int(stat[19]), f"it was started at tick {ticks}", stat[19])
    check_layout(ktests, guest, task)
    for address, name in symbols:
        found = seen[f"&{name}"].split()[0]
        check(int(found, 16) == int(address, 16), f"{name} is at {address}", found)


def number(value):
    """A value of JSON, which is a text where JSON's numbers end, or behind a pointer's name."""
    return value if isinstance(value, int) else int(value.split()[0], 16)


def check_layout(ktests, guest, task):
    """KASLR, five levels, RAM above the hole, and the memory of each CPU."""
    facts = values(ktests, guest.ram)
    text = int(re.search(r"@symbol (\w+) \w _text\b", guest.says()).group(1), 16)
    # One boot in some hundred has the image where it is without KASLR, but none the direct map.
    check(facts["levels"] == 5 and facts["kaslr"] == text - TEXT,
          f"five levels, and an image moved by {facts['kaslr']:#x}", facts)
    per_cpu = {f"cpu_info[cpu {cpu}].topo.apicid": int(apic)
               for cpu, apic in re.findall(r"@cpu (\d+) (\d+)", guest.says())}
    per_cpu |= {f"runqueues[cpu {cpu}].cpu": cpu for cpu in range(CPUS)}
    seen = values(ktests, guest.ram, "page_offset_base", f"&{task}", *per_cpu)
    base = number(seen["page_offset_base"])
    check(base != DIRECT_MAP, f"the direct map is moved to {base:#x}")
    where = number(seen[f"&{task}"]) - base
    check(HOLE_END <= where < HOLE_END + (5 << 30), f"{task} is above the hole, at {where:#x}")
    check(len(per_cpu) == 2 * CPUS and all(seen[path] == value for path, value in per_cpu.items()),
          f"each of {CPUS} CPUs has its own values", f"{seen} {per_cpu}")


def check_errors(ktests, guest, page, release):
    """The errors that the documentation shows are those that people get."""
    section = page.read_text().split("## Errors")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```text\n(.*?)^```", section, re.M | re.S)
    errors = [example.split("\n", 1) for example in block.split("$ ")[1:]]
    for path, error in errors:
        error = " ".join(error.split()).removesuffix("...").replace("RELEASE", release)
        run = inspect(ktests, guest.ram, path)
        check(run.returncode == 99 and error in run.stderr, f"{path}: {error}",
              run.stderr or run.stdout)
    check(len(errors) > 10, "the documentation shows errors")


def check_guest(ktests, kernel):
    base = "/dev/shm" if pathlib.Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kt-inspect-", dir=base) as directory:
        guest = Guest(kernel, pathlib.Path(directory))
        try:
            early, late = watch_boot(ktests, guest)
            check(early, f"the RAM was looked at {early} times before there was a kernel in it")
            facts = values(ktests, guest.ram)
            check(facts["release"] == kernel.name and facts["cpus"] == CPUS,
                  f"the kernel is {kernel.name} with {CPUS} CPUs", facts)
            check_values(ktests, guest)
            check_errors(ktests, guest, pathlib.Path(sys.argv[1]) / "docs/inspect.md", kernel.name)
        finally:
            guest.end()


def inspect_test(ktests, *arguments):
    return subprocess.run([ktests, "inspect", "--format", "json", "--exact", *arguments],
                          capture_output=True, text=True, timeout=TIMEOUT_S)


def check_test(ktests):
    """A test is looked at in its steps, and by a context that is there before the kernel."""
    for step, name in (("0", "fifo"), ("1", "vtime")):
        run = inspect_test(ktests, "-t", "scx_steps", "--step", step, "scx_root->ops.name")
        check(run.returncode == 0 and json.loads(run.stdout) == {"scx_root->ops.name": name},
              f"step {step} of scx_steps has the scheduler {name}", run.stdout + run.stderr)
    run = inspect_test(ktests, "-t", "kernel_release", "nr_cpu_ids", "nr_cpus")
    check(run.returncode == 99 and "nr_cpu_ids" in run.stdout and "'nr_cpus'" in run.stderr,
          "a path that cannot be shown does not hide the others", run.stdout + run.stderr)
    for boot in range(3):
        run = inspect_test(ktests, "--boot", "cold", "-t", "kernel_release", "system_state")
        check(run.returncode == 0 and "SYSTEM_RUNNING" in run.stdout
              and run.stderr.count("cannot be seen yet") == 1,
              f"boot {boot}: a kernel that was not there was found later, and told of once",
              run.stdout + run.stderr)


def main():
    ktests = sys.argv[2]
    check_test(ktests)
    kernels = [pathlib.Path(path) for path in sys.argv[3:]] or [cache()]
    check_template(ktests)
    for kernel in kernels:
        check_guest(ktests, kernel)


main()
