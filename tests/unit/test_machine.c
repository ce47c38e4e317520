/* SPDX-License-Identifier: MIT */
/* A machine: it runs, ends, and is saved and restored. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/mem.h"
#include "vmm/qemu/argv.h"
#include "vmm/ramfile.h"

UNIT_SUITE(machine);

/* ---- QEMU's command line ----------------------------------------------------------------------
 */

/* How many arguments of QEMU have @text in them. */
static unsigned int n_arguments(const struct kt_machine_config *config, int disk, const char *text)
{
	const struct kt_qemu_fds fds = { .plugin = -1, .gdb = -1, .disk = disk, .ram = 9 };
	char **argv = kt_qemu_argv(KT_QEMU_RESTORE, config, &fds);
	unsigned int n = 0;

	for (char **at = argv; at && *at; at++)
		n += strstr(*at, text) != NULL;
	kt_qemu_argv_free(argv);
	return n;
}

Test(machine, qemu_is_told_of_the_disk_and_the_cards)
{
	struct kt_machine_config config = {
		.qemu = "qemu",
		.topology = { .numa_nodes = 1, .llcs = 1, .cores = 1, .threads = 1 },
		.memory_mib = 64,
		.disk_mib = 1,
	};

	cr_assert(zero(uint, n_arguments(&config, -1, "virtio-blk")));
	cr_assert(zero(uint, n_arguments(&config, -1, "virtio-net")));
	cr_assert(kt_machine_has_disk(&config));
	cr_assert(eq(uint, n_arguments(&config, 7, "virtio-blk-pci,drive=disk"), 1));
	cr_assert(eq(uint, n_arguments(&config, 7, "filename=/proc/self/fd/7,"), 1));
	config.net = true;
	cr_assert(eq(uint, n_arguments(&config, -1, "virtio-net-pci,netdev=cable"), 2));
	cr_assert(zero(uint, n_arguments(&config, -1, "tx=timer")));
	config.time = KT_TIME_VIRTUAL;
	cr_assert(not(kt_machine_has_disk(&config)));
	cr_assert(
		eq(uint, n_arguments(&config, -1, "guest_announce=off,ioeventfd=off,tx=timer"), 2));
}

Test(machine, qemu_has_nodes_of_memory_alone_but_no_llcs_that_differ)
{
	struct kt_machine_config config = {
		.qemu = "qemu",
		.vmm = KT_VMM_QEMU,
		.topology = { .numa_nodes = 2,
			      .llcs = 2,
			      .cores = 3,
			      .threads = 1,
			      .memory_nodes = 1 },
		.memory_mib = 64,
	};

	cr_assert(eq(uint, n_arguments(&config, -1, "node,nodeid=1,memdev=ram1,cpus=3-5"), 1));
	cr_assert(eq(uint, n_arguments(&config, -1, "node,nodeid=2,memdev=ram2"), 1));
	cr_assert(zero(uint, n_arguments(&config, -1, "memdev=ram2,cpus")));
	cr_assert(eq(uint, n_arguments(&config, -1, "size=22M,offset=42M"), 1)); /* the rest, too */
	cr_assert(eq(ptr, (void *)kt_machine_lack(&config), NULL));
	config.topology.cores = 0;
	config.topology.llc_cores[0] = 2;
	config.topology.llc_cores[1] = 1;
	cr_assert(ne(ptr, strstr(kt_machine_lack(&config), "--vmm kvm"), NULL));
	config.vmm = KT_VMM_KVM;
	cr_assert(eq(ptr, (void *)kt_machine_lack(&config), NULL));
}

Test(machine, every_vcpu_has_its_place)
{
	const struct kt_machine_topology topology = {
		.numa_nodes = 2, .llcs = 4, .threads = 2, .llc_cores = { 1, 3, 2, 1 }
	};
	const struct {
		unsigned int vcpu;
		struct kt_machine_place place;
	} cases[] = {
		{ 0, { 0, 0, 0, 0 } }, { 1, { 0, 0, 0, 1 } }, { 2, { 0, 1, 0, 0 } },
		{ 7, { 0, 1, 2, 1 } }, { 8, { 1, 2, 0, 0 } }, { 12, { 1, 3, 0, 0 } },
	};
	KT_FREE char *text = kt_machine_topology_text(&topology);

	cr_assert(eq(uint, kt_machine_n_vcpus(&topology), 14));
	cr_assert(eq(str, text, "2 NUMA nodes, 4 LLCs, 1+3+2+1 cores, 2 threads each"));
	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_machine_place got = kt_machine_place(&topology, cases[i].vcpu);

		cr_assert(zero(int, memcmp(&got, &cases[i].place, sizeof(got))), "vCPU %u",
			  cases[i].vcpu);
	}
}

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
