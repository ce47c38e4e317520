#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The folders are the dependency graph: includes follow the tables in docs/design.md.

Layers are the folders at the root. Two layers are divided into rooms, which stand on floors: a file
includes its own room and rooms on lower floors, never one above or beside it.

usage: layers.py SOURCE_ROOT
"""

import pathlib
import re
import sys

# layer: the other layers that it may include
MAY_INCLUDE = {
    "util": set(),
    "macros": set(),
    "wire": {"util"},
    "schedulers": {"util"},
    "guest": {"macros", "schedulers", "util", "wire"},
    "vmm": {"util", "wire"},
    "framework": {"guest", "macros", "schedulers", "util", "vmm", "wire"},
    "tests": {"framework", "guest", "macros", "schedulers", "util", "vmm", "wire"},
}

# layer: its floors, the highest first
FLOORS = {
    "framework": [
        ["cli"],
        ["run"],
        ["compare", "declaration", "merge", "session"],
        ["setup", "select", "report", "record"],
        ["image", "kernel", "metric", "options", "outcome", "shard"],
    ],
    "guest": [
        ["init"],
        ["scenario"],
        ["payload", "scheduler"],
        ["test"],
        ["process", "worker"],
        ["cgroup", "port"],
    ],
}
HEIGHT = {
    (layer, room): -floor
    for layer, floors in FLOORS.items()
    for floor, rooms in enumerate(floors)
    for room in rooms
}

# A file of vmm/ may know a backend only if it lies in that backend's folder, or chooses among them.
CHOOSERS = ("vmm/machine.c", "vmm/host.")
BACKENDS = ("vmm/qemu/", "vmm/kvm/")

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<(ktest[./][^>]*)>)', re.M)


def room_of(path):
    """The room of a path that is relative to the root; None where its layer has none."""
    layer, *rest = path.split("/")
    return (layer, rest[0]) if layer in FLOORS and len(rest) > 1 else None


def place_fault(path):
    """What is wrong with the place of a file."""
    if path.split("/")[0] not in FLOORS:
        return None
    if room_of(path) is None:
        return "belongs into one of the rooms"
    return None if room_of(path) in HEIGHT else "lies in a room that no floor holds"


def include_fault(path, included):
    """What is wrong with a file's include of another file of ours."""
    layer, other = path.split("/")[0], included.split("/")[0]
    if other != layer and other not in MAY_INCLUDE[layer]:
        return f"{layer}/ must not include {included}"
    for backend in BACKENDS:
        knows = path.startswith((backend, *CHOOSERS))
        if layer == "vmm" and included.startswith(backend) and not knows:
            return f"only {backend}, {', '.join(CHOOSERS)} and higher layers may know {included}"
    here, there = room_of(path), room_of(included)
    if here in HEIGHT and there in HEIGHT and here[0] == there[0] and here != there:
        if HEIGHT[there] > HEIGHT[here]:
            return f"{'/'.join(here)} must not include {included}, which is on a higher floor"
        if HEIGHT[there] == HEIGHT[here]:
            return f"{'/'.join(here)} must not include {included}, which is on the same floor"
    return None


def faults_of(root, path):
    name = str(path.relative_to(root))
    layer = name.split("/")[0]
    text = path.read_text()
    if place_fault(name):
        yield f"{name}: {place_fault(name)}"
    for match in INCLUDE.finditer(text):
        quoted, public = match.groups()
        where = f"{name}:{text[: match.start()].count(chr(10)) + 1}"
        if public:
            if layer != "macros" and "macros" not in MAY_INCLUDE[layer]:
                yield f"{where}: {layer}/ must not include <{public}>"
        elif not (root / quoted).is_file():
            yield f'{where}: "{quoted}" is not a path from the root of the source'
        elif include_fault(name, quoted):
            yield f"{where}: {include_fault(name, quoted)}"


def undocumented(root):
    """Rooms that docs/design.md does not name, or that the tree does not have."""
    text = (root / "docs/design.md").read_text()
    for layer, room in HEIGHT:
        if not re.search(rf"`{room}/`", text):
            yield f"docs/design.md does not name {layer}/{room}/"
        if not (root / layer / room).is_dir():
            yield f"{layer}/{room}/ does not exist"


# Includes that break each rule once; this check is worth nothing if it lets one of them pass.
PLANTED = [
    ("util/err.c", "wire/frame.h"),
    ("vmm/link.c", "framework/run/job.h"),
    ("vmm/link.c", "vmm/qemu/qemu.h"),
    ("vmm/kvm/probe.c", "vmm/qemu/qemu.h"),
    ("framework/report/tap.c", "framework/run/runner.h"),
    ("framework/report/tap.c", "framework/setup/setup.h"),
    ("guest/worker/work/spin.c", "guest/scenario/op.h"),
    ("guest/payload/set.c", "guest/scheduler/set.h"),
]


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    blind = [f"accepted: {a} includes {b}" for a, b in PLANTED if not include_fault(a, b)]
    blind += [f"accepted: {p}" for p in ("guest/op.c", "framework/misc/x.c") if not place_fault(p)]
    files = [p for layer in MAY_INCLUDE for p in sorted((root / layer).rglob("*.[ch]"))]
    faults = [fault for path in files for fault in faults_of(root, path)]
    faults += blind + list(undocumented(root))
    print("\n".join(faults) or f"{len(files)} files follow the tables")
    return bool(faults) or len(files) < 50  # finding few files is a fault of this check


sys.exit(main())
