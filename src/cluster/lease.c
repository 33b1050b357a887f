#include "cluster/lease.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define HEAD        "punchcard 1"
#define BYTES_MAX   16384u
#define HOST_BYTES  256u
#define TAKES       3 /* somebody may give it back, and another one take it, in between */
#define SINCE_BYTES sizeof("yyyy-mm-dd hh:mm:ss")

static void since_text(char out[SINCE_BYTES])
{
	const time_t now = (time_t)(clock_now_us() / 1000000);
	struct tm tm;
	gmtime_r(&now, &tm);
	strftime(out, SINCE_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
}

static int make_text(const struct deployment *deployment, const char *command, struct buf *out, struct error *err)
{
	char host[HOST_BYTES] = "";
	char since[SINCE_BYTES];
	uint64_t number = 0;
	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return error_errno(err, errno, "getrandom");
	gethostname(host, sizeof(host) - 1);
	since_text(since);
	return buf_printf(out, HEAD "\nnumber %016llx\nedge %s\nhost %s\ndir %s\nprocess %ld\ncommand %s\nsince %s\n",
			  (unsigned long long)number, deployment->config->cluster.edge, host, deployment->dir,
			  (long)getpid(), command, since) < 0
		       ? error_no_memory(err, HOST_BYTES)
		       : 0;
}

/* What stands behind a word at the beginning of a line; "?" when there is no such line. */
static struct slice line_of(const struct buf *text, const char *word)
{
	const size_t len = strlen(word);
	struct slice rest = {text->data, text->len};
	while (rest.len) {
		const char *const feed = memchr(rest.data, '\n', rest.len);
		const size_t n = feed ? (size_t)(feed - rest.data) : rest.len;
		if (n > len && memcmp(rest.data, word, len) == 0 && rest.data[len] == ' ')
			return (struct slice){rest.data + len + 1, n - len - 1};
		const size_t step = feed ? n + 1 : n;
		rest = (struct slice){rest.data + step, rest.len - step};
	}
	return SLICE("?");
}

static bool is_same(const struct buf *a, const struct buf *b, const char *word)
{
	return slice_equal(line_of(a, word), line_of(b, word));
}

static int refuse(const struct cluster_session *session, const struct buf *holder, struct error *err)
{
	const struct config_cluster *const cluster = &session->deployment->config->cluster;
#define LINE(word) (int)line_of(holder, word).len, line_of(holder, word).data
	return error_set(err, ERROR_LOCKED,
			 "edge %.*s makes tables of this cluster: process %.*s (`punchcard %.*s`) on %.*s, in %.*s, "
			 "since %.*s UTC. Wait for it; or, if that process is no more, remove %s/" LEASE_PATH
			 " of %s, and run this again",
			 LINE("edge"), LINE("process"), LINE("command"), LINE("host"), LINE("dir"), LINE("since"),
			 cluster->hdfs_path, cluster->hdfs_url);
#undef LINE
}

/* Of this deployment: its process is no more, for we hold the lock that it held. */
static bool is_ours_by_right(const struct buf *mine, const struct buf *holder)
{
	return is_same(mine, holder, "edge") && is_same(mine, holder, "host") && is_same(mine, holder, "dir");
}

/* One try: 1 taken, 0 try again. */
static int try_to_take(const struct cluster_session *session, const struct buf *mine, struct error *err)
{
	const struct slice text = {mine->data, mine->len};
	_cleanup_buf_ struct buf holder = {0};
	int rc = warehouse_put_bytes(session->warehouse, LEASE_PATH, text, err);
	if (rc < 0 && rc != ERROR_EXISTS)
		return rc;
	rc = warehouse_read_all(session->warehouse, LEASE_PATH, BYTES_MAX, &holder, err);
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc < 0)
		return rc;
	if (slice_equal((struct slice){holder.data, holder.len}, text))
		return 1;
	if (!is_ours_by_right(mine, &holder))
		return refuse(session, &holder, err);
	return warehouse_remove(session->warehouse, LEASE_PATH, err);
}

int cluster_lease_take(const struct cluster_session *session, const char *command, struct cluster_lease *lease,
		       struct error *err)
{
	struct buf text = {0};
	int rc = make_text(session->deployment, command, &text, err);
	for (int i = 0; rc == 0 && i < TAKES; i++)
		rc = try_to_take(session, &text, err);
	if (rc == 0)
		rc = error_set(err, ERROR_LOCKED, "others come and go at this cluster's tables; run this again");
	if (rc < 0) {
		buf_release(&text);
		return rc;
	}
	*lease = (struct cluster_lease){.session = session, .text = text};
	return 0;
}

int cluster_lease_check(const struct cluster_lease *lease, struct error *err)
{
	_cleanup_buf_ struct buf holder = {0};
	const int rc = warehouse_read_all(lease->session->warehouse, LEASE_PATH, BYTES_MAX, &holder, err);
	if (rc < 0 && rc != ERROR_NOT_FOUND)
		return rc;
	if (rc == 0 &&
	    slice_equal((struct slice){holder.data, holder.len}, (struct slice){lease->text.data, lease->text.len}))
		return 0;
	return error_set(err, ERROR_LOCKED,
			 "%s/" LEASE_PATH " was removed while this process made tables, and another one may write "
			 "them: run this again when nobody does",
			 lease->session->deployment->config->cluster.hdfs_path);
}

void cluster_lease_release(struct cluster_lease *lease)
{
	if (lease->session && cluster_lease_check(lease, NULL) == 0)
		(void)warehouse_remove(lease->session->warehouse, LEASE_PATH,
				       NULL); /* the next of ours takes it over */
	buf_release(&lease->text);
	*lease = (struct cluster_lease){0};
}
