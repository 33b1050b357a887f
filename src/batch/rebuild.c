#include "batch/rebuild.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/tz.h"
#include "batch/day.h"
#include "batch/ledger.h"
#include "batch/states.h"
#include "batch/swap.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct rebuild {
	const struct deployment *deployment;
	const struct rebuild_hooks *hooks;
	int32_t day;
	bool keep_later;
	uint64_t offset;
	struct folding folding;
	struct swap *swap;
};

static bool tell_progress(void *context, uint64_t rows, uint64_t total)
{
	const struct rebuild *const rebuild = context;
	return rebuild->hooks->progress(rebuild->hooks->context, rows, total);
}

static void tell_writing(const struct rebuild *rebuild, const char *what)
{
	if (rebuild->hooks && rebuild->hooks->writing)
		rebuild->hooks->writing(rebuild->hooks->context, what);
}

static int fold(struct rebuild *rebuild, struct error *err)
{
	const struct history_options options = {
		.offset = rebuild->offset,
		.from_day = DAY_MIN,
		.until_day = rebuild->day,
		.progress = rebuild->hooks && rebuild->hooks->progress ? tell_progress : NULL,
		.progress_context = rebuild,
	};
	int rc = folding_init(&rebuild->folding, rebuild->deployment, rebuild->day, err);
	if (rc == 0)
		rc = history_run(rebuild->deployment, rebuild->deployment->programme, &options, &rebuild->folding.sink,
				 err);
	return rc < 0 ? rc : folding_finish(&rebuild->folding, err);
}

/* ---- later days ---- */

static int link_files(const char *from, const char *to, struct error *err)
{
	DIR *const dir = opendir(from);
	if (!dir)
		return error_errno(err, errno, "cannot list %s", from);
	int rc = mkdir(to, 0777) < 0 ? error_errno(err, errno, "cannot make %s", to) : 0;
	const struct dirent *entry;
	while (rc == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		_cleanup_free_ char *old_name = text_printf("%s/%s", from, entry->d_name);
		_cleanup_free_ char *new_name = text_printf("%s/%s", to, entry->d_name);
		if (!old_name || !new_name)
			rc = error_no_memory(err, LIMIT_PATH_BYTES);
		else if (link(old_name, new_name) < 0)
			rc = error_errno(err, errno, "cannot link %s", old_name);
	}
	closedir(dir);
	return rc;
}

/* The partitions behind the day are in the new table, too. */
static int link_later(const struct rebuild *rebuild, const char *table, const char *staged, struct error *err)
{
	_cleanup_free_ char *live = text_printf("%s/%s", rebuild->deployment->warehouse_dir, table);
	if (!live)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	DIR *const dir = opendir(live);
	if (!dir)
		return errno == ENOENT ? 0 : error_errno(err, errno, "cannot list %s", live);
	int rc = 0;
	const struct dirent *entry;
	while (rc == 0 && (entry = readdir(dir))) {
		int32_t day;
		if (strncmp(entry->d_name, "data_dt=", 8) != 0 ||
		    civil_parse(entry->d_name + 8, strlen(entry->d_name + 8), &day) < 0 || day <= rebuild->day)
			continue;
		_cleanup_free_ char *from = text_printf("%s/%s", live, entry->d_name);
		_cleanup_free_ char *to = text_printf("%s/%s", staged, entry->d_name);
		rc = from && to ? link_files(from, to, err) : error_no_memory(err, LIMIT_PATH_BYTES);
	}
	closedir(dir);
	return rc;
}

/* ---- tables ---- */

static int write_ledger(const struct rebuild *rebuild, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	int rc = swap_table(rebuild->swap, "ledger", &dir, err);
	if (rc == 0)
		rc = ledger_write_all(rebuild->deployment, rebuild->deployment->programme, rebuild->folding.ledger, dir,
				      err);
	if (rc == 0 && rebuild->keep_later)
		rc = link_later(rebuild, "ledger", dir, err);
	return rc < 0 ? error_prefix(err, "writing the table ledger") : 0;
}

static int make_state_dir(const struct rebuild *rebuild, char **out, struct error *err)
{
	_cleanup_free_ char *table = NULL;
	int rc = swap_table(rebuild->swap, "account_state", &table, err);
	if (rc == 0 && rebuild->keep_later)
		rc = link_later(rebuild, "account_state", table, err);
	if (rc < 0)
		return rc;
	char date[11];
	civil_format(rebuild->day, date);
	char *const dir = text_printf("%s/data_dt=%s", table, date);
	if (!dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	if (mkdir(dir, 0777) < 0) {
		rc = error_errno(err, errno, "cannot make %s", dir);
		free(dir);
		return rc;
	}
	*out = dir;
	return 0;
}

static int write_day(const struct rebuild *rebuild, struct error *err)
{
	const struct accounts accounts = {
		.deployment = rebuild->deployment,
		.programme = rebuild->deployment->programme,
		.day = rebuild->day,
		.parts = {&rebuild->folding, NULL},
	};
	_cleanup_free_ char *state = NULL;
	_cleanup_free_ char *balances = NULL;
	_cleanup_free_ char *loyalty = NULL;
	int rc = make_state_dir(rebuild, &state, err);
	if (rc == 0)
		rc = swap_partition(rebuild->swap, "balances", rebuild->day, &balances, err);
	if (rc == 0)
		rc = swap_partition(rebuild->swap, "loyalty", rebuild->day, &loyalty, err);
	if (rc < 0)
		return rc;
	const struct day_tables tables = {
		.accounts = &accounts,
		.offset = rebuild->offset,
		.state_dir = state,
		.balances_dir = balances,
		.loyalty_dir = loyalty,
	};
	return day_write(&tables, err);
}

static int run(struct rebuild *rebuild, struct rebuild_report *report, struct error *err)
{
	int rc = swap_begin(rebuild->deployment, &rebuild->swap, err);
	if (rc == 0)
		rc = deployment_keep_programme(rebuild->deployment, err);
	if (rc == 0)
		rc = history_offset(rebuild->deployment, &rebuild->offset, err);
	if (rc == 0)
		rc = fold(rebuild, err);
	if (rc < 0)
		return rc;
	tell_writing(rebuild, "ledger");
	rc = write_ledger(rebuild, err);
	if (rc == 0) {
		tell_writing(rebuild, "loyalty");
		rc = write_day(rebuild, err);
	}
	bool unchanged = false;
	if (rc == 0)
		rc = swap_is_same(rebuild->swap, "loyalty", rebuild->day, &unchanged, err);
	if (rc == 0)
		rc = swap_commit(rebuild->swap, err);
	if (rc == 0)
		rc = states_prune(rebuild->deployment, rebuild->day, err);
	if (rc == 0)
		*report = (struct rebuild_report){.counts = rebuild->folding.counts, .unchanged = unchanged};
	return rc;
}

static int rebuild_day(const struct deployment *deployment, int32_t day, bool keep_later,
		       const struct rebuild_hooks *hooks, struct rebuild_report *report, struct error *err)
{
	struct rebuild rebuild = {.deployment = deployment, .hooks = hooks, .day = day, .keep_later = keep_later};
	const int rc = run(&rebuild, report, err);
	folding_release(&rebuild.folding);
	swap_end(rebuild.swap);
	return rc;
}

int rebuild_run(const struct deployment *deployment, int32_t day, const struct rebuild_hooks *hooks,
		struct rebuild_report *report, struct error *err)
{
	return rebuild_day(deployment, day, false, hooks, report, err);
}

int rebuild_until(const struct deployment *deployment, int32_t day, const struct rebuild_hooks *hooks,
		  struct rebuild_report *report, struct error *err)
{
	return rebuild_day(deployment, day, true, hooks, report, err);
}
