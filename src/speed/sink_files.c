/*
 * Lines as text files of a directory: hdfs and file_roll.
 *
 * A batch is written into files of a hidden directory beside their last place, which become durable; then the journal has the new
 * offset and, in the same transaction, where each of them is to go; then they are renamed. So a file is seen once it counts, whole, and
 * a crash at any moment leaves either nothing that counts or names that are still to be given, which the next opening does.
 *
 * On a cluster they are staged in data/sinks, and sent to HDFS (store/warehouse.h) instead of renamed: what is there already under this
 * name and with this length was sent before. Names have the edge's and the sink's, and a number drawn for each batch, which the journal
 * keeps with them; so nobody else's can be there, nor an older data/'s, whose blocks have the same numbers.
 *
 * What is left to do is as in struct sink_names. Paths are relative to the deployment when they are below it.
 */
#include "base/bytes.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "cluster/open.h"
#include "speed/sink.h"
#include "speed/sink_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Directories that are written to at the same time; with one more, the first file ends. */
#define OPEN_MOST 16u
/* What is gathered for one write. */
#define WRITE_BYTES 65536u
/* Names that are tried for a file whose own is taken. */
#define NAMES_MOST 1000u

struct part {
	char *staged;
	char *target;
	int fd; /* -1: it is written */
	gzFile gz;
	struct buf text;
	char *dir; /* of the target, and the prefix of its name: which lines go into it */
	uint64_t lines;
	uint64_t bytes;
};

struct files {
	struct sink_path path;
	char *staging;
	struct part *parts;
	unsigned n_parts;
	unsigned n_open;
	struct buf rest;             /* files that have not their last names yet */
	struct warehouse *warehouse; /* of a cluster; NULL: of this machine */
	uint64_t drawn;              /* in the names of the batch on a cluster */
	size_t root_len;             /* the part of a target that is the warehouse's root, and '/' */
};

/* --- names --- */

static const char *shown_to_journal(const struct sink *sink, const char *path)
{
	const char *const dir = sink->deployment->dir;
	const size_t len = strlen(dir);
	return strncmp(path, dir, len) == 0 && path[len] == '/' ? path + len + 1 : path;
}

/* "x.txt" is taken: "x.2.txt", so that no file is written over. `attempt` from 1. */
static char *other_name(const char *target, unsigned attempt)
{
	return attempt == 1 ? strdup(target) : text_printf("%s.%u", target, attempt);
}

static int make_dir_of(const char *path, struct error *err)
{
	const char *const slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, (size_t)(slash - path));
	return dir ? file_make_dirs(dir, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

static int sync_dir_of(const char *path, struct error *err)
{
	const char *const slash = strrchr(path, '/');
	_cleanup_free_ char *dir = strndup(path, (size_t)(slash - path));
	return dir ? file_sync_dir(dir, err) : error_no_memory(err, LIMIT_PATH_BYTES);
}

/* The same on a cluster; ERROR_EXISTS only if something of another length has the name. */
static int send_file(const struct files *files, const char *staged, const char *target, struct error *err)
{
	const char *const path = target + files->root_len;
	const int rc = warehouse_put_file(files->warehouse, path, staged, err);
	if (rc == 0 && unlink(staged) < 0)
		return error_errno(err, errno, "cannot remove %s", staged);
	return rc;
}

/* Gives a file its last name, unless it has it. */
static int give_name(const struct files *files, const char *staged, const char *target, struct error *err)
{
	if (!file_exists(staged))
		return 0;
	if (files->warehouse)
		return send_file(files, staged, target, err);
	int rc = make_dir_of(target, err);
	for (unsigned attempt = 1; rc == 0 && attempt <= NAMES_MOST; attempt++) {
		_cleanup_free_ char *name = other_name(target, attempt);
		if (!name)
			return error_no_memory(err, LIMIT_PATH_BYTES);
		if (renameat2(AT_FDCWD, staged, AT_FDCWD, name, RENAME_NOREPLACE) == 0)
			return sync_dir_of(name, err);
		if (errno != EEXIST)
			return error_errno(err, errno, "cannot rename %s to %s", staged, name);
	}
	return rc < 0 ? rc
		      : error_set(err, ERROR_EXISTS, "%s and many names like it are taken; move them away", target);
}

static char *text_of(const struct sink *sink, struct slice name)
{
	_cleanup_free_ char *relative = slice_dup(name);
	return relative ? deployment_path(sink->deployment, relative) : NULL;
}

static int give_names(const struct sink *sink, struct slice rest, struct error *err)
{
	const struct files *const files = sink->state;
	struct sink_names names = sink_names_of(rest);
	struct slice from;
	struct slice to;
	int next;
	while ((next = sink_names_next(&names, &from, &to)) == 1) {
		_cleanup_free_ char *staged = text_of(sink, from);
		_cleanup_free_ char *target = text_of(sink, to);
		const int rc = staged && target ? give_name(files, staged, target, err)
						: error_no_memory(err, LIMIT_PATH_BYTES);
		if (rc < 0)
			return rc;
	}
	return next < 0 ? error_set(err, next, "the position of sink %s in the journal is damaged", sink->name) : 0;
}

/* --- opening --- */

static int set_staging(struct sink *sink, struct files *files, struct error *err)
{
	_cleanup_free_ char *root =
		sink->on_cluster ? text_printf("%s/sinks", sink->deployment->data_dir) : sink_path_root(sink);
	_cleanup_free_ char *name = strdup(sink->name);
	if (!root || !name)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	/* Agents and sinks have no '@' in their names: no other sink has this one. */
	for (char *c = name; *c; c++)
		if (*c == '/')
			*c = '@';
	files->staging = text_printf("%s/.%s", root, name);
	return files->staging ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

static int open_warehouse(struct sink *sink, struct files *files, struct error *err)
{
	_cleanup_free_ char *root = sink_path_root(sink);
	_cleanup_free_ char *writer = text_printf("%s-%s", sink->deployment->config->cluster.edge, sink->name);
	if (!root || !writer)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	*strchrnul(writer, '/') = '-';
	files->root_len = strlen(root) + 1;
	return cluster_open_directory(sink->deployment, root, writer, &files->warehouse, err);
}

/* What was not sent yet is sent by the consumer's thread, which tries again when the cluster is away. */
static int keep_rest(struct sink *sink, struct files *files, struct slice rest, struct error *err)
{
	const struct sink_names names = sink_names_of(rest);
	sink->left = names.left > 0;
	return buf_append(&files->rest, rest.data, rest.len) < 0 ? error_no_memory(err, rest.len) : 0;
}

static int settle(struct sink *sink, struct error *err)
{
	struct files *const files = sink->state;
	const int rc = give_names(sink, (struct slice){files->rest.data, files->rest.len}, err);
	if (rc < 0)
		return rc;
	buf_clear(&files->rest);
	sink->left = false;
	return 0;
}

static int open_files(struct sink *sink, struct slice rest, struct error *err)
{
	struct files *const files = calloc(1, sizeof(*files));
	if (!files)
		return error_no_memory(err, sizeof(*files));
	sink->state = files;
	int rc = sink_path_open(&files->path, sink, err);
	if (rc == 0)
		rc = set_staging(sink, files, err);
	if (rc == 0 && sink->on_cluster) {
		rc = open_warehouse(sink, files, err);
		return rc == 0 ? keep_rest(sink, files, rest, err) : rc;
	}
	if (rc == 0)
		rc = give_names(sink, rest, err);
	/* What is still there was written by who died before it counted. */
	if (rc == 0)
		rc = file_remove_tree(files->staging, err);
	return rc;
}

static void drop_part(struct part *part)
{
	if (part->gz)
		gzclose_w(part->gz);
	if (part->fd >= 0)
		close(part->fd);
	buf_release(&part->text);
	free(part->staged);
	free(part->target);
	free(part->dir);
}

static void drop_parts(struct files *files)
{
	for (unsigned i = 0; i < files->n_parts; i++)
		drop_part(&files->parts[i]);
	files->n_parts = 0;
	files->n_open = 0;
}

static void close_files(struct sink *sink)
{
	struct files *const files = sink->state;
	if (!files)
		return;
	drop_parts(files);
	if (files->staging)
		(void)rmdir(files->staging); /* unless there is something in it */
	sink_path_close(&files->path);
	warehouse_close(files->warehouse);
	buf_release(&files->rest);
	free(files->parts);
	free(files->staging);
	free(files);
	sink->state = NULL;
}

/* --- a batch --- */

static int begin(struct sink *sink, uint64_t first, uint64_t next, struct error *err)
{
	struct files *const files = sink->state;
	(void)first;
	(void)next;
	if (sink->on_cluster && getrandom(&files->drawn, sizeof(files->drawn), 0) != (ssize_t)sizeof(files->drawn))
		return error_errno(err, errno, "getrandom");
	/* Names that could not be given the last time come first. */
	int rc = settle(sink, err);
	/* What is there behind that was written by who died before it counted. */
	if (rc == 0 && sink->on_cluster)
		rc = file_remove_tree(files->staging, err);
	return rc == 0 ? file_make_dirs(files->staging, err) : rc;
}

static int flush(struct part *part, struct error *err)
{
	const size_t len = part->text.len;
	int rc = 0;
	if (part->gz && len && gzwrite(part->gz, part->text.data, (unsigned)len) != (int)len)
		rc = error_errno(err, errno ? errno : EIO, "cannot write %s", part->staged);
	else if (!part->gz && len)
		rc = file_write_all(part->fd, part->text.data, len, part->staged, err);
	buf_clear(&part->text);
	return rc;
}

static int end_part(struct files *files, struct part *part, struct error *err)
{
	int rc = flush(part, err);
	if (part->gz && gzclose_w(part->gz) != Z_OK && rc == 0)
		rc = error_errno(err, errno ? errno : EIO, "cannot write %s", part->staged);
	part->gz = NULL;
	if (rc == 0)
		rc = file_sync(part->fd, part->staged, err);
	close(part->fd);
	part->fd = -1;
	buf_release(&part->text);
	files->n_open--;
	return rc;
}

static int name_part(const struct sink *sink, struct files *files, const char *dir, struct part *part,
		     struct error *err)
{
	char number[40] = "";
	int len = 0;
	if (sink->on_cluster)
		len = snprintf(number, sizeof(number), ".%016" PRIx64, files->drawn);
	if (files->n_parts)
		snprintf(number + len, sizeof(number) - (size_t)len, ".%u", files->n_parts);
	part->staged = text_printf("%s/%u", files->staging, files->n_parts);
	/* Several edges may write into one directory of a cluster. */
	const char *const slash = strchr(sink->name, '/');
	_cleanup_free_ char *whose = sink->on_cluster
					     ? text_printf(".%s.%.*s.%s", sink->deployment->config->cluster.edge,
							   (int)(slash - sink->name), sink->name, slash + 1)
					     : strdup("");
	if (!whose)
		return error_no_memory(err, LIMIT_PATH_BYTES);
	part->target = text_printf("%s%s.%" PRIu64 "-%" PRIu64 "%s%s", dir, whose, sink->first, sink->next - 1, number,
				   sink->suffix);
	part->dir = strdup(dir);
	return part->staged && part->target && part->dir ? 0 : error_no_memory(err, LIMIT_PATH_BYTES);
}

static int start_part(const struct sink *sink, struct files *files, const char *dir, struct part **out,
		      struct error *err)
{
	struct part *const parts = reallocarray(files->parts, files->n_parts + 1, sizeof(*parts));
	if (!parts)
		return error_no_memory(err, sizeof(*parts));
	files->parts = parts;
	struct part *const part = &parts[files->n_parts];
	*part = (struct part){.fd = -1};
	int rc = name_part(sink, files, dir, part, err);
	files->n_parts++;
	if (rc < 0)
		return rc;
	part->fd = open(part->staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (part->fd < 0)
		return error_errno(err, errno, "cannot make %s", part->staged);
	files->n_open++;
	if (sink->gzip) {
		const int copy = fcntl(part->fd, F_DUPFD_CLOEXEC, 0);
		part->gz = copy < 0 ? NULL : gzdopen(copy, "wb");
		if (!part->gz) {
			if (copy >= 0)
				close(copy);
			return error_errno(err, errno ? errno : ENOMEM, "cannot pack %s", part->staged);
		}
	}
	*out = part;
	return 0;
}

static struct part *find_part(const struct files *files, const char *dir)
{
	for (unsigned i = files->n_parts; i-- > 0;)
		if (files->parts[i].fd >= 0 && strcmp(files->parts[i].dir, dir) == 0)
			return &files->parts[i];
	return NULL;
}

static int end_first(struct files *files, struct error *err)
{
	for (unsigned i = 0; i < files->n_parts; i++)
		if (files->parts[i].fd >= 0)
			return end_part(files, &files->parts[i], err);
	return 0;
}

static int put_line(struct sink *sink, const struct sink_line *line, struct error *err)
{
	struct files *const files = sink->state;
	const char *dir;
	int rc = sink_path_make(&files->path, sink, line, &dir, err);
	if (rc < 0)
		return rc;
	struct part *part = find_part(files, dir);
	if (!part && files->n_open >= OPEN_MOST)
		rc = end_first(files, err);
	if (rc == 0 && !part)
		rc = start_part(sink, files, dir, &part, err);
	if (rc < 0 || !part)
		return rc;
	if (buf_append(&part->text, line->text.data, line->text.len) < 0 ||
	    (!sink->no_newline && buf_append_text(&part->text, "\n") < 0))
		return error_no_memory(err, line->text.len);
	part->lines++;
	part->bytes += line->text.len + !sink->no_newline;
	if (part->text.len >= WRITE_BYTES)
		rc = flush(part, err);
	if (rc == 0 && ((sink->roll_lines && part->lines >= sink->roll_lines) ||
			(sink->roll_bytes && part->bytes >= sink->roll_bytes)))
		rc = end_part(files, part, err);
	return rc;
}

static int list_rest(const struct sink *sink, struct files *files, struct error *err)
{
	buf_clear(&files->rest);
	size_t room = VARINT_MAX_BYTES;
	for (unsigned i = 0; i < files->n_parts; i++)
		room += 2 * VARINT_MAX_BYTES + strlen(files->parts[i].staged) + strlen(files->parts[i].target);
	if (buf_reserve(&files->rest, room) < 0 || !files->rest.data)
		return error_no_memory(err, room);
	char *p = put_varint(files->rest.data, files->n_parts);
	for (unsigned i = 0; i < files->n_parts; i++) {
		p = put_slice(p, slice_of(shown_to_journal(sink, files->parts[i].staged)));
		p = put_slice(p, slice_of(shown_to_journal(sink, files->parts[i].target)));
	}
	files->rest.len = (size_t)(p - files->rest.data);
	return 0;
}

static int commit(struct sink *sink, struct error *err)
{
	struct files *const files = sink->state;
	int rc = 0;
	for (unsigned i = 0; rc == 0 && i < files->n_parts; i++)
		if (files->parts[i].fd >= 0)
			rc = end_part(files, &files->parts[i], err);
	if (rc == 0 && files->n_parts)
		rc = file_sync_dir(files->staging, err);
	if (rc == 0)
		rc = list_rest(sink, files, err);
	if (rc == 0)
		rc = sink_commit(sink, (struct slice){files->rest.data, files->rest.len}, err);
	if (rc < 0)
		return rc;
	/* From here on it counts: what does not succeed is done before the next batch, or by the next process. */
	struct error left = {0};
	sink->left = true;
	rc = settle(sink, &left);
	/* Of a cluster that is away it is told, and it is tried again though nothing more comes. */
	if (rc < 0 && sink->on_cluster)
		return error_set(err, rc, "%s", left.message);
	if (rc < 0)
		LOG_WARNING("files of a sink wait for their names", log_text("sink", sink->name), log_error(&left));
	drop_parts(files);
	return 0;
}

static void give_up(struct sink *sink)
{
	struct files *const files = sink->state;
	if (files)
		drop_parts(files); /* what is in the staging directory goes when it is opened again */
}

const struct sink_driver sink_files = {.open = open_files,
				       .settle = settle,
				       .begin = begin,
				       .line = put_line,
				       .commit = commit,
				       .abort = give_up,
				       .close = close_files};
