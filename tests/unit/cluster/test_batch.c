/* What stands between a run of Spark and the next one: the lease, the note of what was made, and the states that go into the view. The
 * warehouse and the view are directories. */
#include "base/file.h"
#include "cluster/lease.h"
#include "cluster/made.h"
#include "cluster/open.h"
#include "cluster/put_states.h"
#include "engine/engine.h"
#include "store/cluster_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY 20000 /* 2024-10-04 */

struct shop {
	char *dir;
	struct deployment *deployment;
	struct cluster_session session;
};

struct place {
	char base[64];
	struct shop shops[2];
};

static struct error err;

static void open_shop(struct place *place, struct shop *shop, const char *name)
{
	shop->dir = text_printf("%s/%s", place->base, name);
	_cleanup_free_ char *path = text_printf("%s/punchcard.yaml", shop->dir);
	_cleanup_free_ char *text = text_printf(
		"version: 1\ncluster:\n  edge: %s\n  hdfs: {url: 'file://%s/lake', path: /p}\n  hbase: {url: "
		"'file://%s/cells'}\n",
		name, place->base, place->base);
	assert_int_equal(deployment_init(shop->dir, NULL), 0);
	assert_int_equal(file_write_durable(path, text, strlen(text), NULL), 0);
	assert_int_equal(deployment_open(shop->dir, DEPLOYMENT_WRITE, "refresh", &shop->deployment, &err), 0);
	assert_int_equal(cluster_session_open(shop->deployment, "batch", &shop->session, &err), 0);
}

static int make_place(void **state)
{
	struct place *const place = calloc(1, sizeof(*place));
	assert_non_null(place);
	snprintf(place->base, sizeof(place->base), "/tmp/punchcard-test-batch-XXXXXX");
	assert_non_null(mkdtemp(place->base));
	open_shop(place, &place->shops[0], "e1");
	open_shop(place, &place->shops[1], "e2");
	*state = place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *const place = *state;
	for (int i = 0; i < 2; i++) {
		cluster_session_close(&place->shops[i].session);
		deployment_close(place->shops[i].deployment);
		free(place->shops[i].dir);
	}
	assert_int_equal(file_remove_tree(place->base, NULL), 0);
	free(place);
	return 0;
}

/* ---- the lease ---- */

static void test_one_has_the_lease(void **state)
{
	struct place *const place = *state;
	struct cluster_lease lease = {0};
	struct cluster_lease other = {0};
	assert_int_equal(cluster_lease_take(&place->shops[0].session, "rebuild", &lease, &err), 0);
	assert_int_equal(cluster_lease_check(&lease, &err), 0);
	/* Of as many bytes as his own would be, too. */
	assert_int_equal(cluster_lease_take(&place->shops[1].session, "rebuild", &other, &err), ERROR_LOCKED);
	assert_non_null(strstr(err.message, "edge e1 makes tables of this cluster"));
	assert_non_null(strstr(err.message, "remove /p/batch/lease of file:///tmp/"));
	assert_int_equal(cluster_lease_take(&place->shops[1].session, "refresh of much", &other, &err), ERROR_LOCKED);
	cluster_lease_release(&other);
	assert_int_equal(cluster_lease_check(&lease, &err), 0);
	cluster_lease_release(&lease);
	assert_int_equal(cluster_lease_take(&place->shops[1].session, "refresh", &other, &err), 0);
	cluster_lease_release(&other);
}

static void test_a_dead_ones_lease(void **state)
{
	struct place *const place = *state;
	struct cluster_lease dead = {0};
	struct cluster_lease lease = {0};
	assert_int_equal(cluster_lease_take(&place->shops[0].session, "rebuild", &dead, &err), 0);
	/* Who has the deployment's lock now is the only one of it. */
	assert_int_equal(cluster_lease_take(&place->shops[0].session, "rebuild", &lease, &err), 0);
	assert_int_equal(cluster_lease_check(&dead, &err), ERROR_LOCKED);
	cluster_lease_release(&dead);
	assert_int_equal(cluster_lease_check(&lease, &err), 0);
	/* Somebody removed it. */
	assert_int_equal(warehouse_remove(place->shops[1].session.warehouse, LEASE_PATH, &err), 0);
	assert_int_equal(cluster_lease_check(&lease, &err), ERROR_LOCKED);
	assert_non_null(strstr(err.message, "was removed while this process made tables"));
	assert_int_equal(cluster_lease_take(&place->shops[1].session, "refresh", &dead, &err), 0);
	cluster_lease_release(&lease);
	assert_int_equal(cluster_lease_check(&dead, &err), 0);
	cluster_lease_release(&dead);
}

/* ---- what was made ---- */

static const struct cut_edge EDGES[] = {{"a", 7}, {"till-2", 123456}};
static const struct cluster_cut CUT = {EDGES, 2};

static void add(struct cluster_made *made, int32_t day, bool whole)
{
	assert_int_equal(cluster_made_add(made, day, day - DAY + 100, &CUT, whole, &err), 0);
}

static void test_what_was_made(void **state)
{
	const struct place *const place = *state;
	const struct cluster_session *const session = &place->shops[0].session;
	struct cluster_made made = {0};
	struct cluster_made read = {0};
	assert_int_equal(cluster_made_read(session, &made, &err), 0);
	assert_true(made.number == 0 && cluster_made_newest(&made) == DAY_MIN);
	memcpy(made.programme, "0123456789abcdef", sizeof(made.programme));
	add(&made, DAY + 1, false);
	add(&made, DAY, false);
	made.view_day = DAY + 1;
	made.view_version = INT64_C(1700000000123);
	assert_int_equal(cluster_made_write(session, &made, &err), 0);
	assert_int_equal(cluster_made_write(session, &made, &err), 0);
	assert_int_equal(made.number, 2);
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(warehouse_read_all(session->warehouse, "batch/made-000000000002", 10000, &text, &err), 0);
	assert_string_equal(buf_text(&text), "punchcard 1\nprogramme 0123456789abcdef\n"
					     "state 2024-10-04 100 a=7 till-2=123456\n"
					     "state 2024-10-05 101 a=7 till-2=123456\nview 2024-10-05 1700000000123\n");
	assert_int_equal(
		warehouse_stat(session->warehouse, "batch/made-000000000001", &(struct warehouse_stat){0}, &err),
		ERROR_NOT_FOUND);
	assert_int_equal(cluster_made_read(session, &read, &err), 0);
	assert_int_equal(read.number, 2);
	assert_int_equal(cluster_made_newest(&read), DAY + 1);
	assert_int_equal(cluster_made_state(&read, DAY)->customers, 100);
	assert_string_equal(cluster_made_state(&read, DAY)->edges[1].name, "till-2");
	assert_int_equal(cluster_made_state(&read, DAY)->edges[1].next_block, 123456);
	assert_null(cluster_made_state(&read, DAY + 2));
	assert_true(read.view_day == DAY + 1 && read.view_version == INT64_C(1700000000123));
	/* Being put: the version is known already. */
	made.view_day = DAY_MIN;
	made.view_version++;
	assert_int_equal(cluster_made_write(session, &made, &err), 0);
	cluster_made_release(&read);
	assert_int_equal(cluster_made_read(session, &read, &err), 0);
	assert_true(read.view_day == DAY_MIN && read.view_version == INT64_C(1700000000124));
	assert_string_equal(read.programme, made.programme);
	assert_string_equal(read.unfinished, "");
	cluster_made_release(&read);
	/* The oldest go, but never the one that was made last; a whole fold leaves its own alone. */
	for (int i = 2; i < 6; i++)
		add(&made, DAY + i, false);
	assert_int_equal(made.n_states, MADE_MAX);
	assert_int_equal(made.states[0].day, DAY + 2);
	add(&made, DAY + 5, false);
	assert_int_equal(made.n_states, MADE_MAX);
	add(&made, DAY - 9, false);
	assert_int_equal(made.n_states, MADE_MAX);
	assert_int_equal(made.states[0].day, DAY - 9);
	add(&made, DAY + 5, true);
	assert_int_equal(made.n_states, 1);
	cluster_made_release(&made);
}

static void test_a_damaged_note(void **state)
{
	const struct place *const place = *state;
	static const char MANY[] =
		"punchcard 1\nstate 2024-10-01 1\nstate 2024-10-02 1\nstate 2024-10-03 1\nstate 2024-10-04 1\n"
		"state 2024-10-05 1\n";
	static const char *const TEXTS[] = {
		"",
		"punchcard 2\n",
		"punchcard 1\nstate",
		"punchcard 1\nstate\n",
		"punchcard 1\nstate 2024-10-04 1 a\n",
		"punchcard 1\nstate 2024-10-04 1 a=0\n",
		"punchcard 1\nstate 2024-10-04 1 =7\n",
		"punchcard 1\nstate 2024-10-04 1\nstate 2024-10-04 1\n",
		MANY,
		"punchcard 1\nprogramme 0123456789abcdef0\n",
		"punchcard 1\nview 2024-10-04\n",
		"punchcard 1\nview none\n",
		"punchcard 1\nfuture x\n",
	};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct cluster_made made = {0};
		assert_false(cluster_made_parse(slice_of(TEXTS[i]), &made));
		cluster_made_release(&made);
	}
	struct cluster_made made = {0};
	assert_int_equal(
		warehouse_put_bytes(place->shops[0].session.warehouse, "batch/made-000000000009", SLICE("x"), &err), 0);
	assert_int_equal(cluster_made_read(&place->shops[0].session, &made, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "/p/batch/made-000000000009"));
	/* Not the lease beside it. */
	assert_non_null(strstr(err.message, "; remove that file and run `punchcard rebuild`"));
	cluster_made_release(&made);
}

/* ---- states into the view ---- */

#define CUSTOMERS 3000

static void write_states(const struct place *place, int from, int to, const char *name)
{
	struct engine *engine = NULL;
	const struct engine_options options = {.memory_mib = 128, .threads = 1, .tmp_dir = place->base};
	_cleanup_free_ char *dir = text_printf("%s/lake/p/warehouse/account_state/data_dt=2024-10-04", place->base);
	_cleanup_free_ char *sql = text_printf("COPY (SELECT i AS cust_id, ('state ' || i)::BLOB AS state, ''::BLOB AS "
					       "items FROM range(%d, %d) AS t(i)) TO "
					       "'%s/%s' (FORMAT parquet)",
					       from, to, dir, name);
	assert_int_equal(file_make_dirs(dir, &err), 0);
	assert_int_equal(engine_open(&options, &engine, &err), 0);
	if (engine_run(engine, sql, &err) < 0)
		fail_msg("%s", err.message);
	engine_close(engine);
}

static int check_customer(void *context, const struct cluster_customer *customer, struct error *error)
{
	char expected[32];
	(void)error;
	snprintf(expected, sizeof(expected), "state %lld", (long long)customer->id.number);
	assert_true(customer->has_state && slice_is(customer->state.account, expected));
	assert_true(customer->state.day == DAY && customer->state.n_edges == 2);
	assert_true(slice_is(customer->state.edges[1].name, "till-2") && customer->state.edges[1].offset == 123456);
	assert_int_equal(customer->state_version_ms, 17);
	++*(int *)context;
	return 0;
}

static void test_states_into_the_view(void **state)
{
	const struct place *const place = *state;
	const struct cluster_session *const session = &place->shops[0].session;
	struct made_state made = {
		.day = DAY, .customers = CUSTOMERS, .n_edges = 2, .edges = (struct cut_edge *)(uintptr_t)EDGES};
	const struct put_states put = {.session = session, .state = &made, .version = 17};
	struct put_report report = {0};
	write_states(place, 1, 1000, "part-1.parquet");
	write_states(place, 1000, CUSTOMERS + 1, "part-2.snappy.parquet");
	write_states(place, 9000, 9001, "_hidden.parquet");
	for (int again = 0; again < 2; again++) {
		if (cluster_put_states(&put, &report, &err) < 0)
			fail_msg("%s", err.message);
		assert_int_equal(report.customers, CUSTOMERS);
	}
	struct cells *cells = NULL;
	struct cluster_view *view = NULL;
	int seen = 0;
	assert_int_equal(cluster_open_cells(place->shops[0].deployment, &cells, &err), 0);
	assert_int_equal(cluster_view_open(cells, CUSTOMER_ID_INTEGER, place->shops[0].deployment->programme->timezone,
					   &view, &err),
			 0);
	assert_int_equal(cluster_view_walk(view, NULL, 0, check_customer, &seen, &err), 0);
	assert_int_equal(seen, CUSTOMERS);
	cluster_view_close(view);
	cells_close(cells);
	/* Spark wrote elsewhere. */
	made.customers++;
	assert_int_equal(cluster_put_states(&put, &report, &err), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "has 3000 customers of 3001"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_has_the_lease, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_a_dead_ones_lease, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_what_was_made, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_a_damaged_note, make_place, remove_place),
		cmocka_unit_test_setup_teardown(test_states_into_the_view, make_place, remove_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
