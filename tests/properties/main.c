/*
 * Properties of the loyalty kernel, on random programmes and histories.
 *
 *     properties [--seconds N] [--count N] [--seed N] [--as-found]
 *                                              as many histories as fit, or so many (60 s, seed 1)
 *     properties --history SEED                one, as a failure names it
 *     properties --self-test                   finds a property that is wrong, and how small its case becomes
 *
 * A worker checks; when a property fails, or the worker dies (an assert, a sanitizer, more than TRY_SECONDS for one history),
 * the history is made smaller as long as it fails alike (not with --as-found), and printed: seed, programme, events. Exit code 1
 * then.
 */
#include "plan.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRY_SECONDS 20u
#define TRIES_MAX   20000u

/* Between the worker and who waits for it. */
struct progress {
	uint64_t seed; /* of the history that is checked */
	uint64_t n;    /* that were good */
	char broken[100];
	char why[200];
};

static struct progress *progress;

static double seconds_since(const struct timespec *start)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* True when all properties hold; else they are noted. */
static bool check(const struct plan *plan, uint64_t seed)
{
	const char *why;
	alarm(TRY_SECONDS);
	const char *const broken = properties_check(plan, seed, &why);
	if (!broken)
		return true;
	snprintf(progress->broken, sizeof(progress->broken), "%s", broken);
	snprintf(progress->why, sizeof(progress->why), "%s", why);
	return false;
}

/* Checks histories until the time is over, or so many; ends the process. */
static _Noreturn void work(uint64_t seed, double seconds, uint64_t count)
{
	static struct plan plan;
	struct timespec start;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (uint64_t i = 0; i < count; i++) {
		progress->seed = random_mix(seed + i);
		plan_draw(&plan, progress->seed);
		if (!check(&plan, progress->seed))
			_exit(1);
		progress->n++;
		if (progress->n % 64 == 0 && seconds_since(&start) >= seconds)
			_exit(0);
	}
	_exit(0);
}

/* Waits for a child; true when it ended well. How it died is noted. */
static bool wait_for(pid_t child)
{
	int status;
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror("properties");
		exit(2);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 1) {
		snprintf(progress->broken, sizeof(progress->broken), "it ends at all");
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
			snprintf(progress->why, sizeof(progress->why), "more than %u s", TRY_SECONDS);
		else if (WIFSIGNALED(status))
			snprintf(progress->why, sizeof(progress->why), "%s", strsignal(WTERMSIG(status)));
		else
			snprintf(progress->why, sizeof(progress->why), "exit code %d", WEXITSTATUS(status));
	}
	return false;
}

/* Whether the plan still breaks what was broken before. */
static bool fails_alike(const struct plan *plan, uint64_t seed, const char *broken)
{
	fflush(stdout);
	const pid_t child = fork();
	if (child == 0) {
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(0);
		_exit(check(plan, seed) ? 0 : 1);
	}
	return !wait_for(child) && strcmp(progress->broken, broken) == 0;
}

/* Takes a smaller plan when it fails alike. */
static bool try_smaller(struct plan *plan, const struct plan *smaller, uint64_t seed, const char *broken,
			unsigned *n_tries)
{
	if (*n_tries == TRIES_MAX)
		return false;
	++*n_tries;
	if (!fails_alike(smaller, seed, broken))
		return false;
	*plan = *smaller;
	return true;
}

static bool drop_events(struct plan *plan, uint64_t seed, const char *broken, unsigned *n_tries)
{
	static struct plan smaller;
	bool any = false;
	for (unsigned n = plan->n_events; n > 0; n /= 2)
		for (unsigned first = plan->n_events; first-- > 0;) {
			if (first + n > plan->n_events || n == plan->n_events)
				continue;
			smaller = *plan;
			plan_drop_events(&smaller, first, n);
			any |= try_smaller(plan, &smaller, seed, broken, n_tries);
		}
	return any;
}

static bool simplify(struct plan *plan, uint64_t seed, const char *broken, unsigned *n_tries)
{
	static struct plan smaller;
	bool any = false;
	for (unsigned step = 0; step < plan_steps(); step++)
		for (unsigned place = plan_places(); place-- > 0;) {
			smaller = *plan;
			if (plan_simplify(&smaller, step, place))
				any |= try_smaller(plan, &smaller, seed, broken, n_tries);
		}
	return any;
}

/* Makes the history of a seed, which fails, as small as it goes; returns after how many tries. */
static unsigned shrink(struct plan *plan, uint64_t seed)
{
	char broken[sizeof(progress->broken)];
	char why[sizeof(progress->why)];
	unsigned n_tries = 0;
	memcpy(broken, progress->broken, sizeof(broken));
	memcpy(why, progress->why, sizeof(why));
	plan_draw(plan, seed);
	bool goes_on = true;
	while (goes_on) {
		goes_on = drop_events(plan, seed, broken, &n_tries);
		goes_on |= simplify(plan, seed, broken, &n_tries);
	}
	/* As it fails now. */
	if (!fails_alike(plan, seed, broken)) {
		memcpy(progress->broken, broken, sizeof(broken));
		memcpy(progress->why, why, sizeof(why));
	}
	return n_tries;
}

static void report(uint64_t seed, bool as_found)
{
	static struct plan plan;
	printf("FAILED behind %llu histories, by the seed %llu: %s (%s)\n", (unsigned long long)progress->n,
	       (unsigned long long)seed, progress->broken, progress->why);
	plan_draw(&plan, seed);
	if (!as_found) {
		printf("making it smaller …\n");
		fflush(stdout);
		const unsigned n_tries = shrink(&plan, seed);
		printf("\nseed %llu, as small as it goes (%u tries)\n  broken: %s\n  why: %s\n",
		       (unsigned long long)seed, n_tries, progress->broken, progress->why);
	}
	plan_print(&plan);
	printf("\nto see it fail: properties --history %llu\n", (unsigned long long)seed);
}

static int run(uint64_t seed, double seconds, uint64_t count, bool as_found)
{
	struct timespec start;
	clock_gettime(CLOCK_MONOTONIC, &start);
	const pid_t worker = fork();
	if (worker == 0)
		work(seed, seconds, count);
	if (!wait_for(worker)) {
		report(progress->seed, as_found);
		return 1;
	}
	printf("%llu histories, all properties hold; seed %llu, %.0f a second\n", (unsigned long long)progress->n,
	       (unsigned long long)seed, (double)progress->n / seconds_since(&start));
	return 0;
}

static int run_one(uint64_t seed)
{
	static struct plan plan;
	plan_draw(&plan, seed);
	plan_print(&plan);
	fflush(stdout);
	if (check(&plan, seed))
		return printf("all properties hold\n"), 0;
	printf("broken: %s\nwhy: %s\n", progress->broken, progress->why);
	return 1;
}

/* The smallest case is an order, a redemption, and a refund of the order. */
static int self_test(uint64_t seed)
{
	static struct plan plan;
	properties_with_a_wrong_one = true;
	const pid_t worker = fork();
	if (worker == 0)
		work(seed, TRY_SECONDS, UINT64_MAX);
	if (wait_for(worker) || !strstr(progress->broken, "which is wrong"))
		return fprintf(stderr, "self-test: a wrong property was not found out\n"), 1;
	const uint64_t found = progress->seed;
	plan_draw(&plan, found);
	const unsigned n_before = plan.n_events;
	const unsigned n_tries = shrink(&plan, found);
	printf("self-test: found behind %llu histories, of %u events %u are left (%u tries)\n",
	       (unsigned long long)progress->n, n_before, plan.n_events, n_tries);
	plan_print(&plan);
	if (plan.n_events > 4 || plan.n_ledgers > 2 || plan.n_promotions > 0 || plan.tiers.n_levels > 0)
		return fprintf(stderr, "self-test: the case could be smaller\n"), 1;
	return 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: properties [--seconds N] [--count N] [--seed N] [--as-found] | --history SEED | --self-test\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *const from_outside = getenv("PUNCHCARD_SEED");
	uint64_t seed = from_outside ? strtoull(from_outside, NULL, 0) : 1;
	double seconds = 60;
	uint64_t count = UINT64_MAX;
	const char *history = NULL;
	bool tests_itself = false;
	bool as_found = false;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--self-test") == 0)
			tests_itself = true;
		else if (strcmp(argv[i], "--as-found") == 0)
			as_found = true;
		else if (i + 1 == argc)
			return usage();
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = strtod(argv[++i], NULL);
		else if (strcmp(argv[i], "--count") == 0)
			count = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[++i], NULL, 0);
		else if (strcmp(argv[i], "--history") == 0)
			history = argv[++i];
		else
			return usage();
	}
	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return perror("properties"), 2;
	if (history)
		return run_one(strtoull(history, NULL, 0));
	return tests_itself ? self_test(seed) : run(seed, seconds, count, as_found);
}
