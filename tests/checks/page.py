#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page of --html: its policy, and the filter in a browser where there is one.

usage: page.py SAMPLE
"""

import base64
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

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

        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if not browser:
            print("skipped: there is no browser; Debian's package is chromium")
            sys.exit(SKIPPED)
        gone, shown = hidden(browse(browser, directory, path.as_uri()))
        check(not gone and len(shown) == 3, "without a filter all is shown")
        gone, shown = hidden(browse(browser, directory, f"{path.as_uri()}#skip"))
        check(gone == {"run_fails", "warning_is_expected"} and shown == {"skips"},
              "the filter hides what does not contain its text")


main()
