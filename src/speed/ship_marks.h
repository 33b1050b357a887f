/*
 * Marks in rows: whether an HBase is the one that an edge ships to, and has what the edge's journal believes. (Of a warehouse:
 * ship_files.h.)
 */
#ifndef PUNCHCARD_SPEED_SHIP_MARKS_H
#define PUNCHCARD_SPEED_SHIP_MARKS_H

#include "speed/shipper.h"
#include "store/cluster_view.h"

/* `hbase`: as messages call it. ERROR_CORRUPT: it is another one, another journal ships there under this edge's name, or it was emptied
 * or put back; the message says which, and what to do. In `orders` a mark may be missing, for a TTL takes it of an edge that is quiet. A
 * mark before the journal's offset is of a shipment whose end the journal never had. */
int ship_marks_judge(const struct shipper_position *at, const char *hbase, const char *edge,
		     const struct cluster_marks *marks, struct error *err);
/* The same of what is there now; then the tables are made if they are not there. */
int ship_marks_check(struct shipper *shipper, struct cluster_view *view, struct error *err);

#endif
