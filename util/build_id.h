/* SPDX-License-Identifier: MIT */
#pragma once
/* What tells one build of this program from another. */

/*
 * The build-id that the linker has given to this program, in hexadecimal; "" without one. It is
 * good for the life of the process.
 */
const char *kt_build_id(void);
