#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# PID 1 of the outer machine. Each check is a line "nested: ok|failed: WHAT" on the console; the
# last line is "nested: end". tests/nested/nested.py has set KTESTS, SAMPLE and MODULES in /env.
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

# runs WHAT ARGUMENTS...: ktests must exit with 0. Its limits are those of hardware, which TCG is
# not: a boot takes ten times as long here.
runs() {
	local what=$1
	shift
	"$KTESTS" -v -j 2 --boot-timeout 200s --timeout-multiplier 4 "$@" 2>&1 | cat # which is no terminal
	verdict $? "$what"
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

killed_runner() {
	"$SAMPLE" --accel kvm --vmm "$VMM" --exact hangs --boot-timeout 200s --timeout 300s \
		--no-capture > /tmp/sample.log 2>&1 &
	until_true 250 sample_hangs
	verdict $? "a runner that will be killed has a machine"
	[ "$(processes | wc -l)" -ge $([ "$VMM" = kvm ] && echo 2 || echo 3) ]
	verdict $? "runner and session, and QEMU, are seen ($VMM)"
	all_are_confined
	verdict $? "all but the runner are confined ($VMM)"
	kill -9 $!
	wait $!
	until_true 10 no_processes
	verdict $? "a runner that is killed leaves no process"
	no_processes || { ps; cat /tmp/sample.log; }
}

for module in $MODULES; do insmod "$module" || verdict 1 "insmod $module"; done
[ -c /dev/kvm ]
verdict $? "/dev/kvm"
runs "a trivial test, booted" --vmm qemu --exact trivial --boot cold > /tmp/cold.log
cat /tmp/cold.log
grep -q "accel: kvm, vmm: qemu," /tmp/cold.log
verdict $? "KVM is measured and found real"
cat /cache/ktest/host.json; echo
"$KTESTS" doctor | grep confine
runs "a trivial test, forked" --vmm qemu --accel kvm --exact trivial
runs "freezing and a scheduler, forked" --vmm qemu --accel kvm --exact cgroup_freeze scx_fifo
VMM=qemu killed_runner

# From here on, QEMU is not there.
mv "$(command -v qemu-system-x86_64)" /tmp/qemu
runs "a trivial test, booted by the native machine" --exact trivial --boot cold > /tmp/native.log
cat /tmp/native.log
grep -q "accel: kvm, vmm: kvm," /tmp/native.log
verdict $? "the native machine is the default with KVM"
runs "a trivial test, forked 10 times by the native machine" --exact trivial --stress-count 10
runs "freezing, a scheduler, a snapshot, clocks and timers in the native machine" \
	--exact cgroup_freeze scx_fifo snapshot_exit snapshot_machine \
	machine_clocks machine_timers machine_time_is_trusted
runs "the disk and the cards, and the work on them" -t disk -t net_
VMM=kvm killed_runner
echo "nested: end"
poweroff -f
