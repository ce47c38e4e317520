/* SPDX-License-Identifier: MIT */
#include "framework/kernel/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * A kernel is either used where it is (a vmlinux with a PVH entry) or from a directory of the
 * cache, which is called after its release if it was downloaded, and local-KEY if it is a copy of
 * the user's bzImage. Extracting a vmlinux and reading its facts is slow, so a cached kernel has
 * both.
 *
 * A directory of the cache appears complete or not at all: it is built as a stage under the lock
 * "kernels" and then renamed, and it never changes. Readers therefore take no lock.
 */

#define LOCAL_PREFIX "local-"
#define LOCAL_KEPT   4 /* copies of bzImages; one has about 80 MiB */

#define META_MAX     65536u /* bytes of a meta.json */
#define META_VERSION 3      /* facts of an older version are read again from the vmlinux */

void kt_kernel_deinit(struct kt_kernel *kernel)
{
	kt_kernel_facts_deinit(&kernel->facts);
	(void)kt_close(kernel->use_fd);
	free(kernel->dir);
	free(kernel->boot);
	free(kernel->vmlinux);
	free(kernel->config);
	free(kernel->label);
	free(kernel->cmdline);
	*kernel = KT_KERNEL_NULL;
}

/* meta.json has exactly these members; facts_from_json() reads them. */
static json_t *facts_to_json(const struct kt_kernel_facts *facts)
{
	json_t *broken = json_array();

	for (size_t i = 0; broken && i < facts->n_broken_kfuncs; i++)
		(void)json_array_append_new(broken, json_string(facts->broken_kfuncs[i]));
	return json_pack("{si ss ss sb sb sb sb sb sb so si sI}", "version", META_VERSION,
			 "release", facts->release, "build_id", facts->build_id, "pvh", facts->pvh,
			 "btf", facts->btf, "virtio_console", facts->virtio_console, "virtio_pci",
			 facts->virtio_pci, "sched_ext", facts->sched_ext, "sched_ext_cid",
			 facts->sched_ext_cid, "broken_kfuncs", broken, "hz", (int)facts->hz,
			 "memory_end", (json_int_t)facts->memory_end);
}

static bool flag(const json_t *json, const char *name)
{
	return json_is_true(json_object_get(json, name));
}

static uint64_t number(const json_t *json, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(json, name));
}

/* The caller frees @facts also after a failure. */
static int facts_from_json(const json_t *json, struct kt_kernel_facts *facts)
{
	const json_t *broken = json_object_get(json, "broken_kfuncs");

	if (kt_json_get_text(json, "release", facts->release, sizeof(facts->release)) ||
	    kt_json_get_text(json, "build_id", facts->build_id, sizeof(facts->build_id)) ||
	    !json_is_array(broken))
		return -EBADMSG;
	facts->pvh = flag(json, "pvh");
	facts->btf = flag(json, "btf");
	facts->virtio_console = flag(json, "virtio_console");
	facts->virtio_pci = flag(json, "virtio_pci");
	facts->sched_ext = flag(json, "sched_ext");
	facts->sched_ext_cid = flag(json, "sched_ext_cid");
	facts->hz = (unsigned int)number(json, "hz");
	facts->memory_end = number(json, "memory_end");
	facts->broken_kfuncs = calloc(json_array_size(broken) + 1, sizeof(char *));
	if (!facts->broken_kfuncs)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(broken); i++) {
		const char *name = json_string_value(json_array_get(broken, i));

		if (!name)
			return -EBADMSG;
		facts->broken_kfuncs[i] = strdup(name);
		if (!facts->broken_kfuncs[i])
			return -ENOMEM;
		facts->n_broken_kfuncs++;
	}
	return 0;
}

static int write_meta(const char *dir, const struct kt_kernel_facts *facts, struct kt_err *reterr)
{
	KT_JSON json_t *json = facts_to_json(facts);
	KT_FREE char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	KT_FREE char *path = kt_format("%s/meta.json", dir);

	if (!text || !path)
		return kt_err_oom(reterr);
	return kt_file_publish(path, text, strlen(text), reterr);
}

int kt_kernel_prepare(const char *dir, struct kt_kernel_facts *ret_facts, struct kt_err *reterr)
{
	KT_FREE char *vmlinuz = kt_format("%s/vmlinuz", dir);
	KT_FREE char *vmlinux = kt_format("%s/vmlinux", dir);
	KT_FREE char *btf = kt_format("%s/btf", dir);
	int r;

	if (!vmlinuz || !vmlinux || !btf)
		return kt_err_oom(reterr);
	r = kt_kernel_extract(vmlinuz, vmlinux, reterr)
		    ?: kt_kernel_facts_read(vmlinux, btf, ret_facts, reterr);
	if (r < 0)
		return r;
	r = write_meta(dir, ret_facts, reterr);
	if (r < 0)
		kt_kernel_facts_deinit(ret_facts);
	return r;
}

/*
 * The facts of a kernel that an older ktest has put into the cache. They are written back so that
 * the vmlinux is read once; failing to write the cache is not an error.
 */
static int renew_meta(const char *dir, struct kt_kernel_facts *facts)
{
	KT_FREE char *vmlinux = kt_format("%s/vmlinux", dir);
	int r = vmlinux ? kt_kernel_facts_read(vmlinux, NULL, facts, NULL) : -ENOMEM;

	if (r == 0)
		(void)write_meta(dir, facts, NULL);
	return r;
}

/* A directory without a meta.json is not a complete kernel. */
static int load_meta(const char *dir, struct kt_kernel_facts *facts, struct kt_err *reterr)
{
	KT_FREE char *path = kt_format("%s/meta.json", dir), *text = NULL;
	KT_JSON json_t *json = NULL;
	size_t len;
	int r;

	if (!path)
		return kt_err_oom(reterr);
	r = kt_file_read(path, META_MAX, &text, &len);
	if (r < 0)
		return kt_err_set(reterr, r, "'%s': %m", path);
	r = kt_json_parse(text, len, path, &json, reterr);
	if (r < 0)
		return r;
	if (number(json, "version") < META_VERSION && renew_meta(dir, facts) == 0)
		return 0;
	r = facts_from_json(json, facts);
	return r < 0 ? kt_err_set(reterr, r, "'%s' is damaged: remove its directory", path) : 0;
}

/* Takes @path over. Returns it if it is a file that can be read, else NULL. */
static char *existing(char *path)
{
	if (path && kt_file_readable(path))
		return path;
	free(path);
	return NULL;
}

int kt_kernel_load(const char *dir, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	struct kt_kernel kernel = KT_KERNEL_NULL;
	int r;

	/* Before it is read: what is in use is not removed. */
	kt_cache_use(dir, &kernel.use_fd);
	r = load_meta(dir, &kernel.facts, reterr);
	if (r < 0)
		goto out;
	kernel.dir = strdup(dir);
	kernel.vmlinux = kt_format("%s/vmlinux", dir);
	kernel.config = existing(kt_format("%s/config", dir));
	kernel.boot = kt_format("%s/%s", dir, kernel.facts.pvh ? "vmlinux" : "vmlinuz");
	if (!kernel.dir || !kernel.vmlinux || !kernel.boot)
		r = kt_err_oom(reterr);
	else if (!kt_file_readable(kernel.boot))
		r = kt_err_set(reterr, -ENOENT,
			       "'%s' is missing: remove its directory and fetch it again",
			       kernel.boot);
out:
	if (r < 0)
		kt_kernel_deinit(&kernel);
	else
		*ret_kernel = kernel;
	return r;
}

static int newest_first(const struct dirent **a, const struct dirent **b)
{
	return -strverscmp((*a)->d_name, (*b)->d_name);
}

static int is_release(const struct dirent *ent)
{
	/*
	 * Releases begin with a digit; local copies and other entries do not. A stage begins like
	 * its release.
	 */
	return ent->d_name[0] >= '0' && ent->d_name[0] <= '9' &&
	       !strstr(ent->d_name, KT_CACHE_STAGE_SUFFIX);
}

int kt_kernel_list(char ***ret_releases, struct kt_err *reterr)
{
	KT_FREE char *dir = NULL;
	struct dirent **found;
	char **releases;
	int n, r;

	r = kt_cache_path("kernels", &dir, reterr);
	if (r < 0)
		return r;
	n = scandir(dir, &found, is_release, newest_first);
	if (n < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", dir);
	releases = calloc((size_t)n + 1, sizeof(*releases));
	for (int i = 0; i < n; i++) {
		if (releases)
			releases[i] = strdup(found[i]->d_name);
		free(found[i]);
	}
	free(found);
	*ret_releases = releases;
	return releases ? 0 : kt_err_oom(reterr);
}

void kt_kernel_list_free(char **releases)
{
	for (char **at = releases; at && *at; at++)
		free(*at);
	free(releases);
}

static void list_freep(char ***releases)
{
	kt_kernel_list_free(*releases);
}

bool kt_kernel_version_matches(const char *release, const char *wanted)
{
	size_t len = strlen(wanted);

	return !strncmp(release, wanted, len) && !(release[len] >= '0' && release[len] <= '9');
}

static int load_release(const char *release, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	KT_FREE char *kernels = NULL, *dir = NULL;
	int r;

	r = kt_cache_path("kernels", &kernels, reterr);
	if (r < 0)
		return r;
	dir = kt_format("%s/%s", kernels, release);
	return dir ? kt_kernel_load(dir, ret_kernel, reterr) : kt_err_oom(reterr);
}

/* The newest kernel with consistent BTF. Until one is found, @first keeps the newest of all. */
static int resolve_default(struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	KT_CLEANUP(list_freep) char **releases = NULL;
	struct kt_kernel first = KT_KERNEL_NULL;
	int r;

	r = kt_kernel_list(&releases, reterr);
	if (r < 0)
		return r;
	if (!releases[0])
		return kt_err_set(reterr, -ENOENT,
				  "no kernel in the cache; fetch one with: ktests kernel fetch "
				  "(or name your own with --kernel)");
	for (char **at = releases; *at; at++) {
		struct kt_kernel kernel;

		r = load_release(*at, &kernel, reterr);
		if (r < 0)
			break;
		if (!kernel.facts.n_broken_kfuncs) {
			kt_kernel_deinit(&first);
			*ret_kernel = kernel;
			return 0;
		}
		if (first.dir)
			kt_kernel_deinit(&kernel);
		else
			first = kernel;
	}
	if (r < 0)
		kt_kernel_deinit(&first);
	else
		*ret_kernel = first;
	return r;
}

/* The newest release of that version. */
static int resolve_version(const char *wanted, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	KT_CLEANUP(list_freep) char **releases = NULL;
	int r;

	r = kt_kernel_list(&releases, reterr);
	if (r < 0)
		return r;
	for (char **at = releases; *at; at++) {
		if (kt_kernel_version_matches(*at, wanted))
			return load_release(*at, ret_kernel, reterr);
	}
	return kt_err_set(
		reterr, -ENOENT,
		"kernel '%s' is neither a file, a build tree nor in the cache; if it is a "
		"version, fetch it with: ktests kernel fetch %s",
		wanted, wanted);
}

/* A vmlinux is used where it is, without a copy in the cache. */
static int resolve_vmlinux(const char *path, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	struct kt_kernel kernel = KT_KERNEL_NULL;
	int r = kt_kernel_facts_read(path, NULL, &kernel.facts, reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "kernel '%s'", path);
	if (!kernel.facts.pvh)
		r = kt_err_set(
			reterr, -ENOTSUP,
			"'%s' cannot be booted directly (CONFIG_PVH is off): give the bzImage",
			path);
	kernel.boot = realpath(path, NULL);
	kernel.vmlinux = kernel.boot ? strdup(kernel.boot) : NULL;
	if (r == 0 && !kernel.vmlinux)
		r = kt_err_oom(reterr);
	if (r < 0)
		kt_kernel_deinit(&kernel);
	else
		*ret_kernel = kernel;
	return r;
}

static int copy_file(const char *from, const char *to, struct kt_err *reterr)
{
	KT_FREE char *data = NULL;
	size_t len;
	int r = kt_file_read(from, UINT32_MAX, &data, &len);

	if (r < 0)
		return kt_err_set(reterr, r, "'%s': %m", from);
	return kt_file_publish(to, data, len, reterr);
}

/*
 * The name of the copy of a bzImage. A build overwrites its bzImage in place, so device and inode
 * alone do not identify the contents; size and modification time are added.
 */
static char *bzimage_key(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return NULL;
	return kt_format(LOCAL_PREFIX "%" PRIx64 "-%" PRIx64 "-%" PRIx64 "-%" PRIx64,
			 (uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
			 (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec);
}

static int is_local(const struct dirent *ent)
{
	return !strncmp(ent->d_name, LOCAL_PREFIX, strlen(LOCAL_PREFIX)) &&
	       !strstr(ent->d_name, KT_CACHE_STAGE_SUFFIX);
}

/* When the copy was last used; 0 for one that is gone. */
static int64_t used_ns(const char *kernels, const char *name)
{
	KT_FREE char *path = kt_format("%s/%s", kernels, name);
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/*
 * Every build of a kernel gives a bzImage with another key, so the copies are bounded: the least
 * recently used ones go, but for those that a run uses. The caller holds the lock "kernels".
 */
static void prune_locals(const char *kernels)
{
	struct dirent **found;
	int n = scandir(kernels, &found, is_local, NULL);

	for (int left = n; left > LOCAL_KEPT; left--) {
		int oldest = -1;

		for (int i = 0; i < n; i++) {
			if (found[i] &&
			    (oldest < 0 || used_ns(kernels, found[i]->d_name) <
						   used_ns(kernels, found[oldest]->d_name)))
				oldest = i;
		}
		{
			KT_FREE char *path = kt_format("%s/%s", kernels, found[oldest]->d_name);

			if (path)
				(void)kt_cache_remove(path);
		}
		free(found[oldest]);
		found[oldest] = NULL;
	}
	for (int i = 0; i < n; i++)
		free(found[i]);
	if (n >= 0)
		free(found);
}

/* The errors of a cache that has no room or cannot be written. */
static bool is_of_the_cache(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -EACCES || r == -EPERM;
}

/* The caller holds the lock "kernels". */
static int import_bzimage(const char *path, const char *dir, struct kt_err *reterr)
{
	struct kt_kernel_facts facts = KT_KERNEL_FACTS_NULL;
	KT_FREE char *stage = NULL, *vmlinuz = NULL;
	int r;

	r = kt_cache_stage(dir, &stage, reterr);
	if (r < 0)
		return r;
	vmlinuz = kt_format("%s/vmlinuz", stage);
	r = vmlinuz ? copy_file(path, vmlinuz, reterr) : kt_err_oom(reterr);
	if (r == 0)
		r = kt_kernel_prepare(stage, &facts, reterr);
	if (r == 0)
		r = kt_cache_publish(stage, dir, reterr);
	if (r < 0)
		(void)kt_remove_all(stage);
	kt_kernel_facts_deinit(&facts);
	return r;
}

static int resolve_bzimage(const char *path, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	KT_FREE char *kernels = NULL, *dir = NULL, *meta = NULL, *key = bzimage_key(path);
	KT_CLOSE int lock = -1;
	int r;

	if (!key)
		return kt_err_set(reterr, -errno, "kernel '%s': %m", path);
	r = kt_cache_path("kernels", &kernels, reterr);
	if (r < 0)
		return r;
	dir = kt_format("%s/%s", kernels, key);
	meta = kt_format("%s/%s/meta.json", kernels, key);
	if (!dir || !meta)
		return kt_err_oom(reterr);
	if (!kt_file_readable(meta)) {
		/*
		 * Another process may have imported the same file while this one waited, so
		 * meta.json is looked for again under the lock.
		 */
		r = kt_cache_lock("kernels", NULL, NULL, &lock, reterr);
		if (r == 0 && !kt_file_readable(meta))
			r = import_bzimage(path, dir, reterr);
		if (is_of_the_cache(r))
			return kt_err_set(
				reterr, r,
				"kernel '%s': the cache '%s' cannot take its vmlinux: %m; "
				"XDG_CACHE_HOME can name another place, and a vmlinux with "
				"CONFIG_PVH needs none",
				path, kernels);
		if (r < 0)
			return kt_err_prefix(reterr, r, "kernel '%s'", path);
	}
	r = kt_kernel_load(dir, ret_kernel, reterr);
	if (r == 0 && lock >= 0)
		prune_locals(kernels);
	return r;
}

char *kt_kernel_find_config(const char *kernel)
{
	static const char in_tree[] = "/arch/x86/boot/bzImage", versioned[] = "vmlinuz-";
	KT_FREE char *path = realpath(kernel, NULL);
	char *name = path ? strrchr(path, '/') : NULL;
	size_t len = path ? strlen(path) : 0;

	if (!name)
		return NULL;
	if (len > strlen(in_tree) && !strcmp(path + len - strlen(in_tree), in_tree)) {
		path[len - strlen(in_tree)] = '\0';
		return existing(kt_format("%s/.config", path));
	}
	*name++ = '\0';
	if (!strncmp(name, versioned, strlen(versioned)))
		return existing(kt_format("%s/config-%s", path, name + strlen(versioned)));
	return existing(strcmp(name, "vmlinux") ? NULL : kt_format("%s/.config", path));
}

static int resolve_file(const char *path, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	enum kt_kernel_format format;
	int r = kt_kernel_detect(path, &format, reterr);

	if (r < 0)
		return r;
	r = format == KT_KERNEL_VMLINUX ? resolve_vmlinux(path, ret_kernel, reterr)
					: resolve_bzimage(path, ret_kernel, reterr);
	if (r == 0)
		ret_kernel->config = kt_kernel_find_config(path);
	return r;
}

/* @dir is a build tree, or a directory of the cache, which "ktests kernel path" prints. */
static int resolve_tree(const char *dir, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	static const char *const places[] = { "vmlinux", "arch/x86/boot/bzImage", "vmlinuz" };
	KT_FREE char *meta = kt_format("%s/meta.json", dir);
	int r = -ENOENT;

	if (!meta)
		return kt_err_oom(reterr);
	if (kt_file_readable(meta))
		return kt_kernel_load(dir, ret_kernel, reterr);
	for (size_t i = 0; r < 0 && i < KT_ARRAY_LEN(places); i++) {
		KT_FREE char *path = kt_format("%s/%s", dir, places[i]);

		if (!path)
			return kt_err_oom(reterr);
		if (kt_file_readable(path))
			r = resolve_file(path, ret_kernel, reterr);
	}
	if (r == -ENOENT)
		return kt_err_set(reterr, r,
				  "'%s' is not a build tree: it has neither vmlinux nor "
				  "arch/x86/boot/bzImage",
				  dir);
	return r;
}

/*
 * Checks what every test needs, so that a missing option is named before a machine hangs without
 * it.
 */
static int check_usable(const char *spec, struct kt_kernel *kernel, struct kt_err *reterr)
{
	const struct kt_kernel_facts *facts = &kernel->facts;
	const char *missing = !facts->btf              ? "BTF (CONFIG_DEBUG_INFO_BTF)"
			      : !facts->virtio_pci     ? "virtio over PCI (CONFIG_VIRTIO_PCI=y)"
			      : !facts->virtio_console ? "virtio-console (CONFIG_VIRTIO_CONSOLE=y)"
						       : NULL;

	if (!missing)
		return 0;
	return kt_err_set(reterr, -ENOTSUP, "kernel '%s' (%s) has no %s built in",
			  spec ?: "default", facts->release, missing);
}

int kt_kernel_resolve(const char *spec, struct kt_kernel *ret_kernel, struct kt_err *reterr)
{
	struct stat st;
	int r;

	/*
	 * A path takes precedence over a version: a word without a slash that exists in the working
	 * directory is a file.
	 */
	if (!spec)
		r = resolve_default(ret_kernel, reterr);
	else if (stat(spec, &st) == 0)
		r = S_ISDIR(st.st_mode) ? resolve_tree(spec, ret_kernel, reterr)
					: resolve_file(spec, ret_kernel, reterr);
	else if (strchr(spec, '/'))
		r = kt_err_set(reterr, -errno, "kernel '%s': %m", spec);
	else
		r = resolve_version(spec, ret_kernel, reterr);
	if (r < 0)
		return r;
	r = check_usable(spec, ret_kernel, reterr);
	if (r < 0)
		kt_kernel_deinit(ret_kernel);
	return r;
}
