/* Order files line by line: each fault by its reason, each good line by its values. */
#include "speed/order_format.h"

#include "base/limits.h"
#include "shop.h"

#define LATEST_US  (INT64_C(1800000000) * 1000000)
#define FIELDS_MAX 32u

static struct order_format *open_format(const char *name)
{
	struct order_format *format = NULL;
	struct error err = {0};
	if (order_format_open(shop, name, &format, &err) < 0)
		fail_msg("%s", err.message);
	return format;
}

static unsigned split(const char *text, char delimiter, struct slice fields[FIELDS_MAX])
{
	unsigned n = 0;
	for (;;) {
		const char *const end = strchrnul(text, delimiter);
		assert_true(n < FIELDS_MAX);
		fields[n++] = (struct slice){text, (size_t)(end - text)};
		if (*end == '\0')
			return n;
		text = end + 1;
	}
}

static int read_row(struct order_format *format, const char *text, struct order_row *row)
{
	struct slice fields[FIELDS_MAX];
	const unsigned n = split(text, order_format_delimiter(format), fields);
	return order_format_row(format, fields, n, LATEST_US, row);
}

static void assert_reason(struct order_format *format, const char *text, int reason)
{
	struct order_row row;
	const int have = read_row(format, text, &row);
	if (have != reason)
		fail_msg("'%s': %s, not %s", text, have ? quarantine_reason_name((unsigned)have) : "good",
			 reason ? quarantine_reason_name((unsigned)reason) : "good");
}

static char *repeat(char c, size_t n)
{
	char *const text = malloc(n + 1);
	assert_non_null(text);
	memset(text, c, n);
	text[n] = '\0';
	return text;
}

/* --- classic ---------------------------------------------------------------------------------------------------------- */

static void test_classic(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	struct order_format *const format = open_format("classic");
	assert_int_equal(order_format_delimiter(format), '|');
	assert_false(order_format_is_csv(format));
	static const struct {
		const char *text;
		int64_t customer; /* 0: guest */
		const char *menu;
		int64_t price;
		int64_t time_s;
	} GOOD[] = {
		{"7|latte 70|1700000000", 7, "latte", 7000, 1700000000},
		{" 7 | flat  white   3.5 | 1700000000 ", 7, "flat  white", 350, 1700000000},
		{"|latte 0|0", 0, "latte", 0, 0},
		{"0|latte 0.00|1", 0, "latte", 0, 1},
		{"9223372036854775807|a 999999999.99|1800000000", INT64_MAX, "a", INT64_C(99999999999), 1800000000},
		{"1|\xe0\xb8\x81 1|5", 1, "\xe0\xb8\x81", 100, 5},
		{"1|70 70|5", 1, "70", 7000, 5},
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct order_row row;
		assert_int_equal(read_row(format, GOOD[i].text, &row), 0);
		assert_int_equal(row.customer.guest, GOOD[i].customer == 0);
		assert_int_equal(row.customer.number, GOOD[i].customer);
		assert_int_equal(row.customer.text.len, 0);
		assert_true(slice_is(row.line.menu, GOOD[i].menu));
		assert_int_equal(row.line.price_minor, GOOD[i].price);
		assert_int_equal(row.line.amount_minor, GOOD[i].price);
		assert_int_equal(row.line.qty_milli, 1000);
		assert_int_equal(row.time_us, GOOD[i].time_s * 1000000);
		assert_int_equal(row.id.len + row.line_id.len + row.store.len + row.line.sku.len, 0);
	}
	static const struct {
		const char *text;
		int reason;
	} BAD[] = {
		{"", REASON_COLUMN_COUNT},
		{"1|latte 70", REASON_COLUMN_COUNT},
		{"1|latte 70|5|", REASON_COLUMN_COUNT},
		{"x|latte 70|5", REASON_CUSTOMER_ID},
		{"-1|latte 70|5", REASON_CUSTOMER_ID},
		{"00|latte 70|5", REASON_CUSTOMER_ID},
		{"1.0|latte 70|5", REASON_CUSTOMER_ID},
		{"9223372036854775808|latte 70|5", REASON_CUSTOMER_ID},
		{"1|latte|5", REASON_PRICE},
		{"1||5", REASON_PRICE},
		{"1|latte x|5", REASON_PRICE},
		{"1|latte -1|5", REASON_PRICE},
		{"1|latte 1.005|5", REASON_PRICE},
		{"1|latte 1,50|5", REASON_PRICE},
		{"1|latte nan|5", REASON_PRICE},
		{"1|latte inf|5", REASON_PRICE},
		{"1|latte 1e3|5", REASON_PRICE},
		{"1|latte 0x10|5", REASON_PRICE},
		{"1|latte 1000000000.01|5", REASON_PRICE},
		{"1|latte 1000000000000000000000000000000|5", REASON_PRICE},
		{"1| 70|5", REASON_PRICE},
		{"1|latte 70|", REASON_TIME},
		{"1|latte 70|x", REASON_TIME},
		{"1|latte 70|5.5", REASON_TIME},
		{"1|latte 70|-1", REASON_TIME_RANGE},
		{"1|latte 70|7258118400", REASON_TIME_RANGE},
		{"1|latte 70|99999999999999999999", REASON_TIME_RANGE},
		{"1|latte 70|9223372036854775807", REASON_TIME_RANGE},
		{"1|latte 70|1800000001", REASON_TIME_RANGE}, /* later than it may be */
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_reason(format, BAD[i].text, BAD[i].reason);
	for (int over = 0; over < 2; over++) {
		const long long price = LIMIT_AMOUNT_MINOR + over;
		_cleanup_free_ char *most = text_printf("1|latte %lld.%02lld|5", price / 100, price % 100);
		assert_reason(format, most, over ? REASON_PRICE : 0);
		_cleanup_free_ char *name = repeat('n', LIMIT_NAME_BYTES + (size_t)over);
		_cleanup_free_ char *line = text_printf("1|%s 70|5", name);
		assert_reason(format, line, over ? REASON_NAME : 0);
	}
	order_format_close(format);
	order_format_close(NULL);
}

static void test_text_customers(void **state)
{
	(void)state;
	shop_open("customer_id: text\n" CLASSIC_SOURCE);
	struct order_format *const format = open_format("classic");
	struct order_row row;
	assert_int_equal(read_row(format, " A-7 |latte 70|5", &row), 0);
	assert_true(slice_is(row.customer.text, "A-7") && !row.customer.guest);
	assert_int_equal(row.customer.number, 0);
	assert_int_equal(read_row(format, "0|latte 70|5", &row), 0);
	assert_true(row.customer.guest);
	for (int over = 0; over < 2; over++) {
		_cleanup_free_ char *id = repeat('c', LIMIT_CUSTOMER_ID_BYTES + (size_t)over);
		_cleanup_free_ char *line = text_printf("%s|a 70|5", id);
		assert_reason(format, line, over ? REASON_CUSTOMER_ID : 0);
	}
	order_format_close(format);
}

/* --- mapped ----------------------------------------------------------------------------------------------------------- */

static struct order_format *open_mapped(const char *mapping, const char *header)
{
	_cleanup_free_ char *config =
		text_printf("sources:\n  - {name: till, dir: spool, format: pos}\norder_mappings:\n  "
			    "- {name: pos, %s}\n",
			    mapping);
	assert_non_null(config);
	shop_open(config);
	struct order_format *const format = open_format("pos");
	struct slice fields[FIELDS_MAX];
	struct error err = {0};
	const unsigned n = split(header, order_format_delimiter(format), fields);
	if (order_format_header(format, fields, n, "a.csv", &err) < 0)
		fail_msg("%s", err.message);
	return format;
}

static void test_all_columns(void **state)
{
	(void)state;
	struct order_format *const format =
		open_mapped("delimiter: ';', timezone: America/New_York, event_id: [outlet, receipt], line: line, "
			    "customer: member, "
			    "guest: ['', '-'], date: day, date_format: '%d.%m.%Y', time: hour, time_format: '%H:%M', "
			    "store: outlet, "
			    "sku: sku, menu: item, quantity: qty, price: price, amount: amount, decimal_mark: ','",
			    "outlet;extra;receipt; line ;member;day;hour;sku;item;qty;price;amount");
	assert_true(order_format_is_csv(format));
	assert_int_equal(order_format_delimiter(format), ';');
	struct order_row row;
	assert_int_equal(
		read_row(format, "3; whatever ; 17 ;2; 42 ;12.03.2023;03:30; s-1 ;caf\xc3\xa9;0,5;7,00;3,50", &row), 0);
	assert_true(slice_is(row.id, "3/17") && slice_is(row.line_id, "2") && slice_is(row.store, "3"));
	assert_true(slice_is(row.line.sku, "s-1") && slice_is(row.line.menu, "caf\xc3\xa9"));
	assert_int_equal(row.customer.number, 42);
	assert_int_equal(row.time_us, INT64_C(1678606200) * 1000000); /* 07:30 UTC: summer time began at 3 */
	assert_int_equal(row.line.qty_milli, 500);
	assert_int_equal(row.line.price_minor, 700);
	assert_int_equal(row.line.amount_minor, 350);
	assert_int_equal(read_row(format, "3;;17;;-;12.03.2023;00:00;;;1;7,00;7,00", &row), 0);
	assert_true(row.customer.guest);
	static const struct {
		const char *text;
		int reason;
	} CASES[] = {
		{"3;;17;;0;12.03.2023;00:00;;;1;7,00;7,00", REASON_CUSTOMER_ID}, /* 0 is no guest here */
		{"3;;17;;1;12.03.2023;00:00;;;1;7,00", REASON_COLUMN_COUNT},
		{"3;;17;;1;12.03.2023;00:00;;;1;7,00;7,00;", REASON_COLUMN_COUNT},
		{"3;;17;;1;31.02.2023;00:00;;;1;7,00;7,00", REASON_TIME},
		{"3;;17;;1;12.03.2023;24:00;;;1;7,00;7,00", REASON_TIME},
		{"3;;17;;1;12.03.2023;;;;1;7,00;7,00", REASON_TIME},
		{"3;;17;;1;31.12.1969;18:59;;;1;7,00;7,00", REASON_TIME_RANGE},
		{"3;;17;;1;31.12.1969;19:00;;;1;7,00;7,00", 0},
		{"3;;17;;1;12.03.9999;00:00;;;1;7,00;7,00", REASON_TIME_RANGE},
		{"3;;17;;1;12.03.0001;00:00;;;1;7,00;7,00", REASON_TIME_RANGE},
		{"3;;17;;1;12.03.2023;00:00;;;0;7,00;7,00", REASON_QUANTITY},
		{"3;;17;;1;12.03.2023;00:00;;;-1;7,00;7,00", REASON_QUANTITY},
		{"3;;17;;1;12.03.2023;00:00;;;0,0001;7,00;7,00", REASON_QUANTITY},
		{"3;;17;;1;12.03.2023;00:00;;;1000000000,001;7,00;7,00", REASON_QUANTITY},
		{"3;;17;;1;12.03.2023;00:00;;;1;7.00;7,00", REASON_PRICE},
		{"3;;17;;1;12.03.2023;00:00;;;1;7,00;-7,00", REASON_AMOUNT},
		{"3;;17;;1;12.03.2023;00:00;;;1;7,00;", REASON_AMOUNT},
		{"3;;;;1;12.03.2023;00:00;;;1;7,00;7,00", 0},              /* one part of the id is enough */
		{";;;;1;12.03.2023;00:00;;;1;7,00;7,00", REASON_EVENT_ID}, /* none is not */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		assert_reason(format, CASES[i].text, CASES[i].reason);
	for (int over = 0; over < 2; over++) {
		_cleanup_free_ char *id = repeat('i', LIMIT_EVENT_ID_BYTES - 2 + (size_t)over);
		_cleanup_free_ char *line = text_printf("3;;%s;;1;12.03.2023;00:00;;;1;7,00;7,00", id);
		assert_reason(format, line, over ? REASON_EVENT_ID : 0);
		_cleanup_free_ char *name = repeat('n', LIMIT_NAME_BYTES + (size_t)over);
		_cleanup_free_ char *sku = text_printf("3;;1;;1;12.03.2023;00:00;%s;;1;7,00;7,00", name);
		_cleanup_free_ char *menu = text_printf("3;;1;;1;12.03.2023;00:00;;%s;1;7,00;7,00", name);
		_cleanup_free_ char *line_id = text_printf("3;;1;%s;1;12.03.2023;00:00;;;1;7,00;7,00", name);
		assert_reason(format, sku, over ? REASON_NAME : 0);
		assert_reason(format, menu, over ? REASON_NAME : 0);
		assert_reason(format, line_id, over ? REASON_NAME : 0);
	}
	order_format_close(format);
}

/* A row of quantity and money: what becomes of the other of price and amount. */
static void assert_money(struct order_format *format, const char *quantity, int64_t minor, int reason, int64_t made)
{
	struct order_row row = {0};
	_cleanup_free_ char *text =
		text_printf("x,1,5,%s,%lld.%02lld", quantity, (long long)minor / 100, (long long)minor % 100);
	assert_non_null(text);
	assert_int_equal(read_row(format, text, &row), reason);
	if (reason == 0) {
		assert_int_equal(minor == row.line.amount_minor ? row.line.price_minor : row.line.amount_minor, made);
		assert_true(minor == row.line.amount_minor || minor == row.line.price_minor);
	}
}

/* The one of price and amount that is not there is made of the other: half away from zero, within the limits. */
static void test_price_or_amount(void **state)
{
	(void)state;
#define COMMON "event_id: [id], customer: c, date: t, date_format: '%s', quantity: q, "
	const int64_t most = LIMIT_AMOUNT_MINOR;
	struct order_format *format = open_mapped(COMMON "price: p", "id,c,t,q,p");
	assert_money(format, "3", 125, 0, 375);
	assert_money(format, "0.5", 1, 0, 1);   /* half a hundredth: up */
	assert_money(format, "0.499", 1, 0, 0); /* less: down */
	assert_money(format, "1", most, 0, most);
	assert_money(format, "1", most + 1, REASON_PRICE, 0);
	assert_money(format, "1.001", most, REASON_AMOUNT, 0);
	assert_money(format, "1000000000", most, REASON_AMOUNT, 0);
	assert_money(format, "1000000000", most / 1000000000, 0, most);
	assert_money(format, "1000000000", most / 1000000000 + 1, REASON_AMOUNT, 0);
	order_format_close(format);
	format = open_mapped(COMMON "amount: a", "id,c,t,q,a");
	assert_money(format, "3", 375, 0, 125);
	assert_money(format, "3", 100, 0, 33);
	assert_money(format, "8", 100, 0, 13); /* 12.5 */
	assert_money(format, "0.001", most / 1000, 0, most);
	assert_money(format, "0.001", most / 1000 + 1, REASON_PRICE, 0);
	assert_money(format, "0.001", most, REASON_PRICE, 0);
	assert_money(format, "1", most + 1, REASON_AMOUNT, 0);
	order_format_close(format);
}

/* Without a zone of its own, a time is the programme's. */
static void test_zone_of_the_programme(void **state)
{
	(void)state;
	struct order_format *const format = open_mapped(
		"event_id: [id], customer: c, date: t, date_format: '%Y-%m-%d %H:%M:%S', amount: a", "id,c,t,a");
	struct order_row row;
	assert_string_equal(tz_name(shop->programme->timezone), "Asia/Bangkok");
	assert_int_equal(read_row(format, "x,1,2023-11-15 00:00:00,1", &row), 0);
	assert_int_equal(row.time_us, INT64_C(1699981200) * 1000000);
	assert_int_equal(row.line.qty_milli, 1000);
	assert_true(slice_is(row.id, "x") && row.line_id.len == 0);
	order_format_close(format);
}

static void test_header(void **state)
{
	(void)state;
	struct order_format *const format =
		open_mapped("event_id: [id], customer: c, date: t, date_format: '%s', amount: a", "id,c,t,a");
	static const struct {
		const char *header;
		const char *message; /* NULL: good */
	} CASES[] = {
		{"a,t,c,id", NULL},
		{" id , c , t , a ,more", NULL},
		{"id,c,t", "no column 'a'; it has: id, c, t"},
		{"id,c,t,a,c", "'c' twice"},
		{"", "no column 'c'"},
		{"ID,c,t,a", "no column 'id'"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct slice fields[FIELDS_MAX];
		struct error err = {0};
		const unsigned n = split(CASES[i].header, ',', fields);
		const int rc = order_format_header(format, fields, n, "a.csv", &err);
		assert_int_equal(rc, CASES[i].message ? ERROR_INPUT : 0);
		if (CASES[i].message &&
		    (!strstr(err.message, CASES[i].message) || strncmp(err.message, "a.csv: ", 7) != 0))
			fail_msg("%s", err.message);
	}
	/* The columns are where the last good header has them. */
	struct slice fields[FIELDS_MAX];
	struct order_row row;
	assert_int_equal(order_format_header(format, fields, split("a,t,c,id", ',', fields), "a.csv", NULL), 0);
	assert_int_equal(read_row(format, "1.50,5,9,x", &row), 0);
	assert_int_equal(row.customer.number, 9);
	assert_int_equal(row.line.amount_minor, 150);
	order_format_close(format);
	struct order_format *other = NULL;
	struct error err = {0};
	assert_int_equal(order_format_open(shop, "clasic", &other, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "clasic"));
}

/* A line of NDJSON is not split, and is an event. */
static void test_events(void **state)
{
	(void)state;
	shop_open(CLASSIC_SOURCE);
	struct order_format *const format = open_format("ndjson");
	assert_int_equal(order_format_delimiter(format), '\0');
	assert_false(order_format_is_csv(format));
	assert_true(order_format_has_ids(format));
	assert_true(order_format_has_events(format));
	struct event event;
	assert_int_equal(
		order_format_event(format,
				   SLICE("{\"event_id\":\"a\",\"kind\":\"adjust\",\"customer\":1,\"time\":1800000000,"
					 "\"points\":1}"),
				   LATEST_US, &event),
		0);
	assert_int_equal(event.kind, EVENT_ADJUST);
	assert_int_equal(order_format_event(format, SLICE("1|latte 70|5"), LATEST_US, &event), REASON_JSON);
	order_format_close(format);
	struct order_format *const classic = open_format("classic");
	assert_false(order_format_has_events(classic));
	assert_false(order_format_has_ids(classic));
	order_format_close(classic);
	struct order_format *none = NULL;
	struct error err = {0};
	assert_int_equal(order_format_open(shop, "json", &none, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "ndjson"));
	assert_null(none);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_shop, remove_shop)
	const struct CMUnitTest tests[] = {
		TEST(test_classic),         TEST(test_text_customers),        TEST(test_all_columns),
		TEST(test_price_or_amount), TEST(test_zone_of_the_programme), TEST(test_header),
		TEST(test_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
