/* What tiers and segments count, by day: windows that move on, and their sums (account_internal.h). */
#include "loyalty/account_internal.h"

#include <stdlib.h>

#define FIRST_CAP 32u
/* A month is never shorter: n months back is at least so many days back. */
#define SHORTEST_MONTH_DAYS 28

void days_clear(struct day_list *days)
{
	*days = (struct day_list){.items = days->items, .cap = days->cap, .moves_on = DAY_MIN, .year_last = DAY_MIN};
}

int days_copy(struct day_list *to, const struct day_list *from)
{
	const uint32_t first = days_first(from);
	const uint32_t n = from->end - first;
	if (n > to->cap) {
		struct day_bucket *const items = realloc(to->items, n * sizeof(*items));
		if (!items)
			return ERROR_NO_MEMORY;
		to->items = items;
		to->cap = n;
	}
	struct day_bucket *const items = to->items;
	const uint32_t cap = to->cap;
	if (n)
		memcpy(items, from->items + first, n * sizeof(*items));
	*to = *from;
	to->items = items;
	to->cap = cap;
	to->tier_at -= first;
	to->segment_at -= first;
	to->end = n;
	return 0;
}

/* Room for one more behind the last, which has none. */
static int days_reserve(struct day_list *days)
{
	const uint32_t first = days_first(days);
	if (first > days->cap / 2) {
		memmove(days->items, days->items + first, (days->end - first) * sizeof(*days->items));
		days->tier_at -= first;
		days->segment_at -= first;
		days->end -= first;
		return 0;
	}
	const uint32_t cap = days->cap ? days->cap * 2 : FIRST_CAP;
	struct day_bucket *const items = realloc(days->items, cap * sizeof(*items));
	if (!items)
		return ERROR_NO_MEMORY;
	days->items = items;
	days->cap = cap;
	return 0;
}

int days_append(struct day_list *days, const struct day_bucket *bucket)
{
	if (days->end == days->cap && days_reserve(days) < 0)
		return ERROR_NO_MEMORY;
	days->items[days->end++] = *bucket;
	return 0;
}

int32_t tier_window_first(const struct tier_rules *tiers, int32_t day)
{
	if (tiers->window == WINDOW_ROLLING_MONTHS)
		return window_first_day(day, tiers->window_months);
	int year;
	int month;
	int day_of_month;
	civil_date(day, &year, &month, &day_of_month);
	return civil_days(year, 1, 1);
}

static void reach_year(struct day_list *days, int32_t day)
{
	int year;
	int month;
	int day_of_month;
	civil_date(day, &year, &month, &day_of_month);
	days->year_first = civil_days(year, 1, 1);
	days->year_last = civil_days(year, 12, 31);
}

/* The windows stay as they are before the first day on which the oldest bucket of one may be out of it. */
static void plan_move(struct day_list *days, const struct programme *programme)
{
	const struct tier_rules *const tiers = &programme->tiers;
	const bool calendar = tiers->n_levels && tiers->window == WINDOW_CALENDAR_YEAR;
	int32_t moves_on = calendar ? days->year_last + 1 : DAY_MAX;
	if (days->segment_at < days->end) {
		const int32_t day = days->items[days->segment_at].day + SHORTEST_MONTH_DAYS * programme->segment_months;
		moves_on = day < moves_on ? day : moves_on;
	}
	if (tiers->n_levels && !calendar && days->tier_at < days->end) {
		const int32_t day = days->items[days->tier_at].day + SHORTEST_MONTH_DAYS * tiers->window_months;
		moves_on = day < moves_on ? day : moves_on;
	}
	days->moves_on = moves_on;
}

static void leave_tiers(struct day_list *days, int32_t first)
{
	while (days->tier_at < days->end && days->items[days->tier_at].day < first)
		days->tier_metric -= days->items[days->tier_at++].metric;
}

static void leave_segments(struct day_list *days, int32_t first)
{
	while (days->segment_at < days->end && days->items[days->segment_at].day < first)
		days->segment_spend_minor -= days->items[days->segment_at++].spend_minor;
}

void days_move(struct day_list *days, const struct programme *programme, int32_t day)
{
	const struct tier_rules *const tiers = &programme->tiers;
	if (days->segment_at < days->end)
		leave_segments(days, window_first_day(day, programme->segment_months));
	if (tiers->n_levels == 0) {
		days->tier_at = days->segment_at;
	} else if (tiers->window == WINDOW_CALENDAR_YEAR) {
		if (day > days->year_last)
			reach_year(days, day);
		leave_tiers(days, days->year_first);
	} else if (days->tier_at < days->end) {
		leave_tiers(days, window_first_day(day, tiers->window_months));
	}
	plan_move(days, programme);
}

/* The first order of a day. */
static void open_bucket(struct day_list *days, const struct programme *programme, int32_t day)
{
	const bool oldest = days->segment_at == days->end || days->tier_at == days->end;
	days->items[days->end++] = (struct day_bucket){.day = day};
	if (oldest)
		plan_move(days, programme);
}

int days_add_order(struct day_list *days, const struct programme *programme, int32_t day, int64_t metric,
		   int64_t spend_minor, bool *first_of_day)
{
	if (days->end == days->cap && days_reserve(days) < 0)
		return ERROR_NO_MEMORY;
	const bool first = days->end == days_first(days) || days->items[days->end - 1].day != day;
	if (first)
		open_bucket(days, programme, day);
	if (programme->tiers.n_levels == 0)
		metric = 0;
	else if (programme->tiers.metric == METRIC_VISITS)
		metric = first;
	struct day_bucket *const bucket = &days->items[days->end - 1];
	bucket->metric += metric;
	bucket->spend_minor += spend_minor;
	days->tier_metric += metric;
	days->segment_spend_minor += spend_minor;
	*first_of_day = first;
	return 0;
}

void days_refund(struct day_list *days, int32_t day, int64_t metric, int64_t spend_minor)
{
	uint32_t lo = days_first(days);
	uint32_t hi = days->end;
	while (lo < hi) {
		const uint32_t middle = lo + (hi - lo) / 2;
		if (days->items[middle].day < day)
			lo = middle + 1;
		else
			hi = middle;
	}
	if (lo == days->end || days->items[lo].day != day)
		return;
	days->items[lo].metric -= metric;
	days->items[lo].spend_minor -= spend_minor;
	if (lo >= days->tier_at)
		days->tier_metric -= metric;
	if (lo >= days->segment_at)
		days->segment_spend_minor -= spend_minor;
}
