/* SPDX-License-Identifier: MIT */
/*
 * The virtio console of a KVM machine, used by a driver as Linux has it: found on the PCI bus,
 * negotiated, asked for its ports, and written to and read from.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <sched.h>
#include <string.h>

#include "tests/kvm_guest.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/kvm/console.h"
#include "vmm/kvm/map.h"
#include "wire/message.h"

UNIT_SUITE(kvm_console);

#define GSI      KT_KVM_GSI_MSI
#define FEATURES (UINT64_C(1) << VIRTIO_F_VERSION_1 | UINT64_C(1) << VIRTIO_CONSOLE_F_MULTIPORT)
#define READY                                                                                      \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |      \
	 VIRTIO_CONFIG_S_DRIVER_OK)

#define N_WRITES 100000u

enum { CONTROL_IN = 2, CONTROL_OUT, PORT_IN, PORT_OUT };

struct fixture {
	struct kvm_guest guest;
	struct kt_kvm_console console;
	struct kt_buffer got; /* of the guest */
	bool answer;          /* the callback writes to the port */
	bool has_vcpu;        /* a thread that takes the lock, too, until this deadline */
	uint64_t deadline_ns;
};

static void on_bytes(void *data, const uint8_t *bytes, size_t len)
{
	struct fixture *f = data;
	struct iovec part = { (void *)"pong", 4 };

	cr_assert(zero(int, kt_buffer_append(&f->got, bytes, len)));
	/* The lock is free: whoever calls back may use the machine. */
	if (!f->has_vcpu) {
		cr_assert(zero(int, pthread_mutex_trylock(&f->guest.lock)));
		(void)pthread_mutex_unlock(&f->guest.lock);
	}
	if (f->answer)
		cr_assert(zero(int, kt_kvm_console_write(&f->console, &part, 1)));
}

static void begin(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	kvm_guest_init(&f->guest);
	cr_assert(zero(int, kt_kvm_console_init(&f->console, on_bytes, f, &f->guest.host, GSI,
						&f->guest.pci, &f->guest.memory)));
}

static void end(struct fixture *f)
{
	kt_kvm_console_deinit(&f->console);
	kvm_guest_deinit(&f->guest);
	kt_buffer_deinit(&f->got);
}

static void say(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	struct kvm_ring *ring = &f->guest.rings[CONTROL_OUT];
	struct virtio_console_control control = { id, event, value };
	uint32_t head, len;

	memcpy(f->guest.ram + ring->buffer_gpa, &control, sizeof(control));
	kvm_ring_add(&f->guest, ring, 0, 0, sizeof(control), false);
	kvm_notify(&f->guest, CONTROL_OUT);
	cr_assert(kvm_ring_take(&f->guest, ring, &head, &len));
}

/* Takes a control message; the rest behind it, a name, is a string in *@ret_rest. */
static struct virtio_console_control hear(struct fixture *f, char *ret_rest)
{
	struct kvm_ring *ring = &f->guest.rings[CONTROL_IN];
	struct virtio_console_control control;
	uint32_t head, len;

	cr_assert(kvm_ring_take(&f->guest, ring, &head, &len));
	cr_assert(ge(u32, len, sizeof(control)));
	memcpy(&control, f->guest.ram + ring->buffer_gpa + 64 * head, sizeof(control));
	memcpy(ret_rest, f->guest.ram + ring->buffer_gpa + 64 * head + sizeof(control),
	       len - sizeof(control));
	ret_rest[len - sizeof(control)] = '\0';
	return control;
}

static void check_heard(struct fixture *f, uint16_t event, const char *rest)
{
	char text[64];
	struct virtio_console_control control = hear(f, text);

	cr_assert(eq(u32, control.id, 1));
	cr_assert(eq(u16, control.event, event));
	cr_assert(eq(u16, control.value, 1));
	cr_assert(eq(str, text, (char *)rest));
}

/* The driver up to the moment when PID 1 opens the port. */
static void start(struct fixture *f)
{
	cr_assert(eq(u8, kvm_driver_start(&f->guest, FEATURES), READY));
	for (unsigned int i = 0; i < 8; i++)
		kvm_ring_add(&f->guest, &f->guest.rings[CONTROL_IN], (uint16_t)i, 64 * i, 64, true);
	say(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	check_heard(f, VIRTIO_CONSOLE_PORT_ADD, "");
	say(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	check_heard(f, VIRTIO_CONSOLE_PORT_NAME, KT_WIRE_PORT_NAME);
	check_heard(f, VIRTIO_CONSOLE_PORT_OPEN, "");
}

static void guest_writes(struct fixture *f, const char *text)
{
	struct kvm_ring *ring = &f->guest.rings[PORT_OUT];
	uint32_t head, len;

	memcpy(f->guest.ram + ring->buffer_gpa, text, strlen(text));
	kvm_ring_add(&f->guest, ring, 3, 0, (uint32_t)strlen(text), false);
	kvm_notify(&f->guest, PORT_OUT);
	cr_assert(kvm_ring_take(&f->guest, ring, &head, &len));
	cr_assert(eq(u32, head, 3));
}

static void host_writes(struct fixture *f, const char *text)
{
	struct iovec parts[] = { { (void *)text, 1 }, { (void *)(text + 1), strlen(text) - 1 } };

	cr_assert(zero(int, kt_kvm_console_write(&f->console, parts, 2)));
}

/* What the guest reads: the next buffer that was filled. */
static void check_read(struct fixture *f, const char *text)
{
	struct kvm_ring *ring = &f->guest.rings[PORT_IN];
	uint32_t head, len;

	cr_assert(kvm_ring_take(&f->guest, ring, &head, &len), "%s", text);
	cr_assert(eq(u32, len, strlen(text)));
	cr_assert(zero(int, memcmp(f->guest.ram + ring->buffer_gpa + 16 * head, text, len)));
}

static void offer(struct fixture *f, uint16_t head, uint32_t len)
{
	kvm_ring_add(&f->guest, &f->guest.rings[PORT_IN], head, 16 * head, len, true);
	kvm_notify(&f->guest, PORT_IN);
}

Test(kvm_console, the_guest_finds_the_port_by_its_name)
{
	struct fixture f;

	begin(&f);
	cr_assert(eq(u32, kvm_config_read(&f.guest, 1, 0, 4), 0x10431af4));
	cr_assert(eq(u64, kvm_bar_read(&f.guest, KVM_BAR_CONFIG + 4, 4), 2)); /* ports at most */
	start(&f);
	cr_assert(eq(uint, f.guest.raised[GSI + 1 + CONTROL_IN], 2));
	cr_assert(eq(uint, f.guest.raised[GSI + 1 + CONTROL_OUT], 2));
	cr_assert(eq(u64, f.guest.routes[GSI + 1 + CONTROL_IN].address, 0xfee03000));
	end(&f);
}

Test(kvm_console, bytes_of_the_guest_reach_the_session)
{
	struct fixture f;

	begin(&f);
	start(&f);
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	guest_writes(&f, "hello, ");
	guest_writes(&f, "world");
	cr_assert(eq(sz, f.got.len, 12));
	cr_assert(zero(int, memcmp(f.got.data, "hello, world", 12)));
	cr_assert(eq(uint, f.guest.raised[GSI + 1 + PORT_OUT], 2));
	end(&f);
}

static void *run_vcpu(void *data)
{
	struct fixture *f = data;
	struct kvm_ring *ring = &f->guest.rings[PORT_OUT];
	uint32_t head, len;

	for (uint32_t i = 0; i < N_WRITES; i++) {
		memcpy(f->guest.ram + ring->buffer_gpa, &i, sizeof(i));
		kvm_ring_add(&f->guest, ring, 0, 0, sizeof(i), false);
		kvm_bar_write(&f->guest, KVM_BAR_NOTIFY + 4 * PORT_OUT, 2, PORT_OUT);
		while (!kvm_ring_take(&f->guest, ring, &head, &len)) {
			if (kt_now_ns() > f->deadline_ns)
				return NULL;
			(void)sched_yield(); /* the loop lags behind by a round */
		}
	}
	return NULL;
}

Test(kvm_console, bytes_that_a_vcpu_writes_while_others_are_delivered_are_kept)
{
	struct fixture f;
	pthread_t vcpu;

	begin(&f);
	start(&f);
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	f.has_vcpu = true;
	f.deadline_ns = kt_now_ns() + 60 * KT_NSEC_PER_SEC;
	cr_assert(zero(int, pthread_create(&vcpu, NULL, run_vcpu, &f)));
	while (f.got.len < N_WRITES * sizeof(uint32_t) &&
	       kt_loop_step(f.guest.loop, f.deadline_ns) == 0)
		;
	(void)pthread_join(vcpu, NULL);
	cr_assert(eq(sz, f.got.len, N_WRITES * sizeof(uint32_t)));
	for (uint32_t i = 0; i < N_WRITES; i++)
		cr_assert(zero(int, memcmp(f.got.data + i * sizeof(i), &i, sizeof(i))), "%u", i);
	end(&f);
}

Test(kvm_console, bytes_for_the_guest_wait_until_it_has_opened_the_port_and_has_room)
{
	struct fixture f;

	begin(&f);
	host_writes(&f, "0123456789");
	start(&f);
	offer(&f, 0, 4);
	cr_assert(eq(uint, f.guest.raised[GSI + 1 + PORT_IN], 0)); /* nobody reads */
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	check_read(&f, "0123");
	cr_assert(eq(uint, f.guest.raised[GSI + 1 + PORT_IN], 1));
	offer(&f, 1, 4);
	offer(&f, 2, 4);
	check_read(&f, "4567");
	check_read(&f, "89");
	offer(&f, 3, 4);
	host_writes(&f, "ab");
	check_read(&f, "ab");
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	offer(&f, 4, 4);
	host_writes(&f, "cd");
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	check_read(&f, "cd");
	end(&f);
}

Test(kvm_console, the_callback_may_write_to_the_port)
{
	struct fixture f;

	begin(&f);
	start(&f);
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	offer(&f, 0, 16);
	f.answer = true;
	guest_writes(&f, "ping");
	check_read(&f, "pong");
	end(&f);
}

Test(kvm_console, a_machine_that_stands_still_is_left_alone)
{
	struct fixture f;
	struct kvm_ring *ring = &f.guest.rings[PORT_OUT];

	begin(&f);
	start(&f);
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	kt_kvm_virtio_stop(&f.console.virtio);
	offer(&f, 0, 16);
	host_writes(&f, "later");
	memcpy(f.guest.ram + ring->buffer_gpa, "late", 4);
	kvm_ring_add(&f.guest, ring, 0, 0, 4, false);
	kvm_notify(&f.guest, PORT_OUT);
	cr_assert(zero(sz, f.got.len));
	cr_assert(zero(u8, f.guest.ram[f.guest.rings[PORT_IN].used_gpa + 2]));
	kt_kvm_virtio_go(&f.console.virtio);
	kvm_run_loop(&f.guest);
	cr_assert(eq(sz, f.got.len, 4));
	check_read(&f, "later");
	end(&f);
}

Test(kvm_console, what_a_guest_wrote_before_its_end_is_drained)
{
	struct fixture f;
	struct kvm_ring *ring = &f.guest.rings[PORT_OUT];

	begin(&f);
	start(&f);
	for (uint16_t i = 0; i < 128; i++) {
		kvm_ring_set(&f.guest, ring, i, 0, 8192, 0, 0); /* 1 MiB: several rounds */
		kvm_ring_offer(&f.guest, ring, i);
	}
	kt_kvm_virtio_stop(&f.console.virtio); /* it has ended */
	kt_kvm_console_drain(&f.console);
	cr_assert(eq(sz, f.got.len, 1u << 20));
	end(&f);
}

Test(kvm_console, a_guest_that_breaks_the_rules_stops_the_device)
{
	struct fixture f;
	struct kvm_ring *ring = &f.guest.rings[PORT_OUT];
	uint8_t status;

	begin(&f);
	start(&f);
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_MSIX, 2, 0);
	kvm_ring_set(&f.guest, ring, 0, UINT64_C(1) << 32, 8, 0, 0);
	kvm_ring_offer(&f.guest, ring, 0);
	kvm_notify(&f.guest, PORT_OUT);
	status = (uint8_t)kvm_bar_read(&f.guest, VIRTIO_PCI_COMMON_STATUS, 1);
	cr_assert(eq(u8, status, READY | VIRTIO_CONFIG_S_NEEDS_RESET));
	cr_assert(eq(uint, f.guest.raised[GSI], 1));
	cr_assert(eq(str, f.guest.broken,
		     "the device 'console' needs a reset: queue 5: a buffer does not lie in RAM "
		     "(0x100000000)"));
	host_writes(&f, "unread");
	kvm_notify(&f.guest, PORT_OUT);
	cr_assert(zero(sz, f.got.len));
	start(&f); /* a reset, and everything from the start */
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	guest_writes(&f, "again");
	cr_assert(eq(sz, f.got.len, 5));
	end(&f);
}

Test(kvm_console, a_request_of_a_gigabyte_allocates_nothing)
{
	struct fixture f;
	struct kvm_ring *ring = &f.guest.rings[PORT_OUT];

	begin(&f);
	start(&f);
	for (uint16_t i = 0; i < 3; i++)
		kvm_ring_set(&f.guest, ring, i, 0, KVM_GUEST_RAM_LEN / 2, i < 2, (uint16_t)(i + 1));
	kvm_ring_offer(&f.guest, ring, 0);
	kvm_notify(&f.guest, PORT_OUT);
	cr_assert(strstr(f.guest.broken, "queue 5: a request has more than 1 MiB") != NULL);
	cr_assert(zero(sz, f.console.from_guest.room));
	end(&f);
}

Test(kvm_console, a_guest_that_only_asks_makes_nothing_grow)
{
	struct fixture f;

	begin(&f);
	cr_assert(eq(u8, kvm_driver_start(&f.guest, FEATURES), READY));
	for (unsigned int i = 0; i < 1000; i++) {
		say(&f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
		say(&f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	}
	for (unsigned int i = 0; i < 8; i++)
		kvm_ring_add(&f.guest, &f.guest.rings[CONTROL_IN], (uint16_t)i, 64 * i, 64, true);
	kvm_notify(&f.guest, CONTROL_IN);
	check_heard(&f, VIRTIO_CONSOLE_PORT_ADD, "");
	check_heard(&f, VIRTIO_CONSOLE_PORT_NAME, KT_WIRE_PORT_NAME);
	check_heard(&f, VIRTIO_CONSOLE_PORT_OPEN, "");
	cr_assert(eq(u16, f.guest.rings[CONTROL_IN].used, 3));
	cr_assert(zero(uint, f.console.owed));
	end(&f);
}

Test(kvm_console, features_that_are_not_offered_are_refused)
{
	struct fixture f;

	begin(&f);
	cr_assert(eq(u8, kvm_driver_start(&f.guest, FEATURES | 1), READY & 3));
	cr_assert(eq(u8, kvm_driver_start(&f.guest, 2), READY & 3)); /* not of version 1 */
	cr_assert(eq(u8, kvm_driver_start(&f.guest, FEATURES), READY));
	end(&f);
}

Test(kvm_console, registers_of_a_queue_are_fixed_while_it_is_enabled)
{
	struct fixture f;

	begin(&f);
	start(&f);
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_SELECT, 2, 4);
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0);
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_MSIX, 2, 99);
	cr_assert(eq(u64, kvm_bar_read(&f.guest, VIRTIO_PCI_COMMON_Q_SIZE, 2), 128));
	cr_assert(eq(u64, kvm_bar_read(&f.guest, VIRTIO_PCI_COMMON_Q_USEDLO, 4),
		     f.guest.rings[PORT_IN].used_gpa));
	cr_assert(eq(u64, kvm_bar_read(&f.guest, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff));
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_SELECT, 2, 6); /* there is no such queue */
	cr_assert(eq(u64, kvm_bar_read(&f.guest, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0));
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	end(&f);
}

Test(kvm_console, a_queue_outside_of_the_ram_is_not_enabled)
{
	struct fixture f;

	begin(&f);
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_DESCLO, 8, KVM_GUEST_RAM_LEN);
	kvm_bar_write(&f.guest, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	cr_assert(zero(u64, kvm_bar_read(&f.guest, VIRTIO_PCI_COMMON_Q_ENABLE, 2)));
	cr_assert(strstr(f.guest.broken, "queue 0: the descriptors do not lie in RAM (0x100000)") !=
		  NULL);
	end(&f);
}

/* The capability that is a second way to the BAR, for who cannot map it. */
Test(kvm_console, the_configuration_space_has_a_window_to_the_bar)
{
	struct fixture f;
	unsigned int at;

	begin(&f);
	for (at = kvm_config_read(&f.guest, 1, 0x34, 1);
	     kvm_config_read(&f.guest, 1, at + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG;
	     at = kvm_config_read(&f.guest, 1, at + 1, 1))
		cr_assert(ne(uint, at, 0));
	kvm_config_write(&f.guest, 1, at + 8, 4, VIRTIO_PCI_COMMON_NUMQ);
	kvm_config_write(&f.guest, 1, at + 12, 4, 2);
	cr_assert(eq(u32, kvm_config_read(&f.guest, 1, at + 16, 2), 6));
	kvm_config_write(&f.guest, 1, at + 8, 4, VIRTIO_PCI_COMMON_Q_SELECT);
	kvm_config_write(&f.guest, 1, at + 16, 2, 5);
	cr_assert(eq(u64, kvm_bar_read(&f.guest, VIRTIO_PCI_COMMON_Q_SELECT, 2), 5));
	end(&f);
}

/* Linux's driver spins until its request was taken. */
Test(kvm_console, requests_are_taken_before_the_vcpu_goes_on)
{
	struct fixture f;
	struct kvm_ring *ring = &f.guest.rings[PORT_OUT];
	uint32_t head, len;

	begin(&f);
	start(&f);
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	memcpy(f.guest.ram + ring->buffer_gpa, "at once", 7);
	kvm_ring_add(&f.guest, ring, 0, 0, 7, false);
	kvm_bar_write(&f.guest, KVM_BAR_NOTIFY + 4 * PORT_OUT, 2, PORT_OUT);
	cr_assert(kvm_ring_take(&f.guest, ring, &head, &len));
	cr_assert(zero(sz, f.got.len)); /* the session is told in its loop */
	kvm_run_loop(&f.guest);
	cr_assert(eq(sz, f.got.len, 7));
	cr_assert(zero(int, f.guest.n_notifications));
	end(&f);
}

/* Makes *@to the machine that *@from is: its RAM, and the state of its console. */
static int move(struct fixture *from, struct fixture *to, struct kt_err *err)
{
	struct kt_buffer state = KT_BUFFER_NULL;
	int r;

	begin(to);
	memcpy(to->guest.ram, from->guest.ram, KVM_GUEST_RAM_LEN);
	memcpy(to->guest.rings, from->guest.rings, sizeof(to->guest.rings));
	cr_assert(zero(int, kt_kvm_virtio_save(&from->console.virtio, &state)));
	r = kt_kvm_virtio_load(&to->console.virtio, (uint8_t *)state.data, state.len, err);
	kt_buffer_deinit(&state);
	return r;
}

Test(kvm_console, a_restored_console_goes_on)
{
	struct fixture f, copy;
	struct kt_err err = KT_ERR_NULL;
	struct kvm_ring *ring = &f.guest.rings[PORT_OUT];

	begin(&f);
	start(&f);
	say(&f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	kvm_config_write(&f.guest, 1, 0x10, 4, (uint32_t)KT_KVM_PCI_GPA);
	guest_writes(&f, "before");
	host_writes(&f, "unread");
	/* The guest has offered a request, and its notification is lost with the machine. */
	memcpy(f.guest.ram + ring->buffer_gpa, "between", 7);
	kvm_ring_add(&f.guest, ring, 0, 0, 7, false);
	cr_assert(zero(int, move(&f, &copy, &err)), "%s", err.text);
	kvm_notify(&copy.guest, PORT_OUT);
	cr_assert(zero(sz, copy.got.len)); /* a machine is restored standing */
	kt_kvm_virtio_go(&copy.console.virtio);
	kvm_run_loop(&copy.guest);
	cr_assert(eq(sz, copy.got.len, 7));
	cr_assert(eq(uint, copy.guest.raised[GSI + 1 + PORT_OUT], 1));
	cr_assert(eq(u64, copy.guest.routes[GSI + 1 + PORT_OUT].address, 0xfee06000));
	offer(&copy, 0, 16);
	check_read(&copy, "unread");
	end(&copy);
	end(&f);
}

/* Each byte of a saved state is foreign: any of them may be anything. */
Test(kvm_console, a_state_that_is_damaged_is_refused_or_harmless)
{
	struct kt_buffer state = KT_BUFFER_NULL;
	struct fixture f, copy;
	unsigned int n_refused = 0;

	begin(&f);
	start(&f);
	host_writes(&f, "unread");
	cr_assert(zero(int, kt_kvm_virtio_save(&f.console.virtio, &state)));
	for (size_t i = 0; i < state.len; i++) {
		struct kt_err err = KT_ERR_NULL;
		int r;

		begin(&copy);
		state.data[i] ^= 0x5a;
		r = kt_kvm_virtio_load(&copy.console.virtio, (uint8_t *)state.data, state.len,
				       &err);
		state.data[i] ^= 0x5a;
		n_refused += r < 0;
		cr_assert(r == 0 || (r == -EINVAL && err.text[0]), "byte %zu: %d", i, r);
		kt_kvm_virtio_go(&copy.console.virtio);
		kvm_run_loop(&copy.guest);
		end(&copy);
	}
	cr_assert(gt(uint, n_refused, 40));
	for (size_t len = 0; len < state.len; len++) {
		begin(&copy);
		cr_assert(eq(int,
			     kt_kvm_virtio_load(&copy.console.virtio, (uint8_t *)state.data, len,
						NULL),
			     -EINVAL),
			  "%zu bytes", len);
		end(&copy);
	}
	kt_buffer_deinit(&state);
	end(&f);
}
