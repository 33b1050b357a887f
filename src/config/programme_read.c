/* Values of programme.yaml, from text to exact numbers. */
#include "base/decimal.h"
#include "base/limits.h"
#include "config/programme_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES  32u
#define TITLE_BYTES 64u
/* At most a million points for one order line of any price. */
#define MAX_POINTS_MILLI INT64_C(1000000000)
/* Bytes of known names that a message lists. */
#define KNOWN_NAMES_BYTES 256u

int maker_copy(const struct maker *m, const char *text, char **out)
{
	char *const copy = strdup(text);
	if (!copy)
		return error_no_memory(m->err, strlen(text));
	*out = copy;
	return 0;
}

int maker_check_name(const struct maker *m, struct yamldoc_key key, const char *text)
{
	const size_t len = strlen(text);
	if (len >= 1 && len <= NAME_BYTES && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len)
		return 0;
	return yamldoc_fail(m->file, m->err, key,
			    "'%s' is no name; expected 1 to 32 bytes of a-z, 0-9, '_' and '-', such as points", text);
}

int maker_check_title(const struct maker *m, struct yamldoc_key key, const char *text)
{
	const size_t len = strlen(text);
	if (len >= 1 && len <= TITLE_BYTES && slice_trim(slice_of(text)).len == len)
		return 0;
	return yamldoc_fail(m->file, m->err, key, "'%s' is no name; expected 1 to 64 bytes without blanks at the ends",
			    text);
}

int maker_number(const struct maker *m, struct yamldoc_key key, const char *text, int scale, bool zero, int64_t max,
		 const char *expected, int64_t *out)
{
	int64_t value;
	if (decimal_parse(text, strlen(text), scale, '.', max, &value) < 0 || value < (zero ? 0 : 1))
		return yamldoc_fail(m->file, m->err, key, "'%s' does not fit; expected %s", text, expected);
	*out = value;
	return 0;
}

int maker_points(const struct maker *m, struct yamldoc_key key, const char *text, int64_t *out)
{
	return maker_number(m, key, text, 3, false, MAX_POINTS_MILLI,
			    "a number above 0, at most 1000000, with at most three decimals", out);
}

int maker_amount(const struct maker *m, struct yamldoc_key key, const char *text, bool zero, int64_t *out)
{
	if (!text) {
		*out = 0;
		return 0;
	}
	return maker_number(m, key, text, 2, zero, LIMIT_AMOUNT_MINOR,
			    zero ? "an amount from 0 to 1000000000 with at most two decimals"
				 : "an amount above 0, at most 1000000000, with at most two decimals",
			    out);
}

int maker_multiplier(const struct maker *m, struct yamldoc_key key, const char *text, struct multiplier *out)
{
	int64_t milli = 1000;
	const int rc = !text ? 0
			     : maker_number(m, key, text, 3, false, PROGRAMME_MULTIPLIER_MAX_MILLI,
					    "a number above 0, at most 1000, with at most three decimals", &milli);
	if (rc < 0)
		return rc;
	*out = (struct multiplier){.num = milli, .den = 1000};
	return 0;
}

static int read_day(const struct maker *m, struct yamldoc_key key, const char *text, int32_t *day)
{
	if (!text || civil_parse(text, strlen(text), day) == 0)
		return 0;
	return yamldoc_fail(m->file, m->err, key,
			    "'%s' is no day of the calendar; expected yyyy-mm-dd, such as 2026-01-31", text);
}

int maker_period(const struct maker *m, struct yamldoc_key place, const char *from, const char *until,
		 int32_t *from_day, int32_t *until_day)
{
	int32_t first = DAY_MIN;
	int32_t last = DAY_MAX;
	int rc = read_day(m, yamldoc_key("%.64s.from", place.text), from, &first);
	if (rc == 0)
		rc = read_day(m, yamldoc_key("%.64s.until", place.text), until, &last);
	if (rc < 0)
		return rc;
	if (first > last)
		return yamldoc_fail(m->file, m->err, yamldoc_key("%.64s.from", place.text),
				    "'%s' is after until, %s; expected the first and the last day, both included", from,
				    until);
	*from_day = first;
	*until_day = last;
	return 0;
}

/* "a, b, c, …" */
struct names {
	char text[KNOWN_NAMES_BYTES];
	size_t len;
};

static void add_name(struct names *names, const char *name)
{
	const size_t room = sizeof(names->text) - names->len;
	const size_t need = strlen(name) + (names->len ? 2 : 0);
	/* Room for the mark that others were left out. */
	if (need + sizeof(", …") > room) {
		if (room > sizeof(", …") && names->len && !strstr(names->text, "…"))
			memcpy(names->text + names->len, ", …", sizeof(", …"));
		return;
	}
	names->len += (size_t)snprintf(names->text + names->len, room, "%s%s", names->len ? ", " : "", name);
}

int maker_ledger(const struct maker *m, struct yamldoc_key key, const char *name, uint8_t *out)
{
	const struct programme *const p = m->programme;
	struct names known = {0};
	if (!name) {
		*out = 0;
		return 0;
	}
	for (unsigned i = 0; i < p->n_ledgers; i++) {
		if (strcmp(p->ledgers[i].name, name) == 0) {
			*out = (uint8_t)i;
			return 0;
		}
		add_name(&known, p->ledgers[i].name);
	}
	return yamldoc_fail(m->file, m->err, key, "'%s' is no ledger; expected one of ledgers: %s", name, known.text);
}

int maker_category(const struct maker *m, struct yamldoc_key key, const char *name, unsigned *out)
{
	const struct programme_file *const from = m->from;
	struct names known = {0};
	for (unsigned i = 0; i < from->n_categories; i++) {
		if (strcmp(from->categories[i].name, name) == 0) {
			*out = i;
			return 0;
		}
		add_name(&known, from->categories[i].name);
	}
	if (from->n_categories == 0)
		return yamldoc_fail(m->file, m->err, key,
				    "'%s' is no category; expected the name of one in categories, and there is none",
				    name);
	return yamldoc_fail(m->file, m->err, key, "'%s' is no category; expected one of categories: %s", name,
			    known.text);
}

int maker_check_unit(const struct maker *m, struct yamldoc_key key, const char *text, int64_t points_milli,
		     unsigned ledger)
{
	static const char *const UNITS[] = {"whole points", "at most one decimal", "at most two decimals"};
	static const int64_t UNITS_MILLI[] = {1000, 100, 10};
	const struct ledger_rules *const rules = &m->programme->ledgers[ledger];
	if (rules->decimals == 3 || points_milli % UNITS_MILLI[rules->decimals] == 0)
		return 0;
	return yamldoc_fail(m->file, m->err, key, "'%s' has more decimals than the ledger %s; expected %s", text,
			    rules->name, UNITS[rules->decimals]);
}

int maker_twice(const struct maker *m, struct yamldoc_key key, struct yamldoc_key first, const char *name)
{
	return yamldoc_fail(m->file, m->err, key, "'%s' is there twice, first in line %zu; expected another name", name,
			    yamldoc_line(m->file, first));
}
