#include "serving/catalog.h"

#include "base/file.h"
#include "batch/accounts.h"
#include "batch/ledger.h"
#include "speed/attach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fts.h>
#include <stdlib.h>
#include <sys/stat.h>

struct catalog {
	struct attached *attached;
};

/* A table of the batch layer: Parquet files in a directory, or in partitions of it. */
struct batch_table {
	const char *name;
	const char *partitions; /* pattern of the partitions' names; NULL: there are none */
	const char *options;    /* of read_parquet */
	const char *columns;    /* behind cust_id, when there are no files */
};

static const struct batch_table BATCH_TABLES[] = {
	{"customers_cln", NULL, "",
	 "cust_nm VARCHAR, cust_email VARCHAR, cust_strt_dt DATE, cust_member_card_no VARCHAR, "
	 "cust_birth_dt DATE, cust_birth_yr INTEGER, cust_gender VARCHAR"},
	/* A later release may add columns: older partitions then have NULL there. */
	{"loyalty", "data_dt=*", ", hive_partitioning = true, hive_types = {'data_dt': DATE}, union_by_name = true",
	 "cust_name VARCHAR, cust_member_card_no VARCHAR, spnd_amt DECIMAL(18,2), orders BIGINT, visits BIGINT, "
	 "points_balance DECIMAL(18,3), points_earned DECIMAL(18,3), points_redeemed DECIMAL(18,3), points_expired "
	 "DECIMAL(18,3), points_pending DECIMAL(18,3), points_expiring_30d DECIMAL(18,3), tier VARCHAR, tier_valid_to "
	 "DATE, to_next_tier DECIMAL(18,3), first_order TIMESTAMP, last_order TIMESTAMP, favourite VARCHAR, r INTEGER, "
	 "f "
	 "INTEGER, m INTEGER, segment VARCHAR, data_dt DATE"},
	{"balances", "data_dt=*", ", hive_partitioning = true, hive_types = {'data_dt': DATE}", BALANCES_COLUMNS_SQL},
	/* Thousands of files: only the first one is looked into. */
	{"ledger", "data_dt=*", ", hive_partitioning = true, hive_types = {'data_dt': DATE}", LEDGER_COLUMNS_SQL},
};

const char *catalog_tables(void)
{
	return "account_balances, accounts, balances, customers_cln, ledger, loyalty, quarantine, transactions_cln";
}

/* A replacement syncs to the disk, which takes milliseconds; a list takes microseconds. */
#define LIST_ATTEMPTS 100u

/* Collects what a scan of the directory finds; freed with free_names. */
struct names {
	struct dirent **entries;
	int count;
};

static void free_names(struct names *names)
{
	for (int i = 0; i < names->count; i++)
		free(names->entries[i]);
	free((void *)names->entries);
}

/* Whether the directory that is open as `fd` still has this path. */
static bool is_still(int fd, const char *path)
{
	struct stat opened;
	struct stat there;
	return fstat(fd, &opened) == 0 && stat(path, &there) == 0 && opened.st_dev == there.st_dev &&
	       opened.st_ino == there.st_ino;
}

/* Names in a directory, sorted; a missing directory has none. A writer may put another directory in its place and empty
 * this one at any moment: what was read counts only if the directory was in its place to the end. */
static int list_names(const char *dir, struct names *out, struct error *err)
{
	for (unsigned attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
		_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			return 0;
		struct names names = {0};
		names.count = fd < 0 ? -1 : scandirat(fd, ".", &names.entries, NULL, alphasort);
		if (names.count < 0)
			return error_errno(err, errno, "%s: cannot be listed", dir);
		if (is_still(fd, dir)) {
			*out = names;
			return 0;
		}
		free_names(&names);
	}
	return error_set(err, ERROR_NOT_FOUND, "%s: is replaced again and again while it is read; try again", dir);
}

/* Appends the directory's Parquet files to `sql` as SQL texts with commas; adds to *n. */
static int list_files(const char *dir, struct buf *sql, unsigned *n, struct error *err)
{
	__attribute__((cleanup(free_names))) struct names names = {0};
	int rc = list_names(dir, &names, err);
	for (int i = 0; rc == 0 && i < names.count; i++) {
		if (names.entries[i]->d_name[0] == '.' || fnmatch("*.parquet", names.entries[i]->d_name, 0) != 0)
			continue;
		_cleanup_free_ char *path = text_printf("%s/%s", dir, names.entries[i]->d_name);
		if (!path || (*n && buf_append_text(sql, ", ") < 0) || engine_quote(sql, path) < 0)
			rc = error_no_memory(err, sql->len);
		++*n;
	}
	return rc;
}

/* The same for a table with partitions, once. */
static int list_partitions_once(const char *dir, const char *pattern, struct buf *sql, unsigned *n, struct error *err)
{
	__attribute__((cleanup(free_names))) struct names names = {0};
	int rc = list_names(dir, &names, err);
	for (int i = 0; rc == 0 && i < names.count; i++) {
		if (fnmatch(pattern, names.entries[i]->d_name, FNM_PERIOD) != 0)
			continue;
		_cleanup_free_ char *partition = text_printf("%s/%s", dir, names.entries[i]->d_name);
		rc = partition ? list_files(partition, sql, n, err) : error_no_memory(err, strlen(dir));
	}
	return rc;
}

/* A writer may put another directory in the table's place meanwhile: then some of the partitions were the old one's. */
static int list_partitions(const char *dir, const char *pattern, struct buf *sql, unsigned *n, struct error *err)
{
	const size_t before = sql->len;
	for (unsigned attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
		_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
			return 0;
		if (fd < 0)
			return error_errno(err, errno, "%s: cannot be listed", dir);
		*n = 0;
		sql->len = before;
		const int rc = list_partitions_once(dir, pattern, sql, n, err);
		if (rc < 0 || is_still(fd, dir))
			return rc;
	}
	return error_set(err, ERROR_NOT_FOUND, "%s: is replaced again and again while it is read; try again", dir);
}

static int attach_table(struct engine *engine, const struct deployment *deployment, const struct batch_table *table,
			struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/%s", deployment->warehouse_dir, table->name);
	_cleanup_buf_ struct buf files = {0};
	_cleanup_buf_ struct buf sql = {0};
	if (!dir)
		return error_no_memory(err, strlen(deployment->warehouse_dir));
	unsigned n = 0;
	int rc = table->partitions ? list_partitions(dir, table->partitions, &files, &n, err)
				   : list_files(dir, &files, &n, err);
	if (rc < 0)
		return rc;
	if (n) {
		rc = buf_printf(&sql, "CREATE VIEW %s AS SELECT * FROM read_parquet([", table->name);
		if (rc == 0)
			rc = buf_append(&sql, files.data, files.len);
		if (rc == 0)
			rc = buf_printf(&sql, "]%s)", table->options);
	} else {
		const bool is_integer = deployment->config->customer_id == CUSTOMER_ID_INTEGER;
		rc = buf_printf(&sql, "CREATE TABLE %s (cust_id %s, %s)", table->name,
				is_integer ? "BIGINT" : "VARCHAR", table->columns);
	}
	if (rc < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run(engine, sql.data, err);
}

int catalog_attach(struct engine *engine, const struct deployment *deployment, struct catalog **out, struct error *err)
{
	struct catalog *const catalog = calloc(1, sizeof(*catalog));
	if (!catalog)
		return error_no_memory(err, sizeof(*catalog));
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(BATCH_TABLES) / sizeof(BATCH_TABLES[0]); i++)
		rc = attach_table(engine, deployment, &BATCH_TABLES[i], err);
	if (rc == 0)
		rc = speed_attach(engine, deployment, &catalog->attached, err);
	if (rc < 0) {
		free(catalog);
		return rc;
	}
	*out = catalog;
	return 0;
}

void catalog_detach(struct catalog *catalog)
{
	if (!catalog)
		return;
	speed_detach(catalog->attached);
	free(catalog);
}

/* ---- damage ---- */

/* What mends a damaged file: `relative` is its path below data/warehouse, or NULL when it is elsewhere. */
static char *advise(const char *relative)
{
	static const char *const OF_A_DAY[] = {"loyalty/data_dt=", "balances/data_dt="};
	static const char LEDGER[] = "ledger/data_dt=";
	if (relative && strncmp(relative, "customers_cln/", strlen("customers_cln/")) == 0)
		return text_printf(
			"run `punchcard load customers FILE` with a file that was loaded before: it makes the "
			"table again");
	for (size_t i = 0; relative && i < sizeof(OF_A_DAY) / sizeof(OF_A_DAY[0]); i++) {
		if (strncmp(relative, OF_A_DAY[i], strlen(OF_A_DAY[i])) != 0)
			continue;
		const char *const day = relative + strlen(OF_A_DAY[i]);
		return text_printf("run `punchcard refresh --data-dt %.*s`: it makes that day again",
				   (int)strcspn(day, "/"), day);
	}
	if (relative && strncmp(relative, LEDGER, strlen(LEDGER)) == 0)
		return text_printf("run `punchcard rebuild`: it makes the table again");
	return text_printf("put it back from a backup, or move it away to go on without its rows");
}

static void name_file(const struct deployment *deployment, const char *path, struct error *err)
{
	const size_t len = strlen(deployment->warehouse_dir);
	const bool inside = strncmp(path, deployment->warehouse_dir, len) == 0 && path[len] == '/';
	_cleanup_free_ char *advice = advise(inside ? path + len + 1 : NULL);
	const struct error old = *err;
	error_set(err, ERROR_CORRUPT, "%s is damaged (%.*s); %s", path, (int)strcspn(old.message, "\n"), old.message,
		  advice ? advice : "");
}

/* The path below data/ that the message holds, if any. Caller frees. */
static char *path_in_message(const struct deployment *deployment, const char *message)
{
	const char *const start = strstr(message, deployment->data_dir);
	const char *const end = start ? strstr(start, ".parquet") : NULL;
	return end ? text_printf("%.*s.parquet", (int)(end - start), start) : NULL;
}

/* Reads all columns of all rows. */
static int read_file(struct engine *engine, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf sql = {0};
	if (buf_append_text(&sql, "SELECT count(COLUMNS(*)) FROM read_parquet(") < 0 || engine_quote(&sql, path) < 0 ||
	    buf_append_text(&sql, ")") < 0 || !buf_text(&sql))
		return error_no_memory(err, sql.len);
	return engine_run(engine, sql.data, err);
}

/* Reads file after file below two directories until one cannot be read: its path in *out (caller frees), NULL: none. */
static int find_damage(struct engine *engine, const struct deployment *deployment, char **out, struct error *err)
{
	char *const roots[] = {deployment->warehouse_dir, deployment->quarantine_dir, NULL};
	FTS *const fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!fts)
		return error_errno(err, errno, "%s: cannot be listed", deployment->warehouse_dir);
	int rc = 0;
	for (const FTSENT *entry; rc == 0 && !*out && (entry = fts_read(fts));) {
		if (entry->fts_info != FTS_F || fnmatch("*.parquet", entry->fts_name, FNM_PERIOD) != 0)
			continue;
		rc = read_file(engine, entry->fts_path, err);
		if (rc == ERROR_CORRUPT) {
			*out = text_printf("%s", entry->fts_path);
			rc = *out ? 0 : error_no_memory(err, entry->fts_pathlen);
		} else if (rc != ERROR_INTERRUPTED) {
			rc = 0;
		}
	}
	fts_close(fts);
	return rc;
}

void catalog_name_damage(struct engine *engine, const struct deployment *deployment, struct error *err)
{
	_cleanup_free_ char *path = path_in_message(deployment, err->message);
	struct error found = {0};
	if (!path) {
		const int rc = find_damage(engine, deployment, &path, &found);
		if (rc == ERROR_INTERRUPTED || path)
			*err = found;
	}
	if (path)
		name_file(deployment, path, err);
}
