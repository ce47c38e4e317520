/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>

#include "util/cleanup.h"

/*
 * Watches of the same memory share registers. A watch whose bytes do not fit into one register gets
 * several, each of which sees as much as the alignment of its address allows.
 *
 * DR7: Intel SDM volume 3, 18.2.4. Bit 2*i is the local enable of register i; from bit 16 on, each
 * has two bits for the kind of access and two for the length.
 */

#define DR7_FIXED     0x400u
#define DR7_ON_WRITE  1u
#define DR7_ON_ACCESS 3u

static uint32_t length_code(uint32_t len)
{
	switch (len) {
	case 1:
		return 0;
	case 2:
		return 1;
	case 4:
		return 3;
	default:
		return 2; /* 8 */
	}
}

static int arm(const struct kt_kvm_watches *watches, const struct kt_kvm_crew *crew,
	       struct kt_err *reterr)
{
	struct kvm_guest_debug debug = { .arch.debugreg = { [7] = DR7_FIXED } };

	for (unsigned int i = 0; i < KT_KVM_DEBUG_REGISTERS; i++) {
		const struct kt_kvm_debug_register *at = &watches->registers[i];
		uint64_t kind = at->kind == KT_WATCH_ON_WRITE ? DR7_ON_WRITE : DR7_ON_ACCESS;

		if (!at->len)
			continue;
		debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
		debug.arch.debugreg[i] = at->address;
		debug.arch.debugreg[7] |= UINT64_C(1) << (2 * i);
		debug.arch.debugreg[7] |= (kind | length_code(at->len) << 2) << (16 + 4 * i);
	}
	for (unsigned int i = 0; i < crew->n; i++) {
		if (ioctl(crew->at[i].fd, KVM_SET_GUEST_DEBUG, &debug) < 0)
			return kt_err_set(reterr, -errno, "KVM_SET_GUEST_DEBUG: vCPU %u: %m", i);
	}
	return 0;
}

/* The longest piece that one register can see from @address on. */
static uint32_t piece_len(uint64_t address, uint32_t left)
{
	uint32_t len = 8;

	while (len > left || address % len)
		len /= 2;
	return len;
}

/* Takes free registers for all bytes of @watch; returns their bits, or 0 if there are too few. */
static uint32_t take_registers(struct kt_kvm_watches *watches, const struct kt_watch *watch)
{
	struct kt_kvm_watches now = *watches;
	uint32_t taken = 0, done = 0;

	for (unsigned int i = 0; i < KT_KVM_DEBUG_REGISTERS && done < watch->len; i++) {
		uint64_t address = watch->address + done;

		if (now.registers[i].len)
			continue;
		now.registers[i] = (struct kt_kvm_debug_register){
			.address = address,
			.len = piece_len(address, watch->len - done),
			.kind = watch->kind,
		};
		done += now.registers[i].len;
		taken |= 1u << i;
	}
	if (done < watch->len)
		return 0;
	*watches = now;
	return taken;
}

static int place(struct kt_kvm_watches *watches, const struct kt_watch *watch,
		 unsigned int *ret_number, struct kt_err *reterr)
{
	unsigned int number = KT_KVM_DEBUG_REGISTERS;
	uint32_t registers = 0;

	for (unsigned int i = KT_KVM_DEBUG_REGISTERS; i-- > 0;) {
		const struct kt_kvm_watch *other = &watches->at[i];

		if (!other->used)
			number = i;
		else if (kt_watch_beside(watch, &other->watch, reterr) < 0)
			return -EBUSY;
		else if (kt_watch_is_same(watch, &other->watch))
			registers = other->registers;
	}
	if (number == KT_KVM_DEBUG_REGISTERS)
		return kt_err_set(reterr, -ENOSPC, "this machine can have %u watches at a time",
				  KT_KVM_DEBUG_REGISTERS);
	if (!registers)
		registers = take_registers(watches, watch);
	if (!registers && !take_registers(&(struct kt_kvm_watches){ 0 }, watch))
		return kt_err_set(reterr, -EOPNOTSUPP,
				  "%" PRIu32 " bytes are more than the %u debug registers of this "
				  "machine can see, 8 each",
				  watch->len, KT_KVM_DEBUG_REGISTERS);
	if (!registers)
		return kt_err_set(reterr, -ENOSPC,
				  "%" PRIu32 " bytes at 0x%" PRIx64
				  " need more debug registers than are free (of %u, 8 bytes each)",
				  watch->len, watch->address, KT_KVM_DEBUG_REGISTERS);
	watches->at[number] =
		(struct kt_kvm_watch){ .used = true, .watch = *watch, .registers = registers };
	*ret_number = number;
	return 0;
}

int kt_kvm_watches_add(struct kt_kvm_watches *watches, const struct kt_kvm_crew *crew,
		       const struct kt_watch *watch, unsigned int *ret_number,
		       struct kt_err *reterr)
{
	struct kt_kvm_watches old = *watches;
	int r = kt_watch_check(watch, reterr) ?: place(watches, watch, ret_number, reterr);

	if (r == 0)
		r = arm(watches, crew, reterr);
	if (r < 0)
		*watches = old;
	return r;
}

int kt_kvm_watches_remove(struct kt_kvm_watches *watches, const struct kt_kvm_crew *crew,
			  unsigned int number, struct kt_err *reterr)
{
	uint32_t still = 0;

	if (number >= KT_KVM_DEBUG_REGISTERS || !watches->at[number].used)
		return kt_err_set(reterr, -ENOENT, "there is no watch %u", number);
	watches->at[number].used = false;
	for (unsigned int i = 0; i < KT_KVM_DEBUG_REGISTERS; i++)
		still |= watches->at[i].used ? watches->at[i].registers : 0;
	for (unsigned int i = 0; i < KT_KVM_DEBUG_REGISTERS; i++) {
		if (!(still & 1u << i))
			watches->registers[i].len = 0;
	}
	return arm(watches, crew, reterr);
}
