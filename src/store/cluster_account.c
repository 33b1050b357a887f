#include "store/cluster_account.h"

#include <stdlib.h>

void cluster_facts_release(struct cluster_facts *facts)
{
	free(facts->facts);
	*facts = (struct cluster_facts){0};
}

static int compare(const void *a, const void *b)
{
	return fact_compare(a, b);
}

/* The facts of the customer's events that lie behind the state's day, in order, each once. */
static size_t gather(struct fact *facts, const struct programme *programme, const struct cluster_customer *customer,
		     struct cluster_fold *fold)
{
	size_t n = 0;
	for (size_t i = 0; i < customer->n_events; i++) {
		const struct cluster_event *const event = &customer->events[i];
		fact_of_event(&facts[n], programme, &event->event, event->source);
		if (customer->has_state && cluster_state_missed(&customer->state, event))
			fold->late++;
		else
			n++;
	}
	if (n)
		qsort(facts, n, sizeof(*facts), compare);
	size_t once = n ? 1 : 0;
	for (size_t i = 1; i < n; i++)
		if (fact_compare(&facts[once - 1], &facts[i]) != 0)
			facts[once++] = facts[i];
	return once;
}

/* Whether the order of a refund is among the facts before it: else it is one of the state's, if it is any. */
static bool has_order(const struct fact *facts, size_t before, const struct fact *refund)
{
	for (size_t i = before; i > 0; i--)
		if (facts[i - 1].kind == EVENT_ORDER && fact_id_hash(facts[i - 1].id) == refund->order_hash)
			return true;
	return false;
}

int cluster_account_fold(struct cluster_facts *facts, const struct programme *programme,
			 const struct cluster_customer *customer, struct account *account, struct postings *postings,
			 struct cluster_fold *fold, struct error *err)
{
	struct cluster_fold found = {0};
	if (customer->n_events > facts->cap) {
		struct fact *const more = realloc(facts->facts, customer->n_events * sizeof(*more));
		if (!more)
			return error_no_memory(err, customer->n_events * sizeof(*more));
		facts->facts = more;
		facts->cap = customer->n_events;
	}
	account_reset(account);
	if (customer->has_state) {
		const int rc = account_decode(customer->state.account, account, err);
		if (rc < 0)
			return rc;
	}
	const size_t n = gather(facts->facts, programme, customer, &found);
	for (size_t i = 0; i < n; i++) {
		const struct fact *const fact = &facts->facts[i];
		if (customer->has_state && fact->kind == EVENT_REFUND && !has_order(facts->facts, i, fact)) {
			found.waits++;
			continue;
		}
		if (account_apply(account, fact, postings) < 0)
			return error_no_memory(err, sizeof(*fact));
		found.applied++;
	}
	*fold = found;
	return 0;
}
