/* Customer files of a cluster whose Spark fails: what a load leaves for the next one. The warehouse and the view are directories. */
#include "base/file.h"
#include "cluster/load_internal.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct place {
	char base[64];
	char *file; /* two good lines, one bad */
	struct deployment *deployment;
};

static struct error err;

static int make_place(void **state)
{
	static const char LINES[] = "17,1,Zo,zo@x.example,2024-01-02,C-17,1990-05-06,F,1990\n"
				    "x,2,nobody,,2023-12-31,,,,\n"
				    "3,2,Bo,bo@x.example,2023-12-31,C-3,,M,1985\n";
	struct place *const place = calloc(1, sizeof(*place));
	assert_non_null(place);
	snprintf(place->base, sizeof(place->base), "/tmp/punchcard-test-load-XXXXXX");
	assert_non_null(mkdtemp(place->base));
	_cleanup_free_ char *shop = text_printf("%s/shop", place->base);
	_cleanup_free_ char *path = text_printf("%s/punchcard.yaml", shop);
	_cleanup_free_ char *text =
		text_printf("version: 1\ncluster:\n  edge: e1\n  hdfs: {url: 'file://%s/lake', path: /p}\n  hbase: "
			    "{url: 'file://%s/cells'}\n  spark: {command: ['false']}\n",
			    place->base, place->base);
	place->file = text_printf("%s/customers.csv", place->base);
	assert_int_equal(deployment_init(shop, NULL), 0);
	assert_int_equal(file_write_durable(path, text, strlen(text), NULL), 0);
	assert_int_equal(file_write_durable(place->file, LINES, strlen(LINES), NULL), 0);
	if (deployment_open(shop, DEPLOYMENT_WRITE, "load", &place->deployment, &err) < 0)
		fail_msg("%s", err.message);
	*state = place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *const place = *state;
	deployment_close(place->deployment);
	assert_int_equal(file_remove_tree(place->base, NULL), 0);
	free(place->file);
	free(place);
	return 0;
}

static void load(const struct place *place)
{
	struct customers_report report = {0};
	const char *const path = place->file;
	assert_true(cluster_load_customers(place->deployment, NULL, &path, 1, NULL, &report, &err) < 0);
	if (!strstr(err.message, "Spark ended with exit code 1"))
		fail_msg("%s", err.message);
}

/* Files of a directory; the name of the last. */
static unsigned count(const char *dir, const char *prefix, char name[256])
{
	unsigned n = 0;
	DIR *const list = opendir(dir);
	for (const struct dirent *entry; list && (entry = readdir(list)) != NULL;) {
		if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(name, 256, "%s", entry->d_name);
		n++;
	}
	if (list)
		closedir(list);
	return n;
}

static unsigned in_lake(const struct place *place, const char *dir, char name[256])
{
	_cleanup_free_ char *path = text_printf("%s/lake/p/%s", place->base, dir);
	return count(path, "", name);
}

/* The next load does not read it again, when it has landed meanwhile. */
static void test_rows_have_their_quarantine(void **state)
{
	const struct place *const place = *state;
	char rows[256];
	char bad[256];
	load(place);
	assert_int_equal(in_lake(place, "warehouse/_customers/rows", rows), 1);
	assert_int_equal(in_lake(place, "quarantine", bad), 1);
	/* <seq>-<hash>-<reading>: of the same reading. */
	const char *const reading = strrchr(rows, '-') + 1;
	assert_memory_equal(bad + strlen("customers-"), reading, 16);
	/* Nothing of it stays here. */
	assert_int_equal(count(place->deployment->tmp_dir, "bad-", bad), 0);
	assert_int_equal(count(place->deployment->tmp_dir, "rows-", bad), 0);
}

/* A file that has landed is read from what landed, and its copy goes again. */
static void test_a_file_that_has_landed(void **state)
{
	const struct place *const place = *state;
	char rows[256];
	char bad[256];
	load(place);
	assert_int_equal(in_lake(place, "warehouse/_customers/rows", rows), 1);
	/* As if Spark had made the table, and rows were of another reading: seq and hash are the file's. */
	*strrchr(rows, '-') = '\0';
	_cleanup_free_ char *dir = text_printf("%s/lake/p/warehouse/customers/format=classic", place->base);
	_cleanup_free_ char *landed = text_printf("%s/%s.csv", dir, rows);
	_cleanup_free_ char *lake_rows = text_printf("%s/lake/p/warehouse/_customers/rows", place->base);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(file_read_all(place->file, 4096, &text, &err), 0);
	assert_int_equal(file_make_dirs(dir, &err), 0);
	assert_int_equal(file_write_durable(landed, text.data, text.len, &err), 0);
	for (int is_read = 0; is_read < 2; is_read++) {
		/* First it is only counted. */
		if (is_read)
			assert_int_equal(file_remove_tree(lake_rows, &err), 0);
		load(place);
		assert_int_equal(in_lake(place, "warehouse/_customers/rows", rows), 1);
		assert_int_equal(in_lake(place, "quarantine", bad), 1);
		assert_int_equal(count(place->deployment->tmp_dir, "landed-", bad), 0);
	}
	/* What landed is what is read. */
	assert_int_equal(file_remove_tree(lake_rows, &err), 0);
	assert_int_equal(file_write_durable(landed, "damaged", 7, &err), 0);
	struct customers_report report = {0};
	const char *const path = place->file;
	cluster_load_customers(place->deployment, NULL, &path, 1, NULL, &report, &err);
	_cleanup_free_ char *quarantine = text_printf("%s/lake/p/quarantine", place->base);
	in_lake(place, "quarantine", bad);
	_cleanup_free_ char *bad_lines = text_printf("%s/%s", quarantine, bad);
	_cleanup_buf_ struct buf lines = {0};
	assert_int_equal(file_read_all(bad_lines, 1 << 20, &lines, &err), 0);
	assert_non_null(memmem(lines.data, lines.len, "damaged", 7));
}

/* Also when the clock of the next one is behind. */
static void test_versions_grow(void **state)
{
	const struct place *const place = *state;
	struct cluster_session session;
	int64_t version = 0;
	char name[256];
	assert_int_equal(cluster_session_open(place->deployment, "load", &session, &err), 0);
	assert_int_equal(load_table_next_version(&session, 1700000000000, &version, &err), 0);
	assert_true(version == 1700000000000);
	assert_int_equal(load_table_next_version(&session, 1600000000000, &version, &err), 0);
	assert_true(version == 1700000000001);
	assert_int_equal(load_table_next_version(&session, 1700000000001, &version, &err), 0);
	assert_true(version == 1700000000002);
	assert_int_equal(in_lake(place, "warehouse/_customers", name), 1);
	assert_string_equal(name, "profiles-1700000000002");
	cluster_session_close(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows_have_their_quarantine, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_a_file_that_has_landed, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_versions_grow, make_place, remove_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
