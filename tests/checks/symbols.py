#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""All global symbols of libktest begin with kt_, except main: it is linked with other code.

usage: symbols.py LIBRARY
"""

import subprocess
import sys


def main():
    out = subprocess.run(["nm", "-g", "--defined-only", "-f", "posix", sys.argv[1]], check=True,
                         capture_output=True, text=True).stdout
    names = [line.split()[0] for line in out.splitlines() if len(line.split()) >= 2]
    foreign = [name for name in names if not name.startswith("kt_") and name != "main"]
    print("\n".join(foreign) or f"{len(names)} symbols begin with kt_")
    return bool(foreign) or len(names) < 100


sys.exit(main())
