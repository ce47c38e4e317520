/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/mem.h"
#include "vmm/ramfile.h"

UNIT_SUITE(machine);
UNIT_SUITE(mem);
UNIT_SUITE(ramfile);

#define GIB (UINT64_C(1) << 30)

/* ---- running ----------------------------------------------------------------------------------
 */

Test(machine, a_running_guests_memory_is_seen)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct vm vm;
	uint32_t count;

	vm_start(&vm, &config);
	cr_assert(zero(int, vm.mem.pid), "this process has the memory too");
	await_counter_above(&vm, 0, "after its start");
	cr_assert(eq(u32, peek(&vm, TINY_GUEST_WORD), TINY_GUEST_MAGIC));
	count = peek(&vm, TINY_GUEST_COUNTER);
	await_counter_above(&vm, count, "while it runs");
	vm_close(&vm);
}

Test(machine, a_paused_guest_stands_still_until_it_is_resumed)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;
	uint32_t count;

	vm_start(&vm, &config);
	await_counter_above(&vm, 0, "after its start");
	for (int i = 0; i < 3; i++) {
		cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
		count = peek(&vm, TINY_GUEST_COUNTER);
		let_pass(&vm, VM_PAUSE_NS);
		cr_assert(eq(u32, peek(&vm, TINY_GUEST_COUNTER), count));
		poke(&vm, TINY_GUEST_COUNTER, 0x80000000); /* the guest continues from it */
		cr_assert(zero(int, kt_machine_resume(vm.machine, kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
		await_counter_above(&vm, 0x80000000, "when it is resumed");
	}
	vm_close(&vm);
}

/* ---- ending -----------------------------------------------------------------------------------
 */

static void check_ends(const struct kt_machine_config *config, enum kt_exit_reason reason)
{
	struct vm vm;

	vm_start(&vm, config);
	await_exit(&vm);
	cr_assert(eq(int, (int)vm.exit.reason, (int)reason), "%s", vm.exit.detail);
	vm_close(&vm);
}

Test(machine, powering_off_is_no_reset)
{
	struct kt_machine_config powers_off = TINY_GUEST_CONFIG(TINY_GUEST_POWERS_OFF, -1);

	check_ends(&powers_off, KT_EXIT_SHUTDOWN);
}

Test(machine, one_that_is_powered_off_by_its_owner_has_powered_off)
{
	struct kt_machine_config counts = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct vm vm;

	vm_start(&vm, &counts);
	await_counter_above(&vm, 0, "after its start");
	cr_assert(zero(u32, vm.n_exits));
	kt_machine_power_off(vm.machine);
	await_exit(&vm);
	cr_assert(eq(int, (int)vm.exit.reason, KT_EXIT_SHUTDOWN), "%s", vm.exit.detail);
	vm_close(&vm);
}

Test(machine, a_triple_fault_is_one)
{
	struct kt_machine_config faults = TINY_GUEST_CONFIG(TINY_GUEST_FAULTS, -1);

	check_ends(&faults, KT_EXIT_RESET);
}

/* The ID of this thread's only child, which is the machine. */
static pid_t only_child(void)
{
	KT_FREE char *path = kt_format("/proc/self/task/%d/children", (int)gettid());
	KT_FREE char *text = NULL;
	int pid, n;

	if (kt_file_read(path, 4096, &text, NULL) < 0)
		cr_skip_test("the host's kernel does not list children");
	cr_assert(eq(int, sscanf(text, "%d %n", &pid, &n), 1));
	cr_assert(eq(str, text + n, ""));
	return pid;
}

Test(machine, one_killed_from_outside_says_so)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;

	vm_start(&vm, &config);
	await_counter_above(&vm, 0, "after its start");
	cr_assert(zero(int, kill(only_child(), SIGKILL)));
	await_exit(&vm);
	cr_assert(eq(int, (int)vm.exit.reason, KT_EXIT_VMM_ERROR));
	cr_assert(strstr(vm.exit.detail, "killed by signal 9") != NULL, "%s", vm.exit.detail);
	cr_assert(strstr(vm.exit.detail, "OOM killer") != NULL, "%s", vm.exit.detail);
	cr_assert(vm.exit.killed);
	(void)signal(SIGPIPE, SIG_IGN); /* as framework/cli/main.c does */
	cr_assert(lt(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err), 0));
	cr_assert(ne(str, err.text, ""));
	vm_close(&vm);
}

/* ---- the rendezvous of vCPUs ---- */

/* The thread of QEMU with this name; 0: there is none. */
static pid_t thread_of(pid_t pid, const char *name)
{
	KT_FREE char *dir_path = kt_format("/proc/%d/task", (int)pid);
	DIR *dir = opendir(dir_path);
	pid_t found = 0;

	for (struct dirent *ent; dir && !found && (ent = readdir(dir));) {
		KT_FREE char *path = kt_format("%s/%s/comm", dir_path, ent->d_name), *text = NULL;

		if (kt_file_read(path, 64, &text, NULL) == 0 && !strncmp(text, name, strlen(name)))
			found = (pid_t)atoi(ent->d_name);
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

/* Two vCPUs with a thread each, which count. */
static void start_two(struct vm *vm)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);

	config.topology.cores = 2;
	vm_start(vm, &config);
	await_counter_above(vm, 0, "after its start");
}

static void check_given_up(struct vm *vm, int r, const struct kt_err *err, const char *text)
{
	KT_FREE char *detail = kt_format("QEMU was ended: %s", text);

	cr_assert(eq(int, r, -ETIMEDOUT));
	cr_assert(eq(str, (char *)err->text, (char *)text));
	await_exit(vm);
	cr_assert(eq(int, (int)vm->exit.reason, KT_EXIT_VMM_ERROR));
	cr_assert(eq(str, vm->exit.detail, detail));
}

#define IMPATIENCE (300 * KT_NSEC_PER_MSEC)

/* A tracer keeps the thread of one vCPU from everything, so that it does not leave guest code. */
Test(machine, a_vcpu_that_does_not_park_is_named)
{
	struct kt_err err = KT_ERR_NULL;
	uint64_t began_ns;
	struct vm vm;
	pid_t thread;
	int r;

	start_two(&vm);
	thread = thread_of(only_child(), "CPU 0/");
	cr_assert(gt(int, thread, 0), "QEMU names its threads");
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0)
		cr_skip_test("nobody can be traced here");
	cr_assert(zero(long, ptrace(PTRACE_INTERRUPT, thread, NULL, NULL)));
	cr_assert(eq(int, waitpid(thread, NULL, __WALL), thread));
	began_ns = kt_now_ns();
	r = kt_machine_pause(vm.machine, began_ns + IMPATIENCE, &err);
	cr_assert(ge(u64, kt_now_ns() - began_ns, IMPATIENCE));
	cr_assert(eq(str, err.text, "vCPU 0 of 2 did not park"));
	(void)waitpid(thread, NULL, __WALL); /* or its process would not end */
	check_given_up(&vm, r, &err, "vCPU 0 of 2 did not park");
	vm_close(&vm);
}

Test(machine, a_thaw_has_a_bound_too)
{
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;
	int r;

	start_two(&vm);
	cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)), "%s",
		  err.text);
	cr_assert(zero(int, kill(only_child(), SIGSTOP)));
	r = kt_machine_resume(vm.machine, kt_now_ns() + IMPATIENCE, &err);
	check_given_up(&vm, r, &err, "vCPU 0 and 1 of 2 did not run again");
	vm_close(&vm);
}

#define SAYS_SO "#!/bin/sh\necho it has bitten >&2\n"
#define PAUSES  " -device ib700 -action watchdog=pause\n"

/* QMP says nothing for half a second. A child, which ends with QEMU, is in between. */
#define SLOW_TO_HEAR                                                                               \
	"exec python3 -c '\n"                                                                      \
	"import os, re, select, socket, sys, time\n"                                               \
	"args = sys.argv[1:]\n"                                                                    \
	"at = next(i for i, arg in enumerate(args) if \"id=qmp\" in arg)\n"                        \
	"outer = socket.socket(fileno=int(args[at].rpartition(\"=\")[2]))\n"                       \
	"inner, end = socket.socketpair()\n"                                                       \
	"if os.fork():\n"                                                                          \
	"    os.set_inheritable(end.fileno(), True)\n"                                             \
	"    args[at] = \"socket,id=qmp,fd=%d\" % end.fileno()\n"                                  \
	"    os.close(inner.detach())\n"                                                           \
	"    os.execvp(args[0], args)\n"                                                           \
	"end.close()\n"                                                                            \
	"os.closerange(3, min(outer.fileno(), inner.fileno()))\n"                                  \
	"time.sleep(0.5)\n"                                                                        \
	"peers = {outer: inner, inner: outer}\n"                                                   \
	"while True:\n"                                                                            \
	"    for ready in select.select(peers, [], [])[0]:\n"                                      \
	"        data = ready.recv(65536)\n"                                                       \
	"        if not data: sys.exit()\n"                                                        \
	"        peers[ready].sendall(data)\n"                                                     \
	"' "

/* As at an internal error of KVM: QEMU stops the machine, says why, and stays. */
static void check_stopped_by_qemu(const char *script, bool tcg_single_thread)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_IS_WATCHED, -1);
	char path[64];
	struct vm vm;

	write_qemu(path, script);
	config.qemu = path;
	config.tcg_single_thread = tcg_single_thread;
	vm_start(&vm, &config);
	await_exit(&vm);
	cr_assert(eq(int, (int)vm.exit.reason, KT_EXIT_VMM_ERROR));
	cr_assert(eq(str, vm.exit.detail,
		     "QEMU was ended: it has stopped the machine (watchdog): it has bitten"));
	cr_assert(not(vm.exit.killed), "no OOM killer");
	vm_close(&vm);
	(void)unlink(path);
}

Test(machine, one_that_qemu_stops_for_good_ends)
{
	static const char script[] = SAYS_SO "exec " KT_QEMU_DEFAULT " \"$@\"" PAUSES;

	check_stopped_by_qemu(script, true); /* without a gdbstub, as with KVM */
	check_stopped_by_qemu(script, false);
}

/* A machine that is stopped at its first instructions does not end unheard. */
Test(machine, one_does_not_run_before_its_events_are_heard)
{
	check_stopped_by_qemu(SAYS_SO SLOW_TO_HEAR KT_QEMU_DEFAULT " \"$@\"" PAUSES, true);
}

/* A QEMU that is killed when the first byte arrives at a channel, whose id is in place of %s. */
#define KILLED_WHEN_ASKED                                                                          \
	"#!/usr/bin/env python3\nimport os, re, sys\n"                                             \
	"fd = re.search(r',id=%s,fd=(\\d+)', ' '.join(sys.argv)).group(1)\n"                       \
	"os.read(int(fd), 1)\nos.kill(os.getpid(), 9)\n"

/* The broken channels of a machine that is being restored are only the consequence. */
static void check_killed_at_restore(const char *channel, const struct kt_hello *hello)
{
	KT_FREE char *script = kt_format(KILLED_WHEN_ASKED, channel);
	char path[64];
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_machine_image image = { new_memfd(), new_memfd() };
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;

	(void)signal(SIGPIPE, SIG_IGN);
	write_qemu(path, script);
	config.qemu = path;
	vm_open(&vm);
	cr_assert(zero(int, kt_machine_guard(vm.machine, hello, kt_now_ns() + VM_PATIENCE, &err)));
	cr_assert(
		eq(int,
		   kt_machine_restore(vm.machine, &config, &image, kt_now_ns() + VM_PATIENCE, &err),
		   -ECHILD),
		"%s", err.text);
	cr_assert(eq(str, err.text,
		     "QEMU was killed by signal 9, perhaps by the host's OOM killer (see dmesg)"));
	vm_close(&vm);
	(void)unlink(path);
	(void)close(image.ram_fd);
	(void)close(image.state_fd);
}

Test(machine, one_killed_while_it_is_asked_says_so_instead_of_a_broken_pipe)
{
	check_killed_at_restore("qmp", &(const struct kt_hello){ .die = 0 });
}

Test(machine, one_killed_while_it_is_guarded_says_so_instead_of_a_broken_pipe)
{
	check_killed_at_restore("stub", &(const struct kt_hello){ .die = 0xffffffff81000000 });
}

/* The guest counts in a loop of two instructions. */
static void check_registers(struct vm *vm)
{
	struct kt_registers registers = { 0 };
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_machine_registers(vm->machine, 0, &registers,
						 kt_now_ns() + VM_PATIENCE, &err)),
		  "%s", err.text);
	cr_assert(eq(u64, registers.rip & ~0x1full, TINY_GUEST_ENTRY));
	cr_assert(eq(u64, registers.cr0 & KT_CR0_PE, KT_CR0_PE));
	cr_assert(zero(u64, registers.cr3));
	cr_assert(not(kt_registers_are_user(&registers)));
}

static void check_registers_of(bool tcg_single_thread)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_registers registers;
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;

	config.tcg_single_thread = tcg_single_thread;
	config.topology.cores = 2;
	vm_start(&vm, &config);
	await_counter_above(&vm, 0, "after its start");
	check_registers(&vm);
	await_counter_above(&vm, peek(&vm, TINY_GUEST_COUNTER), "after a look at its registers");
	cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)), "%s",
		  err.text);
	check_registers(&vm);
	/* The other vCPU waits to be started by the first. */
	cr_assert(zero(int, kt_machine_registers(vm.machine, 1, &registers,
						 kt_now_ns() + VM_PATIENCE, &err)),
		  "%s", err.text);
	cr_assert(ne(u64, registers.rip & ~0x1full, TINY_GUEST_ENTRY));
	cr_assert(
		eq(int,
		   kt_machine_registers(vm.machine, 2, &registers, kt_now_ns() + VM_PATIENCE, &err),
		   -ERANGE));
	cr_assert(eq(str, err.text, "there is no vCPU 2: the machine has 2"));
	vm_close(&vm);
}

Test(machine, the_registers_of_its_vcpus)
{
	check_registers_of(true);
	check_registers_of(false);
}

/* ---- watches ---- */

/* What was heard of hits, and what is done at the first of them. */
static struct {
	struct kt_machine_stop first, last;
	uint32_t first_counter;
	unsigned int n, n_of[4];
	uint32_t counter; /* in memory at the hit */
	bool unwatch;
	struct kt_registers registers;
} heard;

static void on_stopped(void *data, const struct kt_machine_stop *stop)
{
	struct vm *vm = data;
	struct kt_err err = KT_ERR_NULL;

	heard.last = *stop;
	heard.n_of[stop->watch % 4]++;
	heard.counter = peek(vm, TINY_GUEST_COUNTER);
	if (!heard.n++) {
		heard.first = *stop;
		heard.first_counter = heard.counter;
	}
	/* Pausing and resuming it is of no consequence here. */
	cr_assert(zero(int,
		       kt_machine_pause(vm->machine, kt_now_ns() + VM_PATIENCE, &err)
			       ?: kt_machine_resume(vm->machine, kt_now_ns() + VM_PATIENCE, &err)),
		  "%s", err.text);
	cr_assert(zero(int, kt_machine_registers(vm->machine, stop->vcpu, &heard.registers,
						 kt_now_ns() + VM_PATIENCE, &err)),
		  "%s", err.text);
	let_pass(vm, KT_NSEC_PER_MSEC);
	cr_assert(eq(u32, peek(vm, TINY_GUEST_COUNTER), heard.counter), "it stands");
	if (heard.unwatch)
		cr_assert(zero(int, kt_machine_unwatch(vm->machine, stop->watch,
						       kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
}

static const struct kt_machine_events watched_events = {
	.port = ignore_bytes,
	.console = on_console,
	.exited = on_exited,
	.stopped = on_stopped,
};

static void start_watched(struct vm *vm, struct kt_machine_config *config, bool single)
{
	struct kt_err err = KT_ERR_NULL;

	memset(&heard, 0, sizeof(heard));
	config->tcg_single_thread = single;
	config->topology.cores = 2;
	*vm = (struct vm){ .mem = KT_MEM_NULL };
	cr_assert(zero(int, kt_loop_new(&vm->loop)));
	cr_assert(zero(int, kt_machine_new(vm->loop, &watched_events, vm, &vm->machine, NULL)));
	cr_assert(zero(int, kt_machine_start(vm->machine, config, &err)), "%s", err.text);
	vm_find_memory(vm);
	await_counter_above(vm, 0, "after its start");
}

static int watch(struct vm *vm, const struct kt_watch *spec, unsigned int *ret_number,
		 struct kt_err *reterr)
{
	return kt_machine_watch(vm->machine, spec, ret_number, kt_now_ns() + VM_PATIENCE, reterr);
}

static void await_hits(struct vm *vm, unsigned int n)
{
	uint64_t deadline_ns = kt_now_ns() + VM_PATIENCE;

	while (heard.n < n) {
		cr_assert(lt(u64, kt_now_ns(), deadline_ns), "%u hits of %u", heard.n, n);
		(void)kt_loop_step(vm->loop, deadline_ns);
	}
}

static void check_watch(bool single)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	const struct kt_watch spec = { .address = TINY_GUEST_COUNTER, .len = 4 };
	struct kt_err err = KT_ERR_NULL;
	unsigned int number;
	uint32_t counter;
	struct vm vm;

	start_watched(&vm, &config, single);
	cr_assert(zero(int, watch(&vm, &spec, &number, &err)), "%s", err.text);
	for (unsigned int i = 1; i < 20; i++) {
		await_hits(&vm, i);
		cr_assert(eq(u32, heard.last.watch, number));
		cr_assert(zero(u32, heard.last.vcpu));
		cr_assert(eq(u64, heard.last.value, heard.counter), "the value is the new one");
		cr_assert(eq(u64, heard.registers.rip, TINY_GUEST_ENTRY + 16),
			  "behind the instruction");
	}
	counter = heard.counter;
	heard.unwatch = true;
	await_hits(&vm, heard.n + 1);
	cr_assert(eq(u32, heard.counter, counter + 1), "no access is missed");
	await_counter_above(&vm, counter + 1000, "without its watch");
	cr_assert(eq(int, kt_machine_unwatch(vm.machine, number, kt_now_ns() + VM_PATIENCE, &err),
		     -ENOENT));
	vm_close(&vm);
}

Test(machine, a_watch_stops_it_at_each_access)
{
	check_watch(true);
	check_watch(false);
}

Test(machine, a_condition_holds_hits_back)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_watch spec = { .address = TINY_GUEST_COUNTER, .len = 4 };
	struct kt_err err = KT_ERR_NULL;
	uint32_t counter;
	unsigned int number;
	struct vm vm;

	start_watched(&vm, &config, false);
	cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)));
	counter = peek(&vm, TINY_GUEST_COUNTER);
	spec.when.compare = KT_WATCH_GE;
	spec.when.number = counter + 50;
	cr_assert(zero(int, watch(&vm, &spec, &number, &err)), "%s", err.text);
	cr_assert(zero(int, kt_machine_resume(vm.machine, kt_now_ns() + VM_PATIENCE, &err)));
	await_hits(&vm, 1);
	/* More hits may have come together with the first. */
	cr_assert(eq(u32, heard.first_counter, counter + 50));
	cr_assert(eq(u64, heard.first.n_unmet, 49));
	vm_close(&vm);
}

/* Accesses are reads too, and a watch that is written only is not hit by them. */
Test(machine, watches_of_the_same_memory)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_watch spec = { .address = TINY_GUEST_COUNTER, .len = 4 }, part = spec;
	struct kt_err err = KT_ERR_NULL;
	unsigned int numbers[3];
	struct vm vm;

	start_watched(&vm, &config, false);
	cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)));
	cr_assert(zero(int, watch(&vm, &spec, &numbers[0], &err)), "%s", err.text);
	cr_assert(zero(int, watch(&vm, &spec, &numbers[1], &err)), "%s", err.text);
	cr_assert(ne(u32, numbers[0], numbers[1]));
	part.address += 2;
	cr_assert(eq(int, watch(&vm, &part, &numbers[2], &err), -EBUSY));
	cr_assert(strstr(err.text, "another watch has a part of its 4 bytes") != NULL, "%s",
		  err.text);
	part = spec;
	part.kind = KT_WATCH_ON_ACCESS;
	cr_assert(eq(int, watch(&vm, &part, &numbers[2], &err), -EBUSY));
	part.address = TINY_GUEST_SPARE;
	part.len = 16;
	cr_assert(zero(int, watch(&vm, &part, &numbers[2], &err)), "%s", err.text);
	cr_assert(zero(int, kt_machine_resume(vm.machine, kt_now_ns() + VM_PATIENCE, &err)));
	await_hits(&vm, 6);
	cr_assert(zero(u32, heard.n_of[numbers[2]]), "nobody touches it");
	cr_assert(le(int, abs((int)heard.n_of[numbers[0]] - (int)heard.n_of[numbers[1]]), 1));
	cr_assert(zero(
		int, kt_machine_unwatch(vm.machine, numbers[0], kt_now_ns() + VM_PATIENCE, &err)));
	memset(heard.n_of, 0, sizeof(heard.n_of));
	await_hits(&vm, heard.n + 3);
	cr_assert(ge(u32, heard.n_of[numbers[1]], 3), "the other one is still there");
	cr_assert(zero(u32, heard.n_of[numbers[0]]));
	vm_close(&vm);
}

Test(machine, as_many_watches_as_it_can_have)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_watch spec = { .len = 4 };
	struct kt_err err = KT_ERR_NULL;
	unsigned int number;
	struct vm vm;

	start_watched(&vm, &config, true);
	cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)));
	for (unsigned int i = 0; i < kt_machine_watches_max(KT_ACCEL_TCG); i++) {
		spec.address = TINY_GUEST_SPARE + 4 * i;
		cr_assert(zero(int, watch(&vm, &spec, &number, &err)), "%s", err.text);
	}
	spec.address = TINY_GUEST_COUNTER;
	cr_assert(eq(int, watch(&vm, &spec, &number, &err), -ENOSPC));
	cr_assert(eq(str, err.text, "this machine can have 200 watches at a time"));
	cr_assert(eq(u32, kt_machine_watches_max(KT_ACCEL_KVM), 4));
	spec.len = 0;
	cr_assert(eq(int, watch(&vm, &spec, &number, &err), -EINVAL));
	spec.len = 16;
	spec.when.compare = KT_WATCH_GT;
	cr_assert(eq(int, watch(&vm, &spec, &number, &err), -EINVAL));
	vm_close(&vm);
}

/* A machine that is saved leaves its watches behind. */
Test(machine, one_saved_with_a_watch)
{
	struct kt_machine_image image = { .ram_fd = new_memfd(), .state_fd = new_memfd() };
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, image.ram_fd);
	const struct kt_watch spec = { .address = TINY_GUEST_COUNTER, .len = 4 };
	struct kt_err err = KT_ERR_NULL;
	unsigned int number;
	struct vm vm;

	start_watched(&vm, &config, false);
	cr_assert(zero(int, watch(&vm, &spec, &number, &err)), "%s", err.text);
	await_hits(&vm, 3);
	cr_assert(zero(int, kt_machine_save(vm.machine, image.state_fd, kt_now_ns() + VM_PATIENCE,
					    &err)),
		  "%s", err.text);
	vm_close(&vm);
	config.ram_fd = -1;
	vm_restore(&vm, &config, &image);
	await_counter_above(&vm, peek(&vm, TINY_GUEST_COUNTER) + 100, "after its restore");
	vm_close(&vm);
	close_image(&image);
}

Test(machine, one_destroyed_leaves_no_process_and_says_nothing)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct vm vm;
	pid_t pid;

	vm_start(&vm, &config);
	pid = only_child();
	vm_close(&vm);
	cr_assert(eq(int, kill(pid, 0), -1));
	cr_assert(zero(u32, vm.n_exits));
}

/* ---- saving and restoring ---------------------------------------------------------------------
 */

Test(machine, two_are_restored_from_one_image_and_do_not_share)
{
	struct kt_machine_config config;
	struct kt_machine_image image = save_guest(&config);
	uint32_t saved = peek_file(image.ram_fd, TINY_GUEST_COUNTER);
	struct vm vms[2];

	for (size_t i = 0; i < KT_ARRAY_LEN(vms); i++)
		vm_restore(&vms[i], &config, &image);
	for (size_t i = 0; i < KT_ARRAY_LEN(vms); i++) {
		cr_assert(gt(int, vms[i].mem.pid, 0), "its memory is in its own process only");
		cr_assert(ge(u32, peek(&vms[i], TINY_GUEST_COUNTER), saved));
		cr_assert(eq(u32, peek(&vms[i], TINY_GUEST_WORD), TINY_GUEST_MAGIC));
		cr_assert(eq(u32, peek(&vms[i], TINY_GUEST_SPARE), 0x600d));
		await_counter_above(&vms[i], saved, "after it was restored");
	}
	cr_assert(ne(int, vms[0].mem.pid, vms[1].mem.pid));
	poke(&vms[0], TINY_GUEST_SPARE, 0xabcd);
	cr_assert(eq(u32, peek(&vms[0], TINY_GUEST_SPARE), 0xabcd));
	cr_assert(eq(u32, peek(&vms[1], TINY_GUEST_SPARE), 0x600d));
	cr_assert(eq(u32, peek_file(image.ram_fd, TINY_GUEST_SPARE), 0x600d));
	cr_assert(eq(u32, peek_file(image.ram_fd, TINY_GUEST_COUNTER), saved));
	for (size_t i = 0; i < KT_ARRAY_LEN(vms); i++)
		vm_close(&vms[i]);
	close_image(&image);
}

/* A template made from another one: the guest changes the copy, and only the copy. */
Test(machine, one_restored_with_a_copy_of_the_ram_keeps_it_there)
{
	struct kt_machine_config config;
	struct kt_machine_image image = save_guest(&config);
	uint32_t saved = peek_file(image.ram_fd, TINY_GUEST_COUNTER), count;
	struct vm vm;

	config.ram_fd = new_memfd();
	cr_assert(zero(int, kt_ramfile_copy(image.ram_fd, config.ram_fd)));
	vm_restore(&vm, &config, &image);
	cr_assert(zero(int, vm.mem.pid));
	await_counter_above(&vm, saved, "after it was restored");
	count = peek(&vm, TINY_GUEST_COUNTER);
	vm_close(&vm);
	cr_assert(ge(u32, peek_file(config.ram_fd, TINY_GUEST_COUNTER), count));
	cr_assert(eq(u32, peek_file(image.ram_fd, TINY_GUEST_COUNTER), saved));
	(void)close(config.ram_fd);
	close_image(&image);
}

/* A machine that was restored copy-on-write, whose RAM a capsule has to have. */
Test(machine, one_reopened_stands_where_it_was_and_goes_on)
{
	struct kt_machine_config config;
	struct kt_machine_image image = save_guest(&config);
	struct kt_machine_image kept = { new_memfd(), new_memfd(), true };
	uint64_t deadline_ns = kt_now_ns() + VM_PATIENCE;
	struct kt_registers before, after;
	struct kt_err err = KT_ERR_NULL;
	static char ram[TINY_GUEST_MIB << 20];
	uint32_t count;
	struct vm vm;

	vm_restore(&vm, &config, &image);
	cr_assert(zero(int, kt_machine_pause(vm.machine, deadline_ns, &err)), "%s", err.text);
	count = peek(&vm, TINY_GUEST_COUNTER);
	cr_assert(zero(int, kt_machine_registers(vm.machine, 0, &before, deadline_ns, &err)));
	cr_assert(zero(int, kt_machine_save_devices(vm.machine, kept.state_fd, deadline_ns, &err)),
		  "%s", err.text);
	cr_assert(zero(int, kt_mem_read(&vm.mem, 0, ram, sizeof(ram), &err)), "%s", err.text);
	cr_assert(zero(int, kt_write_full(kept.ram_fd, ram, sizeof(ram))));
	cr_assert(zero(int, kt_machine_resume(vm.machine, deadline_ns, &err)), "%s", err.text);
	await_counter_above(&vm, count, "after its devices were saved");
	vm_close(&vm);

	config.ram_fd = kept.ram_fd;
	vm_restore(&vm, &config, &kept);
	cr_assert(eq(u32, peek(&vm, TINY_GUEST_COUNTER), count));
	cr_assert(zero(int, kt_machine_registers(vm.machine, 0, &after, deadline_ns, &err)));
	cr_assert(zero(int, memcmp(&before, &after, sizeof(before))));
	cr_assert(eq(u32, peek(&vm, TINY_GUEST_COUNTER), count));
	cr_assert(zero(int, kt_machine_resume(vm.machine, deadline_ns, &err)), "%s", err.text);
	await_counter_above(&vm, count, "when it goes on");
	vm_close(&vm);
	close_image(&kept);
	close_image(&image);
}

Test(machine, a_state_that_is_none_is_refused)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_machine_image image = { .ram_fd = new_memfd(), .state_fd = new_memfd() };
	uint64_t deadline_ns = kt_now_ns() + VM_PATIENCE;
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;

	cr_assert(zero(int, ftruncate(image.ram_fd, (off_t)TINY_GUEST_MIB << 20)));
	cr_assert(zero(int, kt_write_full(image.state_fd, "no state at all", 15)));
	vm_open(&vm);
	cr_assert(lt(int, kt_machine_restore(vm.machine, &config, &image, deadline_ns, &err), 0));
	cr_assert(lt(u64, kt_now_ns(), deadline_ns), "it fails at once: %s", err.text);
	cr_assert(ne(str, err.text, ""));
	cr_assert(strchr(err.text, '\n') == NULL);
	vm_close(&vm);
	close_image(&image);
}

/* ---- the bounds of memory ---------------------------------------------------------------------
 */

Test(mem, ram_is_split_where_the_machine_splits_it)
{
	static const struct {
		uint64_t ram, low, high;
	} cases[] = {
		{ GIB / 2, GIB / 2, 0 },
		{ 11 * GIB / 4 - 1, 11 * GIB / 4 - 1, 0 },
		{ 11 * GIB / 4, 2 * GIB, 3 * GIB / 4 },
		{ 4 * GIB, 2 * GIB, 2 * GIB },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_mem_layout layout = kt_mem_layout(cases[i].ram);

		cr_assert(eq(u64, layout.low_len, cases[i].low), "case %zu", i);
		cr_assert(eq(u64, layout.high_len, cases[i].high), "case %zu", i);
	}
}

/* Guests of 3 GiB have RAM at 0..2 GiB and 4..5 GiB. */
#define RAM_LEN (3 * GIB)

static void check_refused(const struct kt_mem *mem, uint64_t gpa, size_t len, uint64_t named)
{
	uint8_t bytes[16], untouched[16], before[16] = "", after[16] = "";
	size_t n_good = named - gpa < 16 ? (size_t)(named - gpa) : 0;
	char address[32];
	struct kt_err err = KT_ERR_NULL;

	(void)snprintf(address, sizeof(address), "0x%" PRIx64 " ", named);
	memset(bytes, 0xee, sizeof(bytes));
	memset(untouched, 0xee, sizeof(untouched));
	cr_assert(eq(int, kt_mem_read(mem, gpa, bytes, len, &err), -EFAULT), "0x%" PRIx64, gpa);
	cr_assert(zero(int, memcmp(bytes, untouched, sizeof(bytes))), "0x%" PRIx64, gpa);
	cr_assert(strstr(err.text, address) != NULL, "0x%" PRIx64 ": %s", gpa, err.text);
	err = KT_ERR_NULL;
	cr_assert(zero(int, kt_mem_read(mem, gpa, before, n_good, NULL)));
	cr_assert(eq(int, kt_mem_write(mem, gpa, bytes, len, &err), -EFAULT), "0x%" PRIx64, gpa);
	cr_assert(strstr(err.text, address) != NULL, "0x%" PRIx64 ": %s", gpa, err.text);
	cr_assert(zero(int, kt_mem_read(mem, gpa, after, n_good, NULL)));
	cr_assert(zero(int, memcmp(before, after, sizeof(after))), "0x%" PRIx64, gpa);
}

static void check_works(const struct kt_mem *mem, uint64_t gpa, size_t len)
{
	uint8_t bytes[16], back[16] = "";

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(gpa >> 28 ^ (i + 1));
	cr_assert(zero(int, kt_mem_write(mem, gpa, bytes, len, NULL)), "0x%" PRIx64, gpa);
	cr_assert(zero(int, kt_mem_read(mem, gpa, back, len, NULL)), "0x%" PRIx64, gpa);
	cr_assert(zero(int, memcmp(bytes, back, len)), "0x%" PRIx64, gpa);
}

static void check_bounds(const struct kt_mem *mem)
{
	static const struct {
		uint64_t gpa;
		size_t len;
		uint64_t named; /* the first address that is not RAM */
	} refused[] = {
		{ 2 * GIB, 1, 2 * GIB },
		{ 2 * GIB - 4, 8, 2 * GIB },
		{ 3 * GIB, 8, 3 * GIB },
		{ 4 * GIB - 4, 8, 4 * GIB - 4 },
		{ 5 * GIB, 1, 5 * GIB },
		{ 5 * GIB - 4, 8, 5 * GIB },
		{ UINT64_MAX - 1, 8, UINT64_MAX - 1 },
		{ UINT64_MAX, 1, UINT64_MAX },
		{ 0, SIZE_MAX, 2 * GIB },
		{ 4 * GIB, SIZE_MAX, 5 * GIB },
	};
	static const uint64_t nothing[] = { 0, 2 * GIB, 3 * GIB, 5 * GIB, UINT64_MAX - 1 };
	char byte = 'x';

	for (size_t i = 0; i < KT_ARRAY_LEN(refused); i++)
		check_refused(mem, refused[i].gpa, refused[i].len, refused[i].named);
	check_works(mem, 0, 8);
	check_works(mem, 3 * GIB / 2 - 4, 8); /* where the second node's RAM begins */
	check_works(mem, 2 * GIB - 8, 8);
	check_works(mem, 4 * GIB, 8);
	check_works(mem, 5 * GIB - 8, 8);
	for (size_t i = 0; i < KT_ARRAY_LEN(nothing); i++) {
		cr_assert(zero(int, kt_mem_read(mem, nothing[i], &byte, 0, NULL)));
		cr_assert(zero(int, kt_mem_write(mem, nothing[i], &byte, 0, NULL)));
		cr_assert(eq(int, byte, 'x'));
	}
}

/* A RAM file that is empty except for two words, at 0x1000 and at 4 GiB + 0x1000. */
static int new_ram(void)
{
	int fd = new_memfd();

	cr_assert(zero(int, ftruncate(fd, (off_t)RAM_LEN)));
	cr_assert(eq(long, pwrite(fd, "low", 4, 0x1000), 4));
	cr_assert(eq(long, pwrite(fd, "high", 5, (off_t)(2 * GIB + 0x1000)), 5));
	return fd;
}

static void check_words(const struct kt_mem *mem)
{
	char word[8];

	cr_assert(zero(int, kt_mem_read(mem, 0x1000, word, sizeof(word), NULL)));
	cr_assert(eq(str, word, "low"));
	cr_assert(zero(int, kt_mem_read(mem, KT_MEM_HIGH + 0x1000, word, sizeof(word), NULL)));
	cr_assert(eq(str, word, "high"));
}

Test(mem, nothing_outside_a_mapped_file_is_reached)
{
	struct kt_mem mem = KT_MEM_NULL;
	int fd = new_ram();

	cr_assert(zero(int, kt_mem_map_file(&mem, fd, RAM_LEN, NULL)));
	cr_assert(zero(int, mem.pid));
	check_words(&mem);
	check_bounds(&mem);
	cr_assert(zero(int, kt_mem_write(&mem, KT_MEM_HIGH + 0x2000, "\xcd\xab\0\0", 4, NULL)));
	cr_assert(eq(u32, peek_file(fd, 2 * GIB + 0x2000), 0xabcd));
	kt_mem_deinit(&mem);
	(void)close(fd);
}

/*
 * A process that maps @fd privately as the memory of two nodes, and exits with the byte at 0x3000.
 */
static pid_t start_owner(int fd, const int *until_closed)
{
	const int flags = MAP_PRIVATE | MAP_NORESERVE, access = PROT_READ | PROT_WRITE;
	pid_t pid;
	char end;

	pid = fork();
	if (pid == 0) {
		const char *second = mmap(NULL, RAM_LEN / 2, access, flags, fd, RAM_LEN / 2);
		const char *first = mmap(NULL, RAM_LEN / 2, access, flags, fd, 0);

		(void)close(until_closed[1]);
		if (first == MAP_FAILED || second == MAP_FAILED)
			_exit(255);
		(void)read(until_closed[0], &end, 1);
		_exit(*(const volatile uint8_t *)(first + 0x3000));
	}
	return pid;
}

/* The owner maps it some time after its start. */
static void find_in(pid_t pid, int fd, struct kt_mem *mem)
{
	uint64_t deadline_ns = kt_now_ns() + VM_PATIENCE;
	struct kt_err err = KT_ERR_NULL;

	while (kt_mem_find_in_process(mem, pid, fd, RAM_LEN, &err) == -ENXIO) {
		cr_assert(lt(u64, kt_now_ns(), deadline_ns), "timed out waiting for RAM: %s",
			  err.text);
		(void)kt_poll(NULL, 0, kt_now_ns() + KT_NSEC_PER_MSEC);
	}
	cr_assert(eq(int, mem->pid, pid), "%s", err.text);
}

Test(mem, nothing_outside_another_processs_ram_is_reached)
{
	struct kt_mem mem = KT_MEM_NULL;
	int fd = new_ram(), until_closed[2], status;
	char byte = 0x5a;
	pid_t pid;

	cr_assert(zero(int, pipe(until_closed)));
	pid = start_owner(fd, until_closed);
	find_in(pid, fd, &mem);
	check_words(&mem);
	check_bounds(&mem);
	cr_assert(zero(int, kt_mem_write(&mem, 0x3000, &byte, 1, NULL)));
	cr_assert(zero(u32, peek_file(fd, 0x3000)), "the file is not changed");
	(void)close(until_closed[1]);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(eq(int, WEXITSTATUS(status), 0x5a), "it is the process's own memory");
	cr_assert(eq(int, kt_mem_read(&mem, 0x3000, &byte, 1, NULL), -ESRCH));
	kt_mem_deinit(&mem);
	(void)close(until_closed[0]);
	(void)close(fd);
}

/* Expects the next data at or above *@at to hold @gpa, and moves *@at behind it. */
static void expect_data(const struct kt_mem *mem, uint64_t *at, uint64_t gpa)
{
	uint64_t from = 0, len = 0;

	cr_assert(zero(int, kt_mem_data(mem, *at, &from, &len)));
	cr_assert(le(u64, from, gpa));
	cr_assert(lt(u64, gpa - from, len));
	cr_assert(lt(u64, len, 1u << 20), "holes are left out");
	*at = from + len;
}

Test(mem, data_are_those_of_the_file_and_of_the_process)
{
	struct kt_mem mem = KT_MEM_NULL;
	struct kt_err err = KT_ERR_NULL;
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint64_t at = 0, from, len;
	char *ram;

	cr_assert(zero(int, ftruncate(fd, RAM_LEN)));
	cr_assert(eq(int, (int)pwrite(fd, "x", 1, 4 << 20), 1));
	ram = mmap(NULL, RAM_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	cr_assert(ne(ptr, ram, MAP_FAILED));
	cr_assert(zero(int, kt_mem_find_in_process(&mem, getpid(), fd, RAM_LEN, &err)), "%s",
		  err.text);
	ram[1 << 20] = 'x';
	ram[8 << 20] = 'x';
	ram[(UINT64_C(2) << 30) + 0x5000] = 'x';
	expect_data(&mem, &at, 1 << 20);
	expect_data(&mem, &at, 4 << 20);
	expect_data(&mem, &at, 8 << 20);
	expect_data(&mem, &at, KT_MEM_HIGH + 0x5000);
	cr_assert(eq(int, kt_mem_data(&mem, at, &from, &len), -ENXIO));
	kt_mem_deinit(&mem);
	(void)munmap(ram, RAM_LEN);
	(void)close(fd);
}

/* Copies of a batch over the boundary of two regions, and one of them outside of the RAM. */
Test(mem, a_batch_is_copied_whole_or_not_at_all)
{
	struct kt_mem mem = KT_MEM_NULL;
	char a[3] = "", b[5] = "";
	struct kt_mem_piece pieces[] = { { 0x1000, a, 2 }, { 0x2000, b, 4 } };
	struct kt_err err = KT_ERR_NULL;
	int fd = new_ram();

	cr_assert(zero(int, kt_mem_map_file(&mem, fd, RAM_LEN, NULL)));
	cr_assert(zero(int, kt_mem_write(&mem, 0x1000, "ab", 2, NULL)));
	cr_assert(zero(int, kt_mem_write(&mem, 0x2000, "cdef", 4, NULL)));
	cr_assert(zero(int, kt_mem_readv(&mem, pieces, 2, &err)));
	cr_assert(eq(str, a, "ab"));
	cr_assert(eq(str, b, "cdef"));
	a[0] = 'x';
	pieces[1].gpa = KT_MEM_HIGH - 2;
	cr_assert(eq(int, kt_mem_writev(&mem, pieces, 2, &err), -EFAULT));
	a[0] = 0;
	cr_assert(zero(int, kt_mem_read(&mem, 0x1000, a, 2, NULL)));
	cr_assert(eq(str, a, "ab"), "nothing was written");
	kt_mem_deinit(&mem);
	(void)close(fd);
}

Test(mem, a_process_without_all_of_the_ram_is_refused)
{
	struct kt_mem mem = KT_MEM_NULL;
	struct kt_err err = KT_ERR_NULL;
	int fd = new_ram();
	void *half = mmap(NULL, RAM_LEN / 2, PROT_READ, MAP_PRIVATE, fd, 0);

	cr_assert(ne(ptr, half, MAP_FAILED));
	cr_assert(eq(int, kt_mem_find_in_process(&mem, getpid(), fd, RAM_LEN, &err), -ENXIO));
	cr_assert(strstr(err.text, "1610612736 of 3221225472") != NULL, "%s", err.text);
	(void)munmap(half, RAM_LEN / 2);
	(void)close(fd);
}

/* ---- RAM files --------------------------------------------------------------------------------
 */

#define PAGE             4096
#define FILE_LEN         (256 * PAGE)
#define BLOCKS_OF(pages) ((pages)*PAGE / 512)

/* Two pages are not zero. The others are holes, or are written with zeroes. */
static int new_ramfile(bool with_holes)
{
	static const char zeroes[FILE_LEN];
	int fd = new_memfd();

	cr_assert(zero(int, ftruncate(fd, FILE_LEN)));
	if (!with_holes)
		cr_assert(eq(long, pwrite(fd, zeroes, FILE_LEN, 0), FILE_LEN));
	cr_assert(eq(long, pwrite(fd, "first", 5, 7 * PAGE), 5));
	cr_assert(eq(long, pwrite(fd, "last", 4, FILE_LEN - 4), 4));
	return fd;
}

static long blocks_of(int fd)
{
	struct stat st;

	cr_assert(zero(int, fstat(fd, &st)));
	cr_assert(eq(long, st.st_size, FILE_LEN));
	return st.st_blocks;
}

static uint64_t hash_of(int fd)
{
	uint64_t hash = 0, used = 0;

	cr_assert(zero(int, kt_ramfile_hash(fd, &hash, &used)));
	cr_assert(eq(u64, used, 2 * PAGE));
	return hash;
}

Test(ramfile, a_hash_is_of_the_contents_and_not_of_the_holes)
{
	int sparse = new_ramfile(true), full = new_ramfile(false);
	uint64_t hash = hash_of(sparse);
	char page[PAGE] = "first";

	cr_assert(eq(long, blocks_of(sparse), BLOCKS_OF(2)));
	cr_assert(eq(long, blocks_of(full), BLOCKS_OF(256)));
	cr_assert(eq(u64, hash_of(full), hash));
	cr_assert(eq(long, pwrite(sparse, "F", 1, 7 * PAGE), 1));
	cr_assert(ne(u64, hash_of(sparse), hash), "another byte");
	cr_assert(eq(long, pwrite(full, "\0\0\0\0\0", 5, 7 * PAGE), 5));
	cr_assert(eq(long, pwrite(full, page, PAGE, 8 * PAGE), PAGE));
	cr_assert(ne(u64, hash_of(full), hash), "another place");
	(void)close(sparse);
	(void)close(full);
}

Test(ramfile, punching_makes_holes_of_zeroes_and_nothing_else)
{
	int fd = new_ramfile(false);
	uint64_t hash = hash_of(fd);

	kt_ramfile_punch(fd);
	cr_assert(eq(long, blocks_of(fd), BLOCKS_OF(2)));
	cr_assert(eq(u64, hash_of(fd), hash));
	(void)close(fd);
}

Test(ramfile, a_copy_has_the_contents_and_the_holes)
{
	int fd = new_ramfile(true), copy = new_memfd();
	char *a, *b;

	cr_assert(zero(int, kt_ramfile_copy(fd, copy)));
	cr_assert(eq(long, blocks_of(copy), BLOCKS_OF(2)));
	a = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, fd, 0);
	b = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, copy, 0);
	cr_assert(zero(int, memcmp(a, b, FILE_LEN)));
	(void)munmap(a, FILE_LEN);
	(void)munmap(b, FILE_LEN);
	(void)close(fd);
	(void)close(copy);
}
