/* Random programmes, and histories of one customer: small numbers, so that everything meets everything. */
#ifndef PUNCHCARD_TESTS_RANDOM_HISTORY_H
#define PUNCHCARD_TESTS_RANDOM_HISTORY_H

#include "base/random.h"
#include "story.h"

#define HISTORY_MAX 48

struct history {
	struct programme *p;
	struct fact facts[HISTORY_MAX]; /* in order, each once */
	char ids[HISTORY_MAX][8];
	size_t n;
};

/* PUNCHCARD_SEED repeats a run. */
static inline uint64_t test_seed(void)
{
	const char *const text = getenv("PUNCHCARD_SEED");
	const uint64_t seed = text ? strtoull(text, NULL, 0) : 20240229;
	print_message("PUNCHCARD_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline int32_t pick(struct random *r, int32_t from, int32_t to)
{
	return from + (int32_t)random_below(r, (uint64_t)(to - from) + 1);
}

static inline bool one_in(struct random *r, uint64_t n)
{
	return random_below(r, n) == 0;
}

static inline void random_ledger(struct random *r, struct ledger_rules *ledger)
{
	ledger->decimals = (uint8_t)pick(r, 0, 3);
	ledger->rounding = (enum rounding)pick(r, 0, 3);
	ledger->expiry = (enum expiry_kind)pick(r, 0, 4);
	ledger->expiry_n = ledger->expiry == EXPIRY_DAYS ? pick(r, 1, 60) : pick(r, 1, 4);
	ledger->pending_days = one_in(r, 2) ? pick(r, 1, 20) : 0;
	ledger->negative = (enum negative)pick(r, 0, 1);
	ledger->max_per_order_milli = one_in(r, 4) ? 30000 : 0;
}

static inline void random_tiers(struct random *r, struct programme *p)
{
	struct tier_rules *const tiers = &p->tiers;
	tiers->metric = (enum tier_metric)pick(r, 0, 2);
	const int64_t unit = tiers->metric == METRIC_VISITS ? 1 : tiers->metric == METRIC_SPEND ? 500 : 5000;
	const int n = pick(r, 1, 4);
	for (int i = 0; i < n; i++)
		add_level(p, "level", i * unit * pick(r, 1, 2), 10 + 3 * i, 10);
	for (unsigned i = 1; i < tiers->n_levels; i++)
		if (tiers->levels[i].threshold <= tiers->levels[i - 1].threshold)
			tiers->levels[i].threshold = tiers->levels[i - 1].threshold + unit;
	tiers->window = (enum tier_window)pick(r, 0, 1);
	tiers->window_months = pick(r, 1, 4);
	tiers->valid_months = pick(r, 0, 3);
	tiers->downgrade = (enum tier_downgrade)pick(r, 0, 2);
}

static inline struct programme *random_programme(struct random *r)
{
	static const char *const ZONES[] = {"UTC", "Europe/Berlin", "America/New_York", "Asia/Bangkok",
					    "America/Sao_Paulo"};
	struct programme *const p = make_programme(ZONES[pick(r, 0, 4)]);
	if (one_in(r, 2))
		add_ledger(p, "stamps");
	if (one_in(r, 4))
		add_ledger(p, "cash");
	for (unsigned i = 0; i < p->n_ledgers; i++) {
		random_ledger(r, &p->ledgers[i]);
		add_rule(p, "amount", RULE_PER_AMOUNT, pick(r, 1, 3000), pick(r, 1, 300))->ledger = (uint8_t)i;
		if (one_in(r, 2))
			add_rule(p, "visit", RULE_PER_VISIT, 1000, pick(r, 0, 200))->ledger = (uint8_t)i;
	}
	if (!one_in(r, 3))
		random_tiers(r, p);
	p->segment_months = pick(r, 1, 6);
	p->lateness_us = (one_in(r, 2) ? pick(r, 0, 40) : 1000) * DAY_US;
	p->open_max = (uint32_t)(one_in(r, 2) ? pick(r, 0, 12) : pick(r, 12, HISTORY_MAX));
	make_ready(p);
	return p;
}

static inline void random_fact(struct random *r, struct history *h, size_t i, int64_t time_us)
{
	struct fact *const fact = &h->facts[i];
	const int dice = pick(r, 0, 9);
	const enum event_kind kind = dice < 5   ? EVENT_ORDER
				     : dice < 8 ? EVENT_REFUND
				     : dice < 9 ? EVENT_REDEEM
						: EVENT_ADJUST;
	/* Ids of another source may be the same. */
	snprintf(h->ids[i], sizeof(h->ids[i]), "%d", one_in(r, 20) ? pick(r, 0, (int)i) : (int)i);
	*fact = make_fact(h->p, kind, h->ids[i], time_us);
	fact->source_hash = 1 + i % 3;
	const int64_t amount = one_in(r, 10) ? 0 : pick(r, 1, 1000);
	switch (kind) {
	case EVENT_ORDER:
		fact->total_minor = amount;
		fact->eligible_minor = one_in(r, 3) ? pick(r, 0, (int32_t)amount) : amount;
		if (one_in(r, 5))
			fact->items[pick(r, 0, (int32_t)h->p->n_ledgers - 1)] = pick(r, 1, 5000) * 1000;
		break;
	case EVENT_REFUND: {
		char order[8];
		snprintf(order, sizeof(order), "%d", pick(r, i > 8 ? (int)i - 8 : 0, (int)i));
		fact->order_hash = fact_id_hash(slice_of(order));
		fact->total_minor = pick(r, 0, one_in(r, 2) ? 200 : 1000);
		fact->eligible_minor = one_in(r, 3) ? pick(r, 0, (int32_t)fact->total_minor) : fact->total_minor;
		break;
	}
	case EVENT_REDEEM:
	case EVENT_ADJUST:
		fact->ledger = (uint8_t)pick(r, 0, (int32_t)h->p->n_ledgers - 1);
		fact->points_milli = pick(r, kind == EVENT_REDEEM ? 1 : -9000, 9000);
		fact->declined = kind == EVENT_REDEEM && one_in(r, 3);
		break;
	}
	if (one_in(r, 25))
		fact->reject = REJECT_OVERFLOW;
}

static inline int compare_facts(const void *a, const void *b)
{
	return fact_compare(a, b);
}

static inline void random_history(struct random *r, struct history *h)
{
	h->p = random_programme(r);
	h->n = (size_t)pick(r, 1, HISTORY_MAX);
	int64_t time_us = time_of(h->p, "2023-12-01") + pick(r, 0, 90) * DAY_US;
	for (size_t i = 0; i < h->n; i++) {
		random_fact(r, h, i, time_us);
		if (!one_in(r, 4))
			time_us += one_in(r, 2) ? pick(r, 0, 3) * 6 * HOUR_US : pick(r, 0, 20) * DAY_US + HOUR_US / 2;
	}
	qsort(h->facts, h->n, sizeof(h->facts[0]), compare_facts);
	size_t kept = 0;
	for (size_t i = 0; i < h->n; i++)
		if (kept == 0 || fact_compare(&h->facts[kept - 1], &h->facts[i]) != 0)
			h->facts[kept++] = h->facts[i];
	h->n = kept;
}

static inline void history_release(struct history *h)
{
	programme_free(h->p);
}

static inline void assert_same_bytes(const struct buf *a, const struct buf *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->data, b->data, a->len);
}

/* What both have left behind, and are. */
static inline void assert_same_account(const struct account *a, const struct account *b)
{
	_cleanup_buf_ struct buf bytes_a = {0};
	_cleanup_buf_ struct buf bytes_b = {0};
	assert_int_equal(account_encode(a, &bytes_a), 0);
	assert_int_equal(account_encode(b, &bytes_b), 0);
	assert_same_bytes(&bytes_a, &bytes_b);
}

static inline void assert_same_postings(const struct posting *a, const struct posting *b, size_t n)
{
	assert_true(n == 0 || (a && b));
	for (size_t i = 0; a && b && i < n; i++) {
		assert_int_equal(a[i].number, b[i].number);
		assert_int_equal(a[i].time_us, b[i].time_us);
		assert_true(slice_equal(a[i].event_id, b[i].event_id));
		_cleanup_buf_ struct buf text_a = {0};
		_cleanup_buf_ struct buf text_b = {0};
		write_posting(&text_a, &a[i]);
		write_posting(&text_b, &b[i]);
		assert_same_bytes(&text_a, &text_b);
	}
}

#endif
