#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples in README.md and docs/*.md are true. The C code of each page is compiled as one
program and its tests run; ./ktests commands must succeed; links must lead to files; output is that
of a sample.

usage: docs.py SOURCE_ROOT KTESTS PREFIX_DIR

PREFIX_DIR contains an installed libktest (see install.py).
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "samples"))
import check  # pylint: disable=wrong-import-position

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def blocks(page, language):
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def pkg_config(prefix, *args):
    env = {"PKG_CONFIG_PATH": str(next(pathlib.Path(prefix).rglob("pkgconfig"))),
           "PATH": "/usr/bin:/bin"}
    return subprocess.run(["pkg-config", *args, "ktest"], env=env, check=True, capture_output=True,
                          text=True).stdout.split()


def check_c(page, prefix, faults):
    source = "#include <ktest.h>\n" + "\n".join(blocks(page, "c"))
    if "KTEST(" not in source:
        return 0
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/{page.stem}"
        command = ["cc", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                   "-Wno-missing-field-initializers",
                   "-x", "c", "-", "-o", program, *pkg_config(prefix, "--cflags", "--libs")]
        run = subprocess.run(command, input=source, text=True, capture_output=True)
        if run.returncode:
            faults.append(f"{page.name}: its C does not compile:\n{run.stderr}")
            return 1
        (schedulers,) = pathlib.Path(prefix).rglob("fifo.bpf.o")
        env = dict(os.environ, KTESTS_SCHEDULER_PATH=str(schedulers.parent))
        run = subprocess.run([program], text=True, capture_output=True, timeout=300, env=env)
        if run.returncode:
            faults.append(f"{page.name}: its tests exit with {run.returncode}:\n"
                          f"{run.stdout}{run.stderr}")
    return source.count("KTEST(")


def check_commands(page, ktests, faults):
    n = 0
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            if not line.startswith("./ktests"):
                continue
            n += 1
            run = subprocess.run(line.replace("./ktests", ktests, 1), shell=True, text=True,
                                 capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
            if run.returncode:
                faults.append(f"{page.name}: '{line}' exits with {run.returncode}:\n"
                              f"{run.stdout}{run.stderr}")
    return n


def check_console(page, root, faults):
    """What a failure looks like: each line is one of the sample's golden file, in its order."""
    for block in blocks(page, "console"):
        command, *lines = block.splitlines()
        name = command.split()[-1]
        golden = (root / f"tests/samples/golden/{name}.txt").read_text()
        left = iter(re.sub(r"rerun: \S+", "rerun: PROGRAM", golden).splitlines())
        shown = check.normalize(re.sub(r"rerun: \S+", "rerun: PROGRAM", "\n".join(lines)))
        for line in shown.splitlines():
            if line not in left:
                faults.append(f"{page.name}: {name} does not say '{line}' there")
                break


def check_index(root, faults):
    """The index names every page."""
    named = set(LINK.findall((root / "docs/README.md").read_text()))
    for page in sorted((root / "docs").glob("*.md")):
        if page.name not in named | {"README.md"}:
            faults.append(f"docs/README.md: {page.name} is missing")


def check_links(page, faults):
    for target in LINK.findall(page.read_text()):
        if "://" not in target and not (page.parent / target).exists():
            faults.append(f"{page.name}: the link to {target} leads nowhere")


def main():
    root, ktests, prefix = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    pages = [root / name
             for name in ("README.md", "CONTRIBUTING.md")] + sorted((root / "docs").glob("*.md"))
    faults, n_tests, n_commands = [], 0, 0
    check_index(root, faults)
    for page in pages:
        check_links(page, faults)
        check_console(page, root, faults)
        n_tests += check_c(page, prefix, faults)
        n_commands += check_commands(page, ktests, faults)
    print("\n".join(faults)
          or f"{len(pages)} pages, {n_tests} tests and {n_commands} commands hold")
    return bool(faults) or n_tests < 2 or n_commands < 5


sys.exit(main())
