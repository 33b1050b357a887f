/* The batch layer's tables against the fold: the ledger day by day, and the tables of the audited day. */
#include "batch/audit_internal.h"

#include "base/tz.h"
#include "batch/accounts.h"
#include "batch/states.h"

#include <stdlib.h>

#define COMPARE_MEMORY_MIB 256u
/* Stands for "never" in the table. */
#define NEVER_YEAR       9999

#define LEDGER_N_COLUMNS 12u

/* ---- the ledger ---- */

static const struct engine_column LEDGER[2][LEDGER_N_COLUMNS] = {
#define LEDGER_WITH(id_type)                                                                                       \
	{                                                                                                          \
		{"cust_id", id_type}, {"entry_no", ENGINE_BIGINT}, {"event_id", ENGINE_VARCHAR},                   \
			{"posted_at", ENGINE_TIMESTAMP}, {"ledger", ENGINE_VARCHAR}, {"kind", ENGINE_VARCHAR},     \
			{"points", ENGINE_DECIMAL_18_3}, {"lot", ENGINE_DATE}, {"rule", ENGINE_VARCHAR},           \
			{"programme", ENGINE_VARCHAR}, {"balance", ENGINE_DECIMAL_18_3}, {"note", ENGINE_VARCHAR}, \
	}
	[CUSTOMER_ID_INTEGER] = LEDGER_WITH(ENGINE_BIGINT),
	[CUSTOMER_ID_TEXT] = LEDGER_WITH(ENGINE_VARCHAR),
};

/* Rows of the fold. */
struct folded_rows {
	struct audit_rows rows;
	struct ledger_spool_source source;
	enum customer_id_type id_type;
};

static struct audit_value text_value(struct slice text)
{
	return (struct audit_value){.null = text.len == 0, .text = text};
}

static struct audit_value number_value(int64_t number)
{
	return (struct audit_value){.number = number};
}

static int next_folded(struct audit_rows *rows, struct audit_value *values, bool *found, struct error *err)
{
	struct folded_rows *const folded = (struct folded_rows *)rows;
	struct ledger_row row;
	const int rc = folded->source.source.next(&folded->source.source, &row, found, err);
	if (rc < 0 || !*found)
		return rc;
	values[0] = folded->id_type == CUSTOMER_ID_INTEGER ? number_value(row.customer.number)
							   : text_value(row.customer.text);
	values[1] = number_value(row.entry_no);
	values[2] = text_value(row.event_id);
	values[3] = number_value(row.posted_us);
	values[4] = text_value(row.ledger);
	values[5] = text_value(row.kind);
	values[6] = number_value(row.points_milli);
	values[7] = number_value(row.lot == DAY_MAX ? civil_days(NEVER_YEAR, 12, 31) : row.lot);
	values[7].null = row.lot == LOT_NONE;
	values[8] = text_value(row.rule);
	values[9] = text_value(row.programme);
	values[10] = number_value(row.balance_milli);
	values[11] = text_value(row.note);
	return 0;
}

static int count_folded(const struct folding *folding, int32_t day, enum customer_id_type id_type,
			struct ledger_names *names, uint64_t *n, struct error *err)
{
	struct ledger_spool_source source;
	ledger_spool_source(&source, folding->ledger, day, id_type, names);
	uint64_t rows = 0;
	int rc = 0;
	for (bool found = true; rc == 0 && found; rows += found) {
		struct ledger_row row;
		rc = source.source.next(&source.source, &row, &found, err);
	}
	ledger_spool_source_release(&source);
	if (rc == 0)
		*n = rows;
	return rc;
}

/* Casts to what a column should be, so that a file that somebody else wrote is compared by its values. Appends
 * "CAST("a" AS BIGINT) AS "a", …". */
static int append_columns(const struct engine_column *columns, unsigned n, struct buf *sql)
{
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = buf_printf(sql, "%sCAST(%s AS %s) AS %s", i ? ", " : "", columns[i].name,
				engine_type_sql(columns[i].type), columns[i].name);
	return rc;
}

static int append_select(const struct engine_column *columns, unsigned n_columns, unsigned n_keys, const char *from,
			 struct buf *sql, struct error *err)
{
	int rc = buf_append_text(sql, "SELECT ");
	if (rc == 0)
		rc = append_columns(columns, n_columns, sql);
	if (rc == 0)
		rc = buf_printf(sql, " FROM %s ORDER BY ", from);
	for (unsigned i = 0; rc == 0 && i < n_keys; i++)
		rc = buf_printf(sql, "%s%u NULLS LAST", i ? ", " : "", i + 1);
	return rc < 0 || !buf_text(sql) ? error_no_memory(err, sql->len) : 0;
}

/* Appends "read_parquet([…])" of a day's files; empty when there are none. */
static int append_files(const struct audit *audit, const char *table, int32_t day, const char *prefix, struct buf *from,
			struct error *err)
{
	_cleanup_buf_ struct buf files = {0};
	unsigned n = 0;
	const int rc = audit_files(audit, table, day, prefix, &files, &n, err);
	if (rc < 0 || n == 0)
		return rc;
	if (!buf_text(&files) || buf_printf(from, "read_parquet(%s, hive_partitioning = false)", files.data) < 0 ||
	    !buf_text(from))
		return error_no_memory(err, files.len);
	return 0;
}

static int compare_ledger_day(struct audit *audit, const struct audit_shape *shape, struct engine *engine,
			      struct folded_rows *folded, int32_t day, const char *from, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	struct audit_scan scan = {0};
	int rc = append_select(shape->columns, shape->n_columns, shape->n_keys, from, &sql, err);
	if (rc < 0)
		return rc;
	uint64_t rows = 0;
	rc = audit_scan_open(&scan, engine, sql.data, err);
	if (rc == 0)
		rc = audit_compare(audit, shape, day, &folded->rows, &scan.rows, "comparing the ledger", &rows, err);
	audit_scan_close(&scan);
	audit->report.entries += rows;
	return audit_unreadable(audit, AUDIT_LEDGER, day, rc, err);
}

static void tell_partition(struct audit *audit, enum audit_table table, enum audit_kind kind, int32_t day,
			   uint64_t rows)
{
	audit_tell(audit, &(struct audit_finding){.table = table, .kind = kind, .day = day, .rows = rows});
}

static int count_rows(struct engine *engine, const char *from, uint64_t *n, struct error *err)
{
	_cleanup_free_ char *sql = text_printf("SELECT count(*) FROM %s", from);
	int64_t rows = 0;
	const int rc = sql ? engine_run_int64(engine, sql, &rows, err) : error_no_memory(err, strlen(from));
	if (rc == 0)
		*n = (uint64_t)rows;
	return rc;
}

/* A day that is on one side only is one finding, not one a row. */
static int tell_one_sided(struct audit *audit, const struct folding *folding, struct engine *engine,
			  struct ledger_names *names, int32_t day, const char *from, struct error *err)
{
	const bool is_there = from[0] != '\0';
	uint64_t rows = 0;
	int rc = is_there ? count_rows(engine, from, &rows, err)
			  : count_folded(folding, day, audit->deployment.config->customer_id, names, &rows, err);
	if (rc == 0 && rows)
		tell_partition(audit, AUDIT_LEDGER, is_there ? AUDIT_FOREIGN : AUDIT_MISSING, day, rows);
	return audit_unreadable(audit, AUDIT_LEDGER, day, rc, err);
}

static int audit_ledger_day(struct audit *audit, const struct folding *folding, struct engine *engine,
			    struct ledger_names *names, int32_t day, struct error *err)
{
	const enum customer_id_type id_type = audit->deployment.config->customer_id;
	const struct audit_shape shape = {
		.table = AUDIT_LEDGER,
		.columns = LEDGER[id_type],
		.n_columns = LEDGER_N_COLUMNS,
		.n_keys = 2,
		.entry = 1,
		.event = 2,
		.ledger = 4,
	};
	_cleanup_buf_ struct buf from = {0};
	int rc = append_files(audit, "ledger", day, "", &from, err);
	if (rc < 0)
		return rc;
	if (!from.len || !folding || !ledger_spool_has(folding->ledger, day))
		return tell_one_sided(audit, folding, engine, names, day, from.len ? from.data : "", err);
	struct folded_rows folded = {.rows.next = next_folded, .id_type = id_type};
	ledger_spool_source(&folded.source, folding->ledger, day, id_type, names);
	rc = compare_ledger_day(audit, &shape, engine, &folded, day, from.data, err);
	ledger_spool_source_release(&folded.source);
	return rc;
}

static int open_engine(const struct audit *audit, struct engine **engine, struct error *err)
{
	const struct engine_options options = {.memory_mib = COMPARE_MEMORY_MIB,
					       .threads = audit->deployment.config->engine_threads,
					       .tmp_dir = audit->deployment.tmp_dir};
	return engine_open(&options, engine, err);
}

int audit_ledger(struct audit *audit, const struct folding *folding, int32_t first, int32_t last, struct error *err)
{
	_cleanup_free_ int32_t *days = NULL;
	size_t n = 0;
	struct engine *engine = NULL;
	struct ledger_names *const names = ledger_names_new(audit->deployment.programme);
	int rc = names ? audit_days(audit, "ledger", &days, &n, err) : error_no_memory(err, sizeof(void *));
	if (rc == 0)
		rc = open_engine(audit, &engine, err);
	/* Both have their days in order. */
	size_t i = 0;
	while (i < n && days[i] < first)
		i++;
	int32_t folded = folding ? ledger_spool_day(folding->ledger, first) : DAY_MAX;
	while (rc == 0) {
		const int32_t there = i < n ? days[i] : DAY_MAX;
		const int32_t day = there < folded ? there : folded;
		if (day == DAY_MAX || day > last)
			break;
		rc = audit_progress(audit, "comparing the ledger", audit->report.entries, 0, err);
		if (rc == 0)
			rc = audit_ledger_day(audit, folding, engine, names, day, err);
		i += there == day;
		if (folded == day)
			folded = day == last ? DAY_MAX : ledger_spool_day(folding->ledger, day + 1);
	}
	engine_close(engine);
	ledger_names_free(names);
	return rc;
}

/* ---- the day's tables ---- */

#define COLUMNS_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct engine_column STATES[] = {{"cust_id", ENGINE_BIGINT}, {"state", ENGINE_BLOB}};

static const struct engine_column BALANCES[] = {
	{"cust_id", ENGINE_BIGINT},        {"ledger", ENGINE_VARCHAR},       {"balance", ENGINE_DECIMAL_18_3},
	{"pending", ENGINE_DECIMAL_18_3},  {"debt", ENGINE_DECIMAL_18_3},    {"earned", ENGINE_DECIMAL_18_3},
	{"redeemed", ENGINE_DECIMAL_18_3}, {"expired", ENGINE_DECIMAL_18_3}, {"expiring_30d", ENGINE_DECIMAL_18_3},
	{"next_expiry", ENGINE_DATE},
};

/* Those that models/loyalty.sql takes over from the kernel. Who edits it may leave some out, but the first. */
static const struct engine_column LOYALTY[] = {
	{"cust_id", ENGINE_BIGINT},
	{"points_balance", ENGINE_DECIMAL_18_3},
	{"points_earned", ENGINE_DECIMAL_18_3},
	{"points_redeemed", ENGINE_DECIMAL_18_3},
	{"points_expired", ENGINE_DECIMAL_18_3},
	{"points_pending", ENGINE_DECIMAL_18_3},
	{"points_expiring_30d", ENGINE_DECIMAL_18_3},
	{"orders", ENGINE_BIGINT},
	{"visits", ENGINE_BIGINT},
	{"spnd_amt", ENGINE_DECIMAL_18_2},
	{"tier", ENGINE_VARCHAR},
	{"tier_valid_to", ENGINE_DATE},
	{"to_next_tier", ENGINE_DECIMAL_18_3},
	{"first_order", ENGINE_TIMESTAMP},
	{"last_order", ENGINE_TIMESTAMP},
};

struct day_table {
	enum audit_table table;
	const char *name;   /* of its directory */
	const char *prefix; /* of its files */
	const char *folded; /* what to select from */
	const struct engine_column *columns;
	unsigned n_columns;
	unsigned n_keys;
	unsigned ledger;
	bool may_lack; /* columns */
};

static const struct day_table DAY_TABLES[] = {
	{AUDIT_ACCOUNT_STATE, "account_state", STATES_PREFIX, "kernel_states()", STATES, COLUMNS_OF(STATES), 1, 0,
	 false},
	{AUDIT_BALANCES, "balances", "", "kernel_balances()", BALANCES, COLUMNS_OF(BALANCES), 2, 1, false},
	{AUDIT_LOYALTY, "loyalty", "", "(SELECT *, spend AS spnd_amt FROM kernel_accounts())", LOYALTY,
	 COLUMNS_OF(LOYALTY), 1, 0, true},
};

static int has_column(struct engine *engine, const char *from, const char *column, bool *has, struct error *err)
{
	_cleanup_free_ char *sql =
		text_printf("SELECT count(*) FROM (DESCRIBE SELECT * FROM %s) WHERE column_name = '%s'", from, column);
	int64_t n = 0;
	const int rc = sql ? engine_run_int64(engine, sql, &n, err) : error_no_memory(err, strlen(from));
	*has = n > 0;
	return rc;
}

/* The table's columns with the type of this deployment's ids, and only those that are there where some may be left out. */
static int choose_columns(const struct audit *audit, const struct day_table *table, struct engine *engine,
			  const char *from, struct engine_column *out, unsigned *n, struct error *err)
{
	int rc = 0;
	*n = 0;
	for (unsigned i = 0; rc == 0 && i < table->n_columns; i++) {
		bool has = true;
		if (table->may_lack && i >= table->n_keys)
			rc = has_column(engine, from, table->columns[i].name, &has, err);
		if (rc == 0 && has)
			out[(*n)++] = table->columns[i];
	}
	if (audit->deployment.config->customer_id == CUSTOMER_ID_TEXT)
		out[0].type = ENGINE_VARCHAR;
	return rc;
}

/* Each side has an engine, for one runs one scan at a time. */
static int compare_scans(struct audit *audit, const struct day_table *table, int32_t day, struct engine *folded,
			 struct engine *there, const char *from, struct error *err)
{
	struct engine_column columns[AUDIT_COLUMNS_MAX];
	struct audit_shape shape = {
		.table = table->table, .columns = columns, .n_keys = table->n_keys, .ledger = table->ledger};
	_cleanup_buf_ struct buf should_sql = {0};
	_cleanup_buf_ struct buf is_sql = {0};
	int rc = choose_columns(audit, table, there, from, columns, &shape.n_columns, err);
	if (rc == 0)
		rc = append_select(columns, shape.n_columns, shape.n_keys, table->folded, &should_sql, err);
	if (rc == 0)
		rc = append_select(columns, shape.n_columns, shape.n_keys, from, &is_sql, err);
	if (rc < 0)
		return rc;
	struct audit_scan should = {0};
	struct audit_scan is = {0};
	uint64_t rows = 0;
	rc = audit_scan_open(&should, folded, should_sql.data, err);
	if (rc == 0)
		rc = audit_scan_open(&is, there, is_sql.data, err);
	if (rc == 0)
		rc = audit_compare(audit, &shape, day, &should.rows, &is.rows, "comparing the day's tables", &rows,
				   err);
	audit_scan_close(&should);
	audit_scan_close(&is);
	return rc;
}

static int audit_day_table(struct audit *audit, const struct day_table *table, int32_t day, struct engine *folded,
			   struct engine *there, struct error *err)
{
	_cleanup_buf_ struct buf from = {0};
	int rc = append_files(audit, table->name, day, table->prefix, &from, err);
	if (rc < 0)
		return rc;
	if (from.len) {
		rc = compare_scans(audit, table, day, folded, there, from.data, err);
		return audit_unreadable(audit, table->table, day, rc, err);
	}
	uint64_t rows = 0;
	rc = count_rows(folded, table->folded, &rows, err);
	if (rc == 0 && rows)
		tell_partition(audit, table->table, AUDIT_MISSING, day, rows);
	return rc;
}

int audit_day_tables(struct audit *audit, const struct folding *folding, struct error *err)
{
	const struct accounts accounts = {
		.deployment = &audit->deployment,
		.programme = audit->deployment.programme,
		.day = folding->day,
		.parts = {folding, NULL},
	};
	struct engine *folded = NULL;
	struct engine *there = NULL;
	int rc = open_engine(audit, &folded, err);
	if (rc == 0)
		rc = open_engine(audit, &there, err);
	if (rc == 0)
		rc = accounts_register(&accounts, folded, err);
	for (size_t i = 0; rc == 0 && i < COLUMNS_OF(DAY_TABLES); i++)
		rc = audit_day_table(audit, &DAY_TABLES[i], folding->day, folded, there, err);
	engine_close(folded);
	engine_close(there);
	return rc;
}
