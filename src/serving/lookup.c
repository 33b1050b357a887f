#include "serving/lookup_internal.h"

#include "base/decimal.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "loyalty/record.h"
#include "speed/view_writer.h"

#include <stdlib.h>

const struct programme *lookup_programme(const struct lookup *lookup)
{
	return lookup->kept ? lookup->kept : lookup->deployment->programme;
}

const char *lookup_other_programme(const struct lookup *lookup)
{
	return lookup->other[0] ? lookup->other : NULL;
}

static int open_view(struct lookup *lookup, struct error *err)
{
	const struct deployment *const deployment = lookup->deployment;
	int rc = view_writer_open_view(deployment, true, &lookup->view, err);
	if (rc == 0)
		rc = view_read_begin(lookup->view, err);
	if (rc == 0)
		rc = view_writer_programme(lookup->view, deployment, &lookup->kept, err);
	if (rc == 0)
		rc = view_writer_other_hash(lookup->view, deployment->programme, lookup->other, err);
	if (rc != ERROR_NOT_FOUND)
		return rc;
	_cleanup_free_ char *journal = text_printf("%s/data.mdb", deployment->journal_dir);
	if (!journal || !file_exists(journal))
		return 0;
	return error_set(err, ERROR_CORRUPT,
			 "the customer view in %s is missing, though orders were taken; `punchcard collect --once` and "
			 "loading any customer file make it again",
			 deployment->view_dir);
}

static int make_kernel(struct lookup *lookup, int64_t now_us, struct error *err)
{
	const struct programme *const programme = lookup_programme(lookup);
	lookup->day = tz_local_day(programme->timezone, now_us);
	lookup->record = record_new(programme);
	lookup->account = account_new(programme);
	return lookup->record && lookup->account ? 0 : error_no_memory(err, sizeof(*lookup));
}

int lookup_open(const struct deployment *deployment, int64_t now_us, struct lookup **out, struct error *err)
{
	struct lookup *const lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return error_no_memory(err, sizeof(*lookup));
	lookup->deployment = deployment;
	int rc = deployment->config->cluster.on ? lookup_cluster_open(lookup, err) : open_view(lookup, err);
	if (rc == 0)
		rc = make_kernel(lookup, now_us, err);
	if (rc < 0) {
		lookup_close(lookup);
		return rc;
	}
	*out = lookup;
	return 0;
}

void lookup_close(struct lookup *lookup)
{
	if (!lookup)
		return;
	view_close(lookup->view);
	lookup_cluster_close(lookup->cluster);
	record_free(lookup->record);
	account_free(lookup->account);
	programme_free(lookup->kept);
	free(lookup);
}

int lookup_read_id(const struct lookup *lookup, const char *text, struct customer_id *id, struct error *err)
{
	const size_t len = strlen(text);
	*id = (struct customer_id){0};
	if (lookup->deployment->config->customer_id == CUSTOMER_ID_TEXT) {
		if (len == 0 || len > LIMIT_CUSTOMER_ID_BYTES || !utf8_valid(text, len))
			return error_set(err, ERROR_INPUT, "'%s' is no customer id: 1 to %u bytes of UTF-8", text,
					 LIMIT_CUSTOMER_ID_BYTES);
		id->text = slice_of(text);
		return 0;
	}
	if (integer_parse(text, len, &id->number) < 0 || id->number < 0)
		return error_set(err, ERROR_INPUT,
				 "'%s' is no customer id: they are whole numbers here (customer_id in punchcard.yaml)",
				 text);
	if (id->number == 0)
		return error_set(err, ERROR_INPUT, "0 is no customer: orders of guests belong to nobody's account");
	return 0;
}

/* 0 with *found; an error that is not "not found" is passed on. */
static int optional(int rc, const struct error *own, bool *found, struct error *err)
{
	*found = rc == 0;
	return rc == 0 || rc == ERROR_NOT_FOUND ? 0 : error_set(err, rc, "%s", own->message);
}

static int fold(struct lookup *lookup, struct slice bytes, struct customer_card *card, struct error *err)
{
	record_reset(lookup->record);
	account_reset(lookup->account);
	int rc = record_decode(lookup->record, bytes, err);
	if (rc < 0)
		return rc;
	rc = record_fold(lookup->record, lookup->account, NULL);
	if (rc == 0)
		rc = account_advance(lookup->account, lookup->day, NULL);
	if (rc < 0)
		return error_no_memory(err, bytes.len);
	card->account = lookup->account;
	card->marked = record_is_marked(lookup->record);
	account_totals(lookup->account, &card->totals);
	card->n_open = record_open(lookup->record, &card->open);
	return 0;
}

int lookup_unknown(const char *text, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND,
			 "there is no customer %s: no customer file names them, and they never ordered", text);
}

/* What the card points to lives until the next call. */
static int look_up(struct lookup *lookup, const char *text, struct customer_card *out, struct error *err)
{
	struct customer_card card = {0};
	int rc = lookup_read_id(lookup, text, &card.id, err);
	if (rc < 0)
		return rc;
	if (lookup->view) {
		struct slice record;
		struct error own = {0};
		bool has_account = false;
		rc = optional(view_profile(lookup->view, &card.id, &card.profile, &own), &own, &card.has_profile, err);
		if (rc == 0)
			rc = optional(view_account(lookup->view, &card.id, &record, &own), &own, &has_account, err);
		if (rc == 0 && has_account)
			rc = fold(lookup, record, &card, err);
		if (rc < 0)
			return rc;
	}
	if (!card.has_profile && !card.account)
		return lookup_unknown(text, err);
	*out = card;
	return 0;
}

int lookup_customers(struct lookup *lookup, const char *const *ids, size_t n, size_t orders, lookup_card_fn *take,
		     void *context, struct error *err)
{
	int rc = 0;
	if (lookup->cluster)
		return lookup_cluster_customers(lookup, ids, n, orders, take, context, err);
	for (size_t i = 0; i < n && rc == 0; i++) {
		struct customer_card card;
		struct error why = {0};
		rc = look_up(lookup, ids[i], &card, &why);
		if (rc == 0 || rc == ERROR_NOT_FOUND || rc == ERROR_INPUT)
			rc = take(context, ids[i], rc == 0 ? &card : NULL, &why, err);
		else
			error_set(err, rc, "%s", why.message);
	}
	return rc;
}

void lookup_orders(const struct customer_card *card, size_t most, struct card_orders *out)
{
	struct card_orders orders = {.since_us = card->n_open ? card->open[0].time_us : 0};
	int64_t n_known = 0;
	for (size_t i = card->n_open; i > 0; i--) {
		const struct fact *const fact = &card->open[i - 1];
		if (fact->kind != EVENT_ORDER || fact->reject != REJECT_NONE)
			continue;
		n_known++;
		if (orders.n < most && orders.n < CARD_ORDERS_MOST)
			orders.first[orders.n++] = fact;
	}
	orders.all = n_known >= card->totals.orders;
	*out = orders;
}

bool lookup_pending(const struct account *account, unsigned ledger, int32_t after, struct card_pending *out)
{
	/* Lots are sorted by their expiry first, so all are looked at: they are few. */
	struct card_pending next = {.day = DAY_MAX};
	for (unsigned i = 0; i < account_lots(account, ledger); i++) {
		struct account_lot lot;
		account_lot(account, ledger, i, &lot);
		if (lot.available <= after || lot.available > next.day)
			continue;
		if (lot.available < next.day)
			next = (struct card_pending){.day = lot.available};
		next.points_milli += lot.remaining_milli;
	}
	if (next.day == DAY_MAX)
		return false;
	*out = next;
	return true;
}
