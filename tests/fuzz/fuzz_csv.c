/*
 * CSV records from any bytes: read whole and in two pieces, they must be the same; every record goes through the check of
 * customer files. The first byte chooses the dialect, the second where the pieces meet.
 */
#include "base/csv.h"
#include "base/utf8.h"
#include "batch/customer_format.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* What was read, as bytes that can be compared. */
static void note(struct buf *notes, const struct csv *csv, enum csv_result result)
{
	require(buf_printf(notes, "%d %u %zu:", result, csv->n_lines, csv->raw.len) == 0);
	require(buf_append(notes, csv->raw.data, csv->raw.len) == 0);
	for (unsigned i = 0; result == CSV_RECORD && i < csv->n_fields; i++) {
		require(buf_printf(notes, "|%zu:", csv->fields[i].len) == 0);
		require(buf_append(notes, csv->fields[i].data, csv->fields[i].len) == 0);
	}
}

static void check_record(struct customer_format *format, const struct csv *csv)
{
	if (slice_trim(csv->raw).len == 0)
		return;
	struct customer_row row;
	enum customer_reason reason;
	require(customer_format_parse(format, csv, &row, &reason, NULL) == 0);
	if (reason != CUSTOMER_GOOD)
		return;
	require(row.id_number != 0);
	require(utf8_valid(row.name.data, row.name.len) && row.name.len <= LIMIT_CUSTOMER_TEXT_BYTES);
	require(utf8_valid(row.card_no.data, row.card_no.len));
}

/* Reads text, of which `first` bytes come before the rest. */
static void read_text(const char *text, size_t len, size_t first, uint8_t dialect, struct customer_format *format,
		      struct buf *notes)
{
	static const char DELIMITERS[] = {',', ';', '|', '\t'};
	struct csv csv;
	csv_init(&csv, DELIMITERS[dialect & 3], (dialect & 4) == 0);
	size_t at = 0;
	size_t have = first;
	for (;;) {
		size_t used;
		const enum csv_result result = csv_next(&csv, text + at, have - at, have == len, &used);
		require(used <= have - at);
		at += used;
		if (result == CSV_END)
			break;
		if (result == CSV_MORE) {
			require(have < len);
			have = len;
			continue;
		}
		require(used > 0);
		note(notes, &csv, result);
		if (result == CSV_RECORD)
			check_record(format, &csv);
	}
	require(at == len);
	csv_release(&csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct config config = {.customer_id = CUSTOMER_ID_INTEGER};
	struct customer_format *format = NULL;
	require(customer_format_new(&config, "classic", &format, NULL) == 0);
	const size_t len = size - 2;
	const char *const text = (const char *)data + 2;
	struct buf whole = {0};
	struct buf pieces = {0};
	read_text(text, len, len, data[0], format, &whole);
	read_text(text, len, len * data[1] / 256, data[0], format, &pieces);
	require(whole.len == pieces.len && (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0));
	struct buf escaped = {0};
	require(utf8_escape(&escaped, text, len, 100) == 0);
	require(escaped.len <= 103 && utf8_valid(escaped.data, escaped.len));
	buf_release(&escaped);
	buf_release(&whole);
	buf_release(&pieces);
	customer_format_free(format);
	return 0;
}
