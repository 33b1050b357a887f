/*
 * A block: events (and lines that were set aside) in the order of arrival, as the journal keeps them.
 *
 *     struct block_writer w = {0};
 *     block_writer_begin(&w, SLICE("till"), now_us);
 *     block_writer_file(&w, SLICE("orders-1.txt"));
 *     block_writer_event(&w, &event, true, 17);
 *     struct slice block = block_writer_finish(&w);       // valid until the next begin or release
 *
 *     struct block_reader r;
 *     rc = block_reader_open(&r, block, err);
 *     while ((rc = block_reader_next(&r, &record, err)) == 1) …
 *
 * A block is of one source. It carries a checksum: block_reader_open fails on a damaged one. The bytes of a record live as
 * long as the block; its lines until the next call of block_reader_next. Not tied to a thread.
 */
#ifndef PUNCHCARD_STORE_BLOCK_H
#define PUNCHCARD_STORE_BLOCK_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "loyalty/event.h"

#include <stdint.h>

/* Room that a caller needs for a block_implicit_id. */
#define BLOCK_ID_MAX (LIMIT_EVENT_ID_BYTES + 1)

/* Of a line that is kept: a whole one, and the carriage return before its end. */
#define BLOCK_LINE_MAX (LIMIT_LINE_BYTES + 1)

enum block_record_kind {
	BLOCK_EVENT = 1,
	BLOCK_QUARANTINED = 2,
	BLOCK_LINE = 3, /* a line as it came, for sinks (speed/sink.h); besides the event that it may mean */
};

/* Why a line was set aside. Stored by name in the table, by number in the block: never renumber. */
enum quarantine_reason {
	REASON_COLUMN_COUNT = 1,
	REASON_ENCODING = 2,
	REASON_NUL_BYTE = 3,
	REASON_TOO_LONG = 4,
	REASON_BAD_QUOTE = 5,
	REASON_CUSTOMER_ID = 6,
	REASON_EVENT_ID = 7,
	REASON_TIME = 8,
	REASON_TIME_RANGE = 9,
	REASON_QUANTITY = 10,
	REASON_PRICE = 11,
	REASON_AMOUNT = 12,
	REASON_NAME = 13,
	REASON_ID_CONFLICT = 14,
	REASON_FILE_NAME_REUSED = 15,
	REASON_ORDER_LINES = 16,
	REASON_JSON = 17,
	REASON_KIND = 18,
	REASON_FIELD = 19,
	REASON_POINTS = 20,
	REASON_ORDER_ID = 21,
	REASON_EMPTY = 22,
	REASON_MAX = 22,
};

/* "column_count" and so on; NULL for a number that is none. */
const char *quarantine_reason_name(unsigned reason);

/* How many rows of transactions_cln an event has: one a line, and one where it has no lines (0 for an order without any). */
static inline uint32_t block_event_rows(const struct event *event)
{
	return event->n_lines || event->kind == EVENT_ORDER ? event->n_lines : 1;
}

/* All that an event says besides its id, as bytes: two events have the same if and only if they say the same. Hashes of it
 * are stored with the ids that were had, so it never changes. Appends to out: 0, or ERROR_NO_MEMORY with out as it was. */
int block_event_payload(const struct event *event, struct buf *out);

struct block_writer {
	struct buf buf;
	bool begun; /* it has its header's room and its source */
	int64_t begun_us;
	int64_t last_time_us;
	uint64_t last_line;
	uint64_t n_events;
	uint64_t n_lines; /* rows of transactions_cln */
	uint64_t n_quarantined;
	uint64_t n_kept; /* lines as they came; not among the counts of the block */
};

/* All of these: 0, or ERROR_NO_MEMORY, and then the block must be given up. time_us: now, UTC microseconds. */
int block_writer_begin(struct block_writer *w, struct slice source, int64_t time_us);
/* The file (as it is called in implicit ids and in quarantine) of the records that follow. */
int block_writer_file(struct block_writer *w, struct slice label);
/* `implicit_id`, for orders only: the id is "<label>:<line>" and event->id is not stored. line: where the event begins, from 1. */
int block_writer_event(struct block_writer *w, const struct event *event, bool implicit_id, uint64_t line);
/* text: valid UTF-8 without NUL. time_us: when it was read. */
int block_writer_quarantined(struct block_writer *w, uint64_t line, enum quarantine_reason reason, struct slice text,
			     int64_t time_us);
/* text: any bytes, at most BLOCK_LINE_MAX. */
int block_writer_line(struct block_writer *w, uint64_t line, struct slice text);
/* Whether there is any record in it. */
static inline bool block_writer_has_records(const struct block_writer *w)
{
	return w->n_events || w->n_quarantined || w->n_kept;
}
/* How many bytes the block has now. */
static inline size_t block_writer_size(const struct block_writer *w)
{
	return w->buf.len;
}
/* Where a block stands, to go back to: what was written since then is forgotten. Good until block_writer_begin. */
struct block_writer_mark {
	size_t len;
	int64_t last_time_us;
	uint64_t last_line;
	uint64_t n_events;
	uint64_t n_lines;
	uint64_t n_quarantined;
	uint64_t n_kept;
};
struct block_writer_mark block_writer_mark(const struct block_writer *w);
void block_writer_rewind(struct block_writer *w, const struct block_writer_mark *mark);
/* The whole block, valid until the next begin or release. */
struct slice block_writer_finish(struct block_writer *w);
void block_writer_release(struct block_writer *w);

struct block_counts {
	int64_t time_us; /* when it was begun */
	uint64_t n_events;
	uint64_t n_lines; /* rows of transactions_cln */
	uint64_t n_quarantined;
};

struct block_record {
	enum block_record_kind kind;
	struct slice file; /* label; empty before the first */
	uint64_t line;
	struct event event;            /* BLOCK_EVENT; id is set for implicit ids, too */
	bool implicit_id;              /* of the event: it is "<file>:<line>" */
	enum quarantine_reason reason; /* BLOCK_QUARANTINED, also text and time_us */
	struct slice text;             /* of BLOCK_LINE, too: then any bytes */
	int64_t time_us;
};

struct block_reader {
	struct reader at;
	struct slice source;
	struct block_counts counts;
	struct slice file;
	int64_t last_time_us;
	uint64_t last_line;
	struct order_line *lines; /* grows to the largest order */
	uint32_t lines_cap;
	char id[BLOCK_ID_MAX]; /* the last implicit id that was made … */
	size_t id_len;         /* 0: none yet */
	const char *id_label;  /* … of which label … */
	uint64_t id_line;      /* … and line */
};

/* ERROR_CORRUPT: damaged, or of another version. On success block_reader_release frees what it allocated. */
int block_reader_open(struct block_reader *r, struct slice block, struct error *err);
/* 1 and *record; 0 at the end; ERROR_CORRUPT, ERROR_NO_MEMORY. */
int block_reader_next(struct block_reader *r, struct block_record *record, struct error *err);
/* The same, but of an event only its kind and time are read (and `line`); the rest of the record is not set. Faster; whether an
 * event is as it should be tells only block_reader_next. */
int block_reader_skim(struct block_reader *r, struct block_record *record, struct error *err);
void block_reader_release(struct block_reader *r);

/* A place between two records, to come back to: what block_reader_next would read next. Lives as long as the block. */
struct block_place {
	const unsigned char *at;
	int64_t last_time_us;
	uint64_t last_line;
};
struct block_place block_reader_place(const struct block_reader *r);
/* Goes to a place of the block that is open; `file` is what r->file was there. */
void block_reader_go(struct block_reader *r, const struct block_place *place, struct slice file);
/* The counts alone, without the check of the whole block. */
int block_counts(struct slice block, struct block_counts *out, struct error *err);

/* Name of a file as it stands in ids: the name itself while "<name>:<line>" fits LIMIT_EVENT_ID_BYTES, else its first bytes,
 * "~" and a hash. Appends to out. */
int block_label(struct slice file_name, struct buf *out);

#endif
