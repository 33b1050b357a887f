/* On a cluster, instead of the table and the view: shippers, each with connections of its own. */
#include "batch/committed.h"
#include "cluster/open.h"
#include "speed/consumers_internal.h"

#include <stdlib.h>

#define MIB (UINT64_C(1) << 20)

static int write_shipment(struct consumer *consumer, uint64_t first, uint64_t next, struct error *err)
{
	(void)first; /* it is the shipper's offset */
	return shipper_write(consumer->shipper, consumer->reader, next, err);
}

/* A part of a batch may be shipped. */
static int recover_shipment(struct consumer *consumer, struct error *err)
{
	return consumer_ready(consumer, shipper_offset(consumer->shipper), err);
}

static int look_at_system(struct consumer *consumer, struct error *err)
{
	return shipper_look(consumer->shipper, err);
}

static const struct consumer_kind SHIPPER_KIND = {
	.write = write_shipment, .recover = recover_shipment, .look = look_at_system};

/* What was collected on this machine alone is in no file of the cluster. */
static int check_is_new(struct consumers *all, struct error *err)
{
	struct journal_reader *reader = NULL;
	uint64_t offset = 0;
	uint64_t shipped = 0;
	int rc = journal_reader_open(all->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &offset, err);
	if (rc == 0)
		rc = shippers_pinned(reader, &shipped, err);
	journal_reader_close(reader);
	if (rc == 0 && offset > 1 && shipped == UINT64_MAX)
		return error_set(
			err, ERROR_CONFIG,
			"%s: cluster: this deployment has orders in tables of this machine, which would be missing "
			"on the cluster; take the section out, or collect for the cluster in a deployment of its own",
			all->deployment->config->path);
	return rc;
}

static int open_systems(struct consumer *consumer, const struct shipper_driver *driver, struct ship_target *target,
			struct error *err)
{
	const struct deployment *const deployment = consumer->all->deployment;
	if (driver == &ship_rows) {
		const int rc = cluster_open_cells(deployment, &consumer->cells, err);
		target->cells = consumer->cells;
		if (rc < 0)
			return rc;
	}
	_cleanup_free_ char *writer = text_printf("%s-%s", deployment->config->cluster.edge, driver->name);
	if (!writer)
		return error_no_memory(err, 128);
	const int rc = cluster_open_warehouse(deployment, writer, &consumer->warehouse, err);
	target->warehouse = consumer->warehouse;
	return rc;
}

static int open_shipper(struct consumer *consumer, const struct shipper_driver *driver, bool again, struct error *err)
{
	struct consumers *const all = consumer->all;
	const struct config *const config = all->deployment->config;
	struct ship_target target = {.deployment = all->deployment,
				     .edge = config->cluster.edge,
				     .shipment_bytes = config->cluster.ship_max_mib * MIB};
	int rc = open_systems(consumer, driver, &target, err);
	if (rc == 0)
		rc = shipper_open(driver, &target, all->journal, &consumer->shipper, err);
	if (rc == 0)
		rc = journal_reader_open(all->journal, &consumer->reader, err);
	if (rc == 0 && again)
		rc = shipper_begin_again(consumer->shipper, consumer->reader, err);
	if (rc < 0)
		return rc;
	/* A shipment is begun before the sources wait for it. */
	const uint64_t half_backlog = config->journal_backlog_mib * MIB / 2;
	const uint64_t bytes = shipper_block_bytes(consumer->shipper);
	consumer->pace = (struct consumer_pace){
		.lines = UINT64_MAX, .bytes = bytes < half_backlog ? bytes : half_backlog, .delay_ns = INT64_MAX};
	if (driver == &ship_rows)
		consumer->pace.eager = true;
	if (all->continuous)
		consumer->pace.delay_ns = driver == &ship_rows ? (int64_t)config->view_max_delay_ms * 1000000
							       : (int64_t)config->cluster.ship_max_delay_s * 1000000000;
	return consumer_ready(consumer, shipper_offset(consumer->shipper), err);
}

int consumers_open_cluster(struct consumers *all, bool hbase_again, struct error *err)
{
	static const struct shipper_driver *const DRIVERS[] = {&ship_table, &ship_raw, &ship_rows};
	int rc = check_is_new(all, err);
	for (size_t i = 0; rc == 0 && i < sizeof(DRIVERS) / sizeof(DRIVERS[0]); i++) {
		/* A Spark job makes the table of the raw files. */
		if (DRIVERS[i] == &ship_table && all->deployment->config->cluster.stream == CLUSTER_STREAM_SPARK)
			continue;
		rc = open_shipper(consumers_add(all, &SHIPPER_KIND, DRIVERS[i]->name), DRIVERS[i],
				  hbase_again && DRIVERS[i] == &ship_rows, err);
	}
	return rc;
}

void consumer_close_cluster(struct consumer *consumer)
{
	shipper_close(consumer->shipper);
	warehouse_close(consumer->warehouse);
	cells_close(consumer->cells);
}
