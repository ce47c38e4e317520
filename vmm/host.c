/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "vmm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include <xxhash.h>

#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/kvm/probe.h"
#include "vmm/kvm/snapshot.h"
#include "vmm/qemu/plugin.h"
#include "wire/json.h"

#define CACHE_FILE "host.json"
#define CACHE_MAX  65536u /* bytes */

#define TSC_SAMPLE_NS (10 * KT_NSEC_PER_MSEC)
#define TSC_STEP_MHZ  10u /* so that measurements of one host give one value */

/*
 * Each run asks what the host can do, and finding out takes longer than restoring a machine: KVM is
 * measured, and QEMU is run for its version. The answers are kept in CACHE_FILE together with the
 * hash of the host for which they hold. The cache only saves time: if it is missing, damaged or
 * cannot be written, the host is measured again.
 */

/* Adds the lines of the first processor in @cpuinfo that say what it can do, and no measurement. */
static void hash_cpu(XXH3_state_t *state, const char *cpuinfo)
{
	static const char *const keys[] = { "vendor_id", "cpu family", "model",    "stepping",
					    "microcode", "flags",      "vmx flags" };

	for (const char *line = cpuinfo; *line && *line != '\n';) {
		size_t len = strcspn(line, "\n");

		for (size_t i = 0; i < KT_ARRAY_LEN(keys); i++)
			if (!strncmp(line, keys[i], strlen(keys[i])))
				(void)XXH3_128bits_update(state, line, len);
		line += len + (line[len] == '\n');
	}
}

void kt_host_hash(const char *boot_id, const char *kernel, const char *cpuinfo,
		  char ret_hex[static KT_HOST_HASH_LEN + 1])
{
	XXH128_hash_t hash;
	XXH3_state_t state;

	(void)XXH3_128bits_reset(&state);
	(void)XXH3_128bits_update(&state, boot_id, strlen(boot_id) + 1);
	(void)XXH3_128bits_update(&state, kernel, strlen(kernel) + 1);
	hash_cpu(&state, cpuinfo);
	hash = XXH3_128bits_digest(&state);
	(void)snprintf(ret_hex, KT_HOST_HASH_LEN + 1, "%016" PRIx64 "%016" PRIx64, hash.high64,
		       hash.low64);
}

static void hash_host(const char *boot_id, char ret_hex[static KT_HOST_HASH_LEN + 1])
{
	KT_CLOSE int cpu_fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
	struct utsname name = { 0 };
	char kernel[sizeof(name.release) + sizeof(name.version) + 1];
	char cpuinfo[8192]; /* a processor needs a third of it; the others are the same */
	ssize_t n = cpu_fd < 0 ? 0 : read(cpu_fd, cpuinfo, sizeof(cpuinfo) - 1);

	cpuinfo[KT_MAX(n, 0)] = '\0';
	(void)uname(&name);
	(void)snprintf(kernel, sizeof(kernel), "%s %s", name.release, name.version);
	kt_host_hash(boot_id, kernel, cpuinfo, ret_hex);
}

/* A container that moves to another machine keeps its boot_id, not its processor. */
static void hash_boot(char ret_hex[static KT_HOST_HASH_LEN + 1])
{
	KT_FREE char *boot_id = NULL;

	(void)kt_file_read("/proc/sys/kernel/random/boot_id", 64, &boot_id, NULL);
	hash_host(boot_id ?: "", ret_hex);
}

/* Loads the cache. Returns an empty one when there is none, or when it is of another host. */
static json_t *cache_load(const char *path, const char *host)
{
	KT_FREE char *text = NULL;
	json_t *cache;
	size_t len;

	if (path && kt_file_read(path, CACHE_MAX, &text, &len) == 0) {
		cache = json_loadb(text, len, 0, NULL);
		if (json_is_object(cache) &&
		    !strcmp(json_string_value(json_object_get(cache, "host")) ?: "", host))
			return cache;
		json_decref(cache);
	}
	return json_pack("{ss}", "host", host);
}

/* An error is ignored: the next run measures again. */
static void cache_store(const char *path, json_t *cache)
{
	KT_FREE char *text = json_dumps(cache, JSON_INDENT(1));

	if (text && path)
		(void)kt_file_publish(path, text, strlen(text), NULL);
}

static void probe_kvm(json_t *cache, struct kt_kvm_probe *probe, bool *changed)
{
	const json_t *mips = json_object_get(cache, "kvm_mips");

	/* Permissions are checked each time because they can change; the speed cannot. */
	if (access("/dev/kvm", R_OK | W_OK) == 0 && json_is_real(mips)) {
		*probe = (struct kt_kvm_probe){ .opened = true, .mips = json_real_value(mips) };
		probe->usable = json_is_true(json_object_get(cache, "kvm_usable"));
		(void)snprintf(probe->reason, sizeof(probe->reason), "%s",
			       json_string_value(json_object_get(cache, "kvm_reason")) ?: "");
		return;
	}
	kt_kvm_probe(probe);
	if (probe->mips > 0) {
		(void)json_object_set_new(cache, "kvm_mips", json_real(probe->mips));
		(void)json_object_set_new(cache, "kvm_usable", json_boolean(probe->usable));
		(void)json_object_set_new(cache, "kvm_reason", json_string(probe->reason));
		*changed = true;
	}
}

/*
 * QEMU's TCG gives guests the TSC of the host (cpu_get_host_ticks()). The value becomes part of the
 * kernel command line and so of a template's key: it is rounded, and cached.
 */
static unsigned int probe_tsc(json_t *cache, bool *changed)
{
	unsigned int mhz = (unsigned int)json_integer_value(json_object_get(cache, "tsc_mhz"));
	uint64_t begin_ns, now_ns, begin_tsc;

	if (mhz)
		return mhz;
	begin_ns = kt_now_ns();
	begin_tsc = __rdtsc();
	do
		now_ns = kt_now_ns();
	while (now_ns - begin_ns < TSC_SAMPLE_NS);
	mhz = (unsigned int)((__rdtsc() - begin_tsc) * 1000 / (now_ns - begin_ns));
	mhz = (mhz + TSC_STEP_MHZ / 2) / TSC_STEP_MHZ * TSC_STEP_MHZ;
	(void)json_object_set_new(cache, "tsc_mhz", json_integer(mhz));
	*changed = true;
	return mhz;
}

/* The key of answers about the program: its path, size and time of modification. NULL: none. */
static char *qemu_key(const char *what, const struct kt_qemu_program *qemu)
{
	struct stat st;

	if (stat(qemu->path, &st) < 0)
		return NULL;
	return kt_format("%s %s %" PRIu64 " %" PRId64 ".%09ld", what, qemu->path,
			 (uint64_t)st.st_size, (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static int probe_qemu(json_t *cache, struct kt_qemu_program *qemu, bool *changed,
		      struct kt_err *reterr)
{
	KT_FREE char *key = qemu_key("qemu", qemu);
	const json_t *version;
	int r;

	if (!key)
		return kt_err_set(reterr, -errno, "'%s': %m", qemu->path);
	version = json_object_get(cache, key);
	if (json_array_size(version) == 3) {
		qemu->major = (unsigned int)json_integer_value(json_array_get(version, 0));
		qemu->minor = (unsigned int)json_integer_value(json_array_get(version, 1));
		qemu->sandbox = json_is_true(json_array_get(version, 2));
		return 0;
	}
	r = kt_qemu_version(qemu, reterr);
	if (r < 0)
		return r;
	kt_qemu_try_sandbox(qemu);
	(void)json_object_set_new(
		cache, key,
		json_pack("[iib]", (int)qemu->major, (int)qemu->minor, (int)qemu->sandbox));
	*changed = true;
	return 0;
}

/* A QEMU of another build may lack what this plugin uses. */
static void probe_plugin(json_t *cache, struct kt_host *host, bool *changed)
{
	KT_FREE char *what = kt_format("plugin %016" PRIx64, kt_plugin_hash());
	KT_FREE char *key = what ? qemu_key(what, &host->qemu) : NULL;
	const json_t *works = key ? json_object_get(cache, key) : NULL;
	struct kt_err err = KT_ERR_NULL;

	if (works) {
		host->repeatable = json_is_true(works);
		return;
	}
	host->repeatable = kt_qemu_try_plugin(&host->qemu, &err) == 0;
	if (key)
		(void)json_object_set_new(cache, key, json_boolean(host->repeatable));
	*changed = true;
}

/* Sets the accelerator of @host, and the texts that tell people why. */
static int choose_accel(enum kt_accel_choice choice, const struct kt_kvm_probe *kvm,
			struct kt_host *host, struct kt_err *reterr)
{
	if (choice == KT_ACCEL_CHOICE_KVM && !kvm->opened)
		return kt_err_set(reterr, -ENODEV, "--accel kvm: %s", kvm->reason);
	if (choice == KT_ACCEL_CHOICE_KVM || (choice == KT_ACCEL_CHOICE_AUTO && kvm->usable)) {
		if (!kvm->usable)
			(void)snprintf(
				host->note, sizeof(host->note),
				"--accel kvm is used as asked, but: %s; stock kernels may not boot",
				kvm->reason);
		host->accel = KT_ACCEL_KVM;
		return 0;
	}
	host->accel = KT_ACCEL_TCG;
	(void)snprintf(host->accel_text, sizeof(host->accel_text), "tcg (%s)",
		       choice == KT_ACCEL_CHOICE_TCG ? "asked for" : kvm->reason);
	/* One thread is slower, but a guest that QEMU corrupts proves nothing. */
	if (!kt_qemu_multi_thread_is_safe(&host->qemu)) {
		host->tcg_single_thread = true;
		(void)snprintf(
			host->note, sizeof(host->note),
			"QEMU %u.%u corrupts guests with several CPUs under multi-threaded TCG; "
			"running them on one thread (8.1 or newer is better)",
			host->qemu.major, host->qemu.minor);
	}
	return 0;
}

/*
 * Another processor or kernel may have other registers than those that a state holds. The number is
 * the same after the host has booted again.
 */
static unsigned int processor_number(void)
{
	char hash[KT_HOST_HASH_LEN + 1];

	hash_host("", hash);
	hash[8] = '\0';
	return (unsigned int)strtoul(hash, NULL, 16);
}

/* Sets the virtual machine monitor of @host, whose accelerator is known. */
static void choose_vmm(enum kt_vmm_choice choice, struct kt_host *host)
{
	bool native = host->accel == KT_ACCEL_KVM && choice != KT_VMM_CHOICE_QEMU;

	host->vmm = native ? KT_VMM_KVM : KT_VMM_QEMU;
	host->vmm_major = host->vmm == KT_VMM_KVM ? KT_KVM_STATE_VERSION : host->qemu.major;
	host->vmm_minor = host->vmm == KT_VMM_KVM ? processor_number() : host->qemu.minor;
	if (host->accel == KT_ACCEL_KVM)
		(void)snprintf(host->accel_text, sizeof(host->accel_text), "kvm, vmm: %s",
			       kt_vmm_name(host->vmm));
}

/* Without QEMU its path is "", which the native machine does not need. */
static int find_qemu(const char *name, json_t *cache, struct kt_host *host, bool *changed,
		     struct kt_err *reterr)
{
	int r = kt_qemu_find(name ?: KT_QEMU_DEFAULT, &host->qemu, reterr);

	if (r < 0)
		host->qemu.path[0] = '\0';
	return r ?: probe_qemu(cache, &host->qemu, changed, reterr);
}

/* With --accel tcg, KVM is not measured at all. */
int kt_host_probe(enum kt_accel_choice choice, enum kt_vmm_choice vmm, const char *qemu,
		  struct kt_host *ret_host, struct kt_err *reterr)
{
	KT_FREE char *dir = NULL, *path = NULL;
	struct kt_kvm_probe kvm = { .usable = false };
	struct kt_host host = { 0 };
	char host_hash[KT_HOST_HASH_LEN + 1];
	KT_JSON json_t *cache = NULL;
	struct kt_err no_qemu = KT_ERR_NULL;
	bool changed = false;
	int found, r;

	if (vmm == KT_VMM_CHOICE_KVM && choice == KT_ACCEL_CHOICE_TCG)
		return kt_err_set(reterr, -EINVAL, "--vmm kvm needs KVM, not --accel tcg");
	if (vmm == KT_VMM_CHOICE_KVM)
		choice = KT_ACCEL_CHOICE_KVM;
	(void)kt_cache_path("", &dir, NULL);
	path = dir ? kt_format("%s/" CACHE_FILE, dir) : NULL;
	hash_boot(host_hash);
	cache = cache_load(path, host_hash);
	if (!cache)
		return kt_err_oom(reterr);
	found = find_qemu(qemu, cache, &host, &changed, &no_qemu);
	if (choice != KT_ACCEL_CHOICE_TCG)
		probe_kvm(cache, &kvm, &changed);
	r = choose_accel(choice, &kvm, &host, reterr);
	if (r == 0)
		choose_vmm(vmm, &host);
	if (r == 0 && found < 0 && host.vmm == KT_VMM_QEMU)
		r = kt_err_set(reterr, found, "%s%s%s", no_qemu.text,
			       *kvm.reason ? "; the native machine needs none, but: " : "",
			       kvm.reason);
	if (r == 0 && host.accel == KT_ACCEL_TCG)
		host.tsc_mhz = probe_tsc(cache, &changed);
	if (r == 0 && host.accel == KT_ACCEL_TCG)
		probe_plugin(cache, &host, &changed);
	if (changed)
		cache_store(path, cache);
	if (r == 0)
		*ret_host = host;
	return r;
}
