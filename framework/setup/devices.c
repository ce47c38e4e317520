/* SPDX-License-Identifier: MIT */
/*
 * Modules are looked for where a downloaded kernel has them in the cache, and in the build tree of
 * the user's own. An initramfs can be several archives, one behind the other: the modules are in a
 * second one, so that the first, and with it the state of a machine without devices, does not
 * depend on them. Both together are in memory, and nothing is left behind.
 */
#include "framework/setup/devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/image/cpio.h"
#include "guest/init/devices.h"
#include "util/cleanup.h"
#include "util/io.h"

#define MODULE_MAX ((size_t)16 << 20) /* bytes of a file */
#define CONFIG_MAX ((size_t)4 << 20)
#define ALIGNMENT  512u /* of the second archive; the kernel wants 4 */

/* The modules of a driver, each behind those that it needs; paths in a build tree. */
struct driver {
	const char *what;   /* for people */
	const char *symbol; /* of the kernel's configuration */
	const char *const *modules;
};

static const struct driver card = { "network cards", "CONFIG_VIRTIO_NET",
				    (const char *const[]){ "net/core/failover",
							   "drivers/net/net_failover",
							   "drivers/net/virtio_net", NULL } };
static const struct driver disk = { "a disk", "CONFIG_VIRTIO_BLK",
				    (const char *const[]){ "drivers/block/virtio_blk", NULL } };
static const struct driver own_disk = {
	"a disk in virtual time", "CONFIG_BLK_DEV_NULL_BLK",
	(const char *const[]){ "fs/configfs/configfs", "drivers/block/null_blk/null_blk", NULL }
};

/* The drivers that a machine needs, at most two; the rest is NULL. */
struct drivers {
	const struct driver *at[2];
};

static struct drivers drivers_of(unsigned int disk_mib, bool net, enum kt_time time)
{
	struct drivers drivers = { { NULL, NULL } };
	size_t n = 0;

	if (disk_mib)
		drivers.at[n++] = time == KT_TIME_REAL ? &disk : &own_disk;
	if (net)
		drivers.at[n++] = &card;
	return drivers;
}

/* ---- where modules are ---- */

/* The path of the module's file, to be freed; NULL: there is none. */
static char *find_in(const char *dir, const char *module)
{
	static const char *const suffixes[] = { ".ko", ".ko.xz", ".ko.zst", ".ko.gz" };

	for (size_t i = 0; i < KT_ARRAY_LEN(suffixes); i++) {
		char *path = kt_format("%s/%s%s", dir, module, suffixes[i]);

		if (path && kt_file_readable(path))
			return path;
		free(path);
	}
	return NULL;
}

static char *find_module(const struct kt_kernel *kernel, const char *module)
{
	KT_FREE char *dir = kernel->dir ? kt_format("%s/modules/kernel", kernel->dir) : NULL;
	char *found = dir ? find_in(dir, module) : NULL;

	return found || !kernel->spec ? found : find_in(kernel->spec, module);
}

static bool is_built_in(const struct kt_kernel *kernel, const struct driver *driver)
{
	KT_FREE char *line = kt_format("\n%s=y\n", driver->symbol), *config = NULL;
	size_t len;

	return !kernel->config || kt_file_read(kernel->config, CONFIG_MAX, &config, &len) < 0 ||
	       (line && strstr(config, line));
}

static char *lack_of(const struct kt_kernel *kernel, const struct driver *driver)
{
	const char *const *last = driver->modules;
	KT_FREE char *path = NULL;

	while (last[1])
		last++;
	path = find_module(kernel, *last);
	if (path || is_built_in(kernel, driver))
		return NULL;
	return kt_format("the test has %s, and kernel %s no driver for it: %s is not y, and there "
			 "is no %s.ko with the kernel",
			 driver->what, kernel->facts.release, driver->symbol, *last);
}

char *kt_devices_obstacle(const struct kt_kernel *kernel, const struct kt_test *test,
			  enum kt_time time)
{
	struct drivers drivers = drivers_of(test->disk_mib, test->net, time);
	char *why = NULL;

	for (size_t i = 0; !why && i < KT_ARRAY_LEN(drivers.at) && drivers.at[i]; i++)
		why = lack_of(kernel, drivers.at[i]);
	return why;
}

/* ---- the second archive ---- */

/* The number in front of the name is the order in which the guest loads them. */
static int add_module(struct kt_cpio *cpio, const struct kt_kernel *kernel, const char *module,
		      unsigned int number)
{
	KT_FREE char *path = find_module(kernel, module), *guest = NULL, *data = NULL;
	size_t len;
	int r;

	if (!path)
		return 0;
	guest = kt_format(KT_DEVICES_DIR "/%02u-%s", number, strrchr(path, '/') + 1);
	r = guest ? kt_file_read(path, MODULE_MAX, &data, &len) : -ENOMEM;
	return r < 0 ? r : kt_cpio_file(cpio, guest, 0644, data, len);
}

static int add_modules(struct kt_cpio *cpio, const struct kt_kernel *kernel,
		       const struct drivers *drivers)
{
	unsigned int number = 0;
	int r = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(drivers->at) && drivers->at[i]; i++) {
		for (const char *const *at = drivers->at[i]->modules; r == 0 && *at; at++)
			r = add_module(cpio, kernel, *at, number++);
	}
	return r;
}

static int write_archive(FILE *out, const struct kt_kernel *kernel,
			 const struct kt_machine_config *machine, const struct drivers *drivers)
{
	struct kt_cpio cpio = KT_CPIO_INIT(out);
	KT_FREE char *mib = kt_format("%u", machine->disk_mib);
	int r = mib ? kt_cpio_dir(&cpio, KT_DEVICES_DIR, 0755) : -ENOMEM;

	if (r == 0 && machine->disk_mib && !kt_machine_has_disk(machine))
		r = kt_cpio_file(&cpio, KT_DEVICES_DISK, 0644, mib, strlen(mib));
	return r ?: add_modules(&cpio, kernel, drivers) ?: kt_cpio_end(&cpio);
}

/* Copies the initramfs of the run, and fills it up to where the next archive may begin. */
static int copy_first(int from, int to)
{
	struct stat st;
	off_t at = 0;

	if (fstat(from, &st) < 0)
		return -errno;
	while (at < st.st_size) {
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			return errno ? -errno : -EIO;
	}
	at = (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	return ftruncate(to, at) < 0 || lseek(to, at, SEEK_SET) < 0 ? -errno : 0;
}

int kt_devices_add(const struct kt_kernel *kernel, struct kt_machine_config *machine, int *ret_fd,
		   struct kt_err *reterr)
{
	struct drivers drivers = drivers_of(machine->disk_mib, machine->net, machine->time);
	KT_CLOSE int fd = -1;
	FILE *out;
	int r;

	if (!drivers.at[0])
		return 0;
	fd = memfd_create("ktest-initramfs", MFD_CLOEXEC);
	out = fd < 0 ? NULL : fdopen(dup(fd), "w");
	if (!out)
		return kt_err_set(reterr, -errno, "cannot make an initramfs: %m");
	r = copy_first(machine->initramfs_fd, fd) ?: write_archive(out, kernel, machine, &drivers);
	if (fclose(out) && r == 0)
		r = -errno;
	if (r < 0)
		return kt_err_set(reterr, r, "cannot add the modules of kernel %s: %m",
				  kernel->facts.release);
	machine->initramfs_fd = *ret_fd = kt_steal_fd(fd);
	return 0;
}
