/* SPDX-License-Identifier: MIT */
#include "vmm/kernel_access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/render.h"

/*
 * An access has a target and a value. The target becomes a place: an address, and a type where
 * there is one. The value decides how many bytes are touched; where the place has a type, both must
 * agree. A batch passes twice over its items: resolve() looks at all of them without a side effect,
 * then make() touches memory. So a mistake in the last item leaves the guest as it was.
 *
 * The request comes from the guest. Its texts and counts are bounded by the decoder; addresses are
 * checked by vmm/inspect/.
 */

#define TASK_STEPS_LEN (KT_KOP_NAME_MAX + 2)
#define PF_EXITING     0x4u /* Linux: include/linux/sched.h */
#define NAME_LEN       64u

/* Where an access goes. */
struct access {
	struct kt_place place; /* without a type, only the address is set */
	bool typed;
	size_t len; /* bytes that are read or written; 0: as the type says */
};

/* ---- Tasks ---- */

/* A task_struct whose field is asked for. */
struct task {
	struct kt_inspect *inspect;
	const struct kt_kop_item *item;
	struct kt_place place;
	char name[NAME_LEN]; /* "task 123 (comm)" */
};

static int load(const struct task *task, const char *steps, uint64_t *ret_value,
		struct kt_err *reterr)
{
	struct kt_place place;

	return kt_inspect_follow(task->inspect, &task->place, steps, &place, reterr)
		       ?: kt_inspect_load(task->inspect, &place, ret_value, reterr);
}

/* The value of a member that not every kernel has; @fallback without it. */
static int load_if_any(const struct task *task, const char *steps, uint64_t fallback,
		       uint64_t *ret_value, struct kt_err *reterr)
{
	int r = load(task, steps, ret_value, reterr);

	if (r != -ENOENT)
		return r;
	*ret_value = fallback;
	return 0;
}

static int find_task(struct task *task, struct kt_err *reterr)
{
	struct kt_place comm;
	char text[17] = "?";
	uint64_t kva;
	int r = kt_inspect_task(task->inspect, task->item->pid, &kva, reterr)
			?: kt_inspect_place(task->inspect, kva, "struct task_struct", &task->place,
					    reterr);

	if (r < 0)
		return r;
	if (kt_inspect_follow(task->inspect, &task->place, "comm", &comm, NULL) == 0)
		(void)kt_inspect_read_text(task->inspect, comm.kva, text, sizeof(text), NULL);
	(void)snprintf(task->name, sizeof(task->name), "task %" PRIu32 " (%s)", task->item->pid,
		       text);
	return 0;
}

static int check_identity(const struct task *task, struct kt_err *reterr)
{
	uint64_t start_ns;
	int r = load(task, "start_time", &start_ns, reterr);

	if (r < 0 || start_ns == task->item->start_ns)
		return r;
	return kt_err_set(reterr, -ESTALE,
			  "%s is not the task that is meant: it began at %" PRIu64
			  " ns, not at %" PRIu64 " ns",
			  task->name, start_ns, task->item->start_ns);
}

static int check_alive(const struct task *task, struct kt_err *reterr)
{
	uint64_t exit_state, flags;
	int r = load(task, "exit_state", &exit_state, reterr)
			?: load(task, "flags", &flags, reterr);

	if (r < 0 || (!exit_state && !(flags & PF_EXITING)))
		return r;
	return kt_err_set(reterr, -EOWNERDEAD, "%s is %s", task->name,
			  exit_state ? "dead" : "about to be dead");
}

/* The kernel keeps queues sorted by what a queued task has in its fields. */
static int check_asleep(const struct task *task, struct kt_err *reterr)
{
	uint64_t on_rq, on_cpu;
	int r = load(task, "on_rq", &on_rq, reterr)
			?: load_if_any(task, "on_cpu", 0, &on_cpu, reterr);

	if (r < 0 || (!on_rq && !on_cpu))
		return r;
	return kt_err_set(reterr, -EBUSY,
			  "%s %s: the fields of a task can be changed only while it sleeps",
			  task->name, on_cpu ? "runs" : "is on a runqueue");
}

static int check_not_dispatched(const struct task *task, struct kt_err *reterr)
{
	struct kt_place node;
	uint64_t dsq, next;
	int r = load_if_any(task, "scx.dsq", 0, &dsq, reterr);

	if (r == 0 && dsq)
		return kt_err_set(reterr, -EBUSY, "%s is in a dispatch queue of sched_ext",
				  task->name);
	if (r == 0)
		r = kt_inspect_follow(task->inspect, &task->place, "scx.runnable_node", &node,
				      reterr);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = kt_inspect_read_uint(task->inspect, node.kva, 8, &next, reterr);
	/* A list head that was never used is zero. */
	if (r < 0 || !next || next == node.kva)
		return r;
	return kt_err_set(reterr, -EBUSY, "%s is in the list of runnable tasks of sched_ext",
			  task->name);
}

static int check_class(const struct task *task, struct kt_err *reterr)
{
	uint64_t class, ext, offset = 0;
	const char *name;
	int r = load(task, "sched_class", &class, reterr);

	if (r < 0 || task->item->any_class)
		return r;
	r = kt_inspect_symbol(task->inspect, "ext_sched_class", &ext, reterr);
	if (r < 0 || class == ext)
		return r;
	name = kt_inspect_symbol_at(task->inspect, class, &offset);
	return kt_err_set(reterr, -EPERM, "%s is not one of sched_ext: its class is %s", task->name,
			  name && !offset ? name : "unknown");
}

/* Reading disturbs nothing, so it asks for the identity of the task only. */
static int resolve_task(struct kt_inspect *inspect, bool is_write, const struct kt_kop_item *item,
			struct kt_place *ret_place, struct kt_err *reterr)
{
	struct task task = { .inspect = inspect, .item = item };
	int r = find_task(&task, reterr) ?: check_identity(&task, reterr) ?:
		check_alive(&task, reterr);

	if (r == 0 && is_write)
		r = check_asleep(&task, reterr) ?: check_not_dispatched(&task, reterr) ?:
		    check_class(&task, reterr);
	return r ?: kt_inspect_follow(inspect, &task.place, item->field, ret_place, reterr);
}

/* ---- Targets ---- */

static bool is_typed(const struct kt_kop_item *item)
{
	return item->value == KT_KOP_TYPED || item->value == KT_KOP_TEXT;
}

/* A symbol is bytes at an address, unless a value needs its type: it is a path then. */
static int resolve_symbol(struct kt_inspect *inspect, const struct kt_kop_item *item,
			  struct access *access, struct kt_err *reterr)
{
	int r;

	if (is_typed(item)) {
		access->typed = true;
		return kt_inspect_resolve(inspect, item->name, &access->place, reterr);
	}
	r = kt_inspect_symbol(inspect, item->name, &access->place.kva, reterr);
	if (r < 0 || !kt_inspect_is_per_cpu(inspect, access->place.kva))
		return r;
	return kt_err_set(reterr, -EINVAL, "'%s' is a variable of each CPU: say which, and field",
			  item->name);
}

static int resolve_direct(struct kt_inspect *inspect, uint64_t kva, struct kt_err *reterr)
{
	uint64_t offset = kva - kt_inspect_facts(inspect)->page_offset, back;

	if (kva >= kt_inspect_facts(inspect)->page_offset &&
	    kt_inspect_direct(inspect, offset, &back, NULL) == 0)
		return 0;
	return kt_err_set(reterr, -EFAULT,
			  "0x%" PRIx64 " is not an address of the direct map, which "
			  "begins at 0x%" PRIx64,
			  kva, kt_inspect_facts(inspect)->page_offset);
}

static int resolve_per_cpu(struct kt_inspect *inspect, const struct kt_kop_item *item,
			   struct kt_place *ret_place, struct kt_err *reterr)
{
	char path[KT_PATH_MAX];
	bool has_dot = item->field[0] == '.' || item->field[0] == '[';
	int len = snprintf(path, sizeof(path), "%s[cpu %" PRIu32 "]%s%s", item->name, item->cpu,
			   has_dot ? "" : ".", item->field);

	if (len < 0 || (size_t)len >= sizeof(path))
		return kt_err_set(reterr, -EINVAL, "the field '%.40s...' is too long", item->field);
	return kt_inspect_resolve(inspect, path, ret_place, reterr);
}

static int resolve_target(struct kt_inspect *inspect, bool is_write, const struct kt_kop_item *item,
			  struct access *access, struct kt_err *reterr)
{
	access->place = (struct kt_place){ .kva = item->address };
	access->typed = true;
	switch (item->target) {
	case KT_KOP_PATH:
		return kt_inspect_resolve(inspect, item->name, &access->place, reterr);
	case KT_KOP_PER_CPU_FIELD:
		return resolve_per_cpu(inspect, item, &access->place, reterr);
	case KT_KOP_TASK_FIELD:
		return resolve_task(inspect, is_write, item, &access->place, reterr);
	case KT_KOP_SYMBOL:
		access->typed = false;
		return resolve_symbol(inspect, item, access, reterr);
	case KT_KOP_DIRECT:
		access->typed = false;
		return resolve_direct(inspect, item->address, reterr);
	case KT_KOP_KVA:
	case KT_KOP_TARGETS_END:
		break;
	}
	access->typed = false;
	return 0;
}

/* ---- Values ---- */

/* The width that a value has by itself; 0: it has that of its type. */
static size_t width_of(const struct kt_kop_item *item)
{
	switch (item->value) {
	case KT_KOP_U32:
	case KT_KOP_OR_U32:
		return 4;
	case KT_KOP_U64:
	case KT_KOP_OR_U64:
		return 8;
	case KT_KOP_BYTES:
		return item->len;
	default:
		return 0;
	}
}

static bool is_or(const struct kt_kop_item *item)
{
	return item->value == KT_KOP_OR_U32 || item->value == KT_KOP_OR_U64;
}

/* A number is as wide as its place, bytes are within it. */
static int check_width(const struct kt_kop_item *item, const struct access *access,
		       struct kt_err *reterr)
{
	const struct kt_place *place = &access->place;
	char type[128];

	(void)kt_btf_describe(place->btf, place->type, type, sizeof(type));
	if (item->value == KT_KOP_BYTES)
		return access->len <= place->size
			       ? 0
			       : kt_err_set(reterr, -ERANGE,
					    "%zu bytes, but %s has %" PRIu64 " bytes", access->len,
					    type, place->size);
	if (place->bit_size)
		return kt_err_set(reterr, -ERANGE,
				  "this is a bit-field of %u bits: access it as a typed value",
				  place->bit_size);
	return access->len == place->size
		       ? 0
		       : kt_err_set(reterr, -ERANGE,
				    "a number of %zu bytes, but %s has %" PRIu64 " bytes",
				    access->len, type, place->size);
}

static int check_value(const struct kt_kop_item *item, struct access *access, struct kt_err *reterr)
{
	char type[128];

	access->len = width_of(item);
	if (!access->typed)
		return access->len ? 0
				   : kt_err_set(reterr, -EINVAL,
						"an address has no type: say how wide it is");
	if (access->len && access->place.computed)
		return kt_err_set(reterr, -EINVAL, "this has no address");
	if (access->len)
		return check_width(item, access, reterr);
	if (item->value == KT_KOP_TEXT || kt_place_is_scalar(&access->place))
		return 0;
	return kt_err_set(
		reterr, -EINVAL, "%s is not a number",
		kt_btf_describe(access->place.btf, access->place.type, type, sizeof(type)));
}

/* While vCPUs run, a change of some bits must be one step. */
static int check_hot(struct kt_inspect *inspect, const struct kt_kop_item *item,
		     const struct access *access, struct kt_err *reterr)
{
	if (access->typed && !access->len && access->place.bit_size)
		return kt_err_set(reterr, -EOPNOTSUPP,
				  "a bit-field cannot be written while vCPUs run: write it cold");
	if (!is_or(item))
		return 0;
	if (access->place.kva % access->len)
		return kt_err_set(reterr, -EINVAL,
				  "0x%" PRIx64 " is not aligned: bits of it cannot be set in one "
				  "step while vCPUs run",
				  access->place.kva);
	if (!kt_inspect_pointer(inspect, access->place.kva, access->len))
		return kt_err_set(reterr, -EOPNOTSUPP,
				  "the guest's RAM is private to its machine: bits of it cannot be "
				  "set in one step while vCPUs run; write it cold");
	return 0;
}

/* A write to what is not there must be known before another one is made. */
static int check_mapped(struct kt_inspect *inspect, const struct access *access,
			struct kt_err *reterr)
{
	uint8_t bytes[KT_KOP_WRITE_MAX];
	size_t len = access->len ?: (size_t)access->place.size;

	if (access->place.computed)
		return kt_err_set(reterr, -EINVAL, "this has no address, and cannot be written");
	return kt_inspect_read(inspect, access->place.kva, bytes, KT_MIN(len, sizeof(bytes)),
			       reterr);
}

static int resolve(struct kt_inspect *inspect, bool stands, const struct kt_kop_request *request,
		   const struct kt_kop_item *item, struct access *access, struct kt_err *reterr)
{
	int r = resolve_target(inspect, request->write, item, access, reterr)
			?: check_value(item, access, reterr);

	if (r < 0 || !request->write)
		return r;
	r = check_mapped(inspect, access, reterr);
	return r || stands ? r : check_hot(inspect, item, access, reterr);
}

/* ---- Accesses ---- */

static void answer_text(struct kt_inspect *inspect, const struct access *access,
			struct kt_kop_answer *answer)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;
	int r;

	limits.bytes = KT_KOP_TEXT_MAX;
	r = kt_render_text(inspect, &access->place, &limits, &text, &err);
	if (r < 0)
		(void)kt_kop_answer_fail(answer, r, err.text);
	else
		kt_kop_answer_set(answer, text, strnlen(text, KT_KOP_TEXT_MAX));
}

static int read_typed(struct kt_inspect *inspect, const struct kt_kop_item *item,
		      const struct access *access, struct kt_kop_answer *answer,
		      struct kt_err *reterr)
{
	int r = 0;

	if (kt_place_is_scalar(&access->place)) {
		answer->is_signed = kt_place_is_signed(&access->place);
		r = kt_inspect_load(inspect, &access->place, &answer->number, reterr);
	}
	if (r == 0 && is_typed(item))
		answer_text(inspect, access, answer);
	return r;
}

static int read_item(struct kt_inspect *inspect, const struct kt_kop_item *item,
		     const struct access *access, struct kt_kop_answer *answer,
		     struct kt_err *reterr)
{
	uint8_t bytes[KT_KOP_READ_MAX];
	int r;

	if (is_typed(item))
		return read_typed(inspect, item, access, answer, reterr);
	if (item->value != KT_KOP_BYTES)
		return kt_inspect_read_uint(inspect, access->place.kva, access->len,
					    &answer->number, reterr);
	r = kt_inspect_read(inspect, access->place.kva, bytes, access->len, reterr);
	if (r == 0)
		kt_kop_answer_set(answer, bytes, access->len);
	return r;
}

/* The guest's RAM is shared, or nobody runs. */
static int set_bits(struct kt_inspect *inspect, bool stands, const struct access *access,
		    uint64_t bits, struct kt_err *reterr)
{
	void *at = stands ? NULL : kt_inspect_pointer(inspect, access->place.kva, access->len);
	uint64_t value;
	int r;

	if (at && access->len == 4) {
		(void)__atomic_fetch_or((uint32_t *)at, (uint32_t)bits, __ATOMIC_SEQ_CST);
		return 0;
	}
	if (at) {
		(void)__atomic_fetch_or((uint64_t *)at, bits, __ATOMIC_SEQ_CST);
		return 0;
	}
	r = kt_inspect_read_uint(inspect, access->place.kva, access->len, &value, reterr);
	if (r < 0)
		return r;
	value |= bits;
	return kt_inspect_write(inspect, access->place.kva, &value, access->len, reterr);
}

static int write_item(struct kt_inspect *inspect, bool stands, const struct kt_kop_item *item,
		      const struct access *access, struct kt_err *reterr)
{
	if (item->value == KT_KOP_TYPED)
		return kt_inspect_store(inspect, &access->place, item->number, reterr);
	if (is_or(item))
		return set_bits(inspect, stands, access, item->number, reterr);
	return kt_inspect_write(inspect, access->place.kva,
				item->value == KT_KOP_BYTES ? item->bytes
							    : (const void *)&item->number,
				access->len, reterr);
}

/* The answers from @first on, of a batch of which some access cannot be made. */
static void cancel(struct kt_kop_reply *reply, uint32_t first)
{
	for (uint32_t i = first; i < reply->n; i++) {
		if (reply->answers[i].result == 0)
			(void)kt_kop_answer_fail(&reply->answers[i], -ECANCELED,
						 "not made, as another access of the batch fails");
	}
}

static bool resolve_all(struct kt_inspect *inspect, bool stands,
			const struct kt_kop_request *request, struct access *accesses,
			struct kt_kop_reply *reply)
{
	bool failed = false;

	for (uint32_t i = 0; i < request->n; i++) {
		struct kt_err err = KT_ERR_NULL;
		int r = resolve(inspect, stands, request, &request->items[i], &accesses[i], &err);

		if (r < 0)
			(void)kt_kop_answer_fail(&reply->answers[i], r, err.text);
		failed |= r < 0;
	}
	return !failed;
}

static void make_all(struct kt_inspect *inspect, bool stands, const struct kt_kop_request *request,
		     const struct access *accesses, struct kt_kop_reply *reply)
{
	for (uint32_t i = 0; i < request->n; i++) {
		struct kt_err err = KT_ERR_NULL;
		struct kt_kop_answer *answer = &reply->answers[i];
		int r = request->write ? write_item(inspect, stands, &request->items[i],
						    &accesses[i], &err)
				       : read_item(inspect, &request->items[i], &accesses[i],
						   answer, &err);
		if (r < 0)
			(void)kt_kop_answer_fail(answer, r, err.text);
		/* The writes before have been made. */
		if (r < 0 && request->write)
			return cancel(reply, i + 1);
	}
}

void kt_kernel_access_serve(struct kt_inspect *inspect, bool stands,
			    const struct kt_kop_request *request, struct kt_kop_reply *reply)
{
	KT_FREE struct access *accesses = calloc(request->n ?: 1, sizeof(*accesses));

	kt_inspect_refresh(inspect);
	if (!accesses) {
		for (uint32_t i = 0; i < reply->n; i++)
			reply->answers[i].result = -ENOMEM;
		return;
	}
	if (resolve_all(inspect, stands, request, accesses, reply))
		make_all(inspect, stands, request, accesses, reply);
	else
		cancel(reply, 0);
}
