/* SPDX-License-Identifier: MIT */
/* The meta.json of a template. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/template.h"

/*
 * The directory of the template that kt_template_find() looks at; it is removed when it is damaged.
 */
static void make(const struct kt_template_id *id, const uint8_t *data, size_t size)
{
	KT_FREE char *path = kt_template_path(id);
	const char *name = strrchr(path, '/') + 1;
	char file[256];

	KT_FUZZ_ASSERT(kt_mkdir_all(path, NULL) == 0);
	(void)snprintf(file, sizeof(file), "%s/meta.json", name);
	(void)kt_fuzz_dir_put(file, data, size);
	(void)snprintf(file, sizeof(file), "%s/ram", name);
	(void)kt_fuzz_dir_put(file, "ram", 3);
	(void)snprintf(file, sizeof(file), "%s/state", name);
	(void)kt_fuzz_dir_put(file, "state", 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kt_template_id id = { kt_fuzz_dir(), "machine", "program" };
	struct kt_template_entry *entries;
	struct kt_template template;
	struct kt_err err = KT_ERR_NULL;
	size_t n;
	int r;

	make(&id, data, size);
	if (kt_template_list(id.dir, &entries, &n, &err) == 0) {
		KT_FUZZ_ASSERT(n == 1 && entries[0].what);
		kt_template_entries_free(entries, n);
	}
	r = kt_template_find(&id, &template, &err);
	KT_FUZZ_ASSERT(r > 0 || err.text[0]);
	if (r > 0)
		kt_template_deinit(&template);
	return 0;
}
