/* SPDX-License-Identifier: MIT */
#include "framework/declaration/scheduler.h"

#include <string.h>

#include "framework/declaration/declaration.h"

#define DUMP_KIB_MAX 16384u

/* The first argument of kt_declaration_fault(). */
#define ABOUT(scheduler)                                                                           \
	(&(const struct kt_declaration){ "scheduler", (scheduler)->name, (scheduler)->file,        \
					 (scheduler)->line })

static unsigned int check_scheduler(const struct kt_scheduler_node *nodes,
				    const struct kt_scheduler *scheduler, FILE *out)
{
	const struct kt_scheduler_node *at = nodes;
	const char *path = scheduler->object ?: scheduler->binary;
	unsigned int n = 0;

	while (at->scheduler != scheduler && strcmp(at->scheduler->name, scheduler->name))
		at = at->next;
	if (at->scheduler != scheduler)
		n += kt_declaration_fault(ABOUT(scheduler), out, "the name is taken by %s:%u",
					  at->scheduler->file, at->scheduler->line);
	if (scheduler->object && scheduler->binary)
		n += kt_declaration_fault(ABOUT(scheduler), out,
					  "it has both .object and .binary; which one is it?");
	else if (!path || !*path || path[strlen(path) - 1] == '/')
		n += kt_declaration_fault(ABOUT(scheduler), out,
					  "it names no file: give it .object or .binary");
	if (scheduler->dump_kib > DUMP_KIB_MAX)
		n += kt_declaration_fault(ABOUT(scheduler), out,
					  ".dump_kib is %u; it must be within 0..%u",
					  scheduler->dump_kib, DUMP_KIB_MAX);
	return n;
}

unsigned int kt_schedulers_validate(const struct kt_scheduler_node *nodes, FILE *out)
{
	unsigned int n = 0;

	for (const struct kt_scheduler_node *at = nodes; at; at = at->next)
		n += check_scheduler(nodes, at->scheduler, out);
	return n;
}
