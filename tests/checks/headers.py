#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header compiles alone and without a warning; the public ones also as C++ and with clang.

usage: headers.py SOURCE_ROOT
"""

import concurrent.futures
import pathlib
import shutil
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
INTERNAL = [["gcc", "-x", "c", "-std=gnu17", "-D_GNU_SOURCE"]]
PUBLIC = [
    ["gcc", "-x", "c", "-std=gnu11"],
    ["gcc", "-x", "c", "-std=c11", "-Wpedantic", "-Wno-variadic-macros"],
    ["clang", "-x", "c", "-std=gnu17"],
    ["g++", "-x", "c++", "-std=gnu++20"],
    ["clang++", "-x", "c++", "-std=gnu++20"],
]

# A test as a C++ program would contain it: no compound literals, and members in order.
CXX_TEST = """#include <ktest.h>
static int run(struct kt_ctx *ctx)
{
    KT_ASSERT_EQ(ctx, 1u, 1L);
    KT_EXPECT(ctx, true);
    KT_ASSERT_STREQ(ctx, "a", "a");
    KT_ASSERT_NE(ctx, ctx, nullptr);
    KT_EXPECT_GT(ctx, 1.5, 1);
    KT_SKIP(ctx, "%s", "because");
}
KTEST(from_cxx, .summary = "C++", .run = run);
"""


def compile_one(root, command, name, source):
    full = command + WARNINGS + ["-fsyntax-only", f"-I{root}", f"-I{root}/macros", "-"]
    run = subprocess.run(full, input=source, text=True, capture_output=True)
    return f"{name}: {' '.join(command)}\n{run.stderr}" if run.returncode else None


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    jobs = []
    for path in sorted(root.glob("macros/**/*.h")):
        include = path.relative_to(root / "macros")
        jobs += [(command, str(include), f"#include <{include}>\nint x;\n") for command in PUBLIC]
    jobs += [(command, "a test in C++", CXX_TEST) for command in PUBLIC if "c++" in command]
    for layer in ("util", "wire", "guest", "vmm", "framework"):
        for path in sorted((root / layer).rglob("*.h")):
            include = path.relative_to(root)
            jobs += [(command, str(include), f'#include "{include}"\nint x;\n')
                     for command in INTERNAL]
    jobs = [job for job in jobs if shutil.which(job[0][0])]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        faults = [fault for fault in pool.map(lambda job: compile_one(root, *job), jobs) if fault]
    print("\n".join(faults) or f"{len(jobs)} compilations are clean")
    return bool(faults) or len(jobs) < 40


sys.exit(main())
