/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Templates: saved machines on disk. A machine is restored from one in tens of milliseconds, where
 * a boot takes seconds.
 *
 * A template is a directory {ram, state, meta.json}. Its name is made from everything that it
 * depends on: the machine, and the program that runs in it as PID 1. It is published in one step
 * and never changed, so that any number of machines can map its RAM copy-on-write at once. A
 * damaged template counts as missing.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/link.h"
#include "wire/hello.h"

/* What a saved machine depends on, apart from the program and the files in it. All borrowed. */
struct kt_template_key {
	const struct kt_machine_config *machine;
	const char *kernel_release;  /* of machine->kernel, whose path alone does not identify it */
	const char *kernel_build_id; /* likewise */
	unsigned int vmm_major;      /* version of the VMM: others cannot read the state */
	unsigned int vmm_minor;
};

/*
 * Returns the text that identifies the machine of a template, to be freed; NULL when out of memory.
 * Two keys have the same text exactly when one template serves both. The version of the wire
 * protocol and the host's CPU are part of it.
 */
char *kt_template_machine_text(const struct kt_template_key *key);

/* Names a template. All borrowed. */
struct kt_template_id {
	const char *dir;     /* the directory of all templates */
	const char *machine; /* kt_template_machine_text() */
	const char *program; /* path on the host of the program that is PID 1 in the guest */
};

/* A template that was found, with its files open. */
struct kt_template {
	struct kt_machine_image image;    /* owned descriptors */
	struct kt_link_position position; /* of the link when the machine was saved */
	struct kt_hello hello;            /* the guest's last HELO before that */
	json_t *files;                    /* manifest of the guest's files, opaque here; owned */
	uint64_t ram_used;                /* bytes in pages of RAM that are not zero */
	uint64_t ram_hash;                /* names the saved moment: other moments have others */
	bool is_renewed;                  /* made from another template, not by a boot */
	uint64_t build_ns;                /* how long the making took */
};

#define KT_TEMPLATE_NULL                                                                           \
	((struct kt_template){ .image = { .ram_fd = -1, .state_fd = -1 }, .files = NULL })

/* Closes and releases everything; @template is KT_TEMPLATE_NULL then. */
void kt_template_deinit(struct kt_template *template);

/*
 * Looks a template up and marks it as used now. Returns 1 with *@ret_template filled in, 0 when
 * there is none that can be used, or a negative errno. If a template is there that cannot be used,
 * @reterr says why (with 0 too), and a damaged one is removed.
 */
int kt_template_find(const struct kt_template_id *id, struct kt_template *ret_template,
		     struct kt_err *reterr);

/* The same for a template of the same machine with any program in it: the one used last. */
int kt_template_find_sibling(const struct kt_template_id *id, struct kt_template *ret_template,
			     struct kt_err *reterr);

/* The same for the template with this ram_hash, which was made with any program. */
int kt_template_find_ram(const struct kt_template_id *id, uint64_t ram_hash,
			 struct kt_template *ret_template, struct kt_err *reterr);

/* How long a restore may take; some 30 ms are usual. It is so long because hosts can be starved. */
#define KT_TEMPLATE_RESTORE_NS (60 * KT_NSEC_PER_SEC)

/*
 * Continues the template's machine, and the numbers of its frames, in the new machine of @link. The
 * guest runs when this returns 0, and waits for a frame. @config and the errors are those of
 * kt_machine_restore().
 */
int kt_template_restore(const struct kt_template *template, struct kt_link *link,
			const struct kt_machine_config *config, uint64_t deadline_ns,
			struct kt_err *reterr);

/*
 * Returns the path of the template's directory, existing or not; to be freed. NULL: out of memory.
 */
char *kt_template_path(const struct kt_template_id *id);

/*
 * Completes the directory @stage, which holds the files ram and state, and publishes it under the
 * name of @id, in place of an older template. @template is recorded in meta.json; its image is not
 * used, and its ram_used and ram_hash are measured and set here. Returns 0 or a negative errno;
 * nothing is published then.
 */
int kt_template_publish(const struct kt_template_id *id, const char *stage,
			struct kt_template *template, struct kt_err *reterr);

/*
 * Removes templates of @dir, the least recently used first, until they take at most @max_bytes of
 * disk or one is left.
 */
void kt_template_prune(const char *dir, uint64_t max_bytes);

/* A template as kt_template_list() reports it. */
struct kt_template_entry {
	char *name; /* of its directory */
	char *what; /* kernel release, CPUs, RAM used and program, for people; or "damaged" */
	uint64_t disk_bytes;
	uint64_t used_ns; /* time of the last use, since 1970 */
};

/*
 * Lists the templates of @dir, the one used last first. *@ret_entries is to be freed by
 * kt_template_entries_free(). Returns 0 or a negative errno.
 */
int kt_template_list(const char *dir, struct kt_template_entry **ret_entries, size_t *ret_n,
		     struct kt_err *reterr);
void kt_template_entries_free(struct kt_template_entry *entries, size_t n);
