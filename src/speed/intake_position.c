/*
 * A position, as journal_position_set stores it:
 *
 *     bytes      what
 *     1          version: 1
 *     1          1: read to its end
 *     16         XXH3-128 of the text taken so far (canonical)
 *     varint × 8 bytes of text taken, physical lines taken, size of the file (0: not read to its end), lines, rows, events,
 *                duplicates, quarantined
 *     signed     time, UTC microseconds
 *
 * Valid when nothing is missing and nothing follows. Its key says which text it is of; S is the source's name, N the file's:
 *
 *     S NUL N               the first text of this name
 *     S NUL N NUL digest    another that came under this name; the hash of the whole of it when it was seen first
 *     NUL S NUL N NUL digest
 *                           a place where one of these texts ended once, before there was more of it: digest is that of the
 *                           text up to there. So a file that was put away then is known by its size. Without bytes of text
 *                           and not read to its end: a file that has the name of one that was put away and is none; digest
 *                           is that of its text, and nothing of it was taken
 *
 * Other sources than spools have positions of version 2 (speed/stream_position.c) or 3 (speed/kafka_position.c), which begin in the
 * same way and go on with what is their own; their keys begin with S NUL NUL, as no file's does.
 */
#include "speed/intake_internal.h"

#include "base/bytes.h"
#include "base/utf8.h"

#include <limits.h>
#include <stdlib.h>

/* A longer name of a file (a path) stands in a key as its beginning and a hash, behind "//", which no name has: the journal
 * takes keys of 500 bytes. */
#define KEY_NAME_BYTES 400u

int intake_position_decode_rest(struct slice stored, struct intake_position *out,
				unsigned char digest[INPUT_DIGEST_BYTES], struct slice *rest)
{
	struct reader r = reader_of(stored);
	struct intake_position position = {0};
	const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
	position.complete = reader_has(&r, 1) && *r.at++ == 1;
	if (version < POSITION_VERSION_FILE || version > POSITION_VERSION_KAFKA || !reader_has(&r, INPUT_DIGEST_BYTES))
		return ERROR_CORRUPT;
	const unsigned char *const stored_digest = (const unsigned char *)r.at;
	r.at += INPUT_DIGEST_BYTES;
	position.bytes = read_varint(&r);
	position.line = read_varint(&r);
	position.file_bytes = read_varint(&r);
	position.counts.lines = read_varint(&r);
	position.counts.rows = read_varint(&r);
	position.counts.events = read_varint(&r);
	position.counts.duplicates = read_varint(&r);
	position.counts.quarantined = read_varint(&r);
	position.time_us = read_signed(&r);
	const size_t left = (size_t)(r.end - r.at);
	if (r.bad || (version == POSITION_VERSION_FILE && left))
		return ERROR_CORRUPT;
	memcpy(digest, stored_digest, INPUT_DIGEST_BYTES);
	*out = position;
	if (rest)
		*rest = (struct slice){(const char *)r.at, left};
	return 0;
}

int intake_position_decode(struct slice stored, struct intake_position *out, unsigned char digest[16])
{
	return intake_position_decode_rest(stored, out, digest, NULL);
}

int intake_position_encode(unsigned version, const struct intake_position *position,
			   const unsigned char digest[INPUT_DIGEST_BYTES], struct buf *out)
{
	if (buf_reserve(out, 2 + INPUT_DIGEST_BYTES + 9 * VARINT_MAX_BYTES) < 0)
		return ERROR_NO_MEMORY;
	const struct intake_counts *const counts = &position->counts;
	char *p = out->data + out->len;
	*p++ = (char)version;
	*p++ = position->complete;
	memcpy(p, digest, INPUT_DIGEST_BYTES);
	p += INPUT_DIGEST_BYTES;
	const uint64_t numbers[] = {position->bytes, position->line, position->file_bytes, counts->lines,
				    counts->rows,    counts->events, counts->duplicates,   counts->quarantined};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		p = put_varint(p, numbers[i]);
	p = put_signed(p, position->time_us);
	out->len = (size_t)(p - out->data);
	return 0;
}

static int store(struct intake *intake, const struct buf *key, const struct intake_position *position,
		 const unsigned char digest[INPUT_DIGEST_BYTES], struct error *err)
{
	_cleanup_buf_ struct buf bytes = {0};
	if (intake_position_encode(POSITION_VERSION_FILE, position, digest, &bytes) < 0)
		return error_no_memory(err, sizeof(*position));
	return journal_position_set(intake->journal, (struct slice){key->data, key->len},
				    (struct slice){bytes.data, bytes.len}, err);
}

void intake_mark_here(struct intake *intake, struct mark *mark)
{
	if (intake->in_long) {
		*mark = intake->long_start;
		mark->counts = intake->counts;
		return;
	}
	mark->offset = intake->in ? input_offset(intake->in) : intake->offset;
	mark->line = intake->line;
	mark->counts = intake->counts;
	if (intake->in)
		input_digest(intake->in, mark->digest);
}

/* What is durable with a position here. */
static void count(struct intake *intake, const struct mark *mark)
{
	struct intake_counts *const sum = &intake->read.counts;
	sum->lines += mark->counts.lines - intake->counted.lines;
	sum->rows += mark->counts.rows - intake->counted.rows;
	sum->events += mark->counts.events - intake->counted.events;
	sum->duplicates += mark->counts.duplicates - intake->counted.duplicates;
	sum->quarantined += mark->counts.quarantined - intake->counted.quarantined;
	intake->counted = mark->counts;
	if (mark->offset > intake->counted_bytes)
		intake->read.bytes += mark->offset - intake->counted_bytes;
	intake->counted_bytes = mark->offset;
}

int intake_write_position(struct intake *intake, const struct mark *mark, bool complete, uint64_t file_bytes,
			  struct error *err)
{
	count(intake, mark);
	struct intake_position position = {
		.complete = complete,
		.bytes = mark->offset,
		.line = mark->line,
		.file_bytes = complete ? file_bytes : 0,
		.counts = intake->had,
		.time_us = intake->now_us,
	};
	position.counts.lines += mark->counts.lines;
	position.counts.rows += mark->counts.rows;
	position.counts.events += mark->counts.events;
	position.counts.duplicates += mark->counts.duplicates;
	position.counts.quarantined += mark->counts.quarantined;
	return store(intake, &intake->key, &position, mark->digest, err);
}

/* Keys. */

static int append_key(const struct intake *intake, struct slice name, struct buf *out)
{
	if (buf_append(out, intake->source->name, strlen(intake->source->name) + 1) < 0)
		return ERROR_NO_MEMORY;
	if (name.len <= KEY_NAME_BYTES)
		return buf_append(out, name.data, name.len);
	return buf_append(out, "//", 2) < 0 ? ERROR_NO_MEMORY : block_label(name, out);
}

int intake_set_name(struct intake *intake, const char *name, size_t name_len, struct error *err)
{
	buf_clear(&intake->key);
	buf_clear(&intake->label);
	buf_clear(&intake->scratch);
	if (append_key(intake, (struct slice){name, name_len}, &intake->key) < 0 ||
	    utf8_escape(&intake->scratch, name, name_len, (size_t)PATH_MAX * 4) < 0 ||
	    block_label((struct slice){intake->scratch.data, intake->scratch.len}, &intake->label) < 0)
		return error_no_memory(err, name_len);
	intake->first_key_len = intake->key.len;
	return 0;
}

/* Lines that are kept go by their label and number: those of another text under the same name must have others. */
static int set_content_label(struct intake *intake, const unsigned char digest[INPUT_DIGEST_BYTES], struct error *err)
{
	const char *const name = intake->key.data + strlen(intake->key.data) + 1;
	const size_t name_len = intake->first_key_len - (size_t)(name - intake->key.data);
	buf_clear(&intake->label);
	buf_clear(&intake->scratch);
	if (utf8_escape(&intake->scratch, name, name_len, NAME_MAX * 4) < 0 ||
	    buf_printf(&intake->scratch, "~%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]) < 0 ||
	    block_label((struct slice){intake->scratch.data, intake->scratch.len}, &intake->label) < 0)
		return error_no_memory(err, name_len);
	return 0;
}

int intake_set_content_key(struct intake *intake, const unsigned char digest[INPUT_DIGEST_BYTES], struct error *err)
{
	intake->key.len = intake->first_key_len;
	if (buf_append(&intake->key, "", 1) < 0 || buf_append(&intake->key, digest, INPUT_DIGEST_BYTES) < 0)
		return error_no_memory(err, INPUT_DIGEST_BYTES);
	return intake->source->keeps_lines ? set_content_label(intake, digest, err) : 0;
}

/* What stands before the digest in the keys of other texts, or of earlier ends. */
static int make_prefix(const struct intake *intake, bool earlier, struct buf *out, struct error *err)
{
	if ((earlier && buf_append(out, "", 1) < 0) || buf_append(out, intake->key.data, intake->first_key_len) < 0 ||
	    buf_append(out, "", 1) < 0)
		return error_no_memory(err, intake->first_key_len);
	return 0;
}

static int store_earlier(struct intake *intake, const struct intake_position *position,
			 const unsigned char key_digest[INPUT_DIGEST_BYTES],
			 const unsigned char digest[INPUT_DIGEST_BYTES], struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	const int rc = make_prefix(intake, true, &key, err);
	if (rc < 0)
		return rc;
	if (buf_append(&key, key_digest, INPUT_DIGEST_BYTES) < 0)
		return error_no_memory(err, key.len);
	return store(intake, &key, position, digest, err);
}

int intake_write_end(struct intake *intake, const struct intake_position *position,
		     const unsigned char digest[INPUT_DIGEST_BYTES], struct error *err)
{
	return store_earlier(intake, position, digest, digest, err);
}

int intake_write_unknown(struct intake *intake, const unsigned char digest[INPUT_DIGEST_BYTES], uint64_t file_bytes,
			 struct error *err)
{
	static const unsigned char NO_TEXT[INPUT_DIGEST_BYTES];
	const struct intake_position position = {.file_bytes = file_bytes, .time_us = intake->now_us};
	return store_earlier(intake, &position, digest, NO_TEXT, err);
}

/* What is known of a name. */

struct walk {
	struct intake *intake;
	enum past_kind kind;
	size_t prefix_len;
	int rc;
};

/* Room for one; NULL: no memory. */
static struct past *make_past(struct intake *intake)
{
	if (intake->n_past == intake->past_cap) {
		const size_t cap = intake->past_cap ? intake->past_cap * 2 : 8;
		struct past *const more = realloc(intake->past, cap * sizeof(*more));
		if (!more)
			return NULL;
		intake->past = more;
		intake->past_cap = cap;
	}
	return &intake->past[intake->n_past];
}

static int add_past(struct walk *walk, struct slice key, struct slice stored)
{
	struct intake *const intake = walk->intake;
	struct past *const past = make_past(intake);
	if (!past)
		return ERROR_NO_MEMORY;
	past->kind = walk->kind;
	if (key.len != walk->prefix_len + INPUT_DIGEST_BYTES)
		return ERROR_CORRUPT;
	memcpy(past->key_digest, key.data + walk->prefix_len, INPUT_DIGEST_BYTES);
	const int rc = intake_position_decode(stored, &past->position, past->digest);
	if (rc == 0)
		intake->n_past++;
	return rc;
}

static int add_entry(void *context, struct slice key, struct slice stored)
{
	struct walk *const walk = context;
	walk->rc = add_past(walk, key, stored);
	return walk->rc;
}

static int fail_past(const struct intake *intake, int rc, struct error *err)
{
	return rc == ERROR_NO_MEMORY ? error_no_memory(err, sizeof(struct past))
				     : error_set(err, rc, "the journal's position of %s is damaged", intake->path);
}

static int add_others(struct intake *intake, enum past_kind kind, struct error *err)
{
	_cleanup_buf_ struct buf prefix = {0};
	int rc = make_prefix(intake, kind == PAST_EARLIER, &prefix, err);
	if (rc < 0)
		return rc;
	struct walk walk = {.intake = intake, .kind = kind, .prefix_len = prefix.len};
	rc = journal_positions(intake->journal, (struct slice){prefix.data, prefix.len}, add_entry, &walk, err);
	if (rc == 0 && walk.rc < 0)
		rc = fail_past(intake, walk.rc, err);
	return rc;
}

/* By bytes; of the same text the one that is to be gone on with comes last. */
static int compare_past(const void *a, const void *b)
{
	const struct past *const x = a;
	const struct past *const y = b;
	if (x->position.bytes != y->position.bytes)
		return x->position.bytes < y->position.bytes ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

/* The position of a key; *found: whether there is one. */
static int add_position(struct intake *intake, struct slice key, enum past_kind kind, bool *found, struct error *err)
{
	struct slice stored;
	struct error missing = {0};
	int rc = journal_position(intake->journal, key, &stored, &missing);
	*found = rc != ERROR_NOT_FOUND;
	if (rc < 0)
		return *found ? error_set(err, rc, "%s", missing.message) : 0;
	struct past *const past = make_past(intake);
	if (!past)
		return error_no_memory(err, sizeof(*past));
	past->kind = kind;
	rc = intake_position_decode(stored, &past->position, past->digest);
	if (rc < 0)
		return fail_past(intake, rc, err);
	intake->n_past++;
	return 0;
}

/* There is nothing of the name; the file may have had another. */
static int add_renamed(struct intake *intake, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	bool found;
	if (!intake->renamed_from)
		return 0;
	if (append_key(intake, slice_of(intake->renamed_from), &key) < 0)
		return error_no_memory(err, key.len);
	return add_position(intake, (struct slice){key.data, key.len}, PAST_RENAMED, &found, err);
}

int intake_adopt(struct intake *intake, struct past *past, struct error *err)
{
	past->kind = PAST_FIRST;
	return store(intake, &intake->key, &past->position, past->digest, err);
}

int intake_read_past(struct intake *intake, struct error *err)
{
	intake->n_past = 0;
	bool found;
	int rc = add_position(intake, (struct slice){intake->key.data, intake->first_key_len}, PAST_FIRST, &found, err);
	if (rc < 0)
		return rc;
	if (!found)
		return add_renamed(intake, err); /* who comes first makes it, so there is nothing else */
	rc = add_others(intake, PAST_CONTENT, err);
	if (rc == 0)
		rc = add_others(intake, PAST_EARLIER, err);
	if (rc == 0)
		qsort(intake->past, intake->n_past, sizeof(*intake->past), compare_past);
	return rc;
}

bool intake_may_be_grown(const struct intake *intake, uint64_t file_bytes)
{
	bool may = false;
	for (size_t i = 0; i < intake->n_past; i++) {
		const struct intake_position *const p = &intake->past[i].position;
		const bool has_size = p->complete || intake->past[i].kind == PAST_EARLIER;
		if (has_size && p->file_bytes == file_bytes)
			return false;
		/* One that is not complete was being read, grown, when the process was killed. */
		if (p->complete ? p->file_bytes < file_bytes : intake->past[i].kind != PAST_EARLIER)
			may = true;
	}
	return may;
}
