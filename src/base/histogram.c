#include "base/histogram.h"

static uint64_t bucket_first(unsigned bucket)
{
	if (bucket < 64)
		return bucket;
	const unsigned shift = bucket / 32 - 1;
	return (uint64_t)(bucket - shift * 32) << shift;
}

static uint64_t bucket_last(unsigned bucket)
{
	return bucket_first(bucket + 1) - 1;
}

void histogram_read(const struct histogram *histogram, struct histogram_counts *out)
{
	out->n = 0;
	out->sum_us = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
	out->max_us = atomic_load_explicit(&histogram->max_us, memory_order_relaxed);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		out->counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
		out->n += out->counts[i];
	}
}

void histogram_subtract(struct histogram_counts *counts, const struct histogram_counts *before)
{
	if (counts->n < before->n)
		return;
	unsigned last = HISTOGRAM_BUCKETS;
	counts->n = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (counts->counts[i] >= before->counts[i])
			counts->counts[i] -= before->counts[i];
		counts->n += counts->counts[i];
		if (counts->counts[i])
			last = i;
	}
	if (counts->sum_us >= before->sum_us)
		counts->sum_us -= before->sum_us;
	if (last == HISTOGRAM_BUCKETS)
		counts->max_us = 0;
	else if (counts->max_us > bucket_last(last) && last < HISTOGRAM_BUCKETS - 1)
		counts->max_us = bucket_last(last);
}

void histogram_merge(struct histogram_counts *counts, const struct histogram_counts *other)
{
	counts->n += other->n;
	counts->sum_us += other->sum_us;
	if (other->max_us > counts->max_us)
		counts->max_us = other->max_us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		counts->counts[i] += other->counts[i];
}

uint64_t histogram_percentile(const struct histogram_counts *counts, unsigned permille)
{
	if (counts->n == 0)
		return 0;
	/* The entry of this rank, counted from 1: of 100 entries, 990 thousandths is the 99th. */
	uint64_t rank = (uint64_t)(((__uint128_t)counts->n * permille + 999) / 1000);
	if (rank == 0)
		rank = 1;
	uint64_t seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += counts->counts[i];
		if (seen < rank)
			continue;
		const uint64_t first = bucket_first(i);
		const uint64_t middle = first + (bucket_last(i) - first) / 2;
		return counts->max_us > 0 && middle > counts->max_us ? counts->max_us : middle;
	}
	return counts->max_us;
}
