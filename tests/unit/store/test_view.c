/* The customer view: profiles, accounts and their offset, by both types of ids. */
#include "store/view.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

static char base[64];
static char dir[96];

static int make_dir(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/punchcard-test-view-XXXXXX");
	if (!mkdtemp(base))
		return -1;
	snprintf(dir, sizeof(dir), "%s/data/view", base);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return file_remove_tree(base, NULL);
}

static struct view *open_it(enum customer_id_type id_type, bool read_only)
{
	struct view *view = NULL;
	struct error err = {0};
	const struct view_options options = {.map_gib = 1, .id_type = id_type, .read_only = read_only};
	if (view_open(dir, &options, &view, &err) < 0)
		fail_msg("%s", err.message);
	return view;
}

static struct customer_id number(int64_t n)
{
	return (struct customer_id){.number = n};
}

static struct customer_id text(const char *t)
{
	return (struct customer_id){.text = slice_of(t)};
}

static void assert_walk(struct view *view, const struct customer_id *expected, size_t n)
{
	struct view_walk *walk = NULL;
	assert_int_equal(view_walk_open(view, &walk, NULL), 0);
	for (size_t i = 0; i <= n; i++) {
		struct customer_id id;
		struct slice record;
		bool found = i == n;
		assert_int_equal(view_walk_next(walk, &id, &record, &found, NULL), 0);
		assert_int_equal(found, i < n);
		if (!found || i == n)
			break;
		assert_int_equal(id.number, expected[i].number);
		assert_true(slice_equal(id.text, expected[i].text));
		assert_false(id.guest);
		struct slice again;
		assert_int_equal(view_account(view, &id, &again, NULL), 0);
		assert_true(slice_equal(record, again));
	}
	view_walk_close(walk);
	view_walk_close(NULL);
}

static void test_integers(void **state)
{
	(void)state;
	struct view *view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct customer_id ordered[] = {
		number(INT64_MIN), number(INT64_MIN + 1), number(-256), number(-1),    number(0),
		number(1),         number(255),           number(256),  number(65536), number(INT64_MAX - 1),
		number(INT64_MAX)};
	const size_t n = sizeof(ordered) / sizeof(ordered[0]);
	uint64_t offset;
	uint64_t profiles;
	uint64_t accounts;
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_offset(view, &offset, NULL), 0);
	assert_int_equal(offset, 1);
	assert_walk(view, NULL, 0);
	view_read_end(view);
	assert_int_equal(view_write_begin(view, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		const size_t at = i * 7 % n;
		char record[32];
		snprintf(record, sizeof(record), "record %zu", at);
		assert_int_equal(view_account_put(view, &ordered[at], slice_of(record), NULL), 0);
	}
	/* Readable in the same transaction, and replaced. */
	struct slice record;
	assert_int_equal(view_account(view, &ordered[3], &record, NULL), 0);
	assert_true(slice_is(record, "record 3"));
	assert_int_equal(view_account_put(view, &ordered[3], SLICE(""), NULL), 0);
	assert_int_equal(view_write_commit(view, 77, NULL), 0);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(view_read_begin(view, NULL), 0);
		assert_int_equal(view_offset(view, &offset, NULL), 0);
		assert_int_equal(offset, 77);
		assert_walk(view, ordered, n);
		assert_int_equal(view_account(view, &ordered[3], &record, NULL), 0);
		assert_int_equal(record.len, 0);
		assert_int_equal(view_account(view, &ordered[10], &record, NULL), 0);
		assert_true(slice_is(record, "record 10"));
		const struct customer_id missing = number(2);
		struct error err = {0};
		assert_int_equal(view_account(view, &missing, &record, &err), ERROR_NOT_FOUND);
		assert_non_null(strstr(err.message, "2"));
		assert_int_equal(view_counts(view, &profiles, &accounts, NULL), 0);
		assert_int_equal(profiles, 0);
		assert_int_equal(accounts, n);
		view_read_end(view);
		view_close(view);
		view = open_it(CUSTOMER_ID_INTEGER, true);
	}
	view_close(view);
	view_close(NULL);
}

static void test_texts(void **state)
{
	(void)state;
	struct view *const view = open_it(CUSTOMER_ID_TEXT, false);
	char longest[LIMIT_CUSTOMER_ID_BYTES + 2];
	memset(longest, 'z', sizeof(longest));
	longest[LIMIT_CUSTOMER_ID_BYTES + 1] = '\0';
	const struct customer_id too_long = text(longest);
	longest[LIMIT_CUSTOMER_ID_BYTES] = '\0';
	const struct customer_id ordered[] = {text(" "),  text("0"), text("10"),    text("2"),       text("A"),
					      text("AB"), text("B"), text(longest), text("\xc3\xa9")};
	const size_t n = sizeof(ordered) / sizeof(ordered[0]);
	assert_int_equal(view_write_begin(view, NULL), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(view_account_put(view, &ordered[i * 4 % n], SLICE("r"), NULL), 0);
	const struct customer_id guest = {.guest = true};
	const struct customer_id empty = {.text = SLICE("")};
	assert_int_equal(view_account_put(view, &guest, SLICE("r"), NULL), ERROR_INPUT);
	assert_int_equal(view_account_put(view, &empty, SLICE("r"), NULL), ERROR_INPUT);
	assert_int_equal(
		view_account_put(view, &(struct customer_id){.text = {too_long.text.data, 129}}, SLICE("r"), NULL),
		ERROR_INPUT);
	assert_int_equal(view_write_commit(view, 2, NULL), 0);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_walk(view, ordered, n);
	view_close(view); /* with its transaction open */
}

static void test_abort_and_clear(void **state)
{
	(void)state;
	struct view *const view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct customer_id one = number(1);
	const struct customer_id two = number(2);
	const struct profile profile = {.name = SLICE("Ann")};
	struct slice record;
	uint64_t offset;
	assert_int_equal(view_profiles_begin(view, NULL), 0);
	assert_int_equal(view_profiles_put(view, &one, &profile, NULL), 0);
	assert_int_equal(view_profiles_commit(view, "v1", NULL), 0);
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_account_put(view, &one, SLICE("first"), NULL), 0);
	assert_int_equal(view_write_commit(view, 5, NULL), 0);

	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_account_put(view, &one, SLICE("second"), NULL), 0);
	view_write_abort(view);
	view_write_abort(view);
	assert_int_equal(view_accounts_clear(view, NULL), 0);
	view_write_abort(view);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_account(view, &one, &record, NULL), 0);
	assert_true(slice_is(record, "first"));
	assert_int_equal(view_offset(view, &offset, NULL), 0);
	assert_int_equal(offset, 5);
	view_read_end(view);

	assert_int_equal(view_accounts_clear(view, NULL), 0);
	assert_int_equal(view_account_put(view, &two, SLICE("made again"), NULL), 0);
	assert_int_equal(view_write_commit(view, 9, NULL), 0);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_walk(view, &two, 1);
	assert_int_equal(view_offset(view, &offset, NULL), 0);
	assert_int_equal(offset, 9);
	/* The profiles are not the speed layer's. */
	struct profile have;
	assert_int_equal(view_profile(view, &one, &have, NULL), 0);
	assert_true(slice_is(have.name, "Ann"));
	view_read_end(view);
	view_close(view);
}

static void assert_marked(struct view *view, const struct customer_id *expected, size_t n)
{
	struct view_walk *walk = NULL;
	uint64_t count = 77;
	assert_int_equal(view_marked_count(view, &count, NULL), 0);
	assert_int_equal(count, n);
	assert_int_equal(view_walk_open_marked(view, &walk, NULL), 0);
	for (size_t i = 0; i <= n; i++) {
		struct customer_id id;
		struct slice record = SLICE("not written");
		bool found = i == n;
		assert_int_equal(view_walk_next(walk, &id, &record, &found, NULL), 0);
		assert_int_equal(found, i < n);
		if (i == n)
			break;
		assert_int_equal(id.number, expected[i].number);
		assert_true(slice_equal(id.text, expected[i].text));
		assert_int_equal(record.len, 0);
	}
	view_walk_close(walk);
}

/* Marks are written and forgotten with the accounts, in their transaction. */
static void test_marks(void **state)
{
	(void)state;
	struct view *view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct customer_id ids[] = {number(-7), number(1), number(300)};
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_marked(view, NULL, 0);
	assert_int_equal(view_mark(view, &ids[2], NULL), 0);
	assert_int_equal(view_mark(view, &ids[0], NULL), 0);
	assert_int_equal(view_mark(view, &ids[1], NULL), 0);
	assert_int_equal(view_mark(view, &ids[1], NULL), 0); /* it is already */
	assert_int_equal(view_mark(view, &(struct customer_id){.guest = true}, NULL), ERROR_INPUT);
	assert_int_equal(view_unmark(view, &(struct customer_id){.guest = true}, NULL), ERROR_INPUT);
	assert_marked(view, ids, 3);
	assert_int_equal(view_write_commit(view, 2, NULL), 0);
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_unmark(view, &ids[0], NULL), 0);
	view_write_abort(view);
	view_close(view);

	view = open_it(CUSTOMER_ID_INTEGER, true);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_marked(view, ids, 3);
	view_close(view);

	view = open_it(CUSTOMER_ID_INTEGER, false);
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_unmark(view, &ids[0], NULL), 0);
	assert_int_equal(view_unmark(view, &ids[0], NULL), 0); /* it is not */
	assert_int_equal(view_write_commit(view, 3, NULL), 0);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_marked(view, ids + 1, 2);
	view_read_end(view);
	assert_int_equal(view_accounts_clear(view, NULL), 0);
	view_write_abort(view);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_marked(view, ids + 1, 2);
	view_read_end(view);
	assert_int_equal(view_accounts_clear(view, NULL), 0);
	assert_int_equal(view_write_commit(view, 4, NULL), 0);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_marked(view, NULL, 0);
	view_close(view);
}

static void test_marks_of_texts(void **state)
{
	(void)state;
	struct view *const view = open_it(CUSTOMER_ID_TEXT, false);
	const struct customer_id ids[] = {text("10"), text("2"), text("B-7")};
	assert_int_equal(view_write_begin(view, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(view_mark(view, &ids[2 - i], NULL), 0);
	assert_marked(view, ids, 3);
	view_close(view);
}

/* A view of before there were marks has none, and gets them from the first that writes to it. */
static void test_a_view_without_marks(void **state)
{
	(void)state;
	struct view *view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct customer_id one = number(1);
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_account_put(view, &one, SLICE("r"), NULL), 0);
	assert_int_equal(view_write_commit(view, 2, NULL), 0);
	view_close(view);

	MDB_env *env = NULL;
	MDB_txn *txn = NULL;
	MDB_dbi marked;
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 1), 0);
	assert_int_equal(mdb_env_set_mapsize(env, (size_t)1 << 30), 0);
	assert_int_equal(mdb_env_open(env, dir, 0, 0666), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "marked", 0, &marked), 0);
	assert_int_equal(mdb_drop(txn, marked, 1), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);

	for (int read_only = 1; read_only >= 0; read_only--) {
		view = open_it(CUSTOMER_ID_INTEGER, read_only);
		assert_int_equal(view_read_begin(view, NULL), 0);
		assert_walk(view, &one, 1);
		assert_marked(view, NULL, 0);
		view_close(view);
	}
	view = open_it(CUSTOMER_ID_INTEGER, false);
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_mark(view, &one, NULL), 0);
	assert_marked(view, &one, 1);
	view_close(view);
}

/* All accounts in order, as when they are made again. */
static void test_append(void **state)
{
	(void)state;
	struct view *const view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct customer_id ids[] = {number(INT64_MIN), number(-1), number(0), number(70000)};
	struct error err = {0};
	assert_int_equal(view_accounts_clear(view, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(view_account_append(view, &ids[i], SLICE("r"), NULL), 0);
	assert_int_equal(view_account_append(view, &ids[3], SLICE("r"), &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "ascending"));
	assert_int_equal(view_account_append(view, &ids[1], SLICE("r"), NULL), ERROR_INPUT);
	assert_walk(view, ids, 4);
	view_close(view);
}

/* One moment: a reader keeps what it saw. */
static void test_snapshot(void **state)
{
	(void)state;
	struct view *const view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct customer_id one = number(1);
	struct slice record;
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_account_put(view, &one, SLICE("r"), NULL), 0);
	assert_int_equal(view_write_commit(view, 2, NULL), 0);
	assert_int_equal(view_account(view, &one, &record, NULL), ERROR_NOT_FOUND);
	view_read_end(view);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_account(view, &one, &record, NULL), 0);
	view_close(view);
}

static void test_profiles(void **state)
{
	(void)state;
	struct view *const view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct profile full = {
		.name = SLICE("Ann Å"),
		.email = SLICE("ann@x.org"),
		.since = SLICE("2019-01-04"),
		.card = SLICE("501-225-3834"),
		.birth_date = SLICE("1990-05-29"),
		.gender = SLICE("FEMALE"),
		.birth_year = 1990,
	};
	const struct profile bare = {.birth_year = -5};
	const struct customer_id ids[] = {number(-3), number(4), number(5)};
	_cleanup_buf_ struct buf version = {0};
	struct profile have;
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_profiles_version(view, &version, NULL), 0);
	assert_int_equal(version.len, 0);
	view_read_end(view);
	assert_int_equal(view_profiles_begin(view, NULL), 0);
	assert_int_equal(view_profiles_put(view, &ids[0], &full, NULL), 0);
	assert_int_equal(view_profiles_put(view, &ids[1], &bare, NULL), 0);
	assert_int_equal(view_profiles_put(view, &ids[0], &bare, NULL), ERROR_INPUT); /* not ascending */
	assert_int_equal(view_profiles_commit(view, "customers-1.parquet", NULL), 0);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_profiles_version(view, &version, NULL), 0);
	assert_string_equal(buf_text(&version), "customers-1.parquet");
	assert_int_equal(view_profile(view, &ids[0], &have, NULL), 0);
	assert_true(slice_equal(have.name, full.name) && slice_equal(have.email, full.email) &&
		    slice_equal(have.since, full.since) && slice_equal(have.card, full.card) &&
		    slice_equal(have.birth_date, full.birth_date) && slice_equal(have.gender, full.gender));
	assert_int_equal(have.birth_year, 1990);
	assert_int_equal(view_profile(view, &ids[1], &have, NULL), 0);
	assert_int_equal(have.name.len + have.email.len + have.card.len, 0);
	assert_int_equal(have.birth_year, -5);
	assert_int_equal(view_profile(view, &ids[2], &have, NULL), ERROR_NOT_FOUND);
	view_read_end(view);
	/* Replaced whole, or not at all. */
	assert_int_equal(view_profiles_begin(view, NULL), 0);
	view_profiles_abort(view);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_profile(view, &ids[0], &have, NULL), 0);
	view_read_end(view);
	assert_int_equal(view_profiles_begin(view, NULL), 0);
	assert_int_equal(view_profiles_put(view, &ids[2], &full, NULL), 0);
	assert_int_equal(view_profiles_commit(view, "v2", NULL), 0);
	assert_int_equal(view_read_begin(view, NULL), 0);
	assert_int_equal(view_profile(view, &ids[0], &have, NULL), ERROR_NOT_FOUND);
	assert_int_equal(view_profile(view, &ids[2], &have, NULL), 0);
	buf_clear(&version);
	assert_int_equal(view_profiles_version(view, &version, NULL), 0);
	assert_string_equal(buf_text(&version), "v2");
	view_read_end(view);
	view_close(view);
}

static int try_open(enum customer_id_type id_type, bool read_only, struct error *err)
{
	struct view *view = NULL;
	const struct view_options options = {.map_gib = 1, .id_type = id_type, .read_only = read_only};
	const int rc = view_open(dir, &options, &view, err);
	assert_true((rc == 0) == (view != NULL));
	view_close(view);
	return rc;
}

static void test_what_is_no_view(void **state)
{
	(void)state;
	struct error err = {0};
	assert_int_equal(try_open(CUSTOMER_ID_TEXT, true, &err), ERROR_NOT_FOUND);
	assert_false(file_exists(dir));
	assert_int_equal(try_open(CUSTOMER_ID_TEXT, false, &err), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		assert_int_equal(try_open(CUSTOMER_ID_TEXT, read_only, &err), 0);
		assert_int_equal(try_open(CUSTOMER_ID_INTEGER, read_only, &err), ERROR_CORRUPT);
		assert_non_null(strstr(err.message, "customer_id"));
	}
	char file[128];
	snprintf(file, sizeof(file), "%s/data.mdb", dir);
	assert_int_equal(file_write_durable(file, "this is no view", 15, NULL), 0);
	for (int read_only = 0; read_only < 2; read_only++)
		assert_int_equal(try_open(CUSTOMER_ID_TEXT, read_only, &err), ERROR_CORRUPT);
}

/* Finds the bytes in the file and flips one; true when they were there. */
static bool damage(const char *bytes, size_t at)
{
	char path[128];
	_cleanup_buf_ struct buf content = {0};
	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	assert_int_equal(file_read_all(path, 10 << 20, &content, NULL), 0);
	bool found = false;
	const char *from = content.data;
	while ((from = memmem(from, content.len - (size_t)(from - content.data), bytes, strlen(bytes)))) {
		found = true;
		content.data[(size_t)(from - content.data) + at] ^= 1;
		from++;
	}
	assert_int_equal(file_write_durable(path, content.data, content.len, NULL), 0);
	return found;
}

static void test_damaged_record(void **state)
{
	(void)state;
	struct view *view = open_it(CUSTOMER_ID_INTEGER, false);
	const struct customer_id ids[] = {number(1), number(2)};
	const struct profile profile = {.name = SLICE("a name that is easily found")};
	assert_int_equal(view_profiles_begin(view, NULL), 0);
	assert_int_equal(view_profiles_put(view, &ids[0], &profile, NULL), 0);
	assert_int_equal(view_profiles_commit(view, "v", NULL), 0);
	assert_int_equal(view_write_begin(view, NULL), 0);
	assert_int_equal(view_account_put(view, &ids[0], SLICE("a good record"), NULL), 0);
	assert_int_equal(view_account_put(view, &ids[1], SLICE("a record that is damaged"), NULL), 0);
	assert_int_equal(view_write_commit(view, 3, NULL), 0);
	view_close(view);
	assert_true(damage("record that is damaged", 5));
	assert_true(damage("name that is easily", 5));
	view = open_it(CUSTOMER_ID_INTEGER, true);
	assert_int_equal(view_read_begin(view, NULL), 0);
	struct slice record;
	struct profile have;
	struct error err = {0};
	assert_int_equal(view_account(view, &ids[0], &record, &err), 0);
	assert_int_equal(view_account(view, &ids[1], &record, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "data/view"));
	assert_int_equal(view_profile(view, &ids[0], &have, &err), ERROR_CORRUPT);
	struct view_walk *walk = NULL;
	struct customer_id id;
	bool found;
	assert_int_equal(view_walk_open(view, &walk, &err), 0);
	assert_int_equal(view_walk_next(walk, &id, &record, &found, &err), 0);
	assert_int_equal(view_walk_next(walk, &id, &record, &found, &err), ERROR_CORRUPT);
	view_walk_close(walk);
	view_close(view);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		TEST(test_integers),        TEST(test_texts),          TEST(test_abort_and_clear),
		TEST(test_marks),           TEST(test_marks_of_texts), TEST(test_a_view_without_marks),
		TEST(test_append),          TEST(test_snapshot),       TEST(test_profiles),
		TEST(test_what_is_no_view), TEST(test_damaged_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
