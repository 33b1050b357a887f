/*
 * What every warehouse must do (store/warehouse.h), one suite for all drivers, and for one that fails now and then.
 *
 *     conformance_warehouse local DIR [--faulty SEED]
 *     conformance_warehouse hdfs URL ROOT [--user NAME] [--faulty SEED]
 *
 * Works in a directory of its own below the warehouse's root, and removes it at the end.
 */
#include "store/warehouse.h"

#include "warehouse_faulty.h"

#include "base/clock.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FAULT_ONE_IN 4
#define TRIES        200

static struct warehouse *warehouse;
static bool is_faulty;
static uint64_t seed = 1;
static char top[64]; /* the suite's own directory */
static struct error err;

/* What a caller does: again while it says that it is away. Only what injects faults may say so. */
static int again(int rc, unsigned *n)
{
	if (rc == ERROR_AWAY && !is_faulty)
		fail_msg("%s", err.message);
	return rc == ERROR_AWAY && ++*n < TRIES;
}

#define AGAIN(call)                      \
	({                               \
		int rc_;                 \
		unsigned n_ = 0;         \
		do                       \
			rc_ = (call);    \
		while (again(rc_, &n_)); \
		rc_;                     \
	})

#define EXPECT(code, call)                                                                                       \
	do {                                                                                                     \
		const int got_ = AGAIN(call);                                                                    \
		if (got_ != (code))                                                                              \
			fail_msg("%s: %d instead of %d: %s", #call, got_, (code), got_ < 0 ? err.message : "-"); \
	} while (0)

/* A path below the suite's directory; a few at a time. */
static const char *in(const char *path)
{
	static char paths[8][1024];
	static unsigned next;
	char *const out = paths[next++ % 8];
	snprintf(out, sizeof(paths[0]), "%s%s%s", top, *path ? "/" : "", path);
	return out;
}

/* --- content: bytes by their offset and a number --- */

struct content {
	uint64_t number;
	uint64_t size;
	uint64_t fails_at;
	int code;
};

static char byte_at(uint64_t number, uint64_t offset)
{
	return (char)(random_mix(number * 1000003 + offset / 8) >> (8 * (offset % 8)));
}

static int64_t give(void *context, uint64_t offset, void *out, size_t size, struct error *problem)
{
	const struct content *const content = context;
	if (content->code && offset >= content->fails_at)
		return error_set(problem, content->code, "the source failed");
	size_t n = size < content->size - offset ? size : (size_t)(content->size - offset);
	if (content->code && n > content->fails_at - offset)
		n = (size_t)(content->fails_at - offset);
	for (size_t i = 0; i < n; i++)
		((char *)out)[i] = byte_at(content->number, offset + i);
	return (int64_t)n;
}

static int put(const char *path, uint64_t number, uint64_t size)
{
	struct content content = {.number = number, .size = size};
	return AGAIN(warehouse_put(warehouse, path, give, &content, size, &err));
}

static int take(void *context, const void *data, size_t len, struct error *problem)
{
	return buf_append(context, data, len) < 0 ? error_no_memory(problem, len) : 0;
}

static int read_range(const char *path, uint64_t offset, uint64_t len, struct buf *out)
{
	return AGAIN((buf_clear(out), warehouse_read(warehouse, path, offset, len, take, out, &err)));
}

static void expect_content(const char *path, uint64_t number, uint64_t offset, uint64_t len, uint64_t expected_len)
{
	_cleanup_buf_ struct buf out = {0};
	EXPECT(0, read_range(path, offset, len, &out));
	assert_int_equal(out.len, expected_len);
	for (uint64_t i = 0; i < out.len; i++)
		if (out.data[i] != byte_at(number, offset + i))
			fail_msg("%s: byte %llu is another one", path, (unsigned long long)(offset + i));
}

static void expect_file(const char *path, uint64_t number, uint64_t size)
{
	struct warehouse_stat stat;
	EXPECT(0, warehouse_stat(warehouse, path, &stat, &err));
	assert_false(stat.is_dir);
	assert_int_equal(stat.size, size);
	expect_content(path, number, 0, WAREHOUSE_TO_END, size);
}

static void expect_none(const char *path)
{
	struct warehouse_stat stat;
	EXPECT(ERROR_NOT_FOUND, warehouse_stat(warehouse, path, &stat, &err));
}

/* "a/ b:3 " for a directory a and a file b of three bytes. */
static int list_entry(void *context, const char *name, const struct warehouse_stat *stat, struct error *problem)
{
	struct buf *const out = context;
	const int rc = stat->is_dir ? buf_printf(out, "%s/ ", name)
				    : buf_printf(out, "%s:%llu ", name, (unsigned long long)stat->size);
	return rc < 0 ? error_no_memory(problem, 1) : 0;
}

static void expect_list(const char *path, const char *expected)
{
	_cleanup_buf_ struct buf out = {0};
	EXPECT(0, (buf_clear(&out), warehouse_list(warehouse, path, list_entry, &out, &err)));
	assert_string_equal(buf_text(&out), expected);
}

/* --- tests --- */

static void test_put_and_read(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {0, 1, 1000, 65536, 3 * 1024 * 1024 + 7};
	char name[32];
	for (unsigned i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "sizes/f%u", i);
		assert_int_equal(put(in(name), i, sizes[i]), 0);
		expect_file(in(name), i, sizes[i]);
	}
	const char *const big = in("sizes/f4");
	expect_content(big, 4, 0, 10, 10);
	expect_content(big, 4, 1000000, 1000000, 1000000);
	expect_content(big, 4, sizes[4] - 3, 10, 3);
	expect_content(big, 4, sizes[4], 10, 0);
	expect_content(big, 4, sizes[4] + 10, 10, 0);
	expect_content(big, 4, 5, 0, 0);
	expect_list(in("sizes"), "f0:0 f1:1 f2:1000 f3:65536 f4:3145735 ");
	_cleanup_buf_ struct buf out = {0};
	EXPECT(ERROR_NOT_FOUND, read_range(in("sizes/none"), 0, 1, &out));
	EXPECT(ERROR_EXISTS, read_range(in("sizes"), 0, 1, &out));
	EXPECT(ERROR_NOT_FOUND, read_range(in("sizes/f1/below"), 0, 1, &out));
	EXPECT(0, (buf_clear(&out), warehouse_read_all(warehouse, in("sizes/f2"), 1000, &out, &err)));
	assert_int_equal(out.len, 1000);
	EXPECT(ERROR_LIMIT, (buf_clear(&out), warehouse_read_all(warehouse, in("sizes/f2"), 999, &out, &err)));
}

static void test_put_again(void **state)
{
	(void)state;
	const char *const path = in("again/f");
	assert_int_equal(put(path, 1, 5000), 0);
	assert_int_equal(put(path, 1, 5000), 0);
	expect_file(path, 1, 5000);
	EXPECT(ERROR_EXISTS, put(path, 1, 5001));
	assert_non_null(strstr(err.message, "5000 bytes instead of 5001"));
	EXPECT(ERROR_EXISTS, put(in("again"), 1, 10));
	EXPECT(ERROR_EXISTS, put(in("again/f/g"), 1, 10));
	expect_file(path, 1, 5000);
	expect_list(in("again"), "f:5000 ");
}

/* What fails while it is put is not seen, and does not keep anybody from putting it. */
static void test_put_broken_off(void **state)
{
	(void)state;
	const char *const path = in("broken/f");
	struct content content = {.number = 1, .size = 3000000, .fails_at = 1500000, .code = ERROR_CORRUPT};
	EXPECT(ERROR_CORRUPT, warehouse_put(warehouse, path, give, &content, content.size, &err));
	expect_none(path);
	content = (struct content){.number = 1, .size = 1000}; /* ends before what was promised */
	EXPECT(ERROR_INPUT, warehouse_put(warehouse, path, give, &content, 2000, &err));
	expect_none(path);
	assert_int_equal(put(path, 2, 3000), 0);
	expect_file(path, 2, 3000);
}

static int refuse(void *context, const void *data, size_t len, struct error *problem)
{
	(void)context, (void)data, (void)len;
	return error_set(problem, ERROR_CORRUPT, "enough");
}

static int refuse_entry(void *context, const char *name, const struct warehouse_stat *stat, struct error *problem)
{
	(void)context, (void)name, (void)stat;
	return error_set(problem, ERROR_CORRUPT, "enough");
}

static void test_callbacks_fail(void **state)
{
	(void)state;
	assert_int_equal(put(in("fail/f"), 1, 100), 0);
	/* A faulty one may end before it gives anything, but never says that all is well. */
	EXPECT(ERROR_CORRUPT, warehouse_read(warehouse, in("fail/f"), 0, WAREHOUSE_TO_END, refuse, NULL, &err));
	assert_non_null(strstr(err.message, "enough"));
	EXPECT(ERROR_CORRUPT, warehouse_list(warehouse, in("fail"), refuse_entry, NULL, &err));
}

static void test_names(void **state)
{
	(void)state;
	static const char *const names[] = {"data_dt=2026-11-23",
					    "a b",
					    "100%",
					    "a%20b",
					    "x+y&z=1",
					    "q?",
					    "#1",
					    "caf\xc3\xa9",
					    "\xe6\x97\xa5\xe6\x9c\xac",
					    "semi;colon",
					    "quo'te\"s",
					    "{a,b}",
					    "*",
					    "[1]",
					    "~",
					    "a@b",
					    ".hidden",
					    "_under",
					    "...",
					    "comma,",
					    "$x",
					    "(1)",
					    "!",
					    "|"};
	char path[128];
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "names/%s/%s", names[i], names[i]);
		if (put(in(path), i, 10 + i) < 0)
			fail_msg("%s: %s", names[i], err.message);
		expect_file(in(path), i, 10 + i);
		char expected[128];
		snprintf(expected, sizeof(expected), "%s:%u ", names[i], 10 + i);
		snprintf(path, sizeof(path), "names/%s", names[i]);
		expect_list(in(path), expected);
		snprintf(path, sizeof(path), "names/%s/%s", names[i], names[i]);
		char other[128];
		snprintf(other, sizeof(other), "names/%s/%s 2", names[i], names[i]);
		EXPECT(0, warehouse_rename(warehouse, in(path), in(other), &err));
		expect_file(in(other), i, 10 + i);
		EXPECT(0, warehouse_remove(warehouse, in(other), &err));
		expect_none(in(other));
	}
}

static void test_paths(void **state)
{
	(void)state;
	static const char *const bad[] = {"/a",  "a/",  "a//b", ".",    "..",   "a/../b",
					  "a/.", "a:b", "a\\b", "a\nb", "\x7f", "\xff"};
	struct warehouse_stat stat;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_false(warehouse_is_path(bad[i]));
		EXPECT(ERROR_INPUT, warehouse_stat(warehouse, bad[i], &stat, &err));
		EXPECT(ERROR_INPUT, warehouse_put_bytes(warehouse, bad[i], SLICE("x"), &err));
		EXPECT(ERROR_INPUT, warehouse_remove(warehouse, bad[i], &err));
		EXPECT(ERROR_INPUT, warehouse_rename(warehouse, in("x"), bad[i], &err));
	}
	EXPECT(ERROR_INPUT, warehouse_remove(warehouse, "", &err));
	EXPECT(ERROR_INPUT, warehouse_put_bytes(warehouse, "", SLICE("x"), &err));
	EXPECT(0, warehouse_stat(warehouse, "", &stat, &err));
	assert_true(stat.is_dir);
}

/* More than a server gives at a time. */
static void test_list_long(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf expected = {0};
	char path[32];
	EXPECT(0, warehouse_make_dir(warehouse, in("long/empty"), &err));
	expect_list(in("long/empty"), "");
	for (unsigned i = 0; i < 35; i++) {
		snprintf(path, sizeof(path), "long/many/d=%02u", i);
		EXPECT(0, warehouse_make_dir(warehouse, in(path), &err));
		buf_printf(&expected, "d=%02u/ ", i);
	}
	expect_list(in("long/many"), buf_text(&expected));
	assert_int_equal(put(in("long/f"), 1, 1), 0);
	EXPECT(ERROR_EXISTS, warehouse_list(warehouse, in("long/f"), list_entry, &expected, &err));
	EXPECT(ERROR_NOT_FOUND, warehouse_list(warehouse, in("long/none"), list_entry, &expected, &err));
}

static void test_make_dir(void **state)
{
	(void)state;
	struct warehouse_stat stat;
	EXPECT(0, warehouse_make_dir(warehouse, in("dirs/a/b/c"), &err));
	EXPECT(0, warehouse_make_dir(warehouse, in("dirs/a/b/c"), &err));
	EXPECT(0, warehouse_stat(warehouse, in("dirs/a/b"), &stat, &err));
	assert_true(stat.is_dir);
	assert_int_equal(stat.size, 0);
	assert_int_equal(put(in("dirs/f"), 1, 1), 0);
	EXPECT(ERROR_EXISTS, warehouse_make_dir(warehouse, in("dirs/f"), &err));
	EXPECT(ERROR_EXISTS, warehouse_make_dir(warehouse, in("dirs/f/below"), &err));
}

static void test_rename(void **state)
{
	(void)state;
	assert_int_equal(put(in("ren/a/f"), 1, 10), 0);
	assert_int_equal(put(in("ren/b/g"), 2, 20), 0);
	EXPECT(0, warehouse_rename(warehouse, in("ren/a/f"), in("ren/new/dir/f"), &err));
	EXPECT(0, warehouse_rename(warehouse, in("ren/a/f"), in("ren/new/dir/f"), &err)); /* was done */
	expect_file(in("ren/new/dir/f"), 1, 10);
	expect_none(in("ren/a/f"));
	EXPECT(ERROR_EXISTS, warehouse_rename(warehouse, in("ren/new/dir/f"), in("ren/b/g"), &err));
	expect_file(in("ren/b/g"), 2, 20);
	EXPECT(0, warehouse_rename(warehouse, in("ren/b"), in("ren/c"), &err));
	expect_list(in("ren"), "a/ c/ new/ ");
	/* Not into a directory that is there. */
	EXPECT(ERROR_EXISTS, warehouse_rename(warehouse, in("ren/c"), in("ren/a"), &err));
	expect_list(in("ren/a"), "");
	EXPECT(ERROR_NOT_FOUND, warehouse_rename(warehouse, in("ren/x"), in("ren/y"), &err));
	EXPECT(ERROR_NOT_FOUND, warehouse_rename(warehouse, in("ren/c/g/below"), in("ren/y"), &err));
	EXPECT(ERROR_EXISTS, warehouse_rename(warehouse, in("ren/a"), in("ren/c/g/below"), &err));
}

static void test_remove(void **state)
{
	(void)state;
	assert_int_equal(put(in("rm/a/b/f"), 1, 10), 0);
	assert_int_equal(put(in("rm/a/g"), 2, 20), 0);
	EXPECT(0, warehouse_remove(warehouse, in("rm/a/g"), &err));
	expect_list(in("rm/a"), "b/ ");
	EXPECT(0, warehouse_remove(warehouse, in("rm/a"), &err));
	EXPECT(0, warehouse_remove(warehouse, in("rm/a"), &err));
	EXPECT(0, warehouse_remove(warehouse, in("rm/no/such"), &err));
	assert_int_equal(put(in("rm/f"), 1, 10), 0);
	EXPECT(0, warehouse_remove(warehouse, in("rm/f/below"), &err));
	EXPECT(0, warehouse_remove(warehouse, in("rm/f"), &err));
	expect_list(in("rm"), "");
	assert_int_equal(put(in("rm/a/g"), 3, 30), 0); /* its directory is made again */
	expect_file(in("rm/a/g"), 3, 30);
}

static void test_usage(void **state)
{
	(void)state;
	struct warehouse_usage usage;
	assert_int_equal(put(in("use/a/f"), 1, 1000), 0);
	assert_int_equal(put(in("use/g"), 2, 234), 0);
	EXPECT(0, warehouse_usage(warehouse, in("use"), &usage, &err));
	assert_int_equal(usage.bytes, 1234);
	assert_int_equal(usage.files, 2);
	assert_int_equal(usage.dirs, 2);
	assert_int_equal(usage.space_quota, -1);
	assert_int_equal(usage.name_quota, -1);
	EXPECT(0, warehouse_usage(warehouse, in("use/g"), &usage, &err));
	assert_int_equal(usage.bytes, 234);
	assert_int_equal(usage.files, 1);
	EXPECT(ERROR_NOT_FOUND, warehouse_usage(warehouse, in("use/none"), &usage, &err));
}

static void test_put_file(void **state)
{
	(void)state;
	char name[] = "/tmp/punchcard-conformance-XXXXXX";
	const int fd = mkstemp(name);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 100000; i++) {
		const char byte = byte_at(9, i);
		assert_int_equal(write(fd, &byte, 1), 1);
	}
	close(fd);
	EXPECT(0, warehouse_put_file(warehouse, in("file/f"), name, &err));
	expect_file(in("file/f"), 9, 100000);
	unlink(name);
	EXPECT(ERROR_NOT_FOUND, warehouse_put_file(warehouse, in("file/g"), name, &err));
	EXPECT(ERROR_INPUT, warehouse_put_file(warehouse, in("file/g"), "/tmp", &err));
	EXPECT(0, warehouse_put_bytes(warehouse, in("file/h"), SLICE("in\0memory"), &err));
	_cleanup_buf_ struct buf out = {0};
	EXPECT(0, (buf_clear(&out), warehouse_read_all(warehouse, in("file/h"), 100, &out, &err)));
	assert_true(slice_equal((struct slice){out.data, out.len}, SLICE("in\0memory")));
}

static void test_ping(void **state)
{
	(void)state;
	struct warehouse_health health;
	EXPECT(0, warehouse_ping(warehouse, false, &health, &err));
	assert_true(health.version[0]);
	assert_false(health.safe_mode);
	assert_true(health.has_clock);
	assert_in_range(health.clock_ahead_ms + 5000, 0, 10000);
	assert_false(health.can_write);
	if (!is_faulty) {
		EXPECT(0, warehouse_ping(warehouse, true, &health, &err));
		assert_string_equal(health.problem, "");
		assert_true(health.can_write);
	}
}

static void test_clean(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf tmp = {0};
	assert_int_equal(warehouse_tmp_path(warehouse, in("clean/f"), &tmp, &err), 0);
	assert_int_equal(put(tmp.data, 1, 10), 0); /* what a put that was killed leaves */
	EXPECT(0, warehouse_clean(warehouse, &err));
	expect_none(tmp.data);
	assert_int_equal(put(in("clean/f"), 1, 10), 0);
	expect_file(in("clean/f"), 1, 10);
}

/* --- random work beside a model --- */

#define NODES 12u /* d0, d1, d2 and d<i>/f0 … f2 */
#define STEPS 150u

struct node {
	bool there;
	uint64_t number; /* 0: a directory */
};

static const char *node_path(unsigned i)
{
	char name[32];
	if (i < 3)
		snprintf(name, sizeof(name), "model/d%u", i);
	else
		snprintf(name, sizeof(name), "model/d%u/f%u", (i - 3) / 3, (i - 3) % 3);
	return in(name);
}

static uint64_t size_of(uint64_t number)
{
	return 100 + number;
}

static void model_put(struct node *model, unsigned i, uint64_t number)
{
	const int rc = put(node_path(i), number, size_of(number));
	if (model[i].there) {
		assert_int_equal(rc, model[i].number == number ? 0 : ERROR_EXISTS);
		return;
	}
	assert_int_equal(rc, 0);
	model[i] = (struct node){true, number};
	model[(i - 3) / 3].there = true;
}

static void model_rename(struct node *model, unsigned from, unsigned to)
{
	const int rc = AGAIN(warehouse_rename(warehouse, node_path(from), node_path(to), &err));
	if (!model[from].there) {
		assert_int_equal(rc, model[to].there ? 0 : ERROR_NOT_FOUND);
		return;
	}
	assert_int_equal(rc, model[to].there ? ERROR_EXISTS : 0);
	if (rc < 0)
		return;
	model[to] = model[from];
	model[from].there = false;
	model[(to - 3) / 3].there = true;
}

static void model_remove(struct node *model, unsigned i)
{
	EXPECT(0, warehouse_remove(warehouse, node_path(i), &err));
	model[i].there = false;
	for (unsigned k = 0; i < 3 && k < 3; k++)
		model[3 + i * 3 + k].there = false;
}

static void model_check(const struct node *model, unsigned dir)
{
	_cleanup_buf_ struct buf expected = {0};
	_cleanup_buf_ struct buf found = {0};
	const int rc = AGAIN((buf_clear(&found), warehouse_list(warehouse, node_path(dir), list_entry, &found, &err)));
	assert_int_equal(rc, model[dir].there ? 0 : ERROR_NOT_FOUND);
	if (rc < 0)
		return;
	for (unsigned k = 3 + dir * 3; k < 6 + dir * 3; k++)
		if (model[k].there)
			buf_printf(&expected, "f%u:%llu ", (k - 3) % 3, (unsigned long long)size_of(model[k].number));
	assert_string_equal(buf_text(&found), buf_text(&expected));
}

static void test_model(void **state)
{
	(void)state;
	struct node model[NODES] = {0};
	struct random random;
	random_init(&random, seed);
	for (unsigned step = 0; step < STEPS; step++) {
		const unsigned dir = (unsigned)random_below(&random, 3);
		const unsigned file = 3 + (unsigned)random_below(&random, NODES - 3);
		switch (random_below(&random, 8)) {
		case 0:
		case 1:
		case 2:
			model_put(model, file, 1 + random_below(&random, 2));
			break;
		case 3:
		case 4: {
			const unsigned to = 3 + (unsigned)random_below(&random, NODES - 3);
			if (to != file)
				model_rename(model, file, to);
			break;
		}
		case 5:
			model_remove(model, random_below(&random, 3) ? file : dir);
			break;
		case 6:
			EXPECT(0, warehouse_make_dir(warehouse, node_path(dir), &err));
			model[dir].there = true;
			break;
		default:
			model_check(model, dir);
			break;
		}
	}
	for (unsigned i = 0; i < 3; i++)
		model_check(model, i);
	for (unsigned i = 3; i < NODES; i++)
		if (model[i].there)
			expect_file(node_path(i), model[i].number, size_of(model[i].number));
}

/* --- the program --- */

static int set_up(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "conformance-%d-%llu", (int)getpid(), (unsigned long long)clock_now_us());
	EXPECT(0, warehouse_make_dir(warehouse, top, &err));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	EXPECT(0, warehouse_remove(warehouse, top, &err));
	EXPECT(0, warehouse_clean(warehouse, &err));
	return 0;
}

static int open_warehouse(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "local") == 0) {
		const struct warehouse_local_options options = {.root = argv[2], .writer = "conformance"};
		return warehouse_open_local(&options, &warehouse, &err);
	}
	if (argc >= 4 && strcmp(argv[1], "hdfs") == 0) {
		struct warehouse_hdfs_options options = {
			.url = argv[2], .root = argv[3], .writer = "conformance", .user = "conformance"};
		for (int i = 4; i + 1 < argc; i++)
			if (strcmp(argv[i], "--user") == 0)
				options.user = argv[i + 1];
		return warehouse_open_hdfs(&options, &warehouse, &err);
	}
	return error_set(&err, ERROR_USAGE, "usage: %s local DIR | hdfs URL ROOT [--user NAME] [--faulty SEED]",
			 argv[0]);
}

int main(int argc, char **argv)
{
	if (open_warehouse(argc, argv) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 2;
	}
	for (int i = 2; i + 1 < argc; i++)
		if (strcmp(argv[i], "--faulty") == 0) {
			seed = strtoull(argv[i + 1], NULL, 10);
			warehouse = warehouse_faulty(warehouse, seed, FAULT_ONE_IN);
			is_faulty = true;
		}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_and_read),   cmocka_unit_test(test_put_again),
		cmocka_unit_test(test_put_broken_off), cmocka_unit_test(test_callbacks_fail),
		cmocka_unit_test(test_names),          cmocka_unit_test(test_paths),
		cmocka_unit_test(test_list_long),      cmocka_unit_test(test_make_dir),
		cmocka_unit_test(test_rename),         cmocka_unit_test(test_remove),
		cmocka_unit_test(test_usage),          cmocka_unit_test(test_put_file),
		cmocka_unit_test(test_ping),           cmocka_unit_test(test_clean),
		cmocka_unit_test(test_model),
	};
	const int failed = cmocka_run_group_tests_name("warehouse", tests, set_up, tear_down);
	warehouse_close(warehouse);
	return failed;
}
