#include "batch/customer_format.h"

#include "base/tz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT(literal) ((char[]){literal})

/* One line, split as the reader does it. */
static void split(struct csv *csv, const char *line, size_t len)
{
	size_t used;
	csv_init(csv, ',', true);
	assert_int_equal(csv_next(csv, line, len, true, &used), CSV_RECORD);
	assert_int_equal(used, len);
}

static enum customer_reason parse_bytes(struct customer_format *format, const char *line, size_t len,
					struct customer_row *row)
{
	static struct csv csv; /* the row points into it */
	csv_release(&csv);
	split(&csv, line, len);
	struct error err;
	enum customer_reason reason = CUSTOMER_REASONS;
	assert_int_equal(customer_format_parse(format, &csv, row, &reason, &err), 0);
	return reason;
}

static enum customer_reason parse(struct customer_format *format, const char *line, struct customer_row *row)
{
	return parse_bytes(format, line, strlen(line), row);
}

static struct customer_format *make_format(const struct config *config, const char *name)
{
	struct customer_format *format = NULL;
	struct error err;
	if (customer_format_new(config, name, &format, &err) < 0)
		fail_msg("%s", err.message);
	return format;
}

static void check_slice(struct slice got, const char *expected)
{
	assert_int_equal(got.len, strlen(expected));
	if (got.len)
		assert_memory_equal(got.data, expected, got.len);
}

static void check_date(struct customer_date date, const char *expected)
{
	assert_int_equal(date.known, expected != NULL);
	if (!expected)
		return;
	char text[11];
	civil_format(date.days, text);
	assert_string_equal(text, expected);
}

static void test_classic_rows(void **state)
{
	(void)state;
	const struct config config = {.customer_id = CUSTOMER_ID_INTEGER};
	struct customer_format *const format = make_format(&config, "classic");
	assert_false(customer_format_has_header(format));
	struct customer_row row;
	assert_int_equal(
		parse(format, "12,3,\t Kelly Key \t,Venus@adipiscing.edu,2017-01-04,\"908-424-2890\",1950-05-29,M,1950",
		      &row),
		CUSTOMER_GOOD);
	assert_int_equal(row.id_number, 12);
	check_slice(row.home_store, "3");
	check_slice(row.name, "Kelly Key");
	check_slice(row.email, "Venus@adipiscing.edu");
	check_slice(row.card_no, "908-424-2890");
	check_slice(row.gender, "M");
	check_date(row.since, "2017-01-04");
	check_date(row.birth_date, "1950-05-29");
	assert_int_equal(row.birth_year, 1950);
	/* All but the id may be empty; blanks are nothing. */
	assert_int_equal(parse(format, " 7 ,, \t , ,,,,,", &row), CUSTOMER_GOOD);
	assert_int_equal(row.id_number, 7);
	check_slice(row.name, "");
	check_slice(row.email, "");
	check_slice(row.gender, "");
	check_date(row.since, NULL);
	check_date(row.birth_date, NULL);
	assert_int_equal(row.birth_year, 0);
	customer_format_free(format);
}

static void test_classic_reasons(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum customer_reason reason;
	} CASES[] = {
		{"1,,,,,,,", CUSTOMER_COLUMN_COUNT},
		{"1,,,,,,,,,", CUSTOMER_COLUMN_COUNT},
		{"1", CUSTOMER_COLUMN_COUNT},
		{"0,,,,,,,,", CUSTOMER_BAD_ID},
		{"-0,,,,,,,,", CUSTOMER_BAD_ID},
		{"-7,,,,,,,,", CUSTOMER_BAD_ID},
		{",,,,,,,,", CUSTOMER_BAD_ID},
		{"1.0,,,,,,,,", CUSTOMER_BAD_ID},
		{"0x10,,,,,,,,", CUSTOMER_BAD_ID},
		{"9223372036854775807,,,,,,,,", CUSTOMER_GOOD},
		{"9223372036854775808,,,,,,,,", CUSTOMER_BAD_ID},
		{"customer_id,home_store,name,email,since,card,birth,gender,year", CUSTOMER_BAD_ID},
		{"1,,,,2017-02-29,,,,", CUSTOMER_BAD_SINCE},
		{"1,,,,2016-02-29,,,,", CUSTOMER_GOOD},
		{"1,,,,04/01/2017,,,,", CUSTOMER_BAD_SINCE},
		{"1,,,,2017-1-4,,,,", CUSTOMER_BAD_SINCE},
		{"1,,,,0000-01-01,,,,", CUSTOMER_BAD_SINCE},
		{"1,,,,9999-12-31,,,,", CUSTOMER_GOOD},
		{"1,,,,,,1950-13-01,,", CUSTOMER_BAD_BIRTH_DATE},
		{"1,,,,,,,m,", CUSTOMER_BAD_GENDER},
		{"1,,,,,,,MM,", CUSTOMER_BAD_GENDER},
		{"1,,,,,,,F,", CUSTOMER_GOOD},
		{"1,,,,,,,N,", CUSTOMER_GOOD},
		{"1,,,,,,,,0", CUSTOMER_BAD_BIRTH_YEAR},
		{"1,,,,,,,,10000", CUSTOMER_BAD_BIRTH_YEAR},
		{"1,,,,,,,,nineteen", CUSTOMER_BAD_BIRTH_YEAR},
		{"1,,,,,,,,1", CUSTOMER_GOOD},
		{"1,,\xFF,,,,,,", CUSTOMER_ENCODING},
		{"1,,\xE0\xB8\x81,,,,,,", CUSTOMER_GOOD},
		{"1,\xFF", CUSTOMER_ENCODING},
	};
	const struct config config = {.customer_id = CUSTOMER_ID_INTEGER};
	struct customer_format *const format = make_format(&config, "classic");
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct customer_row row;
		const enum customer_reason reason = parse(format, CASES[i].line, &row);
		if (reason != CASES[i].reason)
			fail_msg("%s: %s", CASES[i].line, customer_reason_code(reason));
	}
	struct customer_row row;
	assert_int_equal(parse_bytes(format, "1,,a\0b,,,,,,", 12, &row), CUSTOMER_NUL_BYTE);
	customer_format_free(format);
}

/* Every text field takes LIMIT_CUSTOMER_TEXT_BYTES and no more. */
static void test_longest_texts(void **state)
{
	(void)state;
	static const struct {
		unsigned column;
		enum customer_reason reason;
	} CASES[] = {{1, CUSTOMER_BAD_HOME_STORE},
		     {2, CUSTOMER_BAD_NAME},
		     {3, CUSTOMER_BAD_EMAIL},
		     {5, CUSTOMER_BAD_CARD_NO}};
	const struct config config = {.customer_id = CUSTOMER_ID_INTEGER};
	struct customer_format *const format = make_format(&config, "classic");
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		for (size_t over = 0; over <= 1; over++) {
			struct buf line = {0};
			for (unsigned column = 0; column < 9; column++) {
				if (column)
					buf_append(&line, ",", 1);
				if (column == 0)
					buf_append(&line, "1", 1);
				for (size_t n = 0; column == CASES[i].column && n < LIMIT_CUSTOMER_TEXT_BYTES + over;
				     n++)
					buf_append(&line, "x", 1);
			}
			struct customer_row row;
			assert_int_equal(parse_bytes(format, line.data, line.len, &row),
					 over ? CASES[i].reason : CUSTOMER_GOOD);
			buf_release(&line);
		}
	}
	customer_format_free(format);
}

static void test_text_ids(void **state)
{
	(void)state;
	const struct config config = {.customer_id = CUSTOMER_ID_TEXT};
	struct customer_format *const format = make_format(&config, "classic");
	struct customer_row row;
	assert_int_equal(parse(format, " A-1 ,,,,,,,,", &row), CUSTOMER_GOOD);
	check_slice(row.id_text, "A-1");
	assert_int_equal(parse(format, "007,,,,,,,,", &row), CUSTOMER_GOOD);
	check_slice(row.id_text, "007");
	assert_int_equal(parse(format, "0,,,,,,,,", &row), CUSTOMER_BAD_ID);
	assert_int_equal(parse(format, " ,,,,,,,,", &row), CUSTOMER_BAD_ID);
	for (size_t over = 0; over <= 1; over++) {
		char line[LIMIT_CUSTOMER_ID_BYTES + 16];
		const size_t len = LIMIT_CUSTOMER_ID_BYTES + over;
		memset(line, 'x', len);
		snprintf(line + len, sizeof(line) - len, ",,,,,,,,");
		assert_int_equal(parse(format, line, &row), over ? CUSTOMER_BAD_ID : CUSTOMER_GOOD);
	}
	customer_format_free(format);
}

static struct config_customer_mapping members = {
	.name = TEXT("members"),
	.customer = TEXT("No."),
	.first_name = TEXT("First"),
	.last_name = TEXT("Last"),
	.since = TEXT("Member since"),
	.birth_date = TEXT("Born"),
	.gender = TEXT("Sex"),
	.date_format = TEXT("%d.%m.%Y"),
	.male = {(char *[]){TEXT("1"), TEXT("male")}, 2},
	.female = {(char *[]){TEXT("2")}, 1},
	.neither = {(char *[]){TEXT("9"), TEXT("")}, 2},
};

static int take_header(struct customer_format *format, const char *line, struct error *err)
{
	struct csv csv;
	split(&csv, line, strlen(line));
	const int rc = customer_format_header(format, &csv, "members.csv", err);
	csv_release(&csv);
	return rc;
}

static void test_mapped_rows(void **state)
{
	(void)state;
	const struct config config = {.customer_mappings = &members, .n_customer_mappings = 1};
	struct customer_format *const format = make_format(&config, "members");
	assert_true(customer_format_has_header(format));
	struct error err;
	assert_int_equal(take_header(format, "Sex,\"Member since\",Phone, Born ,\"Last\",First,No.", &err), 0);
	struct customer_row row;
	assert_int_equal(parse(format, "2,1.4.2019,555,,Moser, Anna ,44", &row), CUSTOMER_GOOD);
	assert_int_equal(row.id_number, 44);
	check_slice(row.name, "Anna Moser");
	check_slice(row.gender, "F");
	check_slice(row.email, "");
	check_slice(row.card_no, "");
	check_date(row.since, "2019-04-01");
	check_date(row.birth_date, NULL);
	assert_int_equal(parse(format, "male,,,,,Anna,44", &row), CUSTOMER_GOOD);
	check_slice(row.name, "Anna");
	check_slice(row.gender, "M");
	assert_int_equal(parse(format, ",,,,Moser,,44", &row), CUSTOMER_GOOD);
	check_slice(row.name, "Moser");
	check_slice(row.gender, "N");
	assert_int_equal(parse(format, "M,,,,,,44", &row), CUSTOMER_BAD_GENDER);
	assert_int_equal(parse(format, "1,2019-04-01,,,,,44", &row), CUSTOMER_BAD_SINCE);
	assert_int_equal(parse(format, "1,,,31.4.2019,,,44", &row), CUSTOMER_BAD_BIRTH_DATE);
	assert_int_equal(parse(format, "1,,,,,44", &row), CUSTOMER_COLUMN_COUNT);
	assert_int_equal(parse(format, "1,,,,,,44,", &row), CUSTOMER_COLUMN_COUNT);
	/* Another file, another order of columns. */
	assert_int_equal(take_header(format, "No.,First,Last,Born,Member since,Sex", &err), 0);
	assert_int_equal(parse(format, "45,A,B,,,", &row), CUSTOMER_GOOD);
	assert_int_equal(row.id_number, 45);
	check_slice(row.name, "A B");
	customer_format_free(format);
}

static void test_headers_that_do_not_fit(void **state)
{
	(void)state;
	const struct config config = {.customer_mappings = &members, .n_customer_mappings = 1};
	struct customer_format *const format = make_format(&config, "members");
	struct error err;
	assert_int_equal(take_header(format, "No.,First,Last,Member since,Geboren,Sex", &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "members.csv"));
	assert_non_null(strstr(err.message, "'Born'"));
	assert_non_null(strstr(err.message, "No., First, Last, Member since, Geboren, Sex"));
	assert_int_equal(take_header(format, "No.,First,Last,Born,Member since,Sex,Born", &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "'Born' is twice"));
	/* What is not mapped may be there twice. */
	assert_int_equal(take_header(format, "No.,First,Last,Born,Member since,Sex,x,x", &err), 0);
	/* Bytes that are no text are shown, not copied. */
	assert_int_equal(take_header(format, "\xFF\x1B[2J", &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "\\xFF\\x1B[2J"));
	customer_format_free(format);
}

static void test_epoch_dates(void **state)
{
	(void)state;
	struct config_customer_mapping mapping = {
		.name = TEXT("epoch"), .customer = TEXT("id"), .since = TEXT("t"), .date_format = TEXT("%s")};
	const struct config config = {.customer_mappings = &mapping, .n_customer_mappings = 1};
	struct customer_format *const format = make_format(&config, "epoch");
	struct error err;
	assert_int_equal(take_header(format, "id,t", &err), 0);
	static const struct {
		const char *line;
		const char *date;
	} CASES[] = {{"1,0", "1970-01-01"},           {"1,86399", "1970-01-01"},  {"1,86400", "1970-01-02"},
		     {"1,-1", "1969-12-31"},          {"1,-86400", "1969-12-31"}, {"1,-86401", "1969-12-30"},
		     {"1,253402300799", "9999-12-31"}};
	struct customer_row row;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		if (parse(format, CASES[i].line, &row) == CUSTOMER_GOOD)
			check_date(row.since, CASES[i].date);
		else /* the format may refuse signs, but what it takes it takes right */
			assert_non_null(strchr(CASES[i].line, '-'));
	}
	assert_int_equal(parse(format, "1,253402300800", &row), CUSTOMER_BAD_SINCE);
	assert_int_equal(parse(format, "1,9223372036854775807", &row), CUSTOMER_BAD_SINCE);
	customer_format_free(format);
}

static void test_formats_that_are_not_there(void **state)
{
	(void)state;
	const struct config config = {
		.path = TEXT("shop/punchcard.yaml"), .customer_mappings = &members, .n_customer_mappings = 1};
	struct customer_format *format = NULL;
	struct error err;
	assert_int_equal(customer_format_new(&config, "nobody", &format, &err), ERROR_USAGE);
	assert_non_null(strstr(err.message, "classic, members"));
	struct config_customer_mapping broken = {
		.name = TEXT("broken"), .customer = TEXT("id"), .date_format = TEXT("%H:%M")};
	const struct config other = {
		.path = TEXT("shop/punchcard.yaml"), .customer_mappings = &broken, .n_customer_mappings = 1};
	assert_int_equal(customer_format_new(&other, "broken", &format, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "date_format"));
	assert_null(format);
}

/* Whatever changes how a file is read changes the description; nothing else is needed to. */
static void test_descriptions_differ(void **state)
{
	(void)state;
	struct config_customer_mapping variants[] = {members, members, members, members, members, members};
	variants[1].date_format = TEXT("%m.%d.%Y");
	variants[2].delimiter = TEXT(";");
	variants[3].email = TEXT("Born");
	variants[4].male.count = 1;
	variants[5].neither.items = (char *[]){TEXT("9,0:"), TEXT("")};
	struct buf texts[6] = {0};
	for (size_t i = 0; i < 6; i++) {
		const struct config config = {.customer_mappings = &variants[i], .n_customer_mappings = 1};
		struct customer_format *const format = make_format(&config, "members");
		assert_int_equal(customer_format_describe(format, &texts[i]), 0);
		customer_format_free(format);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(buf_text(&texts[i]), buf_text(&texts[k]));
	}
	for (size_t i = 0; i < 6; i++)
		buf_release(&texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classic_rows),        cmocka_unit_test(test_classic_reasons),
		cmocka_unit_test(test_longest_texts),       cmocka_unit_test(test_text_ids),
		cmocka_unit_test(test_mapped_rows),         cmocka_unit_test(test_headers_that_do_not_fit),
		cmocka_unit_test(test_epoch_dates),         cmocka_unit_test(test_formats_that_are_not_there),
		cmocka_unit_test(test_descriptions_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
