#include "base/json.h"
#include "serving/explain_internal.h"

static void put_text_or_null(struct json *json, const char *key, struct slice text)
{
	json_key(json, key);
	if (text.len)
		json_slice(json, text);
	else
		json_null(json);
}

/* A local day; `none` is the one that stands for "there is none". */
static void put_day(struct json *json, const char *key, int32_t day, int32_t none)
{
	char text[11];
	json_key(json, key);
	if (day == none) {
		json_null(json);
		return;
	}
	civil_format(day, text);
	json_text(json, text);
}

static void put_points(struct json *json, const char *key, int64_t points_milli)
{
	json_key(json, key);
	json_decimal(json, points_milli, 3);
}

static void put_money(struct json *json, const char *key, int64_t minor)
{
	json_key(json, key);
	json_decimal(json, minor, 2);
}

/* In the unit of the tiers' metric. */
static void put_metric(struct json *json, const struct programme *programme, const char *key, int64_t metric)
{
	static const unsigned SCALES[] = {[METRIC_SPEND] = 2, [METRIC_POINTS_EARNED] = 3, [METRIC_VISITS] = 0};
	json_key(json, key);
	json_decimal(json, metric, SCALES[programme->tiers.metric]);
}

static void put_programme(struct json *json, const struct programme *programme)
{
	json_key(json, "programme");
	json_object(json);
	json_key(json, "name");
	json_text(json, programme->name);
	json_key(json, "version");
	json_text(json, programme->hash_text);
	json_key(json, "currency");
	json_text(json, programme->currency);
	json_key(json, "timezone");
	json_text(json, tz_name(programme->timezone));
	json_end_object(json);
}

static void put_ledger(struct json *json, const struct explain *explain, unsigned ledger)
{
	struct account_balance b;
	account_balance(explain->account, ledger, &b);
	json_object(json);
	json_key(json, "ledger");
	json_text(json, explain->programme->ledgers[ledger].name);
	put_text_or_null(json, "unit", slice_of(explain->programme->ledgers[ledger].unit));
	put_points(json, "balance", b.balance_milli);
	put_points(json, "pending", b.pending_milli);
	put_points(json, "debt", b.debt_milli);
	put_points(json, "issued", b.issued_milli);
	put_points(json, "reversed", b.reversed_milli);
	put_points(json, "redeemed", b.redeemed_milli);
	put_points(json, "expired", b.expired_milli);
	json_key(json, "lots");
	json_array(json);
	for (unsigned i = 0; i < account_lots(explain->account, ledger); i++) {
		struct account_lot lot;
		account_lot(explain->account, ledger, i, &lot);
		json_object(json);
		put_points(json, "points", lot.remaining_milli);
		put_day(json, "expires", lot.expires, DAY_MAX);
		put_day(json, "pending_until", lot.available > explain->day ? lot.available : DAY_MIN, DAY_MIN);
		json_end_object(json);
	}
	json_end_array(json);
	json_end_object(json);
}

static void put_tier(struct json *json, const struct explain *explain)
{
	const struct programme *const programme = explain->programme;
	const struct tier_rules *const tiers = &programme->tiers;
	json_key(json, "tier");
	if (!tiers->n_levels) {
		json_null(json);
		return;
	}
	struct account_tier tier;
	account_tier(explain->account, &tier);
	json_object(json);
	json_key(json, "level");
	json_text(json, tiers->levels[tier.level].name);
	put_day(json, "review", tier.review_day, DAY_MAX);
	put_metric(json, programme, "metric", tier.metric);
	const bool has_next = tier.level + 1 < tiers->n_levels;
	put_text_or_null(json, "next", has_next ? slice_of(tiers->levels[tier.level + 1].name) : (struct slice){0});
	put_metric(json, programme, "to_next", tier.to_next);
	json_end_object(json);
}

static void put_event(struct json *json, const struct explain_event *event)
{
	json_key(json, "event");
	if (!event) {
		json_null(json);
		return;
	}
	json_object(json);
	json_key(json, "kind");
	json_slice(json, event_kind_name(event->fact.kind));
	put_text_or_null(json, "event_id", event->fact.id);
	put_text_or_null(json, "source", event->source);
	put_text_or_null(json, "store", event->store);
	json_key(json, "time");
	json_time(json, event->fact.time_us);
	if (event->fact.kind == EVENT_ORDER || event->fact.kind == EVENT_REFUND) {
		put_money(json, "amount", event->fact.total_minor);
		put_money(json, "eligible", event->fact.eligible_minor);
	}
	if (event->fact.kind == EVENT_REFUND)
		put_text_or_null(json, "order_id", event->order_id);
	if (event->fact.kind == EVENT_REDEEM) {
		put_text_or_null(json, "reward", event->reward);
		json_key(json, "accepted");
		json_bool(json, !event->fact.declined);
	}
	if (event->fact.kind == EVENT_ADJUST)
		put_text_or_null(json, "reason", event->reason);
	json_end_object(json);
}

/* Names of what a mask says. */
static void put_rules(struct json *json, const struct programme *programme, uint64_t rules)
{
	json_key(json, "rules");
	json_array(json);
	for (unsigned i = 0; i < programme->n_rules; i++) {
		if (!(rules >> i & 1))
			continue;
		json_object(json);
		json_key(json, "rule");
		json_text(json, programme->rules[i].name);
		put_day(json, "from", programme->rules[i].from_day, DAY_MIN);
		put_day(json, "until", programme->rules[i].until_day, DAY_MAX);
		json_end_object(json);
	}
	json_end_array(json);
}

static void put_promotions(struct json *json, const struct programme *programme, uint64_t promotions)
{
	json_key(json, "promotions");
	json_array(json);
	for (unsigned i = 0; i < programme->n_promotions; i++)
		if (promotions >> i & 1)
			json_text(json, programme->promotions[i].name);
	json_end_array(json);
}

static void put_level(struct json *json, const struct programme *programme, const char *key, unsigned level)
{
	json_key(json, key);
	if (level < programme->tiers.n_levels)
		json_text(json, programme->tiers.levels[level].name);
	else
		json_null(json);
}

static void put_lot(struct json *json, const struct posting *posting)
{
	json_key(json, "lot");
	if (posting->lot == LOT_NONE) {
		json_null(json);
		return;
	}
	json_object(json);
	put_day(json, "expires", posting->lot, DAY_MAX);
	json_end_object(json);
}

static void put_entry(struct json *json, const struct explain *explain, const struct posting *posting)
{
	const struct programme *const programme = explain->programme;
	json_object(json);
	json_key(json, "number");
	json_int(json, posting->number);
	json_key(json, "kind");
	json_text(json, posting_kind_name(posting->kind));
	json_key(json, "time");
	json_time(json, posting->time_us);
	json_key(json, "ledger");
	json_text(json, programme->ledgers[posting->ledger].name);
	put_points(json, "points", posting->points_milli);
	put_points(json, "balance", posting->balance_milli);
	put_lot(json, posting);
	if (posting->kind == POSTING_EARN) {
		put_rules(json, programme, posting->rules);
		put_promotions(json, programme, posting->promotions);
	}
	put_level(json, programme, "tier", posting->tier);
	put_level(json, programme, "tier_after", posting->tier_after);
	put_text_or_null(json, "reject", slice_of(reject_reason_name(posting->reject)));
	json_end_object(json);
}

static void put_line(void *context, struct slice line)
{
	json_slice(context, line);
}

static bool is_shown(const struct explain *explain, const struct posting *posting)
{
	return explain->ledger < 0 || posting->kind == POSTING_TIER || posting->kind == POSTING_REJECT ||
	       posting->ledger == explain->ledger;
}

static int put_arithmetic(struct json *json, const struct explain *explain, const struct explain_step *step)
{
	int rc = 0;
	json_key(json, "arithmetic");
	json_object(json);
	for (unsigned i = 0; rc == 0 && i < explain->programme->n_ledgers; i++) {
		if (explain->ledger >= 0 && explain->ledger != (int)i)
			continue;
		json_key(json, explain->programme->ledgers[i].name);
		json_array(json);
		rc = explain_arithmetic(explain, step, i, put_line, json);
		json_end_array(json);
	}
	json_end_object(json);
	return rc;
}

static int put_step(struct json *json, const struct explain *explain, const struct explain_step *step)
{
	const struct posting *const postings = explain->postings.items;
	bool shown = step->confirmed;
	for (size_t i = step->first; i < step->first + step->n; i++)
		shown = shown || is_shown(explain, &postings[i]);
	if (!shown)
		return 0;
	json_object(json);
	put_day(json, "day", step->day, DAY_MIN);
	put_event(json, step->event);
	json_key(json, "entries");
	json_array(json);
	for (size_t i = step->first; i < step->first + step->n; i++)
		if (is_shown(explain, &postings[i]))
			put_entry(json, explain, &postings[i]);
	json_end_array(json);
	const int rc = put_arithmetic(json, explain, step);
	if (explain->programme->tiers.n_levels) {
		put_level(json, explain->programme, "tier", step->tier.level);
		put_metric(json, explain->programme, "metric", step->tier.metric);
	}
	json_end_object(json);
	return rc;
}

int explain_print_json(const struct explain *explain, FILE *out, struct error *err)
{
	struct json json;
	json_to_file(&json, out);
	json_object(&json);
	json_key(&json, "cust_id");
	if (explain->id.text.len)
		json_slice(&json, explain->id.text);
	else
		json_int(&json, explain->id.number);
	put_text_or_null(&json, "name", slice_of(explain->name));
	put_day(&json, "as_of", explain->day, DAY_MIN);
	put_programme(&json, explain->programme);
	json_key(&json, "ledgers");
	json_array(&json);
	for (unsigned i = 0; i < explain->programme->n_ledgers; i++)
		if (explain->ledger < 0 || explain->ledger == (int)i)
			put_ledger(&json, explain, i);
	json_end_array(&json);
	put_tier(&json, explain);
	json_key(&json, "later_events");
	json_uint(&json, explain->later);
	json_key(&json, "history");
	json_array(&json);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < explain->n_steps; i++)
		rc = put_step(&json, explain, &explain->steps[i]);
	json_end_array(&json);
	json_end_object(&json);
	json_newline(&json);
	return rc < 0 ? error_no_memory(err, sizeof(struct posting)) : json_finish(&json, err);
}
