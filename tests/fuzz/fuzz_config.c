/*
 * Everything small that is read beside the data: punchcard.yaml, a zoneinfo file, a date format with a text for it, and
 * decimals. The first byte says which; the rest is its input (of a format and its text: a line each).
 *
 * Properties: what is taken can be used, what is refused says why with the file's name.
 */
#include "base/decimal.h"
#include "base/timefmt.h"
#include "base/tz_internal.h"
#include "config/schema_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static void feed_config(const char *text, size_t len)
{
	struct config *config = NULL;
	struct error err = {0};
	const int rc = config_parse("p.yaml", text, len, &config, &err);
	expect(rc < 0 ? !config && strncmp(err.message, "p.yaml", 6) == 0 : config != NULL);
	config_free(config);

	/* The check before libcyaml leaves it nothing to refuse. */
	struct yamldoc doc = {0};
	void *loaded = NULL;
	if (yamldoc_parse("p.yaml", text, len, &doc, &err) == 0 &&
	    yamldoc_check(&doc, &CONFIG_SCHEMA, CONFIG_RULES, &err) == 0) {
		expect(yamldoc_load(&doc, &CONFIG_SCHEMA, CONFIG_RULES, &loaded, &err) == 0);
		yamldoc_free(&CONFIG_SCHEMA, loaded);
	}
	yamldoc_close(&doc);
}

static void feed_tz(const char *bytes, size_t len)
{
	struct tz *tz = NULL;
	struct error err = {0};
	if (tz_decode("zone", bytes, len, &tz, &err) < 0)
		return;
	for (int64_t t = INT64_C(-2300000000); t < INT64_C(7300000000); t += 86400 * 20) {
		expect(llabs((long long)tz_offset_s(tz, t)) <= TZ_MAX_OFFSET_S);
		expect(llabs((long long)(tz_utc_of_local_s(tz, t) - t)) <= TZ_MAX_OFFSET_S);
	}
	tz_free(tz);
}

static void feed_timefmt(const char *lines, size_t len)
{
	const char *const end = memchr(lines, '\n', len);
	if (!end)
		return;
	const size_t format_len = (size_t)(end - lines);
	char *const format_text = malloc(format_len + 1);
	if (!format_text)
		return;
	memcpy(format_text, lines, format_len);
	format_text[format_len] = '\0';
	struct timefmt format;
	struct error err = {0};
	struct civil_time t;
	int64_t utc_us;
	if (timefmt_compile(format_text, &format, &err) == 0 &&
	    timefmt_parse(&format, end + 1, len - (size_t)(end + 1 - lines), &t) == 0) {
		expect(format.has_date == (civil_time_utc_us(&t, NULL, &utc_us) == 0));
		expect(t.micro >= 0 && t.micro < 1000000 && t.second >= 0 && t.second < 86400);
	}
	free(format_text);
}

static void feed_decimal(const char *text, size_t len)
{
	int64_t value;
	for (int scale = 0; scale <= 9; scale++) {
		char back[24];
		int64_t again;
		if (decimal_parse(text, len, scale, '.', INT64_MAX, &value) < 0)
			continue;
		const int n = decimal_format(value, scale, back);
		expect(decimal_parse(back, (size_t)n, scale, '.', INT64_MAX, &again) == 0 && again == value);
	}
	(void)integer_parse(text, len, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const FEEDS[])(const char *, size_t) = {feed_config, feed_tz, feed_timefmt, feed_decimal};
	if (size > 0)
		FEEDS[data[0] % 4]((const char *)data + 1, size - 1);
	return 0;
}
