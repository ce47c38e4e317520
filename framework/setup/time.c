/* SPDX-License-Identifier: MIT */
#include "framework/setup/time.h"

#include "guest/test/test.h"

#define INSN_SHIFT_MAX     10u /* of QEMU's -icount */
#define DEFAULT_MIPS       60u
#define DEFAULT_MIPS_ALONE 125u

/*
 * A virtual second has at most 10^9 instructions, and TCG executes 2 * 10^7 in a second at worst.
 */
#define CPU_PER_VIRTUAL 50

enum kt_time kt_setup_default_time(const struct kt_setup *setup)
{
	const struct kt_options *options = setup->options;
	bool is_real = setup->host.accel != KT_ACCEL_TCG || options->command != KT_COMMAND_RUN ||
		       options->time == KT_TIME_CHOICE_REAL;

	return is_real ? KT_TIME_REAL : KT_TIME_VIRTUAL;
}

enum kt_time kt_setup_time(const struct kt_setup *setup, const struct kt_test *test)
{
	return test->time == KT_REAL_TIME ? KT_TIME_REAL : kt_setup_default_time(setup);
}

bool kt_setup_is_repeatable(const struct kt_setup *setup, const struct kt_test *test)
{
	return setup->host.repeatable && kt_setup_time(setup, test) == KT_TIME_VIRTUAL;
}

unsigned int kt_setup_insn_shift(unsigned int vcpus, unsigned int mips)
{
	unsigned int all = vcpus * (mips ?: vcpus > 1 ? DEFAULT_MIPS : DEFAULT_MIPS_ALONE);
	unsigned int shift = 0;

	while (shift < INSN_SHIFT_MAX && (1000u >> (shift + 1)) >= all)
		shift++;
	return shift;
}

unsigned int kt_setup_mips(const struct kt_setup *setup, const struct kt_test *test)
{
	if (kt_setup_time(setup, test) != KT_TIME_VIRTUAL)
		return 0;
	return 1000u >>
	       kt_setup_insn_shift(kt_test_vcpus(test), setup->options->mips ?: test->mips);
}

struct kt_turns kt_setup_turns(const struct kt_setup *setup, uint64_t seed)
{
	const struct kt_options *options = setup->options;

	return (struct kt_turns){
		.seed = seed,
		.policy = options->policy,
		.mean = options->turn_insns,
		.depth = options->pct_depth,
		.length = options->pct_length,
	};
}

uint64_t kt_setup_patience_ns(const struct kt_setup *setup, const struct kt_test *test)
{
	uint64_t limit_ns = kt_setup_run_limit_ns(setup, test);

	return kt_setup_is_repeatable(setup, test) ? limit_ns * CPU_PER_VIRTUAL : limit_ns;
}

unsigned int kt_setup_threads(const struct kt_setup *setup, const struct kt_test *test)
{
	unsigned int slots = kt_override_of(setup->overrides, test)->slots;

	if (slots)
		return slots;
	return kt_setup_time(setup, test) == KT_TIME_VIRTUAL ? 1 : kt_test_vcpus(test);
}

double kt_setup_multiplier(const struct kt_setup *setup, const struct kt_test *test)
{
	if (setup->options->timeout_multiplier > 0)
		return setup->options->timeout_multiplier;
	return kt_setup_time(setup, test) == KT_TIME_VIRTUAL
		       ? 1.0
		       : kt_setup_default_multiplier(&setup->host);
}
