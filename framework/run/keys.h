/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The keys that are pressed while a run goes on, at the terminal that is standard input.
 *
 * The run has the terminal only while it is in front. It is given back when the run ends or is
 * stopped, and when the runner crashes; a runner that is killed cannot do so, but shells do.
 */

#include <stdbool.h>

#include "util/loop.h"
#include "util/terminal.h"

struct kt_keys {
	struct kt_loop *loop;
	void (*pressed)(void *data, char key); /* for each key */
	void *data;

	/* private */
	bool wanted;
	struct kt_terminal terminal;
	struct kt_source source; /* registered while the run has the terminal */
};

#define KT_KEYS_NULL ((struct kt_keys){ .source = KT_SOURCE_NULL })

/*
 * Sets up @keys without taking the terminal. Keys are never read if @wanted is false, if standard
 * input or error is no terminal, or if standard output is a pipe: a pager that reads it reads keys
 * itself. @data is passed to @pressed.
 */
void kt_keys_init(struct kt_keys *keys, struct kt_loop *loop, bool wanted,
		  void (*pressed)(void *data, char key), void *data);

/*
 * Takes the terminal if it is this process's, or sets it again if the run has it already. One at
 * which lines were typed ahead is left to who reads them. To be called at the beginning, after
 * SIGCONT, and every now and then: nothing tells when a run in the background comes to the front.
 */
void kt_keys_take(struct kt_keys *keys);

/* Gives the terminal back, if the run has it. */
void kt_keys_leave(struct kt_keys *keys);

/* In a forked child, to which the terminal does not belong. */
void kt_keys_forget(void);
