/*
 * `_mite.MetricsPage`: the exporter's page (stats/page.h) for mite.web.prometheus.
 */
#pragma once

#include "python/module.h"

int metrics_page_exec(PyObject *module);
