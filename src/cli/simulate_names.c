/* Who those are who lose most. */
#include "base/buf.h"
#include "cli/simulate_show.h"
#include "cluster/open.h"
#include "speed/view_writer.h"

#include <stdlib.h>

static struct customer_id id_of(const struct simulate_customer *customer)
{
	return (struct customer_id){.number = customer->number, .text = {customer->text, customer->text_len}};
}

static void find_in_view(struct simulation_shown *shown)
{
	struct view *view = NULL;
	struct error err = {0};
	if (view_writer_open_view(shown->deployment, true, &view, &err) < 0)
		return;
	if (view_read_begin(view, &err) == 0)
		for (unsigned i = 0; i < shown->report->n_losers; i++) {
			const struct customer_id id = id_of(&shown->report->losers[i]);
			struct profile profile;
			if (view_profile(view, &id, &profile, &err) == 0 && profile.name.len)
				shown->names[i] = slice_dup(profile.name);
		}
	view_close(view);
}

static int take_customer(void *context, const struct cluster_customer *customer, struct error *err)
{
	struct simulation_shown *const shown = context;
	(void)err;
	for (unsigned i = 0; i < shown->report->n_losers; i++) {
		const struct customer_id id = id_of(&shown->report->losers[i]);
		if (id.number == customer->id.number && slice_equal(id.text, customer->id.text) && !shown->names[i] &&
		    customer->has_profile && customer->profile.name.len)
			shown->names[i] = slice_dup(customer->profile.name);
	}
	return 0;
}

static void find_in_hbase(struct simulation_shown *shown)
{
	const struct deployment *const deployment = shown->deployment;
	struct customer_id ids[SIMULATE_LOSERS];
	struct cells *cells = NULL;
	struct cluster_view *view = NULL;
	struct error err = {0};
	for (unsigned i = 0; i < shown->report->n_losers; i++)
		ids[i] = id_of(&shown->report->losers[i]);
	int rc = cluster_open_cells_to_read(deployment, &cells, &err);
	if (rc == 0)
		rc = cluster_view_open(cells, deployment->config->customer_id, deployment->programme->timezone, &view,
				       &err);
	if (rc == 0)
		(void)cluster_view_customers(view, ids, shown->report->n_losers, take_customer, shown, &err);
	cluster_view_close(view);
	cells_close(cells);
}

void simulation_find_names(struct simulation_shown *shown)
{
	if (shown->report->n_losers)
		(shown->deployment->config->cluster.on ? find_in_hbase : find_in_view)(shown);
}

void simulation_release_names(struct simulation_shown *shown)
{
	for (unsigned i = 0; i < SIMULATE_LOSERS; i++)
		free(shown->names[i]);
}
