/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/kvm/acpi.h"
#include "vmm/kvm/boot.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/image.h"
#include "vmm/kvm/map.h"
#include "vmm/kvm/state.h"
#include "vmm/kvm/stop.h"

/*
 * The session's thread owns the machine and runs its event loop; each vCPU has a thread (vcpu.c).
 * The threads of the vCPUs meet the devices under the device lock. What they have for the session,
 * output of the serial port, a watch that was hit, the end of the machine, they leave in struct kvm
 * and ring a bell: every callback to the session is made in its loop, without the lock.
 *
 * stop.c has how the machine stands and goes on, image.c how it is saved.
 */

#define STUCK_AGAIN_NS KT_NSEC_PER_SEC

/* Each virtio device has as many GSIs as vectors, in the order in which they are on the bus. */
#define GSI_OF(n) (KT_KVM_GSI_MSI + (n)*KT_KVM_MSIX_MAX)

_Static_assert(KVM_VIRTIOS_MAX *KT_KVM_MSIX_MAX <= KT_KVM_MSI_MAX, "there are GSIs for all");

/* ---- What vCPUs and devices call, in any thread ---- */

static void ring(struct kvm *kvm)
{
	uint64_t one = 1;

	(void)!write(kvm->bell.fd, &one, sizeof(one));
}

void kt_kvm_end(struct kvm *kvm, enum kt_exit_reason reason, const char *detail)
{
	if (kvm->has_exit)
		return;
	kvm->has_exit = true;
	kvm->exit.reason = reason;
	(void)snprintf(kvm->exit.detail, sizeof(kvm->exit.detail), "%s", detail);
	ring(kvm);
}

static void on_access(void *data, bool is_memory, uint64_t at, uint8_t *bytes, unsigned int len,
		      bool is_write)
{
	struct kvm *kvm = data;
	const struct kt_kvm_bus *bus = is_memory ? &kvm->memory : &kvm->ports;

	(void)pthread_mutex_lock(&kvm->lock);
	if (is_write)
		kt_kvm_bus_write(bus, at, bytes, len);
	else
		kt_kvm_bus_read(bus, at, bytes, len);
	(void)pthread_mutex_unlock(&kvm->lock);
}

static void on_hit(void *data)
{
	ring(data);
}

static void on_vcpu_ended(void *data, unsigned int vcpu, bool is_triple_fault, const char *why)
{
	struct kvm *kvm = data;
	char text[256];

	(void)snprintf(text, sizeof(text), "%svCPU %u: %s",
		       is_triple_fault ? "the guest reset itself: " : "", vcpu, why);
	(void)pthread_mutex_lock(&kvm->lock);
	kt_kvm_end(kvm, is_triple_fault ? KT_EXIT_RESET : KT_EXIT_VMM_ERROR, text);
	(void)pthread_mutex_unlock(&kvm->lock);
}

static const struct kt_kvm_crew_ops crew_ops = {
	.access = on_access,
	.hit = on_hit,
	.ended = on_vcpu_ended,
};

static void on_power(void *data, enum kt_kvm_power power)
{
	if (power == KT_KVM_POWER_OFF)
		kt_kvm_end(data, KT_EXIT_SHUTDOWN, "the guest powered off");
	else
		kt_kvm_end(data, KT_EXIT_RESET, "the guest reset itself (a panic or a reboot)");
	kt_kvm_crew_kick(&((struct kvm *)data)->crew);
}

static void on_serial_interrupt(void *data)
{
	kt_kvm_vm_pulse(&((struct kvm *)data)->vm, KT_KVM_IRQ_SERIAL);
}

static void on_serial_written(void *data)
{
	ring(data);
}

static int host_route(void *data, unsigned int gsi, const struct kt_kvm_msi *msi)
{
	return kt_kvm_vm_route(&((struct kvm *)data)->vm, gsi, msi);
}

static int host_raise(void *data, unsigned int gsi)
{
	return kt_kvm_vm_raise(&((struct kvm *)data)->vm, gsi);
}

static int host_notify(void *data, uint64_t gpa, int eventfd)
{
	return kt_kvm_vm_notify(&((struct kvm *)data)->vm, gpa, eventfd, true);
}

static int host_unnotify(void *data, uint64_t gpa, int eventfd)
{
	return kt_kvm_vm_notify(&((struct kvm *)data)->vm, gpa, eventfd, false);
}

/* A guest without its port is a guest that says nothing any more. */
static void host_broken(void *data, const char *text)
{
	kt_kvm_end(data, KT_EXIT_VMM_ERROR, text);
}

static const struct kt_kvm_host_ops host_ops = {
	.route = host_route,
	.raise = host_raise,
	.notify = host_notify,
	.unnotify = host_unnotify,
	.broken = host_broken,
};

/* ---- In the loop ---- */

static void on_port(void *data, const uint8_t *bytes, size_t len)
{
	struct kvm *kvm = data;

	kvm->machine.events->port(kvm->machine.data, bytes, len);
}

/* The buffer is taken, so that the session is called without the lock. */
static void deliver_serial(struct kvm *kvm)
{
	struct kt_buffer output;

	(void)pthread_mutex_lock(&kvm->lock);
	output = kt_buffer_take(&kvm->serial.output);
	(void)pthread_mutex_unlock(&kvm->lock);
	if (output.len)
		kvm->machine.events->console(kvm->machine.data, (const uint8_t *)output.data,
					     output.len);
	kt_buffer_deinit(&output);
}

static bool has_exit(struct kvm *kvm)
{
	bool ret;

	(void)pthread_mutex_lock(&kvm->lock);
	ret = kvm->has_exit;
	(void)pthread_mutex_unlock(&kvm->lock);
	return ret;
}

/* The machine stands until it is destroyed, so that it can be looked at. */
static void tell_end(struct kvm *kvm)
{
	struct kt_err err = KT_ERR_NULL;

	if (kvm->has_ended || !has_exit(kvm))
		return;
	kvm->has_ended = true;
	/* One that did not park in time has ended the machine, and is not waited for again. */
	if (!kvm->is_stuck && kt_kvm_stand(kvm, KT_NSEC_NEVER, &err) < 0)
		(void)snprintf(kvm->exit.detail, sizeof(kvm->exit.detail), "%s", err.text);
	kt_kvm_console_drain(&kvm->console);
	deliver_serial(kvm);
	kvm->machine.events->exited(kvm->machine.data, &kvm->exit);
}

static void on_bell(void *data, uint32_t events)
{
	struct kvm *kvm = data;
	uint64_t count;

	(void)events;
	(void)!read(kvm->bell.fd, &count, sizeof(count));
	deliver_serial(kvm);
	kt_kvm_look_after(kvm);
	tell_end(kvm);
}

/* ---- Making a machine ---- */

#define LAP(part, r) kt_kvm_lap(&kvm->laps, KT_KVM_PART_##part, r)

static int open_ram(struct kvm *kvm, int fd, bool shared, unsigned int mib, struct kt_err *reterr)
{
	kvm->ram_len = (uint64_t)mib << 20;
	kvm->ram_is_shared = shared;
	kvm->ram_fd = fd < 0 ? memfd_create("ktest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING)
			     : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (kvm->ram_fd < 0)
		return kt_err_set(reterr, -errno, "RAM file: %m");
	return 0;
}

static int map_ram(struct kvm *kvm, const struct kt_machine_config *config, struct kt_err *reterr)
{
	int flags = kvm->ram_is_shared ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
	unsigned int n_nodes = kt_machine_n_nodes(&config->topology);
	void *map = mmap(NULL, kvm->ram_len, PROT_READ | PROT_WRITE, flags, kvm->ram_fd, 0);

	if (map == MAP_FAILED)
		return kt_err_set(reterr, -errno, "cannot map the guest's RAM: %m");
	kvm->map = map;
	if (kt_kvm_ram_init(&kvm->ram, map, config->memory_mib, n_nodes) < 0)
		return kt_err_set(reterr, -E2BIG, "%u MiB of RAM in %u nodes", config->memory_mib,
				  n_nodes);
	return 0;
}

static int add_disk(struct kvm *kvm, const struct kt_machine_config *config)
{
	int r = kt_machine_open_disk(config, &kvm->disk_fd);

	if (r < 0)
		return r;
	kvm->has_disk = true;
	kvm->virtios[kvm->n_virtios++] = &kvm->disk.virtio;
	return kt_kvm_blk_init(&kvm->disk, kvm->disk_fd, &kvm->host, GSI_OF(kvm->n_virtios - 1),
			       &kvm->pci, &kvm->memory);
}

static int add_cards(struct kvm *kvm)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < KVM_CARDS; i++) {
		kvm->n_cards++;
		kvm->virtios[kvm->n_virtios++] = &kvm->cards[i].virtio;
		r = kt_kvm_net_init(&kvm->cards[i], (uint8_t)(i + 1), &kvm->cards[!i], &kvm->host,
				    GSI_OF(kvm->n_virtios - 1), &kvm->pci, &kvm->memory);
	}
	return r;
}

static int add_devices(struct kvm *kvm, const struct kt_machine_config *config,
		       struct kt_err *reterr)
{
	int r;

	kvm->host = (struct kt_kvm_host){
		.ram = &kvm->ram,
		.loop = kvm->machine.loop,
		.lock = &kvm->lock,
		.ops = &host_ops,
		.data = kvm,
	};
	kvm->serial.interrupt = on_serial_interrupt;
	kvm->serial.written = on_serial_written;
	kvm->power.wanted = on_power;
	kvm->serial.data = kvm->power.data = kvm;
	r = kt_kvm_serial_init(&kvm->serial, &kvm->ports)
		    ?: kt_kvm_power_init(&kvm->power, &kvm->ports)
		    ?: kt_kvm_pci_init(&kvm->pci, &kvm->ports, &kvm->memory);
	if (r == 0) {
		kvm->has_console = true;
		kvm->virtios[kvm->n_virtios++] = &kvm->console.virtio;
		r = kt_kvm_console_init(&kvm->console, on_port, kvm, &kvm->host, GSI_OF(0),
					&kvm->pci, &kvm->memory);
	}
	if (r == 0 && kt_machine_has_disk(config))
		r = add_disk(kvm, config);
	if (r == 0 && config->net)
		r = add_cards(kvm);
	return r < 0 ? kt_err_set(reterr, r, "cannot make the devices: %m") : 0;
}

static int set_cpuid(struct kvm *kvm, const struct kt_machine_topology *topology,
		     struct kt_err *reterr)
{
	const size_t max = kvm->vm.supported->nent + KT_KVM_CPUID_MORE;
	KT_FREE struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + max * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return kt_err_oom(reterr);
	for (unsigned int i = 0; i < kvm->crew.n; i++) {
		if (kt_kvm_cpuid(kvm->vm.supported, topology, i, cpuid, max) < 0)
			return kt_err_set(reterr, -E2BIG, "vCPU %u: too many leaves of CPUID", i);
		if (ioctl(kvm->crew.at[i].fd, KVM_SET_CPUID2, cpuid) < 0)
			return kt_err_set(reterr, -errno, "vCPU %u: KVM_SET_CPUID2: %m", i);
	}
	return 0;
}

static int make_crew(struct kvm *kvm, const struct kt_machine_topology *topology,
		     struct kt_err *reterr)
{
	unsigned int n = kt_machine_n_vcpus(topology);
	KT_FREE uint32_t *ids = calloc(n, sizeof(*ids));

	if (!ids)
		return kt_err_oom(reterr);
	for (unsigned int i = 0; i < n; i++)
		ids[i] = kt_kvm_apic_id(topology, i);
	kvm->has_crew = true;
	return kt_kvm_crew_init(&kvm->crew, &kvm->vm, ids, n, &crew_ops, kvm, reterr);
}

/* Everything but what is in the RAM and in the vCPUs. */
static int make(struct kvm *kvm, const struct kt_machine_config *config, struct kt_err *reterr)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r;

	kvm->bell = (struct kt_source){ .fd = fd, .events = EPOLLIN, .fn = on_bell, .data = kvm };
	if (fd < 0)
		return kt_err_set(reterr, -errno, "eventfd: %m");
	r = kt_loop_add(kvm->machine.loop, &kvm->bell);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot watch a virtual machine: %m");
	kt_kvm_laps_begin(&kvm->laps);
	r = LAP(RAM, map_ram(kvm, config, reterr));
	if (r < 0)
		return r;
	kvm->has_vm = true;
	r = LAP(VM,
		kt_kvm_vm_init(&kvm->vm, reterr) ?: kt_kvm_vm_set_ram(&kvm->vm, &kvm->ram, reterr));
	if (r < 0)
		return r;
	return LAP(VCPUS, make_crew(kvm, &config->topology, reterr)
				  ?: set_cpuid(kvm, &config->topology, reterr))
		       ?: LAP(DEVICES, add_devices(kvm, config, reterr));
}

static int check_config(const struct kt_machine_config *config, struct kt_err *reterr)
{
	if (config->accel != KT_ACCEL_KVM || config->time != KT_TIME_REAL)
		return kt_err_set(reterr, -EINVAL, "the machine of KVM has real time only");
	return 0;
}

static int load_kernel(struct kvm *kvm, const struct kt_machine_config *config,
		       struct kt_err *reterr)
{
	struct kt_kvm_boot boot = {
		.kernel = config->kernel,
		.initramfs_fd = config->initramfs_fd,
		.cmdline = config->cmdline,
	};
	struct kt_kvm_entry entry;
	int r = kt_kvm_acpi_build(&kvm->ram, &config->topology, &boot.rsdp, reterr);

	if (r < 0)
		return r;
	kt_kvm_power_put_vector(&kvm->ram);
	return kt_kvm_boot_load(&boot, &kvm->ram, &entry, reterr)
		       ?: kt_kvm_boot_set_vcpus(&kvm->crew, &entry, &kvm->ram, reterr);
}

static int kvm_start(struct kt_machine *machine, const struct kt_machine_config *config,
		     struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	int r = check_config(config, reterr)
			?: open_ram(kvm, config->ram_fd, true, config->memory_mib, reterr);

	if (r < 0)
		return r;
	if (ftruncate(kvm->ram_fd, (off_t)kvm->ram_len) < 0)
		return kt_err_set(reterr, -errno, "cannot make the guest's RAM: %m");
	r = make(kvm, config, reterr)
		    ?: LAP(LOAD, load_kernel(kvm, config, reterr))
		    ?: LAP(THREADS, kt_kvm_crew_start(&kvm->crew, reterr));
	if (r == 0) {
		kvm->runs = true;
		kt_kvm_crew_go(&kvm->crew);
	}
	return r;
}

static int kvm_restore(struct kt_machine *machine, const struct kt_machine_config *config,
		       const struct kt_machine_image *image, uint64_t deadline_ns,
		       struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	bool shared = config->ram_fd >= 0;
	int r = check_config(config, reterr)
			?: open_ram(kvm, shared ? config->ram_fd : image->ram_fd, shared,
				    config->memory_mib, reterr);

	r = r ?: make(kvm, config, reterr)
	      ?: LAP(STATE, kt_kvm_image_load(kvm, image->state_fd, reterr))
	      ?: kt_kvm_crew_start(&kvm->crew, reterr);
	if (r < 0)
		return r;
	kvm->paused = true;
	r = image->devices_only ? 0 : machine->ops->resume(machine, deadline_ns, reterr);
	return LAP(THREADS, r);
}

/* ---- Operations ---- */

static int kvm_serve_gdb(struct kt_machine *machine, const char *path, uint64_t deadline_ns,
			 struct kt_err *reterr)
{
	(void)machine;
	(void)deadline_ns;
	return kt_err_set(reterr, -EOPNOTSUPP,
			  "'%s': the native machine serves no gdb; QEMU's does: run the test "
			  "again with --vmm qemu",
			  path);
}

/* KVM translates nothing that could become stale. */
static int kvm_guard(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		     struct kt_err *reterr)
{
	(void)machine;
	(void)hello;
	(void)deadline_ns;
	(void)reterr;
	return 0;
}

static int kvm_memory(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	struct kvm *kvm = kt_kvm_of(machine);
	int r = kvm->ram_is_shared ? kt_mem_map_file(ret_mem, kvm->ram_fd, kvm->ram_len, reterr)
				   : -EPERM;

	if (r != -EPERM)
		return r;
	return kt_mem_of_map(ret_mem, getpid(), kvm->map, kvm->ram_fd, kvm->ram_len, reterr);
}

static int kvm_port_write(struct kt_machine *machine, const struct iovec *parts, size_t n)
{
	struct kvm *kvm = kt_kvm_of(machine);

	return kvm->has_console && !kvm->has_ended ? kt_kvm_console_write(&kvm->console, parts, n)
						   : 0;
}

static void kvm_power_off(struct kt_machine *machine)
{
	struct kvm *kvm = kt_kvm_of(machine);

	(void)pthread_mutex_lock(&kvm->lock);
	kt_kvm_end(kvm, KT_EXIT_SHUTDOWN, "the guest powered off");
	(void)pthread_mutex_unlock(&kvm->lock);
	kt_kvm_crew_kick(&kvm->crew);
}

static uint64_t kvm_clock_ns(struct kt_machine *machine)
{
	const struct kvm *kvm = kt_kvm_of(machine);

	return kvm->has_crew && !kvm->has_ended ? kt_now_ns() - kt_steal_total_ns(getpid()) : 0;
}

static void kvm_mark_steal(struct kt_machine *machine)
{
	struct kvm *kvm = kt_kvm_of(machine);

	kt_steal_deinit(&kvm->steal);
	kt_steal_read(&kvm->steal, getpid());
}

static uint64_t kvm_stolen_ns(struct kt_machine *machine)
{
	KT_CLEANUP(kt_steal_deinit) struct kt_steal now = KT_STEAL_NULL;

	kt_steal_read(&now, getpid());
	return kt_steal_between(&kt_kvm_of(machine)->steal, &now);
}

/*
 * A machine that has waited for a vCPU in vain does so only shortly again. What its threads use,
 * which is all of it, stays until the process ends: the console tells why.
 */
static bool end_crew(struct kvm *kvm)
{
	uint64_t deadline_ns = kvm->is_stuck ? kt_now_ns() + STUCK_AGAIN_NS : KT_NSEC_NEVER;
	struct kt_err err = KT_ERR_NULL;
	char text[256];
	int len;

	if (!kvm->has_crew || kt_kvm_crew_deinit(&kvm->crew, deadline_ns, &err) == 0)
		return true;
	len = snprintf(text, sizeof(text),
		       "ktest: KVM keeps a vCPU, and the machine's memory until the session ends: "
		       "%s\n",
		       err.text);
	kvm->machine.events->console(kvm->machine.data, (const uint8_t *)text,
				     KT_MIN((size_t)len, sizeof(text) - 1));
	return false;
}

static json_t *kvm_figures(struct kt_machine *machine)
{
	const struct kvm *kvm = kt_kvm_of(machine);
	uint64_t exits[KT_KVM_N_EXITS];

	if (!kvm->has_crew)
		return NULL;
	kt_kvm_crew_exits(&kvm->crew, exits);
	return kt_kvm_figures(exits, &kvm->laps);
}

/* The threads go first: then nobody calls into what is freed. */
static void kvm_destroy(struct kt_machine *machine)
{
	struct kvm *kvm = kt_kvm_of(machine);
	int bell = kvm->bell.fd;
	bool ended = end_crew(kvm);

	kt_loop_remove(machine->loop, &kvm->bell);
	if (!ended)
		return;
	(void)kt_close(bell);
	if (kvm->has_console)
		kt_kvm_console_deinit(&kvm->console);
	if (kvm->has_disk)
		kt_kvm_blk_deinit(&kvm->disk);
	for (unsigned int i = 0; i < kvm->n_cards; i++)
		kt_kvm_net_deinit(&kvm->cards[i]);
	kt_kvm_serial_deinit(&kvm->serial);
	if (kvm->has_vm)
		kt_kvm_vm_deinit(&kvm->vm);
	if (kvm->map)
		(void)munmap(kvm->map, kvm->ram_len);
	(void)kt_close(kvm->ram_fd);
	(void)kt_close(kvm->disk_fd);
	kt_steal_deinit(&kvm->steal);
	(void)pthread_mutex_destroy(&kvm->lock);
	free(kvm);
}

static const struct kt_machine_ops kvm_ops = {
	.name = "kvm",
	.start = kvm_start,
	.restore = kvm_restore,
	.save = kt_kvm_save,
	.save_devices = kt_kvm_save_devices,
	.serve_gdb = kvm_serve_gdb,
	.guard = kvm_guard,
	.memory = kvm_memory,
	.port_write = kvm_port_write,
	.pause = kt_kvm_pause,
	.resume = kt_kvm_resume,
	.registers = kt_kvm_registers,
	.watch = kt_kvm_watch,
	.unwatch = kt_kvm_unwatch,
	.power_off = kvm_power_off,
	.clock_ns = kvm_clock_ns,
	.mark_steal = kvm_mark_steal,
	.stolen_ns = kvm_stolen_ns,
	.figures = kvm_figures,
	.destroy = kvm_destroy,
};

int kt_kvm_new(struct kt_loop *loop, const struct kt_machine_events *events, void *data,
	       struct kt_machine **ret_machine, struct kt_err *reterr)
{
	struct kvm *kvm = calloc(1, sizeof(*kvm));

	if (!kvm)
		return kt_err_oom(reterr);
	kvm->machine = (struct kt_machine){
		.ops = &kvm_ops,
		.loop = loop,
		.events = events,
		.data = data,
	};
	(void)pthread_mutex_init(&kvm->lock, NULL);
	kvm->bell = KT_SOURCE_NULL;
	kvm->ram_fd = kvm->disk_fd = -1;
	*ret_machine = &kvm->machine;
	return 0;
}
