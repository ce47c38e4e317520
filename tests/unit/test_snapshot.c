/* SPDX-License-Identifier: MIT */
/*
 * Snapshots without a machine: names and messages, the file that holds them, views into a report,
 * series of values, and when periodic ones are due.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "framework/outcome/snapshots.h"
#include "guest/scenario/periodic.h"
#include "guest/test/plot.h"
#include "guest/test/series.h"
#include "tests/unit/leaks.h"
#include "tests/walk_kernel.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/snapshot/snapshot.h"
#include "vmm/snapshot/view.h"
#include "wire/json.h"

UNIT_SUITE(snapshot_report);
UNIT_SUITE(snapshot_wire);
UNIT_SUITE(snapshot_file);
UNIT_SUITE(snapshot_view);
UNIT_SUITE(snapshot_series);
UNIT_SUITE(snapshot_periodic);

static void expect_text(const char *text, const char *part)
{
	cr_assert(strstr(text, part) != NULL, "\"%s\" is not in \"%s\"", part, text);
}

/* ---- Reports ---- */

static struct walk_kernel kernel;

static void make_kernel(void)
{
	walk_kernel_init(&kernel);
}

static void free_kernel(void)
{
	walk_kernel_deinit(&kernel);
}

static json_t *take(const struct kt_registers *registers)
{
	const struct kt_snapshot_moment moment = {
		.name = "n",
		.reason = "request",
		.elapsed_ns = 5,
		.step = -1,
		.vcpu = -1,
		.registers = registers,
		.n_registers = registers ? 1 : 0,
		.no_registers = "nobody tells",
	};
	json_t *json = NULL;

	cr_assert(zero(int, kt_snapshot_take(kernel.inspect, &moment, &json, NULL)));
	return json;
}

static const char *error_in(const json_t *json)
{
	return json_string_value(json_object_get(json, "error"));
}

static bool is_a(const json_t *json, const char *name, json_type type)
{
	const json_t *member = json_object_get(json, name);

	return member && json_typeof(member) == type;
}

/* This kernel has no stacks, no times and no nodes; the rest is there all the same. */
Test(snapshot_report, each_part_stands_for_itself, .init = make_kernel, .fini = free_kernel)
{
	const struct kt_registers registers = { .cr0 = KT_CR0_PE, .cs = 0x33, .rip = 0x401000 };
	KT_JSON json_t *json = take(&registers);
	const json_t *cpus = json_object_get(json, "cpus"), *cpu = json_array_get(cpus, 0);
	const json_t *tasks = json_object_get(json, "tasks");

	cr_assert(eq(i64, json_integer_value(json_object_get(json, "elapsed_ns")), 5));
	cr_assert(is_a(json, "step", JSON_NULL));
	cr_assert(eq(sz, json_array_size(cpus), TINY_CPUS));
	cr_assert(eq(str, (char *)json_string_value(json_object_get(cpu, "mode")), "user"));
	cr_assert(eq(str,
		     (char *)json_string_value(
			     json_object_get(json_object_get(cpu, "registers"), "rip")),
		     "0x401000"));
	/* There are registers of one CPU only. */
	expect_text(error_in(json_object_get(json_array_get(cpus, 1), "registers")),
		    "nobody tells");
	cr_assert(eq(sz, json_array_size(tasks), WALK_TASKS));
	expect_text(error_in(json_object_get(json_array_get(tasks, 1), "stack")), "stacks: ");
	cr_assert(eq(sz, json_array_size(json_object_get(json, "maps")), WALK_MAPS));
	expect_text(error_in(json_object_get(json, "nodes")), "nodes: ");
	expect_text(error_in(json_object_get(json, "cpu_time")), "times of CPUs: ");
	cr_assert(is_a(json, "kernel", JSON_OBJECT));
}

Test(snapshot_report, the_same_memory_gives_the_same_bytes, .init = make_kernel,
     .fini = free_kernel)
{
	KT_JSON json_t *a = take(NULL);
	json_t *b;
	KT_FREE char *first = json_dumps(a, JSON_COMPACT), *second = NULL;

	kt_inspect_refresh(kernel.inspect);
	b = take(NULL);
	second = json_dumps(b, JSON_COMPACT);
	json_decref(b);
	cr_assert(eq(str, first, second));
}

/* The kernel is the last to go, and never goes. */
Test(snapshot_report, a_report_that_is_too_long_loses_parts, .init = make_kernel,
     .fini = free_kernel)
{
	KT_JSON json_t *json = take(NULL);
	size_t len = json_dumpb(json, NULL, 0, JSON_COMPACT);

	cr_assert(zero(int, kt_snapshot_fit(json, len)));
	cr_assert(is_a(json, "programs", JSON_ARRAY));
	cr_assert(zero(int, kt_snapshot_fit(json, len - 1)));
	expect_text(error_in(json_object_get(json, "programs")), "too long");
	cr_assert(is_a(json, "tasks", JSON_ARRAY));
	cr_assert(zero(int, kt_snapshot_fit(json, len / 2)));
	cr_assert(le(sz, json_dumpb(json, NULL, 0, JSON_COMPACT), len / 2));
	cr_assert(is_a(json, "cpus", JSON_ARRAY));
	cr_assert(zero(int, kt_snapshot_fit(json, 10)));
	expect_text(error_in(json_object_get(json, "cpus")), "too long");
	cr_assert(error_in(json_object_get(json, "kernel")) == NULL);
}

/* ---- Messages ---- */

Test(snapshot_wire, names_can_be_parts_of_files)
{
	static const char *const GOOD[] = { "a", "after-1.2_x", "_", "periodic_000",
					    "0123456789012345678901234567890123456789" };
	static const char *const BAD[] = { "",    ".hidden",
					   "-x",  "a/b",
					   "a b", "\xc3\xa4",
					   "..",  "01234567890123456789012345678901234567890" };
	struct kt_err err;

	for (size_t i = 0; i < KT_ARRAY_LEN(GOOD); i++)
		cr_assert(zero(int, kt_snapshot_check_name(GOOD[i], NULL)), "%s", GOOD[i]);
	for (size_t i = 0; i < KT_ARRAY_LEN(BAD); i++) {
		err = KT_ERR_NULL;
		cr_assert(eq(int, kt_snapshot_check_name(BAD[i], &err), -EINVAL), "%s", BAD[i]);
		cr_assert(err.text[0] != 0);
	}
	cr_assert(eq(int, kt_snapshot_check_name(NULL, NULL), -EINVAL));
}

static struct kt_snapshot_request view_request(void)
{
	return (struct kt_snapshot_request){
		.id = 7,
		.op = KT_SNAPSHOT_VIEW,
		.name = "x",
		.elapsed_ns = -1,
		.step = -1,
		.form = KT_SNAPSHOT_AS_U64,
		.n_steps = 2,
		.steps = { { .kind = KT_SNAPSHOT_STEP_MAP, .text = "m" },
			   { .kind = KT_SNAPSHOT_STEP_FIND, .text = "key", .number = -5 } },
	};
}

Test(snapshot_wire, a_request_comes_back)
{
	struct kt_snapshot_request request = view_request(), back;
	KT_FREE char *text = NULL;

	cr_assert(zero(int, kt_snapshot_request_encode(&request, &text)));
	cr_assert(zero(int, kt_snapshot_request_decode(text, strlen(text), &back, NULL)));
	cr_assert(zero(int, memcmp(&request, &back, sizeof(back))));
}

/* Replaces a part of a request, and expects that it is refused with a text. */
static void expect_refused(const char *part, const char *by, const char *why)
{
	struct kt_snapshot_request request = view_request(), back = { .id = 99 };
	KT_FREE char *text = NULL;
	struct kt_err err = KT_ERR_NULL;
	char bad[1000], *at;

	cr_assert(zero(int, kt_snapshot_request_encode(&request, &text)));
	at = strstr(text, part);
	cr_assert(at != NULL, "%s has no %s", text, part);
	(void)snprintf(bad, sizeof(bad), "%.*s%s%s", (int)(at - text), text, by, at + strlen(part));
	cr_assert(eq(int, kt_snapshot_request_decode(bad, strlen(bad), &back, &err), -EBADMSG),
		  "%s", bad);
	expect_text(err.text, why);
	cr_assert(eq(u32, back.id, 99));
}

Test(snapshot_wire, a_malformed_request_is_refused)
{
	expect_refused("\"op\":2", "\"op\":4", "'op'");
	expect_refused("\"form\":1", "\"form\":0", "'form'");
	expect_refused("\"name\":\"x\"", "\"name\":\"../x\"", "other characters");
	expect_refused("\"kind\":1", "\"kind\":10", "'kind'");
	expect_refused("\"step\":-1", "\"step\":65536", "'step'");
	expect_refused("\"steps\":[", "\"steps\":[1,", "'kind'");
	expect_refused("\"steps\":[", "\"steps\":[{},{},{},{},{},{},{},{},{},{},{},", "12 steps");
	expect_refused("{", "", "not JSON");
}

Test(snapshot_wire, a_reply_comes_back)
{
	struct kt_snapshot_reply *reply = calloc(1, sizeof(*reply)), *back;
	KT_FREE char *text = NULL;

	back = calloc(1, sizeof(*back));
	*reply = (struct kt_snapshot_reply){ .id = 3, .replaced = true, .n = 2 };
	reply->samples[0] = (struct kt_snapshot_sample){
		.name = "periodic_000", .elapsed_ns = 5, .number = UINT64_MAX, .real = 0.5
	};
	reply->samples[1] = (struct kt_snapshot_sample){ .name = "periodic_001",
							 .fault = KT_SNAPSHOT_NO_MAP,
							 .text = "no map" };
	cr_assert(zero(int, kt_snapshot_reply_encode(reply, &text)));
	cr_assert(zero(int, kt_snapshot_reply_decode(text, strlen(text), back, NULL)));
	cr_assert(zero(int, memcmp(reply, back, sizeof(*back))));
	cr_assert(eq(int, kt_snapshot_reply_decode("{}", 2, back, NULL), -EBADMSG));
	free(reply);
	free(back);
}

/* ---- The file ---- */

static struct kt_snapshots store;

static void open_store(void)
{
	cr_assert(zero(int, kt_snapshots_init(&store, NULL)));
}

static void close_store(void)
{
	kt_snapshots_deinit(&store);
}

static bool put(const char *name, const char *text)
{
	bool replaced = false;

	cr_assert(zero(int,
		       kt_snapshots_put(&store, name, text, strlen(text), false, &replaced, NULL)));
	return replaced;
}

static void expect_stored(const struct kt_snapshots *snapshots, const char *name, const char *text)
{
	const struct kt_snapshot_entry *entry = kt_snapshots_find(snapshots, name);
	KT_FREE char *found = entry ? kt_snapshots_text(snapshots, entry) : NULL;

	cr_assert(found != NULL, "there is no '%s'", name);
	cr_assert(eq(str, found, (char *)text));
}

Test(snapshot_file, a_name_that_is_used_again_replaces, .init = open_store, .fini = close_store)
{
	cr_assert(not(put("a", "first")));
	cr_assert(not(put("b", "other")));
	cr_assert(put("a", "second"));
	cr_assert(eq(sz, store.n, 2));
	expect_stored(&store, "a", "second");
	expect_stored(&store, "b", "other");
	cr_assert(kt_snapshots_find(&store, "c") == NULL);
}

Test(snapshot_file, another_process_finds_the_same, .init = open_store, .fini = close_store)
{
	struct kt_snapshots other = { .fd = store.fd };

	put("a", "first");
	put("b", "other");
	put("a", "second");
	kt_snapshots_scan(&other);
	cr_assert(eq(sz, other.n, 2));
	expect_stored(&other, "a", "second");
	expect_stored(&other, "b", "other");
	/* A session that was killed while it wrote. */
	cr_assert(zero(int, ftruncate(store.fd, (off_t)store.len - 1)));
	kt_snapshots_scan(&other);
	cr_assert(eq(sz, other.n, 2));
	expect_stored(&other, "a", "first");
}

Test(snapshot_file, the_number_is_bounded, .init = open_store, .fini = close_store)
{
	struct kt_snapshots other = { .fd = store.fd };
	struct kt_err err = KT_ERR_NULL;
	bool replaced = true;
	char name[8];

	for (unsigned int i = 0; i < KT_SNAPSHOTS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		put(name, "text");
	}
	cr_assert(
		eq(int, kt_snapshots_put(&store, "more", "x", 1, false, &replaced, &err), -ENOSPC));
	expect_text(err.text, "64 snapshots");
	cr_assert(put("n3", "again"));
	cr_assert(zero(int, kt_snapshots_put(&store, "more", "x", 1, true, &replaced, NULL)));
	cr_assert(not(replaced));
	cr_assert(kt_snapshots_find(&store, "n0") == NULL);
	expect_stored(&store, "more", "x");
	kt_snapshots_scan(&other);
	cr_assert(eq(sz, other.n, KT_SNAPSHOTS_MAX));
	cr_assert(kt_snapshots_find(&other, "n0") == NULL);
	expect_stored(&other, "more", "x");
}

/* Replaced a thousand times, it takes the room of a few. */
Test(snapshot_file, what_was_replaced_takes_no_room, .init = open_store, .fini = close_store)
{
	struct kt_snapshots other = { .fd = store.fd };
	size_t len = 100000;
	char *text = malloc(len + 1);

	memset(text, 'x', len);
	text[len] = 0;
	put("keep", "kept");
	for (int i = 0; i < 1000; i++)
		put("a", text);
	free(text);
	cr_assert(lt(u64, store.len, 10u << 20));
	expect_stored(&store, "keep", "kept");
	kt_snapshots_scan(&other);
	cr_assert(eq(sz, other.n, 2));
	expect_stored(&other, "keep", "kept");
}

/* Sets the address space that this process may have, so that it can map nothing more. */
static void limit_memory(bool limited)
{
	static struct rlimit before;
	struct rlimit limit;

	if (limited)
		cr_assert(zero(int, getrlimit(RLIMIT_AS, &before)));
	limit = (struct rlimit){ limited ? 1 << 20 : before.rlim_cur, before.rlim_max };
	cr_assert(zero(int, setrlimit(RLIMIT_AS, &limit)));
}

/* Records that cannot be moved together stay where they are, and live. */
Test(snapshot_file, what_cannot_be_moved_stays, .init = open_store, .fini = close_store)
{
	struct kt_snapshots other = { .fd = store.fd };
	bool replaced = false;
	size_t len = 1 << 20;
	char *text = malloc(len + 1);
	int r = 0;

	memset(text, 'x', len);
	text[len] = 0;
	put("keep", text);
	put("last", "kept");
	limit_memory(true);
	for (int i = 0; r == 0 && i < 20; i++)
		r = kt_snapshots_put(&store, "a", text, len, false, &replaced, NULL);
	limit_memory(false);
	cr_assert(zero(int, r));
	cr_assert(gt(u64, store.len, 20u << 20));
	put("b", "more");
	/* With memory again, they were moved. */
	cr_assert(lt(u64, store.len, 3u << 20));
	kt_snapshots_scan(&other);
	cr_assert(eq(sz, other.n, 4));
	expect_stored(&other, "keep", text);
	expect_stored(&other, "last", "kept");
	expect_stored(&other, "a", text);
	expect_stored(&other, "b", "more");
	free(text);
}

Test(snapshot_file, bad_texts_are_refused, .init = open_store, .fini = close_store)
{
	bool replaced;

	cr_assert(
		eq(int, kt_snapshots_put(&store, "a/b", "x", 1, false, &replaced, NULL), -EINVAL));
	cr_assert(eq(int, kt_snapshots_put(&store, "a", "", 0, false, &replaced, NULL), -EMSGSIZE));
	cr_assert(eq(
		int,
		kt_snapshots_put(&store, "a", "x", KT_SNAPSHOT_LEN_MAX + 1, false, &replaced, NULL),
		-EMSGSIZE));
	cr_assert(zero(sz, store.n));
}

/* ---- Views ---- */

static const char REPORT[] =
	"{'schema': 'ktest-snapshot', 'version': 1, 'step': null, 'programs': {'error': 'no IDR'},"
	" 'cpus': [{'cpu': 0}],"
	" 'runqueues': [{'cpu': 0, 'nr': 3}, {'cpu': 1, 'nr': -4}],"
	" 'scx': {'schedulers': [{'name': 'a', 'root': true, 'address': '0xff10'},"
	"  {'name': 'b', 'root': false, 'address': '0xff20'}],"
	"  'events': {'E': {'sum': 7, 'cpus': [3, 4]}}},"
	" 'maps': ["
	"  {'id': 1, 'name': 'a.bss', 'max_entries': 1, 'scheduler': '0xff10',"
	"   'variables': {'x': 1, 'both': 2, 'big': '0xffffffffffffffff', 'text': 'hi', 'f': 0.5,"
	"    'yes': true, 'deep': {'in': [{'v': 9}]}, 'gone': {'truncated': true}}},"
	"  {'id': 2, 'name': 'b.bss', 'max_entries': 1, 'scheduler': '0xff20',"
	"   'variables': {'both': 3, 'y': 4}},"
	"  {'id': 3, 'name': 'hash', 'max_entries': 8, 'entries': ["
	"   {'key': 5, 'value': {'n': 50}}, {'key': 6, 'value': {'n': 70, 'name': 'six'}},"
	"   {'key': 7, 'value': {'n': 60}}, {'truncated': 2}]},"
	"  {'id': 4, 'name': 'percpu', 'max_entries': 2, 'scheduler': '0xff10', 'entries': ["
	"   {'index': 0, 'cpus': [{'v': 10}, {'v': 11}]}]},"
	"  {'id': 5, 'name': 'raw', 'max_entries': 2, 'entries': ["
	"   {'index': 0, 'value': '00ff'}, {'truncated': true}]},"
	"  {'id': 6, 'name': 'twin', 'max_entries': 1, 'entries': []},"
	"  {'id': 7, 'name': 'twin', 'max_entries': 1, 'entries': []}]}";

static json_t *report;

static json_t *parse(const char *text)
{
	KT_FREE char *json = strdup(text);

	for (char *c = json; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	return json_loads(json, 0, NULL);
}

static void parse_report(void)
{
	report = parse(REPORT);
	cr_assert(report != NULL);
}

static void free_report(void)
{
	json_decref(report);
}

#define MAP(name)                                                                                  \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_MAP, .text = name                                         \
	}
#define VARIABLE(name)                                                                             \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_VARIABLE, .text = name                                    \
	}
#define ACTIVE                                                                                     \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_ACTIVE                                                    \
	}
#define AT(i)                                                                                      \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_AT, .number = i                                           \
	}
#define FIND(path, n)                                                                              \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_FIND, .text = path, .number = n                           \
	}
#define FIND_TEXT(path, to)                                                                        \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_FIND_TEXT, .text = path, .value = to                      \
	}
#define MAX(path)                                                                                  \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_MAX, .text = path                                         \
	}
#define CPU(n)                                                                                     \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_CPU, .number = n                                          \
	}
#define GET(path)                                                                                  \
	{                                                                                          \
		.kind = KT_SNAPSHOT_STEP_GET, .text = path                                         \
	}

static struct kt_snapshot_sample see(const json_t *json, enum kt_snapshot_form form,
				     const struct kt_snapshot_step *steps, size_t n)
{
	struct kt_snapshot_request request = { .form = form, .n_steps = n };
	struct kt_snapshot_sample sample = { .fault = KT_SNAPSHOT_FAULTS_END };

	memcpy(request.steps, steps, n * sizeof(*steps));
	kt_view_read(json, &request, &sample);
	return sample;
}

#define SEE(form, ...)                                                                             \
	see(report, KT_SNAPSHOT_AS_##form, (const struct kt_snapshot_step[]){ __VA_ARGS__ },       \
	    sizeof((const struct kt_snapshot_step[]){ __VA_ARGS__ }) /                             \
		    sizeof(struct kt_snapshot_step))
#define EXPECT_NUMBER(n, ...)                                                                      \
	do {                                                                                       \
		struct kt_snapshot_sample sample_ = SEE(U64, __VA_ARGS__);                         \
		cr_assert(eq(int, (int)sample_.fault, KT_SNAPSHOT_OK), "%s", sample_.text);        \
		cr_assert(eq(u64, sample_.number, n));                                             \
	} while (0)
#define EXPECT_FAULT(code, why, form, ...)                                                         \
	do {                                                                                       \
		struct kt_snapshot_sample sample_ = SEE(form, __VA_ARGS__);                        \
		cr_assert(eq(int, (int)sample_.fault, KT_SNAPSHOT_##code), "%s", sample_.text);    \
		expect_text(sample_.text, why);                                                    \
	} while (0)

Test(snapshot_view, maps_variables_and_entries_are_found, .init = parse_report, .fini = free_report)
{
	EXPECT_NUMBER(1, VARIABLE("x"));
	EXPECT_NUMBER(2, ACTIVE, VARIABLE("both"));
	EXPECT_NUMBER(3, MAP("b.bss"), VARIABLE("both"));
	EXPECT_NUMBER(9, VARIABLE("deep"), GET("in.0.v"));
	EXPECT_NUMBER(9, VARIABLE("deep"), GET("in"), AT(0), GET("v"));
	EXPECT_NUMBER(50, MAP("hash"), AT(0), GET("n"));
	EXPECT_NUMBER(50, MAP("3"), AT(0), GET("value.n"));
	EXPECT_NUMBER(60, MAP("hash"), FIND("key", 7), GET("n"));
	EXPECT_NUMBER(70, MAP("hash"), MAX("n"), GET("n"));
	EXPECT_NUMBER(6, MAP("hash"), FIND_TEXT("name", "six"), GET("key"));
	EXPECT_NUMBER(11, MAP("percpu"), AT(0), CPU(1), GET("v"));
	EXPECT_NUMBER(4, GET("scx.events.E"), CPU(1));
	EXPECT_NUMBER(3, GET("runqueues"), CPU(0), GET("nr"));
	EXPECT_NUMBER(2, ACTIVE, MAP(".bss"), VARIABLE("both"));
}

Test(snapshot_view, forms, .init = parse_report, .fini = free_report)
{
	EXPECT_NUMBER(UINT64_MAX, VARIABLE("big"));
	cr_assert(eq(i64, (int64_t)SEE(I64, GET("runqueues.1.nr")).number, -4));
	cr_assert(ieee_ulp_eq(dbl, SEE(DOUBLE, VARIABLE("f")).real, 0.5, 1));
	cr_assert(ieee_ulp_eq(dbl, SEE(DOUBLE, GET("runqueues.1.nr")).real, -4.0, 1));
	cr_assert(eq(u64, SEE(BOOL, VARIABLE("yes")).number, 1));
	cr_assert(eq(str, SEE(TEXT, VARIABLE("text")).text, "hi"));
	cr_assert(eq(u64, SEE(COUNT, MAP("hash")).number, 5));
	cr_assert(eq(u64, SEE(COUNT, GET("runqueues")).number, 2));
	cr_assert(eq(u64, SEE(COUNT, MAP("b.bss")).number, 2));
	EXPECT_FAULT(TYPE, "it is -4, not an unsigned", U64, GET("runqueues.1.nr"));
	EXPECT_FAULT(TYPE, "with a sign", I64, VARIABLE("big"));
	EXPECT_FAULT(TYPE, "\"hi\", not an integer", U64, VARIABLE("text"));
	EXPECT_FAULT(TYPE, "not an integer", U64, VARIABLE("f"));
	EXPECT_FAULT(TYPE, "an object, not a text", TEXT, VARIABLE("deep"));
	EXPECT_FAULT(TYPE, "null, not", U64, GET("step"));
	EXPECT_FAULT(TYPE, "3, not true or false", BOOL, GET("runqueues.0.nr"));
}

Test(snapshot_view, each_fault_says_what_there_is, .init = parse_report, .fini = free_report)
{
	EXPECT_FAULT(NO_MAP, "a.bss, b.bss, hash", U64, MAP("hsh"));
	EXPECT_FAULT(NO_MAP, "there are: a.bss, percpu", U64, ACTIVE, MAP("hash"));
	EXPECT_FAULT(AMBIGUOUS, "2 maps are called 'twin'", COUNT, MAP("twin"));
	EXPECT_FAULT(AMBIGUOUS, "2 maps are called '.bss': a.bss, b.bss", COUNT, MAP(".bss"));
	EXPECT_FAULT(NO_VARIABLE, "there are: x, both", U64, VARIABLE("z"));
	EXPECT_FAULT(NO_VARIABLE, "'y'", U64, ACTIVE, VARIABLE("y"));
	EXPECT_FAULT(AMBIGUOUS, "2 sections have a variable 'both': a.bss, b.bss", U64,
		     VARIABLE("both"));
	EXPECT_FAULT(NO_FIELD, "there are: schema, version", U64, GET("nowhere"));
	EXPECT_FAULT(NO_FIELD, "there are: in", U64, VARIABLE("deep"), GET("inn"));
	EXPECT_FAULT(NO_FIELD, "there are: n", U64, MAP("hash"), AT(0), GET("m"));
	EXPECT_FAULT(NO_STRUCT, "'y' is a member of what has none", U64, VARIABLE("x"), GET("y"));
	EXPECT_FAULT(NO_STRUCT, "no entries", U64, VARIABLE("x"), AT(0));
	EXPECT_FAULT(RANGE, "there is no entry 9: there are 4", U64, MAP("hash"), AT(9));
	EXPECT_FAULT(UNTYPED, "a limit", U64, MAP("hash"), AT(3));
	EXPECT_FAULT(UNTYPED, "a limit", U64, VARIABLE("gone"));
	EXPECT_FAULT(UNTYPED, "no type", U64, MAP("raw"), AT(0), GET("x"));
	EXPECT_FAULT(UNTYPED, "more than 1", COUNT, MAP("raw"));
	EXPECT_FAULT(NO_CPU, "CPU 2", U64, MAP("percpu"), AT(0), CPU(2), GET("v"));
	EXPECT_FAULT(NO_CPU, "not a value for each CPU", U64, VARIABLE("x"), CPU(0));
	EXPECT_FAULT(PER_CPU, "choose one", U64, MAP("percpu"), AT(0), GET("v"));
	EXPECT_FAULT(PER_CPU, "choose one", U64, MAP("percpu"), AT(0));
	EXPECT_FAULT(NO_MATCH, "none of 4 entries is 8", U64, MAP("hash"), FIND("key", 8));
	EXPECT_FAULT(NO_MATCH, "\"seven\"", U64, MAP("hash"), FIND_TEXT("name", "seven"));
	EXPECT_FAULT(NO_MATCH, "has a number 'm'", U64, MAP("hash"), MAX("m"));
	EXPECT_FAULT(EMPTY, "empty", U64, GET("scx..events"));
	EXPECT_FAULT(EMPTY, "empty", U64, GET(""));
	EXPECT_FAULT(EMPTY, "empty", U64, GET("runqueues."));
	EXPECT_FAULT(MISSING, "lacks 'programs': no IDR", U64, GET("programs.0"));
}

Test(snapshot_view, a_report_that_is_none, .init = parse_report, .fini = free_report)
{
	const struct kt_snapshot_moment moment = {
		.name = "p", .reason = "request", .step = -1, .vcpu = -1
	};
	struct kt_snapshot_step step = ACTIVE;
	struct kt_snapshot_sample sample;
	KT_JSON json_t *placeholder = kt_snapshot_placeholder(&moment, "no kernel");
	KT_JSON json_t *idle = parse("{'scx': {'schedulers': []}}");
	KT_JSON json_t *bare = parse("{}");
	KT_JSON json_t *wrong = parse("{'maps': 5, 'scx': [1]}");

	sample = see(placeholder, KT_SNAPSHOT_AS_U64, &step, 1);
	cr_assert(eq(int, (int)sample.fault, KT_SNAPSHOT_PLACEHOLDER));
	expect_text(sample.text, "no kernel");
	sample = see(idle, KT_SNAPSHOT_AS_U64, &step, 1);
	cr_assert(eq(int, (int)sample.fault, KT_SNAPSHOT_NO_SCHEDULER));
	step = (struct kt_snapshot_step)VARIABLE("x");
	sample = see(bare, KT_SNAPSHOT_AS_U64, &step, 1);
	cr_assert(eq(int, (int)sample.fault, KT_SNAPSHOT_MISSING));
	sample = see(wrong, KT_SNAPSHOT_AS_U64, &step, 1);
	cr_assert(eq(int, (int)sample.fault, KT_SNAPSHOT_NO_VARIABLE));
	step = (struct kt_snapshot_step)ACTIVE;
	sample = see(wrong, KT_SNAPSHOT_AS_U64, &step, 1);
	cr_assert(eq(int, (int)sample.fault, KT_SNAPSHOT_NO_SCHEDULER));
}

/* ---- Series ---- */

#define N_POINTS 6u

static struct kt_series_verdict judge(struct kt_pattern pattern, const double values[N_POINTS],
				      unsigned int missing)
{
	struct kt_series_point points[N_POINTS];

	for (unsigned int i = 0; i < N_POINTS; i++)
		points[i] = (struct kt_series_point){ .name = "p",
						      .ms = 100.0 * (i + 1),
						      .value = values[i],
						      .fault = missing >> i & 1 ? "gone" : NULL };
	return kt_series_judge(&pattern, points, NULL, N_POINTS);
}

#define EXPECT_HOLDS(pattern, missing, ...)                                                        \
	do {                                                                                       \
		struct kt_series_verdict v_ =                                                      \
			judge(pattern, (const double[N_POINTS]){ __VA_ARGS__ }, missing);          \
		cr_assert(eq(int, (int)v_.result, KT_SERIES_HOLDS), "%s", v_.text);                \
	} while (0)
#define EXPECT_FAILS(pattern, missing, where, ...)                                                 \
	do {                                                                                       \
		struct kt_series_verdict v_ =                                                      \
			judge(pattern, (const double[N_POINTS]){ __VA_ARGS__ }, missing);          \
		cr_assert(eq(int, (int)v_.result, KT_SERIES_FAILS), "%s", v_.text);                \
		cr_assert(eq(sz, v_.at, where));                                                   \
		cr_assert(v_.text[0] != 0);                                                        \
	} while (0)
#define EXPECT_TOO_FEW(pattern, missing)                                                           \
	do {                                                                                       \
		struct kt_series_verdict v_ =                                                      \
			judge(pattern, (const double[N_POINTS]){ 0 }, missing);                    \
		cr_assert(eq(int, (int)v_.result, KT_SERIES_TOO_FEW), "%s", v_.text);              \
	} while (0)

Test(snapshot_series, growing)
{
	EXPECT_HOLDS(KT_NONDECREASING, 0, 1, 1, 2, 2, 3, 3);
	EXPECT_FAILS(KT_NONDECREASING, 0, 3, 1, 1, 2, 1, 3, 3);
	EXPECT_HOLDS(KT_STRICTLY_INCREASING, 0, -3, 1, 2, 3, 4, 5);
	EXPECT_FAILS(KT_STRICTLY_INCREASING, 0, 1, 1, 1, 2, 3, 4, 5);
	/* Those that are missing are left out, whatever their values are. */
	EXPECT_HOLDS(KT_STRICTLY_INCREASING, 2, 1, 0, 2, 3, 4, 5);
	EXPECT_FAILS(KT_STRICTLY_INCREASING, 2, 2, 1, 9, 1, 3, 4, 5);
	EXPECT_TOO_FEW(KT_NONDECREASING, 62);
	EXPECT_TOO_FEW(KT_NONDECREASING, 63);
}

Test(snapshot_series, rates)
{
	EXPECT_HOLDS(KT_RATE_WITHIN(1, 2), 0, 0, 100, 300, 400, 500, 700);
	EXPECT_FAILS(KT_RATE_WITHIN(1, 2), 0, 2, 0, 100, 301, 400, 500, 700);
	EXPECT_FAILS(KT_RATE_WITHIN(1, 2), 0, 1, 0, 99, 300, 400, 500, 700);
	/* 200 ms from one to the next. */
	EXPECT_HOLDS(KT_RATE_WITHIN(1, 1), 2, 0, 0, 200, 300, 400, 500);
	EXPECT_TOO_FEW(KT_RATE_WITHIN(1, 1), 62);
}

Test(snapshot_series, steady)
{
	EXPECT_HOLDS(KT_STEADY_WITHIN(300, 0.1), 0, 0, 500, 100, 109, 91, 100);
	EXPECT_FAILS(KT_STEADY_WITHIN(200, 0.1), 0, 1, 0, 500, 100, 109, 91, 100);
	EXPECT_FAILS(KT_STEADY_WITHIN(0, 0.1), 0, 5, 100, 100, 100, 100, 100, 130);
	EXPECT_TOO_FEW(KT_STEADY_WITHIN(600, 0.1), 0);
}

Test(snapshot_series, converging)
{
	EXPECT_HOLDS(KT_CONVERGES_TO(10, 1, 500), 0, 0, 5, 9, 10, 11, 99);
	EXPECT_FAILS(KT_CONVERGES_TO(10, 1, 499), 0, 3, 0, 5, 9, 10, 11, 99);
	EXPECT_FAILS(KT_CONVERGES_TO(10, 1, 600), 0, 5, 10, 10, 8, 10, 10, 12);
	EXPECT_HOLDS(KT_CONVERGES_TO(10, 1, 600), 4, 10, 10, 99, 10, 0, 0);
	EXPECT_TOO_FEW(KT_CONVERGES_TO(10, 1, 299), 0);
}

Test(snapshot_series, strict_ones)
{
	EXPECT_HOLDS(KT_ALWAYS_TRUE, 0, 1, 2, 3, 4, 5, -6);
	EXPECT_FAILS(KT_ALWAYS_TRUE, 0, 4, 1, 2, 3, 4, 0, 6);
	EXPECT_FAILS(KT_ALWAYS_TRUE, 8, 3, 1, 2, 3, 4, 5, 6);
	EXPECT_HOLDS(KT_EACH_AT_LEAST(1), 0, 1, 2, 3, 4, 5, 6);
	EXPECT_FAILS(KT_EACH_AT_LEAST(2), 0, 0, 1, 2, 3, 4, 5, 6);
	EXPECT_HOLDS(KT_EACH_AT_MOST(6), 0, 1, 2, 3, 4, 5, 6);
	EXPECT_FAILS(KT_EACH_AT_MOST(5), 0, 5, 1, 2, 3, 4, 5, 6);
	EXPECT_HOLDS(KT_EACH_BETWEEN(1, 6), 0, 1, 2, 3, 4, 5, 6);
	EXPECT_FAILS(KT_EACH_BETWEEN(2, 6), 0, 0, 1, 2, 3, 4, 5, 6);
	EXPECT_FAILS(KT_EACH_BETWEEN(1, 6), 1, 0, 1, 2, 3, 4, 5, 6);
	cr_assert(kt_pattern_is_strict(&KT_EACH_BETWEEN(1, 6)));
	cr_assert(not(kt_pattern_is_strict(&KT_NONDECREASING)));
}

Test(snapshot_series, ratios)
{
	const struct kt_pattern pattern = { .kind = KT_PATTERN_RATIO, .low = 2, .high = 3 };
	struct kt_series_point a[3] = { { "p", 1, 4, NULL },
					{ "q", 2, 6, NULL },
					{ "r", 3, 9, NULL } };
	struct kt_series_point b[3] = { { "p", 1, 2, NULL },
					{ "q", 2, 0, "gone" },
					{ "r", 3, 3, NULL } };

	cr_assert(eq(int, (int)kt_series_judge(&pattern, a, b, 3).result, KT_SERIES_HOLDS));
	b[2].value = 2;
	cr_assert(eq(sz, kt_series_judge(&pattern, a, b, 3).at, 2));
	b[2].value = 0;
	expect_text(kt_series_judge(&pattern, a, b, 3).text, "the other value is 0");
	b[2].fault = b[0].fault = "gone";
	cr_assert(eq(int, (int)kt_series_judge(&pattern, a, b, 3).result, KT_SERIES_TOO_FEW));
}

Test(snapshot_series, a_plot_shows_the_point_that_is_wrong)
{
	struct kt_series_point points[60];
	KT_FREE char *few = NULL, *many = NULL;

	for (unsigned int i = 0; i < 60; i++)
		points[i] = (struct kt_series_point){ .name = "p", .ms = i, .value = i % 3 };
	points[1].fault = "there is no map";
	few = kt_plot(points, 3, 2);
	cr_assert(eq(str, few,
		     "p      0 ms            0 |\n"
		     "p      1 ms            ? | (there is no map)\n"
		     "p      2 ms            2 |################################ <-- here\n"));
	many = kt_plot(points, 60, 50);
	expect_text(many, "(36 before)\n");
	expect_text(many, "p     50 ms            2 |################################ <-- here\n");
	cr_assert(strstr(many, "more)") == NULL);
}

/* ---- Periodic ones ---- */

static const struct kt_step STEPS[] = { { .hold = KT_HOLD_FULL }, { .end = true } };

Test(snapshot_periodic, boundaries_are_spread_evenly)
{
	const struct kt_test test = { .duration_ms = 1000, .num_snapshots = 3, .steps = STEPS };
	struct kt_periodic periodic;

	kt_periodic_init(&periodic, &test);
	cr_assert(eq(u64, kt_periodic_due_ns(&periodic), KT_NSEC_NEVER));
	cr_assert(eq(int, kt_periodic_take(&periodic, UINT64_MAX - 1), -1));
	periodic.began_ns = 5;
	cr_assert(eq(u64, kt_periodic_due_ns(&periodic), 300000005));
	cr_assert(eq(int, kt_periodic_take(&periodic, 300000004), -1));
	cr_assert(eq(int, kt_periodic_take(&periodic, 300000005), 0));
	cr_assert(eq(u64, kt_periodic_due_ns(&periodic), 500000005));
	/* Both others are due: the last is taken. */
	cr_assert(eq(int, kt_periodic_take(&periodic, 900000000), 2));
	cr_assert(eq(u32, periodic.n_missed, 1));
	cr_assert(eq(u64, kt_periodic_due_ns(&periodic), KT_NSEC_NEVER));
}

Test(snapshot_periodic, they_must_not_be_too_close)
{
	struct kt_test test = { .duration_ms = 1000, .num_snapshots = 7, .steps = STEPS };
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_periodic_check(&test, NULL)));
	test.num_snapshots = 8;
	cr_assert(eq(int, kt_periodic_check(&test, &err), -EINVAL));
	expect_text(err.text, "at least 100 must be");
	test.duration_ms = 100000;
	test.num_snapshots = 65;
	cr_assert(eq(int, kt_periodic_check(&test, &err), -EINVAL));
	expect_text(err.text, "1..64");
	test.num_snapshots = 64;
	cr_assert(zero(int, kt_periodic_check(&test, NULL)));
	test.steps = NULL;
	cr_assert(eq(int, kt_periodic_check(&test, &err), -EINVAL));
	expect_text(err.text, "needs .steps");
}
