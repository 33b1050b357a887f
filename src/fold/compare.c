#include "fold/compare.h"

#include <string.h>

void simulate_points_of(const struct account *account, unsigned ledger, struct simulate_points *out)
{
	struct account_balance balance;
	account_balance(account, ledger, &balance);
	*out = (struct simulate_points){
		.issued_milli = balance.issued_milli,
		.reversed_milli = balance.reversed_milli,
		.redeemed_milli = balance.redeemed_milli,
		.expired_milli = balance.expired_milli,
		/* The balance is what can be spent, less debt. */
		.outstanding_milli = balance.balance_milli + balance.debt_milli + balance.pending_milli,
		.pending_milli = balance.pending_milli,
		.debt_milli = balance.debt_milli,
	};
}

static void add_side(const struct programme *programme, enum simulate_side side, struct simulate_pairs *out)
{
	for (unsigned i = 0; i < programme->n_ledgers; i++) {
		const char *const name = programme->ledgers[i].name;
		unsigned at = 0;
		while (at < out->n && strcmp(out->names[at], name) != 0)
			at++;
		if (at == out->n) {
			out->ledger_of[at][SIMULATE_TODAY] = -1;
			out->ledger_of[at][SIMULATE_OTHER] = -1;
			out->names[at] = name;
			out->n++;
		}
		out->ledger_of[at][side] = (int)i;
	}
}

void simulate_pair_ledgers(const struct programme *today, const struct programme *other, struct simulate_pairs *out)
{
	*out = (struct simulate_pairs){0};
	add_side(today, SIMULATE_TODAY, out);
	add_side(other, SIMULATE_OTHER, out);
}
