/*
 * Messages of Kafka, of partitions and from offsets that the caller names: no group decides who reads what, and the caller alone
 * remembers how far he is.
 *
 *     struct kafka *kafka = NULL;
 *     rc = kafka_open(&(const struct kafka_options){.brokers = "broker:9092", .group = "shop"}, &kafka, err);
 *     rc = kafka_partitions(kafka, "orders", 1000, &n, err);
 *     rc = kafka_assign(kafka, &(const struct kafka_place){.topic = "orders", .partition = 0, .offset = 17}, 1, err);
 *     while (kafka_poll(kafka, &message)) {              // what there is now; poll(2) of kafka_fd waits for more
 *             …
 *             kafka_message_release(&message);
 *     }
 *     kafka_close(kafka);
 *
 * Brokers that cannot be reached are no error: librdkafka connects again, with growing pauses, for as long as it takes, and
 * kafka_trouble tells. What is fetched ahead is bounded (some 16 MiB), so who does not poll makes the brokers wait.
 *
 * One thread at a time; librdkafka has threads of its own, which call nothing of the caller's.
 */
#ifndef PUNCHCARD_NET_KAFKA_H
#define PUNCHCARD_NET_KAFKA_H

#include "base/bytes.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kafka;

struct kafka_property {
	const char *name;
	const char *value; /* never in a message or a log: it may be secret */
};

struct kafka_options {
	const char *brokers; /* "host:port,host:port" */
	const char *group;   /* under which kafka_tell tells */
	const char *name;    /* in the log: the source's */
	const struct kafka_property *properties;
	size_t n_properties;
};

/* ERROR_CONFIG: a setting that librdkafka does not know, or that is not the user's to make (kafka_owns); it cannot be loaded.
 * ERROR_NO_MEMORY, ERROR_IO. Does not wait for a broker. */
int kafka_open(const struct kafka_options *options, struct kafka **out, struct error *err);
/* Waits some seconds at most, for librdkafka's threads. NULL is fine. */
void kafka_close(struct kafka *kafka);

/* Readable when there may be something to poll. */
int kafka_fd(const struct kafka *kafka);

/* The oldest message that is there, instead of a number. */
#define KAFKA_OLDEST INT64_C(-2)

struct kafka_place {
	const char *topic;
	int32_t partition;
	int64_t offset;
};

/* From now on these, each from its place; nothing that was fetched by an earlier assignment is polled any more. 0 places: none. */
int kafka_assign(struct kafka *kafka, const struct kafka_place *places, size_t n, struct error *err);

enum kafka_kind {
	KAFKA_MESSAGE = 0,
	KAFKA_OUT_OF_RANGE, /* there is no such offset as was asked for; nothing more comes of this partition until it is assigned */
	KAFKA_GONE,    /* there is no such topic or partition (any more) */
	KAFKA_TROUBLE, /* something is wrong with the partition, which goes on by itself; see `why` */
};

struct kafka_message {
	enum kafka_kind kind;
	const char *topic;
	int32_t partition;
	int64_t offset;
	int64_t time_ms; /* of the message; -1: it has none */
	struct slice key;
	struct slice value;
	bool has_value; /* false: a tombstone */
	const char *why;
	void *handle;
};

/* The next of what is there; false: nothing at the moment. The caller releases it; what it points to lives until then. */
bool kafka_poll(struct kafka *kafka, struct kafka_message *out);
void kafka_message_release(struct kafka_message *message);

/* How many partitions a topic has. Asks, timeout_ms at most. ERROR_NOT_FOUND: no such topic; ERROR_AWAY: no answer;
 * ERROR_DENIED. */
int kafka_partitions(struct kafka *kafka, const char *topic, int timeout_ms, int32_t *n, struct error *err);
/* The offsets of the oldest message that is there, and of the next one that will be written. Errors as kafka_partitions. */
int kafka_range(struct kafka *kafka, const char *topic, int32_t partition, int timeout_ms, int64_t *first,
		int64_t *next, struct error *err);
/* Tells the group's coordinator how far the caller is, for people to see: offsets of what comes next. Waits for the answer wait_ms at
 * most; what comes of it is not told. */
void kafka_tell(struct kafka *kafka, const struct kafka_place *places, size_t n, int wait_ms);

/* What librdkafka last said of brokers, as it polled, since the last call; false: nothing. *down: none can be reached. */
bool kafka_trouble(struct kafka *kafka, bool *down, char text[256]);
/* Whether a setting is punchcard's own to make: exactly once depends on it, or punchcard.yaml has a key for it. */
bool kafka_owns(const char *name);

#endif
