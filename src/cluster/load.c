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
	struct customers_report report = {.customers = load->customers, .changed = load->changed};
	report.files = calloc(n_paths, sizeof(*report.files));
	bool complete = report.files != NULL;
	for (size_t i = 0; i < n_paths && complete; i++) {
		const struct customer_file *const from = &load->all.files[load->given[i].index];
		struct customers_file *const to = &report.files[report.n_files++];
		to->path = text_printf("%s", paths[i]);
		to->landed = text_printf("%s", from->landed->name);
		to->format = text_printf("%s", from->landed->format);
		complete = to->path && to->landed && to->format;
		to->known = load->given[i].known;
		to->has_header = from->saw_header;
		memcpy(to->counts, from->counts, sizeof(to->counts));
		for (unsigned reason = 0; reason < CUSTOMER_REASONS; reason++)
			report.counts[reason] += from->counts[reason];
	}
	if (!complete) {
		customers_report_release(&report);
		return error_no_memory(err, n_paths * sizeof(*report.files));
	}
	*out = report;
	return 0;
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
