/*
 * What the tests of the intake share: a shop, an intake that takes its spool directory, and what the hooks have seen.
 */
#ifndef PUNCHCARD_TEST_INTAKE_SHOP_H
#define PUNCHCARD_TEST_INTAKE_SHOP_H

#include "speed/intake.h"

#include "base/limits.h"
#include "shop.h"
#include "store/block.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <zlib.h>

#define RECEIPTS_MAPPING                                                                                        \
	"order_mappings:\n  - {name: receipts, event_id: [receipt], line: line, customer: member, date: time, " \
	"date_format: '%s', menu: item, amount: amount}\n"
#define RECEIPTS_SETTLE   "sources:\n  - {name: till, dir: spool, format: receipts, settle_ms: 300}\n" RECEIPTS_MAPPING
#define RECEIPTS_OPEN_END "sources:\n  - {name: till, dir: spool, format: receipts, settle_ms: 0"

static struct {
	unsigned files;
	struct intake_counts sum;
	enum intake_outcome outcome; /* of the last file */
	char name[300];
	char message[1000];
	unsigned commits;
	/* What the hooks do. */
	unsigned stop_after_commits; /* 0: never */
	unsigned stop_after_asks;    /* 0: never */
	unsigned asks;
	const char *grow; /* at the ask number grow_at this file gets grow_text */
	const char *grow_text;
	unsigned grow_at;
	bool replace; /* it gets another file with grow_text instead */
} seen;

static inline void append(const char *path, const char *text)
{
	FILE *const file = fopen(path, "ae");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static inline void on_file(void *context, const struct intake_file *file)
{
	(void)context;
	const struct intake_counts *const counts = file->counts;
	assert_int_equal(counts->lines, intake_taken(counts) + counts->duplicates + counts->quarantined);
	const bool events = strcmp(shop->config->sources[0].format, "ndjson") == 0;
	assert_int_equal(intake_taken(counts), events ? counts->events : counts->rows);
	uint64_t by_reason = 0;
	for (unsigned i = 0; i < 32; i++)
		by_reason += counts->by_reason[i];
	assert_int_equal(by_reason, counts->quarantined);
	seen.files++;
	seen.sum.lines += counts->lines;
	seen.sum.rows += counts->rows;
	seen.sum.events += counts->events;
	seen.sum.duplicates += counts->duplicates;
	seen.sum.quarantined += counts->quarantined;
	for (unsigned i = 0; i < 32; i++)
		seen.sum.by_reason[i] += counts->by_reason[i];
	seen.outcome = file->outcome;
	if (file->outcome == INTAKE_FAILED || file->outcome == INTAKE_SKIPPED)
		assert_non_null(file->message);
	snprintf(seen.name, sizeof(seen.name), "%s", file->name);
	snprintf(seen.message, sizeof(seen.message), "%s", file->message ? file->message : "");
	assert_string_equal(file->source, "till");
}

static inline void on_committed(void *context, uint64_t lines)
{
	(void)context;
	(void)lines;
	seen.commits++;
}

static inline bool must_stop(void *context)
{
	(void)context;
	seen.asks++;
	if (seen.grow && seen.asks == seen.grow_at) {
		_cleanup_free_ char *path = spool_path(seen.grow);
		if (seen.replace)
			shop_put(seen.grow, seen.grow_text);
		else
			append(path, seen.grow_text);
	}
	return (seen.stop_after_commits && seen.commits >= seen.stop_after_commits) ||
	       (seen.stop_after_asks && seen.asks > seen.stop_after_asks);
}

static inline struct journal *open_journal(void)
{
	struct journal *journal = NULL;
	struct error err = {0};
	if (journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &journal, &err) < 0)
		fail_msg("%s", err.message);
	return journal;
}

/* One run over the first source; `seen` is of this run. The hooks' instructions hold for one run. */
static inline int take(unsigned *failed, struct error *err)
{
	seen.files = seen.commits = seen.asks = 0;
	seen.sum = (struct intake_counts){0};
	seen.name[0] = seen.message[0] = '\0';
	const struct intake_hooks hooks = {.file = on_file, .committed = on_committed, .stop = must_stop};
	struct journal *const journal = open_journal();
	struct intake *intake = NULL;
	assert_int_equal(intake_open(shop, journal, &hooks, &intake, err), 0);
	*failed = 0;
	const int rc = intake_source(intake, &shop->config->sources[0], failed, err);
	intake_close(intake);
	journal_close(journal);
	seen.stop_after_commits = seen.stop_after_asks = seen.grow_at = 0;
	seen.grow = NULL;
	seen.replace = false;
	return rc;
}

static inline void take_well(void)
{
	unsigned failed;
	struct error err = {0};
	if (take(&failed, &err) < 0)
		fail_msg("%s", err.message);
	if (failed)
		fail_msg("%s", seen.message);
}

static inline void take_stopped(void)
{
	unsigned failed;
	struct error err = {0};
	assert_int_equal(take(&failed, &err), ERROR_INTERRUPTED);
}

static inline void take_one_fault(const char *message)
{
	unsigned failed;
	struct error err = {0};
	if (take(&failed, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(failed, 1);
	assert_int_equal(seen.outcome, INTAKE_FAILED);
	if (!strstr(seen.message, message))
		fail_msg("'%s' is not in: %s", message, seen.message);
}

/* Everything in the journal as text, a line a row or quarantined line: what came, in order. */
static inline void dump(struct buf *out)
{
	buf_clear(out);
	struct journal *const journal = open_journal();
	struct journal_reader *reader = NULL;
	struct error err = {0};
	uint64_t first;
	uint64_t next;
	assert_int_equal(journal_reader_open(journal, &reader, &err), 0);
	assert_int_equal(journal_reader_range(reader, &first, &next, &err), 0);
	for (uint64_t seq = first; seq < next; seq++) {
		struct slice bytes;
		struct block_reader block;
		struct block_record r;
		int rc;
		assert_int_equal(journal_reader_block(reader, seq, &bytes, &err), 0);
		assert_int_equal(block_reader_open(&block, bytes, &err), 0);
		while ((rc = block_reader_next(&block, &r, &err)) == 1) {
			if (r.kind == BLOCK_QUARANTINED) {
				buf_printf(out, "! %.*s:%llu %s\n", (int)r.file.len, r.file.data,
					   (unsigned long long)r.line, quarantine_reason_name(r.reason));
				continue;
			}
			if (r.event.kind != EVENT_ORDER)
				buf_printf(out, "%.*s %s %lld %.*s%.*s%.*s%.*s %lld %lld%s @%llu\n",
					   (int)r.event.id.len, r.event.id.data,
					   &"refund\0redeem\0adjust"[7 * (r.event.kind - 1)],
					   r.event.customer.guest ? -1LL : (long long)r.event.customer.number,
					   (int)r.event.order_id.len, r.event.order_id.data, (int)r.event.ledger.len,
					   r.event.ledger.data, (int)r.event.reward.len, r.event.reward.data,
					   (int)r.event.reason.len, r.event.reason.data,
					   (long long)r.event.amount_minor, (long long)r.event.points_milli,
					   r.event.declined ? " declined" : "", (unsigned long long)r.line);
			for (uint32_t i = 0; i < r.event.n_lines; i++)
				buf_printf(out, "%.*s/%u %lld %.*s %lld @%llu\n", (int)r.event.id.len, r.event.id.data,
					   i + 1, r.event.customer.guest ? -1LL : (long long)r.event.customer.number,
					   (int)r.event.lines[i].menu.len, r.event.lines[i].menu.data,
					   (long long)r.event.lines[i].amount_minor, (unsigned long long)r.line);
		}
		assert_int_equal(rc, 0);
		block_reader_release(&block);
	}
	journal_reader_close(reader);
	journal_close(journal);
	assert_non_null(buf_text(out));
}

static inline void assert_journal(const char *expected)
{
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_string_equal(have.data, expected);
}

static inline void assert_counts(uint64_t lines, uint64_t rows, uint64_t duplicates, uint64_t quarantined)
{
	assert_int_equal(seen.sum.lines, lines);
	assert_int_equal(seen.sum.rows, rows);
	assert_int_equal(seen.sum.duplicates, duplicates);
	assert_int_equal(seen.sum.quarantined, quarantined);
}

static inline void rename_back(const char *from, const char *to)
{
	_cleanup_free_ char *a = spool_path(from);
	_cleanup_free_ char *b = spool_path(to);
	assert_int_equal(rename(a, b), 0);
}

/* gzip of text, cut after `keep` bytes (0: whole); *len is its length. */
static inline void put_gzip(const char *name, const char *text, size_t text_len, size_t keep, size_t *len)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	const size_t room = deflateBound(&z, text_len) + 100;
	char *const packed = malloc(room);
	assert_non_null(packed);
	_cleanup_buf_ struct buf copy = {0};
	assert_int_equal(buf_append(&copy, text, text_len), 0);
	z.next_in = (unsigned char *)copy.data;
	z.avail_in = (unsigned)text_len;
	z.next_out = (unsigned char *)packed;
	z.avail_out = (unsigned)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	*len = room - z.avail_out;
	deflateEnd(&z);
	shop_put_bytes(name, packed, keep ? keep : *len);
	free(packed);
}

#endif
