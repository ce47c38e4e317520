/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The kernel's dump of a scheduler that has failed. The kernel emits it through the tracepoint
 * sched_ext_dump, line by line, in one go with interrupts off: the whole dump must fit into the
 * trace buffer.
 */

#include "guest/port/port.h"
#include "util/err.h"

struct kt_scx_dump;

/*
 * Creates the trace buffer, with room for @kib KiB of text on every CPU, and enables the
 * tracepoint. -ENOTSUP when the kernel lacks the tracepoint; -ENOMEM and errors of tracefs.
 */
int kt_scx_dump_open(unsigned int kib, struct kt_scx_dump **ret_dump, struct kt_err *reterr);

/* Removes the trace buffer with all that is in it. @dump may be NULL. Returns NULL. */
struct kt_scx_dump *kt_scx_dump_close(struct kt_scx_dump *dump);

/*
 * Moves all text from the trace buffer to the host, in SDMP frames; with @port NULL the text is
 * discarded. *@ret_bytes is its length, *@ret_lost the number of lines that did not fit into the
 * buffer; both are set on failure too. Returns 0, -ENOMEM or an error of kt_port_send().
 */
int kt_scx_dump_send(struct kt_scx_dump *dump, struct kt_port *port, uint64_t *ret_bytes,
		     uint64_t *ret_lost, struct kt_err *reterr);
