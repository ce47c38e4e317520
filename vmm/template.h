/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Templates: booted machines on disk, from which others are restored instead of being booted.
 *
 * A template is a directory {ram, state, meta.json} named by what it depends on: everything about
 * the machine, and the program that runs in it. It is published in one step and never changed, so
 * that any number of machines map its RAM copy-on-write at once. A damaged one counts as missing.
 */

#include <jansson.h>
#include <stdint.h>

#include "vmm/link.h"
#include "wire/hello.h"

/* Everything that a saved machine depends on, but the program and the files in it. Borrowed. */
struct kt_template_base {
	const struct kt_machine_config *machine;
	const char *kernel_release;  /* of machine->kernel: paths are reused, contents differ */
	const char *kernel_build_id; /* likewise */
	unsigned int vmm_major;      /* version of the VMM that saves and restores it */
	unsigned int vmm_minor;
};

/*
 * The text of @base that a template is found by, to be freed; NULL when out of memory. Each member
 * that can change what the guest is has a line in it, and so have the wire protocol and the host's
 * CPU.
 */
char *kt_template_machine_text(const struct kt_template_base *base);

/* Which template. */
struct kt_template_id {
	const char *dir;     /* the directory of all templates */
	const char *machine; /* kt_template_machine_text() */
	const char *program; /* the program in it; several may have templates of one machine */
};

struct kt_template {
	struct kt_machine_image image;    /* descriptors, open for reading */
	struct kt_link_position position; /* of the frames */
	struct kt_hello hello;
	json_t *files;     /* what the guest's files were made from, as it was given */
	uint64_t ram_used; /* bytes of RAM that are not zero */
	uint64_t build_ns; /* how long it took */
};

#define KT_TEMPLATE_NULL                                                                           \
	((struct kt_template){ .image = { .ram_fd = -1, .state_fd = -1 }, .files = NULL })

void kt_template_deinit(struct kt_template *template);

/*
 * Looks a template up and marks it as used. Returns 1 when it is there, 0 when not; when one is
 * there and cannot be used, it is removed and @reterr says why.
 */
int kt_template_find(const struct kt_template_id *id, struct kt_template *ret_template,
		     struct kt_err *reterr);

/* Likewise for a template of the same machine with another program in it, the latest used. */
int kt_template_find_sibling(const struct kt_template_id *id, struct kt_template *ret_template,
			     struct kt_err *reterr);

/* How long a restore may take; some 30 ms are usual. */
#define KT_TEMPLATE_RESTORE_NS (10 * KT_NSEC_PER_SEC)

/* Continues its machine, and the frames spoken with it, in the machine of @link, which is new. */
int kt_template_restore(const struct kt_template *template, struct kt_link *link,
			const struct kt_machine_config *config, uint64_t deadline_ns,
			struct kt_err *reterr);

/* The path of the template, whether it exists or not; to be freed. NULL when out of memory. */
char *kt_template_path(const struct kt_template_id *id);

/*
 * Completes the directory @stage, whose ram and state are there, and publishes it as @id's. The
 * members of @template but its image are recorded, except ram_used, which is found out and stored
 * there.
 */
int kt_template_publish(const struct kt_template_id *id, const char *stage,
			struct kt_template *template, struct kt_err *reterr);

/* Removes the least recently used until all of @dir take no more than @max_bytes of disk. */
void kt_template_prune(const char *dir, uint64_t max_bytes);

/* One line of a list. */
struct kt_template_entry {
	char *name; /* of its directory */
	char *what; /* kernel release, machine and program, for people */
	uint64_t disk_bytes;
	uint64_t used_ns; /* when it was last used: since 1970 */
};

/* Newest use first; *@ret_entries is to be freed by kt_template_entries_free(). */
int kt_template_list(const char *dir, struct kt_template_entry **ret_entries, size_t *ret_n,
		     struct kt_err *reterr);
void kt_template_entries_free(struct kt_template_entry *entries, size_t n);
