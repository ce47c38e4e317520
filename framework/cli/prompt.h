/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The prompt of the host in "ktests shell": each line is a path or a word of docs/inspect.md, and
 * the answer is what the kernel of the shell's machine has there.
 */

#include <stdbool.h>
#include <stddef.h>

#include "framework/options/options.h"
#include "util/terminal.h"
#include "vmm/inspect/path.h"
#include "vmm/link.h"
#include "vmm/memctx.h"

struct kt_prompt {
	const struct kt_options *options; /* how values are shown; borrowed, like the next two */
	struct kt_terminal *terminal;
	struct kt_link *link;
	struct kt_memctx *memctx; /* NULL before the first question */
	bool open;
	char line[KT_PATH_MAX + 1]; /* what has been typed of a line; without a NUL */
	size_t len;                 /* sizeof(line): the line is too long */
};

#define KT_PROMPT_NULL ((struct kt_prompt){ .memctx = NULL })

void kt_prompt_deinit(struct kt_prompt *prompt);

/* From here on, what is typed goes to kt_prompt_put(). */
void kt_prompt_open(struct kt_prompt *prompt);

/* What is typed is the guest's again. */
void kt_prompt_close(struct kt_prompt *prompt);

/*
 * Takes a byte that was typed, and answers the line that it ends. An empty line and Ctrl-C close
 * the prompt. So does Ctrl-]: true is returned if the guest has to get this key.
 */
bool kt_prompt_put(struct kt_prompt *prompt, char byte);
