/*
 * transactions_cln and the quarantine, as Parquet, into a warehouse:
 *
 *     warehouse/transactions_cln/data_dt=<day>/orders-<edge>-<first>-<last>.parquet
 *     quarantine/orders-<edge>-<first>-<last>.parquet
 * with twelve digits for each block. A file whose last block is not before the shipper's mark (ship_files.h) is of a shipment that is not
 * all there yet.
 */
#include "base/limits.h"
#include "base/tz.h"
#include "speed/ship_files.h"
#include "speed/table_files.h"
#include "store/warehouse.h"

#include <stdlib.h>
#include <string.h>

#define NAME "orders-%s-%012llu-%012llu.parquet"

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
	struct shipper *shipper;
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
		text_printf("%s%s/" NAME, day == DAY_MIN ? "quarantine" : "warehouse/transactions_cln/data_dt=", date,
			    s->shipper->target.edge, (unsigned long long)s->first, (unsigned long long)s->last);
	return path ? ship_put_file(s->shipper, path, staged, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* --- again --- */

struct partitions {
	struct buf names; /* each with a NUL */
};

static int on_partition(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct partitions *const all = context;
	if (!stat->is_dir)
		return 0;
	return buf_append(&all->names, name, strlen(name) + 1) < 0 ? error_no_memory(err, strlen(name)) : 0;
}

/* What the earlier try made: its days are those of the time zone that the programme had then, and need not be those of now. */
static int remove_earlier(struct shipper *shipper, uint64_t first, uint64_t last, struct error *err)
{
	struct warehouse *const warehouse = shipper->target.warehouse;
	struct partitions all = {0};
	int rc = warehouse_list(warehouse, "warehouse/transactions_cln", on_partition, &all, err);
	rc = rc == ERROR_NOT_FOUND ? 0 : rc;
	for (size_t at = 0; rc == 0 && at < all.names.len; at += strlen(all.names.data + at) + 1) {
		_cleanup_free_ char *path =
			text_printf("warehouse/transactions_cln/%s/" NAME, all.names.data + at, shipper->target.edge,
				    (unsigned long long)first, (unsigned long long)last);
		rc = path ? warehouse_remove(warehouse, path, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	buf_release(&all.names);
	return rc;
}

static int ship(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		struct error *err)
{
	struct shipment shipment = {.shipper = shipper, .first = first, .last = next - 1};
	int rc = shipper->again ? remove_earlier(shipper, first, next - 1, err) : 0;
	if (rc == 0)
		rc = table_files_write(shipper->state, reader, first, next, send_file, &shipment, err);
	table_files_rest(shipper->state);
	return rc;
}

/* Parquet with zstd is about a third of the blocks. */
const struct shipper_driver ship_table = {.name = "hdfs-table",
					  .in_warehouse = true,
					  .percent = 33,
					  .open = open_table,
					  .ship = ship,
					  .close = close_table};
