/* Events by HTTP: docs/http.md. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "speed/http_internal.h"
#include "speed/listen.h"
#include "speed/metrics.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_MS    5000
#define TOKEN_BYTES ((size_t)(64u * 1024u)) /* of its file; more is another file */
#define TOKEN_SHORT 16u

const struct http_times HTTP_TIMES = {.idle_s = 30, .whole_us = 120 * HTTP_MICROS};

/* --- the token --- */

static bool is_token(struct slice token)
{
	for (size_t i = 0; i < token.len; i++)
		if (token.data[i] <= ' ' || token.data[i] > '~')
			return false;
	return token.len > 0;
}

static void warn_of_readers(const struct source *source, const char *path, size_t len)
{
	struct stat st;
	if (stat(path, &st) == 0 && (st.st_mode & S_IROTH))
		LOG_WARNING("everybody on this machine can read the token: chmod o-r",
			    log_text("source", source->config->name), log_text("file", path));
	if (len < TOKEN_SHORT)
		LOG_WARNING("the token is short, and can be guessed", log_text("source", source->config->name),
			    log_text("file", path));
}

static int read_token(const struct source *source, struct buf *token, struct error *err)
{
	if (!source->config->token_file)
		return 0;
	_cleanup_free_ char *path = deployment_path(source->deployment, source->config->token_file);
	_cleanup_buf_ struct buf text = {0};
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	const int rc = file_read_all(path, TOKEN_BYTES, &text, err);
	if (rc == ERROR_NOT_FOUND)
		return error_set(err, ERROR_CONFIG,
				 "there is no %s, the token_file; make one (umask 077; head -c 24 /dev/urandom | "
				 "base64 > %s), or take token_file out of %s",
				 path, path, source->deployment->config->path);
	if (rc < 0)
		return error_prefix(err, "token_file");
	const char *const lf = text.len ? memchr(text.data, '\n', text.len) : NULL;
	const struct slice line = slice_trim((struct slice){text.data, lf ? (size_t)(lf - text.data) : text.len});
	const struct slice first = {line.data, line.len && line.data[line.len - 1] == '\r' ? line.len - 1 : line.len};
	if (!is_token(first))
		return error_set(err, ERROR_CONFIG,
				 "the first line of %s, the token_file, is no token: it is empty, or has blanks or "
				 "letters that are not ASCII; make one (head -c 24 /dev/urandom | base64 > %s)",
				 path, path);
	warn_of_readers(source, path, first.len);
	return buf_append(token, first.data, first.len) < 0 ? error_no_memory(err, first.len) : 0;
}

/* --- the driver --- */

static void close_source(struct source *source)
{
	struct http_server *const server = source->state;
	if (!server)
		return;
	http_queue_close(&server->queue, HTTP_STOPPING);
	for (struct http_request *at = http_queue_take(&server->queue); at;) {
		/* Only when the source's thread never ran, or failed at last. */
		struct http_request *const next = at->next;
		http_answer_error(&at->answer, 503, "stopping", "punchcard stops; send it again later");
		at->answer.retry_after_s = 5;
		http_queue_answer(&server->queue, at);
		at = next;
	}
	http_server_stop(server);
	if (server->listen_fd >= 0)
		close(server->listen_fd);
	http_queue_release(&server->queue);
	http_commit_release(&server->commit);
	http_flume_release(&server->flume);
	http_problems_release(&server->problems);
	event_json_free(server->json);
	buf_release(&server->token);
	pthread_mutex_destroy(&server->mutex);
	free(server);
	source->state = NULL;
}

static const char *unsafe(const struct source *source, const struct http_server *server)
{
	if (source->config->flume_http != HTTP_BODIES_EVENTS)
		return "whoever reaches this address can send events: put something before it that knows who may";
	return server->token.len ? NULL : "whoever reaches this address can send events: set token_file";
}

int source_http_open(struct source *source, const struct http_times *times, struct error *err)
{
	struct http_server *const server = calloc(1, sizeof(*server));
	if (!server)
		return error_no_memory(err, sizeof(*server));
	source->state = server;
	server->source = source;
	server->times = *times;
	server->listen_fd = -1;
	pthread_mutex_init(&server->mutex, NULL);
	int rc = http_queue_init(&server->queue, source->config->max_waiting, err);
	if (rc == 0)
		rc = event_json_new(source->deployment->config->customer_id, &server->json, err);
	if (rc == 0 && source->config->flume_http != HTTP_BODIES_EVENTS)
		rc = http_flume_open(&server->flume, source, err);
	if (rc == 0)
		rc = read_token(source, &server->token, err);
	if (rc == 0)
		rc = listen_open(source, unsafe(source, server), &server->listen_fd, err);
	if (rc == 0)
		rc = http_server_start(server, err);
	if (rc < 0) {
		close_source(source);
		return rc;
	}
	LOG_INFO("listening", log_text("source", source->config->name), log_text("listen", source->config->listen),
		 log_bool("token", server->token.len > 0));
	return 0;
}

static int open_source(struct source *source, struct error *err)
{
	return source_http_open(source, &HTTP_TIMES, err);
}

static int commit_waiting(struct source *source, struct error *err)
{
	struct http_server *const server = source->state;
	struct http_request *const list = http_queue_take(&server->queue);
	if (!list)
		return 0;
	return server->flume.lines ? http_flume_commit_all(&server->flume, source, &server->queue, list, err)
				   : http_commit_all(&server->commit, source, &server->queue, list, err);
}

static int run(struct source *source, struct error *err)
{
	struct http_server *const server = source->state;
	bool waits = false;
	int rc = 0;
	http_queue_close(&server->queue, HTTP_OPEN);
	while (rc == 0 && !source_must_stop(source)) {
		if (source_wait(source, server->queue.wake_fd, SWEEP_MS, POLLIN))
			rc = commit_waiting(source, err);
		else
			http_server_sweep(server);
		/* Requests are refused meanwhile, so this only shows it. */
		if (waits != !source_has_room(source)) {
			waits = !waits;
			metrics_source_state(source->metrics, waits ? METRICS_WAITING : METRICS_RUNNING);
		}
	}
	if (rc < 0) {
		http_queue_close(&server->queue, rc == ERROR_NO_SPACE ? HTTP_DISK_FULL : HTTP_JOURNAL_FAILED);
		return rc;
	}
	/* No new ones from here on; those that wait are taken. */
	http_queue_close(&server->queue, HTTP_STOPPING);
	return commit_waiting(source, err);
}

const struct source_driver source_http = {.open = open_source, .run = run, .close = close_source, .keeps_lines = true};
