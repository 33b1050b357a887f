/*
 * What a shop owner wants to know of their sales: a few figures over all tables.
 *
 *     struct summary summary;
 *     rc = summary_make(deployment, &summary, err);
 *     …
 *
 * Guests' sales are the guests', those of customers that no file names are told apart: neither is anybody's. Thread: any.
 */
#ifndef PUNCHCARD_SERVING_SUMMARY_H
#define PUNCHCARD_SERVING_SUMMARY_H

#include "config/deployment.h"

#include <stdint.h>

#define SUMMARY_TOP     5u
#define SUMMARY_REASONS 16u

struct summary_sales {
	int64_t lines;
	int64_t orders;
	int64_t customers; /* who bought something; 0 for guests */
	int64_t amount_minor;
};

struct summary_member {
	int64_t orders;
	int64_t visits;
	int64_t spend_minor;
	int64_t points_milli;
	char id[132]; /* both cut between characters when longer */
	char name[132];
};

struct summary_reason {
	char reason[32];
	int64_t lines;
};

struct summary {
	struct summary_sales members;
	struct summary_sales guests;
	struct summary_sales unknown; /* with an id that no customer file names */
	char first_day[11];           /* local days; "" without sales */
	char last_day[11];
	int64_t named; /* customers in customers_cln */
	int64_t points_issued_milli;
	struct summary_member top[SUMMARY_TOP];
	unsigned n_top;
	struct summary_reason reasons[SUMMARY_REASONS];
	unsigned n_reasons;
};

/* Runs on an engine of its own. Errors: those of the engine and the tables. */
int summary_make(const struct deployment *deployment, struct summary *out, struct error *err);

#endif
