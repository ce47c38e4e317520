/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A guest of a few bytes. It runs as soon as the firmware has ended, and what it does can be read
 * from its memory. Its kernel is an ELF with a PVH entry, which QEMU starts in 32-bit protected
 * mode without paging (Linux: Documentation/arch/x86/booting.rst; Xen: misc/pvh.html).
 */

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/io.h"
#include "util/loop.h"
#include "vmm/machine.h"
#include "vmm/qemu/qemu.h"

#define TINY_GUEST_MAGIC   0x12345678u
#define TINY_GUEST_MIB     64u
#define TINY_GUEST_ENTRY   0x100000u
#define TINY_GUEST_WORD    0x200000u /* where the guest stores MAGIC */
#define TINY_GUEST_COUNTER 0x200004u /* increases for ever after that */
#define TINY_GUEST_SPARE   0x200008u /* the guest does not touch this and what is behind it */

/* movl $MAGIC, WORD; 1: incl COUNTER; jmp 1b */
#define TINY_GUEST_COUNTS "\xc7\x05\x00\x00\x20\x00\x78\x56\x34\x12\xff\x05\x04\x00\x20\x00\xeb\xf8"
/*
 * movw $0x604, %dx; movw $0x2000, %ax; outw %ax, %dx: sets the bit SLP_EN, with the SLP_TYP of S5,
 * which is 0, in the ACPI register PM1a_CNT of QEMU's q35.
 */
#define TINY_GUEST_POWERS_OFF "\x66\xba\x04\x06\x66\xb8\x00\x20\x66\xef\xeb\xfe"
/* movw $0x443, %dx; movb $15, %al; outb %al, %dx; jmp .: the watchdog ib700 expires at once */
#define TINY_GUEST_IS_WATCHED "\x66\xba\x43\x04\xb0\x0f\xee\xeb\xfe"
/*
 * 1: Waits for a word in TINY_GUEST_SPARE, and clears it. Reads TINY_GUEST_TABLE. Calls die((char
 * *)TINY_GUEST_STR, (struct pt_regs *)TINY_GUEST_REGS), with a return address of 64 bits. When
 * die() returns: clears EAX, calls TINY_GUEST_CODE, stores EAX in TINY_GUEST_EAX, increases the
 * counter; jmp 1b. Its own die() increases the counter, too, and stops there.
 */
#define TINY_GUEST_DIES                                                                            \
	"\xbc\x00\x00\x30\x00\x83\x3d\x08\x00\x20\x00\x00\x74\xf7\xc7\x05\x08\x00\x20\x00"         \
	"\x00\x00\x00\x00\xa1\x00\x04\x20\x00\xbf\x00\x03\x20\x00\xbe\x00\x01\x20\x00\x6a"         \
	"\x00\x68\x30\x00\x10\x00\xeb\x14\x31\xc0\xe8\xc9\x01\x10\x00\xa3\x10\x00\x20\x00"         \
	"\xff\x05\x04\x00\x20\x00\xeb\xc1\xff\x05\x0c\x00\x20\x00\xeb\xfe"
#define TINY_GUEST_DIE   0x100044u
#define TINY_GUEST_DIED  0x20000cu /* counts */
#define TINY_GUEST_EAX   0x200010u
#define TINY_GUEST_REGS  0x200100u
#define TINY_GUEST_CODE  0x200200u
#define TINY_GUEST_STR   0x200300u
#define TINY_GUEST_TABLE 0x200400u
/* lidt of an empty table, int3: a fault that the guest cannot handle */
#define TINY_GUEST_FAULTS "\x0f\x01\x1d\x10\x00\x20\x00\xcc\xeb\xfe"

struct tiny_guest_file {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	struct {
		Elf64_Nhdr header;
		char name[4];
		uint64_t entry;
	} __attribute__((packed)) note;
	uint8_t code[128];
	uint8_t padding[8192]; /* QEMU looks for a boot protocol in this many bytes */
};

/* An open file: the kernel with the code @code. */
static inline int tiny_guest_kernel(const void *code, size_t len)
{
	struct tiny_guest_file file = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = TINY_GUEST_ENTRY,
			.e_phoff = offsetof(struct tiny_guest_file, segments),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.segments = {
			{ PT_LOAD, PF_R | PF_W | PF_X, offsetof(struct tiny_guest_file, code),
			  TINY_GUEST_ENTRY, TINY_GUEST_ENTRY, sizeof(file.code), sizeof(file.code),
			  4 },
			{ PT_NOTE, PF_R, offsetof(struct tiny_guest_file, note), 0, 0,
			  sizeof(file.note), sizeof(file.note), 4 },
		},
		.note = {
			.header = { sizeof("Xen"), sizeof(uint64_t), 18 }, /* PHYS32_ENTRY */
			.name = "Xen",
			.entry = TINY_GUEST_ENTRY,
		},
	};
	int fd = memfd_create("tiny-guest", MFD_CLOEXEC);

	memcpy(file.code, code, len);
	cr_assert(write(fd, &file, sizeof(file)) == sizeof(file), "cannot write a kernel");
	return fd;
}

/*
 * A machine with that guest; the test is skipped if there is no QEMU. Its files stay open until the
 * test's process ends.
 */
static inline struct kt_machine_config tiny_guest_config(const void *code, size_t len, int ram_fd)
{
	static struct kt_qemu_program qemu;
	static char kernel[64];
	struct kt_machine_config config = {
		.kernel = kernel,
		.initramfs_fd = memfd_create("tiny-initramfs", MFD_CLOEXEC),
		.cmdline = "",
		.topology = { .numa_nodes = 1, .llcs = 1, .cores = 1, .threads = 1 },
		.memory_mib = TINY_GUEST_MIB,
		.accel = KT_ACCEL_TCG,
		.qemu = qemu.path,
		.ram_fd = ram_fd,
	};

	if (kt_qemu_find(KT_QEMU_DEFAULT, &qemu, NULL) < 0)
		cr_skip_test("no " KT_QEMU_DEFAULT);
	(void)snprintf(kernel, sizeof(kernel), "/proc/%d/fd/%d", (int)getpid(),
		       tiny_guest_kernel(code, len));
	cr_assert(write(config.initramfs_fd, "none", 4) == 4);
	return config;
}

/* Writes an executable script for config.qemu to a new file, whose path becomes @path. */
static inline void write_qemu(char *path, const char *script)
{
	int fd;

	strcpy(path, "/tmp/ktest-qemu-XXXXXX");
	fd = mkstemp(path);
	cr_assert(zero(int, kt_write_full(fd, script, strlen(script))));
	cr_assert(zero(int, fchmod(fd, 0700)));
	cr_assert(zero(int, close(fd)));
}

#define TINY_GUEST_CONFIG(code, ram_fd) tiny_guest_config(code, sizeof(code), ram_fd)

#define VM_PATIENCE (20 * KT_NSEC_PER_SEC) /* for events that take 0.1 s on an idle host */
#define VM_PAUSE_NS (50 * KT_NSEC_PER_MSEC)

/* ---- a machine and what can be seen of it -----------------------------------------------------
 */

struct vm {
	struct kt_loop *loop;
	struct kt_machine *machine;
	struct kt_mem mem;
	struct kt_machine_exit exit;
	unsigned int n_exits;
	char console[256]; /* beginning of the text */
};

static inline void ignore_bytes(void *data, const uint8_t *bytes, size_t len)
{
	(void)data;
	(void)bytes;
	(void)len;
}

static inline void on_console(void *data, const uint8_t *bytes, size_t len)
{
	struct vm *vm = data;
	size_t used = strlen(vm->console), room = sizeof(vm->console) - used;

	(void)snprintf(vm->console + used, room, "%.*s", (int)len, (const char *)bytes);
}

static inline void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct vm *vm = data;

	vm->exit = *exit;
	vm->n_exits++;
}

static const struct kt_machine_events vm_events = {
	.port = ignore_bytes,
	.console = on_console,
	.exited = on_exited,
};

static inline void vm_open(struct vm *vm)
{
	*vm = (struct vm){ .mem = KT_MEM_NULL };
	cr_assert(zero(int, kt_loop_new(&vm->loop)));
	cr_assert(zero(int,
		       kt_machine_new(vm->loop, KT_VMM_QEMU, &vm_events, vm, &vm->machine, NULL)));
}

static inline void vm_close(struct vm *vm)
{
	kt_mem_deinit(&vm->mem);
	vm->machine = kt_machine_destroy(vm->machine);
	vm->loop = kt_loop_free(vm->loop);
}

static inline void vm_find_memory(struct vm *vm)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_machine_memory(vm->machine, &vm->mem, &err)), "%s", err.text);
}

static inline void vm_start(struct vm *vm, const struct kt_machine_config *config)
{
	struct kt_err err = KT_ERR_NULL;

	vm_open(vm);
	cr_assert(zero(int, kt_machine_start(vm->machine, config, &err)), "%s", err.text);
	vm_find_memory(vm);
}

static inline void vm_restore(struct vm *vm, const struct kt_machine_config *config,
			      const struct kt_machine_image *image)
{
	struct kt_err err = KT_ERR_NULL;

	vm_open(vm);
	cr_assert(zero(int, kt_machine_restore(vm->machine, config, image,
					       kt_now_ns() + VM_PATIENCE, &err)),
		  "%s", err.text);
	vm_find_memory(vm);
}

static inline uint32_t peek(const struct vm *vm, uint64_t gpa)
{
	struct kt_err err = KT_ERR_NULL;
	uint32_t value = 0;

	cr_assert(zero(int, kt_mem_read(&vm->mem, gpa, &value, sizeof(value), &err)), "%s",
		  err.text);
	return value;
}

static inline void poke(const struct vm *vm, uint64_t gpa, uint32_t value)
{
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_mem_write(&vm->mem, gpa, &value, sizeof(value), &err)), "%s",
		  err.text);
}

/* Memory changes without an event: it is read again until the deadline. */
static inline void await_above(struct vm *vm, uint64_t gpa, uint32_t value, const char *when)
{
	uint64_t deadline_ns = kt_now_ns() + VM_PATIENCE;

	while (peek(vm, gpa) <= value) {
		cr_assert(zero(u32, vm->n_exits), "the guest ended %s: %s", when, vm->exit.detail);
		cr_assert(lt(u64, kt_now_ns(), deadline_ns),
			  "timed out waiting for the guest to count beyond %u %s", value, when);
		(void)kt_loop_step(vm->loop, kt_now_ns() + KT_NSEC_PER_MSEC);
	}
}

static inline void await_counter_above(struct vm *vm, uint32_t value, const char *when)
{
	await_above(vm, TINY_GUEST_COUNTER, value, when);
}

static inline void let_pass(struct vm *vm, uint64_t ns)
{
	uint64_t until_ns = kt_now_ns() + ns;

	while (kt_now_ns() < until_ns)
		(void)kt_loop_step(vm->loop, until_ns);
}

static inline void await_exit(struct vm *vm)
{
	uint64_t deadline_ns = kt_now_ns() + VM_PATIENCE;

	while (!vm->n_exits)
		cr_assert(zero(int, kt_loop_step(vm->loop, deadline_ns)),
			  "timed out waiting for the machine's end");
	let_pass(vm, VM_PAUSE_NS);
	cr_assert(eq(u32, vm->n_exits, 1));
}

static inline int new_memfd(void)
{
	int fd = memfd_create("ktest-unit", MFD_CLOEXEC);

	cr_assert(ge(int, fd, 0));
	return fd;
}

static inline uint32_t peek_file(int fd, uint64_t offset)
{
	uint32_t value = 0;

	cr_assert(eq(long, pread(fd, &value, sizeof(value), (off_t)offset), sizeof(value)));
	return value;
}

/* Runs the guest for a while and saves it. The caller closes every file of the image. */
static inline struct kt_machine_image save_guest(struct kt_machine_config *config)
{
	struct kt_machine_image image = { .ram_fd = new_memfd(), .state_fd = new_memfd() };
	struct kt_qemu_program qemu;
	struct kt_err err = KT_ERR_NULL;
	struct vm vm;

	*config = TINY_GUEST_CONFIG(TINY_GUEST_COUNTS, image.ram_fd);
	cr_assert(zero(int, kt_qemu_find(KT_QEMU_DEFAULT, &qemu, NULL)));
	cr_assert(zero(int, kt_qemu_version(&qemu, &err)), "%s", err.text);
	if (!kt_qemu_can_save(&qemu))
		cr_skip_test("QEMU is too old to save machines");
	vm_start(&vm, config);
	await_counter_above(&vm, 0, "after its start");
	poke(&vm, TINY_GUEST_SPARE, 0x600d);
	cr_assert(zero(int, kt_machine_save(vm.machine, image.state_fd, kt_now_ns() + VM_PATIENCE,
					    &err)),
		  "%s", err.text);
	vm_close(&vm);
	config->ram_fd = -1;
	return image;
}

static inline void close_image(struct kt_machine_image *image)
{
	(void)close(image->ram_fd);
	(void)close(image->state_fd);
}
