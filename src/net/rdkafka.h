/*
 * librdkafka, loaded when a source of type kafka is opened for the first time: nobody else pays for it and the libraries that it brings
 * along. Only src/net includes this; net/kafka.h is for the others.
 *
 *     rc = rdkafka_load(err);
 *     rd_kafka_conf_t *const conf = rdkafka.conf_new();  // and so on: rd_kafka_conf_new and its like, as librdkafka documents them
 */
#ifndef PUNCHCARD_NET_RDKAFKA_H
#define PUNCHCARD_NET_RDKAFKA_H

#include "base/error.h"

#include <librdkafka/rdkafka.h>

/* clang-format off */
#define RDKAFKA_FUNCTIONS(each)                                                                               \
	each(assign) each(commit_queue) each(conf_destroy) each(conf_new) each(conf_set)                      \
	each(conf_set_error_cb) each(conf_set_log_cb) each(conf_set_opaque) each(consumer_poll)               \
	each(destroy_flags) each(err2str) each(event_destroy) each(message_destroy)         \
	each(message_timestamp) each(metadata) each(metadata_destroy) each(new) each(opaque)                  \
	each(poll_set_consumer) each(offsets_for_times) each(queue_destroy) each(queue_get_consumer)    \
	each(queue_io_event_enable) each(queue_new) each(queue_poll) each(topic_destroy) each(topic_name)     \
	each(topic_new) each(topic_partition_list_add) each(topic_partition_list_destroy)                     \
	each(topic_partition_list_new)
/* clang-format on */

struct rdkafka {
#define RDKAFKA_MEMBER(name) __typeof__(rd_kafka_##name) *(name);
	RDKAFKA_FUNCTIONS(RDKAFKA_MEMBER)
#undef RDKAFKA_MEMBER
};

/* All of them, when rdkafka_load has returned 0. */
extern struct rdkafka rdkafka;

/* Loads it, once; it stays. ERROR_CONFIG: it is not there, or too old. Any thread. */
int rdkafka_load(struct error *err);

#endif
