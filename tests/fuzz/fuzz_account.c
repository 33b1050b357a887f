/*
 * Account records: what is read encodes to the same bytes, goes on like any account, and what is refused says why. The first
 * bytes may be orders that are folded first: then the record is one of ours, in which the rest flips bits.
 */
#include "loyalty/account.h"

#include "base/limits.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct programme *rules(void)
{
	static struct programme programme = {.earn = {.points_milli = 1000, .per_minor = 2500}};
	if (!programme.timezone)
		require(tz_load("America/New_York", &programme.timezone, NULL) == 0);
	return &programme;
}

static void check_record(const char *bytes, size_t len)
{
	struct error err = {0};
	struct account account;
	struct buf again = {0};
	account_init(&account);
	const int rc = account_decode((struct slice){bytes, len}, &account, &err);
	if (rc < 0) {
		require(rc == ERROR_CORRUPT && err.message[0]);
		require(account.orders == 0 && account.days.n_words == 0);
		return;
	}
	require(account_encode(&account, &again) == 0);
	require(again.len == len && memcmp(again.data, bytes, len) == 0);
	const int64_t visits = account_visits(&account);
	if (account.orders < INT64_MAX && account_apply_order(&account, rules(), 0, 1, NULL, &err) == 0) {
		const int64_t now = account_visits(&account);
		require(now == visits || now == visits + 1);
	}
	account_release(&account);
	buf_release(&again);
}

/* A record of up to 20 orders, eight bytes each: five of time, three of amount. Returns how many bytes were taken. */
static size_t make_record(const uint8_t *data, size_t size, struct buf *record)
{
	struct account account;
	size_t at = 1;
	account_init(&account);
	for (unsigned n = size ? data[0] % 21 : 0; n > 0 && at + 8 <= size; n--, at += 8) {
		uint64_t time_s = 0;
		for (unsigned i = 0; i < 5; i++)
			time_s = time_s << 8 | data[at + i];
		const int64_t amount = data[at + 5] << 16 | data[at + 6] << 8 | data[at + 7];
		require(account_apply_order(&account, rules(), (int64_t)(time_s % LIMIT_TIME_MAX_S) * 1000000, amount,
					    NULL, NULL) == 0);
	}
	require(account_encode(&account, record) == 0);
	account_release(&account);
	return at < size ? at : size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf record = {0};
	check_record((const char *)data, size);
	size_t at = make_record(data, size, &record);
	check_record(record.data, record.len);
	for (; at + 1 < size; at += 2)
		record.data[data[at] % record.len] = (char)(record.data[data[at] % record.len] ^ data[at + 1]);
	check_record(record.data, record.len);
	buf_release(&record);
	return 0;
}
