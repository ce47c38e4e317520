/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/kvm/snapshot.h"
#include "vmm/kvm/stop.h"

/*
 * The sections of a state are in the order in which they are taken over: vCPUs, clocks, KVM's
 * chips, then the devices, because an interrupt that a device raises would be overwritten by the
 * state of the chips.
 */

static int add_virtio(const struct kt_kvm_virtio *virtio, struct kt_buffer *state)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer bytes = KT_BUFFER_NULL;
	int r = kt_kvm_virtio_save(virtio, &bytes);

	return r ?: kt_kvm_state_add(state, KT_KVM_SECTION_VIRTIO, bytes.data, bytes.len);
}

static int add_devices(struct kvm *kvm, struct kt_buffer *state)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer serial = KT_BUFFER_NULL;
	int r = kt_kvm_serial_save(&kvm->serial, &serial)
			?: kt_kvm_state_add(state, KT_KVM_SECTION_PCI, &kvm->pci.address,
					    sizeof(kvm->pci.address))
			?: kt_kvm_state_add(state, KT_KVM_SECTION_SERIAL, serial.data, serial.len);

	for (unsigned int i = 0; r == 0 && i < kvm->n_virtios; i++)
		r = add_virtio(kvm->virtios[i], state);
	return r;
}

static int make_state(struct kvm *kvm, struct kt_buffer *state, struct kt_err *reterr)
{
	int r = kt_kvm_state_begin(state) < 0 ? kt_err_oom(reterr) : 0;

	r = r ?: kt_kvm_vcpus_save(&kvm->crew, state, reterr);
	if (r == 0 &&
	    kt_kvm_state_add(state, KT_KVM_SECTION_CLOCK, &kvm->clock, sizeof(kvm->clock)) < 0)
		r = kt_err_oom(reterr);
	r = r ?: kt_kvm_chips_save(&kvm->vm, state, reterr);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&kvm->lock);
	r = add_devices(kvm, state);
	(void)pthread_mutex_unlock(&kvm->lock);
	return r < 0 ? kt_err_oom(reterr) : 0;
}

int kt_kvm_save_devices(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer state = KT_BUFFER_NULL;
	struct kvm *kvm = kt_kvm_of(machine);
	int r;

	(void)deadline_ns;
	if (kvm->runs || !kvm->has_crew)
		return kt_err_set(reterr, -EBUSY, "only a machine that stands still can be saved");
	r = make_state(kvm, &state, reterr);
	if (r < 0)
		return r;
	r = kt_write_full(state_fd, state.data, state.len);
	return r < 0 ? kt_err_set(reterr, r, "the state of the machine cannot be written: %m") : 0;
}

int kt_kvm_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		struct kt_err *reterr)
{
	int r = kt_kvm_pause(machine, deadline_ns, reterr);

	return r ?: kt_kvm_save_devices(machine, state_fd, deadline_ns, reterr);
}

/* ---- Taking over ---- */

static int read_state(int fd, struct kt_buffer *state, struct kt_err *reterr)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return kt_err_set(reterr, -errno, "the state of the machine: %m");
	if (st.st_size <= 0 || st.st_size > (off_t)KT_KVM_STATE_MAX)
		return kt_err_set(reterr, -EINVAL, "a state of %lld bytes: 1 to %u are possible",
				  (long long)st.st_size, KT_KVM_STATE_MAX);
	if (kt_buffer_reserve(state, (size_t)st.st_size) < 0)
		return kt_err_oom(reterr);
	while (state->len < (size_t)st.st_size) {
		ssize_t n = pread(fd, state->data + state->len, (size_t)st.st_size - state->len,
				  (off_t)state->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return kt_err_set(reterr, n < 0 ? -errno : -EIO,
					  "the state of the machine cannot be read: %m");
		state->len += (size_t)n;
	}
	return 0;
}

static int load_number(const struct kt_kvm_piece *piece, void *to, size_t len,
		       struct kt_err *reterr)
{
	if (piece->len != len)
		return kt_err_set(reterr, -EINVAL, "section '%.4s' has %zu bytes, not %zu",
				  (const char *)&piece->section, piece->len, len);
	memcpy(to, piece->data, len);
	return 0;
}

static int load_clock(struct kvm *kvm, const struct kt_kvm_piece *piece, struct kt_err *reterr)
{
	int r = load_number(piece, &kvm->clock, sizeof(kvm->clock), reterr);

	return r ?: kt_kvm_clock_set(&kvm->crew, &kvm->clock, reterr);
}

/* How many sections of a kind that is there more than once were taken over. */
struct loaded {
	unsigned int vcpus, virtios;
};

static int load_virtio(struct kvm *kvm, const struct kt_kvm_piece *piece, unsigned int *next,
		       struct kt_err *reterr)
{
	if (*next == kvm->n_virtios)
		return kt_err_set(reterr, -EINVAL,
				  "the state has more than the %u virtio devices of this machine",
				  kvm->n_virtios);
	return kt_kvm_virtio_load(kvm->virtios[(*next)++], piece->data, piece->len, reterr);
}

static int load_vcpu(struct kvm *kvm, const struct kt_kvm_piece *piece, unsigned int *next,
		     struct kt_err *reterr)
{
	if (*next == kvm->crew.n)
		return kt_err_set(reterr, -EINVAL,
				  "the state has more than the %u vCPUs of this "
				  "machine",
				  kvm->crew.n);
	return kt_kvm_vcpu_load(&kvm->crew.at[(*next)++], piece, reterr);
}

static int load_piece(struct kvm *kvm, const struct kt_kvm_piece *piece, struct loaded *loaded,
		      struct kt_err *reterr)
{
	switch (piece->section) {
	case KT_KVM_SECTION_VCPU:
		return load_vcpu(kvm, piece, &loaded->vcpus, reterr);
	case KT_KVM_SECTION_CLOCK:
		return load_clock(kvm, piece, reterr);
	case KT_KVM_SECTION_CHIPS:
		return kt_kvm_chips_load(&kvm->vm, piece, reterr);
	case KT_KVM_SECTION_PCI:
		return load_number(piece, &kvm->pci.address, sizeof(kvm->pci.address), reterr);
	case KT_KVM_SECTION_SERIAL:
		return kt_kvm_serial_load(&kvm->serial, piece->data, piece->len, reterr);
	case KT_KVM_SECTION_VIRTIO:
		return load_virtio(kvm, piece, &loaded->virtios, reterr);
	default:
		return kt_err_set(reterr, -EINVAL, "section '%.4s' is unknown",
				  (const char *)&piece->section);
	}
}

int kt_kvm_image_load(struct kvm *kvm, int state_fd, struct kt_err *reterr)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer state = KT_BUFFER_NULL;
	struct kt_kvm_piece piece;
	struct loaded loaded = { 0 };
	size_t at = 0;
	int r = read_state(state_fd, &state, reterr);

	if (r < 0)
		return r;
	while ((r = kt_kvm_state_next(state.data, state.len, &at, &piece, reterr)) > 0) {
		r = load_piece(kvm, &piece, &loaded, reterr);
		if (r < 0)
			return r;
	}
	if (r == 0 && (loaded.vcpus != kvm->crew.n || loaded.virtios != kvm->n_virtios))
		r = kt_err_set(reterr, -EINVAL,
			       "the state has %u of the %u vCPUs and %u of the %u virtio devices "
			       "of this machine",
			       loaded.vcpus, kvm->crew.n, loaded.virtios, kvm->n_virtios);
	return r;
}
