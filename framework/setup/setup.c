/* SPDX-License-Identifier: MIT */
#include "framework/setup/setup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/setup/devices.h"
#include "framework/setup/limits.h"
#include "framework/setup/object.h"
#include "framework/setup/time.h"
#include "guest/init/main.h"
#include "guest/test/test.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The order of kt_setup_init() matters. The host comes first: without a QEMU the run is skipped,
 * and nothing else is worth an error. The cargo comes before the image, which packs it. The
 * initramfs is made at once only if machines boot; with templates it is made when the first
 * template has to be built, which is seldom.
 */

#define TCG_TIMEOUT_MULTIPLIER 3.0
#define DEFAULT_TIMEOUT_MS     10000u /* beyond the duration */

/*
 * mitigations=off: a guest that is thrown away has nothing to protect from itself, and under TCG
 * page table isolation alone makes a fork() take half as long again. The kernel passes unknown
 * words of the form KEY=value to PID 1 as environment. LD_BIND_NOW makes the dynamic loader bind
 * all functions before the template is saved; otherwise each restored machine would bind them
 * again at their first calls.
 */
#define CMDLINE                                                                                    \
	"console=ttyS0 panic=-1 mitigations=off tsc=reliable "                                     \
	"cryptomgr.notests=1 damon_stat.enabled=0 LD_BIND_NOW=1 " KT_GUEST_VARIABLE "=1"

/*
 * QEMU's TCG implements MWAIT as a yield when there are several vCPUs: an idle vCPU takes its turns
 * and does nothing in them. HLT stops it until its next interrupt. Kernels choose HLT by themselves
 * where a processor lists no state for MWAIT, as QEMU 10's does; this chooses it everywhere. A KVM
 * guest halts by itself, and perhaps polls first, which wakes it sooner.
 *
 * While it boots, a kernel spins for ten periods of the timer and panics when fewer than five
 * interrupts have come ("IO-APIC + timer doesn't work!", check_timer() of
 * arch/x86/kernel/apic/io_apic.c), as on a host that gives QEMU no CPU for so long. A KVM guest
 * sets no_timer_check by itself (arch/x86/kernel/kvm.c).
 */
#define CMDLINE_TCG " idle=halt no_timer_check"

#define VIRTUAL_TSC_MHZ 1000u /* in virtual time the TSC counts ns */

/* Appends to the warning that the run prints once. */
__attribute__((format(printf, 2, 3))) static void add_note(struct kt_setup *setup,
							   const char *format, ...)
{
	char *note = setup->host.note;
	size_t len = strlen(note), room = sizeof(setup->host.note) - len;
	va_list ap;

	if (len)
		len += KT_MIN((size_t)snprintf(note + len, room, "; "), room - 1);
	va_start(ap, format);
	(void)vsnprintf(note + len, sizeof(setup->host.note) - len, format, ap);
	va_end(ap);
}

/* Virtual time works with every QEMU, but its seed decides only with the plugin. */
static void note_unrepeatable(struct kt_setup *setup)
{
	if (kt_setup_default_time(setup) == KT_TIME_VIRTUAL && !setup->host.repeatable)
		add_note(setup, "this QEMU cannot load ktest's plugin: runs with one seed differ");
}

static int set_up_templates(struct kt_setup *setup)
{
	struct kt_err err = KT_ERR_NULL;

	if (setup->options->boot == KT_BOOT_COLD)
		return 0;
	if (setup->host.vmm == KT_VMM_QEMU && !kt_qemu_can_save(&setup->host.qemu)) {
		add_note(setup,
			 "QEMU %u.%u cannot save machines (8.2 or newer can): each test boots its "
			 "own",
			 setup->host.qemu.major, setup->host.qemu.minor);
		return 0;
	}
	/* Failing to write the cache is not an error: each test boots its machine instead. */
	if (kt_cache_path("templates", &setup->template_dir, &err) < 0)
		add_note(setup, "%s: each test boots its own machine", err.text);
	return 0;
}

/*
 * The guest keeps its files in RAM. Too many of them would kill it without a message, so they are a
 * fault of the test.
 */
static int check_memory(struct kt_setup *setup, const struct kt_test *test, struct kt_err *reterr)
{
	struct kt_packages packages = kt_cargo_packages(&setup->cargo, test);
	uint64_t bytes = kt_image_bytes(setup->image, packages, NULL);
	KT_FREE char *fault = NULL;

	if (!kt_cargo_of(&setup->cargo, test)->uses.n || bytes <= kt_test_files_max(test))
		return 0;
	fault = kt_format("%s:%u: %s: its payloads take %" PRIu64 " MiB, more than half of the "
			  "machine's %u; raise .memory_mib",
			  test->file, test->line, test->name, bytes >> 20,
			  kt_test_memory_mib(test));
	if (!fault || kt_cargo_note_fault(&setup->cargo, test, fault) < 0)
		return kt_err_oom(reterr);
	return 0;
}

/* Whether another kernel of the run has the same release. */
static bool has_twin(const struct kt_setup *setup, size_t index)
{
	for (size_t i = 0; i < setup->n_kernels; i++) {
		if (i != index &&
		    !strcmp(setup->kernels[i].facts.release, setup->kernels[index].facts.release))
			return true;
	}
	return false;
}

/*
 * The cargo with the configuration of each kernel, where libbpf looks for that of the running one.
 * The name has the release only: of two kernels with the same release it would be either.
 */
static int set_up_cargo(struct kt_setup *setup, const struct kt_setup_wants *wants,
			struct kt_err *reterr)
{
	struct kt_image_extra *configs = calloc(setup->n_kernels, sizeof(*configs));
	size_t n = 0;
	int r = configs ? 0 : kt_err_oom(reterr);

	for (size_t i = 0; r == 0 && i < setup->n_kernels; i++) {
		const struct kt_kernel *kernel = &setup->kernels[i];
		char *path = kt_format("/boot/config-%s", kernel->facts.release);

		r = path ? 0 : kt_err_oom(reterr);
		if (path && kernel->config && !has_twin(setup, i))
			configs[n++] = (struct kt_image_extra){ kernel->config, path };
		else
			free(path);
	}
	setup->cargo.shared = configs;
	setup->cargo.n_shared = n;
	setup->cargo.with_disabled = setup->options->ignored != KT_IGNORED_SKIP;
	r = r ?: kt_cargo_init(&setup->cargo, wants->tests, wants->n_tests, reterr);
	setup->cargo.shared = NULL;
	setup->cargo.n_shared = 0;
	for (size_t i = 0; i < n; i++)
		free((char *)configs[i].guest);
	free(configs);
	return r;
}

static int set_up_image(struct kt_setup *setup, const struct kt_setup_wants *wants,
			struct kt_err *reterr)
{
	struct kt_image_options image = {
		.program = "/proc/self/exe",
		.extras = wants->extras,
		.n_extras = wants->n_extras,
	};
	int r = set_up_cargo(setup, wants, reterr);

	if (r < 0)
		return r;
	image.packages = setup->cargo.packages;
	image.n_packages = setup->cargo.n;
	r = kt_schedulers_check(&setup->cargo, wants->tests, wants->n_tests, reterr)
		    ?: kt_image_open(&image, &setup->image, reterr);
	if (r == 0 && kt_cargo_note_faults(&setup->cargo, setup->image) < 0)
		r = kt_err_oom(reterr);
	for (size_t i = 0; r == 0 && i < wants->n_tests; i++)
		r = check_memory(setup, wants->tests[i], reterr);
	return r;
}

/* Whether @b has the version of @a, the first @len bytes of its release. */
static bool same_release(const struct kt_kernel *a, const struct kt_kernel *b, size_t len)
{
	return !strncmp(a->facts.release, b->facts.release, len) &&
	       (!b->facts.release[len] || strchr("+-", b->facts.release[len]));
}

/*
 * The label that tells the kernels of a run apart, fit for file names: "7.0.13" for
 * 7.0.13+deb13-cloud-amd64. If another kernel has the same version, the label is the whole
 * release and the kernel's number, because two builds of one tree may have the same release.
 */
static char *make_label(const struct kt_setup *setup, size_t index)
{
	const struct kt_kernel *kernel = &setup->kernels[index];
	size_t len = strcspn(kernel->facts.release, "+-");

	for (size_t i = 0; i < setup->n_kernels; i++) {
		if (i != index && same_release(kernel, &setup->kernels[i], len))
			return kt_format("%s#%zu", kernel->facts.release, index + 1);
	}
	return strndup(kernel->facts.release, len);
}

static int check_new(const struct kt_setup *setup, const struct kt_kernel *kernel,
		     struct kt_err *reterr)
{
	for (size_t i = 0; i < setup->n_kernels; i++) {
		if (!strcmp(setup->kernels[i].boot, kernel->boot))
			return kt_err_set(
				reterr, -EINVAL, "--kernel %s and --kernel %s are the same (%s)",
				setup->kernels[i].spec, kernel->spec, kernel->facts.release);
	}
	return 0;
}

/*
 * Without "lpj=" the kernel measures the delay loop on every CPU, which takes seconds each when the
 * host has fewer CPUs than the guest: 32 vCPUs booted in 63 s without and 13 s with it. The loop
 * reads the TSC, so the number of loops in a jiffy follows from its speed. With KVM the kernel
 * knows that all CPUs are alike and measures once.
 */
static char *make_cmdline(const struct kt_setup *setup, const struct kt_kernel *kernel,
			  unsigned int tsc_mhz)
{
	const char *append = setup->options->append;
	char lpj[32] = "";

	if (tsc_mhz && kernel->facts.hz)
		(void)snprintf(lpj, sizeof(lpj), " lpj=%llu",
			       tsc_mhz * 1000000ull / kernel->facts.hz);
	return kt_format(CMDLINE "%s%s%s%s", setup->host.accel == KT_ACCEL_TCG ? CMDLINE_TCG : "",
			 lpj, append ? " " : "", append ?: "");
}

static int set_up_kernels(struct kt_setup *setup, struct kt_err *reterr)
{
	const struct kt_strings *specs = &setup->options->kernels;
	size_t n = specs->n ?: 1;

	setup->kernels = calloc(n, sizeof(*setup->kernels));
	if (!setup->kernels)
		return kt_err_oom(reterr);
	for (; setup->n_kernels < n; setup->n_kernels++) {
		struct kt_kernel *kernel = &setup->kernels[setup->n_kernels];
		const char *spec = specs->n ? specs->at[setup->n_kernels] : NULL;
		int r = kt_kernel_resolve(spec, kernel, reterr);

		if (r < 0)
			return r;
		kernel->spec = spec;
		kernel->cmdline = make_cmdline(setup, kernel, setup->host.tsc_mhz);
		kernel->virtual_cmdline = make_cmdline(setup, kernel, VIRTUAL_TSC_MHZ);
		r = kernel->cmdline && kernel->virtual_cmdline ? check_new(setup, kernel, reterr)
							       : kt_err_oom(reterr);
		if (r < 0) {
			kt_kernel_deinit(kernel);
			return r;
		}
	}
	for (size_t i = 0; n > 1 && i < n; i++) {
		setup->kernels[i].label = make_label(setup, i);
		if (!setup->kernels[i].label)
			return kt_err_oom(reterr);
	}
	return 0;
}

double kt_setup_default_multiplier(const struct kt_host *host)
{
	return host->accel == KT_ACCEL_KVM ? 1.0 : TCG_TIMEOUT_MULTIPLIER;
}

int kt_setup_init(struct kt_setup *setup, const struct kt_options *options,
		  const struct kt_setup_wants *wants, struct kt_err *reterr)
{
	int r;

	setup->options = options;
	r = kt_host_probe(options->accel, options->vmm, options->qemu, &setup->host, reterr);
	if (r < 0)
		return r;
	if (options->time == KT_TIME_CHOICE_VIRTUAL && setup->host.accel != KT_ACCEL_TCG)
		return kt_err_set(reterr, -EINVAL,
				  "--time virtual: only emulated machines have it (--accel tcg)");
	if ((options->explore || options->policy_given) &&
	    (kt_setup_default_time(setup) != KT_TIME_VIRTUAL || !setup->host.repeatable))
		return kt_err_set(reterr, -EINVAL,
				  "--explore and --policy need machines that are repeatable: "
				  "emulated ones (--accel tcg) of a QEMU that can load ktest's "
				  "plugin");
	note_unrepeatable(setup);
	kt_confinement_init(&setup->confinement);
	r = set_up_kernels(setup, reterr);
	if (r < 0) /* -ENOENT means that QEMU is missing, and nothing else */
		return r == -ENOENT ? -ENODATA : r;
	r = set_up_image(setup, wants, reterr) ?: set_up_templates(setup);
	if (r == 0 && !setup->template_dir)
		r = kt_setup_initramfs(setup, reterr);
	return r == -ENOENT ? -ENODATA : r;
}

void kt_setup_deinit(struct kt_setup *setup)
{
	for (size_t i = 0; i < setup->n_kernels; i++)
		kt_kernel_deinit(&setup->kernels[i]);
	free(setup->kernels);
	setup->image = kt_image_free(setup->image);
	kt_cargo_deinit(&setup->cargo);
	kt_confinement_deinit(&setup->confinement);
	setup->initramfs_fd = kt_close(setup->initramfs_fd);
	free(setup->template_dir);
}

int kt_setup_initramfs(struct kt_setup *setup, struct kt_err *reterr)
{
	if (setup->initramfs_fd >= 0)
		return 0;
	return kt_image_initramfs(setup->image, &setup->initramfs_fd, reterr);
}

static char *machine_obstacle(const struct kt_setup *setup, const struct kt_kernel *kernel,
			      const struct kt_test *test)
{
	struct kt_machine_config machine = kt_setup_machine(setup, kernel, test);
	const char *lack = kt_machine_lack(&machine);

	return lack ? strdup(lack) : NULL;
}

char *kt_setup_obstacle(const struct kt_setup *setup, const struct kt_kernel *kernel,
			const struct kt_test *test)
{
	if (test->disabled && setup->options->ignored == KT_IGNORED_SKIP)
		return kt_format("disabled: %s", test->disabled);
	return kt_cargo_missing(&setup->cargo, test)
		       ?: kt_schedulers_obstacle(&setup->cargo, kernel, test)
		       ?: kt_devices_obstacle(kernel, test, kt_setup_time(setup, test))
		       ?: machine_obstacle(setup, kernel, test);
}

_Static_assert(KT_TOPOLOGY_LLCS == KT_HELLO_LLCS, "LLCs that a test lists can be told and made");

struct kt_machine_topology kt_setup_topology(const struct kt_test *test)
{
	struct kt_topology topology = kt_test_topology(test);
	struct kt_machine_topology ret = {
		.numa_nodes = topology.numa_nodes,
		.llcs = topology.llcs,
		.cores = topology.cores,
		.threads = topology.threads,
		.memory_nodes = topology.memory_nodes,
	};

	memcpy(ret.llc_cores, topology.llc_cores, sizeof(ret.llc_cores));
	return ret;
}

struct kt_machine_config kt_setup_machine(const struct kt_setup *setup,
					  const struct kt_kernel *kernel,
					  const struct kt_test *test)
{
	enum kt_time time = kt_setup_time(setup, test);

	return (struct kt_machine_config){
		.kernel = kernel->boot,
		.initramfs_fd = setup->initramfs_fd,
		.cmdline = time == KT_TIME_VIRTUAL ? kernel->virtual_cmdline : kernel->cmdline,
		.time = time,
		.insn_shift = kt_setup_insn_shift(kt_test_vcpus(test),
						  setup->options->mips ?: test->mips),
		.host_calls = kt_setup_is_repeatable(setup, test),
		.conflicts = setup->options->policy == KT_TURNS_CONFLICT,
		.topology = kt_setup_topology(test),
		.memory_mib = kt_test_memory_mib(test),
		.disk_mib = test->disk_mib,
		.net = test->net,
		.accel = setup->host.accel,
		.vmm = setup->host.vmm,
		.qemu = setup->host.qemu.path,
		.qemu_sandbox = setup->host.qemu.sandbox,
		.tcg_single_thread = setup->host.tcg_single_thread,
		.ram_fd = -1,
	};
}

static struct kt_machine_topology seen_topology(const struct kt_hello *hello)
{
	struct kt_machine_topology seen = {
		.numa_nodes = hello->numa_nodes,
		.llcs = hello->llcs,
		.cores = hello->cores,
		.threads = hello->threads,
		.memory_nodes = hello->memory_nodes,
	};

	memcpy(seen.llc_cores, hello->llc_cores, sizeof(seen.llc_cores));
	return seen;
}

/* A machine of another shape than the test asks for would make its measurements meaningless. */
static int check_topology(const struct kt_test *test, const struct kt_hello *hello,
			  struct kt_err *reterr)
{
	struct kt_machine_topology want = kt_setup_topology(test), seen = seen_topology(hello);
	KT_FREE char *wanted = kt_machine_topology_text(&want);
	KT_FREE char *found = kt_machine_topology_text(&seen);
	unsigned int cpus = kt_test_vcpus(test);

	if (!wanted || !found)
		return kt_err_oom(reterr);
	if (hello->cpus == cpus && !strcmp(wanted, found))
		return 0;
	return kt_err_set(reterr, -EINVAL,
			  "wrong topology: the test wants %s (%u CPUs); the guest sees %s (%u "
			  "CPUs)",
			  wanted, cpus, found, hello->cpus);
}

/* A template that is found under a wrong key would run another kernel than the report says. */
static int check_kernel(const struct kt_kernel *kernel, const struct kt_hello *hello,
			struct kt_err *reterr)
{
	if (!strncmp(kernel->facts.release, hello->release, sizeof(hello->release) - 1))
		return 0;
	return kt_err_set(reterr, -EINVAL, "wrong kernel: the guest runs %s, not %s",
			  hello->release, kernel->facts.release);
}

int kt_setup_check_guest(const struct kt_kernel *kernel, const struct kt_test *test,
			 const struct kt_hello *hello, struct kt_err *reterr)
{
	return check_kernel(kernel, hello, reterr) ?: check_topology(test, hello, reterr);
}

char *kt_setup_machine_text(const struct kt_setup *setup, const struct kt_kernel *kernel,
			    const struct kt_test *test)
{
	struct kt_machine_config machine = kt_setup_machine(setup, kernel, test);
	const struct kt_template_key key = {
		.machine = &machine,
		.kernel_release = kernel->facts.release,
		.kernel_build_id = kernel->facts.build_id,
		.vmm_major = setup->host.vmm_major,
		.vmm_minor = setup->host.vmm_minor,
	};

	return kt_template_machine_text(&key);
}

uint64_t kt_setup_run_limit_ns(const struct kt_setup *setup, const struct kt_test *test)
{
	uint64_t ms = test->timeout_ms ?: kt_test_duration_ms(test) + DEFAULT_TIMEOUT_MS;
	const struct kt_override *override = kt_override_of(setup->overrides, test);

	if (override->timeout_ns)
		return override->timeout_ns;
	if (setup->options->timeout_ns)
		return setup->options->timeout_ns;
	return (uint64_t)((double)ms * kt_setup_multiplier(setup, test)) * KT_NSEC_PER_MSEC;
}

/* 2 MiB a second, because a host that is idle sends 15 under TCG, and a busy one far less. */
uint64_t kt_setup_send_limit_ns(const struct kt_setup *setup, struct kt_packages packages)
{
	return (kt_image_bytes(setup->image, packages, NULL) >> 20) * 500 * KT_NSEC_PER_MSEC;
}

char *kt_setup_fault(const struct kt_setup *setup, const struct kt_kernel *kernel,
		     const struct kt_test *test)
{
	const char *fault = kt_cargo_of(&setup->cargo, test)->fault;

	return fault ? strdup(fault) : kt_setup_machine_fault(setup, kernel, test);
}
