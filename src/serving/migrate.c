#include "serving/migrate_internal.h"

#include "base/file.h"
#include "base/limits.h"
#include "batch/committed.h"
#include "cluster/open.h"
#include "engine/engine.h"
#include "speed/shipper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define COPY_BYTES (1u << 20)

/* --- what must fit ---------------------------------------------------------------------------------------------------------- */

static int check_pair(const struct migrate *migrate, struct error *err)
{
	const struct deployment *const from = migrate->from;
	const struct deployment *const to = migrate->to;
	if (from->config->cluster.on)
		return error_set(err, ERROR_CONFIG, "%s is on a cluster already", from->shown_dir);
	if (!to->config->cluster.on)
		return error_set(err, ERROR_CONFIG, "%s has no section cluster: it is to say where to",
				 to->config->path);
	if (from->config->customer_id != to->config->customer_id)
		return error_set(err, ERROR_CONFIG, "%s: customer_id is another than in %s", to->config->path,
				 from->config->path);
	if (from->programme->hash != to->programme->hash)
		return error_set(
			err, ERROR_CONFIG,
			"programme.yaml of %s is another than that of %s: move it as it is, and change it behind that",
			to->shown_dir, from->shown_dir);
	return 0;
}

/* What is durable is in the table, and no table is half exchanged. */
static int check_whole(struct migrate *migrate, struct error *err)
{
	const struct deployment *const from = migrate->from;
	const struct journal_options options = {.map_gib = from->config->journal_map_gib, .read_only = true};
	_cleanup_free_ char *swap = text_printf("%s/swap", from->data_dir);
	struct journal *journal = NULL;
	struct journal_reader *reader = NULL;
	uint64_t first = 1;
	uint64_t table = 1;
	if (!swap)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (file_exists(swap))
		return error_set(err, ERROR_CONFIG,
				 "%s: tables were being exchanged when a command ended; run it again (load, refresh or "
				 "rebuild) first",
				 from->shown_dir);
	migrate->next_block = 1;
	int rc = journal_open(from->journal_dir, &options, &journal, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = journal_reader_open(journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, &migrate->next_block, err);
	if (rc == 0)
		rc = journal_reader_offset(reader, TABLE_CONSUMER, &table, err);
	journal_reader_close(reader);
	journal_close(journal);
	if (rc == 0 && table != migrate->next_block)
		rc = error_set(err, ERROR_CONFIG,
			       "%s has events that are not in its tables yet: `punchcard -C %s collect --once` first",
			       from->shown_dir, from->shown_dir);
	return rc == 0 ? committed_check(from, migrate->next_block, err) : rc;
}

static char *mark_name(const struct shipper_driver *driver, uint64_t next)
{
	return text_printf("%s-%012" PRIu64, driver->name, next);
}

/* Under the edge's name there is nothing, or what this move has begun: its claim, which stays there. */
struct looking {
	const char *claim;
	bool found;
	bool other;
};

static int on_name(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct looking *const looking = context;
	(void)stat;
	(void)err;
	looking->found = looking->found || strcmp(name, looking->claim) == 0;
	looking->other = true;
	return 0;
}

static int claim_edge(struct migrate *migrate, struct error *err)
{
	const char *const edge = migrate->to->config->cluster.edge;
	const struct slice who = slice_of(migrate->from->dir);
	const struct slice where = slice_of(migrate->to->dir);
	_cleanup_free_ char *dir = text_printf("edges/%s", edge);
	_cleanup_free_ char *claim = text_printf(
		"migrated-%016llx",
		(unsigned long long)XXH3_64bits_withSeed(who.data, who.len, XXH3_64bits(where.data, where.len)));
	_cleanup_free_ char *path = dir && claim ? text_printf("%s/%s", dir, claim) : NULL;
	struct looking looking = {.claim = claim};
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = warehouse_list(migrate->warehouse, dir, on_name, &looking, err);
	if (rc < 0 && rc != ERROR_NOT_FOUND)
		return rc;
	if (looking.found)
		return 0;
	return looking.other ? error_set(err, ERROR_EXISTS,
					 "an edge %s has shipped to this cluster: give this one a name of its own, "
					 "cluster.edge in %s",
					 edge, migrate->to->config->path)
			     : warehouse_put_bytes(migrate->warehouse, path, SLICE(""), err);
}

/* --- the old one is closed --------------------------------------------------------------------------------------------------- */

/* *closed: it is; *done: it was moved there before. */
static int look_at_old(struct migrate *migrate, bool *closed, bool *done, struct error *err)
{
	const char *const to = migrate->to->dir;
	_cleanup_free_ char *mark = text_printf("%s/" DEPLOYMENT_MOVED, migrate->from->data_dir);
	_cleanup_free_ char *line = text_printf("%s\n", to);
	_cleanup_free_ char *journal = text_printf("%s/data.mdb", migrate->to->journal_dir);
	_cleanup_buf_ struct buf found = {0};
	if (!mark || !line || !journal)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const bool has_mark = file_exists(mark);
	const bool has_journal = file_exists(journal);
	if (has_mark) {
		const int rc = file_read_all(mark, LIMIT_PATH_BYTES + 1, &found, err);
		if (rc < 0)
			return rc;
		if (!slice_is((struct slice){found.data, found.len}, line))
			return error_set(err, ERROR_EXISTS, "%s was moved to %.*s before (%s)",
					 migrate->from->shown_dir, (int)found.len - 1, found.data, mark);
	}
	*closed = has_mark;
	*done = has_mark && has_journal;
	if (!has_mark && has_journal)
		return error_set(err, ERROR_EXISTS,
				 "%s has collected already: move to a deployment that was just made (`punchcard init`)",
				 migrate->to->shown_dir);
	return 0;
}

static int close_old(struct migrate *migrate, struct error *err)
{
	_cleanup_free_ char *mark = text_printf("%s/" DEPLOYMENT_MOVED, migrate->from->data_dir);
	_cleanup_free_ char *line = text_printf("%s\n", migrate->to->dir);
	return mark && line ? file_write_durable(mark, line, strlen(line), err)
			    : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* --- the new one's journal --------------------------------------------------------------------------------------------------- */

static int copy_file(const char *from, const char *to, struct error *err)
{
	const int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return error_errno(err, errno, "cannot read %s", from);
	const int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *const bytes = malloc(COPY_BYTES);
	int rc = out < 0 ? error_errno(err, errno, "cannot write %s", to)
		 : bytes ? 0
			 : error_no_memory(err, COPY_BYTES);
	while (rc == 0) {
		const ssize_t n = read(in, bytes, COPY_BYTES);
		if (n == 0)
			break;
		rc = n < 0 ? error_errno(err, errno, "cannot read %s", from)
			   : file_write_all(out, bytes, (size_t)n, to, err);
		if (rc == 0)
			rc = engine_check_interrupted(err);
	}
	if (rc == 0)
		rc = file_sync(out, to, err);
	free(bytes);
	if (out >= 0)
		close(out);
	close(in);
	return rc;
}

/* The shippers begin behind what was moved. */
static int adopt(const struct migrate *migrate, const char *dir, struct error *err)
{
	static const struct shipper_driver *const DRIVERS[] = {&ship_table, &ship_raw, &ship_rows};
	const struct config *const config = migrate->to->config;
	struct journal *journal = NULL;
	int rc = journal_open(dir, &(struct journal_options){.map_gib = config->journal_map_gib}, &journal, err);
	for (size_t i = 0; rc == 0 && i < sizeof(DRIVERS) / sizeof(DRIVERS[0]); i++)
		rc = shipper_adopt(DRIVERS[i], config->cluster.edge, journal, migrate->next_block, err);
	journal_close(journal);
	return rc;
}

static int move_journal(const struct migrate *migrate, struct error *err)
{
	_cleanup_free_ char *dir = text_printf("%s/journal", migrate->to->tmp_dir);
	_cleanup_free_ char *from = text_printf("%s/data.mdb", migrate->from->journal_dir);
	_cleanup_free_ char *to = text_printf("%s/journal/data.mdb", migrate->to->tmp_dir);
	_cleanup_free_ char *lock = text_printf("%s/journal/lock.mdb", migrate->to->tmp_dir);
	_cleanup_free_ char *old_lock = text_printf("%s/lock.mdb", migrate->to->journal_dir);
	if (!dir || !from || !to || !lock || !old_lock)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (!file_exists(from))
		return 0; /* nothing was collected */
	int rc = file_make_dirs(dir, err);
	if (rc == 0)
		rc = copy_file(from, to, err);
	if (rc == 0)
		rc = adopt(migrate, dir, err);
	if (rc < 0)
		return rc;
	/* Of the copy's place; and what a reader of an empty one may have made. */
	unlink(lock);
	unlink(old_lock);
	rc = file_sync_dir(dir, err);
	return rc == 0 ? file_rename(dir, migrate->to->journal_dir, err) : rc;
}

static int set_marks(const struct migrate *migrate, struct error *err)
{
	static const struct shipper_driver *const DRIVERS[] = {&ship_table, &ship_raw};
	int rc = 0;
	for (size_t i = 0; rc == 0 && migrate->next_block > 1 && i < sizeof(DRIVERS) / sizeof(DRIVERS[0]); i++) {
		_cleanup_free_ char *name = mark_name(DRIVERS[i], migrate->next_block);
		_cleanup_free_ char *path =
			name ? text_printf("edges/%s/%s", migrate->to->config->cluster.edge, name) : NULL;
		rc = path ? warehouse_put_bytes(migrate->warehouse, path, SLICE(""), err)
			  : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	return rc;
}

/* --- all of it -------------------------------------------------------------------------------------------------------------- */

static int migrate_all(struct migrate *migrate, struct error *err)
{
	_cleanup_free_ char *writer = text_printf("%s-migrate", migrate->to->config->cluster.edge);
	bool closed = false;
	bool done = false;
	int rc = check_whole(migrate, err);
	if (rc == 0)
		rc = look_at_old(migrate, &closed, &done, err);
	if (rc < 0 || done) {
		migrate->report.was_done = done;
		return rc;
	}
	rc = writer ? cluster_open_warehouse(migrate->to, writer, &migrate->warehouse, err)
		    : error_no_memory(err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = claim_edge(migrate, err);
	if (rc == 0 && !closed)
		rc = close_old(migrate, err);
	if (rc == 0)
		rc = warehouse_clean(migrate->warehouse, err);
	if (rc == 0)
		rc = migrate_list_files(migrate, err);
	if (rc == 0)
		rc = migrate_put_files(migrate, err);
	if (rc == 0)
		rc = migrate_rows(migrate, err);
	if (rc == 0)
		rc = migrate_check_files(migrate, err);
	if (rc == 0)
		rc = set_marks(migrate, err);
	if (rc == 0)
		rc = move_journal(migrate, err);
	return rc;
}

int migrate_run(const char *from_dir, const char *to_dir, struct migrate_report *report, struct error *err)
{
	struct migrate migrate = {.next_block = 1};
	int rc = deployment_open(from_dir, DEPLOYMENT_WRITE, "migrate", &migrate.from, err);
	if (rc == 0)
		rc = deployment_open_beside(migrate.from, DEPLOYMENT_COLLECT, &migrate.from_collector, err);
	if (rc == 0)
		rc = deployment_open(to_dir, DEPLOYMENT_COLLECT, "migrate", &migrate.to, err);
	if (rc == 0)
		rc = check_pair(&migrate, err);
	if (rc == 0)
		rc = migrate_all(&migrate, err);
	if (rc == 0) {
		migrate.report.next_block = migrate.next_block;
		*report = migrate.report;
	}
	migrate_free_files(&migrate);
	warehouse_close(migrate.warehouse);
	deployment_close(migrate.to);
	deployment_close(migrate.from_collector);
	deployment_close(migrate.from);
	return rc;
}
