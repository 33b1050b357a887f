/* programme.yaml: what it gives, what is odd about it, and what is kept of it. test_programme_refusals.c has what is wrong. */
#include "base/file.h"
#include "config/deployment.h"
#include "config/schema_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "version: 1\nname: Club\ncurrency: USD\ntimezone: America/New_York\n"
#define EARN "earn:\n  - per_amount: {points: 1, per: 10.00}\n"

static void add_warning(void *context, const char *text)
{
	assert_int_equal(buf_printf(context, "%s\n", text), 0);
}

static struct programme *parse_warned(const char *text, struct buf *warnings)
{
	struct programme *programme = NULL;
	struct error err = {0};
	if (programme_parse("r.yaml", text, strlen(text), warnings ? add_warning : NULL, warnings, &programme, &err) <
	    0)
		fail_msg("%s\n%s", err.message, text);
	return programme;
}

static struct programme *parse(const char *text)
{
	return parse_warned(text, NULL);
}

static int32_t day_of(const char *text)
{
	int32_t day = 0;
	assert_int_equal(civil_parse(text, strlen(text), &day), 0);
	return day;
}

/* A file of the first layout's early days: one rule, nothing else. */
static void test_least(void **state)
{
	(void)state;
	struct programme *programme =
		parse(HEAD "rounding: floor\nearn:\n  - per_amount: {points: 0.125, per: 2.50}\n");
	assert_string_equal(programme->name, "Club");
	assert_string_equal(programme->currency, "USD");
	assert_string_equal(tz_name(programme->timezone), "America/New_York");
	assert_int_equal(programme->n_ledgers, 1);
	const struct ledger_rules *const ledger = &programme->ledgers[0];
	assert_string_equal(ledger->name, "points");
	assert_string_equal(ledger->unit, "points");
	assert_int_equal(ledger->decimals, 3);
	assert_int_equal(ledger->rounding, ROUND_FLOOR);
	assert_int_equal(ledger->expiry, EXPIRY_NEVER);
	assert_int_equal(ledger->pending_days, 0);
	assert_int_equal(ledger->negative, NEGATIVE_DEBT);
	assert_int_equal(ledger->max_per_order_milli, 0);
	assert_int_equal(ledger->value_micro, 0);
	assert_int_equal(programme->n_rules, 1);
	const struct earn_rule *const rule = &programme->rules[0];
	assert_string_equal(rule->name, "earn-1");
	assert_int_equal(rule->kind, RULE_PER_AMOUNT);
	assert_int_equal(rule->ledger, 0);
	assert_int_equal(rule->points_milli, 125);
	assert_int_equal(rule->amount_minor, 250);
	assert_int_equal(rule->from_day, DAY_MIN);
	assert_int_equal(rule->until_day, DAY_MAX);
	assert_int_equal(programme->n_promotions, 0);
	assert_int_equal(programme->tiers.n_levels, 0);
	assert_int_equal(programme->n_rewards, 0);
	assert_int_equal(programme->n_items, 0);
	assert_int_equal(programme->n_categories, 0);
	assert_int_equal(programme->segment_months, 12);
	assert_int_equal(programme->lateness_us, INT64_C(7) * 86400 * 1000000);
	assert_int_equal(programme->open_max, 64);
	assert_int_equal(strlen(programme->hash_text), 16);
	programme_free(programme);
	/* Without decimals: JPY has none, the amounts keep two. */
	programme = parse("version: 1\nname: 店\ncurrency: JPY\ntimezone: Asia/Tokyo\nearn:\n- per_amount: {points: 1, "
			  "per: 100}\n");
	assert_int_equal(programme->rules[0].amount_minor, 10000);
	programme_free(programme);
}

static void test_ledgers(void **state)
{
	(void)state;
	struct programme *const p = parse(
		HEAD EARN "rounding: half_even\nledgers:\n"
			  "  - {name: points, unit: Stars, expiry: {months_after_month: 12}, pending_days: 14}\n"
			  "  - {name: stamps, decimals: 0, rounding: ceil, negative: forgive, max_per_order: 10}\n"
			  "  - {name: cash_2, decimals: 2, expiry: {days: 15}, pending_days: 14, value: 1.000001}\n"
			  "  - {name: x, expiry: {months: 1200}, max_per_order: 0.001}\n"
			  "  - {name: y, expiry: {inactivity: 1}, rounding: half_up, negative: debt}\n"
			  "  - {name: z}\n");
	assert_int_equal(p->n_ledgers, 6);
	const struct ledger_rules *const l = p->ledgers;
	assert_string_equal(l[0].unit, "Stars");
	assert_int_equal(l[0].decimals, 3);
	assert_int_equal(l[0].rounding, ROUND_HALF_EVEN);
	assert_int_equal(l[0].expiry, EXPIRY_MONTHS_AFTER_MONTH);
	assert_int_equal(l[0].expiry_n, 12);
	assert_int_equal(l[0].pending_days, 14);
	assert_string_equal(l[1].unit, "stamps");
	assert_int_equal(l[1].decimals, 0);
	assert_int_equal(l[1].rounding, ROUND_CEIL);
	assert_int_equal(l[1].negative, NEGATIVE_FORGIVE);
	assert_int_equal(l[1].max_per_order_milli, 10000);
	assert_int_equal(l[2].expiry, EXPIRY_DAYS);
	assert_int_equal(l[2].expiry_n, 15);
	assert_int_equal(l[2].value_micro, 1000001);
	assert_int_equal(l[3].expiry, EXPIRY_MONTHS);
	assert_int_equal(l[3].expiry_n, 1200);
	assert_int_equal(l[3].max_per_order_milli, 1);
	assert_int_equal(l[4].expiry, EXPIRY_INACTIVITY);
	assert_int_equal(l[4].rounding, ROUND_HALF_UP);
	assert_int_equal(l[4].negative, NEGATIVE_DEBT);
	assert_int_equal(l[5].expiry, EXPIRY_NEVER);
	programme_free(p);
}

static void test_rules(void **state)
{
	(void)state;
	struct programme *const p =
		parse(HEAD "ledgers: [{name: points}, {name: stamps, decimals: 0}]\nearn:\n"
			   "  - {name: base, per_amount: {points: 1, per: 10}, until: 2026-06-30}\n"
			   "  - {name: base, per_step: {points: 5, step: 100}, from: 2026-07-01}\n"
			   "  - {per_visit: {points: 2}, ledger: stamps}\n"
			   "  - {per_visit: {points: 0.5, min: 0.01}}\n"
			   "  - {name: drinks, ledger: stamps, per_item: {points: 0.5, items: [x]}}\n");
	assert_int_equal(p->n_rules, 5);
	const struct earn_rule *const r = p->rules;
	assert_int_equal(r[0].until_day, day_of("2026-06-30"));
	assert_int_equal(r[0].from_day, DAY_MIN);
	assert_int_equal(r[1].kind, RULE_PER_STEP);
	assert_int_equal(r[1].points_milli, 5000);
	assert_int_equal(r[1].amount_minor, 10000);
	assert_int_equal(r[1].from_day, day_of("2026-07-01"));
	assert_string_equal(r[1].name, "base");
	assert_string_equal(r[2].name, "earn-3");
	assert_int_equal(r[2].kind, RULE_PER_VISIT);
	assert_int_equal(r[2].ledger, 1);
	assert_int_equal(r[2].amount_minor, 0);
	assert_string_equal(r[3].name, "earn-4");
	assert_int_equal(r[3].amount_minor, 1);
	assert_int_equal(r[3].points_milli, 500);
	assert_int_equal(r[4].kind, RULE_PER_ITEM);
	/* Items are rounded, so that half a stamp each is fine. */
	assert_int_equal(r[4].points_milli, 500);
	programme_free(p);
}

static void assert_item(const struct programme *p, const char *name, uint64_t categories, uint64_t rules, bool excluded)
{
	const struct item_rules *const item = programme_item(p, slice_of(name));
	assert_non_null(item);
	assert_int_equal(item->categories, categories);
	assert_int_equal(item->rules, rules);
	assert_int_equal(item->excluded, excluded);
}

static void test_items(void **state)
{
	(void)state;
	struct programme *const p = parse(HEAD "categories:\n"
					       "  - {name: hot, items: [latte, tea, latte]}\n"
					       "  - {name: gift-cards, items: [card, 'card of 10']}\n"
					       "  - {name: cold, items: [tea, cola]}\n"
					       "exclude: [gift-cards]\n"
					       "earn:\n"
					       "  - per_item: {points: 1, items: [card, cake], categories: [hot]}\n"
					       "  - per_amount: {points: 1, per: 1}\n"
					       "  - per_item: {points: 1, categories: [cold, hot]}\n"
					       "  - per_item: {points: 1, items: [cake, TEA]}\n");
	assert_int_equal(p->n_categories, 3);
	assert_string_equal(p->categories[1], "gift-cards");
	assert_int_equal(p->n_items, 7);
	assert_item(p, "latte", 1, 5, false);
	assert_item(p, "tea", 5, 5, false);
	assert_item(p, "cola", 4, 4, false);
	assert_item(p, "card", 2, 1, true);
	assert_item(p, "card of 10", 2, 0, true);
	assert_item(p, "cake", 0, 9, false);
	assert_item(p, "TEA", 0, 8, false);
	assert_null(programme_item(p, SLICE("Latte")));
	programme_free(p);
}

static void test_promotions(void **state)
{
	(void)state;
	struct programme *const p = parse(
		HEAD EARN "ledgers: [{name: points}, {name: stamps}]\npromotions:\n"
			  "  - {name: a, multiplier: 2}\n"
			  "  - {name: b, multiplier: 1.250, group: days, weekdays: [mon, sun, mon], ledger: stamps}\n"
			  "  - {name: c, multiplier: 1000, group: a, min: 12.5, from: 2026-12-01, until: 2026-12-01}\n"
			  "  - {name: days, multiplier: 0.001, weekdays: [mon, tue, wed, thu, fri, sat, sun]}\n"
			  "  - {name: e, multiplier: 1.5}\n");
	const struct promotion *const q = p->promotions;
	assert_int_equal(p->n_promotions, 5);
	assert_int_equal(q[0].multiplier.num, 2);
	assert_int_equal(q[0].multiplier.den, 1);
	assert_int_equal(q[0].ledger, LEDGER_ALL);
	assert_int_equal(q[0].weekdays, WEEKDAY_ALL);
	assert_int_equal(q[0].min_minor, 0);
	assert_int_equal(q[0].from_day, DAY_MIN);
	assert_int_equal(q[0].until_day, DAY_MAX);
	assert_int_equal(q[1].multiplier.num, 5);
	assert_int_equal(q[1].multiplier.den, 4);
	assert_int_equal(q[1].weekdays, 1 | 1 << 6);
	assert_int_equal(q[1].ledger, 1);
	assert_int_equal(q[2].multiplier.num, 1000);
	assert_int_equal(q[2].min_minor, 1250);
	assert_int_equal(q[2].from_day, day_of("2026-12-01"));
	assert_int_equal(q[2].until_day, day_of("2026-12-01"));
	assert_int_equal(q[3].multiplier.num, 1);
	assert_int_equal(q[3].multiplier.den, 1000);
	assert_int_equal(q[3].weekdays, WEEKDAY_ALL);
	/* A group goes by its name, be it a promotion's own or not; numbers in order of appearance. */
	assert_int_equal(q[0].group, 0);
	assert_int_equal(q[1].group, 1);
	assert_int_equal(q[2].group, 0);
	assert_int_equal(q[3].group, 1);
	assert_int_equal(q[4].group, 2);
	programme_free(p);
}

static void test_tiers_and_rewards(void **state)
{
	(void)state;
	struct programme *p =
		parse(HEAD EARN "tiers:\n  metric: spend\n  window: {rolling_months: 6}\n  valid_months: 3\n"
				"  downgrade: one_down\n  levels:\n"
				"    - {name: Mitglied, threshold: 0.00}\n"
				"    - {name: ทอง, threshold: 5000.5, multiplier: 1.25}\n"
				"segments: {window_months: 24}\nlate: {days: 0, open_events: 1}\n"
				"ledgers: [{name: points}, {name: stamps, decimals: 0}]\n"
				"rewards: [{id: Free coffee, cost: 10, ledger: stamps}, {id: B, cost: 0.001}]\n");
	assert_int_equal(p->tiers.n_levels, 2);
	assert_int_equal(p->tiers.metric, METRIC_SPEND);
	assert_int_equal(p->tiers.window, WINDOW_ROLLING_MONTHS);
	assert_int_equal(p->tiers.window_months, 6);
	assert_int_equal(p->tiers.valid_months, 3);
	assert_int_equal(p->tiers.downgrade, DOWNGRADE_ONE_DOWN);
	assert_string_equal(p->tiers.levels[1].name, "ทอง");
	assert_int_equal(p->tiers.levels[1].threshold, 500050);
	assert_int_equal(p->tiers.levels[1].multiplier.num, 5);
	assert_int_equal(p->tiers.levels[1].multiplier.den, 4);
	assert_int_equal(p->tiers.levels[0].multiplier.num, 1);
	assert_int_equal(p->tiers.levels[0].multiplier.den, 1);
	assert_int_equal(p->segment_months, 24);
	assert_int_equal(p->lateness_us, 0);
	assert_int_equal(p->open_max, 1);
	assert_int_equal(p->n_rewards, 2);
	const struct reward *const reward = programme_reward(p, SLICE("Free coffee"));
	assert_non_null(reward);
	assert_int_equal(reward->ledger, 1);
	assert_int_equal(reward->cost_milli, 10000);
	assert_int_equal(p->rewards[1].ledger, 0);
	assert_int_equal(p->rewards[1].cost_milli, 1);
	programme_free(p);
	p = parse(HEAD EARN "tiers:\n  metric: points_earned\n  window: {calendar_year: true}\n  levels:\n"
			    "    - {name: a, threshold: 0}\n    - {name: b, threshold: 0.001}\n");
	assert_int_equal(p->tiers.window, WINDOW_CALENDAR_YEAR);
	assert_int_equal(p->tiers.valid_months, 0);
	assert_int_equal(p->tiers.downgrade, DOWNGRADE_REQUALIFY);
	assert_int_equal(p->tiers.levels[1].threshold, 1);
	programme_free(p);
	p = parse(HEAD EARN
		  "tiers:\n  metric: visits\n  window: {calendar_year: true}\n  downgrade: to_base\n  levels:\n"
		  "    - {name: a, threshold: 0}\n    - {name: b, threshold: 7}\n");
	assert_int_equal(p->tiers.levels[1].threshold, 7);
	assert_int_equal(p->tiers.downgrade, DOWNGRADE_TO_BASE);
	programme_free(p);
}

/* The hash is of what the rules say, not of how it is written. */
static void test_hash(void **state)
{
	(void)state;
	struct programme *const plain = parse(HEAD EARN);
	struct programme *const same = parse(
		"earn:\n  - name: earn-1\n    per_amount:\n      per: 10\n      points: 1.0\n    ledger: points\n"
		"ledgers:\n  - name: points\n    decimals: 3\nname: Other\ntimezone: America/New_York\nversion: 1\n"
		"currency: USD\n");
	struct programme *const other = parse(HEAD EARN "rounding: ceil\n");
	assert_string_equal(plain->hash_text, same->hash_text);
	assert_string_not_equal(plain->hash_text, other->hash_text);
	programme_free(plain);
	programme_free(same);
	programme_free(other);
}

/*
 * What is odd.
 */

static void assert_warnings(const char *text, const char *expected)
{
	_cleanup_buf_ struct buf warnings = {0};
	programme_free(parse_warned(text, &warnings));
	assert_string_equal(buf_text(&warnings), expected);
}

static void test_warnings(void **state)
{
	(void)state;
	assert_warnings(HEAD EARN, "");
	/* A version that follows at once is no gap, whatever the order in the file. */
	assert_warnings(HEAD "earn:\n  - {name: a, per_visit: {points: 1}, from: 2026-07-01}\n"
			     "  - {name: a, per_visit: {points: 2}, until: 2026-06-30}\n",
			"");
	assert_warnings(
		HEAD "earn:\n  - {name: a, per_visit: {points: 1}, from: 2026-07-02}\n"
		     "  - {name: a, per_visit: {points: 2}, until: 2026-06-30}\n",
		"r.yaml:7: earn[1].until: 'a' earns nothing from 2026-07-01 to 2026-07-01: its next version, in "
		"line 6, begins later\n");
	assert_warnings(HEAD "ledgers: [{name: p}, {name: s}]\nearn:\n"
			     "  - {name: a, per_visit: {points: 2}, ledger: p, until: 2026-06-30}\n"
			     "  - {name: a, per_visit: {points: 1}, ledger: s, from: 2026-07-01}\n",
			"r.yaml:8: earn[1]: 'a' earns in the ledger s; the version before it earned in p\n");
	assert_warnings(HEAD EARN "ledgers:\n  - name: points\n  - name: stamps\n  - name: cash\n"
				  "rewards:\n  - {id: coffee, ledger: stamps, cost: 10}\n",
			"r.yaml:10: ledgers[2]: no rule earns in 'cash': only adjustments can change it\n"
			"r.yaml:12: rewards[0]: 'coffee' costs points of the ledger stamps, in which nothing earns\n");
	assert_warnings(
		HEAD EARN "ledgers:\n  - name: points\n    expiry: {months: 1}\n    pending_days: 28\n",
		"r.yaml:10: ledgers[0].pending_days: points that are pending for 28 days may expire, after 1 month, "
		"before they can be spent\n");
	assert_warnings(HEAD EARN "categories:\n  - {name: tea, items: [green]}\n  - {name: gone, items: [card]}\n"
				  "exclude: [gone]\n",
			"r.yaml:8: categories[0]: no rule and no exclude names an item of 'tea'\n");
	assert_warnings(
		HEAD EARN "promotions:\n  - {name: a, multiplier: 1}\n  - {name: b, multiplier: 0.5}\n"
			  "  - {name: over, multiplier: 2, until: 1999-12-31}\n",
		"r.yaml:8: promotions[0].multiplier: 'a' multiplies by 1, which changes nothing\n"
		"r.yaml:9: promotions[1].multiplier: 'b' multiplies by less than 1: with it an order earns less\n");
	assert_warnings(
		HEAD "earn:\n  - per_visit: {points: 1}\npromotions:\n  - {name: a, multiplier: 2}\n"
		     "  - {name: b, multiplier: 2, ledger: points}\n",
		"r.yaml:8: promotions[0]: 'a' multiplies nothing: only per_amount and per_step are multiplied, and no "
		"such rule earns anywhere\n"
		"r.yaml:9: promotions[1]: 'b' multiplies nothing: only per_amount and per_step are multiplied, and no "
		"such rule earns in the ledger points\n");
	/* 2026-11-23 is a Monday, 1969-12-29 one before the epoch. */
	assert_warnings(
		HEAD EARN
		"promotions:\n  - {name: a, multiplier: 2, weekdays: [mon], from: 2026-11-23, until: 2026-11-23}\n"
		"  - {name: b, multiplier: 2, weekdays: [mon], from: 2026-11-24, until: 2026-11-29}\n"
		"  - {name: c, multiplier: 2, weekdays: [mon], from: 2026-11-24, until: 2026-11-30}\n"
		"  - {name: d, multiplier: 2, weekdays: [mon], from: 1969-12-29, until: 1969-12-29}\n"
		"  - {name: e, multiplier: 2, weekdays: [tue], until: 2026-11-23}\n",
		"r.yaml:9: promotions[1].weekdays: 'b' is never in force: none of its weekdays lies between from and "
		"until\n");
	assert_warnings(
		HEAD "ledgers: [{name: a}, {name: b}]\nearn:\n  - {per_visit: {points: 1}, ledger: b}\n"
		     "tiers:\n  metric: points_earned\n  window: {calendar_year: true}\n  levels:\n"
		     "    - {name: base, threshold: 0, multiplier: 2}\n"
		     "    - {name: gold, threshold: 5, multiplier: 1.5}\n",
		"r.yaml:5: ledgers[0]: no rule earns in 'a': only adjustments can change it\n"
		"r.yaml:13: tiers.levels[1]: 'gold' multiplies by less than 'base', the level below\n"
		"r.yaml:11: tiers.levels: the multipliers of tiers multiply nothing: only per_amount and per_step are "
		"multiplied, and there is no such rule\n"
		"r.yaml:9: tiers.metric: nobody ever leaves the first level: the points of the first ledger, a, are "
		"counted, and nothing earns in it\n");
}

/*
 * The template.
 */

/* Every key stands in the template. */
static void assert_documented(const cyaml_schema_value_t *schema, const char *text)
{
	if (schema->type == CYAML_SEQUENCE)
		assert_documented(schema->sequence.entry, text);
	if (schema->type != CYAML_MAPPING)
		return;
	for (const cyaml_schema_field_t *field = schema->mapping.fields; field->key; field++) {
		if (!strstr(text, field->key))
			fail_msg("%s is not in the template", field->key);
		assert_documented(&field->value, text);
	}
}

/* "#key:", "#- key:" or "#- {key:", with blanks around the mark. Prose begins with a capital, or has no colon there. */
static bool is_commented_key(const char *line)
{
	line += strspn(line, " ");
	if (*line++ != '#')
		return false;
	line += strspn(line, " ");
	if (line[0] == '-' && line[1] == ' ')
		line += line[2] == '{' ? 3 : 2;
	const size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
	return len > 0 && line[len] == ':';
}

static void test_template(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf template = {0};
	assert_int_equal(file_read_all(PUNCHCARD_SOURCE_DIR "/templates/programme.yaml", 1u << 20, &template, NULL), 0);
	const char *const text = buf_text(&template);
	assert_non_null(text);
	assert_documented(&PROGRAMME_SCHEMA, text);
	struct programme *const plain = parse(text);
	assert_string_equal(plain->currency, "THB");
	assert_string_equal(tz_name(plain->timezone), "Asia/Bangkok");
	assert_int_equal(plain->n_rules, 1);
	assert_int_equal(plain->rules[0].points_milli, 1000);
	assert_int_equal(plain->rules[0].amount_minor, 1000);

	_cleanup_buf_ struct buf uncommented = {0};
	unsigned n_uncommented = 0;
	for (const char *line = text; *line;) {
		const size_t len = strcspn(line, "\n") + 1;
		const char *const mark = is_commented_key(line) ? strchr(line, '#') : NULL;
		const size_t before = mark ? (size_t)(mark - line) : len;
		assert_int_equal(buf_append(&uncommented, line, before), 0);
		if (mark)
			assert_int_equal(buf_append(&uncommented, mark + 1, len - before - 1), 0);
		n_uncommented += mark != NULL;
		line += len;
	}
	assert_int_equal(n_uncommented, 45);
	struct programme *const full = parse(buf_text(&uncommented));
	/* What stands there as default is the default. */
	assert_string_equal(full->ledgers[0].name, plain->ledgers[0].name);
	assert_string_equal(full->ledgers[0].unit, plain->ledgers[0].unit);
	assert_int_equal(full->ledgers[0].decimals, plain->ledgers[0].decimals);
	assert_int_equal(full->ledgers[0].rounding, plain->ledgers[0].rounding);
	assert_int_equal(full->ledgers[0].pending_days, plain->ledgers[0].pending_days);
	assert_int_equal(full->ledgers[0].negative, plain->ledgers[0].negative);
	assert_string_equal(full->rules[0].name, plain->rules[0].name);
	assert_int_equal(full->rules[0].ledger, plain->rules[0].ledger);
	assert_int_equal(full->promotions[0].min_minor, 0);
	assert_int_equal(full->tiers.downgrade, DOWNGRADE_REQUALIFY);
	assert_int_equal(full->segment_months, plain->segment_months);
	assert_int_equal(full->lateness_us, plain->lateness_us);
	assert_int_equal(full->open_max, plain->open_max);
	/* And the examples are whole. */
	assert_int_equal(full->n_rules, 4);
	assert_int_equal(full->n_promotions, 1);
	assert_int_equal(full->tiers.n_levels, 2);
	assert_int_equal(full->n_rewards, 1);
	assert_int_equal(full->n_items, 3);
	programme_free(full);
	programme_free(plain);
}

/*
 * What is kept.
 */

static char *path_in(const char *dir, const char *name)
{
	char *const path = text_printf("%s/%s", dir, name);
	assert_non_null(path);
	return path;
}

static void write_programme(const char *shop, const char *text)
{
	_cleanup_free_ char *path = path_in(shop, "programme.yaml");
	assert_int_equal(file_write_durable(path, text, strlen(text), NULL), 0);
}

/* Opens, changes the file behind its back, keeps, and expects what was read. */
static void keep(const char *shop, const char *text, char hash[PROGRAMME_HASH_TEXT])
{
	struct deployment *d = NULL;
	struct error err = {0};
	write_programme(shop, text);
	assert_int_equal(deployment_open(shop, DEPLOYMENT_WRITE, "test", &d, &err), 0);
	write_programme(shop, "not: yet finished");
	if (deployment_keep_programme(d, &err) < 0)
		fail_msg("%s", err.message);
	memcpy(hash, d->programme->hash_text, PROGRAMME_HASH_TEXT);
	deployment_close(d);
}

static void assert_kept(const char *shop, const char *hash, const char *text)
{
	_cleanup_free_ char *path = text_printf("%s/data/programmes/%s.yaml", shop, hash);
	_cleanup_buf_ struct buf content = {0};
	assert_int_equal(file_read_all(path, 1u << 20, &content, NULL), 0);
	assert_string_equal(buf_text(&content), text);
}

static void test_versions_are_kept(void **state)
{
	(void)state;
	char base[] = "/tmp/punchcard-test-programme-XXXXXX";
	assert_non_null(mkdtemp(base));
	_cleanup_free_ char *shop = path_in(base, "shop");
	assert_int_equal(deployment_init(shop, NULL), 0);
	char first[PROGRAMME_HASH_TEXT];
	char second[PROGRAMME_HASH_TEXT];
	char again[PROGRAMME_HASH_TEXT];
	keep(shop, HEAD EARN, first);
	keep(shop, HEAD EARN "rounding: ceil\n", second);
	/* The same rules with a comment: what is there stays. */
	keep(shop, "# a comment\n" HEAD EARN, again);
	assert_string_equal(first, again);
	assert_string_not_equal(first, second);
	assert_kept(shop, first, HEAD EARN);
	assert_kept(shop, second, HEAD EARN "rounding: ceil\n");

	/* It cannot be kept: a file is where the directory should be. */
	struct deployment *d = NULL;
	struct error err = {0};
	_cleanup_free_ char *programmes = path_in(shop, "data/programmes");
	assert_int_equal(file_remove_tree(programmes, NULL), 0);
	assert_int_equal(file_write_durable(programmes, "", 0, NULL), 0);
	write_programme(shop, HEAD EARN);
	assert_int_equal(deployment_open(shop, DEPLOYMENT_WRITE, "test", &d, &err), 0);
	assert_true(deployment_keep_programme(d, &err) < 0);
	assert_non_null(strstr(err.message, "data/programmes"));
	deployment_close(d);
	assert_int_equal(file_remove_tree(base, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_least),      cmocka_unit_test(test_ledgers),
		cmocka_unit_test(test_rules),      cmocka_unit_test(test_items),
		cmocka_unit_test(test_promotions), cmocka_unit_test(test_tiers_and_rewards),
		cmocka_unit_test(test_hash),       cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_template),   cmocka_unit_test(test_versions_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
