/*
 * The source "exec": what a program prints.
 *
 * The program leads a process group of its own, so that what it has started can be stopped with it; when this process is killed, so
 * is the group. It is started again when it ends. What it wrote is taken whatever happens: it waits in the pipe, in the window, or,
 * when this process dies, is written to nobody.
 */
#include "speed/metrics.h"
#include "speed/piped.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a program has to end when it is told to. */
#define END_MS 5000
/* Who ran so long has not failed at once: the pauses begin anew. */
#define RAN_WELL_MS INT64_C(60000)
#define DOUBLINGS   6u
/* The end of a program is looked for so often where the system does not tell of it. */
#define LOOK_MS 20
/* From closing its output to its end. */
#define GO_MS          200
#define SAID_BYTES     1000u
#define ERR_READ_BYTES 4096u

struct exec {
	struct piped piped;
	struct child child;
	int epoll_fd;       /* readable when one of its pipes is */
	unsigned failures;  /* in a row */
	int64_t started_ms; /* by the monotonic clock, as below */
	int64_t again_ms;
	struct buf said; /* to stderr, a line without its end yet */
};

static int64_t now_ms(void)
{
	return clock_monotonic_us() / 1000;
}

static const char *name_of(const struct exec *exec)
{
	return exec->piped.source->config->name;
}

static int open_state(struct source *source, struct error *err)
{
	struct exec *const exec = calloc(1, sizeof(*exec));
	if (!exec)
		return error_no_memory(err, sizeof(*exec));
	exec->child = (struct child)CHILD_NONE;
	exec->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int rc = exec->epoll_fd < 0
			 ? error_errno(err, errno, "source %s: cannot wait for a program", source->config->name)
			 : piped_open(source, &exec->piped, err);
	if (rc < 0) {
		cleanup_close(&exec->epoll_fd);
		free(exec);
		return rc;
	}
	source->state = exec;
	if (strcmp(source->config->format, "classic") == 0)
		LOG_WARNING("lines without ids: what the program prints again when it is started again counts again",
			    log_text("source", source->config->name));
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_state(struct source *source)
{
	struct exec *const exec = source->state;
	if (!exec)
		return;
	if (exec->child.pid)
		child_reap(&exec->child);
	child_close(&exec->child);
	close_fd(&exec->epoll_fd);
	piped_close(&exec->piped);
	buf_release(&exec->said);
	free(exec);
	source->state = NULL;
}

/* Starting. */

/* Says when it is started again. */
static void back_off(struct exec *exec)
{
	const unsigned doublings = exec->failures < DOUBLINGS ? exec->failures : DOUBLINGS;
	exec->failures++;
	exec->again_ms = now_ms() + ((int64_t)exec->piped.source->config->restart_s * 1000 << doublings);
	metrics_source_state(exec->piped.source->metrics, METRICS_BACKING_OFF);
}

static int try_to_start(struct exec *exec, struct error *err)
{
	const struct config_strings *const command = &exec->piped.source->config->command;
	char **const argv = calloc(command->count + 1, sizeof(char *));
	if (!argv)
		return error_no_memory(err, command->count * sizeof(char *));
	memcpy(argv, command->items, command->count * sizeof(char *));
	/* The source's thread starts it, which goes on until close_state: what it is bound to is this process. */
	const int rc = child_start_bound(argv, NULL, exec->piped.source->deployment->dir, &exec->child, err);
	free(argv);
	if (rc < 0)
		return rc;
	fcntl(exec->child.err_fd, F_SETFL, O_NONBLOCK);
	struct epoll_event event = {.events = EPOLLIN};
	if (epoll_ctl(exec->epoll_fd, EPOLL_CTL_ADD, exec->child.out_fd, &event) == 0 &&
	    epoll_ctl(exec->epoll_fd, EPOLL_CTL_ADD, exec->child.err_fd, &event) == 0)
		return 0;
	const int waiting = error_errno(err, errno, "cannot wait for a program");
	child_reap(&exec->child);
	return waiting;
}

/* A program that cannot be started is no error of the source: perhaps it can be later. */
static int start(struct exec *exec, struct error *err)
{
	int rc = piped_start(&exec->piped, "exec", err);
	if (rc < 0)
		return rc;
	struct error fault = {0};
	buf_clear(&exec->said);
	rc = try_to_start(exec, &fault);
	if (rc < 0) {
		close_fd(&exec->child.out_fd);
		close_fd(&exec->child.err_fd);
		exec->piped.ended = true;
		LOG_ERROR("a program cannot be started; it is tried again", log_text("source", name_of(exec)),
			  log_error(&fault));
		metrics_source_error(exec->piped.source->metrics, fault.message, clock_now_us());
		back_off(exec);
		return 0;
	}
	exec->started_ms = now_ms();
	metrics_source_state(exec->piped.source->metrics, METRICS_RUNNING);
	LOG_INFO("started a program", log_text("source", name_of(exec)), log_int("pid", exec->child.pid));
	return 0;
}

/* What it says to stderr. */

static void say_line(const struct exec *exec, struct slice line)
{
	if (slice_trim(line).len)
		LOG_WARNING("the program says", log_text("source", name_of(exec)), log_slice("text", line));
}

static void say(struct exec *exec, struct slice text)
{
	while (text.len) {
		const char *const lf = memchr(text.data, '\n', text.len);
		const size_t len = lf ? (size_t)(lf - text.data) : text.len;
		const size_t room = SAID_BYTES > exec->said.len ? SAID_BYTES - exec->said.len : 0;
		(void)buf_append(&exec->said, text.data, len < room ? len : room); /* or less is said */
		if (lf) {
			say_line(exec, (struct slice){exec->said.data, exec->said.len});
			buf_clear(&exec->said);
		}
		text.data += len + (lf != NULL);
		text.len -= len + (lf != NULL);
	}
}

static void read_err(struct exec *exec)
{
	char bytes[ERR_READ_BYTES];
	if (exec->child.err_fd < 0)
		return;
	const ssize_t n = read(exec->child.err_fd, bytes, sizeof(bytes));
	if (n > 0)
		say(exec, (struct slice){bytes, (size_t)n});
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(&exec->child.err_fd); /* and no longer waited for */
}

static bool has_bytes(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

/* Ending. */

static void tell_end(struct exec *exec, const siginfo_t *info, bool wanted)
{
	const int64_t ran_us = (now_ms() - exec->started_ms) * 1000;
	const bool well = info->si_code == CLD_EXITED && info->si_status == 0;
	if (well || wanted) {
		LOG_INFO("a program has ended", log_text("source", name_of(exec)), log_us("ran", ran_us),
			 log_int(info->si_code == CLD_EXITED ? "status" : "signal", info->si_status));
		return;
	}
	struct error fault = {0};
	error_set(&fault, ERROR_IO, "the program %s %d",
		  info->si_code == CLD_EXITED ? "ended with status" : "was killed by signal", info->si_status);
	LOG_WARNING("a program has ended", log_text("source", name_of(exec)), log_us("ran", ran_us), log_error(&fault));
	metrics_source_error(exec->piped.source->metrics, fault.message, clock_now_us());
}

/* Reads what was written until nobody can write any more, or for so long. Not ended by the source's stop. */
static int drain(struct exec *exec, int64_t until_ms, struct error *err)
{
	siginfo_t info;
	int rc = 0;
	while (rc == 0) {
		const int64_t left_ms = until_ms - now_ms();
		struct pollfd fds[] = {{.fd = exec->piped.ended ? -1 : exec->child.out_fd, .events = POLLIN},
				       {.fd = exec->child.err_fd, .events = POLLIN}};
		const bool ready = poll(fds, 2, left_ms <= 0 ? 0 : left_ms < LOOK_MS ? (int)left_ms : LOOK_MS) > 0;
		if (fds[1].revents)
			read_err(exec);
		if (fds[0].revents)
			rc = piped_read(&exec->piped, exec->child.out_fd, err);
		if (rc == 0 && !exec->piped.stream.idle)
			rc = piped_take(&exec->piped, LINES_OPEN, false, err);
		/* Who has left the group, and goes on writing, is not waited for. */
		if ((exec->piped.ended && child_has_ended(&exec->child, &info)) ||
		    (left_ms <= 0 && (!ready || left_ms < -END_MS)))
			return rc;
	}
	return rc;
}

/* Ends the program and what it has started, takes what was written, and reaps. wanted: the source stops. */
static int end(struct exec *exec, bool wanted, struct error *err)
{
	siginfo_t info;
	const bool by_itself = child_has_ended(&exec->child, &info);
	int rc = 0;
	if (!exec->piped.ended || !by_itself) {
		kill(-exec->child.pid, SIGTERM);
		rc = drain(exec, now_ms() + END_MS, err);
	}
	if (rc == 0 && (!exec->piped.ended || !child_has_ended(&exec->child, &info))) {
		LOG_WARNING("a program does not end, and is killed", log_text("source", name_of(exec)));
		kill(-exec->child.pid, SIGKILL);
		rc = drain(exec, now_ms() + GO_MS, err);
	}
	if (rc < 0)
		return rc;
	/* A line that was being written when the program was killed is not the line that was meant. */
	if (!child_has_ended(&exec->child, &info))
		while (waitid(P_PID, (id_t)exec->child.pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
			;
	const bool whole = info.si_code == CLD_EXITED;
	rc = piped_take(&exec->piped, whole ? LINES_ENDED : LINES_SETTLED, !wanted, err);
	if (rc < 0)
		return rc;
	piped_give_up(&exec->piped);
	child_reap(&exec->child); /* and who closed the pipe, and is still there */
	while (has_bytes(exec->child.err_fd))
		read_err(exec);
	say(exec, SLICE("\n"));
	tell_end(exec, &info, wanted || !by_itself);
	child_close(&exec->child);
	return 0;
}

/* Running. */

static int take_turn(struct exec *exec, struct error *err)
{
	struct piped *const piped = &exec->piped;
	siginfo_t info;
	/* What an earlier run could not make durable first. */
	int rc = piped->stream.idle ? 0 : piped_take(piped, LINES_OPEN, true, err);
	const int settle_ms = piped_settle_ms(piped);
	if (rc == 0 && settle_ms == 0)
		return piped_take(piped, LINES_SETTLED, true, err);
	if (rc == 0) {
		/* Its end is seen at once by that of its pipes; if others hold these, a little later. */
		const int timeout_ms = settle_ms > 0 && settle_ms < 1000 ? settle_ms : 1000;
		source_wait(piped->source, exec->epoll_fd, timeout_ms, POLLIN);
		read_err(exec);
		if (has_bytes(exec->child.out_fd))
			rc = piped_read(piped, exec->child.out_fd, err);
	}
	if (rc < 0 || source_must_stop(piped->source) || !(piped->ended || child_has_ended(&exec->child, &info)))
		return rc;
	/* It may need a moment from closing its output to its end. */
	for (int waited_ms = 0; waited_ms < GO_MS && !child_has_ended(&exec->child, &info); waited_ms += 10)
		source_wait(piped->source, -1, 10, 0);
	const bool well = now_ms() - exec->started_ms >= RAN_WELL_MS;
	rc = end(exec, false, err);
	if (rc < 0)
		return rc;
	if (well)
		exec->failures = 0;
	metrics_source_add(piped->source->metrics, METRICS_SOURCE_RESTARTS, 1);
	back_off(exec);
	return 0;
}

static int run(struct source *source, struct error *err)
{
	struct exec *const exec = source->state;
	int rc = 0;
	while (rc == 0 && !source_must_stop(source)) {
		const int64_t left_ms = exec->again_ms - now_ms();
		if (exec->child.pid)
			rc = take_turn(exec, err);
		else if (left_ms <= 0)
			rc = start(exec, err);
		else
			source_wait(source, -1, left_ms < INT32_MAX ? (int)left_ms : INT32_MAX, 0);
	}
	if (rc == ERROR_INTERRUPTED && source_must_stop(source))
		rc = 0;
	return rc == 0 && exec->child.pid ? end(exec, true, err) : rc;
}

const struct source_driver source_exec = {.open = open_state, .run = run, .close = close_state, .keeps_lines = true};
