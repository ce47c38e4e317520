/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "vmm/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/ramfile.h"
#include "wire/json.h"

#define FORMAT_VERSION 3           /* of meta.json; a template of another version is built anew */
#define META_MAX       (4u << 20)  /* bytes */
#define STATE_MAX      (64u << 20) /* bytes; less than 1 MiB is usual */

/*
 * A template is named twice: its directory by hashes of the machine's text and of the program, and
 * its meta.json by the texts themselves, so that a collision of hashes is noticed.
 *
 * A directory appears by a rename and is not written to afterwards. Readers therefore take no lock:
 * they open the directory once and reach every file through that descriptor, while another process
 * may publish a newer template under the same name, or remove this one. Nothing on disk is trusted:
 * lengths, hashes and versions are checked before a machine is restored, and a template that fails
 * a check is removed.
 */

/*
 * A saved guest depends on the host's CPU: on the features that KVM shows, and on the clock's
 * speed.
 */
static char *host_cpu(void)
{
	KT_FREE char *text = NULL;
	char *at;

	if (kt_file_read("/proc/cpuinfo", 1 << 24, &text, NULL) < 0 ||
	    !(at = strstr(text, "model name")))
		return strdup("unknown");
	return strndup(at, strcspn(at, "\n"));
}

char *kt_template_machine_text(const struct kt_template_key *key)
{
	const struct kt_machine_config *machine = key->machine;
	KT_FREE char *cpu = host_cpu(), *topology = kt_machine_topology_text(&machine->topology);

	if (!cpu || !topology)
		return NULL;
	return kt_format("wire %d\nkernel %s %s\ncmdline %s\ntopology %s\nmemory %u\n"
			 "disk %u\nnet %d\n"
			 "vmm %s %u.%u %s %s%s\ntime %s %u %d\nhost %s\n",
			 KT_WIRE_VERSION, key->kernel_release, key->kernel_build_id,
			 machine->cmdline, topology, machine->memory_mib, machine->disk_mib,
			 machine->net, kt_vmm_name(machine->vmm), key->vmm_major, key->vmm_minor,
			 machine->qemu, kt_accel_name(machine->accel),
			 machine->tcg_single_thread ? " single" : "", kt_time_name(machine->time),
			 machine->insn_shift, machine->host_calls, cpu);
}

/* Only names files; XXH3 is not a cryptographic hash, and load() compares the texts. */
static uint64_t hash_text(const char *text)
{
	return XXH3_64bits(text, strlen(text));
}

char *kt_template_path(const struct kt_template_id *id)
{
	return kt_format("%s/%016" PRIx64 "-%016" PRIx64, id->dir, hash_text(id->machine),
			 hash_text(id->program));
}

void kt_template_deinit(struct kt_template *template)
{
	(void)kt_close(template->image.ram_fd);
	(void)kt_close(template->image.state_fd);
	json_decref(template->files);
	*template = KT_TEMPLATE_NULL;
}

/* The state is small, unlike the RAM, so it is hashed before every restore. */
static int hash_state(int dir_fd, uint64_t *ret_hash)
{
	KT_FREE char *data = NULL;
	size_t len;
	int r = kt_file_read_at(dir_fd, "state", STATE_MAX, &data, &len);

	if (r < 0)
		return r;
	*ret_hash = XXH3_64bits(data, len);
	return 0;
}

static uint64_t mtime_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * KT_NSEC_PER_SEC + (uint64_t)st->st_mtim.tv_nsec;
}

/* ---- finding ---- */

static int get_hex(const json_t *meta, const char *name, uint64_t *ret_value, struct kt_err *reterr)
{
	if (kt_json_get_hex(meta, name, ret_value) < 0)
		return kt_err_set(reterr, -EBADMSG, "its meta.json lacks '%s'", name);
	return 0;
}

/* Loads and parses meta.json; a template of another FORMAT_VERSION is refused. */
static int load_meta(int dir_fd, json_t **ret_meta, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	int64_t version;
	size_t len;
	int r = kt_file_read_at(dir_fd, "meta.json", META_MAX, &text, &len);

	if (r < 0)
		return kt_err_set(reterr, r, "its meta.json: %m");
	r = kt_json_parse(text, len, "its meta.json", ret_meta, reterr);
	if (r < 0)
		return r;
	if (kt_json_get_int(*ret_meta, "version", 0, INT32_MAX, &version) ||
	    version != FORMAT_VERSION)
		return kt_err_set(reterr, -EBADMSG, "it is of another version of ktest");
	return 0;
}

/* The text must be the one looked for; equal hashes alone do not prove that. */
static int check_text(const json_t *meta, const char *name, const char *expected,
		      struct kt_err *reterr)
{
	const char *text = json_string_value(json_object_get(meta, name));

	if (!text || strcmp(text, expected))
		return kt_err_set(reterr, -EBADMSG, "it is for another %s", name);
	return 0;
}

/* Fills in the members that are recorded in meta.json. */
static int load_members(const json_t *meta, struct kt_template *template, struct kt_err *reterr)
{
	const json_t *hello = json_object_get(meta, "hello");
	KT_FREE char *text = hello ? json_dumps(hello, JSON_COMPACT) : NULL;
	uint64_t received, sent;
	int r;

	r = get_hex(meta, "received", &received, reterr) ?:
	    get_hex(meta, "sent", &sent, reterr) ?:
	    get_hex(meta, "ram_used", &template->ram_used, reterr) ?:
	    get_hex(meta, "ram_hash", &template->ram_hash, reterr) ?:
	    get_hex(meta, "build_ns", &template->build_ns, reterr);
	if (r < 0)
		return r;
	template->position = (struct kt_link_position){ (uint32_t)received, (uint32_t)sent };
	template->files = json_incref(json_object_get(meta, "files"));
	template->is_renewed = !json_is_false(json_object_get(meta, "renewed"));
	if (!text)
		return kt_err_set(reterr, -EBADMSG, "its meta.json lacks 'hello'");
	return kt_hello_decode(text, strlen(text), &template->hello, reterr);
}

/*
 * The RAM file is too large to be read for every restore. Nothing writes to it after it is
 * published, so an unchanged length and time of modification prove unchanged contents. When the
 * time differs, as after a copy of the cache, the contents are hashed.
 */
static int check_ram(const json_t *meta, int fd, struct kt_err *reterr)
{
	uint64_t len, mtime, hash, now_hash, used;
	struct stat st;
	int r;

	r = get_hex(meta, "ram_len", &len, reterr) ?:
	    get_hex(meta, "ram_mtime_ns", &mtime, reterr) ?:
	    get_hex(meta, "ram_hash", &hash, reterr);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != len)
		return kt_err_set(reterr, -EBADMSG, "its RAM is truncated");
	if (mtime_ns(&st) == mtime)
		return 0;
	r = kt_ramfile_hash(fd, &now_hash, &used);
	if (r < 0)
		return kt_err_set(reterr, r, "its RAM: %m");
	if (now_hash != hash)
		return kt_err_set(reterr, -EBADMSG, "its RAM has changed");
	return 0;
}

static int check_state(const json_t *meta, int dir_fd, struct kt_err *reterr)
{
	uint64_t hash, now_hash;
	int r = get_hex(meta, "state_hash", &hash, reterr);

	if (r < 0)
		return r;
	r = hash_state(dir_fd, &now_hash);
	if (r < 0)
		return kt_err_set(reterr, r, "its state: %m");
	if (now_hash != hash)
		return kt_err_set(reterr, -EBADMSG, "its state has changed");
	return 0;
}

/* Opens ram and state and checks both against meta.json. */
static int open_files(int dir_fd, const json_t *meta, struct kt_template *template,
		      struct kt_err *reterr)
{
	int r;

	/* QEMU opens the file for writing even when it maps it privately, unless it cannot be. */
	template->image.ram_fd = openat(dir_fd, "ram", O_RDWR | O_CLOEXEC);
	if (template->image.ram_fd < 0 && (errno == EROFS || errno == EACCES))
		template->image.ram_fd = openat(dir_fd, "ram", O_RDONLY | O_CLOEXEC);
	template->image.state_fd = openat(dir_fd, "state", O_RDONLY | O_CLOEXEC);
	if (template->image.ram_fd < 0 || template->image.state_fd < 0)
		return kt_err_set(reterr, -errno, "its files: %m");
	r = check_ram(meta, template->image.ram_fd, reterr);
	return r ?: check_state(meta, dir_fd, reterr);
}

/* Loads the template in @dir_fd. With @program NULL, that of any program will do. Returns 1. */
static int load(int dir_fd, const char *machine, const char *program,
		struct kt_template *ret_template, struct kt_err *reterr)
{
	struct kt_template template = KT_TEMPLATE_NULL;
	KT_JSON json_t *meta = NULL;
	int r;

	r = load_meta(dir_fd, &meta, reterr) ?: check_text(meta, "machine", machine, reterr);
	if (r == 0 && program)
		r = check_text(meta, "program", program, reterr);
	if (r == 0)
		r = load_members(meta, &template, reterr)
			    ?: open_files(dir_fd, meta, &template, reterr);
	if (r < 0) {
		kt_template_deinit(&template);
		return r;
	}
	(void)futimens(dir_fd, NULL); /* the time of its last use */
	*ret_template = template;
	return 1;
}

/* False for errors of the host, such as too many open files: the template may be good. */
static bool is_damaged(int r)
{
	return r == -EBADMSG || r == -ENOENT || r == -EINVAL || r == -EFBIG || r == -EPROTO;
}

/*
 * A damaged template is removed, so that it is not in the way of a new one. Returns 1, 0 or
 * -ENOMEM.
 */
static int load_or_remove(const char *path, const char *machine, const char *program,
			  struct kt_template *ret_template, struct kt_err *reterr)
{
	KT_CLOSE int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct kt_err why = KT_ERR_NULL;
	int r;

	if (dir_fd < 0)
		return errno == ENOENT ? 0 : kt_err_set(reterr, -errno, "template '%s': %m", path);
	r = load(dir_fd, machine, program, ret_template, &why);
	if (r > 0)
		return r;
	(void)kt_err_set(reterr, 0, "template %s is not used: %s", strrchr(path, '/') + 1,
			 why.text);
	if (is_damaged(r))
		(void)kt_remove_all(path);
	return r == -ENOMEM ? r : 0;
}

int kt_template_find(const struct kt_template_id *id, struct kt_template *ret_template,
		     struct kt_err *reterr)
{
	KT_FREE char *path = kt_template_path(id);

	if (!path)
		return kt_err_oom(reterr);
	return load_or_remove(path, id->machine, id->program, ret_template, reterr);
}

/*
 * The guard is set before the guest runs; the guest said HELO before it was saved, and not again.
 */
int kt_template_restore(const struct kt_template *template, struct kt_link *link,
			const struct kt_machine_config *config, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	struct kt_machine *machine = kt_link_machine(link);

	kt_link_set_position(link, template->position);
	return kt_machine_guard(machine, &template->hello, deadline_ns, reterr)
		       ?: kt_machine_restore(machine, config, &template->image, deadline_ns,
					     reterr);
}

/* ---- the directory of all templates ---- */

/* Blocks, not lengths: RAM is sparse. */
static uint64_t disk_bytes(const char *path)
{
	static const char *const names[] = { "ram", "state", "meta.json" };
	uint64_t total = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++) {
		KT_FREE char *file = kt_format("%s/%s", path, names[i]);
		struct stat st;

		if (file && stat(file, &st) == 0)
			total += (uint64_t)st.st_blocks * 512;
	}
	return total;
}

/* One line for people, made from the template's meta.json; to be freed. */
static char *describe(const char *path)
{
	KT_CLOSE int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	KT_JSON json_t *meta = NULL;
	const json_t *hello;
	uint64_t used;

	if (dir_fd < 0 || load_meta(dir_fd, &meta, NULL) < 0 ||
	    get_hex(meta, "ram_used", &used, NULL) < 0)
		return strdup("damaged");
	hello = json_object_get(meta, "hello");
	return kt_format("%s, %d CPUs, %" PRIu64 " MiB used, %s",
			 json_string_value(json_object_get(hello, "release")) ?: "?",
			 (int)json_integer_value(json_object_get(hello, "cpus")), used >> 20,
			 json_string_value(json_object_get(meta, "program")) ?: "?");
}

static int newest_first(const void *a, const void *b)
{
	const struct kt_template_entry *left = a, *right = b;

	return left->used_ns > right->used_ns ? -1 : left->used_ns < right->used_ns;
}

void kt_template_entries_free(struct kt_template_entry *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(entries[i].name);
		free(entries[i].what);
	}
	free(entries);
}

/* Appends an entry. A directory that another run has just removed is left out. */
static int add_entry(const char *dir, const char *name, struct kt_template_entry **entries,
		     size_t *n)
{
	struct kt_template_entry *grown = reallocarray(*entries, *n + 1, sizeof(*grown));
	KT_FREE char *path = kt_format("%s/%s", dir, name);
	struct stat st;

	if (!grown)
		return -ENOMEM;
	*entries = grown;
	if (!path || stat(path, &st) < 0)
		return path ? 0 : -ENOMEM;
	grown[*n] = (struct kt_template_entry){
		.name = strdup(name),
		.what = describe(path),
		.disk_bytes = disk_bytes(path),
		.used_ns = mtime_ns(&st),
	};
	if (!grown[*n].name || !grown[*n].what)
		return -ENOMEM;
	++*n;
	return 0;
}

int kt_template_list(const char *dir, struct kt_template_entry **ret_entries, size_t *ret_n,
		     struct kt_err *reterr)
{
	struct kt_template_entry *entries = NULL;
	DIR *stream = opendir(dir);
	size_t n = 0;
	int r = 0;

	if (!stream)
		return kt_err_set(reterr, -errno, "'%s': %m", dir);
	for (struct dirent *ent; r == 0 && (ent = readdir(stream));) {
		if (ent->d_name[0] != '.' && !strstr(ent->d_name, KT_CACHE_STAGE_SUFFIX))
			r = add_entry(dir, ent->d_name, &entries, &n);
	}
	(void)closedir(stream);
	if (r < 0) {
		kt_template_entries_free(entries, n);
		return kt_err_oom(reterr);
	}
	if (n)
		qsort(entries, n, sizeof(*entries), newest_first);
	*ret_entries = entries;
	*ret_n = n;
	return 0;
}

/*
 * The names of all templates of a machine begin with the hash of its text, and the list is sorted
 * by last use: the first that can be loaded is the result.
 */
static int find_any(const struct kt_template_id *id, const uint64_t *ram_hash,
		    struct kt_template *ret_template, struct kt_err *reterr)
{
	struct kt_template_entry *entries = NULL;
	char prefix[32];
	size_t n = 0;
	int r = 0;

	if (kt_template_list(id->dir, &entries, &n, NULL) < 0)
		return 0;
	(void)snprintf(prefix, sizeof(prefix), "%016" PRIx64 "-", hash_text(id->machine));
	for (size_t i = 0; r == 0 && i < n; i++) {
		KT_FREE char *path = kt_format("%s/%s", id->dir, entries[i].name);

		if (path && !strncmp(entries[i].name, prefix, strlen(prefix)))
			r = load_or_remove(path, id->machine, NULL, ret_template, reterr);
		if (r > 0 && ram_hash && ret_template->ram_hash != *ram_hash) {
			kt_template_deinit(ret_template);
			r = 0;
		}
	}
	kt_template_entries_free(entries, n);
	return r;
}

int kt_template_find_sibling(const struct kt_template_id *id, struct kt_template *ret_template,
			     struct kt_err *reterr)
{
	return find_any(id, NULL, ret_template, reterr);
}

int kt_template_find_ram(const struct kt_template_id *id, uint64_t ram_hash,
			 struct kt_template *ret_template, struct kt_err *reterr)
{
	return find_any(id, &ram_hash, ret_template, reterr);
}

/*
 * Needs no lock: a machine that runs from a removed template keeps the files through its
 * descriptors, and the disk is free when it ends.
 */
void kt_template_prune(const char *dir, uint64_t max_bytes)
{
	struct kt_template_entry *entries = NULL;
	uint64_t total = 0;
	size_t n = 0;

	if (kt_template_list(dir, &entries, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		KT_FREE char *path = kt_format("%s/%s", dir, entries[i].name);

		total += entries[i].disk_bytes;
		/* The one used last stays, however large: this run needs it. */
		if (i && total > max_bytes && path)
			(void)kt_remove_all(path);
	}
	kt_template_entries_free(entries, n);
}

/* ---- publishing ---- */

static json_t *make_meta(const struct kt_template_id *id, const struct kt_template *template,
			 const struct stat *ram, uint64_t state_hash)
{
	KT_FREE char *hello = kt_hello_encode(&template->hello);

	return json_pack("{si sb ss ss so so so so so so so so so sO*}", "version", FORMAT_VERSION,
			 "renewed", template->is_renewed, "machine", id->machine, "program",
			 id->program, "hello", hello ? json_loads(hello, 0, NULL) : NULL,
			 "received", kt_json_hex(template->position.received), "sent",
			 kt_json_hex(template->position.sent), "ram_len",
			 kt_json_hex((uint64_t)ram->st_size), "ram_mtime_ns",
			 kt_json_hex(mtime_ns(ram)), "ram_hash", kt_json_hex(template->ram_hash),
			 "ram_used", kt_json_hex(template->ram_used), "state_hash",
			 kt_json_hex(state_hash), "build_ns", kt_json_hex(template->build_ns),
			 "files", template->files);
}

/*
 * Nothing writes to the RAM file after this: the time of modification recorded here proves it
 * later.
 */
static int finish_ram(int dir_fd, struct stat *st, uint64_t *ret_hash, uint64_t *ret_used)
{
	KT_CLOSE int fd = openat(dir_fd, "ram", O_RDWR | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	kt_ramfile_punch(fd);
	r = kt_ramfile_hash(fd, ret_hash, ret_used);
	if (r == 0 && fstat(fd, st) < 0)
		r = -errno;
	return r;
}

/* meta.json comes last into the stage, because it records the hashes of the other files. */
int kt_template_publish(const struct kt_template_id *id, const char *stage,
			struct kt_template *template, struct kt_err *reterr)
{
	KT_FREE char *meta_path = kt_format("%s/meta.json", stage), *text = NULL;
	KT_FREE char *path = kt_template_path(id);
	KT_CLOSE int dir_fd = open(stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	KT_JSON json_t *meta = NULL;
	uint64_t state_hash = 0;
	struct stat ram;
	int r;

	if (!path || !meta_path)
		return kt_err_oom(reterr);
	if (dir_fd < 0)
		return kt_err_set(reterr, -errno, "template '%s': %m", stage);
	r = finish_ram(dir_fd, &ram, &template->ram_hash, &template->ram_used)
		    ?: hash_state(dir_fd, &state_hash);
	if (r < 0)
		return kt_err_set(reterr, r, "template '%s': %m", stage);
	meta = make_meta(id, template, &ram, state_hash);
	text = meta ? json_dumps(meta, JSON_INDENT(1)) : NULL;
	if (!text)
		return kt_err_oom(reterr);
	return kt_file_publish(meta_path, text, strlen(text), reterr)
		       ?: kt_cache_publish(stage, path, reterr);
}
