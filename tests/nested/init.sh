#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# PID 1 of the outer machine. On the console a part begins with "nested: part NAME", each check is a
# line "nested: ok|failed: WHAT", and the last line is "nested: end". tests/nested/nested.py has set
# in /env: KTESTS, SAMPLE, MODULES, PARTS (functions below, part_NAME), FORKS (how many machines
# part_forks makes), STORM (how many runners part_storm kills), TOPOLOGIES (a test of each topology
# of the suite), SUITE (arguments that select tests), and UNITS (unit tests).
set -o pipefail
export PATH=/usr/bin:/bin HOME=/root XDG_CACHE_HOME=/cache
/bin/busybox mkdir -p /proc /sys /dev /tmp /root
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
. /env
stty -echo # of the bytes that nested.py sends

# verdict STATUS WHAT
verdict() {
	if [ "$1" = 0 ]; then echo "nested: ok: $2"; else echo "nested: failed: $2"; fi
	echo "nested: at $(cut -d' ' -f1 /proc/uptime) s"
}

# A boot takes ten times as long here as on hardware, and a busy host makes that any number. What
# ends a machine that does not get on is nested.py's limit of CPU time.
LIMITS="--boot-timeout 1800s --timeout-multiplier 60"

# runs WHAT ARGUMENTS...: ktests must exit with 0.
runs() {
	local what=$1
	shift
	"$KTESTS" -v -j 2 $LIMITS "$@" 2>&1 | cat # which is no terminal
	verdict $? "$what"
}

# nested.py says "interrupt" when the machine is out of time; all other lines are empty. A runner
# that is interrupted tells which tests it waits for, and what they have printed.
interrupt() {
	local line
	while read -r line; do
		[ "$line" != interrupt ] || killall -q -INT ktests sample-failing
	done
}

# The kernel keeps 15 characters of a name.
processes() { grep -lsE '^(qemu-system-x86|sample-failing)$' /proc/[0-9]*/comm; }
no_processes() { [ -z "$(processes)" ]; }
sample_hangs() { grep -q "waiting for what never comes" /tmp/sample.log; }

# until_true SECONDS COMMAND...
until_true() {
	local left=$(($1 * 10))
	shift
	until "$@"; do
		[ $left -gt 0 ] || return 1
		left=$((left - 1))
		sleep 0.1
	done
}

# Of what was seen, all but the runner have no capabilities and a filter of system calls.
all_are_confined() {
	local comm status n=0
	for comm in $(processes); do
		status=${comm%comm}status
		if grep -qE '^CapPrm:[[:space:]]*0+$' "$status" &&
				grep -qE '^NoNewPrivs:[[:space:]]*1' "$status" &&
				grep -qE '^Seccomp:[[:space:]]*2' "$status"; then
			n=$((n + 1))
		fi
	done
	[ "$n" = $(($(processes | wc -l) - 1)) ]
}

# ---- the contract: one list of tests and of ends, for whichever monitor is $VMM -----------------

# A capability of a machine each: a fork, cgroups, the machine that stands still at an error, a
# watch, one that KVM cannot have, typed paths, a snapshot, a scheduler that is attached, one that
# is exchanged, time, LLCs that differ and a node of memory alone.
CONTRACT="trivial cgroup_freeze freeze_at_error watch_global watch_long kernel_paths
snapshot_machine scx_fifo scx_restart machine_clocks machine_timers machine_time_is_trusted
topology_uneven"

sample() { echo "$SAMPLE -j 2 --accel kvm --vmm $VMM $LIMITS"; }

# ended COUNT HOW: so many guests of ends() have ended like that.
ended() { [ "$(grep -c ": the guest $2 before the test was done" /tmp/ends.log)" = "$1" ]; }

# Each way in which a guest ends by itself is a failure of the test, told as what it was.
ends() {
	$(sample) --exact guest_panics triple_faults reboots powers_off 2>&1 | tee /tmp/ends.log
	local status=$?
	[ $status = 100 ] && grep -q "4 run: 0 passed, 4 failed" /tmp/ends.log &&
		grep -q "Kernel panic - not syncing: sysrq triggered crash" /tmp/ends.log &&
		ended 3 "reset itself.*" && ended 1 "powered off"
	verdict $? "a panic, a triple fault, a reboot and a power-off end a machine ($VMM)"
}

killed_runner() {
	: > /tmp/sample.log # that of an earlier runner, which this one may be late to replace
	$(sample) --exact hangs --timeout 1800s --no-capture > /tmp/sample.log 2>&1 &
	until_true 1800 sample_hangs
	verdict $? "a runner that will be killed has a machine"
	[ "$(processes | wc -l)" -ge $([ "$VMM" = kvm ] && echo 2 || echo 3) ]
	verdict $? "runner and session, and QEMU, are seen ($VMM)"
	all_are_confined
	verdict $? "all but the runner are confined ($VMM)"
	kill -9 $!
	wait $!
	until_true 10 no_processes
	verdict $? "a runner that is killed leaves no process ($VMM)"
	no_processes || { ps; cat /tmp/sample.log; }
}

part_qemu() {
	runs "a trivial test, booted" --vmm qemu --exact trivial --boot cold | tee /tmp/cold.log
	grep -q "accel: kvm, vmm: qemu," /tmp/cold.log
	verdict $? "KVM is measured and found real"
	cat /cache/ktest/host.json; echo
	"$KTESTS" doctor | grep confine
	VMM=qemu contract
}

# QEMU is not there.
part_native() {
	hide_qemu
	runs "a trivial test, booted by the native machine" --exact trivial --boot cold |
		tee /tmp/native.log
	grep -q "accel: kvm, vmm: kvm," /tmp/native.log
	verdict $? "the native machine is the default with KVM"
	VMM=kvm contract
	runs "the disk and the cards" --exact disk cable
}

hide_qemu() {
	local qemu=$(command -v qemu-system-x86_64)
	[ -z "$qemu" ] || mv "$qemu" /tmp/qemu
}

contract() {
	runs "the contract ($VMM)" --accel kvm --vmm $VMM --status-level skip --exact $CONTRACT |
		tee /tmp/contract.log
	grep -q "SKIP .*watch_long: .*65 bytes" /tmp/contract.log
	verdict $? "a watch that KVM cannot have is a reason to skip a test ($VMM)"
	has_uneven_llcs
	verdict $? "LLCs that differ are there, or a reason to skip a test ($VMM)"
	ends
	killed_runner
}

has_uneven_llcs() {
	if [ "$VMM" = kvm ]; then
		! grep -q "SKIP .*topology_uneven" /tmp/contract.log
	else
		grep -q "SKIP .*topology_uneven: QEMU's last-level caches" /tmp/contract.log
	fi
}

# ---- what only the native machine is asked ------------------------------------------------------

# What it does with a guest of a few bytes. Leaks are looked for by a thread that ptrace()s others.
part_unit() {
	local unit
	mkdir -p /dev/shm
	mount -t tmpfs none /dev/shm
	for unit in $UNITS; do
		"$unit" --tap=- 2>&1 | tee /tmp/unit.log
		verdict $? "$unit"
		! grep -q "^ok .*# SKIP" /tmp/unit.log
		verdict $? "none of its tests was skipped"
	done
	umount /dev/shm
}

native() {
	local what=$1
	shift
	hide_qemu
	runs "$what" --accel kvm --vmm kvm "$@"
}

# nested.py reads the figures from the lines. One machine at a time: there is one CPU.
part_forks() {
	native "a boot, to compare with" --exact trivial --boot cold
	native "$FORKS forks of one template" -j 1 --pool 0 --exact trivial --stress-count "$FORKS"
}

part_topologies() { native "each topology of the suite" --exact $TOPOLOGIES; }

part_suite() { native "the suite" $SUITE; }

below() { echo $(($(od -An -N4 -tu4 /dev/urandom) % $1)); }

# Kills one of all processes, then the runner, each at a moment that nobody has chosen.
kill_at_random() {
	local runner
	$(sample) --exact hangs --timeout 1800s --stress-count 2 > /tmp/sample.log 2>&1 &
	runner=$!
	usleep "$(below 1500000)"
	kill -9 "$(processes | shuf -n 1 | cut -d/ -f3)"
	usleep "$(below 500000)"
	kill -9 $runner 2> /dev/null
	wait $runner
}

part_storm() {
	local VMM=kvm round=0 left=0
	hide_qemu
	$(sample) --exact warning_is_expected > /dev/null 2>&1 # makes the template
	while [ $round -lt "$STORM" ]; do
		round=$((round + 1))
		kill_at_random 2> /dev/null
		until_true 10 no_processes || { left=$((left + 1)); ps; }
	done
	[ $left = 0 ] && [ -z "$(ls -A /dev/shm 2> /dev/null)" ]
	verdict $? "$STORM runners whose processes are killed leave nothing behind"
	native "a trivial test after that" --exact trivial
}

interrupt < /dev/console &
for module in $MODULES; do insmod "$module" || verdict 1 "insmod $module"; done
[ -c /dev/kvm ]
verdict $? "/dev/kvm"
for part in $PARTS; do
	echo "nested: part $part"
	"part_$part"
done
echo "nested: end"
poweroff -f
