/*
 * Cards out of HBase. A batch of customers is one multiget; what it gives is kept, since the answer is gone when more is asked: the last
 * orders of those whose row does not tell them all, out of their histories.
 *
 * A history is ordered by time, and can only be read forwards: so a window before the last order is read, and one four times as long
 * before that, until there are enough. Most people have their last orders within days of each other.
 */
#include "serving/lookup_internal.h"

#include "base/bytes.h"
#include "base/file.h"
#include "cluster/open.h"
#include "store/cluster_account.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define WINDOW_US     (INT64_C(7) * 86400 * 1000000)
#define WINDOW_GROWTH 4

struct orders {
	struct fact *facts; /* each with an id of its own */
	size_t n;
	size_t cap;
};

typedef char event_name[CLUSTER_EVENT_NAME_BYTES];

/* What the answer had of a customer. */
struct kept {
	bool known;
	bool has_profile;
	struct profile profile; /* of `texts` */
	char *texts;
	struct buf state;   /* encoded; empty: no account */
	uint64_t programme; /* by which it is */
	bool marked;
	struct orders orders;
	bool all_orders; /* of the whole history */
	event_name *late;
	size_t n_late;
};

struct lookup_cluster {
	struct cells *cells; /* NULL: nothing was shipped yet, to a directory */
	struct cluster_view *view;
	struct cluster_facts facts;
	/* By the programme of before. */
	struct programme *other;
	struct account *other_account;
	struct account *account;
	struct kept kept[LOOKUP_BATCH];
	struct customer_id ids[LOOKUP_BATCH];
	size_t n;
	/* While an answer is read. */
	size_t at;
	size_t most;
	struct lookup *lookup;
};

int lookup_cluster_open(struct lookup *lookup, struct error *err)
{
	const struct deployment *const deployment = lookup->deployment;
	struct lookup_cluster *const cluster = calloc(1, sizeof(*cluster));
	if (!cluster)
		return error_no_memory(err, sizeof(*cluster));
	lookup->cluster = cluster;
	cluster->lookup = lookup;
	cluster->account = account_new(deployment->programme);
	if (!cluster->account)
		return error_no_memory(err, sizeof(*cluster));
	const int rc = cluster_open_cells_to_read(deployment, &cluster->cells, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	return rc < 0 ? rc
		      : cluster_view_open(cluster->cells, deployment->config->customer_id,
					  deployment->programme->timezone, &cluster->view, err);
}

static void release_orders(struct orders *orders)
{
	for (size_t i = 0; i < orders->n; i++)
		free((char *)(uintptr_t)orders->facts[i].id.data);
	free(orders->facts);
	*orders = (struct orders){0};
}

static void forget(struct lookup_cluster *cluster)
{
	for (size_t i = 0; i < cluster->n; i++) {
		struct kept *const kept = &cluster->kept[i];
		free(kept->texts);
		free(kept->late);
		buf_release(&kept->state);
		release_orders(&kept->orders);
		*kept = (struct kept){0};
	}
	cluster->n = 0;
}

void lookup_cluster_close(struct lookup_cluster *cluster)
{
	if (!cluster)
		return;
	forget(cluster);
	cluster_view_close(cluster->view);
	cells_close(cluster->cells);
	cluster_facts_release(&cluster->facts);
	account_free(cluster->other_account);
	account_free(cluster->account);
	programme_free(cluster->other);
	free(cluster);
}

struct cluster_view *lookup_cluster_view(const struct lookup_cluster *cluster)
{
	return cluster->view;
}

/* --- programmes ------------------------------------------------------------------------------------------------------------- */

/* By which a state was made, as account_encode writes it; 0: it is damaged, which decoding tells. */
static uint64_t programme_of(struct slice state)
{
	struct reader r = reader_of(state);
	if (reader_has(&r, 1))
		r.at++;
	const uint64_t hash = read_u64(&r);
	return r.bad ? 0 : hash;
}

static int load_other(struct lookup_cluster *cluster, uint64_t hash, struct error *err)
{
	const struct deployment *const deployment = cluster->lookup->deployment;
	_cleanup_free_ char *path =
		text_printf("%s/programmes/%016llx.yaml", deployment->data_dir, (unsigned long long)hash);
	if (!path)
		return error_no_memory(err, strlen(deployment->data_dir));
	if (!file_exists(path))
		return error_set(err, ERROR_CORRUPT,
				 "the customer's state on the cluster was made by another programme (%016llx) than "
				 "this programme.yaml (%s): `punchcard refresh` makes it again, or take the "
				 "programme.yaml of where it was refreshed",
				 (unsigned long long)hash, deployment->programme->hash_text);
	account_free(cluster->other_account);
	programme_free(cluster->other);
	cluster->other_account = NULL;
	cluster->other = NULL;
	const int rc = programme_load(path, &cluster->other, err);
	if (rc < 0)
		return rc;
	cluster->other_account = account_new(cluster->other);
	return cluster->other_account ? 0 : error_no_memory(err, sizeof(*cluster));
}

/* The account to fold in, by the programme of that hash, which becomes the lookup's. */
static int use_programme(struct lookup_cluster *cluster, uint64_t hash, struct account **account, struct error *err)
{
	struct lookup *const lookup = cluster->lookup;
	const struct programme *const today = lookup->deployment->programme;
	const bool is_other = hash != 0 && hash != today->hash;
	if (is_other && !(cluster->other && cluster->other->hash == hash)) {
		const int rc = load_other(cluster, hash, err);
		if (rc < 0)
			return rc;
	}
	/* It stays the cluster's. */
	lookup->other[0] = '\0';
	lookup->kept = NULL;
	*account = cluster->account;
	if (!is_other)
		return 0;
	assert(cluster->other);
	memcpy(lookup->other, cluster->other->hash_text, sizeof(lookup->other));
	lookup->kept = cluster->other;
	*account = cluster->other_account;
	return 0;
}

/* --- what an answer has ----------------------------------------------------------------------------------------------------- */

static int add_order(struct orders *orders, const struct fact *fact, struct error *err)
{
	if (fact->kind != EVENT_ORDER || fact->reject != REJECT_NONE)
		return 0;
	if (orders->n == orders->cap) {
		const size_t cap = orders->cap ? 2 * orders->cap : 16;
		struct fact *const facts = realloc(orders->facts, cap * sizeof(*facts));
		if (!facts)
			return error_no_memory(err, cap * sizeof(*facts));
		orders->facts = facts;
		orders->cap = cap;
	}
	char *const id = slice_dup(fact->id);
	if (!id)
		return error_no_memory(err, fact->id.len);
	orders->facts[orders->n] = *fact;
	orders->facts[orders->n++].id = (struct slice){id, fact->id.len};
	return 0;
}

static int compare_facts(const void *a, const void *b)
{
	return fact_compare(a, b);
}

static struct slice keep_text(char **at, struct slice text)
{
	if (text.len == 0)
		return (struct slice){0};
	char *const copy = *at;
	memcpy(copy, text.data, text.len);
	*at += text.len;
	return (struct slice){copy, text.len};
}

static int keep_profile(struct kept *kept, const struct profile *profile, struct error *err)
{
	const size_t len = profile->name.len + profile->email.len + profile->since.len + profile->card.len +
			   profile->birth_date.len + profile->gender.len;
	char *const texts = malloc(len + 1);
	if (!texts)
		return error_no_memory(err, len + 1);
	char *at = texts;
	kept->texts = texts;
	kept->has_profile = true;
	kept->profile = (struct profile){.name = keep_text(&at, profile->name),
					 .email = keep_text(&at, profile->email),
					 .since = keep_text(&at, profile->since),
					 .card = keep_text(&at, profile->card),
					 .birth_date = keep_text(&at, profile->birth_date),
					 .gender = keep_text(&at, profile->gender),
					 .birth_year = profile->birth_year};
	return 0;
}

static bool came_late(const struct cluster_customer *customer, const struct cluster_event *event)
{
	return customer->has_state && cluster_state_missed(&customer->state, event);
}

/* Of the events that the state does not have: orders; and the names of those that the account is without. */
static int keep_events(const struct lookup_cluster *cluster, struct kept *kept, const struct cluster_customer *customer,
		       struct error *err)
{
	const struct programme *const programme = lookup_programme(cluster->lookup);
	int rc = 0;
	if (customer->n_late) {
		kept->late = calloc(customer->n_late, sizeof(*kept->late));
		if (!kept->late)
			return error_no_memory(err, customer->n_late * sizeof(*kept->late));
	}
	for (size_t i = 0; i < customer->n_events && rc == 0; i++) {
		const struct cluster_event *const event = &customer->events[i];
		struct fact fact;
		if (came_late(customer, event)) {
			cluster_event_name(event->source, &event->event, kept->late[kept->n_late++]);
			continue;
		}
		fact_of_event(&fact, programme, &event->event, event->source);
		rc = add_order(&kept->orders, &fact, err);
	}
	kept->all_orders = !customer->has_state;
	return rc;
}

static int keep_account(struct lookup_cluster *cluster, struct kept *kept, const struct cluster_customer *customer,
			struct error *err)
{
	struct account *account = NULL;
	struct cluster_fold fold;
	kept->programme = customer->has_state ? programme_of(customer->state.account) : 0;
	int rc = use_programme(cluster, kept->programme, &account, err);
	if (rc == 0)
		rc = cluster_account_fold(&cluster->facts, lookup_programme(cluster->lookup), customer, account, NULL,
					  &fold, err);
	if (rc < 0)
		return rc;
	kept->marked = fold.late || fold.waits;
	if (account_encode(account, &kept->state) < 0)
		return error_no_memory(err, kept->state.len);
	return keep_events(cluster, kept, customer, err);
}

static bool is_same_id(const struct customer_id *a, const struct customer_id *b)
{
	return a->number == b->number && slice_equal(a->text, b->text);
}

/* Customers come in the order of their ids, without those that are not there. */
static int keep(void *context, const struct cluster_customer *customer, struct error *err)
{
	struct lookup_cluster *const cluster = context;
	while (cluster->at < cluster->n && !is_same_id(&cluster->ids[cluster->at], &customer->id))
		cluster->at++;
	if (cluster->at == cluster->n)
		return error_set(err, ERROR_CORRUPT, "%s: the answer has a customer who was not asked for",
				 cells_name(cluster->cells));
	struct kept *const kept = &cluster->kept[cluster->at++];
	int rc = customer->has_profile ? keep_profile(kept, &customer->profile, err) : 0;
	if (rc == 0 && (customer->has_state || customer->n_events))
		rc = keep_account(cluster, kept, customer, err);
	kept->known = kept->has_profile || kept->state.len;
	return rc;
}

/* --- orders out of the history ---------------------------------------------------------------------------------------------- */

struct reading {
	const struct lookup_cluster *cluster;
	struct kept *kept;
};

static int take_event(void *context, const struct cluster_event *event, struct error *err)
{
	const struct reading *const reading = context;
	struct kept *const kept = reading->kept;
	struct fact fact;
	event_name name;
	cluster_event_name(event->source, &event->event, name);
	for (size_t i = 0; i < kept->n_late; i++)
		if (memcmp(kept->late[i], name, sizeof(name)) == 0)
			return 0;
	fact_of_event(&fact, lookup_programme(reading->cluster->lookup), &event->event, event->source);
	return add_order(&kept->orders, &fact, err);
}

static int read_orders(const struct lookup_cluster *cluster, const struct customer_id *id, struct kept *kept,
		       const struct account_totals *totals, size_t most, struct error *err)
{
	struct reading reading = {.cluster = cluster, .kept = kept};
	if (kept->all_orders || kept->orders.n >= most || totals->orders <= (int64_t)kept->orders.n)
		return 0;
	/* The row has the newest of them, and the history has these, too. */
	release_orders(&kept->orders);
	int64_t to_us = INT64_MAX;
	int64_t from_us = totals->last_us;
	int rc = 0;
	for (int64_t window_us = WINDOW_US; rc == 0; window_us *= WINDOW_GROWTH) {
		from_us = from_us - totals->first_us > window_us ? from_us - window_us : totals->first_us;
		rc = cluster_view_history_between(cluster->view, id, from_us, to_us, take_event, &reading, err);
		if (kept->orders.n >= most || from_us <= totals->first_us)
			break;
		to_us = from_us;
	}
	return rc;
}

/* --- giving ----------------------------------------------------------------------------------------------------------------- */

static int make_card(struct lookup_cluster *cluster, size_t i, size_t most, struct customer_card *card,
		     struct error *err)
{
	struct kept *const kept = &cluster->kept[i];
	struct account *account = NULL;
	*card = (struct customer_card){.id = cluster->ids[i],
				       .has_profile = kept->has_profile,
				       .profile = kept->profile,
				       .marked = kept->marked};
	int rc = use_programme(cluster, kept->programme, &account, err);
	if (rc < 0 || !kept->state.len)
		return rc;
	rc = account_decode((struct slice){kept->state.data, kept->state.len}, account, err);
	if (rc == 0 && account_advance(account, cluster->lookup->day, NULL) < 0)
		rc = error_no_memory(err, kept->state.len);
	if (rc < 0)
		return rc;
	account_totals(account, &card->totals);
	card->account = account;
	rc = read_orders(cluster, &cluster->ids[i], kept, &card->totals, most, err);
	if (kept->orders.n)
		qsort(kept->orders.facts, kept->orders.n, sizeof(*kept->orders.facts), compare_facts);
	card->open = kept->orders.facts;
	card->n_open = kept->orders.n;
	return rc;
}

/* The ids from the first on that can be asked for at once: all are distinct. Those that are none take no place. */
static size_t read_batch(struct lookup_cluster *cluster, const char *const *texts, size_t n)
{
	size_t i = 0;
	for (; i < n && cluster->n < LOOKUP_BATCH; i++) {
		struct customer_id id;
		bool had = false;
		if (lookup_read_id(cluster->lookup, texts[i], &id, NULL) < 0)
			continue;
		for (size_t k = 0; k < cluster->n && !had; k++)
			had = is_same_id(&cluster->ids[k], &id);
		if (had)
			break;
		cluster->ids[cluster->n++] = id;
	}
	return i;
}

static int give(struct lookup_cluster *cluster, const char *const *texts, size_t n, size_t orders, lookup_card_fn *take,
		void *context, struct error *err)
{
	int rc = 0;
	size_t at = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct customer_card card;
		struct customer_id id;
		struct error why = {0};
		if (lookup_read_id(cluster->lookup, texts[i], &id, &why) == 0) {
			const size_t own = at++;
			if (cluster->kept[own].known)
				rc = make_card(cluster, own, orders, &card, err);
			else
				lookup_unknown(texts[i], &why);
		}
		if (rc == 0)
			rc = take(context, texts[i], why.code ? NULL : &card, &why, err);
	}
	return rc;
}

int lookup_cluster_customers(struct lookup *lookup, const char *const *ids, size_t n, size_t orders,
			     lookup_card_fn *take, void *context, struct error *err)
{
	struct lookup_cluster *const cluster = lookup->cluster;
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0;) {
		forget(cluster);
		cluster->at = 0;
		const size_t taken = read_batch(cluster, ids + i, n - i);
		assert(taken > 0);
		if (cluster->view)
			rc = cluster_view_customers(cluster->view, cluster->ids, cluster->n, keep, cluster, err);
		if (rc == 0)
			rc = give(cluster, ids + i, taken, orders, take, context, err);
		i += taken;
	}
	/* The programme of before is the cluster's own. */
	lookup->kept = NULL;
	lookup->other[0] = '\0';
	return rc;
}
