/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"
#include "util/steal.h"
#include "vmm/qemu/argv.h"
#include "vmm/qemu/channels.h"
#include "vmm/qemu/debug.h"
#include "vmm/qemu/devices.h"
#include "vmm/qemu/ending.h"
#include "vmm/qemu/image.h"
#include "vmm/qemu/qmp.h"
#include "vmm/qemu/state.h"
#include "vmm/qemu/stop.h"

/*
 * A machine is one QEMU child, which dies with this process. channels.c has what connects both,
 * stop.c how it stops and goes on, ending.c why it has ended, image.c how it is saved, debug.c
 * watches and registers.
 *
 * QEMU exits when the guest shuts down or resets (-no-reboot), after a QMP event that says which of
 * the two it was. exited() is called when the process is gone and all channels are read to the end,
 * so that nothing that the guest sent is lost.
 */

static void on_qmp_event(void *owner, const char *event, const json_t *data)
{
	struct qemu *qemu = owner;
	const char *reason = json_string_value(json_object_get(data, "reason"));
	const char *status = json_string_value(json_object_get(data, "status"));

	if (!strcmp(event, "SHUTDOWN"))
		(void)snprintf(qemu->shutdown_reason, sizeof(qemu->shutdown_reason), "%s",
			       reason ?: "unknown");
	else if (!strcmp(event, "GUEST_PANICKED"))
		qemu->panicked = true;
	else if (!strcmp(event, "STOP"))
		qemu->stopped = true;
	else if (!strcmp(event, "RESUME")) {
		qemu->stopped = false;
		qemu->resumed = true;
	} else if (!strcmp(event, "MIGRATION") && status) {
		qemu->migration_failed |= !strcmp(status, "failed");
		qemu->migrated |= !strcmp(status, "completed") || !strcmp(status, "failed");
	}
}

static void on_qmp(void *data, uint32_t events)
{
	struct qemu *qemu = data;

	(void)events;
	if (kt_qmp_dispatch(qemu->qmp) < 0) /* on_process() reports the end */
		kt_loop_remove(qemu->machine.loop, &qemu->qmp_source);
	else {
		/* What the guest has sent before a stop comes before it. */
		kt_qemu_read_port(qemu);
		kt_qemu_look_after(qemu);
	}
}

static void on_process(void *data, uint32_t events)
{
	struct qemu *qemu = data;
	struct kt_machine_exit exit = { 0 };
	int status = 0;

	(void)events;
	kt_loop_remove(qemu->machine.loop, &qemu->process);
	while (waitpid(qemu->pid, &status, 0) < 0 && errno == EINTR)
		;
	qemu->pid = 0;
	kt_qemu_drain(qemu);
	if (qemu->has_ended)
		return;
	kt_qemu_explain_exit(qemu, status, &exit);
	qemu->machine.events->exited(qemu->machine.data, &exit);
}

/* The race needs two threads that translate: not with KVM, nor with one thread for all vCPUs. */
static bool may_run_stale_code(const struct kt_machine_config *config)
{
	return config->accel == KT_ACCEL_TCG && !kt_qemu_is_single_thread(config);
}

/* Opens the RAM file of a boot and sets its length. */
static int open_ram(struct qemu *qemu, const struct kt_machine_config *config)
{
	qemu->ram_len = (uint64_t)config->memory_mib << 20;
	qemu->ram_is_shared = true;
	qemu->ram_fd = config->ram_fd < 0
			       ? memfd_create("ktest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING)
			       : fcntl(config->ram_fd, F_DUPFD_CLOEXEC, 3);
	if (qemu->ram_fd < 0 || ftruncate(qemu->ram_fd, (off_t)qemu->ram_len) < 0)
		return -errno;
	return 0;
}

static int watch(struct qemu *qemu, struct kt_source *source, int fd, kt_source_fn fn)
{
	*source = (struct kt_source){ .fd = fd, .events = EPOLLIN, .fn = fn, .data = qemu };
	return kt_loop_add(qemu->machine.loop, source);
}

static int watch_all(struct qemu *qemu)
{
	return watch(qemu, &qemu->process, qemu->pidfd, on_process) ?:
	       watch(qemu, &qemu->qmp_source, kt_qmp_fd(qemu->qmp), on_qmp) ?:
	       kt_qemu_watch_channels(qemu);
}

static int spawn(struct qemu *qemu, enum kt_qemu_purpose purpose,
		 const struct kt_machine_config *config, struct kt_qemu_far_ends *far,
		 struct kt_err *reterr)
{
	char **argv = kt_qemu_argv(purpose, config, &far->fds);
	const int keep[] = { far->fds.qmp,   far->fds.console, far->fds.port,       far->fds.ram,
			     far->fds.gdb,   far->fds.plugin,  far->fds.stand,      far->fds.alarm,
			     far->fds.where, far->fds.disk,    config->initramfs_fd };
	struct kt_process_spec spec = {
		.argv = (const char *const *)argv,
		.in = -1,
		.out = far->output,
		.err = far->output,
		.keep = keep,
		.n_keep = KT_ARRAY_LEN(keep) - (purpose != KT_QEMU_BOOT),
	};
	int r;

	if (!argv)
		return kt_err_oom(reterr);
	r = kt_process_spawn(&spec, &qemu->pid, &qemu->pidfd, reterr);
	kt_qemu_argv_free(argv);
	return r;
}

/* Makes the channels, starts the child and watches it. The RAM file is open already. */
static int launch(struct qemu *qemu, enum kt_qemu_purpose purpose,
		  const struct kt_machine_config *config, struct kt_err *reterr)
{
	struct kt_qemu_far_ends far = {
		.fds = { .qmp = -1,
			 .console = -1,
			 .port = -1,
			 .gdb = -1,
			 .plugin = -1,
			 .stand = -1,
			 .alarm = -1,
			 .where = -1,
			 .disk = -1,
			 .ram = qemu->ram_fd,
			 .ram_is_shared = qemu->ram_is_shared },
		.output = -1,
	};
	int r;

	qemu->n_vcpus = kt_machine_n_vcpus(&config->topology);
	qemu->watches_max = kt_machine_watches_max(config->accel);
	qemu->may_be_stale = may_run_stale_code(config);
	qemu->time = config->time;
	qemu->keep = config->keep;
	r = kt_qemu_open_channels(qemu, config, on_qmp_event, &far);
	if (r < 0)
		(void)kt_err_set(reterr, r, "cannot set up a virtual machine: %m");
	else
		r = spawn(qemu, purpose, config, &far, reterr);
	kt_qemu_close_far_ends(&far);
	if (r < 0)
		return r;
	kt_qmp_set_pid(qemu->qmp, qemu->pid);
	kt_gdb_set_pid(qemu->gdb, qemu->pid);
	r = watch_all(qemu);
	return r < 0 ? kt_err_set(reterr, r, "cannot watch a virtual machine: %m") : 0;
}

/* Its -smp has one number for all sockets; CPUs that are left out would count as possible ones. */
const char *kt_qemu_lack(const struct kt_machine_config *config)
{
	return config->topology.cores
		       ? NULL
		       : "QEMU's last-level caches all have the same number of "
			 "cores; only the native machine (KVM, --vmm kvm) has others";
}

static int qemu_start(struct kt_machine *machine, const struct kt_machine_config *config,
		      struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	const char *lack = kt_qemu_lack(config);
	int r;

	if (lack)
		return kt_err_set(reterr, -EOPNOTSUPP, "%s", lack);
	r = open_ram(qemu, config);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot make the guest's RAM: %m");
	r = launch(qemu, KT_QEMU_BOOT, config, reterr);
	if (r < 0)
		return r;
	r = kt_qmp_send(qemu->qmp, "qmp_capabilities", NULL)
		    ?: kt_qmp_send(qemu->qmp, "cont", NULL);
	if (r < 0)
		return kt_qemu_explain_loss(qemu, kt_err_set(reterr, r, "QMP: %m"), reterr);
	return 0;
}

static int qemu_restore(struct kt_machine *machine, const struct kt_machine_config *config,
			const struct kt_machine_image *image, uint64_t deadline_ns,
			struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r;

	qemu->ram_len = (uint64_t)config->memory_mib << 20;
	qemu->ram_is_shared = config->ram_fd >= 0;
	qemu->ram_fd =
		fcntl(qemu->ram_is_shared ? config->ram_fd : image->ram_fd, F_DUPFD_CLOEXEC, 3);
	if (qemu->ram_fd < 0)
		return kt_err_set(reterr, -errno, "RAM file: %m");
	qemu->paused = image->devices_only;
	r = launch(qemu, image->devices_only ? KT_QEMU_REOPEN : KT_QEMU_RESTORE, config, reterr);
	if (r < 0)
		return r;
	r = kt_qemu_ask_restore(qemu, image->state_fd, deadline_ns, reterr)
		    ?: kt_qmp_wait(qemu->qmp, qemu->paused ? &qemu->migrated : &qemu->resumed,
				   "guest to run", deadline_ns, reterr);
	if (r == 0 && qemu->migration_failed)
		r = kt_err_set(reterr, -EIO, "QEMU could not read the state of the machine");
	if (r < 0)
		return kt_qemu_explain_loss(qemu, r, reterr);
	kt_qemu_look_after(qemu);
	return 0;
}

static int qemu_memory(struct kt_machine *machine, struct kt_mem *ret_mem, struct kt_err *reterr)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r = qemu->ram_is_shared ? kt_mem_map_file(ret_mem, qemu->ram_fd, qemu->ram_len, reterr)
				    : -EPERM;

	/* A RAM file that is sealed (vmm/memctx.h) cannot be mapped for writing any more. */
	if (r != -EPERM)
		return r;
	return kt_mem_find_in_process(ret_mem, qemu->pid, qemu->ram_fd, qemu->ram_len, reterr);
}

/*
 * The kernel ends QEMU faster than QEMU does. What the guest has sent is in the channels already,
 * and on_process() reads them to the end.
 */
static void qemu_power_off(struct kt_machine *machine)
{
	struct qemu *qemu = kt_qemu_of(machine);

	qemu->powered_off = true;
	if (qemu->pid > 0)
		(void)kill(qemu->pid, SIGKILL);
}

static uint64_t qemu_clock_ns(struct kt_machine *machine)
{
	const struct qemu *qemu = kt_qemu_of(machine);
	struct timespec now;
	clockid_t clock;

	if (qemu->pid <= 0)
		return 0;
	if (qemu->time == KT_TIME_REAL)
		return kt_now_ns() - kt_steal_total_ns(qemu->pid);
	if (clock_getcpuclockid(qemu->pid, &clock) != 0 || clock_gettime(clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * KT_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void qemu_mark_steal(struct kt_machine *machine)
{
	struct qemu *qemu = kt_qemu_of(machine);

	kt_steal_deinit(&qemu->steal);
	kt_steal_read(&qemu->steal, qemu->pid);
}

/* The host cannot steal virtual time. */
static uint64_t qemu_stolen_ns(struct kt_machine *machine)
{
	KT_CLEANUP(kt_steal_deinit) struct kt_steal now = KT_STEAL_NULL;
	struct qemu *qemu = kt_qemu_of(machine);

	if (qemu->time == KT_TIME_VIRTUAL)
		return 0;
	kt_steal_read(&now, qemu->pid);
	return kt_steal_between(&qemu->steal, &now);
}

/* The sources go first: no event may reach a machine that is half destroyed. */
static void qemu_destroy(struct kt_machine *machine)
{
	struct qemu *qemu = kt_qemu_of(machine);
	struct kt_loop *loop = machine->loop;

	kt_loop_remove(loop, &qemu->process);
	kt_loop_remove(loop, &qemu->qmp_source);
	kt_qemu_unwatch_channels(qemu);
	if (qemu->pid > 0) {
		(void)kill(qemu->pid, SIGKILL);
		while (waitpid(qemu->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	(void)kt_close(qemu->pidfd);
	kt_qemu_close_channels(qemu);
	(void)kt_close(qemu->ram_fd);
	kt_steal_deinit(&qemu->steal);
	free(qemu);
}

static const struct kt_machine_ops qemu_ops = {
	.name = "qemu",
	.start = qemu_start,
	.restore = qemu_restore,
	.save = kt_qemu_save,
	.save_devices = kt_qemu_save_devices,
	.serve_gdb = kt_qemu_serve_gdb,
	.guard = kt_qemu_guard,
	.memory = qemu_memory,
	.port_write = kt_qemu_port_write,
	.pause = kt_qemu_pause,
	.resume = kt_qemu_resume,
	.registers = kt_qemu_registers,
	.watch = kt_qemu_watch,
	.unwatch = kt_qemu_unwatch,
	.power_off = qemu_power_off,
	.clock_ns = qemu_clock_ns,
	.mark_steal = qemu_mark_steal,
	.stolen_ns = qemu_stolen_ns,
	.destroy = qemu_destroy,
};

int kt_qemu_new(struct kt_loop *loop, const struct kt_machine_events *events, void *data,
		struct kt_machine **ret_machine, struct kt_err *reterr)
{
	struct qemu *qemu = calloc(1, sizeof(*qemu));

	if (!qemu)
		return kt_err_oom(reterr);
	qemu->machine = (struct kt_machine){
		.ops = &qemu_ops,
		.loop = loop,
		.events = events,
		.data = data,
	};
	qemu->process = qemu->qmp_source = KT_SOURCE_NULL;
	qemu->console = qemu->port = qemu->output = qemu->alarm =
		(struct channel){ .source = KT_SOURCE_NULL, .fd = -1 };
	qemu->pidfd = qemu->ram_fd = qemu->stand_fd = qemu->plugin_fd = qemu->where_fd = -1;
	*ret_machine = &qemu->machine;
	return 0;
}
