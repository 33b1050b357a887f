#include "base/random.h"

#include <assert.h>
#include <stdlib.h>

#define GOLDEN_GAMMA UINT64_C(0x9e3779b97f4a7c15)

uint64_t random_mix(uint64_t value)
{
	uint64_t z = value + GOLDEN_GAMMA;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void random_init(struct random *random, uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++)
		random->state[i] = random_mix(seed + i * GOLDEN_GAMMA);
}

/* D. Lemire, "Fast random integer generation in an interval", 2019: multiply, and reject the few draws that would be
 * favoured. */
uint64_t random_below(struct random *random, uint64_t bound)
{
	assert(bound > 0);
	unsigned __int128 product = (unsigned __int128)random_next(random) * bound;
	if ((uint64_t)product < bound) {
		const uint64_t favoured = (0 - bound) % bound;
		while ((uint64_t)product < favoured)
			product = (unsigned __int128)random_next(random) * bound;
	}
	return (uint64_t)(product >> 64);
}

/* Chance of a slot's own choice, in units of 2^-32. `share` and `whole` are in the same unit. A slot that is full has the
 * greatest threshold and itself as the other, so the missing 2^-32 goes nowhere else. */
static uint32_t to_threshold(uint64_t share, uint64_t whole)
{
	const unsigned __int128 scaled = ((unsigned __int128)share << 32) / whole;
	return scaled > UINT32_MAX ? UINT32_MAX : (uint32_t)scaled;
}

/* Shares are in units where a slot's capacity is `total` (the sum of the weights): weight × n. `work` lists the choices
 * that have less than a slot from the front, and those that have more from the back. */
static void fill_slots(struct alias *alias, uint64_t *shares, uint32_t *work, uint64_t total)
{
	const uint32_t n = alias->n;
	uint32_t n_small = 0;
	uint32_t large_at = n;
	for (uint32_t i = n; i-- > 0;) {
		if (shares[i] < total)
			work[n_small++] = i;
		else
			work[--large_at] = i;
	}
	while (n_small > 0 && large_at < n) {
		const uint32_t small = work[--n_small];
		const uint32_t large = work[large_at];
		alias->slots[small] = (struct alias_slot){to_threshold(shares[small], total), large};
		shares[large] -= total - shares[small];
		if (shares[large] < total) {
			large_at++;
			work[n_small++] = large;
		}
	}
	/* Exact integers: what is left fills its slots to the brim. */
	while (n_small > 0) {
		const uint32_t i = work[--n_small];
		alias->slots[i] = (struct alias_slot){UINT32_MAX, i};
	}
	for (; large_at < n; large_at++)
		alias->slots[work[large_at]] = (struct alias_slot){UINT32_MAX, work[large_at]};
}

int alias_init(struct alias *alias, const uint64_t *weights, uint32_t n, struct error *err)
{
	assert(n > 0 && n <= ALIAS_CHOICES_MAX);
	uint64_t *const shares = malloc(n * sizeof(*shares));
	uint32_t *const work = malloc(n * sizeof(*work));
	struct alias_slot *const slots = malloc(n * sizeof(*slots));
	if (!shares || !work || !slots) {
		free(shares);
		free(work);
		free(slots);
		return error_no_memory(err, n * sizeof(*shares));
	}
	uint64_t total = 0;
	for (uint32_t i = 0; i < n; i++) {
		assert(weights[i] <= ALIAS_WEIGHT_MAX);
		total += weights[i];
		shares[i] = weights[i] * n;
	}
	assert(total > 0);
	*alias = (struct alias){slots, n};
	fill_slots(alias, shares, work, total);
	free(shares);
	free(work);
	return 0;
}

void alias_release(struct alias *alias)
{
	if (!alias)
		return;
	free(alias->slots);
	*alias = (struct alias){NULL, 0};
}
