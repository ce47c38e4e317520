/* SPDX-License-Identifier: MIT */
#include "framework/setup/cargo.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/process.h"

/*
 * kt_cargo_init() walks each test once (visit_test()) and keeps the result: a list of places, each
 * with one declaration, and for each test the indices of its places. Later questions, which come
 * for every test in every round, are answered from these lists.
 *
 * A missing file must skip its test and not fail the run. Therefore the files of all tests are
 * looked for first; then files are checked and packed, but only for tests that miss none and are
 * not disabled.
 */

/* ---- what a declaration mentions ------------------------------------------------------------ */

/* Called at every mention of a payload or scheduler; several mentions of one make several calls. */
typedef int (*visit_fn)(void *data, const struct kt_cargo_item *item);

static int visit_payload(const struct kt_payload *payload, visit_fn fn, void *data)
{
	if (!payload)
		return 0;
	return fn(data, &(const struct kt_cargo_item){
				.kind = KT_CARGO_PAYLOAD,
				.declaration = payload,
				.name = payload->name,
				.path = payload->binary,
				.package = payload->package,
				.files = payload->files,
			});
}

static int visit_scheduler(const struct kt_scheduler *scheduler, visit_fn fn, void *data)
{
	if (!scheduler)
		return 0;
	return fn(data, &(const struct kt_cargo_item){
				.kind = scheduler->object ? KT_CARGO_OBJECT : KT_CARGO_SCHEDULER,
				.declaration = scheduler,
				.name = scheduler->name,
				.path = scheduler->object ?: scheduler->binary,
				.package = scheduler->package,
			});
}

static int visit_lists(const struct kt_cgroup_def *setup, const struct kt_op *ops, visit_fn fn,
		       void *data)
{
	int r = 0;

	for (const struct kt_cgroup_def *def = setup; r == 0 && def && !def->end; def++)
		r = visit_payload(def->payload, fn, data);
	for (const struct kt_op *op = ops; r == 0 && op && !op->end; op++) {
		r = visit_payload(op->payload, fn, data)
			    ?: visit_scheduler(op->scheduler, fn, data);
		if (r == 0 && op->def)
			r = visit_payload(op->def->payload, fn, data);
	}
	return r;
}

/* Visits the lists of the test itself, then its backdrop and steps. Ends at a result not 0. */
static int visit_test(const struct kt_test *test, visit_fn fn, void *data)
{
	int r = 0;

	for (const struct kt_payload *const *at = test->payloads; r == 0 && at && *at; at++)
		r = visit_payload(*at, fn, data);
	r = r ?: visit_scheduler(test->scheduler, fn, data);
	for (const struct kt_scheduler *const *at = test->schedulers; r == 0 && at && *at; at++)
		r = visit_scheduler(*at, fn, data);
	r = r ?: visit_lists(test->backdrop.setup, test->backdrop.ops, fn, data);
	for (const struct kt_step *step = test->steps; r == 0 && step && !step->end; step++)
		r = visit_lists(step->setup, step->ops, fn, data);
	return r;
}

static int is_scheduler(void *data, const struct kt_cargo_item *item)
{
	(void)data;
	return item->kind != KT_CARGO_PAYLOAD;
}

bool kt_cargo_names_scheduler(const struct kt_test *test)
{
	return visit_test(test, is_scheduler, NULL);
}

/* ---- questions about a test ----------------------------------------------------------------- */

static const struct kt_cargo_use *find_use(const struct kt_cargo *cargo, const struct kt_test *test)
{
	static const struct kt_cargo_use nothing;

	for (size_t i = 0; i < cargo->n_uses; i++) {
		if (cargo->uses[i].test == test)
			return &cargo->uses[i];
	}
	return &nothing;
}

/* The index of the declaration's place; cargo->n if it has none. */
static size_t find_place(const struct kt_cargo *cargo, const void *declaration)
{
	size_t i = 0;

	while (i < cargo->n && cargo->places[i].item.declaration != declaration)
		i++;
	return i;
}

const char *kt_cargo_path(const struct kt_cargo *cargo, const void *declaration)
{
	size_t i = find_place(cargo, declaration);

	return i < cargo->n ? cargo->places[i].path : NULL;
}

uint64_t kt_cargo_packages(const struct kt_cargo *cargo, const struct kt_test *test)
{
	return find_use(cargo, test)->packages;
}

static char *describe_missing(const struct kt_cargo_item *item)
{
	const char *where = item->kind == KT_CARGO_PAYLOAD ? "is not installed" : "is not found";

	return kt_format("%s %s: '%s' %s%s%s", kt_cargo_kind_name(item->kind), item->name,
			 item->path, where, item->package ? "; install " : "", item->package ?: "");
}

char *kt_cargo_missing(const struct kt_cargo *cargo, const struct kt_test *test)
{
	const struct kt_cargo_use *use = find_use(cargo, test);

	for (size_t i = 0; i < use->n; i++) {
		const struct kt_cargo_place *place = &cargo->places[use->places[i]];

		if (!place->path)
			return describe_missing(&place->item);
	}
	return NULL;
}

int kt_cargo_for_each_scheduler(const struct kt_cargo *cargo, const struct kt_test *test,
				int (*fn)(void *data, const struct kt_scheduler *scheduler),
				void *data)
{
	const struct kt_cargo_use *use = find_use(cargo, test);
	int r = 0;

	for (size_t i = 0; r == 0 && i < use->n; i++) {
		const struct kt_cargo_place *place = &cargo->places[use->places[i]];

		if (place->item.kind != KT_CARGO_PAYLOAD)
			r = fn(data, place->item.declaration);
	}
	return r;
}

/* ---- where they are on the host ------------------------------------------------------------- */

/* Resolves a path of a declaration relative to the directory of the test program. */
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

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

/* The first @name in the directories of KTESTS_SCHEDULER_PATH and beside the program; or NULL. */
static char *find_scheduler(const char *name)
{
	KT_FREE char *list = strdup(getenv("KTESTS_SCHEDULER_PATH") ?: "");
	char *save, *path;

	for (char *dir = list ? strtok_r(list, ":", &save) : NULL; dir;
	     dir = strtok_r(NULL, ":", &save)) {
		path = kt_format("%s/%s", dir, name);
		if (path && is_file(path))
			return path;
		free(path);
	}
	path = host_path(name);
	if (path && is_file(path))
		return path;
	free(path);
	return NULL;
}

/*
 * *@ret_path stays NULL if the file does not exist. A name without a slash is searched for: a
 * scheduler by find_scheduler() first, and any program in PATH.
 */
static int find_path(const struct kt_cargo_item *item, char **ret_path, struct kt_err *reterr)
{
	bool is_path = strchr(item->path, '/');
	KT_FREE char *path = is_path ? host_path(item->path) : strdup(item->path);
	char found[PATH_MAX];

	if (!path)
		return kt_err_oom(reterr);
	if (item->kind != KT_CARGO_PAYLOAD && !is_path)
		*ret_path = find_scheduler(item->path);
	if (*ret_path)
		return 0;
	if (item->kind == KT_CARGO_OBJECT) {
		if (is_path && is_file(path))
			*ret_path = kt_steal(path);
		return 0;
	}
	if (kt_process_find(path, found, sizeof(found)) < 0)
		return 0;
	*ret_path = strdup(found);
	return *ret_path ? 0 : kt_err_oom(reterr);
}

/* The guest has packed files only: its kernel would not find the interpreter of a script. */
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

static const char *guest_dir(enum kt_cargo_kind kind)
{
	return kind == KT_CARGO_PAYLOAD ? KT_PAYLOAD_DIR : KT_SCHEDULER_DIR;
}

/* In the guest the file has the last part of @name, the path as declared. */
static int add_extra(struct kt_cargo_place *place, const char *host, const char *name,
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
	extra->guest = kt_format("%s/%s/%s", guest_dir(place->item.kind), place->item.name,
				 slash ? slash + 1 : name);
	return extra->host && extra->guest ? 0 : kt_err_oom(reterr);
}

/* The program or object itself comes first, then the files of a payload. */
static int collect_extras(struct kt_cargo_place *place, struct kt_err *reterr)
{
	const struct kt_cargo_item *item = &place->item;
	int r = item->kind == KT_CARGO_OBJECT ? 0 : check_binary(place->path, reterr);

	r = r ?: add_extra(place, place->path, item->path, reterr);
	for (const char *const *at = item->files; r == 0 && at && *at; at++) {
		KT_FREE char *path = host_path(*at);

		if (!path)
			return kt_err_oom(reterr);
		r = check_file(path, reterr) ?: add_extra(place, path, *at, reterr);
	}
	return r;
}

/* ---- the cargo of a selection --------------------------------------------------------------- */

static void place_deinit(struct kt_cargo_place *place)
{
	for (size_t i = 0; i < place->n_extras; i++) {
		free((char *)place->extras[i].host);
		free((char *)place->extras[i].guest);
	}
	free(place->extras);
	free(place->path);
}

void kt_cargo_deinit(struct kt_cargo *cargo)
{
	for (size_t i = 0; i < cargo->n; i++) {
		free((char *)cargo->packages[i].name);
		place_deinit(&cargo->places[i]);
	}
	for (size_t i = 0; i < cargo->n_uses; i++)
		free(cargo->uses[i].places);
	free(cargo->uses);
	free(cargo->places);
	free(cargo->packages);
	*cargo = KT_CARGO_NULL;
}

/* If only one of the two arrays could grow, its new pointer is kept all the same. */
static int add_place(struct kt_cargo *cargo, const struct kt_cargo_item *item,
		     struct kt_err *reterr)
{
	struct kt_cargo_place *places = reallocarray(cargo->places, cargo->n + 1, sizeof(*places));
	struct kt_image_package *packages =
		reallocarray(cargo->packages, cargo->n + 1, sizeof(*packages));

	cargo->places = places ?: cargo->places;
	cargo->packages = packages ?: cargo->packages;
	if (!places || !packages)
		return kt_err_oom(reterr);
	places[cargo->n] = (struct kt_cargo_place){ .item = *item };
	packages[cargo->n] = (struct kt_image_package){
		.name = kt_format("%s %s", kt_cargo_kind_name(item->kind), item->name),
	};
	cargo->n++;
	if (!packages[cargo->n - 1].name)
		return kt_err_oom(reterr);
	return find_path(item, &places[cargo->n - 1].path, reterr);
}

/* The data of collect_item(): a walk through one test. */
struct collection {
	struct kt_cargo *cargo;
	struct kt_cargo_use *use;
	struct kt_err *err;
};

/* Several mentions of a place count once, and the first gives the order. */
static int add_to_use(struct kt_cargo_use *use, size_t place, struct kt_err *reterr)
{
	size_t *grown;

	for (size_t i = 0; i < use->n; i++) {
		if (use->places[i] == place)
			return 0;
	}
	grown = reallocarray(use->places, use->n + 1, sizeof(*grown));
	if (!grown)
		return kt_err_oom(reterr);
	use->places = grown;
	grown[use->n++] = place;
	use->packages |= kt_image_package_bit(place);
	return 0;
}

/* Makes the item's place if no test before has mentioned it, and adds it to those of this test. */
static int collect_item(void *data, const struct kt_cargo_item *item)
{
	struct collection *collection = data;
	struct kt_cargo *cargo = collection->cargo;
	size_t place = find_place(cargo, item->declaration);
	int r = 0;

	if (place == cargo->n)
		r = add_place(cargo, item, collection->err);
	return r ?: add_to_use(collection->use, place, collection->err);
}

/* A place that another test has packed already stays as it is. */
static int pack_use(struct kt_cargo *cargo, const struct kt_cargo_use *use, struct kt_err *reterr)
{
	for (size_t i = 0; i < use->n; i++) {
		struct kt_cargo_place *place = &cargo->places[use->places[i]];
		struct kt_image_package *package = &cargo->packages[use->places[i]];
		int r = place->n_extras ? 0 : collect_extras(place, reterr);

		if (r < 0)
			return kt_err_prefix(reterr, r, "%s", package->name);
		package->extras = place->extras;
		package->n_extras = place->n_extras;
	}
	return 0;
}

int kt_cargo_init(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
		  struct kt_err *reterr)
{
	int r = 0;

	cargo->uses = calloc(n_tests + 1, sizeof(*cargo->uses));
	if (!cargo->uses)
		return kt_err_oom(reterr);
	for (; r == 0 && cargo->n_uses < n_tests; cargo->n_uses++) {
		struct kt_cargo_use *use = &cargo->uses[cargo->n_uses];
		struct collection collection = { cargo, use, reterr };

		use->test = tests[cargo->n_uses];
		r = visit_test(use->test, collect_item, &collection);
	}
	for (size_t i = 0; r == 0 && i < n_tests; i++) {
		KT_FREE char *missing = kt_cargo_missing(cargo, tests[i]);

		if (!missing && !tests[i]->disabled)
			r = pack_use(cargo, &cargo->uses[i], reterr);
	}
	return r;
}
