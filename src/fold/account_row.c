#include "fold/account_row.h"

#include "base/limits.h"

#define MILLI_PER_MINOR 10
#define MILLI           1000

const struct fold_column ACCOUNT_COLUMN[ACCOUNT_COLUMNS] = {
	[ACCOUNT_EVENTS] = {"events", FOLD_BIGINT},
	[ACCOUNT_ORDERS] = {"orders", FOLD_BIGINT},
	[ACCOUNT_VISITS] = {"visits", FOLD_BIGINT},
	[ACCOUNT_SPEND] = {"spend", FOLD_DECIMAL_18_2},
	[ACCOUNT_BALANCE] = {"points_balance", FOLD_DECIMAL_18_3},
	[ACCOUNT_EARNED] = {"points_earned", FOLD_DECIMAL_18_3},
	[ACCOUNT_REDEEMED] = {"points_redeemed", FOLD_DECIMAL_18_3},
	[ACCOUNT_EXPIRED] = {"points_expired", FOLD_DECIMAL_18_3},
	[ACCOUNT_PENDING] = {"points_pending", FOLD_DECIMAL_18_3},
	[ACCOUNT_EXPIRING] = {"points_expiring_30d", FOLD_DECIMAL_18_3},
	[ACCOUNT_TIER] = {"tier", FOLD_TEXT},
	[ACCOUNT_VALID_TO] = {"tier_valid_to", FOLD_DATE},
	[ACCOUNT_TO_NEXT] = {"to_next_tier", FOLD_DECIMAL_18_3},
	[ACCOUNT_FIRST] = {"first_order", FOLD_TIMESTAMP},
	[ACCOUNT_LAST] = {"last_order", FOLD_TIMESTAMP},
	[ACCOUNT_SINCE_LAST] = {"days_since_order", FOLD_BIGINT},
	[ACCOUNT_WINDOW_VISITS] = {"window_visits", FOLD_BIGINT},
	[ACCOUNT_WINDOW_SPEND] = {"window_spend", FOLD_DECIMAL_18_2},
	[ACCOUNT_FAVOURITE] = {"favourite", FOLD_TEXT},
};

const struct fold_column BALANCE_COLUMN[BALANCE_COLUMNS] = {
	[BALANCE_LEDGER] = {"ledger", FOLD_TEXT},           [BALANCE_BALANCE] = {"balance", FOLD_DECIMAL_18_3},
	[BALANCE_PENDING] = {"pending", FOLD_DECIMAL_18_3}, [BALANCE_DEBT] = {"debt", FOLD_DECIMAL_18_3},
	[BALANCE_EARNED] = {"earned", FOLD_DECIMAL_18_3},   [BALANCE_REDEEMED] = {"redeemed", FOLD_DECIMAL_18_3},
	[BALANCE_EXPIRED] = {"expired", FOLD_DECIMAL_18_3}, [BALANCE_EXPIRING] = {"expiring_30d", FOLD_DECIMAL_18_3},
	[BALANCE_NEXT_EXPIRY] = {"next_expiry", FOLD_DATE},
};

static bool fits(int64_t value)
{
	return value >= -LIMIT_SUM && value <= LIMIT_SUM;
}

/* A metric's number as DECIMAL(18,3) in its unit. */
static int scale_metric(const struct programme *programme, int64_t value, int64_t *out)
{
	static const int64_t SCALES[] = {
		[METRIC_SPEND] = MILLI_PER_MINOR,
		[METRIC_POINTS_EARNED] = 1,
		[METRIC_VISITS] = MILLI,
	};
	int64_t scaled;
	if (__builtin_mul_overflow(value, SCALES[programme->tiers.metric], &scaled) || !fits(scaled))
		return ERROR_OVERFLOW;
	*out = scaled;
	return 0;
}

int account_summarize(const struct programme *programme, const struct account *account, struct account_summary *out,
		      struct balance_summary *balances)
{
	/* Padding, too: it may be written to a file. */
	memset(out, 0, sizeof(*out));
	memset(balances, 0, programme->n_ledgers * sizeof(*balances));
	account_totals(account, &out->totals);
	account_tier(account, &out->tier);
	const int rc = scale_metric(programme, out->tier.to_next, &out->to_next_milli);
	if (rc < 0 || !fits(out->totals.spend_minor) || !fits(out->totals.window_spend_minor))
		return ERROR_OVERFLOW;
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		account_balance(account, i, &balances[i].balance);
		balances[i].expiring_milli = account_expiring(account, i, out->totals.day + EXPIRING_DAYS);
	}
	return 0;
}

/* A number that is not there when `known` is false. */
static struct fold_value number(bool known, int64_t value)
{
	return (struct fold_value){.is_null = !known, .number = known ? value : 0};
}

static struct fold_value text(struct slice value)
{
	return (struct fold_value){.is_null = !value.len, .text = value};
}

void account_row_of(const struct programme *programme, int32_t day, const struct account_summary *summary,
		    const struct balance_summary *first, struct slice favourite, struct fold_value out[ACCOUNT_COLUMNS])
{
	const struct tier_rules *const tiers = &programme->tiers;
	const struct account_totals *const totals = &summary->totals;
	const struct account_balance *const balance = &first->balance;
	const unsigned level = summary->tier.level;
	const bool has_orders = totals->orders > 0;
	out[ACCOUNT_EVENTS] = number(true, totals->events);
	out[ACCOUNT_ORDERS] = number(true, totals->orders);
	out[ACCOUNT_VISITS] = number(true, totals->visits);
	out[ACCOUNT_SPEND] = number(true, totals->spend_minor);
	out[ACCOUNT_BALANCE] = number(true, balance->balance_milli);
	out[ACCOUNT_EARNED] = number(true, balance->issued_milli - balance->reversed_milli);
	out[ACCOUNT_REDEEMED] = number(true, balance->redeemed_milli);
	out[ACCOUNT_EXPIRED] = number(true, balance->expired_milli);
	out[ACCOUNT_PENDING] = number(true, balance->pending_milli);
	out[ACCOUNT_EXPIRING] = number(true, first->expiring_milli);
	out[ACCOUNT_TIER] = text(slice_of(level < tiers->n_levels ? tiers->levels[level].name : NULL));
	out[ACCOUNT_VALID_TO] =
		number(tiers->n_levels && summary->tier.review_day != DAY_MAX, summary->tier.review_day);
	/* Nothing is next at the top. */
	out[ACCOUNT_TO_NEXT] = number(level + 1 < tiers->n_levels, summary->to_next_milli);
	out[ACCOUNT_FIRST] = number(has_orders, totals->first_us);
	out[ACCOUNT_LAST] = number(has_orders, totals->last_us);
	out[ACCOUNT_SINCE_LAST] = number(has_orders, (int64_t)day - tz_local_day(programme->timezone, totals->last_us));
	out[ACCOUNT_WINDOW_VISITS] = number(true, totals->window_visits);
	out[ACCOUNT_WINDOW_SPEND] = number(true, totals->window_spend_minor);
	out[ACCOUNT_FAVOURITE] = text(favourite);
}

void balance_row_of(const struct programme *programme, unsigned ledger, const struct balance_summary *summary,
		    struct fold_value out[BALANCE_COLUMNS])
{
	const struct account_balance *const balance = &summary->balance;
	out[BALANCE_LEDGER] = text(slice_of(programme->ledgers[ledger].name));
	out[BALANCE_BALANCE] = number(true, balance->balance_milli);
	out[BALANCE_PENDING] = number(true, balance->pending_milli);
	out[BALANCE_DEBT] = number(true, balance->debt_milli);
	out[BALANCE_EARNED] = number(true, balance->issued_milli - balance->reversed_milli);
	out[BALANCE_REDEEMED] = number(true, balance->redeemed_milli);
	out[BALANCE_EXPIRED] = number(true, balance->expired_milli);
	out[BALANCE_EXPIRING] = number(true, summary->expiring_milli);
	out[BALANCE_NEXT_EXPIRY] = number(balance->next_expiry_day != DAY_MAX, balance->next_expiry_day);
}
