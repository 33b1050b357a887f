/*
 * Measures how fast events are put into HBase by a REST gateway: by a plain loop, which sends bodies that were encoded beforehand over
 * one kept connection with libcurl; by the driver (store/cells.h), which is given the same cells; and by the view
 * (store/cluster_view.h), which is given events, and puts each into two tables.
 *
 *     bench_cluster_put URL [EVENTS [REPEATS]]      50000 events, 5 times
 *
 * They take turns, on the same rows; the tables (prefix "pcbench_") are made, and left. Prints one JSON object: rows a second of each, the
 * median of the repeats, and the median of the ratios within a repeat; `samples` has all.
 */
#include "base/random.h"
#include "store/cells_hbase_json.h"
#include "store/cluster_view.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BATCH       1000u
#define REPEATS_MAX 50u
#define CUSTOMERS   20000u
#define PREFIX      "pcbench_"
#define TAKEN_US    INT64_C(1796000000000000)

struct bench {
	const char *url;
	size_t n;
	struct cells_put *puts; /* cells of `orders` */
	struct buf bytes;
	struct block_record *records;
	char (*ids)[40];
	struct order_line line;
	struct buf *bodies;
	size_t n_bodies;
	struct cells *cells;
	struct cluster_view *view;
	struct tz *zone;
};

struct sample {
	double plain;
	double driver;
	double view;
	double driver_cpu_us; /* of this process, a row */
	double plain_cpu_us;
};

static struct error err;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench_cluster_put: %s: %s\n", what, err.message);
	exit(1);
}

static double seconds(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- what is put ------------------------------------------------------------------------------------------------------------ */

static void make_events(struct bench *b)
{
	struct random random;
	random_init(&random, 7);
	b->records = calloc(b->n, sizeof(*b->records));
	b->ids = calloc(b->n, sizeof(*b->ids));
	must(b->records && b->ids, "memory");
	b->line = (struct order_line){
		.menu = SLICE("cappucino"), .qty_milli = 1000, .price_minor = 9000, .amount_minor = 9000};
	for (size_t i = 0; i < b->n; i++) {
		struct event *const event = &b->records[i].event;
		event_init(event, EVENT_ORDER);
		snprintf(b->ids[i], sizeof(b->ids[i]), "orders-17.csv:%zu", i);
		event->id = slice_of(b->ids[i]);
		event->customer.number = (int64_t)random_below(&random, CUSTOMERS);
		event->time_us = TAKEN_US + (int64_t)i * 1000;
		event->lines = &b->line;
		event->n_lines = 1;
		b->records[i].kind = BLOCK_EVENT;
		b->records[i].line = i + 1;
	}
}

static struct cluster_taken taken_of(const struct bench *b, size_t i)
{
	return (struct cluster_taken){.record = &b->records[i],
				      .source = SLICE("till"),
				      .edge = SLICE("edge-1"),
				      .block = 1 + i / 10000,
				      .taken_us = TAKEN_US};
}

/* The cells of `orders`, as the view makes them. */
static void make_puts(struct bench *b)
{
	struct block_writer writer = {0};
	size_t(*const places)[2] = calloc(b->n, sizeof(*places));
	b->puts = calloc(b->n, sizeof(*b->puts));
	must(places && b->puts, "memory");
	for (size_t i = 0; i < b->n; i++) {
		const struct cluster_taken taken = taken_of(b, i);
		struct cluster_key key;
		must(cluster_order_prefix(CUSTOMER_ID_INTEGER, &taken.record->event.customer, &key, &err) == 0, "key");
		cluster_event_name(taken.source, &taken.record->event, key.bytes + key.len);
		places[i][0] = b->bytes.len;
		must(buf_append(&b->bytes, key.bytes, key.len + CLUSTER_EVENT_NAME_BYTES) == 0, "memory");
		places[i][1] = b->bytes.len;
		must(cluster_event_write(&taken, &writer, &b->bytes) == 0, "memory");
	}
	for (size_t i = 0; i < b->n; i++) {
		const size_t end = i + 1 < b->n ? places[i + 1][0] : b->bytes.len;
		b->puts[i] = (struct cells_put){.key = {b->bytes.data + places[i][0], places[i][1] - places[i][0]},
						.column = SLICE("o:event"),
						.value = {b->bytes.data + places[i][1], end - places[i][1]},
						.version = TAKEN_US / 1000};
	}
	free(places);
	block_writer_release(&writer);
}

static void make_bodies(struct bench *b)
{
	b->n_bodies = (b->n + BATCH - 1) / BATCH;
	b->bodies = calloc(b->n_bodies, sizeof(*b->bodies));
	must(b->bodies != NULL, "memory");
	for (size_t i = 0; i < b->n; i++) {
		struct buf *const body = &b->bodies[i / BATCH];
		if (i % BATCH == 0)
			must(hbase_json_begin(body) == 0, "memory");
		must(hbase_json_row(body, &b->puts[i], 1) == 0, "memory");
		if (i % BATCH == BATCH - 1 || i == b->n - 1)
			must(hbase_json_end(body) == 0, "memory");
	}
}

/* --- the three -------------------------------------------------------------------------------------------------------------- */

static size_t ignore(char *data, size_t size, size_t n, void *context)
{
	(void)data;
	(void)context;
	return size * n;
}

static void put_plainly(struct bench *b, CURL *curl)
{
	for (size_t i = 0; i < b->n_bodies; i++) {
		long status = 0;
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, b->bodies[i].data);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)b->bodies[i].len);
		must(curl_easy_perform(curl) == CURLE_OK, "plain put");
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		must(status == 200, "plain put's status");
	}
}

static void put_by_view(struct bench *b)
{
	for (size_t i = 0; i < b->n; i++) {
		const struct cluster_taken taken = taken_of(b, i);
		must(cluster_view_put_event(b->view, &taken, &err) == 0, "view");
	}
	must(cluster_view_flush(b->view, &err) == 0, "view");
}

static void measure(struct bench *b, CURL *curl, bool driver_first, struct sample *sample)
{
	for (unsigned turn = 0; turn < 2; turn++) {
		const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
		const double begin = seconds(CLOCK_MONOTONIC);
		const bool driver = (turn == 0) == driver_first;
		if (driver)
			must(cells_put(b->cells, CLUSTER_ORDERS, b->puts, b->n, &err) == 0, "driver");
		else
			put_plainly(b, curl);
		*(driver ? &sample->driver : &sample->plain) = (double)b->n / (seconds(CLOCK_MONOTONIC) - begin);
		*(driver ? &sample->driver_cpu_us : &sample->plain_cpu_us) =
			(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (double)b->n;
	}
	const double begin = seconds(CLOCK_MONOTONIC);
	put_by_view(b);
	sample->view = (double)b->n / (seconds(CLOCK_MONOTONIC) - begin);
}

/* --- telling ---------------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void print_samples(const struct bench *b, const struct sample *samples, unsigned n)
{
	double plain[REPEATS_MAX];
	double driver[REPEATS_MAX];
	double view[REPEATS_MAX];
	double ratio[REPEATS_MAX];
	for (unsigned i = 0; i < n; i++) {
		plain[i] = samples[i].plain;
		driver[i] = samples[i].driver;
		view[i] = samples[i].view;
		ratio[i] = samples[i].driver / samples[i].plain;
	}
	printf("{\"events\":%zu,\"repeats\":%u,\"batch_rows\":%u,\"body_bytes\":%zu,\"plain_rows_per_s\":%.0f,"
	       "\"driver_rows_per_s\":%.0f,\"driver_to_plain\":%.3f,\"view_events_per_s\":%.0f,\"samples\":[",
	       b->n, n, BATCH, b->bodies[0].len, median(plain, n), median(driver, n), median(ratio, n),
	       median(view, n));
	for (unsigned i = 0; i < n; i++)
		printf("%s{\"plain\":%.0f,\"driver\":%.0f,\"view\":%.0f,\"plain_cpu_us\":%.2f,\"driver_cpu_us\":%.2f}",
		       i ? "," : "", samples[i].plain, samples[i].driver, samples[i].view, samples[i].plain_cpu_us,
		       samples[i].driver_cpu_us);
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct bench b = {.n = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000};
	const unsigned long repeats = argc > 3 ? strtoul(argv[3], NULL, 10) : 5;
	struct cells_hbase_options options = CELLS_HBASE_OPTIONS_DEFAULT;
	struct sample samples[REPEATS_MAX];
	if (argc < 2 || !b.n || !repeats || repeats > REPEATS_MAX) {
		fprintf(stderr, "usage: bench_cluster_put URL [EVENTS [REPEATS]]\n");
		return 2;
	}
	options.http.url = argv[1];
	options.prefix = PREFIX;
	must(cells_open_hbase(&options, &b.cells, &err) == 0, "open");
	must(tz_load("UTC", &b.zone, &err) == 0, "zone");
	must(cluster_view_open(b.cells, CUSTOMER_ID_INTEGER, b.zone, &b.view, &err) == 0, "view");
	must(cluster_view_ensure(b.view, &err) == 0, "tables");
	make_events(&b);
	make_puts(&b);
	make_bodies(&b);

	CURL *const curl = curl_easy_init();
	char *const url = text_printf("%s/%s%s/any", argv[1], PREFIX, CLUSTER_ORDERS);
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Accept: application/json");
	headers = curl_slist_append(headers, "Expect:");
	must(curl && url && headers, "libcurl");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");

	/* Cold: Java compiles what it does often. */
	put_plainly(&b, curl);
	for (unsigned i = 0; i < repeats; i++)
		measure(&b, curl, i % 2, &samples[i]);
	print_samples(&b, samples, (unsigned)repeats);

	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	free(url);
	cluster_view_close(b.view);
	cells_close(b.cells);
	tz_free(b.zone);
	for (size_t i = 0; i < b.n_bodies; i++)
		buf_release(&b.bodies[i]);
	free(b.bodies);
	free(b.puts);
	free(b.records);
	free(b.ids);
	buf_release(&b.bytes);
	return 0;
}
