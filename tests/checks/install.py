#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs into an empty prefix, and builds and runs what "ktest new" makes against that, by Meson
and by make; and by make against the build directory, which pkg-config knows too.

usage: install.py BUILD_DIR PREFIX_DIR
"""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile


def run(*command, **kwargs):
    done = subprocess.run(command, text=True, capture_output=True, **kwargs)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def refused(ktest, project):
    """A file of the user's is not written to, and nothing is written beside it."""
    (project / "Makefile").unlink()
    (project / "tests.c").write_text("mine")
    done = subprocess.run([ktest, "new", project], text=True, capture_output=True)
    if (done.returncode != 2 or "tests.c' is there already" not in done.stderr
            or (project / "tests.c").read_text() != "mine" or (project / "Makefile").exists()):
        sys.exit(f"failed: new beside a file of the user's: {done.returncode} {done.stderr}")
    print("ok: new does not write where a file is")


def full(ktest, directory):
    """A disk that is full in the middle of a file."""
    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))

    done = subprocess.run([ktest, "new", directory], text=True, capture_output=True,
                          preexec_fn=no_room)
    if done.returncode != 99 or "cannot write" not in done.stderr or os.listdir(directory):
        sys.exit(f"failed: new without room: {done.returncode} {done.stderr}"
                 f"{os.listdir(directory)}")
    print("ok: new leaves nothing where there is no room")


def main():
    build, prefix = (pathlib.Path(arg).resolve() for arg in sys.argv[1:3])
    shutil.rmtree(prefix, ignore_errors=True)
    # Installs into a staging directory, where the pkg-config file is valid.
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", prefix)
    (pkgconfig,) = prefix.rglob("ktest.pc")
    (ktest,) = prefix.rglob("bin/ktest")
    (header,) = prefix.rglob("ktest.h")
    text = pkgconfig.read_text()
    installed = text.splitlines()[0].removeprefix("prefix=")
    pkgconfig.write_text(text.replace(f"prefix={installed}", f"prefix={prefix}{installed}", 1))
    env = dict(os.environ, PKG_CONFIG_PATH=str(pkgconfig.parent))
    with tempfile.TemporaryDirectory() as directory:
        project, out = f"{directory}/deep/project", f"{directory}/build"
        print(run(ktest, "new", project), end="")
        run("meson", "setup", "--werror", out, project, env=env)
        run("ninja", "-C", out)
        print(run(f"{out}/tests", "--list"), end="")
        log = run("meson", "test", "-C", out)
        print([line for line in log.splitlines() if line.startswith("Ok:")][0])
        flags = "CFLAGS=-O2 -Wall -Wextra -Werror"
        print(run("make", "-C", project, "test", flags, env=env), end="")
        run("make", "-C", project, "clean")
        run("make", "-C", project, "tests", flags,
            env=dict(os.environ, PKG_CONFIG_PATH=str(build / "meson-uninstalled")))
        refused(ktest, pathlib.Path(project))
        full(ktest, f"{directory}/full")
    print(f"{header.relative_to(prefix)} and {pkgconfig.relative_to(prefix)} are installed")


main()
