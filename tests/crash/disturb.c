/*
 * A slow disk, one that hangs, a clock that jumps, an end at any moment: a library to be preloaded into the program under test.
 *
 *     PUNCHCARD_SLOW_US=20000        fsync and fdatasync take up to so much longer, each by another part of it
 *     PUNCHCARD_KILL_US=40000        SIGKILL when it has worked for so long, whatever else the machine does
 *     PUNCHCARD_CLOCK_AT=7           from the n-th reading of the time on …
 *     PUNCHCARD_CLOCK_BY=-86400      … it is so many seconds later
 *     PUNCHCARD_CLOCK_FILE=/tmp/by   or by so many as stand in this file at that moment, while there is one
 *     PUNCHCARD_HANG_WHILE=/tmp/x    while there is this file …
 *     PUNCHCARD_HANG_ON=/view/       … a flush of a file with this in its path does not come back
 *
 * The clock that jumps is that of the day (CLOCK_REALTIME, gettimeofday, time), as when somebody sets it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__((visibility("default")))
#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (!next)                     \
	*(void **)&next = dlsym(RTLD_NEXT, #name)

static long slow_us;
static const char *clock_file;
static const char *hang_while;
static const char *hang_on;
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
	clock_file = getenv("PUNCHCARD_CLOCK_FILE");
	hang_while = getenv("PUNCHCARD_HANG_WHILE");
	hang_on = getenv("PUNCHCARD_HANG_ON");
	const long kill_us = number_of("PUNCHCARD_KILL_US");
	if (kill_us)
		kill_after(kill_us);
}

static void hang(int fd)
{
	char link[64];
	char path[4096];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	const ssize_t len = hang_while && hang_on ? readlink(link, path, sizeof(path) - 1) : -1;
	if (len < 0)
		return;
	path[len] = '\0';
	while (strstr(path, hang_on) && access(hang_while, F_OK) == 0)
		nanosleep(&(const struct timespec){.tv_nsec = 5000000}, NULL);
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
	hang(fd);
	be_slow();
	return next(fd);
}

API int fdatasync(int fd)
{
	NEXT(fdatasync);
	hang(fd);
	be_slow();
	return next(fd);
}

/* By system calls: the C library's may ask for the time, or for memory. */
static long shift_in_file(void)
{
	char text[32] = {0};
	const long fd = syscall(SYS_openat, AT_FDCWD, clock_file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	return strtol(text, NULL, 10);
}

static long shift(void)
{
	if (clock_file)
		return shift_in_file();
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
