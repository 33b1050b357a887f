/*
 * States of accounts: what is read is written as the same bytes, is right in itself and goes on like any account; what is refused
 * says why, and leaves an empty one.
 *
 * The first byte: bits 0 and 1 choose the programme; with bit 7 the input is events, of which a state is made, and bits that are
 * flipped in it; else it is a state, into which the programme's hash is put.
 */
#include "kernel_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_state(const struct programme *p, struct slice state)
{
	struct account *const account = account_new(p);
	struct buf again = {0};
	struct error err = {0};
	struct account_totals t;
	require(account != NULL);
	if (account_decode(state, account, &err) < 0) {
		require(err.code == ERROR_CORRUPT && err.message[0]);
		account_totals(account, &t);
		require(t.events == 0 && t.day == DAY_MIN && t.postings == 0);
	} else {
		require(account_encode(account, &again) == 0);
		require(again.len == state.len && memcmp(again.data, state.data, state.len) == 0);
		check_account(p, account);
		account_totals(account, &t);
		use_account(p, account, 0);
		buf_clear(&again);
		require(account_encode(account, &again) == 0);
		require(account_decode((struct slice){again.data, again.len}, account, &err) == 0);
	}
	buf_release(&again);
	account_free(account);
}

static void make_state(const struct programme *p, const uint8_t *data, size_t size, size_t *at, struct buf *state)
{
	struct fact facts[FACTS_MAX];
	struct account *const account = account_new(p);
	require(account != NULL);
	const size_t n = kernel_facts(p, data, size, at, facts);
	for (size_t i = 0; i < n; i++)
		require(account_apply(account, &facts[i], NULL) == 0);
	check_account(p, account);
	require(account_encode(account, state) == 0);
	account_free(account);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct programme *const p = kernel_programme(data[0]);
	struct buf state = {0};
	size_t at = 1;
	if (data[0] & 0x80) {
		make_state(p, data, size, &at, &state);
		check_state(p, (struct slice){state.data, state.len});
		flip_bits(&state, data, size, at);
	} else {
		require(buf_append(&state, data + 1, size - 1) == 0);
		if (state.len >= 9)
			put_u64(state.data + 1, p->hash);
	}
	check_state(p, (struct slice){state.data, state.len});
	buf_release(&state);
	return 0;
}
