#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is seen of a guest's kernel from outside is what the guest sees itself.

usage: inspect_walk.py SAMPLE_INSPECTED [KERNEL...]

A guest runs a scheduler with a map of each kind, says which tasks, maps and programs there are, and
its RAM is saved (tests/ramdump.py). Tasks, run queues, sched_ext, maps and programs are then read
from the RAM alone. KERNEL is as for --kernel; by default, those of 6.16, 7.0 and 7.3 that the cache
has.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

RAMDUMP = pathlib.Path(__file__).resolve().parent.parent / "ramdump.py"
KERNELS = ("6.16", "7.0", "7.3")
TIMEOUT_S = 400
MAGIC = 0x6B746573
POLICIES = {0: "normal", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline", 7: "ext"}
MAP_TYPES = {1: "HASH", 2: "ARRAY", 5: "PERCPU_HASH", 6: "PERCPU_ARRAY", 9: "LRU_HASH",
             26: "STRUCT_OPS", 29: "TASK_STORAGE", 33: "ARENA"}
WORKERS = {"SpinWait": 6, "IdleChurn": 2}


def check(condition, what, detail=""):
    if not condition:
        sys.exit(f"failed: {what}\n{detail}")
    print(f"ok: {what}", flush=True)


class Guest:
    """What the guest has said of itself."""

    def __init__(self, text):
        self.tasks, self.maps, self.programs = {}, {}, {}
        for tgid, pid, policy, state, comm in re.findall(
                r"(?m)^see task (\d+) (\d+) (\d+) (\S) (.*)$", text):
            self.tasks[int(pid)] = (int(tgid), int(policy), state, comm)
        for number, kind, key, value, entries, name in re.findall(
                r"(?m)^see map (\d+) (\d+) (\d+) (\d+) (\d+) (\S*)$", text):
            self.maps[int(number)] = (int(kind), int(key), int(value), int(entries), name)
        for number, _, runs, name in re.findall(
                r"(?m)^see prog (\d+) (\d+) (\d+) (\S*)$", text):
            self.programs[int(number)] = (int(runs), name)


def is_kworker(comm):
    """Kernel workers come and go, and /proc adds to their names what they work on."""
    return comm.startswith("kworker/")


def check_tasks(guest, tasks):
    seen = {task["pid"]: task for task in tasks}
    check(len(guest.tasks) > 40 and not any("error" in task for task in tasks),
          f"{len(tasks)} tasks are read without an error")
    lost = [pid for pid, (_, _, _, comm) in guest.tasks.items()
            if pid not in seen and not is_kworker(comm)]
    more = [task for task in tasks if task["pid"] not in guest.tasks
            and not is_kworker(task["comm"])]
    check(not lost and not more, "they are those of /proc", f"{lost} {more}")
    for pid, (tgid, policy, _, comm) in guest.tasks.items():
        task = seen.get(pid)
        if task is None:
            continue
        # /proc has names of kernel threads in full.
        same = task["comm"] == comm[:15] or is_kworker(comm) and is_kworker(task["comm"])
        if task["tgid"] != tgid or not same or task["policy"] != POLICIES[policy]:
            check(False, f"task {pid} is as in /proc", f"{task} {guest.tasks[pid]}")
    for comm, n in WORKERS.items():
        some = [task for task in tasks if task["comm"] == comm]
        check(len(some) == n and all(task["class"] == "ext" and task["cpu"] in (0, 1)
                                     and task["scx"]["state"] == "SCX_TASK_ENABLED"
                                     for task in some),
              f"{n} tasks {comm} are scheduled by sched_ext", some)
    spinners = [task for task in tasks if task["comm"] == "SpinWait"]
    check(all(task["state"] == "R" and task["on_rq"] and task["exec_ns"] > 0
              and "SCX_TASK_QUEUED" in task["scx"]["flags"] for task in spinners),
          "those that spin are runnable", spinners)
    sleeper = seen[2]
    check(sleeper["comm"] == "kthreadd" and sleeper["state"] == "S" and not sleeper["on_cpu"],
          "kthreadd sleeps", sleeper)


def check_runqueues(runqueues, tasks):
    pids = {task["pid"]: task for task in tasks}
    check([rq["cpu"] for rq in runqueues] == [0, 1], "there is a run queue for each CPU")
    for rq in runqueues:
        cpu, scx = rq["cpu"], rq["scx"]
        running = rq["curr"]["pid"]
        check(rq["idle"]["comm"] == f"swapper/{cpu}" and rq["clock"] > 10**9
              and "SCX_RQ_ONLINE" in scx["flags"] and rq["nr_running"] >= scx["nr_running"] > 0,
              f"CPU {cpu} is online and busy", rq)
        check(not running or pids[running]["on_cpu"] and pids[running]["cpu"] == cpu,
              f"the task that runs on CPU {cpu} says so, too", rq)
        runnable = {task["pid"] for task in scx["runnable"]}
        # The one that runs is counted, but not in the list.
        check(scx["nr_running"] - len(scx["runnable"]) in (0, 1) and runnable
              and running not in runnable and all(pids[pid]["cpu"] == cpu for pid in runnable)
              and all(0 <= task["runnable_for"] < 10**5 for task in scx["runnable"]),
              f"CPU {cpu} has as many runnable tasks as it says", rq)


def check_scx(scx, tasks):
    scheds = scx["schedulers"]
    check(scx["state"] == "SCX_ENABLED" and len(scheds) == 1 and scheds[0]["root"]
          and scheds[0]["name"] == "maps" and scheds[0]["exit_kind"] == "SCX_EXIT_NONE"
          and scheds[0]["exit_info"]["kind"] == "SCX_EXIT_NONE", "there is one scheduler", scheds)
    events = scheds[0]["events"]
    check(len(events) >= 9 and all(len(event["cpus"]) == 2 and sum(event["cpus"]) == event["sum"]
                                   for event in events.values())
          and events["SCX_EV_BYPASS_ACTIVATE"]["sum"] >= 1
          and events["SCX_EV_BYPASS_DURATION"]["sum"] > 1000,
          f"it has {len(events)} event counters, and has been bypassed when it was enabled", events)
    queues = scx["queues"]
    kinds = [queue["kind"] for queue in queues]
    check(kinds.count("local") == 2 and kinds.count("global") == 1 and kinds.count("user") == 1
          and kinds.count("bypass") in (0, 2), "there are the dispatch queues of this kernel",
          kinds)
    check(all(queue["id"] == "SCX_DSQ_LOCAL" and queue["seq"] > 0 for queue in queues
              if queue["kind"] == "local"), "local queues have been used", queues)
    user = next(queue for queue in queues if queue["kind"] == "user")
    check(user["id"] == 7 and user["nr"] == len(user["tasks"]) >= 3 and user["seq"] > 10,
          f"{user['nr']} tasks wait in the queue of the scheduler", user)
    waiting = {task["pid"] for task in tasks
               if task.get("scx", {}).get("dsq") == user["address"]}
    check({task["pid"] for task in user["tasks"]} == waiting,
          "they are the tasks that say so themselves", f"{user} {waiting}")


def pair(number):
    return {"key": number, "halves": [number, number + 1], "square": number * number,
            "mood": "MOOD_BUSY" if number & 1 else "MOOD_CALM"}


def check_map_list(guest, maps):
    check(sorted(guest.maps) == [a_map["id"] for a_map in maps] and len(maps) >= 12,
          f"there are the {len(maps)} maps that bpf(2) has", maps)
    for a_map in maps:
        kind, key, value, entries, name = guest.maps[a_map["id"]]
        same = (a_map["type"] == "BPF_MAP_TYPE_" + MAP_TYPES[kind] and a_map["name"] == name
                and (a_map["key_size"], a_map["value_size"], a_map["max_entries"])
                == (key, value, entries))
        # Of a struct_ops, bpf(2) shows the size of the value without the kernel's part of it.
        if not same:
            check(False, f"map {name} is as bpf(2) has it", f"{a_map} {guest.maps[a_map['id']]}")


def check_maps(guest, maps, has_arena):
    check_map_list(guest, maps)
    by_name = {a_map["name"]: a_map for a_map in maps}

    def entries(name):
        return [entry for entry in by_name[name]["entries"] if "truncated" not in entry]

    def variables(name):
        return by_name[name]["variables"]

    check([(entry["index"], entry["value"]) for entry in entries("table")]
          == [(number, pair(number)) for number in range(4)], "array", by_name["table"])
    check([entry["cpus"] for entry in entries("per_cpu")] == [[0, 0], [1000, 1001]],
          "per-CPU array", by_name["per_cpu"])
    check(len(entries("pairs")) == len({entry["key"] for entry in entries("pairs")}) == 32
          and all(entry["value"] == pair(entry["key"]) for entry in entries("pairs"))
          and "truncated" in by_name["pairs"]["entries"][-1], "hash", by_name["pairs"])
    check(len(entries("recent")) == 32
          and all(entry["key"] == 10 * entry["value"] for entry in entries("recent")), "LRU hash",
          by_name["recent"])
    check([(entry["key"], sum(entry["cpus"])) for entry in entries("per_cpu_hash")] == [(3, 55)],
          "per-CPU hash", by_name["per_cpu_hash"])
    check(len(entries("notes")) == 32
          and all(entry["value"] == {"magic": MAGIC, "pid": entry["pid"]}
                  for entry in entries("notes")), "task storage", by_name["notes"])
    if has_arena:
        check([(entry["page"], entry["value"][:8]) for entry in entries("arena")]
              == [(0, MAGIC.to_bytes(4, "little").hex()), (1, "00000000")], "arena",
              by_name["arena"])
    check(variables("maps.data")["first"] == {**pair(11), "halves": [1, 2]}
          and variables("maps.data")["negative"] == -3
          and variables("maps.rodata")["greeting"] == "hello"
          and variables("maps.rodata")["slice_us"] == 20000
          and variables("maps.bss")["last"] == {"key": 99, "halves": [0, 0], "mood": "MOOD_BUSY",
                                                "square": 0}
          and variables("maps.bss")["nr_queued"] > 10, "data sections",
          [variables(name) for name in ("maps.data", "maps.rodata", "maps.bss")])
    ops = entries("maps_ops")[0]["value"]
    check(ops["data"]["name"] == "maps" and ops["data"]["flags"] == 0, "struct_ops", ops)


def check_programs(guest, programs):
    check({number: name for number, (_, name) in guest.programs.items()}
          == {program["id"]: program["name"] for program in programs} and len(programs) >= 5,
          f"there are the {len(programs)} programs that bpf(2) has", programs)
    for program in programs:
        runs, name = guest.programs[program["id"]]
        check(program["runs"] >= runs and program["type"] == "BPF_PROG_TYPE_STRUCT_OPS"
              and program["jited"], f"program {name} has run at least {runs} times", program)
        check(name != "maps_enqueue" or runs > 0 and program["ns"] > program["runs"],
              f"program {name} took {program['ns']} ns", program)


def look(sample, ram, word):
    done = subprocess.run([sample, "inspect", "--vmcore", ram, "--format", "json", word],
                          stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=False)
    check(done.returncode == 0, f"ktests inspect {word}", done.stdout)
    return json.loads(done.stdout)[word]


def check_kernel(sample, kernel):
    with tempfile.TemporaryDirectory() as directory:
        ram = pathlib.Path(directory) / "ram"
        done = subprocess.run([RAMDUMP, ram, sample, "inspected", "--time", "real", "--kernel",
                               kernel], stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S,
                              check=False)
        check(done.returncode == 0, f"a guest with kernel {kernel}", done.stdout)
        seen = look(sample, ram, "all")
    guest = Guest(done.stdout)
    check(seen["kernel"]["release"].startswith(kernel), f"it is {seen['kernel']['release']}")
    check_tasks(guest, seen["tasks"])
    check_runqueues(seen["runqueues"], seen["tasks"])
    check_scx(seen["scx"], seen["tasks"])
    check_maps(guest, seen["maps"], any(kind == 33 for kind, *_ in guest.maps.values()))
    check_programs(guest, seen["programs"])


def cached(sample):
    """The kernels that need not be fetched."""
    done = subprocess.run([sample, "kernel", "list"], stdout=subprocess.PIPE, text=True,
                          check=False)
    return [kernel for kernel in KERNELS if re.search(rf"(?m)^\W*{re.escape(kernel)}\.",
                                                     done.stdout)]


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    kernels = sys.argv[2:] or cached(sys.argv[1])
    if not kernels:
        print("skipped: no kernel is in the cache")
        return 77
    for kernel in kernels:
        check_kernel(sys.argv[1], kernel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
