#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""drgn and `ktests inspect` read the same values from a core of a guest.

usage: cross_check.py KTESTS

The two have nothing in common but the core: drgn walks the page tables itself, the addresses of
symbols are those of the guest's /proc/kallsyms, and the types are what bpftool makes of the BTF.
crash cannot take part: it needs DWARF, which the kernels that are booted do not come with.

Skipped if no Python has the module drgn (Debian: python3-drgn).
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

TIMEOUT_S = 300
SKIP = 77
TEST = "kernel_targets"  # of two CPUs

# A path of ours, and the same for drgn: symbol(NAME, TYPE, CPU) is a variable, task(PID) a task.
PATHS = {
    "init_uts_ns.name.release": "symbol('init_uts_ns', 'struct uts_namespace').name.release",
    "jiffies_64": "symbol('jiffies_64', 'u64')",
    "nr_cpu_ids": "symbol('nr_cpu_ids', 'unsigned int')",
    "page_offset_base": "symbol('page_offset_base', 'long unsigned int')",
    "system_state": "symbol('system_state', 'enum system_states')",
    "init_task.comm": "symbol('init_task', 'struct task_struct').comm",
    "runqueues[cpu 0].nr_switches": "symbol('runqueues', 'struct rq', 0).nr_switches",
    "runqueues[cpu 1].clock": "symbol('runqueues', 'struct rq', 1).clock",
    "runqueues[cpu 1].idle->comm": "symbol('runqueues', 'struct rq', 1).idle.comm",
    "runqueues[cpu 1].idle->policy": "symbol('runqueues', 'struct rq', 1).idle.policy",
    "task(1).start_time": "task(1).start_time",
    "task(1).se.sum_exec_runtime": "task(1).se.sum_exec_runtime",
    "task(1).mm->total_vm": "task(1).mm.total_vm",
    "task(1).mm->mm_users": "task(1).mm.mm_users.counter",
    "task(1).thread_pid->numbers[0].nr": "task(1).thread_pid.numbers[0].nr",
    "task(1).nsproxy->uts_ns->name.nodename": "task(1).nsproxy.uts_ns.name.nodename",
    "task(2).no_cgroup_migration": "task(2).no_cgroup_migration",
    "task(2).nvcsw": "task(2).nvcsw",
    "task(2).real_parent->tgid": "task(2).real_parent.tgid",
}
SYMBOLS = ("__per_cpu_offset", "init_task", "init_uts_ns", "jiffies_64", "nr_cpu_ids",
           "page_offset_base", "runqueues", "system_state")


def check(condition, what, detail=""):
    if not condition:
        sys.exit(f"failed: {what}\n{detail}")
    print(f"ok: {what}", flush=True)


def call(*command):
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                         timeout=TIMEOUT_S)
    if run.returncode:
        check(False, " ".join(map(str, command)), run.stdout + run.stderr)
    return run.stdout


# ---- The side of drgn, which runs in a Python that has it ----------------------------------------

class Types:
    """Types of drgn, made from those of BTF when they are first asked for."""

    def __init__(self, prog, types):
        self.prog, self.types, self.made = prog, {a_type["id"]: a_type for a_type in types}, {}
        self.ids = {}
        for a_type in types:
            word = {"STRUCT": "struct ", "ENUM": "enum ", "INT": "", "TYPEDEF": ""}.get(
                a_type["kind"])
            if word is not None:
                self.ids.setdefault(word + a_type["name"], a_type["id"])

    def find(self, name):
        return self.get(self.ids[name])

    def get(self, number):
        if number not in self.made:
            self.made[number] = self.make(self.types[number]) if number else self.prog.void_type()
        return self.made[number]

    def member(self, member):
        import drgn

        def make():
            a_type, bits = self.get(member["type_id"]), member.get("bitfield_size")
            return drgn.Object(self.prog, a_type, bit_field_size=bits) if bits else a_type
        name = member["name"]
        return drgn.TypeMember(make, None if name == "(anon)" else name, member["bits_offset"])

    def make(self, at):
        import drgn
        prog, kind, name = self.prog, at["kind"], at["name"]
        name = None if name == "(anon)" else name
        if kind == "INT":
            if at["encoding"] == "BOOL":
                return prog.bool_type(name, at["size"], byteorder="little")
            return prog.int_type(name, at["size"], at["encoding"] == "SIGNED", byteorder="little")
        if kind in ("STRUCT", "UNION"):
            make = prog.struct_type if kind == "STRUCT" else prog.union_type
            return make(name, at["size"], [self.member(member) for member in at["members"]])
        if kind == "ENUM":
            number = prog.int_type("unsigned int", at["size"], False, byteorder="little")
            return prog.enum_type(name, number, [drgn.TypeEnumerator(value["name"], value["val"])
                                                 for value in at["values"]])
        if kind == "ARRAY":
            return prog.array_type(self.get(at["type_id"]), at["nr_elems"])
        if kind == "TYPEDEF":
            return prog.typedef_type(name, self.get(at["type_id"]))
        if kind == "PTR":
            return prog.pointer_type(self.get(at["type_id"]), 8, byteorder="little")
        if kind in ("CONST", "VOLATILE", "RESTRICT", "TYPE_TAG"):
            return self.get(at["type_id"])
        return prog.void_type()


class Reader:
    """Values as drgn has them."""

    def __init__(self, core, symbols, types):
        import drgn
        self.drgn, self.prog = drgn, drgn.Program()
        self.prog.set_core_dump(core)
        self.symbols, self.types = symbols, Types(self.prog, types)

    def at(self, type_name, address):
        return self.drgn.Object(self.prog, self.types.find(type_name), address=address)

    def symbol(self, name, type_name, cpu=None):
        address = self.symbols[name]
        if cpu is not None:
            address += self.prog.read_u64(self.symbols["__per_cpu_offset"] + 8 * cpu)
        return self.at(type_name, address & (1 << 64) - 1)

    def task(self, pid):
        """Along the list of all processes, which begins and ends with init_task."""
        first = self.symbol("init_task", "struct task_struct")
        offset = first.tasks.address_ - first.address_
        at = first.tasks.next.value_()
        while at != first.tasks.address_:
            task = self.at("struct task_struct", at - offset)
            if task.pid.value_() == pid:
                return task
            at = task.tasks.next.value_()
        raise LookupError(pid)

    def value(self, expression):
        value = eval(expression, {"symbol": self.symbol, "task": self.task})
        kind = self.drgn.TypeKind
        if value.type_.kind == kind.ARRAY:
            return value.string_().decode()
        if value.type_.kind == kind.ENUM:
            return next(name for name, number in value.type_.enumerators
                        if number == value.value_())
        return value.value_()


def read_by_drgn(core, facts):
    facts = json.loads(pathlib.Path(facts).read_text())
    types = json.loads(subprocess.run(["bpftool", "-j", "btf", "dump", "file", facts["btf"]],
                                      capture_output=True, check=True).stdout)["types"]
    reader = Reader(core, facts["symbols"], types)
    print(json.dumps({path: reader.value(expression) for path, expression in PATHS.items()}))


# ---- The other side ------------------------------------------------------------------------------

def find_python():
    for python in (os.environ.get("DRGN_PYTHON"), sys.executable, "/usr/bin/python3"):
        if python and subprocess.run([python, "-c", "import drgn"], capture_output=True,
                                     check=False).returncode == 0:
            return python
    return None


def make_core(ktests, scratch):
    """A core of a guest, and the addresses that this guest has told."""
    call(ktests, "--exact", "-t", TEST, "--capsule", "always", "--capsule-dir", scratch)
    (capsule,) = scratch.glob(f"{TEST}.*.capsule")
    call(ktests, "open", capsule, "--vmcore", scratch / "core")
    text = call(ktests, "open", capsule, "--shell", "--exec", "cat /proc/kallsyms")
    symbols = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[2] in SYMBOLS:
            symbols[words[2]] = int(words[0], 16)
    check(sorted(symbols) == sorted(SYMBOLS), f"the guest tells {len(symbols)} addresses", symbols)
    return scratch / "core", symbols


def same(ours, drgns):
    """Numbers that JSON cannot hold are texts in our output."""
    if isinstance(drgns, int) and isinstance(ours, str):
        return int(ours.split()[0], 0) == drgns
    return ours == drgns


def main():
    python, ktests = find_python(), pathlib.Path(sys.argv[1]).resolve()
    if not python:
        print("skipped: no Python has the module drgn; Debian's package is python3-drgn")
        return SKIP
    with tempfile.TemporaryDirectory(prefix="ktest-drgn-") as directory:
        scratch = pathlib.Path(directory)
        core, symbols = make_core(ktests, scratch)
        facts = scratch / "facts.json"
        kernel = pathlib.Path(call(ktests, "kernel", "path").strip())
        facts.write_text(json.dumps({"symbols": symbols, "btf": str(kernel / "btf")}))
        ours = json.loads(call(ktests, "inspect", "--vmcore", core, "--format", "json", *PATHS))
        drgns = json.loads(call(python, __file__, "--drgn", core, facts))
    for path in PATHS:
        check(same(ours[path], drgns[path]), f"{path} = {drgns[path]}", f"ours: {ours[path]}")
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "--drgn":
        sys.exit(read_by_drgn(*sys.argv[2:]))
    sys.exit(main())
