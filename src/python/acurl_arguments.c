/*
 * Design notes. Only what was passed and is no default makes an `extras`. Texts are copied into its arena, so that it
 * depends on no object of the caller's; a body is kept as the immutable object it came as.
 */
#include "python/acurl_arguments.h"

#include "base/clock.h"
#include "python/acurl_module.h"
#include "python/errors.h"

#include <math.h>

#define DEFAULT_MAX_REDIRECTS 5
#define MAX_HEAD_BYTES        (1u << 20) /* of all headers and cookies of one request */

enum argument {
    ARG_URL,
    ARG_HEADERS,
    ARG_COOKIES,
    ARG_AUTH,
    ARG_DATA,
    ARG_JSON,
    ARG_CERT,
    ARG_ALLOW_REDIRECTS,
    ARG_MAX_REDIRECTS,
    ARG_TIMEOUT,
    ARG_VERIFY,
    ARG_COUNT,
};

static int argument_of(PyObject *keyword)
{
    PyObject *const names[ARG_COUNT] = {
        [ARG_URL] = acurl.str_url,
        [ARG_HEADERS] = acurl.str_headers,
        [ARG_COOKIES] = acurl.str_cookies,
        [ARG_AUTH] = acurl.str_auth,
        [ARG_DATA] = acurl.str_data,
        [ARG_JSON] = acurl.str_json,
        [ARG_CERT] = acurl.str_cert,
        [ARG_ALLOW_REDIRECTS] = acurl.str_allow_redirects,
        [ARG_MAX_REDIRECTS] = acurl.str_max_redirects,
        [ARG_TIMEOUT] = acurl.str_timeout,
        [ARG_VERIFY] = acurl.str_verify,
    };
    for (int i = 0; i < ARG_COUNT; i++) {
        if (names[i] == keyword) { /* keywords in a user's source are interned too */
            return i;
        }
    }
    for (int i = 0; i < ARG_COUNT; i++) {
        if (PyUnicode_Compare(names[i], keyword) == 0) {
            return i;
        }
    }
    return -1;
}

static int wrong(const char *argument, const char *wanted, PyObject *given)
{
    PyErr_Format(PyExc_ValueError, "%s must be %s, not %.200s", argument, wanted, Py_TYPE(given)->tp_name);
    return -1;
}

int text_view(PyObject *object, struct str *out)
{
    Py_ssize_t size;
    if (PyUnicode_Check(object)) {
        const char *text = PyUnicode_AsUTF8AndSize(object, &size);
        if (!text) {
            return -1;
        }
        *out = (struct str){text, (size_t)size};
        return 0;
    }
    if (PyBytes_Check(object)) {
        *out = (struct str){PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object)};
        return 0;
    }
    PyErr_Format(PyExc_ValueError, "str or bytes wanted, not %.200s", Py_TYPE(object)->tp_name);
    return -1;
}

/* The view of an argument that is str or bytes. */
static int argument_view(const char *argument, PyObject *object, struct str *out)
{
    if (text_view(object, out) == 0) {
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s: %R has no UTF-8 form", argument, object);
    }
    return -1;
}

static bool has_any(struct str s, const char *set, size_t set_size)
{
    for (size_t i = 0; i < s.n; i++) {
        if (memchr(set, s.p[i], set_size)) {
            return true;
        }
    }
    return false;
}

/* One half of a header or cookie, copied. `forbidden` would let it break out of its place in the request. */
static int take_text(struct extras *extras, const char *argument, PyObject *object, const char *forbidden,
                     size_t forbidden_size, struct str *out)
{
    struct str view;
    if (!PyUnicode_Check(object) && !PyBytes_Check(object)) {
        return wrong(argument, "a dict or pairs of text", object);
    }
    if (argument_view(argument, object, &view) < 0) {
        return -1;
    }
    if (has_any(view, forbidden, forbidden_size)) {
        PyErr_Format(PyExc_ValueError, "%s: %R has a character that may not stand there", argument, object);
        return -1;
    }
    *out = arena_str(&extras->arena, view);
    if (!out->p) {
        PyErr_Format(PyExc_ValueError, "%s: more than %u bytes", argument, MAX_HEAD_BYTES);
        return -1;
    }
    return 0;
}
#define FORBIDDEN(literal) literal, sizeof(literal) - 1

static int take_header(struct extras *extras, PyObject *name, PyObject *value)
{
    struct http_header *header = &extras->headers[extras->header_count];
    if (take_text(extras, "headers", name, FORBIDDEN("\r\n\0: "), &header->name) < 0 ||
        take_text(extras, "headers", value, FORBIDDEN("\r\n\0"), &header->value) < 0) {
        return -1;
    }
    if (header->name.n == 0) {
        PyErr_SetString(PyExc_ValueError, "headers: a name is empty");
        return -1;
    }
    extras->header_count++;
    return 0;
}

/* A Cookie brings its own domain and path, so it goes to the jar by itself. */
static int take_cookie(struct extras *extras, PyObject *name, PyObject *value)
{
    PyObject *cookie_class = acurl_import(ACURL_COOKIE); /* borrowed */
    int is_cookie = cookie_class ? PyObject_IsInstance(value, cookie_class) : -1;
    if (is_cookie < 0) {
        return -1;
    }
    if (is_cookie) {
        if (!extras->jar_cookies && !(extras->jar_cookies = PyList_New(0))) {
            return -1;
        }
        return PyList_Append(extras->jar_cookies, value);
    }
    struct http_header *cookie = &extras->cookies[extras->cookie_count];
    if (take_text(extras, "cookies", name, FORBIDDEN("\r\n\0=; "), &cookie->name) < 0 ||
        take_text(extras, "cookies", value, FORBIDDEN("\r\n\0;"), &cookie->value) < 0) {
        return -1;
    }
    extras->cookie_count++;
    return 0;
}

typedef int take_pair(struct extras *extras, PyObject *name, PyObject *value);

/* New reference to a list or tuple of the pairs. */
static PyObject *list_of_pairs(PyObject *pairs, const char *argument)
{
    bool text = PyUnicode_Check(pairs) || PyBytes_Check(pairs);
    PyObject *list = NULL;
    if (PyDict_CheckExact(pairs)) {
        list = PyDict_Items(pairs);
    } else if (!text && PyMapping_Check(pairs) && !PyList_Check(pairs) && !PyTuple_Check(pairs)) {
        list = PyMapping_Items(pairs);
    } else if (!text) {
        list = PySequence_Fast(pairs, "");
    }
    if (!list && (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_TypeError) ||
                  PyErr_ExceptionMatches(PyExc_AttributeError))) {
        PyErr_Clear();
        wrong(argument, "a dict or pairs of text", pairs);
    }
    return list;
}

static int take_pairs(struct extras *extras, const char *argument, PyObject *pairs, struct http_header **array,
                      size_t room, take_pair *take)
{
    PyObject *list = list_of_pairs(pairs, argument); /* new */
    if (!list) {
        return -1;
    }
    size_t count = (size_t)PySequence_Fast_GET_SIZE(list);
    int result = -1;
    *array = arena_alloc(&extras->arena, (count + room) * sizeof **array);
    if (!*array) {
        PyErr_Format(PyExc_ValueError, "%s: more than %u bytes", argument, MAX_HEAD_BYTES);
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *pair = PySequence_Fast_GET_ITEM(list, (Py_ssize_t)i); /* borrowed */
        if ((!PyTuple_Check(pair) && !PyList_Check(pair)) || PySequence_Fast_GET_SIZE(pair) != 2) {
            wrong(argument, "a dict or pairs of text", pair);
            goto out;
        }
        if (take(extras, PySequence_Fast_GET_ITEM(pair, 0), PySequence_Fast_GET_ITEM(pair, 1)) < 0) {
            goto out;
        }
    }
    result = 0;
out:
    Py_DECREF(list);
    return result;
}

static bool has_header(const struct extras *extras, const char *name)
{
    for (size_t i = 0; i < extras->header_count; i++) {
        if (str_equal_nocase(extras->headers[i].name, str_of(name))) {
            return true;
        }
    }
    return false;
}

/* Room for the content type of a JSON body is left behind the caller's headers. */
static int take_headers(struct extras *extras, PyObject *headers, bool json)
{
    PyObject *pairs = headers ? Py_NewRef(headers) : PyTuple_New(0); /* new */
    int result = pairs ? take_pairs(extras, "headers", pairs, &extras->headers, 1, take_header) : -1;
    Py_XDECREF(pairs);
    if (result == 0 && json && !has_header(extras, "Content-Type")) {
        extras->headers[extras->header_count++] = (struct http_header){STR("Content-Type"), STR("application/json")};
    }
    return result;
}

static int take_json(struct extras *extras, PyObject *object)
{
    PyObject *dumps = acurl_import(ACURL_JSON_DUMPS); /* borrowed */
    extras->body = dumps ? PyObject_CallOneArg(dumps, object) : NULL;
    if (extras->body) {
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyObject *error = errors_take(); /* new */
        PyErr_Format(PyExc_ValueError, "json: %S", error);
        Py_DECREF(error);
    }
    return -1;
}

static int take_data(struct extras *extras, PyObject *data)
{
    struct str view;
    if (!PyUnicode_Check(data) && !PyBytes_Check(data)) {
        return wrong("data", "str or bytes", data);
    }
    extras->body = Py_NewRef(data);
    return argument_view("data", data, &view);
}

static int take_two_texts(const char *argument, const char *wanted, PyObject *given, PyObject **out)
{
    struct str view;
    if ((!PyTuple_Check(given) && !PyList_Check(given)) || PySequence_Fast_GET_SIZE(given) != 2) {
        return wrong(argument, wanted, given);
    }
    for (Py_ssize_t i = 0; i < 2; i++) {
        PyObject *text = PySequence_Fast_GET_ITEM(given, i); /* borrowed */
        if (!PyUnicode_Check(text)) {
            return wrong(argument, wanted, text);
        }
        if (argument_view(argument, text, &view) < 0) {
            return -1;
        }
    }
    *out = PySequence_Tuple(given);
    return *out ? 0 : -1;
}

static int take_timeout(struct extras *extras, PyObject *timeout)
{
    double seconds = PyBool_Check(timeout) || !PyNumber_Check(timeout) ? NAN : PyFloat_AsDouble(timeout);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        seconds = NAN;
    }
    if (!(seconds > 0)) {
        PyErr_Format(PyExc_ValueError, "timeout must be a positive number of seconds, not %R", timeout);
        return -1;
    }
    extras->timeout_ns = ns_from_s(seconds);
    return 0;
}

static int take_max_redirects(struct extras *extras, PyObject *given)
{
    long count = PyLong_Check(given) && !PyBool_Check(given) ? PyLong_AsLong(given) : -1;
    PyErr_Clear();
    if (count < 0 || count > INT_MAX) {
        PyErr_Format(PyExc_ValueError, "max_redirects must be a number from 0 on, not %R", given);
        return -1;
    }
    extras->max_redirects = (unsigned)count;
    return 0;
}

static int take_body(struct extras *extras, PyObject *data, PyObject *json)
{
    if (data && json) {
        PyErr_SetString(PyExc_ValueError, "data and json are both given: a request has one body");
        return -1;
    }
    return data ? take_data(extras, data) : json ? take_json(extras, json) : 0;
}

static int take_flags(struct extras *extras, PyObject *allow_redirects, PyObject *verify)
{
    if (allow_redirects && !PyBool_Check(allow_redirects)) {
        return wrong("allow_redirects", "True or False", allow_redirects);
    }
    if (verify && !PyBool_Check(verify)) {
        return wrong("verify", "True or False", verify);
    }
    extras->keep_redirects = allow_redirects == Py_False;
    extras->verify = verify ? verify == Py_True : -1;
    return 0;
}

static struct extras *extras_new(PyObject *const *given)
{
    struct extras *extras = PyMem_Calloc(1, sizeof *extras);
    if (!extras) {
        PyErr_NoMemory();
        return NULL;
    }
    extras->refs = 1;
    extras->max_redirects = DEFAULT_MAX_REDIRECTS;
    arena_init(&extras->arena, MAX_HEAD_BYTES);
    if (take_body(extras, given[ARG_DATA], given[ARG_JSON]) < 0 ||
        ((given[ARG_HEADERS] || given[ARG_JSON]) && take_headers(extras, given[ARG_HEADERS], given[ARG_JSON]) < 0) ||
        (given[ARG_COOKIES] &&
         take_pairs(extras, "cookies", given[ARG_COOKIES], &extras->cookies, 0, take_cookie) < 0) ||
        (given[ARG_AUTH] &&
         take_two_texts("auth", "a pair of texts (user, password)", given[ARG_AUTH], &extras->auth) < 0) ||
        (given[ARG_CERT] &&
         take_two_texts("cert", "a pair of file names (key, certificate)", given[ARG_CERT], &extras->cert) < 0) ||
        (given[ARG_TIMEOUT] && take_timeout(extras, given[ARG_TIMEOUT]) < 0) ||
        (given[ARG_MAX_REDIRECTS] && take_max_redirects(extras, given[ARG_MAX_REDIRECTS]) < 0) ||
        take_flags(extras, given[ARG_ALLOW_REDIRECTS], given[ARG_VERIFY]) < 0) {
        extras_unref(extras);
        return NULL;
    }
    return extras;
}

void extras_unref(struct extras *extras)
{
    if (!extras || --extras->refs) {
        return;
    }
    arena_done(&extras->arena);
    Py_XDECREF(extras->jar_cookies);
    Py_XDECREF(extras->body);
    Py_XDECREF(extras->auth);
    Py_XDECREF(extras->cert);
    PyMem_Free(extras);
}

/* Sorts the call's arguments by name: borrowed, NULL where not given or None. */
static int sort_arguments(PyObject **given, const char *method, PyObject *const *args, Py_ssize_t count,
                          PyObject *kwnames, bool *extra)
{
    if (count > 1) {
        PyErr_Format(PyExc_TypeError, "%s() takes 1 positional argument, the url, but %zd were given", method, count);
        return -1;
    }
    if (count) {
        given[ARG_URL] = args[0];
    }
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(kwnames, i); /* borrowed */
        int which = argument_of(keyword);
        if (which < 0) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument %R", method, keyword);
            return -1;
        }
        if (which == ARG_URL && count) {
            PyErr_Format(PyExc_TypeError, "%s() got two values for url", method);
            return -1;
        }
        if (args[count + i] != Py_None || which == ARG_URL) {
            given[which] = args[count + i];
            *extra |= which != ARG_URL;
        }
    }
    return 0;
}

int arguments_parse(struct arguments *out, const char *method, PyObject *const *args, Py_ssize_t count,
                    PyObject *kwnames)
{
    PyObject *given[ARG_COUNT] = {NULL};
    struct extras *extras = NULL;
    bool extra = false;

    if (sort_arguments(given, method, args, count, kwnames, &extra) < 0) {
        return -1;
    }
    PyObject *url = given[ARG_URL]; /* borrowed */
    if (!url) {
        PyErr_Format(PyExc_TypeError, "%s() needs a url", method);
        return -1;
    }
    if (!PyUnicode_Check(url)) {
        return wrong("url", "str", url);
    }
    struct str view;
    if (argument_view("url", url, &view) < 0) {
        return -1;
    }
    if (extra && !(extras = extras_new(given))) {
        return -1;
    }
    *out = (struct arguments){Py_NewRef(url), extras};
    return 0;
}

void arguments_done(struct arguments *arguments)
{
    Py_CLEAR(arguments->url);
    extras_unref(arguments->extras);
    arguments->extras = NULL;
}

static int fill_pair(PyObject *pair, struct str *first, struct str *second)
{
    return text_view(PyTuple_GET_ITEM(pair, 0), first) < 0 || text_view(PyTuple_GET_ITEM(pair, 1), second) < 0 ? -1 : 0;
}

int arguments_fill(const struct arguments *arguments, struct http_request *request)
{
    const struct extras *extras = arguments->extras;
    request->follow_redirects = true;
    request->max_redirects = DEFAULT_MAX_REDIRECTS;
    request->verify = -1;
    if (text_view(arguments->url, &request->url) < 0) {
        return -1;
    }
    if (!extras) {
        return 0;
    }
    request->headers = extras->headers;
    request->header_count = extras->header_count;
    request->cookies = extras->cookies;
    request->cookie_count = extras->cookie_count;
    request->follow_redirects = !extras->keep_redirects;
    request->max_redirects = extras->max_redirects;
    request->timeout_ns = extras->timeout_ns;
    request->verify = extras->verify;
    if ((extras->body && text_view(extras->body, &request->body) < 0) ||
        (extras->auth && fill_pair(extras->auth, &request->user, &request->password) < 0) ||
        (extras->cert && fill_pair(extras->cert, &request->key_file, &request->cert_file) < 0)) {
        return -1;
    }
    return 0;
}
