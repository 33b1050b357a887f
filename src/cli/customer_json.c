/* A customer's card as JSON. */
#include "cli/customer_show.h"
#include "cli/json_keys.h"

static void json_slice_or_null(struct json *out, const char *key, struct slice value)
{
	json_key(out, key);
	if (value.len)
		json_slice(out, value);
	else
		json_null(out);
}

static void key_known_time(struct json *out, const char *key, bool known, int64_t time_us)
{
	json_key(out, key);
	if (known)
		json_time(out, time_us);
	else
		json_null(out);
}

static void json_pending(struct json *out, const struct account *account, unsigned ledger)
{
	struct card_pending next = {.day = DAY_MIN};
	json_key(out, "spendable_from");
	json_array(out);
	while (lookup_pending(account, ledger, next.day, &next)) {
		json_object(out);
		key_day(out, "day", next.day);
		key_points(out, "points", next.points_milli);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_ledgers(struct json *out, const struct programme *programme, const struct customer_card *card)
{
	json_key(out, "ledgers");
	json_array(out);
	for (unsigned i = 0; card->account && i < programme->n_ledgers; i++) {
		struct account_balance b;
		account_balance(card->account, i, &b);
		json_object(out);
		json_key(out, "ledger");
		json_text(out, programme->ledgers[i].name);
		json_key(out, "unit");
		json_text(out, programme->ledgers[i].unit);
		key_points(out, "balance", b.balance_milli);
		key_points(out, "pending", b.pending_milli);
		json_pending(out, card->account, i);
		key_points(out, "debt", b.debt_milli);
		key_points(out, "issued", b.issued_milli);
		key_points(out, "reversed", b.reversed_milli);
		key_points(out, "redeemed", b.redeemed_milli);
		key_points(out, "expired", b.expired_milli);
		key_points(out, "expiring_30d", account_expiring(card->account, i, card->totals.day + EXPIRING_DAYS));
		key_day(out, "next_expiry", b.next_expiry_day);
		json_end_object(out);
	}
	json_end_array(out);
}

static void key_metric(struct json *out, const char *key, const struct programme *programme, int64_t value)
{
	static const unsigned SCALES[] = {[METRIC_SPEND] = 2, [METRIC_POINTS_EARNED] = 3, [METRIC_VISITS] = 0};
	json_key(out, key);
	json_decimal(out, value, SCALES[programme->tiers.metric]);
}

static void json_tier(struct json *out, const struct programme *programme, const struct account *account)
{
	static const char *const METRICS[] = {
		[METRIC_SPEND] = "spend", [METRIC_POINTS_EARNED] = "points_earned", [METRIC_VISITS] = "visits"};
	const struct tier_rules *const tiers = &programme->tiers;
	struct account_tier tier;
	json_key(out, "tier");
	if (!account || tiers->n_levels == 0) {
		json_null(out);
		return;
	}
	account_tier(account, &tier);
	const bool top = tier.level + 1 == tiers->n_levels;
	json_object(out);
	json_key(out, "level");
	json_text(out, tiers->levels[tier.level].name);
	key_day(out, "review", tier.review_day);
	json_key(out, "by");
	json_text(out, METRICS[tiers->metric]);
	key_metric(out, "reached", programme, tier.metric);
	json_key(out, "next");
	json_text(out, top ? NULL : tiers->levels[tier.level + 1].name);
	key_metric(out, "to_next", programme, tier.to_next);
	json_end_object(out);
}

static void json_rewards(struct json *out, const struct programme *programme, const struct account *account)
{
	json_key(out, "rewards");
	json_array(out);
	for (unsigned i = 0; account && i < programme->n_rewards; i++) {
		const struct reward *const reward = &programme->rewards[i];
		if (!account_can_redeem(account, reward->ledger, reward->cost_milli))
			continue;
		json_object(out);
		json_key(out, "reward");
		json_text(out, reward->id);
		json_key(out, "ledger");
		json_text(out, programme->ledgers[reward->ledger].name);
		key_points(out, "cost", reward->cost_milli);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_account(struct json *out, const struct lookup *lookup, const struct customer_card *card)
{
	const struct programme *const programme = lookup_programme(lookup);
	const char *const other = lookup_other_programme(lookup);
	struct account_balance first = {0};
	if (card->account)
		account_balance(card->account, 0, &first);
	key_int(out, "orders", card->totals.orders);
	key_int(out, "visits", card->totals.visits);
	json_key(out, "spend");
	json_decimal(out, card->totals.spend_minor, 2);
	key_points(out, "points", first.balance_milli);
	key_points(out, "points_earned", first.issued_milli - first.reversed_milli);
	key_known_time(out, "first_order", card->totals.orders, card->totals.first_us);
	key_known_time(out, "last_order", card->totals.orders, card->totals.last_us);
	key_int(out, "events", card->totals.events);
	key_int(out, "rejected", card->totals.rejected);
	key_day(out, "as_of", card->account ? card->totals.day : DAY_MIN);
	json_key(out, "being_recomputed");
	json_bool(out, card->marked || (other && card->account));
	json_key(out, "programme");
	json_text(out, other ? other : programme->hash_text);
	json_ledgers(out, programme, card);
	json_tier(out, programme, card->account);
	json_rewards(out, programme, card->account);
}

static void json_items(struct json *out, const struct card_items *items, size_t order)
{
	const struct card_line *lines;
	const size_t n_lines = card_items_of(items, order, &lines);
	json_key(out, "items");
	json_array(out);
	for (size_t i = 0; i < n_lines; i++) {
		json_object(out);
		json_slice_or_null(out, "menu", lines[i].menu);
		json_slice_or_null(out, "sku", lines[i].sku);
		key_decimal(out, "quantity", lines[i].qty_milli, 3);
		key_decimal(out, "amount", lines[i].amount_minor, 2);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_orders(struct json *out, const struct customer_orders *shown)
{
	const struct card_orders *const orders = &shown->orders;
	json_key(out, "last_orders");
	json_array(out);
	for (size_t i = 0; i < orders->n; i++) {
		json_object(out);
		json_key(out, "event_id");
		json_slice(out, orders->first[i]->id);
		key_known_time(out, "time", true, orders->first[i]->time_us);
		key_decimal(out, "amount", orders->first[i]->total_minor, 2);
		if (shown->items)
			json_items(out, shown->items, i);
		json_end_object(out);
	}
	json_end_array(out);
	key_known_time(out, "last_orders_since", !orders->all && orders->n < shown->most, orders->since_us);
}

int customer_print_json(const struct lookup *lookup, const struct customer_card *card,
			const struct customer_orders *shown, struct error *err)
{
	struct json out;
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "cust_id");
	if (card->id.text.len)
		json_slice(&out, card->id.text);
	else
		json_int(&out, card->id.number);
	json_slice_or_null(&out, "name", card->profile.name);
	json_slice_or_null(&out, "email", card->profile.email);
	json_slice_or_null(&out, "card", card->profile.card);
	json_slice_or_null(&out, "since", card->profile.since);
	json_slice_or_null(&out, "birth_date", card->profile.birth_date);
	json_slice_or_null(&out, "gender", card->profile.gender);
	json_account(&out, lookup, card);
	json_orders(&out, shown);
	json_end_object(&out);
	json_newline(&out);
	return json_finish(&out, err);
}
