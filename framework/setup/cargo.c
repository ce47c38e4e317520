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

/* ---- which there are ---------------------------------------------------------------------------- */

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
	free(cargo->places);
	free(cargo->packages);
	*cargo = KT_CARGO_NULL;
}

static size_t find_place(const struct kt_cargo *cargo, const struct kt_cargo_item *item)
{
	size_t i = 0;

	while (i < cargo->n && cargo->places[i].item.declaration != item->declaration)
		i++;
	return i;
}

const char *kt_cargo_path(const struct kt_cargo *cargo, const void *declaration)
{
	const struct kt_cargo_item item = { .declaration = declaration };
	size_t i = find_place(cargo, &item);

	return i < cargo->n ? cargo->places[i].path : NULL;
}

/* ---- which a test uses -------------------------------------------------------------------------- */

#define USED_MAX 64u /* as many as a mask has bits */

struct used {
	struct kt_cargo_item at[USED_MAX];
	size_t n;
};

static void use(struct used *used, const struct kt_cargo_item *item)
{
	for (size_t i = 0; i < used->n; i++) {
		if (used->at[i].declaration == item->declaration)
			return;
	}
	if (used->n < USED_MAX)
		used->at[used->n++] = *item;
}

static void use_payload(struct used *used, const struct kt_payload *payload)
{
	if (payload)
		use(used, &(const struct kt_cargo_item){
				  .kind = KT_CARGO_PAYLOAD,
				  .declaration = payload,
				  .name = payload->name,
				  .path = payload->binary,
				  .package = payload->package,
				  .files = payload->files,
			  });
}

static void use_scheduler(struct used *used, const struct kt_scheduler *scheduler)
{
	if (scheduler)
		use(used, &(const struct kt_cargo_item){
				  .kind = scheduler->object ? KT_CARGO_OBJECT : KT_CARGO_SCHEDULER,
				  .declaration = scheduler,
				  .name = scheduler->name,
				  .path = scheduler->object ?: scheduler->binary,
				  .package = scheduler->package,
			  });
}

static void use_lists(struct used *used, const struct kt_cgroup_def *setup, const struct kt_op *ops)
{
	for (const struct kt_cgroup_def *def = setup; def && !def->end; def++)
		use_payload(used, def->payload);
	for (const struct kt_op *op = ops; op && !op->end; op++) {
		use_payload(used, op->payload);
		use_scheduler(used, op->scheduler);
		if (op->def)
			use_payload(used, op->def->payload);
	}
}

/* Those that it lists, and those that its steps name. */
static struct used used_by(const struct kt_test *test)
{
	struct used used = { .n = 0 };

	for (const struct kt_payload *const *at = test->payloads; at && *at; at++)
		use_payload(&used, *at);
	use_scheduler(&used, test->scheduler);
	for (const struct kt_scheduler *const *at = test->schedulers; at && *at; at++)
		use_scheduler(&used, *at);
	use_lists(&used, test->backdrop.setup, test->backdrop.ops);
	for (const struct kt_step *step = test->steps; step && !step->end; step++)
		use_lists(&used, step->setup, step->ops);
	return used;
}

uint64_t kt_cargo_packages(const struct kt_cargo *cargo, const struct kt_test *test)
{
	struct used used = used_by(test);
	uint64_t packages = 0;

	for (size_t i = 0; i < used.n; i++)
		packages |= kt_image_package_bit(find_place(cargo, &used.at[i]));
	return packages;
}

static char *describe_missing(const struct kt_cargo_item *item)
{
	const char *where = item->kind == KT_CARGO_PAYLOAD ? "is not installed" : "is not found";

	return kt_format("%s %s: '%s' %s%s%s", kt_cargo_kind_name(item->kind), item->name,
			 item->path, where, item->package ? "; install " : "", item->package ?: "");
}

char *kt_cargo_missing(const struct kt_cargo *cargo, const struct kt_test *test)
{
	struct used used = used_by(test);

	for (size_t i = 0; i < used.n; i++) {
		size_t place = find_place(cargo, &used.at[i]);

		if (place == cargo->n || !cargo->places[place].path)
			return describe_missing(&used.at[i]);
	}
	return NULL;
}

int kt_cargo_for_each_scheduler(const struct kt_test *test,
				int (*fn)(void *data, const struct kt_scheduler *scheduler),
				void *data)
{
	struct used used = used_by(test);
	int r = 0;

	for (size_t i = 0; r == 0 && i < used.n; i++) {
		if (used.at[i].kind != KT_CARGO_PAYLOAD)
			r = fn(data, used.at[i].declaration);
	}
	return r;
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

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0;
}

/* @name in one of the directories of KTESTS_SCHEDULER_PATH, or beside the program; NULL if it is not. */
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

/* Leaves *@ret_path NULL when it is not there. */
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

static const char *guest_dir(enum kt_cargo_kind kind)
{
	return kind == KT_CARGO_PAYLOAD ? KT_PAYLOAD_DIR : KT_SCHEDULER_DIR;
}

/* @name is what it is called in the declaration, whose last part counts in the guest. */
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

/* ---- those of a selection ----------------------------------------------------------------------- */

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

static int find_all(struct kt_cargo *cargo, const struct kt_test *test, struct kt_err *reterr)
{
	struct used used = used_by(test);
	int r = 0;

	for (size_t i = 0; r == 0 && i < used.n; i++) {
		if (find_place(cargo, &used.at[i]) == cargo->n)
			r = add_place(cargo, &used.at[i], reterr);
	}
	return r;
}

static int pack_all(struct kt_cargo *cargo, const struct kt_test *test, struct kt_err *reterr)
{
	struct used used = used_by(test);

	for (size_t n = 0; n < used.n; n++) {
		size_t i = find_place(cargo, &used.at[n]);
		struct kt_cargo_place *place = &cargo->places[i];
		int r = place->n_extras ? 0 : collect_extras(place, reterr);

		if (r < 0)
			return kt_err_prefix(reterr, r, "%s %s",
					     kt_cargo_kind_name(used.at[n].kind), used.at[n].name);
		cargo->packages[i].extras = place->extras;
		cargo->packages[i].n_extras = place->n_extras;
	}
	return 0;
}

int kt_cargo_init(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
		  struct kt_err *reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_tests; i++)
		r = find_all(cargo, tests[i], reterr);
	for (size_t i = 0; r == 0 && i < n_tests; i++) {
		KT_FREE char *missing = kt_cargo_missing(cargo, tests[i]);

		if (!missing && !tests[i]->disabled)
			r = pack_all(cargo, tests[i], reterr);
	}
	return r;
}
