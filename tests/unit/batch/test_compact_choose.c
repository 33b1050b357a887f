/* Which files of a directory are merged, and which count beside a merged one. */
#include "batch/committed.h"
#include "batch/compact_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIN_FILES 16u
#define TARGET    ((uint64_t)32 * 1024 * 1024)
#define FILES_MAX 20000u

static struct compact_file files[FILES_MAX];
static size_t n_files;

static void add_file(uint64_t bytes)
{
	const uint64_t block = n_files ? files[n_files - 1].name.last + 1 : 1;
	assert_true(n_files < FILES_MAX);
	files[n_files++] = (struct compact_file){.name = {block, block}, .bytes = bytes};
}

static bool choose_quiet(const uint64_t *barriers, size_t n_barriers, bool quiet, size_t *at, size_t *n)
{
	const struct compact_rule rule = compact_rule_of(MIN_FILES, TARGET, quiet);
	return compact_choose(files, n_files, barriers, n_barriers, &rule, at, n);
}

static bool choose(size_t *at, size_t *n)
{
	return choose_quiet(NULL, 0, false, at, n);
}

/* Merges them as if a merged file were as large as its parts together; returns these bytes. */
static uint64_t merge(size_t at, size_t n)
{
	uint64_t bytes = 0;
	for (size_t i = at; i < at + n; i++)
		bytes += files[i].bytes;
	files[at] = (struct compact_file){.name = {files[at].name.first, files[at + n - 1].name.last}, .bytes = bytes};
	memmove(files + at + 1, files + at + n, (n_files - at - n) * sizeof(*files));
	n_files -= n - 1;
	return bytes;
}

static int begin(void **state)
{
	(void)state;
	n_files = 0;
	return 0;
}

static void test_so_many_of_one_size(void **state)
{
	(void)state;
	size_t at;
	size_t n;
	for (unsigned i = 1; i < MIN_FILES; i++) {
		add_file(1000);
		assert_false(choose(&at, &n));
	}
	add_file(1000);
	assert_true(choose(&at, &n));
	assert_int_equal(at, 0);
	assert_int_equal(n, MIN_FILES);
}

static void test_a_large_one_stays_out(void **state)
{
	(void)state;
	size_t at;
	size_t n;
	add_file(100000);
	for (unsigned i = 0; i < MIN_FILES; i++)
		add_file(1000 + i);
	assert_true(choose(&at, &n));
	assert_int_equal(at, 1);
	assert_int_equal(n, MIN_FILES);
}

static void test_up_to_the_target(void **state)
{
	(void)state;
	size_t at;
	size_t n;
	for (unsigned i = 0; i < 3 * MIN_FILES; i++)
		add_file(TARGET / 2 + 1);
	assert_false(choose(&at, &n));
	n_files = 0;
	for (unsigned i = 0; i < 3 * MIN_FILES; i++)
		add_file(TARGET / 20);
	assert_true(choose(&at, &n));
	assert_int_equal(n, 20);
}

static void test_not_across_a_barrier(void **state)
{
	(void)state;
	static const uint64_t BARRIERS[] = {3, 14, 30};
	size_t at;
	size_t n;
	for (unsigned i = 0; i < 2 * MIN_FILES; i++)
		add_file(1000);
	/* Blocks 14 to 29 are the files 13 to 28. */
	assert_true(choose_quiet(BARRIERS, 3, false, &at, &n));
	assert_int_equal(at, 13);
	assert_int_equal(n, 16);
	static const uint64_t MORE[] = {3, 14, 20, 30};
	assert_false(choose_quiet(MORE, 4, false, &at, &n));
	/* One before all and one behind all. */
	static const uint64_t OUTSIDE[] = {1, 33};
	assert_true(choose_quiet(OUTSIDE, 2, false, &at, &n));
	assert_int_equal(n, 32);
	/* Where there are no blocks. */
	for (size_t i = MIN_FILES; i < n_files; i++) {
		files[i].name.first += 100;
		files[i].name.last += 100;
	}
	static const uint64_t BETWEEN[] = {60};
	assert_true(choose_quiet(BETWEEN, 1, false, &at, &n));
	assert_int_equal(at, 0);
	assert_int_equal(n, MIN_FILES);
}

static void test_what_is_quiet(void **state)
{
	(void)state;
	size_t at;
	size_t n;
	for (uint64_t bytes = 1000000; bytes >= 1000; bytes = bytes * 2 / 3)
		add_file(bytes);
	assert_false(choose(&at, &n));
	assert_true(choose_quiet(NULL, 0, true, &at, &n));
	while (choose_quiet(NULL, 0, true, &at, &n))
		merge(at, n);
	assert_true(n_files <= 6);
	/* A little that comes late is not worth writing a large file again. */
	n_files = 0;
	add_file(1000000);
	add_file(1000);
	assert_false(choose_quiet(NULL, 0, true, &at, &n));
}

/* A day of a file each ten seconds: few files at each moment, and each byte is written a few times. `size_of`: of the i-th. */
static void write_day(uint64_t (*size_of)(unsigned i))
{
	uint64_t written = 0;
	uint64_t merged = 0;
	size_t most = 0;
	size_t at;
	size_t n;
	for (unsigned i = 0; i < 8640; i++) {
		add_file(size_of(i));
		written += files[n_files - 1].bytes;
		while (choose(&at, &n))
			merged += merge(at, n);
		most = n_files > most ? n_files : most;
	}
	assert_in_range(most, 1, 120);
	assert_in_range(merged, 1, 5 * written);
	while (choose_quiet(NULL, 0, true, &at, &n))
		merged += merge(at, n);
	uint64_t sum = 0;
	for (size_t i = 0; i < n_files; i++)
		sum += files[i].bytes;
	assert_int_equal(sum, written);
	assert_in_range(n_files, 1, 4 + 4 * written / TARGET);
	assert_in_range(merged, 1, 7 * written);
}

static uint64_t size_same(unsigned i)
{
	(void)i;
	return 20000;
}

static uint64_t size_uneven(unsigned i)
{
	return 5000 + (i * 2654435761u) % 200000;
}

static uint64_t size_alternating(unsigned i)
{
	return i % 2 ? 1000 : 100000;
}

static uint64_t size_of_a_day(unsigned i)
{
	return i < 2000 || i > 7800 ? 4000 : 4000 + 100 * (i % 1000);
}

static void test_a_day(void **state)
{
	(void)state;
	uint64_t (*const sizes[])(unsigned) = {size_same, size_uneven, size_alternating, size_of_a_day};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		n_files = 0;
		write_day(sizes[i]);
	}
}

static void test_a_backlog(void **state)
{
	(void)state;
	size_t at;
	size_t n;
	uint64_t merged = 0;
	for (unsigned i = 0; i < 8640; i++)
		add_file(5000);
	while (choose(&at, &n))
		merged += merge(at, n);
	assert_in_range(n_files, 1, 60);
	assert_in_range(merged, 1, 8640 * 5000 * 4);
}

/* ---- names ---- */

static void test_names(void **state)
{
	(void)state;
	struct committed_name name;
	char text[COMMITTED_NAME_BYTES];
	assert_true(committed_parse_name("orders-000000000003-000000000017.parquet", &name));
	assert_int_equal(name.first, 3);
	assert_int_equal(name.last, 17);
	committed_format_name(&name, text);
	assert_string_equal(text, "orders-000000000003-000000000017.parquet");
	assert_false(committed_parse_name("orders-000000000003.parquet", &name));
	assert_false(committed_parse_name("orders-000000000003-000000000017.parquet.tmp", &name));
	assert_false(committed_parse_name("customers-000000000003-000000000017.parquet", &name));
}

static void check_covered(const char *ranges, const char *covered)
{
	struct committed_file list[32];
	size_t n = 0;
	char is[256] = "";
	int used;
	for (unsigned first, last; sscanf(ranges, "%u-%u%n", &first, &last, &used) == 2; ranges += used)
		list[n++] = (struct committed_file){.name = {first, last}};
	committed_mark_covered(list, n);
	for (size_t i = 0; i < n; i++)
		if (list[i].covered)
			snprintf(is + strlen(is), sizeof(is) - strlen(is), " %u-%u", (unsigned)list[i].name.first,
				 (unsigned)list[i].name.last);
	assert_string_equal(is, covered);
}

static void test_covered(void **state)
{
	(void)state;
	check_covered("", "");
	check_covered("1-1 2-2 3-9", "");
	check_covered("1-1 2-2 3-3 1-3", " 1-1 2-2 3-3");
	check_covered("1-1 2-2 3-3 4-4 1-3", " 1-1 2-2 3-3");
	check_covered("1-1 2-2 3-3 5-6 1-3 1-6", " 1-3 1-1 2-2 3-3 5-6");
	check_covered("4-4 9-9 4-9 1-3", " 4-4 9-9");
	check_covered("1-8 8-9", "");
	/* A copy of a file is no merged one: its rows are too many, and are to be found so. */
	check_covered("1-1 1-1 2-2", "");
	check_covered("1-1 1-1 2-2 1-2", " 1-1 1-1 2-2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_so_many_of_one_size, begin),
		cmocka_unit_test_setup(test_a_large_one_stays_out, begin),
		cmocka_unit_test_setup(test_up_to_the_target, begin),
		cmocka_unit_test_setup(test_not_across_a_barrier, begin),
		cmocka_unit_test_setup(test_what_is_quiet, begin),
		cmocka_unit_test_setup(test_a_day, begin),
		cmocka_unit_test_setup(test_a_backlog, begin),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_covered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
