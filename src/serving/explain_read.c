#include "serving/explain_internal.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "serving/catalog.h"
#include "serving/event_rows.h"
#include "serving/query.h"

#include <inttypes.h>
#include <stdlib.h>

static const char SELECT_ROWS[] = "SELECT " TRANSACTION_COLUMNS " FROM transactions_cln WHERE cust_id = ";
static const char IN_ORDER[] = " ORDER BY source, event_id, line_no";

static int parse_id(const struct deployment *deployment, const char *text, struct customer_id *id, struct error *err)
{
	const size_t len = strlen(text);
	*id = (struct customer_id){0};
	if (deployment->config->customer_id == CUSTOMER_ID_TEXT) {
		if (len == 0 || len > LIMIT_CUSTOMER_ID_BYTES || !utf8_valid(text, len))
			return error_set(err, ERROR_INPUT, "'%s' is no customer id: 1 to %u bytes of UTF-8", text,
					 LIMIT_CUSTOMER_ID_BYTES);
		id->text = slice_of(text);
		return 0;
	}
	if (integer_parse(text, len, &id->number) < 0 || id->number < 0)
		return error_set(err, ERROR_INPUT,
				 "'%s' is no customer id: they are whole numbers here (customer_id in punchcard.yaml)",
				 text);
	if (id->number == 0)
		return error_set(err, ERROR_INPUT, "0 is no customer: orders of guests belong to nobody's account");
	return 0;
}

static int add_row(struct explain *explain, struct engine_scan *scan, uint32_t row, int32_t *last_line,
		   struct error *err)
{
	const struct explain_event *const open = explain->n_events ? &explain->events[explain->n_events - 1] : NULL;
	const int32_t line_no = event_rows_line_no(scan, row);
	const enum customer_id_type id_type = explain->id.text.len ? CUSTOMER_ID_TEXT : CUSTOMER_ID_INTEGER;
	struct event event;
	struct slice source;
	struct order_line line;
	int rc = event_rows_event(scan, row, id_type, &event, &source, err);
	if (rc < 0)
		return rc;
	event.customer = explain->id;
	if (line_no == 1)
		rc = explain_add(explain, &event, source, err);
	else if (!open || line_no != *last_line + 1 || !slice_equal(open->fact.id, event.id) ||
		 !slice_equal(open->source, source))
		rc = error_set(err, ERROR_CORRUPT,
			       "transactions_cln has line %" PRId32
			       " of event %.*s, but not the one before it: a file is missing, or was changed",
			       line_no, (int)event.id.len, event.id.data);
	*last_line = line_no;
	if (rc == 0 && event_rows_line(scan, row, event.kind, &line))
		rc = explain_add_line(explain, &line, err);
	return rc;
}

static int append_id(const struct explain *explain, struct buf *sql)
{
	if (explain->id.text.len)
		return engine_quote(sql, explain->id_text);
	return buf_printf(sql, "%" PRId64, explain->id.number);
}

static int read_events(struct explain *explain, struct engine *engine, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_append_text(&sql, SELECT_ROWS) < 0 || append_id(explain, &sql) < 0 ||
	    buf_append_text(&sql, IN_ORDER) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	struct engine_scan *scan = NULL;
	uint32_t rows = 0;
	int32_t last_line = 0;
	int rc = engine_scan_open(engine, sql.data, &scan, err);
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows)
		for (uint32_t row = 0; rc == 0 && row < rows; row++)
			rc = add_row(explain, scan, row, &last_line, err);
	engine_scan_close(scan);
	return rc;
}

static int read_name(struct explain *explain, struct engine *engine, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_append_text(&sql, "SELECT cust_nm FROM customers_cln WHERE cust_id = ") < 0 ||
	    append_id(explain, &sql) < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	struct engine_scan *scan = NULL;
	uint32_t rows = 0;
	int rc = engine_scan_open(engine, sql.data, &scan, err);
	if (rc == 0)
		rc = engine_scan_next(scan, &rows, err);
	if (rc == 0 && rows) {
		const struct slice name =
			engine_scan_is_null(scan, 0, 0) ? (struct slice){0} : engine_scan_text(scan, 0, 0);
		explain->has_profile = true;
		explain->name = name.len ? text_printf("%.*s", (int)name.len, name.data) : NULL;
		if (name.len && !explain->name)
			rc = error_no_memory(err, name.len);
	}
	engine_scan_close(scan);
	return rc;
}

static void forget_events(struct explain *explain)
{
	explain_clear(explain);
	free(explain->name);
	explain->name = NULL;
	explain->has_profile = false;
}

static int read_once(struct explain *explain, const struct deployment *deployment, struct watch *watch,
		     struct error *err)
{
	const struct engine_options options = {.memory_mib = deployment->config->engine_memory_mib,
					       .threads = deployment->config->engine_threads};
	struct engine *engine = NULL;
	struct catalog *catalog = NULL;
	forget_events(explain);
	int rc = engine_open(&options, &engine, err);
	if (rc < 0)
		return rc;
	watch_engine(watch, engine);
	rc = catalog_attach(engine, deployment, &catalog, err);
	if (rc == 0)
		rc = read_name(explain, engine, err);
	if (rc == 0)
		rc = read_events(explain, engine, err);
	if (rc == ERROR_CORRUPT && err) {
		catalog_name_damage(engine, deployment, err);
		rc = err->code;
	}
	watch_engine(watch, NULL);
	engine_close(engine);
	catalog_detach(catalog);
	return rc;
}

int explain_read(struct explain *explain, const struct deployment *deployment, struct watch *watch, struct error *err)
{
	struct error local = {0};
	int rc = ERROR_NOT_FOUND;
	if (deployment->config->cluster.on)
		return explain_read_cluster(explain, deployment, err);
	/* A table that is replaced meanwhile is read again. */
	for (unsigned attempt = 0; rc == ERROR_NOT_FOUND && attempt < QUERY_ATTEMPTS; attempt++)
		rc = read_once(explain, deployment, watch, &local);
	return rc < 0 ? error_set(err, rc, "%s", local.message) : 0;
}

static int find_ledger(const struct programme *programme, struct slice name, int *out, struct error *err)
{
	*out = -1;
	if (name.len == 0)
		return 0;
	*out = programme_ledger(programme, name);
	if (*out >= 0)
		return 0;
	_cleanup_buf_ struct buf names = {0};
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		if (buf_printf(&names, "%s%s", i ? ", " : "", programme->ledgers[i].name) < 0)
			return error_no_memory(err, names.len);
	return error_set(err, ERROR_USAGE, "the programme has no ledger '%.*s'; it has %s", (int)name.len, name.data,
			 buf_text(&names) ? names.data : "others");
}

int explain_customer(const struct deployment *deployment, const char *customer, const struct explain_options *options,
		     struct explain **out, struct error *err)
{
	struct explain *const explain = explain_new(deployment->programme);
	if (!explain)
		return error_no_memory(err, sizeof(*explain));
	const int32_t today = tz_local_day(deployment->programme->timezone, options->now_us);
	explain->now_us = options->now_us;
	explain->has_day = options->has_day;
	explain->id_text = text_printf("%s", customer);
	if (!explain->id_text) {
		explain_free(explain);
		return error_no_memory(err, strlen(customer));
	}
	int rc = parse_id(deployment, explain->id_text, &explain->id, err);
	if (rc == 0)
		rc = find_ledger(deployment->programme, options->ledger, &explain->ledger, err);
	if (rc == 0)
		rc = explain_read(explain, deployment, options->watch, err);
	if (rc == 0 && !explain->has_profile && explain->n_events == 0)
		rc = error_set(
			err, ERROR_NOT_FOUND,
			"there is no customer %s: no customer file names them, and nothing ever happened to them",
			customer);
	/* Clocks of tills may be ahead: what is known counts, as on the card. */
	int32_t day = today;
	for (size_t i = 0; rc == 0 && i < explain->n_events; i++)
		day = explain->events[i].fact.day > day ? explain->events[i].fact.day : day;
	if (rc == 0)
		rc = explain_fold(explain, options->has_day ? options->day : day, err);
	if (rc < 0) {
		explain_free(explain);
		return rc;
	}
	*out = explain;
	return 0;
}
