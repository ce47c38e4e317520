/* SPDX-License-Identifier: MIT */
/* A capsule. All hashes of the input are corrected, or nothing behind them would be reached. */
#define XXH_INLINE_ALL
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "vmm/capsule/capsule.h"
#include "vmm/capsule/format.h"

static void seal_chunks(uint8_t *at, size_t left)
{
	struct kt_capsule_chunk chunk;

	while (left >= sizeof(chunk)) {
		uint64_t seed;
		size_t len;

		memcpy(&chunk, at, sizeof(chunk));
		memcpy(&seed, &chunk, sizeof(seed));
		left -= sizeof(chunk);
		len = KT_MIN(left, (size_t)chunk.packed);
		chunk.hash = XXH3_64bits_withSeed(at + sizeof(chunk), len, seed);
		memcpy(at, &chunk, sizeof(chunk));
		at += sizeof(chunk) + len;
		left -= len;
	}
}

static void seal(uint8_t *file, size_t size)
{
	struct kt_capsule_header header;
	size_t at = sizeof(header), len;

	if (size < sizeof(header))
		return;
	memcpy(&header, file, sizeof(header));
	header.file_len = size;
	len = KT_MIN((size_t)header.info_len, size - at);
	header.info_hash = XXH3_64bits(file + at, len);
	at += len;
	len = KT_MIN((size_t)header.state_packed, size - at);
	header.state_hash = XXH3_64bits(file + at, len);
	at += len;
	seal_chunks(file + at, size - at);
	header.hash = XXH3_64bits(&header, offsetof(struct kt_capsule_header, hash));
	memcpy(file, &header, sizeof(header));
}

static void read_all(struct kt_capsule *capsule)
{
	const struct kt_capsule_info *info = kt_capsule_info(capsule);
	KT_CLOSE int base = memfd_create("base", 0), ram = memfd_create("ram", 0);
	KT_CLOSE int state = memfd_create("state", 0);
	KT_FREE struct kt_registers *vcpus = NULL;
	KT_FREE char *text = kt_capsule_info_encode(info);
	struct kt_err err = KT_ERR_NULL;
	off_t len = (off_t)info->memory_mib << 20;

	KT_FUZZ_ASSERT(text && info->topology.llcs && info->memory_mib);
	(void)ftruncate(base, len);
	if (kt_capsule_read_ram(capsule, info->template_machine ? base : -1, ram, &err) == 0)
		KT_FUZZ_ASSERT(lseek(ram, 0, SEEK_END) == len);
	else
		KT_FUZZ_ASSERT(err.text[0]);
	if (kt_capsule_read_state(capsule, state, &vcpus, NULL) == 0)
		KT_FUZZ_ASSERT(vcpus);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE uint8_t *file = malloc(size + 1);
	struct kt_capsule *capsule = NULL;
	struct kt_err err = KT_ERR_NULL;

	KT_FUZZ_ASSERT(file);
	memcpy(file, data, size);
	for (int sealed = 0; sealed <= 1; sealed++) {
		if (sealed)
			seal(file, size);
		if (kt_capsule_open(kt_fuzz_file(file, size), &capsule, &err) < 0) {
			KT_FUZZ_ASSERT(err.text[0]);
			continue;
		}
		read_all(capsule);
		capsule = kt_capsule_close(capsule);
	}
	return 0;
}
