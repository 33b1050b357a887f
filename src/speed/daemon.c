#include "speed/daemon.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "batch/swap.h"
#include "speed/daemon_internal.h"
#include "speed/topology.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICK_MS             1000
#define RESTART_PATIENCE_US INT64_C(1800000000)
/* A refresh that drains the journal is waited for. */
#define LOCK_POLL_MS     200
#define LOCK_PATIENCE_MS 60000
/* A programme.yaml that has just been written may not be whole yet. */
#define PROGRAMME_QUIET_US INT64_C(1000000)

struct daemon {
	const char *dir;
	const struct topology *own; /* NULL: that of punchcard.yaml */
	struct deployment *deployment;
	struct journal *journal;
	struct consumers *consumers;
	struct daemon_sources *sources;
	struct metrics *metrics;
	struct source_kept kept; /* between the sources that stop and those that take their place */
	int signal_fd;
	int64_t watchdog_us;      /* how often; 0: nobody waits */
	int64_t watchdog_next_us; /* by the monotonic clock */
	struct stat programme;    /* of programme.yaml when it was looked at last */
	struct stat refused;      /* of punchcard.yaml when a new configuration was refused last; 0: it was not */
};

/* --- from start to end --- */

static int open_journal(struct daemon *daemon, struct error *err)
{
	const struct journal_options options = {.map_gib = daemon->deployment->config->journal_map_gib};
	return journal_open(daemon->deployment->journal_dir, &options, &daemon->journal, err);
}

static int start(struct daemon *daemon, struct error *err)
{
	const struct topology topology = topology_of(daemon->own, daemon->deployment->config);
	const struct consumers_options options = {
		.continuous = true, .metrics = daemon->metrics, .sinks = topology.sinks, .n_sinks = topology.n_sinks};
	int rc = swap_finish(daemon->deployment, err);
	if (rc == 0)
		rc = open_journal(daemon, err);
	if (rc == 0)
		rc = consumers_start(daemon->deployment, daemon->journal, &options, &daemon->consumers, err);
	if (rc == 0)
		rc = daemon_sources_start(daemon->deployment, &topology, daemon->journal, daemon->consumers,
					  daemon->metrics, &daemon->kept, &daemon->sources, err);
	return rc;
}

/* The sources first: what they took goes on to the consumers. again: all start once more. */
static int stop(struct daemon *daemon, bool again, struct error *err)
{
	daemon_sources_stop(daemon->sources, again ? &daemon->kept : NULL);
	daemon->sources = NULL;
	const int rc = consumers_finish(daemon->consumers, err);
	daemon->consumers = NULL;
	journal_close(daemon->journal);
	daemon->journal = NULL;
	return rc;
}

/* --- configuration --- */

static void look_at(const char *dir, const char *file, struct stat *out)
{
	_cleanup_free_ char *path = text_printf("%s/%s", dir, file);
	*out = (struct stat){0};
	if (path && stat(path, out) < 0)
		*out = (struct stat){0};
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void refuse(struct daemon *daemon, const struct error *err)
{
	look_at(daemon->dir, "punchcard.yaml", &daemon->refused);
	LOG_ERROR("the new configuration is not taken, all goes on with the old one", log_error(err));
}

/* A restart drains the journal, which may take longer than the manager waits for a sign of life. */
static void watch_slowly(const struct daemon *daemon, bool slowly)
{
	char state[64];
	if (!daemon->watchdog_us)
		return;
	snprintf(state, sizeof(state), "WATCHDOG_USEC=%" PRId64,
		 slowly ? RESTART_PATIENCE_US : daemon->watchdog_us * 2);
	notify_send(state);
}

/* Starts all again by a new configuration; when that fails, by the old one. A negative result ends the daemon. */
static int restart(struct daemon *daemon, struct deployment *fresh, struct error *err)
{
	struct error fault = {0};
	notify_reloading();
	watch_slowly(daemon, true);
	if (stop(daemon, true, &fault) < 0)
		LOG_WARNING("not all of the journal was taken before the restart", log_error(&fault));
	deployment_adopt(daemon->deployment, fresh);
	int rc = start(daemon, &fault);
	if (rc < 0) {
		refuse(daemon, &fault);
		stop(daemon, true, &fault);
		deployment_adopt(daemon->deployment, fresh);
		rc = start(daemon, err);
		if (rc == 0)
			notify_send("READY=1");
	} else {
		daemon->refused = (struct stat){0};
		LOG_INFO("the new configuration is taken", log_uint("sources", daemon->deployment->config->n_sources),
			 log_text("programme", daemon->deployment->programme->hash_text));
		notify_send("READY=1");
	}
	watch_slowly(daemon, false);
	return rc;
}

static const struct config_source *stdin_of(const struct config *config)
{
	for (unsigned i = 0; i < config->n_sources; i++)
		if (config->sources[i].type == SOURCE_STDIN)
			return &config->sources[i];
	return NULL;
}

/* What came by the standard input so far is gone on with, where it still means the same. */
static int check_stdin(const struct config *config, const struct config *fresh, struct error *err)
{
	const struct config_source *const now = stdin_of(config);
	const struct config_source *const next = stdin_of(fresh);
	if (!now)
		return 0;
	if (!next || strcmp(next->name, now->name) != 0 || strcmp(next->format, now->format) != 0)
		return error_set(
			err, ERROR_CONFIG,
			"source %s reads the standard input, and what came of it so far would be torn from the rest: "
			"leave it as it is, or stop punchcard and start it again",
			now->name);
	if (config_order_mapping(config, now->format))
		return error_set(
			err, ERROR_CONFIG,
			"source %s reads the standard input by a header that has gone by: stop punchcard and start it "
			"again",
			now->name);
	return 0;
}

/* What a parser cannot know: whether it can take the place of the one that runs. */
static int check_fresh(const struct daemon *daemon, const struct deployment *fresh, struct error *err)
{
	const struct config *const config = daemon->deployment->config;
	if (fresh->config->customer_id != config->customer_id)
		return error_set(err, ERROR_CONFIG,
				 "%s: customer_id has changed: that needs everything loaded and collected again, and a "
				 "restart",
				 fresh->config->path);
	if (fresh->config->n_sources == 0)
		return error_set(err, ERROR_CONFIG, "%s: there are no sources", fresh->config->path);
	return check_stdin(config, fresh->config, err);
}

/* only_programme: when nothing else was asked for, a file that says the same is no reason to start again. */
static int reload(struct daemon *daemon, bool only_programme, struct error *err)
{
	struct deployment *fresh = NULL;
	struct error fault = {0};
	look_at(daemon->dir, "programme.yaml", &daemon->programme);
	int rc = deployment_open(daemon->dir, DEPLOYMENT_READ, "run", &fresh, &fault);
	if (rc == 0)
		rc = check_fresh(daemon, fresh, &fault);
	if (rc < 0) {
		refuse(daemon, &fault);
		deployment_close(fresh);
		return 0;
	}
	const bool same = strcmp(fresh->programme->hash_text, daemon->deployment->programme->hash_text) == 0;
	rc = only_programme && same ? 0 : restart(daemon, fresh, err);
	deployment_close(fresh);
	return rc;
}

static int check_programme(struct daemon *daemon, struct error *err)
{
	struct stat now;
	struct stat config;
	look_at(daemon->dir, "programme.yaml", &now);
	look_at(daemon->dir, "punchcard.yaml", &config);
	/* A programme that was refused may have been refused for what stands in punchcard.yaml. */
	const bool again = daemon->refused.st_ino && !is_same_file(&config, &daemon->refused);
	const int64_t changed_us = (int64_t)now.st_mtim.tv_sec * 1000000 + now.st_mtim.tv_nsec / 1000;
	const int64_t age_us = clock_now_us() - changed_us;
	if ((is_same_file(&now, &daemon->programme) && !again) || (age_us >= 0 && age_us < PROGRAMME_QUIET_US))
		return 0;
	LOG_INFO("the configuration has changed");
	return reload(daemon, true, err);
}

/* --- the main thread --- */

static void pat_watchdog(struct daemon *daemon)
{
	if (!daemon->watchdog_us || clock_monotonic_us() < daemon->watchdog_next_us)
		return;
	notify_send("WATCHDOG=1");
	daemon->watchdog_next_us = clock_monotonic_us() + daemon->watchdog_us;
}

static int tick(struct daemon *daemon, struct error *err)
{
	metrics_heartbeat(daemon->metrics, clock_now_us());
	consumers_tell(daemon->consumers);
	log_tick();
	pat_watchdog(daemon);
	if (consumers_broken(daemon->consumers))
		return error_set(err, ERROR_BROKEN,
				 "the journal takes nothing any more; nothing in it is lost: start again");
	return check_programme(daemon, err);
}

/* *asked: the signal that came; 0: none did. */
static int wait_for_signal(struct daemon *daemon, int timeout_ms, int *asked, struct error *err)
{
	struct pollfd fd = {.fd = daemon->signal_fd, .events = POLLIN};
	struct signalfd_siginfo info;
	*asked = 0;
	if (daemon->watchdog_us && daemon->watchdog_us / 1000 < timeout_ms)
		timeout_ms = (int)(daemon->watchdog_us / 1000);
	const int n = poll(&fd, 1, timeout_ms);
	if (n < 0 && errno != EINTR)
		return error_errno(err, errno, "cannot wait for signals");
	if (n > 0 && read(daemon->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		*asked = (int)info.ssi_signo;
	return 0;
}

static int serve(struct daemon *daemon, struct error *err)
{
	for (;;) {
		int asked = 0;
		int rc = wait_for_signal(daemon, TICK_MS, &asked, err);
		if (rc == 0)
			rc = tick(daemon, err);
		if (rc == 0 && asked == SIGHUP)
			rc = reload(daemon, false, err);
		if (rc < 0 || asked == SIGTERM || asked == SIGINT) {
			if (asked)
				LOG_INFO("stopping", log_text("signal", asked == SIGTERM  ? "SIGTERM"
									: asked == SIGINT ? "SIGINT"
											  : "SIGHUP"));
			return rc;
		}
	}
}

/* From now on the first of these is read from *fd; while it stops, the next one of SIGINT and SIGTERM ends the process. */
static int take_signals(int *fd, struct error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	const int errnum = pthread_sigmask(SIG_BLOCK, &set, NULL);
	*fd = errnum ? -1 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *fd < 0 ? error_errno(err, errnum ? errnum : errno, "cannot take signals") : 0;
}

static void give_signals_back(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* A tailed file has a descriptor, as has a connection: as many as the system lets this process have. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		LOG_WARNING("the limit of open files cannot be raised");
}

static void make_metrics(struct daemon *daemon)
{
	struct error err = {0};
	if (metrics_create(daemon->deployment->data_dir, &daemon->metrics, &err) < 0)
		LOG_WARNING("`top` and `status` will show nothing of this daemon", log_error(&err));
}

static int run(struct daemon *daemon, struct error *err)
{
	raise_descriptors();
	make_metrics(daemon);
	daemon->watchdog_us = notify_watchdog_us();
	int rc = start(daemon, err);
	if (rc == 0) {
		LOG_INFO("started", log_text("deployment", daemon->deployment->dir),
			 log_uint("sources", topology_of(daemon->own, daemon->deployment->config).n_sources),
			 log_text("programme", daemon->deployment->programme->hash_text));
		metrics_daemon_state(daemon->metrics, METRICS_DAEMON_RUNNING);
		notify_send("READY=1");
		rc = serve(daemon, err);
	}
	notify_send("STOPPING=1");
	metrics_daemon_state(daemon->metrics, METRICS_DAEMON_STOPPING);
	give_signals_back();
	struct error left = {0};
	const int left_rc = stop(daemon, false, &left);
	if (daemon->kept.state)
		daemon->kept.release(daemon->kept.state);
	if (rc == 0 && left_rc < 0) {
		rc = error_set(err, ERROR_INTERRUPTED,
			       "stopped with something left in the journal for the next run: %s", left.message);
	}
	metrics_close(daemon->metrics, rc < 0 ? METRICS_DAEMON_FAILED : METRICS_DAEMON_STOPPED);
	if (rc == 0)
		LOG_INFO("stopped");
	log_flush();
	return rc;
}

/* Whether the collector's lock is held by who only drains the journal, as a refresh does before it begins. */
static bool is_being_drained(const char *dir)
{
	struct deployment *deployment = NULL;
	struct deployment_holder holder;
	if (deployment_open(dir, DEPLOYMENT_READ, "run", &deployment, NULL) < 0)
		return false;
	const bool held = deployment_holder(deployment, DEPLOYMENT_COLLECT, &holder);
	deployment_close(deployment);
	return !held || (strcmp(holder.command, "run") != 0 && strcmp(holder.command, "collect") != 0);
}

static int open_deployment(const char *dir, struct deployment **out, struct error *err)
{
	for (unsigned waited_ms = 0;; waited_ms += LOCK_POLL_MS) {
		const int rc = deployment_open(dir, DEPLOYMENT_COLLECT, "run", out, err);
		if (rc != ERROR_LOCKED || waited_ms >= LOCK_PATIENCE_MS || !is_being_drained(dir))
			return rc;
		nanosleep(&(const struct timespec){.tv_nsec = LOCK_POLL_MS * 1000000L}, NULL);
	}
}

int daemon_run(const char *dir, const struct daemon_options *options, struct error *err)
{
	struct daemon daemon = {.dir = dir, .own = options->topology, .signal_fd = -1};
	look_at(dir, "programme.yaml", &daemon.programme);
	int rc = open_deployment(dir, &daemon.deployment, err);
	if (rc == 0 && !daemon.own && daemon.deployment->config->n_sources == 0)
		rc = error_set(err, ERROR_CONFIG,
			       "%s: there are no sources; add one (the comments there show each type)",
			       daemon.deployment->config->path);
	if (rc == 0)
		rc = take_signals(&daemon.signal_fd, err);
	if (rc == 0)
		rc = run(&daemon, err);
	if (daemon.signal_fd >= 0)
		close(daemon.signal_fd);
	deployment_close(daemon.deployment);
	return rc;
}
