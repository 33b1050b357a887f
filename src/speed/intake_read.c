#include "speed/intake_internal.h"

#include "base/clock.h"

static const char REST[] = "a line that had no end when it was read has got one: what was added to it is left out";

bool intake_has_changed(const struct intake *intake)
{
	struct stat now;
	return input_stat_now(intake->in, &now, NULL) == 0 && !intake_same_file(&now, input_stat_read(intake->in));
}

bool intake_is_quiet(const struct intake *intake)
{
	const int64_t settle_us = (int64_t)intake->source->settle_ms * 1000;
	struct stat now;
	if (settle_us == 0 || input_stat_now(intake->in, &now, NULL) < 0)
		return true;
	const int64_t age_us = clock_now_us() - ((int64_t)now.st_mtim.tv_sec * MICROS + now.st_mtim.tv_nsec / 1000);
	return age_us < 0 || age_us >= settle_us;
}

bool intake_has_settled(const struct intake *intake)
{
	return intake->source->settle_ms == 0 || (!intake_has_changed(intake) && intake_is_quiet(intake));
}

/* Goes to the end of a line of which the beginning was taken, or to the end of the file when it has none yet. */
static int skip_rest(struct intake *intake, struct error *err)
{
	while (intake->in_rest) {
		struct input *const in = intake->in;
		const size_t len = input_len(in);
		const char *const data = input_data(in);
		const char *const lf = len ? memchr(data, '\n', len) : NULL;
		const size_t used = lf ? (size_t)(lf - data) + 1 : len;
		if (used > 2 || (used && data[0] != '\r' && data[0] != '\n'))
			intake->note = REST;
		input_consume(in, used);
		intake->in_rest = !lf;
		if (lf || input_at_eof(in))
			return 0;
		const int rc = input_fill(in, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

enum step { STEP_RECORD, STEP_AGAIN, STEP_END, STEP_UNSETTLED, STEP_FAULT };

/* At the end of the text: whether more of it may come that belongs to what was read, or that would be lost. */
static enum step end_here(const struct intake *intake)
{
	const bool must_settle =
		pending_any(&intake->pending) || intake->hold || intake->source->when_done != WHEN_DONE_RENAME;
	return must_settle && !intake_has_settled(intake) ? STEP_UNSETTLED : STEP_END;
}

/* Finds the next record that can be taken. STEP_FAULT: the file cannot be read on (the message is in err, the result 0). */
static int next_record(struct intake *intake, enum csv_result *result, size_t *used, enum step *step, struct error *err)
{
	struct input *const in = intake->in;
	*step = STEP_FAULT;
	if (skip_rest(intake, err) < 0)
		return 0;
	*result = csv_next(&intake->csv, input_data(in), input_len(in), input_at_eof(in), used);
	if (*result == CSV_NO_MEMORY)
		return error_no_memory(err, LIMIT_LINE_BYTES);
	if (*result != CSV_MORE && *result != CSV_END) {
		*step = intake->csv.torn && !intake_has_settled(intake) ? STEP_UNSETTLED : STEP_RECORD;
		return 0;
	}
	if (*result == CSV_MORE) {
		if (*used && !intake->in_long) {
			intake_mark_here(intake, &intake->long_start);
			intake->in_long = true;
		}
		input_consume(in, *used);
	}
	const size_t before = input_len(in);
	if (input_fill(in, err) < 0)
		return 0;
	*step = *result == CSV_MORE || input_len(in) > before ? STEP_AGAIN : end_here(intake);
	return 0;
}

static void consume_record(struct intake *intake, size_t used)
{
	intake->line += intake->csv.n_lines;
	input_consume(intake->in, used);
	intake->in_long = false;
	intake->in_rest = intake->csv.torn && intake_inside_line(intake);
}

int intake_take_records(struct intake *intake, struct mark *mark, enum ending *ending, struct error *err)
{
	enum step step;
	do {
		enum csv_result result;
		size_t used;
		int rc = next_record(intake, &result, &used, &step, err);
		if (rc == 0 && step == STEP_RECORD)
			rc = intake_take_text(intake, result, (struct slice){input_data(intake->in), used}, err);
		if (rc == 0 && step == STEP_END)
			rc = intake_flush_pending(intake, err);
		if (rc < 0)
			return rc;
		if (step == STEP_RECORD)
			consume_record(intake, used);
	} while (step == STEP_RECORD || step == STEP_AGAIN);
	*ending = step == STEP_END ? ENDING_WHOLE : step == STEP_UNSETTLED ? ENDING_UNSETTLED : ENDING_FAULT;
	if (pending_any(&intake->pending))
		*mark = intake->order_start.mark;
	else
		intake_mark_here(intake, mark);
	intake_give_up_pending(intake);
	return 0;
}
