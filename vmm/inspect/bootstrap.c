/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "util/cleanup.h"
#include "vmm/inspect/state.h"

/*
 * The bootstrap. VMCOREINFO leads to everything else:
 *
 *	phys_base              memory of the kernel's image
 *	kallsyms_*             all symbols
 *	page_offset_base       the direct map of all RAM
 *	init_top_pgt           page tables, for all other memory
 *	__per_cpu_offset       per-CPU memory
 *	__start_BTF            types (types.c), when they are first needed
 *
 * A cache has symbols and types by build-id. Since the build-id is what the guest says, the cache
 * is compared with samples of the guest's memory before it is used.
 */

#define CPUS_MAX    8192u /* CONFIG_NR_CPUS of distributions */
#define SAMPLES     16u
#define SAMPLE_LEN  64u
#define BTF_LEN_MAX (64u << 20)

static void init_space(struct kt_inspect *inspect, const struct kt_vmcoreinfo *info)
{
	struct kt_space *space = &inspect->space;

	kt_space_refresh(space);
	space->ram = inspect->ram;
	space->levels = info->levels;
	space->sme_mask = info->sme_mask;
	space->image = KT_START_KERNEL_MAP;
	space->image_len = info->image_len;
	space->phys_base = info->phys_base;
	space->page_offset = 0;
	/* A part of the image, and so linear. */
	space->root = info->root - KT_START_KERNEL_MAP + info->phys_base;
}

static void init_facts(struct kt_inspect *inspect, const struct kt_vmcoreinfo *info)
{
	struct kt_inspect_facts *facts = &inspect->facts;

	(void)snprintf(facts->release, sizeof(facts->release), "%s", info->release);
	(void)snprintf(facts->build_id, sizeof(facts->build_id), "%s", info->build_id);
	facts->kaslr = info->kernel_offset;
	facts->phys_base = info->phys_base;
	facts->root = inspect->space.root;
	facts->levels = info->levels;
	facts->n_symbols = inspect->symbols.n;
}

static int find_btf(struct kt_inspect *inspect, uint64_t *ret_kva, size_t *ret_len,
		    struct kt_err *reterr)
{
	uint64_t start, end;

	if (!kt_symbols_find(&inspect->symbols, "__start_BTF", &start) ||
	    !kt_symbols_find(&inspect->symbols, "__stop_BTF", &end))
		return kt_err_set(reterr, -ENOENT, "kernel %s has no types (CONFIG_DEBUG_INFO_BTF)",
				  inspect->facts.release);
	if (end <= start || end - start > BTF_LEN_MAX)
		return kt_err_set(reterr, -EPROTO, "the kernel's types are malformed: their size");
	*ret_kva = start;
	*ret_len = (size_t)(end - start);
	return 0;
}

int kt_inspect_read_btf(struct kt_inspect *inspect, void **ret_data, size_t *ret_len,
			struct kt_err *reterr)
{
	KT_FREE void *data = NULL;
	uint64_t kva;
	size_t len;
	int r = find_btf(inspect, &kva, &len, reterr);

	if (r < 0)
		return r;
	data = malloc(len);
	if (!data)
		return kt_err_oom(reterr);
	r = kt_space_read(&inspect->space, kva, data, len, reterr);
	if (r < 0)
		return r;
	*ret_data = kt_steal(data);
	*ret_len = len;
	return 0;
}

/* A number that is another one for other types: the hash of samples. 0: the kernel has none. */
static uint64_t fingerprint(struct kt_inspect *inspect)
{
	char samples[SAMPLES][SAMPLE_LEN];
	struct kt_inspect_piece pieces[SAMPLES];
	size_t len, step;
	uint64_t kva;

	if (find_btf(inspect, &kva, &len, NULL) < 0 || len < SAMPLES * SAMPLE_LEN)
		return 0;
	step = (len - SAMPLE_LEN) / (SAMPLES - 1);
	for (size_t i = 0; i < SAMPLES; i++)
		pieces[i] = (struct kt_inspect_piece){ kva + i * step, samples[i], SAMPLE_LEN };
	if (kt_space_readv(&inspect->space, pieces, SAMPLES, NULL) < 0)
		return 0;
	return XXH3_64bits_withSeed(samples, sizeof(samples), len);
}

/* Compares the number of symbols in the cache, and where one of them is, with the guest's. */
static bool same_symbols(struct kt_inspect *inspect, const struct kt_vmcoreinfo *info)
{
	uint64_t stext = 0;
	uint32_t n;

	return kt_space_read(&inspect->space, info->num_syms, &n, sizeof(n), NULL) == 0 &&
	       n == inspect->symbols.n && kt_symbols_find(&inspect->symbols, "_stext", &stext) &&
	       stext == info->stext;
}

static void forget_cached(struct kt_inspect *inspect)
{
	kt_store_close(&inspect->store);
	inspect->symbols = (struct kt_symbols){ .n = 0 };
	inspect->types = (struct kt_types){ .btf = NULL };
}

static bool load_cached(struct kt_inspect *inspect, const struct kt_vmcoreinfo *info)
{
	if (!inspect->cache || kt_store_load(inspect->cache, info->build_id, &inspect->store,
					     &inspect->symbols, &inspect->types) < 0)
		return false;
	inspect->symbols.kaslr = info->kernel_offset;
	if (same_symbols(inspect, info) && inspect->store.fingerprint == fingerprint(inspect))
		return true;
	forget_cached(inspect);
	return false;
}

/* Takes the types, too. The cache is a convenience: that it cannot be written is no failure. */
static void save(struct kt_inspect *inspect)
{
	if (!inspect->cache || kt_inspect_load_types(inspect, NULL) < 0)
		return;
	(void)kt_store_save(inspect->cache, inspect->facts.build_id, &inspect->symbols,
			    &inspect->types, inspect->btf_data, inspect->btf_len,
			    fingerprint(inspect), NULL);
	free(inspect->btf_data);
	inspect->btf_data = NULL;
}

static int need_symbol(struct kt_inspect *inspect, const char *name, uint64_t *ret_kva,
		       struct kt_err *reterr)
{
	if (kt_symbols_find(&inspect->symbols, name, ret_kva))
		return 0;
	return kt_err_set(reterr, -ENOENT, "kernel %s has no symbol '%s'", inspect->facts.release,
			  name);
}

/* The image's end, and where the direct map begins. */
static int find_maps(struct kt_inspect *inspect, struct kt_err *reterr)
{
	struct kt_space *space = &inspect->space;
	uint64_t text, end, base, page_offset;
	int r = need_symbol(inspect, "_text", &text, reterr) ?:
		need_symbol(inspect, "_end", &end, reterr) ?:
		need_symbol(inspect, "page_offset_base", &base, reterr) ?:
		kt_space_read(space, base, &page_offset, sizeof(page_offset), reterr);

	if (r < 0)
		return r;
	if (end <= text || text < KT_START_KERNEL_MAP || !kt_space_is_kernel(space, page_offset))
		return kt_err_set(reterr, -EPROTO, "the kernel's map of memory is malformed");
	space->image = text;
	space->image_len = end - text;
	space->page_offset = inspect->facts.page_offset = page_offset;
	inspect->image_end = end;
	return 0;
}

static int find_cpus(struct kt_inspect *inspect, struct kt_err *reterr)
{
	uint64_t number, offsets;
	uint32_t n = 0;
	int r = need_symbol(inspect, "nr_cpu_ids", &number, reterr) ?:
		need_symbol(inspect, "__per_cpu_offset", &offsets, reterr) ?:
		need_symbol(inspect, "__per_cpu_start", &inspect->per_cpu_start, reterr) ?:
		need_symbol(inspect, "__per_cpu_end", &inspect->per_cpu_end, reterr) ?:
		kt_space_read(&inspect->space, number, &n, sizeof(n), reterr);

	if (r < 0)
		return r;
	if (!n || n > CPUS_MAX)
		return kt_err_set(reterr, -EPROTO, "nr_cpu_ids is %u, which cannot be", n);
	free(inspect->per_cpu_offsets);
	inspect->per_cpu_offsets = calloc(n, sizeof(*inspect->per_cpu_offsets));
	if (!inspect->per_cpu_offsets)
		return kt_err_oom(reterr);
	inspect->facts.n_cpus = n;
	return kt_space_read(&inspect->space, offsets, inspect->per_cpu_offsets,
			     n * sizeof(*inspect->per_cpu_offsets), reterr);
}

/* Frees what an attempt has got, so that another can begin. */
static void undo(struct kt_inspect *inspect)
{
	kt_inspect_free_types(inspect);
	if (inspect->store.map)
		forget_cached(inspect);
	else
		kt_symbols_deinit(&inspect->symbols);
}

/* Tries to reach everything by one VMCOREINFO. */
static int try_info(void *data, uint64_t gpa, const struct kt_vmcoreinfo *info,
		    struct kt_err *reterr)
{
	struct kt_inspect *inspect = data;
	int r = 0;

	init_space(inspect, info);
	inspect->facts.cached = load_cached(inspect, info);
	if (!inspect->facts.cached)
		r = kt_symbols_decode(&inspect->space, info, &inspect->symbols, reterr);
	if (r < 0)
		return r;
	init_facts(inspect, info);
	r = find_maps(inspect, reterr) ?: find_cpus(inspect, reterr);
	if (r < 0) {
		undo(inspect);
		return kt_err_prefix(reterr, r, "kernel %s", info->release);
	}
	inspect->info_gpa = gpa;
	return 1;
}

/* A dump may come with the text; otherwise the RAM is searched. */
static int bootstrap(struct kt_inspect *inspect, struct kt_err *reterr)
{
	const char *text = inspect->ram->vmcoreinfo;
	uint64_t hints[KT_STORE_HINTS] = { 0 };
	struct kt_vmcoreinfo info;

	if (text && kt_vmcoreinfo_parse(text, strlen(text), &info, NULL) == 0 &&
	    try_info(inspect, 0, &info, NULL) == 1)
		return 0;
	if (inspect->cache)
		kt_store_hints(inspect->cache, hints);
	return kt_vmcoreinfo_find(inspect->ram, hints, KT_STORE_HINTS, try_info, inspect, reterr);
}

int kt_inspect_open(struct kt_ram *ram, const char *cache, struct kt_inspect **ret_inspect,
		    struct kt_err *reterr)
{
	struct kt_inspect *inspect = calloc(1, sizeof(*inspect));
	int r;

	if (!inspect)
		return kt_err_oom(reterr);
	inspect->ram = ram;
	inspect->cache = cache ? strdup(cache) : NULL;
	r = cache && !inspect->cache ? kt_err_oom(reterr) : bootstrap(inspect, reterr);
	if (r < 0) {
		(void)kt_inspect_close(inspect);
		return r;
	}
	if (!inspect->facts.cached)
		save(inspect);
	if (inspect->cache && inspect->info_gpa)
		kt_store_add_hint(inspect->cache, inspect->info_gpa);
	*ret_inspect = inspect;
	return 0;
}

struct kt_inspect *kt_inspect_close(struct kt_inspect *inspect)
{
	if (!inspect)
		return NULL;
	undo(inspect);
	free(inspect->per_cpu_offsets);
	free(inspect->cache);
	free(inspect);
	return NULL;
}
