/*
 * Partitions are read by the numbers that the configuration has, or all of them: positions are in this journal, so no group may move a
 * partition elsewhere.
 *
 * Offsets alone do not tell a topic from another that was made anew under its name. So where reading begins again, the message before
 * the position is read once more and compared by its print; an end before what was read tells it, too, when it stays for some seconds,
 * since a new leader may be behind at first. What an older topic gave stays; the
 * new one is read from its beginning, and in ids of events that bring none it is "<topic>#2".
 */
#include "speed/kafka_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "speed/metrics.h"
#include "store/block.h"

#include <stdio.h>
#include <stdlib.h>

/* So many partitions, or topics, are asked for in vain at a time. */
#define MEND_FAILURES 4u

/* --- the list --- */

static void free_part(struct kafka_part *part)
{
	if (part)
		buf_release(&part->label);
	free(part);
}

void kafka_parts_free(struct kafka_reader *reader)
{
	for (size_t i = 0; i < reader->n_parts; i++)
		free_part(reader->parts[i]);
	free(reader->parts);
	reader->parts = NULL;
	reader->n_parts = 0;
}

struct kafka_part *kafka_parts_find(struct kafka_reader *reader, const char *topic, int32_t number)
{
	struct kafka_part *const last = reader->last;
	if (last && last->number == number && strcmp(last->topic->name, topic) == 0)
		return last;
	for (size_t i = 0; i < reader->n_parts; i++) {
		struct kafka_part *const part = reader->parts[i];
		if (part->number == number && strcmp(part->topic->name, topic) == 0)
			return reader->last = part;
	}
	return NULL;
}

static int name_part(struct kafka_part *part, struct error *err)
{
	const uint64_t generation = part->position.generation;
	char suffix[24] = "";
	if (generation > 1)
		snprintf(suffix, sizeof(suffix), "#%llu", (unsigned long long)generation);
	buf_clear(&part->label);
	return buf_printf(&part->label, "%s%s/%d", part->topic->name, suffix, (int)part->number) < 0
		       ? error_no_memory(err, sizeof(*part))
		       : 0;
}

/* In a transaction of its own. */
static int read_position(struct kafka_reader *reader, struct kafka_part *part, struct error *err)
{
	const struct source *const source = reader->source;
	int rc = journal_begin(source->journal, err);
	if (rc < 0)
		return rc;
	part->position = (struct kafka_position){.next = KAFKA_OLDEST, .generation = 1};
	rc = kafka_position_get(source->journal, source->config->name, part->topic->name, part->number, &part->begun,
				&part->position, err);
	journal_abort(source->journal);
	part->seen = part->position.next;
	part->verify = part->position.has_print;
	part->check = part->begun;
	part->astray = part->another = false;
	part->doubts = 0;
	return rc == 0 ? name_part(part, err) : rc;
}

static int add_part(struct kafka_reader *reader, struct kafka_topic *topic, int32_t number, bool is_first,
		    struct error *err)
{
	if (reader->n_parts == reader->parts_cap) {
		const size_t cap = reader->parts_cap ? reader->parts_cap * 2 : 16;
		struct kafka_part **const more = realloc(reader->parts, cap * sizeof(void *));
		if (!more)
			return error_no_memory(err, cap * sizeof(void *));
		reader->parts = more;
		reader->parts_cap = cap;
	}
	struct kafka_part *const part = calloc(1, sizeof(*part));
	if (!part)
		return error_no_memory(err, sizeof(*part));
	part->topic = topic;
	part->number = number;
	const int rc = read_position(reader, part, err);
	if (rc < 0) {
		free_part(part);
		return rc;
	}
	/* A partition that was added later has nothing that was there before. */
	part->latest = is_first && !part->begun && reader->source->config->from == KAFKA_FROM_LATEST;
	reader->parts[reader->n_parts++] = part;
	reader->must_assign = true;
	return 0;
}

int kafka_parts_reset(struct kafka_reader *reader, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < reader->n_parts; i++)
		rc = read_position(reader, reader->parts[i], err);
	reader->must_assign = true;
	return rc;
}

/* --- which there are --- */

bool kafka_is_for_later(int rc)
{
	return rc == ERROR_AWAY || rc == ERROR_DENIED || rc == ERROR_NOT_FOUND;
}

/* Asks for partitions 0 to n - 1, or those of them that are configured. */
static int add_parts(struct kafka_reader *reader, struct kafka_topic *topic, int32_t n, struct error *err)
{
	const struct config_strings *const wanted = &reader->source->config->partitions;
	const bool is_first = !topic->looked && !topic->missing;
	const size_t had = reader->n_parts;
	const size_t count = wanted->count ? wanted->count : (size_t)n;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const long number = wanted->count ? strtol(wanted->items[i], NULL, 10) : (long)i;
		struct kafka_part *const part = kafka_parts_find(reader, topic->name, (int32_t)number);
		if (number >= n) {
			if (!topic->short_said && wanted->count)
				LOG_WARNING("a topic has no such partition; it is looked for again",
					    log_text("source", reader->source->config->name),
					    log_text("topic", topic->name), log_int("partition", number));
			topic->short_said = true;
		} else if (!part) {
			rc = add_part(reader, topic, (int32_t)number, is_first, err);
		} else if (part->gone) {
			part->gone = false;
			part->verify = part->position.has_print;
			part->check = part->begun;
			reader->must_assign = true;
		}
	}
	if (rc < 0)
		return rc;
	if (reader->n_parts != had)
		LOG_INFO("reading partitions", log_text("source", reader->source->config->name),
			 log_text("topic", topic->name), log_uint("partitions", reader->n_parts));
	topic->looked = true;
	topic->missing = false;
	return 0;
}

static void say_missing(struct kafka_reader *reader, struct kafka_topic *topic, const struct error *fault)
{
	metrics_source_state(reader->source->metrics, METRICS_BACKING_OFF);
	for (size_t i = 0; i < reader->n_parts; i++)
		if (reader->parts[i]->topic == topic && !reader->parts[i]->gone)
			reader->parts[i]->gone = reader->must_assign = true;
	if (topic->missing)
		return;
	topic->missing = true;
	metrics_source_error(reader->source->metrics, fault->message, clock_now_us());
	LOG_WARNING("a topic is not there; it is looked for again", log_text("source", reader->source->config->name),
		    log_text("topic", topic->name));
}

static int look_at_topic(struct kafka_reader *reader, struct kafka_topic *topic, struct error *err)
{
	int32_t n = 0;
	int rc = kafka_partitions(reader->client, topic->name, KAFKA_ASK_MS, &n, err);
	if (rc == 0)
		return add_parts(reader, topic, n, err);
	if (rc != ERROR_NOT_FOUND)
		return rc;
	say_missing(reader, topic, err);
	return 0;
}

int kafka_parts_look(struct kafka_reader *reader, struct error *err)
{
	const unsigned n_topics = reader->source->config->topics.count;
	unsigned silent = 0;
	int rc = 0;
	/* One that is denied must not keep the others from being read; nor must many that nobody answers for keep the source waiting. */
	reader->turn++;
	for (unsigned i = 0; i < n_topics && silent < MEND_FAILURES; i++) {
		struct error fault = {0};
		const int one = look_at_topic(reader, &reader->topics[(reader->turn + i) % n_topics], &fault);
		if (one < 0 && (rc == 0 || !kafka_is_for_later(one)))
			rc = error_set(err, one, "%s", fault.message);
		if (one < 0 && !kafka_is_for_later(one))
			break;
		silent += one == ERROR_AWAY;
	}
	return rc;
}

/* --- where they stand --- */

static int store(struct kafka_reader *reader, struct kafka_part *part, const struct kafka_position *position,
		 struct error *err)
{
	const struct source *const source = reader->source;
	int rc = journal_begin(source->journal, err);
	if (rc < 0)
		return rc;
	rc = kafka_position_set(source->journal, source->config->name, part->topic->name, part->number, position, err);
	if (rc < 0) {
		journal_abort(source->journal);
		return rc;
	}
	rc = journal_commit(source->journal, err);
	if (rc < 0)
		return rc;
	part->position = *position;
	part->seen = position->next;
	part->begun = true;
	part->verify = part->check = part->latest = part->astray = part->another = false;
	part->doubts = 0;
	reader->must_assign = true;
	return name_part(part, err);
}

/* Whether it must be asked where it stands. */
static bool must_mend(const struct kafka_part *part)
{
	return part->check || part->latest || part->astray || part->another;
}

static void say(struct kafka_reader *reader, const char *text)
{
	metrics_source_error(reader->source->metrics, text, clock_now_us());
	LOG_ERROR("a topic is not what it was", log_text("source", reader->source->config->name),
		  log_text("what", text));
}

/* What has become of it, in *what, and where it goes on. */
static void judge(const struct kafka_part *part, int64_t first, int64_t end, struct kafka_position *next,
		  struct error *what)
{
	const char *const topic = part->topic->name;
	if (part->latest) {
		next->next = end;
	} else if (!part->begun) { /* it was asked for the oldest, which has gone meanwhile */
		next->next = first;
	} else if (part->another || next->next > end) {
		error_set(what, ERROR_INPUT,
			  "topic %s, partition %d is another one than was read up to offset %lld: it was made anew, or "
			  "its end was lost; it is read from its beginning, offset %lld",
			  topic, (int)part->number, (long long)next->next, (long long)first);
		next->generation++;
		next->next = first;
	} else if (next->next < first) {
		error_set(what, ERROR_INPUT,
			  "topic %s, partition %d: %lld messages were removed before they were read (offsets %lld to "
			  "%lld); give the topic a longer retention",
			  topic, (int)part->number, (long long)(first - next->next), (long long)next->next,
			  (long long)first - 1);
		next->lost += (uint64_t)(first - next->next);
		next->next = first;
	}
	next->has_print = false;
}

/* Whether an end before what was read is to be believed; else it is asked again. */
static bool believe_end(struct kafka_reader *reader, struct kafka_part *part, int64_t end)
{
	const int64_t now_ms = clock_monotonic_us() / 1000;
	if (part->doubts == 0) {
		part->doubt_ms = now_ms;
		LOG_WARNING("a partition ends before what was read of it; it is asked again",
			    log_text("source", reader->source->config->name), log_text("topic", part->topic->name),
			    log_int("partition", part->number), log_int("next", part->position.next),
			    log_int("end", end));
	}
	part->doubts++;
	part->astray = true;
	return part->doubts >= KAFKA_DOUBTS && now_ms - part->doubt_ms >= KAFKA_DOUBT_MS;
}

bool kafka_parts_doubtful(const struct kafka_reader *reader)
{
	for (size_t i = 0; i < reader->n_parts; i++)
		if (!reader->parts[i]->gone && reader->parts[i]->doubts)
			return true;
	return false;
}

static int mend_part(struct kafka_reader *reader, struct kafka_part *part, struct error *err)
{
	struct kafka_position next = part->position;
	struct error what = {0};
	int64_t first = 0;
	int64_t end = 0;
	const int rc = kafka_range(reader->client, part->topic->name, part->number, KAFKA_ASK_MS, &first, &end, err);
	if (rc < 0)
		return rc;
	if (!part->another && !part->latest && part->begun && next.next >= first && next.next <= end) {
		part->check = part->astray = false;
		part->doubts = 0;
		part->verify = part->verify && next.next > first; /* else the message before is not there any more */
		reader->must_assign = true;
		return 0;
	}
	if (!part->another && !part->latest && part->begun && next.next > end && !believe_end(reader, part, end))
		return 0;
	judge(part, first, end, &next, &what);
	if (what.code)
		say(reader, what.message);
	return store(reader, part, &next, err);
}

int kafka_parts_mend(struct kafka_reader *reader, struct error *err)
{
	unsigned failures = 0;
	int rc = 0;
	/* One whose leader is away must not keep the others waiting, nor many of them the source. */
	reader->turn++;
	for (size_t i = 0; i < reader->n_parts && failures < MEND_FAILURES; i++) {
		struct kafka_part *const part = reader->parts[(reader->turn + i) % reader->n_parts];
		struct error fault = {0};
		if (part->gone || !must_mend(part))
			continue;
		const int one = mend_part(reader, part, &fault);
		if (one == 0)
			continue;
		failures++;
		rc = error_set(err, one, "%s", fault.message);
		if (!kafka_is_for_later(one))
			break;
	}
	return rc;
}

int kafka_parts_assign(struct kafka_reader *reader, struct error *err)
{
	struct kafka_place *const places = calloc(reader->n_parts + 1, sizeof(*places));
	size_t n = 0;
	if (!places)
		return error_no_memory(err, reader->n_parts * sizeof(*places));
	for (size_t i = 0; i < reader->n_parts; i++) {
		struct kafka_part *const part = reader->parts[i];
		part->seen = part->position.next;
		if (part->gone || must_mend(part))
			continue;
		places[n++] = (struct kafka_place){.topic = part->topic->name,
						   .partition = part->number,
						   .offset = part->position.next - (part->verify ? 1 : 0)};
	}
	const int rc = kafka_assign(reader->client, places, n, err);
	free(places);
	reader->must_assign = rc < 0;
	return rc;
}

bool kafka_part_wants(struct kafka_reader *reader, struct kafka_part *part, const struct kafka_message *message)
{
	unsigned char print[INPUT_DIGEST_BYTES];
	if (part->astray || part->another || part->gone)
		return false; /* fetched before that was known */
	if (part->verify) {
		part->verify = false;
		kafka_print(reader, message, print);
		part->another = message->offset == part->position.next - 1 &&
				memcmp(print, part->position.print, sizeof(print)) != 0;
		if (part->another) {
			reader->must_assign = true;
			reader->look_ms = 0;
		}
	}
	return !part->another && message->offset >= part->seen;
}

size_t kafka_parts_places(const struct kafka_reader *reader, struct kafka_place *out)
{
	size_t n = 0;
	for (size_t i = 0; i < reader->n_parts; i++) {
		const struct kafka_part *const part = reader->parts[i];
		if (part->begun)
			out[n++] = (struct kafka_place){
				.topic = part->topic->name, .partition = part->number, .offset = part->position.next};
	}
	return n;
}
