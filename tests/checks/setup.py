#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""./dev setup on an unknown system lists exactly what is missing, and exits with 105.

usage: setup.py SOURCE_ROOT
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def main():
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
        print("skipped: another /etc/os-release needs a mount namespace, and so root")
        return 77
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        shutil.copy(pathlib.Path(sys.argv[1]) / "dev", directory / "dev")
        (directory / "os-release").write_text("ID=plan9\nVERSION_ID=4\n")
        # A PATH without meson and QEMU, and a pkg-config that does not know criterion.
        programs = directory / "bin"
        programs.mkdir()
        for program in ("bash", "dirname", "readlink", "gcc", "g++", "clang", "llvm-strip",
                        "bpftool", "make", "ninja", "python3", "mkdir", "touch"):
            os.symlink(shutil.which(program), programs / program)
        (programs / "pkg-config").write_text(
            '#!/bin/bash\n[[ "$*" != *criterion* ]] && exec /usr/bin/pkg-config "$@"\nexit 1\n')
        (programs / "pkg-config").chmod(0o755)
        script = (f"mount --bind {directory}/os-release /etc/os-release && "
                  f"PATH={programs} exec {directory}/dev setup")
        run = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
        missing = run.stderr.strip().rsplit(": ", 1)[-1]
        print(run.stderr.strip())
        return not (run.returncode == 105 and missing == "meson qemu-system-x86_64 lib:criterion")


sys.exit(main())
