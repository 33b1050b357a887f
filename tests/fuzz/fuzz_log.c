/*
 * Lines of the log with any bytes in their fields: one line each, of at most LOG_LINE_BYTES, printable UTF-8; in JSON an object that
 * another parser reads, with the text as it was where it is UTF-8 and fits. And durations, which are numbers with a unit.
 *
 * The first 8 bytes are a number; the rest is a text.
 */
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "base/utf8.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A text of so many bytes is never cut, whatever it is made of. */
#define SHORT_BYTES 400u

static int fd = -1;

static void require(bool condition)
{
	if (!condition)
		abort();
}

static size_t write_line(enum log_format format, struct slice text, int64_t number, char line[LOG_LINE_BYTES + 1])
{
	log_configure(&(struct log_options){.format = format, .level = LOG_LEVEL_DEBUG, .fd = fd});
	require(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	LOG_INFO("something happened", log_slice("text", text), log_int("number", number), log_us("took", number),
		 log_slice("again", text));
	const ssize_t n = pread(fd, line, LOG_LINE_BYTES + 1, 0);
	require(n > 0 && n <= (ssize_t)LOG_LINE_BYTES);
	line[n] = '\0';
	require(strlen(line) == (size_t)n && strchr(line, '\n') == line + n - 1 && utf8_valid(line, (size_t)n));
	for (ssize_t i = 0; i < n - 1; i++)
		require((unsigned char)line[i] >= ' ');
	/* RFC 8259 lets C1 stand. */
	require(format == LOG_FORMAT_JSON || utf8_visible(line, (size_t)n - 1) == (size_t)n - 1);
	return (size_t)n;
}

static void check_json(const char *line, struct slice text, int64_t number)
{
	struct json_object *const object = json_tokener_parse(line);
	struct json_object *value = NULL;
	require(object && json_object_is_type(object, json_type_object));
	if (text.len <= SHORT_BYTES) {
		require(json_object_object_get_ex(object, "number", &value) && json_object_get_int64(value) == number);
		require(json_object_object_get_ex(object, "took_us", &value) && json_object_get_int64(value) == number);
		require(json_object_object_get_ex(object, "text", &value));
		if (utf8_valid(text.data, text.len))
			require((size_t)json_object_get_string_len(value) == text.len &&
				(text.len == 0 || memcmp(json_object_get_string(value), text.data, text.len) == 0));
	}
	json_object_put(object);
}

static void check_duration(int64_t us)
{
	char text[DURATION_TEXT_MAX];
	char seconds[DURATION_TEXT_MAX];
	require(duration_text(us, text) == text && duration_seconds_text(us, seconds) == seconds);
	require((text[0] == '-') == (us < 0) && strlen(text) < DURATION_TEXT_MAX - 1);
	require(isdigit((unsigned char)text[us < 0]) && isalpha((unsigned char)text[strlen(text) - 1]));
	require(isalpha((unsigned char)seconds[strlen(seconds) - 1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[LOG_LINE_BYTES + 1];
	int64_t number;
	if (size < sizeof(number))
		return 0;
	if (fd < 0)
		fd = memfd_create("log", MFD_CLOEXEC);
	require(fd >= 0);
	memcpy(&number, data, sizeof(number));
	check_duration(number);
	const struct slice text = {(const char *)data + sizeof(number), size - sizeof(number)};
	write_line(LOG_FORMAT_TEXT, text, number, line);
	write_line(LOG_FORMAT_JSON, text, number, line);
	check_json(line, text, number);
	return 0;
}
