/*
 * What the parts of the kafka source share. No part is used from outside of these files.
 *
 *     source_kafka.c     the driver: partitions, what is wrong with them, batches
 *     kafka_parts.c      which partitions there are, where each begins, and whether its topic is the one that was read
 *     kafka_take.c       a batch of messages into a block, with the positions
 *     kafka_position.c   how far each partition was read, in the journal
 */
#ifndef PUNCHCARD_SPEED_KAFKA_INTERNAL_H
#define PUNCHCARD_SPEED_KAFKA_INTERNAL_H

#include "net/kafka.h"
#include "speed/kafka_position.h"
#include "speed/source.h"

/* Messages of a block at most; and their bytes, at which a block is committed. */
#define KAFKA_BATCH       10000u
#define KAFKA_BATCH_BYTES ((size_t)1024 * 1024)
/* A larger message is set aside as too_long: it may have many lines, each of LIMIT_LINE_BYTES. */
#define KAFKA_MESSAGE_BYTES ((size_t)16 * LIMIT_LINE_BYTES)
/* How long brokers are waited for when they are asked. */
#define KAFKA_ASK_MS 1000
/* That a partition ends before what was read is believed after so many answers, over so long. */
#define KAFKA_DOUBTS   4u
#define KAFKA_DOUBT_MS 5000

struct kafka_topic {
	const char *name;
	bool looked;  /* its partitions are known */
	bool missing; /* there was none of this name, which was said */
	bool short_said;
};

struct kafka_part {
	struct kafka_topic *topic;
	int32_t number;
	bool begun;                      /* there is a position */
	struct kafka_position position;  /* what is durable */
	struct kafka_position following; /* with the block that is being made */
	int64_t seen;                    /* the offset behind the last message of the batch, or the position's */
	bool verify; /* the message before the position is read again, to see that the topic is the one that was read */
	bool check;  /* it must be asked which messages there are, before it is read */
	bool latest; /* it begins at the next message; where that is must be asked */
	bool astray; /* the broker has no such offset: it must be asked which there are */
	unsigned doubts;  /* answers, in a row, that its end is before what was read: a leader may only be behind … */
	int64_t doubt_ms; /* … since the first of them, by the monotonic clock */
	bool another;     /* the topic is another one of the same name */
	bool gone;        /* there is no such partition at the moment */
	struct buf label;
};

struct kafka_reader {
	struct source *source;
	struct kafka *client;
	struct intake *intake; /* takes the records */
	struct order_format *format;
	struct kafka_topic *topics;
	struct kafka_part **parts;
	size_t n_parts;
	size_t parts_cap;
	struct kafka_part *last; /* of which a message came last */
	bool must_assign;
	size_t turn;       /* which partition is mended first */
	bool away;         /* the brokers, which was said */
	bool refused;      /* something of them, which was said */
	int64_t look_ms;   /* by the monotonic clock: when to look for partitions next */
	unsigned failures; /* of looking, in a row */
	int64_t told_ms;   /* when the brokers were told how far it is */
	int64_t committed_ms;
	struct XXH3_state_s *hash; /* of a print */
	struct kafka_message *batch;
	struct kafka_part **batch_parts;
	size_t n_batch;
	size_t batch_bytes;
	int64_t batch_us; /* when its first message was read */
};

/* kafka_parts.c */

/* Looks which partitions there are now, of every topic. ERROR_AWAY, ERROR_DENIED: of some nothing was told, and this is the first of
 * them; the others were looked at. ERROR_NO_MEMORY; the journal's. A topic that is not there is no error. */
int kafka_parts_look(struct kafka_reader *reader, struct error *err);
/* Whether an error is of the brokers, or of one topic, and it is asked again later. */
bool kafka_is_for_later(int rc);
/* Forgets what was read and is not durable, and reads positions again. */
int kafka_parts_reset(struct kafka_reader *reader, struct error *err);
/* Asks where those stand that are astray, of another topic, or begin at the end, and stores it. ERROR_AWAY …: it has to be tried again. */
int kafka_parts_mend(struct kafka_reader *reader, struct error *err);
/* Whether one's end is doubted: it has to be asked again soon. */
bool kafka_parts_doubtful(const struct kafka_reader *reader);
/* Gives librdkafka what is to be read, and from where. */
int kafka_parts_assign(struct kafka_reader *reader, struct error *err);
/* NULL: none of ours. */
struct kafka_part *kafka_parts_find(struct kafka_reader *reader, const char *topic, int32_t number);
/* Whether a message is to be taken: not what was read before. It may find that the topic is another one. */
bool kafka_part_wants(struct kafka_reader *reader, struct kafka_part *part, const struct kafka_message *message);
/* What is to be seen of all that were begun, for kafka_tell. Returns how many. */
size_t kafka_parts_places(const struct kafka_reader *reader, struct kafka_place *out);
void kafka_parts_free(struct kafka_reader *reader);

/* kafka_take.c */

int kafka_take_open(struct kafka_reader *reader, struct error *err);
void kafka_take_close(struct kafka_reader *reader);
/* Makes the batch durable, with the positions behind it. */
int kafka_take_batch(struct kafka_reader *reader, struct error *err);
/* Releases the messages of the batch. */
void kafka_drop_batch(struct kafka_reader *reader);
/* A message's print, for a position. */
void kafka_print(struct kafka_reader *reader, const struct kafka_message *message,
		 unsigned char out[INPUT_DIGEST_BYTES]);

#endif
