/*
 * Cells in HBase, by its REST gateway: opening, asking, and what writes. Reading is in cells_hbase_read.c, tables and health in
 * cells_hbase_tables.c.
 *
 * What the gateway says of itself is little: a table that is not there is 404 here and a bare 500 there, an outage is 503 or a bare
 * 500, or nothing at all for minutes; a batch with one bad row is 404, and its other rows are stored. So all that is sent may be sent
 * twice, a 500 is looked into once, and names of what is missing come from the table's schema.
 */
#include "store/cells_hbase_internal.h"

#include "base/base64.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Fewer are not worth a connection more. */
#define ERASES_OF_LANE 64u

static const char *const json_headers[] = {"Accept: application/json", "Content-Type: application/json", NULL};

/* --- asking ----------------------------------------------------------------------------------------------------------------- */

/* "…RetriesExhaustedException: Failed after attempts=4, exceptions:\n<time>, RpcRetryingCaller{…}, <exception>: <what>": the first of
 * these, which says why. Empty when the line is none such. */
static struct slice first_cause(const char *line, size_t len)
{
	static const char end[] = "exceptions:";
	const size_t end_len = sizeof(end) - 1;
	if (len < end_len || memcmp(line + len - end_len, end, end_len) != 0)
		return (struct slice){"", 0};
	const char *next = line + len + strspn(line + len, "\r\n");
	const size_t next_len = strcspn(next, "\r\n");
	const char *const behind = memmem(next, next_len, "}, ", 3);
	const size_t skipped = behind ? (size_t)(behind + 3 - next) : 0;
	return (struct slice){next + skipped, next_len - skipped};
}

void hbase_reason(const struct http_answer *answer, char *out, size_t size)
{
	const char *line = answer->body.len ? answer->body.data : "";
	/* "Not found\r\norg.apache.…Exception: what\n\tat org.apache.…": the exception says more than the first line. */
	const char *const second = strchr(line, '\n');
	if (second && (strncmp(second + 1, "org.", 4) == 0 || strncmp(second + 1, "java.", 5) == 0))
		line = second + 1;
	if (line[0] == '{' || line[0] == '<')
		line = "";
	const size_t len = strcspn(line, "\r\n");
	const struct slice cause = first_cause(line, len);
	snprintf(out, size, "answered %d%s%.*s%s%.*s", answer->status, len ? ": " : "", (int)len, line,
		 cause.len ? " " : "", (int)cause.len, cause.data);
}

int hbase_refused(const struct hbase *h, int code, struct error *err, const char *doing)
{
	char reason[512];
	hbase_reason(&h->answer, reason, sizeof(reason));
	return error_set(err, code, "%s: cannot %s: %s", h->name, doing, reason);
}

/* Exceptions that come with a 503, as if it were an outage, and that no waiting mends. */
static int lasting(const struct http_answer *answer)
{
	static const struct {
		const char *name;
		int code;
	} known[] = {
		{"AccessDeniedException", ERROR_DENIED},     {"NamespaceNotFoundException", ERROR_NOT_FOUND},
		{"TableNotFoundException", ERROR_NOT_FOUND}, {"FailedSanityCheckException", ERROR_CONFIG},
		{"QuotaExceededException", ERROR_NO_SPACE},  {"SpaceLimitingException", ERROR_NO_SPACE},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (answer->body.len && strstr(answer->body.data, known[i].name))
			return known[i].code;
	return 0;
}

static enum http_verdict judge(void *context, const struct http_answer *answer, struct error *err)
{
	struct hbase *const h = context;
	char reason[512];
	const int status = answer->status;
	h->cells.counts.read_bytes += answer->body.len;
	if ((status >= 200 && status < 300) || status == 400 || status == 404 || status == 410 || status == 414 ||
	    (status == 500 && h->take_500))
		return HTTP_TAKE;
	hbase_reason(answer, reason, sizeof(reason));
	if (status == 401 || status == 403) {
		error_set(err, ERROR_DENIED, "%s; check the user, the ticket or token, and the grants in HBase",
			  reason);
		return HTTP_FAIL;
	}
	const int code = lasting(answer);
	if (code) {
		error_set(err, code, "%s", reason);
		return HTTP_FAIL;
	}
	if (status == 429 || (status >= 500 && status <= 504)) {
		error_set(err, ERROR_AWAY, "%s; is HBase up?", reason);
		return HTTP_AGAIN;
	}
	error_set(err, ERROR_IO, "%s; is this the URL of HBase's REST gateway?", reason);
	return HTTP_FAIL;
}

int hbase_ask(struct hbase *h, const struct http_request *request, struct error *err)
{
	struct http_request asked = *request;
	asked.judge = judge;
	asked.judge_context = h;
	if (!asked.headers)
		asked.headers = json_headers;
	const int rc = http_ask(h->http, &asked, &h->answer, err);
	struct cells_counts *const counts = &h->cells.counts;
	counts->requests += h->answer.tries;
	counts->retries += h->answer.tries > 1 ? h->answer.tries - 1 : 0;
	counts->sent_bytes += h->answer.tries * asked.body.len;
	return rc;
}

int hbase_ask_table(struct hbase *h, const char *table, const struct http_request *request, struct error *err)
{
	h->take_500 = true;
	int rc = hbase_ask(h, request, err);
	h->take_500 = false;
	if (rc < 0 || h->answer.status != 500)
		return rc;
	/* The request's path may be h->path. */
	const struct buf path = h->path;
	_cleanup_buf_ struct buf families = {0};
	h->path = (struct buf){0};
	rc = hbase_families(h, table, &families, err);
	buf_release(&h->path);
	h->path = path;
	if (rc < 0)
		return rc;
	h->cells.counts.retries++;
	return hbase_ask(h, request, err);
}

/* --- paths ------------------------------------------------------------------------------------------------------------------ */

int hbase_begin_path(struct hbase *h, const char *table, struct error *err)
{
	buf_clear(&h->path);
	return hbase_add_path(h, err, "/%s%s", h->prefix, table);
}

int hbase_add_path(struct hbase *h, struct error *err, const char *format, ...)
{
	char text[512];
	va_list list;
	va_start(list, format);
	const int len = vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (len < 0 || (size_t)len >= sizeof(text))
		return error_set(err, ERROR_LIMIT, "%s: a path is too long", h->name);
	/* It ends with a NUL, always: it is asked for as it is. */
	if (buf_append(&h->path, text, (size_t)len) < 0 || !buf_text(&h->path))
		return error_no_memory(err, h->path.len);
	return 0;
}

/* --- putting ---------------------------------------------------------------------------------------------------------------- */

/* Why the gateway did not find what a batch is for. Its other rows are stored; that does no harm. */
static int explain_missing(struct hbase *h, const char *table, const struct cells_put *puts, size_t n,
			   struct error *err)
{
	_cleanup_buf_ struct buf families = {0};
	char reason[512];
	hbase_reason(&h->answer, reason, sizeof(reason));
	const int rc = hbase_families(h, table, &families, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < n; i++) {
		const struct slice family = cells_family(puts[i].column);
		if (!hbase_has_family(&families, family))
			return error_set(err, ERROR_NOT_FOUND,
					 "%s: table %s%s has no family %.*s; add it in the HBase shell: alter '%s%s', "
					 "NAME => '%.*s', VERSIONS => 1",
					 h->name, h->prefix, table, (int)family.len, family.data, h->prefix, table,
					 (int)family.len, family.data);
	}
	return error_set(err, ERROR_AWAY, "%s: table %s%s: a put %s, though table and families are there", h->name,
			 h->prefix, table, reason);
}

/* Sends h->body, which holds these puts. */
static int send_batch(struct hbase *h, const char *table, const struct cells_put *puts, size_t n, struct error *err)
{
	int rc = hbase_json_end(&h->body) < 0 ? error_no_memory(err, h->body.len) : 0;
	if (rc == 0)
		rc = hbase_begin_path(h, table, err);
	if (rc == 0)
		rc = hbase_add_path(h, err, "/any");
	/* Once more when something was not found: a table that is being made or changed is away for a moment. */
	for (unsigned i = 0; i < 2 && rc == 0; i++) {
		const struct http_request request = {
			.method = HTTP_PUT, .path = h->path.data, .body = {h->body.data, h->body.len}};
		rc = hbase_ask_table(h, table, &request, err);
		if (rc < 0)
			break;
		if (h->answer.status >= 200 && h->answer.status < 300)
			return 0;
		if (h->answer.status != 404)
			return hbase_refused(h, ERROR_IO, err, "put");
	}
	return rc < 0 ? rc : explain_missing(h, table, puts, n, err);
}

static int put(struct cells *cells, const char *table, const struct cells_put *puts, size_t n, struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	size_t at = 0;
	while (at < n) {
		const size_t begin = at;
		buf_clear(&h->body);
		if (hbase_json_begin(&h->body) < 0)
			return error_no_memory(err, h->body.len);
		for (uint32_t rows = 0; at < n && rows < h->options.batch_rows; rows++) {
			const size_t of_row = hbase_row_puts(puts + at, n - at);
			if (rows && h->body.len + hbase_json_size(puts + at, of_row) > h->options.batch_bytes)
				break;
			if (hbase_json_row(&h->body, puts + at, of_row) < 0)
				return error_no_memory(err, h->body.len);
			at += of_row;
		}
		const int rc = send_batch(h, table, puts + begin, at - begin, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- erasing ---------------------------------------------------------------------------------------------------------------- */

static int add_base64(struct hbase *h, struct slice bytes, struct error *err)
{
	if (buf_reserve(&h->path, base64_size(bytes.len) + 1) < 0)
		return error_no_memory(err, bytes.len);
	h->path.len = (size_t)(base64_put_url(h->path.data + h->path.len, bytes) - h->path.data);
	return 0;
}

/* As many of the erases, from the first on, as go into one request: of one row, and up to one version. */
static int begin_erase(struct hbase *h, const char *table, const struct cells_erase *erases, size_t n, size_t *taken,
		       struct error *err)
{
	const struct cells_erase *const first = &erases[0];
	size_t i = 0;
	int rc = hbase_begin_path(h, table, err);
	if (rc == 0)
		rc = hbase_add_path(h, err, "/");
	if (rc == 0)
		rc = add_base64(h, first->key, err);
	for (; i < n && rc == 0; i++) {
		if (i && (erases[i].version != first->version || !slice_equal(erases[i].key, first->key) ||
			  h->path.len + base64_size(erases[i].column.len) + 32 > h->uri_bytes))
			break;
		rc = hbase_add_path(h, err, i ? "," : "/");
		if (rc == 0)
			rc = add_base64(h, erases[i].column, err);
	}
	*taken = i;
	return rc < 0 ? rc : hbase_add_path(h, err, "/%lld?e=b64", (long long)first->version);
}

static int explain_erase(struct hbase *h, const char *table, const struct cells_erase *erase, struct error *err)
{
	const struct cells_put like = {.key = erase->key, .column = erase->column};
	return explain_missing(h, table, &like, 1, err);
}

static int erase_by_rows(struct hbase *h, const char *table, const struct cells_erase *erases, size_t n,
			 struct error *err)
{
	size_t at = 0;
	while (at < n) {
		size_t taken = 0;
		int rc = begin_erase(h, table, erases + at, n - at, &taken, err);
		if (rc == 0) {
			const struct http_request request = {.method = HTTP_DELETE, .path = h->path.data};
			rc = hbase_ask_table(h, table, &request, err);
		}
		if (rc < 0)
			return rc;
		if (h->answer.status == 414 && taken > 1) {
			h->uri_bytes = h->path.len / 2;
			continue;
		}
		/* Explaining asks, and has an answer of its own. */
		const int status = h->answer.status;
		for (size_t i = 0; i < taken && status == 404; i++) {
			rc = explain_erase(h, table, &erases[at + i], err);
			if (rc != ERROR_AWAY || i == taken - 1)
				return rc;
		}
		if (status >= 300)
			return hbase_refused(h, ERROR_IO, err, "erase");
		at += taken;
	}
	return 0;
}

struct erasing {
	struct hbase *h;
	const char *table;
	const struct cells_erase *erases;
	size_t n;
	pthread_t thread;
	bool has_thread;
	int rc;
	struct error err;
};

static void *erase_part(void *context)
{
	struct erasing *const part = context;
	part->rc = erase_by_rows(part->h, part->table, part->erases, part->n, &part->err);
	return NULL;
}

static void add_counts(struct hbase *h, struct hbase *lane)
{
	struct cells_counts *const all = &h->cells.counts;
	const struct cells_counts *const its = &lane->cells.counts;
	all->requests += its->requests;
	all->retries += its->retries;
	all->sent_bytes += its->sent_bytes;
	all->read_bytes += its->read_bytes;
	lane->cells.counts = (struct cells_counts){0};
}

static int open_one(const struct cells_hbase_options *options, struct hbase **out, struct error *err);

/* A connection for a part of the erases, this driver's; NULL: there is no memory for one more, and it goes with fewer. */
static struct hbase *lane(struct hbase *h, size_t i)
{
	struct hbase *found = h->lanes[i];
	if (!found)
		(void)open_one(&h->options, &found, NULL);
	if (!found)
		return NULL;
	h->lanes[i] = found;
	if (found->uri_bytes > h->uri_bytes)
		found->uri_bytes = h->uri_bytes;
	return found;
}

/* As many parts as there are lanes, rows whole; their number. */
static size_t share_out(struct hbase *h, const char *table, const struct cells_erase *erases, size_t n,
			struct erasing *parts)
{
	size_t n_parts = 1;
	parts[0].h = h;
	while (n_parts < h->options.lanes && n / ERASES_OF_LANE > n_parts &&
	       (parts[n_parts].h = lane(h, n_parts - 1)) != NULL)
		n_parts++;
	size_t at = 0;
	for (size_t i = 0; i < n_parts; i++) {
		size_t end = n * (i + 1) / n_parts;
		end = end < at ? at : end;
		while (end > at && end < n && slice_equal(erases[end].key, erases[end - 1].key))
			end++;
		parts[i].table = table;
		parts[i].erases = erases + at;
		parts[i].n = end - at;
		at = end;
	}
	return n_parts;
}

/* Most of a request's time is the gateway's and the region server's: several are under way at a time, of other rows each. */
static int erase(struct cells *cells, const char *table, const struct cells_erase *erases, size_t n, struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	struct erasing parts[CELLS_LANES_MAX] = {0};
	const size_t n_parts = share_out(h, table, erases, n, parts);
	for (size_t i = 1; i < n_parts; i++)
		parts[i].has_thread = pthread_create(&parts[i].thread, NULL, erase_part, &parts[i]) == 0;
	int rc = 0;
	for (size_t i = 0; i < n_parts; i++) {
		struct erasing *const part = &parts[i];
		if (part->has_thread)
			pthread_join(part->thread, NULL);
		else if (rc == 0)
			erase_part(part);
		if (i)
			add_counts(h, part->h);
		if (part->h->uri_bytes < h->uri_bytes)
			h->uri_bytes = part->h->uri_bytes;
		/* What no waiting mends comes first. */
		if (part->rc < 0 && (rc == 0 || rc == ERROR_AWAY))
			rc = error_set(err, part->rc, "%s", part->err.message);
	}
	return rc;
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

static void close_hbase(struct cells *cells)
{
	struct hbase *const h = (struct hbase *)cells;
	for (size_t i = 0; i < CELLS_LANES_MAX; i++)
		if (h->lanes[i])
			close_hbase(&h->lanes[i]->cells);
	http_close(h->http);
	http_answer_release(&h->answer);
	buf_release(&h->path);
	buf_release(&h->body);
	hbase_rows_release(&h->rows);
	struct http_options *const http = &h->options.http;
	free((void *)(uintptr_t)http->server);
	free((void *)(uintptr_t)http->url);
	free((void *)(uintptr_t)http->auth_name);
	free((void *)(uintptr_t)http->auth_value);
	free((void *)(uintptr_t)http->ca_file);
	free(h->prefix);
	free(h->name);
	free(h);
}

static const struct cells_driver driver = {
	.ensure = hbase_ensure,
	.put = put,
	.erase = erase,
	.get = hbase_get,
	.scan = hbase_scan,
	.ping = hbase_ping,
	.rights = hbase_rights,
	.close = close_hbase,
};

static bool is_prefix(const char *prefix)
{
	const size_t len = strlen(prefix);
	const char *const colon = strchr(prefix, ':');
	return len <= CELLS_TABLE_BYTES && (!colon || (colon != prefix && !strchr(colon + 1, ':'))) &&
	       strspn(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:") == len &&
	       !strchr("-.", prefix[0] ? prefix[0] : 'a');
}

/* For further connections: its texts, of which some may be NULL, become this driver's own. */
static int copy_options(struct hbase *h, const struct cells_hbase_options *given)
{
	h->options = *given;
	h->prefix = slice_dup(slice_of(given->prefix));
	h->options.prefix = h->prefix;
	const char **const texts[] = {&h->options.http.server, &h->options.http.url, &h->options.http.auth_name,
				      &h->options.http.auth_value, &h->options.http.ca_file};
	bool all = h->prefix != NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (*texts[i] && !(*texts[i] = slice_dup(slice_of(*texts[i]))))
			all = false;
	return all ? 0 : ERROR_NO_MEMORY;
}

static int open_one(const struct cells_hbase_options *options, struct hbase **out, struct error *err)
{
	struct hbase *const h = calloc(1, sizeof(*h));
	if (!h)
		return error_no_memory(err, sizeof(*h));
	h->cells.driver = &driver;
	h->uri_bytes = options->uri_bytes;
	int rc = copy_options(h, options) < 0 ? error_no_memory(err, sizeof(*h))
					      : http_open(&h->options.http, &h->http, err);
	if (rc == 0) {
		h->name = slice_dup(slice_of(http_name(h->http)));
		rc = h->name ? 0 : error_no_memory(err, sizeof(*h));
	}
	if (rc < 0) {
		close_hbase(&h->cells);
		return rc;
	}
	h->cells.name = h->name;
	*out = h;
	return 0;
}

int cells_open_hbase(const struct cells_hbase_options *options, struct cells **out, struct error *err)
{
	if (!is_prefix(options->prefix))
		return error_set(
			err, ERROR_CONFIG,
			"HBase: '%s' is no prefix of tables: letters, digits, '_', '-' and '.', and at most one "
			"':' behind a namespace",
			options->prefix);
	if (options->lanes < 1 || options->lanes > CELLS_LANES_MAX)
		return error_set(err, ERROR_CONFIG, "HBase: %u connections are not 1 to %u", options->lanes,
				 CELLS_LANES_MAX);
	struct hbase *h = NULL;
	const int rc = open_one(options, &h, err);
	if (rc == 0)
		*out = &h->cells;
	return rc;
}
