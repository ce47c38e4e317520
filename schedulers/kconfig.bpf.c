/* SPDX-License-Identifier: MIT */
/* A scheduler without callbacks of its own, that reads the configuration of its kernel. */
#include "schedulers/scx.bpf.h"

extern unsigned int CONFIG_HZ __kconfig;
extern bool CONFIG_SCHED_CLASS_EXT __kconfig;
extern bool CONFIG_THERE_IS_NO_SUCH_OPTION __kconfig __weak;
extern u32 LINUX_KERNEL_VERSION __kconfig;

u64 hz;      /* of the kernel's configuration */
u64 has_ext; /* 1: the configuration has sched_ext */
u64 has_none;
u64 version; /* as KERNEL_VERSION() */

s32 SCX_SLEEPABLE(kconfig_init)
{
	hz = CONFIG_HZ;
	has_ext = CONFIG_SCHED_CLASS_EXT;
	has_none = CONFIG_THERE_IS_NO_SUCH_OPTION;
	version = LINUX_KERNEL_VERSION;
	return 0;
}

void SCX_CALLBACK(kconfig_exit, struct scx_exit_info *info)
{
	scx_note_exit(info);
}

SCX_SCHEDULER(kconfig_ops, .init = (void *)kconfig_init, .exit = (void *)kconfig_exit,
	      .name = "kconfig");
