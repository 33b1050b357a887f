#include "batch/spool.h"

#include "base/bytes.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PENDING_BYTES ((size_t)1024 * 1024)
#define WINDOW_BYTES  ((size_t)256 * 1024)
#define LENGTH_BYTES  4u

int spool_open(struct spool *spool, const char *dir, struct error *err)
{
	*spool = (struct spool){.fd = -1, .dir = dir};
	_cleanup_free_ char *path = text_printf("%s/spool-XXXXXX", dir);
	if (!path)
		return error_no_memory(err, strlen(dir));
	const int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_errno(err, errno, "cannot make a file in %s", dir);
	unlink(path);
	spool->fd = fd;
	return 0;
}

void spool_close(struct spool *spool)
{
	if (spool->fd > 0)
		close(spool->fd);
	buf_release(&spool->pending);
	*spool = (struct spool){.fd = -1};
}

int spool_flush(struct spool *spool, struct error *err)
{
	const int rc = file_write_all(spool->fd, spool->pending.data, spool->pending.len, spool->dir, err);
	buf_clear(&spool->pending);
	return rc;
}

int spool_record(struct buf *out, struct slice record)
{
	char length[LENGTH_BYTES];
	if (record.len > UINT32_MAX || buf_reserve(out, LENGTH_BYTES + record.len) < 0)
		return ERROR_NO_MEMORY;
	put_u32(length, (uint32_t)record.len);
	if (buf_append(out, length, LENGTH_BYTES) < 0 || (record.len && buf_append(out, record.data, record.len) < 0))
		return ERROR_NO_MEMORY;
	return 0;
}

static int flush_when_full(struct spool *spool, struct error *err)
{
	return spool->pending.len >= PENDING_BYTES ? spool_flush(spool, err) : 0;
}

int spool_append(struct spool *spool, struct slice record, struct error *err)
{
	if (spool_record(&spool->pending, record) < 0)
		return error_no_memory(err, record.len);
	spool->size += LENGTH_BYTES + record.len;
	return flush_when_full(spool, err);
}

int spool_append_records(struct spool *spool, struct slice records, struct error *err)
{
	/* Much at once is not copied once more. */
	if (records.len >= PENDING_BYTES) {
		int rc = spool_flush(spool, err);
		if (rc == 0)
			rc = file_write_all(spool->fd, records.data, records.len, spool->dir, err);
		if (rc == 0)
			spool->size += records.len;
		return rc;
	}
	if (records.len && buf_append(&spool->pending, records.data, records.len) < 0)
		return error_no_memory(err, records.len);
	spool->size += records.len;
	return flush_when_full(spool, err);
}

struct spool_reader spool_read(const struct spool *spool, uint64_t at, uint64_t end)
{
	return (struct spool_reader){.spool = spool, .at = at, .end = end};
}

/* Makes sure that the window has `n` bytes that were not taken, if the range has them. */
static int fill_window(struct spool_reader *reader, size_t n, struct error *err)
{
	struct buf *const window = &reader->window;
	if (window->len - reader->taken >= n)
		return 0;
	if (reader->taken)
		memmove(window->data, window->data + reader->taken, window->len - reader->taken);
	window->len -= reader->taken;
	reader->taken = 0;
	size_t want = n > WINDOW_BYTES ? n : WINDOW_BYTES;
	want -= window->len;
	if (want > reader->end - reader->at)
		want = (size_t)(reader->end - reader->at);
	if (buf_reserve(window, want + 1) < 0)
		return error_no_memory(err, want);
	while (want > 0) {
		const ssize_t got = pread(reader->spool->fd, window->data + window->len, want, (off_t)reader->at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? error_errno(err, errno, "cannot read a temporary file in %s",
						     reader->spool->dir)
				       : error_set(err, ERROR_IO, "a temporary file in %s was cut off",
						   reader->spool->dir);
		window->len += (size_t)got;
		reader->at += (uint64_t)got;
		want -= (size_t)got;
	}
	return 0;
}

int spool_next(struct spool_reader *reader, struct slice *record, bool *found, struct error *err)
{
	int rc = fill_window(reader, LENGTH_BYTES, err);
	if (rc < 0)
		return rc;
	if (reader->window.len == reader->taken) {
		*found = false;
		return 0;
	}
	struct reader length = reader_of((struct slice){reader->window.data + reader->taken, LENGTH_BYTES});
	const size_t len = read_u32(&length);
	rc = fill_window(reader, LENGTH_BYTES + len, err);
	if (rc < 0)
		return rc;
	*record = (struct slice){reader->window.data + reader->taken + LENGTH_BYTES, len};
	reader->taken += LENGTH_BYTES + len;
	*found = true;
	return 0;
}

void spool_reader_release(struct spool_reader *reader)
{
	buf_release(&reader->window);
}
