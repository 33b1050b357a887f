#include "speed/shipper.h"

#include "base/bytes.h"
#include "store/warehouse.h"

#include <stdlib.h>
#include <string.h>

#define VERSION  1
#define KEY_ROOT "\1ship/"

/* --- its position --- */

static int make_key(const struct shipper *shipper, struct buf *out, struct error *err)
{
	return buf_printf(out, KEY_ROOT "%s", shipper->driver->name) < 0 ? error_no_memory(err, 64) : 0;
}

static bool decode(struct slice stored, uint64_t *offset, uint64_t *planned)
{
	struct reader r = reader_of(stored);
	const uint64_t version = read_varint(&r);
	*offset = read_varint(&r);
	*planned = read_varint(&r);
	return !r.bad && version == VERSION && *offset >= 1 && *planned >= *offset;
}

static int store(struct shipper *shipper, uint64_t offset, uint64_t planned, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	char value[3 * VARINT_MAX_BYTES];
	int rc = make_key(shipper, &key, err);
	if (rc == 0)
		rc = journal_begin(shipper->journal, err);
	if (rc < 0)
		return rc;
	const char *const end = put_varint(put_varint(put_varint(value, VERSION), offset), planned);
	rc = journal_position_set(shipper->journal, (struct slice){key.data, key.len},
				  (struct slice){value, (size_t)(end - value)}, err);
	if (rc < 0) {
		journal_abort(shipper->journal);
		return rc;
	}
	rc = journal_commit(shipper->journal, err);
	if (rc < 0)
		return rc;
	shipper->offset = offset;
	shipper->planned = planned;
	return 0;
}

struct found {
	size_t key_len;
	uint64_t offset; /* 0: there is none */
	uint64_t planned;
	bool bad;
};

static int on_position(void *context, struct slice key, struct slice stored)
{
	struct found *const found = context;
	if (key.len != found->key_len)
		return 0; /* of one whose name goes on */
	found->bad = !decode(stored, &found->offset, &found->planned);
	return 1;
}

static int find_position(struct shipper *shipper, struct error *err)
{
	_cleanup_buf_ struct buf key = {0};
	struct journal_reader *reader = NULL;
	uint64_t first = 1;
	uint64_t next = 1;
	struct found found = {0};
	int rc = make_key(shipper, &key, err);
	if (rc == 0)
		rc = journal_reader_open(shipper->journal, &reader, err);
	if (rc == 0)
		rc = journal_reader_range(reader, &first, &next, err);
	found.key_len = key.len;
	if (rc == 0)
		rc = journal_reader_positions(reader, (struct slice){key.data, key.len}, on_position, &found, err);
	journal_reader_close(reader);
	if (rc < 0)
		return rc;
	if (found.bad)
		return error_set(err, ERROR_CORRUPT, "the position of what is shipped, in the journal, is damaged");
	if (found.offset && (found.offset < first || found.planned > next))
		return error_set(
			err, ERROR_CORRUPT,
			"blocks from %llu on are still to be shipped, and the journal has blocks %llu to %llu: it "
			"is another journal, or a part is lost; put data/ back from a backup",
			(unsigned long long)found.offset, (unsigned long long)first, (unsigned long long)next - 1);
	if (!found.offset) /* from now on what comes is kept for it */
		return store(shipper, first, first, err);
	shipper->offset = found.offset;
	shipper->planned = found.planned;
	return 0;
}

/* --- shipping --- */

int shipper_open(const struct shipper_driver *driver, const struct ship_target *target, struct journal *journal,
		 struct shipper **out, struct error *err)
{
	struct shipper *const shipper = calloc(1, sizeof(*shipper));
	if (!shipper)
		return error_no_memory(err, sizeof(*shipper));
	*shipper = (struct shipper){.driver = driver, .target = *target, .journal = journal};
	int rc = find_position(shipper, err);
	if (rc == 0 && driver->open)
		rc = driver->open(shipper, err);
	if (rc < 0) {
		shipper_close(shipper);
		return error_prefix(err, "shipping (%s)", driver->name);
	}
	*out = shipper;
	return 0;
}

void shipper_close(struct shipper *shipper)
{
	if (!shipper)
		return;
	if (shipper->driver->close)
		shipper->driver->close(shipper);
	free(shipper);
}

uint64_t shipper_block_bytes(const struct shipper *shipper)
{
	const uint64_t bytes = shipper->target.shipment_bytes / shipper->driver->percent * 100;
	return bytes ? bytes : 1;
}

/* Where a shipment that begins at the offset ends: when it is large enough. */
static int find_end(const struct shipper *shipper, struct journal_reader *reader, uint64_t next, uint64_t *end,
		    struct error *err)
{
	const uint64_t most_bytes = shipper_block_bytes(shipper);
	const uint64_t most_blocks = shipper->driver->shipment_blocks;
	uint64_t bytes = 0;
	int rc = 0;
	for (*end = shipper->offset; rc == 0 && *end < next && bytes < most_bytes; ++*end) {
		struct slice block = {0};
		if (most_blocks && *end - shipper->offset >= most_blocks)
			break;
		rc = journal_reader_block(reader, *end, &block, err);
		bytes += block.len;
	}
	return rc;
}

int shipper_write(struct shipper *shipper, struct journal_reader *reader, uint64_t next, struct error *err)
{
	int rc = 0;
	/* What was broken off; not at the opening, for the servers may be away. */
	if (!shipper->cleaned && shipper->target.warehouse)
		rc = warehouse_clean(shipper->target.warehouse, err);
	shipper->cleaned = rc == 0;
	while (rc == 0 && shipper->offset < next) {
		uint64_t end = shipper->planned;
		if (end == shipper->offset)
			rc = find_end(shipper, reader, next, &end, err);
		if (rc == 0 && end != shipper->planned)
			rc = store(shipper, shipper->offset, end, err);
		if (rc == 0)
			rc = shipper->driver->ship(shipper, reader, shipper->offset, end, err);
		if (rc == 0)
			rc = store(shipper, end, end, err);
	}
	return rc < 0 ? error_prefix(err, "shipping (%s)", shipper->driver->name) : 0;
}

/* --- all there are --- */

static int on_any(void *context, struct slice key, struct slice stored)
{
	uint64_t *const least = context;
	uint64_t offset;
	uint64_t planned;
	(void)key;
	if (decode(stored, &offset, &planned) && offset < *least)
		*least = offset;
	return 0;
}

int shippers_pinned(struct journal_reader *reader, uint64_t *first, struct error *err)
{
	uint64_t least = UINT64_MAX;
	const int rc = journal_reader_positions(reader, slice_of(KEY_ROOT), on_any, &least, err);
	if (rc == 0)
		*first = least;
	return rc;
}
