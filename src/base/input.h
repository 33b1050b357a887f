/*
 * Reading an input file: plain or gzip, in blocks, through one contiguous window.
 *
 *     struct input *in = NULL;
 *     if (input_open(path, &in, err) < 0) …
 *     while ((rc = csv_next(&csv, input_data(in), input_len(in), input_at_eof(in), &used)) != CSV_END) {
 *             if (rc == CSV_MORE) {
 *                     input_consume(in, used);
 *                     if (input_fill(in, err) < 0) …
 *                     continue;
 *             }
 *             …
 *             input_consume(in, used);
 *     }
 *     input_close(in);
 *
 * The *stream* is the file's text: what gzip unpacks to (RFC 1952; several members one after another are one text; zero
 * bytes behind the last are padding), without a UTF-8 byte order mark at its start. Offsets and digests are those of the
 * stream, so that they mean the same for the same text packed or not.
 *
 * One input belongs to one thread at a time. Every function may block on the disk; none syncs.
 */
#ifndef PUNCHCARD_BASE_INPUT_H
#define PUNCHCARD_BASE_INPUT_H

#include "base/error.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* input_fill needs this much of the window unused or consumed: it holds one line that is a byte too long and its end. */
#define INPUT_WINDOW_BYTES ((size_t)LIMIT_LINE_BYTES + 2)
#define INPUT_DIGEST_BYTES 16u

struct input;

/* Opens a regular file and reads its beginning. Directories, FIFOs, devices and sockets are refused with ERROR_INPUT (opening
 * them neither blocks nor has an effect), a missing file is ERROR_NOT_FOUND, an unreadable one ERROR_IO; UTF-16 or UTF-32 by
 * its byte order mark is ERROR_INPUT. Messages begin with the path. The caller closes *out. */
int input_open(const char *path, struct input **out, struct error *err);
/* The same with options. shown: the path in messages, where that is not what the user knows the file by; NULL: path. raw:
 * the stream is the file's bytes as they are, nothing unpacked, no mark looked for: for copying. no_follow: a path that is a
 * symbolic link itself (not one of its directories) is refused with ERROR_INPUT, even when it became one this moment. */
struct input_options {
	const char *shown;
	bool raw;
	bool no_follow;
};
int input_open_with(const char *path, const struct input_options *options, struct input **out, struct error *err);
/* NULL is fine. */
void input_close(struct input *in);

/* Makes more bytes available, or finds the end: afterwards input_len has grown or input_at_eof is true. At most
 * INPUT_WINDOW_BYTES - 1 bytes may be unconsumed (asserted). At the end of a plain file it may be called again: if the file
 * has grown meanwhile it goes on. Errors: ERROR_INPUT for a gzip file that is cut off, damaged, or has other data behind it;
 * ERROR_IO. What was available before stays so, and the same call again gives the same error. */
int input_fill(struct input *in, struct error *err);
/* The unconsumed bytes that are available, in one piece; valid until the next input_fill or input_skip. */
const char *input_data(const struct input *in);
size_t input_len(const struct input *in);
/* Whether nothing follows behind input_len bytes, as of the last input_fill (input_open does one). */
bool input_at_eof(const struct input *in);
/* Moves on by n ≤ input_len bytes. */
void input_consume(struct input *in, size_t n);
/* Moves on by n bytes of the stream, reading as it must. ERROR_INPUT when the stream ends before; the errors of
 * input_fill. */
int input_skip(struct input *in, uint64_t n, struct error *err);

/* Bytes of the stream consumed so far, and their XXH3-128 (canonical, big endian): whether a file that is met again is still
 * the one that was read up to a position. */
uint64_t input_offset(const struct input *in);
void input_digest(struct input *in, unsigned char out[INPUT_DIGEST_BYTES]);
/* The last byte that was consumed, as unsigned char; -1: none yet. */
int input_last_byte(const struct input *in);
/* The file as it was just before it was read last: when input_at_eof, all that was in it then has been read. */
const struct stat *input_stat_read(const struct input *in);
/* The open file as it is now, whatever its name is or names now. */
int input_stat_now(const struct input *in, struct stat *now, struct error *err);
/* ERROR_INPUT when size or time of modification are other now: somebody writes to the file while it is read. */
int input_check_unchanged(const struct input *in, struct error *err);
bool input_is_gzip(const struct input *in);

#endif
