/* SPDX-License-Identifier: MIT */
/*
 * The lists of what this binary declares. Constructors fill them before main(), so that they need
 * no lock. Every KTEST() refers to this file, so the linker always takes it in, and with it
 * the constructor that turns the process into the guest's init.
 */

#include "framework/declaration/registry.h"

#include "guest/init/main.h"

static struct kt_test_node *first, **end = &first;
static struct kt_payload_node *first_payload, **payload_end = &first_payload;
static struct kt_scheduler_node *first_scheduler, **scheduler_end = &first_scheduler;

void kt_test_register(struct kt_test_node *node)
{
	*end = node;
	end = &node->next;
}

const struct kt_test_node *kt_registry(void)
{
	return first;
}

void kt_payload_register(struct kt_payload_node *node)
{
	*payload_end = node;
	payload_end = &node->next;
}

const struct kt_payload_node *kt_payload_registry(void)
{
	return first_payload;
}

void kt_scheduler_register(struct kt_scheduler_node *node)
{
	*scheduler_end = node;
	scheduler_end = &node->next;
}

const struct kt_scheduler_node *kt_scheduler_registry(void)
{
	return first_scheduler;
}

/*
 * The same ELF file is /init in the guest. Constructors without a priority run after those with
 * one, so every KTEST() is registered when this one runs. It is in this file because every test
 * refers to the file, so that the linker never drops it.
 */
__attribute__((constructor)) static void become_guest(void)
{
	if (kt_guest_is_me())
		kt_guest_main(first);
}
