/* programme.yaml: what it gives, and the exact words of each refusal. */
#include "base/file.h"
#include "config/schema_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD     "version: 1\nname: Club\ncurrency: USD\ntimezone: America/New_York\n"
#define EARN     "earn:\n  - per_amount: {points: 1, per: 10.00}\n"
#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct programme *parse(const char *text)
{
	struct programme *programme = NULL;
	struct error err = {0};
	if (programme_parse("r.yaml", text, strlen(text), &programme, &err) < 0)
		fail_msg("%s\n%s", err.message, text);
	return programme;
}

static void test_values(void **state)
{
	(void)state;
	struct programme *programme =
		parse(HEAD "rounding: floor\nearn:\n  - per_amount: {points: 0.125, per: 2.50}\n");
	assert_string_equal(programme->name, "Club");
	assert_string_equal(programme->currency, "USD");
	assert_string_equal(tz_name(programme->timezone), "America/New_York");
	assert_int_equal(programme->rounding, ROUND_FLOOR);
	assert_int_equal(programme->earn.points_milli, 125);
	assert_int_equal(programme->earn.per_minor, 250);
	programme_free(programme);
	/* Without decimals: JPY has none, the amounts keep two. */
	programme = parse("version: 1\nname: 店\ncurrency: JPY\ntimezone: Asia/Tokyo\nearn:\n- per_amount: {points: 1, "
			  "per: 100}\n");
	assert_int_equal(programme->earn.per_minor, 10000);
	assert_int_equal(programme->rounding, ROUND_FLOOR);
	programme_free(programme);
	programme_free(NULL);
}

static void test_refusals(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *message;
	} CASES[] = {
		{"", "r.yaml:1: the file is empty; `punchcard init` in an empty directory writes one to start from"},
		{HEAD, "r.yaml:1: earn: this key is missing; expected a list of exactly one rule, such as '- "
		       "per_amount: {points: "
		       "1, per: 10.00}'"},
		{HEAD "earn: []\n",
		 "r.yaml:5: earn: this list has too few items; expected a list of exactly one rule, such as '- "
		 "per_amount: {points: 1, per: 10.00}'"},
		{HEAD EARN "  - per_amount: {points: 1, per: 5}\n",
		 "r.yaml:6: earn: this list has too many items; expected a list of exactly one rule, such as '- "
		 "per_amount: "
		 "{points: 1, per: 10.00}'"},
		{HEAD "earn:\n  - per_visit: {points: 1}\n",
		 "r.yaml:6: earn[0].per_visit: this key is unknown; expected one of per_amount"},
		{HEAD "earn:\n  - per_amount: {points: 1}\n",
		 "r.yaml:6: earn[0].per_amount.per: this key is missing; expected an amount above 0 with at most two "
		 "decimals, such "
		 "as 10.00"},
		{HEAD "earn:\n  - per_amount:\n      points: 1001\n      per: 1.00\n",
		 "r.yaml:7: earn[0].per_amount.points: '1001' points for each '1.00' is more than sums of points can "
		 "hold; "
		 "expected at most 1000 points for each 1.00"},
		{HEAD "earn:\n  - per_amount:\n      points: 0\n      per: 10\n",
		 "r.yaml:7: earn[0].per_amount.points: '0' does not fit; expected a number above 0, at most 1000000, "
		 "with at most "
		 "three decimals"},
		{HEAD "earn:\n  - per_amount:\n      points: 1.0001\n      per: 10\n",
		 "r.yaml:7: earn[0].per_amount.points: '1.0001' does not fit; expected a number above 0, at most "
		 "1000000, with at "
		 "most three decimals"},
		{HEAD "earn:\n  - per_amount:\n      points: 1000000.001\n      per: 10\n",
		 "r.yaml:7: earn[0].per_amount.points: '1000000.001' does not fit; expected a number above 0, at most "
		 "1000000, with "
		 "at most three decimals"},
		{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: -10\n",
		 "r.yaml:8: earn[0].per_amount.per: '-10' does not fit; expected an amount above 0 with at most two "
		 "decimals"},
		{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: 1e3\n",
		 "r.yaml:8: earn[0].per_amount.per: '1e3' does not fit; expected an amount above 0 with at most two "
		 "decimals"},
		{HEAD "earn:\n  - per_amount:\n      points: 1\n      per: 0.001\n",
		 "r.yaml:8: earn[0].per_amount.per: '0.001' does not fit; expected an amount above 0 with at most two "
		 "decimals"},
		{"version: 1\nname: a\ncurrency: usd\ntimezone: UTC\n" EARN,
		 "r.yaml:3: currency: 'usd' is no currency; expected an ISO 4217 code of three capitals, such as THB "
		 "or USD"},
		{"version: 1\nname: a\ncurrency: DOLLAR\ntimezone: UTC\n" EARN,
		 "r.yaml:3: currency: 'DOLLAR' is no currency; expected an ISO 4217 code of three capitals, such as "
		 "THB or USD"},
		{"version: 1\nname: a\ncurrency: KWD\ntimezone: UTC\n" EARN,
		 "r.yaml:3: currency: KWD has more than two decimals, and amounts are kept with two; expected a "
		 "currency with at "
		 "most two decimals"},
		{"version: 1\nname: a\ncurrency: THB\ntimezone: Asia/Bankok\n" EARN,
		 "r.yaml:4: timezone: no time zone 'Asia/Bankok' in /usr/share/zoneinfo; expected an IANA name such as "
		 "Asia/Bangkok "
		 "or UTC"},
		{"version: 1\nname: a\ncurrency: THB\ntimezone: ../../../etc/passwd\n" EARN,
		 "r.yaml:4: timezone: no time zone '../../../etc/passwd' in /usr/share/zoneinfo; expected an IANA name "
		 "such as "
		 "Asia/Bangkok or UTC"},
		{"version: 1\nname: ''\ncurrency: THB\ntimezone: UTC\n" EARN,
		 "r.yaml:2: name: '' is empty; expected the programme's name"},
		{HEAD "rounding: up\n" EARN, "r.yaml:5: rounding: 'up' is not one of its values; expected floor"},
		{HEAD "timezon: UTC\n" EARN,
		 "r.yaml:5: timezon: this key is unknown; did you mean 'timezone'? expected one of "
		 "version, name, currency, timezone, rounding, earn"},
	};
	for (size_t i = 0; i < N(CASES); i++) {
		struct programme *programme = NULL;
		struct error err = {0};
		assert_int_equal(programme_parse("r.yaml", CASES[i].text, strlen(CASES[i].text), &programme, &err),
				 ERROR_CONFIG);
		assert_string_equal(err.message, CASES[i].message);
		assert_null(programme);
	}
}

static void test_template(void **state)
{
	(void)state;
	struct programme *programme = NULL;
	struct error err = {0};
	if (programme_load(PUNCHCARD_SOURCE_DIR "/templates/programme.yaml", &programme, &err) < 0)
		fail_msg("%s", err.message);
	assert_string_equal(programme->currency, "THB");
	assert_string_equal(tz_name(programme->timezone), "Asia/Bangkok");
	assert_int_equal(programme->earn.points_milli, 1000);
	assert_int_equal(programme->earn.per_minor, 1000);
	programme_free(programme);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_template),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
