/* SPDX-License-Identifier: MIT */
#include "framework/payload.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static unsigned int fault(FILE *out, const struct kt_payload *payload, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static unsigned int fault(FILE *out, const struct kt_payload *payload, const char *format, ...)
{
	va_list ap;

	(void)fprintf(out, "%s:%u: payload %s: ", payload->file, payload->line, payload->name);
	va_start(ap, format);
	(void)vfprintf(out, format, ap);
	va_end(ap);
	(void)fputc('\n', out);
	return 1;
}

static bool is_about_metric(const struct kt_check *check)
{
	return check->kind >= KT_CHECK_METRIC_MIN && check->kind <= KT_CHECK_METRIC_EXISTS;
}

static unsigned int check_check(const struct kt_payload *payload, unsigned int index,
				const struct kt_check *check, FILE *out)
{
	unsigned int n = 0;

	if (check->kind <= KT_CHECK_NONE || check->kind >= KT_N_CHECK_KINDS)
		return fault(out, payload, "check %u: use the macros, as KT_EXIT_CODE()", index);
	if (is_about_metric(check) && !check->metric)
		n += fault(out, payload, "check %u: it names no metric", index);
	if (is_about_metric(check) && !(payload->output & KT_OUTPUT_JSON))
		n += fault(
			out, payload,
			"check %u is about a metric; .output has no KT_OUTPUT_JSON to find it in",
			index);
	if (isnan(check->min) || isnan(check->max) ||
	    (check->kind == KT_CHECK_METRIC_RANGE && check->min > check->max))
		n += fault(out, payload, "check %u: no number is within %g..%g", index, check->min,
			   check->max);
	if (check->exit_code < 0 || check->exit_code > 255)
		n += fault(out, payload, "check %u: an exit status is within 0..255, not %d", index,
			   check->exit_code);
	return n;
}

static unsigned int check_payload(const struct kt_payload_node *nodes,
				  const struct kt_payload *payload, FILE *out)
{
	const struct kt_payload_node *at = nodes;
	unsigned int n = 0, index = 0;

	while (at->payload != payload && strcmp(at->payload->name, payload->name))
		at = at->next;
	if (at->payload != payload)
		n += fault(out, payload, "the name is taken by %s:%u", at->payload->file,
			   at->payload->line);
	if (!payload->binary || !*payload->binary ||
	    payload->binary[strlen(payload->binary) - 1] == '/')
		n += fault(out, payload, ".binary names no program");
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
