/* One run of Spark: its files, its process, and what it says meanwhile. */
#include "engine/spark_internal.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long it has to end when it is asked to: it removes what it has staged. */
#define END_MS INT64_C(15000)
/* How often the caller is asked, and a program's end is looked for. */
#define TURN_MS    200
#define READ_BYTES ((size_t)64 * 1024)
/* Of what it says to stderr, the end is kept: stack traces are long. */
#define SAID_BYTES_MAX  ((size_t)1024 * 1024)
#define ROW_BYTES_MAX   ((size_t)64 * 1024 * 1024)
#define HADOOP_USER     "HADOOP_USER_NAME="
#define EXIT_NO_PROGRAM 127

struct run {
	const struct spark_options *options;
	const struct spark_script *script;
	struct spark_files files;
	struct child child;
	struct buf out;  /* stdout behind the last whole line */
	struct buf line; /* stderr behind the last line */
	struct buf said;
	struct spark_progress progress;
	bool begun;       /* a statement has begun */
	bool ended;       /* the last one has ended */
	int64_t asked_ms; /* when it was asked to end; 0: it was not */
	bool killed;
	int rc; /* the first error of ours, with … */
	struct error error;
};

/* ---- its process ---- */

#define ARGUMENTS_MAX (SPARK_WORDS_MAX + 16u)

static char *join_files(const struct spark_options *options)
{
	_cleanup_buf_ struct buf text = {0};
	for (unsigned i = 0; i < options->n_files; i++)
		if (buf_printf(&text, "%s%s", i ? "," : "", options->files[i]) < 0)
			return NULL;
	return slice_dup((struct slice){text.data, text.len});
}

static unsigned fill_arguments(const struct run *run, const char *files, const char **argv)
{
	const struct spark_options *const options = run->options;
	unsigned n = 0;
	argv[n++] = options->command;
	for (unsigned i = 0; i < options->n_words; i++)
		argv[n++] = options->words[i];
	/* Without it a properties file takes the place of the operator's spark-defaults.conf, metastore and all. */
	argv[n++] = "--load-spark-defaults";
	argv[n++] = "--properties-file";
	argv[n++] = run->files.conf;
	if (options->master) {
		argv[n++] = "--master";
		argv[n++] = options->master;
	}
	if (options->queue) {
		argv[n++] = "--queue";
		argv[n++] = options->queue;
	}
	if (options->n_files) {
		argv[n++] = "--files";
		argv[n++] = files;
	}
	argv[n++] = "-f";
	argv[n++] = run->files.sql;
	argv[n] = NULL;
	return n;
}

/* Ours, without what says which language texts are in. *out is freed with free (its texts are not its own). `user`: a variable that takes
 * the place of ours, or NULL. */
static const char **make_environment(const char *user)
{
	static const char LOCALE[] = "LC_ALL=C.UTF-8"; /* under C, texts of a script lose what is not ASCII */
	size_t n = 0;
	while (environ[n])
		n++;
	const char **const out = calloc(n + 3, sizeof(*out));
	if (!out)
		return NULL;
	size_t to = 0;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "LC_", 3) != 0 && strncmp(environ[i], "LANG", 4) != 0 &&
		    !(user && strncmp(environ[i], HADOOP_USER, strlen(HADOOP_USER)) == 0))
			out[to++] = environ[i];
	out[to++] = LOCALE;
	out[to] = user;
	return out;
}

static int start(struct run *run, struct error *err)
{
	assert(run->files.dir); /* by spark_files_write */
	_cleanup_free_ char *files = join_files(run->options);
	_cleanup_free_ char *user =
		run->options->hadoop_user ? text_printf(HADOOP_USER "%s", run->options->hadoop_user) : NULL;
	const char **const environment = make_environment(user);
	const char *argv[ARGUMENTS_MAX];
	int rc = files && environment && (user || !run->options->hadoop_user) ? 0 : error_no_memory(err, ARGUMENTS_MAX);
	if (rc == 0) {
		fill_arguments(run, files, argv);
		/* What it leaves where it runs goes with the directory. When this process is killed, tables must not change any
		 * more: its scripts become Java themselves, so that the driver is who is killed, too. */
		rc = child_start_bound((char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment,
				       run->files.dir, &run->child, err);
	}
	free(environment);
	return rc < 0 ? error_prefix(err, "Spark, by cluster.spark.command in punchcard.yaml") : 0;
}

/* ---- what it says ---- */

static void fail(struct run *run, int rc, const struct error *error)
{
	if (run->rc == 0) {
		run->rc = rc;
		run->error = *error;
	}
}

static void keep_said(struct run *run, struct slice text)
{
	/* The older half goes. */
	if (run->said.len + text.len > SAID_BYTES_MAX) {
		const size_t half = run->said.len / 2;
		memmove(run->said.data, run->said.data + half, run->said.len - half);
		run->said.len -= half;
	}
	(void)buf_append(&run->said, text.data, text.len); /* or less is known */
}

/* Asks it to end when there is a reason, and makes it when it does not. */
static void look_after(struct run *run)
{
	struct error error = {0};
	if (run->rc == 0 && run->options->progress && !run->options->progress(run->options->context, &run->progress))
		fail(run, error_set(&error, ERROR_INTERRUPTED, "interrupted"), &error);
	if (run->rc == 0)
		return;
	if (!run->asked_ms) {
		run->asked_ms = clock_monotonic_us() / 1000;
		kill(-run->child.pid, SIGTERM);
	} else if (!run->killed && clock_monotonic_us() / 1000 - run->asked_ms > END_MS) {
		run->killed = true;
		kill(-run->child.pid, SIGKILL);
	}
}

/* What a JVM has to say about itself ("OpenJDK 64-Bit Server VM warning: …") goes to stdout, too, and is no row. */
static void take_row(struct run *run, struct slice line)
{
	static const struct slice MARK = {SPARK_MARK, sizeof(SPARK_MARK) - 1};
	const unsigned n = run->script->n;
	int64_t number;
	if (line.len > MARK.len && memcmp(line.data, MARK.data, MARK.len) == 0 &&
	    integer_parse(line.data + MARK.len, line.len - MARK.len, &number) == 0 && number >= 0 &&
	    number <= (int64_t)n) {
		run->ended = number == (int64_t)n;
		if (run->ended)
			return;
		run->begun = true;
		run->progress = (struct spark_progress){
			.statement = (unsigned)number, .statements = n, .what = run->script->statements[number].what};
		look_after(run); /* so that none is passed over, however short */
		return;
	}
	if (line.len < 2 || line.data[0] != '{' || line.data[line.len - 1] != '}') {
		keep_said(run, line);
		keep_said(run, SLICE("\n"));
		return;
	}
	struct error error = {0};
	if (run->rc == 0 && run->begun && run->script->statements[run->progress.statement].rows && run->options->row) {
		const int rc = run->options->row(run->options->context, run->progress.statement, line, &error);
		if (rc < 0)
			fail(run, rc, &error);
	}
}

/* "[Stage 3:=====>        (5 + 2) / 20]" */
static void take_stage(struct run *run, const char *text)
{
	unsigned stage;
	unsigned done;
	unsigned running;
	unsigned tasks;
	const char *const open = strchr(text, '(');
	if (open && sscanf(text, "[Stage %u:", &stage) == 1 &&
	    sscanf(open, "(%u + %u) / %u]", &done, &running, &tasks) == 3) {
		run->progress.stage = stage;
		run->progress.tasks_done = done;
		run->progress.tasks = tasks;
	}
}

/* A line of stderr; a bar of progress ends with a carriage return, or is cleared by blanks. */
static void take_said(struct run *run)
{
	const char *const text = buf_text(&run->line);
	const char *const stage = text ? strstr(text, "[Stage ") : NULL;
	if (stage)
		take_stage(run, stage);
	if (run->line.len && !stage) {
		keep_said(run, (struct slice){run->line.data, run->line.len});
		keep_said(run, SLICE("\n"));
	}
	buf_clear(&run->line);
}

static void take_err(struct run *run, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' || bytes[i] == '\r' || run->line.len > READ_BYTES)
			take_said(run);
		else
			(void)buf_append(&run->line, &bytes[i], 1);
	}
}

static void take_out(struct run *run)
{
	size_t at = 0;
	for (;;) {
		const char *const from = run->out.data + at;
		const char *const feed = run->out.len > at ? memchr(from, '\n', run->out.len - at) : NULL;
		if (!feed)
			break;
		take_row(run, (struct slice){from, (size_t)(feed - from)});
		at += (size_t)(feed - from) + 1;
	}
	if (at) {
		memmove(run->out.data, run->out.data + at, run->out.len - at);
		run->out.len -= at;
	}
	if (run->out.len > ROW_BYTES_MAX) {
		struct error error = {0};
		fail(run, error_set(&error, ERROR_LIMIT, "Spark printed a row of more than %zu bytes", ROW_BYTES_MAX),
		     &error);
		buf_clear(&run->out);
	}
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void read_out(struct run *run)
{
	struct error error = {0};
	if (buf_reserve(&run->out, READ_BYTES) < 0) {
		fail(run, error_no_memory(&error, run->out.len), &error);
		buf_clear(&run->out);
		return;
	}
	const ssize_t n = read(run->child.out_fd, run->out.data + run->out.len, READ_BYTES);
	if (n > 0) {
		run->out.len += (size_t)n;
		take_out(run);
	} else if (n == 0 || errno != EINTR) {
		close_fd(&run->child.out_fd);
	}
}

static void read_err(struct run *run)
{
	char bytes[4096];
	const ssize_t n = read(run->child.err_fd, bytes, sizeof(bytes));
	if (n > 0)
		take_err(run, bytes, (size_t)n);
	else if (n == 0 || errno != EINTR)
		close_fd(&run->child.err_fd);
}

/* ---- waiting ---- */

static int wait_for(struct run *run)
{
	int64_t next_ms = 0;
	siginfo_t how;
	bool ended = false;
	while (!ended || run->child.out_fd >= 0) {
		struct pollfd fds[] = {{.fd = run->child.out_fd, .events = POLLIN},
				       {.fd = run->child.err_fd, .events = POLLIN}};
		const int n = poll(fds, 2, ended ? 0 : TURN_MS);
		if (n > 0 && fds[0].revents)
			read_out(run);
		if (n > 0 && fds[1].revents)
			read_err(run);
		/* All that it had written is read: what a child of it may still write is nothing to us. */
		if (ended && n <= 0)
			break;
		if (clock_monotonic_us() / 1000 >= next_ms) {
			look_after(run);
			next_ms = clock_monotonic_us() / 1000 + TURN_MS;
		}
		ended = ended || child_has_ended(&run->child, &how);
	}
	while (run->child.err_fd >= 0) {
		struct pollfd fd = {.fd = run->child.err_fd, .events = POLLIN};
		if (poll(&fd, 1, 0) <= 0)
			break;
		read_err(run);
	}
	take_said(run);
	return child_reap(&run->child);
}

static void release(struct run *run)
{
	child_close(&run->child);
	spark_files_remove(&run->files);
	buf_release(&run->out);
	buf_release(&run->line);
	buf_release(&run->said);
}

static int run_script(struct run *run, struct error *err)
{
	int rc = spark_files_write(run->options, run->script, &run->files, err);
	if (rc == 0)
		rc = start(run, err);
	if (rc < 0)
		return rc;
	const int status = wait_for(run);
	if (run->rc < 0) {
		*err = run->error;
		return run->rc;
	}
	/* An end without the last mark is none, whatever the exit code says: rows may be missing. */
	if (status == 0 && run->ended)
		return 0;
	const struct spark_statement *const statement =
		run->begun ? &run->script->statements[run->progress.statement] : NULL;
	return spark_explain_failure(statement, (struct slice){run->said.data, run->said.len}, status, err);
}

int spark_run(const struct spark_options *options, const struct spark_script *script, struct error *err)
{
	assert(options->command && options->tmp_dir && options->n_words <= SPARK_WORDS_MAX);
	struct error error = {0};
	struct run run = {
		.options = options,
		.script = script,
		.child = CHILD_NONE,
		.progress = {.statements = script->n, .what = "starting Spark"},
	};
	const int rc = run_script(&run, &error);
	release(&run);
	if (rc < 0 && err)
		*err = error;
	return rc;
}
