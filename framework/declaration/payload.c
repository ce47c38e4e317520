/* SPDX-License-Identifier: MIT */
/* Validates payloads as they are declared; whether their programs exist is known later (cargo). */

#include "framework/declaration/payload.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "framework/declaration/declaration.h"

/* The first argument of kt_declaration_fault(). */
#define ABOUT(payload)                                                                             \
	(&(const struct kt_declaration){ "payload", (payload)->name, (payload)->file,              \
					 (payload)->line })

/* The kinds about metrics stand next to one another in enum kt_check_kind. */
static bool is_about_metric(const struct kt_check *check)
{
	return check->kind >= KT_CHECK_METRIC_MIN && check->kind <= KT_CHECK_METRIC_EXISTS;
}

static unsigned int check_check(const struct kt_payload *payload, unsigned int index,
				const struct kt_check *check, FILE *out)
{
	unsigned int n = 0;

	if (check->kind <= KT_CHECK_NONE || check->kind >= KT_N_CHECK_KINDS)
		return kt_declaration_fault(ABOUT(payload), out,
					    "check %u: use the macros, as KT_EXIT_CODE()", index);
	if (is_about_metric(check) && !check->metric)
		n += kt_declaration_fault(ABOUT(payload), out, "check %u: it names no metric",
					  index);
	if (is_about_metric(check) && !(payload->output & KT_OUTPUT_JSON))
		n += kt_declaration_fault(
			ABOUT(payload), out,
			"check %u is about a metric; .output has no KT_OUTPUT_JSON to find it in",
			index);
	/* NaN is not a bound. Infinity is. */
	if (isnan(check->min) || isnan(check->max) ||
	    (check->kind == KT_CHECK_METRIC_RANGE && check->min > check->max))
		n += kt_declaration_fault(ABOUT(payload), out,
					  "check %u: no number is within %g..%g", index, check->min,
					  check->max);
	if (check->exit_code < 0 || check->exit_code > 255)
		n += kt_declaration_fault(ABOUT(payload), out,
					  "check %u: an exit status is within 0..255, not %d",
					  index, check->exit_code);
	return n;
}

/* Two payloads must not share a name: the one that was registered later is at fault. */
static unsigned int check_payload(const struct kt_payload_node *nodes,
				  const struct kt_payload *payload, FILE *out)
{
	const struct kt_payload_node *at = nodes;
	unsigned int n = 0, index = 0;

	while (at->payload != payload && strcmp(at->payload->name, payload->name))
		at = at->next;
	if (at->payload != payload)
		n += kt_declaration_fault(ABOUT(payload), out, "the name is taken by %s:%u",
					  at->payload->file, at->payload->line);
	if (!payload->binary || !*payload->binary ||
	    payload->binary[strlen(payload->binary) - 1] == '/')
		n += kt_declaration_fault(ABOUT(payload), out, ".binary names no program");
	for (const struct kt_check *check = payload->checks; check && !check->end; check++)
		n += check_check(payload, index++, check, out);
	return n;
}

unsigned int kt_payloads_validate(const struct kt_payload_node *nodes, FILE *out)
{
	unsigned int n = 0;

	for (const struct kt_payload_node *at = nodes; at; at = at->next)
		n += check_payload(nodes, at->payload, out);
	return n;
}
