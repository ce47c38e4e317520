/* SPDX-License-Identifier: MIT */
/*
 * Accesses of a guest to the serial port, and its saved registers. The first byte of the input says
 * which: registers of a state, then accesses, or accesses alone. Each access is three bytes.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/map.h"
#include "vmm/kvm/serial.h"

#define ACCESS_LEN 3u

static void count(void *data)
{
	++*(unsigned int *)data;
}

/* Bytes that are sent come out as they are; a byte more for each write at most. */
static void access_port(struct kt_kvm_serial *serial, const struct kt_kvm_bus *ports,
			const uint8_t *input)
{
	unsigned int len = 1u << (input[0] >> 1 & 3);
	uint64_t at = KT_KVM_PORT_SERIAL + (input[1] & 7);
	uint8_t bytes[8];
	size_t before = serial->output.len;

	memset(bytes, input[2], sizeof(bytes));
	if (input[0] & 1)
		kt_kvm_bus_write(ports, at, bytes, len);
	else
		kt_kvm_bus_read(ports, at, bytes, len);
	KT_FUZZ_ASSERT(serial->output.len <= before + (input[0] & 1));
	if (serial->output.len > before)
		KT_FUZZ_ASSERT((uint8_t)serial->output.data[before] == input[2]);
}

/* A port that takes over a saved state saves the same state. */
static void check_state(const struct kt_kvm_serial *serial)
{
	struct kt_buffer first = KT_BUFFER_NULL, second = KT_BUFFER_NULL;
	struct kt_kvm_serial other = { .data = NULL };
	struct kt_err err = KT_ERR_NULL;

	KT_FUZZ_ASSERT(kt_kvm_serial_save(serial, &first) == 0);
	KT_FUZZ_ASSERT(kt_kvm_serial_load(&other, (uint8_t *)first.data, first.len, &err) == 0);
	KT_FUZZ_ASSERT(kt_kvm_serial_save(&other, &second) == 0);
	KT_FUZZ_ASSERT(first.len == second.len && !memcmp(first.data, second.data, first.len));
	kt_buffer_deinit(&first);
	kt_buffer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kvm_bus ports = KT_KVM_BUS_NULL;
	unsigned int n = 0;
	struct kt_kvm_serial serial = { .interrupt = count, .written = count, .data = &n };
	struct kt_err err = KT_ERR_NULL;

	KT_FUZZ_ASSERT(kt_kvm_serial_init(&serial, &ports) == 0);
	if (size && data[0] & 1) {
		size_t len =
			size - 1 < KT_KVM_SERIAL_STATE_LEN ? size - 1 : KT_KVM_SERIAL_STATE_LEN;
		int r = kt_kvm_serial_load(&serial, data + 1, len, &err);

		KT_FUZZ_ASSERT(r == 0 || (r < 0 && err.text[0]));
		data += len;
		size -= len;
	}
	for (; size > ACCESS_LEN; data += ACCESS_LEN, size -= ACCESS_LEN)
		access_port(&serial, &ports, data + 1);
	check_state(&serial);
	kt_kvm_serial_deinit(&serial);
	return 0;
}
