/* SPDX-License-Identifier: MIT */
/* A payload that opens a library by the name that is its argument. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc > 1 && dlopen(argv[1], RTLD_NOW))
		return 0;
	(void)fprintf(stderr, "%s\n", dlerror());
	return 1;
}
