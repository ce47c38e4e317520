/* SPDX-License-Identifier: MIT */
#include "framework/payload.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/process.h"

/* ---- which there are ---------------------------------------------------------------------------- */

static void place_deinit(struct kt_payload_place *place)
{
	for (size_t i = 0; i < place->n_extras; i++) {
		free((char *)place->extras[i].host);
		free((char *)place->extras[i].guest);
	}
	free(place->extras);
	free(place->binary);
}

void kt_payloads_deinit(struct kt_payloads *payloads)
{
	for (size_t i = 0; i < payloads->n; i++) {
		free((char *)payloads->packages[i].name);
		place_deinit(&payloads->places[i]);
	}
	free(payloads->places);
	free(payloads->packages);
	*payloads = KT_PAYLOADS_NULL;
}

static size_t find_place(const struct kt_payloads *payloads, const struct kt_payload *payload)
{
	size_t i = 0;

	while (i < payloads->n && payloads->places[i].payload != payload)
		i++;
	return i;
}

/* ---- which payloads a test uses ----------------------------------------------------------------- */

#define USED_MAX 64u /* as many as a mask has bits */

struct used {
	const struct kt_payload *at[USED_MAX];
	size_t n;
};

static void use(struct used *used, const struct kt_payload *payload)
{
	for (size_t i = 0; payload && i < used->n; i++) {
		if (used->at[i] == payload)
			return;
	}
	if (payload && used->n < USED_MAX)
		used->at[used->n++] = payload;
}

static void use_lists(struct used *used, const struct kt_cgroup_def *setup, const struct kt_op *ops)
{
	for (const struct kt_cgroup_def *def = setup; def && !def->end; def++)
		use(used, def->payload);
	for (const struct kt_op *op = ops; op && !op->end; op++) {
		use(used, op->payload);
		if (op->def)
			use(used, op->def->payload);
	}
}

/* Those that it lists, and those that its steps name. */
static struct used used_by(const struct kt_test *test)
{
	struct used used = { .n = 0 };

	for (const struct kt_payload *const *at = test->payloads; at && *at; at++)
		use(&used, *at);
	use_lists(&used, test->backdrop.setup, test->backdrop.ops);
	for (const struct kt_step *step = test->steps; step && !step->end; step++)
		use_lists(&used, step->setup, step->ops);
	return used;
}

uint64_t kt_payloads_packages(const struct kt_payloads *payloads, const struct kt_test *test)
{
	struct used used = used_by(test);
	uint64_t packages = 0;

	for (size_t i = 0; i < used.n; i++)
		packages |= kt_image_package_bit(find_place(payloads, used.at[i]));
	return packages;
}

char *kt_payloads_missing(const struct kt_payloads *payloads, const struct kt_test *test)
{
	struct used used = used_by(test);

	for (size_t i = 0; i < used.n; i++) {
		const struct kt_payload *payload = used.at[i];
		size_t place = find_place(payloads, payload);

		if (place == payloads->n || !payloads->places[place].binary)
			return kt_format("payload %s: '%s' is not installed%s%s", payload->name,
					 payload->binary, payload->package ? "; install " : "",
					 payload->package ?: "");
	}
	return NULL;
}

/* ---- where they are on the host ----------------------------------------------------------------- */

/* A path of a declaration; relative ones begin where the test program is. NULL when out of memory. */
static char *host_path(const char *path)
{
	char program[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (*path == '/' || len < 0)
		return strdup(path);
	program[len] = '\0';
	*strrchr(program, '/') = '\0';
	return kt_format("%s/%s", program, path);
}

/* Leaves *@ret_path NULL when the binary is not installed. */
static int find_binary(const struct kt_payload *payload, char **ret_path, struct kt_err *reterr)
{
	KT_FREE char *path =
		strchr(payload->binary, '/') ? host_path(payload->binary) : strdup(payload->binary);
	char found[PATH_MAX];

	if (!path)
		return kt_err_oom(reterr);
	if (kt_process_find(path, found, sizeof(found)) < 0)
		return 0;
	*ret_path = strdup(found);
	return *ret_path ? 0 : kt_err_oom(reterr);
}

/* The kernel of the guest would look for a script's interpreter in vain, so nothing but ELF will do. */
static int check_binary(const char *path, struct kt_err *reterr)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char head[128];
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head) - 1);

	if (n < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", path);
	head[n] = '\0';
	if (n >= 2 && head[0] == '#' && head[1] == '!')
		return kt_err_set(reterr, -ENOEXEC,
				  "'%s' is a script (%.*s), which cannot be packed; name its "
				  "interpreter as .binary, and the script in .files and .args",
				  path, (int)strcspn(head, "\r\n"), head);
	if (n < SELFMAG || memcmp(head, ELFMAG, SELFMAG))
		return kt_err_set(reterr, -ENOEXEC, "'%s' is no ELF program", path);
	return 0;
}

static int check_file(const char *path, struct kt_err *reterr)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return kt_err_set(reterr, -errno, "the file '%s': %m", path);
	if (!S_ISREG(st.st_mode))
		return kt_err_set(reterr, -EINVAL, "'%s' is no regular file", path);
	return 0;
}

/* @name is what it is called in the declaration, whose last part counts in the guest. */
static int add_extra(struct kt_payload_place *place, const char *host, const char *name,
		     struct kt_err *reterr)
{
	const char *slash = strrchr(name, '/');
	struct kt_image_extra *grown =
		reallocarray(place->extras, place->n_extras + 1, sizeof(*grown));
	struct kt_image_extra *extra;

	if (!grown)
		return kt_err_oom(reterr);
	place->extras = grown;
	extra = &grown[place->n_extras++];
	extra->host = strdup(host);
	extra->guest =
		kt_format(KT_PAYLOAD_DIR "/%s/%s", place->payload->name, slash ? slash + 1 : name);
	return extra->host && extra->guest ? 0 : kt_err_oom(reterr);
}

static int collect_extras(struct kt_payload_place *place, struct kt_err *reterr)
{
	int r = check_binary(place->binary, reterr)
			?: add_extra(place, place->binary, place->payload->binary, reterr);

	for (const char *const *at = place->payload->files; r == 0 && at && *at; at++) {
		KT_FREE char *path = host_path(*at);

		if (!path)
			return kt_err_oom(reterr);
		r = check_file(path, reterr) ?: add_extra(place, path, *at, reterr);
	}
	return r;
}

/* ---- those of a selection ----------------------------------------------------------------------- */

static int add_place(struct kt_payloads *payloads, const struct kt_payload *payload,
		     struct kt_err *reterr)
{
	struct kt_payload_place *places =
		reallocarray(payloads->places, payloads->n + 1, sizeof(*places));
	struct kt_image_package *packages =
		reallocarray(payloads->packages, payloads->n + 1, sizeof(*packages));

	payloads->places = places ?: payloads->places;
	payloads->packages = packages ?: payloads->packages;
	if (!places || !packages)
		return kt_err_oom(reterr);
	places[payloads->n] = (struct kt_payload_place){ .payload = payload };
	packages[payloads->n] = (struct kt_image_package){
		.name = kt_format("payload %s", payload->name),
	};
	payloads->n++;
	if (!packages[payloads->n - 1].name)
		return kt_err_oom(reterr);
	return find_binary(payload, &places[payloads->n - 1].binary, reterr);
}

static int find_all(struct kt_payloads *payloads, const struct kt_test *test, struct kt_err *reterr)
{
	struct used used = used_by(test);
	int r = 0;

	for (size_t i = 0; r == 0 && i < used.n; i++) {
		if (find_place(payloads, used.at[i]) == payloads->n)
			r = add_place(payloads, used.at[i], reterr);
	}
	return r;
}

static int pack_all(struct kt_payloads *payloads, const struct kt_test *test, struct kt_err *reterr)
{
	struct used used = used_by(test);

	for (size_t n = 0; n < used.n; n++) {
		size_t i = find_place(payloads, used.at[n]);
		struct kt_payload_place *place = &payloads->places[i];
		int r = place->n_extras ? 0 : collect_extras(place, reterr);

		if (r < 0)
			return kt_err_prefix(reterr, r, "payload %s", used.at[n]->name);
		payloads->packages[i].extras = place->extras;
		payloads->packages[i].n_extras = place->n_extras;
	}
	return 0;
}

int kt_payloads_init(struct kt_payloads *payloads, const struct kt_test *const *tests,
		     size_t n_tests, struct kt_err *reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_tests; i++)
		r = find_all(payloads, tests[i], reterr);
	for (size_t i = 0; r == 0 && i < n_tests; i++) {
		KT_FREE char *missing = kt_payloads_missing(payloads, tests[i]);

		if (!missing && !tests[i]->disabled)
			r = pack_all(payloads, tests[i], reterr);
	}
	return r;
}

/* ---- declarations ------------------------------------------------------------------------------- */

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
