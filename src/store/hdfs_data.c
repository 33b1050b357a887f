/* Bytes to and from HDFS: again from the start, or on from where it broke off. */
#include "store/hdfs_internal.h"

#include <json-c/json.h>
#include <stdio.h>

/* A caller's callbacks, and whether one of them failed: that ends the operation, whatever its code, where a server's failure is
 * tried again. */
struct calling {
	warehouse_read_fn *read;
	warehouse_write_fn *write;
	void *context;
	bool failed;
};

static int64_t take_bytes(void *context, uint64_t offset, void *out, size_t size, struct error *err)
{
	struct calling *const calling = context;
	const int64_t n = calling->read(calling->context, offset, out, size, err);
	calling->failed = n < 0;
	return n;
}

static int give_bytes(void *context, uint64_t offset, const void *data, size_t len, struct error *err)
{
	struct calling *const calling = context;
	(void)offset;
	const int rc = calling->write(calling->context, data, len, err);
	calling->failed = rc < 0;
	return rc;
}

/* One upload to the temporary name, and whether all of it came. */
static int upload_once(struct hdfs *hdfs, const char *tmp, struct calling *calling, uint64_t size, struct error *err)
{
	const struct hdfs_call create = {
		.method = HTTP_PUT, .path = tmp, .params = "op=CREATE&overwrite=true&noredirect=true"};
	const struct hdfs_call look = {.method = HTTP_GET, .path = tmp, .params = "op=GETFILESTATUS"};
	struct http_request data = {
		.method = HTTP_PUT, .read = take_bytes, .read_context = calling, .body_bytes = size};
	int rc = hdfs_transfer_once(hdfs, &create, &data, err);
	if (rc == 0)
		rc = hdfs_ask_once(hdfs, &look, err);
	if (rc == ERROR_NOT_FOUND)
		return error_set(err, ERROR_AWAY, "%s: %s: it is not there, although it was taken", hdfs_name(hdfs),
				 tmp);
	if (rc < 0)
		return rc;
	struct json_object *const answer = json_tokener_parse(hdfs->answer.body.data);
	struct json_object *status = NULL;
	const bool has = json_object_object_get_ex(answer, "FileStatus", &status);
	const uint64_t length = has ? hdfs_stat_of(status).size : 0;
	json_object_put(answer);
	if (has && length == size)
		return 0;
	return error_set(err, ERROR_AWAY, "%s: %s: %llu bytes came of %llu", hdfs_name(hdfs), tmp,
			 (unsigned long long)length, (unsigned long long)size);
}

int hdfs_upload(struct hdfs *hdfs, const char *tmp, warehouse_read_fn *read, void *context, uint64_t size,
		struct error *err)
{
	struct calling calling = {.read = read, .context = context};
	struct http_patience patience = {0};
	struct error what = {0};
	int rc;
	do
		rc = upload_once(hdfs, tmp, &calling, size, &what);
	while (rc == ERROR_AWAY && !calling.failed && (rc = hdfs_pause(hdfs, &patience, &what)) == 0);
	return rc < 0 ? error_set(err, rc, "%s", what.message) : 0;
}

/* Goes on where a try before has ended, so that each byte is given once. */
static int download_once(struct hdfs *hdfs, const char *path, uint64_t *offset, uint64_t end, struct calling *calling,
			 struct error *err)
{
	char params[128];
	snprintf(params, sizeof(params), "op=OPEN&offset=%llu&length=%llu&noredirect=true", (unsigned long long)*offset,
		 (unsigned long long)(end - *offset));
	const struct hdfs_call call = {.method = HTTP_GET, .path = path, .params = params};
	struct http_request data = {.method = HTTP_GET, .write = give_bytes, .write_context = calling};
	hdfs->answer.written = 0;
	const int rc = hdfs_transfer_once(hdfs, &call, &data, err);
	*offset += hdfs->answer.written;
	if (rc == 0 && *offset < end)
		return error_set(err, ERROR_AWAY, "%s: %s: it ends at byte %llu of %llu", hdfs_name(hdfs), path,
				 (unsigned long long)*offset, (unsigned long long)end);
	return rc;
}

int hdfs_download(struct hdfs *hdfs, const char *path, uint64_t offset, uint64_t end, warehouse_write_fn *write,
		  void *context, struct error *err)
{
	struct calling calling = {.write = write, .context = context};
	struct http_patience patience = {0};
	struct error what = {0};
	int rc;
	do {
		const uint64_t before = offset;
		rc = download_once(hdfs, path, &offset, end, &calling, &what);
		if (offset > before)
			patience = (struct http_patience){0};
	} while (rc == ERROR_AWAY && !calling.failed && (rc = hdfs_pause(hdfs, &patience, &what)) == 0);
	return rc < 0 ? error_set(err, rc, "%s", what.message) : 0;
}
