/* Shared by warehouse_hdfs.c (the operations) and hdfs_ask.c (asking NameNodes, and what their answers mean). */
#ifndef PUNCHCARD_STORE_HDFS_INTERNAL_H
#define PUNCHCARD_STORE_HDFS_INTERNAL_H

#include "net/http.h"
#include "store/warehouse.h"

/* NameNodes of one file system: high availability has two or three. */
#define HDFS_SERVERS_MAX 4u

struct json_object;

struct hdfs {
	struct warehouse base;
	struct http *servers[HDFS_SERVERS_MAX];
	unsigned n_servers;
	unsigned current; /* the one that answered last */
	enum warehouse_auth auth;
	char *root; /* without a slash at its end; "" is "/" */
	char *writer;
	char *user;
	char *token_file;
	char *token;
	struct http_answer answer; /* of the last request */
	char *why
		[HDFS_SERVERS_MAX]; /* of the operation that runs: what the last try of each server came to; NULL: none failed */
};

/* One request of WebHDFS: "<url>/webhdfs/v1<root>/<path>?<params>". */
struct hdfs_call {
	enum http_method method;
	const char *path;
	const char *params; /* "op=…", percent-encoded; parameter names in lower case, as 3.5 takes no others */
};

/* Asks until there is an answer, within the patience; the answer is in hdfs->answer then, with a status below 400. */
int hdfs_ask(struct hdfs *hdfs, const struct hdfs_call *call, struct error *err);
/* The same, and the answer's JSON object in *out, which the caller puts back. */
int hdfs_ask_json(struct hdfs *hdfs, const struct hdfs_call *call, struct json_object **out, struct error *err);
/* One try: ERROR_AWAY when another may help. */
int hdfs_ask_once(struct hdfs *hdfs, const struct hdfs_call *call, struct error *err);
/* One try with data, in two steps: the NameNode tells where, `data` (method, read or write) goes there. */
int hdfs_transfer_once(struct hdfs *hdfs, const struct hdfs_call *call, struct http_request *data, struct error *err);
/* Before an operation: none has failed. */
void hdfs_forget(struct hdfs *hdfs);
/* The server that is asked now failed so. */
void hdfs_failed(struct hdfs *hdfs, const struct error *what);
/* Behind a failure of one: what the others came to, put behind its message. */
void hdfs_tell_others(const struct hdfs *hdfs, struct error *err);
/* Behind a try that failed with ERROR_AWAY: waits, and turns to the next NameNode. 0: try again. At the end err tells of all of them. */
int hdfs_pause(struct hdfs *hdfs, struct http_patience *patience, struct error *err);
/* Reads the token from its file, for the first time or anew. *changed: it is another one than before. */
int hdfs_read_token(struct hdfs *hdfs, bool *changed, struct error *err);
/* All of a file, under its temporary name; until it has the length that it should. */
int hdfs_upload(struct hdfs *hdfs, const char *tmp, warehouse_read_fn *read, void *context, uint64_t size,
		struct error *err);
/* The bytes of a file from `offset` to `end`, which is not behind its end. */
int hdfs_download(struct hdfs *hdfs, const char *path, uint64_t offset, uint64_t end, warehouse_write_fn *write,
		  void *context, struct error *err);

/* Members of answers: a text, or ""; a number, or `otherwise`; a FileStatus. */
const char *hdfs_text(struct json_object *object, const char *name);
int64_t hdfs_number(struct json_object *object, const char *name, int64_t otherwise);
struct warehouse_stat hdfs_stat_of(struct json_object *status);

/* "HDFS <url>", of the server that is asked now. */
const char *hdfs_name(const struct hdfs *hdfs);

#endif
