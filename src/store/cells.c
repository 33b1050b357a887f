/* The port's own part: what holds for every driver. */
#include "store/cells.h"

#include "store/cells_driver.h"

#include <ctype.h>
#include <stdlib.h>

/* --- checking --------------------------------------------------------------------------------------------------------------- */

static bool is_word(struct slice name, const char *more)
{
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char)name.data[i]) && (!name.data[i] || !strchr(more, name.data[i])))
			return false;
	return name.len != 0;
}

static int check_table(const struct cells *cells, const char *table, struct error *err)
{
	const struct slice name = slice_of(table);
	if (name.len > CELLS_TABLE_BYTES || !is_word(name, "_-.") || strchr("-.", table[0]))
		return error_set(err, ERROR_INPUT,
				 "%s: '%s' is no name of a table: letters, digits, '_', '-' and '.', at most %u",
				 cells->name, table, CELLS_TABLE_BYTES);
	return 0;
}

static bool is_family(struct slice name)
{
	return name.len <= CELLS_FAMILY_BYTES && is_word(name, "_");
}

/* As the limit counts it. */
static size_t key_bytes(struct slice key)
{
	size_t len = key.len;
	for (size_t i = 0; i < key.len; i++)
		len += key.data[i] == '\0';
	return len;
}

/* A key and a column: what is wrong is told with the key's bytes as far as they can be shown. */
static int check_name(const struct cells *cells, const char *table, struct slice key, struct slice column,
		      struct error *err)
{
	const char *const colon = column.len ? memchr(column.data, ':', column.len) : NULL;
	if (!colon || !is_family((struct slice){column.data, (size_t)(colon - column.data)}))
		return error_set(err, ERROR_INPUT, "%s: table %s: a column of %zu bytes does not begin with a family",
				 cells->name, table, column.len);
	if (!key.len)
		return error_set(err, ERROR_INPUT, "%s: table %s: a row without a key", cells->name, table);
	if (key.len > CELLS_NAME_BYTES || key_bytes(key) + column.len > CELLS_NAME_BYTES)
		return error_set(err, ERROR_LIMIT,
				 "%s: table %s: a key of %zu bytes and a column of %zu are too long; together %u "
				 "bytes are possible, NULs of the key counted twice",
				 cells->name, table, key.len, column.len, CELLS_NAME_BYTES);
	return 0;
}

static int check_version(const struct cells *cells, const char *table, int64_t version, struct error *err)
{
	if (version >= 1 && version <= CELLS_VERSION_MAX)
		return 0;
	return error_set(err, ERROR_INPUT, "%s: table %s: %lld is no version; it is 1 to %lld", cells->name, table,
			 (long long)version, (long long)CELLS_VERSION_MAX);
}

/* --- the calls -------------------------------------------------------------------------------------------------------------- */

void cells_close(struct cells *cells)
{
	if (cells)
		cells->driver->close(cells);
}

int cells_ensure(struct cells *cells, const char *table, const char *const *families, struct error *err)
{
	const int rc = check_table(cells, table, err);
	size_t n = 0;
	if (rc < 0)
		return rc;
	for (; families[n]; n++)
		if (n == CELLS_FAMILIES_MAX || !is_family(slice_of(families[n])))
			return error_set(err, ERROR_INPUT, "%s: table %s: '%s' is no family, or one too many",
					 cells->name, table, families[n]);
	if (n == 0)
		return error_set(err, ERROR_INPUT, "%s: table %s: a table needs a family", cells->name, table);
	return cells->driver->ensure(cells, table, families, err);
}

int cells_put(struct cells *cells, const char *table, const struct cells_put *puts, size_t n, struct error *err)
{
	int rc = check_table(cells, table, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = check_name(cells, table, puts[i].key, puts[i].column, err);
		if (rc == 0)
			rc = check_version(cells, table, puts[i].version, err);
		if (rc == 0 && puts[i].value.len > CELLS_VALUE_BYTES)
			rc = error_set(err, ERROR_LIMIT,
				       "%s: table %s: a value of %zu bytes is too large; %u are possible", cells->name,
				       table, puts[i].value.len, CELLS_VALUE_BYTES);
	}
	if (rc == 0 && n)
		rc = cells->driver->put(cells, table, puts, n, err);
	if (rc == 0)
		cells->counts.cells_put += n;
	return rc;
}

int cells_erase(struct cells *cells, const char *table, const struct cells_erase *erases, size_t n, struct error *err)
{
	int rc = check_table(cells, table, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = check_name(cells, table, erases[i].key, erases[i].column, err);
		if (rc == 0)
			rc = check_version(cells, table, erases[i].version, err);
	}
	if (rc == 0 && n)
		rc = cells->driver->erase(cells, table, erases, n, err);
	if (rc == 0)
		cells->counts.cells_erased += n;
	return rc;
}

int cells_get(struct cells *cells, const char *table, const struct slice *keys, size_t n, cells_row_fn *take,
	      void *context, struct error *err)
{
	int rc = check_table(cells, table, err);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = check_name(cells, table, keys[i], SLICE("f:"), err);
	if (rc == 0 && n)
		rc = cells->driver->get(cells, table, keys, n, take, context, err);
	return rc < 0 ? rc : 0;
}

int cells_scan(struct cells *cells, const char *table, const struct cells_range *range, cells_row_fn *take,
	       void *context, struct error *err)
{
	_cleanup_buf_ struct buf behind = {0};
	struct cells_range whole = {.from = range->from, .to = range->to, .limit = range->limit};
	int rc = check_table(cells, table, err);
	if (rc < 0)
		return rc;
	if (key_bytes(whole.from) > CELLS_NAME_BYTES || key_bytes(whole.to) > CELLS_NAME_BYTES ||
	    key_bytes(range->prefix) > CELLS_NAME_BYTES)
		return error_set(err, ERROR_LIMIT, "%s: table %s: a key to scan from or to has more than %u bytes",
				 cells->name, table, CELLS_NAME_BYTES);
	if (range->prefix.len) {
		if (cells_behind_prefix(range->prefix, &behind) < 0)
			return error_no_memory(err, range->prefix.len);
		if (slice_compare(whole.from, range->prefix) < 0)
			whole.from = range->prefix;
		const struct slice end = {behind.data, behind.len};
		if (end.len && (!whole.to.len || slice_compare(end, whole.to) < 0))
			whole.to = end;
	}
	if (whole.to.len && slice_compare(whole.from, whole.to) >= 0)
		return 0;
	rc = cells->driver->scan(cells, table, &whole, take, context, err);
	return rc < 0 ? rc : 0;
}

int cells_ping(struct cells *cells, struct cells_health *out, struct error *err)
{
	*out = (struct cells_health){0};
	return cells->driver->ping(cells, out, err);
}

void cells_health_release(struct cells_health *health)
{
	if (!health)
		return;
	buf_release(&health->tables);
	*health = (struct cells_health){0};
}

int cells_rights(struct cells *cells, const char *table, const char *family, struct cells_rights *out,
		 struct error *err)
{
	const int rc = check_table(cells, table, err);
	*out = (struct cells_rights){0};
	return rc < 0 ? rc : cells->driver->rights(cells, table, family, out, err);
}

const struct cells_counts *cells_counts(const struct cells *cells)
{
	return &cells->counts;
}

const char *cells_name(const struct cells *cells)
{
	return cells->name;
}

int cells_behind_prefix(struct slice prefix, struct buf *out)
{
	size_t len = prefix.len;
	while (len && (unsigned char)prefix.data[len - 1] == 0xff)
		len--;
	if (!len)
		return 0;
	if (buf_append(out, prefix.data, len) < 0)
		return ERROR_NO_MEMORY;
	out->data[out->len - 1] = (char)((unsigned char)out->data[out->len - 1] + 1);
	return 0;
}
