/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/programs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "vmm/inspect/record.h"

/*
 * prog_idr leads to the programs. What people know of a program is in two structs, and what each
 * CPU has counted in a third one.
 */

enum { TYPE, JITED, LEN, STATS, AUX, CODE, CODE_LEN, N_FIELDS };
enum { ID, NAME, N_AUX };
enum { RUNS, NS, MISSES, N_STATS };

static const struct kt_record_field FIELDS[N_FIELDS] = {
	[TYPE] = { { "type" } },
	[JITED] = { { "jited" }, true },
	[LEN] = { { "len" }, true },
	[STATS] = { { "stats" } },
	[AUX] = { { "aux" } },
	[CODE] = { { "bpf_func" }, true },
	[CODE_LEN] = { { "jited_len" }, true },
};

static const struct kt_record_field AUX_FIELDS[N_AUX] = {
	[ID] = { { "id" } },
	[NAME] = { { "name" } },
};

static const struct kt_record_field STATS_FIELDS[N_STATS] = {
	[RUNS] = { { "cnt" } },
	[NS] = { { "nsecs" } },
	[MISSES] = { { "misses" }, true },
};

struct kt_programs {
	struct kt_inspect *inspect;
	struct kt_record record, aux, stats;
	uint64_t ids; /* the xarray */
	uint64_t next;
	bool ended;
};

int kt_programs_open(struct kt_inspect *inspect, struct kt_programs **ret_programs,
		     struct kt_err *reterr)
{
	struct kt_programs *programs = calloc(1, sizeof(*programs));
	struct kt_member idr;
	uint64_t symbol;
	int r;

	if (!programs)
		return kt_err_oom(reterr);
	programs->inspect = inspect;
	r = kt_record_init(&programs->record, inspect, "struct bpf_prog", FIELDS, N_FIELDS,
			   reterr) ?:
		kt_record_init(&programs->aux, inspect, "struct bpf_prog_aux", AUX_FIELDS, N_AUX,
			       reterr) ?:
		kt_record_init(&programs->stats, inspect, "struct bpf_prog_stats", STATS_FIELDS,
			       N_STATS, reterr) ?:
		kt_inspect_member(inspect, "struct idr", "idr_rt", &idr, reterr) ?:
		kt_inspect_symbol(inspect, "prog_idr", &symbol, reterr);
	if (r < 0) {
		kt_programs_close(programs);
		return kt_err_prefix(reterr, r, "BPF programs");
	}
	programs->ids = symbol + idr.offset;
	*ret_programs = programs;
	return 0;
}

struct kt_programs *kt_programs_close(struct kt_programs *programs)
{
	if (!programs)
		return NULL;
	kt_record_deinit(&programs->record);
	kt_record_deinit(&programs->aux);
	kt_record_deinit(&programs->stats);
	free(programs);
	return NULL;
}

/* Adds what each CPU has counted. */
static int add_stats(struct kt_programs *programs, uint64_t per_cpu, struct kt_program *program,
		     struct kt_err *reterr)
{
	unsigned int n_cpus = kt_inspect_facts(programs->inspect)->n_cpus;
	int r = 0;

	for (unsigned int cpu = 0; r == 0 && per_cpu && cpu < n_cpus; cpu++) {
		uint64_t kva;

		r = kt_inspect_per_cpu(programs->inspect, per_cpu, cpu, &kva, reterr)
			    ?: kt_record_read(&programs->stats, kva, reterr);
		if (r < 0)
			break;
		program->runs += kt_record_get(&programs->stats, RUNS);
		program->ns += kt_record_get(&programs->stats, NS);
		program->misses += kt_record_get(&programs->stats, MISSES);
	}
	return r;
}

static int read_program(struct kt_programs *programs, uint64_t kva, struct kt_program *ret,
			struct kt_err *reterr)
{
	struct kt_record *record = &programs->record;
	int r = kt_record_read(record, kva, reterr)
			?: kt_record_read(&programs->aux, kt_record_get(record, AUX), reterr);

	if (r < 0)
		return r;
	*ret = (struct kt_program){
		.kva = kva,
		.id = (uint32_t)kt_record_get(&programs->aux, ID),
		.type = kt_record_enumerator(record, TYPE),
		.jited = kt_record_get(record, JITED),
		.n_insns = (uint32_t)kt_record_get(record, LEN),
		.code = kt_record_get(record, CODE),
		.code_len = (uint32_t)kt_record_get(record, CODE_LEN),
	};
	(void)kt_record_text(&programs->aux, NAME, ret->name, sizeof(ret->name));
	return add_stats(programs, kt_record_get(record, STATS), ret, reterr);
}

int kt_programs_next(struct kt_programs *programs, struct kt_program *ret_program,
		     struct kt_err *reterr)
{
	uint64_t id = programs->next, kva;
	int r = programs->ended
			? -ENXIO
			: kt_inspect_xa_next(programs->inspect, programs->ids, &id, &kva, reterr);

	if (r < 0)
		programs->ended = true;
	if (r == -ENXIO)
		return 0;
	if (r < 0)
		return kt_err_prefix(reterr, -ENODEV, "prog_idr");
	programs->next = id + 1;
	r = read_program(programs, kva, ret_program, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r == -ENODEV ? -EFAULT : r, "BPF program %" PRIu64,
				     id);
	return 1;
}

/* What is shown, and the one that it has come to. */
struct listing {
	struct kt_programs *programs;
	struct kt_program program;
};

static int next_program(void *data, struct kt_err *reterr)
{
	struct listing *listing = data;

	return kt_programs_next(listing->programs, &listing->program, reterr);
}

static json_t *program_json(struct kt_walk *walk, void *data)
{
	const struct kt_program *program = &((struct listing *)data)->program;

	(void)walk;
	return json_pack(
		"{s:I, s:o, s:s?, s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:I}", "id",
		(json_int_t)program->id, "name", kt_tree_text(program->name), "type", program->type,
		"jited", program->jited, "instructions", (json_int_t)program->n_insns, "runs",
		kt_tree_unsigned(program->runs), "ns", kt_tree_unsigned(program->ns), "misses",
		kt_tree_unsigned(program->misses), "address", kt_tree_address(program->kva), "code",
		kt_tree_address(program->code), "code_len", (json_int_t)program->code_len);
}

int kt_programs_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		     struct kt_err *reterr)
{
	struct listing listing;
	const struct kt_walk_source source = { next_program, program_json, &listing };
	json_t *array;
	int r = kt_programs_open(walk->inspect, &listing.programs, reterr);

	(void)unused;
	if (r < 0)
		return r;
	array = kt_walk_array(walk, &source, walk->limits.programs);
	kt_programs_close(listing.programs);
	if (!array)
		return kt_err_oom(reterr);
	*ret_json = array;
	return 0;
}
