/*
 * The source "kafka": messages of topics. docs/kafka.md is for users.
 *
 * How far each partition was read is in the journal, in the transaction of its events, and nowhere else: the group's offsets at the
 * brokers are for people to see. Partitions are assigned by the configuration, without a group's rebalancing: one that moved to another
 * journal would be read twice.
 */
#include "speed/flume_properties.h"
#include "speed/kafka_internal.h"
#include "speed/metrics.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#include <poll.h>
#include <stdlib.h>

/* Brokers that are away are asked again after a second, doubled up to this. */
#define PAUSE_MOST_MS  16000
#define PAUSE_FIRST_MS 1000
/* What came in so many milliseconds shares a block. */
#define LINGER_MS 10
/* So often the brokers are told how far it is; and how long the end waits for their answer. */
#define TELL_MS      5000
#define TELL_LAST_MS 300

static int64_t now_ms(void)
{
	return clock_monotonic_us() / 1000;
}

/* --- from start to end --- */

static void close_state(struct source *source)
{
	struct kafka_reader *const reader = source->state;
	if (!reader)
		return;
	kafka_take_close(reader);
	kafka_close(reader->client);
	kafka_parts_free(reader);
	free(reader->topics);
	free(reader);
	source->state = NULL;
}

struct settings {
	struct kafka_property *items;
	size_t n;
	char **names; /* of those of punchcard.yaml, which are one text there */
	size_t n_names;
	struct flume_properties *file;
};

static void release_settings(struct settings *settings)
{
	for (size_t i = 0; i < settings->n_names; i++)
		free(settings->names[i]);
	free(settings->names);
	free(settings->items);
	flume_properties_free(settings->file);
}

/* The file's first: punchcard.yaml has the last word. */
static int read_settings(const struct source *source, struct settings *out, struct error *err)
{
	const struct config_source *const config = source->config;
	if (config->properties_file) {
		_cleanup_free_ char *path = deployment_path(source->deployment, config->properties_file);
		const int rc = path ? flume_properties_read(path, &out->file, err) : error_no_memory(err, 1);
		if (rc < 0)
			return rc;
	}
	const unsigned n_file = out->file ? out->file->n : 0;
	out->items = calloc(n_file + config->properties.count + 1, sizeof(*out->items));
	out->names = calloc(config->properties.count + 1, sizeof(*out->names));
	if (!out->items || !out->names)
		return error_no_memory(err, (n_file + config->properties.count) * sizeof(*out->items));
	for (unsigned i = 0; i < n_file; i++)
		out->items[out->n++] = (struct kafka_property){out->file->items[i].key, out->file->items[i].value};
	for (unsigned i = 0; i < config->properties.count; i++) {
		const char *const text = config->properties.items[i];
		char *const name = strdup(text);
		if (!name)
			return error_no_memory(err, strlen(text));
		out->names[out->n_names++] = name;
		name[strcspn(name, "=")] = '\0';
		out->items[out->n++] = (struct kafka_property){name, text + strlen(name) + 1};
	}
	return 0;
}

static int open_client(struct kafka_reader *reader, struct error *err)
{
	const struct config_source *const config = reader->source->config;
	struct settings settings = {0};
	int rc = read_settings(reader->source, &settings, err);
	if (rc == 0)
		rc = kafka_open(&(const struct kafka_options){.brokers = config->brokers,
							      .group = config->group,
							      .name = config->name,
							      .properties = settings.items,
							      .n_properties = settings.n},
				&reader->client, err);
	release_settings(&settings);
	return rc;
}

static int open_state(struct source *source, struct error *err)
{
	const struct config_strings *const topics = &source->config->topics;
	struct kafka_reader *const reader = calloc(1, sizeof(*reader));
	if (!reader)
		return error_no_memory(err, sizeof(*reader));
	source->state = reader;
	reader->source = source;
	reader->topics = calloc(topics->count, sizeof(*reader->topics));
	if (!reader->topics) {
		close_state(source);
		return error_no_memory(err, topics->count * sizeof(*reader->topics));
	}
	for (unsigned i = 0; i < topics->count; i++)
		reader->topics[i].name = topics->items[i];
	int rc = kafka_take_open(reader, err);
	if (rc == 0)
		rc = open_client(reader, err);
	if (rc < 0)
		close_state(source);
	return rc;
}

/* --- what is wrong --- */

static void say_away(struct kafka_reader *reader, const char *why)
{
	struct source *const source = reader->source;
	metrics_source_state(source->metrics, METRICS_BACKING_OFF);
	if (!reader->away) {
		metrics_source_error(source->metrics, why, clock_now_us());
		LOG_WARNING("the brokers cannot be reached; they are tried again",
			    log_text("source", source->config->name), log_text("why", why));
	}
	reader->away = true;
}

static void say_back(struct kafka_reader *reader)
{
	if (reader->away)
		LOG_INFO("the brokers are reached again", log_text("source", reader->source->config->name));
	reader->away = false;
}

/* They answer, but not as they should: a topic is denied. */
static void say_refused(struct kafka_reader *reader, const char *why)
{
	struct source *const source = reader->source;
	say_back(reader);
	metrics_source_state(source->metrics, METRICS_BACKING_OFF);
	if (!reader->refused) {
		metrics_source_error(source->metrics, why, clock_now_us());
		LOG_WARNING("the brokers refuse what was asked; it is asked again",
			    log_text("source", source->config->name), log_text("why", why));
	}
	reader->refused = true;
}

static bool any_missing(const struct kafka_reader *reader)
{
	for (unsigned i = 0; i < reader->source->config->topics.count; i++)
		if (reader->topics[i].missing)
			return true;
	return false;
}

static void look_again(struct kafka_reader *reader, unsigned failures)
{
	int64_t pause_ms = PAUSE_FIRST_MS;
	for (unsigned i = 1; i < failures && pause_ms < PAUSE_MOST_MS; i++)
		pause_ms *= 2;
	reader->look_ms = now_ms() + pause_ms;
}

static void look_soon(struct kafka_reader *reader)
{
	const int64_t soon_ms = now_ms() + PAUSE_FIRST_MS;
	if (reader->look_ms > soon_ms)
		reader->look_ms = soon_ms;
}

/* Looks for partitions, and at those with which something is wrong. Brokers that are away are no error of the source. */
static int look(struct kafka_reader *reader, struct error *err)
{
	struct error fault = {0};
	int rc = kafka_parts_look(reader, &fault);
	if (rc == 0 || kafka_is_for_later(rc)) {
		struct error later = {0};
		const int mended = kafka_parts_mend(reader, &later);
		if (mended < 0 && (rc == 0 || !kafka_is_for_later(mended)))
			rc = error_set(&fault, mended, "%s", later.message);
	}
	if (rc < 0 && !kafka_is_for_later(rc))
		return error_set(err, rc, "%s", fault.message);
	if (rc < 0) {
		if (rc == ERROR_AWAY)
			say_away(reader, fault.message);
		else
			say_refused(reader, fault.message);
		look_again(reader, ++reader->failures);
		return 0;
	}
	say_back(reader);
	reader->refused = false;
	reader->failures = 0;
	if (any_missing(reader)) {
		look_again(reader, ++reader->failures);
		return 0;
	}
	metrics_source_state(reader->source->metrics, METRICS_RUNNING);
	reader->look_ms = now_ms() + (int64_t)reader->source->config->scan_s * 1000;
	if (kafka_parts_doubtful(reader))
		look_soon(reader);
	return 0;
}

static void look_at_trouble(struct kafka_reader *reader)
{
	bool down;
	char text[256];
	if (!kafka_trouble(reader->client, &down, text))
		return;
	if (down)
		say_away(reader, text);
	else
		metrics_source_error(reader->source->metrics, text, clock_now_us());
	look_soon(reader); /* whether anybody can be reached shows when they are asked */
}

/* What is said of a partition instead of a message of it. */
static void take_note(struct kafka_reader *reader, struct kafka_part *part, const struct kafka_message *message)
{
	const char *const name = reader->source->config->name;
	switch (message->kind) {
	case KAFKA_OUT_OF_RANGE:
		part->astray = true;
		reader->look_ms = 0;
		break;
	case KAFKA_GONE:
		if (!part->gone)
			LOG_WARNING("a partition is not there any more; it is looked for again",
				    log_text("source", name), log_text("topic", message->topic),
				    log_int("partition", message->partition));
		part->gone = true;
		look_again(reader, 1);
		break;
	default:
		LOG_WARNING("a partition cannot be read at the moment", log_text("source", name),
			    log_text("topic", message->topic), log_int("partition", message->partition),
			    log_text("why", message->why));
		metrics_source_error(reader->source->metrics, message->why, clock_now_us());
		break;
	}
}

/* --- batches --- */

static bool is_full(const struct kafka_reader *reader)
{
	return reader->n_batch == KAFKA_BATCH || reader->batch_bytes >= KAFKA_BATCH_BYTES;
}

static void put_in(struct kafka_reader *reader, struct kafka_message *message)
{
	struct kafka_part *const part = kafka_parts_find(reader, message->topic, message->partition);
	if (part && message->kind != KAFKA_MESSAGE) {
		take_note(reader, part, message);
	} else if (part && kafka_part_wants(reader, part, message)) {
		if (reader->n_batch == 0)
			reader->batch_us = clock_now_us();
		part->seen = message->offset + 1;
		reader->batch[reader->n_batch] = *message;
		reader->batch_parts[reader->n_batch++] = part;
		reader->batch_bytes += message->key.len + message->value.len;
		return;
	}
	kafka_message_release(message);
}

/* What there is, and what comes within LINGER_MS of the last block: who writes a message at a time does not make a block of each. */
static void read_batch(struct kafka_reader *reader)
{
	struct source *const source = reader->source;
	const int64_t until_ms = reader->committed_ms + LINGER_MS;
	struct kafka_message message;
	int64_t left_ms;
	do {
		while (!is_full(reader) && !reader->must_assign && kafka_poll(reader->client, &message))
			put_in(reader, &message);
		left_ms = until_ms - now_ms();
	} while (reader->n_batch && !is_full(reader) && !reader->must_assign && left_ms > 0 &&
		 source_wait(source, kafka_fd(reader->client), (int)left_ms, POLLIN));
}

static void tell(struct kafka_reader *reader, int wait_ms)
{
	struct kafka_place *const places = calloc(reader->n_parts + 1, sizeof(*places));
	if (places && !reader->away)
		kafka_tell(reader->client, places, kafka_parts_places(reader, places), wait_ms);
	free(places);
	reader->told_ms = now_ms();
}

static int take_batch(struct kafka_reader *reader, struct error *err)
{
	int rc = source_wait_for_room(reader->source, err);
	if (rc == 0)
		rc = kafka_take_batch(reader, err);
	if (rc < 0)
		return rc;
	reader->committed_ms = now_ms();
	/* Messages come: the brokers may be back. Not after each batch, for it may be one topic of several. */
	if (reader->away)
		look_soon(reader);
	if (reader->committed_ms - reader->told_ms >= TELL_MS)
		tell(reader, 0);
	return 0;
}

static int follow(struct kafka_reader *reader, struct error *err)
{
	struct source *const source = reader->source;
	int rc = 0;
	while (rc == 0 && !source_must_stop(source)) {
		if (now_ms() >= reader->look_ms)
			rc = look(reader, err);
		if (rc == 0 && reader->must_assign)
			rc = kafka_parts_assign(reader, err);
		if (rc < 0)
			break;
		read_batch(reader);
		look_at_trouble(reader);
		if (reader->n_batch) {
			rc = take_batch(reader, err);
			continue;
		}
		const int64_t left_ms = reader->look_ms - now_ms();
		if (left_ms > 0 && !reader->must_assign)
			source_wait(source, kafka_fd(reader->client), (int)left_ms, POLLIN);
	}
	return rc;
}

static int run(struct source *source, struct error *err)
{
	struct kafka_reader *const reader = source->state;
	reader->look_ms = 0;
	int rc = kafka_parts_reset(reader, err);
	if (rc == 0)
		rc = follow(reader, err);
	kafka_drop_batch(reader);
	if (rc == ERROR_INTERRUPTED && source_must_stop(source))
		rc = 0;
	if (rc == 0)
		tell(reader, TELL_LAST_MS);
	return rc;
}

const struct source_driver source_kafka = {.open = open_state, .run = run, .close = close_state};
