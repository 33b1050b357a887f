#include "batch/customer_version.h"

#include <xxhash.h>

/* To be raised when files are read in another way, so that old tables are made again. */
#define READER_VERSION "1"

void customer_version_hash(struct slice text, char out[CUSTOMER_HASH_CHARS + 1])
{
	static const char HEX[] = "0123456789abcdef";
	XXH128_canonical_t hash;
	XXH128_canonicalFromHash(&hash, XXH3_128bits(text.data, text.len));
	for (size_t i = 0; i < sizeof(hash.digest); i++) {
		out[2 * i] = HEX[hash.digest[i] >> 4];
		out[2 * i + 1] = HEX[hash.digest[i] & 0xF];
	}
	out[CUSTOMER_HASH_CHARS] = '\0';
}

int customer_version_describe(const struct customer_file *file, struct buf *out)
{
	if (buf_printf(out, "reader %s file %s %s\n", READER_VERSION, file->landed->hash, file->landed->format) < 0)
		return ERROR_NO_MEMORY;
	return customer_format_describe(file->format, out);
}
