/* Tiers: levels that are reached, reviewed and lost (account_internal.h; docs/programme.md, "Tiers"). */
#include "loyalty/account_internal.h"

static const struct tier_rules *rules_of(const struct account *account)
{
	return &account->programme->tiers;
}

/* The highest level that the metric reaches. */
static unsigned level_reached(const struct account *account)
{
	const struct tier_rules *const rules = rules_of(account);
	unsigned level = rules->n_levels - 1;
	while (level > 0 && account->days.tier_metric < rules->levels[level].threshold)
		level--;
	return level;
}

/* The level holds as of now. What a base is confirmed by does not matter. */
static void confirm(struct account *account)
{
	struct tier_state *const tier = &account->tier;
	if (tier->level == 0) {
		*tier = (struct tier_state){.review_day = DAY_MAX};
		return;
	}
	tier->margin = account->days.tier_metric - rules_of(account)->levels[tier->level].threshold;
	tier->confirmed_day = account->day;
	tier->confirmed_orders = account->orders.n;
}

static void plan_review(struct account *account)
{
	const int32_t valid_months = rules_of(account)->valid_months;
	if (account->tier.level == 0 || valid_months == 0) {
		account->tier.review_day = DAY_MAX;
		return;
	}
	account->tier.review_day = civil_add_months(account->day, valid_months);
	account_expect(account, account->tier.review_day);
}

static int change_level(struct account *account, const struct entry_context *context, unsigned level)
{
	struct posting *posting;
	if (account_post_more(account, context, POSTING_TIER, 0, 0, LOT_NONE, &posting) < 0)
		return ERROR_NO_MEMORY;
	if (posting)
		posting->tier_after = (uint8_t)level;
	account->tier.level = level;
	plan_review(account);
	confirm(account);
	return 0;
}

int tier_after_order(struct account *account, const struct entry_context *context)
{
	const struct tier_rules *const rules = rules_of(account);
	const unsigned next = account->tier.level + 1;
	if (next >= rules->n_levels || account->days.tier_metric < rules->levels[next].threshold)
		return 0;
	return change_level(account, context, level_reached(account));
}

int tier_after_refund(struct account *account, const struct entry_context *context, uint32_t position, int64_t metric)
{
	struct tier_state *const tier = &account->tier;
	if (tier->level == 0 || metric == 0 || position >= tier->confirmed_orders)
		return 0;
	const int32_t day = account->orders.items[position].day;
	if (day < tier_window_first(rules_of(account), tier->confirmed_day))
		return 0;
	const bool was_reached = tier->margin >= 0;
	tier->margin -= metric;
	if (!was_reached || tier->margin >= 0)
		return 0;
	const unsigned level = level_reached(account);
	if (level < tier->level)
		return change_level(account, context, level);
	confirm(account);
	return 0;
}

int tier_review(struct account *account, const struct entry_context *context)
{
	const struct tier_rules *const rules = rules_of(account);
	const unsigned level = account->tier.level;
	if (account->days.tier_metric >= rules->levels[level].threshold) {
		plan_review(account);
		confirm(account);
		return 0;
	}
	switch (rules->downgrade) {
	case DOWNGRADE_ONE_DOWN:
		return change_level(account, context, level - 1);
	case DOWNGRADE_TO_BASE:
		return change_level(account, context, 0);
	case DOWNGRADE_REQUALIFY:
		break;
	}
	return change_level(account, context, level_reached(account));
}
