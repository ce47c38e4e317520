/* SPDX-License-Identifier: MIT */
/*
 * Memory contexts that race against a boot: each attaches to a machine at a random moment, and has
 * to find the kernel by itself, whether that was there already, was about to write VMCOREINFO, or
 * was still the firmware.
 *
 * usage: attach KERNEL MOMENTS SEED
 *
 * KERNEL is a bzImage or a vmlinux; it boots once for every ten moments. One line tells each
 * attachment. The exit status is 0 if every context has healed, and has said at most one line
 * meanwhile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/random.h"
#include "vmm/inspect/path.h"
#include "vmm/machine.h"
#include "vmm/memctx.h"
#include "vmm/qemu/qemu.h"

#define PER_BOOT      10u
#define N_CPUS        2u
#define BOOT_LIMIT_NS (600 * KT_NSEC_PER_SEC)
/* Without a root file system the kernel waits for ever, when it has booted. */
#define CMDLINE "console=ttyS0 tsc=reliable lpj=4000000 idle=halt rootwait root=/dev/nothing"

struct boot {
	struct kt_loop *loop;
	struct kt_machine *machine;
	uint64_t began_ns;
	bool ended;
};

/* One context that attaches when its timer is due. */
struct attachment {
	struct boot *boot;
	struct kt_timer timer;
	struct kt_memctx *memctx;
	uint64_t at_ns, healed_ns; /* since the boot began */
	unsigned int n_lines;
	bool wrong; /* what it has found is not this kernel */
	struct kt_err err;
};

static int give_memory(void *source, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	struct boot *boot = source;

	return kt_machine_memory(boot->machine, ret_mem, reterr);
}

static void on_published(void *data, struct kt_inspect *inspect)
{
	struct attachment *attachment = data;
	uint64_t n_cpus = 0;

	attachment->healed_ns = kt_now_ns() - attachment->boot->began_ns;
	attachment->wrong =
		kt_inspect_value(inspect, "nr_cpu_ids", &n_cpus, &attachment->err) < 0 ||
		n_cpus != N_CPUS;
}

static void on_note(void *data, const char *line)
{
	struct attachment *attachment = data;

	(void)line;
	attachment->n_lines++;
}

static void on_due(void *data)
{
	struct attachment *attachment = data;
	const struct kt_memctx_config config = {
		.memory = give_memory,
		.source = attachment->boot,
		.loop = attachment->boot->loop,
		.published = on_published,
		.note = on_note,
		.data = attachment,
	};

	attachment->at_ns = kt_now_ns() - attachment->boot->began_ns;
	if (kt_memctx_new(&config, &attachment->memctx) < 0)
		abort();
}

static void on_port(void *data, const uint8_t *bytes, size_t len)
{
	(void)data;
	(void)bytes;
	(void)len;
}

static void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct boot *boot = data;

	(void)fprintf(stderr, "the machine has ended: %s\n", exit->detail);
	boot->ended = true;
}

static const struct kt_machine_events events = {
	.port = on_port,
	.console = on_port,
	.exited = on_exited,
};

static int start(struct boot *boot, const char *kernel, struct kt_err *reterr)
{
	struct kt_qemu_program qemu;
	struct kt_machine_config config = {
		.kernel = kernel,
		.initramfs_fd = memfd_create("nothing", MFD_CLOEXEC),
		.cmdline = CMDLINE,
		.topology = { 1, 1, N_CPUS, 1 },
		.memory_mib = 512,
		.accel = KT_ACCEL_TCG,
		.qemu = qemu.path,
		.ram_fd = -1,
	};
	int r = kt_qemu_find(KT_QEMU_DEFAULT, &qemu, reterr) ?: kt_loop_new(&boot->loop);

	/* QEMU wants some file; the kernel takes zeros for an empty archive. */
	if (config.initramfs_fd < 0 || ftruncate(config.initramfs_fd, 4096) < 0)
		return -ENOMEM;
	r = r ?: kt_machine_new(boot->loop, KT_VMM_QEMU, &events, boot, &boot->machine, reterr);
	boot->began_ns = kt_now_ns();
	r = r ?: kt_machine_start(boot->machine, &config, reterr);
	(void)close(config.initramfs_fd);
	return r;
}

static bool all_healed(const struct attachment *attachments, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (!attachments[i].healed_ns)
			return false;
	}
	return true;
}

/* Boots once. The attachments know when they are due, in ns since the boot's beginning. */
static int race(const char *kernel, struct attachment *attachments, unsigned int n)
{
	struct kt_err err = KT_ERR_NULL;
	struct boot boot = { .loop = NULL };
	int r = start(&boot, kernel, &err);

	if (r < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	for (unsigned int i = 0; i < n; i++) {
		attachments[i].boot = &boot;
		attachments[i].timer.fn = on_due;
		attachments[i].timer.data = &attachments[i];
		kt_timer_arm(boot.loop, &attachments[i].timer,
			     boot.began_ns + attachments[i].at_ns);
	}
	while (r == 0 && !boot.ended && !all_healed(attachments, n))
		r = kt_loop_step(boot.loop, boot.began_ns + BOOT_LIMIT_NS);
	for (unsigned int i = 0; i < n; i++) {
		kt_timer_disarm(boot.loop, &attachments[i].timer);
		attachments[i].memctx = kt_memctx_free(attachments[i].memctx);
	}
	kt_machine_destroy(boot.machine);
	boot.loop = kt_loop_free(boot.loop);
	return r;
}

/* Whether it is as it should be; prints its line. */
static bool judge(const struct attachment *at)
{
	bool good = at->healed_ns && at->n_lines <= 1 && !at->wrong;

	(void)printf("attached at %.3f s, ", (double)at->at_ns / 1e9);
	if (!at->healed_ns)
		(void)printf("never healed");
	else
		(void)printf("healed %.3f s later", (double)(at->healed_ns - at->at_ns) / 1e9);
	(void)printf(", %u line%s%s%s\n", at->n_lines, at->n_lines == 1 ? "" : "s",
		     at->wrong ? "; it sees another kernel: " : "", at->wrong ? at->err.text : "");
	return good;
}

int main(int argc, char **argv)
{
	unsigned int n = argc == 4 ? (unsigned int)atoi(argv[2]) : 0, n_good = 0, n_early = 0;
	uint64_t seed = argc == 4 ? strtoull(argv[3], NULL, 0) : 0, state = seed, boot_ns;
	struct attachment first = { .at_ns = 0 };

	if (!n) {
		(void)fprintf(stderr, "usage: attach KERNEL MOMENTS SEED\n");
		return 2;
	}
	/* How long it takes here until the kernel can be seen. */
	if (race(argv[1], &first, 1) < 0 || !judge(&first))
		return 1;
	boot_ns = first.healed_ns;
	for (unsigned int done = 0; done < n; done += PER_BOOT) {
		unsigned int now = n - done < PER_BOOT ? n - done : PER_BOOT;
		struct attachment attachments[PER_BOOT] = { { .at_ns = 0 } };

		for (unsigned int i = 0; i < now; i++)
			attachments[i].at_ns = kt_random_next(&state) % (boot_ns + boot_ns / 4);
		(void)race(argv[1], attachments, now);
		for (unsigned int i = 0; i < now; i++) {
			n_good += judge(&attachments[i]);
			n_early += attachments[i].n_lines != 0;
		}
	}
	(void)printf(
		"%u of %u have healed, %u of them began before the kernel was there; seed %" PRIu64
		"\n",
		n_good, n, n_early, seed);
	return n_good == n && n_early ? 0 : 1;
}
