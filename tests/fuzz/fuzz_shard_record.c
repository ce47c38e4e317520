/* SPDX-License-Identifier: MIT */
/* The record of a shard, which comes from another host; what is accepted is proved, too. */
#include <stdlib.h>
#include <string.h>

#include "framework/merge/shards.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

static void check_names(const struct kt_shard_head *head)
{
	for (size_t i = 0; i < head->n_all + head->n_selected + head->n_labels; i++) {
		KT_FUZZ_ASSERT(*head->all[i] && *head->all[i] != '.');
		KT_FUZZ_ASSERT(!strchr(head->all[i], '/'));
	}
	KT_FUZZ_ASSERT(head->index >= 1 && head->index <= head->total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_merge_shard *shard = calloc(1, sizeof(*shard));
	struct kt_merge merge = { .shards = shard, .n = 1, .command = "merge" };
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *text = NULL;
	size_t len;

	shard->record = KT_SHARD_RECORD_NULL;
	shard->path = strdup("p");
	shard->dir = strdup("d");
	merge.out = open_memstream(&text, &len);
	if (kt_shard_record_parse((const char *)data, size, &shard->record, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
	} else {
		check_names(&shard->record.head);
		/* Each lost shard is a line. */
		if (shard->record.head.total < 100)
			KT_FUZZ_ASSERT(kt_merge_prove(&merge) == 0);
	}
	(void)fclose(merge.out);
	kt_merge_deinit(&merge);
	return 0;
}
