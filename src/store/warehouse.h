/*
 * A warehouse: a tree of directories and files in which tables lie, in a local directory or in HDFS.
 *
 *     struct warehouse *warehouse = NULL;
 *     if (warehouse_open_hdfs(&options, &warehouse, err) < 0) …
 *     rc = warehouse_put_file(warehouse, "transactions_cln/data_dt=2026-11-23/orders-edge1-1-40.parquet", local, err);
 *     warehouse_close(warehouse);
 *
 * **Files are whole or not there.** What is put gets its name when all of it is there; nothing is ever appended, and nothing is
 * overwritten. A name says what is in a file, so that who puts again what may have been put has nothing to undo.
 *
 * **Every operation may be called again after an error**, and comes to the same as if it had been called once: an answer that was
 * lost after the work was done does no harm. That is the contract of every driver, and what its tests look for.
 *
 * A path is relative to the warehouse's root: names of 1 to 255 bytes of UTF-8 with "/" between them; "" is the root. A name is not
 * "." or "..", and has no control characters, no ":" and no backslash, which HDFS, Hive or Spark would take for something else. The
 * name "_tmp" at the root is the warehouse's own: files lie there until they are whole, in a directory for each `writer`.
 *
 * Errors: ERROR_NOT_FOUND; ERROR_EXISTS something else is there; ERROR_AWAY the servers did not answer, or are not ready, within the
 * driver's limits: later it may work; ERROR_DENIED no right; ERROR_NO_SPACE disk or quota; ERROR_INPUT no path; ERROR_INTERRUPTED;
 * ERROR_IO everything else; ERROR_NO_MEMORY. Messages name the system, the path and what was answered.
 *
 * Threads: an open warehouse belongs to one thread at a time; a process may open any number, each with another writer's name if
 * they may put the same path.
 */
#ifndef PUNCHCARD_STORE_WAREHOUSE_H
#define PUNCHCARD_STORE_WAREHOUSE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define WAREHOUSE_TO_END UINT64_MAX

struct warehouse_stat {
	bool is_dir;
	uint64_t size;    /* 0 of a directory */
	int64_t mtime_ms; /* UTC */
};

/* What is below a path, everything counted. */
struct warehouse_usage {
	uint64_t bytes;
	uint64_t files;
	uint64_t dirs;       /* the path's own too */
	int64_t space_bytes; /* what it takes on disks, replicas too; -1: not known */
	int64_t space_quota; /* bytes that may be taken below the path; -1: no limit */
	int64_t name_quota;  /* files and directories that may be; -1: no limit */
	int64_t free_bytes;  /* in the whole file system; -1: not known */
};

/* What `punchcard doctor` asks. */
struct warehouse_health {
	char version[64];       /* "" : not told */
	bool safe_mode;         /* nothing can be written now */
	int live_nodes;         /* that hold blocks; -1: not told */
	bool has_clock;         /* clock_ahead_ms is known */
	int64_t clock_ahead_ms; /* the server's clock before ours; exact to a second */
	int64_t took_us;        /* one small request */
	bool can_write;         /* a small file was put, read again and removed; only asked for with `try_writing` */
	char problem[512];      /* why not */
};

/* Gives up to `size` bytes from `offset` on; may go back. Returns how many (0 only at the end), or a negative code. */
typedef int64_t warehouse_read_fn(void *context, uint64_t offset, void *out, size_t size, struct error *err);
/* Takes bytes, in order. 0, or a negative code, which ends the call. */
typedef int warehouse_write_fn(void *context, const void *data, size_t len, struct error *err);
/* Takes one entry of a directory; the name is valid in the call. 0, or a negative code, which ends the call. */
typedef int warehouse_entry_fn(void *context, const char *name, const struct warehouse_stat *stat, struct error *err);

struct warehouse;

/* What a driver does; paths were checked. The functions below say what each means. */
struct warehouse_driver {
	const char *name; /* in messages: "HDFS" */
	int (*list)(struct warehouse *warehouse, const char *path, warehouse_entry_fn *take, void *context,
		    struct error *err);
	int (*stat)(struct warehouse *warehouse, const char *path, struct warehouse_stat *stat, struct error *err);
	int (*make_dir)(struct warehouse *warehouse, const char *path, struct error *err);
	int (*put)(struct warehouse *warehouse, const char *path, warehouse_read_fn *read, void *context, uint64_t size,
		   struct error *err);
	int (*read)(struct warehouse *warehouse, const char *path, uint64_t offset, uint64_t len,
		    warehouse_write_fn *write, void *context, struct error *err);
	int (*rename)(struct warehouse *warehouse, const char *from, const char *to, struct error *err);
	int (*remove)(struct warehouse *warehouse, const char *path, struct error *err);
	int (*usage)(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err);
	int (*ping)(struct warehouse *warehouse, struct warehouse_health *health, struct error *err);
	void (*close)(struct warehouse *warehouse);
};

/* The beginning of every driver's own. */
struct warehouse {
	const struct warehouse_driver *driver;
	const char *writer; /* lives as long as it */
};

/* --- drivers --- */

struct warehouse_local_options {
	const char *root;   /* made if it is missing */
	const char *writer; /* a name */
};

int warehouse_open_local(const struct warehouse_local_options *options, struct warehouse **out, struct error *err);

enum warehouse_auth {
	WAREHOUSE_AUTH_SIMPLE, /* the cluster believes who says who he is: `user` */
	WAREHOUSE_AUTH_SPNEGO, /* Kerberos, by the process's ticket */
	WAREHOUSE_AUTH_TOKEN,  /* a delegation token; the file is read again when a token is refused */
};

struct warehouse_hdfs_options {
	const char *
		url; /* http[s]://namenode:9870, or HttpFS's, or a gateway's; several (high availability) with "," between */
	const char *root; /* absolute: "/user/punchcard" */
	const char *writer;
	enum warehouse_auth auth;
	const char *user;
	const char *token_file;
	const char *ca_file;     /* NULL: the system's authorities */
	uint32_t patience_ms;    /* how long an operation tries again; 0: 60,000 */
	uint32_t silence_ms;     /* longest wait for a byte; 0: 60,000 */
	const atomic_bool *stop; /* true ends what waits with ERROR_INTERRUPTED; NULL: none */
};

/* Sends nothing yet. ERROR_CONFIG: an option cannot work. */
int warehouse_open_hdfs(const struct warehouse_hdfs_options *options, struct warehouse **out, struct error *err);

/* NULL is fine. */
void warehouse_close(struct warehouse *warehouse);

/* --- operations --- */

/* Whether `path` is one, as said above. */
bool warehouse_is_path(const char *path);

/* The entries of a directory, each once, in the order of their names' bytes; of what changes meanwhile either. After an error, what was
 * given is not all. ERROR_NOT_FOUND; ERROR_EXISTS: a file. */
int warehouse_list(struct warehouse *warehouse, const char *path, warehouse_entry_fn *take, void *context,
		   struct error *err);
int warehouse_stat(struct warehouse *warehouse, const char *path, struct warehouse_stat *stat, struct error *err);
/* With its parents; one that is there is fine. ERROR_EXISTS: there is a file. */
int warehouse_make_dir(struct warehouse *warehouse, const char *path, struct error *err);
/* Makes a file of `size` bytes that `read` gives, and its missing directories. 0, too, when a file of this length is there already: it was
 * put before. ERROR_EXISTS: another length, or a directory. */
int warehouse_put(struct warehouse *warehouse, const char *path, warehouse_read_fn *read, void *context, uint64_t size,
		  struct error *err);
/* The same of a local file, which must not change meanwhile (ERROR_INPUT), and of bytes in memory. */
int warehouse_put_file(struct warehouse *warehouse, const char *path, const char *local_path, struct error *err);
int warehouse_put_bytes(struct warehouse *warehouse, const char *path, struct slice bytes, struct error *err);
/* `len` bytes of a file from `offset` on, fewer where it ends. ERROR_NOT_FOUND; ERROR_EXISTS: a directory. */
int warehouse_read(struct warehouse *warehouse, const char *path, uint64_t offset, uint64_t len,
		   warehouse_write_fn *write, void *context, struct error *err);
/* A whole file of at most `limit` bytes, appended to `out`. ERROR_LIMIT. */
int warehouse_read_all(struct warehouse *warehouse, const char *path, size_t limit, struct buf *out, struct error *err);
/* Gives a file or a directory another name, with its missing directories; never into a directory that is there. 0, too, when `from`
 * is not there but `to` is: it was done before. ERROR_NOT_FOUND: neither is; ERROR_EXISTS: both are. */
int warehouse_rename(struct warehouse *warehouse, const char *from, const char *to, struct error *err);
/* Removes a file, or a directory with all that is in it; what is not there is fine. Not the root (ERROR_INPUT). */
int warehouse_remove(struct warehouse *warehouse, const char *path, struct error *err);
int warehouse_usage(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err);
/* How the system is. ERROR_AWAY after one try. With try_writing a file is put and removed; that it failed is no error here. */
int warehouse_ping(struct warehouse *warehouse, bool try_writing, struct warehouse_health *health, struct error *err);
/* Removes what puts of this writer that were broken off left below "_tmp". At the start, when nobody else writes by its name. */
int warehouse_clean(struct warehouse *warehouse, struct error *err);

/* --- for drivers --- */

/* Where a file lies until it is whole: "_tmp/<writer>/<hash of path>", the same each time. */
int warehouse_tmp_path(const struct warehouse *warehouse, const char *path, struct buf *out, struct error *err);
/* What a put finds in its place: 0 and *done when it is there with this size, or nothing is; else ERROR_EXISTS. */
int warehouse_check_there(struct warehouse *warehouse, const char *path, uint64_t size, bool *done, struct error *err);
/* The length of a path's parent directory; 0: the root. */
size_t warehouse_parent_len(const char *path);

#endif
