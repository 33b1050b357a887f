/*
 * What the parts of the http source share. No part is used from outside speed/http_*.c, speed/source_http.c and their tests.
 *
 *     source_http.c    the driver: address, token, and the source's thread
 *     http_server.c    libmicrohttpd's thread: connections, and the answers
 *     http_request.c   one request: its head, its body, what it gets
 *     http_events.c    a body to checked events
 *     http_answer.c    what answers say
 *     http_queue.c     whole requests wait here for the source's thread
 *     http_commit.c    groups of requests into the journal
 *     http_flume.c     bodies as Flume's handlers read them, and those into the journal
 *
 * Two threads. libmicrohttpd's has all connections: it reads requests and checks their events, so that what cannot be taken is
 * answered without the journal. A request that is whole and good goes to the queue, and its connection sleeps. The source's thread
 * takes all that wait, makes them durable in one transaction, and wakes the connections, whose answers libmicrohttpd's thread sends.
 */
#ifndef PUNCHCARD_SPEED_HTTP_INTERNAL_H
#define PUNCHCARD_SPEED_HTTP_INTERNAL_H

#include "base/buf.h"
#include "speed/event_json.h"
#include "speed/lines.h"
#include "speed/source.h"
#include "speed/stream_position.h"
#include "store/block.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Bodies and events of all requests together that are in memory: many slow or large ones are told to come again, rather than
 * that the machine is filled. A single one of max_body_kib always fits. */
#define HTTP_HELD_BYTES (size_t)(64u * 1024u * 1024u)
/* What is wrong with so many events of a request is told; of more, only how many they are. */
#define HTTP_PROBLEMS 100u
/* A block is committed when it has this size, and what waits behind it goes into the next one. */
#define HTTP_BLOCK_BYTES (1024u * 1024u)

#define HTTP_MICROS      INT64_C(1000000)

/* --- answers --- */

struct http_response {
	unsigned status;        /* 0: there is none yet */
	unsigned retry_after_s; /* 0: no such header */
	const char *allow;      /* static; NULL: no such header */
	bool authenticate;      /* WWW-Authenticate: Bearer */
	bool close;             /* the connection, behind it */
	struct buf text;        /* JSON */
};

void http_response_release(struct http_response *answer);
/* {"error":{"code":…,"message":…}}; replaces what it was. Out of memory leaves the text empty. */
void http_answer_error(struct http_response *answer, unsigned status, const char *code, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* {"accepted":…,"duplicates":…} */
void http_answer_taken(struct http_response *answer, uint64_t accepted, uint64_t duplicates);
/* 200, and no text. */
void http_answer_done(struct http_response *answer);
/* {"status":…}: 200 for "ok", else 503 */
void http_answer_health(struct http_response *answer, const char *status);

/* An event of a request that cannot be taken. */
struct http_problem {
	uint64_t index; /* from 0 */
	uint64_t line;  /* of the body, from 1; 0: not known */
	enum quarantine_reason reason;
	const char *words; /* static */
	struct slice id;   /* its event_id; empty: not known */
	size_t id_at;      /* where that stands in problems->ids */
};

struct http_problems {
	struct http_problem first[HTTP_PROBLEMS];
	uint64_t n; /* of all, also of those that are not in `first` */
	struct buf ids;
};

/* Copies the problem's id. Out of memory only leaves it out. */
void http_problems_add(struct http_problems *problems, const struct http_problem *problem);
void http_problems_release(struct http_problems *problems);
/* What a reason means, in words for whoever wrote the event. */
const char *http_reason_words(enum quarantine_reason reason);
/* As http_answer_error, with "events": [{index, line, reason, message, event_id}, …] and "bad": how many there are. The message is
 * made of the first one. */
void http_answer_problems(struct http_response *answer, unsigned status, const char *code,
			  const struct http_problems *problems, uint64_t n_events);

/* --- bodies --- */

/* Unpacks a gzip text of one or more members. ERROR_LIMIT: it would have more than `limit` bytes; ERROR_INPUT: it is none, is cut
 * or damaged, or something stands behind it; ERROR_NO_MEMORY. */
int http_gunzip(struct slice packed, size_t limit, struct buf *out, struct error *err);

/* Reads and checks all events of a body into a block of their own, whose lines are the events' indexes, from 1. Times after
 * now_us plus the deployment's limit are out of range. 0 and *n; ERROR_INPUT, and *problems; ERROR_NO_MEMORY. */
int http_events_read(struct event_json *json, const struct deployment *deployment, struct slice body, int64_t now_us,
		     struct block_writer *block, uint64_t *n, struct http_problems *problems);

/* The lines of a body as one of Flume's handlers reads it, appended to `lines`, each with its newline: of HTTP_BODIES_FLUME_JSON those of
 * all events' bodies, of HTTP_BODIES_FLUME_BLOB the body's own. 0 and *n, how many events there are; ERROR_INPUT, and err says what is
 * wrong, with the event's index; ERROR_NO_MEMORY. */
int http_flume_read(enum http_bodies bodies, struct slice body, struct buf *lines, uint64_t *n, struct error *err);

/* --- requests, and the queue --- */

enum http_state {
	HTTP_READING = 0, /* its body is taken */
	HTTP_REFUSED,     /* has its answer; the rest of its body is passed over */
	HTTP_WAITING,     /* in the queue, or in the source's thread */
	HTTP_ANSWERED,    /* by that */
};

struct http_server;
struct http_connection;
struct MHD_Connection;

/* One request. Its connection's thread owns it but for HTTP_WAITING, while the source's thread does. */
struct http_request {
	struct http_server *server;
	struct http_connection *connection;
	struct MHD_Connection *handle;
	enum http_state state; /* the queue's mutex guards it from HTTP_WAITING on */
	struct http_response answer;
	bool is_gzip;
	struct buf body;
	uint64_t received;           /* bytes of the body, also of what was passed over */
	size_t held;                 /* bytes that count against HTTP_HELD_BYTES */
	uint64_t bytes;              /* of the body, unpacked */
	struct block_writer block;   /* its events; … */
	struct lines_stream *stream; /* … of a Flume agent: its body's lines, in the source's thread alone */
	uint64_t n_events;
	int64_t read_us; /* when it was whole */
	struct http_request *next;
};

/* Why requests are not taken, besides the room in the journal. */
enum http_closed {
	HTTP_OPEN = 0,
	HTTP_STOPPING,
	HTTP_DISK_FULL,
	HTTP_JOURNAL_FAILED,
};

struct http_queue {
	pthread_mutex_t mutex;
	pthread_cond_t none_left; /* of `answering`; by the monotonic clock */
	struct http_request *first;
	struct http_request **last;
	unsigned n;
	unsigned limit;
	unsigned answering; /* answered, and not yet sent or given up */
	enum http_closed closed;
	int wake_fd; /* an eventfd, readable when something waits */
};

int http_queue_init(struct http_queue *queue, unsigned limit, struct error *err);
void http_queue_release(struct http_queue *queue);
/* Whether a request would be taken: HTTP_OPEN and *full, or why not. Any thread. */
enum http_closed http_queue_look(struct http_queue *queue, bool *full);
/* Puts the request behind all others, and suspends its connection; false, and nothing is done, when it would not be taken.
 * libmicrohttpd's thread. */
bool http_queue_push(struct http_queue *queue, struct http_request *request);
/* Takes all that wait, in their order. The source's thread. */
struct http_request *http_queue_take(struct http_queue *queue);
/* From now on requests are taken, or not and why. Any thread. */
void http_queue_close(struct http_queue *queue, enum http_closed why);
/* Its answer stands: wakes its connection. The request is no longer the caller's. */
void http_queue_answer(struct http_queue *queue, struct http_request *request);
/* libmicrohttpd's thread, of a request that does not wait; and when its answer was sent, or cannot be. */
enum http_state http_queue_state(struct http_queue *queue, const struct http_request *request);
void http_queue_sent(struct http_queue *queue, struct http_request *request);
/* Waits until all answers are sent, so long at most. */
void http_queue_wait_sent(struct http_queue *queue, int64_t timeout_us);

/* --- the source's thread --- */

struct http_commit {
	struct block_writer block;
	struct buf scratch;
	struct buf states; /* a byte an event of the request: whether it is new */
	struct http_problems problems;
	bool known; /* position was read from the journal */
	struct stream_position position;
};

void http_commit_release(struct http_commit *commit);
/* Makes the requests of a list durable, in as few transactions as blocks need, and answers all, whatever comes. */
int http_commit_all(struct http_commit *commit, struct source *source, struct http_queue *queue,
		    struct http_request *list, struct error *err);

/* The same for requests whose bodies are lines. */
struct http_flume {
	struct lines *lines; /* NULL: such ones are not taken */
	bool known;          /* position was read from the journal */
	struct stream_position position;
};

int http_flume_open(struct http_flume *flume, struct source *source, struct error *err);
void http_flume_release(struct http_flume *flume);
int http_flume_commit_all(struct http_flume *flume, struct source *source, struct http_queue *queue,
			  struct http_request *list, struct error *err);
/* Answers all that nothing of it was taken, and why. */
void http_refuse_all(struct http_queue *queue, struct http_request *list, int code);

/* --- the server --- */

/* How long clients may take. */
struct http_times {
	unsigned idle_s;  /* nothing comes or goes on a connection */
	int64_t whole_us; /* from a connection's beginning, or its last answer, until the next request is whole */
};

struct http_connection {
	struct http_connection *next;
	struct http_connection *prev;
	int fd;
	bool waits;       /* for the journal: not the client's fault */
	int64_t since_us; /* by the monotonic clock: its beginning, or the last answer */
};

struct MHD_Daemon;

struct http_server {
	struct source *source;
	struct MHD_Daemon *daemon;
	int listen_fd;
	struct http_times times;
	struct buf token; /* empty: none is needed */
	struct http_queue queue;
	struct event_json *json;       /* of libmicrohttpd's thread … */
	struct http_problems problems; /* … as is this … */
	_Atomic size_t held;           /* … which alone changes this: of all requests */
	size_t body_limit;
	pthread_mutex_t mutex; /* of the connections */
	struct http_connection *connections;
	struct http_commit commit; /* of the source's thread, as is … */
	struct http_flume flume;   /* … this */
};

/* Begins to answer at listen_fd, which is the server's from then on. */
int http_server_start(struct http_server *server, struct error *err);
/* No new connections, then waits a moment until who was answered has it; ends all. Fine when it was not started. */
void http_server_stop(struct http_server *server);
/* Ends connections whose clients take too long. Any thread, every few seconds. */
void http_server_sweep(struct http_server *server);

/* --- a request, in libmicrohttpd's thread --- */

/* Its head is there. NULL when out of memory. *at_once: it must be answered now, for its body had better not be read. */
struct http_request *http_request_begin(struct http_server *server, struct MHD_Connection *handle, const char *path,
					const char *method, bool *at_once);
/* More of its body. False: the connection is to be closed. */
bool http_request_receive(struct http_request *request, const char *data, size_t len);
/* The body is whole. True: it waits, its connection is suspended, and it is no longer the caller's. False: it has its answer. */
bool http_request_finish(struct http_request *request);
void http_request_free(struct http_request *request);

/* --- the driver --- */

extern const struct http_times HTTP_TIMES;
/* The driver's `open`, with other times. */
int source_http_open(struct source *source, const struct http_times *times, struct error *err);

#endif
