/*
 * Claims: which edge a source belongs to whose events have no ids of their own. These are made of file and line, so two edges that ship
 * under one source's name would make equal ids of different events.
 *
 *     sources/<name>       in the warehouse: the name of the edge, a line; who knows that ids never meet adds others, by hand
 *
 * What was claimed stands among the journal's positions, too, under "\1claim/<source>" (the edge's name), so that it is asked for once. A
 * source whose events bring ids may be shared: there an id means the same event wherever it came in.
 */
#ifndef PUNCHCARD_SPEED_SHIP_CLAIMS_H
#define PUNCHCARD_SPEED_SHIP_CLAIMS_H

#include "speed/shipper.h"
#include "store/warehouse.h"

/* Claims the sources of blocks first to next - 1 that need it. ERROR_CONFIG: another edge has one. Errors of the warehouse, if it has to be
 * asked. */
int ship_claim(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
	       struct error *err);
/* Who has a source: 0 when it is this edge, also among others; 1 when nobody has it; ERROR_CONFIG: another one, whom the message names.
 * Errors of the warehouse. */
int ship_claim_look(struct warehouse *warehouse, const char *source, const char *edge, struct error *err);

#endif
