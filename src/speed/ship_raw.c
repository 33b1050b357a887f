/*
 * Events as they came in, as lines of JSON (docs/events.md), into a warehouse:
 *
 *     transactions/source=<name>/events-<edge>-<first>-<last>.ndjson        raw: json; gzip: .ndjson.gz
 *
 * by source, since an event's id is unique in its source. With `raw: none` there are no such files, but the marks go on, so that it may be
 * changed at any time. The original has text there, too, but lines without ids and of one format; of
 * these any job makes the rows of transactions_cln, and `punchcard collect` the same events again.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "speed/event_json.h"
#include "speed/ship_files.h"
#include "store/warehouse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define FLUSH_BYTES (UINT64_C(1) << 20)
/* A compressed file is read by one task of Spark: it is a fifth of what it could be, and still large. */
#define GZIP_PERCENT 100u

/* What a source has in the shipment. */
struct part {
	char *source;
	char *staged;
	int fd;
	gzFile gz; /* over a descriptor of its own; NULL: not compressed */
	struct buf text;
};

struct raw {
	enum cluster_raw as;
	struct part *parts;
	unsigned n;
};

static int open_raw(struct shipper *shipper, struct error *err)
{
	struct raw *const raw = calloc(1, sizeof(*raw));
	if (!raw)
		return error_no_memory(err, sizeof(*raw));
	raw->as = shipper->target.deployment->config->cluster.hdfs_raw;
	if (raw->as == CLUSTER_RAW_GZIP)
		shipper->percent = GZIP_PERCENT;
	shipper->state = raw;
	return 0;
}

static void drop_parts(struct raw *raw)
{
	for (unsigned i = 0; i < raw->n; i++) {
		struct part *const part = &raw->parts[i];
		if (part->gz)
			(void)gzclose_w(part->gz);
		if (part->fd >= 0) {
			close(part->fd);
			(void)unlink(part->staged);
		}
		buf_release(&part->text);
		free(part->source);
		free(part->staged);
	}
	raw->n = 0;
}

static void close_raw(struct shipper *shipper)
{
	struct raw *const raw = shipper->state;
	if (!raw)
		return;
	drop_parts(raw);
	free(raw->parts);
	free(raw);
}

static int part_of(struct shipper *shipper, struct slice source, struct part **out, struct error *err)
{
	struct raw *const raw = shipper->state;
	for (unsigned i = 0; i < raw->n; i++) {
		*out = &raw->parts[i];
		if (slice_is(source, raw->parts[i].source))
			return 0;
	}
	struct part *const parts = reallocarray(raw->parts, raw->n + 1, sizeof(*parts));
	if (!parts)
		return error_no_memory(err, sizeof(*parts));
	raw->parts = parts;
	struct part *const part = &parts[raw->n];
	*part = (struct part){.source = slice_dup(source),
			      .staged = text_printf("%s/raw-%u.ndjson", shipper->target.deployment->tmp_dir, raw->n),
			      .fd = -1};
	raw->n++;
	if (!part->source || !part->staged)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	part->fd = open(part->staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (part->fd < 0)
		return error_errno(err, errno, "cannot make %s", part->staged);
	if (raw->as == CLUSTER_RAW_GZIP) {
		const int copy = fcntl(part->fd, F_DUPFD_CLOEXEC, 0);
		part->gz = copy < 0 ? NULL : gzdopen(copy, "wb");
		if (!part->gz && copy >= 0)
			close(copy);
		if (!part->gz)
			return error_set(err, ERROR_NO_MEMORY, "cannot compress %s", part->staged);
	}
	*out = part;
	return 0;
}

static int fail_gzip(const struct part *part, int errnum, struct error *err)
{
	return error_errno(err, errnum ? errnum : EIO, "cannot write %s", part->staged);
}

static int flush(struct part *part, struct error *err)
{
	const size_t len = part->text.len;
	int rc = 0;
	errno = 0;
	if (part->gz && len && gzwrite(part->gz, part->text.data, (unsigned)len) != (int)len)
		rc = fail_gzip(part, errno, err);
	else if (!part->gz && len)
		rc = file_write_all(part->fd, part->text.data, len, part->staged, err);
	buf_clear(&part->text);
	return rc;
}

/* All of it is in the file. */
static int finish(struct part *part, struct error *err)
{
	int rc = flush(part, err);
	errno = 0;
	/* The same events give the same bytes: no time and no name is in the header. */
	if (part->gz && gzclose_w(part->gz) != Z_OK && rc == 0)
		rc = fail_gzip(part, errno, err);
	part->gz = NULL;
	return rc;
}

static int write_event(void *context, const struct ship_event *event, struct error *err)
{
	struct part *part = NULL;
	const int found = part_of(context, event->source, &part, err);
	if (found < 0 || !part)
		return found;
	struct json json;
	json_to_buf(&json, &part->text);
	event_json_write(&json, &event->record->event);
	json_newline(&json);
	const int rc = json_finish(&json, err);
	return rc == 0 && part->text.len >= FLUSH_BYTES ? flush(part, err) : rc;
}

static char *path_of(const struct shipper *shipper, const struct part *part, uint64_t first, uint64_t last, bool gzip)
{
	return text_printf("transactions/source=%s/events-%s-%012llu-%012llu.ndjson%s", part->source,
			   shipper->target.edge, (unsigned long long)first, (unsigned long long)last,
			   gzip ? ".gz" : "");
}

static int send_part(struct shipper *shipper, struct part *part, uint64_t first, uint64_t last, struct error *err)
{
	const bool gzip = part->gz != NULL;
	_cleanup_free_ char *path = path_of(shipper, part, first, last, gzip);
	_cleanup_free_ char *other = path_of(shipper, part, first, last, !gzip);
	if (!path || !other)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	int rc = finish(part, err);
	/* The earlier try may have been by another `raw`. */
	if (rc == 0 && shipper->again)
		rc = warehouse_remove(shipper->target.warehouse, other, err);
	return rc < 0 ? rc : ship_put_file(shipper, path, part->staged, err);
}

static int ship(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next,
		struct error *err)
{
	struct raw *const raw = shipper->state;
	int rc = raw->as == CLUSTER_RAW_NONE ? 0 : ship_events(reader, first, next, write_event, shipper, err);
	for (unsigned i = 0; rc == 0 && i < raw->n; i++)
		rc = send_part(shipper, &raw->parts[i], first, next - 1, err);
	drop_parts(raw);
	return rc;
}

/* An order of one line is some 30 bytes in a block, and 160 in JSON. */
const struct shipper_driver ship_raw = {
	.name = "hdfs-raw", .in_warehouse = true, .percent = 500, .open = open_raw, .ship = ship, .close = close_raw};
