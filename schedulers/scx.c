/* SPDX-License-Identifier: MIT */
/* The state of sched_ext: read from sysfs, its changes announced by uevents over netlink. */
#include "schedulers/scx.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#define SCX_DIR        "/sys/kernel/sched_ext"
#define UEVENTS_KERNEL 1u /* the multicast group of events that the kernel sends; 2 is udev's */

enum kt_scx_state kt_scx_state(void)
{
	KT_FREE char *text = NULL;

	if (kt_file_read(SCX_DIR "/state", 64, &text, NULL) < 0)
		return KT_SCX_NONE;
	text[strcspn(text, "\n")] = '\0';
	if (!strcmp(text, "disabled"))
		return KT_SCX_DISABLED;
	return strcmp(text, "enabled") ? KT_SCX_CHANGING : KT_SCX_ENABLED;
}

void kt_scx_ops(char *name, size_t room)
{
	KT_FREE char *text = NULL;

	*name = '\0';
	if (kt_file_read(SCX_DIR "/root/ops", KT_SCX_OPS_NAME_LEN, &text, NULL) < 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	(void)snprintf(name, room, "%s", text);
}

int kt_scx_watch(struct kt_err *reterr)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = UEVENTS_KERNEL };
	int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)kt_err_set(reterr, -errno, "cannot listen to the kernel's uevents: %m");
	(void)kt_close(fd);
	return -EIO;
}

void kt_scx_watch_drain(int fd)
{
	char event[8192];

	/* ENOBUFS means lost events. That is harmless, as the content of events is not used. */
	while (recv(fd, event, sizeof(event), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
}
