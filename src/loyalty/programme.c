#include "loyalty/programme.h"

#include "loyalty/programme_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define DEFAULT_SEGMENT_MONTHS 12
#define DEFAULT_LATENESS_US    (INT64_C(7) * 86400 * 1000000)
#define DEFAULT_OPEN_MAX       64u
#define SECONDS_PER_DAY        86400
#define US_PER_SECOND          INT64_C(1000000)

struct programme *programme_new(void)
{
	struct programme *const programme = calloc(1, sizeof(*programme));
	if (!programme)
		return NULL;
	programme->segment_months = DEFAULT_SEGMENT_MONTHS;
	programme->lateness_us = DEFAULT_LATENESS_US;
	programme->open_max = DEFAULT_OPEN_MAX;
	return programme;
}

static void free_index(struct programme_index *index)
{
	if (!index)
		return;
	free(index->cells);
	free(index->slots);
	free(index->item_lens);
	for (unsigned i = 0; i < PROGRAMME_LEDGERS_MAX; i++)
		free(index->expiries[i]);
	free(index);
}

void programme_free(struct programme *programme)
{
	if (!programme)
		return;
	free(programme->name);
	tz_free(programme->timezone);
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		free(programme->ledgers[i].name);
		free(programme->ledgers[i].unit);
	}
	for (unsigned i = 0; i < programme->n_rules; i++)
		free(programme->rules[i].name);
	for (unsigned i = 0; i < programme->n_promotions; i++)
		free(programme->promotions[i].name);
	for (unsigned i = 0; i < programme->tiers.n_levels; i++)
		free(programme->tiers.levels[i].name);
	for (unsigned i = 0; i < programme->n_rewards; i++)
		free(programme->rewards[i].id);
	free(programme->rewards);
	for (unsigned i = 0; i < programme->n_items; i++)
		free(programme->items[i].name);
	free(programme->items);
	for (unsigned i = 0; i < programme->n_categories; i++)
		free(programme->categories[i]);
	free_index(programme->index);
	free(programme);
}

static void reduce(struct multiplier *m)
{
	assert(m->num > 0 && m->den > 0);
	const int64_t common = (int64_t)wide_gcd(widen(m->num), widen(m->den));
	m->num /= common;
	m->den /= common;
}

static int make_hash(struct programme *programme, struct error *err)
{
	_cleanup_buf_ struct buf bytes = {0};
	if (programme_rules(programme, &bytes) < 0)
		return error_no_memory(err, bytes.len);
	static const char DIGITS[] = "0123456789abcdef";
	programme->hash = XXH3_128bits(bytes.data, bytes.len).high64;
	for (unsigned i = 0; i < PROGRAMME_HASH_TEXT - 1; i++)
		programme->hash_text[i] = DIGITS[programme->hash >> (60 - 4 * i) & 15];
	programme->hash_text[PROGRAMME_HASH_TEXT - 1] = '\0';
	return 0;
}

static int index_expiries(const struct programme *programme, struct programme_index *index, struct error *err)
{
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		const struct ledger_rules *const ledger = &programme->ledgers[i];
		if (ledger->expiry != EXPIRY_MONTHS && ledger->expiry != EXPIRY_INACTIVITY)
			continue;
		index->expiries[i] = malloc(EXPIRIES_N * sizeof(*index->expiries[i]));
		if (!index->expiries[i])
			return error_no_memory(err, EXPIRIES_N * sizeof(*index->expiries[i]));
		civil_add_months_each(EXPIRIES_FIRST, EXPIRIES_N, ledger->expiry_n, index->expiries[i]);
	}
	return 0;
}

int programme_prepare(struct programme *programme, struct programme_culprit *culprit, struct error *err)
{
	struct programme_culprit unwanted;
	struct programme_culprit *const found = culprit ? culprit : &unwanted;
	assert(!programme->index && programme->timezone);
	assert(programme->n_ledgers >= 1 && programme->n_ledgers <= PROGRAMME_LEDGERS_MAX);
	for (unsigned i = 0; i < programme->tiers.n_levels; i++)
		reduce(&programme->tiers.levels[i].multiplier);
	for (unsigned i = 0; i < programme->n_promotions; i++)
		reduce(&programme->promotions[i].multiplier);

	struct programme_index *const index = calloc(1, sizeof(*index));
	if (!index)
		return error_no_memory(err, sizeof(*index));
	int rc = programme_index_items(programme, index, found, err);
	if (rc == 0)
		rc = programme_index_earning(programme, index, found, err);
	if (rc == 0)
		rc = index_expiries(programme, index, err);
	if (rc == 0)
		rc = make_hash(programme, err);
	if (rc < 0) {
		free_index(index);
		return rc;
	}
	programme->index = index;
	return 0;
}

static int fail_twice(uint32_t item, const char *name, struct programme_culprit *culprit, struct error *err)
{
	*culprit = (struct programme_culprit){CULPRIT_ITEM, item};
	return error_set(err, ERROR_CONFIG, "the item '%s' is there twice; name it once", name);
}

int programme_index_items(const struct programme *programme, struct programme_index *index,
			  struct programme_culprit *culprit, struct error *err)
{
	if (programme->n_items == 0)
		return 0;
	size_t n_slots = 4;
	while (n_slots < (size_t)programme->n_items * 2)
		n_slots *= 2;
	index->slots = calloc(n_slots, sizeof(*index->slots));
	index->item_lens = calloc(programme->n_items, sizeof(*index->item_lens));
	if (!index->slots || !index->item_lens)
		return error_no_memory(err, n_slots * sizeof(*index->slots));
	index->slot_mask = n_slots - 1;
	for (uint32_t i = 0; i < programme->n_items; i++) {
		const struct slice name = slice_of(programme->items[i].name);
		const uint64_t hash = XXH3_64bits(name.data, name.len);
		size_t at = (size_t)(hash >> 32) & index->slot_mask;
		for (; index->slots[at].item; at = (at + 1) & index->slot_mask)
			if (index->slots[at].tag == (uint32_t)hash &&
			    slice_is(name, programme->items[index->slots[at].item - 1].name))
				return fail_twice(i, name.data, culprit, err);
		index->slots[at] = (struct item_slot){(uint32_t)hash, i + 1};
		index->item_lens[i] = (uint32_t)name.len;
	}
	return 0;
}

const struct item_rules *programme_item(const struct programme *programme, struct slice name)
{
	if (programme->n_items == 0)
		return NULL;
	const struct programme_index *const index = programme->index;
	const uint64_t hash = XXH3_64bits(name.data, name.len);
	for (size_t at = (size_t)(hash >> 32) & index->slot_mask;; at = (at + 1) & index->slot_mask) {
		const struct item_slot slot = index->slots[at];
		if (slot.item == 0)
			return NULL;
		if (slot.tag != (uint32_t)hash)
			continue;
		const struct item_rules *const item = &programme->items[slot.item - 1];
		if (slice_equal(name, (struct slice){item->name, index->item_lens[slot.item - 1]}))
			return item;
	}
}

int programme_ledger(const struct programme *programme, struct slice name)
{
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		if (slice_is(name, programme->ledgers[i].name))
			return (int)i;
	return -1;
}

const struct reward *programme_reward(const struct programme *programme, struct slice id)
{
	for (unsigned i = 0; i < programme->n_rewards; i++)
		if (slice_is(id, programme->rewards[i].id))
			return &programme->rewards[i];
	return NULL;
}

int32_t window_first_day(int32_t day, int32_t months)
{
	return civil_add_months(day, -months) + 1;
}

static int32_t first_of_month(int32_t day)
{
	int year;
	int month;
	int of_month;
	civil_date(day, &year, &month, &of_month);
	return day - of_month + 1;
}

int32_t ledger_expiry_day(const struct ledger_rules *ledger, int32_t day)
{
	switch (ledger->expiry) {
	case EXPIRY_DAYS:
		return day + ledger->expiry_n;
	case EXPIRY_MONTHS:
	case EXPIRY_INACTIVITY:
		return civil_add_months(day, ledger->expiry_n);
	case EXPIRY_MONTHS_AFTER_MONTH:
		return civil_add_months(first_of_month(day), ledger->expiry_n + 1);
	case EXPIRY_NEVER:
		break;
	}
	return DAY_MAX;
}

int64_t programme_day_start(const struct programme *programme, int32_t day)
{
	if (day == DAY_MIN)
		return INT64_MIN;
	if (day == DAY_MAX)
		return INT64_MAX;
	return tz_utc_of_local_s(programme->timezone, (int64_t)day * SECONDS_PER_DAY) * US_PER_SECOND;
}
