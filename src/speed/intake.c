#include "speed/intake_internal.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define SETTLE_POLL_US 20000
/* Who keeps writing to a file is waited for so many times settle_ms. */
#define SETTLE_WAITS 3

int intake_open(const struct deployment *deployment, struct journal *journal, const struct intake_hooks *hooks,
		struct intake **out, struct error *err)
{
	struct intake *const intake = calloc(1, sizeof(*intake));
	struct finished *const finished = calloc(BLOCK_FILES, sizeof(*finished));
	if (!intake || !finished) {
		free(intake);
		free(finished);
		return error_no_memory(err, BLOCK_FILES * sizeof(*finished));
	}
	intake->deployment = deployment;
	intake->journal = journal;
	intake->hooks = *hooks;
	intake->finished = finished;
	*out = intake;
	return 0;
}

static void drop_finished(struct intake *intake)
{
	for (size_t i = 0; i < intake->n_finished; i++) {
		free(intake->finished[i].path);
		free(intake->finished[i].name);
	}
	intake->n_finished = 0;
}

void intake_close(struct intake *intake)
{
	if (!intake)
		return;
	if (intake->begun)
		journal_abort(intake->journal);
	drop_finished(intake);
	free(intake->finished);
	pending_release(&intake->pending);
	block_writer_release(&intake->block);
	buf_release(&intake->key);
	buf_release(&intake->label);
	buf_release(&intake->scratch);
	free(intake->past);
	input_close(intake->in);
	csv_release(&intake->csv);
	free(intake);
}

static void report(struct intake *intake, const struct intake_file *file)
{
	if (file->outcome == INTAKE_FAILED)
		intake->failed++;
	intake->hooks.file(intake->hooks.context, file);
}

/* Of the file that is looked at, and that stays where it is. */
static void report_here(struct intake *intake, const char *name, enum intake_outcome outcome,
			const struct intake_counts *counts, const char *message)
{
	intake->told++;
	report(intake, &(const struct intake_file){.source = intake->source->name,
						   .name = name,
						   .name_now = name,
						   .st = intake->st,
						   .outcome = outcome,
						   .counts = counts,
						   .message = message});
}

static void report_nothing_taken(struct intake *intake, const char *name, enum intake_outcome outcome,
				 const char *message)
{
	report_here(intake, name, outcome, &(const struct intake_counts){0}, message);
}

/* Blocks. */

static void set_now(struct intake *intake)
{
	intake->now_us = clock_now_us();
	intake->latest_us = intake->now_us + (int64_t)intake->deployment->config->future_limit_h * 3600 * MICROS;
}

int intake_begin_block(struct intake *intake, struct error *err)
{
	if (intake->begun)
		return 0;
	int rc = intake->hooks.before_block ? intake->hooks.before_block(intake->hooks.context, err) : 0;
	if (rc == 0)
		rc = journal_begin(intake->journal, err);
	if (rc < 0)
		return rc;
	set_now(intake);
	if (block_writer_begin(&intake->block, slice_of(intake->source->name), intake->now_us) < 0) {
		journal_abort(intake->journal);
		return error_no_memory(err, BLOCK_BYTES);
	}
	intake->begun = true;
	intake->read.block_us = intake->now_us;
	intake->label_written = false;
	return 0;
}

static void abort_block(struct intake *intake)
{
	if (intake->begun)
		journal_abort(intake->journal);
	intake->begun = false;
	intake->read = intake->durable;
}

/* What a path in the source's directory is called there; NULL: it is in another. */
static const char *name_of(const struct intake *intake, const char *path)
{
	const size_t len = strlen(intake->dir);
	return path && strncmp(path, intake->dir, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

static void put_finished_away(struct intake *intake)
{
	for (size_t i = 0; i < intake->n_finished; i++) {
		const struct finished *const file = &intake->finished[i];
		_cleanup_free_ char *path_now = NULL;
		const char *note;
		struct error fault = {0};
		const bool failed = intake_put_away(intake, file, &note, &path_now, &fault) < 0;
		report(intake, &(const struct intake_file){
				       .source = intake->source->name,
				       .name = file->name,
				       .name_now = name_of(intake, path_now),
				       .st = &file->st,
				       .outcome = failed ? INTAKE_FAILED : file->outcome,
				       .counts = &file->counts,
				       .message = failed ? fault.message
						  : note ? note
							 : file->note,
			       });
	}
	drop_finished(intake);
}

int intake_commit_block(struct intake *intake, struct error *err)
{
	if (!intake->begun) {
		put_finished_away(intake); /* nothing new was read of them */
		return 0;
	}
	int rc = 0;
	if (block_writer_has_records(&intake->block)) {
		uint64_t seq;
		rc = journal_append(intake->journal, block_writer_finish(&intake->block), &seq, err);
	}
	if (rc < 0) {
		abort_block(intake);
		return rc;
	}
	rc = journal_commit(intake->journal, err);
	intake->begun = false;
	if (rc < 0) {
		intake->read = intake->durable;
		return rc;
	}
	intake->durable = intake->read;
	put_finished_away(intake);
	intake->hooks.committed(intake->hooks.context, intake->lines);
	return 0;
}

bool intake_block_full(const struct intake *intake)
{
	return block_writer_size(&intake->block) >= BLOCK_BYTES || intake->n_finished >= BLOCK_FILES;
}

bool intake_asked_to_stop(const struct intake *intake)
{
	return intake->hooks.stop(intake->hooks.context);
}

int intake_interrupted(struct error *err)
{
	return error_set(err, ERROR_INTERRUPTED, "interrupted; running again goes on where it stopped");
}

/* Files. */

static int remember_finished(struct intake *intake, enum intake_outcome outcome, bool keep_name, struct error *err)
{
	struct finished *const file = &intake->finished[intake->n_finished];
	*file = (struct finished){
		.path = strdup(intake->path),
		.name = strdup(intake->name),
		.keep_name = keep_name,
		.has_quarantined = intake->had_quarantined || intake->counts.quarantined,
		.st = *input_stat_read(intake->in),
		.outcome = outcome,
		.note = intake->note,
		.counts = intake->counts,
	};
	if (!file->path || !file->name) {
		free(file->path);
		free(file->name);
		return error_no_memory(err, LIMIT_PATH_BYTES);
	}
	intake->n_finished++;
	intake->told++;
	return 0;
}

/* Waits until the file may be read on from the mark. What was read is made durable before, so that nothing else waits with it.
 * *given_up: somebody writes to it all the time. Afterwards a block is open. */
static int wait_until_settled(struct intake *intake, bool in_place, bool *given_up, struct error *err)
{
	const int rc = intake_commit_block(intake, err);
	if (rc < 0)
		return rc;
	/* At least once: who writes faster than this reads is waited for, too. */
	do {
		if (intake_asked_to_stop(intake))
			return intake_interrupted(err);
		const struct timespec pause = {.tv_nsec = SETTLE_POLL_US * 1000L};
		nanosleep(&pause, NULL);
		intake->waited_us += SETTLE_POLL_US;
		*given_up = intake->waited_us > (int64_t)intake->source->settle_ms * 1000 * SETTLE_WAITS;
	} while (!*given_up && !intake_is_quiet(intake) && !(in_place && intake_has_changed(intake)));
	return intake_begin_block(intake, err);
}

/* The end of the file was read, and is at the mark. */
static int finish(struct intake *intake, bool was_put_away, const struct mark *mark, struct error *err)
{
	const uint64_t file_bytes = (uint64_t)input_stat_read(intake->in)->st_size;
	if (!intake->had_all || mark->offset != intake->had_offset) {
		const int rc = intake_write_position(intake, mark, true, file_bytes, err);
		if (rc < 0)
			return rc;
		intake->read.files++;
		return remember_finished(intake, intake->all_reason ? INTAKE_REUSED : INTAKE_TAKEN, was_put_away, err);
	}
	int rc = 0;
	if (file_bytes != intake->had_file_bytes) { /* the same text, packed in another way */
		const struct intake_position end = {.complete = true,
						    .bytes = mark->offset,
						    .line = mark->line,
						    .file_bytes = file_bytes,
						    .counts = {.quarantined = intake->had_quarantined},
						    .time_us = intake->now_us};
		rc = intake_write_end(intake, &end, mark->digest, err);
	}
	return rc == 0 && !was_put_away ? remember_finished(intake, INTAKE_HAD, false, err) : rc;
}

/* Reads the file from where it stands, and notes how far it came. *faulty: it cannot be read to its end; the message is in
 * fault. */
static int read_on(struct intake *intake, bool was_put_away, bool *faulty, struct error *fault, struct error *err)
{
	for (;;) {
		struct mark mark;
		enum ending ending;
		int rc = intake_take_records(intake, &mark, &ending, fault);
		if (rc < 0)
			return error_set(err, rc, "%s", fault->message);
		if (ending == ENDING_WHOLE)
			return finish(intake, was_put_away, &mark, err);
		if (mark.offset != intake->had_offset)
			rc = intake_write_position(intake, &mark, false, 0, err);
		*faulty = ending == ENDING_FAULT;
		if (rc < 0 || *faulty)
			return rc;
		if (!intake->patient)
			return remember_finished(intake, INTAKE_GROWS, true, err);
		/* Where it is not in place the text would be read again from its beginning with each line that comes. */
		const bool in_place = mark.offset == input_offset(intake->in) && !input_is_gzip(intake->in);
		bool given_up = false;
		rc = wait_until_settled(intake, in_place, &given_up, err);
		if (rc < 0)
			return rc;
		if (given_up)
			return remember_finished(intake, INTAKE_GROWS, true, err);
		*faulty = intake_go_back(intake, &mark, fault) < 0;
		if (*faulty)
			return 0;
	}
}

/* It has the name of one that was put away, but another text: it is left alone. Said once. */
static int leave_unknown(struct intake *intake, struct error *err)
{
	unsigned char digest[INPUT_DIGEST_BYTES];
	input_digest(intake->in, digest);
	const int rc = intake_write_unknown(intake, digest, (uint64_t)input_stat_read(intake->in)->st_size, err);
	if (rc == 0)
		report_nothing_taken(intake, intake->name, INTAKE_SKIPPED,
				     "has grown or changed since it was put away, and is none of the files that were "
				     "read: if there are new orders in it, give it a new name");
	return rc;
}

/* *faulty: as read_on. */
static int read_file(struct intake *intake, bool was_put_away, bool *faulty, struct error *fault, struct error *err)
{
	for (;;) {
		enum resumed resumed;
		*faulty = intake_resume(intake, was_put_away, &resumed, fault) < 0;
		if (*faulty)
			return 0;
		if (resumed == RESUMED_HERE)
			return read_on(intake, was_put_away, faulty, fault, err);
		if (resumed == RESUMED_UNKNOWN)
			return leave_unknown(intake, err);
		bool given_up = !intake->patient;
		const int rc = given_up ? 0 : wait_until_settled(intake, false, &given_up, err);
		if (rc < 0)
			return rc;
		if (given_up)
			return remember_finished(intake, INTAKE_GROWS, true, err);
	}
}

/* Whether a file that cannot be read may only not be whole yet: a gzip file that is cut off, half a header. */
static bool may_be_unfinished(const struct intake *intake, const struct error *fault)
{
	return !intake->patient && intake->in && fault->code == ERROR_INPUT && !intake_has_settled(intake);
}

/* Takes one file. A fault of the file itself is reported; the result is negative only when the intake cannot go on. */
static int take_file(struct intake *intake, const char *name, size_t base_len, struct error *err)
{
	_cleanup_free_ char *path = text_printf("%s/%s", intake->dir, name);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	intake->name = name;
	intake->path = path;
	intake->label_written = false;
	intake->counts = (struct intake_counts){0};
	intake->note = NULL;
	intake->waited_us = 0;
	intake->counted = (struct intake_counts){0};
	int rc = intake_set_name(intake, name, base_len ? base_len : strlen(name), err);
	if (rc == 0)
		rc = intake_begin_block(intake, err);
	struct error fault = {0};
	bool faulty = false;
	if (rc == 0)
		rc = read_file(intake, base_len != 0, &faulty, &fault, err);
	if (rc == 0 && (intake->broken || fault.code == ERROR_NO_MEMORY || fault.code == ERROR_INTERRUPTED))
		rc = error_set(err, fault.code, "%s", fault.message);
	else if (rc == 0 && faulty && may_be_unfinished(intake, &fault))
		rc = remember_finished(intake, INTAKE_GROWS, true, err);
	else if (rc == 0 && faulty && fault.code != ERROR_NOT_FOUND) /* that is: taken away meanwhile */
		report_here(intake, name, INTAKE_FAILED, &intake->counts, fault.message);
	pending_clear(&intake->pending);
	input_close(intake->in);
	intake->in = NULL;
	csv_release(&intake->csv);
	if (rc == 0 && intake_block_full(intake))
		rc = intake_commit_block(intake, err);
	if (rc < 0)
		abort_block(intake);
	return rc;
}

/* Whether a file that was put away may have become longer since (whoever wrote it had not finished), or was being read again
 * for that reason when the process was killed. */
static int may_be_grown(struct intake *intake, const char *name, size_t base_len, const struct stat *st, bool *may,
			struct error *err)
{
	intake->path = name;
	int rc = intake_set_name(intake, name, base_len, err);
	if (rc == 0)
		rc = intake_begin_block(intake, err);
	if (rc == 0)
		rc = intake_read_past(intake, err);
	*may = rc == 0 && intake_may_be_grown(intake, (uint64_t)st->st_size);
	return rc;
}

/* What is no regular file. */
static const char *words_for(mode_t mode)
{
	if (S_ISDIR(mode))
		return "is a directory; put the files into the spool directory itself, or say `recursive: true`";
	if (S_ISLNK(mode))
		return "is a symbolic link; punchcard takes regular files only";
	return "is no regular file; write the orders into a file";
}

static bool is_move_target(const struct intake *intake, const char *name)
{
	return intake_ignores_dir(intake->deployment, intake->source, name);
}

int intake_take_entry(struct intake *intake, const char *name, enum intake_looked *looked, struct stat *st,
		      struct error *err)
{
	const char *const slash = strrchr(name, '/');
	const char *const own = slash ? slash + 1 : name;
	size_t base_len;
	_cleanup_free_ char *path = text_printf("%s/%s", intake->dir, name);
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	*looked = INTAKE_LOOK_NONE;
	if (!intake_wants(intake->source, own, &base_len))
		return 0;
	const bool ignored = base_len != 0;
	const uint64_t told = intake->told;
	intake->st = NULL;
	if (lstat(path, st) < 0) {
		struct error fault = {0};
		if (errno == ENOENT || errno == ENOTDIR)
			return 0; /* taken away since the directory was listed */
		error_errno(&fault, errno, "cannot look at %s; remove it or make it readable", path);
		report_nothing_taken(intake, name, INTAKE_FAILED, fault.message);
		*looked = INTAKE_LOOK_TOLD;
		return 0;
	}
	if (!S_ISREG(st->st_mode)) {
		if (ignored || (S_ISDIR(st->st_mode) && (intake->source->recursive || is_move_target(intake, name))))
			return 0;
		intake->st = st;
		report_nothing_taken(intake, name, INTAKE_SKIPPED, words_for(st->st_mode));
		*looked = INTAKE_LOOK_TOLD;
		return 0;
	}
	const size_t base_end = base_len ? (size_t)(own - name) + base_len : 0;
	int rc = 0;
	bool may = true;
	if (ignored)
		rc = may_be_grown(intake, name, base_end, st, &may, err);
	if (rc == 0 && may) {
		intake->st = st;
		rc = take_file(intake, name, base_end, err);
	}
	intake->st = NULL;
	*looked = intake->told != told ? INTAKE_LOOK_TOLD : ignored ? INTAKE_LOOK_SAME : INTAKE_LOOK_NONE;
	return rc;
}

/* Look by look. */

int intake_enter(struct intake *intake, const struct config_source *source, struct error *err)
{
	intake->source = source;
	intake->patient = false;
	intake->hold = false;
	intake->broken = false;
	intake->failed = 0;
	set_now(intake);
	intake->dir = deployment_path(intake->deployment, source->dir);
	if (!intake->dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	return order_format_open(intake->deployment, source->format, &intake->format, err);
}

void intake_leave(struct intake *intake)
{
	abort_block(intake);
	drop_finished(intake);
	order_format_close(intake->format);
	intake->format = NULL;
	free(intake->dir);
	intake->dir = NULL;
}

int intake_look(struct intake *intake, const char *name, const struct intake_how *how, enum intake_looked *looked,
		struct stat *st, struct error *err)
{
	intake->patient = false;
	intake->hold = !how->whole;
	intake->renamed_from = how->renamed_from;
	const int rc = intake_take_entry(intake, name, looked, st, err);
	intake->renamed_from = NULL;
	return rc;
}

int intake_commit(struct intake *intake, struct error *err)
{
	return intake_commit_block(intake, err);
}

bool intake_is_open(const struct intake *intake)
{
	return intake->begun;
}

void intake_durable(const struct intake *intake, struct intake_totals *out)
{
	*out = intake->durable;
}
