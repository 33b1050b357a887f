/*
 * What the parts of the tcp source share. No part is used from outside of these files and their tests.
 *
 *     source_tcp.c   the driver: who connects, and blocks of the lines that are there
 *     tcp_client.c   one connection: what it says, and what it is told
 *
 * One thread, the source's: it reads what all connections have, takes the whole lines of all of them into one transaction, and answers
 * when that is durable. What a connection has said lives in its stream until then.
 */
#ifndef PUNCHCARD_SPEED_TCP_INTERNAL_H
#define PUNCHCARD_SPEED_TCP_INTERNAL_H

#include "base/limits.h"
#include "speed/lines.h"

/* Connections at a time; more wait in the kernel's queue. Each may hold a line of LIMIT_LINE_BYTES. */
#define TCP_CLIENTS 256u
/* What all have said and is not durable: more is not read before it is. When lines without their ends alone are so much, the
 * longest of them is given up. */
#define TCP_HELD_BYTES ((size_t)64u * 1024u * 1024u)
/* Of one connection, before the others have their turn. */
#define TCP_TURN_BYTES ((size_t)LINES_BLOCK_BYTES)

enum tcp_state {
	TCP_OPEN,
	TCP_ENDED,   /* it will say no more; what it said is taken and answered */
	TCP_REFUSED, /* likewise, and then it is told why */
	TCP_PARTING, /* has been told all there is, and may read it: what it still says is passed over */
	TCP_GONE,    /* to be freed */
};

struct tcp_client {
	int fd;
	enum tcp_state state;
	struct lines_stream stream;
	size_t line_bytes;   /* of the line without its end in the window */
	bool is_ready;       /* there is something to read */
	bool has_lines;      /* whole ones in the window */
	uint64_t owed_bytes; /* of the answers "OK\n" that are to be sent: each is sent whole, one behind the other */
	char why[96];        /* TCP_REFUSED: what is said then; may be empty */
	int64_t since_ms; /* by the monotonic clock: since when it takes none of its answers, or parts; 0: it does neither */
};

/* Takes the descriptor, also when it fails. `start`: of its label. NULL: no memory. */
struct tcp_client *tcp_client_new(struct lines *lines, int fd, int64_t start, struct error *err);
void tcp_client_free(struct tcp_client *client);

/* Reads what there is, `most` bytes at most. line_bytes: a longer line, its newline counted, is not taken; the connection is told so,
 * and ends. ERROR_NO_MEMORY. */
int tcp_client_read(struct tcp_client *client, size_t most, size_t line_bytes, struct error *err);
/* From now on it is only answered what it said, and then told why it ends. */
void tcp_client_refuse(struct tcp_client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* So many more lines are durable. */
void tcp_client_owe(struct tcp_client *client, uint64_t lines);
/* Sends what can be sent, and moves on: who is answered and says no more parts, and who has parted is gone. now_ms: by the monotonic
 * clock. */
void tcp_client_answer(struct tcp_client *client, int64_t now_ms);
/* What poll should wait for; 0: nothing. */
short tcp_client_events(const struct tcp_client *client);

#endif
