/* SPDX-License-Identifier: MIT */
#pragma once
/* The schedulers of this repository, under the names that tests use. */

#include <ktest.h>

/* Where the build puts them, relative to the directory of the test program. */
#define FIXTURE(name) "../../schedulers/" name ".bpf.o"
