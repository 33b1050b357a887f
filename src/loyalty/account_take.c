/* Points that are given and taken: debt, lots, and the entries they leave (docs/programme.md, "Ledgers, lots, debt"). */
#include "loyalty/account_internal.h"

/* A posting of kind earn says by which rules. */
static int post_given(struct account *account, const struct entry_context *context, enum posting_kind kind,
		      unsigned ledger, int64_t n, int32_t lot, const struct earning *earning)
{
	struct posting *posting;
	if (account_post_more(account, context, kind, ledger, n, lot, &posting) < 0)
		return ERROR_NO_MEMORY;
	if (posting && earning) {
		posting->rules = earning->rules[ledger];
		posting->promotions = earning->promotions[ledger];
	}
	return 0;
}

int account_give(struct account *account, const struct entry_context *context, enum posting_kind kind, unsigned ledger,
		 int64_t n, int32_t available, const struct earning *earning)
{
	struct ledger_state *const state = &account->ledgers[ledger];
	state->issued_milli += n;
	if (state->debt_milli) {
		const int64_t paid = n < state->debt_milli ? n : state->debt_milli;
		state->debt_milli -= paid;
		n -= paid;
		if (post_given(account, context, kind, ledger, paid, LOT_NONE, earning) < 0)
			return ERROR_NO_MEMORY;
		if (n == 0)
			return 0;
	}
	const int32_t expires = programme_expiry_day(account->programme, ledger, account->day);
	if (lots_add(&state->lots, expires, available, n) < 0)
		return ERROR_NO_MEMORY;
	account_expect(account, expires);
	if (available != DAY_MIN)
		account_expect(account, available);
	return post_given(account, context, kind, ledger, n, expires, earning);
}

/* How much of n counts as taken, what becomes debt included. */
static int64_t countable(const struct account *account, unsigned ledger, int64_t n)
{
	const int64_t there = account->ledgers[ledger].lots.total_milli;
	return account->programme->ledgers[ledger].negative == NEGATIVE_FORGIVE && n > there ? there : n;
}

bool account_take_fits(const struct account *account, unsigned ledger, int64_t taken_milli, int64_t n)
{
	return countable(account, ledger, n) <= LIMIT_SUM - taken_milli;
}

/* Takes up to *n off lot i of a list, and as much off *n. */
static int take_lot(struct account *account, const struct entry_context *context, enum posting_kind kind,
		    unsigned ledger, struct lot_list *list, uint32_t i, int64_t *n)
{
	const int32_t expires = lot_at(list, i)->expires;
	const int64_t taken = lots_take(&account->ledgers[ledger].lots, list, i, *n);
	*n -= taken;
	return account_post(account, context, kind, ledger, -taken, expires);
}

static int take_list(struct account *account, const struct entry_context *context, enum posting_kind kind,
		     unsigned ledger, struct lot_list *list, int64_t *n)
{
	while (*n && list->n)
		if (take_lot(account, context, kind, ledger, list, 0, n) < 0)
			return ERROR_NO_MEMORY;
	return 0;
}

/* What the lots did not have. */
static int take_rest(struct account *account, const struct entry_context *context, enum posting_kind kind,
		     unsigned ledger, int64_t n)
{
	if (n == 0 || account->programme->ledgers[ledger].negative == NEGATIVE_FORGIVE)
		return 0;
	account->ledgers[ledger].debt_milli += n;
	return account_post(account, context, kind, ledger, -n, LOT_NONE);
}

/* The lot where the points of an order of `day` lie, if they are there. */
static int take_order_lot(struct account *account, const struct entry_context *context, unsigned ledger, int32_t day,
			  int64_t *n)
{
	const struct ledger_rules *const rules = &account->programme->ledgers[ledger];
	struct lots *const lots = &account->ledgers[ledger].lots;
	const int32_t moved = rules->expiry == EXPIRY_INACTIVITY ? account->last_order_day : day;
	const int32_t expires = programme_expiry_day(account->programme, ledger, moved);
	const bool pending = rules->pending_days && day + rules->pending_days > account->day;
	struct lot_list *const list = pending ? &lots->pending : &lots->spendable;
	const int64_t i = lot_find(list, expires, pending ? day + rules->pending_days : DAY_MIN);
	return i < 0 ? 0 : take_lot(account, context, POSTING_REVERSE, ledger, list, (uint32_t)i, n);
}

int account_take_back(struct account *account, const struct entry_context *context, unsigned ledger, int64_t n,
		      int32_t day, bool *touched)
{
	struct ledger_state *const state = &account->ledgers[ledger];
	const int64_t before = account->n_postings;
	state->reversed_milli += countable(account, ledger, n);
	if (take_order_lot(account, context, ledger, day, &n) < 0 ||
	    take_list(account, context, POSTING_REVERSE, ledger, &state->lots.pending, &n) < 0 ||
	    take_list(account, context, POSTING_REVERSE, ledger, &state->lots.spendable, &n) < 0 ||
	    take_rest(account, context, POSTING_REVERSE, ledger, n) < 0)
		return ERROR_NO_MEMORY;
	*touched |= account->n_postings > before;
	return 0;
}

int account_take(struct account *account, const struct entry_context *context, enum posting_kind kind, unsigned ledger,
		 int64_t n, int64_t *taken_milli)
{
	struct lots *const lots = &account->ledgers[ledger].lots;
	const int64_t before = account->n_postings;
	*taken_milli += countable(account, ledger, n);
	if (take_list(account, context, kind, ledger, &lots->spendable, &n) < 0 ||
	    take_list(account, context, kind, ledger, &lots->pending, &n) < 0 ||
	    take_rest(account, context, kind, ledger, n) < 0)
		return ERROR_NO_MEMORY;
	return account->n_postings > before ? 0 : account_post(account, context, kind, ledger, 0, LOT_NONE);
}
