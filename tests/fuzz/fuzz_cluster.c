/*
 * What comes out of HBase: the first byte chooses the decoder, the rest is its input. What is read is written as the same bytes, where
 * there is one way to write it.
 */
#include "base/tz.h"
#include "store/cells_hbase_json.h"
#include "store/cluster_bytes.h"

#include <stdlib.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void same(const struct buf *out, struct slice in)
{
	require(slice_equal((struct slice){out->data, out->len}, in));
}

static void read_key(enum customer_id_type type, struct slice in)
{
	struct customer_id id;
	struct cluster_key again;
	struct error err = {0};
	if (cluster_key_read(type, in, &id, &err) < 0) {
		require(err.code == ERROR_CORRUPT && err.message[0]);
		return;
	}
	require(cluster_key_of(type, &id, &again, NULL) == 0);
	require(slice_equal((struct slice){again.bytes, again.len}, in));
}

static void read_profile(struct slice in)
{
	_cleanup_buf_ struct buf out = {0};
	struct profile profile;
	struct error err = {0};
	if (cluster_profile_read(in, &profile, &err) < 0) {
		require(err.code == ERROR_CORRUPT && err.message[0]);
		return;
	}
	require(cluster_profile_write(&profile, &out) == 0);
	same(&out, in);
}

static void read_state(struct slice in)
{
	_cleanup_buf_ struct buf out = {0};
	struct cluster_edge edges[CLUSTER_EDGES_MAX];
	struct cluster_state state;
	struct error err = {0};
	if (cluster_state_read(in, edges, &state, &err) < 0) {
		require(err.code == ERROR_CORRUPT && err.message[0]);
		return;
	}
	require(cluster_state_write(&state, &out, NULL) == 0);
	same(&out, in);
}

static void read_event(struct slice in)
{
	static struct tz *zone;
	struct cluster_event event = {0};
	struct error err = {0};
	if (!zone)
		require(tz_load("Asia/Bangkok", &zone, NULL) == 0);
	if (cluster_event_read(in, zone, &event, &err) < 0) {
		require(err.code == ERROR_CORRUPT && err.message[0]);
	} else {
		char name[CLUSTER_EVENT_NAME_BYTES];
		int64_t sum = 0;
		cluster_event_name(event.source, &event.event, name);
		for (uint32_t i = 0; i < event.event.n_lines; i++)
			sum ^= event.event.lines[i].amount_minor;
		require(event.edge.len > 0 && event.day >= 0 && sum != INT64_MIN);
	}
	cluster_event_release(&event);
}

/* The input is what a good checksum is of. */
static void read_checked_event(struct slice in)
{
	static const char head[] = "\1\4east\7PCB1";
	char *const value = malloc(sizeof(head) - 1 + 8 + in.len);
	require(value != NULL);
	memcpy(value, head, sizeof(head) - 1);
	put_u64(value + sizeof(head) - 1, XXH3_64bits(in.data, in.len));
	memcpy(value + sizeof(head) - 1 + 8, in.data, in.len);
	read_event((struct slice){value, sizeof(head) - 1 + 8 + in.len});
	free(value);
}

static int take_row(void *context, const struct cells_row *row, struct error *err)
{
	size_t *const rows = context;
	(void)err;
	require(row->key.len > 0 && row->n > 0);
	for (size_t i = 0; i < row->n; i++)
		require(memchr(row->cells[i].column.data, ':', row->cells[i].column.len) != NULL);
	return ++*rows == 50;
}

static void read_rows(struct slice in)
{
	struct hbase_rows rows = {0};
	struct error err = {0};
	size_t n = 0;
	int rc = hbase_rows_read(&rows, in, take_row, &n, &err);
	if (rc == 0)
		rc = hbase_rows_flush(&rows, take_row, &n, &err);
	require(rc == 0 || rc == 1 || (rc == ERROR_CORRUPT && err.message[0]));
	hbase_rows_release(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct slice in = {(const char *)data + 1, size - 1};
	switch (data[0] % 7) {
	case 0:
		read_key(CUSTOMER_ID_INTEGER, in);
		break;
	case 1:
		read_key(CUSTOMER_ID_TEXT, in);
		break;
	case 2:
		read_profile(in);
		break;
	case 3:
		read_state(in);
		break;
	case 4:
		read_event(in);
		break;
	case 5:
		read_checked_event(in);
		break;
	default:
		read_rows(in);
		break;
	}
	return 0;
}
