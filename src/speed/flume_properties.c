#include "speed/flume_properties.h"

#include "base/file.h"
#include "base/limits.h"

#include <stdlib.h>
#include <unistd.h>

/* Values that are put into values: deeper than any file goes, and a circle has no end. */
#define DEPTH_MOST 32u
/* What a value may become by what is put into it. */
#define VALUE_BYTES_MOST (64u * 1024u)

struct parser {
	const char *at;
	const char *end;
	unsigned line; /* that `at` is in */
	const char *path;
	struct buf logical; /* a logical line, its escapes still in it */
	struct buf key;
	struct buf value;
	const struct flume_lookup *lookup;
	struct flume_properties *out;
	unsigned cap;
};

/* --- logical lines --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f';
}

static bool is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

static void skip_line_end(struct parser *p)
{
	if (p->at == p->end)
		return;
	if (*p->at == '\r' && p->end - p->at > 1 && p->at[1] == '\n')
		p->at++;
	p->at++;
	p->line++;
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && is_blank(*p->at))
		p->at++;
}

/* Up to the line's end, which stays. */
static struct slice take_natural(struct parser *p)
{
	const char *const from = p->at;
	while (p->at < p->end && !is_line_end(*p->at))
		p->at++;
	return (struct slice){from, (size_t)(p->at - from)};
}

static bool goes_on(struct slice line)
{
	size_t n = 0;
	while (n < line.len && line.data[line.len - 1 - n] == '\\')
		n++;
	return n % 2 == 1;
}

/* Whether there is one; *line: where it begins. */
static int next_logical(struct parser *p, bool *found, unsigned *line, struct error *err)
{
	*found = false;
	buf_clear(&p->logical);
	while (p->at < p->end) {
		skip_blanks(p);
		if (p->logical.len == 0)
			*line = p->line;
		const bool is_comment = p->logical.len == 0 && p->at < p->end && (*p->at == '#' || *p->at == '!');
		struct slice natural = take_natural(p);
		if (is_comment)
			natural.len = 0;
		const bool more = goes_on(natural);
		if (buf_append(&p->logical, natural.data, natural.len - more) < 0)
			return error_no_memory(err, natural.len);
		skip_line_end(p);
		if (!more && p->logical.len) {
			*found = true;
			return 0;
		}
	}
	*found = p->logical.len > 0;
	return 0;
}

/* --- characters --- */

static int put_utf8(struct buf *out, uint32_t c)
{
	char bytes[4];
	size_t n = 0;
	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char)(0x80 | (c & 0x3f));
	}
	return buf_append(out, bytes, n);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits; false: they are none. */
static bool read_unit(const char *at, const char *end, uint32_t *out)
{
	*out = 0;
	if (end - at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		const int digit = hex_digit(at[i]);
		if (digit < 0)
			return false;
		*out = *out << 4 | (uint32_t)digit;
	}
	return true;
}

/* Behind "\u". Two halves of one character become one; half a one alone becomes U+FFFD, for it is none. */
static bool read_unicode(const char **at, const char *end, uint32_t *out)
{
	uint32_t unit;
	if (!read_unit(*at, end, &unit))
		return false;
	*at += 4;
	*out = unit;
	if (unit < 0xd800 || unit > 0xdfff)
		return true;
	*out = 0xfffd;
	uint32_t low;
	if (unit <= 0xdbff && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' && read_unit(*at + 2, end, &low) &&
	    low >= 0xdc00 && low <= 0xdfff) {
		*out = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
		*at += 6;
	}
	return true;
}

/* The character at *at, its escape read; false: it is malformed. */
static bool read_character(const char **at, const char *end, uint32_t *out)
{
	const unsigned char c = (unsigned char)*(*at)++;
	*out = c;
	if (c != '\\')
		return true;
	if (*at == end) /* a file that ends with a backslash */
		return true;
	const unsigned char escaped = (unsigned char)*(*at)++;
	switch (escaped) {
	case 'u':
		return read_unicode(at, end, out);
	case 't':
		*out = '\t';
		break;
	case 'n':
		*out = '\n';
		break;
	case 'r':
		*out = '\r';
		break;
	case 'f':
		*out = '\f';
		break;
	default:
		*out = escaped;
	}
	return true;
}

static int decode(const struct parser *p, const char *at, const char *end, unsigned line, struct buf *out,
		  struct error *err)
{
	buf_clear(out);
	while (at < end) {
		uint32_t c;
		if (!read_character(&at, end, &c))
			return error_set(err, ERROR_CONFIG,
					 "%s:%u: a \\u needs four hexadecimal digits behind it, such as \\u00e9; a "
					 "backslash itself is written \\\\",
					 p->path, line);
		if (c == 0)
			return error_set(err, ERROR_CONFIG, "%s:%u: a NUL is in no name and no value; remove it",
					 p->path, line);
		if (put_utf8(out, c) < 0)
			return error_no_memory(err, out->len);
	}
	return 0;
}

/* As Java's trim: all up to the blank. */
static struct slice trim(const struct buf *text)
{
	struct slice s = {text->data, text->len};
	while (s.len && (unsigned char)s.data[0] <= ' ') {
		s.data++;
		s.len--;
	}
	while (s.len && (unsigned char)s.data[s.len - 1] <= ' ')
		s.len--;
	return s;
}

/* --- keys and values --- */

static int add(struct parser *p, unsigned line, struct error *err)
{
	struct flume_properties *const all = p->out;
	const struct slice key = trim(&p->key);
	const struct slice value = trim(&p->value);
	if (!key.len || !value.len)
		return 0;
	if (all->n == p->cap) {
		const unsigned cap = p->cap ? 2 * p->cap : 64;
		struct flume_property *const items = reallocarray(all->items, cap, sizeof(*items));
		if (!items)
			return error_no_memory(err, cap * sizeof(*items));
		all->items = items;
		p->cap = cap;
	}
	struct flume_property *const item = &all->items[all->n];
	*item = (struct flume_property){.key = slice_dup(key), .value = slice_dup(value), .line = line};
	if (!item->key || !item->value) {
		free(item->key);
		free(item->value);
		return error_no_memory(err, key.len + value.len);
	}
	all->n++;
	return 0;
}

/* Parts a logical line at the first separator that is not escaped. */
static int take_logical(struct parser *p, unsigned line, struct error *err)
{
	const char *const end = p->logical.data + p->logical.len;
	const char *at = p->logical.data;
	for (const char *c = at; c < end && !p->out->latin1_line; c++)
		if ((unsigned char)*c >= 0x80)
			p->out->latin1_line = line;
	while (at < end && *at != '=' && *at != ':' && !is_blank(*at))
		at += *at == '\\' && end - at > 1 ? 2 : 1;
	int rc = decode(p, p->logical.data, at, line, &p->key, err);
	while (at < end && is_blank(*at))
		at++;
	if (at < end && (*at == '=' || *at == ':'))
		at++;
	while (at < end && is_blank(*at))
		at++;
	if (rc == 0)
		rc = decode(p, at, end, line, &p->value, err);
	return rc == 0 ? add(p, line, err) : rc;
}

static int compare(const void *a, const void *b)
{
	const struct flume_property *const pa = a;
	const struct flume_property *const pb = b;
	const int order = strcmp(pa->key, pb->key);
	return order ? order : (pa->line > pb->line) - (pa->line < pb->line);
}

/* Of those with the same key the last stays. */
static void sort(struct flume_properties *all)
{
	if (all->n)
		qsort(all->items, all->n, sizeof(all->items[0]), compare);
	unsigned kept = 0;
	for (unsigned i = 0; i < all->n; i++) {
		if (kept && strcmp(all->items[kept - 1].key, all->items[i].key) == 0) {
			struct flume_property *const item = &all->items[kept - 1];
			all->items[i].earlier_line = item->line;
			free(item->key);
			free(item->value);
			*item = all->items[i];
		} else {
			all->items[kept++] = all->items[i];
		}
	}
	all->n = kept;
}

const struct flume_property *flume_properties_find(const struct flume_properties *properties, struct slice key)
{
	unsigned from = 0;
	unsigned until = properties->n;
	while (from < until) {
		const unsigned middle = from + (until - from) / 2;
		const struct flume_property *const item = &properties->items[middle];
		const int order = slice_compare(slice_of(item->key), key);
		if (order == 0)
			return item;
		if (order < 0)
			from = middle + 1;
		else
			until = middle;
	}
	return NULL;
}

/* --- ${…} --- */

static const char *process_env(void *context, const char *name)
{
	(void)context;
	return getenv(name);
}

static const char *process_sys(void *context, const char *name)
{
	static _Thread_local char dir[LIMIT_PATH_BYTES];
	(void)context;
	if (strcmp(name, "user.home") == 0)
		return getenv("HOME");
	if (strcmp(name, "user.name") == 0)
		return getenv("USER");
	if (strcmp(name, "user.dir") == 0)
		return getcwd(dir, sizeof(dir));
	if (strcmp(name, "java.io.tmpdir") == 0)
		return "/tmp";
	if (strcmp(name, "file.separator") == 0)
		return "/";
	return strcmp(name, "path.separator") == 0 ? ":" : NULL;
}

static const char *look_up(const struct parser *p, const char *name)
{
	if (strncmp(name, "env:", 4) == 0)
		return p->lookup->env(p->lookup->context, name + 4);
	if (strncmp(name, "sys:", 4) == 0)
		return p->lookup->sys(p->lookup->context, name + 4);
	const struct flume_property *const other = flume_properties_find(p->out, slice_of(name));
	return other ? other->value : NULL;
}

static int put(struct buf *out, const char *data, size_t len, struct error *err)
{
	return buf_append(out, data, len) < 0 ? error_no_memory(err, len) : 0;
}

static int substitute(const struct parser *p, struct flume_property *item, const char *text, unsigned depth,
		      struct buf *out, struct error *err);

/* "${" stands at `text`, "}" at `close`. */
static int substitute_one(const struct parser *p, struct flume_property *item, const char *text, const char *close,
			  unsigned depth, struct buf *out, struct error *err)
{
	_cleanup_free_ char *name = strndup(text + 2, (size_t)(close - text) - 2);
	if (!name)
		return error_no_memory(err, (size_t)(close - text));
	char *const otherwise = strstr(name, ":-");
	if (otherwise)
		*otherwise = '\0';
	const char *const found = look_up(p, name);
	if (found || otherwise)
		return substitute(p, item, found ? found : otherwise + 2, depth + 1, out, err);
	item->has_unset = true;
	return put(out, text, (size_t)(close - text) + 1, err);
}

static int substitute(const struct parser *p, struct flume_property *item, const char *text, unsigned depth,
		      struct buf *out, struct error *err)
{
	if (depth > DEPTH_MOST || out->len > VALUE_BYTES_MOST)
		return error_set(err, ERROR_CONFIG,
				 "%s:%u: %s: what its ${…} stand for has no end; do they name each other in a circle?",
				 p->path, item->line, item->key);
	int rc = 0;
	while (rc == 0 && *text) {
		const char *const dollar = strchrnul(text, '$');
		rc = put(out, text, (size_t)(dollar - text), err);
		text = dollar;
		if (rc < 0 || !*text)
			break;
		const bool escaped = text[1] == '$' && text[2] == '{';
		const char *const open = text + escaped;
		const char *const close = open[1] == '{' ? strchr(open, '}') : NULL;
		if (close && escaped)
			rc = put(out, open, (size_t)(close - open) + 1, err);
		else if (close)
			rc = substitute_one(p, item, text, close, depth, out, err);
		else
			rc = put(out, text, 1, err);
		text = close ? close + 1 : text + 1;
	}
	return rc;
}

/* All by the values as they are written, then all at once. */
static int substitute_all(struct parser *p, struct error *err)
{
	struct flume_properties *const all = p->out;
	char **const values = calloc(all->n + 1, sizeof(*values));
	if (!values)
		return error_no_memory(err, all->n * sizeof(*values));
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < all->n; i++) {
		buf_clear(&p->value);
		if (!strchr(all->items[i].value, '$'))
			continue;
		rc = substitute(p, &all->items[i], all->items[i].value, 0, &p->value, err);
		if (rc == 0 && !(values[i] = buf_text(&p->value) ? strdup(p->value.data) : NULL))
			rc = error_no_memory(err, p->value.len);
	}
	for (unsigned i = 0; i < all->n; i++) {
		if (rc == 0 && values[i]) {
			free(all->items[i].value);
			all->items[i].value = values[i];
		} else {
			free(values[i]);
		}
	}
	free(values);
	return rc;
}

/* --- from start to end --- */

static int parse(struct parser *p, struct error *err)
{
	for (;;) {
		bool found;
		unsigned line = 1;
		int rc = next_logical(p, &found, &line, err);
		if (rc == 0 && found)
			rc = take_logical(p, line, err);
		if (rc < 0)
			return rc;
		if (!found)
			break;
	}
	sort(p->out);
	return substitute_all(p, err);
}

int flume_properties_parse(struct slice text, const char *path, const struct flume_lookup *lookup,
			   struct flume_properties **out, struct error *err)
{
	static const struct flume_lookup PROCESS = {.env = process_env, .sys = process_sys};
	if (text.len > FLUME_PROPERTIES_BYTES_MOST)
		return error_set(err, ERROR_CONFIG, "%s: %zu bytes are no configuration of Flume's", path, text.len);
	struct flume_properties *const all = calloc(1, sizeof(*all));
	if (!all || !(all->path = strdup(path))) {
		free(all);
		return error_no_memory(err, sizeof(*all));
	}
	struct parser p = {.at = text.data,
			   .end = text.len ? text.data + text.len : text.data,
			   .line = 1,
			   .path = path,
			   .lookup = lookup ? lookup : &PROCESS,
			   .out = all};
	const int rc = parse(&p, err);
	buf_release(&p.logical);
	buf_release(&p.key);
	buf_release(&p.value);
	if (rc < 0) {
		flume_properties_free(all);
		return rc;
	}
	*out = all;
	return 0;
}

int flume_properties_read(const char *path, struct flume_properties **out, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	const int rc = file_read_all(path, FLUME_PROPERTIES_BYTES_MOST, &text, err);
	if (rc < 0)
		return rc;
	return flume_properties_parse((struct slice){text.data, text.len}, path, NULL, out, err);
}

void flume_properties_free(struct flume_properties *properties)
{
	if (!properties)
		return;
	for (unsigned i = 0; i < properties->n; i++) {
		free(properties->items[i].key);
		free(properties->items[i].value);
	}
	free(properties->items);
	free(properties->path);
	free(properties);
}
