/* SPDX-License-Identifier: MIT */
/*
 * The native machine with a guest of a few bytes, on this host's KVM. That may be one that emulates
 * the guest's kernel mode, which can do all of this; it sees no watches.
 */
#include <errno.h>
#include <fcntl.h>

#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "vmm/kvm/figures.h"
#include "vmm/kvm/watch.h"
#include "wire/json.h"

UNIT_SUITE(kvm_machine);

/* movw $0x600, %dx; movb $0x34, %al; outb %al, %dx; jmp .: the sleep control register */
#define SLEEPS "\x66\xba\x00\x06\xb0\x34\xee\xeb\xfe"
/* movw $0x604, %dx; movb $1, %al; outb %al, %dx; jmp .: the reset register */
#define RESETS "\x66\xba\x04\x06\xb0\x01\xee\xeb\xfe"
/* movw $0x3f8, %dx; movb $'k', %al; outb %al, %dx, and then as SLEEPS */
#define SPEAKS "\x66\xba\xf8\x03\xb0\x6b\xee" SLEEPS

static struct kt_machine_config native_config(const void *code, size_t len, int ram_fd)
{
	struct kt_machine_config config;
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		cr_skip_test("/dev/kvm cannot be opened");
	(void)close(fd);
	config = tiny_guest_config(code, len, ram_fd);
	config.accel = KT_ACCEL_KVM;
	config.vmm = KT_VMM_KVM;
	return config;
}

#define NATIVE_CONFIG(code, ram_fd) native_config(code, sizeof(code), ram_fd)

static void open_native(struct vm *vm)
{
	*vm = (struct vm){ .mem = KT_MEM_NULL };
	cr_assert(zero(int, kt_loop_new(&vm->loop)));
	cr_assert(zero(int,
		       kt_machine_new(vm->loop, KT_VMM_KVM, &vm_events, vm, &vm->machine, NULL)));
}

static void start_native(struct vm *vm, const struct kt_machine_config *config)
{
	struct kt_err err = KT_ERR_NULL;

	open_native(vm);
	cr_assert(zero(int, kt_machine_start(vm->machine, config, &err)), "%s", err.text);
	vm_find_memory(vm);
}

static void check_end(const struct kt_machine_config *config, enum kt_exit_reason reason,
		      const char *console)
{
	struct vm vm;

	start_native(&vm, config);
	await_exit(&vm);
	cr_assert(eq(int, (int)vm.exit.reason, (int)reason), "%s", vm.exit.detail);
	cr_assert(eq(str, vm.console, (char *)console));
	vm_close(&vm);
}

Test(kvm_machine, it_ends_as_its_guest_asks)
{
	struct kt_machine_config config = NATIVE_CONFIG(SLEEPS, -1);

	check_end(&config, KT_EXIT_SHUTDOWN, "");
	config = NATIVE_CONFIG(RESETS, -1);
	check_end(&config, KT_EXIT_RESET, "");
	config = NATIVE_CONFIG(SPEAKS, -1);
	check_end(&config, KT_EXIT_SHUTDOWN, "k");
}

Test(kvm_machine, a_paused_one_stands_and_goes_on)
{
	struct kt_machine_config config = NATIVE_CONFIG(TINY_GUEST_COUNTS, -1);
	struct kt_registers registers;
	struct kt_err err = KT_ERR_NULL;
	uint32_t counter;
	struct vm vm;

	start_native(&vm, &config);
	await_counter_above(&vm, 0, "after its start");
	for (unsigned int i = 0; i < 20; i++) {
		cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
		counter = peek(&vm, TINY_GUEST_COUNTER);
		let_pass(&vm, KT_NSEC_PER_MSEC);
		cr_assert(eq(u32, peek(&vm, TINY_GUEST_COUNTER), counter), "it stands");
		cr_assert(zero(int, kt_machine_registers(vm.machine, 0, &registers,
							 kt_now_ns() + VM_PATIENCE, &err)));
		cr_assert(ge(u64, registers.rip, TINY_GUEST_ENTRY + 10));
		cr_assert(le(u64, registers.rip, TINY_GUEST_ENTRY + 16));
		cr_assert(zero(int, kt_machine_resume(vm.machine, kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
		await_counter_above(&vm, counter, "after a pause");
	}
	vm_close(&vm);
}

Test(kvm_machine, copies_of_a_saved_one_go_on_where_it_stood)
{
	struct kt_machine_image image = { .ram_fd = new_memfd(), .state_fd = new_memfd() };
	struct kt_machine_config config = NATIVE_CONFIG(TINY_GUEST_COUNTS, image.ram_fd);
	struct kt_err err = KT_ERR_NULL;
	struct vm vm, copies[2];
	uint32_t counter;

	start_native(&vm, &config);
	await_counter_above(&vm, 0, "after its start");
	cr_assert(zero(int, kt_machine_save(vm.machine, image.state_fd, kt_now_ns() + VM_PATIENCE,
					    &err)),
		  "%s", err.text);
	vm_close(&vm);
	counter = peek_file(image.ram_fd, TINY_GUEST_COUNTER);
	config.ram_fd = -1;
	for (unsigned int i = 0; i < 2; i++) {
		open_native(&copies[i]);
		cr_assert(zero(int, kt_machine_restore(copies[i].machine, &config, &image,
						       kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
		vm_find_memory(&copies[i]);
		await_counter_above(&copies[i], counter, "in a copy");
		cr_assert(eq(u32, peek(&copies[i], TINY_GUEST_WORD), TINY_GUEST_MAGIC));
	}
	cr_assert(eq(u32, peek_file(image.ram_fd, TINY_GUEST_COUNTER), counter), "the image stays");
	vm_close(&copies[0]);
	vm_close(&copies[1]);
	close_image(&image);
}

Test(kvm_machine, it_counts_why_its_vcpus_leave_the_guest)
{
	struct kt_machine_config config = NATIVE_CONFIG(SPEAKS, -1);
	KT_JSON json_t *figures = NULL;
	struct vm vm;

	start_native(&vm, &config);
	await_exit(&vm);
	figures = kt_machine_figures(vm.machine);
	cr_assert(eq(i64,
		     json_integer_value(json_object_get(json_object_get(figures, "exits"), "port")),
		     2));
	cr_assert(
		gt(i64,
		   json_integer_value(json_object_get(json_object_get(figures, "parts_us"), "vm")),
		   0));
	vm_close(&vm);
}

Test(kvm_machine, each_part_of_its_making_has_its_own_time)
{
	const uint64_t exits[KT_KVM_N_EXITS] = { [KT_KVM_EXIT_KICK] = 7 };
	KT_JSON json_t *figures = NULL;
	struct kt_kvm_laps laps;
	uint64_t began_ns;

	kt_kvm_laps_begin(&laps);
	began_ns = laps.last_ns;
	while (kt_now_ns() - began_ns < 3 * KT_NSEC_PER_MSEC)
		continue;
	cr_assert(eq(int, kt_kvm_lap(&laps, KT_KVM_PART_VM, -5), -5));
	(void)kt_kvm_lap(&laps, KT_KVM_PART_STATE, 0);
	cr_assert(ge(u64, laps.part_ns[KT_KVM_PART_VM], 3 * KT_NSEC_PER_MSEC));
	cr_assert(le(u64, laps.part_ns[KT_KVM_PART_VM] + laps.part_ns[KT_KVM_PART_STATE],
		     kt_now_ns() - began_ns));
	figures = kt_kvm_figures(exits, &laps);
	cr_assert(eq(sz, json_object_size(json_object_get(figures, "exits")), 1));
	cr_assert(eq(i64,
		     json_integer_value(json_object_get(json_object_get(figures, "exits"), "kick")),
		     7));
	cr_assert(
		ge(i64,
		   json_integer_value(json_object_get(json_object_get(figures, "parts_us"), "vm")),
		   3000));
}

static int add_watch(struct kt_kvm_watches *watches, uint64_t address, uint32_t len)
{
	const struct kt_watch watch = { .address = address, .len = len };
	const struct kt_kvm_crew crew = { .n = 0 };
	unsigned int number;

	return kt_kvm_watches_add(watches, &crew, &watch, &number, NULL);
}

Test(kvm_machine, a_watch_that_it_can_never_have_is_not_one_for_which_it_has_no_room)
{
	struct kt_kvm_watches watches = { 0 };

	cr_assert(eq(int, add_watch(&watches, 0x1000, 65), -EOPNOTSUPP));
	cr_assert(zero(int, add_watch(&watches, 0x1000, 24)));
	cr_assert(eq(int, add_watch(&watches, 0x2000, 16), -ENOSPC));
	cr_assert(zero(int, add_watch(&watches, 0x2000, 8)));
}

Test(kvm_machine, one_that_was_not_started_can_be_destroyed)
{
	struct vm vm;

	open_native(&vm);
	cr_assert(zero(ptr, kt_machine_figures(vm.machine)));
	vm_close(&vm);
}

/* Needs no KVM: the answer is the same before the machine is started. */
Test(kvm_machine, gdb_is_refused_with_what_would_serve_it)
{
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;

	open_native(&vm);
	cr_assert(eq(int, kt_machine_serve_gdb(vm.machine, "/tmp/gdb", KT_NSEC_NEVER, &err),
		     -EOPNOTSUPP));
	cr_assert(ne(ptr, strstr(err.text, "'/tmp/gdb'"), NULL));
	cr_assert(ne(ptr, strstr(err.text, "--vmm qemu"), NULL), "%s", err.text);
	vm_close(&vm);
}
