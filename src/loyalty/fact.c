#include "loyalty/fact.h"

#include "base/limits.h"
#include "loyalty/programme_internal.h"

#include <assert.h>
#include <xxhash.h>

const char *reject_reason_name(unsigned reason)
{
	static const char *const NAMES[] = {
		[REJECT_NONE] = "",
		[REJECT_UNKNOWN_ORDER] = "unknown_order",
		[REJECT_OVER_REFUND] = "over_refund",
		[REJECT_UNKNOWN_REWARD] = "unknown_reward",
		[REJECT_UNKNOWN_LEDGER] = "unknown_ledger",
		[REJECT_OVERFLOW] = "overflow",
	};
	static_assert(sizeof(NAMES) / sizeof(NAMES[0]) == REJECT_MAX + 1, "a name for each reason");
	return reason <= REJECT_MAX ? NAMES[reason] : NULL;
}

/* Overflow is looked at last: a reason that is there already stays. */
static void overflow(struct fact *fact)
{
	if (fact->reject == REJECT_NONE)
		fact->reject = REJECT_OVERFLOW;
}

/* What is taken or given: of which ledger, how much. */
static void find_points(struct fact *fact, const struct programme *programme, const struct event *event)
{
	const struct reward *const reward =
		event->kind == EVENT_REDEEM ? programme_reward(programme, event->reward) : NULL;
	const int ledger = event->ledger.len ? programme_ledger(programme, event->ledger) : reward ? reward->ledger : 0;
	fact->points_milli = event->points_milli;
	if (event->kind == EVENT_REDEEM && event->points_milli == 0 && reward)
		fact->points_milli = reward->cost_milli;

	const int64_t min = event->kind == EVENT_REDEEM ? 0 : -LIMIT_POINTS_MILLI;
	if (ledger < 0)
		fact->reject = REJECT_UNKNOWN_LEDGER;
	else if (event->kind == EVENT_REDEEM && event->points_milli == 0 && !reward)
		fact->reject = REJECT_UNKNOWN_REWARD;
	else if (fact->points_milli < min || fact->points_milli > LIMIT_POINTS_MILLI)
		fact->reject = REJECT_OVERFLOW;
	fact->ledger = ledger < 0 ? 0 : (uint8_t)ledger;
}

void fact_begin(struct fact *fact, const struct programme *programme, const struct event *event, struct slice source)
{
	/* One by one, all of them: GCC clears a whole structure of this size with an instruction that is slow to begin. */
	fact->time_us = event->time_us;
	fact->id = event->id;
	fact->source_hash = fact_id_hash(source);
	fact->kind = event->kind;
	fact->reject = REJECT_NONE;
	fact->day = tz_local_day(programme->timezone, event->time_us);
	fact->total_minor = 0;
	fact->eligible_minor = 0;
	fact->order_hash = 0;
	fact->points_milli = 0;
	fact->ledger = 0;
	fact->declined = false;
	fact->item_rules = 0;
	for (unsigned i = 0; i < PROGRAMME_LEDGERS_MAX; i++)
		fact->items[i] = 0;
	switch (event->kind) {
	case EVENT_ORDER:
		break;
	case EVENT_REFUND:
		fact->order_hash = fact_id_hash(event->order_id);
		if (event->n_lines)
			break;
		if (event->amount_minor < 0 || event->amount_minor > LIMIT_AMOUNT_MINOR)
			overflow(fact);
		else
			fact->total_minor = fact->eligible_minor = event->amount_minor;
		break;
	case EVENT_REDEEM:
	case EVENT_ADJUST:
		find_points(fact, programme, event);
		fact->declined = event->kind == EVENT_REDEEM && event->declined;
		break;
	}
}

/* A line's quantity, for each per_item rule that counts it. */
static void count_item(struct fact *fact, const struct programme *programme, uint64_t rules, int64_t qty_milli)
{
	if (qty_milli == 0)
		return;
	for (; rules; rules &= rules - 1) {
		const unsigned i = (unsigned)__builtin_ctzll(rules);
		const struct earn_rule *const rule = &programme->rules[i];
		if (fact->day < rule->from_day || fact->day > rule->until_day)
			continue;
		int64_t *const sum = &fact->items[rule->ledger];
		if (qty_milli > (ITEMS_MAX_MICRO - *sum) / rule->points_milli) {
			overflow(fact);
			continue;
		}
		*sum += rule->points_milli * qty_milli;
		fact->item_rules |= UINT64_C(1) << i;
	}
}

void fact_add_line(struct fact *fact, const struct programme *programme, const struct order_line *line)
{
	const int64_t amount = line->amount_minor;
	if (amount < 0 || amount > LIMIT_AMOUNT_MINOR - fact->total_minor || line->qty_milli < 0 ||
	    line->qty_milli > LIMIT_QUANTITY_MILLI) {
		overflow(fact);
		return;
	}
	fact->total_minor += amount;
	const struct item_rules *const item =
		programme->n_items ? programme_item(programme, line->sku.len ? line->sku : line->menu) : NULL;
	if (!item || !item->excluded)
		fact->eligible_minor += amount;
	if (item && item->rules && fact->kind == EVENT_ORDER)
		count_item(fact, programme, item->rules, line->qty_milli);
}

void fact_of_event(struct fact *fact, const struct programme *programme, const struct event *event, struct slice source)
{
	fact_begin(fact, programme, event, source);
	for (uint32_t i = 0; i < event->n_lines; i++)
		fact_add_line(fact, programme, &event->lines[i]);
}

int fact_compare(const struct fact *a, const struct fact *b)
{
	if (a->time_us != b->time_us)
		return a->time_us < b->time_us ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	const int order = slice_compare(a->id, b->id);
	if (order)
		return order;
	return (a->source_hash > b->source_hash) - (a->source_hash < b->source_hash);
}

struct refunded fact_refunded(struct refunded before, int64_t order_total_minor, int64_t order_eligible_minor,
			      const struct fact *refund)
{
	const int64_t total = before.total_minor + refund->total_minor;
	const int64_t room = order_eligible_minor - before.eligible_minor;
	const int64_t eligible =
		before.eligible_minor + (refund->eligible_minor < room ? refund->eligible_minor : room);
	/* Beyond what was not eligible of the order, whatever the refunds' lines say. */
	const int64_t least = total - (order_total_minor - order_eligible_minor);
	return (struct refunded){total, eligible > least ? eligible : least};
}

uint64_t fact_id_hash(struct slice id)
{
	return XXH3_64bits(id.data, id.len);
}
