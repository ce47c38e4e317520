/* SPDX-License-Identifier: MIT */
/*
 * The part of ktest that runs inside QEMU, as a TCG plugin of machines with virtual time. It makes
 * a machine repeatable: turns.c, conflicts.c and priorities.c decide when vCPUs take turns, bell.c
 * lets the guest wait for the host without the passing of time, and idle.c moves the clock when all
 * vCPUs wait.
 *
 * QEMU loads it with "-plugin FILE,port=FD,stand=FD,alarm=FD[,conflicts=on]", or with "probe=on" to
 * find out whether it can work in this QEMU: then the process says "ktest plugin: ok" and ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/qemu/plugin/api.h"
#include "vmm/qemu/plugin/bell.h"
#include "vmm/qemu/plugin/conflicts.h"
#include "vmm/qemu/plugin/idle.h"
#include "vmm/qemu/plugin/noise.h"
#include "vmm/qemu/plugin/priorities.h"
#include "vmm/qemu/plugin/turns.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = KT_QEMU_PLUGIN_API_VERSION;
EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc,
			       char **argv);

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	kt_turns_on_translate(tb);
	kt_conflicts_on_translate(tb);
	kt_priorities_on_translate(tb);
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		kt_bell_on_translate(insn);
		kt_idle_on_translate(insn);
	}
}

/* Reads "NAME=NUMBER" into the descriptor of that name. */
static void parse(const char *argument, struct kt_bell_fds *fds)
{
	(void)(sscanf(argument, "port=%d", &fds->port) == 1 ||
	       sscanf(argument, "stand=%d", &fds->stand) == 1 ||
	       sscanf(argument, "alarm=%d", &fds->alarm) == 1 ||
	       sscanf(argument, "where=%d", &fds->where) == 1);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
	struct kt_bell_fds fds = { -1, -1, -1, -1 };
	const char *missing = kt_api_find();

	(void)info;
	if (missing) {
		(void)fprintf(stderr, "ktest plugin: this QEMU has no %s\n", missing);
		return 1;
	}
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "probe=on")) {
			(void)printf("ktest plugin: ok\n");
			(void)fflush(stdout);
			_exit(0);
		}
		if (!strcmp(argv[i], "conflicts=on"))
			kt_conflicts_watch();
		parse(argv[i], &fds);
	}
	if (fds.port < 0 || fds.stand < 0 || fds.alarm < 0) {
		(void)fprintf(stderr, "ktest plugin: needs port=, stand= and alarm=\n");
		return 1;
	}
	kt_bell_init(&fds);
	kt_idle_init();
	kt_noise_begin();
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
