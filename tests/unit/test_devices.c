/* SPDX-License-Identifier: MIT */
/* Drivers for the devices of a test: which are missing, and what the initramfs gets. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "framework/setup/devices.h"
#include "guest/init/devices.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(devices);

/* A kernel in a directory of its own. */
struct fixture {
	char dir[32];
	char config[64];
	struct kt_kernel kernel;
};

static void begin(struct fixture *f, const char *config)
{
	*f = (struct fixture){ .dir = "/tmp/devices.XXXXXX" };
	cr_assert(mkdtemp(f->dir) != NULL);
	(void)snprintf(f->config, sizeof(f->config), "%s/config", f->dir);
	cr_assert(zero(int, kt_file_publish(f->config, config, strlen(config), NULL)));
	f->kernel = (struct kt_kernel){ .dir = f->dir, .config = f->config };
}

static void add_file(const struct fixture *f, const char *path)
{
	KT_FREE char *file = kt_format("%s/modules/kernel/%s", f->dir, path);
	KT_FREE char *dir = strndup(file, (size_t)(strrchr(file, '/') - file));

	cr_assert(zero(int, kt_mkdir_all(dir, NULL)));
	cr_assert(zero(int, kt_file_publish(file, path, strlen(path), NULL)));
}

static void end(struct fixture *f)
{
	(void)kt_remove_all(f->dir);
}

static const struct kt_test with_disk = { .name = "d", .disk_mib = 8 };
static const struct kt_test with_cards = { .name = "n", .net = true };

Test(devices, a_driver_that_is_nowhere_is_named)
{
	KT_FREE char *why = NULL, *own = NULL, *net = NULL;
	struct fixture f;

	begin(&f, "#\nCONFIG_VIRTIO_BLK=m\n# CONFIG_VIRTIO_NET is not set\n");
	why = kt_devices_obstacle(&f.kernel, &with_disk, KT_TIME_REAL);
	cr_assert(why && strstr(why, "CONFIG_VIRTIO_BLK is not y") != NULL, "%s", why ?: "-");
	own = kt_devices_obstacle(&f.kernel, &with_disk, KT_TIME_VIRTUAL);
	cr_assert(own && strstr(own, "CONFIG_BLK_DEV_NULL_BLK") != NULL, "%s", own ?: "-");
	net = kt_devices_obstacle(&f.kernel, &with_cards, KT_TIME_REAL);
	cr_assert(net && strstr(net, "CONFIG_VIRTIO_NET") != NULL, "%s", net ?: "-");
	end(&f);
}

Test(devices, a_driver_is_built_in_or_a_module_or_cannot_be_told)
{
	struct fixture f;

	begin(&f, "#\nCONFIG_VIRTIO_NET=y\nCONFIG_VIRTIO_BLK=m\n");
	cr_assert(zero(ptr, kt_devices_obstacle(&f.kernel, &with_cards, KT_TIME_REAL)));
	add_file(&f, "drivers/block/virtio_blk.ko.xz");
	cr_assert(zero(ptr, kt_devices_obstacle(&f.kernel, &with_disk, KT_TIME_REAL)));
	f.kernel.config = NULL;
	cr_assert(zero(ptr, kt_devices_obstacle(&f.kernel, &with_disk, KT_TIME_VIRTUAL)));
	end(&f);
}

/* Whether the archives have a file of this name with these contents behind it. */
static bool has_file(int fd, const char *name, const char *contents)
{
	static char bytes[65536];
	ssize_t len = pread(fd, bytes, sizeof(bytes), 0);
	const char *at = memmem(bytes, (size_t)len, name, strlen(name) + 1);

	return at &&
	       memmem(at, strlen(name) + 1 + 4 + strlen(contents), contents, strlen(contents));
}

Test(devices, the_initramfs_gets_the_modules_in_their_order)
{
	struct fixture f;
	KT_CLOSE int base = memfd_create("base", 0), fd = -1;
	struct kt_machine_config machine = {
		.initramfs_fd = base, .disk_mib = 8, .net = true, .time = KT_TIME_VIRTUAL
	};

	begin(&f, "#\n");
	add_file(&f, "fs/configfs/configfs.ko");
	add_file(&f, "drivers/block/null_blk/null_blk.ko.xz");
	add_file(&f, "drivers/block/virtio_blk.ko.xz");
	add_file(&f, "drivers/net/virtio_net.ko.zst");
	cr_assert(eq(int, (int)write(base, "first", 5), 5));
	cr_assert(zero(int, kt_devices_add(&f.kernel, &machine, &fd, NULL)));
	cr_assert(eq(int, machine.initramfs_fd, fd));
	cr_assert(has_file(fd, "devices/disk_mib", "8"));
	cr_assert(has_file(fd, "devices/00-configfs.ko", "fs/configfs/configfs.ko"));
	cr_assert(
		has_file(fd, "devices/01-null_blk.ko.xz", "drivers/block/null_blk/null_blk.ko.xz"));
	cr_assert(has_file(fd, "devices/04-virtio_net.ko.zst", "drivers/net/virtio_net.ko.zst"));
	cr_assert(not(has_file(fd, "virtio_blk.ko.xz", "drivers/block")));
	end(&f);
}

Test(devices, a_machine_without_devices_keeps_its_initramfs)
{
	struct kt_machine_config machine = { .initramfs_fd = 77 };
	const struct kt_kernel kernel = KT_KERNEL_NULL;
	int fd = -1;

	cr_assert(zero(int, kt_devices_add(&kernel, &machine, &fd, NULL)));
	cr_assert(eq(int, machine.initramfs_fd, 77));
	cr_assert(eq(int, fd, -1));
}
