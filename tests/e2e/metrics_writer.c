/*
 * Stands in for the daemon in tests of what watches it: writes metrics as standard input says, a command a line, and answers
 * "ok" to each.
 *
 *     metrics_writer <data_dir>
 *
 *     daemon STATE                     journal USED BACKLOG FIRST NEXT TRIMMED
 *     beat AGO_US                      end STATE
 *     source NAME TYPE                 consumer NAME              (numbered from 0)
 *     source-state I STATE             consumer-state I STATE
 *     source-add I COUNTER N           consumer-add I COUNTER N
 *     source-error I TEXT…             consumer-error I TEXT…
 *     durable I US LINES               visible I US LINES
 *     offset I BLOCK                   lag I LINES
 *
 * States and counters are the numbers of metrics.h. Backslash escapes \n and \e in TEXT stand for a line feed and ESC.
 */
#include "base/clock.h"
#include "speed/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct metrics *metrics;
static struct metrics_source *sources[METRICS_SOURCES];
static struct metrics_consumer *consumers[METRICS_CONSUMERS];
static unsigned n_sources;
static unsigned n_consumers;

static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from && *from != '\n'; from++) {
		if (from[0] == '\\' && (from[1] == 'n' || from[1] == 'e'))
			*to++ = *++from == 'n' ? '\n' : '\x1b';
		else
			*to++ = *from;
	}
	*to = '\0';
}

static bool do_source(const char *verb, unsigned i, const unsigned long long *n, char *text)
{
	struct metrics_source *const source = sources[i];
	if (strcmp(verb, "source-state") == 0)
		metrics_source_state(source, (enum metrics_state)n[0]);
	else if (strcmp(verb, "source-add") == 0)
		metrics_source_add(source, (enum metrics_source_counter)n[0], n[1]);
	else if (strcmp(verb, "source-error") == 0)
		metrics_source_error(source, text, clock_now_us());
	else if (strcmp(verb, "durable") == 0)
		metrics_source_durable(source, (int64_t)n[0], n[1], clock_now_us());
	else
		return false;
	return true;
}

static bool do_consumer(const char *verb, unsigned i, const unsigned long long *n, char *text)
{
	struct metrics_consumer *const consumer = consumers[i];
	if (strcmp(verb, "consumer-state") == 0)
		metrics_consumer_state(consumer, (enum metrics_state)n[0]);
	else if (strcmp(verb, "consumer-add") == 0)
		metrics_consumer_add(consumer, (enum metrics_consumer_counter)n[0], n[1]);
	else if (strcmp(verb, "consumer-error") == 0)
		metrics_consumer_error(consumer, text, clock_now_us());
	else if (strcmp(verb, "visible") == 0)
		metrics_consumer_visible(consumer, (int64_t)n[0], n[1], clock_now_us());
	else if (strcmp(verb, "offset") == 0)
		metrics_consumer_offset(consumer, n[0]);
	else if (strcmp(verb, "lag") == 0)
		metrics_consumer_lag(consumer, n[0]);
	else
		return false;
	return true;
}

/* Commands about the whole: false when it is none of them. */
static bool do_daemon(const char *verb, const char *rest)
{
	char name[128] = "";
	char type[32] = "";
	unsigned long long n[5] = {0};
	sscanf(rest, "%127s %31s", name, type);
	sscanf(rest, "%llu %llu %llu %llu %llu", n, n + 1, n + 2, n + 3, n + 4);
	if (strcmp(verb, "source") == 0) {
		sources[n_sources++] = metrics_source(metrics, name, type);
	} else if (strcmp(verb, "consumer") == 0) {
		consumers[n_consumers++] = metrics_consumer(metrics, name);
	} else if (strcmp(verb, "daemon") == 0) {
		metrics_daemon_state(metrics, (enum metrics_daemon_state)n[0]);
	} else if (strcmp(verb, "beat") == 0) {
		metrics_heartbeat(metrics, clock_now_us() - (int64_t)n[0]);
	} else if (strcmp(verb, "journal") == 0) {
		metrics_set_journal(metrics, &(struct metrics_journal){n[0], n[1], n[2], n[3], n[4]});
	} else if (strcmp(verb, "end") == 0) {
		metrics_close(metrics, (enum metrics_daemon_state)n[0]);
		metrics = NULL;
	} else {
		return false;
	}
	return true;
}

static bool obey(char *line)
{
	char verb[32] = "";
	unsigned i = 0;
	int at = 0;
	int text_at = 0;
	sscanf(line, "%31s %n%u %n", verb, &at, &i, &text_at);
	if (do_daemon(verb, line + at))
		return true;
	unsigned long long n[2] = {0};
	char *const text = line + text_at;
	sscanf(text, "%llu %llu", n, n + 1);
	unescape(text);
	return i < METRICS_CONSUMERS && (do_source(verb, i, n, text) || do_consumer(verb, i, n, text));
}

int main(int argc, char **argv)
{
	struct error err = {0};
	if (argc != 2 || metrics_create(argv[1], &metrics, &err) < 0) {
		fprintf(stderr, "metrics_writer: %s\n", err.message);
		return 1;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	puts("ok");
	for (char line[2048]; fgets(line, sizeof(line), stdin);) {
		if (!obey(line)) {
			fprintf(stderr, "metrics_writer: what is %s", line);
			return 1;
		}
		puts("ok");
	}
	return 0;
}
