#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Output for other programs: lists, TAP, JUnit and GoogleTest's XML, all of one run.

usage: reports.py SAMPLE PAYLOAD_SAMPLE KTESTS
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

TESTS = ("run_fails", "skips", "inconclusive", "malformed_frame", "warning_is_expected")


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")
    print(f"ok: {what}")


RERUN = ({"type"}, {"message"}, {"stackTrace", "system-out", "system-err"}, True)
FAULT = (set(), {"type", "message"}, set(), True)
TOTALS = {"name", "tests", "failures", "errors"}

# JUnit as the xUnit plugin of Jenkins accepts it: for each element the attributes that it must and
# that it may have, its children, and whether it may have text.
JENKINS = {
    "testsuites": (set(), TOTALS | {"time"}, {"testsuite"}, False),
    "testsuite": (TOTALS, {"group", "time", "skipped", "timestamp", "hostname", "id", "package",
                           "file", "log", "url", "version"},
                  {"testsuite", "properties", "testcase", "system-out", "system-err"}, False),
    "properties": (set(), set(), {"property"}, False),
    "property": ({"name", "value"}, set(), set(), False),
    "testcase": ({"name"}, {"time", "classname", "group"},
                 {"skipped", "error", "failure", "rerunFailure", "rerunError", "flakyFailure",
                  "flakyError", "system-out", "system-err"}, False),
    "skipped": FAULT, "error": FAULT, "failure": FAULT,
    "rerunFailure": RERUN, "rerunError": RERUN, "flakyFailure": RERUN, "flakyError": RERUN,
    "stackTrace": (set(), set(), set(), True),
    "system-out": (set(), set(), set(), True),
    "system-err": (set(), set(), set(), True),
}


def jenkins_faults(element):
    """What Jenkins would refuse in an element, in words."""
    if element.tag not in JENKINS:
        return [f"<{element.tag}>"]
    must, may, children, has_text = JENKINS[element.tag]
    given = set(element.keys())
    faults = [f"<{element.tag}>: {name}" for name in (must - given) | (given - must - may)]
    faults += [f"<{child.tag}> in <{element.tag}>" for child in element
               if child.tag not in children]
    if not has_text and (element.text or "").strip():
        faults.append(f"text in <{element.tag}>")
    if element.tag in ("testsuites", "testsuite") \
            and not re.fullmatch(r"\d*\.\d{0,3}", element.get("time")):
        faults.append(f"time {element.get('time')}")
    return faults + [fault for child in element for fault in jenkins_faults(child)]


def cases(path):
    root = ElementTree.parse(path).getroot()
    return root, {case.get("name"): case for case in root.iter("testcase")}


def main():
    sample, payload, ktests = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as directory:
        junit, gtest = f"{directory}/junit.xml", f"{directory}/gtest.xml"
        command = [sample, "--exact", "--tap", "--junit", junit, f"--gtest_output=xml:{gtest}",
                   *TESTS]
        run = subprocess.run(command, capture_output=True, text=True, timeout=600)
        check(run.returncode == 100, "the exit status is that of the failure")
        lines = run.stdout.splitlines()
        check(lines[:2] == ["TAP version 13", "1..5"], "TAP: version and plan")
        check(all(line.startswith(("ok ", "not ok ", "#", "TAP", "1..")) for line in lines),
              "TAP: nothing else on standard output")
        ok = sorted(line.split(" - ")[1] for line in lines if line.startswith("ok "))
        check(ok == ["skips # SKIP needs a unicorn, which is not there", "warning_is_expected"],
              "TAP: what passed and what was skipped")
        check("Summary" in run.stderr, "the text for people goes to standard error")

        run = subprocess.run([sample, "--exact", "--meson", "run_fails", "skips"],
                             capture_output=True, text=True, timeout=600)
        check(run.returncode == 0 and re.search("^not ok . - run_fails", run.stdout, re.M),
              "--meson: the verdict is in the TAP, not in the exit status")
        run = subprocess.run([sample, "--exact", "--meson", "--global-timeout", "1ms", "hangs",
                              "run_fails"], capture_output=True, text=True, timeout=600)
        check(run.returncode == 99, "--meson: a plan that is not complete is an error")

        root, found = cases(junit)
        check(set(found) == set(TESTS) and root.get("tests") == "5", "JUnit: all tests")
        check(not jenkins_faults(root), f"JUnit: Jenkins takes it {jenkins_faults(root)}")
        check(root.get("failures") == "1" and root.get("errors") == "2"
              and root.find("testsuite").get("skipped") == "1",
              "JUnit: totals")
        failure = found["run_fails"].find("failure")
        check("No such file" in failure.get("message"), "JUnit: the failure's message")
        check("tests/samples/failing.c:" in failure.text, "JUnit: the place")
        check("about to fail" in found["run_fails"].find("system-out").text, "JUnit: the output")
        check(found["malformed_frame"].find("error") is not None,
              "JUnit: an error is not a failure")
        check(all(float(case.get("time")) > 0 for case in found.values()), "JUnit: times")

        flaky = f"{directory}/flaky.xml"
        subprocess.run([sample, "--exact", "flaky", "run_fails", "--retries", "2", "-v", "--junit",
                        flaky], capture_output=True, timeout=600, check=False)
        root, found = cases(flaky)
        check(len(found["flaky"].findall("flakyFailure")) == 2
              and len(found["run_fails"].findall("rerunFailure")) == 2
              and not jenkins_faults(root),
              f"JUnit: Jenkins takes retries {jenkins_faults(root)}")

        root, found = cases(gtest)
        check(set(found) == set(TESTS) and root.get("failures") == "3", "GoogleTest: all tests")
        check(found["skips"].get("result") == "skipped", "GoogleTest: skipped")
        check(found["run_fails"].get("file") == "tests/samples/failing.c",
              "GoogleTest: the place")

        command = [sample, "--exact", "--junit", "/nonexistent/junit.xml", "warning_is_expected"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=600)
        check(run.returncode == 110 and "/nonexistent/junit.xml" in run.stderr
              and "PASS" not in run.stdout, "a report that cannot be written is told at once")
        run = subprocess.run(["sh", "-c", '"$0" --exact --junit - skips | cat', sample],
                             capture_output=True, text=True, timeout=600)
        check(ElementTree.fromstring(run.stdout.encode()).tag == "testsuites",
              "JUnit on standard output")
        run = subprocess.run(["bash", "-c", '"$0" --exact run_fails skips | head -n1; '
                              'echo ${PIPESTATUS[0]}', sample], capture_output=True, text=True,
                             timeout=600)
        # Another run on the host may use its CPUs meanwhile, which is told.
        said = [line for line in run.stderr.splitlines()
                if not line.startswith("warning: waiting for CPUs")]
        check(run.stdout.splitlines()[1] in ("141", "100") and not said,
              "a reader that goes away ends the run quietly")

    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([payload, "--exact", "-o", directory, "payload_tap_fails"],
                       capture_output=True, timeout=600)
        base = f"{directory}/payload_tap_fails"
        result = json.loads(pathlib.Path(f"{base}.json").read_text())["attempts"][0]["result"]
        entry = result["scenario"]["payloads"][0]
        shown = pathlib.Path(f"{base}.stdout").read_text()
        check(entry["stdout"].startswith("ok 1\n") and "bytes left out" in entry["stdout"]
              and entry["stdout"].endswith("not ok 201 - too late\n1..202\n")
              and entry["stderr"] == "lost\n" and entry["stdout"] in shown,
              "-o: what a failing payload has written is in TEST.json and TEST.stdout")

        subprocess.run([payload, "--exact", "-o", directory, "payload_checks_fail",
                        "payload_is_endless"], capture_output=True, timeout=600)

        def only_payload(name):
            text = pathlib.Path(f"{directory}/{name}.json").read_text()
            scenario = json.loads(text)["attempts"][0]["result"]["scenario"]
            check(scenario["n_payloads"] == 1, f"-o: {name} ran one payload")
            return scenario["payloads"][0]

        entry = only_payload("payload_checks_fail")
        check(entry["status"] == 3 << 8 and entry["metrics"] == {"speed": 99.5}
              and entry["cgroup"] == "" and entry["stdout"] == '{"speed":99.5}\n'
              and entry["stderr"] == "out of tune\n" and entry["duration_ns"] > 0,
              "-o: what a payload of kt_payload_exec() did is in TEST.json")
        check(only_payload("payload_is_endless")["status"] == 9, "-o: one that was killed is, too")

    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([ktests, "--exact", "-o", directory, "leftover_children", "idle_halt"],
                       capture_output=True, timeout=600)

        def left_behind(name):
            text = pathlib.Path(f"{directory}/{name}.json").read_text()
            return json.loads(text)["attempts"][0]["result"]["left_behind"]

        check(left_behind("leftover_children") == 2 and left_behind("idle_halt") == 0,
              "-o: how many processes a test has left behind")

    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([ktests, "--exact", "-o", directory, "freeze_hundred_times"],
                       capture_output=True, timeout=600)
        attempt = json.loads(pathlib.Path(f"{directory}/freeze_hundred_times.json").read_text()
                             )["attempts"][0]
        stood_ns = sum(capture for _, capture, _ in attempt["freeze"]["captures_ns"])
        hidden_ns = attempt["phases_ns"]["run"] - attempt["result"]["duration_ns"]
        check(len(attempt["freeze"]["captures_ns"]) == 101 and hidden_ns >= stood_ns,
              "-o: a guest that stood still a hundred times has not seen that time pass")

    def listing(*args):
        return subprocess.run([ktests, *args], check=True, capture_output=True, text=True).stdout

    names = listing("--list", "--format", "names").splitlines()
    check(len(names) >= 12 and len(set(names)) == len(names), "the list of names")
    check(listing("list").splitlines() == [f"{name}: test" for name in names], "the terse list")
    tests = json.loads(listing("-l", "--format=json"))["tests"]
    check([test["name"] for test in tests] == names, "the list as JSON")
    check(all(pathlib.Path(test["file"]).suffix == ".c" and test["line"] for test in tests),
          "places")
    check(listing("--gtest_list_tests").split() == ["ktest.", *names], "GoogleTest's list")
    ignored = listing("--list", "--format", "terse", "--ignored").splitlines()
    disabled = [test["name"] for test in tests if test.get("disabled")]
    check(ignored == [f"{name}: test" for name in disabled] and disabled,
          "a runner for libtest is told which tests are disabled")
    done = subprocess.run([ktests, "disabled", "--exact", "--nocapture", "--include-ignored"],
                          capture_output=True, text=True, timeout=600, check=False)
    check(done.returncode == 0 and "1 passed" in done.stdout, "and runs them as libtest's")
    done = subprocess.run([ktests, "--gtest_filter=ktest.trivial", "--gtest_repeat=2",
                           "--gtest_shuffle", "--gtest_random_seed=7", "--gtest_color=no"],
                          capture_output=True, text=True, timeout=600, check=False)
    check(done.returncode == 0 and "2 passed" in done.stdout and "seed 7," in done.stdout,
          "flags of GoogleTest have their meaning")
    check(listing("--list", "--format=names", "freeze", "--skip", "parent").splitlines()
          == [name for name in names if "freeze" in name and "parent" not in name],
          "lists are filtered")


main()
