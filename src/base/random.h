/*
 * Randomness that can be repeated: the same seed gives the same numbers on every machine and with every compiler. Integers
 * only. Not for secrets.
 *
 *     struct random random;
 *     random_init(&random, 42);
 *     const uint64_t any = random_next(&random);
 *     const uint64_t die = random_below(&random, 6) + 1;
 *
 * The generator is xoshiro256** 1.0 (D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", 2018,
 * https://prng.di.unimi.it/), its state filled by splitmix64 from the seed. Drawing from weighted choices is A. J. Walker's
 * alias method, built as by M. D. Vose (1991), in integers.
 *
 * Not tied to a thread; one struct random belongs to one thread at a time. A struct alias is immutable: any number of
 * threads may draw from it, each with its own generator.
 */
#ifndef PUNCHCARD_BASE_RANDOM_H
#define PUNCHCARD_BASE_RANDOM_H

#include "base/error.h"

#include <stdint.h>

struct random {
	uint64_t state[4];
};

/* Starts the sequence of `seed`; any seed is fine, 0 too. */
void random_init(struct random *random, uint64_t seed);

static inline uint64_t random_rotate(uint64_t value, unsigned bits)
{
	return (value << bits) | (value >> (64 - bits));
}

/* The next 64 bits, all equally random. */
static inline uint64_t random_next(struct random *random)
{
	uint64_t *const s = random->state;
	const uint64_t result = random_rotate(s[1] * 5, 7) * 9;
	const uint64_t shifted = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = random_rotate(s[3], 45);
	return result;
}

/* Evenly from 0 to bound - 1, without bias; bound > 0. May draw more than once. */
uint64_t random_below(struct random *random, uint64_t bound);

/* One value mixed into 64 bits (splitmix64): a hash with which a seed and a number give a seed. */
uint64_t random_mix(uint64_t value);

/* The most choices an alias table takes, and the greatest weight of one: so that weight × choices stays below 2^63. */
#define ALIAS_CHOICES_MAX (UINT32_C(1) << 27)
#define ALIAS_WEIGHT_MAX  (UINT64_C(1) << 36)

struct alias_slot {
	uint32_t threshold; /* the slot's own choice when the low 32 bits of a draw are below, … */
	uint32_t other;     /* … else this one */
};

struct alias {
	struct alias_slot *slots;
	uint32_t n;
};

/* Builds a table that draws i with the chance weights[i] / Σ weights, off by at most 2^-32. n from 1 to ALIAS_CHOICES_MAX,
 * weights up to ALIAS_WEIGHT_MAX, not all zero. Takes 8 bytes a choice, and while it builds 12 more. ERROR_NO_MEMORY; the
 * caller releases. */
int alias_init(struct alias *alias, const uint64_t *weights, uint32_t n, struct error *err);
/* NULL and an all-zero table are fine. */
void alias_release(struct alias *alias);

/* A choice by 64 random bits. */
static inline uint32_t alias_pick(const struct alias *alias, uint64_t bits)
{
	const uint32_t at = (uint32_t)(((bits >> 32) * alias->n) >> 32);
	const struct alias_slot slot = alias->slots[at];
	return (uint32_t)bits < slot.threshold ? at : slot.other;
}

#endif
