#include "loyalty/account_internal.h"

#include <stdlib.h>

#define SECONDS_PER_DAY 86400
#define US_PER_SECOND   INT64_C(1000000)

static void clear_scalars(struct account *account)
{
	account->day = DAY_MIN;
	account->next_due = DAY_MAX;
	account->time_us = INT64_MIN;
	account->events = account->rejected = account->orders_n = account->visits = 0;
	account->gross_minor = account->refunds_minor = 0;
	account->first_us = account->last_us = 0;
	account->last_order_day = DAY_MIN;
	account->n_postings = 0;
	account->tier = (struct tier_state){.review_day = DAY_MAX};
}

struct account *account_new(const struct programme *programme)
{
	struct account *const account = calloc(1, sizeof(*account));
	if (!account)
		return NULL;
	account->programme = programme;
	account_reset(account);
	return account;
}

void account_free(struct account *account)
{
	if (!account)
		return;
	for (unsigned i = 0; i < PROGRAMME_LEDGERS_MAX; i++)
		lots_release(&account->ledgers[i].lots);
	orders_release(&account->orders);
	free(account->days.items);
	free(account);
}

void account_reset(struct account *account)
{
	clear_scalars(account);
	days_clear(&account->days);
	orders_clear(&account->orders);
	for (unsigned i = 0; i < account->programme->n_ledgers; i++) {
		struct ledger_state *const ledger = &account->ledgers[i];
		lots_clear(&ledger->lots);
		*ledger = (struct ledger_state){.lots = ledger->lots};
	}
}

static int copy_parts(struct account *to, const struct account *from)
{
	const unsigned n_ledgers = from->programme->n_ledgers;
	for (unsigned i = 0; i < n_ledgers; i++) {
		struct ledger_state *const ledger = &to->ledgers[i];
		const struct lots lots = ledger->lots;
		*ledger = from->ledgers[i];
		ledger->lots = lots;
		if (lots_copy(&ledger->lots, &from->ledgers[i].lots) < 0)
			return ERROR_NO_MEMORY;
	}
	if (days_copy(&to->days, &from->days) < 0)
		return ERROR_NO_MEMORY;
	return orders_copy(&to->orders, &from->orders, n_ledgers);
}

int account_copy(struct account *to, const struct account *from)
{
	assert(to != from && to->programme == from->programme);
	to->day = from->day;
	to->next_due = from->next_due;
	to->time_us = from->time_us;
	to->events = from->events;
	to->rejected = from->rejected;
	to->orders_n = from->orders_n;
	to->visits = from->visits;
	to->gross_minor = from->gross_minor;
	to->refunds_minor = from->refunds_minor;
	to->first_us = from->first_us;
	to->last_us = from->last_us;
	to->last_order_day = from->last_order_day;
	to->n_postings = from->n_postings;
	to->tier = from->tier;
	if (copy_parts(to, from) == 0)
		return 0;
	account_reset(to);
	return ERROR_NO_MEMORY;
}

void account_forget_orders(struct account *account)
{
	orders_clear(&account->orders);
	account->last_order_day = DAY_MIN;
	account->tier.margin = 0;
	account->tier.confirmed_day = 0;
	account->tier.confirmed_orders = 0;
	account->time_us = INT64_MIN;
}

/* --- entries -------------------------------------------------------------------------------------------------------------- */

int account_fill_posting(struct account *account, const struct entry_context *context, enum posting_kind kind,
			 unsigned ledger, int64_t points_milli, int32_t lot, struct posting **posting)
{
	*posting = postings_add(context->postings);
	if (!*posting)
		return ERROR_NO_MEMORY;
	const struct ledger_state *const state = &account->ledgers[ledger];
	**posting = (struct posting){
		.time_us = context->time_us,
		.event_id = context->event_id,
		.kind = kind,
		.ledger = (uint8_t)ledger,
		.number = account->n_postings,
		.points_milli = points_milli,
		.balance_milli = state->lots.total_milli - state->debt_milli,
		.day = context->day,
		.lot = lot,
		.tier = (uint8_t)account->tier.level,
		.tier_after = (uint8_t)account->tier.level,
	};
	return 0;
}

static int reject_event(struct account *account, const struct entry_context *context, enum reject_reason reason)
{
	struct posting *posting;
	if (account_post_more(account, context, POSTING_REJECT, 0, 0, LOT_NONE, &posting) < 0)
		return ERROR_NO_MEMORY;
	if (posting)
		posting->reject = reason;
	account->rejected++;
	return 0;
}

/* --- what falls due ------------------------------------------------------------------------------------------------------- */

/* The first instant whose local time is midnight of the day, or later where clocks skip midnight. */
static int64_t start_of_day_us(const struct programme *programme, int32_t day)
{
	const struct tz *const tz = programme->timezone;
	const int64_t midnight_s = (int64_t)day * SECONDS_PER_DAY;
	int64_t hi = tz_utc_of_local_s(tz, midnight_s);
	const int32_t offset_s = tz_offset_s(tz, hi);
	/* In a gap, tz goes on by as much as midnight is inside; the first instant behind it is where the offset begins. */
	int64_t lo = hi - (hi + offset_s - midnight_s);
	while (lo < hi) {
		const int64_t middle = lo + (hi - lo) / 2;
		if (tz_offset_s(tz, middle) == offset_s)
			hi = middle;
		else
			lo = middle + 1;
	}
	return hi * US_PER_SECOND;
}

static int expire_ledger(struct account *account, const struct entry_context *context, unsigned i)
{
	struct ledger_state *const ledger = &account->ledgers[i];
	const int64_t expired = lots_expire(&ledger->lots, account->day);
	if (lots_mature(&ledger->lots, account->day) < 0)
		return ERROR_NO_MEMORY;
	ledger->expired_milli += expired;
	return expired ? account_post(account, context, POSTING_EXPIRE, i, -expired, account->day) : 0;
}

int32_t account_due(const struct account *account)
{
	int32_t due = account->tier.review_day;
	for (unsigned i = 0; i < account->programme->n_ledgers; i++) {
		const int32_t lots = lots_due(&account->ledgers[i].lots);
		due = lots < due ? lots : due;
	}
	return due;
}

/* All that falls due at the start of one day. */
static int pass_day(struct account *account, int32_t day, struct postings *postings)
{
	struct entry_context context = {.postings = postings, .day = day};
	if (postings)
		context.time_us = start_of_day_us(account->programme, day);
	account->day = day;
	days_reach(&account->days, account->programme, day);
	for (unsigned i = 0; i < account->programme->n_ledgers; i++)
		if (expire_ledger(account, &context, i) < 0)
			return ERROR_NO_MEMORY;
	if (account->tier.review_day <= day && tier_review(account, &context) < 0)
		return ERROR_NO_MEMORY;
	account->next_due = account_due(account);
	return 0;
}

int account_advance(struct account *account, int32_t day, struct postings *postings)
{
	assert(day >= DAY_FIRST && day <= DAY_LAST);
	if (day <= account->day)
		return 0;
	while (account->next_due <= day)
		if (pass_day(account, account->next_due, postings) < 0)
			return ERROR_NO_MEMORY;
	account->day = day;
	days_reach(&account->days, account->programme, day);
	return 0;
}

/* --- orders --------------------------------------------------------------------------------------------------------------- */

static bool order_fits(const struct account *account, const struct fact *fact, struct earning *earning)
{
	if (fact->total_minor > LIMIT_SUM - account->gross_minor)
		return false;
	if (earn_order(account->programme, fact, account->tier.level, earning) < 0)
		return false;
	for (unsigned i = 0; i < account->programme->n_ledgers; i++)
		if (earning->points_milli[i] > LIMIT_SUM - account->ledgers[i].issued_milli)
			return false;
	return true;
}

static int give_earned(struct account *account, const struct entry_context *context, const struct earning *earning)
{
	const struct programme *const programme = account->programme;
	bool any = false;
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		if (earning->points_milli[i] == 0)
			continue;
		any = true;
		const int32_t pending_days = programme->ledgers[i].pending_days;
		const int32_t available = pending_days ? account->day + pending_days : DAY_MIN;
		if (account_give(account, context, POSTING_EARN, i, earning->points_milli[i], available, earning) < 0)
			return ERROR_NO_MEMORY;
	}
	return any ? 0 : account_post(account, context, POSTING_EARN, 0, 0, LOT_NONE);
}

/* An order keeps the lots of an `inactivity` ledger alive, all of them. */
static void move_inactive(struct account *account)
{
	for (unsigned i = 0; i < account->programme->n_ledgers; i++) {
		const struct ledger_rules *const rules = &account->programme->ledgers[i];
		struct lots *const lots = &account->ledgers[i].lots;
		if (rules->expiry == EXPIRY_INACTIVITY && lots->total_milli)
			lots_move(lots, programme_expiry_day(account->programme, i, account->day));
	}
}

static int count_order(struct account *account, const struct fact *fact, const struct earning *earning)
{
	bool first_of_day;
	const int64_t metric =
		account->programme->tiers.metric == METRIC_SPEND ? fact->eligible_minor : earning->points_milli[0];
	if (days_add_order(&account->days, account->programme, account->day, metric, fact->total_minor, &first_of_day) <
	    0)
		return ERROR_NO_MEMORY;
	account->visits += first_of_day;
	if (account->orders_n++ == 0)
		account->first_us = fact->time_us;
	account->last_us = fact->time_us;
	account->last_order_day = account->day;
	account->gross_minor += fact->total_minor;
	struct order *const order = orders_add(&account->orders, earning->points_milli, account->programme->n_ledgers);
	if (!order)
		return ERROR_NO_MEMORY;
	order->id_hash = fact_id_hash(fact->id);
	order->total_minor = fact->total_minor;
	order->eligible_minor = fact->eligible_minor;
	order->refunded = (struct refunded){0, 0};
	order->day = account->day;
	order->rejected = false;
	return 0;
}

/* A refund of an order that was rejected must not find an older one with the same id: so it is remembered as what it is. */
static int remember_rejected(struct account *account, const struct fact *fact)
{
	static const int64_t NOTHING[PROGRAMME_LEDGERS_MAX] = {0};
	struct order *const order = orders_add(&account->orders, NOTHING, account->programme->n_ledgers);
	if (!order)
		return ERROR_NO_MEMORY;
	*order = (struct order){.id_hash = fact_id_hash(fact->id), .day = account->day, .rejected = true};
	return 0;
}

static int apply_order(struct account *account, const struct fact *fact, const struct entry_context *context)
{
	struct earning earning;
	enum reject_reason reject = fact->reject;
	if (reject == REJECT_NONE && !order_fits(account, fact, &earning))
		reject = REJECT_OVERFLOW;
	if (reject != REJECT_NONE)
		return remember_rejected(account, fact) < 0 ? ERROR_NO_MEMORY : reject_event(account, context, reject);
	move_inactive(account);
	if (give_earned(account, context, &earning) < 0 || count_order(account, fact, &earning) < 0)
		return ERROR_NO_MEMORY;
	return tier_after_order(account, context);
}

/* --- refunds -------------------------------------------------------------------------------------------------------------- */

/* V: how much of `points` is reversed when `refunded` of `whole` came back. */
static int64_t reversed_by(int64_t points, int64_t whole, int64_t refunded)
{
	if (whole == 0)
		return 0;
	const unsigned __int128 kept = (unsigned __int128)(uint64_t)points * (uint64_t)(whole - refunded);
	if (kept >> 64)
		return points - (int64_t)(kept / (uint64_t)whole);
	return points - (int64_t)((uint64_t)kept / (uint64_t)whole);
}

struct refund {
	struct refunded refunded;                      /* so far, with this one */
	int64_t reversed_milli[PROGRAMME_LEDGERS_MAX]; /* now */
};

/* What a refund comes to, into an empty *refund; false when the sums of the account cannot hold it. */
static bool plan_refund(const struct account *account, const struct fact *fact, uint32_t position,
			struct refund *refund)
{
	const struct order *const order = &account->orders.items[position];
	const unsigned n_ledgers = account->programme->n_ledgers;
	const int64_t *const points = account->orders.points_milli + (size_t)position * n_ledgers;
	refund->refunded = fact_refunded(order->refunded, order->total_minor, order->eligible_minor, fact);

	const bool by_total = order->eligible_minor == 0;
	const int64_t whole = by_total ? order->total_minor : order->eligible_minor;
	const int64_t before = by_total ? order->refunded.total_minor : order->refunded.eligible_minor;
	const int64_t after = by_total ? refund->refunded.total_minor : refund->refunded.eligible_minor;
	for (unsigned i = 0; i < n_ledgers; i++) {
		if (points[i] == 0)
			continue;
		const int64_t now = reversed_by(points[i], whole, after) - reversed_by(points[i], whole, before);
		if (!account_take_fits(account, i, account->ledgers[i].reversed_milli, now))
			return false;
		refund->reversed_milli[i] = now;
	}
	return true;
}

static int take_refund(struct account *account, const struct entry_context *context, uint32_t position,
		       const struct refund *refund)
{
	const int32_t day = account->orders.items[position].day;
	bool touched = false;
	for (unsigned i = 0; i < account->programme->n_ledgers; i++)
		if (refund->reversed_milli[i] &&
		    account_take_back(account, context, i, refund->reversed_milli[i], day, &touched) < 0)
			return ERROR_NO_MEMORY;
	return touched ? 0 : account_post(account, context, POSTING_REVERSE, 0, 0, LOT_NONE);
}

/* What of a refund counts against tiers. */
static int64_t refund_metric(const struct account *account, const struct order *order, const struct refund *refund)
{
	const struct tier_rules *const tiers = &account->programme->tiers;
	if (tiers->n_levels == 0 || tiers->metric == METRIC_VISITS)
		return 0;
	if (tiers->metric == METRIC_POINTS_EARNED)
		return refund->reversed_milli[0];
	return refund->refunded.eligible_minor - order->refunded.eligible_minor;
}

static enum reject_reason check_refund(const struct account *account, const struct fact *fact, int64_t position)
{
	if (fact->reject != REJECT_NONE && fact->reject != REJECT_OVERFLOW)
		return fact->reject;
	if (position < 0 || account->orders.items[position].rejected)
		return REJECT_UNKNOWN_ORDER;
	const struct order *const order = &account->orders.items[position];
	/* What no number holds is more than any order. */
	if (fact->reject == REJECT_OVERFLOW || fact->total_minor > order->total_minor - order->refunded.total_minor)
		return REJECT_OVER_REFUND;
	return REJECT_NONE;
}

static int apply_refund(struct account *account, const struct fact *fact, const struct entry_context *context)
{
	int64_t found;
	if (orders_find(&account->orders, fact->order_hash, &found) < 0)
		return ERROR_NO_MEMORY;
	const enum reject_reason reject = check_refund(account, fact, found);
	if (reject != REJECT_NONE)
		return reject_event(account, context, reject);
	const uint32_t position = (uint32_t)found;
	struct refund refund = {0};
	if (!plan_refund(account, fact, position, &refund))
		return reject_event(account, context, REJECT_OVERFLOW);
	if (take_refund(account, context, position, &refund) < 0)
		return ERROR_NO_MEMORY;

	struct order *const order = &account->orders.items[position];
	const int64_t metric = refund_metric(account, order, &refund);
	days_refund(&account->days, order->day, metric, fact->total_minor);
	/* Never more than the orders' sum, so it fits. */
	account->refunds_minor += fact->total_minor;
	order->refunded = refund.refunded;
	return tier_after_refund(account, context, position, metric);
}

/* --- redemptions and adjustments ------------------------------------------------------------------------------------------ */

static int apply_redeem(struct account *account, const struct fact *fact, const struct entry_context *context)
{
	if (fact->reject != REJECT_NONE)
		return reject_event(account, context, fact->reject);
	if (fact->declined || fact->points_milli <= 0)
		return account_post(account, context, POSTING_REDEEM, fact->ledger, 0, LOT_NONE);
	int64_t *const redeemed = &account->ledgers[fact->ledger].redeemed_milli;
	if (!account_take_fits(account, fact->ledger, *redeemed, fact->points_milli))
		return reject_event(account, context, REJECT_OVERFLOW);
	return account_take(account, context, POSTING_REDEEM, fact->ledger, fact->points_milli, redeemed);
}

static int apply_adjust(struct account *account, const struct fact *fact, const struct entry_context *context)
{
	if (fact->reject != REJECT_NONE)
		return reject_event(account, context, fact->reject);
	struct ledger_state *const ledger = &account->ledgers[fact->ledger];
	const int64_t points = fact->points_milli;
	if (points == 0)
		return account_post(account, context, POSTING_ADJUST, fact->ledger, 0, LOT_NONE);
	if (points > 0
		    ? points > LIMIT_SUM - ledger->issued_milli
		    : points < -LIMIT_SUM || !account_take_fits(account, fact->ledger, ledger->reversed_milli, -points))
		return reject_event(account, context, REJECT_OVERFLOW);
	if (points > 0)
		return account_give(account, context, POSTING_ADJUST, fact->ledger, points, DAY_MIN, NULL);
	return account_take(account, context, POSTING_ADJUST, fact->ledger, -points, &ledger->reversed_milli);
}

int account_apply(struct account *account, const struct fact *fact, struct postings *postings)
{
	assert(fact->time_us >= account->time_us);
	/* A day that clocks set back bring again does not come again here. */
	if (fact->day > account->day && account_advance(account, fact->day, postings) < 0)
		return ERROR_NO_MEMORY;
	account->time_us = fact->time_us;
	account->events++;
	const struct entry_context context = {postings, fact->time_us, fact->id, fact->day};
	switch (fact->kind) {
	case EVENT_ORDER:
		return apply_order(account, fact, &context);
	case EVENT_REFUND:
		return apply_refund(account, fact, &context);
	case EVENT_REDEEM:
		return apply_redeem(account, fact, &context);
	case EVENT_ADJUST:
		break;
	}
	return apply_adjust(account, fact, &context);
}
