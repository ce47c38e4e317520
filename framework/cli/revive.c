/* SPDX-License-Identifier: MIT */
#include "framework/cli/revive.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "framework/cli/shell.h"
#include "framework/image/image.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"
#include "util/signals.h"
#include "vmm/host.h"
#include "vmm/inspect/inspect.h"
#include "vmm/template.h"

/*
 * QEMU continues the machine, and must be of the version that has saved it. Its state of devices is
 * not checked by anything but QEMU, so that a capsule is as trusted as the one who made it.
 *
 * For gdb the machine stands still, and whatever happens to it then is up to gdb. For a shell PID 1
 * must wait for the host, which it does once its test has ended: instead of the acknowledgement of
 * the result it gets a shell to execute, and RUN.
 */

/* The machine as it was. All vCPUs share one thread under TCG, which is safe with every QEMU. */
static struct kt_machine_config config_of(const struct kt_capsule_info *info,
					  const struct kt_machine_image *image,
					  const struct kt_qemu_program *qemu)
{
	return (struct kt_machine_config){
		.kernel = "",
		.initramfs_fd = -1,
		.cmdline = "",
		.topology = info->topology,
		.memory_mib = info->memory_mib,
		.disk_mib = info->disk_mib,
		.net = info->net,
		.accel = info->accel,
		.vmm = info->vmm,
		.qemu = qemu->path,
		.qemu_sandbox = qemu->sandbox,
		.time = info->time,
		.insn_shift = info->insn_shift,
		.host_calls = info->host_calls,
		.conflicts = info->conflicts,
		.tcg_single_thread = true,
		.ram_fd = image->ram_fd,
		.keep = true,
	};
}

/* The cache knows the version of a QEMU that was used before, without running it. */
static int find_qemu(const struct kt_capsule_info *info, const struct kt_options *options,
		     struct kt_qemu_program *ret_qemu, struct kt_err *reterr)
{
	struct kt_host host;
	int r = kt_host_probe(options->accel, options->vmm, options->qemu, &host, reterr);

	if (r < 0)
		return r;
	*ret_qemu = host.qemu;
	if (ret_qemu->major == info->vmm_major && ret_qemu->minor == info->vmm_minor)
		return 0;
	return kt_err_set(
		reterr, -ENOTSUP,
		"the machine was saved by QEMU %u.%u, and %s is %u.%u (--qemu); --inspect "
		"and --vmcore need no QEMU",
		info->vmm_major, info->vmm_minor, ret_qemu->path, ret_qemu->major, ret_qemu->minor);
}

/* ---- gdb ---- */

struct debug {
	struct kt_loop *loop;
	struct kt_machine *machine;
	struct kt_source signals;
	char *dir; /* that has the socket, if this process made it; removed at last */
};

static void on_port(void *data, const uint8_t *bytes, size_t len)
{
	(void)data;
	(void)bytes;
	(void)len;
}

static void on_console(void *data, const uint8_t *bytes, size_t len)
{
	(void)data;
	(void)kt_write_full(STDERR_FILENO, bytes, len);
}

static void on_expired(void *data)
{
	(void)data;
}

static void on_exited(void *data, const struct kt_machine_exit *exit)
{
	struct debug *debug = data;

	(void)fprintf(stderr, "ktests: %s\n", exit->detail);
	kt_loop_stop(debug->loop, 0);
}

static const struct kt_machine_events machine_events = {
	.port = on_port,
	.console = on_console,
	.expired = on_expired,
	.exited = on_exited,
};

static void on_signal(void *data, uint32_t events)
{
	struct debug *debug = data;

	(void)events;
	if (kt_signals_take(&debug->signals))
		kt_loop_stop(debug->loop, 0);
}

/* Whether no process listens on the socket: a process that is killed leaves its socket behind. */
static bool is_abandoned(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	KT_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return fd >= 0 && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
	       errno == ECONNREFUSED;
}

/* A path that is given must be free, or an abandoned socket, and fit into an address. */
static int choose_socket(struct debug *debug, const char *given, char **ret_path,
			 struct kt_err *reterr)
{
	const char *tmp = getenv("TMPDIR") ?: "/tmp";

	if (!given) {
		debug->dir = kt_format("%s/ktest-gdb-XXXXXX", tmp);
		if (!debug->dir)
			return kt_err_oom(reterr);
		if (!mkdtemp(debug->dir)) {
			int r = kt_err_set(reterr, -errno, "cannot make the directory '%s': %m",
					   debug->dir);

			free(kt_steal(debug->dir));
			return r;
		}
	}
	*ret_path = given ? strdup(given) : kt_format("%s/gdb", debug->dir);
	if (!*ret_path)
		return kt_err_oom(reterr);
	if (strlen(*ret_path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return kt_err_set(reterr, -ENAMETOOLONG, "'%s' is too long for a socket",
				  *ret_path);
	if (is_abandoned(*ret_path))
		(void)unlink(*ret_path);
	if (access(*ret_path, F_OK) == 0)
		return kt_err_set(reterr, -EEXIST, "'%s' is there already", *ret_path);
	return 0;
}

/* The vmlinux of the capsule, or that of the same release in this host's cache. */
static char *find_vmlinux(const struct kt_capsule_info *info)
{
	KT_FREE char *dir = NULL, *path = NULL;

	if (kt_file_readable(info->vmlinux))
		return strdup(info->vmlinux);
	if (strchr(info->kernel_release, '/') || kt_cache_path("kernels", &dir, NULL) < 0)
		return NULL;
	path = kt_format("%s/%s/vmlinux", dir, info->kernel_release);
	return path && kt_file_readable(path) ? kt_steal(path) : NULL;
}

/* Whether gdb finds names in it; the vmlinux of a distribution's bzImage has none. */
static bool has_symbols(const char *vmlinux)
{
	KT_CLOSE int fd = open(vmlinux, O_RDONLY | O_CLOEXEC);
	Elf_Scn *section = NULL;
	bool found = false;
	GElf_Shdr header;
	Elf *elf;

	(void)elf_version(EV_CURRENT);
	elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);
	while (elf && !found && (section = elf_nextscn(elf, section)))
		found = gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB;
	(void)elf_end(elf);
	return found;
}

/* By how much KASLR has moved the kernel; gdb must add it to the addresses of the vmlinux. */
static uint64_t find_kaslr(int ram_fd)
{
	struct kt_inspect *inspect = NULL;
	KT_FREE char *cache = NULL;
	struct kt_ram *ram = NULL;
	uint64_t kaslr = 0;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", ram_fd);
	(void)kt_cache_path("inspect", &cache, NULL);
	if (kt_ram_open_file(path, false, &ram, NULL) == 0 &&
	    kt_inspect_open(ram, cache, &inspect, NULL) == 0)
		kaslr = kt_inspect_facts(inspect)->kaslr;
	inspect = kt_inspect_close(inspect);
	ram = kt_ram_close(ram);
	return kaslr;
}

static void say_command(const struct kt_capsule_info *info, int ram_fd, const char *path)
{
	KT_FREE char *vmlinux = find_vmlinux(info);
	uint64_t kaslr = find_kaslr(ram_fd);

	if (!vmlinux)
		(void)printf("# the vmlinux of %s (build-id %s) is not on this host\n",
			     info->kernel_release, info->kernel_build_id);
	else if (!has_symbols(vmlinux))
		(void)printf("# this vmlinux has no symbols; use one that has, with the build-id "
			     "%s\n",
			     info->kernel_build_id);
	(void)printf("gdb -ex 'symbol-file -o 0x%" PRIx64 " %s' -ex 'target remote %s'\n", kaslr,
		     vmlinux ?: "VMLINUX", path);
	(void)fflush(stdout);
}

static int serve(struct debug *debug, const struct kt_capsule_info *info,
		 const struct kt_machine_image *image, const struct kt_options *options,
		 struct kt_err *reterr)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct kt_qemu_program qemu;
	struct kt_machine_config config;
	KT_FREE char *path = NULL;
	int r;

	debug->signals = (struct kt_source){ .fd = -1, .fn = on_signal, .data = debug };
	r = find_qemu(info, options, &qemu, reterr) ?:
	    choose_socket(debug, options->gdb_socket, &path, reterr) ?:
	    kt_loop_new(&debug->loop) ?:
	    kt_signals_watch(debug->loop, &debug->signals, signals, KT_ARRAY_LEN(signals)) ?:
	    kt_machine_new(debug->loop, info->vmm, &machine_events, debug, &debug->machine, reterr);
	if (r < 0)
		return reterr->text[0] ? r : kt_err_set(reterr, r, "waiting for signals: %m");
	config = config_of(info, image, &qemu);
	r = kt_machine_restore(debug->machine, &config, image, kt_now_ns() + KT_TEMPLATE_RESTORE_NS,
			       reterr)
		    ?: kt_machine_serve_gdb(debug->machine, path,
					    kt_now_ns() + KT_TEMPLATE_RESTORE_NS, reterr);
	if (r == 0) {
		say_command(info, image->ram_fd, path);
		r = kt_loop_run(debug->loop);
	}
	(void)unlink(path);
	return r;
}

int kt_revive_gdb(const struct kt_capsule_info *info, const struct kt_machine_image *image,
		  const struct kt_options *options, struct kt_err *reterr)
{
	struct debug debug = { .signals = KT_SOURCE_NULL };
	int r = serve(&debug, info, image, options, reterr);

	debug.machine = kt_machine_destroy(debug.machine);
	if (debug.dir)
		(void)rmdir(debug.dir);
	free(debug.dir);
	if (debug.loop)
		kt_signals_unwatch(debug.loop, &debug.signals);
	debug.loop = kt_loop_free(debug.loop);
	return r;
}

/* ---- a shell ---- */

static int check_listens(const struct kt_capsule_info *info, struct kt_err *reterr)
{
	if (!info->listens)
		return kt_err_set(reterr, -EOPNOTSUPP,
				  "no shell: %s when the machine was saved, so that PID 1 does not "
				  "listen to the host (--gdb and --inspect need no guest)",
				  info->moment);
	if (info->wire != KT_WIRE_VERSION)
		return kt_err_set(reterr, -EOPNOTSUPP,
				  "no shell: PID 1 speaks version %u of the protocol, and this "
				  "program %u",
				  info->wire, KT_WIRE_VERSION);
	return 0;
}

/* This program is in the guest already; only the shell is to be sent. */
static int pack_shell(struct kt_image **ret_image, struct kt_err *reterr)
{
	struct kt_image_extra busybox = { .guest = "/bin/busybox" };
	struct kt_image_options image = { .program = "/proc/self/exe", .extras = &busybox };
	char path[4096];

	if (kt_process_find("busybox", path, sizeof(path)) == 0) {
		busybox.host = path;
		image.n_extras = 1;
	}
	return kt_image_open(&image, ret_image, reterr);
}

int kt_revive_shell(const struct kt_capsule_info *info, const struct kt_machine_image *image,
		    const struct kt_options *options, int *ret_status, struct kt_err *reterr)
{
	KT_CLEANUP(kt_image_freep) struct kt_image *files = NULL;
	struct kt_qemu_program qemu;
	struct kt_machine_config config;
	struct kt_shell_capsule capsule = {
		.config = &config,
		.image = image,
		.position = info->position,
		.options = options,
	};
	int r = check_listens(info, reterr) ?: find_qemu(info, options, &qemu, reterr)
			?: pack_shell(&files, reterr);

	if (r < 0)
		return r;
	config = config_of(info, image, &qemu);
	capsule.files = files;
	return kt_shell_reopen(&capsule, options->exec, ret_status, reterr);
}
