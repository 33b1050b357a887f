#include "base/json.h"

#include "base/tz.h"

#include "base/utf8.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

void json_to_file(struct json *json, FILE *file)
{
	*json = (struct json){.file = file};
}

void json_to_buf(struct json *json, struct buf *buf)
{
	*json = (struct json){.buf = buf};
}

void json_to_limited_buf(struct json *json, struct buf *buf, size_t limit)
{
	*json = (struct json){.buf = buf, .limit = limit};
}

static void put(struct json *json, const char *data, size_t len)
{
	if (json->code || len == 0)
		return;
	if (json->limit && json->buf->len + len > json->limit) {
		json->code = ERROR_LIMIT;
	} else if (json->buf) {
		json->code = buf_append(json->buf, data, len);
	} else if ((errno = 0, fwrite(data, 1, len, json->file)) != len) {
		json->errnum = errno ? errno : EIO;
		json->code = ERROR_IO;
	}
}

static void begin_value(struct json *json)
{
	if (json->needs_comma)
		put(json, ",", 1);
	json->needs_comma = false;
}

static void end_value(struct json *json)
{
	json->needs_comma = json->depth > 0;
}

static void begin_nested(struct json *json, const char *bracket)
{
	begin_value(json);
	put(json, bracket, 1);
	json->depth++;
}

static void end_nested(struct json *json, const char *bracket)
{
	assert(json->depth > 0);
	put(json, bracket, 1);
	json->depth--;
	end_value(json);
}

void json_object(struct json *json)
{
	begin_nested(json, "{");
}

void json_end_object(struct json *json)
{
	end_nested(json, "}");
}

void json_array(struct json *json)
{
	begin_nested(json, "[");
}

void json_end_array(struct json *json)
{
	end_nested(json, "]");
}

/* The escape of a control character, a quote or a backslash. */
static void put_escape(struct json *json, unsigned char c)
{
	static const char NAMES[] = "\"\"\\\\\bb\ff\nn\rr\tt";
	for (const char *name = NAMES; *name; name += 2) {
		if ((unsigned char)name[0] == c) {
			const char text[2] = {'\\', name[1]};
			put(json, text, 2);
			return;
		}
	}
	char text[8];
	put(json, text, (size_t)snprintf(text, sizeof(text), "\\u%04x", c));
}

static void put_text(struct json *json, struct slice text)
{
	put(json, "\"", 1);
	size_t done = 0; /* bytes before are written, from there to i they can be as they are */
	for (size_t i = 0; i < text.len;) {
		const unsigned char c = (unsigned char)text.data[i];
		uint32_t codepoint = 0;
		const size_t size = c < 0x80 ? 1 : utf8_step(text.data + i, text.len - i, &codepoint);
		if (size > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
			i += size;
			continue;
		}
		put(json, text.data + done, i - done);
		if (size == 0)
			put(json, "\xEF\xBF\xBD", 3);
		else
			put_escape(json, c);
		done = ++i;
	}
	put(json, text.data + done, text.len - done);
	put(json, "\"", 1);
}

void json_key_slice(struct json *json, struct slice key)
{
	assert(json->depth > 0);
	begin_value(json);
	put_text(json, key);
	put(json, ":", 1);
}

void json_key(struct json *json, const char *key)
{
	json_key_slice(json, slice_of(key));
}

void json_slice(struct json *json, struct slice text)
{
	begin_value(json);
	put_text(json, text);
	end_value(json);
}

void json_text(struct json *json, const char *text)
{
	if (text)
		json_slice(json, slice_of(text));
	else
		json_null(json);
}

void json_number(struct json *json, struct slice number)
{
	begin_value(json);
	put(json, number.data, number.len);
	end_value(json);
}

void json_int(struct json *json, int64_t value)
{
	char text[32];
	json_number(json, (struct slice){text, (size_t)snprintf(text, sizeof(text), "%" PRId64, value)});
}

void json_uint(struct json *json, uint64_t value)
{
	char text[32];
	json_number(json, (struct slice){text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, value)});
}

void json_decimal(struct json *json, int64_t value, unsigned scale)
{
	assert(scale <= 18);
	if (scale == 0) {
		json_int(json, value);
		return;
	}
	uint64_t unit = 1;
	for (unsigned i = 0; i < scale; i++)
		unit *= 10;
	const uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	char text[48];
	const int len = snprintf(text, sizeof(text), "%s%" PRIu64 ".%0*" PRIu64, value < 0 ? "-" : "", size / unit,
				 (int)scale, size % unit);
	json_number(json, (struct slice){text, (size_t)len});
}

void json_time(struct json *json, int64_t utc_us)
{
	char when[20];
	char iso[24];
	civil_format_time(NULL, utc_us, when);
	when[10] = 'T';
	snprintf(iso, sizeof(iso), "%sZ", when);
	json_text(json, iso);
}

void json_bool(struct json *json, bool value)
{
	json_number(json, value ? SLICE("true") : SLICE("false"));
}

void json_null(struct json *json)
{
	json_number(json, SLICE("null"));
}

void json_newline(struct json *json)
{
	assert(json->depth == 0);
	put(json, "\n", 1);
}

int json_finish(const struct json *json, struct error *err)
{
	assert(json->code || json->depth == 0);
	if (json->code == ERROR_IO)
		return error_errno(err, json->errnum, "cannot write the output");
	if (json->code == ERROR_LIMIT)
		return error_set(err, ERROR_LIMIT, "the output is over %zu bytes", json->limit);
	if (json->code)
		return error_no_memory(err, json->buf ? json->buf->cap : 0);
	return 0;
}
