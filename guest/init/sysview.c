/* SPDX-License-Identifier: MIT */
/*
 * Collects what HELLO tells the host about the guest: the topology as this kernel sees it, which
 * the host compares with what the test asked for; the build ID of the running binary; and addresses
 * of the kernel, for a host that examines the guest from outside. The guest is only read, not
 * changed.
 *
 * Everything is read from /sys and /proc. A topology that cannot be read is an error, because a
 * wrong one would spoil measurements. Addresses are optional.
 */
#include "guest/init/sysview.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "guest/init/ksym.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/parse.h"
#include "wire/message.h"

#define CPU_DIR  "/sys/devices/system/cpu"
#define NODE_DIR "/sys/devices/system/node"

/* Where the kernel image is mapped: Documentation/arch/x86/x86_64/mm.rst. */
#define START_KERNEL_MAP UINT64_C(0xffffffff80000000)

static int read_cpu_list(struct kt_cpu_list *ret_list, const char *path)
{
	KT_FREE char *text = NULL;
	int r = kt_file_read(path, 65536, &text, NULL);

	return r < 0 ? r : kt_cpu_list_parse(text, ret_list);
}

/*
 * Reads the CPUs that share the last-level cache with @cpu, index 9 being more than any CPU has.
 * *@ret_list, which the caller has set to the package, stays as it is without information about
 * caches.
 */
static int read_llc(unsigned int cpu, struct kt_cpu_list *ret_list)
{
	for (int index = 9; index >= 0; index--) {
		char path[128];

		(void)snprintf(path, sizeof(path), CPU_DIR "/cpu%u/cache/index%d/shared_cpu_list",
			       cpu, index);
		if (access(path, R_OK) == 0)
			return read_cpu_list(ret_list, path);
	}
	return 0;
}

static int read_cpu_topology(unsigned int cpu, const char *name, struct kt_cpu_list *ret_list)
{
	char path[128];

	(void)snprintf(path, sizeof(path), CPU_DIR "/cpu%u/topology/%s", cpu, name);
	return read_cpu_list(ret_list, path);
}

/*
 * Folds a number per CPU into one: *@seen is -1 at first, then the common value, or 0 if they
 * differ.
 */
static void agree(int *seen, unsigned int value)
{
	*seen = *seen < 0 || *seen == (int)value ? (int)value : 0;
}

/* A kernel without CONFIG_NUMA has one node. */
static int view_nodes(struct kt_hello *hello, struct kt_err *reterr)
{
	struct kt_cpu_list online, with_cpus;

	hello->numa_nodes = 1;
	if (read_cpu_list(&online, NODE_DIR "/online") < 0)
		return 0;
	if (read_cpu_list(&with_cpus, NODE_DIR "/has_cpu") < 0)
		return kt_err_set(reterr, -EIO, "cannot read " NODE_DIR "/has_cpu");
	hello->numa_nodes = kt_cpu_list_count(&with_cpus);
	hello->memory_nodes = kt_cpu_list_count(&online) - hello->numa_nodes;
	return 0;
}

/* Notes the threads of a core and the cores of an LLC. Each LLC counts at its first CPU. */
static int view_cpu(struct kt_hello *hello, unsigned int cpu, int *threads, int *cores)
{
	struct kt_cpu_list llc, siblings;
	unsigned int n;

	if (read_cpu_topology(cpu, "package_cpus_list", &llc) < 0 || read_llc(cpu, &llc) < 0 ||
	    read_cpu_topology(cpu, "core_cpus_list", &siblings) < 0)
		return -EIO;
	agree(threads, kt_cpu_list_count(&siblings));
	if (kt_cpu_list_next(&llc, 0) != cpu)
		return 0;
	n = kt_cpu_list_count(&llc) / KT_MAX(kt_cpu_list_count(&siblings), 1u);
	agree(cores, n);
	if (hello->llcs < KT_HELLO_LLCS)
		hello->llc_cores[hello->llcs] = n;
	hello->llcs++;
	return 0;
}

/* Counts CPUs, NUMA nodes and LLCs, and finds the cores per LLC and the threads per core. */
static int view_topology(struct kt_hello *hello, struct kt_err *reterr)
{
	struct kt_cpu_list online;
	int cores = -1, threads = -1;

	if (read_cpu_list(&online, CPU_DIR "/online") < 0)
		return kt_err_set(reterr, -EIO, "cannot read " CPU_DIR "/online");
	hello->cpus = kt_cpu_list_count(&online);
	for (unsigned int cpu = kt_cpu_list_next(&online, 0); cpu < KT_CPUS_MAX;
	     cpu = kt_cpu_list_next(&online, cpu + 1)) {
		if (view_cpu(hello, cpu, &threads, &cores) < 0)
			return kt_err_set(reterr, -EIO, "cannot read the topology of CPU %u", cpu);
	}
	hello->cores = (uint32_t)cores;
	hello->threads = (uint32_t)threads;
	if (cores)
		memset(hello->llc_cores, 0, sizeof(hello->llc_cores));
	return view_nodes(hello, reterr);
}

/*
 * Finds the physical address of the kernel image and the base of the direct map. /proc/kcore
 * describes both in its program headers, so no kernel memory has to be read.
 */
static int view_kcore(struct kt_hello *hello)
{
	KT_CLOSE int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	KT_FREE Elf64_Phdr *headers = NULL;
	Elf64_Ehdr elf;
	int r;

	if (fd < 0)
		return -errno;
	r = kt_read_full(fd, &elf, sizeof(elf));
	if (r < 0)
		return r;
	if (elf.e_phentsize != sizeof(*headers) || lseek(fd, (off_t)elf.e_phoff, SEEK_SET) < 0)
		return -EINVAL;
	headers = calloc(elf.e_phnum, sizeof(*headers));
	if (!headers)
		return -ENOMEM;
	r = kt_read_full(fd, headers, elf.e_phnum * sizeof(*headers));
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < elf.e_phnum; i++) {
		const Elf64_Phdr *at = &headers[i];

		if (at->p_type != PT_LOAD || at->p_paddr == UINT64_MAX)
			continue;
		if (at->p_vaddr >= START_KERNEL_MAP)
			hello->phys_base = at->p_paddr - (at->p_vaddr - START_KERNEL_MAP);
		else if (!hello->page_offset_base)
			hello->page_offset_base = at->p_vaddr - at->p_paddr;
	}
	return hello->page_offset_base ? 0 : -ENODATA;
}

/*
 * Finds the addresses with which the host examines a death of the kernel: a trap that the kernel
 * cannot explain is looked up in kprobe_table, and then ends in die(). See vmm/qemu/stale.c.
 */
static void view_text(struct kt_hello *hello)
{
	struct kt_ksym symbols[] = { { "_text" }, { "die" }, { "kprobe_table" } };

	kt_ksyms_find(symbols, KT_ARRAY_LEN(symbols));
	hello->text = symbols[0].address;
	hello->die = symbols[1].address;
	hello->kprobe_table = symbols[2].address;
}

/*
 * Writes the build ID of the executable to @data in hexadecimal: the note NT_GNU_BUILD_ID, see
 * elf(5).
 */
static int find_build_id(struct dl_phdr_info *info, size_t size, void *data)
{
	char *text = data;

	(void)size;
	if (info->dlpi_name && info->dlpi_name[0])
		return 1; /* the executable comes first; what follows are libraries */
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		const char *at = (const char *)info->dlpi_addr + header->p_vaddr;
		const char *end = at + header->p_memsz;

		while (header->p_type == PT_NOTE && end - at > (long)sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *note = (const void *)at;
			const unsigned char *id = (const unsigned char *)(note + 1) + 4;

			if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
			    note->n_descsz <= KT_BUILD_ID_MAX && !memcmp(note + 1, "GNU", 4)) {
				for (unsigned int k = 0; k < note->n_descsz; k++)
					(void)sprintf(text + 2 * k, "%02x", id[k]);
				return 1;
			}
			at += sizeof(*note) + ((note->n_namesz + 3) & ~3u) +
			      ((note->n_descsz + 3) & ~3u);
		}
	}
	return 1;
}

int kt_sysview_hello(struct kt_hello *ret_hello, struct kt_err *reterr)
{
	struct kt_hello hello = { .version = KT_WIRE_VERSION };
	struct timespec boot;
	struct utsname uts;
	int r;

	if (uname(&uts) < 0)
		return kt_err_set(reterr, -errno, "uname: %m");
	(void)snprintf(hello.release, sizeof(hello.release), "%.64s", uts.release);
	(void)dl_iterate_phdr(find_build_id, hello.build_id);
	r = view_topology(&hello, reterr);
	if (r < 0)
		return r;
	/* Addresses stay 0 on a kernel that hides them. */
	(void)view_kcore(&hello);
	view_text(&hello);
	(void)clock_gettime(CLOCK_BOOTTIME, &boot);
	hello.boot_ns = (uint64_t)boot.tv_sec * KT_NSEC_PER_SEC + (uint64_t)boot.tv_nsec;
	*ret_hello = hello;
	return 0;
}
