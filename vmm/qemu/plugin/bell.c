/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/bell.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/qemu/plugin/limit.h"
#include "vmm/qemu/plugin/place.h"
#include "vmm/qemu/plugin/stand.h"
#include "vmm/qemu/plugin/turns.h"
#include "wire/hostcall.h"

/*
 * A request is served in the thread of the vCPUs, in the middle of the bell: while it waits for the
 * host, no vCPU runs. It holds none of QEMU's locks, so QEMU goes on answering the monitor.
 *
 * A machine that is paused or saved while it waits must leave guest code, or QEMU would wait for it
 * for ever. The host therefore makes @stand readable before it asks QEMU to stop. The request then
 * waits until QEMU has told every vCPU to leave, and returns -EAGAIN: the vCPU stops at the next
 * block of instructions, and no other runs before. The point at which a template is saved is so the
 * same each time.
 *
 * The guest is not trusted: lengths are checked, and memory is accessed only by QEMU's own
 * functions, which refuse what is not there.
 */
static struct {
	struct kt_bell_fds fds;
	uint8_t bytes[KT_HOSTCALL_LEN_MAX];
} bell;

void kt_bell_init(const struct kt_bell_fds *fds)
{
	bell.fds = *fds;
	kt_stand_init(fds->stand);
	kt_limit_init(fds->alarm);
	kt_place_init(fds->where);
}

static int copy(uint64_t address, void *buf, size_t len, bool is_write)
{
	return kt_api.cpu_memory_rw_debug(kt_api_current_cpu(), address, buf, len, is_write) < 0
		       ? -EFAULT
		       : 0;
}

static int send_all(const uint8_t *at, size_t len)
{
	while (len) {
		ssize_t n = send(bell.fds.port, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Once the first byte has come, the rest is on its way: the host sends whole frames. */
static int receive_all(uint8_t *at, size_t len)
{
	int r = kt_stand_wait(bell.fds.port);

	while (r == 0 && len) {
		ssize_t n = recv(bell.fds.port, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPIPE;
		at += n;
		len -= (size_t)n;
	}
	return r;
}

static int serve_send(const struct kt_hostcall *call)
{
	if (kt_limit_is_reached())
		return -EPIPE;
	return copy(call->address, bell.bytes, call->len, false) ?: send_all(bell.bytes, call->len);
}

/* The host may look where the vCPUs are as soon as it has the question. */
static int serve_ask(const struct kt_hostcall *call, uint64_t bell_at)
{
	int r;

	kt_place_tell(bell_at);
	r = serve_send(call) ?: kt_stand_wait(bell.fds.port);
	kt_place_hide();
	return r;
}

/* The memory is tried before bytes are taken from the host, which could not be given back. */
static int serve_receive(const struct kt_hostcall *call)
{
	return copy(call->address, bell.bytes, call->len, false) ?:
	       receive_all(bell.bytes, call->len) ?:
	       copy(call->address, bell.bytes, call->len, true);
}

static int serve_seed(const struct kt_hostcall *call)
{
	struct kt_turns how;

	if (call->len != sizeof(how))
		return -EMSGSIZE;
	return copy(call->address, &how, sizeof(how), false) ?: kt_turns_seed(&how);
}

static int tell_turns(struct kt_hostcall *call)
{
	struct kt_turns_made made = kt_turns_made();

	call->value[0] = made.ended;
	call->value[1] = made.switches;
	call->value[2] = made.insns;
	return 0;
}

static int poll_host(struct kt_hostcall *call)
{
	uint64_t ms = call->value[0];

	if (ms > KT_HOSTCALL_POLL_MS_MAX)
		return -ERANGE;
	call->value[0] = kt_stand_poll(bell.fds.port, (int)ms);
	return 0;
}

static int serve(struct kt_hostcall *call, uint64_t bell_at)
{
	if (call->len > KT_HOSTCALL_LEN_MAX)
		return -EMSGSIZE;
	switch ((enum kt_hostcall_op)call->op) {
	case KT_HOSTCALL_PING:
		return 0;
	case KT_HOSTCALL_SEND:
		return serve_send(call);
	case KT_HOSTCALL_RECEIVE:
		return serve_receive(call);
	case KT_HOSTCALL_ASK:
		return serve_ask(call, bell_at);
	case KT_HOSTCALL_SEED:
		return serve_seed(call);
	case KT_HOSTCALL_LIMIT:
		return kt_limit_set(call->value[0]);
	case KT_HOSTCALL_TURNS:
		return tell_turns(call);
	case KT_HOSTCALL_POLL:
		return poll_host(call);
	}
	return -ENOSYS;
}

static void on_bell(unsigned int vcpu, qemu_plugin_meminfo_t info, uint64_t address, void *data)
{
	struct kt_hostcall call;

	(void)vcpu;
	(void)info;
	if (copy(address, &call, sizeof(call), false) < 0)
		return;
	call.result = serve(&call, (uintptr_t)data);
	(void)copy(address, &call, sizeof(call), true);
}

void kt_bell_on_translate(struct qemu_plugin_insn *insn)
{
	static const struct __attribute__((packed)) {
		uint16_t opcode;
		uint32_t displacement, value;
	} wanted = { KT_HOSTCALL_OPCODE, KT_HOSTCALL_DISPLACEMENT, KT_HOSTCALL_BELL };
	uint8_t insn_bytes[KT_HOSTCALL_INSN_LEN];

	_Static_assert(sizeof(wanted) == sizeof(insn_bytes), "the bell as it is encoded");
	if (qemu_plugin_insn_size(insn) != sizeof(insn_bytes) ||
	    qemu_plugin_insn_data(insn, insn_bytes, sizeof(insn_bytes)) != sizeof(insn_bytes) ||
	    memcmp(insn_bytes, &wanted, sizeof(wanted)))
		return;
	qemu_plugin_register_vcpu_mem_cb(insn, on_bell, KT_CB_R_REGS, KT_MEM_RW_W,
					 (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
}
