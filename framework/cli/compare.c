/* SPDX-License-Identifier: MIT */
#include "framework/cli/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/compare/compare.h"
#include "framework/declaration/registry.h"
#include "framework/report/file.h"
#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * Gates come from three places, of which a later one counts more: the built-in ones, what the
 * payloads of this program declare of their metrics, and --gate.
 */

/* A vector of gates with the texts that they borrow. */
struct gates {
	struct kt_gate *at;
	char **texts;
	size_t n, n_texts;
};

static void gates_deinit(struct gates *gates)
{
	for (size_t i = 0; i < gates->n_texts; i++)
		free(gates->texts[i]);
	free((void *)gates->texts);
	free(gates->at);
}

/* Room for one more; @text becomes its own, also after a failure. */
static int add_gate(struct gates *gates, char *text, struct kt_gate gate)
{
	struct kt_gate *at = reallocarray(gates->at, gates->n + 1, sizeof(*at));
	char **texts = reallocarray((void *)gates->texts, gates->n_texts + 1, sizeof(*texts));

	gates->at = at ?: gates->at;
	gates->texts = texts ?: gates->texts;
	if (!text || !at || !texts) {
		free(text);
		return -ENOMEM;
	}
	texts[gates->n_texts++] = text;
	at[gates->n++] = gate;
	return 0;
}

static int add_payload(struct gates *gates, const struct kt_payload *payload)
{
	const struct kt_metric_def *def = payload->metrics;
	int r = 0;

	for (; r == 0 && def && !def->end; def++) {
		char *text = kt_format("%s.%s", payload->name, def->name);
		struct kt_gate gate = {
			.metric = text,
			.better = def->better,
			.relative = KT_GATE_RELATIVE,
		};

		r = add_gate(gates, text, gate);
	}
	return r;
}

static int add_options(struct gates *gates, const struct kt_options *options, struct kt_err *reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->gates.n; i++) {
		char *text = strdup(options->gates.at[i]);
		struct kt_gate gate;

		r = text ? kt_gate_parse(text, &gate, reterr) : kt_err_oom(reterr);
		if (r < 0)
			free(text);
		else
			r = add_gate(gates, text, gate) < 0 ? kt_err_oom(reterr) : 0;
	}
	return r;
}

static int collect_gates(struct gates *gates, const struct kt_options *options,
			 struct kt_err *reterr)
{
	int r = 0;

	for (const struct kt_payload_node *node = kt_payload_registry(); node; node = node->next)
		r = r ?: add_payload(gates, node->payload);
	return r < 0 ? kt_err_oom(reterr) : add_options(gates, options, reterr);
}

/* Two tests are compared whatever their names are. */
static int read_sides(const struct kt_options *options, struct kt_samples *a, struct kt_samples *b,
		      struct kt_err *reterr)
{
	const char *const *paths = options->tests.at;
	bool tests = kt_samples_is_test(paths[0]) && kt_samples_is_test(paths[1]);
	const char *slash = strrchr(paths[0], '/');
	const char *name = tests ? slash ? slash + 1 : paths[0] : NULL;
	int r = kt_samples_read(a, paths[0], name, reterr)
			?: kt_samples_read(b, paths[1], name, reterr);

	kt_samples_sort(a);
	kt_samples_sort(b);
	return r;
}

static int write_page(const char *path, const struct kt_comparison *comparison,
		      struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	struct kt_report_file *file = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return kt_err_oom(reterr);
	kt_comparison_put_html(out, comparison);
	if (fclose(out))
		return kt_err_oom(reterr);
	r = kt_report_file_open(path, &file, reterr)
		    ?: kt_report_file_write(file, text, len, reterr);
	file = kt_report_file_free(file);
	return r;
}

/* The text goes where the page does not. */
static enum kt_exit_status show(const struct kt_options *options,
				const struct kt_comparison *comparison, struct kt_err *reterr)
{
	FILE *out = options->html && !strcmp(options->html, "-") ? stderr : stdout;
	int r;

	kt_comparison_put_text(out, comparison, options->verbose);
	r = kt_report_flush(out);
	if (r < 0) {
		(void)kt_err_set(reterr, r, "standard output: %s", strerror(-r));
		return KT_EXIT_STATUS_REPORT;
	}
	if (options->html && write_page(options->html, comparison, reterr) < 0)
		return KT_EXIT_STATUS_REPORT;
	if (!comparison->n_common) {
		(void)kt_err_set(reterr, 0, "'%s' and '%s' have no metric of a test in common",
				 comparison->a, comparison->b);
		return KT_EXIT_STATUS_NO_TESTS;
	}
	return comparison->by_change[KT_CHANGE_WORSE] ? KT_EXIT_STATUS_FAILED : KT_EXIT_STATUS_OK;
}

static enum kt_exit_status compare(const struct kt_options *options, struct kt_err *reterr)
{
	KT_CLEANUP(gates_deinit) struct gates gates = { .n = 0 };
	KT_CLEANUP(kt_samples_deinit) struct kt_samples a = KT_SAMPLES_NULL, b = KT_SAMPLES_NULL;
	KT_CLEANUP(kt_comparison_deinit) struct kt_comparison comparison = KT_COMPARISON_NULL;
	int r = collect_gates(&gates, options, reterr);

	if (r < 0)
		return r == -EINVAL ? KT_EXIT_STATUS_USAGE : KT_EXIT_STATUS_HARNESS;
	if (read_sides(options, &a, &b, reterr) < 0)
		return KT_EXIT_STATUS_HARNESS;
	if (kt_compare(&a, &b, gates.at, gates.n, &comparison) < 0) {
		(void)kt_err_oom(reterr);
		return KT_EXIT_STATUS_HARNESS;
	}
	comparison.a = options->tests.at[0];
	comparison.b = options->tests.at[1];
	if (a.n_else + b.n_else)
		(void)fprintf(stderr, "warning: %u JSON files that hold no results are left out\n",
			      a.n_else + b.n_else);
	return show(options, &comparison, reterr);
}

enum kt_exit_status kt_compare_command(const struct kt_options *options)
{
	struct kt_err err = KT_ERR_NULL;
	enum kt_exit_status status = compare(options, &err);

	if (*err.text)
		(void)fprintf(stderr, "ktests: %s\n", err.text);
	return status;
}
