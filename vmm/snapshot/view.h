/* SPDX-License-Identifier: MIT */
#pragma once
/* A value in the report of a snapshot, found by the steps of a view. */

#include <jansson.h>

#include "wire/snapshot.h"

/*
 * Follows the steps of @request in @report, which kt_snapshot_take() or kt_snapshot_placeholder()
 * has made, and reads what is there in the form that the request says. Sets fault, value and text
 * of *@ret_sample; a fault has a text that says what there is instead.
 */
void kt_view_read(const json_t *report, const struct kt_snapshot_request *request,
		  struct kt_snapshot_sample *ret_sample);
