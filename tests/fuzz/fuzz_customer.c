/*
 * Customer files by a mapping of punchcard.yaml: a header from any bytes, and records; with ids that are numbers, and that are
 * texts. What is taken is within all limits. The first byte: bit 0 the type of ids, bit 1 whether a good header stands in front.
 */
#include "base/csv.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "batch/customer_format.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char HEADER[] = "member;shop;name;mail;joined;card;born;sex;year\n";

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct config_customer_mapping *mapping(void)
{
	static char name[] = "crm";
	static char columns[][8] = {"member", "shop", "name", "mail", "joined", "card", "born", "sex", "year"};
	static char delimiter[] = ";";
	static char format[] = "%d.%m.%Y";
	static char codes[][8] = {"m", "w", "-"};
	static char *lists[] = {codes[0], codes[1], codes[2]};
	static struct config_customer_mapping made;
	made = (struct config_customer_mapping){.name = name,
						.delimiter = delimiter,
						.customer = columns[0],
						.home_store = columns[1],
						.full_name = columns[2],
						.email = columns[3],
						.since = columns[4],
						.card = columns[5],
						.birth_date = columns[6],
						.gender = columns[7],
						.birth_year = columns[8],
						.date_format = format,
						.male = {&lists[0], 1},
						.female = {&lists[1], 1},
						.neither = {&lists[2], 1}};
	return &made;
}

static void check_text(struct slice text)
{
	require(text.len <= LIMIT_CUSTOMER_TEXT_BYTES && utf8_valid(text.data, text.len));
	require(!text.len || !memchr(text.data, 0, text.len));
}

static void check_row(const struct customer_row *row, bool text_ids)
{
	require(text_ids ? row->id_number == 0 && row->id_text.len > 0 : row->id_number > 0 && row->id_text.len == 0);
	require(row->id_text.len <= LIMIT_CUSTOMER_ID_BYTES);
	check_text(row->id_text);
	check_text(row->home_store);
	check_text(row->name);
	check_text(row->email);
	check_text(row->card_no);
	require(row->gender.len == 0 || (row->gender.len == 1 && strchr("MFN", *row->gender.data)));
	require(row->birth_year >= 0 && row->birth_year <= 9999);
}

static void read_file(const struct config *config, const char *text, size_t len)
{
	struct customer_format *format = NULL;
	struct csv csv;
	struct error err = {0};
	require(customer_format_new(config, "crm", &format, &err) == 0 && customer_format_has_header(format));
	csv_init(&csv, customer_format_delimiter(format), true);
	bool has_header = false;
	for (size_t at = 0, used; at < len; at += used) {
		const enum csv_result result = csv_next(&csv, text + at, len - at, true, &used);
		if (result == CSV_END)
			break;
		if (result != CSV_RECORD || slice_trim(csv.raw).len == 0)
			continue;
		if (!has_header && customer_format_header(format, &csv, "f", &err) < 0) {
			require(err.code == ERROR_INPUT && strncmp(err.message, "f", 1) == 0);
			break;
		}
		struct customer_row row;
		enum customer_reason reason;
		if (has_header) {
			require(customer_format_parse(format, &csv, &row, &reason, NULL) == 0);
			require(customer_reason_code(reason) != NULL || reason == CUSTOMER_GOOD);
			if (reason == CUSTOMER_GOOD)
				check_row(&row, config->customer_id == CUSTOMER_ID_TEXT);
		}
		has_header = true;
	}
	csv_release(&csv);
	customer_format_free(format);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const struct config config = {.path = "p.yaml",
				      .customer_id = data[0] & 1 ? CUSTOMER_ID_TEXT : CUSTOMER_ID_INTEGER,
				      .customer_mappings = mapping(),
				      .n_customer_mappings = 1};
	struct buf text = {0};
	if (data[0] & 2)
		require(buf_append_text(&text, HEADER) == 0);
	require(buf_append(&text, data + 1, size - 1) == 0);
	read_file(&config, text.data, text.len);
	buf_release(&text);
	return 0;
}
