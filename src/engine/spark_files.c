/* The private directory of a run: properties and statements. */
#include "engine/spark_internal.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a user may set otherwise. */
static const struct spark_setting SETTINGS[] = {
	{"spark.ui.enabled", "false"},
	{"spark.ui.showConsoleProgress", "true"},
	/* What is cached is in as few parts as anything else, and so are the files that are written of it. Sound from Spark 3.5.1 on
	 * (SPARK-45592). */
	{"spark.sql.optimizer.canChangeCachedPlanOutputPartitioning", "true"},
};

/* What must be so. */
static const struct spark_setting MUST[] = {
	{"spark.sql.session.timeZone", "UTC"},
	{"spark.sql.ansi.enabled", "true"},
	{"spark.sql.error.messageFormat", "STANDARD"},
	{"spark.sql.variable.substitute", "false"},
	/* Not INT96, which few read. */
	{"spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS"},
	/* Partitions that are overwritten by PARTITION (data_dt) are staged and moved: a job that fails loses no old
	 * rows. */
	{"spark.sql.sources.partitionOverwriteMode", "dynamic"},
	{"spark.sql.hive.convertInsertingPartitionedTable", "true"},
	{"spark.sql.hive.convertMetastoreParquet", "true"},
	{"spark.hadoop.hive.exec.dynamic.partition", "true"},
	{"spark.hadoop.hive.exec.dynamic.partition.mode", "nonstrict"},
	{"spark.hadoop.hive.exec.max.dynamic.partitions", "100000"},
	{"spark.hadoop.hive.exec.max.dynamic.partitions.pernode", "100000"},
};

/* A value of a properties file: backslashes doubled, and no line ends. */
static int put_setting(struct buf *out, const struct spark_setting *setting)
{
	int rc = buf_printf(out, "%s ", setting->key);
	for (const char *p = setting->value; rc == 0 && *p; p++)
		rc = *p == '\\'   ? buf_append_text(out, "\\\\")
		     : *p == '\n' ? buf_append_text(out, "\\n")
				  : buf_append(out, p, 1);
	return rc < 0 ? rc : buf_append_text(out, "\n");
}

/* Nothing is overridden in silence. */
static int check_settings(const struct spark_options *options, struct error *err)
{
	for (unsigned i = 0; i < options->n_settings; i++)
		for (size_t k = 0; k < sizeof(MUST) / sizeof(MUST[0]); k++)
			if (strcmp(options->settings[i].key, MUST[k].key) == 0)
				return error_set(
					err, ERROR_CONFIG,
					"%s is %s, for tables are made by it; take it out of cluster.spark.conf in "
					"punchcard.yaml",
					MUST[k].key, MUST[k].value);
	return 0;
}

static int write_properties(const struct spark_options *options, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	int rc = check_settings(options, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < sizeof(SETTINGS) / sizeof(SETTINGS[0]); i++)
		rc = put_setting(&text, &SETTINGS[i]);
	for (unsigned i = 0; rc == 0 && i < options->n_settings; i++)
		rc = put_setting(&text, &options->settings[i]);
	for (size_t i = 0; rc == 0 && i < sizeof(MUST) / sizeof(MUST[0]); i++)
		rc = put_setting(&text, &MUST[i]);
	return rc < 0 ? error_no_memory(err, text.len) : file_write_durable(path, text.data, text.len, err);
}

static int write_script(const struct spark_script *script, const char *path, struct error *err)
{
	_cleanup_buf_ struct buf text = {0};
	return spark_script_text(script, &text) < 0 ? error_no_memory(err, text.len)
						    : file_write_durable(path, text.data, text.len, err);
}

int spark_files_write(const struct spark_options *options, const struct spark_script *script, struct spark_files *files,
		      struct error *err)
{
	char *const dir = text_printf("%s/spark-XXXXXX", options->tmp_dir);
	if (!dir)
		return error_no_memory(err, strlen(options->tmp_dir));
	if (!mkdtemp(dir)) {
		const int rc = error_errno(err, errno, "cannot make a directory in %s", options->tmp_dir);
		free(dir);
		return rc;
	}
	files->dir = dir;
	files->conf = text_printf("%s/spark.conf", dir);
	files->sql = text_printf("%s/script.sql", dir);
	if (!files->conf || !files->sql)
		return error_no_memory(err, strlen(dir));
	const int rc = write_properties(options, files->conf, err);
	return rc < 0 ? rc : write_script(script, files->sql, err);
}

void spark_files_remove(struct spark_files *files)
{
	struct error ignored;
	if (files->dir)
		(void)file_remove_tree(files->dir, &ignored); /* nothing depends on it */
	free(files->dir);
	free(files->conf);
	free(files->sql);
	*files = (struct spark_files){0};
}
