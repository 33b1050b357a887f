/*
 * Requests to the http source of a Flume agent. Flume's events are texts without an end; punchcard's are lines. So what a body has is
 * written one behind the other with a newline behind each, which is also how Flume's sinks write it, and taken as a stream of lines that is
 * whole: all of a request in one block, or nothing.
 */
#include "speed/http_internal.h"
#include "speed/http_split.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>

/* Of an event: the object, its headers, and whatever else is in it. */
#define DEPTH 32

/* --- bodies --- */

static bool is_plain(const struct json_object *value)
{
	return !json_object_is_type(value, json_type_object) && !json_object_is_type(value, json_type_array);
}

/* NULL: they are fine. Sinks need none of them: docs/flume.md. */
static const char *check_headers(struct json_object *headers)
{
	if (!headers)
		return NULL;
	if (!json_object_is_type(headers, json_type_object))
		return "headers is no object";
	json_object_object_foreach(headers, name, value)
	{
		(void)name;
		if (!is_plain(value))
			return "a header is no text";
	}
	return NULL;
}

static int add_line(struct slice text, struct buf *lines)
{
	return buf_append(lines, text.data, text.len) < 0 || buf_append(lines, "\n", 1) < 0 ? ERROR_NO_MEMORY : 0;
}

/* 0; ERROR_INPUT and *why; ERROR_NO_MEMORY. */
static int read_event(struct json_object *event, struct buf *lines, const char **why)
{
	struct json_object *headers = NULL;
	struct json_object *body = NULL;
	json_object_object_get_ex(event, "headers", &headers);
	*why = check_headers(headers);
	if (*why)
		return ERROR_INPUT;
	*why = "its body is no text";
	if (!json_object_object_get_ex(event, "body", &body) || !body)
		return add_line(SLICE(""), lines);
	if (!is_plain(body))
		return ERROR_INPUT;
	const char *const text = json_object_get_string(body);
	if (!text)
		return ERROR_NO_MEMORY;
	const size_t len =
		json_object_is_type(body, json_type_string) ? (size_t)json_object_get_string_len(body) : strlen(text);
	return add_line((struct slice){text, len}, lines);
}

static int read_piece(struct json_tokener *tokener, struct slice text, struct buf *lines, const char **why)
{
	*why = "it is no object with a body";
	if (text.data[0] != '{')
		return ERROR_INPUT;
	*why = "it is not UTF-8";
	if (!utf8_valid(text.data, text.len))
		return ERROR_INPUT;
	*why = "it is too large";
	if (text.len > INT_MAX)
		return ERROR_INPUT;
	json_tokener_reset(tokener);
	errno = 0;
	struct json_object *const event = json_tokener_parse_ex(tokener, text.data, (int)text.len);
	*why = "it is no JSON";
	if (!event)
		return errno == ENOMEM ? ERROR_NO_MEMORY : ERROR_INPUT;
	const int rc = json_tokener_get_parse_end(tokener) == text.len ? read_event(event, lines, why) : ERROR_INPUT;
	json_object_put(event);
	return rc;
}

static int read_json(struct slice body, struct buf *lines, uint64_t *n, struct error *err)
{
	struct http_split split;
	struct http_piece piece;
	http_split_begin(&split, body);
	if (split.form != HTTP_SPLIT_ARRAY)
		return error_set(err, ERROR_INPUT,
				 "expected a list of events: [{\"headers\": {}, \"body\": \"…\"}, …]");
	struct json_tokener *const tokener = json_tokener_new_ex(DEPTH);
	if (!tokener)
		return error_no_memory(err, sizeof(piece));
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	const char *why = "";
	int rc = 0;
	int more;
	for (*n = 0; (more = http_split_next(&split, &piece)) == 1; ++*n) {
		rc = read_piece(tokener, piece.text, lines, &why);
		if (rc < 0)
			break;
	}
	json_tokener_free(tokener);
	if (rc == 0 && more < 0) {
		why = piece.problem;
		rc = ERROR_INPUT;
	}
	return rc == ERROR_INPUT ? error_set(err, ERROR_INPUT, "event %" PRIu64 " (from 0): %s", *n, why) : rc;
}

int http_flume_read(enum http_bodies bodies, struct slice body, struct buf *lines, uint64_t *n, struct error *err)
{
	if (bodies == HTTP_BODIES_FLUME_JSON)
		return read_json(body, lines, n, err);
	*n = body.len > 0;
	if (!body.len)
		return 0;
	if (buf_append(lines, body.data, body.len) < 0 ||
	    (body.data[body.len - 1] != '\n' && buf_append(lines, "\n", 1) < 0))
		return error_no_memory(err, body.len);
	return 0;
}

/* --- the source's thread --- */

int http_flume_open(struct http_flume *flume, struct source *source, struct error *err)
{
	return lines_open(source, &flume->lines, err);
}

void http_flume_release(struct http_flume *flume)
{
	lines_close(flume->lines);
	*flume = (struct http_flume){0};
}

static int open_stream(struct http_flume *flume, struct http_request *request, struct stream_position *next,
		       struct error *err)
{
	const int64_t start = stream_position_start(next, request->read_us);
	_cleanup_free_ char *name = text_printf("http-%" PRId64, start);
	struct lines_stream *const stream = calloc(1, sizeof(*stream));
	if (!name || !stream) {
		free(stream);
		return error_no_memory(err, sizeof(*stream));
	}
	const int rc = lines_stream_open(flume->lines, stream, slice_of(name), &(const struct lines_place){0}, err);
	if (rc < 0) {
		free(stream);
		return rc;
	}
	/* The text is the stream's from here on; the request goes on counting it as memory that is held. */
	stream->window = request->body;
	request->body = (struct buf){0};
	lines_added(stream, 0, request->read_us);
	request->stream = stream;
	return 0;
}

static void close_streams(struct http_request *list, const struct http_request *behind)
{
	for (; list != behind; list = list->next) {
		if (list->stream)
			lines_stream_close(list->stream);
		free(list->stream);
		list->stream = NULL;
	}
}

/* As many of the list as a block holds. *behind: the first that it has not. */
static int commit_some(struct http_flume *flume, struct source *source, struct http_request *list,
		       struct http_request **behind, struct error *err)
{
	struct stream_position next = flume->position;
	struct http_request *at = list;
	int rc = lines_begin(flume->lines, err);
	while (rc == 0 && at && !lines_full(flume->lines)) {
		struct http_request *const request = at;
		at = at->next;
		rc = open_stream(flume, request, &next, err);
		if (rc == 0)
			rc = lines_take(flume->lines, request->stream, LINES_WHOLE, err);
		if (rc == 0)
			lines_add_to(request->stream, &next.common);
	}
	if (rc == 0)
		rc = stream_position_set_pipe(source->journal, source->config->name, &next, err);
	if (rc < 0)
		lines_abort(flume->lines);
	else
		rc = lines_commit(flume->lines, 0, false, err);
	close_streams(list, at);
	if (rc < 0)
		return rc;
	flume->position = next;
	*behind = at;
	return 0;
}

int http_flume_commit_all(struct http_flume *flume, struct source *source, struct http_queue *queue,
			  struct http_request *list, struct error *err)
{
	int rc = 0;
	if (!flume->known)
		rc = stream_position_read_pipe(source->journal, source->config->name, &flume->position, err);
	flume->known = rc == 0;
	while (rc == 0 && list) {
		struct http_request *behind = NULL;
		rc = commit_some(flume, source, list, &behind, err);
		while (rc == 0 && list != behind) {
			struct http_request *const next = list->next;
			http_answer_done(&list->answer);
			http_queue_answer(queue, list);
			list = next;
		}
	}
	if (rc < 0)
		http_refuse_all(queue, list, rc);
	return rc;
}
