/*
 * Design notes. What is dear to make and may be read again (bytes, text, headers, history) is kept in `made`; figures
 * are made each time. Header bytes that are no ASCII are read as latin1, as HTTP says; nothing in here fails on what a
 * server sent.
 */
#include "python/acurl_response.h"

#include "base/clock.h"

#include <ctype.h>

/* What is made once. */
enum made { MADE_BODY, MADE_TEXT, MADE_HEADERS, MADE_TUPLE, MADE_COOKIES, MADE_HISTORY, MADE_REQUEST, MADE_COUNT };

struct response {
    PyObject_HEAD
    struct http_response *response; /* counted */
    struct session *session;
    struct extras *extras; /* counted, may be NULL */
    PyObject *made[MADE_COUNT];
};

PyObject *response_wrap(struct http_response *response, struct session *session, struct extras *extras)
{
    struct response *self = PyObject_GC_New(struct response, acurl.response_type); /* new */
    if (!self) {
        return NULL;
    }
    self->response = http_response_ref(response);
    self->session = (struct session *)Py_NewRef((PyObject *)session);
    self->extras = extras_ref(extras);
    memset(self->made, 0, sizeof self->made);
    PyObject_GC_Track(self);
    return (PyObject *)self;
}

static PyObject *latin1(struct str s)
{
    return PyUnicode_DecodeLatin1(s.p ? s.p : "", (Py_ssize_t)s.n, NULL);
}

static PyObject *utf8(struct str s)
{
    return PyUnicode_DecodeUTF8(s.p ? s.p : "", (Py_ssize_t)s.n, "replace");
}

static PyObject *bytes(struct str s)
{
    return PyBytes_FromStringAndSize(s.p ? s.p : "", (Py_ssize_t)s.n);
}

/* ---- what is made once: each `make_` gives a new reference ---- */

static PyObject *make_body(struct response *self)
{
    return bytes(self->response->body);
}

/* The charset of the content type: a view; none when it names none. */
static struct str charset(const struct http_response *response)
{
    struct str type = http_response_header(response, "Content-Type");
    for (size_t i = 0; i < type.n; i++) {
        if (type.p[i] != ';') {
            continue;
        }
        struct str rest = {type.p + i + 1, type.n - i - 1};
        while (rest.n && isspace((unsigned char)*rest.p)) {
            rest = (struct str){rest.p + 1, rest.n - 1};
        }
        if (rest.n < 8 || !str_equal_nocase((struct str){rest.p, 8}, STR("charset="))) {
            continue;
        }
        rest = (struct str){rest.p + 8, rest.n - 8};
        const char *end = memchr(rest.p, ';', rest.n);
        rest.n = end ? (size_t)(end - rest.p) : rest.n;
        while (rest.n && strchr(" \t\"'", rest.p[rest.n - 1])) {
            rest.n--;
        }
        while (rest.n && strchr(" \t\"'", *rest.p)) {
            rest = (struct str){rest.p + 1, rest.n - 1};
        }
        return rest.n ? rest : STR_NONE;
    }
    return STR_NONE;
}

static PyObject *get_encoding(PyObject *self, void *unused)
{
    struct str name = charset(((struct response *)self)->response);
    return name.p ? latin1(name) : PyUnicode_FromString("latin1");
}

static PyObject *make_text(struct response *self)
{
    struct str body = self->response->body, name = charset(self->response);
    if (!name.p) {
        return latin1(body);
    }
    char encoding[64];
    size_t size = name.n < sizeof encoding ? name.n : sizeof encoding - 1;
    memcpy(encoding, name.p, size);
    encoding[size] = 0;
    return PyUnicode_Decode(body.p ? body.p : "", (Py_ssize_t)body.n, encoding, "replace");
}

static PyObject *make_tuple(struct response *self)
{
    PyObject *list = PyList_New(0); /* new */
    struct http_header header;
    for (const char *at = NULL; list && http_response_next_header(self->response, &at, &header);) {
        PyObject *name = latin1(header.name), *value = latin1(header.value);  /* new */
        PyObject *pair = name && value ? PyTuple_Pack(2, name, value) : NULL; /* new */
        Py_XDECREF(name);
        Py_XDECREF(value);
        if (!pair || PyList_Append(list, pair) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
    }
    PyObject *tuple = list ? PyList_AsTuple(list) : NULL; /* new */
    Py_XDECREF(list);
    return tuple;
}

/* Adds to a header that is there already. */
static int put_header(PyObject *dict, PyObject *name, PyObject *value)
{
    PyObject *before = PyDict_GetItemWithError(dict, name); /* borrowed */
    if (!before) {
        return PyErr_Occurred() ? -1 : PyDict_SetItem(dict, name, value);
    }
    PyObject *joined = PyUnicode_FromFormat("%U, %U", before, value); /* new */
    int result = joined ? PyDict_SetItem(dict, name, joined) : -1;
    Py_XDECREF(joined);
    return result;
}

static PyObject *lowered(struct str name)
{
    PyObject *text = PyUnicode_New((Py_ssize_t)name.n, 255); /* new */
    for (size_t i = 0; text && i < name.n; i++) {
        PyUnicode_1BYTE_DATA(text)[i] = (Py_UCS1)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
    }
    return text;
}

static PyObject *make_headers(struct response *self)
{
    PyObject *type = acurl_import(ACURL_CASE_INSENSITIVE_DICT); /* borrowed */
    PyObject *dict = type ? PyObject_CallNoArgs(type) : NULL;   /* new */
    struct http_header header;
    for (const char *at = NULL; dict && http_response_next_header(self->response, &at, &header);) {
        PyObject *name = lowered(header.name), *value = latin1(header.value); /* new */
        if (!name || !value || put_header(dict, name, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *make_cookies(struct response *self)
{
    return session_cookie_dict(self->session);
}

static PyObject *make_history(struct response *self)
{
    PyObject *list = PyList_New(0); /* new */
    for (struct http_response *hop = self->response->previous; list && hop; hop = hop->previous) {
        PyObject *object = response_wrap(hop, self->session, self->extras); /* new */
        if (!object || PyList_Append(list, object) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(object);
    }
    if (list && PyList_Reverse(list) < 0) {
        Py_CLEAR(list);
    }
    return list;
}

/* `text` cut at each `separator` into a tuple of bytes; nothing for an empty end. */
static PyObject *split(struct str text, const char *separator)
{
    PyObject *list = PyList_New(0); /* new */
    size_t separator_size = strlen(separator);
    while (list && text.p && text.n) {
        const char *end = memmem(text.p, text.n, separator, separator_size);
        size_t size = end ? (size_t)(end - text.p) : text.n;
        size_t used = end ? size + separator_size : size;
        PyObject *part = bytes((struct str){text.p, size}); /* new */
        if (!part || PyList_Append(list, part) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(part);
        text = (struct str){text.p + used, text.n - used};
    }
    PyObject *tuple = list ? PyList_AsTuple(list) : NULL; /* new */
    Py_XDECREF(list);
    return tuple;
}

static PyObject *make_request(struct response *self)
{
    const struct http_response *response = self->response;
    PyObject *type = acurl_import(ACURL_REQUEST); /* borrowed */
    if (!type) {
        return NULL;
    }
    PyObject *headers = split(response->request_headers, "\r\n"),
             *cookies = split(response->request_cookies, "; ");                         /* new */
    PyObject *auth = self->extras && self->extras->auth ? self->extras->auth : Py_None; /* borrowed */
    PyObject *cert = self->extras && self->extras->cert ? self->extras->cert : Py_None; /* borrowed */
    PyObject *request =
        headers && cookies
            ? PyObject_CallFunction(type, "y#s#OOOy#O", response->method.p, (Py_ssize_t)response->method.n,
                                    response->url.p, (Py_ssize_t)response->url.n, headers, cookies, auth,
                                    response->request_body.p, (Py_ssize_t)response->request_body.n, cert)
            : NULL; /* new; y# of NULL is None */
    Py_XDECREF(headers);
    Py_XDECREF(cookies);
    return request;
}

static PyObject *get_made(PyObject *object, void *which)
{
    static PyObject *(*const make[MADE_COUNT])(struct response * self) = {
        [MADE_BODY] = make_body,       [MADE_TEXT] = make_text,       [MADE_HEADERS] = make_headers,
        [MADE_TUPLE] = make_tuple,     [MADE_COOKIES] = make_cookies, [MADE_HISTORY] = make_history,
        [MADE_REQUEST] = make_request,
    };
    struct response *self = (struct response *)object;
    PyObject **slot = &self->made[(size_t)which];
    if (!*slot) {
        PyObject *made = make[(size_t)which](self); /* new */
        if (!made) {
            return NULL;
        }
        Py_XSETREF(*slot, made); /* making it may have run code that made it too */
    }
    return Py_NewRef(*slot);
}

/* ---- texts and figures ---- */

static PyObject *get_status_code(PyObject *self, void *unused)
{
    return PyLong_FromLong(((struct response *)self)->response->status);
}

static PyObject *get_url(PyObject *self, void *unused)
{
    return utf8(((struct response *)self)->response->url);
}

static PyObject *get_redirect_url(PyObject *self, void *unused)
{
    struct str url = ((struct response *)self)->response->redirect_url;
    if (!url.p) {
        Py_RETURN_NONE;
    }
    return utf8(url);
}

static PyObject *get_header(PyObject *self, void *unused)
{
    return latin1(((struct response *)self)->response->header_block);
}

static PyObject *get_primary_ip(PyObject *self, void *unused)
{
    return PyUnicode_FromString(((struct response *)self)->response->primary_ip);
}

static PyObject *get_start_time(PyObject *self, void *unused)
{
    return PyFloat_FromDouble(clock_wall_at(((struct response *)self)->response->timings.start_ns));
}

/* `offset`: of the field in struct http_response. */
static PyObject *get_seconds(PyObject *self, void *offset)
{
    const char *response = (const char *)((struct response *)self)->response;
    return PyFloat_FromDouble(ns_to_s(*(const uint64_t *)(response + (size_t)offset)));
}

static PyObject *get_bytes(PyObject *self, void *offset)
{
    const char *response = (const char *)((struct response *)self)->response;
    return PyFloat_FromDouble((double)*(const uint64_t *)(response + (size_t)offset));
}

PyDoc_STRVAR(json_doc,
             "json($self, /)\n--\n\nThe body read as JSON: in the charset that the server named, else as Unicode.");

static PyObject *response_json(PyObject *object, PyObject *unused)
{
    struct response *self = (struct response *)object;
    PyObject *loads = acurl_import(ACURL_JSON_LOADS); /* borrowed */
    bool named = charset(self->response).p != NULL;
    PyObject *body = loads ? get_made(object, (void *)(size_t)(named ? MADE_TEXT : MADE_BODY)) : NULL; /* new */
    PyObject *value = body ? PyObject_CallOneArg(loads, body) : NULL;                                  /* new */
    Py_XDECREF(body);
    return value;
}

static PyObject *response_repr(PyObject *object)
{
    const struct http_response *response = ((struct response *)object)->response;
    PyObject *url = utf8(response->url); /* new */
    PyObject *text = url ? PyUnicode_FromFormat("<response %d %U>", response->status, url) : NULL;
    Py_XDECREF(url);
    return text;
}

/* ---- the type ---- */

static int response_traverse(struct response *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->session);
    for (size_t i = 0; i < MADE_COUNT; i++) {
        Py_VISIT(self->made[i]);
    }
    return 0;
}

static int response_clear(struct response *self)
{
    for (size_t i = 0; i < MADE_COUNT; i++) {
        Py_CLEAR(self->made[i]);
    }
    return 0;
}

static void response_dealloc(struct response *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    response_clear(self);
    http_response_unref(self->response);
    extras_unref(self->extras);
    Py_DECREF(self->session);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

#define SECONDS(name, field, doc)                                                                                      \
    {                                                                                                                  \
        name, get_seconds, NULL, doc, (void *)offsetof(struct http_response, timings.field)                            \
    }
#define MADE(name, which, doc)                                                                                         \
    {                                                                                                                  \
        name, get_made, NULL, doc, (void *)(size_t)which                                                               \
    }

static PyGetSetDef response_getset[] = {
    {"status_code", get_status_code, NULL, "The status, an int.", NULL},
    {"url", get_url, NULL, "What was asked, after redirects.", NULL},
    {"redirect_url", get_redirect_url, NULL, "Where a redirect points; None otherwise.", NULL},
    MADE("headers", MADE_HEADERS, "The headers, names in any case; repeated ones joined by a comma."),
    MADE("headers_tuple", MADE_TUPLE, "The headers as pairs, as they came."),
    {"header", get_header, NULL, "Status line and headers as they came.", NULL},
    MADE("body", MADE_BODY, "The body, decoded, as bytes."),
    MADE("text", MADE_TEXT, "The body as text in `encoding`."),
    {"encoding", get_encoding, NULL, "The charset that the server named, else latin1.", NULL},
    MADE("cookies", MADE_COOKIES, "The session's jar as a dict of names and values."),
    MADE("history", MADE_HISTORY, "The redirects on the way here, the first one first."),
    MADE("request", MADE_REQUEST, "What was sent: an acurl.Request."),
    {"start_time", get_start_time, NULL, "When the request began: seconds since the epoch.", NULL},
    SECONDS("total_time", total_ns, "Seconds from the start to the end."),
    SECONDS("namelookup_time", dns_ns, "Seconds from the start until the name was looked up."),
    SECONDS("connect_time", connect_ns, "Seconds from the start until the connection stood; 0 on a kept one."),
    SECONDS("appconnect_time", tls_ns, "Seconds from the start until TLS was agreed; 0 without."),
    SECONDS("pretransfer_time", pretransfer_ns, "Seconds from the start until the request could be sent."),
    SECONDS("starttransfer_time", first_byte_ns, "Seconds from the start until the first byte came."),
    {"upload_size", get_bytes, NULL, "Bytes of the body sent.", (void *)offsetof(struct http_response, upload_bytes)},
    {"download_size", get_bytes, NULL, "Bytes of the body that came, before decoding.",
     (void *)offsetof(struct http_response, download_bytes)},
    {"primary_ip", get_primary_ip, NULL, "The address that answered.", NULL},
    {NULL},
};

static PyMethodDef response_methods[] = {
    {"json", response_json, METH_NOARGS, json_doc},
    {NULL},
};

static PyType_Slot response_slots[] = {
    {Py_tp_doc, "A response. Each attribute is made when it is read."},
    {Py_tp_dealloc, response_dealloc},
    {Py_tp_traverse, response_traverse},
    {Py_tp_clear, response_clear},
    {Py_tp_repr, response_repr},
    {Py_tp_methods, response_methods},
    {Py_tp_getset, response_getset},
    {0},
};

static PyType_Spec response_spec = {
    .name = "acurl._Response",
    .basicsize = sizeof(struct response),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = response_slots,
};

PyTypeObject *acurl_response_type(PyObject *module)
{
    return module_add_type(module, &response_spec);
}
