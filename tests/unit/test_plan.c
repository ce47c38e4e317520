/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/options/shard.h"
#include "framework/run/queue.h"
#include "framework/select/plan.h"
#include "framework/setup/limits.h"
#include "framework/setup/time.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

UNIT_SUITE(plan);
UNIT_SUITE(queue);
UNIT_SUITE(limits);

/* ---- plans ------------------------------------------------------------------------------------
 */

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define N_KINDS 3 /* of machines: '0' to '2'; '3' and '4' declare the defaults of '0' */

/* Tests whose names are single letters, so that an order is a word. */
struct letters {
	char names[sizeof(LETTERS) - 1][2];
	struct kt_test tests[sizeof(LETTERS) - 1];
	const struct kt_test *list[sizeof(LETTERS) - 1];
	struct kt_selection selection;
};

/* @kinds has a digit for each letter of @names: the kind of that test's machine. */
static void letters_init(struct letters *letters, const char *names, const char *kinds)
{
	static const struct kt_test machines[] = {
		{ .name = NULL },
		{ .topology = { .llcs = 2, .cores = 2 } },
		{ .memory_mib = 1024 },
		{ .topology = { .numa_nodes = 1, .llcs = 1, .cores = 2, .threads = 1 } },
		{ .memory_mib = 512 },
		{ .disk_mib = 16 },
		{ .net = true },
	};
	size_t n = strlen(names);

	for (size_t i = 0; i < n; i++) {
		letters->names[i][0] = names[i];
		letters->names[i][1] = '\0';
		letters->tests[i] = machines[kinds[i] - '0'];
		letters->tests[i].name = letters->names[i];
		letters->list[i] = &letters->tests[i];
	}
	letters->selection = (struct kt_selection){ .tests = letters->list, .n = n };
}

static const struct kt_options unshuffled = { .shard = { KT_PARTITION_SLICE, 1, 1 } };

static struct kt_options shuffled(uint64_t seed)
{
	struct kt_options options = unshuffled;

	options.shuffle = true;
	options.seed = seed;
	return options;
}

/* The letters of the plan in its order. @word has room for all. */
static char *plan_word(const struct letters *letters, const struct kt_options *options, char *word)
{
	struct kt_plan plan;

	cr_assert(zero(int, kt_plan_init(&plan, &letters->selection, options, NULL)));
	cr_assert(eq(sz, plan.n_before, letters->selection.n));
	for (size_t i = 0; i < plan.n; i++)
		word[i] = plan.tests[i]->name[0];
	word[plan.n] = '\0';
	kt_plan_deinit(&plan);
	return word;
}

Test(plan, tests_of_one_machine_come_together)
{
	static const struct {
		const char *names, *kinds, *order;
	} cases[] = {
		{ "", "", "" },
		{ "abcd", "0000", "abcd" },
		{ "abc", "012", "abc" },
		{ "abcdef", "010101", "acebdf" },
		{ "abcdef", "012210", "afbecd" },
		{ "fedcba", "001122", "fedcba" },
		{ "abcd", "1210", "acbd" },
		{ "abc", "013", "acb" },
		{ "abc", "024", "acb" },
		{ "abcdef", "056056", "adbecf" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char word[sizeof(LETTERS)];
		struct letters letters;

		letters_init(&letters, cases[i].names, cases[i].kinds);
		cr_assert(eq(str, plan_word(&letters, &unshuffled, word), (char *)cases[i].order));
	}
}

static int compare_chars(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

Test(plan, shuffling_loses_and_doubles_nothing)
{
	static const char kinds[] = "01201201201201201201201201";

	for (uint64_t seed = 0; seed < 50; seed++) {
		struct kt_options options = shuffled(seed);
		char word[sizeof(LETTERS)];
		struct letters letters;
		unsigned int changes = 0;

		letters_init(&letters, LETTERS, kinds);
		(void)plan_word(&letters, &options, word);
		for (size_t i = 1; word[i]; i++)
			changes += kinds[word[i] - 'a'] != kinds[word[i - 1] - 'a'];
		cr_assert(eq(u32, changes, N_KINDS - 1), "%s", word);
		qsort(word, strlen(word), 1, compare_chars);
		cr_assert(eq(str, word, LETTERS));
	}
}

Test(plan, a_seed_is_an_order)
{
	struct kt_options seven = shuffled(7), eight = shuffled(8);
	char first[sizeof(LETTERS)], second[sizeof(LETTERS)];
	struct letters letters;

	letters_init(&letters, LETTERS, "00000000000000000000000000");
	(void)plan_word(&letters, &seven, first);
	cr_assert(ne(str, first, LETTERS));
	cr_assert(eq(str, plan_word(&letters, &seven, second), first));
	cr_assert(ne(str, plan_word(&letters, &eight, second), first));
	seven.shuffle = false;
	cr_assert(eq(str, plan_word(&letters, &seven, second), LETTERS));
}

/* Hosts that share the work agree on the parts, whatever seed each of them draws. */
Test(plan, the_shard_is_taken_before_the_shuffle)
{
	struct kt_options first = shuffled(1), second = shuffled(2);
	char word[2 * sizeof(LETTERS)];
	struct letters letters;

	letters_init(&letters, LETTERS, "01200120012001200120012001");
	first.shard = (struct kt_shard){ KT_PARTITION_HASH, 1, 2 };
	second.shard = (struct kt_shard){ KT_PARTITION_HASH, 2, 2 };
	(void)plan_word(&letters, &first, word);
	cr_assert(lt(sz, strlen(word), sizeof(LETTERS) - 1));
	(void)plan_word(&letters, &second, word + strlen(word));
	qsort(word, strlen(word), 1, compare_chars);
	cr_assert(eq(str, word, LETTERS));
}

Test(plan, every_attempt_has_a_seed_of_its_own)
{
	enum { ROUNDS = 20, ATTEMPTS = 5 };
	const struct kt_options options = { .seed = 42 }, zero = { .seed = 0 };
	uint64_t seeds[ROUNDS * ATTEMPTS];

	cr_assert(eq(u64, kt_plan_seed(&options, 1, 1), 42), "--seed of it begins as the run did");
	cr_assert(zero(u64, kt_plan_seed(&zero, 1, 1)));
	for (unsigned int i = 0; i < KT_ARRAY_LEN(seeds); i++) {
		seeds[i] = kt_plan_seed(&options, i / ATTEMPTS + 1, i % ATTEMPTS + 1);
		for (unsigned int k = 0; k < i; k++)
			cr_assert(ne(u64, seeds[k], seeds[i]), "%u and %u", k, i);
	}
}

Test(plan, exploration_leaves_out_what_no_seed_decides)
{
	const struct kt_test real = { .name = "real", .time = KT_REAL_TIME },
			     any = { .name = "any" };
	const struct kt_test *tests[] = { &real, &any, &real };
	struct kt_selection selection = { .tests = tests, .n = 3 };

	cr_assert(eq(u32, kt_selection_keep_virtual(&selection), 2));
	cr_assert(eq(sz, selection.n, 1));
	cr_assert(eq(str, (char *)selection.tests[0]->name, "any"));
}

/* Who names a seed wants it as often as he says; exploration begins at it. */
Test(plan, a_seed_that_is_given_is_that_of_every_round)
{
	const struct kt_options again = { .seed = 42, .seed_given = true };
	const struct kt_options explore = { .seed = 42, .seed_given = true, .explore = true };

	cr_assert(eq(u64, kt_plan_seed(&again, 9, 1), 42));
	cr_assert(ne(u64, kt_plan_seed(&again, 9, 2), 42), "a retry tries something else");
	cr_assert(eq(u64, kt_plan_seed(&explore, 1, 1), 42));
	cr_assert(ne(u64, kt_plan_seed(&explore, 9, 1), 42));
}

Test(plan, tests_draw_different_numbers)
{
	const struct kt_test first = { .name = "first" }, second = { .name = "second" };
	const struct kt_test again = { .name = "first", .memory_mib = 1024 };

	cr_assert(ne(u64, kt_plan_test_seed(1, &first), kt_plan_test_seed(1, &second)));
	cr_assert(ne(u64, kt_plan_test_seed(1, &first), kt_plan_test_seed(2, &first)));
	cr_assert(eq(u64, kt_plan_test_seed(1, &first), kt_plan_test_seed(1, &again)));
}

/* ---- queues -----------------------------------------------------------------------------------
 */

struct queue_fixture {
	struct letters letters;
	struct kt_plan plan;
	struct kt_kernel kernels[2];
	struct kt_setup setup;
	struct kt_group *groups;
	struct kt_queue queue;
};

static void fixture_init(struct queue_fixture *fixture, const char *names, const char *kinds)
{
	const struct kt_image_options image = { .program = "/proc/self/exe" };

	static const struct kt_options options;

	*fixture = (struct queue_fixture){ .setup = KT_SETUP_NULL };
	fixture->setup.options = &options;
	cr_assert(zero(int, kt_image_open(&image, &fixture->setup.image, NULL)));
	for (size_t i = 0; i < KT_ARRAY_LEN(fixture->kernels); i++)
		fixture->kernels[i].cmdline = (char *)"quiet";
	fixture->setup.kernels = fixture->kernels;
	fixture->setup.n_kernels = 1;
	letters_init(&fixture->letters, names, kinds);
	cr_assert(zero(
		int, kt_plan_init(&fixture->plan, &fixture->letters.selection, &unshuffled, NULL)));
	kt_queue_init(&fixture->queue);
}

static void fixture_deinit(struct queue_fixture *fixture)
{
	(void)kt_queue_deinit(&fixture->queue);
	kt_groups_free(fixture->groups);
	kt_plan_deinit(&fixture->plan);
	fixture->setup.image = kt_image_free(fixture->setup.image);
}

static void add_round(struct queue_fixture *fixture)
{
	cr_assert(zero(int, kt_queue_add_round(&fixture->queue, &fixture->plan, &fixture->groups,
					       &fixture->setup)));
}

/* "a1b1a2": the tests and their rounds, in order. */
static char *queue_word(const struct kt_queue *queue)
{
	static char word[64];
	size_t len = 0;

	word[0] = '\0';
	for (const struct kt_item *at = queue->first; at && len < sizeof(word); at = at->next)
		len += (size_t)snprintf(word + len, sizeof(word) - len, "%s%u", at->test->name,
					at->iteration);
	return word;
}

Test(queue, rounds_follow_each_other)
{
	struct queue_fixture fixture;

	fixture_init(&fixture, "abc", "010");
	add_round(&fixture);
	add_round(&fixture);
	cr_assert(eq(str, queue_word(&fixture.queue), "a1c1b1a2c2b2"));
	cr_assert(eq(u32, fixture.queue.rounds, 2));
	for (const struct kt_item *at = fixture.queue.first; at; at = at->next)
		cr_assert(eq(u32, at->attempt, 1));
	cr_assert(eq(u32, kt_queue_deinit(&fixture.queue), 6));
	cr_assert(eq(str, queue_word(&fixture.queue), ""));
	fixture_deinit(&fixture);
}

/* Takes out the item @skip links from the front, and frees it. */
static void drop(struct kt_queue *queue, unsigned int skip)
{
	struct kt_item **at = &queue->first, *item;

	while (skip--)
		at = &(*at)->next;
	item = kt_queue_take(queue, at);
	cr_assert(eq(ptr, item->next, NULL));
	kt_item_free(item);
}

/* Digits: for each item that is taken, the number of links from the front. */
Test(queue, what_comes_after_a_take_is_appended)
{
	static char *const cases[][2] = {
		{ "0", "b1c1a2b2c2" }, { "1", "a1c1a2b2c2" }, { "2", "a1b1a2b2c2" },
		{ "21", "a1a2b2c2" },  { "20", "b1a2b2c2" },  { "000", "a2b2c2" },
		{ "210", "a2b2c2" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct queue_fixture fixture;

		fixture_init(&fixture, "abc", "000");
		add_round(&fixture);
		for (const char *at = cases[i][0]; *at; at++)
			drop(&fixture.queue, (unsigned int)(*at - '0'));
		add_round(&fixture);
		cr_assert(eq(str, queue_word(&fixture.queue), cases[i][1]), "case %zu", i);
		fixture_deinit(&fixture);
	}
}

Test(queue, what_is_pushed_comes_first)
{
	struct queue_fixture fixture;
	struct kt_item *first, *last;

	fixture_init(&fixture, "ab", "00");
	add_round(&fixture);
	last = kt_queue_take(&fixture.queue, &fixture.queue.first->next);
	kt_queue_push_front(&fixture.queue, last);
	cr_assert(eq(str, queue_word(&fixture.queue), "b1a1"));
	last = kt_queue_take(&fixture.queue, &fixture.queue.first);
	first = kt_queue_take(&fixture.queue, &fixture.queue.first);
	kt_item_free(last);
	kt_queue_push_front(&fixture.queue,
			    first); /* into an empty queue: it is also the last one */
	add_round(&fixture);
	cr_assert(eq(str, queue_word(&fixture.queue), "a1a2b2"));
	fixture_deinit(&fixture);
}

Test(queue, items_are_counted_by_machine)
{
	struct queue_fixture fixture;
	struct kt_group *ordinary, *large;

	fixture_init(&fixture, "abcd", "0102");
	fixture.letters.tests[3].disabled = "it needs no machine";
	add_round(&fixture);
	ordinary = kt_group_get(&fixture.groups, &fixture.setup, fixture.setup.kernels,
				&fixture.letters.tests[2]);
	large = kt_group_get(&fixture.groups, &fixture.setup, fixture.setup.kernels,
			     &fixture.letters.tests[1]);
	cr_assert(ne(ptr, ordinary, large));
	cr_assert(eq(u32, kt_queue_count(&fixture.queue, ordinary), 2));
	cr_assert(eq(u32, kt_queue_count(&fixture.queue, large), 1));
	cr_assert(zero(u32, kt_queue_count(&fixture.queue, fixture.groups->next->next)));
	drop(&fixture.queue, 0);
	cr_assert(eq(u32, kt_queue_count(&fixture.queue, ordinary), 1));
	add_round(&fixture);
	cr_assert(eq(u32, kt_queue_count(&fixture.queue, ordinary), 3));
	fixture_deinit(&fixture);
}

/* The leak check and the number of open descriptors prove it. */
Test(queue, an_item_frees_its_earlier_attempts)
{
	struct queue_fixture fixture;
	int before = dup(0), after;

	(void)close(before);
	fixture_init(&fixture, "a", "0");
	add_round(&fixture);
	for (int i = 0; i < 2; i++) {
		struct kt_outcome outcome, *kept;

		cr_assert(zero(int, kt_outcome_init(&outcome, fixture.plan.tests[0], NULL)));
		kept = kt_outcome_take(&outcome);
		kept->previous = fixture.queue.first->previous;
		fixture.queue.first->previous = kept;
	}
	fixture_deinit(&fixture);
	after = dup(0);
	(void)close(after);
	cr_assert(eq(int, after, before), "a capture is still open");
}

Test(queue, every_kernel_has_all_tests_and_groups_of_its_own)
{
	struct queue_fixture fixture;
	char names[256] = "";

	fixture_init(&fixture, "ab", "11");
	fixture.setup.n_kernels = 2;
	fixture.kernels[0].label = (char *)"6.16.12";
	fixture.kernels[1].label = (char *)"7.0.13";
	add_round(&fixture);
	for (struct kt_item *item = fixture.queue.first; item; item = item->next) {
		(void)strcat(strcat(names, item->name), " ");
		cr_assert(item->group->kernel == item->kernel);
	}
	cr_assert(eq(str, names, "a[6.16.12] b[6.16.12] a[7.0.13] b[7.0.13] "));
	cr_assert(ne(ptr, fixture.queue.first->group, fixture.queue.first->next->next->group));
	fixture_deinit(&fixture);
}

/* ---- limits of a machine ----------------------------------------------------------------------
 */

static struct kt_test machine_of(unsigned int cores, unsigned int mib)
{
	return (struct kt_test){
		.name = "sized",
		.topology = { .llcs = 1, .cores = cores },
		.memory_mib = mib,
	};
}

Test(limits, a_boot_may_take_longer_with_more_cpus_and_a_slower_accelerator)
{
	struct kt_options options = { .boot_timeout_ns = 0 };
	struct kt_setup setup = { .options = &options };
	struct kt_test small = machine_of(2, 0), large = machine_of(64, 0);
	uint64_t tcg, kvm;

	setup.host.accel = KT_ACCEL_TCG;
	tcg = kt_setup_boot_limit_ns(&setup, &large);
	cr_assert(eq(u64, kt_setup_boot_limit_ns(&setup, &small), 60 * KT_NSEC_PER_SEC));
	cr_assert(eq(u64, tcg, 300 * KT_NSEC_PER_SEC));
	setup.host.accel = KT_ACCEL_KVM;
	kvm = kt_setup_boot_limit_ns(&setup, &large);
	cr_assert(eq(u64, kvm, 90 * KT_NSEC_PER_SEC));
	options.timeout_multiplier = 2;
	cr_assert(eq(u64, kt_setup_boot_limit_ns(&setup, &large), 2 * kvm));
	options.timeout_multiplier = 0.1;
	cr_assert(eq(u64, kt_setup_boot_limit_ns(&setup, &large), kvm));
	options.boot_timeout_ns = 7;
	cr_assert(eq(u64, kt_setup_boot_limit_ns(&setup, &large), 7));
}

Test(limits, time_is_virtual_where_machines_are_emulated_unless_asked_otherwise)
{
	struct kt_options options = { .command = KT_COMMAND_RUN };
	struct kt_setup setup = { .options = &options };
	struct kt_test any = machine_of(2, 0), real = any;

	real.time = KT_REAL_TIME;
	setup.host.accel = KT_ACCEL_TCG;
	cr_assert(eq(int, (int)kt_setup_time(&setup, &any), KT_TIME_VIRTUAL));
	cr_assert(eq(int, (int)kt_setup_time(&setup, &real), KT_TIME_REAL));
	cr_assert(eq(uint, kt_setup_threads(&setup, &any), 1));
	cr_assert(eq(uint, kt_setup_threads(&setup, &real), 2));
	cr_assert(eq(dbl, kt_setup_multiplier(&setup, &any), 1.0));
	cr_assert(gt(dbl, kt_setup_multiplier(&setup, &real), 1.0));
	cr_assert(not(kt_setup_is_repeatable(&setup, &any)));
	setup.host.repeatable = true;
	cr_assert(kt_setup_is_repeatable(&setup, &any));
	cr_assert(not(kt_setup_is_repeatable(&setup, &real)));
	/* Where the guest's clock decides, the host's limit is only for a machine that hangs. */
	cr_assert(gt(u64, kt_setup_patience_ns(&setup, &any),
		     10 * kt_setup_run_limit_ns(&setup, &any)));
	cr_assert(
		eq(u64, kt_setup_patience_ns(&setup, &real), kt_setup_run_limit_ns(&setup, &real)));
	options.time = KT_TIME_CHOICE_REAL;
	cr_assert(eq(int, (int)kt_setup_time(&setup, &any), KT_TIME_REAL));
	options.time = KT_TIME_CHOICE_AUTO;
	options.command = KT_COMMAND_SHELL;
	cr_assert(eq(int, (int)kt_setup_time(&setup, &any), KT_TIME_REAL));
	options.command = KT_COMMAND_RUN;
	setup.host.accel = KT_ACCEL_KVM;
	cr_assert(eq(int, (int)kt_setup_time(&setup, &any), KT_TIME_REAL));
}

/* All vCPUs share the instructions, of which there are 1000 >> shift million in a second. */
Test(limits, each_cpu_has_its_share_of_the_instructions)
{
	for (unsigned int vcpus = 1; vcpus <= 16; vcpus++) {
		unsigned int mips = (1000u >> kt_setup_insn_shift(vcpus, 0)) / vcpus;

		cr_assert(ge(uint, mips, 60), "%u vCPUs: %u", vcpus, mips);
		cr_assert(le(uint, mips, 125), "%u vCPUs: %u", vcpus, mips);
	}
	cr_assert(eq(uint, kt_setup_insn_shift(1, 1000), 0));
	cr_assert(eq(uint, kt_setup_insn_shift(4, 1000), 0), "no faster than an instruction a ns");
	cr_assert(eq(uint, kt_setup_insn_shift(1, 500), 1));
	cr_assert(eq(uint, kt_setup_insn_shift(2, 100), 2));
	cr_assert(eq(uint, kt_setup_insn_shift(1, 1), 9));
}

static void assert_fault(const struct queue_fixture *fixture, struct kt_test test,
			 const char *expected)
{
	KT_FREE char *fault = kt_setup_machine_fault(&fixture->setup, &fixture->kernels[0], &test);

	if (expected)
		cr_assert(fault && strstr(fault, expected), "%s", fault ?: "no fault");
	else
		cr_assert(eq(ptr, fault, NULL), "%s", fault);
}

Test(limits, a_machine_that_cannot_be_is_named)
{
	struct queue_fixture fixture;

	fixture_init(&fixture, "a", "0");
	fixture.kernels[0].facts.memory_end = 72u << 20;
	assert_fault(&fixture, machine_of(1, 72), "sized: .memory_mib is 72; kernel ");
	assert_fault(&fixture, machine_of(1, 128), NULL);
	assert_fault(&fixture, machine_of(64, 128), "with 64 CPUs");
	assert_fault(&fixture, machine_of(1, 0), NULL);
	assert_fault(&fixture, machine_of(1, 1u << 30), "larger than this host");
	fixture_deinit(&fixture);
}
