/*
 * What the journal has of a source's position: of files of a spool (version 1), of streams (version 2) and of Kafka (version 3). The
 * input is one of them as it is. What is read means the same when it is written and read again; what is refused leaves nothing.
 */
#include "speed/intake_internal.h"
#include "speed/kafka_position.h"
#include "speed/stream_position.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool is_same(const struct intake_position *a, const struct intake_position *b)
{
	return a->complete == b->complete && a->bytes == b->bytes && a->line == b->line &&
	       a->file_bytes == b->file_bytes && a->time_us == b->time_us &&
	       memcmp(&a->counts, &b->counts, sizeof(a->counts)) == 0;
}

static void check_file(struct slice stored)
{
	struct intake_position position;
	struct intake_position again;
	unsigned char digest[INPUT_DIGEST_BYTES];
	unsigned char digest_again[INPUT_DIGEST_BYTES];
	struct buf bytes = {0};
	if (intake_position_decode(stored, &position, digest) < 0)
		return;
	require(intake_position_encode(POSITION_VERSION_FILE, &position, digest, &bytes) == 0);
	require(intake_position_decode((struct slice){bytes.data, bytes.len}, &again, digest_again) == 0);
	require(is_same(&position, &again) && memcmp(digest, digest_again, sizeof(digest)) == 0);
	buf_release(&bytes);
}

static void check_stream(struct slice stored)
{
	struct stream_position position;
	if (stream_position_decode(stored, &position) < 0)
		return;
	require(position.before.len <= STREAM_PRINT_BYTES && position.before.len <= position.common.bytes);
	require(position.head.len <= STREAM_PRINT_BYTES && position.head.len <= position.common.bytes);
	require(position.name.len == 0 || (position.name.data >= stored.data &&
					   position.name.data + position.name.len <= stored.data + stored.len));
}

static void check_kafka(struct slice stored)
{
	struct kafka_position position;
	if (kafka_position_decode(stored, &position) == 0)
		require(position.next >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice stored = {(const char *)data, size};
	check_file(stored);
	check_stream(stored);
	check_kafka(stored);
	return 0;
}
