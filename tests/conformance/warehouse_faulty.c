#include "warehouse_faulty.h"

#include "base/random.h"

#include <assert.h>
#include <stdlib.h>

enum fault { FAULT_NONE, FAULT_BEFORE, FAULT_HALF, FAULT_AFTER };

struct faulty {
	struct warehouse base;
	struct warehouse *inner;
	struct random random;
	unsigned one_in;
};

static struct faulty *faulty_of(struct warehouse *warehouse)
{
	return (struct faulty *)warehouse;
}

static enum fault draw(struct warehouse *warehouse)
{
	struct faulty *const faulty = faulty_of(warehouse);
	if (random_below(&faulty->random, faulty->one_in) != 0)
		return FAULT_NONE;
	return FAULT_BEFORE + (enum fault)random_below(&faulty->random, 3);
}

static int away(struct error *err, const char *when)
{
	return error_set(err, ERROR_AWAY, "injected: the server went away %s", when);
}

/* What comes of an operation whose half is nothing. */
static int come_of(enum fault fault, int rc, struct error *err)
{
	return fault == FAULT_AFTER ? away(err, "behind the work") : rc;
}

/* Lets a part of the entries or bytes through. */
struct passing {
	warehouse_entry_fn *take;
	warehouse_write_fn *write;
	warehouse_read_fn *read;
	void *context;
	uint64_t left;
};

static int pass_entry(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	struct passing *const passing = context;
	return passing->left-- ? passing->take(passing->context, name, stat, err) : away(err, "in the middle");
}

static int faulty_list(struct warehouse *warehouse, const char *path, warehouse_entry_fn *take, void *context,
		       struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	const enum fault fault = draw(warehouse);
	struct passing passing = {.take = take, .context = context, .left = random_below(&faulty->random, 4)};
	if (fault == FAULT_BEFORE)
		return away(err, "at once");
	if (fault == FAULT_HALF)
		return faulty->inner->driver->list(faulty->inner, path, pass_entry, &passing, err);
	return come_of(fault, faulty->inner->driver->list(faulty->inner, path, take, context, err), err);
}

static int faulty_stat(struct warehouse *warehouse, const char *path, struct warehouse_stat *stat, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	if (draw(warehouse) != FAULT_NONE)
		return away(err, "at once");
	return faulty->inner->driver->stat(faulty->inner, path, stat, err);
}

static int faulty_make_dir(struct warehouse *warehouse, const char *path, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	const enum fault fault = draw(warehouse);
	_cleanup_free_ char *half = slice_dup((struct slice){path, warehouse_parent_len(path)});
	assert(half);
	if (fault == FAULT_BEFORE)
		return away(err, "at once");
	if (fault == FAULT_HALF) {
		const int rc = faulty->inner->driver->make_dir(faulty->inner, half, err);
		return rc < 0 ? rc : away(err, "in the middle");
	}
	return come_of(fault, faulty->inner->driver->make_dir(faulty->inner, path, err), err);
}

static int64_t pass_read(void *context, uint64_t offset, void *out, size_t size, struct error *err)
{
	const struct passing *const passing = context;
	if (offset >= passing->left)
		return away(err, "in the middle");
	if (size > passing->left - offset)
		size = (size_t)(passing->left - offset);
	return passing->read(passing->context, offset, out, size, err);
}

static int faulty_put(struct warehouse *warehouse, const char *path, warehouse_read_fn *read, void *context,
		      uint64_t size, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	const enum fault fault = draw(warehouse);
	struct passing passing = {.read = read, .context = context, .left = size / 2};
	if (fault == FAULT_BEFORE)
		return away(err, "at once");
	if (fault == FAULT_HALF)
		return faulty->inner->driver->put(faulty->inner, path, pass_read, &passing, size, err);
	return come_of(fault, faulty->inner->driver->put(faulty->inner, path, read, context, size, err), err);
}

static int pass_write(void *context, const void *data, size_t len, struct error *err)
{
	struct passing *const passing = context;
	const size_t n = len < passing->left ? len : (size_t)passing->left;
	passing->left -= n;
	const int rc = n ? passing->write(passing->context, data, n, err) : 0;
	return rc == 0 && n < len ? away(err, "in the middle") : rc;
}

static int faulty_read(struct warehouse *warehouse, const char *path, uint64_t offset, uint64_t len,
		       warehouse_write_fn *write, void *context, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	const enum fault fault = draw(warehouse);
	struct passing passing = {.write = write, .context = context, .left = random_below(&faulty->random, 2000)};
	if (fault == FAULT_BEFORE)
		return away(err, "at once");
	if (fault == FAULT_HALF)
		return faulty->inner->driver->read(faulty->inner, path, offset, len, pass_write, &passing, err);
	return come_of(fault, faulty->inner->driver->read(faulty->inner, path, offset, len, write, context, err), err);
}

static int faulty_rename(struct warehouse *warehouse, const char *from, const char *to, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	const enum fault fault = draw(warehouse);
	if (fault == FAULT_BEFORE || fault == FAULT_HALF)
		return away(err, "at once");
	return come_of(fault, faulty->inner->driver->rename(faulty->inner, from, to, err), err);
}

/* Of a directory, its first entry is removed. */
struct removing {
	struct warehouse *inner;
	const char *path;
};

static int remove_entry(void *context, const char *name, const struct warehouse_stat *stat, struct error *err)
{
	const struct removing *const removing = context;
	_cleanup_free_ char *below = text_printf("%s/%s", removing->path, name);
	(void)stat;
	assert(below);
	const int rc = removing->inner->driver->remove(removing->inner, below, err);
	return rc < 0 ? rc : away(err, "in the middle");
}

static int faulty_remove(struct warehouse *warehouse, const char *path, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	const enum fault fault = draw(warehouse);
	struct removing removing = {.inner = faulty->inner, .path = path};
	if (fault == FAULT_BEFORE)
		return away(err, "at once");
	if (fault == FAULT_HALF) {
		(void)faulty->inner->driver->list(faulty->inner, path, remove_entry, &removing, NULL);
		return away(err, "in the middle");
	}
	return come_of(fault, faulty->inner->driver->remove(faulty->inner, path, err), err);
}

static int faulty_usage(struct warehouse *warehouse, const char *path, struct warehouse_usage *usage, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	if (draw(warehouse) != FAULT_NONE)
		return away(err, "at once");
	return faulty->inner->driver->usage(faulty->inner, path, usage, err);
}

static int faulty_ping(struct warehouse *warehouse, struct warehouse_health *health, struct error *err)
{
	struct faulty *const faulty = faulty_of(warehouse);
	if (draw(warehouse) != FAULT_NONE)
		return away(err, "at once");
	return faulty->inner->driver->ping(faulty->inner, health, err);
}

static void faulty_close(struct warehouse *warehouse)
{
	warehouse_close(faulty_of(warehouse)->inner);
	free(warehouse);
}

static const struct warehouse_driver driver = {
	.name = "faulty",
	.list = faulty_list,
	.stat = faulty_stat,
	.make_dir = faulty_make_dir,
	.put = faulty_put,
	.read = faulty_read,
	.rename = faulty_rename,
	.remove = faulty_remove,
	.usage = faulty_usage,
	.ping = faulty_ping,
	.close = faulty_close,
};

struct warehouse *warehouse_faulty(struct warehouse *inner, uint64_t seed, unsigned one_in)
{
	struct faulty *const faulty = calloc(1, sizeof(*faulty));
	assert(faulty);
	faulty->base = (struct warehouse){.driver = &driver, .writer = inner->writer};
	faulty->inner = inner;
	faulty->one_in = one_in;
	random_init(&faulty->random, seed);
	return &faulty->base;
}
