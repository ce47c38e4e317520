/* SPDX-License-Identifier: MIT */
#pragma once
/* Noise: disturbs QEMU's main loop as a busy host does, but far more often. For tests. */

/*
 * Begins to wake the main loop at random moments of the host, if the environment variable
 * KTEST_PLUGIN_NOISE is set. A machine that is repeatable does not notice.
 */
void kt_noise_begin(void);
