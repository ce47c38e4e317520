/* SPDX-License-Identifier: MIT */
#include "vmm/capsule/info.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/capsule/format.h"
#include "wire/json.h"

/*
 * A capsule may come from anywhere, so every number is bounded here: what follows from them, such
 * as the length of the RAM, is allocated later without a further look.
 */

#define CPUS_MAX  ((int64_t)KT_CAPSULE_VCPUS_MAX)
#define SHIFT_MAX 10 /* of QEMU's -icount */

static json_t *machine_json(const struct kt_capsule_info *info)
{
	const struct kt_machine_topology *topology = &info->topology;

	return json_pack("{ss ss ss si si si si si so si si sb ss ss ss si sb sb sb ss si sI}",
			 "kernel", info->kernel_release, "build_id", info->kernel_build_id,
			 "vmlinux", info->vmlinux, "nodes", (int)topology->numa_nodes,
			 "memory_nodes", (int)topology->memory_nodes, "llcs", (int)topology->llcs,
			 "cores", (int)topology->cores, "threads", (int)topology->threads,
			 "llc_cores", kt_json_counts(topology->llc_cores, KT_HELLO_LLCS),
			 "memory_mib", (int)info->memory_mib, "disk_mib", (int)info->disk_mib,
			 "net", info->net, "accel", kt_accel_name(info->accel), "vmm",
			 kt_vmm_name(info->vmm), "time", kt_time_name(info->time), "insn_shift",
			 (int)info->insn_shift, "host_calls", info->host_calls, "conflicts",
			 info->conflicts, "single_thread", info->tcg_single_thread, "qemu",
			 info->qemu, "qemu_major", (int)info->vmm_major, "qemu_minor",
			 (json_int_t)info->vmm_minor);
}

static json_t *guest_json(const struct kt_capsule_info *info)
{
	return json_pack("{ss si so so ss sb}", "runner", info->runner, "wire", (int)info->wire,
			 "received", kt_json_hex(info->position.received), "sent",
			 kt_json_hex(info->position.sent), "moment", info->moment, "listens",
			 info->listens);
}

static json_t *test_json(const struct kt_capsule_info *info)
{
	return json_pack("{ss ss so so si so}", "name", info->test, "verdict", info->verdict,
			 "reason", kt_json_text(info->reason, strlen(info->reason)), "seed",
			 kt_json_hex(info->seed), "attempt", (int)info->attempt, "saved_ns",
			 kt_json_hex(info->saved_ns));
}

static json_t *template_json(const struct kt_capsule_info *info)
{
	if (!info->template_machine)
		return NULL;
	return json_pack("{ss ss so}", "machine", info->template_machine, "program",
			 info->template_program, "ram_hash", kt_json_hex(info->template_ram));
}

char *kt_capsule_info_encode(const struct kt_capsule_info *info)
{
	KT_JSON json_t *json = json_pack("{so so so so*}", "machine", machine_json(info), "guest",
					 guest_json(info), "test", test_json(info), "template",
					 template_json(info));

	return json ? json_dumps(json, JSON_INDENT(1)) : NULL;
}

/* ---- reading ---- */

/* One object of the info; the first member that is wrong is named in @err. */
struct reader {
	const json_t *object;
	const char *name;
	struct kt_err *err;
	int r;
};

static struct reader begin(const json_t *json, const char *name, struct kt_err *err)
{
	return (struct reader){ .object = json_object_get(json, name), .name = name, .err = err };
}

static void refuse(struct reader *reader, const char *member)
{
	if (reader->r == 0)
		reader->r = kt_err_set(reader->err, -EBADMSG,
				       "its info lacks '%s.%s', or that is impossible",
				       reader->name, member);
}

static const char *text(struct reader *reader, const char *member)
{
	const char *value = json_string_value(json_object_get(reader->object, member));

	if (!value)
		refuse(reader, member);
	return value ?: "";
}

static unsigned int number(struct reader *reader, const char *member, int64_t min, int64_t max)
{
	int64_t value = 0;

	if (kt_json_get_int(reader->object, member, min, max, &value) < 0)
		refuse(reader, member);
	return (unsigned int)value;
}

static uint64_t hex(struct reader *reader, const char *member)
{
	uint64_t value = 0;

	if (kt_json_get_hex(reader->object, member, &value) < 0)
		refuse(reader, member);
	return value;
}

static bool flag(struct reader *reader, const char *member)
{
	const json_t *value = json_object_get(reader->object, member);

	if (!json_is_boolean(value))
		refuse(reader, member);
	return json_is_true(value);
}

/* Returns which of the two names the member has. */
static bool is_second(struct reader *reader, const char *member, const char *first,
		      const char *second)
{
	const char *value = text(reader, member);

	if (strcmp(value, first) && strcmp(value, second))
		refuse(reader, member);
	return !strcmp(value, second);
}

/* Each LLC has its cores, by one number for all or by a list that has as many as there are LLCs. */
static bool has_cores(const struct kt_machine_topology *topology)
{
	unsigned int n = 0;

	while (n < KT_HELLO_LLCS && topology->llc_cores[n])
		n++;
	return topology->cores ? !n : n == topology->llcs;
}

static struct kt_machine_topology topology_of(struct reader *reader)
{
	struct kt_machine_topology topology = {
		.numa_nodes = number(reader, "nodes", 1, CPUS_MAX),
		.llcs = number(reader, "llcs", 1, CPUS_MAX),
		.cores = number(reader, "cores", 0, CPUS_MAX),
		.threads = number(reader, "threads", 1, CPUS_MAX),
		.memory_nodes = number(reader, "memory_nodes", 0, CPUS_MAX),
	};

	if (kt_json_get_counts(reader->object, "llc_cores", KT_CAPSULE_VCPUS_MAX,
			       topology.llc_cores, KT_HELLO_LLCS) < 0 ||
	    (reader->r == 0 && !has_cores(&topology)))
		refuse(reader, "llc_cores");
	if (reader->r == 0 &&
	    ((uint64_t)topology.llcs * topology.cores * topology.threads > KT_CAPSULE_VCPUS_MAX ||
	     kt_machine_n_vcpus(&topology) > KT_CAPSULE_VCPUS_MAX ||
	     topology.llcs % topology.numa_nodes))
		refuse(reader, "llcs");
	return topology;
}

static int read_machine(const json_t *json, struct kt_capsule_info *info, struct kt_err *reterr)
{
	struct reader at = begin(json, "machine", reterr);

	info->kernel_release = text(&at, "kernel");
	info->kernel_build_id = text(&at, "build_id");
	info->vmlinux = text(&at, "vmlinux");
	info->topology = topology_of(&at);
	info->memory_mib =
		number(&at, "memory_mib", kt_machine_n_nodes(&info->topology), KT_CAPSULE_MIB_MAX);
	info->disk_mib = number(&at, "disk_mib", 0, KT_CAPSULE_MIB_MAX);
	info->net = flag(&at, "net");
	info->accel = is_second(&at, "accel", "tcg", "kvm") ? KT_ACCEL_KVM : KT_ACCEL_TCG;
	info->vmm = is_second(&at, "vmm", "qemu", "kvm") ? KT_VMM_KVM : KT_VMM_QEMU;
	info->time = is_second(&at, "time", "real", "virtual") ? KT_TIME_VIRTUAL : KT_TIME_REAL;
	info->insn_shift = number(&at, "insn_shift", 0, SHIFT_MAX);
	info->host_calls = flag(&at, "host_calls");
	info->conflicts = flag(&at, "conflicts");
	info->tcg_single_thread = flag(&at, "single_thread");
	info->qemu = text(&at, "qemu");
	info->vmm_major = number(&at, "qemu_major", 0, INT32_MAX);
	info->vmm_minor = number(&at, "qemu_minor", 0, UINT32_MAX);
	return at.r;
}

static int read_guest(const json_t *json, struct kt_capsule_info *info, struct kt_err *reterr)
{
	struct reader at = begin(json, "guest", reterr);

	info->runner = text(&at, "runner");
	info->wire = number(&at, "wire", 0, INT32_MAX);
	info->position.received = (uint32_t)hex(&at, "received");
	info->position.sent = (uint32_t)hex(&at, "sent");
	info->moment = text(&at, "moment");
	info->listens = flag(&at, "listens");
	return at.r;
}

static int read_test(const json_t *json, struct kt_capsule_info *info, struct kt_err *reterr)
{
	struct reader at = begin(json, "test", reterr);

	info->test = text(&at, "name");
	info->verdict = text(&at, "verdict");
	info->reason = text(&at, "reason");
	info->seed = hex(&at, "seed");
	info->attempt = number(&at, "attempt", 0, INT32_MAX);
	info->saved_ns = hex(&at, "saved_ns");
	return at.r;
}

static int read_template(const json_t *json, struct kt_capsule_info *info, struct kt_err *reterr)
{
	struct reader at = begin(json, "template", reterr);

	if (!at.object)
		return 0;
	info->template_machine = text(&at, "machine");
	info->template_program = text(&at, "program");
	info->template_ram = hex(&at, "ram_hash");
	return at.r;
}

int kt_capsule_info_decode(const void *data, size_t len, struct kt_capsule_info *ret_info,
			   struct kt_err *reterr)
{
	struct kt_capsule_info info = { .json = NULL };
	int r = kt_json_parse(data, len, "its info", &info.json, reterr);

	if (r < 0)
		return r;
	r = read_machine(info.json, &info, reterr) ?: read_guest(info.json, &info, reterr)
			?: read_test(info.json, &info, reterr)
			?: read_template(info.json, &info, reterr);
	if (r < 0)
		kt_capsule_info_deinit(&info);
	else
		*ret_info = info;
	return r;
}

void kt_capsule_info_deinit(struct kt_capsule_info *info)
{
	json_decref(info->json);
	*info = (struct kt_capsule_info){ .json = NULL };
}
