#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reports for other programs that are written while a run goes on: GitHub's commands, KTAP, JSON.

usage: streams.py SAMPLE KTESTS
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SUMMARY_MAX = 1 << 20


def check(condition, what, text=""):
    if not condition:
        sys.exit(f"failed: {what}\n{text}")
    print(f"ok: {what}", flush=True)


def run(*command, **env):
    environment = {key: value for key, value in os.environ.items() if "GITHUB" not in key}
    return subprocess.run(command, capture_output=True, text=True, timeout=600,
                          env=environment | env, check=False)


def obey(log):
    """The commands that GitHub's runner carries out of a log, as (name, properties, data)."""
    commands, token = [], None
    for line in log.splitlines():
        found = re.match(r"\s*::([^ :]+)(?: ([^:]*))?::(.*)", line)
        old = re.search(r"##\[([^ \]]+)([^\]]*)\](.*)", line)  # anywhere in a line
        name, properties, data = (found or old).groups() if found or old else (None, "", "")
        if token:
            token = None if name == token else token
        elif name == "stop-commands":
            token = data
        elif name:
            commands.append((name, properties or "", data))
    check(token is None, "GitHub: commands work again after the run", log)
    return commands


def plain(data):
    return data.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def github(sample, directory):
    summary = pathlib.Path(directory) / "summary.md"
    summary.write_text("what another program has written\n")
    done = run(sample, "--exact", "prints_commands", "warning_is_expected", "inconclusive", "-v",
               GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    commands = obey(done.stdout)
    check([name for name, _, _ in commands if name != "endgroup"]
          == ["group", "group", "error", "error"], "GitHub: nothing of the guest is a command",
          done.stdout)
    check("::error::forged" in done.stdout, "GitHub: what the guest has printed is in the log")
    (_, where, text), (_, second, _) = [c for c in commands if c[0] == "error"]
    check(re.match(r"file=tests/samples/failing.c,line=\d+,title=fail%3A prints_commands$", where)
          and plain(text).startswith("tests/samples/failing.c:")
          and "::error::100% forged" in plain(text) and "--exact -t prints_commands" in text
          and "inconclusive" in second,
          "GitHub: the worst annotation is first, at its place", where)
    text = summary.read_text()
    check(text.startswith("what another") and "### 3 tests: 1 passed" in text
          and text.count("\n| fail | ") == 1 and "::error" not in text
          and "&#58;&#58;error" in text, "GitHub: the summary of the step", text)

    summary.write_bytes(b"x" * (SUMMARY_MAX - 600))
    done = run(sample, "--exact", "prints_commands", "--stress-count", "12", "--tap",
               GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    commands = obey(done.stderr)
    check([name for name, _, _ in commands].count("error") == 10
          and commands[-1][0] == "notice" and commands[-1][2].startswith("2 more errors"),
          "GitHub: ten errors, and how many more", done.stderr)
    check("::stop-commands::" not in done.stdout, "GitHub: TAP on standard output stays TAP")
    check(SUMMARY_MAX - 600 < summary.stat().st_size <= SUMMARY_MAX
          and re.search(r"\n1[0-2] more had no room\.\n", summary.read_text()),
          "GitHub: a summary of no more than 1 MiB")

    done = run(sample, "--exact", "skips", "--github", "off", GITHUB_ACTIONS="true")
    check("::" not in done.stdout, "--github off")
    done = run(sample, "--exact", "skips", "--github", "on")
    check(done.stdout.startswith("::stop-commands::"), "--github on")
    check("::" not in run(sample, "--exact", "skips").stdout, "not on GitHub, --github is off")
    done = run(sample, "--exact", "skips", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="/nowhere/s")
    check(done.returncode == 110 and "/nowhere/s" in done.stderr,
          "a summary that cannot be written is told at once", done.stderr)


def ktap(sample, directory):
    tests = ("check_fails", "freeze_is_missing", "skips", "warning_is_expected", "hangs_in_hold",
             "inconclusive")
    path = pathlib.Path(directory) / "results.ktap"
    done = run(sample, "--exact", *tests, f"--ktap={path}")
    text = path.read_text()
    check(text.startswith("KTAP version 1\n1..6\n") and "PASS" in done.stdout,
          "KTAP: version, plan, and the text for people stays", text)
    lines = [line for line in text.splitlines() if re.match("(not )?ok ", line)]
    check(len(lines) == 6
          and sorted(int(re.search(r"\d+", line)[0]) for line in lines) == list(range(1, 7)),
          "KTAP: a line for each test", text)
    check(re.search(r"^ok \d skips # SKIP needs a unicorn", text, re.M), "KTAP: SKIP", text)
    check(re.search(r"^not ok \d inconclusive # ERROR inconclusive: \w", text, re.M),
          "KTAP: INCONCLUSIVE is an ERROR", text)
    nested = re.search(r"((?:^  .*\n)+)not ok \d hangs_in_hold # TIMEOUT test timeout: no result",
                       text, re.M)
    check(nested and nested[1].startswith("  KTAP version 1\n  1..")
          and re.search("^  not ok .* # TIMEOUT$", nested[1], re.M),
          "KTAP: TIMEOUT, and the step in which it came", text)
    for plan, results in re.findall(r"^  1\.\.(\d+)\n((?:^  (?:not )?ok .*\n)+)", text, re.M):
        check(results.count("\n") == int(plan), "KTAP: the plan of steps is complete")
    done = run(sample, "--exact", "--ktap", "remove_twice")
    check(done.stdout.startswith("KTAP version 1\n") and "Summary" in done.stderr
          and re.search("^  not ok 2 again$", done.stdout, re.M),
          "KTAP on standard output", done.stdout)


def events(sample, directory):
    path = pathlib.Path(directory) / "events.json"
    run(sample, "--exact", "flaky", "run_fails", "skips", "--retries", "2",
        f"--json={path}")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    check(lines[0]["event"] == "run-begins" and lines[0]["version"] == 1
          and lines[0]["n_tests"] == 3 and lines[-1]["event"] == "run-ends",
          "JSON: the run begins and ends", path.read_text())
    begun, attempts = set(), []
    for line in lines[1:-1]:
        key = (line["test"], line["iteration"], line["attempt"])
        if line["event"] == "attempt-begins":
            check(key not in begun, f"JSON: {key} begins")
            begun.add(key)
        else:
            check(line["event"] == "attempt-ends" and key in begun and line["total_ns"] > 0,
                  f"JSON: {key} ends after it began")
            attempts.append(line)
    verdicts = {(a["test"], a["attempt"]): (a["verdict"], a["last"]) for a in attempts}
    check(verdicts == {("flaky", 1): ("fail", False), ("flaky", 2): ("fail", False),
                       ("flaky", 3): ("pass", True), ("skips", 1): ("skip", True),
                       ("run_fails", 1): ("fail", False), ("run_fails", 2): ("fail", False),
                       ("run_fails", 3): ("fail", True)}, "JSON: every attempt", str(verdicts))
    failure = next(a for a in attempts if a["test"] == "run_fails")
    check("No such file" in json.dumps(failure["failures"])
          and "--exact -t run_fails" in failure["rerun"], "JSON: why", str(failure))
    check(lines[-1]["total"] == 3 and lines[-1]["fail"] == 1 and lines[-1]["flaky"] == 1
          and [line["at_ns"] for line in lines[1:]] == sorted(
              line["at_ns"] for line in lines[1:]), "JSON: totals, in the order of time")
    done = run(sample, "--exact", "skips", "--json")
    check([json.loads(line)["event"] for line in done.stdout.splitlines()]
          == ["run-begins", "attempt-begins", "attempt-ends", "run-ends"],
          "JSON on standard output", done.stdout)
    done = run(sample, "--exact", "skips", "--json", "--ktap")
    check(done.returncode == 2 and "--ktap and --json" in done.stderr, "two cannot have it")
    done = run(sample, "--exact", "skips", "--json=/nowhere/f")
    check(done.returncode == 110 and "/nowhere/f" in done.stderr, "JSON: nowhere to write it")


def inside(inner, outer):
    return (inner["tid"] == outer["tid"] and inner["ts"] >= outer["ts"] - 0.01
            and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + 0.01)


def time_line(sample, directory):
    path = pathlib.Path(directory) / "trace.json"
    run(sample, "--exact", "remove_twice", "check_fails", "warning_is_expected", "-j", "4",
        "--retries", "1", "--trace", str(path))
    trace = json.loads(path.read_text())["traceEvents"]
    slices = [event for event in trace if event["ph"] == "X"]
    attempts, phases, steps = ([s for s in slices if s["cat"] == category]
                               for category in ("attempt", "phase", "step"))
    check(sorted((a["name"], a["args"]["attempt"], a["args"]["verdict"]) for a in attempts)
          == [("check_fails", 1, "fail"), ("check_fails", 2, "fail"), ("remove_twice", 1, "fail"),
              ("remove_twice", 2, "fail"), ("warning_is_expected", 1, "pass")],
          "trace: a slice for each attempt", str(attempts))
    check(all(a["tid"] != b["tid"] or a["ts"] + a["dur"] <= b["ts"] + 0.01
              or b["ts"] + b["dur"] <= a["ts"] + 0.01
              for a in attempts for b in attempts if a is not b),
          "trace: attempts in a slot do not overlap")
    for attempt in attempts:
        names = [p["name"] for p in phases if inside(p, attempt)]
        check({"run", "teardown"} < set(names) and len(names) == len(set(names)),
              f"trace: the phases of {attempt['name']}", str(names))
    runs = [p for p in phases if p["name"] == "run" and p["dur"] > 0]
    check(len(runs) == 5 and {"running", "frozen"} < {s["name"] for s in steps}
          and all(sum(inside(step, run) for run in runs) == 1 for step in steps)
          and all(s["args"]["guest_end_ns"] >= s["args"]["guest_begin_ns"] for s in steps),
          "trace: steps lie in the phase run", str(steps))
    tracks = {e["tid"] for e in trace if e["ph"] == "M" and e["name"] == "thread_name"}
    check({a["tid"] for a in attempts} <= tracks, "trace: slots have names")
    counters = [e["args"] for e in trace if e["ph"] == "C"]
    check(counters[-1] == {"running": 0, "passed": 1, "failed": 2}
          and max(c["running"] for c in counters) > 0, "trace: counters", str(counters))


def guest_trace(ktests, directory):
    out = pathlib.Path(directory) / "traced"
    done = run(ktests, "--exact", "cgroup_freeze", "-o", str(out), "--trace-sched")
    check(done.returncode == 0, "--trace-sched: the test passes", done.stdout)
    text = (out / "cgroup_freeze.sched.trace").read_text()
    lines = re.findall(r"^ *(\S.*)-(\d+) +\[(\d+)\] \S+ +(\d+\.\d+): (\w+): (.*)$", text, re.M)
    check(text.startswith("# tracer: nop\n") and len(lines) > 100, "--trace-sched: text of ftrace",
          text[:1000])
    kinds = {kind for _, _, _, _, kind, _ in lines}
    check({"sched_switch", "sched_waking", "tracing_mark_write"} <= kinds
          and len({cpu for _, _, cpu, _, _, _ in lines}) > 1,
          "--trace-sched: switches and wake-ups of all CPUs", str(kinds))
    marks = [(text[0], float(at)) for _, _, _, at, kind, text in lines
             if kind == "tracing_mark_write"]
    result = json.loads((out / "cgroup_freeze.json").read_text())["attempts"][-1]["result"]
    steps = result["scenario"]["steps"]
    check([kind for kind, _ in marks] == ["B", "E"] * len(steps), "--trace-sched: a mark for each "
          "step", str(marks))
    for i, step in enumerate(steps):
        marked = marks[2 * i + 1][1] - marks[2 * i][1]
        held = (step["end_ns"] - step["begin_ns"]) / 1e9
        check(abs(marked - held) < 0.1 * held + 0.05,
              f"--trace-sched: step {i} on the clock of the test ({marked:.3f}, {held:.3f} s)")
    done = run(ktests, "--exact", "cgroup_freeze", "-o", str(out))
    check(not (out / "cgroup_freeze.sched.trace").exists(), "there is none that was not asked for")
    done = run(ktests, "--exact", "trivial", "--trace-sched")
    check(done.returncode == 2 and "--trace FILE or -o DIR" in done.stderr,
          "--trace-sched goes with --trace or -o")
    listed = run(ktests, "--list", "--format", "names").stdout.split()
    if "scx_fifo" in listed:
        both = pathlib.Path(directory) / "scheduler.json"
        run(ktests, "--exact", "scx_fifo", "-o", str(out), "--trace-sched", "--trace", str(both))
        text = (out / "scx_fifo.sched.trace").read_text()
        check(re.search(r"tracing_mark_write: I\|1\|scheduler enabled: \w+\n", text)
              and "I|1|scheduler detached:" in text or "I|1|scheduler ended:" in text,
              "--trace-sched: the scheduler's coming and going")
        moments = [e["name"] for e in json.loads(both.read_text())["traceEvents"]
                   if e["ph"] == "i"]
        check(moments and moments[0].startswith("scheduler enabled: "),
              "one file: the scheduler's coming and going", str(moments))


def machine_tracks(name, trace, attempt):
    """Checks the tracks of the machine of an attempt, and returns their events."""
    [process] = [e["pid"] for e in trace if e["ph"] == "M" and e["name"] == "process_name"
                 and e["args"]["name"] == name]
    names = {e["tid"]: e["args"]["name"] for e in trace
             if e["ph"] == "M" and e["name"] == "thread_name" and e["pid"] == process}
    check({"CPU 0", "test"} <= set(names.values()), f"one file: the tracks of {name}", str(names))
    events = [e for e in trace if e["pid"] == process and e["ph"] in "Xi"]
    [phase] = [e for e in trace if e.get("cat") == "phase" and e["name"] == "run"
               and inside(e, attempt)]
    begin, end = phase["ts"], phase["ts"] + phase["dur"]
    clock = attempt["args"]["guest_clock"]
    for e in events:
        since = (e["args"]["guest_ns"] - clock["test_began_guest_ns"]) / 1000
        at = clock["test_began_us"] + since * clock["host_ns_in_guest_ns"]
        check_quietly(begin - 0.01 <= e["ts"] and e["ts"] + e.get("dur", 0) <= end + 0.01,
                      f"{name}: within the run of its test", e)
        check_quietly(abs(min(max(at, begin), end) - e["ts"]) < 0.01, f"{name}: the one clock", e)
    for thread, track in names.items():
        slices = sorted((e["ts"], e["dur"]) for e in events
                        if e["tid"] == thread and e.get("cat") == "run")
        check((len(slices) > 1 or track == "test")
              and all(a + length <= b for (a, length), (b, _) in zip(slices, slices[1:])),
              f"one file: {name}, {track}: {len(slices)} slices, one after the other")
    return events


def check_quietly(condition, what, event):
    if not condition:
        check(False, what, str(event))


def one_file(ktests, directory):
    """The time line of two tests and what their guests have traced."""
    path = pathlib.Path(directory) / "both.json"
    names = ["cgroup_freeze", "cgroup_stop"]
    done = run(ktests, "--exact", *names, "-j", "4", "--trace", str(path), "--trace-sched")
    check(done.returncode == 0, "one file: the tests pass", done.stdout)
    trace = json.loads(path.read_text())["traceEvents"]
    attempts = {e["name"]: e for e in trace if e.get("cat") == "attempt"}
    check(set(attempts) == set(names), "one file: the time line", str(attempts))
    events = {name: machine_tracks(name, trace, attempts[name]) for name in names}
    check(len({e["tid"] for e in events["cgroup_freeze"] if e.get("cat") == "run"}) == 2,
          "one file: each CPU has a track")

    # What the test did is on the tracks of its machine where the time line has it.
    steps = [e for e in trace if e.get("cat") == "step"
             and inside(e, attempts["cgroup_freeze"])]
    marks = [e for e in events["cgroup_freeze"] if e.get("cat") == "mark"]
    check(len(steps) == len(marks) > 1 and all(
              mark["ts"] <= step["ts"] + 0.01 and "step" in mark["name"]
              and step["ts"] + step["dur"] <= mark["ts"] + mark["dur"] + 0.1 * step["dur"]
              for step, mark in zip(steps, sorted(marks, key=lambda e: e["ts"]))),
          "one file: steps on both", f"{steps}\n{marks}")

    # A worker that is thawed is woken, and runs then.
    runs = {e["bind_id"]: e for e in events["cgroup_freeze"] if e.get("flow_in")}
    woken = [e for e in events["cgroup_freeze"] if e["name"] == "wakes SpinWait"
             and e["ts"] >= steps[-1]["ts"] - steps[-1]["dur"]]
    check(woken and all(
              e["flow_out"] and runs[e["bind_id"]]["name"] == "SpinWait"
              and runs[e["bind_id"]]["args"]["pid"] == e["args"]["pid"]
              and runs[e["bind_id"]]["ts"] >= e["ts"] for e in woken),
          "one file: a wake-up leads to where the worker runs", str(woken))
    ids = [e["bind_id"] for e in trace if e.get("flow_out")]
    check(len(ids) == len(set(ids)), "one file: no two wake-ups have one number")
    check(not any(attempt["args"]["guest_clock"]["events_left_out"]
                  for attempt in attempts.values()), "one file: it had room for all")


def not_in_records(ktests):
    """The record of a run, in the cache, leaves out what guests have traced: two would fill it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    records = pathlib.Path(cache) / "ktest/records"
    before = set(records.iterdir())
    with subprocess.Popen([ktests, "--exact", "cgroup_freeze", "--trace", os.devnull,
                           "--trace-sched"], stdout=subprocess.DEVNULL) as process:
        process.wait(timeout=600)
    own = [path for path in records.iterdir()
           if path not in before and path.name.endswith(f"-{process.pid}")]
    check(len(own) == 1 and list(own[0].rglob("cgroup_freeze.json"))
          and not list(own[0].rglob("*.sched.trace")), "a record has no trace of a guest", own)


def main():
    sample, ktests = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        github(sample, directory)
        ktap(sample, directory)
        events(sample, directory)
        time_line(sample, directory)
        guest_trace(ktests, directory)
        one_file(ktests, directory)
        not_in_records(ktests)


main()
