/* SPDX-License-Identifier: MIT */
#include "framework/cli/list.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "framework/report/topology.h"
#include "guest/scenario/op.h"
#include "guest/test/test.h"
#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "wire/json.h"

static json_t *tags_to_json(const struct kt_test *test)
{
	json_t *array = json_array();

	for (const char *const *tag = test->tags; array && tag && *tag; tag++)
		(void)json_array_append_new(array, json_string(*tag));
	return array;
}

/* Defaults are filled in; "ss*" leaves a field out that the test does not have. */
static json_t *test_to_json(const struct kt_test *test)
{
	return json_pack("{ss ss si ss* ss* so so si si}", "name", test->name, "file", test->file,
			 "line", (int)test->line, "summary", test->summary, "disabled",
			 test->disabled, "tags", tags_to_json(test), "topology",
			 kt_report_topology(test), "memory_mib", (int)kt_test_memory_mib(test),
			 "duration_ms", (int)kt_test_duration_ms(test));
}

/* The operations that scenarios of this version can use. */
static json_t *operations_to_json(void)
{
	json_t *array = json_array();

	for (int kind = 0; array && kind < KT_N_OP_KINDS; kind++) {
		const struct kt_op_ops *ops = kt_op_ops((enum kt_op_kind)kind);

		if (ops)
			(void)json_array_append_new(array, json_string(ops->name));
	}
	return array;
}

static json_t *work_types_to_json(void)
{
	json_t *array = json_array();

	for (int type = 0; array && type < KT_N_WORK_TYPES; type++) {
		const struct kt_work_ops *ops = kt_work_ops((enum kt_work_type)type);

		if (ops)
			(void)json_array_append_new(array, json_string(ops->name));
	}
	return array;
}

static int list_json(const struct kt_selection *selection, FILE *out)
{
	json_t *array = json_array();
	KT_JSON json_t *json =
		json_pack("{si so so so}", "version", 1, "operations", operations_to_json(),
			  "work_types", work_types_to_json(), "tests", array);

	for (size_t i = 0; json && i < selection->n; i++)
		(void)json_array_append_new(array, test_to_json(selection->tests[i]));
	if (!json || json_dumpf(json, out, JSON_INDENT(2)) < 0)
		return -ENOMEM;
	(void)fputc('\n', out);
	return 0;
}

/*
 * The text forms are those of other test frameworks, so that their tools read them: "NAME: test"
 * of Rust's libtest (terse), and a suite with indented names of GoogleTest.
 */
int kt_list(const struct kt_selection *selection, enum kt_list_format format, FILE *out,
	    struct kt_err *reterr)
{
	if (format == KT_LIST_JSON && list_json(selection, out) < 0)
		return kt_err_oom(reterr);
	if (format == KT_LIST_GTEST)
		(void)fputs("ktest.\n", out);
	for (size_t i = 0; format != KT_LIST_JSON && i < selection->n; i++) {
		(void)fprintf(out, "%s%s%s\n", format == KT_LIST_GTEST ? "  " : "",
			      selection->tests[i]->name, format == KT_LIST_TERSE ? ": test" : "");
	}
	if (fflush(out))
		return kt_err_set(reterr, -errno, "standard output: %m");
	return 0;
}

static void explain(const struct kt_selection *selection, FILE *out)
{
	for (size_t i = 0; i < selection->filters.n; i++) {
		(void)fputs(i ? "or:   " : "-E is ", out);
		kt_filter_print(selection->filters.at[i], out);
		(void)fputc('\n', out);
	}
	for (size_t i = 0; i < selection->n_left_out; i++) {
		const struct kt_left_out *one = &selection->left_out[i];

		(void)fprintf(out, "left out: %s by %s%s%s\n", one->test->name,
			      kt_cause_text(one->cause), one->detail ? ": " : "",
			      one->detail ?: "");
	}
}

/* kernel() is answered for each kernel of a run, and a list has none. */
static size_t count_undecided(const struct kt_selection *selection)
{
	size_t n = 0;

	for (size_t i = 0; i < selection->n; i++)
		n += kt_filters_ask(&selection->filters, selection->tests[i], NULL) ==
		     KT_ANSWER_MAYBE;
	return n;
}

void kt_list_left_out(const struct kt_selection *selection, bool verbose, FILE *out)
{
	size_t n[KT_N_CAUSES] = { 0 }, n_undecided = count_undecided(selection);
	const char *separator = ": ";

	if (verbose)
		explain(selection, out);
	for (size_t i = 0; i < selection->n_left_out; i++)
		n[selection->left_out[i].cause]++;
	if (selection->n_left_out)
		(void)fprintf(out, "%zu of %zu tests; left out", selection->n,
			      selection->n + selection->n_left_out);
	for (int cause = 0; cause < KT_N_CAUSES; cause++) {
		if (!n[cause])
			continue;
		(void)fprintf(out, "%s%zu by %s", separator, n[cause],
			      kt_cause_text((enum kt_cause)cause));
		separator = ", ";
	}
	if (selection->n_left_out)
		(void)fputc('\n', out);
	if (n_undecided)
		(void)fprintf(out, "kernel() decides on %zu of them when they run\n", n_undecided);
}
