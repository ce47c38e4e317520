/* SPDX-License-Identifier: MIT */
#pragma once
/* Host calls of this guest: see wire/hostcall.h. Any thread may make them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/turns.h"

/* Whether the machine serves host calls. Asked of the machine at the first call. */
bool kt_hostcall_served(void);

/* Sends @len bytes of any number. 0 or a negative errno. */
int kt_hostcall_send(const void *data, size_t len);

/*
 * Sends @len bytes, at least 1, and returns when the host has something to be received. No guest
 * code runs between the last byte and that. 0 or a negative errno.
 */
int kt_hostcall_ask(const void *data, size_t len);

/*
 * Receives exactly @len bytes. No guest code runs, and no time passes in the guest, until the host
 * has sent them. 0 or a negative errno.
 */
int kt_hostcall_receive(void *data, size_t len);

/* Whether the host has sent something; waits for that up to @ms of the host's time. */
bool kt_hostcall_poll(unsigned int ms);

/* From now on vCPUs take turns as @turns says. 0 or a negative errno. */
int kt_hostcall_seed(const struct kt_turns *turns);

/* Lets the host know when @ns have passed in the guest; 0: never. 0 or a negative errno. */
int kt_hostcall_limit(uint64_t ns);

/* Since kt_hostcall_seed(); all 0 when that is not known. */
struct kt_turns_made kt_hostcall_turns(void);
