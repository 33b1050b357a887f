#include "serving/doctor_internal.h"

#include "base/clock.h"
#include "base/file.h"
#include "engine/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#define MIB UINT64_C(1048576)
/* Below the first nothing can be collected for long, below the second a refresh may not find room. */
#define FREE_FAIL_MIB 64u
#define FREE_WARN_MIB 1024u
/* Of LMDB, DuckDB, sources and connections; the usual limit is 1024. */
#define DESCRIPTORS_FAIL 128u
#define DESCRIPTORS_WARN 1024u
/* 2024-01-01, 2200-01-01: what is before or behind is no clock. */
#define CLOCK_FIRST_S INT64_C(1704067200)
#define CLOCK_LAST_S  INT64_C(7258118400)
#define US_PER_S      INT64_C(1000000)
#define CLOCK_SLACK_S 300

const char *doctor_result_name(enum doctor_result result)
{
	static const char *const NAMES[] = {[DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "FAIL"};
	return NAMES[result];
}

void doctor_tell(struct doctor *doctor, const char *name, enum doctor_result result, const char *advice,
		 const char *format, ...)
{
	char found[ERROR_MESSAGE_MAX];
	va_list list;
	va_start(list, format);
	vsnprintf(found, sizeof(found), format, list);
	va_end(list);
	for (char *at = found; (at = strpbrk(at, "\r\n")) != NULL;)
		*at = ' ';
	const struct doctor_check check = {
		.name = name, .result = result, .found = found, .advice = advice ? advice : ""};
	if (result > doctor->worst)
		doctor->worst = result;
	doctor->take(doctor->context, &check);
}

/* An error's message says what to do itself. */
static void tell_error(struct doctor *doctor, const char *name, const struct error *err)
{
	doctor_tell(doctor, name, DOCTOR_FAIL, NULL, "%s", err->message);
}

/* --- the machine ------------------------------------------------------------------------------------------------------------ */

static void check_clock(struct doctor *doctor)
{
	const int64_t now_s = doctor->now_us / US_PER_S;
	struct timex timex = {.modes = 0};
	char text[32] = "";
	const time_t seconds = (time_t)now_s;
	struct tm parts;
	if (gmtime_r(&seconds, &parts))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
	if (now_s < CLOCK_FIRST_S || now_s > CLOCK_LAST_S) {
		doctor_tell(doctor, "clock", DOCTOR_FAIL, "set the clock, and let NTP keep it", "it says %s", text);
		return;
	}
	const bool known = adjtimex(&timex) != -1;
	const bool synchronised = known && !(timex.status & STA_UNSYNC);
	doctor_tell(doctor, "clock", DOCTOR_OK, NULL, "%s%s", text,
		    synchronised ? ", kept by NTP"
		    : known      ? "; the system does not say that NTP keeps it"
				 : "");
}

static void check_descriptors(struct doctor *doctor)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	const enum doctor_result result = limit.rlim_cur < DESCRIPTORS_FAIL   ? DOCTOR_FAIL
					  : limit.rlim_cur < DESCRIPTORS_WARN ? DOCTOR_WARN
									      : DOCTOR_OK;
	doctor_tell(doctor, "descriptors", result,
		    result == DOCTOR_OK ? NULL : "raise it: `ulimit -n 4096`, LimitNOFILE= in systemd",
		    "%llu files may be open at once", (unsigned long long)limit.rlim_cur);
}

static void check_engine(struct doctor *doctor)
{
	struct engine *engine = NULL;
	struct engine_scan *scan = NULL;
	struct error err = {0};
	uint32_t rows = 0;
	int rc = engine_open(&(struct engine_options){.threads = 1, .memory_mib = 64}, &engine, &err);
	if (rc == 0)
		rc = engine_scan_open(engine, "SELECT version()", &scan, &err);
	if (rc == 0)
		rc = engine_scan_next(scan, &rows, &err);
	if (rc == 0 && rows) {
		const struct slice version = engine_scan_text(scan, 0, 0);
		doctor_tell(doctor, "DuckDB", DOCTOR_OK, NULL, "%.*s", (int)version.len, version.data);
	} else {
		tell_error(doctor, "DuckDB", &err);
	}
	engine_scan_close(scan);
	engine_close(engine);
}

/* --- the deployment --------------------------------------------------------------------------------------------------------- */

static void check_directory(struct doctor *doctor)
{
	const struct deployment *const deployment = doctor->deployment;
	const bool has_data = access(deployment->data_dir, F_OK) == 0;
	const char *const dir = has_data ? deployment->data_dir : deployment->dir;
	if (access(deployment->dir, R_OK | X_OK) < 0 || (has_data && access(dir, R_OK | X_OK) < 0))
		doctor_tell(doctor, "directory", DOCTOR_FAIL, "run it as the owner, or give yourself the right to read",
			    "%s cannot be read: %s", dir, strerror(errno));
	else if (access(dir, W_OK) < 0)
		doctor_tell(doctor, "directory", DOCTOR_WARN,
			    "customer, sql and status work; for all else run it as the owner, or mount it writable",
			    "%s cannot be written: %s", dir, strerror(errno));
	else
		doctor_tell(doctor, "directory", DOCTOR_OK, NULL, "%s can be read and written", deployment->dir);
}

static void check_space(struct doctor *doctor)
{
	const struct deployment *const deployment = doctor->deployment;
	const char *const dir = access(deployment->data_dir, F_OK) == 0 ? deployment->data_dir : deployment->dir;
	struct statvfs fs;
	if (statvfs(dir, &fs) < 0) {
		doctor_tell(doctor, "free space", DOCTOR_WARN, NULL, "%s: %s", dir, strerror(errno));
		return;
	}
	const uint64_t free_mib = (uint64_t)fs.f_bavail * fs.f_frsize / MIB;
	const enum doctor_result result = free_mib < FREE_FAIL_MIB   ? DOCTOR_FAIL
					  : free_mib < FREE_WARN_MIB ? DOCTOR_WARN
								     : DOCTOR_OK;
	doctor_tell(doctor, "free space", result,
		    result == DOCTOR_OK ? NULL : "make room, or move data/ to a larger disk (a symbolic link will do)",
		    "%" PRIu64 " MiB where data/ is", free_mib);
	if (fs.f_files && fs.f_favail < 1000)
		doctor_tell(doctor, "free inodes", DOCTOR_FAIL, "remove files that are not needed",
			    "%llu where data/ is", (unsigned long long)fs.f_favail);
}

/* A file that is of tomorrow: the clock was set back, and days and late events would be wrong. */
static void check_file_times(struct doctor *doctor)
{
	_cleanup_free_ char *path = text_printf("%s/data.mdb", doctor->deployment->journal_dir);
	struct stat st;
	if (!path || stat(path, &st) < 0)
		return;
	const int64_t ahead_s = (int64_t)st.st_mtim.tv_sec - doctor->now_us / US_PER_S;
	if (ahead_s > CLOCK_SLACK_S)
		doctor_tell(doctor, "journal time", DOCTOR_WARN, "was the clock set back? Let NTP keep it",
			    "the journal was written %" PRId64 " s in the future", ahead_s);
}

static void check_models(struct doctor *doctor)
{
	static const char *const MODELS[] = {"customers_cln", "loyalty", "segments"};
	for (size_t i = 0; i < sizeof(MODELS) / sizeof(MODELS[0]); i++) {
		_cleanup_free_ char *path = text_printf("%s/%s.sql", doctor->deployment->models_dir, MODELS[i]);
		if (path && access(path, R_OK) == 0)
			continue;
		doctor_tell(doctor, "models", DOCTOR_FAIL, "`punchcard init` in an empty directory writes all of them",
			    "%s: %s", path ? path : MODELS[i], strerror(errno));
		return;
	}
	doctor_tell(doctor, "models", DOCTOR_OK, NULL, "all are there");
}

static void check_journal(struct doctor *doctor)
{
	struct error err = {0};
	if (status_read(doctor->deployment, &doctor->status, &err) < 0) {
		tell_error(doctor, "journal and view", &err);
		return;
	}
	const struct status *const status = &doctor->status;
	doctor->has_status = true;
	const bool on_cluster = doctor->deployment->config->cluster.on;
	if (on_cluster)
		doctor_tell(doctor, "journal", DOCTOR_OK, NULL, "%" PRIu64 " blocks, %" PRIu64 " orders",
			    status->blocks, status->orders);
	else
		doctor_tell(doctor, "journal and view", DOCTOR_OK, NULL,
			    "%" PRIu64 " blocks, %" PRIu64 " orders, %" PRIu64 " customers", status->blocks,
			    status->orders, status->customers);
	if (status->marked)
		doctor_tell(doctor, "accounts", DOCTOR_WARN,
			    "`punchcard collect --once`, or the daemon, makes them again",
			    "%" PRIu64 " wait to be made again out of their history", status->marked);
	if (status->backlog_bytes / MIB > doctor->deployment->config->journal_backlog_mib / 2)
		doctor_tell(doctor, "backlog", DOCTOR_WARN, "`punchcard top` shows which consumer is behind, and why",
			    "%" PRIu64 " MiB of events wait for a consumer; sources wait at journal: backlog_mib %u",
			    status->backlog_bytes / MIB, doctor->deployment->config->journal_backlog_mib);
	for (unsigned i = 0; i < status->n_sources; i++)
		if (status->sources[i].unreadable)
			doctor_tell(doctor, "sources", DOCTOR_FAIL, "make it, or give the right to read it",
				    "source %s: its directory cannot be listed", status->sources[i].source->name);
}

static void check_daemon(struct doctor *doctor)
{
	struct deployment_holder holder;
	struct error why = {0};
	if (deployment_holder(doctor->deployment, DEPLOYMENT_COLLECT, &holder)) {
		doctor_tell(doctor, "daemon", DOCTOR_OK, NULL, "%s runs, process %d, since %s UTC", holder.command,
			    (int)holder.pid, holder.since);
		return;
	}
	const struct metrics_snapshot *const now = doctor->has_status ? doctor->status.daemon.now : NULL;
	if (now && strcmp(live_state_name(now), "died") == 0) {
		live_no_daemon(doctor->deployment->shown_dir, now, &why);
		doctor_tell(doctor, "daemon", DOCTOR_WARN, "start it again: `punchcard run`", "%s", why.message);
		return;
	}
	doctor_tell(doctor, "daemon", DOCTOR_OK, NULL, "none runs (`punchcard run` is one)");
}

static void check_deployment(struct doctor *doctor, const struct error *config_err, const struct error *programme_err)
{
	const struct deployment *const deployment = doctor->deployment;
	check_directory(doctor);
	check_space(doctor);
	if (deployment->config)
		doctor_tell(doctor, "punchcard.yaml", DOCTOR_OK, NULL, "%u source%s%s%s", deployment->config->n_sources,
			    deployment->config->n_sources == 1 ? "" : "s",
			    deployment->config->cluster.on ? ", on a cluster as " : "",
			    deployment->config->cluster.on ? deployment->config->cluster.edge : "");
	else
		tell_error(doctor, "punchcard.yaml", config_err);
	if (deployment->programme)
		doctor_tell(doctor, "programme.yaml", DOCTOR_OK, NULL, "%s, version %s", deployment->programme->name,
			    deployment->programme->hash_text);
	else
		tell_error(doctor, "programme.yaml", programme_err);
	check_models(doctor);
	check_file_times(doctor);
	if (deployment->config && deployment->programme)
		check_journal(doctor);
	check_daemon(doctor);
	if (deployment->config)
		doctor_edge_journal(doctor);
	if (deployment->config && deployment->config->cluster.on)
		doctor_cluster(doctor);
	if (doctor->deep && deployment->config && deployment->programme && deployment->config->cluster.on)
		doctor_deep(doctor);
}

enum doctor_result doctor_run(const char *dir, int64_t now_us, bool deep, doctor_fn *take, void *context)
{
	struct doctor doctor = {.now_us = now_us, .take = take, .context = context, .deep = deep};
	struct deployment *deployment = NULL;
	struct error config_err = {0};
	struct error programme_err = {0};
	check_clock(&doctor);
	check_descriptors(&doctor);
	check_engine(&doctor);
	if (deployment_open_partly(dir, &deployment, &config_err, &programme_err) < 0) {
		tell_error(&doctor, "directory", &config_err);
	} else {
		doctor.deployment = deployment;
		check_deployment(&doctor, &config_err, &programme_err);
	}
	if (doctor.has_status)
		status_release(&doctor.status);
	deployment_close(deployment);
	return doctor.worst;
}
