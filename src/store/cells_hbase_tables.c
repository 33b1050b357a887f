/* HBase's tables, and how it is: schema, namespaces, versions, status, rights. */
#include "store/cells_hbase_internal.h"

#include "base/clock.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

/* Of an answer that is JSON; NULL, and err, when it is none. The caller puts it back. */
static struct json_object *parse(struct hbase *h, struct error *err)
{
	struct json_object *const object = h->answer.body.len ? json_tokener_parse(h->answer.body.data) : NULL;
	if (object && json_object_is_type(object, json_type_object))
		return object;
	json_object_put(object);
	error_set(err, ERROR_CORRUPT,
		  "%s: the answer %d is not one of HBase's REST gateway; is the URL right, and nothing between that "
		  "changes "
		  "answers?",
		  h->name, h->answer.status);
	return NULL;
}

static const char *text_of(const struct json_object *object, const char *name)
{
	struct json_object *member = NULL;
	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return "";
	return json_object_get_string(member);
}

/* A member that is a list, and its length; 0 when it is none. */
static size_t list_of(const struct json_object *object, const char *name, struct json_object **list)
{
	if (!json_object_object_get_ex(object, name, list) || !json_object_is_type(*list, json_type_array))
		return 0;
	return json_object_array_length(*list);
}

/* --- schema ----------------------------------------------------------------------------------------------------------------- */

static int ask_schema(struct hbase *h, const char *table, enum http_method method, struct slice body, bool once,
		      struct error *err)
{
	int rc = hbase_begin_path(h, table, err);
	if (rc == 0)
		rc = hbase_add_path(h, err, "/schema");
	if (rc < 0)
		return rc;
	return hbase_ask(h, &(struct http_request){.method = method, .path = h->path.data, .body = body, .once = once},
			 err);
}

int hbase_families(struct hbase *h, const char *table, struct buf *families, struct error *err)
{
	int rc = ask_schema(h, table, HTTP_GET, (struct slice){0}, false, err);
	if (rc < 0)
		return rc;
	if (h->answer.status == 404 && h->answer.body.len && strncmp(h->answer.body.data, "Not found", 9) == 0)
		return error_set(err, ERROR_NOT_FOUND, "%s: there is no table %s%s", h->name, h->prefix, table);
	if (h->answer.status != 200)
		return hbase_refused(h, ERROR_IO, err, "read the table's schema");
	struct json_object *const object = parse(h, err);
	struct json_object *columns = NULL;
	if (!object)
		return ERROR_CORRUPT;
	const size_t n = list_of(object, "ColumnSchema", &columns);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *const name = text_of(json_object_array_get_idx(columns, i), "name");
		if (buf_append(families, name, strlen(name) + 1) < 0)
			rc = error_no_memory(err, n);
	}
	json_object_put(object);
	return rc;
}

bool hbase_has_family(const struct buf *families, struct slice family)
{
	for (size_t at = 0; at < families->len; at += strlen(families->data + at) + 1)
		if (slice_is(family, families->data + at))
			return true;
	return false;
}

/* --- making ----------------------------------------------------------------------------------------------------------------- */

/* The namespace of the prefix, when it has one and it is not there. */
static int ensure_namespace(struct hbase *h, struct error *err)
{
	const char *const colon = strchr(h->prefix, ':');
	if (!colon)
		return 0;
	const int len = (int)(colon - h->prefix);
	int rc = hbase_ask(h, &(struct http_request){.path = "/namespaces"}, err);
	if (rc < 0 || h->answer.status != 200)
		return rc < 0 ? rc : hbase_refused(h, ERROR_IO, err, "list the namespaces");
	struct json_object *const object = parse(h, err);
	struct json_object *names = NULL;
	bool there = false;
	if (!object)
		return ERROR_CORRUPT;
	const size_t n = list_of(object, "Namespace", &names);
	for (size_t i = 0; i < n; i++) {
		const char *const name = json_object_get_string(json_object_array_get_idx(names, i));
		there = there || (name && slice_is((struct slice){h->prefix, (size_t)len}, name));
	}
	json_object_put(object);
	if (there)
		return 0;
	buf_clear(&h->path);
	rc = hbase_add_path(h, err, "/namespaces/%.*s", len, h->prefix);
	if (rc == 0)
		rc = hbase_ask(h, &(struct http_request){.method = HTTP_POST, .path = h->path.data}, err);
	/* 403: another made it a moment ago; what really is not allowed is seen when the table is made. */
	return rc == ERROR_DENIED ? 0 : rc;
}

/* Bloom filters by row, for look-ups of single rows; keys that begin alike are packed. Names are words: nothing in them is to be
 * escaped. */
static int schema_body(const struct hbase *h, const char *table, const char *const *families, struct buf *out,
		       struct error *err)
{
	int rc = buf_printf(out, "{\"name\":\"%s%s\",\"ColumnSchema\":[", h->prefix, table);
	for (size_t i = 0; families[i] && rc == 0; i++)
		rc = buf_printf(out,
				"%s{\"name\":\"%s\",\"VERSIONS\":\"1\",\"BLOOMFILTER\":\"ROW\","
				"\"DATA_BLOCK_ENCODING\":\"FAST_DIFF\"}",
				i ? "," : "", families[i]);
	if (rc == 0)
		rc = buf_append_text(out, "]}");
	return rc < 0 ? error_no_memory(err, out->len) : 0;
}

static int check_families(const struct hbase *h, const char *table, const char *const *wanted,
			  const struct buf *families, struct error *err)
{
	for (size_t i = 0; wanted[i]; i++)
		if (!hbase_has_family(families, slice_of(wanted[i])))
			return error_set(
				err, ERROR_EXISTS,
				"%s: table %s%s is there without family %s; if it is punchcard's, add it in the "
				"HBase shell (alter '%s%s', NAME => '%s', VERSIONS => 1), else choose another "
				"prefix",
				h->name, h->prefix, table, wanted[i], h->prefix, table, wanted[i]);
	return 0;
}

void hbase_end_key(char key[CELLS_END_BYTES])
{
	memset(key, 0xff, CELLS_END_BYTES);
}

int hbase_put_end(struct hbase *h, const char *table, const struct buf *families, struct error *err)
{
	char key[CELLS_END_BYTES];
	_cleanup_free_ char *column = families->len ? text_printf("%s:", families->data) : NULL;
	if (!families->len)
		return error_set(err, ERROR_CORRUPT, "%s: table %s%s has no family", h->name, h->prefix, table);
	if (!column)
		return error_no_memory(err, CELLS_FAMILY_BYTES);
	hbase_end_key(key);
	/* By the clock: an old cell would be expired by a TTL at once. */
	const struct cells_put end = {
		.key = {key, sizeof(key)}, .column = slice_of(column), .version = clock_now_us() / 1000};
	return h->cells.driver->put(&h->cells, table, &end, 1, err);
}

int hbase_ensure(struct cells *cells, const char *table, const char *const *families, struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	_cleanup_buf_ struct buf body = {0};
	int rc = schema_body(h, table, families, &body, err);
	/* A schema that is put replaces one that is there: so it is put once, and looked at again when no answer came. */
	for (unsigned i = 0; rc == 0 && i < 3; i++) {
		_cleanup_buf_ struct buf there = {0};
		struct error missing = {0};
		rc = hbase_families(h, table, &there, &missing);
		if (rc == 0) {
			rc = check_families(h, table, families, &there, err);
			return rc < 0 ? rc : hbase_put_end(h, table, &there, err);
		}
		if (rc != ERROR_NOT_FOUND) {
			if (err)
				*err = missing;
			return rc;
		}
		rc = ensure_namespace(h, err);
		if (rc < 0)
			return rc;
		rc = ask_schema(h, table, HTTP_PUT, (struct slice){body.data, body.len}, true, err);
		if (rc == 0 && h->answer.status >= 200 && h->answer.status < 300) {
			if (buf_append(&there, families[0], strlen(families[0]) + 1) < 0)
				return error_no_memory(err, CELLS_FAMILY_BYTES);
			return hbase_put_end(h, table, &there, err);
		}
		if (rc == 0)
			return hbase_refused(h, ERROR_IO, err, "make the table");
		if (rc == ERROR_AWAY && i < 2)
			rc = 0;
	}
	return rc;
}

/* --- how it is -------------------------------------------------------------------------------------------------------------- */

/* One answer of 200, without trying again. */
static int ask_now(struct hbase *h, const char *path, struct error *err)
{
	const int rc = hbase_ask(
		h, &(struct http_request){.path = path, .once = true, .silence_ms = h->options.trial_ms}, err);
	if (rc == 0 && h->answer.status != 200)
		return hbase_refused(h, ERROR_IO, err, "look how it is");
	return rc;
}

/* A member of an answer, as text; "" when it has none. */
static int ask_text(struct hbase *h, const char *path, const char *name, char *out, size_t size, struct error *err)
{
	const int rc = ask_now(h, path, err);
	if (rc < 0)
		return rc;
	struct json_object *const object = parse(h, err);
	if (!object)
		return ERROR_CORRUPT;
	snprintf(out, size, "%s", text_of(object, name));
	json_object_put(object);
	return 0;
}

static int ask_status(struct hbase *h, struct cells_health *out, struct error *err)
{
	const int rc = ask_now(h, "/status/cluster", err);
	if (rc < 0)
		return rc;
	struct json_object *const object = parse(h, err);
	struct json_object *list = NULL;
	struct json_object *regions = NULL;
	if (!object)
		return ERROR_CORRUPT;
	out->servers = (uint32_t)list_of(object, "LiveNodes", &list);
	for (uint32_t i = 0; i < out->servers; i++)
		out->regions += list_of(json_object_array_get_idx(list, i), "Region", &regions);
	out->dead = (uint32_t)list_of(object, "DeadNodes", &list);
	json_object_put(object);
	return 0;
}

static int ask_tables(struct hbase *h, struct cells_health *out, struct error *err)
{
	int rc = ask_now(h, "/", err);
	if (rc < 0)
		return rc;
	struct json_object *const object = parse(h, err);
	struct json_object *list = NULL;
	const size_t prefix_len = strlen(h->prefix);
	if (!object)
		return ERROR_CORRUPT;
	const size_t n = list_of(object, "table", &list);
	for (size_t i = 0; i < n && rc == 0; i++) {
		const char *const name = text_of(json_object_array_get_idx(list, i), "name");
		if (strncmp(name, h->prefix, prefix_len) != 0 || !name[prefix_len])
			continue;
		out->n_tables++;
		if (buf_append(&out->tables, name + prefix_len, strlen(name + prefix_len) + 1) < 0)
			rc = error_no_memory(err, n);
	}
	json_object_put(object);
	return rc;
}

int hbase_ping(struct cells *cells, struct cells_health *out, struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	char version[40] = "";
	char rest[20] = "";
	const struct http_retry none = {0};
	http_set_retry(h->http, none);
	const int64_t begin_us = clock_monotonic_us();
	int rc = ask_text(h, "/version/cluster", "Version", version, sizeof(version), err);
	out->answer_us = clock_monotonic_us() - begin_us;
	if (rc == 0 && h->answer.date_s) {
		/* The header has whole seconds: its middle is compared. */
		out->has_clock = true;
		out->skew_ms = h->answer.date_s * 1000 + 500 - (clock_now_us() - out->answer_us / 2) / 1000;
	}
	if (rc == 0)
		rc = ask_text(h, "/version", "REST", rest, sizeof(rest), err);
	if (rc == 0) {
		snprintf(out->what, sizeof(out->what), "HBase %s, REST gateway %s", version, rest);
		rc = ask_status(h, out, err);
	}
	if (rc == 0)
		rc = ask_tables(h, out, err);
	http_set_retry(h->http, h->options.http.retry);
	return rc;
}

/* --- rights ----------------------------------------------------------------------------------------------------------------- */

static int take_nothing(void *context, const struct cells_row *row, struct error *err)
{
	(void)context;
	(void)row;
	(void)err;
	return 0;
}

static void deny(struct cells_rights *out, const struct error *why)
{
	if (!out->denial[0])
		snprintf(out->denial, sizeof(out->denial), "%.*s", (int)sizeof(out->denial) - 1, why->message);
}

int hbase_rights(struct cells *cells, const char *table, const char *family, struct cells_rights *out,
		 struct error *err)
{
	struct hbase *const h = (struct hbase *)cells;
	_cleanup_buf_ struct buf families = {0};
	_cleanup_free_ char *column = text_printf("%s:", family);
	const struct slice key = SLICE("\0punchcard");
	const struct http_retry none = {0};
	struct error why = {0};
	if (!column)
		return error_no_memory(err, CELLS_FAMILY_BYTES);
	http_set_retry(h->http, none);
	int rc = hbase_families(h, table, &families, &why);
	/* Who may not see the schema is not told whether there is a table. */
	out->exists = rc == 0 || rc == ERROR_DENIED;
	if (rc == 0) {
		rc = cells->driver->get(cells, table, &key, 1, take_nothing, NULL, &why);
		out->reads = rc == 0;
		if (rc == ERROR_DENIED)
			deny(out, &why);
	}
	if (families.len && (rc == 0 || rc == ERROR_DENIED)) {
		const struct cells_erase never = {.key = key, .column = slice_of(column), .version = 1};
		rc = cells->driver->erase(cells, table, &never, 1, &why);
		out->writes = rc == 0;
	}
	if (rc == ERROR_DENIED || rc == ERROR_NOT_FOUND) {
		deny(out, &why);
		rc = 0;
	}
	http_set_retry(h->http, h->options.http.retry);
	if (rc < 0 && err)
		*err = why;
	return rc;
}
