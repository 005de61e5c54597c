/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "fs/stop.h"
#include "store/store.h"

/* A handler has no other context. */
volatile int stop_asked;
struct store_stop stop_store;
static volatile sig_atomic_t event_fd = -1;

static void
on_signal(int sig)
{
	int saved = errno;
	uint64_t one = 1;
	ssize_t n;

	(void)sig;
	__atomic_store_n(&stop_asked, 1, __ATOMIC_RELAXED);
	store_stop_fire(&stop_store);
	n = write(event_fd, &one, sizeof(one));
	(void)n;
	errno = saved;
}

int
stop_fd(void)
{
	return event_fd;
}

int
stop_catch(void)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal,
	    .sa_flags = SA_RESTART }, old;
	size_t i;

	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0)
		return log_err(-errno, "cannot make an eventfd");
	for (i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &sa, &old);
	/* The last is SIGHUP, which nohup(1) has ignored. */
	if (old.sa_handler == SIG_IGN)
		sigaction(SIGHUP, &old, NULL);
	return 0;
}
