/* Making, opening and locking a deployment; each test in a directory of its own. */
#include "config/deployment.h"

#include "base/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
	char base[64];
	char shop[96];
};

static int make_place(void **state)
{
	static struct place place;
	snprintf(place.base, sizeof(place.base), "/tmp/punchcard-test-deployment-XXXXXX");
	if (!mkdtemp(place.base) || chmod(place.base, 0777) < 0)
		return -1;
	snprintf(place.shop, sizeof(place.shop), "%s/shop", place.base);
	*state = &place;
	return 0;
}

static int remove_place(void **state)
{
	const struct place *const place = *state;
	return file_remove_tree(place->base, NULL);
}

static char *path_in(const char *dir, const char *name)
{
	char *const path = text_printf("%s/%s", dir, name);
	assert_non_null(path);
	return path;
}

static bool is_there(const char *dir, const char *name)
{
	_cleanup_free_ char *path = path_in(dir, name);
	return file_exists(path);
}

static void write_text(const char *dir, const char *name, const char *text)
{
	_cleanup_free_ char *path = path_in(dir, name);
	assert_int_equal(file_write_durable(path, text, strlen(text), NULL), 0);
}

static void assert_text(const char *dir, const char *name, const char *text)
{
	_cleanup_free_ char *path = path_in(dir, name);
	_cleanup_buf_ struct buf content = {0};
	assert_int_equal(file_read_all(path, 1u << 20, &content, NULL), 0);
	assert_string_equal(buf_text(&content), text);
}

static void init(const char *dir)
{
	struct error err = {0};
	if (deployment_init(dir, &err) < 0)
		fail_msg("%s", err.message);
}

static struct deployment *open_shop(const char *dir, enum deployment_mode mode)
{
	struct deployment *d = NULL;
	struct error err = {0};
	if (deployment_open(dir, mode, "collect", &d, &err) < 0)
		fail_msg("%s", err.message);
	return d;
}

static void test_init_makes_what_open_reads(void **state)
{
	const struct place *const place = *state;
	_cleanup_free_ char *deep = path_in(place->shop, "a/b");
	init(deep);
	assert_true(is_there(deep, "punchcard.yaml") && is_there(deep, "programme.yaml"));
	assert_true(is_there(deep, "models/loyalty.sql") && is_there(deep, "models/customers_cln.sql"));
	assert_true(is_there(deep, "spool") && is_there(deep, "data"));
	assert_false(is_there(deep, "punchcard.yaml.tmp"));
	struct deployment *d = open_shop(deep, DEPLOYMENT_READ);
	assert_string_equal(d->config->sources[0].name, "till");
	assert_string_equal(d->config->sources[0].dir, "spool");
	assert_string_equal(d->programme->currency, "THB");
	assert_string_equal(d->dir, deep);
	assert_int_equal(d->lock_fd, -1);
	/* A reader makes nothing. */
	assert_false(is_there(deep, "data/journal") || is_there(deep, "data/lock"));
	deployment_close(d);

	d = open_shop(deep, DEPLOYMENT_WRITE);
	assert_true(file_exists(d->journal_dir) && file_exists(d->view_dir) && file_exists(d->warehouse_dir) &&
		    file_exists(d->quarantine_dir) && file_exists(d->tmp_dir));
	assert_true(is_there(deep, "data/lock"));
	assert_false(is_there(deep, "data/collect.lock"));
	deployment_close(d);
	assert_text(deep, "data/lock", "");
	deployment_close(NULL);
}

static void test_init_changes_nothing_that_is_there(void **state)
{
	const struct place *const place = *state;
	struct error err = {0};
	init(place->shop);
	write_text(place->shop, "punchcard.yaml", "version: 1\n");
	_cleanup_free_ char *model = path_in(place->shop, "models/loyalty.sql");
	assert_int_equal(unlink(model), 0);
	assert_int_equal(deployment_init(place->shop, &err), ERROR_EXISTS);
	char expected[512];
	snprintf(expected, sizeof(expected),
		 "%s is a deployment already: %s/punchcard.yaml is there; nothing was changed", place->shop,
		 place->shop);
	assert_string_equal(err.message, expected);
	assert_text(place->shop, "punchcard.yaml", "version: 1\n");
	assert_false(file_exists(model));

	/* Without punchcard.yaml (an init that was killed, or a programme that was put there first): the rest stays. */
	_cleanup_free_ char *config = path_in(place->shop, "punchcard.yaml");
	assert_int_equal(unlink(config), 0);
	write_text(place->shop, "programme.yaml", "# mine\n");
	write_text(place->shop, "notes.txt", "hello");
	write_text(place->shop, "punchcard.yaml.tmp", "half");
	init(place->shop);
	assert_text(place->shop, "programme.yaml", "# mine\n");
	assert_text(place->shop, "notes.txt", "hello");
	assert_true(file_exists(model) && file_exists(config));
	assert_false(is_there(place->shop, "punchcard.yaml.tmp"));
}

static void test_init_where_it_cannot(void **state)
{
	const struct place *const place = *state;
	struct error err = {0};
	write_text(place->base, "shop", "a file");
	assert_int_equal(deployment_init(place->shop, &err), ERROR_IO);
	char expected[512];
	snprintf(expected, sizeof(expected), "cannot make the directory %s: Not a directory", place->shop);
	assert_string_equal(err.message, expected);
	assert_text(place->base, "shop", "a file");
}

static void test_open_names_what_is_wrong(void **state)
{
	const struct place *const place = *state;
	struct deployment *d = NULL;
	struct error err = {0};
	char expected[512];
	snprintf(expected, sizeof(expected),
		 "%s is no deployment: it has no punchcard.yaml; make one with `punchcard init %s`", place->shop,
		 place->shop);
	assert_int_equal(deployment_open(place->shop, DEPLOYMENT_READ, "sql", &d, &err), ERROR_CONFIG);
	assert_string_equal(err.message, expected);
	assert_int_equal(chdir(place->base), 0);
	assert_int_equal(deployment_open(".", DEPLOYMENT_WRITE, "sql", &d, &err), ERROR_CONFIG);
	assert_string_equal(err.message,
			    "this directory is no deployment: it has no punchcard.yaml; name one with -C DIR, or "
			    "make one with `punchcard init DIR`");
	init("shop");
	write_text(place->shop, "punchcard.yaml", "version: 1\nview: {map: 3}\n");
	assert_int_equal(deployment_open("shop", DEPLOYMENT_WRITE, "sql", &d, &err), ERROR_CONFIG);
	assert_string_equal(
		err.message,
		"shop/punchcard.yaml:2: view.map: this key is unknown; expected one of map_gib, max_delay_ms");
	/* A broken configuration is found before anything is made or locked. */
	assert_false(is_there(place->shop, "data/lock"));
	assert_int_equal(chdir("shop"), 0);
	assert_int_equal(deployment_open(".", DEPLOYMENT_READ, "sql", &d, &err), ERROR_CONFIG);
	assert_string_equal(err.message,
			    "punchcard.yaml:2: view.map: this key is unknown; expected one of map_gib, max_delay_ms");
	write_text(".", "punchcard.yaml", "version: 1\n");
	assert_int_equal(unlink("programme.yaml"), 0);
	assert_int_equal(deployment_open(".", DEPLOYMENT_READ, "sql", &d, &err), ERROR_CONFIG);
	assert_string_equal(err.message,
			    "programme.yaml is missing; write it anew (`punchcard init` in an empty directory makes "
			    "one to start from)");
	assert_null(d);
	assert_int_equal(chdir("/"), 0);
}

static void test_paths(void **state)
{
	const struct place *const place = *state;
	init(place->shop);
	struct deployment *const d = open_shop(place->shop, DEPLOYMENT_READ);
	_cleanup_free_ char *inside = deployment_path(d, "spool");
	_cleanup_free_ char *outside = deployment_path(d, "/var/spool/till");
	_cleanup_free_ char *expected = path_in(place->shop, "spool");
	assert_string_equal(inside, expected);
	assert_string_equal(outside, "/var/spool/till");
	deployment_close(d);
}

static void test_writers_empty_tmp(void **state)
{
	const struct place *const place = *state;
	init(place->shop);
	deployment_close(open_shop(place->shop, DEPLOYMENT_WRITE));
	deployment_close(open_shop(place->shop, DEPLOYMENT_COLLECT));
	write_text(place->shop, "data/tmp/batch/spill", "x");
	write_text(place->shop, "data/tmp/collect/spill", "x");
	write_text(place->shop, "data/tmp/spill", "x"); /* as versions with one lock did */
	_cleanup_free_ char *old = path_in(place->shop, "data/tmp/swap/tables");
	assert_int_equal(file_make_dirs(old, NULL), 0);
	/* What a link leads to is not ours. */
	write_text(place->base, "elsewhere", "x");
	_cleanup_free_ char *elsewhere = path_in(place->base, "elsewhere");
	_cleanup_free_ char *link = path_in(place->shop, "data/tmp/link");
	assert_int_equal(symlink(elsewhere, link), 0);
	struct deployment *d = open_shop(place->shop, DEPLOYMENT_READ);
	assert_null(d->tmp_dir);
	deployment_close(d);
	assert_true(is_there(place->shop, "data/tmp/batch/spill") && is_there(place->shop, "data/tmp/collect/spill"));

	d = open_shop(place->shop, DEPLOYMENT_COLLECT);
	_cleanup_free_ char *collect = path_in(place->shop, "data/tmp/collect");
	assert_string_equal(d->tmp_dir, collect);
	deployment_close(d);
	assert_false(is_there(place->shop, "data/tmp/collect/spill"));
	assert_true(is_there(place->shop, "data/tmp/batch/spill") && is_there(place->shop, "data/tmp/spill"));

	write_text(place->shop, "data/tmp/collect/spill", "x");
	d = open_shop(place->shop, DEPLOYMENT_WRITE);
	_cleanup_free_ char *batch = path_in(place->shop, "data/tmp/batch");
	assert_string_equal(d->tmp_dir, batch);
	deployment_close(d);
	assert_true(is_there(place->shop, "data/tmp/collect/spill") && file_exists(elsewhere));
	assert_false(is_there(place->shop, "data/tmp/batch/spill") || is_there(place->shop, "data/tmp/spill") ||
		     is_there(place->shop, "data/tmp/swap") || file_exists(link));
}

/*
 * The lock.
 */

/* A process that opens the shop for writing, tells so through the pipe, and waits to be killed. */
static pid_t start_writer(const char *dir, enum deployment_mode mode, const char *command)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct deployment *d = NULL;
		const char said = deployment_open(dir, mode, command, &d, NULL) == 0 ? 'y' : 'n';
		if (write(ready[1], &said, 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	char said = 'n';
	assert_int_equal(read(ready[0], &said, 1), 1);
	assert_int_equal(said, 'y');
	close(ready[0]);
	return pid;
}

static void kill_writer(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void check_second_writer(const struct place *place, enum deployment_mode mode, const char *tmp)
{
	const pid_t pid = start_writer(place->shop, mode, "collect");
	_cleanup_free_ char *in_use = path_in(tmp, "in-use");
	write_text(place->shop, in_use, "x");
	struct deployment *d = NULL;
	struct error err = {0};
	assert_int_equal(deployment_open(place->shop, mode, "load", &d, &err), ERROR_LOCKED);
	assert_null(d);
	char head[256];
	const int n = snprintf(head, sizeof(head), "%s is being written by process %ld (collect, since 20", place->shop,
			       (long)pid);
	assert_memory_equal(err.message, head, (size_t)n);
	assert_string_equal(strstr(err.message, " UTC)"), " UTC); wait for it or stop it");
	assert_int_equal(strlen(err.message), (size_t)n + strlen("26-11-23 05:10:02 UTC); wait for it or stop it"));
	/* Whoever was refused touched nothing; readers go on. */
	assert_true(is_there(place->shop, in_use));
	deployment_close(open_shop(place->shop, DEPLOYMENT_READ));
	/* SIGKILL leaves the text, and frees the lock. */
	kill_writer(pid);
	struct deployment *const next = open_shop(place->shop, mode);
	assert_int_equal(deployment_open(place->shop, mode, "load", &d, &err), ERROR_LOCKED);
	snprintf(head, sizeof(head), "process %ld (collect", (long)getpid());
	assert_non_null(strstr(err.message, head));
	deployment_close(next);
	deployment_close(open_shop(place->shop, mode));
}

static void test_second_writer_is_told_who(void **state)
{
	const struct place *const place = *state;
	init(place->shop);
	check_second_writer(place, DEPLOYMENT_WRITE, "data/tmp/batch");
	check_second_writer(place, DEPLOYMENT_COLLECT, "data/tmp/collect");
}

/* One of each kind, and who they are. */
static void test_two_kinds_of_writers(void **state)
{
	const struct place *const place = *state;
	struct deployment_holder holder;
	struct deployment *d = NULL;
	struct error err = {0};
	init(place->shop);
	const pid_t daemon = start_writer(place->shop, DEPLOYMENT_COLLECT, "run");
	struct deployment *const batch = open_shop(place->shop, DEPLOYMENT_WRITE);
	assert_true(deployment_holder(batch, DEPLOYMENT_COLLECT, &holder));
	assert_int_equal(holder.pid, daemon);
	assert_string_equal(holder.command, "run");
	assert_memory_equal(holder.since, "20", 2);
	assert_int_equal(strlen(holder.since), 19);
	assert_true(deployment_holder(batch, DEPLOYMENT_WRITE, &holder));
	assert_int_equal(holder.pid, getpid());
	/* Who would collect once beside a daemon need not. */
	char head[256];
	snprintf(head, sizeof(head), "%s has a daemon, process %ld (run, since 20", place->shop, (long)daemon);
	assert_int_equal(deployment_open(place->shop, DEPLOYMENT_COLLECT, "collect", &d, &err), ERROR_LOCKED);
	assert_memory_equal(err.message, head, strlen(head));
	assert_non_null(
		strstr(err.message, "takes the files of the spool directories by itself; there is nothing to do"));
	assert_int_equal(deployment_open(place->shop, DEPLOYMENT_COLLECT, "run", &d, &err), ERROR_LOCKED);
	assert_non_null(strstr(err.message, " UTC); wait for it or stop it"));
	kill_writer(daemon);
	assert_false(deployment_holder(batch, DEPLOYMENT_COLLECT, &holder));
	deployment_close(batch);
	struct deployment *const reader = open_shop(place->shop, DEPLOYMENT_READ);
	assert_false(deployment_holder(reader, DEPLOYMENT_WRITE, &holder));
	deployment_close(reader);
}

/* A writer that takes the other lock too, for a while. */
static void test_beside(void **state)
{
	const struct place *const place = *state;
	struct deployment_holder holder;
	struct deployment *collector = NULL;
	struct deployment *d = NULL;
	struct error err = {0};
	init(place->shop);
	struct deployment *const batch = open_shop(place->shop, DEPLOYMENT_WRITE);
	write_text(place->shop, "data/tmp/batch/in-use", "x");
	assert_int_equal(deployment_open_beside(batch, DEPLOYMENT_COLLECT, &collector, &err), 0);
	assert_int_equal(collector->mode, DEPLOYMENT_COLLECT);
	assert_string_equal(collector->dir, batch->dir);
	assert_ptr_equal(collector->programme, batch->programme);
	assert_non_null(strstr(collector->tmp_dir, "data/tmp/collect"));
	assert_true(file_exists(collector->tmp_dir) && is_there(place->shop, "data/tmp/batch/in-use"));
	assert_true(deployment_holder(batch, DEPLOYMENT_COLLECT, &holder));
	assert_int_equal(holder.pid, getpid());
	assert_int_equal(deployment_open(place->shop, DEPLOYMENT_COLLECT, "collect", &d, &err), ERROR_LOCKED);
	assert_int_equal(deployment_open_beside(batch, DEPLOYMENT_COLLECT, &d, &err), ERROR_LOCKED);
	deployment_close(collector);
	assert_false(deployment_holder(batch, DEPLOYMENT_COLLECT, &holder));
	assert_true(deployment_holder(batch, DEPLOYMENT_WRITE, &holder));
	deployment_close(open_shop(place->shop, DEPLOYMENT_COLLECT));
	deployment_close(batch);
}

/* Both kinds keep the programme at once, over and over: it is there whole, at any moment. */
static void test_both_keep_the_programme(void **state)
{
	const struct place *const place = *state;
	init(place->shop);
	pid_t pids[2];
	for (size_t i = 0; i < 2; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		struct deployment *d = NULL;
		if (deployment_open(place->shop, i ? DEPLOYMENT_COLLECT : DEPLOYMENT_WRITE, "race", &d, NULL) < 0)
			_exit(1);
		_cleanup_free_ char *kept = text_printf("%s/programmes/%s.yaml", d->data_dir, d->programme->hash_text);
		for (int round = 0; round < 50; round++) {
			_cleanup_buf_ struct buf text = {0};
			if (deployment_keep_programme(d, NULL) < 0)
				_exit(2);
			/* The other one may have removed it. */
			const int rc = file_read_all(kept, 1u << 20, &text, NULL);
			if (rc != ERROR_NOT_FOUND && (rc < 0 || text.len != d->programme_text.len))
				_exit(3);
			unlink(kept);
		}
		_exit(deployment_keep_programme(d, NULL) < 0 ? 4 : 0);
	}
	for (size_t i = 0; i < 2; i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

static void test_odd_text_in_the_lock(void **state)
{
	const struct place *const place = *state;
	static const char *const TEXTS[] = {"",
					    "x",
					    "12",
					    "-5 collect 2026-01-01 00:00:00\n",
					    "1 \x1b[31m 2026-01-01 00:00:00\n",
					    "1 collect 2026-01-01\n",
					    "99999999999999999999 collect 2026-01-01 00:00:00\n"};
	init(place->shop);
	struct deployment *const writer = open_shop(place->shop, DEPLOYMENT_WRITE);
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		assert_int_equal(ftruncate(writer->lock_fd, 0), 0);
		assert_int_equal(pwrite(writer->lock_fd, TEXTS[i], strlen(TEXTS[i]), 0), strlen(TEXTS[i]));
		struct deployment *d = NULL;
		struct error err = {0};
		assert_int_equal(deployment_open(place->shop, DEPLOYMENT_WRITE, "load", &d, &err), ERROR_LOCKED);
		char expected[512];
		snprintf(expected, sizeof(expected), "%s is being written by another process; wait for it or stop it",
			 place->shop);
		assert_string_equal(err.message, expected);
	}
	deployment_close(writer);
}

/* Of many that ask at once, one gets it at a time. */
static void test_many_writers(void **state)
{
	const struct place *const place = *state;
	init(place->shop);
	pid_t pids[8];
	for (size_t i = 0; i < 8; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] > 0)
			continue;
		_cleanup_free_ char *mine = path_in(place->shop, "mine");
		for (int done = 0; done < 10;) {
			struct deployment *d = NULL;
			const int rc = deployment_open(place->shop, DEPLOYMENT_WRITE, "race", &d, NULL);
			if (rc == ERROR_LOCKED)
				continue;
			/* Two at once would meet here. */
			if (rc < 0 || mkdir(mine, 0700) < 0 || usleep(1000) < 0 || rmdir(mine) < 0)
				_exit(1);
			deployment_close(d);
			done++;
		}
		_exit(0);
	}
	for (size_t i = 0; i < 8; i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* Runs as somebody who may read only: root may write everywhere, so a child becomes nobody. */
static void check_read_only(const struct place *place, const char *readers)
{
	char expected[1024];
	snprintf(expected, sizeof(expected),
		 "cannot write to the deployment %s: Permission denied; this command writes: run it as the owner of "
		 "the directory, or give yourself the right to write (customer, sql and status only read%s)",
		 place->shop, readers);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(2);
		struct deployment *d = NULL;
		struct error err = {0};
		if (deployment_open(place->shop, DEPLOYMENT_READ, "sql", &d, &err) < 0)
			_exit(3);
		deployment_close(d);
		for (enum deployment_mode mode = DEPLOYMENT_WRITE; mode <= DEPLOYMENT_COLLECT; mode++) {
			if (deployment_open(place->shop, mode, "load", &d, &err) != ERROR_IO)
				_exit(4);
			if (strcmp(err.message, expected) != 0) {
				fprintf(stderr, "%s\n", err.message);
				_exit(5);
			}
		}
		_exit(0);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_read_only(void **state)
{
	const struct place *const place = *state;
	init(place->shop);
	deployment_close(open_shop(place->shop, DEPLOYMENT_WRITE));
	static const char *const PATHS[] = {"", "data", "data/tmp"};
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
		_cleanup_free_ char *path = path_in(place->shop, PATHS[i]);
		assert_int_equal(chmod(path, 0555), 0);
	}
	_cleanup_free_ char *lock = path_in(place->shop, "data/lock");
	assert_int_equal(chmod(lock, 0444), 0);
	check_read_only(place, ", and work");
	_cleanup_free_ char *readers = path_in(place->shop, "data/view/lock.mdb");
	assert_int_equal(file_write_durable(readers, "", 0, NULL), 0);
	assert_int_equal(chmod(readers, 0444), 0);
	check_read_only(place, "; they work for who may write data/journal/lock.mdb and data/view/lock.mdb");
	_cleanup_free_ char *data = path_in(place->shop, "data");
	assert_int_equal(chmod(place->shop, 0755), 0);
	assert_int_equal(chmod(data, 0755), 0);
	_cleanup_free_ char *tmp = path_in(place->shop, "data/tmp");
	assert_int_equal(chmod(tmp, 0755), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

/* The engine would take these for patterns or partitions: other deployments' orders, or a value in every row. */
static void test_paths_that_are_patterns_or_partitions(void **state)
{
	const struct place *const place = *state;
	static const char *const NAMES[] = {"s*", "s?", "s[1]", "a\\b", "store=5", "store=5/shop"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		_cleanup_free_ char *dir = path_in(place->base, NAMES[i]);
		struct error err = {0};
		assert_int_equal(deployment_init(dir, &err), ERROR_CONFIG);
		assert_non_null(strstr(err.message, dir));
		assert_false(file_exists(dir));
	}
	init(place->shop);
	_cleanup_free_ char *moved = path_in(place->base, "region=de");
	assert_int_equal(rename(place->shop, moved), 0);
	struct deployment *d = NULL;
	struct error err = {0};
	assert_int_equal(deployment_open(moved, DEPLOYMENT_READ, "sql", &d, &err), ERROR_CONFIG);
	assert_non_null(strstr(err.message, "region=de"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_init_makes_what_open_reads),
		TEST(test_init_changes_nothing_that_is_there),
		TEST(test_init_where_it_cannot),
		TEST(test_open_names_what_is_wrong),
		TEST(test_paths),
		TEST(test_writers_empty_tmp),
		TEST(test_second_writer_is_told_who),
		TEST(test_two_kinds_of_writers),
		TEST(test_beside),
		TEST(test_both_keep_the_programme),
		TEST(test_odd_text_in_the_lock),
		TEST(test_many_writers),
		TEST(test_read_only),
		TEST(test_paths_that_are_patterns_or_partitions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
