/* SPDX-License-Identifier: MIT */
#include "framework/image/closure.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/image/ldcache.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * The search that ld.so(8) does when it starts a program, done on the host for a program that will
 * run in the guest. Nothing is executed, so a program need not be trusted. Each object that is
 * found is read for the objects it needs, depth first; a name that is in the closure already is not
 * looked for again, which also ends cycles.
 *
 * A library has a path on the host and one in the guest. They differ for libraries that the guest's
 * loader would not find at their path: it has neither the host's ld.so.cache nor its
 * LD_LIBRARY_PATH.
 */

#define LDCACHE     "/etc/ld.so.cache"
#define LIBC        "libc.so.6"
#define UNWINDER    "libgcc_s.so.1"
#define LDCACHE_MAX (64u << 20) /* bytes */

/* The default directories of Debian's loader, and of the loaders of other distributions. */
static const char *const default_dirs[] = {
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
	"/lib64",
	"/usr/lib64",
	"/lib",
	"/usr/lib",
};

/* An object that is being resolved. The chain of loaders matters for DT_RPATH. */
struct object {
	const struct object *loader;
	const char *host;  /* its file */
	const char *guest; /* its place in the guest */
	char *rpath;       /* DT_RPATH; NULL: there is none, or DT_RUNPATH replaces it */
	char *runpath;     /* DT_RUNPATH; NULL: there is none */
	char **needed;     /* sonames: DT_NEEDED */
	size_t n_needed;
	char *interpreter; /* path: PT_INTERP; NULL: there is none */
};

struct resolver {
	struct kt_closure *closure;
	char *ldcache; /* NULL when there is none */
	size_t ldcache_len;
};

void kt_closure_deinit(struct kt_closure *closure)
{
	for (size_t i = 0; i < closure->n; i++) {
		free(closure->files[i].host);
		free(closure->files[i].guest);
		free(closure->files[i].name);
	}
	free(closure->files);
	*closure = KT_CLOSURE_NULL;
}

static void object_deinit(struct object *object)
{
	for (size_t i = 0; i < object->n_needed; i++)
		free(object->needed[i]);
	free(object->needed);
	free(object->rpath);
	free(object->runpath);
	free(object->interpreter);
}

/* Replaces *@ret_text: if there are several entries of a kind, the last one has effect. */
static int copy_string(Elf *elf, size_t strings, uint64_t offset, char **ret_text)
{
	const char *text = elf_strptr(elf, strings, offset);

	if (!text)
		return -EBADMSG;
	free(*ret_text);
	*ret_text = strdup(text);
	return *ret_text ? 0 : -ENOMEM;
}

static int add_needed(Elf *elf, size_t strings, uint64_t offset, struct object *object)
{
	char **grown = reallocarray(object->needed, object->n_needed + 1, sizeof(*grown));
	int r;

	if (!grown)
		return -ENOMEM;
	object->needed = grown;
	grown[object->n_needed] = NULL;
	r = copy_string(elf, strings, offset, &grown[object->n_needed]);
	if (r == 0)
		object->n_needed++;
	return r;
}

static int read_dynamic(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, struct object *object)
{
	Elf_Data *data = elf_getdata(section, NULL);
	int r = 0;

	for (size_t i = 0; r == 0 && header->sh_entsize && i < header->sh_size / header->sh_entsize;
	     i++) {
		GElf_Dyn dyn;

		if (!gelf_getdyn(data, (int)i, &dyn) || dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_NEEDED)
			r = add_needed(elf, header->sh_link, dyn.d_un.d_val, object);
		else if (dyn.d_tag == DT_RPATH)
			r = copy_string(elf, header->sh_link, dyn.d_un.d_val, &object->rpath);
		else if (dyn.d_tag == DT_RUNPATH)
			r = copy_string(elf, header->sh_link, dyn.d_un.d_val, &object->runpath);
	}
	return r;
}

static int read_interpreter(Elf *elf, struct object *object)
{
	size_t n_headers = 0, size;
	const char *file = elf_rawfile(elf, &size);

	(void)elf_getphdrnum(elf, &n_headers);
	for (size_t i = 0; i < n_headers; i++) {
		GElf_Phdr header;

		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_INTERP)
			continue;
		if (!file || header.p_offset >= size || header.p_filesz > size - header.p_offset)
			return -EBADMSG;
		object->interpreter = strndup(file + header.p_offset, header.p_filesz);
		return object->interpreter ? 0 : -ENOMEM;
	}
	return 0;
}

/* DT_RUNPATH makes the loader ignore DT_RPATH of the same object. */
static int read_elf(Elf *elf, struct object *object)
{
	Elf_Scn *section = NULL;
	GElf_Ehdr header;
	int r;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
	    header.e_machine != EM_X86_64)
		return -ENOEXEC;
	r = read_interpreter(elf, object);
	while (r == 0 && (section = elf_nextscn(elf, section))) {
		GElf_Shdr section_header;

		if (gelf_getshdr(section, &section_header) && section_header.sh_type == SHT_DYNAMIC)
			r = read_dynamic(elf, section, &section_header, object);
	}
	if (object->runpath) {
		free(object->rpath);
		object->rpath = NULL;
	}
	return r;
}

static int object_read(struct object *object)
{
	KT_CLOSE int fd = open(object->host, O_RDONLY | O_CLOEXEC);
	Elf *elf;
	int r;

	if (fd < 0)
		return -errno;
	(void)elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	r = read_elf(elf, object);
	(void)elf_end(elf);
	return r;
}

/* Whether @path is an x86-64 ELF file. The loader skips libraries of other machines, too. */
static bool is_library(const char *path)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char head[20];

	return fd >= 0 && read(fd, head, sizeof(head)) == (ssize_t)sizeof(head) &&
	       !memcmp(head, ELFMAG, SELFMAG) && head[EI_CLASS] == ELFCLASS64 &&
	       head[18] == EM_X86_64 && head[19] == 0;
}

/* The length of the directory part of @path; 0 for the root, so that "/NAME" can follow. */
static size_t dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

/*
 * Returns one element of a run path, @len bytes, with $ORIGIN, $LIB and $PLATFORM replaced; NULL
 * when out of memory.
 */
static char *expand(const char *element, size_t len, const char *origin, size_t origin_len)
{
	static const struct {
		const char *name;
		const char *value; /* NULL: the origin */
	} tokens[] = {
		{ "$ORIGIN", NULL },
		{ "${ORIGIN}", NULL },
		{ "$LIB", "lib/x86_64-linux-gnu" },
		{ "${LIB}", "lib/x86_64-linux-gnu" },
		{ "$PLATFORM", "x86_64" },
		{ "${PLATFORM}", "x86_64" },
	};
	char *text = NULL;
	size_t text_len;
	FILE *out = open_memstream(&text, &text_len);

	if (!out)
		return NULL;
	for (size_t i = 0; i < len;) {
		size_t k = 0;

		while (k < KT_ARRAY_LEN(tokens) &&
		       (strlen(tokens[k].name) > len - i ||
			strncmp(element + i, tokens[k].name, strlen(tokens[k].name))))
			k++;
		if (k == KT_ARRAY_LEN(tokens)) {
			(void)fputc(element[i++], out);
			continue;
		}
		if (tokens[k].value)
			(void)fputs(tokens[k].value, out);
		else
			(void)fwrite(origin, 1, origin_len, out);
		i += strlen(tokens[k].name);
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* The last part of a path. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Where a library was found. @guest is NULL when it goes beside libc. */
struct found {
	char *host;
	char *guest;
};

/*
 * Looks for @soname in the directories of the run path @path of @owner. $ORIGIN is different on the
 * host and in the guest, so each directory is expanded twice. Returns 1 when it is found, 0 when
 * not.
 */
static int try_path(const char *path, const struct object *owner, const char *soname,
		    struct found *found)
{
	while (path && *path) {
		size_t len = strcspn(path, ":");
		KT_FREE char *host_dir = expand(path, len, owner->host, dir_len(owner->host));
		KT_FREE char *guest_dir = expand(path, len, owner->guest, dir_len(owner->guest));

		if (!host_dir || !guest_dir)
			return -ENOMEM;
		found->host = kt_format("%s/%s", *host_dir ? host_dir : ".", soname);
		found->guest = kt_format("%s/%s", guest_dir, soname);
		if (!found->host || !found->guest)
			return -ENOMEM;
		if (is_library(found->host))
			return 1;
		free(found->host);
		free(found->guest);
		*found = (struct found){ NULL, NULL };
		path += len + (path[len] == ':');
	}
	return 0;
}

/* Looks for @dir/@soname, or for the path @soname without @dir. Returns 1 when it is a library. */
static int try_file(const char *dir, const char *soname, struct found *found)
{
	found->host = dir ? kt_format("%s/%s", dir, soname) : strdup(soname);
	if (!found->host)
		return -ENOMEM;
	if (is_library(found->host))
		return 1;
	free(found->host);
	found->host = NULL;
	return 0;
}

/* ld.so.cache goes before the default directories, as in the loader. */
static int find_in_system(const struct resolver *resolver, const char *soname, struct found *found)
{
	const char *cached;
	int r = 0;

	if (resolver->ldcache) {
		cached = kt_ldcache_find(resolver->ldcache, resolver->ldcache_len, soname);
		if (cached)
			r = try_file(NULL, cached, found);
	}
	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(default_dirs); i++)
		r = try_file(default_dirs[i], soname, found);
	return r;
}

/*
 * Looks for a library that @object needs. Returns 1 when it is found, 0 when not. A soname with a
 * slash is a path and is not searched for.
 */
static int find(const struct resolver *resolver, const struct object *object, const char *soname,
		struct found *found)
{
	const char *library_path = getenv("LD_LIBRARY_PATH");
	int r = 0;

	if (strchr(soname, '/')) {
		found->host = strdup(soname);
		found->guest = strdup(soname);
		return found->host && found->guest ? is_library(soname) : -ENOMEM;
	}
	for (const struct object *at = object; r == 0 && at && !object->runpath; at = at->loader)
		r = try_path(at->rpath, at, soname, found);
	if (r == 0 && library_path) {
		r = try_path(library_path, object, soname, found);
		if (r > 0) { /* the guest does not have LD_LIBRARY_PATH */
			free(found->guest);
			found->guest = NULL;
		}
	}
	if (r == 0)
		r = try_path(object->runpath, object, soname, found);
	return r ?: find_in_system(resolver, soname, found);
}

/*
 * Finds a file of the closure by the last part of its name: the program interpreter is named by a
 * path, and libc also needs it as a library, by its soname.
 */
static struct kt_closure_file *find_file(const struct kt_closure *closure, const char *name)
{
	for (size_t i = 0; i < closure->n; i++) {
		if (!strcmp(base_name(closure->files[i].name), base_name(name)))
			return &closure->files[i];
	}
	return NULL;
}

/*
 * Adds a file. Takes the strings of *@found, also if it fails later; if the array cannot grow,
 * *@found keeps them.
 */
static int add_file(struct kt_closure *closure, const char *name, struct found *found)
{
	struct kt_closure_file *grown =
		reallocarray(closure->files, closure->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	closure->files = grown;
	grown[closure->n] = (struct kt_closure_file){
		.host = found->host,
		.guest = found->guest,
		.name = strdup(name),
	};
	*found = (struct found){ NULL, NULL };
	if (!grown[closure->n].name) {
		free(grown[closure->n].host);
		free(grown[closure->n].guest);
		return -ENOMEM;
	}
	closure->n++;
	return 0;
}

static int resolve_object(const struct resolver *resolver, const struct object *loader,
			  const char *host, const char *guest, struct kt_err *reterr);

/* Adds the library @soname and then, recursively, what that needs. */
static int resolve_needed(const struct resolver *resolver, const struct object *object,
			  const char *soname, struct kt_err *reterr)
{
	struct found found = { NULL, NULL };
	const struct kt_closure_file *file;
	int r;

	if (find_file(resolver->closure, soname))
		return 0;
	r = find(resolver, object, soname, &found);
	if (r > 0)
		r = add_file(resolver->closure, soname, &found);
	else if (r == 0)
		r = kt_err_set(reterr, -ENOENT,
			       "the library '%s', which '%s' needs, cannot be found", soname,
			       object->host);
	free(found.host);
	free(found.guest);
	if (r < 0)
		return r == -ENOMEM ? kt_err_oom(reterr) : r;
	file = &resolver->closure->files[resolver->closure->n - 1];
	/*
	 * A library that goes beside libc has no place in the guest yet. Its path on the host
	 * is used instead. This is wrong only if its own run path contains $ORIGIN, which is rare.
	 */
	return resolve_object(resolver, object, file->host, file->guest ?: file->host, reterr);
}

static int resolve_interpreter(const struct resolver *resolver, const struct object *object)
{
	struct found found = { NULL, NULL };

	if (!object->interpreter || find_file(resolver->closure, object->interpreter))
		return 0;
	found.host = strdup(object->interpreter);
	found.guest = strdup(object->interpreter);
	if (!found.host || !found.guest) {
		free(found.host);
		free(found.guest);
		return -ENOMEM;
	}
	return add_file(resolver->closure, object->interpreter, &found);
}

static int resolve_object(const struct resolver *resolver, const struct object *loader,
			  const char *host, const char *guest, struct kt_err *reterr)
{
	KT_CLEANUP(object_deinit)
	struct object object = {
		.loader = loader,
		.host = host,
		.guest = guest,
	};
	int r = object_read(&object);

	if (r < 0)
		return kt_err_set(reterr, r, "'%s' is not an x86-64 program or library: %m", host);
	r = resolve_interpreter(resolver, &object);
	if (r < 0)
		return kt_err_oom(reterr);
	for (size_t i = 0; r == 0 && i < object.n_needed; i++)
		r = resolve_needed(resolver, &object, object.needed[i], reterr);
	return r;
}

/*
 * glibc loads the unwinder when a thread is cancelled or ends itself, and aborts the program where
 * it is missing. No object names it as needed. A host without it has no such programs.
 */
static int add_unwinder(const struct resolver *resolver, struct kt_err *reterr)
{
	struct found found = { NULL, NULL };
	const struct kt_closure_file *file;
	int r;

	if (!find_file(resolver->closure, LIBC) || find_file(resolver->closure, UNWINDER))
		return 0;
	r = find_in_system(resolver, UNWINDER, &found);
	if (r > 0)
		r = add_file(resolver->closure, UNWINDER, &found) ?: 1;
	free(found.host);
	free(found.guest);
	if (r <= 0)
		return r < 0 ? kt_err_oom(reterr) : 0;
	file = &resolver->closure->files[resolver->closure->n - 1];
	return resolve_object(resolver, NULL, file->host, file->guest ?: file->host, reterr);
}

/*
 * Places the files that have no path in the guest yet beside libc. The guest gets the host's
 * loader, and the loader searches libc's directory by default.
 */
static int place_files(struct kt_closure *closure)
{
	const struct kt_closure_file *libc = find_file(closure, LIBC);
	const char *dir = libc ? libc->host : "/lib/x86_64-linux-gnu/libc.so.6";

	for (size_t i = 0; i < closure->n; i++) {
		struct kt_closure_file *file = &closure->files[i];

		if (!file->guest)
			file->guest =
				kt_format("%.*s/%s", (int)dir_len(dir), dir, base_name(file->name));
		if (!file->guest)
			return -ENOMEM;
	}
	return 0;
}

int kt_closure_add(struct kt_closure *closure, const char *program, const char *guest_dir,
		   struct kt_err *reterr)
{
	struct resolver resolver = { .closure = closure };
	KT_FREE char *guest = kt_format("%s/%s", guest_dir, base_name(program));
	KT_FREE char *ldcache = NULL, *host = realpath(program, NULL);
	int r;

	if (!host)
		return kt_err_set(reterr, -errno, "'%s': %m", program);
	if (!guest)
		return kt_err_oom(reterr);
	/* A host without a cache file has only the default directories. */
	(void)kt_file_read(LDCACHE, LDCACHE_MAX, &ldcache, &resolver.ldcache_len);
	resolver.ldcache = ldcache;
	r = resolve_object(&resolver, NULL, host, guest, reterr) ?: add_unwinder(&resolver, reterr);
	if (r == 0 && place_files(closure) < 0)
		r = kt_err_oom(reterr);
	return r;
}
