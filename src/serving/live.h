/*
 * What the daemon did in the time between two looks at its metrics: the numbers behind `punchcard top` and `status`.
 *
 *     struct live live = {0};
 *     rc = live_update(&live, data_dir, err);       // again and again: each time the interval since the time before
 *     live.sources[0].per_s[METRICS_SOURCE_LINES]
 *     live_release(&live);
 *
 * The first look, and the first one at a daemon that was started anew, is about all the time since its start. Thread: one at
 * a time.
 */
#ifndef PUNCHCARD_SERVING_LIVE_H
#define PUNCHCARD_SERVING_LIVE_H

#include "base/error.h"
#include "speed/metrics.h"

#include <stdbool.h>
#include <stdint.h>

/* Of an interval; all 0 without an entry. */
struct live_times {
	uint64_t n;
	uint64_t p50_us;
	uint64_t p99_us;
	uint64_t max_us;
};

struct live_source {
	uint64_t per_s[METRICS_SOURCE_COUNTERS];
	struct live_times durable;
};

struct live_consumer {
	uint64_t per_s[METRICS_CONSUMER_COUNTERS];
	struct live_times visible;
};

struct live {
	struct metrics_snapshot *now; /* the newest look */
	bool since_start;             /* of the rates and times below: else they are of interval_us */
	int64_t interval_us;
	struct live_source *sources;     /* as now->sources */
	struct live_consumer *consumers; /* as now->consumers */
	uint64_t total_per_s[METRICS_SOURCE_COUNTERS];
	struct live_times total_durable; /* of all sources */
};

/* Looks again. After an error, as metrics_read's, *live is as it was before, and the next look's interval is longer. */
int live_update(struct live *live, const char *data_dir, struct error *err);
void live_release(struct live *live);

/* What is with the daemon, in a word: its state ("running", "stopped"), or "silent", or "died". */
const char *live_state_name(const struct metrics_snapshot *snapshot);
/* When there is none that works: what happened to it and what to do, as one sentence with the deployment's directory, for
 * people. `now` NULL: there never was one. Times are UTC. */
void live_no_daemon(const char *dir, const struct metrics_snapshot *now, struct error *err);

#endif
