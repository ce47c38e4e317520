/* SPDX-License-Identifier: MIT */
#include "framework/setup/object.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "schedulers/loader.h"
#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * Before anything boots, the runner reads the BPF objects that the selected tests use. An object
 * that is wrong by itself makes the tests that use it an ERROR; the others run. A kernel that
 * cannot run a scheduler makes its tests SKIP: the kernel lacks sched_ext or the scheduler's type,
 * or its BTF wrongly describes a kfunc that the object calls. The files are untrusted: libelf
 * checks every offset, and PROGRAM_MAX bounds what is read.
 */

#define PROGRAM_MAX    (256u << 20) /* bytes of a scheduler's file */
#define EM_BPF_MACHINE 247u         /* e_machine of a BPF object */
#define KFUNC_PREFIX   "scx_bpf_"

/* ---- objects --------------------------------------------------------------------------------- */

struct check {
	const struct kt_cargo *cargo;
	struct kt_err *err; /* of the caller */
};

static int check_object(const struct check *check, const struct kt_scheduler *scheduler,
			const char *const *variables)
{
	const char *path = kt_cargo_path(check->cargo, scheduler);
	const struct kt_loader loader = { .object = path, .variables = variables };

	if (!scheduler->object || !path || kt_loader_check(&loader, check->err) >= 0)
		return 0;
	return kt_err_prefix(check->err, -EINVAL, "%s:%u: scheduler %s: %s", scheduler->file,
			     scheduler->line, scheduler->name, scheduler->object);
}

/* The variables that the declaration of a scheduler sets in every test. */
static int check_own(const struct check *check, const struct kt_test *test)
{
	const struct kt_uses *uses = &kt_cargo_of(check->cargo, test)->uses;
	int r = 0;

	for (size_t i = 0; r == 0 && i < uses->n; i++) {
		const struct kt_scheduler *scheduler = uses->at[i].declaration;

		if (uses->at[i].kind != KT_USE_PAYLOAD)
			r = check_object(check, scheduler, scheduler->args);
	}
	return r;
}

/* The variables that operations of the test set. */
static int check_ops(const struct check *check, const struct kt_test *test, const struct kt_op *ops)
{
	for (const struct kt_op *op = ops; op && !op->end; op++) {
		if (op->scheduler && op->args && check_object(check, op->scheduler, op->args) < 0)
			return kt_err_prefix(check->err, -EINVAL, "%s:%u: %s", test->file,
					     test->line, test->name);
	}
	return 0;
}

static int check_test(const struct check *check, const struct kt_test *test)
{
	int r = check_own(check, test) ?: check_ops(check, test, test->backdrop.ops);

	for (const struct kt_step *step = test->steps; r == 0 && step && !step->end; step++)
		r = check_ops(check, test, step->ops);
	return r;
}

int kt_schedulers_check(struct kt_cargo *cargo, const struct kt_test *const *tests, size_t n_tests,
			struct kt_err *reterr)
{
	for (size_t i = 0; i < n_tests; i++) {
		struct kt_err fault = KT_ERR_NULL;
		struct check check = { cargo, &fault };

		if (check_test(&check, tests[i]) < 0 &&
		    kt_cargo_note_fault(cargo, tests[i], fault.text) < 0)
			return kt_err_oom(reterr);
	}
	return 0;
}

/* ---- kfuncs ---------------------------------------------------------------------------------- */

struct names {
	char **at;
	size_t n;
};

void kt_scheduler_kfuncs_free(char **names)
{
	for (char **at = names; at && *at; at++)
		free(*at);
	free(names);
}

static int add_name(struct names *names, const char *name)
{
	char **grown;

	for (size_t i = 0; i < names->n; i++) {
		if (!strcmp(names->at[i], name))
			return 0;
	}
	grown = reallocarray(names->at, names->n + 2, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	names->at = grown;
	grown[names->n] = strdup(name);
	if (!grown[names->n])
		return -ENOMEM;
	grown[++names->n] = NULL;
	return 0;
}

/* libbpf ignores three underscores and what follows: scx_bpf_dsq_insert___compat is a flavour. */
static int add_kfunc(struct names *names, const char *name)
{
	const char *flavour = strstr(name, "___");
	KT_FREE char *bare = strndup(name, flavour ? (size_t)(flavour - name) : strlen(name));

	if (!bare)
		return -ENOMEM;
	return strncmp(bare, KFUNC_PREFIX, strlen(KFUNC_PREFIX)) ? 0 : add_name(names, bare);
}

/* The undefined symbols of an object are what it expects from the kernel. */
static int collect_symbols(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, struct names *names)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t n = data && header->sh_entsize ? data->d_size / header->sh_entsize : 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		GElf_Sym symbol;
		const char *name;

		if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_shndx != SHN_UNDEF)
			continue;
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		r = name ? add_kfunc(names, name) : 0;
	}
	return r;
}

static int collect_object(char *bytes, size_t len, struct names *names)
{
	Elf *elf = elf_memory(bytes, len);
	Elf_Scn *section = NULL;
	int r = 0;

	while (elf && r == 0 && (section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
			r = collect_symbols(elf, section, &header, names);
	}
	(void)elf_end(elf);
	return r;
}

/*
 * A program embeds its objects as the bytes of a skeleton. Every position at which the ELF header
 * of a BPF object begins is therefore examined, the beginning of the file included.
 */
int kt_scheduler_kfuncs(const char *path, char ***ret_names, struct kt_err *reterr)
{
	struct names names = { calloc(1, sizeof(char *)), 0 };
	KT_FREE char *bytes = NULL;
	size_t len, left;
	int r = kt_file_read(path, PROGRAM_MAX, &bytes, &len);

	if (r < 0 || !names.at) {
		free(names.at);
		return kt_err_set(reterr, r ?: -ENOMEM, "'%s': %m", path);
	}
	(void)elf_version(EV_CURRENT);
	for (char *at = bytes;
	     r == 0 && (at = memmem(at, len - (size_t)(at - bytes), ELFMAG, SELFMAG)); at++) {
		Elf64_Ehdr header;

		left = len - (size_t)(at - bytes);
		if (left < sizeof(header))
			break;
		memcpy(&header, at, sizeof(header));
		if (header.e_machine == EM_BPF_MACHINE && header.e_type == ET_REL)
			r = collect_object(at, left, &names);
	}
	if (r < 0) {
		kt_scheduler_kfuncs_free(names.at);
		return kt_err_oom(reterr);
	}
	*ret_names = names.at;
	return 0;
}

/* ---- kernels --------------------------------------------------------------------------------- */

static bool is_broken(const struct kt_kernel_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->n_broken_kfuncs; i++) {
		if (!strcmp(facts->broken_kfuncs[i], name))
			return true;
	}
	return false;
}

static char *list_broken(const struct kt_kernel_facts *facts, char *const *names)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer text = KT_BUFFER_NULL;

	for (; *names; names++) {
		if (!is_broken(facts, *names))
			continue;
		if ((text.len && kt_buffer_append(&text, ", ", 2) < 0) ||
		    kt_buffer_append(&text, *names, strlen(*names)) < 0)
			return NULL;
	}
	if (!text.len || kt_buffer_append(&text, "", 1) < 0)
		return NULL;
	return kt_steal(text.data);
}

/* Returns why @kernel cannot run the scheduler, to be freed, or NULL. */
static char *find_obstacle(const struct kt_kernel_facts *facts, const struct kt_use *use,
			   const char *path)
{
	char **names = NULL;
	KT_FREE char *list = NULL;

	if (!facts->sched_ext)
		return kt_format("scheduler %s: kernel %s has no sched_ext "
				 "(CONFIG_SCHED_CLASS_EXT)",
				 use->name, facts->release);
	if (!facts->sched_ext_cid && path && use->kind == KT_USE_OBJECT && kt_loader_is_cid(path))
		return kt_format("scheduler %s is a struct sched_ext_ops_cid; kernel %s has no "
				 "such type (Linux 7.2 and later have it)",
				 use->name, facts->release);
	if (!facts->n_broken_kfuncs || !path || kt_scheduler_kfuncs(path, &names, NULL) < 0)
		return NULL;
	list = list_broken(facts, names);
	kt_scheduler_kfuncs_free(names);
	if (!list)
		return NULL;
	return kt_format("scheduler %s calls %s, which the BTF of kernel %s describes wrongly "
			 "(docs/kernels.md); no scheduler that does can be loaded",
			 use->name, list, facts->release);
}

char *kt_schedulers_obstacle(const struct kt_cargo *cargo, const struct kt_kernel *kernel,
			     const struct kt_test *test)
{
	const struct kt_uses *uses = &kt_cargo_of(cargo, test)->uses;
	char *obstacle = NULL;

	for (size_t i = 0; !obstacle && i < uses->n; i++) {
		const struct kt_use *use = &uses->at[i];

		if (use->kind != KT_USE_PAYLOAD)
			obstacle = find_obstacle(&kernel->facts, use,
						 kt_cargo_path(cargo, use->declaration));
	}
	return obstacle;
}
