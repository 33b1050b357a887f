#include "speed/http_internal.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int http_queue_init(struct http_queue *queue, unsigned limit, struct error *err)
{
	pthread_condattr_t by_monotonic;
	*queue = (struct http_queue){.limit = limit};
	queue->last = &queue->first;
	pthread_mutex_init(&queue->mutex, NULL);
	pthread_condattr_init(&by_monotonic);
	pthread_condattr_setclock(&by_monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->none_left, &by_monotonic);
	pthread_condattr_destroy(&by_monotonic);
	queue->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return queue->wake_fd < 0 ? error_errno(err, errno, "cannot make an eventfd") : 0;
}

void http_queue_release(struct http_queue *queue)
{
	assert(!queue->first);
	if (queue->wake_fd >= 0)
		close(queue->wake_fd);
	pthread_cond_destroy(&queue->none_left);
	pthread_mutex_destroy(&queue->mutex);
}

enum http_closed http_queue_look(struct http_queue *queue, bool *full)
{
	pthread_mutex_lock(&queue->mutex);
	const enum http_closed closed = queue->closed;
	*full = queue->n >= queue->limit;
	pthread_mutex_unlock(&queue->mutex);
	return closed;
}

bool http_queue_push(struct http_queue *queue, struct http_request *request)
{
	const uint64_t one = 1;
	pthread_mutex_lock(&queue->mutex);
	const bool taken = queue->closed == HTTP_OPEN && queue->n < queue->limit;
	if (taken) {
		/* Before anybody can take and answer it. */
		MHD_suspend_connection(request->handle);
		request->state = HTTP_WAITING;
		request->next = NULL;
		*queue->last = request;
		queue->last = &request->next;
		queue->n++;
	}
	pthread_mutex_unlock(&queue->mutex);
	if (taken && write(queue->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort(); /* an eventfd of our own; one that is full wakes, too */
	return taken;
}

struct http_request *http_queue_take(struct http_queue *queue)
{
	uint64_t count;
	const ssize_t n = read(queue->wake_fd, &count, sizeof(count));
	(void)n; /* nothing to read is fine */
	pthread_mutex_lock(&queue->mutex);
	struct http_request *const list = queue->first;
	queue->first = NULL;
	queue->last = &queue->first;
	queue->n = 0;
	pthread_mutex_unlock(&queue->mutex);
	return list;
}

void http_queue_close(struct http_queue *queue, enum http_closed why)
{
	pthread_mutex_lock(&queue->mutex);
	queue->closed = why;
	pthread_mutex_unlock(&queue->mutex);
}

void http_queue_answer(struct http_queue *queue, struct http_request *request)
{
	struct MHD_Connection *const handle = request->handle;
	pthread_mutex_lock(&queue->mutex);
	request->state = HTTP_ANSWERED;
	queue->answering++;
	pthread_mutex_unlock(&queue->mutex);
	MHD_resume_connection(handle);
}

enum http_state http_queue_state(struct http_queue *queue, const struct http_request *request)
{
	pthread_mutex_lock(&queue->mutex);
	const enum http_state state = request->state;
	pthread_mutex_unlock(&queue->mutex);
	return state;
}

void http_queue_sent(struct http_queue *queue, struct http_request *request)
{
	pthread_mutex_lock(&queue->mutex);
	if (request->state == HTTP_ANSWERED && --queue->answering == 0)
		pthread_cond_broadcast(&queue->none_left);
	pthread_mutex_unlock(&queue->mutex);
}

void http_queue_wait_sent(struct http_queue *queue, int64_t timeout_us)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	const int64_t ns = until.tv_nsec + timeout_us % HTTP_MICROS * 1000;
	until.tv_sec += timeout_us / HTTP_MICROS + ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	int rc = 0;
	pthread_mutex_lock(&queue->mutex);
	while (queue->answering && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&queue->none_left, &queue->mutex, &until);
	pthread_mutex_unlock(&queue->mutex);
}
