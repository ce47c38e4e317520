/* SPDX-License-Identifier: MIT */
/*
 * Loads one BPF object with a sched_ext scheduler, keeps it attached until it has to end, and says
 * why it ended.
 *
 * The object comes from anywhere: its scheduler, variables and exit information are found by BTF,
 * and nothing about it is known at compile time. Variables, watchdog and dump are configured
 * between opening and loading; after that .rodata is frozen.
 *
 * Unlike other library code this prints, since it is the whole of a process: "ktests load", or a
 * fork of PID 1 (guest/scheduler/scheduler.c). Its texts follow those of the kernel's own
 * schedulers, because people and scripts search for them.
 */
#include "schedulers/loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "schedulers/enlarge.h"
#include "schedulers/field.h"
#include "schedulers/scx.h"
#include "util/cleanup.h"
#include "util/io.h"

#define OPS_TYPE         "sched_ext_ops"
#define OPS_CID_TYPE     "sched_ext_ops_cid" /* addresses CPUs by topological number; since 7.2 */
#define EXIT_ERROR       1024u       /* SCX_EXIT_ERROR: this kind and higher ones are errors */
#define DUMP_DEFAULT_LEN 32768u      /* SCX_EXIT_DUMP_DFL_LEN, in bytes */
#define VERIFIER_LOG_LEN (16u << 20) /* bytes, for each program */
#define DUMP_SECTION     ".data.uei_dump"
#define RULE                                                                                       \
	"========================================"                                                 \
	"========================================\n"

struct load {
	const struct kt_loader *loader;
	struct bpf_object *object; /* owned */
	struct bpf_map *ops;       /* the scheduler's struct_ops, part of @object */
	struct bpf_link *link;     /* owned; NULL: not attached */
	int signals;               /* a signalfd for SIGTERM and SIGINT */
	int watch;                 /* from kt_scx_watch() */
};

static enum kt_loader_status refuse(const struct load *load, const struct kt_err *err)
{
	(void)fprintf(stderr, "%s: %s\n", load->loader->object, err->text);
	return KT_LOADER_REFUSED;
}

/* ---- what the object has --------------------------------------------------------------------- */

static const char *type_name(const struct btf *btf, uint32_t type_id)
{
	const struct btf_type *type = btf__type_by_id(btf, type_id);

	return type ? btf__name_by_offset(btf, type->name_off) : "";
}

/* Whether @name is @type or a flavour of it, as "sched_ext_ops___v2": libbpf takes them as one. */
static bool is_type(const char *name, const char *type)
{
	size_t len = strlen(type);

	return !strncmp(name, type, len) && (!name[len] || !strncmp(name + len, "___", 3));
}

static const char *ops_type(const struct load *load, const struct bpf_map *map)
{
	return type_name(bpf_object__btf(load->object), bpf_map__btf_value_type_id(map));
}

/* Finds the only scheduler of the object: a struct_ops map of one of the two types. */
static int find_ops(struct load *load, struct kt_err *reterr)
{
	const char *other = NULL;
	struct bpf_map *map;

	bpf_object__for_each_map(map, load->object)
	{
		const char *name = ops_type(load, map);

		if (bpf_map__type(map) != BPF_MAP_TYPE_STRUCT_OPS)
			continue;
		if (!is_type(name, OPS_TYPE) && !is_type(name, OPS_CID_TYPE)) {
			other = name;
			continue;
		}
		if (load->ops)
			return kt_err_set(reterr, -EINVAL,
					  "it has two schedulers, %s and %s; one can be attached",
					  bpf_map__name(load->ops), bpf_map__name(map));
		load->ops = map;
	}
	if (load->ops)
		return 0;
	if (other)
		return kt_err_set(reterr, -EINVAL, "it is not a scheduler: its struct_ops is a %s",
				  other);
	return kt_err_set(reterr, -EINVAL,
			  "it is not a scheduler: it has no struct_ops (a struct " OPS_TYPE
			  " in the section .struct_ops.link)");
}

static void add_names(const struct btf *btf, const struct btf_type *section, char *names,
		      size_t room)
{
	const struct btf_var_secinfo *at = btf_var_secinfos(section);

	for (unsigned int i = 0; i < btf_vlen(section); i++, at++) {
		const char *name = type_name(btf, at->type);
		size_t len = strlen(names);

		/* uei, uei_dump and uei_dump_len are exit information, which users do not set. */
		if (*name && strncmp(name, "uei", 3) && len + strlen(name) + 3 < room)
			(void)snprintf(names + len, room - len, "%s%s", len ? ", " : "", name);
	}
}

/* The error for a variable that does not exist, with all that exist. */
static int complain_of_variable(const struct load *load, const char *path, struct kt_err *reterr)
{
	const struct btf *btf = bpf_object__btf(load->object);
	char names[512] = "";
	struct bpf_map *map;

	bpf_object__for_each_map(map, load->object)
	{
		const struct btf_type *type = btf__type_by_id(btf, bpf_map__btf_value_type_id(map));

		if (type && btf_is_datasec(type))
			add_names(btf, type, names, sizeof(names));
	}
	return kt_err_set(reterr, -ENOENT, "it has no variable '%s', but %s", path,
			  *names ? names : "none at all");
}

static bool has_variable(const struct btf *btf, const struct btf_type *section, const char *path)
{
	const struct btf_var_secinfo *at = btf_var_secinfos(section);
	size_t len = strcspn(path, ".[");

	for (unsigned int i = 0; i < btf_vlen(section); i++, at++) {
		const char *name = type_name(btf, at->type);

		if (strlen(name) == len && !memcmp(name, path, len))
			return true;
	}
	return false;
}

/* Finds a variable, or a field of one, in the data sections of the object. */
static int find_variable(const struct load *load, const char *path, struct bpf_map **ret_map,
			 struct kt_field *ret_field, struct kt_err *reterr)
{
	const struct btf *btf = bpf_object__btf(load->object);
	struct bpf_map *map;

	bpf_object__for_each_map(map, load->object)
	{
		uint32_t type_id = bpf_map__btf_value_type_id(map);
		const struct btf_type *type = btf__type_by_id(btf, type_id);

		if (!type || !btf_is_datasec(type) || !has_variable(btf, type, path))
			continue;
		*ret_map = map;
		return kt_field_find(btf, type_id, path, ret_field, reterr);
	}
	return complain_of_variable(load, path, reterr);
}

/* ---- what it is told ------------------------------------------------------------------------- */

#define OPS_PREFIX "ops."

/* Finds a variable, or by "ops.MEMBER" a member of the scheduler's struct_ops. */
static int find_place(const struct load *load, const char *path, struct bpf_map **ret_map,
		      struct kt_field *ret_field, struct kt_err *reterr)
{
	size_t len = strlen(OPS_PREFIX);

	if (strncmp(path, OPS_PREFIX, len))
		return find_variable(load, path, ret_map, ret_field, reterr);
	*ret_map = load->ops;
	return kt_field_find(bpf_object__btf(load->object), bpf_map__btf_value_type_id(load->ops),
			     path + len, ret_field, reterr);
}

/* Takes "NAME=VALUE". The value replaces the initial one, before the object is loaded. */
static int set_variable(const struct load *load, const char *assignment, struct kt_err *reterr)
{
	size_t len = strcspn(assignment, "="), room;
	KT_FREE char *name = strndup(assignment, len);
	struct kt_field field;
	struct bpf_map *map;
	void *data;
	int r;

	if (!name)
		return kt_err_oom(reterr);
	if (!assignment[len] || !len)
		return kt_err_set(reterr, -EINVAL, "'%s' is not VARIABLE=VALUE", assignment);
	r = find_place(load, name, &map, &field, reterr);
	if (r < 0)
		return r;
	data = bpf_map__initial_value(map, &room);
	if (!data)
		return kt_err_set(reterr, -EINVAL, "variable '%s': it cannot be set", name);
	r = kt_field_set_text(&field, data, room, assignment + len + 1, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "variable '%s'", name) : 0;
}

static int set_variables(const struct load *load, struct kt_err *reterr)
{
	int r = 0;

	for (const char *const *at = load->loader->variables; r == 0 && at && *at; at++)
		r = set_variable(load, *at, reterr);
	return r;
}

/* Finds a member of the scheduler's struct_ops and the initial value of the whole struct. */
static int ops_member(const struct load *load, const char *name, struct kt_field *ret_field,
		      void **ret_data, size_t *ret_len, struct kt_err *reterr)
{
	*ret_data = bpf_map__initial_value(load->ops, ret_len);
	if (!*ret_data)
		return kt_err_set(reterr, -ENOTSUP,
				  "this libbpf does not let struct_ops be changed (1.4 does)");
	return kt_field_find(bpf_object__btf(load->object), bpf_map__btf_value_type_id(load->ops),
			     name, ret_field, reterr);
}

static int set_ops_member(const struct load *load, const char *name, uint64_t number,
			  struct kt_err *reterr)
{
	struct kt_field field;
	void *data;
	size_t len;

	return ops_member(load, name, &field, &data, &len, reterr)
		       ?: kt_field_set(&field, data, len, number, reterr);
}

/*
 * How long the dump can be that the kernel writes, where the object has an array for it. An object
 * without such an array has its dump only in the trace buffer: 0.
 */
static int find_dump_len(const struct load *load, uint64_t *ret_len, struct kt_err *reterr)
{
	struct kt_field field;
	struct bpf_map *map;
	size_t room;
	void *data;
	int r;

	r = ops_member(load, "exit_dump_len", &field, &data, &room, reterr)
		    ?: kt_field_get(&field, data, room, ret_len, reterr);
	*ret_len = *ret_len ?: DUMP_DEFAULT_LEN;
	if (r == 0 && (!bpf_object__find_map_by_name(load->object, DUMP_SECTION) ||
		       find_variable(load, "uei_dump_len", &map, &field, NULL) < 0))
		*ret_len = 0;
	return r;
}

static int set_dump_len(const struct load *load, uint64_t len, struct kt_err *reterr)
{
	struct kt_field field;
	struct bpf_map *map;
	size_t room;
	void *data;
	int r = find_variable(load, "uei_dump_len", &map, &field, reterr);

	data = r == 0 ? bpf_map__initial_value(map, &room) : NULL;
	return data ? kt_field_set(&field, data, room, len, reterr) : r;
}

/* ---- enumerators ----------------------------------------------------------------------------- */

#define ENUM_PREFIX "__SCX_"

/* Whether the data section has a variable that stands for an enumerator. */
static bool has_prefix(const struct btf *btf, const struct btf_type *section)
{
	const struct btf_var_secinfo *at = btf_var_secinfos(section);

	for (unsigned int i = 0; i < btf_vlen(section); i++, at++) {
		if (!strncmp(type_name(btf, at->type), ENUM_PREFIX, strlen(ENUM_PREFIX)))
			return true;
	}
	return false;
}

static bool has_enumerators(const struct load *load)
{
	const struct btf *btf = bpf_object__btf(load->object);
	struct bpf_map *map;

	bpf_object__for_each_map(map, load->object)
	{
		const struct btf_type *type = btf__type_by_id(btf, bpf_map__btf_value_type_id(map));

		if (type && btf_is_datasec(type) && has_prefix(btf, type))
			return true;
	}
	return false;
}

static void set_enumerator(const struct load *load, const char *name, uint64_t number)
{
	struct kt_field field;
	struct bpf_map *map;
	char variable[128];
	void *data;
	size_t room;

	(void)snprintf(variable, sizeof(variable), "__%s", name);
	if (find_variable(load, variable, &map, &field, NULL) < 0)
		return;
	data = bpf_map__initial_value(map, &room);
	if (data)
		(void)kt_field_set(&field, data, room, number, NULL);
}

/* Sets the variables for all SCX_ enumerators of one enum of the kernel. */
static void set_all_of(const struct load *load, const struct btf *kernel,
		       const struct btf_type *type)
{
	bool wide = btf_is_enum64(type);

	for (unsigned int i = 0; i < btf_vlen(type); i++) {
		uint32_t at = wide ? btf_enum64(type)[i].name_off : btf_enum(type)[i].name_off;
		const char *name = btf__name_by_offset(kernel, at);

		if (!strncmp(name, ENUM_PREFIX + 2, strlen(ENUM_PREFIX) - 2))
			set_enumerator(load, name,
				       wide ? btf_enum64_value(&btf_enum64(type)[i])
					    : (uint64_t)(int64_t)btf_enum(type)[i].val);
	}
}

/*
 * Objects that are built with the scx project's headers have variables that stand for enumerators
 * of the kernel, as __SCX_DSQ_LOCAL for SCX_DSQ_LOCAL, which their programs fill in before they
 * load them: the numbers differ from kernel to kernel. One that the kernel does not have stays 0,
 * which is how the objects see that.
 */
static int set_enumerators(const struct load *load, struct kt_err *reterr)
{
	struct btf *kernel;

	if (!has_enumerators(load))
		return 0;
	kernel = btf__load_vmlinux_btf();
	if (!kernel)
		return kt_err_set(reterr, -errno, "the kernel's BTF: %m");
	for (uint32_t id = 1; id < btf__type_cnt(kernel); id++) {
		const struct btf_type *type = btf__type_by_id(kernel, id);

		if (btf_is_any_enum(type))
			set_all_of(load, kernel, type);
	}
	btf__free(kernel);
	return 0;
}

/* An explicit timeout overrides that of the object; the default is for an object that sets none. */
static int set_watchdog(const struct load *load, struct kt_err *reterr)
{
	unsigned int ms = load->loader->watchdog_ms;
	struct kt_field field;
	uint64_t own = 0;
	size_t room;
	void *data;
	int r = ops_member(load, "timeout_ms", &field, &data, &room, reterr)
			?: kt_field_get(&field, data, room, &own, reterr);

	if (r == 0 && !ms && !own)
		ms = load->loader->watchdog_default_ms;
	return r == 0 && ms ? kt_field_set(&field, data, room, ms, reterr) : r;
}

/* All that has to be set before the object is loaded, but for the array of the dump. */
static int configure(struct load *load, struct kt_err *reterr)
{
	const struct kt_loader *loader = load->loader;
	int r = find_ops(load, reterr) ?: set_variables(load, reterr) ?: set_watchdog(load, reterr);

	if (r == 0 && loader->dump_kib)
		r = set_ops_member(load, "exit_dump_len", (uint64_t)loader->dump_kib << 10, reterr);
	return r;
}

/* ---- the kernel's configuration -------------------------------------------------------------- */

/* The first variable of the object that stands for an option of the kernel; NULL: none. */
static const char *find_option(const struct load *load)
{
	const struct btf *btf = bpf_object__btf(load->object);
	int id = btf ? btf__find_by_name_kind(btf, ".kconfig", BTF_KIND_DATASEC) : -1;
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (unsigned int i = 0; section && i < btf_vlen(section); i++) {
		const char *name = type_name(btf, btf_var_secinfos(section)[i].type);

		if (!strncmp(name, "CONFIG_", 7))
			return name;
	}
	return NULL;
}

/* Says what is missing where libbpf would only say that it cannot open a file. */
static int check_configuration(const struct load *load, struct kt_err *reterr)
{
	const char *option = find_option(load);
	KT_FREE char *path = NULL;
	struct utsname kernel;

	if (!option || uname(&kernel) < 0)
		return 0;
	path = kt_format("/boot/config-%s", kernel.release);
	if (!path)
		return kt_err_oom(reterr);
	if (access(path, R_OK) == 0 || access("/proc/config.gz", R_OK) == 0)
		return 0;
	return kt_err_set(reterr, -ENOENT,
			  "it reads %s (extern ... __kconfig), and there is neither %s nor "
			  "/proc/config.gz: give a kernel with its .config, its config-VERSION "
			  "beside vmlinuz-VERSION, or CONFIG_IKCONFIG_PROC",
			  option, path);
}

/* ---- how it ends ----------------------------------------------------------------------------- */

/*
 * Reads the present data section of a variable, to be freed. The copy of libbpf may have the
 * initial values (libbpf 1.4).
 */
static void *read_section(const struct load *load, const char *path, struct kt_field *ret_field,
			  size_t *ret_len)
{
	const uint32_t first = 0;
	struct bpf_map *map;
	void *data;

	if (find_variable(load, path, &map, ret_field, NULL) < 0 || bpf_map__fd(map) < 0)
		return NULL;
	*ret_len = bpf_map__value_size(map);
	data = malloc(*ret_len);
	if (data && bpf_map_lookup_elem(bpf_map__fd(map), &first, data) == 0)
		return data;
	free(data);
	return NULL;
}

/* The text in a variable, to be freed; NULL when it is empty or the variable does not exist. */
static char *read_text(const struct load *load, const char *path)
{
	struct kt_field field;
	size_t len;
	KT_FREE char *data = read_section(load, path, &field, &len);
	uint64_t at = data ? field.bit_offset / 8 : 0;

	return data && at < len && data[at] ? strndup(data + at, len - at) : NULL;
}

/* The number in a variable; 0 when the variable does not exist. */
static uint64_t read_number(const struct load *load, const char *path)
{
	struct kt_field field;
	uint64_t number;
	size_t len;
	KT_FREE void *data = read_section(load, path, &field, &len);

	return data && kt_field_get(&field, data, len, &number, NULL) == 0 ? number : 0;
}

/*
 * Prints the exit information that the exit callback has noted, in the format of the kernel's own
 * schedulers. An object without exit information counts as ended without an error.
 */
static enum kt_loader_status report_exit(const struct load *load)
{
	uint64_t kind = read_number(load, "uei.kind");
	KT_FREE char *dump = read_text(load, "uei_dump"), *reason = read_text(load, "uei.reason");
	KT_FREE char *message = read_text(load, "uei.msg");

	if (!kind)
		return KT_LOADER_ENDED;
	if (dump)
		(void)fprintf(stderr, "\nDEBUG DUMP\n" RULE "\n%s\n" RULE "\n", dump);
	(void)fprintf(stderr, "EXIT: %s%s%s%s, kind %" PRIu64 ", code %" PRId64 "\n",
		      reason ?: "no reason", message ? " (" : "", message ?: "", message ? ")" : "",
		      kind, (int64_t)read_number(load, "uei.exit_code"));
	return kind >= EXIT_ERROR ? KT_LOADER_DISABLED : KT_LOADER_ENDED;
}

/* ---- verification ---------------------------------------------------------------------------- */

/* Prints for one program whether it was verified, and the verifier's statistics from its log. */
static void print_verified(const struct bpf_program *program, const char *log)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_program__fd(program);
	const char *stats = strstr(log, "processed ");

	if (fd < 0 || bpf_prog_get_info_by_fd(fd, &info, &len) < 0)
		(void)printf("program %s: not loaded\n", bpf_program__name(program));
	else
		(void)printf("program %s: verified %u instructions\n", bpf_program__name(program),
			     info.verified_insns);
	if (stats)
		(void)printf("%.*s\n", (int)strcspn(stats, "\n"), stats);
}

/*
 * Loads the object without attaching it. Each program gets a log buffer, so libbpf prints no log.
 */
static enum kt_loader_status verify(struct load *load)
{
	struct bpf_program *program;
	int r;

	bpf_object__for_each_program(program, load->object)
	{
		char *log = calloc(1, VERIFIER_LOG_LEN);

		if (!log)
			return KT_LOADER_REFUSED;
		(void)bpf_program__set_log_buf(program, log, VERIFIER_LOG_LEN);
		(void)bpf_program__set_log_level(program, 1 | 4); /* BPF_LOG_LEVEL1, _STATS */
	}
	r = bpf_object__load(load->object);
	bpf_object__for_each_program(program, load->object)
	{
		size_t len;
		const char *log = bpf_program__log_buf(program, &len);

		print_verified(program, log);
		if (r < 0 && bpf_program__fd(program) < 0 && *log)
			(void)printf("log of %s:\n%s\n", bpf_program__name(program), log);
		free((void *)log);
	}
	return r < 0 ? KT_LOADER_REFUSED : KT_LOADER_ENDED;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int open_object(struct load *load, struct kt_err *reterr)
{
	char why[128];

	load->object = bpf_object__open_file(load->loader->object, NULL);
	if (load->object)
		return 0;
	(void)libbpf_strerror(errno, why, sizeof(why)); /* libbpf has error numbers of its own */
	return kt_err_set(reterr, -EINVAL, "libbpf cannot open it as a BPF object: %s", why);
}

/*
 * Opens the object once more, with the array for the dump as long as the dump that the kernel
 * writes. That length is known only when the object is open.
 */
static int make_room_for_dump(struct load *load, struct kt_err *reterr)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	KT_FREE char *bytes = NULL, *name = strdup(bpf_object__name(load->object));
	uint64_t dump_len = 0;
	size_t len;
	int r = name ? find_dump_len(load, &dump_len, reterr) : kt_err_oom(reterr);

	if (r < 0 || !dump_len)
		return r;
	if (bpf_map__value_size(bpf_object__find_map_by_name(load->object, DUMP_SECTION)) >=
	    dump_len)
		return set_dump_len(load, dump_len, reterr);
	r = kt_object_enlarge(load->loader->object, DUMP_SECTION, (uint32_t)dump_len, &bytes, &len,
			      reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "the array for the dump");
	opts.object_name = name;
	bpf_object__close(load->object);
	load->ops = NULL;
	load->object = bpf_object__open_mem(bytes, len, &opts);
	if (!load->object)
		return kt_err_set(reterr, -errno, "the array for the dump: %m");
	return configure(load, reterr) ?: set_dump_len(load, dump_len, reterr);
}

static int attach(struct load *load, struct kt_err *reterr)
{
	int r = bpf_object__load(load->object);

	if (r < 0)
		return kt_err_set(reterr, r, "cannot load it: %m");
	load->link = bpf_map__attach_struct_ops(load->ops);
	if (load->link)
		return 0;
	r = -errno;
	if (r == -EBUSY)
		return kt_err_set(reterr, r, "cannot attach it: another scheduler is attached");
	return kt_err_set(reterr, r, "cannot attach it: %m");
}

/* Before the scheduler is attached: no signal and no uevent may be missed afterwards. */
static int prepare_to_wait(struct load *load, struct kt_err *reterr)
{
	sigset_t ends;

	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigaddset(&ends, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &ends, NULL);
	load->signals = signalfd(-1, &ends, SFD_CLOEXEC);
	if (load->signals < 0)
		return kt_err_set(reterr, -errno, "signalfd: %m");
	load->watch = kt_scx_watch(reterr);
	return load->watch < 0 ? load->watch : 0;
}

/* Whether it is to have the tasks of a cgroup, below the scheduler that is there. */
static bool is_sub(const struct load *load)
{
	struct kt_field field;
	uint64_t cgroup = 0;
	size_t room;
	void *data;

	return ops_member(load, "sub_cgroup_id", &field, &data, &room, NULL) == 0 &&
	       kt_field_get(&field, data, room, &cgroup, NULL) == 0 && cgroup > 1;
}

/* The kernel shows the root scheduler. The end of another one is what its exit callback notes. */
static bool has_gone(const struct load *load)
{
	return kt_scx_has_gone() || (is_sub(load) && read_number(load, "uei.kind"));
}

/* The name of what is attached now; "": it has gone already. */
static void attached_name(const struct load *load, char *name, size_t room)
{
	struct kt_field field;
	size_t len;
	void *data;

	*name = '\0';
	if (!is_sub(load))
		kt_scx_ops(name, room);
	else if (!has_gone(load) && ops_member(load, "name", &field, &data, &len, NULL) == 0)
		(void)snprintf(name, room, "%.*s", (int)(field.bits / 8),
			       (const char *)data + field.bit_offset / 8);
}

/*
 * Waits for SIGTERM or SIGINT, or until the kernel disables the scheduler. Has no deadline by
 * design.
 */
static void wait_for_end(const struct load *load)
{
	struct pollfd fds[] = {
		{ .fd = load->signals, .events = POLLIN },
		{ .fd = load->watch, .events = POLLIN },
	};

	while (!has_gone(load)) {
		(void)kt_poll(fds, KT_ARRAY_LEN(fds), UINT64_MAX);
		if (fds[0].revents)
			return;
		kt_scx_watch_drain(load->watch);
	}
}

/* Does everything for kt_loader_run() except the cleanup. */
static enum kt_loader_status run(struct load *load)
{
	struct kt_err err = KT_ERR_NULL;
	char name[KT_SCX_OPS_NAME_LEN];
	int r;

	if (kt_scx_state() == KT_SCX_NONE) {
		(void)kt_err_set(&err, 0, "this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)");
		return refuse(load, &err);
	}
	if (open_object(load, &err) < 0 || configure(load, &err) < 0 ||
	    make_room_for_dump(load, &err) < 0 || set_enumerators(load, &err) < 0 ||
	    check_configuration(load, &err) < 0)
		return refuse(load, &err);
	if (load->loader->verify)
		return verify(load);
	if (prepare_to_wait(load, &err) < 0)
		return refuse(load, &err);
	if (load->loader->hurry)
		(void)setpriority(PRIO_PROCESS, 0, -20);
	r = attach(load, &err);
	if (load->loader->hurry)
		(void)setpriority(PRIO_PROCESS, 0, 0);
	if (r < 0) {
		(void)report_exit(load);
		return refuse(load, &err);
	}
	attached_name(load, name, sizeof(name));
	/* Attaching also succeeds if the init callback fails; no scheduler is there then. */
	if (*name) {
		(void)fprintf(stderr, "scheduler %s is attached\n", name);
		(void)fflush(stderr);
	}
	wait_for_end(load);
	(void)bpf_link__destroy(load->link); /* returns after the exit callback has run */
	load->link = NULL;
	return report_exit(load);
}

/*
 * Prints libbpf's warnings, and drops its other messages: on an older kernel, one of them names
 * each callback that the kernel lacks and the object does not use, before the message that matters.
 */
static int print_warnings(enum libbpf_print_level level, const char *format, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, ap) : 0;
}

enum kt_loader_status kt_loader_run(const struct kt_loader *loader)
{
	struct load load = { .loader = loader, .signals = -1, .watch = -1 };
	enum kt_loader_status status;

	(void)libbpf_set_print(print_warnings);
	status = run(&load);
	(void)bpf_link__destroy(load.link);
	bpf_object__close(load.object);
	(void)kt_close(load.signals);
	(void)kt_close(load.watch);
	(void)fflush(NULL);
	return status;
}

static int say_nothing(enum libbpf_print_level level, const char *format, va_list ap)
{
	(void)level;
	(void)format;
	(void)ap;
	return 0;
}

int kt_loader_check(const struct kt_loader *loader, struct kt_err *reterr)
{
	struct load load = { .loader = loader, .signals = -1, .watch = -1 };
	libbpf_print_fn_t print = libbpf_set_print(say_nothing);
	int r = open_object(&load, reterr) ?: configure(&load, reterr);

	bpf_object__close(load.object);
	(void)libbpf_set_print(print);
	return r;
}

bool kt_loader_is_cid(const char *object)
{
	struct load load = { .loader = &(const struct kt_loader){ .object = object } };
	libbpf_print_fn_t print = libbpf_set_print(say_nothing);
	bool is_cid = open_object(&load, NULL) == 0 && find_ops(&load, NULL) == 0 &&
		      is_type(ops_type(&load, load.ops), OPS_CID_TYPE);

	bpf_object__close(load.object);
	(void)libbpf_set_print(print);
	return is_cid;
}
