#include "speed/intake_internal.h"

#include "base/utf8.h"
#include "speed/admit.h"

#include <assert.h>

/* So many bad lines among the lines of an order end it: a block holds them until the order is whole. */
#define BAD_LINES_IN_ORDER 1000u
/* So many lines of an order of which none is taken, too. */
#define LINES_OF_SPOILED LIMIT_ORDER_LINES

static_assert(REASON_MAX < sizeof(((struct intake_counts *)0)->by_reason) / sizeof(uint64_t),
	      "a count for each reason");

/* Between two orders: commits a full block with the position behind the last order. */
static int commit_if_full(struct intake *intake, struct error *err)
{
	if (!intake_block_full(intake))
		return 0;
	struct mark here;
	intake_mark_here(intake, &here);
	int rc = intake_write_position(intake, &here, false, 0, err);
	if (rc == 0)
		rc = intake_commit_block(intake, err);
	if (rc == 0 && intake_asked_to_stop(intake))
		rc = intake_interrupted(err);
	return rc == 0 ? intake_begin_block(intake, err) : rc;
}

static int between_orders(struct intake *intake, struct error *err)
{
	return intake->between ? intake->between(intake) : commit_if_full(intake, err);
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

int intake_quarantine_record(struct intake *intake, enum quarantine_reason reason, struct error *err)
{
	intake->counts.lines++;
	intake->lines++;
	return quarantine(intake, intake->csv.raw, intake->line + 1, reason, err);
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
	intake->counts.rows += block_event_rows(event);
	return 0;
}

/* Events that bring an id. */

/* Takes an event of so many lines of the file. *reason: why they must be set aside instead, or 0. */
static int take_with_id(struct intake *intake, const struct event *event, uint64_t line, uint32_t file_lines,
			int *reason, struct error *err)
{
	*reason = 0;
	if (!admit_is_within_limit(event)) {
		*reason = REASON_AMOUNT;
		return 0;
	}
	enum journal_id_state state = JOURNAL_ID_NEW;
	const int rc =
		admit_event(intake->journal, slice_of(intake->source->name), event, &intake->scratch, &state, err);
	if (rc < 0)
		return rc;
	if (state == JOURNAL_ID_NEW)
		return take_event(intake, event, false, line, err);
	if (state == JOURNAL_ID_SAME)
		intake->counts.duplicates += file_lines;
	else
		*reason = REASON_ID_CONFLICT;
	return 0;
}

static int quarantine_pending(struct intake *intake, enum quarantine_reason reason, struct error *err)
{
	const struct pending *const pending = &intake->pending;
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < pending->n_lines; i++)
		rc = quarantine(intake, pending_raw(pending, i), pending->lines[i].line, reason, err);
	return rc;
}

int intake_flush_pending(struct intake *intake, struct error *err)
{
	struct pending *const pending = &intake->pending;
	if (pending->n_lines == 0) {
		pending_clear(pending); /* a spoiled one: its lines are set aside already */
		return 0;
	}
	struct event event;
	pending_event(pending, &event);
	int reason;
	int rc = take_with_id(intake, &event, pending->lines[0].line, pending->n_lines, &reason, err);
	if (rc == 0 && reason)
		rc = quarantine_pending(intake, (enum quarantine_reason)reason, err);
	pending_clear(pending);
	return rc;
}

void intake_give_up_pending(struct intake *intake)
{
	if (!pending_any(&intake->pending))
		return;
	block_writer_rewind(&intake->block, &intake->order_start.block);
	intake->label_written = intake->order_start.label_written;
	intake->lines -= intake->counts.lines - intake->order_start.mark.counts.lines;
	intake->counts = intake->order_start.mark.counts;
	pending_clear(&intake->pending);
}

/* An order begins with the row that was just counted. */
static void start_order(struct intake *intake)
{
	struct order_start *const start = &intake->order_start;
	intake_mark_here(intake, &start->mark);
	start->mark.counts.lines--;
	start->block = block_writer_mark(&intake->block);
	start->label_written = intake->label_written;
	start->bad_lines = 0;
}

/* A bad line that says whose it is: the order would be booked short without it, and could not be sent again. So all its lines are set
 * aside, those before and those behind, too. */
static int spoil_order(struct intake *intake, struct slice id, struct error *err)
{
	if (!pending_any(&intake->pending))
		start_order(intake);
	const int rc = quarantine_pending(intake, REASON_ORDER_LINES, err);
	if (rc < 0)
		return rc;
	return pending_spoil(&intake->pending, id) < 0 ? error_no_memory(err, id.len) : 0;
}

static int take_row_with_id(struct intake *intake, const struct order_row *row, uint64_t line, struct error *err)
{
	if (!pending_is(&intake->pending, row->id)) {
		start_order(intake);
		if (pending_start(&intake->pending, row, intake->csv.raw, line) < 0)
			return error_no_memory(err, intake->csv.raw.len);
		return 0;
	}
	if (intake->pending.spoiled)
		return quarantine(intake, intake->csv.raw, line, REASON_ORDER_LINES, err);
	switch (pending_add(&intake->pending, row, intake->csv.raw, line)) {
	case PENDING_ADDED:
		return 0;
	case PENDING_DUPLICATE:
		intake->counts.duplicates++;
		return 0;
	case PENDING_REFUSED: {
		const int rc = spoil_order(intake, row->id, err);
		return rc < 0 ? rc : quarantine(intake, intake->csv.raw, line, REASON_ORDER_LINES, err);
	}
	default:
		return error_no_memory(err, intake->csv.raw.len);
	}
}

/* Records. */

/* 0, or why it is set aside as it is. */
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
		if (!order_format_has_events(intake->format))
			return REASON_COLUMN_COUNT;
		break; /* many NULs */
	default:
		break;
	}
	const struct slice raw = intake->csv.raw;
	if (memchr(raw.data, '\0', raw.len))
		return REASON_NUL_BYTE;
	return utf8_valid(raw.data, raw.len) ? 0 : REASON_ENCODING;
}

/* A line that is a whole event: nothing is ever pending. */
static int take_event_line(struct intake *intake, int reason, struct error *err)
{
	const struct slice raw = intake->csv.raw;
	const uint64_t line = intake->line + 1;
	struct event event;
	if (reason == 0)
		reason = order_format_event(intake->format, raw, intake->latest_us, &event);
	if (reason < 0)
		return error_no_memory(err, raw.len);
	int rc = between_orders(intake, err);
	if (rc != 0)
		return rc;
	intake->counts.lines++;
	intake->lines++;
	if (reason == 0)
		rc = take_with_id(intake, &event, line, 1, &reason, err);
	return rc == 0 && reason ? quarantine(intake, raw, line, (enum quarantine_reason)reason, err) : rc;
}

/* One more line of the pending order that is not taken: whether there were so many that it must end. */
static bool is_too_long(struct intake *intake, int reason)
{
	const struct pending *const pending = &intake->pending;
	if (!pending_any(pending) || (!reason && !pending->spoiled))
		return false;
	return intake->order_start.bad_lines++ == (pending->spoiled ? LINES_OF_SPOILED : BAD_LINES_IN_ORDER);
}

static int take_order_line(struct intake *intake, int reason, struct error *err)
{
	const struct csv *const csv = &intake->csv;
	const uint64_t line = intake->line + 1;
	struct order_row row;
	row.id = (struct slice){0};
	/* Of a record whose bytes are at fault, too: its id says which order lacks it. */
	const bool has_fields =
		reason == 0 || (!intake->all_reason && (reason == REASON_ENCODING || reason == REASON_NUL_BYTE));
	const int fault =
		has_fields ? order_format_row(intake->format, csv->fields, csv->n_fields, intake->latest_us, &row) : 0;
	if (fault < 0)
		return error_no_memory(err, csv->raw.len);
	reason = reason ? reason : fault;
	int rc = 0;
	/* The record is not consumed yet: here the position stands between two orders. */
	if ((row.id.len && !pending_is(&intake->pending, row.id)) || is_too_long(intake, reason))
		rc = intake_flush_pending(intake, err);
	if (rc == 0 && !pending_any(&intake->pending))
		rc = between_orders(intake, err);
	if (rc != 0)
		return rc;
	intake->counts.lines++;
	intake->lines++;
	if (reason) {
		rc = row.id.len ? spoil_order(intake, row.id, err) : 0;
		return rc < 0 ? rc : quarantine(intake, csv->raw, line, (enum quarantine_reason)reason, err);
	}
	if (row.id.len)
		return take_row_with_id(intake, &row, line, err);
	struct event event;
	event_init(&event, EVENT_ORDER);
	event.customer = row.customer;
	event.time_us = row.time_us;
	event.store = row.store;
	event.lines = &row.line;
	event.n_lines = 1;
	return take_event(intake, &event, true, line, err);
}

/* Nothing, or in files of JSON what JSON calls white space. */
static bool is_blank(const struct intake *intake)
{
	const struct slice raw = intake->csv.raw;
	size_t at = 0;
	while (order_format_has_events(intake->format) && at < raw.len && memchr(" \t\r", raw.data[at], 3))
		at++;
	return at == raw.len;
}

int intake_take_record(struct intake *intake, enum csv_result result, struct error *err)
{
	if (result == CSV_RECORD && is_blank(intake))
		return 0;
	const int reason = reason_of_record(intake, result);
	return order_format_has_events(intake->format) ? take_event_line(intake, reason, err)
						       : take_order_line(intake, reason, err);
}

/* Lines as they are. */

/* One that is too long was not all in memory: it is set aside, whatever it means. */
static int take_line_only(struct intake *intake, enum csv_result result, struct error *err)
{
	const int rc = between_orders(intake, err);
	if (rc != 0)
		return rc;
	intake->counts.lines++;
	intake->lines++;
	return result == CSV_TOO_LONG ? quarantine(intake, intake->csv.raw, intake->line + 1, REASON_TOO_LONG, err) : 0;
}

static int take_kept(struct intake *intake, enum csv_result result, struct slice text, struct error *err)
{
	const bool is_event = !intake->source->lines_only && !(result == CSV_RECORD && is_blank(intake));
	int rc = is_event ? intake_take_record(intake, result, err) : take_line_only(intake, result, err);
	if (rc != 0 || result == CSV_TOO_LONG)
		return rc;
	rc = write_label(intake, err);
	if (rc < 0)
		return rc;
	text.len -= text.len && text.data[text.len - 1] == '\n';
	return block_writer_line(&intake->block, intake->line + 1, text) < 0 ? error_no_memory(err, text.len) : 0;
}

int intake_take_text(struct intake *intake, enum csv_result result, struct slice text, struct error *err)
{
	return intake->source->keeps_lines ? take_kept(intake, result, text, err)
					   : intake_take_record(intake, result, err);
}
