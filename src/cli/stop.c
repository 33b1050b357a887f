#include "cli/stop.h"

#include "net/http.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>

/* Written by a signal's handler, in whatever thread that runs, and read by others. */
static atomic_bool asked;
static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "handlers of signals may use atomics that have no locks");

static void on_signal(int number)
{
	(void)number;
	atomic_store(&asked, true);
	http_hurry_all(true);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
}

void stop_on_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool stop_asked(void)
{
	return atomic_load(&asked);
}
