/* SPDX-License-Identifier: MIT */
/*
 * Replaces files of a running guest, PID 1 among them, so that a template stays usable when a test
 * has been rebuilt.
 *
 * FILE frames bring a file in pieces, EXEC replaces the old /init by the new one. The port stays
 * open across the exec: its descriptor and the numbers of its frames pass through an environment
 * variable. Everything else of the old PID 1, such as threads and redirected output, ends with it.
 */
#include "guest/init/update.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

static int make_parent(const char *path, struct kt_err *reterr)
{
	const char *slash = strrchr(path, '/');
	KT_FREE char *dir = strndup(path, (size_t)(slash - path));

	if (!dir)
		return kt_err_oom(reterr);
	return *dir ? kt_mkdir_all(dir, reterr) : 0;
}

/* The first piece truncates what an interrupted transfer may have left. */
static int write_piece(const char *path, const struct kt_msg_file *file, const uint8_t *bytes,
		       size_t len)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (file->offset ? 0 : O_TRUNC);
	KT_CLOSE int fd = open(path, flags, 0600);
	off_t at = (off_t)file->offset;

	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = pwrite(fd, bytes, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * The running /init cannot be written to (ETXTBSY). So every file is collected under another name
 * beside the old one, and is renamed when its last piece has come.
 */
int kt_update_file(const struct kt_frame *frame, struct kt_err *reterr)
{
	char path[KT_FILE_PATH_MAX + 1], tmp[KT_FILE_PATH_MAX + 8];
	struct kt_msg_file file;
	const uint8_t *bytes;
	size_t len;
	int r;

	if (frame->len < sizeof(file))
		return kt_err_set(reterr, -EPROTO, "FILE of %u bytes", frame->len);
	memcpy(&file, frame->payload, sizeof(file));
	if (!file.path_len || file.path_len > KT_FILE_PATH_MAX ||
	    file.path_len > frame->len - sizeof(file) || frame->payload[sizeof(file)] != '/')
		return kt_err_set(reterr, -EPROTO, "FILE with a bad path");
	memcpy(path, frame->payload + sizeof(file), file.path_len);
	path[file.path_len] = '\0';
	(void)snprintf(tmp, sizeof(tmp), "%s.new", path);
	bytes = frame->payload + sizeof(file) + file.path_len;
	len = frame->len - sizeof(file) - file.path_len;
	r = file.offset ? 0 : make_parent(path, reterr);
	if (r < 0)
		return r;
	r = write_piece(tmp, &file, bytes, len);
	if (r == 0 && file.offset + len == file.total)
		r = chmod(tmp, file.mode & 0777) < 0 || rename(tmp, path) < 0 ? -errno : 0;
	return r < 0 ? kt_err_set(reterr, r, "FILE '%s': %m", path) : 0;
}

int kt_update_remove(const struct kt_frame *frame, struct kt_err *reterr)
{
	const char *at = (const char *)frame->payload, *end = at + frame->len;

	if (!frame->len || end[-1])
		return kt_err_set(reterr, -EPROTO, "REMOVE without an end");
	for (; at < end; at += strlen(at) + 1) {
		if (*at != '/')
			return kt_err_set(reterr, -EPROTO, "REMOVE with a bad path");
		if (unlink(at) < 0 && errno != ENOENT)
			return kt_err_set(reterr, -errno, "REMOVE '%s': %m", at);
	}
	return 0;
}

int kt_update_exec(struct kt_port *port, struct kt_err *reterr)
{
	struct kt_port_position position = kt_port_position(port);
	int fd = kt_port_fd(port);
	char text[64];

	(void)snprintf(text, sizeof(text), "%d %" PRIu32 " %" PRIu32, fd, position.received,
		       position.sent);
	/* LD_BIND_NOW is also on the kernel command line, for the first PID 1. */
	if (setenv(KT_UPDATE_VARIABLE, text, 1) < 0 || setenv("LD_BIND_NOW", "1", 1) < 0 ||
	    (fd >= 0 && fcntl(fd, F_SETFD, 0) < 0))
		return kt_err_set(reterr, -errno, "EXEC: %m");
	(void)execl("/init", "/init", NULL);
	return kt_err_set(reterr, -errno, "EXEC: cannot run /init: %m");
}

int kt_update_adopt_port(struct kt_port **ret_port, struct kt_err *reterr)
{
	const char *text = getenv(KT_UPDATE_VARIABLE);
	struct kt_port_position position;
	int fd;

	if (!text)
		return -ENOENT;
	if (sscanf(text, "%d %" SCNu32 " %" SCNu32, &fd, &position.received, &position.sent) != 3 ||
	    (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0))
		return kt_err_set(reterr, -EINVAL,
				  KT_UPDATE_VARIABLE "='%s' does not describe a port", text);
	(void)unsetenv(KT_UPDATE_VARIABLE);
	return kt_port_adopt(fd, position, ret_port, reterr);
}
