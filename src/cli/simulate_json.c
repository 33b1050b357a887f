/* The report of `simulate` as one JSON object. */
#include "cli/json_keys.h"
#include "cli/simulate_show.h"

static const char *const SIDES[SIMULATE_SIDES] = {"today", "other"};

static void json_side(struct json *out, const struct simulate_ledger *ledger, unsigned side)
{
	const struct simulate_points *const points = &ledger->side[side];
	json_key(out, SIDES[side]);
	if (!ledger->has[side]) {
		json_null(out);
		return;
	}
	json_object(out);
	key_points(out, "issued", points->issued_milli);
	key_points(out, "reversed", points->reversed_milli);
	key_points(out, "redeemed", points->redeemed_milli);
	key_points(out, "expired", points->expired_milli);
	key_points(out, "outstanding", points->outstanding_milli);
	key_points(out, "pending", points->pending_milli);
	key_points(out, "debt", points->debt_milli);
	const bool priced = ledger->value_micro[side] > 0;
	json_key(out, "value_per_point");
	if (priced)
		json_decimal(out, ledger->value_micro[side], 6);
	else
		json_null(out);
	json_key(out, "cost");
	if (priced)
		json_decimal(out, ledger->cost_minor[side], 2);
	else
		json_null(out);
	json_key(out, "liability");
	if (priced)
		json_decimal(out, ledger->liability_minor[side], 2);
	else
		json_null(out);
	json_end_object(out);
}

static void json_ledgers(struct json *out, const struct simulate_report *report)
{
	json_key(out, "ledgers");
	json_array(out);
	for (unsigned i = 0; i < report->n_ledgers; i++) {
		json_object(out);
		json_key(out, "ledger");
		json_text(out, report->ledgers[i].name);
		for (unsigned side = 0; side < SIMULATE_SIDES; side++)
			json_side(out, &report->ledgers[i], side);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_rejected(struct json *out, const struct simulate_report *report)
{
	json_key(out, "rejected");
	json_object(out);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		json_key(out, SIDES[side]);
		json_object(out);
		for (unsigned i = 1; i <= REJECT_MAX; i++) {
			json_key(out, reject_reason_name(i));
			json_uint(out, report->rejected[side][i]);
		}
		json_key(out, "all");
		json_uint(out, report->rejected[side][REJECT_NONE]);
		json_end_object(out);
	}
	json_end_object(out);
}

static void json_level(struct json *out, const char *key, const struct programme *programme, unsigned level)
{
	json_key(out, key);
	if (level < programme->tiers.n_levels)
		json_text(out, programme->tiers.levels[level].name);
	else
		json_null(out);
}

static void json_tiers(struct json *out, const struct simulation_shown *shown)
{
	json_key(out, "tiers");
	json_array(out);
	for (unsigned i = 0; i < PROGRAMME_LEVELS_MAX; i++) {
		for (unsigned j = 0; j < PROGRAMME_LEVELS_MAX; j++) {
			if (!shown->report->tiers[i][j])
				continue;
			json_object(out);
			json_level(out, SIDES[SIMULATE_TODAY], shown->programmes[SIMULATE_TODAY], i);
			json_level(out, SIDES[SIMULATE_OTHER], shown->programmes[SIMULATE_OTHER], j);
			json_key(out, "customers");
			json_uint(out, shown->report->tiers[i][j]);
			json_end_object(out);
		}
	}
	json_end_array(out);
}

static void json_changes(struct json *out, const struct simulate_report *report)
{
	json_key(out, "changes");
	json_array(out);
	for (unsigned i = 0; i < CHANGE_KINDS; i++) {
		json_object(out);
		json_key(out, "change");
		json_text(out, simulate_change_name(i));
		json_key(out, "customers");
		json_uint(out, report->changes[i]);
		json_end_object(out);
	}
	json_end_array(out);
	json_key(out, "quantiles");
	json_array(out);
	for (unsigned i = 0; report->customers && i < SIMULATE_QUANTILES; i++) {
		json_object(out);
		json_key(out, "percent");
		json_uint(out, SIMULATE_QUANTILE[i]);
		key_points(out, "change", report->quantiles[i]);
		json_end_object(out);
	}
	json_end_array(out);
}

static void json_losers(struct json *out, const struct simulation_shown *shown)
{
	json_key(out, "losers");
	json_array(out);
	for (unsigned i = 0; i < shown->report->n_losers; i++) {
		const struct simulate_customer *const c = &shown->report->losers[i];
		const struct slice name = slice_of(shown->names[i] ? shown->names[i] : "");
		json_object(out);
		json_key(out, "cust_id");
		if (c->text_len)
			json_slice(out, (struct slice){c->text, c->text_len});
		else
			json_int(out, c->number);
		json_key(out, "name");
		if (name.len)
			json_slice(out, name);
		else
			json_null(out);
		key_points(out, "today", c->before_milli);
		key_points(out, "other", c->after_milli);
		json_end_object(out);
	}
	json_end_array(out);
}

int simulation_print_json(const struct simulation_shown *shown, struct error *err)
{
	const struct simulate_report *const report = shown->report;
	struct json out;
	char day[11];
	civil_format(report->data_dt, day);
	json_to_file(&out, stdout);
	json_object(&out);
	json_key(&out, "data_dt");
	json_text(&out, day);
	json_key(&out, "programmes");
	json_object(&out);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		json_key(&out, SIDES[side]);
		json_object(&out);
		json_key(&out, "name");
		json_text(&out, shown->programmes[side]->name);
		json_key(&out, "version");
		json_text(&out, shown->programmes[side]->hash_text);
		json_end_object(&out);
	}
	json_end_object(&out);
	json_key(&out, "same");
	json_bool(&out, report->same);
	json_key(&out, "redemptions");
	json_text(&out, "as they happened");
	json_key(&out, "customers");
	json_uint(&out, report->customers);
	json_key(&out, "events");
	json_uint(&out, report->events);
	json_ledgers(&out, report);
	json_rejected(&out, report);
	json_tiers(&out, shown);
	json_key(&out, "compared");
	json_object(&out);
	for (unsigned side = 0; side < SIMULATE_SIDES; side++) {
		json_key(&out, SIDES[side]);
		json_text(&out, report->ledgers[report->compared[side]].name);
	}
	json_end_object(&out);
	json_changes(&out, report);
	json_losers(&out, shown);
	json_end_object(&out);
	json_newline(&out);
	return json_finish(&out, err);
}
