/* SPDX-License-Identifier: MIT */
#include "framework/setup/cargo.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/process.h"

/*
 * The cargo of a run is computed once, before anything starts: for each selected test the
 * declarations that it uses, and for each declaration the file on the host and the package in the
 * image. Places and packages share their index. A declaration whose file is missing is not an error
 * here: its tests are skipped, and its package stays empty.
 */

/* ---- looking up ------------------------------------------------------------------------------ */

static size_t find_place(const struct kt_cargo *cargo, const void *declaration)
{
	size_t i = 0;

	while (i < cargo->n && cargo->places[i].use.declaration != declaration)
		i++;
	return i;
}

const char *kt_cargo_path(const struct kt_cargo *cargo, const void *declaration)
{
	size_t i = find_place(cargo, declaration);

	return i < cargo->n ? cargo->places[i].path : NULL;
}

/*
 * Tests are sorted by address, because several functions look each test of a round up.
 */
static int compare_tests(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)((const struct kt_cargo_test *)a)->test;
	uintptr_t right = (uintptr_t)((const struct kt_cargo_test *)b)->test;

	return (left > right) - (left < right);
}

const struct kt_cargo_test *kt_cargo_of(const struct kt_cargo *cargo, const struct kt_test *test)
{
	static const struct kt_cargo_test nothing;
	const struct kt_cargo_test key = { .test = test }, *found = NULL;

	if (cargo->n_tests)
		found = bsearch(&key, cargo->tests, cargo->n_tests, sizeof(key), compare_tests);
	return found ?: &nothing;
}

struct kt_packages kt_cargo_packages(const struct kt_cargo *cargo, const struct kt_test *test)
{
	return kt_cargo_of(cargo, test)->packages;
}

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

/*
 * Why the file at the path that a declaration names cannot be used although it is there; to be
 * freed. NULL when it is not there, or the declaration names no path.
 */
static char *describe_unusable(const struct kt_use *use)
{
	KT_FREE char *path = strchr(use->path, '/') ? host_path(use->path) : NULL;
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return NULL;
	if (!S_ISREG(st.st_mode))
		return kt_format("'%s' is not a regular file", path);
	if (access(path, R_OK) < 0)
		return kt_format("'%s' cannot be read (its mode is %04o)", path,
				 st.st_mode & 07777);
	if (use->kind != KT_USE_OBJECT && access(path, X_OK) < 0)
		return kt_format("'%s' is not executable: its mode is %04o, without an x bit", path,
				 st.st_mode & 07777);
	return NULL;
}

static char *describe_missing(const struct kt_use *use)
{
	const char *where = use->kind == KT_USE_PAYLOAD ? "is not installed" : "is not found";
	KT_FREE char *unusable = describe_unusable(use);

	if (unusable)
		return kt_format("%s %s: %s", kt_use_kind_name(use->kind), use->name, unusable);
	return kt_format("%s %s: '%s' %s%s%s", kt_use_kind_name(use->kind), use->name, use->path,
			 where, use->package ? "; install " : "", use->package ?: "");
}

char *kt_cargo_missing(const struct kt_cargo *cargo, const struct kt_test *test)
{
	const struct kt_use *missing = kt_cargo_of(cargo, test)->missing;

	return missing ? describe_missing(missing) : NULL;
}

/* ---- where they are on the host -------------------------------------------------------------- */

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
static int find_path(const struct kt_use *use, char **ret_path, struct kt_err *reterr)
{
	bool is_path = strchr(use->path, '/');
	KT_FREE char *path = is_path ? host_path(use->path) : strdup(use->path);
	char found[PATH_MAX];

	if (!path)
		return kt_err_oom(reterr);
	if (use->kind != KT_USE_PAYLOAD && !is_path)
		*ret_path = find_scheduler(use->path);
	if (*ret_path)
		return 0;
	if (use->kind == KT_USE_OBJECT) {
		if (is_path && is_file(path))
			*ret_path = kt_steal(path);
		return 0;
	}
	if (kt_process_find(path, found, sizeof(found)) < 0 || !is_file(found))
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
		return kt_err_set(reterr, -ENOEXEC, "'%s' is not an ELF program", path);
	return 0;
}

static int check_file(const char *path, struct kt_err *reterr)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return kt_err_set(reterr, -errno, "the file '%s': %m", path);
	if (!S_ISREG(st.st_mode))
		return kt_err_set(reterr, -EINVAL, "'%s' is not a regular file", path);
	return 0;
}

static const char *guest_dir(enum kt_use_kind kind)
{
	return kind == KT_USE_PAYLOAD ? KT_PAYLOAD_DIR : KT_SCHEDULER_DIR;
}

/* Takes @guest over. */
static int add_extra(struct kt_cargo_place *place, const char *host, char *guest,
		     struct kt_err *reterr)
{
	struct kt_image_extra *grown =
		reallocarray(place->extras, place->n_extras + 1, sizeof(*grown));
	struct kt_image_extra *extra;

	if (!grown || !guest) {
		place->extras = grown ?: place->extras;
		free(guest);
		return kt_err_oom(reterr);
	}
	place->extras = grown;
	extra = &grown[place->n_extras++];
	extra->guest = guest;
	extra->host = strdup(host);
	return extra->host ? 0 : kt_err_oom(reterr);
}

/* In the guest the file has the last part of @name, the path as declared. */
static int add_own(struct kt_cargo_place *place, const char *host, const char *name,
		   struct kt_err *reterr)
{
	const char *slash = strrchr(name, '/');

	return add_extra(place, host,
			 kt_format("%s/%s/%s", guest_dir(place->use.kind), place->use.name,
				   slash ? slash + 1 : name),
			 reterr);
}

/* The program or object itself comes first, then the files that are to be beside it. */
static int collect_extras(const struct kt_cargo *cargo, struct kt_cargo_place *place,
			  struct kt_err *reterr)
{
	const struct kt_use *use = &place->use;
	size_t n_shared = use->kind == KT_USE_PAYLOAD ? 0 : cargo->n_shared;
	int r = use->kind == KT_USE_OBJECT ? 0 : check_binary(place->path, reterr);

	r = r ?: add_own(place, place->path, use->path, reterr);
	for (const char *const *at = use->files; r == 0 && at && *at; at++) {
		KT_FREE char *path = host_path(*at);

		if (!path)
			return kt_err_oom(reterr);
		r = check_file(path, reterr) ?: add_own(place, path, *at, reterr);
	}
	for (size_t i = 0; r == 0 && i < n_shared; i++)
		r = add_extra(place, cargo->shared[i].host, strdup(cargo->shared[i].guest), reterr);
	return r;
}

/* ---- the cargo of a selection ---------------------------------------------------------------- */

/* If only one of the two arrays could grow, its new pointer is kept: the old one is invalid. */
static int add_place(struct kt_cargo *cargo, const struct kt_use *use, struct kt_err *reterr)
{
	struct kt_cargo_place *places = reallocarray(cargo->places, cargo->n + 1, sizeof(*places));
	struct kt_image_package *packages =
		reallocarray(cargo->packages, cargo->n + 1, sizeof(*packages));

	cargo->places = places ?: cargo->places;
	cargo->packages = packages ?: cargo->packages;
	if (!places || !packages)
		return kt_err_oom(reterr);
	places[cargo->n] = (struct kt_cargo_place){ .use = *use };
	packages[cargo->n] = (struct kt_image_package){
		.name = kt_format("%s %s", kt_use_kind_name(use->kind), use->name),
	};
	cargo->n++;
	if (!packages[cargo->n - 1].name)
		return kt_err_oom(reterr);
	return find_path(use, &places[cargo->n - 1].path, reterr);
}

/* Finds the file of everything that the test uses. */
static int find_all(struct kt_cargo *cargo, struct kt_cargo_test *own, struct kt_err *reterr)
{
	for (size_t i = 0; i < own->uses.n; i++) {
		const struct kt_use *use = &own->uses.at[i];
		size_t place = find_place(cargo, use->declaration);
		int r = place < cargo->n ? 0 : add_place(cargo, use, reterr);

		if (r < 0)
			return r;
		if (place >= KT_IMAGE_PACKAGES_MAX)
			return kt_err_set(reterr, -E2BIG,
					  "the tests use more than %u payloads and schedulers; "
					  "select fewer tests",
					  KT_IMAGE_PACKAGES_MAX);
		kt_packages_add(&own->packages, place);
		if (!own->missing && !cargo->places[place].path)
			own->missing = use;
	}
	return 0;
}

/* What is wrong with a place is wrong for every test that uses it. 0 or -ENOMEM. */
static int pack(const struct kt_cargo *cargo, struct kt_cargo_place *place, struct kt_err *reterr)
{
	struct kt_err err = KT_ERR_NULL;
	int r = collect_extras(cargo, place, &err);

	if (r == -ENOMEM)
		return kt_err_oom(reterr);
	if (r < 0)
		place->fault = kt_format("%s %s: %s", kt_use_kind_name(place->use.kind),
					 place->use.name, err.text);
	return r == 0 || place->fault ? 0 : kt_err_oom(reterr);
}

/* A place that another test has packed already stays as it is. */
static int pack_all(struct kt_cargo *cargo, const struct kt_cargo_test *own, struct kt_err *reterr)
{
	for (size_t n = 0; n < own->uses.n; n++) {
		const struct kt_use *use = &own->uses.at[n];
		size_t i = find_place(cargo, use->declaration);
		struct kt_cargo_place *place = &cargo->places[i];
		int r = place->n_extras || place->fault ? 0 : pack(cargo, place, reterr);

		if (r < 0)
			return r;
		if (place->fault)
			return kt_err_set(reterr, -EINVAL, "%s", place->fault);
		cargo->packages[i].extras = place->extras;
		cargo->packages[i].n_extras = place->n_extras;
	}
	return 0;
}

/*
 * Packs the files of a test only if the test can run: a broken file of a skipped test is ignored.
 */
static int add_test(struct kt_cargo *cargo, const struct kt_test *test, struct kt_err *reterr)
{
	struct kt_cargo_test *own = &cargo->tests[cargo->n_tests];
	struct kt_err err = KT_ERR_NULL;
	int r;

	own->test = test;
	if (kt_uses_init(&own->uses, test) < 0)
		return kt_err_oom(reterr);
	cargo->n_tests++;
	r = find_all(cargo, own, reterr);
	if (r == 0 && !own->missing && (!test->disabled || cargo->with_disabled))
		r = pack_all(cargo, own, &err);
	if (r < 0 && r != -ENOMEM && err.text[0]) {
		/* The others run: only this test needs the file. */
		own->fault = strdup(err.text);
		return own->fault ? 0 : kt_err_oom(reterr);
	}
	return r == -ENOMEM ? kt_err_oom(reterr) : r;
}

int kt_cargo_init(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
		  struct kt_err *reterr)
{
	int r = 0;

	cargo->tests = calloc(n_tests + 1, sizeof(*cargo->tests));
	if (!cargo->tests)
		return kt_err_oom(reterr);
	for (size_t i = 0; r == 0 && i < n_tests; i++)
		r = add_test(cargo, tests[i], reterr);
	qsort(cargo->tests, cargo->n_tests, sizeof(*cargo->tests), compare_tests);
	return r;
}

static int note_fault(struct kt_cargo_test *own, const char *fault)
{
	if (!own->fault)
		own->fault = strdup(fault);
	return own->fault ? 0 : -ENOMEM;
}

int kt_cargo_note_fault(struct kt_cargo *cargo, const struct kt_test *test, const char *fault)
{
	struct kt_cargo_test *own = (struct kt_cargo_test *)kt_cargo_of(cargo, test);

	return own->test ? note_fault(own, fault) : 0;
}

int kt_cargo_note_faults(struct kt_cargo *cargo, const struct kt_image *image)
{
	for (size_t i = 0; i < cargo->n_tests; i++) {
		struct kt_cargo_test *own = &cargo->tests[i];

		for (size_t n = 0; n < own->uses.n; n++) {
			size_t place = find_place(cargo, own->uses.at[n].declaration);
			const char *fault = kt_image_package_fault(image, place);

			if (fault && note_fault(own, fault) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static void place_deinit(struct kt_cargo_place *place)
{
	for (size_t i = 0; i < place->n_extras; i++) {
		free((char *)place->extras[i].host);
		free((char *)place->extras[i].guest);
	}
	free(place->extras);
	free(place->fault);
	free(place->path);
}

void kt_cargo_deinit(struct kt_cargo *cargo)
{
	for (size_t i = 0; i < cargo->n; i++) {
		free((char *)cargo->packages[i].name);
		place_deinit(&cargo->places[i]);
	}
	for (size_t i = 0; i < cargo->n_tests; i++) {
		kt_uses_deinit(&cargo->tests[i].uses);
		free(cargo->tests[i].fault);
	}
	free(cargo->tests);
	free(cargo->places);
	free(cargo->packages);
	*cargo = KT_CARGO_NULL;
}
