/* Events in JSON: each good line by all its values, each fault by its reason, and nothing through a double. */
#include "speed/event_json.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LATEST_US (INT64_C(1800000000) * 1000000)
#define AT        "\"time\":\"2026-01-01T10:00:00Z\""
#define AT_US     (INT64_C(1767261600) * 1000000)
#define ORDER(x)  "{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7," AT x "}"
#define LINES(x)  ",\"lines\":[{" x "}]"
#define REFUND(x) "{\"event_id\":\"f-1\",\"kind\":\"refund\",\"customer\":7," AT x "}"
#define REDEEM(x) "{\"event_id\":\"d-1\",\"kind\":\"redeem\",\"customer\":7," AT x "}"
#define ADJUST(x) "{\"event_id\":\"a-1\",\"kind\":\"adjust\",\"customer\":7," AT x "}"

static struct event_json *reader;

static int open_reader(void **state)
{
	(void)state;
	return event_json_new(CUSTOMER_ID_INTEGER, &reader, NULL);
}

static int open_text_reader(void **state)
{
	(void)state;
	return event_json_new(CUSTOMER_ID_TEXT, &reader, NULL);
}

static int close_reader(void **state)
{
	(void)state;
	event_json_free(reader);
	reader = NULL;
	return 0;
}

/* From a heap block of just its size, so that a read past the end is seen. */
static int read_bytes(const char *text, size_t len, struct event *event)
{
	char *const copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	const int reason = event_json_read(reader, (struct slice){copy, len}, LATEST_US, event);
	free(copy);
	return reason;
}

static void read_good(const char *text, struct event *event)
{
	const int reason = read_bytes(text, strlen(text), event);
	if (reason)
		fail_msg("%s: %s", text, quarantine_reason_name((unsigned)reason));
}

static void assert_reason_of(const char *text, size_t len, int reason)
{
	struct event event = {.n_lines = 77};
	const int have = read_bytes(text, len, &event);
	if (have != reason)
		fail_msg("'%s': %s, not %s", text, have ? quarantine_reason_name((unsigned)have) : "good",
			 quarantine_reason_name((unsigned)reason));
	assert_int_equal(event.n_lines, 77);
}

static void assert_reason(const char *text, int reason)
{
	assert_reason_of(text, strlen(text), reason);
}

static void assert_text(struct slice have, const char *want)
{
	if (!slice_is(have, want))
		fail_msg("'%.*s' is not '%s'", (int)have.len, have.data, want);
}

static void test_order(void **state)
{
	(void)state;
	struct event e;
	read_good("{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7,\"time\":\"2026-01-01T10:00:00Z\",\"store\":"
		  "\"s1\",\"lines\":[{\"sku\":\"A1\",\"menu\":\"latte\",\"qty\":1,\"price\":4.50,\"amount\":4.50},"
		  "{\"menu\":\"caf\\u00e9 \\ud83d\\ude00\",\"qty\":0.350,\"price\":20}]}",
		  &e);
	assert_int_equal(e.kind, EVENT_ORDER);
	assert_text(e.id, "r-1");
	assert_false(e.customer.guest);
	assert_int_equal(e.customer.number, 7);
	assert_int_equal(e.customer.text.len, 0);
	assert_int_equal(e.time_us, AT_US);
	assert_text(e.store, "s1");
	assert_int_equal(e.n_lines, 2);
	assert_text(e.lines[0].sku, "A1");
	assert_text(e.lines[0].menu, "latte");
	assert_int_equal(e.lines[0].qty_milli, 1000);
	assert_int_equal(e.lines[0].price_minor, 450);
	assert_int_equal(e.lines[0].amount_minor, 450);
	assert_int_equal(e.lines[1].sku.len, 0);
	assert_text(e.lines[1].menu, "caf\xc3\xa9 \xf0\x9f\x98\x80");
	assert_int_equal(e.lines[1].qty_milli, 350);
	assert_int_equal(e.lines[1].price_minor, 2000);
	assert_int_equal(e.lines[1].amount_minor, 700);
	assert_int_equal(e.order_id.len + e.ledger.len + e.reward.len + e.reason.len, 0);
	assert_int_equal(e.amount_minor, 0);
	assert_int_equal(e.points_milli, 0);
	assert_false(e.declined);
	/* The next line, in any order of keys and with blanks, leaves nothing of the one before. */
	read_good(" {\t\"lines\" : [ { \"amount\" : 5 } ] , "
		  "\"time\":1767261600,\"kind\":\"order\",\"event_id\":\"r-2\"} \r",
		  &e);
	assert_text(e.id, "r-2");
	assert_true(e.customer.guest);
	assert_int_equal(e.time_us, AT_US);
	assert_int_equal(e.store.len, 0);
	assert_int_equal(e.n_lines, 1);
	assert_int_equal(e.lines[0].menu.len + e.lines[0].sku.len, 0);
	assert_int_equal(e.lines[0].amount_minor, 500);
	assert_int_equal(e.lines[0].price_minor, 500);
}

static void test_refund(void **state)
{
	(void)state;
	struct event e;
	read_good(REFUND(",\"order\":\"r-1\",\"amount\":4.50"), &e);
	assert_int_equal(e.kind, EVENT_REFUND);
	assert_text(e.order_id, "r-1");
	assert_int_equal(e.amount_minor, 450);
	assert_int_equal(e.n_lines, 0);
	read_good(REFUND(",\"order\":\"r-1\",\"lines\":[{\"sku\":\"A\",\"amount\":1},{\"sku\":\"B\",\"price\":0.5,"
			 "\"qty\":3}]"),
		  &e);
	assert_int_equal(e.n_lines, 2);
	assert_int_equal(e.amount_minor, 250);
	assert_int_equal(e.lines[1].qty_milli, 3000);
	read_good(REFUND(",\"order\":\"r-1\",\"amount\":1.00,\"lines\":[{\"amount\":1}]"), &e);
	assert_int_equal(e.amount_minor, 100);
	/* A guest's order comes back, too. */
	read_good("{\"event_id\":\"f\",\"kind\":\"refund\",\"customer\":null," AT ",\"order\":\"r\",\"amount\":1}", &e);
	assert_true(e.customer.guest);
	assert_reason(REFUND(",\"order\":\"r-1\""), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":0"), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":-1"), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":\"1\""), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":null"), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":1000000000.01"), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":1.01,\"lines\":[{\"amount\":1}]"), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":0,\"lines\":[{\"amount\":1}]"), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"lines\":[{\"amount\":0}]"), REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"lines\":[{\"amount\":1000000000},{\"amount\":0.01}]"),
		      REASON_AMOUNT);
	assert_reason(REFUND(",\"order\":\"r-1\",\"lines\":[]"), REASON_ORDER_LINES);
	assert_reason(REFUND(",\"amount\":1"), REASON_ORDER_ID);
	assert_reason(REFUND(",\"order\":\"\",\"amount\":1"), REASON_ORDER_ID);
	assert_reason(REFUND(",\"order\":1,\"amount\":1"), REASON_ORDER_ID);
	assert_reason(
		REFUND(",\"order\":\"12345678901234567890123456789012345678901234567890123456789012345\",\"amount\":1"),
		REASON_ORDER_ID);
	assert_reason(REFUND(",\"order\":\"r-1\",\"amount\":1,\"points\":1"), REASON_FIELD);
}

static void test_redeem(void **state)
{
	(void)state;
	struct event e;
	read_good(REDEEM(",\"points\":100,\"ledger\":\"points\""), &e);
	assert_int_equal(e.kind, EVENT_REDEEM);
	assert_int_equal(e.points_milli, 100000);
	assert_text(e.ledger, "points");
	assert_int_equal(e.reward.len, 0);
	assert_false(e.declined);
	read_good(REDEEM(",\"reward\":\"free-coffee\",\"accepted\":false"), &e);
	assert_int_equal(e.points_milli, 0);
	assert_text(e.reward, "free-coffee");
	assert_true(e.declined);
	read_good(REDEEM(",\"reward\":\"free-coffee\",\"points\":0.001,\"accepted\":true"), &e);
	assert_int_equal(e.points_milli, 1);
	assert_false(e.declined);
	read_good(REDEEM(",\"points\":1000000000000"), &e);
	assert_int_equal(e.points_milli, LIMIT_POINTS_MILLI);
	static const char *const POINTS[] = {"",
					     ",\"reward\":\"\"",
					     ",\"points\":0",
					     ",\"points\":0,\"reward\":\"x\"",
					     ",\"points\":-1",
					     ",\"points\":-0",
					     ",\"points\":0.0001",
					     ",\"points\":1e2",
					     ",\"points\":1E2",
					     ",\"points\":\"1\"",
					     ",\"points\":null",
					     ",\"points\":true",
					     ",\"points\":[1]",
					     ",\"points\":1000000000000.001",
					     ",\"points\":12345678901234567890",
					     ",\"points\":123456789012345678901234567890123456789012345678901234567890",
					     ",\"points\":9223372036854775807",
					     ",\"points\":1e400"};
	for (size_t i = 0; i < sizeof(POINTS) / sizeof(POINTS[0]); i++) {
		_cleanup_free_ char *text = text_printf(REDEEM("%s"), POINTS[i]);
		assert_reason(text, REASON_POINTS);
	}
	assert_reason(REDEEM(",\"points\":1,\"accepted\":1"), REASON_FIELD);
	assert_reason(REDEEM(",\"points\":1,\"accepted\":\"false\""), REASON_FIELD);
	assert_reason(REDEEM(",\"points\":1,\"accepted\":null"), REASON_FIELD);
	assert_reason(REDEEM(",\"points\":1,\"reason\":\"x\""), REASON_FIELD);
	assert_reason(REDEEM(",\"points\":1,\"ledger\":1"), REASON_NAME);
	assert_reason(REDEEM(",\"points\":1,\"reward\":1"), REASON_NAME);
	static const char *const GUESTS[] = {"",
					     "\"customer\":null,",
					     "\"customer\":0,",
					     "\"customer\":-0,",
					     "\"customer\":\"\",",
					     "\"customer\":\"0\","};
	for (size_t i = 0; i < sizeof(GUESTS) / sizeof(GUESTS[0]); i++) {
		_cleanup_free_ char *redeem =
			text_printf("{\"event_id\":\"x\",\"kind\":\"redeem\",%s" AT ",\"points\":1}", GUESTS[i]);
		_cleanup_free_ char *adjust =
			text_printf("{\"event_id\":\"x\",\"kind\":\"adjust\",%s" AT ",\"points\":1}", GUESTS[i]);
		_cleanup_free_ char *order = text_printf(
			"{\"event_id\":\"x\",\"kind\":\"order\",%s" AT LINES("\"amount\":1") "}", GUESTS[i]);
		assert_reason(redeem, REASON_CUSTOMER_ID);
		assert_reason(adjust, REASON_CUSTOMER_ID);
		read_good(order, &e);
		assert_true(e.customer.guest);
	}
}

static void test_adjust(void **state)
{
	(void)state;
	struct event e;
	read_good(ADJUST(",\"points\":-5.5,\"reason\":\"goodwill\",\"ledger\":\"points\""), &e);
	assert_int_equal(e.kind, EVENT_ADJUST);
	assert_int_equal(e.points_milli, -5500);
	assert_text(e.reason, "goodwill");
	assert_text(e.ledger, "points");
	read_good(ADJUST(",\"points\":1"), &e);
	assert_int_equal(e.points_milli, 1000);
	assert_int_equal(e.reason.len + e.ledger.len, 0);
	read_good(ADJUST(",\"points\":-1000000000000.000"), &e);
	assert_int_equal(e.points_milli, -LIMIT_POINTS_MILLI);
	assert_reason(ADJUST(""), REASON_POINTS);
	assert_reason(ADJUST(",\"points\":0"), REASON_POINTS);
	assert_reason(ADJUST(",\"points\":-0.000"), REASON_POINTS);
	assert_reason(ADJUST(",\"points\":-1000000000000.001"), REASON_POINTS);
	assert_reason(ADJUST(",\"points\":-9223372036854775809"), REASON_POINTS);
	assert_reason(ADJUST(",\"points\":1,\"reason\":null"), REASON_NAME);
	assert_reason(ADJUST(",\"points\":1,\"reward\":\"x\""), REASON_FIELD);
	assert_reason(ADJUST(",\"points\":1,\"accepted\":true"), REASON_FIELD);
	assert_reason(ADJUST(",\"points\":1,\"order\":\"r\""), REASON_FIELD);
}

/* The digits count: what a double would round is told apart, and what a double makes of a short text is not. */
static void test_numbers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t minor;
	} GOOD[] = {
		{"0.1", 10},
		{"0", 0},
		{"-0", 0},
		{"-0.00", 0},
		{"0.29", 29},
		{"1.15", 115},
		{"1.1500000000000000000000000000000000000000", 115},
		{"999999999.99", INT64_C(99999999999)},
		{"1000000000", LIMIT_AMOUNT_MINOR},
		{"1000000000.00", LIMIT_AMOUNT_MINOR},
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct event e;
		_cleanup_free_ char *text = text_printf(ORDER(LINES("\"amount\":%s")), GOOD[i].text);
		read_good(text, &e);
		assert_int_equal(e.lines[0].amount_minor, GOOD[i].minor);
	}
	static const char *const BAD_AMOUNTS[] = {"1.005",
						  "1e2",
						  "1E2",
						  "1e0",
						  "0e0",
						  "1.0e1",
						  "-1",
						  "-0.01",
						  "1.1500000000000000000000000000000000000001",
						  "1000000000.01",
						  "1000000000.000000000000000000001",
						  "12345678901234567890",
						  "18446744073709551617",
						  "99999999999999999999999999999999999999",
						  "-99999999999999999999999",
						  "1e999",
						  "1e-999",
						  "\"1\"",
						  "null",
						  "true",
						  "{}",
						  "[]"};
	for (size_t i = 0; i < sizeof(BAD_AMOUNTS) / sizeof(BAD_AMOUNTS[0]); i++) {
		_cleanup_free_ char *text = text_printf(ORDER(LINES("\"amount\":%s")), BAD_AMOUNTS[i]);
		assert_reason(text, REASON_AMOUNT);
	}
	static const char *const NO_NUMBERS[] = {"01",    "-01",   "00",  "00.5",     "-00.5",     "1.",   "-1.",
						 ".5",    "-.5",   "+1",  "-",        "--1",       "1e",   "1e+",
						 "1.e1",  "NaN",   "nan", "Infinity", "-Infinity", "0x10", "1_000",
						 "1 000", "1.0.0", "1-2", "1e5e5",    "\xd9\xa1"};
	for (size_t i = 0; i < sizeof(NO_NUMBERS) / sizeof(NO_NUMBERS[0]); i++) {
		_cleanup_free_ char *text = text_printf(ORDER(LINES("\"amount\":%s")), NO_NUMBERS[i]);
		assert_reason(text, REASON_JSON);
	}
}

/* What a line leaves out is filled in exactly. */
static void test_line_defaults(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		int64_t qty;
		int64_t price;
		int64_t amount;
	} GOOD[] = {
		{"\"price\":4.5", 1000, 450, 450},
		{"\"amount\":4.5", 1000, 450, 450},
		{"\"qty\":3,\"price\":0.33", 3000, 33, 99},
		{"\"qty\":3,\"amount\":1", 3000, 33, 100},
		{"\"qty\":6,\"amount\":1", 6000, 17, 100},
		{"\"qty\":0.5,\"price\":0.01", 500, 1, 1},
		{"\"qty\":0.499,\"price\":0.01", 499, 1, 0},
		{"\"qty\":2,\"price\":1,\"amount\":1.50", 2000, 100, 150},
		{"\"qty\":1.000,\"price\":0", 1000, 0, 0},
		{"\"qty\":1000000000,\"price\":0.01", LIMIT_QUANTITY_MILLI, 1, INT64_C(1000000000)},
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct event e;
		_cleanup_free_ char *text = text_printf(ORDER(LINES("%s")), GOOD[i].line);
		read_good(text, &e);
		assert_int_equal(e.lines[0].qty_milli, GOOD[i].qty);
		assert_int_equal(e.lines[0].price_minor, GOOD[i].price);
		assert_int_equal(e.lines[0].amount_minor, GOOD[i].amount);
	}
	static const struct {
		const char *line;
		int reason;
	} BAD[] = {
		{"", REASON_AMOUNT},
		{"\"qty\":1", REASON_AMOUNT},
		{"\"sku\":\"A\"", REASON_AMOUNT},
		{"\"qty\":0,\"price\":1", REASON_QUANTITY},
		{"\"qty\":-1,\"price\":1", REASON_QUANTITY},
		{"\"qty\":0.0001,\"price\":1", REASON_QUANTITY},
		{"\"qty\":1000000000.001,\"price\":1", REASON_QUANTITY},
		{"\"qty\":null,\"price\":1", REASON_QUANTITY},
		{"\"qty\":\"1\",\"price\":1", REASON_QUANTITY},
		{"\"price\":-1", REASON_PRICE},
		{"\"price\":1.001", REASON_PRICE},
		{"\"price\":null,\"amount\":1", REASON_PRICE},
		{"\"price\":1000000000,\"qty\":1.001", REASON_AMOUNT},
		{"\"amount\":1000000000,\"qty\":0.999", REASON_PRICE},
		{"\"price\":1,\"sku\":1", REASON_NAME},
		{"\"price\":1,\"menu\":null", REASON_NAME},
		{"\"price\":1,\"name\":\"latte\"", REASON_FIELD},
		{"\"price\":1,\"\":1", REASON_FIELD},
		{"\"price\":1,\"price\":1", REASON_FIELD},
		{"\"price\":1,\"pr\\u0069ce\":1", REASON_FIELD},
		{"\"price\":1,\"Price\":1", REASON_FIELD},
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		_cleanup_free_ char *text = text_printf(ORDER(LINES("%s")), BAD[i].line);
		assert_reason(text, BAD[i].reason);
	}
	static const char *const BAD_LINES[] = {"",
						",\"lines\":[]",
						",\"lines\":null",
						",\"lines\":{}",
						",\"lines\":1",
						",\"lines\":[1]",
						",\"lines\":[null]",
						",\"lines\":[[]]",
						",\"lines\":[{\"amount\":1},\"x\"]"};
	for (size_t i = 0; i < sizeof(BAD_LINES) / sizeof(BAD_LINES[0]); i++) {
		_cleanup_free_ char *text = text_printf(ORDER("%s"), BAD_LINES[i]);
		assert_reason(text, REASON_ORDER_LINES);
	}
}

/* One key, `n` times the letter as its text, and it must be good up to `max`. */
static void check_length(const char *format, size_t max, int reason)
{
	char letters[600];
	struct event e;
	for (size_t n = max - 1; n <= max + 1; n++) {
		memset(letters, 'x', n);
		letters[n] = '\0';
		_cleanup_buf_ struct buf text = {0};
		const char *const mark = strchr(format, '@');
		assert_non_null(mark);
		assert_int_equal(buf_append(&text, format, (size_t)(mark - format)), 0);
		assert_int_equal(buf_append_text(&text, letters), 0);
		assert_int_equal(buf_append_text(&text, mark + 1), 0);
		if (n <= max)
			read_good(buf_text(&text), &e);
		else
			assert_reason(buf_text(&text), reason);
	}
}

static void test_lengths(void **state)
{
	(void)state;
	check_length("{\"event_id\":\"@\",\"kind\":\"adjust\",\"customer\":7," AT ",\"points\":1}",
		     LIMIT_EVENT_ID_BYTES, REASON_EVENT_ID);
	check_length(REFUND(",\"amount\":1,\"order\":\"@\""), LIMIT_EVENT_ID_BYTES, REASON_ORDER_ID);
	check_length(ADJUST(",\"points\":1,\"store\":\"@\""), LIMIT_NAME_BYTES, REASON_NAME);
	check_length(ADJUST(",\"points\":1,\"ledger\":\"@\""), LIMIT_NAME_BYTES, REASON_NAME);
	check_length(ADJUST(",\"points\":1,\"reason\":\"@\""), LIMIT_NAME_BYTES, REASON_NAME);
	check_length(REDEEM(",\"points\":1,\"reward\":\"@\""), LIMIT_NAME_BYTES, REASON_NAME);
	check_length(ORDER(LINES("\"amount\":1,\"sku\":\"@\"")), LIMIT_NAME_BYTES, REASON_NAME);
	check_length(ORDER(LINES("\"amount\":1,\"menu\":\"@\"")), LIMIT_NAME_BYTES, REASON_NAME);
	/* So many lines, and one more. */
	_cleanup_buf_ struct buf text = {0};
	for (uint32_t n = LIMIT_ORDER_LINES; n <= LIMIT_ORDER_LINES + 1; n++) {
		buf_clear(&text);
		assert_int_equal(buf_append_text(&text, "{\"event_id\":\"x\",\"kind\":\"order\"," AT ",\"lines\":["),
				 0);
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(buf_printf(&text, "%s{\"amount\":%u}", i ? "," : "", i % 7), 0);
		assert_int_equal(buf_append_text(&text, "]}"), 0);
		struct event e;
		if (n <= LIMIT_ORDER_LINES) {
			read_good(buf_text(&text), &e);
			assert_int_equal(e.n_lines, n);
			assert_int_equal(e.lines[n - 1].amount_minor, 100 * ((n - 1) % 7));
		} else {
			assert_reason(buf_text(&text), REASON_ORDER_LINES);
		}
	}
}

static void test_ids(void **state)
{
	(void)state;
	static const char *const BAD_EVENT_IDS[] = {"", "\"event_id\":\"\",", "\"event_id\":null,", "\"event_id\":1,",
						    "\"event_id\":[\"x\"],"};
	for (size_t i = 0; i < sizeof(BAD_EVENT_IDS) / sizeof(BAD_EVENT_IDS[0]); i++) {
		_cleanup_free_ char *text =
			text_printf("{%s\"kind\":\"adjust\",\"customer\":7," AT ",\"points\":1}", BAD_EVENT_IDS[i]);
		assert_reason(text, REASON_EVENT_ID);
	}
	static const char *const BAD_KINDS[] = {"",
						",\"kind\":null",
						",\"kind\":\"\"",
						",\"kind\":\"Order\"",
						",\"kind\":\"orders\"",
						",\"kind\":0",
						",\"kind\":[\"order\"]"};
	for (size_t i = 0; i < sizeof(BAD_KINDS) / sizeof(BAD_KINDS[0]); i++) {
		_cleanup_free_ char *text =
			text_printf("{\"event_id\":\"x\",\"customer\":7," AT ",\"points\":1%s}", BAD_KINDS[i]);
		assert_reason(text, REASON_KIND);
	}
	static const char *const BAD_CUSTOMERS[] = {"-1",
						    "7.0",
						    "0.0",
						    "7.5",
						    "1e3",
						    "\"7\"",
						    "\"x\"",
						    "true",
						    "[]",
						    "{}",
						    "9223372036854775808",
						    "18446744073709551615",
						    "99999999999999999999",
						    "-9223372036854775809"};
	for (size_t i = 0; i < sizeof(BAD_CUSTOMERS) / sizeof(BAD_CUSTOMERS[0]); i++) {
		_cleanup_free_ char *text =
			text_printf("{\"event_id\":\"x\",\"kind\":\"adjust\",\"customer\":%s," AT ",\"points\":1}",
				    BAD_CUSTOMERS[i]);
		assert_reason(text, REASON_CUSTOMER_ID);
	}
	struct event e;
	read_good("{\"event_id\":\"x\",\"kind\":\"adjust\",\"customer\":9223372036854775807," AT ",\"points\":1}", &e);
	assert_int_equal(e.customer.number, INT64_MAX);
}

static void test_text_customers(void **state)
{
	(void)state;
	struct event e;
	check_length("{\"event_id\":\"x\",\"kind\":\"adjust\",\"customer\":\"@\"," AT ",\"points\":1}",
		     LIMIT_CUSTOMER_ID_BYTES, REASON_CUSTOMER_ID);
	read_good("{\"event_id\":\"x\",\"kind\":\"adjust\",\"customer\":\" 7\"," AT ",\"points\":1}", &e);
	assert_text(e.customer.text, " 7");
	assert_int_equal(e.customer.number, 0);
	read_good("{\"event_id\":\"x\",\"kind\":\"order\",\"customer\":0," AT LINES("\"amount\":1") "}", &e);
	assert_true(e.customer.guest);
	assert_reason(ADJUST(",\"points\":1"), REASON_CUSTOMER_ID);
}

static void check_time(const char *value, int reason, int64_t time_us)
{
	struct event e;
	_cleanup_free_ char *text =
		text_printf("{\"event_id\":\"x\",\"kind\":\"adjust\",\"customer\":7,\"time\":%s,\"points\":1}", value);
	if (reason) {
		assert_reason(text, reason);
		return;
	}
	read_good(text, &e);
	if (e.time_us != time_us)
		fail_msg("%s: %lld, not %lld", value, (long long)e.time_us, (long long)time_us);
}

static void test_times(void **state)
{
	(void)state;
	check_time("\"2026-01-01T10:00:00Z\"", 0, AT_US);
	check_time("\"2026-01-01t10:00:00z\"", 0, AT_US);
	check_time("\"2026-01-01T17:00:00+07:00\"", 0, AT_US);
	check_time("\"2026-01-01T04:30:00-05:30\"", 0, AT_US);
	check_time("\"2025-12-31T10:01:00-23:59\"", 0, AT_US);
	check_time("\"2026-01-01T10:00:00-00:00\"", 0, AT_US);
	check_time("\"2026-01-01T10:00:00.5Z\"", 0, AT_US + 500000);
	check_time("\"2026-01-01T10:00:00.000001Z\"", 0, AT_US + 1);
	check_time("\"2026-01-01T10:00:00.123456789Z\"", 0, AT_US + 123456);
	check_time("\"2024-02-29T00:00:00Z\"", 0, INT64_C(1709164800) * 1000000);
	check_time("1767261600", 0, AT_US);
	check_time("0", 0, 0);
	check_time("\"1970-01-01T00:00:00Z\"", 0, 0);
	check_time("1800000000", 0, LATEST_US);
	static const char *const BAD[] = {"\"\"",
					  "null",
					  "true",
					  "[]",
					  "1767261600.5",
					  "1.5e9",
					  "\"1767261600\"",
					  "\"2026-01-01T10:00:00\"",
					  "\"2026-01-01 10:00:00Z\"",
					  "\"2026-01-01\"",
					  "\"2026-01-01T10:00Z\"",
					  "\"2026-1-1T10:00:00Z\"",
					  "\"26-01-01T10:00:00Z\"",
					  "\"2026-01-01T10:00:00.Z\"",
					  "\"2026-01-01T10:00:00.1234567890Z\"",
					  "\"2026-01-01T10:00:00,5Z\"",
					  "\"2026-01-01T10:00:00+0700\"",
					  "\"2026-01-01T10:00:00+07\"",
					  "\"2026-01-01T10:00:00+24:00\"",
					  "\"2026-01-01T10:00:00+07:60\"",
					  "\"2026-01-01T10:00:00ZZ\"",
					  "\"2026-01-01T10:00:00Z \"",
					  "\"2026-01-01T24:00:00Z\"",
					  "\"2026-01-01T10:60:00Z\"",
					  "\"2026-06-30T23:59:60Z\"",
					  "\"2026-02-29T10:00:00Z\"",
					  "\"2026-13-01T10:00:00Z\"",
					  "\"2026-00-01T10:00:00Z\"",
					  "\"+2026-01-01T10:00:00Z\"",
					  "\"-026-01-01T10:00:00Z\""};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		check_time(BAD[i], REASON_TIME, 0);
	static const char *const OUT[] = {"-1",
					  "1800000001",
					  "7258118400",
					  "9223372036854775807",
					  "99999999999999999999999",
					  "-99999999999999999999999",
					  "\"1969-12-31T23:59:59.999999Z\"",
					  "\"1970-01-01T00:00:00+00:01\"",
					  "\"0001-01-01T00:00:00Z\"",
					  "\"9999-12-31T23:59:59Z\"",
					  "\"2200-01-01T00:00:00Z\"",
					  "\"2027-01-15T08:00:00.000001Z\""};
	for (size_t i = 0; i < sizeof(OUT) / sizeof(OUT[0]); i++)
		check_time(OUT[i], REASON_TIME_RANGE, 0);
	assert_reason("{\"event_id\":\"x\",\"kind\":\"adjust\",\"customer\":7,\"points\":1}", REASON_TIME);
}

/* What is no JSON, or more than one thing; json-c alone would take many of these. */
static void test_syntax(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		" ",
		"\t",
		"{",
		"}",
		"{}}",
		"[]",
		"1",
		"null",
		"\"x\"",
		"{{}}",
		"{\"kind\"}",
		"{\"kind\":}",
		"{\"kind\" \"order\"}",
		"{\"kind\":\"order\",}",
		"{,}",
		"{'kind':'order'}",
		"{kind:\"order\"}",
		"{\"kind\":'order'}",
		"{\"kind\":\"order\"} x",
		"{\"kind\":\"order\"}{\"kind\":\"order\"}",
		"{\"kind\":\"order\"},",
		"{\"kind\":\"order\"/*x*/}",
		"{\"kind\":\"order\"}//x",
		"{\"kind\":\"or\tder\"}",
		"{\"kind\":\"or\x01 der\"}",
		"{\"kind\":\"\\q\"}",
		"{\"kind\":\"\\u12\"}",
		"{\"kind\":\"\\u12g4\"}",
		"{\"kind\":\"\\",
		"{\"kind\":\"",
		"{\"kind\":\"\\u",
		"{\"a\":TRUE}",
		"{\"a\":True}",
		"{\"a\":truex}",
		"{\"a\":tru",
		"{\"a\":nul}",
		"{\"a\":undefined}",
		"\v{}",
		"{}\f",
		"{\"a\":\xc2\xa0 1}",
		"\xef\xbb\xbf{}",
		"{\"a\":[1,]}",
		"{\"a\":[1 2]}",
		"{\"a\":[1}",
		"{\"a\":[1]]",
		"{\"a\":[[[[1]]]]}",
		"{\"a\":{\"a\":{\"a\":{\"a\":1}}}}",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_reason(BAD[i], REASON_JSON);
	/* A million brackets are no deeper than four. */
	const size_t n = 1000000;
	char *const deep = malloc(n + 1);
	assert_non_null(deep);
	memset(deep, '[', n);
	deep[n] = '\0';
	assert_reason(deep, REASON_JSON);
	for (size_t i = 0; i + 5 <= n; i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	assert_reason(deep, REASON_JSON);
	free(deep);
	/* It goes on after each of them. */
	struct event e;
	read_good(ADJUST(",\"points\":1"), &e);
}

static void test_escapes(void **state)
{
	(void)state;
	assert_reason(ADJUST(",\"points\":1,\"reason\":\"a\\u0000b\""), REASON_NUL_BYTE);
	assert_reason(ADJUST(",\"points\":1,\"ledger\\u0000x\":\"a\""), REASON_NUL_BYTE);
	static const char *const HALVES[] = {"\\ud800",        "\\udc00",        "\\ud83dx",       "\\ud83d\\n",
					     "\\ud83d\\u0041", "\\ud83d\\ud83d", "\\ude00\\ud83d", "\\uDBFF"};
	for (size_t i = 0; i < sizeof(HALVES) / sizeof(HALVES[0]); i++) {
		_cleanup_free_ char *text = text_printf(ADJUST(",\"points\":1,\"reason\":\"%s\""), HALVES[i]);
		assert_reason(text, REASON_ENCODING);
	}
	struct event e;
	read_good(ADJUST(",\"points\":1,\"reason\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00E9\\uD83D\\uDE00:{,}\""), &e);
	assert_text(e.reason, "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80:{,}");
	/* Keys may be written with escapes, too. */
	read_good("{\"event\\u005fid\":\"x\",\"k\\u0069nd\":\"adjust\",\"customer\":7," AT ",\"points\":1}", &e);
	assert_text(e.id, "x");
}

/* Every key of an event is found when it is there twice, whatever it holds. */
static void test_twice(void **state)
{
	(void)state;
	static const char *const MEMBERS[] = {"\"event_id\":\"x\"", "\"kind\":\"refund\"",
					      "\"customer\":7",     AT,
					      "\"store\":\"a:b\"",  "\"order\":\"{\\\":\"",
					      "\"amount\":1",       "\"lines\":[{\"amount\":1,\"sku\":\":\"}]"};
	const size_t n = sizeof(MEMBERS) / sizeof(MEMBERS[0]);
	for (size_t twice = 0; twice <= n; twice++) {
		_cleanup_buf_ struct buf text = {0};
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf_printf(&text, "%c%s", i ? ',' : '{', MEMBERS[i]), 0);
		if (twice < n)
			assert_int_equal(buf_printf(&text, ",%s", MEMBERS[twice]), 0);
		assert_int_equal(buf_append_text(&text, "}"), 0);
		struct event e;
		if (twice == n)
			read_good(buf_text(&text), &e);
		else
			assert_reason(buf_text(&text), REASON_FIELD);
	}
	assert_reason(ADJUST(",\"points\":1,\"point\":1"), REASON_FIELD);
	assert_reason(ADJUST(",\"points\":1,\"\":1"), REASON_FIELD);
	assert_reason(ORDER(LINES("\"amount\":1") ",\"amount\":1"), REASON_FIELD);
	assert_reason(ORDER(LINES("\"amount\":1") ",\"order\":\"r\""), REASON_FIELD);
}

/* Any byte changed, cut or doubled: a reason or an event, and the reader goes on. */
static void test_damage(void **state)
{
	(void)state;
	static const char GOOD[] = "{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7," AT
				   ",\"store\":\"s\\u00e9\",\"lines\":[{\"sku\":\"A1\",\"qty\":1.5,\"price\":4.50}]}";
	const size_t len = sizeof(GOOD) - 1;
	struct random random;
	random_init(&random, 11);
	struct event e;
	unsigned good = 0;
	for (unsigned i = 0; i < 20000; i++) {
		char text[sizeof(GOOD)];
		memcpy(text, GOOD, len);
		for (uint64_t k = 1 + random_below(&random, 3); k > 0; k--) {
			const char byte = "\"\\{}[],:0123456789-.eEtfnu '/x"[random_below(&random, 30)];
			text[random_below(&random, len)] = byte;
		}
		const int reason = read_bytes(text, len, &e);
		assert_true(reason >= 0 && reason <= REASON_MAX);
		good += reason == 0;
	}
	assert_true(good > 100);
	for (size_t cut = 1; cut < len; cut++)
		assert_reason_of(GOOD, cut, REASON_JSON);
	read_good(GOOD, &e);
}

static void assert_written(const char *line, const char *expected)
{
	struct event event;
	struct json json;
	_cleanup_buf_ struct buf before = {0};
	_cleanup_buf_ struct buf after = {0};
	_cleanup_buf_ struct buf written = {0};
	read_good(line, &event);
	assert_int_equal(block_event_payload(&event, &before), 0);
	json_to_buf(&json, &written);
	event_json_write(&json, &event);
	assert_int_equal(json_finish(&json, NULL), 0);
	assert_string_equal(buf_text(&written), expected);
	read_good(buf_text(&written), &event);
	assert_int_equal(block_event_payload(&event, &after), 0);
	assert_int_equal(after.len, before.len);
	assert_memory_equal(after.data, before.data, before.len);
}

/* What is written reads the same; tests/fuzz/fuzz_event_json.c does it with anything. */
static void test_written(void **state)
{
	(void)state;
	assert_written(
		"{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7,\"time\":\"2026-01-01T17:00:00.250+07:00\","
		"\"store\":\"s\\u00e91\",\"lines\":[{\"sku\":\"A\\t1\",\"qty\":2,\"price\":4.5},{\"amount\":0}]}",
		"{\"event_id\":\"r-1\",\"kind\":\"order\",\"customer\":7,\"time\":\"2026-01-01T10:00:00.250000Z\","
		"\"store\":\"s\u00e91\",\"lines\":[{\"sku\":\"A\\t1\",\"qty\":2.000,\"price\":4.50,\"amount\":9.00},"
		"{\"qty\":1.000,\"price\":0.00,\"amount\":0.00}]}");
	assert_written("{\"event_id\":\"f\",\"kind\":\"refund\",\"time\":0,\"order\":\"r\",\"amount\":0.05}",
		       "{\"event_id\":\"f\",\"kind\":\"refund\",\"time\":\"1970-01-01T00:00:00Z\",\"order\":\"r\","
		       "\"amount\":0.05}");
	assert_written(
		"{\"event_id\":\"f\",\"kind\":\"refund\",\"time\":1,\"order\":\"r\",\"lines\":[{\"amount\":1,"
		"\"qty\":3}]}",
		"{\"event_id\":\"f\",\"kind\":\"refund\",\"time\":\"1970-01-01T00:00:01Z\",\"lines\":[{\"qty\":3.000,"
		"\"price\":0.33,\"amount\":1.00}],\"order\":\"r\",\"amount\":1.00}");
	assert_written("{\"event_id\":\"d\",\"kind\":\"redeem\",\"customer\":9007199254740993,\"time\":1700000000,"
		       "\"reward\":\"free\",\"points\":1.5,\"ledger\":\"l\",\"accepted\":false}",
		       "{\"event_id\":\"d\",\"kind\":\"redeem\",\"customer\":9007199254740993,"
		       "\"time\":\"2023-11-14T22:13:20Z\",\"points\":1.500,\"ledger\":\"l\",\"reward\":\"free\","
		       "\"accepted\":false}");
	assert_written("{\"event_id\":\"a\",\"kind\":\"adjust\",\"customer\":1,\"time\":1,\"points\":-0.001,"
		       "\"reason\":\"a\\nb\"}",
		       "{\"event_id\":\"a\",\"kind\":\"adjust\",\"customer\":1,\"time\":\"1970-01-01T00:00:01Z\","
		       "\"points\":-0.001,\"reason\":\"a\\nb\"}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_reader, close_reader)
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_refund),
		TEST(test_redeem),
		TEST(test_adjust),
		TEST(test_numbers),
		TEST(test_line_defaults),
		TEST(test_lengths),
		TEST(test_ids),
		cmocka_unit_test_setup_teardown(test_text_customers, open_text_reader, close_reader),
		TEST(test_times),
		TEST(test_syntax),
		TEST(test_escapes),
		TEST(test_twice),
		TEST(test_damage),
		TEST(test_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
