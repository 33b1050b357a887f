#include "batch/ledger.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "batch/parquet.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define ROWS_SOURCE "punchcard_ledger_rows"
#define WRITERS_MAX 64u

enum column {
	COLUMN_ENTRY_NO,
	COLUMN_EVENT_ID,
	COLUMN_CUSTOMER,
	COLUMN_POSTED,
	COLUMN_LEDGER,
	COLUMN_KIND,
	COLUMN_POINTS,
	COLUMN_LOT,
	COLUMN_RULE,
	COLUMN_PROGRAMME,
	COLUMN_BALANCE,
	COLUMN_NOTE,
	N_COLUMNS,
};

/* ---- rows of the table ---- */

int ledger_files(const struct deployment *deployment, int32_t first, int32_t last, struct buf *sql, unsigned *n,
		 struct error *err)
{
	_cleanup_free_ char *table = text_printf("%s/ledger", deployment->warehouse_dir);
	if (!table || buf_append_text(sql, "[") < 0)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct dirent **days = NULL;
	const int n_days = scandir(table, &days, NULL, alphasort);
	if (n_days < 0 && errno != ENOENT)
		return error_errno(err, errno, "cannot list %s", table);
	int rc = 0;
	unsigned found = 0;
	for (int i = 0; i < n_days; i++) {
		const char *const name = days[i]->d_name;
		int32_t day;
		if (rc == 0 && strncmp(name, "data_dt=", 8) == 0 &&
		    civil_parse(name + 8, strlen(name + 8), &day) == 0 && day >= first && day <= last) {
			/* A partition is one file, and the pattern spares to list it. */
			_cleanup_free_ char *path = text_printf("%s/%s/ledger-*.parquet", table, name);
			if (!path || (found && buf_append_text(sql, ", ") < 0) || engine_quote(sql, path) < 0)
				rc = error_no_memory(err, LIMIT_PATH_BYTES);
			found++;
		}
		free(days[i]);
	}
	free(days);
	if (rc == 0 && buf_append_text(sql, "]") < 0)
		rc = error_no_memory(err, sql->len);
	if (rc == 0)
		*n = found;
	return rc;
}

static struct slice scan_text(struct engine_scan *scan, unsigned column, uint32_t row)
{
	return engine_scan_is_null(scan, column, row) ? (struct slice){NULL, 0} : engine_scan_text(scan, column, row);
}

static int64_t scan_number(struct engine_scan *scan, unsigned column, uint32_t row)
{
	return engine_scan_is_null(scan, column, row) ? 0 : ((const int64_t *)engine_scan_values(scan, column))[row];
}

/* In the order of LEDGER_SCAN_COLUMNS. */
void ledger_scan_row(struct engine_scan *scan, uint32_t row, enum customer_id_type id_type, struct ledger_row *out,
		     int32_t *day)
{
	*out = (struct ledger_row){
		.entry_no = scan_number(scan, 1, row),
		.event_id = scan_text(scan, 2, row),
		.posted_us = scan_number(scan, 3, row),
		.ledger = scan_text(scan, 4, row),
		.kind = scan_text(scan, 5, row),
		.points_milli = scan_number(scan, 6, row),
		.lot = LOT_NONE,
		.rule = scan_text(scan, 8, row),
		.programme = scan_text(scan, 9, row),
		.balance_milli = scan_number(scan, 10, row),
		.note = scan_text(scan, 11, row),
	};
	if (id_type == CUSTOMER_ID_INTEGER)
		out->customer.number = scan_number(scan, 0, row);
	else
		out->customer.text = scan_text(scan, 0, row);
	if (!engine_scan_is_null(scan, 7, row)) {
		out->lot = ((const int32_t *)engine_scan_values(scan, 7))[row];
		if (out->lot == ledger_never_day())
			out->lot = DAY_MAX;
	}
	*day = ((const int32_t *)engine_scan_values(scan, 12))[row];
}

static int next_scanned(struct ledger_source *base, struct ledger_row *row, bool *found, struct error *err)
{
	struct ledger_scan_source *const source = (struct ledger_scan_source *)base;
	int32_t day;
	for (;;) {
		if (source->at == source->rows) {
			source->at = 0;
			source->rows = 0;
			const int rc = source->scan ? engine_scan_next(source->scan, &source->rows, err) : 0;
			if (rc < 0 || source->rows == 0) {
				*found = false;
				return rc;
			}
		}
		ledger_scan_row(source->scan, source->at++, source->id_type, row, &day);
		if (!source->without || !id_list_find(source->without, &row->customer)) {
			*found = true;
			return 0;
		}
	}
}

void ledger_scan_source(struct ledger_scan_source *source, struct engine_scan *scan, enum customer_id_type id_type,
			const struct id_list *without)
{
	*source = (struct ledger_scan_source){
		.source.next = next_scanned, .scan = scan, .id_type = id_type, .without = without};
}

static int next_merged(struct ledger_source *base, struct ledger_row *row, bool *found, struct error *err)
{
	struct ledger_merged_source *const source = (struct ledger_merged_source *)base;
	/* A part is asked again only when its row was used: it lives until then. */
	for (int i = 0; i < 2; i++) {
		if (source->begun && source->taken != i)
			continue;
		const int rc = source->parts[i]->next(source->parts[i], &source->rows[i], &source->found[i], err);
		if (rc < 0)
			return rc;
	}
	source->begun = true;
	source->taken = !source->found[0] && !source->found[1]                                       ? -1
			: !source->found[0]                                                          ? 1
			: !source->found[1]                                                          ? 0
			: customer_compare(&source->rows[0].customer, &source->rows[1].customer) < 0 ? 0
												     : 1;
	*found = source->taken >= 0;
	if (*found)
		*row = source->rows[source->taken];
	return 0;
}

void ledger_merged_source(struct ledger_merged_source *source, struct ledger_source *a, struct ledger_source *b)
{
	*source = (struct ledger_merged_source){.source.next = next_merged, .parts = {a, b}, .taken = -1};
}

void ledger_row_hash(const struct ledger_row *row, uint64_t *hash)
{
	const struct slice texts[] = {row->customer.text, row->event_id,  row->ledger, row->kind,
				      row->rule,          row->programme, row->note};
	int64_t numbers[6 + sizeof(texts) / sizeof(texts[0])] = {
		row->customer.number, row->entry_no, row->posted_us, row->points_milli, row->balance_milli, row->lot};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		numbers[6 + i] = (int64_t)texts[i].len;
		if (texts[i].len)
			*hash = XXH3_64bits_withSeed(texts[i].data, texts[i].len, *hash);
	}
	*hash = XXH3_64bits_withSeed(numbers, sizeof(numbers), *hash);
}

/* ---- writing ---- */

struct ledger_writer {
	enum customer_id_type id_type;
	struct engine *engine;
	struct ledger_source *source; /* of the file that is written */
	struct ledger_row first;      /* asked for before it is known that there is one */
	bool has_first;
	uint64_t rows;
	/* What ledgers, kinds and programmes are called in the table: few, and so written as names. */
	const char *ledgers[PROGRAMME_LEDGERS_MAX];
	const char *kinds[POSTING_KIND_MAX + 1];
	const char *programme;
	struct engine_names names[N_COLUMNS];
};

static void put_text(struct engine_batch *batch, unsigned column, uint32_t at, struct slice text)
{
	if (text.len)
		engine_batch_text(batch, column, at, text);
	else
		engine_batch_null(batch, column, at);
}

/* Where a batch's values go. */
struct places {
	struct engine_batch *batch;
	int64_t *entry_no;
	int64_t *customer; /* NULL: ids are texts */
	int64_t *posted;
	int64_t *points;
	int64_t *balance;
	int32_t *lot;
	uint8_t *ledger;
	uint8_t *kind;
	uint8_t *programme;
	int32_t never_day;
};

static struct places places_of(const struct ledger_writer *writer, struct engine_batch *batch)
{
	return (struct places){
		.batch = batch,
		.entry_no = engine_batch_values(batch, COLUMN_ENTRY_NO),
		.customer = writer->id_type == CUSTOMER_ID_INTEGER ? engine_batch_values(batch, COLUMN_CUSTOMER) : NULL,
		.posted = engine_batch_values(batch, COLUMN_POSTED),
		.points = engine_batch_values(batch, COLUMN_POINTS),
		.balance = engine_batch_values(batch, COLUMN_BALANCE),
		.lot = engine_batch_values(batch, COLUMN_LOT),
		.ledger = engine_batch_values(batch, COLUMN_LEDGER),
		.kind = engine_batch_values(batch, COLUMN_KIND),
		.programme = engine_batch_values(batch, COLUMN_PROGRAMME),
		.never_day = ledger_never_day(),
	};
}

static int find_name(const struct engine_names *names, struct slice text, uint8_t *out, struct error *err)
{
	for (unsigned i = 0; i < names->n; i++) {
		/* Rows that come from a fold have the programme's own texts. */
		if (text.data != names->texts[i] && !slice_equal(text, slice_of(names->texts[i])))
			continue;
		*out = (uint8_t)i;
		return 0;
	}
	return error_set(err, ERROR_CORRUPT,
			 "the ledger has a row of '%.*s', which programme.yaml does not have; run `punchcard rebuild`: "
			 "it makes the table again",
			 (int)(text.len < LIMIT_PATH_BYTES ? text.len : LIMIT_PATH_BYTES), text.data);
}

static int put_row(const struct ledger_writer *writer, const struct places *to, uint32_t at,
		   const struct ledger_row *row, struct error *err)
{
	to->entry_no[at] = row->entry_no;
	put_text(to->batch, COLUMN_EVENT_ID, at, row->event_id);
	if (to->customer)
		to->customer[at] = row->customer.number;
	else
		engine_batch_text(to->batch, COLUMN_CUSTOMER, at, row->customer.text);
	to->posted[at] = row->posted_us;
	to->points[at] = row->points_milli;
	to->lot[at] = row->lot == DAY_MAX ? to->never_day : row->lot;
	if (row->lot == LOT_NONE)
		engine_batch_null(to->batch, COLUMN_LOT, at);
	put_text(to->batch, COLUMN_RULE, at, row->rule);
	to->balance[at] = row->balance_milli;
	put_text(to->batch, COLUMN_NOTE, at, row->note);
	int rc = find_name(&writer->names[COLUMN_LEDGER], row->ledger, &to->ledger[at], err);
	if (rc == 0)
		rc = find_name(&writer->names[COLUMN_KIND], row->kind, &to->kind[at], err);
	return rc < 0 ? rc : find_name(&writer->names[COLUMN_PROGRAMME], row->programme, &to->programme[at], err);
}

static int fill_rows(void *context, void *state, struct engine_batch *batch, uint32_t *rows, struct error *err)
{
	(void)state;
	struct ledger_writer *const writer = context;
	const struct places places = places_of(writer, batch);
	uint32_t at = 0;
	int rc = writer->has_first ? put_row(writer, &places, at++, &writer->first, err) : 0;
	writer->has_first = false;
	while (rc == 0 && at < ENGINE_BATCH_ROWS) {
		struct ledger_row row;
		bool found = false;
		rc = writer->source->next(writer->source, &row, &found, err);
		if (rc < 0 || !found)
			break;
		rc = put_row(writer, &places, at++, &row, err);
	}
	if (rc < 0)
		return rc;
	writer->rows += at;
	*rows = at;
	return 0;
}

static int register_rows(struct ledger_writer *writer, const struct programme *programme, struct error *err)
{
	for (unsigned i = 0; i < programme->n_ledgers; i++)
		writer->ledgers[i] = programme->ledgers[i].name;
	for (unsigned i = 0; i <= POSTING_KIND_MAX; i++)
		writer->kinds[i] = posting_kind_name(i);
	writer->programme = programme->hash_text;
	writer->names[COLUMN_LEDGER] = (struct engine_names){writer->ledgers, programme->n_ledgers};
	writer->names[COLUMN_KIND] = (struct engine_names){writer->kinds, POSTING_KIND_MAX + 1};
	writer->names[COLUMN_PROGRAMME] = (struct engine_names){&writer->programme, 1};
	const struct engine_column columns[N_COLUMNS] = {
		[COLUMN_ENTRY_NO] = {"entry_no", ENGINE_BIGINT},
		[COLUMN_EVENT_ID] = {"event_id", ENGINE_VARCHAR},
		[COLUMN_CUSTOMER] = {"cust_id",
				     writer->id_type == CUSTOMER_ID_INTEGER ? ENGINE_BIGINT : ENGINE_VARCHAR},
		[COLUMN_POSTED] = {"posted_at", ENGINE_TIMESTAMP},
		[COLUMN_LEDGER] = {"ledger", ENGINE_NAME},
		[COLUMN_KIND] = {"kind", ENGINE_NAME},
		[COLUMN_POINTS] = {"points", ENGINE_DECIMAL_18_3},
		[COLUMN_LOT] = {"lot", ENGINE_DATE},
		[COLUMN_RULE] = {"rule", ENGINE_VARCHAR},
		[COLUMN_PROGRAMME] = {"programme", ENGINE_NAME},
		[COLUMN_BALANCE] = {"balance", ENGINE_DECIMAL_18_3},
		[COLUMN_NOTE] = {"note", ENGINE_VARCHAR},
	};
	return engine_register_source(writer->engine,
				      &(struct engine_source){.name = ROWS_SOURCE,
							      .columns = columns,
							      .n_columns = N_COLUMNS,
							      .names = writer->names,
							      .fill = fill_rows,
							      .context = writer},
				      err);
}

int ledger_writer_open(const struct deployment *deployment, uint32_t memory_mib, struct ledger_writer **out,
		       struct error *err)
{
	struct ledger_writer *const writer = calloc(1, sizeof(*writer));
	if (!writer)
		return error_no_memory(err, sizeof(*writer));
	writer->id_type = deployment->config->customer_id;
	const struct engine_options options = {.memory_mib = memory_mib, .threads = 1, .tmp_dir = deployment->tmp_dir};
	int rc = engine_open(&options, &writer->engine, err);
	if (rc == 0)
		rc = register_rows(writer, deployment->programme, err);
	if (rc < 0)
		ledger_writer_close(writer);
	else
		*out = writer;
	return rc;
}

void ledger_writer_close(struct ledger_writer *writer)
{
	if (!writer)
		return;
	engine_close(writer->engine);
	free(writer);
}

int ledger_writer_write(struct ledger_writer *writer, struct ledger_source *source, const char *dir, uint64_t *rows,
			struct error *err)
{
	writer->source = source;
	writer->rows = 0;
	int rc = source->next(source, &writer->first, &writer->has_first, err);
	if (rc == 0 && writer->has_first)
		rc = parquet_write(writer->engine, "SELECT * FROM " ROWS_SOURCE "()", PARQUET_OPTIONS, dir, "ledger",
				   err);
	if (rc == 0)
		*rows = writer->rows;
	return rc;
}

/* ---- all days of a spool ---- */

struct write_all {
	const struct deployment *deployment;
	const struct programme *programme;
	const struct ledger_spool *spool;
	const char *dir;
	uint32_t memory_mib;
	pthread_mutex_t mutex;
	int32_t next; /* day to be taken; DAY_MAX: none, or nobody goes on. Under the mutex, as are rc and error */
	int rc;
	struct error error;
};

static int32_t take_day(struct write_all *all)
{
	pthread_mutex_lock(&all->mutex);
	const int32_t day = all->next;
	if (day != DAY_MAX)
		all->next = ledger_spool_day(all->spool, day + 1);
	pthread_mutex_unlock(&all->mutex);
	return day;
}

static int write_day(const struct write_all *all, struct ledger_writer *writer, struct ledger_names *names, int32_t day,
		     struct error *err)
{
	char date[11];
	civil_format(day, date);
	_cleanup_free_ char *dir = text_printf("%s/data_dt=%s", all->dir, date);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (mkdir(dir, 0777) < 0)
		return error_errno(err, errno, "cannot make %s", dir);
	struct ledger_spool_source source;
	ledger_spool_source(&source, all->spool, day, all->deployment->config->customer_id, names);
	uint64_t rows;
	const int rc = ledger_writer_write(writer, &source.source, dir, &rows, err);
	ledger_spool_source_release(&source);
	return rc;
}

static void *write_days(void *argument)
{
	struct write_all *const all = argument;
	struct error error = {0};
	struct ledger_writer *writer = NULL;
	struct ledger_names *const names = ledger_names_new(all->programme);
	int rc = names ? ledger_writer_open(all->deployment, all->memory_mib, &writer, &error)
		       : error_no_memory(&error, sizeof(void *));
	int32_t day;
	while (rc == 0 && writer && (day = take_day(all)) != DAY_MAX)
		rc = write_day(all, writer, names, day, &error);
	ledger_writer_close(writer);
	ledger_names_free(names);
	if (rc < 0) {
		pthread_mutex_lock(&all->mutex);
		all->next = DAY_MAX;
		if (all->rc == 0) {
			all->rc = rc;
			all->error = error;
		}
		pthread_mutex_unlock(&all->mutex);
	}
	return NULL;
}

static unsigned count_writers(const struct deployment *deployment)
{
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = deployment->config->engine_threads ? deployment->config->engine_threads
		     : cores > 0                        ? (unsigned)cores
							: 1;
	return n < WRITERS_MAX ? n : WRITERS_MAX;
}

int ledger_write_all(const struct deployment *deployment, const struct programme *programme,
		     const struct ledger_spool *spool, const char *dir, struct error *err)
{
	const unsigned n = count_writers(deployment);
	struct write_all all = {
		.deployment = deployment,
		.programme = programme,
		.spool = spool,
		.dir = dir,
		/* A writer holds a row group, some tens of MiB. */
		.memory_mib = deployment->config->engine_memory_mib / n > 128
				      ? deployment->config->engine_memory_mib / n
				      : 128,
		.next = ledger_spool_day(spool, DAY_MIN),
	};
	pthread_t threads[WRITERS_MAX];
	unsigned n_started = 0;
	pthread_mutex_init(&all.mutex, NULL);
	/* One more than these works here, so that a thread that cannot be had is no error. */
	while (n_started + 1 < n && pthread_create(&threads[n_started], NULL, write_days, &all) == 0)
		n_started++;
	write_days(&all);
	for (unsigned i = 0; i < n_started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&all.mutex);
	if (all.rc < 0 && err)
		*err = all.error;
	return all.rc;
}
