/*
 * Events into the customer view of a cluster (store/cluster_view.h), that is, into HBase: what a customer's account and history are looked up
 * in. A cell's name and version are the event's own, so shipping it again changes nothing.
 */
#include "speed/shipper.h"
#include "store/block.h"
#include "store/cluster_view.h"

static int open_rows(struct shipper *shipper, struct error *err)
{
	const struct deployment *const deployment = shipper->target.deployment;
	const enum view_id_type id_type =
		deployment->config->customer_id == CUSTOMER_ID_TEXT ? VIEW_ID_TEXT : VIEW_ID_INTEGER;
	struct cluster_view *view = NULL;
	int rc = cluster_view_open(shipper->target.cells, id_type, deployment->programme->timezone, &view, err);
	shipper->state = view;
	return rc;
}

static void close_rows(struct shipper *shipper)
{
	cluster_view_close(shipper->state);
}

static int put_block(struct shipper *shipper, uint64_t seq, struct slice bytes, struct error *err)
{
	struct block_reader reader = {0};
	struct block_record record;
	int rc = block_reader_open(&reader, bytes, err);
	if (rc < 0)
		return rc;
	rc = 1;
	while (rc == 1 && (rc = block_reader_next(&reader, &record, err)) == 1) {
		if (record.kind != BLOCK_EVENT)
			continue;
		const struct cluster_taken taken = {.record = &record,
						    .source = reader.source,
						    .edge = slice_of(shipper->target.edge),
						    .block = seq,
						    .taken_us = reader.counts.time_us};
		const int put = cluster_view_put_event(shipper->state, &taken, err);
		rc = put < 0 ? put : 1;
	}
	block_reader_release(&reader);
	return rc;
}

static int ship(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		struct error *err)
{
	/* Here, and not at the opening: the journal fills while HBase is away at the start, too. */
	int rc = cluster_view_ensure(shipper->state, err);
	for (uint64_t seq = first; rc == 0 && seq < next; seq++) {
		struct slice bytes;
		rc = journal_reader_block(reader, seq, &bytes, err);
		if (rc == 0)
			rc = put_block(shipper, seq, bytes, err);
	}
	return rc == 0 ? cluster_view_flush(shipper->state, err) : rc;
}

/* What is not acknowledged is shipped again after an error: so no more than some blocks at a time. */
const struct shipper_driver ship_rows = {
	.name = "hbase", .percent = 100, .shipment_blocks = 16, .open = open_rows, .ship = ship, .close = close_rows};
