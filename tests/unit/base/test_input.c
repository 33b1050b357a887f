#include "base/input.h"

#include "base/buf.h"
#include "base/csv.h"
#include "base/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

#include <cmocka.h>

static char directory[] = "/tmp/punchcard_test_input.XXXXXX";
static char path[sizeof(directory) + 32];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/file", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return file_remove_tree(directory, NULL);
}

static void write_file(const void *data, size_t len)
{
	struct error err;
	if (file_write_durable(path, data, len, &err) < 0)
		fail_msg("%s", err.message);
}

/* Appends `text` as one gzip member. */
static void pack(struct buf *out, const char *text, size_t len)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	const size_t most = deflateBound(&z, len);
	assert_int_equal(buf_reserve(out, most), 0);
	_cleanup_free_ unsigned char *copy = malloc(len + 1);
	assert_non_null(copy);
	if (len)
		memcpy(copy, text, len);
	z.next_in = copy;
	z.avail_in = (uInt)len;
	z.next_out = (unsigned char *)out->data + out->len;
	z.avail_out = (uInt)most;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->len += most - z.avail_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
}

/* Reads to the end, consuming `step` bytes at a time. */
static int read_all(struct input *in, size_t step, struct buf *out, struct error *err)
{
	for (;;) {
		size_t n;
		while ((n = input_len(in) < step ? input_len(in) : step)) {
			assert_int_equal(buf_append(out, input_data(in), n), 0);
			input_consume(in, n);
		}
		if (input_at_eof(in))
			return 0;
		const int rc = input_fill(in, err);
		if (rc < 0)
			return rc;
	}
}

static void check_digest(struct input *in, const char *data, size_t len)
{
	unsigned char digest[INPUT_DIGEST_BYTES];
	XXH128_canonical_t expected;
	XXH128_canonicalFromHash(&expected, XXH3_128bits(data, len));
	input_digest(in, digest);
	assert_memory_equal(digest, expected.digest, sizeof(digest));
	assert_int_equal(input_offset(in), len);
}

static void check_reads(const char *expected, size_t len, bool gzip)
{
	static const size_t STEPS[] = {1 << 30, 1000, 77777};
	for (size_t i = 0; i < 3; i++) {
		struct input *in = NULL;
		struct error err;
		if (input_open(path, &in, &err) < 0)
			fail_msg("%s", err.message);
		struct buf got = {0};
		assert_int_equal(read_all(in, STEPS[i], &got, &err), 0);
		assert_int_equal(got.len, len);
		if (len)
			assert_memory_equal(got.data, expected, len);
		assert_int_equal(input_is_gzip(in), gzip);
		check_digest(in, expected, len);
		input_close(in);
		buf_release(&got);
	}
}

static void check_refused(int code, const char *text)
{
	struct input *in = NULL;
	struct error err;
	assert_int_equal(input_open(path, &in, &err), code);
	assert_null(in);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.message, path));
	if (!strstr(err.message, text))
		fail_msg("no '%s' in: %s", text, err.message);
}

/* Some text that does not pack to nothing; the caller frees it. */
static char *make_text(size_t len)
{
	char *const text = malloc(len ? len : 1);
	assert_non_null(text);
	uint32_t x = 12345;
	for (size_t i = 0; i < len; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (char)('a' + (x >> 24) % 16);
	}
	return text;
}

static void test_plain_files(void **state)
{
	(void)state;
	static const size_t SIZES[] = {0, 1, 2, 3, 4, 5, 262144, 262145, 5000000};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		_cleanup_free_ char *text = make_text(SIZES[i]);
		write_file(text, SIZES[i]);
		check_reads(text, SIZES[i], false);
	}
}

static void test_gzip_files(void **state)
{
	(void)state;
	static const size_t SIZES[] = {0, 1, 5, 262144, 5000000};
	for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
		_cleanup_free_ char *text = make_text(SIZES[i]);
		struct buf packed = {0};
		pack(&packed, text, SIZES[i]);
		write_file(packed.data, packed.len);
		check_reads(text, SIZES[i], true);
		buf_release(&packed);
	}
}

static void test_gzip_members_and_padding(void **state)
{
	(void)state;
	_cleanup_free_ char *text = make_text(700000);
	struct buf packed = {0};
	pack(&packed, text, 300000);
	pack(&packed, NULL, 0);
	pack(&packed, text + 300000, 1);
	pack(&packed, text + 300001, 399999);
	write_file(packed.data, packed.len);
	check_reads(text, 700000, true);
	const char zeros[1000] = {0};
	assert_int_equal(buf_append(&packed, zeros, sizeof(zeros)), 0);
	write_file(packed.data, packed.len);
	check_reads(text, 700000, true);
	buf_release(&packed);
}

/* However a packed file is cut: a clear error, and what came before is there. */
static void test_gzip_cut_anywhere(void **state)
{
	(void)state;
	_cleanup_free_ char *text = make_text(3000);
	struct buf packed = {0};
	pack(&packed, text, 2000);
	const size_t first = packed.len;
	pack(&packed, text + 2000, 1000);
	for (size_t cut = 2; cut < packed.len; cut++) {
		if (cut == first)
			continue;
		write_file(packed.data, cut);
		struct input *in = NULL;
		struct error err = {0};
		struct buf got = {0};
		int rc = input_open(path, &in, &err);
		if (rc == 0) {
			rc = read_all(in, 100, &got, &err);
			assert_int_equal(input_fill(in, &err), ERROR_INPUT);
		}
		assert_int_equal(rc, ERROR_INPUT);
		assert_non_null(strstr(err.message, "cut off"));
		assert_true(got.len <= 3000);
		if (cut > first)
			assert_true(got.len >= 2000);
		if (got.len)
			assert_memory_equal(got.data, text, got.len);
		input_close(in);
		buf_release(&got);
	}
	buf_release(&packed);
}

static void test_gzip_damaged(void **state)
{
	(void)state;
	_cleanup_free_ char *text = make_text(100000);
	struct buf packed = {0};
	pack(&packed, text, 100000);
	struct error err = {0};
	for (size_t at = 10; at < packed.len; at += 997) {
		packed.data[at] = (char)(packed.data[at] ^ 0x10);
		write_file(packed.data, packed.len);
		packed.data[at] = (char)(packed.data[at] ^ 0x10);
		struct input *in = NULL;
		struct buf got = {0};
		int rc = input_open(path, &in, &err);
		if (rc == 0)
			rc = read_all(in, 5000, &got, &err);
		assert_int_equal(rc, ERROR_INPUT);
		input_close(in);
		buf_release(&got);
	}
	/* The checksum at the end: all the text is there, and then the error. */
	packed.data[packed.len - 6] ^= 1;
	write_file(packed.data, packed.len);
	struct input *in = NULL;
	struct buf got = {0};
	assert_int_equal(input_open(path, &in, &err), 0);
	assert_int_equal(read_all(in, 5000, &got, &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "damaged"));
	assert_int_equal(got.len, 100000);
	input_close(in);
	buf_release(&got);
	packed.data[packed.len - 6] ^= 1;
	/* Something else behind. */
	buf_clear(&got);
	assert_int_equal(buf_append_text(&packed, "more"), 0);
	write_file(packed.data, packed.len);
	assert_int_equal(input_open(path, &in, &err), 0);
	assert_int_equal(read_all(in, 5000, &got, &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "behind"));
	assert_int_equal(got.len, 100000);
	input_close(in);
	buf_release(&got);
	buf_release(&packed);
}

static void test_byte_order_marks(void **state)
{
	(void)state;
	write_file("\xEF\xBB\xBF"
		   "a,b\n",
		   7);
	check_reads("a,b\n", 4, false);
	write_file("\xEF\xBB\xBF", 3);
	check_reads("", 0, false);
	write_file("\xEF\xBB", 2);
	check_reads("\xEF\xBB", 2, false);
	struct buf packed = {0};
	pack(&packed, "\xEF\xBB\xBF", 3);
	pack(&packed, "text", 4);
	write_file(packed.data, packed.len);
	check_reads("text", 4, true);
	buf_clear(&packed);
	pack(&packed,
	     "\xFF\xFE"
	     "a\0b\0",
	     6);
	write_file(packed.data, packed.len);
	check_refused(ERROR_INPUT, "UTF-16");
	buf_release(&packed);
	write_file("\xFF\xFE"
		   "a\0",
		   4);
	check_refused(ERROR_INPUT, "UTF-16");
	write_file("\xFE\xFF\0a", 4);
	check_refused(ERROR_INPUT, "UTF-16");
	write_file("\xFF\xFE\0\0", 4);
	check_refused(ERROR_INPUT, "UTF-32");
	write_file("\0\0\xFE\xFF", 4);
	check_refused(ERROR_INPUT, "UTF-32");
	write_file("\xFF\xFE", 2);
	check_refused(ERROR_INPUT, "save it as UTF-8");
}

static void test_what_is_no_file(void **state)
{
	(void)state;
	check_refused(ERROR_INPUT, "a directory");
	assert_int_equal(rmdir(path), 0);
	check_refused(ERROR_NOT_FOUND, "No such file");
	assert_int_equal(mkfifo(path, 0666), 0);
	check_refused(ERROR_INPUT, "a named pipe"); /* at once, although nobody writes */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	check_refused(ERROR_INPUT, "a device");
	assert_int_equal(unlink(path), 0);
	struct input *in = NULL;
	struct error err = {0};
	const struct input_options no_follow = {.no_follow = true};
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(input_open(path, &in, &err), 0);
	input_close(in);
	assert_int_equal(input_open_with(path, &no_follow, &in, &err), ERROR_INPUT);
	assert_non_null(strstr(err.message, "is a symbolic link; punchcard takes regular files only"));
	assert_int_equal(unlink(path), 0);
	write_file("a", 1);
	assert_int_equal(input_open_with(path, &no_follow, &in, &err), 0);
	input_close(in);
	assert_int_equal(unlink(path), 0);
	if (geteuid() != 0) {
		write_file("a", 1);
		assert_int_equal(chmod(path, 0), 0);
		check_refused(ERROR_IO, "Permission denied");
		assert_int_equal(unlink(path), 0);
	}
}

static int prepare_directory_in_place(void **state)
{
	(void)state;
	unlink(path);
	return mkdir(path, 0777);
}

static void test_skip_and_positions(void **state)
{
	(void)state;
	const size_t len = 3000000;
	_cleanup_free_ char *text = make_text(len);
	struct buf packed = {0};
	pack(&packed, text, len);
	for (int gzip = 0; gzip < 2; gzip++) {
		if (gzip)
			write_file(packed.data, packed.len);
		else
			write_file(text, len);
		static const size_t POSITIONS[] = {0, 1, 262144, 1048579, 2999999, 3000000};
		for (size_t i = 0; i < sizeof(POSITIONS) / sizeof(POSITIONS[0]); i++) {
			const size_t at = POSITIONS[i];
			struct input *in = NULL;
			struct error err;
			assert_int_equal(input_open(path, &in, &err), 0);
			assert_int_equal(input_skip(in, at / 2, &err), 0);
			assert_int_equal(input_skip(in, at - at / 2, &err), 0);
			check_digest(in, text, at);
			struct buf rest = {0};
			assert_int_equal(read_all(in, 4096, &rest, &err), 0);
			assert_int_equal(rest.len, len - at);
			if (rest.len)
				assert_memory_equal(rest.data, text + at, rest.len);
			check_digest(in, text, len);
			assert_int_equal(input_skip(in, 1, &err), ERROR_INPUT);
			assert_int_equal(input_offset(in), len);
			buf_release(&rest);
			input_close(in);
		}
	}
	buf_release(&packed);
}

static void test_file_that_grows(void **state)
{
	(void)state;
	write_file("one\n", 4);
	struct input *in = NULL;
	struct error err;
	assert_int_equal(input_open(path, &in, &err), 0);
	assert_int_equal(input_last_byte(in), -1);
	struct buf got = {0};
	assert_int_equal(read_all(in, 100, &got, &err), 0);
	assert_true(input_at_eof(in));
	assert_int_equal(input_stat_read(in)->st_size, 4);
	assert_int_equal(input_last_byte(in), '\n');
	const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "two\n", 4), 4);
	close(fd);
	assert_int_equal(input_fill(in, &err), 0);
	assert_false(input_at_eof(in));
	assert_int_equal(read_all(in, 100, &got, &err), 0);
	assert_string_equal(buf_text(&got), "one\ntwo\n");
	check_digest(in, "one\ntwo\n", 8);
	struct stat now;
	assert_int_equal(input_stat_now(in, &now, &err), 0);
	assert_int_equal(now.st_size, 8);
	assert_int_equal(input_stat_read(in)->st_size, 8);
	input_close(in);
	buf_release(&got);
}

/* Records over the borders of blocks, and lines that are longer than the window, as both loaders read them. */
static void test_records_through_the_window(void **state)
{
	(void)state;
	struct buf text = {0};
	size_t records = 0;
	size_t bytes = 0;
	for (size_t i = 0; i < 300; i++) {
		const size_t len = i == 100 ? 3000000 : i % 7 == 0 ? 200000 : i;
		assert_int_equal(buf_reserve(&text, len + 1), 0);
		memset(text.data + text.len, 'x', len);
		text.len += len;
		assert_int_equal(buf_append(&text, "\n", 1), 0);
		if (i != 100) {
			records++;
			bytes += len;
		}
	}
	write_file(text.data, text.len);
	struct input *in = NULL;
	struct error err;
	assert_int_equal(input_open(path, &in, &err), 0);
	struct csv csv;
	csv_init(&csv, ',', true);
	enum csv_result rc;
	size_t used;
	size_t too_long = 0;
	while ((rc = csv_next(&csv, input_data(in), input_len(in), input_at_eof(in), &used)) != CSV_END) {
		if (rc == CSV_RECORD) {
			records--;
			bytes -= csv.raw.len;
		} else if (rc == CSV_TOO_LONG) {
			too_long++;
		} else {
			assert_int_equal(rc, CSV_MORE);
		}
		input_consume(in, used);
		if (rc == CSV_MORE)
			assert_int_equal(input_fill(in, &err), 0);
	}
	assert_int_equal(records, 0);
	assert_int_equal(bytes, 0);
	assert_int_equal(too_long, 1);
	check_digest(in, text.data, text.len);
	csv_release(&csv);
	input_close(in);
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_files),
		cmocka_unit_test(test_gzip_files),
		cmocka_unit_test(test_gzip_members_and_padding),
		cmocka_unit_test(test_gzip_cut_anywhere),
		cmocka_unit_test(test_gzip_damaged),
		cmocka_unit_test(test_byte_order_marks),
		cmocka_unit_test_setup(test_what_is_no_file, prepare_directory_in_place),
		cmocka_unit_test(test_skip_and_positions),
		cmocka_unit_test(test_file_that_grows),
		cmocka_unit_test(test_records_through_the_window),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
