/* SPDX-License-Identifier: MIT */
#include "vmm/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/rendezvous.h"
#include "wire/hello.h"

#define GUARD_TIMEOUT_NS (60 * KT_NSEC_PER_SEC)
#define LOOK_NS          (KT_NSEC_PER_SEC / 10) /* between looks at a clock that is nearly there */
#define LOOKS_MAX        1000u /* of a deadline, at least: a machine gets a hundredth of a CPU */

/*
 * A link stands between a machine, which delivers bytes, and an owner, which wants frames. It owns
 * the machine. The first fault of the stream is final: the bytes after it are dropped, because a
 * guest that broke the protocol once cannot be trusted with the next frame.
 */
struct kt_link {
	struct kt_loop *loop;
	struct kt_machine *machine;
	const struct kt_link_events *events; /* borrowed, like @data and @loop */
	void *data;
	struct kt_frame_rx rx;
	struct kt_frame_tx tx;
	struct kt_timer deadline;
	const char *awaited; /* borrowed; NULL: nothing */
	uint64_t limit_ns;
	uint64_t began_ns;        /* kt_machine_clock_ns() when the deadline was set */
	uint64_t looks;           /* at that clock since, which had not advanced enough */
	bool is_acknowledged;     /* RACK was sent */
	uint32_t acknowledged_at; /* number of frames sent by then, with RACK */
	bool has_bye;
	bool keep; /* the machine is stopped at its end, and stays */
};

/* Both ends must agree exactly: a frame may have changed its meaning. */
static int check_version(const struct kt_hello *hello, struct kt_err *reterr)
{
	if (hello->version == KT_WIRE_VERSION)
		return 0;
	return kt_err_set(reterr, -EPROTO, "the guest speaks version %u of the protocol, not %u",
			  hello->version, KT_WIRE_VERSION);
}

/* The guard comes first: the owner may let the guest run code as soon as it knows of HELO. */
static int on_hello(struct kt_link *link, const struct kt_frame *frame, struct kt_err *reterr)
{
	struct kt_hello hello;
	int r = kt_hello_decode(frame->payload, frame->len, &hello, reterr)
			?: check_version(&hello, reterr)
			?: kt_machine_guard(link->machine, &hello, kt_now_ns() + GUARD_TIMEOUT_NS,
					    reterr);

	if (r == 0)
		link->events->hello(link->data, &hello);
	return r;
}

/* A machine that is kept, and cannot be stopped, ends as others do. */
static void end_machine(struct kt_link *link)
{
	const struct kt_machine_exit exit = { .reason = KT_EXIT_SHUTDOWN,
					      .detail = "the guest powered off" };

	if (link->keep &&
	    kt_machine_pause(link->machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL) == 0)
		link->events->exited(link->data, &exit);
	else
		kt_machine_power_off(link->machine);
}

/*
 * The guest must have taken RACK, and may have taken frames behind it. Both numbers wrap around, so
 * only their difference counts.
 */
static int on_bye(struct kt_link *link, const struct kt_frame *frame, struct kt_err *reterr)
{
	struct kt_msg_bye bye;

	if (frame->len != sizeof(bye))
		return kt_err_set(reterr, -EBADMSG, "malformed frame: BYE of %u bytes", frame->len);
	memcpy(&bye, frame->payload, sizeof(bye));
	if (!link->is_acknowledged || (int32_t)(bye.received - link->acknowledged_at) < 0)
		return kt_err_set(reterr, -EPROTO,
				  "the guest said BYE without waiting for RACK: its result might "
				  "have got lost");
	if (!bye.is_alone)
		return kt_err_set(reterr, -EPROTO,
				  "the guest said BYE while processes of the test still ran");
	link->has_bye = true;
	end_machine(link);
	return 0;
}

/*
 * The machine's clock may be slower than this process's: then there is time left. A machine that
 * has ended has none, nor has one whose clock does not advance from look to look.
 */
static void on_deadline(void *data)
{
	struct kt_link *link = data;
	uint64_t now_ns = kt_machine_clock_ns(link->machine);
	uint64_t spent_ns = now_ns - link->began_ns;

	if (now_ns >= link->began_ns && spent_ns < link->limit_ns && link->looks++ < LOOKS_MAX) {
		kt_timer_arm(link->loop, &link->deadline,
			     kt_now_ns() + KT_MAX(link->limit_ns - spent_ns, LOOK_NS));
		return;
	}
	link->events->late(link->data, link->awaited, link->limit_ns);
}

void kt_link_keep(struct kt_link *link)
{
	link->keep = true;
}

/*
 * The bytes may end in the middle of a frame; rx keeps the beginning. After a fault all further
 * bytes are dropped, and broken() is not called again.
 */
static void on_port(void *data, const uint8_t *bytes, size_t len)
{
	struct kt_link *link = data;
	struct kt_err err = KT_ERR_NULL;
	struct kt_frame frame;
	int r;

	if (link->rx.fault)
		return;
	while ((r = kt_frame_rx_take(&link->rx, &bytes, &len, &frame, &err)) > 0) {
		if (frame.type == KT_MSG_BYE)
			r = on_bye(link, &frame, &err);
		else if (frame.type == KT_MSG_HELLO)
			r = on_hello(link, &frame, &err);
		else
			link->events->frame(link->data, &frame);
		if (r < 0) {
			link->rx.fault = r;
			break;
		}
	}
	if (r < 0)
		link->events->broken(link->data, err.text);
}

static void on_console(void *data, const uint8_t *bytes, size_t len)
{
	struct kt_link *link = data;

	link->events->console(link->data, bytes, len);
}

static void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct kt_link *link = data;

	link->events->exited(link->data, exit);
}

/* The deadline on the guest's own clock. */
static void on_expired(void *data)
{
	struct kt_link *link = data;

	if (link->events->expired)
		link->events->expired(link->data);
}

static void on_stopped(void *data, const struct kt_machine_stop *stop)
{
	struct kt_link *link = data;

	if (link->events->stopped)
		link->events->stopped(link->data, stop);
}

static const struct kt_machine_events machine_events = {
	.port = on_port,
	.console = on_console,
	.expired = on_expired,
	.stopped = on_stopped,
	.exited = on_exited,
};

int kt_link_new(struct kt_loop *loop, enum kt_vmm vmm, const struct kt_link_events *events,
		void *data, struct kt_link **ret_link, struct kt_err *reterr)
{
	struct kt_link *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return kt_err_oom(reterr);
	link->events = events;
	link->data = data;
	link->loop = loop;
	link->deadline = (struct kt_timer){ .fn = on_deadline, .data = link };
	r = kt_machine_new(loop, vmm, &machine_events, link, &link->machine, reterr);
	if (r < 0) {
		free(link);
		return r;
	}
	*ret_link = link;
	return 0;
}

struct kt_link *kt_link_free(struct kt_link *link)
{
	if (!link)
		return NULL;
	kt_link_await_nothing(link); /* the loop outlives the link, its timer must not */
	link->machine = kt_machine_destroy(link->machine);
	kt_frame_rx_deinit(&link->rx);
	free(link);
	return NULL;
}

struct kt_machine *kt_link_machine(const struct kt_link *link)
{
	return link->machine;
}

int kt_link_fault(const struct kt_link *link)
{
	return link->rx.fault;
}

bool kt_link_has_bye(const struct kt_link *link)
{
	return link->has_bye;
}

struct kt_link_position kt_link_position(const struct kt_link *link)
{
	return (struct kt_link_position){ link->rx.sequence, link->tx.sequence };
}

void kt_link_set_position(struct kt_link *link, struct kt_link_position position)
{
	link->rx.sequence = position.received;
	link->tx.sequence = position.sent;
}

void kt_link_await(struct kt_link *link, const char *what, uint64_t limit_ns)
{
	link->awaited = what;
	link->limit_ns = limit_ns;
	link->began_ns = kt_machine_clock_ns(link->machine);
	link->looks = 0;
	kt_timer_arm(link->loop, &link->deadline, kt_now_ns() + limit_ns);
}

void kt_link_await_nothing(struct kt_link *link)
{
	link->awaited = NULL;
	kt_timer_disarm(link->loop, &link->deadline);
}

const char *kt_link_awaited(const struct kt_link *link)
{
	return link->awaited ?: "";
}

/* Header and payload are written together, so that the guest is not woken for half a frame. */
int kt_link_send(struct kt_link *link, enum kt_message type, const void *payload, size_t len)
{
	uint8_t header[KT_FRAME_HEADER_LEN];
	const struct iovec frame[2] = {
		{ .iov_base = header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)payload, .iov_len = len },
	};

	if (len > KT_FRAME_PAYLOAD_MAX)
		return -EMSGSIZE;
	kt_frame_seal(&link->tx, type, payload, (uint32_t)len, header);
	if (type == KT_MSG_RESULT_ACK) {
		link->is_acknowledged = true;
		link->acknowledged_at = link->tx.sequence;
	}
	return kt_machine_port_write(link->machine, frame, len ? 2 : 1);
}

int kt_link_make_wake(struct kt_msg_wake *ret_wake)
{
	ret_wake->realtime_ns = kt_realtime_ns();
	return getrandom(ret_wake->entropy, sizeof(ret_wake->entropy), 0) ==
			       (ssize_t)sizeof(ret_wake->entropy)
		       ? 0
		       : -EIO;
}
