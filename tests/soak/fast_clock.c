/*
 * Time in fast motion: a library to be preloaded into the program under test, for which all clocks run so many times as fast, and
 * which waits that much shorter.
 *
 *     PUNCHCARD_FAST_SPEED=240                 a day takes six minutes
 *     PUNCHCARD_FAST_FROM=1764470000000000     the real time, UTC microseconds, at which the clocks were right
 *
 * Clocks are those of the day, the monotonic and the boot clock. Waits are poll, ppoll, epoll_wait, nanosleep, clock_nanosleep and
 * timed waits for conditions; what waits for an absolute time that is not given by one of these clocks waits as it is told. Clocks of
 * CPU time stay as they are.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define API      __attribute__((visibility("default")))
#define NS_PER_S INT64_C(1000000000)

static int64_t speed = 1;
static int64_t from_ns;      /* of the clock of the day … */
static int64_t monotonic_ns; /* … and of the monotonic one, at that moment */

#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (!next)                     \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

/* By the system call: the vDSO is not worth the trouble here. */
static int64_t real_now(clockid_t clock)
{
	struct timespec now = {0};
	syscall(SYS_clock_gettime, clock, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *const times = getenv("PUNCHCARD_FAST_SPEED");
	const char *const from = getenv("PUNCHCARD_FAST_FROM");
	if (!times || !from)
		return;
	speed = strtoll(times, NULL, 10);
	from_ns = strtoll(from, NULL, 10) * 1000;
	monotonic_ns = real_now(CLOCK_MONOTONIC) - (real_now(CLOCK_REALTIME) - from_ns);
}

static int64_t base_of(clockid_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return from_ns;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
		return monotonic_ns;
	default:
		return -1;
	}
}

static int64_t ns_of(const struct timespec *time)
{
	return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static int64_t fast_now(clockid_t clock)
{
	const int64_t base = base_of(clock);
	const int64_t now = real_now(clock);
	return base < 0 ? now : base + (now - base) * speed;
}

/* The real time at which the clock will show that. */
static struct timespec real_time_of(clockid_t clock, const struct timespec *time)
{
	const int64_t base = base_of(clock);
	return base < 0 ? *time : timespec_of(base + (ns_of(time) - base) / speed);
}

API int clock_gettime(clockid_t clock, struct timespec *out)
{
	NEXT(clock_gettime);
	if (base_of(clock) < 0)
		return next(clock, out);
	*out = timespec_of(fast_now(clock));
	return 0;
}

API int gettimeofday(struct timeval *out, void *zone)
{
	(void)zone;
	const int64_t now = fast_now(CLOCK_REALTIME);
	*out = (struct timeval){.tv_sec = now / NS_PER_S, .tv_usec = now % NS_PER_S / 1000};
	return 0;
}

API time_t time(time_t *out)
{
	const time_t now = fast_now(CLOCK_REALTIME) / NS_PER_S;
	if (out)
		*out = now;
	return now;
}

API int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	const struct timespec wait = timespec_of((int64_t)timeout_ms * 1000000 / speed);
	NEXT(ppoll);
	return next(fds, n, timeout_ms < 0 ? NULL : &wait, NULL);
}

API int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	NEXT(ppoll);
	struct timespec wait;
	if (timeout)
		wait = timespec_of(ns_of(timeout) / speed);
	return next(fds, n, timeout ? &wait : NULL, mask);
}

API int epoll_wait(int fd, struct epoll_event *events, int most, int timeout_ms)
{
	NEXT(epoll_wait);
	return next(fd, events, most, timeout_ms <= 0 ? timeout_ms : (int)((timeout_ms + speed - 1) / speed));
}

API int nanosleep(const struct timespec *wait, struct timespec *left)
{
	NEXT(nanosleep);
	const struct timespec shorter = timespec_of(ns_of(wait) / speed);
	return next(&shorter, left);
}

API int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wait, struct timespec *left)
{
	NEXT(clock_nanosleep);
	const struct timespec own =
		flags & TIMER_ABSTIME ? real_time_of(clock, wait) : timespec_of(ns_of(wait) / speed);
	return next(clock, flags, &own, left);
}

/* A condition knows its clock, but does not tell: years tell the two apart. */
API int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until)
{
	static __typeof__(pthread_cond_timedwait) *next;
	if (!next)
		*(void **)&next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	const clockid_t clock = until->tv_sec > from_ns / NS_PER_S / 2 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	const struct timespec own = real_time_of(clock, until);
	return next(condition, mutex, &own);
}

API int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
			       const struct timespec *until)
{
	NEXT(pthread_cond_clockwait);
	const struct timespec own = real_time_of(clock, until);
	return next(condition, mutex, clock, &own);
}
