/*
 * Spark's names for DuckDB: what a model may use beside the functions that both have.
 *
 * Each macro gives what Spark 4 (ANSI mode, session time zone UTC) gives. date_format knows the pattern letters yyyy MM
 * MMM MMMM dd HH hh mm ss SSS EEE EEEE (and other text as it stands); to_date the seven patterns that stand in it, since
 * DuckDB wants strptime's format as a constant.
 */
#include "engine/engine_internal.h"

#include <assert.h>
#include <string.h>

struct macro {
	const char *name;
	const char *definition; /* behind CREATE MACRO <name> */
};

/* Each costs a third of a millisecond to make: only those that a text mentions are made. A macro may use those above it. */
static const struct macro MACROS[] = {
	{"timestamp_seconds", "(s) AS make_timestamp(CAST(s * CAST(1000000 AS BIGINT) AS BIGINT))"},
	{"timestamp_millis", "(ms) AS make_timestamp(CAST(ms AS BIGINT) * 1000)"},
	{"timestamp_micros", "(us) AS make_timestamp(CAST(us AS BIGINT))"},
	{"unix_timestamp",
	 "(t) AS epoch_us(CAST(t AS TIMESTAMP)) // 1000000 - CASE WHEN epoch_us(CAST(t AS TIMESTAMP)) % "
	 "1000000 < 0 THEN 1 ELSE 0 END"},
	{"nvl", "(a, b) AS coalesce(a, b)"},
	{"nvl2", "(a, b, c) AS CASE WHEN a IS NOT NULL THEN b ELSE c END"},
	{"__java_format",
	 "(p) AS "
	 "replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(p, "
	 "'yyyy', '%Y'), 'MMMM', '%B'), 'MMM', '%b'), 'MM', '%m'), 'dd', '%d'), 'HH', '%H'), 'hh', "
	 "'%I'), 'mm', '%M'), 'ss', '%S'), 'SSS', '%g'), 'EEEE', '%A'), 'EEE', '%a')"},
	{"date_format", "(t, p) AS strftime(t, __java_format(p))"},
	{"to_date", "(t) AS CAST(t AS DATE), (t, p) AS CAST(CASE p WHEN 'yyyy-MM-dd' THEN strptime(t, '%Y-%m-%d') "
		    "WHEN 'yyyy/MM/dd' THEN strptime(t, '%Y/%m/%d') WHEN 'yyyyMMdd' THEN strptime(t, '%Y%m%d') WHEN "
		    "'dd-MM-yyyy' THEN strptime(t, '%d-%m-%Y') WHEN 'dd.MM.yyyy' THEN strptime(t, '%d.%m.%Y') WHEN "
		    "'dd/MM/yyyy' THEN strptime(t, '%d/%m/%Y') WHEN 'MM/dd/yyyy' THEN strptime(t, '%m/%d/%Y') ELSE "
		    "error('to_date: the pattern is not one of the prelude''s: ' || p)::TIMESTAMP END AS DATE)"},
	{"initcap", "(s) AS array_to_string(list_transform(string_split(lower(s), ' '), lambda w: upper(substr(w, "
		    "1, 1)) || substr(w, 2)), ' ')"},
	{"add_months", "(d, n) AS CAST(CAST(d AS DATE) + to_months(CAST(n AS INTEGER)) AS DATE)"},
	{"months_between",
	 "(a, b) AS round((year(a) - year(b)) * 12 + month(a) - month(b) + CASE WHEN day(a) = day(b) OR "
	 "(CAST(a AS DATE) = last_day(CAST(a AS DATE)) AND CAST(b AS DATE) = last_day(CAST(b AS DATE))) "
	 "THEN 0 ELSE (day(a) - day(b) + (epoch(CAST(CAST(a AS TIMESTAMP) AS TIME)) - epoch(CAST(CAST(b "
	 "AS TIMESTAMP) AS TIME))) / 86400) / 31.0 END, 8)"},
	{"date_add", "(d, n) AS CAST(d AS DATE) + CAST(n AS INTEGER)"},
	{"date_sub", "(d, n) AS CAST(d AS DATE) - CAST(n AS INTEGER)"},
	{"collect_list", "(x) AS list(x) FILTER (x IS NOT NULL)"},
};

#define N_MACROS (sizeof(MACROS) / sizeof(MACROS[0]))

static_assert(N_MACROS <= 32, "engine->macros has a bit for each");

static bool mentions(const char *sql, const char *name)
{
	return strcasestr(sql, name) != NULL;
}

int engine_prelude(struct engine *engine, const char *sql, struct error *err)
{
	uint32_t wanted = 0;
	for (unsigned i = N_MACROS; i-- > 0;) {
		if (mentions(sql, MACROS[i].name))
			wanted |= UINT32_C(1) << i;
		for (unsigned user = i + 1; user < N_MACROS; user++)
			if (wanted >> user & 1 && mentions(MACROS[user].definition, MACROS[i].name))
				wanted |= UINT32_C(1) << i;
	}
	wanted &= ~engine->macros;
	if (!wanted)
		return 0;
	_cleanup_buf_ struct buf statements = {0};
	for (unsigned i = 0; i < N_MACROS; i++)
		if (wanted >> i & 1 &&
		    buf_printf(&statements, "CREATE MACRO %s%s;\n", MACROS[i].name, MACROS[i].definition) < 0)
			return error_no_memory(err, statements.len);
	if (!buf_text(&statements))
		return error_no_memory(err, statements.len);
	const int rc = engine_run(engine, statements.data, err);
	if (rc == 0)
		engine->macros |= wanted;
	return rc;
}
