/* SPDX-License-Identifier: MIT */
#include "tests/tiny_kernel.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * The layout of the RAM: VMCOREINFO below 1 MiB, the image from there on, everything else from
 * 2 MiB on. Tables are written in the order that their contents ask for: first what symbols point
 * to, then the symbols, and at last VMCOREINFO.
 */

#define HEAP        0x200000u
#define PAGE        4096u
#define START_MAP   UINT64_C(0xffffffff80000000)
#define PER_CPU_LEN 4096u
#define PRESENT     UINT64_C(3)
#define LARGE       UINT64_C(0x80)
#define TOKEN_INIT  0x80u /* a token of several characters: "task" */
#define TOKENS      256u

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "tiny kernel: %s\n", what);
	abort();
}

static uint64_t image_kva(const struct tiny_kernel *kernel, uint64_t gpa)
{
	return TINY_TEXT + kernel->options.kaslr + (gpa - TINY_IMAGE);
}

static uint64_t phys_base(const struct tiny_kernel *kernel)
{
	return TINY_IMAGE - (TINY_TEXT + kernel->options.kaslr - START_MAP);
}

static uint64_t image_alloc(struct tiny_kernel *kernel, size_t len, size_t align)
{
	uint64_t gpa = (kernel->image_end + align - 1) & ~(uint64_t)(align - 1);

	kernel->image_end = gpa + len;
	must(kernel->image_end <= HEAP, "the image is full");
	return image_kva(kernel, gpa);
}

uint64_t tiny_alloc(struct tiny_kernel *kernel, size_t len)
{
	uint64_t gpa = (kernel->heap_end + 63) & ~UINT64_C(63);

	kernel->heap_end = gpa + len;
	must(kernel->heap_end <= TINY_RAM_LEN, "the RAM is full");
	return kernel->page_offset + gpa;
}

static uint64_t page_alloc(struct tiny_kernel *kernel)
{
	uint64_t gpa = (kernel->heap_end + PAGE - 1) & ~(uint64_t)(PAGE - 1);

	kernel->heap_end = gpa + PAGE;
	must(kernel->heap_end <= TINY_RAM_LEN, "the RAM is full");
	return gpa;
}

void *tiny_at(const struct tiny_kernel *kernel, uint64_t kva)
{
	uint64_t gpa =
		kva >= START_MAP ? kva - START_MAP + phys_base(kernel) : kva - kernel->page_offset;

	must(gpa < TINY_RAM_LEN, "an address is no RAM");
	return kernel->bytes + gpa;
}

void tiny_set(struct tiny_kernel *kernel, uint64_t kva, uint64_t value, size_t len)
{
	memcpy(tiny_at(kernel, kva), &value, len);
}

static void add_symbol(struct tiny_kernel *kernel, const char *name, uint64_t kva)
{
	struct tiny_symbol *symbol = &kernel->symbols[kernel->n_symbols++];

	must(kernel->n_symbols <= TINY_SYMBOLS, "too many symbols");
	(void)snprintf(symbol->name, sizeof(symbol->name), "%s", name);
	symbol->kva = kva;
}

uint64_t tiny_symbol(const struct tiny_kernel *kernel, const char *name)
{
	for (size_t i = 0; i < kernel->n_symbols; i++) {
		if (!strcmp(kernel->symbols[i].name, name))
			return kernel->symbols[i].kva;
	}
	return 0;
}

/* A variable in the image. */
static uint64_t add_variable(struct tiny_kernel *kernel, const char *name, size_t len)
{
	uint64_t kva = image_alloc(kernel, len, 8);

	add_symbol(kernel, name, kva);
	return kva;
}

/* ---- Page tables ---- */

static uint64_t *entry_of(struct tiny_kernel *kernel, uint64_t table, uint64_t kva,
			  unsigned int level)
{
	return (uint64_t *)(kernel->bytes + table) + (kva >> (12 + 9 * (level - 1)) & 511);
}

void tiny_map(struct tiny_kernel *kernel, uint64_t kva, uint64_t gpa, unsigned int level)
{
	uint64_t table = kernel->root;
	unsigned int at = kernel->options.five_levels ? 5 : 4;

	for (; at > level; at--) {
		uint64_t *entry = entry_of(kernel, table, kva, at);

		if (!*entry)
			*entry = page_alloc(kernel) | PRESENT;
		table = *entry & ~UINT64_C(0xfff);
	}
	*entry_of(kernel, table, kva, level) = gpa | PRESENT | (level > 1 ? LARGE : 0);
}

/* ---- Types ---- */

struct types {
	struct btf *btf;
	int u8, s32, u32, u64, text, boolean, pointer; /* pointer: void * */
	int list, node, atomic, state, mask, exit_kind, xarray, task, task_pointer;
};

static int add_array(struct types *types, int of, unsigned int n)
{
	return btf__add_array(types->btf, types->u32, of, n);
}

static void add_base_types(struct types *types)
{
	struct btf *btf = types->btf;

	types->u8 = btf__add_int(btf, "unsigned char", 1, 0);
	types->s32 = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	types->u32 = btf__add_int(btf, "unsigned int", 4, 0);
	types->u64 = btf__add_int(btf, "long unsigned int", 8, 0);
	types->text = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
	types->boolean = btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL);
	types->pointer = btf__add_ptr(btf, 0);
	(void)btf__add_int(btf, "long int", 8, BTF_INT_SIGNED);
	(void)btf__add_typedef(btf, "u64", types->u64);
	types->state = btf__add_enum(btf, "tiny_state", 4);
	(void)btf__add_enum_value(btf, "TINY_IDLE", 0);
	(void)btf__add_enum_value(btf, "TINY_BUSY", 7);
	types->exit_kind = btf__add_enum(btf, "scx_exit_kind", 4);
	(void)btf__add_enum_value(btf, "SCX_EXIT_NONE", 0);
	(void)btf__add_enum_value(btf, "SCX_EXIT_ERROR", 1024);
	(void)btf__add_enum_value(btf, "SCX_EXIT_BELOW", -1);
}

static void add_small_structs(struct types *types)
{
	struct btf *btf = types->btf;
	int id, bits = add_array(types, types->u64, 1);

	id = btf__add_struct(btf, NULL, 4);
	(void)btf__add_field(btf, "counter", types->s32, 0, 0);
	types->atomic = btf__add_typedef(btf, "atomic_t", id);
	types->mask = btf__add_struct(btf, "cpumask", 8);
	(void)btf__add_field(btf, "bits", bits, 0, 0);
	id = btf__add_ptr(btf, (int)btf__type_cnt(btf) + 1);
	types->list = btf__add_struct(btf, "list_head", 16);
	(void)btf__add_field(btf, "next", id, 0, 0);
	(void)btf__add_field(btf, "prev", id, 64, 0);
	types->node = btf__add_struct(btf, "hlist_node", 16);
	(void)btf__add_field(btf, "next", types->pointer, 0, 0);
	(void)btf__add_field(btf, "pprev", types->pointer, 64, 0);
	types->xarray = btf__add_struct(btf, "xarray", 16);
	(void)btf__add_field(btf, "xa_lock", types->u32, 0, 0);
	(void)btf__add_field(btf, "xa_head", types->pointer, 64, 0);
	id = add_array(types, types->pointer, 64);
	(void)btf__add_struct(btf, "xa_node", 8 + 64 * 8);
	(void)btf__add_field(btf, "shift", types->u8, 0, 0);
	(void)btf__add_field(btf, "slots", id, 64, 0);
}

static void add_pid_structs(struct types *types)
{
	struct btf *btf = types->btf;
	int id = btf__add_struct(btf, "idr", 16);

	(void)btf__add_field(btf, "idr_rt", types->xarray, 0, 0);
	(void)btf__add_struct(btf, "pid_namespace", 24);
	(void)btf__add_field(btf, "idr", id, 64, 0);
	id = btf__add_struct(btf, "hlist_head", 8);
	(void)btf__add_field(btf, "first", types->pointer, 0, 0);
	id = add_array(types, id, 2);
	(void)btf__add_struct(btf, "pid", 24);
	(void)btf__add_field(btf, "tasks", id, 64, 0);
}

/* A member of struct task_struct whose offset is one of the header's. */
static void add_task_field(struct types *types, const char *name, int type, unsigned int offset)
{
	must(btf__add_field(types->btf, name, type, (int)offset * 8, 0) == 0, "a member");
}

static void add_task(struct types *types)
{
	struct btf *btf = types->btf;
	int pid = btf__add_typedef(btf, "pid_t", types->s32),
	    comm = add_array(types, types->text, 16);
	int links = add_array(types, types->node, 2), row = add_array(types, types->s32, 3);
	int table = add_array(types, row, 2), name = btf__add_ptr(btf, types->text), either, scx;

	either = btf__add_union(btf, NULL, 4);
	(void)btf__add_field(btf, "sticky_cpu", types->s32, 0, 0);
	(void)btf__add_field(btf, "word", types->u32, 0, 0);
	scx = btf__add_struct(btf, "sched_ext_entity", 40);
	(void)btf__add_field(btf, "dsq_vtime", types->u64, 0, 0);
	(void)btf__add_field(btf, "", either, 64, 0);
	(void)btf__add_field(btf, "dsq", types->pointer, (TINY_TASK_DSQ - TINY_TASK_SCX) * 8, 0);
	(void)btf__add_field(btf, "runnable_node", types->list,
			     (TINY_TASK_RUNNABLE - TINY_TASK_SCX) * 8, 0);
	types->task_pointer = btf__add_ptr(btf, (int)btf__type_cnt(btf) + 1);
	types->task = btf__add_struct(btf, "task_struct", TINY_TASK_LEN);
	add_task_field(types, "pid", pid, TINY_TASK_PID);
	add_task_field(types, "comm", comm, TINY_TASK_COMM);
	(void)btf__add_field(btf, "sched_flag_a", types->u32, TINY_TASK_BITS * 8, 1);
	(void)btf__add_field(btf, "sched_level", types->s32, TINY_TASK_BITS * 8 + 1, 5);
	(void)btf__add_field(btf, "sched_wide", types->u64, TINY_TASK_BITS * 8 + 6, 20);
	add_task_field(types, "state", types->state, TINY_TASK_STATE);
	add_task_field(types, "parent", types->task_pointer, TINY_TASK_PARENT);
	add_task_field(types, "scx", scx, TINY_TASK_SCX);
	add_task_field(types, "usage", types->atomic, TINY_TASK_USAGE);
	add_task_field(types, "pid_links", links, TINY_TASK_LINKS);
	add_task_field(types, "mask", types->mask, TINY_TASK_MASK);
	add_task_field(types, "name", name, TINY_TASK_NAME);
	add_task_field(types, "table", table, TINY_TASK_TABLE);
	add_task_field(types, "tasks", types->list, TINY_TASK_TASKS);
	(void)btf__add_field(btf, "sched_span", types->u64, TINY_TASK_SPAN * 8 + 6, 60);
	add_task_field(types, "start_time", types->u64, TINY_TASK_START);
	add_task_field(types, "exit_state", types->s32, TINY_TASK_EXIT);
	add_task_field(types, "flags", types->u32, TINY_TASK_FLAGS);
	add_task_field(types, "on_rq", types->s32, TINY_TASK_ON_RQ);
	add_task_field(types, "on_cpu", types->s32, TINY_TASK_ON_CPU);
	add_task_field(types, "sched_class", types->pointer, TINY_TASK_CLASS);
}

static void add_scx(struct types *types)
{
	struct btf *btf = types->btf;
	int name = add_array(types, types->text, 64), ops, pcpu, id;

	ops = btf__add_struct(btf, "sched_ext_ops", 64);
	(void)btf__add_field(btf, "name", name, 0, 0);
	id = btf__add_struct(btf, "scx_sched_pcpu", 8);
	(void)btf__add_field(btf, "events", types->u64, 0, 0);
	pcpu = btf__add_ptr(btf, id);
	(void)btf__add_struct(btf, "scx_sched", 96);
	(void)btf__add_field(btf, "exit_kind", types->atomic, TINY_SCHED_KIND * 8, 0);
	(void)btf__add_field(btf, "ops", ops, TINY_SCHED_NAME * 8, 0);
	(void)btf__add_field(btf, "pcpu", pcpu, TINY_SCHED_PCPU * 8, 0);
	(void)btf__add_field(btf, "kind", types->exit_kind, TINY_SCHED_EXIT * 8, 0);
}

static void add_rq(struct types *types)
{
	struct btf *btf = types->btf;
	int scx, rq, var;

	scx = btf__add_struct(btf, "scx_rq", 8);
	(void)btf__add_field(btf, "nr_running", types->u32, 0, 0);
	rq = btf__add_struct(btf, "rq", 32);
	(void)btf__add_field(btf, "nr_running", types->u32, TINY_RQ_NR_RUNNING * 8, 0);
	(void)btf__add_field(btf, "scx", scx, TINY_RQ_SCX_NR * 8, 0);
	(void)btf__add_field(btf, "curr", types->task_pointer, TINY_RQ_CURR * 8, 0);
	var = btf__add_var(btf, "runqueues", BTF_VAR_GLOBAL_ALLOCATED, rq);
	(void)btf__add_datasec(btf, ".data..percpu", PER_CPU_LEN);
	(void)btf__add_datasec_var_info(btf, var, 0, 32);
}

struct btf *tiny_btf(void)
{
	struct types types = { .btf = btf__new_empty() };

	must(types.btf != NULL, "no BTF");
	add_base_types(&types);
	add_small_structs(&types);
	add_pid_structs(&types);
	add_task(&types);
	add_scx(&types);
	add_rq(&types);
	return types.btf;
}

static void write_btf(struct tiny_kernel *kernel)
{
	struct btf *btf = kernel->options.btf ? kernel->options.btf() : tiny_btf();
	uint32_t len;
	const void *data = btf__raw_data(btf, &len);
	uint64_t kva = image_alloc(kernel, len, 8);

	memcpy(tiny_at(kernel, kva), data, len);
	add_symbol(kernel, "__start_BTF", kva);
	add_symbol(kernel, "__stop_BTF", kva + len);
	btf__free(btf);
}

/* ---- What symbols point to ---- */

static void write_cpus(struct tiny_kernel *kernel)
{
	uint64_t start = image_alloc(kernel, PER_CPU_LEN, PAGE);
	uint64_t offsets = add_variable(kernel, "__per_cpu_offset", TINY_CPUS * 8);

	add_symbol(kernel, "__per_cpu_start", start);
	add_symbol(kernel, "runqueues", start);
	add_symbol(kernel, "__per_cpu_end", start + PER_CPU_LEN);
	for (unsigned int cpu = 0; cpu < TINY_CPUS; cpu++) {
		uint64_t copy = tiny_alloc(kernel, PER_CPU_LEN);

		tiny_set(kernel, offsets + cpu * 8, copy - start, 8);
		tiny_set(kernel, copy + TINY_RQ_NR_RUNNING, 3 + cpu, 4);
		tiny_set(kernel, copy + TINY_RQ_SCX_NR, 10 + cpu, 4);
		kernel->rqs[cpu] = copy;
	}
	tiny_set(kernel, add_variable(kernel, "nr_cpu_ids", 4), TINY_CPUS, 4);
}

static void write_task(struct tiny_kernel *kernel, uint64_t task, unsigned int pid,
		       const char *comm, uint64_t parent)
{
	tiny_set(kernel, task + TINY_TASK_PID, pid, 4);
	strcpy(tiny_at(kernel, task + TINY_TASK_COMM), comm);
	tiny_set(kernel, task + TINY_TASK_PARENT, parent, 8);
	tiny_set(kernel, task + TINY_TASK_STATE, 7, 4);
	/* sched_flag_a 1, sched_level -3, sched_wide 0xabcde */
	tiny_set(kernel, task + TINY_TASK_BITS, 1 | (UINT64_C(29) << 1) | UINT64_C(0xabcde) << 6,
		 8);
	tiny_set(kernel, task + TINY_TASK_SCX, UINT64_C(0x1122334455667788), 8);
	tiny_set(kernel, task + TINY_TASK_SCX + 8, UINT32_MAX, 4);
	tiny_set(kernel, task + TINY_TASK_SPAN, UINT64_C(0x123456789abcdef) << 6, 8);
	tiny_set(kernel, task + TINY_TASK_SPAN + 8, UINT64_C(0x123456789abcdef) >> 58, 1);
	tiny_set(kernel, task + TINY_TASK_USAGE, 2, 4);
	tiny_set(kernel, task + TINY_TASK_MASK, 3, 8);
	for (unsigned int i = 0; i < 6; i++)
		tiny_set(kernel, task + TINY_TASK_TABLE + i * 4, i * 10, 4);
}

/* pid 1 in an IDR that has a node, as one with ids above 0 has. */
static void write_tasks(struct tiny_kernel *kernel)
{
	uint64_t init = add_variable(kernel, "init_task", TINY_TASK_LEN);
	uint64_t ns = add_variable(kernel, "init_pid_ns", 24);
	uint64_t node = tiny_alloc(kernel, 8 + 64 * 8), pid = tiny_alloc(kernel, 24);
	uint64_t text = tiny_alloc(kernel, 16);

	kernel->task = tiny_alloc(kernel, TINY_TASK_LEN);
	write_task(kernel, init, 0, "swapper/0", 0);
	write_task(kernel, kernel->task, 1, "init", init);
	strcpy(tiny_at(kernel, text), "a name");
	tiny_set(kernel, kernel->task + TINY_TASK_NAME, text, 8);
	tiny_set(kernel, init + TINY_TASK_TASKS, kernel->task + TINY_TASK_TASKS, 8);
	tiny_set(kernel, kernel->task + TINY_TASK_TASKS, init + TINY_TASK_TASKS, 8);
	tiny_set(kernel, pid + 8, kernel->task + TINY_TASK_LINKS, 8);
	tiny_set(kernel, node + 8 + 8, pid, 8);
	tiny_set(kernel, ns + 8 + 8, node + 2, 8);
}

static void write_sched(struct tiny_kernel *kernel)
{
	uint64_t root = add_variable(kernel, "scx_root", 8);

	kernel->sched = tiny_alloc(kernel, 96);
	tiny_set(kernel, root, kernel->sched, 8);
	tiny_set(kernel, kernel->sched + TINY_SCHED_KIND, 1024, 4);
	tiny_set(kernel, kernel->sched + TINY_SCHED_EXIT, 1024, 4);
	strcpy(tiny_at(kernel, kernel->sched + TINY_SCHED_NAME), "simple");
	/* A per-CPU pointer: behind the run queues in each CPU's copy. */
	tiny_set(kernel, kernel->sched + TINY_SCHED_PCPU, tiny_symbol(kernel, "runqueues") + 64, 8);
	for (unsigned int cpu = 0; cpu < TINY_CPUS; cpu++)
		tiny_set(kernel, kernel->rqs[cpu] + 64, 100 + cpu, 8);
}

/* ---- kallsyms ---- */

static int by_address(const void *a, const void *b)
{
	const struct tiny_symbol *left = a, *right = b;

	return left->kva < right->kva ? -1 : left->kva > right->kva;
}

/* Each printable character is a token of its own, and "task" is one. */
static void write_tokens(struct tiny_kernel *kernel)
{
	uint64_t table = add_variable(kernel, "kallsyms_token_table", 4 * TOKENS);
	uint64_t index = add_variable(kernel, "kallsyms_token_index", 2 * TOKENS);
	char *text = tiny_at(kernel, table);
	size_t at = 0;

	for (unsigned int token = 0; token < TOKENS; token++) {
		tiny_set(kernel, index + token * 2, at, 2);
		if (token == TOKEN_INIT)
			at += (size_t)sprintf(text + at, "task") + 1;
		else if (token > ' ' && token < 0x7f)
			at += (size_t)sprintf(text + at, "%c", (int)token) + 1;
	}
}

/* Appends the tokens of a name with its type. */
static size_t encode(const char *name, uint8_t *to)
{
	size_t n = 0;

	to[n++] = 'D';
	while (*name) {
		bool many = !strncmp(name, "task", 4);

		to[n++] = many ? TOKEN_INIT : (uint8_t)*name;
		name += many ? 4 : 1;
	}
	return n;
}

static void write_names(struct tiny_kernel *kernel, uint64_t names)
{
	uint8_t *at = tiny_at(kernel, names), tokens[256];

	for (size_t i = 0; i < kernel->n_symbols; i++) {
		size_t n = encode(kernel->symbols[i].name, tokens);

		*at++ = (uint8_t)(n < 0x80 ? n : (n & 0x7f) | 0x80);
		if (n >= 0x80)
			*at++ = (uint8_t)(n >> 7);
		memcpy(at, tokens, n);
		at += n;
	}
}

static void write_kallsyms(struct tiny_kernel *kernel)
{
	uint64_t number = add_variable(kernel, "kallsyms_num_syms", 8), base = 0, offsets;
	uint64_t names = add_variable(kernel, "kallsyms_names", 8192);

	write_tokens(kernel);
	offsets = add_variable(kernel, "kallsyms_offsets", TINY_SYMBOLS * 4);
	if (kernel->options.old_kallsyms)
		base = add_variable(kernel, "kallsyms_relative_base", 8);
	add_symbol(kernel, "_end", image_kva(kernel, HEAP));
	qsort(kernel->symbols, kernel->n_symbols, sizeof(kernel->symbols[0]), by_address);
	tiny_set(kernel, number, kernel->n_symbols, 4);
	write_names(kernel, names);
	if (base)
		tiny_set(kernel, base, tiny_symbol(kernel, "_text"), 8);
	for (size_t i = 0; i < kernel->n_symbols; i++) {
		uint64_t from = base ? tiny_symbol(kernel, "_text") : offsets + i * 4;

		tiny_set(kernel, offsets + i * 4, kernel->symbols[i].kva - from, 4);
	}
}

/* ---- VMCOREINFO ---- */

void tiny_kernel_finish_boot(struct tiny_kernel *kernel)
{
	static const char *const SYMBOLS[] = { "init_top_pgt",         "_stext",
					       "kallsyms_names",       "kallsyms_num_syms",
					       "kallsyms_token_table", "kallsyms_token_index",
					       "kallsyms_offsets",     "kallsyms_relative_base" };
	char *text = (char *)kernel->bytes + kernel->info;
	size_t n = (size_t)snprintf(text, PAGE,
				    "OSRELEASE=" TINY_RELEASE "\nBUILD-ID=" TINY_BUILD_ID
				    "\nPAGESIZE=4096\n");

	for (size_t i = 0; i < KT_ARRAY_LEN(SYMBOLS); i++) {
		uint64_t kva = tiny_symbol(kernel, SYMBOLS[i]);

		if (kva)
			n += (size_t)snprintf(text + n, PAGE - n, "SYMBOL(%s)=%" PRIx64 "\n",
					      SYMBOLS[i], kva);
	}
	(void)snprintf(text + n, PAGE - n,
		       "NUMBER(phys_base)=%" PRId64 "\nNUMBER(pgtable_l5_enabled)=%d\n"
		       "NUMBER(KERNEL_IMAGE_SIZE)=1073741824\nKERNELOFFSET=%" PRIx64 "\n",
		       (int64_t)phys_base(kernel), kernel->options.five_levels,
		       kernel->options.kaslr);
}

static void write_image(struct tiny_kernel *kernel)
{
	char long_name[180];

	add_symbol(kernel, "_text", image_kva(kernel, TINY_IMAGE));
	add_symbol(kernel, "_stext", image_kva(kernel, TINY_IMAGE));
	add_symbol(kernel, "init_top_pgt", image_alloc(kernel, PAGE, PAGE));
	kernel->root = TINY_IMAGE;
	tiny_set(kernel, add_variable(kernel, "page_offset_base", 8), kernel->page_offset, 8);
	tiny_set(kernel, add_variable(kernel, "jiffies_64", 8), 4294937296, 8);
	(void)add_variable(kernel, "tiny_scratch", 64);
	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = 0;
	(void)add_variable(kernel, long_name, 8);
	write_cpus(kernel);
	write_tasks(kernel);
	write_sched(kernel);
	for (const char *const *name = kernel->options.variables; name && *name; name++)
		(void)add_variable(kernel, *name, 64);
	if (!kernel->options.no_btf)
		write_btf(kernel);
	write_kallsyms(kernel);
}

void tiny_kernel_init(struct tiny_kernel *kernel, const struct tiny_options *options)
{
	struct kt_err err = KT_ERR_NULL;

	*kernel = (struct tiny_kernel){ .image_end = TINY_IMAGE, .heap_end = HEAP, .info = 0x8000 };
	if (options)
		kernel->options = *options;
	kernel->page_offset = kernel->options.five_levels ? UINT64_C(0xff11000000000000)
							  : UINT64_C(0xffff888000000000);
	kernel->bytes = calloc(1, TINY_RAM_LEN);
	must(kernel->bytes != NULL, "out of memory");
	kernel->mem = (struct kt_mem){ .n_regions = 1, .ram_fd = -1 };
	kernel->mem.regions[0] =
		(struct kt_mem_region){ .len = TINY_RAM_LEN, .host = (uintptr_t)kernel->bytes };
	must(kt_ram_open_mem(&kernel->mem, &kernel->ram, &err) == 0, err.text);
	write_image(kernel);
	if (!kernel->options.booting)
		tiny_kernel_finish_boot(kernel);
}

void tiny_kernel_deinit(struct tiny_kernel *kernel)
{
	kernel->ram = kt_ram_close(kernel->ram);
	free(kernel->bytes);
	kernel->bytes = NULL;
}
