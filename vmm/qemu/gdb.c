/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/gdb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/steal.h"
#include "vmm/qemu/registers.h"

#define PACKET_MAX 4096u /* bytes; of QEMU's: MAX_PACKET_LENGTH */

/*
 * One command is under way at a time: it is sent, and its answer is awaited, before the next. A
 * packet is "$text#XX", where XX is the sum of the bytes of the text, modulo 256. Answers are not
 * acknowledged ("+"): QEMU takes the next command for an acknowledgement.
 */
struct kt_gdb {
	int fd;
	char in[2 * PACKET_MAX];     /* received bytes, not yet taken; NUL-terminated */
	size_t n_in;                 /* number of them */
	char answer[PACKET_MAX + 1]; /* text of the packet taken last */
	pid_t pid;                   /* of QEMU; 0: not known */
	struct kt_gdb_report report; /* that came instead of an answer, if has_report */
	bool has_report;
};

int kt_gdb_new(int fd, struct kt_gdb **ret_gdb)
{
	struct kt_gdb *gdb = calloc(1, sizeof(*gdb));

	if (!gdb)
		return -ENOMEM;
	gdb->fd = fd;
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	*ret_gdb = gdb;
	return 0;
}

void kt_gdb_set_pid(struct kt_gdb *gdb, pid_t pid)
{
	gdb->pid = pid;
}

struct kt_gdb *kt_gdb_free(struct kt_gdb *gdb)
{
	if (gdb)
		(void)kt_close(gdb->fd);
	free(gdb);
	return NULL;
}

static unsigned int sum(const char *text, size_t len)
{
	unsigned int total = 0;

	while (len--)
		total += (unsigned char)*text++;
	return total & 0xff;
}

static int send_packet(struct kt_gdb *gdb, const char *text)
{
	char packet[PACKET_MAX + 5];
	size_t len = strlen(text);
	int n = snprintf(packet, sizeof(packet), "$%s#%02x", text, sum(text, len));
	ssize_t sent;

	if ((size_t)n >= sizeof(packet))
		return -EMSGSIZE;
	do
		sent = send(gdb->fd, packet, (size_t)n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent == n ? 0 : -EAGAIN;
}

/*
 * Moves a complete packet from the received bytes to the answer. Returns 1, 0 without one, or
 * -errno.
 */
static int take_packet(struct kt_gdb *gdb)
{
	char *begin = memchr(gdb->in, '$', gdb->n_in);
	char *end = begin ? memchr(begin, '#', gdb->n_in - (size_t)(begin - gdb->in)) : NULL;
	size_t len, used;
	unsigned int said;

	if (!end || gdb->n_in - (size_t)(end - gdb->in) < 3)
		return gdb->n_in < sizeof(gdb->in) - 1 ? 0 : -EMSGSIZE;
	len = (size_t)(end - begin) - 1;
	if (len > PACKET_MAX || sscanf(end + 1, "%2x", &said) != 1 || said != sum(begin + 1, len))
		return -EBADMSG;
	memcpy(gdb->answer, begin + 1, len);
	gdb->answer[len] = '\0';
	used = (size_t)(end + 3 - gdb->in);
	memmove(gdb->in, gdb->in + used, gdb->n_in - used + 1);
	gdb->n_in -= used;
	return 1;
}

/* Receives more bytes, at least one unless interrupted. */
static int read_more(struct kt_gdb *gdb, uint64_t deadline_ns)
{
	int r = kt_steal_poll(gdb->fd, deadline_ns, gdb->pid);
	ssize_t n;

	if (r <= 0)
		return r ?: -ETIMEDOUT;
	n = read(gdb->fd, gdb->in + gdb->n_in, sizeof(gdb->in) - 1 - gdb->n_in);
	if (n <= 0)
		return n == 0 || errno == ECONNRESET       ? -EPIPE
		       : errno == EAGAIN || errno == EINTR ? 0
							   : -errno;
	gdb->n_in += (size_t)n;
	gdb->in[gdb->n_in] = '\0';
	return 0;
}

/* "T05thread:02;watch:ffffffff82a01000;", or rwatch, awatch; QEMU's threads begin at 1. */
static bool parse_report(const char *text, struct kt_gdb_report *ret_report)
{
	const char *thread = strstr(text, "thread:"), *data = strstr(text, "watch:");

	*ret_report = (struct kt_gdb_report){ .at_data = data };
	if (strncmp(text, "T05", 3) != 0 || !thread ||
	    sscanf(thread, "thread:%x", &ret_report->vcpu) != 1 || !ret_report->vcpu)
		return false;
	ret_report->vcpu--;
	return !data || sscanf(data, "watch:%" SCNx64, &ret_report->address) == 1;
}

/*
 * Sends a command and waits for its answer. The stub also sends a packet "T..." when the machine
 * stops after kt_gdb_continue(); it is kept for kt_gdb_take_report(). QMP reports the stop as well.
 */
static int request(struct kt_gdb *gdb, const char *command, uint64_t deadline_ns,
		   struct kt_err *reterr)
{
	int r = send_packet(gdb, command);

	while (r == 0) {
		r = take_packet(gdb);
		if (r > 0 && *gdb->answer == 'T') {
			gdb->has_report = parse_report(gdb->answer, &gdb->report);
			r = 0;
		} else if (r == 0)
			r = read_more(gdb, deadline_ns);
	}
	if (r < 0)
		return kt_err_set(reterr, r, "gdbstub, command '%.40s': %s: %m", command,
				  r == -ETIMEDOUT ? "no answer"
				  : r == -EPIPE   ? "QEMU went away"
						  : "malformed answer");
	if (*gdb->answer == 'E' || !*gdb->answer)
		return kt_err_set(reterr, -EREMOTEIO, "gdbstub, command '%.40s': refused%s%s",
				  command, *gdb->answer ? " with " : "", gdb->answer);
	return 0;
}

static int change(struct kt_gdb *gdb, char what, enum kt_gdb_stop stop, uint64_t address,
		  size_t len, uint64_t deadline_ns, struct kt_err *reterr)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "%c%d,%" PRIx64 ",%zx", what, (int)stop, address,
		       len);
	return request(gdb, command, deadline_ns, reterr);
}

int kt_gdb_set(struct kt_gdb *gdb, enum kt_gdb_stop stop, uint64_t address, size_t len,
	       uint64_t deadline_ns, struct kt_err *reterr)
{
	return change(gdb, 'Z', stop, address, len, deadline_ns, reterr);
}

int kt_gdb_unset(struct kt_gdb *gdb, enum kt_gdb_stop stop, uint64_t address, size_t len,
		 uint64_t deadline_ns, struct kt_err *reterr)
{
	return change(gdb, 'z', stop, address, len, deadline_ns, reterr);
}

int kt_gdb_take_report(struct kt_gdb *gdb, struct kt_gdb_report *ret_report, struct kt_err *reterr)
{
	int r, found = gdb->has_report;

	*ret_report = gdb->report;
	gdb->has_report = false;
	do {
		r = take_packet(gdb);
		if (r > 0)
			found = parse_report(gdb->answer, ret_report);
		else if (r == 0)
			r = read_more(gdb, 0) ?: 1;
	} while (r > 0);
	return r < 0 && r != -ETIMEDOUT ? kt_err_set(reterr, r, "gdbstub: the report of a stop: %m")
					: found;
}

int kt_gdb_continue(struct kt_gdb *gdb, struct kt_err *reterr)
{
	int r = send_packet(gdb, "c");

	gdb->has_report = false;
	return r < 0 ? kt_err_set(reterr, r, "gdbstub, command 'c': %m") : 0;
}

/* Appends two hexadecimal digits per byte; the caller has made room. */
static void append_hex(char *text, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	text += strlen(text);
	for (size_t i = 0; i < len; i++)
		(void)sprintf(text + 2 * i, "%02x", bytes[i]);
}

/* Decodes the first @len bytes of the answer. */
static int take_hex(const struct kt_gdb *gdb, void *data, size_t len, struct kt_err *reterr)
{
	uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		unsigned int byte;

		if (strspn(gdb->answer + 2 * i, "0123456789abcdefABCDEF") < 2 ||
		    sscanf(gdb->answer + 2 * i, "%2x", &byte) != 1)
			return kt_err_set(reterr, -EBADMSG,
					  "gdbstub: %zu bytes of %zu in the answer", i, len);
		bytes[i] = (uint8_t)byte;
	}
	return 0;
}

int kt_gdb_read(struct kt_gdb *gdb, uint64_t address, void *data, size_t len, uint64_t deadline_ns,
		struct kt_err *reterr)
{
	char command[64];

	if (len > KT_GDB_MEMORY_MAX)
		return kt_err_set(reterr, -E2BIG, "gdbstub: %zu bytes at once", len);
	(void)snprintf(command, sizeof(command), "m%" PRIx64 ",%zx", address, len);
	return request(gdb, command, deadline_ns, reterr) ?: take_hex(gdb, data, len, reterr);
}

int kt_gdb_write(struct kt_gdb *gdb, uint64_t address, const void *data, size_t len,
		 uint64_t deadline_ns, struct kt_err *reterr)
{
	char command[64 + 2 * KT_GDB_MEMORY_MAX];

	if (len > KT_GDB_MEMORY_MAX)
		return kt_err_set(reterr, -E2BIG, "gdbstub: %zu bytes at once", len);
	(void)snprintf(command, sizeof(command), "M%" PRIx64 ",%zx:", address, len);
	append_hex(command, data, len);
	return request(gdb, command, deadline_ns, reterr);
}

int kt_gdb_get_regs(struct kt_gdb *gdb, struct kt_gdb_regs *ret_regs, uint64_t deadline_ns,
		    struct kt_err *reterr)
{
	return request(gdb, "g", deadline_ns, reterr)
		       ?: take_hex(gdb, ret_regs, sizeof(*ret_regs), reterr);
}

/* The stub does not change the registers behind those in the command. */
int kt_gdb_set_regs(struct kt_gdb *gdb, const struct kt_gdb_regs *regs, uint64_t deadline_ns,
		    struct kt_err *reterr)
{
	char command[2 + 2 * sizeof(regs->at)] = "G";

	append_hex(command, regs->at, sizeof(regs->at));
	return request(gdb, command, deadline_ns, reterr);
}

/* The stub's numbers of threads begin at 1. */
int kt_gdb_select(struct kt_gdb *gdb, unsigned int vcpu, uint64_t deadline_ns,
		  struct kt_err *reterr)
{
	char command[32];

	(void)snprintf(command, sizeof(command), "Hg%x", vcpu + 1);
	return request(gdb, command, deadline_ns, reterr);
}

int kt_gdb_get_all(struct kt_gdb *gdb, struct kt_registers *ret_registers, uint64_t deadline_ns,
		   struct kt_err *reterr)
{
	uint8_t bytes[KT_GDB_REGISTERS_LEN];
	int r = request(gdb, "g", deadline_ns, reterr)
			?: take_hex(gdb, bytes, sizeof(bytes), reterr);

	if (r == 0)
		kt_registers_decode(bytes, ret_registers);
	return r;
}
