/* SPDX-License-Identifier: MIT */
#pragma once
/* The schedulers of this repository, as tests name them. */

#include <ktest.h>

/* Where the build puts them, seen from the test program. */
#define FIXTURE(name) "../../schedulers/" name ".bpf.o"
