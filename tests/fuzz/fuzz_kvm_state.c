/* SPDX-License-Identifier: MIT */
/* The saved state of a console: what is taken over can be used, and saves itself as it was. */
#include <linux/virtio_pci.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/kvm_guest.h"
#include "util/cleanup.h"
#include "vmm/kvm/console.h"

static void on_bytes(void *data, const uint8_t *bytes, size_t len)
{
	(void)data;
	(void)bytes;
	(void)len;
}

/* Loaded into a second device and saved there, the state does not change any more. */
static void check_again(const struct kt_kvm_console *console)
{
	struct kt_buffer first = KT_BUFFER_NULL, second = KT_BUFFER_NULL;
	struct kt_kvm_console *other = calloc(1, sizeof(*other));
	struct kvm_guest *guest = malloc(sizeof(*guest));
	struct kt_err err = KT_ERR_NULL;

	KT_FUZZ_ASSERT(other && guest);
	kvm_guest_init(guest);
	KT_FUZZ_ASSERT(kt_kvm_console_init(other, on_bytes, NULL, &guest->host, KT_KVM_GSI_MSI,
					   &guest->pci, &guest->memory) == 0);
	KT_FUZZ_ASSERT(kt_kvm_virtio_save(&console->virtio, &first) == 0);
	KT_FUZZ_ASSERT(kt_kvm_virtio_load(&other->virtio, (uint8_t *)first.data, first.len, &err) ==
		       0);
	KT_FUZZ_ASSERT(kt_kvm_virtio_save(&other->virtio, &second) == 0);
	KT_FUZZ_ASSERT(first.len == second.len && !memcmp(first.data, second.data, first.len));
	kt_buffer_deinit(&first);
	kt_buffer_deinit(&second);
	kt_kvm_console_deinit(other);
	kvm_guest_deinit(guest);
	free(other);
	free(guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kvm_console *console = calloc(1, sizeof(*console));
	struct kvm_guest *guest = malloc(sizeof(*guest));
	struct kt_err err = KT_ERR_NULL;
	int r;

	KT_FUZZ_ASSERT(console && guest);
	kvm_guest_init(guest);
	KT_FUZZ_ASSERT(kt_kvm_console_init(console, on_bytes, NULL, &guest->host, KT_KVM_GSI_MSI,
					   &guest->pci, &guest->memory) == 0);
	r = kt_kvm_virtio_load(&console->virtio, data, size, &err);
	KT_FUZZ_ASSERT(r == 0 || (r < 0 && err.text[0]));
	if (r == 0) {
		check_again(console);
		kt_kvm_virtio_go(&console->virtio); /* works on each queue */
		kvm_run_loop(guest);
		for (unsigned int at = 0; at < 64; at += 4)
			(void)kvm_bar_read(guest, at, 4);
	}
	kt_kvm_console_deinit(console);
	kvm_guest_deinit(guest);
	free(console);
	free(guest);
	return 0;
}
