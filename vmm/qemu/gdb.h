/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * GDB's remote protocol: the client of one QEMU's stub, on an inherited socket (gdb: "Remote
 * Protocol"; qemu: gdbstub/).
 *
 * Only for a machine that does not run: whatever is sent to one that does stops it. That it has
 * stopped is told by QMP.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct kt_gdb;

/* Numbers of registers, as the stub orders them. */
enum kt_gdb_reg {
	KT_GDB_RSI = 4,
	KT_GDB_RDI = 5,
	KT_GDB_RSP = 7,
	KT_GDB_RIP = 16,
	KT_GDB_N_REGS,
};

struct kt_gdb_regs {
	uint64_t at[KT_GDB_N_REGS];
	uint32_t eflags, cs;
};

#define KT_GDB_MEMORY_MAX 256u /* bytes that are read or written at once */

/* Takes over @fd, which is made non-blocking. */
int kt_gdb_new(int fd, struct kt_gdb **ret_gdb);
struct kt_gdb *kt_gdb_free(struct kt_gdb *gdb);

/* What makes a vCPU stop the machine. */
enum kt_gdb_stop {
	KT_GDB_AT_CODE = 1, /* before the instruction at the address */
	KT_GDB_ON_READ = 3, /* of data, after the instruction */
};

/*
 * Sets or takes back a stop, of all vCPUs, at a virtual address of the guest. A code's length is 1.
 */
int kt_gdb_set(struct kt_gdb *gdb, enum kt_gdb_stop stop, uint64_t address, size_t len,
	       uint64_t deadline_ns, struct kt_err *reterr);
int kt_gdb_unset(struct kt_gdb *gdb, enum kt_gdb_stop stop, uint64_t address, size_t len,
		 uint64_t deadline_ns, struct kt_err *reterr);

/* Lets the machine run, at some time after this: QMP tells when. */
int kt_gdb_continue(struct kt_gdb *gdb, struct kt_err *reterr);

/*
 * Memory as the vCPU sees it that stopped last. -EREMOTEIO where nothing is mapped. What is written
 * to code takes effect.
 */
int kt_gdb_read(struct kt_gdb *gdb, uint64_t address, void *data, size_t len, uint64_t deadline_ns,
		struct kt_err *reterr);
int kt_gdb_write(struct kt_gdb *gdb, uint64_t address, const void *data, size_t len,
		 uint64_t deadline_ns, struct kt_err *reterr);

/* Of the vCPU that stopped last; but for @eflags and @cs, which are not set. */
int kt_gdb_get_regs(struct kt_gdb *gdb, struct kt_gdb_regs *ret_regs, uint64_t deadline_ns,
		    struct kt_err *reterr);
int kt_gdb_set_regs(struct kt_gdb *gdb, const struct kt_gdb_regs *regs, uint64_t deadline_ns,
		    struct kt_err *reterr);
