#include "base/json.h"
#include "speed/http_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define MESSAGE_MAX 512

void http_response_release(struct http_response *answer)
{
	buf_release(&answer->text);
}

static void begin(struct http_response *answer, unsigned status)
{
	struct buf text = answer->text;
	buf_clear(&text);
	*answer = (struct http_response){.status = status, .text = text};
}

/* A text that is not whole is none: the status has to do. */
static void finish(struct http_response *answer, struct json *json)
{
	json_newline(json);
	if (json_finish(json, NULL) < 0)
		buf_clear(&answer->text);
}

static void begin_error(struct http_response *answer, struct json *json, unsigned status, const char *code,
			const char *message)
{
	begin(answer, status);
	json_to_buf(json, &answer->text);
	json_object(json);
	json_key(json, "error");
	json_object(json);
	json_key(json, "code");
	json_text(json, code);
	json_key(json, "message");
	json_text(json, message);
}

static void finish_error(struct http_response *answer, struct json *json)
{
	json_end_object(json);
	json_end_object(json);
	finish(answer, json);
}

void http_answer_error(struct http_response *answer, unsigned status, const char *code, const char *format, ...)
{
	char message[MESSAGE_MAX];
	struct json json;
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	begin_error(answer, &json, status, code, message);
	finish_error(answer, &json);
}

void http_answer_taken(struct http_response *answer, uint64_t accepted, uint64_t duplicates)
{
	struct json json;
	begin(answer, 200);
	json_to_buf(&json, &answer->text);
	json_object(&json);
	json_key(&json, "accepted");
	json_uint(&json, accepted);
	json_key(&json, "duplicates");
	json_uint(&json, duplicates);
	json_end_object(&json);
	finish(answer, &json);
}

void http_answer_done(struct http_response *answer)
{
	begin(answer, 200);
}

void http_answer_health(struct http_response *answer, const char *status)
{
	struct json json;
	begin(answer, strcmp(status, "ok") == 0 ? 200 : 503);
	json_to_buf(&json, &answer->text);
	json_object(&json);
	json_key(&json, "status");
	json_text(&json, status);
	json_end_object(&json);
	finish(answer, &json);
}

/* --- events that cannot be taken --- */

const char *http_reason_words(enum quarantine_reason reason)
{
	switch (reason) {
	case REASON_ENCODING:
		return "it is not UTF-8, or has half of a surrogate pair";
	case REASON_NUL_BYTE:
		return "it has a zero byte";
	case REASON_TOO_LONG:
		return "it has over 1 MiB";
	case REASON_CUSTOMER_ID:
		return "customer is not of the type that this deployment has, or a guest's who has no points";
	case REASON_EVENT_ID:
		return "event_id is missing, no text, or not of 1 to 64 bytes";
	case REASON_TIME:
		return "time is missing, or neither RFC 3339 with an offset nor whole seconds since 1970";
	case REASON_TIME_RANGE:
		return "time is before 1970, after 2199, or in the future";
	case REASON_QUANTITY:
		return "qty is no number above 0 of at most 3 decimals, or too large";
	case REASON_PRICE:
		return "price is no number of at most 2 decimals, or too large";
	case REASON_AMOUNT:
		return "amount is missing though it is needed, no number of at most 2 decimals, not the sum of the "
		       "lines, or too large";
	case REASON_NAME:
		return "store, sku, menu, ledger, reward or reason is no text, or has over 256 bytes";
	case REASON_ID_CONFLICT:
		return "this event_id was taken with other content; an event that differs needs an id of its own";
	case REASON_ORDER_LINES:
		return "lines are missing, empty, no list of objects, or over 10,000";
	case REASON_JSON:
		return "it is not one JSON object";
	case REASON_KIND:
		return "kind is missing, or not order, refund, redeem or adjust";
	case REASON_FIELD:
		return "it has a key that this kind has not, or one twice, or accepted is neither true nor false";
	case REASON_POINTS:
		return "points are missing though they are needed, no number of at most 3 decimals, or out of range";
	case REASON_ORDER_ID:
		return "order is missing, no text, or not of 1 to 64 bytes";
	default:
		return "it cannot be taken";
	}
}

void http_problems_add(struct http_problems *problems, const struct http_problem *problem)
{
	const uint64_t n = problems->n++;
	if (n >= HTTP_PROBLEMS)
		return;
	struct http_problem *const own = &problems->first[n];
	*own = *problem;
	own->id_at = problems->ids.len;
	if (buf_append(&problems->ids, problem->id.data, problem->id.len) < 0)
		own->id.len = 0;
}

void http_problems_release(struct http_problems *problems)
{
	buf_release(&problems->ids);
}

static void write_problem(struct json *json, const struct http_problems *problems, const struct http_problem *problem)
{
	json_object(json);
	json_key(json, "index");
	json_uint(json, problem->index);
	if (problem->line) {
		json_key(json, "line");
		json_uint(json, problem->line);
	}
	json_key(json, "reason");
	json_text(json, quarantine_reason_name(problem->reason));
	json_key(json, "message");
	json_text(json, problem->words);
	if (problem->id.len) {
		json_key(json, "event_id");
		json_slice(json, (struct slice){problems->ids.data + problem->id_at, problem->id.len});
	}
	json_end_object(json);
}

void http_answer_problems(struct http_response *answer, unsigned status, const char *code,
			  const struct http_problems *problems, uint64_t n_events)
{
	const struct http_problem *const first = &problems->first[0];
	char message[MESSAGE_MAX];
	struct json json;
	snprintf(message, sizeof(message), "nothing of this request was taken: event %llu (from 0): %s%s",
		 (unsigned long long)first->index, first->words, problems->n > 1 ? "; and others" : "");
	begin_error(answer, &json, status, code, message);
	json_key(&json, "bad");
	json_uint(&json, problems->n);
	if (n_events) {
		json_key(&json, "of");
		json_uint(&json, n_events);
	}
	json_key(&json, "events");
	json_array(&json);
	for (uint64_t i = 0; i < problems->n && i < HTTP_PROBLEMS; i++)
		write_problem(&json, problems, &problems->first[i]);
	json_end_array(&json);
	finish_error(answer, &json);
}
