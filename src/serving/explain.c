#include "serving/explain_internal.h"

#include "base/limits.h"
#include "batch/history.h"

#include <assert.h>
#include <stdlib.h>

struct explain *explain_new(const struct programme *programme)
{
	struct explain *const explain = calloc(1, sizeof(*explain));
	if (!explain)
		return NULL;
	explain->programme = programme;
	explain->ledger = -1;
	explain->account = account_new(programme);
	if (!explain->account) {
		free(explain);
		return NULL;
	}
	return explain;
}

void explain_clear(struct explain *explain)
{
	for (size_t i = 0; i < explain->n_events; i++) {
		free(explain->events[i].items);
		free(explain->events[i].texts);
	}
	explain->n_events = 0;
}

void explain_free(struct explain *explain)
{
	if (!explain)
		return;
	explain_clear(explain);
	free(explain->events);
	free(explain->steps);
	free(explain->id_text);
	free(explain->name);
	postings_release(&explain->postings);
	account_free(explain->account);
	free(explain);
}

/* ---- events ---- */

static struct slice keep(char **at, struct slice text)
{
	if (text.len == 0)
		return (struct slice){0};
	char *const copy = *at;
	memcpy(copy, text.data, text.len);
	*at += text.len;
	return (struct slice){copy, text.len};
}

static int copy_event(const struct event *event, struct slice source, struct explain_event *copy, struct error *err)
{
	const size_t len = event->id.len + source.len + event->store.len + event->order_id.len + event->reward.len +
			   event->ledger.len + event->reason.len;
	char *const texts = malloc(len + 1);
	if (!texts)
		return error_no_memory(err, len + 1);
	char *at = texts;
	*copy = (struct explain_event){.texts = texts, .points_milli = event->points_milli};
	copy->fact.id = keep(&at, event->id);
	copy->source = keep(&at, source);
	copy->store = keep(&at, event->store);
	copy->order_id = keep(&at, event->order_id);
	copy->reward = keep(&at, event->reward);
	copy->ledger = keep(&at, event->ledger);
	copy->reason = keep(&at, event->reason);
	return 0;
}

static int grow_events(struct explain *explain, struct error *err)
{
	const size_t cap = explain->events_cap ? explain->events_cap * 2 : 64;
	struct explain_event *const events = realloc(explain->events, cap * sizeof(*events));
	if (!events)
		return error_no_memory(err, cap * sizeof(*events));
	explain->events = events;
	explain->events_cap = cap;
	return 0;
}

int explain_add(struct explain *explain, const struct event *event, struct slice source, struct error *err)
{
	int rc = explain->n_events == explain->events_cap ? grow_events(explain, err) : 0;
	if (rc < 0)
		return rc;
	struct explain_event *const copy = &explain->events[explain->n_events];
	rc = copy_event(event, source, copy, err);
	if (rc < 0)
		return rc;
	explain->n_events++;
	const struct slice id = copy->fact.id;
	fact_begin(&copy->fact, explain->programme, event, source);
	copy->fact.id = id;
	for (uint32_t i = 0; i < event->n_lines && event->lines; i++) {
		rc = explain_add_line(explain, &event->lines[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void name_item(struct explain_items *items, const struct item_rules *item)
{
	const unsigned n = items->n_named < EXPLAIN_NAMED_MAX ? items->n_named : EXPLAIN_NAMED_MAX;
	for (unsigned i = 0; i < n; i++)
		if (items->named[i] == item)
			return;
	if (n < EXPLAIN_NAMED_MAX)
		items->named[n] = item;
	items->n_named = n + 1;
}

static int count_item(struct explain_event *event, unsigned rule, const struct item_rules *item, int64_t qty_milli,
		      struct error *err)
{
	for (unsigned i = 0; i < event->n_items; i++) {
		if (event->items[i].rule != rule)
			continue;
		/* LIMIT_ORDER_LINES lines of LIMIT_QUANTITY_MILLI fit. */
		event->items[i].qty_milli += qty_milli;
		name_item(&event->items[i], item);
		return 0;
	}
	struct explain_items *const items = realloc(event->items, (event->n_items + 1) * sizeof(*items));
	if (!items)
		return error_no_memory(err, (event->n_items + 1) * sizeof(*items));
	event->items = items;
	items[event->n_items++] =
		(struct explain_items){.rule = rule, .qty_milli = qty_milli, .named = {item}, .n_named = 1};
	return 0;
}

int explain_add_line(struct explain *explain, const struct order_line *line, struct error *err)
{
	assert(explain->n_events > 0);
	struct explain_event *const event = &explain->events[explain->n_events - 1];
	fact_add_line(&event->fact, explain->programme, line);
	event->n_lines++;
	const struct item_rules *const item =
		programme_item(explain->programme, line->sku.len ? line->sku : line->menu);
	for (unsigned i = 0; item && event->fact.kind == EVENT_ORDER && i < explain->programme->n_rules; i++) {
		if (!((item->rules & event->fact.item_rules) >> i & 1))
			continue;
		const int rc = count_item(event, i, item, line->qty_milli, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- the fold, step by step ---- */

static struct explain_step *add_step(struct explain *explain, int32_t day, struct error *err)
{
	if (explain->n_steps == explain->steps_cap) {
		const size_t cap = explain->steps_cap ? explain->steps_cap * 2 : 64;
		struct explain_step *const steps = realloc(explain->steps, cap * sizeof(*steps));
		if (!steps) {
			error_no_memory(err, cap * sizeof(*steps));
			return NULL;
		}
		explain->steps = steps;
		explain->steps_cap = cap;
	}
	struct explain_step *const step = &explain->steps[explain->n_steps];
	struct account_tier tier;
	account_tier(explain->account, &tier);
	*step = (struct explain_step){
		.first = explain->postings.n, .tier_before = tier.level, .day = day, .order = STEP_NONE};
	return step;
}

/* Time passes to one day. The step counts only when something happened. */
static int advance_to(struct explain *explain, int32_t day, bool is_review, struct error *err)
{
	struct explain_step *const step = add_step(explain, day, err);
	if (!step)
		return ERROR_NO_MEMORY;
	const int rc = account_advance(explain->account, day, &explain->postings);
	if (rc < 0)
		return error_no_memory(err, explain->postings.cap * sizeof(struct posting));
	account_tier(explain->account, &step->tier);
	step->n = explain->postings.n - step->first;
	step->confirmed = is_review && step->tier.level == step->tier_before;
	if (step->n || step->confirmed)
		explain->n_steps++;
	return 0;
}

/* One review of the tier at a time, so that each is shown with the metric of its day. */
static int pass_time(struct explain *explain, int32_t day, struct error *err)
{
	int rc = 0;
	for (int32_t before = DAY_MIN; rc == 0;) {
		struct account_tier tier;
		account_tier(explain->account, &tier);
		if (tier.review_day > day || tier.review_day <= before)
			break;
		before = tier.review_day;
		rc = advance_to(explain, tier.review_day, true, err);
	}
	return rc < 0 ? rc : advance_to(explain, day, false, err);
}

/* The orders that refunds may name, by the hash of their ids. */
struct order_seen {
	uint64_t hash;
	size_t step;
	struct refunded refunded;
};

struct orders {
	struct order_seen *slots; /* open addressing; step STEP_NONE: empty */
	size_t mask;
};

static int make_orders(struct orders *orders, size_t n, struct error *err)
{
	size_t slots = 16;
	while (slots < n * 2)
		slots *= 2;
	orders->slots = malloc(slots * sizeof(*orders->slots));
	if (!orders->slots)
		return error_no_memory(err, slots * sizeof(*orders->slots));
	for (size_t i = 0; i < slots; i++)
		orders->slots[i].step = STEP_NONE;
	orders->mask = slots - 1;
	return 0;
}

/* The order's slot, or the empty one where it belongs. */
static struct order_seen *find_order(const struct orders *orders, uint64_t hash)
{
	size_t at = hash & orders->mask;
	while (orders->slots[at].step != STEP_NONE && orders->slots[at].hash != hash)
		at = (at + 1) & orders->mask;
	return &orders->slots[at];
}

static bool is_rejected(const struct explain *explain, const struct explain_step *step)
{
	return step->n > 0 && explain->postings.items[explain->postings.n - 1].kind == POSTING_REJECT;
}

/* What a refund that was taken did to its order. */
static void note_refund(const struct explain *explain, const struct orders *orders, struct explain_step *step)
{
	const struct fact *const refund = &step->event->fact;
	struct order_seen *const seen = find_order(orders, refund->order_hash);
	if (seen->step == STEP_NONE)
		return;
	const struct fact *const order = &explain->steps[seen->step].event->fact;
	step->order = seen->step;
	const struct refunded before = seen->refunded;
	seen->refunded = fact_refunded(before, order->total_minor, order->eligible_minor, refund);
	const bool by_total = order->eligible_minor == 0;
	step->refunded_before_minor = by_total ? before.total_minor : before.eligible_minor;
	step->refunded_after_minor = by_total ? seen->refunded.total_minor : seen->refunded.eligible_minor;
}

static int apply(struct explain *explain, const struct explain_event *event, const struct orders *orders,
		 struct error *err)
{
	struct explain_step *const step = add_step(explain, event->fact.day, err);
	if (!step)
		return ERROR_NO_MEMORY;
	if (account_apply(explain->account, &event->fact, &explain->postings) < 0)
		return error_no_memory(err, explain->postings.cap * sizeof(struct posting));
	step->event = event;
	step->n = explain->postings.n - step->first;
	account_tier(explain->account, &step->tier);
	if (!is_rejected(explain, step) && event->fact.kind == EVENT_REFUND)
		note_refund(explain, orders, step);
	if (!is_rejected(explain, step) && event->fact.kind == EVENT_ORDER)
		*find_order(orders, fact_id_hash(event->fact.id)) =
			(struct order_seen){.hash = fact_id_hash(event->fact.id), .step = explain->n_steps};
	explain->n_steps++;
	return 0;
}

static int compare_events(const void *a, const void *b)
{
	const struct explain_event *const x = a;
	const struct explain_event *const y = b;
	return fact_compare(&x->fact, &y->fact);
}

int explain_fold(struct explain *explain, int32_t day, struct error *err)
{
	if (explain->n_events)
		qsort(explain->events, explain->n_events, sizeof(*explain->events), compare_events);
	struct orders orders = {0};
	int rc = make_orders(&orders, explain->n_events, err);
	const struct explain_event *last = NULL;
	/* As the batch layer has it: what counts is when the next day begins, not what the event's own day is called. */
	const int64_t end_us = programme_day_start(explain->programme, day == DAY_MAX ? DAY_MAX : day + 1);
	for (size_t i = 0; rc == 0 && i < explain->n_events; i++) {
		const struct explain_event *const event = &explain->events[i];
		if (event->fact.time_us >= end_us) {
			explain->later++;
			continue;
		}
		/* As the history has it: the same event twice is once. */
		if (last && fact_compare(&last->fact, &event->fact) == 0)
			continue;
		rc = pass_time(explain, event->fact.day, err);
		if (rc == 0)
			rc = apply(explain, event, &orders, err);
		last = event;
	}
	free(orders.slots);
	explain->day = day;
	return rc < 0 ? rc : pass_time(explain, day, err);
}
