#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs into an empty prefix, and builds and runs docs/examples against what was installed.

usage: install.py SOURCE_ROOT BUILD_DIR PREFIX_DIR
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def run(*command, **kwargs):
    done = subprocess.run(command, text=True, capture_output=True, **kwargs)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    root, build, prefix = (pathlib.Path(arg).resolve() for arg in sys.argv[1:4])
    shutil.rmtree(prefix, ignore_errors=True)
    # Installs into a staging directory, where the pkg-config file is valid.
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", prefix)
    (pkgconfig,) = prefix.rglob("ktest.pc")
    (header,) = prefix.rglob("ktest.h")
    text = pkgconfig.read_text()
    installed = text.splitlines()[0].removeprefix("prefix=")
    pkgconfig.write_text(text.replace(f"prefix={installed}", f"prefix={prefix}{installed}", 1))
    env = dict(os.environ, PKG_CONFIG_PATH=str(pkgconfig.parent))
    with tempfile.TemporaryDirectory() as directory:
        out = f"{directory}/build"
        run("meson", "setup", "--werror", out, root / "docs/examples/first", env=env)
        run("ninja", "-C", out)
        print(run(f"{out}/first", "--list"), end="")
        print(run(f"{out}/first"), end="")
        log = run("meson", "test", "-C", out)
        print([line for line in log.splitlines() if line.startswith("Ok:")][0])
    print(f"{header.relative_to(prefix)} and {pkgconfig.relative_to(prefix)} are installed")


main()
