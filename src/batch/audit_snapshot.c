/* The moment that is audited: journal and view, and the files of the batch layer's tables. */
#include "batch/audit_internal.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "batch/committed.h"
#include "batch/states.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

/* A writer that goes on between the two looks, and trims what lay between them, was unlikely once. */
#define ATTEMPTS 10u
/* Customers with events that only one of view and table has: more, and there is too little left to compare. */
#define WAITING_EVENTS_MAX 5000000u

/* ---- journal ---- */

static int read_journal(struct audit *audit, struct journal_reader *reader, uint64_t *first, struct error *err)
{
	int rc = journal_reader_range(reader, first, &audit->next, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &audit->offset, err);
	if (rc == 0)
		rc = journal_reader_totals(reader, &audit->totals, err);
	audit->tail = (struct block_counts){0};
	if (rc == 0 && audit->offset < audit->next)
		rc = journal_reader_count(reader, audit->offset, audit->next, UINT64_MAX, &audit->tail, NULL, err);
	return rc;
}

/* ---- the view ---- */

static int list_marked(struct audit *audit, struct error *err)
{
	struct view_walk *walk = NULL;
	int rc = view_walk_open_marked(audit->view, &walk, err);
	for (bool found = true; rc == 0 && found;) {
		struct customer_id id;
		struct slice record;
		rc = view_walk_next(walk, &id, &record, &found, err);
		if (rc == 0 && found)
			rc = id_list_add(&audit->marked, &id, err);
	}
	view_walk_close(walk);
	id_list_settle(&audit->marked);
	audit->report.waiting_accounts = audit->marked.n;
	return rc;
}

static int open_view(struct audit *audit, struct error *err)
{
	const struct view_options options = {
		.map_gib = audit->deployment.config->view_map_gib,
		.id_type = audit->deployment.config->customer_id,
		.read_only = true,
	};
	struct error missing = {0};
	const int rc = view_open(audit->deployment.view_dir, &options, &audit->view, &missing);
	/* Nothing was loaded or collected yet. */
	if (rc == ERROR_NOT_FOUND)
		return 0;
	return rc < 0 ? error_set(err, rc, "%s", missing.message) : 0;
}

/* ---- who has events that only one of them has ---- */

static int compare_ids(const void *a, const void *b)
{
	return customer_compare(a, b);
}

static int take_block(struct audit *audit, struct journal_reader *reader, uint64_t seq, struct id_list *ids,
		      struct error *err)
{
	struct slice bytes;
	struct block_reader block = {0};
	int rc = journal_reader_block(reader, seq, &bytes, err);
	if (rc == 0)
		rc = block_reader_open(&block, bytes, err);
	if (rc < 0)
		return error_prefix(err, "block %llu of the journal", (unsigned long long)seq);
	struct block_record record;
	while ((rc = block_reader_next(&block, &record, err)) == 1) {
		if (record.kind != BLOCK_EVENT || record.event.customer.guest)
			continue;
		audit->report.waiting_events++;
		rc = id_list_add(ids, &record.event.customer, err);
		if (rc < 0)
			break;
	}
	block_reader_release(&block);
	if (rc == 0 && ids->n > WAITING_EVENTS_MAX)
		rc = error_set(err, ERROR_LIMIT,
			       "view and table are more than %u events apart: run `punchcard collect --once` first",
			       WAITING_EVENTS_MAX);
	return rc;
}

static int list_waiting(struct audit *audit, struct journal_reader *reader, struct error *err)
{
	const uint64_t first = audit->offset < audit->view_offset ? audit->offset : audit->view_offset;
	const uint64_t next = audit->offset < audit->view_offset ? audit->view_offset : audit->offset;
	struct id_list ids = {.id_type = audit->waiting.id_type};
	int rc = 0;
	for (uint64_t seq = first; rc == 0 && seq < next; seq++)
		rc = take_block(audit, reader, seq, &ids, err);
	id_list_settle(&ids);
	if (ids.n)
		qsort(ids.ids, ids.n, sizeof(ids.ids[0]), compare_ids);
	for (size_t i = 0; rc == 0 && i < ids.n; i++)
		if (i == 0 || customer_compare(&ids.ids[i - 1], &ids.ids[i]) != 0)
			rc = id_list_add(&audit->waiting, &ids.ids[i], err);
	id_list_settle(&audit->waiting);
	id_list_release(&ids);
	audit->report.waiting_customers = audit->waiting.n;
	return rc;
}

/* ---- both ---- */

/* What lies between them must be in the journal still: a view of an older moment may be behind what was trimmed since. */
static int look(struct audit *audit, struct journal_reader *reader, bool *whole, struct error *err)
{
	uint64_t first = 1;
	*whole = true;
	int rc = audit->view ? view_read_begin(audit->view, err) : 0;
	if (rc == 0 && audit->view)
		rc = view_offset(audit->view, &audit->view_offset, err);
	if (rc == 0)
		rc = journal_reader_renew(reader, err);
	if (rc == 0)
		rc = read_journal(audit, reader, &first, err);
	if (rc < 0 || !audit->view || audit->view_offset == audit->offset)
		return rc;
	const uint64_t low = audit->offset < audit->view_offset ? audit->offset : audit->view_offset;
	*whole = first <= low && audit->view_offset <= audit->next;
	return *whole ? list_waiting(audit, reader, err) : 0;
}

static int look_at_both(struct audit *audit, struct journal *journal, struct error *err)
{
	struct journal_reader *reader = NULL;
	bool whole = false;
	int rc = journal_reader_open(journal, &reader, err);
	for (unsigned i = 0; rc == 0 && !whole && i < ATTEMPTS; i++) {
		if (audit->view)
			view_read_end(audit->view);
		rc = look(audit, reader, &whole, err);
	}
	journal_reader_close(reader);
	if (rc == 0 && !whole)
		rc = error_set(err, ERROR_CORRUPT,
			       "the customer view is at block %llu of the journal, which no longer has what follows: "
			       "run `punchcard collect --once`, which makes the view again",
			       (unsigned long long)audit->view_offset);
	return rc;
}

int audit_snapshot(struct audit *audit, struct error *err)
{
	const struct journal_options options = {.map_gib = audit->deployment.config->journal_map_gib,
						.read_only = true};
	struct journal *journal = NULL;
	audit->offset = 1;
	audit->next = 1;
	int rc = journal_open(audit->deployment.journal_dir, &options, &journal, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	audit->has_journal = rc == 0;
	if (rc == 0)
		rc = open_view(audit, err);
	if (rc == 0)
		rc = look_at_both(audit, journal, err);
	if (rc == 0 && audit->view)
		rc = list_marked(audit, err);
	journal_close(journal);
	return rc;
}

void audit_snapshot_release(struct audit *audit)
{
	if (audit->view)
		view_read_end(audit->view);
	view_close(audit->view);
	audit->view = NULL;
	id_list_release(&audit->waiting);
	id_list_release(&audit->marked);
}

/* ---- files ---- */

struct names {
	struct dirent **entries;
	int n;
};

static void release_names(struct names *names)
{
	for (int i = 0; i < names->n; i++)
		free(names->entries[i]);
	free((void *)names->entries);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* In order, without hidden ones; a missing directory has none. */
static int list_names(const char *dir, struct names *out, struct error *err)
{
	out->n = scandir(dir, &out->entries, is_visible, alphasort);
	if (out->n >= 0)
		return 0;
	out->n = 0;
	return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", dir);
}

int audit_days(const struct audit *audit, const char *table, int32_t **days, size_t *n, struct error *err)
{
	__attribute__((cleanup(release_names))) struct names names = {0};
	_cleanup_free_ char *dir = text_printf("%s/%s", audit->deployment.warehouse_dir, table);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = list_names(dir, &names, err);
	if (rc < 0)
		return rc;
	int32_t *const found = calloc((size_t)names.n + 1, sizeof(*found));
	if (!found)
		return error_no_memory(err, (size_t)names.n * sizeof(*found));
	size_t n_found = 0;
	for (int i = 0; i < names.n; i++) {
		const char *const name = names.entries[i]->d_name;
		if (strncmp(name, "data_dt=", 8) == 0 && civil_parse(name + 8, strlen(name + 8), &found[n_found]) == 0)
			n_found++;
	}
	*days = found;
	*n = n_found;
	return 0;
}

static char *partition_dir(const struct audit *audit, const char *table, int32_t day)
{
	char date[11];
	civil_format(day, date);
	return text_printf("%s/%s/data_dt=%s", audit->deployment.warehouse_dir, table, date);
}

static bool is_parquet(const char *name, const char *prefix)
{
	const size_t len = strlen(name);
	return len > 8 && strcmp(name + len - 8, ".parquet") == 0 && strncmp(name, prefix, strlen(prefix)) == 0;
}

int audit_files(const struct audit *audit, const char *table, int32_t day, const char *prefix, struct buf *sql,
		unsigned *n, struct error *err)
{
	__attribute__((cleanup(release_names))) struct names names = {0};
	_cleanup_free_ char *dir = partition_dir(audit, table, day);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = list_names(dir, &names, err);
	*n = 0;
	if (rc == 0 && buf_append_text(sql, "[") < 0)
		rc = error_no_memory(err, 1);
	for (int i = 0; rc == 0 && i < names.n; i++) {
		if (!is_parquet(names.entries[i]->d_name, prefix))
			continue;
		_cleanup_free_ char *path = text_printf("%s/%s", dir, names.entries[i]->d_name);
		if (!path || (*n && buf_append_text(sql, ", ") < 0) || engine_quote(sql, path) < 0)
			rc = error_no_memory(err, LIMIT_PATH_BYTES);
		++*n;
	}
	if (rc == 0 && buf_append_text(sql, "]") < 0)
		rc = error_no_memory(err, 1);
	return rc;
}

static int read_state(const struct audit *audit, int32_t day, struct audit_state *state, bool *found, struct error *err)
{
	__attribute__((cleanup(release_names))) struct names names = {0};
	_cleanup_free_ char *dir = partition_dir(audit, "account_state", day);
	const int rc = dir ? list_names(dir, &names, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	*found = false;
	for (int i = 0; rc == 0 && i < names.n; i++) {
		if (!is_parquet(names.entries[i]->d_name, STATES_PREFIX) ||
		    !states_parse_name(names.entries[i]->d_name, &state->name))
			continue;
		state->day = day;
		*found = true;
	}
	return rc;
}

int audit_states(const struct audit *audit, struct audit_state **states, size_t *n, struct error *err)
{
	_cleanup_free_ int32_t *days = NULL;
	size_t n_days = 0;
	int rc = audit_days(audit, "account_state", &days, &n_days, err);
	if (rc < 0)
		return rc;
	struct audit_state *const found = calloc(n_days + 1, sizeof(*found));
	if (!found)
		return error_no_memory(err, n_days * sizeof(*found));
	size_t n_found = 0;
	for (size_t i = 0; rc == 0 && i < n_days; i++) {
		bool has = false;
		rc = read_state(audit, days[i], &found[n_found], &has, err);
		n_found += has;
	}
	if (rc < 0) {
		free(found);
		return rc;
	}
	*states = found;
	*n = n_found;
	return 0;
}

static int hash_dir(const char *dir, unsigned depth, uint64_t *hash, struct error *err)
{
	__attribute__((cleanup(release_names))) struct names names = {0};
	int rc = list_names(dir, &names, err);
	for (int i = 0; rc == 0 && i < names.n; i++) {
		const char *const name = names.entries[i]->d_name;
		*hash = XXH3_64bits_withSeed(name, strlen(name) + 1, *hash);
		if (depth == 0 || names.entries[i]->d_type == DT_REG)
			continue;
		_cleanup_free_ char *path = text_printf("%s/%s", dir, name);
		rc = path ? hash_dir(path, depth - 1, hash, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	return rc;
}

int audit_fingerprint(const struct audit *audit, uint64_t *hash, struct error *err)
{
	static const char *const TABLES[] = {"ledger", "account_state", "balances", "loyalty"};
	_cleanup_free_ char *swap = text_printf("%s/swap", audit->deployment.data_dir);
	if (!swap)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	/* batch/swap.h: some tables are the new ones already, and some the old ones still. */
	if (file_exists(swap))
		return error_set(err, ERROR_LOCKED,
				 "a refresh or rebuild is swapping its tables in: run audit again; if it says so "
				 "still, that was interrupted, and the next command that writes, such as `punchcard "
				 "collect --once`, finishes it");
	uint64_t sum = 0;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
		_cleanup_free_ char *dir = text_printf("%s/%s", audit->deployment.warehouse_dir, TABLES[i]);
		rc = dir ? hash_dir(dir, 1, &sum, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	if (rc == 0)
		*hash = sum;
	return rc;
}
