/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The functions of QEMU that the plugin uses. Distributions install no header for plugins, so they
 * are declared here.
 *
 * The first group is QEMU's plugin interface (include/qemu/qemu-plugin.h, version 4, of QEMU 10.0).
 * The second group are functions of QEMU itself, which a QEMU with modules exports: their meaning
 * may change with any version, and a QEMU without modules lacks them. They are looked up when the
 * plugin is installed (kt_api_find()), so that a QEMU without them says what is missing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;     /* a block of instructions that QEMU translates as a whole */
struct qemu_plugin_hwaddr; /* where in the machine an access goes to */
struct qemu_plugin_insn;   /* an instruction of such a block */

struct qemu_info_t {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	union {
		struct {
			int smp_vcpus;
			int max_vcpus;
		} system;
	};
};

enum { KT_CB_NO_REGS = 0, KT_CB_R_REGS = 1 }; /* enum qemu_plugin_cb_flags */
enum { KT_MEM_RW_W = 2, KT_MEM_RW_RW = 3 };   /* enum qemu_plugin_mem_rw */
enum { KT_QEMU_CLOCK_VIRTUAL = 1 };           /* QEMUClockType of include/qemu/timer.h */
enum { KT_QEMU_SCALE_NS = 1 };                /* likewise, SCALE_NS */
#define KT_QEMU_PLUGIN_API_VERSION 4

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t id,
						      struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest, size_t len);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int vcpu, void *data), int flags,
					  void *data);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*cb)(unsigned int vcpu, qemu_plugin_meminfo_t info,
						 uint64_t vaddr, void *data),
				      int flags, int rw, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*cb)(unsigned int vcpu, void *data), int flags,
					    void *data);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t info);
/* NULL when the address is not mapped. Valid in the callback of the access. */
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t info, uint64_t vaddr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *hwaddr);

/* QEMU's CPUState and QEMUTimer, which the plugin never looks into. */
struct kt_qemu_cpu;
struct kt_qemu_timer {
	uint64_t opaque[32]; /* QEMUTimer has 56 bytes in QEMU 10.0 */
};

/* GLib's GByteArray, into which QEMU reads registers. */
struct kt_glib_bytes {
	uint8_t *data;
	unsigned int len;
};

/* How QEMU takes a lock, and waits for a condition with a lock that it holds. */
typedef void kt_qemu_lock_fn(void *mutex, const char *file, int line);
typedef void kt_qemu_wait_fn(void *condition, void *mutex, const char *file, int line);

/* The functions and variables of QEMU itself. Each has the name that QEMU gives it. */
struct kt_qemu_api {
	/* Ends the turn of a vCPU behind the block of instructions that it executes. */
	void (*cpu_exit)(struct kt_qemu_cpu *cpu);
	/* Lets all blocks be translated anew. Not while guest code is executed. */
	void (*tb_flush)(struct kt_qemu_cpu *cpu);
	/* The vCPU of this number, from 0; NULL when there is none. */
	struct kt_qemu_cpu *(*qemu_get_cpu)(int index);
	/* Whether the vCPU has halted and no interrupt wakes it. */
	bool (*cpu_thread_is_idle)(struct kt_qemu_cpu *cpu);
	/* Whether the vCPU was stopped, as by a watch of the gdbstub, or the whole machine is. */
	bool (*cpu_is_stopped)(struct kt_qemu_cpu *cpu);
	/*
	 * Leaves guest code at the instruction that has called, which is executed again. @address
	 * is where generated code goes on after the call. Does not return.
	 */
	void (*cpu_loop_exit_restore)(struct kt_qemu_cpu *cpu, uintptr_t address);
	/* Reads or writes guest memory by virtual address; 0, or -1 when a page is missing. */
	int (*cpu_memory_rw_debug)(struct kt_qemu_cpu *cpu, uint64_t addr, void *buf, size_t len,
				   bool is_write);
	/* Appends the register of this number, as the gdbstub tells it; returns its length. */
	int (*gdb_read_register)(struct kt_qemu_cpu *cpu, struct kt_glib_bytes *array, int number);
	struct kt_glib_bytes *(*g_byte_array_new)(void);
	uint8_t *(*g_byte_array_free)(struct kt_glib_bytes *array, int free_data);
	/* False as soon as a stop has begun. */
	bool (*runstate_is_running)(void);
	/* The big lock. A stop holds it until all vCPUs are told to leave guest code. */
	void (*bql_lock_impl)(const char *file, int line);
	void (*bql_unlock)(void);
	/* Calls @fn in the thread of the vCPUs, outside guest code; what data holds, is passed. */
	void (*async_run_on_cpu)(struct kt_qemu_cpu *cpu,
				 void (*fn)(struct kt_qemu_cpu *cpu, uint64_t data), uint64_t data);
	/* Timers of a clock, whose functions run in the thread of the vCPUs under icount. */
	void (*timer_init_full)(struct kt_qemu_timer *timer, void *group, int clock, int scale,
				int attributes, void (*cb)(void *data), void *data);
	void (*timer_mod_ns)(struct kt_qemu_timer *timer, int64_t expire_ns);
	void (*timer_del)(struct kt_qemu_timer *timer);
	int64_t (*qemu_clock_get_ns)(int clock);
	/* Calls the timers that are due; whether there were any. */
	bool (*qemu_clock_run_timers)(int clock);
	/* Wakes the main loop, from any thread. */
	void (*qemu_notify_event)(void);
	/* Why the guest has asked for an end of the machine or for a reset; 0: it has not. */
	int (*qemu_shutdown_requested_get)(void);
	int (*qemu_reset_requested_get)(void);
	bool (*qemu_in_vcpu_thread)(void);
	/* Whether every vCPU is halted or stopped, and has no interrupt and no work. */
	bool (*all_cpu_threads_idle)(void);
	/* Lets the clock go to the next timer, if all vCPUs are idle. Needs the big lock. */
	void (*icount_start_warp_timer)(void);
	void (*qemu_mutex_unlock_impl)(void *mutex, const char *file, int line);
	/* Variables: what takes the big lock, and what waits for any condition. */
	kt_qemu_lock_fn **bql_mutex_lock_func;
	kt_qemu_wait_fn **qemu_cond_wait_func;
};

/* Looks all of them up. Returns NULL, or the name of the first that is missing. */
const char *kt_api_find(void);

/* Valid after kt_api_find(). */
extern struct kt_qemu_api kt_api;

/* The vCPU that this thread executes; NULL outside guest code. */
struct kt_qemu_cpu *kt_api_current_cpu(void);
