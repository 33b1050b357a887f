#include "base/log.h"

#include "base/clock.h"
#include "base/duration.h"
#include "base/json.h"
#include "base/tz.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MINUTE_US INT64_C(60000000)

/* How long a thread waits for a log that is not read; and for other threads, each of which may wait so long, once. */
#define PATIENCE_MS     100
#define LOCK_PATIENCE_S 1

/* What ends every line that lost something stays free until the end: ` cut=true\n`, `,"cut":true}\n`. */
#define END_BYTES   16u

#define MESSAGE_MAX 256u
#define TEXT_MIN    16u

static const char ELLIPSIS[] = "\xE2\x80\xA6";

static const char *const LEVELS[] = {"error", "warning", "info", "debug"};
static const char *const FORMATS[] = {"text", "json"};

_Atomic int log_level_now = LOG_LEVEL_INFO;

/* All below is the lock's, but for `lost`. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_options current;
static bool configured;
static bool is_journal; /* the fd is systemd's */
static bool stuck;      /* the last line could not be written for want of room */
static struct log_site *sites;
static char line_room[LOG_LINE_BYTES];
static char text_room[LOG_LINE_BYTES + sizeof(ELLIPSIS)];

static _Atomic uint64_t lost; /* lines since the last one that was written */

/* systemd tells the journal's device and inode, since stderr may be something else by now. */
static bool is_journal_fd(int fd)
{
	const char *const stream = getenv("JOURNAL_STREAM");
	struct stat st;
	char text[64];
	if (!stream || fstat(fd, &st) < 0)
		return false;
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(text, stream) == 0;
}

static void configure(const struct log_options *options)
{
	current = *options;
	if (!current.now_us)
		current.now_us = clock_now_us;
	is_journal = is_journal_fd(current.fd);
	stuck = false;
	configured = true;
	atomic_store_explicit(&log_level_now, (int)current.level, memory_order_relaxed);
}

/* False when the lock is not to be had: whoever has it hangs in a write. */
static bool take_lock(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LOCK_PATIENCE_S;
	if (pthread_mutex_timedlock(&lock, &until) != 0)
		return false;
	if (!configured)
		configure(&(struct log_options)LOG_DEFAULTS);
	return true;
}

void log_configure(const struct log_options *options)
{
	pthread_mutex_lock(&lock);
	configure(options);
	pthread_mutex_unlock(&lock);
}

static int parse(const char *word, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return ERROR_INPUT;
}

int log_level_parse(const char *word, enum log_level *out)
{
	const int found = parse(word, LEVELS, 4);
	if (found < 0)
		return found;
	*out = (enum log_level)found;
	return 0;
}

int log_format_parse(const char *word, enum log_format *out)
{
	const int found = parse(word, FORMATS, 2);
	if (found < 0)
		return found;
	*out = (enum log_format)found;
	return 0;
}

/* --- a line of text or JSON in line_room --- */

struct line {
	struct buf buf;
	bool full;
	bool cut;
	struct json json; /* of the format JSON */
};

static void put(struct line *line, const char *data, size_t len)
{
	if (line->full || line->buf.len + len > LOG_LINE_BYTES - END_BYTES) {
		line->full = true;
		return;
	}
	buf_append(&line->buf, data, len);
}

static void put_text(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr(" \"=\\", text.data[i]))
			return false;
	return text.len > 0 && utf8_visible(text.data, text.len) == text.len;
}

/* The text, escaped; with `quoted` as inside quotes. */
static void put_visible(struct line *line, struct slice text, bool quoted)
{
	for (size_t i = 0; i < text.len && !line->full;) {
		const size_t n = utf8_visible(text.data + i, text.len - i);
		for (const size_t end = i + n; i < end; i++) {
			if (quoted && (text.data[i] == '"' || text.data[i] == '\\'))
				put(line, "\\", 1);
			put(line, text.data + i, 1);
		}
		if (i < text.len) {
			char mark[UTF8_MARK_MAX];
			i += utf8_mark(text.data + i, text.len - i, mark);
			put_text(line, mark);
		}
	}
}

/* The first `most` bytes of a text, without a part of a character at the end, and "…". */
static struct slice shorten(struct slice text, size_t most)
{
	if (text.len <= most)
		return text;
	size_t len = most;
	while (len > most - 4 && ((unsigned char)text.data[len] & 0xC0) == 0x80)
		len--;
	memcpy(text_room, text.data, len);
	memcpy(text_room + len, ELLIPSIS, sizeof(ELLIPSIS) - 1);
	return (struct slice){text_room, len + sizeof(ELLIPSIS) - 1};
}

static void put_field_text(struct line *line, const struct log_field *field, struct slice text)
{
	char number[DURATION_TEXT_MAX];
	put_text(line, " ");
	put_text(line, field->key);
	put_text(line, "=");
	switch (field->type) {
	case LOG_TYPE_TEXT: {
		const bool plain = is_plain(text);
		put_text(line, plain ? "" : "\"");
		put_visible(line, text, !plain);
		put_text(line, plain ? "" : "\"");
		return;
	}
	case LOG_TYPE_INT:
		snprintf(number, sizeof(number), "%" PRId64, field->value.number);
		break;
	case LOG_TYPE_UINT:
		snprintf(number, sizeof(number), "%" PRIu64, field->value.natural);
		break;
	case LOG_TYPE_BOOL:
		snprintf(number, sizeof(number), "%s", field->value.natural ? "true" : "false");
		break;
	default:
		duration_text(field->value.number, number);
		break;
	}
	put_text(line, number);
}

static void put_field_json(struct line *line, const struct log_field *field, struct slice text)
{
	struct json *const json = &line->json;
	char key[64];
	snprintf(key, sizeof(key), "%s%s", field->key, field->type == LOG_TYPE_US ? "_us" : "");
	json_key(json, key);
	if (field->type == LOG_TYPE_TEXT)
		json_slice(json, text);
	else if (field->type == LOG_TYPE_UINT)
		json_uint(json, field->value.natural);
	else if (field->type == LOG_TYPE_BOOL)
		json_bool(json, field->value.natural != 0);
	else
		json_int(json, field->value.number);
	line->full = line->json.code != 0;
}

/* A field that does not fit loses the end of its text, or is left out. */
static void put_field(struct line *line, const struct log_field *field)
{
	const struct line before = *line;
	const struct slice whole = field->type == LOG_TYPE_TEXT ? field->value.text : (struct slice){NULL, 0};
	for (size_t most = LOG_LINE_BYTES; most >= TEXT_MIN; most /= 2) {
		const struct slice text = shorten(whole, most);
		if (current.format == LOG_FORMAT_JSON)
			put_field_json(line, field, text);
		else
			put_field_text(line, field, text);
		line->cut |= whole.len > most;
		if (!line->full)
			return;
		*line = before;
		line->cut = true;
		if (whole.len < TEXT_MIN)
			return;
	}
}

static void put_time(struct line *line, int64_t now_us)
{
	char when[20];
	char iso[32];
	civil_format_time(NULL, now_us, when);
	when[10] = 'T';
	snprintf(iso, sizeof(iso), "%s.%03dZ", when, (int)(now_us / 1000 % 1000));
	if (current.format == LOG_FORMAT_JSON) {
		json_key(&line->json, "time");
		json_text(&line->json, iso);
	} else {
		put_text(line, iso);
		put_text(line, " ");
	}
}

static void begin_line(struct line *line, enum log_level level, const char *message, int64_t now_us)
{
	static const char *const PRIORITIES[] = {"<3>", "<4>", "<6>", "<7>"};
	*line = (struct line){.buf = {.data = line_room, .cap = sizeof(line_room)}};
	if (current.format == LOG_FORMAT_JSON) {
		json_to_limited_buf(&line->json, &line->buf, LOG_LINE_BYTES - END_BYTES);
		json_object(&line->json);
		put_time(line, now_us);
		json_key(&line->json, "level");
		json_text(&line->json, LEVELS[level]);
		json_key(&line->json, "message");
		json_slice(&line->json, shorten(slice_of(message), MESSAGE_MAX));
		return;
	}
	if (is_journal)
		put_text(line, PRIORITIES[level]);
	else
		put_time(line, now_us);
	put_text(line, LEVELS[level]);
	put(line, "        ", 8 - strlen(LEVELS[level]));
	put_visible(line, shorten(slice_of(message), MESSAGE_MAX), false);
	put_text(line, " ");
}

/* Waits until the log takes a line; once it did not, no longer waits. */
static bool has_room(void)
{
	struct pollfd poll_fd = {.fd = current.fd, .events = POLLOUT};
	int n;
	do
		n = poll(&poll_fd, 1, stuck ? 0 : PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	stuck = n == 0;
	return n > 0;
}

static bool write_out(const char *data, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(current.fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool end_line(struct line *line)
{
	/* From here on the room that was kept free is there. */
	line->json.limit = LOG_LINE_BYTES;
	if (current.format == LOG_FORMAT_JSON) {
		if (line->cut) {
			json_key(&line->json, "cut");
			json_bool(&line->json, true);
		}
		json_end_object(&line->json);
		json_newline(&line->json);
	} else {
		if (line->cut)
			buf_append_text(&line->buf, " cut=true");
		while (line->buf.len > 0 && line->buf.data[line->buf.len - 1] == ' ')
			line->buf.len--;
		buf_append(&line->buf, "\n", 1);
	}
	return has_room() && write_out(line->buf.data, line->buf.len);
}

/* --- what is said --- */

static void say_lost(int64_t now_us)
{
	const uint64_t n = atomic_load_explicit(&lost, memory_order_relaxed);
	if (n == 0)
		return;
	struct line line;
	begin_line(&line, LOG_LEVEL_WARNING, "log was not read, lines are lost", now_us);
	put_field(&line, &(struct log_field){.type = LOG_TYPE_UINT, .key = "lines", .value.natural = n});
	if (end_line(&line))
		atomic_fetch_sub_explicit(&lost, n, memory_order_relaxed);
}

static void say(enum log_level level, const char *message, const struct log_field *fields, int64_t now_us)
{
	say_lost(now_us);
	struct line line;
	begin_line(&line, level, message, now_us);
	for (; fields->type != LOG_TYPE_END; fields++)
		put_field(&line, fields);
	if (!end_line(&line))
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
}

/* "file taken … repeated 37 times" */
static void say_left_out(struct log_site *site, int64_t now_us)
{
	char message[MESSAGE_MAX];
	if (current.format == LOG_FORMAT_JSON)
		snprintf(message, sizeof(message), "%.200s", site->message);
	else
		snprintf(message, sizeof(message), "%.200s %s repeated %" PRIu64 " time%s", site->message, ELLIPSIS,
			 site->left_out, site->left_out == 1 ? "" : "s");
	const struct log_field fields[] = {
		{.type = current.format == LOG_FORMAT_JSON ? LOG_TYPE_UINT : LOG_TYPE_END,
		 .key = "repeated",
		 .value.natural = site->left_out},
		{.type = LOG_TYPE_END},
	};
	site->left_out = 0;
	say(site->level, message, fields, now_us);
}

static bool minute_is_over(const struct log_site *site, int64_t now_us)
{
	return now_us < site->minute_us || now_us - site->minute_us >= MINUTE_US;
}

/* Whether this call site may speak; what it left out in its last minute is said before. */
static bool may_say(struct log_site *site, enum log_level level, const char *message, int64_t now_us)
{
	site->level = level;
	site->message = message;
	if (minute_is_over(site, now_us)) {
		if (site->left_out)
			say_left_out(site, now_us);
		site->minute_us = now_us;
		site->said = 0;
	}
	if (current.per_minute == 0 || site->said < current.per_minute) {
		site->said++;
		return true;
	}
	site->left_out++;
	if (!site->listed) {
		site->listed = true;
		site->next = sites;
		sites = site;
	}
	return false;
}

void log_write(struct log_site *site, enum log_level level, const char *message, const struct log_field *fields)
{
	const int old_errno = errno;
	if (take_lock()) {
		const int64_t now_us = current.now_us();
		if (may_say(site, level, message, now_us))
			say(level, message, fields, now_us);
		pthread_mutex_unlock(&lock);
	} else {
		atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
	}
	errno = old_errno;
}

static void tell_left_out(bool all)
{
	if (!take_lock())
		return;
	const int64_t now_us = current.now_us();
	for (struct log_site **at = &sites; *at;) {
		struct log_site *const site = *at;
		if (!all && !minute_is_over(site, now_us)) {
			at = &site->next;
			continue;
		}
		*at = site->next;
		site->listed = false;
		if (site->left_out)
			say_left_out(site, now_us);
	}
	if (all)
		say_lost(now_us);
	pthread_mutex_unlock(&lock);
}

void log_tick(void)
{
	tell_left_out(false);
}

void log_flush(void)
{
	tell_left_out(true);
}
