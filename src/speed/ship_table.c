/*
 * transactions_cln and the quarantine, as Parquet, into a warehouse:
 *
 *     warehouse/transactions_cln/data_dt=<day>/orders-<edge>-<first>-<last>.parquet
 *     quarantine/orders-<edge>-<first>-<last>.parquet
 *     edges/<edge>/table-<next>       empty: all files of blocks before <next> are there
 *
 * with twelve digits for each block. A file whose last block is not before that is of a shipment that is not all there yet.
 */
#include "base/limits.h"
#include "base/tz.h"
#include "speed/shipper.h"
#include "speed/table_files.h"
#include "store/warehouse.h"

#include <stdlib.h>
#include <string.h>

#define MARK "table-"

static int open_table(struct shipper *shipper, struct error *err)
{
	struct table_files *files = NULL;
	const int rc = table_files_open(shipper->target.deployment, &files, err);
	shipper->state = files;
	return rc;
}

static void close_table(struct shipper *shipper)
{
	table_files_close(shipper->state);
}

struct shipment {
	const struct ship_target *target;
	uint64_t first;
	uint64_t last;
};

static int send_file(void *context, const char *staged, int32_t day, struct error *err)
{
	const struct shipment *const s = context;
	char date[11] = "";
	if (day != DAY_MIN)
		civil_format(day, date);
	_cleanup_free_ char *path =
		text_printf("%s%s/orders-%s-%012llu-%012llu.parquet",
			    day == DAY_MIN ? "quarantine" : "warehouse/transactions_cln/data_dt=", date,
			    s->target->edge, (unsigned long long)s->first, (unsigned long long)s->last);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = warehouse_put_file(s->target->warehouse, path, staged, err);
	if (rc != ERROR_EXISTS)
		return rc;
	/* Of the same blocks, and not counted yet: another version of punchcard may have made other bytes of them. */
	rc = warehouse_remove(s->target->warehouse, path, err);
	return rc < 0 ? rc : warehouse_put_file(s->target->warehouse, path, staged, err);
}

/* --- the mark --- */

struct older {
	char keep[LIMIT_NAME_BYTES];
	struct buf names; /* each with a NUL */
};

static int on_mark(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct older *const older = context;
	(void)stat;
	if (strncmp(name, MARK, strlen(MARK)) != 0 || strcmp(name, older->keep) >= 0)
		return 0;
	return buf_append(&older->names, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

/* The new one is there before the older ones go. */
static int set_mark(const struct ship_target *target, uint64_t next, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("edges/%s", target->edge);
	_cleanup_free_ char *mark = text_printf("edges/%s/" MARK "%012llu", target->edge, (unsigned long long)next);
	if (!dir || !mark)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct older older = {0};
	memcpy(older.keep, mark + strlen(dir) + 1, strlen(mark + strlen(dir) + 1) + 1);
	int rc = warehouse_put_bytes(target->warehouse, mark, (struct slice){"", 0}, err);
	if (rc == 0)
		rc = warehouse_list(target->warehouse, dir, on_mark, &older, err);
	for (size_t at = 0; rc == 0 && at < older.names.len; at += strlen(older.names.data + at) + 1) {
		_cleanup_free_ char *path = text_printf("%s/%s", dir, older.names.data + at);
		rc = path ? warehouse_remove(target->warehouse, path, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&older.names);
	return rc;
}

static int ship(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		struct error *err)
{
	struct shipment shipment = {.target = &shipper->target, .first = first, .last = next - 1};
	int rc = table_files_write(shipper->state, reader, first, next, send_file, &shipment, err);
	if (rc == 0)
		rc = set_mark(&shipper->target, next, err);
	table_files_rest(shipper->state);
	return rc;
}

/* Parquet with zstd is about a third of the blocks. */
const struct shipper_driver ship_table = {
	.name = "table", .percent = 33, .open = open_table, .ship = ship, .close = close_table};
