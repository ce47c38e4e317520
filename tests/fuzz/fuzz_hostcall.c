/* SPDX-License-Identifier: MIT */
/*
 * Host calls of a guest. The input is the guest's memory, from address 0 on. It begins with a
 * struct kt_hostcall; what follows is also what the host has sent.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "vmm/qemu/plugin/bell.h"
#include "vmm/qemu/plugin/idle.h"
#include "vmm/qemu/plugin/turns.h"
#include "wire/hostcall.h"

#define GUEST_MAX 262144u

/* QEMU, as far as host calls need it. */
static struct {
	uint8_t memory[GUEST_MAX];
	size_t len;
	void (*on_bell)(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data);
	uint64_t limit_ns;
} guest;

static int access_memory(struct kt_qemu_cpu *cpu, uint64_t addr, void *buf, size_t len,
			 bool is_write)
{
	(void)cpu;
	if (addr > guest.len || len > guest.len - addr)
		return -1;
	if (is_write)
		memcpy(guest.memory + addr, buf, len);
	else
		memcpy(buf, guest.memory + addr, len);
	return 0;
}

static void set_limit(struct kt_qemu_timer *timer, int64_t ns)
{
	(void)timer;
	guest.limit_ns = (uint64_t)ns;
}

static void init_timer(struct kt_qemu_timer *timer, void *group, int clock, int scale,
		       int attributes, void (*cb)(void *data), void *data)
{
	(void)timer, (void)group, (void)clock, (void)scale, (void)attributes, (void)cb, (void)data;
}

static void delete_timer(struct kt_qemu_timer *timer)
{
	(void)timer;
}

static int64_t clock_ns(int clock)
{
	return clock;
}

static void call(struct kt_qemu_cpu *cpu, void (*fn)(struct kt_qemu_cpu *cpu, uint64_t data),
		 uint64_t data)
{
	fn(cpu, data);
}

uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn)
{
	(void)insn;
	return 0;
}

size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn)
{
	(void)insn;
	return KT_HOSTCALL_INSN_LEN;
}

size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len)
{
	const uint32_t words[] = { KT_HOSTCALL_DISPLACEMENT, KT_HOSTCALL_BELL };
	const uint16_t opcode = KT_HOSTCALL_OPCODE;

	(void)insn;
	KT_FUZZ_ASSERT(len == sizeof(opcode) + sizeof(words));
	memcpy(dest, &opcode, sizeof(opcode));
	memcpy((uint8_t *)dest + sizeof(opcode), words, sizeof(words));
	return len;
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*cb)(unsigned int vcpu, qemu_plugin_meminfo_t info,
						 uint64_t vaddr, void *data),
				      int flags, int rw, void *data)
{
	(void)insn, (void)flags, (void)rw, (void)data;
	guest.on_bell = cb;
}

/* What bell.c calls of the rest of the plugin. */
struct kt_qemu_api kt_api;

struct kt_qemu_cpu *kt_api_current_cpu(void)
{
	return NULL;
}

void kt_idle_on_block(void)
{
}

int kt_turns_seed(const struct kt_turns *how)
{
	return how->policy < KT_N_TURNS_POLICIES ? 0 : -ERANGE;
}

struct kt_turns_made kt_turns_made(void)
{
	return (struct kt_turns_made){ .ended = 1 };
}

static void find_bell(void)
{
	kt_api.cpu_memory_rw_debug = access_memory;
	kt_api.timer_mod_ns = set_limit;
	kt_api.timer_init_full = init_timer;
	kt_api.timer_del = delete_timer;
	kt_api.qemu_clock_get_ns = clock_ns;
	kt_api.async_run_on_cpu = call;
	kt_bell_on_translate(NULL);
	KT_FUZZ_ASSERT(guest.on_bell);
}

/* The host sends what follows the request, and goes away: no call waits for more. */
static void ring(const uint8_t *sent, size_t n_sent)
{
	int ends[2];

	KT_FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	(void)send(ends[1], sent, KT_MIN(n_sent, (size_t)65536), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(ends[1]);
	kt_bell_init(
		&(struct kt_bell_fds){ .port = ends[0], .stand = -1, .alarm = -1, .where = -1 });
	guest.on_bell(0, 0, 0, NULL);
	(void)close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_hostcall before, after;

	if (!guest.on_bell)
		find_bell();
	if (size < sizeof(before) || size > GUEST_MAX)
		return 0;
	memcpy(guest.memory, data, size);
	guest.len = size;
	guest.limit_ns = 0;
	memcpy(&before, data, sizeof(before));
	ring(data + sizeof(before), size - sizeof(before));
	memcpy(&after, guest.memory, sizeof(after));
	KT_FUZZ_ASSERT(after.result <= 0);
	KT_FUZZ_ASSERT(after.op == before.op && after.len == before.len);
	KT_FUZZ_ASSERT(before.len <= KT_HOSTCALL_LEN_MAX || after.result < 0);
	KT_FUZZ_ASSERT((int64_t)guest.limit_ns >= 0);
	return 0;
}
