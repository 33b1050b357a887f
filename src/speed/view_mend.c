#include "speed/view_mend.h"

#include "batch/records.h"
#include "speed/view_writer.h"

#include <stdlib.h>

/* More than one marked account in so many: all are made, in one pass over the sorted history. */
#define MARKED_FEW 4u

struct mender {
	struct view *view;
	const struct programme *programme;
	bool all; /* into a view without accounts */
	struct view_mend_stop stop;
	uint64_t mended;
};

static void close_place(void *context, void *place)
{
	(void)context;
	records_release(place);
	free(place);
}

static int open_place(void *context, void **place, struct error *err)
{
	const struct mender *const mender = context;
	struct records *const records = malloc(sizeof(*records));
	if (!records)
		return error_no_memory(err, sizeof(*records));
	const int rc = records_init(records, mender->programme, err);
	if (rc < 0)
		free(records);
	else
		*place = records;
	return rc;
}

static int work(void *context, void *place, const struct history_batch *batch, struct error *err)
{
	(void)context;
	return records_make(place, batch, err);
}

static int commit(void *context, void *place, struct error *err)
{
	struct mender *const mender = context;
	const struct records *const records = place;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < records->n; i++) {
		struct customer_id id;
		const struct slice record = records_get(records, i, &id);
		rc = mender->all ? view_account_append(mender->view, &id, record, err)
				 : view_account_put(mender->view, &id, record, err);
		if (rc == 0 && !mender->all)
			rc = view_unmark(mender->view, &id, err);
	}
	mender->mended += records->n;
	return rc;
}

static bool go_on(void *context, uint64_t rows, uint64_t total)
{
	(void)rows;
	(void)total;
	const struct mender *const mender = context;
	return !mender->stop.asked || !mender->stop.asked(mender->stop.context);
}

/* In the view's write transaction, which it ends. */
static int run(struct mender *mender, const struct deployment *deployment, const struct history_options *options,
	       struct error *err)
{
	const struct history_sink sink = {
		.open = open_place, .work = work, .commit = commit, .close = close_place, .context = mender};
	/* Before the first block nothing was written. */
	const int rc = options->offset > 1 ? history_run(deployment, deployment->programme, options, &sink, err) : 0;
	if (rc == 0)
		return view_write_commit(mender->view, options->offset, err);
	view_write_abort(mender->view);
	return rc;
}

static int check_stop(const struct view_mend_stop *stop, struct error *err)
{
	if (!stop->asked || !stop->asked(stop->context))
		return 0;
	return error_set(err, ERROR_INTERRUPTED, "interrupted; the next `punchcard collect --once` does it");
}

int view_mend_all(struct view *view, const struct deployment *deployment, const struct history_journal *journal,
		  const struct view_mend_stop *stop, struct error *err)
{
	struct mender mender = {.view = view, .programme = deployment->programme, .all = true, .stop = *stop};
	const struct history_options options = {.offset = journal->offset,
						.from_day = DAY_MIN,
						.until_day = DAY_MAX,
						.progress = go_on,
						.progress_context = &mender};
	int rc = check_stop(stop, err);
	if (rc == 0)
		rc = history_check(deployment, journal, err);
	if (rc < 0)
		return error_prefix(err, "making the customer view again");
	rc = view_accounts_clear(view, err);
	if (rc == 0)
		rc = view_writer_set_current(view, deployment->programme, err);
	if (rc < 0)
		view_write_abort(view);
	else
		rc = run(&mender, deployment, &options, err);
	return rc < 0 ? error_prefix(err, "making the customer view again") : 0;
}

/* The marked customers; the ids' texts are copied, for the view's pages change while it is written. */
struct marked {
	struct customer_id *ids;
	size_t n;
	struct buf texts;
};

static void release_marked(struct marked *marked)
{
	free(marked->ids);
	buf_release(&marked->texts);
}

static int add_marked(struct marked *marked, size_t cap, const struct customer_id *id, struct error *err)
{
	if (marked->n == cap)
		return error_set(err, ERROR_CORRUPT,
				 "the customer view has more marked accounts than it says; move "
				 "data/view away and run `punchcard collect --once`");
	if (id->text.len && buf_append(&marked->texts, id->text.data, id->text.len) < 0)
		return error_no_memory(err, marked->texts.len * 2);
	marked->ids[marked->n++] = *id;
	return 0;
}

static int list_marked(struct view *view, uint64_t count, struct marked *marked, struct error *err)
{
	struct view_walk *walk = NULL;
	marked->ids = calloc(count, sizeof(*marked->ids));
	if (!marked->ids)
		return error_no_memory(err, count * sizeof(*marked->ids));
	int rc = view_walk_open_marked(view, &walk, err);
	for (bool found = true; rc == 0 && found;) {
		struct customer_id id;
		struct slice record;
		rc = view_walk_next(walk, &id, &record, &found, err);
		if (rc == 0 && found)
			rc = add_marked(marked, count, &id, err);
	}
	view_walk_close(walk);
	size_t at = 0;
	for (size_t i = 0; rc == 0 && i < marked->n; i++) {
		struct slice *const text = &marked->ids[i].text;
		if (!text->len)
			continue;
		text->data = marked->texts.data + at;
		at += text->len;
	}
	return rc;
}

static int read_marked(struct view *view, uint64_t offset, struct marked *marked, bool *many, struct error *err)
{
	uint64_t profiles;
	uint64_t accounts = 0;
	uint64_t count = 0;
	uint64_t own = 0;
	int rc = view_read_begin(view, err);
	if (rc == 0)
		rc = view_marked_count(view, &count, err);
	if (rc == 0)
		rc = view_counts(view, &profiles, &accounts, err);
	if (rc == 0)
		rc = view_offset(view, &own, err);
	if (rc == 0 && count && own != offset)
		rc = error_set(err, ERROR_IO,
			       "the customer view is at block %llu of the journal, the table at block %llu; run "
			       "`punchcard collect --once` again",
			       (unsigned long long)own - 1, (unsigned long long)offset - 1);
	if (rc == 0 && count)
		rc = list_marked(view, count, marked, err);
	view_read_end(view);
	*many = count > accounts / MARKED_FEW;
	return rc;
}

int view_mend_marked(struct view *view, const struct deployment *deployment, const struct history_journal *journal,
		     const struct view_mend_stop *stop, uint64_t *n, struct error *err)
{
	__attribute__((cleanup(release_marked))) struct marked marked = {0};
	struct mender mender = {.view = view, .programme = deployment->programme, .stop = *stop};
	bool many = false;
	int rc = read_marked(view, journal->offset, &marked, &many, err);
	if (rc == 0 && marked.n)
		rc = check_stop(stop, err);
	if (rc == 0 && marked.n && many)
		rc = view_mend_all(view, deployment, journal, stop, err);
	if (rc == 0 && marked.n && !many) {
		const struct history_options options = {.offset = journal->offset,
							.from_day = DAY_MIN,
							.until_day = DAY_MAX,
							.customers = marked.ids,
							.n_customers = marked.n,
							.progress = go_on,
							.progress_context = &mender};
		rc = history_check(deployment, journal, err);
		if (rc == 0)
			rc = view_write_begin(view, err);
		if (rc == 0)
			rc = run(&mender, deployment, &options, err);
	}
	if (rc < 0)
		return error_prefix(err, "making marked accounts again");
	if (n)
		*n = many ? marked.n : mender.mended;
	return 0;
}
