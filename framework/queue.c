/* SPDX-License-Identifier: MIT */
#include "framework/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

void kt_item_free(struct kt_item *item)
{
	while (item && item->previous) {
		struct kt_outcome *previous = item->previous;

		item->previous = previous->previous;
		previous->previous = NULL;
		kt_outcome_deinit(previous);
		free(previous);
	}
	if (item)
		free(item->obstacle);
	free(item);
}

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

int kt_queue_add_round(struct kt_queue *queue, const struct kt_plan *plan, struct kt_group **groups,
		       const struct kt_setup *setup)
{
	queue->rounds++;
	for (size_t i = 0; i < plan->n; i++) {
		struct kt_item *item = calloc(1, sizeof(*item));

		if (!item)
			return -ENOMEM;
		item->test = plan->tests[i];
		item->iteration = queue->rounds;
		item->attempt = 1;
		item->obstacle = kt_setup_obstacle(setup, item->test);
		item->group = kt_group_get(groups, setup, item->test);
		*queue->end = item;
		queue->end = &item->next;
		if (!item->group)
			return -ENOMEM;
	}
	return 0;
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

unsigned int kt_queue_count(const struct kt_queue *queue, const struct kt_group *group)
{
	unsigned int n = 0;

	for (const struct kt_item *item = queue->first; item; item = item->next)
		n += item->group == group && !item->obstacle;
	return n;
}
