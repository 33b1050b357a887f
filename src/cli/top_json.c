#include "cli/json_keys.h"
#include "cli/top_show.h"

#include <stdio.h>

/* Microseconds, all of them 0 when nothing came: told by "lines". */
static void key_times(struct json *out, const char *key, const struct live_times *times)
{
	json_key(out, key);
	json_object(out);
	key_uint(out, "lines", times->n);
	key_uint(out, "p50", times->p50_us);
	key_uint(out, "p99", times->p99_us);
	key_uint(out, "max", times->max_us);
	json_end_object(out);
}

/* "disk full" is "disk_full" for a program. */
static void key_state(struct json *out, enum metrics_state state)
{
	char word[32];
	snprintf(word, sizeof(word), "%s", metrics_state_name(state));
	for (char *at = word; *at; at++)
		if (*at == ' ')
			*at = '_';
	key_text(out, "state", word);
}

static void key_error(struct json *out, const char *text, int64_t time_us)
{
	key_text(out, "last_error", text[0] ? text : NULL);
	key_time(out, "last_error_at", time_us);
}

static const char *const SOURCE_COUNTERS[METRICS_SOURCE_COUNTERS] = {
	[METRICS_SOURCE_LINES] = "lines",           [METRICS_SOURCE_EVENTS] = "events",
	[METRICS_SOURCE_DUPLICATES] = "duplicates", [METRICS_SOURCE_QUARANTINED] = "quarantined",
	[METRICS_SOURCE_BYTES] = "bytes",           [METRICS_SOURCE_FILES] = "files",
	[METRICS_SOURCE_COMMITS] = "commits",       [METRICS_SOURCE_ERRORS] = "errors",
	[METRICS_SOURCE_RESTARTS] = "restarts",
};

static const char *const CONSUMER_COUNTERS[METRICS_CONSUMER_COUNTERS] = {
	[METRICS_CONSUMER_BATCHES] = "batches",
	[METRICS_CONSUMER_LINES] = "lines",
	[METRICS_CONSUMER_RETRIES] = "retries",
	[METRICS_CONSUMER_ERRORS] = "errors",
};

static void rates(struct json *out, const char *const *names, const uint64_t *per_s, unsigned n)
{
	json_key(out, "per_second");
	json_object(out);
	for (unsigned i = 0; i < n; i++)
		key_uint(out, names[i], per_s[i]);
	json_end_object(out);
}

static void sources(struct json *out, const struct live *live, bool with_rates)
{
	json_key(out, "sources");
	json_array(out);
	for (unsigned i = 0; i < live->now->n_sources; i++) {
		const struct metrics_source_snapshot *const s = &live->now->sources[i];
		json_object(out);
		key_text(out, "name", s->name);
		key_text(out, "type", s->type);
		key_state(out, s->state);
		for (unsigned k = 0; k < METRICS_SOURCE_COUNTERS; k++)
			key_uint(out, SOURCE_COUNTERS[k], s->counters[k]);
		key_time(out, "last", s->last_us);
		key_error(out, s->error, s->error_us);
		if (with_rates)
			rates(out, SOURCE_COUNTERS, live->sources[i].per_s, METRICS_SOURCE_COUNTERS);
		key_times(out, "read_to_durable_us", &live->sources[i].durable);
		json_end_object(out);
	}
	json_end_array(out);
}

static void consumers(struct json *out, const struct live *live, bool with_rates)
{
	json_key(out, "consumers");
	json_array(out);
	for (unsigned i = 0; i < live->now->n_consumers; i++) {
		const struct metrics_consumer_snapshot *const c = &live->now->consumers[i];
		json_object(out);
		key_text(out, "name", c->name);
		key_state(out, c->state);
		key_uint(out, "offset", c->offset);
		key_uint(out, "lag_lines", c->lag_lines);
		for (unsigned k = 0; k < METRICS_CONSUMER_COUNTERS; k++)
			key_uint(out, CONSUMER_COUNTERS[k], c->counters[k]);
		key_time(out, "last", c->last_us);
		key_error(out, c->error, c->error_us);
		if (with_rates)
			rates(out, CONSUMER_COUNTERS, live->consumers[i].per_s, METRICS_CONSUMER_COUNTERS);
		key_times(out, "durable_to_visible_us", &live->consumers[i].visible);
		json_end_object(out);
	}
	json_end_array(out);
}

void top_json(struct json *out, const struct live *live, bool with_rates)
{
	const struct metrics_snapshot *const now = live->now;
	json_object(out);
	if (with_rates) {
		key_time(out, "time", now->taken_us);
		json_key(out, "interval_s");
		json_decimal(out, live->interval_us, 6);
	}
	key_text(out, "state", live_state_name(now));
	json_key(out, "alive");
	json_bool(out, now->life == METRICS_ALIVE);
	json_key(out, "pid");
	json_int(out, now->pid);
	key_time(out, "started", now->started_us);
	key_time(out, "heartbeat", now->heartbeat_us);
	json_key(out, "journal");
	json_object(out);
	key_uint(out, "used_bytes", now->journal.used_bytes);
	key_uint(out, "backlog_bytes", now->journal.backlog_bytes);
	key_uint(out, "first_block", now->journal.first_block);
	key_uint(out, "next_block", now->journal.next_block);
	key_uint(out, "trimmed_blocks", now->journal.trimmed);
	json_end_object(out);
	sources(out, live, with_rates);
	consumers(out, live, with_rates);
	key_uint(out, "left_out", now->left_out);
	json_end_object(out);
}
