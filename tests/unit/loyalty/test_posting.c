/* The list of entries, and the names of their kinds. */
#include "loyalty/posting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_list(void **state)
{
	(void)state;
	struct postings postings = {0};
	postings_release(&postings);
	for (int64_t i = 0; i < 1000; i++) {
		struct posting *const posting = postings_add(&postings);
		assert_non_null(posting);
		*posting = (struct posting){.number = i};
	}
	assert_int_equal(postings.n, 1000);
	for (int64_t i = 0; i < 1000; i++)
		assert_int_equal(postings.items[i].number, i);
	/* The memory is kept. */
	const struct posting *const items = postings.items;
	postings_clear(&postings);
	assert_int_equal(postings.n, 0);
	assert_ptr_equal(postings_add(&postings), items);
	assert_int_equal(postings.n, 1);
	postings_release(&postings);
	assert_null(postings.items);
	assert_int_equal(postings.n, 0);
	assert_int_equal(postings.cap, 0);
	postings_release(NULL);
}

static void test_kinds(void **state)
{
	(void)state;
	static const char *const NAMES[] = {"earn", "reverse", "redeem", "expire", "adjust", "tier", "reject"};
	for (unsigned i = 0; i <= POSTING_KIND_MAX; i++)
		assert_string_equal(posting_kind_name(i), NAMES[i]);
	assert_null(posting_kind_name(POSTING_KIND_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
