#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* 2026-11-30T01:02:03.004567Z */
#define NOON INT64_C(1796000523004567)

static int64_t now_us = NOON;
static int pipe_fds[2];
static char got[65536];

static int64_t test_clock(void)
{
	return now_us;
}

static void configure(enum log_format format, unsigned per_minute)
{
	log_configure(&(struct log_options){.format = format,
					    .level = LOG_LEVEL_INFO,
					    .fd = pipe_fds[1],
					    .per_minute = per_minute,
					    .now_us = test_clock});
}

static int setup(void **state)
{
	(void)state;
	now_us = NOON;
	unsetenv("JOURNAL_STREAM");
	if (pipe2(pipe_fds, O_CLOEXEC) < 0 || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) < 0)
		return -1;
	configure(LOG_FORMAT_TEXT, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}

/* All that was written since the last call. */
static const char *written(void)
{
	size_t len = 0;
	ssize_t n;
	while ((n = read(pipe_fds[0], got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)n;
	got[len] = '\0';
	return got;
}

static void test_a_line_of_text(void **state)
{
	(void)state;
	LOG_INFO("file taken", log_text("source", "till"), log_text("file", "orders-7.txt"), log_int("change", -3),
		 log_uint("lines", UINT64_MAX), log_bool("whole", true));
	assert_string_equal(written(), "2026-11-30T01:02:03.004Z info    file taken  source=till file=orders-7.txt "
				       "change=-3 lines=18446744073709551615 whole=true\n");
	LOG_WARNING("disk full");
	assert_string_equal(written(), "2026-11-30T01:02:03.004Z warning disk full\n");
	struct error err;
	error_set(&err, ERROR_IO, "cannot read a: gone");
	LOG_ERROR("source failed", log_error(&err));
	assert_string_equal(written(),
			    "2026-11-30T01:02:03.004Z error   source failed  error=\"cannot read a: gone\"\n");
}

static void test_a_line_of_json(void **state)
{
	(void)state;
	configure(LOG_FORMAT_JSON, 0);
	LOG_INFO("file taken", log_text("source", "till"), log_int("change", -3), log_us("took", 12345),
		 log_bool("whole", false));
	assert_string_equal(written(),
			    "{\"time\":\"2026-11-30T01:02:03.004Z\",\"level\":\"info\",\"message\":\"file taken\","
			    "\"source\":\"till\",\"change\":-3,\"took_us\":12345,\"whole\":false}\n");
	LOG_ERROR("bad", log_text("line", "say \"hi\"\n\x1b[2J\xff"));
	assert_string_equal(written(), "{\"time\":\"2026-11-30T01:02:03.004Z\",\"level\":\"error\",\"message\":\"bad\","
				       "\"line\":\"say \\\"hi\\\"\\n\\u001b[2J\xEF\xBF\xBD\"}\n");
}

static void shows(const char *text, size_t len, const char *shown)
{
	LOG_INFO("m", log_slice("v", (struct slice){text, len}));
	char expected[256];
	snprintf(expected, sizeof(expected), "2026-11-30T01:02:03.004Z info    m  v=%s\n", shown);
	assert_string_equal(written(), expected);
}

/* A value is one word, or one thing in quotes; nothing in it plays with the terminal or makes a line of its own. */
static void test_escapes_in_text(void **state)
{
	(void)state;
	shows("orders/7.txt:12", 15, "orders/7.txt:12");
	shows("Zo\xC3\xAB", 4, "Zo\xC3\xAB");
	shows("", 0, "\"\"");
	shows(NULL, 0, "\"\"");
	shows("a b", 3, "\"a b\"");
	shows("a=b", 3, "\"a=b\"");
	shows("say \"hi\"", 8, "\"say \\\"hi\\\"\"");
	shows("C:\\x", 4, "\"C:\\\\x\"");
	shows("a\nb\tc\r", 6, "\"a\\nb\\tc\\r\"");
	shows("\x1b[2J\x7f", 5, "\"\\x1B[2J\\x7F\"");
	shows("\xC2\x9B", 2, "\"\\x9B\"");
	shows("a\xff", 2, "\"a\\xFF\"");
	shows("a\0b", 3, "\"a\\x00b\"");
}

static void test_durations(void **state)
{
	(void)state;
	static const struct {
		int64_t us;
		const char *text;
	} CASES[] = {
		{0, "0us"},           {999, "999us"},
		{1000, "1.0ms"},      {12345, "12.3ms"},
		{850999, "850ms"},    {1000000, "1.00s"},
		{4567890, "4.56s"},   {60000000, "1m00s"},
		{192000000, "3m12s"}, {INT64_C(18420000000), "5h07m"},
		{-1500, "-1.5ms"},    {INT64_C(273600000000), "3d04h"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(*CASES); i++) {
		LOG_INFO("m", log_us("took", CASES[i].us));
		char expected[128];
		snprintf(expected, sizeof(expected), "2026-11-30T01:02:03.004Z info    m  took=%s\n", CASES[i].text);
		assert_string_equal(written(), expected);
	}
}

static void test_levels(void **state)
{
	(void)state;
	unsigned evaluated = 0;
	LOG_DEBUG("no", log_uint("n", ++evaluated));
	assert_string_equal(written(), "");
	assert_int_equal(evaluated, 0);
	log_configure(&(struct log_options){.level = LOG_LEVEL_DEBUG, .fd = pipe_fds[1], .now_us = test_clock});
	LOG_DEBUG("yes", log_uint("n", ++evaluated));
	assert_string_equal(written(), "2026-11-30T01:02:03.004Z debug   yes  n=1\n");
	log_configure(&(struct log_options){.level = LOG_LEVEL_ERROR, .fd = pipe_fds[1], .now_us = test_clock});
	LOG_WARNING("no");
	assert_string_equal(written(), "");
	enum log_level level = LOG_LEVEL_INFO;
	assert_int_equal(log_level_parse("warning", &level), 0);
	assert_int_equal(level, LOG_LEVEL_WARNING);
	assert_int_equal(log_level_parse("loud", &level), ERROR_INPUT);
	assert_int_equal(level, LOG_LEVEL_WARNING);
	enum log_format format = LOG_FORMAT_TEXT;
	assert_int_equal(log_format_parse("json", &format), 0);
	assert_int_equal(format, LOG_FORMAT_JSON);
	assert_int_equal(log_format_parse("", &format), ERROR_INPUT);
}

/* The journal has times of its own, and takes the level from the prefix; but only if it is the journal that listens. */
static void test_the_journal_of_systemd(void **state)
{
	(void)state;
	struct stat st;
	char stream[64];
	assert_int_equal(fstat(pipe_fds[1], &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	configure(LOG_FORMAT_TEXT, 0);
	LOG_ERROR("a");
	LOG_WARNING("b", log_int("n", 1));
	LOG_INFO("c");
	assert_string_equal(written(), "<3>error   a\n<4>warning b  n=1\n<6>info    c\n");
	configure(LOG_FORMAT_JSON, 0);
	LOG_INFO("c");
	assert_int_equal(written()[0], '{');
	setenv("JOURNAL_STREAM", "1:1", 1);
	configure(LOG_FORMAT_TEXT, 0);
	LOG_INFO("c");
	assert_int_equal(written()[0], '2');
	unsetenv("JOURNAL_STREAM");
}

/* A line is at most so long that a pipe takes it whole; what does not fit is cut or left out, and the line says so. */
static void test_long_lines(void **state)
{
	(void)state;
	static char many[20000];
	memset(many, 'x', sizeof(many));
	for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
		configure((enum log_format)format, 0);
		const char *const cut = format == LOG_FORMAT_TEXT ? " cut=true\n" : ",\"cut\":true}\n";
		for (size_t n = 3900; n < 4200; n++) {
			LOG_INFO("m", log_slice("v", (struct slice){many, n}), log_uint("behind", 7));
			const char *const line = written();
			const size_t len = strlen(line);
			assert_in_range(len, 1000, LOG_LINE_BYTES);
			assert_ptr_equal(strchr(line, '\n'), line + len - 1);
			if (strstr(line, "\xE2\x80\xA6"))
				assert_string_equal(line + len - strlen(cut), cut);
			else
				assert_true(n < 4096);
		}
		/* Escapes are longer than what they stand for. */
		memset(many, 1, sizeof(many));
		LOG_INFO("m", log_slice("v", (struct slice){many, sizeof(many)}), log_uint("behind", 7));
		assert_non_null(strstr(written(), format == LOG_FORMAT_TEXT ? "behind=7 cut=true\n"
									    : "\"behind\":7,\"cut\":true}\n"));
		memset(many, 'x', sizeof(many));
		/* Never a part of a character. */
		for (size_t i = 0; i + 1 < 9000; i += 2)
			memcpy(many + i, "\xC3\xAB", 2);
		LOG_INFO("m", log_slice("v", (struct slice){many + 1, 8999}));
		assert_null(strstr(written(), "\\xC3\xE2"));
		memset(many, 'x', sizeof(many));
	}
}

static void say_it(unsigned n)
{
	LOG_WARNING("again", log_uint("n", n));
}

/* So many a minute from one call site; then how many it were more. */
static void test_repeated(void **state)
{
	(void)state;
	configure(LOG_FORMAT_TEXT, 3);
	for (unsigned i = 0; i < 40; i++)
		say_it(i);
	LOG_INFO("another call site");
	assert_string_equal(written(), "2026-11-30T01:02:03.004Z warning again  n=0\n"
				       "2026-11-30T01:02:03.004Z warning again  n=1\n"
				       "2026-11-30T01:02:03.004Z warning again  n=2\n"
				       "2026-11-30T01:02:03.004Z info    another call site\n");
	log_tick();
	assert_string_equal(written(), "");
	now_us += INT64_C(60000000);
	log_tick();
	assert_string_equal(written(), "2026-11-30T01:03:03.004Z warning again \xE2\x80\xA6 repeated 37 times\n");
	log_tick();
	assert_string_equal(written(), "");
	/* Without a tick, the next one of the site says it first. */
	for (unsigned i = 0; i < 4; i++)
		say_it(i);
	written();
	now_us += INT64_C(61000000);
	say_it(9);
	assert_string_equal(written(), "2026-11-30T01:04:04.004Z warning again \xE2\x80\xA6 repeated 1 time\n"
				       "2026-11-30T01:04:04.004Z warning again  n=9\n");
	/* At the end, all of it; in JSON as a number. */
	configure(LOG_FORMAT_JSON, 3);
	for (unsigned i = 0; i < 4; i++)
		say_it(i);
	written();
	log_flush();
	assert_string_equal(written(), "{\"time\":\"2026-11-30T01:04:04.004Z\",\"level\":\"warning\",\"message\":"
				       "\"again\",\"repeated\":2}\n");
	/* A clock that is set back begins a new minute. */
	now_us -= INT64_C(3600000000);
	say_it(1);
	assert_non_null(strstr(written(), "\"n\":1"));
}

/* A log that nobody reads stops nobody; when it is read again, it tells what is missing. */
static void test_not_read(void **state)
{
	(void)state;
	static char many[3000];
	memset(many, 'x', sizeof(many));
	const int64_t before = clock_now_us();
	for (unsigned i = 0; i < 200; i++)
		LOG_INFO("m", log_slice("v", (struct slice){many, sizeof(many)}));
	assert_true(clock_now_us() - before < 5000000);
	const size_t lines = strlen(written()) / 3000;
	assert_in_range(lines, 1, 199);
	LOG_INFO("back");
	char expected[256];
	snprintf(expected, sizeof(expected),
		 "2026-11-30T01:02:03.004Z warning log was not read, lines are lost  lines=%zu\n"
		 "2026-11-30T01:02:03.004Z info    back\n",
		 200 - lines);
	assert_string_equal(written(), expected);
}

static void *talk(void *arg)
{
	for (unsigned i = 0; i < 200; i++) {
		LOG_INFO("talk", log_text("who", arg), log_uint("n", i));
		errno = 7;
		LOG_INFO("errno stays");
		assert_int_equal(errno, 7);
	}
	return NULL;
}

/* Lines of several threads are whole. */
static void test_threads(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"a", "b", "c", "d"};
	char path[] = "/tmp/punchcard-log-XXXXXX";
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	log_configure(&(struct log_options){.level = LOG_LEVEL_INFO, .fd = fd});
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, talk, (void *)(uintptr_t)NAMES[i]), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	FILE *const file = fdopen(fd, "r");
	rewind(file);
	unsigned next[4] = {0};
	unsigned n_lines = 0;
	for (char line[256]; fgets(line, sizeof(line), file); n_lines++) {
		char who;
		unsigned n;
		if (sscanf(line + 24, " info talk who=%c n=%u", &who, &n) == 2)
			assert_int_equal(n, next[who - 'a']++);
		else
			assert_string_equal(line + 24, " info    errno stays\n");
	}
	fclose(file);
	assert_int_equal(n_lines, 4 * 2 * 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_line_of_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_line_of_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes_in_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_durations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_journal_of_systemd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
