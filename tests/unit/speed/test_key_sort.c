/* Pieces by key: against a stable sort of the same pieces. */
#include "speed/key_sort.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct piece {
	uint64_t key;
	uint32_t number; /* in the order of arrival */
	size_t len;
};

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *const x = a;
	const struct piece *const y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Its number, and as many bytes of it as are left. */
static void write_piece(char *room, const struct piece *piece)
{
	memset(room, (int)(piece->number % 251), piece->len);
	memcpy(room, &piece->number, sizeof(piece->number));
}

static void check(size_t n, uint64_t (*key)(struct random *random, size_t i), uint64_t seed)
{
	struct random random;
	random_init(&random, seed);
	struct key_sort sort = {0};
	struct piece *const pieces = calloc(n + 1, sizeof(*pieces));
	assert_non_null(pieces);
	for (size_t i = 0; i < n; i++) {
		pieces[i] = (struct piece){key(&random, i), (uint32_t)i,
					   sizeof(uint32_t) + random_below(&random, KEY_SORT_PIECE_MAX - 3)};
		if (i % 4)
			pieces[i].len = 4 + i % 30;
		char *const room = key_sort_room(&sort);
		assert_non_null(room);
		write_piece(room, &pieces[i]);
		key_sort_add(&sort, pieces[i].key, pieces[i].len);
	}
	qsort(pieces, n, sizeof(*pieces), compare_pieces);
	assert_int_equal(key_sort_finish(&sort, NULL), 0);
	assert_int_equal(sort.n, n);
	for (size_t i = 0; i < n; i++) {
		char want[KEY_SORT_PIECE_MAX];
		const struct slice have = key_sort_bytes(&sort, &sort.items[i]);
		write_piece(want, &pieces[i]);
		assert_int_equal(sort.items[i].key, pieces[i].key);
		assert_int_equal(have.len, pieces[i].len);
		assert_memory_equal(have.data, want, have.len);
	}
	key_sort_clear(&sort);
	assert_int_equal(sort.n, 0);
	free(pieces);
}

static uint64_t any_key(struct random *random, size_t i)
{
	(void)i;
	return random_next(random);
}

static uint64_t near_key(struct random *random, size_t i)
{
	(void)i;
	return (UINT64_C(1) << 63) + random_below(random, 5000);
}

static uint64_t one_key(struct random *random, size_t i)
{
	(void)random;
	(void)i;
	return 7;
}

/* A few far away from all others: they have the ranges for themselves. */
static uint64_t uneven_key(struct random *random, size_t i)
{
	if (i % 1000 == 0)
		return i % 2000 ? 0 : UINT64_MAX;
	return (UINT64_C(1) << 40) + random_below(random, 100);
}

static void test_few(void **state)
{
	(void)state;
	for (size_t n = 0; n < 20; n++) {
		check(n, any_key, n);
		check(n, near_key, n);
	}
	check(1000, one_key, 1);
	check(1000, uneven_key, 2);
}

/* Enough for several ranges and chunks. */
static void test_many(void **state)
{
	(void)state;
	check(70000, any_key, 3);
	check(70000, near_key, 4);
	check(70000, one_key, 5);
	check(70000, uneven_key, 6);
}

static void test_again_after_clear(void **state)
{
	(void)state;
	struct key_sort sort = {0};
	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < 10; i++) {
			char *const room = key_sort_room(&sort);
			assert_non_null(room);
			room[0] = (char)i;
			key_sort_add(&sort, 10 - i, 1);
		}
		assert_int_equal(key_sort_finish(&sort, NULL), 0);
		assert_int_equal(sort.items[0].key, 1);
		assert_int_equal(key_sort_bytes(&sort, &sort.items[0]).data[0], 9);
		key_sort_clear(&sort);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_again_after_clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
