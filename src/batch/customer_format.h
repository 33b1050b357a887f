/*
 * The formats of customer files, and the check of one record.
 *
 *     struct customer_format *format = NULL;
 *     rc = customer_format_new(config, "classic", &format, err);
 *     if (customer_format_has_header(format))
 *             rc = customer_format_header(format, &csv, "members.csv", err);      // the first record
 *     reason = customer_format_parse(format, &csv, &row);                         // every other one
 *     customer_format_free(format);
 *
 * Formats: "classic", a comma-separated file without a header and with nine columns (customer_id, home_store, name, email,
 * since as yyyy-MM-dd, card number, birth date, gender M, F or N, birth year), and the customer mappings of punchcard.yaml,
 * whose columns are found by name in the header.
 *
 * One format belongs to one thread at a time: it holds the header of the file that is read, and scratch memory.
 */
#ifndef PUNCHCARD_BATCH_CUSTOMER_FORMAT_H
#define PUNCHCARD_BATCH_CUSTOMER_FORMAT_H

#include "base/csv.h"
#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Why a line is not a customer: the reason codes of the quarantine table. The first one that holds, in this order.
 *
 *     too_long       over LIMIT_LINE_BYTES
 *     bad_quote      text behind a closing quote, or a quote that is never closed
 *     nul_byte       has a NUL
 *     encoding       not UTF-8
 *     column_count   not nine columns, or not as many as the header has
 *     customer_id    empty, 0 (the guest), no whole number from 1 to 2^63 - 1 (customer_id: integer), or over
 *                    LIMIT_CUSTOMER_ID_BYTES (customer_id: text)
 *     home_store, name, email, card_no    over LIMIT_CUSTOMER_TEXT_BYTES
 *     since, birth_date                   no date of the calendar in the format's form
 *     gender         none of the format's codes
 *     birth_year     not a whole number from 1 to 9999
 *
 * Everything but customer_id may be empty.
 */
enum customer_reason {
	CUSTOMER_GOOD = 0,
	CUSTOMER_TOO_LONG,
	CUSTOMER_BAD_QUOTE,
	CUSTOMER_NUL_BYTE,
	CUSTOMER_ENCODING,
	CUSTOMER_COLUMN_COUNT,
	CUSTOMER_BAD_ID,
	CUSTOMER_BAD_HOME_STORE,
	CUSTOMER_BAD_NAME,
	CUSTOMER_BAD_EMAIL,
	CUSTOMER_BAD_SINCE,
	CUSTOMER_BAD_CARD_NO,
	CUSTOMER_BAD_BIRTH_DATE,
	CUSTOMER_BAD_GENDER,
	CUSTOMER_BAD_BIRTH_YEAR,
	CUSTOMER_REASONS
};

/* "too_long" …; static. */
const char *customer_reason_code(enum customer_reason reason);

/* A day, or none. */
struct customer_date {
	bool known;
	int32_t days; /* since 1970-01-01 */
};

/* A customer as the file says it. Texts are valid UTF-8 without NUL, empty when the file has none, without blanks and
 * tabs at both ends. They live until the next record is read. */
struct customer_row {
	int64_t id_number;    /* customer_id: integer */
	struct slice id_text; /* customer_id: text */
	struct slice home_store;
	struct slice name;
	struct slice email;
	struct slice card_no;
	struct slice gender; /* "M", "F", "N" or empty */
	struct customer_date since;
	struct customer_date birth_date;
	int32_t birth_year; /* 0: none */
};

struct customer_format;

/* Compiles the format `name`. ERROR_USAGE when punchcard.yaml has no such mapping (the message lists what there is);
 * ERROR_CONFIG for a mapping that cannot work. `config` must outlive *out. The caller frees *out; NULL is fine. */
int customer_format_new(const struct config *config, const char *name, struct customer_format **out, struct error *err);
void customer_format_free(struct customer_format *format);
const char *customer_format_name(const struct customer_format *format);
char customer_format_delimiter(const struct customer_format *format);
bool customer_format_has_header(const struct customer_format *format);
/* Appends a text that is another one whenever the format reads files in another way. 0 or ERROR_NO_MEMORY. */
int customer_format_describe(const struct customer_format *format, struct buf *out);

/* Takes a record as the header of the file that is read now. ERROR_INPUT, naming `path`, the column and the columns there
 * are, when a mapped column is missing or there twice. */
int customer_format_header(struct customer_format *format, const struct csv *header, const char *path,
			   struct error *err);
/* Checks a record (CSV_RECORD, not blank); *row is set when it is CUSTOMER_GOOD. Never CUSTOMER_TOO_LONG or
 * CUSTOMER_BAD_QUOTE: these come from the CSV reader. ERROR_NO_MEMORY. */
int customer_format_parse(struct customer_format *format, const struct csv *record, struct customer_row *row,
			  enum customer_reason *reason, struct error *err);

#endif
