#include "engine/lex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* Statements of `sql`, each in brackets. */
static char *split(const char *sql)
{
	static char out[1024];
	size_t len = 0;
	struct slice rest = slice_of(sql);
	struct slice statement;
	while (sql_next_statement(&rest, &statement)) {
		out[len++] = '[';
		memcpy(out + len, statement.data, statement.len);
		len += statement.len;
		out[len++] = ']';
	}
	out[len] = '\0';
	return out;
}

static void test_statements(void **state)
{
	(void)state;
	assert_string_equal(split(""), "");
	assert_string_equal(split(" ; ;; -- x; y\n /* ; */ "), "");
	assert_string_equal(split("select 1"), "[select 1]");
	assert_string_equal(split(" select 1 ; select 2;\n-- end"), "[select 1][select 2]");
	assert_string_equal(split("/* a /* b; */ c; */ x -- ;\n, y;z"), "[x -- ;\n, y][z]");
	assert_string_equal(split("'a;''b;' ; \"c;\"\"d;\""), "['a;''b;'][\"c;\"\"d;\"]");
	assert_string_equal(split("e'a\\';b' ; E'c'';d' ; te';'"), "[e'a\\';b'][E'c'';d'][te';']");
	assert_string_equal(split("$$a;$x$;$$;$x$ ;$$; $x$ ; $1; b$c$;d$c$"),
			    "[$$a;$x$;$$][$x$ ;$$; $x$][$1][b$c$][d$c$]");
	assert_string_equal(split("größe; 1e5'x;'"), "[größe][1e5'x;']");
}

/* What does not end takes all there is. */
static void test_open_ends(void **state)
{
	(void)state;
	assert_string_equal(split("a; 'b; c"), "[a]['b; c]");
	assert_string_equal(split("a; \"b; c"), "[a][\"b; c]");
	assert_string_equal(split("a; $$b; c$"), "[a][$$b; c$]");
	assert_string_equal(split("a; /* b; c"), "[a]");
	assert_string_equal(split("a; /* b; c *"), "[a]");
	assert_string_equal(split("a; e'b\\"), "[a][e'b\\]");
	assert_string_equal(split("a; e'"), "[a][e']");
	assert_string_equal(split("a; $"), "[a][$]");
	assert_string_equal(split("a; -"), "[a][-]");
	assert_string_equal(split("a; /"), "[a][/]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_open_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
