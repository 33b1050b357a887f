/*
 * A slow disk, a clock that jumps, an end at any moment: a library to be preloaded into the program under test.
 *
 *     PUNCHCARD_SLOW_US=20000        fsync and fdatasync take up to so much longer, each by another part of it
 *     PUNCHCARD_KILL_US=40000        SIGKILL when it has worked for so long, whatever else the machine does
 *     PUNCHCARD_CLOCK_AT=7           from the n-th reading of the time on …
 *     PUNCHCARD_CLOCK_BY=-86400      … it is so many seconds later
 *
 * The clock that jumps is that of the day (CLOCK_REALTIME, gettimeofday, time), as when somebody sets it.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (!next)                     \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

static long slow_us;
static long clock_at;
static long clock_by;
static atomic_long readings;
static atomic_long flushes;

static long number_of(const char *name)
{
	const char *const text = getenv(name);
	return text ? strtol(text, NULL, 10) : 0;
}

static void kill_after(long us)
{
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	const struct itimerspec when = {.it_value = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}};
	if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) < 0 || timer_settime(timer, 0, &when, NULL) < 0)
		abort();
}

__attribute__((constructor)) static void read_environment(void)
{
	slow_us = number_of("PUNCHCARD_SLOW_US");
	clock_at = number_of("PUNCHCARD_CLOCK_AT");
	clock_by = number_of("PUNCHCARD_CLOCK_BY");
	const long kill_us = number_of("PUNCHCARD_KILL_US");
	if (kill_us)
		kill_after(kill_us);
}

static void be_slow(void)
{
	const long n = atomic_fetch_add(&flushes, 1);
	const long us = slow_us * (n * 37 % 101) / 100;
	const struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	if (us)
		nanosleep(&pause, NULL);
}

API int fsync(int fd)
{
	NEXT(fsync);
	be_slow();
	return next(fd);
}

API int fdatasync(int fd)
{
	NEXT(fdatasync);
	be_slow();
	return next(fd);
}

static long shift(void)
{
	return clock_at && atomic_fetch_add(&readings, 1) + 1 >= clock_at ? clock_by : 0;
}

API int clock_gettime(clockid_t clock, struct timespec *out)
{
	NEXT(clock_gettime);
	const int rc = next(clock, out);
	if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		out->tv_sec += shift();
	return rc;
}

API int gettimeofday(struct timeval *out, void *zone)
{
	NEXT(gettimeofday);
	const int rc = next(out, zone);
	if (rc == 0)
		out->tv_sec += shift();
	return rc;
}

API time_t time(time_t *out)
{
	struct timespec now;
	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return -1;
	if (out)
		*out = now.tv_sec;
	return now.tv_sec;
}
