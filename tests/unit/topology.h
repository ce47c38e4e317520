/* SPDX-License-Identifier: MIT */
#pragma once
/* Topologies of machines whose LLCs are all alike, in a line each. */

#include "vmm/machine.h"

/* Nodes, LLCs, cores of an LLC, threads of a core. */
#define TOPOLOGY(n, l, c, t)                                                                       \
	{                                                                                          \
		.numa_nodes = (n), .llcs = (l), .cores = (c), .threads = (t)                       \
	}
