/*
 * The customer view: what the till asks for, by customer id. An LMDB environment in data/view/.
 *
 *     struct view *view = NULL;
 *     rc = view_open(dir, &(struct view_options){.map_gib = 64, .id_type = CUSTOMER_ID_INTEGER, .read_only = true}, &view, err);
 *     rc = view_read_begin(view, err);
 *     rc = view_profile(view, &id, &profile, err);      // ERROR_NOT_FOUND: no such customer
 *     view_read_end(view);
 *     view_close(view);
 *
 * Three databases by customer: `profiles` (who somebody is; replaced whole by the batch layer), `accounts` (what the kernel
 * made of the events; written by the speed layer together with its offset in the journal, in one transaction, so that every
 * event is in it exactly once), and `marked` (whose account waits to be made again out of the whole history). Keys keep the
 * order of the ids: integers numerically (8 bytes, big endian, sign bit flipped), text by byte.
 *
 * One view belongs to one thread at a time, and a process opens a directory's view once at a time. Two processes write: the
 * batch writer profiles, the collector accounts and marks; a write transaction of one makes the other wait in its
 * view_open, view_profiles_begin, view_accounts_clear or view_write_begin. Any number read; readers never block writers nor
 * they them.
 */
#ifndef PUNCHCARD_STORE_VIEW_H
#define PUNCHCARD_STORE_VIEW_H

#include "base/buf.h"
#include "base/error.h"
#include "loyalty/event.h"

#include <stdbool.h>
#include <stdint.h>

struct view_options {
	uint32_t map_gib; /* the most it may grow to; sparse */
	enum customer_id_type id_type;
	bool read_only;
};

struct view;

/* Opens, and unless read_only makes it when missing. ERROR_NOT_FOUND (read only: nothing was loaded or collected yet),
 * ERROR_CORRUPT (not LMDB, damaged, or made for the other id type), ERROR_IO. */
int view_open(const char *dir, const struct view_options *options, struct view **out, struct error *err);
void view_close(struct view *view);

/* One read transaction at a time; what it reads is one moment's state and stays valid until view_read_end. */
int view_read_begin(struct view *view, struct error *err);
void view_read_end(struct view *view);

/* Who a customer is; texts as in customers_cln, empty when NULL there. */
struct profile {
	struct slice name;
	struct slice email;
	struct slice since; /* yyyy-mm-dd */
	struct slice card;
	struct slice birth_date; /* yyyy-mm-dd */
	struct slice gender;     /* MALE, FEMALE, NA */
	int32_t birth_year;      /* 0: unknown */
};

/* In a read transaction. ERROR_NOT_FOUND when there is none. The slices live until view_read_end. */
int view_profile(struct view *view, const struct customer_id *id, struct profile *out, struct error *err);
/* How many profiles and accounts there are. In a read transaction. */
int view_counts(struct view *view, uint64_t *profiles, uint64_t *accounts, struct error *err);
/* How many accounts are marked. In a transaction. */
int view_marked_count(struct view *view, uint64_t *marked, struct error *err);

/* Replacing all profiles, in one transaction: begin (forgets the old ones), put in ascending order of id, commit. `version`
 * names what they were made of (the file of customers_cln), so that a crash between the two is seen. */
int view_profiles_begin(struct view *view, struct error *err);
int view_profiles_put(struct view *view, const struct customer_id *id, const struct profile *profile,
		      struct error *err);
int view_profiles_commit(struct view *view, const char *version, struct error *err);
void view_profiles_abort(struct view *view);
/* The version of the profiles that are there, appended to out ("" when there are none). In a read transaction. */
int view_profiles_version(struct view *view, struct buf *out, struct error *err);

/* An account's record (src/loyalty/record.h decodes it). In a read transaction; ERROR_NOT_FOUND when there is none. */
int view_account(struct view *view, const struct customer_id *id, struct slice *record, struct error *err);
/* Walks all accounts in order of id, in a read transaction. *found is false at the end. */
struct view_walk;
int view_walk_open(struct view *view, struct view_walk **out, struct error *err);
/* The same of the marked ones, without their records (which are empty). */
int view_walk_open_marked(struct view *view, struct view_walk **out, struct error *err);
int view_walk_next(struct view_walk *walk, struct customer_id *id, struct slice *record, bool *found,
		   struct error *err);
void view_walk_close(struct view_walk *walk);
/* The journal offset (next sequence number to be taken) of what the accounts hold. In a read transaction. */
int view_offset(struct view *view, uint64_t *offset, struct error *err);

/* Bytes that tell by which rules the accounts were made: kept with them. "" when none was set. */
int view_rules(struct view *view, struct slice *rules, struct error *err);
int view_rules_set(struct view *view, struct slice rules, struct error *err);

/* Begins to write and forgets all accounts, and which are marked: they are made again. Ends with view_write_commit or
 * view_write_abort. */
int view_accounts_clear(struct view *view, struct error *err);

/* Writing accounts: begin, read and put in any order (ascending is fast), commit with the new offset. */
int view_write_begin(struct view *view, struct error *err);
int view_account_put(struct view *view, const struct customer_id *id, struct slice record, struct error *err);
/* The same for a customer behind all that are there, as when all are made again: faster. ERROR_INPUT when it is not. */
int view_account_append(struct view *view, const struct customer_id *id, struct slice record, struct error *err);
/* Marks a customer, or takes the mark away, in a write transaction; both are fine when it is so already. */
int view_mark(struct view *view, const struct customer_id *id, struct error *err);
int view_unmark(struct view *view, const struct customer_id *id, struct error *err);
int view_write_commit(struct view *view, uint64_t offset, struct error *err);
void view_write_abort(struct view *view);

#endif
