/* SPDX-License-Identifier: MIT */
#pragma once
/* The channels of a machine of QEMU: what the child inherits, and what is read from it. */

#include <stdint.h>
#include <sys/uio.h>

#include "vmm/machine.h"
#include "vmm/qemu/argv.h"
#include "vmm/qemu/qmp.h"

struct qemu;

/* What the child inherits; closed here once it has started. The RAM file is not among the owned. */
struct kt_qemu_far_ends {
	struct kt_qemu_fds fds;
	int output;
};

/*
 * Makes the channels: the far ends for the child, whose other members the caller has set. Events of
 * QMP go to @on_event. What was made before a failure is closed by kt_qemu_close_channels().
 */
int kt_qemu_open_channels(struct qemu *qemu, const struct kt_machine_config *config,
			  kt_qmp_event_fn on_event, struct kt_qemu_far_ends *far);

/* Closes what the child has inherited. */
void kt_qemu_close_far_ends(struct kt_qemu_far_ends *far);

/* Lets the machine's loop serve all channels but QMP. */
int kt_qemu_watch_channels(struct qemu *qemu);

/* No event of them reaches the machine any more. */
void kt_qemu_unwatch_channels(struct qemu *qemu);

/* Closes all, QMP and the gdbstub too. */
void kt_qemu_close_channels(struct qemu *qemu);

/* As kt_machine_port_write(). */
int kt_qemu_port_write(struct kt_machine *machine, const struct iovec *parts, size_t n);

/* Reads what a machine that has stopped by itself had sent on the port before. */
void kt_qemu_read_port(struct qemu *qemu);

/* Reads what QEMU has said so far. */
void kt_qemu_read_output(struct qemu *qemu);

/* Reads all channels to the end. The process is gone, so none of them blocks. */
void kt_qemu_drain(struct qemu *qemu);
