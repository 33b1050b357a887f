/* A customer's events and name out of HBase: his history is a scan of `orders`, and it is whole (store/cells.h). */
#include "serving/explain_internal.h"

#include "base/file.h"
#include "cluster/open.h"
#include "store/cluster_view.h"

#include <stdlib.h>

static int take_event(void *context, const struct cluster_event *event, struct error *err)
{
	return explain_add(context, &event->event, event->source, err);
}

static int take_name(void *context, const struct cluster_customer *customer, struct error *err)
{
	struct explain *const explain = context;
	if (!customer->has_profile)
		return 0;
	const struct slice name = customer->profile.name;
	explain->has_profile = true;
	explain->name = name.len ? text_printf("%.*s", (int)name.len, name.data) : NULL;
	return name.len && !explain->name ? error_no_memory(err, name.len) : 0;
}

int explain_read_cluster(struct explain *explain, const struct deployment *deployment, struct error *err)
{
	struct cells *cells = NULL;
	struct cluster_view *view = NULL;
	int rc = cluster_open_cells_to_read(deployment, &cells, err);
	/* A directory takes HBase's place, and nothing was shipped yet. */
	if (rc == ERROR_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = cluster_view_open(cells, deployment->config->customer_id, deployment->programme->timezone, &view,
				       err);
	if (rc == 0)
		rc = cluster_view_customers(view, &explain->id, 1, take_name, explain, err);
	if (rc == 0)
		rc = cluster_view_history(view, &explain->id, 0, take_event, explain, err);
	cluster_view_close(view);
	cells_close(cells);
	return rc;
}
