/*
 * A REST gateway of HBase on a thread, on loopback, as far as store/cells_hbase.c asks one, over cells in LMDB; and, by a seed, what a
 * real one does at rare moments: 503, a bare 500 before or after the work is done, half an answer, none, silence, 404 for a batch of
 * which half is stored, and a scan that ends early as if there were no more rows. So the conformance suite runs on the HBase driver where there is no Java. What the answers look like was taken
 * from HBase 2.6.1.
 *
 *     struct fake_gateway gateway;
 *     fake_start(&gateway, dir, seed, 6);         // of six requests one goes wrong; 0: none
 *     …gateway.server.url…
 *     fake_stop(&gateway);
 */
#ifndef PUNCHCARD_TEST_FAKE_GATEWAY_H
#define PUNCHCARD_TEST_FAKE_GATEWAY_H

#include "../net/script_server.h"

#include "base/base64.h"
#include "base/random.h"
#include "store/cells_hbase_json.h"

#define FAKE_TABLES      8
#define FAKE_SCANNERS    512
#define FAKE_KEY_BYTES   512
#define FAKE_CONNECTIONS 64

struct fake_scanner {
	char table[128];
	struct buf from;
	struct buf to;
	size_t skip; /* cells of the first row that were given */
	unsigned batch;
	bool broken; /* a read of it failed, which it did not tell: nobody knows where it goes on */
};

struct fake_gateway {
	struct script_server server; /* its listener, its end and its address */
	struct cells *store;
	struct random random;
	unsigned one_in;
	struct {
		char name[128];
		char families[128]; /* each between blanks */
	} tables[FAKE_TABLES];
	unsigned n_tables;
	struct fake_scanner scanners[FAKE_SCANNERS];
	unsigned n_scanners;
	unsigned faults;
	unsigned n_connections;
	/* Of the request. */
	struct buf out;
	const char *type;
	char location[256];
};

#define FAKE_BARE_500 "{\n\"servlet\":\"org.x\",\n\"message\":\"Request failed.\",\n\"status\":\"500\"\n}"

static inline int fake_say(struct fake_gateway *g, int status, const char *text)
{
	buf_clear(&g->out);
	buf_append_text(&g->out, text);
	g->type = text[0] == '{' ? "application/json" : "text/plain";
	return status;
}

static inline int fake_no_table(struct fake_gateway *g)
{
	return fake_say(g, 404, "Not found\r\norg.apache.hadoop.hbase.TableNotFoundException: t\n\tat org.apache.X\n");
}

static inline const char *fake_families(const struct fake_gateway *g, const char *table)
{
	for (unsigned i = 0; i < g->n_tables; i++)
		if (strcmp(g->tables[i].name, table) == 0)
			return g->tables[i].families;
	return NULL;
}

/* base64url without padding, up to one of the characters in `ends`. */
static inline const char *fake_decode(const char *text, const char *ends, char *out, size_t *len)
{
	char standard[2 * FAKE_KEY_BYTES];
	size_t n = strcspn(text, ends);
	const char *const end = text + n;
	assert_true(n + 4 < sizeof(standard));
	for (size_t i = 0; i < n; i++)
		standard[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	while (n % 4)
		standard[n++] = '=';
	assert_true(base64_decode((struct slice){standard, n}, out, len));
	return end;
}

/* --- schema ----------------------------------------------------------------------------------------------------------------- */

static inline int fake_put_schema(struct fake_gateway *g, const char *table, const char *body)
{
	const char *families[CELLS_FAMILIES_MAX + 1] = {0};
	char names[CELLS_FAMILIES_MAX][32];
	unsigned n = 0;
	assert_true(g->n_tables < FAKE_TABLES && !fake_families(g, table));
	char *const all = g->tables[g->n_tables].families;
	size_t len = (size_t)snprintf(all, sizeof(g->tables[0].families), " ");
	snprintf(g->tables[g->n_tables].name, sizeof(g->tables[0].name), "%s", table);
	const char *at = strstr(body, "ColumnSchema");
	while (at && n < CELLS_FAMILIES_MAX && (at = strstr(at, "\"name\":\"")) != NULL) {
		at += 8;
		snprintf(names[n], sizeof(names[n]), "%.*s", (int)strcspn(at, "\""), at);
		len += (size_t)snprintf(all + len, sizeof(g->tables[0].families) - len, "%s ", names[n]);
		families[n] = names[n];
		n++;
	}
	g->n_tables++;
	assert_int_equal(cells_ensure(g->store, table, families, NULL), 0);
	return fake_say(g, 201, "");
}

static inline int fake_get_schema(struct fake_gateway *g, const char *table)
{
	const char *at = fake_families(g, table);
	if (!at)
		return fake_no_table(g);
	fake_say(g, 200, "{");
	buf_printf(&g->out, "\"name\":\"%s\",\"ColumnSchema\":[", table);
	for (bool first = true; at[1]; first = false) {
		const size_t len = strcspn(at + 1, " ");
		buf_printf(&g->out, "%s{\"name\":\"%.*s\",\"VERSIONS\":\"1\"}", first ? "" : ",", (int)len, at + 1);
		at += 1 + len;
	}
	buf_append_text(&g->out, "]}");
	return 200;
}

/* --- rows ------------------------------------------------------------------------------------------------------------------- */

struct fake_putting {
	struct fake_gateway *g;
	const char *table;
	size_t rows; /* that are stored; the others are not */
	bool missing;
};

static inline int fake_put_row(void *context, const struct cells_row *row, struct error *err)
{
	struct fake_putting *const putting = context;
	struct cells_put puts[256];
	(void)err;
	if (putting->rows == 0) {
		putting->missing = true;
		return 0;
	}
	putting->rows--;
	assert_true(row->n <= 256);
	for (size_t i = 0; i < row->n; i++)
		puts[i] = (struct cells_put){.key = row->key,
					     .column = row->cells[i].column,
					     .value = row->cells[i].value,
					     .version = row->cells[i].version};
	putting->missing = cells_put(putting->g->store, putting->table, puts, row->n, NULL) < 0 || putting->missing;
	return 0;
}

static inline int fake_put(struct fake_gateway *g, const char *table, struct slice body, size_t rows)
{
	struct fake_putting putting = {.g = g, .table = table, .rows = rows};
	struct hbase_rows parsed = {0};
	if (!fake_families(g, table))
		return fake_no_table(g);
	const int rc = hbase_rows_read(&parsed, body, fake_put_row, &putting, NULL);
	if (rc == 0)
		hbase_rows_flush(&parsed, fake_put_row, &putting, NULL);
	hbase_rows_release(&parsed);
	if (rc < 0)
		return fake_say(g, 500, "");
	return putting.missing ? fake_say(g, 404, "Not found\r\norg.apache.NoSuchColumnFamilyException: x\n") : 200;
}

/* Appends a row, from cell `from` on, at most `n` cells. */
static inline void fake_add_row(struct fake_gateway *g, const struct cells_row *row, size_t from, size_t n)
{
	struct cells_put puts[256];
	size_t k = 0;
	for (size_t i = from; i < row->n && k < n; i++)
		puts[k++] = (struct cells_put){.key = row->key,
					       .column = row->cells[i].column,
					       .value = row->cells[i].value,
					       .version = row->cells[i].version};
	hbase_json_row(&g->out, puts, k);
}

static inline int fake_take_got(void *context, const struct cells_row *row, struct error *err)
{
	(void)err;
	fake_add_row(context, row, 0, row->n);
	return 0;
}

static inline int fake_multiget(struct fake_gateway *g, const char *table, const char *query)
{
	if (!fake_families(g, table))
		return fake_say(g, 500, FAKE_BARE_500);
	fake_say(g, 200, "{\"Row\":[");
	for (const char *at = query; (at = strstr(at, "&row=")) != NULL;) {
		char key[FAKE_KEY_BYTES];
		size_t len = 0;
		at = fake_decode(at + 5, "& ", key, &len);
		cells_get(g->store, table, &(struct slice){key, len}, 1, fake_take_got, g, NULL);
	}
	buf_append_text(&g->out, "]}");
	return g->out.len == 10 ? fake_say(g, 404, "No rows found.\r\n") : 200;
}

static inline int fake_delete(struct fake_gateway *g, const char *table, const char *at)
{
	char key[FAKE_KEY_BYTES];
	size_t key_len = 0;
	const char *const families = fake_families(g, table);
	const char *const time = strrchr(at, '/');
	if (!families)
		return fake_no_table(g);
	assert_non_null(strstr(at, "?e=b64"));
	at = fake_decode(at, "/", key, &key_len);
	while (*at != '?' && at != time) {
		char column[FAKE_KEY_BYTES];
		size_t len = 0;
		at = fake_decode(at + 1, ",/", column, &len);
		const struct cells_erase erase = {
			.key = {key, key_len}, .column = {column, len}, .version = strtoll(time + 1, NULL, 10)};
		if (cells_erase(g->store, table, &erase, 1, NULL) < 0)
			return fake_say(g, 404, "Not found\r\norg.apache.NoSuchColumnFamilyException: x\n");
	}
	return 200;
}

/* --- scanners --------------------------------------------------------------------------------------------------------------- */

static inline void fake_read_row(const char *body, const char *name, struct buf *out)
{
	char bytes[2 * FAKE_KEY_BYTES];
	size_t len = 0;
	const char *at = strstr(body, name);
	buf_clear(out);
	if (!at)
		return;
	at += strlen(name);
	assert_true(base64_decode((struct slice){at, strcspn(at, "\"")}, bytes, &len));
	buf_append(out, bytes, len);
}

static inline int fake_open_scanner(struct fake_gateway *g, const char *table, const char *body)
{
	const unsigned id = g->n_scanners++ % FAKE_SCANNERS;
	struct fake_scanner *const scanner = &g->scanners[id];
	snprintf(scanner->table, sizeof(scanner->table), "%s", table);
	scanner->skip = 0;
	scanner->broken = false;
	scanner->batch = (unsigned)strtoul(strstr(body, "\"batch\":") + 8, NULL, 10);
	fake_read_row(body, "\"startRow\":\"", &scanner->from);
	fake_read_row(body, "\"endRow\":\"", &scanner->to);
	snprintf(g->location, sizeof(g->location), "Location: http://elsewhere:1/%s/scanner/%x\r\n", table, id + 16);
	return fake_say(g, 201, "");
}

struct fake_scanning {
	struct fake_gateway *g;
	struct fake_scanner *scanner;
	struct buf next;
	size_t skip;
	size_t cells;
	uint64_t rows;
	size_t parts; /* of rows, before HBase fails */
	bool failed;
};

static inline int fake_take_scanned(void *context, const struct cells_row *row, struct error *err)
{
	struct fake_scanning *const s = context;
	(void)err;
	const size_t from = s->skip;
	const size_t room = s->scanner->batch - s->cells;
	if (room == 0)
		return 1;
	s->failed = s->parts == 0;
	if (s->failed)
		return 1;
	s->parts--;
	const size_t n = row->n - from < room ? row->n - from : room;
	if (n)
		fake_add_row(s->g, row, from, n);
	s->cells += n;
	s->rows++;
	buf_clear(&s->next);
	buf_append(&s->next, row->key.data, row->key.len);
	s->skip = from + n;
	if (s->skip < row->n)
		return 1;
	buf_append(&s->next, "", 1);
	s->skip = 0;
	return 0;
}

static inline int fake_take_end(void *context, const struct cells_row *row, struct error *err)
{
	(void)fake_take_scanned(context, row, err);
	return 0;
}

/* The row at the end of the table, which HBase gives as all others; scans of the store end before it. */
static inline void fake_scan_end(struct fake_scanning *s, const struct cells_range *range)
{
	char end[CELLS_END_BYTES];
	const struct slice key = {end, sizeof(end)};
	memset(end, 0xff, sizeof(end));
	if (s->failed || (range->limit && s->rows >= range->limit) || range->to.len ||
	    slice_compare(range->from, key) > 0)
		return;
	assert_int_equal(cells_get(s->g->store, s->scanner->table, &key, 1, fake_take_end, s, NULL), 0);
}

/* `parts`: rows, or parts of large ones, until a region server dies: the answer ends there, as if there were no more. */
static inline int fake_read_scanner(struct fake_gateway *g, unsigned long id, uint64_t rows, size_t parts)
{
	struct fake_scanner *const scanner = id >= 16 && id < 16 + FAKE_SCANNERS ? &g->scanners[id - 16] : NULL;
	if (!scanner || !scanner->table[0] || !fake_families(g, scanner->table))
		return fake_say(g, 404, "Not found\r\n");
	/* At the worst it leaves something out. */
	if (scanner->broken) {
		buf_append(&scanner->from, "", 1);
		scanner->skip = 0;
	}
	struct fake_scanning s = {.g = g, .scanner = scanner, .skip = scanner->skip, .parts = parts};
	const struct cells_range range = {.from = {scanner->from.data, scanner->from.len},
					  .to = {scanner->to.data, scanner->to.len},
					  .limit = rows};
	fake_say(g, 200, "{\"Row\":[");
	assert_int_equal(cells_scan(g->store, scanner->table, &range, fake_take_scanned, &s, NULL), 0);
	fake_scan_end(&s, &range);
	buf_append_text(&g->out, "]}");
	scanner->broken = s.failed;
	if (s.next.len) {
		buf_clear(&scanner->from);
		buf_append(&scanner->from, s.next.data, s.next.len);
		scanner->skip = s.skip;
	}
	buf_release(&s.next);
	return s.cells ? 200 : fake_say(g, 204, "");
}

/* --- requests --------------------------------------------------------------------------------------------------------------- */

static inline int fake_health(struct fake_gateway *g, const char *path)
{
	if (strcmp(path, "/version/cluster") == 0)
		return fake_say(g, 200, "{\"Version\":\"2.6.1-fake\"}");
	if (strcmp(path, "/version") == 0)
		return fake_say(g, 200, "{\"REST\":\"0.0.3\"}");
	if (strcmp(path, "/status/cluster") == 0)
		return fake_say(g, 200, "{\"LiveNodes\":[{\"Region\":[{}]}],\"DeadNodes\":[]}");
	if (strcmp(path, "/namespaces") == 0)
		return fake_say(g, 200, "{\"Namespace\":[\"default\"]}");
	if (strcmp(path, "/") != 0)
		return 0;
	fake_say(g, 200, "{\"table\":[");
	for (unsigned i = 0; i < g->n_tables; i++)
		buf_printf(&g->out, "%s{\"name\":\"%s\"}", i ? "," : "", g->tables[i].name);
	buf_append_text(&g->out, "]}");
	return 200;
}

/* `rows` of a batch are stored, however many it has; `parts` of a page of a scan are given. */
static inline int fake_handle(struct fake_gateway *g, const char *method, const char *path, struct slice body,
			      size_t rows, size_t parts)
{
	char table[128];
	const int healthy = fake_health(g, path);
	if (healthy)
		return healthy;
	const size_t len = strcspn(path + 1, "/");
	snprintf(table, sizeof(table), "%.*s", (int)len, path + 1);
	const char *const rest = path + 1 + len;
	const bool reads = strcmp(method, "GET") == 0;
	const bool deletes = strcmp(method, "DELETE") == 0;
	if (strcmp(rest, "/schema") == 0)
		return reads ? fake_get_schema(g, table) : fake_put_schema(g, table, body.data);
	if (strcmp(rest, "/any") == 0)
		return fake_put(g, table, body, rows);
	if (strncmp(rest, "/multiget?", 10) == 0)
		return fake_multiget(g, table, rest);
	if (strcmp(rest, "/scanner") == 0)
		return fake_open_scanner(g, table, body.data);
	if (strncmp(rest, "/scanner/", 9) == 0 && deletes)
		return fake_say(g, 200, "");
	if (strncmp(rest, "/scanner/", 9) == 0)
		return fake_read_scanner(g, strtoul(rest + 9, NULL, 16), strtoull(strstr(rest, "?n=") + 3, NULL, 10),
					 parts);
	assert_true(deletes);
	return fake_delete(g, table, rest + 1);
}

/* A request with its fault. Returns whether the connection stays. */
static inline int fake_answer(struct fake_gateway *g, int fd, const char *method, const char *path, struct slice body)
{
	enum {
		SAY_503,
		SAY_500,
		SAY_NOTHING,
		DO_AND_SAY_500,
		DO_AND_SAY_NOTHING,
		SAY_HALF,
		HANG,
		BAD_ROW,
		SCAN_ENDS,
		KINDS,
		FINE
	};
	const unsigned fault = g->one_in && random_below(&g->random, g->one_in) == 0
				       ? (unsigned)random_below(&g->random, KINDS)
				       : FINE;
	_cleanup_buf_ struct buf answer = {0};
	const size_t rows = fault == BAD_ROW ? (size_t)random_below(&g->random, 20) : SIZE_MAX;
	const size_t parts = fault == SCAN_ENDS ? (size_t)random_below(&g->random, 4) : SIZE_MAX;
	char byte;
	int status = 200;
	g->faults += fault != FINE;
	g->location[0] = '\0';
	fake_say(g, 200, "");
	if (fault == SAY_NOTHING)
		return 0;
	/* Seldom: each costs the client's time-out. */
	if (fault == HANG && random_below(&g->random, 8) == 0) {
		while (script_read(&g->server, fd, &byte, 1) > 0)
			;
		return 0;
	}
	if (fault == SAY_503)
		status = fake_say(g, 503, "Unavailable\r\norg.apache.hadoop.hbase.RetriesExhaustedException: x\n");
	else if (fault == SAY_500)
		status = fake_say(g, 500, FAKE_BARE_500);
	else
		status = fake_handle(g, method, path, body, rows, parts);
	if (fault == DO_AND_SAY_NOTHING)
		return 0;
	if (fault == DO_AND_SAY_500)
		status = fake_say(g, 500, FAKE_BARE_500);
	buf_printf(&answer, "HTTP/1.1 %d Said\r\n%s", status, g->location);
	if (status != 204)
		buf_printf(&answer, "Content-Type: %s\r\nContent-Length: %zu\r\n", g->type, g->out.len);
	buf_append_text(&answer, "\r\n");
	buf_append(&answer, g->out.data, g->out.len);
	script_send(fd, answer.data, fault == SAY_HALF ? answer.len / 2 : answer.len);
	return fault != SAY_HALF;
}

/* Whether the connection stays. */
static inline int fake_serve(struct fake_gateway *g, int fd)
{
	/* The path of a multiget is longer than the head that a script keeps. */
	struct script_request request = {0};
	int stays = script_receive(&g->server, fd, &request);
	char *const path = strchr(request.head, ' ');
	if (stays && path) {
		*path = '\0';
		char *const end = strchr(path + 1, ' ');
		assert_non_null(end);
		*end = '\0';
		buf_text(&request.body);
		stays = fake_answer(g, fd, request.head, path + 1, (struct slice){request.body.data, request.body.len});
	}
	buf_release(&request.body);
	return stays;
}

/* One request at a time, of whichever connection. */
static inline void *fake_run(void *argument)
{
	struct fake_gateway *const g = argument;
	struct pollfd fds[2 + FAKE_CONNECTIONS] = {{.fd = g->server.listener, .events = POLLIN},
						   {.fd = g->server.stop[0], .events = POLLIN}};
	nfds_t n = 2;
	while (poll(fds, n, -1) > 0 && !fds[1].revents) {
		for (nfds_t i = n; i-- > 2;) {
			if (!fds[i].revents || fake_serve(g, fds[i].fd))
				continue;
			close(fds[i].fd);
			fds[i] = fds[--n];
		}
		if (!fds[0].revents)
			continue;
		const int fd = accept4(g->server.listener, NULL, NULL, SOCK_CLOEXEC);
		assert_true(fd >= 0 && n < 2 + FAKE_CONNECTIONS);
		fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
		g->n_connections++;
	}
	while (n > 2)
		close(fds[--n].fd);
	return NULL;
}

static inline void fake_start(struct fake_gateway *g, struct cells *store, uint64_t seed, unsigned one_in)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	memset(g, 0, sizeof(*g));
	g->store = store;
	g->one_in = one_in;
	random_init(&g->random, seed);
	g->server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(g->server.listener >= 0 && bind(g->server.listener, (struct sockaddr *)&in, len) == 0);
	assert_int_equal(getsockname(g->server.listener, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(listen(g->server.listener, 16), 0);
	assert_int_equal(pipe2(g->server.stop, O_CLOEXEC), 0);
	snprintf(g->server.url, sizeof(g->server.url), "http://127.0.0.1:%u", ntohs(in.sin_port));
	assert_int_equal(pthread_create(&g->server.thread, NULL, fake_run, g), 0);
}

/* The store stays the caller's. */
static inline void fake_stop(struct fake_gateway *g)
{
	script_stop(&g->server);
	for (unsigned i = 0; i < FAKE_SCANNERS; i++) {
		buf_release(&g->scanners[i].from);
		buf_release(&g->scanners[i].to);
	}
	buf_release(&g->out);
}

#endif
