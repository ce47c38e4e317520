#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What every file owes its reader: no line over 100 columns, and a model at the top of large ones.

A .c file of more than 150 lines explains, before its first function, what it owns, who calls it and
what must never happen: a comment of at least two lines.

What a reflow or a merge damages is found, too: the description of a field ("@name:  its meaning")
that begins within a line, and a comment that stands twice in a row.

usage: style.py SOURCE_ROOT
"""

import pathlib
import re
import sys

COLUMNS = 100
LARGE = 150  # lines
LAYERS = ("framework", "guest", "macros", "schedulers", "tests", "util", "vmm", "wire")
TEXT = {".c", ".h", ".py", ".md", ".build", ".sh", ".txt"}
TOOLS = ("dev", ".ci/run")

COMMENT = re.compile(r"/\*.*?\*/", re.S)
INNER_FIELD = re.compile(r"[^@\s].* @\w+: {2,}\S")  # a column of texts that begins within a line
FUNCTION = re.compile(r"^\{", re.M)  # in kernel style the brace of a function stands alone


def texts_of(root):
    for layer in (*LAYERS, "docs", "subprojects/packagefiles"):
        yield from (p for p in sorted((root / layer).rglob("*")) if p.suffix in TEXT)
    yield from (p for p in sorted(root.glob("*")) if p.suffix in TEXT)
    yield from (root / tool for tool in TOOLS)


def is_free(path):
    """Golden files are what programs print, corpora what they are fed."""
    return bool({"golden", "corpus"} & set(path.parts))


def long_lines(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.expandtabs(8)) > COLUMNS:
            yield f"{name}:{number}: {len(line.expandtabs(8))} columns, {COLUMNS} at most"


def damaged_comments(name, text):
    """Yields what a reflow or a merge has left behind."""
    end, last = 0, None
    for found in COMMENT.finditer(text):
        comment, first = found.group(), text.count("\n", 0, found.start()) + 1
        if comment == last and not text[end : found.start()].strip():
            yield f"{name}:{first}: the comment before it is the same"
        end, last = found.end(), comment
        for number, line in enumerate(comment.split("\n"), first):
            if INNER_FIELD.match(line.lstrip(" */\t")):
                yield f"{name}:{number}: the description of a field begins within the line"


def has_model(text):
    """A comment of two lines or more stands before the first function."""
    first = FUNCTION.search(text)
    head = text[: first.start()] if first else text
    return any(len(comment.strip("/* \n").split("\n")) >= 2 for comment in COMMENT.findall(head))


def model_fault(name, text):
    if text.count("\n") <= LARGE or has_model(text):
        return None
    lines = text.count("\n")
    return f"{name}: {lines} lines, and no comment before the first function says its model"


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    files = [path for path in texts_of(root) if not is_free(path.relative_to(root))]
    faults = []
    for path in files:
        name, text = str(path.relative_to(root)), path.read_text()
        faults += long_lines(name, text)
        if path.suffix in (".c", ".h"):
            faults += damaged_comments(name, text)
        if path.suffix == ".c" and name.split("/")[0] not in ("tests", "macros"):
            faults += filter(None, [model_fault(name, text)])
    small = "/* one line */\nint f(void)\n{\n}\n"
    damaged = "/*\n * struct a - it @b:  one\n */\n/* c */\n/* c */\n"
    if (
        not list(long_lines("planted", "\t" * 13))
        or len(list(damaged_comments("planted", damaged))) != 2
        or has_model(small)
    ):
        faults.append("this check is blind")
    print("\n".join(faults) or f"{len(files)} files are fit to be read")
    return bool(faults) or len(files) < 200


sys.exit(main())
