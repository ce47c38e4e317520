/* SPDX-License-Identifier: MIT */
#include "guest/port/hostcall.h"

#include <errno.h>

#include "util/cleanup.h"
#include "wire/hostcall.h"

#define PAGE_LEN   4096u
#define CALLS_MAX  16 /* of one request whose memory goes away again and again */
#define UNANSWERED 1  /* the result of a request that no machine has served */

/*
 * The bell stores into the first member of @call. The register holds the address less the
 * displacement, which the instruction adds.
 */
static int ring(struct kt_hostcall *call)
{
	volatile struct kt_hostcall *seen = call;

	call->result = UNANSWERED;
	__asm__ volatile(".byte 0xc7, 0x87\n\t.long %c1, %c2"
			 :
			 : "D"((uintptr_t)call - KT_HOSTCALL_DISPLACEMENT),
			   "i"(KT_HOSTCALL_DISPLACEMENT), "i"(KT_HOSTCALL_BELL)
			 : "memory");
	return seen->result;
}

/*
 * Makes the pages present. A page that the host writes must be this process's own: behind the
 * kernel's back it would otherwise change what other processes see.
 */
static void touch(const struct kt_hostcall *call)
{
	bool is_write = call->op == KT_HOSTCALL_RECEIVE;
	volatile uint8_t *at = (volatile uint8_t *)(uintptr_t)call->address;

	for (size_t i = 0; i < call->len; i += PAGE_LEN) {
		uint8_t byte = at[i];

		if (is_write)
			at[i] = byte;
	}
	if (call->len && is_write)
		at[call->len - 1] = at[call->len - 1];
	else if (call->len)
		(void)at[call->len - 1];
}

/* The kernel may take a page away between touch() and the bell: it is asked for again. */
static int request(struct kt_hostcall *call)
{
	int r = -EFAULT;

	for (int i = 0; r == -EFAULT && i < CALLS_MAX; i++) {
		touch(call);
		while ((r = ring(call)) == -EAGAIN) {
			if (call->op == KT_HOSTCALL_ASK)
				call->len = 0; /* it was sent */
		}
	}
	return r == UNANSWERED ? -ENOSYS : r;
}

bool kt_hostcall_served(void)
{
	static int served = -1;
	struct kt_hostcall call = { .op = KT_HOSTCALL_PING };

	if (served < 0)
		served = request(&call) == 0;
	return served;
}

static int transfer(enum kt_hostcall_op op, uintptr_t address, size_t len)
{
	int r = 0;

	while (r == 0 && len) {
		size_t part = KT_MIN(len, (size_t)KT_HOSTCALL_LEN_MAX);
		struct kt_hostcall call = {
			.op = op,
			.address = address,
			.len = (uint32_t)part,
		};

		r = request(&call);
		address += part;
		len -= part;
	}
	return r;
}

int kt_hostcall_send(const void *data, size_t len)
{
	return transfer(KT_HOSTCALL_SEND, (uintptr_t)data, len);
}

int kt_hostcall_ask(const void *data, size_t len)
{
	size_t last = KT_MIN(len, (size_t)KT_HOSTCALL_LEN_MAX);
	int r = kt_hostcall_send(data, len - last);

	return r ?: transfer(KT_HOSTCALL_ASK, (uintptr_t)data + len - last, last);
}

int kt_hostcall_receive(void *data, size_t len)
{
	return transfer(KT_HOSTCALL_RECEIVE, (uintptr_t)data, len);
}

bool kt_hostcall_poll(unsigned int ms)
{
	struct kt_hostcall call = { .op = KT_HOSTCALL_POLL, .value = { ms } };

	return request(&call) == 0 && call.value[0];
}

int kt_hostcall_seed(const struct kt_turns *turns)
{
	struct kt_hostcall call = {
		.op = KT_HOSTCALL_SEED,
		.address = (uintptr_t)turns,
		.len = sizeof(*turns),
	};

	return request(&call);
}

int kt_hostcall_limit(uint64_t ns)
{
	struct kt_hostcall call = { .op = KT_HOSTCALL_LIMIT, .value = { ns } };

	return request(&call);
}

struct kt_turns_made kt_hostcall_turns(void)
{
	struct kt_hostcall call = { .op = KT_HOSTCALL_TURNS };

	if (request(&call) < 0)
		return (struct kt_turns_made){ 0 };
	return (struct kt_turns_made){ call.value[0], call.value[1], call.value[2] };
}
