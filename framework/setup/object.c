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
 * A scheduler that cannot work is found here, on the host and before the first boot, so that the
 * message names the declaration and not a loader's error in a guest. libbpf reads the
 * variables (through schedulers/loader.h). libelf reads the kfuncs, because libbpf cannot open a
 * program that embeds its object. Nothing is loaded into a kernel here.
 */

#define PROGRAM_MAX    (256u << 20) /* bytes of a scheduler's file */
#define EM_BPF_MACHINE 247u         /* e_machine of a BPF object */
#define KFUNC_PREFIX   "scx_bpf_"

/* ---- objects -------------------------------------------------------------------------------- */

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

/* The variables that the declaration sets in every test. */
static int check_own(void *data, const struct kt_scheduler *scheduler)
{
	return check_object(data, scheduler, scheduler->args);
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

int kt_schedulers_check(const struct kt_cargo *cargo, const struct kt_test *const *tests,
			size_t n_tests, struct kt_err *reterr)
{
	struct check check = { cargo, reterr };
	int r = 0;

	for (size_t i = 0; r == 0 && i < n_tests; i++) {
		r = kt_cargo_for_each_scheduler(cargo, tests[i], check_own, &check)
			    ?: check_ops(&check, tests[i], tests[i]->backdrop.ops);
		for (const struct kt_step *step = tests[i]->steps; r == 0 && step && !step->end;
		     step++)
			r = check_ops(&check, tests[i], step->ops);
	}
	return r;
}

/* ---- kfuncs --------------------------------------------------------------------------------- */

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

/*
 * libbpf ignores three underscores and what follows them (a "flavour") when it looks a name up:
 * "scx_bpf_dsq_insert___compat" is scx_bpf_dsq_insert.
 */
static int add_kfunc(struct names *names, const char *name)
{
	const char *flavour = strstr(name, "___");
	KT_FREE char *bare = strndup(name, flavour ? (size_t)(flavour - name) : strlen(name));

	if (!bare)
		return -ENOMEM;
	return strncmp(bare, KFUNC_PREFIX, strlen(KFUNC_PREFIX)) ? 0 : add_name(names, bare);
}

/* A kfunc that an object calls is an undefined symbol of the object. */
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
 * Reads an object at every offset where the ELF header of a BPF object begins. That covers an
 * object file, where it is the first byte, and a program with a skeleton, which embeds the object
 * as data.
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

/* ---- kernels -------------------------------------------------------------------------------- */

struct search {
	const struct kt_cargo *cargo;
	const struct kt_kernel *kernel;
	char *obstacle;
};

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

static int find_obstacle(void *data, const struct kt_scheduler *scheduler)
{
	struct search *search = data;
	const struct kt_kernel_facts *facts = &search->kernel->facts;
	const char *path = kt_cargo_path(search->cargo, scheduler);
	char **names = NULL;
	KT_FREE char *list = NULL;

	if (!facts->sched_ext)
		search->obstacle = kt_format("scheduler %s: kernel %s has no sched_ext "
					     "(CONFIG_SCHED_CLASS_EXT)",
					     scheduler->name, facts->release);
	if (search->obstacle || !facts->n_broken_kfuncs || !path ||
	    kt_scheduler_kfuncs(path, &names, NULL) < 0)
		return search->obstacle != NULL;
	list = list_broken(facts, names);
	kt_scheduler_kfuncs_free(names);
	if (list)
		search->obstacle =
			kt_format("scheduler %s calls %s, which the BTF of kernel %s describes "
				  "wrongly (docs/kernels.md); no scheduler that does can be loaded",
				  scheduler->name, list, facts->release);
	return search->obstacle != NULL;
}

char *kt_schedulers_obstacle(const struct kt_cargo *cargo, const struct kt_kernel *kernel,
			     const struct kt_test *test)
{
	struct search search = { .cargo = cargo, .kernel = kernel };

	(void)kt_cargo_for_each_scheduler(cargo, test, find_obstacle, &search);
	return search.obstacle;
}
