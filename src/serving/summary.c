#include "serving/summary.h"

#include "base/tz.h"
#include "engine/engine.h"
#include "serving/catalog.h"

#include <stdio.h>

/* who: 0 a member, 1 a guest, 2 a customer that no file names. An order is counted by its first line. */
static const char SALES_SQL[] =
	"SELECT CAST(CASE WHEN t.cust_id IS NULL THEN 1 WHEN c.cust_id IS NULL THEN 2 ELSE 0 END AS INTEGER) AS who,"
	" CAST(count(*) AS BIGINT), CAST(count(*) FILTER (WHERE line_no = 1) AS BIGINT),"
	" CAST(count(DISTINCT t.cust_id) AS BIGINT), CAST(sum(odr_amt) AS DECIMAL(18,2)),"
	" min(data_dt), max(data_dt)"
	" FROM transactions_cln AS t LEFT JOIN customers_cln AS c ON c.cust_id = t.cust_id GROUP BY who ORDER BY who";

static const char TOP_SQL[] =
	"SELECT CAST(a.cust_id AS VARCHAR), coalesce(c.cust_nm, ''), a.spend, a.points, a.orders, a.visits"
	" FROM accounts AS a JOIN customers_cln AS c ON c.cust_id = a.cust_id"
	" ORDER BY a.spend DESC, a.cust_id LIMIT 5";

static const char REASONS_SQL[] = "SELECT reason, CAST(count(*) AS BIGINT) AS n FROM quarantine"
				  " GROUP BY reason ORDER BY n DESC, reason LIMIT 16";

static int64_t int64_at(struct engine_scan *scan, unsigned column, uint32_t row)
{
	const int64_t *const values = engine_scan_values(scan, column);
	return values[row];
}

static int32_t int32_at(struct engine_scan *scan, unsigned column, uint32_t row)
{
	const int32_t *const values = engine_scan_values(scan, column);
	return values[row];
}

/* As many whole characters as fit. */
static void copy_text(struct slice text, char *out, size_t size)
{
	size_t len = text.len;
	if (len >= size)
		for (len = size - 1; len > 0 && (text.data[len] & 0xC0) == 0x80;)
			len--;
	if (len > 0)
		memcpy(out, text.data, len);
	out[len] = '\0';
}

static void take_sales(struct summary *summary, struct engine_scan *scan, uint32_t row)
{
	struct summary_sales *const who[] = {&summary->members, &summary->guests, &summary->unknown};
	struct summary_sales *const sales = who[int32_at(scan, 0, row)];
	sales->lines = int64_at(scan, 1, row);
	sales->orders = int64_at(scan, 2, row);
	sales->customers = int64_at(scan, 3, row);
	sales->amount_minor = int64_at(scan, 4, row);
	char first[11];
	char last[11];
	civil_format(int32_at(scan, 5, row), first);
	civil_format(int32_at(scan, 6, row), last);
	if (!summary->first_day[0] || strcmp(first, summary->first_day) < 0)
		memcpy(summary->first_day, first, sizeof(first));
	if (strcmp(last, summary->last_day) > 0)
		memcpy(summary->last_day, last, sizeof(last));
}

static void take_member(struct summary *summary, struct engine_scan *scan, uint32_t row)
{
	struct summary_member *const member = &summary->top[summary->n_top++];
	copy_text(engine_scan_text(scan, 0, row), member->id, sizeof(member->id));
	copy_text(engine_scan_text(scan, 1, row), member->name, sizeof(member->name));
	member->spend_minor = int64_at(scan, 2, row);
	member->points_milli = int64_at(scan, 3, row);
	member->orders = int64_at(scan, 4, row);
	member->visits = int64_at(scan, 5, row);
}

static void take_reason(struct summary *summary, struct engine_scan *scan, uint32_t row)
{
	struct summary_reason *const reason = &summary->reasons[summary->n_reasons++];
	copy_text(engine_scan_text(scan, 0, row), reason->reason, sizeof(reason->reason));
	reason->lines = int64_at(scan, 1, row);
}

/* Calls `take` for each row; the statements' limits keep within the summary's arrays. */
static int each_row(struct engine *engine, const char *sql, struct summary *summary,
		    void (*take)(struct summary *, struct engine_scan *, uint32_t), struct error *err)
{
	struct engine_scan *scan = NULL;
	uint32_t rows = 0;
	int rc = engine_scan_open(engine, sql, &scan, err);
	while (rc == 0 && (rc = engine_scan_next(scan, &rows, err)) == 0 && rows)
		for (uint32_t row = 0; row < rows; row++)
			take(summary, scan, row);
	engine_scan_close(scan);
	return rc;
}

int summary_make(const struct deployment *deployment, struct summary *out, struct error *err)
{
	const struct engine_options options = {.memory_mib = deployment->config->engine_memory_mib,
					       .threads = deployment->config->engine_threads};
	struct engine *engine = NULL;
	struct catalog *catalog = NULL;
	struct summary summary = {0};
	int rc = engine_open(&options, &engine, err);
	if (rc == 0)
		rc = catalog_attach(engine, deployment, &catalog, err);
	if (rc == 0)
		rc = each_row(engine, SALES_SQL, &summary, take_sales, err);
	if (rc == 0)
		rc = each_row(engine, TOP_SQL, &summary, take_member, err);
	if (rc == 0)
		rc = each_row(engine, REASONS_SQL, &summary, take_reason, err);
	if (rc == 0)
		rc = engine_run_int64(engine, "SELECT count(*) FROM customers_cln", &summary.named, err);
	if (rc == 0)
		rc = engine_run_int64(engine, "SELECT CAST(sum(points_earned) * 1000 AS BIGINT) FROM accounts",
				      &summary.points_issued_milli, err);
	engine_close(engine);
	catalog_detach(catalog);
	if (rc == 0)
		*out = summary;
	return rc;
}
