#include "base/bytes.h"

uint64_t read_long_varint(struct reader *r)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
		const unsigned char byte = *r->at++;
		if ((shift == 63 && byte > 1) || (shift && byte == 0))
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return value;
	}
	r->bad = true;
	return 0;
}
