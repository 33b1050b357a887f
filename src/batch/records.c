#include "batch/records.h"

#include <stdlib.h>

/* Where an id (of type text) and its record are in records->bytes. */
struct records_entry {
	int64_t number;
	size_t text_at;
	size_t text_len;
	size_t at;
	size_t len;
};

int records_init(struct records *records, const struct programme *programme, struct error *err)
{
	*records = (struct records){.record = record_new(programme)};
	return records->record ? 0 : error_no_memory(err, sizeof(void *));
}

void records_release(struct records *records)
{
	record_free(records->record);
	free(records->entries);
	buf_release(&records->bytes);
	*records = (struct records){0};
}

static int make_one(struct records *records, const struct history_customer *customer)
{
	struct records_entry *const entry = &records->entries[records->n++];
	*entry = (struct records_entry){
		.number = customer->id.number, .text_at = records->bytes.len, .text_len = customer->id.text.len};
	record_reset(records->record);
	int rc = entry->text_len ? buf_append(&records->bytes, customer->id.text.data, entry->text_len) : 0;
	if (rc == 0)
		rc = record_of_history(records->record, customer->facts, customer->n_facts);
	entry->at = records->bytes.len;
	if (rc == 0)
		rc = record_encode(records->record, &records->bytes);
	entry->len = records->bytes.len - entry->at;
	return rc;
}

int records_make(struct records *records, const struct history_batch *batch, struct error *err)
{
	records->n = 0;
	buf_clear(&records->bytes);
	if (records->cap < batch->n_customers) {
		struct records_entry *const entries = realloc(records->entries, batch->n_customers * sizeof(*entries));
		if (!entries)
			return error_no_memory(err, batch->n_customers * sizeof(*entries));
		records->entries = entries;
		records->cap = batch->n_customers;
	}
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < batch->n_customers; i++)
		rc = make_one(records, &batch->customers[i]);
	return rc < 0 ? error_no_memory(err, batch->n_facts * sizeof(struct fact)) : 0;
}

struct slice records_get(const struct records *records, size_t i, struct customer_id *id)
{
	const struct records_entry *const entry = &records->entries[i];
	*id = (struct customer_id){.number = entry->number};
	if (entry->text_len)
		id->text = (struct slice){records->bytes.data + entry->text_at, entry->text_len};
	return (struct slice){records->bytes.data + entry->at, entry->len};
}
