/* SPDX-License-Identifier: MIT */
#include "framework/run/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

void kt_item_free(struct kt_item *item)
{
	while (item && item->previous) {
		struct kt_outcome *previous = item->previous;

		item->previous = previous->previous;
		previous->previous = NULL;
		kt_outcome_deinit(previous);
		free(previous);
	}
	if (item) {
		free(item->obstacle);
		free(item->fault);
		free(item->name);
	}
	free(item);
}

/* queue->end always points to the last link, which is NULL: queue->first in an empty queue. */
void kt_queue_init(struct kt_queue *queue)
{
	*queue = (struct kt_queue){ .end = &queue->first };
}

unsigned int kt_queue_deinit(struct kt_queue *queue)
{
	unsigned int n = 0;

	while (queue->first) {
		kt_item_free(kt_queue_take(queue, &queue->first));
		n++;
	}
	return n;
}

/* An item that could be made in part only is in the queue too, and is freed with it. */
static int add_item(struct kt_queue *queue, const struct kt_test *test,
		    const struct kt_kernel *kernel, struct kt_group **groups,
		    const struct kt_setup *setup)
{
	struct kt_item *item = calloc(1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	item->test = test;
	item->kernel = kernel;
	item->name =
		kernel->label ? kt_format("%s[%s]", test->name, kernel->label) : strdup(test->name);
	item->iteration = queue->rounds;
	item->attempt = 1;
	item->obstacle = kt_setup_obstacle(setup, kernel, test);
	item->fault = kt_setup_fault(setup, kernel, test);
	item->group = kt_group_get(groups, setup, kernel, test);
	*queue->end = item;
	queue->end = &item->next;
	return item->group && item->name ? 0 : -ENOMEM;
}

int kt_queue_add_round(struct kt_queue *queue, const struct kt_plan *plan, struct kt_group **groups,
		       const struct kt_setup *setup)
{
	int r = 0;

	queue->rounds++;
	for (size_t k = 0; k < setup->n_kernels; k++) {
		for (size_t i = 0; r == 0 && i < plan->n; i++) {
			if (kt_plan_has(plan, plan->tests[i], setup->kernels[k].facts.release))
				r = add_item(queue, plan->tests[i], &setup->kernels[k], groups,
					     setup);
		}
	}
	return r;
}

unsigned int kt_queue_round_len(const struct kt_plan *plan, const struct kt_setup *setup)
{
	unsigned int n = 0;

	for (size_t k = 0; k < setup->n_kernels; k++) {
		for (size_t i = 0; i < plan->n; i++)
			n += kt_plan_has(plan, plan->tests[i], setup->kernels[k].facts.release);
	}
	return n;
}

void kt_queue_push_front(struct kt_queue *queue, struct kt_item *item)
{
	item->next = queue->first;
	queue->first = item;
	if (!item->next)
		queue->end = &item->next;
}

struct kt_item *kt_queue_take(struct kt_queue *queue, struct kt_item **at)
{
	struct kt_item *item = *at;

	*at = item->next;
	if (!*at)
		queue->end = at;
	item->next = NULL;
	return item;
}

/* Items with an obstacle are skipped without a machine. */
unsigned int kt_queue_count(const struct kt_queue *queue, const struct kt_group *group)
{
	unsigned int n = 0;

	for (const struct kt_item *item = queue->first; item; item = item->next)
		n += item->group == group && !item->obstacle && !item->fault;
	return n;
}
