/*
 * The events in the body of a request, each as the exact text that stands there, so that numbers keep their digits.
 *
 *     struct http_split split;
 *     http_split_begin(&split, body);
 *     while ((rc = http_split_next(&split, &piece)) == 1)
 *             …piece.text, piece.line…
 *     if (rc < 0)
 *             …piece.line, piece.problem…
 *
 * A body is a JSON array of events, one event alone, in any layout, or NDJSON: an event a line, blank lines are nothing. Which of
 * these, it tells by itself. A byte order mark at the beginning is left out. Only what stands around the events is judged here;
 * that a piece is JSON, and an event, event_json.h says. So a body is an array if and only if none is broken and every piece is
 * JSON.
 *
 * Not tied to a thread; allocates nothing. The body must outlive it.
 */
#ifndef PUNCHCARD_SPEED_HTTP_SPLIT_H
#define PUNCHCARD_SPEED_HTTP_SPLIT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum http_split_form {
	HTTP_SPLIT_LINES = 0,
	HTTP_SPLIT_ARRAY,
	HTTP_SPLIT_ONE,
};

struct http_split {
	const char *at;
	const char *end;
	uint64_t line; /* where `at` stands, from 1 */
	enum http_split_form form;
	bool begun; /* a piece was found already */
	bool ended;
};

struct http_piece {
	struct slice text;   /* without white space around it; never empty */
	uint64_t line;       /* of the body, from 1, where it begins */
	const char *problem; /* when broken: what is wrong there, a static text */
};

void http_split_begin(struct http_split *split, struct slice body);
/* 1 and *piece; 0 when there are no more; -1 when an array is broken: *piece has line and problem, and
 * there is no going on. */
int http_split_next(struct http_split *split, struct http_piece *piece);

#endif
