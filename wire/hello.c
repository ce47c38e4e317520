/* SPDX-License-Identifier: MIT */
#include "wire/hello.h"

#include <errno.h>

#include "wire/json.h"
#include "wire/message.h"

/*
 * The payload is JSON; a template's directory keeps the same text as a file. Addresses are
 * hexadecimal strings, all other numbers are integers.
 */

static json_t *topology_json(const struct kt_hello *hello)
{
	return json_pack("{si si si si si so}", "numa_nodes", (int)hello->numa_nodes,
			 "memory_nodes", (int)hello->memory_nodes, "llcs", (int)hello->llcs,
			 "cores", (int)hello->cores, "threads", (int)hello->threads, "llc_cores",
			 kt_json_counts(hello->llc_cores, KT_HELLO_LLCS));
}

char *kt_hello_encode(const struct kt_hello *hello)
{
	KT_JSON json_t *json = json_pack(
		"{si ss ss sI si so so so so so so}", "version", (int)hello->version, "build_id",
		hello->build_id, "release", hello->release, "boot_ns", (json_int_t)hello->boot_ns,
		"cpus", (int)hello->cpus, "topology", topology_json(hello), "phys_base",
		kt_json_hex(hello->phys_base), "page_offset_base",
		kt_json_hex(hello->page_offset_base), "text", kt_json_hex(hello->text), "die",
		kt_json_hex(hello->die), "kprobe_table", kt_json_hex(hello->kprobe_table));

	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

/* A version, or a number of CPUs, caches or nodes. */
static int get_count(const json_t *object, const char *name, uint32_t *ret_value)
{
	int64_t value;
	int r = kt_json_get_int(object, name, 0, UINT16_MAX, &value);

	if (r == 0)
		*ret_value = (uint32_t)value;
	return r;
}

static int decode_topology(const json_t *json, struct kt_hello *hello)
{
	const json_t *topology = json_object_get(json, "topology");

	return get_count(json, "cpus", &hello->cpus) ?:
	       get_count(topology, "numa_nodes", &hello->numa_nodes) ?:
	       get_count(topology, "memory_nodes", &hello->memory_nodes) ?:
	       get_count(topology, "llcs", &hello->llcs) ?:
	       get_count(topology, "cores", &hello->cores) ?:
	       get_count(topology, "threads", &hello->threads) ?:
	       kt_json_get_counts(topology, "llc_cores", UINT16_MAX, hello->llc_cores,
				  KT_HELLO_LLCS);
}

static int decode_identity(const json_t *json, struct kt_hello *hello)
{
	int64_t boot_ns = 0;
	int r;

	r = kt_json_get_text(json, "build_id", hello->build_id, sizeof(hello->build_id)) ?:
	    kt_json_get_text(json, "release", hello->release, sizeof(hello->release)) ?:
	    kt_json_get_int(json, "boot_ns", 0, INT64_MAX, &boot_ns);
	hello->boot_ns = (uint64_t)boot_ns;
	return r;
}

static int decode_addresses(const json_t *json, struct kt_hello *hello)
{
	return kt_json_get_hex(json, "phys_base", &hello->phys_base) ?:
	       kt_json_get_hex(json, "page_offset_base", &hello->page_offset_base) ?:
	       kt_json_get_hex(json, "text", &hello->text) ?:
	       kt_json_get_hex(json, "die", &hello->die) ?:
	       kt_json_get_hex(json, "kprobe_table", &hello->kprobe_table);
}

int kt_hello_decode(const void *data, size_t len, struct kt_hello *ret_hello, struct kt_err *reterr)
{
	struct kt_hello hello = { 0 };
	KT_JSON json_t *json = NULL;
	int r;

	r = kt_json_parse(data, len, "HELO", &json, reterr);
	if (r < 0)
		return r;
	/* The version is read first: another version may have other members. */
	if (get_count(json, "version", &hello.version) < 0)
		return kt_err_set(reterr, -EBADMSG, "HELO has no protocol version");
	if (hello.version != KT_WIRE_VERSION)
		goto out;
	if (decode_identity(json, &hello) < 0)
		return kt_err_set(reterr, -EBADMSG, "HELO lacks build_id, release or boot_ns");
	if (decode_topology(json, &hello) < 0)
		return kt_err_set(reterr, -EBADMSG, "HELO lacks the CPUs and topology seen");
	if (decode_addresses(json, &hello) < 0)
		return kt_err_set(reterr, -EBADMSG, "HELO lacks the kernel's addresses");
out:
	*ret_hello = hello;
	return 0;
}
