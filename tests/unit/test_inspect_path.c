/* SPDX-License-Identifier: MIT */
/* Values of a guest's kernel: found by their paths, written, and shown. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "tests/unit/view.h"
#include "util/cleanup.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/render.h"
#include "vmm/inspect/trim.h"
#include "vmm/inspect/types.h"

UNIT_SUITE(inspect_path);
UNIT_SUITE(inspect_scalar);
UNIT_SUITE(inspect_render);

static const struct tiny_options KERNELS[] = {
	{ .five_levels = false },
	{ .five_levels = true, .kaslr = 0x2da00000 },
	{ .old_kallsyms = true },
	{ .old_kallsyms = true, .five_levels = true, .kaslr = 0x1200000 },
};

/* ---- Paths ---- */

Test(inspect_path, values_are_found_by_their_paths)
{
	static const struct {
		const char *path;
		uint64_t value;
	} PATHS[] = {
		{ "jiffies_64", 4294937296 },
		{ "scx_root->exit_kind.counter", 1024 },
		{ "((struct scx_sched *)scx_root)->exit_kind.counter", 1024 },
		{ "(*scx_root).kind", 1024 },
		{ "scx_root[0].kind", 1024 },
		{ "runqueues[cpu 0].nr_running", 3 },
		{ "runqueues[cpu 1].scx.nr_running", 11 },
		{ " runqueues [cpu 1] . scx . nr_running ", 11 },
		{ "scx_root->pcpu[cpu 1].events", 101 },
		{ "task(1).pid", 1 },
		{ "task(0).pid", 0 },
		{ "task(1).scx.dsq_vtime", 0x1122334455667788 },
		{ "task(1).scx.sticky_cpu", UINT64_MAX },
		{ "task(1).scx.word", UINT32_MAX },
		{ "task(1).sched_flag_a", 1 },
		{ "task(1).sched_level", (uint64_t)-3 },
		{ "task(1).sched_wide", 0xabcde },
		{ "task(1).sched_span", 0x123456789abcdef },
		{ "(&task(1).table[0][0])[2]", 20 },
		{ "task(1).parent->parent->pid", 0 },
		{ "task(1).table[1][2]", 50 },
		{ "init_task.comm[1]", 'w' },
		{ "container_of(init_task.tasks.next, struct task_struct, tasks).pid", 1 },
		{ "container_of(&task(1).scx, struct task_struct, scx).pid", 1 },
		{ "container_of(task(1).scx, struct task_struct, scx).pid", 1 },
		{ "(int)tiny_scratch", 0 },
		{ "(unsigned char)jiffies_64", 4294937296 & 255 },
		{ "SCX_EXIT_ERROR", 1024 },
		{ "(&runqueues)[cpu 1].nr_running", 4 },
		{ "0x10", 16 },
		{ "task(1).table[TINY_IDLE][1]", 10 },
	};

	for (size_t k = 0; k < KT_ARRAY_LEN(KERNELS); k++) {
		struct view view;

		open_view(&view, &KERNELS[k]);
		tiny_set(&view.kernel, tiny_symbol(&view.kernel, "init_task") + TINY_TASK_PARENT,
			 tiny_symbol(&view.kernel, "init_task"), 8);
		for (size_t i = 0; i < KT_ARRAY_LEN(PATHS); i++)
			cr_assert(eq(u64, value_of(&view, PATHS[i].path), PATHS[i].value), "%s",
				  PATHS[i].path);
		close_view(&view);
	}
}

Test(inspect_path, errors_say_what_is_missing_and_what_there_is)
{
	static const struct {
		const char *path;
		int code;
		const char *text;
	} PATHS[] = {
		{ "scx_rot", -ENOENT, "has no symbol 'scx_rot' (near: scx_root)" },
		{ "scx_root->exit_knd", -ENOENT,
		  "'scx_root->exit_knd': struct scx_sched has no member 'exit_knd' (near: "
		  "exit_kind" },
		{ "scx_root->zz.x", -ENOENT, "; it has exit_kind, ops, pcpu, kind" },
		{ "runqueues.nr_running", -EINVAL, "say which by '[cpu 0]'" },
		{ "runqueues[cpu 2].nr_running", -ENOENT, "no CPU 2: the CPUs are 0 to 1" },
		{ "task(77).pid", -ESRCH, "no task has the pid 77" },
		{ "task(1)->pid", -EINVAL, "use '.pid'" },
		{ "scx_root.kind", -EINVAL, "use '->kind'" },
		{ "init_task.parent->pid", -ENODATA, "null pointer" },
		{ "task(1).table[2]", -ENOENT, "int[2][3] has no element 2" },
		{ "task(1).pid.x", -EINVAL, "pid_t is not a struct" },
		{ "task(1).pid[0]", -EINVAL, "pid_t is not an array" },
		{ "*task(1).pid", -EINVAL, "pid_t is not a pointer" },
		{ "tiny_scratch", -EINVAL, "say what it is by a cast" },
		{ "(struct rqs *)scx_root", -ENOENT, "has no type 'struct rqs' (near: rq)" },
		{ "(struct u64)scx_root", -ENOENT, "has no type 'struct u64'" },
		{ "(union rq *)scx_root", -ENOENT, "but 'struct rq'" },
		{ "task(1).table[TINY_IDEL]", -ENOENT, "(near: TINY_IDLE" },
		{ "task(1", -EINVAL, "expected ')' instead of 'the end'" },
		{ "", -EINVAL, "the path is empty" },
		{ "jiffies_64 + 1", -EINVAL, "'+ 1' does not belong there" },
		{ "&SCX_EXIT_ERROR", -EINVAL, "no address" },
		{ "&task(1).sched_level", -EINVAL, "no address" },
		{ "(struct rq)jiffies_64", -EINVAL, "cannot be cast" },
		{ "task(1).comm[cpu 0]", -EINVAL, "neither a per-CPU variable" },
		{ "container_of(task(1).comm, struct task_struct, nope)", -ENOENT, "'nope'" },
		{ "((struct rq *)0x1234)->curr", -EFAULT,
		  "0x1234, which is not an address of the kernel" },
		{ "99999999999999999999", -EINVAL, "expected a number" },
	};
	struct view view;

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(PATHS); i++)
		expect_error(&view, PATHS[i].path, PATHS[i].code, PATHS[i].text);
	close_view(&view);
}

Test(inspect_path, every_symbol_has_an_address)
{
	struct view view;

	open_view(&view, &KERNELS[3]);
	cr_assert(eq(u64, value_of(&view, "&tiny_scratch"),
		     tiny_symbol(&view.kernel, "tiny_scratch")));
	cr_assert(eq(u64, value_of(&view, "&runqueues"), tiny_symbol(&view.kernel, "runqueues")));
	cr_assert(eq(u64, value_of(&view, "&task(1).scx"), view.kernel.task + TINY_TASK_SCX));
	close_view(&view);
}

Test(inspect_path, nesting_has_a_bound)
{
	char path[KT_PATH_MAX + 8];
	struct view view;

	open_view(&view, NULL);
	memset(path, '(', 20);
	(void)snprintf(path + 20, sizeof(path) - 20, "jiffies_64))))))))))))))))))))");
	expect_error(&view, path, -EINVAL, "too much is nested");
	memset(path, '*', sizeof(path));
	path[sizeof(path) - 1] = 0;
	expect_error(&view, path, -EINVAL, "longer than");
	close_view(&view);
}

Test(inspect_path, a_path_goes_on_from_a_place)
{
	struct kt_place task, place, wrong;
	struct kt_err err = KT_ERR_NULL;
	struct view view;
	uint64_t value = 0;

	open_view(&view, NULL);
	cr_assert(zero(int, kt_inspect_place(view.inspect, view.kernel.task, "struct task_struct",
					     &task, &err)));
	cr_assert(zero(int, kt_inspect_follow(view.inspect, &task, "scx.dsq_vtime", &place, &err)));
	cr_assert(eq(u64, place.kva, view.kernel.task + TINY_TASK_SCX));
	cr_assert(zero(int, kt_inspect_follow(view.inspect, &task, ".parent->pid", &place, &err)));
	cr_assert(zero(int, kt_inspect_load(view.inspect, &place, &value, &err)));
	cr_assert(eq(u64, value, 0));
	cr_assert(
		eq(int, kt_inspect_follow(view.inspect, &task, "scx.nope", &wrong, &err), -ENOENT));
	cr_assert(strstr(err.text, "'scx.nope'") != NULL, "%s", err.text);
	close_view(&view);
}

Test(inspect_path, types_are_found_as_c_writes_them)
{
	static const char *const TYPES[][2] = {
		{ "struct rq", "struct rq" },
		{ "unsigned long", "long unsigned int" },
		{ "unsigned", "unsigned int" },
		{ "const struct rq *", "struct rq *" },
		{ "struct rq **", "struct rq **" },
		{ "int[2][3]", "int[2][3]" },
		{ "char *", "char *" },
		{ "void *", "void *" },
		{ "u64", "u64" },
		{ "enum scx_exit_kind", "enum scx_exit_kind" },
		{ "bool", NULL },
		{ "struct rq * x", NULL },
		{ "rq", NULL },
		{ "int[", NULL },
		{ "int[-1]", NULL },
	};
	struct view view;
	uint32_t type;
	char text[64];

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(TYPES); i++) {
		int r = kt_inspect_type(view.inspect, TYPES[i][0], &type, NULL);

		cr_assert(eq(int, r == 0, TYPES[i][1] != NULL), "%s: %d", TYPES[i][0], r);
		if (r == 0)
			cr_assert(eq(str,
				     (char *)kt_btf_describe(kt_inspect_btf(view.inspect), type,
							     text, sizeof(text)),
				     (char *)TYPES[i][1]));
	}
	close_view(&view);
}

/* A struct with a pointer to a function, behind a function whose prototype nobody else needs. */
static struct btf *new_functions(void)
{
	struct btf *btf = btf__new_empty();
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED), proto, pointer;

	proto = btf__add_func_proto(btf, 0);
	(void)btf__add_func_param(btf, "a", number);
	(void)btf__add_func(btf, "alone", BTF_FUNC_STATIC, proto);
	(void)btf__add_decl_tag(btf, "tag", proto + 1, -1);
	proto = btf__add_func_proto(btf, number);
	(void)btf__add_func_param(btf, "b", number);
	pointer = btf__add_ptr(btf, proto);
	(void)btf__add_struct(btf, "ops", 16);
	(void)btf__add_field(btf, "call", pointer, 0, 0);
	(void)btf__add_field(btf, "n", number, 64, 0);
	return btf;
}

Test(inspect_path, functions_are_left_out_of_the_types)
{
	struct btf *whole = new_functions(), *btf = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_member member;
	void *data = NULL;
	char text[64];
	size_t len = 0;
	int ops;

	cr_assert(zero(int, kt_btf_trim(whole, &data, &len, &err)), "%s", err.text);
	cr_assert(zero(int, kt_btf_new(data, len, NULL, &btf, &err)), "%s", err.text);
	cr_assert(eq(u32, btf__type_cnt(whole), 8));
	cr_assert(eq(u32, btf__type_cnt(btf), 5));
	ops = btf__find_by_name_kind(btf, "ops", BTF_KIND_STRUCT);
	cr_assert(gt(int, ops, 0));
	cr_assert(zero(int, kt_btf_member(btf, (uint32_t)ops, "call", &member, &err)));
	cr_assert(eq(str, (char *)kt_btf_describe(btf, member.type, text, sizeof(text)),
		     "int (*)()"));
	cr_assert(zero(int, kt_btf_member(btf, (uint32_t)ops, "n", &member, &err)));
	cr_assert(eq(u32, member.offset, 8));
	btf__free(btf);
	btf__free(whole);
	free(data);
}

Test(inspect_path, members_are_found_by_name_and_not_by_place)
{
	struct kt_member member;
	struct view view;

	open_view(&view, NULL);
	cr_assert(zero(int, kt_inspect_member(view.inspect, "struct task_struct", "scx.word",
					      &member, NULL)));
	cr_assert(eq(u32, member.offset, TINY_TASK_SCX + 8));
	cr_assert(eq(u32, member.size, 4));
	cr_assert(zero(int, kt_inspect_member(view.inspect, "struct task_struct", "sched_wide",
					      &member, NULL)));
	cr_assert(eq(u32, member.offset, TINY_TASK_BITS));
	cr_assert(eq(u8, member.bit_shift, 6));
	cr_assert(eq(u8, member.bit_size, 20));
	cr_assert(eq(u32, member.size, 4));
	cr_assert(zero(int, kt_inspect_member(view.inspect, "struct task_struct", "table[1][1]",
					      &member, NULL)));
	cr_assert(eq(u32, member.offset, TINY_TASK_TABLE + 16));
	cr_assert(not(kt_inspect_has_member(view.inspect, "struct task_struct", "scx.gone", NULL)));
	cr_assert(not(kt_inspect_has_member(view.inspect, "struct gone", "x", NULL)));
	close_view(&view);
}

Test(inspect_path, the_ids_of_an_idr_are_walked_in_order)
{
	uint64_t ns, node, entry, index = 0;
	struct view view;

	open_view(&view, NULL);
	ns = tiny_symbol(&view.kernel, "init_pid_ns") + 8;
	memcpy(&node, tiny_at(&view.kernel, ns + 8), 8);
	tiny_set(&view.kernel, node - 2 + 8 + 7 * 8, view.kernel.task, 8);
	tiny_set(&view.kernel, node - 2 + 8 + 5 * 8, 0x402, 8); /* a retry entry */
	tiny_set(&view.kernel, node - 2 + 8 + 6 * 8, 0x33, 8);  /* a number */
	cr_assert(zero(int, kt_inspect_xa_next(view.inspect, ns, &index, &entry, NULL)));
	cr_assert(eq(u64, index, 1));
	index++;
	cr_assert(zero(int, kt_inspect_xa_next(view.inspect, ns, &index, &entry, NULL)));
	cr_assert(eq(u64, index, 7));
	cr_assert(eq(u64, entry, view.kernel.task));
	index++;
	cr_assert(eq(int, kt_inspect_xa_next(view.inspect, ns, &index, &entry, NULL), -ENXIO));
	cr_assert(zero(int, kt_inspect_xa_load(view.inspect, ns, 64, &entry, NULL)));
	cr_assert(eq(u64, entry, 0));
	close_view(&view);
}

/* ---- Writing ---- */

static int store(struct view *view, const char *path, uint64_t value, struct kt_err *err)
{
	struct kt_place place;

	cr_assert(zero(int, kt_inspect_resolve(view->inspect, path, &place, err)), "%s", err->text);
	return kt_inspect_store(view->inspect, &place, value, err);
}

Test(inspect_scalar, a_write_changes_its_place_and_nothing_else)
{
	static const struct {
		const char *path;
		uint64_t value;
	} WRITES[] = {
		{ "task(1).scx.dsq_vtime", 42 },
		{ "task(1).sched_flag_a", 0 },
		{ "task(1).sched_level", 15 },
		{ "task(1).sched_level", (uint64_t)-16 },
		{ "task(1).sched_wide", 0xfffff },
		{ "task(1).sched_span", 0xfedcba987654321 },
		{ "task(1).scx.sticky_cpu", (uint64_t)-2 },
		{ "runqueues[cpu 1].scx.nr_running", 0 },
		{ "scx_root->kind", 0 },
	};
	struct kt_err err = KT_ERR_NULL;
	KT_FREE uint8_t *before = malloc(TINY_RAM_LEN);
	struct view view;

	open_view(&view, NULL);
	for (size_t i = 0; i < KT_ARRAY_LEN(WRITES); i++) {
		uint64_t old = value_of(&view, WRITES[i].path);

		memcpy(before, view.kernel.bytes, TINY_RAM_LEN);
		cr_assert(zero(int, store(&view, WRITES[i].path, WRITES[i].value, &err)), "%s: %s",
			  WRITES[i].path, err.text);
		cr_assert(eq(u64, value_of(&view, WRITES[i].path), WRITES[i].value), "%s",
			  WRITES[i].path);
		cr_assert(zero(int, store(&view, WRITES[i].path, old, &err)));
		cr_assert(zero(int, memcmp(before, view.kernel.bytes, TINY_RAM_LEN)), "%s",
			  WRITES[i].path);
	}
	close_view(&view);
}

Test(inspect_scalar, a_value_that_does_not_fit_is_refused)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	struct view view;
	char path[64];

	open_view(&view, NULL);
	cr_assert(eq(int, store(&view, "task(1).sched_flag_a", 2, &err), -ERANGE));
	cr_assert(eq(int, store(&view, "task(1).sched_level", (uint64_t)-17, &err), -ERANGE));
	(void)snprintf(path, sizeof(path), "*(_Bool *)0x%" PRIx64,
		       tiny_symbol(&view.kernel, "jiffies_64"));
	cr_assert(eq(int, store(&view, path, 2, &err), -ERANGE));
	cr_assert(zero(int, store(&view, path, 1, &err)), "%s", err.text);
	cr_assert(eq(int, store(&view, "task(1).pid", UINT64_C(1) << 32, &err), -ERANGE));
	cr_assert(strstr(err.text, "32 bits of pid_t") != NULL, "%s", err.text);
	cr_assert(
		eq(int, store(&view, "runqueues[cpu 0].nr_running", (uint64_t)-1, &err), -ERANGE));
	cr_assert(eq(int, store(&view, "task(1).comm", 1, &err), -EINVAL));
	cr_assert(zero(int, kt_inspect_resolve(view.inspect, "SCX_EXIT_ERROR", &place, &err)));
	cr_assert(eq(int, kt_inspect_store(view.inspect, &place, 1, &err), -EINVAL));
	close_view(&view);
}

/* ---- Rendering ---- */

static char *render(struct view *view, const char *path, const struct kt_render_limits *limits)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	char *text;

	cr_assert(zero(int, kt_inspect_resolve(view->inspect, path, &place, &err)), "%s", err.text);
	cr_assert(zero(int, kt_render_text(view->inspect, &place, limits, &text, &err)), "%s",
		  err.text);
	return text;
}

static char *render_json(struct view *view, const char *path, const struct kt_render_limits *limits)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	json_t *json;
	char *text;

	cr_assert(zero(int, kt_inspect_resolve(view->inspect, path, &place, &err)), "%s", err.text);
	cr_assert(zero(int, kt_render_json(view->inspect, &place, limits, &json, &err)), "%s",
		  err.text);
	text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(json);
	return text;
}

/* A path, and how its value is shown. */
struct shown {
	const char *path;
	const char *text;
};

static void expect_shown(struct view *view, const struct shown *values, size_t n,
			 char *(*show)(struct view *view, const char *path,
				       const struct kt_render_limits *limits))
{
	for (size_t i = 0; i < n; i++) {
		KT_FREE char *text = show(view, values[i].path, NULL);

		cr_assert(eq(str, text, (char *)values[i].text), "%s", values[i].path);
	}
}

Test(inspect_render, values_become_text_for_people)
{
	static const struct shown VALUES[] = {
		{ "jiffies_64", "4294937296" },
		{ "task(1).comm", "\"init\"" },
		{ "task(1).name", "\"a name\"" },
		{ "task(1).state", "TINY_BUSY (7)" },
		{ "task(1).usage", "2" },
		{ "task(1).mask", "CPUs 0-1" },
		{ "task(1).table", "[[0, 10, 20], [30, 40, 50]]" },
		{ "task(1).scx", "{\n"
				 "\tdsq_vtime = 1234605616436508552\n"
				 "\tsticky_cpu = -1\n"
				 "\tword = 4294967295\n"
				 "\tdsq = NULL\n"
				 "\trunnable_node = { next = NULL, prev = NULL }\n"
				 "}" },
		{ "init_task.parent", "NULL" },
		{ "task(1).sched_level", "-3" },
		{ "scx_root->ops", "{ name = \"simple\" }" },
		{ "scx_root->kind", "SCX_EXIT_ERROR (1024)" },
	};
	struct view view;

	open_view(&view, NULL);
	expect_shown(&view, VALUES, KT_ARRAY_LEN(VALUES), render);
	close_view(&view);
}

Test(inspect_render, values_become_json)
{
	static const struct shown VALUES[] = {
		{ "jiffies_64", "4294937296" },
		{ "task(1).comm", "\"init\"" },
		{ "task(1).name", "\"a name\"" },
		{ "task(1).state", "\"TINY_BUSY\"" },
		{ "task(1).usage", "2" },
		{ "task(1).mask", "\"0-1\"" },
		{ "init_task.parent", "null" },
		{ "task(1).sched_level", "-3" },
		{ "task(1).table", "[[0,10,20],[30,40,50]]" },
		{ "scx_root->kind", "\"SCX_EXIT_ERROR\"" },
	};
	struct view view;

	open_view(&view, NULL);
	expect_shown(&view, VALUES, KT_ARRAY_LEN(VALUES), render_json);
	tiny_set(&view.kernel, tiny_symbol(&view.kernel, "jiffies_64"), UINT64_MAX, 8);
	{
		KT_FREE char *text = render_json(&view, "jiffies_64", NULL);

		cr_assert(eq(str, text, (char *)"\"0xffffffffffffffff\""));
	}
	close_view(&view);
}

Test(inspect_render, pointers_show_symbols_and_are_followed_on_request)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	struct view view;
	KT_FREE char *plain = NULL, *followed = NULL;

	open_view(&view, NULL);
	plain = render(&view, "task(1).parent", NULL);
	cr_assert(strstr(plain, "<init_task>") != NULL, "%s", plain);
	limits.pointers = 1;
	limits.depth = 9;
	followed = render_json(&view, "runqueues[cpu 0]", &limits);
	cr_assert(strstr(followed, "\"curr\":null") != NULL, "%s", followed);
	free(followed);
	tiny_set(&view.kernel, view.kernel.rqs[0] + TINY_RQ_CURR, view.kernel.task, 8);
	followed = render_json(&view, "runqueues[cpu 0]", &limits);
	cr_assert(strstr(followed, "\"comm\":\"init\"") != NULL, "%s", followed);
	cr_assert(strstr(followed, "\"@\":\"0xffff888") != NULL, "%s", followed);
	cr_assert(strstr(followed, "\"swapper/0\"") == NULL, "only one pointer: %s", followed);
	close_view(&view);
}

Test(inspect_render, a_pointer_that_leads_nowhere_is_shown_and_does_no_harm)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	KT_FREE char *text = NULL;
	struct view view;

	open_view(&view, NULL);
	limits.pointers = 3;
	tiny_set(&view.kernel, view.kernel.task + TINY_TASK_NAME, 0xffffc90000001000, 8);
	tiny_set(&view.kernel, view.kernel.task + TINY_TASK_PARENT, 0x4141414141414141, 8);
	text = render_json(&view, "task(1)", &limits);
	cr_assert(strstr(text, "\"name\":\"0xffffc90000001000\"") != NULL, "%s", text);
	cr_assert(strstr(text, "\"parent\":\"0x4141414141414141\"") != NULL, "%s", text);
	cr_assert(strstr(text, "\"comm\":\"init\"") != NULL, "%s", text);
	close_view(&view);
}

Test(inspect_render, what_a_limit_leaves_out_is_marked)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	KT_FREE char *depth = NULL, *elements = NULL, *bytes = NULL, *memory = NULL, *text = NULL;
	struct view view;

	open_view(&view, NULL);
	limits.depth = 1;
	depth = render_json(&view, "task(1)", &limits);
	cr_assert(strstr(depth, "\"scx\":{\"truncated\":true}") != NULL, "%s", depth);
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.elements = 2;
	elements = render_json(&view, "task(1).table[0]", &limits);
	cr_assert(eq(str, elements, (char *)"[0,10,{\"truncated\":1}]"));
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.bytes = 40;
	bytes = render_json(&view, "task(1)", &limits);
	cr_assert(lt(sz, strlen(bytes), 150), "%s", bytes);
	cr_assert(strstr(bytes, "\"truncated\":true") != NULL, "%s", bytes);
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.memory = 16;
	memory = render_json(&view, "task(1)", &limits);
	cr_assert(strstr(memory, "\"pid\":1") != NULL, "%s", memory);
	cr_assert(strstr(memory, "\"state\":{\"truncated\":true}") != NULL, "%s", memory);
	limits = KT_RENDER_LIMITS_DEFAULT;
	limits.text_len = 2;
	text = render(&view, "task(1).comm", &limits);
	cr_assert(eq(str, text, (char *)"\"in\"..."));
	close_view(&view);
}

Test(inspect_render, texts_of_the_guest_are_made_harmless)
{
	KT_FREE char *text = NULL, *json = NULL;
	struct view view;

	open_view(&view, NULL);
	memcpy(tiny_at(&view.kernel, view.kernel.task + TINY_TASK_COMM), "a\x1b\xff\n", 5);
	text = render(&view, "task(1).comm", NULL);
	cr_assert(eq(str, text, (char *)"\"a\\x1b\xef\xbf\xbd\\x0a\""));
	json = render_json(&view, "task(1).comm", NULL);
	cr_assert(eq(str, json, (char *)"\"a\\u001B\xef\xbf\xbd\\n\""));
	close_view(&view);
}

Test(inspect_render, large_values_take_several_lines)
{
	KT_FREE char *text = NULL;
	struct view view;

	open_view(&view, NULL);
	text = render(&view, "task(1)", NULL);
	cr_assert(strstr(text, "\n\tcomm = \"init\"\n") != NULL, "%s", text);
	cr_assert(strstr(text, "\n\ttable = [[0, 10, 20], [30, 40, 50]]\n") != NULL, "%s", text);
	close_view(&view);
}
