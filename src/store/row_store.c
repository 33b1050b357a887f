/*
 * The environment has one database, "rows": table NUL key NUL column → value. Recovery: none; LMDB is copy-on-write.
 */
#include "store/row_store.h"

#include "store/env_internal.h"

#include <stdlib.h>
#include <string.h>

struct row_store {
	MDB_env *env;
	MDB_dbi rows;
	MDB_txn *write;
	MDB_txn *read;
};

struct row_walk {
	struct row_store *rows;
	MDB_cursor *cursor;
	bool begun;
	char prefix[ROW_STORE_KEY_MAX];
	size_t prefix_len;
};

static int fail(struct row_store *rows, int code, struct error *err, const char *doing)
{
	return env_error(rows->env, code, err, doing);
}

static int open_database(struct row_store *rows, bool read_only)
{
	MDB_txn *txn = NULL;
	int code = mdb_txn_begin(rows->env, NULL, read_only ? MDB_RDONLY : 0, &txn);
	if (code != 0)
		return code;
	code = mdb_dbi_open(txn, "rows", read_only ? 0 : MDB_CREATE, &rows->rows);
	if (code == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return code;
}

int row_store_open(const char *dir, const struct row_store_options *options, struct row_store **out, struct error *err)
{
	struct row_store *const rows = calloc(1, sizeof(*rows));
	if (!rows)
		return error_no_memory(err, sizeof(*rows));
	const struct env_options env_options = {.what = "rows of the Flume sinks",
						.remedy = "put it back from a backup",
						.map_gib = options->map_gib,
						.databases = 1,
						.read_only = options->read_only};
	int rc = env_open(dir, &env_options, &rows->env, err);
	if (rc < 0) {
		free(rows);
		return rc;
	}
	const int code = open_database(rows, options->read_only);
	if (code != 0) {
		rc = code == MDB_NOTFOUND && options->read_only
			     ? error_set(err, ERROR_NOT_FOUND, "there are no rows in %s yet", dir)
			     : fail(rows, code, err, "open the rows");
		row_store_close(rows);
		return rc;
	}
	*out = rows;
	return 0;
}

void row_store_close(struct row_store *rows)
{
	if (!rows)
		return;
	row_store_abort(rows);
	row_store_read_end(rows);
	env_close(rows->env);
	free(rows);
}

int row_store_begin(struct row_store *rows, struct error *err)
{
	const int code = mdb_txn_begin(rows->env, NULL, 0, &rows->write);
	return code == 0 ? 0 : fail(rows, code, err, "begin to write rows");
}

int row_store_put(struct row_store *rows, struct slice table, struct slice key, struct slice column, struct slice value,
		  struct error *err)
{
	char bytes[ROW_STORE_KEY_MAX];
	const size_t len = table.len + 1 + key.len + 1 + column.len;
	if (len > sizeof(bytes))
		return error_set(err, ERROR_LIMIT,
				 "a row of table %.*s has a key of %zu bytes; at most %u are possible", (int)table.len,
				 table.data, len, ROW_STORE_KEY_MAX);
	char *p = bytes;
	memcpy(p, table.data, table.len);
	p += table.len;
	*p++ = '\0';
	memcpy(p, key.data, key.len);
	p += key.len;
	*p++ = '\0';
	memcpy(p, column.data, column.len);
	MDB_val k = {.mv_size = len, .mv_data = bytes};
	MDB_val v = {.mv_size = value.len};
	/* Room first: LMDB takes a pointer that is not const. */
	const int code = mdb_put(rows->write, rows->rows, &k, &v, MDB_RESERVE);
	if (code != 0)
		return fail(rows, code, err, "write a row");
	if (value.len)
		memcpy(v.mv_data, value.data, value.len);
	return 0;
}

int row_store_commit(struct row_store *rows, struct error *err)
{
	MDB_txn *const txn = rows->write;
	rows->write = NULL;
	const int code = mdb_txn_commit(txn);
	return code == 0 ? 0 : fail(rows, code, err, "write rows");
}

void row_store_abort(struct row_store *rows)
{
	if (rows->write)
		mdb_txn_abort(rows->write);
	rows->write = NULL;
}

int row_store_read_begin(struct row_store *rows, struct error *err)
{
	const int code = mdb_txn_begin(rows->env, NULL, MDB_RDONLY, &rows->read);
	return code == 0 ? 0 : fail(rows, code, err, "read rows");
}

void row_store_read_end(struct row_store *rows)
{
	if (rows->read)
		mdb_txn_abort(rows->read);
	rows->read = NULL;
}

int row_store_table(struct row_store *rows, struct slice after, struct slice *table, bool *found, struct error *err)
{
	char bytes[ROW_STORE_KEY_MAX];
	MDB_cursor *cursor = NULL;
	MDB_val key = {.mv_size = after.len + 1, .mv_data = bytes};
	MDB_val value;
	*found = false;
	if (after.len + 1 > sizeof(bytes))
		return error_set(err, ERROR_LIMIT, "a table's name of %zu bytes", after.len);
	if (after.len)
		memcpy(bytes, after.data, after.len);
	bytes[after.len] = '\1'; /* behind all of its own, which have a NUL there */
	int code = mdb_cursor_open(rows->read, rows->rows, &cursor);
	if (code == 0)
		code = mdb_cursor_get(cursor, &key, &value, after.len ? MDB_SET_RANGE : MDB_FIRST);
	if (cursor)
		mdb_cursor_close(cursor);
	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0)
		return fail(rows, code, err, "read rows");
	const char *const end = memchr(key.mv_data, '\0', key.mv_size);
	if (!end)
		return fail(rows, MDB_CORRUPTED, err, "read rows");
	*table = (struct slice){key.mv_data, (size_t)(end - (const char *)key.mv_data)};
	*found = true;
	return 0;
}

int row_walk_open(struct row_store *rows, struct slice table, struct row_walk **out, struct error *err)
{
	struct row_walk *const walk = calloc(1, sizeof(*walk));
	if (!walk || table.len + 1 > sizeof(walk->prefix)) {
		free(walk);
		return error_no_memory(err, sizeof(*walk));
	}
	walk->rows = rows;
	memcpy(walk->prefix, table.data, table.len);
	walk->prefix_len = table.len + 1;
	const int code = mdb_cursor_open(rows->read, rows->rows, &walk->cursor);
	if (code != 0) {
		free(walk);
		return fail(rows, code, err, "read rows");
	}
	*out = walk;
	return 0;
}

int row_walk_next(struct row_walk *walk, struct row_cell *cell, bool *found, struct error *err)
{
	MDB_val key = {.mv_size = walk->prefix_len, .mv_data = walk->prefix};
	MDB_val value;
	*found = false;
	const int code = mdb_cursor_get(walk->cursor, &key, &value, walk->begun ? MDB_NEXT : MDB_SET_RANGE);
	walk->begun = true;
	if (code == MDB_NOTFOUND)
		return 0;
	if (code != 0)
		return fail(walk->rows, code, err, "read rows");
	const char *const bytes = key.mv_data;
	if (key.mv_size < walk->prefix_len || memcmp(bytes, walk->prefix, walk->prefix_len) != 0)
		return 0;
	const char *const from = bytes + walk->prefix_len;
	const size_t rest = key.mv_size - walk->prefix_len;
	const char *const end = memchr(from, '\0', rest);
	if (!end)
		return fail(walk->rows, MDB_CORRUPTED, err, "read rows");
	const size_t key_len = (size_t)(end - from);
	*cell = (struct row_cell){.key = {from, key_len},
				  .column = {end + 1, rest - key_len - 1},
				  .value = {value.mv_data, value.mv_size}};
	*found = true;
	return 0;
}

void row_walk_close(struct row_walk *walk)
{
	if (!walk)
		return;
	mdb_cursor_close(walk->cursor);
	free(walk);
}
