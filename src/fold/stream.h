/*
 * The work of punchcard-fold: rows of customers in, rows of tables out (input.h, output.h).
 *
 *     const struct fold_stream_options options = {.programme = programme, .day = day};
 *     rc = fold_stream(&options, STDIN_FILENO, STDOUT_FILENO, err);
 *
 * Of each customer: the postings of the events that came in (of those behind the state, where there is one), and
 * balances, account and state at the end of the day. With `other` instead: one row a ledger of both programmes, of
 * which all events must come in.
 *
 * A customer with a state and a refund of an order that is not among the rows gives a row `marked` and nothing else:
 * his whole history must be folded.
 */
#ifndef PUNCHCARD_FOLD_STREAM_H
#define PUNCHCARD_FOLD_STREAM_H

#include "base/error.h"
#include "loyalty/event.h"
#include "loyalty/programme.h"

struct fold_stream_options {
	const struct programme *programme; /* prepared, as is … */
	const struct programme *other;     /* … to compare it with; NULL: none */
	int32_t day;                       /* the last one */
	enum customer_id_type id_type;
};

/* All of the input is read, also after an error. ERROR_INPUT and ERROR_CORRUPT name the row or the event;
 * ERROR_OVERFLOW: a number does not fit its column; ERROR_IO. */
int fold_stream(const struct fold_stream_options *options, int in, int out, struct error *err);

#endif
