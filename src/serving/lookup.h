/*
 * Looking a customer up, as at the till: from the customer view alone.
 *
 *     struct lookup *lookup = NULL;
 *     rc = lookup_open(deployment, &lookup, err);
 *     rc = lookup_customer(lookup, "558", &card, err);     // ERROR_NOT_FOUND: no file names them and they never ordered
 *     lookup_close(lookup);
 *
 * One lookup belongs to one thread at a time. It sees the view as it was when it was opened.
 */
#ifndef PUNCHCARD_SERVING_LOOKUP_H
#define PUNCHCARD_SERVING_LOOKUP_H

#include "config/deployment.h"
#include "loyalty/account.h"
#include "store/view.h"

struct lookup;

struct customer_card {
	struct customer_id id;
	bool has_profile; /* a customer file names them */
	struct profile profile;
	bool has_account; /* they have ordered */
	int64_t orders;
	int64_t visits;
	int64_t spend_minor;
	int64_t points_milli;
	int64_t points_earned_milli;
	int64_t first_us;
	int64_t last_us;
};

/* A deployment without view and journal has no customers; with a journal alone it is damaged. Errors: those of view_open but ERROR_NOT_FOUND. */
int lookup_open(const struct deployment *deployment, struct lookup **out, struct error *err);
/* The card's texts live as long as the lookup. ERROR_INPUT: not an id of the deployment's type. */
int lookup_customer(struct lookup *lookup, const char *text, struct customer_card *out, struct error *err);
void lookup_close(struct lookup *lookup);

#endif
