/*
 * How long things take: a histogram of durations that costs a few nanoseconds an entry and a fixed 6.7 KB, and answers
 * percentiles within 2 %.
 *
 *     histogram_add(&h, took_us, 1);                         // the one thread that measures
 *
 *     struct histogram_counts now;                           // any thread, or another process over shared memory
 *     histogram_read(&h, &now);
 *     histogram_subtract(&now, &before);                     // what came since the reading before
 *     const uint64_t p99_us = histogram_percentile(&now, 990);
 *
 * Buckets are log-linear, as in HdrHistogram: below 64 µs one a microsecond, above that 32 an octave, up to 2^30 µs (18
 * minutes), where everything longer counts as well. A bucket is at most 1/32 of its value wide and is told by its middle.
 *
 * All zero is an empty histogram. One thread adds; readers need no lock and see each count as it was at some time during the
 * reading: what is added meanwhile may be in it or not. No pointers and a fixed layout: it may lie in a mapped file.
 */
#ifndef PUNCHCARD_BASE_HISTOGRAM_H
#define PUNCHCARD_BASE_HISTOGRAM_H

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_MAX_US  ((UINT64_C(1) << 30) - 1)
#define HISTOGRAM_BUCKETS 832u

static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "counters in shared memory need atomics without locks");

struct histogram {
	_Atomic uint64_t sum_us;
	_Atomic uint64_t max_us;
	_Atomic uint64_t counts[HISTOGRAM_BUCKETS];
};

/* What a reader has: a plain copy. */
struct histogram_counts {
	uint64_t n; /* entries */
	uint64_t sum_us;
	uint64_t max_us; /* exact since the beginning; of a difference: its bucket's end */
	uint64_t counts[HISTOGRAM_BUCKETS];
};

/* Adds without a locked instruction: only one thread may write the counter. */
static inline void histogram_bump(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* The bucket of a duration. */
static inline unsigned histogram_bucket(uint64_t us)
{
	if (us > HISTOGRAM_MAX_US)
		us = HISTOGRAM_MAX_US;
	const unsigned shift = us < 64 ? 0 : 58 - (unsigned)__builtin_clzll(us);
	return shift * 32 + (unsigned)(us >> shift);
}

/* n entries of the same duration (negative, by a clock that was set back, counts as 0). Thread: the writer alone. */
static inline void histogram_add(struct histogram *histogram, int64_t us, uint64_t n)
{
	const uint64_t value = us > 0 ? (uint64_t)us : 0;
	histogram_bump(&histogram->counts[histogram_bucket(value)], n);
	histogram_bump(&histogram->sum_us, value * n);
	if (value > atomic_load_explicit(&histogram->max_us, memory_order_relaxed))
		atomic_store_explicit(&histogram->max_us, value, memory_order_relaxed);
}

/* Copies the counts. Thread: any. */
void histogram_read(const struct histogram *histogram, struct histogram_counts *out);
/* Takes away what an earlier reading of the same histogram had. A count that is smaller than before, since the histogram
 * began anew, stays as it is. */
void histogram_subtract(struct histogram_counts *counts, const struct histogram_counts *before);
/* Puts another histogram's entries to these. */
void histogram_merge(struct histogram_counts *counts, const struct histogram_counts *other);
/* The duration, in microseconds, that so many thousandths (0 to 1000) of the entries do not exceed; 0 when there are none. */
uint64_t histogram_percentile(const struct histogram_counts *counts, unsigned permille);

#endif
