/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/limit.h"

#include <errno.h>
#include <unistd.h>

#include "vmm/qemu/plugin/api.h"
#include "vmm/qemu/plugin/stand.h"

/*
 * At the limit the host is told, which takes a while, and ends the machine. What the guest did
 * meanwhile would depend on the host's load, so it does nothing. A machine that is stopped and let
 * go again does one block of instructions each time.
 */
static struct {
	struct kt_qemu_timer timer;
	int alarm;
	bool reached;
} limit;

static void on_limit(void *data)
{
	(void)data;
	limit.reached = true;
	(void)!write(limit.alarm, "", 1);
}

void kt_limit_init(int alarm)
{
	limit.alarm = alarm;
	kt_api.timer_init_full(&limit.timer, NULL, KT_QEMU_CLOCK_VIRTUAL, KT_QEMU_SCALE_NS, 0,
			       on_limit, NULL);
}

static void set(struct kt_qemu_cpu *cpu, uint64_t ns)
{
	(void)cpu;
	if (ns)
		kt_api.timer_mod_ns(&limit.timer,
				    kt_api.qemu_clock_get_ns(KT_QEMU_CLOCK_VIRTUAL) + (int64_t)ns);
	else
		kt_api.timer_del(&limit.timer);
}

/* In the middle of a block QEMU does not know the time exactly, and refuses to tell it. */
int kt_limit_set(uint64_t ns)
{
	if (ns > INT64_MAX / 2)
		return -ERANGE;
	kt_api.async_run_on_cpu(kt_api_current_cpu(), set, ns);
	return 0;
}

bool kt_limit_is_reached(void)
{
	return limit.reached;
}

void kt_limit_on_block(void)
{
	if (limit.reached)
		(void)kt_stand_wait(-1);
}
