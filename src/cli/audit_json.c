#include "cli/audit_show.h"
#include "cli/json_keys.h"

static void json_known(struct json *out, const char *key, struct slice text)
{
	json_key(out, key);
	if (text.data)
		json_slice(out, text);
	else
		json_null(out);
}

/* What is empty was not known. */
static void json_word(struct json *out, const char *key, struct slice text)
{
	json_known(out, key, text.len ? text : (struct slice){NULL, 0});
}

void audit_json_finding(struct json *out, const struct audit_finding *finding)
{
	json_object(out);
	json_key(out, "table");
	json_text(out, audit_table_name(finding->table));
	json_key(out, "kind");
	json_text(out, audit_kind_name(finding->kind));
	key_day(out, "data_dt", finding->day);
	json_word(out, "cust_id", finding->customer);
	json_word(out, "event_id", finding->event_id);
	json_key(out, "entry_no");
	if (finding->entry_no)
		json_int(out, finding->entry_no);
	else
		json_null(out);
	json_word(out, "ledger", finding->ledger);
	/* Of a whole partition; else it is one. */
	key_uint(out, "rows", finding->rows ? finding->rows : 1);
	json_key(out, "partition");
	json_bool(out, finding->rows > 0);
	json_key(out, "values");
	json_array(out);
	for (unsigned i = 0; i < finding->n_cells; i++) {
		json_object(out);
		json_key(out, "column");
		json_text(out, finding->cells[i].column);
		json_known(out, "is", finding->cells[i].is);
		json_known(out, "should", finding->cells[i].should);
		json_end_object(out);
	}
	json_end_array(out);
	json_word(out, "message", finding->text);
	json_end_object(out);
}

static void json_sums(struct json *out, const struct audit_report *report)
{
	json_key(out, "sums");
	json_array(out);
	for (unsigned i = 0; i < report->n_sums; i++) {
		const struct audit_sum *const sum = &report->sums[i];
		json_object(out);
		json_key(out, "ledger");
		json_text(out, sum->name);
		key_decimal(out, "issued", sum->issued_milli, 3);
		key_decimal(out, "reversed", sum->reversed_milli, 3);
		key_decimal(out, "redeemed", sum->redeemed_milli, 3);
		key_decimal(out, "expired", sum->expired_milli, 3);
		key_decimal(out, "spendable", sum->spendable_milli, 3);
		key_decimal(out, "pending", sum->pending_milli, 3);
		key_decimal(out, "debt", sum->debt_milli, 3);
		key_decimal(out, "difference", sum->difference_milli, 3);
		json_end_object(out);
	}
	json_end_array(out);
}

void audit_json_report(struct json *out, const struct audit_report *report)
{
	json_key(out, "agree");
	json_bool(out, report->differences == 0);
	key_uint(out, "differences", report->differences);
	json_key(out, "by_table");
	json_object(out);
	for (unsigned i = 0; i < AUDIT_TABLES; i++)
		key_uint(out, audit_table_name(i), report->by_table[i]);
	json_end_object(out);
	json_key(out, "empty");
	json_bool(out, report->empty);
	key_day(out, "data_dt", report->refreshed ? report->day : DAY_MIN);
	key_uint(out, "transactions", report->rows);
	key_uint(out, "customers", report->customers);
	key_uint(out, "events", report->events);
	key_uint(out, "entries", report->entries);
	key_uint(out, "accounts", report->accounts);
	key_uint(out, "waiting_events", report->waiting_events);
	key_uint(out, "waiting_customers", report->waiting_customers);
	key_uint(out, "waiting_accounts", report->waiting_accounts);
	json_key(out, "stale");
	json_bool(out, report->stale);
	json_key(out, "day_unknown");
	json_bool(out, report->day_unknown);
	json_key(out, "ledger_alone");
	json_bool(out, report->ledger_alone);
	json_sums(out, report);
}

/* ---- the reserve ---- */

static void json_amount(struct json *out, const struct reserve_ledger *ledger, int64_t points_milli, int64_t minor)
{
	key_decimal(out, "points", points_milli, 3);
	json_key(out, "cost");
	if (ledger->rules->value_micro > 0)
		json_decimal(out, minor, 2);
	else
		json_null(out);
}

static void json_part(struct json *out, const char *key, const struct reserve_ledger *ledger, int64_t points_milli,
		      int64_t minor)
{
	json_key(out, key);
	json_object(out);
	json_amount(out, ledger, points_milli, minor);
	json_end_object(out);
}

static void json_reserve_ledger(struct json *out, const struct reserve_ledger *ledger)
{
	json_object(out);
	json_key(out, "ledger");
	json_text(out, ledger->rules->name);
	json_key(out, "unit");
	json_text(out, ledger->rules->unit);
	json_key(out, "value_per_point");
	if (ledger->rules->value_micro > 0)
		json_decimal(out, ledger->rules->value_micro, 6);
	else
		json_null(out);
	key_uint(out, "customers", ledger->customers);
	json_key(out, "by_inactivity");
	json_bool(out, ledger->rules->expiry == EXPIRY_INACTIVITY);
	json_key(out, "expires");
	json_array(out);
	for (unsigned i = 0; i < ledger->n_months; i++) {
		char date[11];
		civil_format(ledger->months[i].first_day, date);
		json_object(out);
		json_key(out, "month");
		json_slice(out, (struct slice){date, 7});
		json_amount(out, ledger, ledger->months[i].points_milli, ledger->months[i].cost_minor);
		json_end_object(out);
	}
	json_end_array(out);
	json_part(out, "never", ledger, ledger->never_milli, ledger->never_minor);
	json_part(out, "pending", ledger, ledger->pending_milli, ledger->pending_minor);
	json_part(out, "outstanding", ledger, ledger->outstanding_milli, ledger->outstanding_minor);
	json_part(out, "debt", ledger, ledger->debt_milli, ledger->debt_minor);
	json_end_object(out);
}

void reserve_json(struct json *out, const struct reserve_report *report, const struct programme *programme)
{
	json_object(out);
	key_day(out, "data_dt", report->day);
	json_key(out, "from");
	json_text(out, report->from_state ? "account_state" : "history");
	json_key(out, "programme");
	json_text(out, programme->hash_text);
	json_key(out, "currency");
	json_text(out, programme->currency);
	key_uint(out, "customers", report->customers);
	json_key(out, "ledgers");
	json_array(out);
	for (unsigned i = 0; i < report->n_ledgers; i++)
		json_reserve_ledger(out, &report->ledgers[i]);
	json_end_array(out);
	json_end_object(out);
	json_newline(out);
}
