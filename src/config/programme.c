/* programme.yaml, made a struct programme. */
#include "config/programme_internal.h"

#include <stdlib.h>
#include <string.h>

/* ISO 4217 codes whose minor unit is not a hundredth or the whole: amounts here have two decimals. */
static const char *const FINER_CURRENCIES[] = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND", "CLF", "UYW"};

static int check_currency(const struct maker *m, const char *currency)
{
	const struct yamldoc_key key = yamldoc_key("currency");
	if (strlen(currency) != 3 || strspn(currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3)
		return yamldoc_fail(
			m->file, m->err, key,
			"'%s' is no currency; expected an ISO 4217 code of three capitals, such as THB or USD",
			currency);
	for (size_t i = 0; i < sizeof(FINER_CURRENCIES) / sizeof(FINER_CURRENCIES[0]); i++)
		if (strcmp(currency, FINER_CURRENCIES[i]) == 0)
			return yamldoc_fail(
				m->file, m->err, key,
				"%s has more than two decimals, and amounts are kept with two; expected a currency "
				"with at most two decimals",
				currency);
	return 0;
}

static int load_timezone(const struct maker *m)
{
	struct error why;
	const int rc = tz_load(m->from->timezone, &m->programme->timezone, &why);
	if (rc == ERROR_NO_MEMORY)
		return error_no_memory(m->err, 0);
	return rc < 0 ? yamldoc_fail(m->file, m->err, yamldoc_key("timezone"), "%s", why.message) : 0;
}

static int fill_head(const struct maker *m)
{
	struct programme *const p = m->programme;
	int rc = check_currency(m, m->from->currency);
	if (rc == 0 && !*m->from->name)
		rc = yamldoc_fail(m->file, m->err, yamldoc_key("name"), "'' is empty; expected the programme's name");
	if (rc == 0)
		rc = load_timezone(m);
	if (rc == 0)
		rc = maker_copy(m, m->from->name, &p->name);
	if (rc < 0)
		return rc;
	memcpy(p->currency, m->from->currency, sizeof(p->currency));
	if (yamldoc_has(m->file, yamldoc_key("segments.window_months")))
		p->segment_months = (int32_t)m->from->segment_months;
	if (yamldoc_has(m->file, yamldoc_key("late.days")))
		p->lateness_us = (int64_t)m->from->late_days * 86400 * 1000000;
	if (yamldoc_has(m->file, yamldoc_key("late.open_events")))
		p->open_max = m->from->open_events;
	return 0;
}

static int fill_programme(const struct maker *m)
{
	static int (*const PARTS[])(const struct maker *) = {fill_head,        maker_ledgers, maker_rules,  maker_items,
							     maker_promotions, maker_tiers,   maker_rewards};
	int rc = 0;
	for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]) && rc == 0; i++)
		rc = PARTS[i](m);
	return rc;
}

static const char *points_of(const struct programme_earn_file *rule)
{
	const struct programme_rate_file *const rate = rule->per_amount  ? rule->per_amount
						       : rule->per_step  ? rule->per_step
						       : rule->per_visit ? rule->per_visit
									 : rule->per_item;
	return rate->points;
}

static int fail_of_kernel(const struct maker *m, const struct programme_culprit *culprit, const struct error *why)
{
	const unsigned at = culprit->index;
	switch (culprit->kind) {
	case CULPRIT_RULE:
		return yamldoc_fail(m->file, m->err,
				    yamldoc_key("earn[%u].%s.points", at, maker_kind_key(m->programme->rules[at].kind)),
				    "'%s' does not fit: %s", points_of(&m->from->earn[at]), why->message);
	case CULPRIT_PROMOTION:
		return yamldoc_fail(m->file, m->err, yamldoc_key("promotions[%u].multiplier", at),
				    "'%s' does not fit: %s", m->from->promotions[at].multiplier, why->message);
	case CULPRIT_ITEM: /* the maker makes an item once */
		break;
	}
	return yamldoc_fail(m->file, m->err, yamldoc_key("earn"), "%s", why->message);
}

static int prepare(const struct maker *m)
{
	struct error why = {0};
	struct programme_culprit culprit = {0};
	const int rc = programme_prepare(m->programme, &culprit, &why);
	if (rc == ERROR_CONFIG)
		return fail_of_kernel(m, &culprit, &why);
	return rc < 0 ? error_set(m->err, rc, "%s", why.message) : 0;
}

static int make_programme(const struct yamldoc *file, programme_warn *warn, void *context, struct programme **out,
			  struct error *err)
{
	void *data = NULL;
	int rc = yamldoc_load(file, &PROGRAMME_SCHEMA, PROGRAMME_RULES, &data, err);
	if (rc < 0)
		return rc;
	struct programme *const programme = programme_new();
	if (!programme) {
		yamldoc_free(&PROGRAMME_SCHEMA, data);
		return error_no_memory(err, sizeof(*programme));
	}
	const struct maker maker = {.file = file, .from = data, .programme = programme, .err = err};
	rc = fill_programme(&maker);
	if (rc == 0)
		rc = prepare(&maker);
	if (rc == 0 && warn)
		programme_warnings(&maker, warn, context);
	yamldoc_free(&PROGRAMME_SCHEMA, data);
	if (rc < 0) {
		programme_free(programme);
		return rc;
	}
	*out = programme;
	return 0;
}

int programme_load_text(const char *path, struct buf *text, struct programme **out, struct error *err)
{
	struct yamldoc file = {0};
	struct programme *programme = NULL;
	int rc = yamldoc_open(path, &file, err);
	if (rc == 0)
		rc = make_programme(&file, NULL, NULL, &programme, err);
	if (rc == 0 && buf_append(text, file.text.data, file.text.len) < 0)
		rc = error_no_memory(err, file.text.len);
	yamldoc_close(&file);
	if (rc < 0) {
		programme_free(programme);
		return rc;
	}
	*out = programme;
	return 0;
}

int programme_check(const char *path, programme_warn *warn, void *context, struct programme **out, struct error *err)
{
	struct yamldoc file = {0};
	int rc = yamldoc_open(path, &file, err);
	if (rc == 0)
		rc = make_programme(&file, warn, context, out, err);
	yamldoc_close(&file);
	return rc;
}

int programme_load(const char *path, struct programme **out, struct error *err)
{
	return programme_check(path, NULL, NULL, out, err);
}

int programme_parse(const char *path, const void *data, size_t len, programme_warn *warn, void *context,
		    struct programme **out, struct error *err)
{
	struct yamldoc file = {0};
	int rc = yamldoc_parse(path, data, len, &file, err);
	if (rc == 0)
		rc = make_programme(&file, warn, context, out, err);
	yamldoc_close(&file);
	return rc;
}
