/*
 * Records of accounts: what is read is written as the same bytes, and folds, settles and takes events like any record; what is
 * refused says why, and leaves an empty one.
 *
 * The first byte: bits 0 and 1 choose the programme; with bit 7 the input is events, of which a record is made, and bits that are
 * flipped in it; else it is a record, into which the programme's hash is put.
 */
#include "kernel_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SETTLED 2

static void encode(const struct record *record, struct buf *out)
{
	buf_clear(out);
	require(record_encode(record, out) == 0);
}

static void fold(const struct programme *p, const struct record *record)
{
	struct account *const account = account_new(p);
	struct postings postings = {0};
	const struct fact *facts;
	require(account != NULL);
	const size_t n = record_open(record, &facts);
	require(record_fold(record, account, &postings) == 0);
	require(postings.n >= n);
	check_account(p, account);
	use_account(p, account, n ? facts[n - 1].time_us : 0);
	postings_release(&postings);
	account_free(account);
}

/* Reads it again, and it is as it was. */
static void read_again(struct record *record)
{
	struct buf first = {0};
	struct buf second = {0};
	const bool marked = record_is_marked(record);
	encode(record, &first);
	require(record_decode(record, (struct slice){first.data, first.len}, NULL) == 0);
	encode(record, &second);
	require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	require(record_is_marked(record) == marked);
	buf_release(&first);
	buf_release(&second);
}

static void use_record(const struct programme *p, struct record *record)
{
	const struct fact *facts;
	enum record_added added;
	fold(p, record);
	const size_t n = record_open(record, &facts);
	if (n) {
		const struct fact newest = facts[n - 1];
		require(record_add(record, &newest, &added) == 0 && added == RECORD_HAD);
	}
	require(record_settle(record) == 0);
	require(record_open(record, &facts) <= p->open_max);
	read_again(record);
	fold(p, record);
}

static void check_record(const struct programme *p, struct slice bytes)
{
	struct record *const record = record_new(p);
	struct buf again = {0};
	struct error err = {0};
	const struct fact *facts;
	require(record != NULL);
	if (record_decode(record, bytes, &err) < 0) {
		require(err.code == ERROR_CORRUPT && err.message[0]);
		require(record_open(record, &facts) == 0 && !record_is_marked(record));
	} else {
		encode(record, &again);
		/* Version 1 is only read. */
		require(bytes.data[0] == 1 ||
			(again.len == bytes.len && memcmp(again.data, bytes.data, bytes.len) == 0));
		use_record(p, record);
	}
	buf_release(&again);
	record_free(record);
}

static void make_record(const struct programme *p, const uint8_t *data, size_t size, size_t *at, struct buf *bytes)
{
	struct fact facts[FACTS_MAX];
	struct record *const record = record_new(p);
	require(record != NULL);
	const size_t n = kernel_facts(p, data, size, at, facts);
	require(record_of_history(record, facts, n) == 0);
	encode(record, bytes);
	record_free(record);
}

/* Where the hash of the programme is: of the settled state, or behind the flags. */
static void put_hash(const struct programme *p, struct buf *bytes)
{
	if (bytes->len < 3)
		return;
	size_t at = 2;
	if (bytes->data[1] & SETTLED) {
		while (at < bytes->len && bytes->data[at] & 0x80)
			at++;
		at += 2; /* the last byte of the length, and the version */
	}
	if (at + 8 <= bytes->len)
		put_u64(bytes->data + at, p->hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct programme *const p = kernel_programme(data[0]);
	struct buf bytes = {0};
	size_t at = 1;
	if (data[0] & 0x80) {
		make_record(p, data, size, &at, &bytes);
		check_record(p, (struct slice){bytes.data, bytes.len});
		flip_bits(&bytes, data, size, at);
	} else {
		require(buf_append(&bytes, data + 1, size - 1) == 0);
		if (size > 1 && data[1] == 2)
			put_hash(p, &bytes);
	}
	check_record(p, (struct slice){bytes.data, bytes.len});
	buf_release(&bytes);
	return 0;
}
