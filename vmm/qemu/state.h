/* SPDX-License-Identifier: MIT */
#pragma once
/* A machine of QEMU; only the files of this folder look into it. */

#include <stdbool.h>
#include <sys/types.h>

#include "util/buffer.h"
#include "util/loop.h"
#include "util/steal.h"
#include "vmm/machine.h"
#include "vmm/qemu/gdb.h"
#include "vmm/qemu/qmp.h"
#include "vmm/qemu/stale.h"
#include "vmm/qemu/whereabouts.h"

struct channel {
	struct kt_source source;
	int fd; /* owned; stays open when the source is removed */
};

struct kt_qemu_watch {
	bool used;
	struct kt_watch watch;
	uint64_t n_unmet; /* hits whose condition did not hold */
};

struct qemu {
	struct kt_machine machine;
	pid_t pid; /* 0 before the start and after the child was reaped */
	int pidfd;
	struct kt_source process;
	struct kt_qmp *qmp;
	struct kt_source qmp_source;
	struct kt_gdb *gdb; /* NULL: not started yet */
	unsigned int n_vcpus;
	bool may_be_stale; /* stale code is possible */
	struct kt_stale stale;
	struct kt_qemu_watch watches[KT_WATCHES_MAX];
	unsigned int n_watches, watches_max;
	bool at_watch; /* stopped() is being called: the machine stands */
	bool stopped;  /* QMP reported STOP, and look_after() has not handled it yet */
	bool paused;   /* the owner wants the machine to stand */
	bool resumed;  /* QMP reported RESUME since this was cleared */
	struct channel console;
	off_t console_freed;           /* host calls: bytes of the console that take no memory */
	struct kt_timer console_timer; /* host calls: the console is a file, which has no events */
	struct channel port;
	struct channel alarm; /* host calls: a byte says that the guest's limit is reached */
	int stand_fd;         /* host calls: eventfd; readable while the machine has to stand */
	int plugin_fd;
	int where_fd;                 /* host calls: the file of @where */
	struct kt_whereabouts *where; /* host calls: a map of it; owned */
	enum kt_time time;
	struct channel output; /* standard output and error of QEMU */
	int ram_fd;            /* of the RAM file; a duplicate that is owned */
	uint64_t ram_len;      /* bytes */
	bool ram_is_shared;    /* the guest writes to the file; else it maps the file privately */
	bool migrated;         /* saving the state is over, with success or without */
	bool migration_failed;
	struct kt_buffer unsent; /* bytes for the port that the socket has no room for */
	struct kt_steal steal;   /* at the last qemu_mark_steal() */
	char said[1024];         /* beginning of the output; NUL-terminated */
	size_t n_said;
	char shutdown_reason[32]; /* of the SHUTDOWN event; "": none came */
	bool panicked;            /* a GUEST_PANICKED event came */
	bool powered_off;         /* kt_machine_power_off() was called */
	bool keep;                /* the process stays when the guest has ended */
	bool has_ended;           /* it has, and the owner was told */
	char given_up[256];       /* why stop.c has killed QEMU; "": it has not */
};

static inline struct qemu *kt_qemu_of(struct kt_machine *machine)
{
	return (struct qemu *)machine;
}
