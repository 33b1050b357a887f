#include "net/kafka.h"

#include "base/log.h"
#include "net/rdkafka.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Fetched ahead, of all partitions together. */
#define AHEAD_KIB "16384"
/* How long its end is waited for. */
#define CLOSE_S 5

struct kafka {
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
	rd_kafka_queue_t *told; /* answers to kafka_tell */
	int fd;
	char *name;
	bool has_trouble;
	bool down;
	char trouble[256];
};

/* --- settings --- */

bool kafka_owns(const char *name)
{
	static const char *const OWN[] = {
		"bootstrap.servers",    "metadata.broker.list",     "group.id",
		"group.instance.id",    "enable.auto.commit",       "auto.commit.enable",
		"auto.offset.reset",    "enable.auto.offset.store", "enable.partition.eof",
		"plugin.library.paths", "test.mock.num.brokers",    "log.queue",
	};
	for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++)
		if (strcmp(OWN[i], name) == 0)
			return true;
	return false;
}

/* librdkafka's own words may hold the value. */
static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *err)
{
	char words[256];
	switch (rdkafka.conf_set(conf, name, value, words, sizeof(words))) {
	case RD_KAFKA_CONF_OK:
		return 0;
	case RD_KAFKA_CONF_UNKNOWN:
		return error_set(err, ERROR_CONFIG,
				 "librdkafka has no setting '%s'; see its list of configuration properties", name);
	default:
		return error_set(err, ERROR_CONFIG,
				 "librdkafka does not take this value of its setting '%s'; see its list of "
				 "configuration properties",
				 name);
	}
}

static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct kafka *const kafka = rk ? rdkafka.opaque(rk) : NULL;
	const char *const name = kafka ? kafka->name : "";
	(void)facility;
	if (level <= 4)
		LOG_WARNING("librdkafka says", log_text("source", name), log_text("text", text));
	else
		LOG_DEBUG("librdkafka says", log_text("source", name), log_text("text", text));
}

/* Called by kafka_poll. */
static void on_error(rd_kafka_t *rk, int code, const char *text, void *opaque)
{
	struct kafka *const kafka = opaque;
	(void)rk;
	kafka->has_trouble = true;
	kafka->down = kafka->down || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
	/* That one says only how many there are: what was said of the brokers before is better. */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !kafka->trouble[0])
		snprintf(kafka->trouble, sizeof(kafka->trouble), "%s", text);
}

static int configure(struct kafka *kafka, const struct kafka_options *options, rd_kafka_conf_t *conf, struct error *err)
{
	/* What a user may set comes first, so that he can have it otherwise. */
	const struct kafka_property ours[] = {
		{"client.id", "punchcard"},           {"queued.max.messages.kbytes", AHEAD_KIB},
		{"max.poll.interval.ms", "86400000"}, /* who waits for room is not dead */
		{"session.timeout.ms", "1000"},       /* so long kafka_close waits for a coordinator that is away */
		{"log.connection.close", "false"},
	};
	const struct kafka_property fixed[] = {
		{"bootstrap.servers", options->brokers}, {"group.id", options->group},
		{"enable.auto.commit", "false"},         {"enable.auto.offset.store", "false"},
		{"auto.offset.reset", "error"},          {"enable.partition.eof", "false"},
	};
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < sizeof(ours) / sizeof(ours[0]); i++)
		rc = set(conf, ours[i].name, ours[i].value, err);
	for (size_t i = 0; rc == 0 && i < options->n_properties; i++) {
		const struct kafka_property *const p = &options->properties[i];
		rc = kafka_owns(p->name)
			     ? error_set(err, ERROR_CONFIG, "the setting '%s' is punchcard's own; expected no such one",
					 p->name)
			     : set(conf, p->name, p->value, err);
	}
	for (size_t i = 0; rc == 0 && i < sizeof(fixed) / sizeof(fixed[0]); i++)
		rc = set(conf, fixed[i].name, fixed[i].value, err);
	rdkafka.conf_set_opaque(conf, kafka);
	rdkafka.conf_set_log_cb(conf, log_line);
	rdkafka.conf_set_error_cb(conf, on_error);
	return rc;
}

/* --- from start to end --- */

static int start(struct kafka *kafka, const struct kafka_options *options, struct error *err)
{
	char words[256];
	kafka->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kafka->fd < 0)
		return error_errno(err, errno, "cannot make an eventfd");
	kafka->name = strdup(options->name ? options->name : "");
	rd_kafka_conf_t *const conf = rdkafka.conf_new();
	if (!kafka->name || !conf)
		return error_no_memory(err, sizeof(*kafka));
	const int rc = configure(kafka, options, conf, err);
	if (rc == 0)
		kafka->rk = rdkafka.new(RD_KAFKA_CONSUMER, conf, words, sizeof(words));
	if (!kafka->rk) {
		rdkafka.conf_destroy(conf);
		return rc < 0 ? rc : error_set(err, ERROR_CONFIG, "librdkafka cannot start: %s", words);
	}
	rdkafka.poll_set_consumer(kafka->rk);
	kafka->queue = rdkafka.queue_get_consumer(kafka->rk);
	kafka->told = rdkafka.queue_new(kafka->rk);
	static const uint64_t ONE = 1;
	rdkafka.queue_io_event_enable(kafka->queue, kafka->fd, &ONE, sizeof(ONE));
	return 0;
}

int kafka_open(const struct kafka_options *options, struct kafka **out, struct error *err)
{
	int rc = rdkafka_load(err);
	if (rc < 0)
		return rc;
	struct kafka *const kafka = calloc(1, sizeof(*kafka));
	if (!kafka)
		return error_no_memory(err, sizeof(*kafka));
	kafka->fd = -1;
	rc = start(kafka, options, err);
	if (rc < 0) {
		kafka_close(kafka);
		return rc;
	}
	*out = kafka;
	return 0;
}

/* librdkafka's end is waited for in a thread of its own: it may never come when a topic was deleted and made anew (seen with 2.0.2, and
 * not the only report of its kind). Then the instance is left as it is, with what it uses. */
struct closing {
	struct kafka *kafka;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool done;
	bool left; /* nobody waits any more */
};

static void free_kafka(struct kafka *kafka)
{
	if (kafka->fd >= 0)
		close(kafka->fd);
	free(kafka->name);
	free(kafka);
}

static void free_closing(struct closing *closing)
{
	pthread_cond_destroy(&closing->changed);
	pthread_mutex_destroy(&closing->mutex);
	free_kafka(closing->kafka);
	free(closing);
}

static void *destroy(void *argument)
{
	struct closing *const closing = argument;
	rdkafka.destroy_flags(closing->kafka->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	pthread_mutex_lock(&closing->mutex);
	closing->done = true;
	const bool left = closing->left;
	pthread_cond_signal(&closing->changed);
	pthread_mutex_unlock(&closing->mutex);
	if (left)
		free_closing(closing);
	return NULL;
}

static void wait_for_end(struct closing *closing)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CLOSE_S;
	pthread_mutex_lock(&closing->mutex);
	while (!closing->done && pthread_cond_timedwait(&closing->changed, &closing->mutex, &until) == 0)
		;
	const bool done = closing->done;
	closing->left = !done;
	pthread_mutex_unlock(&closing->mutex);
	if (done)
		free_closing(closing);
	else
		LOG_WARNING("librdkafka does not end, and is left as it is");
}

static void end(struct kafka *kafka)
{
	struct closing *const closing = calloc(1, sizeof(*closing));
	pthread_t thread;
	if (!closing) {
		rdkafka.destroy_flags(kafka->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
		free_kafka(kafka);
		return;
	}
	closing->kafka = kafka;
	pthread_mutex_init(&closing->mutex, NULL);
	pthread_cond_init(&closing->changed, NULL);
	if (pthread_create(&thread, NULL, destroy, closing) == 0) {
		pthread_detach(thread);
		wait_for_end(closing);
		return;
	}
	(void)destroy(closing);
	free_closing(closing);
}

void kafka_close(struct kafka *kafka)
{
	if (!kafka)
		return;
	if (kafka->queue) {
		rdkafka.queue_io_event_enable(kafka->queue, -1, NULL, 0);
		rdkafka.queue_destroy(kafka->queue);
	}
	if (kafka->told)
		rdkafka.queue_destroy(kafka->told);
	if (kafka->rk)
		end(kafka);
	else
		free_kafka(kafka);
}

int kafka_fd(const struct kafka *kafka)
{
	return kafka->fd;
}

/* --- reading --- */

static rd_kafka_topic_partition_list_t *make_list(const struct kafka_place *places, size_t n)
{
	rd_kafka_topic_partition_list_t *const list = rdkafka.topic_partition_list_new((int)n);
	for (size_t i = 0; list && i < n; i++)
		rdkafka.topic_partition_list_add(list, places[i].topic, places[i].partition)->offset = places[i].offset;
	return list;
}

int kafka_assign(struct kafka *kafka, const struct kafka_place *places, size_t n, struct error *err)
{
	rd_kafka_topic_partition_list_t *const list = make_list(places, n);
	if (!list)
		return error_no_memory(err, n * sizeof(*places));
	const rd_kafka_resp_err_t code = rdkafka.assign(kafka->rk, list);
	rdkafka.topic_partition_list_destroy(list);
	return code ? error_set(err, ERROR_IO, "cannot read these partitions: %s", rdkafka.err2str(code)) : 0;
}

static enum kafka_kind kind_of(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return KAFKA_MESSAGE;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		return KAFKA_OUT_OF_RANGE;
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		return KAFKA_GONE;
	default:
		return KAFKA_TROUBLE;
	}
}

bool kafka_poll(struct kafka *kafka, struct kafka_message *out)
{
	rd_kafka_message_t *m;
	uint64_t n;
	/* The descriptor is emptied before the last look: what comes behind it makes it readable again. */
	while (!(m = rdkafka.consumer_poll(kafka->rk, 0)))
		if (read(kafka->fd, &n, sizeof(n)) < 0)
			return false;
	*out = (struct kafka_message){
		.kind = kind_of(m->err),
		.topic = m->rkt ? rdkafka.topic_name(m->rkt) : "",
		.partition = m->partition,
		.offset = m->offset,
		.handle = m,
	};
	if (m->err) {
		out->why = m->payload ? (const char *)m->payload : rdkafka.err2str(m->err);
		return true;
	}
	rd_kafka_timestamp_type_t type;
	out->time_ms = rdkafka.message_timestamp(m, &type);
	out->key = (struct slice){m->key ? m->key : "", m->key ? m->key_len : 0};
	out->value = (struct slice){m->payload ? m->payload : "", m->payload ? m->len : 0};
	out->has_value = m->payload != NULL;
	return true;
}

void kafka_message_release(struct kafka_message *message)
{
	if (message->handle)
		rdkafka.message_destroy(message->handle);
	message->handle = NULL;
}

/* --- asking --- */

static int code_of(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		return ERROR_NOT_FOUND;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		return ERROR_DENIED;
	default:
		return ERROR_AWAY;
	}
}

/* Says what the answer about one topic says. */
static int read_topic(const struct rd_kafka_metadata *answer, const char *topic, int32_t *n, struct error *err)
{
	for (int i = 0; i < answer->topic_cnt; i++) {
		const rd_kafka_metadata_topic_t *const t = &answer->topics[i];
		if (strcmp(t->topic, topic) != 0)
			continue;
		if (t->err == RD_KAFKA_RESP_ERR_NO_ERROR && t->partition_cnt > 0) {
			*n = t->partition_cnt;
			return 0;
		}
		if (t->err != RD_KAFKA_RESP_ERR_NO_ERROR && kind_of(t->err) != KAFKA_GONE)
			return error_set(err, code_of(t->err), "topic %s: %s", topic, rdkafka.err2str(t->err));
	}
	return error_set(err, ERROR_NOT_FOUND, "there is no topic %s", topic);
}

int kafka_partitions(struct kafka *kafka, const char *topic, int timeout_ms, int32_t *n, struct error *err)
{
	rd_kafka_topic_t *const rkt = rdkafka.topic_new(kafka->rk, topic, NULL);
	if (!rkt)
		return error_set(err, ERROR_IO, "topic %s cannot be looked at", topic);
	const struct rd_kafka_metadata *answer = NULL;
	const rd_kafka_resp_err_t code = rdkafka.metadata(kafka->rk, 0, rkt, &answer, timeout_ms);
	const int rc = code ? error_set(err, code_of(code), "topic %s: %s", topic, rdkafka.err2str(code))
			    : read_topic(answer, topic, n, err);
	if (answer)
		rdkafka.metadata_destroy(answer);
	rdkafka.topic_destroy(rkt);
	return rc;
}

/* One end of a partition. rd_kafka_query_watermark_offsets would be for this, but does not keep to its timeout when a broker dies. */
static int ask_end(struct kafka *kafka, const struct kafka_place *end, int timeout_ms, int64_t *offset,
		   struct error *err)
{
	rd_kafka_topic_partition_list_t *const list = make_list(end, 1);
	if (!list)
		return error_no_memory(err, sizeof(*end));
	rd_kafka_resp_err_t code = rdkafka.offsets_for_times(kafka->rk, list, timeout_ms);
	if (!code)
		code = list->elems[0].err;
	const int64_t found = list->elems[0].offset;
	rdkafka.topic_partition_list_destroy(list);
	if (!code && found >= 0) {
		*offset = found;
		return 0;
	}
	return error_set(err, code ? code_of(code) : ERROR_AWAY,
			 "topic %s, partition %d: its offsets cannot be had: %s", end->topic, (int)end->partition,
			 code ? rdkafka.err2str(code) : "there is no answer");
}

int kafka_range(struct kafka *kafka, const char *topic, int32_t partition, int timeout_ms, int64_t *first,
		int64_t *next, struct error *err)
{
	struct kafka_place end = {.topic = topic, .partition = partition, .offset = RD_KAFKA_OFFSET_BEGINNING};
	int64_t from = 0;
	int rc = ask_end(kafka, &end, timeout_ms, &from, err);
	end.offset = RD_KAFKA_OFFSET_END;
	if (rc == 0)
		rc = ask_end(kafka, &end, timeout_ms, next, err);
	if (rc == 0)
		*first = from;
	return rc;
}

void kafka_tell(struct kafka *kafka, const struct kafka_place *places, size_t n, int wait_ms)
{
	rd_kafka_event_t *event;
	while ((event = rdkafka.queue_poll(kafka->told, 0))) /* of earlier ones */
		rdkafka.event_destroy(event);
	rd_kafka_topic_partition_list_t *const list = n ? make_list(places, n) : NULL;
	if (!list)
		return;
	if (!rdkafka.commit_queue(kafka->rk, list, kafka->told, NULL, NULL) && wait_ms &&
	    (event = rdkafka.queue_poll(kafka->told, wait_ms)))
		rdkafka.event_destroy(event);
	rdkafka.topic_partition_list_destroy(list);
}

bool kafka_trouble(struct kafka *kafka, bool *down, char text[256])
{
	if (!kafka->has_trouble)
		return false;
	*down = kafka->down;
	memcpy(text, kafka->trouble, sizeof(kafka->trouble));
	kafka->has_trouble = kafka->down = false;
	kafka->trouble[0] = '\0';
	return true;
}
