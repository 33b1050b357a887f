/*
 * How far a source of type kafka has come in each partition, in the journal: a position begins like that of a file (speed/intake.h), so
 * that `status` adds them up alike. kafka_position.c has the bytes. In the journal's write transaction, but for the decoding.
 */
#ifndef PUNCHCARD_SPEED_KAFKA_POSITION_H
#define PUNCHCARD_SPEED_KAFKA_POSITION_H

#include "base/input.h"
#include "speed/intake.h"

struct kafka_position {
	struct intake_position common;           /* line: messages; never complete */
	int64_t next;                            /* the offset of the next message; not negative */
	uint64_t generation;                     /* how many topics had the name, with this one, from 1 */
	uint64_t lost;                           /* messages that were removed before they were read */
	bool has_print;                          /* of the message before `next`, to know the topic again by … */
	unsigned char print[INPUT_DIGEST_BYTES]; /* … this hash of its time, key and value */
};

/* ERROR_CORRUPT. */
int kafka_position_decode(struct slice stored, struct kafka_position *out);
/* *found is false, and *out as it was, when there is none. */
int kafka_position_get(struct journal *journal, const char *source, const char *topic, int32_t partition, bool *found,
		       struct kafka_position *out, struct error *err);
int kafka_position_set(struct journal *journal, const char *source, const char *topic, int32_t partition,
		       const struct kafka_position *position, struct error *err);

#endif
