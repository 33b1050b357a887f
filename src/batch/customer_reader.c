#include "batch/customer_reader.h"

#include "base/input.h"

#include <stdlib.h>

struct customer_reader {
	const char *shown;
	struct customer_format *format;
	struct input *in;
	bool saw_header;
	uint64_t next_number;
	struct csv csv;
};

/* The next record that is not blank, good or bad, and the number of its line. */
static int next_record(struct customer_reader *reader, enum csv_result *result, uint64_t *number, struct error *err)
{
	struct input *const in = reader->in;
	for (;;) {
		size_t used;
		*result = csv_next(&reader->csv, input_data(in), input_len(in), input_at_eof(in), &used);
		input_consume(in, used);
		switch (*result) {
		case CSV_MORE: {
			const int rc = input_fill(in, err);
			if (rc < 0)
				return rc;
			continue;
		}
		case CSV_NO_MEMORY:
			return error_no_memory(err, CSV_WINDOW_BYTES);
		case CSV_END:
			return 0;
		default:
			*number = reader->next_number;
			reader->next_number += reader->csv.n_lines;
			if (*result != CSV_RECORD || slice_trim(reader->csv.raw).len)
				return 0;
		}
	}
}

static int read_header(struct customer_reader *reader, struct error *err)
{
	enum csv_result result;
	uint64_t number;
	const int rc = next_record(reader, &result, &number, err);
	if (rc < 0 || result == CSV_END)
		return rc;
	if (result != CSV_RECORD)
		return error_set(err, ERROR_INPUT,
				 "%s:%llu: no header of a CSV file; the format '%s' needs one with the columns of its "
				 "mapping",
				 reader->shown, (unsigned long long)number, customer_format_name(reader->format));
	reader->saw_header = true;
	return customer_format_header(reader->format, &reader->csv, reader->shown, err);
}

int customer_reader_open(const char *path, const char *shown, struct customer_format *format,
			 struct customer_reader **out, struct error *err)
{
	struct customer_reader *const reader = calloc(1, sizeof(*reader));
	if (!reader)
		return error_no_memory(err, sizeof(*reader));
	reader->shown = shown;
	reader->format = format;
	reader->next_number = 1;
	csv_init(&reader->csv, customer_format_delimiter(format), true);
	int rc = input_open_with(path, &(struct input_options){.shown = shown}, &reader->in, err);
	if (rc == 0 && customer_format_has_header(format))
		rc = read_header(reader, err);
	if (rc < 0) {
		customer_reader_close(reader);
		return rc;
	}
	*out = reader;
	return 0;
}

void customer_reader_close(struct customer_reader *reader)
{
	if (!reader)
		return;
	csv_release(&reader->csv);
	input_close(reader->in);
	free(reader);
}

int customer_reader_next(struct customer_reader *reader, struct customer_line *line, struct error *err)
{
	enum csv_result result;
	int rc = next_record(reader, &result, &line->number, err);
	if (rc < 0)
		return rc;
	line->end = result == CSV_END;
	if (line->end)
		return 0;
	line->raw = reader->csv.raw;
	switch (result) {
	case CSV_TOO_LONG:
		line->reason = CUSTOMER_TOO_LONG;
		return 0;
	case CSV_BAD_QUOTE:
		line->reason = CUSTOMER_BAD_QUOTE;
		return 0;
	case CSV_TOO_WIDE:
		line->reason = CUSTOMER_COLUMN_COUNT;
		return 0;
	default:
		return customer_format_parse(reader->format, &reader->csv, &line->row, &line->reason, err);
	}
}

bool customer_reader_saw_header(const struct customer_reader *reader)
{
	return reader->saw_header;
}
