/* SPDX-License-Identifier: MIT */
#include "framework/cli/prompt.h"

#include <stdio.h>
#include <string.h>

#include "framework/cli/inspect.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/rendezvous.h"

/*
 * The prompt needs nothing of the guest but its RAM, so it also answers when the guest hangs. While
 * it is open, the guest runs and its output is shown. The machine stands still only during an
 * answer, whose values are therefore of one moment.
 *
 * The terminal edits the lines. Bytes that were typed before it did (in raw mode) end a line by a
 * carriage return.
 */

static const char prompt_text[] = "inspect> ";

static const char help_text[] =
	"A path as in C, such as scx_root->ops.name or runqueues[cpu 0].nr_running; or a word:\n"
	"kernel, runqueues, scx, maps, map NAME, programs, tasks, all.\n"
	"An empty line returns to the guest. Ctrl-] returns, and sends the guest this key.\n";

void kt_prompt_deinit(struct kt_prompt *prompt)
{
	prompt->memctx = kt_memctx_free(prompt->memctx);
}

static void show(const char *text)
{
	(void)fputs(text, stdout);
	(void)fflush(stdout);
}

void kt_prompt_open(struct kt_prompt *prompt)
{
	kt_terminal_set(prompt->terminal, KT_TERMINAL_LINES);
	prompt->open = true;
	prompt->len = 0;
	show("\n");
	show(prompt_text);
}

void kt_prompt_close(struct kt_prompt *prompt)
{
	show("\n");
	prompt->open = false;
	kt_terminal_set(prompt->terminal, KT_TERMINAL_RAW);
}

static int give_memory(void *source, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	const struct kt_prompt *prompt = source;

	return kt_machine_memory(kt_link_machine(prompt->link), ret_mem, reterr);
}

/* The kernel is looked for at the first question. */
static int find_kernel(struct kt_prompt *prompt, struct kt_err *reterr)
{
	KT_FREE char *cache = NULL;
	struct kt_memctx_config config = { .memory = give_memory, .source = prompt };

	if (prompt->memctx)
		return kt_memctx_try(prompt->memctx, reterr);
	/* Without a cache it only takes longer. */
	(void)kt_cache_path("inspect", &cache, NULL);
	config.cache = cache;
	if (kt_memctx_new(&config, &prompt->memctx) < 0)
		return kt_err_oom(reterr);
	return kt_memctx_try(prompt->memctx, reterr);
}

/* The machine stands still. */
static int print(struct kt_prompt *prompt, const char *path, struct kt_err *reterr)
{
	struct kt_inspect *inspect;
	int r = find_kernel(prompt, reterr);

	if (r < 0)
		return r;
	inspect = kt_memctx_inspect(prompt->memctx);
	kt_inspect_refresh(inspect);
	return kt_inspect_print_one(inspect, prompt->options, path, reterr);
}

static void answer(struct kt_prompt *prompt, const char *path)
{
	struct kt_machine *machine = kt_link_machine(prompt->link);
	struct kt_err err = KT_ERR_NULL;
	int r = kt_machine_pause(machine, kt_now_ns() + KT_RENDEZVOUS_NS, &err);

	if (r == 0) {
		r = print(prompt, path, &err);
		/* A machine that cannot go on has ended, which the loop finds out. */
		(void)kt_machine_resume(machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL);
	}
	if (r < 0)
		(void)printf("%s\n", err.text);
}

static void take_line(struct kt_prompt *prompt)
{
	if (!prompt->len) {
		kt_prompt_close(prompt);
		return;
	}
	if (prompt->len == sizeof(prompt->line)) {
		(void)printf("this is longer than %zu bytes\n", sizeof(prompt->line) - 1);
	} else {
		prompt->line[prompt->len] = '\0';
		if (strcmp(prompt->line, "?") == 0)
			show(help_text);
		else
			answer(prompt, prompt->line);
	}
	prompt->len = 0;
	show(prompt_text);
}

bool kt_prompt_put(struct kt_prompt *prompt, char byte)
{
	switch (byte) {
	case '\n':
	case '\r':
		take_line(prompt);
		return false;
	case KT_TERMINAL_INTERRUPT:
	case KT_TERMINAL_ESCAPE:
		kt_prompt_close(prompt);
		return byte == KT_TERMINAL_ESCAPE;
	default:
		if (prompt->len < sizeof(prompt->line))
			prompt->line[prompt->len++] = byte;
		return false;
	}
}
