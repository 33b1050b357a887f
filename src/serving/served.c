#include "serving/served.h"

#include "base/buf.h"
#include "speed/view_writer.h"

/* By which programme the accounts are; "": there are none. */
static int read_hash(const struct deployment *deployment, char out[PROGRAMME_HASH_TEXT], struct error *err)
{
	struct view *view = NULL;
	int rc = view_writer_open_view(deployment, true, &view, err);
	if (rc == 0)
		rc = view_read_begin(view, err);
	if (rc == 0)
		rc = view_writer_hash(view, out, err);
	view_close(view);
	return rc;
}

static int take_kept(struct deployment *deployment, struct error *err)
{
	char hash[PROGRAMME_HASH_TEXT] = "";
	int rc = read_hash(deployment, hash, err);
	if (rc < 0)
		return rc;
	_cleanup_free_ char *path = text_printf("%s/programmes/%s.yaml", deployment->data_dir, hash);
	if (!path)
		return error_no_memory(err, sizeof(hash));
	return hash[0] ? programme_load_text(path, &deployment->programme_text, &deployment->programme, err)
		       : ERROR_NOT_FOUND;
}

int served_open(const char *dir, const char *command, struct deployment **out, struct error *fault, struct error *err)
{
	struct deployment *partly = NULL;
	struct error config = {0};
	struct error kept = {0};
	fault->code = 0;
	const int rc = deployment_open(dir, DEPLOYMENT_READ, command, out, err);
	if (rc != ERROR_CONFIG)
		return rc;
	if (deployment_open_partly(dir, &partly, &config, fault) < 0 || !partly->config || partly->programme ||
	    partly->config->cluster.on || take_kept(partly, &kept) < 0) {
		fault->code = 0;
		deployment_close(partly);
		return rc;
	}
	*out = partly;
	return 0;
}
