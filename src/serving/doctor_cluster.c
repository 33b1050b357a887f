/* The systems of a cluster, each within some seconds: nothing is tried again but by who asks again. */
#include "serving/doctor_internal.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "cluster/job.h"
#include "cluster/open.h"
#include "store/cluster_view.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB UINT64_C(1048576)
/* Times of events and offsets are each machine's own; Kerberos takes five minutes. */
#define SKEW_WARN_MS 5000
#define SKEW_FAIL_MS 300000
/* Less room than one shipment of the usual size, replicated. */
#define HDFS_FREE_WARN_MIB 1024u
/* Of what a program prints; the rest is not kept. */
#define OUTPUT_BYTES  65536u
#define JAVA_LIMIT_MS 10000
#define JAVA_FIRST    17

/* --- clocks ----------------------------------------------------------------------------------------------------------------- */

static void tell_clock(struct doctor *doctor, const char *name, int64_t ahead_ms)
{
	const int64_t off_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
	const enum doctor_result result = off_ms > SKEW_FAIL_MS   ? DOCTOR_FAIL
					  : off_ms > SKEW_WARN_MS ? DOCTOR_WARN
								  : DOCTOR_OK;
	doctor_tell(doctor, name, result,
		    result == DOCTOR_OK ? NULL : "let NTP keep both clocks; Kerberos takes five minutes at most",
		    "its clock is %" PRId64 " s %s ours", (off_ms + 500) / 1000, ahead_ms < 0 ? "behind" : "before");
}

/* --- HDFS ------------------------------------------------------------------------------------------------------------------- */

static void check_quota(struct doctor *doctor, struct warehouse *warehouse)
{
	struct warehouse_usage usage;
	struct error err = {0};
	const int rc = warehouse_usage(warehouse, "", &usage, &err);
	if (rc < 0) {
		if (rc != ERROR_NOT_FOUND)
			doctor_tell(doctor, "HDFS space", DOCTOR_WARN, NULL, "%s", err.message);
		return;
	}
	int64_t left = usage.free_bytes;
	if (usage.space_quota >= 0 && usage.space_bytes >= 0) {
		/* A quota may be set below what is used. */
		const int64_t of_quota =
			usage.space_quota > usage.space_bytes ? usage.space_quota - usage.space_bytes : 0;
		left = left < 0 || of_quota < left ? of_quota : left;
	}
	const bool little = left >= 0 && left / (int64_t)MIB < HDFS_FREE_WARN_MIB;
	char room[64] = "free space not told";
	if (left >= 0)
		snprintf(room, sizeof(room), "%" PRId64 " MiB left%s", left / (int64_t)MIB,
			 usage.space_quota >= 0 ? " of the quota or the disks" : "");
	doctor_tell(doctor, "HDFS space",
		    left == 0 ? DOCTOR_FAIL
		    : little  ? DOCTOR_WARN
			      : DOCTOR_OK,
		    little ? "remove what is not needed, add DataNodes, or `hdfs dfsadmin -setSpaceQuota`" : NULL,
		    "%" PRIu64 " files, %" PRIu64 " MiB; %s", usage.files, usage.bytes / MIB, room);
	if (usage.name_quota >= 0 && usage.name_quota - (int64_t)(usage.files + usage.dirs) < 1000)
		doctor_tell(doctor, "HDFS names", DOCTOR_WARN, "`hdfs dfsadmin -setQuota` with a larger number",
			    "%" PRIu64 " files and directories of a quota of %" PRId64, usage.files + usage.dirs,
			    usage.name_quota);
}

static void check_hdfs(struct doctor *doctor)
{
	const struct config_cluster *const cluster = &doctor->deployment->config->cluster;
	struct warehouse *warehouse = NULL;
	struct warehouse_health health = {0};
	struct error err = {0};
	_cleanup_free_ char *writer = text_printf("%s-doctor-%d", cluster->edge, (int)getpid());
	int rc = writer ? cluster_open_warehouse_to_look(doctor->deployment, writer, &warehouse, &err)
			: error_no_memory(&err, LIMIT_PATH_BYTES);
	if (rc == 0)
		rc = warehouse_ping(warehouse, true, &health, &err);
	if (rc < 0) {
		doctor_tell(doctor, "HDFS", DOCTOR_FAIL,
			    "docs/cluster.md, \"HDFS, by WebHDFS\", tells what its errors mean", "%s", err.message);
		warehouse_close(warehouse);
		return;
	}
	char nodes[48] = "";
	if (health.live_nodes >= 0)
		snprintf(nodes, sizeof(nodes), ", %d DataNode%s", health.live_nodes, health.live_nodes == 1 ? "" : "s");
	doctor_tell(doctor, "HDFS", health.live_nodes == 0 ? DOCTOR_FAIL : DOCTOR_OK,
		    health.live_nodes == 0 ? "start the DataNodes" : NULL, "%s answers in %" PRId64 " ms%s%s%s",
		    cluster->hdfs_url, health.took_us / 1000, health.version[0] ? ", " : "", health.version, nodes);
	if (health.safe_mode)
		doctor_tell(doctor, "HDFS writing", DOCTOR_FAIL,
			    "wait, or see `hdfs dfsadmin -safemode get`, `hdfs fsck /`",
			    "the NameNode is in safe mode: nothing can be written");
	else if (!health.can_write)
		doctor_tell(doctor, "HDFS writing", DOCTOR_FAIL,
			    "docs/cluster.md, \"HDFS, by WebHDFS\", tells what its errors mean", "%s", health.problem);
	else
		doctor_tell(doctor, "HDFS writing", DOCTOR_OK, NULL, "a file was put below %s, read and removed",
			    cluster->hdfs_path);
	if (health.has_clock)
		tell_clock(doctor, "HDFS clock", health.clock_ahead_ms);
	check_quota(doctor, warehouse);
	doctor_edge_marks(doctor, warehouse);
	doctor_edge_sources(doctor, warehouse);
	if (health.can_write) /* its directory for files that are being put: the next doctor has another one */
		(void)warehouse_clean(warehouse, NULL);
	warehouse_close(warehouse);
}

/* --- HBase ------------------------------------------------------------------------------------------------------------------ */

struct trial {
	struct slice column;
	struct slice value;
	bool found;
};

static int take_trial(void *context, const struct cells_row *row, struct error *err)
{
	struct trial *const trial = context;
	(void)err;
	for (size_t i = 0; i < row->n; i++)
		trial->found = trial->found || (slice_equal(row->cells[i].column, trial->column) &&
						slice_equal(row->cells[i].value, trial->value));
	return 0;
}

/* In the row that ends the table: who reads customers never sees it. */
static int try_cell(struct cells *cells, int64_t now_us, struct error *err)
{
	char bytes[CELLS_END_BYTES];
	struct trial trial = {.column = SLICE("p:doctor"), .value = SLICE("trial")};
	const struct cells_put put = {
		.key = {bytes, sizeof(bytes)}, .column = trial.column, .value = trial.value, .version = now_us / 1000};
	const struct cells_erase erase = {.key = put.key, .column = put.column, .version = put.version};
	memset(bytes, 0xff, sizeof(bytes));
	int rc = cells_put(cells, CLUSTER_ACCOUNTS, &put, 1, err);
	if (rc == 0)
		rc = cells_get(cells, CLUSTER_ACCOUNTS, &put.key, 1, take_trial, &trial, err);
	if (rc == 0)
		rc = cells_erase(cells, CLUSTER_ACCOUNTS, &erase, 1, err);
	if (rc == 0 && !trial.found)
		rc = error_set(err, ERROR_IO, "%s: a cell that was put is not there when it is read",
			       cells_name(cells));
	return rc;
}

/* One table with its families. Whether it is there, and can be read and written. */
static bool check_table(struct doctor *doctor, struct cells *cells, const char *table, const char *const *families)
{
	char name[32];
	snprintf(name, sizeof(name), "HBase %s", table);
	for (size_t i = 0; families[i]; i++) {
		struct cells_rights rights;
		struct error err = {0};
		if (cells_rights(cells, table, families[i], &rights, &err) < 0) {
			doctor_tell(doctor, name, DOCTOR_FAIL, NULL, "%s", err.message);
			return false;
		}
		if (!rights.exists) {
			doctor_tell(doctor, name, DOCTOR_WARN,
				    "make it with regions (docs/cluster-hbase.md); else the first `collect` makes it "
				    "with one, if it may",
				    "the table is not there yet");
			return false;
		}
		if (!rights.reads || !rights.writes) {
			doctor_tell(
				doctor, name, DOCTOR_FAIL,
				"add the family, or `grant` the user RWC, in the HBase shell (docs/cluster-hbase.md)",
				"family %s cannot be %s: %s", families[i], rights.reads ? "written" : "read",
				rights.denial);
			return false;
		}
	}
	doctor_tell(doctor, name, DOCTOR_OK, NULL, "the table is there with its families, and can be read and written");
	return true;
}

static void check_hbase_tables(struct doctor *doctor, struct cells *cells)
{
	static const char *const ACCOUNTS[] = {"p", "s", "e", NULL};
	static const char *const ORDERS[] = {"o", NULL};
	struct error err = {0};
	const bool there = check_table(doctor, cells, CLUSTER_ACCOUNTS, ACCOUNTS);
	check_table(doctor, cells, CLUSTER_ORDERS, ORDERS);
	if (!there)
		return;
	if (try_cell(cells, doctor->now_us, &err) < 0)
		doctor_tell(doctor, "HBase writing", DOCTOR_FAIL, "docs/cluster-hbase.md tells what its errors mean",
			    "%s", err.message);
	else
		doctor_tell(doctor, "HBase writing", DOCTOR_OK, NULL, "a cell was put, read and erased");
}

static void check_hbase(struct doctor *doctor)
{
	const struct config_cluster *const cluster = &doctor->deployment->config->cluster;
	const bool is_directory = cluster_directory_of(cluster->hbase_url) != NULL;
	struct cells *cells = NULL;
	struct cells_health health = {0};
	struct error err = {0};
	int rc = cluster_open_cells_to_read(doctor->deployment, &cells, &err);
	if (rc == ERROR_NOT_FOUND && is_directory) {
		doctor_tell(doctor, "HBase", DOCTOR_OK, NULL, "%s has nothing yet", cluster->hbase_url);
		doctor_edge_rows(doctor, NULL);
		return;
	}
	if (rc == 0)
		rc = cells_ping(cells, &health, &err);
	if (rc < 0) {
		doctor_tell(doctor, "HBase", DOCTOR_FAIL,
			    "does its REST gateway run (`hbase rest start -p 8080`), and is hbase: url its?", "%s",
			    err.message);
		cells_health_release(&health);
		cells_close(cells);
		return;
	}
	const bool no_servers = !is_directory && health.servers == 0;
	doctor_tell(doctor, "HBase",
		    no_servers    ? DOCTOR_FAIL
		    : health.dead ? DOCTOR_WARN
				  : DOCTOR_OK,
		    no_servers    ? "start the region servers"
		    : health.dead ? "start the region servers that died"
				  : NULL,
		    "%s answers in %" PRId64 " ms, %s, %u region server%s, %u dead, %" PRIu64 " regions",
		    cluster->hbase_url, health.answer_us / 1000, health.what, health.servers,
		    health.servers == 1 ? "" : "s", health.dead, health.regions);
	if (health.has_clock)
		tell_clock(doctor, "HBase clock", health.skew_ms);
	/* An LMDB that was opened to be read would refuse to try. */
	if (!is_directory)
		check_hbase_tables(doctor, cells);
	doctor_edge_rows(doctor, cells);
	cells_health_release(&health);
	cells_close(cells);
}

/* --- Spark ------------------------------------------------------------------------------------------------------------------ */

/* What a program prints, stdout and stderr, until it ends or the time is over. */
static int output_of(char *const *argv, struct buf *out, struct error *err)
{
	struct child child = CHILD_NONE;
	const int64_t end_us = clock_monotonic_us() + JAVA_LIMIT_MS * INT64_C(1000);
	int rc = child_start(argv, NULL, "/", &child, err);
	if (rc < 0)
		return rc;
	while (rc == 0 && (child.out_fd >= 0 || child.err_fd >= 0)) {
		struct pollfd fds[] = {{.fd = child.out_fd, .events = POLLIN}, {.fd = child.err_fd, .events = POLLIN}};
		const int64_t left_us = end_us - clock_monotonic_us();
		if (left_us <= 0)
			break;
		if (poll(fds, 2, (int)(left_us / 1000) + 1) < 0)
			continue; /* a signal */
		for (int i = 0; i < 2 && rc == 0; i++) {
			char bytes[1024];
			if (!fds[i].revents)
				continue;
			const ssize_t n = read(fds[i].fd, bytes, sizeof(bytes));
			if (n > 0) {
				rc = out->len < OUTPUT_BYTES ? buf_append(out, bytes, (size_t)n) : 0;
			} else if (n == 0 || errno != EINTR) {
				close(fds[i].fd);
				*(i == 0 ? &child.out_fd : &child.err_fd) = -1;
			}
		}
	}
	if (rc < 0)
		error_no_memory(err, out->len);
	const bool ended = child.out_fd < 0 && child.err_fd < 0;
	child_reap(&child);
	child_close(&child);
	if (rc < 0)
		return rc;
	if (!ended)
		return error_set(err, ERROR_AWAY, "%s did not end within %d s", argv[0], JAVA_LIMIT_MS / 1000);
	return buf_text(out) ? 0 : error_no_memory(err, out->len);
}

/* 'openjdk version "17.0.9" …': 17; "1.8.0": 8; 0: it is no such text. */
static int java_major(const char *text)
{
	const char *const at = strstr(text, "version \"");
	if (!at)
		return 0;
	int major = (int)strtol(at + 9, NULL, 10);
	const char *const dot = strchr(at + 9, '.');
	if (major == 1 && dot)
		major = (int)strtol(dot + 1, NULL, 10);
	return major;
}

static void check_java(struct doctor *doctor)
{
	const char *const home = getenv("JAVA_HOME");
	_cleanup_free_ char *java = home && *home ? text_printf("%s/bin/java", home) : text_printf("java");
	_cleanup_buf_ struct buf text = {0};
	struct error err = {0};
	char version[] = "-version";
	if (!java)
		return;
	char *const argv[] = {java, version, NULL};
	const int rc = output_of(argv, &text, &err);
	const int major = rc == 0 && text.data ? java_major(text.data) : 0;
	if (rc < 0 || major == 0)
		doctor_tell(doctor, "Java", DOCTOR_FAIL,
			    "install Java 17 or newer, or set JAVA_HOME: Spark needs it on this machine", "%s: %s",
			    java, rc < 0 ? err.message : "does not tell its version");
	else
		doctor_tell(doctor, "Java", major < JAVA_FIRST ? DOCTOR_WARN : DOCTOR_OK,
			    major < JAVA_FIRST ? "Spark 4 needs Java 17 or newer" : NULL, "%.*s",
			    (int)strcspn(text.data, "\r\n"), text.data);
}

/* The program by a path, or in PATH; NULL: there is none. The caller frees it. */
static char *find_program(const char *name)
{
	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? realpath(name, NULL) : NULL;
	const char *path = getenv("PATH");
	while (path && *path) {
		const size_t len = strcspn(path, ":");
		_cleanup_free_ char *candidate = text_printf("%.*s/%s", (int)len, path, name);
		if (candidate && access(candidate, X_OK) == 0)
			return realpath(candidate, NULL);
		path += len + (path[len] == ':');
	}
	return NULL;
}

/* Of the name of its own library: ../jars/spark-core_2.13-4.0.0.jar. "" when it is not there. */
static void spark_version(const char *program, char *out, size_t size)
{
	static const char LIBRARY[] = "spark-core_";
	const char *const slash = strrchr(program, '/');
	_cleanup_free_ char *jars = text_printf("%.*s/../jars", (int)(slash - program), program);
	DIR *const dir = jars ? opendir(jars) : NULL;
	const struct dirent *entry;
	out[0] = '\0';
	while (dir && (entry = readdir(dir))) {
		const char *const dash = strrchr(entry->d_name, '-');
		if (strncmp(entry->d_name, LIBRARY, strlen(LIBRARY)) == 0 && dash)
			snprintf(out, size, ", Spark %.*s", (int)strcspn(dash + 1, "j") - 1, dash + 1);
	}
	if (dir)
		closedir(dir);
}

static void check_spark(struct doctor *doctor)
{
	const struct config_cluster *const cluster = &doctor->deployment->config->cluster;
	const char *const command = cluster->spark_command.items[0];
	_cleanup_free_ char *program = find_program(command);
	_cleanup_free_ char *fold = NULL;
	struct error err = {0};
	char version[64];
	if (!program) {
		doctor_tell(doctor, "Spark", DOCTOR_FAIL,
			    "install Spark, or name its spark-sql in cluster: spark: command", "there is no program %s",
			    command);
	} else {
		spark_version(program, version, sizeof(version));
		doctor_tell(doctor, "Spark", DOCTOR_OK, NULL, "%s%s, master %s", program, version,
			    cluster->spark_master);
		check_java(doctor);
	}
	if (!cluster->spark_filesystem && !cluster_directory_of(cluster->hdfs_url))
		doctor_tell(
			doctor, "Spark filesystem", DOCTOR_FAIL,
			"`hdfs getconf -confKey fs.defaultFS` prints it; without it load, refresh, rebuild, sql and "
			"audit are refused",
			"cluster: spark: filesystem is missing: HDFS by the name that Spark knows, such as "
			"hdfs://namenode:8020");
	if (cluster_find_fold(&fold, &err) < 0)
		doctor_tell(doctor, "punchcard-fold", DOCTOR_FAIL, NULL, "%s", err.message);
	else
		doctor_tell(doctor, "punchcard-fold", DOCTOR_OK, NULL, "%s", fold);
}

void doctor_cluster(struct doctor *doctor)
{
	check_hdfs(doctor);
	check_hbase(doctor);
	check_spark(doctor);
}
