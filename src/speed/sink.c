/*
 * A sink's position in the journal, under "\1sink/<name>": varint 1 (version), varint offset (0: it has ended in order), and what
 * its driver has left to do.
 */
#include "speed/sink.h"

#include "base/bytes.h"
#include "store/block.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define VERSION  1
#define KEY_ROOT "\1sink/"

static int make_key(const struct sink *sink, struct buf *out, struct error *err)
{
	return buf_printf(out, KEY_ROOT "%s", sink->name) < 0 ? error_no_memory(err, strlen(sink->name)) : 0;
}

static bool decode(struct slice stored, uint64_t *offset, struct slice *rest)
{
	struct reader r = reader_of(stored);
	const uint64_t version = read_varint(&r);
	*offset = read_varint(&r);
	*rest = (struct slice){(const char *)r.at, (size_t)(r.end - r.at)};
	return !r.bad && version == VERSION;
}

static int store(struct sink *sink, uint64_t offset, struct slice rest, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	_cleanup_buf_ struct buf value = {0};
	int rc = make_key(sink, &key, err);
	if (rc == 0 && buf_reserve(&value, 2 * (size_t)VARINT_MAX_BYTES + rest.len) < 0)
		rc = error_no_memory(err, rest.len);
	if (rc < 0)
		return rc;
	assert(value.data);
	value.len = (size_t)(put_varint(put_varint(value.data, VERSION), offset) - value.data);
	if (rest.len)
		memcpy(value.data + value.len, rest.data, rest.len);
	value.len += rest.len;
	rc = journal_begin(sink->journal, err);
	if (rc < 0)
		return rc;
	rc = journal_position_set(sink->journal, (struct slice){key.data, key.len},
				  (struct slice){value.data, value.len}, err);
	if (rc == 0)
		return journal_commit(sink->journal, err);
	journal_abort(sink->journal);
	return rc;
}

int sink_commit(struct sink *sink, struct slice rest, struct error *err)
{
	return store(sink, sink->next, rest, err);
}

/* --- opening --- */

struct found {
	struct sink *sink;
	struct buf rest;
	uint64_t offset;
	int rc;
};

static int on_position(void *context, struct slice key, struct slice stored)
{
	struct found *const found = context;
	struct slice rest;
	if (key.len != strlen(KEY_ROOT) + strlen(found->sink->name))
		return 0; /* of one whose name goes on */
	if (!decode(stored, &found->offset, &rest))
		found->rc = ERROR_CORRUPT;
	else if (buf_append(&found->rest, rest.data, rest.len) < 0)
		found->rc = ERROR_NO_MEMORY;
	return 1;
}

/* found->offset is 0 when it has none. */
static int find(struct sink *sink, uint64_t *first, uint64_t *next, struct found *found, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	struct journal_reader *reader = NULL;
	int rc = make_key(sink, &key, err);
	if (rc == 0)
		rc = journal_reader_open(sink->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, first, next, err);
	if (rc == 0)
		rc = journal_reader_positions(reader, (struct slice){key.data, key.len}, on_position, found, err);
	journal_reader_close(reader);
	if (rc == 0 && found->rc < 0)
		rc = error_set(err, found->rc, "the position of sink %s in the journal is damaged", sink->name);
	return rc;
}

int sink_open(struct sink *sink, const struct deployment *deployment, struct journal *journal, uint64_t *offset,
	      struct error *err)
{
	uint64_t first = 1;
	uint64_t next = 1;
	struct found found = {.sink = sink};
	sink->deployment = deployment;
	sink->journal = journal;
	int rc = find(sink, &first, &next, &found, err);
	if (rc == 0 && found.offset && (found.offset < first || found.offset > next))
		rc = error_set(
			err, ERROR_CORRUPT,
			"sink %s has lines up to block %llu, and the journal has blocks %llu to %llu: it is another "
			"journal, or a part is lost; put data/ back from a backup",
			sink->name, (unsigned long long)found.offset, (unsigned long long)first,
			(unsigned long long)next);
	sink->left = false;
	if (rc == 0 && sink->driver->open)
		rc = sink->driver->open(sink, (struct slice){found.rest.data, found.rest.len}, err);
	/* From now on what comes is kept for it. */
	sink->next = found.offset ? found.offset : next;
	if (rc == 0)
		rc = sink_commit(sink, sink->left ? (struct slice){found.rest.data, found.rest.len} : (struct slice){0},
				 err);
	buf_release(&found.rest);
	if (rc < 0)
		return error_prefix(err, "sink %s", sink->name);
	*offset = sink->next;
	return 0;
}

int sink_recover(struct sink *sink, uint64_t *offset, struct error *err)
{
	uint64_t first;
	uint64_t next;
	struct found found = {.sink = sink};
	int rc = find(sink, &first, &next, &found, err);
	if (sink->driver->close)
		sink->driver->close(sink);
	sink->state = NULL;
	sink->left = false;
	if (rc == 0 && sink->driver->open)
		rc = sink->driver->open(sink, (struct slice){found.rest.data, found.rest.len}, err);
	buf_release(&found.rest);
	if (rc == 0 && sink->left && sink->driver->settle)
		rc = sink->driver->settle(sink, err);
	if (rc < 0)
		return rc;
	*offset = found.offset ? found.offset : sink->first;
	return 0;
}

void sink_close(struct sink *sink, bool ended)
{
	/* What cannot be written is only that its blocks stay. */
	if (ended && !sink->left)
		(void)store(sink, 0, (struct slice){0}, NULL);
	if (sink->driver->close)
		sink->driver->close(sink);
	sink->state = NULL;
}

/* --- lines --- */

static bool is_fed_by(const struct sink *sink, struct slice source)
{
	for (unsigned i = 0; i < sink->n_sources; i++)
		if (slice_is(source, sink->sources[i]))
			return true;
	return false;
}

static int take_block(struct sink *sink, struct slice bytes, struct error *err)
{
	struct block_reader reader = {0};
	struct block_record record;
	int rc = block_reader_open(&reader, bytes, err);
	if (rc < 0)
		return rc;
	rc = is_fed_by(sink, reader.source) ? 1 : 0;
	while (rc == 1 && (rc = block_reader_next(&reader, &record, err)) == 1) {
		if (record.kind != BLOCK_LINE)
			continue;
		const struct sink_line line = {.source = reader.source,
					       .file = record.file,
					       .line = record.line,
					       .text = record.text,
					       .time_us = reader.counts.time_us};
		const int taken = sink->driver->line(sink, &line, err);
		rc = taken < 0 ? taken : 1;
	}
	block_reader_release(&reader);
	return rc;
}

int sink_write(struct sink *sink, struct journal_reader *reader, uint64_t first, uint64_t next, struct error *err)
{
	sink->first = first;
	sink->next = next;
	int rc = sink->driver->begin(sink, first, next, err);
	for (uint64_t seq = first; rc == 0 && seq < next; seq++) {
		struct slice bytes;
		rc = journal_reader_block(reader, seq, &bytes, err);
		if (rc == 0)
			rc = take_block(sink, bytes, err);
	}
	if (rc == 0)
		rc = sink->driver->commit(sink, err);
	if (rc < 0)
		sink->driver->abort(sink);
	return rc;
}

/* --- all there are --- */

struct each_sink {
	int (*each)(void *context, struct slice name, uint64_t offset);
	void *context;
};

static int on_any(void *context, struct slice key, struct slice stored)
{
	const struct each_sink *const all = context;
	uint64_t offset;
	struct slice rest;
	if (!decode(stored, &offset, &rest) || !offset)
		return 0;
	const size_t root = strlen(KEY_ROOT);
	return all->each(all->context, (struct slice){key.data + root, key.len - root}, offset);
}

int sinks_each(struct journal_reader *reader, int (*each)(void *context, struct slice name, uint64_t offset),
	       void *context, struct error *err)
{
	struct each_sink all = {.each = each, .context = context};
	return journal_reader_positions(reader, slice_of(KEY_ROOT), on_any, &all, err);
}

static int keep_least(void *context, struct slice name, uint64_t offset)
{
	struct sinks_pin *const pin = context;
	if (offset >= pin->first)
		return 0;
	pin->first = offset;
	snprintf(pin->name, sizeof(pin->name), "%.*s", (int)name.len, name.data);
	return 0;
}

int sinks_pinned(struct journal_reader *reader, struct sinks_pin *pin, struct error *err)
{
	struct sinks_pin least = {.first = UINT64_MAX};
	const int rc = sinks_each(reader, keep_least, &least, err);
	if (rc == 0)
		*pin = least;
	return rc;
}

void sink_release(struct sink *sink)
{
	for (unsigned i = 0; i < sink->n_sources; i++)
		free(sink->sources[i]);
	for (unsigned i = 0; i < sink->n_headers; i++) {
		free(sink->headers[i].source);
		free(sink->headers[i].name);
		free(sink->headers[i].value);
	}
	free(sink->sources);
	free(sink->headers);
	free(sink->name);
	free(sink->dir);
	free(sink->prefix);
	free(sink->suffix);
	free(sink->timezone);
	free(sink->table);
	free(sink->column);
}
