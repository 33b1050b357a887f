#include "serving/lookup.h"

#include "base/decimal.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "speed/view_writer.h"

#include <stdlib.h>

struct lookup {
	const struct deployment *deployment;
	struct view *view; /* NULL: nothing was loaded or collected yet */
};

int lookup_open(const struct deployment *deployment, struct lookup **out, struct error *err)
{
	struct lookup *const lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return error_no_memory(err, sizeof(*lookup));
	lookup->deployment = deployment;
	int rc = view_writer_open_view(deployment, true, &lookup->view, err);
	if (rc == 0)
		rc = view_read_begin(lookup->view, err);
	_cleanup_free_ char *journal = text_printf("%s/data.mdb", deployment->journal_dir);
	if (rc == ERROR_NOT_FOUND && journal && file_exists(journal))
		rc = error_set(
			err, ERROR_CORRUPT,
			"the customer view in %s is missing, though orders were taken; `punchcard collect --once` and "
			"loading any customer file make it again",
			deployment->view_dir);
	if (rc < 0 && rc != ERROR_NOT_FOUND) {
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
	free(lookup);
}

static int read_id(const struct lookup *lookup, const char *text, struct customer_id *id, struct error *err)
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

int lookup_customer(struct lookup *lookup, const char *text, struct customer_card *out, struct error *err)
{
	struct customer_card card = {0};
	int rc = read_id(lookup, text, &card.id, err);
	if (rc < 0)
		return rc;
	if (lookup->view) {
		struct slice record;
		struct error own = {0};
		rc = optional(view_profile(lookup->view, &card.id, &card.profile, &own), &own, &card.has_profile, err);
		if (rc == 0)
			rc = optional(view_account(lookup->view, &card.id, &record, &own), &own, &card.has_account,
				      err);
		struct account account;
		account_init(&account);
		if (rc == 0 && card.has_account)
			rc = account_decode(record, &account, err);
		if (rc < 0)
			return rc;
		card.orders = account.orders;
		card.visits = account_visits(&account);
		card.spend_minor = account.spend_minor;
		card.points_milli = account.points_milli;
		card.points_earned_milli = account.points_earned_milli;
		card.first_us = account.first_us;
		card.last_us = account.last_us;
		account_release(&account);
	}
	if (!card.has_profile && !card.has_account)
		return error_set(err, ERROR_NOT_FOUND,
				 "there is no customer %s: no customer file names them, and they never ordered", text);
	*out = card;
	return 0;
}
