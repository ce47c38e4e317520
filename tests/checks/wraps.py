#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The wrap of libbpf builds: ktest is configured with it instead of the system's library, and the
runner is linked with what was built.

The source comes from the Debian archive, because the wrap's own place is a git repository on the
network. The check is skipped where apt cannot fetch the source.

usage: wraps.py SOURCE_ROOT
"""

import configparser
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = ("bookworm", "bookworm-backports", "trixie")


class Skip(Exception):
    pass


def run(*command, **kwargs):
    done = subprocess.run(command, text=True, capture_output=True, **kwargs)
    if done.returncode:
        sys.exit(
            f"failed: {' '.join(map(str, command))}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
    return done.stdout


def mirror():
    """Where the host's own apt takes Debian from, as in ./dev."""
    if os.environ.get("KTESTS_MIRROR"):
        return os.environ["KTESTS_MIRROR"]
    if not shutil.which("apt-get") or not os.path.exists(KEYRING):
        raise Skip("no apt, or no keys of Debian's archive")
    lines = run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"
    ).splitlines()
    found = [
        line.split()[0] for line in lines if "debian" in line and "security" not in line.split()[1]
    ]
    if not found:
        raise Skip("apt knows no Debian archive; name one in KTESTS_MIRROR")
    return found[0]


def fetch(package, version, directory):
    """Unpacks a package's source in a directory; apt works in a private tree."""
    tree = directory / "apt"
    for path in ("state/lists/partial", "cache/archives/partial", "parts"):
        (tree / path).mkdir(parents=True)
    (tree / "status").touch()
    where = mirror()
    (tree / "sources.list").write_text(
        "".join(f"deb-src [signed-by={KEYRING}] {where} {suite} main\n" for suite in SUITES)
    )
    options = [
        f"-oDir::{name}={tree}/{path}"
        for name, path in (
            ("State", "state"),
            ("State::lists", "state/lists"),
            ("State::status", "status"),
            ("Cache", "cache"),
            ("Etc::sourcelist", "sources.list"),
            ("Etc::sourceparts", "parts"),
            ("Etc::preferencesparts", "parts"),
        )
    ]
    options.append("-oAPT::Sandbox::User=")
    if subprocess.run(
        ["apt-get", *options, "-qq", "update"], capture_output=True, timeout=120
    ).returncode:
        raise Skip("apt cannot read the archive's index of sources")
    text = run("apt-cache", *options, "showsrc", package)
    versions = [line.split()[1] for line in text.splitlines() if line.startswith("Version: ")]
    wanted = [at for at in versions if at.split(":")[-1].split("-")[0] == version]
    if not wanted:
        raise Skip(f"the archive has no {package} {version}, but {', '.join(versions)}")
    get = subprocess.run(
        [
            "apt-get",
            *options,
            "-qq",
            "source",
            "--tar-only",
            "--download-only",
            f"{package}={wanted[0]}",
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
    )
    archives = list(directory.glob("*.orig.tar.*"))
    if get.returncode or not archives:
        raise Skip(f"apt cannot have the source of {package}: {get.stderr.strip()}")
    return archives[0]


def copy_tree(root, directory):
    """What git knows of, as a fresh clone would have it, with the changes that are there now."""
    names = run(
        "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"
    ).split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, directory / name)


def unpack(archive, source, wrap):
    """As meson does after a download: the folder that the wrap names, and our files over it."""
    place = source / "subprojects" / wrap["wrap-git"]["directory"]
    place.mkdir()
    run("tar", "-xf", archive, "-C", place, "--strip-components=1")
    shutil.copytree(
        source / "subprojects/packagefiles" / wrap["wrap-git"]["patch_directory"],
        place,
        dirs_exist_ok=True,
    )


def check_linked(program):
    """The functions are in the program, and no libbpf.so is asked for."""
    needed = [line for line in run("readelf", "-d", program).splitlines() if "NEEDED" in line]
    if any("libbpf" in line for line in needed):
        sys.exit(f"{program} still wants the system's libbpf:\n" + "\n".join(needed))
    symbols = [line.split() for line in run("nm", program).splitlines()]
    if not any(symbol[-1] == "bpf_object__load" and symbol[-2] in "tT" for symbol in symbols):
        sys.exit("the program holds no bpf_object__load: where does it come from?")


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    wrap = configparser.ConfigParser()
    wrap.read(root / "subprojects/libbpf.wrap")
    version = wrap["wrap-git"]["directory"].split("-")[-1]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        try:
            archive = fetch("libbpf", version, directory)
        except (Skip, subprocess.TimeoutExpired) as why:
            print(f"skipped: {why}")
            return 77
        source, build = directory / "source", directory / "build"
        copy_tree(root, source)
        unpack(archive, source, wrap)
        run(
            "meson",
            "setup",
            build,
            source,
            "-Dwerror=false",  # of the build that is tested, which optimises
            "-Doptimization=0",  # it is linked and started, no more
            "--force-fallback-for=libbpf",
            "--wrap-mode=nodownload",
        )
        run("ninja", "-C", build, "framework/ktest")
        check_linked(build / "framework/ktest")
        run(build / "framework/ktest", "--help")
    print(f"ktest builds with libbpf {version} from its wrap")
    return 0


sys.exit(main())
