/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The lists, hash tables and trees of a kernel for walks over them, on top of tiny_kernel.h: tasks,
 * run queues, sched_ext, BPF maps and programs, in structs of our own whose layout its BTF says.
 */

#include <stdint.h>

#include "tests/tiny_kernel.h"

struct walk_list {
	uint64_t next, prev;
};

struct walk_dsq {
	uint64_t lock;
	struct walk_list list;
	uint64_t id;
	uint32_t nr, seq;
	uint64_t hash_node;
};

struct walk_scx_entity {
	uint32_t flags, weight;
	uint64_t dsq, slice, dsq_vtime, ops_state;
	struct walk_list node; /* dsq_list.node */
	uint32_t node_flags, node_priv;
	struct walk_list runnable_node;
	uint64_t runnable_at;
	uint64_t sched; /* not of an old kernel */
};

struct walk_task {
	uint32_t pid, tgid;
	char comm[16];
	uint32_t state, exit_state, policy, cpu;
	uint64_t sched_class, nvcsw, nivcsw;
	struct walk_list links[2];
	struct walk_scx_entity scx;
	uint32_t on_rq, on_cpu;
};

struct walk_rq {
	uint32_t nr_running, online;
	uint64_t curr, idle, clock;
	uint32_t scx_nr_running, scx_flags;
	struct walk_dsq local_dsq;
	struct walk_list runnable_list;
};

struct walk_sched {
	char name[32];
	uint32_t exit_kind, level;
	uint64_t dsq_hash; /* struct rhashtable: tbl */
	struct walk_list all;
	uint64_t pcpu, global_dsqs, watchdog_timeout;
	uint64_t exit_info; /* 0, unless a test gives it one */
};

struct walk_exit_info {
	uint32_t kind;
};

/*
 * From Linux 7.1 on, pointers lead to such a struct. The queue is its only member there; here it is
 * not the first, so that a walk that does not ask where it lies finds nothing.
 */
struct walk_pnode {
	uint64_t pad[3];
	struct walk_dsq global_dsq;
};

struct walk_map {
	uint32_t type, key_size, value_size, max_entries;
	uint32_t flags, id, key_type, value_type;
	uint64_t btf;
	char name[16];
	/* Of an array. */
	uint32_t elem_size, pad;
	uint64_t value[64];
	/* Of a hash, and of a storage. */
	uint64_t buckets;
	uint32_t n_buckets, bucket_log;
};

struct walk_element {
	uint64_t hash_node, pad;
	uint8_t key[8], value[24];
};

struct walk_storage_element {
	struct walk_list map_node;
	uint64_t local_storage, smap;
	uint64_t data;
};

struct walk_program {
	uint32_t type, len;
	uint64_t stats, aux;
};

struct walk_program_aux {
	uint32_t id;
	char name[16];
};

struct walk_table {
	uint32_t size, nest;
	uint64_t future;
	uint64_t buckets[16];
};

#define WALK_TASKS   4u
#define WALK_SCHEDS  2u
#define WALK_BUCKETS 4u

enum { WALK_ARRAY, WALK_PER_CPU, WALK_HASH, WALK_STORAGE, WALK_SECTION, WALK_MAPS };

/* What moved from kernel to kernel. */
enum walk_form {
	WALK_OLD,    /* to 7.0: states of tasks have an enum, pointers lead to global queues */
	WALK_MIDDLE, /* states of tasks are among the flags, pointers lead to global queues */
	WALK_NEW,    /* from 7.1 on: the same, with a struct of each NUMA node */
};

struct walk_kernel {
	struct tiny_kernel tiny;
	enum walk_form form;
	struct kt_inspect *inspect;
	uint64_t tasks[WALK_TASKS];   /* of pids 1 .. 4 */
	uint64_t scheds[WALK_SCHEDS]; /* the root, and one below it */
	uint64_t table;               /* of the user queues of the root */
	uint64_t queue;               /* its only one, in which the first two tasks wait */
	uint64_t maps[WALK_MAPS];     /* with ids from 1 on */
	uint64_t map_ids;             /* the node with their pointers */
	uint64_t task_ids;
	uint64_t buckets; /* of the hash */
	uint64_t elements[3];
	uint64_t btf; /* struct btf of the maps */
};

/* Names of map types are those of Linux. */
#define WALK_STATE_ENABLED     0x400u
#define WALK_OLD_STATE_ENABLED 0x300u /* the number 3 behind a shift of 8 */

/* Makes one; a failure ends the process. Without a form, it is WALK_MIDDLE. */
void walk_kernel_init(struct walk_kernel *kernel);
void walk_kernel_init_as(struct walk_kernel *kernel, enum walk_form form);
void walk_kernel_deinit(struct walk_kernel *kernel);

/* Takes memory, and writes its own address into a list head at its beginning if @list. */
uint64_t walk_alloc(struct walk_kernel *kernel, size_t len);
void walk_list_init(struct walk_kernel *kernel, uint64_t head);
void walk_list_add(struct walk_kernel *kernel, uint64_t node, uint64_t head);

#define walk_at(kernel, type, kva) ((struct type *)tiny_at(&(kernel)->tiny, kva))
