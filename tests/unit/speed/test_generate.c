#include "speed/generate.h"

#include "base/buf.h"
#include "base/decimal.h"
#include "base/file.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

static struct config_menu_item MENU[] = {{.name = (char[]){"espresso"}, .price_minor = 6500},
					 {.name = (char[]){"flat white"}, .price_minor = 350},
					 {.name = (char[]){"water"}, .price_minor = 0}};

struct fixture {
	char dir[64];
	char taken_dir[128]; /* what options point to must live as long as they */
	struct tz *utc;
	struct generate_options options; /* 1,000 orders over January 2021 into dir */
	struct generate_counts counts;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *const f = calloc(1, sizeof(*f));
	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/punchcard-generate-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(tz_load("UTC", &f->utc, &f->err), 0);
	f->options = (struct generate_options){.menu = MENU,
					       .n_menu = 3,
					       .zone = f->utc,
					       .orders = 1000,
					       .customers = 100,
					       .from_day = civil_days(2021, 1, 1),
					       .to_day = civil_days(2021, 1, 31),
					       .seed = 7,
					       .files = 1,
					       .dir = f->dir,
					       .fd = -1};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *const f = *state;
	tz_free(f->utc);
	assert_int_equal(file_remove_tree(f->dir, NULL), 0);
	free(f);
	return 0;
}

static unsigned count_files(const char *path)
{
	DIR *const dir = opendir(path);
	assert_non_null(dir);
	unsigned n = 0;
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		n += entry->d_name[0] != '.' || (entry->d_name[1] != '.' && entry->d_name[1] != 0);
	closedir(dir);
	return n;
}

static void read_named(const struct fixture *f, const char *name, struct buf *out)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(file_read_all(path, 1u << 30, out, NULL), 0);
}

/* Into memory; the caller releases out. */
static void run_to_memory(struct fixture *f, struct buf *out)
{
	const int fd = memfd_create("orders", MFD_CLOEXEC);
	assert_true(fd >= 0);
	f->options.dir = NULL;
	f->options.fd = fd;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), 0);
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(file_read_all(path, 1u << 30, out, NULL), 0);
	close(fd);
	f->options.dir = f->dir;
	f->options.fd = -1;
	assert_int_equal(f->counts.bytes, out->len);
}

struct line {
	int64_t customer;
	struct slice drink; /* with the price */
	int64_t time_s;
};

/* Takes the next line off `rest`. False when it is no whole order. */
static bool take_line(struct slice *rest, struct line *out)
{
	const char *const end = memchr(rest->data, '\n', rest->len);
	assert_non_null(end);
	const struct slice line = {rest->data, (size_t)(end - rest->data)};
	*rest = (struct slice){end + 1, rest->len - line.len - 1};
	const char *const a = memchr(line.data, '|', line.len);
	if (!a)
		return false;
	const size_t left = (size_t)(end - a) - 1;
	const char *const b = memchr(a + 1, '|', left);
	if (!b || integer_parse(line.data, (size_t)(a - line.data), &out->customer) < 0 ||
	    integer_parse(b + 1, (size_t)(end - b) - 1, &out->time_s) < 0)
		return false;
	out->drink = (struct slice){a + 1, (size_t)(b - a) - 1};
	return true;
}

/* Pins the bytes for ever: a change here breaks everybody who repeats a run by its seed. */
static void bytes_are_pinned(void **state)
{
	struct fixture *const f = *state;
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	static const char START[] = "28|flat white 3.50|1609482897\n";
	assert_memory_equal(out.data, START, sizeof(START) - 1);
	assert_int_equal(XXH3_64bits(out.data, out.len), UINT64_C(0xda92dddd806a14d4));
	f->options.dirty_ppb = GENERATE_DIRTY_WHOLE / 2;
	_cleanup_buf_ struct buf dirty = {0};
	run_to_memory(f, &dirty);
	assert_int_equal(XXH3_64bits(dirty.data, dirty.len), UINT64_C(0x7c4b4f1593db9787));
}

static void lines_are_orders_in_order(void **state)
{
	struct fixture *const f = *state;
	f->options.orders = 20000;
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	struct slice rest = {out.data, out.len};
	int64_t last_s = 0;
	uint64_t drinks[3] = {0};
	uint64_t customers[100] = {0};
	uint64_t hours[24] = {0};
	uint64_t n = 0;
	for (struct line line = {0}; rest.len; n++) {
		assert_true(take_line(&rest, &line));
		assert_in_range(line.customer, 1, 100);
		customers[line.customer - 1]++;
		assert_true(line.time_s >= last_s);
		last_s = line.time_s;
		const int32_t day = tz_local_day(f->utc, line.time_s * 1000000);
		assert_in_range(day, f->options.from_day, f->options.to_day);
		hours[line.time_s / 3600 % 24]++;
		const unsigned drink = slice_is(line.drink, "espresso 65")       ? 0
				       : slice_is(line.drink, "flat white 3.50") ? 1
										 : 2;
		assert_true(drink < 2 || slice_is(line.drink, "water 0"));
		drinks[drink]++;
	}
	assert_int_equal(n, 20000);
	assert_int_equal(f->counts.orders, 20000);
	assert_int_equal(f->counts.lines, 20000);
	assert_true(drinks[0] > drinks[1] && drinks[1] > drinks[2] && drinks[2] > 2000);
	assert_true(hours[8] > hours[15] && hours[15] > hours[19] && hours[19] > 0);
	for (unsigned hour = 0; hour < 6; hour++)
		assert_int_equal(hours[hour] + hours[(hour + 20) % 24], 0);
	uint64_t best = 0;
	for (unsigned i = 0; i < 100; i++)
		best = customers[i] > best ? customers[i] : best;
	assert_true(customers[0] < best);  /* the first id is not the best customer */
	assert_in_range(best, 2100, 2700); /* 1/2 ÷ (1/2 + 1/3 + … + 1/101) of 20,000 */
}

static void seeds_differ(void **state)
{
	struct fixture *const f = *state;
	_cleanup_buf_ struct buf a = {0};
	_cleanup_buf_ struct buf b = {0};
	_cleanup_buf_ struct buf other = {0};
	run_to_memory(f, &a);
	run_to_memory(f, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	f->options.seed++;
	run_to_memory(f, &other);
	assert_true(a.len != other.len || memcmp(a.data, other.data, a.len) != 0);
}

static void files_are_the_stream_cut(void **state)
{
	struct fixture *const f = *state;
	_cleanup_buf_ struct buf whole = {0};
	run_to_memory(f, &whole);
	f->options.files = 7;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), 0);
	assert_int_equal(f->counts.files, 7);
	assert_int_equal(f->counts.bytes, whole.len);
	assert_int_equal(count_files(f->dir), 7);
	_cleanup_buf_ struct buf joined = {0};
	for (unsigned i = 1; i <= 7; i++) {
		char name[64];
		(void)snprintf(name, sizeof(name), "orders-7-%06u.txt", i);
		const size_t before = joined.len;
		read_named(f, name, &joined);
		uint64_t lines = 0;
		for (size_t at = before; at < joined.len; at++)
			lines += joined.data[at] == '\n';
		assert_in_range(lines, 142, 143);
	}
	assert_int_equal(joined.len, whole.len);
	assert_memory_equal(joined.data, whole.data, whole.len);
}

static void as_many_files_as_orders(void **state)
{
	struct fixture *const f = *state;
	f->options.orders = f->options.files = 3;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), 0);
	assert_int_equal(count_files(f->dir), 3);
}

static void overwrites_nothing(void **state)
{
	struct fixture *const f = *state;
	f->options.files = 3;
	static const char *const THERE[] = {"orders-7-000003.txt", "orders-7-000002.txt.DONE",
					    "taken/orders-7-000001.txt"};
	(void)snprintf(f->taken_dir, sizeof(f->taken_dir), "%s/taken", f->dir);
	assert_int_equal(file_make_dirs(f->taken_dir, NULL), 0);
	f->options.taken_suffix = ".DONE";
	f->options.taken_dir = f->taken_dir;
	for (unsigned i = 0; i < 3; i++) {
		char path[256];
		(void)snprintf(path, sizeof(path), "%s/%s", f->dir, THERE[i]);
		assert_int_equal(file_write_durable(path, "mine", 4, NULL), 0);
		assert_int_equal(generate_run(&f->options, &f->counts, &f->err), ERROR_EXISTS);
		assert_non_null(strstr(f->err.message, THERE[i]));
		assert_int_equal(f->counts.lines, 0);
		assert_int_equal(count_files(f->dir) + count_files(f->taken_dir), 2); /* and the directory */
		assert_int_equal(unlink(path), 0);
	}
}

static void dirty_counts_are_true(void **state)
{
	struct fixture *const f = *state;
	f->options.orders = 20000;
	_cleanup_buf_ struct buf clean = {0};
	run_to_memory(f, &clean);
	f->options.dirty_ppb = GENERATE_DIRTY_WHOLE / 5;
	_cleanup_buf_ struct buf dirty = {0};
	run_to_memory(f, &dirty);
	const struct generate_counts *const counts = &f->counts;
	assert_int_equal(counts->orders, 20000);
	assert_int_equal(counts->lines, 20000 + counts->duplicates);
	assert_in_range(counts->duplicates, 800, 1200);
	/* Order by order against the clean ones. */
	struct generate_counts seen = {0};
	struct slice a = {clean.data, clean.len};
	struct slice b = {dirty.data, dirty.len};
	while (a.len) {
		struct line order = {0};
		struct line line = {0};
		const char *const start = b.data;
		assert_true(take_line(&a, &order));
		if (!take_line(&b, &line)) {
			seen.torn++;
			continue;
		}
		assert_true(slice_equal(order.drink, line.drink));
		seen.unknown += line.customer > 100;
		assert_true(line.customer > 100 || line.customer == order.customer);
		assert_in_range(order.time_s - line.time_s, 0, GENERATE_LATE_MAX_S);
		seen.late += line.time_s < order.time_s;
		/* No two neighbours of the clean ones are alike: a line like the one before is a duplicate. */
		const size_t len = (size_t)(b.data - start);
		if (b.len >= len && memcmp(b.data, start, len) == 0) {
			seen.duplicates++;
			b = (struct slice){b.data + len, b.len - len};
		}
	}
	assert_int_equal(b.len, 0);
	assert_int_equal(seen.duplicates, counts->duplicates);
	assert_int_equal(seen.late, counts->late);
	assert_int_equal(seen.torn, counts->torn);
	assert_int_equal(seen.unknown, counts->unknown);
}

static void all_dirty(void **state)
{
	struct fixture *const f = *state;
	f->options.dirty_ppb = GENERATE_DIRTY_WHOLE;
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	const struct generate_counts *const c = &f->counts;
	assert_int_equal(c->duplicates + c->late + c->torn + c->unknown, 1000);
}

static void late_lines_do_not_leave_the_epoch(void **state)
{
	struct fixture *const f = *state;
	f->options.dirty_ppb = GENERATE_DIRTY_WHOLE;
	f->options.from_day = f->options.to_day = 1;
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	assert_null(memmem(out.data, out.len, "|-", 2));
}

static void one_order_of_one_customer(void **state)
{
	struct fixture *const f = *state;
	f->options.orders = f->options.customers = f->options.n_menu = 1;
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	struct slice rest = {out.data, out.len};
	struct line line = {0};
	assert_true(take_line(&rest, &line));
	assert_int_equal(rest.len, 0);
	assert_int_equal(line.customer, 1);
}

/* On the day when New York's clocks are set back and forward: shop hours, in order. */
static void keeps_local_hours(void **state)
{
	struct fixture *const f = *state;
	struct tz *zone = NULL;
	assert_int_equal(tz_load("America/New_York", &zone, &f->err), 0);
	f->options.zone = zone;
	f->options.from_day = civil_days(2021, 3, 13);
	f->options.to_day = civil_days(2021, 11, 8);
	f->options.orders = 50000;
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	struct slice rest = {out.data, out.len};
	int64_t last_s = 0;
	while (rest.len) {
		struct line line = {0};
		assert_true(take_line(&rest, &line));
		assert_true(line.time_s >= last_s);
		last_s = line.time_s;
		const int64_t hour = (line.time_s + tz_offset_s(zone, line.time_s)) / 3600 % 24;
		assert_in_range(hour, 6, 19);
	}
	tz_free(zone);
}

static void refuses_a_name_with_a_bar(void **state)
{
	struct fixture *const f = *state;
	struct config_menu_item item = {.name = (char[]){"tea|milk"}, .price_minor = 100};
	f->options.menu = &item;
	f->options.n_menu = 1;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), ERROR_CONFIG);
	assert_non_null(strstr(f->err.message, "tea|milk"));
	item.name = (char[]){"tea\nmilk"};
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), ERROR_CONFIG);
	assert_int_equal(count_files(f->dir), 0);
}

static void long_names_are_whole(void **state)
{
	struct fixture *const f = *state;
	char name[201] = {0};
	memset(name, 'x', 200);
	const struct config_menu_item item = {.name = name, .price_minor = 123456789012345};
	f->options.menu = &item;
	f->options.n_menu = 1;
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	struct slice rest = {out.data, out.len};
	while (rest.len) {
		struct line line = {0};
		assert_true(take_line(&rest, &line));
		assert_int_equal(line.drink.len, 200 + 1 + 16);
		assert_memory_equal(line.drink.data, name, 200);
		assert_memory_equal(line.drink.data + 200, " 1234567890123.45", 17);
	}
}

/* A limit on the size of files stands in for a full disk. */
static void leaves_no_half_file(void **state)
{
	struct fixture *const f = *state;
	f->options.orders = 100000;
	f->options.files = 2;
	struct rlimit before;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	const struct rlimit small = {1000000, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const int rc = generate_run(&f->options, &f->counts, &f->err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(rc, ERROR_NO_SPACE);
	assert_non_null(strstr(f->err.message, f->dir));
	assert_int_equal(f->counts.files, 0);
	assert_int_equal(count_files(f->dir), 0);
}

static void says_when_it_cannot_write(void **state)
{
	struct fixture *const f = *state;
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/file", f->dir);
	assert_int_equal(file_write_durable(path, "", 0, NULL), 0);
	f->options.dir = path;
	assert_true(generate_run(&f->options, &f->counts, &f->err) < 0);
	assert_non_null(strstr(f->err.message, path));
	f->options.dir = NULL;
	f->options.fd = -1;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), ERROR_IO);
}

static void stops_when_told(void **state)
{
	struct fixture *const f = *state;
	const volatile sig_atomic_t stop = 1;
	f->options.stop = &stop;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), ERROR_INTERRUPTED);
	assert_int_equal(count_files(f->dir), 0);
}

static void live_stamps_the_present(void **state)
{
	struct fixture *const f = *state;
	f->options.rate = 500;
	f->options.orders = 120;
	const int64_t start_s = time(NULL);
	_cleanup_buf_ struct buf out = {0};
	run_to_memory(f, &out);
	const int64_t end_s = time(NULL);
	assert_int_equal(f->counts.lines, 120);
	struct slice rest = {out.data, out.len};
	unsigned n = 0;
	for (struct line line = {0}; rest.len; n++) {
		assert_true(take_line(&rest, &line));
		assert_in_range(line.time_s, start_s, end_s);
	}
	assert_int_equal(n, 120);
	f->options.orders = 5;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), 0);
	assert_int_equal(f->counts.files, 1);
	assert_int_equal(count_files(f->dir), 1);
}

/* Told to stop, what is due is still written, and it is a good end. */
static void live_stops_well(void **state)
{
	struct fixture *const f = *state;
	const volatile sig_atomic_t stop = 1;
	f->options.stop = &stop;
	f->options.rate = 10;
	f->options.orders = 0;
	assert_int_equal(generate_run(&f->options, &f->counts, &f->err), 0);
	assert_int_equal(count_files(f->dir), f->counts.files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(bytes_are_pinned),
		TEST(lines_are_orders_in_order),
		TEST(seeds_differ),
		TEST(files_are_the_stream_cut),
		TEST(as_many_files_as_orders),
		TEST(overwrites_nothing),
		TEST(dirty_counts_are_true),
		TEST(all_dirty),
		TEST(late_lines_do_not_leave_the_epoch),
		TEST(one_order_of_one_customer),
		TEST(keeps_local_hours),
		TEST(refuses_a_name_with_a_bar),
		TEST(long_names_are_whole),
		TEST(leaves_no_half_file),
		TEST(says_when_it_cannot_write),
		TEST(stops_when_told),
		TEST(live_stamps_the_present),
		TEST(live_stops_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
