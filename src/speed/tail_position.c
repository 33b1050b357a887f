#include "speed/tail_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

static int load_text(void *context, uint64_t number, const struct stream_position *position, struct error *err)
{
	struct tail *const tail = context;
	_cleanup_free_ char *name = slice_dup(position->name);
	if (!name)
		return error_no_memory(err, position->name.len);
	struct text *const text = tail_add_text(tail, name, err);
	if (!text)
		return ERROR_NO_MEMORY;
	free(text->name);
	text->name = NULL;
	text->state = TEXT_KNOWN;
	tail->last_number = text->number = number;
	text->stored = true;
	text->generation = position->generation;
	text->dev = position->dev;
	text->ino = position->ino;
	text->complete = position->common.complete;
	text->bytes = position->common.bytes;
	text->line = position->common.line;
	text->in_rest = position->in_rest;
	text->had = position->common.counts;
	text->time_us = position->common.time_us;
	text->head_print = position->head;
	text->before_print = position->before;
	return 0;
}

int tail_load_texts(struct tail *tail, struct error *err)
{
	struct journal *const journal = tail->source->journal;
	int rc = journal_begin(journal, err);
	if (rc < 0)
		return rc;
	rc = stream_position_each_text(journal, tail->source->config->name, load_text, tail, err);
	journal_abort(journal);
	return rc;
}

uint32_t tail_bytes_before(const struct text *text, uint64_t to, unsigned char out[STREAM_PRINT_BYTES])
{
	const struct lines_stream *const stream = &text->stream;
	const size_t in_window = (size_t)(to - stream->at);
	const size_t from_window = in_window < STREAM_PRINT_BYTES ? in_window : STREAM_PRINT_BYTES;
	size_t from_before = STREAM_PRINT_BYTES - from_window;
	if (from_before > text->known->before_len)
		from_before = text->known->before_len;
	memcpy(out, text->known->before + text->known->before_len - from_before, from_before);
	if (from_window)
		memcpy(out + from_before, stream->window.data + in_window - from_window, from_window);
	return (uint32_t)(from_before + from_window);
}

int tail_store(struct tail *tail, struct text *text, bool taken, bool complete, struct error *err)
{
	const struct lines_stream *const stream = &text->stream;
	struct stream_position position = {
		.common = {.complete = complete,
			   .bytes = text->bytes,
			   .line = text->line,
			   .counts = text->had,
			   .time_us = taken ? clock_now_us() : text->time_us},
		.in_rest = text->in_rest,
		.dev = text->dev,
		.ino = text->ino,
		.generation = text->generation,
		.name = slice_of(text->own_name),
	};
	if (text->has_stream) {
		const struct lines_place *const place = taken ? &stream->next : &stream->durable;
		position.common.bytes = place->bytes;
		position.common.line = place->line;
		position.in_rest = place->in_rest;
		intake_counts_add(&position.common.counts, &stream->counts);
		if (taken)
			intake_counts_add(&position.common.counts, &stream->next_counts);
	}
	text->next_before_print = text->before_print;
	text->next_head_print = text->head_print;
	if (taken) {
		/* A line that is too long for the window, and goes on, was begun before it: nothing has changed then. */
		if (stream->next.bytes >= stream->at) {
			unsigned char before[STREAM_PRINT_BYTES];
			const uint32_t len = tail_bytes_before(text, stream->next.bytes, before);
			stream_print_make((struct slice){(const char *)before, len}, &text->next_before_print);
		}
		text->known->next_before_len = tail_bytes_before(text, stream->next_at, text->known->next_before);
	}
	if (text->has_stream && text->head_print.len < STREAM_PRINT_BYTES &&
	    position.common.bytes > text->head_print.len) {
		const uint64_t len =
			position.common.bytes < text->known->head_len ? position.common.bytes : text->known->head_len;
		stream_print_make((struct slice){(const char *)text->known->head, (size_t)len}, &text->next_head_print);
	}
	position.before = text->next_before_print;
	position.head = text->next_head_print;
	return stream_position_set_text(tail->source->journal, tail->source->config->name, text->number, &position,
					err);
}

void tail_stored(struct text *text, bool taken, bool complete)
{
	text->store = false;
	text->stored = true;
	text->complete = complete;
	text->before_print = text->next_before_print;
	text->head_print = text->next_head_print;
	if (!taken)
		return;
	text->time_us = clock_now_us();
	text->known->before_len = text->known->next_before_len;
	memcpy(text->known->before, text->known->next_before, text->known->before_len);
}

void tail_not_stored(struct tail *tail)
{
	for (size_t i = 0; i < tail->n_texts; i++)
		if (!tail->texts[i]->stored) {
			tail->texts[i]->generation = 0;
			tail->texts[i]->named = false;
		}
}

/* "orders.log", then "orders.log#2" … A name that ends like that itself always gets a number, so that no two are alike. */
int tail_name(struct tail *tail, struct text *text, struct error *err)
{
	if (text->named)
		return 0;
	if (text->generation == 0) {
		const int rc = stream_position_generation(tail->source->journal, tail->source->config->name,
							  slice_of(text->own_name), &text->generation, err);
		if (rc < 0)
			return rc;
	}
	const char *const hash = strrchr(text->own_name, '#');
	const bool numbered = hash && hash[1] && strspn(hash + 1, "0123456789") == strlen(hash + 1);
	_cleanup_free_ char *label =
		text->generation > 1 || numbered
			? text_printf("%s#%llu", text->own_name, (unsigned long long)text->generation)
			: strdup(text->own_name);
	if (!label)
		return error_no_memory(err, strlen(text->own_name));
	const int rc = lines_stream_name(&text->stream, slice_of(label), err);
	text->named = rc == 0;
	text->stream.skip_nuls = text->generation > 1;
	return rc;
}
