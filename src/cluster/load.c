#include "cluster/load_internal.h"

#include <stdlib.h>
#include <string.h>

static int run(struct cluster_load *load, const char *const *paths, size_t n_paths, const char *format,
	       struct error *err)
{
	bool there = false;
	int rc = cluster_session_open(load->session.deployment, "load", &load->session, err);
	if (rc == 0)
		rc = cluster_lease_take(&load->session, "load", &load->lease, err);
	if (rc == 0)
		rc = warehouse_clean(load->session.warehouse, err);
	if (rc == 0)
		rc = cluster_finish_customers(&load->session, err);
	if (rc == 0)
		rc = load_files_open(load, paths, n_paths, format, err);
	if (rc == 0)
		rc = load_files_read(load, n_paths, err);
	if (rc == 0)
		rc = load_table_is_there(load, &there, err);
	if (rc == 0 && !there)
		rc = load_table_make(load, err);
	if (rc == 0)
		rc = cluster_lease_check(&load->lease, err);
	if (rc == 0)
		rc = load_files_land(load, err);
	if (rc == 0 && !there)
		rc = load_table_publish(load, err);
	load->changed = !there;
	return rc < 0 ? rc : load_table_profiles(load, err);
}

static int make_report(const struct cluster_load *load, const char *const *paths, size_t n_paths,
		       struct customers_report *out, struct error *err)
{
	int rc = 0;
	*out = (struct customers_report){.customers = load->customers, .changed = load->changed};
	for (size_t i = 0; i < n_paths && rc == 0; i++)
		rc = customers_report_add(out, paths[i], &load->all.files[load->given[i].index], load->given[i].known,
					  err);
	if (rc < 0)
		customers_report_release(out);
	return rc;
}

int cluster_load_customers(const struct deployment *deployment, const struct cluster_batch_hooks *hooks,
			   const char *const *paths, size_t n_paths, const char *format, struct customers_report *out,
			   struct error *err)
{
	struct cluster_load load = {
		.session.deployment = deployment,
		.all.config = deployment->config,
		.hooks = hooks ? *hooks : (struct cluster_batch_hooks){0},
	};
	struct customer_format *checked = NULL;
	pthread_mutex_init(&load.all.lock, NULL);
	format = format ? format : deployment->config->customer_format;
	int rc = customer_format_new(deployment->config, format, &checked, err);
	customer_format_free(rc == 0 ? checked : NULL);
	if (rc == 0)
		rc = run(&load, paths, n_paths, format, err);
	if (rc == 0)
		rc = make_report(&load, paths, n_paths, out, err);
	load_files_release(&load);
	cluster_lease_release(&load.lease);
	cluster_session_close(&load.session);
	pthread_mutex_destroy(&load.all.lock);
	return rc;
}
