/* SPDX-License-Identifier: MIT */
/*
 * Chains and resizable hash tables of the guest. The first byte says which; the rest is memory of
 * 8-byte words, where the walk begins. What is 0x40 or less in the uppermost byte of a word names
 * the word that it leads to.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/walk_kernel.h"
#include "vmm/inspect/chain.h"

#define WORDS    1024u
#define WALK_MAX 300u
#define TOP_MAX  0x40u

static struct walk_kernel kernel;

/* A word of the input, which may lead to another one. */
static uint64_t word_of(uint64_t memory, uint64_t value)
{
	uint64_t top = value >> 56;

	/* The lowest bit stays: a lock, or the end of a chain. */
	return top && top <= TOP_MAX ? memory + (value >> 3) % WORDS * 8 + (value & 1) : value;
}

static void fill(uint64_t memory, const uint8_t *data, size_t size)
{
	memset(tiny_at(&kernel.tiny, memory), 0, WORDS * 8);
	for (size_t at = 0; at + 8 <= size && at < WORDS * 8; at += 8) {
		uint64_t value;

		memcpy(&value, data + at, 8);
		tiny_set(&kernel.tiny, memory + at, word_of(memory, value), 8);
	}
}

static void walk_chain(enum kt_chain_kind kind, uint64_t memory)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_chain chain;
	uint64_t node;
	size_t n = 0;
	int r = kt_chain_begin(&chain, kernel.inspect, kind, memory, WALK_MAX, "fuzzed", &err);

	while (r == 0 && (r = kt_chain_next(&chain, &node, &err)) > 0) {
		KT_FUZZ_ASSERT(++n <= WALK_MAX);
		r = 0;
	}
	KT_FUZZ_ASSERT(r == 0 || !strncmp(err.text, "fuzzed: ", 8));
}

static void walk_hash(uint64_t memory)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_rhash hash;
	uint64_t node;
	size_t n = 0;
	int r = kt_rhash_begin(&hash, kernel.inspect, memory, WALK_MAX, "fuzzed", &err);

	while (r == 0 && (r = kt_rhash_next(&hash, &node, &err)) > 0) {
		KT_FUZZ_ASSERT(++n <= WALK_MAX);
		r = 0;
	}
	KT_FUZZ_ASSERT(r == 0 || !strncmp(err.text, "fuzzed: ", 8));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t memory;

	if (!size)
		return 0;
	if (!memory) {
		walk_kernel_init(&kernel);
		memory = walk_alloc(&kernel, WORDS * 8);
	}
	fill(memory, data + 1, size - 1);
	if (data[0] % 4 == 3)
		walk_hash(memory);
	else
		walk_chain((enum kt_chain_kind)(data[0] % 4), memory);
	return 0;
}
