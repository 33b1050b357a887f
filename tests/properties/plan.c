/* Plans from a seed, and what the kernel takes from plans. */
#include "plan.h"

#include "../unit/loyalty/random_history.h"

#define N_ZONES       (sizeof(ZONES) / sizeof(ZONES[0]))
#define MINUTE_US     INT64_C(60000000)
#define ONE_MILLI     1000
#define EVERY_ITEM    ((1u << (PLAN_ITEMS - 1)) - 1)
#define LATEST_BACK   40 /* days before the day on which something happens */
#define LARGEST_ORDER INT64_C(100000000000)
/* With more, or greater rates, the largest order could earn more than a programme may give, which is refused. */
#define GROUPS_MAX 2

/* Zones, and a day in each near which calendar or clock are odd: leap days, ends of months, clocks that skip midnight, have it
 * twice, or skip a whole day. */
static const struct {
	const char *name;
	const char *days[3];
} ZONES[] = {
	{"UTC", {"2024-02-29", "2023-12-31", "2100-02-28"}},
	{"Asia/Bangkok", {"2023-08-31", "2024-01-31", "2000-02-29"}},
	{"Europe/Berlin", {"2024-03-31", "2024-10-27", "2023-03-26"}},
	{"America/New_York", {"2024-03-10", "2024-11-03", "2006-04-02"}},
	{"America/Sao_Paulo", {"2017-10-15", "2018-02-18", "2018-11-04"}},
	{"America/Havana", {"2024-03-10", "2024-11-03", "2012-04-01"}},
	{"America/St_Johns", {"2010-03-14", "2010-11-07", "2011-11-06"}},
	{"Pacific/Apia", {"2011-12-30", "2011-12-31", "2012-04-01"}},
};

const char *plan_zone_name(unsigned zone)
{
	return ZONES[zone].name;
}

/* Each is read once: a file a history would be most of the time. */
static struct tz *zone_of(unsigned zone)
{
	static struct tz *zones[N_ZONES];
	if (!zones[zone])
		assert_int_equal(tz_load(ZONES[zone].name, &zones[zone], NULL), 0);
	return zones[zone];
}

/* --- drawing a programme -------------------------------------------------------------------------------------------------- */

static void draw_ledgers(struct random *r, struct plan *plan)
{
	plan->n_ledgers = one_in(r, 2) ? 1 : (unsigned)pick(r, 2, PLAN_LEDGERS);
	for (unsigned i = 0; i < plan->n_ledgers; i++) {
		struct ledger_rules *const ledger = &plan->ledgers[i];
		random_ledger(r, ledger);
		/* programme.yaml refuses points that expire before they can be spent. */
		if (ledger->expiry == EXPIRY_DAYS && ledger->pending_days >= ledger->expiry_n)
			ledger->pending_days = ledger->expiry_n - 1;
		if (ledger->expiry == EXPIRY_NEVER)
			ledger->expiry_n = 0;
	}
}

static void draw_span(struct random *r, int32_t day, int32_t *from, int32_t *until)
{
	const int32_t first = day + pick(r, -10, 60);
	*from = one_in(r, 2) ? first : DAY_MIN;
	*until = one_in(r, 2) ? first + pick(r, 0, 30) : DAY_MAX;
}

static void draw_rule(struct random *r, struct plan *plan, unsigned i, int32_t day)
{
	struct earn_rule *const rule = &plan->rules[i];
	*rule = (struct earn_rule){.kind = (enum rule_kind)pick(r, 0, 3), .from_day = DAY_MIN, .until_day = DAY_MAX};
	rule->ledger = (uint8_t)pick(r, 0, (int32_t)plan->n_ledgers - 1);
	rule->points_milli = one_in(r, 2) ? ONE_MILLI : pick(r, 1, 3000);
	switch (rule->kind) {
	case RULE_PER_AMOUNT:
	case RULE_PER_STEP:
		rule->amount_minor = one_in(r, 2) ? 100 : pick(r, 60, 333);
		break;
	case RULE_PER_VISIT:
		rule->amount_minor = one_in(r, 2) ? 0 : pick(r, 1, 300);
		rule->points_milli = ONE_MILLI * pick(r, 1, 3);
		break;
	case RULE_PER_ITEM:
		plan->rule_items[i] = (uint8_t)pick(r, 1, EVERY_ITEM);
		break;
	}
	if (one_in(r, 4))
		draw_span(r, day, &rule->from_day, &rule->until_day);
}

static void draw_promotion(struct random *r, struct plan *plan, struct promotion *promotion, uint8_t *n_groups,
			   int32_t day)
{
	static const int64_t MILLIS[] = {2000, 1500, 3000, 1250, 500, 1333};
	*promotion = (struct promotion){
		.multiplier = {MILLIS[pick(r, 0, 5)], ONE_MILLI},
		.group = *n_groups == GROUPS_MAX || (*n_groups && one_in(r, 2)) ? (uint8_t)pick(r, 0, *n_groups - 1)
										: (*n_groups)++,
		.ledger = one_in(r, 3) ? (uint8_t)pick(r, 0, (int32_t)plan->n_ledgers - 1) : LEDGER_ALL,
		.weekdays = one_in(r, 3) ? (uint8_t)pick(r, 1, WEEKDAY_ALL) : WEEKDAY_ALL,
		.min_minor = one_in(r, 3) ? pick(r, 1, 500) : 0,
		.from_day = DAY_MIN,
		.until_day = DAY_MAX,
	};
	if (one_in(r, 2))
		draw_span(r, day, &promotion->from_day, &promotion->until_day);
}

static void draw_tiers(struct random *r, struct tier_rules *tiers)
{
	tiers->metric = (enum tier_metric)pick(r, 0, 2);
	tiers->window = (enum tier_window)pick(r, 0, 1);
	tiers->window_months = tiers->window == WINDOW_ROLLING_MONTHS ? pick(r, 1, 4) : 0;
	tiers->valid_months = pick(r, 0, 3);
	tiers->downgrade = (enum tier_downgrade)pick(r, 0, 2);
	tiers->n_levels = (unsigned)pick(r, 1, PLAN_LEVELS);
	const int32_t unit = tiers->metric == METRIC_VISITS ? 1 : tiers->metric == METRIC_SPEND ? 500 : 5000;
	int64_t threshold = 0;
	for (unsigned i = 0; i < tiers->n_levels; i++) {
		tiers->levels[i] = (struct tier_level){.threshold = threshold, .multiplier = {10 + 3 * (int)i, 10}};
		threshold += unit * pick(r, 1, 2);
	}
}

static void draw_programme(struct random *r, struct plan *plan, int32_t day)
{
	draw_ledgers(r, plan);
	plan->n_rules = (unsigned)pick(r, 1, PLAN_RULES);
	for (unsigned i = 0; i < plan->n_rules; i++)
		draw_rule(r, plan, i, day);
	if (one_in(r, 3))
		plan->excluded = (uint8_t)pick(r, 1, EVERY_ITEM);
	plan->n_promotions = one_in(r, 2) ? (unsigned)pick(r, 1, PLAN_PROMOTIONS) : 0;
	uint8_t n_groups = 0;
	for (unsigned i = 0; i < plan->n_promotions; i++)
		draw_promotion(r, plan, &plan->promotions[i], &n_groups, day);
	if (!one_in(r, 3))
		draw_tiers(r, &plan->tiers);
	plan->n_rewards = (unsigned)pick(r, 0, PLAN_REWARDS);
	for (unsigned i = 0; i < plan->n_rewards; i++)
		plan->rewards[i] = (struct reward){NULL, (uint8_t)pick(r, 0, (int32_t)plan->n_ledgers - 1),
						   ONE_MILLI * pick(r, 1, 8)};
	plan->segment_months = pick(r, 1, 6);
	plan->lateness_us = one_in(r, 2) ? pick(r, 0, 40) * DAY_US : 1000 * DAY_US;
	plan->open_max = (uint32_t)(one_in(r, 2) ? pick(r, 0, 12) : pick(r, 12, PLAN_EVENTS));
}

/* --- drawing a history ---------------------------------------------------------------------------------------------------- */

static void draw_lines(struct random *r, struct plan_event *event)
{
	event->n_lines = (uint8_t)pick(r, 1, PLAN_LINES);
	for (unsigned i = 0; i < event->n_lines; i++)
		event->lines[i] = (struct plan_line){
			.item = (uint8_t)pick(r, 0, PLAN_ITEMS - 1),
			.qty_milli = one_in(r, 3) ? pick(r, 0, 3000) : ONE_MILLI,
			.amount_minor = one_in(r, 8) ? 0 : pick(r, 1, 500),
		};
	if (one_in(r, 60))
		event->lines[0].amount_minor = LARGEST_ORDER + pick(r, -1, 1);
}

static void draw_refund(struct random *r, const struct plan *plan, struct plan_event *event)
{
	const int32_t i = (int32_t)plan->n_events;
	event->order = (uint16_t)pick(r, i > 8 ? i - 8 : 0, i);
	if (one_in(r, 3))
		draw_lines(r, event);
	else
		event->amount_minor = pick(r, 1, one_in(r, 2) ? 200 : 1000);
	/* All of the order, or what is left of it. */
	for (unsigned at = 0; at < plan->n_events && one_in(r, 2); at++)
		if (plan->events[at].id == event->order && plan->events[at].kind == EVENT_ORDER) {
			event->n_lines = plan->events[at].n_lines;
			memcpy(event->lines, plan->events[at].lines, sizeof(event->lines));
		}
}

static void draw_event(struct random *r, struct plan *plan, int64_t time_us)
{
	static const enum event_kind KINDS[] = {EVENT_ORDER,  EVENT_ORDER,  EVENT_ORDER,  EVENT_ORDER,  EVENT_ORDER,
						EVENT_REFUND, EVENT_REFUND, EVENT_REFUND, EVENT_REDEEM, EVENT_ADJUST};
	struct plan_event *const event = &plan->events[plan->n_events];
	*event = (struct plan_event){
		.kind = KINDS[pick(r, 0, 9)],
		.source = (uint8_t)pick(r, 0, 2),
		.id = (uint16_t)(one_in(r, 20) ? pick(r, 0, (int32_t)plan->n_events) : (int32_t)plan->n_events),
		.time_us = time_us,
		.ledger = -1,
		.reward = -1,
	};
	switch (event->kind) {
	case EVENT_ORDER:
		draw_lines(r, event);
		break;
	case EVENT_REFUND:
		draw_refund(r, plan, event);
		break;
	case EVENT_REDEEM:
		event->declined = one_in(r, 4);
		event->reward = (int8_t)(one_in(r, 2) ? pick(r, 0, (int32_t)plan->n_rewards) : -1);
		if (event->reward < 0 || one_in(r, 2))
			event->points_milli = pick(r, 1, 9000);
		break;
	case EVENT_ADJUST:
		event->points_milli = one_in(r, 2) ? pick(r, 1, 9000) : -pick(r, 1, 9000);
		break;
	}
	if (event->kind >= EVENT_REDEEM && one_in(r, 2))
		event->ledger =
			(int8_t)(one_in(r, 8) ? (int32_t)PLAN_LEDGERS : pick(r, 0, (int32_t)plan->n_ledgers - 1));
	plan->n_events++;
}

/* Behind it: at once, within a day, at midnight or just beside it, or much later. */
static int64_t draw_time(struct random *r, const struct tz *zone, int64_t time_us)
{
	static const int64_t BESIDE_US[] = {-1, 0, 0, 1, -30 * MINUTE_US, 30 * MINUTE_US};
	const int dice = pick(r, 0, 9);
	if (dice < 2)
		return time_us;
	if (dice < 5)
		return time_us + pick(r, 0, 3) * 6 * HOUR_US;
	if (dice < 6)
		return time_us + pick(r, 1, 120) * DAY_US;
	const int32_t day = tz_local_day(zone, time_us) + pick(r, 0, 20);
	const int64_t then = tz_utc_of_local_s(zone, (int64_t)day * 86400) * 1000000 + BESIDE_US[pick(r, 0, 5)];
	return then > time_us ? then : time_us;
}

void plan_draw(struct plan *plan, uint64_t seed)
{
	struct random r;
	random_init(&r, seed);
	memset(plan, 0, sizeof(*plan));
	plan->zone = (unsigned)pick(&r, 0, N_ZONES - 1);
	const struct tz *const zone = zone_of(plan->zone);
	const int32_t day = day_of(ZONES[plan->zone].days[pick(&r, 0, 2)]) - pick(&r, 0, LATEST_BACK);
	draw_programme(&r, plan, day);
	int64_t time_us = tz_utc_of_local_s(zone, (int64_t)day * 86400) * 1000000 + pick(&r, 0, 23) * HOUR_US;
	/* Short ones are as many as long ones, and cost little. */
	for (unsigned n = (unsigned)pick(&r, 1, one_in(&r, 2) ? 12 : PLAN_EVENTS); n > 0; n--) {
		draw_event(&r, plan, time_us);
		time_us = draw_time(&r, zone, time_us);
	}
}

/* --- what the kernel takes ------------------------------------------------------------------------------------------------ */

static struct slice name_of(char prefix, unsigned i)
{
	static const char *const ALL = "i0i1i2i3i4l0l1l2l3w0w1w2s0s1s2";
	char name[3] = {prefix, (char)('0' + i), '\0'};
	return (struct slice){strstr(ALL, name), 2};
}

static char *copy_name(char prefix, unsigned i)
{
	char name[16];
	snprintf(name, sizeof(name), "%c%u", prefix, i);
	return copy_text(name);
}

struct programme *plan_programme(const struct plan *plan)
{
	struct programme *const p = programme_new();
	assert_non_null(p);
	p->name = copy_text("Plan");
	memcpy(p->currency, "USD", 4);
	p->timezone = zone_of(plan->zone);
	for (unsigned i = 0; i < plan->n_ledgers; i++) {
		p->ledgers[i] = plan->ledgers[i];
		p->ledgers[i].name = copy_name('l', i);
		p->ledgers[i].unit = copy_name('l', i);
	}
	p->n_ledgers = plan->n_ledgers;
	for (unsigned i = 0; i < plan->n_rules; i++) {
		p->rules[i] = plan->rules[i];
		p->rules[i].name = copy_name('r', i);
	}
	p->n_rules = plan->n_rules;
	for (unsigned i = 0; i < plan->n_promotions; i++) {
		p->promotions[i] = plan->promotions[i];
		p->promotions[i].name = copy_name('p', i);
	}
	p->n_promotions = plan->n_promotions;
	p->tiers = plan->tiers;
	for (unsigned i = 0; i < plan->tiers.n_levels; i++)
		p->tiers.levels[i].name = copy_name('t', i);
	for (unsigned i = 0; i < plan->n_rewards; i++)
		add_reward(p, i ? "w1" : "w0", plan->rewards[i].ledger, plan->rewards[i].cost_milli);
	for (unsigned item = 0; item < PLAN_ITEMS; item++) {
		uint64_t rules = 0;
		for (unsigned i = 0; i < plan->n_rules; i++)
			if (plan->rules[i].kind == RULE_PER_ITEM && plan->rule_items[i] >> item & 1)
				rules |= UINT64_C(1) << i;
		const bool excluded = plan->excluded >> item & 1;
		char name[16];
		snprintf(name, sizeof(name), "i%u", item);
		if (rules || excluded)
			add_item(p, name, rules, excluded);
	}
	p->segment_months = plan->segment_months;
	p->lateness_us = plan->lateness_us;
	p->open_max = plan->open_max;
	make_ready(p);
	return p;
}

void plan_programme_free(struct programme *programme)
{
	if (programme)
		programme->timezone = NULL; /* it is shared */
	programme_free(programme);
}

static void make_subject_fact(struct subject *subject, const struct plan_event *from, unsigned i)
{
	struct order_line lines[PLAN_LINES] = {0};
	char order[PLAN_ID_BYTES];
	snprintf(order, sizeof(order), "%u", from->order);
	snprintf(subject->ids[i], PLAN_ID_BYTES, "%u", from->id);
	for (unsigned at = 0; at < from->n_lines; at++) {
		/* A line without a sku is known by its menu name. */
		const struct slice name = name_of('i', from->lines[at].item);
		lines[at] = (struct order_line){
			.menu = at == 1 ? name : SLICE("menu"),
			.sku = at == 1 ? (struct slice){0} : name,
			.qty_milli = from->lines[at].qty_milli,
			.amount_minor = from->lines[at].amount_minor,
		};
	}
	const struct event event = {
		.kind = from->kind,
		.id = slice_of(subject->ids[i]),
		.customer = {.number = 1},
		.time_us = from->time_us,
		.lines = lines,
		.n_lines = from->n_lines,
		.order_id = slice_of(order),
		.amount_minor = from->amount_minor,
		.points_milli = from->points_milli,
		.ledger = from->ledger < 0 ? (struct slice){0} : name_of('l', (unsigned)from->ledger),
		.reward = from->reward < 0 ? (struct slice){0} : name_of('w', (unsigned)from->reward),
		.declined = from->declined,
	};
	fact_of_event(&subject->facts[i], subject->programme, &event, name_of('s', from->source));
}

void subject_init(struct subject *subject, const struct plan *plan)
{
	subject->programme = plan_programme(plan);
	for (unsigned i = 0; i < plan->n_events; i++)
		make_subject_fact(subject, &plan->events[i], i);
	qsort(subject->facts, plan->n_events, sizeof(subject->facts[0]), compare_facts);
	subject->n = 0;
	for (unsigned i = 0; i < plan->n_events; i++)
		if (i == 0 || fact_compare(&subject->facts[subject->n - 1], &subject->facts[i]) != 0)
			subject->facts[subject->n++] = subject->facts[i];
}

void subject_release(struct subject *subject)
{
	plan_programme_free(subject->programme);
	subject->programme = NULL;
}
