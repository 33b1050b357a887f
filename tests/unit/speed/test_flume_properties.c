/* Properties files as Flume reads them: rule by rule. */
#include "speed/flume_properties.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *env(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "HOME_DIR") == 0 ? "/home/flume" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static const char *sys(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "user.home") == 0 ? "/root" : NULL;
}

static const struct flume_lookup LOOKUP = {.env = env, .sys = sys};
static struct flume_properties *properties;

static void parse_bytes(struct slice text)
{
	struct error err = {0};
	flume_properties_free(properties);
	properties = NULL;
	if (flume_properties_parse(text, "f.conf", &LOOKUP, &properties, &err) < 0)
		fail_msg("%s", err.message);
}

static void parse(const char *text)
{
	parse_bytes(slice_of(text));
}

static const struct flume_property *find(const char *key)
{
	return flume_properties_find(properties, slice_of(key));
}

static void assert_value(const char *key, const char *value)
{
	const struct flume_property *const p = find(key);
	if (!p)
		fail_msg("%s is not there", key);
	else if (strcmp(p->value, value) != 0)
		fail_msg("%s is '%s', not '%s'", key, p->value, value);
}

static void assert_refused(const char *text, const char *message)
{
	struct error err = {0};
	struct flume_properties *out = NULL;
	assert_int_equal(flume_properties_parse(slice_of(text), "f.conf", &LOOKUP, &out, &err), ERROR_CONFIG);
	assert_null(out);
	if (!strstr(err.message, message))
		fail_msg("'%s' is not in: %s", message, err.message);
}

static void test_separators(void **state)
{
	(void)state;
	parse("a=1\nb:2\nc 3\nd\t=\t4\ne = = 5\nf  :  6\ng=h=i\n\tk\f7\n");
	assert_value("a", "1");
	assert_value("b", "2");
	assert_value("c", "3");
	assert_value("d", "4");
	assert_value("e", "= 5");
	assert_value("f", "6");
	assert_value("g", "h=i");
	assert_value("k", "7");
	assert_int_equal(properties->n, 8);
}

static void test_comments(void **state)
{
	(void)state;
	parse("# a=1\n  ! b=2\nc = 3 # no comment\nd = 4 ! neither\n#e=5\\\nf=6\n");
	assert_null(find("a"));
	assert_null(find("b"));
	assert_value("c", "3 # no comment");
	assert_value("d", "4 ! neither");
	assert_null(find("e"));
	assert_value("f", "6"); /* a comment does not go on */
}

static void test_lines(void **state)
{
	(void)state;
	parse("a = 1\r\nb = 2\rc = 3\n\n  \n\r\nd = 4");
	assert_value("a", "1");
	assert_value("b", "2");
	assert_value("c", "3");
	assert_value("d", "4");
	assert_int_equal(find("a")->line, 1);
	assert_int_equal(find("b")->line, 2);
	assert_int_equal(find("c")->line, 3);
	assert_int_equal(find("d")->line, 7);
}

static void test_continuation(void **state)
{
	(void)state;
	parse("a = 1\\\n   2\\\r\n\t3\nb = x\\\\\nc = y\\\\\\\nz\nd = \\\n# e\nf\\\n = 6\ng = 7\\");
	assert_value("a", "123");
	assert_int_equal(find("a")->line, 1);
	assert_value("b", "x\\");
	assert_value("c", "y\\z");
	assert_value("d", "# e");
	assert_value("f", "6");
	assert_value("g", "7");
}

static void test_escapes(void **state)
{
	(void)state;
	parse("a\\=b = 1\nc\\ d = 2\ne\\:f:3\ng = x\\ty\\nz\\rw\\fv\nh = C:\\path\\qout\ni = "
	      "\\u00e9\\u0e01\\uD83D\\ude00\n"
	      "k = \\ud83d!\n\\#l = 4\n");
	assert_value("a=b", "1");
	assert_value("c d", "2");
	assert_value("e:f", "3");
	assert_value("g", "x\ty\nz\rw\fv");
	assert_value("h", "C:pathqout");
	assert_value("i", "\xc3\xa9\xe0\xb8\x81\xf0\x9f\x98\x80");
	assert_value("k", "\xef\xbf\xbd!");
	assert_value("#l", "4");
	assert_int_equal(properties->latin1_line, 0);
}

static void test_latin1(void **state)
{
	(void)state;
	parse("a = 1\nb = caf\xe9\n");
	assert_value("b", "caf\xc3\xa9");
	assert_int_equal(properties->latin1_line, 2);
}

static void test_blanks_are_cut(void **state)
{
	(void)state;
	parse("a = 1  \t \nb = x y  \nc =\nd =    \ne\nf = 1\\u0020\n");
	assert_value("a", "1");
	assert_value("b", "x y");
	assert_null(find("c"));
	assert_null(find("d"));
	assert_null(find("e"));
	assert_value("f", "1");
}

static void test_later_wins(void **state)
{
	(void)state;
	parse("a = 1\nb = 2\na = 3\na = 4\n");
	assert_value("a", "4");
	assert_int_equal(find("a")->line, 4);
	assert_int_equal(find("a")->earlier_line, 3);
	assert_int_equal(find("b")->earlier_line, 0);
}

static void test_lookups(void **state)
{
	(void)state;
	parse("dir = ${env:HOME_DIR}/spool\nnone = ${env:NONE}/x\nother = ${env:NONE:-/tmp}/x\nempty = a${env:EMPTY}b\n"
	      "home = ${sys:user.home}\nunset = ${sys:what}\nname = ${dir}/one\nnot = $x ${ $\nraw = $${dir}\n"
	      "deep = ${nothing:-${dir}}\n");
	assert_value("dir", "/home/flume/spool");
	assert_value("none", "${env:NONE}/x");
	assert_true(find("none")->has_unset);
	assert_false(find("dir")->has_unset);
	assert_value("other", "/tmp/x");
	assert_value("empty", "ab");
	assert_value("home", "/root");
	assert_value("unset", "${sys:what}");
	assert_value("name", "/home/flume/spool/one");
	assert_value("not", "$x ${ $");
	assert_value("raw", "${dir}");
}

static void test_refused(void **state)
{
	(void)state;
	assert_refused("a = 1\nb = \\u12\n", "f.conf:2: a \\u needs four");
	assert_refused("\\uzzzz = 1\n", "f.conf:1: a \\u needs four");
	assert_refused("a = \\u0000\n", "f.conf:1: a NUL");
	assert_refused("a = ${b}\nb = ${a}\n", "in a circle");
}

static void test_nul_byte(void **state)
{
	(void)state;
	struct error err = {0};
	struct flume_properties *out = NULL;
	assert_int_equal(flume_properties_parse(SLICE("a = 1\0002\n"), "f.conf", &LOOKUP, &out, &err), ERROR_CONFIG);
	parse_bytes((struct slice){0});
	assert_int_equal(properties->n, 0);
}

static int teardown(void **state)
{
	(void)state;
	flume_properties_free(properties);
	properties = NULL;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_separators),     cmocka_unit_test(test_comments),
		cmocka_unit_test(test_lines),          cmocka_unit_test(test_continuation),
		cmocka_unit_test(test_escapes),        cmocka_unit_test(test_latin1),
		cmocka_unit_test(test_blanks_are_cut), cmocka_unit_test(test_later_wins),
		cmocka_unit_test(test_lookups),        cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nul_byte),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
