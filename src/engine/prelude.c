/*
 * Spark's names for DuckDB: what a model may use beside the functions that both have.
 *
 * Each macro gives what Spark 4 (ANSI mode, session time zone UTC) gives. date_format knows the pattern letters yyyy MM
 * MMM MMMM dd HH hh mm ss SSS EEE EEEE (and other text as it stands); to_date the seven patterns that stand in it, since
 * DuckDB wants strptime's format as a constant.
 */
#include "engine/engine_internal.h"

static const char PRELUDE[] =
	"CREATE OR REPLACE MACRO timestamp_seconds(s) AS make_timestamp(CAST(s * CAST(1000000 AS BIGINT) AS BIGINT));\n"
	"CREATE OR REPLACE MACRO timestamp_millis(ms) AS make_timestamp(CAST(ms AS BIGINT) * 1000);\n"
	"CREATE OR REPLACE MACRO timestamp_micros(us) AS make_timestamp(CAST(us AS BIGINT));\n"
	"CREATE OR REPLACE MACRO unix_timestamp(t) AS epoch_us(CAST(t AS TIMESTAMP)) // 1000000"
	" - CASE WHEN epoch_us(CAST(t AS TIMESTAMP)) % 1000000 < 0 THEN 1 ELSE 0 END;\n"
	"CREATE OR REPLACE MACRO nvl(a, b) AS coalesce(a, b);\n"
	"CREATE OR REPLACE MACRO nvl2(a, b, c) AS CASE WHEN a IS NOT NULL THEN b ELSE c END;\n"
	"CREATE OR REPLACE MACRO __java_format(p) AS"
	" replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace("
	"p, 'yyyy', '%Y'), 'MMMM', '%B'), 'MMM', '%b'), 'MM', '%m'), 'dd', '%d'), 'HH', '%H'), 'hh', '%I'), 'mm', "
	"'%M'),"
	" 'ss', '%S'), 'SSS', '%g'), 'EEEE', '%A'), 'EEE', '%a');\n"
	"CREATE OR REPLACE MACRO date_format(t, p) AS strftime(t, __java_format(p));\n"
	"CREATE OR REPLACE MACRO to_date(t) AS CAST(t AS DATE), (t, p) AS CAST(CASE p"
	" WHEN 'yyyy-MM-dd' THEN strptime(t, '%Y-%m-%d')"
	" WHEN 'yyyy/MM/dd' THEN strptime(t, '%Y/%m/%d')"
	" WHEN 'yyyyMMdd' THEN strptime(t, '%Y%m%d')"
	" WHEN 'dd-MM-yyyy' THEN strptime(t, '%d-%m-%Y')"
	" WHEN 'dd.MM.yyyy' THEN strptime(t, '%d.%m.%Y')"
	" WHEN 'dd/MM/yyyy' THEN strptime(t, '%d/%m/%Y')"
	" WHEN 'MM/dd/yyyy' THEN strptime(t, '%m/%d/%Y')"
	" ELSE error('to_date: the pattern is not one of the prelude''s: ' || p)::TIMESTAMP END AS DATE);\n"
	"CREATE OR REPLACE MACRO initcap(s) AS array_to_string(list_transform(string_split(lower(s), ' '),"
	" lambda w: upper(substr(w, 1, 1)) || substr(w, 2)), ' ');\n"
	"CREATE OR REPLACE MACRO add_months(d, n) AS CAST(CAST(d AS DATE) + to_months(CAST(n AS INTEGER)) AS DATE);\n"
	"CREATE OR REPLACE MACRO months_between(a, b) AS round("
	"(year(a) - year(b)) * 12 + month(a) - month(b) + CASE WHEN day(a) = day(b)"
	" OR (CAST(a AS DATE) = last_day(CAST(a AS DATE)) AND CAST(b AS DATE) = last_day(CAST(b AS DATE))) THEN 0"
	" ELSE (day(a) - day(b) + (epoch(CAST(CAST(a AS TIMESTAMP) AS TIME)) - epoch(CAST(CAST(b AS TIMESTAMP) AS "
	"TIME)))"
	" / 86400) / 31.0 END, 8);\n"
	"CREATE OR REPLACE MACRO date_add(d, n) AS CAST(d AS DATE) + CAST(n AS INTEGER);\n"
	"CREATE OR REPLACE MACRO date_sub(d, n) AS CAST(d AS DATE) - CAST(n AS INTEGER);\n"
	"CREATE OR REPLACE MACRO collect_list(x) AS list(x) FILTER (x IS NOT NULL);\n";

int engine_prelude(struct engine *engine, struct error *err)
{
	if (engine->prelude_is_made)
		return 0;
	const int rc = engine_run(engine, PRELUDE, err);
	if (rc == 0)
		engine->prelude_is_made = true;
	return rc;
}
