/*
 * Configurations from texts, for the tests of them: parse gives a good one, assert_refused wants the exact words of a refusal. Behind
 * cmocka.h.
 */
#ifndef PUNCHCARD_TESTS_CONFIG_TEXTS_H
#define PUNCHCARD_TESTS_CONFIG_TEXTS_H

#include "config/schema_internal.h"

#include <string.h>

static struct config *parse(const char *text)
{
	struct config *config = NULL;
	struct error err = {0};
	if (config_parse("p.yaml", text, strlen(text), &config, &err) < 0)
		fail_msg("%s\n%s", err.message, text);
	return config;
}

static void assert_refused(const char *text, const char *message)
{
	struct config *config = NULL;
	struct error err = {0};
	const int rc = config_parse("p.yaml", text, strlen(text), &config, &err);
	if (rc == 0) {
		config_free(config);
		fail_msg("was taken:\n%s", text);
	}
	assert_string_equal(err.message, message);
	assert_int_equal(rc, ERROR_CONFIG);
	assert_null(config);
}

struct refusal {
	const char *text;
	const char *message;
};

static void assert_all_refused(const struct refusal *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_refused(cases[i].text, cases[i].message);
}

#define N(array) (sizeof(array) / sizeof((array)[0]))

#endif
