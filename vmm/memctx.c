/* SPDX-License-Identifier: MIT */
#include "vmm/memctx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

/*
 * An attempt takes the RAM and opens the kernel in it. Whatever it lacks, it gives everything back,
 * since a machine that was not started has no RAM, and one that boots changes all of it. A failure
 * arms a one-shot timer with twice the delay of the one before; success disarms it and resets the
 * delay. Both ends of the delay are bounded: an attempt costs a search of the RAM.
 */

#define DELAY_MIN_NS (5 * KT_NSEC_PER_MSEC)
#define DELAY_MAX_NS (500 * KT_NSEC_PER_MSEC)

struct kt_memctx {
	struct kt_memctx_config config;
	char *cache; /* owned */
	struct kt_timer retry;
	uint64_t delay_ns; /* of the next retry */
	unsigned int attempts;
	bool noted; /* the line about the first failure was said */
	struct kt_mem mem;
	struct kt_ram *ram;
	struct kt_inspect *inspect; /* NULL until it is published */
};

static void on_retry(void *data)
{
	(void)kt_memctx_try(data, NULL);
}

int kt_memctx_new(const struct kt_memctx_config *config, struct kt_memctx **ret_memctx)
{
	struct kt_memctx *memctx = calloc(1, sizeof(*memctx));

	if (!memctx)
		return -ENOMEM;
	memctx->cache = config->cache ? strdup(config->cache) : NULL;
	if (config->cache && !memctx->cache) {
		free(memctx);
		return -ENOMEM;
	}
	memctx->config = *config;
	memctx->retry = (struct kt_timer){ .fn = on_retry, .data = memctx };
	memctx->delay_ns = DELAY_MIN_NS;
	memctx->mem = KT_MEM_NULL;
	if (config->loop)
		kt_timer_arm(config->loop, &memctx->retry, kt_now_ns());
	*ret_memctx = memctx;
	return 0;
}

static void release(struct kt_memctx *memctx)
{
	memctx->inspect = kt_inspect_close(memctx->inspect);
	memctx->ram = kt_ram_close(memctx->ram);
	kt_mem_deinit(&memctx->mem);
}

struct kt_memctx *kt_memctx_free(struct kt_memctx *memctx)
{
	if (!memctx)
		return NULL;
	if (memctx->config.loop)
		kt_timer_disarm(memctx->config.loop, &memctx->retry);
	release(memctx);
	free(memctx->cache);
	free(memctx);
	return NULL;
}

struct kt_inspect *kt_memctx_inspect(const struct kt_memctx *memctx)
{
	return memctx->inspect;
}

unsigned int kt_memctx_attempts(const struct kt_memctx *memctx)
{
	return memctx->attempts;
}

bool kt_memctx_is_waiting(const struct kt_memctx *memctx)
{
	return memctx->retry.armed;
}

static int attempt(struct kt_memctx *memctx, struct kt_err *reterr)
{
	const struct kt_memctx_config *config = &memctx->config;
	int r;

	memctx->attempts++;
	if (memctx->attempts <= config->fail_boots)
		return kt_err_set(reterr, -EAGAIN, "attempt %u was made to fail", memctx->attempts);
	r = config->memory(config->source, &memctx->mem, reterr) ?:
		kt_ram_open_mem(&memctx->mem, &memctx->ram, reterr) ?:
		kt_inspect_open(memctx->ram, memctx->cache, &memctx->inspect, reterr);
	if (r < 0)
		release(memctx);
	return r;
}

static void on_failure(struct kt_memctx *memctx, const struct kt_err *err)
{
	const struct kt_memctx_config *config = &memctx->config;
	char line[400];

	if (config->loop)
		kt_timer_arm(config->loop, &memctx->retry, kt_now_ns() + memctx->delay_ns);
	memctx->delay_ns = KT_MIN(memctx->delay_ns * 2, DELAY_MAX_NS);
	if (memctx->noted || !config->note)
		return;
	memctx->noted = true;
	(void)snprintf(line, sizeof(line), "the guest's kernel cannot be seen yet: %.300s",
		       err->text);
	config->note(config->data, line);
}

static void on_success(struct kt_memctx *memctx)
{
	const struct kt_memctx_config *config = &memctx->config;

	if (config->loop)
		kt_timer_disarm(config->loop, &memctx->retry);
	memctx->delay_ns = DELAY_MIN_NS;
	if (config->published)
		config->published(config->data, memctx->inspect);
}

int kt_memctx_try(struct kt_memctx *memctx, struct kt_err *reterr)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (memctx->inspect)
		return 0;
	r = attempt(memctx, &err);
	if (r == 0) {
		on_success(memctx);
		return 0;
	}
	on_failure(memctx, &err);
	return kt_err_set(reterr, r, "%s", err.text);
}

static int need_kernel(const struct kt_memctx *memctx, struct kt_err *reterr)
{
	return memctx->inspect
		       ? 0
		       : kt_err_set(reterr, -EAGAIN, "the guest's kernel cannot be seen yet");
}

int kt_memctx_write(struct kt_memctx *memctx, uint64_t kva, const void *from, size_t len,
		    struct kt_err *reterr)
{
	if (len > KT_MEMCTX_WRITE_MAX)
		return kt_err_set(reterr, -EMSGSIZE,
				  "a write of %zu bytes; %u bytes can be written at once", len,
				  KT_MEMCTX_WRITE_MAX);
	return need_kernel(memctx, reterr)
		       ?: kt_inspect_write(memctx->inspect, kva, from, len, reterr);
}

bool kt_memctx_is_shared(const struct kt_memctx *memctx)
{
	return memctx->mem.mapping;
}

/* ---- The RAM for others ---- */

int kt_memctx_ram_fd(struct kt_memctx *memctx, int *ret_fd, struct kt_err *reterr)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
	char path[64];
	int fd, r = need_kernel(memctx, reterr);

	if (r < 0)
		return r;
	if (!kt_memctx_is_shared(memctx))
		return kt_err_set(reterr, -ENOTSUP,
				  "the RAM is private to the machine's process: there is no file");
	/* EPERM, EINVAL: no memfd, or one that cannot be sealed. */
	(void)fcntl(memctx->mem.ram_fd, F_ADD_SEALS, seals);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memctx->mem.ram_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kt_err_set(reterr, -errno, "cannot open the RAM for reading: %m");
	*ret_fd = fd;
	return 0;
}

struct window {
	struct kt_ram ram;
	struct kt_ram *behind; /* borrowed */
};

static struct kt_ram *behind(struct kt_ram *ram)
{
	return ((struct window *)ram)->behind;
}

static int window_read(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		       struct kt_err *reterr)
{
	return kt_ram_readv(behind(ram), pieces, n, reterr);
}

static int window_data(struct kt_ram *ram, uint64_t gpa, struct kt_ram_range *ret_range)
{
	return kt_ram_data(behind(ram), gpa, ret_range);
}

static void window_close(struct kt_ram *ram)
{
	free(ram);
}

/* Neither writes nor pointers. */
static const struct kt_ram_ops window_ops = {
	.name = "window",
	.read = window_read,
	.data = window_data,
	.close = window_close,
};

int kt_memctx_window(struct kt_memctx *memctx, struct kt_ram **ret_ram, struct kt_err *reterr)
{
	KT_FREE struct window *window = NULL;
	int r = need_kernel(memctx, reterr);

	if (r < 0)
		return r;
	window = calloc(1, sizeof(*window));
	if (!window)
		return kt_err_oom(reterr);
	*window = (struct window){
		.ram = { .ops = &window_ops, .n_ranges = memctx->ram->n_ranges },
		.behind = memctx->ram,
	};
	window->ram.ranges = calloc(window->ram.n_ranges ?: 1, sizeof(*window->ram.ranges));
	if (!window->ram.ranges)
		return kt_err_oom(reterr);
	if (window->ram.n_ranges)
		memcpy(window->ram.ranges, memctx->ram->ranges,
		       window->ram.n_ranges * sizeof(*window->ram.ranges));
	*ret_ram = &kt_steal(window)->ram;
	return 0;
}
