/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The exit statuses of the program, which are an interface: scripts depend on them.
 * docs/running.md has the same table, and --help a short one.
 */

enum kt_exit_status {
	KT_EXIT_STATUS_OK = 0,
	KT_EXIT_STATUS_USAGE = 2,       /* a wrong option, or a fault in a declaration */
	KT_EXIT_STATUS_NO_TESTS = 4,    /* the binary has no tests, or none matches */
	KT_EXIT_STATUS_OUTSTANDING = 5, /* a rerun passed, but did not run all that is left */
	KT_EXIT_STATUS_SKIPPED = 77,    /* every test was skipped, or the host has no QEMU */
	KT_EXIT_STATUS_HARNESS = 99, /* ERROR, INCONCLUSIVE, or the run could not start or finish */
	KT_EXIT_STATUS_FAILED = 100, /* a test failed, or a metric got worse */
	KT_EXIT_STATUS_SETUP = 105,  /* returned by ./dev only: the host could not be set up */
	KT_EXIT_STATUS_REPORT = 110, /* a report could not be written */
	KT_EXIT_STATUS_BISECT_GOOD = 0, /* these three with --bisect, as "git bisect run" wants */
	KT_EXIT_STATUS_BISECT_BAD = 1,
	KT_EXIT_STATUS_BISECT_SKIP = 125,
	KT_EXIT_STATUS_SIGNAL = 128, /* plus the number of the signal that ended the run */
};
