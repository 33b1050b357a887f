#include "speed/sink_path.h"

#include "base/limits.h"

#include <inttypes.h>
#include <stdlib.h>

#define MICROS INT64_C(1000000)

static char *base_of(const struct sink *sink)
{
	if (sink->on_cluster)
		return text_printf("/%s", sink->dir);
	return sink->in_warehouse ? text_printf("%s/%s", sink->deployment->warehouse_dir, sink->dir)
				  : deployment_path(sink->deployment, sink->dir);
}

char *sink_path_root(const struct sink *sink)
{
	char *const base = base_of(sink);
	/* Only what the agent says has escapes: the deployment's own path may have a '%' in it. */
	const size_t own = base ? strlen(base) - strlen(sink->dir) : 0;
	char *const escape = base && sink->in_warehouse ? strchr(base + own, '%') : NULL;
	if (!escape)
		return base;
	char *end = escape;
	while (*end != '/')
		end--;
	*end = '\0';
	return base;
}

struct sink_names sink_names_of(struct slice rest)
{
	struct sink_names names = {.r = reader_of(rest)};
	if (rest.len)
		names.left = read_varint(&names.r);
	return names;
}

int sink_names_next(struct sink_names *names, struct slice *from, struct slice *to)
{
	if (names->r.bad)
		return ERROR_CORRUPT;
	if (names->left == 0)
		return 0;
	*from = read_slice(&names->r);
	*to = read_slice(&names->r);
	if (names->r.bad || from->len == 0 || to->len == 0)
		return ERROR_CORRUPT;
	names->left--;
	return 1;
}

int sink_path_open(struct sink_path *path, const struct sink *sink, struct error *err)
{
	if (sink->timezone) {
		const int rc = tz_load(sink->timezone, &path->zone, err);
		if (rc < 0)
			return rc;
	}
	_cleanup_free_ char *base = base_of(sink);
	path->pattern = base ? text_printf("%s/%s", base, sink->prefix) : NULL;
	if (!path->pattern)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	path->varies = sink->in_warehouse && (strchr(sink->dir, '%') || strchr(sink->prefix, '%'));
	return 0;
}

void sink_path_close(struct sink_path *path)
{
	tz_free(path->zone);
	free(path->pattern);
	buf_release(&path->made);
	buf_release(&path->made_source);
	*path = (struct sink_path){0};
}

static const char *header_of(const struct sink *sink, struct slice source, struct slice name)
{
	for (unsigned i = 0; i < sink->n_headers; i++)
		if (slice_is(source, sink->headers[i].source) && slice_is(name, sink->headers[i].name))
			return sink->headers[i].value;
	return "";
}

static int put_time(const struct tz *zone, char letter, int64_t time_us, struct buf *out)
{
	const int64_t s = time_us / MICROS;
	const int64_t local_s = s + tz_offset_s(zone, s);
	const int32_t days = (int32_t)(local_s / 86400);
	const int of_day = (int)(local_s % 86400);
	int year;
	int month;
	int day;
	civil_date(days, &year, &month, &day);
	switch (letter) {
	case 'Y':
		return buf_printf(out, "%04d", year);
	case 'y':
		return buf_printf(out, "%02d", year % 100);
	case 'm':
		return buf_printf(out, "%02d", month);
	case 'd':
		return buf_printf(out, "%02d", day);
	case 'H':
		return buf_printf(out, "%02d", of_day / 3600);
	case 'M':
		return buf_printf(out, "%02d", of_day / 60 % 60);
	case 'S':
		return buf_printf(out, "%02d", of_day % 60);
	case 'j':
		return buf_printf(out, "%03d", days - civil_days(year, 1, 1) + 1);
	case 's':
		return buf_printf(out, "%" PRId64, s);
	case 't':
		return buf_printf(out, "%" PRId64, time_us / 1000);
	default:
		return buf_append(out, &letter, 1);
	}
}

/* `at`: behind the '%'. */
static int put_escape(const struct sink_path *path, const struct sink *sink, const struct sink_line *line,
		      const char **at, struct buf *out)
{
	const struct tz *const zone = path->zone ? path->zone : sink->deployment->programme->timezone;
	if (**at != '{')
		return put_time(zone, *(*at)++, line->time_us, out);
	const char *const end = strchrnul(*at, '}');
	const struct slice name = {*at + 1, (size_t)(end - *at) - 1};
	*at = *end ? end + 1 : end;
	if (slice_is(name, "timestamp"))
		return put_time(zone, 't', line->time_us, out);
	return buf_append_text(out, header_of(sink, line->source, name));
}

int sink_path_make(struct sink_path *path, const struct sink *sink, const struct sink_line *line, const char **out,
		   struct error *err)
{
	if (!path->varies) {
		*out = path->pattern;
		return 0;
	}
	struct buf *const made = &path->made;
	const struct slice made_source = {path->made_source.data, path->made_source.len};
	if (made->len && path->made_us == line->time_us && slice_equal(made_source, line->source)) {
		*out = made->data;
		return 0;
	}
	buf_clear(made);
	buf_clear(&path->made_source);
	const size_t own = strlen(path->pattern) - strlen(sink->dir) - 1 - strlen(sink->prefix);
	int rc = buf_append(made, path->pattern, own);
	const char *at = path->pattern + own;
	while (rc == 0 && *at) {
		const char *const escape = strchrnul(at, '%');
		rc = buf_append(made, at, (size_t)(escape - at));
		at = escape;
		if (rc == 0 && *at && *++at)
			rc = put_escape(path, sink, line, &at, made);
	}
	if (rc == 0)
		rc = buf_append(&path->made_source, line->source.data, line->source.len);
	if (rc < 0 || !buf_text(made))
		return error_no_memory(err, made->len);
	path->made_us = line->time_us;
	*out = made->data;
	return 0;
}
