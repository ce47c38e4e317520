/* SPDX-License-Identifier: MIT */
/*
 * Runs a target, without libFuzzer, once for each file that is named, or that is in a named
 * directory.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "util/io.h"

#define INPUT_MAX (16u << 20)

static unsigned int n_run;

/* The input fills its allocation exactly, so that a sanitizer sees a read past its end. */
static int run_file(const char *path)
{
	KT_FREE char *text = NULL;
	KT_FREE uint8_t *exact = NULL;
	size_t len;
	int r = kt_file_read(path, INPUT_MAX, &text, &len);

	exact = r < 0 ? NULL : malloc(len ?: 1);
	if (!exact) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(r < 0 ? -r : ENOMEM));
		return 1;
	}
	memcpy(exact, text, len);
	(void)fprintf(stderr, "%s\n", path); /* the last one is the one that crashes */
	n_run++;
	return LLVMFuzzerTestOneInput(exact, len);
}

static int run_dir(const char *path, DIR *stream)
{
	int r = 0;

	for (struct dirent *ent; (ent = readdir(stream));) {
		KT_FREE char *file = kt_format("%s/%s", path, ent->d_name);

		if (ent->d_name[0] != '.')
			r |= file ? run_file(file) : 1;
	}
	return r;
}

int main(int argc, char **argv)
{
	int r = 0;

	for (int i = 1; i < argc; i++) {
		DIR *stream = opendir(argv[i]);

		r |= stream ? run_dir(argv[i], stream) : run_file(argv[i]);
		if (stream)
			(void)closedir(stream);
	}
	(void)fprintf(stderr, "%u inputs\n", n_run);
	return r || !n_run;
}
