/* SPDX-License-Identifier: MIT */
/*
 * Parses the kernel's report of a scheduler that it has disabled out of the kernel log. The report
 * has this form; the message and the backtrace may be missing (kernel/sched/ext.c,
 * scx_disable_workfn()):
 *
 *   sched_ext: BPF scheduler "NAME" disabled (REASON)
 *   sched_ext: NAME: MESSAGE
 *      function+0x1/0x2
 *
 * User space can write to the log too. Only lines of the kernel count: see said().
 */
#include "guest/scheduler/exit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"
#include "util/cleanup.h"

#define HEAD  "sched_ext: BPF scheduler \""
#define HEAD2 "\" disabled ("
#define FROM  "sched_ext: "

#define LOG_MAX ((size_t)1 << 20) /* bytes of the kernel log that are kept; the oldest go first */

/* The texts of scx_exit_reason() in kernel/sched/ext.c. */
static const struct {
	enum kt_scx_exit kind;
	const char *name;
	const char *reason;
} kinds[] = {
	{ KT_SCX_EXIT_UNREG, "SCX_EXIT_UNREG", "unregistered from user space" },
	{ KT_SCX_EXIT_UNREG_BPF, "SCX_EXIT_UNREG_BPF", "unregistered from BPF" },
	{ KT_SCX_EXIT_UNREG_KERN, "SCX_EXIT_UNREG_KERN", "unregistered from the main kernel" },
	{ KT_SCX_EXIT_SYSRQ, "SCX_EXIT_SYSRQ", "disabled by sysrq-S" },
	{ KT_SCX_EXIT_ERROR, "SCX_EXIT_ERROR", "runtime error" },
	{ KT_SCX_EXIT_ERROR_BPF, "SCX_EXIT_ERROR_BPF", "scx_bpf_error" },
	{ KT_SCX_EXIT_ERROR_STALL, "SCX_EXIT_ERROR_STALL", "runnable task stall" },
};

const char *kt_scx_exit_name(enum kt_scx_exit kind)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(kinds); i++) {
		if (kinds[i].kind == kind)
			return kinds[i].name;
	}
	return kind == KT_SCX_EXIT_OTHER ? "unknown" : "any";
}

static enum kt_scx_exit find_kind(const char *reason)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(kinds); i++) {
		if (!strcmp(kinds[i].reason, reason))
			return kinds[i].kind;
	}
	return KT_SCX_EXIT_OTHER;
}

void kt_scx_exit_deinit(struct kt_scx_exit_info *info)
{
	free(info->reason);
	free(info->message);
	free(info->backtrace);
	*info = (struct kt_scx_exit_info){ .kind = KT_SCX_EXIT_NONE };
}

/*
 * The text of a line that the kernel has written, after " [seconds] ". NULL for a line of user
 * space, which does not begin with a space, and for an empty one.
 */
static const char *said(const char *line)
{
	const char *end = strstr(line, "] ");

	return *line == ' ' && end && end < line + strcspn(line, "\n") ? end + 2 : NULL;
}

/* The beginning of the next line, or the NUL at the end of the log. */
static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

/* The line with which the last report begins. NULL when there is none. */
static const char *find_last(const char *log)
{
	const char *last = NULL;

	for (const char *line = log; *line; line = next_line(line)) {
		const char *text = said(line);

		if (text && !strncmp(text, HEAD, strlen(HEAD)))
			last = line;
	}
	return last;
}

/*
 * Collects the lines from @line on that begin with two spaces, as stack_trace_print() writes them,
 * without the spaces. "" when there are none, NULL without memory. To be freed.
 */
static char *take_backtrace(const char *line)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer text = KT_BUFFER_NULL;

	for (; *line; line = next_line(line)) {
		const char *at = said(line);

		if (!at || strncmp(at, "  ", 2))
			break;
		at += strspn(at, " ");
		if (kt_buffer_append(&text, at, strcspn(at, "\n")) < 0 ||
		    kt_buffer_append(&text, "\n", 1) < 0)
			return NULL;
	}
	return kt_buffer_append(&text, "", 1) < 0 ? NULL : kt_steal(text.data);
}

/* Parses the report that begins at @line. On failure @info owns what has been found so far. */
static int parse_at(const char *line, struct kt_scx_exit_info *info)
{
	const char *name = said(line) + strlen(HEAD), *reason = strstr(name, HEAD2), *text;
	size_t name_len, head = strlen(FROM);

	if (!reason || reason > line + strcspn(line, "\n"))
		return -ENODATA;
	name_len = (size_t)(reason - name);
	reason += strlen(HEAD2);
	info->reason = strndup(reason, strcspn(reason, ")\n"));
	line = next_line(line);
	text = said(line);
	/* The second line, "sched_ext: NAME: MESSAGE". */
	if (text && !strncmp(text, FROM, head) && !strncmp(text + head, name, name_len) &&
	    !strncmp(text + head + name_len, ": ", 2)) {
		text += head + name_len + 2;
		info->message = strndup(text, strcspn(text, "\n"));
		line = next_line(line);
	} else {
		info->message = strdup("");
	}
	info->backtrace = take_backtrace(line);
	if (!info->reason || !info->message || !info->backtrace)
		return -ENOMEM;
	info->kind = find_kind(info->reason);
	return 0;
}

int kt_scx_exit_parse(const char *log, struct kt_scx_exit_info *ret_info)
{
	struct kt_scx_exit_info info = { .kind = KT_SCX_EXIT_NONE };
	const char *line = find_last(log);
	int r = line ? parse_at(line, &info) : -ENODATA;

	if (r < 0)
		kt_scx_exit_deinit(&info);
	else
		*ret_info = info;
	return r;
}

char *kt_scx_exit_complaint(const char *log)
{
	const char *last = NULL;

	for (const char *line = log; *line; line = next_line(line)) {
		const char *text = said(line);

		if (text && !strncmp(text, FROM, strlen(FROM)) &&
		    strncmp(text, HEAD, strlen(HEAD)))
			last = text + strlen(FROM);
	}
	return last ? strndup(last, strcspn(last, "\n")) : NULL;
}

/* ---- the log itself -------------------------------------------------------------------------- */

int kt_scx_log_open(struct kt_scx_log *log, struct kt_err *reterr)
{
	int r = log->kmsg ? 0 : kt_kmsg_open(&log->kmsg, reterr);

	if (r == 0)
		kt_scx_log_clear(log);
	return r;
}

void kt_scx_log_close(struct kt_scx_log *log)
{
	log->kmsg = kt_kmsg_close(log->kmsg);
	kt_buffer_deinit(&log->text);
}

void kt_scx_log_clear(struct kt_scx_log *log)
{
	kt_kmsg_begin(log->kmsg);
	kt_buffer_consume(&log->text, log->text.len);
}

const char *kt_scx_log_read(struct kt_scx_log *log)
{
	struct kt_buffer *text = &log->text;
	KT_FREE char *more = NULL;

	if (kt_kmsg_read(log->kmsg, &more, NULL) == 0 && more) {
		/* The NUL at the end makes way for the new text, which brings its own. */
		text->len -= text->len ? 1 : 0;
		if (kt_buffer_append(text, more, strlen(more) + 1) < 0)
			(void)kt_buffer_append(text, "", 1);
		if (text->len > LOG_MAX)
			kt_buffer_consume(text, text->len - LOG_MAX);
	}
	return text->len ? text->data : "";
}
