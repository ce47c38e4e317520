/* SPDX-License-Identifier: MIT */
/*
 * The program "ktest", a binary without tests: an empty source, linked with main() of the
 * library. Its commands for kernels, templates, shells and schedulers work as in any test binary.
 */
