#include "speed/intake_internal.h"

/* So much is skipped before it is asked whether to stop. */
#define SKIP_BYTES UINT64_C(16777216)

static int open_input(struct intake *intake, struct error *err)
{
	input_close(intake->in);
	intake->in = NULL;
	intake->line = 0;
	intake->in_long = false;
	intake->in_rest = false;
	csv_release(&intake->csv);
	csv_init(&intake->csv, order_format_delimiter(intake->format), order_format_is_csv(intake->format));
	/* Whoever may write into the spool must not make this read what only its owner may. */
	return input_open_with(intake->path, &(struct input_options){.no_follow = true}, &intake->in, err);
}

/* *unsettled: the header may not be whole yet, and nothing was consumed of it. */
static int take_header(struct intake *intake, bool *unsettled, struct error *err)
{
	for (;;) {
		struct input *const in = intake->in;
		size_t used;
		const enum csv_result result =
			csv_next(&intake->csv, input_data(in), input_len(in), input_at_eof(in), &used);
		if (result == CSV_END)
			return 0;
		if (result == CSV_MORE) {
			input_consume(in, used);
			const int rc = input_fill(in, err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (intake->csv.torn && !intake_has_settled(intake)) {
			*unsettled = true;
			return 0;
		}
		if (result != CSV_RECORD)
			return error_set(err, ERROR_INPUT, "%s: line 1 is no header of a CSV file", intake->path);
		const bool blank = intake->csv.raw.len == 0;
		if (!blank) {
			const int rc = order_format_header(intake->format, intake->csv.fields, intake->csv.n_fields,
							   intake->path, err);
			if (rc < 0)
				return rc;
		}
		intake->line += intake->csv.n_lines;
		input_consume(in, used);
		if (!blank)
			return 0;
	}
}

/* Stands at the first line that can be an order. */
static int open_at_first_line(struct intake *intake, bool *unsettled, struct error *err)
{
	*unsettled = false;
	const int rc = open_input(intake, err);
	return rc == 0 && order_format_is_csv(intake->format) ? take_header(intake, unsettled, err) : rc;
}

static int fail_changed(const struct intake *intake, struct error *err)
{
	return error_set(err, ERROR_INPUT, "%s changed while it was read; run again", intake->path);
}

/* Moves on until so much of the text is consumed. *reached: it is as long as that. */
static int skip_to(struct intake *intake, uint64_t offset, bool *reached, struct error *err)
{
	struct error fault = {0};
	int rc = 0;
	while (rc == 0 && input_offset(intake->in) < offset) {
		const uint64_t left = offset - input_offset(intake->in);
		rc = input_skip(intake->in, left < SKIP_BYTES ? left : SKIP_BYTES, &fault);
		if (rc == 0 && left > SKIP_BYTES && intake_asked_to_stop(intake))
			return intake_interrupted(err);
	}
	*reached = rc == 0;
	if (rc == 0 || (rc == ERROR_INPUT && input_at_eof(intake->in)))
		return 0;
	return error_set(err, rc, "%s", fault.message);
}

/* Finds the longest of the past texts that is a beginning of this one; NULL: none. */
static int find_past(struct intake *intake, struct past **match, struct error *err)
{
	*match = NULL;
	for (size_t i = 0; i < intake->n_past; i++) {
		struct past *const past = &intake->past[i];
		/* Nothing is to be told from no text, and what ends within the header is no beginning of records. */
		if (((past->kind == PAST_EARLIER || past->kind == PAST_RENAMED) && past->position.bytes == 0) ||
		    past->position.bytes < input_offset(intake->in))
			continue;
		bool reached;
		const int rc = skip_to(intake, past->position.bytes, &reached, err);
		if (rc < 0 || !reached)
			return rc;
		unsigned char digest[INPUT_DIGEST_BYTES];
		input_digest(intake->in, digest);
		if (memcmp(digest, past->digest, sizeof(digest)) == 0)
			*match = past;
	}
	return 0;
}

/* Stands behind the text with this length and digest, opening the file again when it is further. */
static int stand_behind(struct intake *intake, uint64_t offset, const unsigned char expected[INPUT_DIGEST_BYTES],
			struct error *err)
{
	if (input_offset(intake->in) != offset) {
		bool unsettled;
		bool reached = false;
		int rc = open_at_first_line(intake, &unsettled, err);
		if (rc == 0 && !unsettled && input_offset(intake->in) <= offset)
			rc = skip_to(intake, offset, &reached, err);
		if (rc < 0)
			return rc;
		if (!reached)
			return fail_changed(intake, err);
	}
	unsigned char digest[INPUT_DIGEST_BYTES];
	input_digest(intake->in, digest);
	return memcmp(digest, expected, sizeof(digest)) == 0 ? 0 : fail_changed(intake, err);
}

static int consume_all(struct intake *intake, struct error *err)
{
	int rc = 0;
	do {
		input_consume(intake->in, input_len(intake->in));
		if (!input_at_eof(intake->in))
			rc = input_fill(intake->in, err);
	} while (rc == 0 && !(input_at_eof(intake->in) && input_len(intake->in) == 0));
	return rc;
}

/* From now on the file goes by its content; then the input stands at its end. The ids of its orders tell what was had. Where
 * they have none, they would get those that the lines of the first text have. */
static int go_by_content(struct intake *intake, struct error *err)
{
	const int rc = consume_all(intake, err);
	if (rc < 0)
		return rc;
	unsigned char digest[INPUT_DIGEST_BYTES];
	input_digest(intake->in, digest);
	if (!order_format_has_ids(intake->format) && !intake->source->lines_only)
		intake->all_reason = REASON_FILE_NAME_REUSED;
	return intake_set_content_key(intake, digest, err);
}

bool intake_inside_line(const struct intake *intake)
{
	const int last = input_last_byte(intake->in);
	return last >= 0 && last != '\n';
}

/* Its errors are none of the file's. */
static int of_journal(struct intake *intake, int rc)
{
	intake->broken = intake->broken || rc < 0;
	return rc;
}

/* What comes behind a text that was read to its end: it is remembered that it ended here, and this file gets a position that
 * takes nothing from another. */
static int begin_behind_end(struct intake *intake, const struct past *past, struct error *err)
{
	if (past->kind != PAST_EARLIER)
		return of_journal(intake, intake_write_end(intake, &past->position, past->digest, err));
	int rc = go_by_content(intake, err);
	if (rc == 0)
		rc = stand_behind(intake, past->position.bytes, past->digest, err);
	return rc;
}

static int go_on_behind(struct intake *intake, const struct past *past, struct error *err)
{
	const struct intake_position *const position = &past->position;
	int rc = stand_behind(intake, position->bytes, past->digest, err);
	if (rc == 0 && past->kind != PAST_FIRST) {
		rc = intake_set_content_key(intake, past->key_digest, err);
		if (!order_format_has_ids(intake->format) && !intake->source->lines_only)
			intake->all_reason = REASON_FILE_NAME_REUSED;
	}
	/* Whether there is more is known after a read that finds nothing. */
	if (rc == 0 && input_len(intake->in) == 0)
		rc = input_fill(intake->in, err);
	if (rc == 0)
		rc = of_journal(intake, intake_begin_block(intake, err));
	if (rc == 0 && position->complete && input_len(intake->in))
		rc = begin_behind_end(intake, past, err);
	if (rc < 0)
		return rc;
	intake->line = position->line;
	intake->in_rest = intake_inside_line(intake);
	intake->had_quarantined = position->counts.quarantined != 0;
	if (past->kind != PAST_EARLIER)
		intake->had = position->counts;
	intake->had_all = position->complete;
	intake->had_offset = position->bytes;
	intake->counted_bytes = position->bytes;
	intake->had_file_bytes = position->file_bytes;
	return 0;
}

static int begin_other(struct intake *intake, struct error *err)
{
	bool unsettled;
	int rc = go_by_content(intake, err);
	if (rc == 0)
		rc = open_at_first_line(intake, &unsettled, err);
	return rc == 0 && unsettled ? fail_changed(intake, err) : rc;
}

/* Whether no line was taken of the first text: then another takes its place. */
static bool is_name_free(const struct intake *intake)
{
	for (size_t i = 0; i < intake->n_past; i++)
		if (intake->past[i].kind == PAST_FIRST && intake->past[i].position.counts.lines)
			return false;
	return true;
}

/* Goes to where the text that was had ends, or to its beginning when none of it was. */
static int find_place(struct intake *intake, bool was_put_away, enum resumed *out, struct error *err)
{
	struct past *past = NULL;
	int rc = find_past(intake, &past, err);
	if (rc == 0 && past && past->kind == PAST_RENAMED) {
		rc = of_journal(intake, intake_begin_block(intake, err));
		if (rc == 0)
			rc = of_journal(intake, intake_adopt(intake, past, err));
	}
	if (rc < 0)
		return rc;
	if (past)
		return go_on_behind(intake, past, err);
	bool unsettled = false;
	/* Another file, which has nothing to do with the one that had the name before. */
	if (intake->n_past && intake->past[0].kind == PAST_RENAMED) {
		intake->n_past = 0;
		rc = open_at_first_line(intake, &unsettled, err);
		if (rc < 0)
			return rc;
	}
	if (intake->n_past == 0) {
		intake->had_offset = input_offset(intake->in);
	} else if (is_name_free(intake)) {
		rc = open_at_first_line(intake, &unsettled, err);
		intake->had_offset = rc == 0 ? input_offset(intake->in) : 0;
	} else if (!was_put_away) {
		rc = begin_other(intake, err);
		intake->had_offset = rc == 0 ? input_offset(intake->in) : 0;
	} else {
		*out = RESUMED_UNKNOWN;
		rc = consume_all(intake, err);
	}
	return rc == 0 && unsettled ? fail_changed(intake, err) : rc;
}

int intake_resume(struct intake *intake, bool was_put_away, enum resumed *out, struct error *err)
{
	bool unsettled;
	intake->counted_bytes = 0;
	intake->had_all = false;
	intake->had_quarantined = false;
	intake->had = (struct intake_counts){0};
	intake->all_reason = 0;
	int rc = open_at_first_line(intake, &unsettled, err);
	if (rc < 0)
		return rc;
	*out = unsettled ? RESUMED_UNSETTLED : RESUMED_HERE;
	if (unsettled)
		return 0;
	rc = intake_read_past(intake, err);
	/* Others wait for the journal while this reads what it has read before. */
	if (rc == 0 && intake->n_past && input_stat_read(intake->in)->st_size > (off_t)BLOCK_BYTES)
		rc = of_journal(intake, intake_commit_block(intake, err));
	if (rc == 0)
		rc = find_place(intake, was_put_away, out, err);
	return rc == 0 ? of_journal(intake, intake_begin_block(intake, err)) : rc;
}

int intake_go_back(struct intake *intake, const struct mark *mark, struct error *err)
{
	/* A gzip file that has grown is read from its beginning. */
	if (input_offset(intake->in) == mark->offset && !input_is_gzip(intake->in))
		return input_fill(intake->in, err);
	int rc = open_input(intake, err);
	bool reached = false;
	if (rc == 0)
		rc = skip_to(intake, mark->offset, &reached, err);
	if (rc < 0)
		return rc;
	unsigned char digest[INPUT_DIGEST_BYTES];
	input_digest(intake->in, digest);
	if (!reached || memcmp(digest, mark->digest, sizeof(digest)) != 0)
		return fail_changed(intake, err);
	intake->line = mark->line;
	intake->in_rest = intake_inside_line(intake);
	return 0;
}
