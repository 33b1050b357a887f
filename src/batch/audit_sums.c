/*
 * What must add up: the ledger's rows with each other, and with the balances. By the engine, which spills what does not fit: the rows of all days, by customer and ledger.
 */
#include "batch/audit_internal.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "batch/committed.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POLL_MS       100
#define INTERRUPT_MS  10
#define NS_PER_MS     INT64_C(1000000)
#define NS_PER_SECOND INT64_C(1000000000)
#define NUMBER_BYTES  32

/* ---- statements that take long ---- */

struct statement {
	struct engine *engine;
	const char *sql;
	int rc;
	struct error error;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool done; /* under the mutex */
};

static void *run_statement(void *argument)
{
	struct statement *const statement = argument;
	statement->rc = engine_run(statement->engine, statement->sql, &statement->error);
	pthread_mutex_lock(&statement->mutex);
	statement->done = true;
	pthread_cond_signal(&statement->changed);
	pthread_mutex_unlock(&statement->mutex);
	return NULL;
}

static struct timespec in_ms(int64_t ms)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	const int64_t ns = at.tv_nsec + ms * NS_PER_MS;
	at.tv_sec += ns / NS_PER_SECOND;
	at.tv_nsec = ns % NS_PER_SECOND;
	return at;
}

/* An interrupt can miss a statement that begins in its moment: it is said again until it is heard. */
static int wait_for(struct audit *audit, struct statement *statement, const char *doing)
{
	int rc = 0;
	pthread_mutex_lock(&statement->mutex);
	while (!statement->done) {
		const struct timespec until = in_ms(rc < 0 ? INTERRUPT_MS : POLL_MS);
		pthread_cond_clockwait(&statement->changed, &statement->mutex, CLOCK_MONOTONIC, &until);
		if (statement->done)
			break;
		pthread_mutex_unlock(&statement->mutex);
		if (rc == 0)
			rc = audit_progress(audit, doing, 0, 0, NULL);
		if (rc < 0)
			engine_interrupt(statement->engine);
		pthread_mutex_lock(&statement->mutex);
	}
	pthread_mutex_unlock(&statement->mutex);
	return rc;
}

int audit_statement(struct audit *audit, struct engine *engine, const char *sql, const char *doing, struct error *err)
{
	struct statement statement = {.engine = engine, .sql = sql};
	pthread_t thread;
	pthread_mutex_init(&statement.mutex, NULL);
	pthread_cond_init(&statement.changed, NULL);
	const int errnum = pthread_create(&thread, NULL, run_statement, &statement);
	if (errnum == 0) {
		wait_for(audit, &statement, doing);
		pthread_join(thread, NULL);
	}
	pthread_cond_destroy(&statement.changed);
	pthread_mutex_destroy(&statement.mutex);
	if (errnum)
		return error_set(err, ERROR_LIMIT,
				 "cannot start a thread: %s; raise the limit of processes (ulimit -u)",
				 strerrordesc_np(errnum));
	if (statement.rc < 0 && err)
		*err = statement.error;
	return statement.rc;
}

/* ---- the ledger's rows ---- */

/* Appends "read_parquet([…])" of all days up to `last`; nothing when there are none. */
static int append_ledger(const struct audit *audit, int32_t last, struct buf *from, struct error *err)
{
	_cleanup_free_ int32_t *days = NULL;
	size_t n = 0;
	unsigned n_days = 0;
	int rc = audit_days(audit, "ledger", &days, &n, err);
	for (size_t i = 0; rc == 0 && i < n && days[i] <= last; i++) {
		_cleanup_buf_ struct buf files = {0};
		unsigned n_files = 0;
		rc = audit_files(audit, "ledger", days[i], "", &files, &n_files, err);
		if (rc < 0 || n_files == 0)
			continue;
		/* A list of lists would be one more thing to plan: the brackets go. */
		if (buf_append_text(from, n_days++ ? ", " : "read_parquet([") < 0 ||
		    buf_append(from, files.data + 1, files.len - 2) < 0)
			rc = error_no_memory(err, files.len);
	}
	if (rc == 0 && n_days && (buf_append_text(from, "], hive_partitioning = false)") < 0 || !buf_text(from)))
		rc = error_no_memory(err, from->len);
	return rc;
}

static int append_balances(const struct audit *audit, int32_t day, bool alone, struct buf *from, struct error *err)
{
	_cleanup_buf_ struct buf files = {0};
	unsigned n = 0;
	const int rc = alone ? 0 : audit_files(audit, "balances", day, "", &files, &n, err);
	if (rc < 0 || n == 0)
		return rc;
	if (!buf_text(&files) || buf_printf(from, "read_parquet(%s, hive_partitioning = false)", files.data) < 0 ||
	    !buf_text(from))
		return error_no_memory(err, files.len);
	return 0;
}

/* A row a customer and ledger: what its rows come to, and those whose balance is not the one before and their points. */
#define SUMS                                                                                                          \
	"CREATE TEMP TABLE sums AS SELECT cust_id, ledger, coalesce(sum(points) FILTER (kind = 'earn' OR (kind = "    \
	"'adjust' AND points > 0)), 0) AS issued, coalesce(-sum(points) FILTER (kind = 'reverse' OR (kind = "         \
	"'adjust' AND points < 0)), 0) AS reversed, coalesce(-sum(points) FILTER (kind = 'redeem'), 0) AS redeemed, " \
	"coalesce(-sum(points) FILTER (kind = 'expire'), 0) AS expired, arg_max(balance, entry_no) AS last, "         \
	"count(*) AS n, max(entry_no) AS last_entry, "                                                                \
	"count(*) FILTER (balance IS DISTINCT FROM due) AS wrong, min(entry_no) FILTER (balance IS DISTINCT FROM "    \
	"due) AS wrong_entry, arg_min(balance, entry_no) FILTER (balance IS DISTINCT FROM due) AS wrong_is, "         \
	"arg_min(due, entry_no) FILTER (balance IS DISTINCT FROM due) AS wrong_due FROM (SELECT CAST(cust_id AS %s) " \
	"AS cust_id, CAST(ledger AS VARCHAR) AS ledger, entry_no, kind, points, balance, coalesce(lag(balance) OVER " \
	"(PARTITION BY cust_id, ledger ORDER BY entry_no, posted_at), 0) + points AS due FROM %s) GROUP BY cust_id, " \
	"ledger"

#define BALANCES                                                                                                  \
	"CREATE TEMP VIEW balances AS SELECT CAST(cust_id AS %s) AS cust_id, CAST(ledger AS VARCHAR) AS ledger, " \
	"balance, pending, debt, earned, redeemed, expired FROM %s"

static const char *id_type_sql(const struct audit *audit)
{
	return engine_type_sql(audit->deployment.config->customer_id == CUSTOMER_ID_INTEGER ? ENGINE_BIGINT
											    : ENGINE_VARCHAR);
}

static int make_sums(struct audit *audit, struct engine *engine, const char *ledger, struct error *err)
{
	_cleanup_free_ char *sql = text_printf(SUMS, id_type_sql(audit), ledger);
	return sql ? audit_statement(audit, engine, sql, "adding up the ledger", err)
		   : error_no_memory(err, sizeof(SUMS));
}

static int make_balances(const struct audit *audit, struct engine *engine, const char *balances, struct error *err)
{
	_cleanup_free_ char *sql = text_printf(BALANCES, id_type_sql(audit), balances);
	return sql ? engine_run(engine, sql, err) : error_no_memory(err, sizeof(BALANCES));
}

/* ---- findings ---- */

/* A statement whose first columns are customer and ledger; `take` tells one row. */
static int each_row(struct audit *audit, struct engine *engine, const char *sql,
		    int (*take)(struct audit *audit, const struct audit_value *values, const struct audit_finding *row,
				struct error *err),
		    struct error *err)
{
	const enum customer_id_type id_type = audit->deployment.config->customer_id;
	_cleanup_buf_ struct buf customer = {0};
	struct audit_scan scan = {0};
	struct audit_value values[AUDIT_COLUMNS_MAX];
	int rc = audit_scan_open(&scan, engine, sql, err);
	for (bool found = true; rc == 0 && found;) {
		rc = scan.rows.next(&scan.rows, values, &found, err);
		if (rc < 0 || !found)
			break;
		struct audit_finding finding = {.table = AUDIT_LEDGER, .kind = AUDIT_SUMS, .day = DAY_MIN};
		const enum engine_type type = id_type == CUSTOMER_ID_INTEGER ? ENGINE_BIGINT : ENGINE_VARCHAR;
		buf_clear(&customer);
		if (!values[0].null && audit_value_text(type, &values[0], &customer) < 0)
			rc = error_no_memory(err, values[0].text.len);
		finding.customer = (struct slice){customer.data, customer.len};
		finding.ledger = values[1].null ? (struct slice){NULL, 0} : values[1].text;
		if (rc == 0)
			rc = take(audit, values, &finding, err);
	}
	audit_scan_close(&scan);
	return rc;
}

static int take_numbers(struct audit *audit, const struct audit_value *values, const struct audit_finding *row,
			struct error *err)
{
	(void)err;
	char texts[2][NUMBER_BYTES];
	snprintf(texts[0], sizeof(texts[0]), "%" PRId64, values[2].number);
	snprintf(texts[1], sizeof(texts[1]), "%" PRId64, values[3].number);
	const struct audit_cell cell = {"entries", slice_of(texts[0]), slice_of(texts[1])};
	struct audit_finding finding = *row;
	finding.cells = &cell;
	finding.n_cells = 1;
	audit_tell(audit, &finding);
	return 0;
}

/* A customer's entries are numbered from 1 without a gap. */
static int find_wrong_numbers(struct audit *audit, struct engine *engine, struct error *err)
{
	return each_row(audit, engine,
			"SELECT cust_id, NULL::VARCHAR, CAST(sum(n) AS BIGINT), CAST(max(last_entry) AS BIGINT) FROM "
			"sums GROUP BY cust_id HAVING sum(n) <> max(last_entry) ORDER BY 1",
			take_numbers, err);
}

static struct slice points_text(const struct audit_value *value, char out[NUMBER_BYTES])
{
	if (value->null)
		return (struct slice){NULL, 0};
	return (struct slice){out, (size_t)decimal_format(value->number, 3, out)};
}

static int take_wrong(struct audit *audit, const struct audit_value *values, const struct audit_finding *row,
		      struct error *err)
{
	(void)err;
	char texts[2][NUMBER_BYTES];
	char rows[NUMBER_BYTES];
	snprintf(rows, sizeof(rows), "%" PRId64, values[2].number);
	const struct audit_cell cells[] = {
		{"balance", points_text(&values[4], texts[0]), points_text(&values[5], texts[1])},
		{"rows that do not add up", slice_of(rows), SLICE("0")},
	};
	struct audit_finding finding = *row;
	finding.entry_no = values[3].number;
	finding.cells = cells;
	finding.n_cells = values[2].number > 1 ? 2 : 1;
	audit_tell(audit, &finding);
	return 0;
}

static int find_wrong_rows(struct audit *audit, struct engine *engine, struct error *err)
{
	return each_row(audit, engine,
			"SELECT cust_id, ledger, wrong, CAST(wrong_entry AS BIGINT), "
			"CAST(wrong_is AS DECIMAL(18,3)), CAST(wrong_due AS DECIMAL(18,3)) FROM sums WHERE wrong > 0 "
			"ORDER BY 1, 2",
			take_wrong, err);
}

/* Pairs of what the ledger's rows come to and what the account has, from column 2 on. */
static int take_account(struct audit *audit, const struct audit_value *values, const struct audit_finding *row,
			struct error *err)
{
	(void)err;
	static const char *const NAMES[] = {"earned", "redeemed", "expired", "balance", "sum of all entries"};
	enum { N_NAMES = sizeof(NAMES) / sizeof(NAMES[0]) };
	char texts[2 * N_NAMES][NUMBER_BYTES];
	struct audit_cell cells[N_NAMES];
	struct audit_finding finding = *row;
	for (unsigned i = 0; i < N_NAMES; i++) {
		const struct audit_value *const pair = &values[2 + 2 * i];
		if (pair[0].null == pair[1].null && pair[0].number == pair[1].number)
			continue;
		cells[finding.n_cells++] = (struct audit_cell){NAMES[i], points_text(&pair[0], texts[2 * i]),
							       points_text(&pair[1], texts[2 * i + 1])};
	}
	finding.cells = cells;
	audit_tell(audit, &finding);
	return 0;
}

#define PAIRS                                                                                                    \
	"coalesce(s.issued - s.reversed, 0) AS a1, coalesce(b.earned, 0) AS a2, coalesce(s.redeemed, 0) AS b1, " \
	"coalesce(b.redeemed, 0) AS b2, coalesce(s.expired, 0) AS c1, coalesce(b.expired, 0) AS c2, "            \
	"coalesce(s.last, 0) AS d1, coalesce(b.balance + b.pending, 0) AS d2, coalesce(s.issued - s.reversed - " \
	"s.redeemed - s.expired, 0) AS e1, coalesce(s.last, 0) AS e2"

#define PAIRS_ALONE                                                                                                \
	"s.issued - s.reversed AS a1, a1 AS a2, s.redeemed AS b1, b1 AS b2, s.expired AS c1, c1 AS c2, s.last AS " \
	"d1, d1 AS d2, s.issued - s.reversed - s.redeemed - s.expired AS e1, s.last AS e2"

#define UNEQUAL_PAIRS(who, pairs, from)                                                                             \
	"SELECT cust_id, ledger, CAST(a1 AS DECIMAL(18,3)), CAST(a2 AS "                                            \
	"DECIMAL(18,3)), CAST(b1 AS DECIMAL(18,3)), CAST(b2 AS DECIMAL(18,3)), CAST(c1 AS DECIMAL(18,3)), CAST(c2 " \
	"AS DECIMAL(18,3)), CAST(d1 AS DECIMAL(18,3)), CAST(d2 AS DECIMAL(18,3)), CAST(e1 AS DECIMAL(18,3)), "      \
	"CAST(e2 AS DECIMAL(18,3)) FROM (SELECT " who ", " pairs " FROM " from ") WHERE a1 <> a2 OR b1 <> b2 OR "   \
	"c1 <> c2 OR d1 <> d2 OR e1 <> e2 ORDER BY 1, 2"

static int find_wrong_accounts(struct audit *audit, struct engine *engine, bool alone, struct error *err)
{
	static const char of_both[] = UNEQUAL_PAIRS(
		"coalesce(s.cust_id, b.cust_id) AS cust_id, coalesce(s.ledger, b.ledger) AS ledger", PAIRS,
		"sums AS s FULL JOIN balances AS b ON s.cust_id = b.cust_id AND s.ledger = b.ledger");
	static const char of_ledger[] = UNEQUAL_PAIRS("s.cust_id, s.ledger", PAIRS_ALONE, "sums AS s");
	return each_row(audit, engine, alone ? of_ledger : of_both, take_account, err);
}

/* ---- totals ---- */

static struct audit_sum *sum_of(struct audit *audit, struct slice name)
{
	struct audit_report *const report = &audit->report;
	for (unsigned i = 0; i < report->n_sums; i++)
		if (slice_is(name, report->sums[i].name))
			return &report->sums[i];
	if (report->n_sums == AUDIT_SUMS_MAX)
		return NULL;
	struct audit_sum *const sum = &report->sums[report->n_sums++];
	*sum = (struct audit_sum){0};
	snprintf(sum->name, sizeof(sum->name), "%.*s", (int)(name.len < sizeof(sum->name) ? name.len : 32), name.data);
	return sum;
}

static int subtract_all(struct audit_sum *sum)
{
	int64_t d = sum->issued_milli;
	if (__builtin_sub_overflow(d, sum->reversed_milli, &d) || __builtin_sub_overflow(d, sum->redeemed_milli, &d) ||
	    __builtin_sub_overflow(d, sum->expired_milli, &d) || __builtin_sub_overflow(d, sum->spendable_milli, &d) ||
	    __builtin_sub_overflow(d, sum->pending_milli, &d) || __builtin_add_overflow(d, sum->debt_milli, &d))
		return ERROR_OVERFLOW;
	sum->difference_milli = d;
	return 0;
}

#define THOUSANDTHS(what) "CAST(coalesce(sum(" what "), 0) * 1000 AS BIGINT)"

static int add_totals(struct audit *audit, struct engine *engine, bool alone, struct error *err)
{
	static const char of_ledger[] =
		"SELECT ledger, " THOUSANDTHS("issued") ", " THOUSANDTHS("reversed") ", " THOUSANDTHS(
			"redeemed") ", " THOUSANDTHS("expired") ", " THOUSANDTHS("last") " FROM sums GROUP BY ledger "
											 "ORDER BY ledger";
	static const char of_balances[] = "SELECT ledger, " THOUSANDTHS("balance + debt") ", " THOUSANDTHS(
		"pending") ", " THOUSANDTHS("debt") " FROM balances GROUP BY ledger ORDER BY ledger";
	struct audit_value values[AUDIT_COLUMNS_MAX];
	struct audit_scan scan = {0};
	const struct programme *const programme = audit->deployment.programme;
	/* In the order of the programme; what it has not, behind. */
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		sum_of(audit, slice_of(programme->ledgers[i].name));
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < (alone ? 1 : 2); i++) {
		rc = audit_scan_open(&scan, engine, i == 0 ? of_ledger : of_balances, err);
		for (bool found = true; rc == 0 && found;) {
			rc = scan.rows.next(&scan.rows, values, &found, err);
			struct audit_sum *const sum = rc == 0 && found ? sum_of(audit, values[0].text) : NULL;
			if (sum && i == 0) {
				sum->issued_milli = values[1].number;
				sum->reversed_milli = values[2].number;
				sum->redeemed_milli = values[3].number;
				sum->expired_milli = values[4].number;
				sum->spendable_milli = alone ? values[5].number : 0;
			} else if (sum) {
				sum->spendable_milli = values[1].number;
				sum->pending_milli = values[2].number;
				sum->debt_milli = values[3].number;
			}
		}
		audit_scan_close(&scan);
	}
	for (unsigned i = 0; rc == 0 && i < audit->report.n_sums; i++)
		if (subtract_all(&audit->report.sums[i]) < 0)
			rc = error_set(err, ERROR_OVERFLOW, "the sums of ledger '%s' do not fit 64 bits",
				       audit->report.sums[i].name);
	return rc;
}

/* ---- all of it ---- */

static int add_up(struct audit *audit, struct engine *engine, const char *ledger, const char *balances,
		  struct error *err)
{
	const bool alone = !balances;
	int rc = make_sums(audit, engine, ledger, err);
	if (rc == 0 && !alone)
		rc = make_balances(audit, engine, balances, err);
	if (rc == 0)
		rc = find_wrong_rows(audit, engine, err);
	if (rc == 0)
		rc = find_wrong_numbers(audit, engine, err);
	if (rc == 0)
		rc = find_wrong_accounts(audit, engine, alone, err);
	if (rc == 0)
		rc = add_totals(audit, engine, alone, err);
	return rc;
}

int audit_sums(struct audit *audit, int32_t day, bool alone, struct error *err)
{
	const struct engine_options options = {.memory_mib = audit->deployment.config->engine_memory_mib,
					       .threads = audit->deployment.config->engine_threads,
					       .tmp_dir = audit->deployment.tmp_dir};
	_cleanup_buf_ struct buf ledger = {0};
	_cleanup_buf_ struct buf balances = {0};
	int rc = append_ledger(audit, day, &ledger, err);
	if (rc == 0)
		rc = append_balances(audit, day, alone, &balances, err);
	if (rc < 0 || !ledger.len)
		return rc;
	struct engine *engine = NULL;
	rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = add_up(audit, engine, ledger.data, balances.len ? balances.data : NULL, err);
	engine_close(engine);
	return audit_unreadable(audit, AUDIT_LEDGER, DAY_MIN, rc, err);
}
