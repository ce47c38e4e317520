#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A Slurm cluster of this machine's own runs examples/ci/slurm.sh: three nodes, an array of three
shards and the job that merges them. One node dies in the middle of its shard, which Slurm queues
again; the union is whole.

It needs the packages slurmctld, slurmd, slurm-client and munge, and root; without them it is
skipped. They are not installed for it, because they are services: "./dev setup" has no use for
them otherwise.

usage: slurm.py SOURCE_ROOT FAILING_SAMPLE
"""

import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

NODES = ["n1", "n2", "n3"]
TESTS = ["run_fails", "warning_is_expected", "kernel_path_is_unknown"]  # a shard each
PROGRAMS = ["munged", "slurmctld", "slurmd", "sbatch", "scontrol", "sinfo"]
LIMIT_S = 300  # of anything that is waited for, on a host that has other things to do

CONF = """\
ClusterName=ktest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={dir}/munge.socket
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool-%n
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/slurmd-%n.pid
SlurmctldLogFile={dir}/slurmctld.log
SlurmdLogFile={dir}/slurmd-%n.log
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=1
ReturnToService=2
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
MpiDefault=none
JobRequeue=1
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

# What jobs call ./ktests. The first attempt of shard 2 does not end by itself; the check reads
# what it prints. A pipe has a name here because it leads from one service to another.
WRAPPER = """\
#!/bin/sh
case $1 in
merge)
	status=0
	{sample} "$@" || status=$?
	echo "$status" > {dir}/merged.pipe
	exit $status;;
esac
if [ "$SLURM_ARRAY_TASK_ID" = 2 ] && [ "${{SLURM_RESTART_COUNT:-0}}" = 0 ]; then
	echo "$SLURMD_NODENAME" > {dir}/shard.pipe
	exec {sample} --exact {names} --seed 7 "$@" --stress-count infinite > {dir}/shard.pipe
fi
exec {sample} --exact {names} --seed 7 "$@"
"""


def check(condition, what, more=""):
    if not condition:
        raise SystemExit(f"failed: {what}\n{more}")
    print(f"ok: {what}", flush=True)


def missing():
    """Why the check cannot run here; "" if it can."""
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return f"there is no {', '.join(absent)} (Debian: slurmctld slurmd slurm-client munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def processes(mark, *of):
    """Processes of this check: those whose environment has the mark, and one of @of if given."""
    found = []
    for path in pathlib.Path("/proc").iterdir():
        try:
            variables = (path / "environ").read_bytes().split(b"\0") if path.name.isdigit() else []
        except OSError:  # it has gone
            continue
        if mark.encode() in variables and (
                not of or any(variable.encode() in variables for variable in of)):
            found.append(int(path.name))
    return found


def reap():
    """Takes the status of children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def kill_all(mark, *of):
    """Until none is left: one of them may have started another one meanwhile."""
    while pids := processes(mark, *of):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap()


class Cluster:
    def __init__(self, directory, sample, root):
        self.dir = pathlib.Path(directory)
        self.mark = f"KTEST_SLURM={directory}"
        self.work = self.dir / "work"
        for name in ("work", "state", *(f"spool-{node}" for node in NODES)):
            (self.dir / name).mkdir()
        for name in ("shard.pipe", "merged.pipe"):
            os.mkfifo(self.dir / name)
        names = " ".join(f"-t {name}" for name in TESTS)
        (self.work / "ktests").write_text(
            WRAPPER.format(dir=self.dir, sample=sample, names=names))
        (self.work / "ktests").chmod(0o755)
        shutil.copy(root / "examples/ci/slurm.sh", self.work)
        self.write_conf()

    def write_conf(self):
        port, *ports = free_ports(1 + len(NODES))
        host = socket.gethostname().split(".")[0]
        nodes = "\n".join(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={number} "
                          "CPUs=1 State=UNKNOWN" for node, number in zip(NODES, ports))
        (self.dir / "slurm.conf").write_text(
            CONF.format(dir=self.dir, host=host, port=port, nodes=nodes))
        key = self.dir / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)

    def environment(self, **more):
        name, value = self.mark.split("=", 1)
        kept = {key: text for key, text in os.environ.items()
                if not key.startswith(("SLURM", "KTESTS_", "CI"))}
        return kept | {"SLURM_CONF": str(self.dir / "slurm.conf"), name: value} | more

    def start(self, *command, **more):
        with open(self.dir / "daemons.log", "ab") as log:
            subprocess.Popen([*map(str, command)], env=self.environment(**more), stdout=log,
                             stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir)

    def call(self, *command):
        return subprocess.run(command, cwd=self.work, env=self.environment(), capture_output=True,
                              text=True, timeout=LIMIT_S, check=False)

    def wait_until(self, what, *command, until):
        """Slurm tells its state only to who asks."""
        end = time.monotonic() + LIMIT_S
        while True:
            run = self.call(*command)
            if until(run.stdout):
                return
            if time.monotonic() > end:
                check(False, what, run.stdout + run.stderr)
            time.sleep(0.2)

    def start_all(self):
        self.start("munged", "--foreground", "--force", f"--key-file={self.dir}/munge.key",
                   f"--socket={self.dir}/munge.socket", f"--pid-file={self.dir}/munge.pid",
                   f"--seed-file={self.dir}/munge.seed", f"--log-file={self.dir}/munge.log")
        self.wait_until("munge answers", "munge", "-n", f"--socket={self.dir}/munge.socket",
                        until=bool)
        self.start("slurmctld", "-D", "-f", self.dir / "slurm.conf")
        for node in NODES:
            self.start("slurmd", "-D", "-N", node, "-f", self.dir / "slurm.conf", KTEST_NODE=node)
        self.wait_until("all nodes are idle", "sinfo", "-h", "-N", "-o", "%N %t",
                        until=lambda text: text.split() == [
                            word for node in NODES for word in (node, "idle")])

    def kill_node(self, node):
        """As if its machine lost power: the daemon, and all that its jobs have started."""
        kill_all(self.mark, f"KTEST_NODE={node}", f"SLURMD_NODENAME={node}")

    def logs(self):
        return "".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}\n"
                       for path in [*self.dir.glob("*.log"), *self.work.glob("*.out")])


def scenario(cluster):
    cluster.start_all()
    check(True, "a cluster of three nodes")
    shard = os.open(cluster.dir / "shard.pipe", os.O_RDWR)  # its writers need not wait
    merged = os.open(cluster.dir / "merged.pipe", os.O_RDWR)
    run = cluster.call("./slurm.sh", "submit")
    check(run.returncode == 0 and "Submitted batch job" in run.stdout, "the jobs are submitted",
          run.stdout + run.stderr + cluster.logs())
    output = os.fdopen(os.dup(shard), "r")
    node = output.readline().strip()
    check(node in NODES, f"shard 2 begins on {node}")
    while "(run 1)" not in output.readline():
        pass
    cluster.kill_node(node)
    check(not (cluster.work / "out/2/shard-2-of-3.json").exists(),
          "the node dies in the middle of the shard")
    cluster.wait_until("Slurm notices", "squeue", "-h", "-r", "-o", "%K %T %r",
                       until=lambda text: "2 PENDING" in text)
    check(True, "Slurm queues the shard again")
    job = cluster.call("squeue", "-h", "-r", "-o", "%K %A %F").stdout
    (array,) = {line.split()[2] for line in job.splitlines() if line.startswith("2 ")}
    # Slurm would wait for two minutes, in case that the node comes back.
    cluster.call("scontrol", "update", f"jobid={array}_2", "StartTime=now")
    status = os.fdopen(merged, "r").readline().strip()
    text = "".join(path.read_text() for path in cluster.work.glob("*.out"))
    check(status == "100" and f"3 shards of run {array}: {len(TESTS)} tests" in text,
          "the shards of two nodes and the repeated one are whole", f"{status}\n{text}")
    report = (cluster.work / "junit.xml").read_text()
    check(report.count("<testcase ") == len(TESTS), "one report of all tests", report)


def main():
    reason = missing()
    if reason:
        print(f"skipped: {reason}")
        return 77
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, lambda *_: sys.exit("failed: ended from outside, or too late"))
    signal.alarm(2 * LIMIT_S)
    directory = tempfile.mkdtemp(prefix="ktest-slurm-")
    cluster = Cluster(directory, os.path.abspath(sys.argv[2]), pathlib.Path(sys.argv[1]))
    try:
        scenario(cluster)
    except SystemExit:
        print(cluster.logs())
        raise
    finally:
        kill_all(cluster.mark)
        shutil.rmtree(directory)
    return 0


sys.exit(main())
