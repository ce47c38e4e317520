/* SPDX-License-Identifier: MIT */
#pragma once
/* What the program's exit status means; docs/running.md has the same table. */

enum kt_exit_status {
	KT_EXIT_STATUS_OK = 0,
	KT_EXIT_STATUS_USAGE = 2,
	KT_EXIT_STATUS_NO_TESTS = 4,
	KT_EXIT_STATUS_SKIPPED = 77,
	KT_EXIT_STATUS_HARNESS = 99,
	KT_EXIT_STATUS_FAILED = 100,
	KT_EXIT_STATUS_SETUP = 105,
	KT_EXIT_STATUS_REPORT = 110,
	KT_EXIT_STATUS_SIGNAL = 128, /* plus its number */
};
