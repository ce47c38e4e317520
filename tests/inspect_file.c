/* SPDX-License-Identifier: MIT */
/*
 * Looks into the kernel of a RAM file: for checks and figures of vmm/inspect/.
 *
 * usage: inspect-file [-n TIMES] [-c CACHE] [-t] FILE WORDS|PATH...
 *
 * Each argument is a word with its argument ("tasks", "map pairs"), whose JSON is printed, or a
 * typed path. -t prints text for people. -n repeats each as often and prints the median time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/render.h"
#include "vmm/inspect/walk.h"

#define TIMES_MAX 1000

static bool as_text;

static int print_word(struct kt_inspect *inspect, const char *words, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	json_t *json;
	int r = kt_inspect_walk(inspect, words, NULL, &json, reterr);

	if (r < 0)
		return r;
	text = as_text ? kt_walk_text(json) : json_dumps(json, 0);
	json_decref(json);
	(void)puts(text ?: "");
	return 0;
}

static int print_path(struct kt_inspect *inspect, const char *path, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	struct kt_place place;
	int r = kt_inspect_resolve(inspect, path, &place, reterr)
			?: kt_render_text(inspect, &place, NULL, &text, reterr);

	if (r == 0)
		(void)puts(text);
	return r;
}

static int print(struct kt_inspect *inspect, const char *what, struct kt_err *reterr)
{
	char word[32];

	(void)snprintf(word, sizeof(word), "%.*s", (int)strcspn(what, " "), what);
	return kt_walk_word(word) ? print_word(inspect, what, reterr)
				  : print_path(inspect, what, reterr);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static int measure(struct kt_inspect *inspect, const char *what, int times, struct kt_err *reterr)
{
	static uint64_t ns[TIMES_MAX];

	for (int i = 0; i < times; i++) {
		uint64_t start = kt_now_ns();
		json_t *json;
		int r;

		kt_inspect_refresh(inspect);
		r = kt_inspect_walk(inspect, what, NULL, &json, reterr);
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
	int times = 0, option, r;

	while ((option = getopt(argc, argv, "n:c:t")) != -1) {
		if (option == 'n')
			times = KT_MIN(atoi(optarg), TIMES_MAX);
		else if (option == 'c')
			cache = optarg;
		else
			as_text = true;
	}
	if (optind + 2 > argc)
		return 2;
	r = kt_ram_open_file(argv[optind], false, &ram, &err)
		    ?: kt_inspect_open(ram, cache, &inspect, &err);
	for (int i = optind + 1; r == 0 && i < argc; i++)
		r = times > 0 ? measure(inspect, argv[i], times, &err)
			      : print(inspect, argv[i], &err);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", err.text);
	inspect = kt_inspect_close(inspect);
	ram = kt_ram_close(ram);
	return r < 0;
}
