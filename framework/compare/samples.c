/* SPDX-License-Identifier: MIT */
#include "framework/compare/samples.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/outcome/capture.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/parse.h"
#include "wire/json.h"

/*
 * A file becomes numbers in three parts: the verdict, what its workers have counted, and what its
 * payloads have printed. Members of another type than expected count as missing, as the report of a
 * guest that had to shed detail lacks them, too; only the frame of the file must be right.
 *
 * Names come from the files, so terminal control is removed from them here, once. What a file adds
 * and what all files add is bounded.
 */

#define FILE_MAX       ((size_t)64 << 20) /* bytes */
#define FILE_NUMBERS   100000u
#define TOTAL_NUMBERS  4000000u
#define GROUPS_MAX     256u /* of workers, in a test */
#define VALUE_MAX      1e60 /* so that its fourth power, which judging takes, is finite, too */
#define RESULT_VERSION 1

void kt_samples_deinit(struct kt_samples *samples)
{
	for (size_t i = 0; i < samples->n; i++)
		free(samples->at[i].test);
	free(samples->at);
	*samples = KT_SAMPLES_NULL;
}

/* ---- a file --------------------------------------------------------------------------------- */

/* A file that is being read. The first error stays, and nothing is added after it. */
struct reader {
	struct kt_samples *samples;
	const char *test;
	size_t n;
	int r;
	struct kt_err *reterr;
};

static int grow(struct kt_samples *samples)
{
	size_t room = samples->n_room ? 2 * samples->n_room : 64;
	struct kt_sample *grown;

	if (samples->n < samples->n_room)
		return 0;
	grown = reallocarray(samples->at, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	samples->at = grown;
	samples->n_room = room;
	return 0;
}

static int put(struct reader *reader, const char *metric, double value)
{
	struct kt_samples *samples = reader->samples;
	size_t len = strlen(reader->test) + 1;
	char *names;

	if (reader->n == FILE_NUMBERS || samples->n == TOTAL_NUMBERS)
		return kt_err_set(reader->reterr, -E2BIG, "more than %u numbers",
				  reader->n == FILE_NUMBERS ? FILE_NUMBERS : TOTAL_NUMBERS);
	names = malloc(len + strlen(metric) + 1);
	if (!names || grow(samples) < 0) {
		free(names);
		return kt_err_oom(reader->reterr);
	}
	memcpy(names, reader->test, len);
	strcpy(names + len, metric);
	kt_text_sanitize(names + len);
	samples->at[samples->n++] = (struct kt_sample){
		.test = names,
		.metric = names + len,
		.run = samples->n_runs,
		.value = value,
	};
	reader->n++;
	return 0;
}

static void add(struct reader *reader, const char *metric, double value)
{
	if (reader->r == 0 && *metric && fabs(value) <= VALUE_MAX)
		reader->r = put(reader, metric, value);
}

/* Adds "BEFORE.NAME.AFTER"; @after is "" or begins with a dot. */
static void add_named(struct reader *reader, const char *before, const char *name,
		      const char *after, double value)
{
	KT_FREE char *metric = kt_format("%s.%s%s", before, name, after);

	if (metric)
		add(reader, metric, value);
	else if (reader->r == 0)
		reader->r = kt_err_oom(reader->reterr);
}

static double number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

/* ---- workers -------------------------------------------------------------------------------- */

/* The shares of the CPU that the workers of a group had, in percent of their time. */
struct group {
	json_int_t number;
	double least, most;
};

static double add_to_group(struct group *groups, size_t *n, const json_t *worker)
{
	json_int_t number_of = json_integer_value(json_object_get(worker, "group"));
	double wall = number(worker, "wall_ns");
	double share = wall > 0 ? 100 * number(worker, "cpu_ns") / wall : 0;
	size_t i = 0;

	while (i < *n && groups[i].number != number_of)
		i++;
	if (i == GROUPS_MAX)
		return 0;
	if (i == *n)
		groups[(*n)++] = (struct group){ number_of, share, share };
	groups[i].least = fmin(groups[i].least, share);
	groups[i].most = fmax(groups[i].most, share);
	return groups[i].most - groups[i].least;
}

struct sums {
	double iterations, least, migrations, gap_ns, delay_ns, p50_ns, p99_ns, cv, spread;
};

static void add_worker(struct sums *sums, const json_t *worker)
{
	double iterations = number(worker, "iterations"), switches = number(worker, "switches");
	double delay = switches > 0 ? number(worker, "run_delay_ns") / switches : 0;

	sums->iterations += iterations;
	sums->least = fmin(sums->least, iterations);
	sums->migrations += number(worker, "migrations");
	sums->gap_ns = fmax(sums->gap_ns, number(worker, "max_gap_ns"));
	sums->delay_ns = fmax(sums->delay_ns, delay);
	sums->p50_ns = fmax(sums->p50_ns, number(worker, "wake_p50_ns"));
	sums->p99_ns = fmax(sums->p99_ns, number(worker, "wake_p99_ns"));
	sums->cv = fmax(sums->cv, number(worker, "wake_cv"));
}

/* Work that measures no latencies has none, rather than very short ones. */
static void add_sums(struct reader *reader, const struct sums *sums)
{
	add(reader, "iterations", sums->iterations);
	add(reader, "iterations_worst", sums->least);
	add(reader, "migrations", sums->migrations);
	add(reader, "gap_ms", sums->gap_ns / 1e6);
	add(reader, "run_delay_us", sums->delay_ns / 1e3);
	add(reader, "spread_percent", sums->spread);
	if (sums->p99_ns <= 0)
		return;
	add(reader, "wake_p50_us", sums->p50_ns / 1e3);
	add(reader, "wake_p99_us", sums->p99_ns / 1e3);
	add(reader, "wake_cv", sums->cv);
}

static void read_workers(struct reader *reader, const json_t *workers)
{
	struct sums sums = { .least = INFINITY };
	struct group groups[GROUPS_MAX];
	size_t n = 0, i;
	const json_t *worker;

	json_array_foreach((json_t *)workers, i, worker)
	{
		add_worker(&sums, worker);
		sums.spread = fmax(sums.spread, add_to_group(groups, &n, worker));
	}
	if (json_array_size(workers))
		add_sums(reader, &sums);
}

/* ---- steps and payloads --------------------------------------------------------------------- */

static void read_steps(struct reader *reader, const json_t *steps)
{
	const json_t *step, *cgroup;
	size_t i, k;

	json_array_foreach((json_t *)steps, i, step)
	{
		double iterations = 0;
		char number_of[24];

		(void)snprintf(number_of, sizeof(number_of), "%zu", i);
		json_array_foreach(json_object_get(step, "cgroups"), k, cgroup) iterations +=
			number(cgroup, "iterations");
		if (json_array_size(json_object_get(step, "cgroups")))
			add_named(reader, "step",
				  *kt_json_str(step, "name") ? kt_json_str(step, "name")
							     : number_of,
				  ".iterations", iterations);
	}
}

static void read_payloads(struct reader *reader, const json_t *payloads)
{
	const json_t *payload, *value;
	const char *name;
	size_t i;

	json_array_foreach((json_t *)payloads, i, payload)
	{
		json_object_foreach(json_object_get(payload, "metrics"), name, value)
		{
			if (json_is_number(value))
				add_named(reader, kt_json_str(payload, "name"), name, "",
					  json_number_value(value));
		}
	}
}

/* ---- the frame of a file -------------------------------------------------------------------- */

static void read_scenario(struct reader *reader, const json_t *scenario)
{
	read_workers(reader, json_object_get(scenario, "workers"));
	read_steps(reader, json_object_get(scenario, "steps"));
	read_payloads(reader, json_object_get(scenario, "payloads"));
}

static void read_attempt(struct reader *reader, const json_t *json, const json_t *attempt)
{
	const json_t *result = json_object_get(attempt, "result");
	const char *verdict = kt_json_str(json, "verdict");
	bool passed = !strcmp(verdict, "pass");

	if (passed || !strcmp(verdict, "fail") || !strcmp(verdict, "error"))
		add(reader, KT_METRIC_FAILED, !passed);
	if (!passed)
		return;
	if (json_is_integer(json_object_get(result, "duration_ns")))
		add(reader, "duration_ms", number(result, "duration_ns") / 1e6);
	if (json_is_integer(json_object_get(json, KT_METRIC_MIPS)))
		add(reader, KT_METRIC_MIPS, number(json, KT_METRIC_MIPS));
	read_scenario(reader, json_object_get(result, "scenario"));
}

/* Whether the file is a result at all, and one that we understand. */
static int check_frame(const json_t *json, struct kt_err *reterr)
{
	const json_t *attempts = json_object_get(json, "attempts");
	int64_t version;

	if (!json_object_get(json, "test") && !attempts)
		return kt_err_set(reterr, -ENODATA, "is no result of a test");
	if (!*kt_json_str(json, "test"))
		return kt_err_set(reterr, -EBADMSG, "member 'test' is no name");
	if (kt_json_get_int(json, "version", RESULT_VERSION, RESULT_VERSION, &version) < 0)
		return kt_err_set(reterr, -EBADMSG, "member 'version' is not %d", RESULT_VERSION);
	if (!*kt_json_str(json, "verdict"))
		return kt_err_set(reterr, -EBADMSG, "member 'verdict' is no text");
	if (!json_array_size(attempts))
		return kt_err_set(reterr, -EBADMSG, "member 'attempts' has no attempt");
	return 0;
}

/* Removes "[KERNEL]" from the end of @test; false when it ends otherwise. */
static bool remove_label(char *test, const char *kernel)
{
	size_t len = strlen(test), of_kernel = strlen(kernel);

	if (len < of_kernel + 3 || test[len - 1] != ']' || test[len - of_kernel - 2] != '[' ||
	    strncmp(test + len - of_kernel - 1, kernel, of_kernel))
		return false;
	test[len - of_kernel - 2] = '\0';
	return true;
}

int kt_samples_add(struct kt_samples *samples, const char *kernel, const char *name,
		   const char *text, size_t len, struct kt_err *reterr)
{
	struct reader reader = { .samples = samples, .reterr = reterr };
	KT_JSON json_t *json = NULL;
	KT_FREE char *test = NULL;
	const json_t *attempts;
	int r = kt_json_parse(text, len, "the file", &json, reterr) ?: check_frame(json, reterr);

	if (r < 0)
		return r;
	test = strdup(kt_json_str(json, "test"));
	if (!test)
		return kt_err_oom(reterr);
	kt_text_sanitize(test);
	if (kernel && !remove_label(test, kernel))
		return 0;
	reader.test = name ?: test;
	attempts = json_object_get(json, "attempts");
	read_attempt(&reader, json, json_array_get(attempts, json_array_size(attempts) - 1));
	samples->n_runs++;
	return reader.r;
}

int kt_samples_add_result(struct kt_samples *samples, const char *test,
			  const struct kt_result *result, struct kt_err *reterr)
{
	struct reader reader = { .samples = samples, .test = test, .reterr = reterr };

	add(&reader, "duration_ms", (double)result->duration_ns / 1e6);
	read_scenario(&reader, result->scenario);
	samples->n_runs++;
	return reader.r;
}

/* ---- directories ---------------------------------------------------------------------------- */

/* What an argument of the command line names. */
struct source {
	char *dir;
	char *test;   /* beginning of the files' names; NULL: all */
	char *kernel; /* NULL: any */
};

static void source_deinit(struct source *source)
{
	free(source->dir);
	free(source->test);
	free(source->kernel);
}

bool kt_samples_is_test(const char *path)
{
	const char *label = strrchr(path, '[');
	KT_FREE char *dir = label ? strndup(path, (size_t)(label - path)) : NULL;

	return !kt_is_directory(path) && !(dir && kt_is_directory(dir));
}

static int parse_source(const char *path, struct source *source)
{
	const char *label = strrchr(path, '['), *slash = strrchr(path, '/');
	size_t len = strlen(path);

	if (kt_is_directory(path)) {
		source->dir = strdup(path);
	} else if (label && kt_ends_with(path, "]") && !kt_samples_is_test(path)) {
		source->dir = strndup(path, (size_t)(label - path));
		source->kernel = strndup(label + 1, (size_t)(path + len - label) - 2);
	} else {
		source->dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
		source->test = strdup(slash ? slash + 1 : path);
		if (source->test && kt_ends_with(source->test, ".json"))
			source->test[strlen(source->test) - 5] = '\0';
	}
	return source->dir && (source->test || source->kernel || kt_is_directory(path)) ? 0
											: -ENOMEM;
}

/* Whether a file of that name can be a result that the source names. */
static bool is_wanted(const struct source *source, const char *file)
{
	size_t len = source->test ? strlen(source->test) : 0;

	if (!kt_ends_with(file, ".json") || kt_ends_with(file, ".failure.json"))
		return false;
	if (!len)
		return true;
	return !strncmp(file, source->test, len) &&
	       (!strcmp(file + len, ".json") || !strncmp(file + len, "@stress-", 8));
}

static int read_one(struct kt_samples *samples, const struct source *source, const char *file,
		    const char *name, struct kt_err *reterr)
{
	KT_FREE char *path = kt_format("%s/%s", source->dir, file), *text = NULL;
	size_t len;
	int r;

	if (!path)
		return kt_err_oom(reterr);
	if (!kt_file_readable(path))
		return kt_err_set(reterr, -EINVAL, "'%s' is no regular file that can be read",
				  path);
	r = kt_file_read(path, FILE_MAX, &text, &len);
	if (r < 0)
		return kt_err_set(reterr, r, "'%s': %s", path, strerror(-r));
	r = kt_samples_add(samples, source->kernel, name, text, len, reterr);
	if (r == -ENODATA && !source->test) {
		samples->n_else++;
		return 0;
	}
	return r < 0 ? kt_err_prefix(reterr, r, "'%s'", path) : 0;
}

static int read_files(struct kt_samples *samples, const struct source *source, DIR *dir,
		      const char *name, struct kt_err *reterr)
{
	int r = 0;

	for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
		if (is_wanted(source, entry->d_name))
			r = read_one(samples, source, entry->d_name, name, reterr);
	}
	return r;
}

static int nothing_read(const struct source *source, const char *path, struct kt_err *reterr)
{
	if (source->kernel)
		return kt_err_set(reterr, -ENOENT,
				  "'%s': no results of a kernel '%s' are there; reports have its "
				  "name in brackets behind each test",
				  path, source->kernel);
	return kt_err_set(reterr, -ENOENT,
			  "'%s': no results are there; -o DIR of a run writes them", path);
}

int kt_samples_read(struct kt_samples *samples, const char *path, const char *name,
		    struct kt_err *reterr)
{
	KT_CLEANUP(source_deinit) struct source source = { .dir = NULL };
	DIR *dir;
	int r;

	if (parse_source(path, &source) < 0)
		return kt_err_oom(reterr);
	dir = opendir(source.dir);
	if (!dir)
		return kt_err_set(reterr, -errno, "'%s': %m", source.dir);
	r = read_files(samples, &source, dir, name, reterr);
	(void)closedir(dir);
	return r == 0 && !samples->n_runs ? nothing_read(&source, path, reterr) : r;
}

/* ---- order ---------------------------------------------------------------------------------- */

int kt_sample_order(const struct kt_sample *left, const struct kt_sample *right)
{
	return strcmp(left->test, right->test) ?: strcmp(left->metric, right->metric);
}

static int by_name_and_run(const void *a, const void *b)
{
	const struct kt_sample *left = a, *right = b;

	return kt_sample_order(left, right) ?: (left->run > right->run) - (left->run < right->run);
}

void kt_samples_sort(struct kt_samples *samples)
{
	size_t kept = 0, n = 0;

	if (samples->n)
		qsort(samples->at, samples->n, sizeof(*samples->at), by_name_and_run);
	for (size_t i = 0; i < samples->n; i++) {
		struct kt_sample *last = kept ? &samples->at[kept - 1] : NULL;

		if (!last || by_name_and_run(last, &samples->at[i])) {
			samples->at[kept++] = samples->at[i];
			n = 1;
			continue;
		}
		last->value += (samples->at[i].value - last->value) / (double)++n;
		free(samples->at[i].test);
	}
	samples->n = kept;
}

/* The first sample that is not before @wanted. */
static size_t lower_bound(const struct kt_samples *samples, const struct kt_sample *wanted)
{
	size_t low = 0, high = samples->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (kt_sample_order(&samples->at[middle], wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct kt_series kt_samples_series(const struct kt_samples *samples, const char *test,
				   const char *metric)
{
	const struct kt_sample wanted = { .test = (char *)test, .metric = metric };
	struct kt_series series = KT_SERIES_NULL;

	for (size_t i = lower_bound(samples, &wanted);
	     i < samples->n && !kt_sample_order(&samples->at[i], &wanted); i++)
		kt_series_add(&series, samples->at[i].value);
	return series;
}
