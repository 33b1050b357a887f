#include "fold/folder.h"

int folder_init(struct folder *folder, const struct programme *programme, int32_t day, struct error *err)
{
	*folder = (struct folder){.programme = programme, .day = day, .account = account_new(programme)};
	for (unsigned i = 0; i < FOLDER_STARTS; i++)
		folder->starts[i].day = DAY_MAX;
	return folder->account ? 0 : error_no_memory(err, sizeof(*folder));
}

void folder_release(struct folder *folder)
{
	account_free(folder->account);
	postings_release(&folder->postings);
	*folder = (struct folder){0};
}

int folder_run(struct folder *folder, const struct history_customer *customer, struct error *err)
{
	account_reset(folder->account);
	postings_clear(&folder->postings);
	int rc = customer->state.len ? account_decode(customer->state, folder->account, err) : 0;
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < customer->n_facts; i++)
		rc = account_apply(folder->account, &customer->facts[i], &folder->postings);
	if (rc == 0)
		rc = account_advance(folder->account, folder->day, &folder->postings);
	return rc < 0 ? error_no_memory(err, folder->postings.cap * sizeof(struct posting)) : 0;
}

static int64_t start_of_day(struct folder *folder, int32_t day)
{
	struct folder_start *const slot = &folder->starts[(uint32_t)day % FOLDER_STARTS];
	if (slot->day != day)
		*slot = (struct folder_start){day, programme_day_start(folder->programme, day)};
	return slot->us;
}

int32_t folder_partition(struct folder *folder, const struct posting *posting)
{
	int32_t day = posting->day;
	while (posting->time_us >= start_of_day(folder, day + 1))
		day++;
	return day;
}

bool folder_needs_history(const struct history_customer *customer)
{
	for (size_t i = 0; i < customer->n_facts; i++) {
		if (customer->facts[i].kind != EVENT_REFUND)
			continue;
		bool found = false;
		for (size_t j = i; !found && j-- > 0;)
			found = customer->facts[j].kind == EVENT_ORDER &&
				fact_id_hash(customer->facts[j].id) == customer->facts[i].order_hash;
		if (!found)
			return true;
	}
	return false;
}
