#include "batch/customer_format.h"

#include "base/decimal.h"
#include "base/timefmt.h"
#include "base/tz.h"
#include "base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum field {
	FIELD_ID,
	FIELD_HOME_STORE,
	FIELD_NAME, /* or, in a mapping, FIRST_NAME and LAST_NAME */
	FIELD_EMAIL,
	FIELD_SINCE,
	FIELD_CARD_NO,
	FIELD_BIRTH_DATE,
	FIELD_GENDER,
	FIELD_BIRTH_YEAR,
	CLASSIC_FIELDS,
	FIELD_FIRST_NAME = CLASSIC_FIELDS,
	FIELD_LAST_NAME,
	FIELDS,
};

#define NO_COLUMN UINT32_MAX

struct customer_format {
	const struct config_customer_mapping *mapping; /* NULL: classic */
	enum customer_id_type id_type;
	struct timefmt date_format;
	unsigned n_columns;
	unsigned columns[FIELDS]; /* where a field stands in a record, or NO_COLUMN */
	struct buf name;          /* first and last name, joined */
};

static const char *const REASON_CODES[CUSTOMER_REASONS] = {
	[CUSTOMER_GOOD] = "",
	[CUSTOMER_TOO_LONG] = "too_long",
	[CUSTOMER_BAD_QUOTE] = "bad_quote",
	[CUSTOMER_NUL_BYTE] = "nul_byte",
	[CUSTOMER_ENCODING] = "encoding",
	[CUSTOMER_COLUMN_COUNT] = "column_count",
	[CUSTOMER_BAD_ID] = "customer_id",
	[CUSTOMER_BAD_HOME_STORE] = "home_store",
	[CUSTOMER_BAD_NAME] = "name",
	[CUSTOMER_BAD_EMAIL] = "email",
	[CUSTOMER_BAD_SINCE] = "since",
	[CUSTOMER_BAD_CARD_NO] = "card_no",
	[CUSTOMER_BAD_BIRTH_DATE] = "birth_date",
	[CUSTOMER_BAD_GENDER] = "gender",
	[CUSTOMER_BAD_BIRTH_YEAR] = "birth_year",
};

const char *customer_reason_code(enum customer_reason reason)
{
	return REASON_CODES[reason];
}

static int refuse_name(const struct config *config, const char *name, struct error *err)
{
	_cleanup_buf_ struct buf names = {0};
	for (unsigned i = 0; i < config->n_customer_mappings; i++)
		if (buf_printf(&names, ", %s", config->customer_mappings[i].name) < 0)
			return error_no_memory(err, names.len);
	return error_set(
		err, ERROR_USAGE,
		"there is no customer format '%s'; %s knows: classic%s (others are made under customer_mappings)", name,
		config->path, names.len ? buf_text(&names) : "");
}

/* The header's name for a field of the mapping; NULL when it has none. */
static const char *column_name(const struct config_customer_mapping *mapping, enum field field)
{
	switch (field) {
	case FIELD_ID:
		return mapping->customer;
	case FIELD_HOME_STORE:
		return mapping->home_store;
	case FIELD_NAME:
		return mapping->full_name;
	case FIELD_EMAIL:
		return mapping->email;
	case FIELD_SINCE:
		return mapping->since;
	case FIELD_CARD_NO:
		return mapping->card;
	case FIELD_BIRTH_DATE:
		return mapping->birth_date;
	case FIELD_GENDER:
		return mapping->gender;
	case FIELD_BIRTH_YEAR:
		return mapping->birth_year;
	case FIELD_FIRST_NAME:
		return mapping->full_name ? NULL : mapping->first_name;
	case FIELD_LAST_NAME:
		return mapping->full_name ? NULL : mapping->last_name;
	case FIELDS:
		break;
	}
	return NULL;
}

static int compile_mapping(struct customer_format *format, const struct config *config, struct error *err)
{
	const struct config_customer_mapping *const mapping = format->mapping;
	const char *const date_format = mapping->date_format ? mapping->date_format : "%Y-%m-%d";
	int rc = timefmt_compile(date_format, &format->date_format, err);
	if (rc == 0 && !format->date_format.has_date)
		rc = error_set(err, ERROR_CONFIG, "\"%s\" has no whole date", date_format);
	if (rc < 0)
		return error_prefix(err, "%s: customer_mappings: %s: date_format", config->path, mapping->name);
	if (customer_format_delimiter(format) == '"' || !column_name(mapping, FIELD_ID))
		return error_set(
			err, ERROR_CONFIG,
			"%s: customer_mappings: %s: needs the column of `customer`, and a delimiter that is no "
			"quote",
			config->path, mapping->name);
	return 0;
}

int customer_format_new(const struct config *config, const char *name, struct customer_format **out, struct error *err)
{
	const bool classic = strcmp(name, "classic") == 0;
	const struct config_customer_mapping *const mapping = classic ? NULL : config_customer_mapping(config, name);
	if (!classic && !mapping)
		return refuse_name(config, name, err);
	struct customer_format *const format = calloc(1, sizeof(*format));
	if (!format)
		return error_no_memory(err, sizeof(*format));
	format->mapping = mapping;
	format->id_type = config->customer_id;
	format->n_columns = CLASSIC_FIELDS;
	for (unsigned i = 0; i < FIELDS; i++)
		format->columns[i] = i < CLASSIC_FIELDS ? i : NO_COLUMN;
	const int rc = mapping ? compile_mapping(format, config, err) : 0;
	if (rc < 0) {
		customer_format_free(format);
		return rc;
	}
	*out = format;
	return 0;
}

void customer_format_free(struct customer_format *format)
{
	if (!format)
		return;
	buf_release(&format->name);
	free(format);
}

const char *customer_format_name(const struct customer_format *format)
{
	return format->mapping ? format->mapping->name : "classic";
}

char customer_format_delimiter(const struct customer_format *format)
{
	return format->mapping && format->mapping->delimiter ? format->mapping->delimiter[0] : ',';
}

bool customer_format_has_header(const struct customer_format *format)
{
	return format->mapping != NULL;
}

/* Appends "<length>:<text>," so that no two lists look the same. */
static int describe_text(struct buf *out, const char *text)
{
	return text ? buf_printf(out, "%zu:%s,", strlen(text), text) : buf_append_text(out, "-,");
}

static int describe_list(struct buf *out, const struct config_strings *list)
{
	int rc = buf_printf(out, "[%u]", list->count);
	for (unsigned i = 0; i < list->count && rc == 0; i++)
		rc = describe_text(out, list->items[i]);
	return rc;
}

int customer_format_describe(const struct customer_format *format, struct buf *out)
{
	const struct config_customer_mapping *const mapping = format->mapping;
	int rc = buf_printf(out, "%s id=%d\n", mapping ? "mapped" : "classic", (int)format->id_type);
	if (!mapping || rc < 0)
		return rc;
	for (unsigned i = 0; i < FIELDS && rc == 0; i++)
		rc = describe_text(out, column_name(mapping, (enum field)i));
	const struct config_strings *const lists[] = {&mapping->male, &mapping->female, &mapping->neither};
	for (unsigned i = 0; i < 3 && rc == 0; i++)
		rc = describe_list(out, lists[i]);
	if (rc == 0)
		rc = describe_text(out, mapping->date_format);
	return rc < 0 ? rc : buf_printf(out, "%d\n", customer_format_delimiter(format));
}

/* "a, b, c" of a header, as far as it goes into a message. */
static int list_columns(const struct csv *header, struct buf *out)
{
	for (unsigned i = 0; i < header->n_fields; i++) {
		const struct slice name = slice_trim(header->fields[i]);
		if ((i && buf_append_text(out, ", ") < 0) || utf8_escape(out, name.data, name.len, 64) < 0)
			return ERROR_NO_MEMORY;
	}
	return 0;
}

static int refuse_header(const struct csv *header, const char *path, const char *column, const char *what,
			 struct error *err)
{
	_cleanup_buf_ struct buf names = {0};
	if (list_columns(header, &names) < 0)
		return error_no_memory(err, names.len);
	const char *const all = buf_text(&names);
	/* One column that looks like several. */
	const size_t mark = header->n_fields == 1 && all ? strcspn(all, ";\t|,") : 0;
	_cleanup_free_ char *hint = mark && all[mark] ? text_printf(" (if '%c' parts the columns: `delimiter: \"%c\"`)",
								    all[mark], all[mark])
						      : NULL;
	return error_set(err, ERROR_INPUT,
			 "%s: the column '%s' is %s the header; it has: %s. Correct the file, or the mapping in "
			 "punchcard.yaml%s",
			 path, column, what, all, hint ? hint : "");
}

int customer_format_header(struct customer_format *format, const struct csv *header, const char *path,
			   struct error *err)
{
	assert(format->mapping);
	unsigned columns[FIELDS];
	for (unsigned field = 0; field < FIELDS; field++) {
		columns[field] = NO_COLUMN;
		const char *const name = column_name(format->mapping, (enum field)field);
		if (!name)
			continue;
		for (unsigned i = 0; i < header->n_fields; i++) {
			if (!slice_is(slice_trim(header->fields[i]), name))
				continue;
			if (columns[field] != NO_COLUMN)
				return refuse_header(header, path, name, "twice in", err);
			columns[field] = i;
		}
		if (columns[field] == NO_COLUMN)
			return refuse_header(header, path, name, "not in", err);
	}
	memcpy(format->columns, columns, sizeof(columns));
	format->n_columns = header->n_fields;
	return 0;
}

static struct slice take(const struct customer_format *format, const struct csv *record, enum field field)
{
	const unsigned column = format->columns[field];
	return column == NO_COLUMN ? (struct slice){NULL, 0} : slice_trim(record->fields[column]);
}

static bool take_text(const struct customer_format *format, const struct csv *record, enum field field,
		      struct slice *out)
{
	*out = take(format, record, field);
	return out->len <= LIMIT_CUSTOMER_TEXT_BYTES;
}

static bool take_id(const struct customer_format *format, const struct csv *record, struct customer_row *row)
{
	const struct slice id = take(format, record, FIELD_ID);
	if (format->id_type == CUSTOMER_ID_INTEGER)
		return integer_parse(id.data, id.len, &row->id_number) == 0 && row->id_number > 0;
	row->id_text = id;
	return id.len > 0 && id.len <= LIMIT_CUSTOMER_ID_BYTES && !slice_is(id, "0");
}

/* The UTC day of a second; false outside the years 1 to 9999. */
static bool take_epoch(int64_t epoch_s, int32_t *days)
{
	if (epoch_s < INT64_C(86400) * civil_days(1, 1, 1) ||
	    epoch_s >= INT64_C(86400) * (civil_days(9999, 12, 31) + 1))
		return false;
	*days = (int32_t)(epoch_s / 86400 - (epoch_s % 86400 < 0));
	return true;
}

static bool take_date(const struct customer_format *format, const struct csv *record, enum field field,
		      struct customer_date *out)
{
	*out = (struct customer_date){0};
	const struct slice text = take(format, record, field);
	if (text.len == 0)
		return true;
	out->known = true;
	if (!format->mapping)
		return civil_parse(text.data, text.len, &out->days) == 0;
	struct civil_time time;
	if (timefmt_parse(&format->date_format, text.data, text.len, &time) < 0)
		return false;
	out->days = time.day;
	return !time.has_epoch || take_epoch(time.epoch_s, &out->days);
}

static bool is_in(struct slice text, const struct config_strings *list)
{
	for (unsigned i = 0; i < list->count; i++)
		if (slice_is(text, list->items[i]))
			return true;
	return false;
}

static bool take_gender(const struct customer_format *format, const struct csv *record, struct slice *out)
{
	const struct config_customer_mapping *const mapping = format->mapping;
	const struct slice text = take(format, record, FIELD_GENDER);
	*out = text;
	if (!mapping)
		return text.len == 0 || (text.len == 1 && memchr("MFN", text.data[0], 3));
	if (format->columns[FIELD_GENDER] == NO_COLUMN)
		return true;
	if (is_in(text, &mapping->male))
		*out = SLICE("M");
	else if (is_in(text, &mapping->female))
		*out = SLICE("F");
	else if (is_in(text, &mapping->neither))
		*out = SLICE("N");
	else
		return text.len == 0;
	return true;
}

static bool take_year(const struct customer_format *format, const struct csv *record, int32_t *out)
{
	const struct slice text = take(format, record, FIELD_BIRTH_YEAR);
	int64_t year = 0;
	if (text.len && (integer_parse(text.data, text.len, &year) < 0 || year < 1 || year > 9999))
		return false;
	*out = (int32_t)year;
	return true;
}

static int take_name(struct customer_format *format, const struct csv *record, struct slice *out, struct error *err)
{
	if (format->columns[FIELD_NAME] != NO_COLUMN) {
		*out = take(format, record, FIELD_NAME);
	} else {
		const struct slice first = take(format, record, FIELD_FIRST_NAME);
		const struct slice last = take(format, record, FIELD_LAST_NAME);
		buf_clear(&format->name);
		if (buf_append(&format->name, first.data, first.len) < 0 ||
		    buf_append(&format->name, " ", first.len && last.len) < 0 ||
		    buf_append(&format->name, last.data, last.len) < 0)
			return error_no_memory(err, first.len + last.len);
		*out = (struct slice){format->name.data, format->name.len};
	}
	return 0;
}

static enum customer_reason parse_fields(struct customer_format *format, const struct csv *record,
					 struct customer_row *row)
{
	if (!take_id(format, record, row))
		return CUSTOMER_BAD_ID;
	if (!take_text(format, record, FIELD_HOME_STORE, &row->home_store))
		return CUSTOMER_BAD_HOME_STORE;
	if (row->name.len > LIMIT_CUSTOMER_TEXT_BYTES)
		return CUSTOMER_BAD_NAME;
	if (!take_text(format, record, FIELD_EMAIL, &row->email))
		return CUSTOMER_BAD_EMAIL;
	if (!take_date(format, record, FIELD_SINCE, &row->since))
		return CUSTOMER_BAD_SINCE;
	if (!take_text(format, record, FIELD_CARD_NO, &row->card_no))
		return CUSTOMER_BAD_CARD_NO;
	if (!take_date(format, record, FIELD_BIRTH_DATE, &row->birth_date))
		return CUSTOMER_BAD_BIRTH_DATE;
	if (!take_gender(format, record, &row->gender))
		return CUSTOMER_BAD_GENDER;
	if (!take_year(format, record, &row->birth_year))
		return CUSTOMER_BAD_BIRTH_YEAR;
	return CUSTOMER_GOOD;
}

int customer_format_parse(struct customer_format *format, const struct csv *record, struct customer_row *row,
			  enum customer_reason *reason, struct error *err)
{
	if (memchr(record->raw.data, '\0', record->raw.len)) {
		*reason = CUSTOMER_NUL_BYTE;
	} else if (!utf8_valid(record->raw.data, record->raw.len)) {
		*reason = CUSTOMER_ENCODING;
	} else if (record->n_fields != format->n_columns) {
		*reason = CUSTOMER_COLUMN_COUNT;
	} else {
		struct customer_row got = {0};
		const int rc = take_name(format, record, &got.name, err);
		if (rc < 0)
			return rc;
		*reason = parse_fields(format, record, &got);
		if (*reason == CUSTOMER_GOOD)
			*row = got;
	}
	return 0;
}
