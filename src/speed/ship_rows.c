/*
 * Events into the customer view of a cluster (store/cluster_view.h), that is, into HBase: what a customer's account and history are looked up
 * in. A cell's name and version are the event's own, so shipping it again changes nothing.
 */
#include "speed/ship_marks.h"
#include "store/cluster_view.h"

#include <string.h>

static int open_rows(struct shipper *shipper, struct error *err)
{
	const struct deployment *const deployment = shipper->target.deployment;
	struct cluster_view *view = NULL;
	int rc = cluster_view_open(shipper->target.cells, deployment->config->customer_id,
				   deployment->programme->timezone, &view, err);
	shipper->state = view;
	return rc;
}

static void close_rows(struct shipper *shipper)
{
	cluster_view_close(shipper->state);
}

static int put_event(void *context, const struct ship_event *event, struct error *err)
{
	struct shipper *const shipper = context;
	const struct cluster_taken taken = {.record = event->record,
					    .source = event->source,
					    .edge = slice_of(shipper->target.edge),
					    .block = event->block,
					    .taken_us = event->taken_us};
	shipper->put += !event->record->event.customer.guest;
	return cluster_view_put_event(shipper->state, &taken, err);
}

/* Not at the opening: the journal fills while HBase is away at the start, too. */
static int check_rows(struct shipper *shipper, struct error *err)
{
	return ship_marks_check(shipper, shipper->state, err);
}

static int ship(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		struct error *err)
{
	struct cluster_mark mark = {.next = next};
	memcpy(mark.journal, shipper->at.journal, sizeof(mark.journal));
	int rc = ship_events(reader, first, next, put_event, shipper, err);
	if (rc == 0)
		rc = cluster_view_put_mark(shipper->state, slice_of(shipper->target.edge), &mark, err);
	return rc == 0 ? cluster_view_flush(shipper->state, err) : rc;
}

/* What is not acknowledged is shipped again after an error: so no more than some blocks at a time. */
const struct shipper_driver ship_rows = {.name = "hbase",
					 .percent = 100,
					 .shipment_blocks = 16,
					 .in_rows = true,
					 .open = open_rows,
					 .check = check_rows,
					 .ship = ship,
					 .close = close_rows};
