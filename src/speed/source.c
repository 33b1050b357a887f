#include "speed/source.h"

#include "base/clock.h"
#include "speed/consumers.h"
#include "speed/metrics.h"

#include <errno.h>
#include <poll.h>

const struct source_driver *source_driver(enum source_type type)
{
	static const struct source_driver *const DRIVERS[SOURCE_TYPES] = {
		[SOURCE_SPOOL] = &source_spool, [SOURCE_TAIL] = &source_tail, [SOURCE_STDIN] = &source_stdin,
		[SOURCE_EXEC] = &source_exec,   [SOURCE_HTTP] = &source_http, [SOURCE_TCP] = &source_tcp,
		[SOURCE_KAFKA] = &source_kafka,
	};
	return DRIVERS[type];
}

bool source_must_stop(const struct source *source)
{
	struct pollfd stop = {.fd = source->stop_fd, .events = POLLIN};
	return poll(&stop, 1, 0) > 0;
}

bool source_wait(struct source *source, int fd, int timeout_ms, short events)
{
	const int64_t until_ms = timeout_ms < 0 ? -1 : clock_monotonic_us() / 1000 + timeout_ms;
	struct pollfd fds[] = {{.fd = source->stop_fd, .events = POLLIN}, {.fd = fd, .events = events}};
	for (;;) {
		const int n = poll(fds, 2, timeout_ms);
		if (n >= 0)
			return n > 0 && !fds[0].revents && fds[1].revents;
		if (errno != EINTR)
			return false;
		if (until_ms < 0)
			continue;
		const int64_t left_ms = until_ms - clock_monotonic_us() / 1000;
		timeout_ms = left_ms > 0 ? (int)left_ms : 0;
	}
}

bool source_has_room(struct source *source)
{
	return !source->consumers || consumers_have_room(source->consumers);
}

int source_wait_for_room(struct source *source, struct error *err)
{
	if (source_has_room(source))
		return 0;
	metrics_source_state(source->metrics, METRICS_WAITING);
	while (!source_has_room(source)) {
		source_wait(source, -1, 20, 0);
		if (source_must_stop(source))
			return error_set(err, ERROR_INTERRUPTED, "stopped while it waited for the consumers");
	}
	metrics_source_state(source->metrics, METRICS_RUNNING);
	return 0;
}

void source_committed(struct source *source, const struct source_counts *counts)
{
	const int64_t now_us = clock_now_us();
	struct metrics_source *const m = source->metrics;
	metrics_source_add(m, METRICS_SOURCE_COMMITS, 1);
	metrics_source_add(m, METRICS_SOURCE_LINES, counts->lines);
	metrics_source_add(m, METRICS_SOURCE_EVENTS, counts->events);
	metrics_source_add(m, METRICS_SOURCE_DUPLICATES, counts->duplicates);
	metrics_source_add(m, METRICS_SOURCE_QUARANTINED, counts->quarantined);
	metrics_source_add(m, METRICS_SOURCE_BYTES, counts->bytes);
	metrics_source_add(m, METRICS_SOURCE_FILES, counts->files);
	if (counts->lines)
		metrics_source_durable(m, counts->first_us ? now_us - counts->first_us : 0, counts->lines, now_us);
	if (source->consumers)
		consumers_wake(source->consumers);
}
