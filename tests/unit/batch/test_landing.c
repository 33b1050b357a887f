#include "batch/landing.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/punchcard_test_landing.XXXXXX";
static struct deployment deployment;

static int make_deployment(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/punchcard_test_landing.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	deployment = (struct deployment){
		.dir = directory,
		.data_dir = text_printf("%s/data", directory),
		.warehouse_dir = text_printf("%s/data/warehouse", directory),
		.tmp_dir = text_printf("%s/data/tmp", directory),
		.mode = DEPLOYMENT_WRITE,
	};
	return file_make_dirs(deployment.warehouse_dir, NULL) < 0 || file_make_dirs(deployment.tmp_dir, NULL) < 0 ? -1
														  : 0;
}

static int remove_deployment(void **state)
{
	(void)state;
	free(deployment.data_dir);
	free(deployment.warehouse_dir);
	free(deployment.tmp_dir);
	return file_remove_tree(directory, NULL);
}

static char *path_of(const char *name)
{
	char *const path = text_printf("%s/%s", directory, name);
	assert_non_null(path);
	return path;
}

static void write_input(const char *name, const char *text)
{
	_cleanup_free_ char *path = path_of(name);
	assert_int_equal(file_write_durable(path, text, strlen(text), NULL), 0);
}

static struct landing *open_landing(void)
{
	struct landing *landing = NULL;
	struct error err;
	if (landing_open(&deployment, &landing, &err) < 0)
		fail_msg("%s", err.message);
	return landing;
}

static size_t stage(struct landing *landing, const char *name, const char *format, bool expect_known)
{
	_cleanup_free_ char *path = path_of(name);
	size_t index = 99;
	bool known = !expect_known;
	struct error err;
	if (landing_stage(landing, path, format, &index, &known, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(known, expect_known);
	return index;
}

static void commit(struct landing *landing)
{
	struct error err;
	landing_sync(landing);
	if (landing_commit(landing, &err) < 0)
		fail_msg("%s", err.message);
}

static void check_content(const char *path, const char *expected)
{
	struct buf content = {0};
	assert_int_equal(file_read_all(path, 1000, &content, NULL), 0);
	assert_string_equal(buf_text(&content), expected);
	buf_release(&content);
}

static unsigned count_tmp(void)
{
	_cleanup_free_ char *command = text_printf("exit $(ls -A '%s' | wc -l)", deployment.tmp_dir);
	const int status = system(command); // NOLINT(cert-env33-c): a test
	return (unsigned)WEXITSTATUS(status);
}

static void test_land_and_list(void **state)
{
	(void)state;
	write_input("a.csv", "one\n");
	write_input("b.csv", "");
	struct landing *landing = open_landing();
	assert_int_equal(landing->n_files, 0);
	assert_int_equal(stage(landing, "a.csv", "classic", false), 0);
	assert_int_equal(stage(landing, "b.csv", "classic", false), 1);
	assert_int_equal(stage(landing, "a.csv", "classic", true), 0);
	assert_int_equal(stage(landing, "a.csv", "members", false), 2);
	assert_int_equal(landing->n_files, 3);
	check_content(landing->files[0].path, "one\n");
	assert_true(landing->files[0].staged);
	commit(landing);
	assert_false(landing->files[2].staged);
	landing_free(landing);
	assert_int_equal(count_tmp(), 0);

	landing = open_landing();
	assert_int_equal(landing->n_files, 3);
	assert_int_equal(strlen(landing->files[0].hash), LANDING_HASH_CHARS);
	assert_string_equal(landing->files[0].hash, landing->files[2].hash);
	assert_string_equal(landing->files[0].format, "classic");
	assert_string_equal(landing->files[2].format, "members");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(landing->files[i].seq, i + 1);
		assert_false(landing->files[i].gzip);
		_cleanup_free_ char *path = path_of(landing->files[i].name);
		assert_true(file_exists(path));
		assert_string_equal(path, landing->files[i].path);
		check_content(path, i == 1 ? "" : "one\n");
		struct stat st;
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(landing->files[i].mtime_us / 1000000, st.st_mtim.tv_sec);
	}
	/* Again: nothing new, and the number goes on. */
	assert_int_equal(stage(landing, "b.csv", "classic", true), 1);
	write_input("c.csv", "\x1F\x8B no real gzip, but it is not looked into here");
	assert_int_equal(stage(landing, "c.csv", "classic", false), 3);
	assert_true(landing->files[3].gzip);
	assert_int_equal(landing->files[3].seq, 4);
	commit(landing);
	assert_string_equal(strrchr(landing->files[3].path, '.'), ".gz");
	landing_free(landing);
}

static void test_what_is_not_committed_is_gone(void **state)
{
	(void)state;
	write_input("a.csv", "one\n");
	struct landing *landing = open_landing();
	stage(landing, "a.csv", "classic", false);
	assert_int_equal(count_tmp(), 1);
	landing_sync(landing);
	landing_free(landing);
	assert_int_equal(count_tmp(), 0);
	landing = open_landing();
	assert_int_equal(landing->n_files, 0);
	struct error err;
	size_t index = 5;
	bool known = true;
	_cleanup_free_ char *missing = path_of("missing.csv");
	assert_int_equal(landing_stage(landing, missing, "classic", &index, &known, &err), ERROR_NOT_FOUND);
	assert_int_equal(landing_stage(landing, directory, "classic", &index, &known, &err), ERROR_INPUT);
	assert_int_equal(landing->n_files, 0);
	landing_free(landing);
	assert_int_equal(count_tmp(), 0);
}

static void test_other_names_are_left_alone(void **state)
{
	(void)state;
	static const char *const NAMES[] = {
		"data/warehouse/customers/notes.txt",
		"data/warehouse/customers/format=classic/readme",
		"data/warehouse/customers/format=classic/.000001-00112233445566778899aabbccddeeff.csv",
		"data/warehouse/customers/format=classic/000001-00112233445566778899aabbccddeef.csv",
		"data/warehouse/customers/format=classic/000001-00112233445566778899aabbccddeeff0.csv",
		"data/warehouse/customers/format=classic/000001-00112233445566778899AABBCCDDEEFF.csv",
		"data/warehouse/customers/format=classic/000000-00112233445566778899aabbccddeeff.csv",
		"data/warehouse/customers/format=classic/00001-00112233445566778899aabbccddeeff.csv",
		"data/warehouse/customers/format=classic/-00001-00112233445566778899aabbccddeeff.csv",
		"data/warehouse/customers/format=classic/99999999999999999999-00112233445566778899aabbccddeeff.csv",
		"data/warehouse/customers/format=classic/000001-00112233445566778899aabbccddeeff.csv.tmp",
		"data/warehouse/customers/format=classic/000001-00112233445566778899aabbccddeeff.txt",
	};
	static const char *const GOOD[] = {
		"data/warehouse/customers/format=classic/1000000-00112233445566778899aabbccddeeff.csv",
		"data/warehouse/customers/format=classic/000009-00112233445566778899aabbccddeeff.csv.gz",
	};
	_cleanup_free_ char *dir = path_of("data/warehouse/customers/format=classic");
	assert_int_equal(file_make_dirs(dir, NULL), 0);
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
		write_input(NAMES[i], "");
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
		write_input(GOOD[i], "");
	struct landing *const landing = open_landing();
	assert_int_equal(landing->n_files, 2);
	assert_int_equal(landing->files[0].seq, 9);
	assert_true(landing->files[0].gzip);
	assert_int_equal(landing->files[1].seq, 1000000);
	assert_string_equal(landing->files[1].name, GOOD[0]);
	landing_free(landing);
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		_cleanup_free_ char *path = path_of(NAMES[i]);
		assert_true(file_exists(path));
	}
}

static void test_listed_elsewhere(void **state)
{
	(void)state;
	struct landing *landing = NULL;
	struct error err = {0};
	size_t index = 0;
	bool known = false;
	_cleanup_free_ char *path = text_printf("%s/members.csv", directory);
	assert_int_equal(landing_new(&deployment, &landing, &err), 0);
	assert_int_equal(landing_add(landing, "b", "000007-0123456789abcdef0123456789abcdef.csv.gz", 17, &err), 0);
	assert_int_equal(landing_add(landing, "a", "000002-0123456789abcdef0123456789abcdef.csv", 18, &err), 0);
	assert_int_equal(landing_add(landing, "a", "README", 19, &err), 0);
	assert_int_equal(landing->n_files, 2);
	assert_true(landing->files[0].seq == 2 && !landing->files[0].gzip && landing->files[0].mtime_us == 18);
	assert_string_equal(landing->files[1].name,
			    "data/warehouse/customers/format=b/000007-0123456789abcdef0123456789abcdef.csv.gz");
	assert_string_equal(landing->files[1].path, "");
	assert_int_equal(file_write_durable(path, "x", 1, &err), 0);
	assert_int_equal(landing_stage(landing, path, "a", &index, &known, &err), 0);
	assert_true(!known && index == 2 && landing->files[2].seq == 8 && landing->files[2].staged);
	landing_free(landing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_land_and_list, make_deployment, remove_deployment),
		cmocka_unit_test_setup_teardown(test_what_is_not_committed_is_gone, make_deployment, remove_deployment),
		cmocka_unit_test_setup_teardown(test_other_names_are_left_alone, make_deployment, remove_deployment),
		cmocka_unit_test_setup_teardown(test_listed_elsewhere, make_deployment, remove_deployment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
