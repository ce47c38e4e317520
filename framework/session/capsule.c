/* SPDX-License-Identifier: MIT */
#include "framework/session/capsule.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "framework/session/session.h"
#include "framework/setup/time.h"
#include "util/build_id.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/capsule/base.h"
#include "vmm/capsule/writer.h"

/*
 * A capsule is written at one of two moments. When the verdict comes with the guest's result, the
 * guest waits for the answer, and the machine is kept there. A verdict that comes later or without
 * a result, by a limit, a panic or .post_vm, is kept at the end, if the machine is still there.
 * That a capsule cannot be written changes no verdict: the report says why. Nor does a slow disk:
 * the clock of the session leaves the writing out, and the runner has a limit of its own for it.
 *
 * In the cache, a capsule leaves out the pages of its template, whose RAM gets a name beside it. In
 * a directory of the user it is whole, because such a file is meant to go elsewhere.
 */

#define SAVE_LIMIT_NS (60 * KT_NSEC_PER_SEC) /* for QEMU to stop, and again to write its state */

bool kt_session_wants_capsule(const struct kt_session_state *session)
{
	if (session->kept || !session->link)
		return false;
	switch (session->setup->options->capsule) {
	case KT_CAPSULE_NEVER:
		return false;
	case KT_CAPSULE_ON_FAIL:
		return session->outcome->result.verdict > KT_VERDICT_PASS;
	case KT_CAPSULE_ALWAYS:
		break;
	}
	return true;
}

/* Beside the template's RAM, which gets a name there: whether that could be done. */
static bool is_whole(const struct kt_session_state *session, const char *dir)
{
	return session->setup->options->capsule_dir || !session->template ||
	       kt_capsule_keep_base(dir, session->template->ram_hash,
				    session->template->image.ram_fd) < 0;
}

/* Why the test did not pass, in one line or more. */
static const char *reason_of(const struct kt_result *result)
{
	if (result->reason && *result->reason)
		return result->reason;
	return result->n_failures && result->failures[0].what ? result->failures[0].what : "";
}

static void describe_machine(const struct kt_session_state *session, bool whole,
			     struct kt_capsule_info *info)
{
	const struct kt_outcome *outcome = session->outcome;
	const struct kt_setup *setup = session->setup;
	struct kt_machine_config machine = kt_setup_machine(setup, outcome->kernel, outcome->test);

	info->kernel_release = outcome->kernel->facts.release;
	info->kernel_build_id = outcome->kernel->facts.build_id;
	info->vmlinux = outcome->kernel->vmlinux ?: "";
	info->topology = machine.topology;
	info->memory_mib = machine.memory_mib;
	info->disk_mib = machine.disk_mib;
	info->net = machine.net;
	info->accel = machine.accel;
	info->vmm = machine.vmm;
	info->time = machine.time;
	info->insn_shift = machine.insn_shift;
	info->host_calls = machine.host_calls;
	info->conflicts = machine.conflicts;
	info->tcg_single_thread = machine.tcg_single_thread;
	info->qemu = machine.qemu;
	info->vmm_major = setup->host.vmm_major;
	info->vmm_minor = setup->host.vmm_minor;
	if (!whole) {
		info->template_machine = session->template_id.machine;
		info->template_program = session->template_id.program;
		info->template_ram = session->template->ram_hash;
	}
}

static struct kt_capsule_info describe(const struct kt_session_state *session, bool whole,
				       const char *moment, bool listens)
{
	const struct kt_outcome *outcome = session->outcome;
	struct kt_capsule_info info = {
		.runner = kt_build_id(),
		.wire = KT_WIRE_VERSION,
		.position = kt_link_position(session->link),
		.moment = moment,
		.listens = listens,
		.test = outcome->test->name,
		.verdict = kt_verdict_name(outcome->result.verdict),
		.reason = reason_of(&outcome->result),
		.seed = outcome->seed,
		.attempt = outcome->attempt,
		.saved_ns = kt_realtime_ns(),
	};

	describe_machine(session, whole, &info);
	return info;
}

/* One name for each attempt: of equal ones, the latest stays. */
static char *make_path(const struct kt_session_state *session, const char *dir)
{
	const struct kt_outcome *outcome = session->outcome;
	KT_FREE char *stress = session->setup->options->stress_count == 1
				       ? strdup("")
				       : kt_format("@stress-%u", outcome->iteration);
	KT_FREE char *attempt =
		outcome->attempt == 1 ? strdup("") : kt_format(".try-%u", outcome->attempt);

	if (!stress || !attempt)
		return NULL;
	return kt_format("%s/%s%s%s.%" PRIu64 KT_CAPSULE_SUFFIX, dir, outcome->name, stress,
			 attempt, outcome->seed);
}

static int find_dir(const struct kt_session_state *session, char **ret_dir, struct kt_err *reterr)
{
	const char *given = session->setup->options->capsule_dir;

	if (!given)
		return kt_cache_path("capsules", ret_dir, reterr);
	*ret_dir = strdup(given);
	return *ret_dir ? kt_mkdir_all(given, reterr) : kt_err_oom(reterr);
}

static int read_vcpus(const struct kt_session_state *session, unsigned int n,
		      struct kt_registers **ret_vcpus, struct kt_err *reterr)
{
	KT_FREE struct kt_registers *vcpus = calloc(n, sizeof(*vcpus));
	int r = vcpus ? 0 : kt_err_oom(reterr);

	for (unsigned int i = 0; r == 0 && i < n; i++)
		r = kt_machine_registers(kt_link_machine(session->link), i, &vcpus[i],
					 kt_now_ns() + SAVE_LIMIT_NS, reterr);
	*ret_vcpus = r == 0 ? kt_steal(vcpus) : NULL;
	return r;
}

static int write_capsule(struct kt_session_state *session, const char *dir,
			 const struct kt_capsule_info *info, int state_fd, struct kt_err *reterr)
{
	const struct kt_options *options = session->setup->options;
	KT_CLEANUP(kt_mem_deinit) struct kt_mem mem = KT_MEM_NULL;
	KT_FREE struct kt_registers *vcpus = NULL;
	KT_FREE char *path = NULL;
	struct kt_capsule_size size;
	struct kt_capsule_spec spec = {
		.info = info,
		.n_vcpus = kt_machine_n_vcpus(&info->topology),
		.state_fd = state_fd,
		.mem = &mem,
		.base_fd = info->template_machine ? session->template->image.ram_fd : -1,
		.max_bytes = options->capsule_max_bytes,
	};
	int r = kt_machine_memory(kt_link_machine(session->link), &mem, reterr)
			?: read_vcpus(session, spec.n_vcpus, &vcpus, reterr);

	if (r < 0)
		return r;
	spec.vcpus = vcpus;
	spec.path = path = make_path(session, dir);
	r = path ? kt_capsule_write(&spec, &size, reterr) : kt_err_oom(reterr);
	if (r < 0)
		return r;
	if (!options->capsule_dir)
		kt_capsule_prune(dir, options->capsule_cache_bytes);
	session->outcome->capsule = kt_steal(path);
	session->outcome->capsule_bytes = size.file_len;
	return 0;
}

static void keep(struct kt_session_state *session, const char *moment, bool listens)
{
	struct kt_machine *machine = kt_link_machine(session->link);
	KT_CLOSE int state_fd = memfd_create("ktest-state", MFD_CLOEXEC);
	struct kt_capsule_info info;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *dir = NULL;
	uint64_t began_ns = kt_now_ns();
	int r = state_fd < 0 ? kt_err_set(&err, -errno, "memory for the state of devices: %m")
			     : find_dir(session, &dir, &err);

	session->kept = true;
	kt_session_report(session->report_fd, KT_SESSION_CAPSULE, "");
	if (r == 0)
		info = describe(session, is_whole(session, dir), moment, listens);
	if (r == 0)
		r = kt_machine_pause(machine, kt_now_ns() + SAVE_LIMIT_NS, &err) ?:
		    kt_machine_save_devices(machine, state_fd, kt_now_ns() + SAVE_LIMIT_NS,
					    &err) ?:
		    write_capsule(session, dir, &info, state_fd, &err);
	if (r < 0)
		session->outcome->no_capsule = strdup(err.text);
	kt_clock_skip(kt_now_ns() - began_ns);
}

void kt_session_keep_result(struct kt_session_state *session)
{
	if (!kt_session_wants_capsule(session))
		return;
	keep(session, "the test has ended, and PID 1 waits for the host", true);
	/* A machine that cannot go on has ended, which the loop finds out. */
	(void)kt_machine_resume(kt_link_machine(session->link), kt_now_ns() + SAVE_LIMIT_NS, NULL);
}

static const char *moment_of(const struct kt_session_state *session)
{
	if (session->phase < KT_PHASE_RUN)
		return "the test had not begun";
	if (session->phase == KT_PHASE_RUN)
		return "the test had not ended";
	return "the guest had ended";
}

void kt_session_keep_end(struct kt_session_state *session)
{
	if (kt_session_wants_capsule(session))
		keep(session, moment_of(session), false);
}
