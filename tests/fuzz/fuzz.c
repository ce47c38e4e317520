/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/io.h"

static char dir[4096];

char *kt_fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	KT_FUZZ_ASSERT(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

static void fill(int fd, const void *data, size_t size)
{
	KT_FUZZ_ASSERT(fd >= 0 && ftruncate(fd, 0) == 0);
	KT_FUZZ_ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size);
}

const char *kt_fuzz_file(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	fill(fd, data, size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static void remove_dir(void)
{
	(void)kt_remove_all(dir);
}

const char *kt_fuzz_dir(void)
{
	if (!dir[0]) {
		(void)snprintf(dir, sizeof(dir), "%s/kt-fuzz-XXXXXX", getenv("TMPDIR") ?: "/tmp");
		KT_FUZZ_ASSERT(mkdtemp(dir));
		(void)atexit(remove_dir);
	}
	return dir;
}

const char *kt_fuzz_dir_put(const char *name, const void *data, size_t size)
{
	static char path[sizeof(dir) + 256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", kt_fuzz_dir(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	fill(fd, data, size);
	(void)close(fd);
	return path;
}

int kt_fuzz_peer_open(struct kt_fuzz_peer *peer, const uint8_t *data, size_t size)
{
	int ends[2];

	KT_FUZZ_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	*peer = (struct kt_fuzz_peer){ .fd = ends[1], .data = data, .left = size };
	return ends[0];
}

void kt_fuzz_peer_close(struct kt_fuzz_peer *peer)
{
	(void)close(peer->fd);
	peer->fd = -1;
}

const uint8_t *kt_fuzz_peer_next(struct kt_fuzz_peer *peer, size_t *ret_len)
{
	const uint8_t *message = peer->data;
	const uint8_t *end = peer->left ? memchr(message, 0xff, peer->left) : NULL;
	size_t len = end ? (size_t)(end - message) : peer->left;

	if (peer->left)
		peer->data += len + (end != NULL);
	peer->left -= len + (end != NULL);
	*ret_len = len;
	return message;
}

void kt_fuzz_peer_say(struct kt_fuzz_peer *peer)
{
	size_t len;
	const uint8_t *message = kt_fuzz_peer_next(peer, &len);

	if (len)
		(void)send(peer->fd, message, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}
