#include "fold/ledger_row.h"

#include "base/tz.h"

#include <stdlib.h>
#include <xxhash.h>

#define NAMES_SLOTS 256u
#define NEVER_YEAR  9999

int32_t ledger_never_day(void)
{
	return civil_days(NEVER_YEAR, 12, 31);
}

struct rule_text {
	uint64_t rules;
	uint64_t promotions;
	struct buf text;
};

struct ledger_names {
	const struct programme *programme;
	struct slice programme_text;
	struct slice ledgers[PROGRAMME_LEDGERS_MAX];
	struct slice kinds[POSTING_KIND_MAX + 1];
	struct rule_text slots[NAMES_SLOTS];
};

struct ledger_names *ledger_names_new(const struct programme *programme)
{
	struct ledger_names *const names = calloc(1, sizeof(*names));
	if (!names)
		return NULL;
	names->programme = programme;
	names->programme_text = slice_of(programme->hash_text);
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		names->ledgers[i] = slice_of(programme->ledgers[i].name);
	for (unsigned i = 0; i <= POSTING_KIND_MAX; i++)
		names->kinds[i] = slice_of(posting_kind_name(i));
	return names;
}

void ledger_names_free(struct ledger_names *names)
{
	if (!names)
		return;
	for (unsigned i = 0; i < NAMES_SLOTS; i++)
		buf_release(&names->slots[i].text);
	free(names);
}

static int name_rules(const struct programme *programme, struct rule_text *slot)
{
	buf_clear(&slot->text);
	for (unsigned i = 0; i < programme->n_rules; i++)
		if (slot->rules >> i & 1 &&
		    buf_printf(&slot->text, "%s%s", slot->text.len ? "+" : "", programme->rules[i].name) < 0)
			return ERROR_NO_MEMORY;
	for (unsigned i = 0; i < programme->n_promotions; i++)
		if (slot->promotions >> i & 1 && buf_printf(&slot->text, "*%s", programme->promotions[i].name) < 0)
			return ERROR_NO_MEMORY;
	return 0;
}

/* "base+stamps*double-tuesday"; lives until a few hundred other combinations were asked for. */
static int rule_text(struct ledger_names *names, uint64_t rules, uint64_t promotions, struct slice *out)
{
	const uint64_t key[] = {rules, promotions};
	struct rule_text *const slot = &names->slots[XXH3_64bits(key, sizeof(key)) % NAMES_SLOTS];
	if (!slot->text.len || slot->rules != rules || slot->promotions != promotions) {
		slot->rules = rules;
		slot->promotions = promotions;
		if (name_rules(names->programme, slot) < 0) {
			buf_clear(&slot->text);
			return ERROR_NO_MEMORY;
		}
	}
	*out = (struct slice){slot->text.data, slot->text.len};
	return 0;
}

static int note_text(const struct programme *programme, const struct posting *posting, struct buf *note,
		     struct slice *out)
{
	const struct tier_rules *const tiers = &programme->tiers;
	if (posting->kind == POSTING_REJECT) {
		*out = slice_of(reject_reason_name(posting->reject));
		return 0;
	}
	if (posting->kind != POSTING_TIER || posting->tier >= tiers->n_levels || posting->tier_after >= tiers->n_levels)
		return 0;
	buf_clear(note);
	if (buf_printf(note, "%s > %s", tiers->levels[posting->tier].name, tiers->levels[posting->tier_after].name) < 0)
		return ERROR_NO_MEMORY;
	*out = (struct slice){note->data, note->len};
	return 0;
}

bool ledger_names_has(const struct ledger_names *names, unsigned kind, unsigned ledger)
{
	return kind <= POSTING_KIND_MAX && ledger < names->programme->n_ledgers;
}

int ledger_row_of(struct ledger_names *names, const struct customer_id *customer, const struct posting *posting,
		  struct buf *note, struct ledger_row *out)
{
	*out = (struct ledger_row){
		.customer = *customer,
		.entry_no = posting->number,
		.posted_us = posting->time_us,
		.points_milli = posting->points_milli,
		.balance_milli = posting->balance_milli,
		.lot = posting->lot,
		.event_id = posting->event_id,
		.ledger = names->ledgers[posting->ledger],
		.kind = names->kinds[posting->kind],
		.programme = names->programme_text,
	};
	int rc = 0;
	if (posting->rules || posting->promotions)
		rc = rule_text(names, posting->rules, posting->promotions, &out->rule);
	if (rc == 0)
		rc = note_text(names->programme, posting, note, &out->note);
	return rc;
}
