#include "base/clock.h"
#include "base/log.h"
#include "speed/daemon_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Pauses between tries: a quarter of a second, doubled up to this. */
#define PAUSE_FIRST_MS 250
#define PAUSE_MOST_MS  30000
/* Who ran for so long before it failed begins with the first pause again. */
#define RAN_WELL_US INT64_C(60000000)

struct running {
	struct source source;
	pthread_t thread;
	bool opened;
	bool started;
};

struct daemon_sources {
	int stop_fd;
	unsigned n;
	struct running each[];
};

static void back_off(struct source *source, const struct error *err, unsigned failures)
{
	const char *const name = source->config->name;
	int pause_ms = PAUSE_FIRST_MS;
	for (unsigned i = 1; i < failures && pause_ms < PAUSE_MOST_MS; i++)
		pause_ms *= 2;
	metrics_source_error(source->metrics, err->message, clock_now_us());
	if (err->code == ERROR_BROKEN)
		consumers_tell_broken(source->consumers);
	metrics_source_state(source->metrics, err->code == ERROR_NO_SPACE ? METRICS_DISK_FULL : METRICS_BACKING_OFF);
	LOG_ERROR("a source failed, and tries again", log_text("source", name), log_error(err),
		  log_us("pause", pause_ms * INT64_C(1000)));
	source_wait(source, -1, pause_ms, 0);
	metrics_source_add(source->metrics, METRICS_SOURCE_RESTARTS, 1);
}

static void *run(void *argument)
{
	struct running *const running = argument;
	struct source *const source = &running->source;
	unsigned failures = 0;
	while (!source_must_stop(source)) {
		struct error err = {0};
		const int64_t begun_us = clock_now_us();
		metrics_source_state(source->metrics, METRICS_RUNNING);
		const int rc = source->driver->run(source, &err);
		if (rc == 0) {
			if (!source_must_stop(source))
				LOG_INFO("a source has ended: nothing more will come of it",
					 log_text("source", source->config->name));
			break;
		}
		if (rc == ERROR_INTERRUPTED && source_must_stop(source))
			break;
		failures = clock_now_us() - begun_us >= RAN_WELL_US ? 1 : failures + 1;
		back_off(source, &err, failures);
	}
	metrics_source_state(source->metrics, METRICS_ENDED);
	return NULL;
}

/* Whether there is a driver that does what is asked for. */
static int check_driver(const struct source *source, struct error *err)
{
	if (source->driver && (source->driver->keeps_lines || !source->config->keeps_lines))
		return 0;
	return error_set(err, ERROR_CONFIG, "sources of type %s do not run %syet",
			 config_source_type_name(source->config->type), source->driver ? "by a Flume agent " : "");
}

static int start_one(struct running *running, struct error *err)
{
	struct source *const source = &running->source;
	const struct source_driver *const driver = source->driver;
	int rc = check_driver(source, err);
	if (rc == 0 && driver->open)
		rc = driver->open(source, err);
	if (rc < 0)
		return error_prefix(err, "source %s", source->config->name);
	running->opened = true;
	const int errnum = pthread_create(&running->thread, NULL, run, running);
	if (errnum)
		return error_errno(err, errnum, "cannot start a thread");
	running->started = true;
	return 0;
}

int daemon_sources_start(const struct deployment *deployment, const struct topology *topology, struct journal *journal,
			 struct consumers *consumers, struct metrics *metrics, struct source_kept *kept,
			 struct daemon_sources **out, struct error *err)
{
	struct daemon_sources *const all = calloc(1, sizeof(*all) + topology->n_sources * sizeof(all->each[0]));
	if (!all)
		return error_no_memory(err, sizeof(*all));
	all->n = topology->n_sources;
	all->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = all->stop_fd < 0 ? error_errno(err, errno, "cannot make an eventfd") : 0;
	for (unsigned i = 0; rc == 0 && i < all->n; i++) {
		const struct config_source *const own = &topology->sources[i];
		all->each[i].source = (struct source){
			.deployment = deployment,
			.config = own,
			.driver = source_driver(own->type),
			.journal = journal,
			.consumers = consumers,
			.metrics = metrics_source(metrics, own->name, config_source_type_name(own->type)),
			.kept = source_driver(own->type)->keep ? kept : NULL,
			.stop_fd = all->stop_fd,
		};
		rc = start_one(&all->each[i], err);
	}
	if (rc < 0) {
		daemon_sources_stop(all, kept);
		return rc;
	}
	*out = all;
	return 0;
}

static void end(struct source *source, struct source_kept *kept)
{
	if (kept && source->driver->keep)
		source->driver->keep(source, kept);
	else if (source->driver->close)
		source->driver->close(source);
}

void daemon_sources_stop(struct daemon_sources *sources, struct source_kept *kept)
{
	if (!sources)
		return;
	const uint64_t one = 1;
	if (sources->stop_fd >= 0 && write(sources->stop_fd, &one, sizeof(one)) < 0)
		abort(); /* an eventfd of our own at 0 takes a 1 */
	for (unsigned i = 0; i < sources->n; i++) {
		struct running *const running = &sources->each[i];
		if (running->started)
			pthread_join(running->thread, NULL);
		if (running->opened)
			end(&running->source, kept);
	}
	if (sources->stop_fd >= 0)
		close(sources->stop_fd);
	free(sources);
}
