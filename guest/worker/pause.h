/* SPDX-License-Identifier: MIT */
#pragma once

/* The pauses of a CPU that spins. */

/* Executes @n PAUSE instructions; under TCG, NOP instructions. */
void kt_cpu_pause(unsigned int n);
