#include "batch/parquet_file.h"

#include "base/bytes.h"
#include "base/file.h"
#include "batch/parquet_encode.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

/* A row group has so many rows, or, of long texts, so many bytes. */
#define GROUP_ROWS  122880u
#define GROUP_BYTES ((size_t)32 * 1024 * 1024)
/* A dictionary is worth it up to so many values, which 10 bits count. */
#define WORDS_MAX  1024u
#define SLOTS      4096u
#define MAGIC      "PAR1"
#define CREATED_BY "punchcard"

/* Names of the format's Thrift definitions. */
enum physical { PHYSICAL_INT32 = 1, PHYSICAL_INT64 = 2, PHYSICAL_BYTE_ARRAY = 6 };
enum converted {
	CONVERTED_UTF8 = 0,
	CONVERTED_DECIMAL = 5,
	CONVERTED_DATE = 6,
	CONVERTED_TIMESTAMP_MICROS = 10,
	CONVERTED_INT_32 = 17,
	CONVERTED_INT_64 = 18,
	CONVERTED_NONE = -1
};
enum encoding {
	ENCODING_PLAIN = 0,
	ENCODING_RLE = 3,
	ENCODING_DELTA_BINARY_PACKED = 5,
	ENCODING_DELTA_LENGTH = 6,
	ENCODING_DELTA_BYTE_ARRAY = 7,
	ENCODING_RLE_DICTIONARY = 8
};
enum page { PAGE_DATA = 0, PAGE_DICTIONARY = 2 };
enum repetition { REPETITION_REQUIRED = 0, REPETITION_OPTIONAL = 1 };

struct column {
	struct parquet_column as;
	/* Of the row group: values that are there, and which rows have one. */
	int64_t *values; /* numbers, or the lengths of texts */
	size_t n;
	struct buf bytes;
	uint32_t *levels; /* 1: there */
};

struct parquet_file {
	int fd;
	char *path;
	uint64_t size;
	struct column columns[PARQUET_COLUMNS_MAX];
	unsigned n_columns;
	uint32_t rows; /* of the row group */
	size_t text_bytes;
	bool failed; /* out of memory in this row */
	/* Of the file: row groups as the footer has them. */
	struct buf groups;
	uint32_t n_groups;
	uint64_t n_rows;
	/* Scratch. */
	struct buf out; /* the row group's pages */
	struct buf page;
	struct buf words;
	struct buf footer;
	int64_t *numbers; /* 2 GROUP_ROWS */
	uint32_t *indices;
	uint32_t slots[SLOTS]; /* of the dictionary: index + 1 */
	size_t word_at[WORDS_MAX];
	size_t word_len[WORDS_MAX];
	int64_t word_number[WORDS_MAX];
};

static bool is_text(enum engine_type type)
{
	return type == ENGINE_VARCHAR || type == ENGINE_BLOB;
}

static bool is_int32(enum engine_type type)
{
	return type == ENGINE_INTEGER || type == ENGINE_DATE;
}

struct parquet_file *parquet_file_new(const struct parquet_column *columns, unsigned n_columns)
{
	assert(n_columns >= 1 && n_columns <= PARQUET_COLUMNS_MAX);
	struct parquet_file *const file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->fd = -1;
	file->n_columns = n_columns;
	/* Only pages that are touched cost memory. */
	file->numbers = malloc(2 * (size_t)GROUP_ROWS * sizeof(*file->numbers));
	file->indices = malloc(GROUP_ROWS * sizeof(*file->indices));
	bool complete = file->numbers && file->indices;
	for (unsigned i = 0; i < n_columns; i++) {
		struct column *const column = &file->columns[i];
		column->as = columns[i];
		column->values = malloc(GROUP_ROWS * sizeof(*column->values));
		column->levels = malloc(GROUP_ROWS * sizeof(*column->levels));
		/* Also empty texts stand somewhere. */
		complete = complete && column->values && column->levels && buf_reserve(&column->bytes, 1) == 0;
	}
	if (complete)
		return file;
	parquet_file_free(file);
	return NULL;
}

static void close_file(struct parquet_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	free(file->path);
	file->path = NULL;
}

void parquet_file_free(struct parquet_file *file)
{
	if (!file)
		return;
	close_file(file);
	for (unsigned i = 0; i < file->n_columns; i++) {
		free(file->columns[i].values);
		free(file->columns[i].levels);
		buf_release(&file->columns[i].bytes);
	}
	buf_release(&file->groups);
	buf_release(&file->out);
	buf_release(&file->page);
	buf_release(&file->words);
	buf_release(&file->footer);
	free(file->numbers);
	free(file->indices);
	free(file);
}

/* ---- Thrift's compact protocol ---- */

enum thrift {
	THRIFT_TRUE = 1,
	THRIFT_FALSE = 2,
	THRIFT_I32 = 5,
	THRIFT_I64 = 6,
	THRIFT_BINARY = 8,
	THRIFT_LIST = 9,
	THRIFT_STRUCT = 12
};

/* Fields are numbered by their distance from the one before, which is *last. */
static int put_field(struct buf *out, unsigned *last, unsigned field, enum thrift type)
{
	assert(field > *last && field - *last < 16);
	const uint8_t head = (uint8_t)((field - *last) << 4 | type);
	*last = field;
	return buf_append(out, &head, 1);
}

static int put_bare(struct buf *out, int64_t value)
{
	char bytes[VARINT_MAX_BYTES];
	return buf_append(out, bytes, (size_t)(put_signed(bytes, value) - bytes));
}

static int put_int(struct buf *out, unsigned *last, unsigned field, enum thrift type, int64_t value)
{
	return put_field(out, last, field, type) < 0 ? ERROR_NO_MEMORY : put_bare(out, value);
}

static int put_bytes(struct buf *out, const void *data, size_t len)
{
	char head[VARINT_MAX_BYTES];
	if (buf_append(out, head, (size_t)(put_varint(head, len) - head)) < 0)
		return ERROR_NO_MEMORY;
	return len ? buf_append(out, data, len) : 0;
}

static int put_binary(struct buf *out, unsigned *last, unsigned field, const void *data, size_t len)
{
	return put_field(out, last, field, THRIFT_BINARY) < 0 ? ERROR_NO_MEMORY : put_bytes(out, data, len);
}

static int put_list(struct buf *out, unsigned *last, unsigned field, enum thrift type, size_t n)
{
	char head[1 + VARINT_MAX_BYTES];
	char *p = head;
	if (n < 15) {
		*p++ = (char)(uint8_t)(n << 4 | type);
	} else {
		*p++ = (char)(uint8_t)(0xf0 | type);
		p = put_varint(p, n);
	}
	return put_field(out, last, field, THRIFT_LIST) < 0 ? ERROR_NO_MEMORY
							    : buf_append(out, head, (size_t)(p - head));
}

static int put_stop(struct buf *out)
{
	return buf_append(out, "", 1);
}

/* ---- a column of a row group ---- */

struct chunk {
	enum encoding encoding;
	bool has_words;
	uint64_t words_at;
	uint64_t data_at;
	uint64_t end;
};

/* PageHeader, then the page. */
static int put_page(struct buf *out, enum page type, uint32_t n_values, enum encoding encoding, const struct buf *page)
{
	unsigned last = 0;
	int rc = put_int(out, &last, 1, THRIFT_I32, type);
	rc = rc < 0 ? rc : put_int(out, &last, 2, THRIFT_I32, (int64_t)page->len);
	rc = rc < 0 ? rc : put_int(out, &last, 3, THRIFT_I32, (int64_t)page->len);
	rc = rc < 0 ? rc : put_field(out, &last, type == PAGE_DATA ? 5 : 7, THRIFT_STRUCT);
	unsigned inner = 0;
	rc = rc < 0 ? rc : put_int(out, &inner, 1, THRIFT_I32, n_values);
	rc = rc < 0 ? rc : put_int(out, &inner, 2, THRIFT_I32, encoding);
	if (type == PAGE_DATA) {
		rc = rc < 0 ? rc : put_int(out, &inner, 3, THRIFT_I32, ENCODING_RLE);
		rc = rc < 0 ? rc : put_int(out, &inner, 4, THRIFT_I32, ENCODING_RLE);
	}
	rc = rc < 0 ? rc : put_stop(out);
	rc = rc < 0 ? rc : put_stop(out);
	return rc < 0 || page->len == 0 ? rc : buf_append(out, page->data, page->len);
}

/* Numbers the column's values as they come first. False when they are too many, or none. */
static bool number_words(struct parquet_file *file, const struct column *column, size_t *n_words)
{
	const bool text = is_text(column->as.type);
	memset(file->slots, 0, sizeof(file->slots));
	size_t n = 0;
	size_t at = 0;
	uint32_t last = 0;
	for (size_t i = 0; i < column->n; i++) {
		const int64_t value = column->values[i];
		const size_t len = text ? (size_t)value : 0;
		const char *const bytes = column->bytes.data + at;
		at += len;
		/* Mostly the one before. */
		if (n && file->word_number[last] == value &&
		    (!text || memcmp(column->bytes.data + file->word_at[last], bytes, len) == 0)) {
			file->indices[i] = last;
			continue;
		}
		uint64_t slot = text ? XXH3_64bits(bytes, len) : (uint64_t)value * UINT64_C(0x9e3779b97f4a7c15) >> 40;
		for (;; slot++) {
			uint32_t *const found = &file->slots[slot % SLOTS];
			if (*found == 0) {
				if (n == WORDS_MAX)
					return false;
				file->word_number[n] = value;
				file->word_at[n] = at - len;
				file->word_len[n] = len;
				*found = (uint32_t)++n;
			}
			last = *found - 1;
			if (file->word_number[last] == value &&
			    (!text || memcmp(column->bytes.data + file->word_at[last], bytes, len) == 0))
				break;
		}
		file->indices[i] = last;
	}
	*n_words = n;
	/* Where hardly a value comes twice, they are better left where they are. */
	return n > 0 && (n < 16 || n * 4 < column->n);
}

/* A value as PLAIN has it; of statistics without the length before a text. */
static int put_plain(const struct column *column, int64_t value, struct slice text, bool with_length, struct buf *out)
{
	char bytes[sizeof(uint64_t)];
	if (is_text(column->as.type)) {
		put_u32(bytes, (uint32_t)text.len);
		if (with_length && buf_append(out, bytes, sizeof(uint32_t)) < 0)
			return ERROR_NO_MEMORY;
		return text.len ? buf_append(out, text.data, text.len) : 0;
	}
	put_u64(bytes, (uint64_t)value);
	return buf_append(out, bytes, is_int32(column->as.type) ? sizeof(uint32_t) : sizeof(uint64_t));
}

static struct slice word_text(const struct parquet_file *file, const struct column *column, size_t word)
{
	return (struct slice){column->bytes.data + file->word_at[word], file->word_len[word]};
}

static int put_words(struct parquet_file *file, const struct column *column, size_t n_words, struct chunk *chunk)
{
	buf_clear(&file->words);
	for (size_t i = 0; i < n_words; i++)
		if (put_plain(column, file->word_number[i], word_text(file, column, i), true, &file->words) < 0)
			return ERROR_NO_MEMORY;
	chunk->has_words = true;
	chunk->words_at = file->size + file->out.len;
	chunk->encoding = ENCODING_RLE_DICTIONARY;
	if (put_page(&file->out, PAGE_DICTIONARY, (uint32_t)n_words, ENCODING_PLAIN, &file->words) < 0)
		return ERROR_NO_MEMORY;
	unsigned width = 1;
	while ((size_t)1 << width < n_words)
		width++;
	const char width_byte = (char)width;
	return buf_append(&file->page, &width_byte, 1) < 0
		       ? ERROR_NO_MEMORY
		       : encode_levels(file->indices, column->n, width, &file->page);
}

static int put_values(struct parquet_file *file, const struct column *column, struct chunk *chunk)
{
	size_t n_words = 0;
	if (column->as.type != ENGINE_BLOB && number_words(file, column, &n_words))
		return put_words(file, column, n_words, chunk);
	switch (column->as.type) {
	case ENGINE_VARCHAR:
		chunk->encoding = ENCODING_DELTA_BYTE_ARRAY;
		return encode_suffixes(column->bytes.data, column->values, column->n, file->numbers, &file->page);
	case ENGINE_BLOB:
		chunk->encoding = ENCODING_DELTA_LENGTH;
		return encode_texts(column->bytes.data, column->values, column->n, &file->page);
	default:
		chunk->encoding = ENCODING_DELTA_BINARY_PACKED;
		return encode_deltas(column->values, column->n, &file->page);
	}
}

/* Which rows have a value: its length, and the levels. */
static int put_presence(struct parquet_file *file, const struct column *column)
{
	char length[sizeof(uint32_t)] = {0};
	const size_t at = file->page.len;
	if (buf_append(&file->page, length, sizeof(length)) < 0 ||
	    encode_levels(column->levels, file->rows, 1, &file->page) < 0)
		return ERROR_NO_MEMORY;
	put_u32(file->page.data + at, (uint32_t)(file->page.len - at - sizeof(length)));
	return 0;
}

static int compare_texts(struct slice a, struct slice b)
{
	const size_t common = a.len < b.len ? a.len : b.len;
	const int order = common ? memcmp(a.data, b.data, common) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Statistics: how many are not there, the least and the greatest. */
static int put_statistics(const struct parquet_file *file, const struct column *column, struct buf *out)
{
	unsigned last = 0;
	int rc = put_int(out, &last, 3, THRIFT_I64, (int64_t)(file->rows - column->n));
	if (rc < 0 || column->n == 0 || column->as.type == ENGINE_BLOB)
		return rc < 0 ? rc : put_stop(out);
	const bool text = is_text(column->as.type);
	int64_t numbers[2] = {column->values[0], column->values[0]};
	struct slice texts[2] = {{column->bytes.data, text ? (size_t)column->values[0] : 0}};
	texts[1] = texts[0];
	const char *at = column->bytes.data;
	for (size_t i = 0; i < column->n; i++) {
		const int64_t value = column->values[i];
		if (text) {
			const struct slice one = {at, (size_t)value};
			at += value;
			if (compare_texts(one, texts[0]) < 0)
				texts[0] = one;
			else if (compare_texts(one, texts[1]) > 0)
				texts[1] = one;
		} else {
			numbers[0] = value < numbers[0] ? value : numbers[0];
			numbers[1] = value > numbers[1] ? value : numbers[1];
		}
	}
	_cleanup_buf_ struct buf plain = {0};
	for (unsigned greatest = 2; greatest-- > 0;) {
		buf_clear(&plain);
		if (put_plain(column, numbers[greatest], texts[greatest], false, &plain) < 0 ||
		    put_binary(out, &last, greatest ? 5 : 6, plain.data, plain.len) < 0)
			return ERROR_NO_MEMORY;
	}
	return put_stop(out);
}

static enum physical physical_of(enum engine_type type)
{
	return is_text(type) ? PHYSICAL_BYTE_ARRAY : is_int32(type) ? PHYSICAL_INT32 : PHYSICAL_INT64;
}

/* ColumnChunk. */
static int put_chunk(const struct parquet_file *file, const struct column *column, const struct chunk *chunk,
		     struct buf *out)
{
	const uint64_t at = chunk->has_words ? chunk->words_at : chunk->data_at;
	const int64_t len = (int64_t)(chunk->end - at);
	unsigned outer = 0;
	unsigned last = 0;
	int rc = put_int(out, &outer, 2, THRIFT_I64, (int64_t)at);
	rc = rc < 0 ? rc : put_field(out, &outer, 3, THRIFT_STRUCT);
	rc = rc < 0 ? rc : put_int(out, &last, 1, THRIFT_I32, physical_of(column->as.type));
	rc = rc < 0 ? rc : put_list(out, &last, 2, THRIFT_I32, chunk->has_words ? 3 : 2);
	rc = rc < 0 ? rc : put_bare(out, ENCODING_RLE);
	rc = rc < 0 ? rc : put_bare(out, chunk->encoding);
	if (chunk->has_words)
		rc = rc < 0 ? rc : put_bare(out, ENCODING_PLAIN);
	rc = rc < 0 ? rc : put_list(out, &last, 3, THRIFT_BINARY, 1);
	rc = rc < 0 ? rc : put_bytes(out, column->as.name, strlen(column->as.name));
	rc = rc < 0 ? rc : put_int(out, &last, 4, THRIFT_I32, 0);
	rc = rc < 0 ? rc : put_int(out, &last, 5, THRIFT_I64, file->rows);
	rc = rc < 0 ? rc : put_int(out, &last, 6, THRIFT_I64, len);
	rc = rc < 0 ? rc : put_int(out, &last, 7, THRIFT_I64, len);
	rc = rc < 0 ? rc : put_int(out, &last, 9, THRIFT_I64, (int64_t)chunk->data_at);
	if (chunk->has_words)
		rc = rc < 0 ? rc : put_int(out, &last, 11, THRIFT_I64, (int64_t)chunk->words_at);
	rc = rc < 0 ? rc : put_field(out, &last, 12, THRIFT_STRUCT);
	rc = rc < 0 ? rc : put_statistics(file, column, out);
	rc = rc < 0 ? rc : put_stop(out);
	return rc < 0 ? rc : put_stop(out);
}

static int put_column(struct parquet_file *file, const struct column *column)
{
	struct chunk chunk = {0};
	buf_clear(&file->page);
	int rc = put_presence(file, column);
	rc = rc < 0 ? rc : put_values(file, column, &chunk);
	chunk.data_at = file->size + file->out.len;
	rc = rc < 0 ? rc : put_page(&file->out, PAGE_DATA, file->rows, chunk.encoding, &file->page);
	chunk.end = file->size + file->out.len;
	return rc < 0 ? rc : put_chunk(file, column, &chunk, &file->groups);
}

static int put_group(struct parquet_file *file)
{
	unsigned last = 0;
	int rc = put_list(&file->groups, &last, 1, THRIFT_STRUCT, file->n_columns);
	for (unsigned i = 0; rc == 0 && i < file->n_columns; i++)
		rc = put_column(file, &file->columns[i]);
	rc = rc < 0 ? rc : put_int(&file->groups, &last, 2, THRIFT_I64, (int64_t)file->out.len);
	rc = rc < 0 ? rc : put_int(&file->groups, &last, 3, THRIFT_I64, file->rows);
	return rc < 0 ? rc : put_stop(&file->groups);
}

static int write_out(struct parquet_file *file, struct buf *bytes, struct error *err)
{
	const int rc = file_write_all(file->fd, bytes->data, bytes->len, file->path, err);
	file->size += bytes->len;
	buf_clear(bytes);
	return rc;
}

static int write_group(struct parquet_file *file, struct error *err)
{
	if (put_group(file) < 0)
		return error_no_memory(err, file->out.len * 2);
	file->n_groups++;
	file->n_rows += file->rows;
	file->rows = 0;
	file->text_bytes = 0;
	for (unsigned i = 0; i < file->n_columns; i++) {
		file->columns[i].n = 0;
		buf_clear(&file->columns[i].bytes);
	}
	return write_out(file, &file->out, err);
}

/* ---- the schema ---- */

/* The union LogicalType, where the converted type does not say all: a timestamp that is not one of a zone. */
static int put_timestamp_type(struct buf *out, unsigned *last)
{
	unsigned of_union = 0;
	unsigned of_type = 0;
	unsigned of_unit = 0;
	int rc = put_field(out, last, 10, THRIFT_STRUCT);
	rc = rc < 0 ? rc : put_field(out, &of_union, 8, THRIFT_STRUCT);
	rc = rc < 0 ? rc : put_field(out, &of_type, 1, THRIFT_FALSE);
	rc = rc < 0 ? rc : put_field(out, &of_type, 2, THRIFT_STRUCT);
	rc = rc < 0 ? rc : put_field(out, &of_unit, 2, THRIFT_STRUCT); /* microseconds */
	for (unsigned i = 0; i < 4; i++)
		rc = rc < 0 ? rc : put_stop(out);
	return rc;
}

static enum converted converted_of(enum engine_type type)
{
	static const enum converted CONVERTED[] = {
		[ENGINE_BIGINT] = CONVERTED_INT_64,
		[ENGINE_INTEGER] = CONVERTED_INT_32,
		[ENGINE_DATE] = CONVERTED_DATE,
		[ENGINE_TIMESTAMP] = CONVERTED_TIMESTAMP_MICROS,
		[ENGINE_DECIMAL_18_2] = CONVERTED_DECIMAL,
		[ENGINE_DECIMAL_18_3] = CONVERTED_DECIMAL,
		[ENGINE_VARCHAR] = CONVERTED_UTF8,
		[ENGINE_BLOB] = CONVERTED_NONE,
	};
	return CONVERTED[type];
}

/* SchemaElement of a column. */
static int put_schema_column(const struct parquet_column *column, struct buf *out)
{
	unsigned last = 0;
	const enum converted converted = converted_of(column->type);
	int rc = put_int(out, &last, 1, THRIFT_I32, physical_of(column->type));
	rc = rc < 0 ? rc : put_int(out, &last, 3, THRIFT_I32, REPETITION_OPTIONAL);
	rc = rc < 0 ? rc : put_binary(out, &last, 4, column->name, strlen(column->name));
	if (converted != CONVERTED_NONE)
		rc = rc < 0 ? rc : put_int(out, &last, 6, THRIFT_I32, converted);
	if (converted == CONVERTED_DECIMAL) {
		rc = rc < 0 ? rc : put_int(out, &last, 7, THRIFT_I32, column->type == ENGINE_DECIMAL_18_2 ? 2 : 3);
		rc = rc < 0 ? rc : put_int(out, &last, 8, THRIFT_I32, 18);
	}
	if (converted == CONVERTED_TIMESTAMP_MICROS)
		rc = rc < 0 ? rc : put_timestamp_type(out, &last);
	return rc < 0 ? rc : put_stop(out);
}

/* FileMetaData, its length, and the magic. */
static int put_footer(struct parquet_file *file)
{
	struct buf *const out = &file->footer;
	unsigned last = 0;
	unsigned root = 0;
	buf_clear(out);
	int rc = put_int(out, &last, 1, THRIFT_I32, 1);
	rc = rc < 0 ? rc : put_list(out, &last, 2, THRIFT_STRUCT, file->n_columns + 1);
	rc = rc < 0 ? rc : put_int(out, &root, 3, THRIFT_I32, REPETITION_REQUIRED);
	rc = rc < 0 ? rc : put_binary(out, &root, 4, "schema", strlen("schema"));
	rc = rc < 0 ? rc : put_int(out, &root, 5, THRIFT_I32, file->n_columns);
	rc = rc < 0 ? rc : put_stop(out);
	for (unsigned i = 0; i < file->n_columns; i++)
		rc = rc < 0 ? rc : put_schema_column(&file->columns[i].as, out);
	rc = rc < 0 ? rc : put_int(out, &last, 3, THRIFT_I64, (int64_t)file->n_rows);
	rc = rc < 0 ? rc : put_list(out, &last, 4, THRIFT_STRUCT, file->n_groups);
	rc = rc < 0 || file->groups.len == 0 ? rc : buf_append(out, file->groups.data, file->groups.len);
	rc = rc < 0 ? rc : put_binary(out, &last, 6, CREATED_BY, strlen(CREATED_BY));
	/* column_orders: all as their types say, without which readers do not trust least and greatest values. */
	rc = rc < 0 ? rc : put_list(out, &last, 7, THRIFT_STRUCT, file->n_columns);
	for (unsigned i = 0; i < file->n_columns; i++) {
		unsigned order = 0;
		rc = rc < 0 ? rc : put_field(out, &order, 1, THRIFT_STRUCT);
		rc = rc < 0 ? rc : put_stop(out);
		rc = rc < 0 ? rc : put_stop(out);
	}
	rc = rc < 0 ? rc : put_stop(out);
	char length[sizeof(uint32_t)];
	put_u32(length, (uint32_t)out->len);
	rc = rc < 0 ? rc : buf_append(out, length, sizeof(length));
	return rc < 0 ? rc : buf_append(out, MAGIC, strlen(MAGIC));
}

/* ---- rows ---- */

int parquet_file_begin(struct parquet_file *file, const char *path, struct error *err)
{
	close_file(file);
	file->path = strdup(path);
	if (!file->path)
		return error_no_memory(err, strlen(path));
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file->fd < 0)
		return error_errno(err, errno, "cannot make %s", path);
	file->size = 0;
	file->rows = 0;
	file->text_bytes = 0;
	file->failed = false;
	file->n_groups = 0;
	file->n_rows = 0;
	for (unsigned i = 0; i < file->n_columns; i++) {
		file->columns[i].n = 0;
		buf_clear(&file->columns[i].bytes);
	}
	buf_clear(&file->groups);
	buf_clear(&file->out);
	file->size = strlen(MAGIC);
	return file_write_all(file->fd, MAGIC, strlen(MAGIC), path, err);
}

void parquet_file_number(struct parquet_file *file, unsigned column, int64_t value)
{
	struct column *const to = &file->columns[column];
	to->values[to->n++] = value;
	to->levels[file->rows] = 1;
}

void parquet_file_text(struct parquet_file *file, unsigned column, struct slice text)
{
	struct column *const to = &file->columns[column];
	if (text.len && buf_append(&to->bytes, text.data, text.len) < 0)
		file->failed = true;
	to->values[to->n++] = (int64_t)text.len;
	to->levels[file->rows] = 1;
	file->text_bytes += text.len;
}

void parquet_file_null(struct parquet_file *file, unsigned column)
{
	file->columns[column].levels[file->rows] = 0;
}

int parquet_file_row(struct parquet_file *file, struct error *err)
{
	if (file->failed)
		return error_no_memory(err, file->text_bytes);
	file->rows++;
	return file->rows == GROUP_ROWS || file->text_bytes >= GROUP_BYTES ? write_group(file, err) : 0;
}

int parquet_file_end(struct parquet_file *file, struct error *err)
{
	int rc = file->rows ? write_group(file, err) : 0;
	if (rc == 0 && put_footer(file) < 0)
		rc = error_no_memory(err, file->footer.len * 2);
	if (rc == 0)
		rc = write_out(file, &file->footer, err);
	close_file(file);
	return rc;
}
