/*
 * A position, as journal_position_set stores it under "<source>" NUL "<file name>", or for a file whose name another file had
 * before under "<source>" NUL "<file name>" NUL "<16 bytes, hash of the whole text>":
 *
 *     bytes      what
 *     1          version, 1
 *     1          1: read to its end
 *     16         XXH3-128 of the text taken so far (canonical)
 *     varint × 8 bytes of text taken, physical lines taken, size of the file, lines, rows, events, duplicates, quarantined
 *     signed     time, UTC microseconds
 *
 * Valid when nothing is missing and nothing follows.
 */
#include "speed/intake.h"

#include "base/bytes.h"
#include "base/csv.h"
#include "base/file.h"
#include "base/input.h"
#include "base/utf8.h"
#include "loyalty/account.h"
#include "speed/pending.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define POSITION_VERSION 1
/* A block is committed when it has this size: large enough that the disk's flush is a small part of the work. */
#define BLOCK_BYTES (1024u * 1024u)
/* … or covers so many whole files: small files share a commit. */
#define BLOCK_FILES    1000u
#define SETTLE_POLL_NS 20000000L
/* Who keeps writing to a last line without an end is waited for so many times settle_ms. */
#define SETTLE_WAITS 3
/* So many bad lines between the lines of an order end it: a block holds them until the order is whole. */
#define BAD_LINES_IN_ORDER 1000u
#define MICROS             INT64_C(1000000)
#define PUT_AWAY_TRIES     100000u

static_assert(REASON_MAX < sizeof(((struct intake_counts *)0)->by_reason) / sizeof(uint64_t),
	      "a count for each reason");

/* A file whose last events wait for the commit; then it is put away. */
struct finished {
	char *path;
	char *name;
	bool keep_name;       /* it was put away before */
	bool has_quarantined; /* lines of it, now or in an earlier run */
	uint64_t file_bytes;  /* when its end was read */
	enum intake_outcome outcome;
	struct intake_counts counts;
};

/* A place between two orders of a file. */
struct mark {
	uint64_t offset;
	uint64_t line;
	unsigned char digest[INPUT_DIGEST_BYTES];
	struct intake_counts counts;
};

/* Where the pending order begins: in the file, and in the block, which holds the bad lines that came between its lines. */
struct order_start {
	struct mark mark;
	struct block_writer_mark block;
	bool label_written;
	unsigned bad_lines; /* since then */
};

/* What came of reading a file. */
enum ending {
	ENDING_WHOLE,
	ENDING_GROWS, /* the last line has no end yet */
	ENDING_FAULT, /* it cannot be read on */
};

struct intake {
	const struct deployment *deployment;
	struct journal *journal;
	struct intake_hooks hooks;
	const struct config_source *source;
	char *dir;
	struct order_format *format;
	struct csv csv;
	struct pending pending;
	struct block_writer block;
	bool begun; /* the journal's transaction */
	int64_t now_us;
	int64_t latest_us;
	uint64_t lines; /* of all files, for progress */
	struct finished *finished;
	size_t n_finished;
	unsigned failed;

	/* The file that is read. */
	struct input *in;
	const char *name;
	const char *path;
	struct buf key;
	struct buf label;
	bool label_written;
	uint64_t line; /* physical lines consumed */
	struct intake_counts counts;
	struct intake_counts had;          /* of earlier runs */
	enum quarantine_reason all_reason; /* every line goes to quarantine for it; 0: none does */
	struct buf scratch;
	struct order_start order_start;
	bool in_long; /* in a line that is too long, which is consumed in pieces … */
	struct mark long_start;
	int64_t waiting_since_us; /* for the end of the last line; 0: not */
};

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * MICROS + t.tv_nsec / 1000;
}

int intake_open(const struct deployment *deployment, struct journal *journal, const struct intake_hooks *hooks,
		struct intake **out, struct error *err)
{
	struct intake *const intake = calloc(1, sizeof(*intake));
	struct finished *const finished = calloc(BLOCK_FILES, sizeof(*finished));
	if (!intake || !finished) {
		free(intake);
		free(finished);
		return error_no_memory(err, BLOCK_FILES * sizeof(*finished));
	}
	intake->deployment = deployment;
	intake->journal = journal;
	intake->hooks = *hooks;
	intake->finished = finished;
	*out = intake;
	return 0;
}

static void drop_finished(struct intake *intake)
{
	for (size_t i = 0; i < intake->n_finished; i++) {
		free(intake->finished[i].path);
		free(intake->finished[i].name);
	}
	intake->n_finished = 0;
}

void intake_close(struct intake *intake)
{
	if (!intake)
		return;
	if (intake->begun)
		journal_abort(intake->journal);
	drop_finished(intake);
	free(intake->finished);
	pending_release(&intake->pending);
	block_writer_release(&intake->block);
	buf_release(&intake->key);
	buf_release(&intake->label);
	buf_release(&intake->scratch);
	free(intake);
}

/* Positions. */

static void add_counts(struct intake_counts *sum, const struct intake_counts *more)
{
	sum->lines += more->lines;
	sum->rows += more->rows;
	sum->events += more->events;
	sum->duplicates += more->duplicates;
	sum->quarantined += more->quarantined;
}

int intake_position_decode(struct slice stored, struct intake_position *out, unsigned char digest[16])
{
	struct reader r = reader_of(stored);
	struct intake_position position = {0};
	const unsigned version = reader_has(&r, 1) ? *r.at++ : 0;
	position.complete = reader_has(&r, 1) && *r.at++ == 1;
	if (version != POSITION_VERSION || !reader_has(&r, INPUT_DIGEST_BYTES))
		return ERROR_CORRUPT;
	memcpy(digest, r.at, INPUT_DIGEST_BYTES);
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
	if (r.bad || r.at != r.end)
		return ERROR_CORRUPT;
	*out = position;
	return 0;
}

/* Where reading can go on: between two records. */
static void mark_here(struct intake *intake, struct mark *mark)
{
	if (intake->in_long) {
		*mark = intake->long_start;
		mark->counts = intake->counts;
		return;
	}
	mark->offset = input_offset(intake->in);
	mark->line = intake->line;
	mark->counts = intake->counts;
	input_digest(intake->in, mark->digest);
}

static int write_position(struct intake *intake, const struct mark *mark, bool complete, uint64_t file_bytes,
			  struct error *err)
{
	char bytes[2 + INPUT_DIGEST_BYTES + 9 * VARINT_MAX_BYTES];
	struct intake_counts sum = intake->had;
	add_counts(&sum, &mark->counts);
	char *p = bytes;
	*p++ = POSITION_VERSION;
	*p++ = complete;
	memcpy(p, mark->digest, sizeof(mark->digest));
	p += sizeof(mark->digest);
	const uint64_t numbers[] = {mark->offset, mark->line, file_bytes,     sum.lines,
				    sum.rows,     sum.events, sum.duplicates, sum.quarantined};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		p = put_varint(p, numbers[i]);
	p = put_signed(p, intake->now_us);
	return journal_position_set(intake->journal, (struct slice){intake->key.data, intake->key.len},
				    (struct slice){bytes, (size_t)(p - bytes)}, err);
}

/* Putting files away. */

bool intake_ignores(const struct config_source *source, const char *name, size_t *base_len)
{
	*base_len = 0;
	const size_t len = strlen(name);
	if (name[0] == '.' || (len > 4 && strcmp(name + len - 4, ".tmp") == 0))
		return true;
	const char *const suffix = source->suffix ? source->suffix : ""; /* none: files are moved */
	const size_t suffix_len = strlen(suffix);
	for (const char *at = suffix_len ? strstr(name, suffix) : NULL; at; at = strstr(at + 1, suffix)) {
		const char *const rest = at + suffix_len;
		if (at == name)
			continue;
		if (*rest == '\0') {
			*base_len = (size_t)(at - name);
			return true;
		}
		if (*rest == '.' && rest[1] && strspn(rest + 1, "0123456789") == strlen(rest + 1))
			return true;
	}
	return false;
}

/* rename to `target`, or to `target.2`, `target.3` … when there is such a file: none is ever written over. */
static int rename_fresh(const char *from, const char *target, struct error *err)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, target, RENAME_NOREPLACE) == 0)
		return 0;
	int errnum = errno;
	for (unsigned i = 2; errnum == EEXIST && i < PUT_AWAY_TRIES; i++) {
		_cleanup_free_ char *numbered = text_printf("%s.%u", target, i);
		if (!numbered)
			return error_no_memory(err, strlen(target));
		if (renameat2(AT_FDCWD, from, AT_FDCWD, numbered, RENAME_NOREPLACE) == 0)
			return 0;
		errnum = errno;
	}
	return error_errno(err, errnum,
			   "the lines of %s are in, but it cannot be renamed to %s; rename or remove it, running again "
			   "takes nothing twice",
			   from, target);
}

static int put_away(struct intake *intake, const struct finished *file, struct error *err)
{
	const struct config_source *const source = intake->source;
	struct stat st;
	if (file->keep_name || (stat(file->path, &st) == 0 && (uint64_t)st.st_size > file->file_bytes))
		return 0;
	if (source->when_done == WHEN_DONE_DELETE && !file->has_quarantined) {
		if (unlink(file->path) < 0 && errno != ENOENT)
			return error_errno(err, errno, "the lines of %s are in, but it cannot be removed", file->path);
		return 0;
	}
	_cleanup_free_ char *target = NULL;
	if (source->when_done == WHEN_DONE_MOVE) {
		_cleanup_free_ char *dir = deployment_path(intake->deployment, source->move_to);
		if (!dir)
			return error_no_memory(err, LIMIT_PATH_BYTES);
		const int rc = file_make_dirs(dir, err);
		if (rc < 0)
			return rc;
		target = text_printf("%s/%s", dir, file->name);
	} else {
		target = text_printf("%s%s", file->path, source->suffix);
	}
	return target ? rename_fresh(file->path, target, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

static void report(struct intake *intake, const char *name, enum intake_outcome outcome,
		   const struct intake_counts *counts, const char *message)
{
	const struct intake_file file = {
		.source = intake->source->name, .name = name, .outcome = outcome, .counts = counts, .message = message};
	if (outcome == INTAKE_FAILED)
		intake->failed++;
	intake->hooks.file(intake->hooks.context, &file);
}

/* Blocks. */

static int begin_block(struct intake *intake, struct error *err)
{
	if (intake->begun)
		return 0;
	const int rc = journal_begin(intake->journal, err);
	if (rc < 0)
		return rc;
	intake->begun = true;
	intake->label_written = false;
	if (block_writer_begin(&intake->block, slice_of(intake->source->name), intake->now_us) < 0)
		return error_no_memory(err, BLOCK_BYTES);
	return 0;
}

/* Makes what is in the block durable, and puts the files away that ended in it. */
static int commit_block(struct intake *intake, struct error *err)
{
	if (!intake->begun)
		return 0;
	int rc = 0;
	if (intake->block.n_events || intake->block.n_quarantined) {
		uint64_t seq;
		rc = journal_append(intake->journal, block_writer_finish(&intake->block), &seq, err);
	}
	if (rc < 0) {
		journal_abort(intake->journal);
		intake->begun = false;
		return rc;
	}
	rc = journal_commit(intake->journal, err);
	intake->begun = false;
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < intake->n_finished; i++) {
		const struct finished *const file = &intake->finished[i];
		struct error away = {0};
		if (put_away(intake, file, &away) < 0)
			report(intake, file->name, INTAKE_FAILED, &file->counts, away.message);
		else
			report(intake, file->name, file->outcome, &file->counts, NULL);
	}
	drop_finished(intake);
	intake->hooks.committed(intake->hooks.context, intake->lines);
	return 0;
}

static bool block_full(const struct intake *intake)
{
	return block_writer_size(&intake->block) >= BLOCK_BYTES || intake->n_finished >= BLOCK_FILES;
}

static bool asked_to_stop(const struct intake *intake)
{
	return intake->hooks.stop(intake->hooks.context);
}

static int interrupted(struct error *err)
{
	return error_set(err, ERROR_INTERRUPTED, "interrupted; running again goes on where it stopped");
}

/* Between two orders: commits a full block with the position behind the last order. */
static int commit_if_full(struct intake *intake, struct error *err)
{
	if (!block_full(intake))
		return 0;
	struct mark here;
	mark_here(intake, &here);
	int rc = write_position(intake, &here, false, 0, err);
	if (rc == 0)
		rc = commit_block(intake, err);
	if (rc == 0 && asked_to_stop(intake))
		rc = interrupted(err);
	return rc == 0 ? begin_block(intake, err) : rc;
}

static int write_label(struct intake *intake, struct error *err)
{
	if (intake->label_written)
		return 0;
	if (block_writer_file(&intake->block, (struct slice){intake->label.data, intake->label.len}) < 0)
		return error_no_memory(err, BLOCK_BYTES);
	intake->label_written = true;
	return 0;
}

static int quarantine(struct intake *intake, struct slice raw, uint64_t line, enum quarantine_reason reason,
		      struct error *err)
{
	int rc = write_label(intake, err);
	if (rc < 0)
		return rc;
	buf_clear(&intake->scratch);
	if (utf8_escape(&intake->scratch, raw.data, raw.len, LIMIT_QUARANTINE_TEXT_BYTES) < 0 ||
	    block_writer_quarantined(&intake->block, line, reason,
				     (struct slice){intake->scratch.data, intake->scratch.len}, intake->now_us) < 0)
		return error_no_memory(err, raw.len);
	intake->counts.quarantined++;
	intake->counts.by_reason[reason]++;
	return 0;
}

static int take_event(struct intake *intake, const struct event *event, bool implicit_id, uint64_t line,
		      struct error *err)
{
	const int rc = write_label(intake, err);
	if (rc < 0)
		return rc;
	if (block_writer_event(&intake->block, event, implicit_id, line) < 0)
		return error_no_memory(err, BLOCK_BYTES);
	intake->counts.events++;
	intake->counts.rows += event->n_lines;
	return 0;
}

/* Orders that bring an id. */

static int hash_payload(struct intake *intake, const struct event *event, uint64_t *hash, struct error *err)
{
	struct buf *const b = &intake->scratch;
	size_t room = 5 * (size_t)VARINT_MAX_BYTES + event->customer.text.len + event->store.len;
	for (uint32_t i = 0; i < event->n_lines; i++)
		room += 5 * (size_t)VARINT_MAX_BYTES + event->lines[i].menu.len + event->lines[i].sku.len;
	buf_clear(b);
	if (buf_reserve(b, room) < 0)
		return error_no_memory(err, room);
	char *p = b->data;
	p = put_varint(p, event->customer.guest);
	p = put_signed(p, event->customer.number);
	p = put_slice(p, event->customer.text);
	p = put_signed(p, event->time_us);
	p = put_slice(p, event->store);
	for (uint32_t i = 0; i < event->n_lines; i++) {
		const struct order_line *const l = &event->lines[i];
		p = put_slice(p, l->menu);
		p = put_slice(p, l->sku);
		p = put_signed(p, l->qty_milli);
		p = put_signed(p, l->price_minor);
		p = put_signed(p, l->amount_minor);
	}
	*hash = XXH3_64bits(b->data, (size_t)(p - b->data));
	return 0;
}

static int look_up_id(struct intake *intake, const struct event *event, enum journal_id_state *state, struct error *err)
{
	uint64_t payload = 0;
	const int rc = hash_payload(intake, event, &payload, err);
	if (rc < 0)
		return rc;
	struct buf *const b = &intake->scratch;
	buf_clear(b);
	if (buf_append(b, intake->source->name, strlen(intake->source->name) + 1) < 0 ||
	    buf_append(b, event->id.data, event->id.len) < 0)
		return error_no_memory(err, b->len + event->id.len);
	XXH128_canonical_t hash;
	XXH128_canonicalFromHash(&hash, XXH3_128bits(b->data, b->len));
	return journal_id_add(intake->journal, hash.digest, payload, state, err);
}

static int quarantine_pending(struct intake *intake, enum quarantine_reason reason, struct error *err)
{
	const struct pending *const pending = &intake->pending;
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < pending->n_lines; i++)
		rc = quarantine(intake, pending_raw(pending, i), pending->lines[i].line, reason, err);
	return rc;
}

/* Ends the order that is pending. */
static int flush_pending(struct intake *intake, struct error *err)
{
	struct pending *const pending = &intake->pending;
	if (pending->n_lines == 0)
		return 0;
	struct event event;
	pending_event(pending, &event);
	enum journal_id_state state = JOURNAL_ID_NEW;
	int64_t total;
	int rc = 0;
	if (event_eligible(&event, &total, NULL) < 0 || total > LIMIT_AMOUNT_MINOR)
		rc = quarantine_pending(intake, REASON_AMOUNT, err);
	else if ((rc = look_up_id(intake, &event, &state, err)) == 0 && state == JOURNAL_ID_NEW)
		rc = take_event(intake, &event, false, pending->lines[0].line, err);
	else if (rc == 0 && state == JOURNAL_ID_SAME)
		intake->counts.duplicates += pending->n_lines;
	else if (rc == 0)
		rc = quarantine_pending(intake, REASON_ID_CONFLICT, err);
	pending_clear(pending);
	return rc;
}

/* Goes back to where the pending order begins: it is read again, with the bad lines in it, when its end can be read. */
static void give_up_pending(struct intake *intake)
{
	if (intake->pending.n_lines == 0)
		return;
	block_writer_rewind(&intake->block, &intake->order_start.block);
	intake->label_written = intake->order_start.label_written;
	intake->counts = intake->order_start.mark.counts;
	pending_clear(&intake->pending);
}

static int take_row_with_id(struct intake *intake, const struct order_row *row, uint64_t line, struct error *err)
{
	if (!pending_is(&intake->pending, row->id)) {
		struct order_start *const start = &intake->order_start;
		mark_here(intake, &start->mark);
		start->mark.counts.lines--; /* this row is counted already */
		start->block = block_writer_mark(&intake->block);
		start->label_written = intake->label_written;
		start->bad_lines = 0;
		if (pending_start(&intake->pending, row, intake->csv.raw, line) < 0)
			return error_no_memory(err, intake->csv.raw.len);
		return 0;
	}
	switch (pending_add(&intake->pending, row, intake->csv.raw, line)) {
	case PENDING_ADDED:
		return 0;
	case PENDING_DUPLICATE:
		intake->counts.duplicates++;
		return 0;
	case PENDING_REFUSED:
		return quarantine(intake, intake->csv.raw, line, REASON_ORDER_LINES, err);
	default:
		return error_no_memory(err, intake->csv.raw.len);
	}
}

/* Records. */

static int reason_of_record(const struct intake *intake, enum csv_result result)
{
	if (intake->all_reason)
		return (int)intake->all_reason;
	switch (result) {
	case CSV_BAD_QUOTE:
		return REASON_BAD_QUOTE;
	case CSV_TOO_LONG:
		return REASON_TOO_LONG;
	case CSV_TOO_WIDE:
		return REASON_COLUMN_COUNT;
	default:
		break;
	}
	const struct slice raw = intake->csv.raw;
	if (memchr(raw.data, '\0', raw.len))
		return REASON_NUL_BYTE;
	return utf8_valid(raw.data, raw.len) ? 0 : REASON_ENCODING;
}

static int take_record(struct intake *intake, enum csv_result result, struct error *err)
{
	const struct csv *const csv = &intake->csv;
	const uint64_t line = intake->line + 1;
	if (csv->raw.len == 0 && result == CSV_RECORD)
		return 0;
	struct order_row row;
	int reason = reason_of_record(intake, result);
	if (reason == 0)
		reason = order_format_row(intake->format, csv->fields, csv->n_fields, intake->latest_us, &row);
	if (reason < 0)
		return error_no_memory(err, csv->raw.len);
	int rc = 0;
	/* The record is not consumed yet: here the position stands between two orders. */
	if (reason == 0 ? row.id.len && !pending_is(&intake->pending, row.id)
			: intake->pending.n_lines && intake->order_start.bad_lines++ == BAD_LINES_IN_ORDER)
		rc = flush_pending(intake, err);
	if (rc == 0 && intake->pending.n_lines == 0)
		rc = commit_if_full(intake, err);
	if (rc < 0)
		return rc;
	intake->counts.lines++;
	intake->lines++;
	if (reason)
		return quarantine(intake, csv->raw, line, (enum quarantine_reason)reason, err);
	if (row.id.len)
		return take_row_with_id(intake, &row, line, err);
	const struct event event = {.kind = EVENT_ORDER,
				    .customer = row.customer,
				    .time_us = row.time_us,
				    .store = row.store,
				    .lines = &row.line,
				    .n_lines = 1};
	return take_event(intake, &event, true, line, err);
}

/* Whether a last line without its end may be taken: nobody has written to the file for a while. Waits a little if not. */
static bool has_settled(struct intake *intake)
{
	struct stat st;
	if (stat(intake->path, &st) < 0)
		return true;
	const int64_t changed_us = (int64_t)st.st_mtim.tv_sec * MICROS + st.st_mtim.tv_nsec / 1000;
	const int64_t age_us = now_us() - changed_us;
	if (age_us < 0 || age_us >= (int64_t)intake->source->settle_ms * 1000)
		return true;
	const struct timespec pause = {.tv_nsec = SETTLE_POLL_NS};
	nanosleep(&pause, NULL);
	return false;
}

/* Whether it was waited for long enough: the writer's pauses never reach settle_ms. */
static bool waited_long(struct intake *intake)
{
	const int64_t now = now_us();
	if (intake->waiting_since_us == 0 || now < intake->waiting_since_us)
		intake->waiting_since_us = now;
	return now - intake->waiting_since_us >= (int64_t)intake->source->settle_ms * 1000 * SETTLE_WAITS;
}

enum step { STEP_RECORD, STEP_AGAIN, STEP_END, STEP_GROWS, STEP_FAULT };

/* Finds the next record that can be taken. STEP_FAULT: the file cannot be read on (the message is in err, the result 0). */
static int next_record(struct intake *intake, enum csv_result *result, size_t *used, uint64_t *file_bytes,
		       enum step *step, struct error *err)
{
	struct input *const in = intake->in;
	const size_t len = input_len(in);
	*result = csv_next(&intake->csv, input_data(in), len, input_at_eof(in), used);
	*step = STEP_RECORD;
	if (*result == CSV_NO_MEMORY)
		return error_no_memory(err, LIMIT_LINE_BYTES);
	const bool unterminated =
		input_at_eof(in) && len && *used == len && input_data(in)[len - 1] != '\n' && *result != CSV_MORE;
	if (*result != CSV_MORE && *result != CSV_END && !unterminated)
		return 0;
	/* The size is looked at before the last read: a file that grows later is then seen to be longer than this. */
	struct stat st;
	*file_bytes = stat(intake->path, &st) == 0 ? (uint64_t)st.st_size : 0;
	if (*result == CSV_MORE) {
		if (*used && !intake->in_long) {
			mark_here(intake, &intake->long_start);
			intake->in_long = true;
		}
		input_consume(in, *used);
	}
	if (unterminated && !has_settled(intake)) {
		*step = waited_long(intake) ? STEP_GROWS : STEP_AGAIN;
		if (asked_to_stop(intake))
			return interrupted(err);
	}
	const size_t before = input_len(in);
	if (input_fill(in, err) < 0) {
		*step = STEP_FAULT;
		return 0;
	}
	if (*step == STEP_GROWS)
		return 0;
	if (*result == CSV_MORE || input_len(in) > before)
		*step = STEP_AGAIN;
	else if (*result == CSV_END)
		*step = STEP_END;
	else /* the window may have moved: find the last line's fields again */
		*result = csv_next(&intake->csv, input_data(in), input_len(in), true, used);
	return *result == CSV_NO_MEMORY ? error_no_memory(err, LIMIT_LINE_BYTES) : 0;
}

static int take_header(struct intake *intake, struct error *err)
{
	for (;;) {
		struct input *const in = intake->in;
		size_t used;
		const enum csv_result result =
			csv_next(&intake->csv, input_data(in), input_len(in), input_at_eof(in), &used);
		if (result == CSV_END)
			return 0;
		if (result == CSV_MORE) {
			input_consume(in, used);
			const int rc = input_fill(in, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (result != CSV_RECORD)
			return error_set(err, ERROR_INPUT, "%s: line 1 is no header of a CSV file", intake->path);
		const bool blank = intake->csv.raw.len == 0;
		if (!blank) {
			const int rc = order_format_header(intake->format, intake->csv.fields, intake->csv.n_fields,
							   intake->path, err);
			if (rc < 0)
				return rc;
		}
		intake->line += intake->csv.n_lines;
		input_consume(in, used);
		if (!blank)
			return 0;
	}
}

/* Reads on from the input's position to the end of the file and says where to go on. ENDING_FAULT: the message is in err. */
static int take_records(struct intake *intake, struct mark *mark, uint64_t *file_bytes, enum ending *ending,
			struct error *err)
{
	for (;;) {
		enum csv_result result;
		enum step step;
		size_t used;
		int rc = next_record(intake, &result, &used, file_bytes, &step, err);
		if (rc == 0 && step == STEP_RECORD)
			rc = take_record(intake, result, err);
		if (rc == 0 && step == STEP_END)
			rc = flush_pending(intake, err);
		if (rc < 0)
			return rc;
		if (step == STEP_RECORD) {
			intake->line += intake->csv.n_lines;
			input_consume(intake->in, used);
			intake->in_long = false;
			intake->waiting_since_us = 0;
		} else if (step != STEP_AGAIN) {
			*ending = step == STEP_END ? ENDING_WHOLE : step == STEP_GROWS ? ENDING_GROWS : ENDING_FAULT;
			break;
		}
	}
	if (intake->pending.n_lines)
		*mark = intake->order_start.mark;
	else
		mark_here(intake, mark);
	give_up_pending(intake);
	return 0;
}

/* Files. */

static int make_key(struct intake *intake, const char *name, size_t name_len, struct error *err)
{
	buf_clear(&intake->key);
	buf_clear(&intake->label);
	buf_clear(&intake->scratch);
	if (buf_append(&intake->key, intake->source->name, strlen(intake->source->name) + 1) < 0 ||
	    buf_append(&intake->key, name, name_len) < 0 ||
	    utf8_escape(&intake->scratch, name, name_len, NAME_MAX * 4) < 0 ||
	    block_label((struct slice){intake->scratch.data, intake->scratch.len}, &intake->label) < 0)
		return error_no_memory(err, name_len);
	return 0;
}

static int read_position(struct intake *intake, bool *found, struct intake_position *position,
			 unsigned char digest[INPUT_DIGEST_BYTES], struct error *err)
{
	struct slice stored;
	struct error missing = {0};
	const int rc =
		journal_position(intake->journal, (struct slice){intake->key.data, intake->key.len}, &stored, &missing);
	*found = rc == 0;
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return error_set(err, rc, "%s", missing.message);
	if (intake_position_decode(stored, position, digest) < 0)
		return error_set(err, ERROR_CORRUPT, "the journal's position of %s is damaged", intake->path);
	return 0;
}

/* Whether the text up to the position is the one that was taken; moves there. */
static int same_beginning(struct intake *intake, const struct intake_position *position,
			  const unsigned char digest[INPUT_DIGEST_BYTES], bool *same, struct error *err)
{
	const uint64_t done = input_offset(intake->in);
	*same = false;
	if (position->bytes < done)
		return 0;
	struct error fault = {0};
	const int rc = input_skip(intake->in, position->bytes - done, &fault);
	if (rc == ERROR_INPUT && input_at_eof(intake->in))
		return 0; /* it is shorter */
	if (rc < 0)
		return error_set(err, rc, "%s", fault.message);
	unsigned char now[INPUT_DIGEST_BYTES];
	input_digest(intake->in, now);
	*same = memcmp(now, digest, sizeof(now)) == 0;
	return 0;
}

static int open_input(struct intake *intake, struct error *err)
{
	input_close(intake->in);
	intake->in = NULL;
	intake->line = 0;
	intake->in_long = false;
	intake->waiting_since_us = 0;
	csv_release(&intake->csv);
	csv_init(&intake->csv, order_format_delimiter(intake->format), order_format_is_csv(intake->format));
	return input_open(intake->path, &intake->in, err);
}

/* The name is taken by other content: from now on the file goes by its content, too. */
static int go_by_content(struct intake *intake, struct error *err)
{
	int rc = open_input(intake, err);
	while (rc == 0 && !(input_at_eof(intake->in) && input_len(intake->in) == 0)) {
		input_consume(intake->in, input_len(intake->in));
		if (!input_at_eof(intake->in))
			rc = input_fill(intake->in, err);
	}
	if (rc < 0)
		return rc;
	unsigned char digest[INPUT_DIGEST_BYTES];
	input_digest(intake->in, digest);
	if (buf_append(&intake->key, "", 1) < 0 || buf_append(&intake->key, digest, sizeof(digest)) < 0)
		return error_no_memory(err, sizeof(digest));
	intake->all_reason = REASON_FILE_NAME_REUSED;
	return open_input(intake, err);
}

static int remember_finished(struct intake *intake, enum intake_outcome outcome, bool keep_name, uint64_t file_bytes,
			     struct error *err)
{
	struct finished *const file = &intake->finished[intake->n_finished];
	file->path = strdup(intake->path);
	file->name = strdup(intake->name);
	if (!file->path || !file->name) {
		free(file->path);
		free(file->name);
		return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	file->keep_name = keep_name;
	file->file_bytes = file_bytes;
	file->outcome = outcome;
	file->counts = intake->counts;
	file->has_quarantined = intake->had.quarantined || intake->counts.quarantined;
	intake->n_finished++;
	return 0;
}

/* Nothing was taken of what had the name before: the file is read from its beginning as if it were the first. */
static int start_over(struct intake *intake, struct error *err)
{
	const int rc = open_input(intake, err);
	return rc == 0 && order_format_is_csv(intake->format) ? take_header(intake, err) : rc;
}

/* Opens the file and moves to where it was left: *complete when there was nothing more in it, or when it was put away and is
 * none that the position is of: then it was dealt with. */
static int resume(struct intake *intake, bool was_put_away, bool *complete, struct error *err)
{
	int rc = open_input(intake, err);
	for (;;) {
		struct intake_position position;
		unsigned char digest[INPUT_DIGEST_BYTES];
		bool found = false;
		*complete = false;
		if (rc == 0 && order_format_is_csv(intake->format))
			rc = take_header(intake, err);
		if (rc == 0)
			rc = read_position(intake, &found, &position, digest, err);
		if (rc < 0 || !found)
			return rc;
		bool same;
		rc = same_beginning(intake, &position, digest, &same, err);
		if (rc < 0)
			return rc;
		if (same) {
			intake->line = position.line;
			intake->had = position.counts;
			/* Whether there is more is known after a read that finds nothing. */
			if (input_len(intake->in) == 0 && (rc = input_fill(intake->in, err)) < 0)
				return rc;
			*complete = position.complete && input_at_eof(intake->in) && input_len(intake->in) == 0;
			return 0;
		}
		if (intake->all_reason)
			return error_set(err, ERROR_INPUT, "%s changed while it was read; run again", intake->path);
		if (position.counts.lines == 0)
			return start_over(intake, err);
		*complete = was_put_away;
		if (was_put_away)
			return 0;
		rc = go_by_content(intake, err);
	}
}

/* Reads the file from where it stands, and notes how far it came. ENDING_FAULT: the message is in fault. */
static int read_on(struct intake *intake, bool keep_name, enum ending *ending, struct error *fault, struct error *err)
{
	uint64_t file_bytes = 0;
	struct mark mark;
	int rc = take_records(intake, &mark, &file_bytes, ending, fault);
	if (rc < 0)
		return error_set(err, rc, "%s", fault->message);
	rc = write_position(intake, &mark, *ending == ENDING_WHOLE, file_bytes, err);
	if (rc < 0 || *ending == ENDING_FAULT)
		return rc;
	if (*ending == ENDING_GROWS)
		return remember_finished(intake, INTAKE_GROWS, true, file_bytes, err);
	return remember_finished(intake, intake->all_reason ? INTAKE_REUSED : INTAKE_TAKEN, keep_name, file_bytes, err);
}

/* Takes one file. A fault of the file itself is reported; the result is negative only when the intake cannot go on. */
static int take_file(struct intake *intake, const char *name, size_t base_len, struct error *err)
{
	const size_t name_len = base_len ? base_len : strlen(name);
	_cleanup_free_ char *path = text_printf("%s/%s", intake->dir, name);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	intake->name = name;
	intake->path = path;
	intake->label_written = false;
	intake->all_reason = 0;
	intake->counts = (struct intake_counts){0};
	intake->had = (struct intake_counts){0};
	int rc = make_key(intake, name, name_len, err);
	if (rc == 0)
		rc = begin_block(intake, err);
	if (rc < 0)
		return rc;
	struct error fault = {0};
	bool complete = false;
	enum ending ending = ENDING_WHOLE;
	if (resume(intake, base_len != 0, &complete, &fault) < 0)
		ending = ENDING_FAULT;
	else if (!complete)
		rc = read_on(intake, base_len != 0, &ending, &fault, err);
	else if (!base_len)
		rc = remember_finished(intake, INTAKE_HAD, false, (uint64_t)input_stat(intake->in)->st_size, err);
	if (rc == 0 && fault.code == ERROR_NO_MEMORY)
		rc = error_set(err, fault.code, "%s", fault.message);
	if (rc == 0 && ending == ENDING_FAULT)
		report(intake, name, INTAKE_FAILED, &intake->counts, fault.message);
	pending_clear(&intake->pending);
	input_close(intake->in);
	intake->in = NULL;
	csv_release(&intake->csv);
	if (rc == 0 && block_full(intake))
		rc = commit_block(intake, err);
	if (rc < 0 && intake->begun) {
		journal_abort(intake->journal);
		intake->begun = false;
	}
	return rc;
}

/* Whether a file that was put away has become longer since (whoever wrote it had not finished), or was being read again for
 * that reason when the process was killed. */
static int has_grown(struct intake *intake, const char *name, size_t base_len, const struct stat *st, bool *grown,
		     struct error *err)
{
	struct intake_position position = {0};
	unsigned char digest[INPUT_DIGEST_BYTES];
	bool found = false;
	intake->path = name;
	int rc = make_key(intake, name, base_len, err);
	if (rc == 0)
		rc = begin_block(intake, err);
	if (rc == 0)
		rc = read_position(intake, &found, &position, digest, err);
	*grown = rc == 0 && found && (!position.complete || (uint64_t)st->st_size > position.file_bytes);
	return rc;
}

static bool is_move_target(const struct intake *intake, const char *path)
{
	if (intake->source->when_done != WHEN_DONE_MOVE)
		return false;
	_cleanup_free_ char *target = deployment_path(intake->deployment, intake->source->move_to);
	return target && strcmp(target, path) == 0;
}

static int take_entry(struct intake *intake, const char *name, struct error *err)
{
	size_t base_len;
	const bool ignored = intake_ignores(intake->source, name, &base_len);
	_cleanup_free_ char *base = strndup(name, base_len ? base_len : strlen(name));
	_cleanup_free_ char *path = text_printf("%s/%s", intake->dir, name);
	if (!path || !base)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if ((ignored && !base_len) || fnmatch(intake->source->pattern, base, FNM_PERIOD) != 0)
		return 0;
	struct stat st;
	if (stat(path, &st) < 0) {
		struct error fault = {0};
		if (errno == ENOENT && lstat(path, &st) < 0)
			return 0; /* taken away since the directory was listed */
		error_errno(&fault, errno, "cannot look at %s; remove it or make it readable", path);
		report(intake, name, INTAKE_FAILED, &(const struct intake_counts){0}, fault.message);
		return 0;
	}
	if (!S_ISREG(st.st_mode)) {
		if (!ignored && !is_move_target(intake, path))
			report(intake, name, INTAKE_SKIPPED, &(const struct intake_counts){0},
			       S_ISDIR(st.st_mode) ? "is a directory; put the files into the spool directory itself"
						   : "is no regular file; write the orders into a file");
		return 0;
	}
	if (ignored) {
		bool grown;
		const int rc = has_grown(intake, name, base_len, &st, &grown, err);
		if (rc < 0 || !grown)
			return rc;
	}
	return take_file(intake, name, base_len, err);
}

int intake_source(struct intake *intake, const struct config_source *source, unsigned *failed, struct error *err)
{
	intake->source = source;
	intake->now_us = now_us();
	intake->latest_us = intake->now_us + (int64_t)intake->deployment->config->future_limit_h * 3600 * MICROS;
	intake->failed = 0;
	_cleanup_free_ char *dir = deployment_path(intake->deployment, source->dir);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	intake->dir = dir;
	int rc = order_format_open(intake->deployment, source->format, &intake->format, err);
	if (rc < 0)
		return rc;
	struct dirent **entries = NULL;
	const int n = scandir(dir, &entries, NULL, alphasort);
	if (n < 0)
		rc = error_set(err, ERROR_CONFIG,
			       "cannot list %s, the directory of source %s: %s; make it, or correct sources in %s", dir,
			       source->name, strerror(errno), intake->deployment->config->path);
	for (int i = 0; i < n; i++) {
		if (rc == 0 && asked_to_stop(intake) && (rc = commit_block(intake, err)) == 0)
			rc = interrupted(err);
		if (rc == 0 && strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
			rc = take_entry(intake, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	if (rc == 0)
		rc = commit_block(intake, err);
	if (intake->begun) {
		journal_abort(intake->journal);
		intake->begun = false;
	}
	drop_finished(intake);
	order_format_close(intake->format);
	intake->format = NULL;
	intake->dir = NULL;
	*failed += intake->failed;
	return rc;
}
