/* SPDX-License-Identifier: MIT */
/* A payload that is linked with the suite's library. */

int kt_suite_library(void);

int main(void)
{
	return kt_suite_library() == 7 ? 0 : 1;
}
