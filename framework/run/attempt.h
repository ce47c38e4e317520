/* SPDX-License-Identifier: MIT */
#pragma once
/* An attempt: one execution of one test in one machine, as a job of the run. */

#include "framework/run/run.h"

/*
 * Starts an attempt at @item, which is out of the queue, with @share of the budget. Takes both
 * over, on failure too, which is reported as an ERROR of the test or noted as a fault of the run.
 *
 * With @warm the machine is only restored; the test begins at kt_attempt_go().
 */
void kt_attempt_start(struct kt_run *run, struct kt_item *item, struct kt_share share, bool warm);

/* Lets the test of an attempt begin that was started with @warm. */
void kt_attempt_go(struct kt_run_job *attempt);
