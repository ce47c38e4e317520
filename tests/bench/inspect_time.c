/* SPDX-License-Identifier: MIT */
/*
 * How long walks over the kernel in a RAM file take: the median, one line of JSON for each.
 *
 * usage: inspect-time [-n TIMES] [-c CACHE] FILE WORDS...
 *
 * The words are those of `ktests inspect`; "snapshot" is a whole report, and its text.
 *
 * RAM files are made by tests/ramdump.py. The figures are meaningful on a quiet host only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/walk.h"
#include "vmm/snapshot/snapshot.h"

#define TIMES_MAX 1000

static int by_size(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* What a session does: makes the report, and keeps it as text. */
static int take_snapshot(struct kt_inspect *inspect, json_t **ret_json, struct kt_err *reterr)
{
	const struct kt_snapshot_moment moment = {
		.name = "bench", .reason = "request", .elapsed_ns = -1, .step = -1, .vcpu = -1
	};
	int r = kt_snapshot_take(inspect, &moment, ret_json, reterr);

	if (r == 0)
		free(json_dumps(*ret_json, JSON_COMPACT));
	return r;
}

static int measure(struct kt_inspect *inspect, const char *what, int times, struct kt_err *reterr)
{
	static uint64_t ns[TIMES_MAX];

	for (int i = 0; i < times; i++) {
		uint64_t start = kt_now_ns();
		json_t *json;
		int r;

		kt_inspect_refresh(inspect);
		r = strcmp(what, "snapshot") ? kt_inspect_walk(inspect, what, NULL, &json, reterr)
					     : take_snapshot(inspect, &json, reterr);
		if (r < 0)
			return r;
		json_decref(json);
		ns[i] = kt_now_ns() - start;
	}
	qsort(ns, (size_t)times, sizeof(ns[0]), by_size);
	printf("{\"figure\": \"inspect %s\", \"ms\": %.3f, \"min_ms\": %.3f}\n", what,
	       (double)ns[times / 2] / 1e6, (double)ns[0] / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_ram *ram = NULL;
	const char *cache = NULL;
	int times = 100, option, r;

	while ((option = getopt(argc, argv, "n:c:")) != -1) {
		if (option == 'n')
			times = atoi(optarg);
		else if (option == 'c')
			cache = optarg;
	}
	if (optind + 2 > argc || times < 1 || times > TIMES_MAX)
		return 2;
	r = kt_ram_open_file(argv[optind], false, &ram, &err)
		    ?: kt_inspect_open(ram, cache, &inspect, &err);
	for (int i = optind + 1; r == 0 && i < argc; i++)
		r = measure(inspect, argv[i], times, &err);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", err.text);
	inspect = kt_inspect_close(inspect);
	ram = kt_ram_close(ram);
	return r < 0;
}
