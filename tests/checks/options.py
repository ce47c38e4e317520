#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What shells and man make of the options.

usage: options.py KTESTS

bash completes options, values, commands and names of tests. zsh and fish parse their scripts, and
groff formats the manual page without a complaint, where they are installed.
"""

import pathlib
import shutil
import subprocess
import sys

TIMEOUT_S = 60
BASH = """
eval "$("$1" completion bash)" || exit 1
name=$(basename "$1")
shift
function=$(complete -p "$name" | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def check(condition, what, text=""):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")
    print(f"ok: {what}", flush=True)


def run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=TIMEOUT_S)


def completed(ktests, *words):
    done = run("bash", "-c", BASH, "bash", ktests, ktests, *words)
    check(done.returncode == 0 and not done.stderr, f"bash completes {words}", done.stderr)
    return done.stdout.split()


def bash(ktests):
    check(completed(ktests, "--stress-") == ["--stress-count", "--stress-duration"],
          "options are those that begin so")
    check(completed(ktests, "--accel", "") == ["auto", "kvm", "tcg"], "a value is a word")
    check(completed(ktests, "--accel", "k") == ["kvm"], "and begins as given")
    check(completed(ktests, "-t", "trivia") == ["trivial"], "a test is named")
    check(completed(ktests, "--test", "trivia") == ["trivial"], "by the long option too")
    check(completed(ktests, "doc") == ["doctor"], "a command is named")
    check(completed(ktests, "--seed", "") == [], "nothing is offered that is not known")
    check(completed(ktests, "--output-dir", "framewor") == ["framework"], "a directory is named")


def others(ktests):
    for shell in ("zsh", "fish"):
        script = run(ktests, "completion", shell)
        check(script.returncode == 0 and script.stdout, f"there is a script for {shell}")
        if not shutil.which(shell):
            print(f"skipped: there is no {shell} to read it")
            continue
        done = run(shell, "-n", text=script.stdout)
        check(done.returncode == 0, f"{shell} can read it", done.stderr)


def manual(ktests):
    page = run(ktests, "manual")
    check(page.returncode == 0 and page.stdout.startswith(".TH "), "there is a manual page")
    for title in ("NAME", "SYNOPSIS", "COMMANDS", "OPTIONS", "EXIT STATUS"):
        check(f"\n.SH {title}\n" in page.stdout, f"it has {title}")
    if shutil.which("groff"):
        done = run("groff", "-man", "-ww", "-Tutf8", "-z", text=page.stdout)
        check(done.returncode == 0 and not done.stderr, "groff formats it", done.stderr)


def main(ktests):
    ktests = str(pathlib.Path(ktests).resolve())
    bash(ktests)
    others(ktests)
    manual(ktests)
    done = run(ktests, "completion", "tcsh")
    check(done.returncode == 2 and "bash, zsh, fish" in done.stderr, "another shell is refused",
          done.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
