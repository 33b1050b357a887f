#include "serving/watch.h"

#include "net/http.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* An interrupt that comes in the moment when a statement begins can be missed: it is repeated. */
#define REPEAT_MS 10

struct watch {
	pthread_t thread;
	sigset_t old_signals;
	int signal_fd;
	int timer_fd;
	int stop_fd;
	pthread_mutex_t lock; /* of what follows */
	struct engine *engine;
	struct sql *sql;
	bool all_engines;
	enum watch_reason reason;
};

static void interrupt(struct watch *watch, enum watch_reason reason)
{
	pthread_mutex_lock(&watch->lock);
	if (reason != WATCH_NONE && watch->reason == WATCH_NONE)
		watch->reason = reason;
	if (watch->reason != WATCH_NONE && watch->engine)
		engine_interrupt(watch->engine);
	if (watch->reason != WATCH_NONE && watch->sql)
		sql_stop(watch->sql);
	if (watch->reason != WATCH_NONE && watch->all_engines)
		engine_interrupt_all();
	pthread_mutex_unlock(&watch->lock);
}

/* A signal that was taken: the next of them has its usual effect, on the whole process. */
static void take_signal(struct watch *watch)
{
	struct signalfd_siginfo info;
	if (read(watch->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	http_hurry_all(true);
	interrupt(watch, WATCH_SIGNAL);
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

static void *run(void *arg)
{
	struct watch *const watch = arg;
	struct pollfd fds[] = {
		{.fd = watch->stop_fd, .events = POLLIN},
		{.fd = watch->signal_fd, .events = POLLIN},
		{.fd = watch->timer_fd, .events = POLLIN},
	};
	for (;;) {
		const int timeout_ms = watch_reason(watch) == WATCH_NONE ? -1 : REPEAT_MS;
		const int n = poll(fds, 3, timeout_ms);
		if (n < 0 && errno != EINTR)
			return NULL;
		if (n > 0 && fds[0].revents)
			return NULL;
		if (n > 0 && fds[1].revents) {
			take_signal(watch);
			fds[1].fd = -1;
		}
		if (n > 0 && fds[2].revents) {
			interrupt(watch, WATCH_TIMEOUT);
			fds[2].fd = -1;
		}
		interrupt(watch, WATCH_NONE);
	}
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void free_watch(struct watch *watch)
{
	close_fd(watch->signal_fd);
	close_fd(watch->timer_fd);
	close_fd(watch->stop_fd);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

static int open_fds(struct watch *watch, unsigned timeout_s, const sigset_t *signals)
{
	watch->signal_fd = signalfd(-1, signals, SFD_CLOEXEC);
	watch->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	watch->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (watch->signal_fd < 0 || watch->timer_fd < 0 || watch->stop_fd < 0)
		return -1;
	const struct itimerspec timeout = {.it_value = {.tv_sec = timeout_s}};
	return timerfd_settime(watch->timer_fd, 0, &timeout, NULL);
}

int watch_start(unsigned timeout_s, struct watch **out, struct error *err)
{
	struct watch *const watch = calloc(1, sizeof(*watch));
	if (!watch)
		return error_no_memory(err, sizeof(*watch));
	watch->signal_fd = watch->timer_fd = watch->stop_fd = -1;
	pthread_mutex_init(&watch->lock, NULL);
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	if (open_fds(watch, timeout_s, &signals) < 0) {
		const int rc = error_errno(err, errno, "cannot watch for signals");
		free_watch(watch);
		return rc;
	}
	pthread_sigmask(SIG_BLOCK, &signals, &watch->old_signals);
	const int errnum = pthread_create(&watch->thread, NULL, run, watch);
	if (errnum) {
		pthread_sigmask(SIG_SETMASK, &watch->old_signals, NULL);
		free_watch(watch);
		return error_errno(err, errnum, "cannot start a thread");
	}
	*out = watch;
	return 0;
}

void watch_engine(struct watch *watch, struct engine *engine)
{
	if (!watch)
		return;
	pthread_mutex_lock(&watch->lock);
	watch->engine = engine;
	pthread_mutex_unlock(&watch->lock);
	interrupt(watch, WATCH_NONE);
}

void watch_sql(struct watch *watch, struct sql *sql)
{
	if (!watch)
		return;
	pthread_mutex_lock(&watch->lock);
	watch->sql = sql;
	pthread_mutex_unlock(&watch->lock);
	interrupt(watch, WATCH_NONE);
}

void watch_all_engines(struct watch *watch)
{
	pthread_mutex_lock(&watch->lock);
	watch->all_engines = true;
	pthread_mutex_unlock(&watch->lock);
	interrupt(watch, WATCH_NONE);
}

enum watch_reason watch_reason(struct watch *watch)
{
	if (!watch)
		return WATCH_NONE;
	pthread_mutex_lock(&watch->lock);
	const enum watch_reason reason = watch->reason;
	pthread_mutex_unlock(&watch->lock);
	return reason;
}

enum watch_reason watch_stop(struct watch *watch)
{
	if (!watch)
		return WATCH_NONE;
	const uint64_t one = 1;
	/* An eventfd takes it unless its counter is full, and it is 0. */
	if (write(watch->stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(watch->thread, NULL);
	const enum watch_reason reason = watch->reason;
	pthread_sigmask(SIG_SETMASK, &watch->old_signals, NULL);
	free_watch(watch);
	return reason;
}
