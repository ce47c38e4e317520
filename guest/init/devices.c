/* SPDX-License-Identifier: MIT */
/*
 * In real time the disk is the machine's (virtio-blk). In virtual time it is a null_blk of the
 * guest's own kernel, which keeps what is written in the guest's RAM, and completes a request by a
 * timer interrupt of the CPU that has made it: at a moment of the guest, where QEMU would complete
 * it at a moment of the host. Either way KT_DISK_PATH leads to it.
 *
 * The cards have no addresses, and IPv6 is off on them: nobody but the test sends a frame.
 */
#include "guest/init/devices.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ktest/test.h>

#include "util/cleanup.h"
#include "util/io.h"

#define CONFIGFS     "/sys/kernel/config"
#define OWN_DISK     "nullb0"
#define OWN_DISK_DIR CONFIGFS "/nullb/" OWN_DISK
#define LATENCY_NS   "100000" /* of a request to the guest's own disk: that of a good SSD */

/* ---- modules ---- */

static int is_module(const struct dirent *ent)
{
	return strstr(ent->d_name, ".ko") != NULL;
}

/* The kernel itself decompresses a module. null_blk makes a disk by itself unless it is told. */
static int load_module(const char *name, struct kt_err *reterr)
{
	const char *parameters = strstr(name, "-null_blk.") ? "nr_devices=0" : "";
	KT_FREE char *path = kt_format(KT_DEVICES_DIR "/%s", name);
	size_t len = strlen(name);
	int flags = len > 3 && !strcmp(name + len - 3, ".ko") ? 0 : MODULE_INIT_COMPRESSED_FILE;
	KT_CLOSE int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return kt_err_set(reterr, -errno, "the module %s: %m", name);
	if (syscall(SYS_finit_module, fd, parameters, flags) < 0 && errno != EEXIST)
		return kt_err_set(reterr, -errno, "the kernel does not load the module %s: %m",
				  name);
	return 0;
}

static int load_modules(struct kt_err *reterr)
{
	struct dirent **found = NULL;
	int n = scandir(KT_DEVICES_DIR, &found, is_module, alphasort);
	int r = 0;

	for (int i = 0; i < n; i++) {
		r = r ?: load_module(found[i]->d_name, reterr);
		free(found[i]);
	}
	free(found);
	return r;
}

/* ---- the disk ---- */

static int configure(const char *attribute, const char *value, struct kt_err *reterr)
{
	KT_FREE char *path = kt_format(OWN_DISK_DIR "/%s", attribute);
	int r = path ? kt_file_write(path, value) : -ENOMEM;

	return r < 0 ? kt_err_set(reterr, r, "null_blk: %s = %s: %m", attribute, value) : 0;
}

/* irqmode 2: a timer completes each request. It begins with no pages, which read as zeros. */
static int make_own_disk(struct kt_err *reterr)
{
	KT_FREE char *mib = NULL;
	size_t len;

	if (kt_file_read(KT_DEVICES_DISK, 64, &mib, &len) < 0)
		return 0;
	if (mount("configfs", CONFIGFS, "configfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
	    errno != EBUSY)
		return kt_err_set(reterr, -errno, "cannot mount configfs: %m");
	if (mkdir(OWN_DISK_DIR, 0755) < 0)
		return kt_err_set(reterr, -errno, "cannot make a null_blk disk: %m");
	return configure("size", mib, reterr) ?: configure("memory_backed", "1", reterr) ?:
	       configure("irqmode", "2", reterr) ?:
	       configure("completion_nsec", LATENCY_NS, reterr) ?: configure("power", "1", reterr);
}

/* Workers may have any user. */
static int link_disk(struct kt_err *reterr)
{
	const char *name = access("/sys/block/" OWN_DISK, F_OK) == 0 ? OWN_DISK
			   : access("/sys/block/vda", F_OK) == 0     ? "vda"
								     : NULL;

	if (name && (symlink(name, KT_DISK_PATH) < 0 || chmod(KT_DISK_PATH, 0666) < 0))
		return kt_err_set(reterr, -errno, "cannot make " KT_DISK_PATH ": %m");
	return 0;
}

/* ---- the cards ---- */

static int raise_card(const char *name, struct kt_err *reterr)
{
	KT_FREE char *ipv6 = kt_format("/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	KT_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	(void)strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || !ipv6 || !if_nametoindex(name))
		return 0;
	(void)kt_file_write(ipv6, "1"); /* a kernel without IPv6 needs no switch */
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0) {
		request.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &request) == 0)
			return 0;
	}
	return kt_err_set(reterr, -errno, "cannot bring %s up: %m", name);
}

int kt_devices_setup(struct kt_err *reterr)
{
	return load_modules(reterr) ?: make_own_disk(reterr) ?: link_disk(reterr) ?:
	       raise_card("eth0", reterr) ?: raise_card("eth1", reterr);
}
