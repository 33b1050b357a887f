/*
 * A stream (a pipe, a file that grows) of any bytes, in each format: what gets into the journal does not depend on where the pieces
 * meet that it comes in, nor on whether the process died between two of them and went on from its position.
 *
 * The first byte: modulo 3 the format, bit 7 whether a stream is opened again behind its second piece; the next two, where pieces
 * meet. Input is short, and journals are in memory: each run makes two.
 */
#include "base/file.h"
#include "config/deployment.h"
#include "speed/lines.h"
#include "store/block.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MOST 4000u

static const char CONFIG[] =
	"version: 1\nsources:\n"
	"  - {name: a, type: stdin, format: classic}\n"
	"  - {name: b, type: exec, command: [x], format: ndjson}\n"
	"  - {name: c, type: exec, command: [y], format: receipts}\n"
	"order_mappings:\n  - {name: receipts, event_id: [receipt], line: line, customer: member, date: time, "
	"date_format: '%s', menu: item, amount: amount}\n";

static char base[64];
static char dir[96];
static struct deployment *shop;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void end(void)
{
	deployment_close(shop);
	file_remove_tree(base, NULL);
}

static void begin(void)
{
	struct error err = {0};
	require(snprintf(base, sizeof(base), "%s/punchcard-fuzz-XXXXXX",
			 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") > 0);
	require(mkdtemp(base) != NULL);
	require(snprintf(dir, sizeof(dir), "%s/shop", base) > 0 && deployment_init(dir, NULL) == 0);
	_cleanup_free_ char *path = text_printf("%s/punchcard.yaml", dir);
	require(path && file_write_durable(path, CONFIG, strlen(CONFIG), NULL) == 0);
	if (deployment_open(dir, DEPLOYMENT_COLLECT, "collect", &shop, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	atexit(end);
}

struct feeding {
	struct source source;
	struct lines *lines;
	struct lines_stream stream;
	struct slice text;
	size_t given; /* of it */
};

static void open_stream(struct feeding *f, const struct lines_place *place)
{
	f->stream = (struct lines_stream){0};
	require(lines_stream_open(f->lines, &f->stream, SLICE("s"), place, NULL) == 0);
	f->given = place->bytes;
}

/* As what was read from a pipe or a file: up to there. False: it is no stream of this format, by its header. */
static bool give(struct feeding *f, size_t until, enum lines_end how)
{
	struct error err = {0};
	if (until > f->given) {
		char *const room = lines_room(&f->stream, until - f->given);
		require(room != NULL);
		memcpy(room, f->text.data + f->given, until - f->given);
		lines_added(&f->stream, until - f->given, 1);
		f->given = until;
	}
	int rc = 1;
	while (rc == 1) {
		require(lines_begin(f->lines, &err) == 0);
		rc = lines_take(f->lines, &f->stream, how, &err);
		if (rc < 0) {
			require(rc == ERROR_INPUT && err.message[0]);
			lines_abort(f->lines);
			return false;
		}
		require(lines_commit(f->lines, 0, false, &err) == 0);
	}
	return true;
}

static void note_record(const struct block_record *r, struct buf *notes)
{
	require(buf_printf(notes, "%d %.*s:%llu ", (int)r->kind, (int)r->file.len, r->file.data ? r->file.data : "",
			   (unsigned long long)r->line) == 0);
	if (r->kind == BLOCK_QUARANTINED) {
		require(buf_printf(notes, "%d ", (int)r->reason) == 0);
		require(buf_append(notes, r->text.data, r->text.len) == 0);
	} else {
		require(buf_append(notes, r->event.id.data, r->event.id.len) == 0);
		require(buf_printf(notes, " %lld %lld %u", (long long)r->event.customer.number,
				   (long long)r->event.time_us, (unsigned)r->event.n_lines) == 0);
	}
	require(buf_append(notes, "\n", 1) == 0);
}

static void note_all(struct journal *journal, struct buf *notes)
{
	struct journal_reader *reader = NULL;
	uint64_t first;
	uint64_t next;
	require(journal_reader_open(journal, &reader, NULL) == 0);
	require(journal_reader_range(reader, &first, &next, NULL) == 0);
	for (; first < next; first++) {
		struct slice block;
		struct block_reader r;
		struct block_record record;
		require(journal_reader_block(reader, first, &block, NULL) == 0);
		require(block_reader_open(&r, block, NULL) == 0);
		while (block_reader_next(&r, &record, NULL) == 1)
			note_record(&record, notes);
		block_reader_release(&r);
	}
	journal_reader_close(reader);
}

/* Feeds the text in pieces that end there; the stream may be opened again behind the second. */
static bool feed(const struct config_source *config, struct slice text, const size_t ends[3], bool again,
		 struct buf *notes)
{
	struct feeding f = {.text = text, .source = {.deployment = shop, .config = config}};
	bool good = true;
	file_remove_tree(shop->journal_dir, NULL);
	require(file_make_dirs(shop->journal_dir, NULL) == 0);
	require(journal_open(shop->journal_dir, &(const struct journal_options){.map_gib = 1}, &f.source.journal,
			     NULL) == 0);
	require(lines_open(&f.source, &f.lines, NULL) == 0);
	open_stream(&f, &(const struct lines_place){0});
	for (unsigned i = 0; good && i < 3; i++) {
		good = give(&f, ends[i], i < 2 ? LINES_OPEN : LINES_ENDED);
		if (!good || !again || i != 1)
			continue;
		const struct lines_place place = f.stream.durable;
		require(place.bytes <= text.len);
		lines_stream_close(&f.stream);
		open_stream(&f, &place);
		if (place.bytes)
			require(lines_stream_header(&f.stream, (struct slice){text.data, place.bytes}, "s", NULL) == 0);
	}
	if (good)
		require(f.stream.durable.bytes == text.len && lines_waiting(&f.stream) == 0);
	lines_stream_close(&f.stream);
	lines_close(f.lines);
	if (good)
		note_all(f.source.journal, notes);
	journal_close(f.source.journal);
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3 || size > TEXT_MOST)
		return 0;
	if (!shop)
		begin();
	const struct slice text = {(const char *)data + 3, size - 3};
	const struct config_source *const config = &shop->config->sources[(data[0] & 0x7f) % 3];
	const size_t all[3] = {text.len, text.len, text.len};
	const size_t a = text.len * data[1] / 255;
	const size_t pieces[3] = {a, a + (text.len - a) * data[2] / 255, text.len};
	struct buf whole = {0};
	struct buf apart = {0};
	const bool good = feed(config, text, all, false, &whole);
	require(feed(config, text, pieces, data[0] & 0x80, &apart) == good);
	require(whole.len == apart.len && (whole.len == 0 || memcmp(whole.data, apart.data, whole.len) == 0));
	buf_release(&whole);
	buf_release(&apart);
	return 0;
}
