#include "speed/admit.h"
#include "speed/http_internal.h"

#include "base/clock.h"
#include "base/log.h"

void http_commit_release(struct http_commit *commit)
{
	block_writer_release(&commit->block);
	buf_release(&commit->scratch);
	buf_release(&commit->states);
	http_problems_release(&commit->problems);
}

/* --- one request --- */

struct taking {
	struct http_commit *commit;
	struct source *source;
	struct slice name;
	struct http_request *request;
	uint64_t accepted;
	uint64_t duplicates;
};

static int take_event(struct taking *taking, const struct block_record *record, struct error *err)
{
	struct http_commit *const commit = taking->commit;
	enum journal_id_state state = JOURNAL_ID_NEW;
	int rc = admit_event(taking->source->journal, taking->name, &record->event, &commit->scratch, &state, err);
	const char known = (char)state;
	if (rc == 0 && buf_append(&commit->states, &known, 1) < 0)
		rc = error_no_memory(err, 1);
	if (rc < 0)
		return rc;
	switch (state) {
	case JOURNAL_ID_NEW:
		taking->accepted++;
		return block_writer_event(&commit->block, &record->event, false, record->line) < 0
			       ? error_no_memory(err, HTTP_BLOCK_BYTES)
			       : 0;
	case JOURNAL_ID_SAME:
		taking->duplicates++;
		return 0;
	default:
		http_problems_add(&commit->problems,
				  &(const struct http_problem){.index = record->line - 1,
							       .reason = REASON_ID_CONFLICT,
							       .words = http_reason_words(REASON_ID_CONFLICT),
							       .id = record->event.id});
		return 0;
	}
}

/* So that nobody can tell that it ever came. */
static int forget_event(struct taking *taking, const struct block_record *record, struct error *err)
{
	struct http_commit *const commit = taking->commit;
	if (commit->states.data[record->line - 1] != JOURNAL_ID_NEW)
		return 0;
	return admit_forget(taking->source->journal, taking->name, &record->event, &commit->scratch, err);
}

static int each_event(struct taking *taking,
		      int (*each)(struct taking *taking, const struct block_record *record, struct error *err),
		      struct error *err)
{
	struct block_reader reader;
	struct block_record record;
	int rc = block_reader_open(&reader, block_writer_finish(&taking->request->block), err);
	if (rc < 0)
		return rc;
	while ((rc = block_reader_next(&reader, &record, err)) == 1 && (rc = each(taking, &record, err)) == 0)
		;
	block_reader_release(&reader);
	return rc;
}

/* Into the transaction and the block, and its answer for when they are durable; or, when one of its events contradicts what was
 * had, nothing of it. */
static int take_request(struct taking *taking, struct error *err)
{
	struct http_commit *const commit = taking->commit;
	struct http_request *const request = taking->request;
	const struct block_writer_mark mark = block_writer_mark(&commit->block);
	commit->problems.n = 0;
	buf_clear(&commit->problems.ids);
	buf_clear(&commit->states);
	taking->accepted = taking->duplicates = 0;
	int rc = each_event(taking, take_event, err);
	if (rc == 0 && commit->problems.n) {
		block_writer_rewind(&commit->block, &mark);
		taking->accepted = taking->duplicates = 0;
		http_answer_problems(&request->answer, 409, "id_conflict", &commit->problems, request->n_events);
		rc = each_event(taking, forget_event, err);
	} else if (rc == 0) {
		http_answer_taken(&request->answer, taking->accepted, taking->duplicates);
	}
	return rc;
}

/* --- a transaction --- */

static void count(struct source_counts *counts, const struct taking *taking)
{
	const struct http_request *const request = taking->request;
	if (taking->accepted + taking->duplicates == 0)
		return;
	counts->events += taking->accepted;
	counts->duplicates += taking->duplicates;
	counts->lines += taking->accepted + taking->duplicates;
	counts->bytes += request->bytes;
	if (!counts->first_us || request->read_us < counts->first_us)
		counts->first_us = request->read_us;
}

/* What `status` counts. Requests are known by the ids of their events, so nothing is ever read on from there. */
static int set_position(struct source *source, const struct source_counts *counts, uint64_t rows,
			struct stream_position *position, struct error *err)
{
	struct intake_position *const common = &position->common;
	if (counts->lines == 0)
		return 0;
	common->bytes += counts->bytes;
	common->line += counts->lines;
	common->counts.lines += counts->lines;
	common->counts.rows += rows;
	common->counts.events += counts->events;
	common->counts.duplicates += counts->duplicates;
	common->time_us = clock_now_us();
	return stream_position_set_pipe(source->journal, source->config->name, position, err);
}

static int append_block(struct http_commit *commit, struct source *source, struct error *err)
{
	uint64_t seq;
	return commit->block.n_events ? journal_append(source->journal, block_writer_finish(&commit->block), &seq, err)
				      : 0;
}

/* As many of the list as a block holds. *behind: the first that it has not. */
static int commit_some(struct http_commit *commit, struct source *source, struct http_request *list,
		       struct http_request **behind, struct error *err)
{
	struct source_counts counts = {0};
	struct stream_position next = commit->position;
	struct taking taking = {.commit = commit, .source = source, .name = slice_of(source->config->name)};
	int rc = journal_begin(source->journal, err);
	if (rc < 0)
		return rc;
	if (block_writer_begin(&commit->block, taking.name, clock_now_us()) < 0)
		rc = error_no_memory(err, HTTP_BLOCK_BYTES);
	struct http_request *at = list;
	for (; rc == 0 && at && block_writer_size(&commit->block) < HTTP_BLOCK_BYTES; at = at->next) {
		taking.request = at;
		rc = take_request(&taking, err);
		if (rc == 0)
			count(&counts, &taking);
	}
	if (rc == 0)
		rc = append_block(commit, source, err);
	if (rc == 0)
		rc = set_position(source, &counts, commit->block.n_lines, &next, err);
	if (rc < 0) {
		journal_abort(source->journal);
		return rc;
	}
	rc = journal_commit(source->journal, err);
	if (rc < 0)
		return rc;
	commit->position = next;
	source_committed(source, &counts);
	*behind = at;
	return 0;
}

void http_refuse_all(struct http_queue *queue, struct http_request *list, int code)
{
	while (list) {
		struct http_request *const next = list->next;
		if (code == ERROR_NO_SPACE)
			http_answer_error(&list->answer, 503, "disk_full",
					  "there is no room for it on the disk; send it again later");
		else
			http_answer_error(&list->answer, 503, "journal",
					  "it could not be made durable; send it again later");
		list->answer.retry_after_s = 5;
		http_queue_answer(queue, list);
		list = next;
	}
}

int http_commit_all(struct http_commit *commit, struct source *source, struct http_queue *queue,
		    struct http_request *list, struct error *err)
{
	int rc = commit->known
			 ? 0
			 : stream_position_read_pipe(source->journal, source->config->name, &commit->position, err);
	commit->known = rc == 0;
	while (list) {
		struct http_request *behind = NULL;
		if (rc == 0)
			rc = commit_some(commit, source, list, &behind, err);
		if (rc < 0) {
			http_refuse_all(queue, list, rc);
			return rc;
		}
		while (list != behind) {
			struct http_request *const next = list->next;
			if (list->answer.status == 409)
				LOG_WARNING("a request was refused: an id was taken with other content",
					    log_text("source", source->config->name),
					    log_uint("events", list->n_events));
			http_queue_answer(queue, list);
			list = next;
		}
	}
	return 0;
}
