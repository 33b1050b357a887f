/* Shared by lookup.c (the view of one machine) and lookup_cluster.c (the view of a cluster). */
#ifndef PUNCHCARD_SERVING_LOOKUP_INTERNAL_H
#define PUNCHCARD_SERVING_LOOKUP_INTERNAL_H

#include "serving/lookup.h"

struct lookup_cluster;
struct cluster_view;

struct lookup {
	const struct deployment *deployment;
	struct programme *kept;          /* that the accounts were made by, when it is not today's */
	char other[PROGRAMME_HASH_TEXT]; /* its hash; "": it is today's */
	int32_t day;
	struct view *view; /* NULL: nothing was loaded or collected yet */
	struct record *record;
	struct account *account;
	struct lookup_cluster *cluster; /* instead of view and record */
};

/* An id as a person writes it. ERROR_INPUT: it is none of the deployment's type. */
int lookup_read_id(const struct lookup *lookup, const char *text, struct customer_id *id, struct error *err);
/* Sets err to: nobody knows them. Returns ERROR_NOT_FOUND. */
int lookup_unknown(const char *text, struct error *err);

int lookup_cluster_open(struct lookup *lookup, struct error *err);
/* NULL is fine. */
void lookup_cluster_close(struct lookup_cluster *cluster);
/* That it asks, of the same thread; NULL: nothing was shipped yet, to a directory. */
struct cluster_view *lookup_cluster_view(const struct lookup_cluster *cluster);
int lookup_cluster_customers(struct lookup *lookup, const char *const *ids, size_t n, size_t orders,
			     lookup_card_fn *take, void *context, struct error *err);

#endif
