/*
 * Blocks of the journal from any bytes: as they are, and with a right checksum, so that the records behind it are reached. A
 * block that reads to its end reads the same from each of its places.
 */
#include "store/block.h"

#include <stdlib.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PLACES_MAX 64u

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* Reads every byte that a record points at. */
static uint64_t sum_slice(struct slice s)
{
	uint64_t sum = s.len;
	for (size_t i = 0; i < s.len; i++)
		sum = sum * 31 + (unsigned char)s.data[i];
	return sum;
}

static bool is_between(int64_t value, int64_t min, int64_t max)
{
	return value >= min && value <= max;
}

/* What loyalty/event.h promises to the kernel. */
static void require_event(const struct event *e)
{
	require(is_between((int64_t)e->id.len, 1, LIMIT_EVENT_ID_BYTES));
	require(e->customer.text.len <= LIMIT_CUSTOMER_ID_BYTES);
	require(is_between(e->time_us, LIMIT_TIME_MIN_S * 1000000, LIMIT_TIME_MAX_S * 1000000 - 1));
	require(e->kind != EVENT_ORDER || e->n_lines > 0);
	require(e->kind != EVENT_REFUND || is_between((int64_t)e->order_id.len, 1, LIMIT_EVENT_ID_BYTES));
	require(e->kind != EVENT_REFUND || is_between(e->amount_minor, 1, LIMIT_AMOUNT_MINOR));
	require(e->kind != EVENT_REDEEM || is_between(e->points_milli, e->reward.len == 0, LIMIT_POINTS_MILLI));
	require(e->kind != EVENT_ADJUST || e->points_milli != 0);
	require(is_between(e->points_milli, -LIMIT_POINTS_MILLI, LIMIT_POINTS_MILLI));
	for (uint32_t i = 0; i < e->n_lines; i++) {
		const struct order_line *const l = &e->lines[i];
		require(is_between(l->qty_milli, -LIMIT_QUANTITY_MILLI, LIMIT_QUANTITY_MILLI));
		require(is_between(l->price_minor, -LIMIT_AMOUNT_MINOR, LIMIT_AMOUNT_MINOR));
		require(is_between(l->amount_minor, -LIMIT_AMOUNT_MINOR, LIMIT_AMOUNT_MINOR));
	}
}

static uint64_t sum_record(const struct block_record *r)
{
	uint64_t sum = sum_slice(r->file) + r->line * 3 + (uint64_t)r->kind;
	if (r->kind == BLOCK_LINE) {
		require(r->text.len <= BLOCK_LINE_MAX);
		return sum + sum_slice(r->text);
	}
	if (r->kind == BLOCK_QUARANTINED) {
		require(quarantine_reason_name(r->reason) != NULL);
		return sum + sum_slice(r->text) + (uint64_t)r->time_us + (uint64_t)r->reason;
	}
	const struct event *const e = &r->event;
	require(e->n_lines <= LIMIT_ORDER_LINES);
	require(e->customer.guest + (e->customer.text.len > 0) + (e->customer.number != 0) <= 1);
	require_event(e);
	sum += sum_slice(e->id) * 5 + sum_slice(e->store) * 7 + sum_slice(e->customer.text) * 11;
	sum += sum_slice(e->order_id) * 19 + sum_slice(e->ledger) * 23 + sum_slice(e->reward) * 29 +
	       sum_slice(e->reason) * 31;
	sum += (uint64_t)e->amount_minor * 37 + (uint64_t)e->points_milli * 41 + e->declined + (uint64_t)e->kind * 43;
	require(e->kind <= EVENT_ADJUST && (e->kind <= EVENT_REFUND || e->n_lines == 0));
	sum += (uint64_t)e->customer.number * 13 + (uint64_t)e->time_us * 17 + e->n_lines;
	for (uint32_t i = 0; i < e->n_lines; i++) {
		const struct order_line *const l = &e->lines[i];
		sum = sum * 31 + sum_slice(l->menu) + sum_slice(l->sku) * 3;
		sum = sum * 31 + (uint64_t)l->qty_milli + (uint64_t)l->price_minor * 3 + (uint64_t)l->amount_minor * 5;
	}
	return sum;
}

static void read_block(struct slice block)
{
	struct block_reader r;
	struct error err = {0};
	struct block_counts counts;
	const int rc = block_counts(block, &counts, &err);
	require(rc == 0 || rc == ERROR_CORRUPT);
	if (block_reader_open(&r, block, &err) < 0) {
		require(err.code == ERROR_CORRUPT);
		return;
	}
	struct block_place places[PLACES_MAX];
	struct slice files[PLACES_MAX];
	uint64_t sums[PLACES_MAX];
	unsigned n = 0;
	struct block_record record;
	int next;
	do {
		if (n < PLACES_MAX) {
			places[n] = block_reader_place(&r);
			files[n] = r.file;
		}
		next = block_reader_next(&r, &record, &err);
		if (next == 1 && n < PLACES_MAX)
			sums[n++] = sum_record(&record);
		else if (next == 1)
			sum_record(&record);
	} while (next == 1);
	require(next == 0 || next == ERROR_CORRUPT);
	for (unsigned i = n; next == 0 && i > 0; i--) {
		block_reader_go(&r, &places[i - 1], files[i - 1]);
		require(block_reader_next(&r, &record, &err) == 1 && sum_record(&record) == sums[i - 1]);
	}
	block_reader_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_block((struct slice){(const char *)data, size});
	/* The input is what the checksum is of: counts, source, records. */
	char *const block = malloc(size + 12);
	require(block != NULL);
	memcpy(block, "PCB1", 4);
	if (size)
		memcpy(block + 12, data, size);
	put_u64(block + 4, XXH3_64bits(block + 12, size));
	read_block((struct slice){block, size + 12});
	free(block);
	return 0;
}
