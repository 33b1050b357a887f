/*
 * A message is a text of one line or several. What has one line is known by topic, partition and offset: in quarantine, and in ids of
 * events that bring none, it is line <offset> of "<topic>/<partition>"; a line of a longer one is line n of "<topic>/<partition>:<offset>".
 */
#include "speed/intake_internal.h"
#include "speed/kafka_internal.h"
#include "speed/order_format.h"

#include "base/clock.h"

#include <stdlib.h>
#include <xxhash.h>

/* Without memory of its own: a print that could not be made would tell the topic for another one. */
void kafka_print(struct kafka_reader *reader, const struct kafka_message *message,
		 unsigned char out[INPUT_DIGEST_BYTES])
{
	XXH3_state_t *const state = reader->hash;
	char numbers[16];
	put_u64(put_u64(numbers, (uint64_t)message->time_ms), message->key.len);
	XXH3_128bits_reset(state);
	XXH3_128bits_update(state, numbers, sizeof(numbers));
	XXH3_128bits_update(state, message->key.data, message->key.len);
	XXH3_128bits_update(state, message->value.data, message->value.len);
	XXH128_canonical_t canonical;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
	memcpy(out, canonical.digest, INPUT_DIGEST_BYTES);
}

/* --- from start to end --- */

int kafka_take_open(struct kafka_reader *reader, struct error *err)
{
	const struct source *const source = reader->source;
	reader->batch = calloc(KAFKA_BATCH, sizeof(*reader->batch));
	reader->batch_parts = calloc(KAFKA_BATCH, sizeof(struct kafka_part *));
	reader->hash = XXH3_createState();
	if (!reader->batch || !reader->batch_parts || !reader->hash)
		return error_no_memory(err, KAFKA_BATCH * sizeof(struct kafka_message));
	int rc = order_format_open(source->deployment, source->config->format, &reader->format, err);
	if (rc == 0)
		rc = intake_open(source->deployment, source->journal, &(const struct intake_hooks){0}, &reader->intake,
				 err);
	if (rc < 0)
		return rc;
	reader->intake->source = source->config;
	reader->intake->format = reader->format;
	return 0;
}

void kafka_take_close(struct kafka_reader *reader)
{
	kafka_drop_batch(reader);
	if (reader->intake)
		reader->intake->format = NULL;
	intake_close(reader->intake);
	order_format_close(reader->format);
	XXH3_freeState(reader->hash);
	free(reader->batch);
	free(reader->batch_parts);
}

void kafka_drop_batch(struct kafka_reader *reader)
{
	for (size_t i = 0; i < reader->n_batch; i++)
		kafka_message_release(&reader->batch[i]);
	reader->n_batch = 0;
	reader->batch_bytes = 0;
}

/* --- a message --- */

static int never_stop(const struct intake *intake)
{
	(void)intake;
	return 0;
}

static int set_label(struct intake *intake, struct slice name, struct error *err)
{
	struct buf *const label = &intake->label;
	if (label->len == name.len && memcmp(label->data, name.data, name.len) == 0)
		return 0;
	buf_clear(label);
	intake->label_written = false;
	return block_label(name, label) < 0 ? error_no_memory(err, name.len) : 0;
}

/* One of several lines: its lines count from 1. */
static int set_long_label(struct intake *intake, const struct kafka_part *part, int64_t offset, struct error *err)
{
	_cleanup_buf_ struct buf name = {0};
	if (buf_printf(&name, "%.*s:%lld", (int)part->label.len, part->label.data, (long long)offset) < 0)
		return error_no_memory(err, part->label.len);
	return set_label(intake, (struct slice){name.data, name.len}, err);
}

static bool has_lines(struct slice text)
{
	const char *const lf = text.len ? memchr(text.data, '\n', text.len) : NULL;
	return lf && lf + 1 < text.data + text.len;
}

static bool is_blank(struct slice text)
{
	size_t at = 0;
	while (at < text.len && memchr(" \t\r\n", text.data[at], 4))
		at++;
	return at == text.len;
}

static int set_aside(struct intake *intake, struct slice raw, enum quarantine_reason reason, struct error *err)
{
	intake->csv.raw = raw;
	return intake_quarantine_record(intake, reason, err);
}

/* The header of a mapped text; *is_header: it was one. Otherwise all of the message is set aside. */
static int take_header(struct kafka_reader *reader, struct slice value, bool *is_header, struct error *err)
{
	struct intake *const intake = reader->intake;
	struct error fault = {0};
	const int rc =
		order_format_header(reader->format, intake->csv.fields, intake->csv.n_fields, "a message", &fault);
	*is_header = rc == 0;
	if (rc == 0 || rc == ERROR_NO_MEMORY)
		return rc == 0 ? 0 : error_no_memory(err, value.len);
	return set_aside(intake, value, REASON_COLUMN_COUNT, err);
}

static int take_lines(struct kafka_reader *reader, struct slice value, bool count_lines, struct error *err)
{
	struct intake *const intake = reader->intake;
	bool needs_header = order_format_is_csv(reader->format);
	size_t at = value.len >= 3 && memcmp(value.data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
	uint64_t line = 0;
	int rc = 0;
	for (;;) {
		size_t used;
		const enum csv_result result = csv_next(&intake->csv, value.data + at, value.len - at, true, &used);
		if (result == CSV_END || result == CSV_MORE)
			break;
		if (result == CSV_NO_MEMORY)
			return error_no_memory(err, LIMIT_LINE_BYTES);
		if (count_lines)
			intake->line = line;
		if (needs_header && (result != CSV_RECORD || intake->csv.raw.len)) {
			bool is_header = false;
			rc = result == CSV_RECORD ? take_header(reader, value, &is_header, err)
						  : set_aside(intake, value, REASON_COLUMN_COUNT, err);
			if (rc < 0 || !is_header)
				return rc;
			needs_header = false;
		} else if (!needs_header) {
			rc = intake_take_record(intake, result, err);
		}
		if (rc < 0)
			return rc;
		at += used;
		line += intake->csv.n_lines;
	}
	return intake_flush_pending(intake, err);
}

static int take_message(struct kafka_reader *reader, struct kafka_part *part, const struct kafka_message *message,
			struct error *err)
{
	struct intake *const intake = reader->intake;
	const struct slice value = message->value;
	const bool many = has_lines(value);
	int rc = many ? set_long_label(intake, part, message->offset, err)
		      : set_label(intake, (struct slice){part->label.data, part->label.len}, err);
	if (rc < 0)
		return rc;
	intake->between = never_stop;
	intake->counts = (struct intake_counts){0};
	/* A record is line + 1; the first offset is 0. */
	intake->line = many ? 0 : (uint64_t)message->offset - 1;
	csv_init(&intake->csv, order_format_delimiter(reader->format), order_format_is_csv(reader->format));
	if (!message->has_value || is_blank(value))
		rc = set_aside(intake, message->key, REASON_EMPTY, err);
	else if (value.len > KAFKA_MESSAGE_BYTES)
		rc = set_aside(intake, (struct slice){value.data, LIMIT_QUARANTINE_TEXT_BYTES + 1}, REASON_TOO_LONG,
			       err);
	else
		rc = take_lines(reader, value, many, err);
	pending_clear(&intake->pending);
	csv_release(&intake->csv);
	return rc;
}

/* --- a batch --- */

static int take_messages(struct kafka_reader *reader, struct source_counts *counts, struct error *err)
{
	struct intake *const intake = reader->intake;
	for (size_t i = 0; i < reader->n_parts; i++) {
		struct kafka_part *const part = reader->parts[i];
		part->following = part->position;
		part->following.common.time_us = intake->now_us;
	}
	for (size_t i = 0; i < reader->n_batch; i++) {
		const struct kafka_message *const message = &reader->batch[i];
		struct kafka_position *const next = &reader->batch_parts[i]->following;
		const int rc = take_message(reader, reader->batch_parts[i], message, err);
		if (rc < 0)
			return rc;
		intake_counts_add(&next->common.counts, &intake->counts);
		next->common.bytes += message->value.len;
		next->common.line++;
		next->next = message->offset + 1;
		counts->lines += intake->counts.lines;
		counts->events += intake->counts.events;
		counts->duplicates += intake->counts.duplicates;
		counts->quarantined += intake->counts.quarantined;
		counts->bytes += message->value.len;
	}
	return 0;
}

/* Of each partition, the last message's print. */
static int store_positions(struct kafka_reader *reader, struct error *err)
{
	const struct source *const source = reader->source;
	int rc = 0;
	for (size_t i = reader->n_batch; rc == 0 && i-- > 0;) {
		const struct kafka_part *const part = reader->batch_parts[i];
		struct kafka_position *const next = &reader->batch_parts[i]->following;
		if (reader->batch[i].offset + 1 != next->next)
			continue;
		kafka_print(reader, &reader->batch[i], next->print);
		next->has_print = true;
		rc = kafka_position_set(source->journal, source->config->name, part->topic->name, part->number, next,
					err);
	}
	return rc;
}

static int append_block(struct kafka_reader *reader, struct error *err)
{
	struct block_writer *const block = &reader->intake->block;
	uint64_t seq;
	return block_writer_has_records(block)
		       ? journal_append(reader->source->journal, block_writer_finish(block), &seq, err)
		       : 0;
}

int kafka_take_batch(struct kafka_reader *reader, struct error *err)
{
	struct intake *const intake = reader->intake;
	struct source_counts counts = {.first_us = reader->batch_us};
	int rc = intake_begin_block(intake, err);
	if (rc == 0)
		rc = take_messages(reader, &counts, err);
	if (rc == 0)
		rc = store_positions(reader, err);
	if (rc == 0)
		rc = append_block(reader, err);
	if (rc < 0) {
		if (intake->begun)
			journal_abort(reader->source->journal);
		intake->begun = false;
		return rc;
	}
	intake->begun = false;
	rc = journal_commit(reader->source->journal, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < reader->n_batch; i++) {
		struct kafka_part *const part = reader->batch_parts[i];
		part->begun = true;
		part->position = part->following;
	}
	kafka_drop_batch(reader);
	source_committed(reader->source, &counts);
	return 0;
}
