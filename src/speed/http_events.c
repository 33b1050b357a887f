#include "base/limits.h"
#include "base/utf8.h"
#include "speed/admit.h"
#include "speed/http_internal.h"
#include "speed/http_split.h"

#include <limits.h>
#include <zlib.h>

/* --- gzip --- */

#define GZIP_ONLY  (15 + 16) /* inflateInit2: the largest window, and a gzip head */
#define STEP_BYTES ((size_t)(64u * 1024u))

/* Room for more of the text: one byte more than the limit is let in, so that what is just as long is told from what is longer. */
static int make_room(z_stream *z, size_t limit, struct buf *out, struct error *err)
{
	const size_t left = limit + 1 - out->len;
	const size_t step = left < STEP_BYTES ? left : STEP_BYTES;
	if (buf_reserve(out, step) < 0)
		return error_no_memory(err, step);
	z->next_out = (unsigned char *)out->data + out->len;
	z->avail_out = (unsigned)step;
	return 0;
}

static int unpack(z_stream *z, size_t limit, struct buf *out, struct error *err)
{
	for (;;) {
		int rc = make_room(z, limit, out, err);
		if (rc < 0)
			return rc;
		const unsigned room = z->avail_out;
		rc = inflate(z, Z_NO_FLUSH);
		out->len += room - z->avail_out;
		if (out->len > limit)
			return error_set(err, ERROR_LIMIT, "unpacked, it has more than %zu bytes", limit);
		if (rc == Z_STREAM_END) {
			if (z->avail_in == 0)
				return 0;
			rc = inflateReset(z);
		}
		if (rc == Z_MEM_ERROR)
			return error_no_memory(err, STEP_BYTES);
		if (rc == Z_BUF_ERROR || (rc == Z_OK && z->avail_in == 0 && z->avail_out > 0))
			return error_set(err, ERROR_INPUT, "the gzip data is cut");
		if (rc != Z_OK)
			return error_set(err, ERROR_INPUT, "the gzip data is damaged, or none");
	}
}

int http_gunzip(struct slice packed, size_t limit, struct buf *out, struct error *err)
{
	union {
		const char *in;
		unsigned char *out;
	} const bytes = {.in = packed.data};
	z_stream z = {.next_in = bytes.out, .avail_in = (unsigned)packed.len};
	if (packed.len > UINT_MAX)
		return error_set(err, ERROR_LIMIT, "it has over 4 GiB");
	if (inflateInit2(&z, GZIP_ONLY) != Z_OK)
		return error_no_memory(err, STEP_BYTES);
	const int rc = unpack(&z, limit, out, err);
	inflateEnd(&z);
	return rc;
}

/* --- events --- */

static int read_event(struct event_json *json, struct slice text, int64_t latest_us, struct event *event)
{
	if (text.len > LIMIT_LINE_BYTES)
		return REASON_TOO_LONG;
	if (memchr(text.data, '\0', text.len))
		return REASON_NUL_BYTE;
	if (!utf8_valid(text.data, text.len))
		return REASON_ENCODING;
	const int reason = event_json_read(json, text, latest_us, event);
	return reason == 0 && !admit_is_within_limit(event) ? REASON_AMOUNT : reason;
}

int http_events_read(struct event_json *json, const struct deployment *deployment, struct slice body, int64_t now_us,
		     struct block_writer *block, uint64_t *n, struct http_problems *problems)
{
	const int64_t latest_us = now_us + (int64_t)deployment->config->future_limit_h * 3600 * HTTP_MICROS;
	struct http_split split;
	struct http_piece piece;
	uint64_t index = 0;
	int rc;
	problems->n = 0;
	buf_clear(&problems->ids);
	if (block_writer_begin(block, SLICE(""), now_us) < 0)
		return ERROR_NO_MEMORY;
	http_split_begin(&split, body);
	for (; (rc = http_split_next(&split, &piece)) == 1; index++) {
		struct event event;
		const int reason = read_event(json, piece.text, latest_us, &event);
		if (reason < 0)
			return reason;
		if (reason) {
			const enum quarantine_reason why = (enum quarantine_reason)reason;
			http_problems_add(problems, &(const struct http_problem){.index = index,
										 .line = piece.line,
										 .reason = why,
										 .words = http_reason_words(why)});
		} else if (problems->n == 0 && block_writer_event(block, &event, false, index + 1) < 0) {
			return ERROR_NO_MEMORY;
		}
	}
	*n = index;
	if (rc < 0)
		http_problems_add(problems, &(const struct http_problem){.index = index,
									 .line = piece.line,
									 .reason = REASON_JSON,
									 .words = piece.problem});
	return problems->n ? ERROR_INPUT : 0;
}
