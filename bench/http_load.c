/*
 * Sends batches of orders to an http source, on connections that stay open, and prints what came of it as JSON.
 *
 *     bench_http_load --port 8480 [--host 127.0.0.1] [--connections 8] [--batch 100] [--events 200000] [--rate 0]
 *                     [--customers 100000] [--seconds 60] [--token T] [--seed S]
 *
 * rate: events a second; 0: as fast as answers come. With a rate, a batch has its time when it should be sent, and what it waits
 * because all connections are busy counts as its latency: a server that stalls is not asked less. It ends when `events` are
 * answered, at the latest after `seconds`.
 *
 *     {"events":200000,"accepted":200000,"duplicates":0,"seconds":9.71,"events_per_s":20597,"requests":2000,"not_200":0,
 *      "connections":8,"batch":100,"rate":0,"latency_ms":{"p50":4.1,"p90":6.0,"p99":11.2,"p999":20.1,"max":31.0},"cpu_s":0.41}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define BATCH_MAX       10000
#define EVENT_BYTES     256 /* more than any that is made here */
#define HEAD_BYTES      1024
#define ANSWER_BYTES    65536

struct options {
	const char *host;
	const char *token;
	unsigned port;
	unsigned connections;
	unsigned batch;
	unsigned rate;
	unsigned customers;
	unsigned seconds;
	uint64_t events;
	uint64_t seed;
};

struct connection {
	int fd;
	bool busy;
	int64_t due_us; /* when its request should have been sent */
	char *out;
	size_t out_len;
	size_t out_at;
	char *in;
	size_t in_len;
};

struct load {
	struct options options;
	struct connection *connections;
	struct pollfd *polls;
	uint64_t random;
	uint64_t sent; /* events */
	uint64_t answered;
	uint64_t accepted;
	uint64_t duplicates;
	uint64_t requests;
	uint64_t not_200;
	uint32_t *latency_us; /* one a request */
	size_t latency_cap;
	int64_t begun_us;
};

static void die(const char *what)
{
	fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* xorshift64* */
static uint64_t draw(struct load *load, uint64_t below)
{
	load->random ^= load->random >> 12;
	load->random ^= load->random << 25;
	load->random ^= load->random >> 27;
	return (load->random * UINT64_C(0x2545f4914f6cdd1d) >> 33) % below;
}

static void make_request(struct load *load, struct connection *c)
{
	const struct options *const o = &load->options;
	const uint64_t left = o->events - load->sent;
	const unsigned n = left < o->batch ? (unsigned)left : o->batch;
	char *const body = c->out + HEAD_BYTES;
	size_t len = 0;
	const int64_t time_s = (int64_t)time(NULL);
	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(
			body + len, EVENT_BYTES,
			"{\"event_id\":\"%llx-%llu\",\"kind\":\"order\",\"customer\":%llu,\"time\":%lld,"
			"\"store\":\"s1\",\"lines\":[{\"menu\":\"latte\",\"qty\":1,\"price\":%u.50}]}\n",
			(unsigned long long)o->seed, (unsigned long long)(load->sent + i),
			(unsigned long long)draw(load, o->customers) + 1, (long long)time_s,
			(unsigned)draw(load, 9) + 1);
	char head[HEAD_BYTES];
	const int head_len =
		snprintf(head, sizeof(head),
			 "POST /v1/events HTTP/1.1\r\nHost: %s:%u\r\nContent-Type: application/x-ndjson\r\n"
			 "Content-Length: %zu\r\n%s%s%s\r\n",
			 o->host, o->port, len, o->token ? "Authorization: Bearer " : "", o->token ? o->token : "",
			 o->token ? "\r\n" : "");
	if (head_len < 0 || (size_t)head_len >= sizeof(head))
		die("the token is too long");
	c->out_at = HEAD_BYTES - (size_t)head_len;
	memcpy(c->out + c->out_at, head, (size_t)head_len);
	c->out_len = HEAD_BYTES + len;
	c->in_len = 0;
	c->busy = true;
	load->sent += n;
}

static void dial(const struct options *o, struct connection *c)
{
	const int one = 1;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
	if (inet_pton(AF_INET, o->host, &in.sin_addr) != 1)
		die("--host is no IPv4 address");
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&in, sizeof(in)) < 0)
		die("cannot connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void write_some(struct connection *c)
{
	const ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		c->out_at += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		die("cannot send");
}

static uint64_t number_behind(const char *text, const char *key)
{
	const char *const at = strstr(text, key);
	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

/* Whether the answer is whole. */
static bool read_some(struct connection *c)
{
	const ssize_t n = recv(c->fd, c->in + c->in_len, ANSWER_BYTES - 1 - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		die("the connection was ended");
	c->in_len += (size_t)n;
	c->in[c->in_len] = '\0';
	const char *const behind = strstr(c->in, "\r\n\r\n");
	if (!behind)
		return false;
	const uint64_t body = number_behind(c->in, "Content-Length: ");
	return c->in_len >= (size_t)(behind + 4 - c->in) + body;
}

static void take_answer(struct load *load, struct connection *c)
{
	const int64_t took_us = now_us() - c->due_us;
	c->busy = false;
	if (load->requests < load->latency_cap)
		load->latency_us[load->requests] = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
	load->requests++;
	if (strncmp(c->in, "HTTP/1.1 200", 12) != 0) {
		load->not_200++;
		if (load->not_200 == 1)
			fprintf(stderr, "http_load: %s\n", c->in);
		return;
	}
	const uint64_t accepted = number_behind(c->in, "\"accepted\":");
	const uint64_t duplicates = number_behind(c->in, "\"duplicates\":");
	load->accepted += accepted;
	load->duplicates += duplicates;
	load->answered += accepted + duplicates;
}

/* When the next request is due; INT64_MAX: never. */
static int64_t next_due(const struct load *load)
{
	if (load->sent >= load->options.events)
		return INT64_MAX;
	if (load->options.rate == 0)
		return 0;
	return load->begun_us + (int64_t)(load->sent * 1000000 / load->options.rate);
}

static void run(struct load *load)
{
	const unsigned n = load->options.connections;
	const int64_t until_us = load->begun_us + load->options.seconds * INT64_C(1000000);
	for (;;) {
		const int64_t at_us = now_us();
		unsigned busy = 0;
		int64_t due_us = next_due(load);
		for (unsigned i = 0; i < n; i++) {
			struct connection *const c = &load->connections[i];
			if (!c->busy && due_us <= at_us && at_us < until_us) {
				make_request(load, c);
				c->due_us = due_us ? due_us : at_us;
				write_some(c);
				due_us = next_due(load);
			}
			busy += c->busy;
			const bool writes = c->busy && c->out_at < c->out_len;
			load->polls[i] = (struct pollfd){.fd = c->busy ? c->fd : -1,
							 .events = (short)(POLLIN | (writes ? POLLOUT : 0))};
		}
		if (!busy && (load->sent >= load->options.events || at_us >= until_us))
			return;
		int timeout_ms = 1000;
		if (busy < n && due_us != INT64_MAX && due_us > at_us && due_us - at_us < 1000000)
			timeout_ms = (int)((due_us - at_us) / 1000);
		if (poll(load->polls, n, timeout_ms) < 0 && errno != EINTR)
			die("poll");
		if (at_us > until_us + 30 * INT64_C(1000000))
			die("no answers for half a minute");
		for (unsigned i = 0; i < n; i++) {
			struct connection *const c = &load->connections[i];
			if (load->polls[i].revents & POLLOUT)
				write_some(c);
			if ((load->polls[i].revents & (POLLIN | POLLHUP | POLLERR)) && read_some(c))
				take_answer(load, c);
		}
	}
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a;
	const uint32_t y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static double percentile_ms(const struct load *load, double share)
{
	const size_t n = load->requests < load->latency_cap ? load->requests : load->latency_cap;
	const size_t at = (size_t)((double)n * share);
	return n ? load->latency_us[at < n ? at : n - 1] / 1000.0 : 0;
}

static void print(struct load *load)
{
	const double seconds = (double)(now_us() - load->begun_us) / 1e6;
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	const double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	const size_t n = load->requests < load->latency_cap ? load->requests : load->latency_cap;
	qsort(load->latency_us, n, sizeof(load->latency_us[0]), compare);
	printf("{\"events\":%llu,\"accepted\":%llu,\"duplicates\":%llu,\"seconds\":%.3f,\"events_per_s\":%.0f,"
	       "\"requests\":%llu,\"not_200\":%llu,\"connections\":%u,\"batch\":%u,\"rate\":%u,"
	       "\"latency_ms\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f},\"cpu_s\":%.3f}\n",
	       (unsigned long long)load->answered, (unsigned long long)load->accepted,
	       (unsigned long long)load->duplicates, seconds, (double)load->answered / seconds,
	       (unsigned long long)load->requests, (unsigned long long)load->not_200, load->options.connections,
	       load->options.batch, load->options.rate, percentile_ms(load, 0.5), percentile_ms(load, 0.9),
	       percentile_ms(load, 0.99), percentile_ms(load, 0.999), percentile_ms(load, 1), cpu_s);
}

static uint64_t number(const char *name, const char *value, uint64_t least, uint64_t most)
{
	char *end = NULL;
	const uint64_t n = value ? strtoull(value, &end, 10) : 0;
	if (!value || end == value || *end || n < least || n > most) {
		fprintf(stderr, "http_load: %s: a number of %llu to %llu is expected\n", name,
			(unsigned long long)least, (unsigned long long)most);
		exit(2);
	}
	return n;
}

static void parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i += 2) {
		const char *const name = argv[i];
		const char *const value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(name, "--host") == 0 && value)
			o->host = value;
		else if (strcmp(name, "--token") == 0 && value)
			o->token = value;
		else if (strcmp(name, "--port") == 0)
			o->port = (unsigned)number(name, value, 1, 65535);
		else if (strcmp(name, "--connections") == 0)
			o->connections = (unsigned)number(name, value, 1, CONNECTIONS_MAX);
		else if (strcmp(name, "--batch") == 0)
			o->batch = (unsigned)number(name, value, 1, BATCH_MAX);
		else if (strcmp(name, "--rate") == 0)
			o->rate = (unsigned)number(name, value, 0, 10000000);
		else if (strcmp(name, "--customers") == 0)
			o->customers = (unsigned)number(name, value, 1, 1000000000);
		else if (strcmp(name, "--seconds") == 0)
			o->seconds = (unsigned)number(name, value, 1, 3600);
		else if (strcmp(name, "--events") == 0)
			o->events = number(name, value, 1, UINT64_C(100000000));
		else if (strcmp(name, "--seed") == 0)
			o->seed = number(name, value, 1, UINT64_MAX);
		else {
			fprintf(stderr, "http_load: unknown option %s\n", name);
			exit(2);
		}
	}
	if (o->port == 0) {
		fprintf(stderr, "http_load: --port is missing\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct load load = {.options = {.host = "127.0.0.1",
					.connections = 8,
					.batch = 100,
					.customers = 100000,
					.seconds = 60,
					.events = 200000,
					.seed = (uint64_t)time(NULL)}};
	struct options *const o = &load.options;
	parse(argc, argv, o);
	load.random = o->seed * 2 + 1;
	load.latency_cap = o->events / o->batch + 1;
	load.connections = calloc(o->connections, sizeof(load.connections[0]));
	load.polls = calloc(o->connections, sizeof(load.polls[0]));
	load.latency_us = calloc(load.latency_cap, sizeof(load.latency_us[0]));
	if (!load.connections || !load.polls || !load.latency_us)
		die("no memory");
	for (unsigned i = 0; i < o->connections; i++) {
		struct connection *const c = &load.connections[i];
		c->out = malloc(HEAD_BYTES + (size_t)o->batch * EVENT_BYTES);
		c->in = malloc(ANSWER_BYTES);
		if (!c->out || !c->in)
			die("no memory");
		dial(o, c);
	}
	load.begun_us = now_us();
	run(&load);
	print(&load);
	for (unsigned i = 0; i < o->connections; i++) {
		close(load.connections[i].fd);
		free(load.connections[i].out);
		free(load.connections[i].in);
	}
	free(load.connections);
	free(load.polls);
	free(load.latency_us);
	return load.not_200 ? 1 : 0;
}
