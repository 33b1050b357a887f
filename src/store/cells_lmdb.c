/*
 * Cells in an LMDB environment, which has two databases:
 *
 *     name     key                                     value
 *     tables   table                                   its families, each with a NUL behind it
 *     cells    table, NUL, key, NUL, column            u64 version, little-endian, then the cell's value
 *
 * A NUL within a key is written as NUL and FF; a column begins with a letter, a digit or "_". So cells stand in the order of table, key
 * and column, whatever is in a key: behind it stands NUL and less than FF, within it NUL and FF, or more than NUL. Valid when every cell
 * has a table of `tables`, and a version from 1 to CELLS_VERSION_MAX. Recovery: none; LMDB is copy-on-write.
 */
#include "store/cells_driver.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "store/env_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_MAX       511u
#define VERSION_BYTES 8u

static_assert(CELLS_TABLE_BYTES + 2 + CELLS_NAME_BYTES <= KEY_MAX, "LMDB takes keys of at most 511 bytes");

struct local {
	struct cells cells;
	MDB_env *env;
	MDB_dbi tables;
	MDB_dbi all;
	char *name;
};

struct local_key {
	char bytes[KEY_MAX + 1];
	size_t len;
};

static int fail(struct local *l, int code, struct error *err, const char *doing)
{
	return env_error(l->env, code, err, doing);
}

/* --- keys ------------------------------------------------------------------------------------------------------------------- */

static void begin_key(struct local_key *k, const char *table)
{
	k->len = strlen(table);
	memcpy(k->bytes, table, k->len);
	k->bytes[k->len++] = '\0';
}

static void add_key(struct local_key *k, struct slice key)
{
	for (size_t i = 0; i < key.len && k->len + 2 <= sizeof(k->bytes); i++) {
		k->bytes[k->len++] = key.data[i];
		if (!key.data[i])
			k->bytes[k->len++] = '\xff';
	}
}

static struct local_key key_of(const char *table, struct slice key, struct slice column)
{
	struct local_key k;
	begin_key(&k, table);
	add_key(&k, key);
	k.bytes[k.len++] = '\0';
	memcpy(k.bytes + k.len, column.data, column.len);
	k.len += column.len;
	return k;
}

/* Takes a stored key apart: the row's key, as it is written there, and the column. False: it is damaged. */
static bool split_key(struct slice stored, struct slice *key, struct slice *column)
{
	for (size_t i = 0; i + 1 < stored.len; i++) {
		if (stored.data[i])
			continue;
		if (stored.data[i + 1] == '\xff') {
			i++;
			continue;
		}
		*key = (struct slice){stored.data, i};
		*column = (struct slice){stored.data + i + 1, stored.len - i - 1};
		return i != 0;
	}
	return false;
}

/* --- tables ----------------------------------------------------------------------------------------------------------------- */

/* The families of a table, as they are stored, in a transaction. */
static int families_of(struct local *l, MDB_txn *txn, const char *table, struct slice *families, struct error *err)
{
	char name[CELLS_TABLE_BYTES + 1];
	const size_t len = strlen(table);
	memcpy(name, table, len);
	MDB_val key = {.mv_size = len, .mv_data = name};
	MDB_val value;
	const int code = mdb_get(txn, l->tables, &key, &value);
	if (code == MDB_NOTFOUND)
		return error_set(err, ERROR_NOT_FOUND, "%s: there is no table %s", l->name, table);
	if (code != 0)
		return fail(l, code, err, "read cells");
	*families = (struct slice){value.mv_data, value.mv_size};
	return 0;
}

static bool has_family(struct slice families, struct slice family)
{
	size_t at = 0;
	while (at < families.len) {
		const struct slice one = {families.data + at, strnlen(families.data + at, families.len - at)};
		if (slice_equal(one, family))
			return true;
		at += one.len + 1;
	}
	return false;
}

static int no_family(const struct local *l, const char *table, struct slice family, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND, "%s: table %s has no family %.*s", l->name, table, (int)family.len,
			 family.data);
}

static int begin(struct local *l, MDB_txn **txn, bool reads, struct error *err)
{
	l->cells.counts.requests++;
	const int code = mdb_txn_begin(l->env, NULL, reads ? MDB_RDONLY : 0, txn);
	return code == 0 ? 0 : fail(l, code, err, reads ? "read cells" : "write cells");
}

/* Commits when rc is 0, else gives up. */
static int end(struct local *l, MDB_txn *txn, int rc, struct error *err)
{
	if (rc < 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	const int code = mdb_txn_commit(txn);
	return code == 0 ? 0 : fail(l, code, err, "write cells");
}

static int make_table(struct local *l, MDB_txn *txn, const char *table, const char *const *families, struct error *err)
{
	char bytes[CELLS_FAMILIES_MAX * (CELLS_FAMILY_BYTES + 1)];
	char name[CELLS_TABLE_BYTES];
	size_t len = 0;
	for (size_t i = 0; families[i]; i++) {
		const size_t more = strlen(families[i]) + 1;
		memcpy(bytes + len, families[i], more);
		len += more;
	}
	const size_t name_len = strlen(table);
	memcpy(name, table, name_len);
	MDB_val key = {.mv_size = name_len, .mv_data = name};
	MDB_val value = {.mv_size = len, .mv_data = bytes};
	const int code = mdb_put(txn, l->tables, &key, &value, 0);
	return code == 0 ? 0 : fail(l, code, err, "make a table of cells");
}

static int ensure(struct cells *cells, const char *table, const char *const *families, struct error *err)
{
	struct local *const l = (struct local *)cells;
	MDB_txn *txn = NULL;
	struct slice there = {0};
	int rc = begin(l, &txn, false, err);
	if (rc < 0)
		return rc;
	rc = families_of(l, txn, table, &there, err);
	if (rc == ERROR_NOT_FOUND)
		return end(l, txn, make_table(l, txn, table, families, err), err);
	for (size_t i = 0; families[i] && rc == 0; i++)
		if (!has_family(there, slice_of(families[i])))
			rc = error_set(err, ERROR_EXISTS, "%s: table %s is there without family %s", l->name, table,
				       families[i]);
	mdb_txn_abort(txn);
	return rc;
}

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static int64_t version_of(const MDB_val *stored)
{
	struct reader r = reader_of((struct slice){stored->mv_data, stored->mv_size});
	const uint64_t version = read_u64(&r);
	return r.bad || version > CELLS_VERSION_MAX ? 0 : (int64_t)version;
}

/* Looks a cell up. 0 with its version (0: it is not there), or an error. */
static int look_up(struct local *l, MDB_txn *txn, MDB_val *key, int64_t *version, struct error *err)
{
	MDB_val value;
	const int code = mdb_get(txn, l->all, key, &value);
	*version = code == 0 ? version_of(&value) : 0;
	if (code == 0 && !*version)
		return fail(l, MDB_CORRUPTED, err, "read cells");
	return code == 0 || code == MDB_NOTFOUND ? 0 : fail(l, code, err, "read cells");
}

static int put_cell(struct local *l, MDB_txn *txn, const char *table, const struct cells_put *put, struct error *err)
{
	struct local_key bytes = key_of(table, put->key, put->column);
	MDB_val key = {.mv_size = bytes.len, .mv_data = bytes.bytes};
	int64_t version = 0;
	const int rc = look_up(l, txn, &key, &version, err);
	if (rc < 0 || version > put->version)
		return rc;
	MDB_val value = {.mv_size = VERSION_BYTES + put->value.len};
	const int code = mdb_put(txn, l->all, &key, &value, MDB_RESERVE);
	if (code != 0)
		return fail(l, code, err, "write cells");
	char *const p = put_u64(value.mv_data, (uint64_t)put->version);
	if (put->value.len)
		memcpy(p, put->value.data, put->value.len);
	l->cells.counts.sent_bytes += put->value.len;
	return 0;
}

/* Whether the table has the column's family. Looked up for each cell: what LMDB gave before a write may have moved. */
static int check_family(struct local *l, MDB_txn *txn, const char *table, struct slice column, struct error *err)
{
	struct slice families = {0};
	const int rc = families_of(l, txn, table, &families, err);
	return rc == 0 && !has_family(families, cells_family(column)) ? no_family(l, table, cells_family(column), err)
								      : rc;
}

static int put(struct cells *cells, const char *table, const struct cells_put *puts, size_t n, struct error *err)
{
	struct local *const l = (struct local *)cells;
	MDB_txn *txn = NULL;
	int rc = begin(l, &txn, false, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = check_family(l, txn, table, puts[i].column, err);
		if (rc == 0)
			rc = put_cell(l, txn, table, &puts[i], err);
	}
	return end(l, txn, rc, err);
}

static int erase(struct cells *cells, const char *table, const struct cells_erase *erases, size_t n, struct error *err)
{
	struct local *const l = (struct local *)cells;
	MDB_txn *txn = NULL;
	int rc = begin(l, &txn, false, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct local_key bytes = key_of(table, erases[i].key, erases[i].column);
		MDB_val key = {.mv_size = bytes.len, .mv_data = bytes.bytes};
		int64_t version = 0;
		rc = check_family(l, txn, table, erases[i].column, err);
		if (rc == 0)
			rc = look_up(l, txn, &key, &version, err);
		if (rc == 0 && version && version <= erases[i].version) {
			const int code = mdb_del(txn, l->all, &key, NULL);
			rc = code == 0 ? 0 : fail(l, code, err, "write cells");
		}
	}
	return end(l, txn, rc, err);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

/* A row that is put together. Column and value stay in the map; the key is written out. */
struct local_row {
	struct local *l;
	cells_row_fn *take;
	void *context;
	struct cell *cells;
	size_t n;
	size_t cap;
	struct slice stored; /* its key, as it is written in the map */
	struct buf key;
};

static int add_cell(struct local_row *row, struct slice column, const MDB_val *value, struct error *err)
{
	const int64_t version = version_of(value);
	if (!version)
		return fail(row->l, MDB_CORRUPTED, err, "read cells");
	if (row->n == row->cap) {
		const size_t cap = row->cap ? 2 * row->cap : 16;
		struct cell *const cells = realloc(row->cells, cap * sizeof(*cells));
		if (!cells)
			return error_no_memory(err, cap * sizeof(*cells));
		row->cells = cells;
		row->cap = cap;
	}
	row->cells[row->n++] =
		(struct cell){.column = column,
			      .value = {(const char *)value->mv_data + VERSION_BYTES, value->mv_size - VERSION_BYTES},
			      .version = version};
	row->l->cells.counts.read_bytes += value->mv_size - VERSION_BYTES;
	return 0;
}

static int flush_row(struct local_row *row, struct error *err)
{
	if (!row->n)
		return 0;
	buf_clear(&row->key);
	if (buf_reserve(&row->key, row->stored.len) < 0)
		return error_no_memory(err, row->stored.len);
	for (size_t i = 0; i < row->stored.len; i++) {
		row->key.data[row->key.len++] = row->stored.data[i];
		i += row->stored.data[i] == '\0';
	}
	const struct cells_row given = {.key = {row->key.data, row->key.len}, .cells = row->cells, .n = row->n};
	row->n = 0;
	return cells_give(&row->l->cells, &given, row->take, row->context, err);
}

static void release_row(struct local_row *row)
{
	free(row->cells);
	buf_release(&row->key);
}

/* Gives the rows from `begin` on whose stored keys are below `end`, at most `limit`. 1 when the callback ended it. */
static int walk(struct local_row *row, MDB_cursor *cursor, struct local_key *begin, const struct local_key *end,
		uint64_t limit, struct error *err)
{
	const size_t head = strlen(begin->bytes) + 1;
	MDB_val key = {.mv_size = begin->len, .mv_data = begin->bytes};
	MDB_val value;
	uint64_t given = 0;
	int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; code == 0; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (slice_compare((struct slice){key.mv_data, key.mv_size}, (struct slice){end->bytes, end->len}) >= 0)
			break;
		struct slice name = {0};
		struct slice column = {0};
		if (key.mv_size < head ||
		    !split_key((struct slice){(const char *)key.mv_data + head, key.mv_size - head}, &name, &column))
			return fail(row->l, MDB_CORRUPTED, err, "read cells");
		if (row->n && !slice_equal(name, row->stored)) {
			const int rc = flush_row(row, err);
			if (rc != 0)
				return rc;
			if (++given == limit)
				return 0;
		}
		row->stored = name;
		const int rc = add_cell(row, column, &value, err);
		if (rc < 0)
			return rc;
	}
	if (code != 0 && code != MDB_NOTFOUND)
		return fail(row->l, code, err, "read cells");
	return flush_row(row, err);
}

static int open_walk(struct local *l, const char *table, MDB_txn **txn, MDB_cursor **cursor, struct error *err)
{
	struct slice families = {0};
	int rc = begin(l, txn, true, err);
	if (rc == 0)
		rc = families_of(l, *txn, table, &families, err);
	if (rc < 0)
		return rc;
	const int code = mdb_cursor_open(*txn, l->all, cursor);
	return code == 0 ? 0 : fail(l, code, err, "read cells");
}

static void close_walk(MDB_txn *txn, MDB_cursor *cursor)
{
	if (cursor)
		mdb_cursor_close(cursor);
	if (txn)
		mdb_txn_abort(txn);
}

static int get(struct cells *cells, const char *table, const struct slice *keys, size_t n, cells_row_fn *take,
	       void *context, struct error *err)
{
	struct local *const l = (struct local *)cells;
	struct local_row row = {.l = l, .take = take, .context = context};
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	int rc = open_walk(l, table, &txn, &cursor, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct local_key from = key_of(table, keys[i], (struct slice){"", 0});
		struct local_key to = from;
		to.bytes[to.len++] = '\xff'; /* behind every column, before a key that goes on with a NUL */
		rc = walk(&row, cursor, &from, &to, 0, err);
	}
	close_walk(txn, cursor);
	release_row(&row);
	return rc;
}

static int scan(struct cells *cells, const char *table, const struct cells_range *range, cells_row_fn *take,
		void *context, struct error *err)
{
	struct local *const l = (struct local *)cells;
	struct local_row row = {.l = l, .take = take, .context = context};
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	struct local_key from;
	struct local_key to;
	char end[CELLS_END_BYTES];
	const struct slice behind_all = {end, sizeof(end)};
	memset(end, 0xff, sizeof(end));
	begin_key(&from, table);
	add_key(&from, range->from);
	begin_key(&to, table);
	add_key(&to, range->to.len && slice_compare(range->to, behind_all) < 0 ? range->to : behind_all);
	int rc = open_walk(l, table, &txn, &cursor, err);
	if (rc == 0)
		rc = walk(&row, cursor, &from, &to, range->limit, err);
	close_walk(txn, cursor);
	release_row(&row);
	return rc;
}

/* --- how it is -------------------------------------------------------------------------------------------------------------- */

static int ping(struct cells *cells, struct cells_health *out, struct error *err)
{
	struct local *const l = (struct local *)cells;
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	MDB_val key;
	MDB_val value;
	const int64_t begin_us = clock_monotonic_us();
	int rc = begin(l, &txn, true, err);
	if (rc < 0)
		return rc;
	int code = mdb_cursor_open(txn, l->tables, &cursor);
	while (code == 0 && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		out->n_tables++;
		if (buf_append(&out->tables, key.mv_data, key.mv_size) < 0 || buf_append(&out->tables, "", 1) < 0) {
			rc = error_no_memory(err, key.mv_size);
			break;
		}
	}
	if (rc == 0 && code != MDB_NOTFOUND)
		rc = fail(l, code, err, "read cells");
	close_walk(txn, cursor);
	snprintf(out->what, sizeof(out->what), "LMDB %d.%d.%d", MDB_VERSION_MAJOR, MDB_VERSION_MINOR,
		 MDB_VERSION_PATCH);
	out->answer_us = clock_monotonic_us() - begin_us;
	return rc;
}

static int rights(struct cells *cells, const char *table, const char *family, struct cells_rights *out,
		  struct error *err)
{
	struct local *const l = (struct local *)cells;
	unsigned flags = 0;
	MDB_txn *txn = NULL;
	struct slice families = {0};
	struct error why = {0};
	int rc = begin(l, &txn, true, err);
	if (rc < 0)
		return rc;
	rc = families_of(l, txn, table, &families, &why);
	out->exists = out->reads = rc == 0;
	mdb_env_get_flags(l->env, &flags);
	out->writes = rc == 0 && !(flags & MDB_RDONLY) && has_family(families, slice_of(family));
	if (!out->writes)
		snprintf(out->denial, sizeof(out->denial), "%.200s",
			 rc == 0 ? "it is opened to be read only, or has no such family" : why.message);
	mdb_txn_abort(txn);
	if (rc < 0 && rc != ERROR_NOT_FOUND && err)
		*err = why;
	return rc == ERROR_NOT_FOUND ? 0 : rc;
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

static void close_local(struct cells *cells)
{
	struct local *const l = (struct local *)cells;
	env_close(l->env);
	free(l->name);
	free(l);
}

static const struct cells_driver driver = {
	.ensure = ensure,
	.put = put,
	.erase = erase,
	.get = get,
	.scan = scan,
	.ping = ping,
	.rights = rights,
	.close = close_local,
};

static int open_databases(struct local *l, bool read_only)
{
	MDB_txn *txn = NULL;
	const unsigned make = read_only ? 0 : MDB_CREATE;
	int code = mdb_txn_begin(l->env, NULL, read_only ? MDB_RDONLY : 0, &txn);
	if (code != 0)
		return code;
	if ((code = mdb_dbi_open(txn, "tables", make, &l->tables)) != 0 ||
	    (code = mdb_dbi_open(txn, "cells", make, &l->all)) != 0) {
		mdb_txn_abort(txn);
		return code;
	}
	return mdb_txn_commit(txn);
}

int cells_open_lmdb(const char *dir, const struct cells_lmdb_options *options, struct cells **out, struct error *err)
{
	struct local *const l = calloc(1, sizeof(*l));
	if (!l)
		return error_no_memory(err, sizeof(*l));
	l->cells.driver = &driver;
	l->cells.name = l->name = text_printf("cells in %s", dir);
	const struct env_options env_options = {.what = "cells",
						.remedy = "put them back from a backup",
						.map_gib = options->map_gib,
						.databases = 2,
						.read_only = options->read_only};
	int rc = l->name ? env_open(dir, &env_options, &l->env, err) : error_no_memory(err, strlen(dir));
	const int code = rc == 0 ? open_databases(l, options->read_only) : 0;
	if (code != 0)
		rc = code == MDB_NOTFOUND && options->read_only
			     ? error_set(err, ERROR_NOT_FOUND, "there are no cells in %s yet", dir)
			     : fail(l, code, err, "open the cells");
	if (rc < 0) {
		close_local(&l->cells);
		return rc;
	}
	*out = &l->cells;
	return 0;
}
