/* SPDX-License-Identifier: MIT */
#include "framework/shard/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * Each line is written whole by one write(2), so that whoever is killed when, the file has whole
 * lines and at most one that broke off. A journal is never larger than what a reader takes: a run
 * without an end, such as --stress-count infinite, stops adding results.
 */

#define END_MAX   ((size_t)4096)            /* bytes that are kept for the last line */
#define BYTES_MAX (KT_SHARD_RECORD_MAX / 2) /* JSON needs more memory than its text */

static const struct flock WHOLE_FILE = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

bool kt_journal_grows(const char *path)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct flock lock = WHOLE_FILE;

	return fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

void kt_journal_deinit(struct kt_journal *journal)
{
	if (journal->fd >= 0)
		(void)close(journal->fd);
	*journal = KT_JOURNAL_NULL;
}

/* Takes @json over. */
static int add_line(struct kt_journal *journal, json_t *json, struct kt_err *reterr)
{
	KT_JSON json_t *line = json;
	KT_FREE char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	int r;

	if (!text)
		return kt_err_oom(reterr);
	text[len++] = '\n'; /* in place of the NUL */
	if (len > journal->room) {
		journal->n_left_out++;
		return 0;
	}
	journal->room -= len;
	r = kt_write_full(journal->fd, text, len);
	return r < 0 ? kt_err_set(reterr, r, KT_JOURNAL_FILE ": %m") : 0;
}

int kt_journal_begin(struct kt_journal *journal, const char *dir, const struct kt_shard_head *head,
		     struct kt_err *reterr)
{
	KT_FREE char *path = kt_format("%s/" KT_JOURNAL_FILE, dir);
	KT_JSON json_t *results = json_array();
	int r;

	*journal = KT_JOURNAL_NULL;
	if (!path || !results)
		return kt_err_oom(reterr);
	journal->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
	if (journal->fd < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", path);
	/* Children of the run do not inherit it: it goes with the run, whoever is killed. */
	(void)fcntl(journal->fd, F_SETLK, &WHOLE_FILE);
	journal->room = BYTES_MAX;
	r = add_line(journal, kt_shard_record_to_json(head, results), reterr);
	journal->room -= KT_MIN(journal->room, (uint64_t)END_MAX);
	return r;
}

int kt_journal_add(struct kt_journal *journal, const struct kt_shard_result *result,
		   struct kt_err *reterr)
{
	return add_line(journal, kt_shard_result_to_json(result), reterr);
}

int kt_journal_end(struct kt_journal *journal, bool complete, uint64_t elapsed_ms, int status,
		   struct kt_err *reterr)
{
	journal->room = END_MAX;
	return add_line(journal,
			json_pack("{sb sI si sI}", "complete", complete, "elapsed_ms",
				  (json_int_t)elapsed_ms, "status", status, "left_out",
				  (json_int_t)journal->n_left_out),
			reterr);
}

/* A record that is no journal has its first member on a line of its own. */
bool kt_journal_is(const char *text, size_t len)
{
	const char *end = memchr(text, '\n', len);

	return end && end > text && end[-1] == '}';
}

/* The last line has members of the record; any other one is a result. */
static int take_line(json_t *record, json_t *line)
{
	json_t *results = json_object_get(record, "results");

	if (json_object_get(line, "complete"))
		return json_object_update(record, line);
	return json_array_append(results, line);
}

int kt_journal_parse(const char *text, size_t len, json_t **ret_json, struct kt_err *reterr)
{
	KT_JSON json_t *record = NULL;
	const char *end;

	for (unsigned int number = 1; len && (end = memchr(text, '\n', len)); number++) {
		KT_JSON json_t *line = NULL;
		size_t line_len = (size_t)(end - text);
		int r = kt_json_parse(text, line_len, "the line", &line, reterr);

		if (r < 0)
			return kt_err_prefix(reterr, r, "line %u", number);
		if (!record)
			record = json_incref(line);
		else if (take_line(record, line) < 0)
			return kt_err_set(reterr, -EBADMSG, "line %u: it is of another file",
					  number);
		text = end + 1;
		len -= line_len + 1;
	}
	if (!record)
		return kt_err_set(reterr, -EBADMSG, "its first line broke off");
	*ret_json = kt_steal(record);
	return 0;
}
