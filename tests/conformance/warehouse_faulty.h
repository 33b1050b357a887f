/*
 * A warehouse in front of another that fails now and then, as a network does: before the work was done, when half of it was, or with
 * the answer lost behind it. Everything by a seed. Closing it closes the other.
 */
#ifndef PUNCHCARD_TEST_WAREHOUSE_FAULTY_H
#define PUNCHCARD_TEST_WAREHOUSE_FAULTY_H

#include "store/warehouse.h"

/* One in `one_in` calls fails, with ERROR_AWAY. */
struct warehouse *warehouse_faulty(struct warehouse *inner, uint64_t seed, unsigned one_in);

#endif
