/* SPDX-License-Identifier: MIT */
/* Watches of a machine's memory. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "util/clock.h"
#include "vmm/qemu/state.h"

UNIT_SUITE(machine_watch);

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
	cr_assert(zero(int, kt_machine_new(vm->loop, KT_VMM_QEMU, &watched_events, vm, &vm->machine,
					   NULL)));
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

/* Waits until QEMU has told something, which nobody takes. */
static void await_event(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	cr_assert(eq(int, poll(&poll_fd, 1, (int)(VM_PATIENCE / KT_NSEC_PER_MSEC)), 1));
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

Test(machine_watch, a_watch_stops_it_at_each_access)
{
	check_watch(true);
	check_watch(false);
}

/* The owner pauses a machine that QEMU has stopped already, which it has not heard of. */
Test(machine_watch, a_hit_before_a_pause_is_told_before_it_goes_on)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, -1);
	const struct kt_watch spec = { .address = TINY_GUEST_COUNTER, .len = 4 };
	const struct kt_watch other = { .address = TINY_GUEST_SPARE, .len = 4 };
	struct kt_err err = KT_ERR_NULL;
	unsigned int number, n;
	struct vm vm;

	start_watched(&vm, &config, false);
	cr_assert(zero(int, watch(&vm, &spec, &number, &err)), "%s", err.text);
	for (n = heard.n; n < 10; n = heard.n) {
		uint32_t counter;

		await_event(kt_qemu_of(vm.machine)->qmp_source.fd);
		counter = peek(&vm, TINY_GUEST_COUNTER);
		cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)));
		cr_assert(zero(int, watch(&vm, &other, &number, &err)), "%s", err.text);
		cr_assert(zero(int, kt_machine_unwatch(vm.machine, number,
						       kt_now_ns() + VM_PATIENCE, &err)));
		cr_assert(eq(u32, heard.n, n));
		cr_assert(
			zero(int, kt_machine_resume(vm.machine, kt_now_ns() + VM_PATIENCE, &err)));
		cr_assert(gt(u32, heard.n, n));
		cr_assert(ge(u32, heard.counter, counter));
	}
	vm_close(&vm);
}

Test(machine_watch, a_condition_holds_hits_back)
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
Test(machine_watch, watches_of_the_same_memory)
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

Test(machine_watch, as_many_watches_as_it_can_have)
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
Test(machine_watch, one_saved_with_a_watch)
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
