/*
 * How a customer's balance came about: every entry of the ledger, back to the event, the rule and its version, with the
 * arithmetic in words and numbers.
 *
 *     struct explain *explain = NULL;
 *     rc = explain_customer(deployment, "558", &(struct explain_options){0}, &explain, err);
 *     rc = explain_print(explain, stdout, err);          // or explain_print_json
 *     explain_free(explain);
 *
 * The customer's events are read out of transactions_cln, the journal's tail included, and folded by the kernel once more: so
 * what is printed is what the fold does, and not a second opinion. It needs no lock, and makes nobody wait. On a cluster they are read
 * out of HBase, without the watch (errors are those of store/cells.h then).
 *
 * An explanation belongs to one thread at a time. Memory: some hundred bytes an event of that customer.
 */
#ifndef PUNCHCARD_SERVING_EXPLAIN_H
#define PUNCHCARD_SERVING_EXPLAIN_H

#include "base/error.h"
#include "config/deployment.h"
#include "serving/watch.h"

#include <stdbool.h>
#include <stdio.h>

struct explain;

struct explain_options {
	bool has_day;
	int32_t day;         /* as of the end of this local day; unless has_day: now, with all events that are known */
	int64_t now_us;      /* UTC; what "now" is */
	struct slice ledger; /* only this one's entries are printed; empty: all */
	struct watch *watch; /* Ctrl-C; may be NULL */
};

/*
 * ERROR_NOT_FOUND: nobody of that id is known. ERROR_INPUT: not an id of the deployment's type. ERROR_USAGE: the programme has no
 * such ledger. Else the errors of the catalog, the view and the engine. The deployment must outlive *out.
 */
int explain_customer(const struct deployment *deployment, const char *customer, const struct explain_options *options,
		     struct explain **out, struct error *err);
/* NULL is fine. */
void explain_free(struct explain *explain);

/* For people: who, the balances, then all that happened in order of time, what is to come, and the sums. */
int explain_print(const struct explain *explain, FILE *out, struct error *err);
/* The same as one JSON object. Amounts and points are numbers with all their digits, times UTC, days local ones. */
int explain_print_json(const struct explain *explain, FILE *out, struct error *err);

#endif
