/* SPDX-License-Identifier: MIT */
/* A payload that cancels a thread, for which glibc loads libgcc_s. */
#include <pthread.h>
#include <unistd.h>

static void *wait_for_ever(void *data)
{
	for (;;)
		(void)pause();
	return data;
}

int main(void)
{
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, wait_for_ever, NULL) || pthread_cancel(thread) ||
	    pthread_join(thread, &result))
		return 1;
	return result == PTHREAD_CANCELED ? 0 : 2;
}
