/* SPDX-License-Identifier: MIT */
/* Answers of QEMU's gdbstub; the messages of the input come one before each command. */
#include <string.h>
#include <sys/socket.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "vmm/qemu/gdb.h"

/*
 * A message is the text of a packet, whose sum is made right here; with '!' before it, it is raw.
 */
static void say(struct kt_fuzz_peer *peer)
{
	size_t len;
	const uint8_t *message = kt_fuzz_peer_next(peer, &len);
	KT_FREE char *packet = malloc(len + 5);
	unsigned int sum = 0;

	KT_FUZZ_ASSERT(packet);
	if (!len)
		return;
	if (message[0] == '!') {
		(void)send(peer->fd, message + 1, len - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		return;
	}
	for (size_t i = 0; i < len; i++)
		sum += message[i];
	packet[0] = '$';
	memcpy(packet + 1, message, len);
	(void)snprintf(packet + 1 + len, 4, "#%02x", sum & 0xff);
	(void)send(peer->fd, packet, len + 4, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void check(int r, const struct kt_err *err)
{
	KT_FUZZ_ASSERT(r == 0 || (r < 0 && err->text[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_gdb_regs regs = { 0 };
	struct kt_registers registers;
	struct kt_gdb_report report;
	int found;
	struct kt_fuzz_peer peer;
	struct kt_gdb *gdb;
	uint8_t *bytes = malloc(KT_GDB_MEMORY_MAX);

	KT_FUZZ_ASSERT(bytes);
	memset(bytes, 0x55, KT_GDB_MEMORY_MAX);
	KT_FUZZ_ASSERT(kt_gdb_new(kt_fuzz_peer_open(&peer, data, size), &gdb) == 0);
	say(&peer);
	check(kt_gdb_get_regs(gdb, &regs, 0, &err), &err);
	say(&peer);
	check(kt_gdb_read(gdb, regs.at[KT_GDB_RSP], bytes, KT_GDB_MEMORY_MAX, 0, &err), &err);
	say(&peer);
	check(kt_gdb_set(gdb, KT_GDB_AT_CODE, regs.at[KT_GDB_RIP], 1, 0, &err), &err);
	say(&peer);
	check(kt_gdb_write(gdb, regs.at[KT_GDB_RSP], bytes, KT_GDB_MEMORY_MAX, 0, &err), &err);
	say(&peer);
	check(kt_gdb_set_regs(gdb, &regs, 0, &err), &err);
	say(&peer);
	check(kt_gdb_get_all(gdb, &registers, 0, &err), &err);
	say(&peer);
	found = kt_gdb_take_report(gdb, &report, &err);
	KT_FUZZ_ASSERT(found == 0 || found == 1 || err.text[0]);
	kt_fuzz_peer_close(&peer);
	check(kt_gdb_read(gdb, 0, bytes, 1, 0, &err), &err);
	(void)kt_gdb_free(gdb);
	free(bytes);
	return 0;
}
