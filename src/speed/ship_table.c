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

#include <stdlib.h>

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
		text_printf("%s%s/orders-%s-%012llu-%012llu.parquet",
			    day == DAY_MIN ? "quarantine" : "warehouse/transactions_cln/data_dt=", date,
			    s->shipper->target.edge, (unsigned long long)s->first, (unsigned long long)s->last);
	return path ? ship_put_file(s->shipper, path, staged, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

static int ship(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		struct error *err)
{
	struct shipment shipment = {.shipper = shipper, .first = first, .last = next - 1};
	const int rc = table_files_write(shipper->state, reader, first, next, send_file, &shipment, err);
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
