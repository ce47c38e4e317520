#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The folders are the dependency graph: an include must follow the table in docs/design.md.

usage: layers.py SOURCE_ROOT
"""

import pathlib
import re
import sys

# folder: what it may include of ours, besides itself
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

# A file of vmm/ may know a backend only if it lies in that backend's folder, or chooses among them.
CHOOSER = "vmm/machine.c"
BACKENDS = ("vmm/qemu/", "vmm/kvm/")

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<(ktest[./][^>]*)>)', re.M)


def faults_of(root, path):
    layer = path.relative_to(root).parts[0]
    for match in INCLUDE.finditer(path.read_text()):
        quoted, public = match.groups()
        line = path.read_text()[: match.start()].count("\n") + 1
        where = f"{path.relative_to(root)}:{line}"
        if public:
            if layer != "macros" and "macros" not in MAY_INCLUDE[layer]:
                yield f"{where}: {layer}/ must not include <{public}>"
            continue
        if not (root / quoted).is_file():
            yield f'{where}: "{quoted}" is not a path from the root of the source'
            continue
        other = quoted.split("/")[0]
        if other != layer and other not in MAY_INCLUDE[layer]:
            yield f"{where}: {layer}/ must not include {quoted}"
        for backend in BACKENDS:
            inside = str(path.relative_to(root)).startswith((backend, CHOOSER))
            if layer == "vmm" and quoted.startswith(backend) and not inside:
                yield (f"{where}: only {backend}, {CHOOSER} and the layers above vmm/ may know "
                       f"{quoted}")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    files = [p for layer in MAY_INCLUDE for p in sorted((root / layer).rglob("*.[ch]"))]
    faults = [fault for path in files for fault in faults_of(root, path)]
    print("\n".join(faults) or f"{len(files)} files follow the table")
    return bool(faults) or len(files) < 50  # finding few files is a fault of this check


sys.exit(main())
