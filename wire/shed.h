/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Making a result fit into one frame. A verdict is never lost for its size: detail is left out in a
 * fixed order, the least useful first, until the rest fits. The result says what was left out.
 */

#include <jansson.h>
#include <stddef.h>

/*
 * Returns @result, as kt_result_to_json() made it, as compact text of at most @max bytes, to be
 * freed; NULL when out of memory. What does not fit is removed from @result in this order:
 *
 *   1. the table of workers
 *   2. texts over 400 bytes, cut at their ends
 *   3. metrics of payloads
 *   4. the middle of lists with more than 100 members
 *   5. all statistics of the scenario
 *   6. failures after the eighth
 *   7. texts over 60 bytes, cut at their ends
 *
 * Member "shed" of @result then lists in words what is missing. @max must be at least 16 KiB.
 */
char *kt_shed(json_t *result, size_t max);
