/*
 * Asking WebHDFS (Hadoop's "WebHDFS REST API"; HttpFS and gateways speak the same), and what its answers mean.
 *
 * An error is {"RemoteException": {"exception": …, "javaClassName": …, "message": …}} with a status that tells little: 403 may be a
 * NameNode that starts, a right that is missing, or no DataNode. So the exception's name decides, and of an IOException its message.
 * Messages of DataNodes have the Java stack behind the first line.
 */
#include "base/file.h"
#include "store/hdfs_internal.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN_BYTES   (64u * 1024u)
#define MESSAGE_BYTES 400u

/* --- what answers mean --- */

struct meaning {
	const char *exception;
	const char *message; /* a part of it; NULL: any */
	int code;
	const char *advice;
};

static const struct meaning meanings[] = {
	{"StandbyException", NULL, ERROR_AWAY, NULL},
	{"RetriableException", NULL, ERROR_AWAY, NULL},
	{"SafeModeException", NULL, ERROR_AWAY,
	 "the NameNode is in safe mode, and takes nothing until it has left it: see hdfs dfsadmin -safemode get"},
	{"IOException", "Failed to find datanode", ERROR_AWAY, "no DataNode is there: is one started?"},
	{"IOException", "could only be written to 0 of", ERROR_AWAY,
	 "no DataNode takes blocks: is one started, with free disk?"},
	{"IOException", "No active and not excluded nodes contain this block", ERROR_AWAY,
	 "no DataNode that has the block is there: is one started?"},
	{"IOException", "Could not obtain block", ERROR_AWAY, "the DataNode that has the block does not answer"},
	{"BlockMissingException", NULL, ERROR_AWAY, "the DataNode that has the block does not answer"},
	{"IOException", "replicas", ERROR_AWAY, NULL},
	{"IOException", "All datanodes", ERROR_AWAY, NULL},
	{"IOException", "Unable to close file", ERROR_AWAY, NULL},
	{"NotReplicatedYetException", NULL, ERROR_AWAY, NULL},
	{"ConnectException", NULL, ERROR_AWAY, NULL},
	{"SocketException", NULL, ERROR_AWAY, NULL},
	{"SocketTimeoutException", NULL, ERROR_AWAY, NULL},
	{"ConnectTimeoutException", NULL, ERROR_AWAY, NULL},
	{"NoRouteToHostException", NULL, ERROR_AWAY, NULL},
	{"UnknownHostException", NULL, ERROR_AWAY, NULL},
	{"EOFException", NULL, ERROR_AWAY, NULL},
	{"ClosedChannelException", NULL, ERROR_AWAY, NULL},
	{"InterruptedIOException", NULL, ERROR_AWAY, NULL},
	{"RpcNoSuchProtocolException", NULL, ERROR_AWAY, NULL},
	{"LeaseExpiredException", NULL, ERROR_AWAY, NULL},
	{"AlreadyBeingCreatedException", NULL, ERROR_AWAY, NULL},
	{"RecoveryInProgressException", NULL, ERROR_AWAY, NULL},
	{"IOException", "Failed on local exception", ERROR_AWAY, NULL},
	{"DSQuotaExceededException", NULL, ERROR_NO_SPACE,
	 "remove what is not needed, or raise it: hdfs dfsadmin -setSpaceQuota"},
	{"NSQuotaExceededException", NULL, ERROR_NO_SPACE,
	 "remove what is not needed, or raise it: hdfs dfsadmin -setQuota"},
	{"QuotaExceededException", NULL, ERROR_NO_SPACE,
	 "remove what is not needed, or raise it: hdfs dfsadmin -setSpaceQuota"},
	{"AccessControlException", NULL, ERROR_DENIED, "give the user the right: hdfs dfs -chown, -chmod or -setfacl"},
	{"SecurityException", NULL, ERROR_DENIED, "is the user right, is the token or ticket valid?"},
	{"InvalidToken", NULL, ERROR_DENIED,
	 "the delegation token has run out, or is another cluster's: get a new one"},
	{"AuthenticationException", NULL, ERROR_DENIED, "kinit, or get a new delegation token"},
	{"AuthorizationException", NULL, ERROR_DENIED, "the NameNode does not let this user act"},
	{"FileNotFoundException", NULL, ERROR_NOT_FOUND, NULL},
	{"FileAlreadyExistsException", NULL, ERROR_EXISTS, NULL},
	{"ParentNotDirectoryException", NULL, ERROR_EXISTS, "a file is in the way of a directory"},
	{"AccessControlException", "is not a directory", ERROR_EXISTS, "a file is in the way of a directory"},
	{"PathIsNotDirectoryException", NULL, ERROR_EXISTS, NULL},
};

static const struct meaning *find_meaning(const char *exception, const char *message)
{
	const struct meaning *found = NULL;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(*meanings); i++)
		if (strcmp(exception, meanings[i].exception) == 0 &&
		    (meanings[i].message ? strstr(message, meanings[i].message) != NULL : !found))
			found = &meanings[i];
	return found;
}

const char *hdfs_text(struct json_object *object, const char *name)
{
	struct json_object *member = NULL;
	const bool has =
		json_object_object_get_ex(object, name, &member) && json_object_is_type(member, json_type_string);
	return has ? json_object_get_string(member) : "";
}

int64_t hdfs_number(struct json_object *object, const char *name, int64_t otherwise)
{
	struct json_object *member = NULL;
	const bool has = json_object_object_get_ex(object, name, &member) && json_object_is_type(member, json_type_int);
	return has ? json_object_get_int64(member) : otherwise;
}

struct warehouse_stat hdfs_stat_of(struct json_object *status)
{
	struct warehouse_stat stat = {.is_dir = strcmp(hdfs_text(status, "type"), "DIRECTORY") == 0,
				      .mtime_ms = hdfs_number(status, "modificationTime", 0)};
	if (!stat.is_dir)
		stat.size = (uint64_t)hdfs_number(status, "length", 0);
	return stat;
}

static int meaning_of_status(const struct http_answer *answer, struct error *err)
{
	const int shown = (int)strcspn(answer->body.data, "\r\n");
	const int len = shown < (int)MESSAGE_BYTES ? shown : (int)MESSAGE_BYTES;
	switch (answer->status) {
	case 401:
		return error_set(err, ERROR_DENIED,
				 "answered 401: it does not know us; kinit, or get a new delegation token");
	case 404:
		return error_set(err, ERROR_IO,
				 "answered 404: there is no WebHDFS at this URL; is dfs.webhdfs.enabled on, is the "
				 "URL the NameNode's (port 9870) or HttpFS's (14000)?");
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return error_set(err, ERROR_AWAY, "answered %d: %.*s", answer->status, len, answer->body.data);
	default:
		return error_set(err, ERROR_IO, "answered %d: %.*s", answer->status, len, answer->body.data);
	}
}

static enum http_verdict judge(void *context, const struct http_answer *answer, struct error *err)
{
	(void)context;
	if (answer->status < 400)
		return HTTP_TAKE;
	struct json_object *const whole = json_tokener_parse(answer->body.data);
	struct json_object *remote = NULL;
	if (!whole || !json_object_object_get_ex(whole, "RemoteException", &remote)) {
		meaning_of_status(answer, err);
	} else {
		const char *const exception = hdfs_text(remote, "exception");
		const char *const message = hdfs_text(remote, "message");
		const struct meaning *const meaning = find_meaning(exception, message);
		const size_t line = strcspn(message, "\r\n");
		const int len = (int)(line < MESSAGE_BYTES ? line : MESSAGE_BYTES);
		const int other = answer->status >= 500 ? ERROR_AWAY : ERROR_IO;
		error_set(err, meaning ? meaning->code : other, "%s: %.*s%s%s", exception, len, message,
			  meaning && meaning->advice ? "; " : "", meaning && meaning->advice ? meaning->advice : "");
	}
	json_object_put(whole);
	return HTTP_FAIL; /* trying again is done around all steps of an operation */
}

/* --- tokens --- */

int hdfs_read_token(struct hdfs *hdfs, bool *changed, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	*changed = false;
	int rc = file_read_all(hdfs->token_file, TOKEN_BYTES, &text, err);
	if (rc < 0)
		return error_prefix(err, "HDFS: the delegation token");
	struct slice token = {text.data, text.len};
	while (token.len && strchr("\r\n\t ", token.data[token.len - 1]))
		token.len--;
	token = slice_trim(token);
	if (token.len == 0 || memchr(token.data, '\n', token.len) || memchr(token.data, '\0', token.len))
		return error_set(err, ERROR_CONFIG,
				 "HDFS: %s is no delegation token; it is the text \"urlString\" that "
				 "op=GETDELEGATIONTOKEN answers",
				 hdfs->token_file);
	if (hdfs->token && slice_is(token, hdfs->token))
		return 0;
	char *const copy = slice_dup(token);
	if (!copy)
		return error_no_memory(err, token.len);
	free(hdfs->token);
	hdfs->token = copy;
	*changed = true;
	for (unsigned i = 0; rc == 0 && i < hdfs->n_servers; i++)
		rc = http_set_auth(hdfs->servers[i], copy, err);
	return rc;
}

/* --- asking --- */

const char *hdfs_name(const struct hdfs *hdfs)
{
	return http_name(hdfs->servers[hdfs->current]);
}

static int make_path(const struct hdfs *hdfs, const struct hdfs_call *call, struct buf *out, struct error *err)
{
	int rc = buf_append_text(out, "/webhdfs/v1");
	if (rc == 0)
		rc = http_encode(out, slice_of(hdfs->root), "/=");
	if (rc == 0 && (*call->path || !*hdfs->root))
		rc = buf_append_text(out, "/");
	if (rc == 0)
		rc = http_encode(out, slice_of(call->path), "/=");
	if (rc == 0)
		rc = buf_printf(out, "?%s", call->params);
	return rc < 0 || !buf_text(out) ? error_no_memory(err, strlen(call->path)) : 0;
}

int hdfs_ask_once(struct hdfs *hdfs, const struct hdfs_call *call, struct error *err)
{
	_cleanup_buf_ struct buf path = {0};
	int rc = make_path(hdfs, call, &path, err);
	if (rc < 0)
		return rc;
	const struct http_request request = {.method = call->method, .path = path.data, .judge = judge, .single = true};
	struct error what = {0};
	rc = http_ask(hdfs->servers[hdfs->current], &request, &hdfs->answer, &what);
	bool changed = false;
	if (rc == ERROR_DENIED && hdfs->token_file && hdfs_read_token(hdfs, &changed, NULL) == 0 && changed)
		rc = http_ask(hdfs->servers[hdfs->current], &request, &hdfs->answer, &what);
	return rc < 0 ? error_set(err, rc, "%s", what.message) : 0;
}

void hdfs_forget(struct hdfs *hdfs)
{
	for (unsigned i = 0; i < hdfs->n_servers; i++) {
		free(hdfs->why[i]);
		hdfs->why[i] = NULL;
	}
}

void hdfs_failed(struct hdfs *hdfs, const struct error *what)
{
	if (hdfs->n_servers == 1 || !what)
		return;
	free(hdfs->why[hdfs->current]);
	hdfs->why[hdfs->current] = slice_dup(slice_of(what->message));
}

void hdfs_tell_others(const struct hdfs *hdfs, struct error *err)
{
	for (unsigned i = 0; err && i < hdfs->n_servers; i++) {
		const size_t used = strlen(err->message);
		if (i != hdfs->current && hdfs->why[i])
			snprintf(err->message + used, sizeof(err->message) - used, "; %s", hdfs->why[i]);
	}
}

int hdfs_pause(struct hdfs *hdfs, struct http_patience *patience, struct error *err)
{
	struct http *const asked = hdfs->servers[hdfs->current];
	if (!patience->tries)
		hdfs_forget(hdfs);
	hdfs_failed(hdfs, err);
	const int rc = http_pause(asked, patience, err);
	if (rc == ERROR_AWAY)
		hdfs_tell_others(hdfs, err);
	hdfs->current = (hdfs->current + 1) % hdfs->n_servers;
	return rc;
}

int hdfs_ask(struct hdfs *hdfs, const struct hdfs_call *call, struct error *err)
{
	struct http_patience patience = {0};
	struct error what = {0};
	int rc;
	do
		rc = hdfs_ask_once(hdfs, call, &what);
	while (rc == ERROR_AWAY && (rc = hdfs_pause(hdfs, &patience, &what)) == 0);
	return rc < 0 ? error_set(err, rc, "%s", what.message) : 0;
}

static int parse_object(const struct hdfs *hdfs, const struct hdfs_call *call, struct json_object **out,
			struct error *err)
{
	struct json_object *const object = json_tokener_parse(hdfs->answer.body.data);
	if (json_object_is_type(object, json_type_object)) {
		*out = object;
		return 0;
	}
	json_object_put(object);
	return error_set(err, ERROR_IO, "%s: %s %s: what it answered is no JSON: %.80s; is this a NameNode's URL?",
			 hdfs_name(hdfs), call->path, call->params, hdfs->answer.body.data);
}

int hdfs_ask_json(struct hdfs *hdfs, const struct hdfs_call *call, struct json_object **out, struct error *err)
{
	const int rc = hdfs_ask(hdfs, call, err);
	return rc < 0 ? rc : parse_object(hdfs, call, out, err);
}

/* Where the NameNode sends us: by a redirect, or in JSON when it was asked not to redirect. */
static int find_location(const struct hdfs *hdfs, const struct hdfs_call *call, char **out, struct error *err)
{
	struct json_object *object = NULL;
	if (hdfs->answer.location) {
		*out = slice_dup(slice_of(hdfs->answer.location));
		return *out ? 0 : error_no_memory(err, 1);
	}
	int rc = parse_object(hdfs, call, &object, err);
	if (rc < 0)
		return rc;
	const char *const location = hdfs_text(object, "Location");
	if (*location) {
		*out = slice_dup(slice_of(location));
		rc = *out ? 0 : error_no_memory(err, 1);
	} else {
		rc = error_set(err, ERROR_IO, "%s: %s %s: it did not answer where the data is: %.80s", hdfs_name(hdfs),
			       call->path, call->params, hdfs->answer.body.data);
	}
	json_object_put(object);
	return rc;
}

int hdfs_transfer_once(struct hdfs *hdfs, const struct hdfs_call *call, struct http_request *data, struct error *err)
{
	static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
	_cleanup_free_ char *location = NULL;
	int rc = hdfs_ask_once(hdfs, call, err);
	if (rc == 0)
		rc = find_location(hdfs, call, &location, err);
	if (rc < 0)
		return rc;
	data->path = location;
	data->judge = judge;
	data->single = true;
	data->headers = data->method == HTTP_PUT ? headers : NULL;
	rc = http_ask(hdfs->servers[hdfs->current], data, &hdfs->answer, err);
	data->path = NULL;
	/* One that was killed is still named for a while. */
	if (rc == ERROR_AWAY && hdfs->answer.status == 0)
		return error_prefix(err, "the DataNode that the NameNode names does not answer");
	return rc;
}
