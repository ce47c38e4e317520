# SPDX-License-Identifier: MIT
"""An initramfs that holds files of this host at their own paths, and the libraries they need."""

import os
import pathlib
import re
import stat
import subprocess


class Initramfs:
    """Collects paths of the host, each once, then writes them as a cpio archive."""

    def __init__(self):
        self.entries = {}  # path without the leading /: (mode, contents)

    def add_directory(self, path):
        for parent in reversed(pathlib.PurePath(path.lstrip("/")).parents):
            if str(parent) != ".":
                self.entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, b""))
        self.entries.setdefault(path.lstrip("/"), (stat.S_IFDIR | 0o755, b""))

    def add(self, path, contents, mode=0o755):
        self.add_directory(os.path.dirname(path))
        self.entries[path.lstrip("/")] = (stat.S_IFREG | mode, contents)

    def add_host(self, path):
        """A file of the host at its own path, with the symbolic links on the way to it."""
        path, at = os.path.abspath(path), "/"
        for name in path.split("/")[1:]:
            at = os.path.join(at, name)
            if os.path.islink(at):
                self.add_directory(os.path.dirname(at))
                target = os.readlink(at)
                self.entries[at.lstrip("/")] = (stat.S_IFLNK | 0o777, target.encode())
                rest = path[len(at):]
                return self.add_host(os.path.normpath(os.path.join(os.path.dirname(at), target))
                                     + rest)
        if os.path.isdir(path):
            for name in os.listdir(path):
                self.add_host(os.path.join(path, name))
            return None
        return self.add(path, pathlib.Path(path).read_bytes(), stat.S_IMODE(os.stat(path).st_mode))

    def add_program(self, path):
        """A program, or a library, with all that its dynamic loader maps."""
        self.add_host(path)
        libraries = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
        for library in re.findall(r"(?:=> |^\s*)(/\S+) \(", libraries, re.M):
            self.add_host(library)

    def write(self, file):
        """Writes the archive in the format that the kernel reads, "newc"."""
        entries = [*self.entries.items(), ("TRAILER!!!", (0, b""))]
        for number, (name, (mode, contents)) in enumerate(entries, 1):
            fields = (number, mode, 0, 0, 1, 0, len(contents), 0, 0, 0, 0, len(name) + 1, 0)
            head = b"070701" + b"".join(b"%08X" % field for field in fields)
            head += name.encode() + b"\0"
            for part in (head, contents):
                file.write(part)
                file.write(b"\0" * (-len(part) % 4))
