/*
 * Auditing: what serves, compared with the history it was made of.
 *
 *     const struct audit_options options = {.day = DAY_MAX, .tmp_dir = tmp, .finding = …, .progress = …, .context = me};
 *     rc = audit_run(deployment, &options, &report, err);
 *     if (rc == 0 && report.differences == 0) … all agree …
 *
 * Only reads, and takes no lock. It folds the whole history again and compares
 *
 *     transactions_cln   how many rows it has, with how many the journal gave it: nothing lost, nothing twice
 *     ledger             every row of the days up to the audited one, with the posting it should be
 *     account_state, balances, loyalty
 *                        every row of the audited day (of loyalty those columns that are the kernel's) with the account,
 *                        unless the day's account_state is no longer kept
 *     the customer view  every record, byte for byte, with the record of all events that the table writer has taken
 *
 * and checks, out of the ledger's rows alone, that each row's balance is the one before it and its points, and that for every
 * customer and ledger, and in total,
 *
 *     issued - reversed = spendable + pending + redeemed + expired - debt
 *
 * with what `balances` says. Events that only one of view and table has yet are no difference, nor are accounts that collect is
 * still to make again for an event that came late: such customers' records are not compared, and counted. Tables are compared with the
 * events that they were made of, which account_state tells (the ledger's are those of the newest state): what came in since
 * the last refresh is no difference, either.
 *
 * A writer may work meanwhile: what is read is the state of one moment, except the batch layer's tables, which are swapped by
 * whoever refreshes: that is noticed, and is ERROR_LOCKED with what to do. Memory is that of the history's fold
 * (batch/history.h), not of what is compared.
 */
#ifndef PUNCHCARD_BATCH_AUDIT_H
#define PUNCHCARD_BATCH_AUDIT_H

#include "config/deployment.h"
#include "loyalty/programme.h"

#include <stdbool.h>
#include <stdint.h>

/* Findings that are told; more are only counted. */
#define AUDIT_TOLD_MAX 100u

enum audit_table {
	AUDIT_TRANSACTIONS,
	AUDIT_LEDGER,
	AUDIT_ACCOUNT_STATE,
	AUDIT_BALANCES,
	AUDIT_LOYALTY,
	AUDIT_VIEW,
	AUDIT_TABLES, /* how many there are */
};
/* "ledger"; "customer view" for AUDIT_VIEW. */
const char *audit_table_name(enum audit_table table);

enum audit_kind {
	AUDIT_CHANGED,         /* a row that is there with other values: cells */
	AUDIT_MISSING,         /* should be there and is not: a row with its cells, or a partition of `rows` rows */
	AUDIT_FOREIGN,         /* is there and should not: likewise */
	AUDIT_SUMS,            /* numbers that should add up and do not: cells */
	AUDIT_UNREADABLE,      /* `text` says why */
	AUDIT_OTHER_PROGRAMME, /* made by another programme than programme.yaml is now: cells; not compared further */
	AUDIT_KINDS,
};
/* "changed" and so on. */
const char *audit_kind_name(enum audit_kind kind);

/* A value as it stands there and as it should, in words. A NULL of SQL, and what is not known, has data NULL. */
struct audit_cell {
	const char *column;
	struct slice is;
	struct slice should;
};

/* All of it lives until the callback returns. What is not known is empty, 0, or DAY_MIN. */
struct audit_finding {
	enum audit_table table;
	enum audit_kind kind;
	int32_t day;           /* partition */
	struct slice customer; /* as text */
	struct slice event_id;
	int64_t entry_no;
	struct slice ledger;
	uint64_t rows; /* of a whole partition or table */
	const struct audit_cell *cells;
	unsigned n_cells;
	struct slice text;
};

struct audit_options {
	int32_t day;         /* the audited one; DAY_MAX: the newest that was refreshed */
	const char *tmp_dir; /* of the caller's; not data/tmp, which is the writer's */
	/* Each difference, the first AUDIT_TOLD_MAX; in the caller's thread. */
	void (*finding)(void *context, const struct audit_finding *finding);
	/* Some times a second, in the caller's thread: what is being done, how far it is, and of how much (0: not known). May be
	 * NULL; false ends the audit with ERROR_INTERRUPTED. */
	bool (*progress)(void *context, const char *doing, uint64_t done, uint64_t total);
	void *context;
};

/* One ledger's sums, thousandths. */
struct audit_sum {
	char name[33];
	/* Of the rows of the table `ledger`. */
	int64_t issued_milli;
	int64_t reversed_milli;
	int64_t redeemed_milli;
	int64_t expired_milli;
	/* Of the table `balances`. */
	int64_t spendable_milli;
	int64_t pending_milli;
	int64_t debt_milli;
	int64_t difference_milli; /* issued - reversed - (spendable + pending + redeemed + expired - debt) */
};
/* Names in the table that the programme has not are foreign rows; of their sums there is room for some. */
#define AUDIT_SUMS_MAX (2 * PROGRAMME_LEDGERS_MAX)

struct audit_report {
	bool empty;     /* nothing was collected or refreshed yet: there is nothing to compare */
	bool refreshed; /* there are tables of some day; else only view and transactions_cln were looked at */
	int32_t day;    /* the audited one; DAY_MIN without */
	uint64_t differences;
	uint64_t by_table[AUDIT_TABLES];
	uint64_t by_kind[AUDIT_KINDS];
	uint64_t rows;      /* of transactions_cln, files and journal */
	uint64_t customers; /* of the history up to the audited day, of all without one */
	uint64_t events;    /* theirs */
	uint64_t entries;   /* rows of the ledger that were compared */
	uint64_t accounts;  /* records of the view that were compared */
	/* Not compared: events on their way to the view or the table, and the customers they belong to. */
	uint64_t waiting_events;
	uint64_t waiting_customers;
	uint64_t
		waiting_accounts; /* not compared either: an event came too late for them, and collect makes them again at its end */
	int32_t newest_day; /* that was refreshed; DAY_MIN without */
	bool stale;         /* rows of transactions_cln came in since the audited day was refreshed */
	/* The audited day's account_state is no longer kept, or was made by an earlier programme, so that nobody knows what its
	 * balances and loyalty were made of: they were not compared. */
	bool day_unknown;
	bool ledger_alone; /* `balances` was not made of the same events as the ledger, or is not known to be: not added up with it */
	unsigned n_sums;
	struct audit_sum sums[AUDIT_SUMS_MAX];
};

/*
 * 0 also when there are differences: they are in the report. ERROR_NOT_FOUND: the day that was asked for was not refreshed;
 * ERROR_LOCKED: a writer changed the tables meanwhile, or is just changing them; errors of history_run, of the view and of
 * the journal. A damaged table is a finding.
 */
int audit_run(const struct deployment *deployment, const struct audit_options *options, struct audit_report *report,
	      struct error *err);

#endif
