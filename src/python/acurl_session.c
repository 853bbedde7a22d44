#include "python/acurl_session.h"

#include "base/clock.h"
#include "python/acurl_arguments.h"
#include "python/acurl_exchange.h"
#include "python/errors.h"
#include "runner/context.h"

static struct session *session_alloc(void)
{
    return (struct session *)acurl.session_type->tp_alloc(acurl.session_type, 0); /* new, zeroed */
}

struct session *session_new(PyObject *loop)
{
    struct session *self = session_alloc();
    if (self) {
        self->loop = Py_NewRef(loop);
    }
    return self;
}

struct session *session_for_context(struct context *context)
{
    struct session *self = session_alloc();
    if (self) {
        self->context = context_ref(context);
    }
    return self;
}

/* ---- the jar ---- */

/* The jar goes: with the session, or with the client. */
static void drop(struct dependent *dependent)
{
    struct session *self = (struct session *)((char *)dependent - offsetof(struct session, dependent));
    acurl_client_remove(dependent);
    http_session_free(self->http);
    self->http = NULL;
}

struct http_session *session_http(struct session *self)
{
    if (!self->http) {
        struct http_client *client = acurl_client(self->loop);
        if (!client) {
            return NULL;
        }
        self->http = http_session_new(client);
        if (!self->http) {
            PyErr_NoMemory();
            return NULL;
        }
        acurl_client_add(&self->dependent, drop);
    }
    return self->http;
}

struct cookie_jar *session_jar(struct session *self)
{
    struct http_session *http = session_http(self);
    return http ? http_session_cookies(http) : NULL;
}

PyObject *session_cookie_dict(struct session *self)
{
    struct cookie_jar *jar = self->http ? http_session_cookies(self->http) : NULL;
    PyObject *dict = PyDict_New(); /* new */
    for (size_t i = 0; dict && jar && i < cookie_jar_count(jar); i++) {
        const struct cookie *cookie = cookie_jar_at(jar, i);
        PyObject *name = PyUnicode_DecodeUTF8(cookie->name.p, (Py_ssize_t)cookie->name.n, "replace");    /* new */
        PyObject *value = PyUnicode_DecodeUTF8(cookie->value.p, (Py_ssize_t)cookie->value.n, "replace"); /* new */
        if (!name || !value || PyDict_SetItem(dict, name, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    return dict;
}

/* One attribute of a Cookie as text: new reference kept in *object, which `out` views. */
static int cookie_text(PyObject *cookie, PyObject *name, PyObject **object, struct str *out)
{
    *object = PyObject_GetAttr(cookie, name);
    return *object ? text_view(*object, out) : -1;
}

static int cookie_flag(PyObject *cookie, PyObject *name, bool *out)
{
    PyObject *object = PyObject_GetAttr(cookie, name); /* new */
    int truth = object ? PyObject_IsTrue(object) : -1;
    Py_XDECREF(object);
    *out = truth > 0;
    return truth < 0 ? -1 : 0;
}

static int cookie_expiration(PyObject *cookie, int64_t *out)
{
    PyObject *object = PyObject_GetAttr(cookie, acurl.str_expiration); /* new */
    *out = object ? PyLong_AsLongLong(object) : -1;
    Py_XDECREF(object);
    return PyErr_Occurred() ? -1 : 0;
}

int session_add_cookie(struct session *self, PyObject *object)
{
    struct cookie_jar *jar = session_jar(self);
    struct cookie cookie = {0};
    PyObject *texts[4] = {NULL};
    bool subdomains;
    int result = -1;

    if (!jar) {
        return -1;
    }
    if (cookie_text(object, acurl.str_name, &texts[0], &cookie.name) == 0 &&
        cookie_text(object, acurl.str_value, &texts[1], &cookie.value) == 0 &&
        cookie_text(object, acurl.str_domain, &texts[2], &cookie.domain) == 0 &&
        cookie_text(object, acurl.str_path, &texts[3], &cookie.path) == 0 &&
        cookie_flag(object, acurl.str_include_subdomains, &subdomains) == 0 &&
        cookie_flag(object, acurl.str_is_secure, &cookie.secure) == 0 &&
        cookie_flag(object, acurl.str_http_only, &cookie.http_only) == 0 &&
        cookie_expiration(object, &cookie.expires) == 0) {
        cookie.host_only = !subdomains;
        if (cookie.domain.n && cookie.domain.p[0] == '.') {
            cookie.domain = (struct str){cookie.domain.p + 1, cookie.domain.n - 1};
        }
        result = cookie_jar_set(jar, &cookie);
        if (result < 0) {
            PyErr_Format(PyExc_ValueError, "the jar does not take the cookie %R", texts[0]);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        Py_XDECREF(texts[i]);
    }
    return result < 0 ? -1 : 0;
}

/* ---- requests ---- */

static PyObject *request(PyObject *self, const char *method, const char *function, PyObject *const *args,
                         Py_ssize_t count, PyObject *kwnames)
{
    struct arguments arguments;
    if (arguments_parse(&arguments, function, args, count, kwnames) < 0) {
        return NULL;
    }
    if (arguments.extras && arguments.extras->body && strcmp(method, "HEAD") == 0) {
        arguments_done(&arguments);
        PyErr_SetString(PyExc_ValueError, "data or json: a HEAD request has no body");
        return NULL;
    }
    PyObject *exchange = exchange_new((struct session *)self, method, &arguments); /* new */
    if (!exchange) {
        arguments_done(&arguments);
    }
    return exchange;
}

#define SIGNATURE                                                                                                      \
    "($self, url, *, headers=(), cookies=None, auth=None, data=None, json=None, cert=None,\n"                          \
    "    allow_redirects=True, max_redirects=5, timeout=None, verify=None)\n--\n\n"
#define REQUEST(function, method)                                                                                      \
    PyDoc_STRVAR(function##_doc,                                                                                       \
                 #function SIGNATURE "Send a " #method " request; await the result for its response.");                \
    static PyObject *session_##function(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *kwnames)    \
    {                                                                                                                  \
        return request(self, #method, #function, args, count, kwnames);                                                \
    }
REQUEST(get, GET)
REQUEST(post, POST)
REQUEST(put, PUT)
REQUEST(patch, PATCH)
REQUEST(delete, DELETE)
REQUEST(head, HEAD)
REQUEST(options, OPTIONS)

/* ---- callback and additional metrics ---- */

PyDoc_STRVAR(callback_doc,
             "set_response_callback($self, callback, /)\n--\n\n"
             "Call callback(response, additional_metrics) for each response, before its message goes; what it\n"
             "puts into the dict goes into the message. None takes the callback away.");

static PyObject *session_set_response_callback(PyObject *object, PyObject *callback)
{
    struct session *self = (struct session *)object;
    int takes_metrics = 0;
    if (callback != Py_None) {
        PyObject *judge = acurl_import(ACURL_TAKES_METRICS);                     /* borrowed */
        PyObject *verdict = judge ? PyObject_CallOneArg(judge, callback) : NULL; /* new */
        takes_metrics = verdict ? PyObject_IsTrue(verdict) : -1;
        Py_XDECREF(verdict);
    }
    if (takes_metrics < 0) {
        return NULL;
    }
    self->callback_takes_metrics = takes_metrics;
    Py_XSETREF(self->callback, callback == Py_None ? NULL : Py_NewRef(callback));
    Py_RETURN_NONE;
}

PyObject *session_additional_metrics(struct session *self)
{
    if (!self->additional_metrics) {
        self->additional_metrics = PyDict_New();
    }
    return self->additional_metrics;
}

static PyObject *get_additional_metrics(PyObject *self, void *unused)
{
    PyObject *metrics = session_additional_metrics((struct session *)self);
    return Py_XNewRef(metrics);
}

static int set_additional_metrics(PyObject *self, PyObject *value, void *unused)
{
    if (value && !PyDict_Check(value)) {
        PyErr_Format(PyExc_ValueError, "additional_metrics must be a dict, not %.200s", Py_TYPE(value)->tp_name);
        return -1;
    }
    Py_XSETREF(((struct session *)self)->additional_metrics, Py_XNewRef(value));
    return 0;
}

/* ---- cookies ---- */

PyDoc_STRVAR(cookies_doc, "cookies($self, /)\n--\n\nThe jar as a dict of names and values.");

static PyObject *session_cookies(PyObject *self, PyObject *unused)
{
    return session_cookie_dict((struct session *)self);
}

PyDoc_STRVAR(erase_doc, "erase_all_cookies($self, /)\n--\n\nEmpty the jar.");

static PyObject *session_erase_all_cookies(PyObject *object, PyObject *unused)
{
    struct session *self = (struct session *)object;
    if (self->http) {
        cookie_jar_clear(http_session_cookies(self->http));
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(add_cookie_doc, "_add_cookie($self, cookie, /)\n--\n\nPut an acurl.Cookie into the jar.");

static PyObject *session_py_add_cookie(PyObject *self, PyObject *cookie)
{
    if (session_add_cookie((struct session *)self, cookie) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- the type ---- */

static int session_traverse(struct session *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->additional_metrics);
    return 0;
}

static int session_clear(struct session *self)
{
    Py_CLEAR(self->loop);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->additional_metrics);
    return 0;
}

static void session_dealloc(struct session *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    session_clear(self);
    if (self->http) {
        drop(&self->dependent);
    }
    if (self->context) {
        context_unref(self->context);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

#define FAST(function) (PyCFunction)(void (*)(void)) function, METH_FASTCALL | METH_KEYWORDS
static PyMethodDef session_methods[] = {
    {"get", FAST(session_get), get_doc},
    {"post", FAST(session_post), post_doc},
    {"put", FAST(session_put), put_doc},
    {"patch", FAST(session_patch), patch_doc},
    {"delete", FAST(session_delete), delete_doc},
    {"head", FAST(session_head), head_doc},
    {"options", FAST(session_options), options_doc},
    {"set_response_callback", session_set_response_callback, METH_O, callback_doc},
    {"cookies", session_cookies, METH_NOARGS, cookies_doc},
    {"erase_all_cookies", session_erase_all_cookies, METH_NOARGS, erase_doc},
    {"_add_cookie", session_py_add_cookie, METH_O, add_cookie_doc},
    {NULL},
};

static PyGetSetDef session_getset[] = {
    {"additional_metrics", get_additional_metrics, set_additional_metrics,
     "Fields that go into the message of each response: a dict.", NULL},
    {NULL},
};

static PyType_Slot session_slots[] = {
    {Py_tp_doc, "A session: requests that share a cookie jar. Made by CurlWrapper.session(), or found as ctx.http."},
    {Py_tp_dealloc, session_dealloc},
    {Py_tp_traverse, session_traverse},
    {Py_tp_clear, session_clear},
    {Py_tp_methods, session_methods},
    {Py_tp_getset, session_getset},
    {0},
};

static PyType_Spec session_spec = {
    .name = "acurl.Session",
    .basicsize = sizeof(struct session),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = session_slots,
};

PyTypeObject *acurl_session_type(PyObject *module)
{
    return module_add_type(module, &session_spec);
}
