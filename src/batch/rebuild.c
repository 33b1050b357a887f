#include "batch/rebuild.h"

#include "base/limits.h"
#include "base/tz.h"
#include "batch/day.h"
#include "batch/files_lock.h"
#include "batch/ledger.h"
#include "batch/states.h"
#include "batch/swap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct rebuild {
	const struct deployment *deployment;
	const struct rebuild_hooks *hooks;
	int32_t day;
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
		.items = true,
		.progress = rebuild->hooks && rebuild->hooks->progress ? tell_progress : NULL,
		.progress_context = rebuild,
	};
	int rc = folding_init(&rebuild->folding, rebuild->deployment, rebuild->day, err);
	if (rc == 0)
		rc = history_run(rebuild->deployment, rebuild->deployment->programme, &options, &rebuild->folding.sink,
				 err);
	return rc < 0 ? rc : folding_finish(&rebuild->folding, err);
}

/* ---- tables ---- */

static int write_ledger(const struct rebuild *rebuild, struct error *err)
{
	_cleanup_free_ char *dir = NULL;
	int rc = swap_table(rebuild->swap, "ledger", &dir, err);
	if (rc == 0)
		rc = ledger_write_all(rebuild->deployment, rebuild->deployment->programme, rebuild->folding.ledger, dir,
				      err);
	return rc < 0 ? error_prefix(err, "writing the table ledger") : 0;
}

static int make_state_dir(const struct rebuild *rebuild, char **out, struct error *err)
{
	_cleanup_free_ char *table = NULL;
	int rc = swap_table(rebuild->swap, "account_state", &table, err);
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
		rc = swap_commit(rebuild->swap, SWAP_REPLACE_SAME, err);
	if (rc == 0)
		rc = states_prune(rebuild->deployment, rebuild->day, err);
	if (rc == 0)
		*report = (struct rebuild_report){.counts = rebuild->folding.counts, .unchanged = unchanged};
	return rc;
}

/* The table ledger ends with the day: what it has of later ones would be lost. */
static int refuse_older(const struct deployment *deployment, int32_t day, struct error *err)
{
	int32_t newest_day;
	const int rc = states_newest_day(deployment, &newest_day, err);
	if (rc < 0 || newest_day <= day)
		return rc;
	char date[11];
	char newest[11];
	civil_format(day, date);
	civil_format(newest_day, newest);
	return error_set(err, ERROR_USAGE,
			 "%s was refreshed already, and a rebuild up to %s would remove the ledger's days behind that: "
			 "`punchcard rebuild --data-dt %s` makes all of it again, `punchcard refresh --data-dt %s` the "
			 "tables of that day",
			 newest, date, newest, date);
}

int rebuild_run(const struct deployment *deployment, int32_t day, const struct rebuild_hooks *hooks,
		struct rebuild_report *report, struct error *err)
{
	struct rebuild rebuild = {.deployment = deployment, .hooks = hooks, .day = day};
	/* Its offset is recorded with the state: until then no file may come to lie across it. */
	_cleanup_files_lock_ struct files_lock lock = FILES_LOCK_NONE;
	int rc = refuse_older(deployment, day, err);
	if (rc == 0)
		rc = files_lock_pin(deployment, &lock, err);
	if (rc == 0)
		rc = run(&rebuild, report, err);
	folding_release(&rebuild.folding);
	swap_end(rebuild.swap);
	return rc;
}
