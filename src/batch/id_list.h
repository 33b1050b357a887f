/*
 * A list of customers' ids, with the bytes of text ids.
 *
 *     struct id_list list = {.id_type = CUSTOMER_ID_INTEGER};
 *     rc = id_list_add(&list, &id, err);
 *     id_list_find(&list, &id);                  // of a list that was filled in the order of the ids
 *     id_list_release(&list);
 */
#ifndef PUNCHCARD_BATCH_ID_LIST_H
#define PUNCHCARD_BATCH_ID_LIST_H

#include "config/config.h"
#include "engine/engine.h"
#include "loyalty/event.h"

struct id_list {
	enum customer_id_type id_type;
	struct customer_id *ids; /* pointers into texts are right after id_list_settle */
	size_t n;
	size_t cap;
	struct buf texts;
};

/* Copies the id. ERROR_NO_MEMORY. */
int id_list_add(struct id_list *list, const struct customer_id *id, struct error *err);
/* Sets the pointers of text ids; before list->ids is read. */
void id_list_settle(struct id_list *list);
/* Whether the id is in a list that is settled and in order. */
bool id_list_find(const struct id_list *list, const struct customer_id *id);
/* Appends all of `b` and of `a`, in order, each once, to the empty list `out` and settles it; both are in order. */
int id_list_union(const struct id_list *a, const struct id_list *b, struct id_list *out, struct error *err);
void id_list_clear(struct id_list *list);
void id_list_release(struct id_list *list);

/* Makes a settled list the engine's table function `<name>()`, of one column cust_id. It must outlive the engine. */
int id_list_register(const struct id_list *list, const char *name, struct engine *engine, struct error *err);

/* Whether the scan's first column has ids of that type: ERROR_CONFIG with what to do when it has others, as after `customer_id`
 * was changed. */
int id_list_check_scan(const struct engine_scan *scan, enum customer_id_type id_type, struct error *err);

#endif
