#include "speed/ship_claims.h"

#include "base/limits.h"
#include "store/block.h"

#include <string.h>

#define KEY_ROOT    "\1claim/"
#define CLAIM_BYTES 65536u

int ship_claim_look(struct warehouse *warehouse, const char *source, const char *edge, struct error *err)
{
	_cleanup_free_ char *path = text_printf("sources/%s", source);
	_cleanup_buf_ struct buf text = {0};
	if (!path)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	struct error why = {0};
	const int rc = warehouse_read_all(warehouse, path, CLAIM_BYTES, &text, &why);
	if (rc == ERROR_NOT_FOUND)
		return 1;
	if (rc < 0)
		return error_set(err, rc, "%s", why.message);
	for (size_t at = 0; at < text.len;) {
		const char *const feed = memchr(text.data + at, '\n', text.len - at);
		const size_t len = feed ? (size_t)(feed - text.data) - at : text.len - at;
		if (slice_is(slice_trim((struct slice){text.data + at, len}), edge))
			return 0;
		at += len + 1;
	}
	const struct slice owner = {text.data, text.len ? strcspn(buf_text(&text) ? text.data : "", "\r\n") : 0};
	return error_set(
		err, ERROR_CONFIG,
		"source %s is edge %.*s's (%s): its events have no ids but file and line, which would be equal to "
		"others of this edge; give the source another name here in punchcard.yaml before it collects anything; "
		"or, "
		"if the files of both never have the same name, and for what is collected already, add a line \"%s\" "
		"to "
		"that file",
		source, (int)owner.len, owner.data, path, edge);
}

/* --- what was claimed before ------------------------------------------------------------------------------------------------- */

static int make_key(struct slice source, struct buf *out, struct error *err)
{
	return buf_printf(out, KEY_ROOT "%.*s", (int)source.len, source.data) < 0 ? error_no_memory(err, source.len)
										  : 0;
}

struct known {
	const char *edge;
	size_t key_len;
	bool is;
};

static int on_claim(void *context, struct slice key, struct slice stored)
{
	struct known *const known = context;
	known->is = known->is || (key.len == known->key_len && slice_is(stored, known->edge));
	return known->is;
}

static int is_known(struct shipper *shipper, struct journal_reader *reader, struct slice key, bool *is,
		    struct error *err)
{
	struct known known = {.edge = shipper->target.edge, .key_len = key.len};
	const int rc = journal_reader_positions(reader, key, on_claim, &known, err);
	*is = known.is;
	return rc;
}

static int remember(struct shipper *shipper, struct slice key, struct error *err)
{
	int rc = journal_begin(shipper->journal, err);
	if (rc < 0)
		return rc;
	rc = journal_position_set(shipper->journal, key, slice_of(shipper->target.edge), err);
	if (rc < 0) {
		journal_abort(shipper->journal);
		return rc;
	}
	return journal_commit(shipper->journal, err);
}

/* --- claiming --------------------------------------------------------------------------------------------------------------- */

static int claim_source(struct shipper *shipper, struct journal_reader *reader, struct slice source, struct error *err)
{
	const char *const edge = shipper->target.edge;
	struct warehouse *const warehouse = shipper->target.warehouse;
	_cleanup_buf_ struct buf key = {0};
	_cleanup_free_ char *name = slice_dup(source);
	_cleanup_free_ char *path = text_printf("sources/%.*s", (int)source.len, source.data);
	_cleanup_free_ char *line = text_printf("%s\n", edge);
	bool known = false;
	if (!name || !path || !line)
		return error_no_memory(err, source.len);
	int rc = make_key(source, &key, err);
	if (rc == 0)
		rc = is_known(shipper, reader, (struct slice){key.data, key.len}, &known, err);
	if (rc < 0 || known)
		return rc;
	rc = ship_claim_look(warehouse, name, edge, err);
	if (rc == 1) {
		rc = warehouse_put_bytes(warehouse, path, slice_of(line), err);
		/* Another edge may have been faster: whose it is says the file. */
		if (rc == 0 || rc == ERROR_EXISTS)
			rc = ship_claim_look(warehouse, name, edge, err);
	}
	return rc < 0 ? rc : remember(shipper, (struct slice){key.data, key.len}, err);
}

/* The block's source, when its events have ids of file and line; empty: it needs no claim. All of a source are alike. */
static int source_to_claim(struct slice bytes, struct buf *source, struct error *err)
{
	struct block_reader reader = {0};
	struct block_record record;
	buf_clear(source);
	int rc = block_reader_open(&reader, bytes, err);
	if (rc < 0)
		return rc;
	while ((rc = block_reader_next(&reader, &record, err)) == 1 && record.kind != BLOCK_EVENT)
		;
	if (rc == 1 && record.implicit_id)
		rc = buf_append(source, reader.source.data, reader.source.len) < 0 ? error_no_memory(err, 64) : 0;
	block_reader_release(&reader);
	return rc < 0 ? rc : 0;
}

int ship_claim(struct shipper *shipper, struct journal_reader *reader, uint64_t first, uint64_t next, struct error *err)
{
	_cleanup_buf_ struct buf source = {0};
	_cleanup_buf_ struct buf last = {0};
	int rc = 0;
	for (uint64_t seq = first; rc == 0 && seq < next; seq++) {
		struct slice bytes;
		rc = journal_reader_block(reader, seq, &bytes, err);
		if (rc == 0)
			rc = source_to_claim(bytes, &source, err);
		const struct slice found = {source.data, source.len};
		if (rc < 0 || !found.len || slice_equal(found, (struct slice){last.data, last.len}))
			continue;
		rc = claim_source(shipper, reader, found, err);
		buf_clear(&last);
		if (rc == 0 && buf_append(&last, found.data, found.len) < 0)
			rc = error_no_memory(err, found.len);
	}
	return rc;
}
