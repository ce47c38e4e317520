#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a run writes about failures: the story's members and text, TEST.failure.json, the page of
--html, and that no file of an earlier run is left.

usage: story.py SOURCE_ROOT STORY_SAMPLE
"""

import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HUNG_S = 300
FAULTS = []


def check(condition, what):
    print("ok" if condition else "failed", what, sep=": ")
    if not condition:
        FAULTS.append(what)


def run(sample, directory, *names):
    command = [sample, "--exact", "--seed", "1", "--template", "any", "-o", directory, "--html",
               f"{directory}/p.html", *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=HUNG_S)


def documented(page, heading):
    """The members in the first columns of the tables below a heading."""
    section = page.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name.split("[")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}


class Page(html.parser.HTMLParser):
    """Elements and their nesting."""
    VOID = {"meta", "br", "input"}

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.links, self.well = [], [], [], True

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.well &= bool(self.open) and self.open.pop() == tag


def check_starved(directory, root):
    failure = json.loads((directory / "story_task_is_starved.failure.json").read_text())
    story = failure["story"]
    check(failure["schema"] == "ktest-failure" and failure["version"] == 1
          and failure["verdict"] == "fail" and failure["repeatable"] is True, "the file's head")
    check(set(failure) == documented(root / "docs/results.md", "Failures"),
          "docs/results.md has the members of a failure, and no other")
    check(set(story) - {"repeatable", "snapshots"}
          <= documented(root / "docs/snapshots.md", "The story"),
          "docs/snapshots.md has every member of a story")
    culprit = story["culprit"]
    check(story["kind"] == "SCX_EXIT_ERROR_STALL" and "failed to run" in story["message"],
          "what the scheduler did last")
    check(culprit["comm"] == "SpinWait" and culprit["named"] and culprit["cpu"] == 1
          and culprit["queue"]["kind"] == "user" and culprit["queue"]["id"] == 2
          and culprit["cause"] == "forgotten" and culprit["waited_ns"] >= 1000000000,
          "the culprit, its queue and its CPU")
    check(story["snapshots"] == ["half-watchdog", "exit-claimed", "exit-told"]
          and story["since"]["snapshot"] == "half-watchdog"
          and all("ran" in cpu for cpu in story["cpus"]), "what ran since half of the time")
    reports = [failure["snapshots"][name] for name in story["snapshots"]]
    check(len(failure["snapshots"]) == 3
          and all(report["schema"] == "ktest-snapshot" for report in reports),
          "the snapshots are in it, whole")
    times = [report["elapsed_ns"] for report in reports]
    check(times == sorted(times) and times[0] >= 500000000
          and times[1] - times[0] == story["since"]["ns"]
          and times[2] <= failure["result"]["duration_ns"],
          "they say when in the test they were taken")
    check(failure["story_lines"][0].startswith("scheduler fault: runnable task stall"),
          "the story as text")


def check_others(directory):
    def story(name):
        return json.loads((directory / f"{name}.failure.json").read_text())["story"]

    taken = story("story_cpu_is_taken")
    check(taken["culprit"]["comm"] == "SpinWait" and taken["culprit"]["cause"] == "rt"
          and taken["cpus"][1]["class"] == "rt"
          and taken["cpus"][1]["ran"][0]["class"] == "rt",
          "a real-time task has the CPU: that is the cause, and it ran")
    forbidden = story("story_cpu_is_forbidden")
    # A worker, or a thread of the kernel that is bound to the other CPU.
    check(forbidden["culprit"]["target_cpu"] == 1 - forbidden["culprit"]["cpu"]
          and forbidden["culprit"]["named"] and forbidden["cpu"] in (0, 1),
          "a task that was sent to a CPU it may not use")
    killed = story("story_program_is_killed")
    culprit = killed["culprit"]
    check(killed["kind"] == "SCX_EXIT_UNREG" and killed["scheduler"] == "fault"
          and killed["snapshots"] == ["program-killed"]
          and (culprit["comm"], culprit["cause"]) == ("story_fault", "killed")
          and culprit["cpu"] == killed["cpu"], "a program that was killed, and where")
    check(killed["reason"] == "unregistered from user space",
          "a scheduler without an error has what the kernel has logged")


def check_page(directory):
    text = (directory / "p.html").read_text()
    page = Page()
    page.feed(text)
    check(page.well and not page.open, "the page's elements are nested")
    check(not page.links and page.seen.count("script") == 1 and "http://" not in text,
          "the page loads nothing and has no script but its own")
    check(page.seen.count("section") == 4 and "has waited for" in text
          and "snapshot exit-claimed" in text and "Tasks that wait" in text
          and "<h3>Workers</h3>" in text,
          "the page has the stories and the snapshots")


def check_leftovers(sample, directory):
    """Files by names that the test has in other runs, but not in this one."""
    for name in ("story_program_is_killed.snapshots/old.json",
                 "story_program_is_killed.dump", "story_program_is_killed.stderr"):
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("of an earlier run")
    run(sample, directory, "story_program_is_killed")
    left = sorted(path.name for path in directory.glob("story_program_is_killed*"))
    check("story_program_is_killed.failure.json" in left
          and not any("of an earlier run" in path.read_text()
                      for path in directory.rglob("story_program_is_killed*") if path.is_file())
          and os.listdir(directory / "story_program_is_killed.snapshots")
          == ["program-killed.json"],
          "what an earlier run has left is gone")


def main():
    root, sample = pathlib.Path(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        done = run(sample, directory, "story_task_is_starved", "story_cpu_is_taken",
                   "story_cpu_is_forbidden", "story_program_is_killed")
        check(done.returncode == 100, "all samples fail")
        check(f"whole report: {directory}/story_cpu_is_taken.failure.json" in done.stdout,
              "the console says where the whole report is")
        check_starved(directory, root)
        check_others(directory)
        check_page(directory)
        check_leftovers(sample, directory)
    return bool(FAULTS)


sys.exit(main())
