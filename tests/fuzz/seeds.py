#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the corpus anew: well-formed inputs, as small as they can be.

usage: seeds.py

The seeds are in the repository; this says how they were made. Files that a fuzzer has found are
left alone.
It needs gcc, clang and llvm-objcopy.
"""

import gzip
import json
import pathlib
import re
import struct
import subprocess
import tempfile

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"

WIRE_VERSION = int(re.search(r"KT_WIRE_VERSION (\d+)",
                             (CORPUS.parents[2] / "wire/message.h").read_text()).group(1))

HELLO = {
    "version": WIRE_VERSION,
    "build_id": "00112233445566778899aabbccddeeff00112233",
    "release": "6.16.3-cloud-amd64",
    "boot_ns": 123456789,
    "cpus": 4,
    "topology": {"numa_nodes": 1, "memory_nodes": 1, "llcs": 2, "cores": 0, "threads": 2,
                 "llc_cores": [3, 1]},
    "phys_base": "0x1000000",
    "page_offset_base": "0xffff888000000000",
    "text": "0xffffffff81000000",
    "die": "0xffffffff81001000",
    "kprobe_table": "0x0",
}
FAILURE = {
    "file": "a.c",
    "line": 12,
    "what": "x == 1",
    "expected": "1",
    "got": "2",
    "step": 1,
    "elapsed_ns": 1000,
    "excess_ns": 500,
    "excess_share": 0.25,
}
WORKER = {
    "cgroup": "w",
    "work": "spin",
    "group": 0,
    "iterations": 10,
    "cpu_ns": 1000,
    "run_delay_ns": 10,
    "switches": 2,
    "migrations": 1,
    "max_gap_ns": 5,
    "wake_p99_ns": 7,
}
RESULT = {
    "verdict": "fail",
    "reason": "because",
    "failures": [FAILURE],
    "duration_ns": 2000000,
    "since_begin_ns": 3000000,
    "exit_status": 1,
    "scenario": {"workers": [WORKER], "schedulers": [{"dump_lines_lost": 3}]},
}
OUTCOME = {
    "result": RESULT,
    "begin": 1000,
    "boot": 1,
    "fork": 2,
    "ready": 3,
    "run": 4,
    "teardown": 5,
}
KERNEL = {
    "release": "6.16.3",
    "build_id": "0011",
    "pvh": True,
    "btf": True,
    "virtio_console": True,
    "virtio_pci": True,
    "sched_ext": True,
    "broken_kfuncs": ["scx_bpf_dsq_insert"],
}
TEMPLATE = {
    "version": 2,
    "machine": "machine",
    "program": "program",
    "hello": HELLO,
    "received": "0x2",
    "sent": "0x3",
    "ram_len": "0x3",
    "ram_mtime_ns": "0x1",
    "ram_hash": "0x2",
    "ram_used": "0x1000",
    "state_hash": "0x3",
    "build_ns": "0x4",
    "files": [],
}

ELF_SOURCE = """
extern int puts(const char *);
const char banner[] = "Linux version 6.16.3 (somebody)";
int call(void) { return puts(banner); }
"""

BPF_SOURCE = """
typedef unsigned long long u64;
enum colour { RED, GREEN = 7 };
struct inner { int low : 3, high : 5; u64 number; char text[8]; enum colour colour; };
struct outer { struct { short a, b[2]; }; struct inner inner[3]; const struct outer *next; };
extern void scx_bpf_kick_cpu(int cpu, u64 flags) __attribute__((section(".ksyms")));
extern void scx_bpf_exit_bstr___compat(void) __attribute__((section(".ksyms")));
struct outer variable;
__attribute__((section("struct_ops/x"))) int program(void *ctx)
{
    scx_bpf_kick_cpu(variable.a, 0);
    scx_bpf_exit_bstr___compat();
    return 0;
}
"""


def put(target, name, data):
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data.encode() if isinstance(data, str) else data)


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def frame(kind, payload):
    return struct.pack("<4sIII", kind, len(payload), 0, 0) + payload


def frames():
    both = frame(b"SOUT", b"text\n") + frame(b"SETD", b"")
    put("frame", "right-in-pieces", b"\x01\x04" + both)
    put("frame", "right-at-once", b"\x01\xff" + both + frame(b"RSLT", bytes(32)))
    put("frame", "wrong-crc", b"\x00\xff" + both)
    put("frame", "too-long", b"\x00\xff" + struct.pack("<4sIII", b"SOUT", 0x7FFFFFFF, 0, 0))


def host_calls():
    """Each operation, with memory behind the request from which and to which it copies."""
    def call(op, length, address, *values):
        values = (*values, 0, 0, 0)[:3]
        return struct.pack("<IiIIQQQQ", 0, 1, op, length, address, *values)

    memory = bytes(range(64))
    put("hostcall", "ping", call(1, 0, 0))
    put("hostcall", "send", call(2, 16, 48) + memory)
    put("hostcall", "receive", call(3, 16, 64) + memory)
    turns = struct.pack("<QQIIII", 1, 0, 0, 16, 1, 0)
    put("hostcall", "seed", call(4, len(turns), 48) + turns)
    put("hostcall", "limit", call(5, 0, 0, 10**9))
    put("hostcall", "turns", call(6, 0, 0))
    put("hostcall", "outside", call(3, 65536, 2**64 - 8) + memory)


def messages():
    put("hello", "whole", compact(HELLO))
    put("hello", "other-version", compact({"version": 3}))
    header = struct.pack("<IIQQQQQ", 4, 1, 2000000, 3000000, 7, 5, 60000)
    put("result", "short", struct.pack("<IIQQQQQ", 1, 0, 1000, 2000, 7, 5, 60000))
    put("result", "long-times", struct.pack("<IIQQQQQ", 1, 0, 2**64 - 1, 2**63, *[2**64 - 1] * 3))
    put("result", "whole", header + compact(RESULT).encode())
    put("result", "inconclusive", header + compact({**RESULT, "verdict": "inconclusive"}).encode())
    put("outcome", "whole", compact(OUTCOME))
    # The hash is XXH64 of "a", NUL, "b", NUL.
    put("shard_record", "first-of-two", compact({
        "schema": "ktest-shard", "version": 1, "run": "r", "program": "cafe", "shard": 1, "of": 2,
        "partition": "slice", "timings": "0", "hash": "2b4d0fc9e4bf29e2", "all": ["a", "b"],
        "selected": ["a"], "kernels": ["6.12", "7.0"], "rounds": 1, "host": "h", "kernel": "6.12",
        "accel": "tcg", "time": "virtual", "retries": 0, "seed": "1",
        "complete": True, "elapsed_ms": 1,
        "results": [{"test": "a", "kernel": "7.0", "iteration": 1, "attempts": 1, "vcpus": 1,
                     "verdict": "pass", "ms": 1, "seed": "1", "file": "x.c", "line": 1}]}))
    put("results", "whole", compact({"version": 1, "test": "t", "verdict": "pass",
                                     "attempts": [{"result": RESULT}]}))
    put(
        "report",
        "whole",
        compact(OUTCOME) + "\0DEBUG DUMP\n==========\ndump\n==========\nEXIT: error\n",
    )
    texts = b"trivial\0\0xterm\0HOME=/\0PATH=/bin\0"
    lost = {"schedulers": [{"dump_lines_lost": 2**63 - 1}] * 2}
    put(
        "report",
        "lines-lost-wrap",
        compact({**OUTCOME, "result": {**RESULT, "scenario": lost}}) + "\0",
    )
    run = struct.Struct("<IIQIHH40sIIQQQIIII")
    put(
        "run",
        "test",
        run.pack(0, 1, 42, 100, 25, 80, bytes(40), 5, 3, 10**9, 42, 0, 1, 10000, 3, 0) + texts,
    )
    put(
        "run",
        "shell",
        run.pack(1, 1, 42, 100, 25, 80, bytes(40), 3, 0, 0, 0, 0, 0, 16, 1, 0) + b"\0\0\0",
    )


def host_tools():
    greeting = '{"QMP": {"version": {}, "capabilities": []}}\n'
    status = '{"return": {"status": "running"}, "id": %d}\n'
    stop = '{"timestamp": {}, "event": "STOP", "data": {"reason": "x"}}\n'
    put(
        "qmp",
        "in-order",
        b"\xff".join(
            [greeting.encode(), (status % 1).encode(), stop.encode(), (status % 4).encode()]
        ),
    )
    put(
        "qmp",
        "error",
        b"\xff".join(
            [greeting.encode(), b'{"error": {"class": "x", "desc": "y"}, "id": 1}\n', stop.encode()]
        ),
    )
    put("qmp", "error-without-id", b"\xff".join([b'{"error": {"desc": "not JSON"}}\n', b"[1]\n"]))
    put(
        "gdb",
        "in-order",
        b"\xff".join([b"00" * (17 * 8 + 8), b"ab" * 256, b"OK", b"OK", b"OK", b"5a" * 236,
                    b"T05thread:02;watch:ffffffff83007a00;"]),
    )
    text = b"hits" + b"jiffies_64"
    put("watch_op", "watch", struct.pack("<8I4Q", 1, 2, 1, 6, 0, 4, 10, 0, 7, 50, 16, 9) + text)
    put("watch_op", "unwatch", struct.pack("<8I4Q", 2, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 9) + b"hits")
    put("watch_op", "reply", struct.pack("<Ii", 1, -2) + b"no watch has the name")
    put("gdb", "refused", b"\xff".join([b"E22", b"", b"T05thread:01;", b"OK"]))
    put("gdb", "raw", b"\xff".join([b"!+$E01#a6", b"!$O", b"!K#9a$OK#9a"]))
    put(
        "kernel_index",
        "two",
        "linux-image-6.12.9+deb13-cloud-amd64 - Linux 6.12\n"
        "linux-image-7.0.13+deb13-cloud-amd64 - Linux 7.0\nlinux-image-6.1-amd64 - another\n",
    )
    put("kernel_index", "short-line", "W: no\nE:\n\n")


CAPSULE = {
    "machine": {"kernel": "7.0", "build_id": "01", "vmlinux": "", "nodes": 1, "memory_nodes": 0,
                "llcs": 1, "cores": 1, "threads": 1, "llc_cores": [], "memory_mib": 1,
                "disk_mib": 0, "net": False, "accel": "tcg",
                "vmm": "qemu", "time": "virtual", "insn_shift": 3,
                "host_calls": True, "conflicts": False, "single_thread": False, "qemu": "q",
                "qemu_major": 10, "qemu_minor": 0},
    "guest": {"runner": "ab", "wire": WIRE_VERSION, "received": "0x1", "sent": "0x2",
              "moment": "m", "listens": True},
    "test": {"name": "t", "verdict": "fail", "reason": "r", "seed": "0x7", "attempt": 1,
             "saved_ns": "0x1"},
}


def zstd(data):
    """A frame of zstd with one block that is not compressed."""
    return (struct.pack("<IBI", 0xFD2FB528, 0xA0, len(data))
            + (len(data) << 3 | 1).to_bytes(3, "little") + data)


def capsule():
    """Without its hashes, which the target corrects."""
    info = json.dumps(CAPSULE, separators=(",", ":")).encode()
    state = struct.pack("<I", 1) + bytes(232) + b"devices"
    pages = zstd(struct.pack("<II", 1, 200) + b"a" * 4096 + b"b" * 4096)
    chunk = struct.pack("<IIQ", 2, len(pages), 0) + pages
    packed = zstd(state)
    size = 64 + len(info) + len(packed) + len(chunk)
    header = struct.pack("<8sIIQQIIQIIQ", b"KTCAPSUL", 1, len(info), size, 0, len(state),
                         len(packed), 0, 1, 2, 0)
    return header + info + packed + chunk


def traced(task, cpu, at, event):
    """A line of ftrace."""
    return f"{task:>16}-1       [{cpu:03}] d..2. {at}: {event}\n"


def texts():
    put(
        "metrics", "fio", 'starting [1]\n{"jobs": [{"read": {"iops": 12.5, "ok": true}}], "n": 3}\n'
    )
    put("metrics", "twice", '{"a": 1, "a": 2, "b": {"": [[1]]}}')
    put("tap", "plan", "TAP version 13\n1..3\nok 1 - a # SKIP no\nnot ok 2 # TODO x\nnot ok 3\n")
    put("tap", "nested", "KTAP version 1\n  1..1\n  not ok 1\nok 1\n1..0 # SKIP none\nBail out! x")
    put("filter", "all-predicates",
        "test(=a) | tag(slow) & !kernel(6.16) - (scheduler(#f*) + topology(llcs=2)) or not "
        "file(cgroup.c) and all() | none()")
    put("filter", "regex", "test(/^cgroup_(freeze|thaw)+$/) | test(~a\\)b)")
    put("filter", "repeats", "test(/((a{99}){99}){99}/)")
    put("project", "all-members", compact({
        "retries": 2, "skip": ["a"], "junit": "j.xml", "timeout-multiplier": 1.5, "shuffle": True,
        "profiles": {"ci": {"retries": 3, "overrides": [{"filter": "all()", "slots": 2}]}},
        "overrides": [{"filter": "tag(slow)", "timeout": "2m", "retries": 0}]}))
    put("skip_file", "reasons", "# known\n\ncgroup_*  # fails\ntrivial\tslow\r\n")
    put("cpu_list", "stride", "0-15:2/4,20\n")
    put("cpu_list", "duration", "1.5ms")
    put("cpu_list", "size", "12MiB")
    loop = "".join(f"{i % 3}: (85) call x#5 ; R0={i}\nfrom 1 to 2: R1={i}\n" for i in range(12))
    put("verifier_log", "loop", "0: R1=ctx()\n" + loop + "processed 3 insns\n")
    switch = "prev_comm={} prev_pid={} prev_prio=120 prev_state={} ==> next_comm={} next_pid={}"
    put("guest_trace", "whole", "".join([
        "# tracer: nop\n##### CPU 1 buffer started ####\n",
        traced("ktest", 0, "10.000001", "tracing_mark_write: B|1|step running"),
        traced("ktest", 0, "10.000100", "sched_waking: comm=w pid=77 prio=120 target_cpu=001"),
        traced("<idle>", 1, "10.000110",
               f"sched_switch: {switch.format('swapper/1', 0, 'R', 'w', 77)} next_prio=120"),
        traced("w", 1, "10.000300",
               f"sched_switch: {switch.format('w', 77, 'S', 'swapper/1', 0)} next_prio=120"),
        traced("ktest", 0, "10.000400", "tracing_mark_write: I|1|scheduler enabled: fifo"),
        traced("ktest", 0, "10.000500", "tracing_mark_write: E|1|"),
        "# ktest: the test began at 10.000050000\n"]))
    put("guest_trace", "odd", "".join([
        "# ktest: the test began at 1.0\n",
        traced("a -b ==> ", 255, "1.000001", "sched_switch: "
               + switch.format(" prev_pid=1", 3, "R+", " ==> next_comm=\xff", 3) + " next_prio=-9"),
        traced("", 256, "1.1", "sched_waking: comm="),
        traced("", 0, "999999999.999999", "tracing_mark_write: E|1|"),
        traced("", 0, "0.000000", "tracing_mark_write: B|1|")]))
    put(
        "kernel_log",
        "exit",
        ' [    1.000001] sched_ext: BPF scheduler "fifo" disabled (runtime error)\n'
        " [    1.000002] sched_ext: fifo: it went wrong\n [    1.000003]    scx_exit+0x1/0x2\n"
        "#[    1.000004] from a process\n [    1.000005] WARNING: CPU: 1\n",
    )
    put("kernel_meta", "whole", compact(KERNEL))
    put("template", "whole", compact(TEMPLATE))
    put("capsule", "whole", capsule())


def btf(*types):
    """BTF of these types; a type may name itself or a later one, which no compiler writes."""
    body, strings = b"".join(types), b"\0a\0"
    return (
        struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(strings))
        + body
        + strings
    )


def impossible_types():
    typedef, array, composite = 8, 3, 4

    def kind(number, name, size, members=0):
        return struct.pack("<III", name, number << 24 | members, size)

    number = kind(1, 1, 4) + struct.pack("<I", 32)
    put("field", "typedef-of-itself", b"a=1\0" + btf(kind(typedef, 1, 2), kind(typedef, 1, 1)))
    put(
        "field",
        "unnamed-in-itself",
        b"a=1\0" + btf(kind(composite, 1, 4, 1) + struct.pack("<III", 0, 1, 0)),
    )
    # The bits before the last element are 2^64 - 32: a sum with the field's own wraps to 0.
    put(
        "field",
        "offset-wraps",
        b"a[%d][%d]=1\0" % (2**30 - 1, 2**29 - 1)
        + btf(
            number,
            kind(array, 0, 0) + struct.pack("<III", 1, 1, 2**29),
            kind(array, 0, 0) + struct.pack("<III", 2, 1, 2**31),
            kind(composite, 1, 4, 1) + struct.pack("<III", 1, 3, 0),
        ),
    )


VMCOREINFO = """OSRELEASE=9.9.9
BUILD-ID=00112233445566778899aabbccddeeff00112233
SYMBOL(init_top_pgt)=ffffffff82000000
SYMBOL(_stext)=ffffffff81000000
SYMBOL(kallsyms_names)=ffffffff81800000
SYMBOL(kallsyms_num_syms)=ffffffff817ffff8
SYMBOL(kallsyms_token_table)=ffffffff81900000
SYMBOL(kallsyms_token_index)=ffffffff81901000
SYMBOL(kallsyms_offsets)=ffffffff81a00000
NUMBER(phys_base)=-677380096
NUMBER(pgtable_l5_enabled)=1
NUMBER(KERNEL_IMAGE_SIZE)=1073741824
KERNELOFFSET=2da00000
"""


def kernel_ops():
    def item(target, value, name="", field="", data=b"", **numbers):
        get = numbers.get
        record = struct.pack(
            "<IIQQQIIIIII", target, value, get("address", 0), get("number", 0), get("start", 0),
            get("pid", 0), get("cpu", 0), get("any_class", 0), get("len", len(data)), len(name),
            len(field))
        return record + b"".join(text.encode() + b"\0" for text in (name, field) if text) + data

    def request(flags, *items):
        return struct.pack("<IIII", 7, flags, len(items), 0) + b"".join(items)

    put("kernel_op", "reads", request(
        2, item(1, 1, "scx_root->ops.name"), item(1, 7, "task(1)"), item(2, 3, "jiffies_64"),
        item(5, 2, "runqueues", "nr_running", cpu=1), item(6, 1, field="scx.dsq_vtime", pid=1),
        item(4, 4, address=0xffffffff81000000, len=16)))
    put("kernel_op", "writes", request(
        1, item(2, 3, "jiffies_64", number=5), item(1, 5, "task(1).usage", number=1),
        item(3, 4, data=b"abcdefgh", address=0xffff888000001000)))
    put("kernel_op", "reply", struct.pack("<II", 7, 2) + struct.pack("<iIQII", 0, 1, 5, 1, 1)
        + b"5" + struct.pack("<iIQII", -14, 0, 0, 4, 1) + b"none")


def put_chains():
    """Words whose uppermost byte is 1 lead to the word that bits 3 and up say."""
    def lead(word, odd=0):
        return struct.pack("<Q", 1 << 56 | word << 3 | odd)

    zero = bytes(8)
    put("chain", "list", b"\0" + lead(2) + zero + lead(4) + zero + lead(0) + zero)
    put("chain", "circle", b"\0" + lead(2) + zero + lead(4) + zero + lead(2) + zero)
    put("chain", "hlist", b"\1" + lead(2) + zero + lead(4) + zero + zero)
    put("chain", "nulls", b"\2" + lead(2) + zero + lead(4) + zero + lead(0, 1))
    # The table is at word 1: size and nest, the next table, buckets. A chain ends with an odd word.
    table = struct.pack("<II", 4, 0) + zero + zero + lead(8, 1) + zero + zero
    put("chain", "table", b"\3" + lead(1) + table + zero + lead(0, 1))
    nested = struct.pack("<II", 2048, 2) + zero + lead(4) + lead(8) + zero * 3
    put("chain", "nested", b"\3" + lead(1) + nested + lead(10) + zero + lead(0, 1))
    # Changes of words: {which, value}.
    put("walk", "as-it-is", b"")
    put("walk", "wild", struct.pack("<HQ", 40, 0xFFFFC90000001000) + struct.pack("<HQ", 700, 1))
    put("walk", "pointers", b"".join(struct.pack("<HQ", word, 1 << 56 | word * 64)
                                     for word in range(1100, 1400, 10)))


def stories():
    """Reports at which a scheduler errs: when it is claimed, told, and before."""
    task = {"pid": 7, "comm": "spin", "class": "ext", "cpu": 0, "cpus": "0x1", "on_rq": True,
            "runnable_for": 90, "address": "0x7", "exec_ns": 500,
            "scx": {"sched": "0xa", "dsq": "0xd", "ops_state": "SCX_OPSS_NONE",
                    "flags": ["SCX_TASK_QUEUED"]}}
    hog = {"pid": 8, "comm": "hog", "class": "rt", "cpu": 0, "address": "0x8", "exec_ns": 900}
    sched = {"name": "f", "address": "0xa", "exit_kind": "SCX_EXIT_ERROR_STALL",
             "watchdog_timeout": 100, "exit_info": {"kind": "SCX_EXIT_NONE", "msg": ""}}
    queue = {"kind": "user", "id": 1, "address": "0xd", "nr": 1, "tasks": [{"pid": 7}]}
    claimed = {"name": "exit-claimed", "vcpu": 0, "kernel": {"jiffy_ns": 4000000},
               "scx": {"schedulers": [sched], "queues": [queue]}, "tasks": [task, hog],
               "runqueues": [{"cpu": 0, "online": 1, "clock": 5000}],
               "cpus": [{"cpu": 0, "mode": "kernel", "task": hog, "stack": [
                   "scx_claim_exit+0x1", "0x1004", "? x+0x1", "scx_tick+0x2"]}],
               "programs": [{"name": "f_tick", "code": "0x1000", "code_len": 64}]}
    info = {"kind": "SCX_EXIT_ERROR", "reason": "r", "exit_cpu": 0,
            "msg": "target CPU 3 not allowed for spin[7]"}
    told = {"scx": {"schedulers": [{**sched, "exit_kind": "SCX_EXIT_DONE", "exit_info": info}]}}
    before = {"name": "half-watchdog", "runqueues": [{"cpu": 0, "clock": 1000}],
              "tasks": [{**hog, "exec_ns": 100}]}
    put("story", "claimed", compact(claimed))
    put("story", "whole", "\0".join(map(compact, (claimed, told, before))))
    put("story", "text", compact({
        "scheduler": "f", "kind": "k", "reason": "r", "message": "m", "cpu": 0, "found_in": ["a"],
        "culprit": {"pid": 1, "comm": "c", "cpu": 0, "waited_jiffies": 3, "cause": "rt",
                    "queue": {"kind": "local", "cpu": 0, "nr": 1, "place": 0}},
        "waiting": [{"pid": 2, "comm": "d", "waited_ns": 5}], "more_waiting": 1,
        "cpus": [{"cpu": 0, "class": "idle", "ran": [{"pid": 1, "ns": 4}]}],
        "since": {"snapshot": "s", "ns": 5}}))


def snapshots():
    """Requests for snapshots and views, and changes to a stack and its tables."""
    def step(kind, text="", value="", number=0):
        return {"kind": kind, "text": text, "value": value, "number": number}

    def request(*steps, form=1, **members):
        return compact({"id": 7, "op": 2, "name": "x", "periodic": False, "elapsed": -1, "step": -1,
                        "form": form, "steps": steps, **members})

    maps = [{"id": 1, "name": "a.bss", "max_entries": 1, "scheduler": "0xff10",
             "variables": {"n": 5, "big": "0xffffffffffffffff", "gone": {"truncated": True}}},
            {"id": 2, "name": "hash", "max_entries": 8, "entries": [
                {"key": 5, "value": {"n": 50}}, {"index": 0, "cpus": [{"v": 1}, 2]},
                {"truncated": 3}]}]
    report = compact({"scx": {"schedulers": [{"root": True, "address": "0xff10"}]}, "maps": maps,
                      "runqueues": [{"cpu": 0, "nr": 1}], "programs": {"error": "none"}})
    put("snapshot", "capture", request(form=0, op=1, elapsed=5, step=0))
    put("snapshot", "variable", request(step(3), step(2, "n")) + "\0" + report)
    put("snapshot", "entry", request(step(1, "hash"), step(5, "key", number=5), step(9, "n"))
        + "\0" + report)
    put("snapshot", "cpus", request(step(1, "2"), step(4, number=1), step(8, number=0),
                                    step(9, "v"), form=3) + "\0" + report)
    put("snapshot", "greatest", request(step(1, "hash"), step(7, "n"), step(9, "..key"), form=5)
        + "\0" + report)
    put("snapshot", "count", request(step(1, "hash"), form=6) + "\0" + report)
    put("snapshot", "reply", compact({
        "id": 7, "result": 0, "replaced": False, "error": "", "samples": [
            {"name": "x", "elapsed": 5, "fault": 0, "number": -1, "real": 0.5, "text": "t"}]}))

    stories()

    def change(area, at, value):
        return struct.pack("<HQ", area << 14 | at, value)

    stack, code = 1 << 56, 1 << 63
    frames = [change(0, 9, code | 8 * 8 + 4), change(0, 8, stack | 96), change(0, 13, code | 67)]
    put("stack", "as-it-is", b"")
    put("stack", "frames", b"".join(frames))
    put("stack", "registers", change(3, 7, stack | 8) + change(3, 16, code | 9))
    put("stack", "circle", change(0, 8, stack | 64) + change(0, 9, code | 65))
    put("stack", "tables", b"".join(change(2, at, at * 257) for at in range(30, 160, 9)))


def inspection():
    """What vmm/inspect/ decodes."""
    put("vmcoreinfo", "whole", VMCOREINFO)
    put("vmcoreinfo", "not-complete", VMCOREINFO[: VMCOREINFO.index("KERNELOFFSET")])
    odd_mask = VMCOREINFO.replace("KERNELOFFSET", "NUMBER(sme_mask)=many\nKERNELOFFSET")
    put("vmcoreinfo", "odd-optional-number", odd_mask)
    put("kallsyms", "as-they-are", b"")
    put("kallsyms", "two-names", struct.pack("<I", 2) + b"\x07D_stext\x06D_text")
    put("kallsyms", "long-name", struct.pack("<I", 1) + b"\x80\x02" + b"x" * 256)
    put("kernel_path", "members", "task(1).scx.dsq_vtime\nscx_root->ops.name\njiffies_64\n")
    put("kernel_path", "cpus", "runqueues[cpu 1].nr_running\nscx_root->pcpu[cpu 0].events\n")
    put("kernel_path", "casts", "((struct rq *)0x10)->curr\n(u64)tiny_scratch\n*scx_root\n")
    put("kernel_path", "bits", "task(1).sched_level\ntask(1).table[1][2]\ntask(1).name\n")
    put(
        "kernel_path",
        "containers",
        "container_of(init_task.tasks.next, struct task_struct, tasks).pid\n&init_task\n",
    )
    number = struct.pack("<III", 1, 1 << 24, 4) + struct.pack("<I", 32)
    loop = struct.pack("<III", 1, 4 << 24 | 2, 4) + struct.pack("<IIIIII", 1, 1, 0, 0, 2, 0)
    put("kernel_btf", "in-itself", btf(number, loop))
    put("kernel_btf", "array", btf(number, struct.pack("<IIIIII", 0, 3 << 24, 0, 1, 1, 4)))

    def entry(table, slot, value):
        return struct.pack("<Q", (table * 512 + slot) << 48 | value)

    kva = struct.pack("<Q", 0xFFFFC90000000123)
    four = entry(0, 402, 0x1003) + entry(1, 0, 0x2003) + entry(2, 0, 0x3003) + entry(3, 0, 0x4003)
    put("page_table", "four-levels", four + kva)
    put("page_table", "large", four[:16] + entry(2, 0, 0x83) + kva)
    put("page_table", "in-itself", entry(0, 402, 3) + kva)
    put_chains()
    put("xarray", "one-node", struct.pack("<Q", 1 << 56) + bytes(16) + struct.pack("<Q", 0x1000))
    put(
        "xarray",
        "two-levels",
        struct.pack("<QQQ", 1 << 56, 6, 2 << 56) + bytes(520) + struct.pack("<Q", 0x1000),
    )
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2,
                         0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 0, 256, 0, 4096, 64, 64, 0)
    note = struct.pack("<IIQQQQQQ", 4, 0, 320, 0, 0, 28, 28, 4)
    info = struct.pack("<III12s4s", 11, 4, 0, b"VMCOREINFO\0", b"OSR=")
    core = (header + load + note).ljust(256, b"\0") + b"x" * 64 + info
    put("vmcore", "core", core)
    put("vmcore", "raw", bytes(4096))
    names = b"Dtext\0"
    parts = [
        struct.pack("<Q", 0xFFFFFFFF81000000),
        struct.pack("<I", 1),
        struct.pack("<IIII", 0, 1, 0, 0),
        names,
        struct.pack("<Ii", 1, -1),
        struct.pack("<IIII", 1, 0, 0, 0),
        b"",
    ]
    put(
        "symbol_cache",
        "whole",
        struct.pack("<8sIIIIIIQQ48sQQ", b"ktinspct", 2, 1, 4, 1, 4, 0, len(names), 0, b"aa", 0, 0)
        + b"".join(part.ljust((len(part) + 7) // 8 * 8, b"\0") for part in parts),
    )


def ldcache():
    strings = b"libc.so.6\0/lib/libc.so.6\0libm.so.6\0/lib/libm.so.6\0"
    at = 48 + 2 * 24
    entries = struct.pack("<iIIIQ", 0x0303, at, at + 10, 0, 0) + struct.pack(
        "<iIIIQ", 0x0303, at + 25, at + 35, 0, 0
    )
    new = (
        struct.pack("<20sIIB3xI12x", b"glibc-ld.so.cache1.1", 2, len(strings), 2, 0)
        + entries
        + strings
    )
    put("ldcache", "new", new)
    put("ldcache", "old-and-new", b"ld.so-1.7.0\0" + struct.pack("<I", 0) + new)


def bzimage():
    def image(payload):
        setup = bytearray(1024)
        setup[0x1F1] = 1
        setup[0x202:0x206] = b"HdrS"
        struct.pack_into("<II", setup, 0x248, 0, len(payload))
        return bytes(setup) + payload

    elf = b"\x7fELF" + bytes(60)
    zstd = subprocess.run(["zstd", "-q", "-c"], input=elf, capture_output=True, check=True).stdout
    put("bzimage", "gzip", image(gzip.compress(elf, mtime=0)))
    put("bzimage", "zstd", image(zstd + struct.pack("<I", len(elf))))
    put("bzimage", "xz", image(b"\xfd7zXZ\0" + bytes(16)))


def compile_to(directory, command, name, source):
    path = pathlib.Path(directory) / name
    subprocess.run([*command, "-o", path, "-x", "c", "-"], input=source, text=True, check=True)
    return path


def objects():
    with tempfile.TemporaryDirectory() as directory:
        bpf = compile_to(
            directory, ["clang", "-target", "bpf", "-O2", "-g", "-c"], "x.bpf.o", BPF_SOURCE
        )
        subprocess.run(["llvm-strip", "-g", bpf], check=True)
        btf = pathlib.Path(directory) / "btf"
        subprocess.run(["llvm-objcopy", f"--dump-section=.BTF={btf}", bpf], check=True)
        for name, path in {
            "member": "variable.inner[2].number=5",
            "bits": "variable.inner[0].high=1",
            "text": "variable.inner[1].text=abc",
            "enumerator": "variable.inner[1].colour=GREEN",
            "unnamed": "variable.b[1]=-7",
            "no-dot-after-an-index": "variable.b[1]x=-7",
        }.items():
            put("field", name, path.encode() + b"\0" + btf.read_bytes())
        put("kfuncs", "object", bpf.read_bytes())
        put("kfuncs", "in-a-program", b"text" + bpf.read_bytes())
        dump = compile_to(
            directory, ["clang", "-target", "bpf", "-O2", "-g", "-c"], "dump.bpf.o",
            'char uei_dump[1] __attribute__((section(".data.uei_dump")));\n',
        )
        subprocess.run(["llvm-strip", "-g", dump], check=True)
        put("enlarge", "object", dump.read_bytes())

        small = [
            "gcc",
            "-nostdlib",
            "-Os",
            "-fno-asynchronous-unwind-tables",
            "-Wl,--build-id",
            "-Wl,-z,noseparate-code",
            "-Wl,-z,norelro",
            "-Wl,-z,max-page-size=16",
            "-s",
        ]
        library = compile_to(
            directory,
            [*small, "-shared", "-fPIC", "-Wl,-rpath,$ORIGIN/${LIB}", "-Wl,--no-as-needed"],
            "x.so",
            ELF_SOURCE,
        )
        subprocess.run(
            [
                *small,
                "-shared",
                "-o",
                library,
                "-fPIC",
                "-x",
                "c",
                "-",
                "-Wl,-rpath,$ORIGIN/${LIB}",
                "-Wl,--no-as-needed",
                "-lc",
            ],
            input=ELF_SOURCE,
            text=True,
            check=True,
        )
        put("closure", "library", library.read_bytes())
        vmlinux = pathlib.Path(directory) / "vmlinux"
        subprocess.run(["llvm-objcopy", f"--add-section=.BTF={btf}", library, vmlinux], check=True)
        put("vmlinux", "with-btf", vmlinux.read_bytes())
        put("vmlinux", "without-btf", library.read_bytes())
        raw = btf.read_bytes()
        btf.write_bytes(raw[:4] + struct.pack("<I", 25) + raw[8:24] + b"\0" + raw[24:])
        subprocess.run(["llvm-objcopy", f"--add-section=.BTF={btf}", library, vmlinux], check=True)
        put("vmlinux", "odd-btf-header", vmlinux.read_bytes())


def scribble(ring, place, offset, data):
    """Bytes for a place of a ring: 0 its table, 1 its avail ring, 2 its used ring, 3 a buffer."""
    return struct.pack("<BHB", ring - 2 + 4 * place, offset, len(data)) + data


def one_request(ring, data, flags=0):
    """A buffer of a ring, made available as its descriptor 0."""
    gpa = 0x10000 + 0x4000 * ring + 0x3000
    return (
        scribble(ring, 3, 0, data)
        + scribble(ring, 0, 0, struct.pack("<QIHH", gpa, max(len(data), 16), flags, 0))
        + scribble(ring, 1, 0, struct.pack("<HHH", 0, 1, 0))
        + scribble(ring, 2, 0, b"")
    )


def kvm_devices():
    """The devices of the KVM machine: rings, accesses to PCI, a table of MSI-X, and a state."""
    control = struct.pack("<IHH", 1, 6, 1)  # the port is open
    put("kvm_queue", "open-write-read",
        one_request(3, control) + one_request(5, b"hello") + one_request(4, b"", 2))
    put("kvm_queue", "loop", scribble(5, 0, 0, struct.pack("<QIHH", 0x27000, 8, 1, 0))
        + scribble(5, 1, 0, struct.pack("<HHH", 0, 1, 0)))
    put("kvm_queue", "indirect",
        scribble(5, 3, 0, struct.pack("<QIHHQIHH", 0x27800, 8, 1, 1, 0x27900, 8, 0, 0))
        + scribble(5, 0, 0, struct.pack("<QIHH", 0x27000, 32, 4, 0))
        + scribble(5, 1, 0, struct.pack("<HHH", 0, 1, 0)))

    def access(kind, width, address, value=0):
        return struct.pack("<BBIQ", kind, width, address, value)

    put("kvm_pci", "ports", access(0, 2, 0, 0x80000810) + access(0, 2, 4, 0xffffffff)
        + access(4, 2, 4))
    put("kvm_pci", "move", access(1, 2, 0x8010, 0xc0000000) + access(1, 2, 0x8014, 1))
    put("kvm_pci", "queue", b"".join([
        access(2, 0, 20, 1), access(2, 0, 20, 3), access(2, 2, 8, 1), access(2, 2, 12, 1),
        access(2, 0, 20, 11), access(2, 1, 22, 5), access(2, 3, 32, 0x10000),
        access(2, 3, 40, 0x11000), access(2, 3, 48, 0x12000), access(2, 1, 28, 1),
        access(2, 0, 20, 15), access(2, 1, 0x3014, 5)]))
    put("kvm_pci", "window", access(1, 2, 0x808c, 18) + access(1, 2, 0x8090, 2)
        + access(5, 1, 0x8094))
    put("kvm_msix", "raise", b"".join(struct.pack("<BHQ", *step) for step in [
        (2, 0x8000, 0), (1, 16, 0xfee01000), (1, 24, 0x4021), (3, 1, 0), (2, 0xc000, 0), (3, 1, 0),
        (2, 0x8000, 0)]))
    put("kvm_disk", "read", bytes([15, 0xc0, 0x80, 0x80]) + struct.pack("<IIQ", 0, 0, 3))
    put("kvm_disk", "write", bytes([15, 0x40, 0x40, 0x80]) + struct.pack("<IIQ", 1, 0, 14) + b"abc")
    put("kvm_disk", "beyond", bytes([15, 0x41, 0x40, 0x80]) + struct.pack("<IIQ", 1, 0, 15))
    writes = [(3, 0x83), (0, 1), (1, 0), (3, 3), (2, 7), (4, 0x1b), (1, 2), (4, 0x0b), (0, 65)]
    sends = b"".join(bytes([1, port, value]) for port, value in writes)
    put("kvm_serial", "send", b"\0" + sends + bytes([0, 2, 0, 0, 5, 0]))
    put("kvm_serial", "state", b"\1" + bytes([2, 3, 11, 0, 7, 1, 0, 1]) + sends)
    config = bytearray(256)
    config[4] = 6
    struct.pack_into("<I", config, 0x10, 0xc0100000)
    struct.pack_into("<H", config, 0x9a, 0x8000)
    entries = b"".join(struct.pack("<QIIII", 0xfee00000, i, 0, 0, 0) for i in range(7))
    queues = b"".join(
        struct.pack("<QQQHHHHII", gpa, gpa + 0x1000, gpa + 0x2000, 128, i + 1, 0, 0, 1, 0)
        for i, gpa in enumerate(range(0x10000, 0x28000, 0x4000)))
    state = (struct.pack("<IIQIIHHBBxxII", 1000, 1, 1 << 32 | 2, 0, 0, 0, 0, 15, 0, 6, 7)
             + config + entries.ljust(384, b"\0") + queues.ljust(320, b"\0"))
    put("kvm_state", "console", state + struct.pack("<IIIIQ", 24, 1, 7, 1, 3) + b"abc")
    kvm_kernels()


def kvm_kernels():
    """A vmlinux of two program headers, a bzImage, and a state of two sections."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", 0x1000000)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0x1000000, 64, 0, 0, 64, 56,
                       2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 176, 0, 0x1000000, len(note), 4096, 4096)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 176, 0, 0, len(note), len(note), 4)
    put("kvm_boot", "vmlinux", head + load + notes + note)
    setup = bytearray(1024)
    setup[0x1f1] = 1
    setup[0x201] = 0x6a
    struct.pack_into("<4sH", setup, 0x202, b"HdrS", 0x20f)
    setup[0x211] = 1
    struct.pack_into("<H", setup, 0x236, 1)
    struct.pack_into("<QI", setup, 0x258, 0x1000000, 0x10000)
    put("kvm_boot", "bzimage", bytes(setup) + bytes(64))
    put("kvm_image", "state", b"TESTKVM\0" + struct.pack("<4sIQ", b"CLCK", 1, 16) + bytes(16)
        + struct.pack("<4sIQ", b"PCI ", 1, 4) + bytes(4))


def main():
    for make in (frames, host_calls, messages, host_tools, texts, impossible_types, kernel_ops,
                 snapshots, inspection, ldcache, bzimage, objects, kvm_devices):
        make()


main()
