/*
 * What the shippers into a warehouse share: files of a shipment, and the mark that it is there.
 *
 *     edges/<edge>/<shipper>-<next>       empty: all files of blocks before <next>, twelve digits, are there
 */
#ifndef PUNCHCARD_SPEED_SHIP_FILES_H
#define PUNCHCARD_SPEED_SHIP_FILES_H

#include "speed/shipper.h"
#include "store/warehouse.h"

/* Of an edge's directory: the block up to which a shipper's newest mark says that all is there. */
struct ship_mark {
	const char *shipper;
	uint64_t next; /* 0: there is none */
};
/* Looks for the marks of these; what is not there has none. Errors of the warehouse. */
int ship_find_marks(struct warehouse *warehouse, const char *edge, struct ship_mark *marks, unsigned n,
		    struct error *err);
/* Whether the mark is that of a shipper which is there: 0, or ERROR_CORRUPT. */
int ship_judge_mark(const struct shipper_position *at, const char *edge, const struct ship_mark *mark,
		    struct error *err);
/* Whether the warehouse is as this shipper left it: the mark is that of its offset, or of the shipment that it had begun, and none is
 * there only where it has not shipped yet. *done: the shipment that was begun is all there, and counts. ERROR_CORRUPT: another
 * journal ships under this edge's name, this one is older than what it shipped, or the warehouse is another one. Errors of the
 * warehouse. */
int ship_check_mark(struct shipper *shipper, bool *done, struct error *err);
/* Before a shipper that has no marks of its own ships for the first time: do the marks of raw events agree with this journal, also
 * while they are shipped? ERROR_AWAY: they do not, which their shipper refuses when it looks the next time. Errors of the warehouse
 * and of the journal. */
int ship_check_first(struct shipper *shipper, struct error *err);
/* Sets the mark to `next`, and then removes older ones. */
int ship_set_mark(struct shipper *shipper, uint64_t next, struct error *err);
/* Puts a file of the shipment that was begun. One of the same name and another length is replaced: it is of the same blocks and does not
 * count yet, and was made by another version of punchcard. */
int ship_put_file(struct shipper *shipper, const char *path, const char *local, struct error *err);

#endif
