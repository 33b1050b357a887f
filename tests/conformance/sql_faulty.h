/*
 * An engine in front of another that fails as one in another process does, by a seed: it does not start, dies between two steps, breaks its
 * answer off within a row, loses it behind the work, or hangs until it is told to stop. Closing it closes the other.
 */
#ifndef PUNCHCARD_TEST_SQL_FAULTY_H
#define PUNCHCARD_TEST_SQL_FAULTY_H

#include "engine/sql.h"

#include <stdint.h>

/* One in `one_in` calls fails, with ERROR_AWAY; 1: each call hangs until sql_stop. */
struct sql *sql_faulty(struct sql *inner, uint64_t seed, unsigned one_in);

#endif
