/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/socket.h>

#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "util/cleanup.h"
#include "vmm/qemu/gdb.h"
#include "vmm/template.h"

UNIT_SUITE(gdb);
UNIT_SUITE(stale);

/* ---- the protocol -----------------------------------------------------------------------------
 */

#define SOON (kt_now_ns() + 50 * KT_NSEC_PER_MSEC)

/* A client, and the far end of its socket with what the stub has already sent. */
static struct kt_gdb *new_gdb(int *ret_stub, const char *said)
{
	struct kt_gdb *gdb;
	int ends[2];

	cr_assert(zero(int, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)));
	cr_assert(zero(int, kt_gdb_new(ends[0], &gdb)));
	cr_assert(eq(long, write(ends[1], said, strlen(said)), (long)strlen(said)));
	*ret_stub = ends[1];
	return gdb;
}

Test(gdb, a_command_and_its_answer)
{
	static const uint8_t code[] = { 0x90, 0x0f };
	struct kt_err err = KT_ERR_NULL;
	char heard[128] = "";
	uint8_t bytes[4];
	int stub;
	/* The second packet reports a stop that the client does not wait for. */
	struct kt_gdb *gdb = new_gdb(&stub, "+$OK#9a$T05thread:01;#07+$00ccFf7e#6e+$OK#9a");

	cr_assert(zero(int, kt_gdb_set(gdb, KT_GDB_AT_CODE, 0xffffffff812d8a00, 1, SOON, &err)),
		  "%s", err.text);
	cr_assert(zero(int, kt_gdb_read(gdb, 0x10, bytes, sizeof(bytes), SOON, &err)), "%s",
		  err.text);
	cr_assert(zero(int, memcmp(bytes, "\x00\xcc\xff\x7e", 4)));
	cr_assert(zero(int, kt_gdb_write(gdb, 0x20, code, sizeof(code), SOON, &err)), "%s",
		  err.text);
	cr_assert(gt(long, read(stub, heard, sizeof(heard) - 1), 0));
	cr_assert(eq(str, heard, "$Z1,ffffffff812d8a00,1#3c$m10,4#2e$M20,2:900f#46"));
	gdb = kt_gdb_free(gdb);
	(void)close(stub);
}

Test(gdb, an_answer_that_is_none)
{
	static const struct {
		const char *said;
		int error;
		const char *text;
	} cases[] = {
		{ "", -ETIMEDOUT, "no answer" },
		{ "$OK#9", -ETIMEDOUT, "no answer" },
		{ "$OK#9b", -EBADMSG, "malformed" },
		{ "$E14#aa", -EREMOTEIO, "refused with E14" },
		{ "$#00", -EREMOTEIO, "refused" },
		{ "$0#30", -EBADMSG, "0 bytes of 1" },
		{ "$zz#f4", -EBADMSG, "0 bytes of 1" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_err err = KT_ERR_NULL;
		uint8_t byte;
		int stub;
		struct kt_gdb *gdb = new_gdb(&stub, cases[i].said);

		cr_assert(eq(int, kt_gdb_read(gdb, 0, &byte, 1, SOON, &err), cases[i].error),
			  "%s: %s", cases[i].said, err.text);
		cr_assert(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].said,
			  err.text);
		gdb = kt_gdb_free(gdb);
		(void)close(stub);
	}
}

Test(gdb, a_stub_that_floods_or_goes_away)
{
	static char flood[9000];
	struct kt_err err = KT_ERR_NULL;
	struct kt_gdb *gdb;
	uint8_t byte;
	int stub;

	memset(flood, 'a', sizeof(flood) - 1);
	gdb = new_gdb(&stub, flood);
	cr_assert(eq(int, kt_gdb_read(gdb, 0, &byte, 1, SOON, &err), -EMSGSIZE), "%s", err.text);
	gdb = kt_gdb_free(gdb);
	(void)close(stub);

	gdb = new_gdb(&stub, "$O");
	(void)shutdown(stub, SHUT_WR);
	cr_assert(eq(int, kt_gdb_read(gdb, 0, &byte, 1, SOON, &err), -EPIPE), "%s", err.text);
	gdb = kt_gdb_free(gdb);
	(void)close(stub);
}

/* The answer to 'g': the register of each number holds it in each of its bytes. */
static void make_registers(char *packet)
{
	unsigned int total = 0;
	char *at = packet + 1;

	*packet = '$';
	for (unsigned int i = 0; i < 33; i++)
		for (unsigned int n = 0; n < (i >= 17 && i < 24 ? 4 : 8); n++)
			at += sprintf(at, "%02x", i + 1);
	at += sprintf(at, "000000"); /* and what is behind them */
	for (const char *c = packet + 1; c < at; c++)
		total += (unsigned char)*c;
	(void)sprintf(at, "#%02x", total & 0xff);
}

Test(gdb, the_registers_of_a_vcpu)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_registers registers;
	char said[1024] = "$OK#9a", heard[32] = "";
	struct kt_gdb *gdb;
	int stub;

	make_registers(said + strlen(said));
	gdb = new_gdb(&stub, said);
	cr_assert(zero(int, kt_gdb_select(gdb, 9, SOON, &err)), "%s", err.text);
	cr_assert(zero(int, kt_gdb_get_all(gdb, &registers, SOON, &err)), "%s", err.text);
	cr_assert(gt(long, read(stub, heard, sizeof(heard) - 1), 0));
	cr_assert(eq(str, heard, "$Hga#10$g#67"));
	cr_assert(eq(u64, registers.rax, 0x0101010101010101));
	cr_assert(eq(u64, registers.rsp, 0x0808080808080808));
	cr_assert(eq(u64, registers.r15, 0x1010101010101010));
	cr_assert(eq(u64, registers.rip, 0x1111111111111111));
	cr_assert(eq(u32, registers.rflags, 0x12121212));
	cr_assert(eq(u32, registers.gs, 0x18181818));
	cr_assert(eq(u64, registers.kernel_gs_base, 0x1b1b1b1b1b1b1b1b));
	cr_assert(eq(u64, registers.cr3, 0x1e1e1e1e1e1e1e1e));
	cr_assert(eq(u64, registers.efer, 0x2121212121212121));
	gdb = kt_gdb_free(gdb);
	(void)close(stub);

	gdb = new_gdb(&stub, "$E22#a9$0011#c2");
	cr_assert(eq(int, kt_gdb_select(gdb, 64, SOON, &err), -EREMOTEIO), "%s", err.text);
	cr_assert(eq(int, kt_gdb_get_all(gdb, &registers, SOON, &err), -EBADMSG), "%s", err.text);
	gdb = kt_gdb_free(gdb);
	(void)close(stub);
}

Test(gdb, the_report_of_a_stop)
{
	static const struct {
		const char *said;
		int found;
		struct kt_gdb_report report;
	} cases[] = {
		{ "", 0, { 0 } },
		{ "$T05thread:03;awatch:ffff8880000010a4;#1c", 1, { 2, true, 0xffff8880000010a4 } },
		{ "$T05thread:01;#07", 1, { 0, false, 0 } },
		{ "$T02thread:01;#04", 0, { 0 } },                  /* QMP has stopped it */
		{ "$T05thread:01;#07$T02thread:01;#04", 0, { 0 } }, /* the latest counts */
		{ "$T05thread:00;#06", 0, { 0 } },
		{ "$T05#b9", 0, { 0 } },
		{ "$T05thread:01;watch:;#93", 0, { 0 } },
		{ "$T05#b8", -EBADMSG, { 0 } },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_gdb_report report = { 0 };
		struct kt_err err = KT_ERR_NULL;
		int stub;
		struct kt_gdb *gdb = new_gdb(&stub, cases[i].said);

		cr_assert(eq(int, kt_gdb_take_report(gdb, &report, &err), cases[i].found), "%s: %s",
			  cases[i].said, err.text);
		if (cases[i].found == 1) {
			cr_assert(eq(u32, report.vcpu, cases[i].report.vcpu));
			cr_assert(eq(int, report.at_data, cases[i].report.at_data));
			cr_assert(eq(u64, report.address, cases[i].report.address));
		}
		gdb = kt_gdb_free(gdb);
		(void)close(stub);
	}
}

Test(gdb, what_the_registers_mean)
{
	struct kt_registers registers = { .cs = 0x33, .kernel_gs_base = 1ull << 63 };

	cr_assert(zero(u32, kt_registers_cpl(&registers)), "in real mode");
	registers.cr0 = KT_CR0_PE;
	cr_assert(eq(u32, kt_registers_cpl(&registers), 3));
	cr_assert(kt_registers_are_user(&registers));
	cr_assert(eq(u64, kt_registers_per_cpu(&registers), 1ull << 63));
	registers.cs = 0x10;
	registers.gs_base = UINT64_MAX;
	registers.cr3 = 0x8000000012345801;
	cr_assert(not(kt_registers_are_user(&registers)));
	cr_assert(eq(u64, kt_registers_per_cpu(&registers), UINT64_MAX));
	cr_assert(eq(u64, kt_registers_page_table(&registers), 0x12345000));
}

/* ---- deaths -----------------------------------------------------------------------------------
 */

#define PT_REGS_IP (TINY_GUEST_REGS + 128)
#define OTHER_SITE 0x201280u
#define INC_EAX    0xc340u /* and ret */
#define DEC_EAX    0xc348u
#define INT3       0xccu

/* Makes the guest die with the message @str at @site, where memory contains @code by then. */
static void poke_death(const struct vm *vm, const char *str, uint32_t site, uint32_t code)
{
	uint32_t word = 0;

	memcpy(&word, str, sizeof(word));
	poke(vm, TINY_GUEST_STR, word);
	poke(vm, PT_REGS_IP, site + 1);
	poke(vm, TINY_GUEST_CODE, INC_EAX);
	poke(vm, site, code);
}

static void die(struct vm *vm, const char *str, uint32_t site, uint32_t code)
{
	poke_death(vm, str, site, code);
	poke(vm, TINY_GUEST_SPARE, 1);
}

/*
 * What is known of the kernel: the address of die() only, or also of the table that it reads
 * before.
 */
static const struct kt_hello only_die = { .die = TINY_GUEST_DIE };
static const struct kt_hello both = { .die = TINY_GUEST_DIE, .kprobe_table = TINY_GUEST_TABLE };

static void guard(struct vm *vm, const struct kt_hello *hello)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_machine_guard(vm->machine, hello, kt_now_ns() + VM_PATIENCE, &err)),
		  "%s", err.text);
}

static void start_guarded(struct vm *vm, const struct kt_machine_config *config,
			  const struct kt_hello *hello)
{
	vm_start(vm, config);
	guard(vm, hello);
}

static void check_undone(struct vm *vm, uint32_t before)
{
	await_counter_above(vm, before, "after its death");
	cr_assert(eq(u32, peek(vm, PT_REGS_IP) & 0x7f, 0)); /* in the format of the table */
	cr_assert(zero(u32, peek(vm, TINY_GUEST_DIED)));
}

static void check_all_undone(const struct kt_hello *hello)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, -1);
	struct vm vm;

	start_guarded(&vm, &config, hello);
	for (uint32_t i = 0; i < 3; i++) {
		die(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
		check_undone(&vm, i);
	}
	cr_assert(strstr(vm.console, "breakpoint at 200200 ") != NULL, "%s", vm.console);
	vm_close(&vm);
}

Test(stale, a_breakpoint_that_is_gone_kills_nobody)
{
	check_all_undone(&both);
}

Test(stale, nor_does_it_in_a_kernel_without_kprobes)
{
	check_all_undone(&only_die);
}

/*
 * The stub was the last to resume the machine. It would discard all translations at the next stop.
 */
static void pass_by_stub(struct vm *vm)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_machine_pause(vm->machine, kt_now_ns() + VM_PATIENCE, &err)), "%s",
		  err.text);
	cr_assert(zero(int, kt_machine_resume(vm->machine, kt_now_ns() + VM_PATIENCE, &err)), "%s",
		  err.text);
}

/* QEMU has translated the code. It does not notice that this process changes it. */
Test(stale, what_is_in_memory_is_what_is_run_then)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, -1);
	struct vm vm;

	start_guarded(&vm, &config, &only_die);
	die(&vm, "int3", OTHER_SITE, INC_EAX);
	check_undone(&vm, 0);
	cr_assert(eq(u32, peek(&vm, TINY_GUEST_EAX), 1));
	pass_by_stub(&vm);
	poke_death(&vm, "int3", OTHER_SITE, INC_EAX);
	poke(&vm, TINY_GUEST_CODE, DEC_EAX);
	poke(&vm, TINY_GUEST_SPARE, 1);
	check_undone(&vm, 1);
	cr_assert(eq(u32, peek(&vm, TINY_GUEST_EAX), 1), "QEMU has looked into memory");
	pass_by_stub(&vm);
	die(&vm, "int3", TINY_GUEST_CODE, DEC_EAX);
	check_undone(&vm, 2);
	cr_assert(eq(u32, peek(&vm, TINY_GUEST_EAX), UINT32_MAX));
	vm_close(&vm);
}

/* If it happens again and again, the kernel itself is faulty. */
Test(stale, the_seventeenth_is_let_die)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, -1);
	struct vm vm;

	start_guarded(&vm, &config, &both);
	for (uint32_t i = 0; i < 16; i++) {
		die(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
		check_undone(&vm, i);
	}
	die(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
	await_above(&vm, TINY_GUEST_DIED, 0, "after a death that is its own");
	vm_close(&vm);
}

static void check_dead(struct vm *vm, uint32_t undone)
{
	await_above(vm, TINY_GUEST_DIED, 0, "after a death that is its own");
	cr_assert(eq(u32, peek(vm, TINY_GUEST_COUNTER), undone));
	cr_assert(zero(ptr, strstr(vm->console, "ktest")), "%s", vm->console);
	vm_close(vm);
}

Test(stale, a_true_breakpoint_is_met_twice)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, -1);
	struct vm vm;

	start_guarded(&vm, &config, &both);
	die(&vm, "int3", OTHER_SITE, INT3);
	check_undone(&vm, 0);
	die(&vm, "int3", OTHER_SITE, INT3);
	check_dead(&vm, 1);
}

Test(stale, who_dies_of_something_else_dies)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, -1);
	struct vm vm;

	start_guarded(&vm, &config, &both);
	die(&vm, "Oops", TINY_GUEST_CODE, INC_EAX);
	check_dead(&vm, 0);
}

/* With one thread for all vCPUs it cannot happen, and ktest does not watch. */
Test(stale, a_machine_of_one_thread_is_not_guarded)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, -1);
	struct vm vm;

	config.tcg_single_thread = true;
	start_guarded(&vm, &config, &both);
	die(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
	check_dead(&vm, 0);
}

Test(stale, a_pause_hides_no_death)
{
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, -1);
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;

	start_guarded(&vm, &config, &only_die);
	die(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
	check_undone(&vm, 0);
	for (uint32_t i = 1; i < 16; i++) {
		uint32_t count;

		/* At once, at the resumption, or while it is being stopped. */
		die(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
		cr_assert(zero(int, kt_machine_pause(vm.machine, kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
		count = peek(&vm, TINY_GUEST_COUNTER);
		let_pass(&vm, 2 * KT_NSEC_PER_MSEC);
		cr_assert(eq(u32, peek(&vm, TINY_GUEST_COUNTER), count));
		cr_assert(zero(int, kt_machine_resume(vm.machine, kt_now_ns() + VM_PATIENCE, &err)),
			  "%s", err.text);
		check_undone(&vm, i);
	}
	vm_close(&vm);
}

static const struct kt_link_events link_events = {
	.console = on_console,
	.exited = on_exited,
};

Test(stale, a_fork_is_guarded_from_its_first_instruction)
{
	struct kt_template template = {
		.image = { .ram_fd = new_memfd(), .state_fd = new_memfd() },
		.hello = both,
	};
	struct kt_machine_config config = TINY_GUEST_CONFIG(TINY_GUEST_DIES, template.image.ram_fd);
	struct kt_err err = KT_ERR_NULL;
	struct kt_qemu_program qemu;
	const uint32_t word = 1;
	struct kt_link *link;
	struct vm vm;

	cr_assert(zero(int, kt_qemu_find(KT_QEMU_DEFAULT, &qemu, NULL)));
	cr_assert(zero(int, kt_qemu_version(&qemu, &err)), "%s", err.text);
	if (!kt_qemu_can_save(&qemu))
		cr_skip_test("QEMU is too old to save machines");
	start_guarded(&vm, &config, &both);
	die(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
	check_undone(&vm, 0); /* the firmware has ended; a restored machine has none */
	poke_death(&vm, "int3", TINY_GUEST_CODE, INC_EAX);
	cr_assert(zero(int, kt_machine_save(vm.machine, template.image.state_fd,
					    kt_now_ns() + VM_PATIENCE, &err)),
		  "%s", err.text);
	vm_close(&vm);
	cr_assert(
		eq(long, pwrite(template.image.ram_fd, &word, sizeof(word), TINY_GUEST_SPARE), 4));
	config.ram_fd = -1;

	vm = (struct vm){ .mem = KT_MEM_NULL };
	cr_assert(zero(int, kt_loop_new(&vm.loop)));
	cr_assert(zero(int, kt_link_new(vm.loop, KT_VMM_QEMU, &link_events, &vm, &link, NULL)));
	vm.machine = kt_link_machine(link);
	cr_assert(zero(int, kt_template_restore(&template, link, &config, kt_now_ns() + VM_PATIENCE,
						&err)),
		  "%s", err.text);
	vm_find_memory(&vm);
	check_undone(&vm, 1);
	kt_mem_deinit(&vm.mem);
	link = kt_link_free(link);
	vm.loop = kt_loop_free(vm.loop);
	close_image(&template.image);
}
