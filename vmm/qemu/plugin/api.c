/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/api.h"

#include <dlfcn.h>

struct kt_qemu_api kt_api;

/* A variable of each thread; weak, because a QEMU that lacks it must be told, not be killed. */
extern __thread struct kt_qemu_cpu *current_cpu __attribute__((weak));

struct kt_qemu_cpu *kt_api_current_cpu(void)
{
	return current_cpu;
}

const char *kt_api_find(void)
{
	const struct {
		const char *name;
		void **at;
	} wanted[] = {
		{ "cpu_exit", (void **)&kt_api.cpu_exit },
		{ "tb_flush", (void **)&kt_api.tb_flush },
		{ "qemu_get_cpu", (void **)&kt_api.qemu_get_cpu },
		{ "cpu_thread_is_idle", (void **)&kt_api.cpu_thread_is_idle },
		{ "cpu_is_stopped", (void **)&kt_api.cpu_is_stopped },
		{ "cpu_loop_exit_restore", (void **)&kt_api.cpu_loop_exit_restore },
		{ "cpu_memory_rw_debug", (void **)&kt_api.cpu_memory_rw_debug },
		{ "gdb_read_register", (void **)&kt_api.gdb_read_register },
		{ "g_byte_array_new", (void **)&kt_api.g_byte_array_new },
		{ "g_byte_array_free", (void **)&kt_api.g_byte_array_free },
		{ "runstate_is_running", (void **)&kt_api.runstate_is_running },
		{ "bql_lock_impl", (void **)&kt_api.bql_lock_impl },
		{ "bql_unlock", (void **)&kt_api.bql_unlock },
		{ "async_run_on_cpu", (void **)&kt_api.async_run_on_cpu },
		{ "timer_init_full", (void **)&kt_api.timer_init_full },
		{ "timer_mod_ns", (void **)&kt_api.timer_mod_ns },
		{ "timer_del", (void **)&kt_api.timer_del },
		{ "qemu_clock_get_ns", (void **)&kt_api.qemu_clock_get_ns },
		{ "qemu_clock_run_timers", (void **)&kt_api.qemu_clock_run_timers },
		{ "qemu_notify_event", (void **)&kt_api.qemu_notify_event },
		{ "qemu_shutdown_requested_get", (void **)&kt_api.qemu_shutdown_requested_get },
		{ "qemu_reset_requested_get", (void **)&kt_api.qemu_reset_requested_get },
		{ "qemu_in_vcpu_thread", (void **)&kt_api.qemu_in_vcpu_thread },
		{ "all_cpu_threads_idle", (void **)&kt_api.all_cpu_threads_idle },
		{ "icount_start_warp_timer", (void **)&kt_api.icount_start_warp_timer },
		{ "qemu_mutex_unlock_impl", (void **)&kt_api.qemu_mutex_unlock_impl },
		{ "bql_mutex_lock_func", (void **)&kt_api.bql_mutex_lock_func },
		{ "qemu_cond_wait_func", (void **)&kt_api.qemu_cond_wait_func },
	};

	if (!dlsym(RTLD_DEFAULT, "current_cpu"))
		return "current_cpu";
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		*wanted[i].at = dlsym(RTLD_DEFAULT, wanted[i].name);
		if (!*wanted[i].at)
			return wanted[i].name;
	}
	return NULL;
}
