/* The source that follows files: they grow, are renamed, cut, copied, while it runs and while it does not. */
#include "source_shop.h"

#include "base/random.h"

#include <errno.h>

#define TAIL(path, format) "sources:\n  - {name: log, type: tail, path: " path ", format: " format ", settle_ms: 100}\n"
#define MAPPING                                                                                                 \
	"order_mappings:\n  - {name: receipts, event_id: [receipt], line: line, customer: member, date: time, " \
	"date_format: '%s', menu: item, amount: amount}\n"

static char *log_path(const char *name)
{
	char *const path = text_printf("%s/logs/%s", shop_dir, name);
	assert_non_null(path);
	return path;
}

static void make_logs(void)
{
	_cleanup_free_ char *dir = log_path("");
	struct error err = {0};
	if (file_make_dirs(dir, &err) < 0)
		fail_msg("%s", err.message);
}

static void add_bytes(const char *name, const void *data, size_t len)
{
	_cleanup_free_ char *path = log_path(name);
	FILE *const file = fopen(path, "ae");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void add(const char *name, const char *text)
{
	add_bytes(name, text, strlen(text));
}

static void move(const char *from, const char *to)
{
	_cleanup_free_ char *a = log_path(from);
	_cleanup_free_ char *b = log_path(to);
	assert_int_equal(rename(a, b), 0);
}

static void cut(const char *name)
{
	_cleanup_free_ char *path = log_path(name);
	assert_int_equal(truncate(path, 0), 0);
}

static void copy(const char *from, const char *to)
{
	_cleanup_free_ char *a = log_path(from);
	_cleanup_buf_ struct buf bytes = {0};
	assert_int_equal(file_read_all(a, 1u << 30, &bytes, NULL), 0);
	add_bytes(to, bytes.data, bytes.len);
}

static void erase(const char *name)
{
	_cleanup_free_ char *path = log_path(name);
	assert_int_equal(unlink(path), 0);
}

static void restart(void)
{
	stop_source();
	start_source(&source_tail);
}

static void test_it_grows(void **state)
{
	(void)state;
	shop_open(TAIL("logs/a.log", "classic"));
	/* There is no directory yet. */
	start_source(&source_tail);
	pause_ms(20);
	make_logs();
	add("other.log", "9|latte 70|1700000000\n");
	add("a.log", "1|latte 70|1700000000\n1|mo");
	wait_lines(1);
	add("a.log", "cha 80|1700000001\r\nbad\n");
	wait_lines(3);
	restart();
	add("a.log", "2|latte 70|1700000002\n3|latte 70|17");
	wait_lines(4);
	restart();
	add("a.log", "00000003\n");
	wait_lines(5);
	assert_journal("a.log:1 latte\na.log:2 mocha\n! a.log:3 column_count\na.log:4 latte\na.log:5 latte\n");
	stop_source();
}

static void test_it_is_fresh(void **state)
{
	(void)state;
	enum { TRIES = 30 };
	shop_open(TAIL("logs/a.log", "classic"));
	make_logs();
	add("a.log", "1|latte 70|1700000000\n");
	start_source(&source_tail);
	wait_lines(1);
	unsigned late = 0;
	for (unsigned i = 0; i < TRIES; i++) {
		pause_ms(15);
		const int64_t begun_us = clock_now_us();
		add("a.log", "1|latte 70|1700000000\n");
		wait_lines(i + 2);
		late += clock_now_us() - begun_us > 100000;
	}
	/* Most of them, however busy the machine is. */
	assert_true(late < TRIES / 2);
	stop_source();
}

static void test_rename(void **state)
{
	(void)state;
	shop_open(TAIL("logs/a.log", "classic"));
	make_logs();
	add("a.log", "1|a 1|1700000000\n");
	start_source(&source_tail);
	wait_lines(1);
	move("a.log", "a.log.1");
	add("a.log.1", "1|b 1|1700000000\n");
	add("a.log", "1|c 1|1700000000\n");
	wait_lines(3);
	/* The end of what was renamed is taken as it is. */
	add("a.log.1", "1|d 1|1700000000");
	wait_lines(4);
	/* And what is behind it then, but for the rest of that line. */
	add("a.log.1", "99\n1|e 1|1700000000\n");
	wait_lines(5);
	stop_source();
	/* While it does not run, too. */
	add("a.log", "1|f 1|1700000000\n");
	move("a.log.1", "a.log.2");
	move("a.log", "a.log.1");
	add("a.log", "1|g 1|1700000000\n");
	start_source(&source_tail);
	wait_lines(7);
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	static const char *const ROWS[] = {"a.log:1 a\n", "a.log:2 b\n",   "a.log#2:1 c\n", "a.log:3 d\n",
					   "a.log:4 e\n", "a.log#2:2 f\n", "a.log#3:1 g\n"};
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++)
		if (!strstr(have.data, ROWS[i]))
			fail_msg("%s is not in %s", ROWS[i], have.data);
	stop_source();
}

static void test_cut(void **state)
{
	(void)state;
	shop_open(TAIL("logs/a.log", "classic"));
	make_logs();
	add("a.log", "1|a 1|1700000000\n1|b 1|1700000000\n");
	start_source(&source_tail);
	wait_lines(2);
	cut("a.log");
	add("a.log", "1|c 1|1700000000\n");
	wait_lines(3);
	stop_source();
	/* Cut, and grown beyond what it was. */
	cut("a.log");
	add("a.log", "1|d 1|1700000000\n1|e 1|1700000000\n1|f 1|1700000000\n");
	start_source(&source_tail);
	wait_lines(6);
	assert_journal("a.log:1 a\na.log:2 b\na.log#2:1 c\na.log#3:1 d\na.log#3:2 e\na.log#3:3 f\n");
	stop_source();
}

/* Who does not append goes on where he was, and leaves a hole before. */
static void test_cut_with_a_hole(void **state)
{
	(void)state;
	shop_open(TAIL("logs/a.csv", "receipts") MAPPING);
	make_logs();
	_cleanup_free_ char *path = log_path("a.csv");
	FILE *const file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs("receipt,line,member,time,item,amount\nA,1,7,1700000000,a,70\n", file) >= 0);
	assert_int_equal(fseek(file, 3000000, SEEK_CUR), 0);
	assert_true(fputs("\n", file) >= 0);
	assert_int_equal(fflush(file), 0);
	start_source(&source_tail);
	wait_lines(2);
	cut("a.csv");
	assert_true(fputs("receipt,line,member,time,item,amount\nB,1,7,1700000000,b,70\n", file) >= 0);
	assert_int_equal(fflush(file), 0);
	wait_lines(3);
	restart();
	assert_true(fputs("C,1,7,1700000000,c,70\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	wait_lines(4);
	assert_journal("! a.csv:3 too_long\nA a\nB b\nC c\n");
	stop_source();
}

static void test_copies(void **state)
{
	(void)state;
	shop_open(TAIL("logs/a.log*", "classic"));
	make_logs();
	add("a.log", "1|a 1|1700000000\n1|b 1|1700000001\n");
	start_source(&source_tail);
	wait_lines(2);
	copy("a.log", "a.log.1");
	cut("a.log");
	add("a.log", "1|c 1|1700000002\n");
	wait_lines(3);
	stop_source();
	/* What was not taken before the cut is in the copy, though it goes by another name. */
	add("a.log", "1|d 1|1700000003\n");
	move("a.log.1", "a.log.2");
	copy("a.log", "a.log.1");
	cut("a.log");
	add("a.log", "1|e 1|1700000004\n");
	start_source(&source_tail);
	wait_lines(5);
	/* An editor writes a new file. */
	copy("a.log", "a.tmp");
	add("a.tmp", "1|f 1|1700000005\n");
	move("a.tmp", "a.log");
	wait_lines(6);
	/* A copy that grows on its own. */
	copy("a.log", "a.log.9");
	pause_ms(150);
	add("a.log.9", "1|g 1|1700000006\n");
	wait_lines(7);
	add_bytes("a.log.gz", "\x1F\x8B\x08\0\0\0\0\0\n\n\n", 11);
	restart();
	add("a.log", "1|h 1|1700000007\n");
	wait_lines(8);
	pause_ms(150);
	assert_int_equal(journal_lines(), 8);
	stop_source();
}

/* Where the copy's name does not match. */
static void test_the_rest_is_in_a_copy(void **state)
{
	(void)state;
	shop_open(TAIL("logs/a.log", "classic"));
	make_logs();
	add("a.log", "1|a 1|1700000000\n");
	start_source(&source_tail);
	wait_lines(1);
	stop_source();
	add("a.log", "1|b 1|1700000001\n1|c 1|1700000002");
	copy("a.log", "a.log-20261130");
	cut("a.log");
	add("a.log", "1|d 1|1700000003\n");
	start_source(&source_tail);
	wait_lines(4);
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	assert_non_null(strstr(have.data, "a.log:2 b\n"));
	assert_non_null(strstr(have.data, "a.log:3 c\n"));
	assert_non_null(strstr(have.data, "a.log#2:1 d\n"));
	stop_source();
}

static void test_mapped_files(void **state)
{
	(void)state;
	shop_open(TAIL("logs/*.csv", "receipts") MAPPING);
	make_logs();
	add("a.csv", "\xEF\xBB\xBFreceipt,line,member,time,item,amount\nA,1,7,1700000000,latte,70\n");
	add("b.csv", "member,receipt,line,time,item,amount\n7,B,1,1700000000,mocha,70\n7,B,2,1700000000,latte,70\n");
	add("bad.csv", "what,is,this\n1,2,3\n");
	start_source(&source_tail);
	wait_lines(3);
	add("a.csv", "C,1,7,1700000000,\"two\nlines\",70\n");
	restart();
	add("a.csv", "C,2,7,1700000000,latte,70\nD,1,7,1700000000,\"never closed,70\nE,1,7,1700000000,latte,70\n");
	add("b.csv", "7,F,1,1700000000,latte,70\n");
	wait_lines(8);
	stop_source();
}

static void test_odd_files(void **state)
{
	(void)state;
	shop_open(TAIL("logs/a*", "ndjson"));
	make_logs();
	_cleanup_free_ char *link = log_path("a-link");
	_cleanup_free_ char *dir = log_path("a-dir");
	_cleanup_free_ char *fifo = log_path("a-fifo");
	assert_int_equal(symlink("the-file", link), 0);
	assert_int_equal(mkdir(dir, 0777), 0);
	assert_int_equal(mkfifo(fifo, 0666), 0);
	start_source(&source_tail);
	_cleanup_buf_ struct buf junk = {0};
	assert_int_equal(buf_reserve(&junk, 3000000), 0);
	memset(junk.data, 'x', 3000000);
	junk.len = 3000000;
	add("the-file", "{\"no\": \"event\"}\n");
	add_bytes("a1", "\0\xFF\x01\n\n{\r\n", 8);
	wait_lines(3);
	add_bytes("a1", junk.data, junk.len);
	restart();
	add("a1", "\n{}\n");
	wait_lines(5);
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	if (!strstr(have.data, "a1:5"))
		fail_msg("%s", have.data);
	assert_non_null(strstr(have.data, "! a-link:1 "));
	assert_non_null(strstr(have.data, "! a1:1 nul_byte\n"));
	assert_non_null(strstr(have.data, "! a1:3 json\n"));
	assert_non_null(strstr(have.data, "! a1:4 too_long\n"));
	assert_non_null(strstr(have.data, "! a1:5 "));
	/* The link points to another file now, which goes by its name. */
	erase("a-link");
	assert_int_equal(symlink("another", link), 0);
	add("another", "[]\n");
	wait_lines(6);
	stop_source();
}

/* Random histories: what was written is taken, each line once, whatever is done to the files, and whenever the source dies. */

struct world {
	struct random random;
	unsigned lines; /* written so far */
	unsigned rotations;
	bool half;
	bool runs;
	bool follows_all; /* the pattern matches renamed files, too */
	bool fresh;       /* the file is another since the source saw it */
};

static void write_lines(struct world *world, const char *name)
{
	_cleanup_buf_ struct buf text = {0};
	const unsigned n = 1 + (unsigned)random_below(&world->random, random_below(&world->random, 4) ? 4 : 60);
	for (unsigned i = 0; i < n; i++) {
		if (world->half)
			assert_int_equal(buf_printf(&text, "|1700000000\n"), 0);
		else
			assert_int_equal(buf_printf(&text, "%u|m%u 70", world->lines % 7, world->lines), 0);
		world->lines += !world->half;
		world->half = !world->half;
	}
	add_bytes(name, text.data, text.len);
}

static void finish_line(struct world *world, const char *name)
{
	if (world->half)
		add(name, "|1700000000\n");
	world->half = false;
}

/* What comes and goes under the name while the source does not look cannot be found under another. */
static bool may_rotate(struct world *world, const char *name)
{
	finish_line(world, name);
	if (!world->follows_all && world->fresh) {
		if (!world->runs)
			return false;
		wait_lines(world->lines);
	}
	world->fresh = true;
	return true;
}

static void remove_old(const char *name, unsigned rotation)
{
	_cleanup_free_ char *old = text_printf("%s/logs/%s.%u", shop_dir, name, rotation);
	assert_non_null(old);
	if (unlink(old) < 0)
		assert_int_equal(errno, ENOENT);
}

static void act(struct world *world, const char *name)
{
	_cleanup_free_ char *other = text_printf("%s.%u", name, world->rotations);
	assert_non_null(other);
	switch (random_below(&world->random, 11)) {
	case 0:
		if (!may_rotate(world, name))
			break;
		move(name, other);
		world->rotations++;
		write_lines(world, name);
		break;
	case 1:
		if (!may_rotate(world, name))
			break;
		copy(name, other);
		if (random_below(&world->random, 2))
			pause_ms(2);
		cut(name);
		world->rotations++;
		if (random_below(&world->random, 2))
			write_lines(world, name);
		break;
	case 2:
		if (world->runs)
			stop_source();
		else
			start_source(&source_tail);
		world->runs = !world->runs;
		break;
	case 3:
		pause_ms((unsigned)random_below(&world->random, 20));
		break;
	case 10:
		/* An old one is removed, and its number may be that of the next file. */
		if (!world->runs || journal_lines() < world->lines || !world->rotations)
			break;
		remove_old(name, (unsigned)random_below(&world->random, world->rotations));
		break;
	default:
		write_lines(world, name);
		break;
	}
}

static int compare_numbers(const void *a, const void *b)
{
	const unsigned x = *(const unsigned *)a;
	const unsigned y = *(const unsigned *)b;
	return (x > y) - (x < y);
}

static void assert_all_once(unsigned lines, unsigned long long seed)
{
	_cleanup_buf_ struct buf have = {0};
	dump_journal(&have);
	unsigned *const numbers = calloc(lines + 1, sizeof(*numbers));
	assert_non_null(numbers);
	unsigned n = 0;
	for (const char *at = have.data; (at = strstr(at, " m")) && n < lines; at++)
		numbers[n++] = (unsigned)strtoul(at + 2, NULL, 10);
	qsort(numbers, n, sizeof(*numbers), compare_numbers);
	for (unsigned i = 0; i < lines; i++)
		if (i >= n || numbers[i] != i)
			fail_msg("seed %llu: line %u is missing, or there twice, in\n%s", seed, i, have.data);
	free(numbers);
}

/* What could not be made durable is taken when there is room, though nobody could open the file again. */
static void test_full_disk(void **state)
{
	(void)state;
	enum { LINES = 40000 };
	shop_open(TAIL("logs/a*.log", "classic"));
	make_logs();
	add("a.log", "1|m0 1|1700000000\n");
	add("ab.log", "1|m1 1|1700000009\n");
	start_source(&source_tail);
	wait_lines(2);
	_cleanup_buf_ struct buf a = {0};
	_cleanup_buf_ struct buf b = {0};
	for (unsigned n = 2; n < LINES; n++)
		assert_int_equal(buf_printf(n % 3 ? &a : &b, "%u|m%u 1|1700000000\n", n % 7, n), 0);
	stop_source();
	add_bytes("a.log", a.data, a.len);
	limit_files(journal_bytes() + 50000);
	start_source(&source_tail);
	join_source();
	assert_true(running_rc < 0);
	erase("a.log");
	for (unsigned i = 0; i < 3; i++) {
		run_again();
		join_source();
		assert_true(running_rc < 0);
	}
	limit_files(0);
	add_bytes("ab.log", b.data, b.len);
	run_again();
	wait_lines(LINES);
	stop_source();
	assert_all_once(LINES, 0);
}

static void run_history(unsigned long long seed, const char *config)
{
	struct world world = {.runs = true, .follows_all = strstr(config, "a.log*") != NULL, .fresh = true};
	random_init(&world.random, seed);
	shop_open(config);
	make_logs();
	write_lines(&world, "a.log");
	start_source(&source_tail);
	for (unsigned i = 0; i < 40; i++)
		act(&world, "a.log");
	finish_line(&world, "a.log");
	if (!world.runs)
		start_source(&source_tail);
	const int64_t until_us = clock_now_us() + 10000000;
	while (journal_lines() < world.lines && clock_now_us() < until_us)
		pause_ms(1);
	assert_all_once(world.lines, seed);
	pause_ms(20);
	assert_int_equal(journal_lines(), world.lines);
	stop_source();
}

static void test_random_histories(void **state)
{
	(void)state;
	const char *const one = getenv("TAIL_SEED");
	const unsigned long long first = one ? strtoull(one, NULL, 10) : 1;
	const char *const many = getenv("TAIL_SEEDS");
	const unsigned long long n = one ? 1 : many ? strtoull(many, NULL, 10) : 30;
	for (unsigned long long seed = first; seed < first + n; seed++) {
		run_history(seed, seed % 2 ? TAIL("logs/a.log*", "classic") : TAIL("logs/a.log", "classic"));
		remove_shop(NULL);
		make_shop(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_grows, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_it_is_fresh, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_rename, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_cut, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_cut_with_a_hole, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_copies, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_the_rest_is_in_a_copy, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_mapped_files, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_odd_files, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_full_disk, make_shop, remove_running_shop),
		cmocka_unit_test_setup_teardown(test_random_histories, make_shop, remove_running_shop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
