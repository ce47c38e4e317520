/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A client of QEMU's gdbstub, over an inherited socket (gdb: "Remote Serial Protocol"; qemu:
 * gdbstub/).
 *
 * It may be used only while the machine does not run, because the stub stops a running machine at
 * the first byte that it receives. Whether the machine runs is known from QMP.
 *
 * Functions that take a deadline return 0 or a negative errno with an error that names the command:
 * -ETIMEDOUT, -EPIPE when QEMU is gone, -EBADMSG for a malformed answer, -EREMOTEIO when the stub
 * refuses.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"
#include "vmm/registers.h"

struct kt_gdb;

/* Numbers of the registers that are used here, in the order of the stub. */
enum kt_gdb_reg {
	KT_GDB_RSI = 4,
	KT_GDB_RDI = 5,
	KT_GDB_RSP = 7,
	KT_GDB_RIP = 16,
	KT_GDB_N_REGS,
};

/* The beginning of the stub's answer to 'g', byte by byte. */
struct kt_gdb_regs {
	uint64_t at[KT_GDB_N_REGS]; /* indexed by enum kt_gdb_reg and the numbers between */
	uint32_t eflags, cs;
};

#define KT_GDB_MEMORY_MAX 256u /* bytes that one call can read or write */

/*
 * Makes a client of the socket @fd, which it owns from then on and makes non-blocking. Returns 0 or
 * -ENOMEM; @fd stays the caller's then.
 */
int kt_gdb_new(int fd, struct kt_gdb **ret_gdb);

/* Tells which process is QEMU: deadlines move by what the host steals from it. */
void kt_gdb_set_pid(struct kt_gdb *gdb, pid_t pid);

/* Closes the socket. NULL is allowed. Returns NULL, to be stored back. */
struct kt_gdb *kt_gdb_free(struct kt_gdb *gdb);

/* What makes a vCPU stop the machine. */
enum kt_gdb_stop {
	KT_GDB_AT_CODE = 1,   /* it is about to execute the instruction at the address */
	KT_GDB_ON_WRITE = 2,  /* it has executed an instruction that wrote data there */
	KT_GDB_ON_READ = 3,   /* that read data there */
	KT_GDB_ON_ACCESS = 4, /* that did either */
};

/*
 * Set or remove a stop, for all vCPUs, at @len bytes of guest-virtual memory; @len is 1 for code.
 */
int kt_gdb_set(struct kt_gdb *gdb, enum kt_gdb_stop stop, uint64_t address, size_t len,
	       uint64_t deadline_ns, struct kt_err *reterr);
int kt_gdb_unset(struct kt_gdb *gdb, enum kt_gdb_stop stop, uint64_t address, size_t len,
		 uint64_t deadline_ns, struct kt_err *reterr);

/* What the stub has told of a stop that was not asked for. */
struct kt_gdb_report {
	unsigned int vcpu; /* from 0 */
	bool at_data;      /* at data that is watched; else at code */
	uint64_t address;  /* of the data, as kt_gdb_set() was given it */
};

/*
 * Takes the report of the latest stop, without waiting: the stub writes it before QMP tells of the
 * stop. 1, 0 without one, or a negative errno. The stub reports the stops of a machine that
 * kt_gdb_continue() has let run, and no others.
 */
int kt_gdb_take_report(struct kt_gdb *gdb, struct kt_gdb_report *ret_report, struct kt_err *reterr);

/* Asks the stub to let the machine run. It runs when QMP reports RESUME. 0 or a negative errno. */
int kt_gdb_continue(struct kt_gdb *gdb, struct kt_err *reterr);

/*
 * Read or write guest-virtual memory through the page tables of the vCPU that stopped last.
 * -EREMOTEIO where nothing is mapped, -E2BIG above KT_GDB_MEMORY_MAX. A write to code discards its
 * translation.
 */
int kt_gdb_read(struct kt_gdb *gdb, uint64_t address, void *data, size_t len, uint64_t deadline_ns,
		struct kt_err *reterr);
int kt_gdb_write(struct kt_gdb *gdb, uint64_t address, const void *data, size_t len,
		 uint64_t deadline_ns, struct kt_err *reterr);

/* Read or write the registers of the vCPU that stopped last. @eflags and @cs are not written. */
int kt_gdb_get_regs(struct kt_gdb *gdb, struct kt_gdb_regs *ret_regs, uint64_t deadline_ns,
		    struct kt_err *reterr);
int kt_gdb_set_regs(struct kt_gdb *gdb, const struct kt_gdb_regs *regs, uint64_t deadline_ns,
		    struct kt_err *reterr);

/* Makes the calls above mean the vCPU with this number, from 0, until the next stop. */
int kt_gdb_select(struct kt_gdb *gdb, unsigned int vcpu, uint64_t deadline_ns,
		  struct kt_err *reterr);

/* Reads all registers that the host knows of that vCPU. */
int kt_gdb_get_all(struct kt_gdb *gdb, struct kt_registers *ret_registers, uint64_t deadline_ns,
		   struct kt_err *reterr);
