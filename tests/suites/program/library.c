/* SPDX-License-Identifier: MIT */
/* A library that only payloads of the suite bring into the guest. */

int kt_suite_library(void);

__attribute__((visibility("default"))) int kt_suite_library(void)
{
	return 7;
}
