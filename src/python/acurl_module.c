#include "python/acurl_module.h"

#include "python/acurl_client.h"
#include "python/acurl_context.h"
#include "python/acurl_exchange.h"
#include "python/acurl_loop.h"
#include "python/acurl_response.h"
#include "python/acurl_session.h"

struct acurl_state acurl;

static const struct {
    const char *module, *name;
} imports[ACURL_IMPORT_COUNT] = {
    [ACURL_CASE_INSENSITIVE_DICT] = {"acurl", "CaseInsensitiveDict"},
    [ACURL_COOKIE] = {"acurl", "Cookie"},
    [ACURL_REQUEST] = {"acurl", "Request"},
    [ACURL_TAKES_METRICS] = {"acurl._callbacks", "takes_metrics"},
    [ACURL_GET_RUNNING_LOOP] = {"asyncio", "get_running_loop"},
    [ACURL_JSON_DUMPS] = {"json", "dumps"},
    [ACURL_JSON_LOADS] = {"json", "loads"},
};

PyObject *acurl_import(enum acurl_import what)
{
    if (!acurl.imports[what]) {
        PyObject *module = PyImport_ImportModule(imports[what].module); /* new */
        if (module) {
            acurl.imports[what] = PyObject_GetAttrString(module, imports[what].name); /* new, kept */
            Py_DECREF(module);
        }
    }
    return acurl.imports[what];
}

static int add_error(PyObject *module, PyObject **slot, const char *name, const char *doc)
{
    *slot = PyErr_NewExceptionWithDoc(name, doc, PyExc_Exception, NULL); /* new, kept */
    return *slot ? PyModule_AddObjectRef(module, strrchr(name, '.') + 1, *slot) : -1;
}

int acurl_module_exec(PyObject *module)
{
#define X(name)                                                                                                        \
    if (!(acurl.str_##name = PyUnicode_InternFromString(#name))) {                                                     \
        return -1;                                                                                                     \
    }
    ACURL_NAMES(X)
#undef X
    if (add_error(module, &acurl.acurl_error, "acurl.AcurlError", "A request failed before its response was whole.") <
            0 ||
        add_error(module, &acurl.request_error, "acurl.RequestError", "A request was redirected too often.") < 0) {
        return -1;
    }
    if (!(acurl.wrapper_type = acurl_client_type(module)) || !(acurl.session_type = acurl_session_type(module)) ||
        !(acurl.exchange_type = acurl_exchange_type(module)) || !(acurl.response_type = acurl_response_type(module))) {
        return -1;
    }
    return acurl_context_exec(module);
}

void acurl_module_clear(void)
{
    acurl_client_stop();
    acurl_loop_leave();
    Py_CLEAR(acurl.wrapper_type);
    Py_CLEAR(acurl.session_type);
    Py_CLEAR(acurl.exchange_type);
    Py_CLEAR(acurl.response_type);
    Py_CLEAR(acurl.acurl_error);
    Py_CLEAR(acurl.request_error);
    for (size_t i = 0; i < ACURL_IMPORT_COUNT; i++) {
        Py_CLEAR(acurl.imports[i]);
    }
#define X(name) Py_CLEAR(acurl.str_##name);
    ACURL_NAMES(X)
#undef X
}
