/*
 * The rules as bytes, version 3. All numbers are varints (LEB128), signed ones (s) zigzag; a text is its length and its bytes.
 * Version 1 was of programmes with one rule; its bytes began with '1'. Version 2 had neither currency nor value.
 *
 *     what              fields
 *     version           3
 *     programme         text currency, text timezone, s segment_months, s lateness_us, open_max
 *     ledgers           number; each: text name, rounding, decimals, expiry, s expiry_n, s pending_days, negative,
 *                       s max_per_order_milli, s value_micro
 *     rules             number; each: text name, kind, ledger, s points_milli, s amount_minor, s from_day, s until_day
 *     promotions        number; each: text name, s num, s den, group, ledger, weekdays, s min_minor, s from_day, s until_day
 *     tiers             number of levels; each: text name, s threshold, s num, s den
 *                       and if there is any: metric, window, s window_months, s valid_months, downgrade
 *     rewards           number; each: text id, ledger, s cost_milli
 *     items             number of those that are excluded or that a rule counts, by ascending name; each: text name, rules,
 *                       excluded
 *
 * Fields that mean nothing are 0 (expiry_n of a ledger without expiry, amount_minor of per_item, window_months of a calendar
 * year). Rules, promotions, levels and rewards stand in the order of the file: ledger entries name them by their number, and
 * of equal promotions the first holds. Fractions are in lowest terms. Categories stand for their items alone.
 */
#include "base/bytes.h"
#include "loyalty/programme.h"

#include <stdlib.h>

#define RULES_VERSION 3

/* Appends until memory is out. */
struct writer {
	struct buf *out;
	bool failed;
};

static void put(struct writer *w, const char *bytes, size_t len)
{
	w->failed = w->failed || buf_append(w->out, bytes, len) < 0;
}

static void put_number(struct writer *w, uint64_t value)
{
	char bytes[VARINT_MAX_BYTES];
	put(w, bytes, (size_t)(put_varint(bytes, value) - bytes));
}

static void put_signed_number(struct writer *w, int64_t value)
{
	put_number(w, zigzag(value));
}

static void put_text(struct writer *w, const char *text)
{
	const size_t len = strlen(text);
	put_number(w, len);
	put(w, text, len);
}

static void put_ledgers(struct writer *w, const struct programme *programme)
{
	put_number(w, programme->n_ledgers);
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		const struct ledger_rules *const l = &programme->ledgers[i];
		put_text(w, l->name);
		put_number(w, l->rounding);
		put_number(w, l->decimals);
		put_number(w, l->expiry);
		put_signed_number(w, l->expiry == EXPIRY_NEVER ? 0 : l->expiry_n);
		put_signed_number(w, l->pending_days);
		put_number(w, l->negative);
		put_signed_number(w, l->max_per_order_milli);
		put_signed_number(w, l->value_micro);
	}
}

static void put_rules(struct writer *w, const struct programme *programme)
{
	put_number(w, programme->n_rules);
	for (unsigned i = 0; i < programme->n_rules; i++) {
		const struct earn_rule *const r = &programme->rules[i];
		put_text(w, r->name);
		put_number(w, r->kind);
		put_number(w, r->ledger);
		put_signed_number(w, r->points_milli);
		put_signed_number(w, r->kind == RULE_PER_ITEM ? 0 : r->amount_minor);
		put_signed_number(w, r->from_day);
		put_signed_number(w, r->until_day);
	}
}

static void put_multiplier(struct writer *w, struct multiplier m)
{
	put_signed_number(w, m.num);
	put_signed_number(w, m.den);
}

static void put_promotions(struct writer *w, const struct programme *programme)
{
	put_number(w, programme->n_promotions);
	for (unsigned i = 0; i < programme->n_promotions; i++) {
		const struct promotion *const p = &programme->promotions[i];
		put_text(w, p->name);
		put_multiplier(w, p->multiplier);
		put_number(w, p->group);
		put_number(w, p->ledger);
		put_number(w, p->weekdays);
		put_signed_number(w, p->min_minor);
		put_signed_number(w, p->from_day);
		put_signed_number(w, p->until_day);
	}
}

static void put_tiers(struct writer *w, const struct tier_rules *tiers)
{
	put_number(w, tiers->n_levels);
	for (unsigned i = 0; i < tiers->n_levels; i++) {
		put_text(w, tiers->levels[i].name);
		put_signed_number(w, tiers->levels[i].threshold);
		put_multiplier(w, tiers->levels[i].multiplier);
	}
	if (tiers->n_levels == 0)
		return;
	put_number(w, tiers->metric);
	put_number(w, tiers->window);
	put_signed_number(w, tiers->window == WINDOW_CALENDAR_YEAR ? 0 : tiers->window_months);
	put_signed_number(w, tiers->valid_months);
	put_number(w, tiers->downgrade);
}

static void put_rewards(struct writer *w, const struct programme *programme)
{
	put_number(w, programme->n_rewards);
	for (unsigned i = 0; i < programme->n_rewards; i++) {
		put_text(w, programme->rewards[i].id);
		put_number(w, programme->rewards[i].ledger);
		put_signed_number(w, programme->rewards[i].cost_milli);
	}
}

static int compare_items(const void *a, const void *b)
{
	const struct item_rules *const left = a;
	const struct item_rules *const right = b;
	return strcmp(left->name, right->name);
}

static void put_items(struct writer *w, const struct programme *programme)
{
	_cleanup_free_ struct item_rules *items = calloc((size_t)programme->n_items + 1, sizeof(*items));
	if (!items) {
		w->failed = true;
		return;
	}
	size_t n = 0;
	for (unsigned i = 0; i < programme->n_items; i++)
		if (programme->items[i].excluded || programme->items[i].rules)
			items[n++] = programme->items[i];
	qsort(items, n, sizeof(*items), compare_items);
	put_number(w, n);
	for (size_t i = 0; i < n; i++) {
		put_text(w, items[i].name);
		put_number(w, items[i].rules);
		put_number(w, items[i].excluded);
	}
}

int programme_rules(const struct programme *programme, struct buf *out)
{
	const size_t before = out->len;
	struct writer w = {out, false};
	put_number(&w, RULES_VERSION);
	put_text(&w, programme->currency);
	put_text(&w, tz_name(programme->timezone));
	put_signed_number(&w, programme->segment_months);
	put_signed_number(&w, programme->lateness_us);
	put_number(&w, programme->open_max);
	put_ledgers(&w, programme);
	put_rules(&w, programme);
	put_promotions(&w, programme);
	put_tiers(&w, &programme->tiers);
	put_rewards(&w, programme);
	put_items(&w, programme);
	if (!w.failed)
		return 0;
	out->len = before;
	return ERROR_NO_MEMORY;
}
