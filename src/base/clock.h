/*
 * The time now. Where a test needs another one, it is handed down instead (intake, lookup, explain).
 */
#ifndef PUNCHCARD_BASE_CLOCK_H
#define PUNCHCARD_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* UTC microseconds since 1970, by the system's clock. Thread: any. */
static inline int64_t clock_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Microseconds of a clock that nobody sets, for how long something takes. Thread: any. */
static inline int64_t clock_monotonic_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
