#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of --html: its policy, and the filter in a browser where there is one.

usage: page.py SAMPLE
"""

import base64
import collections
import hashlib
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

SKIPPED = 77


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")
    print(f"ok: {what}", flush=True)


def browse(browser, directory, address):
    """The page's elements after its script has run."""
    run = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu",
                          f"--user-data-dir={directory}/profile", "--dump-dom", address],
                         capture_output=True, text=True, timeout=300, check=False)
    return run.stdout


def hidden(text):
    """The names of the elements that are hidden, and of those that are not."""
    elements = re.findall(r'<(?:tr|section) data-name="([^"]*)"([^>]*)>', text)
    return ({name for name, rest in elements if "hidden" in rest},
            {name for name, rest in elements if "hidden" not in rest})


def pixels(path):
    """The colours of a PNG of 8 bits a channel, how often each occurs."""
    data, at, packed = pathlib.Path(path).read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunk = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, _, channels = struct.unpack_from(">IIBB", chunk)
            step = 4 if channels == 6 else 3
        packed += chunk if kind == b"IDAT" else b""
        at += 12 + length
    raw, before, colours = zlib.decompress(packed), bytes(width * step), collections.Counter()
    for row in range(height):
        start = row * (width * step + 1)
        line = bytearray(raw[start + 1:start + 1 + width * step])
        for i in range(len(line)):
            left = line[i - step] if i >= step else 0
            corner = before[i - step] if i >= step else 0
            line[i] = (line[i] + predict(raw[start], left, before[i], corner)) & 0xff
        colours.update(bytes(line[i:i + 3]) for i in range(0, len(line), step))
        before = bytes(line)
    return colours


def predict(kind, left, above, corner):
    """What PNG's filters take off a byte (specification, section 9)."""
    if kind == 4:
        guess = left + above - corner
        return min((left, above, corner), key=lambda value: abs(guess - value))
    return (0, left, above, (left + above) // 2)[kind]


def screenshot(browser, directory, address):
    path = f"{directory}/screen.png"
    subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--user-data-dir={directory}/profile", "--window-size=800,400",
                    f"--screenshot={path}", address],
                   capture_output=True, timeout=300, check=False)
    return pixels(path)


def main():
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "page.html"
        subprocess.run([sys.argv[1], "--exact", "--html", path, "run_fails", "skips",
                        "warning_is_expected"], capture_output=True, timeout=600, check=False)
        text = path.read_text()
        script = re.search("<script>(.*?)</script>", text, re.S).group(1)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        check(f"script-src 'sha256-{digest}'" in text, "the policy has the hash of the script")
        names = re.findall('<tr data-name="([^"]*)"', text)
        check(names[0] == "run_fails" and set(names[1:]) == {"skips", "warning_is_expected"},
              "the list has all tests, the failure first")
        check('<section data-name="run_fails">' in text and 'class="rerun"' in text,
              "a failure has its command")

        bars = re.findall('<i data-name="([^"]*)" class="([^"]*)" style="top:([0-9]+)px;', text)
        check(sorted((name, verdict) for name, verdict, _ in bars)
              == [("run_fails", "fail"), ("skips", "skip"), ("warning_is_expected", "pass")],
              "the time line has a bar for each test")

        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if not browser:
            print("skipped: there is no browser; Debian's package is chromium")
            sys.exit(SKIPPED)
        gone, shown = hidden(browse(browser, directory, path.as_uri()))
        check(not gone and len(shown) == 3, "without a filter all is shown")
        gone, shown = hidden(browse(browser, directory, f"{path.as_uri()}#skip"))
        check(gone == {"run_fails", "warning_is_expected"} and shown == {"skips"},
              "the filter hides what does not contain its text")
        colours = screenshot(browser, directory, path.as_uri())
        seen = {verdict: colours[bytes.fromhex(colour)]
                for verdict, colour in (("fail", "ff9999"), ("pass", "99dd99"), ("skip", "cccccc"))}
        check(all(count > 100 for count in seen.values()), f"the bars are seen {seen}")
        left = screenshot(browser, directory, f"{path.as_uri()}#skip")
        check(not left[bytes.fromhex("99dd99")] and left[bytes.fromhex("cccccc")] > 100,
              "the filter hides bars, too")


main()
