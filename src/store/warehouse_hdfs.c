/*
 * The warehouse in HDFS, by WebHDFS.
 *
 * A put: the file is made under its temporary name (an upload that breaks off leaves a closed, shorter file there, which the next
 * try replaces), its length is looked up, and it is renamed with renameoptions=NONE. Without that option RENAME moves into a directory
 * that is there, and answers 200 {"boolean":false} for what it did not do.
 */
#include "base/clock.h"
#include "store/hdfs_internal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_MS 60000u
#define SILENCE_MS  60000u
/* Of a rename whose directory was missing; and once more, should somebody remove it again. */
#define RENAME_TRIES 3u

static struct hdfs *hdfs_of(struct warehouse *warehouse)
{
	return (struct hdfs *)warehouse;
}

/* --- looking --- */

/* Of what would lie below a file the NameNode says that the file is no directory: so it is not there. */
static int not_below_file(int rc, struct error *what, struct error *err)
{
	return error_set(err, rc == ERROR_EXISTS ? ERROR_NOT_FOUND : rc, "%s", what->message);
}

static int hdfs_stat(struct warehouse *warehouse, const char *path, struct warehouse_stat *stat, struct error *err)
{
	const struct hdfs_call call = {.method = HTTP_GET, .path = path, .params = "op=GETFILESTATUS"};
	struct json_object *answer = NULL;
	struct json_object *status = NULL;
	struct error what = {0};
	int rc = hdfs_ask_json(hdfs_of(warehouse), &call, &answer, &what);
	if (rc < 0)
		return not_below_file(rc, &what, err);
	if (json_object_object_get_ex(answer, "FileStatus", &status))
		*stat = hdfs_stat_of(status);
	else
		rc = error_set(err, ERROR_IO, "%s: %s: GETFILESTATUS has no FileStatus", hdfs_name(hdfs_of(warehouse)),
			       path);
	json_object_put(answer);
	return rc;
}

/* The entries of one answer; the last name goes to `last`. */
static int take_entries(struct json_object *entries, warehouse_entry_fn *take, void *context, struct buf *last,
			struct error *err)
{
	const size_t n = json_object_array_length(entries);
	for (size_t i = 0; i < n; i++) {
		struct json_object *const entry = json_object_array_get_idx(entries, i);
		const char *const name = hdfs_text(entry, "pathSuffix");
		const struct warehouse_stat stat = hdfs_stat_of(entry);
		const int rc = take(context, name, &stat, err);
		if (rc < 0)
			return rc;
		if (i + 1 == n) {
			buf_clear(last);
			if (buf_append_text(last, name) < 0 || !buf_text(last))
				return error_no_memory(err, strlen(name));
		}
	}
	return 0;
}

/* One batch behind the name in `last`. */
static int list_batch(struct hdfs *hdfs, const char *path, warehouse_entry_fn *take, void *context, struct buf *last,
		      bool *more, struct error *err)
{
	_cleanup_buf_ struct buf params = {0};
	int rc = buf_append_text(&params, "op=LISTSTATUS_BATCH");
	if (rc == 0 && last->len) {
		rc = buf_append_text(&params, "&startafter=");
		if (rc == 0)
			rc = http_encode(&params, (struct slice){last->data, last->len}, "");
	}
	if (rc < 0 || !buf_text(&params))
		return error_no_memory(err, last->len);
	const struct hdfs_call call = {.method = HTTP_GET, .path = path, .params = params.data};
	struct json_object *answer = NULL;
	struct json_object *listing = NULL;
	struct json_object *inner = NULL;
	rc = hdfs_ask_json(hdfs, &call, &answer, err);
	if (rc < 0)
		return rc;
	if (json_object_object_get_ex(answer, "DirectoryListing", &listing) &&
	    json_object_object_get_ex(listing, "partialListing", &inner) &&
	    json_object_object_get_ex(inner, "FileStatuses", &inner) &&
	    json_object_object_get_ex(inner, "FileStatus", &inner) && json_object_is_type(inner, json_type_array)) {
		*more = hdfs_number(listing, "remainingEntries", 0) > 0 && json_object_array_length(inner) > 0;
		rc = take_entries(inner, take, context, last, err);
	} else {
		rc = error_set(err, ERROR_IO, "%s: %s: LISTSTATUS_BATCH has no listing", hdfs_name(hdfs), path);
	}
	json_object_put(answer);
	return rc;
}

static int hdfs_list(struct warehouse *warehouse, const char *path, warehouse_entry_fn *take, void *context,
		     struct error *err)
{
	_cleanup_buf_ struct buf last = {0};
	struct warehouse_stat stat = {0};
	bool more = true;
	/* Of a file it would answer that file. */
	int rc = hdfs_stat(warehouse, path, &stat, err);
	if (rc == 0 && !stat.is_dir)
		rc = error_set(err, ERROR_EXISTS, "%s: list %s: a file", hdfs_name(hdfs_of(warehouse)), path);
	while (rc == 0 && more)
		rc = list_batch(hdfs_of(warehouse), path, take, context, &last, &more, err);
	return rc;
}

static int hdfs_usage(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err)
{
	struct hdfs *const hdfs = hdfs_of(warehouse);
	const struct hdfs_call call = {.method = HTTP_GET, .path = path, .params = "op=GETCONTENTSUMMARY"};
	struct json_object *answer = NULL;
	struct json_object *inner = NULL;
	struct error what = {0};
	int rc = hdfs_ask_json(hdfs, &call, &answer, &what);
	if (rc < 0)
		return not_below_file(rc, &what, err);
	if (json_object_object_get_ex(answer, "ContentSummary", &inner))
		*usage = (struct warehouse_usage){
			.bytes = (uint64_t)hdfs_number(inner, "length", 0),
			.files = (uint64_t)hdfs_number(inner, "fileCount", 0),
			.dirs = (uint64_t)hdfs_number(inner, "directoryCount", 0),
			.space_bytes = hdfs_number(inner, "spaceConsumed", -1),
			.space_quota = hdfs_number(inner, "spaceQuota", -1),
			.name_quota = hdfs_number(inner, "quota", -1),
			.free_bytes = -1,
		};
	else
		rc = error_set(err, ERROR_IO, "%s: %s: GETCONTENTSUMMARY has no summary", hdfs_name(hdfs), path);
	json_object_put(answer);
	/* Known to newer servers alone; without it the free space is unknown. */
	const struct hdfs_call status = {.method = HTTP_GET, .path = path, .params = "op=GETSTATUS"};
	if (rc == 0 && hdfs_ask_once(hdfs, &status, NULL) == 0 &&
	    (answer = json_tokener_parse(hdfs->answer.body.data))) {
		if (json_object_object_get_ex(answer, "FsStatus", &inner))
			usage->free_bytes = hdfs_number(inner, "remaining", -1);
		json_object_put(answer);
	}
	return rc;
}

/* --- directories and names --- */

static int expect_true(struct hdfs *hdfs, const struct hdfs_call *call, bool *answered, struct error *err)
{
	struct json_object *answer = NULL;
	struct json_object *member = NULL;
	const int rc = hdfs_ask_json(hdfs, call, &answer, err);
	if (rc < 0)
		return rc;
	*answered = json_object_object_get_ex(answer, "boolean", &member) && json_object_get_boolean(member);
	json_object_put(answer);
	return 0;
}

static int hdfs_make_dir(struct warehouse *warehouse, const char *path, struct error *err)
{
	const struct hdfs_call call = {.method = HTTP_PUT, .path = path, .params = "op=MKDIRS"};
	bool made = false;
	const int rc = expect_true(hdfs_of(warehouse), &call, &made, err);
	if (rc == 0 && !made)
		return error_set(err, ERROR_IO, "%s: %s: MKDIRS made nothing", hdfs_name(hdfs_of(warehouse)), path);
	return rc;
}

static int make_parent(struct hdfs *hdfs, const char *path, struct error *err)
{
	_cleanup_free_ char *parent = slice_dup((struct slice){path, warehouse_parent_len(path)});
	return parent ? hdfs_make_dir(&hdfs->base, parent, err) : error_no_memory(err, strlen(path));
}

/* One rename. ERROR_NOT_FOUND: `from`, or the directory of `to`, is not there; ERROR_EXISTS: `to` is. */
static int rename_once(struct hdfs *hdfs, const char *from, const char *to, struct error *err)
{
	_cleanup_buf_ struct buf params = {0};
	int rc = buf_append_text(&params, "op=RENAME&renameoptions=NONE&destination=");
	if (rc == 0)
		rc = http_encode(&params, slice_of(hdfs->root), "/");
	if (rc == 0)
		rc = buf_append_text(&params, "/");
	if (rc == 0)
		rc = http_encode(&params, slice_of(to), "/");
	if (rc < 0 || !buf_text(&params))
		return error_no_memory(err, strlen(to));
	const struct hdfs_call call = {.method = HTTP_PUT, .path = from, .params = params.data};
	rc = hdfs_ask(hdfs, &call, err);
	if (rc < 0)
		return rc;
	/* The NameNode says nothing, HttpFS {"boolean":true}; a gateway's page, or its way to a login, is no answer of theirs. */
	const struct http_answer *const answer = &hdfs->answer;
	if (answer->status == 200 && (answer->body.len == 0 || strstr(answer->body.data, "\"boolean\":true")))
		return 0;
	return error_set(
		err, ERROR_IO,
		"%s: %s: RENAME to %s was answered %d, and not done; does this server know renameoptions, and does it "
		"know us?",
		hdfs_name(hdfs), from, to, answer->status);
}

static int is_there(struct hdfs *hdfs, const char *path, bool *there, struct error *err)
{
	struct warehouse_stat stat = {0};
	struct error what = {0};
	const int rc = hdfs_stat(&hdfs->base, path, &stat, &what);
	*there = rc == 0;
	return rc == 0 || rc == ERROR_NOT_FOUND ? 0 : error_set(err, rc, "%s", what.message);
}

/* What is behind a rename that found something missing, or there. 1: to be tried again, with the directory that was missing. */
static int look_behind(struct hdfs *hdfs, const char *from, const char *to, const struct error *what, struct error *err)
{
	bool has_from = false;
	bool has_to = false;
	int rc = is_there(hdfs, from, &has_from, err);
	if (rc == 0 && !has_from)
		rc = is_there(hdfs, to, &has_to, err);
	if (rc < 0)
		return rc;
	if (!has_from) /* done before, and its answer lost; or there is nothing to rename */
		return has_to ? 0 : error_set(err, ERROR_NOT_FOUND, "%s", what->message);
	if (what->code == ERROR_EXISTS)
		return error_set(err, ERROR_EXISTS, "%s", what->message);
	rc = make_parent(hdfs, to, err);
	return rc < 0 ? rc : 1;
}

static int hdfs_rename(struct warehouse *warehouse, const char *from, const char *to, struct error *err)
{
	struct hdfs *const hdfs = hdfs_of(warehouse);
	struct error what = {0};
	for (unsigned i = 0; i < RENAME_TRIES; i++) {
		int rc = rename_once(hdfs, from, to, &what);
		if (rc == 0)
			return 0;
		if (rc != ERROR_NOT_FOUND && rc != ERROR_EXISTS)
			break;
		rc = look_behind(hdfs, from, to, &what, err);
		if (rc <= 0)
			return rc;
	}
	return error_set(err, what.code, "%s", what.message);
}

static int hdfs_remove(struct warehouse *warehouse, const char *path, struct error *err)
{
	const struct hdfs_call call = {.method = HTTP_DELETE, .path = path, .params = "op=DELETE&recursive=true"};
	struct hdfs *const hdfs = hdfs_of(warehouse);
	struct error what = {0};
	bool removed = false;
	const int rc = expect_true(hdfs, &call, &removed, &what); /* false: nothing was there */
	return rc == 0 || rc == ERROR_NOT_FOUND || rc == ERROR_EXISTS ? 0 : error_set(err, rc, "%s", what.message);
}

/* --- data --- */

static int hdfs_put(struct warehouse *warehouse, const char *path, warehouse_read_fn *read, void *context,
		    uint64_t size, struct error *err)
{
	struct hdfs *const hdfs = hdfs_of(warehouse);
	_cleanup_buf_ struct buf tmp = {0};
	struct error what = {0};
	bool done = false;
	int rc = warehouse_check_there(warehouse, path, size, &done, err);
	if (rc < 0 || done)
		return rc;
	rc = warehouse_tmp_path(warehouse, path, &tmp, err);
	if (rc == 0)
		rc = hdfs_upload(hdfs, tmp.data, read, context, size, err);
	if (rc < 0)
		return rc;
	rc = hdfs_rename(warehouse, tmp.data, path, &what);
	if (rc == 0)
		return 0;
	if (rc != ERROR_EXISTS)
		return error_set(err, rc, "%s", what.message);
	/* Another one was quicker, or a file is in the way of the directory. */
	rc = warehouse_check_there(warehouse, path, size, &done, err);
	(void)hdfs_remove(warehouse, tmp.data, NULL);
	return rc == 0 && !done ? error_set(err, ERROR_EXISTS, "%s", what.message) : rc;
}

static int hdfs_read(struct warehouse *warehouse, const char *path, uint64_t offset, uint64_t len,
		     warehouse_write_fn *write, void *context, struct error *err)
{
	struct hdfs *const hdfs = hdfs_of(warehouse);
	struct warehouse_stat stat = {0};
	const int rc = hdfs_stat(warehouse, path, &stat, err);
	if (rc < 0)
		return rc;
	if (stat.is_dir)
		return error_set(err, ERROR_EXISTS, "%s: read %s: a directory", hdfs_name(hdfs), path);
	if (offset >= stat.size || len == 0) /* behind the end OPEN answers 403 */
		return 0;
	return hdfs_download(hdfs, path, offset, len < stat.size - offset ? offset + len : stat.size, write, context,
			     err);
}

/* --- how it is --- */

/* Version and safe mode stand in the NameNode's JMX, which gateways do not pass on; then they are unknown. */
static void look_into_jmx(struct hdfs *hdfs, struct warehouse_health *health)
{
	struct http *const server = hdfs->servers[hdfs->current];
	const struct http_request request = {.path = "/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo",
					     .single = true};
	const struct http_request state = {.path = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState",
					   .single = true};
	struct json_object *beans = NULL;
	struct json_object *whole = NULL;
	if (http_ask(server, &request, &hdfs->answer, NULL) == 0 && hdfs->answer.status == 200 &&
	    (whole = json_tokener_parse(hdfs->answer.body.data)) && json_object_object_get_ex(whole, "beans", &beans) &&
	    json_object_is_type(beans, json_type_array) && json_object_array_length(beans) > 0) {
		struct json_object *const info = json_object_array_get_idx(beans, 0);
		snprintf(health->version, sizeof(health->version), "%s", hdfs_text(info, "SoftwareVersion"));
		health->safe_mode = *hdfs_text(info, "Safemode") != '\0';
	}
	json_object_put(whole);
	whole = NULL;
	if (http_ask(server, &state, &hdfs->answer, NULL) == 0 && hdfs->answer.status == 200 &&
	    (whole = json_tokener_parse(hdfs->answer.body.data)) && json_object_object_get_ex(whole, "beans", &beans) &&
	    json_object_is_type(beans, json_type_array) && json_object_array_length(beans) > 0)
		health->live_nodes = (int)hdfs_number(json_object_array_get_idx(beans, 0), "NumLiveDataNodes", -1);
	json_object_put(whole);
}

static int hdfs_ping(struct warehouse *warehouse, struct warehouse_health *health, struct error *err)
{
	struct hdfs *const hdfs = hdfs_of(warehouse);
	const struct hdfs_call call = {.method = HTTP_GET, .path = "", .params = "op=GETFILESTATUS"};
	struct error what = {0};
	int rc = ERROR_AWAY;
	int64_t begin_us = 0;
	hdfs_forget(hdfs);
	for (unsigned i = 0; i < hdfs->n_servers && rc == ERROR_AWAY; i++) {
		begin_us = clock_monotonic_us();
		rc = hdfs_ask_once(hdfs, &call, &what);
		if (rc != ERROR_AWAY)
			break;
		hdfs_failed(hdfs, &what);
		if (i + 1 == hdfs->n_servers)
			hdfs_tell_others(hdfs, &what);
		hdfs->current = (hdfs->current + 1) % hdfs->n_servers;
	}
	if (rc < 0 && rc != ERROR_NOT_FOUND) /* the root is made by the first put */
		return error_set(err, rc, "%s", what.message);
	health->took_us = clock_monotonic_us() - begin_us;
	if (hdfs->answer.date_s) {
		/* The second is cut, and was true half way through the request. */
		const int64_t middle_us = clock_now_us() - health->took_us / 2;
		health->has_clock = true;
		health->clock_ahead_ms = (hdfs->answer.date_s * 1000 + 500) - middle_us / 1000;
		if (health->clock_ahead_ms >= -500 && health->clock_ahead_ms <= 500)
			health->clock_ahead_ms = 0;
	}
	look_into_jmx(hdfs, health);
	return 0;
}

/* --- opening --- */

static void hdfs_close(struct warehouse *warehouse)
{
	struct hdfs *const hdfs = hdfs_of(warehouse);
	hdfs_forget(hdfs);
	for (unsigned i = 0; i < hdfs->n_servers; i++)
		http_close(hdfs->servers[i]);
	http_answer_release(&hdfs->answer);
	free(hdfs->root);
	free(hdfs->writer);
	free(hdfs->user);
	free(hdfs->token_file);
	free(hdfs->token);
	free(hdfs);
}

static const struct warehouse_driver driver = {
	.name = "HDFS",
	.list = hdfs_list,
	.stat = hdfs_stat,
	.make_dir = hdfs_make_dir,
	.put = hdfs_put,
	.read = hdfs_read,
	.rename = hdfs_rename,
	.remove = hdfs_remove,
	.usage = hdfs_usage,
	.ping = hdfs_ping,
	.close = hdfs_close,
};

static int open_server(struct hdfs *hdfs, const struct warehouse_hdfs_options *options, struct slice url,
		       struct error *err)
{
	_cleanup_free_ char *text = slice_dup(slice_trim(url));
	if (!text)
		return error_no_memory(err, url.len);
	if (hdfs->n_servers == HDFS_SERVERS_MAX)
		return error_set(err, ERROR_CONFIG, "HDFS: more than %u URLs", HDFS_SERVERS_MAX);
	struct http_options http = HTTP_OPTIONS_DEFAULT;
	http.server = "HDFS";
	http.url = text;
	http.ca_file = options->ca_file;
	http.stop = options->stop;
	http.silence_ms = options->silence_ms ? options->silence_ms : SILENCE_MS;
	http.retry.limit_ms = options->patience_ms ? options->patience_ms : PATIENCE_MS;
	switch (options->auth) {
	case WAREHOUSE_AUTH_SIMPLE:
		http.auth = hdfs->user ? HTTP_AUTH_QUERY : HTTP_AUTH_NONE;
		http.auth_name = "user.name";
		http.auth_value = hdfs->user;
		break;
	case WAREHOUSE_AUTH_SPNEGO:
		http.auth = HTTP_AUTH_SPNEGO;
		break;
	case WAREHOUSE_AUTH_TOKEN:
		http.auth = HTTP_AUTH_QUERY;
		http.auth_name = "delegation";
		http.auth_value = hdfs->token;
		break;
	}
	const int rc = http_open(&http, &hdfs->servers[hdfs->n_servers], err);
	if (rc == 0)
		hdfs->n_servers++;
	return rc;
}

static int copy_options(struct hdfs *hdfs, const struct warehouse_hdfs_options *options, struct error *err)
{
	struct slice root = slice_of(options->root);
	while (root.len && root.data[root.len - 1] == '/')
		root.len--;
	hdfs->root = slice_dup(root);
	hdfs->writer = slice_dup(slice_of(options->writer));
	hdfs->user = options->user ? slice_dup(slice_of(options->user)) : NULL;
	hdfs->token_file = options->auth == WAREHOUSE_AUTH_TOKEN
				   ? slice_dup(slice_of(options->token_file ? options->token_file : ""))
				   : NULL;
	if (!hdfs->root || !hdfs->writer || (options->user && !hdfs->user) ||
	    (options->auth == WAREHOUSE_AUTH_TOKEN && !hdfs->token_file))
		return error_no_memory(err, root.len);
	if (options->auth == WAREHOUSE_AUTH_TOKEN && !*hdfs->token_file)
		return error_set(err, ERROR_CONFIG, "HDFS: auth: token needs a token_file");
	if (options->root[0] != '/' || (*hdfs->root && !warehouse_is_path(hdfs->root + 1)))
		return error_set(err, ERROR_CONFIG, "HDFS: '%s' is no absolute path of HDFS, such as /user/punchcard",
				 options->root);
	if (!*hdfs->writer || !warehouse_is_path(hdfs->writer) || strchr(hdfs->writer, '/'))
		return error_set(err, ERROR_CONFIG, "HDFS: '%s' cannot be the name of a directory", hdfs->writer);
	bool changed = false;
	return hdfs->token_file ? hdfs_read_token(hdfs, &changed, err) : 0;
}

int warehouse_open_hdfs(const struct warehouse_hdfs_options *options, struct warehouse **out, struct error *err)
{
	struct hdfs *const hdfs = calloc(1, sizeof(*hdfs));
	if (!hdfs)
		return error_no_memory(err, sizeof(*hdfs));
	hdfs->base.driver = &driver;
	int rc = copy_options(hdfs, options, err);
	hdfs->base.writer = hdfs->writer;
	for (const char *url = options->url; rc == 0;) {
		const size_t len = strcspn(url, ",");
		rc = open_server(hdfs, options, (struct slice){url, len}, err);
		url += len;
		if (!*url++)
			break;
	}
	if (rc < 0) {
		hdfs_close(&hdfs->base);
		return rc;
	}
	*out = &hdfs->base;
	return 0;
}
