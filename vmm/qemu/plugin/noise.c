/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/plugin/noise.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmm/qemu/plugin/api.h"

#define PAUSE_MAX_US 64

static void *make_noise(void *data)
{
	for (unsigned int seed = (unsigned int)getpid();;
	     (void)usleep((unsigned int)rand_r(&seed) % PAUSE_MAX_US))
		kt_api.qemu_notify_event();
	return data;
}

void kt_noise_begin(void)
{
	pthread_t thread;

	if (getenv("KTEST_PLUGIN_NOISE"))
		(void)pthread_create(&thread, NULL, make_noise, NULL);
}
