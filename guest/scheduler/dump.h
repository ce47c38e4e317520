/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the kernel dumps of a scheduler that fails, by the tracepoint sched_ext_dump, line by line. It does so
 * with interrupts off, in one go: all of it must find room in the trace buffer.
 */

#include "guest/port/port.h"
#include "util/err.h"

struct kt_scx_dump;

/* Makes room for @kib KiB of text, on every CPU. A kernel without the tracepoint is -ENOTSUP. */
int kt_scx_dump_open(unsigned int kib, struct kt_scx_dump **ret_dump, struct kt_err *reterr);
struct kt_scx_dump *kt_scx_dump_close(struct kt_scx_dump *dump);

/*
 * Sends what has been dumped until now to the host, as SDMP frames, and forgets it. *@ret_bytes says how much;
 * *@ret_lost how many lines had no room.
 */
int kt_scx_dump_send(struct kt_scx_dump *dump, struct kt_port *port, uint64_t *ret_bytes,
		     uint64_t *ret_lost, struct kt_err *reterr);
