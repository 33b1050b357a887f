#include "serving/live.h"

#include "base/tz.h"

#include <stdlib.h>

#define MICROS INT64_C(1000000)

static struct live_times times_of(const struct histogram_counts *counts)
{
	return (struct live_times){
		.n = counts->n,
		.p50_us = histogram_percentile(counts, 500),
		.p99_us = histogram_percentile(counts, 990),
		.max_us = counts->max_us,
	};
}

/* Of the difference of two counts; one that is smaller than before counts for nothing. */
static uint64_t per_second(uint64_t now, uint64_t before, int64_t interval_us)
{
	if (now <= before || interval_us <= 0)
		return 0;
	return (uint64_t)((__uint128_t)(now - before) * (uint64_t)MICROS / (uint64_t)interval_us);
}

static void measure_sources(struct live *live, const struct metrics_snapshot *before, struct histogram_counts *room)
{
	static const struct metrics_source_snapshot nothing;
	struct histogram_counts all = {0};
	for (unsigned i = 0; i < live->now->n_sources; i++) {
		const struct metrics_source_snapshot *const now = &live->now->sources[i];
		const struct metrics_source_snapshot *const then =
			before && i < before->n_sources ? &before->sources[i] : &nothing;
		for (unsigned k = 0; k < METRICS_SOURCE_COUNTERS; k++) {
			live->sources[i].per_s[k] = per_second(now->counters[k], then->counters[k], live->interval_us);
			live->total_per_s[k] += live->sources[i].per_s[k];
		}
		*room = now->durable;
		histogram_subtract(room, &then->durable);
		live->sources[i].durable = times_of(room);
		histogram_merge(&all, room);
	}
	live->total_durable = times_of(&all);
}

static void measure_consumers(struct live *live, const struct metrics_snapshot *before, struct histogram_counts *room)
{
	static const struct metrics_consumer_snapshot nothing;
	for (unsigned i = 0; i < live->now->n_consumers; i++) {
		const struct metrics_consumer_snapshot *const now = &live->now->consumers[i];
		const struct metrics_consumer_snapshot *const then =
			before && i < before->n_consumers ? &before->consumers[i] : &nothing;
		for (unsigned k = 0; k < METRICS_CONSUMER_COUNTERS; k++)
			live->consumers[i].per_s[k] =
				per_second(now->counters[k], then->counters[k], live->interval_us);
		*room = now->visible;
		histogram_subtract(room, &then->visible);
		live->consumers[i].visible = times_of(room);
	}
}

int live_update(struct live *live, const char *data_dir, struct error *err)
{
	struct live next = {0};
	int rc = metrics_read(data_dir, &next.now, err);
	if (rc < 0)
		return rc;
	next.sources = calloc(next.now->n_sources + 1u, sizeof(*next.sources));
	next.consumers = calloc(next.now->n_consumers + 1u, sizeof(*next.consumers));
	if (!next.sources || !next.consumers) {
		live_release(&next);
		return error_no_memory(err, (METRICS_SOURCES + 1) * sizeof(*next.sources));
	}
	const struct metrics_snapshot *const before =
		live->now && metrics_same_run(live->now, next.now) ? live->now : NULL;
	next.since_start = !before;
	next.interval_us = next.now->taken_us - (before ? before->taken_us : next.now->started_us);
	/* One that is gone did nothing since its last sign of life. */
	if (!before && next.now->life == METRICS_GONE)
		next.interval_us = next.now->heartbeat_us - next.now->started_us;
	struct histogram_counts room;
	measure_sources(&next, before, &room);
	measure_consumers(&next, before, &room);
	live_release(live);
	*live = next;
	return 0;
}

void live_release(struct live *live)
{
	metrics_snapshot_free(live->now);
	free(live->sources);
	free(live->consumers);
	*live = (struct live){0};
}

const char *live_state_name(const struct metrics_snapshot *snapshot)
{
	if (snapshot->life == METRICS_SILENT)
		return "silent";
	if (snapshot->life == METRICS_GONE && snapshot->state != METRICS_DAEMON_STOPPED &&
	    snapshot->state != METRICS_DAEMON_FAILED)
		return "died";
	return metrics_daemon_state_name(snapshot->state);
}

void live_no_daemon(const char *dir, const struct metrics_snapshot *now, struct error *err)
{
	if (!now) {
		error_set(err, ERROR_NOT_FOUND, "no daemon runs in %s; `punchcard -C %s run` starts one", dir, dir);
		return;
	}
	char when[20];
	civil_format_time(NULL, now->heartbeat_us, when);
	if (now->life == METRICS_SILENT)
		error_set(err, ERROR_IO,
			  "the daemon of %s (process %lld) gives no sign of life since %s UTC: it hangs, or is stopped "
			  "by SIGSTOP; its log may say more",
			  dir, (long long)now->pid, when);
	else if (now->state == METRICS_DAEMON_STOPPED)
		error_set(err, ERROR_NOT_FOUND,
			  "no daemon runs in %s: the last one stopped in good order at %s UTC; `punchcard -C %s run` "
			  "starts one",
			  dir, when, dir);
	else if (now->state == METRICS_DAEMON_FAILED)
		error_set(err, ERROR_NOT_FOUND,
			  "no daemon runs in %s: the last one ended by an error at %s UTC, which its log tells; "
			  "`punchcard -C %s run` starts one",
			  dir, when, dir);
	else
		error_set(err, ERROR_NOT_FOUND,
			  "the daemon of %s (process %lld) died; its last sign of life was at %s UTC. Nothing that was "
			  "acknowledged is lost; `punchcard -C %s run` goes on",
			  dir, (long long)now->pid, when, dir);
}
