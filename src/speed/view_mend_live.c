/* Mending while the view goes on: view_mend.h. */
#include "base/file.h"
#include "base/limits.h"
#include "batch/records.h"
#include "speed/view_mend.h"

#include <stdlib.h>

struct view_record_place {
	size_t at;
	size_t len;
};

int view_mend_list(struct view *view, size_t most, struct id_list *ids, uint64_t *offset, struct error *err)
{
	struct view_walk *walk = NULL;
	int rc = view_read_begin(view, err);
	if (rc == 0)
		rc = view_offset(view, offset, err);
	if (rc == 0)
		rc = view_walk_open_marked(view, &walk, err);
	for (bool found = true; rc == 0 && found && ids->n < most;) {
		struct customer_id id;
		struct slice record;
		rc = view_walk_next(walk, &id, &record, &found, err);
		if (rc == 0 && found)
			rc = id_list_add(ids, &id, err);
	}
	view_walk_close(walk);
	view_read_end(view);
	id_list_settle(ids);
	return rc;
}

/* A place is one batch's records. */
struct making {
	const struct programme *programme;
	const struct view_mend_stop *stop;
	struct view_records *out;
};

static int open_place(void *context, void **place, struct error *err)
{
	const struct making *const making = context;
	struct records *const records = malloc(sizeof(*records));
	if (!records)
		return error_no_memory(err, sizeof(*records));
	const int rc = records_init(records, making->programme, err);
	if (rc < 0)
		free(records);
	else
		*place = records;
	return rc;
}

static void close_place(void *context, void *place)
{
	(void)context;
	records_release(place);
	free(place);
}

static int work(void *context, void *place, const struct history_batch *batch, struct error *err)
{
	(void)context;
	return records_make(place, batch, err);
}

static int add(struct view_records *out, const struct customer_id *id, struct slice record, struct error *err)
{
	if (out->n == out->cap) {
		const size_t cap = out->cap ? out->cap * 2 : 64;
		struct view_record_place *const places = reallocarray(out->places, cap, sizeof(*places));
		if (!places)
			return error_no_memory(err, cap * sizeof(*places));
		out->places = places;
		out->cap = cap;
	}
	out->places[out->n] = (struct view_record_place){.at = out->bytes.len, .len = record.len};
	if (buf_append(&out->bytes, record.data, record.len) < 0)
		return error_no_memory(err, record.len);
	out->n++;
	return id_list_add(&out->ids, id, err);
}

static int commit(void *context, void *place, struct error *err)
{
	const struct making *const making = context;
	const struct records *const records = place;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < records->n; i++) {
		struct customer_id id;
		const struct slice record = records_get(records, i, &id);
		rc = add(making->out, &id, record, err);
	}
	return rc;
}

static bool go_on(void *context, uint64_t rows, uint64_t total)
{
	(void)rows;
	(void)total;
	const struct making *const making = context;
	return !making->stop->asked || !making->stop->asked(making->stop->context);
}

int view_mend_make(const struct deployment *deployment, const struct id_list *ids,
		   const struct history_journal *journal, const struct view_mend_stop *stop, struct view_records *out,
		   struct error *err)
{
	struct making making = {.programme = deployment->programme, .stop = stop, .out = out};
	_cleanup_free_ char *tmp_dir = text_printf("%s/mend", deployment->tmp_dir);
	if (!tmp_dir)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	out->ids.id_type = ids->id_type;
	const struct history_options options = {.offset = journal->offset,
						.from_day = DAY_MIN,
						.until_day = DAY_MAX,
						.customers = ids->ids,
						.n_customers = ids->n,
						.threads = 1, /* the view and the sources go on */
						.tmp_dir = tmp_dir,
						.progress = go_on,
						.progress_context = &making};
	const struct history_sink sink = {
		.open = open_place, .work = work, .commit = commit, .close = close_place, .context = &making};
	int rc = history_check(deployment, journal, err);
	if (rc == 0)
		rc = file_make_dirs(tmp_dir, err);
	if (rc == 0 && journal->offset > 1)
		rc = history_run(deployment, deployment->programme, &options, &sink, err);
	id_list_settle(&out->ids);
	return rc < 0 ? error_prefix(err, "making marked accounts again") : 0;
}

struct slice view_records_get(const struct view_records *records, size_t i, struct customer_id *id)
{
	const struct view_record_place *const place = &records->places[i];
	*id = records->ids.ids[i];
	return (struct slice){records->bytes.data + place->at, place->len};
}

void view_records_release(struct view_records *records)
{
	id_list_release(&records->ids);
	free(records->places);
	buf_release(&records->bytes);
	*records = (struct view_records){0};
}
