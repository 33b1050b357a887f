/* Files into the journal: every line once, whatever happens to the files and to the process. */
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

static void append(const char *path, const char *text)
{
	FILE *const file = fopen(path, "ae");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void on_file(void *context, const struct intake_file *file)
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

static void on_committed(void *context, uint64_t lines)
{
	(void)context;
	(void)lines;
	seen.commits++;
}

static bool must_stop(void *context)
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

static struct journal *open_journal(void)
{
	struct journal *journal = NULL;
	struct error err = {0};
	if (journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &journal, &err) < 0)
		fail_msg("%s", err.message);
	return journal;
}

/* One run over the first source; `seen` is of this run. The hooks' instructions hold for one run. */
static int take(unsigned *failed, struct error *err)
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

static void take_well(void)
{
	unsigned failed;
	struct error err = {0};
	if (take(&failed, &err) < 0)
		fail_msg("%s", err.message);
	if (failed)
		fail_msg("%s", seen.message);
}

static void take_stopped(void)
{
	unsigned failed;
	struct error err = {0};
	assert_int_equal(take(&failed, &err), ERROR_INTERRUPTED);
}

static void take_one_fault(const char *message)
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
static void dump(struct buf *out)
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

static void assert_journal(const char *expected)
{
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_string_equal(have.data, expected);
}

static void assert_counts(uint64_t lines, uint64_t rows, uint64_t duplicates, uint64_t quarantined)
{
	assert_int_equal(seen.sum.lines, lines);
	assert_int_equal(seen.sum.rows, rows);
	assert_int_equal(seen.sum.duplicates, duplicates);
	assert_int_equal(seen.sum.quarantined, quarantined);
}

static void rename_back(const char *from, const char *to)
{
	_cleanup_free_ char *a = spool_path(from);
	_cleanup_free_ char *b = spool_path(to);
	assert_int_equal(rename(a, b), 0);
}

/* gzip of text, cut after `keep` bytes (0: whole); *len is its length. */
static void put_gzip(const char *name, const char *text, size_t text_len, size_t keep, size_t *len)
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

/* --- names and contents ---------------------------------------------------------------------------------------------- */

static void test_classic(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "7|flat white 3.50|1700000000\r\n\n|latte 70|1700000001\nbad\n0|latte 70|1700000002");
	take_well();
	assert_counts(4, 3, 0, 1);
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_int_equal(seen.sum.by_reason[REASON_COLUMN_COUNT], 1);
	assert_journal("a.txt:1/1 7 flat white 350 @1\na.txt:3/1 -1 latte 7000 @3\n! a.txt:4 column_count\n"
		       "a.txt:5/1 -1 latte 7000 @5\n");
	assert_true(spool_has("a.txt.COMPLETED"));
	assert_false(spool_has("a.txt"));
	take_well();
	assert_int_equal(seen.files, 0);
}

static void test_same_file_again(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\nbad\n");
	take_well();
	for (int i = 0; i < 2; i++) {
		shop_put("a.txt", "1|latte 70|1700000000\nbad\n");
		take_well();
		assert_int_equal(seen.files, 1);
		assert_int_equal(seen.outcome, INTAKE_HAD);
		assert_counts(0, 0, 0, 0);
	}
	assert_true(spool_has("a.txt.COMPLETED") && spool_has("a.txt.COMPLETED.2") && spool_has("a.txt.COMPLETED.3"));
	assert_journal("a.txt:1/1 1 latte 7000 @1\n! a.txt:2 column_count\n");
	/* Packed, its text is the same. */
	size_t len;
	put_gzip("a.txt", "1|latte 70|1700000000\nbad\n", 26, 0, &len);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
}

static void test_grown_file(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	/* Sent again, longer. */
	shop_put("a.txt", "1|latte 70|1700000000\n2|mocha 80|1700000001\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_true(spool_has("a.txt.COMPLETED.2"));
	/* The shorter one that was put away gives nothing, nor is it touched. */
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
}

static void test_grown_after_it_was_put_away(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	_cleanup_free_ char *path = spool_path("a.txt.COMPLETED");
	append(path, "2|mocha 80|1700000001\n");
	take_well();
	assert_int_equal(seen.files, 1);
	assert_string_equal(seen.name, "a.txt.COMPLETED");
	assert_counts(1, 1, 0, 0);
	assert_true(spool_has("a.txt.COMPLETED"));
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
	/* What is not the file that was put away is left alone. */
	shop_put("a.txt.COMPLETED",
		 "quite\nother\ncontent\nthat is longer than it was before, so that it is looked at\n");
	take_well();
	assert_int_equal(seen.files, 1);
	assert_int_equal(seen.outcome, INTAKE_SKIPPED);
	assert_counts(0, 0, 0, 0);
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
}

static void test_name_reused(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n2|latte 70|1700000001\n");
	take_well();
	static const char *const OTHERS[] = {
		"1|latte 70|1700000009\n2|latte 70|1700000001\n3|tea 1|1700000002\n", /* longer */
		"1|latte 71|1700000000\n",                                            /* shorter */
	};
	for (size_t i = 0; i < 2; i++) {
		shop_put("a.txt", OTHERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_REUSED);
		assert_int_equal(seen.sum.quarantined, seen.sum.lines);
		assert_int_equal(seen.sum.by_reason[REASON_FILE_NAME_REUSED], i == 0 ? 3 : 1);
		shop_put("a.txt", OTHERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_HAD);
	}
	shop_put("a.txt", "1|latte 70|1700000000\n2|latte 70|1700000001\n");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 latte 7000 @2\n"
		       "! a.txt:1 file_name_reused\n! a.txt:2 file_name_reused\n! a.txt:3 file_name_reused\n"
		       "! a.txt:1 file_name_reused\n");
}

/* Each day's export has the same name: the ids of its orders tell what is new. */
static void test_name_reused_with_ids(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\nr2,1,5,1700000000,tea,2.00\n");
	take_well();
	const char *const other = RECEIPTS_HEADER "r2,1,5,1700000000,tea,2.00\n"
						  "r1,1,5,1700000000,tea,2.01\n"
						  "r3,1,5,1700000000,tea,2.00\n"
						  "r3,2,5,1700000000,bun,1.00\n";
	shop_put("a.csv", other);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_counts(4, 2, 1, 1);
	assert_int_equal(seen.sum.by_reason[REASON_ID_CONFLICT], 1);
	shop_put("a.csv", other);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
	/* Longer: goes on behind what was had of it. */
	_cleanup_free_ char *longer = text_printf("%sr4,1,5,1700000000,tea,2.00\n", other);
	shop_put("a.csv", longer);
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_journal("r1/1 5 tea 200 @2\nr2/1 5 tea 200 @3\n! a.csv:3 id_conflict\nr3/1 5 tea 200 @4\n"
		       "r3/2 5 bun 100 @4\nr4/1 5 tea 200 @6\n");
}

static void test_name_reused_packed(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	const char *const text = "1|latte 70|1700000000\n2|latte 70|1700000001\n";
	size_t len;
	put_gzip("a.gz", text, strlen(text), 0, &len);
	take_well();
	put_gzip("a.gz", "9|tea 1|1700000000\n", 19, 0, &len);
	take_well();
	assert_int_equal(seen.outcome, INTAKE_REUSED);
	assert_counts(1, 0, 0, 1);
}

static void test_nothing_was_taken_of_the_first(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	static const char *const EMPTY[] = {"", "\n", "\n\r\n\n"};
	for (size_t i = 0; i < 3; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%zu.txt", i);
		shop_put(name, EMPTY[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_counts(0, 0, 0, 0);
		shop_put(name, EMPTY[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_HAD);
		shop_put(name, "1|latte 70|1700000000\n");
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_counts(1, 1, 0, 0);
	}
	assert_journal("0.txt:1/1 1 latte 7000 @1\n1.txt:1/1 1 latte 7000 @1\n2.txt:1/1 1 latte 7000 @1\n");
}

static void test_header_only(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	static const char *const HEADERS[] = {RECEIPTS_HEADER, "receipt,line,member,time,item,amount",
					      ("\n" RECEIPTS_HEADER), "", "\n"};
	for (size_t i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%zu.csv", i);
		shop_put(name, HEADERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		shop_put(name, HEADERS[i]);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_HAD);
		_cleanup_free_ char *whole = text_printf("%s,extra\nr%zu,1,5,1700000000,tea,2.00,x\n",
							 "receipt,line,member,time,item,amount", i);
		shop_put(name, whole);
		take_well();
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_counts(1, 1, 0, 0);
	}
	shop_put("bad.csv", "receipt,line,member,time,item\n");
	take_one_fault("amount");
	assert_true(spool_has("bad.csv"));
}

/* --- orders of several lines ------------------------------------------------------------------------------------------ */

static void test_orders_by_id(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n"
					  "r1,2,5,1700000000,cake,3.00\n"
					  "r1,2,5,1700000000,cake,3.00\n" /* this line twice */
					  "r1,2,5,1700000000,bun,3.00\n"  /* another with its number */
					  "r1,3,6,1700000000,bun,3.00\n"  /* another customer */
					  "r2,1,0,1700000001,tea,2.00\n");
	take_well();
	assert_counts(6, 3, 1, 2);
	assert_int_equal(seen.sum.events, 2);
	assert_int_equal(seen.sum.by_reason[REASON_ORDER_LINES], 2);
	/* In another file: the same, and one with another payload; and one twice within the file. */
	shop_put("b.csv", RECEIPTS_HEADER "r2,1,0,1700000001,tea,2.00\n"
					  "r1,1,5,1700000000,tea,2.00\n"
					  "r3,1,5,1700000000,tea,2.00\n"
					  "r1,1,5,1700000000,tea,2.00\n"
					  "r1,2,5,1700000000,cake,3.00\n"
					  "r3,1,5,1700000000,tea,2.00\n"
					  "r3,1,5,1700000000,tea,2.01\n");
	take_well();
	assert_counts(7, 1, 4, 2);
	assert_int_equal(seen.sum.by_reason[REASON_ID_CONFLICT], 1);
	assert_int_equal(seen.sum.by_reason[REASON_ORDER_LINES], 1);
	assert_journal("! a.csv:5 order_lines\n! a.csv:6 order_lines\n"
		       "r1/1 5 tea 200 @2\nr1/2 5 cake 300 @2\nr2/1 -1 tea 200 @7\n"
		       "! b.csv:3 id_conflict\nr3/1 5 tea 200 @4\n! b.csv:8 order_lines\n");
}

static void test_bad_lines_do_not_end_an_order(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	/* The block is full in the middle of the order; what becomes of its lines must not depend on that. */
	_cleanup_buf_ struct buf text = {0};
	_cleanup_buf_ struct buf x = {0};
	for (unsigned i = 0; i < 20000; i++)
		buf_append_text(&x, "x");
	buf_append_text(&text, RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n");
	for (unsigned i = 0; i < 100; i++)
		buf_printf(&text, "%s\n", buf_text(&x));
	buf_append_text(&text, "r1,2,5,1700000000,cake,3.00\nr2,1,5,1700000000,tea,2.00\n");
	shop_put("a.csv", buf_text(&text));
	take_well();
	assert_counts(103, 3, 0, 100);
	assert_int_equal(seen.sum.events, 2);
	assert_int_equal(seen.sum.by_reason[REASON_COLUMN_COUNT], 100);
}

static void test_amounts_of_an_order(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	const long long most = LIMIT_AMOUNT_MINOR - 1;
	_cleanup_free_ char *text = text_printf(RECEIPTS_HEADER "r1,1,5,1700000000,gold,%lld.%02lld\n"
								"r1,2,5,1700000000,tea,0.02\n"
								"r2,1,5,1700000000,gold,%lld.%02lld\n"
								"r2,2,5,1700000000,tea,0.01\n",
						most / 100, most % 100, most / 100, most % 100);
	_cleanup_free_ char *expected =
		text_printf("! a.csv:2 amount\n! a.csv:3 amount\nr2/1 5 gold %lld @4\nr2/2 5 tea 1 @4\n", most);
	shop_put("a.csv", text);
	take_well();
	assert_counts(4, 2, 0, 2);
	assert_int_equal(seen.sum.by_reason[REASON_AMOUNT], 2);
	assert_journal(expected);
}

/* --- files that are cut off ------------------------------------------------------------------------------------------- */

/* Lines that do not pack, so that a cut loses some; each order has two lines and a bad one between them. */
static void make_orders(struct buf *text, unsigned n)
{
	buf_append_text(text, RECEIPTS_HEADER);
	uint64_t noise = 1;
	for (unsigned i = 0; i < n; i++) {
		noise = noise * UINT64_C(6364136223846793005) + 1442695040888963407U;
		const uint64_t square = noise * noise;
		buf_printf(text,
			   "r%u,1,%u,1700000000,%" PRIx64 "%" PRIx64 ",2.00\nbad %" PRIx64
			   "\nr%u,2,%u,1700000000,cake,%u.00\n",
			   i, i % 7 + 1, noise, square, ~noise, i, i % 7 + 1, i % 90 + 1);
	}
	assert_non_null(buf_text(text));
}

static void test_cut_gzip(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	const unsigned n = 300;
	_cleanup_buf_ struct buf text = {0};
	_cleanup_buf_ struct buf expected = {0};
	_cleanup_buf_ struct buf have = {0};
	make_orders(&text, n);
	size_t len;
	put_gzip("a.gz", text.data, text.len, 0, &len);
	take_well();
	assert_counts(3ULL * n, 2ULL * n, 0, n);
	dump(&expected);
	/* Growing in steps of all kinds, whole at last. */
	for (size_t step = 97; step < 2000; step = step * 2 + 1) {
		_cleanup_free_ char *data = shop_path("data");
		assert_int_equal(file_remove_tree(data, NULL), 0);
		_cleanup_free_ char *done = spool_path("a.gz.COMPLETED");
		assert_int_equal(unlink(done), 0);
		shop_open(RECEIPTS_SOURCE);
		struct intake_counts sum = {0};
		for (size_t keep = step; keep < len; keep += step) {
			put_gzip("a.gz", text.data, text.len, keep, &len);
			take_one_fault("a.gz");
			assert_true(spool_has("a.gz"));
			sum.lines += seen.sum.lines;
			sum.rows += seen.sum.rows;
			take_one_fault("a.gz");
			assert_counts(0, 0, 0, 0);
		}
		put_gzip("a.gz", text.data, text.len, 0, &len);
		take_well();
		assert_int_equal(sum.lines + seen.sum.lines, 3 * n);
		assert_int_equal(sum.rows + seen.sum.rows, 2 * n);
		dump(&have);
		assert_string_equal(have.data, expected.data);
	}
}

/* A line that is longer than the window is consumed in pieces: no position may stand inside it. */
static void test_stopped_in_a_long_line(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	const unsigned n = 70; /* 16 KiB of each are kept: more than a block */
	for (unsigned i = 0; i < n; i++) {
		const size_t from = text.len;
		assert_int_equal(buf_reserve(&text, LIMIT_LINE_BYTES + 100), 0);
		memset(text.data + from, 'x', LIMIT_LINE_BYTES + 50);
		text.len += LIMIT_LINE_BYTES + 50;
		buf_append_text(&text, "\n1|latte 70|1700000000\n");
	}
	shop_put_bytes("a.txt", text.data, text.len);
	seen.stop_after_commits = 1;
	take_stopped();
	unsigned runs = 1;
	do {
		seen.stop_after_commits = 1;
		unsigned failed;
		struct error err = {0};
		const int rc = take(&failed, &err);
		runs++;
		if (rc == 0)
			break;
		assert_int_equal(rc, ERROR_INTERRUPTED);
	} while (runs < 10);
	take_well();
	_cleanup_buf_ struct buf expected = {0};
	for (unsigned i = 0; i < n; i++)
		buf_printf(&expected, "! a.txt:%u too_long\na.txt:%u/1 1 latte 7000 @%u\n", 2 * i + 1, 2 * i + 2,
			   2 * i + 2);
	assert_journal(buf_text(&expected));
}

static void test_cut_in_a_long_line(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	uint64_t noise = 1;
	buf_append_text(&text, "1|latte 70|1700000000\n");
	while (text.len < 3 * LIMIT_LINE_BYTES) {
		noise = noise * UINT64_C(6364136223846793005) + 1442695040888963407U;
		buf_printf(&text, "%llx", (unsigned long long)noise);
	}
	buf_append_text(&text, "\n1|latte 70|1700000000\n");
	size_t len;
	put_gzip("a.gz", text.data, text.len, 1, &len);
	for (size_t part = 1; part < 5; part++) {
		put_gzip("a.gz", text.data, text.len, len * part / 5, &len);
		take_one_fault("a.gz");
	}
	put_gzip("a.gz", text.data, text.len, 0, &len);
	take_well();
	assert_journal("a.gz:1/1 1 latte 7000 @1\n! a.gz:2 too_long\na.gz:3/1 1 latte 7000 @3\n");
}

/* --- stopped and gone on ---------------------------------------------------------------------------------------------- */

/* Enough for several blocks. */
static void make_lines(struct buf *text, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		buf_printf(text, "%u|a rather long name of a drink, so that blocks are soon full %u|%u\n", i % 100 + 1,
			   i % 50 + 1, 1700000000 + i);
	assert_non_null(buf_text(text));
}

static void test_goes_on_where_it_stopped(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	const unsigned n = 60000;
	_cleanup_buf_ struct buf text = {0};
	make_lines(&text, n);
	shop_put_bytes("a.txt", text.data, text.len);
	unsigned stops = 0;
	for (;; stops++) {
		unsigned failed;
		struct error err = {0};
		seen.stop_after_commits = 1;
		const int rc = take(&failed, &err);
		if (rc == 0)
			break;
		assert_int_equal(rc, ERROR_INTERRUPTED);
		assert_true(stops < 50);
		assert_true(spool_has("a.txt"));
	}
	assert_true(stops >= 2);
	_cleanup_buf_ struct buf have = {0};
	_cleanup_buf_ struct buf expected = {0};
	for (unsigned i = 0; i < n; i++)
		buf_printf(&expected,
			   "a.txt:%u/1 %u a rather long name of a drink, so that blocks are soon full %u @%u\n", i + 1,
			   i % 100 + 1, (i % 50 + 1) * 100, i + 1);
	dump(&have);
	assert_int_equal(have.len, expected.len);
	assert_string_equal(have.data, buf_text(&expected));
	assert_true(spool_has("a.txt.COMPLETED"));
}

static void test_goes_on_in_a_file_that_was_put_away(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	const unsigned n = 60000;
	_cleanup_buf_ struct buf text = {0};
	make_lines(&text, n);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	_cleanup_free_ char *path = spool_path("a.txt.COMPLETED");
	append(path, text.data);
	seen.stop_after_commits = 1;
	take_stopped();
	take_well();
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	unsigned rows = 0;
	for (const char *at = have.data; (at = strchr(at, '\n')); at++)
		rows++;
	assert_int_equal(rows, n + 1);
}

static void test_stop_between_files(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	for (unsigned i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%u.txt", i);
		shop_put(name, "1|latte 70|1700000000\n");
	}
	seen.stop_after_asks = 4;
	take_stopped();
	assert_true(seen.files > 0 && seen.files < 5);
	assert_true(spool_has("0.txt.COMPLETED") && spool_has("4.txt"));
	take_well();
	assert_journal("0.txt:1/1 1 latte 7000 @1\n1.txt:1/1 1 latte 7000 @1\n2.txt:1/1 1 latte 7000 @1\n"
		       "3.txt:1/1 1 latte 7000 @1\n4.txt:1/1 1 latte 7000 @1\n");
}

static void test_stop_while_it_waits(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 3600000}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n1|lat");
	seen.stop_after_asks = 8;
	take_stopped();
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n1|latte 80|1700000000\n");
	take_well();
	assert_counts(1, 1, 0, 0); /* the first was durable before it waited */
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 1 latte 8000 @2\n");
}

/* Somebody writes without a pause: what is whole is taken, and it ends. */
static void test_a_file_that_never_settles(void **state)
{
	(void)state;
	shop_open(
		"sources:\n  - {name: till, dir: spool, format: receipts, settle_ms: 100}\n"
		"order_mappings:\n  - {name: receipts, event_id: [receipt], line: line, customer: member, date: time, "
		"date_format: '%s', menu: item, amount: amount}\n");
	_cleanup_free_ char *path = spool_path("a.csv");
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\nr2,1,5,1700000000,tea,2.00\nbad\nr2,2,5,17");
	_cleanup_free_ char *command = text_printf("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
						   "printf 0 >>'%s'; sleep 0.05; done & echo $! >'%s/pid'",
						   path, shop_base);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a test
	take_well();
	assert_int_equal(seen.outcome, INTAKE_GROWS);
	assert_counts(1, 1, 0, 0);
	assert_true(spool_has("a.csv"));
	_cleanup_free_ char *wait_for =
		text_printf("while kill -0 $(cat '%s/pid') 2>/dev/null; do sleep 0.02; done", shop_base);
	assert_int_equal(system(wait_for), 0); // NOLINT(cert-env33-c): a test
	shop_put("a.csv", RECEIPTS_HEADER
		 "r1,1,5,1700000000,tea,2.00\nr2,1,5,1700000000,tea,2.00\nbad\nr2,2,5,1700000000,bun,1.00\n");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_counts(3, 2, 0, 1);
	assert_journal("r1/1 5 tea 200 @2\n! a.csv:4 column_count\nr2/1 5 tea 200 @3\nr2/2 5 bun 100 @3\n");
}

/* Nothing waits with a file that does not settle. */
static void test_what_is_read_is_durable_before_it_waits(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 3600000}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("b.txt", "2|latte 70|1700000000\n2|lat");
	seen.stop_after_asks = 8;
	take_stopped();
	assert_true(spool_has("a.txt.COMPLETED") && spool_has("b.txt"));
	assert_journal("a.txt:1/1 1 latte 7000 @1\nb.txt:1/1 2 latte 7000 @1\n");
}

/* Lines of one order are written one after the other. */
static void test_an_order_that_is_being_written(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SETTLE);
	shop_put("a.csv", RECEIPTS_HEADER "r0,1,5,1700000000,tea,2.00\nr1,1,5,1700000000,tea,2.00\nbad\n");
	seen.grow = "a.csv";
	seen.grow_text = "r1,2,5,1700000000,bun,1.00\n";
	seen.grow_at = 5;
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_counts(4, 3, 0, 1);
	assert_int_equal(seen.sum.events, 2);
	assert_journal("r0/1 5 tea 200 @2\n! a.csv:4 column_count\nr1/1 5 tea 200 @3\nr1/2 5 bun 100 @3\n");
	assert_true(spool_has("a.csv.COMPLETED"));
	/* Stopped while it waits: the next run takes the order whole. */
	shop_put("b.csv", RECEIPTS_HEADER "r2,1,5,1700000000,tea,2.00\nr3,1,5,1700000000,tea,2.00\n");
	seen.stop_after_asks = 6;
	take_stopped();
	_cleanup_free_ char *path = spool_path("b.csv");
	append(path, "r3,2,5,1700000000,bun,1.00\n");
	take_well();
	assert_counts(2, 2, 0, 0);
	assert_int_equal(seen.sum.events, 1);
}

static void test_a_header_that_is_being_written(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SETTLE);
	shop_put("a.csv", "receipt,line,member,time,item,amount");
	seen.grow = "a.csv";
	seen.grow_text = ",shop\nr1,1,5,1700000000,tea,2.00,x\n";
	seen.grow_at = 5;
	take_well();
	assert_counts(1, 1, 0, 0);
}

static void test_an_open_quote_at_the_end(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SETTLE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,\"green\n");
	seen.grow = "a.csv";
	seen.grow_text = "tea\",2.00\n";
	seen.grow_at = 5;
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_journal("r1/1 5 green\ntea 200 @2\n");
	/* Nobody closes it. */
	shop_put("b.csv", RECEIPTS_HEADER "r2,1,5,1700000000,\"green\nr3,1,5,1700000000,tea,2.00\n");
	take_well();
	assert_counts(2, 1, 0, 1);
	assert_int_equal(seen.sum.by_reason[REASON_BAD_QUOTE], 1);
}

/* A line of the greatest length and more, in three pieces. */
static void make_long_text(struct buf *text, size_t len)
{
	buf_append_text(text, "1|latte 70|1700000000\n");
	assert_int_equal(buf_reserve(text, len + 1), 0);
	memset(text->data + text->len, 'x', len);
	text->len += len;
	assert_non_null(buf_text(text));
}

static void test_a_long_line_that_is_being_written(void **state)
{
	(void)state;
	static const size_t LENGTHS[] = {LIMIT_LINE_BYTES + 1, LIMIT_LINE_BYTES + 2, LIMIT_LINE_BYTES + 3,
					 2 * LIMIT_LINE_BYTES, 5 * LIMIT_LINE_BYTES + 77};
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 150}\n");
	for (size_t i = 0; i < sizeof(LENGTHS) / sizeof(LENGTHS[0]); i++) {
		_cleanup_buf_ struct buf text = {0};
		char name[16];
		snprintf(name, sizeof(name), "%zu.txt", i);
		make_long_text(&text, LENGTHS[i]);
		shop_put_bytes(name, text.data, text.len);
		seen.grow = name;
		seen.grow_text = "\n2|latte 70|1700000000\n";
		seen.grow_at = 7 + (unsigned)i;
		take_well();
		assert_counts(3, 2, 0, 1);
		assert_int_equal(seen.sum.by_reason[REASON_TOO_LONG], 1);
	}
}

/* The rest of a line that was dealt with as if it were whole is no line, let alone an order. */
static void test_the_rest_of_a_line(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	static const size_t LENGTHS[] = {3, LIMIT_LINE_BYTES + 1, 3 * LIMIT_LINE_BYTES};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_buf_ struct buf text = {0};
		char name[16];
		snprintf(name, sizeof(name), "%zu.txt", i);
		make_long_text(&text, LENGTHS[i]);
		shop_put_bytes(name, text.data, text.len);
		take_well();
		assert_counts(2, 1, 0, 1);
		snprintf(name, sizeof(name), "%zu.txt.COMPLETED", i);
		_cleanup_free_ char *path = spool_path(name);
		append(path, "9|latte 70|17000"); /* still no end */
		take_well();
		assert_counts(0, 0, 0, 0);
		assert_non_null(strstr(seen.message, "no end"));
		append(path, "00000\n7|tea 1|1700000000\n");
		take_well();
		assert_counts(1, 1, 0, 0);
		take_well();
		assert_int_equal(seen.files, 0);
	}
	/* An end alone is nothing to speak of. */
	shop_put("b.txt", "1|latte 70|1700000000\r");
	take_well();
	assert_counts(1, 1, 0, 0);
	_cleanup_free_ char *path = spool_path("b.txt.COMPLETED");
	append(path, "\n2|latte 70|1700000000\r\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_string_equal(seen.message, "");
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	assert_non_null(strstr(have.data, "1.txt:3/1 7 tea 100 @3\n"));
	assert_non_null(strstr(have.data, "b.txt:2/1 2 latte 7000 @2\n"));
	assert_null(strstr(have.data, " 9 latte"));
}

/* --- putting away ------------------------------------------------------------------------------------------------------ */

static void test_existing_names(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("a.txt.COMPLETED", "somebody's\n");
	shop_put("a.txt.COMPLETED.2", "somebody's\n");
	take_well();
	assert_true(spool_has("a.txt.COMPLETED.3"));
	_cleanup_free_ char *path = spool_path("a.txt.COMPLETED");
	_cleanup_buf_ struct buf content = {0};
	assert_int_equal(file_read_all(path, 100, &content, NULL), 0);
	assert_string_equal(buf_text(&content), "somebody's\n");
	take_well();
	assert_int_equal(seen.files, 0);
}

static void test_move(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 0, when_done: move, "
		  "move_to: spool/done}\n");
	for (int i = 0; i < 2; i++) {
		shop_put("a.txt", "1|latte 70|1700000000\nbad\n");
		take_well();
		assert_int_equal(seen.files, 1);
	}
	assert_true(spool_has("done/a.txt") && spool_has("done/a.txt.2") && !spool_has("a.txt"));
}

static void test_delete(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 0, when_done: delete}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("b.txt", "1|latte 70|1700000000\nbad\n");
	take_well();
	assert_false(spool_has("a.txt") || spool_has("b.txt") || spool_has("a.txt.COMPLETED"));
	assert_true(spool_has("b.txt.COMPLETED"));
	/* Again: had already, and what was quarantined of it in the earlier run is not forgotten. */
	rename_back("b.txt.COMPLETED", "b.txt");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
	assert_true(spool_has("b.txt.COMPLETED") && !spool_has("b.txt"));
}

/* Grown between its reading and the commit: deleting it would lose the new lines. */
static void test_grown_before_it_is_put_away(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 0, when_done: delete}\n");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	shop_put("b.txt", "1|latte 70|1700000000\n");
	seen.grow = "a.txt";
	seen.grow_text = "2|mocha 80|1700000001\n";
	seen.grow_at = 4; /* ".", "..", a.txt, then b.txt */
	take_well();
	assert_true(spool_has("a.txt") && !spool_has("b.txt"));
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_false(spool_has("a.txt"));
	assert_journal("a.txt:1/1 1 latte 7000 @1\nb.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n");
}

/* The same at the last moment, but another file: of the same size, even. */
static void test_replaced_before_it_is_put_away(void **state)
{
	(void)state;
	static const char *const DONE[] = {"move, move_to: done", "delete", "rename"};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_free_ char *config =
			text_printf("%s, when_done: %s}\n%s", RECEIPTS_OPEN_END, DONE[i], RECEIPTS_MAPPING);
		shop_open(config);
		_cleanup_free_ char *first = text_printf("%sr%zu,1,5,1700000000,tea,2.00\n", RECEIPTS_HEADER, 3 * i);
		_cleanup_free_ char *other =
			text_printf("%sr%zu,1,5,1700000000,tea,2.00\n", RECEIPTS_HEADER, 3 * i + 1);
		_cleanup_free_ char *last = text_printf("%sr%zu,1,5,1700000000,tea,2.00\n", RECEIPTS_HEADER, 3 * i + 2);
		shop_put("a.csv", first);
		shop_put("b.csv", last);
		_cleanup_free_ char *listed = spool_path("");
		unsigned entries = 0;
		DIR *const dir = opendir(listed);
		assert_non_null(dir);
		while (readdir(dir))
			entries++;
		closedir(dir);
		seen.grow = "a.csv";
		seen.grow_text = other;
		seen.grow_at = entries; /* b.csv or what was put away before is the last */
		seen.replace = true;
		take_well();
		assert_counts(2, 2, 0, 0);
		assert_true(spool_has("a.csv"));
		take_well();
		assert_counts(1, 1, 0, 0);
		assert_false(spool_has("a.csv"));
	}
}

/* Nobody looks for lines in a file that is gone. */
static void test_grown_before_it_is_moved_or_deleted(void **state)
{
	(void)state;
	static const char *const DONE[] = {"delete", "move, move_to: done"};
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_free_ char *config = text_printf(
			"sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 300, when_done: %s}\n",
			DONE[i]);
		char name[16];
		snprintf(name, sizeof(name), "%u.txt", i);
		shop_open(config);
		shop_put(name, "1|latte 70|1700000000\n");
		seen.grow = name;
		seen.grow_text = "2|latte 70|1700000000\n";
		seen.grow_at = 6;
		take_well();
		assert_counts(2, 2, 0, 0);
		assert_int_equal(seen.outcome, INTAKE_TAKEN);
		assert_false(spool_has(name));
		/* Had already: the same. */
		shop_put(name, "1|latte 70|1700000000\n2|latte 70|1700000000\n");
		seen.grow = name;
		seen.grow_text = "3|latte 70|1700000000\n";
		seen.grow_at = 6;
		take_well();
		assert_counts(1, 1, 0, 0);
		assert_false(spool_has(name));
	}
}

static void test_a_file_to_be_deleted_never_settles(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: classic, settle_ms: 100, when_done: delete}\n");
	_cleanup_free_ char *path = spool_path("a.txt");
	shop_put("a.txt", "1|latte 70|1700000000\n");
	_cleanup_free_ char *command =
		text_printf("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
			    "echo '1|tea 1|1700000000' >>'%s'; sleep 0.05; done & echo $! >'%s/pid'",
			    path, shop_base);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a test
	take_well();
	assert_int_equal(seen.outcome, INTAKE_GROWS);
	assert_true(spool_has("a.txt"));
	const uint64_t first = seen.sum.rows;
	_cleanup_free_ char *wait_for =
		text_printf("while kill -0 $(cat '%s/pid') 2>/dev/null; do sleep 0.02; done", shop_base);
	assert_int_equal(system(wait_for), 0); // NOLINT(cert-env33-c): a test
	take_well();
	assert_int_equal(first + seen.sum.rows, 21);
	assert_false(spool_has("a.txt"));
}

/* Whoever wrote it had not finished, and it was not the first that was put away under this name. */
static void test_grown_under_a_number(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	for (unsigned i = 0; i < 2; i++) {
		shop_put("a.txt", "1|latte 70|1700000000\n");
		take_well();
	}
	_cleanup_free_ char *second = spool_path("a.txt.COMPLETED.2");
	append(second, "2|mocha 80|1700000001\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_string_equal(seen.name, "a.txt.COMPLETED.2");
	take_well();
	assert_int_equal(seen.files, 0);
	/* Now the other one, in another way: its lines have numbers that are taken. */
	_cleanup_free_ char *first = spool_path("a.txt.COMPLETED");
	append(first, "3|tea 1|1700000001\n3|tea 1|1700000001\n");
	take_well();
	assert_counts(2, 0, 0, 2);
	assert_int_equal(seen.outcome, INTAKE_REUSED);
	append(first, "4|tea 1|1700000001\n");
	take_well();
	assert_counts(1, 0, 0, 1);
	append(second, "2|mocha 80|1700000002\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	take_well();
	assert_int_equal(seen.files, 0);
	assert_journal("a.txt:1/1 1 latte 7000 @1\na.txt:2/1 2 mocha 8000 @2\n! a.txt:2 file_name_reused\n"
		       "! a.txt:3 file_name_reused\n! a.txt:4 file_name_reused\na.txt:3/1 2 mocha 8000 @3\n");
	/* A beginning at which it ended once was had. */
	shop_put("a.txt", "1|latte 70|1700000000\n");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_HAD);
}

static void test_other_content_grown_under_a_number(void **state)
{
	(void)state;
	shop_open(RECEIPTS_SOURCE);
	shop_put("a.csv", RECEIPTS_HEADER "r1,1,5,1700000000,tea,2.00\n");
	take_well();
	shop_put("a.csv", RECEIPTS_HEADER "r2,1,5,1700000000,tea,2.00\n");
	take_well();
	_cleanup_free_ char *second = spool_path("a.csv.COMPLETED.2");
	append(second, "r3,1,5,1700000000,tea,2.00\n");
	take_well();
	assert_counts(1, 1, 0, 0);
	/* None that was read: said once, and again when it changes. */
	for (unsigned i = 0; i < 2; i++) {
		append(second, "r4,1,5,1700000000,tea,2.00\n");
		_cleanup_buf_ struct buf text = {0};
		assert_int_equal(file_read_all(second, 10000, &text, NULL), 0);
		text.data[text.len / 2] = '~';
		shop_put_bytes("a.csv.COMPLETED.2", text.data, text.len);
		take_well();
		assert_int_equal(seen.files, 1);
		assert_int_equal(seen.outcome, INTAKE_SKIPPED);
		take_well();
		assert_int_equal(seen.files, 0);
	}
	/* That it was left alone there does not mean that it was had. */
	rename_back("a.csv.COMPLETED.2", "a.csv");
	take_well();
	assert_int_equal(seen.outcome, INTAKE_TAKEN);
	assert_int_equal(seen.sum.lines, 4);
}

static void test_many_small_files(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	for (unsigned i = 0; i < 2100; i++) {
		char name[32];
		_cleanup_free_ char *path = NULL;
		snprintf(name, sizeof(name), "%05u.txt", i);
		path = spool_path(name);
		append(path, "1|latte 70|1700000000\n");
	}
	take_well();
	assert_int_equal(seen.commits, 3);
	assert_counts(2100, 2100, 0, 0);
	take_well();
	assert_int_equal(seen.files, 0);
}

static void test_ignored_names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool ignored;
		size_t base_len;
	} CASES[] = {
		{"a.txt", false, 0},        {".a", true, 0},
		{"a.tmp", true, 0},         {"a.COMPLETED", true, 1},
		{"a.COMPLETED.2", true, 1}, {"a.COMPLETED.x", false, 0},
		{"a.COMPLETED.", false, 0}, {".COMPLETED", true, 0},
		{"COMPLETED", false, 0},    {"a.COMPLETED.COMPLETED", true, 11},
		{"tmp", false, 0},          {"a.COMPLETEDx", false, 0},
	};
	char suffix[] = ".COMPLETED";
	const struct config_source source = {.suffix = suffix};
	const struct config_source without = {.when_done = WHEN_DONE_MOVE};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		size_t base_len = 99;
		assert_int_equal(intake_ignores(&source, CASES[i].name, &base_len), CASES[i].ignored);
		assert_int_equal(base_len, CASES[i].base_len);
	}
	size_t base_len;
	assert_false(intake_ignores(&without, "a.COMPLETED", &base_len));
}

static void test_what_is_no_file(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	_cleanup_free_ char *dir = spool_path("dir");
	_cleanup_free_ char *fifo = spool_path("fifo");
	_cleanup_free_ char *link = spool_path("link");
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(mkfifo(fifo, 0666), 0);
	assert_int_equal(symlink("nowhere", link), 0);
	unsigned failed;
	struct error err = {0};
	assert_int_equal(take(&failed, &err), 0);
	assert_int_equal(failed, 0);
	assert_int_equal(seen.files, 3);
	_cleanup_free_ char *spool = shop_path("spool");
	assert_int_equal(file_remove_tree(spool, NULL), 0);
	assert_int_equal(take(&failed, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "spool"));
}

/* Events in JSON. */

#define R1                                                                                                            \
	"{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7,\"time\":1700000000,\"lines\":[{\"menu\":\"latte\"," \
	"\"price\":4.50},{\"menu\":\"tea\",\"price\":2}]}\n"
#define F1                                                                                                             \
	"{\"event_id\":\"f-1\",\"kind\":\"refund\",\"customer\":7,\"time\":1700000001,\"order\":\"r-1\",\"amount\":4." \
	"50}\n"
#define D1                                                                                                 \
	"{\"event_id\":\"d-1\",\"kind\":\"redeem\",\"customer\":7,\"time\":1700000002,\"reward\":\"cup\"," \
	"\"accepted\":false}\n"
#define A1                                                                                                         \
	"{\"event_id\":\"a-1\",\"kind\":\"adjust\",\"customer\":7,\"time\":1700000003,\"points\":-5.5,\"reason\":" \
	"\"sorry\"}\n"

static void test_events(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", R1 "\n" F1 "{}\n" D1 "\r\n" A1 "nonsense\n" D1);
	take_well();
	assert_counts(7, 5, 1, 2);
	assert_int_equal(seen.sum.events, 4);
	assert_int_equal(seen.sum.by_reason[REASON_KIND], 1);
	assert_int_equal(seen.sum.by_reason[REASON_JSON], 1);
	assert_true(spool_has("a.json.COMPLETED"));
	assert_journal("r-1/1 7 latte 450 @1\n"
		       "r-1/2 7 tea 200 @1\n"
		       "f-1 refund 7 r-1 450 0 @3\n"
		       "! a.json:4 kind\n"
		       "d-1 redeem 7 cup 0 0 declined @5\n"
		       "a-1 adjust 7 sorry 0 -5500 @7\n"
		       "! a.json:8 json\n");
	/* Again, under its name and another: nothing new. */
	shop_put("a.json", R1 "\n" F1 "{}\n" D1 "\r\n" A1 "nonsense\n" D1);
	shop_put("b.json", A1 D1 F1 R1);
	take_well();
	assert_counts(4, 0, 4, 0);
	/* An id with something else, in any field, of any kind. */
	shop_put(
		"c.json",
		"{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7,\"time\":1700000000,\"lines\":[{\"menu\":"
		"\"latte\","
		"\"price\":4.50}]}\n"
		"{\"event_id\":\"f-1\",\"kind\":\"refund\",\"customer\":7,\"time\":1700000001,\"order\":\"r-2\","
		"\"amount\":4.50}\n"
		"{\"event_id\":\"f-1\",\"kind\":\"refund\",\"customer\":7,\"time\":1700000001,\"order\":\"r-1\","
		"\"lines\":[{"
		"\"amount\":4.50}]}\n"
		"{\"event_id\":\"d-1\",\"kind\":\"redeem\",\"customer\":7,\"time\":1700000002,\"reward\":\"cup\"}\n"
		"{\"event_id\":\"a-1\",\"kind\":\"adjust\",\"customer\":7,\"time\":1700000003,\"points\":-5.5}\n"
		/* The same, said otherwise. */
		"{\"points\":-5.500,\"reason\":\"sorr\\u0079\",\"event_id\":\"a-1\",\"kind\":\"adjust\",\"customer\":7,"
		"\"time\":\"2023-11-15T05:13:23+07:00\"}\n");
	take_well();
	assert_counts(6, 0, 1, 5);
	assert_int_equal(seen.sum.by_reason[REASON_ID_CONFLICT], 5);
}

/* A file of another text under an old name: the ids tell what is new. */
static void test_events_under_an_old_name(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	shop_put("a.json", R1 F1);
	take_well();
	shop_put("a.json", F1 D1);
	take_well();
	assert_counts(2, 1, 1, 0);
	/* … and one that has grown: its new lines. */
	rename_back("a.json.COMPLETED", "a.json");
	_cleanup_free_ char *path = spool_path("a.json");
	append(path, A1);
	take_well();
	assert_counts(1, 1, 0, 0);
	assert_journal("r-1/1 7 latte 450 @1\n"
		       "r-1/2 7 tea 200 @1\n"
		       "f-1 refund 7 r-1 450 0 @2\n"
		       "d-1 redeem 7 cup 0 0 declined @2\n"
		       "a-1 adjust 7 sorry 0 -5500 @3\n");
}

/* A last line without an end waits for it; nothing waits with it. */
static void test_events_torn(void **state)
{
	(void)state;
	shop_open("sources:\n  - {name: till, dir: spool, format: ndjson, settle_ms: 300}\n");
	static const char TEXT[] = R1 F1;
	_cleanup_free_ char *head = strndup(TEXT, sizeof(TEXT) - 20);
	assert_non_null(head);
	shop_put("a.json", head);
	seen.grow = "a.json";
	seen.grow_text = TEXT + sizeof(TEXT) - 20;
	seen.grow_at = 5;
	take_well();
	assert_counts(2, 3, 0, 0);
	assert_true(seen.commits >= 2);
	assert_journal("r-1/1 7 latte 450 @1\n"
		       "r-1/2 7 tea 200 @1\n"
		       "f-1 refund 7 r-1 450 0 @2\n");
	/* One that never gets an end is what it is when it has settled. */
	shop_put("b.json", D1 "{\"event_id\":\"x\"");
	take_well();
	assert_counts(2, 1, 0, 1);
	assert_int_equal(seen.sum.by_reason[REASON_JSON], 1);
}

/* Lines that are not looked at as JSON; and a text's ends wherever the blocks end. */
static void test_events_lines(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(buf_append(&text, "{\0}\n", 4), 0);
	assert_int_equal(buf_append_text(&text, "{\"kind\":\"\xff\"}\n"), 0);
	for (unsigned i = 0; i < 600; i++)
		assert_int_equal(buf_append(&text, "", 1), 0);
	assert_int_equal(buf_append_text(&text, "\n{\"kind\":\""), 0);
	assert_int_equal(buf_reserve(&text, LIMIT_LINE_BYTES), 0);
	memset(text.data + text.len, 'x', LIMIT_LINE_BYTES);
	text.len += LIMIT_LINE_BYTES;
	assert_int_equal(buf_append_text(&text, "\"}\n" F1 "\"unclosed\n" A1), 0);
	shop_put_bytes("a.json", text.data, text.len);
	take_well();
	assert_counts(7, 2, 0, 5);
	assert_journal("! a.json:1 nul_byte\n"
		       "! a.json:2 encoding\n"
		       "! a.json:3 nul_byte\n"
		       "! a.json:4 too_long\n"
		       "f-1 refund 7 r-1 450 0 @5\n"
		       "! a.json:6 json\n"
		       "a-1 adjust 7 sorry 0 -5500 @7\n");
}

/* Many blocks, stopped after each: every event once. */
static void test_events_stopped(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	_cleanup_buf_ struct buf text = {0};
	const unsigned n = 30000;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			buf_printf(&text,
				   "{\"event_id\":\"o%u\",\"kind\":\"order\",\"customer\":%u,\"time\":1700000000,"
				   "\"lines\":[{\"menu\":\"%0100u\",\"amount\":1},{\"amount\":2}]}\n",
				   i, i + 1, i),
			0);
	shop_put_bytes("a.json", text.data, text.len);
	struct intake_counts sum = {0};
	int rc;
	unsigned runs = 0;
	do {
		unsigned failed;
		struct error err = {0};
		seen.stop_after_commits = 1;
		rc = take(&failed, &err);
		sum.events += seen.sum.events;
		runs++;
		assert_true(runs < 100);
	} while (rc == ERROR_INTERRUPTED);
	assert_int_equal(rc, 0);
	assert_true(runs > 2);
	_cleanup_buf_ struct buf have = {0};
	dump(&have);
	unsigned rows = 0;
	for (const char *p = have.data; (p = strchr(p, '\n')); p++)
		rows++;
	assert_int_equal(rows, 2 * n);
	shop_put_bytes("b.json", text.data, text.len);
	take_well();
	assert_counts(n, 0, n, 0);
}

/* An order that is too much is set aside whole. */
static void test_events_too_much(void **state)
{
	(void)state;
	shop_open(EVENTS_SOURCE);
	shop_put("a.json",
		 "{\"event_id\":\"x\",\"kind\":\"order\",\"time\":1700000000,\"lines\":[{\"amount\":1000000000},{"
		 "\"amount\":0.01}]}\n"
		 "{\"event_id\":\"x\",\"kind\":\"order\",\"time\":1700000000,\"lines\":[{\"amount\":999999999.99},{"
		 "\"amount\":0.01}]}\n");
	take_well();
	assert_counts(2, 2, 0, 1);
	assert_int_equal(seen.sum.by_reason[REASON_AMOUNT], 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_classic),
		TEST(test_same_file_again),
		TEST(test_grown_file),
		TEST(test_grown_after_it_was_put_away),
		TEST(test_name_reused),
		TEST(test_name_reused_with_ids),
		TEST(test_name_reused_packed),
		TEST(test_nothing_was_taken_of_the_first),
		TEST(test_header_only),
		TEST(test_orders_by_id),
		TEST(test_bad_lines_do_not_end_an_order),
		TEST(test_amounts_of_an_order),
		TEST(test_cut_gzip),
		TEST(test_stopped_in_a_long_line),
		TEST(test_cut_in_a_long_line),
		TEST(test_goes_on_where_it_stopped),
		TEST(test_goes_on_in_a_file_that_was_put_away),
		TEST(test_stop_between_files),
		TEST(test_stop_while_it_waits),
		TEST(test_a_file_that_never_settles),
		TEST(test_what_is_read_is_durable_before_it_waits),
		TEST(test_an_order_that_is_being_written),
		TEST(test_a_header_that_is_being_written),
		TEST(test_an_open_quote_at_the_end),
		TEST(test_a_long_line_that_is_being_written),
		TEST(test_the_rest_of_a_line),
		TEST(test_existing_names),
		TEST(test_move),
		TEST(test_delete),
		TEST(test_grown_before_it_is_put_away),
		TEST(test_replaced_before_it_is_put_away),
		TEST(test_grown_before_it_is_moved_or_deleted),
		TEST(test_a_file_to_be_deleted_never_settles),
		TEST(test_grown_under_a_number),
		TEST(test_other_content_grown_under_a_number),
		TEST(test_many_small_files),
		TEST(test_ignored_names),
		TEST(test_what_is_no_file),
		TEST(test_events),
		TEST(test_events_under_an_old_name),
		TEST(test_events_torn),
		TEST(test_events_lines),
		TEST(test_events_stopped),
		TEST(test_events_too_much),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
