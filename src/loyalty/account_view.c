/* What an account tells of itself. */
#include "loyalty/account_internal.h"

void account_totals(const struct account *account, struct account_totals *out)
{
	const struct day_list *const days = &account->days;
	*out = (struct account_totals){
		.events = account->events,
		.rejected = account->rejected,
		.orders = account->orders_n,
		.visits = account->visits,
		.spend_minor = account->gross_minor - account->refunds_minor,
		.first_us = account->first_us,
		.last_us = account->last_us,
		.postings = account->n_postings,
		.day = account->day,
		.window_visits = days->end - days->segment_at,
		.window_spend_minor = days->segment_spend_minor,
	};
}

void account_balance(const struct account *account, unsigned ledger, struct account_balance *out)
{
	assert(ledger < account->programme->n_ledgers);
	const struct ledger_state *const state = &account->ledgers[ledger];
	const struct lot_list *const spendable = &state->lots.spendable;
	const struct lot_list *const pending = &state->lots.pending;
	int64_t pending_milli = 0;
	for (uint32_t i = 0; i < pending->n; i++)
		pending_milli += lot_at(pending, i)->remaining_milli;
	int32_t next = spendable->n ? lot_at(spendable, 0)->expires : DAY_MAX;
	if (pending->n && lot_at(pending, 0)->expires < next)
		next = lot_at(pending, 0)->expires;
	*out = (struct account_balance){
		.balance_milli = state->lots.total_milli - pending_milli - state->debt_milli,
		.pending_milli = pending_milli,
		.debt_milli = state->debt_milli,
		.issued_milli = state->issued_milli,
		.reversed_milli = state->reversed_milli,
		.redeemed_milli = state->redeemed_milli,
		.expired_milli = state->expired_milli,
		.next_expiry_day = next,
	};
}

static int64_t expiring(const struct lot_list *list, int32_t day)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < list->n && lot_at(list, i)->expires <= day; i++)
		sum += lot_at(list, i)->remaining_milli;
	return sum;
}

int64_t account_expiring(const struct account *account, unsigned ledger, int32_t day)
{
	assert(ledger < account->programme->n_ledgers);
	const struct lots *const lots = &account->ledgers[ledger].lots;
	/* DAY_MAX is no day: what never expires does not. */
	const int32_t until = day < DAY_MAX ? day : DAY_MAX - 1;
	return expiring(&lots->spendable, until) + expiring(&lots->pending, until);
}

unsigned account_lots(const struct account *account, unsigned ledger)
{
	assert(ledger < account->programme->n_ledgers);
	const struct lots *const lots = &account->ledgers[ledger].lots;
	return lots->spendable.n + lots->pending.n;
}

void account_lot(const struct account *account, unsigned ledger, unsigned i, struct account_lot *out)
{
	assert(i < account_lots(account, ledger));
	const struct lots *const lots = &account->ledgers[ledger].lots;
	const uint32_t n = lots->spendable.n;
	const struct lot *const lot = i < n ? lot_at(&lots->spendable, i) : lot_at(&lots->pending, i - n);
	*out = (struct account_lot){lot->expires, lot->available, lot->remaining_milli};
}

void account_tier(const struct account *account, struct account_tier *out)
{
	const struct tier_rules *const tiers = &account->programme->tiers;
	const unsigned level = account->tier.level;
	*out = (struct account_tier){
		.level = level,
		.review_day = account->tier.review_day,
		.metric = account->days.tier_metric,
	};
	/* A fall to the base may leave the metric above thresholds: then the next order lifts the customer. */
	if (level + 1 < tiers->n_levels && tiers->levels[level + 1].threshold > out->metric)
		out->to_next = tiers->levels[level + 1].threshold - out->metric;
}

bool account_can_redeem(const struct account *account, unsigned ledger, int64_t points_milli)
{
	struct account_balance balance;
	account_balance(account, ledger, &balance);
	return points_milli <= balance.balance_milli;
}
