/* Cards out of a cluster's view with states of a refresh: what is counted, what waits, which orders were the last, whose programme. */
#include "serving/lookup.h"

#include "base/file.h"
#include "cluster/open.h"
#include "store/cluster_account.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY_US INT64_C(86400000000)
/* Noon. */
#define DAY_0 (INT64_C(19000) * DAY_US + DAY_US / 2)
enum { ORDERS = 40, GAP_DAYS = 3 };

static char dir[64];
static struct deployment *shop;
static struct error err;
static struct order_line line = {.menu = SLICE("latte"), .qty_milli = 1000, .price_minor = 1000, .amount_minor = 1000};
static char ids[ORDERS + 1][16];

static struct deployment *open_deployment(void)
{
	char shop_dir[96];
	struct deployment *out = NULL;
	snprintf(shop_dir, sizeof(shop_dir), "%s/shop", dir);
	if (deployment_open(shop_dir, DEPLOYMENT_READ, "customer", &out, &err) < 0)
		fail_msg("%s", err.message);
	return out;
}

static int make_shop(void **state)
{
	(void)state;
	_cleanup_buf_ struct buf config = {0};
	char path[96];
	snprintf(dir, sizeof(dir), "/tmp/punchcard-lookup-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/shop", dir);
	if (deployment_init(path, &err) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/shop/punchcard.yaml", dir);
	if (file_read_all(path, 1 << 20, &config, &err) < 0 ||
	    buf_printf(&config,
		       "\ncluster:\n  edge: e1\n  hdfs: {url: \"file://%s\", path: /p}\n  hbase: {url: "
		       "\"file://%s/cells\"}\n",
		       dir, dir) < 0 ||
	    file_write_durable(path, config.data, config.len, &err) < 0)
		return -1;
	shop = open_deployment();
	for (int i = 0; i <= ORDERS; i++)
		snprintf(ids[i], sizeof(ids[i]), "o%02d", i);
	return 0;
}

static int remove_shop(void **state)
{
	(void)state;
	deployment_close(shop);
	return file_remove_tree(dir, &err);
}

static void fill(struct block_record *record, int64_t customer, int i, int64_t time_us)
{
	*record = (struct block_record){.kind = BLOCK_EVENT, .line = 1};
	event_init(&record->event, EVENT_ORDER);
	record->event.id = slice_of(ids[i]);
	record->event.customer.number = customer;
	record->event.time_us = time_us;
	record->event.lines = &line;
	record->event.n_lines = 1;
}

static void put_order(struct cluster_view *view, int64_t customer, int i, int64_t time_us, uint64_t block)
{
	struct block_record record;
	fill(&record, customer, i, time_us);
	const struct cluster_taken taken = {.record = &record,
					    .source = SLICE("till"),
					    .edge = SLICE("e1"),
					    .block = block,
					    .taken_us = DAY_0 + (int64_t)block * 1000000};
	assert_int_equal(cluster_view_put_event(view, &taken, &err), 0);
}

/* The state of the first n orders, a gap apart, by that programme. */
static void put_state(struct cluster_view *view, int64_t customer, int n, const struct programme *programme)
{
	struct account *const account = account_new(programme);
	_cleanup_buf_ struct buf bytes = {0};
	const struct cluster_edge edge = {SLICE("e1"), 100};
	for (int i = 0; i < n; i++) {
		struct block_record record;
		struct fact fact;
		fill(&record, customer, i, DAY_0 + i * GAP_DAYS * DAY_US);
		fact_of_event(&fact, programme, &record.event, SLICE("till"));
		assert_int_equal(account_apply(account, &fact, NULL), 0);
	}
	assert_int_equal(account_encode(account, &bytes), 0);
	const struct cluster_state state = {
		.day = 19000 + (n - 1) * GAP_DAYS, .edges = &edge, .n_edges = 1, .account = {bytes.data, bytes.len}};
	assert_int_equal(cluster_view_put_state(view, &(struct customer_id){.number = customer}, &state, 1, &err), 0);
	account_free(account);
}

/* Customer 1: 40 orders, of which a state has 30, and which are swept. 2: the same, and one that came too late. 3: by another programme.
 * 4: without a state. */
static void fill_view(const struct programme *other)
{
	struct cells *cells = NULL;
	struct cluster_view *view = NULL;
	struct cluster_sweep swept;
	assert_int_equal(cluster_open_cells(shop, &cells, &err), 0);
	assert_int_equal(cluster_view_open(cells, CUSTOMER_ID_INTEGER, shop->programme->timezone, &view, &err), 0);
	assert_int_equal(cluster_view_ensure(view, &err), 0);
	for (int64_t customer = 1; customer <= 4; customer++)
		for (int i = 0; i < ORDERS; i++)
			put_order(view, customer, i, DAY_0 + i * GAP_DAYS * DAY_US, i < 30 ? 5 : 200);
	put_order(view, 2, ORDERS, DAY_0 + 10 * DAY_US, 150);
	put_state(view, 1, 30, shop->programme);
	put_state(view, 2, 30, shop->programme);
	put_state(view, 3, 30, other);
	assert_int_equal(cluster_view_flush(view, &err), 0);
	assert_int_equal(cluster_view_sweep(view, 0, &swept, &err), 0);
	assert_int_equal(swept.events, 3 * 30);
	cluster_view_close(view);
	cells_close(cells);
}

struct seen {
	const struct lookup *lookup;
	size_t most;
	char text[4096];
};

static int take(void *context, const char *id, const struct customer_card *card, const struct error *why,
		struct error *error)
{
	struct seen *const seen = context;
	struct card_orders orders;
	(void)error;
	size_t at = strlen(seen->text);
	if (!card) {
		snprintf(seen->text + at, sizeof(seen->text) - at, "%s: %s\n", id,
			 why->code == ERROR_NOT_FOUND ? "not known" : "no id");
		return 0;
	}
	lookup_orders(card, seen->most, &orders);
	at += (size_t)snprintf(seen->text + at, sizeof(seen->text) - at, "%s: %" PRId64 " orders%s%s%s, last", id,
			       card->totals.orders, card->marked ? ", marked" : "",
			       lookup_other_programme(seen->lookup) ? ", other" : "", orders.all ? ", all" : "");
	for (size_t i = 0; i < orders.n; i++)
		at += (size_t)snprintf(seen->text + at, sizeof(seen->text) - at, " %.*s", (int)orders.first[i]->id.len,
				       orders.first[i]->id.data);
	snprintf(seen->text + at, sizeof(seen->text) - at, "\n");
	return 0;
}

static int look_up(const char *const *who, size_t n, size_t orders, const char *expected)
{
	struct seen seen = {.most = orders};
	struct lookup *lookup = NULL;
	memset(&err, 0, sizeof(err));
	assert_int_equal(lookup_open(shop, DAY_0 + 200 * DAY_US, &lookup, &err), 0);
	seen.lookup = lookup;
	const int rc = lookup_customers(lookup, who, n, orders, take, &seen, &err);
	lookup_close(lookup);
	if (expected)
		assert_string_equal(seen.text, expected);
	return rc;
}

static void test_cards(void **state)
{
	static const char *const all[] = {"2", "1", "1", "7", "x", "4"};
	static const char *const three[] = {"3"};
	struct programme *other = NULL;
	char path[128];
	(void)state;
	/* The programme with another rule, as it was before. */
	_cleanup_buf_ struct buf text = {0};
	assert_int_equal(buf_append(&text, shop->programme_text.data, shop->programme_text.len), 0);
	char *const per = strstr(buf_text(&text), "\n  - per_amount: {points: 1, per: 10.00}");
	assert_non_null(per);
	memcpy(strstr(per, "10.00"), "20.00", 5);
	snprintf(path, sizeof(path), "%s/other.yaml", dir);
	assert_int_equal(file_write_durable(path, text.data, text.len, &err), 0);
	assert_int_equal(programme_load(path, &other, &err), 0);
	fill_view(other);
	/* What came late is in no sum and no list; ids are answered in their order, each as often as it stands there. */
	assert_int_equal(look_up(all, 6, 3,
				 "2: 40 orders, marked, last o39 o38 o37\n1: 40 orders, last o39 o38 o37\n"
				 "1: 40 orders, last o39 o38 o37\n7: not known\nx: no id\n4: 40 orders, all, last o39 "
				 "o38 o37\n"),
			 0);
	/* More than the row has: out of the history, in windows, the late one left out. */
	static const char last_12[] = "2: 40 orders, marked, last o39 o38 o37 o36 o35 o34 o33 o32 o31 o30 o29 o28\n";
	assert_int_equal(look_up(all, 1, 12, last_12), 0);
	static const char every[] =
		"2: 40 orders, marked, all, last o39 o38 o37 o36 o35 o34 o33 o32 o31 o30 o29 o28 o27 o26 "
		"o25 o24 o23 o22 o21 o20 o19 o18 o17 o16 o15 o14 o13 o12 o11 o10 o09 o08 o07 o06 o05 o04 "
		"o03 o02 o01 o00\n";
	assert_int_equal(look_up(all, 1, 64, every), 0);
	/* Without the text of the programme of before nothing can be said of its state. */
	assert_int_equal(look_up(three, 1, 3, ""), ERROR_CORRUPT);
	assert_non_null(strstr(err.message, "by another programme"));
	snprintf(path, sizeof(path), "%s/shop/data/programmes", dir);
	assert_int_equal(file_make_dirs(path, &err), 0);
	snprintf(path, sizeof(path), "%s/shop/data/programmes/%s.yaml", dir, other->hash_text);
	assert_int_equal(file_write_durable(path, text.data, text.len, &err), 0);
	assert_int_equal(look_up(three, 1, 3, "3: 40 orders, other, last o39 o38 o37\n"), 0);
	programme_free(other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_cards, make_shop, remove_shop)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
