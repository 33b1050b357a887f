/*
 * TZif, versions 1 to 4 (RFC 8536, RFC 9636), all numbers big endian:
 *
 *     0   4   "TZif"
 *     4   1   version: NUL, '2', '3' or '4'
 *     5  15   reserved
 *    20   6×4 counts: isut, isstd, leap, time, type, char
 *    44       block with 4-byte times
 *             from version 2 on: a second header and block with 8-byte times, then LF, the rule in POSIX TZ form, LF
 *
 *   block:    time × (4|8)  transition times, strictly ascending
 *             time × 1      index of the type that begins there
 *             type × 6      int32 offset east in seconds, isdst, index of the abbreviation
 *             char          abbreviations
 *             leap × (8|12) leap seconds
 *             isstd, isut   flags
 *
 * Times before the first transition have type 0. Those behind the last follow the rule, which is spread out here into
 * transitions until 2200, so that a lookup is one search. Every byte is checked before it is used.
 */
#include "base/buf.h"
#include "base/tz_internal.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES    44
#define SECONDS_PER_DAY 86400
#define RULE_FIRST_YEAR 1900
#define RULE_LAST_YEAR  2200

struct cursor {
	const unsigned char *at;
	size_t left;
};

struct block {
	uint32_t n_isut;
	uint32_t n_isstd;
	uint32_t n_leap;
	uint32_t n_time;
	uint32_t n_type;
	uint32_t n_char;
	unsigned char version;
	unsigned time_bytes;
	const unsigned char *times;
	const unsigned char *indexes;
	const unsigned char *types;
};

static uint32_t read_u32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_time(const unsigned char *at, unsigned bytes)
{
	if (bytes == 4)
		return (int32_t)read_u32(at);
	return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

static const unsigned char *take(struct cursor *c, uint64_t bytes)
{
	if (bytes > c->left)
		return NULL;
	const unsigned char *const at = c->at;
	c->at += bytes;
	c->left -= bytes;
	return at;
}

/* Takes a header and its block. False: it is none, or cut off. */
static bool take_block(struct cursor *c, unsigned time_bytes, struct block *b)
{
	const unsigned char *const header = take(c, HEADER_BYTES);
	if (!header || memcmp(header, "TZif", 4) != 0)
		return false;
	*b = (struct block){
		.version = header[4],
		.time_bytes = time_bytes,
		.n_isut = read_u32(header + 20),
		.n_isstd = read_u32(header + 24),
		.n_leap = read_u32(header + 28),
		.n_time = read_u32(header + 32),
		.n_type = read_u32(header + 36),
		.n_char = read_u32(header + 40),
	};
	b->times = take(c, (uint64_t)b->n_time * time_bytes);
	b->indexes = take(c, b->n_time);
	b->types = take(c, (uint64_t)b->n_type * 6);
	return b->times && b->indexes && b->types && take(c, b->n_char) &&
	       take(c, (uint64_t)b->n_leap * (time_bytes + 4)) && take(c, b->n_isstd) && take(c, b->n_isut);
}

/*
 * The rule: std offset [dst [offset] , start [/time] , end [/time]] (POSIX.1, with the extensions of RFC 8536 §3.3.1).
 */

enum day_form {
	DAY_MONTH_WEEK, /* Mm.w.d: day d of week w of month m; week 5 is the last */
	DAY_JULIAN,     /* Jn: 1 to 365, 29 February is never counted */
	DAY_OF_YEAR,    /* n: 0 to 365 */
};

struct change {
	enum day_form form;
	int month;
	int week;
	int day;
	int time_s; /* of local time as it was before the change */
};

struct rule {
	int32_t std_offset_s;
	int32_t dst_offset_s;
	bool has_dst;
	struct change start;
	struct change end;
};

struct text {
	const char *at;
	const char *end;
};

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_char(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

static bool take_number(struct text *t, int min, int max, int *out)
{
	if (t->at == t->end || !is_digit(*t->at))
		return false;
	int value = 0;
	for (; t->at < t->end && is_digit(*t->at); t->at++) {
		value = value * 10 + (*t->at - '0');
		if (value > max)
			return false;
	}
	*out = value;
	return value >= min;
}

static bool take_abbreviation(struct text *t)
{
	const bool quoted = take_char(t, '<');
	const char *const from = t->at;
	while (t->at < t->end &&
	       (is_letter(*t->at) || (quoted && (is_digit(*t->at) || *t->at == '+' || *t->at == '-'))))
		t->at++;
	const bool long_enough = t->at - from >= 3;
	return long_enough && (!quoted || take_char(t, '>'));
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_clock(struct text *t, int max_hours, int *out)
{
	const bool negative = take_char(t, '-');
	if (!negative)
		take_char(t, '+');
	int hours = 0;
	int minutes = 0;
	int seconds = 0;
	if (!take_number(t, 0, max_hours, &hours))
		return false;
	if (take_char(t, ':')) {
		if (!take_number(t, 0, 59, &minutes))
			return false;
		if (take_char(t, ':') && !take_number(t, 0, 59, &seconds))
			return false;
	}
	const int total = hours * 3600 + minutes * 60 + seconds;
	*out = negative ? -total : total;
	return true;
}

static bool take_change(struct text *t, struct change *out)
{
	struct change c = {.time_s = 2 * 3600};
	if (take_char(t, 'M')) {
		c.form = DAY_MONTH_WEEK;
		if (!take_number(t, 1, 12, &c.month) || !take_char(t, '.') || !take_number(t, 1, 5, &c.week) ||
		    !take_char(t, '.') || !take_number(t, 0, 6, &c.day))
			return false;
	} else if (take_char(t, 'J')) {
		c.form = DAY_JULIAN;
		if (!take_number(t, 1, 365, &c.day))
			return false;
	} else {
		c.form = DAY_OF_YEAR;
		if (!take_number(t, 0, 365, &c.day))
			return false;
	}
	if (take_char(t, '/') && !take_clock(t, 167, &c.time_s))
		return false;
	*out = c;
	return true;
}

static bool parse_rule(const char *text, size_t len, struct rule *out)
{
	struct text t = {text, text + len};
	struct rule rule = {0};
	int west_s = 0;
	if (!take_abbreviation(&t) || !take_clock(&t, 24, &west_s))
		return false;
	rule.std_offset_s = -west_s;
	if (t.at < t.end) {
		rule.has_dst = true;
		if (!take_abbreviation(&t))
			return false;
		west_s -= 3600;
		if (t.at < t.end && *t.at != ',' && !take_clock(&t, 24, &west_s))
			return false;
		rule.dst_offset_s = -west_s;
		if (!take_char(&t, ',') || !take_change(&t, &rule.start) || !take_char(&t, ',') ||
		    !take_change(&t, &rule.end))
			return false;
	}
	if (t.at != t.end)
		return false;
	*out = rule;
	return true;
}

static int32_t day_of_change(const struct change *c, int year)
{
	const int32_t new_year = civil_days(year, 1, 1);
	switch (c->form) {
	case DAY_JULIAN:
		return new_year + c->day - 1 + (c->day >= 60 && civil_valid(year, 2, 29));
	case DAY_OF_YEAR:
		return new_year + c->day;
	case DAY_MONTH_WEEK:
		break;
	}
	const int32_t first = civil_days(year, c->month, 1);
	/* 1970-01-01 was a Thursday (4). */
	const int weekday = ((first + 4) % 7 + 7) % 7;
	int32_t day = first + (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
	const int32_t next_month = c->month == 12 ? civil_days(year + 1, 1, 1) : civil_days(year, c->month + 1, 1);
	if (day >= next_month)
		day -= 7;
	return day;
}

static int64_t instant_of_change(const struct change *c, int year, int32_t offset_before_s)
{
	return (int64_t)day_of_change(c, year) * SECONDS_PER_DAY + c->time_s - offset_before_s;
}

/*
 * Making the zone.
 */

/* Adds a transition behind those that are there. One at or before the last added one takes its place (a rule whose summer
 * time ends when the next year's begins). */
static void add_transition(struct tz *tz, uint32_t n_fixed, int64_t at, int32_t offset_s)
{
	while (tz->n > n_fixed && tz->at[tz->n - 1] >= at)
		tz->n--;
	if (tz->offsets[tz->n] == offset_s)
		return;
	tz->at[tz->n++] = at;
	tz->offsets[tz->n] = offset_s;
}

static void add_rule(struct tz *tz, const struct rule *rule, bool any_time, int64_t last_time)
{
	if (!rule->has_dst)
		return;
	int first_year = RULE_FIRST_YEAR;
	if (any_time && last_time > TZ_INDEX_FIRST_S) {
		int month;
		int day;
		const int64_t days = last_time / SECONDS_PER_DAY;
		if (days > INT32_MAX / 2)
			return;
		civil_date((int32_t)days, &first_year, &month, &day);
		first_year--;
	}
	const uint32_t n_fixed = tz->n;
	for (int year = first_year; year <= RULE_LAST_YEAR; year++) {
		const int64_t start = instant_of_change(&rule->start, year, rule->std_offset_s);
		const int64_t end = instant_of_change(&rule->end, year, rule->dst_offset_s);
		for (int turn = 0; turn < 2; turn++) {
			const bool is_start = (start <= end) == (turn == 0);
			const int64_t at = is_start ? start : end;
			if (!any_time || at > last_time)
				add_transition(tz, n_fixed, at, is_start ? rule->dst_offset_s : rule->std_offset_s);
		}
	}
}

static void build_index(struct tz *tz)
{
	uint32_t count = 0;
	for (uint32_t bucket = 0; bucket <= TZ_INDEX_BUCKETS; bucket++) {
		const int64_t begin = TZ_INDEX_FIRST_S + ((int64_t)bucket << TZ_INDEX_SHIFT);
		while (count < tz->n && tz->at[count] <= begin)
			count++;
		tz->index[bucket] = count;
	}
}

static bool offset_ok(int64_t offset_s)
{
	return offset_s >= -TZ_MAX_OFFSET_S && offset_s <= TZ_MAX_OFFSET_S;
}

/* What is wrong with the block, or NULL. */
static const char *check_block(const struct block *b)
{
	if (b->n_leap)
		return "it counts leap seconds; take the zone without \"right/\"";
	if (b->n_type == 0 || b->n_char == 0)
		return "it has no local time type";
	for (uint32_t i = 0; i < b->n_type; i++)
		if (!offset_ok((int32_t)read_u32(b->types + (size_t)i * 6)))
			return "an offset is more than 26 hours";
	for (uint32_t i = 0; i < b->n_time; i++) {
		if (b->indexes[i] >= b->n_type)
			return "a transition names a type that is not there";
		if (i && read_time(b->times + (size_t)i * b->time_bytes, b->time_bytes) <=
				 read_time(b->times + (size_t)(i - 1) * b->time_bytes, b->time_bytes))
			return "its transitions do not ascend";
	}
	return NULL;
}

static int32_t type_offset(const struct block *b, uint32_t type)
{
	return (int32_t)read_u32(b->types + (size_t)type * 6);
}

static void fill_zone(struct tz *tz, const struct block *b, const struct rule *rule)
{
	tz->offsets[0] = b->n_time == 0 && rule ? rule->std_offset_s : type_offset(b, 0);
	int64_t last_time = 0;
	for (uint32_t i = 0; i < b->n_time; i++) {
		last_time = read_time(b->times + (size_t)i * b->time_bytes, b->time_bytes);
		add_transition(tz, tz->n, last_time, type_offset(b, b->indexes[i]));
	}
	if (rule)
		add_rule(tz, rule, b->n_time > 0, last_time);
	build_index(tz);
}

static int make_zone(const char *name, const struct block *b, const struct rule *rule, struct tz **out,
		     struct error *err)
{
	const size_t most = (size_t)b->n_time + 2 * (RULE_LAST_YEAR - RULE_FIRST_YEAR + 2);
	struct tz *const tz = calloc(1, sizeof(*tz));
	if (tz) {
		tz->name = strdup(name);
		tz->at = calloc(most, sizeof(*tz->at));
		tz->offsets = calloc(most + 1, sizeof(*tz->offsets));
	}
	if (!tz || !tz->name || !tz->at || !tz->offsets) {
		tz_free(tz);
		return error_no_memory(err, sizeof(*tz) + most * 12);
	}
	fill_zone(tz, b, rule);
	*out = tz;
	return 0;
}

/* The rule between the two line feeds at the end. *has_rule is false when it is empty. */
static const char *read_footer(struct cursor *c, struct rule *rule, bool *has_rule)
{
	const char *const from = (const char *)c->at + 1;
	const char *const to = c->left < 2 || *c->at != '\n' ? NULL : memchr(from, '\n', c->left - 1);
	if (!to)
		return "its footer is missing";
	*has_rule = to > from;
	if (*has_rule && !parse_rule(from, (size_t)(to - from), rule))
		return "the rule in its footer is no POSIX TZ rule";
	return NULL;
}

int tz_decode(const char *name, const void *data, size_t len, struct tz **out, struct error *err)
{
	struct cursor c = {data, len};
	struct block b;
	struct rule rule = {0};
	bool has_rule = false;
	const char *wrong = NULL;
	if (!take_block(&c, 4, &b))
		return error_set(err, ERROR_CORRUPT, "it is no TZif data, or cut off");
	if (b.version >= '2') {
		if (!take_block(&c, 8, &b))
			return error_set(err, ERROR_CORRUPT, "its 64-bit part is missing or cut off");
		wrong = read_footer(&c, &rule, &has_rule);
	}
	if (!wrong)
		wrong = check_block(&b);
	if (wrong)
		return error_set(err, ERROR_CORRUPT, "%s", wrong);
	return make_zone(name, &b, has_rule ? &rule : NULL, out, err);
}
