#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The files of examples/ci: their commands run, with the variables that the service sets, as three
shards and the job that merges them. What a service does between jobs, such as passing files on, is
done here.

usage: engines.py SOURCE_ROOT FAILING_SAMPLE
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

try:
    import yaml
except ImportError:
    print("skipped: Python has no yaml (python3-yaml)")
    sys.exit(77)

N = 3
TESTS = ["warning_is_expected", "run_fails", "skips"]
RUN = "4711"  # what the service calls the run


def check(condition, what, run=None):
    if not condition:
        sys.exit(f"failed: {what}" + (f"\n{run.args}\n{run.stdout}{run.stderr}" if run else ""))
    print(f"ok: {what}", flush=True)


class Service:
    """The directory of a job's machine, as far as the service makes it."""

    def __init__(self, name, sample):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"ktest-{name}-"))
        names = " ".join(f"-t {name}" for name in TESTS)
        self.program("ktests", f'case $1 in merge) exec {sample} "$@";; esac\n'
                               f'exec {sample} --exact {names} --seed 7 "$@"\n')

    def program(self, name, text):
        (self.dir / name).write_text("#!/bin/sh\n" + text)
        (self.dir / name).chmod(0o755)

    def run(self, command, shell=("sh", "-e", "-c"), **variables):
        """Runs a command of the file as the service does."""
        env = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR")
               if name in os.environ}
        env |= {"PATH": f"{self.dir}:{os.environ['PATH']}", "CI": "true"}
        return subprocess.run([*shell, command], cwd=self.dir, capture_output=True, text=True,
                              env=env | {name: str(value) for name, value in variables.items()},
                              timeout=600, check=False)

    def shards(self, runs):
        statuses = sorted(run.returncode for run in runs)
        check(len(runs) == N and statuses == [0, 77, 100], f"{self.name}: the shards run",
              next((run for run in runs if run.returncode not in (0, 77, 100)), runs[0]))

    def merged(self, run, report="junit.xml", status=100):
        text = (self.dir / report).read_text() if (self.dir / report).exists() else ""
        check(run.returncode == status and f"{N} shards of run {RUN}: {len(TESTS)} tests"
              in run.stdout and text.count("<testcase ") == len(TESTS),
              f"{self.name}: they are merged", run)

    def lost(self, command, path, **variables):
        """The merging job fails if a shard's files did not arrive."""
        shutil.rmtree(path)
        run = self.run(command, **variables)
        check(run.returncode == 99 and f"shard 2 of {N} is lost" in run.stderr,
              f"{self.name}: a lost shard is told", run)


def github(text, service):
    jobs = yaml.safe_load(text)["jobs"]
    shard, merge = jobs["shard"], jobs["merge"]
    numbers = shard["strategy"]["matrix"]["shard"]
    (step,) = [step for step in shard["steps"] if step.get("name") == "run"]
    runs = []
    for number in numbers:
        values = {"matrix.shard": number, "strategy.job-total": len(numbers)}
        env = {name: re.sub(r"\$\{\{ (\S+) \}\}", lambda match: str(values[match[1]]), value)
               for name, value in step["env"].items()}
        runs.append(service.run(step["run"], ("bash", "-e", "-c"), GITHUB_RUN_ID=RUN,
                                GITHUB_ACTIONS="true", **env))
        (service.dir / "out").rename(service.dir / f"shard-{number}")
    service.shards(runs)
    (service.dir / "shards").mkdir()  # download-artifact with a pattern: a directory for each
    for number in numbers:
        (service.dir / f"shard-{number}").rename(service.dir / f"shards/shard-{number}")
    (step,) = [step for step in merge["steps"] if step.get("name") == "merge"]
    service.merged(service.run(step["run"], ("bash", "-e", "-c"), GITHUB_RUN_ID=RUN))
    service.lost(step["run"], service.dir / "shards/shard-2")


def gitlab(text, service):
    jobs = yaml.safe_load(text)
    total = jobs["shard"]["parallel"]
    service.shards([service.run("\n".join(jobs["shard"]["script"]), GITLAB_CI="true",
                                CI_NODE_INDEX=index, CI_NODE_TOTAL=total, CI_PIPELINE_ID=RUN)
                    for index in range(1, total + 1)])
    check(jobs["merge"]["when"] == "always", "gitlab: merging does not depend on success")
    command = "\n".join(jobs["merge"]["script"])
    service.merged(service.run(command, GITLAB_CI="true", CI_PIPELINE_ID=RUN))
    service.lost(command, service.dir / "out/2")


def buildkite(text, service):
    steps = {step["label"]: step for step in yaml.safe_load(text)["steps"] if "label" in step}
    service.program("buildkite-agent", "exit 0\n")  # the files of all jobs are here
    shard = "\n".join(steps["shard"]["commands"]).replace("$$", "$")
    total = steps["shard"]["parallelism"]
    service.shards([service.run(shard, BUILDKITE="true", BUILDKITE_PARALLEL_JOB=index,
                                BUILDKITE_PARALLEL_JOB_COUNT=total, BUILDKITE_BUILD_ID=RUN)
                    for index in range(total)])
    merge = "\n".join(steps["merge"]["commands"]).replace("$$", "$")
    service.merged(service.run(merge, BUILDKITE="true", BUILDKITE_BUILD_ID=RUN))
    service.lost(merge, service.dir / "out/1")


def circleci(text, service):
    jobs = yaml.safe_load(text)["jobs"]

    def command(job):
        (step,) = [step["run"] for step in jobs[job]["steps"] if "run" in step]
        return step["command"]

    total = jobs["shard"]["parallelism"]
    runs = [service.run(command("shard"), ("bash", "-eo", "pipefail", "-c"), CIRCLECI="true",
                        CIRCLE_NODE_INDEX=index, CIRCLE_NODE_TOTAL=total, CIRCLE_WORKFLOW_ID=RUN)
            for index in range(total)]
    check(len(runs) == N and not any(run.returncode for run in runs),
          "circleci: the shards run; merging is told of a failed test", runs[0])
    merge = command("merge")
    service.merged(service.run(merge, CIRCLECI="true"), "junit/ktest.xml")
    service.lost(merge, service.dir / "out/1")


def kubernetes(text, service):
    shard, merge = yaml.safe_load_all(text)
    results = service.dir / "results"  # the volume of all pods
    results.mkdir()

    def container(job):
        (found,) = job["spec"]["template"]["spec"]["containers"]
        (mount,) = found["volumeMounts"]
        check(found["command"] == ["sh", "-c"] and mount["mountPath"] == "/results",
              f"kubernetes: {job['metadata']['name']}")
        return found["args"][0].replace("/results", str(results)), found

    command, found = container(shard)
    env = {entry["name"]: entry.get("value", RUN) for entry in found["env"]}
    total = shard["spec"]["completions"]
    check(int(env["KTESTS_SHARDS"]) == total, "kubernetes: the pods know how many they are")
    service.shards([service.run(command, ("sh", "-c"), JOB_COMPLETION_INDEX=index, **env)
                    for index in range(total)])
    command, _ = container(merge)
    service.merged(service.run(command), "results/junit.xml")
    service.lost(command, results / "1")


def slurm(text, service):
    (service.dir / "slurm.sh").write_text(text)
    first, last = map(int, re.search(r"--array=(\d+)-(\d+) \"\$0\"", text).groups())
    service.shards([service.run("sh slurm.sh", SLURM_ARRAY_JOB_ID=RUN, SLURM_ARRAY_TASK_ID=index,
                                SLURM_ARRAY_TASK_MIN=first, SLURM_ARRAY_TASK_MAX=last,
                                SLURM_ARRAY_TASK_COUNT=last - first + 1)
                    for index in range(first, last + 1)])
    service.merged(service.run("sh slurm.sh merge"))
    service.lost("sh slurm.sh merge", service.dir / "out/2")


ENGINES = {"github.yml": github, "gitlab.yml": gitlab, "buildkite.yml": buildkite,
           "circleci.yml": circleci, "kubernetes.yaml": kubernetes, "slurm.sh": slurm}


def main():
    examples = pathlib.Path(sys.argv[1]) / "examples/ci"
    check({path.name for path in examples.iterdir()} == set(ENGINES), "each file has its check")
    for name, engine in ENGINES.items():
        service = Service(name.split(".", maxsplit=1)[0], sys.argv[2])
        try:
            engine((examples / name).read_text(), service)
        finally:
            shutil.rmtree(service.dir)


main()
