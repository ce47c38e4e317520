/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/serial.h"

#include <errno.h>
#include <string.h>

#include "vmm/kvm/map.h"

/*
 * National Semiconductor's PC16550D, as far as Linux's 8250 driver looks: it finds the FIFO by the
 * two high bits of IIR, tests the loop-back of the modem lines, and sends when the transmitter is
 * empty. Bytes that are sent go to a buffer, which the session's loop takes.
 */

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR, N_REGISTERS };

#define IER_SENT      0x02u
#define IIR_NONE      0x01u
#define IIR_SENT      0x02u
#define IIR_FIFO      0xc0u
#define FCR_ENABLE    0x01u
#define LCR_DLAB      0x80u
#define LSR_EMPTY     0x60u /* the transmitter, and its shift register */
#define MCR_LOOP      0x10u
#define MSR_CONNECTED 0xb0u /* CTS, DSR and DCD */

/* A guest may write while nobody takes it; what is more than this is dropped. */
#define OUTPUT_MAX (16u << 20)

static void tell_sent(struct kt_kvm_serial *serial)
{
	serial->sent = true;
	if (serial->ier & IER_SENT)
		serial->interrupt(serial->data);
}

static void send_byte(struct kt_kvm_serial *serial, uint8_t byte)
{
	bool was_empty = !serial->output.len;

	if (serial->output.len < OUTPUT_MAX)
		(void)kt_buffer_append(&serial->output, &byte, 1);
	if (was_empty)
		serial->written(serial->data);
	tell_sent(serial);
}

/* The modem lines of a port that is looped back are its own: MCR's bits, in MSR's order. */
static uint8_t modem_status(const struct kt_kvm_serial *serial)
{
	uint8_t mcr = serial->mcr;

	if (!(mcr & MCR_LOOP))
		return MSR_CONNECTED;
	return (uint8_t)((mcr & 0x02) << 3 | (mcr & 0x01) << 5 | (mcr & 0x0c) << 4);
}

static uint8_t interrupt_reason(struct kt_kvm_serial *serial)
{
	uint8_t fifo = serial->fcr & FCR_ENABLE ? IIR_FIFO : 0;
	bool pending = serial->sent && serial->ier & IER_SENT;

	if (pending)
		serial->sent = false;
	return (uint8_t)(fifo | (pending ? IIR_SENT : IIR_NONE));
}

static uint8_t read_register(struct kt_kvm_serial *serial, uint64_t offset)
{
	bool divisor = serial->lcr & LCR_DLAB;

	switch (offset) {
	case DATA:
		return divisor ? serial->dll : 0;
	case IER:
		return divisor ? serial->dlm : serial->ier;
	case IIR_FCR:
		return interrupt_reason(serial);
	case LCR:
		return serial->lcr;
	case MCR:
		return serial->mcr;
	case LSR:
		return LSR_EMPTY;
	case MSR:
		return modem_status(serial);
	default:
		return serial->scr;
	}
}

static void set_enabled(struct kt_kvm_serial *serial, uint8_t ier)
{
	bool begins = ~serial->ier & ier & IER_SENT;

	serial->ier = ier & 0x0f;
	if (begins) /* the transmitter is empty, which is a reason for an interrupt */
		tell_sent(serial);
}

static void write_register(struct kt_kvm_serial *serial, uint64_t offset, uint8_t value)
{
	bool divisor = serial->lcr & LCR_DLAB;

	switch (offset) {
	case DATA:
		if (divisor)
			serial->dll = value;
		else if (!(serial->mcr & MCR_LOOP))
			send_byte(serial, value);
		break;
	case IER:
		if (divisor)
			serial->dlm = value;
		else
			set_enabled(serial, value);
		break;
	case IIR_FCR:
		serial->fcr = value;
		break;
	case LCR:
		serial->lcr = value;
		break;
	case MCR:
		serial->mcr = value & 0x1f;
		break;
	case SCR:
		serial->scr = value;
		break;
	default: /* the status registers are read-only */
		break;
	}
}

static void read_ports(void *data, uint64_t offset, uint8_t *bytes, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		bytes[i] = read_register(data, offset + i);
}

static void write_ports(void *data, uint64_t offset, const uint8_t *bytes, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++)
		write_register(data, offset + i, bytes[i]);
}

int kt_kvm_serial_init(struct kt_kvm_serial *serial, struct kt_kvm_bus *ports)
{
	serial->ports = (struct kt_kvm_range){
		.base = KT_KVM_PORT_SERIAL,
		.len = N_REGISTERS,
		.read = read_ports,
		.write = write_ports,
		.data = serial,
	};
	return kt_kvm_bus_add(ports, &serial->ports);
}

void kt_kvm_serial_deinit(struct kt_kvm_serial *serial)
{
	kt_buffer_deinit(&serial->output);
}

int kt_kvm_serial_save(const struct kt_kvm_serial *serial, struct kt_buffer *state)
{
	const uint8_t registers[KT_KVM_SERIAL_STATE_LEN] = {
		serial->ier, serial->lcr, serial->mcr, serial->scr,
		serial->fcr, serial->dll, serial->dlm, serial->sent,
	};

	return kt_buffer_append(state, registers, sizeof(registers));
}

int kt_kvm_serial_load(struct kt_kvm_serial *serial, const uint8_t *state, size_t len,
		       struct kt_err *reterr)
{
	if (len != KT_KVM_SERIAL_STATE_LEN)
		return kt_err_set(reterr, -EINVAL, "serial port: %zu bytes of state, not %u", len,
				  KT_KVM_SERIAL_STATE_LEN);
	serial->ier = state[0] & 0x0f;
	serial->lcr = state[1];
	serial->mcr = state[2] & 0x1f;
	serial->scr = state[3];
	serial->fcr = state[4];
	serial->dll = state[5];
	serial->dlm = state[6];
	serial->sent = state[7];
	return 0;
}
