/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "framework/image/image.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "framework/image/closure.h"
#include "framework/image/cpio.h"
#include "util/buffer.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * An image is a list of items. An item is a file that is read completely when the image is opened,
 * cut to the part that a guest needs, and hashed; its place in the guest is unique in the list.
 * Everything else is made from these copies: the initramfs and its name in the cache, manifests,
 * and the pieces that are sent to guests.
 *
 * The image does not change during a run. A file that a build replaces meanwhile cannot be sent
 * with the hash of another version, and a file that is truncated cannot end the runner with SIGBUS,
 * as it could from a mapping.
 *
 * Initramfs files in the cache are named after their contents, so writing one twice is harmless and
 * needs no lock.
 */

#define IMAGES_KEPT 8u /* initramfs files in the cache; the least recently used goes first */

/* A file of the image; a program is cut to what is loaded. */
struct item {
	char *guest;
	unsigned int mode;
	void *data; /* a copy of the file, owned; NULL when it is empty */
	size_t len;
	size_t packed; /* bytes of it that go into the guest */
	XXH128_hash_t hash;
	bool is_base;
	struct kt_packages packages; /* that it belongs to; unused for a base file */
};

/* Whose an item is: the base's, or that of packages. */
struct owner {
	bool is_base;
	struct kt_packages packages;
};

struct kt_image {
	char *program; /* path on the host, without symbolic links */
	struct item *items;
	size_t n;
	char **faults; /* of each package; NULL where there is none; owned */
	size_t n_packages;
};

static void item_deinit(struct item *item)
{
	free(item->data);
	free(item->guest);
}

struct kt_image *kt_image_free(struct kt_image *image)
{
	if (!image)
		return NULL;
	for (size_t i = 0; i < image->n; i++)
		item_deinit(&image->items[i]);
	for (size_t i = 0; i < image->n_packages; i++)
		free(image->faults[i]);
	free(image->faults);
	free(image->items);
	free(image->program);
	free(image);
	return NULL;
}

void kt_image_freep(struct kt_image **image)
{
	*image = kt_image_free(*image);
}

const char *kt_image_package_fault(const struct kt_image *image, size_t index)
{
	return index < image->n_packages ? image->faults[index] : NULL;
}

const char *kt_image_program(const struct kt_image *image)
{
	return image->program;
}

/*
 * Cuts a program or library to the part that is loaded. Symbols and debug information are sections
 * that are not loaded; a guest does not need them, nor the section headers, which are removed. In
 * the output of every linker the loaded part comes first. Object files have no segments and stay
 * whole.
 */
static void cut_to_loaded(struct item *item)
{
	Elf64_Ehdr *elf = item->data;
	uint64_t end = 0;

	if (item->len < sizeof(*elf) || memcmp(elf->e_ident, ELFMAG, SELFMAG) ||
	    elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_phentsize != sizeof(Elf64_Phdr) ||
	    elf->e_phoff > item->len ||
	    elf->e_phnum > (item->len - elf->e_phoff) / sizeof(Elf64_Phdr))
		return;
	for (unsigned int i = 0; i < elf->e_phnum; i++) {
		Elf64_Phdr header;

		memcpy(&header, (char *)item->data + elf->e_phoff + i * sizeof(header),
		       sizeof(header));
		if (header.p_offset > item->len || header.p_filesz > item->len - header.p_offset)
			return;
		end = KT_MAX(end, header.p_offset + header.p_filesz);
	}
	if (!end || end < sizeof(*elf) || elf->e_type == ET_REL)
		return;
	elf->e_shoff = 0;
	elf->e_shnum = elf->e_shstrndx = 0;
	item->packed = end;
}

/* -EAGAIN when the file becomes shorter meanwhile; what is appended meanwhile is left out. */
static int copy_file(struct item *item, const char *host)
{
	KT_CLOSE int fd = open(host, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	item->mode = st.st_mode & 0755;
	if (!st.st_size)
		return 0;
	item->data = malloc((size_t)st.st_size);
	if (!item->data)
		return -ENOMEM;
	r = kt_read_full(fd, item->data, (size_t)st.st_size);
	if (r < 0)
		return r == -ENODATA ? -EAGAIN : r;
	item->len = item->packed = (size_t)st.st_size;
	return 0;
}

/* The caller frees @item also after a failure. */
static int read_item(const char *host, const char *guest, struct item *item, struct kt_err *reterr)
{
	int r;

	item->guest = strdup(guest);
	if (!item->guest)
		return kt_err_oom(reterr);
	r = copy_file(item, host);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot pack '%s': %m", host);
	cut_to_loaded(item);
	item->hash = XXH3_128bits(item->data, item->packed);
	return 0;
}

/*
 * Returns 1 when the image has the same file already, which then belongs to the packages of @item
 * too, 0 when it does not, and -EEXIST when it has another file in that place.
 */
static int merge_item(struct kt_image *image, const struct item *item, const char *host,
		      struct kt_err *reterr)
{
	for (size_t i = 0; i < image->n; i++) {
		struct item *have = &image->items[i];

		if (strcmp(have->guest, item->guest))
			continue;
		if (have->mode != item->mode || !XXH128_isEqual(have->hash, item->hash))
			return kt_err_set(reterr, -EEXIST,
					  "'%s' and another file would both be '%s' in the guest",
					  host, item->guest);
		have->is_base |= item->is_base;
		kt_packages_add_all(&have->packages, &item->packages);
		return 1;
	}
	return 0;
}

static int add_item(struct kt_image *image, const char *host, const char *guest,
		    const struct owner *owner, struct kt_err *reterr)
{
	KT_CLEANUP(item_deinit)
	struct item item = { .is_base = owner->is_base, .packages = owner->packages };
	struct item *grown;
	int r;

	r = read_item(host, guest, &item, reterr) ?: merge_item(image, &item, host, reterr);
	if (r)
		return r < 0 ? r : 0;
	grown = reallocarray(image->items, image->n + 1, sizeof(*grown));
	if (!grown)
		return kt_err_oom(reterr);
	image->items = grown;
	grown[image->n++] = item;
	/* The image owns what the local variable held. */
	item = (struct item){ .guest = NULL };
	return 0;
}

/* Object files, like those of BPF programs, need no libraries. */
static bool may_need_libraries(const char *path)
{
	KT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr head;

	return fd >= 0 && read(fd, &head, sizeof(head)) == (ssize_t)sizeof(head) &&
	       !memcmp(head.e_ident, ELFMAG, SELFMAG) && head.e_type != ET_REL;
}

/* Adds the file @host as @guest. What it needs, if it is a program or library, goes to @closure. */
static int add_program(struct kt_image *image, struct kt_closure *closure, const char *host,
		       const char *guest, const struct owner *owner, struct kt_err *reterr)
{
	const char *slash = strrchr(guest, '/');
	KT_FREE char *dir = strndup(guest, (size_t)(slash - guest));
	int r;

	if (!dir)
		return kt_err_oom(reterr);
	r = add_item(image, host, guest, owner, reterr);
	if (r == 0 && may_need_libraries(host))
		r = kt_closure_add(closure, host, dir, reterr);
	return r;
}

/* Adds the libraries themselves. */
static int add_closure(struct kt_image *image, const struct kt_closure *closure,
		       const struct owner *owner, struct kt_err *reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < closure->n; i++)
		r = add_item(image, closure->files[i].host, closure->files[i].guest, owner, reterr);
	return r;
}

/*
 * The libraries of each package are looked for separately: the run paths of two packages can lead
 * to different libraries of the same name.
 */
static int add_package(struct kt_image *image, const struct kt_image_package *package, size_t index,
		       struct kt_err *reterr)
{
	KT_CLEANUP(kt_closure_deinit) struct kt_closure closure = KT_CLOSURE_NULL;
	struct owner owner = { .is_base = false };
	int r = 0;

	kt_packages_add(&owner.packages, index);

	for (size_t i = 0; r == 0 && i < package->n_extras; i++)
		r = add_program(image, &closure, package->extras[i].host, package->extras[i].guest,
				&owner, reterr);
	r = r ?: add_closure(image, &closure, &owner, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "%s", package->name) : 0;
}

/* The program and the further base files share one closure. */
static int collect(struct kt_image *image, const struct kt_image_options *options,
		   struct kt_err *reterr)
{
	KT_CLEANUP(kt_closure_deinit) struct kt_closure closure = KT_CLOSURE_NULL;
	const struct owner base = { .is_base = true };
	int r;

	if (options->n_packages > KT_IMAGE_PACKAGES_MAX)
		return kt_err_set(reterr, -E2BIG,
				  "the tests use %zu payloads and schedulers; select fewer tests: "
				  "at most %u fit into a run",
				  options->n_packages, KT_IMAGE_PACKAGES_MAX);
	image->faults = calloc(options->n_packages + 1, sizeof(*image->faults));
	if (!image->faults)
		return kt_err_oom(reterr);
	image->n_packages = options->n_packages;
	r = add_program(image, &closure, options->program, "/init", &base, reterr);
	for (size_t i = 0; r == 0 && i < options->n_extras; i++)
		r = add_program(image, &closure, options->extras[i].host, options->extras[i].guest,
				&base, reterr);
	r = r ?: add_closure(image, &closure, &base, reterr);
	for (size_t i = 0; r == 0 && i < options->n_packages; i++) {
		struct kt_err err = KT_ERR_NULL;

		/* Only the tests that need the package suffer. */
		r = add_package(image, &options->packages[i], i, &err);
		if (r == -ENOMEM)
			return kt_err_oom(reterr);
		if (r < 0) {
			image->faults[i] = strdup(err.text);
			r = image->faults[i] ? 0 : kt_err_oom(reterr);
		}
	}
	return r;
}

/* Whether a guest with @packages needs @item. */
static bool is_wanted(const struct item *item, const struct kt_packages *packages)
{
	return item->is_base || kt_packages_overlap(&item->packages, packages);
}

/* The name is a hash of everything that goes into the archive: paths, modes, contents. */
static char *initramfs_name(const struct kt_image *image)
{
	XXH3_state_t *state = XXH3_createState();
	XXH128_hash_t hash;

	if (!state)
		return NULL;
	(void)XXH3_128bits_reset(state);
	for (size_t i = 0; i < image->n; i++) {
		const struct item *item = &image->items[i];

		if (!item->is_base)
			continue;
		(void)XXH3_128bits_update(state, item->guest, strlen(item->guest) + 1);
		(void)XXH3_128bits_update(state, &item->mode, sizeof(item->mode));
		(void)XXH3_128bits_update(state, &item->hash, sizeof(item->hash));
	}
	hash = XXH3_128bits_digest(state);
	(void)XXH3_freeState(state);
	return kt_format("%016" PRIx64 "%016" PRIx64 ".cpio", (uint64_t)hash.high64,
			 (uint64_t)hash.low64);
}

/* The directories that are in the archive so far: each is written once. */
struct dirs {
	char **at;
	size_t n;
};

static void dirs_deinit(struct dirs *dirs)
{
	for (size_t i = 0; i < dirs->n; i++)
		free(dirs->at[i]);
	free(dirs->at);
}

static int write_dir(struct kt_cpio *cpio, struct dirs *dirs, const char *path)
{
	char **grown;

	for (size_t i = 0; i < dirs->n; i++) {
		if (!strcmp(dirs->at[i], path))
			return 0;
	}
	grown = reallocarray(dirs->at, dirs->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	dirs->at = grown;
	grown[dirs->n] = strdup(path);
	if (!grown[dirs->n])
		return -ENOMEM;
	dirs->n++;
	return kt_cpio_dir(cpio, path, 0755);
}

/* Writes the directories on the way to @path, from the root down. */
static int write_parents(struct kt_cpio *cpio, struct dirs *dirs, const char *path)
{
	KT_FREE char *copy = strdup(path);
	int r = copy ? 0 : -ENOMEM;

	for (char *at = copy; r == 0 && (at = strchr(at + 1, '/'));) {
		*at = '\0';
		r = write_dir(cpio, dirs, copy);
		*at = '/';
	}
	return r;
}

/*
 * The directories and files that every guest needs before /init has mounted anything. The kernel
 * opens /dev/console for PID 1.
 */
static int write_skeleton(struct kt_cpio *cpio, struct dirs *dirs)
{
	static const char *const skeleton[] = { "/dev", "/proc", "/sys", "/run",
						"/tmp", "/bin",  "/etc", "/root" };
	static const char passwd[] = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:\n";
	static const char group[] = "root:x:0:\nnogroup:x:65534:\n";
	int r = 0;

	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(skeleton); i++)
		r = write_dir(cpio, dirs, skeleton[i]);
	return r ?: kt_cpio_char_device(cpio, "/dev/console", 0600, 5, 1) ?:
	       kt_cpio_file(cpio, "/etc/passwd", 0644, passwd, sizeof(passwd) - 1) ?:
	       kt_cpio_file(cpio, "/etc/group", 0644, group, sizeof(group) - 1);
}

static int write_archive(const struct kt_image *image, FILE *out)
{
	struct kt_cpio cpio = KT_CPIO_INIT(out);
	KT_CLEANUP(dirs_deinit) struct dirs dirs = { .n = 0 };
	int r = write_skeleton(&cpio, &dirs);

	for (size_t i = 0; r == 0 && i < image->n; i++) {
		const struct item *item = &image->items[i];

		if (!item->is_base)
			continue;
		r = write_parents(&cpio, &dirs, item->guest)
			    ?: kt_cpio_file(&cpio, item->guest, item->mode, item->data,
					    item->packed);
	}
	r = r ?: kt_cpio_end(&cpio);
	if (r == 0 && fflush(out))
		r = -errno;
	return r;
}

/* A rename completes the archive, so another run never opens half of one. */
static int publish(const struct kt_image *image, const char *path, struct kt_err *reterr)
{
	KT_FREE char *tmp = kt_format("%s.XXXXXX", path);
	FILE *out;
	int fd, r;

	if (!tmp)
		return kt_err_oom(reterr);
	fd = mkostemp(tmp, O_CLOEXEC);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out) {
		r = -errno;
		(void)kt_close(fd);
		return kt_err_set(reterr, r, "cannot create '%s': %m", tmp);
	}
	r = write_archive(image, out);
	if (fclose(out) && r == 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(tmp);
		return kt_err_set(reterr, r, "cannot write the initramfs '%s': %m", path);
	}
	return 0;
}

/*
 * Returns the path of the least recently used initramfs, to be freed, or NULL when the cache holds
 * at most IMAGES_KEPT. Its mtime is the time of the last use.
 */
static char *oldest_image(const char *dir)
{
	struct timespec oldest = { 0 };
	char *found = NULL;
	size_t n = 0;
	DIR *images = opendir(dir);

	for (struct dirent *ent; images && (ent = readdir(images));) {
		struct stat st;

		if (ent->d_name[0] == '.' || fstatat(dirfd(images), ent->d_name, &st, 0) < 0)
			continue;
		n++;
		if (found &&
		    (st.st_mtim.tv_sec > oldest.tv_sec ||
		     (st.st_mtim.tv_sec == oldest.tv_sec && st.st_mtim.tv_nsec >= oldest.tv_nsec)))
			continue;
		free(found);
		found = kt_format("%s/%s", dir, ent->d_name);
		oldest = st.st_mtim;
	}
	if (images)
		(void)closedir(images);
	if (n > IMAGES_KEPT)
		return found;
	free(found);
	return NULL;
}

/* One file is enough: each run adds one at most. */
static void prune(const char *dir)
{
	KT_FREE char *oldest = oldest_image(dir);

	if (oldest) /* a run that still uses the file has it open */
		(void)unlink(oldest);
}

/*
 * Opens the initramfs at @path and writes it before if it is not there. Setting the mtime marks it
 * as used.
 */
static int open_initramfs(const struct kt_image *image, const char *path, int *ret_fd,
			  struct kt_err *reterr)
{
	int r;

	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*ret_fd >= 0) {
		(void)futimens(*ret_fd, NULL);
		return 0;
	}
	r = publish(image, path, reterr);
	if (r < 0)
		return r;
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? kt_err_set(reterr, -errno, "'%s': %m", path) : 0;
}

static int open_in_cache(const struct kt_image *image, int *ret_fd)
{
	KT_FREE char *dir = NULL, *name = NULL, *path = NULL;
	int r = kt_cache_path("images", &dir, NULL);

	if (r < 0)
		return r;
	name = initramfs_name(image);
	path = name ? kt_format("%s/%s", dir, name) : NULL;
	if (!path)
		return -ENOMEM;
	r = open_initramfs(image, path, ret_fd, NULL);
	prune(dir);
	return r;
}

static int open_in_memory(const struct kt_image *image, int *ret_fd)
{
	KT_CLOSE int fd = memfd_create("ktest-initramfs", MFD_CLOEXEC);
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3), r;
	FILE *out = copy < 0 ? NULL : fdopen(copy, "w");

	if (!out) {
		r = -errno;
		(void)kt_close(copy);
		return r;
	}
	r = write_archive(image, out);
	if (fclose(out) && r == 0)
		r = -errno;
	if (r == 0)
		*ret_fd = kt_steal_fd(fd);
	return r;
}

/* A cache that is full or cannot be written costs time, not the run. */
int kt_image_initramfs(const struct kt_image *image, int *ret_fd, struct kt_err *reterr)
{
	int r = open_in_cache(image, ret_fd);

	if (r < 0)
		r = open_in_memory(image, ret_fd);
	return r < 0 ? kt_err_set(reterr, r, "cannot make the initramfs: %m") : 0;
}

int kt_image_open(const struct kt_image_options *options, struct kt_image **ret_image,
		  struct kt_err *reterr)
{
	KT_CLEANUP(kt_image_freep) struct kt_image *image = calloc(1, sizeof(*image));
	int r;

	if (!image)
		return kt_err_oom(reterr);
	image->program = realpath(options->program, NULL);
	if (!image->program)
		return kt_err_set(reterr, -errno, "'%s': %m", options->program);
	r = collect(image, options, reterr);
	if (r == 0)
		*ret_image = kt_steal(image);
	return r;
}

/* ---- changes against a guest's files --------------------------------------------------------- */

/* The value of a file in a manifest: "MODE:HASH". */
static json_t *item_hash(const struct item *item)
{
	return json_sprintf("%o:%016" PRIx64 "%016" PRIx64, item->mode, (uint64_t)item->hash.high64,
			    (uint64_t)item->hash.low64);
}

json_t *kt_image_manifest(const struct kt_image *image, struct kt_packages packages,
			  const json_t *before)
{
	json_t *manifest = before ? json_copy((json_t *)before) : json_object();

	for (size_t i = 0; manifest && i < image->n; i++) {
		if (is_wanted(&image->items[i], &packages))
			(void)json_object_set_new(manifest, image->items[i].guest,
						  item_hash(&image->items[i]));
	}
	return manifest;
}

/* Out of memory counts as a difference: the file is then sent once more than necessary. */
static bool item_differs(const struct item *item, const json_t *manifest)
{
	json_t *hash = item_hash(item);
	bool same = hash && json_equal(hash, json_object_get(manifest, item->guest));

	json_decref(hash);
	return !same;
}

bool kt_image_differs(const struct kt_image *image, struct kt_packages packages,
		      const json_t *manifest)
{
	for (size_t i = 0; i < image->n; i++) {
		if (is_wanted(&image->items[i], &packages) &&
		    item_differs(&image->items[i], manifest))
			return true;
	}
	return false;
}

uint64_t kt_image_bytes(const struct kt_image *image, struct kt_packages packages,
			const json_t *manifest)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < image->n; i++) {
		if (is_wanted(&image->items[i], &packages) &&
		    item_differs(&image->items[i], manifest))
			bytes += image->items[i].packed;
	}
	return bytes;
}

/* The payload of a FILE frame: the struct, the path, and @len bytes from @offset on. */
static int send_piece(const struct item *item, size_t offset, size_t len, struct kt_link *link)
{
	size_t path_len = strlen(item->guest);
	struct kt_msg_file file = {
		.path_len = (uint32_t)path_len,
		.mode = item->mode,
		.offset = offset,
		.total = item->packed,
	};
	size_t total = sizeof(file) + path_len + len;
	KT_FREE uint8_t *payload = malloc(total);

	if (!payload)
		return -ENOMEM;
	memcpy(payload, &file, sizeof(file));
	memcpy(payload + sizeof(file), item->guest, path_len);
	if (len)
		memcpy(payload + sizeof(file) + path_len, (const char *)item->data + offset, len);
	return kt_link_send(link, KT_MSG_FILE, payload, total);
}

/* Sends a file in pieces; an empty file is one piece of no bytes. */
static int send_item(const struct item *item, struct kt_link *link)
{
	size_t offset = 0;
	int r;

	do {
		size_t len = KT_MIN(item->packed - offset, (size_t)KT_FILE_PIECE_MAX);

		r = send_piece(item, offset, len, link);
		offset += len;
	} while (r == 0 && offset < item->packed);
	return r;
}

int kt_image_send_changes(const struct kt_image *image, struct kt_packages packages,
			  const json_t *manifest, struct kt_link *link, struct kt_err *reterr)
{
	for (size_t i = 0; i < image->n; i++) {
		const struct item *item = &image->items[i];
		int r = 0;

		if (!is_wanted(item, &packages))
			continue;
		if (strlen(item->guest) > KT_FILE_PATH_MAX)
			r = -ENAMETOOLONG;
		else if (item_differs(item, manifest))
			r = send_item(item, link);
		if (r < 0)
			return kt_err_set(reterr, r, "sending '%s' to the guest: %m", item->guest);
	}
	return 0;
}

static bool is_wanted_path(const struct kt_image *image, const struct kt_packages *packages,
			   const char *path)
{
	for (size_t i = 0; i < image->n; i++) {
		if (!strcmp(image->items[i].guest, path))
			return is_wanted(&image->items[i], packages);
	}
	return false;
}

int kt_image_send_removals(const struct kt_image *image, struct kt_packages packages,
			   const json_t *manifest, struct kt_link *link, struct kt_err *reterr)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer paths = KT_BUFFER_NULL;
	const char *path;
	json_t *hash;
	int r = 0;

	json_object_foreach((json_t *)manifest, path, hash)
	{
		if (r == 0 && !is_wanted_path(image, &packages, path))
			r = kt_buffer_append(&paths, path, strlen(path) + 1);
	}
	if (r == 0 && paths.len > KT_FRAME_PAYLOAD_MAX)
		r = -EMSGSIZE;
	if (r == 0 && paths.len)
		r = kt_link_send(link, KT_MSG_REMOVE, paths.data, paths.len);
	return r < 0 ? kt_err_set(reterr, r, "removing files of other tests: %m") : 0;
}
