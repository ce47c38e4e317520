/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/merge/shards.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/names.h"

/*
 * The proof has three steps, and each needs those before it:
 *
 * 1. All records are of one run: they agree in its name, the program, the list of tests and the way
 *    it was divided. Each number is there once.
 * 2. The lists that the shards have taken are disjoint, and together they are the whole list.
 * 3. Each shard has a result for each test that it took, on every kernel and in every round.
 *
 * Nothing is trusted that another record says: where two disagree, both files are named.
 */

#define NAMES_MAX 20u /* that a line lists; the rest is counted */

/* ---- 1: one run ------------------------------------------------------------------------------ */

/* An empty text is not known: it agrees with all. */
static bool differ(const char *a, const char *b)
{
	return *a && *b && strcmp(a, b) != 0;
}

static bool has_name(const struct kt_shard_head *head, const char *name)
{
	for (size_t i = 0; i < head->n_all; i++) {
		if (!strcmp(head->all[i], name))
			return true;
	}
	return false;
}

/* The first name that only @head has; NULL when there is none. */
static const char *only_in(const struct kt_shard_head *head, const struct kt_shard_head *other)
{
	for (size_t i = 0; i < head->n_all; i++) {
		if (!has_name(other, head->all[i]))
			return head->all[i];
	}
	return NULL;
}

static void tell_lists(struct kt_merge *merge, const struct kt_merge_shard *a,
		       const struct kt_merge_shard *b)
{
	const char *in_a = only_in(&a->record.head, &b->record.head);
	const char *in_b = only_in(&b->record.head, &a->record.head);

	kt_merge_fault(merge,
		       "a stale list of tests: '%s' divides %zu tests and '%s' %zu%s%s%s%s%s",
		       a->path, a->record.head.n_all, b->path, b->record.head.n_all,
		       in_a ? "; only the first has " : "", in_a ?: "",
		       in_b ? "; only the second has " : "", in_b ?: "",
		       in_a || in_b ? "" : ", in another order");
}

static bool same_lists(const struct kt_shard_head *a, const struct kt_shard_head *b)
{
	return a->n_all == b->n_all &&
	       kt_shard_names_hash(a->all, a->n_all) == kt_shard_names_hash(b->all, b->n_all);
}

/* An empty shard does not know the kernels, because it has had none. */
static bool same_kernels(const struct kt_shard_head *a, const struct kt_shard_head *b)
{
	return !*a->kernel || !*b->kernel ||
	       (a->n_labels == b->n_labels && kt_shard_names_hash(a->labels, a->n_labels) ==
						      kt_shard_names_hash(b->labels, b->n_labels));
}

/* Compares the record with the first one. */
static void compare_heads(struct kt_merge *merge, const struct kt_merge_shard *first,
			  const struct kt_merge_shard *shard)
{
	const struct kt_shard_head *a = &first->record.head, *b = &shard->record.head;

	if (a->total != b->total)
		kt_merge_fault(merge,
			       "two divisions are mixed: '%s' is one of %u shards, '%s' of %u",
			       first->path, a->total, shard->path, b->total);
	if (strcmp(a->run, b->run) != 0)
		kt_merge_fault(merge, "two runs are mixed: '%s' is of run '%s', '%s' of run '%s'",
			       first->path, a->run, shard->path, b->run);
	if (differ(a->program, b->program))
		kt_merge_fault(merge, "two programs are mixed: '%s' is of build %s, '%s' of %s",
			       first->path, a->program, shard->path, b->program);
	if (!same_lists(a, b))
		tell_lists(merge, first, shard);
	else if (strcmp(a->partition, b->partition) != 0)
		kt_merge_fault(merge, "'%s' was divided by %s, '%s' by %s", first->path,
			       a->partition, shard->path, b->partition);
	else if (a->timings != b->timings)
		kt_merge_fault(merge, "'%s' and '%s' were divided by different --timings",
			       first->path, shard->path);
	if (a->rounds != b->rounds)
		kt_merge_fault(merge, "'%s' has %u rounds of each test, '%s' %u", first->path,
			       a->rounds, shard->path, b->rounds);
	if (differ(a->kernel, b->kernel) || !same_kernels(a, b))
		kt_merge_fault(merge, "two kernels are mixed: '%s' ran on %s, '%s' on %s",
			       first->path, a->kernel, shard->path, b->kernel);
}

static void compare_numbers(struct kt_merge *merge)
{
	for (size_t i = 1; i < merge->n; i++) {
		const struct kt_merge_shard *a = &merge->shards[i - 1], *b = &merge->shards[i];

		if (a->record.head.total == b->record.head.total &&
		    a->record.head.index == b->record.head.index)
			kt_merge_fault(merge, "shard %u of %u is there twice: '%s' and '%s'",
				       a->record.head.index, a->record.head.total, a->path,
				       b->path);
	}
}

/* The shards are sorted, and of one division. */
static void find_lost(struct kt_merge *merge)
{
	unsigned int total = merge->shards[0].record.head.total, n = 0;
	size_t at = 0;

	for (unsigned int index = 1; index <= total; index++) {
		bool found = false;

		for (; at < merge->n && merge->shards[at].record.head.index == index; at++)
			found = true;
		if (!found && n++ < NAMES_MAX)
			kt_merge_fault(merge,
				       "shard %u of %u is lost: no shard-%u-of-%u.json is there",
				       index, total, index, total);
	}
	if (n > NAMES_MAX)
		kt_merge_fault(merge, "and %u more shards are lost", n - NAMES_MAX);
}

/* The first shard is compared with all: it is the one that knows its kernels. */
static void prove_one_run(struct kt_merge *merge)
{
	const struct kt_merge_shard *first = &merge->shards[0];

	for (size_t i = 0; i < merge->n; i++) {
		if (*merge->shards[i].record.head.kernel) {
			first = &merge->shards[i];
			break;
		}
	}
	for (size_t i = 0; i < merge->n; i++) {
		if (&merge->shards[i] != first)
			compare_heads(merge, first, &merge->shards[i]);
	}
	compare_numbers(merge);
	if (merge->shards[0].record.head.total == merge->shards[merge->n - 1].record.head.total)
		find_lost(merge);
}

/* ---- 2: a division --------------------------------------------------------------------------- */

/* A name that a shard took, or that the list has. */
struct claim {
	const char *test;
	const struct kt_merge_shard *shard;
};

static int by_test(const void *a, const void *b)
{
	return strcmp(((const struct claim *)a)->test, ((const struct claim *)b)->test);
}

/* A line that lists names as far as there is room. */
struct names {
	FILE *out;
	char *text;
	size_t len, n;
};

static void names_add(struct names *names, const char *test, const char *label)
{
	if (!names->out)
		names->out = open_memstream(&names->text, &names->len);
	if (names->out && names->n < NAMES_MAX)
		(void)fprintf(names->out, "%s%s%s%s%s", names->n ? ", " : "", test,
			      *label ? "[" : "", label, *label ? "]" : "");
	names->n++;
}

/* Tells the fault and frees the names. */
static void names_tell(struct names *names, struct kt_merge *merge, const char *what)
{
	if (names->out && names->n > NAMES_MAX)
		(void)fprintf(names->out, " and %zu more", names->n - NAMES_MAX);
	if (names->out)
		(void)fclose(names->out);
	if (names->n)
		kt_merge_fault(merge, "%zu test%s %s: %s", names->n, names->n == 1 ? "" : "s", what,
			       names->text ?: "out of memory");
	free(names->text);
	*names = (struct names){ .n = 0 };
}

/* All names that shards took, sorted. NULL when out of memory. */
static struct claim *collect_claims(const struct kt_merge *merge, size_t *ret_n)
{
	struct claim *claims;
	size_t n = 0;

	for (size_t i = 0; i < merge->n; i++)
		n += merge->shards[i].record.head.n_selected;
	claims = calloc(n + 1, sizeof(*claims));
	*ret_n = 0;
	for (size_t i = 0; claims && i < merge->n; i++) {
		const struct kt_shard_head *head = &merge->shards[i].record.head;

		for (size_t k = 0; k < head->n_selected; k++)
			claims[(*ret_n)++] = (struct claim){ head->selected[k], &merge->shards[i] };
	}
	if (claims)
		qsort(claims, *ret_n, sizeof(*claims), by_test);
	return claims;
}

static void find_doubled(struct kt_merge *merge, const struct claim *claims, size_t n)
{
	unsigned int n_told = 0;

	for (size_t i = 1; i < n; i++) {
		if (strcmp(claims[i - 1].test, claims[i].test) != 0 || n_told++ >= NAMES_MAX)
			continue;
		kt_merge_fault(merge, "test %s is doubled: '%s' and '%s' both have it",
			       claims[i].test, claims[i - 1].shard->path, claims[i].shard->path);
	}
}

static int prove_division(struct kt_merge *merge)
{
	const struct kt_shard_head *head = &merge->shards[0].record.head;
	KT_FREE struct claim *claims = NULL;
	KT_FREE struct claim *all = calloc(head->n_all + 1, sizeof(*all));
	struct names missing = { .n = 0 }, foreign = { .n = 0 };
	size_t n = 0;

	claims = collect_claims(merge, &n);
	if (!claims || !all)
		return -ENOMEM;
	for (size_t i = 0; i < head->n_all; i++) {
		all[i].test = head->all[i];
		if (!bsearch(&all[i], claims, n, sizeof(*claims), by_test))
			names_add(&missing, head->all[i], "");
	}
	qsort(all, head->n_all, sizeof(*all), by_test);
	for (size_t i = 0; i < n; i++) {
		if (!bsearch(&claims[i], all, head->n_all, sizeof(*all), by_test))
			names_add(&foreign, claims[i].test, "");
	}
	names_tell(&missing, merge, "in no shard");
	names_tell(&foreign, merge, "of a shard, but not of the list");
	find_doubled(merge, claims, n);
	return 0;
}

/* ---- 3: results ------------------------------------------------------------------------------ */

static int by_place(const void *a, const void *b)
{
	const struct kt_shard_result *left = a, *right = b;

	return strcmp(left->test, right->test) ?: strcmp(left->label, right->label)
		       ?: (left->iteration > right->iteration) -
				  (left->iteration < right->iteration);
}

static bool has_result(const struct kt_shard_record *record, const char *test, const char *label,
		       unsigned int iteration)
{
	struct kt_shard_result wanted = { .test = test, .label = label, .iteration = iteration };

	return bsearch(&wanted, record->results, record->n_results, sizeof(wanted), by_place);
}

/* Rounds without a number: a test that has a first one counts. */
static void find_unfinished(struct kt_merge *merge, const struct kt_merge_shard *shard)
{
	const struct kt_shard_record *record = &shard->record;
	const struct kt_shard_head *head = &record->head;
	KT_FREE char *what = kt_format("without a result in '%s'%s", shard->path,
				       head->complete ? "" : ", whose run ended early");
	struct names missing = { .n = 0 };

	for (size_t i = 0; i < head->n_selected; i++) {
		for (size_t k = 0; k < KT_MAX(head->n_labels, (size_t)1); k++) {
			const char *label = head->n_labels ? head->labels[k] : "";
			unsigned int round = 1, rounds = KT_MAX(head->rounds, 1u);

			/* The first round that is missing ends it. */
			while (round <= rounds &&
			       has_result(record, head->selected[i], label, round))
				round++;
			if (round <= rounds)
				names_add(&missing, head->selected[i], label);
		}
	}
	if (!missing.n && !head->complete && head->rounds)
		kt_merge_fault(merge, "'%s': its run ended early", shard->path);
	names_tell(&missing, merge, what ?: "without a result");
}

/* Results that are there twice, or of tests that the shard did not take. */
static int find_surplus(struct kt_merge *merge, const struct kt_merge_shard *shard)
{
	const struct kt_shard_record *record = &shard->record;
	size_t n = record->head.n_selected;
	KT_FREE const char **taken = calloc(n + 1, sizeof(*taken));
	KT_FREE char *twice = kt_format("with two results in '%s'", shard->path);
	KT_FREE char *foreign = kt_format("of another shard with a result in '%s'", shard->path);
	struct names doubled = { .n = 0 }, others = { .n = 0 };

	if (!taken || !twice || !foreign)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		taken[i] = record->head.selected[i];
	n = kt_names_sort(taken, n);
	for (size_t i = 0; i < record->n_results; i++) {
		const struct kt_shard_result *at = &record->results[i];

		if (i && !by_place(at - 1, at))
			names_add(&doubled, at->test, at->label);
		if (!kt_names_has(taken, n, at->test))
			names_add(&others, at->test, at->label);
	}
	names_tell(&doubled, merge, twice);
	names_tell(&others, merge, foreign);
	return 0;
}

static int prove_results(struct kt_merge *merge)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < merge->n; i++) {
		struct kt_shard_record *record = &merge->shards[i].record;

		if (record->n_results)
			qsort(record->results, record->n_results, sizeof(*record->results),
			      by_place);
		find_unfinished(merge, &merge->shards[i]);
		r = find_surplus(merge, &merge->shards[i]);
	}
	return r;
}

int kt_merge_prove(struct kt_merge *merge)
{
	int r;

	if (!merge->n) {
		kt_merge_fault(merge, "no shard-M-of-N.json is there; a run with --shard and -o "
				      "writes it");
		return 0;
	}
	prove_one_run(merge);
	/* What is missing of the list is worth to be told when shards are lost, not when mixed. */
	for (size_t i = 1; i < merge->n; i++) {
		if (!same_lists(&merge->shards[0].record.head, &merge->shards[i].record.head))
			return 0;
	}
	r = prove_division(merge);
	return r ?: prove_results(merge);
}
