#include "batch/customer_tables.h"

#include "base/file.h"
#include "base/tz.h"
#include "base/utf8.h"
#include "batch/parquet.h"

#include <assert.h>
#include <stdlib.h>

/* Names in SQL that no model has. */
#define ROWS_SOURCE "punchcard_customer_rows"
#define BAD_SOURCE  "punchcard_customer_bad_lines"

enum row_column {
	ROW_FILE_NO,
	ROW_LINE,
	ROW_ID,
	ROW_HOME_STORE,
	ROW_NAME,
	ROW_EMAIL,
	ROW_SINCE,
	ROW_CARD_NO,
	ROW_BIRTH_DATE,
	ROW_GENDER,
	ROW_BIRTH_YEAR,
	ROW_COLUMNS,
};

enum bad_column {
	BAD_FILE,
	BAD_LINE,
	BAD_REASON,
	BAD_TEXT,
	BAD_TIME,
	BAD_COLUMNS,
};

static void put_text(struct engine_batch *batch, unsigned column, uint32_t row, struct slice text)
{
	if (text.len)
		engine_batch_text(batch, column, row, text);
	else
		engine_batch_null(batch, column, row);
}

static void put_date(struct engine_batch *batch, unsigned column, uint32_t row, struct customer_date date)
{
	((int32_t *)engine_batch_values(batch, column))[row] = date.days;
	if (!date.known)
		engine_batch_null(batch, column, row);
}

static void put_row(struct engine_batch *batch, uint32_t at, const struct customer_ahead_row *from,
		    enum customer_id_type id_type)
{
	const struct customer_row *const row = &from->row;
	((int64_t *)engine_batch_values(batch, ROW_FILE_NO))[at] = (int64_t)from->file_no;
	((int64_t *)engine_batch_values(batch, ROW_LINE))[at] = (int64_t)from->line;
	if (id_type == CUSTOMER_ID_INTEGER)
		((int64_t *)engine_batch_values(batch, ROW_ID))[at] = row->id_number;
	else
		engine_batch_text(batch, ROW_ID, at, row->id_text);
	put_text(batch, ROW_HOME_STORE, at, row->home_store);
	put_text(batch, ROW_NAME, at, row->name);
	put_text(batch, ROW_EMAIL, at, row->email);
	put_date(batch, ROW_SINCE, at, row->since);
	put_text(batch, ROW_CARD_NO, at, row->card_no);
	put_date(batch, ROW_BIRTH_DATE, at, row->birth_date);
	put_text(batch, ROW_GENDER, at, row->gender);
	((int32_t *)engine_batch_values(batch, ROW_BIRTH_YEAR))[at] = row->birth_year;
	if (!row->birth_year)
		engine_batch_null(batch, ROW_BIRTH_YEAR, at);
}

static int start_rows(void *context, void **state, struct error *err)
{
	struct customer_ahead *ahead = NULL;
	const int rc = customer_ahead_start(context, &ahead, err);
	if (rc == 0)
		*state = ahead;
	return rc;
}

static int fill_rows(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	static_assert(CUSTOMER_AHEAD_ROWS <= ENGINE_BATCH_ROWS, "a batch goes into a batch");
	const struct customer_files *const files = context;
	const struct customer_ahead_batch *from = NULL;
	const int rc = customer_ahead_next(state, &from, err);
	if (rc < 0)
		return rc;
	for (uint32_t at = 0; at < from->n_rows; at++)
		put_row(batch, at, &from->rows[at], files->config->customer_id);
	*rows = from->n_rows;
	return 0;
}

static void stop_rows(void *context, void *state)
{
	(void)context;
	customer_ahead_stop(state);
}

static enum engine_type id_engine_type(enum customer_id_type id_type)
{
	return id_type == CUSTOMER_ID_INTEGER ? ENGINE_BIGINT : ENGINE_VARCHAR;
}

static int register_rows(struct engine *engine, struct customer_files *files, struct error *err)
{
	const struct engine_column columns[ROW_COLUMNS] = {
		[ROW_FILE_NO] = {"file_no", ENGINE_BIGINT},
		[ROW_LINE] = {"line", ENGINE_BIGINT},
		[ROW_ID] = {"cust_id", id_engine_type(files->config->customer_id)},
		[ROW_HOME_STORE] = {"home_store", ENGINE_VARCHAR},
		[ROW_NAME] = {"name", ENGINE_VARCHAR},
		[ROW_EMAIL] = {"email", ENGINE_VARCHAR},
		[ROW_SINCE] = {"since", ENGINE_DATE},
		[ROW_CARD_NO] = {"card_no", ENGINE_VARCHAR},
		[ROW_BIRTH_DATE] = {"birth_date", ENGINE_DATE},
		[ROW_GENDER] = {"gender", ENGINE_VARCHAR},
		[ROW_BIRTH_YEAR] = {"birth_year", ENGINE_INTEGER},
	};
	return engine_register_source(engine,
				      &(struct engine_source){.name = ROWS_SOURCE,
							      .columns = columns,
							      .n_columns = ROW_COLUMNS,
							      .start = start_rows,
							      .fill = fill_rows,
							      .stop = stop_rows,
							      .context = files},
				      err);
}

/* `file` is looked up by file_no, and only where a model asks for it: a path in every row would cost more than the rest. */
static int make_view(struct engine *engine, const struct customer_files *files, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	int rc = buf_append_text(&sql, "CREATE VIEW customers AS SELECT list_extract(CAST([");
	for (size_t i = 0; i < files->n_files && rc == 0; i++) {
		if (i)
			rc = buf_append_text(&sql, ", ");
		if (rc == 0)
			rc = engine_quote(&sql, files->files[i].landed->name);
	}
	if (rc == 0)
		rc = buf_append_text(&sql, "] AS VARCHAR[]), file_no) AS file, * FROM " ROWS_SOURCE "()");
	if (rc < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run(engine, sql.data, err);
}

int customer_tables_attach(struct engine *engine, struct customer_files *files, struct error *err)
{
	const int rc = register_rows(engine, files, err);
	return rc < 0 ? rc : make_view(engine, files, err);
}

/* Appends a statement's end "TO '<path>' (<options>)". */
static int append_target(struct buf *sql, const char *path)
{
	int rc = buf_append_text(sql, " TO ");
	if (rc == 0)
		rc = engine_quote(sql, path);
	if (rc == 0)
		rc = buf_append_text(sql, " (" PARQUET_FAST_OPTIONS ")");
	return rc < 0 || !buf_text(sql) ? ERROR_NO_MEMORY : 0;
}

int customer_tables_clean(struct engine *engine, const char *models_dir, const char *path,
			  enum customer_id_type id_type, struct error *err)
{
	_cleanup_buf_ struct buf before = {0};
	_cleanup_buf_ struct buf after = {0};
	if (buf_printf(&before,
		       "COPY (SELECT CAST(cust_id AS %s) AS cust_id, CAST(cust_nm AS VARCHAR) AS cust_nm, "
		       "CAST(cust_email AS VARCHAR) AS cust_email, CAST(cust_strt_dt AS DATE) AS cust_strt_dt, "
		       "CAST(cust_member_card_no AS VARCHAR) AS cust_member_card_no, "
		       "CAST(cust_birth_dt AS DATE) AS cust_birth_dt, CAST(cust_birth_yr AS INTEGER) AS cust_birth_yr, "
		       "CAST(cust_gender AS VARCHAR) AS cust_gender FROM (",
		       engine_type_sql(id_engine_type(id_type))) < 0 ||
	    !buf_text(&before) || buf_append_text(&after, ") ORDER BY cust_id NULLS FIRST)") < 0 ||
	    append_target(&after, path) < 0)
		return error_no_memory(err, before.len + after.len);
	const int rc = engine_run_model(engine, models_dir, "customers_cln", before.data, after.data, err);
	return rc < 0 ? rc : file_sync_path(path, err);
}

/* One row of customers_cln as a profile; dates become text in the caller's room. */
enum clean_column {
	CLEAN_ID,
	CLEAN_NAME,
	CLEAN_EMAIL,
	CLEAN_SINCE,
	CLEAN_CARD,
	CLEAN_BIRTH_DATE,
	CLEAN_BIRTH_YEAR,
	CLEAN_GENDER,
};

static struct slice get_text(struct engine_scan *scan, unsigned column, uint32_t row)
{
	return engine_scan_is_null(scan, column, row) ? (struct slice){NULL, 0} : engine_scan_text(scan, column, row);
}

static struct slice get_date(struct engine_scan *scan, unsigned column, uint32_t row, char text[11])
{
	if (engine_scan_is_null(scan, column, row))
		return (struct slice){NULL, 0};
	civil_format(((const int32_t *)engine_scan_values(scan, column))[row], text);
	return (struct slice){text, 10};
}

static int give_profile(struct engine_scan *scan, uint32_t row, const struct customer_id *id, customer_profile_fn *take,
			void *context, struct error *err)
{
	char since[11];
	char birth_date[11];
	const struct profile profile = {
		.name = get_text(scan, CLEAN_NAME, row),
		.email = get_text(scan, CLEAN_EMAIL, row),
		.since = get_date(scan, CLEAN_SINCE, row, since),
		.card = get_text(scan, CLEAN_CARD, row),
		.birth_date = get_date(scan, CLEAN_BIRTH_DATE, row, birth_date),
		.gender = get_text(scan, CLEAN_GENDER, row),
		.birth_year = engine_scan_is_null(scan, CLEAN_BIRTH_YEAR, row)
				      ? 0
				      : ((const int32_t *)engine_scan_values(scan, CLEAN_BIRTH_YEAR))[row],
	};
	return take(context, id, &profile, err);
}

#define MODEL_HINT "; models/customers_cln.sql must give one row a customer"

/* The rows come sorted, so the same id twice stands side by side. `last` keeps the one before. */
static int take_id(struct engine_scan *scan, uint32_t row, enum customer_id_type id_type, struct customer_id *id,
		   struct error *err)
{
	*id = (struct customer_id){0};
	if (engine_scan_is_null(scan, CLEAN_ID, row))
		return error_set(err, ERROR_SQL, "customers_cln has a row without a cust_id" MODEL_HINT);
	if (id_type == CUSTOMER_ID_INTEGER)
		id->number = ((const int64_t *)engine_scan_values(scan, CLEAN_ID))[row];
	else
		id->text = engine_scan_text(scan, CLEAN_ID, row);
	if (id_type == CUSTOMER_ID_TEXT && (id->text.len == 0 || id->text.len > LIMIT_CUSTOMER_ID_BYTES))
		return error_set(err, ERROR_SQL, "customers_cln has a cust_id of %zu bytes; 1 to %u are possible",
				 id->text.len, LIMIT_CUSTOMER_ID_BYTES);
	return 0;
}

static int refuse_twice(const struct customer_id *id, enum customer_id_type id_type, struct error *err)
{
	if (id_type == CUSTOMER_ID_INTEGER)
		return error_set(err, ERROR_SQL, "customers_cln has customer %lld twice" MODEL_HINT,
				 (long long)id->number);
	return error_set(err, ERROR_SQL, "customers_cln has customer '%.*s' twice" MODEL_HINT, (int)id->text.len,
			 id->text.data);
}

static int give_rows(struct engine_scan *scan, enum customer_id_type id_type, customer_profile_fn *take, void *context,
		     uint64_t *customers, struct error *err)
{
	int64_t last_number = 0;
	char last_text[LIMIT_CUSTOMER_ID_BYTES];
	struct slice last = {last_text, 0};
	uint64_t n = 0;
	for (;;) {
		uint32_t rows;
		int rc = engine_scan_next(scan, &rows, err);
		if (rc < 0)
			return rc;
		if (rows == 0)
			break;
		for (uint32_t row = 0; row < rows; row++, n++) {
			struct customer_id id;
			rc = take_id(scan, row, id_type, &id, err);
			if (rc < 0)
				return rc;
			if (n && id.number == last_number && slice_equal(id.text, last))
				return refuse_twice(&id, id_type, err);
			last_number = id.number;
			last.len = id.text.len;
			if (id.text.len)
				memcpy(last_text, id.text.data, id.text.len);
			rc = give_profile(scan, row, &id, take, context, err);
			if (rc < 0)
				return rc;
		}
	}
	*customers = n;
	return 0;
}

int customer_tables_profiles(struct engine *engine, const char *path, enum customer_id_type id_type,
			     customer_profile_fn *take, void *context, uint64_t *customers, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_append_text(&sql,
			    "SELECT cust_id, cust_nm, cust_email, cust_strt_dt, cust_member_card_no, cust_birth_dt, "
			    "cust_birth_yr, cust_gender FROM read_parquet(") < 0 ||
	    engine_quote(&sql, path) < 0 || buf_append_text(&sql, ")") < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	struct engine_scan *scan = NULL;
	int rc = engine_scan_open(engine, sql.data, &scan, err);
	if (rc == 0)
		rc = give_rows(scan, id_type, take, context, customers, err);
	engine_scan_close(scan);
	return rc;
}

static int put_profile(void *view, const struct customer_id *id, const struct profile *profile, struct error *err)
{
	return view_profiles_put(view, id, profile, err);
}

int customer_tables_feed(struct engine *engine, const char *path, enum customer_id_type id_type, struct view *view,
			 uint64_t *customers, struct error *err)
{
	int rc = view_profiles_begin(view, err);
	if (rc < 0)
		return rc;
	rc = customer_tables_profiles(engine, path, id_type, put_profile, view, customers, err);
	if (rc < 0)
		view_profiles_abort(view);
	return rc;
}

struct bad_scan {
	struct customer_scan *scan;
	struct buf text; /* of one line */
};

static int start_bad(void *context, void **state, struct error *err)
{
	struct customer_files *const files = context;
	struct bad_scan *const bad = calloc(1, sizeof(*bad));
	if (!bad)
		return error_no_memory(err, sizeof(*bad));
	const int rc = customer_scan_open(files, files->quarantined, 1, &bad->scan, err);
	if (rc < 0)
		free(bad);
	else
		*state = bad;
	return rc;
}

static void stop_bad(void *context, void *state)
{
	(void)context;
	struct bad_scan *const bad = state;
	customer_scan_close(bad->scan);
	buf_release(&bad->text);
	free(bad);
}

static int fill_bad(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	const struct customer_files *const files = context;
	const struct landed_file *const landed = files->files[files->quarantined].landed;
	struct bad_scan *const bad = state;
	struct customer_line line;
	uint32_t n = 0;
	while (n < ENGINE_BATCH_ROWS) {
		const int rc = customer_scan_next(bad->scan, &line, err);
		if (rc < 0)
			return rc;
		if (line.end)
			break;
		if (line.reason == CUSTOMER_GOOD)
			continue;
		buf_clear(&bad->text);
		if (utf8_escape(&bad->text, line.raw.data, line.raw.len, LIMIT_QUARANTINE_TEXT_BYTES) < 0)
			return error_no_memory(err, LIMIT_QUARANTINE_TEXT_BYTES);
		engine_batch_text(batch, BAD_FILE, n, slice_of(landed->name));
		((int64_t *)engine_batch_values(batch, BAD_LINE))[n] = (int64_t)line.number;
		engine_batch_text(batch, BAD_REASON, n, slice_of(customer_reason_code(line.reason)));
		engine_batch_text(batch, BAD_TEXT, n, (struct slice){bad->text.data, bad->text.len});
		((int64_t *)engine_batch_values(batch, BAD_TIME))[n] = landed->mtime_us;
		n++;
	}
	*rows = n;
	return 0;
}

static int register_bad(struct engine *engine, struct customer_files *files, struct error *err)
{
	static const struct engine_column COLUMNS[BAD_COLUMNS] = {
		[BAD_FILE] = {"file", ENGINE_VARCHAR},
		[BAD_LINE] = {"line", ENGINE_BIGINT},
		[BAD_REASON] = {"reason", ENGINE_VARCHAR},
		[BAD_TEXT] = {"text", ENGINE_VARCHAR},
		[BAD_TIME] = {"quarantined_at", ENGINE_TIMESTAMP},
	};
	return engine_register_source(engine,
				      &(struct engine_source){.name = BAD_SOURCE,
							      .columns = COLUMNS,
							      .n_columns = BAD_COLUMNS,
							      .start = start_bad,
							      .fill = fill_bad,
							      .stop = stop_bad,
							      .context = files},
				      err);
}

int customer_tables_quarantine(struct engine *engine, struct customer_files *files, size_t index, const char *path,
			       struct error *err)
{
	int rc = files->has_bad_source ? 0 : register_bad(engine, files, err);
	if (rc < 0)
		return rc;
	files->has_bad_source = true;
	files->quarantined = index;
	_cleanup_buf_ struct buf sql = {0};
	if (buf_append_text(&sql, "COPY (SELECT * FROM " BAD_SOURCE "())") < 0 || append_target(&sql, path) < 0)
		return error_no_memory(err, sql.len);
	rc = engine_run(engine, sql.data, err);
	return rc < 0 ? rc : file_sync_path(path, err);
}
